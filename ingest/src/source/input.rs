//! What was named: files, folders, patterns and standard input become a list of files, in an order that does not depend on the machine.

use std::fs::File;
use std::io::{Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use keytrail_schemas::Reason;
use walkdir::WalkDir;

use super::archive::Member;
use super::fault::Fault;
use crate::error::Error;
use crate::format::Format;

/// A file to be read.
#[derive(Clone)]
pub struct Input {
    /// Its place among all files: argument, then file, then member of an archive, then member of an archive in it.
    pub order: Vec<u32>,
    /// Its name for a person: its path, and a member's name behind `!`.
    pub name: String,
    /// Bytes on disk; 0 where that is not known.
    pub bytes: u64,
    pub origin: Origin,
    /// Its format, where a first look has told it.
    pub known: Option<&'static dyn Format>,
}

impl std::fmt::Debug for Input {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Input").field("order", &self.order).field("name", &self.name).field("origin", &self.origin).finish_non_exhaustive()
    }
}

/// Where a file's bytes come from.
#[derive(Debug, Clone)]
pub enum Origin {
    /// An ordinary file.
    File(PathBuf),
    /// A pipe or a device: it can be read once.
    Pipe(PathBuf),
    /// Standard input: it can be read once.
    Stdin,
    /// Bytes in memory.
    Bytes(Arc<[u8]>),
    /// A member of an archive.
    Member(Arc<Archive>, Member),
    /// Nothing: why it cannot be read.
    Unreadable(Fault),
}

/// An archive whose members are files of their own.
#[derive(Debug)]
pub struct Archive {
    pub kind: ArchiveKind,
    /// How many archives this one lies in.
    pub depth: u32,
    /// What came out of it so far.
    pub expanded: Arc<super::archive::Yield>,
}

#[derive(Debug)]
pub enum ArchiveKind {
    File(PathBuf),
    Memory(super::archive::Held),
}

impl Input {
    /// The name without its folders.
    pub fn file_name(&self) -> &str {
        let name = self.name.rsplit_once('!').map_or(self.name.as_str(), |(_, member)| member);
        name.rsplit_once('/').map_or(name, |(_, file)| file)
    }

    /// Whether it can be opened again.
    pub const fn is_stream(&self) -> bool {
        matches!(self.origin, Origin::Pipe(_) | Origin::Stdin)
    }

    /// What came out of the archive that it lies in.
    pub fn expanded(&self) -> Option<Arc<super::archive::Yield>> {
        match &self.origin {
            Origin::Member(archive, _) => Some(Arc::clone(&archive.expanded)),
            _ => None,
        }
    }

    /// How many archives it lies in.
    pub fn depth(&self) -> u32 {
        match &self.origin {
            Origin::Member(archive, _) => archive.depth + 1,
            _ => 0,
        }
    }

    /// Its bytes, as they lie on disk.
    pub fn open(&self) -> Result<Box<dyn Read + Send>, Fault> {
        match &self.origin {
            Origin::File(path) | Origin::Pipe(path) => Ok(Box::new(File::open(path).map_err(|error| Fault::of(&error))?)),
            Origin::Stdin => Ok(Box::new(std::io::stdin())),
            Origin::Bytes(bytes) => Ok(Box::new(std::io::Cursor::new(Arc::clone(bytes)))),
            Origin::Member(archive, member) => {
                let packed: Box<dyn Read + Send> = match &archive.kind {
                    ArchiveKind::File(path) => {
                        let mut file = File::open(path).map_err(|error| Fault::of(&error))?;
                        file.seek(SeekFrom::Start(member.start)).map_err(|error| Fault::of(&error))?;
                        Box::new(file.take(member.packed_bytes))
                    }
                    ArchiveKind::Memory(held) => Box::new(held.reader(member.start, member.packed_bytes)),
                };
                Ok(packed)
            }
            Origin::Unreadable(fault) => Err(fault.clone()),
        }
    }
}

/// Bytes in memory, as a file of this name.
pub fn bytes(name: &str, bytes: Arc<[u8]>) -> Input {
    Input { order: vec![0, 0], name: name.to_owned(), bytes: bytes.len() as u64, origin: Origin::Bytes(bytes), known: None }
}

/// The files that `arguments` name: paths of files and folders, patterns, and `-`.
///
/// # Errors
/// [`Error`] when an argument names nothing; nothing has been read then.
pub fn list(arguments: &[String]) -> Result<Vec<Input>, Error> {
    if arguments.is_empty() {
        return Err(Error::Nothing);
    }
    let mut inputs = Vec::new();
    let mut stdin_named = false;
    for (argument, number) in arguments.iter().zip(0_u32..) {
        let mut listing = Listing { inputs: &mut inputs, argument: number, file: 0 };
        if argument == "-" {
            if std::mem::replace(&mut stdin_named, true) {
                return Err(Error::StdinTwice);
            }
            listing.push("-".into(), 0, Origin::Stdin);
            continue;
        }
        let path = Path::new(argument);
        match std::fs::symlink_metadata(path) {
            Ok(_) => listing.named(path)?,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound && is_pattern(argument) => listing.pattern(argument)?,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Err(Error::Missing { path: argument.clone() }),
            Err(error) => return Err(Error::Unreadable { path: argument.clone(), message: Fault::of(&error).message }),
        }
    }
    Ok(inputs)
}

/// These files, whatever has become of them.
pub fn of_files<'p>(paths: impl Iterator<Item = &'p Path>) -> Vec<Input> {
    let mut inputs = Vec::new();
    let mut listing = Listing { inputs: &mut inputs, argument: 0, file: 0 };
    paths.for_each(|path| listing.entry(path));
    inputs
}

fn is_pattern(argument: &str) -> bool {
    argument.contains(['*', '?', '['])
}

struct Listing<'a> {
    inputs: &'a mut Vec<Input>,
    argument: u32,
    file: u32,
}

impl Listing<'_> {
    fn push(&mut self, name: String, bytes: u64, origin: Origin) {
        self.inputs.push(Input { order: vec![self.argument, self.file], name, bytes, origin, known: None });
        self.file += 1;
    }

    /// A path that was named itself: that it cannot be read is an error, not a dead letter.
    fn named(&mut self, path: &Path) -> Result<(), Error> {
        let unreadable = |error: &std::io::Error| Error::Unreadable { path: path.display().to_string(), message: Fault::of(error).message };
        let about = std::fs::metadata(path).map_err(|error| unreadable(&error))?;
        if about.is_dir() {
            std::fs::read_dir(path).map_err(|error| unreadable(&error))?;
            self.folder(path);
        } else if about.is_file() {
            File::open(path).map_err(|error| unreadable(&error))?;
            self.push(path.display().to_string(), about.len(), Origin::File(path.into()));
        } else {
            self.push(path.display().to_string(), 0, Origin::Pipe(path.into()));
        }
        Ok(())
    }

    fn pattern(&mut self, pattern: &str) -> Result<(), Error> {
        let bad = |message: String| Error::Pattern { pattern: pattern.into(), message };
        let mut found = false;
        for path in glob::glob(pattern).map_err(|error| bad(error.to_string()))? {
            found = true;
            match path {
                Ok(path) => match std::fs::metadata(&path) {
                    Ok(about) if about.is_dir() => self.folder(&path),
                    _ => self.entry(&path),
                },
                Err(error) => self.push(error.path().display().to_string(), 0, Origin::Unreadable(Fault::of(error.error()))),
            }
        }
        if found { Ok(()) } else { Err(Error::NoMatch { pattern: pattern.into() }) }
    }

    fn folder(&mut self, path: &Path) {
        for entry in WalkDir::new(path).follow_links(true).sort_by_file_name() {
            match entry {
                Ok(entry) if entry.file_type().is_dir() => {}
                Ok(entry) => self.entry(entry.path()),
                Err(error) => {
                    let message = error.io_error().map_or_else(|| format!("it cannot be followed: {error}"), |error| Fault::of(error).message);
                    let name = error.path().unwrap_or(path).display().to_string();
                    self.push(name, 0, Origin::Unreadable(Fault::new(Reason::Unreadable, message)));
                }
            }
        }
    }

    fn entry(&mut self, path: &Path) {
        let name = path.display().to_string();
        match std::fs::metadata(path) {
            Ok(about) if about.is_file() => self.push(name, about.len(), Origin::File(path.into())),
            Ok(_) => self.push(
                name,
                0,
                Origin::Unreadable(Fault::new(
                    Reason::Unreadable,
                    "it is a pipe, a socket or a device, and those are read only when they are named themselves",
                )),
            ),
            Err(error) => self.push(name, 0, Origin::Unreadable(Fault::of(&error))),
        }
    }
}
