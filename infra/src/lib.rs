//! What an installation needs besides its functions.

pub mod bootstrap;
pub mod check;
pub mod cost;
pub mod destroy;
pub mod generate;
pub mod generated;
pub mod package;
pub mod script;
pub mod status;
pub mod terraform;
pub mod watch;
