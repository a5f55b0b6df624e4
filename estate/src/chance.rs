//! Seeded chance: the one source of variety in the simulator. The same seed gives the same draws on every run; there is
//! no other randomness and no clock. Not for anything that must be unpredictable.

/// A stream of draws (`SplitMix64`: Steele, Lea, Flood, "Fast splittable pseudorandom number generators", 2014).
#[derive(Debug, Clone)]
pub struct Chance(u64);

const HEX: &str = "0123456789abcdef";
/// The letters of AWS access key ids and principal ids (base 32).
pub const BASE32: &str = "ABCDEFGHIJKLMNOPQRSTUVWXYZ234567";
/// The letters of Zeek's connection ids.
pub const BASE62: &str = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789";

impl Chance {
    /// A stream from a seed.
    pub const fn new(seed: u64) -> Self {
        Self(seed)
    }

    /// A stream of its own, so that what one actor draws does not shift what the next one draws.
    pub fn fork(&mut self) -> Self {
        Self(self.bits())
    }

    /// 64 random bits.
    pub fn bits(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// A number below `n`; 0 when `n` is 0.
    pub fn below(&mut self, n: usize) -> usize {
        let wide = u128::from(self.bits()) * (n as u128);
        (wide >> 64) as usize
    }

    /// A number from `low` up to and without `high`.
    pub fn range(&mut self, low: i64, high: i64) -> i64 {
        low + i64::try_from(self.below(usize::try_from(high - low).unwrap_or(0))).unwrap_or(0)
    }

    /// A number in [0, 1).
    pub fn unit(&mut self) -> f64 {
        (self.bits() >> 11) as f64 / (1_u64 << 53) as f64
    }

    /// Whether something of probability `p` happens.
    pub fn happens(&mut self, p: f64) -> bool {
        p > 0.0 && self.unit() < p
    }

    /// A waiting time of the given mean, memoryless.
    pub fn wait(&mut self, mean: i64) -> i64 {
        (-(1.0 - self.unit()).ln() * mean as f64) as i64
    }

    /// A whole number near `mean` (at least 0): the fraction is rounded by chance, then spread by a fifth.
    pub fn about(&mut self, mean: f64) -> u32 {
        let spread = mean * (0.8 + 0.4 * self.unit());
        let whole = spread.floor();
        whole as u32 + u32::from(self.happens(spread - whole))
    }

    /// One of `choices`, which must not be empty: only the simulator's own tables are passed.
    pub fn pick<'a, T>(&mut self, choices: &'a [T]) -> &'a T {
        assert!(!choices.is_empty(), "the simulator's own tables are not empty");
        &choices[self.below(choices.len())]
    }

    /// Appends `n` letters of an ASCII alphabet.
    pub fn push_letters(&mut self, out: &mut String, alphabet: &str, n: usize) {
        for _ in 0..n {
            let i = self.below(alphabet.len());
            out.push_str(alphabet.get(i..=i).unwrap_or_default());
        }
    }

    /// `n` letters of an ASCII alphabet after a prefix.
    pub fn letters(&mut self, prefix: &str, alphabet: &str, n: usize) -> String {
        let mut out = String::with_capacity(prefix.len() + n);
        out.push_str(prefix);
        self.push_letters(&mut out, alphabet, n);
        out
    }

    /// Appends `n` hex digits.
    pub fn push_hex(&mut self, out: &mut String, n: usize) {
        let mut bits = self.bits();
        for i in 0..n {
            if i > 0 && i % 16 == 0 {
                bits = self.bits();
            }
            let digit = (bits & 15) as usize;
            out.push_str(HEX.get(digit..=digit).unwrap_or_default());
            bits >>= 4;
        }
    }

    /// `n` hex digits after a prefix.
    pub fn hex(&mut self, prefix: &str, n: usize) -> String {
        let mut out = String::with_capacity(prefix.len() + n);
        out.push_str(prefix);
        self.push_hex(&mut out, n);
        out
    }

    /// A version-4 UUID.
    pub fn uuid(&mut self) -> String {
        let mut out = String::with_capacity(36);
        self.push_hex(&mut out, 8);
        out.push('-');
        self.push_hex(&mut out, 4);
        out.push_str("-4");
        self.push_hex(&mut out, 3);
        out.push_str("-a");
        self.push_hex(&mut out, 3);
        out.push('-');
        self.push_hex(&mut out, 12);
        out
    }
}

#[cfg(test)]
mod tests {
    use super::Chance;

    #[test]
    fn draws_stay_within_their_bounds_and_repeat() {
        let (mut a, mut b) = (Chance::new(3), Chance::new(3));
        let mut sum = 0;
        for _ in 0..10_000 {
            let n = a.below(10);
            assert!(n < 10);
            assert_eq!(n, b.below(10));
            sum += n;
        }
        assert!((40_000..50_000).contains(&sum), "{sum}");
        assert_eq!(a.below(0), 0);
        let uuid = a.uuid();
        assert_eq!((uuid.len(), uuid.matches('-').count()), (36, 4));
        let mean = (0..20_000).map(|_| a.wait(1000)).sum::<i64>() / 20_000;
        assert!((950..1050).contains(&mean), "{mean}");
        let total: u32 = (0..20_000).map(|_| a.about(0.3)).sum();
        assert!((5_400..6_600).contains(&total), "{total}");
    }
}
