//! The one place that reads the wall clock. Everything else is told the time.

use keytrail_schemas::Micros;

/// Now, in UTC.
#[expect(clippy::disallowed_methods, reason = "the one home of the wall clock")]
pub fn now() -> Micros {
    let since_epoch = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap_or_default();
    Micros(i64::try_from(since_epoch.as_micros()).unwrap_or(i64::MAX))
}
