//! The known word nearest to one that is not known, for messages that help.

/// The word of `known` that takes the fewest edits to become `word`, if they are few enough for it to be meant.
pub(crate) fn nearest<'k>(word: &str, known: impl IntoIterator<Item = &'k str>) -> Option<&'k str> {
    let word: String = word.chars().take(64).collect();
    let (edits, best) = known.into_iter().map(|k| (edits(&word.to_lowercase(), &k.to_lowercase()), k)).min_by_key(|(edits, _)| *edits)?;
    (edits <= 1 + word.len() / 4).then_some(best)
}

/// Insertions, deletions, replacements and swaps of neighbours (optimal string alignment) from `a` to `b`.
fn edits(a: &str, b: &str) -> usize {
    let (a, b): (Vec<char>, Vec<char>) = (a.chars().collect(), b.chars().collect());
    let mut before: Vec<usize> = Vec::new();
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, ca) in a.iter().enumerate() {
        let mut next = vec![i + 1];
        for (j, cb) in b.iter().enumerate() {
            let at = |row: &[usize], j: usize| row.get(j).copied().unwrap_or(usize::MAX / 2);
            let mut cost = (at(&row, j) + usize::from(ca != cb)).min(at(&row, j + 1) + 1).min(at(&next, j) + 1);
            if i > 0 && j > 0 && a.get(i - 1) == Some(cb) && b.get(j - 1) == Some(ca) {
                cost = cost.min(at(&before, j - 1) + 1);
            }
            next.push(cost);
        }
        before = std::mem::replace(&mut row, next);
    }
    row.last().copied().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::nearest;

    #[test]
    fn slips_are_understood_and_other_words_are_not() {
        let known = ["cloudtrail", "k8s_audit", "vault_audit", "zeek"];
        assert_eq!(nearest("cloud-trail", known), Some("cloudtrail"));
        assert_eq!(nearest("CloudTrial", known), Some("cloudtrail"));
        assert_eq!(nearest("k8s-audit", known), Some("k8s_audit"));
        assert_eq!(nearest("zek", known), Some("zeek"));
        assert_eq!(nearest("syslog", known), None);
        assert_eq!(nearest("", known), None);
    }
}
