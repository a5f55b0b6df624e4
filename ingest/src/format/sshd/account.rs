//! The host's accounts: `shadow-utils` and `passwd` change them, `sudo` and `su` let one act as another.

use keytrail_schemas::{Activity, Outcome};

use super::event::Told;

pub(super) fn is_tool(program: &str) -> bool {
    matches!(program, "useradd" | "userdel" | "usermod" | "passwd" | "chpasswd" | "chage" | "sudo" | "su")
}

/// What a message tells; `None` where it tells nothing of an account.
pub(super) fn read<'l>(program: &str, message: &'l str) -> Option<Told<'l>> {
    let message = message.trim();
    match program {
        "useradd" => added(message),
        "userdel" => message.strip_prefix("delete user '").and_then(quoted).map(|user| about(Activity::Revoke, "userdel", user)),
        "usermod" => modified(message),
        "passwd" | "chpasswd" | "chage" => password(message),
        "sudo" => sudo(message),
        "su" => su(message),
        _ => None,
    }
}

fn about<'l>(activity: Activity, action: &'static str, user: &'l str) -> Told<'l> {
    Told { is_ssh: false, ..Told::new(activity, Outcome::Success, action, user) }
}

fn quoted(text: &str) -> Option<&str> {
    text.split_once('\'').map(|(name, _)| name).filter(|name| !name.is_empty())
}

/// `new user: name=apache, UID=48, …`, `failed adding user 'x', …`.
fn added(message: &str) -> Option<Told<'_>> {
    if let Some(user) = message.strip_prefix("new user: name=").and_then(|rest| rest.split([',', ' ']).next()).filter(|user| !user.is_empty()) {
        return Some(about(Activity::Configure, "useradd", user));
    }
    let user = message.strip_prefix("failed adding user '").and_then(quoted)?;
    Some(Told { outcome: Outcome::Failure, ..about(Activity::Configure, "useradd", user) })
}

/// `change user 'x' password`, `… expiration from '…' to '…'`, `lock user 'x' password`, `add 'x' to group 'wheel'`.
fn modified(message: &str) -> Option<Told<'_>> {
    if let Some(rest) = message.strip_prefix("change user '") {
        let user = quoted(rest)?;
        let is_password = rest.get(user.len()..).is_some_and(|what| what.starts_with("' password"));
        let activity = if is_password { Activity::Rotate } else { Activity::Configure };
        return Some(Told { is_password, ..about(activity, "usermod", user) });
    }
    if let Some(user) = message.strip_prefix("lock user '").and_then(quoted) {
        return Some(Told { is_password: true, ..about(Activity::Revoke, "usermod.lock", user) });
    }
    if let Some(user) = message.strip_prefix("unlock user '").and_then(quoted) {
        return Some(about(Activity::Configure, "usermod.unlock", user));
    }
    let (user, rest) = message.strip_prefix("add '").and_then(|rest| rest.split_once('\''))?;
    rest.starts_with(" to group '").then(|| about(Activity::Grant, "usermod.group", user))
}

/// `pam_unix(passwd:chauthtok): password changed for x`, `password for 'x' changed by 'root'`.
fn password(message: &str) -> Option<Told<'_>> {
    let user = match message.split_once("password changed for ") {
        Some((_, user)) => user.split(' ').next()?,
        None => {
            let (_, rest) = message.split_once("password for '")?;
            let user = quoted(rest)?;
            rest.get(user.len()..)?.contains(" changed").then_some(user)?
        }
    };
    (!user.is_empty()).then(|| Told { is_password: true, ..about(Activity::Rotate, "passwd", user) })
}

/// `x : TTY=pts/0 ; PWD=/ ; USER=root ; COMMAND=/bin/ls`, `x : user NOT in sudoers ; …`, `x : 3 incorrect password attempts ; …`.
fn sudo(message: &str) -> Option<Told<'_>> {
    let (user, rest) = message.split_once(" : ")?;
    let target = rest.split(" ; ").find_map(|part| part.trim().strip_prefix("USER="))?;
    let command = rest.split_once("COMMAND=").map(|(_, command)| command);
    let first = rest.split(" ; ").next().unwrap_or_default().trim();
    let (outcome, reason) = if first.contains('=') {
        (Outcome::Success, None)
    } else if first.contains("incorrect password") {
        (Outcome::Failure, Some(first))
    } else {
        (Outcome::Denied, Some(first))
    };
    Some(Told { target: Some(target), command, outcome, reason, ..about(Activity::Use, "sudo", user.trim()) })
}

/// `(to root) ci on pts/0`, `FAILED SU (to root) ci on pts/0`.
fn su(message: &str) -> Option<Told<'_>> {
    let failed = message.strip_prefix("FAILED SU ");
    let (target, rest) = failed.unwrap_or(message).strip_prefix("(to ")?.split_once(") ")?;
    let user = rest.split(' ').next().filter(|user| !user.is_empty())?;
    let outcome = if failed.is_some() { Outcome::Failure } else { Outcome::Success };
    Some(Told { target: Some(target), outcome, ..about(Activity::Use, "su", user) })
}
