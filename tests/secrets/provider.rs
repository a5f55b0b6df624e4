//! Where secrets stand in the logs of identity providers: assertions, refresh tokens, client secrets, bodies of requests, state and codes, debug data.

use super::place::Place;
use super::template::Template;

const OKTA: &str = r#"{"uuid":"{id}","published":"{time}","eventType":"app.oauth2.as.token.grant.access_token","severity":"INFO","actor":{"id":"0oaci","type":"PublicClientApp","alternateId":"0oaci","displayName":"ci"},
  "client":{"ipAddress":"203.0.113.30","userAgent":{"rawUserAgent":"python-requests/2.32"}},"outcome":{"result":"FAILURE","reason":"invalid_grant"},"authenticationContext":{"externalSessionId":"unknown"},
  "debugContext":{"debugData":{"requestUri":"/oauth2/v1/token"}},"transaction":{"type":"WEB","id":"t{n}","detail":{}},
  "target":[{"id":"AT.{n}","type":"access_token","displayName":"Access Token","detailEntry":{"subject":"0oaci"}}]}"#;

const AUTH0: &str = r#"{"log_id":"{n}","data":{"date":"{time}","type":"feccft","description":"Unauthorized","client_id":"cid1","client_name":"ci","ip":"203.0.113.50","user_agent":"curl","audience":"https://api.example.com",
  "hostname":"acme.eu.auth0.com","log_id":"{n}","details":{"request":{"method":"post","path":"/api/v2/clients/cid1/rotate-secret"},"body":{},"qs":{},"response":{}}}}"#;

const KEYCLOAK: &str = r#"{"id":"{id}","time":{millis},"type":"CLIENT_LOGIN","realmId":"r1","clientId":"app","userId":"u-b","sessionId":"s{n}","ipAddress":"192.0.2.10","details":{"grant_type":"client_credentials","username":"bob"}}"#;

const KEYCLOAK_ADMIN: &str = r#"{"id":"{id}","time":{millis},"realmId":"m1","operationType":"UPDATE","resourceType":"CLIENT","resourcePath":"clients/eb35842d","authDetails":{"realmId":"m1","clientId":"c1","userId":"admin-id","ipAddress":"203.0.113.22"},
  "representation":"{}"}"#;

const KEYCLOAK_LOG: &str =
    r#"{"timestamp":"{time}","sequence":{n},"loggerName":"org.keycloak.events","level":"WARN","hostName":"kc","message":"type=\"CLIENT_LOGIN_ERROR\""}"#;

const PING: &str = r#"{"id":"{id}","recordedAt":"{time}","actors":{"client":{"id":"adminui","type":"CLIENT"},"user":{"id":"u-ann","name":"ann@example.com","environment":{"id":"env-1"}}},"action":{"type":"SECRET.UPDATED"},
  "resources":[{"type":"APPLICATION","id":"app-1","environment":{"id":"env-1"}}],"result":{"status":"SUCCESS"}}"#;

const TEMPLATES: &[Template] = &[
    Template {
        format: "okta_system",
        file: "okta_system/events.ndjson",
        name: "system log",
        record: OKTA,
        closed: &[
            "debugContext/debugData/samlResponse",
            "debugContext/debugData/refreshToken",
            "debugContext/debugData/clientSecret",
            "debugContext/debugData/requestBody",
            "debugContext/debugData/changeDetails",
            "debugContext/debugData/oldValue",
            "transaction/detail/apiToken",
            "target/0/detailEntry/secret",
            "target/0/changeDetails/to",
            "client/headers",
        ],
        texts: &[
            "client/userAgent/rawUserAgent",
            "actor/displayName",
            "outcome/reason",
            "debugContext/debugData/requestUri",
            "debugContext/debugData/url",
            "target/0/displayName",
            "displayMessage",
        ],
    },
    Template {
        format: "auth0",
        file: "auth0/events.ndjson",
        name: "tenant log",
        record: AUTH0,
        closed: &[
            "data/details/request/body/client_secret",
            "data/details/request/body",
            "data/details/request/query/token",
            "data/details/request/auth/credentials/secret",
            "data/details/response/body",
            "data/details/response/body/client_secret",
            "data/details/body/password",
            "data/details/body/ticket",
            "data/details/qs/state",
            "data/details/qs/id_token_hint",
            "data/details/code",
            "data/details/error/payload/attributes",
            "data/details/prompts",
            "data/details/accessToken",
            "data/details/refreshToken",
            "data/details/samlResponse",
        ],
        texts: &["data/user_agent", "data/description", "data/details/error/message", "data/user_name", "data/client_name", "data/details/request/path"],
    },
    Template {
        format: "keycloak_events",
        file: "keycloak_events/user.ndjson",
        name: "event",
        record: KEYCLOAK,
        closed: &[
            "details/client_assertion",
            "details/code",
            "details/refresh_token",
            "details/credential",
            "details/saml_response",
            "details/login_hint",
            "details/updated_password",
        ],
        texts: &["details/username", "error", "details/redirect_uri", "details/reason", "clientId"],
    },
    Template {
        format: "keycloak_events",
        file: "keycloak_events/admin.ndjson",
        name: "admin event",
        record: KEYCLOAK_ADMIN,
        closed: &["representation", "details/secret"],
        texts: &["resourcePath", "error"],
    },
    Template {
        format: "keycloak_events",
        file: "keycloak_events/server.ndjson",
        name: "server log",
        record: KEYCLOAK_LOG,
        closed: &["exception", "mdc/token"],
        texts: &["message"],
    },
    Template {
        format: "ping_one",
        file: "ping_one/events.ndjson",
        name: "audit",
        record: PING,
        closed: &["resources/0/secret", "action/request", "result/details", "embedded/token"],
        texts: &["result/description", "action/description", "actors/user/name", "resources/0/name", "source/userAgent"],
    },
];

/// Every place.
pub fn places() -> Vec<Place> {
    TEMPLATES.iter().flat_map(Template::places).collect()
}
