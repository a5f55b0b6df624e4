//! Kubernetes API server audit events (`audit.k8s.io/v1` and its betas), alone, in an `EventList`, in CloudWatch and Azure
//! envelopes, and in the form that GKE gives them in Cloud Audit Logs.
//!
//! Source: Kubernetes documentation, "Auditing" and "kube-apiserver Audit Configuration (v1)".
//!
//! Stages: an audit event is written once per stage of its request. `ResponseComplete` and `Panic` yield events, and so does `ResponseStarted` of
//! a request that stays open (`exec`, `attach`, `port-forward`, `log`, `proxy`), because the end of it may be hours away; its `ResponseComplete`
//! has the same event id and is dropped as a duplicate. `RequestReceived`, which says nothing of the outcome, and `ResponseStarted` of a
//! watch are control records. So a policy that omits the stage `ResponseComplete` leaves nothing to read, except for events without any stage, which are taken as complete.

use keytrail_schemas::Text;

use super::envelope::{self, Envelope, Opening};
use super::{Context, Disposition, Draft, Format, Framing, Parser, Reject};
use crate::json::{Reader, Value};
use crate::redact::Redactor;

mod credential;
mod event;
mod gke;
mod identity;
mod object;
mod request;

use request::Request;

const NAME: &str = "k8s_audit";

/// The format.
#[derive(Debug, Clone, Copy)]
pub struct K8sAudit;

impl Format for K8sAudit {
    fn name(&self) -> &'static str {
        NAME
    }

    fn framing(&self) -> Framing {
        Framing::Json
    }

    fn envelopes(&self) -> &'static [&'static str] {
        // Not logEvents: the envelope of CloudWatch names the cluster, so it must come whole.
        &["items", "records", "Records"]
    }

    fn sniff(&self, sample: &[u8]) -> u8 {
        let has = |needle: &str| memchr::memmem::find(sample, needle.as_bytes()).is_some();
        let mut reader = Reader::default();
        match reader.parse(sample) {
            Ok(doc) => sniff_value(doc.root(), 0),
            Err(_) if has("audit.k8s.io/") && has("\"auditID\"") => 60,
            Err(_) => 0,
        }
    }

    fn sniff_value(&self, value: Value<'_>) -> u8 {
        sniff_value(value, 0)
    }

    fn parser(&self, context: &Context) -> Box<dyn Parser> {
        Box::new(K8sAuditParser { reader: Reader::new(context.depth_max), cluster: context.cluster.clone(), redactor: context.redactor.clone() })
    }
}

fn sniff_value(value: Value<'_>, nesting: u8) -> u8 {
    if is_record(value) {
        let native = value.get("apiVersion").and_then(Value::as_str).is_some_and(|v| v.starts_with("audit.k8s.io/"));
        return if native { 100 } else { 85 };
    }
    if nesting >= envelope::NESTING_MAX {
        return 0;
    }
    match envelope::open(value, is_record) {
        Envelope::Within(inner) => sniff_value(inner, nesting + 1),
        Envelope::Texts(texts) => {
            let mut reader = Reader::default();
            texts.first().and_then(|text| reader.parse(text.as_bytes()).ok().map(|doc| sniff_value(doc.root(), nesting + 1))).unwrap_or(0)
        }
        Envelope::None | Envelope::Empty => 0,
    }
}

/// Whether this is an audit event and no envelope.
fn is_record(value: Value<'_>) -> bool {
    let text = |key: &str| value.get(key).and_then(Value::as_str);
    let native = text("kind") == Some("Event")
        && (text("apiVersion").is_some_and(|v| v.starts_with("audit.k8s.io/"))
            || value.get("auditID").is_some()
            || (value.get("verb").is_some() && (value.get("user").is_some() || value.get("objectRef").is_some())));
    native || gke::is_record(value)
}

struct K8sAuditParser {
    reader: Reader,
    cluster: Text,
    redactor: Redactor,
}

impl Parser for K8sAuditParser {
    fn record(&mut self, record: &[u8], line: u64, out: &mut Vec<Draft>) -> Result<Disposition, Reject> {
        let cluster = self.cluster.clone();
        let mut opening = Opening::new(out, line);
        self.unwrap(record, &mut opening, &cluster, 0)?;
        Ok(opening.end())
    }

    fn shed(&mut self) {
        self.reader.shed();
    }
}

impl K8sAuditParser {
    /// Opens envelopes, `nesting` of which were opened before, and reads the events within.
    fn unwrap(&mut self, record: &[u8], opening: &mut Opening<'_>, cluster: &Text, nesting: u8) -> Result<(), Reject> {
        let (texts, cluster) = {
            let doc = self.reader.parse(record)?;
            let root = doc.root();
            if !root.is_object() && !root.is_array() {
                return Err(Reject::malformed("", "a Kubernetes audit event is a JSON object"));
            }
            let texts = match envelope::open(root, is_record) {
                Envelope::Texts(texts) => texts,
                Envelope::Within(inner) => vec![inner.to_json()],
                Envelope::Empty => return Ok(()),
                Envelope::None => {
                    let Some(request) = Request::read(root, cluster)? else { return Ok(()) };
                    let raw = super::text_of(record).into_owned();
                    return event::of(&request, &self.redactor, raw, opening.line, opening.out);
                }
            };
            if nesting >= envelope::NESTING_MAX {
                return Err(Reject::malformed("", "envelopes are nested too deep"));
            }
            (texts, cluster_of_envelope(root).unwrap_or_else(|| cluster.clone()))
        };
        opening.each(&texts, |text, opening| self.unwrap(text.as_bytes(), opening, &cluster, nesting + 1))
    }
}

/// The cluster that an envelope names: in the resource id of Azure, in the log group of EKS.
fn cluster_of_envelope(envelope: Value<'_>) -> Option<Text> {
    let azure = || {
        let id = envelope.str_at(&["resourceId"])?.to_lowercase();
        Some(Text::from(id.split_once("/managedclusters/")?.1.split('/').next()?))
    };
    let eks = || Some(Text::from(envelope.str_at(&["logGroup"])?.strip_prefix("/aws/eks/")?.split('/').next()?));
    azure().or_else(eks).filter(|cluster| !cluster.is_empty())
}
