//! One database file in `MaxMind`'s format, held in memory: of `MaxMind` itself (`GeoLite2`, `GeoIP2`: country, city, ASN, ISP, enterprise), or of
//! others that write the format with the same or with flat fields (DB-IP, `IPinfo`).

use std::net::IpAddr;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::SystemTime;

use keytrail_schemas::Text;
use maxminddb::{LookupResult, PathElement, Reader};

use super::Unusable;

/// What is known of an address.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Known {
    /// ISO 3166.
    pub country: Option<Text>,
    /// Number of the autonomous system.
    pub asn: Option<i64>,
}

/// A database.
#[derive(Clone)]
pub struct Database {
    reader: Arc<Reader<Vec<u8>>>,
    stamp: Option<Stamp>,
    /// That it changed and cannot be used was said.
    said: Arc<AtomicBool>,
}

/// By what a file is known to be the same.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Stamp {
    changed: Option<SystemTime>,
    bytes: u64,
}

impl Stamp {
    fn of(path: &Path) -> Option<Self> {
        let about = std::fs::metadata(path).ok()?;
        Some(Self { changed: about.modified().ok(), bytes: about.len() })
    }
}

impl Database {
    /// Reads a file whole.
    pub fn open(path: &Path) -> Result<Self, Unusable> {
        let unusable = |message: String| Unusable { path: path.display().to_string(), message };
        // Before its content: a file that is replaced meanwhile is read again at the next look.
        let stamp = Stamp::of(path);
        let bytes = std::fs::read(path).map_err(|error| unusable(format!("{error}: name a database in MaxMind's format (.mmdb) that can be read")))?;
        let reader = Reader::from_source(bytes)
            .map_err(|error| unusable(format!("it is no database in MaxMind's format ({error}): fetch it again, unpacked (.mmdb, not .tar.gz)")))?;
        Ok(Self { reader: Arc::new(reader), stamp, said: Arc::default() })
    }

    /// Whether the file is still the one that was read.
    pub fn is_current(&self, path: &Path) -> bool {
        self.stamp == Stamp::of(path)
    }

    /// Whether it is said for the first time that the file cannot be used any more.
    pub fn is_news(&self, _path: &Path) -> bool {
        !self.said.swap(true, Ordering::AcqRel)
    }

    /// What it knows of an address; nothing where it is damaged there.
    pub fn look_up(&self, address: IpAddr) -> Known {
        let Ok(found) = self.reader.lookup(address) else { return Known::default() };
        if !found.has_data() {
            return Known::default();
        }
        let country = [&["country", "iso_code"][..], &["registered_country", "iso_code"], &["country_code"], &["country"]]
            .into_iter()
            .find_map(|path| text(&found, path).filter(|code| code.len() == 2));
        let asn = [&["autonomous_system_number"][..], &["traits", "autonomous_system_number"]]
            .into_iter()
            .find_map(|path| found.decode_path::<u32>(&elements(path)).ok().flatten())
            .or_else(|| text(&found, &["asn"]).and_then(|name| name.strip_prefix("AS")?.parse().ok()));
        Known { country: country.map(Text::from), asn: asn.map(i64::from) }
    }
}

fn elements<'p>(path: &[&'p str]) -> Vec<PathElement<'p>> {
    path.iter().map(|key| PathElement::Key(key)).collect()
}

fn text<'d>(found: &LookupResult<'d, Vec<u8>>, path: &[&str]) -> Option<&'d str> {
    found.decode_path::<&'d str>(&elements(path)).ok().flatten()
}
