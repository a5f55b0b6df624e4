//! ATT&CK in a rule's tags: the technique, and the tactic that it serves, for the chain that a finding tells.

use keytrail_schemas::Text;

/// Enterprise and ICS tactics (MITRE ATT&CK v17), as SigmaHQ writes them in tags.
const TACTICS: &[&str] = &[
    "reconnaissance",
    "resource-development",
    "initial-access",
    "execution",
    "persistence",
    "privilege-escalation",
    "defense-evasion",
    "credential-access",
    "discovery",
    "lateral-movement",
    "collection",
    "command-and-control",
    "exfiltration",
    "impact",
    "inhibit-response-function",
    "impair-process-control",
];

/// The tactic of techniques whose rules name none; of several, the one that a machine identity serves (MITRE ATT&CK v17).
const BY_TECHNIQUE: &[(&str, &str)] = &[
    ("T1021", "lateral-movement"),
    ("T1059", "execution"),
    ("T1069", "discovery"),
    ("T1078", "initial-access"),
    ("T1087", "discovery"),
    ("T1098", "persistence"),
    ("T1110", "credential-access"),
    ("T1136", "persistence"),
    ("T1190", "initial-access"),
    ("T1199", "initial-access"),
    ("T1485", "impact"),
    ("T1486", "impact"),
    ("T1490", "impact"),
    ("T1496", "impact"),
    ("T1526", "discovery"),
    ("T1528", "credential-access"),
    ("T1530", "collection"),
    ("T1537", "exfiltration"),
    ("T1548", "privilege-escalation"),
    ("T1550", "lateral-movement"),
    ("T1552", "credential-access"),
    ("T1555", "credential-access"),
    ("T1556", "credential-access"),
    ("T1557", "credential-access"),
    ("T1562", "defense-evasion"),
    ("T1578", "defense-evasion"),
    ("T1580", "discovery"),
    ("T1606", "credential-access"),
    ("T1484", "privilege-escalation"),
    ("T1648", "execution"),
    ("T1651", "execution"),
    ("T0836", "impair-process-control"),
    ("T0848", "initial-access"),
    ("T0855", "impair-process-control"),
];

/// The first technique among tags, such as `T1098.001`.
#[must_use]
pub fn technique(tags: &[Text]) -> Option<Text> {
    let number = tags.iter().find_map(|tag| tag.strip_prefix("attack.t").filter(|number| number.starts_with(|c: char| c.is_ascii_digit())))?;
    Some(format!("T{number}").into())
}

/// The first tactic among tags, or that of the technique.
#[must_use]
pub fn tactic(tags: &[Text]) -> Option<Text> {
    let named = tags.iter().find_map(|tag| {
        let word = tag.strip_prefix("attack.")?.replace('_', "-");
        TACTICS.contains(&word.as_str()).then(|| Text::from(word))
    });
    named.or_else(|| {
        let technique = technique(tags)?;
        let family = technique.split('.').next()?;
        BY_TECHNIQUE.iter().find(|(known, _)| *known == family).map(|(_, tactic)| Text::const_new(tactic))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tags_are_read() {
        let tags = |tags: &[&str]| tags.iter().copied().map(Text::from).collect::<Vec<_>>();
        let one = tags(&["nhi.2", "attack.t1098.001", "attack.persistence"]);
        assert_eq!((technique(&one).as_deref(), tactic(&one).as_deref()), (Some("T1098.001"), Some("persistence")));
        let named = tags(&["attack.defense_evasion", "attack.t1562.008"]);
        assert_eq!(tactic(&named).as_deref(), Some("defense-evasion"));
        let unnamed = tags(&["attack.t1530"]);
        assert_eq!(tactic(&unnamed).as_deref(), Some("collection"));
        assert_eq!((technique(&tags(&["nhi.5", "attack.tools"])), tactic(&tags(&["nhi.5"]))), (None, None));
    }

    #[test]
    fn every_fallback_is_a_tactic() {
        assert!(BY_TECHNIQUE.iter().all(|(_, tactic)| TACTICS.contains(tactic)));
    }
}
