//! `make campaign` and `make bench-client`.

use std::path::Path;
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use clap::{Parser, Subcommand};
use steadfast_campaign::{bench, campaign, compare};
use tokio::signal::unix::{Signal, SignalKind, signal};

/// Tries what the client promises, and measures what it costs.
#[derive(Debug, Parser)]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Kill, freeze and move the writer under load; writes target/campaign/summary.json.
    Campaign {
        /// How many faults.
        #[arg(long, default_value_t = 500)]
        faults: usize,
        /// No further fault after so many minutes.
        #[arg(long, default_value_t = 90)]
        minutes: u64,
    },
    /// What an application sees of a failover with the client and without; writes target/campaign/seen.json.
    Compare {
        /// Faults of each kind.
        #[arg(long, default_value_t = 5)]
        repetitions: usize,
    },
    /// The client against plain tokio-postgres, in turns; writes target/bench/client.json.
    Bench {
        /// Slices of each.
        #[arg(long, default_value_t = 5)]
        repetitions: usize,
        /// Length of a slice in milliseconds.
        #[arg(long, default_value_t = 1_500)]
        slice: u64,
    },
}

type Failure = Box<dyn std::error::Error>;

#[tokio::main]
async fn main() -> ExitCode {
    tracing_subscriber::fmt().with_writer(std::io::stderr).with_max_level(tracing::Level::ERROR).init();
    let done = match Arguments::parse().command {
        Command::Campaign { faults, minutes } => run_campaign(faults, Duration::from_secs(60 * minutes)).await,
        Command::Compare { repetitions } => run_compare(repetitions).await,
        Command::Bench { repetitions, slice } => run_bench(repetitions, Duration::from_millis(slice)).await,
    };
    match done {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            say(&format!("failed: {error}"));
            ExitCode::FAILURE
        }
    }
}

/// Ctrl-C ends the campaign after the fault that is under way, with what there is; a second one ends the program.
async fn listen(mut interrupt: Signal, interrupted: Arc<AtomicBool>) {
    while interrupt.recv().await.is_some() {
        if interrupted.swap(true, Ordering::Relaxed) {
            std::process::exit(130);
        }
        say("interrupted; what there is will be judged");
    }
}

async fn run_campaign(faults: usize, limit: Duration) -> Result<bool, Failure> {
    let interrupt = signal(SignalKind::interrupt())?;
    let interrupted = Arc::new(AtomicBool::new(false));
    let listener = tokio::spawn(listen(interrupt, Arc::clone(&interrupted)));
    let enough = || interrupted.load(Ordering::Relaxed);
    let mut summary = campaign::campaign(faults, limit, enough, |number, fault, stall| {
        say(&format!("{:>4} of {faults}: {fault:?}, writes stood still for {} ms", number + 1, stall.as_millis()));
    })
    .await?;
    listener.abort();
    let file = Path::new("target/campaign/summary.json");
    // Should the control fail, this much is kept.
    write(file, &serde_json::to_string_pretty(&summary)?)?;
    say("the broken client, which must be caught");
    summary.control = Some(campaign::control().await?);
    let text = serde_json::to_string_pretty(&summary)?;
    write(file, &text)?;
    say(&text);
    Ok(summary.is_clean())
}

async fn run_compare(repetitions: usize) -> Result<bool, Failure> {
    let seen = compare::compare(repetitions).await?;
    let text = serde_json::to_string_pretty(&seen)?;
    write(Path::new("target/campaign/seen.json"), &text)?;
    say(&text);
    Ok(seen.iter().all(|seen| seen.with_client.errors == 0))
}

async fn run_bench(repetitions: usize, slice: Duration) -> Result<bool, Failure> {
    say("scheme, connections, one way: p50, p99 and throughput, protected by plain; round trips");
    let lines = bench::bench(repetitions, slice, |line| {
        say(&format!(
            "{:?}, {}, {} ms: {:.3} {:.3} {:.3}; {:?}; p50 {:.3?} ms, p99 {:.2?} ms, {:.0?} per second",
            line.scheme,
            line.connections,
            line.one_way_ms,
            line.p50_ratio,
            line.p99_ratio,
            line.throughput_ratio,
            line.round_trips,
            line.p50_ms,
            line.p99_ms,
            line.per_second,
        ));
    })
    .await?;
    write(Path::new("target/bench/client.json"), &serde_json::to_string_pretty(&lines)?)?;
    Ok(true)
}

fn write(path: &Path, text: &str) -> std::io::Result<()> {
    if let Some(directory) = path.parent() {
        std::fs::create_dir_all(directory)?;
    }
    std::fs::write(path, text)
}

#[expect(clippy::print_stdout, reason = "the program's output")]
fn say(text: &str) {
    println!("{text}");
}
