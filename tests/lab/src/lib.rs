//! The lab.

pub mod network;
pub mod proxy;
