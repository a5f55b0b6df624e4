//! The pipeline on a real Apache Kafka: `KEYTRAIL_KAFKA_LIB` names the folder of Kafka's jars, from which each test starts a
//! broker of its own on loopback. Where it is not set these tests say that they were skipped; under `KEYTRAIL_CI=1` that is a failure.

mod broker;
mod fault;
mod faulty;
mod journey;
mod security;

use std::path::PathBuf;
use std::process::{Child, Output};
use std::time::{Duration, Instant};

use serde_json::Value;

pub use crate::crash::check;
use crate::estate::{Home, rows, stderr};
use broker::Broker;

#[expect(clippy::disallowed_methods, reason = "the test's servers and size are set from outside")]
pub fn setting(name: &str) -> Option<String> {
    std::env::var(name).ok().filter(|value| !value.is_empty())
}

pub fn number(name: &str, default: usize) -> usize {
    setting(name).map_or(default, |text| text.parse().unwrap_or_else(|_| panic!("{name} = {text:?} is not a number")))
}

/// A data folder, a lake and a Kafka, with topics.
pub struct Site {
    pub home: Home,
    pub broker: Broker,
    url: String,
}

impl Site {
    pub fn new(test: &str, partitions: u32) -> Option<Self> {
        let broker = broker::own_from_environment(test)?;
        let url = format!("kafka://{}", broker.address);
        let site = Self { home: Home::new(), broker, url };
        // Small commits and snapshots, so that kills fall between them and not only before the first.
        site.home.file(
            "keytrail.toml",
            "[store]\ncommit_events_max = 2000\ncommit_interval_ms = 100\n[detector]\nsnapshot_events = 3000\n[log.kafka]\n\"session.timeout.ms\" = \"6000\"\n\"heartbeat.interval.ms\" = \"500\"\n",
        );
        site.expect(&["topics", "apply", "--partitions", &partitions.to_string()]);
        Some(site)
    }

    fn arguments<'a>(&'a self, arguments: &[&'a str]) -> Vec<&'a str> {
        [&["--log", self.url.as_str()], arguments].concat()
    }

    pub fn command(&self, arguments: &[&str]) -> std::process::Command {
        self.home.command(&self.arguments(arguments))
    }

    pub fn run(&self, arguments: &[&str]) -> Output {
        self.home.run(&self.arguments(arguments))
    }

    /// Runs, and expects success.
    pub fn expect(&self, arguments: &[&str]) -> Output {
        let output = self.run(arguments);
        assert!(output.status.success(), "keytrail {arguments:?} ended with {}: {}", output.status, stderr(&output));
        output
    }

    pub fn rows(&self, arguments: &[&str]) -> Vec<Value> {
        rows(&self.expect(arguments))
    }

    pub fn spawn(&self, arguments: &[&str]) -> Role {
        Role(self.home.spawn(&self.arguments(arguments)))
    }

    /// A role with a data folder of its own, as on another machine, over the same lake.
    pub fn spawn_elsewhere(&self, name: &str, arguments: &[&str]) -> Role {
        let lake = self.lake();
        let arguments = [&["--lake", lake.to_str().unwrap()], self.arguments(arguments).as_slice()].concat();
        let mut command = self.home.command_in(&self.home.path().join(name), &arguments);
        Role(command.stdout(std::process::Stdio::null()).stderr(std::process::Stdio::null()).spawn().expect("keytrail runs"))
    }

    pub fn lake(&self) -> PathBuf {
        self.home.data().join("lake")
    }

    /// Everything that the log holds is judged and stored: findings are there only after the detector, hence the order.
    pub fn drain(&self) {
        self.expect(&["detect", "--drain"]);
        self.expect(&["store", "--drain"]);
    }

    pub fn event_ids(&self) -> Vec<String> {
        self.rows(&["sql", "select event_id from events"]).iter().map(|row| row["event_id"].as_str().unwrap().to_owned()).collect()
    }

    pub fn findings(&self) -> Vec<Value> {
        self.rows(&["sql", FINDINGS])
    }

    /// What an undisturbed detector finds over the same log: judged again from the lake, in a copy of it.
    pub fn findings_undisturbed(&self) -> Vec<Value> {
        let copy = self.home.path().join("copy");
        let copied = std::process::Command::new("cp").arg("-r").arg(self.lake()).arg(&copy).status().unwrap();
        assert!(copied.success());
        let lake = copy.to_str().unwrap();
        self.expect(&["--lake", lake, "rebuild"]);
        let found = self.rows(&["--lake", lake, "sql", FINDINGS]);
        std::fs::remove_dir_all(&copy).unwrap();
        found
    }
}

/// Every revision of every finding, in the order of their coordinates; without the offset in the topic, which a rebuild does not have.
const FINDINGS: &str = "select * from findings_log order by log_partition, log_offset, rule_index, revision";

/// A role's process, ended when the test does.
pub struct Role(Child);

impl Role {
    pub fn kill(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }

    pub fn has_ended(&mut self) -> bool {
        self.0.try_wait().unwrap().is_some()
    }

    pub fn signal(&self, name: &str) {
        let told = std::process::Command::new("kill").arg(format!("-{name}")).arg(self.0.id().to_string()).status().unwrap();
        assert!(told.success());
    }

    /// Waits for its end, and says whether it succeeded.
    pub fn wait(&mut self, timeout: Duration) -> bool {
        let started = Instant::now();
        while started.elapsed() < timeout {
            if let Some(status) = self.0.try_wait().unwrap() {
                return status.success();
            }
            std::thread::sleep(Duration::from_millis(20));
        }
        panic!("a role did not end within {timeout:?}");
    }
}

impl Drop for Role {
    fn drop(&mut self) {
        self.kill();
    }
}

/// Random numbers of a seed (xorshift64*).
pub struct Random(pub u64);

impl Random {
    pub fn below(&mut self, n: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0.wrapping_mul(0x2545_f491_4f6c_dd1d) % n.max(1)
    }
}
