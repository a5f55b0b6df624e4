//! The touch: what one identity did to one destination in one way on one day, counted. A day's touches are computed from the day's files
//! of `events`, and say from which: so whoever reads them knows whether they still hold.

use std::collections::BTreeMap;

use crate::{Hash32, IdentityKind, Micros, Outcome, Text};

table! {
    /// One row of the roll-up: the events of a day that agree in everything but their time and their record.
    pub struct Touch = "touches" {
        /// Who acted.
        identity: Text,
        /// What kind of actor it is.
        identity_kind: IdentityKind,
        /// The UTC day, as its midnight.
        day: Micros,
        /// What was touched; empty for events that touch nothing.
        destination: Option<Text>,
        /// Zone of the destination.
        environment: Option<Text>,
        /// With which credential.
        credential: Option<Text>,
        /// What that credential was obtained with.
        credential_parent: Option<Text>,
        /// Over which protocol.
        protocol: Option<Text>,
        /// What was done, in the provider's own words.
        action: Option<Text>,
        /// How it ended.
        outcome: Outcome,
        /// How many events.
        count: i64,
        /// The time of the first of them.
        first: Micros,
        /// The time of the last of them.
        last: Micros,
        /// When the credential was issued, as the latest record that says so says.
        issued_at: Option<Micros>,
        /// The time of that record.
        issued_seen: Option<Micros>,
    }
}

/// Per day (since 1970-01-01, UTC), the fingerprint of the files of `events` that its touches were computed from. It stands in the footer of
/// each file of touches, under [`RolledDays::KEY`].
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct RolledDays(pub BTreeMap<i64, Fingerprinted>);

/// The first 16 bytes of the hash over the names of a day's files.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Fingerprinted(pub [u8; 16]);

impl Fingerprinted {
    /// The fingerprint of a set of files, by their paths. Files are never changed and no name is used twice, so that the same names are the
    /// same rows; a file's name without its folder counts, as folders are written in more than one way.
    #[must_use]
    pub fn of<'a>(paths: impl IntoIterator<Item = &'a str>) -> Self {
        let mut names: Vec<&str> = paths.into_iter().map(|path| path.rsplit('/').next().unwrap_or(path)).collect();
        names.sort_unstable();
        let Hash32(hash) = Hash32::of(names.join("\n").as_bytes());
        let mut first = [0; 16];
        first.iter_mut().zip(hash).for_each(|(to, from)| *to = from);
        Self(first)
    }
}

impl RolledDays {
    /// Where it stands in a Parquet file's key-value metadata.
    pub const KEY: &'static str = "keytrail.days";

    /// `{"2026-01-31": "32 hex digits", …}`.
    #[must_use]
    pub fn to_json(&self) -> String {
        let days = self.0.iter().map(|(day, of)| (Micros(day.saturating_mul(Micros::DAY)).date(), hex::encode(of.0).into()));
        serde_json::Value::Object(days.collect()).to_string()
    }

    /// Reads [`RolledDays::to_json`]; `None` for anything else.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let days: BTreeMap<String, String> = serde_json::from_str(text).ok()?;
        let one = |(day, of): (String, String)| {
            let mut first = [0; 16];
            hex::decode_to_slice(of, &mut first).ok()?;
            Some((Micros::parse_rfc3339(&format!("{day}T00:00:00Z")).ok()?.day(), Fingerprinted(first)))
        };
        days.into_iter().map(one).collect::<Option<_>>().map(Self)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_fingerprint_is_that_of_a_set_of_names() {
        let of = |paths: &[&str]| Fingerprinted::of(paths.iter().copied());
        assert_eq!(of(&["day=2026-01-01/b", "day=2026-01-01/a"]), of(&["day%3D2026-01-01/a", "b"]));
        assert_ne!(of(&["a", "b"]), of(&["a"]));
        assert_ne!(of(&["ab"]), of(&["a", "b"]));
    }

    #[test]
    fn days_survive_the_footer() {
        let days = RolledDays(BTreeMap::from([(20_454, Fingerprinted::of(["a"])), (0, Fingerprinted::of([]))]));
        assert_eq!(RolledDays::parse(&days.to_json()), Some(days));
        for text in ["", "[]", "{\"2026-01-01\":\"00\"}", "{\"soon\":\"00000000000000000000000000000000\"}"] {
            assert_eq!(RolledDays::parse(text), None, "{text}");
        }
    }
}
