//! What happened and how it ended, by the name of the API call.

use keytrail_schemas::{Activity, Outcome, Text};

use super::record::Record;

/// Services whose every change is one to identities, permissions or the watch over them.
const CONTROL_SERVICES: &[&str] = &[
    "iam",
    "sso",
    "sso-directory",
    "identitystore",
    "organizations",
    "account",
    "cloudtrail",
    "guardduty",
    "config",
    "securityhub",
    "access-analyzer",
    "rolesanywhere",
    "inspector",
    "inspector2",
    "macie2",
    "detective",
    "acm-pca",
    "kms",
    "verifiedpermissions",
    "ram",
];

/// Calls that give a permission, whatever their service.
const GRANTS: &[&str] = &[
    "UpdateAssumeRolePolicy",
    "AddUserToGroup",
    "CreatePolicyVersion",
    "SetDefaultPolicyVersion",
    "AddRoleToInstanceProfile",
    "AssociateIamInstanceProfile",
    "ReplaceIamInstanceProfileAssociation",
    "CreateGrant",
    "AddPermission",
    "AddLayerVersionPermission",
    "PutBucketAcl",
    "PutObjectAcl",
    "ModifySnapshotAttribute",
    "ModifyImageAttribute",
    "ModifyDBSnapshotAttribute",
    "ModifyDBClusterSnapshotAttribute",
    "CreateAccountAssignment",
    "AttachManagedPolicyToPermissionSet",
    "AttachCustomerManagedPolicyReferenceToPermissionSet",
    "PutInlinePolicyToPermissionSet",
    "CreateAccessEntry",
    "AssociateAccessPolicy",
    "PutFunctionConcurrency20171031Permission",
    "CreateResourceShare",
    "AssociateResourceShare",
    "PutPermissionsBoundary",
    "AuthorizeSecurityGroupIngress",
];

/// Calls that change a setting, of services that mostly do other things.
const SETTINGS: &[&str] = &[
    "PutBucketLogging",
    "DeleteBucketPolicy",
    "PutBucketPublicAccessBlock",
    "DeleteBucketPublicAccessBlock",
    "PutPublicAccessBlock",
    "DeletePublicAccessBlock",
    "DeleteFlowLogs",
    "DeleteLogGroup",
    "DeleteLogStream",
    "PutRetentionPolicy",
    "RotateSecret",
    "CancelRotateSecret",
    "DeleteResourcePolicy",
    "ModifyInstanceMetadataOptions",
    "CreateKeyPair",
    "ImportKeyPair",
    "DeleteKeyPair",
    "UpdateFunctionConfiguration20150331v2",
];

pub(super) fn of(record: &Record<'_>) -> Activity {
    let Some(name) = record.event_name else { return Activity::Use };
    let service = record.service();
    match (service, name) {
        ("signin", "ExitRole" | "Logout") | ("sso", "Logout") => return Activity::End,
        ("signin", _) | ("sso", "Authenticate" | "Federate") => return Activity::Authenticate,
        ("sso", _) if name.starts_with("UserAuthentication") || name.starts_with("Credential") => return Activity::Authenticate,
        ("sts", _) => return Activity::Use,
        _ => {}
    }
    if is_grant(record, name) {
        return Activity::Grant;
    }
    let reads = record.read_only.unwrap_or_else(|| {
        ["Get", "List", "Describe", "Head", "Lookup", "BatchGet", "Search", "Simulate", "Test", "Generate"].iter().any(|verb| name.starts_with(verb))
    });
    let crypto = service == "kms"
        && ["Decrypt", "Encrypt", "ReEncrypt", "GenerateDataKey", "Sign", "Verify", "GenerateMac", "VerifyMac", "DeriveSharedSecret"]
            .iter()
            .any(|verb| name.starts_with(verb));
    if (!reads && !crypto && CONTROL_SERVICES.contains(&service) && !record.is_roles_anywhere_session()) || SETTINGS.contains(&name) {
        return Activity::Configure;
    }
    Activity::Use
}

fn is_grant(record: &Record<'_>, name: &str) -> bool {
    // The console's "revoke active sessions" puts a policy that takes away.
    if record.parameters.text("policyName") == Some("AWSRevokeOlderSessions") {
        return false;
    }
    let policy = name.ends_with("Policy") || name.ends_with("PermissionPolicy");
    (policy
        && (name.starts_with("Attach")
            || (name.starts_with("Put") && name != "PutRetentionPolicy" && name != "PutLifecyclePolicy" && name != "PutScalingPolicy")))
        || GRANTS.contains(&name)
        || (name.starts_with("AddPermission") && record.service() == "lambda")
}

/// How it ended, and the source's code for a failure.
pub(super) fn outcome(record: &Record<'_>) -> (Outcome, Option<Text>) {
    if let Some(code) = record.error_code {
        return (if is_denial(code) { Outcome::Denied } else { Outcome::Failure }, Some(code.into()));
    }
    if record.service() == "signin" {
        let said = record.event_name.and_then(|name| record.response.text(name));
        return match said {
            Some("Success") => (Outcome::Success, None),
            Some("Failure") => (Outcome::Failure, record.error_message.map(Into::into)),
            _ if record.error_message.is_some() => (Outcome::Failure, record.error_message.map(Into::into)),
            _ => (Outcome::Success, None),
        };
    }
    match record.error_message {
        Some(message) => (Outcome::Failure, Some(message.into())),
        None => (Outcome::Success, None),
    }
}

fn is_denial(code: &str) -> bool {
    ["AccessDenied", "Unauthorized", "NotAuthorized", "AuthorizationError", "Forbidden", "AuthFailure", "AuthorizationFailure"]
        .iter()
        .any(|word| code.contains(word))
}
