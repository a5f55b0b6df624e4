//! The detector: ledger, baselines, inventory, rules and findings of one partition, and the time that the log has reached.

use std::{cell::OnceCell, hint::black_box, sync::Arc};

use keytrail_schemas::{Activity, CredentialRecord, Event, Finding, Hash32, IdentityRecord, LogRecord, Micros};

use crate::{
    Config, Error, IdentityIx,
    action::{self, Classed},
    baseline::{self, Absence, Baseline, Peeked, Subject},
    floor::{self, Floor},
    fold::{Fold, Surroundings},
    inventory::Inventory,
    kept::State,
    ledger::{self, Ledger, Likely, Observed},
    rule::{Evaluator, Groups, Hit, Rules, observation::Observation, window::Windows},
    shape::{self, PerShape, Shape, Shapes},
};

/// Records that are looked ahead at together.
const AHEAD: usize = 16;

/// What was found when an event was looked at ahead.
#[derive(Debug, Clone, Copy, Default)]
struct Ahead {
    likely: Likely,
    destination: Option<Peeked>,
    shape: Option<Shape>,
}

/// Looks at the texts of an event that may lie elsewhere.
#[inline]
fn touch(event: &Event) -> u32 {
    let raw = event.raw.as_deref().map_or(0, |raw| raw.as_bytes().first().copied().unwrap_or_default());
    [&event.action, &event.user_agent, &event.source_ip, &event.environment, &event.auth_method]
        .into_iter()
        .flatten()
        .fold(u32::from(raw), |all, text| all ^ u32::from(text.as_bytes().first().copied().unwrap_or_default()))
}

/// State of one partition. It does no I/O, reads no clock and draws no random numbers: the same records in the same order give the
/// same findings.
pub struct Detector {
    config: Config,
    state: State,
    evaluator: Evaluator,
    /// Of the rules in force.
    windows: Windows,
    shapes: Shapes,
    classes: PerShape<Classed>,
    hits: Vec<Hit>,
    absences: Vec<Absence>,
    forgotten: Vec<IdentityIx>,
    nothing: baseline::Features,
}

/// The watermark, and the times that would move it far.
#[derive(Debug, Clone, Default, serde::Serialize, serde::Deserialize)]
pub(crate) struct Clock {
    watermark: Option<Micros>,
    leaps: Vec<Micros>,
}

impl Clock {
    /// Takes an event's time. A leap far ahead counts only once others agree.
    fn take(&mut self, time: Micros, config: &Config) {
        match self.watermark {
            Some(watermark) if time.0 - watermark.0 > config.leap_allowed_s.saturating_mul(Micros::SECOND) => {
                self.leaps.push(time);
                if self.leaps.len() > config.leap_confirmations as usize {
                    self.watermark = self.leaps.iter().min().copied();
                    self.leaps.clear();
                }
            }
            known => self.watermark = known.max(Some(time)),
        }
    }

    /// Takes a collector's clock.
    fn tick(&mut self, time: Micros) {
        self.watermark = self.watermark.max(Some(time));
        self.leaps.retain(|leap| *leap > time);
    }
}

impl Detector {
    /// A detector that has seen nothing.
    #[must_use]
    pub fn new(partition: i32, config: Config, rules: Arc<Rules>) -> Self {
        let state = State {
            partition,
            next_offset: 0,
            rules: Hash32::default(),
            clock: Clock::default(),
            ledger: Ledger::new(config.ledger.clone()),
            baseline: Baseline::new(config.baseline.clone()),
            floor: Floor::default(),
            inventory: Inventory::default(),
            groups: Groups::default(),
            fold: Fold::new(config.fold.clone()),
        };
        Self::with(state, config, rules)
    }

    /// A detector as it was when `bytes` were made by [`Detector::snapshot`]; configuration and rules may have changed since.
    ///
    /// # Errors
    /// [`Error`] when the bytes are no snapshot, of another version, or damaged.
    pub fn restore(bytes: &[u8], config: Config, rules: Arc<Rules>) -> Result<Self, Error> {
        State::unpack(bytes, &config).map(|state| Self::with(state, config, rules))
    }

    fn with(state: State, config: Config, rules: Arc<Rules>) -> Self {
        let windows = rules.windows().clone();
        let evaluator = Evaluator::new(rules, config.correlation_groups_max, config.correlation_events_max);
        Self {
            config,
            state,
            evaluator,
            windows,
            shapes: Shapes::default(),
            classes: PerShape::default(),
            hits: Vec::new(),
            absences: Vec::new(),
            forgotten: Vec::new(),
            nothing: baseline::Features { p_value: 1.0, ..baseline::Features::default() },
        }
    }

    /// Takes the record at `offset` and appends the findings that it causes. A record below [`Detector::next_offset`] was taken
    /// before, and is left out.
    pub fn observe(&mut self, offset: i64, record: &LogRecord, out: &mut Vec<Finding>) {
        self.observe_with(offset, record, None, out);
    }

    /// Takes consecutive records, the first of them at `offset`: what [`Detector::observe`] does with each, faster. What the records will ask for is looked
    /// at for some of them together, so that memory is not waited for once for each of them.
    pub fn observe_all(&mut self, offset: i64, records: &[LogRecord], out: &mut Vec<Finding>) {
        let mut at = offset;
        for records in records.chunks(AHEAD) {
            let ahead = self.look_ahead(records);
            for (record, ahead) in records.iter().zip(ahead) {
                self.observe_likely(at, record, ahead, None, out);
                at += 1;
            }
        }
    }

    /// Where what the records name probably is; it has been looked at by then.
    fn look_ahead(&mut self, records: &[LogRecord]) -> [Ahead; AHEAD] {
        let mut ahead = [Ahead::default(); AHEAD];
        let mut shaped = [shape::Likely::default(); AHEAD];
        let Self { state: State { ledger, baseline, .. }, shapes, classes, evaluator, .. } = self;
        shapes.begin();
        for ((ahead, shaped), record) in ahead.iter_mut().zip(&mut shaped).zip(records) {
            if let LogRecord::Event(event) = record {
                ahead.likely = ledger.probe(event);
                *shaped = shapes.probe(event);
                ahead.destination = baseline.peek(event);
                black_box(touch(event) ^ baseline.touch_source(event));
            }
        }
        for (Ahead { likely, .. }, shaped) in ahead.iter().zip(&shaped) {
            black_box(shapes.touch(*shaped));
            if let Some(who) = likely.identity {
                black_box(ledger.touch(*likely, false) ^ u64::from(baseline.touch(who, false)));
            }
        }
        for (Ahead { likely, shape, .. }, shaped) in ahead.iter_mut().zip(shaped) {
            *shape = shapes.find(shaped);
            if let Some(shape) = *shape {
                black_box((classes.get(shape).is_some(), baseline.touch_shape(shape), evaluator.touch(shape)));
            }
            if let Some(who) = likely.identity {
                black_box(ledger.touch(*likely, true) ^ u64::from(baseline.touch(who, true)));
            }
        }
        ahead
    }

    /// The hash of the rules in force, as given last; zeros for those that it began with.
    #[must_use]
    pub const fn rules_in_force(&self) -> Hash32 {
        self.state.rules
    }

    /// Judges by other rules from here on; and after a restore, when [`Detector::rules_in_force`] are not those that it was restored with.
    pub fn judge_by(&mut self, hash: Hash32, rules: Arc<Rules>) {
        self.state.rules = hash;
        self.windows = rules.windows().clone();
        self.evaluator = Evaluator::new(rules, self.config.correlation_groups_max, self.config.correlation_events_max);
    }

    /// The next offset to read.
    #[must_use]
    pub const fn next_offset(&self) -> i64 {
        self.state.next_offset
    }

    /// The partition that it is the detector of.
    #[must_use]
    pub const fn partition(&self) -> i32 {
        self.state.partition
    }

    /// The latest time that the log has reached; 1970 before the first record.
    #[must_use]
    pub fn watermark(&self) -> Micros {
        self.state.clock.watermark.unwrap_or_default()
    }

    /// Declarations that were refused because they could not be read.
    #[must_use]
    pub const fn declarations_refused(&self) -> u64 {
        self.state.inventory.refused()
    }

    /// Findings that are open.
    #[must_use]
    pub fn findings_open(&self) -> usize {
        self.state.fold.open()
    }

    /// The state as self-contained, checksummed bytes: equal for equal state.
    #[must_use]
    pub fn snapshot(&self) -> Vec<u8> {
        self.state.pack()
    }

    /// Every credential as of the watermark, sorted by id.
    #[must_use]
    pub fn credentials(&self) -> Vec<CredentialRecord> {
        self.state.ledger.credentials(self.watermark(), self.state.partition)
    }

    /// How many credentials and identities the ledger holds.
    #[must_use]
    pub fn known(&self) -> (usize, usize) {
        self.state.ledger.known()
    }

    /// Every identity as of the watermark, sorted by id.
    #[must_use]
    pub fn identities(&self) -> Vec<IdentityRecord> {
        self.described(self.state.ledger.identities(self.watermark(), self.state.partition))
    }

    /// The credentials and identities that may have changed since it was last asked, in no order, as of the watermark; the first time none.
    /// What the ledger forgot meanwhile is not among them.
    pub fn take_changed(&mut self) -> (Vec<CredentialRecord>, Vec<IdentityRecord>) {
        let (credentials, identities) = self.state.ledger.take_changed(self.watermark(), self.state.partition);
        (credentials, self.described(identities))
    }

    /// The rows, with what the inventory and the baseline know.
    fn described(&self, mut rows: Vec<(IdentityIx, IdentityRecord)>) -> Vec<IdentityRecord> {
        for (who, row) in &mut rows {
            let (owner, environment) = self.state.inventory.owner_and_environment(&row.identity);
            row.owner = owner.cloned();
            row.environment = environment.cloned();
            row.windows = i64::try_from(self.state.baseline.windows(*who)).unwrap_or(i64::MAX);
        }
        rows.into_iter().map(|(_, row)| row).collect()
    }

    /// As [`Detector::observe`], with the baseline's answer given by a rule's test.
    pub(crate) fn observe_with(&mut self, offset: i64, record: &LogRecord, given: Option<baseline::Features>, out: &mut Vec<Finding>) {
        self.observe_likely(offset, record, Ahead::default(), given, out);
    }

    fn observe_likely(&mut self, offset: i64, record: &LogRecord, ahead: Ahead, given: Option<baseline::Features>, out: &mut Vec<Finding>) {
        if offset < self.state.next_offset {
            return;
        }
        self.state.next_offset = offset + 1;
        let first = out.len();
        let before = self.state.clock.watermark;
        match record {
            LogRecord::Tick { time } => self.state.clock.tick(*time),
            LogRecord::Event(event) => self.state.clock.take(event.time, &self.config),
            // Whoever reads the log has given the rules before: see `judge_by`.
            LogRecord::Rules { .. } | LogRecord::Gap => {}
        }
        if self.state.clock.watermark != before {
            self.advance(out);
        }
        if let LogRecord::Event(event) = record {
            self.event(event, ahead, given, out);
        }
        for (finding, index) in out.get_mut(first..).unwrap_or_default().iter_mut().zip(0..) {
            finding.log_partition = self.state.partition;
            finding.log_offset = offset;
            finding.rule_index = index;
        }
    }

    /// The number of an event's identity.
    pub(crate) fn identify(&mut self, event: &Event, likely: Likely) -> IdentityIx {
        let who = self.state.ledger.identify(event, likely, &mut self.forgotten);
        for gone in self.forgotten.drain(..) {
            self.state.baseline.forget(gone);
            self.state.floor.forget(gone);
        }
        who
    }

    /// Judges something that did not happen.
    pub(crate) fn absent(&mut self, absence: &Absence, out: &mut Vec<Finding>) {
        let mut event = Event { time: absence.due, ..Event::default() };
        match &absence.subject {
            Subject::Source(source) => {
                event.source = source.clone();
                event.identity = format!("source:{source}").into();
            }
            Subject::Identity(who) => {
                if let Some(identity) = self.state.ledger.identity(*who) {
                    event.identity = identity.name.clone();
                    event.identity_kind = identity.kind;
                    event.identity_provider = identity.provider.clone();
                    event.identity_account = identity.account.clone();
                }
            }
        }
        let who = match &absence.subject {
            Subject::Identity(who) => *who,
            Subject::Source(_) => IdentityIx(u32::MAX),
        };
        let observed =
            Observed { who, credential: ledger::Features::default(), identity: ledger::identity::Features::default(), account_age_days: 0.0, watched_days: 0 };
        let declared = self.state.inventory.features(&event);
        let (shape, classed) = self.classed(&event, None);
        self.judge(&event, shape, classed, &observed, None, (None, None), declared, Some(absence), out);
    }

    /// The watermark moved.
    fn advance(&mut self, out: &mut Vec<Finding>) {
        let watermark = self.watermark();
        self.state.fold.advance(watermark, (self.state.partition, self.state.next_offset - 1), out);
        let mut absences = std::mem::take(&mut self.absences);
        self.state.baseline.advance(watermark, &mut absences);
        for absence in absences.drain(..) {
            self.absent(&absence, out);
        }
        self.absences = absences;
    }

    fn event(&mut self, event: &Event, ahead: Ahead, given: Option<baseline::Features>, out: &mut Vec<Finding>) {
        if event.activity == Activity::Declare {
            // A refused declaration is counted; `inventory apply` refuses it before it enters the log.
            let _ = self.state.inventory.declare(event, self.config.declarations_max);
            self.state.ledger.note_changed(&event.identity);
            return;
        }
        let Ahead { likely, destination, shape } = ahead;
        let who = self.identify(event, likely);
        let watermark = self.watermark();
        let observed = self.state.ledger.observe(who, event, likely, self.state.inventory.limits(&event.identity), watermark);
        if observed.watched_days == 0 {
            self.state.fold.first_day();
        }
        let (shape, classed) = self.classed(event, shape);
        let late = event.time.0 < watermark.0.saturating_sub(self.config.lateness());
        let context = baseline::Context {
            watermark,
            late,
            credential_age_days: observed.credential.age_days,
            age_over_policy: observed.credential.age_over_policy,
            first_use: observed.credential.first_use,
            class: classed.class,
            shape,
            destination,
        };
        let features = self.state.baseline.observe(who, event, &context);
        let declared = self.state.inventory.features(event);
        let features = given.unwrap_or(features);
        let floor = self.state.floor.observe(who, event, classed.command, &observed.credential, declared.retired);
        let machine_new = self.state.floor.leased(who, event);
        self.judge(event, shape, classed, &observed, (!late).then_some(&features), (floor, machine_new), declared, None, out);
    }

    /// An event's shape, and the class of its action. `ahead`: the shape that was found when it was looked at ahead.
    fn classed(&mut self, event: &Event, ahead: Option<Shape>) -> (Shape, Classed) {
        let shape = match ahead {
            Some(shape) if self.shapes.stands(shape) => shape,
            _ => self.shapes.of(event),
        };
        if let Some(classed) = self.classes.get(shape) {
            return (shape, *classed);
        }
        let classed = event.action.as_deref().map(action::classify).unwrap_or_default();
        self.classes.set(shape, classed);
        (shape, classed)
    }

    #[expect(clippy::too_many_arguments, reason = "all that is known of one event")]
    fn judge(
        &mut self,
        event: &Event,
        shape: Shape,
        classed: Classed,
        observed: &Observed,
        baseline: Option<&baseline::Features>,
        (floor, machine_new): (Option<floor::Features>, Option<bool>),
        declared: crate::inventory::Features,
        absence: Option<&Absence>,
        out: &mut Vec<Finding>,
    ) {
        let late = absence.is_none() && baseline.is_none();
        let baseline = if absence.is_some() { Some(&self.nothing) } else { baseline };
        let request = OnceCell::new();
        let (windows, ledger) = (Some(&self.windows), Some(&self.state.ledger));
        let o = Observation { event, classed, shape, request: &request, observed, baseline, floor, machine_new, declared, windows, ledger, late, absence };
        self.hits.clear();
        self.evaluator.evaluate(&o, &mut self.state.groups, &mut self.hits);
        if self.hits.is_empty() {
            return;
        }
        let around = Surroundings {
            rules: self.evaluator.rules(),
            ledger: &self.state.ledger,
            baseline: &self.state.baseline,
            watermark: self.state.clock.watermark.unwrap_or_default(),
            judgements_per_day: self.config.baseline.findings_per_day,
            on_floor: floor.is_some() || absence.is_some() && self.state.floor.knows(observed.who),
            place: (self.state.partition, self.state.next_offset - 1),
        };
        for identity in self.state.fold.add(&o, &self.hits, &around, out) {
            self.state.ledger.count_finding(&identity);
        }
    }
}
