//! PostgreSQL's processes: started, stopped, frozen and killed as a whole.

use std::fmt;
use std::io::{self, Write};
use std::process::{Child, Command, Output, Stdio};
use std::sync::{Arc, Mutex, PoisonError, mpsc};
use std::thread::JoinHandle;

use rustix::process::{Pid, Signal, WaitId, WaitIdOptions, WaitOptions};
use tokio::sync::watch;

use super::error::ClusterError;

/// A running postmaster with its children.
///
/// One thread starts it and waits for it: the parent-death signal belongs to the starting
/// thread, so that thread must live as long as the process.
pub(super) struct Postmaster {
    pid: Pid,
    shared: Arc<Shared>,
    exit: watch::Receiver<bool>,
    thread: Mutex<Option<JoinHandle<()>>>,
    warden: Mutex<Option<Child>>,
}

#[derive(Default)]
struct Shared {
    /// Set before the process is reaped: afterwards its pid may belong to a stranger.
    reaped: Mutex<bool>,
    /// Children killed with the postmaster; they become ours to reap.
    orphans: Mutex<Vec<Pid>>,
}

impl Postmaster {
    /// Starts the command. Its children are adopted when it dies before them.
    pub(super) fn start(mut command: Command, id: &str) -> Result<Self, ClusterError> {
        rustix::process::set_child_subreaper(Some(rustix::process::getpid()))
            .map_err(|error| error.into())
            .map_err(ClusterError::io("become a subreaper"))?;
        let shared = Arc::new(Shared::default());
        let (exited, exit) = watch::channel(false);
        let (started, start) = mpsc::channel();
        let thread_shared = Arc::clone(&shared);
        let thread = std::thread::Builder::new()
            .name(format!("postgres {id}"))
            .spawn(move || {
                let spawned = command.stdin(Stdio::null()).spawn();
                match spawned {
                    Ok(child) => {
                        let pid = pid_of(&child);
                        drop(started.send(Ok(pid)));
                        thread_shared.wait(child, pid);
                        exited.send_replace(true);
                    }
                    Err(error) => drop(started.send(Err(error))),
                }
            })
            .map_err(ClusterError::io("start a thread"))?;
        let pid = start
            .recv()
            .unwrap_or_else(|_| Err(io::ErrorKind::BrokenPipe.into()))
            .and_then(|pid| pid.ok_or_else(|| io::ErrorKind::InvalidData.into()))
            .map_err(ClusterError::io(format!("start postgres for {id}")))?;
        Ok(Self { pid, shared, exit, thread: Mutex::new(Some(thread)), warden: Mutex::new(None) })
    }

    /// False once it and its children are gone.
    pub(super) fn running(&self) -> bool {
        !*self.exit.borrow()
    }

    /// Waits until it and its children are gone.
    pub(super) async fn exited(&self) {
        let mut exit = self.exit.clone();
        if exit.wait_for(|exited| *exited).await.is_err() {
            tracing::error!(pid = %self.pid, "the thread that waited for postgres is gone");
        }
    }

    /// Signals the postmaster alone: HUP reloads, INT is a fast shutdown.
    pub(super) fn signal(&self, signal: Signal) {
        self.if_alive(|pid| send(pid, signal));
    }

    /// SIGKILL for every process, also stopped ones. Await [`Self::exited`] afterwards.
    pub(super) fn kill(&self) {
        self.if_alive(|pid| {
            let children = self.hold();
            lock(&self.shared.orphans).extend(&children);
            for child in children {
                send(child, Signal::KILL);
            }
            send(pid, Signal::KILL);
        });
        self.dismiss_warden();
    }

    /// [`Self::kill`], and blocks until everything is gone.
    pub(super) fn kill_and_wait(&self) {
        self.kill();
        if let Some(thread) = lock(&self.thread).take()
            && thread.join().is_err()
        {
            tracing::error!(pid = %self.pid, "the thread that waited for postgres panicked");
        }
    }

    /// SIGSTOP for every process.
    pub(super) fn freeze(&self) -> Result<(), ClusterError> {
        let mut frozen = Ok(());
        self.if_alive(|pid| {
            let children = self.hold();
            for child in &children {
                send(*child, Signal::STOP);
            }
            frozen = warden(pid, &children).map(|warden| {
                lock(&self.warden).replace(warden);
            });
        });
        frozen.map_err(ClusterError::io("start a warden for frozen processes"))
    }

    /// SIGCONT for every process.
    pub(super) fn thaw(&self) {
        self.if_alive(|pid| {
            for process in children_of(pid).into_iter().chain([pid]) {
                send(process, Signal::CONT);
            }
        });
        self.dismiss_warden();
    }

    /// Stops the postmaster, so that it starts no more children, and lists those it has.
    fn hold(&self) -> Vec<Pid> {
        send(self.pid, Signal::STOP);
        while matches!(state_of(self.pid), Some('R' | 'S' | 'D')) {
            std::thread::yield_now();
        }
        children_of(self.pid)
    }

    fn if_alive(&self, action: impl FnOnce(Pid)) {
        let reaped = lock(&self.shared.reaped);
        if !*reaped {
            action(self.pid);
        }
    }

    fn dismiss_warden(&self) {
        let Some(mut warden) = lock(&self.warden).take() else {
            return;
        };
        let told = warden.stdin.take().map(|mut pipe| pipe.write_all(b"\n"));
        if let (Some(Err(error)), _) | (_, Err(error)) = (told, warden.wait()) {
            tracing::warn!(%error, "warden of frozen processes already gone");
        }
    }
}

impl fmt::Debug for Postmaster {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "Postmaster({})", self.pid.as_raw_nonzero())
    }
}

impl Drop for Postmaster {
    fn drop(&mut self) {
        self.kill_and_wait();
    }
}

impl Shared {
    fn wait(&self, mut child: Child, pid: Option<Pid>) {
        if let Some(pid) = pid {
            let options = WaitIdOptions::EXITED | WaitIdOptions::NOWAIT;
            while let Err(rustix::io::Errno::INTR) = rustix::process::waitid(WaitId::Pid(pid), options) {}
        }
        {
            let mut reaped = lock(&self.reaped);
            *reaped = true;
            if let Err(error) = child.wait() {
                tracing::error!(%error, "cannot wait for postgres");
            }
        }
        for orphan in lock(&self.orphans).drain(..) {
            // ECHILD: the postmaster itself had reaped it.
            while let Err(rustix::io::Errno::INTR) = rustix::process::waitpid(Some(orphan), WaitOptions::empty()) {}
        }
    }
}

/// Runs a program to its end. Cancelling it kills the program.
///
/// # Errors
/// [`ClusterError::Program`] with its standard error when it fails.
pub(super) async fn run(command: Command, program: &str) -> Result<Output, ClusterError> {
    let output = tokio::process::Command::from(command)
        .stdin(Stdio::null())
        .kill_on_drop(true)
        .output()
        .await
        .map_err(ClusterError::io(format!("run {program}")))?;
    if output.status.success() {
        return Ok(output);
    }
    Err(ClusterError::Program {
        program: program.to_owned(),
        status: output.status,
        stderr: String::from_utf8_lossy(&output.stderr).trim().to_owned(),
    })
}

/// A stopped process does not notice that its postmaster dies with a SIGKILLed lab. The warden
/// does: its standard input ends, and it kills them.
fn warden(postmaster: Pid, children: &[Pid]) -> io::Result<Child> {
    Command::new("sh")
        .args(["-c", "read answer || kill -KILL \"$@\"", "warden"])
        .args(children.iter().chain([&postmaster]).map(|pid| pid.as_raw_nonzero().to_string()))
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
}

fn send(pid: Pid, signal: Signal) {
    if let Err(error) = rustix::process::kill_process(pid, signal) {
        tracing::debug!(pid = %pid, ?signal, %error, "process already gone");
    }
}

fn pid_of(child: &Child) -> Option<Pid> {
    i32::try_from(child.id()).ok().and_then(Pid::from_raw)
}

/// PostgreSQL's children lead sessions of their own, so only the parent link finds them.
fn children_of(parent: Pid) -> Vec<Pid> {
    let Ok(entries) = std::fs::read_dir("/proc") else {
        return Vec::new();
    };
    entries
        .flatten()
        .filter_map(|entry| entry.file_name().to_str()?.parse().ok())
        .filter_map(Pid::from_raw)
        .filter(|pid| parent_of(*pid) == Some(parent.as_raw_nonzero().get()))
        .collect()
}

fn parent_of(pid: Pid) -> Option<i32> {
    status_fields(pid)?.split_whitespace().nth(1)?.parse().ok()
}

fn state_of(pid: Pid) -> Option<char> {
    status_fields(pid)?.trim_start().chars().next()
}

/// The fields of /proc/PID/stat behind the process name: state, parent, …
fn status_fields(pid: Pid) -> Option<String> {
    let stat = std::fs::read_to_string(format!("/proc/{}/stat", pid.as_raw_nonzero())).ok()?;
    stat.rsplit_once(')').map(|(_, fields)| fields.to_owned())
}

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
