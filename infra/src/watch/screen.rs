//! What the operator has before him, and what his keys do. No terminal in here.

use steadfast_core::mode::Mode;
use steadfast_core::topology::{Deployment, InstanceId};
use termion::event::Key;

use super::order::Order;
use super::seen::Seen;

/// As a terminal in raw mode sends it.
const ENTER: Key = Key::Char('\n');
/// The longest name that may be typed.
const TYPED_MAX: usize = 80;

/// What is on top of the screen.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) enum Asking {
    /// Nothing.
    #[default]
    Nothing,
    /// Which instance shall write: the chosen number, 0 for the best candidate.
    Target(usize),
    /// Whether he means it; what he has typed so far.
    Sure(Order, String),
}

/// The console's state.
#[derive(Clone, Debug, Default)]
pub struct Screen {
    /// The latest look.
    pub seen: Option<Seen>,
    pub(crate) asking: Asking,
    /// What came of the last order, or what he should know.
    pub(crate) message: String,
    /// The order that has not been answered yet.
    pub(crate) ordered: Option<Order>,
}

/// What follows from a key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Action {
    /// Nothing but another picture.
    Draw,
    /// Look now.
    Look,
    /// Give this order.
    Give(Order),
    /// Leave.
    Leave,
}

impl Screen {
    /// Takes in a look.
    pub fn show(&mut self, seen: Seen) {
        self.seen = Some(seen);
    }

    /// Takes in what came of the order.
    pub fn answered(&mut self, answer: String) {
        self.ordered = None;
        self.message = answer;
    }

    /// What a key does.
    pub fn press(&mut self, key: Key) -> Action {
        if key == Key::Ctrl('c') {
            return Action::Leave;
        }
        match std::mem::take(&mut self.asking) {
            Asking::Nothing => self.command(key),
            Asking::Target(chosen) => self.choose(chosen, key),
            Asking::Sure(order, typed) => self.confirm(order, typed, key),
        }
    }

    /// The instances that may be named as the target of a switchover.
    pub(crate) fn targets(&self) -> Vec<InstanceId> {
        let topology = self.seen.as_ref().and_then(|seen| seen.topology.as_ref().ok());
        let readers = topology.into_iter().flat_map(|topology| &topology.members).filter(|member| !member.is_writer);
        readers.map(|member| member.id.clone()).collect()
    }

    fn command(&mut self, key: Key) -> Action {
        let Key::Char(letter) = key else { return Action::Draw };
        self.asking = match letter.to_ascii_lowercase() {
            'q' => return Action::Leave,
            'r' => return Action::Look,
            'a' | 'p' | 's' if self.ordered.is_some() => {
                self.message = "an order is on its way; its answer comes first".to_owned();
                return Action::Draw;
            }
            'a' => Asking::Sure(Order::Mode(Mode::Armed), String::new()),
            'p' => Asking::Sure(Order::Mode(Mode::Paused), String::new()),
            's' if self.is_instance() => {
                self.message =
                    "a Multi-AZ DB instance is not switched over; reboot it with failover by hand".to_owned();
                return Action::Draw;
            }
            's' => Asking::Target(0),
            _ => return Action::Draw,
        };
        self.message.clear();
        Action::Draw
    }

    fn is_instance(&self) -> bool {
        self.seen.as_ref().is_some_and(|seen| seen.deployment == Deployment::Instance)
    }

    fn choose(&mut self, chosen: usize, key: Key) -> Action {
        let targets = self.targets();
        if key == ENTER {
            let target = chosen.checked_sub(1).and_then(|at| targets.get(at)).cloned();
            self.asking = Asking::Sure(Order::Switchover(target), String::new());
        } else if key == Key::Up {
            self.asking = Asking::Target(chosen.saturating_sub(1));
        } else if key == Key::Down {
            self.asking = Asking::Target((chosen + 1).min(targets.len()));
        } else if key != Key::Esc {
            self.asking = Asking::Target(chosen);
        }
        Action::Draw
    }

    fn confirm(&mut self, order: Order, mut typed: String, key: Key) -> Action {
        let light = !order.is_grave();
        let answer =
            if let Key::Char(letter) = key { Some(letter).filter(|letter| !letter.is_control()) } else { None };
        if key == Key::Esc || light && matches!(answer, Some('n' | 'N')) {
            return Action::Draw;
        }
        if light && matches!(answer, Some('y' | 'Y')) || key == ENTER && self.is_named(&typed) {
            return self.give(order);
        }
        if key == Key::Backspace {
            typed.pop();
        }
        typed.extend(answer.filter(|_| typed.chars().count() < TYPED_MAX));
        self.asking = Asking::Sure(order, typed);
        Action::Draw
    }

    fn is_named(&self, typed: &str) -> bool {
        self.seen.as_ref().is_some_and(|seen| seen.id.as_str() == typed)
    }

    fn give(&mut self, order: Order) -> Action {
        self.ordered = Some(order.clone());
        self.message.clear();
        Action::Give(order)
    }
}
