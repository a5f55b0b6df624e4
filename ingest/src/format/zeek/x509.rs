//! `x509.log`: a certificate seen on the wire. Its holder presents it (`authenticate`); the validity period gives its age at use.
//! Seeing a certificate is not its issuance. Rows of chain certificates (`host_cert` is false, or an authority's that it did not
//! sign itself) are recognised and say nothing about who acted.
//!
//! Source: Zeek, `base/files/x509/main.zeek`.

use std::cell::RefCell;
use std::collections::VecDeque;

use keytrail_schemas::{Activity, IdentityKind, Outcome, Text};
use sha2::{Digest, Sha256};

use super::kind::Kind;
use super::row::{OWN, Row};
use super::scene::{Certificate, Scene, join};
use crate::format::Reject;

const FINGERPRINT: usize = OWN;
const FUID: usize = OWN + 1;
const SERIAL: usize = OWN + 2;
const SUBJECT: usize = OWN + 3;
const ISSUER: usize = OWN + 4;
const NOT_BEFORE: usize = OWN + 5;
const NOT_AFTER: usize = OWN + 6;
const HOST_CERT: usize = OWN + 7;
const CLIENT_CERT: usize = OWN + 8;
const AUTHORITY: usize = OWN + 9;

pub(super) static KIND: Kind = Kind {
    path: "x509",
    fields: &[
        "fingerprint",
        "id",
        "certificate.serial",
        "certificate.subject",
        "certificate.issuer",
        "certificate.not_valid_before",
        "certificate.not_valid_after",
        "host_cert",
        "client_cert",
        "basic_constraints.ca",
    ],
    marks: &["certificate.serial", "certificate.subject"],

    read,
};

fn read(row: &Row<'_>, scene: &mut Scene<'_>) -> Result<(), Reject> {
    let Some(subject) = row.text(SUBJECT) else { return Ok(()) };
    let issuer = row.text(ISSUER).unwrap_or_default();
    let (identity, account) = holder(&subject, &issuer, &scene.memory.issuers);
    let credential = row.owned(FINGERPRINT).or_else(|| Some(join(&[&account, "/", &row.text(SERIAL)?])));
    let certificate =
        Certificate { identity, account, issuer: Text::from(issuer.as_ref()), credential, issued_at: row.time(NOT_BEFORE), expires_at: row.time(NOT_AFTER) };
    for key in [row.text(FINGERPRINT), row.text(FUID)].into_iter().flatten() {
        scene.memory.certificates.put(&key, certificate.clone());
    }
    let mut event = scene.by_client(row, Activity::Authenticate, Text::const_new("x509.present"))?;
    let of_a_chain = row.flag(HOST_CERT).map_or_else(|| row.flag(AUTHORITY) == Some(true) && subject != issuer, |host| !host);
    if of_a_chain {
        return Ok(());
    }
    certificate.hold(&mut event, IdentityKind::Service);
    event.outcome = Outcome::Unknown;
    event.protocol = Some(Text::const_new("tls"));
    event.auth_method = Some(Text::const_new(if row.flag(CLIENT_CERT) == Some(true) { "mtls" } else { "tls" }));
    scene.push(event);
    Ok(())
}

/// The identity of a certificate's holder, `x509:<issuer-dn-hash>/<subject>`, and the hash: the first 16 hex digits of SHA-256 of
/// the issuer's distinguished name as Zeek prints it (RFC 4514).
pub(super) fn holder(subject: &str, issuer: &str, issuers: &Issuers) -> (Text, Text) {
    let account = issuers.hash(issuer);
    (join(&["x509:", &account, "/", subject]), account)
}

/// The hashes of the issuers that came last: a network has few.
#[derive(Default)]
pub(super) struct Issuers {
    known: RefCell<VecDeque<(Text, Text)>>,
}

impl Issuers {
    fn hash(&self, issuer: &str) -> Text {
        const KNOWN_MAX: usize = 8;
        const BYTES_MAX: usize = 512;
        let mut known = self.known.borrow_mut();
        if let Some((_, hash)) = known.iter().find(|(name, _)| name == issuer) {
            return hash.clone();
        }
        let digest = Sha256::digest(issuer.as_bytes());
        let hash = Text::from(hex::encode(digest.get(..8).unwrap_or_default()));
        if issuer.len() <= BYTES_MAX {
            known.truncate(KNOWN_MAX - 1);
            known.push_front((issuer.into(), hash.clone()));
        }
        hash
    }
}
