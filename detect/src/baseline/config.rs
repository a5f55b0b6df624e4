//! Bounds and thresholds, each with what happens at it.

use super::aspect::Aspect;

/// Bounds and thresholds of the baselines of one partition.
#[derive(Debug, Clone, PartialEq, serde::Serialize, serde::Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Config {
    /// Judgements a day that the operator can read: statistical findings, people who act as machines, absences. Facts are not among them.
    pub findings_per_day: f64,
    /// For each judgement that is read, how many windows may be kept as signs: detections that can be searched, and that add up.
    pub signs_per_finding: f64,
    /// No window counts as a finding above this calibrated probability, however few windows there are: a budget is a ceiling, not a
    /// quota.
    pub finding_p_value_max: f64,
    /// Aspects of behaviour that are not judged, by name (`destination`, `schedule`, …): for an estate that cannot tell one of them, and to see what each
    /// brings. What is left is calibrated by itself.
    pub aspects_off: Vec<Aspect>,
    /// Below this many learned windows an identity is `learning`.
    pub learning_windows: u32,
    /// How far behind the latest time events may be and still be taken into their window: a window closes when the watermark has
    /// passed its end by this much.
    pub lateness_allowed_minutes: u32,
    /// Kinds of privileged act remembered per identity. At the bound the one that counts for least is forgotten.
    pub habits_max: usize,
    /// Days after which a day on which an identity did a privileged act counts for half.
    pub habit_half_life_days: f32,
    /// A privileged act is a routine of who did the like on this many days before, not counting those long ago.
    pub routine_days_min: f32,
    /// An act of a class is a routine of who did acts of that class, to whatever, on this many days before.
    pub profession_days_min: f32,
    /// Values remembered per identity and facet. At the bound the value met longest ago is forgotten.
    pub seen_values_max: usize,
    /// New values remembered per window. At the bound further ones count as events only.
    pub window_news_max: usize,
    /// Generalised values known to the partition. At the bound the eighth that was met longest ago is forgotten.
    pub values_max: usize,
    /// Raw names remembered per facet as aliases of generalised values. At the bound the quarter that was met longest ago is
    /// resolved anew when it is met again.
    pub aliases_max: usize,
    /// Longest name that is compared, in bytes. What follows is cut.
    pub name_bytes_max: usize,
    /// Peer groups. At the bound new ones fall into one group per provider and kind of identity, and at twice the bound into one.
    pub groups_max: usize,
    /// Destinations with an audience. At the bound the eighth that was met longest ago is forgotten.
    pub audiences_max: usize,
    /// Visitors that are remembered exactly per destination; beyond that a Bloom filter of 2,048 bits.
    pub visitors_max: usize,
    /// Causes that are watched for being shared by many identities. At the bound the oldest is dropped.
    pub incidents_max: usize,
    /// Identities that make an incident of a shared cause.
    pub incident_members_min: u32,
    /// Hours after its first member during which others join an incident.
    pub incident_hours: u32,
    /// Sources watched for silence. At the bound further ones are not watched.
    pub sources_max: usize,
    /// Least evidence, −log10 p, of an absence that is reported.
    pub absence_evidence_min: f64,
    /// Silences that are due within this many minutes of each other are one outage.
    pub absence_coalesce_minutes: u32,
    /// Hours within which a new network and an old one overlap.
    pub overlap_hours: u32,
    /// Minutes during which an old network may go on after a move.
    pub overlap_grace_minutes: u32,
}

impl Config {
    /// Windows a day that are signs.
    #[must_use]
    pub fn signs_per_day(&self) -> f64 {
        self.findings_per_day * self.signs_per_finding
    }
}

impl Default for Config {
    fn default() -> Self {
        Self {
            findings_per_day: 3.0,
            signs_per_finding: 8.0,
            finding_p_value_max: 0.01,
            aspects_off: Vec::new(),
            learning_windows: 8,
            lateness_allowed_minutes: 20,
            habits_max: 32,
            habit_half_life_days: 28.0,
            routine_days_min: 2.0,
            profession_days_min: 4.0,
            seen_values_max: 512,
            window_news_max: 256,
            values_max: 500_000,
            aliases_max: 200_000,
            name_bytes_max: 512,
            groups_max: 2_048,
            audiences_max: 100_000,
            visitors_max: 64,
            incidents_max: 4_096,
            incident_members_min: 5,
            incident_hours: 24,
            sources_max: 1_024,
            absence_evidence_min: 2.0,
            absence_coalesce_minutes: 10,
            overlap_hours: 24,
            overlap_grace_minutes: 10,
        }
    }
}
