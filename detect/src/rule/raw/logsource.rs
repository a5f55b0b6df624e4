//! Which format a rule's logsource means, and how the names that public rules use for a format's fields are written in its records.
//!
//! A format that is not read yet stands here too: its rules are compiled and checked, and said to be idle.

use rsigma_parser::{Detection, LogSource, SigmaRule};

use super::reach::Reach;

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
    /// What its records hold, where that is little.
    pub reach: Option<&'static Reach>,
}

/// Every logsource that is known.
pub const SOURCES: &[Source] = &[
    Source { format: "cloudtrail", product: "aws", services: &["cloudtrail"], category: None, names: &[], reach: None },
    Source { format: "k8s_audit", product: "kubernetes", services: &["audit"], category: Some("application"), names: KUBERNETES, reach: None },
    Source { format: "vault_audit", product: "vault", services: &["audit"], category: None, names: &[], reach: None },
    Source { format: "vault_audit", product: "hashicorp", services: &["vault"], category: None, names: &[], reach: None },
    Source { format: "zeek", product: "zeek", services: ZEEK, category: None, names: &[], reach: None },
    Source { format: "keytrail", product: "keytrail", services: &[], category: None, names: &[], reach: None },
    Source { format: "azure_activity", product: "azure", services: &["activitylogs"], category: None, names: AZURE_ACTIVITY, reach: None },
    Source { format: "entra_signin", product: "azure", services: &["signinlogs"], category: None, names: ENTRA_SIGNIN, reach: None },
    Source { format: "entra_audit", product: "azure", services: &["auditlogs", "pim"], category: None, names: ENTRA_AUDIT, reach: None },
    Source { format: "entra_identity_protection", product: "azure", services: &["riskdetection"], category: None, names: ENTRA_RISK, reach: None },
    Source { format: "gcp_audit", product: "gcp", services: &["gcp.audit"], category: None, names: GCP, reach: None },
    // Google Workspace's logins come through Cloud Logging.
    Source { format: "gcp_audit", product: "gcp", services: &["google_workspace.login"], category: None, names: GCP, reach: None },
    Source { format: "google_workspace", product: "gcp", services: &["google_workspace.admin"], category: None, names: &[], reach: None },
    Source { format: "okta_system", product: "okta", services: &["okta"], category: None, names: &[], reach: None },
    Source { format: "github_audit", product: "github", services: &["audit"], category: None, names: &[], reach: None },
    Source {
        format: "m365_audit",
        product: "m365",
        services: &["audit", "exchange", "threat_management", "threat_detection"],
        category: None,
        names: &[],
        reach: None,
    },
    Source { format: "windows_security", product: "windows", services: &["security"], category: None, names: &[], reach: Some(WINDOWS) },
    Source { format: "auditd", product: "linux", services: &["auditd"], category: None, names: &[], reach: Some(AUDITD) },
    Source { format: "sshd", product: "linux", services: &["sshd", "sudo"], category: None, names: &[], reach: Some(SSHD) },
    // The file that all of them write to.
    Source { format: "sshd", product: "linux", services: &["auth"], category: None, names: &[], reach: Some(SSHD) },
    Source { format: "onelogin", product: "onelogin", services: &["onelogin.events"], category: None, names: &[], reach: None },
    Source { format: "bitbucket_audit", product: "bitbucket", services: &["audit"], category: None, names: &[], reach: None },
];

/// What auditd's records of accounts, logins and commands hold; records of system calls, files and services are no events.
const AUDITD: &Reach = &Reach {
    fields: &[
        "node", "type", "msg", "message", "op", "acct", "exe", "hostname", "addr", "terminal", "res", "fp", "kind", "auid", "uid", "pid", "ses", "id",
        "grantors", "rport", "laddr", "lport", "cwd", "subj", "UID", "AUID", "ID",
    ],
    values: (
        "type",
        &[
            "USER_AUTH",
            "USER_LOGIN",
            "USER_ERR",
            "CRYPTO_KEY_USER",
            "USER_LOGOUT",
            "USER_END",
            "USER_CHAUTHTOK",
            "ADD_USER",
            "USER_MGMT",
            "DEL_USER",
            "USER_CMD",
        ],
    ),
    others: "records of system calls, files and services of auditd",
};

/// The events of Windows' Security log that name an identity and do not repeat another, as the format's reader lists them; a test holds both lists to each other.
const WINDOWS: &Reach = &Reach {
    fields: &[],
    values: (
        "EventID",
        &[
            "1102", "4624", "4625", "4634", "4647", "4648", "4656", "4661", "4662", "4663", "4670", "4672", "4673", "4674", "4697", "4698", "4699", "4700",
            "4701", "4702", "4704", "4705", "4706", "4707", "4713", "4715", "4716", "4717", "4718", "4719", "4720", "4722", "4723", "4724", "4725", "4726",
            "4727", "4728", "4729", "4730", "4731", "4732", "4733", "4734", "4735", "4737", "4738", "4739", "4740", "4741", "4742", "4743", "4744", "4745",
            "4746", "4747", "4748", "4749", "4750", "4751", "4752", "4753", "4754", "4755", "4756", "4757", "4758", "4759", "4760", "4761", "4762", "4763",
            "4764", "4767", "4768", "4769", "4770", "4771", "4772", "4776", "4777", "4778", "4779", "4780", "4781", "4797", "4798", "4799", "4817", "4904",
            "4905", "4907", "4964", "5136", "5137", "5139", "5140", "5141", "5145", "5376", "5377", "5381", "5382",
        ],
    ),
    others: "events of the Security log that name no identity",
};

/// What lines of syslog hold.
const SSHD: &Reach = &Reach { fields: &["message", "MESSAGE", "TTY", "PWD", "USER", "GROUP", "COMMAND"], values: ("", &[]), others: "other fields in syslog" };

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
        assert_eq!(formats(Some("linux"), Some("sudo"), None), ["sshd"]);
        assert_eq!(formats(Some("linux"), None, None), ["auditd", "sshd", "sshd"]);
    }

    #[test]
    fn what_of_the_windows_log_is_read_is_what_its_reader_lists() {
        let listed: Vec<&str> = include_str!("../../../../ingest/src/format/windows_security/meaning.rs")
            .lines()
            .filter_map(|line| line.strip_prefix("    ")?.split_once(" \""))
            .map(|(id, _)| id)
            .filter(|id| id.len() == 4 && id.bytes().all(|b| b.is_ascii_digit()))
            .collect();
        assert_eq!(WINDOWS.values.1, listed);
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
