//! The real terminal: keys in, pictures out, and a look every second.

use std::sync::Arc;
use std::time::Duration;

use ratatui::DefaultTerminal;
use ratatui::Terminal;
use ratatui::backend::TestBackend;
use ratatui::crossterm::event::{self, Event};
use steadfast_aws::clock;
use tokio::sync::mpsc::{self, UnboundedReceiver, UnboundedSender};
use tokio::task::JoinHandle;
use tokio::time::{MissedTickBehavior, interval, sleep};

use super::look::{Known, look};
use super::order::give;
use super::screen::{Action, Screen};
use super::seen::Seen;
use super::{Reach, WatchError};

/// Between two looks: five read units of the state table, and two calls that RDS allows many times a second.
const LOOK_EVERY: Duration = Duration::from_secs(1);
/// So that ages go on while a look takes long.
const DRAW_EVERY: Duration = Duration::from_millis(500);
/// How long the thread waits for a key before it asks whether it is still wanted.
const KEY_EVERY: Duration = Duration::from_millis(100);
/// Columns and lines of a look as text.
const TEXT: (u16, u16) = (120, 32);

/// Prints one look.
pub(super) async fn print(reach: &Reach) -> Result<(), WatchError> {
    let mut screen = Screen::default();
    screen.show(look(reach, &mut Known::default()).await);
    let (width, height) = TEXT;
    let mut terminal = Terminal::new(TestBackend::new(width, height)).map_err(|never| match never {})?;
    terminal.draw(|frame| super::draw::draw(frame, &screen, clock::now())).map_err(|never| match never {})?;
    let buffer = terminal.backend().buffer();
    let line = |y: u16| (0..width).filter_map(|x| Some(buffer.cell((x, y))?.symbol())).collect::<String>();
    let text: String = (0..height).map(|y| line(y).trim_end().to_owned() + "\n").collect();
    use std::io::Write as _;
    std::io::stdout().lock().write_all(text.as_bytes())?;
    Ok(())
}

/// Shows the console until the operator leaves it, and gives the terminal back.
pub(super) async fn show(reach: Reach) -> Result<(), WatchError> {
    let mut terminal = ratatui::try_init()?;
    let shown = run(Arc::new(reach), &mut terminal).await;
    ratatui::try_restore()?;
    shown
}

/// What may happen.
enum Happened {
    Key(Event),
    Looked(Box<Seen>),
    Answered(String),
}

async fn run(reach: Arc<Reach>, terminal: &mut DefaultTerminal) -> Result<(), WatchError> {
    let (sender, mut happened) = mpsc::unbounded_channel();
    keys(sender.clone());
    let (ask, asked) = mpsc::unbounded_channel();
    let looking = Ending(tokio::spawn(looks(Arc::clone(&reach), sender.clone(), asked)));
    let mut screen = Screen::default();
    let mut draws = interval(DRAW_EVERY);
    draws.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        terminal.draw(|frame| super::draw::draw(frame, &screen, clock::now()))?;
        let what = tokio::select! {
            what = happened.recv() => what,
            _ = draws.tick() => continue,
        };
        let action = match what {
            Some(Happened::Key(Event::Key(key))) => screen.press(key),
            Some(Happened::Key(_)) => Action::Draw,
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

/// Reads keys on a thread of its own: the terminal is read by blocking. It ends with the console.
fn keys(sender: UnboundedSender<Happened>) {
    std::thread::spawn(move || {
        loop {
            match event::poll(KEY_EVERY) {
                Ok(true) => {
                    let Ok(key) = event::read() else { return };
                    if sender.send(Happened::Key(key)).is_err() {
                        return;
                    }
                }
                Ok(false) if sender.is_closed() => return,
                Ok(false) => {}
                Err(_) => return,
            }
        }
    });
}
