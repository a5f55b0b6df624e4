//! In which order the keys of an object came: behind each key, the one that followed it the last time. Whoever reads an object of the same kind compares with that
//! one and has neither to look for the key's end nor to look the key up. No outcome depends on what is remembered.

use rustc_hash::FxHashMap;

/// Keys remembered of one node; at the bound all are forgotten.
const KEYS_MAX: usize = 256;
/// A longer key is not remembered.
const KEY_BYTES_MAX: usize = 96;

/// The keys of one node.
#[derive(Debug, Default)]
pub struct Order {
    keys: Vec<Key>,
    by_key: FxHashMap<Box<[u8]>, u32>,
    /// The key that objects begin with.
    first: u32,
}

#[derive(Debug)]
struct Key {
    /// With its quotes.
    quoted: Box<[u8]>,
    /// The node under it.
    child: Option<u32>,
    /// The key that followed it the last time.
    next: u32,
}

impl Order {
    /// The place before the first key.
    pub const BEGINNING: u32 = u32::MAX;

    /// Whether the key that is expected behind that at `place` stands at the beginning of `rest`: its place, its length with its quotes, and the node under it.
    #[inline]
    pub fn next(&self, place: u32, rest: &[u8]) -> Option<(u32, usize, Option<u32>)> {
        let next = if place == Self::BEGINNING { self.first } else { self.keys.get(place as usize)?.next };
        let key = self.keys.get(next as usize)?;
        rest.starts_with(&key.quoted).then_some((next, key.quoted.len(), key.child))
    }

    /// Another key came behind that at `place`, `quoted` with its quotes and without escapes. Returns its place.
    pub fn met(&mut self, place: u32, quoted: &[u8], child: Option<u32>) -> u32 {
        let at = match self.by_key.get(quoted) {
            Some(at) => *at,
            None if quoted.len() > KEY_BYTES_MAX => return place,
            None => {
                if self.keys.len() >= KEYS_MAX {
                    *self = Self::default();
                }
                let at = u32::try_from(self.keys.len()).unwrap_or_default();
                self.keys.push(Key { quoted: quoted.into(), child, next: Self::BEGINNING });
                self.by_key.insert(quoted.into(), at);
                at
            }
        };
        match self.keys.get_mut(place as usize) {
            Some(before) => before.next = at,
            None => self.first = at,
        }
        at
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_followed_is_expected_and_anything_else_is_looked_up() {
        let mut order = Order::default();
        assert_eq!(order.next(Order::BEGINNING, b"\"a\":1"), None);
        let a = order.met(Order::BEGINNING, b"\"a\"", Some(7));
        let b = order.met(a, b"\"b\"", None);
        assert_eq!(order.next(Order::BEGINNING, b"\"a\":1"), Some((a, 3, Some(7))));
        assert_eq!(order.next(a, b"\"b\" : 1"), Some((b, 3, None)));
        assert_eq!((order.next(a, b"\"bc\":1"), order.next(a, b"\"a"), order.next(b, b"\"a\"")), (None, None, None));
        assert_eq!((order.met(Order::BEGINNING, b"\"b\"", None), order.next(Order::BEGINNING, b"\"b\"")), (b, Some((b, 3, None))));
    }

    #[test]
    fn keys_without_number_stay_within_the_bound() {
        let (mut order, mut place) = (Order::default(), Order::BEGINNING);
        for n in 0..3 * KEYS_MAX {
            place = order.met(place, format!("\"{n}\"").as_bytes(), None);
        }
        assert!(order.keys.len() <= KEYS_MAX && order.by_key.len() == order.keys.len());
        assert_eq!(order.met(place, &[b'x'; 1_000], None), place);
    }
}
