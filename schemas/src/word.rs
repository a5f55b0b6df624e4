//! Closed vocabularies: the words that `activity`, `outcome`, `identity_kind` and the like may take.

/// A word that is not in a closed vocabulary.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{word:?} is not a value of {vocabulary}: expected one of {expected}")]
pub struct UnknownWord {
    /// The word that was met.
    pub word: String,
    /// The vocabulary's name.
    pub vocabulary: &'static str,
    /// The words it has, separated by commas.
    pub expected: String,
}

macro_rules! words {
    ($(#[doc = $doc:literal])* $name:ident default $default:ident { $($(#[doc = $vdoc:literal])* $variant:ident = $word:literal,)+ }) => {
        $(#[doc = $doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
        pub enum $name { $($(#[doc = $vdoc])* $variant,)+ }

        impl $name {
            /// Every word, in declaration order.
            pub const ALL: &'static [Self] = &[$(Self::$variant,)+];

            /// The word as it stands in tables and JSON.
            #[must_use]
            pub const fn as_str(self) -> &'static str {
                match self { $(Self::$variant => $word,)+ }
            }
        }

        impl Default for $name {
            fn default() -> Self { Self::$default }
        }

        impl std::str::FromStr for $name {
            type Err = $crate::UnknownWord;
            fn from_str(word: &str) -> Result<Self, $crate::UnknownWord> {
                match word {
                    $($word => Ok(Self::$variant),)+
                    _ => Err($crate::UnknownWord {
                        word: word.chars().take(64).collect(),
                        vocabulary: stringify!($name),
                        expected: [$($word,)+].join(", "),
                    }),
                }
            }
        }

        impl std::fmt::Display for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result { f.pad(self.as_str()) }
        }

        impl serde::Serialize for $name {
            fn serialize<S: serde::Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
                if s.is_human_readable() { s.serialize_str(self.as_str()) } else { s.serialize_u8(*self as u8) }
            }
        }

        impl<'de> serde::Deserialize<'de> for $name {
            fn deserialize<D: serde::Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
                if d.is_human_readable() {
                    let word = <std::borrow::Cow<'de, str> as serde::Deserialize>::deserialize(d)?;
                    word.parse().map_err(serde::de::Error::custom)
                } else {
                    let index = <u8 as serde::Deserialize>::deserialize(d)?;
                    Self::ALL.get(usize::from(index)).copied().ok_or_else(|| serde::de::Error::custom(concat!("no such ", stringify!($name))))
                }
            }
        }
    };
}

words! {
    /// What happened. OCSF: Authentication 3002, Account Change 3001, Authorize Session 3003, API Activity 6003, Entity Management 3004.
    Activity default Use {
        /// An identity proved who it is.
        Authenticate = "authenticate",
        /// A credential was used to do something.
        Use = "use",
        /// A credential came into being.
        Issue = "issue",
        /// A credential was replaced by a new one.
        Rotate = "rotate",
        /// A credential's lifetime was extended.
        Renew = "renew",
        /// A credential was withdrawn.
        Revoke = "revoke",
        /// A credential reached its end.
        Expire = "expire",
        /// A permission or role was given.
        Grant = "grant",
        /// An identity, policy or setting was changed.
        Configure = "configure",
        /// A session ended.
        End = "end",
        /// The inventory declared an identity and its binding.
        Declare = "declare",
    }
}

words! {
    /// How it ended.
    Outcome default Unknown {
        /// It was done.
        Success = "success",
        /// It was tried and failed.
        Failure = "failure",
        /// It was refused by policy.
        Denied = "denied",
        /// The source does not say.
        Unknown = "unknown",
    }
}

words! {
    /// What kind of actor an identity is.
    IdentityKind default Unknown {
        /// An account that software uses.
        Service = "service",
        /// Running code: a pod, an instance, a role session.
        Workload = "workload",
        /// A machine, PLC, sensor or gateway.
        Device = "device",
        /// A registered API client.
        ApiClient = "api_client",
        /// An autonomous agent.
        AiAgent = "ai_agent",
        /// A person. Recorded, and kept apart in every default view.
        Human = "human",
        /// The source does not say.
        Unknown = "unknown",
    }
}

words! {
    /// What kind of credential stood behind an event.
    CredentialKind default Unknown {
        /// A long-lived key pair of a cloud account.
        AccessKey = "access_key",
        /// A temporary session of a security token service.
        Session = "session",
        /// An OAuth 2 access or refresh token.
        OauthToken = "oauth_token",
        /// A JSON Web Token.
        Jwt = "jwt",
        /// An opaque API token.
        ApiToken = "api_token",
        /// An X.509 certificate.
        X509 = "x509",
        /// An SSH key or certificate.
        SshKey = "ssh_key",
        /// A password.
        Password = "password",
        /// A Kerberos ticket.
        KerberosTicket = "kerberos_ticket",
        /// A SAML assertion.
        SamlAssertion = "saml_assertion",
        /// The source does not say.
        Unknown = "unknown",
    }
}

words! {
    /// Where a credential stands in its life.
    CredentialState default Unknown {
        /// In force, as far as is known.
        Active = "active",
        /// A successor was issued.
        Superseded = "superseded",
        /// Withdrawn.
        Revoked = "revoked",
        /// Past its end.
        Expired = "expired",
        /// Nothing is known of it.
        Unknown = "unknown",
    }
}
