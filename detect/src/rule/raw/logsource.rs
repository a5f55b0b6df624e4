//! Which format a rule's logsource means, and how the names that public rules use for a format's fields are written in its records.
//!
//! A format that is not read yet stands here too: its rules are compiled and checked, and said to be idle.

use rsigma_parser::{Detection, LogSource, SigmaRule};

/// A format, and the logsource that Sigma has for it.
#[derive(Debug)]
pub struct Source {
    /// The format's name in `events`.
    pub format: &'static str,
    /// `logsource.product`.
    pub product: &'static str,
    /// `logsource.service`s, of which the record is one; empty where Sigma names none.
    pub services: &'static [&'static str],
    /// `logsource.category`, where rules give one.
    pub category: Option<&'static str>,
    /// (name in rules, name in records). A name that ends in `.` stands for all that begin with it.
    pub names: &'static [(&'static str, &'static str)],
}

/// Every logsource that is known.
pub const SOURCES: &[Source] = &[
    Source { format: "cloudtrail", product: "aws", services: &["cloudtrail"], category: None, names: &[] },
    Source { format: "k8s_audit", product: "kubernetes", services: &["audit"], category: Some("application"), names: KUBERNETES },
    Source { format: "vault_audit", product: "vault", services: &["audit"], category: None, names: &[] },
    Source { format: "vault_audit", product: "hashicorp", services: &["vault"], category: None, names: &[] },
    Source { format: "zeek", product: "zeek", services: ZEEK, category: None, names: &[] },
    Source { format: "keytrail", product: "keytrail", services: &[], category: None, names: &[] },
    Source { format: "azure_activity", product: "azure", services: &["activitylogs"], category: None, names: AZURE_ACTIVITY },
    Source { format: "entra_signin", product: "azure", services: &["signinlogs"], category: None, names: ENTRA_SIGNIN },
    Source { format: "entra_audit", product: "azure", services: &["auditlogs", "pim"], category: None, names: ENTRA_AUDIT },
    Source { format: "entra_identity_protection", product: "azure", services: &["riskdetection"], category: None, names: ENTRA_RISK },
    Source { format: "gcp_audit", product: "gcp", services: &["gcp.audit"], category: None, names: GCP },
    // Google Workspace's logins come through Cloud Logging.
    Source { format: "gcp_audit", product: "gcp", services: &["google_workspace.login"], category: None, names: GCP },
    Source { format: "google_workspace", product: "gcp", services: &["google_workspace.admin"], category: None, names: &[] },
    Source { format: "okta_system", product: "okta", services: &["okta"], category: None, names: &[] },
    Source { format: "github_audit", product: "github", services: &["audit"], category: None, names: &[] },
    Source { format: "m365_audit", product: "m365", services: &["audit", "exchange", "threat_management", "threat_detection"], category: None, names: &[] },
    Source { format: "windows_security", product: "windows", services: &["security"], category: None, names: &[] },
    Source { format: "auditd", product: "linux", services: &["auditd"], category: None, names: &[] },
    Source { format: "sshd", product: "linux", services: &["sshd"], category: None, names: &[] },
    Source { format: "onelogin", product: "onelogin", services: &["onelogin.events"], category: None, names: &[] },
    Source { format: "bitbucket_audit", product: "bitbucket", services: &["audit"], category: None, names: &[] },
];

/// Zeek's logs that a format reader of ours takes.
const ZEEK: &[&str] = &[
    "ssl",
    "x509",
    "kerberos",
    "ntlm",
    "ssh",
    "ldap",
    "ldap_search",
    "mqtt_connect",
    "mqtt_publish",
    "mqtt_subscribe",
    "modbus",
    "dnp3",
    "radius",
    "ftp",
    "mysql",
];

/// Rules name what an admission plug-in would show; the audit event holds it in the request.
const KUBERNETES: &[(&str, &str)] = &[
    ("apiGroup", "objectRef.apiGroup"),
    ("namespace", "objectRef.namespace"),
    ("resource", "objectRef.resource"),
    ("subresource", "objectRef.subresource"),
    ("hostPath", "requestObject.spec.volumes.hostPath.path"),
    ("capabilities", "requestObject.spec.containers.securityContext.capabilities.add"),
];

/// Rules name the fields as one shipper or another does; the record is Google's `LogEntry`.
const GCP: &[(&str, &str)] = &[("gcp.audit.method_name", "protoPayload.methodName"), ("gcp.audit.service_name", "protoPayload.serviceName"), ("data.", "")];

/// Rules name the columns of Log Analytics' tables; the record is what diagnostic settings write.
const ENTRA_SIGNIN: &[(&str, &str)] = &[
    ("ResultType", "resultType"),
    ("ResultDescription", "resultDescription"),
    ("Resultdescription", "resultDescription"),
    ("Category", "category"),
    ("AppId", "properties.appId"),
    ("AuthenticationRequirement", "properties.authenticationRequirement"),
    ("ClientApp", "properties.clientAppUsed"),
    ("ClientAppUsed", "properties.clientAppUsed"),
    ("ConditionalAccessStatus", "properties.conditionalAccessStatus"),
    ("conditionalAccessStatus", "properties.conditionalAccessStatus"),
    ("DeviceDetail.trusttype", "properties.deviceDetail.trustType"),
    ("DeviceDetail.", "properties.deviceDetail."),
    ("Location", "location"),
    ("NetworkLocationDetails", "properties.networkLocationDetails"),
    ("ResourceDisplayName", "properties.resourceDisplayName"),
    ("RiskLevelDuringSignIn", "properties.riskLevelDuringSignIn"),
    ("RiskState", "properties.riskState"),
    ("ServicePrincipalName", "properties.servicePrincipalName"),
    ("userAgent", "properties.userAgent"),
    ("UserAgent", "properties.userAgent"),
    ("Username", "properties.userPrincipalName"),
    ("UserPrincipalName", "properties.userPrincipalName"),
];

/// As above; the activity is called the message.
const ENTRA_AUDIT: &[(&str, &str)] = &[
    ("ActivityDisplayName", "properties.activityDisplayName"),
    ("ActivityType", "properties.activityDisplayName"),
    ("activityType", "properties.activityDisplayName"),
    ("additionalDetails.", "properties.additionalDetails."),
    ("Category", "properties.category"),
    ("category", "properties.category"),
    ("Initiatedby", "properties.initiatedBy"),
    ("InitiatedBy", "properties.initiatedBy"),
    ("LoggedByService", "properties.loggedByService"),
    ("OperationName", "operationName"),
    ("Status", "properties.result"),
    ("Target", "properties.targetResources"),
    ("TargetResources", "properties.targetResources"),
    ("TargetResources.ModifiedProperties.DisplayName", "properties.targetResources.modifiedProperties.displayName"),
    ("TargetResources.ModifiedProperties.NewValue", "properties.targetResources.modifiedProperties.newValue"),
    ("TargetResources.", "properties.targetResources."),
    ("targetResources.", "properties.targetResources."),
    ("failure_status_reason", "properties.resultReason"),
    ("properties.message", "properties.activityDisplayName"),
];

/// As above.
const ENTRA_RISK: &[(&str, &str)] = &[("riskEventType", "properties.riskEventType")];

/// As above.
const AZURE_ACTIVITY: &[(&str, &str)] =
    &[("CategoryValue", "category"), ("OperationNameValue", "operationName"), ("ResourceId", "resourceId"), ("properties.message", "properties.message")];

/// The sources whose records a rule of `logsource` judges.
pub fn sources(logsource: &LogSource) -> impl Iterator<Item = &'static Source> {
    let (product, service, category) = (logsource.product.clone(), logsource.service.clone(), logsource.category.clone());
    SOURCES.iter().filter(move |source| {
        product.as_deref().is_some_and(|product| product.eq_ignore_ascii_case(source.product))
            && service.as_deref().is_none_or(|service| source.services.iter().any(|known| known.eq_ignore_ascii_case(service)))
            && category.as_deref().is_none_or(|category| source.category.is_some_and(|known| known.eq_ignore_ascii_case(category)))
    })
}

/// A logsource in words: `aws/cloudtrail`, `windows/process_creation`.
#[must_use]
pub fn words(logsource: &LogSource) -> String {
    let parts: Vec<&str> = [&logsource.product, &logsource.category, &logsource.service].into_iter().flatten().map(String::as_str).collect();
    if parts.is_empty() { "none".to_owned() } else { parts.join("/") }
}

impl Source {
    /// A field's name in the records of this source.
    #[must_use]
    pub fn name(&self, name: &str) -> String {
        for (known, actual) in self.names {
            if known == &name {
                return (*actual).to_owned();
            }
            if let Some(rest) = known.strip_suffix('.').and_then(|prefix| name.strip_prefix(prefix)?.strip_prefix('.')) {
                return format!("{actual}{rest}");
            }
        }
        name.to_owned()
    }

    /// The rule with its fields named as the records name them.
    #[must_use]
    pub fn translated(&self, rule: &SigmaRule) -> SigmaRule {
        let mut rule = rule.clone();
        if !self.names.is_empty() {
            rule.detection.named.values_mut().for_each(|detection| self.translate(detection));
        }
        rule
    }

    fn translate(&self, detection: &mut Detection) {
        match detection {
            Detection::AllOf(items) => {
                for item in items {
                    if let Some(name) = &mut item.field.name {
                        *name = self.name(name);
                    }
                }
            }
            Detection::AnyOf(parts) | Detection::And(parts) => parts.iter_mut().for_each(|part| self.translate(part)),
            // The names within are of the list's members.
            Detection::ArrayMatch { field, .. } => *field = self.name(field),
            Detection::Keywords(_) | Detection::Conditional { .. } => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn logsources_find_their_formats() {
        let formats = |product: Option<&str>, service: Option<&str>, category: Option<&str>| {
            let own = |text: Option<&str>| text.map(str::to_owned);
            let logsource = LogSource { product: own(product), service: own(service), category: own(category), ..LogSource::default() };
            sources(&logsource).map(|source| source.format).collect::<Vec<_>>()
        };
        assert_eq!(formats(Some("aws"), Some("cloudtrail"), None), ["cloudtrail"]);
        assert_eq!(formats(Some("kubernetes"), Some("audit"), Some("application")), ["k8s_audit"]);
        assert_eq!(formats(Some("kubernetes"), None, None), ["k8s_audit"]);
        assert_eq!(formats(Some("zeek"), Some("http"), None), [""; 0]);
        assert_eq!(formats(Some("windows"), None, Some("process_creation")), [""; 0]);
        assert_eq!(formats(None, None, Some("webserver")), [""; 0]);
        assert_eq!(formats(Some("azure"), Some("pim"), None), ["entra_audit"]);
    }

    #[test]
    fn names_are_translated() {
        let gcp = SOURCES.iter().find(|source| source.format == "gcp_audit").unwrap();
        assert_eq!(gcp.name("gcp.audit.method_name"), "protoPayload.methodName");
        assert_eq!(gcp.name("data.protoPayload.serviceName"), "protoPayload.serviceName");
        assert_eq!(gcp.name("database"), "database");
        let of = |format: &str| SOURCES.iter().find(|source| source.format == format).unwrap();
        assert_eq!(of("entra_signin").name("ResultType"), "resultType");
        assert_eq!(of("entra_signin").name("DeviceDetail.isCompliant"), "properties.deviceDetail.isCompliant");
        assert_eq!(of("entra_audit").name("properties.message"), "properties.activityDisplayName");
        assert_eq!(of("azure_activity").name("operationName"), "operationName");
    }
}
