//! `keytrail compact`: the lake's upkeep by hand. Closed days rewritten for questions and rolled up; the roll-up held against the events; what is
//! older than it is to be kept removed.

use keytrail_lake::{CheckReport, CompactOptions, ExpiryReport, Lake, RollUpOptions, RollUpReport};
use keytrail_schemas::Micros;

use crate::cli::Compact;
use crate::config::Config;
use crate::exit::Code;
use crate::shown::shown;

/// Does what the arguments ask for, and says what it did.
pub fn run(config: &Config, arguments: &Compact) -> anyhow::Result<Code> {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build()?;
    runtime.block_on(async {
        let lake = crate::place::lake(config).await?;
        if arguments.check {
            return check(&lake, config, arguments.dry_run).await;
        }
        if arguments.expire {
            let report = lake.expire(&config.store.retention, crate::clock::now(), arguments.dry_run).await?;
            tell_expiry(&report, arguments.dry_run);
            return Ok(Code::Done);
        }
        let options = CompactOptions { all: arguments.all, first_bytes_min: 0, ..CompactOptions::default() };
        let compacted = lake.compact(options).await?;
        let rolled = lake.roll_up(&RollUpOptions { all: arguments.all, ..RollUpOptions::default() }).await?;
        if !config.quiet {
            eprintln!("{compacted:#?}");
            tell_roll_up(&rolled);
        }
        Ok(Code::Done)
    })
}

/// Ends with 1 where the roll-up disagreed and was not to be mended.
async fn check(lake: &Lake, config: &Config, dry_run: bool) -> anyhow::Result<Code> {
    let report = lake.check_touches(!dry_run).await?;
    if !config.quiet || !report.disagreements.is_empty() {
        tell_check(&report);
    }
    Ok(if report.unreadable.is_empty() && (report.disagreements.is_empty() || report.mended.is_some()) { Code::Done } else { Code::DoesNotHold })
}

fn tell_check(report: &CheckReport) {
    for wrong in &report.disagreements {
        println!("{} of {} in {}: {}", wrong.table, date(wrong.day), shown(&wrong.file), shown(&wrong.what));
    }
    for (day, why) in &report.unreadable {
        println!("{}: its events cannot be read: {}", date(*day), shown(why));
    }
    println!("{} days of {} events are rolled up; {} disagree with their events", report.days, report.events, report.disagreements.len());
    if let Some(mended) = &report.mended {
        tell_roll_up(mended);
    }
}

fn tell_roll_up(report: &RollUpReport) {
    eprintln!("rolled up {} days: {} events to {} touches, {} bytes", report.days, report.events, report.touches, report.bytes);
    for (day, why) in &report.days_left {
        eprintln!("{} is left to its events: {}", date(*day), shown(why));
    }
}

fn tell_expiry(report: &ExpiryReport, dry_run: bool) {
    let verb = if dry_run { "would expire" } else { "expired" };
    for gone in &report.expired {
        println!("{} {}: {} rows {verb}, {} bytes; {} rows are held", gone.table, gone.day, gone.rows, gone.bytes, gone.rows_held);
    }
    for (what, why) in &report.kept {
        println!("{what} is kept: {}", shown(why));
    }
    println!("{} rows {verb}", report.expired.iter().map(|gone| gone.rows).sum::<u64>());
}

fn date(day: i64) -> String {
    Micros(day.saturating_mul(Micros::DAY)).date()
}
