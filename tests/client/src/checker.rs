//! Finds what no serial order of the transactions can explain, in the way of Elle (Kingsbury and Alvaro, VLDB 2020).
//!
//! Lists make the order of writes visible: whoever reads `[1, 2]` read after 2 was appended, and 1 came before it. From
//! that follow the dependencies write-write, write-read and read-write; a cycle among them is an anomaly, named as
//! Adya has it. Elle itself runs on the JVM and is in none of the registries that this project builds from.

mod cycle;

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};

use serde::Serialize;

use crate::history::{Element, History, List, Operation, Told, Transaction};

/// Something that must not be.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Anomaly {
    /// An element is in a list more than once: applied twice.
    Duplicate(List, Element),
    /// An acknowledged append is not in its list.
    Lost(List, Element),
    /// An append that was told not to be applied is in its list.
    Phantom(List, Element),
    /// An element that nobody appended.
    Unknown(List, Element),
    /// Two reads of a list, neither of which begins with the other.
    IncompatibleOrder(List),
    /// Only the first of several appends of a transaction to a list was seen (G1b).
    Intermediate(List, Element),
    /// A cycle of writes (G0).
    WriteCycle(Vec<usize>),
    /// A cycle of writes and reads of them (G1c).
    CircularInformation(Vec<usize>),
    /// A cycle with one read that a later write overtook (G-single).
    SingleAntiDependency(Vec<usize>),
    /// A cycle with several of them (G2-item).
    AntiDependencyCycle(Vec<usize>),
}

/// All anomalies of a history. Cycles are shown once for each set of transactions that depend on each other.
#[must_use]
pub fn check(history: &History) -> Vec<Anomaly> {
    let mut found = BTreeSet::new();
    let writers = writers(&history.transactions);
    let versions = versions(history, &mut found);
    elements(history, &writers, &versions, &mut found);
    intermediate(history, &mut found);
    let edges = dependencies(history, &writers, &versions);
    found.extend(cycle::cycles(history.transactions.len(), &edges));
    found.into_iter().collect()
}

/// How one transaction depends on another.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Dependency {
    WriteWrite,
    WriteRead,
    ReadWrite,
}

type Edges = BTreeSet<(usize, usize, Dependency)>;
type Writers = HashMap<(List, Element), usize>;

fn writers(transactions: &[Transaction]) -> Writers {
    let mut writers = HashMap::new();
    for (number, transaction) in transactions.iter().enumerate() {
        for operation in &transaction.operations {
            if let Operation::Append(list, element) = operation {
                writers.insert((*list, *element), number);
            }
        }
    }
    writers
}

/// The order of each list's elements: the longest that anybody saw.
fn versions(history: &History, found: &mut BTreeSet<Anomaly>) -> BTreeMap<List, Vec<Element>> {
    let mut longest: BTreeMap<List, &[Element]> =
        history.lists.iter().map(|(list, elements)| (*list, elements.as_slice())).collect();
    for (list, elements) in reads(history) {
        let known = longest.entry(list).or_default();
        let (short, long) = if elements.len() > known.len() { (*known, elements) } else { (elements, *known) };
        if !long.starts_with(short) {
            found.insert(Anomaly::IncompatibleOrder(list));
        }
        *known = long;
    }
    longest.into_iter().map(|(list, elements)| (list, elements.to_vec())).collect()
}

/// Reads that count: of transactions that may have been applied.
fn reads(history: &History) -> impl Iterator<Item = (List, &[Element])> {
    applied(history).flat_map(|(_, transaction)| &transaction.operations).filter_map(|operation| match operation {
        Operation::Read(list, elements) => Some((*list, elements.as_slice())),
        Operation::Append(..) => None,
    })
}

fn applied(history: &History) -> impl Iterator<Item = (usize, &Transaction)> {
    history.transactions.iter().enumerate().filter(|(_, transaction)| transaction.told == Told::Applied)
}

fn elements(
    history: &History,
    writers: &Writers,
    versions: &BTreeMap<List, Vec<Element>>,
    found: &mut BTreeSet<Anomaly>,
) {
    let mut present = HashSet::new();
    for (list, elements) in versions {
        for element in elements {
            if !present.insert((*list, *element)) {
                found.insert(Anomaly::Duplicate(*list, *element));
            }
            let writer = writers.get(&(*list, *element)).and_then(|number| history.transactions.get(*number));
            match writer.map(|transaction| transaction.told) {
                None => drop(found.insert(Anomaly::Unknown(*list, *element))),
                Some(Told::NotApplied) => drop(found.insert(Anomaly::Phantom(*list, *element))),
                Some(Told::Applied | Told::Nothing) => {}
            }
        }
    }
    let lasting: HashSet<(List, Element)> = history
        .lists
        .iter()
        .flat_map(|(list, elements)| elements.iter().map(move |element| (*list, *element)))
        .collect();
    for (_, transaction) in applied(history) {
        for operation in &transaction.operations {
            if let Operation::Append(list, element) = operation
                && !lasting.contains(&(*list, *element))
            {
                found.insert(Anomaly::Lost(*list, *element));
            }
        }
    }
}

/// A read whose last element is not the last that its transaction appended to the list.
fn intermediate(history: &History, found: &mut BTreeSet<Anomaly>) {
    let mut superseded = HashSet::new();
    for transaction in &history.transactions {
        let mut last: HashMap<List, Element> = HashMap::new();
        for operation in &transaction.operations {
            if let Operation::Append(list, element) = operation
                && let Some(earlier) = last.insert(*list, *element)
            {
                superseded.insert((*list, earlier));
            }
        }
    }
    for (reader, transaction) in applied(history) {
        let own = |list: List, element: Element| {
            history
                .transactions
                .get(reader)
                .is_some_and(|transaction| transaction.operations.contains(&Operation::Append(list, element)))
        };
        for operation in &transaction.operations {
            if let Operation::Read(list, elements) = operation
                && let Some(last) = elements.last()
                && superseded.contains(&(*list, *last))
                && !own(*list, *last)
            {
                found.insert(Anomaly::Intermediate(*list, *last));
            }
        }
    }
}

fn dependencies(history: &History, writers: &Writers, versions: &BTreeMap<List, Vec<Element>>) -> Edges {
    let mut edges = Edges::new();
    let mut depend = |from: Option<&usize>, to: Option<&usize>, how| {
        if let (Some(from), Some(to)) = (from, to)
            && from != to
        {
            edges.insert((*from, *to, how));
        }
    };
    for (list, elements) in versions {
        for pair in elements.windows(2) {
            if let [earlier, later] = pair {
                depend(writers.get(&(*list, *earlier)), writers.get(&(*list, *later)), Dependency::WriteWrite);
            }
        }
    }
    for (number, transaction) in applied(history) {
        for operation in &transaction.operations {
            let Operation::Read(list, elements) = operation else {
                continue;
            };
            let last = elements.last().and_then(|last| writers.get(&(*list, *last)));
            depend(last, Some(&number), Dependency::WriteRead);
            let next = versions.get(list).and_then(|version| version.get(elements.len()));
            depend(Some(&number), next.and_then(|next| writers.get(&(*list, *next))), Dependency::ReadWrite);
        }
    }
    edges
}

#[cfg(test)]
mod tests {
    use super::*;

    fn append(list: List, element: Element) -> Operation {
        Operation::Append(list, element)
    }

    fn read(list: List, elements: &[Element]) -> Operation {
        Operation::Read(list, elements.to_vec())
    }

    fn history(transactions: &[(Told, &[Operation])], lists: &[(List, &[Element])]) -> History {
        History {
            transactions: transactions
                .iter()
                .map(|(told, operations)| Transaction { operations: operations.to_vec(), told: *told })
                .collect(),
            lists: lists.iter().map(|(list, elements)| (*list, elements.to_vec())).collect(),
        }
    }

    const OK: Told = Told::Applied;

    #[test]
    fn a_serial_history_is_clean() {
        let history = history(
            &[
                (OK, &[append(1, 1), append(2, 2)]),
                (OK, &[read(1, &[1]), append(2, 3), read(2, &[2, 3])]),
                (OK, &[read(2, &[2, 3]), append(1, 4), append(1, 5)]),
                (Told::NotApplied, &[append(1, 6), read(2, &[2])]),
                (Told::Nothing, &[append(1, 7)]),
            ],
            &[(1, &[1, 4, 5]), (2, &[2, 3])],
        );
        assert_eq!(check(&history), []);
    }

    #[test]
    fn planted_elements_are_found() {
        let planted = history(
            &[
                (OK, &[append(1, 1)]),
                (OK, &[append(1, 2)]),
                (Told::NotApplied, &[append(1, 3)]),
                (Told::Nothing, &[append(1, 4)]),
            ],
            &[(1, &[1, 3, 9, 1])],
        );
        let found = check(&planted);
        for anomaly in [Anomaly::Duplicate(1, 1), Anomaly::Lost(1, 2), Anomaly::Phantom(1, 3), Anomaly::Unknown(1, 9)] {
            assert!(found.contains(&anomaly), "{anomaly:?} in {found:?}");
        }
    }

    #[test]
    fn an_acknowledged_append_that_was_read_and_then_lost_is_lost() {
        let planted = history(&[(OK, &[append(1, 1)]), (OK, &[read(1, &[1])])], &[(1, &[])]);
        assert_eq!(check(&planted), [Anomaly::Lost(1, 1)]);
    }

    #[test]
    fn planted_orders_are_found() {
        let forked = history(
            &[(OK, &[append(1, 1)]), (OK, &[append(1, 2)]), (OK, &[read(1, &[2])]), (OK, &[read(1, &[1])])],
            &[(1, &[1, 2])],
        );
        assert!(check(&forked).contains(&Anomaly::IncompatibleOrder(1)));
        let half = history(&[(OK, &[append(1, 1), append(1, 2)]), (OK, &[read(1, &[1])])], &[(1, &[1, 2])]);
        assert!(check(&half).contains(&Anomaly::Intermediate(1, 1)));
    }

    #[test]
    fn planted_cycles_are_found_and_named() {
        let kinds: [(&str, History); 4] = [
            (
                "WriteCycle",
                history(
                    &[(OK, &[append(1, 1), append(2, 2)]), (OK, &[append(1, 3), append(2, 4)])],
                    &[(1, &[1, 3]), (2, &[4, 2])],
                ),
            ),
            (
                "CircularInformation",
                history(
                    &[(OK, &[append(1, 1), read(2, &[2])]), (OK, &[append(2, 2), read(1, &[1])])],
                    &[(1, &[1]), (2, &[2])],
                ),
            ),
            (
                "SingleAntiDependency",
                history(&[(OK, &[read(1, &[]), append(1, 1)]), (OK, &[read(1, &[]), append(1, 2)])], &[(1, &[1, 2])]),
            ),
            (
                "AntiDependencyCycle",
                history(
                    &[(OK, &[read(1, &[]), append(2, 2)]), (OK, &[read(2, &[]), append(1, 1)])],
                    &[(1, &[1]), (2, &[2])],
                ),
            ),
        ];
        for (name, planted) in kinds {
            let found = check(&planted);
            assert!(found.iter().any(|anomaly| format!("{anomaly:?}").starts_with(name)), "{name}: {found:?}");
        }
    }

    #[test]
    fn what_was_not_applied_depends_on_nothing() {
        let history = history(
            &[(OK, &[append(1, 1), append(2, 2)]), (Told::NotApplied, &[read(1, &[]), read(2, &[2])])],
            &[(1, &[1]), (2, &[2])],
        );
        assert_eq!(check(&history), []);
    }
}
