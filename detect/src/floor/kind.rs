//! Kinds of controllers: those whose names differ in numbers alone, such as one topic per line of a plant. Where many each command their own, one more with one
//! more is a device that was added, and not a master that nobody knows.

use keytrail_schemas::Micros;
use rustc_hash::FxHashMap;

use super::make_room;
use crate::{baseline::generalise::generalise, ledger::distinct::hash_of};

/// Kinds remembered; at the bound those that were heard of longest ago are forgotten.
const KINDS_MAX: usize = 4_096;
/// Commanders remembered per kind: the first ones, for it is asked whether there are some.
const KIN_MAX: usize = 16;
/// Who began within this speaks for nobody: several strangers of one day do not excuse each other.
const KNOWN: i64 = Micros::DAY;

/// Who changes something in controllers of one kind.
#[derive(Debug, Clone, PartialEq, serde::Serialize, serde::Deserialize)]
struct Kind {
    last: Micros,
    commanders: Vec<(u32, Micros)>,
}

/// The kinds of a partition.
#[derive(Debug, Clone, Default, serde::Serialize, serde::Deserialize)]
pub(super) struct Kinds {
    #[serde(with = "crate::sorted::map")]
    kinds: FxHashMap<u64, Kind>,
    #[serde(skip)]
    scratch: (String, String),
}

impl Kinds {
    /// `who` changed something in `controller`; returns how many others do, for a day or longer, in controllers of its kind.
    pub(super) fn meet(&mut self, who: u32, controller: &str, time: Micros) -> u32 {
        let (general, template) = &mut self.scratch;
        generalise(controller, general, template);
        let key = hash_of(template.as_str());
        make_room(&mut self.kinds, key, KINDS_MAX, |kind| kind.last);
        let kind = self.kinds.entry(key).or_insert_with(|| Kind { last: time, commanders: Vec::new() });
        kind.last = kind.last.max(time);
        if kind.commanders.len() < KIN_MAX && kind.commanders.iter().all(|(known, _)| *known != who) {
            kind.commanders.push((who, time));
        }
        let kin = kind.commanders.iter().filter(|(known, since)| *known != who && time.0 - since.0 >= KNOWN).count();
        u32::try_from(kin).unwrap_or(u32::MAX)
    }

    pub(super) fn forget(&mut self, who: u32) {
        self.kinds.values_mut().for_each(|kind| kind.commanders.retain(|(known, _)| *known != who));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn devices_of_a_kind_speak_for_one_more_and_strangers_of_one_day_do_not() {
        let mut kinds = Kinds::default();
        let at = |days: i64, hours: i64| Micros(days * Micros::DAY + hours * Micros::HOUR);
        for line in 0..10 {
            kinds.meet(line, &format!("mqtt:10.0.0.1:topic/plant/line{line}/pressure"), at(1, i64::from(line)));
        }
        assert_eq!(kinds.meet(90, "mqtt:10.0.0.1:topic/plant/line90/pressure", at(9, 0)), 10);
        assert_eq!(kinds.meet(91, "mqtt:10.0.0.1:topic/plant/line91/setpoint", at(9, 0)), 0, "another kind");
        for other in 92..110 {
            assert_eq!(kinds.meet(other, &format!("mqtt:10.0.0.1:topic/plant/line{other}/setpoint"), at(9, 1)), 0);
        }
        (0..10).for_each(|line| kinds.forget(line));
        assert_eq!(kinds.meet(99, "mqtt:10.0.0.1:topic/plant/line99/pressure", at(9, 1)), 0);
    }

    #[test]
    fn kinds_are_bounded() {
        let mut kinds = Kinds::default();
        for name in 0..KINDS_MAX + 10 {
            let name: String = format!("{name:05}").bytes().map(|digit| char::from(digit - b'0' + b'a')).collect();
            kinds.meet(1, &name, Micros(0));
        }
        assert!(kinds.kinds.len() <= KINDS_MAX);
    }
}
