//! Where secrets stand in the logs of Google Cloud and Microsoft: requests and answers, changed values, diagnostics, query strings, and the texts that are kept.

use super::place::Place;
use super::template::Template;

const GCP: &str = r#"{"insertId":"i{n}","logName":"projects/acme/logs/cloudaudit.googleapis.com%2Factivity","timestamp":"{time}","severity":"NOTICE",
  "resource":{"type":"service_account","labels":{"project_id":"acme","email_id":"ci@acme.iam.gserviceaccount.com"}},
  "protoPayload":{"@type":"type.googleapis.com/google.cloud.audit.AuditLog","serviceName":"iam.googleapis.com","methodName":"google.iam.admin.v1.CreateServiceAccountKey",
    "authenticationInfo":{"principalEmail":"ann@example.com"},"requestMetadata":{"callerIp":"203.0.113.7","callerSuppliedUserAgent":"gcloud/470"},"resourceName":"projects/-/serviceAccounts/1",
    "request":{},"response":{},"metadata":{},"status":{}}}"#;

const AZURE: &str = r#"{"time":"{time}","resourceId":"/SUBSCRIPTIONS/22222222-2222-2222-2222-222222222222/RESOURCEGROUPS/PROD/PROVIDERS/MICROSOFT.STORAGE/STORAGEACCOUNTS/INVOICES",
  "operationName":"MICROSOFT.STORAGE/STORAGEACCOUNTS/LISTKEYS/ACTION","category":"Administrative","resultType":"Success","resultSignature":"Succeeded.OK","callerIpAddress":"203.0.113.20","correlationId":"{id}",
  "identity":{"authorization":{"scope":"/subscriptions/2","action":"Microsoft.Storage/storageAccounts/listKeys/action"},"claims":{"appid":"aaaaaaaa-aaaa-aaaa-aaaa-aaaaaaaaaaaa","uti":"u{n}",
    "http://schemas.microsoft.com/identity/claims/tenantid":"11111111-1111-1111-1111-111111111111"}},"properties":{}}"#;

const SIGNIN: &str = r#"{"time":"{time}","category":"ServicePrincipalSignInLogs","operationName":"Sign-in activity","tenantId":"11111111-1111-1111-1111-111111111111","resultType":"7000215",
  "properties":{"id":"{id}","createdDateTime":"{time}","appId":"aaaaaaaa-aaaa-aaaa-aaaa-aaaaaaaaaaaa","servicePrincipalId":"bbbbbbbb-bbbb-bbbb-bbbb-bbbbbbbbbbbb","servicePrincipalName":"ci",
    "ipAddress":"203.0.113.21","status":{"errorCode":7000215},"resourceDisplayName":"Microsoft Graph","authenticationProcessingDetails":[{"key":"Root Key Type","value":"Unknown"}],"userAgent":"python"}}"#;

const DIRECTORY: &str = r#"{"time":"{time}","category":"AuditLogs","operationName":"Update application","tenantId":"11111111-1111-1111-1111-111111111111",
  "properties":{"id":"Directory_{n}","activityDateTime":"{time}","activityDisplayName":"Update application","result":"success","loggedByService":"Core Directory",
    "initiatedBy":{"user":{"id":"f","userPrincipalName":"ann@example.com"}},"userAgent":"Mozilla/5.0",
    "targetResources":[{"id":"obj-1","displayName":"ci","type":"Application","modifiedProperties":[{"displayName":"PasswordCredentials","oldValue":"[]","newValue":"[]"}]}],
    "additionalDetails":[{"key":"AppId","value":"aaaaaaaa-aaaa-aaaa-aaaa-aaaaaaaaaaaa"}]}}"#;

const RISK: &str = r#"{"time":"{time}","operationName":"Service principal risk detection","category":"ServicePrincipalRiskEvents","tenantId":"11111111-1111-1111-1111-111111111111",
  "properties":{"id":"{id}","appId":"aaaaaaaa-aaaa-aaaa-aaaa-aaaaaaaaaaaa","servicePrincipalId":"bbbbbbbb-bbbb-bbbb-bbbb-bbbbbbbbbbbb","riskEventType":"leakedCredentials","riskState":"atRisk","riskLevel":"high",
    "detectedDateTime":"{time}","ipAddress":"203.0.113.20"}}"#;

const M365: &str = r#"{"Id":"{id}","CreationTime":"{time}","Operation":"New-InboxRule","OrganizationId":"11111111-1111-1111-1111-111111111111","RecordType":1,"UserType":2,"UserId":"ann@example.com","Workload":"Exchange",
  "ClientIP":"203.0.113.22:4000","ResultStatus":"True","ObjectId":"ann\\rule","Parameters":[{"Name":"ForwardTo","Value":"x"}],"ModifiedProperties":[{"Name":"Key","NewValue":"","OldValue":""}],
  "ExtendedProperties":[{"Name":"UserAgent","Value":"x"}]}"#;

const TEMPLATES: &[Template] = &[
    Template {
        format: "gcp_audit",
        file: "gcp_audit/events.ndjson",
        name: "audit log",
        record: GCP,
        closed: &[
            "protoPayload/request/payload/data",
            "protoPayload/request/service_account_key/private_key_data",
            "protoPayload/request/subjectToken",
            "protoPayload/request/instance/metadata/items",
            "protoPayload/request/template/containers/env/value",
            "protoPayload/request/settings/rootPassword",
            "protoPayload/request/buildConfig/substitutions/_TOKEN",
            "protoPayload/response/privateKeyData",
            "protoPayload/response/accessToken",
            "protoPayload/response/signedJwt",
            "protoPayload/response/body",
            "protoPayload/metadata/request",
            "protoPayload/serviceData/jobInsertRequest/resource/jobConfiguration/query/query",
            "jsonPayload/message",
            "httpRequest/requestUrl",
            "textPayload",
        ],
        texts: &[
            "protoPayload/requestMetadata/callerSuppliedUserAgent",
            "protoPayload/status/message",
            "protoPayload/resourceName",
            "protoPayload/request/name",
            "protoPayload/authenticationInfo/principalSubject",
        ],
    },
    Template {
        format: "azure_activity",
        file: "azure_activity/events.ndjson",
        name: "activity",
        record: AZURE,
        closed: &[
            "properties/requestbody",
            "properties/responseBody",
            "properties/requestUri",
            "properties/keys/value",
            "properties/connectionString",
            "properties/siteConfig/appSettings/value",
            "properties/osProfile/customData",
            "properties/osProfile/adminPassword",
            "properties/log",
            "httpRequest/uri",
            "identity/claims/signin_state",
        ],
        texts: &["properties/userAgentHeader", "resultDescription", "caller"],
    },
    Template {
        format: "entra_signin",
        file: "entra_signin/events.ndjson",
        name: "sign-in",
        record: SIGNIN,
        closed: &[
            "properties/clientSecret",
            "properties/assertion",
            "properties/refreshToken",
            "properties/requestBody",
            "properties/authenticationDetails/0/other",
        ],
        texts: &[
            "properties/userAgent",
            "properties/status/failureReason",
            "properties/servicePrincipalName",
            "properties/appDisplayName",
            "properties/authenticationProcessingDetails/0/value",
        ],
    },
    Template {
        format: "entra_audit",
        file: "entra_audit/events.ndjson",
        name: "directory",
        record: DIRECTORY,
        closed: &[
            "properties/secretText",
            "properties/targetResources/0/passwordCredentials",
            "properties/targetResources/0/modifiedProperties/0/value",
            "properties/requestBody",
        ],
        texts: &[
            "properties/targetResources/0/modifiedProperties/0/newValue",
            "properties/targetResources/0/modifiedProperties/0/oldValue",
            "properties/additionalDetails/0/value",
            "properties/resultReason",
            "properties/targetResources/0/displayName",
            "properties/userAgent",
        ],
    },
    Template {
        format: "entra_identity_protection",
        file: "entra_identity_protection/events.ndjson",
        name: "risk",
        record: RISK,
        closed: &["properties/additionalInfo", "properties/evidence", "properties/leakedCredential"],
        texts: &["properties/appDisplayName", "properties/servicePrincipalDisplayName"],
    },
    Template {
        format: "m365_audit",
        file: "m365_audit/events.ndjson",
        name: "unified",
        record: M365,
        closed: &[
            "Parameters/0/Value",
            "ModifiedProperties/0/NewValue",
            "ModifiedProperties/0/OldValue",
            "ExtendedProperties/0/Value",
            "Item/Subject",
            "MessageBody",
            "Data",
            "CommandText",
            "PropertyCollection/0/Value",
        ],
        texts: &["ClientInfoString", "UserAgent", "LogonError", "ObjectId", "UserId"],
    },
];

/// Every place.
pub fn places() -> Vec<Place> {
    TEMPLATES.iter().flat_map(Template::places).collect()
}
