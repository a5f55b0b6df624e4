//! Leaves the ephemeral parts out of a name. Two steps: what is random by its shape (a UUID, a hash, a task id, a pod's suffix, a time
//! stamp) becomes `*` at once; what merely carries a number (`worker-17`, `2.31.0`) is a *template* `worker-*`, and is treated as
//! ephemeral only once the estate has shown that its numbers do not come back ([`Shape`]).
//!
//! The idea of learned wildcards is that of log-template miners (He et al., *Drain*, ICWS 2017), restricted to parts with digits: a name
//! without digits is never merged with another, however many there are.

use serde::{Deserialize, Serialize};

/// Distinct names of a template before it may be called ephemeral.
const NAMES_MIN: u32 = 32;
/// Days over which they must have been met: a sweep within a day does not hide itself.
const DAYS_MIN: u32 = 3;

/// Whether a byte parts a name into words.
const fn is_separator(byte: u8) -> bool {
    matches!(byte, b'/' | b':' | b'.' | b'-' | b'_' | b',' | b'=' | b'@' | b' ' | b'(' | b')' | b'[' | b']' | b'"' | b'\'' | b'?' | b'&' | b';' | b'#' | b'+')
}

/// Writes `name` to `general` with its random parts as `*`, and to `template` with every other word that carries a digit as `*` too.
/// Both are cleared first. An account number (twelve digits) is kept in both: another account is another place.
pub fn generalise(name: &str, general: &mut String, template: &mut String) {
    general.clear();
    template.clear();
    let bytes = name.as_bytes();
    let (mut at, mut pod_hash) = (0, false);
    while at < bytes.len() {
        if let Some(len) = uuid_len(bytes.get(at..).unwrap_or_default()) {
            general.push('*');
            template.push('*');
            at += len;
            pod_hash = false;
            continue;
        }
        let len = bytes.iter().skip(at).position(|&b| is_separator(b)).unwrap_or(bytes.len() - at);
        let word = name.get(at..at + len).unwrap_or_default();
        if !word.is_empty() {
            let kind = Word::of(word.as_bytes(), pod_hash);
            pod_hash = kind == Word::PodHash;
            general.push_str(if kind == Word::Random { "*" } else { word });
            template.push_str(if matches!(kind, Word::Plain | Word::Account) { word } else { "*" });
            if pod_hash && bytes.get(at + len) == Some(&b'-') {
                // A replica set's hash is ephemeral only when a pod's suffix follows; decided at the next word.
                let next = bytes.get(at + len + 1..).unwrap_or_default();
                let next_len = next.iter().position(|&b| is_separator(b)).unwrap_or(next.len());
                if next_len == 5 && next.get(..5).is_some_and(is_pod_alphabet) {
                    general.truncate(general.len() - word.len());
                    general.push('*');
                }
            }
        }
        at += len;
        if at < bytes.len() {
            pod_hash = pod_hash && bytes.get(at) == Some(&b'-');
            // Separators are ASCII, so a separator is one character.
            if let Some(separator) = name.get(at..at + 1) {
                general.push_str(separator);
                template.push_str(separator);
            }
            at += 1;
        }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Word {
    Plain,
    /// Twelve digits: an account of a cloud provider.
    Account,
    /// Carries a digit: ephemeral if the estate shows so.
    Numbered,
    /// May be a replica set's hash.
    PodHash,
    Random,
}

impl Word {
    fn of(word: &[u8], after_pod_hash: bool) -> Self {
        let digits = word.iter().filter(|b| b.is_ascii_digit()).count();
        if after_pod_hash && word.len() == 5 && is_pod_alphabet(word) {
            return Self::Random;
        }
        if digits == 0 {
            let all_hex = word.len() >= 16 && word.iter().all(u8::is_ascii_hexdigit);
            return if all_hex { Self::Random } else { Self::Plain };
        }
        if digits == word.len() {
            return match digits {
                12 => Self::Account,
                8.. => Self::Random,
                _ => Self::Numbered,
            };
        }
        if digits >= 8 && word.len() - digits <= 2 {
            // A time stamp such as 20260131T120000Z.
            return Self::Random;
        }
        let hex = word.iter().all(u8::is_ascii_hexdigit);
        if hex && word.len() >= 8 && (digits >= 2 || word.len() >= 12) {
            return if (8..=10).contains(&word.len()) && is_pod_alphabet(word) { Self::PodHash } else { Self::Random };
        }
        if (8..=10).contains(&word.len()) && is_pod_alphabet(word) {
            return Self::PodHash;
        }
        // Letters and digits in turn, as in ULIDs and random base32 or base62 words.
        let turns = word.windows(2).filter(|pair| matches!(pair, [a, b] if a.is_ascii_digit() != b.is_ascii_digit())).count();
        if word.len() >= 16 && turns >= 4 && word.iter().all(u8::is_ascii_alphanumeric) {
            return Self::Random;
        }
        Self::Numbered
    }
}

/// The letters and digits of which Kubernetes makes names (k8s.io/apimachinery, util/rand).
fn is_pod_alphabet(word: &[u8]) -> bool {
    word.iter().all(|b| b"bcdfghjklmnpqrstvwxz2456789".contains(b))
}

/// 36 when a UUID stands at the front and ends there.
fn uuid_len(bytes: &[u8]) -> Option<usize> {
    let head = bytes.get(..36)?;
    let shaped = head.iter().enumerate().all(|(i, b)| if matches!(i, 8 | 13 | 18 | 23) { *b == b'-' } else { b.is_ascii_hexdigit() });
    (shaped && bytes.get(36).is_none_or(|b| !b.is_ascii_alphanumeric())).then_some(36)
}

/// What was learned of one template: whether its names come back.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Shape {
    /// Distinct names met, as far as they are remembered.
    pub names: u32,
    /// How often one of them was met again on a later day.
    pub returns: u32,
    /// The day on which the first was met.
    pub first_day: u32,
    /// Its names do not come back: they are one value from now on.
    pub ephemeral: bool,
}

impl Shape {
    /// Takes a new name. True when this makes the template ephemeral.
    pub fn name(&mut self, day: u32) -> bool {
        if self.names == 0 {
            self.first_day = day;
        }
        self.names = self.names.saturating_add(1);
        let turns = !self.ephemeral && self.names >= NAMES_MIN && day >= self.first_day.saturating_add(DAYS_MIN) && self.returns < self.names / 4;
        self.ephemeral |= turns;
        turns
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn both(name: &str) -> (String, String) {
        let (mut general, mut template) = (String::new(), String::new());
        generalise(name, &mut general, &mut template);
        (general, template)
    }

    #[test]
    fn what_is_random_by_its_shape_is_left_out() {
        for (name, general) in [
            ("vault:secret/data/prod/db", "vault:secret/data/prod/db"),
            ("k8s:prod:pods/shop/cart-7d4b9c6f5d-x2x7k", "k8s:prod:pods/shop/cart-*-*"),
            ("aws:ecs/task/2f1c9a7be0d14c1f9d0c8a7be0d14c1f", "aws:ecs/task/*"),
            ("job/0b9f2c1e-58a1-4c44-9c55-0f6a0a2b9f11/log", "job/*/log"),
            ("aws:123456789012:role/ci-deploy", "aws:123456789012:role/ci-deploy"),
            ("aws:ec2/i-0abc123def4567890", "aws:ec2/i-*"),
            ("export-20260131T120000", "export-*"),
            ("run/1738324800", "run/*"),
            ("modbus:10.2.0.9/unit/3", "modbus:10.2.0.9/unit/3"),
            ("upload/01ARZ3NDEKTSV4RRFFQ69G5FAV", "upload/*"),
            ("deadbeefcafe/facade", "deadbeefcafe/facade"),
            ("prüfung-Ω-3f2a9c1b7e6d", "prüfung-Ω-*"),
        ] {
            assert_eq!(both(name).0, general, "{name}");
        }
    }

    #[test]
    fn numbers_make_a_template() {
        assert_eq!(both("worker-17/queue.2").1, "worker-*/queue.*");
        assert_eq!(both("aws:123456789012:role/ci-3").1, "aws:123456789012:role/ci-*");
        assert_eq!(both("vault:secret/data/prod").1, "vault:secret/data/prod");
    }

    #[test]
    fn a_template_whose_numbers_come_back_is_kept_apart() {
        let mut builds = Shape::default();
        let turned: Vec<u32> = (0..60).filter(|&i| builds.name(i / 10)).collect();
        assert_eq!(turned, [31], "32 names over three days");
        let mut hosts = Shape { returns: 40, ..Shape::default() };
        assert!(!(0..60).any(|i| hosts.name(i / 10)));
        let mut sweep = Shape::default();
        assert!(!(0..254).any(|_| sweep.name(5)));
    }
}

#[cfg(test)]
mod properties {
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn no_name_panics_and_a_general_name_stays(name in "\\PC{0,80}") {
            let (mut general, mut template) = (String::new(), String::new());
            super::generalise(&name, &mut general, &mut template);
            let first = template.clone();
            let again = first.clone();
            super::generalise(&again, &mut general, &mut template);
            prop_assert_eq!(first, template);
        }
    }
}
