//! The emulator's process: how it is started, signalled and ended.

use std::fs::File;
use std::io;
use std::path::Path;
use std::process::{ExitStatus, Stdio};
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process_group};
use tokio::process::{Child, Command};
use tokio::time::{Instant, sleep, timeout};

use super::error::EmulatorError;
use super::ready::SERVICES;

/// Between two looks at the state of the process.
const POLL: Duration = Duration::from_millis(5);

/// The emulator's process group. Dropping it kills the group.
#[derive(Debug)]
pub(super) struct Process {
    child: Child,
}

/// Checks that `venv` is a finished environment.
pub(super) fn check_venv(venv: &Path) -> Result<(), EmulatorError> {
    // setup writes the stamp last.
    for file in ["bin/python", "requirements.stamp"] {
        let path = venv.join(file);
        if !path.exists() {
            return Err(EmulatorError::NotInstalled { path });
        }
    }
    Ok(())
}

/// Starts the emulator on `port` of 127.0.0.1, with `dir` as its only folder.
pub(super) fn spawn(venv: &Path, port: u16, dir: &Path, log: &Path) -> Result<Process, EmulatorError> {
    let log_error = |source| EmulatorError::LogDir { path: log.to_owned(), source };
    let output = File::create(log).map_err(log_error)?;
    let errors = output.try_clone().map_err(log_error)?;
    let dir = std::path::absolute(dir).map_err(log_error)?;
    let python = std::path::absolute(venv.join("bin/python")).map_err(|source| EmulatorError::Spawn { source })?;
    let services: Vec<&str> = SERVICES.iter().map(|service| service.name).collect();
    let child = Command::new("setpriv")
        .args(["--pdeathsig", "KILL", "--"])
        .arg(python)
        .args(["-m", "ministack"])
        // Nothing of the lab's own environment, credentials above all, gets there.
        .env_clear()
        .env("PATH", "/usr/local/bin:/usr/bin:/bin")
        .env("HOME", &dir)
        .env("TMPDIR", &dir)
        .env("PYTHONUNBUFFERED", "1")
        .env("BIND_HOST", "127.0.0.1")
        .env("GATEWAY_PORT", port.to_string())
        .env("SERVICES", services.join(","))
        .env("PERSIST_STATE", "0")
        .env("S3_PERSIST", "0")
        // Without this it opens port 8883 on all addresses.
        .env("IOT_MTLS_ENABLED", "0")
        .env("SFTP_ENABLED", "0")
        // It must not look for a container engine.
        .env("DOCKER_HOST", "unix:///nonexistent/docker.sock")
        .env("LOG_LEVEL", "WARNING")
        .current_dir(&dir)
        .process_group(0)
        .stdin(Stdio::null())
        .stdout(output)
        .stderr(errors)
        .kill_on_drop(true)
        .spawn()
        .map_err(|source| EmulatorError::Spawn { source })?;
    Ok(Process { child })
}

impl Process {
    pub(super) fn pid(&self) -> Option<u32> {
        self.child.id()
    }

    /// How the process ended, if it has.
    pub(super) fn ended(&mut self) -> Option<ExitStatus> {
        self.child.try_wait().ok().flatten()
    }

    pub(super) fn signal(&self, signal: Signal) -> Result<(), EmulatorError> {
        let (id, pid) = self.group()?;
        kill_process_group(pid, signal).map_err(|errno| EmulatorError::Signal {
            signal: signal.as_raw(),
            pid: id,
            source: errno.into(),
        })
    }

    /// Stops the process and waits until the kernel says that it is stopped.
    pub(super) async fn stop(&self, limit: Duration) -> Result<(), EmulatorError> {
        self.signal(Signal::STOP)?;
        let (id, _) = self.group()?;
        let deadline = Instant::now() + limit;
        while !is_stopped(id).map_err(|source| EmulatorError::Proc { pid: id, source })? {
            if Instant::now() >= deadline {
                return Err(stuck(id, "stop", limit));
            }
            sleep(POLL).await;
        }
        Ok(())
    }

    pub(super) async fn wait(&mut self, limit: Duration) -> Result<ExitStatus, EmulatorError> {
        let (id, _) = self.group()?;
        match timeout(limit, self.child.wait()).await {
            Ok(Ok(status)) => Ok(status),
            Ok(Err(source)) => Err(EmulatorError::Proc { pid: id, source }),
            Err(_) => Err(stuck(id, "end", limit)),
        }
    }

    /// None once the process has been waited for: its id may belong to another one then.
    fn group(&self) -> Result<(u32, Pid), EmulatorError> {
        let id = self.child.id().ok_or(EmulatorError::NotRunning)?;
        let pid = i32::try_from(id).ok().and_then(Pid::from_raw);
        pid.map(|pid| (id, pid)).ok_or(EmulatorError::NotRunning)
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // It fails only when the process has ended, which is what is wanted.
        let _ = self.signal(Signal::KILL);
    }
}

fn stuck(pid: u32, action: &'static str, limit: Duration) -> EmulatorError {
    EmulatorError::Stuck { pid, action, seconds: limit.as_secs() }
}

/// Whether all threads of the process are stopped: state `T` in proc(5).
fn is_stopped(pid: u32) -> io::Result<bool> {
    for task in std::fs::read_dir(format!("/proc/{pid}/task"))? {
        let stat = match std::fs::read_to_string(task?.path().join("stat")) {
            Ok(stat) => stat,
            // A thread that has just ended.
            Err(error) if error.kind() == io::ErrorKind::NotFound => continue,
            Err(error) => return Err(error),
        };
        // The name before the state may itself hold a bracket.
        let state = stat.rsplit_once(')').and_then(|(_, rest)| rest.trim_start().chars().next());
        if state != Some('T') {
            return Ok(false);
        }
    }
    Ok(true)
}
