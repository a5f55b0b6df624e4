//! Who is abused on a plant: known hosts, known functions, working hours. Each technique takes a victim of its own.

use super::site::{Protocol, Role, Station};
use super::wire::Function;
use super::work::own;
use super::{Answer, Plant};
use crate::clock::{self, DAY, HOUR, MINUTE, Micros, SECOND};
use crate::label::Label;
use crate::technique::{self, Stage};

/// The plant: techniques are planned by a [`Planner`].
#[derive(Debug, Clone, Copy)]
pub struct Floor;

impl Stage for Floor {
    type Plan = fn(&mut Planner<'_>, &'static Technique) -> Option<()>;
}

/// One way of abusing a host of the plant.
pub type Technique = technique::Technique<Floor>;

/// The library.
pub fn library() -> impl Iterator<Item = &'static Technique> {
    LIBRARY.iter()
}

macro_rules! technique {
    ($attack:literal, $variant:literal, $tactic:literal, $id:literal, $description:literal, $seen:literal, $source:literal, $plan:expr) => {
        Technique { attack: $attack, variant: $variant, tactic: $tactic, id: $id, description: $description, seen_by: $seen, source: $source, plan: $plan }
    };
}

const LIBRARY: &[Technique] = &[
    technique!(
        "write_by_reader",
        "historian writes a set point (S7)",
        "impair-process-control",
        "T0836",
        "A historian that only ever read writes three values into a controller that it reads.",
        "a class of command that is new to the identity",
        "ATT&CK for ICS T0836; Oldsmar, 2021",
        |p, t| { p.one(t, Role::Historian, Protocol::S7, &[Function::Write; 3], 2 * MINUTE) }
    ),
    technique!(
        "write_by_reader",
        "building display writes a property (BACnet)",
        "impair-process-control",
        "T0836",
        "A display of the building system that only read writes properties.",
        "a class of command that is new to the identity",
        "ATT&CK for ICS T0836",
        |p, t| { p.of(t, |s| s.role == Role::Building && s.address.ends_with(".51"), Protocol::Bacnet, &[Function::Write; 4], MINUTE) }
    ),
    technique!(
        "neighbour_commanded",
        "panel writes to another line (CIP)",
        "impair-process-control",
        "T0855",
        "A panel writes set points of a line that is another panel's.",
        "a controller that the panel never commanded and others do",
        "ATT&CK for ICS T0855",
        |p, t| { p.neighbour(t, Protocol::Cip, &[Function::Write; 4]) }
    ),
    technique!(
        "controller_stopped",
        "panel stops its own controller (S7)",
        "execution",
        "T0858",
        "A panel sends PLC Stop to the controller that it shows.",
        "a class of command that is new to the identity",
        "ATT&CK for ICS T0858; TRITON, 2017",
        |p, t| { p.one(t, Role::Panel, Protocol::S7, &[Function::Stop], MINUTE) }
    ),
    technique!(
        "program_replaced",
        "recipe server downloads a program (S7)",
        "lateral-movement",
        "T0843",
        "The recipe server loads a block into a controller that it sends recipes to.",
        "a class of command that is new to the identity",
        "ATT&CK for ICS T0843; Stuxnet, 2010",
        |p, t| { p.one(t, Role::Recipes, Protocol::S7, &[Function::Open, Function::Download, Function::Start], 2 * MINUTE) }
    ),
    technique!(
        "program_read",
        "panel reads the program out (S7)",
        "collection",
        "T0845",
        "A panel uploads the blocks of its controller.",
        "a function that is new to the identity",
        "ATT&CK for ICS T0845",
        |p, t| { p.one(t, Role::Panel, Protocol::S7, &[Function::Open, Function::Upload], MINUTE) }
    ),
    technique!(
        "second_master",
        "stand-by master beside the leading one (Modbus)",
        "initial-access",
        "T0848",
        "The stand-by master writes while the leading one goes on.",
        "two masters of one controller at once",
        "ATT&CK for ICS T0848",
        |p, t| p.beside(t)
    ),
    technique!(
        "brute_force_io",
        "gateway toggles every output (DNP3)",
        "impair-process-control",
        "T0806",
        "The gateway that only reads operates outputs of one outstation after the other.",
        "operations by who never operated; many outstations at once",
        "Industroyer, 2016; ATT&CK for ICS T0806",
        |p, t| { p.sweep(t, |s| s.role == Role::Gateway && s.address.ends_with(".41"), &[Function::Trip; 4]) }
    ),
    technique!(
        "brute_force_io",
        "panel writes a register sixty times a minute (Modbus)",
        "impair-process-control",
        "T0806",
        "A panel floods the register that it sets now and then.",
        "dozens of writes within a minute",
        "ATT&CK for ICS T0806",
        |p, t| { p.one(t, Role::Panel, Protocol::Modbus, &[Function::Write; 60], SECOND) }
    ),
    technique!(
        "silenced",
        "field controller made silent (BACnet)",
        "inhibit-response-function",
        "T0804",
        "The building server disables the communication of a controller.",
        "a function that is new to the identity",
        "ANSI/ASHRAE 135, 16.1; ATT&CK for ICS T0804",
        |p, t| { p.of(t, |s| s.role == Role::Building && s.address.ends_with(".50"), Protocol::Bacnet, &[Function::Silence], MINUTE) }
    ),
    technique!(
        "restarted",
        "password guessed, then restarted (BACnet)",
        "inhibit-response-function",
        "T0816",
        "A building host guesses the password of a controller and restarts it.",
        "refusals, then success, of a function that is new to the identity",
        "ATT&CK for ICS T0816, T0812",
        |p, t| p.guessed(t)
    ),
    technique!(
        "firmware",
        "file written into a controller (BACnet)",
        "persistence",
        "T0857",
        "A building host writes a file into a controller.",
        "a function that is new to the identity",
        "ATT&CK for ICS T0857",
        |p, t| { p.of(t, |s| s.role == Role::Building, Protocol::Bacnet, &[Function::File; 6], 3 * SECOND) }
    ),
    technique!(
        "listen_only",
        "controller put into listen-only mode (Modbus)",
        "inhibit-response-function",
        "T0814",
        "The leading master sends diagnostic functions that it never sent.",
        "a function that is new to the identity",
        "Modbus application protocol V1.1b3, function 08; ATT&CK for ICS T0814",
        |p, t| { p.one(t, Role::Master, Protocol::Modbus, &[Function::Silence; 2], MINUTE) }
    ),
    technique!(
        "surveyed",
        "recipe server asks every controller what it is (S7, CIP)",
        "discovery",
        "T0888",
        "The recipe server reads the identification of every controller of its site.",
        "a function that is new to the identity; controllers that it never spoke to",
        "ATT&CK for ICS T0888; INCONTROLLER, 2022",
        |p, t| { p.sweep(t, |s| s.role == Role::Recipes, &[Function::Identify]) }
    ),
    technique!(
        "account_abused",
        "dashboard's user writes (OPC UA)",
        "lateral-movement",
        "T0859",
        "The session of a dashboard that only read writes values and calls a method.",
        "a class of command that is new to the user",
        "ATT&CK for ICS T0859",
        |p, t| p.reader_writes(t)
    ),
    technique!(
        "account_abused",
        "password guessed (OPC UA)",
        "lateral-movement",
        "T0812",
        "A client's user is refused again and again, then logs in.",
        "refusals, then success",
        "ATT&CK for ICS T0812",
        |p, t| p.login_guessed(t)
    ),
    technique!(
        "anonymous_session",
        "anonymous where everybody authenticates (OPC UA)",
        "lateral-movement",
        "T0859",
        "A session without a user on a server on which everybody has one, from a host that has one.",
        "anonymous where it never was",
        "OPC 10000-4, 7.41; ATT&CK for ICS T0859",
        |p, t| p.anonymous(t)
    ),
    technique!(
        "vendor_outside_window",
        "vendor's account calls methods on a free day (OPC UA)",
        "initial-access",
        "T0822",
        "The vendor's account works on a day without a window, and calls methods that it never called.",
        "a function that is new to the account",
        "ATT&CK for ICS T0822",
        |p, t| { p.of(t, |s| s.role == Role::Vendor, Protocol::OpcUa, &[Function::Open, Function::Browse, Function::Call, Function::Call], 3 * MINUTE) }
    ),
];

/// Chooses victims and moments.
pub struct Planner<'a> {
    plant: &'a mut Plant,
    taken: Vec<usize>,
}

/// Plans each technique once.
pub fn plan(plant: &mut Plant) {
    let mut planner = Planner { plant, taken: Vec::new() };
    for technique in LIBRARY {
        (technique.plan)(&mut planner, technique);
    }
}

impl Planner<'_> {
    /// A working hour of a working day in the last three fifths.
    fn moment(&mut self) -> i64 {
        let span = self.plant.end - self.plant.start;
        let from = self.plant.start + span * 2 / 5;
        for _ in 0..200 {
            let at = clock::midnight(self.plant.chance.range(from, self.plant.end - DAY)) + self.plant.chance.range(8 * HOUR, 16 * HOUR);
            if at > from && !clock::is_weekend(at) {
                return at;
            }
        }
        from
    }

    /// A station that fits, is not taken, and is there at the time.
    fn victim(&mut self, fits: impl Fn(&Station) -> bool, at: i64) -> Option<usize> {
        let busy = |from: usize| {
            let mut acts = self.plant.acts.iter().filter(|act| usize::from(act.from) == from);
            acts.clone().any(|act| act.time < self.plant.start + 10 * DAY) && acts.any(|act| act.time > at)
        };
        let fitting: Vec<usize> =
            (0..self.plant.stations.len()).filter(|from| !self.taken.contains(from) && fits(&self.plant.stations[*from]) && busy(*from)).collect();
        let victim = *(!fitting.is_empty()).then(|| self.plant.chance.pick(&fitting))?;
        self.taken.push(victim);
        Some(victim)
    }

    fn label(&mut self, technique: &Technique, from: usize, to: usize, at: i64) -> usize {
        let identity = self.plant.identity(from, to);
        let host = format!("zeek:{}:host/{}", crate::roster::CLUSTER, self.plant.stations[from].address);
        self.plant.labels.push(Label {
            attack: technique.attack.to_owned(),
            variant: technique.variant.to_owned(),
            technique: technique.id.to_owned(),
            also: if host == identity { Vec::new() } else { vec![host] },
            identity,
            credential: None,
            start: Micros(at),
            end: Micros(at),
            provider_event_ids: Vec::new(),
            description: technique.description.to_owned(),
        });
        self.plant.labels.len() - 1
    }

    fn steps(&mut self, label: usize, from: usize, to: usize, at: i64, steps: &[Function], gap: i64) -> i64 {
        let mut time = at;
        for step in steps {
            self.plant.answered(time, from, to, *step, Answer::Good, Some(label));
            time += gap / 2 + self.plant.chance.wait(gap / 2).min(gap * 2);
        }
        time
    }

    fn of(&mut self, technique: &'static Technique, fits: impl Fn(&Station) -> bool, protocol: Protocol, steps: &[Function], gap: i64) -> Option<()> {
        let at = self.moment();
        let speaks = |plant: &Plant, from: usize| own(plant, from).into_iter().filter(|to| plant.controllers[*to].protocol == protocol).collect::<Vec<_>>();
        let able: Vec<usize> = (0..self.plant.stations.len()).filter(|from| !speaks(self.plant, *from).is_empty()).collect();
        let addresses: Vec<String> = able.iter().map(|from| self.plant.stations[*from].address.clone()).collect();
        let from = self.victim(|station| fits(station) && addresses.contains(&station.address), at)?;
        let choices = speaks(self.plant, from);
        let to = *self.plant.chance.pick(&choices);
        let label = self.label(technique, from, to, at);
        self.steps(label, from, to, at, steps, gap);
        Some(())
    }

    fn one(&mut self, technique: &'static Technique, role: Role, protocol: Protocol, steps: &[Function], gap: i64) -> Option<()> {
        // Of two masters the first one leads.
        self.of(technique, |station| station.role == role && (role != Role::Master || station.address.ends_with(".10")), protocol, steps, gap)
    }

    fn neighbour(&mut self, technique: &'static Technique, protocol: Protocol, steps: &[Function]) -> Option<()> {
        let at = self.moment();
        let from = self.victim(|station| station.role == Role::Panel && matches!(station.line, 0 | 2 | 3 | 5), at)?;
        let station = self.plant.stations[from].clone();
        let others: Vec<usize> = (0..self.plant.controllers.len())
            .filter(|to| self.plant.controllers[*to].site == station.site && self.plant.controllers[*to].protocol == protocol)
            .collect();
        let to = *self.plant.chance.pick(&others);
        let label = self.label(technique, from, to, at);
        self.steps(label, from, to, at, steps, 2 * MINUTE);
        Some(())
    }

    fn beside(&mut self, technique: &'static Technique) -> Option<()> {
        let at = self.moment();
        let from = self.victim(|station| station.role == Role::Master && station.address.ends_with(".11"), at)?;
        let site = self.plant.stations[from].site;
        let units: Vec<usize> = (0..self.plant.controllers.len())
            .filter(|to| self.plant.controllers[*to].site == site && self.plant.controllers[*to].protocol == Protocol::Modbus)
            .collect();
        let to = *self.plant.chance.pick(&units);
        let label = self.label(technique, from, to, at);
        self.steps(label, from, to, at, &[Function::Write; 12], 5 * MINUTE);
        Some(())
    }

    fn sweep(&mut self, technique: &'static Technique, fits: impl Fn(&Station) -> bool, steps: &[Function]) -> Option<()> {
        let at = self.moment();
        let from = self.victim(fits, at)?;
        let station = self.plant.stations[from].clone();
        let targets: Vec<usize> = if station.role == Role::Gateway {
            own(self.plant, from)
        } else {
            let own_kinds = [Protocol::S7, Protocol::Cip];
            (0..self.plant.controllers.len())
                .filter(|to| self.plant.controllers[*to].site == station.site && own_kinds.contains(&self.plant.controllers[*to].protocol))
                .collect()
        };
        let label = self.label(technique, from, *targets.first()?, at);
        let mut time = at;
        for to in targets {
            time = self.steps(label, from, to, time, steps, 5 * SECOND);
        }
        Some(())
    }

    fn guessed(&mut self, technique: &'static Technique) -> Option<()> {
        let at = self.moment();
        let from = self.victim(|station| station.role == Role::Building, at)?;
        let choices = own(self.plant, from);
        let to = *self.plant.chance.pick(&choices);
        let label = self.label(technique, from, to, at);
        for n in 0..7 {
            self.plant.answered(at + n * 20 * SECOND, from, to, Function::Start, Answer::Refused, Some(label));
        }
        self.steps(label, from, to, at + 3 * MINUTE, &[Function::Start], MINUTE);
        Some(())
    }

    fn reader(&self, from: usize) -> bool {
        !self.plant.acts.iter().any(|act| usize::from(act.from) == from && act.function == Function::Write)
    }

    fn reader_writes(&mut self, technique: &'static Technique) -> Option<()> {
        let readers: Vec<String> = (0..self.plant.stations.len())
            .filter(|from| self.plant.stations[*from].role == Role::Client && self.reader(*from))
            .map(|from| self.plant.stations[from].address.clone())
            .collect();
        self.of(
            technique,
            |station| station.role == Role::Client && readers.contains(&station.address),
            Protocol::OpcUa,
            &[Function::Open, Function::Write, Function::Write, Function::Call],
            MINUTE,
        )
    }

    fn login_guessed(&mut self, technique: &'static Technique) -> Option<()> {
        let at = self.moment();
        let from = self.victim(|station| station.role == Role::Client, at)?;
        let to = *own(self.plant, from).first()?;
        let label = self.label(technique, from, to, at);
        for n in 0..8 {
            self.plant.answered(at + n * 15 * SECOND, from, to, Function::Open, Answer::Refused, Some(label));
        }
        self.steps(label, from, to, at + 3 * MINUTE, &[Function::Open, Function::Read], MINUTE);
        Some(())
    }

    fn anonymous(&mut self, technique: &'static Technique) -> Option<()> {
        let at = self.moment();
        let from = self.victim(|station| station.role == Role::Client, at)?;
        let to = *own(self.plant, from).first()?;
        let label = self.label(technique, from, to, at);
        // What is seen is the application, not the user.
        let (address, server) = (self.plant.stations[from].address.clone(), self.plant.controllers[to].address.clone());
        self.plant.labels[label].also.push(format!("opcua:{server}:client/urn:{address}"));
        self.steps(label, from, to, at, &[Function::Anonymous, Function::Browse, Function::Read], MINUTE);
        Some(())
    }
}
