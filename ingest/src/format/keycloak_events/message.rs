//! The facts of an event: pairs within a message, or the fields of an object.

use std::borrow::Cow;

use crate::json::Value;

/// Names and values, in order.
pub(super) struct Facts<'a>(Vec<(Cow<'a, str>, Cow<'a, str>)>);

impl<'a> Facts<'a> {
    /// Of `type="LOGIN", realmId="…", details="a, b"`, or the same without quotes as versions before 22 write it.
    pub(super) fn of_message(message: &'a str) -> Self {
        const FACTS_MAX: usize = 256;
        let mut facts = Vec::with_capacity(16);
        let mut next = named(message.trim());
        while let Some((name, after)) = next {
            let value = match after.strip_prefix('"') {
                Some(quoted) => {
                    let (end, behind) = end_of(quoted);
                    let value = quoted.get(..end).unwrap_or_default();
                    next = behind.or_else(|| named(quoted.get(end + 1..).unwrap_or_default().trim_start_matches([',', ' '])));
                    if memchr::memchr(b'\\', value.as_bytes()).is_some() { Cow::Owned(value.replace("\\\"", "\"")) } else { Cow::Borrowed(value) }
                }
                None => {
                    // A bare value ends where the next name begins.
                    let end = after.match_indices(", ").map(|(at, _)| at).find(|at| after.get(at + 2..).and_then(named).is_some());
                    let (value, behind) = after.split_at(end.unwrap_or(after.len()));
                    next = named(behind.trim_start_matches([',', ' ']));
                    Cow::Borrowed(value)
                }
            };
            facts.push((Cow::Borrowed(name), value));
            if facts.len() >= FACTS_MAX {
                break;
            }
        }
        Self(facts)
    }

    /// Of an event as the REST API gives it.
    pub(super) fn of_object(object: Value<'a>) -> Self {
        let mut facts = Vec::new();
        let nested = ["authDetails", "details"].into_iter().filter_map(|key| object.get(key)).flat_map(Value::entries);
        for (name, value) in nested.chain(object.entries()) {
            if let Some(text) = value.as_str() {
                facts.push((Cow::Borrowed(name), Cow::Borrowed(text)));
            } else if !value.is_null() && !value.is_object() && !value.is_array() {
                facts.push((Cow::Borrowed(name), Cow::Owned(value.to_json())));
            }
        }
        Self(facts)
    }

    /// Whether there are none.
    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The value of the first of this name that is something.
    pub(super) fn get(&self, name: &str) -> Option<&str> {
        self.0.iter().find(|(own, value)| own == name && !value.is_empty() && value != "null").map(|(_, value)| value.as_ref())
    }
}

/// The bytes of names.
static IS_NAME: [bool; 256] = {
    let mut table = [false; 256];
    let mut byte = 0;
    while byte < 256 {
        let b = byte as u8;
        table[byte] = b.is_ascii_alphanumeric() || matches!(b, b'_' | b'-' | b'.');
        byte += 1;
    }
    table
};

/// A name, and what stands behind the sign of equality that follows it.
fn named(text: &str) -> Option<(&str, &str)> {
    const NAME_MAX: usize = 64;
    let bytes = text.as_bytes();
    let mut len = 0;
    while bytes.get(len).is_some_and(|byte| IS_NAME.get(usize::from(*byte)) == Some(&true)) {
        len += 1;
        if len > NAME_MAX {
            return None;
        }
    }
    if len == 0 || bytes.get(len) != Some(&b'=') {
        return None;
    }
    Some((text.get(..len)?, text.get(len + 1..)?))
}

/// Where a quoted value ends, and the fact behind it where that tells. Keycloak writes a quote within a value as `\"` and a backslash as itself, so that what
/// stands before a quote tells nothing for sure: a client may name itself `x\`. But `", name="` with its bare last quote stands only between two facts.
fn end_of(quoted: &str) -> (usize, Option<(&str, &str)>) {
    let mut bare = None;
    for at in memchr::memchr_iter(b'"', quoted.as_bytes()) {
        let behind = quoted.get(at + 1..).unwrap_or_default();
        if behind.is_empty() {
            return (at, None);
        }
        let next = behind.strip_prefix(", ").and_then(named).filter(|(_, value)| value.starts_with('"'));
        if next.is_some() {
            return (at, next);
        }
        if bare.is_none() && !quoted.get(..at).is_some_and(|before| before.ends_with('\\')) {
            bare = Some(at);
        }
    }
    (bare.unwrap_or(quoted.len()), None)
}

#[cfg(test)]
mod tests {
    use super::Facts;

    #[test]
    fn both_shapes_of_a_message_are_read() {
        let quoted = Facts::of_message(r#"type="LOGIN", realmId="r", userId="null", reason="a, b=c \"d\"", scope="x y""#);
        assert_eq!(
            (quoted.get("type"), quoted.get("userId"), quoted.get("reason"), quoted.get("scope")),
            (Some("LOGIN"), None, Some("a, b=c \"d\""), Some("x y"))
        );
        let bare = Facts::of_message("type=LOGIN_ERROR, realmId=test, redirect_uri=http://a/?b=c, error=x");
        assert_eq!((bare.get("type"), bare.get("redirect_uri"), bare.get("error")), (Some("LOGIN_ERROR"), Some("http://a/?b=c"), Some("x")));
        assert!(Facts::of_message("KC-SERVICES0009: Added user").is_empty());
        assert_eq!(Facts::of_message("type=\"LOG").get("type"), Some("LOG"));
    }

    /// As Keycloak 26.7 wrote them: anybody may send any `client_id`.
    #[test]
    fn a_value_forges_no_fact() {
        let read = |message| {
            let facts = Facts::of_message(message);
            (facts.get("clientId").map(str::to_owned), facts.get("userId").map(str::to_owned), facts.get("error").map(str::to_owned))
        };
        let some = |client: &str| (Some(client.to_owned()), None, Some("client_not_found".to_owned()));
        assert_eq!(read(r#"clientId="evil\", userId="null", error="client_not_found""#), some(r"evil\"));
        assert_eq!(read(r#"clientId="a\\", error=\"boo", userId="null", error="client_not_found""#), some(r#"a\", error="boo"#));
        assert_eq!(read(r#"clientId="svc\"x, error=\"boo", userId="null", error="client_not_found""#), some(r#"svc"x, error="boo"#));
        let json = Facts::of_message(r#"representation="{\"clientId\":\"a\\"b\",\"note\":\"c \\ d\"}", error="null""#);
        assert_eq!((json.get("representation"), json.get("error")), (Some(r#"{"clientId":"a\"b","note":"c \\ d"}"#), None));
    }
}
