//! Which server is trusted: one whose certificate lies in a folder that the operator keeps, or else the one that was met first. Another certificate is
//! refused until the operator has looked at it.

use std::path::{Path, PathBuf};

use opcua_crypto::{CertificateStore, X509};

use super::certificate::{self, Facts};
use super::own::{make_folder, read};
use super::{Error, Options};

/// What was found of a server's certificate.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Trust {
    /// It is the one that was met before.
    Pinned,
    /// It lies in the operator's folder.
    Listed,
    /// No certificate of this server was ever met.
    First,
}

/// The folder in which the library looks for the server's certificate.
pub fn folder(options: &Options) -> PathBuf {
    options.keys.join("servers").join(options.address.file_name())
}

/// Judges a server's certificate, and says what it is; nothing is written.
///
/// # Errors
/// [`Error::Untrusted`] saying which certificate was met and which was awaited, [`Error::Keys`] where those that are trusted cannot be read.
pub fn judge(options: &Options, chain: &[u8]) -> Result<(Trust, Facts), Error> {
    let url = || options.address.url.clone();
    let Some(facts) = certificate::facts(chain) else {
        return Err(Error::Untrusted { url: url(), message: "the server shows no certificate that can be read: look at its security settings".to_owned() });
    };
    let shown = format!("{} (thumbprint {})", facts.subject, facts.thumbprint);
    if let Some(trusted) = &options.trust {
        let known = thumbprints(trusted)?;
        if known.iter().any(|(_, thumbprint)| *thumbprint == facts.thumbprint) {
            return Ok((Trust::Listed, facts));
        }
        let message = format!(
            "the server shows the certificate {shown}, which is none of the {} in {}: put it there if it is the server's",
            known.len(),
            trusted.display()
        );
        return Err(Error::Untrusted { url: url(), message });
    }
    let pins = folder(options).join("trusted");
    let known = thumbprints(&pins)?;
    match known.first() {
        None => Ok((Trust::First, facts)),
        Some(_) if known.iter().any(|(_, thumbprint)| *thumbprint == facts.thumbprint) => Ok((Trust::Pinned, facts)),
        Some((path, thumbprint)) => {
            let message = format!(
                "the server shows another certificate than before, {shown} instead of thumbprint {thumbprint}: nothing is sent to it. If it was renewed, remove {} and start again; if not, somebody stands in for it",
                path.display()
            );
            Err(Error::Untrusted { url: url(), message })
        }
    }
}

/// Keeps the server's certificate as the one that is trusted: for the library, and as what the next connection is held against.
///
/// # Errors
/// [`Error::Keys`] when it cannot be written.
pub fn keep(options: &Options, chain: &[u8]) -> Result<(), Error> {
    let folder = folder(options);
    for part in ["trusted", "rejected"] {
        make_folder(&folder.join(part))?;
    }
    let Ok(certificate) = X509::from_der(chain) else { return Ok(()) };
    let path = folder.join("trusted").join(CertificateStore::cert_file_name(&certificate));
    if read(&path)?.as_deref() != Some(chain) {
        std::fs::write(&path, chain).map_err(|error| Error::Keys { path: path.clone(), message: error.to_string() })?;
    }
    // What the library once put there, because it met it before it was trusted.
    let _ = std::fs::remove_file(folder.join("rejected").join(CertificateStore::cert_file_name(&certificate)));
    Ok(())
}

/// The certificates of a folder; one that is not there has none.
fn thumbprints(folder: &Path) -> Result<Vec<(PathBuf, String)>, Error> {
    let failed = |error: &std::io::Error| Error::Keys { path: folder.to_owned(), message: error.to_string() };
    let entries = match std::fs::read_dir(folder) {
        Ok(entries) => entries,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => return Err(failed(&error)),
    };
    let mut found = Vec::new();
    for entry in entries {
        let path = entry.map_err(|error| failed(&error))?.path();
        let der = match path.extension().and_then(|extension| extension.to_str()) {
            Some("der" | "cer" | "crt") => read(&path)?,
            Some("pem") => read(&path)?.and_then(|pem| X509::from_pem(&pem).ok()?.to_der().ok()),
            _ => None,
        };
        match der.as_deref().map(|der| certificate::facts(der).or_else(|| certificate::facts(&X509::from_pem(der).ok()?.to_der().ok()?))) {
            Some(Some(facts)) => found.push((path, facts.thumbprint)),
            Some(None) => tracing::warn!(path = %path.display(), "this is no certificate, and trusts no server"),
            None => {}
        }
    }
    found.sort();
    Ok(found)
}
