//! Records of the formats that keytrail began with, each of them a busy machine's.

use serde_json::{Value, json};

/// A call of a role's session; one that assumes a role and so carries a session token if `assumes`.
pub fn cloudtrail(n: u64, assumes: bool) -> Value {
    let (account, role) = (123_456_789_012_u64, format!("svc-{}", n % 200));
    let call = match n % 4 {
        _ if assumes => (
            "sts",
            "AssumeRole",
            json!({"roleArn": format!("arn:aws:iam::{account}:role/next-{}", n % 50), "roleSessionName": format!("job-{n}"), "durationSeconds": 3600}),
        ),
        0 => (
            "s3",
            "GetObject",
            json!({"bucketName": format!("data-{}", n % 300), "Host": "s3.eu-west-1.amazonaws.com", "key": format!("year=2026/month=11/day=22/part-{n:08}.parquet")}),
        ),
        1 => ("secretsmanager", "GetSecretValue", json!({"secretId": format!("prod/service-{}/database", n % 90)})),
        2 => (
            "kms",
            "Decrypt",
            json!({"encryptionAlgorithm": "SYMMETRIC_DEFAULT", "encryptionContext": {"aws:s3:arn": format!("arn:aws:s3:::data-{}", n % 300)}}),
        ),
        _ => ("dynamodb", "PutItem", json!({"tableName": format!("orders-{}", n % 40), "key": {"id": n.to_string()}, "returnConsumedCapacity": "TOTAL"})),
    };
    let response = assumes.then(|| {
        json!({"credentials": {"accessKeyId": format!("ASIA{:016}", n), "sessionToken": format!("IQoJb3JpZ2luX2VjE{}", "Zq3/".repeat(120)), "expiration": "Nov 22, 2026, 1:00:00 PM"},
            "assumedRoleUser": {"assumedRoleId": format!("AROAEXAMPLEEXAMPLE{}:job-{n}", n % 50), "arn": format!("arn:aws:sts::{account}:assumed-role/next-{}/job-{n}", n % 50)}})
    });
    json!({
        "eventVersion": "1.09",
        "userIdentity": {
            "type": "AssumedRole", "principalId": format!("AROAEXAMPLEEXAMPLE{}:i-0{:015x}", n % 200, n % 997), "arn": format!("arn:aws:sts::{account}:assumed-role/{role}/i-0{:015x}", n % 997),
            "accountId": account.to_string(), "accessKeyId": format!("ASIA{:016}", n % 1009),
            "sessionContext": {"sessionIssuer": {"type": "Role", "principalId": format!("AROAEXAMPLEEXAMPLE{}", n % 200), "arn": format!("arn:aws:iam::{account}:role/{role}"), "accountId": account.to_string(), "userName": role},
                "attributes": {"creationDate": "2026-11-22T11:00:00Z", "mfaAuthenticated": "false"}, "ec2RoleDelivery": "2.0"}
        },
        "eventTime": format!("2026-11-22T12:{:02}:{:02}Z", n / 60 % 60, n % 60), "eventSource": format!("{}.amazonaws.com", call.0), "eventName": call.1, "awsRegion": "eu-west-1",
        "sourceIPAddress": format!("10.1.{}.{}", n % 200, n % 250), "userAgent": "aws-sdk-go-v2/1.32.3 os/linux lang/go#1.23.1 md/GOOS#linux md/GOARCH#amd64 api/s3#1.66.3",
        "requestParameters": call.2, "responseElements": response,
        "additionalEventData": {"SignatureVersion": "SigV4", "CipherSuite": "TLS_AES_128_GCM_SHA256", "bytesTransferredIn": 0, "AuthenticationMethod": "AuthHeader", "x-amz-id-2": "5BtfSG6Ph8dkWLhxBkcpRZnFCXs+Xn1ZzP1Qg3mzk", "bytesTransferredOut": n},
        "requestID": format!("REQ{n:013}"), "eventID": format!("{n:08x}-aaaa-4bbb-8ccc-dddddddddddd"), "readOnly": true,
        "resources": if call.0 == "s3" { json!([{"type": "AWS::S3::Object", "ARN": format!("arn:aws:s3:::data-{}/part-{n:08}.parquet", n % 300)}, {"accountId": account.to_string(), "type": "AWS::S3::Bucket", "ARN": format!("arn:aws:s3:::data-{}", n % 300)}]) } else { Value::Null },
        "eventType": "AwsApiCall", "managementEvent": false, "recipientAccountId": account.to_string(), "eventCategory": "Data",
        "tlsDetails": {"tlsVersion": "TLSv1.3", "cipherSuite": "TLS_AES_128_GCM_SHA256", "clientProvidedHostHeader": format!("{}.eu-west-1.amazonaws.com", call.0)}
    })
}

pub fn gcp_audit(n: u64) -> Value {
    let account = format!("svc-{}@acme.iam.gserviceaccount.com", n % 200);
    json!({
        "insertId": format!("{n:x}"), "logName": "projects/acme/logs/cloudaudit.googleapis.com%2Fdata_access", "severity": "INFO",
        "timestamp": format!("2026-11-22T10:{:02}:{:02}.{:06}Z", n / 60 % 60, n % 60, n % 1_000_000), "receiveTimestamp": "2026-11-22T11:00:00.1Z",
        "resource": {"type": "gcs_bucket", "labels": {"project_id": "acme", "bucket_name": format!("data-{}", n % 300), "location": "europe-west1"}},
        "protoPayload": {
            "@type": "type.googleapis.com/google.cloud.audit.AuditLog", "serviceName": "storage.googleapis.com", "methodName": "storage.objects.get", "status": {},
            "authenticationInfo": {"principalEmail": account, "serviceAccountKeyName": format!("//iam.googleapis.com/projects/acme/serviceAccounts/{account}/keys/{:040x}", n % 400)},
            "requestMetadata": {"callerIp": format!("10.20.{}.{}", n % 250, n % 240), "callerSuppliedUserAgent": "google-cloud-sdk gcloud/470.0.0", "requestAttributes": {"time": "2026-11-22T10:00:00Z", "auth": {}}, "destinationAttributes": {}},
            "resourceName": format!("projects/_/buckets/data-{}/objects/year=2026/part-{n:08}.parquet", n % 300),
            "authorizationInfo": [{"resource": format!("projects/_/buckets/data-{}", n % 300), "permission": "storage.objects.get", "granted": true, "resourceAttributes": {}}],
        },
    })
}

pub fn entra_signin(n: u64) -> Value {
    let (tenant, app) = ("11111111-2222-3333-4444-555555555555", format!("{:08x}-0000-4000-8000-000000000000", n % 200));
    let time = format!("2026-11-22T10:{:02}:{:02}.{:06}Z", n / 60 % 60, n % 60, n % 1_000_000);
    json!({
        "time": time, "resourceId": format!("/tenants/{tenant}/providers/Microsoft.aadiam"), "operationName": "Sign-in activity", "operationVersion": "1.0", "category": "ServicePrincipalSignInLogs",
        "tenantId": tenant, "resultType": "0", "resultSignature": "None", "durationMs": 0, "callerIpAddress": format!("203.0.113.{}", n % 250), "correlationId": format!("{n:032x}"), "Level": 4, "location": "DE",
        "properties": {
            "id": format!("{n:032x}"), "createdDateTime": time, "appId": app, "servicePrincipalId": app, "servicePrincipalName": format!("svc-{}", n % 200), "ipAddress": format!("203.0.113.{}", n % 250),
            "servicePrincipalCredentialKeyId": format!("{:08x}-1111-4000-8000-000000000000", n % 400), "clientCredentialType": "clientSecret", "status": {"errorCode": 0},
            "location": {"city": "Hannover", "state": "Niedersachsen", "countryOrRegion": "DE", "geoCoordinates": {"latitude": 50.1, "longitude": 9.1}}, "isInteractive": false, "tokenIssuerType": "AzureAD",
            "processingTimeInMilliseconds": 12, "riskDetail": "none", "riskState": "none", "resourceDisplayName": "Microsoft Graph", "resourceId": "00000003-0000-0000-c000-000000000000", "conditionalAccessStatus": "notApplied",
            "appliedConditionalAccessPolicies": [], "uniqueTokenIdentifier": format!("dG9r{n:x}"), "incomingTokenType": "none", "authenticationProtocol": "none",
        },
    })
}

pub fn k8s_audit(n: u64) -> Value {
    json!({
        "kind": "Event", "apiVersion": "audit.k8s.io/v1", "level": "Metadata", "auditID": format!("{n:08x}-aaaa-4bbb-8ccc-dddddddddddd"), "stage": "ResponseComplete",
        "requestURI": format!("/api/v1/namespaces/team-{}/secrets/service-{}?timeout=10s", n % 40, n % 90), "verb": "get",
        "user": {"username": format!("system:serviceaccount:team-{}:runner-{}", n % 40, n % 7), "uid": "ca1ed9f4-7bf4-4c85-81a8-1b11253d1ba6", "groups": ["system:serviceaccounts", format!("system:serviceaccounts:team-{}", n % 40), "system:authenticated"],
            "extra": {"authentication.kubernetes.io/credential-id": [format!("JTI={:08x}-1111-4222-8333-444444444444", n % 500)], "authentication.kubernetes.io/node-name": [format!("node-{}", n % 30)], "authentication.kubernetes.io/pod-name": [format!("runner-{}-7998647bdf-phvq7", n % 7)]}},
        "sourceIPs": [format!("10.2.{}.{}", n % 200, n % 250)], "userAgent": "runner/v0.0.0 (linux/amd64) kubernetes/$Format",
        "objectRef": {"resource": "secrets", "namespace": format!("team-{}", n % 40), "name": format!("service-{}", n % 90), "apiVersion": "v1"},
        "responseStatus": {"metadata": {}, "code": 200}, "requestReceivedTimestamp": format!("2026-11-22T12:{:02}:{:02}.123456Z", n / 60 % 60, n % 60), "stageTimestamp": format!("2026-11-22T12:{:02}:{:02}.125456Z", n / 60 % 60, n % 60),
        "annotations": {"authorization.k8s.io/decision": "allow", "authorization.k8s.io/reason": format!("RBAC: allowed by RoleBinding \"runner/team-{}\" of Role \"runner\"", n % 40)}
    })
}

pub fn keytrail(n: u64) -> Value {
    json!({"time": format!("2026-11-22T12:{:02}:{:02}Z", n / 60 % 60, n % 60), "activity": "use", "outcome": "success", "identity": format!("app:billing:worker-{}", n % 100), "identity_kind": "service",
        "credential": format!("key-{}", n % 300), "credential_kind": "api_token", "source_ip": "10.0.0.7", "destination": format!("db:orders-{}", n % 9), "destination_kind": "database", "protocol": "https", "action": "orders.read"})
}

pub fn vault_audit(n: u64) -> Value {
    let id = format!("{:08x}-aaaa-4bbb-8ccc-dddddddddddd", n / 2);
    let mut record = json!({
        "time": format!("2026-11-22T12:{:02}:{:02}.123456Z", n / 60 % 60, n % 60), "type": if n.is_multiple_of(2) { "request" } else { "response" },
        "auth": {"client_token": "hmac-sha256:0f6ce44e4a0c3f4a4b3e1f1d54a5f3c0a1b2c3d4e5f60718293a4b5c6d7e8f90", "accessor": format!("hmac-sha256:{:064x}", n / 2 % 300), "display_name": "approle", "policies": ["app", "default"], "token_policies": ["app", "default"],
            "metadata": {"role_name": format!("svc-{}", n / 2 % 80)}, "entity_id": format!("{:08x}-1111-4222-8333-444444444444", n / 2 % 80), "token_type": "service", "token_ttl": 3600, "token_issue_time": "2026-11-22T11:30:00Z"},
        "request": {"id": id, "operation": "read", "mount_type": "kv", "client_token": "hmac-sha256:0f6ce44e4a0c3f4a4b3e1f1d54a5f3c0a1b2c3d4e5f60718293a4b5c6d7e8f90", "client_token_accessor": format!("hmac-sha256:{:064x}", n / 2 % 300),
            "namespace": {"id": "root"}, "path": format!("secret/data/team-{}/db", n / 2 % 40), "remote_address": "10.3.1.2", "remote_port": 40000 + n % 20000}
    });
    if !n.is_multiple_of(2) {
        record["response"] = json!({"mount_type": "kv", "data": {"data": {"password": "hmac-sha256:0f6ce44e4a0c3f4a4b3e1f1d54a5f3c0a1b2c3d4e5f60718293a4b5c6d7e8f90"}, "metadata": {"version": 3}}});
    }
    record
}

pub fn zeek(n: u64) -> Value {
    json!({"ts": 1_795_348_800.5 + n as f64, "uid": format!("C{n:016}"), "id.orig_h": format!("10.4.0.{}", n % 250), "id.orig_p": 40000 + n % 20000, "id.resp_h": "10.4.1.9", "id.resp_p": 8883, "version": "TLSv12", "cipher": "TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256",
        "server_name": "broker.plant.example", "resumed": false, "established": true, "client_subject": format!("CN=sensor-{},O=Plant", n % 200), "client_issuer": "CN=Plant CA", "subject": "CN=broker", "issuer": "CN=Plant CA"})
}
