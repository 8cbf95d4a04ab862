//! What an installation needs besides its functions.

pub mod bootstrap;
pub mod script;
