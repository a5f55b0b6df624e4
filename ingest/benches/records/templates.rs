//! Records of the other formats, as they are written, with what differs from one to the next in braces.

/// Format, file name, record.
pub const TEMPLATES: &[(&str, &str, &str)] = &[
    (
        "auth0",
        "",
        r#"{"log_id":"90020260301{n8}","data":{"date":"{time}","type":"seccft","description":"","client_id":"cid{n200}","client_name":"svc-{n200}","ip":"203.0.113.{n250}","user_agent":"python-requests/2.32","audience":"https://api.example.com","scope":"read:orders write:orders","strategy":"jwt","strategy_type":"oauth2","hostname":"acme.eu.auth0.com","tenant_name":"acme","environment_name":"prod-eu-1","details":{"request":{"method":"post","path":"/oauth/token","ip":"203.0.113.{n250}","auth":{"strategy":"client_credentials"}},"response":{"statusCode":200,"body":{"token_type":"Bearer","expires_in":86400}}},"isMobile":false,"log_id":"90020260301{n8}"}}"#,
    ),
    (
        "azure_activity",
        "",
        r#"{"time":"{time}","resourceId":"/SUBSCRIPTIONS/22222222-2222-2222-2222-222222222222/RESOURCEGROUPS/PROD-{n40}/PROVIDERS/MICROSOFT.STORAGE/STORAGEACCOUNTS/INVOICES{n40}","operationName":"MICROSOFT.STORAGE/STORAGEACCOUNTS/LISTKEYS/ACTION","category":"Administrative","resultType":"Success","resultSignature":"Succeeded.OK","durationMs":12,"callerIpAddress":"203.0.113.{n250}","correlationId":"{id}","level":"Information","identity":{"authorization":{"scope":"/subscriptions/22222222-2222-2222-2222-222222222222/resourceGroups/prod-{n40}","action":"Microsoft.Storage/storageAccounts/listKeys/action","evidence":{"role":"Contributor","principalId":"bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb","principalType":"ServicePrincipal"}},"claims":{"aud":"https://management.azure.com/","iss":"https://sts.windows.net/11111111-1111-1111-1111-111111111111/","iat":"1772362800","nbf":"1772362800","exp":"1772366400","appid":"{n200}aaaaaa-aaaa-aaaa-aaaa-aaaaaaaaaaaa","appidacr":"1","uti":"dG9r{n8}","idtyp":"app","ver":"1.0","http://schemas.microsoft.com/identity/claims/tenantid":"11111111-1111-1111-1111-111111111111","http://schemas.microsoft.com/identity/claims/objectidentifier":"bbbbbbbb-bbbb-bbbb-bbbb-{n8}bbbb"}},"properties":{"eventCategory":"Administrative","entity":"/subscriptions/22222222-2222-2222-2222-222222222222/resourceGroups/prod-{n40}","message":"Microsoft.Storage/storageAccounts/listKeys/action","hierarchy":"11111111-1111-1111-1111-111111111111/22222222-2222-2222-2222-222222222222"}}"#,
    ),
    (
        "cyberark",
        "",
        r#"{"format":"elastic","version":"1.0","syslog":{"audit_record":{"Rfc5424":"yes","Timestamp":"Mar 01 21:00:00","IsoTimestamp":"{time}","Hostname":"VAULT","Vendor":"Cyber-Ark","Product":"Vault","Version":"12.6.0000","MessageID":"24","Desc":"CPM Change Password","Severity":"Info","Issuer":"PasswordManager","Action":"CPM Change Password","SourceUser":"","TargetUser":"","Safe":"Prod-{n40}","File":"Root\\db-orders-{n8}","Station":"10.0.1.{n250}","Location":"","Category":"","RequestId":"","Reason":"","ExtraDetails":"","Message":"CPM Change Password","GatewayStation":""}}}"#,
    ),
    (
        "entra_audit",
        "",
        r#"{"time":"{time}","resourceId":"/tenants/11111111-1111-1111-1111-111111111111/providers/Microsoft.aadiam","category":"AuditLogs","operationName":"Update application – Certificates and secrets management ","operationVersion":"1.0","tenantId":"11111111-1111-1111-1111-111111111111","resultSignature":"None","durationMs":0,"correlationId":"{id}","Level":4,"properties":{"id":"Directory_{n8}","category":"ApplicationManagement","correlationId":"{id}","activityDateTime":"{time}","activityDisplayName":"Update application – Certificates and secrets management ","result":"success","resultReason":"","loggedByService":"Core Directory","operationType":"Update","initiatedBy":{"user":{"id":"f","displayName":null,"userPrincipalName":"ann{n40}@example.com","ipAddress":"203.0.113.{n250}","roles":[]}},"targetResources":[{"id":"obj-{n200}","displayName":"svc-{n200}","type":"Application","modifiedProperties":[{"displayName":"KeyDescription","oldValue":"[]","newValue":"[\"[KeyIdentifier=99999999-9999-9999-9999-{n8}9999,KeyType=Password,KeyUsage=Verify,DisplayName=new]\"]"}]}],"additionalDetails":[{"key":"User-Agent","value":"Mozilla/5.0"},{"key":"AppId","value":"{n200}aaaaaa-aaaa-aaaa-aaaa-aaaaaaaaaaaa"}]}}"#,
    ),
    (
        "github_audit",
        "",
        r#"{"@timestamp":{millis},"_document_id":"g{n8}Q","action":"git.clone","actor":"svc-{n200}[bot]","actor_id":{n200},"actor_is_bot":true,"actor_ip":"203.0.113.{n250}","actor_location":{"country_code":"DE"},"business":"acme","business_id":7,"org":"acme","org_id":42,"repo":"acme/app-{n40}","repository":"acme/app-{n40}","repository_public":false,"programmatic_access_type":"GitHub App server-to-server token","token_id":{n200},"hashed_token":"uZ3l0wAbCdEfGhIjKlMnOpQrStUvWxYz0123{n8}=","transport_protocol":1,"transport_protocol_name":"http","user_agent":"git/2.45","created_at":{millis}}"#,
    ),
    (
        "gitlab_audit",
        "",
        r#"{"id":"{id}","author_id":{n200},"author_name":"project_{n200}_bot_0a1b","entity_id":{n40},"entity_type":"Project","entity_path":"acme/app-{n40}","event_type":"project_access_token_rotated","target_id":5,"target_type":"PersonalAccessToken","target_details":"deploy","ip_address":"203.0.113.{n250}","created_at":"{time}","details":{"expires_at":"2027-03-01T00:00:00Z"}}"#,
    ),
    (
        "keycloak_events",
        "",
        r#"{"timestamp":"{time}","sequence":{n},"loggerClassName":"org.jboss.logging.Logger","loggerName":"org.keycloak.events","level":"INFO","message":"type=\"CLIENT_LOGIN\", realmId=\"r1\", realmName=\"machines\", clientId=\"svc-{n200}\", userId=\"u-{n200}\", sessionId=\"{id}\", ipAddress=\"203.0.113.{n250}\", token_id=\"onrtcc:{id}\", grant_type=\"client_credentials\", refresh_token_type=\"Refresh\", scope=\"profile email\", client_auth_method=\"client-secret\", username=\"service-account-svc-{n200}\"","threadName":"executor-thread-1","threadId":57,"hostName":"kc","processName":"quarkus-run.jar","processId":1}"#,
    ),
    (
        "m365_audit",
        "",
        r#"{"Id":"{id}","CreationTime":"{time}","Operation":"FileDownloaded","OrganizationId":"11111111-1111-1111-1111-111111111111","RecordType":6,"UserType":5,"UserKey":"i:0h.f|membership|{n200}@live.com","UserId":"app{n200}@sharepoint","AppId":"{n200}aaaaaa-aaaa-aaaa-aaaa-aaaaaaaaaaaa","Workload":"SharePoint","ClientIP":"203.0.113.{n250}","ResultStatus":"Succeeded","ObjectId":"https://acme.sharepoint.com/sites/s{n40}/Shared Documents/report-{n8}.xlsx","SiteUrl":"https://acme.sharepoint.com/sites/s{n40}/","SourceFileName":"report-{n8}.xlsx","SourceFileExtension":"xlsx","ItemType":"File","EventSource":"SharePoint","UserAgent":"python-requests/2.32","Version":1,"AppAccessContext":{"AADSessionId":"{id}","UniqueTokenId":"dG9r{n8}"}}"#,
    ),
    (
        "ocsf",
        "",
        r#"{"class_uid":3002,"category_uid":3,"category_name":"Identity & Access Management","class_name":"Authentication","activity_id":1,"activity_name":"Logon","type_uid":300201,"type_name":"Authentication: Logon","time":{millis},"severity_id":1,"severity":"Informational","status":"Success","status_id":1,"metadata":{"version":"1.1.0","uid":"{id}","product":{"name":"CloudTrail","vendor_name":"AWS","feature":{"name":"Management, Data, and Insights"}},"profiles":["cloud","datetime"]},"cloud":{"provider":"AWS","region":"eu-west-1","account":{"uid":"111122223333"}},"actor":{"user":{"type":"AssumedRole","uid":"arn:aws:sts::111122223333:assumed-role/svc-{n200}/run-{n8}","credential_uid":"ASIA{n8}EXAMPLE","account":{"uid":"111122223333"}},"session":{"created_time":1772400000000,"issuer":"arn:aws:iam::111122223333:role/svc-{n200}"}},"api":{"operation":"AssumeRole","version":null,"service":{"name":"sts.amazonaws.com"},"request":{"uid":"{id}"}},"http_request":{"user_agent":"aws-sdk-go-v2/1.32.3 os/linux lang/go#1.23.1"},"src_endpoint":{"ip":"203.0.113.{n250}"}}"#,
    ),
    (
        "okta_system",
        "",
        r#"{"uuid":"{id}","published":"{time}","eventType":"app.oauth2.as.token.grant.access_token","version":"0","severity":"INFO","displayMessage":"OAuth2 access token is granted","actor":{"id":"0oa{n200}","type":"PublicClientApp","alternateId":"0oa{n200}","displayName":"svc-{n200}","detailEntry":null},"client":{"userAgent":{"rawUserAgent":"python-requests/2.32","os":"Unknown","browser":"UNKNOWN"},"zone":"null","device":"Unknown","id":null,"ipAddress":"203.0.113.{n250}","geographicalContext":{"city":"Berlin","state":"Land Berlin","country":"Germany","postalCode":"10115","geolocation":{"lat":52.5,"lon":13.4}}},"device":null,"authenticationContext":{"authenticationProvider":null,"credentialProvider":null,"credentialType":null,"issuer":null,"interface":null,"authenticationStep":0,"externalSessionId":"unknown"},"outcome":{"result":"SUCCESS","reason":null},"securityContext":{"asNumber":64500,"asOrg":"example","isp":"example","domain":"example.net","isProxy":false},"debugContext":{"debugData":{"requestId":"{id}","dtHash":"{id}","requestUri":"/oauth2/default/v1/token","threatSuspected":"false","grantType":"client_credentials","url":"/oauth2/default/v1/token?"}},"transaction":{"type":"WEB","id":"{id}","detail":{}},"request":{"ipChain":[{"ip":"203.0.113.{n250}","geographicalContext":{"city":"Berlin","country":"Germany"},"version":"V4","source":null}]},"target":[{"id":"AT.{n8}","type":"access_token","alternateId":null,"displayName":"Access Token","detailEntry":{"expires":"2026-11-22T13:00:00.000Z","subject":"0oa{n200}","hash":""}}]}"#,
    ),
    (
        "otlp_genai",
        "",
        r#"{"resourceSpans":[{"resource":{"attributes":[{"key":"service.name","value":{"stringValue":"triage-{n40}"}},{"key":"service.version","value":{"stringValue":"2.0.1"}},{"key":"service.instance.id","value":{"stringValue":"triage-5d9f"}},{"key":"service.namespace","value":{"stringValue":"support"}}]},"scopeSpans":[{"scope":{"name":"agents"},"spans":[{"traceId":"4bf92f3577b34da6a3ce929d{n8}","spanId":"00000000{n8}","name":"execute_tool close_ticket","kind":1,"startTimeUnixNano":"{millis}000000","endTimeUnixNano":"{millis}500000","attributes":[{"key":"gen_ai.operation.name","value":{"stringValue":"execute_tool"}},{"key":"gen_ai.agent.name","value":{"stringValue":"triage-{n40}"}},{"key":"gen_ai.tool.name","value":{"stringValue":"close_ticket"}},{"key":"gen_ai.tool.call.id","value":{"stringValue":"call_{n8}"}},{"key":"gen_ai.tool.call.arguments","value":{"stringValue":"{\"id\":{n},\"note\":\"the customer has what they asked for, and the ticket can be closed now\"}"}}],"status":{}}]}]}]}"#,
    ),
    (
        "ping_one",
        "",
        r#"{"_links":{"self":{"href":"https://api.pingone.com/v1/environments/env-1/activities/{id}"}},"id":"{id}","recordedAt":"{time}","createdAt":"{time}","correlationId":"{id}","internalCorrelation":{"transactionId":"{id}","sessionId":"{id}"},"actors":{"client":{"id":"worker-{n200}","name":"worker-{n200}","type":"CLIENT","environment":{"id":"env-1"}}},"source":{"userAgent":"python-requests/2.32","ipAddress":"203.0.113.{n250}"},"action":{"type":"USER.UPDATED","description":"User Updated"},"resources":[{"type":"USER","id":"{id}","name":"user-{n8}","environment":{"id":"env-1"},"population":{"id":"pop-1"}}],"result":{"status":"SUCCESS","description":"Updated user"}}"#,
    ),
    (
        "snowflake",
        "",
        r#"{"EVENT_ID":{n},"EVENT_TIMESTAMP":"{time}","EVENT_TYPE":"LOGIN","USER_NAME":"SVC_{n200}","CLIENT_IP":"203.0.113.{n250}","REPORTED_CLIENT_TYPE":"PYTHON_DRIVER","REPORTED_CLIENT_VERSION":"3.12.3","FIRST_AUTHENTICATION_FACTOR":"RSA_KEYPAIR","SECOND_AUTHENTICATION_FACTOR":null,"IS_SUCCESS":"YES","ERROR_CODE":null,"ERROR_MESSAGE":null,"RELATED_EVENT_ID":0,"CONNECTION":null}"#,
    ),
    (
        "spire",
        "",
        r#"{"authorized_as":"agent","authorized_via":"datastore","caller_addr":"10.0.0.{n250}:5000","caller_id":"spiffe://example.org/spire/agent/join_token/{n200}","csr":"aa11{n8}","entry_id":"{id}","expires_at":1795352400,"level":"info","method":"BatchNewX509SVID","msg":"API accessed","request_id":"{id}","service":"svid.v1.SVID","spiffe_id":"spiffe://example.org/web-{n200}","status":"success","subsystem_name":"api","time":"{time}","type":"audit"}"#,
    ),
    (
        "step_ca",
        "",
        r#"{"certificate":"MIIBszCCAVmgAwIBAgIQ{n8}wCgYIKoZIzj0EAwIwHDEaMBgGA1UEAxMRRXhhbXBsZSBJbnRlcm1lZGlhdGU","duration":"23ms","duration-ns":23000000,"fields.time":"{time}","issuer":"Example Intermediate CA","level":"info","method":"POST","msg":"","name":"ca","path":"/1.0/renew","protocol":"HTTP/2.0","provisioner":"ci (kid-1)","public-key":"ECDSA P-256","referer":"","remote-address":"10.0.0.{n250}:4000","request-id":"{id}","serial":"{n}","size":3101,"status":201,"subject":"web-{n200}.example.org","time":"{time}","user-agent":"step","user-id":"","valid-from":"2026-11-22T11:59:02Z","valid-to":"2026-11-23T12:00:02Z"}"#,
    ),
    (
        "teleport_audit",
        "",
        r#"{"ei":0,"event":"db.session.start","uid":"{id}","code":"TDB00I","time":"{time}","cluster_name":"acme","user":"bot-ci-{n200}","user_kind":2,"sid":"{id}","server_id":"s{n40}","db_service":"pg-prod","db_uri":"pg-{n40}.internal:5432","db_name":"orders","db_user":"reader","db_protocol":"postgres","namespace":"default","success":true,"addr.remote":"203.0.113.{n250}:1"}"#,
    ),
    (
        "windows_security",
        "",
        r##"{"Event":{"#attributes":{"xmlns":"http://schemas.microsoft.com/win/2004/08/events/event"},"System":{"Provider":{"#attributes":{"Name":"Microsoft-Windows-Security-Auditing","Guid":"54849625-5478-4994-A5BA-3E3B0328C30D"}},"EventID":4624,"Version":2,"Level":0,"Task":12544,"Opcode":0,"Keywords":"0x8020000000000000","TimeCreated":{"#attributes":{"SystemTime":"{time}"}},"EventRecordID":{n},"Channel":"Security","Computer":"SQL{n40}.corp.example.org"},"EventData":{"SubjectUserSid":"S-1-0-0","SubjectUserName":"-","SubjectDomainName":"-","SubjectLogonId":"0x0","TargetUserSid":"S-1-5-21-1-2-3-{n200}","TargetUserName":"svc-{n200}","TargetDomainName":"CORP","TargetLogonId":"0x{n8}","LogonType":3,"LogonProcessName":"Kerberos","AuthenticationPackageName":"Kerberos","WorkstationName":"-","LogonGuid":"{0A1B2C3D-0000-4000-8000-0000{n8}}","TransmittedServices":"-","LmPackageName":"-","KeyLength":0,"ProcessId":"0x0","ProcessName":"-","IpAddress":"10.0.0.{n250}","IpPort":"50000","ImpersonationLevel":"%%1833","ElevatedToken":"%%1842"}}}"##,
    ),
    (
        "sshd",
        "auth.log",
        "{time} web-{n40} sshd[{n}]: Accepted publickey for svc-{n200} from 10.0.0.{n250} port 50122 ssh2: ED25519 SHA256:N4kO1QJk8m0b1yHkq3Yw5b8m7XJ3i0P2r1s4t6{n200}",
    ),
    ("sshd/failures", "auth.log", "{time} web-{n40} sshd[{n}]: Failed password for invalid user admin{n200} from 203.0.113.{n250} port 4001 ssh2"),
    (
        "auditd",
        "audit.log",
        r#"type=USER_LOGIN msg=audit(17953{n5}.500:{n}): pid=11 uid=0 auid=1000 ses=7 msg='op=login id=1000 exe="/usr/sbin/sshd" hostname=bastion.example.org addr=10.0.0.{n250} terminal=/dev/pts/0 res=success'"#,
    ),
    ("mosquitto", "mosquitto.log", "{secs}: New client connected from 10.0.0.{n250}:50001 as meter-{n200} (p2, c1, k60, u'meters')."),
    ("freeradius", "radius.log", "Sun Nov 22 12:00:01 2026 : Auth: ({n}) Login OK: [svc-{n200}] (from client ap-1 port 3 cli 02-00-00-00-00-{n250})"),
];

/// The record of this number.
pub fn filled(template: &str, n: u64) -> String {
    let secs = 1_772_409_600 + n;
    template
        .replace("{n8}", &format!("{n:08}"))
        .replace("{n5}", &format!("{:05}", 10_000 + n % 80_000))
        .replace("{n200}", &(n % 200).to_string())
        .replace("{n40}", &(n % 40).to_string())
        .replace("{n250}", &(n % 250).to_string())
        .replace("{id}", &format!("{n:08x}-aaaa-4bbb-8ccc-dddddddddddd"))
        .replace("{time}", &format!("2026-11-22T{:02}:{:02}:{:02}.{:03}Z", n / 3_600 % 24, n / 60 % 60, n % 60, n % 1_000))
        .replace("{millis}", &(secs * 1_000).to_string())
        .replace("{secs}", &secs.to_string())
        .replace("{n}", &n.to_string())
}
