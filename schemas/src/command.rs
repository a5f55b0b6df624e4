//! What a function does to a controller: the class of a command on the plant floor, by protocol and function (`schemas/data/command.tsv`).
//!
//! Beside the class of an act, which every provider's actions have: a write of a register and a restart are both more than a read, but no plant
//! would take one for the other.

use std::{collections::HashMap, sync::LazyLock};

/// What a command does.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Default, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Command {
    /// No command: the action is no plant protocol's.
    #[default]
    None,
    /// Opens, proves or closes a session.
    Session,
    /// Reads values.
    Read,
    /// Asks who is there, or what it holds.
    Discover,
    /// Reads or clears diagnostics.
    Diagnose,
    /// Changes values: set points, parameters.
    Write,
    /// Moves something: outputs, breakers, methods, forces.
    Operate,
    /// Reads or changes the program or the configuration.
    Program,
    /// Stops, starts, restarts, silences.
    Mode,
}

impl Command {
    /// Every one, in order.
    pub const ALL: [Self; 9] = [Self::None, Self::Session, Self::Read, Self::Discover, Self::Diagnose, Self::Write, Self::Operate, Self::Program, Self::Mode];

    /// The word that rules use.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::None => "none",
            Self::Session => "session",
            Self::Read => "read",
            Self::Discover => "discover",
            Self::Diagnose => "diagnose",
            Self::Write => "write",
            Self::Operate => "operate",
            Self::Program => "program",
            Self::Mode => "mode",
        }
    }

    /// Whether it changes what the plant does, or may do.
    #[must_use]
    pub const fn controls(self) -> bool {
        matches!(self, Self::Write | Self::Operate | Self::Program | Self::Mode)
    }

    fn of_word(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|command| command.as_str() == word)
    }
}

static TABLE: LazyLock<HashMap<&'static str, HashMap<&'static str, Command>>> = LazyLock::new(|| {
    let mut table: HashMap<_, HashMap<_, _>> = HashMap::default();
    for line in include_str!("../data/command.tsv").lines().filter(|line| !line.starts_with('#')) {
        let mut columns = line.split('\t');
        if let (Some(protocol), Some(command), Some(names)) = (columns.next(), columns.next().and_then(Command::of_word), columns.next()) {
            table.entry(protocol).or_default().extend(names.split(' ').map(|name| (name, command)));
        }
    }
    table
});

/// The command of an action; a function of a plant protocol that no table lists is an operation, for it may be anything.
#[must_use]
pub fn command_of(action: &str) -> (Command, bool) {
    let Some((protocol, function)) = action.split_once('.') else { return (Command::None, true) };
    let Some(table) = TABLE.get(protocol) else { return (Command::None, true) };
    let function = function.to_ascii_lowercase();
    let plain = function.split_once('.').map_or(function.as_str(), |(name, _)| name);
    let found = table.get(function.as_str()).or_else(|| table.get(plain)).or_else(|| table.get("*"));
    // A server's complaint names no service.
    match found {
        Some(command) => (*command, true),
        None if matches!(plain, "error" | "servicefault" | "unknown") => (Command::Session, false),
        None => (Command::Operate, false),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_line_is_read() {
        let lines = include_str!("../data/command.tsv").lines().filter(|line| !line.starts_with('#'));
        let names: usize = lines.map(|line| line.split('\t').nth(2).unwrap().split(' ').count()).sum();
        assert_eq!(TABLE.values().map(HashMap::len).sum::<usize>(), names, "a line with an unknown word, or a function twice");
        assert_eq!(TABLE.len(), 10);
    }

    #[test]
    fn functions_of_each_protocol() {
        for (action, expected) in [
            ("modbus.READ_COILS", "read"),
            ("modbus.WRITE_SINGLE_COIL", "operate"),
            ("modbus.WRITE_SINGLE_REGISTER", "write"),
            ("modbus.DIAGNOSTICS.force_listen_only_mode", "mode"),
            ("modbus.DIAGNOSTICS.return_diagnostic_register", "diagnose"),
            ("modbus.ENCAP_INTERFACE_TRANSPORT.read_device_identification", "discover"),
            ("dnp3.DIRECT_OPERATE", "operate"),
            ("dnp3.COLD_RESTART", "mode"),
            ("dnp3_control.operate.trip", "operate"),
            ("s7comm.plc_stop", "mode"),
            ("s7comm.plc_control.p_program", "mode"),
            ("s7comm.plc_control.modu", "program"),
            ("s7comm.request_download", "program"),
            ("s7comm.read_szl", "discover"),
            ("s7comm_plus.set_multi_variables", "write"),
            ("cip.reset", "mode"),
            ("cip.service_0x4d", "write"),
            ("enip.list_identity", "discover"),
            ("bacnet.reinitialize_device.coldstart", "mode"),
            ("bacnet.device_communication_control.disable", "mode"),
            ("bacnet.write_property", "write"),
            ("opcua.Write", "write"),
            ("opcua.Call", "operate"),
            ("opcua.ActivateSession", "session"),
            ("s7comm.service_unheard_of", "operate"),
            ("s3:PutObject", "none"),
            ("secret.read", "none"),
        ] {
            assert_eq!(command_of(action).0.as_str(), expected, "{action}");
        }
    }
}
