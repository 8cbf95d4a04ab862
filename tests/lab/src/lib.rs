//! The lab.

pub mod dns;
pub mod network;
pub mod postgres;
pub mod proxy;
