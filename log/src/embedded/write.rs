//! Writing: what is new of a batch, as one atomic batch of the store; and the ids by which that is known.

use fjall::{OwnedWriteBatch, PersistMode};
use keytrail_schemas::{DeadLetter, Event, LogRecord, Micros, Topic};
use rustc_hash::FxHashSet;

use super::super::{Appended, Error};
use super::dedupe::{Id, Index, Load};
use super::pack::{self, Packed, Packers, Piece};
use super::store::{self, Store, part_key, part_of, record_key};
use super::sync::Syncer;
use super::tail::Run;
use super::{EmbeddedLog, Fsync, Writer, hold, to_json};

impl EmbeddedLog {
    pub(super) fn append_new(
        &self,
        writer: &mut Writer,
        index: &mut Index,
        events: Vec<Box<Event>>,
        dead_letters: Vec<DeadLetter>,
        position: Option<(&str, &[u8])>,
    ) -> Result<Appended, Error> {
        let mut appended = Appended::default();
        let partitions = usize::try_from(self.store.partitions).unwrap_or(1);
        let mut records: Vec<Vec<LogRecord>> = (0..partitions).map(|_| Vec::new()).collect();
        let mut letters: Vec<Vec<DeadLetter>> = (0..partitions).map(|_| Vec::new()).collect();
        let mut ids: Vec<Id> = Vec::with_capacity(events.len() + dead_letters.len());
        let mut in_batch: FxHashSet<Id> = FxHashSet::with_capacity_and_hasher(events.len() + dead_letters.len(), rustc_hash::FxBuildHasher);
        let mut ingested_at = Micros(0);
        if let Some(room) = records.first_mut()
            && partitions == 1
        {
            room.reserve(events.len());
        }
        for event in events {
            let id = event.event_id.0;
            if !in_batch.insert(id) || index.contains(&id, &self.store)? {
                appended.duplicate += 1;
                appended.of(&event.format).duplicate += 1;
                continue;
            }
            ids.push(id);
            appended.stored += 1;
            appended.of(&event.format).stored += 1;
            ingested_at = ingested_at.max(event.ingested_at);
            if let Some(room) = records.get_mut(partition_of(&event.identity, partitions)) {
                room.push(LogRecord::Event(event));
            }
        }
        for letter in dead_letters {
            let id = dead_letter_id(&letter);
            if !in_batch.insert(id) || index.contains(&id, &self.store)? {
                appended.duplicate_dead_letters += 1;
                appended.of(&letter.format).dead_lettered += 1;
                continue;
            }
            ids.push(id);
            appended.dead_lettered += 1;
            appended.of(&letter.format).dead_lettered += 1;
            ingested_at = ingested_at.max(letter.ingested_at);
            if let Some(room) = letters.get_mut(partition_of(&letter.path, partitions)) {
                room.push(letter);
            }
        }
        let mut batch = self.store.db.batch();
        if let Some((source, position)) = position {
            batch.insert(&self.store.meta, source_key(source), position);
        }
        if ids.is_empty() {
            return if batch.is_empty() { Ok(appended) } else { self.commit(writer, batch).map(|()| appended) };
        }

        let (mut grown, mut pieces) = (Vec::new(), Vec::new());
        for (partition, (records, letters)) in (0_i32..).zip(records.into_iter().zip(letters)) {
            if !records.is_empty() {
                let (_, mut end) = self.bounds_of(Topic::Events, partition)?;
                for records in cut(records, pack::PIECE_RECORDS) {
                    let count = i64::try_from(records.len()).unwrap_or(0);
                    pieces.push(Piece { partition, first_offset: end, records });
                    end += count;
                }
                grown.push((Topic::Events, partition, end));
            }
            if !letters.is_empty() {
                let (_, mut end) = self.bounds_of(Topic::DeadLetters, partition)?;
                for mut letter in letters {
                    letter.log_partition = partition;
                    letter.log_offset = end;
                    batch.insert(&self.store.dead_letters, record_key(partition, end), to_json(&letter, &self.store)?);
                    end += 1;
                }
                grown.push((Topic::DeadLetters, partition, end));
            }
        }
        let runs = self.write_pieces(&mut batch, pieces)?;
        let (segment, part) = index.next_part();
        batch.insert(&self.store.ids, part_key(segment, part), encode_ids(ingested_at, &ids));
        self.commit(writer, batch)?;
        index.add(&ids, ingested_at);
        self.publish(&grown, runs);
        self.forget_expired(writer, index)?;
        Ok(appended)
    }

    /// Deletes segments of ids that lie behind the horizon. A crash before it leaves them to be dropped at the next append.
    pub(super) fn forget_expired(&self, writer: &mut Writer, index: &mut Index) -> Result<(), Error> {
        let mut batch = self.store.db.batch();
        while let Some(segment) = index.pop_expired() {
            for part in 0..segment.parts {
                batch.remove(&self.store.ids, part_key(segment.number, part));
            }
        }
        if batch.is_empty() { Ok(()) } else { self.commit(writer, batch) }
    }

    /// Packs records, many of them on the log's own threads, and puts their blocks into the batch; what goes to the tail is returned.
    pub(super) fn write_pieces(&self, batch: &mut OwnedWriteBatch, pieces: Vec<Piece>) -> Result<Vec<(i32, Run)>, Error> {
        let failed = |message: String| store::storage(&self.store.path, message);
        let packed = if pieces.iter().map(|piece| piece.records.len()).sum::<usize>() <= pack::INLINE_RECORDS_MAX {
            let mut block = hold(&self.packing);
            pieces.into_iter().map(|piece| pack::pack(piece, self.options.bounds(), &mut block)).collect::<Result<_, _>>()
        } else {
            self.packers()?.pack(pieces)
        };
        let mut runs = Vec::new();
        for Packed { partition, blocks, run } in packed.map_err(failed)? {
            for (first_offset, block) in blocks {
                batch.insert(&self.store.events, record_key(partition, first_offset), block);
            }
            runs.push((partition, run));
        }
        Ok(runs)
    }

    fn packers(&self) -> Result<&Packers, Error> {
        if let Some(packers) = self.packers.get() {
            return Ok(packers);
        }
        // One append at a time comes here.
        let packers = Packers::start(self.options.bounds()).map_err(|error| store::io(&self.store.path, &error))?;
        Ok(self.packers.get_or_init(|| packers))
    }

    /// Commits a batch. After a failure nothing is accepted any more, and every later append says why.
    pub(super) fn commit(&self, writer: &mut Writer, batch: OwnedWriteBatch) -> Result<(), Error> {
        let refused = |failure: &str| {
            store::storage(
                &self.store.path,
                format!(
                    "an earlier write failed, and nothing is accepted since then ({failure}): remove the cause and start again; everything that was acknowledged is there"
                ),
            )
        };
        if let Some(failure) = &writer.failure {
            return Err(refused(failure));
        }
        let mode = if self.options.fsync == Fsync::EveryAppend { PersistMode::SyncData } else { PersistMode::Buffer };
        if let Err(error) = batch.durability(Some(mode)).commit() {
            let error = self.store.error(&error);
            writer.failure = Some(error.to_string());
            return Err(error);
        }
        if let Some(failure) = self.syncer.as_ref().and_then(Syncer::appended) {
            writer.failure = Some(failure.clone());
            return Err(refused(&failure));
        }
        Ok(())
    }

    /// Makes what was committed visible.
    pub(super) fn publish(&self, grown: &[(Topic, i32, i64)], runs: Vec<(i32, Run)>) {
        let mut old = Vec::new();
        for (partition, run) in runs {
            if let Some(mut tail) = self.tail(partition) {
                tail.push(run, &mut old);
            }
        }
        if let Some(packers) = self.packers.get().filter(|_| !old.is_empty()) {
            packers.forget(old);
        }
        let mut bounds = hold(&self.bounds);
        for (topic, partition, end) in grown {
            if let Some(entry) = bounds.get_mut(&(*topic, *partition)) {
                entry.1 = *end;
            }
        }
        drop(bounds);
        self.grown.notify_all();
    }

    pub(super) fn load_index(&self) -> Result<Index, Error> {
        let mut index = Index::new(self.options.horizon());
        for guard in self.store.ids.iter() {
            let (key, value) = guard.into_inner().map_err(|error| self.store.error(&error))?;
            let (segment, part) = part_of(&key).ok_or_else(|| store::storage(&self.store.path, "a key of the index of ids is damaged"))?;
            let (ingested_at, ids) = decode_ids(&value)
                .ok_or_else(|| store::storage(&self.store.path, format!("part {part} of segment {segment} of the index of ids is damaged")))?;
            index.add_part(segment, part, ids, ingested_at);
        }
        Ok(index)
    }
}

/// Cuts records into runs of at most `count_max`.
fn cut(records: Vec<LogRecord>, count_max: usize) -> Vec<Vec<LogRecord>> {
    if records.len() <= count_max {
        return vec![records];
    }
    let mut rest = records.into_iter();
    std::iter::from_fn(|| Some(rest.by_ref().take(count_max).collect::<Vec<_>>()).filter(|piece| !piece.is_empty())).collect()
}

impl Load for Store {
    fn load(&self, number: u64) -> Result<Vec<Id>, Error> {
        let mut out = Vec::new();
        for guard in self.ids.prefix(number.to_be_bytes()) {
            let value = guard.value().map_err(|error| self.error(&error))?;
            let (_, ids) = decode_ids(&value).ok_or_else(|| store::storage(&self.path, format!("segment {number} of the index of ids is damaged")))?;
            out.extend_from_slice(ids);
        }
        Ok(out)
    }
}

/// The partition of a key: FNV-1a (64 bits) with a final mix, modulo the number of partitions. It never changes.
pub(super) fn partition_of(key: &str, partitions: usize) -> usize {
    if partitions == 1 {
        return 0;
    }
    let hash = key.bytes().fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3));
    let mixed = (hash ^ (hash >> 33)).wrapping_mul(0xff51_afd7_ed55_8ccd);
    usize::try_from((mixed ^ (mixed >> 33)) % partitions as u64).unwrap_or(0)
}

/// The 16 bytes of a dead letter's id; of an id that is not 32 hex digits, their hash.
pub(in super::super) fn dead_letter_id(letter: &DeadLetter) -> Id {
    let mut id = [0; 16];
    if hex::decode_to_slice(letter.dead_letter_id.as_bytes(), &mut id).is_err() {
        blake3::Hasher::new().update(letter.dead_letter_id.as_bytes()).finalize_xof().fill(&mut id);
    }
    id
}

/// The key of a live source's position.
pub(super) fn source_key(source: &str) -> String {
    format!("source\0{source}")
}

/// A part of the index of ids as a value of the store.
pub(in super::super) fn encode_ids(ingested_at: Micros, ids: &[Id]) -> Vec<u8> {
    let mut out = Vec::with_capacity(8 + 16 * ids.len());
    out.extend_from_slice(&ingested_at.0.to_le_bytes());
    out.extend_from_slice(ids.as_flattened());
    out
}

/// When the newest was ingested, and the ids; `None` when the value is damaged.
pub(in super::super) fn decode_ids(value: &[u8]) -> Option<(Micros, &[Id])> {
    let (ingested_at, ids) = value.split_first_chunk::<8>()?;
    let (ids, rest) = ids.as_chunks::<16>();
    rest.is_empty().then_some((Micros(i64::from_le_bytes(*ingested_at)), ids))
}
