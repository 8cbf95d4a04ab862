//! What the clients of a campaign did and saw, in the form that the checker reads.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

/// One list.
pub type List = i32;
/// One element; every one is appended by one transaction only.
pub type Element = i64;

/// What a transaction did to a list.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Operation {
    /// Appended an element.
    Append(List, Element),
    /// Read all elements.
    Read(List, Vec<Element>),
}

/// What its client was told.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Told {
    /// It is applied.
    Applied,
    /// It is not, for certain.
    NotApplied,
    /// Nothing.
    Nothing,
}

/// One transaction.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Transaction {
    /// What the attempt that counts did, in order.
    pub operations: Vec<Operation>,
    /// What its client was told.
    pub told: Told,
}

/// All transactions, and the lists as they were at the end.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct History {
    /// In any order.
    pub transactions: Vec<Transaction>,
    /// Read when everything had ended.
    pub lists: BTreeMap<List, Vec<Element>>,
}
