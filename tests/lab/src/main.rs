//! `lab`: drills, and the lab itself for manual ones.

use std::io::Write as _;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use clap::{Parser, Subcommand};
use steadfast_lab::assembly::{Lab, LabConfig, names};
use steadfast_lab::drill::{self, AllPlan, BackupPlan, DrillPlan, DrillResult, Progress, RotationPlan};
use tokio::signal::unix::{Signal, SignalKind, signal};
use tracing_subscriber::filter::{LevelFilter, Targets};
use tracing_subscriber::prelude::*;

/// Below the root of the checkout.
const SCENARIOS: &str = "tests/scenarios";
/// Exit code of a shell for a command that was interrupted.
const INTERRUPTED: u8 = 130;

/// The lab of Steadfast.
#[derive(Debug, Parser)]
#[command(version)]
struct Arguments {
    /// The root of the checkout.
    #[arg(long, default_value = ".")]
    root: PathBuf,
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Carry out a scenario under load and show how writes came back.
    Drill {
        /// The scenario: a file in tests/scenarios, without its ending.
        #[arg(long, default_value = "kill-host")]
        fault: String,
        /// How often.
        #[arg(long, default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..=1000))]
        repeat: u32,
        /// The platform fails over by itself after this, such as 12s, whatever the scenario says of it.
        #[arg(long, value_parser = native_delay)]
        native: Option<Duration>,
        /// Deliver the coordinator's next event twice in each episode.
        #[arg(long)]
        duplicate: bool,
    },
    /// Let the scheduler conduct a game day, and judge it by its own record and by what the clients saw.
    GameDay {
        /// The experiment, by its name in the catalogue.
        #[arg(long, default_value = "failover")]
        experiment: String,
    },
    /// Carry out every scenario, one after another, and show them in one table.
    Drills {
        /// How often each scenario is carried out that bounds the outage or the detection; the others once.
        #[arg(long, default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..=1000))]
        runs: u32,
        /// Only these scenarios; all when none is named.
        scenarios: Vec<String>,
    },
    /// Restore backups, open them, and see that damaged ones are told from good ones.
    Backup {
        /// Good restores of each kind.
        #[arg(long, default_value_t = 3, value_parser = clap::value_parser!(u32).range(1..=100))]
        repeat: u32,
    },
    /// Rotate passwords under load, with failovers in the midst of rotations.
    Rotation {
        /// How many rotations.
        #[arg(long, default_value_t = 56, value_parser = clap::value_parser!(u32).range(1..=1000))]
        rotations: u32,
    },
    /// Let nothing but background noise happen, and see that nobody acts on it.
    Soak {
        /// For how many minutes.
        #[arg(long, default_value_t = 60, value_parser = clap::value_parser!(u64).range(2..=1440))]
        minutes: u64,
        /// The noise of an earlier soak again; by chance unless given.
        #[arg(long)]
        seed: Option<u64>,
    },
    /// Run the lab until Ctrl-C, for `cargo lambda invoke` and manual drills.
    Up {
        /// Port of the Lambda Invoke API.
        #[arg(long, default_value_t = 9000)]
        invoke_port: u16,
    },
}

struct Console;

impl Progress for Console {
    fn say(&self, line: &str) {
        let mut out = std::io::stderr().lock();
        // Nobody reads it when it is closed.
        let _closed = writeln!(out, "{line}");
    }
}

/// What goes into the log, as `LAB_LOG` says; warnings where it is not set.
fn logged(wanted: Option<String>) -> Result<Targets, String> {
    let Some(text) = wanted else {
        return Ok(Targets::new().with_default(LevelFilter::WARN));
    };
    text.parse().map_err(|error| format!("LAB_LOG is `{text}`: {error}; write `info`, or `steadfast_lab=debug`"))
}

#[tokio::main]
async fn main() -> ExitCode {
    match logged(std::env::var("LAB_LOG").ok()) {
        Ok(logged) => {
            let lines = tracing_subscriber::fmt::layer().with_writer(std::io::stderr).with_filter(logged);
            tracing_subscriber::registry().with(lines).init();
        }
        Err(error) => {
            Console.say(&format!("error: {error}"));
            return ExitCode::FAILURE;
        }
    }
    let arguments = Arguments::parse();
    let interrupted = match Interrupts::listen() {
        Ok(interrupts) => interrupts,
        Err(error) => {
            Console.say(&format!("error: signals cannot be listened to: {error}"));
            return ExitCode::FAILURE;
        }
    };
    let done = tokio::select! {
        biased;
        () = interrupted.any() => {
            // Dropping `run` ends every process of the lab.
            Console.say("interrupted; the lab ends");
            Ok(ExitCode::from(INTERRUPTED))
        }
        done = run(arguments) => done,
    };
    done.unwrap_or_else(|error| {
        Console.say(&format!("error: {error}"));
        ExitCode::FAILURE
    })
}

/// The signals that end the lab; listened to before anything is started.
struct Interrupts {
    interrupt: Signal,
    terminate: Signal,
    hangup: Signal,
}

impl Interrupts {
    fn listen() -> std::io::Result<Self> {
        Ok(Self {
            interrupt: signal(SignalKind::interrupt())?,
            terminate: signal(SignalKind::terminate())?,
            hangup: signal(SignalKind::hangup())?,
        })
    }

    async fn any(mut self) {
        tokio::select! {
            _ = self.interrupt.recv() => {}
            _ = self.terminate.recv() => {}
            _ = self.hangup.recv() => {}
        }
    }
}

/// A platform that is done before anybody can notice leaves nothing to drill.
fn native_delay(text: &str) -> Result<Duration, String> {
    let delay = humantime::parse_duration(text).map_err(|error| error.to_string())?;
    if delay < Duration::from_secs(3) { Err("must be at least 3s".to_owned()) } else { Ok(delay) }
}

async fn run(arguments: Arguments) -> Result<ExitCode, Box<dyn std::error::Error>> {
    let config = LabConfig::of_checkout(&arguments.root);
    match arguments.command {
        Command::Drill { fault, repeat, native, duplicate } => {
            let output = config.logs.with_file_name("drill");
            let scenario = steadfast_scenario::find(&arguments.root.join(SCENARIOS), &fault)?;
            let plan = DrillPlan { repeat, native, duplicate, ..DrillPlan::new(scenario, &output) };
            let result = drill::drill(&config, &plan, &Console).await?;
            let mut out = std::io::stdout().lock();
            write!(out, "\n{}", drill::render(&result))?;
            writeln!(out, "result: {}", output.join("result.json").display())?;
            writeln!(out, "report: {}", output.join("report.html").display())?;
            Ok(verdict(std::iter::once(&result)))
        }
        Command::GameDay { experiment } => {
            let output = config.logs.with_file_name("drill");
            let result = drill::game_day(&config, &experiment, &output, &Console).await?;
            let mut out = std::io::stdout().lock();
            writeln!(out, "\n{}", result.told())?;
            writeln!(out, "result: {}", output.join("game-day.json").display())?;
            writeln!(out, "report: {}", result.report.display())?;
            for failure in &result.failures {
                Console.say(&format!("FAILED: {failure}"));
            }
            Ok(if result.failures.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
        }
        Command::Drills { runs, scenarios } => {
            let folder = arguments.root.join(SCENARIOS);
            let scenarios = if scenarios.is_empty() {
                steadfast_scenario::load(&folder)?
            } else {
                scenarios.iter().map(|name| steadfast_scenario::find(&folder, name)).collect::<Result<_, _>>()?
            };
            let plan = AllPlan { scenarios, runs, output: config.logs.with_file_name("drill") };
            let results = drill::drill_all(&config, &plan, &Console).await?;
            let mut out = std::io::stdout().lock();
            write!(out, "\n{}", drill::render_all(&results))?;
            writeln!(out, "results: {}", plan.output.join("all.json").display())?;
            Ok(verdict(&results))
        }
        Command::Soak { minutes, seed } => {
            let output = config.logs.with_file_name("drill");
            let seed = seed.unwrap_or_else(|| steadfast_aws::clock::now().as_millis());
            Console.say(&format!("soak with seed {seed}"));
            let lasts = Duration::from_secs(minutes.saturating_mul(60));
            let result = drill::soak(&config, lasts, seed, &output, &Console).await?;
            let mut out = std::io::stdout().lock();
            write!(out, "\n{}", drill::render(&result))?;
            Ok(verdict(std::iter::once(&result)))
        }
        Command::Backup { repeat } => {
            let plan = BackupPlan { repeat, output: config.logs.with_file_name("drill") };
            let result = drill::drill_backup(&config, &plan, &Console).await?;
            said("backup", &result, &result.failures)
        }
        Command::Rotation { rotations } => {
            let plan = RotationPlan { rotations, output: config.logs.with_file_name("drill") };
            let result = drill::drill_rotation(&config, &plan, &Console).await?;
            said("rotation", &result, &result.failures)
        }
        Command::Up { invoke_port } => up(config, invoke_port).await,
    }
}

/// Says what failed, and fails if anything did.
fn verdict<'r>(results: impl IntoIterator<Item = &'r DrillResult>) -> ExitCode {
    let mut code = ExitCode::SUCCESS;
    for result in results {
        for failure in &result.failures {
            code = ExitCode::FAILURE;
            Console.say(&format!("FAILED: {}: {failure}", result.fault));
        }
    }
    code
}

/// Prints a result, says what failed, and fails if anything did.
fn said<T: serde::Serialize>(
    drilled: &str,
    result: &T,
    failures: &[String],
) -> Result<ExitCode, Box<dyn std::error::Error>> {
    let mut out = std::io::stdout().lock();
    writeln!(out, "{}", serde_json::to_string_pretty(result)?)?;
    for failure in failures {
        Console.say(&format!("FAILED: {drilled}: {failure}"));
    }
    Ok(if failures.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// The file from which `make watch` learns where the lab is, for as long as it is up.
struct Watchable(PathBuf);

impl Watchable {
    fn write(logs: &std::path::Path, lab: &Lab) -> std::io::Result<Self> {
        let file = logs.join("operator.env");
        let lines = lab.operator_environment().into_iter().map(|(name, value)| format!("{name}='{value}'\n"));
        std::fs::create_dir_all(logs)?;
        std::fs::write(&file, lines.collect::<String>())?;
        Ok(Self(file))
    }
}

impl Drop for Watchable {
    fn drop(&mut self) {
        // Somebody may have removed it.
        let _gone = std::fs::remove_file(&self.0);
    }
}

async fn up(config: LabConfig, port: u16) -> Result<ExitCode, Box<dyn std::error::Error>> {
    let invoke = SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), port);
    let lab = Lab::start(&LabConfig { invoke, application_probe: true, ..config.clone() }).await?;
    let _watchable = Watchable::write(&config.logs, &lab)?;
    Console.say(&format!(
        "The lab is up: cluster {}, writer {}, all probers healthy, mode armed.\n\
         Invoke:        cargo lambda invoke --invoke-address 127.0.0.1 --invoke-port {port} FUNCTION --data-file FILE\n\
         Functions:     {}, {}, {}, {}\n\
         Payloads:      functions/*/payloads/*.json\n\
         RDS:           http://{}\n\
         RDS Data:      http://{}\n\
         Other AWS:     {} (access key {}, any secret key)\n\
         PostgreSQL:    {} port {}, database {}, TLS; passwords in the secrets lab/master, lab/application\n\
         Logs:          {}\n\
         Console:       make watch, in a second terminal\n\
         Ctrl-C ends it.",
        names::CLUSTER,
        lab.cluster.writer(),
        names::COORDINATOR,
        names::ROUTER,
        names::DRAINER,
        names::AZS.map(names::prober).join(", "),
        lab.rds.address(),
        lab.data_address(),
        lab.emulator().endpoint(),
        names::ACCOUNT,
        names::INSTANCES
            .map(|id| lab.cluster.proxy_address(0, id).map_or_else(|_| id.to_owned(), |at| at.ip().to_string()))
            .join(", "),
        names::PORT,
        names::DATABASE,
        config.logs.display(),
    ));
    // Held until Ctrl-C drops it.
    std::future::pending::<()>().await;
    lab.shutdown().await;
    Ok(ExitCode::SUCCESS)
}
