//! What a kind of Zeek log is: the fields it wants, its marks, its secrets, and how a row of it is read. Which kinds there are stands in `catalog`.

use super::row::{COMMON, OWN, Row};
use super::scene::Scene;
use crate::format::Reject;

/// A kind of log that is read.
pub(super) struct Kind {
    /// Its name, as `#path` and `_path` have it.
    pub(super) path: &'static str,
    /// The fields it wants, in the order of their slots from [`OWN`] on.
    pub(super) fields: &'static [&'static str],
    /// Fields of which each occurs in no other log.
    pub(super) marks: &'static [&'static str],
    /// Makes events of a row.
    pub(super) read: fn(&Row<'_>, &mut Scene<'_>) -> Result<(), Reject>,
}

impl Kind {
    /// The slot of a field, under whichever of its names.
    pub(super) fn slot(&self, field: &str) -> Option<usize> {
        let own = self.fields.iter().position(|own| same_field(field, own)).map(|index| OWN + index);
        own.or_else(|| COMMON.iter().find_map(|(name, slot)| same_field(field, name).then_some(*slot)))
    }
}

/// Whether two names mean the same field: shippers write `id_orig_h` for `id.orig_h`.
#[inline]
pub(super) fn same_field(a: &str, b: &str) -> bool {
    a.len() == b.len() && a.bytes().zip(b.bytes()).all(|(a, b)| a == b || (matches!(a, b'.' | b'_') && matches!(b, b'.' | b'_')))
}
