//! The real terminal: keys in, pictures out, and a look every second.

use std::io::{Stdout, Write};
use std::sync::Arc;
use std::time::Duration;

use steadfast_aws::clock;
use termion::event::Key;
use termion::input::TermRead as _;
use termion::raw::{IntoRawMode as _, RawTerminal};
use termion::screen::{AlternateScreen, IntoAlternateScreen as _};
use termion::{clear, cursor};
use tokio::sync::mpsc::{self, UnboundedReceiver, UnboundedSender};
use tokio::task::JoinHandle;
use tokio::time::{MissedTickBehavior, interval, sleep};

use super::draw::draw;
use super::look::{Known, look};
use super::order::give;
use super::screen::{Action, Screen};
use super::seen::Seen;
use super::{Reach, WatchError};

/// Between two looks: five read units of the state table, and two calls that RDS allows many times a second.
const LOOK_EVERY: Duration = Duration::from_secs(1);
/// So that ages go on while a look takes long.
const DRAW_EVERY: Duration = Duration::from_millis(500);
/// Columns and lines of a look as text.
const TEXT: (u16, u16) = (120, 32);

/// Prints one look.
pub(super) async fn print(reach: &Reach) -> Result<(), WatchError> {
    let mut screen = Screen::default();
    screen.show(look(reach, &mut Known::default()).await);
    let (width, height) = TEXT;
    let lines = draw(&screen, clock::now(), width, height);
    let text: String = lines.iter().map(|line| line.text().trim_end().to_owned() + "\n").collect();
    std::io::stdout().lock().write_all(text.as_bytes())?;
    Ok(())
}

/// The terminal while the console has it. Dropping it gives it back as it was.
struct Picture(AlternateScreen<RawTerminal<Stdout>>);

impl Picture {
    fn begin() -> std::io::Result<Self> {
        let mut output = std::io::stdout().into_raw_mode()?.into_alternate_screen()?;
        write!(output, "{}", cursor::Hide)?;
        Ok(Self(output))
    }

    fn show(&mut self, screen: &Screen) -> std::io::Result<()> {
        let (width, height) = termion::terminal_size()?;
        for (row, line) in (1..).zip(draw(screen, clock::now(), width, height)) {
            write!(self.0, "{}{}{}", cursor::Goto(1, row), line.escaped(), clear::UntilNewline)?;
        }
        write!(self.0, "{}", clear::AfterCursor)?;
        self.0.flush()
    }
}

impl Drop for Picture {
    fn drop(&mut self) {
        // Nobody looks any more when it is closed.
        let _closed = write!(self.0, "{}", cursor::Show);
    }
}

/// Shows the console until the operator leaves it, and gives the terminal back.
pub(super) async fn show(reach: Reach) -> Result<(), WatchError> {
    let mut picture = Picture::begin()?;
    run(Arc::new(reach), &mut picture).await
}

/// What may happen.
enum Happened {
    Key(Key),
    Looked(Box<Seen>),
    Answered(String),
}

async fn run(reach: Arc<Reach>, picture: &mut Picture) -> Result<(), WatchError> {
    let (sender, mut happened) = mpsc::unbounded_channel();
    keys(sender.clone());
    let (ask, asked) = mpsc::unbounded_channel();
    let looking = Ending(tokio::spawn(looks(Arc::clone(&reach), sender.clone(), asked)));
    let mut screen = Screen::default();
    let mut draws = interval(DRAW_EVERY);
    draws.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        picture.show(&screen)?;
        let what = tokio::select! {
            what = happened.recv() => what,
            _ = draws.tick() => continue,
        };
        let action = match what {
            Some(Happened::Key(key)) => screen.press(key),
            Some(Happened::Looked(seen)) => {
                screen.show(*seen);
                Action::Draw
            }
            Some(Happened::Answered(answer)) => {
                screen.answered(answer);
                Action::Look
            }
            None => Action::Leave,
        };
        match action {
            Action::Draw => {}
            // The looker goes with the console.
            Action::Look => drop(ask.send(())),
            Action::Give(order) => {
                let (reach, sender) = (Arc::clone(&reach), sender.clone());
                // It goes on when the operator leaves: what was ordered is not called back.
                tokio::spawn(async move { sender.send(Happened::Answered(give(&reach, &order).await)) });
            }
            Action::Leave => break,
        }
    }
    drop(looking);
    Ok(())
}

/// Ends its task when it is dropped.
struct Ending(JoinHandle<()>);

impl Drop for Ending {
    fn drop(&mut self) {
        self.0.abort();
    }
}

/// Looks every second, and when asked.
async fn looks(reach: Arc<Reach>, sender: UnboundedSender<Happened>, mut asked: UnboundedReceiver<()>) {
    let mut known = Known::default();
    while sender.send(Happened::Looked(Box::new(look(&reach, &mut known).await))).is_ok() {
        tokio::select! {
            () = sleep(LOOK_EVERY) => {}
            _ = asked.recv() => {}
        }
    }
}

/// Reads keys on a thread of its own: the terminal is read by blocking. It ends with the program at the latest.
fn keys(sender: UnboundedSender<Happened>) {
    std::thread::spawn(move || {
        for key in std::io::stdin().keys() {
            let Ok(key) = key else { return };
            if sender.send(Happened::Key(key)).is_err() {
                return;
            }
        }
    });
}
