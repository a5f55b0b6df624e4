//! Federated credentials of an application, as a change in the directory writes them: a list of JSON objects (or of JSON texts) with `Id`, `Issuer` and
//! `Subject`. Who may sign in as the application is named `federated:<issuer>/<subject>`, as other providers name it.

use keytrail_schemas::Text;
use serde_json::Value;

use crate::format::join::join;

/// One federated credential.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Federated {
    /// Its id, by which sign-ins name it; its name where there is none.
    pub(super) id: Option<Text>,
    /// Whom it believes.
    pub(super) subject: Text,
}

/// The credentials in the text of a property. Anything else in it is passed over.
pub(super) fn listed(text: &str) -> Vec<Federated> {
    const CREDENTIALS_MAX: usize = 64;
    let mut all = Vec::new();
    let mut todo: Vec<Value> = serde_json::from_str(text).into_iter().collect();
    while let Some(value) = todo.pop() {
        match value {
            Value::Array(items) => todo.extend(items.into_iter().rev()),
            Value::String(text) => todo.extend(serde_json::from_str::<Value>(&text).ok().filter(|value| value.is_object() || value.is_array())),
            Value::Object(fields) => {
                let of = |name: &str| fields.iter().find(|(key, _)| key.eq_ignore_ascii_case(name)).and_then(|(_, value)| value.as_str());
                if let (Some(issuer), Some(subject)) = (of("issuer"), of("subject")) {
                    let issuer = issuer.trim_start_matches("https://").trim_end_matches('/');
                    all.push(Federated { id: of("id").or_else(|| of("name")).map(Text::from), subject: join(&["federated:", issuer, "/", subject]) });
                }
            }
            _ => {}
        }
        if all.len() >= CREDENTIALS_MAX {
            break;
        }
    }
    all
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lists_of_objects_and_of_texts_are_read_and_other_text_is_not() {
        let object = r#"{"Name":"ci","Issuer":"https://token.actions.githubusercontent.com/","Subject":"repo:acme/app:ref:refs/heads/main","Id":"f-1"}"#;
        let expected = Federated { id: Some("f-1".into()), subject: "federated:token.actions.githubusercontent.com/repo:acme/app:ref:refs/heads/main".into() };
        assert_eq!(listed(&format!("[{object}]")), std::slice::from_ref(&expected));
        assert_eq!(listed(&serde_json::to_string(&[object]).unwrap()), [expected]);
        assert!(listed("[]").is_empty() && listed("").is_empty() && listed(r#"["x",{"Issuer":"y"}]"#).is_empty());
    }
}
