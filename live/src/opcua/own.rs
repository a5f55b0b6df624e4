//! keytrail's own application certificate: made on the first start, kept with its private key in the data folder, made anew before it expires.
//!
//! Whoever runs a server trusts it there by its thumbprint. The next one is made a month ahead, so that it can be trusted before it is used.

use std::path::{Path, PathBuf};

use base64::Engine as _;
use keytrail_schemas::Micros;
use opcua_crypto::{PrivateKey, X509, X509Data};

use super::Error;
use super::certificate;

/// How long a new one is valid.
const VALID_DAYS: u32 = 730;
/// Before the end the next one is made, so that servers can be told to trust it in time.
const PREPARE_DAYS: f64 = 30.0;
/// Before the end the next one takes its place.
const CHANGE_DAYS: f64 = 1.0;
const KEY_BITS: u32 = 2_048;

/// The certificate, and where it stands.
#[derive(Debug, Clone)]
pub struct Own {
    /// The certificate's file.
    pub path: PathBuf,
    /// The file of its private key.
    pub key: PathBuf,
    /// SHA-1 of the certificate, in hex.
    pub thumbprint: String,
    /// The application's URI, as it stands in the certificate.
    pub application_uri: String,
    /// Until when it is valid.
    pub not_after: Option<Micros>,
    /// The one that takes its place soon: its file, and its thumbprint.
    pub next: Option<(PathBuf, String)>,
    /// It was made just now.
    pub is_new: bool,
}

impl Own {
    /// Reads it from folder `keys`, and makes one where there is none; within thirty days of its end the next one is made, and takes its place on the
    /// last day.
    ///
    /// # Errors
    /// [`Error::Keys`] when the folder cannot be read or written, or holds a certificate without its key.
    pub fn open(keys: &Path, now: Micros) -> Result<Self, Error> {
        let folder = keys.join("own");
        let pair = |name: &str| (folder.join(format!("{name}.der")), folder.join(format!("{name}.pem")));
        let (current, next) = (pair("cert"), pair("next"));
        let Some(mut own) = Self::read(&current.0, &current.1)? else {
            return Self::make(current.0, current.1, None);
        };
        let left = own.not_after.map_or(f64::INFINITY, |end| end.days_since(now));
        if left > PREPARE_DAYS {
            return Ok(own);
        }
        let prepared = match Self::read(&next.0, &next.1)? {
            Some(prepared) => prepared,
            None => Self::make(next.0.clone(), next.1.clone(), Some(own.application_uri.clone()))?,
        };
        if left > CHANGE_DAYS {
            own.next = Some((prepared.path, prepared.thumbprint));
            return Ok(own);
        }
        // The old one stays beside it, so that its thumbprint can be looked up.
        let old = pair(&format!("cert-{}", own.thumbprint));
        let moves = [(&current.0, &old.0), (&current.1, &old.1), (&next.1, &current.1), (&next.0, &current.0)];
        for (from, to) in moves {
            std::fs::rename(from, to).map_err(|error| Error::Keys { path: to.clone(), message: error.to_string() })?;
        }
        Ok(Self { path: current.0, key: current.1, is_new: true, ..prepared })
    }

    fn read(path: &Path, key: &Path) -> Result<Option<Self>, Error> {
        let failed = |path: &Path, message: &str| Error::Keys { path: path.to_owned(), message: message.to_owned() };
        let Some(der) = read(path)? else { return Ok(None) };
        let facts = certificate::facts(&der)
            .ok_or_else(|| failed(path, "this is no certificate: remove it together with its key, and another application certificate is made"))?;
        PrivateKey::read_pem_file(key).map_err(|_| failed(key, "the private key of the application certificate cannot be read: restore it, or remove both"))?;
        let application_uri = facts.application_uri.unwrap_or_default();
        Ok(Some(Self {
            path: path.to_owned(),
            key: key.to_owned(),
            thumbprint: facts.thumbprint,
            application_uri,
            not_after: facts.not_after,
            next: None,
            is_new: false,
        }))
    }

    fn make(path: PathBuf, key: PathBuf, application_uri: Option<String>) -> Result<Self, Error> {
        let failed = |path: &Path, message: String| Error::Keys { path: path.to_owned(), message };
        make_folder(path.parent().unwrap_or(Path::new(".")))?;
        let host = X509Data::computer_hostnames().into_iter().next().filter(|host| !host.is_empty()).unwrap_or_else(|| "localhost".to_owned());
        let application_uri = application_uri.unwrap_or_else(|| format!("urn:{host}:keytrail"));
        let mut about = X509Data {
            key_size: KEY_BITS,
            common_name: "keytrail".to_owned(),
            organization: "keytrail".to_owned(),
            organizational_unit: String::new(),
            country: String::new(),
            state: String::new(),
            alt_host_names: Vec::new().into(),
            certificate_duration_days: VALID_DAYS,
        };
        about.alt_host_names.add_uri(&application_uri);
        about.alt_host_names.add_dns(&host);
        let (certificate, private) = X509::cert_and_pkey(&about).map_err(|message| failed(&path, message))?;
        let der = certificate.to_der().map_err(|error| failed(&path, error.to_string()))?;
        let pem = pem(private.to_der().map_err(|error| failed(&key, error.to_string()))?.as_bytes());
        // The key first: a certificate without one would be taken for whole.
        write_secret(&key, pem.as_bytes())?;
        write_secret(&path, &der)?;
        Self::read(&path, &key)?
            .map(|own| Self { is_new: true, ..own })
            .ok_or_else(|| failed(&path, "the certificate that was made cannot be read; this is a defect of keytrail".to_owned()))
    }
}

/// A private key in PKCS #8, as PEM (RFC 7468).
fn pem(der: &[u8]) -> String {
    let mut text = String::from("-----BEGIN PRIVATE KEY-----\n");
    for line in base64::engine::general_purpose::STANDARD.encode(der).as_bytes().chunks(64) {
        text.push_str(&String::from_utf8_lossy(line));
        text.push('\n');
    }
    text + "-----END PRIVATE KEY-----\n"
}

/// The file's bytes; `None` where it is not there.
pub fn read(path: &Path) -> Result<Option<Vec<u8>>, Error> {
    match std::fs::read(path) {
        Ok(bytes) => Ok(Some(bytes)),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(Error::Keys { path: path.to_owned(), message: error.to_string() }),
    }
}

/// Makes a folder that its owner alone can look into.
pub fn make_folder(path: &Path) -> Result<(), Error> {
    use std::os::unix::fs::DirBuilderExt as _;
    std::fs::DirBuilder::new().recursive(true).mode(0o700).create(path).map_err(|error| Error::Keys { path: path.to_owned(), message: error.to_string() })
}

fn write_secret(path: &Path, bytes: &[u8]) -> Result<(), Error> {
    use std::io::Write as _;
    use std::os::unix::fs::OpenOptionsExt as _;
    let draft = path.with_extension("new");
    let written = std::fs::OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(&draft).and_then(|mut file| {
        file.write_all(bytes)?;
        file.sync_all()?;
        std::fs::rename(&draft, path)
    });
    written.map_err(|error| Error::Keys { path: path.to_owned(), message: error.to_string() })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_made_once_and_the_next_one_is_made_in_time() {
        use std::os::unix::fs::PermissionsExt as _;
        let folder = tempfile::tempdir().unwrap();
        let now = Micros::parse_rfc3339("2026-01-01T00:00:00Z").unwrap();
        let first = Own::open(folder.path(), now).unwrap();
        assert!(first.is_new && first.application_uri.starts_with("urn:") && first.thumbprint.len() == 40, "{first:?}");
        assert_eq!(std::fs::metadata(&first.key).unwrap().permissions().mode() & 0o777, 0o600);
        let again = Own::open(folder.path(), now).unwrap();
        assert_eq!((again.is_new, &again.thumbprint, again.next), (false, &first.thumbprint, None));
        let before_the_end = |days: i64| Micros(first.not_after.unwrap().0 - days * Micros::DAY);
        let soon = Own::open(folder.path(), before_the_end(29)).unwrap();
        let (next, thumbprint) = soon.next.clone().unwrap();
        assert_eq!((soon.thumbprint, next.exists()), (first.thumbprint.clone(), true));
        assert_eq!(Own::open(folder.path(), before_the_end(20)).unwrap().next, soon.next, "it is made once");
        let second = Own::open(folder.path(), before_the_end(0)).unwrap();
        assert_eq!((second.is_new, &second.thumbprint, &second.path), (true, &thumbprint, &first.path));
        assert_eq!(second.application_uri, first.application_uri, "servers know the application by it");
        assert!(first.path.with_file_name(format!("cert-{}.der", first.thumbprint)).exists());
        std::fs::remove_file(&second.key).unwrap();
        let error = Own::open(folder.path(), now).unwrap_err().to_string();
        assert!(error.contains("cert.pem") && error.contains("restore it, or remove both"), "{error}");
        std::fs::write(&second.path, b"not a certificate").unwrap();
        assert!(Own::open(folder.path(), now).unwrap_err().to_string().contains("cert.der"));
    }
}
