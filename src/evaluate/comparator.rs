//! Detectors to compare with, each as simple as a detector can be, fed with the events in order of time. Each gives one alert for an
//! identity's hour that shows anything, with a score by which its alerts are ranked; none of them knows a credential.

use std::collections::{HashMap, HashSet};

use keytrail_schemas::Micros;

use super::Alert;
use super::alert::of_hour;

/// The week for which `EdgeBank` with a window remembers an edge.
const WINDOW: i64 = 7 * Micros::DAY;
/// What a static rule calls many, in an hour of one identity: events, failures, destinations. Round numbers as in the examples of vendors'
/// rules; an alert's score is how often the largest of them is exceeded.
const MANY: [f64; 3] = [500.0, 10.0, 20.0];

/// What of an event the comparators look at.
#[derive(Debug, Clone, Copy)]
pub struct Seen<'a> {
    /// When.
    pub time: Micros,
    /// Who.
    pub identity: &'a str,
    /// What was touched; nothing for logins and the like.
    pub destination: Option<&'a str>,
    /// Whether it succeeded.
    pub succeeded: bool,
}

#[derive(Debug, Default)]
struct Hour {
    hour: i64,
    events: f64,
    failures: f64,
    destinations: HashSet<u32>,
    new_edges: f64,
    forgotten_edges: f64,
}

/// The comparators, over one pass.
#[derive(Debug, Default)]
pub struct Comparators {
    names: HashMap<String, u32>,
    edges: HashMap<(u32, u32), i64>,
    hours: HashMap<u32, Hour>,
    texts: Vec<String>,
    windows: u64,
    alerts: [Vec<Alert>; 3],
}

/// Their names: every edge never seen (Tsuda et al. call it the edge-novelty rule; it is `EdgeBank` with unlimited memory), every edge not
/// seen within a week (`EdgeBank` with a time window: Poursafaei et al., Towards better evaluation for dynamic link prediction, `NeurIPS` 2022),
/// and static thresholds.
pub const NAMES: [&str; 3] = ["new edge (EdgeBank, unlimited)", "EdgeBank, seven days", "static thresholds"];

impl Comparators {
    fn number(&mut self, text: &str) -> u32 {
        if let Some(number) = self.names.get(text) {
            return *number;
        }
        let number = u32::try_from(self.texts.len()).unwrap_or(u32::MAX);
        self.names.insert(text.to_owned(), number);
        self.texts.push(text.to_owned());
        number
    }

    /// The next event.
    pub fn see(&mut self, seen: &Seen<'_>) {
        let who = self.number(seen.identity);
        let hour = seen.time.0.div_euclid(Micros::HOUR);
        let slot = self.hours.entry(who).or_insert_with(|| Hour { hour, ..Hour::default() });
        if slot.hour < hour {
            let closed = std::mem::replace(slot, Hour { hour, ..Hour::default() });
            self.close(who, &closed);
        }
        let edge = seen.destination.map(|destination| (who, self.number(destination)));
        let before = edge.and_then(|edge| self.edges.insert(edge, seen.time.0));
        let Some(slot) = self.hours.get_mut(&who) else { return };
        slot.events += 1.0;
        slot.failures += f64::from(u8::from(!seen.succeeded));
        let Some((_, destination)) = edge else { return };
        slot.destinations.insert(destination);
        match before {
            None => {
                slot.new_edges += 1.0;
                slot.forgotten_edges += 1.0;
            }
            Some(last) if seen.time.0 - last > WINDOW => slot.forgotten_edges += 1.0,
            Some(_) => {}
        }
    }

    fn close(&mut self, who: u32, hour: &Hour) {
        self.windows += 1;
        let [events, failures, destinations] = MANY;
        let many = (hour.events / events).max(hour.failures / failures).max(hour.destinations.len() as f64 / destinations);
        let scores = [hour.new_edges, hour.forgotten_edges, if many > 1.0 { many } else { 0.0 }];
        let Some(identity) = self.texts.get(who as usize) else { return };
        for ((alerts, name), score) in self.alerts.iter_mut().zip(NAMES).zip(scores) {
            if score > 0.0 {
                alerts.push(of_hour(name, identity, Micros(hour.hour * Micros::HOUR), score));
            }
        }
    }

    /// Every comparator's alerts, and how many hours of identities there were.
    pub fn finish(mut self) -> ([Vec<Alert>; 3], u64) {
        let mut open: Vec<_> = std::mem::take(&mut self.hours).into_iter().collect();
        open.sort_by_key(|(who, _)| *who);
        for (who, hour) in open {
            self.close(who, &hour);
        }
        (self.alerts, self.windows)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_alerts_on_what_it_knows() {
        let mut comparators = Comparators::default();
        let mut see = |hours: i64, destination: &str, succeeded: bool| {
            comparators.see(&Seen { time: Micros(hours * Micros::HOUR), identity: "a", destination: Some(destination), succeeded });
        };
        see(0, "x", true);
        see(1, "x", true);
        see(1, "y", true);
        for _ in 0..11 {
            see(2, "x", false);
        }
        see(24 * 9, "x", true);
        let ([new, forgotten, thresholds], windows) = comparators.finish();
        let hours = |alerts: &[Alert]| alerts.iter().map(|a| (a.time.0 / Micros::HOUR, a.score.unwrap())).collect::<Vec<_>>();
        assert_eq!(hours(&new), [(0, 1.0), (1, 1.0)]);
        assert_eq!(hours(&forgotten), [(0, 1.0), (1, 1.0), (216, 1.0)]);
        assert_eq!(hours(&thresholds), [(2, 1.1)]);
        assert_eq!(windows, 4);
    }
}
