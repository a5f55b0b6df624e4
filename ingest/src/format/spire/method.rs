//! What the methods of SPIRE's server do to credentials.

use keytrail_schemas::CredentialKind;

/// What a method does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Effect {
    Use,
    Configure,
    /// A node proves what it is, and gets an SVID.
    Attest,
    Issue(CredentialKind),
    Renew,
    Revoke,
}

pub(super) fn effect(method: &str) -> Effect {
    match method {
        "AttestAgent" => Effect::Attest,
        "RenewAgent" => Effect::Renew,
        "BatchNewX509SVID" | "MintX509SVID" | "NewDownstreamX509CA" => Effect::Issue(CredentialKind::X509),
        "NewJWTSVID" | "MintJWTSVID" | "MintWITSVID" | "NewWITSVID" => Effect::Issue(CredentialKind::Jwt),
        "CreateJoinToken" => Effect::Issue(CredentialKind::ApiToken),
        "BanAgent" | "DeleteAgent" | "BatchDeleteEntry" => Effect::Revoke,
        _ if [
            "BatchCreate",
            "BatchUpdate",
            "BatchSet",
            "BatchDelete",
            "Create",
            "Update",
            "Delete",
            "Set",
            "Append",
            "Publish",
            "Refresh",
            "Prepare",
            "Activate",
            "Taint",
            "Revoke",
            "Reset",
        ]
        .iter()
        .any(|begin| method.starts_with(begin)) =>
        {
            Effect::Configure
        }
        _ => Effect::Use,
    }
}
