//! What the lab's HTTP endpoints share: connections that can be cut, and work that goes on when
//! its caller hangs up.

mod connection;
mod tasks;

pub(crate) use connection::{Cuttable, Open, Switch};
pub(crate) use tasks::Tasks;
