//! Findings that the lake may not hold yet, as the findings topic has them, and the detections that came with them.

use std::collections::{HashMap, VecDeque};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use arrow::error::ArrowError;
use keytrail_schemas::{Detection, Finding, Table as _};
use rustc_hash::FxHashSet;

use super::Overlay;

/// Findings that may lie over the lake. Where there are more, as while nobody stores, the oldest give way: they are seen once the lake has them.
const FINDINGS_MAX: usize = 2_000;

/// See the module.
#[derive(Debug, Default)]
pub(super) struct Told {
    kept: Mutex<Kept>,
    /// Rises with each change.
    version: AtomicU64,
    built: Mutex<Option<(u64, [Arc<Overlay>; 2])>>,
}

#[derive(Debug, Default)]
struct Kept {
    /// In the order in which they were told, each with its detections.
    findings: VecDeque<Finding>,
    /// Per partition, below which offset the lake was last said to hold all.
    stored: HashMap<i32, i64>,
}

impl Told {
    fn kept(&self) -> MutexGuard<'_, Kept> {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn version(&self) -> u64 {
        self.version.load(Ordering::Acquire)
    }

    pub(super) fn is_empty(&self) -> bool {
        self.kept().findings.is_empty()
    }

    pub(super) fn put(&self, findings: Vec<Finding>) {
        if findings.is_empty() {
            return;
        }
        let mut kept = self.kept();
        kept.findings.extend(findings);
        let many = kept.findings.len().saturating_sub(FINDINGS_MAX);
        kept.findings.drain(..many);
        drop(kept);
        self.version.fetch_add(1, Ordering::AcqRel);
    }

    pub(super) fn stored(&self, partition: i32, before: i64) {
        let mut kept = self.kept();
        let Some(last) = kept.stored.insert(partition, before) else { return };
        let many = kept.findings.len();
        kept.findings.retain(|finding| finding.log_partition != partition || finding.log_offset >= last);
        if kept.findings.len() < many {
            self.version.fetch_add(1, Ordering::AcqRel);
        }
    }

    /// What lies over findings, and what over detections; `None` where nothing does.
    pub(super) fn overlays(&self) -> Result<Option<[Arc<Overlay>; 2]>, ArrowError> {
        let mut built = self.built.lock().unwrap_or_else(PoisonError::into_inner);
        let version = self.version();
        if version == 0 {
            return Ok(None);
        }
        let overlays = match &*built {
            Some((known, overlays)) if *known == version => overlays.clone(),
            _ => {
                let overlays = self.build()?;
                *built = Some((version, overlays.clone()));
                overlays
            }
        };
        let [findings, detections] = &overlays;
        Ok((findings.rows.num_rows() + detections.rows.num_rows() > 0).then_some(overlays))
    }

    fn build(&self) -> Result<[Arc<Overlay>; 2], ArrowError> {
        let kept = self.kept();
        let (mut findings, mut detections): (Vec<&Finding>, Vec<&Detection>) = (Vec::new(), Vec::new());
        let (mut found, mut detected) = (FxHashSet::default(), FxHashSet::default());
        for finding in &kept.findings {
            if !finding.below_line && found.insert((finding.log_partition, finding.finding_id.clone(), finding.revision)) {
                findings.push(finding);
            }
            // The others were written by an earlier record.
            for detection in finding.detections.iter().filter(|detection| detection.log_offset == finding.log_offset) {
                if detected.insert((detection.log_partition, detection.detection_id.clone(), detection.revision)) {
                    detections.push(detection);
                }
            }
        }
        Ok([
            Arc::new(Overlay { rows: Finding::to_batch(findings.iter().copied())?, keys: found }),
            Arc::new(Overlay { rows: Detection::to_batch(detections.iter().copied())?, keys: detected }),
        ])
    }
}

#[cfg(test)]
mod tests {
    use keytrail_schemas::Text;

    use super::*;

    fn finding(id: &str, partition: i32, log_offset: i64) -> Finding {
        let detection = |id: &str, log_offset| Detection { detection_id: Text::from(id), log_partition: partition, log_offset, ..Detection::default() };
        Finding {
            finding_id: Text::from(id),
            log_partition: partition,
            log_offset,
            detections: vec![detection("old", 1), detection(&format!("of {id}"), log_offset)],
            ..Finding::default()
        }
    }

    fn rows(told: &Told) -> [usize; 2] {
        told.overlays().unwrap().map_or([0, 0], |overlays| overlays.map(|overlay| overlay.rows.num_rows()))
    }

    #[test]
    fn what_was_told_is_laid_over_once_and_goes_a_turn_after_it_was_stored() {
        let told = Told::default();
        assert_eq!(rows(&told), [0, 0]);
        told.put(vec![finding("a", 0, 10), finding("b", 0, 20), finding("a", 0, 10), finding("c", 1, 5)]);
        told.put(vec![Finding { below_line: true, ..finding("d", 0, 30) }]);
        assert_eq!(rows(&told), [3, 4], "a record that comes twice is one, and one below the line is no finding");
        let [findings, detections] = told.overlays().unwrap().unwrap();
        assert!(findings.covers("a", 0, 0) && !findings.covers("a", 1, 0) && !findings.covers("a", 0, 1) && detections.covers("of d", 0, 0));
        told.stored(0, 20);
        assert_eq!(rows(&told), [3, 4], "who asked before still looks at the lake as it was");
        told.stored(0, 40);
        assert_eq!(rows(&told), [2, 3]);
        told.stored(0, 40);
        assert_eq!(rows(&told), [1, 1]);
        assert!(!told.is_empty());
    }

    #[test]
    fn the_oldest_give_way() {
        let told = Told::default();
        told.put((0..FINDINGS_MAX as i64 + 7).map(|number| finding(&number.to_string(), 0, number)).collect());
        let [findings, _] = told.overlays().unwrap().unwrap();
        assert!(findings.rows.num_rows() == FINDINGS_MAX && !findings.covers("6", 0, 0) && findings.covers("7", 0, 0));
    }
}
