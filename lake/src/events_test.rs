//! Files of columns are, byte for byte, those of rows that were sorted as values.

use keytrail_schemas::{Event, EventColumns, EventRow, Micros, RecordBatch, Table, Text};
use parquet::errors::ParquetError;
use proptest::prelude::*;

use crate::TableName;
use crate::encode_columns::encode_columns;
use crate::events::Events;
use crate::parquet_file::{BATCH_ROWS, Layout, encode};

/// Some files have several row groups.
const LAYOUT: Layout = Layout::Sorted { row_group_rows: BATCH_ROWS * 2 };

prop_compose! {
    fn event()(
        who in 0_u8..6,
        time in prop_oneof![0_i64..4 * Micros::DAY, Just(0), Just(Micros::DAY - 1), Just(Micros::DAY)],
        texts in prop::collection::vec(prop::option::of("[a-c]{0,2}|arn:[a-z]{20}"), 6),
        raw in prop::option::of(".{0,60}"),
        partition in 0_i32..3,
        asn in prop::option::of(0_i64..9),
    ) -> Event {
        let text = |at: usize| texts[at].as_deref().map(Text::from);
        Event {
            identity: format!("identity-{who}").into(), time: Micros(time), log_partition: partition, raw, source_asn: asn,
            credential: text(0), destination: text(1), action: text(2), reason: text(3), source_ip: text(4), identity_account: text(5).unwrap_or_default(),
            ..Event::default()
        }
    }
}

fn batch(events: &[Event]) -> RecordBatch {
    let mut columns = EventColumns::new(0);
    events.iter().for_each(|event| columns.push(&EventRow::from(event)));
    columns.finish().unwrap()
}

/// The file that sorting values and converting them gives.
fn of_values(mut events: Vec<&Event>) -> Result<Vec<u8>, ParquetError> {
    events.sort_by_key(|event| (&event.identity, event.time, event.log_partition, event.log_offset));
    let batches = events.chunks(BATCH_ROWS).map(|rows| Event::to_batch(rows.iter().copied()));
    Ok(encode(TableName::Events, LAYOUT, &TableName::Events.file_schema(), batches)?.0)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn files_of_columns_are_files_of_rows(mut events in prop::collection::vec(event(), 1..120), times in 1_usize..60, cut in 1_usize..50) {
        // More rows than a batch of a file has, now and then.
        events = events.iter().cycle().take(events.len() * times).cloned().collect();
        for (offset, event) in (0..).zip(&mut events) {
            event.log_offset = offset;
        }
        let batches: Vec<RecordBatch> = events.chunks(events.len() / cut + 1).map(batch).chain([batch(&[])]).collect();
        let columns = Events::of(&batches).unwrap().unwrap();
        prop_assert!(columns.coordinates().eq(events.iter().map(|event| (event.log_partition, event.log_offset))));
        let days = columns.by_day();
        prop_assert_eq!(days.values().map(Vec::len).sum::<usize>(), events.len());
        for (day, rows) in days {
            let sorted = columns.sorted(&rows);
            let cells = |column: usize, rows: std::ops::Range<usize>| columns.cells(column, &sorted[rows]);
            let (bytes, _) = encode_columns(TableName::Events, LAYOUT, &columns.schema, sorted.len(), &cells).unwrap();
            prop_assert_eq!(bytes, of_values(events.iter().filter(|event| event.time.day() == day).collect()).unwrap());
        }
    }
}

#[test]
fn batches_that_are_none_of_events_are_refused() {
    let events = batch(&[Event::default()]);
    assert!(Events::of(&[]).unwrap().is_none());
    assert!(Events::of(&[batch(&[])]).unwrap().is_none());
    for strange in [events.project(&[0, 1]).unwrap(), Event::to_batch([&Event::default()]).unwrap()] {
        assert!(matches!(Events::of(std::slice::from_ref(&strange)), Err(crate::Error::Batch { .. })));
        assert!(matches!(Events::of(&[events.clone(), strange]), Err(crate::Error::Batch { .. })));
    }
}
