//! Real servers on loopback, whose own log is read: OpenSSH's sshd and Mosquitto. Where one is not installed the test says `skipped`; under `KEYTRAIL_CI` it fails. Each ends what it started.

#![allow(clippy::unwrap_used, reason = "a test stops where something is not as it should be")]

use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::time::Duration;

use keytrail_ingest::format::{Context, Draft, auto, guarded};
use keytrail_ingest::redact::{Level, Redactor};
use keytrail_schemas::{Activity, CredentialKind, Event, Outcome};

/// Where a program is.
fn program(name: &str) -> Option<PathBuf> {
    #[expect(clippy::disallowed_methods, reason = "a test looks for real servers")]
    let path = std::env::var("PATH").unwrap_or_default();
    let found = path.split(':').chain(["/usr/sbin", "/sbin", "/usr/local/sbin"]).map(|folder| Path::new(folder).join(name)).find(|path| path.is_file());
    if found.is_none() {
        #[expect(clippy::disallowed_methods, reason = "the full check says that it is one")]
        let is_ci = std::env::var("KEYTRAIL_CI").is_ok();
        assert!(!is_ci, "{name} is not installed");
        println!("skipped: {name} is not installed");
    }
    found
}

fn free_port() -> u16 {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
}

/// A server, ended when it goes.
struct Server(Child);

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

impl Server {
    fn start(command: &mut Command, port: u16) -> Self {
        let server = Self(command.stdin(Stdio::null()).stdout(Stdio::null()).spawn().unwrap());
        for _ in 0..100 {
            if TcpStream::connect(("127.0.0.1", port)).is_ok() {
                return server;
            }
            std::thread::sleep(Duration::from_millis(50));
        }
        panic!("the server does not answer on port {port}");
    }
}

fn run(command: &mut Command) -> Output {
    command.stdin(Stdio::null()).output().unwrap()
}

fn key(folder: &Path, name: &str) -> PathBuf {
    let path = folder.join(name);
    assert!(run(Command::new("ssh-keygen").args(["-q", "-t", "ed25519", "-N", "", "-f"]).arg(&path)).status.success());
    path
}

fn fingerprint(path: &Path) -> String {
    let shown = run(Command::new("ssh-keygen").arg("-lf").arg(path.with_extension("pub")));
    String::from_utf8(shown.stdout).unwrap().split(' ').nth(1).unwrap().to_owned()
}

fn read(format: &str, log: &str) -> Vec<Event> {
    let context = Context { redactor: Redactor::new(&[7; 32]), level: Level::Safe, cluster: "live".into(), depth_max: 64, file_name: "live.log".to_owned() };
    let format = auto::by_name(format).unwrap();
    let mut parser = guarded(format, &context);
    let mut out: Vec<Draft> = Vec::new();
    for (line, number) in log.lines().zip(1..) {
        let _ = parser.record(line.as_bytes(), number, &mut out).unwrap_or_else(|reject| panic!("line {number}: {reject}\n{line}"));
    }
    parser.finish(&mut out);
    out.into_iter().map(|draft| *draft.event).collect()
}

/// sshd's own messages, in the frame that rsyslog's file format puts around them: the test has no syslog daemon.
#[test]
fn a_real_sshd_tells_who_proved_what() {
    let (Some(sshd), Some(ssh), Some(_)) = (program("sshd"), program("ssh"), program("ssh-keygen")) else { return };
    let folder = tempfile::tempdir().unwrap();
    let at = |name: &str| folder.path().join(name);
    let [host, own, other, ca, certified] = ["host", "own", "other", "ca", "certified"].map(|name| key(folder.path(), name));
    let user = String::from_utf8(run(&mut Command::new("whoami")).stdout).unwrap().trim().to_owned();
    let signed = run(Command::new("ssh-keygen").args(["-q", "-I", "ci runner", "-n", &user, "-z", "42", "-s"]).arg(&ca).arg(certified.with_extension("pub")));
    assert!(signed.status.success(), "{signed:?}");
    std::fs::copy(own.with_extension("pub"), at("authorized_keys")).unwrap();
    let port = free_port();
    let config = format!(
        "Port {port}\nListenAddress 127.0.0.1\nHostKey {}\nAuthorizedKeysFile {}\nTrustedUserCAKeys {}\nStrictModes no\nUsePAM no\nPasswordAuthentication no\nKbdInteractiveAuthentication no\nPermitRootLogin yes\nLogLevel VERBOSE\nPidFile none\n",
        host.display(),
        at("authorized_keys").display(),
        ca.with_extension("pub").display()
    );
    std::fs::write(at("config"), config).unwrap();
    // Where it runs as root it wants this folder of its own.
    let _ = std::fs::create_dir_all("/run/sshd");
    let log = std::fs::File::create(at("log")).unwrap();
    let server = Server::start(Command::new(sshd).args(["-D", "-e", "-f"]).arg(at("config")).stderr(log), port);
    let connect = |key: &Path, user: &str| {
        let mut command = Command::new(&ssh);
        command.args([
            "-F",
            "none",
            "-o",
            "BatchMode=yes",
            "-o",
            "IdentitiesOnly=yes",
            "-o",
            "StrictHostKeyChecking=no",
            "-o",
            "UserKnownHostsFile=/dev/null",
            "-o",
            "LogLevel=ERROR",
        ]);
        run(command.args(["-p", &port.to_string(), "-i"]).arg(key).arg(format!("{user}@127.0.0.1")).arg("true")).status.success()
    };
    let outcomes = [connect(&own, &user), connect(&certified, &user), connect(&other, &user), connect(&own, "nobody-here")];
    assert_eq!(outcomes, [true, true, false, false]);
    std::thread::sleep(Duration::from_millis(300));
    drop(server);
    let framed: Vec<String> = std::fs::read_to_string(at("log"))
        .unwrap()
        .lines()
        .map(|line| format!("2026-11-22T12:00:00.000000+00:00 live-1 sshd[1]: {}", line.trim_end()))
        .collect();
    let events = read("sshd", &framed.join("\n"));
    let of = |action: &str| -> Vec<&Event> { events.iter().filter(|event| event.action.as_deref() == Some(action)).collect() };
    let accepted = of("ssh.accept");
    assert_eq!(accepted.len(), 2, "{framed:#?}");
    assert!(accepted.iter().all(|event| event.identity == format!("host:live-1:user/{user}") && event.source_ip.as_deref() == Some("127.0.0.1")));
    assert_eq!(accepted[0].credential.as_deref(), Some(fingerprint(&own).as_str()));
    let by_ca = fingerprint(&ca);
    assert_eq!(accepted[1].credential.as_deref(), Some(format!("{by_ca}/42").as_str()));
    assert_eq!(accepted[1].credential_parent.as_deref(), Some(fingerprint(&certified).as_str()));
    assert_eq!((accepted[1].session.as_deref(), accepted[1].issuer.as_deref()), (Some("ci runner"), Some(format!("ssh-ca:{by_ca}").as_str())));
    assert!(of("ssh.fail").iter().any(|event| event.credential.as_deref() == Some(fingerprint(&other).as_str()) && event.outcome == Outcome::Failure));
    assert!(of("ssh.invalid_user").iter().any(|event| event.identity == "host:live-1:user/nobody-here"));
    assert_eq!(of("ssh.disconnect").iter().filter(|event| event.activity == Activity::End).count(), 2);
    println!("{} lines of a real sshd, {} events", framed.len(), events.len());
}

#[test]
fn a_real_mosquitto_tells_who_came() {
    let (Some(broker), Some(passwd), Some(publish), Some(subscribe)) =
        (program("mosquitto"), program("mosquitto_passwd"), program("mosquitto_pub"), program("mosquitto_sub"))
    else {
        return;
    };
    for stamp in ["", "log_timestamp_format %Y-%m-%dT%H:%M:%S\n"] {
        let folder = tempfile::tempdir().unwrap();
        let at = |name: &str| folder.path().join(name);
        assert!(run(Command::new(&passwd).args(["-b", "-c"]).arg(at("users")).args(["meters", "right"])).status.success());
        let port = free_port();
        // As root the broker takes on an account of its own, which has to read and write here.
        let whoami = String::from_utf8(run(&mut Command::new("whoami")).stdout).unwrap();
        let config = format!(
            "listener {port} 127.0.0.1\nuser {}\nallow_anonymous false\npassword_file {}\nlog_dest file {}\nlog_type all\n{stamp}persistence false\n",
            whoami.trim(),
            at("users").display(),
            at("log").display()
        );
        std::fs::write(at("config"), config).unwrap();
        let server = Server::start(Command::new(&broker).arg("-c").arg(at("config")).stderr(Stdio::null()), port);
        // The look whether it answers has been told as a connection, and has to be told as ended.
        std::thread::sleep(Duration::from_millis(300));
        let client = |program: &Path, id: &str, password: &str, more: &[&str]| {
            run(Command::new(program).args(["-h", "127.0.0.1", "-p", &port.to_string(), "-i", id, "-u", "meters", "-P", password]).args(more)).status.success()
        };
        assert!(client(&publish, "meter-7", "right", &["-t", "plant/a", "-m", "7"]));
        assert!(!client(&publish, "meter-8", "wrong", &["-t", "plant/a", "-m", "7"]));
        let _ = client(&subscribe, "reader", "right", &["-t", "plant/#", "-W", "1"]);
        std::thread::sleep(Duration::from_millis(200));
        drop(server);
        let log = std::fs::read_to_string(at("log")).unwrap();
        let events = read("mosquitto", &log);
        let find = |identity: &str, action: &str| {
            events
                .iter()
                .find(|event| event.identity == identity && event.action.as_deref() == Some(action))
                .unwrap_or_else(|| panic!("{identity} {action} in {log}"))
        };
        let connected = find("mqtt:live:client/meter-7", "mqtt.connect");
        assert_eq!(
            (connected.outcome, connected.source_ip.as_deref(), connected.credential.as_deref()),
            (Outcome::Success, Some("127.0.0.1"), Some("mqtt:live:user/meters"))
        );
        assert_eq!(connected.credential_kind, CredentialKind::Password);
        assert_eq!(find("mqtt:live:client/meter-7", "mqtt.publish").destination.as_deref(), Some("mqtt:live:topic/plant/a"));
        assert_eq!(find("mqtt:live:client/reader", "mqtt.subscribe").destination.as_deref(), Some("mqtt:live:topic/plant/#"));
        find("mqtt:live:client/reader", "mqtt.disconnect");
        let refused = events.iter().find(|event| event.outcome == Outcome::Denied);
        assert_eq!(refused.and_then(|event| event.source_ip.as_deref()), Some("127.0.0.1"), "{log}");
        assert!(!events.iter().any(|event| format!("{event:?}").contains("wrong")));
        println!("{} lines of a real mosquitto, {} events", log.lines().count(), events.len());
    }
}
