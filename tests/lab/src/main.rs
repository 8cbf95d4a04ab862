//! `lab`: drills, and the lab itself for manual ones.

use std::io::Write as _;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use clap::{Parser, Subcommand};
use steadfast_lab::assembly::{Lab, LabConfig, names};
use steadfast_lab::drill::{self, DrillPlan, Fault, Progress};
use tokio::signal::unix::{SignalKind, signal};

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
    /// Make the writer fail under load and show how writes came back.
    Drill {
        /// What fails: kill-host or kill-postgres.
        #[arg(long, default_value = "kill-host")]
        fault: Fault,
        /// How often.
        #[arg(long, default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..=1000))]
        repeat: u32,
        /// The platform fails over by itself after this, such as 12s; off when left out.
        #[arg(long, value_parser = humantime::parse_duration)]
        native: Option<Duration>,
        /// Deliver the coordinator's next event twice in each episode.
        #[arg(long)]
        duplicate: bool,
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

#[tokio::main]
async fn main() -> ExitCode {
    let filter = tracing_subscriber::EnvFilter::try_from_env("LAB_LOG")
        .unwrap_or_else(|_| tracing_subscriber::EnvFilter::new("warn"));
    tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr).init();
    let arguments = Arguments::parse();
    let done = tokio::select! {
        done = run(arguments) => done,
        () = interrupted() => {
            // Dropping `run` has ended every process of the lab.
            Console.say("interrupted; the lab has ended");
            Ok(ExitCode::from(INTERRUPTED))
        }
    };
    done.unwrap_or_else(|error| {
        Console.say(&format!("error: {error}"));
        ExitCode::FAILURE
    })
}

async fn interrupted() {
    let (Ok(mut interrupt), Ok(mut terminate), Ok(mut hangup)) =
        (signal(SignalKind::interrupt()), signal(SignalKind::terminate()), signal(SignalKind::hangup()))
    else {
        return std::future::pending().await;
    };
    tokio::select! {
        _ = interrupt.recv() => {}
        _ = terminate.recv() => {}
        _ = hangup.recv() => {}
    }
}

async fn run(arguments: Arguments) -> Result<ExitCode, Box<dyn std::error::Error>> {
    let config = LabConfig::of_checkout(&arguments.root);
    match arguments.command {
        Command::Drill { fault, repeat, native, duplicate } => {
            let output = config.logs.with_file_name("drill");
            let plan = DrillPlan { repeat, native, duplicate, ..DrillPlan::new(fault, &output) };
            let result = drill::drill(&config, &plan, &Console).await?;
            let mut out = std::io::stdout().lock();
            write!(out, "\n{}", drill::render(&result))?;
            writeln!(out, "result: {}", output.join("result.json").display())?;
            let failures = result.failures();
            for failure in &failures {
                Console.say(&format!("FAILED: {failure}"));
            }
            Ok(if failures.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
        }
        Command::Up { invoke_port } => up(config, invoke_port).await,
    }
}

async fn up(config: LabConfig, port: u16) -> Result<ExitCode, Box<dyn std::error::Error>> {
    let invoke = SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), port);
    let lab = Lab::start(&LabConfig { invoke, ..config.clone() }).await?;
    Console.say(&format!(
        "The lab is up: cluster {}, writer {}, all probers healthy, mode armed.\n\
         Invoke:        cargo lambda invoke --invoke-address 127.0.0.1 --invoke-port {port} FUNCTION --data-file FILE\n\
         Functions:     {}, {}, {}, {}\n\
         Payloads:      functions/*/payloads/*.json\n\
         RDS:           http://{}\n\
         RDS Data:      http://{}\n\
         Other AWS:     {}\n\
         Logs:          {}\n\
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
        config.logs.display(),
    ));
    // Held until Ctrl-C drops it.
    std::future::pending::<()>().await;
    lab.shutdown().await;
    Ok(ExitCode::SUCCESS)
}
