//! One line of an audit log, borrowed: where its facts stand, in old shapes (Vault 1.4) and new ones (1.21).

use keytrail_schemas::{Micros, Reason, Text};

use crate::format::Reject;
use crate::json::Value;

/// Which of the two lines of a request it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Side {
    /// What was asked.
    Request,
    /// What came of it; it repeats the request.
    Response,
}

/// An audit entry.
#[derive(Clone, Copy)]
pub(super) struct Entry<'d> {
    pub(super) side: Side,
    root: Value<'d>,
    request: Value<'d>,
}

impl<'d> Entry<'d> {
    /// Sees a JSON document as an audit entry.
    pub(super) fn of(root: Value<'d>) -> Result<Self, Reject> {
        let reject = |reason, field: &'static str, message: &str| Err(Reject { reason, field: Some(Text::const_new(field)), message: message.to_owned() });
        if root.get("@message").is_some() || root.get("@module").is_some() {
            return reject(Reason::WrongKind, "@message", super::SERVER_LOG);
        }
        let side = match root.str_at(&["type"]) {
            Some("request") => Side::Request,
            Some("response") => Side::Response,
            Some(other) => {
                return reject(
                    Reason::WrongKind,
                    "type",
                    &format!("the type holds {}, which is neither request nor response: not a Vault audit entry", crate::format::described(other)),
                );
            }
            None => return reject(Reason::WrongKind, "type", "no field type: not a Vault audit entry"),
        };
        let Some(request) = root.get("request").filter(|request| request.is_object()) else {
            return reject(Reason::Malformed, "request", "a Vault audit entry without the object request");
        };
        Ok(Self { side, root, request })
    }

    /// When the line was written.
    pub(super) fn time(self) -> Result<Micros, Reject> {
        let no_time = |message: String| Reject { reason: Reason::NoTime, field: Some(Text::const_new("time")), message };
        let time = self.root.str_at(&["time"]).ok_or_else(|| no_time("the field time is missing: the entry cannot be placed".to_owned()))?;
        Micros::parse_rfc3339(time)
            .map_err(|_| no_time(format!("the field time holds {}, which is no RFC 3339 time between 1970 and 2200", crate::format::described(time))))
    }

    /// The id that a request shares with its response.
    pub(super) fn id(self) -> Option<&'d str> {
        self.request.str_at(&["id"])
    }

    /// The path asked for, without the namespace.
    pub(super) fn path(self) -> &'d str {
        self.request.str_at(&["path"]).unwrap_or_default()
    }

    /// `read`, `update`, …
    pub(super) fn operation(self) -> &'d str {
        self.request.str_at(&["operation"]).unwrap_or("unknown")
    }

    /// The namespace's path with a slash at its end; empty for the root.
    pub(super) fn namespace(self) -> &'d str {
        self.request.str_at(&["namespace", "path"]).unwrap_or_default()
    }

    /// The mount's type (`kv`, `approle`, …), which older versions leave out.
    pub(super) fn mount_type(self) -> Option<&'d str> {
        self.request.str_at(&["mount_type"]).or_else(|| self.root.str_at(&["response", "mount_type"]))
    }

    /// Where the engine is mounted, with a slash at its end; newer versions say it, else the path tells.
    pub(super) fn mount(self) -> &'d str {
        let path = self.path();
        if let Some(mount) = self.request.str_at(&["mount_point"]).filter(|mount| path.starts_with(*mount)) {
            return mount;
        }
        let after = if path.starts_with("auth/") { 5 } else { 0 };
        let end = path.get(after..).and_then(|rest| rest.find('/')).map_or(path.len(), |slash| after + slash + 1);
        path.get(..end).unwrap_or(path)
    }

    /// The path within the mount.
    pub(super) fn within(self) -> &'d str {
        self.path().strip_prefix(self.mount()).unwrap_or_default()
    }

    /// Who asked; at a login's response, who logged in.
    pub(super) fn auth(self) -> Token<'d> {
        Token(self.root.get("auth"))
    }

    /// The token that the response hands out or renews.
    pub(super) fn handed_out(self) -> Token<'d> {
        Token(self.root.at(&["response", "auth"]))
    }

    /// The token that came with the request: its HMAC, or in clear where the device logs raw.
    pub(super) fn client_token(self) -> Option<&'d str> {
        self.request.str_at(&["client_token"])
    }

    /// Its accessor.
    pub(super) fn client_accessor(self) -> Option<&'d str> {
        self.request.str_at(&["client_token_accessor"])
    }

    /// A parameter of the request.
    pub(super) fn asked(self, key: &str) -> Option<Value<'d>> {
        self.request.at(&["data", key])
    }

    /// A field of the response's data.
    pub(super) fn answered(self, key: &str) -> Option<Value<'d>> {
        self.root.at(&["response", "data", key])
    }

    /// The lease that the response carries.
    pub(super) fn lease(self) -> Option<&'d str> {
        self.root.str_at(&["response", "secret", "lease_id"])
    }

    /// A field of the response's wrapping token.
    pub(super) fn wrapping(self, key: &str) -> Option<Value<'d>> {
        self.root.at(&["response", "wrap_info", key])
    }

    /// What went wrong.
    pub(super) fn error(self) -> Option<&'d str> {
        self.root.str_at(&["error"])
    }

    /// The client's address.
    pub(super) fn address(self) -> Option<&'d str> {
        self.request.str_at(&["remote_address"])
    }

    /// The client's name for itself, where the device logs that header.
    pub(super) fn user_agent(self) -> Option<&'d str> {
        let headers = self.request.get("headers")?;
        let (_, values) = headers.entries().find(|(name, _)| name.eq_ignore_ascii_case("user-agent"))?;
        values.as_text().or_else(|| values.items().find_map(Value::as_text))
    }

    /// What policy said, where the version logs it.
    pub(super) fn allowed(self) -> Option<bool> {
        self.root.at(&["auth", "policy_results", "allowed"])?.as_bool()
    }
}

/// A token's description, as `auth` and `response.auth` carry it.
#[derive(Clone, Copy)]
pub(super) struct Token<'d>(Option<Value<'d>>);

impl<'d> Token<'d> {
    /// A field of it.
    pub(super) fn text(self, key: &str) -> Option<&'d str> {
        self.0?.str_at(&[key])
    }

    /// A field of its metadata.
    pub(super) fn metadata(self, key: &str) -> Option<&'d str> {
        self.0?.str_at(&["metadata", key])
    }

    /// Its policies.
    pub(super) fn policies(self) -> impl Iterator<Item = &'d str> {
        self.0.and_then(|token| token.get("policies")).into_iter().flat_map(Value::items).filter_map(Value::as_text)
    }

    /// When it was issued, if it says.
    pub(super) fn issued_at(self) -> Option<Micros> {
        Micros::parse_rfc3339(self.text("token_issue_time")?).ok()
    }

    /// Its time to live in microseconds; `None` when it has none or never ends.
    pub(super) fn ttl(self) -> Option<i64> {
        seconds(self.0?.get("token_ttl")?)
    }

    /// Whether anything is known of it.
    pub(super) fn is_known(self) -> bool {
        self.text("accessor").is_some() || self.text("display_name").is_some() || self.policies().next().is_some()
    }
}

/// A positive number of seconds, in microseconds.
pub(super) fn seconds(value: Value<'_>) -> Option<i64> {
    let seconds = value.as_i64().or_else(|| value.as_str()?.parse().ok())?;
    (seconds > 0).then(|| seconds.checked_mul(Micros::SECOND)).flatten()
}
