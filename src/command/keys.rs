//! `keytrail keys`: one key for an estate, so that the same secret has the same fingerprint whichever machine read it; epochs where a key was
//! replaced; and the fingerprints of a secret that somebody found.

use std::io::Read as _;
use std::path::Path;

use anyhow::Context as _;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use keytrail_ingest::redact::Redactor;
use keytrail_schemas::{Hash32, Micros};
use serde::{Deserialize, Serialize};

use crate::cli::{KeyAction, Keys};
use crate::config::Config;
use crate::exit::{Code, Usage};
use crate::home::Home;
use crate::keyring::{self, Keyring};
use crate::output::Writer;
use crate::seal;

/// The first line of an export that a passphrase opens; base64 follows.
const SEALED: &str = "keytrail-keys 1 aes-256-gcm pbkdf2-hmac-sha256";
/// The first line of one that everybody can read; JSON follows.
const PLAIN: &str = "keytrail-keys 1 plain";

/// A row of what is known of a key, never the key.
#[derive(Debug, Serialize)]
struct Row {
    key_id: String,
    since: String,
    until: Option<String>,
    kept: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    fingerprint: Option<String>,
}

/// A key as it travels.
#[derive(Debug, Serialize, Deserialize)]
struct Travelling {
    key: Hash32,
    since: Micros,
    current: bool,
}

/// Runs one of its actions.
pub fn run(config: &Config, output: &Writer, arguments: &Keys) -> anyhow::Result<Code> {
    let keys = Home::open(config)?.keyring();
    match &arguments.action {
        KeyAction::List => output.records(&rows(&keys, None)?)?,
        KeyAction::Export { file, passphrase_file, plain } => export(&keys, output, file, passphrase_file.as_deref(), *plain)?,
        KeyAction::Import { file, passphrase_file } => import(&keys, output, file, passphrase_file.as_deref())?,
        KeyAction::Rotate { forget } => {
            keys.replace(&seal::random()?, *forget)?;
            output
                .note("from now on equal secrets have other fingerprints than before; processes that run go on with the old key until they are started again");
            output.note("other machines of the estate: keytrail keys export here, keytrail keys import there");
            output.records(&rows(&keys, None)?)?;
        }
        KeyAction::Fingerprint => {
            let mut secret = Vec::new();
            std::io::stdin().lock().read_to_end(&mut secret).context("reading the secret from standard input")?;
            while secret.last().is_some_and(|byte| matches!(byte, b'\n' | b'\r')) {
                secret.pop();
            }
            if secret.is_empty() {
                return Err(Usage("give the secret on standard input: arguments are seen by every process of the machine".to_owned()).into());
            }
            output.records(&rows(&keys, Some(&secret))?)?;
        }
    }
    Ok(Code::Done)
}

fn rows(keys: &Keyring, secret: Option<&[u8]>) -> anyhow::Result<Vec<Row>> {
    let row = |epoch: keyring::Epoch| Row {
        fingerprint: secret.and_then(|secret| epoch.key.map(|key| Redactor::new(&key).fingerprint(secret).to_string())),
        kept: epoch.key.is_some(),
        key_id: epoch.key_id,
        since: epoch.since.to_rfc3339(),
        until: epoch.until.map(Micros::to_rfc3339),
    };
    Ok(keys.epochs()?.into_iter().map(row).collect())
}

fn export(keys: &Keyring, output: &Writer, file: &Path, passphrase_file: Option<&Path>, plain: bool) -> anyhow::Result<()> {
    let epochs = keys.epochs()?;
    let travelling: Vec<Travelling> =
        epochs.iter().filter_map(|epoch| epoch.key.map(|key| Travelling { key: Hash32(key), since: epoch.since, current: epoch.until.is_none() })).collect();
    let json = serde_json::to_string(&travelling)?;
    let text = match passphrase_file {
        Some(path) => {
            let passphrase = keyring::secret_file(path)?;
            if passphrase.len() < 12 {
                return Err(Usage(format!("{}: the passphrase has {} bytes: take at least 12", path.display(), passphrase.len())).into());
            }
            format!("{SEALED}\n{}\n", STANDARD.encode(seal::with_passphrase(&passphrase, json.as_bytes())?))
        }
        None if plain => format!("{PLAIN}\n{json}\n"),
        None => {
            return Err(Usage(
                "an export holds the keys: protect it with --passphrase-file FILE, or say --plain where the file goes a way that nobody else can read"
                    .to_owned(),
            )
            .into());
        }
    };
    keyring::private(file, text.as_bytes()).map_err(|error| Usage(format!("{}: {error}", file.display())))?;
    output.note(&format!("{} keys written to {}, for its owner alone", travelling.len(), file.display()));
    if passphrase_file.is_none() {
        output.note(
            "WARNING: the file is not encrypted. Who has it and the lake can try out which secret a fingerprint stands for. Delete it once it is imported.",
        );
    }
    Ok(())
}

fn import(keys: &Keyring, output: &Writer, file: &Path, passphrase_file: Option<&Path>) -> anyhow::Result<()> {
    let text = std::fs::read_to_string(file).map_err(|error| Usage(format!("{}: {error}", file.display())))?;
    let wrong = |why: &str| Usage(format!("{}: {why}", file.display()));
    let json = match text.split_once('\n') {
        Some((PLAIN, json)) => json.as_bytes().to_vec(),
        Some((SEALED, sealed)) => {
            let path = passphrase_file.ok_or_else(|| wrong("is encrypted: give --passphrase-file FILE"))?;
            let sealed = STANDARD.decode(sealed.trim()).map_err(|_| wrong("is damaged: what follows the first line is no base64"))?;
            seal::open_with_passphrase(&keyring::secret_file(path)?, &sealed)
                .ok_or_else(|| wrong("does not open: another passphrase, or the file was changed"))?
        }
        _ => return Err(wrong("is no export of `keytrail keys export`").into()),
    };
    let travelling: Vec<Travelling> = serde_json::from_slice(&json).map_err(|error| wrong(&format!("is damaged: {error}")))?;
    let current = travelling.iter().find(|key| key.current).ok_or_else(|| wrong("holds no current key"))?;
    let before = keyring::id(&keys.current()?);
    for key in travelling.iter().filter(|key| !key.current) {
        keys.keep(&key.key.0)?;
    }
    keys.replace(&current.key.0, false)?;
    let now = keyring::id(&current.key.0);
    if before == now {
        output.note("the current key was this one already");
    } else {
        output.note(&format!("the current key is {now}; {before}, which was used here until now, is kept: what was read before has its fingerprints"));
    }
    output.records(&rows(keys, None)?)
}
