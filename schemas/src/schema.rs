//! The JSON Schemas of every table, as they stand in `schemas/json/`.

use crate::{CredentialRecord, DeadLetter, Detection, Event, Finding, IdentityRecord, Table, Touch};

/// Name and JSON Schema (2020-12) of every table.
#[must_use]
pub fn json_schemas() -> Vec<(&'static str, serde_json::Value)> {
    vec![
        (Event::NAME, Event::json_schema()),
        (Finding::NAME, finding()),
        (Detection::NAME, Detection::json_schema()),
        (DeadLetter::NAME, DeadLetter::json_schema()),
        (CredentialRecord::NAME, CredentialRecord::json_schema()),
        (IdentityRecord::NAME, IdentityRecord::json_schema()),
        (Touch::NAME, Touch::json_schema()),
    ]
}

/// A finding as it stands in its topic: with what is no column.
fn finding() -> serde_json::Value {
    let mut schema = Finding::json_schema();
    let mut detection = Detection::json_schema();
    if let Some(detection) = detection.as_object_mut() {
        detection.remove("$schema");
    }
    schema["properties"]["detections"] = serde_json::json!({
        "type": "array",
        "items": detection,
        "description": "In the topic only: its detections, in order of time. In the lake they are rows of `detections`.",
    });
    schema["properties"]["below_line"] = serde_json::json!({
        "type": "boolean",
        "description": "In the topic only: nobody is to read it; the detections are kept to be searched, and add up.",
    });
    schema
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    /// The files in `schemas/json/` are what other tools read. `KEYTRAIL_UPDATE_SCHEMAS=1` writes them anew.
    #[test]
    fn the_published_json_schemas_are_those_of_the_code() {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("json");
        for (name, schema) in super::json_schemas() {
            let path = folder.join(format!("{name}.schema.json"));
            let text = format!("{}\n", serde_json::to_string_pretty(&schema).unwrap());
            if option_env!("KEYTRAIL_UPDATE_SCHEMAS").is_some() {
                std::fs::create_dir_all(&folder).unwrap();
                std::fs::write(&path, &text).unwrap();
            }
            let published = std::fs::read_to_string(&path).unwrap_or_default();
            assert_eq!(published, text, "{} is out of date: KEYTRAIL_UPDATE_SCHEMAS=1 cargo test -p keytrail-schemas", path.display());
        }
    }
}
