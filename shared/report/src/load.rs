//! What the clients did, moment by moment.

use serde::Serialize;

/// A pause from one acknowledged commit to the next, in seconds after the zero.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Pause {
    /// The commit before it.
    pub from_s: f64,
    /// The commit after it, or the end.
    pub to_s: f64,
}

impl Pause {
    /// How long it was, in seconds.
    pub fn lasted_s(self) -> f64 {
        self.to_s - self.from_s
    }
}

/// The clients and the time they were watched.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Load {
    /// When the watching began, in seconds after the zero.
    pub from_s: f64,
    /// When it ended.
    pub to_s: f64,
    /// The clients.
    pub clients: Vec<Client>,
}

/// One client.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Client {
    /// Its number, from 0.
    pub number: usize,
    /// How it finds the writer, in words.
    pub route: String,
    /// Its longest pause that ended after the zero.
    pub longest: Option<Pause>,
    /// Its first good commit after its first error; None without an error.
    pub first_good_commit_s: Option<f64>,
    /// Connection attempts that failed.
    pub refused_connections: u64,
    /// Sessions that were ended for it while they were on a reader.
    pub evicted: u64,
    /// When each acknowledged commit was answered.
    pub acknowledged_s: Vec<f64>,
    /// When each certain failure was known.
    pub failed_s: Vec<f64>,
    /// When each COMMIT without an answer was given up.
    pub in_doubt_s: Vec<f64>,
}

impl Client {
    /// How many pauses after the zero were longer than this.
    pub(crate) fn stalls(&self, longer_than_s: f64) -> usize {
        let pairs = self.acknowledged_s.iter().zip(self.acknowledged_s.iter().skip(1));
        pairs.filter(|(before, after)| **after >= 0.0 && *after - *before > longer_than_s).count()
    }
}

/// Commits and errors within one stretch of time.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(crate) struct Bin {
    /// When it begins.
    pub(crate) from_s: f64,
    /// Acknowledged commits per second.
    pub(crate) commits: f64,
    /// Failures and commits in doubt.
    pub(crate) troubles: f64,
}

/// Widths of a stretch, in seconds: the first that gives few enough.
const WIDTHS: [f64; 8] = [0.1, 0.2, 0.5, 1.0, 2.0, 5.0, 15.0, 60.0];

impl Load {
    /// At most so many stretches of one width, and the width in seconds. Stretches begin at multiples of the width, so
    /// that one begins at the zero.
    pub(crate) fn bins(&self, most: u16) -> (f64, Vec<Bin>) {
        let lasts = (self.to_s - self.from_s).max(0.0);
        let width =
            WIDTHS.into_iter().find(|width| lasts / width <= f64::from(most)).unwrap_or(lasts / f64::from(most));
        let first = (self.from_s / width).ceil();
        // The last stretch must be whole, or it would seem that commits fade out.
        let count = ((self.to_s / width).floor() - first).clamp(0.0, f64::from(most));
        let mut bins = Vec::new();
        let mut number = 0.0;
        while number < count {
            bins.push(Bin { from_s: (first + number) * width, ..Bin::default() });
            number += 1.0;
        }
        let place = |at: f64| -> Option<usize> {
            let number = (at / width).floor() - first;
            // Not negative and below the count, which is small.
            (number >= 0.0 && number < count).then_some(number as usize)
        };
        for client in &self.clients {
            for bin in client.acknowledged_s.iter().filter_map(|at| place(*at)) {
                if let Some(bin) = bins.get_mut(bin) {
                    bin.commits += 1.0 / width;
                }
            }
            for bin in client.failed_s.iter().chain(&client.in_doubt_s).filter_map(|at| place(*at)) {
                if let Some(bin) = bins.get_mut(bin) {
                    bin.troubles += 1.0;
                }
            }
        }
        (width, bins)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn client(acknowledged_s: Vec<f64>) -> Client {
        Client {
            number: 0,
            route: String::new(),
            longest: None,
            first_good_commit_s: None,
            refused_connections: 0,
            evicted: 0,
            acknowledged_s,
            failed_s: vec![0.45],
            in_doubt_s: vec![0.55],
        }
    }

    #[test]
    fn every_commit_in_a_whole_stretch_is_counted_once() {
        let load = Load { from_s: -0.95, to_s: 1.05, clients: vec![client(vec![-0.95, -0.1, 0.0, 0.05, 0.95, 1.04])] };
        let (width, bins) = load.bins(100);
        assert_eq!((width, bins.len()), (0.1, 19));
        let commits: f64 = bins.iter().map(|bin| bin.commits * width).sum();
        assert!((commits - 4.0).abs() < 1e-9, "{commits}");
        let zero = bins.iter().find(|bin| bin.from_s.abs() < 1e-9).expect("one begins at the zero");
        assert!((zero.commits - 20.0).abs() < 1e-9);
        assert!((bins.iter().map(|bin| bin.troubles).sum::<f64>() - 2.0).abs() < 1e-9);
    }

    #[test]
    fn a_long_run_has_no_more_stretches_than_a_short_one() {
        let load = Load { from_s: -3.0, to_s: 100_000.0, clients: Vec::new() };
        let (width, bins) = load.bins(120);
        assert!(bins.len() <= 120 && width > 60.0, "{} of {width} s", bins.len());
    }

    #[test]
    fn only_pauses_that_end_after_the_fault_are_stalls() {
        let client = client(vec![-9.0, -1.0, 0.1, 0.2, 3.0]);
        assert_eq!((client.stalls(0.5), client.stalls(2.0)), (2, 1));
    }
}
