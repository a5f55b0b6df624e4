//! Numbers of ranked lists: average precision and the area under the receiver operating characteristic, with ties counted as ties.

/// Scores with their truth, best first; equal scores stand together.
fn ranked(scores: &[f64], truth: &[bool]) -> Vec<(f64, bool)> {
    let mut pairs: Vec<_> = scores.iter().copied().zip(truth.iter().copied()).collect();
    pairs.sort_by(|a, b| b.0.total_cmp(&a.0));
    pairs
}

/// Average precision: the sum over thresholds of (recall gained) × (precision there). Items of one score enter together, so that the result
/// does not depend on their order (the definition of scikit-learn's `average_precision_score`).
pub fn average_precision(scores: &[f64], truth: &[bool]) -> f64 {
    let positives = truth.iter().filter(|t| **t).count();
    let (mut seen, mut right, mut sum) = (0, 0, 0.0);
    for group in ranked(scores, truth).chunk_by(|a, b| a.0 == b.0) {
        let gained = group.iter().filter(|(_, t)| *t).count();
        seen += group.len();
        right += gained;
        sum += gained as f64 * right as f64 / seen as f64;
    }
    if positives == 0 { 0.0 } else { sum / positives as f64 }
}

/// Area under the receiver operating characteristic: the probability that a random positive scores above a random negative, ties counting
/// half (Mann–Whitney).
pub fn area_under_curve(scores: &[f64], truth: &[bool]) -> f64 {
    let positives = truth.iter().filter(|t| **t).count();
    let negatives = truth.len() - positives;
    let (mut below, mut sum) = (negatives as f64, 0.0);
    for group in ranked(scores, truth).chunk_by(|a, b| a.0 == b.0) {
        let right = group.iter().filter(|(_, t)| *t).count() as f64;
        let wrong = group.len() as f64 - right;
        below -= wrong;
        sum += right * (below + wrong / 2.0);
    }
    if positives == 0 || negatives == 0 { 0.5 } else { sum / (positives as f64 * negatives as f64) }
}

/// The value below which a share of sorted values lies.
pub fn quantile(sorted: &[i64], share: f64) -> Option<i64> {
    let last = sorted.len().checked_sub(1)?;
    sorted.get((last as f64 * share).round() as usize).copied()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Read as _;

    #[test]
    fn small_lists_by_hand() {
        // scikit-learn's own example: 0.8333…; and with ties, where the order must not matter.
        let truth = [false, false, true, true];
        assert!((average_precision(&[0.1, 0.4, 0.35, 0.8], &truth) - 5.0 / 6.0).abs() < 1e-12);
        assert!((area_under_curve(&[0.1, 0.4, 0.35, 0.8], &truth) - 0.75).abs() < 1e-12);
        assert!((average_precision(&[1.0; 4], &truth) - 0.5).abs() < 1e-12);
        assert!((area_under_curve(&[1.0; 4], &truth) - 0.5).abs() < 1e-12);
        assert_eq!((average_precision(&[], &[]), area_under_curve(&[1.0], &[true])), (0.0, 0.5));
        assert_eq!((quantile(&[], 0.5), quantile(&[1, 2, 9], 0.5), quantile(&[1, 2, 9], 0.9)), (None, Some(2), Some(9)));
    }

    /// Scores and labels of one seed of published models; the publication gives the means over ten seeds.
    #[test]
    fn the_published_answers_come_out() {
        let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../shared/data/lanl/known-answer");
        if !folder.exists() {
            println!("not checked against published answers: {} is not there", folder.display());
            return;
        }
        for (name, area, precision) in [("res_HPF_none_none_0.json.gz", 0.923, 0.160), ("res_PTF_none_0.json.gz", 0.904, 0.038)] {
            let mut text = String::new();
            flate2::read::GzDecoder::new(std::fs::File::open(folder.join(name)).unwrap()).read_to_string(&mut text).unwrap();
            let value: serde_json::Value = serde_json::from_str(&text).unwrap();
            let scores: Vec<f64> = value["scores"].as_array().unwrap().iter().map(|v| v.as_f64().unwrap()).collect();
            let truth: Vec<bool> = value["labels"].as_array().unwrap().iter().map(|v| v.as_i64() == Some(1)).collect();
            let (auc, ap) = (area_under_curve(&scores, &truth), average_precision(&scores, &truth));
            println!("{name}: {} pairs, AUC {auc:.4} (published mean {area}), AP {ap:.4} (published mean {precision})", scores.len());
            assert!((auc - area).abs() < AREA_SPREAD && (ap - precision).abs() < PRECISION_SPREAD, "{name}: {auc} {ap}");
        }
    }

    /// How far one seed may lie from the mean over ten.
    const AREA_SPREAD: f64 = 0.01;
    const PRECISION_SPREAD: f64 = 0.04;
}
