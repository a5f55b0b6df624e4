//! The estate: accounts, teams, places and actors, as they stand when the period begins. Built from the seed alone; what
//! happens to it later is in `weather` (benign) and `attack`.

pub mod actor;
pub mod place;
pub mod rhythm;

use crate::chance::{BASE32, Chance};
use crate::clock::{DAY, HOUR, MINUTE, SECOND};
use crate::level::Character;
use actor::{Actor, Agent, Credential, Habit, Home, Kind, Trust};
use place::{Place, PlaceKind};
use rhythm::Rhythm;

/// An AWS account.
#[derive(Debug, Clone, Copy)]
pub struct Account {
    /// Twelve digits; these are the ones that AWS's own documentation uses, and belong to nobody.
    pub id: &'static str,
    /// Its region.
    pub region: &'static str,
    /// What it is for.
    pub environment: &'static str,
}

/// The accounts: production, data, development.
pub const ACCOUNTS: [Account; 3] = [
    Account { id: "111122223333", region: "eu-central-1", environment: "prod" },
    Account { id: "444455556666", region: "eu-central-1", environment: "data" },
    Account { id: "123456789012", region: "eu-west-1", environment: "dev" },
];

/// The name of the Kubernetes cluster, the Vault cluster and the Zeek sensor, none of which their logs name.
pub const CLUSTER: &str = "works";
/// The role that people get through single sign-on.
pub const PEOPLE_ROLE: &str = "AWSReservedSSO_Platform_5d3e1f8a90b2c471";
/// The first 16 hex digits of SHA-256 of [`ISSUER`]: how identities name it.
pub const ISSUER_HASH: &str = "2b19abdb10359e9a";
/// Who issues the certificates of the plant's services.
pub const ISSUER: &str = "CN=Example Works Issuing CA 2,O=Example Works,C=DE";

const TEAMS: [&str; 16] = [
    "orders",
    "payments",
    "reporting",
    "search",
    "labs",
    "billing",
    "catalog",
    "ml",
    "logistics",
    "sandbox",
    "identity",
    "pricing",
    "warehouse",
    "support",
    "preview",
    "fraud",
];
const JOBS: [&str; 16] = [
    "api",
    "export",
    "sync",
    "backup",
    "worker",
    "indexer",
    "reconciler",
    "mailer",
    "etl",
    "cleaner",
    "scheduler",
    "gateway",
    "replicator",
    "archiver",
    "enricher",
    "importer",
];
const PEOPLE: [&str; 12] = ["alice", "bruno", "chen", "dara", "emil", "fatima", "goran", "hana", "ivo", "jun", "katya", "lena"];
/// Two-byte prefixes of hosted runners.
pub const RUNNERS: &[&str] = &["4.175", "4.231", "13.83", "13.105", "20.55", "20.97", "20.109", "20.161", "40.76", "52.148", "52.234", "172.183"];
/// Two-byte prefixes of the cloud provider's public addresses: what its NAT gateways have, and its other customers too.
pub const PROVIDER: &[&str] = &["3.121", "18.156", "18.184", "35.156", "52.28", "52.59"];

/// The estate's fixed parts.
#[derive(Debug, Clone)]
pub struct Estate {
    /// Team names.
    pub teams: Vec<String>,
    /// Everything that can be touched.
    pub places: Vec<Place>,
    /// Which places each team was furnished with.
    ranges: Vec<std::ops::Range<usize>>,
    /// Kubernetes nodes: name and address.
    pub nodes: Vec<(String, String)>,
    /// Broker's address.
    pub broker: &'static str,
    /// Key distribution centre's address.
    pub kdc: &'static str,
}

impl Estate {
    /// A place by index; indices come from this estate.
    pub fn place(&self, index: usize) -> &Place {
        &self.places[index]
    }

    /// The places of a kind that a team was furnished with.
    pub fn of(&self, team: usize, kind: PlaceKind) -> Vec<usize> {
        let range = self.ranges.get(team).cloned().unwrap_or_default();
        range.filter(|i| self.places[*i].kind == kind).collect()
    }

    /// The places of a kind.
    pub fn all(&self, kind: PlaceKind) -> Vec<usize> {
        self.places.iter().enumerate().filter(|(_, p)| p.kind == kind).map(|(i, _)| i).collect()
    }

    /// The AWS account that a team works in.
    pub const fn account_of(team: usize) -> u8 {
        match team % 5 {
            2 => 1,
            4 => 2,
            _ => 0,
        }
    }

    /// The account itself, as a place.
    pub fn account_place(&self, account: u8) -> usize {
        self.places.iter().position(|p| p.kind == PlaceKind::Account && p.account == account).unwrap_or(0)
    }

    /// Adds a place.
    pub fn add(&mut self, place: Place) -> usize {
        self.places.push(place);
        self.places.len() - 1
    }

    fn aws(&mut self, team: usize, kind: PlaceKind, name: String, chance: &mut Chance) -> usize {
        let account = Self::account_of(team);
        let at = arn(kind, account, &name, chance);
        self.add(Place { kind, team, account, name, at, twin: None, ephemeral: false })
    }

    fn plain(&mut self, team: usize, kind: PlaceKind, name: impl Into<String>, at: impl Into<String>) -> usize {
        self.add(Place { kind, team, account: 0, name: name.into(), at: at.into(), twin: None, ephemeral: false })
    }

    /// A bucket of a team.
    pub fn bucket(&mut self, team: usize, name: String, chance: &mut Chance) -> usize {
        self.aws(team, PlaceKind::Bucket, name, chance)
    }
}

fn arn(kind: PlaceKind, account: u8, name: &str, chance: &mut Chance) -> String {
    let Account { id, region, .. } = ACCOUNTS[usize::from(account)];
    match kind {
        PlaceKind::Bucket => format!("arn:aws:s3:::{name}"),
        PlaceKind::Table => format!("arn:aws:dynamodb:{region}:{id}:table/{name}"),
        PlaceKind::Secret => chance.letters(&format!("arn:aws:secretsmanager:{region}:{id}:secret:{name}-"), crate::chance::BASE62, 6),
        PlaceKind::Key => format!("arn:aws:kms:{region}:{id}:key/{name}"),
        PlaceKind::Queue => format!("arn:aws:sqs:{region}:{id}:{name}"),
        PlaceKind::Parameter => format!("arn:aws:ssm:{region}:{id}:parameter{name}"),
        PlaceKind::Database => format!("arn:aws:rds:{region}:{id}:cluster:{name}"),
        PlaceKind::Repository => format!("arn:aws:ecr:{region}:{id}:repository/{name}"),
        PlaceKind::Function => format!("arn:aws:lambda:{region}:{id}:function:{name}"),
        PlaceKind::Service => format!("arn:aws:ecs:{region}:{id}:service/main/{name}"),
        _ => format!("arn:aws:iam::{id}:root"),
    }
}

/// How many identities of each kind, in per cent, and how many at least.
const SHARES: [(Kind, usize, usize); 11] = [
    (Kind::AwsRole, 25, 8),
    (Kind::AwsUser, 12, 7),
    (Kind::AwsHuman, 3, 5),
    (Kind::ServiceAccount, 20, 6),
    (Kind::KubeHuman, 1, 1),
    (Kind::AppRole, 13, 5),
    (Kind::Mtls, 10, 4),
    (Kind::Mqtt, 9, 4),
    (Kind::Modbus, 3, 3),
    (Kind::Kerberos, 3, 3),
    (Kind::Ssh, 1, 1),
];

/// How many identities each kind gets out of `identities`; the roles take what rounding leaves.
fn counts(identities: usize) -> Vec<(Kind, usize)> {
    let mut counts: Vec<_> = SHARES.iter().map(|(kind, share, least)| (*kind, (identities * share / 100).max(*least))).collect();
    let sum: usize = counts.iter().map(|(_, n)| n).sum();
    if let Some((_, roles)) = counts.first_mut() {
        *roles += identities.saturating_sub(sum);
    }
    counts
}

/// Builds the estate and its actors; `start` is when the period begins.
pub(crate) fn build(identities: usize, start: i64, character: &Character, chance: &mut Chance) -> (Estate, Vec<Actor>) {
    let teams = (identities / 30).clamp(5, 400);
    let mut estate = Estate {
        teams: (0..teams).map(team_name).collect(),
        places: Vec::new(),
        ranges: Vec::with_capacity(teams),
        nodes: Vec::new(),
        broker: "10.60.0.20",
        kdc: "10.10.0.5",
    };
    for account in 0..u8::try_from(ACCOUNTS.len()).unwrap_or(0) {
        estate.add(Place {
            kind: PlaceKind::Account,
            team: usize::MAX,
            account,
            name: ACCOUNTS[usize::from(account)].id.to_owned(),
            at: String::new(),
            twin: None,
            ephemeral: false,
        });
    }
    for team in 0..teams {
        let first = estate.places.len();
        furnish(&mut estate, team, chance);
        estate.ranges.push(first..estate.places.len());
    }
    for node in 0..(identities / 12).clamp(4, 400) {
        let (b, c) = (node / 200 + 20, node % 200 + 3);
        estate.nodes.push((format!("ip-10-{b}-{c}-17.eu-central-1.compute.internal"), format!("10.{b}.{c}.17")));
    }
    let mut actors = Vec::with_capacity(identities);
    for (kind, count) in counts(identities) {
        for i in 0..count {
            let actor = recruit(&estate, &actors, kind, i, start, character.hosted, chance);
            actors.push(actor);
        }
    }
    rename(&mut estate, &mut actors, character.renamed, chance);
    (estate, actors)
}

/// Gives a share of the actors something to work on whose name is made for one use.
fn rename(estate: &mut Estate, actors: &mut [Actor], share: f64, chance: &mut Chance) {
    for actor in actors.iter_mut().skip(1) {
        let (kind, act) = match actor.kind {
            Kind::AwsUser | Kind::AwsRole if chance.happens(0.5) => (PlaceKind::Queue, 0),
            Kind::AwsUser | Kind::AwsRole => (PlaceKind::Table, 1),
            Kind::ServiceAccount => (PlaceKind::Object, 3),
            _ => continue,
        };
        if !chance.happens(share) {
            continue;
        }
        let team = estate.teams[actor.team].clone();
        let place = match kind {
            PlaceKind::Queue => estate.aws(actor.team, kind, format!("{team}-reply-{{}}"), chance),
            PlaceKind::Table => estate.aws(actor.team, kind, format!("{team}-sessions-{{}}"), chance),
            _ => estate.plain(actor.team, kind, format!("jobs.batch/{team}-report-{{}}"), team),
        };
        estate.places[place].ephemeral = true;
        actor.habits.push(Habit { place, act, times: 1.0, share: 0.6 });
    }
}

fn team_name(team: usize) -> String {
    let base = TEAMS[team % TEAMS.len()];
    if team < TEAMS.len() { base.to_owned() } else { format!("{base}-{}", team / TEAMS.len() + 1) }
}

/// Gives a team what it works with.
fn furnish(estate: &mut Estate, team: usize, chance: &mut Chance) {
    let name = estate.teams[team].clone();
    let environment = ACCOUNTS[usize::from(Estate::account_of(team))].environment;
    for what in ["events", "exports", "uploads"] {
        let first = estate.aws(team, PlaceKind::Bucket, format!("example-{name}-{what}-{environment}"), chance);
        let twin = estate.aws(team, PlaceKind::Bucket, format!("example-{name}-{what}-{environment}-dr"), chance);
        estate.places[first].twin = Some(twin);
    }
    for what in ["main", "state"] {
        estate.aws(team, PlaceKind::Table, format!("{name}-{what}-{environment}"), chance);
    }
    for what in ["db", "api-token", "webhook", "smtp"] {
        estate.aws(team, PlaceKind::Secret, format!("{environment}/{name}/{what}"), chance);
    }
    let key = chance.uuid();
    estate.aws(team, PlaceKind::Key, key, chance);
    for what in ["inbound", "retries"] {
        estate.aws(team, PlaceKind::Queue, format!("{name}-{what}"), chance);
    }
    estate.aws(team, PlaceKind::Parameter, format!("/{environment}/{name}/config"), chance);
    estate.aws(team, PlaceKind::Database, format!("{name}-{environment}"), chance);
    for what in ["api", "worker"] {
        estate.aws(team, PlaceKind::Repository, format!("{name}/{what}"), chance);
        estate.aws(team, PlaceKind::Service, format!("{name}-{what}"), chance);
    }
    estate.aws(team, PlaceKind::Function, format!("{name}-hook"), chance);
    for object in [
        "configmaps/settings",
        "configmaps/leader",
        "secrets/tls",
        "secrets/db-credentials",
        "pods",
        "endpoints",
        "leases.coordination.k8s.io/main",
        "deployments.apps",
        "jobs.batch",
    ] {
        estate.plain(team, PlaceKind::Object, object, name.clone());
    }
    for path in ["db", "kafka", "redis", "partner-api", "smtp", "signing"] {
        estate.plain(team, PlaceKind::Path, format!("secret/data/{name}/{path}"), "kv");
    }
    estate.plain(team, PlaceKind::Path, format!("database/creds/{name}-ro"), "database");
    estate.plain(team, PlaceKind::Path, format!("transit/encrypt/{name}"), "transit");
    for what in ["api", "ingest"] {
        estate.plain(
            team,
            PlaceKind::Server,
            format!("{name}-{what}.svc.works.example"),
            format!("10.50.{}.{}", team % 250, if what == "api" { 10 } else { 11 }),
        );
    }
    for what in ["temperature", "pressure", "state", "setpoint"] {
        estate.plain(team, PlaceKind::Topic, format!("plant/line{}/{what}", team + 1), "");
    }
    for unit in 1..=2 {
        estate.plain(team, PlaceKind::Unit, unit.to_string(), format!("10.61.{}.10", team % 250));
    }
    estate.plain(team, PlaceKind::Principal, format!("cifs/files{}.works.example", team + 1), format!("10.10.1.{}", team % 250 + 1));
    estate.plain(team, PlaceKind::Host, format!("host{}", team + 1), format!("10.51.{}.5", team % 250));
}

/// Makes the `i`-th identity of a kind.
fn recruit(estate: &Estate, others: &[Actor], kind: Kind, i: usize, start: i64, hosted: f64, chance: &mut Chance) -> Actor {
    let teams = estate.teams.len();
    let team = i % teams;
    let (team_name, round) = (estate.teams[team].as_str(), i / teams);
    let job = JOBS[(round + team * 3) % JOBS.len()];
    let turn = round / JOBS.len();
    let base = if turn == 0 { format!("{team_name}-{job}") } else { format!("{team_name}-{job}-{}", turn + 1) };
    let person = PEOPLE[i % PEOPLE.len()];
    let person = if i < PEOPLE.len() { person.to_owned() } else { format!("{person}{}", i / PEOPLE.len() + 1) };
    let name = match kind {
        Kind::AwsUser if i == 0 => String::from("svc-deploy"),
        Kind::AwsUser => format!("svc-{base}"),
        Kind::AwsRole => format!("{base}-role"),
        Kind::AwsHuman => format!("{person}@works.example"),
        Kind::KubeHuman => format!("oidc:{person}@works.example"),
        Kind::ServiceAccount => format!("{team_name}/{}", if turn == 0 { job.to_owned() } else { format!("{job}-{}", turn + 1) }),
        Kind::AppRole => base,
        Kind::Mtls => format!("CN={base}.svc.works.example,OU={team_name},O=Example Works,C=DE"),
        Kind::Mqtt => format!("line{}-{}-{:02}", team + 1, ["sensor", "gateway", "scada", "historian"][round % 4], round + 1),
        Kind::Modbus => format!("10.61.{}.{}", team % 250, 200 + round % 50),
        Kind::Kerberos => {
            if i.is_multiple_of(2) {
                format!("svc_{}", base.replace('-', "_"))
            } else {
                format!("{}$", base.to_uppercase())
            }
        }
        Kind::Ssh => format!("10.52.{}.{}", team % 250, 20 + round),
    };
    let mut chance = chance.fork();
    let rhythm = rhythm_of(kind, i, &mut chance);
    let habits = habits_of(estate, kind, i, team, &mut chance);
    let account = Estate::account_of(team);
    let principal = match kind {
        // People share the role of their permission set.
        Kind::AwsHuman => Chance::new(u64::from(account) + 77).letters("AROA", BASE32, 17),
        Kind::AwsUser => chance.letters("AIDA", BASE32, 17),
        Kind::AwsRole => chance.letters("AROA", BASE32, 17),
        _ => chance.uuid(),
    };
    let (family, version) = match kind {
        Kind::AwsUser | Kind::AwsRole => (chance.below(4), 3 + chance.range(0, 20)),
        Kind::AwsHuman => (7, 0),
        Kind::KubeHuman => (8, 1),
        Kind::AppRole => {
            if chance.happens(0.5) {
                (5, 2)
            } else {
                (6, 1)
            }
        }
        _ => (4, 1 + chance.range(0, 40)),
    };
    let mut actor = Actor {
        kind,
        name,
        team,
        account,
        principal,
        rhythm,
        habits,
        home: home_of(kind, i, team, hosted, &mut chance),
        agent: Agent::new(family, version),
        credential: Credential::Unseen,
        failing: if chance.happens(0.06) { 0.12 } else { 0.001 + chance.unit() * 0.008 },
        load: 1.0,
        away_until: 0,
        until: i64::MAX,
        connected: i64::MIN / 2,
        wire: actor::Wire::default(),
        chance,
    };
    if let Kind::Modbus | Kind::Ssh = kind {
        actor.home = Home::Fixed(vec![actor.name.clone()]);
        actor.failing = actor.failing.min(0.002);
    }
    actor.credential = credential_of(&mut actor, others, estate, i, start);
    actor
}

fn rhythm_of(kind: Kind, i: usize, chance: &mut Chance) -> Rhythm {
    let minute = chance.range(0, 60) * MINUTE;
    match kind {
        Kind::AwsUser if i == 0 => Rhythm::Traffic { interval: 25 * MINUTE, office: 1.0 },
        Kind::AwsHuman | Kind::KubeHuman => Rhythm::Traffic { interval: 90 * MINUTE, office: 1.0 },
        Kind::Mqtt => Rhythm::Every { interval: 15 * MINUTE, jitter: 0.05 },
        Kind::Modbus => Rhythm::Every { interval: 20 * MINUTE, jitter: 0.02 },
        Kind::Ssh => Rhythm::Daily { offset: 22 * HOUR + minute, weekdays: false },
        _ => match chance.below(100) {
            0..20 => Rhythm::Daily { offset: chance.range(0, 6) * HOUR + minute, weekdays: chance.happens(0.3) },
            20..35 => Rhythm::Hourly { offset: minute },
            35..58 => Rhythm::Every { interval: [10, 15, 30, 60][chance.below(4)] * MINUTE, jitter: [0.02, 0.1, 0.4][chance.below(3)] },
            58..63 => Rhythm::Weekly { offset: chance.range(0, 7) * DAY + 5 * HOUR + minute },
            63..78 => Rhythm::Traffic { interval: 20 * MINUTE, office: 1.0 },
            _ => Rhythm::Traffic { interval: 12 * MINUTE, office: 0.7 },
        },
    }
}

/// Something that actors of a kind may do: place, operation, times a run, share of the runs.
type Dish = (PlaceKind, u8, f32, f32);

const AWS_MENU: [Dish; 14] = [
    (PlaceKind::Bucket, 0, 4.0, 0.9),
    (PlaceKind::Bucket, 1, 3.0, 0.8),
    (PlaceKind::Bucket, 2, 1.0, 0.5),
    (PlaceKind::Table, 0, 4.0, 0.9),
    (PlaceKind::Table, 1, 3.0, 0.8),
    (PlaceKind::Table, 2, 3.0, 0.9),
    (PlaceKind::Secret, 0, 1.0, 0.3),
    (PlaceKind::Key, 0, 1.5, 0.6),
    (PlaceKind::Queue, 0, 2.0, 0.7),
    (PlaceKind::Queue, 1, 3.0, 0.9),
    (PlaceKind::Parameter, 0, 1.0, 0.4),
    (PlaceKind::Database, 0, 2.0, 0.7),
    (PlaceKind::Function, 0, 1.5, 0.6),
    (PlaceKind::Account, 1, 1.0, 0.05),
];

const DEPLOY_MENU: [Dish; 6] = [
    (PlaceKind::Repository, 2, 1.0, 0.9),
    (PlaceKind::Repository, 0, 1.0, 0.7),
    (PlaceKind::Service, 0, 3.0, 1.0),
    (PlaceKind::Service, 2, 1.0, 0.8),
    (PlaceKind::Service, 1, 1.0, 0.8),
    (PlaceKind::Bucket, 1, 2.0, 0.6),
];

const OTHER_MENU: [(Kind, &[Dish]); 7] = [
    (Kind::ServiceAccount, &[(PlaceKind::Object, 0, 2.0, 0.9), (PlaceKind::Object, 1, 1.0, 0.7), (PlaceKind::Object, 4, 1.0, 0.5)]),
    (Kind::KubeHuman, &[(PlaceKind::Object, 0, 2.0, 0.8), (PlaceKind::Object, 1, 2.0, 0.9)]),
    (Kind::AppRole, &[(PlaceKind::Path, 0, 1.5, 0.9), (PlaceKind::Path, 0, 1.0, 0.6), (PlaceKind::Path, 0, 1.0, 0.3)]),
    (Kind::Mtls, &[(PlaceKind::Server, 0, 3.0, 1.0), (PlaceKind::Server, 0, 1.0, 0.5)]),
    (Kind::Mqtt, &[(PlaceKind::Topic, 0, 1.0, 1.0), (PlaceKind::Topic, 0, 1.0, 0.6)]),
    (Kind::Kerberos, &[(PlaceKind::Principal, 0, 1.0, 1.0), (PlaceKind::Principal, 0, 1.0, 0.4)]),
    (Kind::Ssh, &[(PlaceKind::Host, 0, 1.0, 1.0), (PlaceKind::Host, 0, 1.0, 1.0), (PlaceKind::Host, 0, 1.0, 0.8)]),
];

fn habits_of(estate: &Estate, kind: Kind, i: usize, team: usize, chance: &mut Chance) -> Vec<Habit> {
    let mut habits: Vec<Habit> = Vec::new();
    let mut take = |(place_kind, act, times, share): Dish, team: usize, chance: &mut Chance| {
        let mut choices = estate.of(team, place_kind);
        // A machine reads process values; set points and the PLC's second unit are for those whose work they are.
        choices.retain(|p| !estate.place(*p).name.ends_with("setpoint") && !estate.place(*p).name.ends_with("-dr"));
        // Objects that are collections are listed, the others are got.
        if place_kind == PlaceKind::Object {
            choices.retain(|p| (act == 1) != estate.place(*p).name.contains('/') && (act != 4 || !estate.place(*p).name.contains("secrets")));
        }
        if let Some(place) = (!choices.is_empty()).then(|| *chance.pick(&choices)).filter(|p| !habits.iter().any(|h| h.place == *p && h.act == act)) {
            habits.push(Habit { place, act, times, share });
        }
    };
    match kind {
        Kind::AwsUser if i == 0 => DEPLOY_MENU.iter().for_each(|entry| take(*entry, 0, chance)),
        Kind::AwsUser | Kind::AwsRole | Kind::AwsHuman => {
            for _ in 0..2 + chance.below(4) {
                // One habit in six is at a neighbour's within the same account: two teams further in the pattern.
                let at = if chance.happens(0.16) { neighbour(estate, team, chance) } else { team };
                let entry = *chance.pick(&AWS_MENU);
                take(entry, at, chance);
            }
            if kind == Kind::AwsRole && i % 11 == 5 {
                DEPLOY_MENU.iter().for_each(|entry| take(*entry, team, chance));
            }
        }
        Kind::Modbus => {
            for place in estate.of(team, PlaceKind::Unit) {
                habits.push(Habit { place, act: 0, times: 2.0, share: 1.0 });
                habits.push(Habit { place, act: 1, times: 1.0, share: 0.8 });
            }
            // Every third master is a controller and writes; the others only ever read.
            if i % 3 == 2
                && let Some(first) = habits.first().copied()
            {
                habits.push(Habit { act: 3, times: 1.0, share: 0.3, ..first });
            }
        }
        _ => {
            let menu = OTHER_MENU.iter().find(|(k, _)| *k == kind).map_or(&[][..], |(_, menu)| menu);
            for (n, entry) in menu.iter().enumerate() {
                let spread = matches!(kind, Kind::Ssh | Kind::KubeHuman | Kind::Mtls) && n > 0;
                let at = if spread {
                    chance.below(estate.teams.len())
                } else if chance.happens(0.1) {
                    neighbour(estate, team, chance)
                } else {
                    team
                };
                take(*entry, at, chance);
            }
        }
    }
    if habits.is_empty()
        && let Some(place) = estate.of(team, PlaceKind::Bucket).first()
    {
        habits.push(Habit { place: *place, act: 0, times: 3.0, share: 1.0 });
    }
    habits
}

/// Another team of the same account.
pub fn neighbour(estate: &Estate, team: usize, chance: &mut Chance) -> usize {
    let account = Estate::account_of(team);
    let others: Vec<_> = (0..estate.teams.len()).filter(|t| *t != team && Estate::account_of(*t) == account).collect();
    if others.is_empty() { team } else { *chance.pick(&others) }
}

fn home_of(kind: Kind, i: usize, team: usize, hosted: f64, chance: &mut Chance) -> Home {
    let inside = |net: usize, chance: &mut Chance| format!("10.{net}.{}.{}", team % 250, 10 + chance.below(200));
    Home::Fixed(match kind {
        Kind::AwsUser if i == 0 => vec!["18.184.21.40".into(), "18.184.21.41".into()],
        // Hosted runners and functions meet a new address all the time; others leave by a NAT gateway or stay inside.
        Kind::AwsUser | Kind::AwsRole if chance.happens(hosted) => return Home::Ephemeral(if chance.happens(0.5) { RUNNERS } else { PROVIDER }),
        Kind::AwsUser | Kind::AwsRole => match chance.below(8) {
            0..4 => vec![format!("18.184.{}.{}", 20 + team % 200, 30 + chance.below(4)), format!("18.184.{}.{}", 20 + team % 200, 34)],
            _ => (0..1 + chance.below(3)).map(|_| inside(30, chance)).collect(),
        },
        Kind::AwsHuman | Kind::KubeHuman => vec!["203.0.113.10".into(), "203.0.113.11".into(), format!("203.0.113.{}", 64 + i % 60)],
        Kind::AppRole => (0..1 + chance.below(2)).map(|_| inside(31, chance)).collect(),
        Kind::Mtls => vec![inside(50, chance)],
        Kind::Mqtt => vec![format!("10.60.{}.{}", team % 250, 10 + i / 10 % 200)],
        _ => vec![inside(32, chance)],
    })
}

fn credential_of(actor: &mut Actor, others: &[Actor], estate: &Estate, i: usize, start: i64) -> Credential {
    match actor.kind {
        Kind::AwsUser => Credential::Keys(vec![actor.new_key(ACCOUNTS[usize::from(actor.account)].id)]),
        Kind::AwsHuman => Credential::Session { trust: Trust::SingleSignOn, key: None },
        Kind::AwsRole => {
            // The nearest two hundred are choice enough, and keep large estates quick to build.
            let users: Vec<_> = others
                .iter()
                .enumerate()
                .rev()
                .take(200)
                .filter(|(_, o)| o.kind == Kind::AwsRole && o.account == actor.account && matches!(o.credential, Credential::Session { trust: Trust::Ec2, .. }))
                .map(|(i, _)| i)
                .collect();
            let trust = match i % 8 {
                0 | 3 | 6 => Trust::Ec2,
                1 | 4 => Trust::Lambda,
                2 | 5 => Trust::WebIdentity,
                _ if users.is_empty() => Trust::Ec2,
                _ => Trust::Assumed(*actor.chance.pick(&users)),
            };
            Credential::Session { trust, key: None }
        }
        Kind::ServiceAccount => {
            let count = 1 + actor.chance.below(3);
            Credential::Pods(actor.new_pods(count, estate.nodes.len()))
        }
        Kind::AppRole => Credential::Token { each_run: actor.rhythm.is_calendar(), token: None },
        Kind::Mtls => {
            let age = actor.chance.range(0, 80) * DAY + actor.chance.range(0, DAY / SECOND) * SECOND;
            Credential::Certificate(actor.new_certificate(start - age, 90 + age / DAY))
        }
        _ => Credential::Unseen,
    }
}
