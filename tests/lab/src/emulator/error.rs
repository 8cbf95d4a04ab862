use std::io;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::ExitStatus;

/// Why the emulator cannot be used.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum EmulatorError {
    /// The Python environment has not been made, or its making was interrupted.
    #[error(
        "the emulator is not installed: {} is missing; `make setup` makes it",
        path.display()
    )]
    NotInstalled {
        /// The file that should be there.
        path: PathBuf,
    },
    /// The folder for the emulator's output cannot be used.
    #[error("cannot write the emulator's output to {}: {source}", path.display())]
    LogDir {
        /// The folder or file.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// The system gave no free port.
    #[error("no free port on 127.0.0.1 for the emulator: {source}")]
    NoPort {
        /// What the system said.
        source: io::Error,
    },
    /// The process could not be started.
    #[error("cannot start the emulator through setpriv (package util-linux): {source}")]
    Spawn {
        /// What the system said.
        source: io::Error,
    },
    /// The process ended by itself.
    #[error("the emulator ended with {status}; its last words are in {}", log.display())]
    Ended {
        /// How it ended.
        status: ExitStatus,
        /// Its output.
        log: PathBuf,
    },
    /// The process runs but does not serve.
    #[error("the emulator at {address} was not ready in time: {reason}")]
    NotReady {
        /// Where it should listen.
        address: SocketAddr,
        /// The last answer, or what went wrong instead of one.
        reason: String,
    },
    /// One of the emulated services does not work.
    #[error("the emulator's service {service} does not work: {reason}; run `make setup`")]
    Service {
        /// The service, as in a request's credential scope.
        service: &'static str,
        /// Its answer, or what went wrong instead of one.
        reason: String,
    },
    /// The emulator can be reached from other machines.
    #[error("the emulator listens on {address}, which is not loopback; it was ended")]
    NotLoopback {
        /// The open address.
        address: SocketAddr,
    },
    /// Another process answers at the emulator's address.
    #[error("{address} belongs to another process than the emulator; run again")]
    NotListening {
        /// Where the emulator should listen.
        address: SocketAddr,
    },
    /// The system does not tell about the process.
    #[error("cannot read the state of the emulator's process {pid}: {source}")]
    Proc {
        /// The emulator's process.
        pid: u32,
        /// What the system said.
        source: io::Error,
    },
    /// A signal was meant for a process that has ended.
    #[error("the emulator is not running any more; start a new one")]
    NotRunning,
    /// A signal could not be sent.
    #[error("cannot send signal {signal} to the emulator's process group {pid}: {source}")]
    Signal {
        /// The signal's number.
        signal: i32,
        /// The process group.
        pid: u32,
        /// What the system said.
        source: io::Error,
    },
    /// A signal had no effect.
    #[error("the emulator, process {pid}, did not {action} within {seconds} s")]
    Stuck {
        /// The process.
        pid: u32,
        /// What it should have done.
        action: &'static str,
        /// How long it had.
        seconds: u64,
    },
}
