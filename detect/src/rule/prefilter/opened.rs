//! What a shape leaves open: the conjunctions that may still hold, each behind its *trigger*, the one of its literals that holds most rarely. Only
//! triggers are asked about for every event. Which literals are rare is learned while they are asked about; no outcome depends on it.

use rustc_hash::FxHashMap;

use super::super::observation::{FLAGS, Flag, NUMBERS, Number, Observation, TEXTS, Texts, Word};
use super::said::{Item, Said};
use super::{Atom, Comparison, Conjunction, Mask, says};

/// A bit, and whether it must be set.
pub type Literal = (usize, bool);

/// Sets of open conjunctions that are remembered; at the bound all are forgotten.
const OPENED_MAX: usize = 4_096;
/// Looks after which triggers are chosen anew.
const CHOSEN_ANEW: [u32; 3] = [32, 1_024, 32_768];
/// Times that what is expected of an atom counts for beside what was seen.
const EXPECTED_WEIGHT: f32 = 16.0;

/// An atom that is asked about by itself.
pub enum Test {
    /// It follows from the shape.
    Shape,
    /// A threshold.
    Number(Number, Comparison),
    /// A fact; `None` asks whether it is known.
    Flag(Flag, Option<bool>),
    /// A word, by what is said of each.
    Word(Word, Vec<bool>),
    /// A text of many values.
    Text(for<'a> fn(&Observation<'a>) -> Option<&'a str>, Item),
}

impl Test {
    /// Of each atom.
    pub fn all(atoms: &[Atom]) -> Vec<Self> {
        // How many items each field has so far.
        let mut items = vec![0; TEXTS.len()];
        atoms.iter().map(|atom| Self::of(atom, &mut items)).collect()
    }

    fn of(atom: &Atom, items: &mut [u32]) -> Self {
        let test = match atom {
            _ if atom.is_of_shape() => None,
            Atom::Number(at, comparison) => NUMBERS.get(*at).map(|(_, number)| Self::Number(*number, *comparison)),
            Atom::Flag(at, expected) => FLAGS.get(*at).map(|(_, flag)| Self::Flag(*flag, *expected)),
            Atom::Text(at, item) => match TEXTS.get(*at).map(|(_, texts)| *texts) {
                Some(Texts::Word(list, word)) => Some(Self::Word(word, list.iter().map(|word| says(item, Some(word))).collect())),
                Some(Texts::Many(text)) => items.get_mut(*at).map(|next| {
                    *next += 1;
                    Self::Text(text, Item { field: *at, number: *next - 1, item: Box::new(item.clone()) })
                }),
                Some(Texts::Few(_)) | None => None,
            },
        };
        test.unwrap_or(Self::Shape)
    }

    fn holds(&self, o: &Observation<'_>, said: &mut Said) -> bool {
        match self {
            Self::Shape => false,
            Self::Number(number, comparison) => number(o).is_some_and(|value| comparison.holds(value)),
            Self::Flag(flag, expected) => flag(o).is_some_and(|value| expected.is_none_or(|expected| expected == value)),
            Self::Word(word, says) => says.get(word(o)).copied().unwrap_or_default(),
            Self::Text(text, item) => said.holds(item, text(o)),
        }
    }
}

/// Every set that was met.
#[derive(Default)]
pub struct Opened {
    sets: Vec<Set>,
    by_bits: FxHashMap<Mask, usize>,
    seen: Vec<Seen>,
    said: Said,
}

/// How often an atom was asked about, and held.
#[derive(Default, Clone, Copy)]
struct Seen {
    expected: f32,
    asked: u32,
    held: u32,
}

#[derive(Default)]
struct Set {
    /// What is left open: the number of the conjunction, and the literals that do not follow from the shape.
    open: Vec<(usize, Vec<Literal>)>,
    /// Numbers of those that hold by the shape alone.
    certain: Vec<usize>,
    /// They are all asked about for every event, and stand close together.
    triggers: Vec<Trigger>,
    /// Of each trigger, the conjunctions behind it: the places in `open`.
    members: Vec<Vec<usize>>,
    looks: u32,
}

/// A literal in few bytes: its bit, doubled, and whether it must be set.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Trigger(u32);

impl Trigger {
    fn of((bit, positive): Literal) -> Self {
        Self(u32::try_from(bit * 2).unwrap_or(u32::MAX - 1) | u32::from(positive))
    }

    const fn literal(self) -> Literal {
        (self.0 as usize / 2, self.0 % 2 == 1)
    }
}

impl Seen {
    #[expect(clippy::cast_precision_loss, reason = "counts of looks")]
    fn share(self, positive: bool) -> f32 {
        let share = (self.held as f32 + self.expected * EXPECTED_WEIGHT) / (self.asked as f32 + EXPECTED_WEIGHT);
        if positive { share } else { 1.0 - share }
    }
}

impl Opened {
    /// Nothing met yet; `expected`: how often each atom may hold.
    pub fn new(expected: impl Iterator<Item = f32>) -> Self {
        Self { seen: expected.map(|expected| Seen { expected, ..Seen::default() }).collect(), ..Self::default() }
    }

    /// Whether no further set can be remembered.
    pub fn is_full(&self) -> bool {
        self.sets.len() >= OPENED_MAX
    }

    /// Forgets every set.
    pub fn clear(&mut self) {
        self.sets.clear();
        self.by_bits.clear();
    }

    /// The number of the set that `bits`, those of a shape, leave open.
    pub fn open(&mut self, bits: Mask, conjunctions: &[Conjunction], tests: &[Test]) -> usize {
        if let Some(at) = self.by_bits.get(&bits) {
            return *at;
        }
        let mut set = Set::default();
        for (number, conjunction) in conjunctions.iter().enumerate() {
            let (of_shape, rest): (Vec<Literal>, Vec<Literal>) =
                conjunction.literals.iter().partition(|(bit, _)| matches!(tests.get(*bit), Some(Test::Shape) | None));
            if !of_shape.iter().all(|(bit, positive)| is_set(&bits, *bit) == *positive) {
                continue;
            }
            if rest.is_empty() {
                set.certain.push(number);
            } else {
                set.open.push((number, rest));
            }
        }
        set.choose(&self.seen);
        self.sets.push(set);
        self.by_bits.insert(bits, self.sets.len() - 1);
        self.sets.len() - 1
    }

    /// Looks at what [`Opened::look`] will ask of a set.
    #[inline]
    #[must_use]
    pub fn touch(&self, at: usize) -> u32 {
        self.sets.get(at).map_or(0, |set| set.triggers.iter().step_by(16).fold(set.looks, |all, trigger| all ^ trigger.0))
    }

    /// Gives `each` the rule of every conjunction of a set that holds.
    pub fn look(&mut self, at: usize, conjunctions: &[Conjunction], tests: &[Test], o: &Observation<'_>, mut each: impl FnMut(usize)) {
        let Self { sets, seen, said, .. } = self;
        said.turn();
        let Some(set) = sets.get_mut(at) else { return };
        set.looks = set.looks.wrapping_add(1);
        if CHOSEN_ANEW.contains(&set.looks) {
            set.choose(seen);
        }
        let mut rule = |number: usize| {
            if let Some(conjunction) = conjunctions.get(number) {
                each(conjunction.rule);
            }
        };
        let mut holds = |literal: Literal| {
            let held = tests.get(literal.0).is_some_and(|test| test.holds(o, said));
            if let Some(seen) = seen.get_mut(literal.0) {
                seen.asked = seen.asked.saturating_add(1);
                seen.held = seen.held.saturating_add(u32::from(held));
            }
            held == literal.1
        };
        set.certain.iter().for_each(|number| rule(*number));
        for (at, trigger) in set.triggers.iter().enumerate() {
            let trigger = trigger.literal();
            if !holds(trigger) {
                continue;
            }
            for (number, literals) in set.members.get(at).into_iter().flatten().filter_map(|at| set.open.get(*at)) {
                if literals.iter().all(|literal| *literal == trigger || holds(*literal)) {
                    rule(*number);
                }
            }
        }
    }
}

impl Set {
    /// Puts each conjunction behind the rarest of its literals.
    fn choose(&mut self, seen: &[Seen]) {
        let share = |(bit, positive): &Literal| seen.get(*bit).map_or(1.0, |seen| seen.share(*positive));
        self.triggers.clear();
        self.members.clear();
        for (at, (_, literals)) in self.open.iter_mut().enumerate() {
            literals.sort_by(|a, b| share(a).total_cmp(&share(b)));
            let Some(trigger) = literals.first().copied().map(Trigger::of) else { continue };
            match self.triggers.iter().position(|known| *known == trigger).and_then(|known| self.members.get_mut(known)) {
                Some(members) => members.push(at),
                None => {
                    self.triggers.push(trigger);
                    self.members.push(vec![at]);
                }
            }
        }
    }
}

fn is_set(bits: &[u64], bit: usize) -> bool {
    bits.get(bit / 64).is_some_and(|word| word >> (bit % 64) & 1 == 1)
}
