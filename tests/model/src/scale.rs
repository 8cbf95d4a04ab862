//! Time in ticks: every state is told relative to the true now, so that states that differ only in
//! when they happen are one.

use std::time::Duration;

use steadfast_core::policy::Policy;
use steadfast_core::time::Timestamp;

/// A point in time in ticks from the true now; the past is negative.
pub type Ticks = i8;

/// How long a tick lasts where the core's own functions are asked. Only ratios matter.
pub const TICK: Duration = Duration::from_secs(1);

/// The true now of every state, where the core's own functions are asked.
pub const NOW: Timestamp = Timestamp::from_millis(1_800_000_000_000);

/// The limits of the protocol in ticks.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Scale {
    /// `Policy::lease_ttl`.
    pub lease_ttl: Ticks,
    /// `Policy::clock_skew_max`, as the coordinators believe it.
    pub skew_max: Ticks,
    /// The executor's `CALL_LIMIT`: what a call to the control plane may take.
    pub call_limit: Ticks,
    /// The executor's `RENEW_BELOW`.
    pub renew_below: Ticks,
    /// The executor's `DESCRIBE_EVERY`.
    pub describe_every: Ticks,
    /// The executor's `DESCRIBE_EVERY_STANDING_BY`.
    pub describe_every_standing_by: Ticks,
    /// `Policy::platform_grace`.
    pub platform_grace: Ticks,
    /// `Policy::promotion_deadline`.
    pub promotion_deadline: Ticks,
    /// `Policy::call_lost_after`.
    pub call_lost_after: Ticks,
    /// `Policy::calls_lost_max`.
    pub calls_lost_max: u8,
    /// `Policy::call_again_after`.
    pub call_again_after: Ticks,
    /// `Policy::calls_refused_max`.
    pub calls_refused_max: u8,
    /// `Policy::report_age_max` and `Policy::topology_age_max`.
    pub fact_age_max: Ticks,
    /// How long a failover of the cluster takes at most.
    pub failover_time: Ticks,
}

impl Scale {
    /// Small numbers with the order that the code relies on: `call_limit + skew_max` is less than
    /// `renew_below`, and that is less than what is left of a fresh lease.
    pub const SMALL: Self = Self {
        lease_ttl: 4,
        skew_max: 1,
        call_limit: 1,
        renew_below: 3,
        describe_every: 1,
        describe_every_standing_by: 2,
        platform_grace: 1,
        promotion_deadline: 6,
        call_lost_after: 5,
        calls_lost_max: 2,
        call_again_after: 1,
        calls_refused_max: 3,
        fact_age_max: 2,
        failover_time: 1,
    };

    /// The executor's own numbers with a second for a tick; grace and deadline are shorter than the
    /// shipped ones, so that short histories reach them.
    pub const REAL: Self = Self {
        lease_ttl: 10,
        skew_max: 1,
        call_limit: 5,
        renew_below: 7,
        describe_every: 1,
        describe_every_standing_by: 4,
        platform_grace: 3,
        promotion_deadline: 20,
        call_lost_after: 15,
        calls_lost_max: 3,
        call_again_after: 2,
        calls_refused_max: 6,
        fact_age_max: 5,
        failover_time: 3,
    };

    /// The policy that says the same to the core's own functions.
    pub fn policy(&self) -> Policy {
        let long = Duration::from_secs(3_600);
        Policy {
            report_age_max: span(self.fact_age_max),
            topology_age_max: span(self.fact_age_max),
            silent_after: Duration::ZERO,
            stalled_after: Duration::ZERO,
            platform_grace: span(self.platform_grace),
            platform_deadline: long,
            promotion_deadline: span(self.promotion_deadline),
            call_lost_after: span(self.call_lost_after),
            calls_lost_max: self.calls_lost_max,
            call_again_after: span(self.call_again_after),
            calls_refused_max: self.calls_refused_max,
            episode_deadline: long,
            lease_ttl: span(self.lease_ttl),
            clock_skew_max: span(self.skew_max),
            budget: usize::MAX,
            ..Policy::default()
        }
    }

    /// How long after a call of unknown fate was sent another one may be sent at the earliest.
    ///
    /// That is `call_lost_after`, less what may lie between the intention and its call: all of the
    /// lease but what must be left of it, and the difference of the clocks.
    pub fn called_again_after(&self) -> Ticks {
        self.call_lost_after - (self.lease_ttl - self.call_limit)
    }

    /// How long after the last fault a commit has ended every episode, or a person knows of it: a lease
    /// runs out, by the clock that is furthest behind, and then a promotion is due.
    pub fn settles_after(&self) -> Ticks {
        self.lease_ttl + 2 * self.skew_max + self.promotion_deadline
    }

    /// Leases that ended earlier than this are all the same to everybody.
    pub fn lease_floor(&self) -> Ticks {
        -self.skew_max
    }

    /// Promotions intended earlier than this are all overdue.
    pub fn promotion_floor(&self) -> Ticks {
        -self.promotion_deadline - 1
    }

    /// Failures earlier than this all leave the platform no grace.
    pub fn failure_floor(&self) -> Ticks {
        -self.platform_grace - 1
    }

    /// Facts older than this are all too old.
    pub fn fact_floor(&self) -> Ticks {
        -self.fact_age_max - 1
    }
}

/// That many ticks as the core measures time; none for a negative number.
pub fn span(ticks: Ticks) -> Duration {
    TICK.saturating_mul(u32::try_from(ticks).unwrap_or(0))
}

/// The moment `ticks` from `now`.
pub fn moment(now: Timestamp, ticks: Ticks) -> Timestamp {
    if ticks < 0 { now.minus(span(-ticks)) } else { now.plus(span(ticks)) }
}

/// A tick later, but not below `floor`: what lies further back makes no difference.
pub(crate) fn aged(at: Ticks, floor: Ticks) -> Ticks {
    at.saturating_sub(1).max(floor)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_scales_keep_the_order_that_the_executor_relies_on() {
        for scale in [Scale::SMALL, Scale::REAL] {
            assert!(scale.call_limit + scale.skew_max < scale.renew_below, "{scale:?}");
            assert!(scale.renew_below < scale.lease_ttl - scale.skew_max + 1, "{scale:?}");
            assert!(scale.describe_every_standing_by <= scale.fact_age_max, "{scale:?}");
            assert!(scale.call_limit + scale.failover_time < scale.promotion_deadline, "{scale:?}");
            assert!(scale.call_limit < scale.called_again_after(), "{scale:?}");
            assert!(scale.call_lost_after < scale.promotion_deadline, "{scale:?}");
        }
    }

    #[test]
    fn moments_are_ticks_apart() {
        assert_eq!(NOW.since(moment(NOW, -3)), span(3));
        assert_eq!(moment(NOW, 2).since(NOW), span(2));
        assert_eq!(aged(-2, -2), -2);
    }
}
