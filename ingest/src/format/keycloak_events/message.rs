//! The facts of an event: pairs within a message, or the fields of an object.

use std::borrow::Cow;

use crate::json::Value;

/// Names and values, in order.
pub(super) struct Facts<'a>(Vec<(Cow<'a, str>, Cow<'a, str>)>);

impl<'a> Facts<'a> {
    /// Of `type="LOGIN", realmId="…", details="a, b"`, or the same without quotes as versions before 22 write it.
    pub(super) fn of_message(message: &'a str) -> Self {
        const FACTS_MAX: usize = 256;
        let mut facts = Vec::new();
        let mut rest = message.trim();
        while let Some((name, after)) = rest.split_once('=').filter(|(name, _)| is_name(name)) {
            let (value, behind) = match after.strip_prefix('"') {
                Some(quoted) => {
                    let end = end_of(quoted);
                    let (value, behind) = quoted.split_at(end);
                    (if value.contains('\\') { Cow::Owned(value.replace("\\\"", "\"")) } else { Cow::Borrowed(value) }, behind.get(1..).unwrap_or_default())
                }
                None => {
                    // A bare value ends where the next name begins.
                    let end = after
                        .match_indices(", ")
                        .map(|(at, _)| at)
                        .find(|at| after.get(at + 2..).and_then(|next| next.split_once('=')).is_some_and(|(name, _)| is_name(name)));
                    let (value, behind) = after.split_at(end.unwrap_or(after.len()));
                    (Cow::Borrowed(value), behind)
                }
            };
            facts.push((Cow::Borrowed(name), value));
            rest = behind.trim_start_matches([',', ' ']);
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

fn is_name(name: &str) -> bool {
    !name.is_empty() && name.len() <= 64 && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-' | b'.'))
}

/// Where a quoted value ends: at a quote that is not escaped.
fn end_of(quoted: &str) -> usize {
    let mut escaped = false;
    for (at, byte) in quoted.bytes().enumerate() {
        match byte {
            b'"' if !escaped => return at,
            b'\\' => escaped = !escaped,
            _ => escaped = false,
        }
    }
    quoted.len()
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
}
