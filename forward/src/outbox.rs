//! The outbox: how far a target has come, on disk, so that a restart goes on where the target stopped. Delivery is at least once: the
//! position moves after the target has taken a batch, and findings carry their id for whoever must not see one twice.

use std::io::Write as _;
use std::path::{Path, PathBuf};

use keytrail_schemas::Finding;

use crate::{Encoding, Error, Target};

/// A target with its encoding and position.
pub struct Outbox {
    target: Box<dyn Target>,
    encoding: Encoding,
    path: PathBuf,
    next: i64,
}

impl Outbox {
    /// Opens the outbox whose position stands in `path` (0 when there is none yet).
    ///
    /// # Errors
    /// [`Error::Outbox`] when the position cannot be read.
    pub fn open(path: &Path, target: Box<dyn Target>, encoding: Encoding) -> Result<Self, Error> {
        let failed = |message: String| Error::Outbox { path: path.display().to_string(), message };
        let next = match std::fs::read_to_string(path) {
            Ok(text) => text.trim().parse().map_err(|_| failed(format!("{:?} is not an offset; remove the file to send everything again", text.trim())))?,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => 0,
            Err(error) => return Err(failed(error.to_string())),
        };
        Ok(Self { target, encoding, path: path.to_owned(), next })
    }

    /// The offset of the next finding to send.
    #[must_use]
    pub const fn next(&self) -> i64 {
        self.next
    }

    /// Sends findings (offset in the findings topic, finding), then moves the position to `next`, behind them and what was passed over after them. What is below the line is kept for
    /// searching, and nobody is told of it.
    ///
    /// # Errors
    /// [`Error::Delivery`] when the target did not take them; the position stays. [`Error::Outbox`] when the position cannot be written.
    pub fn send(&mut self, findings: &[(i64, Finding)], next: i64) -> Result<(), Error> {
        let lines: Vec<String> = findings.iter().filter(|(_, finding)| !finding.below_line).map(|(_, finding)| self.encoding.encode(finding)).collect();
        if !lines.is_empty() {
            self.target.deliver(&lines)?;
        }
        self.write(next).map_err(|error| Error::Outbox { path: self.path.display().to_string(), message: error.to_string() })?;
        self.next = next;
        Ok(())
    }

    fn write(&self, next: i64) -> std::io::Result<()> {
        let beside = self.path.with_extension("new");
        if let Some(folder) = self.path.parent() {
            std::fs::create_dir_all(folder)?;
        }
        let mut file = std::fs::File::create(&beside)?;
        writeln!(file, "{next}")?;
        file.sync_all()?;
        std::fs::rename(&beside, &self.path)
    }
}

#[cfg(test)]
mod tests {
    use keytrail_schemas::Finding;

    use super::Outbox;
    use crate::{Encoding, open};

    #[test]
    fn a_restart_goes_on_where_the_target_stopped() {
        let folder = tempfile::tempdir().unwrap();
        let (position, out) = (folder.path().join("outbox"), folder.path().join("findings.ndjson"));
        let reopen = || Outbox::open(&position, open(&format!("file:{}", out.display())).unwrap(), Encoding::Json).unwrap();
        let finding = |id: &str| Finding { finding_id: id.into(), ..Finding::default() };
        reopen().send(&[(0, finding("a")), (1, finding("b"))], 2).unwrap();
        let mut outbox = reopen();
        assert_eq!(outbox.next(), 2);
        outbox.send(&[(2, finding("c"))], 3).unwrap();
        let text = std::fs::read_to_string(&out).unwrap();
        let ids: Vec<String> = text.lines().map(|line| serde_json::from_str::<Finding>(line).unwrap().finding_id.to_string()).collect();
        assert_eq!(ids, ["a", "b", "c"]);
    }

    #[test]
    fn a_refused_delivery_keeps_the_position() {
        let folder = tempfile::tempdir().unwrap();
        let mut outbox = Outbox::open(&folder.path().join("outbox"), open(&format!("file:{}", folder.path().display())).unwrap(), Encoding::Cef).unwrap();
        assert!(outbox.send(&[(0, Finding::default())], 1).unwrap_err().is_transient());
        assert_eq!(outbox.next(), 0);
    }

    #[test]
    fn an_address_that_is_none_says_what_is_expected() {
        assert!(open("splunk").err().unwrap().to_string().contains("syslog+tcp://HOST:PORT"));
    }
}
