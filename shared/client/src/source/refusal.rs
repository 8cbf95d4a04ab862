//! What instances said instead of becoming the writer: told when calls get no session.

use std::sync::Mutex;

use super::lock;
use crate::config::Endpoint;
use crate::error::ConnectError;

/// The last refusal of each instance, the latest at the end.
#[derive(Default)]
pub(super) struct Refusals(Mutex<Vec<Refusal>>);

struct Refusal {
    endpoint: Endpoint,
    words: String,
    telling: bool,
}

impl Refusals {
    /// Says so once in the log, and again only when the instance says something else.
    pub(super) fn note(&self, error: &ConnectError) {
        let Some(endpoint) = error.endpoint() else {
            return;
        };
        let words = error.to_string();
        if self.keep(Refusal { endpoint: endpoint.clone(), words: words.clone(), telling: error.is_telling() }) {
            tracing::warn!("no session: {words}");
        }
    }

    /// The instance did not refuse any more.
    pub(super) fn forget(&self, endpoint: &Endpoint) {
        lock(&self.0).retain(|refusal| refusal.endpoint != *endpoint);
    }

    pub(super) fn forget_all(&self) {
        lock(&self.0).clear();
    }

    /// The latest that shows what to mend: rather a server's answer than one that did not answer.
    pub(super) fn latest(&self) -> Option<String> {
        let refusals = lock(&self.0);
        let latest = refusals.iter().rev().find(|refusal| refusal.telling).or_else(|| refusals.last());
        latest.map(|refusal| refusal.words.clone())
    }

    /// Whether it is news.
    fn keep(&self, refusal: Refusal) -> bool {
        let mut refusals = lock(&self.0);
        let known = refusals.iter().position(|known| known.endpoint == refusal.endpoint);
        let before = known.map(|at| refusals.remove(at));
        let news = before.is_none_or(|before| before.words != refusal.words);
        refusals.push(refusal);
        news
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refusal(host: &str, words: &str, telling: bool) -> Refusal {
        Refusal { endpoint: Endpoint::new(host, 5432), words: words.to_owned(), telling }
    }

    #[test]
    fn only_what_is_new_is_news() {
        let refusals = Refusals::default();
        assert!(refusals.keep(refusal("orders-1", "wrong password", true)));
        assert!(refusals.keep(refusal("orders-2", "wrong password", true)));
        assert!(!refusals.keep(refusal("orders-1", "wrong password", true)));
        assert!(refusals.keep(refusal("orders-1", "no grant", true)));
        assert_eq!(refusals.latest().unwrap(), "no grant");
    }

    #[test]
    fn an_answer_tells_more_than_silence() {
        let refusals = Refusals::default();
        assert_eq!(refusals.latest(), None);
        refusals.keep(refusal("orders-1", "wrong password", true));
        refusals.keep(refusal("orders-2", "silent", false));
        assert_eq!(refusals.latest().unwrap(), "wrong password");
        refusals.forget(&Endpoint::new("orders-1", 5432));
        assert_eq!(refusals.latest().unwrap(), "silent");
        refusals.forget_all();
        assert_eq!(refusals.latest(), None);
    }

    #[test]
    fn where_there_is_no_writer_nobody_refused() {
        let refusals = Refusals::default();
        refusals.note(&ConnectError::NoWriter);
        assert_eq!(refusals.latest(), None);
        let endpoint = Endpoint::new("orders-1", 5432);
        refusals.note(&ConnectError::Unsafe { endpoint, setting: "off".to_owned() });
        let latest = refusals.latest().unwrap();
        assert!(latest.contains("orders-1:5432") && latest.contains("set it to on"), "{latest}");
    }
}
