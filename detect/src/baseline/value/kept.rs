//! Names and values in runs, in an order of their own: that of their numbers. Sorting by the texts themselves would be most of what a snapshot takes.

use keytrail_schemas::Text;
use rustc_hash::{FxBuildHasher, FxHashMap};
use serde::{Deserialize, Serialize};

use super::super::facet::{Facet, PerFacet};
use super::{Alias, Names, Value, Values};

/// Names of one piece.
const RUN: usize = 16_384;

/// A run of values with their numbers, lent.
#[derive(Serialize)]
pub(crate) struct ValuedRef<'a>(Vec<(u32, &'a Value)>);

/// A run of values with their numbers.
#[derive(Deserialize)]
pub(crate) struct Valued(Vec<(u32, Value)>);

/// A run of aliases, each with its facet, lent.
#[derive(Serialize)]
pub(crate) struct AliasesRef<'a>(Vec<(Facet, &'a Text, &'a Alias)>);

/// A run of aliases, each with its facet.
#[derive(Deserialize)]
pub(crate) struct Aliases(Vec<(Facet, Text, Alias)>);

impl Values {
    /// The values, in runs.
    pub(crate) fn valued(&self) -> Vec<ValuedRef<'_>> {
        let mut all: Vec<(u32, &Value)> = self.values.iter().map(|(number, value)| (*number, value)).collect();
        all.sort_unstable_by_key(|(number, _)| *number);
        all.chunks(RUN).map(|run| ValuedRef(run.to_vec())).collect()
    }

    /// The aliases, in runs: by facet, by value, and the few that share one by name.
    pub(crate) fn aliases(&self) -> Vec<AliasesRef<'_>> {
        let of_facet = |(facet, names)| Names::<Alias>::sorted(names).into_iter().map(move |(name, alias)| (facet, name, alias));
        let all: Vec<(Facet, &Text, &Alias)> = self.aliases.iter().flat_map(of_facet).collect();
        all.chunks(RUN).map(|run| AliasesRef(run.to_vec())).collect()
    }

    /// Takes what the runs hold, in place of what it has.
    pub(crate) fn fill(&mut self, values: Vec<Valued>, aliases: Vec<Aliases>) {
        let (by_name, (numbers, by_number)) = std::thread::scope(|scope| {
            let by_name = scope.spawn(|| of_runs(aliases.into_iter().map(|Aliases(run)| run).collect()));
            let numbered = values.iter().map(|Valued(run)| run.iter().map(|(number, value)| (value.facet, value.name.clone(), *number)).collect());
            let numbers = of_runs(numbered.collect());
            let mut by_number = FxHashMap::with_capacity_and_hasher(values.iter().map(|Valued(run)| run.len()).sum(), FxBuildHasher);
            values.into_iter().for_each(|Valued(run)| by_number.extend(run));
            (by_name.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic)), (numbers, by_number))
        });
        (self.aliases, self.numbers, self.values) = (by_name, numbers, by_number);
    }
}

impl Names<Alias> {
    fn sorted(&self) -> Vec<(&Text, &Alias)> {
        let mut all: Vec<(u32, &Text, &Alias)> = self.0.iter().map(|(name, alias)| (alias.resolved.value, name, alias)).collect();
        all.sort_unstable_by(|a, b| a.0.cmp(&b.0).then_with(|| a.1.cmp(b.1)));
        all.into_iter().map(|(_, name, alias)| (name, alias)).collect()
    }
}

/// Names by facet, with room for as many as there are.
fn of_runs<T>(runs: Vec<Vec<(Facet, Text, T)>>) -> PerFacet<Names<T>> {
    let mut counts = PerFacet::<usize>::default();
    for (facet, ..) in runs.iter().flatten() {
        if let Some(count) = counts.of_mut(*facet) {
            *count += 1;
        }
    }
    let mut names = PerFacet::<Names<T>>::default();
    for (facet, names) in names.iter_mut() {
        names.0.reserve(counts.of(facet).copied().unwrap_or_default());
    }
    for (facet, name, value) in runs.into_iter().flatten() {
        if let Some(names) = names.of_mut(facet) {
            names.0.insert(name, value);
        }
    }
    names
}
