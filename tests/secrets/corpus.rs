//! The corpus: every place of every format with secrets in it, whole and broken, as files to be read.

use std::collections::{BTreeMap, HashSet};
use std::path::PathBuf;

use super::chance::Chance;
use super::needle::Needles;
use super::place::{self, Place, Planted};
use super::{broken, cloud, cloudtrail, forge, host, k8s_audit, own, provider, vault_audit, zeek};
use crate::estate::Home;

/// Secrets in each closed place: one of a known form, the others of free forms in turn.
const EACH: usize = 4;

/// Gaps that are known and stand in docs/redaction.md under "Not covered": format, how the place's name begins, form ("" for every one).
const KNOWN: &[(&str, &str, &str)] = &[];

fn is_known(planted: &Planted) -> bool {
    let fits = |(format, place, form): &(&str, &str, &str)| {
        planted.format == *format && planted.place.starts_with(place) && (form.is_empty() || planted.secret.form == *form)
    };
    KNOWN.iter().any(fits)
}

/// Secrets, their records, and the search for them.
pub struct Corpus {
    pub planted: Vec<Planted>,
    needles: Needles,
}

impl Corpus {
    /// Of all places.
    pub fn new(chance: &mut Chance) -> Self {
        let all = [
            cloudtrail::places(),
            k8s_audit::places(),
            vault_audit::places(),
            zeek::places(),
            own::places(),
            cloud::places(),
            provider::places(),
            forge::places(),
            host::places(),
        ];
        let places: Vec<Place> = all.into_iter().flatten().collect();
        let mut planted = place::plant(&places, EACH, chance);
        place::separate(&mut planted);
        let broken = broken::of(&place::plant(&places, 2, chance), chance);
        planted.extend(broken);
        Self::of(planted)
    }

    pub fn of(planted: Vec<Planted>) -> Self {
        let needles = Needles::new(planted.iter().map(|planted| planted.secret.core.as_str()));
        Self { planted, needles }
    }

    /// Writes the input files; gives their paths by format.
    pub fn write(&self, home: &Home) -> BTreeMap<&'static str, Vec<PathBuf>> {
        let mut files: BTreeMap<(&'static str, &str), String> = BTreeMap::new();
        for planted in &self.planted {
            let text = files.entry((planted.format, planted.file.as_str())).or_default();
            text.push_str(&planted.lines);
            text.push('\n');
        }
        let mut paths: BTreeMap<&'static str, Vec<PathBuf>> = BTreeMap::new();
        for ((format, file), text) in files {
            paths.entry(format).or_default().push(home.file(&format!("in/{file}"), text));
        }
        paths
    }

    /// Each secret is in its own record, as the search sees it. What is not found here could not be found there.
    pub fn is_found_in_the_input(&self) {
        for (index, planted) in self.planted.iter().enumerate() {
            let found = self.needles.find(planted.lines.as_bytes());
            assert!(
                found.keys().any(|(secret, _)| *secret == index),
                "the search does not see the {} of {:?} in {}",
                planted.secret.form,
                planted.place,
                planted.lines
            );
        }
    }

    /// Numbers by format: planted whole, planted in broken records.
    pub fn count(&self) -> BTreeMap<&'static str, (usize, usize)> {
        let mut count: BTreeMap<&'static str, (usize, usize)> = BTreeMap::new();
        for planted in &self.planted {
            let entry = count.entry(planted.format).or_default();
            if planted.file.contains("/broken-") { entry.1 += 1 } else { entry.0 += 1 }
        }
        count
    }

    /// What of the corpus stands in what was written: for each secret, where, how, and its neighbourhood.
    pub fn leaks(&self, written: &[super::written::Written]) -> BTreeMap<usize, Vec<String>> {
        // The search is most of the test's time: a line that was written several times is searched once, and every core takes parts as it is free.
        let fresh = fresh_lines(written);
        let next = std::sync::atomic::AtomicUsize::new(0);
        let search = || {
            let mut found = Vec::new();
            while let Some((part, bytes)) = fresh.get(next.fetch_add(1, std::sync::atomic::Ordering::Relaxed)) {
                let hits = if part.is_packed { self.needles.find_as_it_is(bytes) } else { self.needles.find(bytes) };
                found.extend(hits.into_iter().map(|((secret, encoding), around)| (secret, format!("{} ({encoding}): …{}…", part.at, around.escape_debug()))));
            }
            found
        };
        let cores = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
        let mut leaks: BTreeMap<usize, Vec<String>> = BTreeMap::new();
        std::thread::scope(|scope| {
            let searches: Vec<_> = (0..cores).map(|_| scope.spawn(search)).collect();
            for (secret, told) in searches.into_iter().flat_map(|search| search.join().unwrap()) {
                leaks.entry(secret).or_default().push(told);
            }
        });
        leaks
    }

    /// Records whose hash without a key stands in what was written: with the rest of the record known, a short secret is guessed from it.
    fn hashes(&self, written: &[super::written::Written]) -> Vec<String> {
        let hash = |line: &str| keytrail_schemas::Hash32::of(line.as_bytes()).to_string();
        let records: Vec<(usize, String)> = self
            .planted
            .iter()
            .enumerate()
            .flat_map(|(index, planted)| planted.lines.lines().map(move |line| (index, hash(line))).collect::<Vec<_>>())
            .collect();
        let automaton = aho_corasick::AhoCorasick::new(records.iter().map(|(_, hash)| hash)).unwrap();
        let found = |part: &super::written::Written| {
            automaton
                .find_iter(&part.bytes)
                .map(|hit| format!("{} in {}", self.planted[records[hit.pattern().as_usize()].0].place, part.at))
                .collect::<Vec<_>>()
        };
        written.iter().flat_map(found).collect()
    }

    /// Tells each leak, its record among them; gives how many secrets are found.
    pub fn told(&self, written: &[super::written::Written], what: &str) -> usize {
        let (known, leaks): (BTreeMap<_, _>, BTreeMap<_, _>) = self.leaks(written).into_iter().partition(|(secret, _)| is_known(&self.planted[*secret]));
        if !known.is_empty() {
            println!("{what}: {} secrets of known gaps are found again", known.len());
        }
        let mut by_format: BTreeMap<&str, usize> = BTreeMap::new();
        for secret in leaks.keys() {
            *by_format.entry(self.planted[*secret].format).or_default() += 1;
        }
        for (format, (whole, broken)) in self.count() {
            println!("{what}: {format}: {whole} secrets in records, {broken} in broken ones; found again: {}", by_format.get(format).copied().unwrap_or(0));
        }
        for (secret, places) in &leaks {
            let planted = &self.planted[*secret];
            println!("LEAK {} | {} | {} | {:?}", planted.format, planted.place, planted.secret.form, planted.secret.core);
            println!("  input {}", planted.lines.escape_debug());
            places.iter().take(3).for_each(|place| println!("  found {place}"));
        }
        leaks.len()
    }

    /// Fails where a secret is found, or the hash of a record that holds one.
    pub fn holds_none(&self, written: &[super::written::Written], what: &str) {
        let leaks = self.told(written, what);
        let hashes = self.hashes(written);
        hashes.iter().take(5).for_each(|hash| println!("HASH without a key: {hash}"));
        assert_eq!(leaks, 0, "{what}: so many of {} secrets stand in what was written", self.planted.len());
        assert!(hashes.is_empty(), "{what}: {} hashes of whole records stand in what was written", hashes.len());
    }
}

/// Of each part the lines that no part before it holds.
fn fresh_lines(written: &[super::written::Written]) -> Vec<(&super::written::Written, Vec<u8>)> {
    let mut seen = HashSet::new();
    let mut parts = Vec::new();
    for part in written {
        let lines = part.bytes.split_inclusive(|byte| *byte == b'\n').filter(|line| seen.insert(without_time(line)));
        parts.push((part, lines.flatten().copied().collect::<Vec<u8>>()));
    }
    let (before, after): (usize, usize) = parts.iter().fold((0, 0), |(before, after), (part, bytes)| (before + part.bytes.len(), after + bytes.len()));
    println!("searched {} MiB of {} MiB that were written", after >> 20, before >> 20);
    parts
}

/// A line of a log without the time that it begins with.
fn without_time(line: &[u8]) -> &[u8] {
    const TIME: usize = "2026-01-01T00:00:00.000000Z".len();
    if line.len() > TIME && line[4] == b'-' && line[10] == b'T' && line[TIME - 1] == b'Z' { &line[TIME..] } else { line }
}
