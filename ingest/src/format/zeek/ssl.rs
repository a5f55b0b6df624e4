//! `ssl.log`: a TLS handshake. The client acts; with a client certificate it is the certificate's holder, else its address.
//! Where the row tells the server certificate's subject, its holder authenticates in a second event.
//!
//! Source: Zeek, `base/protocols/ssl/main.zeek`, `policy/protocols/ssl/validate-certs.zeek`.

use keytrail_schemas::{Activity, CredentialKind, IdentityKind, Outcome, Text};

use super::kind::Kind;
use super::row::{OWN, RESP_H, Row};
use super::scene::{Certificate, Scene, server};
use super::x509::holder;
use crate::format::Reject;

const VERSION: usize = OWN;
const SERVER_NAME: usize = OWN + 1;
const ESTABLISHED: usize = OWN + 2;
const LAST_ALERT: usize = OWN + 3;
const VALIDATION: usize = OWN + 4;
const CHAIN: usize = OWN + 5;
const CHAIN_FUIDS: usize = OWN + 6;
const CLIENT_CHAIN: usize = OWN + 7;
const CLIENT_CHAIN_FUIDS: usize = OWN + 8;
const SUBJECT: usize = OWN + 9;
const ISSUER: usize = OWN + 10;
const CLIENT_SUBJECT: usize = OWN + 11;
const CLIENT_ISSUER: usize = OWN + 12;
const NOT_BEFORE: usize = OWN + 13;
const NOT_AFTER: usize = OWN + 14;

pub(super) static KIND: Kind = Kind {
    path: "ssl",
    fields: &[
        "version",
        "server_name",
        "established",
        "last_alert",
        "validation_status",
        "cert_chain_fps",
        "cert_chain_fuids",
        "client_cert_chain_fps",
        "client_cert_chain_fuids",
        "subject",
        "issuer",
        "client_subject",
        "client_issuer",
        "not_valid_before",
        "not_valid_after",
    ],
    marks: &["resumed", "ssl_history", "cert_chain_fps", "cert_chain_fuids", "client_cert_chain_fps", "validation_status"],

    read,
};

fn read(row: &Row<'_>, scene: &mut Scene<'_>) -> Result<(), Reject> {
    let established = row.flag(ESTABLISHED);
    let validation = row.owned(VALIDATION).filter(|status| status != "ok");
    let reason = validation.clone().or_else(|| row.owned(LAST_ALERT));
    let protocol = row.text(VERSION).map(|version| version_word(&version));
    let name = row.text(SERVER_NAME);
    let destination = server(row, "host", name.as_deref());

    let client = certificate(row, scene, [CLIENT_CHAIN, CLIENT_CHAIN_FUIDS], [CLIENT_SUBJECT, CLIENT_ISSUER]);
    let server_certificate = certificate(row, scene, [CHAIN, CHAIN_FUIDS], [SUBJECT, ISSUER]).map(|certificate| Certificate {
        issued_at: certificate.issued_at.or_else(|| row.time(NOT_BEFORE)),
        expires_at: certificate.expires_at.or_else(|| row.time(NOT_AFTER)),
        ..certificate
    });

    let client_fingerprint = row.first(CLIENT_CHAIN);
    let mutual = client.is_some() || client_fingerprint.is_some() || row.first(CLIENT_CHAIN_FUIDS).is_some();
    let mut event = scene.by_client(row, if mutual { Activity::Authenticate } else { Activity::Use }, Text::const_new("tls.handshake"))?;
    match client {
        Some(certificate) => certificate.hold(&mut event, IdentityKind::Service),
        None if client_fingerprint.is_some() => {
            event.credential = client_fingerprint;
            event.credential_kind = CredentialKind::X509;
        }
        None => {}
    }
    event.outcome = super::scene::outcome(established);
    event.reason.clone_from(&reason);
    event.destination.clone_from(&destination);
    event.destination_kind = Some(Text::const_new("host"));
    event.destination_service = Some(Text::const_new("tls"));
    event.protocol.clone_from(&protocol);
    event.auth_method = Some(Text::const_new(if mutual { "mtls" } else { "none" }));
    let rejected_by_client = event.outcome == Outcome::Failure;
    scene.push(event);

    if let Some(certificate) = server_certificate {
        let mut event = scene.by_server(row, Activity::Authenticate, Text::const_new("tls.present_certificate"))?;
        certificate.hold(&mut event, IdentityKind::Service);
        event.source_host = row.owned(SERVER_NAME).or_else(|| row.owned(RESP_H));
        event.outcome = if rejected_by_client { Outcome::Failure } else { super::scene::outcome(established) };
        event.reason = reason;
        event.protocol = protocol;
        event.auth_method = Some(Text::const_new("tls"));
        scene.push(event);
    }
    Ok(())
}

/// The certificate that a chain begins with, if its subject is known: from the row, or from a certificate row seen before.
fn certificate(row: &Row<'_>, scene: &Scene<'_>, chains: [usize; 2], names: [usize; 2]) -> Option<Certificate> {
    let [fingerprint, fuid] = chains.map(|chain| row.first(chain));
    let remembered = fingerprint.iter().chain(&fuid).find_map(|key| scene.memory.certificates.get(key));
    if let Some(certificate) = remembered {
        return Some(certificate.clone());
    }
    let [subject, issuer] = names.map(|slot| row.text(slot));
    let (identity, account) = holder(&subject?, issuer.as_deref().unwrap_or_default(), &scene.memory.issuers);
    Some(Certificate { identity, account, issuer: Text::from(issuer.unwrap_or_default().as_ref()), credential: fingerprint, issued_at: None, expires_at: None })
}

/// `tls1.2` of `TLSv12`, `dtls1.0` of `DTLSv10`, `tls1.3` of `TLSv13-draft19`, `ssl3` of `SSLv3`; `tls` of what is unknown.
fn version_word(version: &str) -> Text {
    // Nearly all that there are.
    match version {
        "TLSv12" => return Text::const_new("tls1.2"),
        "TLSv13" => return Text::const_new("tls1.3"),
        _ => {}
    }
    let lower = version.to_ascii_lowercase();
    match lower.split_once('v') {
        Some(("ssl", number)) => super::scene::join(&["ssl", number]),
        Some((family @ ("tls" | "dtls"), number)) => {
            let digits: String = number.chars().take_while(char::is_ascii_digit).collect();
            match digits.split_at_checked(1) {
                Some((major, "")) => super::scene::join(&[family, major]),
                Some((major, minor)) => super::scene::join(&[family, major, ".", minor]),
                None => Text::from(family),
            }
        }
        _ => Text::const_new("tls"),
    }
}

#[cfg(test)]
mod tests {
    #[test]
    fn versions_become_words_that_sort() {
        for (version, word) in [
            ("TLSv12", "tls1.2"),
            ("TLSv13", "tls1.3"),
            ("TLSv10", "tls1.0"),
            ("DTLSv12", "dtls1.2"),
            ("TLSv13-draft19", "tls1.3"),
            ("SSLv3", "ssl3"),
            ("unknown-32257", "tls"),
            ("TLSv", "tls"),
        ] {
            assert_eq!(super::version_word(version), word);
        }
    }
}
