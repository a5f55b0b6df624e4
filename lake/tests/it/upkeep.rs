//! A lake keeps itself: rounds of upkeep, a log that stays short, what expires and what is held.

use std::path::Path;

use keytrail_lake::{Hold, Lake, Options, Retention, TableName, UpkeepOptions};
use keytrail_schemas::{DeadLetter, Micros, Topic};

use crate::sample::{START, active_files, events, read, stored_events};

async fn open(folder: &tempfile::TempDir) -> Lake {
    Lake::open(folder.path().to_str().unwrap(), Options::default()).await.unwrap()
}

async fn fill(lake: &Lake, offsets: std::ops::Range<i64>, per_day: i64, size: usize) {
    for batch in events(0, offsets, per_day).chunks(size) {
        lake.commit_events(batch, &[(Topic::Events, 0, batch.last().unwrap().log_offset + 1)]).await.unwrap();
    }
}

/// The clock, so many days after the sample begins.
fn day(days: i64) -> Micros {
    Micros(START.0 + days * Micros::DAY)
}

fn never() -> std::future::Pending<()> {
    std::future::pending()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_round_compacts_rolls_up_and_removes_and_the_next_one_has_nothing_to_do() {
    let folder = tempfile::tempdir().unwrap();
    let lake = open(&folder).await;
    // The open day has 70 small files, the two closed ones 15 each.
    fill(&lake, 0..300, 150, 10).await;
    fill(&lake, 300..370, 150, 1).await;
    let report = lake.upkeep(&UpkeepOptions::default(), day(3), never()).await.unwrap();
    assert_eq!((report.compaction.groups, report.roll_up.days), (2, 2), "{report:?}");
    assert!(report.removal.is_some(), "the first removal is due");
    // One for each closed day; of the open one as many as are merged at once became one.
    assert_eq!(active_files(folder.path(), TableName::Events).await.len(), 2 + 1 + 6);
    assert_eq!(stored_events(folder.path()).await, events(0, 0..370, 150));
    let again = lake.upkeep(&UpkeepOptions::default(), day(3), never()).await.unwrap();
    assert_eq!((again.compaction.groups, again.roll_up.days, again.removal), (0, 0, None), "{again:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn two_at_once_are_one() {
    let folder = tempfile::tempdir().unwrap();
    let lake = open(&folder).await;
    let held = folder.path().join("_state/upkeep/lease-00000000000000000007");
    std::fs::create_dir_all(held.parent().unwrap()).unwrap();
    // Another process holds the lease for another ten minutes.
    std::fs::write(&held, (day(0).0 + 10 * Micros::MINUTE).to_string()).unwrap();
    let options = UpkeepOptions::default();
    assert!(lake.upkeep(&options, day(0), never()).await.unwrap().elsewhere);
    // It died: the lease ran out, and is taken over.
    assert!(!lake.upkeep(&options, Micros(day(0).0 + 11 * Micros::MINUTE), never()).await.unwrap().elsewhere);
    assert!(!held.exists(), "the old lease is gone");
    // One of a clock that was years ahead does not stop all upkeep for years; nor does one that nobody can read.
    for text in [day(5_000).0.to_string(), "soon".to_owned()] {
        std::fs::write(&held, text).unwrap();
        assert!(!lake.upkeep(&options, day(0), never()).await.unwrap().elsewhere);
    }
    // A round that is told to stop gives the lease back.
    lake.upkeep(&options, day(0), std::future::ready(())).await.unwrap();
    assert!(!lake.upkeep(&options, day(0), never()).await.unwrap().elsewhere);
}

/// Adds commits to a table's log as a writer leaves them that stores nothing but how far it read.
fn add_commits(lake: &Path, versions: std::ops::Range<u64>) {
    for version in versions {
        let commit = format!(
            "{{\"commitInfo\":{{\"timestamp\":1767225600000,\"operation\":\"WRITE\"}}}}\n{{\"txn\":{{\"appId\":\"{}/0\",\"version\":{version}}}}}\n",
            Topic::Events
        );
        std::fs::write(lake.join(format!("events/_delta_log/{version:020}.json")), commit).unwrap();
    }
}

fn log_files(lake: &Path) -> usize {
    std::fs::read_dir(lake.join("events/_delta_log")).unwrap().count()
}

/// `KEYTRAIL_TEST_COMMITS` (default 700) sizes the log.
#[tokio::test(flavor = "multi_thread")]
async fn a_lake_of_very_many_commits_keeps_few_and_opens_fast() {
    #[expect(clippy::disallowed_methods, reason = "a test is sized from outside")]
    let commits: u64 = std::env::var("KEYTRAIL_TEST_COMMITS").ok().and_then(|text| text.parse().ok()).unwrap_or(700);
    let folder = tempfile::tempdir().unwrap();
    let lake = open(&folder).await;
    fill(&lake, 0..100, 50, 50).await;
    let behind = open(&folder).await;
    add_commits(folder.path(), 3..commits);
    let options = UpkeepOptions { log_kept_minutes: 0, ..UpkeepOptions::default() };
    let later = Micros(i64::MAX / 2);
    // Nobody wrote a checkpoint: the first round does, and the log gets shorter as soon as it lies behind.
    lake.upkeep(&options, later, never()).await.unwrap();
    add_commits(folder.path(), commits..commits + 600);
    lake.upkeep(&options, later, never()).await.unwrap();
    assert!(log_files(folder.path()) <= 2 * 500 + 110, "{} of {commits} are left", log_files(folder.path()));

    let begun = std::time::Instant::now();
    let opened = open(&folder).await;
    println!("{commits} commits: opened in {:.0} ms, {} files in the log", begun.elapsed().as_secs_f64() * 1e3, log_files(folder.path()));
    let next = i64::try_from(commits).unwrap() + 600;
    for lake in [&opened, &behind, &lake] {
        assert_eq!(lake.offsets(TableName::Events, Topic::Events).await.unwrap()[&0], next, "also who has not looked for long");
    }
    assert_eq!(stored_events(folder.path()).await, events(0, 0..100, 50));
    let more = events(0, next..next + 10, 50);
    behind.commit_events(&more, &[(Topic::Events, 0, next + 10)]).await.unwrap();
}

fn retention(events_days: u32, holds: Vec<Hold>) -> Retention {
    Retention { events_days, holds, ..Retention::default() }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_too_old_expires_and_what_is_held_stays() {
    let folder = tempfile::tempdir().unwrap();
    let lake = open(&folder).await;
    let all = events(0, 0..500, 50);
    fill(&lake, 0..500, 50, 100).await;
    lake.roll_up(&keytrail_lake::RollUpOptions::default()).await.unwrap();
    let who = &all[0].identity;
    let holds = vec![
        Hold { identity: who.to_string(), from: "2026-01-02".to_owned(), to: "2026-01-04".to_owned(), reason: "case 7".to_owned() },
        Hold { from: "2026-01-05T12:00:00Z".to_owned(), to: "2026-01-05T12:00:01Z".to_owned(), reason: "case 8".to_owned(), ..Hold::default() },
    ];
    // Ten days; four are kept; of the six before, of one identity two are held, and one whole.
    let rules = retention(4, holds);
    let dry = lake.expire(&rules, day(9), true).await.unwrap();
    assert_eq!(stored_events(folder.path()).await.len(), 500, "a dry run changes nothing");
    let done = lake.expire(&rules, day(9), false).await.unwrap();
    assert_eq!(done, dry);
    let stays = |event: &&keytrail_schemas::Event| {
        let day = event.time.day() - START.day();
        day >= 6 || day == 4 || (matches!(day, 1 | 2) && event.identity == *who)
    };
    let expected: Vec<_> = all.iter().filter(stays).cloned().collect();
    assert_eq!(stored_events(folder.path()).await, expected);
    assert_eq!(done.expired.iter().map(|gone| gone.rows).sum::<u64>(), 500 - expected.len() as u64);
    assert_eq!(done.kept, [("2026-01-05".to_owned(), "held, of everyone".to_owned())]);
    // It is written down, it is not done twice, and the roll-up follows.
    assert_eq!(lake.expiries().await.unwrap(), [(day(9), done)]);
    assert_eq!(lake.expire(&rules, day(9), false).await.unwrap().expired, []);
    lake.upkeep(&UpkeepOptions { retention: rules, ..UpkeepOptions::default() }, day(9), never()).await.unwrap();
    let check = lake.check_touches(false).await.unwrap();
    assert_eq!((check.disagreements.len(), check.events), (0, expected.len() as u64 - 50), "all but the open day: {check:?}");
    assert_eq!(stored_events(folder.path()).await, expected);
    // The hold is lifted.
    lake.expire(&retention(4, Vec::new()), day(9), false).await.unwrap();
    assert_eq!(stored_events(folder.path()).await, all[300..].to_vec());
    assert_eq!(lake.offsets(TableName::Events, Topic::Events).await.unwrap()[&0], 500, "what expired is not read again");
}

#[tokio::test(flavor = "multi_thread")]
async fn neither_a_clock_that_is_ahead_nor_an_event_from_the_future_lets_anything_expire() {
    let folder = tempfile::tempdir().unwrap();
    let lake = open(&folder).await;
    fill(&lake, 0..100, 50, 100).await;
    assert_eq!(lake.expire(&retention(30, Vec::new()), day(40_000), false).await.unwrap().expired, []);
    let mut future = events(0, 100..101, 50);
    future[0].time = day(40_000);
    lake.commit_events(&future, &[(Topic::Events, 0, 101)]).await.unwrap();
    assert_eq!(lake.expire(&retention(30, Vec::new()), day(2), false).await.unwrap().expired, []);
    let wrong = retention(1, vec![Hold { from: "last spring".to_owned(), ..Hold::default() }]);
    let error = lake.expire(&wrong, day(2), false).await.unwrap_err();
    assert!(error.to_string().contains("last spring"), "{error}");
    assert_eq!(stored_events(folder.path()).await.len(), 101, "a hold that cannot be read keeps everything");
}

#[tokio::test(flavor = "multi_thread")]
async fn dead_letters_expire_by_when_they_were_read() {
    let folder = tempfile::tempdir().unwrap();
    let lake = open(&folder).await;
    let letter = |i: i64| DeadLetter { dead_letter_id: i.to_string().into(), ingested_at: day(i), log_offset: i, ..DeadLetter::default() };
    for i in 0..10 {
        lake.commit_dead_letters(&[(i, letter(i))], &[(Topic::DeadLetters, 0, i + 1)]).await.unwrap();
    }
    let rules = Retention { dead_letters_days: 3, ..Retention::default() };
    assert_eq!(lake.expire(&rules, day(9), true).await.unwrap().expired[0].rows, 7);
    lake.expire(&rules, day(9), false).await.unwrap();
    let mut left: Vec<DeadLetter> = read(folder.path(), TableName::DeadLetters).await;
    left.sort_by_key(|letter| letter.log_offset);
    assert_eq!(left, (7..10).map(letter).collect::<Vec<_>>());
    assert_eq!(lake.expire(&rules, day(9), false).await.unwrap().expired, []);
}
