//! The real decision core and the real executor in a simulated world, in virtual time, from one seed.
//!
//! [`plan::Plan`] says what a run is made of, [`run::run`] runs it, [`run::Report`] is what was seen.

pub mod campaign;
pub mod chaos;
mod check;
mod dice;
pub mod explain;
pub mod invariant;
pub mod judge;
mod kernel;
pub mod plan;
mod port;
pub mod report;
pub mod run;
mod world;
pub mod year;
