//! Requests as providers log them.

use keytrail_schemas::{Event, Text};

use super::{Class, Request, read};

fn aws(parameters: &str) -> Request {
    let raw = format!("{{\"eventName\":\"x\",\"requestParameters\": {parameters}, \"responseElements\": null}}");
    let event = Event { format: Text::const_new("cloudtrail"), identity_account: Text::const_new("111111111111"), raw: Some(raw), ..Event::default() };
    read(&event, Class::Permission).unwrap()
}

fn k8s(object: &str) -> Request {
    let event = Event { format: Text::const_new("k8s_audit"), raw: Some(format!("{{\"requestObject\": {object}}}")), ..Event::default() };
    read(&event, Class::Execution).unwrap()
}

fn policy(statement: &str) -> Request {
    let policy = serde_json::to_string(&format!("{{\"Version\": \"2012-10-17\", \"Statement\": [{statement}]}}")).unwrap();
    aws(&format!("{{\"policyDocument\": {policy}}}"))
}

#[test]
fn a_policy_is_public_unless_a_condition_narrows_it() {
    for (statement, expected) in [
        (r#"{"Effect":"Allow","Principal":"*","Action":"s3:GetObject","Resource":"arn:aws:s3:::b/*"}"#, true),
        (r#"{"Effect":"Allow","Principal":{"AWS":"*"},"Action":"sqs:*","Resource":"*"}"#, true),
        (r#"{"Effect":"Allow","Principal":{"AWS":["arn:aws:iam::111111111111:root","*"]},"Action":"sqs:*"}"#, true),
        (r#"{"Effect":"Deny","Principal":"*","Action":"s3:*","Condition":{"Bool":{"aws:SecureTransport":"false"}}}"#, false),
        (r#"{"Effect":"Allow","Principal":"*","Action":"s3:*","Condition":{"StringEquals":{"aws:PrincipalOrgID":"o-1"}}}"#, false),
        (r#"{"Effect":"Allow","Principal":"*","Action":"s3:*","Condition":{"IpAddress":{"aws:SourceIp":["0.0.0.0/0"]}}}"#, true),
        (r#"{"Effect":"Allow","Principal":"*","Action":"s3:*","Condition":{"Bool":{"aws:SecureTransport":"true"}}}"#, true),
        (r#"{"Effect":"Allow","Principal":"*","Action":"s3:*","Condition":{"StringNotEquals":{"aws:PrincipalOrgID":"o-1"}}}"#, true),
        (r#"{"Effect":"Allow","Principal":{"Service":"ec2.amazonaws.com"},"Action":"sts:AssumeRole"}"#, false),
    ] {
        assert_eq!(policy(statement).public, expected, "{statement}");
    }
}

#[test]
fn other_accounts_are_foreign() {
    assert!(policy(r#"{"Effect":"Allow","Principal":{"AWS":"arn:aws:iam::222222222222:root"},"Action":"sts:AssumeRole"}"#).foreign_account);
    assert!(policy(r#"{"Effect":"Allow","Principal":{"AWS":"222222222222"},"Action":"sts:AssumeRole"}"#).foreign_account);
    assert!(!policy(r#"{"Effect":"Allow","Principal":{"AWS":"arn:aws:iam::111111111111:role/a"},"Action":"sts:AssumeRole"}"#).foreign_account);
    assert!(aws(r#"{"snapshotId":"snap-1","createVolumePermission":{"add":{"items":[{"userId":"222222222222"}]}}}"#).foreign_account);
    assert!(!aws(r#"{"snapshotId":"snap-1","createVolumePermission":{"remove":{"items":[{"userId":"222222222222"}]}}}"#).foreign_account);
    assert!(aws(r#"{"launchPermission":{"add":{"items":[{"group":"all"}]}}}"#).public);
    assert!(aws(r#"{"dBSnapshotIdentifier":"s","attributeName":"restore","valuesToAdd":["222222222222"]}"#).foreign_account);
    assert!(aws(r#"{"functionName":"f","principal":"*","action":"lambda:InvokeFunction"}"#).public);
    assert!(aws(r#"{"layers":["arn:aws:lambda:us-east-1:222222222222:layer:x:1"]}"#).foreign_account);
    assert!(aws(r#"{"AccessControlPolicy":{"AccessControlList":{"Grant":[{"Grantee":{"URI":"http://acs.amazonaws.com/groups/global/AllUsers"}}]}}}"#).public);
}

#[test]
fn administrators_and_what_leads_there() {
    assert!(aws(r#"{"userName":"u","policyArn":"arn:aws:iam::aws:policy/AdministratorAccess"}"#).admin);
    assert!(!aws(r#"{"userName":"u","policyArn":"arn:aws:iam::aws:policy/ReadOnlyAccess"}"#).admin);
    assert!(policy(r#"{"Effect":"Allow","Action":"*","Resource":"*"}"#).admin);
    assert!(policy(r#"{"Effect":"Allow","Action":["iam:PassRole"],"Resource":["*"]}"#).powerful);
    assert!(!policy(r#"{"Effect":"Allow","Action":["s3:GetObject"],"Resource":["arn:aws:s3:::b/*"]}"#).powerful);
    assert!(
        aws("{\"policyDocument\":\"%7B%22Statement%22%3A%7B%22Effect%22%3A%22Allow%22%2C%22Action%22%3A%22%2A%22%2C%22Resource%22%3A%22%2A%22%7D%7D\"}").admin
    );
    assert!(k8s(r#"{"kind":"ClusterRole","rules":[{"apiGroups":["*"],"resources":["*"],"verbs":["*"]}]}"#).admin);
    assert!(k8s(r#"{"kind":"Role","rules":[{"apiGroups":[""],"resources":["pods/exec"],"verbs":["create"]}]}"#).powerful);
    let reader = k8s(r#"{"kind":"Role","rules":[{"apiGroups":["apps"],"resources":["deployments"],"verbs":["get","list"]}]}"#);
    assert!(!reader.powerful && !reader.admin);
    assert!(k8s(r#"{"roleRef":{"kind":"ClusterRole","name":"cluster-admin"},"subjects":[{"kind":"ServiceAccount","name":"default"}]}"#).admin);
    assert!(k8s(r#"{"roleRef":{"kind":"ClusterRole","name":"view"},"subjects":[{"kind":"Group","name":"system:unauthenticated"}]}"#).public);
}

#[test]
fn workloads_that_reach_their_node() {
    for (object, expected) in [
        (r#"{"spec":{"containers":[{"securityContext":{"privileged":true}}]}}"#, true),
        (r#"{"spec":{"template":{"spec":{"hostPID":true,"containers":[]}}}}"#, true),
        (r#"{"spec":{"jobTemplate":{"spec":{"template":{"spec":{"volumes":[{"hostPath":{"path":"/"}}]}}}}}}"#, true),
        (r#"{"spec":{"volumes":[{"hostPath":{"path":"/var/run/docker.sock"}}]}}"#, true),
        (r#"{"spec":{"volumes":[{"hostPath":{"path":"/opt/data"}}]}}"#, false),
        (r#"{"spec":{"containers":[{"securityContext":{"capabilities":{"add":["CAP_SYS_ADMIN"]}}}]}}"#, true),
        (r#"{"spec":{"containers":[{"securityContext":{"privileged":false}}],"volumes":[{"emptyDir":{}}]}}"#, false),
    ] {
        assert_eq!(k8s(object).host_access, expected, "{object}");
    }
}

#[test]
fn open_ports() {
    let rule = |from: i64, to: i64, cidr: &str| {
        aws(&format!(
            "{{\"groupId\":\"sg-1\",\"ipPermissions\":{{\"items\":[{{\"ipProtocol\":\"tcp\",\"fromPort\":{from},\"toPort\":{to},\"ipRanges\":{{\"items\":[{{\"cidrIp\":\"{cidr}\"}}]}}}}]}}}}"
        ))
    };
    assert!(rule(22, 22, "0.0.0.0/0").admin_port && rule(22, 22, "0.0.0.0/0").public);
    assert!(!rule(443, 443, "0.0.0.0/0").admin_port && rule(443, 443, "0.0.0.0/0").public);
    assert!(!rule(22, 22, "10.0.0.0/8").public);
    assert!(rule(0, 65535, "0.0.0.0/0").admin_port);
}

#[test]
fn bad_input_tells_nothing() {
    for raw in [
        "",
        "{",
        "[]",
        "null",
        "{\"requestParameters\":{\"policyDocument\":\"{{{{\"}}",
        "{\"requestParameters\":{\"policyDocument\":\"%7B%zz%\"}}",
        "{\"requestObject\":{\"rules\":7,\"spec\":[]}}",
    ] {
        for format in ["cloudtrail", "k8s_audit"] {
            let event = Event { format: format.into(), raw: Some(raw.to_owned()), ..Event::default() };
            assert_eq!(read(&event, Class::Permission), Some(Request::default()), "{raw}");
        }
    }
    assert_eq!(read(&Event { format: Text::const_new("zeek"), ..Event::default() }, Class::Permission), None);
}
