//! The cluster endpoint in DNS: its record follows the role late, and resolvers keep what they were told.

use super::{MS, Micros, Nth, SECOND, World, micros};

/// How long a resolver keeps an answer: the TTL of Aurora's endpoint records.
const TTL: Micros = 5 * SECOND;

/// The record, and who still goes by an earlier one.
pub(crate) struct Dns {
    /// Where the cluster endpoint leads.
    record: Nth,
    /// Where it led before, and until when some name servers still say so.
    before: Option<(Nth, Micros)>,
    /// What each zone's resolver was told, and until when it keeps that.
    kept: Vec<Option<(Nth, Micros)>>,
}

impl Dns {
    pub(super) fn new(zones: usize) -> Self {
        Self { record: 0, before: None, kept: vec![None; zones] }
    }
}

impl World {
    /// The role has moved; the record follows after a while, unless the platform keeps it back.
    pub(super) fn endpoint_follows(&mut self, writer: Nth) {
        let longest = micros(self.plan.noise.endpoint_late_max).max(3 * SECOND);
        let late = self.dice.between(100 * MS, longest);
        self.agenda.after(late, move |world| {
            if world.platform.writer == writer && !world.platform.keeps_endpoint {
                world.point_endpoint(writer);
            }
        });
    }

    /// Changes the record. Name servers do not learn of it all at once.
    pub(super) fn point_endpoint(&mut self, nth: Nth) {
        if self.dns.record == nth {
            return;
        }
        let unsettled = self.dice.between(0, micros(self.plan.noise.endpoint_flaps_max));
        self.dns.before = Some((self.dns.record, self.agenda.now().saturating_add(unsettled)));
        self.dns.record = nth;
        self.note(|| format!("the cluster endpoint leads to instance {}", nth + 1));
    }

    /// Where the cluster endpoint leads, by the resolver of this zone.
    pub(crate) fn resolve(&mut self, zone: Nth) -> Nth {
        let now = self.agenda.now();
        if let Some((nth, until)) = self.dns.kept.get(zone).copied().flatten()
            && now < until
        {
            return nth;
        }
        let outdated = self.dns.before.filter(|(_, until)| now < *until && self.clients.dice.happens(500));
        let nth = outdated.map_or(self.dns.record, |(nth, _)| nth);
        self.count_if(outdated.is_some(), "an answer of DNS is outdated");
        if let Some(kept) = self.dns.kept.get_mut(zone) {
            *kept = Some((nth, now.saturating_add(TTL)));
        }
        nth
    }
}
