#!/usr/bin/env python3
"""Deletes or weakens each rule and each check of lease, quorum and proof in turn, and sees whether a test notices.

All mutants are compiled at once, into a copy of the workspace: each mutated expression becomes a match on the number
of the mutant in the environment, so that trying one costs a run of the tests and no compilation. Those of the core are
tried by the tests of the core and the simulation, those of the state table's conditions on a real DynamoDB wire.
A snippet in CHECKS that no longer stands in its file, or stands there twice, fails the script: the list is kept in
step with the code.

Usage: mutants.py [--output FILE] [--only NUMBER] [--list]
"""

import argparse
import json
import os
import re
import resource
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
OUTPUT = "target/sim/mutants.json"
RULES = "shared/core/src/rules.rs"
CORE = "shared/core"
TABLE = "shared/aws"
PACKAGES = ["steadfast-core", "steadfast-simulation"]
# Its tests need the emulator that `make setup` installs.
TABLE_TEST = "state_table"
# A mutant that makes a test run for ever shows by the processor's time, which other work on the machine does not
# spend: more than this many times what the program takes without a mutant, and at least so much. The other limit is for
# one that waits.
LIMIT_CPU_TIMES = 10
LIMIT_CPU_S = 60
LIMIT_S = 7200
# These notice every change by design, a wrong one no more than a right one: they do not count.
GOLDEN = [f"--skip={name}" for name in ("the_table_is_as_reviewed", "every_decision_is_as_reviewed",
                                       "evidence_is_told_as_reviewed", "events_and_log_lines_are_told_as_reviewed")]

# File, expression, its mutations, and what it guards. `@n` after the expression takes the n-th occurrence; `[[` and
# `]]` mark the part that is mutated where the whole is no expression.
CHECKS = [
    ("shared/core/src/lease.rs", "lease.owner == *me && now.plus(policy.clock_skew_max) < lease.expires_at",
     ["now.plus(policy.clock_skew_max) < lease.expires_at", "lease.owner == *me", "lease.owner == *me && now < lease.expires_at"],
     "who believes that the lease is ours"),
    ("shared/core/src/lease.rs", "self.expires_at.plus(skew) <= now", ["true", "self.expires_at <= now", "false"],
     "when a lease is over for others"),
    ("shared/core/src/lease.rs", "lease.owner != *me && !lease.is_over(now, policy.clock_skew_max)", ["false", "lease.owner != *me"],
     "who may take a lease"),
    ("shared/core/src/lease.rs", "lease.epoch.max(epoch_used).saturating_add(1)", ["lease.epoch", "lease.epoch.saturating_add(1)", "epoch_used.saturating_add(1)"],
     "the fencing token rises"),
    ("shared/core/src/lease.rs", "Self::fresh(me, epoch_used.saturating_add(1), now, policy)", ["Self::fresh(me, 1, now, policy)"],
     "a deleted lease brings no epoch back"),
    ("shared/core/src/lease.rs", "Self::state(Some(self), me, now, policy) == LeaseState::Ours", ["true"],
     "only a living owner renews"),
    ("shared/core/src/executor/switchover.rs", "Under::Armed(lease)", ["Under::Held(lease)"], "a pause stops the closing of a gate"),
    ("shared/core/src/executor/promotion.rs", "Under::Armed(lease)", ["Under::Held(lease)"], "a pause stops a promotion"),
    ("shared/core/src/executor.rs", "Under::Armed(lease)", ["Under::Held(lease)"], "a pause stops an eviction"),
    ("shared/core/src/executor/switchover.rs", "plan.covers_call(self.world.now(), self.policy)", ["true"], "the gate covers the call when it is made"),
    ("shared/core/src/executor/switchover.rs", "plan.called_off = Some(error.to_string())", ["()"], "no answer counts as an open gate"),
    ("shared/core/src/switchover.rs", "is_owner(snapshot, open) && plan.stands(snapshot.now, policy)",
     ["plan.stands(snapshot.now, policy)", "is_owner(snapshot, open)"], "whose plan is carried out, and for how long"),
    ("shared/core/src/switchover.rs", "self.called_off.is_none() && now < self.until && (!self.asked || self.covers_call(now, policy))",
     ["now < self.until && (!self.asked || self.covers_call(now, policy))", "self.called_off.is_none() && (!self.asked || self.covers_call(now, policy))",
      "self.called_off.is_none() && now < self.until"], "when a plan ends"),
    ("shared/core/src/snapshot.rs", "None => [[self.last_committer(policy)]]", ["None"], "whose failure is seen while the control plane is mute"),
    ("shared/core/src/snapshot.rs", "by == instance && at > closed.at.plus(policy.clock_skew_max)",
     ["false", "by == instance", "at > closed.at.plus(policy.clock_skew_max)"], "what proves that the role has moved back"),
    ("shared/core/src/switchover.rs", "promotion.refused.is_none()", ["false", "true"], "a call that was made is watched"),
    ("shared/core/src/switchover.rs", "taken.request == order.request", ["false"], "an order that comes again"),
    ("shared/core/src/switchover.rs", "facts.mode != Mode::Armed", ["false"], "an order while not armed"),
    ("shared/core/src/switchover.rs", "facts.writer != WriterState::Committing", ["false"], "an order for a failed writer"),
    ("shared/core/src/switchover.rs", "facts.platform != Platform::Idle", ["false"], "an order during a change"),
    ("shared/core/src/step.rs", "!plan.asked", ["true"], "a gate is asked for once"),
    ("shared/core/src/step.rs", "Progress::Ready(Action::Resume { hold: hold.to_owned() })", ["Progress::Done"], "the gate is opened where the old writer stayed"),
    ("shared/core/src/drain.rs", "mode != Mode::Armed@1", ["false"], "nobody is evicted unless armed"),
    ("shared/core/src/drain.rs", "mode != Mode::Armed@2", ["false"], "no gate is closed unless armed"),
    ("shared/core/src/drain.rs", "episode.evicted && episode.old_writer == *demoted", ["episode.evicted", "episode.old_writer == *demoted"],
     "an eviction was written down first"),
    ("shared/core/src/drain.rs", "asks_for_gate(episode) && episode.old_writer == *writer",
     ["asks_for_gate(episode)", "episode.old_writer == *writer"], "where the gate is closed"),
    ("shared/core/src/drain.rs", "plan.asked && !plan.resumed && plan.called_off.is_none()",
     ["!plan.resumed && plan.called_off.is_none()", "plan.asked && plan.called_off.is_none()", "plan.asked && !plan.resumed"],
     "a plan that waits for its gate"),
    ("shared/core/src/drain.rs", "episode.is_open() && episode.promotion.is_none() && episode.plan.as_ref().is_some_and(waits)",
     ["episode.promotion.is_none() && episode.plan.as_ref().is_some_and(waits)", "episode.is_open() && episode.plan.as_ref().is_some_and(waits)"],
     "a gate after the call keeps people out for nothing"),
    ("shared/core/src/drain.rs", "latest.epoch == ordered", ["true"], "orders of an earlier episode are void"),
    ("shared/core/src/gate.rs", "waited >= self.closing", ["false"], "how long the gate waits for those inside"),
    ("shared/core/src/gate.rs", "(Self::Cancel | Self::Terminate, Session::Committing) => [[Measure::Name]]", ["Measure::Cancel", "Measure::Terminate"],
     "a commit is never cut short"),
    ("shared/core/src/gate.rs", "until <= now", ["false"], "a block past its end counts as open"),
    ("shared/core/src/gate.rs", "now.plus(takes).plus(skew) < until", ["now.plus(takes) < until", "now < until", "true"], "what a closed gate covers"),
    ("shared/core/src/executor/promotion.rs", "self.description != Description::Anew", ["false"], "look again before the call"),
    ("shared/core/src/executor/promotion.rs", "decision.facts.lease == LeaseState::Ours && self.uncalled.as_ref().is_some_and(|uncalled| uncalled.intended == *standing)",
     ["self.uncalled.as_ref().is_some_and(|uncalled| uncalled.intended == *standing)", "decision.facts.lease == LeaseState::Ours", "false"],
     "whose call is due"),
    ("shared/core/src/executor/promotion.rs", "calls && again.target.as_ref() == Some(&target)",
     ["true", "calls"], "a late call is decided again"),
    ("shared/core/src/executor/promotion.rs", "matches!(answer, Err(CallError::Unanswered { .. }))", ["false", "true"],
     "a call without an answer is waited out"),
    ("shared/core/src/executor/promotion.rs", "self.intend(lease, without, &again, target).await",
     ["self.fail_over(lease, open.clone(), decision, &target).await"], "a late intention is written anew"),
    ("shared/core/src/executor.rs", "lease.expires_at.since(self.world.now()) < CALL_LIMIT.saturating_add(self.policy.clock_skew_max)",
     ["false", "lease.expires_at.since(self.world.now()) < CALL_LIMIT"], "enough of the lease is left for the call"),
    ("shared/core/src/executor.rs", "lease.expires_at.since(now) >= RENEW_BELOW", ["true"], "the owner renews"),
    ("shared/core/src/executor.rs", "lease.owner == self.me", ["true"], "only the owner gives the lease back"),
    ("shared/core/src/executor.rs", "then.verdict == Verdict::CallHuman && open.human_called.contains(&then.rule)",
     ["false", "then.verdict == Verdict::CallHuman"], "nobody adopts what waits for a person"),
    ("shared/core/src/executor.rs", "failed && first.lease == *lease && snapshot.now.since(first.since) >= self.stand_by_limit()",
     ["false", "failed && snapshot.now.since(first.since) >= self.stand_by_limit()"], "people hear of an owner that is gone"),
    ("shared/core/src/step.rs", "decision.facts.lease == LeaseState::Ours && snapshot.open_episode().is_some()",
     ["snapshot.open_episode().is_some()", "decision.facts.lease == LeaseState::Ours"], "steps are the owner's"),
    ("shared/core/src/step.rs", "promotion.epoch < lease.epoch", ["true", "promotion.epoch <= lease.epoch", "false"], "one call per epoch"),
    ("shared/core/src/step.rs", "snapshot.mode == Mode::Armed && !episode.evicted && *writer != episode.old_writer",
     ["!episode.evicted && *writer != episode.old_writer", "snapshot.mode == Mode::Armed && *writer != episode.old_writer",
      "snapshot.mode == Mode::Armed && !episode.evicted"], "when sessions are evicted"),
    ("shared/core/src/step.rs", "snapshot.open_episode().is_some_and(|episode| episode.proved_at.is_some())", ["true"],
     "proof is written before the end"),
    ("shared/core/src/step.rs", "!episode.human_called.contains(&decision.rule)", ["true", "false"], "a person is called once"),
    ("shared/core/src/facts.rs", "lease.epoch > promotion.epoch", ["true", "false"], "a second call needs a new epoch"),
    ("shared/core/src/facts.rs", "calls_left && since >= patience && (platform == Platform::Idle || promotion.passing)",
     ["since >= patience && (platform == Platform::Idle || promotion.passing)",
      "calls_left && (platform == Platform::Idle || promotion.passing)", "calls_left && since >= patience", "false"],
     "when a call has left no trace"),
    ("shared/core/src/facts.rs", "promotion.only_target().filter(|_| again)", ["None"], "a repeated call keeps its target"),
    ("shared/core/src/facts.rs", "promotion.refused.is_some() && !(promotion.passing && calls_left)",
     ["promotion.refused.is_some()", "false", "promotion.refused.is_some() && !promotion.passing"], "which refusals are final"),
    ("shared/core/src/facts.rs", "names_another_or_none(topology, snapshot)", ["false"], "a failover that is done counts as one in progress"),
    ("shared/core/src/facts.rs", "gone_since.is_some_and(|since| snapshot.now.since(since) > time_given)", ["false", "true"],
     "the platform's time runs out"),
    ("shared/core/src/facts.rs", "gone_since.is_none_or(|since| snapshot.now.since(since) < policy.platform_grace)", ["false", "true"],
     "the platform goes first"),
    ("shared/core/src/diagnosis.rs", "counted.len() < policy.quorum", ["false"], "a quorum must vote"),
    ("shared/core/src/diagnosis.rs", "!snapshot.is_fresh(report, policy)", ["false"], "old votes do not count"),
    ("shared/core/src/diagnosis.rs", "snapshot.is_blind(report)", ["false"], "a blind witness does not vote"),
    ("shared/core/src/diagnosis.rs", "snapshot.now.since(since) >= patience", ["true", "false"], "patience with a mute writer"),
    ("shared/core/src/diagnosis.rs", "|(_, at)| *at > after", ["|_| true"], "a commit from before the failure proves nothing"),
    ("shared/core/src/diagnosis.rs", "sighting.outcome == Outcome::Committing", ["true"], "only a commit is a proof"),
    ("shared/core/src/snapshot.rs", "self.now.since(report.at) <= policy.report_age_max", ["true"], "reports grow old"),
    ("shared/core/src/snapshot.rs", "report.at <= self.now.plus(policy.clock_skew_max)", ["true"], "reports of the future do not count"),
    ("shared/core/src/snapshot.rs", "self.now.since(seen.at) <= policy.topology_age_max", ["true"], "descriptions grow old"),
    ("shared/core/src/snapshot.rs", "lately && closed.writer != episode.old_writer", ["false"], "who was replaced lately"),
    ("shared/core/src/candidate.rs", "member.id == *old_writer", ["false"], "the failed writer is no target"),
    ("shared/core/src/candidate.rs", "member.is_writer", ["false"], "who is called writer already is no target"),
    ("shared/core/src/candidate.rs", "!member.is_available()", ["false"], "the target is available"),
    ("shared/core/src/candidate.rs", "seen < policy.quorum", ["false"], "a quorum sees the target"),
    ("shared/core/src/candidate.rs", "u128::from(*lag) > policy.lag_max.as_millis()", ["false"], "the target does not lag"),
    ("shared/core/src/snapshot.rs", "report.sightings.iter().all(|seen| seen.outcome == Outcome::Unresolved)",
     ["false", "true", "report.is_blind()"], "who is blind where there is one host to see"),
    ("shared/core/src/diagnosis.rs", "snapshot.deployment() == Deployment::Instance && counted.iter().any(|vote| vote.outcome == Outcome::Committing)",
     ["false"], "one commit disproves the death of a Multi-AZ instance"),
    ("shared/core/src/diagnosis.rs", "!(disproved && state == WriterState::Restarting)", ["true"], "and its restart"),
    ("shared/core/src/facts.rs", "snapshot.open_episode().filter(|_| snapshot.deployment() == Deployment::Instance)", ["snapshot.open_episode().filter(|_| false)"],
     "an endpoint that leads elsewhere is a failover in progress"),
    ("shared/core/src/facts.rs", "seen.since.plus(policy.report_age_max) > open.failed_since", ["true"], "unless it has led there all along"),
    ("shared/core/src/candidate.rs", "standby.az.is_none()", ["false"], "a standby that is not there is no target"),
    ("shared/core/src/candidate.rs", 'standby.status != "available"', ["false"], "nor one of a busy instance"),
    ("shared/core/src/policy.rs", "calls_lost_max: [[1]]", ["3"], "a reboot with failover is not repeated blindly"),
    ("shared/core/src/switchover.rs", "snapshot.deployment() == Deployment::Instance", ["false"], "no switchover without a gate"),
    ("shared/core/src/step.rs", "snapshot.deployment() == Deployment::Instance", ["false"], "nobody is evicted from a host that is gone"),
    ("shared/core/src/executor.rs", "open.rule != decision.rule || open.gone_since != gone_since", ["false"], "the record is kept up to date"),
    ("shared/core/src/episode.rs", "now.since(promotion.at) < policy.budget_window", ["true", "false"], "the budget has a window"),
    ("shared/core/src/pin.rs", "decision.verdict != Verdict::Rest || snapshot.mode != Mode::Armed",
     ["decision.verdict != Verdict::Rest", "snapshot.mode != Mode::Armed"], "a name is set when nothing is wrong, and armed"),
    ("shared/core/src/pin.rs", "known.settled || known.may_come_late(snapshot.now)",
     ["known.settled", "known.may_come_late(snapshot.now)"], "a name that is settled is left alone"),
    ("shared/core/src/pin.rs", "!self.settled && now.since(self.asked_at) < ON_ITS_WAY",
     ["!self.settled", "now.since(self.asked_at) < ON_ITS_WAY", "false"], "how long a call for a name may be on its way"),
    ("shared/core/src/executor/pin.rs", "ask.may_begin(self.world.now())", ["true"], "an old announcement is not carried out"),
    ("shared/core/src/executor/pin.rs", "answer.is_ok() && !known.is_some_and(|known| known.may_come_late(ask.asked_at))",
     ["answer.is_ok()", "!known.is_some_and(|known| known.may_come_late(ask.asked_at))"], "when a name is settled"),
]

STATE = "shared/aws/src/state/mod.rs"
ROTATION = "shared/aws/src/state/rotation.rs"


def weakened(condition, part):
    """A condition of DynamoDB in which one part always holds. It still uses every name and value, as it must."""
    left, _, right = part.split()
    always = f"({left} <= {right} OR {left} > {right})"
    return condition.replace(part, always)


def every_part(condition):
    return [weakened(condition, part) for part in condition.strip('"').split(" AND ")]


EXACT = '"#owner = :owner AND #epoch = :epoch AND expires_at = :expires_at"'
LASTING = '"#owner = :owner AND #epoch = :epoch AND expires_at >= :expires_at"'
ABSENT = '"attribute_not_exists(pk)"'
ANYTHING = '"attribute_not_exists(pk) OR attribute_exists(pk)"'
VERSION = '"#version = :version"'
REPORT = '"attribute_not_exists(pk) OR #run < :run OR (#run = :run AND #at <= :at)"'

CHECKS += [
    (STATE, f"None => put.condition_expression([[{ABSENT}]])@1", [ANYTHING], "a lease is taken where none stands"),
    (STATE, f".condition_expression([[{EXACT}]])", every_part(EXACT), "a lease is written over the one that was seen"),
    (STATE, LASTING, [*every_part(LASTING), EXACT], "whose lease a write needs, and that it may have been renewed"),
    (STATE, f"lease, [[{EXACT}]]", every_part(EXACT), "a rotation is announced over the very lease that was seen"),
    (STATE, "vec![checked(self.lease_check(cluster, lease)?)]", ["vec![]"], "a write is made under a lease"),
    (STATE, "vec![checked(self.lease_check(cluster, lease)?), checked(self.armed_check(cluster)?)]",
     ["vec![checked(self.lease_check(cluster, lease)?)]", "vec![checked(self.armed_check(cluster)?)]"], "an effect is intended under a lease and armed"),
    (STATE, '"#mode = :armed"', ['"#mode <= :armed OR #mode > :armed"', '"attribute_not_exists(#mode) OR #mode = :armed"'], "which mode allows an effect"),
    (STATE, "!next.settled", ["false", "true"], "a name is announced in armed mode alone"),
    (STATE, f"None => put.condition_expression([[{ABSENT}]])@2", [ANYTHING], "a row is made where none stands"),
    (STATE, VERSION, [weakened(VERSION, "#version = :version")], "a row is written over the version that was seen"),
    (STATE, f".set_item(Some(item.build())) .condition_expression([[{ABSENT}]])", [ANYTHING], "no entry of evidence is written over"),
    (STATE, REPORT, [REPORT.replace("#run < :run", "(#run <= :run OR #run > :run)"), REPORT.replace("#at <= :at", "(#at <= :at OR #at > :at)"),
                     REPORT.replace("#at <= :at", "#at < :at"), REPORT.replace("#run < :run OR ", "")], "which report is the newest"),
    (ROTATION, ABSENT, [ANYTHING], "a rotation begins where no lease and no episode stands"),
    (ROTATION, VERSION, [weakened(VERSION, "#version = :version")], "a rotation is announced over the episode that was seen"),
]


def rule_expressions(text):
    """Yields (id, start, end) of the body of each rule's closure in TABLE."""
    table = text.index("pub static TABLE")
    for match in re.finditer(r"\n    rule\((\d+), ", text[table:]):
        start = text.index("|f| ", table + match.start()) + 4
        depth, at = 0, start
        while True:
            char = text[at]
            if char in "({[":
                depth += 1
            elif char in ")}]":
                if depth == 0:
                    break
                depth -= 1
            elif char == "," and depth == 0:
                break
            at += 1
        body = text[start:at]
        yield int(match.group(1)), start, start + len(body.rstrip())


def conjuncts(expression):
    """Splits at the && of the outermost level; a body in braces is opened first."""
    inner = expression.strip()
    if inner.startswith("{") and inner.endswith("}"):
        inner = inner[1:-1].strip()
    parts, depth, last = [], 0, 0
    for at, char in enumerate(inner):
        if char in "({[":
            depth += 1
        elif char in ")}]":
            depth -= 1
        elif depth == 0 and inner.startswith("&&", at):
            parts.append(inner[last:at].strip())
            last = at + 2
    parts.append(inner[last:].strip())
    return parts


def alternatives(part):
    """The single patterns of a matches!(x, A | B)."""
    found = re.fullmatch(r"matches!\((.+?), (.+)\)", part, re.S)
    if not found or "|" not in found.group(2):
        return []
    patterns = [pattern.strip() for pattern in found.group(2).split("|")]
    return [f"matches!({found.group(1)}, {' | '.join(patterns[:n] + patterns[n + 1:])})" for n in range(len(patterns))]


class Mutants:
    """All mutants, numbered from 1, with the places where they live."""

    def __init__(self):
        self.all = []
        self.edits = {}

    def add(self, file, start, end, original, mutated, what):
        choices = self.edits.setdefault((file, start, end), (original, []))[1]
        self.all.append({"number": len(self.all) + 1, "file": file, "what": what, "mutation": mutated})
        choices.append((len(self.all), mutated))

    def rules(self):
        text = (ROOT / RULES).read_text()
        for rule, start, end in rule_expressions(text):
            body = text[start:end]
            parts = conjuncts(body)
            self.add(RULES, start, end, body, "false", f"rule {rule} deleted")
            for n, part in enumerate(parts):
                rest = " && ".join(parts[:n] + parts[n + 1:]) or "true"
                self.add(RULES, start, end, body, f"{{ let _ = f; {rest} }}", f"rule {rule} without: {part}")
                for narrower in alternatives(part):
                    kept = " && ".join(parts[:n] + [narrower] + parts[n + 1:])
                    self.add(RULES, start, end, body, kept, f"rule {rule} narrowed to: {narrower}")

    def checks(self):
        for file, place, mutations, what in CHECKS:
            snippet, _, nth = place.partition("@")
            text = (ROOT / file).read_text()
            pattern = r"\s+".join(re.escape(word) for word in snippet.split()).replace(r"\.", r"\s*\.")
            marked = r"\[\[" in pattern
            normal = re.compile(pattern.replace(r"\[\[", "(").replace(r"\]\]", ")"))
            found = [match.span(1 if marked else 0) for match in normal.finditer(text) if "#[cfg(test)]" not in text[:match.start()]]
            if not nth and len(found) != 1 or nth and len(found) < int(nth):
                sys.exit(f"{file}: {snippet!r} stands there {len(found)} times; bring CHECKS in {__file__} up to date")
            start, end = found[int(nth or 1) - 1]
            for mutated in mutations:
                self.add(file, start, end, text[start:end], mutated, what)

    def write(self, tree):
        """Writes the mutated sources into a copy of the workspace."""
        by_file = {}
        for (file, start, end), (original, choices) in self.edits.items():
            by_file.setdefault(file, []).append((start, end, original, choices))
        for file, edits in by_file.items():
            text = (ROOT / file).read_text()
            for start, end, original, choices in sorted(edits, reverse=True):
                arms = " ".join(f"{number} => {{ {mutated} }}" for number, mutated in choices)
                if original.startswith("|"):
                    # A closure keeps its arguments; only its body is chosen.
                    _, argument, body = original.split("|", 2)
                    arms = " ".join(f"{number} => {{ {mutated.split('|', 2)[2]} }}" for number, mutated in choices)
                    text = text[:start] + f"|{argument}| match crate::mutant::active() {{ {arms} _ => {{ {body} }} }}" + text[end:]
                    continue
                text = text[:start] + f"(match crate::mutant::active() {{ {arms} _ => {{ {original} }} }})" + text[end:]
            (tree / file).write_text(text)
        for crate in (CORE, TABLE):
            lib = tree / crate / "src/lib.rs"
            lib.write_text(lib.read_text() + SWITCH)


SWITCH = '''
/// Which mutant is alive.
pub mod mutant {
    use std::sync::OnceLock;

    /// Its number; 0 for none.
    pub fn active() -> u32 {
        static ACTIVE: OnceLock<u32> = OnceLock::new();
        *ACTIVE.get_or_init(|| std::env::var("STEADFAST_MUTANT").ok().and_then(|n| n.parse().ok()).unwrap_or(0))
    }
}
'''


def copy_workspace(tree):
    files = subprocess.run(["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"], cwd=ROOT, check=True,
                           capture_output=True).stdout.split(b"\0")
    for name in filter(None, (name.decode() for name in files)):
        source, target = ROOT / name, tree / name
        if source.is_file():
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(source, target)


def build_core(tree, target):
    """The test programs of core and simulation: names, paths and folders."""
    packages = [argument for package in PACKAGES for argument in ("--package", package)]
    return build(tree, packages, {"CARGO_TARGET_DIR": str(target), "RUSTFLAGS": "-Awarnings"})


def build_table(tree, target):
    """The test program of the state table, with the options of every other build: the AWS SDK is not built again."""
    (tree / ".venv").symlink_to(ROOT / ".venv")
    host = re.search(r"^host: (.+)$", subprocess.run(["rustc", "-vV"], check=True, capture_output=True, text=True).stdout, re.M)
    options = ["--target", host.group(1), "--workspace", "--test", TABLE_TEST]
    return build(tree, options, {"CARGO_TARGET_DIR": str(target)})


def build(tree, options, variables):
    """Builds test programs and returns their names, paths and folders."""
    command = ["cargo", "test", "--locked", "--release", "--no-run", "--message-format=json-render-diagnostics", *options]
    done = subprocess.run(command, cwd=tree, env={**os.environ, **variables}, stdout=subprocess.PIPE, text=True)
    if done.returncode != 0:
        sys.exit("the mutants do not compile; see above")
    programs = []
    for line in done.stdout.splitlines():
        message = json.loads(line)
        if message.get("executable") and message.get("profile", {}).get("test"):
            programs.append((message["target"]["name"], message["executable"], Path(message["manifest_path"]).parent))
    return programs


def run(program, folder, number, limit_cpu_s=None):
    """Runs a test program with this mutant alive; returns its exit code, None for one without an end."""
    def limit_processor():
        if limit_cpu_s:
            resource.setrlimit(resource.RLIMIT_CPU, (limit_cpu_s, limit_cpu_s + 5))

    environment = {**os.environ, "STEADFAST_MUTANT": str(number), "RUST_BACKTRACE": "0"}
    try:
        done = subprocess.run([program, "--quiet", *GOLDEN], cwd=folder, env=environment, timeout=LIMIT_S,
                              stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, preexec_fn=limit_processor)
    except subprocess.TimeoutExpired:
        return None
    return None if done.returncode == -signal.SIGXCPU else done.returncode


def measured(programs):
    """The programs with how much of the processor's time each may take, the quickest first.

    Fails where one fails without any mutant.
    """
    found = []
    for name, program, folder in programs:
        before = resource.getrusage(resource.RUSAGE_CHILDREN).ru_utime
        if run(program, folder, 0) != 0:
            sys.exit(f"the tests fail without any mutant: {name}")
        took = resource.getrusage(resource.RUSAGE_CHILDREN).ru_utime - before
        found.append((took, name, program, folder, max(LIMIT_CPU_S, int(LIMIT_CPU_TIMES * took) + 1)))
    return [program for _, *program in sorted(found)]


def killed_by(programs, number):
    """The first test program that fails with this mutant alive, or None."""
    for name, program, folder, limit_cpu_s in programs:
        code = run(program, folder, number, limit_cpu_s)
        if code is None:
            return f"{name} (no end)"
        if code != 0:
            return name
    return None


def main():
    parser = argparse.ArgumentParser(description="Which mutants of the decision core do the tests catch?")
    parser.add_argument("--output", type=Path, help=f"where the result goes; {OUTPUT} unless --only is given")
    parser.add_argument("--only", type=int, help="the number of one mutant")
    parser.add_argument("--list", action="store_true", help="list the mutants and end")
    arguments = parser.parse_args()
    mutants = Mutants()
    mutants.rules()
    mutants.checks()
    if arguments.only is not None and not 1 <= arguments.only <= len(mutants.all):
        parser.error(f"--only {arguments.only}: there is no such mutant; name one from 1 to {len(mutants.all)}, see --list")
    if arguments.list:
        for mutant in mutants.all:
            print(f"{mutant['number']:>4} {mutant['file']}: {mutant['what']} -> {mutant['mutation']}")
        return
    target = Path(os.environ.get("CARGO_TARGET_DIR", ROOT / "target")).absolute()
    home = target / "mutants"
    tree = home / "tree"
    shutil.rmtree(tree, ignore_errors=True)
    copy_workspace(tree)
    mutants.write(tree)
    tried_by = {CORE: measured(build_core(tree, home / "build")), TABLE: measured(build_table(tree, target))}
    began, survivors, tried = time.monotonic(), [], 0
    for mutant in mutants.all:
        if arguments.only and mutant["number"] != arguments.only:
            continue
        tried += 1
        programs = next(programs for crate, programs in tried_by.items() if mutant["file"].startswith(crate))
        killer = killed_by(programs, mutant["number"])
        print(f"{mutant['number']:>4} {'killed by ' + killer if killer else 'SURVIVED'}: {mutant['what']} -> {mutant['mutation']}", flush=True)
        if not killer:
            survivors.append(mutant)
    result = {"mutants": tried, "killed": tried - len(survivors), "survivors": survivors,
              "seconds": round(time.monotonic() - began, 1)}
    # One mutant must not pass for all of them in the file that a full run has written.
    output = arguments.output or (None if arguments.only else ROOT / OUTPUT)
    if output:
        output.parent.mkdir(parents=True, exist_ok=True)
        output.write_text(json.dumps(result, indent=2) + "\n")
    shutil.rmtree(tree, ignore_errors=True)
    see = f"; see {output}" if output else ""
    print(f"{tried} mutants, {result['killed']} killed, {len(survivors)} survived{see}")
    sys.exit(1 if survivors else 0)


if __name__ == "__main__":
    main()
