//! Credentials of an application, as a change in the directory writes them: `[KeyIdentifier=<guid>,KeyType=Password,KeyUsage=Verify,DisplayName=ci]`.

use keytrail_schemas::{CredentialKind, Micros, Text};

use crate::format::utc_time;

/// One credential in a list of them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::format) struct Key {
    pub(super) id: Text,
    pub(super) kind: CredentialKind,
    pub(super) begins: Option<Micros>,
    pub(super) ends: Option<Micros>,
}

/// The credentials in the text of a property. Anything else in it is passed over.
pub(super) fn listed(text: &str) -> Vec<Key> {
    const KEYS_MAX: usize = 256;
    let mut keys = Vec::new();
    for part in text.split("KeyIdentifier=").skip(1).take(KEYS_MAX) {
        let part = part.split(']').next().unwrap_or(part);
        let mut fields = part.split(',').map(|field| field.trim().trim_matches(['"', '\\', '[']));
        let Some(id) = fields.next().filter(|id| !id.is_empty()) else { continue };
        let mut key = Key { id: Text::from(id), kind: CredentialKind::Unknown, begins: None, ends: None };
        for (name, value) in fields.filter_map(|field| field.split_once('=')) {
            match name.to_ascii_lowercase().as_str() {
                "keytype" => {
                    key.kind = match value {
                        "Password" | "Symmetric" => CredentialKind::Password,
                        "AsymmetricX509Cert" | "X509CertAndPassword" => CredentialKind::X509,
                        _ => CredentialKind::Unknown,
                    }
                }
                "startdate" | "startdatetime" => key.begins = utc_time(value),
                "enddate" | "enddatetime" => key.ends = utc_time(value),
                _ => {}
            }
        }
        keys.push(key);
    }
    keys
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_list_of_credentials_is_read_and_other_text_is_not() {
        let keys = listed(
            r#"["[KeyIdentifier=11111111-2222-3333-4444-555555555555,KeyType=Password,KeyUsage=Verify,DisplayName=ci]","[KeyIdentifier=a,KeyType=AsymmetricX509Cert,KeyUsage=Verify,StartDate=2026-01-01T00:00:00Z,EndDate=2027-01-01T00:00:00Z]"]"#,
        );
        assert_eq!(keys.len(), 2);
        assert_eq!((keys[0].id.as_str(), keys[0].kind), ("11111111-2222-3333-4444-555555555555", CredentialKind::Password));
        assert_eq!((keys[1].kind, keys[1].ends.map(|t| t.date())), (CredentialKind::X509, Some("2027-01-01".to_owned())));
        assert!(listed("[]").is_empty() && listed("KeyIdentifier=").is_empty());
    }
}
