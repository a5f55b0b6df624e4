//! The one table of formats: a format is a file or folder beside this one, a list of what is kept of it (`data/redact/<name>.toml`), and a line here.

use super::Format;
use super::kit::Shape;

macro_rules! registry {
    (formats { $($name:literal => $format:expr,)+ } shapes { $($shape_name:literal => $shape:expr,)* }) => {
        /// Every format, in the order in which ties are decided.
        pub(crate) static ALL: &[&dyn Format] = &[$(&$format,)+ $(&$shape,)*];

        /// Those of which a record is a JSON object that says all: a shape of the kit.
        pub(crate) static SHAPES: &[&Shape] = &[$(&$shape,)*];

        /// What is kept of each one's records, by name.
        pub(crate) static PLACES: &[(&str, &str)] = &[
            $(($name, include_str!(concat!("../../data/redact/", $name, ".toml"))),)+
            $(($shape_name, include_str!(concat!("../../data/redact/", $shape_name, ".toml"))),)*
        ];
    };
}

registry! {
    formats {
        "cloudtrail" => super::cloudtrail::CloudTrail,
        "k8s_audit" => super::k8s_audit::K8sAudit,
        "keytrail" => super::keytrail::Keytrail,
        "vault_audit" => super::vault_audit::VaultAudit,
        "zeek" => super::zeek::Zeek,
        "keycloak_events" => super::keycloak_events::KeycloakEvents,
        "cyberark" => super::cyberark::CyberArk,
        "otlp_genai" => super::otlp_genai::OtlpGenAi,
        "windows_security" => super::windows_security::WindowsSecurity,
        "sshd" => super::sshd::Sshd,
        "step_ca" => super::step_ca::StepCa,
        "auditd" => super::auditd::Auditd,
        "freeradius" => super::freeradius::FreeRadius,
        "aws_credential_report" => super::aws_credential_report::AwsCredentialReport,
        "mosquitto" => super::mosquitto::Mosquitto,
    }
    shapes {
        "gcp_audit" => super::gcp_audit::FORMAT,
        "entra_signin" => super::entra::signin::FORMAT,
        "entra_audit" => super::entra::audit::FORMAT,
        "entra_identity_protection" => super::entra::risk::FORMAT,
        "azure_activity" => super::entra::activity::FORMAT,
        "m365_audit" => super::entra::m365::FORMAT,
        "okta_system" => super::okta_system::FORMAT,
        "github_audit" => super::github_audit::FORMAT,
        "auth0" => super::auth0::FORMAT,
        "teleport_audit" => super::teleport_audit::FORMAT,
        "gitlab_audit" => super::gitlab_audit::FORMAT,
        "ping_one" => super::ping_one::FORMAT,
        "snowflake" => super::snowflake::FORMAT,
        "ocsf" => super::ocsf::FORMAT,
        "spire" => super::spire::FORMAT,
        "opcua_audit" => super::opcua_audit::FORMAT,
    }
}

#[cfg(test)]
mod tests {
    #[test]
    fn every_format_has_its_places_under_its_name() {
        let names: Vec<_> = super::ALL.iter().map(|format| format.name()).collect();
        let places: Vec<_> = super::PLACES.iter().map(|(name, _)| *name).collect();
        assert_eq!(names, places);
        let shapes: Vec<_> = super::SHAPES.iter().map(|shape| shape.name).collect();
        assert!(names.ends_with(&shapes));
    }
}
