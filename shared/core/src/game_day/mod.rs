//! Game days: one experiment a week, planned, guarded, and judged by numbers.
//!
//! [`plan::next`] decides what to do about this week's slot, from the record of it and from what was looked at; it does
//! no I/O. [`preflight`] says in numbered reasons why nothing may be broken now, [`catalogue`] what is broken in turn
//! and what is expected, [`hypothesis`] whether it held, [`week`] what becomes of a week without a good end.

pub mod catalogue;
pub mod conduct;
pub mod hypothesis;
pub mod plan;
pub mod preflight;
pub mod slot;
pub mod week;
