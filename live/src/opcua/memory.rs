//! What is remembered of the sessions of a server: who opened them, by which certificate, and whether they ever proved who they are. Events say it once,
//! when a session is opened and activated; what follows in it names the session alone.
//!
//! It is part of the position, so that a restart forgets nothing. Bounded: the session that was heard of longest ago is forgotten first.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

/// How many sessions are remembered.
const SESSIONS_MAX: usize = 1_024;

/// One session.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Session {
    /// Facts of the certificate of the client application.
    #[serde(default, skip_serializing_if = "Value::is_null")]
    client: Value,
    /// Who logged in, as the event said it.
    #[serde(default, skip_serializing_if = "Value::is_null")]
    user: Value,
    #[serde(default, skip_serializing_if = "Value::is_null")]
    created: Value,
    #[serde(default, skip_serializing_if = "Value::is_null")]
    activated: Value,
    /// Logins that the server refused in it.
    #[serde(default)]
    refused: u32,
    /// Tells which was heard of last.
    heard: u64,
}

/// The sessions of one server.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Memory {
    sessions: BTreeMap<String, Session>,
    heard: u64,
}

impl Memory {
    /// Learns from a record, and writes into it, as `Session`, what is known of its session from before.
    pub fn see(&mut self, kind: &str, record: &mut Map<String, Value>) {
        let Some(id) = record.get("SessionId").and_then(Value::as_str).map(str::to_owned) else { return };
        let good = record.get("Status").and_then(Value::as_bool) == Some(true);
        let of = |record: &Map<String, Value>, field: &str| record.get(field).cloned().unwrap_or_default();
        self.heard += 1;
        let heard = self.heard;
        match kind {
            "AuditCreateSessionEventType" if good => {
                let mut client = of(record, "ClientCertificate");
                if client.is_null() && !of(record, "ClientCertificateThumbprint").is_null() {
                    client = json!({"Thumbprint": of(record, "ClientCertificateThumbprint")});
                }
                self.make_room();
                self.sessions.insert(id, Session { client, created: of(record, "Time"), heard, ..Session::default() });
            }
            "AuditActivateSessionEventType" => {
                self.make_room();
                let session = self.sessions.entry(id).or_default();
                session.heard = heard;
                Self::tell(session, record);
                if good {
                    session.user = of(record, "UserIdentityToken");
                    session.activated = of(record, "Time");
                } else {
                    session.refused += 1;
                }
            }
            _ => {
                let Some(session) = self.sessions.get_mut(&id) else { return };
                session.heard = heard;
                Self::tell(session, record);
                if kind == "AuditSessionEventType" {
                    self.sessions.remove(&id);
                }
            }
        }
    }

    fn tell(session: &Session, record: &mut Map<String, Value>) {
        if session.created.is_null() && session.activated.is_null() {
            return;
        }
        let known =
            [("Created", &session.created), ("Activated", &session.activated), ("ClientCertificate", &session.client), ("UserIdentityToken", &session.user)];
        let mut told: Map<String, Value> =
            known.into_iter().filter(|(_, value)| !value.is_null()).map(|(name, value)| (name.to_owned(), value.clone())).collect();
        if session.refused > 0 {
            told.insert("Refused".to_owned(), json!(session.refused));
        }
        record.insert("Session".to_owned(), Value::Object(told));
    }

    fn make_room(&mut self) {
        if self.sessions.len() < SESSIONS_MAX {
            return;
        }
        if let Some(oldest) = self.sessions.iter().min_by_key(|(_, session)| session.heard).map(|(id, _)| id.clone()) {
            self.sessions.remove(&oldest);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn record(value: Value) -> Map<String, Value> {
        value.as_object().unwrap().clone()
    }

    fn see(memory: &mut Memory, kind: &str, value: Value) -> Value {
        let mut record = record(value);
        memory.see(kind, &mut record);
        record.get("Session").cloned().unwrap_or_default()
    }

    #[test]
    fn what_follows_in_a_session_says_whose_it_is() {
        let mut memory = Memory::default();
        see(&mut memory, "AuditCreateSessionEventType", json!({"SessionId": "g=1", "Status": true, "Time": "t1", "ClientCertificate": {"Thumbprint": "ab"}}));
        let told = see(
            &mut memory,
            "AuditActivateSessionEventType",
            json!({"SessionId": "g=1", "Status": false, "Time": "t2", "UserIdentityToken": {"Type": "UserName"}}),
        );
        assert_eq!(told, json!({"Created": "t1", "ClientCertificate": {"Thumbprint": "ab"}}));
        see(&mut memory, "AuditActivateSessionEventType", json!({"SessionId": "g=1", "Status": true, "Time": "t3", "UserIdentityToken": {"Type": "UserName"}}));
        // A restart in between.
        memory = serde_json::from_str(&serde_json::to_string(&memory).unwrap()).unwrap();
        let told = see(&mut memory, "AuditSessionEventType", json!({"SessionId": "g=1", "Status": true}));
        assert_eq!((&told["Activated"], &told["UserIdentityToken"]["Type"], &told["Refused"]), (&json!("t3"), &json!("UserName"), &json!(1)));
        assert_eq!(see(&mut memory, "AuditSessionEventType", json!({"SessionId": "g=1", "Status": true})), Value::Null, "closed is forgotten");
    }

    #[test]
    fn the_one_heard_of_longest_ago_is_forgotten() {
        let mut memory = Memory::default();
        for number in 0..=SESSIONS_MAX {
            see(&mut memory, "AuditCreateSessionEventType", json!({"SessionId": format!("i={number}"), "Status": true, "Time": "t"}));
        }
        assert_eq!(memory.sessions.len(), SESSIONS_MAX);
        assert!(!memory.sessions.contains_key("i=0") && memory.sessions.contains_key("i=1"));
    }
}
