//! The frame of a syslog line: when, where, which program, what it says. What the message means is the matter of the format that reads it.
//!
//! | shape | example |
//! |---|---|
//! | RFC 5424, with or without an octet count before it | `<34>1 2026-11-22T12:00:00.003Z host sshd 312 - - Accepted …` |
//! | RFC 3164, with or without a priority, also with a fraction or a year | `<34>Nov 22 12:00:00 host sshd[312]: Accepted …` |
//! | rsyslog's file and forward formats | `2026-11-22T12:00:00.123456+01:00 host sshd[312]: Accepted …` |
//! | macOS, classic and `log show --style syslog` | `Nov 22 12:00:00 host sshd[312] <Info>: …`, `2026-11-22 12:00:00.123456+0100  host sshd[312]: (lib) …` |
//! | journald's export as JSON | `{"__REALTIME_TIMESTAMP":"…","_HOSTNAME":"host","SYSLOG_IDENTIFIER":"sshd","MESSAGE":"Accepted …"}` |
//!
//! A time without a zone is taken for UTC. One without a year gets it from what is near (`year`).

mod stamp;
pub(crate) mod year;

pub(crate) use self::stamp::Stamp;

/// A line, cut. All parts are slices of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Line<'l> {
    pub(crate) stamp: Stamp,
    /// The time as it stands.
    pub(crate) time: &'l str,
    pub(crate) host: Option<&'l str>,
    pub(crate) program: Option<&'l str>,
    pub(crate) pid: Option<&'l str>,
    pub(crate) message: &'l str,
}

impl<'l> Line<'l> {
    /// Cuts a line; `None` when it does not begin as one.
    pub(crate) fn of(line: &'l str) -> Option<Self> {
        let line = line.trim_start_matches('\u{feff}').trim_end_matches(['\r', '\n', '\0']);
        let line = match line.split_once(' ') {
            // The octet count of RFC 6587.
            Some((count, rest)) if rest.starts_with('<') && (1..=6).contains(&count.len()) && count.bytes().all(|b| b.is_ascii_digit()) => rest,
            _ => line,
        };
        let rest = match line.strip_prefix('<').and_then(|rest| rest.split_once('>')) {
            Some((priority, rest)) if (1..=3).contains(&priority.len()) && priority.bytes().all(|b| b.is_ascii_digit()) => rest,
            Some(_) => return None,
            None => line,
        };
        if let Some(rest) = rest.strip_prefix("1 ")
            && let Some(line) = structured(rest)
        {
            return Some(line);
        }
        let (stamp, time, rest) = stamp::leading(rest)?;
        let rest = rest.trim_start_matches(' ');
        let (host, rest) = host(rest);
        let (program, pid, message) = tag(rest);
        Some(Self { stamp, time, host, program, pid, message })
    }
}

/// What stands behind the version of RFC 5424.
fn structured(rest: &str) -> Option<Line<'_>> {
    let mut words = rest.splitn(6, ' ');
    let time = words.next()?;
    let (stamp, _, behind) = stamp::leading(time)?;
    if !behind.is_empty() {
        return None;
    }
    let named = |word: &str| !word.is_empty() && word != "-";
    let host = words.next().filter(|word| named(word));
    let program = words.next().filter(|word| named(word));
    let pid = words.next().filter(|word| named(word));
    let _message_id = words.next()?;
    let rest = words.next().unwrap_or_default();
    let message = after_elements(rest)?;
    Some(Line { stamp, time, host, program, pid, message: message.trim_start_matches([' ', '\u{feff}']) })
}

/// What stands behind the structured data: `-`, or elements in brackets, in whose quoted values a `]` is escaped.
fn after_elements(rest: &str) -> Option<&str> {
    if let Some(rest) = rest.strip_prefix('-') {
        return Some(rest);
    }
    let bytes = rest.as_bytes();
    let (mut at, mut open, mut quoted) = (0, false, false);
    while let Some(byte) = bytes.get(at) {
        match byte {
            b'\\' if quoted => at += 1,
            b'"' if open => quoted = !quoted,
            b'[' if !open => open = true,
            b']' if open && !quoted => {
                open = false;
                if bytes.get(at + 1) != Some(&b'[') {
                    return rest.get(at + 1..);
                }
            }
            _ if !open => return Some(rest),
            _ => {}
        }
        at += 1;
    }
    // Cut within the elements.
    rest.is_empty().then_some(rest)
}

/// The host, unless the line goes on with a program at once, or with a severity in its place.
fn host(rest: &str) -> (Option<&str>, &str) {
    const SEVERITIES: &[&str] = &["EMERG", "ALERT", "CRIT", "ERR", "WARNING", "NOTICE", "INFO", "DEBUG"];
    let Some((word, behind)) = rest.split_once(' ') else { return (None, rest) };
    if SEVERITIES.contains(&word) {
        return (None, behind.trim_start_matches(' '));
    }
    let is_program = word.ends_with(':') || word.ends_with(']') || word.is_empty() || word.starts_with("---");
    if is_program { (None, rest) } else { (Some(word), behind.trim_start_matches(' ')) }
}

/// `program[pid]: message`, `program: message`, `program[pid] <Info>: message`.
fn tag(rest: &str) -> (Option<&str>, Option<&str>, &str) {
    let end = rest.find([' ', ':', '[']).unwrap_or(rest.len());
    let (program, behind) = rest.split_at(end);
    if program.is_empty() || program.len() > 128 {
        return (None, None, rest);
    }
    let (pid, behind) = match behind.strip_prefix('[').and_then(|behind| behind.split_once(']')) {
        Some((pid, behind)) if pid.len() <= 20 => (Some(pid), behind),
        _ => (None, behind),
    };
    let behind = match behind.strip_prefix(" <").and_then(|level| level.split_once(">: ")) {
        Some((level, message)) if level.len() <= 12 => return (Some(program), pid, message),
        _ => behind,
    };
    match behind.strip_prefix(':') {
        Some(message) => (Some(program), pid, message.trim_start_matches(' ')),
        None if behind.starts_with(' ') => (Some(program), pid, behind.trim_start_matches(' ')),
        None => (Some(program), pid, behind),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn every_shape_is_cut_alike() {
        for line in [
            "<86>1 2026-11-22T12:00:00.5Z web-1 sshd 312 - - Accepted publickey for ci",
            "71 <86>1 2026-11-22T12:00:00.5Z web-1 sshd 312 - [a@1 b=\"x]\\\"y\"][c] \u{feff}Accepted publickey for ci",
            "<86>1 2026-11-22T13:00:00.5+01:00 web-1 sshd 312 ID7 - Accepted publickey for ci",
            "2026-11-22T13:00:00.500000+01:00 web-1 sshd[312]: Accepted publickey for ci",
            "<86>2026-11-22T12:00:00.5Z web-1 sshd[312]: Accepted publickey for ci",
            "2026-11-22 13:00:00.500000+0100  web-1 sshd[312]: Accepted publickey for ci\r\n",
        ] {
            let cut = Line::of(line).unwrap();
            assert_eq!(cut.stamp.known().unwrap().0, 1_795_348_800_500_000, "{line}");
            assert_eq!((cut.host, cut.program, cut.pid, cut.message), (Some("web-1"), Some("sshd"), Some("312"), "Accepted publickey for ci"), "{line}");
        }
        for line in [
            "<86>Nov 22 12:00:00 web-1 sshd[312]: Accepted publickey for ci",
            "Nov 22 12:00:00.000 web-1 sshd[312]:  Accepted publickey for ci",
            "Nov 22 12:00:00 web-1 sshd[312] <Info>: Accepted publickey for ci",
            "Nov 22 2026 12:00:00 web-1 sshd[312]: Accepted publickey for ci",
        ] {
            let cut = Line::of(line).unwrap();
            assert_eq!((cut.host, cut.program, cut.pid, cut.message), (Some("web-1"), Some("sshd"), Some("312"), "Accepted publickey for ci"), "{line}");
        }
        assert!(Line::of("Nov 22 12:00:00 web-1 sshd[312]: x").unwrap().stamp.known().is_none());
        assert!(Line::of("Nov 22 2026 12:00:00 web-1 sshd[312]: x").unwrap().stamp.known().is_some());
        let sparse = Line::of("2016-10-25T12:37:23.297265-07:00 INFO periodic_scheduler[13707]: done").unwrap();
        assert_eq!((sparse.host, sparse.program, sparse.message), (None, Some("periodic_scheduler"), "done"));
        let kernel = Line::of("Nov 18 08:30:20 kernel: [997.390602] sda2").unwrap();
        assert_eq!((kernel.host, kernel.program), (None, Some("kernel")));
    }

    #[test]
    fn what_is_none_is_none() {
        for line in [
            "",
            "with another line",
            "MMM 22 07:54:32 host a[1]: x",
            "Feb 30 07:54:32 host a[1]: x",
            "Nov 22 25:00:00 h a: x",
            "<999999>x",
            "<3",
            "\tindented",
            "1 2 3",
        ] {
            assert_eq!(Line::of(line), None, "{line}");
        }
    }

    proptest! {
        #[test]
        fn no_line_panics(line in "\\PC{0,80}", head in prop::sample::select(vec!["<34>1 2026-11-22T12:00:00Z ", "Nov 22 12:00:00 ", "2026-11-22T12:00:00Z h p[", "<34>", "12 <34>1 "])) {
            let _ = Line::of(&line);
            let _ = Line::of(&format!("{head}{line}"));
        }
    }
}
