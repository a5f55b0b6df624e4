//! `CloudTrail` records, field by field as AWS writes them (event version 1.11): management events, data events with
//! resources, security token service calls with the credentials they hand out, access-key lifecycle and console sign-ins.

use crate::chance::{BASE62, Chance};
use crate::clock;
use crate::roster::{
    ACCOUNTS, Account,
    actor::Key,
    place::{Op, Place, PlaceKind, operation},
};

/// Appends pieces of text.
macro_rules! put {
    ($out:expr, $($piece:expr),+ $(,)?) => {{ $($out.push_str($piece);)+ }};
}
pub(crate) use put;

/// Why a call failed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Failure {
    /// The policy does not allow it.
    Denied,
    /// The service did not answer.
    Unavailable,
    /// The key or token was withdrawn.
    Withdrawn,
}

/// What every record has in common.
#[derive(Clone, Copy)]
pub struct Call<'a> {
    /// When.
    pub time: i64,
    /// Index of the account.
    pub account: u8,
    /// The `userIdentity` object.
    pub user_identity: &'a str,
    /// From where.
    pub address: &'a str,
    /// With which client.
    pub agent: &'a str,
    /// How it failed.
    pub failure: Option<Failure>,
}

fn account(index: u8) -> Account {
    ACCOUNTS[usize::from(index)]
}

/// The record up to `requestParameters`.
fn open(out: &mut String, call: &Call<'_>, op: Op) {
    put!(out, r#"{"eventVersion":"1.11","userIdentity":"#, call.user_identity, r#","eventTime":""#);
    clock::push_seconds(out, call.time);
    put!(
        out,
        r#"","eventSource":""#,
        op.source,
        r#"","eventName":""#,
        op.name,
        r#"","awsRegion":""#,
        account(call.account).region,
        r#"","sourceIPAddress":""#,
        call.address,
        r#"","userAgent":""#,
        call.agent,
        "\""
    );
    match call.failure {
        None => {}
        Some(Failure::Denied) => put!(
            out,
            r#","errorCode":"AccessDenied","errorMessage":"User is not authorized to perform: "#,
            op.source.split('.').next().unwrap_or(""),
            ":",
            op.name,
            r#" because no identity-based policy allows the action""#
        ),
        Some(Failure::Unavailable) => put!(out, r#","errorCode":"ServiceUnavailable","errorMessage":"Service is unable to handle request.""#),
        Some(Failure::Withdrawn) => put!(out, r#","errorCode":"InvalidClientTokenId","errorMessage":"The security token included in the request is invalid.""#),
    }
}

/// The rest of the record after `responseElements`; gives the event id.
fn close(out: &mut String, call: &Call<'_>, op: Op, event_type: &str, resources: impl FnOnce(&mut String), host: &str, chance: &mut Chance) -> String {
    let id = chance.uuid();
    put!(out, r#","requestID":""#, &chance.uuid(), r#"","eventID":""#, &id, r#"","readOnly":"#, if op.read_only { "true" } else { "false" });
    resources(out);
    put!(
        out,
        r#","eventType":""#,
        event_type,
        r#"","managementEvent":"#,
        if op.data { "false" } else { "true" },
        r#","recipientAccountId":""#,
        account(call.account).id
    );
    put!(
        out,
        r#"","eventCategory":""#,
        if op.data { "Data" } else { "Management" },
        r#"","tlsDetails":{"tlsVersion":"TLSv1.3","cipherSuite":"TLS_AES_128_GCM_SHA256","clientProvidedHostHeader":""#,
        host,
        r#""}}"#
    );
    id
}

/// A call at a place.
pub fn call(out: &mut String, call: &Call<'_>, place: &Place, act: u8, chance: &mut Chance) -> String {
    let op = operation(place.kind, act);
    let Account { id, region, .. } = account(call.account);
    let name = place.name.as_str();
    open(out, call, op);
    put!(out, r#","requestParameters":"#);
    let mut object = String::new();
    match place.kind {
        PlaceKind::Bucket => {
            put!(out, r#"{"bucketName":""#, name, r#"","Host":""#, name, ".s3.", region, r#".amazonaws.com""#);
            if act < 2 || act == 4 {
                clock::push_date(&mut object, call.time, "/");
                object.push_str("/part-");
                clock::push_number(&mut object, chance.range(0, 100_000));
                object.push_str(".parquet");
                put!(out, r#","key":""#, &object, "\"");
            }
            put!(out, "}");
        }
        PlaceKind::Table => {
            put!(out, r#"{"tableName":""#, name, "\"");
            if act < 2 {
                put!(out, r#","key":{"id":"HIDDEN_DUE_TO_SECURITY_REASONS"}"#);
            }
            put!(out, "}");
        }
        PlaceKind::Secret => put!(out, r#"{"secretId":""#, &place.at, "\"}"),
        PlaceKind::Key => put!(out, r#"{"keyId":""#, &place.at, r#"","encryptionAlgorithm":"SYMMETRIC_DEFAULT","encryptionContext":{"service":"app"}}"#),
        PlaceKind::Queue => put!(out, r#"{"queueUrl":"https://sqs."#, region, ".amazonaws.com/", id, "/", name, "\"}"),
        PlaceKind::Parameter => put!(out, r#"{"name":""#, name, r#"","withDecryption":true}"#),
        PlaceKind::Database => put!(
            out,
            r#"{"resourceArn":""#,
            &place.at,
            r#"","secretArn":"arn:aws:secretsmanager:"#,
            region,
            ":",
            id,
            ":secret:",
            name,
            r#"-master-Xk2p9Q","database":"main","sql":"**********","includeResultMetadata":true,"continueAfterTimeout":false}"#
        ),
        PlaceKind::Repository if act == 2 => put!(out, "null"),
        PlaceKind::Repository => put!(out, r#"{"registryId":""#, id, r#"","repositoryName":""#, name, r#"","imageIds":[{"imageTag":"latest"}]}"#),
        PlaceKind::Function => put!(out, r#"{"functionName":""#, &place.at, r#"","invocationType":"RequestResponse"}"#),
        PlaceKind::Service if act == 2 => {
            put!(out, r#"{"family":""#, name, r#"","networkMode":"awsvpc","requiresCompatibilities":["FARGATE"],"cpu":"512","memory":"1024"}"#)
        }
        PlaceKind::Service => put!(out, r#"{"cluster":"main","service":""#, name, "\"}"),
        _ => match op.name {
            "DescribeInstances" => put!(out, r#"{"instancesSet":{},"filterSet":{}}"#),
            "ListSecrets" => put!(out, r#"{"maxResults":100}"#),
            _ => put!(out, "null"),
        },
    }
    put!(out, r#","responseElements":null"#);
    if place.kind == PlaceKind::Bucket {
        put!(
            out,
            r#","additionalEventData":{"SignatureVersion":"SigV4","CipherSuite":"TLS_AES_128_GCM_SHA256","bytesTransferredIn":0,"AuthenticationMethod":"AuthHeader","x-amz-id-2":""#
        );
        chance.push_letters(out, BASE62, 24);
        put!(out, r#"=","bytesTransferredOut":"#);
        clock::push_number(out, chance.range(120, 4_000_000));
        put!(out, "}");
    }
    let resources = |out: &mut String| {
        let kind = match place.kind {
            PlaceKind::Bucket => {
                put!(out, r#","resources":["#);
                if !object.is_empty() {
                    put!(out, r#"{"type":"AWS::S3::Object","ARN":""#, &place.at, "/", &object, r#""},"#);
                }
                put!(out, r#"{"accountId":""#, id, r#"","type":"AWS::S3::Bucket","ARN":""#, &place.at, r#""}]"#);
                return;
            }
            PlaceKind::Table => "AWS::DynamoDB::Table",
            PlaceKind::Key => "AWS::KMS::Key",
            PlaceKind::Queue => "AWS::SQS::Queue",
            PlaceKind::Parameter => "AWS::SSM::Parameter",
            PlaceKind::Database => "AWS::RDS::DBCluster",
            PlaceKind::Repository if act != 2 => "AWS::ECR::Repository",
            PlaceKind::Function => "AWS::Lambda::Function",
            _ => return,
        };
        put!(out, r#","resources":[{"accountId":""#, id, r#"","type":""#, kind, r#"","ARN":""#, &place.at, r#""}]"#);
    };
    let service = op.source.split('.').next().unwrap_or("");
    let mut host = String::with_capacity(64);
    if place.kind == PlaceKind::Bucket {
        put!(host, name, ".");
    }
    put!(host, service, ".", region, ".amazonaws.com");
    close(out, call, op, "AwsApiCall", resources, &host, chance)
}

/// A role to be assumed.
#[derive(Clone, Copy)]
pub struct Assumption<'a> {
    /// `AssumeRole`, `AssumeRoleWithWebIdentity` or `AssumeRoleWithSAML`.
    pub operation: &'static str,
    /// Index of the role's account.
    pub account: u8,
    /// The role's name.
    pub role: &'a str,
    /// The role's `AROA…` id.
    pub principal: &'a str,
    /// The session's name.
    pub session: &'a str,
    /// How long the session lasts, in microseconds.
    pub lasts: i64,
}

/// A security token service call that hands out a session; gives the event id and the session's key.
pub fn assume(out: &mut String, call: &Call<'_>, role: &Assumption<'_>, chance: &mut Chance) -> (String, Key) {
    let op = Op { source: "sts.amazonaws.com", name: role.operation, read_only: true, data: false };
    let Account { id: account_id, region, .. } = account(role.account);
    let key = chance.letters("ASIA", crate::chance::BASE32, 16);
    let expires = call.time + role.lasts;
    open(out, call, op);
    put!(
        out,
        r#","requestParameters":{"roleArn":"arn:aws:iam::"#,
        account_id,
        ":role/",
        role.role,
        r#"","roleSessionName":""#,
        role.session,
        r#"","durationSeconds":"#
    );
    clock::push_number(out, role.lasts / clock::SECOND);
    put!(out, "}");
    put!(out, r#","responseElements":{"credentials":{"accessKeyId":""#, &key, r#"","sessionToken":"IQoJb3JpZ2luX2Vj"#);
    chance.push_letters(out, BASE62, 120);
    put!(out, r#"=","expiration":""#);
    clock::push_expiration(out, expires);
    put!(
        out,
        r#""},"assumedRoleUser":{"assumedRoleId":""#,
        role.principal,
        ":",
        role.session,
        r#"","arn":"arn:aws:sts::"#,
        account_id,
        ":assumed-role/",
        role.role,
        "/",
        role.session,
        r#""}}"#
    );
    let resources = |out: &mut String| {
        put!(out, r#","resources":[{"accountId":""#, account_id, r#"","type":"AWS::IAM::Role","ARN":"arn:aws:iam::"#, account_id, ":role/", role.role, r#""}]"#)
    };
    let event = close(out, call, op, "AwsApiCall", resources, &format!("sts.{region}.amazonaws.com"), chance);
    let mut user_identity = String::with_capacity(600);
    put!(
        user_identity,
        r#"{"type":"AssumedRole","principalId":""#,
        role.principal,
        ":",
        role.session,
        r#"","arn":"arn:aws:sts::"#,
        account_id,
        ":assumed-role/",
        role.role,
        "/",
        role.session
    );
    put!(
        user_identity,
        r#"","accountId":""#,
        account_id,
        r#"","accessKeyId":""#,
        &key,
        r#"","sessionContext":{"sessionIssuer":{"type":"Role","principalId":""#,
        role.principal
    );
    put!(
        user_identity,
        r#"","arn":"arn:aws:iam::"#,
        account_id,
        ":role/",
        role.role,
        r#"","accountId":""#,
        account_id,
        r#"","userName":""#,
        role.role,
        r#""},"attributes":{"creationDate":""#
    );
    clock::push_seconds(&mut user_identity, call.time);
    put!(user_identity, r#"","mfaAuthenticated":"false"}}}"#);
    (event, Key { id: key, user_identity, expires })
}

/// What is done to an access key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum KeyChange {
    /// `CreateAccessKey`
    Create,
    /// `UpdateAccessKey` to `Inactive`
    Deactivate,
    /// `DeleteAccessKey`
    Delete,
}

/// A change of a user's access key, by somebody else or by the user; gives the event id.
pub fn key_change(out: &mut String, call: &Call<'_>, change: KeyChange, user: &str, key: &str, chance: &mut Chance) -> String {
    let name = match change {
        KeyChange::Create => "CreateAccessKey",
        KeyChange::Deactivate => "UpdateAccessKey",
        KeyChange::Delete => "DeleteAccessKey",
    };
    let op = Op { source: "iam.amazonaws.com", name, read_only: false, data: false };
    open(out, call, op);
    put!(out, r#","requestParameters":{"userName":""#, user, "\"");
    match change {
        KeyChange::Create => {}
        KeyChange::Deactivate => put!(out, r#","status":"Inactive","accessKeyId":""#, key, "\""),
        KeyChange::Delete => put!(out, r#","accessKeyId":""#, key, "\""),
    }
    put!(out, r#"},"responseElements":"#);
    if change == KeyChange::Create {
        put!(out, r#"{"accessKey":{"userName":""#, user, r#"","accessKeyId":""#, key, r#"","status":"Active","createDate":""#);
        clock::push_expiration(out, call.time);
        put!(out, r#""}}"#);
    } else {
        put!(out, "null");
    }
    close(out, call, op, "AwsApiCall", |_| {}, "iam.amazonaws.com", chance)
}

/// A call of an API that is not everyday work: its name, and its parameters and answer as JSON.
#[derive(Debug, Clone)]
pub struct Request {
    /// Which operation.
    pub op: Op,
    /// `requestParameters`.
    pub parameters: String,
    /// `responseElements`; `null` for what only reads.
    pub response: String,
    /// Type and ARN of what it concerns, where AWS names it.
    pub resource: Option<(&'static str, String)>,
}

/// A call as its request says; gives the event id.
pub fn request(out: &mut String, call: &Call<'_>, request: &Request, chance: &mut Chance) -> String {
    open(out, call, request.op);
    let response = if call.failure.is_some() { "null" } else { request.response.as_str() };
    put!(out, r#","requestParameters":"#, &request.parameters, r#","responseElements":"#, response);
    let id = account(call.account).id;
    let resources = |out: &mut String| {
        if let Some((kind, arn)) = &request.resource {
            put!(out, r#","resources":[{"accountId":""#, id, r#"","type":""#, kind, r#"","ARN":""#, arn, r#""}]"#);
        }
    };
    let host = match request.op.source.split('.').next().unwrap_or("") {
        service @ ("iam" | "organizations") => format!("{service}.amazonaws.com"),
        service => format!("{service}.{}.amazonaws.com", account(call.account).region),
    };
    close(out, call, request.op, "AwsApiCall", resources, &host, chance)
}

/// A person signs in to the console as an IAM user; gives the event id.
pub fn console_login(out: &mut String, call: &Call<'_>, chance: &mut Chance) -> String {
    let op = Op { source: "signin.amazonaws.com", name: "ConsoleLogin", read_only: false, data: false };
    open(out, call, op);
    put!(
        out,
        r#","requestParameters":null,"responseElements":{"ConsoleLogin":"Success"},"additionalEventData":{"LoginTo":"https://console.aws.amazon.com/console/home?region="#,
        account(call.account).region,
        r#"","MobileVersion":"No","MFAUsed":"No"}"#
    );
    close(out, call, op, "AwsConsoleSignIn", |_| {}, "signin.aws.amazon.com", chance)
}
