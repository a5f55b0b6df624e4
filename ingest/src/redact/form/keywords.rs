//! Which rules a text calls for: all keywords of some rules looked for at once.
//!
//! Every second place of a text is looked at. Of each keyword the four bytes that are met most seldom are looked for, once for either of the places where it can begin, in 64
//! groups: a table for each of the four says in which groups a byte may stand there, so that a place costs four look-ups that do not wait for one another. What passes all four is
//! compared as a whole. Case is that of ASCII, and does not count.

use super::rule::Rule;

/// How many bytes of a keyword are looked for.
const WINDOW: usize = 4;
/// The bit that tells a letter's case.
const CASE: u8 = 0x20;
/// How many groups there are: bits of a word.
const GROUPS: usize = 64;

/// Which rules are called for.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub(super) struct Called([u64; 6]);

impl Called {
    fn add(&mut self, rule: u16) {
        if let Some(word) = self.0.get_mut(usize::from(rule / 64)) {
            *word |= 1 << (rule % 64);
        }
    }

    fn add_all(&mut self, other: &Self) {
        self.0.iter_mut().zip(other.0).for_each(|(word, others)| *word |= others);
    }

    /// Their numbers, in order.
    pub(super) fn iter(self) -> impl Iterator<Item = usize> {
        self.0.into_iter().enumerate().flat_map(|(word, mut bits)| {
            std::iter::from_fn(move || {
                let bit = bits.trailing_zeros();
                bits &= bits.checked_sub(1)?;
                Some(word * 64 + bit as usize)
            })
        })
    }

    /// Whether there is none.
    pub(super) fn is_empty(self) -> bool {
        self.0.iter().all(|word| *word == 0)
    }
}

/// The keywords of some rules.
pub(super) struct Keywords {
    /// In which groups each byte may be the first, the second, the third and the fourth.
    masks: Box<[[u64; 256]; WINDOW]>,
    groups: Vec<Vec<Look>>,
    /// Which groups hold what has bytes of its own at the same places.
    kinds: [u64; KINDS.len()],
    /// What they look for, by a hash of these bytes: most of what passes the tables by chance is none of it.
    sought: Box<[u64; SOUGHT_BITS / 64]>,
    words: Vec<Keyword>,
}

/// Which bytes are looked for: all four, all but the last, all but the first. Of the few others nothing is known beforehand.
const KINDS: [u32; 3] = [0xffff_ffff, 0x00ff_ffff, 0xffff_ff00];

/// Some forty times as many as there are to look for.
const SOUGHT_BITS: usize = 1 << 16;

/// Where bytes have their bit.
#[inline]
fn bit_of(folded: u32) -> (usize, u64) {
    let hash = (folded.wrapping_mul(0x9e37_79b9) >> 16) as usize;
    (hash / 64, 1 << (hash % 64))
}

struct Keyword {
    word: Vec<u8>,
    rules: Called,
    /// A rule asks where it stands.
    placed: bool,
}

/// Where keywords stand of the rules that are matched by hand, in order.
#[derive(Debug, Clone)]
pub(super) struct Places {
    at: [u32; Self::MAX],
    len: usize,
}

impl Places {
    /// Where more stand, none is remembered.
    const MAX: usize = 32;

    /// Nothing is known: they may stand anywhere.
    #[cfg(test)]
    pub(super) const fn anywhere() -> Self {
        Self { at: [0; Self::MAX], len: Self::MAX + 1 }
    }

    const fn none() -> Self {
        Self { at: [0; Self::MAX], len: 0 }
    }

    fn add(&mut self, at: usize) {
        match (self.at.get_mut(self.len), u32::try_from(at)) {
            (Some(place), Ok(at)) => {
                *place = at;
                self.len += 1;
            }
            _ => self.len = Self::MAX + 1,
        }
    }

    /// The first place from `at` on.
    #[inline]
    pub(super) fn next(&self, at: usize) -> Option<usize> {
        let Some(places) = self.at.get(..self.len) else { return Some(at) };
        places.iter().map(|place| *place as usize).find(|place| *place >= at)
    }
}

/// Some bytes of a keyword that are looked for.
struct Look {
    /// They as a word, with the bit set in each byte that tells letters' case, and which of its bits count.
    folded: u32,
    counts: u32,
    /// The keyword's number.
    word: usize,
    /// How many bytes of it stand before them; one less than none where any byte may stand before its first.
    skips: isize,
    /// `None` where any byte may stand, before the keyword's first and behind its last.
    bytes: [Option<u8>; WINDOW],
}

impl Look {
    /// How a keyword is found that begins at an even place, or at an odd one.
    fn of(word: usize, keyword: &[u8], begins_odd: bool) -> Option<Self> {
        let at = |skips: isize| {
            let byte = |place: usize| keyword.get(usize::try_from(skips + isize::try_from(place).ok()?).ok()?).copied();
            let bytes: [Option<u8>; WINDOW] = std::array::from_fn(byte);
            let folded = u32::from_le_bytes(bytes.map(|byte| byte.map_or(0, |byte| byte | CASE)));
            Self { folded, counts: u32::from_le_bytes(bytes.map(|byte| if byte.is_some() { 0xff } else { 0 })), word, skips, bytes }
        };
        let first = if begins_odd { -1 } else { 0 };
        let last = isize::try_from(keyword.len()).ok()?;
        (first..last).step_by(2).map(at).min_by_key(Self::commonness)
    }

    /// About how often it passes.
    fn commonness(&self) -> u32 {
        const ANY: u32 = 40;
        self.bytes.iter().map(|byte| byte.map_or(ANY, commonness)).product()
    }
}

/// About how often a byte is met in names and messages, from 1 on.
pub(super) const fn commonness(byte: u8) -> u32 {
    match byte.to_ascii_lowercase() {
        b'e' | b'a' | b't' | b'i' | b'o' | b'n' | b's' | b'r' => 12,
        b'c' | b'd' | b'l' | b'm' | b'p' | b'u' | b'-' | b'.' | b'/' => 7,
        b'0'..=b'9' | b'b' | b'f' | b'g' | b'h' | b'v' | b'w' | b'y' | b'k' | b'_' | b':' | b' ' => 4,
        _ => 1,
    }
}

impl Keywords {
    /// Those of the rules that `takes` takes.
    pub(super) fn new(rules: &[Rule], takes: impl Fn(&Rule) -> bool) -> Self {
        let mut words: Vec<Keyword> = Vec::new();
        for (rule, number) in rules.iter().zip(0_u16..).filter(|(rule, _)| takes(rule)) {
            for word in &rule.keywords {
                let at = words.iter().position(|known| known.word == word.as_bytes()).unwrap_or_else(|| {
                    words.push(Keyword { word: word.as_bytes().to_ascii_lowercase(), rules: Called::default(), placed: false });
                    words.len() - 1
                });
                if let Some(keyword) = words.get_mut(at) {
                    keyword.rules.add(number);
                    keyword.placed |= rule.by_hand.is_some();
                }
            }
        }
        let both = |(number, keyword): (usize, &Keyword)| [false, true].map(|begins_odd| Look::of(number, &keyword.word, begins_odd));
        let mut looks: Vec<Look> = words.iter().enumerate().flat_map(both).flatten().collect();
        // Alike ones share a group.
        looks.sort_by_key(|look| look.bytes);
        let mut made =
            Self { masks: Box::new([[0; 256]; WINDOW]), groups: Vec::new(), kinds: [0; KINDS.len()], sought: Box::new([0; SOUGHT_BITS / 64]), words };
        // Where any byte may stand, a group's others would pass more often: these have groups of their own.
        for (kind, (counts, groups)) in KINDS.into_iter().zip([GROUPS - 24, 8, 8]).enumerate() {
            let (of_kind, others) = looks.into_iter().partition(|look| look.counts == counts);
            looks = others;
            made.share_kind(kind, of_kind, groups);
        }
        let left = GROUPS - made.groups.len();
        made.share(looks, left);
        made
    }

    /// Shares what has bytes at the same places out, and marks what they are.
    fn share_kind(&mut self, kind: usize, looks: Vec<Look>, groups: usize) {
        for (word, bit) in looks.iter().map(|look| bit_of(look.folded)) {
            if let Some(bits) = self.sought.get_mut(word) {
                *bits |= bit;
            }
        }
        let before = self.groups.len();
        self.share(looks, groups);
        if let Some(kind) = self.kinds.get_mut(kind) {
            *kind = (before..self.groups.len()).fold(0, |bits, group| bits | 1 << group);
        }
    }

    /// Shares what is looked for out among so many further groups.
    fn share(&mut self, looks: Vec<Look>, groups: usize) {
        let each = looks.len().div_ceil(groups).max(1);
        let mut looks = looks.into_iter().peekable();
        while looks.peek().is_some() {
            let group: Vec<Look> = looks.by_ref().take(each).collect();
            let bit = 1_u64 << self.groups.len().min(GROUPS - 1);
            for look in &group {
                for (byte, mask) in look.bytes.iter().zip(self.masks.iter_mut()) {
                    let Some(byte) = byte else {
                        mask.iter_mut().for_each(|groups| *groups |= bit);
                        continue;
                    };
                    for byte in [byte.to_ascii_lowercase(), byte.to_ascii_uppercase()] {
                        if let Some(groups) = mask.get_mut(usize::from(byte)) {
                            *groups |= bit;
                        }
                    }
                }
            }
            self.groups.push(group);
        }
    }

    /// The groups that may stand where these bytes do.
    #[inline]
    fn groups(&self, [a, b, c, d]: [u8; WINDOW]) -> u64 {
        let [first, second, third, fourth] = &*self.masks;
        let of = |mask: &[u64; 256], byte: u8| mask.get(usize::from(byte)).copied().unwrap_or_default();
        of(first, a) & of(second, b) & of(third, c) & of(fourth, d)
    }

    /// Of each keyword the byte that is met most seldom, in lower case: where none of them stands, no keyword does.
    pub(super) fn rare(&self) -> Vec<u8> {
        self.words.iter().filter_map(|keyword| keyword.word.iter().copied().min_by_key(|byte| commonness(*byte))).collect()
    }

    /// The rules whose keywords stand in `text`, and where those stand of rules that are matched by hand.
    pub(super) fn called(&self, text: &str) -> (Called, Places) {
        let (mut called, mut places) = (Called::default(), Places::none());
        self.each(text.as_bytes(), |keyword, at| {
            called.add_all(&keyword.rules);
            if keyword.placed {
                places.add(at);
            }
            true
        });
        // Looked for at every second place, they are found nearly in order.
        if let Some(known) = places.at.get_mut(..places.len) {
            known.sort_unstable();
        }
        (called, places)
    }

    /// Whether none of the keywords stands in `text`.
    pub(super) fn is_silent(&self, text: &str) -> bool {
        self.each(text.as_bytes(), |_, _| false)
    }

    /// Hands each keyword in `text`, and where it begins, to `found`, until it says that this is enough: `false` then.
    #[inline]
    fn each(&self, text: &[u8], mut found: impl FnMut(&Keyword, usize) -> bool) -> bool {
        for (at, window) in text.windows(WINDOW).step_by(2).enumerate() {
            let &[a, b, c, d] = window else { continue };
            let groups = self.groups([a, b, c, d]);
            if groups != 0 && !self.compare(text, 2 * at, [a, b, c, d], groups, &mut found) {
                return false;
            }
        }
        // Where fewer bytes are left, only what is as short can stand.
        let first = text.len().saturating_sub(WINDOW - 1).next_multiple_of(2);
        for at in (first..text.len()).step_by(2) {
            let byte = |at: usize| text.get(at).copied().unwrap_or_default();
            let window = [byte(at), byte(at + 1), byte(at + 2), 0];
            let groups = self.groups(window);
            if groups != 0 && !self.compare(text, at, window, groups, &mut found) {
                return false;
            }
        }
        true
    }

    fn compare(&self, text: &[u8], at: usize, window: [u8; WINDOW], mut groups: u64, found: &mut impl FnMut(&Keyword, usize) -> bool) -> bool {
        let folded = u32::from_le_bytes(window.map(|byte| byte | CASE));
        for (counts, kind) in KINDS.into_iter().zip(self.kinds) {
            let (word, bit) = bit_of(folded & counts);
            if groups & kind != 0 && self.sought.get(word).is_none_or(|bits| bits & bit == 0) {
                groups &= !kind;
            }
        }
        while groups != 0 {
            let group = groups.trailing_zeros() as usize;
            groups &= groups - 1;
            for look in self.groups.get(group).map_or(&[][..], Vec::as_slice) {
                if folded & look.counts != look.folded {
                    continue;
                }
                let Some(keyword) = self.words.get(look.word) else { continue };
                let Some(start) = at.checked_add_signed(-look.skips) else { continue };
                let stands = text.get(start..start + keyword.word.len());
                if stands.is_some_and(|stands| stands.eq_ignore_ascii_case(&keyword.word)) && !found(keyword, start) {
                    return false;
                }
            }
        }
        true
    }
}

#[cfg(test)]
mod tests {
    use aho_corasick::AhoCorasick;
    use proptest::prelude::*;

    use super::*;
    use crate::redact::form::FORMS;

    /// The rules that another engine finds the keywords of.
    fn called(text: &str) -> Vec<usize> {
        let mut words: Vec<(&str, usize)> = Vec::new();
        for (number, rule) in FORMS.rules.iter().enumerate() {
            words.extend(rule.keywords.iter().map(|word| (word.as_str(), number)));
        }
        let automaton = AhoCorasick::builder().ascii_case_insensitive(true).build(words.iter().map(|(word, _)| word)).unwrap();
        let mut rules: Vec<usize> = automaton.find_overlapping_iter(text).map(|found| words[found.pattern().as_usize()].1).collect();
        rules.sort_unstable();
        rules.dedup();
        rules
    }

    /// All places that there are, up to the end of a text.
    fn listed(places: &Places, len: usize) -> Vec<usize> {
        let mut found = Vec::new();
        while let Some(at) = places.next(found.last().map_or(0, |last| last + 1)).filter(|at| *at < len) {
            found.push(at);
        }
        found
    }

    /// Where keywords stand of rules that are matched by hand; all places where these are too many.
    fn placed(text: &str) -> Vec<usize> {
        let small = text.to_ascii_lowercase();
        let mut words: Vec<&String> = FORMS.rules.iter().filter(|rule| rule.by_hand.is_some()).flat_map(|rule| &rule.keywords).collect();
        words.sort();
        words.dedup();
        let mut places: Vec<usize> = words.iter().flat_map(|word| memchr::memmem::find_iter(small.as_bytes(), word.as_bytes()).collect::<Vec<_>>()).collect();
        // Two keywords may begin at one place.
        if places.len() > Places::MAX {
            return (0..text.len()).collect();
        }
        places.sort_unstable();
        places.dedup();
        places
    }

    #[test]
    fn places_are_known_up_to_their_bound() {
        let keywords = Keywords::new(&FORMS.rules, |_| true);
        for count in [0, 1, Places::MAX, Places::MAX + 1, 3 * Places::MAX] {
            let text = "x secret ".repeat(count);
            assert_eq!(listed(&keywords.called(&text).1, text.len()), placed(&text), "{count}");
        }
    }

    #[test]
    fn every_keyword_is_found_wherever_it_stands() {
        let keywords = Keywords::new(&FORMS.rules, |_| true);
        for (number, rule) in FORMS.rules.iter().enumerate() {
            for word in &rule.keywords {
                for text in [
                    word.clone(),
                    word.to_ascii_uppercase(),
                    format!("a{word}"),
                    format!("{word}é"),
                    format!("\u{0}{word}\u{0}\u{0}"),
                    format!("xyz{word}xyz"),
                    format!("xy{word}"),
                    format!("x{word}z"),
                    format!("{word}\n"),
                    format!("xyz{word}z"),
                ] {
                    assert!(keywords.called(&text).0.iter().any(|called| called == number), "{word} in {text:?}");
                    assert!(!keywords.is_silent(&text));
                }
            }
        }
    }

    proptest! {
        #[test]
        fn it_calls_for_what_an_automaton_calls_for(parts in prop::collection::vec(prop_oneof![
            ".{0,6}", "[a-zA-Z0-9._:/$=~-]{0,30}",
            (0..FORMS.rules.len(), any::<prop::sample::Index>(), any::<bool>()).prop_map(|(rule, word, upper)| {
                let words = &FORMS.rules[rule].keywords;
                let word = words[word.index(words.len())].clone();
                if upper { word.to_ascii_uppercase() } else { word }
            }),
        ], 0..6), cut in 0..3_usize) {
            let text = parts.concat();
            let text: String = text.chars().skip(cut).collect();
            let keywords = Keywords::new(&FORMS.rules, |_| true);
            let (rules, places) = keywords.called(&text);
            prop_assert_eq!(rules.iter().collect::<Vec<_>>(), called(&text));
            prop_assert_eq!(listed(&places, text.len()), placed(&text));
            prop_assert_eq!(keywords.is_silent(&text), called(&text).is_empty());
        }
    }
}
