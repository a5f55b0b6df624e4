//! The record as the translator leaves it: XML of one level, `<Name>value</Name>` a field, within `<audit_record>`.

use quick_xml::Reader;
use quick_xml::events::Event;

/// The fields as a JSON object; what is not well-formed ends it.
pub(super) fn as_json(xml: &str) -> String {
    const FIELDS_MAX: usize = 256;
    let mut reader = Reader::from_str(xml);
    let mut out = serde_json::Map::new();
    let (mut name, mut text) = (String::new(), String::new());
    while out.len() < FIELDS_MAX {
        match reader.read_event() {
            Ok(Event::Start(start)) => {
                name = String::from_utf8_lossy(start.name().as_ref()).into_owned();
                text.clear();
            }
            Ok(Event::Text(part)) => text.push_str(&part.decode().unwrap_or_default()),
            Ok(Event::GeneralRef(reference)) => text.push_str(match reference.decode().unwrap_or_default().as_ref() {
                "amp" => "&",
                "lt" => "<",
                "gt" => ">",
                "quot" => "\"",
                "apos" => "'",
                _ => "?",
            }),
            Ok(Event::End(end)) if end.name().as_ref() == name.as_bytes() && !name.is_empty() => {
                out.entry(std::mem::take(&mut name)).or_insert_with(|| std::mem::take(&mut text).trim().into());
            }
            Ok(Event::Eof) | Err(_) => break,
            Ok(_) => {}
        }
    }
    serde_json::Value::Object(out).to_string()
}

#[cfg(test)]
mod tests {
    #[test]
    fn fields_are_read_and_broken_text_ends_them() {
        let json = super::as_json("<syslog>\n <audit_record><Issuer>A &amp; B</Issuer><Safe></Safe><MessageID>24</MessageID></audit_record></syslog>");
        let json: serde_json::Value = serde_json::from_str(&json).unwrap();
        assert_eq!(json, serde_json::json!({"Issuer": "A & B", "Safe": "", "MessageID": "24"}));
        assert_eq!(super::as_json("<a><b>1</b><c"), r#"{"b":"1"}"#);
        assert_eq!(super::as_json("no xml"), "{}");
    }
}
