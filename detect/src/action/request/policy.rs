//! AWS request parameters: policies in their grammar, public lists, account numbers, open ports.

use serde_json::Value;

use super::{NESTING_MAX, Request, texts, within};

/// Keys of conditions that narrow a principal `*` to somebody.
const NARROWING: &[&str] = &[
    "aws:principalorgid",
    "aws:principalorgpaths",
    "aws:principalaccount",
    "aws:principalarn",
    "aws:sourceaccount",
    "aws:sourcearn",
    "aws:sourceowner",
    "aws:sourceorgid",
    "aws:sourceorgpaths",
    "aws:sourcevpc",
    "aws:sourcevpce",
    "aws:sourceip",
    "aws:vpcsourceip",
    "aws:userid",
    "aws:username",
    "kms:calleraccount",
    "kms:viaservice",
    "lambda:functionurlauthtype",
    "s3:dataaccesspointaccount",
    "s3:dataaccesspointarn",
    "sts:externalid",
    "aws:ponumber",
];
/// Actions that lead to everything.
const POWERFUL: &[&str] = &[
    "iam:*",
    "iam:passrole",
    "iam:createpolicyversion",
    "iam:setdefaultpolicyversion",
    "iam:attachuserpolicy",
    "iam:attachrolepolicy",
    "iam:attachgrouppolicy",
    "iam:putuserpolicy",
    "iam:putrolepolicy",
    "iam:putgrouppolicy",
    "iam:createaccesskey",
    "iam:createloginprofile",
    "iam:updateloginprofile",
    "iam:updateassumerolepolicy",
    "iam:addusertogroup",
    "sts:*",
    "lambda:*",
    "secretsmanager:*",
    "secretsmanager:getsecretvalue",
    "ssm:*",
    "ssm:sendcommand",
    "organizations:*",
    "kms:*",
    "cloudtrail:*",
];
/// Managed policies that give everything, or lead to it.
const ADMIN_POLICIES: &[&str] = &["policy/AdministratorAccess", "policy/AdministratorAccess-Amplify", "policy/AdministratorAccess-AWSElasticBeanstalk"];
const POWERFUL_POLICIES: &[&str] = &[
    "policy/IAMFullAccess",
    "policy/PowerUserAccess",
    "policy/job-function/SystemAdministrator",
    "policy/AWSOrganizationsFullAccess",
    "policy/SecretsManagerReadWrite",
];
/// Access policies of EKS that give everything in a cluster.
const CLUSTER_POLICIES: &[&str] = &["AmazonEKSClusterAdminPolicy", "AmazonEKSAdminPolicy"];

/// `account`: the caller's.
pub(super) fn read(parameters: &Value, account: &str, request: &mut Request) {
    walk("", parameters, account, request, 0);
}

fn walk(key: &str, value: &Value, account: &str, request: &mut Request, nesting: u8) {
    match value {
        Value::String(text) => match within(text).filter(|_| nesting < NESTING_MAX) {
            Some(inner) => walk(key, &inner, account, request, nesting + 1),
            None => word(key, text, account, request),
        },
        Value::Array(items) => items.iter().for_each(|item| walk(key, item, account, request, nesting)),
        Value::Object(fields) => {
            if fields.contains_key("Effect") {
                return statement(value, account, request);
            }
            open_port(value, request);
            for (key, value) in fields {
                // What is taken away or denied opens nothing.
                if !matches!(key.as_str(), "remove" | "Remove" | "removes" | "usersToRemove" | "valuesToRemove") {
                    walk(key, value, account, request, nesting);
                }
            }
        }
        _ => {}
    }
}

/// A parameter that is a plain text.
fn word(key: &str, text: &str, account: &str, request: &mut Request) {
    let lower = key.to_ascii_lowercase();
    request.public |= match lower.as_str() {
        "principal" => text == "*",
        "group" | "groups" | "groupnames" | "valuestoadd" | "attributevalues" => text == "all",
        "uri" => text.ends_with("/global/AllUsers") || text.ends_with("/global/AuthenticatedUsers"),
        "x-amz-acl" | "acl" => matches!(text, "public-read" | "public-read-write" | "authenticated-read"),
        "x-amz-grant-read" | "x-amz-grant-full-control" | "x-amz-grant-write" | "x-amz-grant-write-acp" => text.contains("/global/"),
        "cidrip" | "cidrip4" | "cidripv4" | "cidrblock" => text == "0.0.0.0/0",
        "cidripv6" => text == "::/0",
        "authtype" | "functionurlauthtype" => text == "NONE",
        _ => false,
    };
    let names_account = matches!(
        lower.as_str(),
        "userid"
            | "userids"
            | "valuestoadd"
            | "attributevalues"
            | "principal"
            | "principalarn"
            | "accountid"
            | "accountids"
            | "awsaccountids"
            | "awsaccountid"
            | "layers"
            | "id"
            | "accountwithrestoreaccess"
            | "grantee"
            | "granteeprincipal"
            | "principals"
            | "peerownerid"
            | "targetaccount"
            | "rolearn"
            | "destinationbucketaccount"
            | "account"
            | "aws"
    );
    request.foreign_account |= names_account && foreign(text, account);
    if matches!(lower.as_str(), "policyarn" | "policyarns" | "managedpolicyarns" | "managedpolicyarn" | "permissionsboundary" | "arn") {
        request.admin |= lower != "permissionsboundary" && (ends_with(text, ADMIN_POLICIES) || ends_with(text, CLUSTER_POLICIES));
        request.powerful |= lower != "permissionsboundary" && ends_with(text, POWERFUL_POLICIES);
    }
    if matches!(lower.as_str(), "kubernetesgroups" | "groups") {
        request.admin |= text == "system:masters";
    }
}

fn ends_with(text: &str, names: &[&str]) -> bool {
    names.iter().any(|name| text.ends_with(name))
}

/// An account number, or the account of an ARN, that is not the caller's.
fn foreign(text: &str, account: &str) -> bool {
    let is_account = |text: &str| text.len() == 12 && text.bytes().all(|b| b.is_ascii_digit());
    if !is_account(account) {
        return false;
    }
    if is_account(text) {
        return text != account;
    }
    text.starts_with("arn:") && text.split(':').nth(4).is_some_and(|owner| is_account(owner) && owner != account)
}

/// A statement of a policy.
fn statement(statement: &Value, account: &str, request: &mut Request) {
    let get = |key: &str| statement.get(key);
    if get("Effect").and_then(Value::as_str) != Some("Allow") {
        return;
    }
    let narrowed = get("Condition").is_some_and(|condition| {
        let keys =
            condition.as_object().into_iter().flatten().filter(|(operator, _)| !operator.contains("Not")).filter_map(|(_, keys)| keys.as_object()).flatten();
        keys.into_iter().any(|(key, value)| {
            NARROWING.contains(&key.to_ascii_lowercase().as_str()) && !texts(Some(value)).any(|value| matches!(value, "*" | "0.0.0.0/0" | "::/0" | "arn:aws:*"))
        })
    });
    let principal = get("Principal");
    let named = || principal.into_iter().flat_map(|principal| texts(Some(principal)).chain(texts(principal.get("AWS"))));
    let has_principal = principal.is_some() || get("NotPrincipal").is_some();
    request.public |= !narrowed && (named().any(|who| who == "*") || get("NotPrincipal").is_some());
    request.foreign_account |= named().any(|who| foreign(who, account));
    if has_principal {
        return;
    }
    let everything = texts(get("Resource")).any(|resource| resource == "*" || resource == "arn:aws:*");
    let actions = || texts(get("Action")).map(str::to_ascii_lowercase);
    request.admin |= everything && (actions().any(|action| matches!(action.as_str(), "*" | "*:*")) || get("NotAction").is_some());
    request.powerful |= everything && actions().any(|action| POWERFUL.contains(&action.as_str()));
}

/// A rule of a security group that opens a port of administration to all addresses.
fn open_port(rule: &Value, request: &mut Request) {
    let port = |key: &str| rule.get(key).and_then(Value::as_i64);
    let protocol = rule.get("ipProtocol").and_then(Value::as_str);
    let all = protocol == Some("-1");
    let within = |wanted: i64| matches!((port("fromPort"), port("toPort")), (Some(from), Some(to)) if from <= wanted && wanted <= to);
    request.admin_port |= all || [22, 3389, 5985, 5986, 6443, 2375, 10250].into_iter().any(within) && protocol != Some("icmp");
}
