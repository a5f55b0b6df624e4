//! Order: a function of the input, whatever the threads, the bounds and the batches.

use std::path::PathBuf;

use keytrail_ingest::source::{Options, Reader};
use proptest::prelude::*;

use crate::tiny::{JSON, options, read_paths, record};

fn write(dir: &tempfile::TempDir, files: &[Vec<i64>]) -> PathBuf {
    for (number, times) in files.iter().enumerate() {
        let text: String = times.iter().enumerate().map(|(line, time)| record(*time, &format!("f{number}.{line}")) + "\n").collect();
        std::fs::write(dir.path().join(format!("{number:05}.json")), text).unwrap();
    }
    dir.path().to_path_buf()
}

#[test]
fn files_are_merged_by_time_and_ties_go_by_file() {
    let dir = tempfile::tempdir().unwrap();
    let path = write(&dir, &[vec![10, 20, 30], vec![5, 20, 40], vec![], vec![1]]);
    let read = read_paths(&[&path], options(&JSON));
    assert_eq!(read.who(), ["f3.0", "f1.0", "f0.0", "f0.1", "f1.1", "f0.2", "f1.2"]);
}

#[test]
fn disorder_within_a_file_stays_and_holds_nothing_up() {
    let dir = tempfile::tempdir().unwrap();
    let path = write(&dir, &[vec![10, 5, 30], vec![7, 8, 31]]);
    let read = read_paths(&[&path], options(&JSON));
    assert_eq!(read.who(), ["f1.0", "f1.1", "f0.0", "f0.1", "f0.2", "f1.2"]);
}

#[test]
fn a_bound_on_open_files_keeps_every_event_and_the_order_of_each_file() {
    let dir = tempfile::tempdir().unwrap();
    let files: Vec<Vec<i64>> = (0..40).map(|file| (0..50).map(|n| n * 100 + file).collect()).collect();
    let path = write(&dir, &files);
    let all = read_paths(&[&path], options(&JSON));
    assert!(all.events.is_sorted_by_key(|event| event.time));
    let mut narrow = options(&JSON);
    narrow.limits.open_files_max = 3;
    narrow.limits.peek_bytes_max = 0;
    let few = read_paths(&[&path], narrow);
    assert_eq!(few.events.len(), 2_000);
    let mut ids: Vec<_> = few.events.iter().map(|event| event.event_id).collect();
    let mut all_ids: Vec<_> = all.events.iter().map(|event| event.event_id).collect();
    ids.sort();
    all_ids.sort();
    assert_eq!(ids, all_ids);
}

#[test]
fn a_folder_of_many_small_files_is_cheap() {
    let dir = tempfile::tempdir().unwrap();
    let files: Vec<Vec<i64>> = (0..20_000_i64).map(|file| vec![(file * 7_919) % 20_000]).collect();
    let path = write(&dir, &files);
    let begin = std::time::Instant::now();
    let mut small_memory = options(&JSON);
    small_memory.limits.peek_bytes_max = 4 << 20;
    let read = read_paths(&[&path], small_memory);
    assert_eq!(read.events.len(), 20_000);
    assert!(read.events.is_sorted_by_key(|event| event.time));
    println!("20,000 files of one event: {:?}", begin.elapsed());
    assert!(begin.elapsed().as_secs() < 60);
}

#[test]
fn an_interrupted_reader_stops_between_batches() {
    let dir = tempfile::tempdir().unwrap();
    let path = write(&dir, &[(0..10_000).collect()]);
    let mut small = options(&JSON);
    small.limits.batch_events_max = 100;
    let mut reader = Reader::open(&[path.display().to_string()], small).unwrap();
    let progress = reader.progress();
    let first = reader.next().unwrap();
    assert_eq!(first.events.len(), 100);
    progress.interrupt();
    assert!(reader.next().is_none());
    assert!(reader.next().is_none());
    assert_eq!(reader.counts().read(), 100);
}

#[test]
fn progress_tells_how_far_it_is() {
    use std::sync::atomic::Ordering::Relaxed;
    let dir = tempfile::tempdir().unwrap();
    let path = write(&dir, &[(0..5_000).collect(), (0..10).collect()]);
    let mut reader = Reader::open(&[path.display().to_string()], options(&JSON)).unwrap();
    let progress = reader.progress();
    let total = progress.bytes_total.load(Relaxed);
    assert!(total > 100_000);
    while reader.next().is_some() {
        assert!(progress.bytes_read.load(Relaxed) <= total);
        assert!(progress.current().contains(".json"));
    }
    assert_eq!(progress.bytes_read.load(Relaxed), total);
    assert_eq!((progress.files_total.load(Relaxed), progress.files_done.load(Relaxed), progress.events.load(Relaxed)), (2, 2, 5_010));
}

fn shaken(threads: usize, batch: usize, unit_records: usize, unit_bytes: usize, ahead: usize, peek: usize, open: usize) -> Options {
    let mut options = options(&JSON);
    options.threads = threads;
    options.limits.batch_events_max = batch;
    options.limits.unit_records_max = unit_records;
    options.limits.unit_bytes_max = unit_bytes;
    options.limits.units_ahead_max = ahead;
    options.limits.peek_bytes_max = peek;
    options.limits.open_files_max = open;
    options
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 40, ..ProptestConfig::default() })]
    #[test]
    fn nothing_but_the_input_decides_the_output(
        files in prop::collection::vec(prop::collection::vec(0_i64..50, 0..200), 1..12),
        threads in 1_usize..5, batch in 1_usize..300, unit_records in 1_usize..100, unit_bytes in 1_usize..4_000, ahead in 1_usize..20, peek in 0_usize..100_000, open in 1_usize..8,
    ) {
        let dir = tempfile::tempdir().unwrap();
        let path = write(&dir, &files);
        let expected = read_paths(&[&path], shaken(1, 1_000_000, 1_000_000, 1 << 30, 1, 1 << 30, open));
        let read = read_paths(&[&path], shaken(threads, batch, unit_records, unit_bytes, ahead, peek, open));
        prop_assert_eq!(&read.events, &expected.events);
        prop_assert_eq!(&read.counts, &expected.counts);
        let sum: usize = files.iter().map(Vec::len).sum();
        prop_assert_eq!(read.events.len(), sum);
    }
}
