//! The operator's console, in a terminal of its own, against a whole lab.

#![expect(clippy::expect_used, clippy::panic, reason = "a test ends where its ground is missing")]

mod support;

use std::fs::File;
use std::io::{Read as _, Write as _};
use std::os::fd::OwnedFd;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use rustix::fs::{Mode as FileMode, OFlags};
use rustix::pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt};
use rustix::termios::{Winsize, tcsetwinsize};
use steadfast_core::mode::Mode;
use steadfast_lab::assembly::Lab;
use steadfast_lab::workload;
use tokio::time::{Instant, sleep};

const ROWS: u16 = 36;
const COLUMNS: u16 = 120;
const LIMIT: Duration = Duration::from_secs(120);
const LOOK_EVERY: Duration = Duration::from_millis(50);

/// The console's process and what is on its screen. Dropping it ends the process.
struct Console {
    process: Child,
    keyboard: File,
    screen: Arc<Mutex<vt100::Parser>>,
}

impl Console {
    fn start(lab: &Lab) -> Self {
        let master = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY | OpenptFlags::CLOEXEC).expect("a pseudo-terminal");
        grantpt(&master).expect("granted");
        unlockpt(&master).expect("unlocked");
        let name = ptsname(&master, Vec::new()).expect("named");
        let flags = OFlags::RDWR | OFlags::NOCTTY | OFlags::CLOEXEC;
        let terminal: OwnedFd = rustix::fs::open(name.as_c_str(), flags, FileMode::empty()).expect("opened");
        let size = Winsize { ws_row: ROWS, ws_col: COLUMNS, ws_xpixel: 0, ws_ypixel: 0 };
        tcsetwinsize(&terminal, size).expect("sized");
        let end = |fd: &OwnedFd| Stdio::from(fd.try_clone().expect("another handle"));
        let process = Command::new(program())
            .arg("watch")
            .env_clear()
            .env("TERM", "xterm-256color")
            .env("USER", "test")
            .envs(lab.operator_environment())
            .stdin(end(&terminal))
            .stdout(end(&terminal))
            .stderr(end(&terminal))
            .spawn()
            .expect("the console starts");
        let keyboard = File::from(master);
        let screen = Arc::new(Mutex::new(vt100::Parser::new(ROWS, COLUMNS, 0)));
        let (mut output, shown) = (keyboard.try_clone().expect("another handle"), Arc::clone(&screen));
        // It ends with the process, whose end of the terminal is the last one.
        std::thread::spawn(move || {
            let mut bytes = [0; 4096];
            while let Ok(read @ 1..) = output.read(&mut bytes) {
                let seen = bytes.get(..read).unwrap_or_default();
                shown.lock().unwrap_or_else(PoisonError::into_inner).process(seen);
            }
        });
        Self { process, keyboard, screen }
    }

    fn text(&self) -> String {
        self.screen.lock().unwrap_or_else(PoisonError::into_inner).screen().contents()
    }

    fn press(&mut self, keys: &str) {
        self.keyboard.write_all(keys.as_bytes()).expect("the terminal takes keys");
    }

    async fn shows(&self, text: &str) {
        let began = Instant::now();
        while !self.text().contains(text) {
            assert!(began.elapsed() < LIMIT, "never on the screen: {text}\n{}", self.text());
            sleep(LOOK_EVERY).await;
        }
    }

    async fn ends(&mut self) -> bool {
        let began = Instant::now();
        loop {
            if let Some(status) = self.process.try_wait().expect("its own child") {
                return status.success();
            }
            assert!(began.elapsed() < LIMIT, "it does not end\n{}", self.text());
            sleep(LOOK_EVERY).await;
        }
    }
}

impl Drop for Console {
    fn drop(&mut self) {
        // Gone already when all went well.
        let _killed = self.process.kill();
        let _reaped = self.process.wait();
    }
}

/// `infra` as it was built beside this test.
fn program() -> PathBuf {
    let test = std::env::current_exe().expect("a path");
    let program = test.parent().and_then(|deps| deps.parent()).map(|release| release.join("infra")).expect("a folder");
    assert!(program.is_file(), "{} is missing: cargo build --release --package steadfast-infra", program.display());
    program
}

async fn mode(lab: &Lab) -> Mode {
    lab.state().await.expect("the table answers").mode
}

#[tokio::test(flavor = "multi_thread")]
async fn an_operator_sees_the_cluster_and_pauses_arms_and_switches_it_over_with_confirmation() {
    let _alone = support::alone().await;
    let lab = Lab::start(&support::config("console")).await.expect("a lab");
    workload::create(&lab).await.expect("a database to switch over");
    let mut console = Console::start(&lab);
    for held in ["Steadfast  orders  ARMED", "writer orders-1 is committing", "committing", "reading", "q leave"] {
        console.shows(held).await;
    }
    console.press("p");
    console.shows("Pause Steadfast").await;
    assert_eq!(mode(&lab).await, Mode::Armed, "nothing happens before it is confirmed");
    console.press("y");
    console.shows("the mode is paused; it was armed").await;
    console.shows("PAUSED").await;
    assert_eq!(mode(&lab).await, Mode::Paused);
    console.press("aorders\r");
    console.shows("the mode is armed; it was paused").await;
    assert_eq!(mode(&lab).await, Mode::Armed);
    lab.until_healthy().await.expect("nothing stands against a switchover");
    console.press("s\r");
    console.shows("to the best candidate now").await;
    assert_eq!(lab.cluster.writer(), "orders-1");
    console.press("orders\r");
    console.shows(" writes now").await;
    console.shows("ordered at the console by test").await;
    assert_ne!(lab.cluster.writer(), "orders-1");
    console.press("q");
    assert!(console.ends().await, "it leaves with success");
    lab.shutdown().await;
}

#[tokio::test]
async fn without_a_terminal_it_says_what_to_do() {
    let output = Command::new(program())
        .args(["watch", "--cluster", "orders", "--table", "steadfast-state"])
        .env("AWS_REGION", "eu-central-1")
        .stdin(Stdio::null())
        .output()
        .expect("it starts");
    assert!(!output.status.success());
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(said.contains("needs a terminal") && said.contains("--once"), "{said}");
    if said.contains("panicked") {
        panic!("{said}");
    }
}
