//! Where the simulated records go: an arena of lines that is sorted by time every simulated hour and streamed to files,
//! so that memory holds about one hour of the estate whatever the period. Knows file names and framing; nothing of what
//! a record says.

use std::fs::File;
use std::io::{BufWriter, Write};
use std::path::{Path, PathBuf};

use flate2::write::GzEncoder;

use crate::clock::{self, DAY, HOUR, Micros};
use crate::error::Error;
use crate::provider::zeek::Log;
use crate::roster::ACCOUNTS;

/// One kind of file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stream {
    /// An AWS account's trail: one file an hour.
    CloudTrail(u8),
    /// What an AWS account's trail held before the period: one file.
    Archive(u8),
    /// The Kubernetes API server's audit log: one file a day.
    K8s,
    /// Vault's audit device: one file a day.
    Vault,
    /// One of Zeek's logs: one file a day.
    Zeek(Log),
}

const STREAMS: usize = ACCOUNTS.len() * 2 + 2 + Log::ALL.len();

impl Stream {
    const fn index(self) -> usize {
        match self {
            Self::CloudTrail(account) => account as usize,
            Self::Archive(account) => ACCOUNTS.len() + account as usize,
            Self::K8s => ACCOUNTS.len() * 2,
            Self::Vault => ACCOUNTS.len() * 2 + 1,
            Self::Zeek(log) => ACCOUNTS.len() * 2 + 2 + log as usize,
        }
    }

    /// The format's name, as `--format` takes it, and the folder it is in.
    const fn format(self) -> &'static str {
        match self {
            Self::CloudTrail(_) | Self::Archive(_) => "cloudtrail",
            Self::K8s => "k8s_audit",
            Self::Vault => "vault_audit",
            Self::Zeek(_) => "zeek",
        }
    }

    const fn is_array(self) -> bool {
        matches!(self, Self::CloudTrail(_) | Self::Archive(_))
    }

    /// How long a file is.
    const fn span(self) -> i64 {
        match self {
            Self::CloudTrail(_) => HOUR,
            Self::Archive(_) => i64::MAX,
            Self::K8s | Self::Vault | Self::Zeek(_) => DAY,
        }
    }
}

/// A written file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Written {
    /// Where it is.
    pub path: PathBuf,
    /// The format's name.
    pub format: &'static str,
    /// Records in it.
    pub records: u64,
}

/// A time for which a collector fails.
#[derive(Debug, Clone, Copy)]
pub struct Gap {
    /// Whose lines.
    pub stream: Stream,
    /// From.
    pub start: i64,
    /// To.
    pub end: i64,
    /// Whether the lines are lost; else a third of them comes when the time is over, after newer ones.
    pub lost: bool,
}

struct Line {
    time: i64,
    start: usize,
    end: usize,
    stream: Stream,
    /// A Vault request is the first half of a record.
    counts: bool,
}

impl Gap {
    /// Whether a line falls into it; of what comes late, every third by its time.
    const fn holds(&self, line: &Line) -> bool {
        self.stream.index() == line.stream.index() && self.start <= line.time && line.time < self.end && (self.lost || line.time % 3 == 0)
    }
}

enum Output {
    Plain(BufWriter<File>),
    Gzip(Box<GzEncoder<BufWriter<File>>>),
}

impl Output {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<()> {
        match self {
            Self::Plain(file) => file.write_all(bytes),
            Self::Gzip(file) => file.write_all(bytes),
        }
    }

    fn close(self) -> std::io::Result<()> {
        let mut file = match self {
            Self::Plain(file) => file,
            Self::Gzip(file) => file.finish()?,
        };
        file.flush()
    }
}

struct Open {
    output: Output,
    path: PathBuf,
    period: i64,
    records: u64,
}

/// The arena and the files behind it.
pub struct Journal {
    folder: PathBuf,
    gzip: bool,
    text: String,
    lines: Vec<Line>,
    open: Vec<Option<Open>>,
    written: Vec<Written>,
    bytes: u64,
    gaps: Vec<Gap>,
    waiting_bytes_max: usize,
}

impl Journal {
    /// Writes below `folder`, which is made; compresses what its provider compresses if `gzip`.
    pub fn new(folder: &Path, gzip: bool) -> Result<Self, Error> {
        std::fs::create_dir_all(folder).map_err(Error::write(folder))?;
        Ok(Self {
            folder: folder.to_owned(),
            gzip,
            text: String::new(),
            lines: Vec::new(),
            open: (0..STREAMS).map(|_| None).collect(),
            written: Vec::new(),
            bytes: 0,
            gaps: Vec::new(),
            waiting_bytes_max: 0,
        })
    }

    /// Adds a record: `write` appends its text, without a line end.
    pub fn record(&mut self, time: i64, stream: Stream, write: impl FnOnce(&mut String)) {
        self.push(time, stream, true, write);
    }

    /// Adds a line that is only a part of a record.
    pub fn part(&mut self, time: i64, stream: Stream, write: impl FnOnce(&mut String)) {
        self.push(time, stream, false, write);
    }

    fn push(&mut self, time: i64, stream: Stream, counts: bool, write: impl FnOnce(&mut String)) {
        let start = self.text.len();
        write(&mut self.text);
        self.lines.push(Line { time, start, end: self.text.len(), stream, counts });
        self.waiting_bytes_max = self.waiting_bytes_max.max(self.text.len());
    }

    /// A collector will fail.
    pub fn gap(&mut self, gap: Gap) {
        self.gaps.push(gap);
    }

    /// Bytes of the lines that wait to be written.
    pub fn waiting(&self) -> usize {
        self.text.len()
    }

    /// The most that ever waited.
    pub const fn waiting_bytes_max(&self) -> usize {
        self.waiting_bytes_max
    }

    /// Writes every line before `until`, in order of time, and keeps the later ones.
    pub fn flush(&mut self, until: i64) -> Result<(), Error> {
        let mut lines = std::mem::take(&mut self.lines);
        let text = std::mem::take(&mut self.text);
        lines.sort_by_key(|line| line.time);
        // What a collector held back comes after what the others had by then.
        let held_back = |line: &Line| self.gaps.iter().any(|gap| !gap.lost && gap.holds(line) && gap.end <= until);
        let (mut ordinary, late): (Vec<_>, Vec<_>) = lines.into_iter().partition(|line| !held_back(line));
        ordinary.extend(late);
        for line in ordinary {
            let slice = text.get(line.start..line.end).unwrap_or_default();
            if self.gaps.iter().any(|gap| gap.lost && gap.holds(&line)) {
                continue;
            }
            let held = self.gaps.iter().any(|gap| !gap.lost && gap.holds(&line) && until < gap.end);
            if line.time < until && !held {
                self.write(&line, slice)?;
            } else {
                self.push(line.time, line.stream, line.counts, |out| out.push_str(slice));
            }
        }
        Ok(())
    }

    fn write(&mut self, line: &Line, text: &str) -> Result<(), Error> {
        let period = line.time.div_euclid(line.stream.span());
        let index = line.stream.index();
        if self.open.get(index).and_then(Option::as_ref).is_some_and(|open| open.period < period) {
            self.close(index, line.stream)?;
        }
        let Some(slot) = self.open.get_mut(index) else { return Ok(()) };
        let open = match slot {
            Some(open) => open,
            None => slot.insert(Self::create(&self.folder, self.gzip, line.stream, line.time, period)?),
        };
        let separator: &[u8] = if !line.stream.is_array() || open.records == 0 { b"" } else { b"," };
        let end: &[u8] = if line.stream.is_array() { b"" } else { b"\n" };
        for piece in [separator, text.as_bytes(), end] {
            open.output.write(piece).map_err(Error::write(&open.path))?;
        }
        open.records += u64::from(line.counts);
        self.bytes += text.len() as u64 + 1;
        Ok(())
    }

    fn create(folder: &Path, gzip: bool, stream: Stream, time: i64, period: i64) -> Result<Open, Error> {
        let gzip = gzip && stream.is_array();
        let path = folder.join(path(stream, time, gzip));
        let parent = path.parent().unwrap_or(folder);
        std::fs::create_dir_all(parent).map_err(Error::write(parent))?;
        let file = BufWriter::with_capacity(1 << 16, File::create(&path).map_err(Error::write(&path))?);
        let mut output = if gzip { Output::Gzip(Box::new(GzEncoder::new(file, flate2::Compression::fast()))) } else { Output::Plain(file) };
        if stream.is_array() {
            output.write(b"{\"Records\":[").map_err(Error::write(&path))?;
        }
        if let Stream::Zeek(log) = stream {
            output.write(log.header(clock::midnight(time)).as_bytes()).map_err(Error::write(&path))?;
        }
        Ok(Open { output, path, period, records: 0 })
    }

    fn close(&mut self, index: usize, stream: Stream) -> Result<(), Error> {
        let Some(mut open) = self.open.get_mut(index).and_then(Option::take) else { return Ok(()) };
        let result = match stream {
            Stream::Zeek(_) => open.output.write(crate::provider::zeek::footer((open.period + 1) * DAY).as_bytes()),
            _ if stream.is_array() => open.output.write(b"]}"),
            _ => Ok(()),
        };
        result.and_then(|()| open.output.close()).map_err(Error::write(&open.path))?;
        self.written.push(Written { path: open.path, format: stream.format(), records: open.records });
        Ok(())
    }

    /// Closes every file; the files by path and the bytes of their records before compression.
    pub fn finish(mut self) -> Result<(Vec<Written>, u64), Error> {
        let accounts = || 0..u8::try_from(ACCOUNTS.len()).unwrap_or(0);
        let streams = accounts()
            .map(Stream::CloudTrail)
            .chain(accounts().map(Stream::Archive))
            .chain([Stream::K8s, Stream::Vault])
            .chain(Log::ALL.iter().copied().map(Stream::Zeek));
        for stream in streams {
            self.close(stream.index(), stream)?;
        }
        self.written.sort_by(|a, b| a.path.cmp(&b.path));
        Ok((self.written, self.bytes))
    }
}

/// The file's path below the folder, named as the provider names it.
fn path(stream: Stream, time: i64, gzip: bool) -> PathBuf {
    let gz = if gzip { ".gz" } else { "" };
    let day = |separator: &str| {
        let mut out = String::new();
        clock::push_date(&mut out, time, separator);
        out
    };
    match stream {
        Stream::CloudTrail(account) | Stream::Archive(account) => {
            let account = ACCOUNTS.get(usize::from(account)).unwrap_or(&ACCOUNTS[0]);
            let (id, region) = (account.id, account.region);
            let minute = Micros(clock::full_hour(time)).to_rfc3339().replace(['-', ':'], "").replace("0000Z", "00Z");
            // The 16 letters that AWS adds are there so that no two deliveries share a name; a digest of the name serves.
            let mut unique = crate::chance::Chance::new(time.div_euclid(HOUR).unsigned_abs() ^ id.parse::<u64>().unwrap_or(0));
            let unique = unique.letters("", crate::chance::BASE62, 16);
            let name = format!("{id}_CloudTrail_{region}_{minute}_{unique}.json{gz}");
            if matches!(stream, Stream::Archive(_)) {
                PathBuf::from("cloudtrail/archive").join(name)
            } else {
                PathBuf::from(format!("cloudtrail/AWSLogs/{id}/CloudTrail/{region}/{}", day("/"))).join(name)
            }
        }
        Stream::K8s => format!("k8s_audit/audit-{}.log", day("-")).into(),
        Stream::Vault => format!("vault_audit/vault_audit-{}.log", day("-")).into(),
        Stream::Zeek(log) => format!("zeek/{}/{}.log", day("-"), log.name()).into(),
    }
}
