//! What the state table holds of a rotation: one row for each secret, and its chain of evidence. No secret is in them.

use std::time::Duration;

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::evidence::{Entry, Head, Kind};
use crate::time::Timestamp;
use crate::topology::{ClusterId, Owner};

/// How long an announcement keeps switchovers waiting. Each effect takes a few seconds at most, and is announced anew.
pub const ANNOUNCED_FOR: Duration = Duration::from_secs(20);
/// Less than this left of an announcement is too little for an effect.
pub const EFFECT_LIMIT: Duration = Duration::from_secs(8);

/// How far a rotation is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Phase {
    /// The password of the next user may have been changed; the current secret is as before.
    Changing,
    /// The secret holds the next user; sessions of the old one may still be there.
    Finished,
    /// Nobody uses the old user any more.
    Drained,
    /// It was given up, and the next user has the password back that the previous secret holds.
    RolledBack,
}

/// What a rotation does to a database or to who reads what. Each one is announced for itself, and its announcement is
/// its entry in the evidence.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Effect {
    /// Sessions of the user whose turn it is not are ended, each between two transactions.
    Drain,
    /// The next user gets the pending password.
    SetPassword,
    /// The pending version becomes the current one.
    MoveCurrent,
    /// The next user gets the password of the previous secret back.
    Restore,
}

/// The latest rotation of one secret.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Rotation {
    /// ARN of the secret.
    pub secret: String,
    /// The version that is to become current.
    pub token: String,
    /// The user of that version.
    pub role: String,
    /// The user whose turn ends.
    pub old_role: String,
    /// How far it is.
    pub phase: Phase,
    /// When it was first announced.
    pub began_at: Timestamp,
    /// The effect that was announced last.
    pub effect: Effect,
    /// Until when that effect may be carried out, and a planned switchover waits for it.
    pub until: Timestamp,
    /// When the secret held the next user.
    pub finished_at: Option<Timestamp>,
    /// The last link of its evidence chain.
    pub evidence: Head,
    /// One more at each write: a write is valid only over the version it saw.
    pub version: u64,
}

/// Who writes, and when.
#[derive(Clone, Copy, Debug)]
pub struct Writing<'a> {
    /// The database whose passwords are rotated.
    pub cluster: &'a ClusterId,
    /// The function.
    pub by: &'a Owner,
    /// When.
    pub now: Timestamp,
}

impl Rotation {
    /// Whether a planned switchover waits for it at `now`.
    pub fn is_in_progress(&self, now: Timestamp, skew: Duration) -> bool {
        self.phase == Phase::Changing && now < self.until.plus(skew)
    }

    /// Whether this effect of the rotation to `token` may begin at `now` under this announcement.
    pub fn covers(&self, token: &str, effect: Effect, now: Timestamp) -> bool {
        self.is_going_on(token) && self.effect == effect && now.plus(EFFECT_LIMIT) < self.until
    }

    /// Whether its password was taken back, or is being: it comes to no other end, whoever asks for it.
    pub fn is_given_up(&self) -> bool {
        self.phase == Phase::RolledBack || self.effect == Effect::Restore
    }

    fn is_going_on(&self, token: &str) -> bool {
        self.token == token && matches!(self.phase, Phase::Changing | Phase::Finished)
    }

    /// The row that announces the next effect, over `before`, and the entry that says so.
    pub fn announced(before: Option<&Self>, next: Announced<'_>, writing: Writing<'_>) -> (Self, Entry) {
        let again = before.filter(|row| row.is_going_on(next.token));
        let row = Self {
            secret: next.secret.to_owned(),
            token: next.token.to_owned(),
            role: next.role.to_owned(),
            old_role: next.old_role.to_owned(),
            phase: again.map_or(Phase::Changing, |row| row.phase),
            began_at: again.map_or(writing.now, |row| row.began_at),
            effect: next.effect,
            until: writing.now.plus(ANNOUNCED_FOR),
            finished_at: again.and_then(|row| row.finished_at),
            evidence: again.map(|row| row.evidence.clone()).unwrap_or_default(),
            version: before.map_or(1, |row| row.version.saturating_add(1)),
        };
        let told = json!({ "action": next.effect, "secret": next.secret, "token": next.token, "role": next.role,
            "old_role": next.old_role });
        row.linked(Kind::Intended, told, writing)
    }

    /// The same rotation at its next phase, and the entry that says so.
    pub fn at(&self, phase: Phase, writing: Writing<'_>) -> (Self, Entry) {
        let finished_at = if phase == Phase::Finished { Some(writing.now) } else { self.finished_at };
        let kind = match phase {
            Phase::Changing | Phase::Finished => Kind::Answered,
            Phase::Drained | Phase::RolledBack => Kind::Closed,
        };
        let row = Self { phase, finished_at, version: self.version.saturating_add(1), ..self.clone() };
        row.linked(kind, json!({ "action": self.effect, "secret": self.secret, "phase": phase }), writing)
    }

    fn linked(self, kind: Kind, told: Value, writing: Writing<'_>) -> (Self, Entry) {
        let Writing { cluster, by, now } = writing;
        let (of, chain) = (Self::evidence_of(cluster), self.began_at.as_millis());
        let (entry, evidence) = self.evidence.append(&of, chain, now, by, kind, told);
        (Self { evidence, ..self }, entry)
    }

    /// What its evidence chain is about; the chain's number is [`Self::began_at`] in milliseconds.
    pub fn evidence_of(cluster: &ClusterId) -> ClusterId {
        ClusterId::new(format!("rotation/{cluster}"))
    }
}

/// Whose rotation is announced.
#[derive(Clone, Copy, Debug)]
pub struct Announced<'a> {
    /// ARN of the secret.
    pub secret: &'a str,
    /// The version that is to become current.
    pub token: &'a str,
    /// The user of that version.
    pub role: &'a str,
    /// The user whose turn ends.
    pub old_role: &'a str,
    /// What is about to be done.
    pub effect: Effect,
}

#[cfg(test)]
mod tests {
    use super::*;

    const NEXT: Announced<'_> =
        Announced { secret: "s", token: "t2", role: "app_clone", old_role: "app", effect: Effect::SetPassword };

    fn writing<T>(now: Timestamp, write: impl FnOnce(Writing<'_>) -> T) -> T {
        write(Writing { cluster: &ClusterId::new("orders"), by: &Owner::new("me"), now })
    }

    fn announced(before: Option<&Rotation>, next: Announced<'_>, now: Timestamp) -> Rotation {
        writing(now, |writing| Rotation::announced(before, next, writing)).0
    }

    #[test]
    fn an_announcement_is_renewed_and_keeps_its_beginning() {
        let (began, later) = (Timestamp::from_millis(1_000), Timestamp::from_millis(9_000));
        let first = announced(None, NEXT, began);
        let again = announced(Some(&first), NEXT, later);
        assert_eq!((again.began_at, again.version, again.evidence.length), (began, 2, 2));
        assert!(again.until > first.until);
        let drained = writing(later, |writing| again.at(Phase::Drained, writing)).0;
        let next = announced(Some(&drained), Announced { token: "t3", ..NEXT }, later);
        assert_eq!((next.began_at, next.version, next.evidence.length), (later, 4, 1));
    }

    #[test]
    fn nothing_is_begun_that_an_announcement_may_not_cover_to_its_end() {
        let now = Timestamp::from_millis(50_000);
        let row = announced(None, NEXT, now);
        let skew = Duration::from_secs(1);
        let covers = |token: &str, at: Timestamp| row.covers(token, Effect::SetPassword, at);
        assert!(covers("t2", now) && !covers("t1", now));
        assert!(!row.covers("t2", Effect::MoveCurrent, now), "each effect is announced for itself");
        assert!(!covers("t2", row.until.minus(EFFECT_LIMIT)));
        assert!(row.is_in_progress(row.until, skew), "a switchover waits for whoever's clock is late");
        assert!(!row.is_in_progress(row.until.plus(skew), skew));
        let finished = writing(now, |writing| row.at(Phase::Finished, writing)).0;
        assert!(!finished.is_in_progress(now, skew));
        let drain = announced(Some(&finished), Announced { effect: Effect::Drain, ..NEXT }, now);
        assert!(drain.covers("t2", Effect::Drain, now) && drain.phase == Phase::Finished);
        assert!(!drain.is_in_progress(now, skew), "nobody waits for sessions of a user whose turn is over");
    }
}
