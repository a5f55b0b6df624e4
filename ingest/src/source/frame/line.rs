//! Lines: ended by LF or CRLF, the last one by the end of the file unless that may grow. Empty ones are passed over.

use std::io::Read;

use super::{Found, Swallow, Window};
use crate::source::fault::Fault;
use keytrail_schemas::Reason;

/// The next line.
pub(super) fn find<R: Read>(window: &mut Window<R>) -> Found {
    let mut looked_at = 0;
    loop {
        let data = window.data();
        let found = data.get(looked_at..).and_then(|rest| memchr::memchr(b'\n', rest)).map(|at| looked_at + at);
        let length = found.unwrap_or(data.len());
        if length > window.record_bytes_max {
            let fault = window.too_long();
            let mut swallow = Swallow::new(window);
            swallow.take_line(window);
            return Found::Damaged(swallow.finish(fault));
        }
        if found.is_none() {
            looked_at = length;
            if window.fill() {
                continue;
            }
            if window.fault.is_some() {
                let fault = window.take_fault_or(|| Fault::new(Reason::Truncated, "the file breaks off"));
                return Found::Damaged(window.damaged(length, fault));
            }
            if length == 0 || window.is_open {
                return Found::End;
            }
        }
        let line = window.data().get(..length).unwrap_or_default();
        let kept = line.trim_ascii_end().len();
        let place = window.place();
        let start = window.start;
        window.consume_line(length + usize::from(found.is_some()), found.is_some());
        looked_at = 0;
        if kept > 0 {
            return Found::Record { start, end: start + kept, place };
        }
    }
}
