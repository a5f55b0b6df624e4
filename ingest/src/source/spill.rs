//! Originals of great records that wait for their turn. The merge has to know when the next event of every open file happened, and so holds one of each:
//! where that would be more memory than is allowed, the originals wait in a file.

use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};

use super::unit::Unit;

/// An original of more bytes than this is great.
const GREAT_BYTES: usize = 256 << 10;

/// What is held in memory, and the file for the rest.
#[derive(Debug)]
pub struct Spill {
    dir: Option<PathBuf>,
    bytes_max: u64,
    held: AtomicU64,
    file: Mutex<Room>,
}

#[derive(Debug, Default)]
struct Room {
    file: Option<File>,
    end: u64,
    /// Originals that are in it; where there are none, it is filled anew from its beginning.
    count: u64,
}

/// An original that waits in the file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Waiting {
    /// Number of its event within the unit.
    pub event: usize,
    offset: u64,
    bytes: usize,
}

impl Spill {
    /// Holds up to `bytes_max` bytes in memory, and the rest in a file without a name in `dir`; everything in memory where there is no folder.
    pub fn new(dir: Option<&Path>, bytes_max: u64) -> Self {
        Self { dir: dir.map(Path::to_path_buf), bytes_max, held: AtomicU64::new(0), file: Mutex::default() }
    }

    /// Takes a unit's great originals into account; those for which there is no room leave it. A disk that takes nothing leaves them in memory.
    pub fn take(&self, unit: &mut Unit) {
        if unit.items.iter().all(|item| (item.bytes as usize) < GREAT_BYTES) {
            return;
        }
        for (event, number) in unit.events.iter_mut().zip(0..) {
            let Some(raw) = event.raw.as_ref().filter(|raw| raw.len() >= GREAT_BYTES) else { continue };
            let bytes = raw.len() as u64;
            if self.held.fetch_add(bytes, Ordering::AcqRel) + bytes <= self.bytes_max {
                unit.held_bytes += bytes;
                continue;
            }
            match self.write(raw.as_bytes()) {
                Ok(Some(offset)) => {
                    self.held.fetch_sub(bytes, Ordering::AcqRel);
                    unit.waiting.push_back(Waiting { event: number, offset, bytes: raw.len() });
                    event.raw = None;
                }
                Ok(None) | Err(_) => unit.held_bytes += bytes,
            }
        }
    }

    /// A unit's originals have been handed on.
    pub fn release(&self, held_bytes: u64) {
        self.held.fetch_sub(held_bytes, Ordering::AcqRel);
    }

    /// The original that waited.
    ///
    /// # Errors
    /// When the file cannot be read.
    pub fn read(&self, waiting: Waiting) -> io::Result<String> {
        let mut room = self.file.lock().unwrap_or_else(PoisonError::into_inner);
        room.count -= 1;
        if room.count == 0 {
            room.end = 0;
        }
        let mut bytes = vec![0; waiting.bytes];
        if let Some(file) = &mut room.file {
            file.seek(SeekFrom::Start(waiting.offset))?;
            file.read_exact(&mut bytes)?;
        }
        String::from_utf8(bytes).map_err(io::Error::other)
    }

    fn write(&self, bytes: &[u8]) -> io::Result<Option<u64>> {
        let Some(dir) = &self.dir else { return Ok(None) };
        let mut room = self.file.lock().unwrap_or_else(PoisonError::into_inner);
        if room.file.is_none() {
            let path = dir.join(format!("waiting-{}-{:p}", std::process::id(), self));
            let file = File::options().create_new(true).read(true).write(true).open(&path)?;
            // Nobody else reads it, and nothing of it stays when the process ends.
            let _ = std::fs::remove_file(&path);
            room.file = Some(file);
        }
        let offset = room.end;
        if let Some(file) = &mut room.file {
            file.seek(SeekFrom::Start(offset))?;
            file.write_all(bytes)?;
        }
        room.end += bytes.len() as u64;
        room.count += 1;
        Ok(Some(offset))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::source::unit::{Item, Kind};
    use keytrail_schemas::{Event, Micros};

    fn unit(sizes: &[usize]) -> Unit {
        let item = |bytes: &usize| Item { time: Micros(0), format: "x", events: 1, letters: 0, bytes: u32::try_from(*bytes).unwrap(), kind: Kind::Yielded };
        let event = |bytes: &usize| Box::new(Event { raw: Some("r".repeat(*bytes)), ..Event::default() });
        Unit { items: sizes.iter().map(item).collect(), events: sizes.iter().map(event).collect(), ..Unit::default() }
    }

    #[test]
    fn what_has_no_room_waits_and_comes_back() {
        let dir = tempfile::tempdir().unwrap();
        let spill = Spill::new(Some(dir.path()), 600 << 10);
        let mut one = unit(&[10, 300 << 10, 400 << 10, 20]);
        spill.take(&mut one);
        assert_eq!((one.held_bytes, one.waiting.len(), one.waiting[0].event), (300 << 10, 1, 2));
        assert_eq!(one.events[2].raw, None);
        let mut other = unit(&[301 << 10]);
        spill.take(&mut other);
        assert_eq!(other.waiting.len(), 1);
        assert_eq!(spill.read(other.waiting[0]).unwrap(), "r".repeat(301 << 10));
        assert_eq!(spill.read(one.waiting[0]).unwrap(), "r".repeat(400 << 10));
        spill.release(one.held_bytes);
        let mut third = unit(&[600 << 10]);
        spill.take(&mut third);
        assert!(third.waiting.is_empty(), "there is room again");
        assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 0, "the file has no name");
    }

    #[test]
    fn what_the_disk_lost_is_an_error_and_the_next_is_found() {
        let dir = tempfile::tempdir().unwrap();
        let spill = Spill::new(Some(dir.path()), 0);
        let mut lost = unit(&[300 << 10]);
        spill.take(&mut lost);
        spill.file.lock().unwrap().file.as_ref().unwrap().set_len(0).unwrap();
        assert!(spill.read(lost.waiting[0]).is_err());
        let mut next = unit(&[301 << 10]);
        spill.take(&mut next);
        assert_eq!(spill.read(next.waiting[0]).unwrap(), "r".repeat(301 << 10));
    }

    #[test]
    fn where_no_disk_takes_it_it_stays_in_memory() {
        for spill in [Spill::new(None, 0), Spill::new(Some(Path::new("/nowhere/at/all")), 0)] {
            let mut one = unit(&[300 << 10]);
            spill.take(&mut one);
            assert!(one.waiting.is_empty() && one.events[0].raw.is_some());
        }
    }
}
