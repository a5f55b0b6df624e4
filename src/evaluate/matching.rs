//! Whether an alert tells of an attack.

use keytrail_schemas::Micros;

use super::{Alert, Decoy, Label, Part};

/// How far outside of an attack's records an alert's evidence may lie: baselines judge whole hours.
pub const SLACK: i64 = Micros::HOUR;

fn overlaps(part: &Part, start: Micros, end: Micros) -> bool {
    part.first.0 <= end.0 + SLACK && part.last.0 >= start.0 - SLACK
}

/// When an alert first told of an attack: its earliest part that names one of the attack's identities, overlaps it by [`SLACK`], and was not
/// there before it (what is old and goes on tells nothing new); where a label names no identity, its earliest part with one of its events.
pub fn told(alert: &Alert, label: &Label) -> Option<Micros> {
    if label.identities.is_empty() {
        return told_with_evidence(alert, label);
    }
    let parts = alert.parts.iter().filter(|part| overlaps(part, label.start, label.end) && part.time.0 >= label.start.0 - SLACK);
    let first = parts.map(|part| part.time).min()?;
    names(alert, label).then_some(first)
}

/// The same, of parts whose evidence holds one of the attack's own events.
pub fn told_with_evidence(alert: &Alert, label: &Label) -> Option<Micros> {
    let parts = alert.parts.iter().filter(|part| part.event_ids.iter().any(|id| label.event_ids.contains(id)));
    parts.map(|part| part.time.max(label.start)).min()
}

/// Whether an alert names one of an attack's identities.
pub fn names(alert: &Alert, label: &Label) -> bool {
    label.identities.iter().any(|who| alert.identities.iter().any(|id| is_same(who, id)))
}

/// Whether an alert falls on benign commotion.
pub fn falls_on(alert: &Alert, decoy: &Decoy) -> bool {
    alert.parts.iter().any(|part| overlaps(part, decoy.start, decoy.end))
        && (decoy.identities.is_empty() || decoy.identities.iter().any(|who| alert.identities.iter().any(|id| is_same(who, id))))
}

/// Whether a label's identity and an alert's are one: equal, or equal but for the cluster, broker or issuer, which some logs do not
/// name and a collector's configuration supplies; a bare address is the same as any identity that is made from it.
fn is_same(label: &str, alert: &str) -> bool {
    if label == alert {
        return true;
    }
    let word = |id: &str| id.split(':').next().unwrap_or_default().to_owned();
    let tail = |id: &str| match word(id).as_str() {
        "k8s" | "vault" | "mqtt" => id.rsplit(':').next().map(str::to_owned),
        "x509" => id.split_once('/').map(|(_, subject)| subject.to_owned()),
        _ => None,
    };
    if word(label) == word(alert) && tail(label).is_some() && tail(label) == tail(alert) {
        return true;
    }
    label.parse::<std::net::IpAddr>().is_ok() && alert.split([':', '/', '@']).any(|part| part == label)
}

/// Why an attack was missed, as far as the alerts tell.
pub fn why_missed(label: &Label, alerts: &[Alert]) -> String {
    let nearest = alerts.iter().filter(|alert| names(alert, label)).min_by_key(|alert| (alert.time.0 - label.start.0).abs());
    match nearest {
        None => String::from("nothing names this identity at any time"),
        Some(alert) if alert.time < label.start => format!("\"{}\" was already open {} before", alert.title, span(label.start.0 - alert.time.0)),
        Some(alert) => format!("the nearest, \"{}\", came {} later", alert.title, span(alert.time.0 - label.start.0)),
    }
}

/// A span of time in one unit: `0 s`, `14 min`, `3.2 h`, `6.1 d`.
pub fn span(micros: i64) -> String {
    let (value, unit) = match micros {
        ..Micros::MINUTE => return format!("{} s", micros / Micros::SECOND),
        Micros::MINUTE..Micros::HOUR => return format!("{} min", micros / Micros::MINUTE),
        Micros::HOUR..Micros::DAY => (Micros::HOUR, "h"),
        _ => (Micros::DAY, "d"),
    };
    format!("{:.1} {unit}", micros as f64 / value as f64)
}

#[cfg(test)]
mod tests {
    use super::is_same;

    #[test]
    fn identities_are_one_whatever_the_collector_calls_the_cluster_and_no_further() {
        assert!(is_same("k8s:prod-eks:sa/orders/api", "k8s:cluster-1:sa/orders/api"));
        assert!(!is_same("k8s:prod-eks:sa/orders/api", "k8s:prod-eks:sa/payments/api"));
        assert!(!is_same("aws:1:user/a", "aws:2:user/a"));
        assert!(is_same("x509:CN=CA/CN=a,O=b", "x509:0badc0de/CN=a,O=b"));
        assert!(!is_same("vault:v:approle/a", "k8s:v:approle/a"));
        assert!(is_same("10.61.0.9", "modbus:10.61.0.9"));
        assert!(!is_same("10.61.0.9", "modbus:10.61.0.90"));
    }
}
