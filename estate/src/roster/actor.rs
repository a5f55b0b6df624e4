//! Who acts: an identity with its credential, its habits, its addresses and its client.

use super::rhythm::Rhythm;
use crate::chance::{BASE32, Chance};
use crate::clock::{DAY, HOUR};

/// What kind of identity an actor is, which decides the log that it shows up in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Kind {
    /// IAM user with access keys.
    AwsUser,
    /// IAM role that software assumes.
    AwsRole,
    /// A person behind single sign-on.
    AwsHuman,
    /// Kubernetes service account.
    ServiceAccount,
    /// A person with kubectl.
    KubeHuman,
    /// Vault `AppRole`.
    AppRole,
    /// A service with a client certificate.
    Mtls,
    /// An MQTT client.
    Mqtt,
    /// A Modbus master.
    Modbus,
    /// A Kerberos service or machine account.
    Kerberos,
    /// A host that runs SSH jobs.
    Ssh,
}

impl Kind {
    /// Whether the network sensor writes what is known of it.
    pub const fn is_seen_by_sensor(self) -> bool {
        matches!(self, Self::Mtls | Self::Mqtt | Self::Modbus | Self::Kerberos | Self::Ssh)
    }
}

/// Something an actor does at each run.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Habit {
    /// Index of the place.
    pub place: usize,
    /// Number of the operation there.
    pub act: u8,
    /// How often in one run, on average.
    pub times: f32,
    /// In which share of the runs.
    pub share: f32,
}

/// Where an actor's connections come from.
#[derive(Debug, Clone, PartialEq)]
pub enum Home {
    /// These addresses, one per run.
    Fixed(Vec<String>),
    /// A new address below one of these two-byte prefixes at each run: a hosted runner.
    Ephemeral(&'static [&'static str]),
}

/// An access key.
#[derive(Debug, Clone, PartialEq)]
pub struct Key {
    /// `AKIA…` or `ASIA…`.
    pub id: String,
    /// The `userIdentity` object of calls made with it.
    pub user_identity: String,
    /// When a session ends; never, for a user's key.
    pub expires: i64,
}

/// How a role's session comes about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Trust {
    /// The instance's profile.
    Ec2,
    /// Lambda's execution role.
    Lambda,
    /// A Kubernetes service account's token.
    WebIdentity,
    /// Another actor calls `AssumeRole`, at each run.
    Assumed(usize),
    /// A person signs on.
    SingleSignOn,
}

/// A pod and the token that it carries.
#[derive(Debug, Clone, PartialEq)]
pub struct Pod {
    /// Its name.
    pub name: String,
    /// Its UID.
    pub uid: String,
    /// Its address.
    pub address: String,
    /// The node that it runs on.
    pub node: usize,
    /// The token's `jti`; empty before the first one.
    pub jti: String,
    /// When the token was issued.
    pub issued: i64,
}

/// A Vault token.
#[derive(Debug, Clone, PartialEq)]
pub struct Token {
    /// HMAC of the accessor.
    pub accessor: String,
    /// HMAC of the token as `auth` has it.
    pub inner: String,
    /// HMAC of the token as the request carried it.
    pub outer: String,
    /// When it was issued.
    pub issued: i64,
    /// How long it was issued for.
    pub lasts: i64,
    /// When it ends; renewing moves it.
    pub expires: i64,
}

/// A client certificate.
#[derive(Debug, Clone, PartialEq)]
pub struct Certificate {
    /// SHA-256 in hex.
    pub fingerprint: String,
    /// Serial number in hex.
    pub serial: String,
    /// Start of its validity.
    pub not_before: i64,
    /// End of its validity.
    pub not_after: i64,
}

/// What an actor proves itself with.
#[derive(Debug, Clone, PartialEq)]
pub enum Credential {
    /// Access keys of a user, oldest first; the last one is in use.
    Keys(Vec<Key>),
    /// Sessions of a role.
    Session {
        /// How they come about.
        trust: Trust,
        /// The present one.
        key: Option<Key>,
    },
    /// Pods with bound tokens.
    Pods(Vec<Pod>),
    /// Vault tokens.
    Token {
        /// A batch job logs in at each run; others keep a token and renew it.
        each_run: bool,
        /// The present one.
        token: Option<Token>,
    },
    /// A client certificate.
    Certificate(Certificate),
    /// Nothing that a log shows.
    Unseen,
}

/// A credential in somebody's hand: what an attacker copied, or what was in use before a rotation.
#[derive(Debug, Clone, PartialEq)]
pub enum Held {
    /// An access key or session.
    Key(Key),
    /// A pod's token.
    Pod(Pod),
    /// A Vault token.
    Token(Token),
    /// A certificate.
    Certificate(Certificate),
}

impl Held {
    /// Its id, as the log shows it.
    pub fn id(&self) -> &str {
        match self {
            Self::Key(key) => &key.id,
            Self::Pod(pod) => &pod.jti,
            Self::Token(token) => &token.accessor,
            Self::Certificate(certificate) => &certificate.fingerprint,
        }
    }
}

/// One identity.
#[derive(Debug, Clone)]
pub struct Actor {
    /// What kind.
    pub kind: Kind,
    /// Its name within its provider.
    pub name: String,
    /// The team it belongs to.
    pub team: usize,
    /// Index of its AWS account.
    pub account: u8,
    /// The provider's internal id: `AIDA…`, `AROA…`, entity id, UID of the service account.
    pub principal: String,
    /// When it runs.
    pub rhythm: Rhythm,
    /// What it does.
    pub habits: Vec<Habit>,
    /// Where from.
    pub home: Home,
    /// With which client.
    pub agent: Agent,
    /// With what.
    pub credential: Credential,
    /// The share of its calls that fail.
    pub failing: f64,
    /// How much busier than usual it is.
    pub load: f64,
    /// Until when it works from the second site.
    pub away_until: i64,
    /// No runs from then on.
    pub until: i64,
    /// When it last connected or asked for a ticket-granting ticket.
    pub connected: i64,
    /// What it last showed on the wire.
    pub wire: Wire,
    /// Its own draws.
    pub chance: Chance,
}

/// What the network sees of an actor over time.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Wire {
    /// The open connection's uid, or the fingerprint of the certificate that was last logged.
    pub id: String,
    /// The address that the connection is from.
    pub address: String,
}

/// A client, and the number in its version that goes up with each deployment.
#[derive(Debug, Clone, PartialEq)]
pub struct Agent {
    family: usize,
    version: i64,
    text: String,
}

const AGENTS: [(&str, &str); 9] = [
    ("aws-sdk-go-v2/1.36.", " os/linux lang/go#1.24.4 md/GOOS#linux md/GOARCH#amd64 api/s3#1.80.0"),
    (
        "Boto3/1.38.",
        " md/Botocore#1.38.0 ua/2.1 os/linux#6.1.141-155.222.amzn2023.x86_64 md/arch#x86_64 lang/python#3.12.10 md/pyimpl#CPython cfg/retry-mode#standard Botocore/1.38.0",
    ),
    (
        "aws-sdk-java/2.31.",
        " md/io#async md/http#NettyNio ua/2.1 os/Linux#6.1.141 lang/java#21.0.7 md/OpenJDK_64-Bit_Server_VM md/vendor#Amazon.com_Inc. md/en",
    ),
    ("aws-cli/2.27.", " md/awscrt#0.26.1 ua/2.1 os/linux#6.1.141-155.222.amzn2023.x86_64 md/arch#x86_64 lang/python#3.13.3 md/pyimpl#CPython md/prompt#off"),
    ("service/v0.", ".0 (linux/amd64) kubernetes/$Format"),
    ("Vault Agent/1.21.", " (+https://www.vaultproject.io/; go1.25.3)"),
    ("Go-http-client/1.", ""),
    ("Mozilla/5.0 (X11; Linux x86_64; rv:143.0) Gecko/20100101 Firefox/143.", ""),
    ("kubectl/v1.34.", " (linux/amd64) kubernetes/66452049"),
];

impl Agent {
    /// The client of a family (0 to 3: AWS SDKs and command line; 4: a controller; 5 and 6: Vault clients; 7: a browser; 8: kubectl).
    pub fn new(family: usize, version: i64) -> Self {
        let mut agent = Self { family, version, text: String::new() };
        agent.render();
        agent
    }

    fn render(&mut self) {
        let (head, tail) = AGENTS.get(self.family).copied().unwrap_or(("unknown/", ""));
        self.text = format!("{head}{}{tail}", self.version);
    }

    /// A deployment brought a newer version; Go's HTTP client has none.
    pub fn upgrade(&mut self) {
        if self.family != 6 {
            self.version += 1;
            self.render();
        }
    }

    /// As the log shows it.
    pub fn text(&self) -> &str {
        &self.text
    }
}

impl Actor {
    /// The address of a run.
    pub fn address(&mut self) -> String {
        match &self.home {
            Home::Fixed(addresses) if !addresses.is_empty() => self.chance.pick(addresses).clone(),
            Home::Fixed(_) => String::from("10.0.0.1"),
            Home::Ephemeral(prefixes) => {
                let prefix = *self.chance.pick(prefixes);
                format!("{prefix}.{}.{}", self.chance.below(256), 1 + self.chance.below(254))
            }
        }
    }

    /// The credential in use, as somebody would copy it.
    pub fn hold(&self) -> Option<Held> {
        match &self.credential {
            Credential::Keys(keys) => keys.last().cloned().map(Held::Key),
            Credential::Session { key, .. } => key.clone().map(Held::Key),
            Credential::Pods(pods) => pods.iter().find(|pod| !pod.jti.is_empty()).cloned().map(Held::Pod),
            Credential::Token { token, .. } => token.clone().map(Held::Token),
            Credential::Certificate(certificate) => Some(Held::Certificate(certificate.clone())),
            Credential::Unseen => None,
        }
    }

    /// Whether it is a person.
    pub const fn is_human(&self) -> bool {
        matches!(self.kind, Kind::AwsHuman | Kind::KubeHuman)
    }

    /// A new access key for a user.
    pub fn new_key(&mut self, account_id: &str) -> Key {
        let id = self.chance.letters("AKIA", BASE32, 16);
        let user_identity = format!(
            r#"{{"type":"IAMUser","principalId":"{}","arn":"arn:aws:iam::{account_id}:user/{name}","accountId":"{account_id}","accessKeyId":"{id}","userName":"{name}"}}"#,
            self.principal,
            name = self.name
        );
        Key { id, user_identity, expires: i64::MAX }
    }

    /// A certificate issued at `now` for `days`.
    pub fn new_certificate(&mut self, now: i64, days: i64) -> Certificate {
        // The authority backdates by an hour, as certificate authorities do against clock skew.
        Certificate {
            fingerprint: self.chance.hex("", 64),
            serial: self.chance.hex("", 16).to_uppercase(),
            not_before: now - HOUR,
            not_after: now + days * DAY,
        }
    }

    /// Pods as a rollout makes them.
    pub fn new_pods(&mut self, count: usize, nodes: usize) -> Vec<Pod> {
        let base = self.name.rsplit('/').next().unwrap_or("app").to_owned();
        let replica_set = self.chance.letters("", "bcdfghjklmnpqrstvwxz2456789", 9);
        (0..count)
            .map(|_| {
                let node = self.chance.below(nodes);
                Pod {
                    name: self.chance.letters(&format!("{base}-{replica_set}-"), "bcdfghjklmnpqrstvwxz2456789", 5),
                    uid: self.chance.uuid(),
                    address: format!("10.24{}.{}.{}", node % 6, node / 6 % 250, 2 + self.chance.below(250)),
                    node,
                    jti: String::new(),
                    issued: i64::MIN,
                }
            })
            .collect()
    }
}
