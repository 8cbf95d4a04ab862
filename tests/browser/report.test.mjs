// The report in a real browser: it renders without an error and without a network, in both schemes, on a telephone,
// by keyboard and on paper, and passes an accessibility check.
//
// CHROMIUM is the browser, PAGES are the files, one a line. Pictures go beside each page.

import assert from 'node:assert/strict';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { basename, join, resolve } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { pathToFileURL } from 'node:url';

import axe from 'axe-core';
import puppeteer from 'puppeteer-core';

const pages = (process.env.PAGES ?? '').split('\n').filter(Boolean).map((file) => resolve(file));
const sizes = { wide: { width: 1280, height: 900 }, phone: { width: 390, height: 844, isMobile: true, hasTouch: true } };
const schemes = ['light', 'dark'];
// Generous: a loaded machine only makes it later.
const patience = { timeout: 600_000 };

let browser;
let profile;

before(async () => {
  profile = await mkdtemp(join(tmpdir(), 'report-browser-'));
  browser = await puppeteer.launch({
    executablePath: process.env.CHROMIUM,
    headless: true,
    userDataDir: profile,
    args: [
      '--no-sandbox', '--disable-gpu', '--disable-quic', '--no-first-run', '--disable-background-networking',
      '--disable-component-update', '--disable-sync',
    ],
  });
});

after(async () => {
  await browser?.close();
  if (profile) await rm(profile, { recursive: true, force: true });
});

// Opens a page and hands it to `look`; whatever it complains about or asks of a network fails the test.
async function open(file, { size = 'wide', scheme = 'light' }, look) {
  const page = await browser.newPage();
  const complaints = [];
  const url = pathToFileURL(file).href;
  page.on('console', (message) => complaints.push(`console: ${message.text()}`));
  page.on('pageerror', (error) => complaints.push(`error: ${error.message}`));
  page.on('request', (request) => {
    if (request.url() !== url && !request.url().startsWith('data:')) complaints.push(`loads ${request.url()}`);
  });
  try {
    await page.setViewport(sizes[size]);
    await page.emulateMediaFeatures([{ name: 'prefers-color-scheme', value: scheme }]);
    await page.goto(url, { waitUntil: 'load' });
    await look(page);
    assert.deepEqual(complaints, []);
  } finally {
    await page.close();
  }
}

const visible = (page, selector) =>
  page.$$eval(selector, (found) => found.filter((one) => one.checkVisibility()).length);

test('there is a page to try', () => assert.ok(pages.length > 0, 'PAGES names no file'));

for (const file of pages) {
  const name = basename(file, '.html');
  const picture = (what) => file.replace(/\.html$/, `-${what}`);

  describe(name, () => {
    for (const size of Object.keys(sizes)) {
      for (const scheme of schemes) {
        test(`renders and is accessible: ${size}, ${scheme}`, patience, () =>
          open(file, { size, scheme }, async (page) => {
            const headline = await page.$eval('h1', (heading) => heading.textContent);
            assert.match(headline, /\w.*\.$/);
            assert.equal(await page.title(), await page.$eval('title', (title) => title.textContent));
            const [one, other] = size === 'wide' ? ['svg.wide', 'svg.narrow'] : ['svg.narrow', 'svg.wide'];
            const drawn = await page.$$eval(one, (found) => found.length);
            assert.equal(await visible(page, one), drawn);
            assert.equal(await visible(page, other), 0);
            // A drawing in which nothing has a colour would pass every other check.
            const colours = await page.$$eval(`${one} [fill]`, (shapes) =>
              [...new Set(shapes.map((shape) => getComputedStyle(shape).fill))].length);
            assert.ok(drawn === 0 || colours > 1, 'the drawings have no colours');
            const overflow = await page.evaluate(() =>
              document.documentElement.scrollWidth - document.documentElement.clientWidth);
            assert.equal(overflow, 0, 'it is wider than the screen');
            await page.screenshot({ path: picture(`${size}-${scheme}.png`), fullPage: true });
            await page.$$eval('details', (all) => all.forEach((one) => { one.open = true; }));
            await page.evaluate(axe.source);
            const { violations } = await page.evaluate(() => globalThis.axe.run());
            const told = violations.map(({ id, nodes }) => `${id}: ${nodes.map((node) => node.target).join(' ')}`);
            assert.deepEqual(told, []);
          }));
      }
    }

    test('works by keyboard', patience, () =>
      open(file, {}, async (page) => {
        const focused = (ask) => page.evaluate(ask);
        await page.keyboard.press('Tab');
        assert.equal(await focused(() => document.activeElement.className), 'skip');
        assert.ok(await focused(() => document.activeElement.getBoundingClientRect().left >= 0), 'hidden in focus');
        await page.keyboard.press('Enter');
        assert.equal(new URL(page.url()).hash, '#main');
        const stops = await page.$$eval('a[href], summary, [tabindex="0"]', (all) =>
          all.filter((one) => one.checkVisibility({ contentVisibilityAuto: true })).length);
        let reached = 0;
        for (let press = 0; press < stops; press += 1) {
          await page.keyboard.press('Tab');
          const seen = await focused(() => {
            const one = document.activeElement;
            const style = getComputedStyle(one);
            return { body: one === document.body, outline: style.outlineStyle, width: style.outlineWidth };
          });
          if (seen.body) break;
          assert.notEqual(seen.outline, 'none');
          assert.notEqual(seen.width, '0px');
          reached += 1;
        }
        assert.ok(reached >= stops - 1, `${reached} of ${stops} are reached`);
        for (const summary of await page.$$('summary')) {
          await summary.focus();
          await page.keyboard.press('Enter');
          assert.ok(await summary.evaluate((one) => one.parentElement.open), 'Enter opens it');
        }
      }));

    test('prints everything', patience, () =>
      open(file, { scheme: 'dark' }, async (page) => {
        await page.emulateMediaType('print');
        const hidden = await page.$$eval('details table', (tables) =>
          tables.filter((one) => one.getBoundingClientRect().height === 0).length);
        assert.equal(hidden, 0, 'closed details are missing on paper');
        assert.equal(await page.$eval('body', (body) => getComputedStyle(body).backgroundColor), 'rgb(255, 255, 255)');
        const paper = await page.pdf({ format: 'A4', printBackground: true, preferCSSPageSize: true });
        assert.equal(Buffer.from(paper.subarray(0, 5)).toString(), '%PDF-');
        await writeFile(picture('print.pdf'), paper);
      }));
  });
}
