//! A record that is a line of text, as rules see it: an object of the fields that Sigma's taxonomy has for its source, and the whole line as
//! `message`, which keywords search.
//!
//! `auditd`: every `key=value` of the record, those within `msg='…'` too, the first where a key stands twice; what auditd writes in
//! hexadecimal is read; names of an enriched record (`SYSCALL=`) are fields of their own. `sshd`: of `sudo`'s lines `USER`, `TTY`, `PWD`,
//! `GROUP`, `COMMAND`.
//!
//! Source: SigmaHQ, "Taxonomy"; Linux audit, `auparse/typetab.h` (which fields are escaped).

use std::borrow::Cow;

/// Fields that auditd writes in hexadecimal where they hold a space, a quote or a byte that is no ASCII.
const ESCAPED: &[&str] = &[
    "acct",
    "cmd",
    "comm",
    "cwd",
    "data",
    "dir",
    "exe",
    "file",
    "grp",
    "key",
    "name",
    "new-chardev",
    "new-disk",
    "new-fs",
    "new-rng",
    "ocomm",
    "old-chardev",
    "old-disk",
    "old-fs",
    "old-rng",
    "path",
    "proctitle",
    "sw",
    "vm",
    "watch",
];

/// Fields of `sudo`'s lines.
const SUDO: &[&str] = &["TTY", "PWD", "USER", "GROUP", "COMMAND"];

/// The object that a line of `format` is for rules; `None` where records of the format are objects themselves.
#[must_use]
pub fn object(format: &str, line: &str) -> Option<String> {
    if line.trim_start().starts_with('{') {
        return None;
    }
    let mut object = Object::default();
    match format {
        "auditd" => audit(line, &mut object),
        "sshd" => sudo(line, &mut object),
        _ => return None,
    }
    object.put("message", line);
    Some(object.end())
}

/// A JSON object in the making; of fields of one name the first stays.
#[derive(Default)]
struct Object {
    json: String,
    names: Vec<String>,
}

impl Object {
    fn put(&mut self, name: &str, value: &str) {
        if self.names.iter().any(|known| known == name) {
            return;
        }
        self.json.push(if self.names.is_empty() { '{' } else { ',' });
        for (text, mark) in [(name, ":"), (value, "")] {
            // A text becomes JSON always.
            self.json.push_str(&serde_json::to_string(text).unwrap_or_default());
            self.json.push_str(mark);
        }
        self.names.push(name.to_owned());
    }

    fn end(mut self) -> String {
        self.json.push('}');
        self.json
    }
}

/// `type=EXECVE msg=audit(1.2:3): argc=2 a0="cat" a1=2F746D70`, `… msg='op=login acct="ci" res=success'`.
fn audit(line: &str, object: &mut Object) {
    // What a system call was given stands as numbers.
    let is_call = line.contains("type=SYSCALL ");
    let mut rest = line;
    loop {
        rest = rest.trim_start_matches(|c: char| c.is_whitespace() || matches!(c, '\'' | ',' | '\u{1d}'));
        let Some(end) = rest.find(|c: char| c == '=' || c.is_whitespace() || matches!(c, '\'' | '\u{1d}')) else { return };
        let (name, behind) = rest.split_at(end);
        let Some(behind) = behind.strip_prefix('=') else {
            // A word without a value.
            rest = behind;
            continue;
        };
        let is_name = !name.is_empty() && name.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'-' | b'[' | b']'));
        if behind.starts_with('\'') {
            rest = behind;
            continue;
        }
        let (value, is_quoted, after) = match behind.strip_prefix('"').and_then(|behind| behind.split_once('"')) {
            Some((value, after)) => (value, true, after),
            None => {
                let end = behind.find(|c: char| c.is_whitespace() || matches!(c, '\'' | '\u{1d}')).unwrap_or(behind.len());
                let (value, after) = behind.split_at(end);
                (value, false, after)
            }
        };
        if is_name {
            // Behind the stamp stands a colon.
            let value = if name == "msg" { value.trim_end_matches(':') } else { value };
            let is_argument = name.strip_prefix('a').is_some_and(|number| number.starts_with(|c: char| c.is_ascii_digit()));
            let is_escaped = !is_quoted && ((is_argument && !is_call) || ESCAPED.contains(&name));
            object.put(name, &if is_escaped { unescaped(value) } else { Cow::Borrowed(value) });
        }
        rest = after;
    }
}

/// A value that auditd may have written in hexadecimal, as what it was.
fn unescaped(value: &str) -> Cow<'_, str> {
    // Whatever needs to be escaped has some bytes; a shorter one is a number.
    let is_hex = value.len() >= 6 && value.len().is_multiple_of(2) && value.bytes().all(|b| b.is_ascii_digit() || (b'A'..=b'F').contains(&b));
    match hex::decode(value).ok().filter(|_| is_hex).and_then(|bytes| String::from_utf8(bytes).ok()) {
        // The parts of a command line stand apart by zeros.
        Some(text) => Cow::Owned(text.trim_end_matches('\0').replace('\0', " ")),
        None => Cow::Borrowed(value),
    }
}

/// `… sudo: ci : TTY=pts/0 ; PWD=/ ; USER=root ; COMMAND=/bin/ls -l ; echo`.
fn sudo(line: &str, object: &mut Object) {
    let Some((_, told)) = line.split_once(" : ") else { return };
    let (parts, command) = match told.split_once("COMMAND=") {
        Some((parts, command)) => (parts, Some(command)),
        None => (told, None),
    };
    for part in parts.split(" ; ") {
        if let Some((name, value)) = part.trim().split_once('=').filter(|(name, _)| SUDO.contains(name)) {
            object.put(name, value);
        }
    }
    if let Some(command) = command {
        object.put("COMMAND", command);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use serde_json::{Value, json};

    fn of(format: &str, line: &str) -> Value {
        serde_json::from_str(&object(format, line).unwrap()).unwrap()
    }

    #[test]
    fn audit_records_are_taken_apart() {
        let line = "node=web-1 type=EXECVE msg=audit(1643025668.518:50): argc=3 a0=\"cat\" a1=2F746D702F6120622E6C6F67 a2=10";
        let expected = json!({"node": "web-1", "type": "EXECVE", "msg": "audit(1643025668.518:50)", "argc": "3", "a0": "cat", "a1": "/tmp/a b.log", "a2": "10", "message": line});
        assert_eq!(of("auditd", line), expected);
        let line = "type=SYSCALL msg=audit(1.2:3): arch=c000003e syscall=59 a0=400000 a1=26 euid=33 comm=\"sh\" exe=2F746D702F6120622E6C6F67 key=(null)\u{1d}SYSCALL=execve AUID=\"ci\"";
        let fields = of("auditd", line);
        for (name, value) in
            [("SYSCALL", "execve"), ("a0", "400000"), ("a1", "26"), ("euid", "33"), ("exe", "/tmp/a b.log"), ("AUID", "ci"), ("type", "SYSCALL")]
        {
            assert_eq!(fields[name], value, "{name}");
        }
    }

    #[test]
    fn what_stands_in_the_message_of_a_record_is_a_field_too() {
        let line = "type=USER_LOGIN msg=audit(1.2:3): user pid=4 uid=0 msg='op=login id=1000 acct=\"a b\" exe=\"/usr/sbin/sshd\" hostname=? res=success'";
        let fields = of("auditd", line);
        for (name, value) in
            [("msg", "audit(1.2:3)"), ("pid", "4"), ("op", "login"), ("acct", "a b"), ("exe", "/usr/sbin/sshd"), ("hostname", "?"), ("res", "success")]
        {
            assert_eq!(fields[name], value, "{name}");
        }
        assert_eq!(fields.get("user"), None);
    }

    #[test]
    fn sudo_has_fields_and_every_line_a_message() {
        let line = "Nov 22 12:00:16 web-1 sudo:   ci : user NOT in sudoers ; TTY=pts/0 ; PWD=/srv ; USER=#-1 ; COMMAND=/bin/sh -c a ; USER=b";
        assert_eq!(of("sshd", line), json!({"TTY": "pts/0", "PWD": "/srv", "USER": "#-1", "COMMAND": "/bin/sh -c a ; USER=b", "message": line}));
        assert_eq!(of("sshd", "sshd[1]: bye"), json!({"message": "sshd[1]: bye"}));
    }

    #[test]
    fn what_is_an_object_or_no_line_format_stays() {
        assert_eq!(object("sshd", " {\"MESSAGE\": \"x\"}"), None);
        assert_eq!(object("zeek", "1\t2"), None);
    }

    proptest! {
        #[test]
        fn every_line_becomes_an_object(line in "\\PC{0,40}", middle in prop::sample::select(vec!["=", " a=\"", " msg='", "\u{1d}K=", " : USER=", "COMMAND="])) {
            for format in ["auditd", "sshd"] {
                let line = format!("type=X {line}{middle}{line}");
                prop_assert_eq!(&of(format, &line)["message"], &line);
            }
        }
    }
}
