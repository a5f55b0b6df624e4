//! An event's fields as a record: JSON, version 1, the fields under the names of the specification. docs/formats.md, `opcua_audit`, describes it.

use opcua_types::{AnonymousIdentityToken, ExtensionObject, IssuedIdentityToken, ObjectTypeId, UAString, UserNameIdentityToken, Variant, X509IdentityToken};
use serde_json::{Map, Value, json};

use super::certificate;
use super::select::{FIELDS, Form};
use super::value::{node, plain, shape, shapes, text};

/// An event: its type's name where it is known, and its fields.
#[derive(Debug, Clone, PartialEq)]
pub struct Event {
    /// `AuditWriteUpdateEventType`; empty for a type of the server's own.
    pub kind: String,
    /// The record's fields.
    pub fields: Map<String, Value>,
}

/// Reads the fields of one event, in the order in which they were asked for; those that a server leaves out are left out.
pub fn read(values: &[Variant]) -> Event {
    let mut fields = Map::new();
    let mut kind = String::new();
    for (field, value) in FIELDS.iter().zip(values) {
        if matches!(value, Variant::Empty) {
            continue;
        }
        let told = match field.form {
            Form::Plain if field.name == "EventType" => {
                if let Variant::NodeId(id) = value
                    && id.namespace == 0
                    && let Some(number) = id.as_u32()
                    && let Ok(known) = ObjectTypeId::try_from(number)
                {
                    kind = format!("{known:?}");
                }
                plain(value)
            }
            // Some servers put the whole certificate here, which stands beside it.
            Form::Plain if field.name == "ClientCertificateThumbprint" => {
                Some(plain(value)).filter(|told| told.as_str().is_some_and(|text| text.len() <= 128)).unwrap_or_default()
            }
            Form::Plain => plain(value),
            Form::Shape => shape(value),
            Form::Shapes => shapes(value),
            Form::Certificate => told_certificate(value),
            Form::Token => token(value),
        };
        // Some fields stand in several types; one event has one of them.
        if !told.is_null() && fields.get(field.name).is_none_or(Value::is_null) {
            fields.insert(field.name.to_owned(), told);
        }
    }
    if !kind.is_empty() {
        fields.insert("EventTypeName".to_owned(), json!(kind));
    }
    Event { kind, fields }
}

fn told_certificate(value: &Variant) -> Value {
    let Variant::ByteString(chain) = value else { return shape(value) };
    if chain.is_null_or_empty() {
        return Value::Null;
    }
    describe(chain.as_ref())
}

fn describe(chain: &[u8]) -> Value {
    match certificate::facts(chain) {
        Some(facts) => json!({
            "Thumbprint": facts.thumbprint,
            "Subject": text(&facts.subject),
            "NotBefore": facts.not_before.map(keytrail_schemas::Micros::to_rfc3339),
            "NotAfter": facts.not_after.map(keytrail_schemas::Micros::to_rfc3339),
            "ApplicationUri": facts.application_uri,
        }),
        // What cannot be read is said to be there.
        None => json!({"bytes": chain.len()}),
    }
}

/// Who logged in: the kind of token and the name in it. Passwords, token data and keys do not leave this function.
fn token(value: &Variant) -> Value {
    let Variant::ExtensionObject(object) = value else { return shape(value) };
    let name = |name: &UAString| name.value().as_deref().map_or(Value::Null, text);
    let of = |kind: &str, policy: &UAString, name: Value, certificate: Value| {
        let mut fields = Map::new();
        fields.insert("Type".to_owned(), json!(kind));
        for (key, value) in [("PolicyId", policy.value().as_deref().map_or(Value::Null, text)), ("Name", name), ("Certificate", certificate)] {
            if !value.is_null() {
                fields.insert(key.to_owned(), value);
            }
        }
        Value::Object(fields)
    };
    if let Some(token) = object.inner_as::<UserNameIdentityToken>() {
        return of("UserName", &token.policy_id, name(&token.user_name), Value::Null);
    }
    if let Some(token) = object.inner_as::<X509IdentityToken>() {
        return of("X509", &token.policy_id, Value::Null, describe(token.certificate_data.as_ref()));
    }
    if let Some(token) = object.inner_as::<AnonymousIdentityToken>() {
        return of("Anonymous", &token.policy_id, Value::Null, Value::Null);
    }
    if let Some(token) = object.inner_as::<IssuedIdentityToken>() {
        return of("Issued", &token.policy_id, Value::Null, Value::Null);
    }
    other(object)
}

fn other(object: &ExtensionObject) -> Value {
    if object.is_null() {
        return Value::Null;
    }
    json!({"Type": object.type_name().unwrap_or("Unknown"), "TypeId": node(&object.binary_type_id().node_id)})
}

#[cfg(test)]
mod tests {
    use opcua_types::{ByteString, NodeId};

    use super::*;

    fn event(set: &[(&str, Variant)]) -> Event {
        let value = |field: &super::super::select::Field| set.iter().find(|(name, _)| *name == field.name).map_or(Variant::Empty, |(_, value)| value.clone());
        read(&FIELDS.iter().map(value).collect::<Vec<_>>())
    }

    #[test]
    fn a_login_tells_the_name_and_nothing_that_proves_it() {
        let token = UserNameIdentityToken {
            policy_id: "username".into(),
            user_name: "operator".into(),
            password: ByteString::from(&b"hunter2"[..]),
            encryption_algorithm: UAString::null(),
        };
        let event = event(&[
            ("EventType", Variant::from(NodeId::from(ObjectTypeId::AuditActivateSessionEventType))),
            ("Status", Variant::from(false)),
            ("UserIdentityToken", Variant::from(ExtensionObject::from_message(token))),
        ]);
        assert_eq!(event.kind, "AuditActivateSessionEventType");
        assert_eq!(event.fields["UserIdentityToken"], json!({"Type": "UserName", "PolicyId": "username", "Name": "operator"}));
        let issued = IssuedIdentityToken { token_data: ByteString::from(&b"eyJhbGciOi"[..]), ..IssuedIdentityToken::default() };
        let event = event_of_token(ExtensionObject::from_message(issued));
        assert_eq!(event.fields["UserIdentityToken"], json!({"Type": "Issued"}));
        assert_eq!(event_of_token(ExtensionObject::null()).fields.get("UserIdentityToken"), None);
    }

    fn event_of_token(object: ExtensionObject) -> Event {
        event(&[("UserIdentityToken", Variant::from(object))])
    }

    #[test]
    fn a_write_tells_what_kind_of_value_was_there_and_is() {
        let event = event(&[
            ("EventType", Variant::from(NodeId::from(ObjectTypeId::AuditWriteUpdateEventType))),
            ("AttributeId", Variant::from(13_u32)),
            ("OldValue", Variant::from("recipe-7")),
            ("NewValue", Variant::from("recipe-8")),
        ]);
        assert_eq!(event.fields["NewValue"], json!({"kind": "String", "bytes": 8}));
        assert!(!serde_json::to_string(&event.fields).unwrap().contains("recipe"));
    }

    #[test]
    fn fields_that_are_not_what_they_should_be_are_told_by_their_kind() {
        let event = event(&[
            ("EventType", Variant::from("not a node")),
            ("ClientCertificate", Variant::from(ByteString::from(&[1_u8, 2, 3][..]))),
            ("UserIdentityToken", Variant::from("secret text")),
            ("InputArguments", Variant::from("secret text")),
        ]);
        assert_eq!(event.kind, "");
        assert_eq!(event.fields["ClientCertificate"], json!({"bytes": 3}));
        assert!(!serde_json::to_string(&event.fields).unwrap().contains("secret"));
        assert_eq!(read(&[]).fields.len(), 0, "a server that delivers nothing");
        assert!(read(&vec![Variant::from(1_u8); 500]).fields.len() <= FIELDS.len());
    }
}
