//! The aspects of behaviour that are judged, and how new a value is. It names them; it judges nothing.

/// The aspects of behaviour that are judged, in the order in which they are listed everywhere.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "snake_case")]
#[repr(u8)]
pub enum Aspect {
    /// What was touched.
    Destination,
    /// What was done, with the reason of a failure.
    Action,
    /// Where it came from: host, /24, /16, ASN.
    Network,
    /// The country that it came from.
    Country,
    /// The client's own name.
    UserAgent,
    /// Over which protocol.
    Protocol,
    /// How it authenticated.
    AuthMethod,
    /// The destination's side: a long and stable set of visitors meets a new one.
    Audience,
    /// A new network while the old one goes on.
    Overlap,
    /// Hour of week, or minutes from the learned schedule.
    Schedule,
    /// Events per window.
    Volume,
    /// Failures among them.
    FailureShare,
    /// Distinct destinations per window.
    Spread,
}

impl Aspect {
    /// How many there are.
    pub const COUNT: usize = 13;
    /// All of them, in order.
    pub const ALL: [Self; Self::COUNT] = [
        Self::Destination,
        Self::Action,
        Self::Network,
        Self::Country,
        Self::UserAgent,
        Self::Protocol,
        Self::AuthMethod,
        Self::Audience,
        Self::Overlap,
        Self::Schedule,
        Self::Volume,
        Self::FailureShare,
        Self::Spread,
    ];

    /// The name that rules and findings use: `baseline.<name>` is its evidence, `baseline.<name>_novelty` its novelty.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Destination => "destination",
            Self::Action => "action",
            Self::Network => "network",
            Self::Country => "country",
            Self::UserAgent => "user_agent",
            Self::Protocol => "protocol",
            Self::AuthMethod => "auth_method",
            Self::Audience => "audience",
            Self::Overlap => "overlap",
            Self::Schedule => "schedule",
            Self::Volume => "volume",
            Self::FailureShare => "failure_share",
            Self::Spread => "spread",
        }
    }
}

/// How new this event's value of an aspect is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, serde::Serialize, serde::Deserialize)]
#[repr(u8)]
pub enum Novelty {
    /// Seen before by this identity.
    #[default]
    Known,
    /// New to the identity, known to its peers.
    NewToIdentity,
    /// New to the identity and to its peers.
    NewToEveryone,
    /// The identity is too young for novelty to mean anything.
    Learning,
    /// The event does not carry the value.
    NotAssessable,
}

impl Novelty {
    /// The word that rules see.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Known => "known",
            Self::NewToIdentity => "new_to_identity",
            Self::NewToEveryone => "new_to_everyone",
            Self::Learning => "learning",
            Self::NotAssessable => "not_assessable",
        }
    }

    /// New to the identity, whoever else knows it.
    #[must_use]
    pub const fn is_new(self) -> bool {
        matches!(self, Self::NewToIdentity | Self::NewToEveryone)
    }
}

/// One aspect, judged.
#[derive(Debug, Clone, Copy, PartialEq, Default, serde::Serialize, serde::Deserialize)]
pub struct Score {
    /// Excess evidence of the window so far, −log10 p less what is usual; 0 when there is none.
    pub evidence: f32,
    /// This event's value.
    pub novelty: Novelty,
}
