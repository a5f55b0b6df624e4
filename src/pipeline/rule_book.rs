//! Which rules detectors judge by: reads the configured folders, archives and checkouts into sets, and puts each change of set into the log,
//! so that a replay judges as it did. The sets themselves lie in the lake's store, under their hash.

use std::collections::BTreeMap;
use std::hash::{DefaultHasher, Hash as _, Hasher as _};
use std::io::Read as _;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use keytrail_detect::Rules;
use keytrail_detect::rule::load::{Loaded, load};
use keytrail_detect::rule::set::{FILE_BYTES_MAX, FILES_MAX, File, Folder, Set};
use keytrail_lake::Lake;
use keytrail_schemas::{Hash32, Severity};
use tokio::runtime::Handle;

use super::Shared;
use crate::config::{Config, FurtherRules};
use crate::exit::{OutOfReach, Usage};

/// The configured rules, and those that the log asks for.
pub struct Book {
    further: Vec<FurtherRules>,
    without_builtin: bool,
    interval: Duration,
    configured: Mutex<Configured>,
    compiled: Mutex<BTreeMap<Hash32, Arc<Rules>>>,
}

struct Configured {
    hash: Hash32,
    set: Arc<Set>,
    /// Of the files' names, sizes and times.
    seen: u64,
    looked: Instant,
}

/// The formats that are read.
pub fn formats() -> Vec<&'static str> {
    keytrail_ingest::format::auto::all().iter().map(|format| format.name()).collect()
}

/// The set that this configuration names.
///
/// # Errors
/// [`Usage`] when a folder or archive is not there or cannot be read.
pub fn set(config: &Config) -> anyhow::Result<Set> {
    read(&config.detector.rules, !config.detector.builtin_rules)
}

/// The rules of files, folders and archives alone.
///
/// # Errors
/// As [`set`]; and when no file there is a rule file.
pub fn set_of(paths: &[PathBuf]) -> anyhow::Result<Set> {
    let further: Vec<FurtherRules> =
        paths.iter().map(|path| FurtherRules { path: path.to_string_lossy().into_owned(), severity_max: Severity::Critical.to_string() }).collect();
    let set = read(&further, true)?;
    if set.folders.iter().all(|folder| folder.files.is_empty()) {
        return Err(Usage(format!("no rule files (*.yml) under {}", further.iter().map(|one| one.path.as_str()).collect::<Vec<_>>().join(", "))).into());
    }
    Ok(set)
}

impl Book {
    /// Reads and compiles what is configured, and says what became of it.
    ///
    /// # Errors
    /// As [`set`].
    pub fn open(config: &Config) -> anyhow::Result<Self> {
        let set = set(config)?;
        let (hash, loaded) = (set.hash(), load(&set, &formats())?);
        told(&loaded);
        let configured = Configured { hash, set: Arc::new(set), seen: seen(&config.detector.rules), looked: Instant::now() };
        Ok(Self {
            further: config.detector.rules.clone(),
            without_builtin: !config.detector.builtin_rules,
            interval: Duration::from_millis(config.detector.rules_interval_ms),
            configured: Mutex::new(configured),
            compiled: Mutex::new(BTreeMap::from([(hash, Arc::new(loaded.rules))])),
        })
    }

    /// A book that nobody reads from: of a role that does not judge.
    pub fn closed() -> Self {
        let configured = Configured { hash: Hash32::default(), set: Arc::new(Set::default()), seen: 0, looked: Instant::now() };
        Self { further: Vec::new(), without_builtin: true, interval: Duration::ZERO, configured: Mutex::new(configured), compiled: Mutex::default() }
    }

    /// The rules of a set: those at hand, or as the lake keeps them.
    ///
    /// # Errors
    /// [`OutOfReach`] when the lake does not hold the set.
    pub fn rules(&self, hash: Hash32, lake: &Lake, runtime: &Handle) -> anyhow::Result<Arc<Rules>> {
        if let Some(rules) = held(&self.compiled).get(&hash) {
            return Ok(Arc::clone(rules));
        }
        let set = if hash == Hash32::default() {
            Set::default()
        } else {
            let bytes = runtime.block_on(lake.rules(&hash.to_hex()))?.ok_or_else(|| {
                OutOfReach(format!("the log names the rule set {hash}, and the lake does not hold it whole: put _state/rules/{hash}.set back"))
            })?;
            Set::from_bytes(&bytes)?
        };
        let rules = Arc::new(load(&set, &formats())?.rules);
        held(&self.compiled).insert(hash, Arc::clone(&rules));
        Ok(rules)
    }

    /// Puts the configured set into a partition's log, where it is not the one that was put there last.
    ///
    /// # Errors
    /// When lake or log cannot be written.
    pub fn announce(&self, shared: &Shared, partition: i32, runtime: &Handle) -> anyhow::Result<()> {
        let (hash, set) = {
            let configured = held(&self.configured);
            (configured.hash, Arc::clone(&configured.set))
        };
        let name = hash.to_hex();
        let announced = runtime.block_on(shared.lake.announced_rules(partition))?;
        if announced.unwrap_or_else(|| Hash32::default().to_hex()) == name {
            return Ok(());
        }
        if hash != Hash32::default() {
            runtime.block_on(shared.lake.put_rules(&name, set.to_bytes()))?;
        }
        shared.log.append_rules(partition, hash)?;
        tracing::info!(partition, rules = name, "judging by another set of rules from here on");
        Ok(runtime.block_on(shared.lake.note_announced_rules(partition, &name))?)
    }

    /// Looks, at most once an interval, whether the configured files changed; the hash of what is configured now. A change that cannot be read
    /// is told, and the set before stays.
    pub fn look(&self) -> Hash32 {
        let mut configured = held(&self.configured);
        if self.further.is_empty() || configured.looked.elapsed() < self.interval {
            return configured.hash;
        }
        configured.looked = Instant::now();
        let now = seen(&self.further);
        if now != configured.seen {
            configured.seen = now;
            match read(&self.further, self.without_builtin).and_then(|set| Ok((load(&set, &formats())?, set))) {
                Ok((loaded, set)) => {
                    configured.hash = set.hash();
                    configured.set = Arc::new(set);
                    told(&loaded);
                    held(&self.compiled).insert(configured.hash, Arc::new(loaded.rules));
                }
                Err(error) => tracing::warn!(error = crate::exit::message(&error), "the rules changed and cannot be read: judging on by those before"),
            }
        }
        configured.hash
    }
}

fn held<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Says how many rules judge, and which were refused.
fn told(loaded: &Loaded) {
    if loaded.checked.is_empty() {
        return;
    }
    let refused: Vec<_> = loaded.checked.iter().filter(|checked| !checked.loads).collect();
    let idle = loaded.checked.iter().filter(|checked| checked.idle).count();
    tracing::info!(rules = loaded.checked.len(), idle, refused = refused.len(), "further rules");
    for checked in refused.iter().take(20) {
        tracing::warn!(path = checked.path, reason = checked.reason.as_deref().unwrap_or_default(), "a rule is left out");
    }
    if refused.len() > 20 {
        tracing::warn!(more = refused.len() - 20, "more rules are left out: keytrail rules check names them");
    }
}

fn read(further: &[FurtherRules], without_builtin: bool) -> anyhow::Result<Set> {
    let folder = |one: &FurtherRules| {
        let severity_max = one
            .severity_max
            .parse()
            .map_err(|_| Usage(format!("detector.rules: severity_max = {:?}: expected informational, low, medium, high or critical", one.severity_max)))?;
        let files = files(Path::new(&one.path)).map_err(|error| Usage(format!("rules {}: {error:#}", one.path)))?;
        anyhow::Ok(Folder { path: one.path.clone(), severity_max, files })
    };
    Ok(Set { without_builtin, folders: further.iter().map(folder).collect::<Result<_, _>>()? })
}

/// The rule files of a file, a folder (a checkout too: what begins with a dot is passed over) or a zip archive, sorted by path.
fn files(path: &Path) -> anyhow::Result<Vec<File>> {
    let mut files = Vec::new();
    if path.is_dir() {
        for entry in rule_files(path) {
            let entry = entry?;
            let below = entry.path().strip_prefix(path).unwrap_or(entry.path()).to_string_lossy().into_owned();
            files.push(File { path: below, text: std::fs::File::open(entry.path()).map_err(|error| error.to_string()).and_then(text) });
        }
    } else if path.extension().is_some_and(|ending| ending.eq_ignore_ascii_case("zip")) {
        let mut archive = zip::ZipArchive::new(std::fs::File::open(path)?)?;
        for number in 0..archive.len().min(FILES_MAX * 4) {
            let member = archive.by_index(number)?;
            let name = String::from_utf8_lossy(member.name_raw()).into_owned();
            if member.is_file() && is_rule_file(Path::new(&name)) && !name.split('/').any(|part| part.starts_with('.')) {
                files.push(File { path: name, text: text(member) });
            }
        }
    } else {
        let name = path.file_name().unwrap_or(path.as_os_str()).to_string_lossy().into_owned();
        files.push(File { path: name, text: text(std::fs::File::open(path)?) });
    }
    files.sort_by(|a, b| a.path.cmp(&b.path));
    files.dedup_by(|a, b| a.path == b.path);
    Ok(files)
}

fn rule_files(path: &Path) -> impl Iterator<Item = walkdir::Result<walkdir::DirEntry>> {
    let hidden = |entry: &walkdir::DirEntry| entry.depth() > 0 && entry.file_name().to_string_lossy().starts_with('.');
    walkdir::WalkDir::new(path)
        .into_iter()
        .filter_entry(move |entry| !hidden(entry))
        .filter(|entry| entry.as_ref().map_or(true, |entry| entry.file_type().is_file() && is_rule_file(entry.path())))
}

fn is_rule_file(path: &Path) -> bool {
    path.extension().is_some_and(|ending| ending == "yml" || ending == "yaml")
}

/// A file's text, or why there is none; nothing beyond the bound is read.
fn text(file: impl std::io::Read) -> Result<String, String> {
    let mut bytes = Vec::new();
    file.take(FILE_BYTES_MAX as u64 + 1).read_to_end(&mut bytes).map_err(|error| error.to_string())?;
    if bytes.len() > FILE_BYTES_MAX {
        return Err(format!("a rule file has at most {FILE_BYTES_MAX} bytes, and this one has more"));
    }
    String::from_utf8(bytes).map_err(|error| format!("it is not UTF-8 from byte {} on", error.utf8_error().valid_up_to()))
}

/// What the files look like from outside, to see a change by.
fn seen(further: &[FurtherRules]) -> u64 {
    let mut hasher = DefaultHasher::new();
    for one in further {
        let path = Path::new(&one.path);
        let entries: Vec<PathBuf> =
            if path.is_dir() { rule_files(path).filter_map(|entry| Some(entry.ok()?.into_path())).collect() } else { vec![path.to_owned()] };
        for entry in entries {
            let about = std::fs::metadata(&entry).ok();
            (entry, about.as_ref().map(std::fs::Metadata::len), about.and_then(|about| about.modified().ok())).hash(&mut hasher);
        }
    }
    hasher.finish()
}

#[cfg(test)]
mod tests {
    use std::io::Write as _;

    use super::*;

    #[test]
    fn a_folder_a_checkout_and_an_archive_give_the_same_files() {
        let folder = tempfile::tempdir().unwrap();
        let rules = folder.path().join("checkout");
        for (name, text) in [("a.yml", "title: a"), ("deep/b.yaml", "title: b"), (".git/c.yml", "no"), ("README.md", "no")] {
            let path = rules.join(name);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, text).unwrap();
        }
        std::fs::write(rules.join("broken.yml"), b"title: \xff").unwrap();
        std::fs::write(rules.join("huge.yml"), vec![b'#'; FILE_BYTES_MAX + 1]).unwrap();
        let archive = folder.path().join("rules.zip");
        let mut zip = zip::ZipWriter::new(std::fs::File::create(&archive).unwrap());
        for entry in walkdir::WalkDir::new(&rules).into_iter().filter_map(Result::ok).filter(|entry| entry.file_type().is_file()) {
            zip.start_file(entry.path().strip_prefix(&rules).unwrap().to_string_lossy(), zip::write::SimpleFileOptions::default()).unwrap();
            zip.write_all(&std::fs::read(entry.path()).unwrap()).unwrap();
        }
        zip.finish().unwrap();
        let read = files(&rules).unwrap();
        assert_eq!(read.iter().map(|file| file.path.as_str()).collect::<Vec<_>>(), ["a.yml", "broken.yml", "deep/b.yaml", "huge.yml"]);
        assert!(read[1].text.as_ref().unwrap_err().contains("byte 7") && read[3].text.as_ref().unwrap_err().contains("1048576"));
        assert_eq!(files(&archive).unwrap(), read);
        assert!(set_of(&[folder.path().join("nowhere")]).unwrap_err().to_string().contains("nowhere"));
        let further = [FurtherRules { path: rules.to_string_lossy().into_owned(), severity_max: "high".to_owned() }];
        let before = seen(&further);
        std::fs::write(rules.join("a.yml"), "title: another").unwrap();
        assert_ne!(seen(&further), before);
    }
}
