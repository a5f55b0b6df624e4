//! What a rule is about, from the fields that it asks: the act, the destination, the network or the client. Two matches that differ in it
//! are two detections.

use keytrail_schemas::FindingKind;
use rsigma_eval::{CompiledDetection, CompiledRule};

use super::{observation::field, source::Meta};

/// The parts of an event that tell causes apart.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, serde::Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Cause {
    /// What was done.
    pub action: bool,
    /// What was touched.
    pub destination: bool,
    /// From which address.
    pub source: bool,
    /// With which client.
    pub client: bool,
}

impl Cause {
    /// Of a detection: as its rule says, or as its fields tell.
    #[must_use]
    pub fn of(rule: &CompiledRule, meta: &Meta) -> Self {
        if let Some(cause) = meta.cause {
            return cause;
        }
        let mut cause = Self::default();
        if meta.posture {
            return cause;
        }
        let statistical = meta.kind != FindingKind::Policy;
        for detection in rule.detections.values() {
            each_field(detection, &mut |name| match name {
                name if name.starts_with("baseline.destination") && !name.ends_with("_in_window") || name == "baseline.audience" => {
                    cause.destination |= statistical;
                }
                name if name.starts_with("baseline.action") => cause.action |= statistical,
                name if name.starts_with("baseline.network") || name.starts_with("baseline.country") => cause.source |= statistical,
                name if name.starts_with("baseline.user_agent") => cause.client |= statistical,
                // Rules over raw records have fields of their own, and are about acts.
                name => cause.action |= !statistical && (name.starts_with("action") || field(name).is_none()),
            });
        }
        cause
    }
}

fn each_field(detection: &CompiledDetection, see: &mut impl FnMut(&str)) {
    match detection {
        CompiledDetection::AllOf(items) => items.iter().filter_map(|item| item.field.as_deref()).for_each(see),
        CompiledDetection::AnyOf(parts) | CompiledDetection::And(parts) => parts.iter().for_each(|part| each_field(part, see)),
        CompiledDetection::ArrayMatch { field, .. } => see(field),
        CompiledDetection::Keywords(_) | CompiledDetection::Conditional { .. } => {}
    }
}
