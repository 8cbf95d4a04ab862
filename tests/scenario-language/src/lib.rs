#![doc = include_str!("../../scenarios/README.md")]

mod check;
mod error;
mod expectation;
mod fault;
mod folder;
mod line;
mod nearest;
mod parse;
mod scenario;
mod setup;
mod timeline;
mod vocabulary;
mod write;

pub use error::{ParseError, ParseErrors};
pub use folder::{LoadError, find, load};
pub use parse::parse;
pub use scenario::*;

#[cfg(test)]
mod tests;
