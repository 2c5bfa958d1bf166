//! Ids that carry the slot of their rows, and for an essay its batch and its position.
//!
//! A batch id is a `UUIDv7` (RFC 9562 §5.7): 48 bits of Unix milliseconds, the version, **12 bits of slot** in `rand_a`,
//! the variant, 46 random bits, and **16 low bits that are zero**. An essay id is its batch's id with the essay's
//! position + 1 in those low bits. So an essay's batch is computed from its id, without a look-up.

#[cfg(test)]
mod tests;

use std::fmt;
use std::str::FromStr;

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use uuid::{Uuid, Variant};

use crate::phase::Phase;

/// The `UUIDv5` namespace of event ids. Changing it would change the id of every event, so that receivers no longer
/// recognise repeats.
pub const BOS_NAMESPACE: Uuid = Uuid::from_u128(0x1f6b_8c0e_5d2a_5b4f_9a37_c4e1_0d86_72b9);

/// The bits of an id that hold zero for a batch and position + 1 for an essay.
const POSITION_BITS: u128 = 0xffff;

/// Why a value is not an id of this service.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum IdError {
    /// The text is not a hyphenated UUID, or has not the alphabet and length of a storage id.
    #[error("malformed id")]
    Malformed,
    /// The UUID is well-formed, and this service never generates it: another version or variant, or an essay's id in place of
    /// a batch's.
    #[error("not an id of this service")]
    Foreign,
}

/// Twelve bits of every id that say where its rows are stored.
///
/// A slot comes from the hash of (principal, route, Idempotency-Key), so that a repeated request reaches the same slot; without
/// a key it is random.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Slot(u16);

impl Slot {
    /// The number of slots: 4,096.
    pub const COUNT: u16 = 1 << 12;

    /// The slot in the low 12 bits; higher bits are dropped.
    pub const fn new(bits: u16) -> Self {
        Self(bits & (Self::COUNT - 1))
    }

    /// The slot in the first two bytes of a hash; missing bytes are zero.
    pub fn from_hash(hash: &[u8]) -> Self {
        let byte = |at| hash.get(at).copied().unwrap_or(0);
        Self::new(u16::from_be_bytes([byte(0), byte(1)]))
    }

    /// The number of the slot, below [`Slot::COUNT`].
    pub const fn get(self) -> u16 {
        self.0
    }

    /// The shard that the slot belongs to when there are `shards` shards. Fewer than one counts as one.
    pub fn shard(self, shards: i64) -> i64 {
        i64::from(self.0) % shards.max(1)
    }
}

/// The id of a batch.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "Uuid", into = "Uuid")]
pub struct BatchId(Uuid);

impl BatchId {
    /// A new id from the time `at` (cut to milliseconds), the slot and the low 46 bits of `random`.
    pub fn new(at: DateTime<Utc>, slot: Slot, random: u64) -> Self {
        let millis = u64::try_from(at.timestamp_millis()).unwrap_or(0);
        let [.., m0, m1, m2, m3, m4, m5] = millis.to_be_bytes();
        let [s0, s1] = slot.get().to_be_bytes();
        let [.., r0, r1, r2, r3, r4, r5] = random.to_be_bytes();
        // 0x70 is version 7, 0x80 the RFC's variant; each shares its byte with what follows it.
        Self(Uuid::from_bytes([
            m0,
            m1,
            m2,
            m3,
            m4,
            m5,
            0x70 | s0,
            s1,
            0x80 | (r0 & 0x3f),
            r1,
            r2,
            r3,
            r4,
            r5,
            0,
            0,
        ]))
    }

    /// The slot of the batch and of all its rows.
    pub fn slot(self) -> Slot {
        slot_of(self.0)
    }

    /// When the id was generated, to the millisecond.
    pub fn made_at(self) -> DateTime<Utc> {
        let millis = i64::try_from(self.0.as_u128() >> 80).unwrap_or(0);
        DateTime::from_timestamp_millis(millis).unwrap_or_default()
    }

    /// The id as a UUID.
    pub const fn as_uuid(self) -> Uuid {
        self.0
    }

    /// Checks that a UUID is a batch id.
    ///
    /// # Errors
    /// [`IdError::Foreign`].
    pub fn from_uuid(id: Uuid) -> Result<Self, IdError> {
        if is_ours(id) && position_bits(id) == 0 { Ok(Self(id)) } else { Err(IdError::Foreign) }
    }
}

/// The id of an essay. It contains the id of its batch.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "Uuid", into = "Uuid")]
pub struct EssayId(Uuid);

impl EssayId {
    /// The last position that an id can hold: 65,534. Batches are limited to far fewer essays.
    pub const LAST_POSITION: u16 = u16::MAX - 1;

    /// The id of the essay at `position`, counted from 0. A position after [`EssayId::LAST_POSITION`] is cut to that.
    pub fn new(batch: BatchId, position: u16) -> Self {
        Self(Uuid::from_u128(batch.0.as_u128() | u128::from(position.saturating_add(1))))
    }

    /// The batch that the essay belongs to.
    pub fn batch(self) -> BatchId {
        BatchId(Uuid::from_u128(self.0.as_u128() & !POSITION_BITS))
    }

    /// The position of the essay in its batch, counted from 0.
    pub fn position(self) -> u16 {
        position_bits(self.0).saturating_sub(1)
    }

    /// The slot of the essay's batch.
    pub fn slot(self) -> Slot {
        slot_of(self.0)
    }

    /// The id as a UUID.
    pub const fn as_uuid(self) -> Uuid {
        self.0
    }
}

impl TryFrom<Uuid> for EssayId {
    type Error = IdError;

    fn try_from(id: Uuid) -> Result<Self, IdError> {
        if is_ours(id) && position_bits(id) > 0 { Ok(Self(id)) } else { Err(IdError::Foreign) }
    }
}

impl TryFrom<Uuid> for BatchId {
    type Error = IdError;

    fn try_from(id: Uuid) -> Result<Self, IdError> {
        Self::from_uuid(id)
    }
}

fn is_ours(id: Uuid) -> bool {
    id.get_version_num() == 7 && id.get_variant() == Variant::RFC4122
}

fn slot_of(id: Uuid) -> Slot {
    let [_, _, _, _, _, _, s0, s1, ..] = id.into_bytes();
    Slot::new(u16::from_be_bytes([s0, s1]))
}

fn position_bits(id: Uuid) -> u16 {
    let [.., p0, p1] = id.into_bytes();
    u16::from_be_bytes([p0, p1])
}

/// The id that connects the messages and log lines of a batch.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct CorrelationId(pub Uuid);

impl CorrelationId {
    /// The id that the command of an attempt carries. To be called on the batch's own correlation id.
    ///
    /// The wire has no attempt number, but every service echoes the correlation id, so it tells attempts apart: the first
    /// attempt carries the batch's id, a later one an id derived from it.
    #[must_use]
    pub fn for_attempt(self, run: u32, phase: Phase, attempt: u32) -> Self {
        if attempt <= 1 {
            return self;
        }
        Self(Uuid::new_v5(&self.0, format!("{run}/{phase}/{attempt}").as_bytes()))
    }

    /// The id as a UUID.
    pub const fn as_uuid(self) -> Uuid {
        self.0
    }
}

/// Parses the hyphenated form only, so that an id has one spelling.
fn parse(text: &str) -> Result<Uuid, IdError> {
    if text.len() == 36 {
        Uuid::try_parse(text).map_err(|_| IdError::Malformed)
    } else {
        Err(IdError::Malformed)
    }
}

/// Text forms of an id: `Display`, `Debug` and `FromStr`, and the conversion to a UUID.
macro_rules! as_text {
    ($($name:ident from $from:expr;)+) => {$(
        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, "{}", self.0.hyphenated())
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, "{self}")
            }
        }

        impl FromStr for $name {
            type Err = IdError;

            fn from_str(text: &str) -> Result<Self, IdError> {
                parse(text).and_then($from)
            }
        }

        impl From<$name> for Uuid {
            fn from(id: $name) -> Self {
                id.0
            }
        }
    )+};
}

as_text! {
    BatchId from Self::from_uuid;
    EssayId from Self::try_from;
    CorrelationId from |id| Ok(Self(id));
}

/// The id of a text at the Content Service: 1–128 characters of `0-9 A-Z a-z _ -`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct StorageId(String);

impl StorageId {
    /// The id as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl TryFrom<String> for StorageId {
    type Error = IdError;

    fn try_from(text: String) -> Result<Self, IdError> {
        let fits = |b: u8| b.is_ascii_alphanumeric() || b == b'_' || b == b'-';
        if (1..=128).contains(&text.len()) && text.bytes().all(fits) {
            Ok(Self(text))
        } else {
            Err(IdError::Malformed)
        }
    }
}

impl FromStr for StorageId {
    type Err = IdError;

    fn from_str(text: &str) -> Result<Self, IdError> {
        Self::try_from(text.to_owned())
    }
}

impl From<StorageId> for String {
    fn from(id: StorageId) -> Self {
        id.0
    }
}

impl fmt::Display for StorageId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Derives the id of an event. The same event always gets the same id, so that receivers can deduplicate.
///
/// `topic` is the event's destination, `aggregate` the id of its batch or essay, and `part` tells events apart that agree in
/// everything else. What does not apply is `None` or empty.
pub fn event_id(
    topic: &str,
    aggregate: &str,
    run: u32,
    phase: Option<Phase>,
    attempt: Option<u32>,
    part: &str,
) -> Uuid {
    let phase = phase.map_or("", Phase::as_str);
    let attempt = attempt.map_or_else(String::new, |attempt| attempt.to_string());
    let name = format!("{topic}\n{aggregate}\n{run}\n{phase}\n{attempt}\n{part}");
    Uuid::new_v5(&BOS_NAMESPACE, name.as_bytes())
}
