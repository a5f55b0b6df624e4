//! Values of an event as JSON: names, ids, times and words as they are, everything that a client wrote or passed as its kind and length alone.

use keytrail_schemas::Micros;
use opcua_types::{DateTime, NodeId, StatusCode, Variant};
use serde_json::{Value, json};

/// Longest text that is kept; a longer one is cut, and marked.
pub const TEXT_BYTES_MAX: usize = 8 << 10;
/// Most items of an array that are described.
const ITEMS_MAX: usize = 64;

/// A field of the event itself.
pub fn plain(value: &Variant) -> Value {
    match value {
        Variant::Boolean(value) => json!(value),
        Variant::SByte(value) => json!(value),
        Variant::Byte(value) => json!(value),
        Variant::Int16(value) => json!(value),
        Variant::UInt16(value) => json!(value),
        Variant::Int32(value) => json!(value),
        Variant::UInt32(value) => json!(value),
        Variant::Int64(value) => json!(value),
        Variant::UInt64(value) => json!(value),
        Variant::Float(value) => json!(value),
        Variant::Double(value) => json!(value),
        Variant::String(value) => value.value().as_deref().map_or(Value::Null, text),
        Variant::XmlElement(_) => shape(value),
        Variant::LocalizedText(value) => value.text.value().as_deref().map_or(Value::Null, text),
        Variant::QualifiedName(value) => value.name.value().as_deref().map_or(Value::Null, text),
        Variant::NodeId(value) => node(value),
        Variant::ExpandedNodeId(value) => node(&value.node_id),
        Variant::Guid(value) => json!(value.to_string()),
        Variant::StatusCode(value) => status(*value),
        Variant::DateTime(value) => time(value),
        Variant::ByteString(value) if value.is_null() => Value::Null,
        Variant::ByteString(value) if value.len() <= 64 => json!(value.as_base64()),
        Variant::Variant(inner) => plain(inner),
        Variant::Array(array) => array.values.iter().take(ITEMS_MAX).map(plain).collect(),
        Variant::Empty => Value::Null,
        Variant::ByteString(_) | Variant::ExtensionObject(_) | Variant::DataValue(_) | Variant::DiagnosticInfo(_) => shape(value),
    }
}

/// What kind of value it is, and how long: never the value.
pub fn shape(value: &Variant) -> Value {
    let (kind, length) = match value {
        Variant::Empty => return Value::Null,
        Variant::Boolean(_) => ("Boolean", 1),
        Variant::SByte(_) => ("SByte", 1),
        Variant::Byte(_) => ("Byte", 1),
        Variant::Int16(_) => ("Int16", 2),
        Variant::UInt16(_) => ("UInt16", 2),
        Variant::Int32(_) => ("Int32", 4),
        Variant::UInt32(_) => ("UInt32", 4),
        Variant::Int64(_) => ("Int64", 8),
        Variant::UInt64(_) => ("UInt64", 8),
        Variant::Float(_) => ("Float", 4),
        Variant::Double(_) => ("Double", 8),
        Variant::String(value) => ("String", value.value().as_ref().map_or(0, String::len)),
        Variant::DateTime(_) => ("DateTime", 8),
        Variant::Guid(_) => ("Guid", 16),
        Variant::StatusCode(_) => ("StatusCode", 4),
        Variant::ByteString(value) => ("ByteString", value.len()),
        Variant::XmlElement(_) => ("XmlElement", 0),
        Variant::QualifiedName(_) => ("QualifiedName", 0),
        Variant::LocalizedText(value) => ("LocalizedText", value.text.value().as_ref().map_or(0, String::len)),
        Variant::NodeId(_) => ("NodeId", 0),
        Variant::ExpandedNodeId(_) => ("ExpandedNodeId", 0),
        Variant::ExtensionObject(object) => return json!({"kind": object.type_name().unwrap_or("ExtensionObject")}),
        Variant::Variant(inner) => return shape(inner),
        Variant::DataValue(value) => return value.value.as_ref().map_or(Value::Null, shape),
        Variant::DiagnosticInfo(_) => ("DiagnosticInfo", 0),
        Variant::Array(array) => return json!({"kind": format!("{:?}", array.value_type), "items": array.values.len()}),
    };
    if length == 0 { json!({"kind": kind}) } else { json!({"kind": kind, "bytes": length}) }
}

/// The shapes of arguments.
pub fn shapes(value: &Variant) -> Value {
    match value {
        Variant::Array(array) => array.values.iter().take(ITEMS_MAX).map(shape).collect(),
        other => shape(other),
    }
}

/// A text, cut where it is long.
pub fn text(text: &str) -> Value {
    if text.len() <= TEXT_BYTES_MAX {
        return json!(text);
    }
    let mut end = TEXT_BYTES_MAX;
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    json!(format!("{}… ({} bytes in all)", text.get(..end).unwrap_or_default(), text.len()))
}

/// A node's id, as OPC 10000-6, 5.3.1.10 writes it.
pub fn node(node: &NodeId) -> Value {
    if node.is_null() { Value::Null } else { text(&node.to_string()) }
}

/// A status code by its name.
pub fn status(code: StatusCode) -> Value {
    json!(code.to_string())
}

/// A time, to the microsecond; what lies outside of 1970 to 2200 is none.
pub fn time(time: &DateTime) -> Value {
    let time = Micros(time.as_chrono().timestamp_micros()).in_range("").ok().filter(|time| *time > Micros::MIN);
    time.map_or(Value::Null, |time| json!(time.to_rfc3339()))
}

#[cfg(test)]
mod tests {
    use opcua_types::{Array, ByteString, VariantScalarTypeId};

    use super::*;

    #[test]
    fn of_what_a_client_wrote_kind_and_length_alone_are_told() {
        assert_eq!(shape(&Variant::from("hunter2")), json!({"kind": "String", "bytes": 7}));
        assert_eq!(shape(&Variant::from(42_i32)), json!({"kind": "Int32", "bytes": 4}));
        assert_eq!(shape(&Variant::Variant(Box::new(Variant::from(1.5_f64)))), json!({"kind": "Double", "bytes": 8}));
        let array = Variant::Array(Box::new(Array::new(VariantScalarTypeId::String, vec![Variant::from("a"), Variant::from("bc")]).unwrap()));
        assert_eq!(shape(&array), json!({"kind": "String", "items": 2}));
        assert_eq!(shapes(&array), json!([{"kind": "String", "bytes": 1}, {"kind": "String", "bytes": 2}]));
        assert_eq!(shapes(&Variant::Empty), Value::Null);
    }

    #[test]
    fn a_field_keeps_what_names_something_and_is_bounded() {
        assert_eq!(plain(&Variant::from(NodeId::new(2, "pump"))), json!("ns=2;s=pump"));
        assert_eq!(plain(&Variant::from(StatusCode::BadIdentityTokenRejected)), json!("BadIdentityTokenRejected"));
        assert_eq!(plain(&Variant::from(ByteString::from(&[1_u8, 2, 3][..]))), json!("AQID"));
        assert_eq!(plain(&Variant::from(ByteString::from(&[0_u8; 1_000][..]))), json!({"kind": "ByteString", "bytes": 1000}));
        assert_eq!(plain(&Variant::from(DateTime::null())), Value::Null);
        let long = plain(&Variant::from("ä".repeat(100_000)));
        assert!(long.as_str().unwrap().ends_with("… (200000 bytes in all)") && long.as_str().unwrap().len() < TEXT_BYTES_MAX + 64);
    }
}
