//! Action classes: what kind of act a provider's action is, whatever the provider. From the providers' public references (`detect/data/action/`,
//! each file with its source and licence), by the name of the action alone.
//!
//! What the request asked for beyond its name, for the few acts where that matters, is in [`request`].
//!
//! What a function of a plant protocol does to a controller is its [`Command`].
//!
//! An action that no reference lists is classed by its verb and what it is done to ([`guess`]), and says so.

mod guess;
pub mod request;
mod table;

pub use keytrail_schemas::Command;

/// What kind of act it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Default, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Class {
    /// There is no action.
    #[default]
    None,
    /// Reads data or settings.
    Read,
    /// Lists or counts what is there.
    List,
    /// Changes something, and nothing of what follows.
    Write,
    /// Takes on a role, logs in, or fetches a session for oneself.
    Session,
    /// Changes who may do what, or who is trusted.
    Permission,
    /// Makes, changes, ends or hands out a credential.
    Credential,
    /// Reads a secret, or opens what a key protects.
    Secret,
    /// Changes the watch over the estate: audit logs, detectors, alarms.
    Logging,
    /// Gives data or ways to it to others: exfiltration, when it is not wanted.
    Share,
    /// Takes effect as code, as a command or as a machine.
    Execution,
    /// Ends data, machines or keys.
    Destruction,
}

impl Class {
    /// Every class, in order.
    pub const ALL: [Self; 12] = [
        Self::None,
        Self::Read,
        Self::List,
        Self::Write,
        Self::Session,
        Self::Permission,
        Self::Credential,
        Self::Secret,
        Self::Logging,
        Self::Share,
        Self::Execution,
        Self::Destruction,
    ];

    /// The word that rules use.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::None => "none",
            Self::Read => "read",
            Self::List => "list",
            Self::Write => "write",
            Self::Session => "session",
            Self::Permission => "permission",
            Self::Credential => "credential",
            Self::Secret => "secret",
            Self::Logging => "logging",
            Self::Share => "share",
            Self::Execution => "execution",
            Self::Destruction => "destruction",
        }
    }

    /// Whether an intruder gains by it: what changes permissions, credentials, the watch, and what follows.
    #[must_use]
    pub const fn is_privileged(self) -> bool {
        matches!(self, Self::Permission | Self::Credential | Self::Secret | Self::Logging | Self::Share | Self::Execution | Self::Destruction)
    }

    fn of_word(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|class| class.as_str() == word)
    }
}

/// A class, and whether it is only guessed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Classed {
    /// The class.
    pub class: Class,
    /// No reference lists the action: its verb decided.
    pub guessed: bool,
    /// What it does to a controller; none where it is no plant protocol's.
    pub command: Command,
}

/// Classes an action by its provider's reference, else by its verb. A pure function of the name, asked once for each [shape](crate::shape).
#[must_use]
pub fn classify(action: &str) -> Classed {
    let (command, listed) = keytrail_schemas::command_of(action);
    match table::listed(action) {
        Some(class) => Classed { class, guessed: false, command },
        None if command != Command::None => Classed { class: class_of(command), guessed: !listed, command },
        None => Classed { class: guess::class(action), guessed: true, command },
    }
}

/// The class of an act that does this to a controller, where no table of classes lists it.
const fn class_of(command: Command) -> Class {
    match command {
        Command::None => Class::None,
        Command::Session => Class::Session,
        Command::Read | Command::Diagnose => Class::Read,
        Command::Discover => Class::List,
        Command::Write => Class::Write,
        Command::Operate | Command::Program => Class::Execution,
        Command::Mode => Class::Destruction,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn class(action: &str) -> (&'static str, bool) {
        let classed = classify(action);
        (classed.class.as_str(), classed.guessed)
    }

    #[test]
    fn listed_actions_of_every_provider() {
        for (action, expected) in [
            ("s3:GetObject", "read"),
            ("s3:ListObjectsV2", "list"),
            ("s3:PutBucketPolicy", "share"),
            ("s3:DeleteObjects", "destruction"),
            ("iam:CreateAccessKey", "credential"),
            ("iam:AttachUserPolicy", "permission"),
            ("iam:CreateUser", "permission"),
            ("iam:GetCredentialReport", "read"),
            ("sts:AssumeRole", "session"),
            ("sts:GetCallerIdentity", "read"),
            ("sts:GetFederationToken", "credential"),
            ("secretsmanager:GetSecretValue", "secret"),
            ("ssm:SendCommand", "execution"),
            ("ssm:GetParameters", "secret"),
            ("cloudtrail:StopLogging", "logging"),
            ("guardduty:DeleteDetector", "logging"),
            ("ec2:ModifySnapshotAttribute", "share"),
            ("ec2:RunInstances", "execution"),
            ("ec2:TerminateInstances", "destruction"),
            ("lambda:UpdateFunctionCode20150331v2", "execution"),
            ("lambda:AddPermission20150331v2", "permission"),
            ("signin:ConsoleLogin", "session"),
            ("sqs:DeleteMessage", "write"),
            ("monitoring:PutMetricData", "write"),
            ("secrets.get", "secret"),
            ("pods/exec.create", "execution"),
            ("TokenRequest.create", "credential"),
            ("clusterrolebindings.create", "permission"),
            ("widgets.list", "list"),
            ("widgets.patch", "write"),
            ("namespaces.delete", "destruction"),
            ("secret.read", "secret"),
            ("auth.login", "session"),
            ("sys.audit.delete", "logging"),
            ("sys.policies.update", "permission"),
            ("pki.issue", "credential"),
            ("transit.decrypt", "secret"),
            ("modbus.WRITE_SINGLE_REGISTER", "write"),
            ("modbus.READ_COILS", "read"),
            ("dnp3.DIRECT_OPERATE", "execution"),
            ("mqtt.connect", "session"),
            ("google.iam.admin.v1.CreateServiceAccountKey", "credential"),
            ("google.iam.admin.v1.SetIAMPolicy", "permission"),
            ("v1.compute.instances.insert", "execution"),
            ("storage.objects.get", "read"),
            ("google.logging.v2.ConfigServiceV2.UpdateSink", "logging"),
            ("google.cloud.secretmanager.v1.SecretManagerService.AccessSecretVersion", "secret"),
            ("Microsoft.Storage/storageAccounts/listKeys/action", "secret"),
            ("MICROSOFT.COMPUTE/VIRTUALMACHINES/DELETE", "destruction"),
        ] {
            assert_eq!(class(action), (expected, false), "{action}");
        }
    }

    #[test]
    fn others_are_guessed_and_say_so() {
        for (action, expected) in [
            ("newservice:CreateApiToken", "credential"),
            ("newservice:PutThingPolicy", "permission"),
            ("newservice:DescribeThings", "read"),
            ("newservice:ListThings", "list"),
            ("newservice:DestroyThing", "destruction"),
            ("newservice:RunThing", "execution"),
            ("newservice:UpdateThing", "write"),
            ("newservice:DisableAuditLog", "logging"),
            ("newservice:GetSecretValue", "secret"),
            ("Microsoft.New/things/delete", "destruction"),
            ("google.cloud.newthing.v1.Things.CreateThing", "write"),
            ("user.session.start", "session"),
            ("", "write"),
            ("???", "write"),
        ] {
            assert_eq!(class(action), (expected, true), "{action}");
        }
    }
}
