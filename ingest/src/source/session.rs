//! Whose a session is: the record that says who logged in stands in another file than what was done then, so it is joined behind the merge of files,
//! where records have one order. Today for OPC UA, whose sessions live within a connection.
//!
//! Bounded: the oldest connection is forgotten first; what is done in a session that is not known stays its host's.

use std::collections::VecDeque;

use keytrail_schemas::{Activity, CredentialKind, Event, IdentityKind, Micros, Outcome, Text};
use rustc_hash::FxHashMap;

/// How many connections are remembered.
const SESSIONS_MAX: usize = 65_536;

/// The sessions that are known, by connection.
#[derive(Debug, Default)]
pub struct Sessions {
    by_connection: FxHashMap<Text, Session>,
    order: VecDeque<Text>,
}

#[derive(Debug)]
struct Session {
    since: Micros,
    /// When somebody logged in, if anybody did.
    login: Option<Micros>,
    identity: Text,
    kind: IdentityKind,
    provider: Text,
    account: Text,
    credential_kind: CredentialKind,
    auth_method: Option<Text>,
    user_agent: Option<Text>,
}

impl Sessions {
    /// Takes an event in the order of the merge: learns who a session belongs to, or says it.
    pub fn join(&mut self, event: &mut Event) {
        if event.protocol.as_deref() != Some("opcua") {
            return;
        }
        let Some(connection) = event.session.clone() else { return };
        let refused = matches!(event.outcome, Outcome::Failure | Outcome::Denied);
        if event.identity_provider == "opcua" {
            if !refused && matches!(event.activity, Activity::Authenticate | Activity::Use) {
                self.put(connection, event);
            }
            return;
        }
        let Some(session) = self.by_connection.get_mut(&connection).filter(|session| session.since <= event.time) else { return };
        if event.activity == Activity::Authenticate && !refused {
            // Anonymous: the application is all that is known, and how it authenticated is said from here on.
            session.auth_method.clone_from(&event.auth_method);
            session.credential_kind = event.credential_kind;
        }
        event.identity = session.identity.clone();
        event.identity_kind = session.kind;
        event.identity_provider = session.provider.clone();
        event.identity_account = session.account.clone();
        if event.auth_method.is_none() {
            event.auth_method.clone_from(&session.auth_method);
            event.credential_kind = session.credential_kind;
        }
        if event.user_agent.is_none() {
            event.user_agent.clone_from(&session.user_agent);
        }
    }

    fn put(&mut self, connection: Text, event: &Event) {
        let known = self.by_connection.get_mut(&connection);
        let login = (event.activity == Activity::Authenticate).then_some(event.time);
        // The application opened the session before its user logged in, at the same moment of the sensor's clock perhaps.
        if let Some(known) = &known
            && login.is_none()
            && known.login.is_some_and(|login| login >= event.time)
        {
            return;
        }
        let session = Session {
            since: known.as_ref().map_or(event.time, |known| known.since.min(event.time)),
            login,
            identity: event.identity.clone(),
            kind: event.identity_kind,
            provider: event.identity_provider.clone(),
            account: event.identity_account.clone(),
            credential_kind: event.credential_kind,
            auth_method: event.auth_method.clone(),
            user_agent: event.user_agent.clone().or_else(|| known.and_then(|known| known.user_agent.take())),
        };
        if self.by_connection.insert(connection.clone(), session).is_none() {
            self.order.push_back(connection);
        }
        if self.order.len() > SESSIONS_MAX
            && let Some(oldest) = self.order.pop_front()
        {
            self.by_connection.remove(&oldest);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn event(at: i64, identity: &str, activity: Activity, method: Option<&'static str>) -> Event {
        Event {
            time: Micros(at),
            identity: identity.into(),
            identity_provider: identity.split(':').next().unwrap().into(),
            activity,
            protocol: Some("opcua".into()),
            session: Some("C1".into()),
            auth_method: method.map(Text::const_new),
            ..Event::default()
        }
    }

    fn joined(sessions: &mut Sessions, mut event: Event) -> (Text, Option<Text>) {
        sessions.join(&mut event);
        (event.identity, event.auth_method)
    }

    #[test]
    fn what_is_done_is_the_users_that_logged_in() {
        let mut sessions = Sessions::default();
        let host = "zeek:lab:host/10.0.0.1";
        assert_eq!(joined(&mut sessions, event(1, host, Activity::Use, None)).0, host, "before anybody logged in");
        joined(&mut sessions, event(2, "opcua:plc:client/urn:a", Activity::Use, None));
        assert_eq!(joined(&mut sessions, event(3, host, Activity::Use, None)), ("opcua:plc:client/urn:a".into(), None));
        joined(&mut sessions, event(4, "opcua:plc:user/u", Activity::Authenticate, Some("password")));
        assert_eq!(joined(&mut sessions, event(5, host, Activity::Use, None)), ("opcua:plc:user/u".into(), Some("password".into())));
        assert_eq!(joined(&mut sessions, event(1, host, Activity::Use, None)).0, host, "earlier than the session");
        let other = Event { session: Some("C2".into()), ..event(6, host, Activity::Use, None) };
        assert_eq!(joined(&mut sessions, other).0, host);
    }

    #[test]
    fn anonymous_sessions_are_their_applications() {
        let mut sessions = Sessions::default();
        let host = "zeek:lab:host/10.0.0.1";
        joined(&mut sessions, event(1, "opcua:plc:client/urn:a", Activity::Use, None));
        assert_eq!(joined(&mut sessions, event(2, host, Activity::Authenticate, Some("anonymous"))).0, "opcua:plc:client/urn:a");
        assert_eq!(joined(&mut sessions, event(3, host, Activity::Use, None)), ("opcua:plc:client/urn:a".into(), Some("anonymous".into())));
    }

    #[test]
    fn refused_logins_own_nothing() {
        let mut sessions = Sessions::default();
        let refused = Event { outcome: Outcome::Denied, ..event(1, "opcua:plc:user/u", Activity::Authenticate, Some("password")) };
        joined(&mut sessions, refused);
        assert_eq!(joined(&mut sessions, event(2, "zeek:lab:host/h", Activity::Use, None)).0, "zeek:lab:host/h");
    }

    #[test]
    fn the_oldest_is_forgotten() {
        let mut sessions = Sessions::default();
        for i in 0..=SESSIONS_MAX {
            let mut one = Event { session: Some(i.to_string().into()), ..event(1, "opcua:plc:user/u", Activity::Authenticate, None) };
            sessions.join(&mut one);
        }
        assert_eq!((sessions.by_connection.len(), sessions.order.len()), (SESSIONS_MAX, SESSIONS_MAX));
        assert!(!sessions.by_connection.contains_key("0"));
    }
}
