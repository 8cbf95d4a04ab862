//! `sim`: many seeds, one seed again, scenarios, and explanations of evidence and events.

use std::fmt::Write as _;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Duration;

use clap::{Parser, Subcommand};
use steadfast_core::time::Timestamp;
use steadfast_scenario::{Interpreter, LoadError, Scenario};
use steadfast_simulation::campaign::{Campaign, Summary, campaign};
use steadfast_simulation::judge::{judge, worse};
use steadfast_simulation::plan::{Crash, Plan};
use steadfast_simulation::run::Report;
use steadfast_simulation::{chaos, explain, report, run, year};

/// The decision core and its executor in a simulated world, in virtual time.
#[derive(Parser)]
#[command(version, about)]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Run many seeds on all cores; fails when one breaks a promise
    Run {
        /// How many
        #[arg(long, default_value_t = 8_000, value_parser = at_least_one)]
        seeds: u64,
        /// The first one; by default it follows from the time of day, so that every call tries others
        #[arg(long)]
        from: Option<u64>,
        /// Stop after this many seconds
        #[arg(long, value_parser = at_least_one)]
        seconds: Option<u64>,
        /// Where the summary goes
        #[arg(long, default_value = "target/sim/summary.json")]
        output: PathBuf,
    },
    /// Run scenarios with a line for everything that happens; fails when an expectation or a promise does not hold
    Scenario {
        /// Files of scenarios
        #[arg(required = true)]
        files: Vec<PathBuf>,
        /// Disturb the coordinator at this port call, as 17:lost; then only the promises count
        #[arg(long)]
        disturb: Option<Crash>,
    },
    /// Explain an evidence file or events line by line: what came in, which rule it met, what follows; fails when
    /// evidence does not verify
    Explain {
        /// The file: evidence of the lab or of production, or events as EventBridge delivers them
        file: PathBuf,
    },
    /// Make a report of an evidence file: one page for people, and its facts as JSON
    Report {
        /// The file: evidence of the lab or of production
        file: PathBuf,
        /// Where the page goes; its facts go beside it, as .json
        #[arg(long, default_value = "target/report.html")]
        output: PathBuf,
    },
    /// Let a year of weekly game days pass, with every kind of skip and failure, and show what people were told
    Year,
    /// Run one seed again, with a line for everything that happens
    Replay {
        /// The seed
        seed: u64,
    },
}

fn main() -> ExitCode {
    let done = match Arguments::parse().command {
        Command::Run { seeds, from, seconds, output } => many(seeds, from, seconds, &output),
        Command::Replay { seed } => Ok(one(chaos::plan(seed))),
        Command::Scenario { files, disturb } => {
            files.iter().try_fold(true, |held, file| Ok(scenario(file, disturb)? && held))
        }
        Command::Explain { file } => explained(&file),
        Command::Year => {
            say(year::year().table().trim_end());
            Ok(true)
        }
        Command::Report { file, output } => reported(&file, &output),
    };
    match done {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            say_error(&error);
            ExitCode::from(2)
        }
    }
}

/// A campaign that tries nothing would report that nothing was broken.
fn at_least_one(text: &str) -> Result<u64, String> {
    match text.parse() {
        Ok(0) => Err("nothing would be tried; write 1 or more".to_owned()),
        Ok(number) => Ok(number),
        Err(error) => Err(format!("{error}; write a whole number, 1 or more")),
    }
}

fn many(seeds: u64, from: Option<u64>, seconds: Option<u64>, output: &Path) -> Result<bool, String> {
    let from = from.unwrap_or_else(seed_of_the_day);
    let threads = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
    let summary = campaign(Campaign { from, seeds, limit: seconds.map(Duration::from_secs), threads });
    write_json(output, &summary)?;
    say(&told(&summary, from, output));
    Ok(summary.violations == 0)
}

fn told(summary: &Summary, from: u64, output: &Path) -> String {
    let mut text = String::new();
    for broken in &summary.broken {
        let _ = writeln!(text, "seed {}: {}\n  again: {}", broken.seed, broken.violation, broken.replay);
    }
    let _ = write!(
        text,
        "{} seeds from {from}: {} violations, {} failovers, {} calls, {} episodes, {} sessions evicted, {:.0} virtual \
         hours in {:.1} s ({:.0} failovers per second and core); see {}",
        summary.seeds,
        summary.violations,
        summary.failovers,
        summary.calls,
        summary.episodes,
        summary.evicted,
        summary.virtual_hours,
        summary.seconds,
        summary.failovers_per_second_per_core,
        output.display()
    );
    text
}

fn seed_of_the_day() -> u64 {
    std::time::SystemTime::now()
        .duration_since(std::time::UNIX_EPOCH)
        .map_or(0, |since| since.as_secs())
        .wrapping_mul(1_000_000)
}

/// One run with its trace. Whether it kept every promise and met every expectation.
fn one(mut plan: Plan) -> bool {
    plan.trace = true;
    say(&format!("{}\nnoise: {:#?}\n", plan.scenario, plan.noise));
    let (scenario, disturbed) = (plan.scenario.clone(), plan.crash);
    let report = run::run(plan);
    for line in &report.trace {
        say(line);
    }
    for violation in &report.violations {
        say(&format!("BROKEN {violation}"));
    }
    let held = match disturbed {
        Some(crash) => unharmed(crash, &report, &run::run(Plan::disturbed(scenario, None))),
        None => as_expected(&scenario, &report),
    };
    say(&format!("evidence hash {}, {} violations", report.hash, report.violations.len()));
    held && report.violations.is_empty()
}

/// Whether the coordinator was disturbed, and nothing became worse by it.
fn unharmed(crash: Crash, report: &Report, undisturbed: &Report) -> bool {
    if crash.call > report.port_calls {
        say(&format!("FAILED: there is no port call {} to disturb, only {}", crash.call, report.port_calls));
        return false;
    }
    let worse = worse(report, undisturbed);
    for worse in &worse {
        say(&format!("FAILED: {worse}"));
    }
    worse.is_empty()
}

fn as_expected(scenario: &Scenario, report: &Report) -> bool {
    let mut held = true;
    for judgement in judge(scenario, report) {
        held &= judgement.instead.is_none();
        let seen = judgement.instead.map_or_else(|| "held".to_owned(), |seen| format!("FAILED: {seen}"));
        say(&format!("{}: {seen}", judgement.expectation));
    }
    for line in &report.missed {
        say(&format!(
            "line {line}: FAILED: its fault never began; name a milestone that is reached, or an instance there"
        ));
    }
    held && report.missed.is_empty()
}

fn scenario(path: &Path, disturb: Option<Crash>) -> Result<bool, String> {
    let text = read(path).map_err(|error| misnamed(path).unwrap_or(error))?;
    let name = path.file_stem().unwrap_or_default().to_string_lossy();
    let scenario = steadfast_scenario::parse(&name, &text).map_err(|errors| errors.to_string())?;
    match scenario.keeps_out(Interpreter::Simulation) {
        Some(because) => Err(format!("{name} does not run in the simulation: {because}")),
        None if disturb.is_some() => Ok(one(Plan::disturbed(scenario, disturb))),
        None => Ok(one(Plan::of(scenario))),
    }
}

/// What to write instead of a scenario that is not there.
fn misnamed(path: &Path) -> Option<String> {
    let name = path.file_stem()?.to_string_lossy();
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    match steadfast_scenario::find(folder, &name) {
        Err(unknown @ LoadError::Unknown { .. }) => Some(unknown.to_string()),
        // The folder holds other things than scenarios, or the file is there after all.
        Ok(_) | Err(LoadError::Unreadable { .. } | LoadError::Stranger { .. } | LoadError::Wrong(_)) => None,
    }
}

/// Whether the evidence verifies.
fn explained(path: &Path) -> Result<bool, String> {
    let explanation = explain::explain(&read(path)?).map_err(|error| format!("{}: {error}", path.display()))?;
    for line in explanation.lines {
        say(&line);
    }
    Ok(explanation.verifies)
}

/// Whether the evidence verifies.
fn reported(path: &Path, output: &Path) -> Result<bool, String> {
    let failed = |error: &dyn std::fmt::Display| format!("{}: {error}", path.display());
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap_or_default();
    let now = Timestamp::default().plus(now);
    let report = report::of_evidence(&read(path)?, path, now).map_err(|error| failed(&error))?;
    let page = steadfast_report::render(&report).map_err(|error| failed(&error))?;
    let facts = output.with_extension("json");
    if facts == path || output == path {
        return Err(format!("{}: the report would overwrite it; choose another place with --output", path.display()));
    }
    write_json(&facts, &report)?;
    std::fs::write(output, page).map_err(|error| format!("{}: {error}", output.display()))?;
    say(&format!("{}\nreport: {}\nfacts:  {}", report.headline.sentence, output.display(), facts.display()));
    Ok(report.failures.is_empty())
}

fn read(path: &Path) -> Result<String, String> {
    std::fs::read_to_string(path).map_err(|error| format!("{}: {error}; name a file that can be read", path.display()))
}

fn write_json<T: serde::Serialize>(path: &Path, value: &T) -> Result<(), String> {
    let failed =
        |error: &dyn std::fmt::Display| format!("{}: {error}; choose another place with --output", path.display());
    if let Some(folder) = path.parent() {
        std::fs::create_dir_all(folder).map_err(|error| failed(&error))?;
    }
    let text = serde_json::to_string_pretty(value).map_err(|error| failed(&error))?;
    std::fs::write(path, text + "\n").map_err(|error| failed(&error))
}

/// A closed standard output ends the talking, not the run.
fn say(line: &str) {
    let _closed = writeln!(std::io::stdout().lock(), "{line}");
}

fn say_error(line: &str) {
    let _closed = writeln!(std::io::stderr().lock(), "{line}");
}
