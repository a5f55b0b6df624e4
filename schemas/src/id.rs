//! Identifiers that are digests: event ids, raw hashes, fingerprints of secrets.

use std::sync::LazyLock;

use blake3::hazmat::{ContextKey, HasherExt as _, hash_derive_key_context};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// What the ids of events are derived with (BLAKE3, mode `derive_key`). Each is made once and not for each event.
static OF_PROVIDER: LazyLock<ContextKey> = LazyLock::new(|| hash_derive_key_context("keytrail event id v1 provider"));
static OF_RAW: LazyLock<ContextKey> = LazyLock::new(|| hash_derive_key_context("keytrail event id v2 raw"));

macro_rules! digest {
    ($(#[doc = $doc:literal])* $name:ident, $len:literal) => {
        $(#[doc = $doc])*
        #[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Default)]
        pub struct $name(pub [u8; $len]);

        impl $name {
            /// Reads lower- or upper-case hex digits; `None` when the length or a digit is wrong.
            #[must_use]
            pub fn from_hex(text: &str) -> Option<Self> {
                let mut bytes = [0_u8; $len];
                hex::decode_to_slice(text, &mut bytes).ok()?;
                Some(Self(bytes))
            }

            /// Lower-case hex digits.
            #[must_use]
            pub fn to_hex(&self) -> String { hex::encode(self.0) }
        }

        impl std::fmt::Display for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result { f.pad(&self.to_hex()) }
        }

        impl std::fmt::Debug for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result { write!(f, "{}({})", stringify!($name), self.to_hex()) }
        }

        impl Serialize for $name {
            fn serialize<S: Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
                if s.is_human_readable() { s.serialize_str(&self.to_hex()) } else { serde_bytes_fixed::serialize(&self.0, s) }
            }
        }

        impl<'de> Deserialize<'de> for $name {
            fn deserialize<D: Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
                if d.is_human_readable() {
                    let text = std::borrow::Cow::<'de, str>::deserialize(d)?;
                    Self::from_hex(&text).ok_or_else(|| serde::de::Error::custom(concat!("expected ", $len, " bytes in hex")))
                } else {
                    serde_bytes_fixed::deserialize::<D, $len>(d).map(Self)
                }
            }
        }
    };
}

digest! {
    /// The 128-bit deterministic id of an event.
    EventId, 16
}

digest! {
    /// A BLAKE3 digest: the hash of a redacted raw record, and the leaf of the integrity log.
    Hash32, 32
}

impl EventId {
    /// The id of an event that its provider names: from the source kind, the account and the provider's own event id, with
    /// `part` telling apart the events that one record yields (0 for the first).
    #[must_use]
    pub fn of_provider(kind: &str, account: &str, provider_id: &str, part: u32) -> Self {
        let mut hasher = blake3::Hasher::new_from_context_key(&OF_PROVIDER);
        for field in [kind, account, provider_id] {
            hasher.update(&(field.len() as u64).to_le_bytes());
            hasher.update(field.as_bytes());
        }
        hasher.update(&part.to_le_bytes());
        Self::first_half(&hasher)
    }

    /// The id of an event that its provider does not name: from the source kind, the `cluster` (broker, sensor) that the record comes
    /// from, the hash of the redacted raw record with every fingerprint masked (so that the key does not show in ids), and `occurrence`, how
    /// many identical records stood before it in the same input. So two equal lines are two events, the same line of two sensors is two events,
    /// and the same line delivered again is not.
    #[must_use]
    pub fn of_raw(kind: &str, cluster: &str, masked_hash: &Hash32, occurrence: u32, part: u32) -> Self {
        let mut hasher = blake3::Hasher::new_from_context_key(&OF_RAW);
        for field in [kind, cluster] {
            hasher.update(&(field.len() as u64).to_le_bytes());
            hasher.update(field.as_bytes());
        }
        hasher.update(&masked_hash.0);
        hasher.update(&occurrence.to_le_bytes());
        hasher.update(&part.to_le_bytes());
        Self::first_half(&hasher)
    }

    fn first_half(hasher: &blake3::Hasher) -> Self {
        let mut id = [0_u8; 16];
        hasher.finalize_xof().fill(&mut id);
        Self(id)
    }
}

impl Hash32 {
    /// BLAKE3 of `bytes`.
    #[must_use]
    pub fn of(bytes: &[u8]) -> Self {
        Self(*blake3::hash(bytes).as_bytes())
    }
}

/// What stands in place of a secret: `hmac:` and the first 16 bytes of its HMAC-SHA-256 under the local key, in hex.
/// Equality survives, the secret does not.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fingerprint(pub [u8; 16]);

impl std::fmt::Display for Fingerprint {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "hmac:{}", hex::encode(self.0))
    }
}

/// Fixed-size byte arrays without a length prefix, for the binary encoding.
mod serde_bytes_fixed {
    use serde::{de::SeqAccess, ser::SerializeTuple};

    pub(super) fn serialize<S: serde::Serializer, const N: usize>(bytes: &[u8; N], s: S) -> Result<S::Ok, S::Error> {
        let mut tuple = s.serialize_tuple(N)?;
        for byte in bytes {
            tuple.serialize_element(byte)?;
        }
        tuple.end()
    }

    pub(super) fn deserialize<'de, D: serde::Deserializer<'de>, const N: usize>(d: D) -> Result<[u8; N], D::Error> {
        struct Bytes<const N: usize>;
        impl<'de, const N: usize> serde::de::Visitor<'de> for Bytes<N> {
            type Value = [u8; N];
            fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                write!(f, "{N} bytes")
            }
            fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<[u8; N], A::Error> {
                let mut bytes = [0_u8; N];
                for byte in &mut bytes {
                    *byte = seq.next_element()?.ok_or_else(|| serde::de::Error::custom("too few bytes"))?;
                }
                Ok(bytes)
            }
        }
        d.deserialize_tuple(N, Bytes::<N>)
    }
}
