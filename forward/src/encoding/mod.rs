//! How a finding is written for its reader: one line each.

mod cef;
mod ecs;
mod leef;

use keytrail_schemas::Finding;

/// The encodings.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Encoding {
    /// OCSF 1.5 as JSON: a Detection Finding, or an Incident Finding where a finding tells of several detections.
    Ocsf,
    /// The finding itself as JSON.
    Json,
    /// Elastic Common Schema 8 as JSON.
    Ecs,
    /// `ArcSight` Common Event Format, version 0.
    Cef,
    /// `QRadar` Log Event Extended Format, version 2.
    Leef,
}

impl std::str::FromStr for Encoding {
    type Err = String;
    fn from_str(word: &str) -> Result<Self, String> {
        match word {
            "ocsf" => Ok(Self::Ocsf),
            "json" => Ok(Self::Json),
            "ecs" => Ok(Self::Ecs),
            "cef" => Ok(Self::Cef),
            "leef" => Ok(Self::Leef),
            _ => Err(format!("encoding {word:?}: expected ocsf, json, ecs, cef or leef")),
        }
    }
}

impl Encoding {
    /// The finding as one line without its newline.
    #[must_use]
    pub fn encode(self, finding: &Finding) -> String {
        match self {
            Self::Ocsf => keytrail_schemas::finding_to_ocsf(finding).to_string(),
            Self::Json => serde_json::to_string(finding).unwrap_or_default(),
            Self::Ecs => ecs::encode(finding),
            Self::Cef => cef::encode(finding),
            Self::Leef => leef::encode(finding),
        }
    }
}

/// Severity on a scale of 0 to 10, as CEF and LEEF have it.
fn severity_of_ten(finding: &Finding) -> u8 {
    use keytrail_schemas::Severity as S;
    match finding.severity {
        S::Informational => 1,
        S::Low => 3,
        S::Medium => 5,
        S::High => 8,
        S::Critical => 10,
    }
}

#[cfg(test)]
mod tests {
    use super::Encoding;
    use keytrail_schemas::{Finding, FindingKind, Micros, Severity};
    use proptest::prelude::*;

    fn finding(title: &str) -> Finding {
        Finding {
            finding_id: "00ff".into(),
            rule: "old_key_after_rotation".into(),
            title: title.into(),
            severity: Severity::High,
            kind: FindingKind::Policy,
            identity: "aws:123456789012:user/svc-deploy".into(),
            credential: Some("AKIAEXAMPLE".into()),
            credential_age_days: Some(212.25),
            time: Micros(1_780_000_000_000_000),
            first_event_time: Micros(1_780_000_000_000_000),
            last_event_time: Micros(1_780_000_060_000_000),
            count: 3,
            source_ip: Some("203.0.113.7".into()),
            tags: vec!["attack.t1078".into()],
            ..Finding::default()
        }
    }

    #[test]
    fn each_encoding_as_documented() {
        let finding = finding("A|key = old\\er\nthan it \"should\" be");
        for encoding in [Encoding::Ocsf, Encoding::Json, Encoding::Ecs, Encoding::Cef, Encoding::Leef] {
            insta::assert_snapshot!(format!("{encoding:?}"), encoding.encode(&finding));
        }
    }

    proptest! {
        #[test]
        fn a_finding_is_always_one_line(title in "\\PC*|[\\x00-\\x7f]*") {
            let finding = finding(&title);
            for encoding in [Encoding::Ocsf, Encoding::Json, Encoding::Ecs, Encoding::Cef, Encoding::Leef] {
                let line = encoding.encode(&finding);
                prop_assert!(!line.contains('\n') && !line.contains('\r') && !line.is_empty());
            }
        }
    }
}
