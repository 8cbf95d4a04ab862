//! The key of a protected transaction: what "applied once" is counted by.

use std::fmt;
use std::str::FromStr;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use postgres_types::{IsNull, ToSql, Type, to_sql_checked};
use sha2::{Digest, Sha256};
use uuid::{Builder, Uuid, Variant, Version};

/// Identifies one protected transaction for good. Two transactions with one key are one.
///
/// It begins with the milliseconds since 1970 at which it was made (as a UUID of version 7 does, RFC 9562), so that
/// old ones can be told, and the ledger grows at one end only.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize, serde::Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Key(Uuid);

impl Key {
    /// A new key. Make it where the request is accepted, keep it with the request, and use it for every try.
    #[must_use]
    pub fn fresh() -> Self {
        Self(Uuid::now_v7())
    }

    /// The key of a request that has a name already: the same for the same arguments, in any process.
    ///
    /// `made` is when the request was made, by whoever made it; it must not change between tries. `scope` keeps
    /// the names of different kinds of requests apart.
    #[must_use]
    pub fn of_request(made: SystemTime, scope: &str, request: &str) -> Self {
        let mut hash = Sha256::new();
        hash.update((scope.len() as u64).to_be_bytes());
        hash.update(scope);
        hash.update(request);
        let digest = hash.finalize();
        let mut bytes = [0; 16];
        for (byte, source) in bytes.iter_mut().zip(milliseconds(made).to_be_bytes().into_iter().skip(2).chain(digest)) {
            *byte = source;
        }
        Self(Builder::from_bytes(bytes).with_version(Version::Custom).with_variant(Variant::RFC4122).into_uuid())
    }

    /// When it was made, by the clock of whoever made it.
    #[must_use]
    pub fn made(self) -> SystemTime {
        let mut milliseconds = [0; 8];
        for (byte, source) in milliseconds.iter_mut().skip(2).zip(self.0.as_bytes()) {
            *byte = *source;
        }
        UNIX_EPOCH + Duration::from_millis(u64::from_be_bytes(milliseconds))
    }

    /// As a UUID.
    #[must_use]
    pub fn as_uuid(self) -> Uuid {
        self.0
    }
}

impl TryFrom<String> for Key {
    type Error = uuid::Error;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        text.parse()
    }
}

impl From<Key> for String {
    fn from(key: Key) -> Self {
        key.to_string()
    }
}

impl From<Uuid> for Key {
    fn from(uuid: Uuid) -> Self {
        Self(uuid)
    }
}

/// What was stored as text.
impl FromStr for Key {
    type Err = uuid::Error;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Uuid::parse_str(text).map(Self)
    }
}

impl fmt::Display for Key {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(formatter)
    }
}

impl fmt::Debug for Key {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "Key({})", self.0)
    }
}

impl ToSql for Key {
    fn to_sql(
        &self,
        _type: &Type,
        out: &mut bytes::BytesMut,
    ) -> Result<IsNull, Box<dyn std::error::Error + Sync + Send>> {
        out.extend_from_slice(self.0.as_bytes());
        Ok(IsNull::No)
    }

    fn accepts(kind: &Type) -> bool {
        *kind == Type::UUID
    }

    to_sql_checked!();
}

/// 48 bits, as RFC 9562 has them: enough until the year 10889.
fn milliseconds(time: SystemTime) -> u64 {
    let since = time.duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_millis()).unwrap_or(u64::MAX) & 0xFFFF_FFFF_FFFF
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_request_has_one_key() {
        let made = UNIX_EPOCH + Duration::from_millis(1_800_000_000_123);
        let key = Key::of_request(made, "transfer", "17");
        assert_eq!(key, Key::of_request(made, "transfer", "17"));
        assert_eq!(key.made(), made);
        assert_eq!(key.as_uuid().get_version_num(), 8);
        assert_eq!(key.to_string().parse(), Ok(key));
        let others = [
            Key::of_request(made, "transfer", "18"),
            Key::of_request(made, "refund", "17"),
            Key::of_request(made, "transfer1", "7"),
            Key::of_request(made + Duration::from_millis(1), "transfer", "17"),
        ];
        assert!(others.iter().all(|other| *other != key), "{others:?}");
    }

    #[test]
    fn a_fresh_key_knows_its_age() {
        let before = milliseconds(SystemTime::now());
        let made = milliseconds(Key::fresh().made());
        assert!((before..=milliseconds(SystemTime::now())).contains(&made));
        assert_ne!(Key::fresh(), Key::fresh());
    }
}
