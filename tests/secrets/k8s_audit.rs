//! Where secrets stand in Kubernetes audit events: request and response objects, the request's URI, and the texts that are kept.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};

use super::place::{Place, closed, kept, percent};

const FORMAT: &str = "k8s_audit";
const FILE: &str = "k8s_audit/audit.log";

fn event(n: u64, verb: &str, resource: &str, request: Value, response: Value) -> Value {
    json!({
        "kind": "Event", "apiVersion": "audit.k8s.io/v1", "level": "RequestResponse", "auditID": format!("{n:08x}-1111-4222-8333-444455556666"), "stage": "ResponseComplete",
        "requestURI": format!("/api/v1/namespaces/prod/{resource}/web"), "verb": verb,
        "user": {"username": format!("system:serviceaccount:prod:sa-{}", n % 30), "uid": "u", "groups": ["system:serviceaccounts"]},
        "sourceIPs": ["10.0.0.7"], "userAgent": "kubectl/v1.31",
        "objectRef": {"resource": resource, "namespace": "prod", "name": "web", "apiVersion": "v1"},
        "responseStatus": {"metadata": {}, "code": 200}, "requestObject": request, "responseObject": response,
        "requestReceivedTimestamp": format!("2026-03-02T{:02}:{:02}:{:02}.000000Z", n / 3600 % 24, n / 60 % 60, n % 60),
        "stageTimestamp": format!("2026-03-02T{:02}:{:02}:{:02}.100000Z", n / 3600 % 24, n / 60 % 60, n % 60),
        "annotations": {"authorization.k8s.io/decision": "allow"}
    })
}

fn request(name: &'static str, resource: &'static str, build: fn(&str) -> Value) -> Place {
    closed(FORMAT, FILE, name, move |s, n| event(n, "update", resource, build(s), Value::Null).to_string())
}

fn response(name: &'static str, resource: &'static str, build: fn(&str) -> Value) -> Place {
    closed(FORMAT, FILE, name, move |s, n| event(n, "get", resource, Value::Null, build(s)).to_string())
}

fn pod(container: Value) -> Value {
    json!({"kind": "Pod", "apiVersion": "v1", "metadata": {"name": "web"}, "spec": {"containers": [container], "serviceAccountName": "web"}})
}

/// An event whose user agent is a text.
pub fn agent(text: &str, n: u64) -> String {
    let mut event = event(n, "get", "pods", Value::Null, Value::Null);
    event["userAgent"] = json!(text);
    event.to_string()
}

/// Every place.
pub fn places() -> Vec<Place> {
    let mut all = objects();
    all.extend(addresses());
    let set = |path: &'static [&'static str]| {
        move |s: &str, n: u64| {
            let mut event = event(n, "get", "pods", Value::Null, Value::Null);
            let mut at = &mut event;
            for key in path {
                at = &mut at[*key];
            }
            *at = json!(s);
            event.to_string()
        }
    };
    all.extend(kept(FORMAT, FILE, "userAgent", set(&["userAgent"])));
    all.extend(kept(FORMAT, FILE, "username", set(&["user", "username"])));
    all.extend(kept(FORMAT, FILE, "object name", set(&["objectRef", "name"])));
    all.extend(kept(FORMAT, FILE, "status message", set(&["responseStatus", "message"])));
    all
}

fn objects() -> Vec<Place> {
    vec![
        request("Secret data", "secrets", |s| json!({"kind": "Secret", "metadata": {"name": "db"}, "data": {"any": STANDARD.encode(s)}})),
        request("Secret stringData", "secrets", |s| json!({"kind": "Secret", "metadata": {"name": "db"}, "stringData": {"any": s}})),
        response("Secret list", "secrets", |s| json!({"kind": "SecretList", "items": [{"metadata": {"name": "db"}, "data": {"any": STANDARD.encode(s)}}]})),
        response("registry auth in Secret", "secrets", |s| {
            let auth = json!({"auths": {"registry.example": {"auth": STANDARD.encode(format!("robot:{s}"))}}}).to_string();
            json!({"kind": "Secret", "type": "kubernetes.io/dockerconfigjson", "data": {".dockerconfigjson": STANDARD.encode(auth)}})
        }),
        request("Secret last applied", "secrets", |s| {
            let applied = json!({"kind": "Secret", "stringData": {"p": s}}).to_string();
            json!({"kind": "Secret", "metadata": {"annotations": {"kubectl.kubernetes.io/last-applied-configuration": applied}}})
        }),
        request("Secret JSON patch", "secrets", |s| json!([{"op": "replace", "path": "/data/p", "value": STANDARD.encode(s)}])),
        request("ConfigMap value", "configmaps", |s| json!({"kind": "ConfigMap", "metadata": {"name": "app"}, "data": {"mode": s}})),
        request(
            "ConfigMap line",
            "configmaps",
            |s| json!({"kind": "ConfigMap", "data": {"application.properties": format!("server.port=80\nspring.datasource.pw={s}\nlog=info\n")}}),
        ),
        request("ConfigMap binary", "configmaps", |s| json!({"kind": "ConfigMap", "binaryData": {"keystore": STANDARD.encode(s)}})),
        request(
            "ConfigMap kubeconfig",
            "configmaps",
            |s| json!({"kind": "ConfigMap", "data": {"config": format!("apiVersion: v1\nusers:\n- name: a\n  user:\n    token: {s}\n")}}),
        ),
        request("ConfigMap JSON", "configmaps", |s| json!({"kind": "ConfigMap", "data": {"config.json": json!({"smtp": {"pass": s}}).to_string()}})),
        request("pod environment", "pods", |s| {
            pod(json!({"name": "web", "image": "web:1", "env": [{"name": "LEVEL", "value": "info"}, {"name": "DB", "value": s}]}))
        }),
        request("pod args", "pods", |s| pod(json!({"name": "web", "args": ["--config", "/etc/app", s]}))),
        request("pod command", "pods", |s| pod(json!({"name": "web", "command": ["sh", "-c", format!("exec app '{s}'")]}))),
        request("init container", "pods", |s| json!({"kind": "Pod", "spec": {"initContainers": [{"name": "init", "env": [{"name": "X", "value": s}]}]}})),
        request("ephemeral container", "pods", |s| json!({"kind": "Pod", "spec": {"ephemeralContainers": [{"name": "debug", "command": ["mysql", s]}]}})),
        request("probe header", "pods", |s| {
            pod(json!({"name": "web", "livenessProbe": {"httpGet": {"path": "/", "port": 80, "httpHeaders": [{"name": "X-Probe", "value": s}]}}}))
        }),
        request("lifecycle hook", "pods", |s| pod(json!({"name": "web", "lifecycle": {"preStop": {"exec": {"command": ["notify", s]}}}}))),
        request(
            "deployment template",
            "deployments",
            |s| json!({"kind": "Deployment", "spec": {"template": {"spec": {"containers": [{"name": "web", "env": [{"name": "API", "value": s}]}]}}}}),
        ),
        request(
            "strategic merge patch",
            "deployments",
            |s| json!({"spec": {"template": {"spec": {"$setElementOrder/containers": [{"name": "web"}], "containers": [{"name": "web", "env": [{"name": "API", "value": s}]}]}}}}),
        ),
        request("deployment last applied", "deployments", |s| {
            let applied = json!({"kind": "Deployment", "spec": {"template": {"spec": {"containers": [{"env": [{"name": "A", "value": s}]}]}}}}).to_string();
            json!({"kind": "Deployment", "metadata": {"annotations": {"kubectl.kubernetes.io/last-applied-configuration": applied}}})
        }),
        request("annotation", "deployments", |s| json!({"kind": "Deployment", "metadata": {"annotations": {"example.org/note": s}}})),
        request("label", "deployments", |s| json!({"kind": "Deployment", "metadata": {"labels": {"note": s}}})),
        request(
            "cron job",
            "cronjobs",
            |s| json!({"kind": "CronJob", "spec": {"jobTemplate": {"spec": {"template": {"spec": {"containers": [{"args": ["backup", s]}]}}}}}}),
        ),
        request("service account token", "serviceaccounts", |s| json!({"kind": "TokenRequest", "spec": {"audiences": ["api"]}, "status": {"token": s}})),
        response(
            "TokenRequest status",
            "serviceaccounts",
            |s| json!({"kind": "TokenRequest", "status": {"token": s, "expirationTimestamp": "2026-03-02T01:00:00Z"}}),
        ),
        request("TokenReview", "tokenreviews", |s| json!({"kind": "TokenReview", "spec": {"token": s, "audiences": ["api"]}})),
        request(
            "CSR",
            "certificatesigningrequests",
            |s| json!({"kind": "CertificateSigningRequest", "spec": {"request": STANDARD.encode(s), "username": "node"}}),
        ),
        request(
            "webhook URL",
            "mutatingwebhookconfigurations",
            |s| json!({"kind": "MutatingWebhookConfiguration", "webhooks": [{"name": "w", "clientConfig": {"url": format!("https://hook.example.org/mutate?key={}", percent(s))}}]}),
        ),
        request("Helm release", "secrets", |s| {
            let release = super::broken::gzip(json!({"name": "web", "config": {"pw": s}}).to_string().as_bytes());
            json!({"kind": "Secret", "type": "helm.sh/release.v1", "data": {"release": STANDARD.encode(STANDARD.encode(release))}})
        }),
        request(
            "Argo application",
            "applications",
            |s| json!({"kind": "Application", "spec": {"source": {"helm": {"parameters": [{"name": "pw", "value": s}], "values": format!("a: 1\nb: {s}\n")}}}}),
        ),
        request("cert-manager issuer", "issuers", |s| json!({"kind": "Issuer", "spec": {"acme": {"solvers": [{"dns01": {"cloudflare": {"apiKey": s}}}]}}})),
        request("custom resource", "widgets", |s| json!({"kind": "Widget", "spec": {"deep": [{"er": [s]}]}})),
        request("storage class", "storageclasses", |s| json!({"kind": "StorageClass", "parameters": {"adminId": "a", "userKey": s}})),
        request(
            "persistent volume",
            "persistentvolumes",
            |s| json!({"kind": "PersistentVolume", "spec": {"cephfs": {"user": "a"}, "flexVolume": {"options": {"k": s}}, "csi": {"volumeAttributes": {"v": s}}}}),
        ),
        request("Event message", "events", |s| json!({"kind": "Event", "reason": "Failed", "message": format!("Error: exec \"login {s}\" failed")})),
        response("pod status", "pods", |s| json!({"kind": "Pod", "status": {"containerStatuses": [{"name": "web", "state": {"terminated": {"message": s}}}]}})),
        request("user extra", "pods", |s| json!({"extra": {"example.org/x": [s]}})),
    ]
}

fn addresses() -> Vec<Place> {
    let uri = |name: &'static str, build: fn(&str) -> String| {
        closed(FORMAT, FILE, name, move |s, n| {
            let mut event = event(n, "create", "pods", Value::Null, Value::Null);
            event["requestURI"] = json!(build(s));
            event["objectRef"]["subresource"] = json!("exec");
            event.to_string()
        })
    };
    vec![
        uri("exec query", |s| {
            format!("/api/v1/namespaces/prod/pods/web/exec?command=mysql&command=-u&command=root&command={}&container=web&stdout=true", percent(s))
        }),
        uri("exec shell", |s| format!("/api/v1/namespaces/prod/pods/web/exec?command=sh&command=-c&command={}&stdin=true", percent(&format!("login '{s}'")))),
        uri("proxy query", |s| format!("/api/v1/namespaces/prod/services/web:80/proxy/login?user=a&next={}", percent(s))),
        uri("label selector", |s| format!("/api/v1/namespaces/prod/pods?labelSelector={}&limit=500", percent(&format!("note={s}")))),
    ]
}
