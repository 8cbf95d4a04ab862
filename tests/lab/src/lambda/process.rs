//! Function processes: started by one thread, frozen, thawed and killed as process groups.

use std::collections::BTreeMap;
use std::io::{self, PipeReader};
use std::os::unix::process::ExitStatusExt;
use std::path::{Path, PathBuf};
use std::process::{ExitStatus, Stdio};
use std::sync::mpsc;

use rustix::process::{Pid, Signal, kill_process_group};
use tokio::process::{Child, Command};
use tokio::sync::oneshot;

use super::error::LambdaError;

struct Order {
    bootstrap: PathBuf,
    variables: BTreeMap<String, String>,
    reply: oneshot::Sender<io::Result<Process>>,
}

/// Starts processes from a thread of its own.
///
/// The kernel kills a process started through `setpriv --pdeathsig` when the *thread* that started
/// it ends. Runtime threads may come and go; this one lives as long as the last `Spawner`.
#[derive(Clone, Debug)]
pub(super) struct Spawner(mpsc::Sender<Order>);

impl Spawner {
    /// Must be called within a tokio runtime, which then watches the processes.
    pub(super) fn start() -> Result<Self, LambdaError> {
        let setpriv = find_setpriv().ok_or(LambdaError::NoSetpriv)?;
        let (orders, received) = mpsc::channel::<Order>();
        let runtime = tokio::runtime::Handle::current();
        std::thread::Builder::new()
            .name("lambda-spawner".to_owned())
            .spawn(move || {
                let _entered = runtime.enter();
                for order in received {
                    let process = spawn(&setpriv, &order.bootstrap, &order.variables);
                    // When nobody waits any more, dropping the process kills it.
                    drop(order.reply.send(process));
                }
            })
            .map_err(|source| LambdaError::Thread { name: "lambda-spawner", source })?;
        Ok(Self(orders))
    }

    /// Starts `bootstrap` in its folder with exactly `variables`.
    pub(super) async fn spawn(&self, bootstrap: PathBuf, variables: BTreeMap<String, String>) -> io::Result<Process> {
        let (reply, started) = oneshot::channel();
        let gone = || io::Error::other("the spawner thread has ended");
        self.0.send(Order { bootstrap, variables, reply }).map_err(|_| gone())?;
        started.await.map_err(|_| gone())?
    }
}

fn find_setpriv() -> Option<PathBuf> {
    let path = std::env::var_os("PATH")?;
    std::env::split_paths(&path).map(|folder| folder.join("setpriv")).find(|file| file.is_file())
}

fn spawn(setpriv: &Path, bootstrap: &Path, variables: &BTreeMap<String, String>) -> io::Result<Process> {
    let (output, written) = io::pipe()?;
    let child = Command::new(setpriv)
        .args(["--pdeathsig", "KILL"])
        .arg(bootstrap)
        .current_dir(bootstrap.parent().unwrap_or(Path::new("/")))
        .env_clear()
        .envs(variables)
        .stdin(Stdio::null())
        .stdout(written.try_clone()?)
        .stderr(written)
        .process_group(0)
        .kill_on_drop(true)
        .spawn()?;
    let group = child
        .id()
        .and_then(|id| i32::try_from(id).ok())
        .and_then(Pid::from_raw)
        .ok_or_else(|| io::Error::other("the process has no id"))?;
    Ok(Process { child, group, output: Some(output), peak_kb: 0 })
}

/// A function process and whatever it started: its process group.
///
/// Dropping it kills the group.
#[derive(Debug)]
pub(super) struct Process {
    child: Child,
    group: Pid,
    output: Option<PipeReader>,
    peak_kb: u64,
}

impl Process {
    /// The reading end of stdout and stderr, once.
    pub(super) fn take_output(&mut self) -> Option<PipeReader> {
        self.output.take()
    }

    /// Stops every process of the group where it is.
    pub(super) fn freeze(&self) {
        self.signal(Signal::STOP);
    }

    /// Lets the group run on.
    pub(super) fn thaw(&self) {
        self.signal(Signal::CONT);
    }

    /// Ends the group; the exit is seen by [`Process::wait`].
    pub(super) fn kill(&self) {
        self.signal(Signal::KILL);
    }

    fn signal(&self, signal: Signal) {
        // The group may be gone already, which is what a kill wants, and nothing to freeze or thaw.
        let _gone = kill_process_group(self.group, signal);
    }

    /// Waits for the process itself; cancel-safe.
    pub(super) async fn wait(&mut self) -> io::Result<ExitStatus> {
        self.child.wait().await
    }

    /// Peak resident memory in MB (`VmHWM`), as last seen while the process lived.
    pub(super) fn peak_mb(&mut self) -> u64 {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.group));
        let peak_kb = status.ok().and_then(|status| {
            let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"))?;
            line.trim().strip_suffix(" kB")?.parse().ok()
        });
        self.peak_kb = peak_kb.unwrap_or(self.peak_kb);
        self.peak_kb.div_ceil(1024)
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        self.kill();
    }
}

/// What Lambda says about an exit.
pub(super) fn describe(status: io::Result<ExitStatus>) -> String {
    match status {
        Err(error) => format!("Runtime exited with error: {error}"),
        Ok(status) if status.success() => "Runtime exited without providing a reason".to_owned(),
        Ok(status) => match (status.code(), status.signal()) {
            (Some(code), _) => format!("Runtime exited with error: exit status {code}"),
            (None, Some(9)) => "Runtime exited with error: signal: killed".to_owned(),
            (None, Some(signal)) => format!("Runtime exited with error: signal: {signal}"),
            (None, None) => "Runtime exited with error: unknown".to_owned(),
        },
    }
}
