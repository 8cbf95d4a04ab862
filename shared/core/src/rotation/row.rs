//! What the state table holds of a rotation: one row for each secret. No secret is in it.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::time::Timestamp;

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
    /// Until when a planned switchover waits for it.
    pub until: Timestamp,
    /// When the secret held the next user.
    pub finished_at: Option<Timestamp>,
    /// One more at each write: a write is valid only over the version it saw.
    pub version: u64,
}

impl Rotation {
    /// Whether a planned switchover waits for it at `now`.
    pub fn is_in_progress(&self, now: Timestamp, skew: Duration) -> bool {
        self.phase == Phase::Changing && now < self.until.plus(skew)
    }

    /// Whether an effect of the rotation to `token` may begin at `now` under this announcement.
    pub fn covers(&self, token: &str, now: Timestamp) -> bool {
        self.phase == Phase::Changing && self.token == token && now.plus(EFFECT_LIMIT) < self.until
    }

    /// The row that announces the next effect, over `before`.
    pub fn announced(before: Option<&Self>, next: Announced<'_>, now: Timestamp) -> Self {
        let again = before.filter(|row| row.token == next.token && row.phase == Phase::Changing);
        Self {
            secret: next.secret.to_owned(),
            token: next.token.to_owned(),
            role: next.role.to_owned(),
            old_role: next.old_role.to_owned(),
            phase: Phase::Changing,
            began_at: again.map_or(now, |row| row.began_at),
            until: now.plus(ANNOUNCED_FOR),
            finished_at: None,
            version: before.map_or(1, |row| row.version.saturating_add(1)),
        }
    }

    /// The same rotation at its next phase.
    #[must_use]
    pub fn at(&self, phase: Phase, now: Timestamp) -> Self {
        let finished_at = if phase == Phase::Finished { Some(now) } else { self.finished_at };
        Self { phase, finished_at, version: self.version.saturating_add(1), ..self.clone() }
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
}

#[cfg(test)]
mod tests {
    use super::*;

    const NEXT: Announced<'_> = Announced { secret: "s", token: "t2", role: "app_clone", old_role: "app" };

    #[test]
    fn an_announcement_is_renewed_and_keeps_its_beginning() {
        let (began, later) = (Timestamp::from_millis(1_000), Timestamp::from_millis(9_000));
        let first = Rotation::announced(None, NEXT, began);
        let again = Rotation::announced(Some(&first), NEXT, later);
        assert_eq!((again.began_at, again.version), (began, 2));
        assert!(again.until > first.until);
        let next =
            Rotation::announced(Some(&again.at(Phase::Drained, later)), Announced { token: "t3", ..NEXT }, later);
        assert_eq!((next.began_at, next.version), (later, 4));
    }

    #[test]
    fn nothing_is_begun_that_an_announcement_may_not_cover_to_its_end() {
        let now = Timestamp::from_millis(50_000);
        let row = Rotation::announced(None, NEXT, now);
        let skew = Duration::from_secs(1);
        assert!(row.covers("t2", now) && !row.covers("t1", now));
        assert!(!row.covers("t2", row.until.minus(EFFECT_LIMIT)));
        assert!(row.is_in_progress(row.until, skew), "a switchover waits for whoever's clock is late");
        assert!(!row.is_in_progress(row.until.plus(skew), skew));
        assert!(!row.at(Phase::Finished, now).is_in_progress(now, skew));
    }
}
