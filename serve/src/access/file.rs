//! The tokens' file: a list in TOML that only its owner reads, replaced as a whole.

use std::fs;
use std::io::Write as _;
use std::os::unix::fs::{MetadataExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};

use keytrail_schemas::Micros;

use super::Token;
use crate::Error;

/// Most bytes of the file; tokens that are over are dropped long before.
const BYTES_MAX: u64 = 16 << 20;

/// Tells one state of the file from the next.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Stamp {
    inode: u64,
    bytes: u64,
    changed: (i64, i64),
}

/// Where tokens are kept.
#[derive(Debug, Clone)]
pub struct TokenFile {
    path: PathBuf,
}

#[derive(Debug, Default, serde::Serialize, serde::Deserialize)]
#[serde(deny_unknown_fields)]
struct Kept {
    #[serde(default, rename = "token")]
    tokens: Vec<Token>,
}

impl TokenFile {
    /// The file at `path`, which need not be there yet.
    #[must_use]
    pub const fn at(path: PathBuf) -> Self {
        Self { path }
    }

    /// Where a data folder keeps its tokens.
    #[must_use]
    pub fn of(dir: &Path) -> Self {
        Self::at(dir.join("access").join("tokens.toml"))
    }

    /// Its path.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Its state now; `None` where it is not.
    pub(super) fn stamp(&self) -> Option<Stamp> {
        let meta = fs::metadata(&self.path).ok()?;
        Some(Stamp { inode: meta.ino(), bytes: meta.len(), changed: (meta.ctime(), meta.ctime_nsec()) })
    }

    /// Every token. A file that is not there holds none.
    ///
    /// # Errors
    /// [`Error::File`].
    pub fn read(&self) -> Result<Vec<Token>, Error> {
        match fs::metadata(&self.path) {
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(Vec::new()),
            Err(error) => return Err(self.wrong(error)),
            Ok(meta) if meta.len() > BYTES_MAX => return Err(self.wrong(format!("it has more than {BYTES_MAX} bytes"))),
            Ok(meta) if meta.mode() & 0o077 != 0 => return Err(self.wrong("others can read or write it: chmod 600")),
            Ok(_) => {}
        }
        let text = fs::read_to_string(&self.path).map_err(|error| self.wrong(error))?;
        // The parser's message would quote the line, and with it a hash.
        toml::from_str::<Kept>(&text).map(|kept| kept.tokens).map_err(|error| self.wrong(format!("it is damaged: {}", error.message())))
    }

    /// Adds a token.
    ///
    /// # Errors
    /// [`Error::File`], also where a token of that name is in force.
    pub fn add(&self, token: Token, now: Micros) -> Result<(), Error> {
        self.change(|tokens| {
            if tokens.iter().any(|known| known.name == token.name && known.holds(now)) {
                return Err(self.wrong(format!("there is a token named {:?}: revoke it first, or take another name", token.name)));
            }
            tokens.push(token);
            Ok(())
        })
    }

    /// Revokes the token of this id or name; gives how many were in force.
    ///
    /// # Errors
    /// [`Error::File`], also where none is known by it.
    pub fn revoke(&self, which: &str, now: Micros) -> Result<usize, Error> {
        self.change(|tokens| {
            let known: Vec<&mut Token> = tokens.iter_mut().filter(|token| token.id == which || token.name == which).collect();
            if known.is_empty() {
                return Err(self.wrong(format!("no token has the id or the name {which:?}: `keytrail tokens list` shows them")));
            }
            let mut ended = 0;
            for token in known.into_iter().filter(|token| token.revoked.is_none()) {
                ended += usize::from(token.holds(now));
                token.revoked = Some(now.0);
            }
            Ok(ended)
        })
    }

    /// Reads, changes and replaces the file; two that change it at once wait for one another.
    fn change<T>(&self, change: impl FnOnce(&mut Vec<Token>) -> Result<T, Error>) -> Result<T, Error> {
        let folder = self.path.parent().unwrap_or(Path::new("."));
        fs::create_dir_all(folder).map_err(|error| self.wrong(error))?;
        let lock =
            fs::OpenOptions::new().create(true).truncate(false).write(true).mode(0o600).open(folder.join("tokens.lock")).map_err(|error| self.wrong(error))?;
        lock.lock().map_err(|error| self.wrong(error))?;
        let mut tokens = self.read()?;
        let outcome = change(&mut tokens)?;
        let text = toml::to_string(&Kept { tokens }).map_err(|error| self.wrong(error))?;
        let new = self.path.with_extension("new");
        let mut file = fs::OpenOptions::new().create(true).truncate(true).write(true).mode(0o600).open(&new).map_err(|error| self.wrong(error))?;
        file.write_all(text.as_bytes()).and_then(|()| file.sync_all()).and_then(|()| fs::rename(&new, &self.path)).map_err(|error| self.wrong(error))?;
        Ok(outcome)
    }

    fn wrong(&self, reason: impl std::fmt::Display) -> Error {
        Error::File { file: self.path.display().to_string(), reason: reason.to_string() }
    }
}

#[cfg(test)]
mod tests {
    use super::super::{Access, Role};
    use super::*;

    fn now() -> Micros {
        Micros(1_000)
    }

    #[test]
    fn what_is_revoked_is_refused_and_the_file_is_its_owners() {
        let folder = tempfile::tempdir().unwrap();
        let file = TokenFile::of(folder.path());
        let (token, shown) = Token::new("grafana", Role::Analyst, vec!["touched".to_owned()], now(), None).unwrap();
        file.add(token, now()).unwrap();
        assert_eq!(fs::metadata(file.path()).unwrap().mode() & 0o777, 0o600);
        let access = Access::by_tokens(file.path().to_owned(), now);
        let caller = access.caller(Some(&shown), "").unwrap();
        assert_eq!((caller.user.as_str(), caller.role), ("grafana", Role::Analyst));
        assert!(access.caller(None, "grafana").is_err());
        assert!(caller.may_ask("touched").is_ok() && caller.may_ask("posture").is_err());
        let (again, _) = Token::new("grafana", Role::Admin, Vec::new(), now(), None).unwrap();
        assert!(file.add(again, now()).unwrap_err().to_string().contains("revoke it first"));
        assert_eq!(file.revoke("grafana", now()).unwrap(), 1);
        std::thread::sleep(super::super::LOOK_INTERVAL);
        assert!(access.caller(Some(&shown), "").is_err());
        assert!(access.again(&caller).is_err());
        assert!(file.revoke("nobody", now()).is_err());
    }

    #[test]
    fn a_token_made_after_the_last_look_is_let_in_at_once() {
        let folder = tempfile::tempdir().unwrap();
        let file = TokenFile::of(folder.path());
        let access = Access::by_tokens(file.path().to_owned(), now);
        assert!(access.caller(Some("nothing"), "").is_err());
        let (token, shown) = Token::new("grafana", Role::Analyst, Vec::new(), now(), None).unwrap();
        file.add(token, now()).unwrap();
        assert_eq!(access.caller(Some(&shown), "").unwrap().user, "grafana");
    }

    #[test]
    fn a_file_that_others_read_or_that_is_damaged_lets_nobody_in() {
        use std::os::unix::fs::PermissionsExt as _;
        let folder = tempfile::tempdir().unwrap();
        let file = TokenFile::of(folder.path());
        let (token, shown) = Token::new("a", Role::Admin, Vec::new(), now(), None).unwrap();
        file.add(token, now()).unwrap();
        fs::set_permissions(file.path(), fs::Permissions::from_mode(0o644)).unwrap();
        assert!(file.read().unwrap_err().to_string().contains("chmod 600"));
        assert!(Access::by_tokens(file.path().to_owned(), now).caller(Some(&shown), "").is_err());
        fs::set_permissions(file.path(), fs::Permissions::from_mode(0o600)).unwrap();
        fs::write(file.path(), "[[token]]\nid = 3").unwrap();
        let message = file.read().unwrap_err().to_string();
        assert!(message.contains("damaged"), "{message}");
    }
}
