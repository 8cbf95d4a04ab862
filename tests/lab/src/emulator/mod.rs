//! Local AWS services for the lab: `DynamoDB`, SNS, SQS, Secrets Manager, `CloudWatch`,
//! `EventBridge`, Scheduler and Route 53, served by ministack in a process of its own.

mod error;
mod listeners;
mod process;
mod ready;
#[cfg(test)]
mod tests;

use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::path::{Path, PathBuf};
use std::time::Duration;

use rustix::process::Signal;
use tokio::time::Instant;

pub use error::EmulatorError;
use process::Process;

/// Time from start to ready. 0.5 s on two idle cores; the rest is for a loaded machine.
const START_LIMIT: Duration = Duration::from_secs(90);
/// Time to obey a signal. 0.2 s to end politely on two idle cores.
const SIGNAL_LIMIT: Duration = Duration::from_secs(10);
/// How often another process may take the port between its choice and its use.
const PORT_ATTEMPTS: u32 = 5;

/// A running emulator. It keeps everything in memory, so each start begins empty.
/// Dropping it ends the process.
#[derive(Debug)]
pub struct Emulator {
    process: Process,
    address: SocketAddr,
    log: PathBuf,
}

impl Emulator {
    /// Starts the emulator that is installed in `venv` and returns when every service
    /// answers. Its output goes to `ministack-<port>.log` in `log_dir`, which is made if
    /// it is not there.
    ///
    /// The process ends when the thread that called this ends, at the latest with the
    /// lab itself: call it from the runtime, not from a short-lived thread.
    ///
    /// # Errors
    /// When the environment is missing or broken, when the emulator ends or does not
    /// become ready within 90 s, and when it listens on anything but loopback.
    pub async fn start(venv: &Path, log_dir: &Path) -> Result<Self, EmulatorError> {
        process::check_venv(venv)?;
        std::fs::create_dir_all(log_dir)
            .map_err(|source| EmulatorError::LogDir { path: log_dir.to_owned(), source })?;
        let mut attempt = 1;
        loop {
            let port = free_port().map_err(|source| EmulatorError::NoPort { source })?;
            match Self::start_on(port, venv, log_dir).await {
                // Anybody may take the port before the emulator does. It then ends at once.
                Err(EmulatorError::Ended { .. }) if attempt < PORT_ATTEMPTS && is_taken(port) => {
                    attempt += 1;
                }
                result => return result,
            }
        }
    }

    /// The address for `AWS_ENDPOINT_URL`, such as `http://127.0.0.1:40123`.
    #[must_use]
    pub fn endpoint(&self) -> String {
        format!("http://{}", self.address)
    }

    /// Where the emulator listens.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// The process id, as long as the process runs.
    #[must_use]
    pub fn pid(&self) -> Option<u32> {
        self.process.pid()
    }

    /// The file that holds everything the emulator printed.
    #[must_use]
    pub fn log(&self) -> &Path {
        &self.log
    }

    /// Freezes the emulator and returns when it stands still. Connections to it are
    /// still accepted by the kernel and then hang, as with a service that is overloaded.
    ///
    /// # Errors
    /// When the process has ended or does not stop within 10 s.
    pub async fn stop(&self) -> Result<(), EmulatorError> {
        self.process.stop(SIGNAL_LIMIT).await
    }

    /// Ends a freeze. Requests that came in the meantime are answered now.
    ///
    /// # Errors
    /// When the process has ended.
    pub fn cont(&self) -> Result<(), EmulatorError> {
        self.process.signal(Signal::CONT)
    }

    /// Kills the emulator and returns when it is gone. What it stored is lost, and
    /// connections to it are refused from then on.
    ///
    /// # Errors
    /// When the process has ended before or outlives the signal for 10 s.
    pub async fn kill(&mut self) -> Result<(), EmulatorError> {
        self.process.signal(Signal::KILL)?;
        self.process.wait(SIGNAL_LIMIT).await.map(|_| ())
    }

    /// Ends the emulator politely, frozen or not, and kills it when that takes over 10 s.
    /// An emulator that has ended before is no error.
    ///
    /// # Errors
    /// When the process outlives even being killed.
    pub async fn shutdown(mut self) -> Result<(), EmulatorError> {
        if self.pid().is_none() {
            return Ok(());
        }
        self.process.signal(Signal::TERM)?;
        self.process.signal(Signal::CONT)?;
        match self.process.wait(SIGNAL_LIMIT).await {
            Ok(_) => Ok(()),
            Err(_) => self.kill().await,
        }
    }

    async fn start_on(port: u16, venv: &Path, log_dir: &Path) -> Result<Self, EmulatorError> {
        let address = SocketAddr::from((Ipv4Addr::LOCALHOST, port));
        let log = log_dir.join(format!("ministack-{port}.log"));
        let process = process::spawn(venv, port, log_dir, &log)?;
        let mut emulator = Self { process, address, log };
        let deadline = Instant::now() + START_LIMIT;
        ready::wait_until_ready(&mut emulator.process, address, &emulator.log, deadline).await?;
        emulator.check_listeners()?;
        ready::load_services(address, deadline).await?;
        Ok(emulator)
    }

    fn check_listeners(&self) -> Result<(), EmulatorError> {
        let pid = self.pid().ok_or(EmulatorError::NotRunning)?;
        let listeners = listeners::of_process(pid).map_err(|source| EmulatorError::Proc { pid, source })?;
        if let Some(open) = listeners.iter().find(|a| !a.ip().is_loopback()) {
            return Err(EmulatorError::NotLoopback { address: *open });
        }
        if listeners.contains(&self.address) {
            Ok(())
        } else {
            Err(EmulatorError::NotListening { address: self.address })
        }
    }
}

fn free_port() -> std::io::Result<u16> {
    TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?.local_addr().map(|address| address.port())
}

fn is_taken(port: u16) -> bool {
    TcpListener::bind((Ipv4Addr::LOCALHOST, port)).is_err()
}
