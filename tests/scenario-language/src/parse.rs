//! Reads a scenario: one statement per line, all errors at once.

use std::collections::BTreeMap;
use std::time::Duration;

use steadfast_core::mode::Mode;
use steadfast_core::topology::Deployment;

use crate::check;
use crate::error::{Complaint, ParseError, ParseErrors};
use crate::expectation::expectation;
use crate::line::{READERS_MAX, Words};
use crate::nearest;
use crate::scenario::{Expectation, Scenario};
use crate::vocabulary::Vocabulary;
use crate::{setup, timeline};

/// A scenario of which nothing is said: the defaults.
pub(crate) fn blank(name: &str) -> Scenario {
    Scenario {
        name: name.to_owned(),
        why: String::new(),
        deployment: Deployment::Cluster,
        readers: 2,
        gated: false,
        mode: Mode::Armed,
        platform: None,
        policy: Vec::new(),
        only: None,
        lasts: Duration::from_secs(120),
        exactly: false,
        timeline: Vec::new(),
        expectations: Vec::new(),
    }
}

/// Reads the scenario `name` from the text of its file. The module's page describes the language.
///
/// # Errors
///
/// Everything that is wrong with it, by line.
pub fn parse(name: &str, text: &str) -> Result<Scenario, ParseErrors> {
    // Some editors put a byte order mark there.
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    let mut draft = Draft::new(name);
    let head = draft.read_why(text);
    for (number, line) in (1..).zip(text.lines()).skip(head) {
        let statement = line.split('#').next().unwrap_or_default().trim();
        if !statement.is_empty()
            && let Err(complaint) = draft.read(number, statement)
        {
            draft.complain(number, complaint);
        }
    }
    draft.finish()
}

/// Whether a scenario may be called so: `kill-host`, `two-coordinators-at-once`.
pub(crate) fn is_kebab_case(name: &str) -> bool {
    let is_part =
        |part: &str| !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit());
    name.split('-').all(is_part)
}

/// A scenario being read.
pub(crate) struct Draft {
    file: String,
    scenario: Scenario,
    /// The lines of the expectations, in the same order.
    lines: Vec<usize>,
    /// Where each thing that may be said once was said.
    said: BTreeMap<String, usize>,
    errors: Vec<ParseError>,
}

pub(crate) type Statement = fn(&mut Draft, usize, &mut Words<'_>) -> Result<(), Complaint>;

/// The first word of a statement and how to read the rest of it.
pub(crate) const STATEMENTS: &[(&str, Statement)] = &[
    ("deployment", |draft, line, words| {
        draft.once("deployment", line)?;
        draft.scenario.deployment = words.named()?;
        Ok(())
    }),
    ("readers", |draft, line, words| {
        draft.once("readers", line)?;
        // Should the number be wrong, no reader that a later line names is.
        draft.scenario.readers = READERS_MAX;
        draft.scenario.readers = setup::readers(words)?;
        Ok(())
    }),
    ("clients", |draft, line, words| {
        draft.once("clients", line)?;
        words.literally(&["use", "the", "gate"])?;
        draft.scenario.gated = true;
        Ok(())
    }),
    ("mode", |draft, line, words| {
        draft.once("mode", line)?;
        draft.scenario.mode = words.named()?;
        Ok(())
    }),
    ("platform", |draft, line, words| {
        draft.once("platform", line)?;
        draft.scenario.platform = setup::platform(words)?;
        Ok(())
    }),
    ("policy", |draft, line, words| {
        let (threshold, value) = setup::policy(words)?;
        draft.once(threshold.word(), line)?;
        draft.scenario.policy.push((threshold, value));
        Ok(())
    }),
    ("lasts", |draft, line, words| {
        draft.once("lasts", line)?;
        draft.scenario.exactly = words.take("exactly");
        draft.scenario.lasts = words.some_time()?;
        Ok(())
    }),
    ("only", |draft, line, words| {
        draft.once("only", line)?;
        draft.scenario.only = Some(setup::only(words)?);
        Ok(())
    }),
    ("at", |draft, line, words| {
        draft.scenario.timeline.push(timeline::at(words, line)?);
        Ok(())
    }),
    ("after", |draft, line, words| {
        draft.scenario.timeline.push(timeline::after(words, line)?);
        Ok(())
    }),
    ("expect", |draft, line, words| {
        let expectation = expectation(words)?;
        draft.once(&subject(expectation), line)?;
        draft.scenario.expectations.push(expectation);
        draft.lines.push(line);
        Ok(())
    }),
];

/// What an expectation is about. Two that are about the same would repeat or contradict one another.
fn subject(expectation: Expectation) -> String {
    match expectation {
        Expectation::Rule(id) | Expectation::NoRule(id) => format!("rule {id}"),
        Expectation::Calls(_) => "calls".to_owned(),
        Expectation::Episodes(_) => "episodes".to_owned(),
        Expectation::Writer(_) => "writer".to_owned(),
        Expectation::OutageAtMost(_) => "outage".to_owned(),
        Expectation::DetectedWithin(_) => "detected".to_owned(),
        Expectation::Lost(_) => "lost".to_owned(),
        Expectation::Errors(_) => "errors".to_owned(),
        Expectation::RecoveredBy(_) => "recovered".to_owned(),
        Expectation::SessionsEvicted => "sessions evicted".to_owned(),
        Expectation::PersonCalled(id) => format!("person called by rule {id}"),
        Expectation::NobodyCalled => "nobody called".to_owned(),
        Expectation::Open(_) => "episode".to_owned(),
    }
}

impl Draft {
    fn new(name: &str) -> Self {
        Self {
            file: format!("{name}.txt"),
            scenario: blank(name),
            lines: Vec::new(),
            said: BTreeMap::new(),
            errors: Vec::new(),
        }
    }

    fn complain(&mut self, line: usize, complaint: Complaint) {
        self.errors.push(complaint.at(&self.file, line));
    }

    /// Reads the comment at the head; returns how many lines it takes.
    fn read_why(&mut self, text: &str) -> usize {
        let blank = text.lines().take_while(|line| line.trim().is_empty()).count();
        let comments = text.lines().skip(blank).map_while(|line| line.trim().strip_prefix('#'));
        let why: Vec<&str> = comments.map(str::trim).collect();
        self.scenario.why = why.join("\n").trim().to_owned();
        blank + why.len()
    }

    fn read(&mut self, line: usize, statement: &str) -> Result<(), Complaint> {
        let mut words = Words::new(statement);
        let known: Vec<&str> = STATEMENTS.iter().map(|(word, _)| *word).collect();
        let word = words.next("a statement")?;
        let Some((_, read)) = STATEMENTS.iter().find(|(known, _)| *known == word) else {
            return Err(Complaint::new(word, "begins no statement", nearest::remedy(word, &known)));
        };
        read(self, line, &mut words)?;
        words.end()
    }

    /// Refuses what was said before.
    fn once(&mut self, what: &str, line: usize) -> Result<(), Complaint> {
        match self.said.insert(what.to_owned(), line) {
            None => Ok(()),
            Some(before) => {
                let problem = format!("line {before} has said it");
                Err(Complaint::new(what, problem, "leave one of the two out"))
            }
        }
    }

    fn finish(mut self) -> Result<Scenario, ParseErrors> {
        let name = &self.scenario.name;
        if !is_kebab_case(name) {
            let remedy = "name the file like `writer-frozen.txt`: lower-case words and digits with a - between them";
            self.complain(1, Complaint::new(name.clone(), "is no name of a scenario", remedy));
        }
        if self.scenario.why.is_empty() {
            let remedy = "begin the file with a comment: `# ` and what the situation is and why it matters";
            self.complain(1, Complaint::new("#", "the reason for the scenario is missing", remedy));
        }
        for (line, complaint) in check::lines(&self.scenario, &self.lines) {
            self.complain(line, complaint);
        }
        if self.errors.is_empty()
            && let Err(complaint) = check::whole(&self.scenario)
        {
            self.complain(1, complaint);
        }
        if self.errors.is_empty() {
            return Ok(self.scenario);
        }
        self.errors.sort_by_key(|error| error.line);
        Err(ParseErrors(self.errors))
    }
}
