//! What the client promises, tried on a real cluster of three PostgreSQL nodes behind proxies that can fail.

pub mod bench;
pub mod campaign;
pub mod checker;
pub mod cluster;
pub mod compare;
pub mod history;
