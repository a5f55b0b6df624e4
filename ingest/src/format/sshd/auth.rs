//! The messages of `sshd` (since 9.8 also `sshd-session` and `sshd-auth`).

use keytrail_schemas::{Activity, Outcome};

use super::event::{Certificate, Key, Told};
use super::phrase::Phrase;

pub(super) fn is_daemon(program: &str) -> bool {
    matches!(program, "sshd" | "sshd-session" | "sshd-auth" | "sshd.exe")
}

/// What a message tells; `None` where it names no account, or tells again what another line tells.
pub(super) fn read(message: &str) -> Option<Told<'_>> {
    let message = message.trim_end();
    let message = message.strip_suffix(" [preauth]").unwrap_or(message);
    let mut phrase = Phrase(message.strip_prefix("error: ").or_else(|| message.strip_prefix("fatal: ")).unwrap_or(message));
    if phrase.skip("Accepted ") {
        return result(phrase, Outcome::Success, "ssh.accept");
    }
    if phrase.skip("Failed ") {
        return result(phrase, Outcome::Failure, "ssh.fail");
    }
    if phrase.skip("Invalid user ") || phrase.skip("Illegal user ") {
        return refused(phrase, Outcome::Failure, "ssh.invalid_user");
    }
    if phrase.skip("maximum authentication attempts exceeded for ") {
        let _ = phrase.skip("invalid user ");
        return refused(phrase, Outcome::Failure, "ssh.max_attempts");
    }
    if phrase.skip("Starting session: ") {
        return session(phrase);
    }
    if phrase.skip("Disconnected from ") || phrase.skip("Connection closed by ") || phrase.skip("Connection reset by ") {
        return left(phrase);
    }
    if phrase.skip("PAM: ") {
        // The words of pam_strerror(3); what a module says by itself in one word is no reason, and may be what was typed.
        let reason = Some(phrase.until(" for ")?).filter(|reason| reason.contains(' ')).unwrap_or("PAM");
        let _ = phrase.skip("illegal user ") || phrase.skip("invalid user ");
        return refused(phrase, Outcome::Failure, "ssh.pam").map(|told| Told { reason: Some(reason), ..told });
    }
    if phrase.skip("ROOT LOGIN REFUSED FROM ") {
        let address = phrase.word();
        let told = Told::new(Activity::Authenticate, Outcome::Denied, "ssh.root_refused", "root");
        return Some(Told { address, port: port(&mut phrase), ..told });
    }
    if phrase.skip("User ") {
        return not_allowed(phrase);
    }
    None
}

/// `publickey for ci from 10.0.0.1 port 5 ssh2: ED25519 SHA256:…`, after `Accepted` or `Failed`.
fn result<'l>(mut phrase: Phrase<'l>, outcome: Outcome, action: &'static str) -> Option<Told<'l>> {
    let method = phrase.until(" for ")?;
    let invalid = phrase.skip("invalid user ") || phrase.skip("illegal user ");
    let user = user(&mut phrase, outcome == Outcome::Success)?;
    let address = phrase.word()?;
    let port = port(&mut phrase);
    let mut told = Told { method: Some(method), address: Some(address), port, ..Told::new(Activity::Authenticate, outcome, action, user) };
    told.reason = match (outcome, invalid) {
        (Outcome::Success, _) => None,
        (_, true) => Some("invalid user"),
        (_, false) => Some(method),
    };
    let _ = phrase.skip("ssh2") || phrase.skip("ssh1");
    if phrase.skip(": ") {
        told.key = key(phrase);
    }
    Some(told)
}

/// A user's name ends before ` from `: before the last one where the client chose the name and nobody checked it, so that it cannot forge an address.
fn user<'l>(phrase: &mut Phrase<'l>, is_checked: bool) -> Option<&'l str> {
    let user = if is_checked { phrase.until(" from ") } else { phrase.until_last(" from ") };
    user.filter(|user| !user.is_empty())
}

fn port<'l>(phrase: &mut Phrase<'l>) -> Option<&'l str> {
    let _ = phrase.skip("port ");
    let end = phrase.0.find(|c: char| !c.is_ascii_digit()).unwrap_or(phrase.0.len());
    let (port, rest) = phrase.0.split_at(end);
    phrase.0 = rest.trim_start_matches(' ');
    (1..=5).contains(&port.len()).then_some(port)
}

/// `ED25519 SHA256:…`, `RSA 39:33:…`, or `ED25519-CERT SHA256:… ID ci@7 (serial 7) CA ED25519 SHA256:…`.
fn key<'l>(mut phrase: Phrase<'l>) -> Option<Key<'l>> {
    let (algorithm, fingerprint) = (phrase.word()?, phrase.word()?);
    // Before 6.8: `RSA SHA256:…` and `RSA 39:33:…` alike; the word may be the fingerprint already.
    let mut key = Key { algorithm, fingerprint, certificate: None };
    let is_certificate = phrase.skip("ID ");
    if is_certificate {
        let mut rest = phrase;
        // The id is whatever the CA wrote into it.
        let id = rest.until_last(" (serial ")?;
        let serial = rest.until(") CA ")?;
        key.certificate = Some(Certificate { id, serial, ca_algorithm: rest.word()?, ca: rest.word()? });
    }
    Some(key)
}

/// `test from 10.0.0.1`, with or without a port.
fn refused<'l>(mut phrase: Phrase<'l>, outcome: Outcome, action: &'static str) -> Option<Told<'l>> {
    let user = user(&mut phrase, outcome == Outcome::Success)?;
    let address = phrase.word();
    let port = port(&mut phrase);
    Some(Told {
        address,
        port,
        reason: Some("invalid user").filter(|_| action == "ssh.invalid_user"),
        ..Told::new(Activity::Authenticate, outcome, action, user)
    })
}

/// `command for ci from 10.0.0.1 port 5 id 0`, at the log level VERBOSE.
fn session(mut phrase: Phrase<'_>) -> Option<Told<'_>> {
    let what = phrase.until(" for ")?;
    let action = if what.starts_with("subsystem 'sftp'") || what.contains("internal-sftp") {
        "ssh.sftp"
    } else if what.starts_with("shell") {
        "ssh.shell"
    } else {
        "ssh.command"
    };
    let told = refused(phrase, Outcome::Success, action)?;
    Some(Told { activity: Activity::Use, ..told })
}

/// Who left: `user ci 10.0.0.1 port 5` had a session, `authenticating user` and `invalid user` had none.
fn left(mut phrase: Phrase<'_>) -> Option<Told<'_>> {
    let (activity, outcome, action, reason) = if phrase.skip("user ") {
        (Activity::End, Outcome::Success, "ssh.disconnect", None)
    } else if phrase.skip("authenticating user ") {
        (Activity::Authenticate, Outcome::Failure, "ssh.abandon", Some("left before it was authenticated"))
    } else if phrase.skip("invalid user ") {
        (Activity::Authenticate, Outcome::Failure, "ssh.abandon", Some("invalid user"))
    } else {
        return None;
    };
    let head = phrase.0.rsplit_once(" port ").map_or(phrase.0, |(head, _)| head);
    let (user, address) = head.rsplit_once(' ')?;
    let mut rest = Phrase(phrase.0.get(head.len()..)?.trim_start());
    Some(Told { address: Some(address), port: port(&mut rest), reason, ..Told::new(activity, outcome, action, user) })
}

/// `ci from 10.0.0.1 not allowed because not listed in AllowUsers`.
fn not_allowed(mut phrase: Phrase<'_>) -> Option<Told<'_>> {
    let (head, reason) = phrase.0.rsplit_once(" not allowed because ")?;
    phrase.0 = head;
    let user = phrase.until_last(" from ").unwrap_or(head);
    let address = (user.len() < head.len()).then(|| phrase.word()).flatten();
    Some(Told { address, reason: Some(reason), ..Told::new(Activity::Authenticate, Outcome::Denied, "ssh.not_allowed", user) })
}
