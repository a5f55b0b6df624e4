//! What was touched: from `resources`, else from the request's parameters, else the service itself.
//!
//! `aws:<service>/<resource>`. A resource of another account than the caller's has that account before it:
//! `aws:iam/222222222222/role/x`. Random suffixes of secrets, versions of functions, keys of objects and IAM paths are left out, so that one thing has one name.

use crate::format::join::join;
use compact_str::format_compact;
use keytrail_schemas::{Event, Text};

use super::arn::{Arn, last_segment};
use super::identity::Principal;
use super::record::Record;
use crate::json::Value;

/// What was touched.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Destination {
    id: Text,
    kind: &'static str,
    service: Text,
}

impl Destination {
    pub(super) fn describe(self, event: &mut Event) {
        event.destination = Some(self.id);
        event.destination_kind = Some(Text::const_new(self.kind));
        event.destination_service = Some(self.service);
    }

    fn named(service: &str, kind: &'static str, resource: &str) -> Self {
        Self { id: join(&["aws:", service, "/", resource]), kind, service: service.into() }
    }

    /// The thing that an ARN names.
    fn of_arn(arn: Arn<'_>, caller_account: &str) -> Self {
        let (kind, service, resource) = thing(arn);
        let foreign = !arn.account.is_empty() && arn.account != "aws" && arn.account != caller_account && caller_account.bytes().all(|b| b.is_ascii_digit());
        let id = if foreign { format_compact!("aws:{service}/{}/{resource}", arn.account) } else { join(&["aws:", service, "/", &resource]) };
        Self { id, kind, service: service.into() }
    }
}

/// Kind, service and name of what an ARN names.
fn thing(arn: Arn<'_>) -> (&'static str, &str, Text) {
    let (typed, rest) = arn.typed();
    let name = match (arn.service, typed) {
        ("s3", _) => return ("bucket", "s3", arn.resource.split('/').next().unwrap_or(arn.resource).into()),
        ("secretsmanager", "secret") => return ("secret", "secretsmanager", without_suffix(rest).into()),
        ("kms", "key") => return ("key", "kms", rest.into()),
        ("kms", "alias") => return ("key", "kms", arn.resource.into()),
        ("ssm", "parameter") => return ("parameter", "ssm", format_compact!("parameter/{}", rest.trim_start_matches('/'))),
        ("dynamodb", "table") => return ("table", "dynamodb", rest.split('/').next().unwrap_or(rest).into()),
        ("lambda", "function") => return ("function", "lambda", rest.split(':').next().unwrap_or(rest).into()),
        ("iam", "user" | "role" | "group" | "policy" | "instance-profile" | "mfa" | "server-certificate") => format_compact!("{typed}/{}", last_segment(rest)),
        ("sts", "assumed-role") => return ("role", "iam", format_compact!("role/{}", rest.split('/').next().unwrap_or(rest))),
        ("ecr", "repository") => return ("repository", "ecr", rest.into()),
        ("sqs", _) => return ("queue", "sqs", arn.resource.into()),
        ("sns", _) => return ("topic", "sns", typed_or(typed, rest).into()),
        ("logs", "log-group") => return ("log_group", "logs", rest.split(':').next().unwrap_or(rest).into()),
        (_, "") => rest.into(),
        _ => arn.resource.replacen(':', "/", 1).into(),
    };
    let kind = match (arn.service, typed) {
        ("iam", "user") => "user",
        ("iam", "role") => "role",
        ("iam", "group") => "group",
        ("iam", "policy") => "policy",
        ("ec2", "instance") => "host",
        ("rds", _) => "database",
        ("cloudtrail", _) => "trail",
        ("eks" | "ecs", "cluster") => "cluster",
        ("states", _) => "workflow",
        _ => "resource",
    };
    (kind, arn.service, name)
}

fn typed_or<'a>(typed: &'a str, rest: &'a str) -> &'a str {
    if typed.is_empty() { rest } else { typed }
}

/// A secret's name without the hyphen and six random characters that Secrets Manager appends in ARNs.
fn without_suffix(name: &str) -> &str {
    match name.rsplit_once('-') {
        Some((base, suffix)) if suffix.len() == 6 && suffix.bytes().all(|b| b.is_ascii_alphanumeric()) && !base.is_empty() => base,
        _ => name,
    }
}

pub(super) fn of(record: &Record<'_>, principal: &Principal) -> Destination {
    let account = principal.account.as_str();
    let service = record.service();
    if service == "sts" {
        return sts(record, account);
    }
    if record.is_roles_anywhere_session()
        && let Some(role) = record.parameters.text("roleArn").and_then(Arn::parse)
    {
        return Destination::of_arn(role, account);
    }
    from_resources(record, service, account)
        .or_else(|| from_parameters(record, service, account))
        .or_else(|| own_user(record, principal))
        .unwrap_or_else(|| Destination { id: join(&["aws:", service]), kind: "api", service: service.into() })
}

fn sts(record: &Record<'_>, account: &str) -> Destination {
    match (record.event_name, record.parameters.text("roleArn").and_then(Arn::parse)) {
        (_, Some(role)) => Destination::of_arn(role, account),
        (Some("AssumeRoot"), _) if record.parameters.text("targetPrincipal").is_some() => {
            Destination::named("iam", "root", &format_compact!("{}/root", record.parameters.text("targetPrincipal").unwrap_or_default()))
        }
        _ => Destination { id: Text::const_new("aws:sts"), kind: "api", service: Text::const_new("sts") },
    }
}

/// The caller, for calls on a user's own credentials, which may leave the user's name out.
fn own_user(record: &Record<'_>, principal: &Principal) -> Option<Destination> {
    const OWN: &[&str] = &[
        "AccessKey",
        "AccessKeys",
        "AccessKeyLastUsed",
        "ChangePassword",
        "SSHPublicKey",
        "SSHPublicKeys",
        "SigningCertificate",
        "SigningCertificates",
        "ServiceSpecificCredential",
        "ServiceSpecificCredentials",
        "GetUser",
        "UpdateUser",
    ];
    record.event_name.filter(|name| record.service() == "iam" && OWN.iter().any(|own| name.ends_with(own)))?;
    let (_, user) = principal.identity.split_once(":user/")?;
    Some(Destination::named("iam", "user", &join(&["user/", user])))
}

/// The resource that the service itself names; of several the first of the service's own.
fn from_resources(record: &Record<'_>, service: &str, account: &str) -> Option<Destination> {
    let mut first = None;
    for value in record.resources?.items() {
        let arn = value.str_at(&["ARN"]).or_else(|| value.str_at(&["arn"])).or_else(|| value.str_at(&["ARNPrefix"]));
        let Some(found) = arn.and_then(Arn::parse) else { continue };
        if found.service == service {
            return Some(Destination::of_arn(found, account));
        }
        first = first.or_else(|| Some(Destination::of_arn(found, account)));
    }
    first
}

/// Which parameter names what a call touches: service, parameter, kind, prefix of the resource. The first that is there counts.
const PARAMETERS: &[(&str, &str, &str, &str)] = &[
    ("s3", "bucketName", "bucket", ""),
    ("secretsmanager", "secretId", "secret", ""),
    ("secretsmanager", "name", "secret", ""),
    ("kms", "keyId", "key", ""),
    ("kms", "targetKeyId", "key", ""),
    ("kms", "aliasName", "key", ""),
    ("ssm", "name", "parameter", "parameter/"),
    ("ssm", "path", "parameter", "parameter/"),
    ("ssm", "target", "host", "instance/"),
    ("ssm", "instanceId", "host", "instance/"),
    ("ssm", "documentName", "document", "document/"),
    ("ssm", "sessionId", "session", "session/"),
    ("dynamodb", "tableName", "table", ""),
    ("rds", "dBInstanceIdentifier", "database", "db/"),
    ("rds", "dBClusterIdentifier", "database", "cluster/"),
    ("rds", "dBSnapshotIdentifier", "database", "snapshot/"),
    ("rds", "dBClusterSnapshotIdentifier", "database", "cluster-snapshot/"),
    ("lambda", "functionName", "function", ""),
    ("lambda", "layerName", "layer", "layer/"),
    ("iam", "userName", "user", "user/"),
    ("iam", "roleName", "role", "role/"),
    ("iam", "groupName", "group", "group/"),
    ("iam", "instanceProfileName", "instance_profile", "instance-profile/"),
    ("iam", "openIDConnectProviderArn", "identity_provider", ""),
    ("iam", "sAMLProviderArn", "identity_provider", ""),
    ("iam", "policyArn", "policy", ""),
    ("iam", "policyName", "policy", "policy/"),
    ("iam", "serialNumber", "mfa", ""),
    ("iam", "virtualMFADeviceName", "mfa", "mfa/"),
    ("iam", "url", "identity_provider", "oidc-provider/"),
    ("iam", "name", "identity_provider", "saml-provider/"),
    ("ecr", "repositoryName", "repository", ""),
    ("sqs", "queueUrl", "queue", ""),
    ("sqs", "queueName", "queue", ""),
    ("sns", "topicArn", "topic", ""),
    ("sns", "name", "topic", ""),
    ("ec2", "instanceId", "host", "instance/"),
    ("ec2", "snapshotId", "snapshot", "snapshot/"),
    ("ec2", "imageId", "image", "image/"),
    ("ec2", "volumeId", "volume", "volume/"),
    ("ec2", "groupId", "security_group", "security-group/"),
    ("ec2", "keyName", "key", "key-pair/"),
    ("ec2", "vpcId", "network", "vpc/"),
    ("cloudtrail", "trailName", "trail", "trail/"),
    ("cloudtrail", "name", "trail", "trail/"),
    ("logs", "logGroupName", "log_group", ""),
    ("eks", "clusterName", "cluster", "cluster/"),
    ("eks", "name", "cluster", "cluster/"),
    ("ecs", "cluster", "cluster", "cluster/"),
    ("cloudformation", "stackName", "stack", "stack/"),
    ("events", "name", "rule", "rule/"),
    ("guardduty", "detectorId", "detector", "detector/"),
    ("organizations", "accountId", "account", "account/"),
    ("athena", "workGroup", "database", "workgroup/"),
    ("glue", "databaseName", "database", "database/"),
    ("kinesis", "streamName", "stream", "stream/"),
    ("firehose", "deliveryStreamName", "stream", "deliverystream/"),
    ("cognito-idp", "userPoolId", "user_pool", "userpool/"),
    ("apigateway", "restApiId", "api", "restapis/"),
    ("route53", "hostedZoneId", "zone", "hostedzone/"),
    ("codebuild", "projectName", "pipeline", "project/"),
    ("bedrock", "modelId", "model", "model/"),
    ("es", "domainName", "database", "domain/"),
    ("redshift", "clusterIdentifier", "database", "cluster/"),
    ("elasticache", "cacheClusterId", "database", "cluster/"),
];

fn from_parameters(record: &Record<'_>, service: &str, account: &str) -> Option<Destination> {
    let parameters = record.parameters.0?;
    if let Some(&(_, key, kind, prefix)) = PARAMETERS.iter().find(|(s, key, ..)| *s == service && parameters.get(key).and_then(Value::as_text).is_some()) {
        let value = parameters.str_at(&[key])?;
        return Some(of_parameter(service, key, kind, prefix, value, account));
    }
    if let Some((kind, value)) = within_lists(service, parameters) {
        return Some(of_parameter(service, "", kind.0, kind.1, value, account));
    }
    // Any other parameter that is an ARN.
    parameters
        .entries()
        .find_map(|(key, value)| if key.ends_with("Arn") || key.ends_with("ARN") { value.as_str().and_then(Arn::parse) } else { None })
        .map(|arn| Destination::of_arn(arn, account))
}

/// Parameters that stand in lists: the first of the list.
fn within_lists<'d>(service: &str, parameters: Value<'d>) -> Option<((&'static str, &'static str), &'d str)> {
    let first = |list: &[&str]| parameters.at(list).and_then(|list| list.items().next());
    match service {
        "ec2" => {
            let instance = first(&["instancesSet", "items"])?;
            instance.str_at(&["instanceId"]).map(|id| (("host", "instance/"), id)).or_else(|| instance.str_at(&["imageId"]).map(|id| (("image", "image/"), id)))
        }
        "ssm" => first(&["names"]).and_then(Value::as_text).map(|name| (("parameter", "parameter/"), name)),
        "secretsmanager" => first(&["secretIdList"]).and_then(Value::as_text).map(|name| (("secret", ""), name)),
        "dynamodb" => parameters.get("requestItems")?.entries().next().map(|(table, _)| (("table", ""), table)),
        _ => None,
    }
}

fn of_parameter(service: &str, key: &str, kind: &'static str, prefix: &str, value: &str, account: &str) -> Destination {
    if let Some(arn) = Arn::parse(value) {
        return Destination::of_arn(arn, account);
    }
    let name = match (service, key) {
        ("sqs", "queueUrl") => last_segment(value),
        ("ssm", _) if kind == "parameter" => value.trim_start_matches('/'),
        ("lambda", "functionName") => value.rsplit_once(":function:").map_or(value, |(_, name)| name).split(':').next().unwrap_or(value),
        ("kms", "keyId") => value.strip_prefix("key/").unwrap_or(value),
        ("iam", "url") => value.trim_start_matches("https://"),
        ("cognito-idp" | "route53", _) => last_segment(value),
        _ => value,
    };
    let service = if service == "ssm" && kind == "host" { "ec2" } else { service };
    Destination::named(service, kind, &join(&[prefix, name]))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_thing_has_one_name() {
        let name = |arn: &str| Destination::of_arn(Arn::parse(arn).unwrap(), "111111111111").id.to_string();
        for (arn, expected) in [
            ("arn:aws:s3:::bucket-a/some/key", "aws:s3/bucket-a"),
            ("arn:aws:s3:::bucket-a", "aws:s3/bucket-a"),
            ("arn:aws:secretsmanager:eu-west-1:111111111111:secret:prod/db-a1B2c3", "aws:secretsmanager/prod/db"),
            ("arn:aws:secretsmanager:eu-west-1:111111111111:secret:prod-database", "aws:secretsmanager/prod-database"),
            ("arn:aws:kms:eu-west-1:111111111111:key/6f0c1a00-0000-4000-8000-000000000000", "aws:kms/6f0c1a00-0000-4000-8000-000000000000"),
            ("arn:aws:ssm:eu-west-1:111111111111:parameter/prod/db", "aws:ssm/parameter/prod/db"),
            ("arn:aws:dynamodb:eu-west-1:111111111111:table/orders/index/by-day", "aws:dynamodb/orders"),
            ("arn:aws:lambda:eu-west-1:111111111111:function:resize:7", "aws:lambda/resize"),
            ("arn:aws:iam::111111111111:user/teams/a/bob", "aws:iam/user/bob"),
            ("arn:aws:iam::222222222222:role/x", "aws:iam/222222222222/role/x"),
            ("arn:aws:iam::aws:policy/AdministratorAccess", "aws:iam/policy/AdministratorAccess"),
            ("arn:aws:ec2:eu-west-1:111111111111:instance/i-0abc", "aws:ec2/instance/i-0abc"),
            ("arn:aws:rds:eu-west-1:111111111111:db:orders", "aws:rds/db/orders"),
            ("arn:aws:sns:eu-west-1:111111111111:alarms:6f0c", "aws:sns/alarms"),
            ("arn:aws-cn:sqs:cn-north-1:111111111111:jobs", "aws:sqs/jobs"),
            ("arn:aws:logs:eu-west-1:111111111111:log-group:/aws/lambda/x:*", "aws:logs//aws/lambda/x"),
            ("arn:aws:cloudtrail:eu-west-1:111111111111:trail/main", "aws:cloudtrail/trail/main"),
        ] {
            assert_eq!(name(arn), expected);
        }
    }
}
