//! A real Apache Kafka broker for tests: one KRaft node on free loopback ports, in a temporary folder, ended by its process id.
//!
//! `KEYTRAIL_TEST_KAFKA=host:port` names a broker that runs already; `KEYTRAIL_KAFKA_LIB=dir` the folder with Kafka's jars, to start one from.
//! With neither, a test says that it is skipped, and with `KEYTRAIL_CI=1` it fails instead. Includes nothing but std and tempfile.

#![allow(dead_code, reason = "each test binary that includes this uses a part of it")]
#![allow(clippy::expect_used, reason = "a test stops where its broker cannot be started")]

use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

/// What tests run against.
pub enum Server {
    /// A broker that somebody else runs: it cannot be stopped.
    Named(String),
    /// A broker of this test.
    Own(Broker),
}

impl Server {
    /// `host:port`.
    pub fn address(&self) -> &str {
        match self {
            Self::Named(address) => address,
            Self::Own(broker) => &broker.address,
        }
    }
}

/// The server that the environment names; `None`, said plainly, where it names none.
#[expect(clippy::disallowed_methods, reason = "the environment says which broker tests may use")]
pub fn from_environment(test: &str) -> Option<Server> {
    if let Ok(address) = std::env::var("KEYTRAIL_TEST_KAFKA") {
        return Some(Server::Named(address));
    }
    own_from_environment(test).map(Server::Own)
}

/// A broker of this test's own, which it may kill; `None`, said plainly, where the environment names no jars.
#[expect(clippy::disallowed_methods, reason = "the environment says where Kafka's jars are")]
pub fn own_from_environment(test: &str) -> Option<Broker> {
    if let Ok(lib) = std::env::var("KEYTRAIL_KAFKA_LIB") {
        return Some(Broker::start(Path::new(&lib)));
    }
    assert!(
        std::env::var("KEYTRAIL_CI").is_err(),
        "{test}: KEYTRAIL_CI is set, and neither KEYTRAIL_TEST_KAFKA nor KEYTRAIL_KAFKA_LIB names a Kafka that will do"
    );
    println!("{test}: skipped: set KEYTRAIL_KAFKA_LIB to the folder with Kafka's jars, or KEYTRAIL_TEST_KAFKA to a broker's host:port");
    None
}

/// One KRaft node.
pub struct Broker {
    /// `host:port`.
    pub address: String,
    /// `host:port` of the listener that asks for TLS and a password, where there is one.
    pub secured: Option<String>,
    lib: PathBuf,
    home: tempfile::TempDir,
    child: Option<Child>,
}

impl Broker {
    /// Formats a folder, starts the node, and waits until it answers.
    pub fn start(lib: &Path) -> Self {
        Self::start_with(lib, None)
    }

    /// The same with a second listener over TLS, for the user `keytrail` with the password `let-me-in` (PLAIN or SCRAM-SHA-512) or an unsigned token
    /// (OAUTHBEARER), and for `stranger` (PLAIN, `no-rights`), who may do nothing. The certificate and its key are the PEM texts given.
    pub fn start_secured(lib: &Path, certificate: &str, key: &str) -> Self {
        Self::start_with(lib, Some((certificate, key)))
    }

    fn start_with(lib: &Path, tls: Option<(&str, &str)>) -> Self {
        let home = tempfile::tempdir().expect("a folder for the broker");
        let (port, controller) = (free_port(), free_port());
        let data = home.path().join("data");
        let secured = tls.map(|_| format!("127.0.0.1:{}", free_port()));
        let also = secured.as_ref().map_or_else(String::new, |address| format!(",SECURED://{address}"));
        let one_line = |pem: &str| pem.trim().replace('\n', "\\n");
        let security = tls.map_or_else(String::new, |(certificate, key)| {
            format!(
                "authorizer.class.name=org.apache.kafka.metadata.authorizer.StandardAuthorizer\nsuper.users=User:ANONYMOUS;User:keytrail\n\
                 sasl.enabled.mechanisms=PLAIN,SCRAM-SHA-512,OAUTHBEARER\nlistener.name.secured.ssl.keystore.type=PEM\nlistener.name.secured.ssl.keystore.certificate.chain={}\n\
                 listener.name.secured.ssl.keystore.key={}\nlistener.name.secured.plain.sasl.jaas.config=org.apache.kafka.common.security.plain.PlainLoginModule \
                 required user_keytrail=\"let-me-in\" user_stranger=\"no-rights\";\n\
                 listener.name.secured.oauthbearer.sasl.jaas.config=org.apache.kafka.common.security.oauthbearer.OAuthBearerLoginModule required \
                 unsecuredLoginStringClaim_sub=\"broker\";\nlistener.name.secured.scram-sha-512.sasl.jaas.config=org.apache.kafka.common.security.scram.ScramLoginModule \
                 required;\n",
                one_line(certificate),
                one_line(key)
            )
        });
        let properties = format!(
            "process.roles=broker,controller\nnode.id=1\ncontroller.quorum.bootstrap.servers=127.0.0.1:{controller}\ncontroller.listener.names=CONTROLLER\n\
             listeners=PLAINTEXT://127.0.0.1:{port},CONTROLLER://127.0.0.1:{controller}{also}\n\
             advertised.listeners=PLAINTEXT://127.0.0.1:{port},CONTROLLER://127.0.0.1:{controller}{also}\n\
             listener.security.protocol.map=PLAINTEXT:PLAINTEXT,CONTROLLER:PLAINTEXT,SECURED:SASL_SSL\n{security}log.dirs={}\noffsets.topic.replication.factor=1\n\
             offsets.topic.num.partitions=4\ntransaction.state.log.replication.factor=1\ntransaction.state.log.min.isr=1\n\
             share.coordinator.state.topic.replication.factor=1\nshare.coordinator.state.topic.min.isr=1\ngroup.initial.rebalance.delay.ms=0\n\
             auto.create.topics.enable=false\ngroup.min.session.timeout.ms=1000\ngroup.consumer.session.timeout.ms=6000\n\
             group.consumer.min.session.timeout.ms=1000\ngroup.consumer.heartbeat.interval.ms=1000\ngroup.consumer.min.heartbeat.interval.ms=500\n",
            data.display()
        );
        std::fs::write(home.path().join("server.properties"), properties).expect("the broker's settings");
        let mut broker = Self { address: format!("127.0.0.1:{port}"), secured, lib: lib.to_path_buf(), home, child: None };
        let format = broker
            .java(
                "kafka.tools.StorageTool",
                &["format", "--standalone", "-t", "MkU3OEVBNTcwNTJENDM2Qk", "--add-scram", "SCRAM-SHA-512=[name=keytrail,password=let-me-in]", "-c"],
            )
            .stdout(Stdio::null())
            .status()
            .expect("java runs");
        assert!(format.success(), "the broker's folder cannot be formatted");
        broker.up();
        broker
    }

    fn java(&self, class: &str, arguments: &[&str]) -> Command {
        let mut command = Command::new("java");
        command
            .args(["-Xmx512m", "-XX:+UseSerialGC", "-cp"])
            .arg(format!("{}/*", self.lib.display()))
            .args(["-Dorg.slf4j.simpleLogger.defaultLogLevel=warn", class])
            .args(arguments)
            .arg(self.home.path().join("server.properties"))
            .stdin(Stdio::null());
        command
    }

    /// Starts the node on the data that it has, and waits until it answers.
    pub fn up(&mut self) {
        let log = std::fs::File::options().create(true).append(true).open(self.home.path().join("log")).expect("the broker's log");
        let child = self.java("kafka.Kafka", &[]).stdout(log.try_clone().expect("the broker's log")).stderr(log).spawn().expect("java runs");
        self.child = Some(child);
        let started = Instant::now();
        while TcpStream::connect(&self.address).is_err() {
            let ended = self.child.as_mut().and_then(|child| child.try_wait().ok().flatten());
            let log = || std::fs::read_to_string(self.home.path().join("log")).unwrap_or_default();
            assert!(ended.is_none(), "the broker ended: {}", log());
            assert!(started.elapsed() < Duration::from_secs(120), "the broker does not answer: {}", log());
            std::thread::sleep(Duration::from_millis(100));
        }
    }

    /// Ends the node as an operator does, and waits for it.
    pub fn stop(&mut self) {
        self.signal("TERM");
        self.gone();
    }

    /// Kills the node at once.
    pub fn kill(&mut self) {
        self.signal("KILL");
        self.gone();
    }

    /// Freezes the node: connections stay, nothing answers.
    pub fn freeze(&self) {
        self.signal("STOP");
    }

    /// Lets a frozen node go on.
    pub fn thaw(&self) {
        self.signal("CONT");
    }

    fn signal(&self, name: &str) {
        if let Some(child) = &self.child {
            let _ = Command::new("kill").arg(format!("-{name}")).arg(child.id().to_string()).status();
        }
    }

    fn gone(&mut self) {
        if let Some(mut child) = self.child.take() {
            let _ = child.wait();
        }
    }
}

impl Drop for Broker {
    fn drop(&mut self) {
        self.kill();
    }
}

fn free_port() -> u16 {
    TcpListener::bind("127.0.0.1:0").and_then(|listener| listener.local_addr()).expect("a free port").port()
}
