//! The plant floor: who does what to which controller, by class of command, and for how long a session has stood.
//!
//! A dimension of its own beside the [`baseline`](crate::baseline): what is polled each second is one look-up, and what changes a controller is remembered per
//! identity and controller, so that the first write of who only reads is seen among a million polls. Facts alone; rules decide.
//!
//! Everything is bounded: [`PAIRS_MAX`] controllers per identity, [`COMMANDERS_MAX`] commanders per controller, [`CONTROLLERS_MAX`], [`SESSIONS_MAX`],
//! [`NAMES_MAX`], [`MACHINES_MAX`], and the kinds of controllers; at a bound the one that was heard of longest ago is forgotten. Controllers are known within one partition: of who commands them from
//! another one nothing is known here.

mod controller;
mod doer;
mod kind;
mod standing;
mod together;

use keytrail_schemas::{Event, Micros, Outcome};
use rustc_hash::FxHashMap;

pub use self::standing::Outlives;
use self::{controller::Controller, doer::Doer, kind::Kinds, standing::Standing, together::Together};
use crate::{IdentityIx, action::Command, ledger, ledger::distinct::hash_of};

/// Controllers remembered per identity.
pub const PAIRS_MAX: usize = 512;
/// Commanders remembered per controller.
pub const COMMANDERS_MAX: usize = 16;
/// Controllers remembered.
pub const CONTROLLERS_MAX: usize = 65_536;
/// Sessions remembered.
pub const SESSIONS_MAX: usize = 65_536;
/// Machines remembered per identity.
pub const MACHINES_MAX: usize = 8;
/// What a format calls a lease of an address.
const LEASE: &str = "dhcp.lease";
/// On so many days before this one an identity is in its first days.
const FIRST_DAYS: u32 = 2;
/// Account names remembered, for the sites that they are used at.
pub const NAMES_MAX: usize = 16_384;

/// What the floor says of one event.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct Features {
    /// Commands of the identity before this one.
    pub events: u64,
    /// Days on which it commanded before.
    pub days: u32,
    /// It never gave such a command to anybody.
    pub first: bool,
    /// It never gave such a command to this controller.
    pub first_here: bool,
    /// It never spoke to this controller at all.
    pub stranger: bool,
    /// Days on which it gave such commands to this controller before today.
    pub days_here: u32,
    /// Since it last gave one to this controller, in days.
    pub idle_days: Option<f64>,
    /// Share of such commands among its commands.
    pub share: f64,
    /// Refused commands of the identity within the last hour, this one included.
    pub refused_in_hour: u32,
    /// Commands that change something, of this identity to this controller within the last minute, this one included.
    pub burst: u32,
    /// That number, as a multiple of the most that there were within any minute before.
    pub burst_times: f64,
    /// Days since the controller was first heard of.
    pub controller_age_days: f64,
    /// Nobody ever gave the controller a command of this class.
    pub first_of_class: bool,
    /// Identities that changed something in the controller within thirty days, others than this one.
    pub controller_others: u32,
    /// Others that for a day or longer change something in controllers of its kind, whose names differ in numbers alone; counted up to 16, while the identity is
    /// in its first days and alone in changing this controller.
    pub controller_kin: u32,
    /// This identity is new in changing things here, and one that did before goes on: two masters at once.
    pub beside: bool,
    /// It and another master of old are active at once here, who always relieved each other.
    pub at_once: bool,
    /// Since the session was first heard of, in hours.
    pub session_hours: Option<f64>,
    /// What the session has outlived.
    pub outlives: Outlives,
    /// Whether it is known who speaks; `None` where the event does not say.
    pub authenticated: Option<bool>,
    /// Nobody is known to speak, by an identity that elsewhere authenticates.
    pub authenticates_elsewhere: bool,
    /// Anonymous, where everybody authenticated so far.
    pub anonymous_unusual: bool,
    /// Sites at which an account of this name is in use.
    pub sites: u32,
}

/// The state of one partition.
#[derive(Debug, Clone, Default, serde::Serialize, serde::Deserialize)]
pub struct Floor {
    #[serde(with = "crate::sorted::map")]
    doers: FxHashMap<u32, Doer>,
    #[serde(with = "crate::sorted::map")]
    controllers: FxHashMap<u64, Controller>,
    kinds: Kinds,
    together: Together,
    standing: Standing,
}

impl Floor {
    /// Takes an event; `None` where it is no command.
    pub fn observe(&mut self, who: IdentityIx, event: &Event, command: Command, credential: &ledger::Features, retired: bool) -> Option<Features> {
        if command == Command::None {
            return None;
        }
        let mut features = Features::default();
        let refused = matches!(event.outcome, Outcome::Failure | Outcome::Denied);
        let place = event.destination.as_ref().map(|destination| hash_of(destination.as_str()));
        let doer = self.doers.entry(who.0).or_insert_with(|| Doer::new(event.time));
        doer.observe(event.time, command, place, refused, &mut features);
        features.authenticated = event.auth_method.as_deref().map(|method| !matches!(method, "none" | "anonymous"));
        if features.authenticated == Some(false) {
            features.authenticates_elsewhere = doer.authenticates();
        }
        doer.authenticated(features.authenticated, refused);
        if let Some(place) = place {
            make_room(&mut self.controllers, place, CONTROLLERS_MAX, |controller| controller.last);
            let controller = self.controllers.entry(place).or_insert_with(|| Controller::new(event.time));
            let doers = &self.doers;
            let masters = |who: u32| doers.get(&who).and_then(Doer::master_since);
            controller.observe(who, event, command, refused, (&mut self.together, masters), &mut features);
            // Once for each controller, and each time while it may be asked for.
            let asked = features.days <= FIRST_DAYS && features.controller_others == 0;
            if command.controls()
                && !refused
                && (features.first_here || asked)
                && let Some(destination) = &event.destination
            {
                features.controller_kin = self.kinds.meet(who.0, destination, event.time);
            }
        }
        self.standing.observe(event, credential, retired, &mut features);
        Some(features)
    }

    /// Takes a lease of an address that commands controllers: whether it goes to a machine that never had it. `None` where the event is none.
    pub fn leased(&mut self, who: IdentityIx, event: &Event) -> Option<bool> {
        let machine = event.destination.as_ref().filter(|_| event.action.as_deref() == Some(LEASE) && event.outcome == Outcome::Success)?;
        Some(self.doers.get_mut(&who.0)?.leased(hash_of(machine.as_str())))
    }

    /// Whether the identity ever commanded.
    #[must_use]
    pub fn knows(&self, who: IdentityIx) -> bool {
        self.doers.contains_key(&who.0)
    }

    /// The registry evicted the identity.
    pub fn forget(&mut self, who: IdentityIx) {
        self.doers.remove(&who.0);
        self.together.forget(who.0);
        self.kinds.forget(who.0);
        self.controllers.values_mut().for_each(|controller| controller.forget(who));
    }
}

/// Makes room for `key` by forgetting a sixteenth of those that were heard of longest ago.
fn make_room<V>(map: &mut FxHashMap<u64, V>, key: u64, most: usize, last: impl Fn(&V) -> Micros) {
    if map.len() < most || map.contains_key(&key) {
        return;
    }
    let mut order: Vec<(Micros, u64)> = map.iter().map(|(key, value)| (last(value), *key)).collect();
    order.sort_unstable();
    for (_, key) in order.iter().take((most / 16).max(1)) {
        map.remove(key);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use keytrail_schemas::Text;

    fn event(hours: f64, to: &str, session: &str, method: Option<&'static str>) -> Event {
        #[expect(clippy::cast_possible_truncation, reason = "hours of a test")]
        let time = Micros(1_767_571_200_000_000 + (hours * 3.6e9) as i64);
        Event {
            time,
            destination: Some(to.into()),
            session: Some(session.into()),
            auth_method: method.map(Text::const_new),
            outcome: Outcome::Success,
            ..Event::default()
        }
    }

    fn see(floor: &mut Floor, who: u32, event: &Event, command: Command) -> Features {
        floor.observe(IdentityIx(who), event, command, &ledger::Features::default(), false).unwrap()
    }

    #[test]
    fn the_first_write_of_a_reader_is_seen_among_its_polls() {
        let mut floor = Floor::default();
        for n in 0..20_000_u32 {
            see(&mut floor, 1, &event(f64::from(n) / 100.0, "plc", "c", Some("none")), Command::Read);
        }
        let write = see(&mut floor, 1, &event(200.5, "plc", "c", Some("none")), Command::Write);
        assert!(write.first && write.first_here && write.events == 20_000 && write.days >= 8, "{write:?}");
        let again = see(&mut floor, 1, &event(200.6, "plc", "c", Some("none")), Command::Write);
        assert!(!again.first && !again.first_here && again.days_here == 0 && again.burst == 1, "{again:?}");
        let tomorrow = see(&mut floor, 1, &event(224.6, "plc", "c", Some("none")), Command::Write);
        assert_eq!(tomorrow.days_here, 1);
        assert!(see(&mut floor, 1, &event(225.0, "plc-2", "c", Some("none")), Command::Write).first_here);
    }

    #[test]
    fn two_masters_at_once_are_told_and_a_change_over_is_not() {
        let mut floor = Floor::default();
        for n in 0..100 {
            see(&mut floor, 1, &event(f64::from(n), "plc", "a", None), Command::Write);
        }
        // The stand-by takes over, and the first is silent.
        for n in 100..110 {
            assert!(!see(&mut floor, 2, &event(f64::from(n), "plc", "b", None), Command::Write).beside);
        }
        let mut floor = Floor::default();
        for n in 0..100 {
            see(&mut floor, 1, &event(f64::from(n), "plc", "a", None), Command::Write);
        }
        assert!(!see(&mut floor, 2, &event(100.0, "plc", "b", None), Command::Write).beside, "nobody can know yet");
        see(&mut floor, 1, &event(100.1, "plc", "a", None), Command::Write);
        assert!(see(&mut floor, 2, &event(100.2, "plc", "b", None), Command::Write).beside);
        assert!(!see(&mut floor, 2, &event(200.2, "plc", "b", None), Command::Write).beside, "known by then");
    }

    #[test]
    fn masters_that_relieve_each_other_are_not_active_at_once() {
        let mut floor = Floor::default();
        let mut at_once = |who: u32, hours: f64, command| see(&mut floor, who, &event(hours, "plc", "c", None), command).at_once;
        // A panel is active all the time, and both masters have their turns.
        for n in 0..400 {
            let hours = f64::from(n) * 0.5;
            assert!(!at_once(9, hours, Command::Write), "{n}");
            let leads = if (n / 50) % 2 == 0 { 1 } else { 2 };
            assert!(!at_once(leads, hours + 0.1, if n % 5 == 0 { Command::Write } else { Command::Read }), "{n}");
        }
        // The one leads (2); the other one writes beside it.
        assert!(!at_once(1, 200.0, Command::Write));
        assert!(!at_once(2, 200.1, Command::Read));
        assert!(at_once(1, 200.2, Command::Write));
        assert!(at_once(1, 200.3, Command::Write));
        assert!(!at_once(2, 200.4, Command::Read), "who goes on is not to blame");
        assert!(!at_once(1, 230.0, Command::Write));
    }

    #[test]
    fn masters_are_a_pair_on_every_controller_and_engineers_are_none() {
        let mut floor = Floor::default();
        // Two masters relieve each other on one controller for six days; on the other one only the first commands. An engineer visits both.
        for n in 0..288 {
            let hours = f64::from(n) * 0.5;
            let leads = if (n / 48) % 2 == 0 { 1 } else { 2 };
            let told = see(&mut floor, leads, &event(hours, "plc", "c", None), if n % 5 == 0 { Command::Write } else { Command::Read });
            assert!(!told.at_once, "{n}");
            if leads == 1 {
                see(&mut floor, 1, &event(hours + 0.01, "other", "c", None), Command::Write);
            }
        }
        for n in 0..6 {
            let hours = 144.0 + f64::from(n) * 0.2;
            see(&mut floor, 1, &event(hours, "other", "c", None), Command::Read);
            assert!(!see(&mut floor, 7, &event(hours + 0.05, "other", "c", None), Command::Write).at_once, "an engineer stands no turn");
        }
        // The stand-by reads beside the leading one, which is nothing; then it commands, on the controller that it never commanded.
        see(&mut floor, 1, &event(150.0, "other", "c", None), Command::Read);
        assert!(!see(&mut floor, 2, &event(150.1, "other", "c", None), Command::Read).at_once);
        assert!(!see(&mut floor, 2, &event(150.2, "other", "c", None), Command::Write).at_once, "nobody went on yet");
        see(&mut floor, 1, &event(150.3, "other", "c", None), Command::Read);
        assert!(see(&mut floor, 2, &event(150.4, "other", "c", None), Command::Write).at_once);
    }

    #[test]
    fn sessions_grow_old_and_outlive_what_opened_them() {
        let mut floor = Floor::default();
        let good = ledger::Features::default();
        floor.observe(IdentityIx(1), &event(0.0, "plc", "c", None), Command::Session, &good, false);
        let later = floor.observe(IdentityIx(1), &event(50.0, "plc", "c", None), Command::Read, &good, false).unwrap();
        assert_eq!((later.session_hours, later.outlives), (Some(50.0), Outlives::None));
        let revoked = ledger::Features { revoked_minutes: Some(60.0), ..good };
        let of = |floor: &mut Floor, session: &str, retired| {
            floor.observe(IdentityIx(1), &event(51.0, "plc", session, None), Command::Read, &revoked, retired).unwrap().outlives
        };
        assert_eq!(of(&mut floor, "c", false), Outlives::Revocation);
        assert_eq!(of(&mut floor, "new", false), Outlives::None, "opened after: another matter");
        assert_eq!(of(&mut floor, "new", true), Outlives::Retirement);
    }

    #[test]
    fn who_authenticates_elsewhere_and_where_everybody_does() {
        let mut floor = Floor::default();
        for n in 0..30 {
            see(&mut floor, 1, &event(f64::from(n), "a", "c", Some("x509")), Command::Session);
        }
        let bare = see(&mut floor, 1, &event(31.0, "b", "d", Some("none")), Command::Read);
        assert!(bare.authenticates_elsewhere && !bare.anonymous_unusual && bare.authenticated == Some(false));
        let stranger = see(&mut floor, 2, &event(32.0, "a", "e", Some("anonymous")), Command::Session);
        assert!(stranger.anonymous_unusual && !stranger.authenticates_elsewhere);
        assert!(!see(&mut floor, 2, &event(33.0, "a", "e", Some("anonymous")), Command::Session).anonymous_unusual, "told once");
    }

    #[test]
    fn an_account_name_at_several_sites() {
        let mut floor = Floor::default();
        let mut at = |identity: &str, site: &str| {
            let event = Event { identity: identity.into(), environment: Some(site.into()), ..event(0.0, "a", "c", None) };
            see(&mut floor, 1, &event, Command::Session).sites
        };
        assert_eq!(at("opcua:10.0.0.1:user/vendor", "north"), 1);
        assert_eq!(at("opcua:10.1.0.1:user/vendor", "north"), 1);
        assert_eq!(at("opcua:10.2.0.1:user/vendor", "south"), 2);
        assert_eq!(at("opcua:10.2.0.1:user/other", "south"), 1);
    }

    #[test]
    fn everything_is_bounded_and_forgotten() {
        let mut floor = Floor::default();
        for n in 0..CONTROLLERS_MAX + 10 {
            let one = event(f64::from(u32::try_from(n).unwrap()) / 1e4, &format!("plc{n}"), &format!("s{n}"), None);
            see(&mut floor, u32::try_from(n % 40).unwrap(), &one, Command::Write);
        }
        assert!(floor.controllers.len() <= CONTROLLERS_MAX && floor.doers.len() == 40);
        for n in 0..40 {
            floor.forget(IdentityIx(n));
        }
        assert!(floor.doers.is_empty());
    }

    #[test]
    fn a_lease_to_a_machine_that_never_had_the_address_is_told_of_who_commands() {
        let mut floor = Floor::default();
        let lease = |machine: &str| Event { action: Some(LEASE.into()), ..event(1.0, machine, "s", None) };
        assert_eq!(floor.leased(IdentityIx(1), &lease("mac:a")), None, "it commands nothing");
        floor.observe(IdentityIx(1), &event(0.0, "plc", "s", None), Command::Write, &ledger::Features::default(), false);
        assert_eq!(floor.leased(IdentityIx(1), &event(1.0, "mac:a", "s", None)), None, "it is no lease");
        let told: Vec<Option<bool>> = ["a", "a", "b", "a", "b"].iter().map(|m| floor.leased(IdentityIx(1), &lease(&format!("mac:{m}")))).collect();
        assert_eq!(told, [Some(false), Some(false), Some(true), Some(false), Some(false)], "the first that is heard of is none");
        for machine in 0..MACHINES_MAX {
            assert_eq!(floor.leased(IdentityIx(1), &lease(&format!("mac:{machine}"))), Some(true));
        }
        assert_eq!(floor.leased(IdentityIx(1), &lease("mac:a")), Some(true), "forgotten at the bound");
    }
}
