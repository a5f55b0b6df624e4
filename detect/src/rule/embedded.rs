//! The rules that keytrail comes with: every file of `rules/`, in order. A test holds the list to the folder;
//! `KEYTRAIL_UPDATE_RULES=1 cargo test -p keytrail-detect` writes it anew.

/// (path below `rules/`, content).
pub const FILES: &[(&str, &str)] = &[
];
