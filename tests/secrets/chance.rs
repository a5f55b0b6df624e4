//! Randomness of a run: every secret is new each time, and the printed seed brings the same ones back.

use std::hash::{BuildHasher as _, Hasher as _};

/// Random numbers of a seed (splitmix64).
pub struct Chance(u64);

impl Chance {
    /// A seed of the operating system's, or the one that `KEYTRAIL_SECRETS_SEED` names; printed either way.
    pub fn new(test: &str) -> Self {
        let seed = crate::kafka::setting("KEYTRAIL_SECRETS_SEED").map_or_else(
            || std::collections::hash_map::RandomState::new().build_hasher().finish(),
            |text| text.parse().expect("KEYTRAIL_SECRETS_SEED is a number"),
        );
        println!("{test}: KEYTRAIL_SECRETS_SEED={seed}");
        Self(seed)
    }

    pub fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    pub fn below(&mut self, n: usize) -> usize {
        usize::try_from(self.next() % n.max(1) as u64).unwrap()
    }

    pub fn pick<'a, T>(&mut self, of: &'a [T]) -> &'a T {
        let index = self.below(of.len());
        &of[index]
    }

    /// `len` letters of an alphabet.
    pub fn letters(&mut self, alphabet: &str, len: usize) -> String {
        let alphabet: Vec<char> = alphabet.chars().collect();
        (0..len).map(|_| *self.pick(&alphabet)).collect()
    }
}
