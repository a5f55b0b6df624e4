//! What one file's events were told before: their addresses repeat, and a look-up in a tree of hundreds of megabytes is worth saving.

use std::net::IpAddr;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use keytrail_schemas::{Event, Text};
use rustc_hash::FxHashMap;

use super::Enrich;
use super::database::{Database, Known};

/// Addresses that are remembered; beyond it all are forgotten.
const ADDRESSES_MAX: usize = 4_096;

/// See the module.
pub struct Memory {
    enrich: Arc<Enrich>,
    used: Arc<Vec<Database>>,
    generation: u64,
    known: FxHashMap<Text, Known>,
}

impl Memory {
    /// A memory of nothing.
    pub fn new(enrich: &Arc<Enrich>) -> Self {
        let generation = enrich.generation.load(Ordering::Acquire);
        Self { enrich: Arc::clone(enrich), used: enrich.used(), generation, known: FxHashMap::default() }
    }

    /// Adds country and autonomous system of the source address, where the record does not say them itself.
    pub fn complete(&mut self, event: &mut Event) {
        let Some(address) = event.source_ip.as_ref().filter(|_| event.source_country.is_none() || event.source_asn.is_none()) else { return };
        let generation = self.enrich.generation.load(Ordering::Acquire);
        if generation != self.generation {
            self.generation = generation;
            self.used = self.enrich.used();
            self.known.clear();
        }
        let known = match self.known.get(address) {
            Some(known) => known,
            None => {
                if self.known.len() >= ADDRESSES_MAX {
                    self.known.clear();
                }
                let known = look_up(&self.used, address);
                self.known.entry(address.clone()).or_insert(known)
            }
        };
        if event.source_country.is_none() {
            event.source_country.clone_from(&known.country);
        }
        if event.source_asn.is_none() {
            event.source_asn = known.asn;
        }
    }
}

fn look_up(databases: &[Database], address: &str) -> Known {
    let mut all = Known::default();
    let Ok(address) = address.parse::<IpAddr>() else { return all };
    for database in databases {
        let Known { country, asn } = database.look_up(address.to_canonical());
        all.country = all.country.or(country);
        all.asn = all.asn.or(asn);
    }
    all
}
