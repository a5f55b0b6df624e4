//! One machine under the names that several providers know it by: one question answers for all of them, and names of another machine stay out.

use serde_json::{Value, json};

use crate::estate::Home;

const ISSUER: &str = "oidc.eks.eu-west-1.amazonaws.com/id/AB12CD34";
const OTHER_ISSUER: &str = "oidc.eks.eu-west-1.amazonaws.com/id/EF56";

/// A service account's token is exchanged for a session of a role.
fn assume(second: u64, issuer: &str, subject: &str, role: &str, key: &str) -> Value {
    json!({
        "eventVersion": "1.08",
        "userIdentity": { "type": "WebIdentityUser", "principalId": format!("arn:aws:iam::111122223333:oidc-provider/{issuer}:sts.amazonaws.com:{subject}"), "userName": subject, "identityProvider": format!("arn:aws:iam::111122223333:oidc-provider/{issuer}") },
        "eventTime": format!("2026-03-01T10:00:{second:02}Z"),
        "eventSource": "sts.amazonaws.com", "eventName": "AssumeRoleWithWebIdentity", "awsRegion": "eu-west-1", "sourceIPAddress": "192.0.2.10", "userAgent": "aws-sdk-go/1",
        "requestParameters": { "roleArn": format!("arn:aws:iam::111122223333:role/{role}"), "roleSessionName": "pod" },
        "responseElements": {
            "credentials": { "accessKeyId": key, "sessionToken": "x", "expiration": "Mar 1, 2026, 11:00:00 AM" },
            "subjectFromWebIdentityToken": subject, "audience": "sts.amazonaws.com",
            "assumedRoleUser": { "assumedRoleId": "AROAEXAMPLE:pod", "arn": format!("arn:aws:sts::111122223333:assumed-role/{role}/pod") },
            "provider": format!("arn:aws:iam::111122223333:oidc-provider/{issuer}")
        },
        "requestID": format!("r{second}"), "eventID": format!("0000000{}-0000-4000-8000-0000000000aa", second % 10), "eventType": "AwsApiCall", "recipientAccountId": "111122223333"
    })
}

/// What the role's session does.
fn used(second: u64, issuer: &str, role: &str, key: &str, bucket: &str) -> Value {
    json!({
        "eventVersion": "1.08",
        "userIdentity": {
            "type": "AssumedRole", "principalId": "AROAEXAMPLE:pod", "arn": format!("arn:aws:sts::111122223333:assumed-role/{role}/pod"), "accountId": "111122223333", "accessKeyId": key,
            "sessionContext": {
                "sessionIssuer": { "type": "Role", "principalId": "AROAEXAMPLE", "arn": format!("arn:aws:iam::111122223333:role/{role}"), "accountId": "111122223333", "userName": role },
                "webIdFederationData": { "federatedProvider": format!("arn:aws:iam::111122223333:oidc-provider/{issuer}"), "attributes": {} },
                "attributes": { "creationDate": "2026-03-01T10:00:00Z", "mfaAuthenticated": "false" }
            }
        },
        "eventTime": format!("2026-03-01T10:01:{second:02}Z"),
        "eventSource": "s3.amazonaws.com", "eventName": "GetObject", "awsRegion": "eu-west-1", "sourceIPAddress": "192.0.2.10", "userAgent": "aws-sdk-go/1",
        "requestParameters": { "bucketName": bucket, "key": "k" }, "responseElements": null,
        "requestID": format!("u{second}"), "eventID": format!("000000{second:02}-0000-4000-8000-0000000000bb"), "eventType": "AwsApiCall", "recipientAccountId": "111122223333"
    })
}

/// A service account lists pods.
fn pods(second: u64, namespace: &str, account: &str) -> Value {
    json!({
        "kind": "Event", "apiVersion": "audit.k8s.io/v1", "level": "Metadata", "auditID": format!("{namespace}-{account}-{second}"), "stage": "ResponseComplete",
        "requestURI": format!("/api/v1/namespaces/{namespace}/pods"), "verb": "list",
        "user": { "username": format!("system:serviceaccount:{namespace}:{account}"), "uid": "u", "groups": ["system:serviceaccounts"], "extra": { "authentication.kubernetes.io/credential-id": [format!("JTI={namespace}-{account}")] } },
        "sourceIPs": ["10.0.0.5"], "objectRef": { "resource": "pods", "namespace": namespace, "apiVersion": "v1" },
        "responseStatus": { "code": 200 }, "requestReceivedTimestamp": format!("2026-03-01T09:00:{second:02}.000000Z"), "stageTimestamp": format!("2026-03-01T09:00:{second:02}.100000Z")
    })
}

/// The API server gives the service account a token that this issuer signed.
fn token(namespace: &str, account: &str, issuer: &str) -> Value {
    // {"iss":"https://…","jti":"…","iat":…,"exp":…} between two parts that nobody looks at.
    let payload =
        json!({ "iss": format!("https://{issuer}"), "jti": format!("{namespace}-{account}-{issuer}"), "iat": 1_772_355_600, "exp": 1_772_359_200 }).to_string();
    let jwt = format!("eyJhbGciOiJSUzI1NiJ9.{}.c2ln", base64::Engine::encode(&base64::engine::general_purpose::URL_SAFE_NO_PAD, payload));
    json!({
        "kind": "Event", "apiVersion": "audit.k8s.io/v1", "level": "RequestResponse", "auditID": format!("token-{namespace}-{account}-{issuer}"), "stage": "ResponseComplete",
        "requestURI": format!("/api/v1/namespaces/{namespace}/serviceaccounts/{account}/token"), "verb": "create",
        "user": { "username": "system:node:n1", "groups": ["system:nodes"] }, "sourceIPs": ["10.0.0.9"],
        "objectRef": { "resource": "serviceaccounts", "subresource": "token", "namespace": namespace, "name": account, "apiVersion": "v1" },
        "responseStatus": { "code": 201 },
        "requestObject": { "kind": "TokenRequest", "apiVersion": "authentication.k8s.io/v1", "spec": { "audiences": ["sts.amazonaws.com"], "expirationSeconds": 3600 } },
        "responseObject": { "kind": "TokenRequest", "apiVersion": "authentication.k8s.io/v1", "spec": { "expirationSeconds": 3600 }, "status": { "token": jwt, "expirationTimestamp": "2026-03-01T10:00:00Z" } },
        "requestReceivedTimestamp": "2026-03-01T09:00:00.000000Z", "stageTimestamp": "2026-03-01T09:00:00.100000Z"
    })
}

/// Somebody logs in at Vault and reads a secret.
fn vault(display_name: &str, metadata: &Value, path: &str) -> String {
    let token = |of: &str| format!("hmac-sha256:{:064x}", of.bytes().fold(7_u128, |sum, byte| sum.wrapping_mul(31).wrapping_add(u128::from(byte))));
    let auth = json!({ "accessor": token(&format!("a{display_name}")), "client_token": token(display_name), "display_name": display_name, "policies": ["default"], "token_policies": ["default"], "metadata": metadata, "entity_id": format!("e-{display_name}"), "token_type": "service", "token_ttl": 3600 });
    let entry = |second: u32, kind: &str, operation: &str, path: &str, response: Value| json!({ "time": format!("2026-03-01T10:02:{second:02}Z"), "type": kind, "auth": auth, "request": { "id": format!("{display_name}-{operation}-{path}"), "operation": operation, "path": path, "mount_type": "kv", "namespace": { "id": "root" }, "remote_address": "10.0.0.5", "client_token": token(display_name), "client_token_accessor": token(&format!("a{display_name}")) }, "response": response });
    let login = json!({ "auth": auth });
    [
        entry(1, "request", "read", path, Value::Null),
        entry(1, "response", "read", path, json!({ "data": {} })),
        entry(0, "response", "update", "auth/x/login", login),
    ]
    .iter()
    .rev()
    .map(|line| format!("{line}\n"))
    .collect()
}

/// Google takes a workload of another provider in.
fn google(subject: &str, resource: &str) -> Value {
    json!({
        "protoPayload": {
            "@type": "type.googleapis.com/google.cloud.audit.AuditLog", "status": {}, "serviceName": "storage.googleapis.com", "methodName": "storage.objects.get",
            "authenticationInfo": { "principalSubject": format!("principal://iam.googleapis.com/projects/12/locations/global/workloadIdentityPools/pool/subject/{subject}") },
            "requestMetadata": { "callerIp": "192.0.2.10" }, "resourceName": resource
        },
        "insertId": format!("g-{subject}"), "resource": { "type": "gcs_bucket", "labels": { "project_id": "acme" } }, "timestamp": "2026-03-01T10:03:00Z", "severity": "INFO",
        "logName": "projects/acme/logs/cloudaudit.googleapis.com%2Fdata_access"
    })
}

/// EKS takes on a role for a pod.
fn pod(namespace: &str, account: &str, key: &str) -> Value {
    let tag = |key: &str, value: &str| json!({ "key": key, "value": value });
    json!({
        "eventVersion": "1.08", "userIdentity": { "type": "AWSService", "invokedBy": "pods.eks.amazonaws.com" }, "eventTime": "2026-03-01T10:00:09Z",
        "eventSource": "sts.amazonaws.com", "eventName": "AssumeRole", "awsRegion": "eu-west-1", "sourceIPAddress": "pods.eks.amazonaws.com", "userAgent": "pods.eks.amazonaws.com",
        "requestParameters": { "roleArn": "arn:aws:iam::111122223333:role/pod-role", "roleSessionName": "eks-prod-api-1", "tags": [tag("eks-cluster-name", "prod"), tag("kubernetes-namespace", namespace), tag("kubernetes-service-account", account)] },
        "responseElements": { "credentials": { "accessKeyId": key, "sessionToken": "x", "expiration": "Mar 1, 2026, 4:00:00 PM" }, "assumedRoleUser": { "assumedRoleId": "AROAPOD:eks-prod-api-1", "arn": "arn:aws:sts::111122223333:assumed-role/pod-role/eks-prod-api-1" } },
        "requestID": "p", "eventID": "00000009-0000-4000-8000-0000000000cc", "eventType": "AwsApiCall", "recipientAccountId": "111122223333"
    })
}

fn lines(values: &[Value]) -> String {
    values.iter().map(|value| format!("{value}\n")).collect()
}

fn touched(home: &Home, identity: &str) -> Vec<String> {
    let mut all: Vec<String> =
        home.rows(&["touched", identity]).iter().map(|row| format!("{} {}", row["identity"].as_str().unwrap(), row["destination"].as_str().unwrap())).collect();
    all.sort();
    all
}

/// Two clusters, of which each has a service account `payments/api`; `prod`'s goes to AWS, Vault and Google.
fn estate(with_tokens: bool) -> Home {
    let home = Home::new();
    let subject = "system:serviceaccount:payments:api";
    let ingest = |arguments: &[&str]| assert_eq!(home.ingest(arguments).dead_lettered, 0, "{arguments:?}");
    let mut prod = vec![pods(1, "payments", "api"), pods(2, "payments", "other")];
    let mut test = vec![pods(1, "payments", "api")];
    if with_tokens {
        prod.push(token("payments", "api", ISSUER));
        test.push(token("payments", "api", OTHER_ISSUER));
    }
    ingest(&["--cluster", "prod", home.file("prod.json", lines(&prod)).to_str().unwrap()]);
    if with_tokens {
        ingest(&["--cluster", "test", home.file("test.json", lines(&test)).to_str().unwrap()]);
    }
    let mut trail = vec![
        assume(1, ISSUER, subject, "api-role", "ASIAPROD000000000001"),
        used(1, ISSUER, "api-role", "ASIAPROD000000000001", "prod-bucket"),
        pod("payments", "api", "ASIAPOD0000000000001"),
        used(9, ISSUER, "pod-role", "ASIAPOD0000000000001", "pod-bucket"),
        assume(3, "token.actions.githubusercontent.com", "repo:acme/app:ref:refs/heads/main", "deploy", "ASIAHUB0000000000001"),
        used(3, "token.actions.githubusercontent.com", "deploy", "ASIAHUB0000000000001", "release-bucket"),
    ];
    if with_tokens {
        trail.push(assume(2, OTHER_ISSUER, subject, "api-role", "ASIATEST000000000001"));
        trail.push(used(2, OTHER_ISSUER, "api-role", "ASIATEST000000000001", "test-bucket"));
    }
    ingest(&[home.file("trail.json", lines(&trail)).to_str().unwrap()]);
    let account = json!({ "role": "api", "service_account_name": "api", "service_account_namespace": "payments" });
    let role = json!({ "client_arn": "arn:aws:sts::111122223333:assumed-role/deploy/session", "canonical_arn": "arn:aws:iam::111122223333:role/deploy" });
    let logins = [
        vault("kubernetes-payments-api", &account, "secret/data/api"),
        vault("jwt-repo:acme/app:ref:refs/heads/main", &json!({ "role": "ci" }), "secret/data/ci"),
        vault("aws-deploy", &role, "secret/data/deploy"),
    ];
    ingest(&["--cluster", "works", home.file("vault.json", logins.concat()).to_str().unwrap()]);
    let google = [google(subject, "projects/_/buckets/gcs-api/objects/o"), google("repo:acme/app:environment:prod", "projects/_/buckets/gcs-ci/objects/o")];
    ingest(&[home.file("google.json", lines(&google)).to_str().unwrap()]);
    home
}

#[test]
fn a_service_account_is_one_machine_in_every_cloud() {
    let home = estate(false);
    let all = touched(&home, "k8s:prod:sa/payments/api");
    for part in [
        "k8s:prod:sa/payments/api ",
        "aws:111122223333:role/api-role aws:s3/prod-bucket",
        "aws:111122223333:role/pod-role aws:s3/pod-bucket",
        "vault:works:kubernetes/payments/api ",
        "gcp:12:pool/pool/subject/system:serviceaccount:payments:api ",
    ] {
        assert!(all.iter().any(|row| row.starts_with(part)), "{part} in {all:#?}");
    }
    assert!(!all.iter().any(|row| row.contains("release-bucket") || row.contains("secret/data/ci")), "{all:#?}");
    assert_eq!(touched(&home, "vault:works:kubernetes/payments/api"), all, "whichever of its names is asked for");
    // The role, which others may take on too, is another's name.
    assert!(touched(&home, "aws:111122223333:role/api-role").iter().all(|row| row.contains("role/api-role")));
    assert!(touched(&home, "k8s:prod:sa/payments/other").iter().all(|row| row.starts_with("k8s:prod:sa/payments/other")));
    let chain = home.rows(&["lineage", "ASIAPROD000000000001"]);
    let relation = |relation: &str, name: &str| chain.iter().any(|row| row["relation"] == relation && row["credential"].as_str().unwrap().contains(name));
    assert!(relation("parent", "web-identity/oidc.eks"), "{chain:#?}");
    assert!(relation("alias", "k8s:prod:sa/payments/api") && relation("alias", "vault:works:kubernetes/payments/api"), "{chain:#?}");
    let reach = home.rows(&["blast-radius", "k8s:prod:sa/payments/api"]);
    assert!(reach.iter().any(|row| row["destination"] == "aws:s3/prod-bucket"), "{reach:#?}");
}

#[test]
fn of_two_clusters_the_one_whose_tokens_the_issuer_signed() {
    let home = estate(true);
    let (prod, test) = (touched(&home, "k8s:prod:sa/payments/api"), touched(&home, "k8s:test:sa/payments/api"));
    let holds = |rows: &[String], part: &str| rows.iter().any(|row| row.contains(part));
    assert!(holds(&prod, "prod-bucket") && !holds(&prod, "test-bucket") && !holds(&prod, "k8s:test"), "{prod:#?}");
    assert!(holds(&test, "test-bucket") && !holds(&test, "prod-bucket") && !holds(&test, "k8s:prod"), "{test:#?}");
    // Which of the two logged in at Vault, no record says.
    assert!(!holds(&prod, "vault:") && !holds(&test, "vault:"));
}

#[test]
fn a_pipeline_and_a_role_are_followed_too() {
    let home = estate(false);
    let pipeline = touched(&home, "gcp:12:pool/pool/subject/repo:acme/app:environment:prod");
    for part in ["gcs-ci", "aws:s3/release-bucket", "vault:works:jwt/repo:acme/app:ref:refs/heads/main vault:secret/data/ci"] {
        assert!(pipeline.iter().any(|row| row.contains(part)), "{part} in {pipeline:#?}");
    }
    let role = touched(&home, "aws:111122223333:role/deploy");
    for part in ["aws:s3/release-bucket", "vault:secret/data/deploy"] {
        assert!(role.iter().any(|row| row.contains(part)), "{part} in {role:#?}");
    }
}

#[test]
fn an_entra_application_is_entered_by_whom_it_believes() {
    let home = Home::new();
    let credential = json!([{ "Name": "ci", "Issuer": "https://token.actions.githubusercontent.com", "Subject": "repo:acme/app:ref:refs/heads/main", "Id": "fic-1", "Audiences": ["api://AzureADTokenExchange"] }]).to_string();
    let change = json!({
        "time": "2026-03-01T09:00:00Z", "resourceId": "/tenants/t-1/providers/Microsoft.aadiam", "operationName": "Update application", "category": "AuditLogs", "tenantId": "t-1",
        "properties": {
            "id": "Directory_1", "category": "ApplicationManagement", "correlationId": "c", "result": "success", "activityDisplayName": "Update application", "activityDateTime": "2026-03-01T09:00:00Z",
            "loggedByService": "Core Directory", "initiatedBy": { "user": { "id": "u1", "userPrincipalName": "ann@example.com", "ipAddress": "192.0.2.1" } },
            "targetResources": [{ "id": "obj-1", "displayName": "deployer", "type": "Application", "modifiedProperties": [
                { "displayName": "FederatedIdentityCredentials", "oldValue": "[]", "newValue": credential },
                { "displayName": "AppId", "oldValue": null, "newValue": "\"app-1\"" }
            ] }]
        }
    });
    let sign_in = json!({
        "time": "2026-03-01T10:00:00Z", "resourceId": "/tenants/t-1/providers/Microsoft.aadiam", "operationName": "Sign-in activity", "category": "ServicePrincipalSignInLogs", "tenantId": "t-1",
        "properties": {
            "id": "s-1", "createdDateTime": "2026-03-01T10:00:00Z", "appId": "app-1", "servicePrincipalId": "sp-1", "servicePrincipalName": "deployer", "ipAddress": "192.0.2.9",
            "resourceDisplayName": "Azure Resource Manager", "resourceId": "arm-1", "status": { "errorCode": 0 }, "federatedCredentialId": "fic-1", "clientCredentialType": "federatedIdentityCredential", "uniqueTokenIdentifier": "tok-1"
        }
    });
    let path = home.file("entra.json", lines(&[change, sign_in]));
    let trail = home
        .file("trail.json", lines(&[assume(3, "token.actions.githubusercontent.com", "repo:acme/app:ref:refs/heads/main", "deploy", "ASIAHUB0000000000001")]));
    home.ingest(&[path.to_str().unwrap(), trail.to_str().unwrap()]);
    let chain = home.rows(&["lineage", "fic-1"]);
    assert!(
        chain
            .iter()
            .any(|row| row["relation"] == "parent" && row["credential"] == "federated:token.actions.githubusercontent.com/repo:acme/app:ref:refs/heads/main"),
        "{chain:#?}"
    );
    let all = touched(&home, "aws:111122223333:web-identity/token.actions.githubusercontent.com/repo:acme/app:ref:refs/heads/main");
    assert!(all.iter().any(|row| row.starts_with("entra:t-1:")), "{all:#?}");
}
