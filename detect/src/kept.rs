//! The state of a detector in pieces: what a snapshot holds, and how it is put together again. Pieces are packed and unpacked on several cores; equal state gives
//! equal pieces.

use keytrail_schemas::Hash32;
use serde::{Deserialize, Serialize};

use crate::{
    Config, Error,
    baseline::{
        self, Baseline,
        kept::{Aliases, Profiles, Valued},
    },
    detector::Clock,
    floor::Floor,
    fold::{Fold, Story},
    inventory::Inventory,
    ledger::{
        self, Ledger,
        kept::{Credentials, Identities},
    },
    rule::Groups,
    snapshot::{self, Packed, Piece},
};

/// What a snapshot holds.
pub(crate) struct State {
    pub(crate) partition: i32,
    pub(crate) next_offset: i64,
    /// The set of rules in force.
    pub(crate) rules: Hash32,
    pub(crate) clock: Clock,
    pub(crate) ledger: Ledger,
    pub(crate) baseline: Baseline,
    pub(crate) floor: Floor,
    pub(crate) inventory: Inventory,
    pub(crate) groups: Groups,
    pub(crate) fold: Fold,
}

/// The smaller parts of a state, lent.
#[derive(Serialize)]
struct RestRef<'a> {
    partition: i32,
    next_offset: i64,
    rules: Hash32,
    clock: &'a Clock,
    floor: &'a Floor,
    inventory: &'a Inventory,
    groups: &'a Groups,
    fold: &'a Fold,
}

/// The smaller parts of a state.
#[derive(Deserialize)]
struct Rest {
    partition: i32,
    next_offset: i64,
    rules: Hash32,
    clock: Clock,
    floor: Floor,
    inventory: Inventory,
    groups: Groups,
    fold: Fold,
}

/// What a piece is. The first piece of a snapshot says what the others are.
#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
enum Kind {
    Rest,
    Ledger,
    Baseline,
    Credentials,
    Identities,
    Values,
    Aliases,
    Profiles,
    Stories,
}

/// Pieces as they come.
#[derive(Default)]
struct Parts {
    rest: Option<Rest>,
    ledger: Option<ledger::kept::Shared>,
    baseline: Option<baseline::kept::Shared>,
    credentials: Vec<Credentials>,
    identities: Vec<Identities>,
    values: Vec<Valued>,
    aliases: Vec<Aliases>,
    profiles: Vec<Profiles>,
    stories: Vec<Vec<(u64, Story)>>,
}

/// One piece, unpacked.
enum Part {
    Rest(Box<Rest>),
    Ledger(Box<ledger::kept::Shared>),
    Baseline(Box<baseline::kept::Shared>),
    Credentials(Credentials),
    Identities(Identities),
    Values(Valued),
    Aliases(Aliases),
    Profiles(Profiles),
    Stories(Vec<(u64, Story)>),
}

impl Part {
    fn unpack(kind: Kind, piece: &Packed<'_>, plain: &mut Vec<u8>) -> Result<Self, Error> {
        Ok(match kind {
            Kind::Rest => Self::Rest(Box::new(piece.unpack(plain)?)),
            Kind::Ledger => Self::Ledger(Box::new(piece.unpack(plain)?)),
            Kind::Baseline => Self::Baseline(Box::new(piece.unpack(plain)?)),
            Kind::Credentials => Self::Credentials(piece.unpack(plain)?),
            Kind::Identities => Self::Identities(piece.unpack(plain)?),
            Kind::Values => Self::Values(piece.unpack(plain)?),
            Kind::Aliases => Self::Aliases(piece.unpack(plain)?),
            Kind::Profiles => Self::Profiles(piece.unpack(plain)?),
            Kind::Stories => Self::Stories(piece.unpack(plain)?),
        })
    }
}

impl Parts {
    fn take(&mut self, part: Part) {
        match part {
            Part::Rest(rest) => self.rest = Some(*rest),
            Part::Ledger(shared) => self.ledger = Some(*shared),
            Part::Baseline(shared) => self.baseline = Some(*shared),
            Part::Credentials(run) => self.credentials.push(run),
            Part::Identities(run) => self.identities.push(run),
            Part::Values(run) => self.values.push(run),
            Part::Aliases(run) => self.aliases.push(run),
            Part::Profiles(run) => self.profiles.push(run),
            Part::Stories(run) => self.stories.push(run),
        }
    }
}

impl State {
    /// Its bytes.
    pub(crate) fn pack(&self) -> Vec<u8> {
        let Self { partition, next_offset, rules, clock, ledger, baseline, floor, inventory, groups, fold } = self;
        let rest = RestRef { partition: *partition, next_offset: *next_offset, rules: *rules, clock, floor, inventory, groups, fold };
        let (of_ledger, of_baseline) = (ledger.shared(), baseline.shared());
        let (credentials, identities) = (ledger.credential_runs().collect::<Vec<_>>(), ledger.identity_runs().collect::<Vec<_>>());
        let (values, aliases) = std::thread::scope(|scope| {
            let aliases = scope.spawn(|| baseline.aliases());
            (baseline.values(), aliases.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic)))
        });
        let (profiles, stories) = (baseline.profiles().collect::<Vec<_>>(), fold.runs());
        // What takes longest comes first, so that the cores end together.
        let mut pieces: Vec<(Kind, &dyn Piece)> = vec![(Kind::Rest, &rest), (Kind::Baseline, &of_baseline), (Kind::Ledger, &of_ledger)];
        pieces.extend(aliases.iter().map(|run| (Kind::Aliases, run as &dyn Piece)));
        pieces.extend(values.iter().map(|run| (Kind::Values, run as &dyn Piece)));
        pieces.extend(credentials.iter().map(|run| (Kind::Credentials, run as &dyn Piece)));
        pieces.extend(identities.iter().map(|run| (Kind::Identities, run as &dyn Piece)));
        pieces.extend(stories.iter().map(|run| (Kind::Stories, run as &dyn Piece)));
        pieces.extend(profiles.iter().map(|run| (Kind::Profiles, run as &dyn Piece)));
        let kinds: Vec<Kind> = pieces.iter().map(|(kind, _)| *kind).collect();
        let pieces: Vec<&dyn Piece> = std::iter::once(&kinds as &dyn Piece).chain(pieces.into_iter().map(|(_, piece)| piece)).collect();
        snapshot::pack(&pieces)
    }

    /// The state that `bytes` were made of, with a configuration.
    ///
    /// # Errors
    /// [`Error`] when the bytes are no snapshot, of another version, or damaged.
    pub(crate) fn unpack(bytes: &[u8], config: &Config) -> Result<Self, Error> {
        let pieces = snapshot::pieces(bytes)?;
        let [kinds, pieces @ ..] = pieces.as_slice() else { return Err(Error::NotASnapshot) };
        let kinds: Vec<Kind> = kinds.unpack(&mut Vec::new())?;
        if kinds.len() != pieces.len() {
            return Err(Error::NotASnapshot);
        }
        let pieces: Vec<(Kind, &Packed<'_>)> = kinds.into_iter().zip(pieces).collect();
        let unpacked = snapshot::on_all_cores(pieces.len(), Vec::new, |plain, at| pieces.get(at).map(|(kind, piece)| Part::unpack(*kind, piece, plain)));
        let mut parts = Parts::default();
        for part in unpacked.into_iter().flatten() {
            parts.take(part?);
        }
        let Parts { rest: Some(rest), ledger: Some(of_ledger), baseline: Some(of_baseline), credentials, identities, values, aliases, profiles, stories } =
            parts
        else {
            return Err(Error::NotASnapshot);
        };
        let (mut ledger, mut baseline) = std::thread::scope(|scope| {
            let ledger = scope.spawn(|| Ledger::of(of_ledger, credentials, identities));
            let baseline = Baseline::of(of_baseline, values, aliases, profiles);
            (ledger.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic)), baseline)
        });
        let Rest { partition, next_offset, rules, clock, floor, inventory, groups, mut fold } = rest;
        ledger.configure(config.ledger.clone());
        baseline.configure(config.baseline.clone());
        fold.fill(stories);
        fold.configure(config.fold.clone());
        Ok(Self { partition, next_offset, rules, clock, ledger, baseline, floor, inventory, groups, fold })
    }
}
