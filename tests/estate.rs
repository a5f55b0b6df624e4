//! The binary under test in a folder of its own, and inputs made up from the formats' documentation.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::time::Duration;

use serde_json::{Value, json};

/// A port of loopback that nobody listened on a moment ago.
pub fn free_port() -> u16 {
    std::net::TcpListener::bind("127.0.0.1:0").and_then(|listener| listener.local_addr()).expect("a free port").port()
}

/// The longest that one command may take.
const LONGEST: Duration = Duration::from_secs(1_200);

/// A data folder that goes when the test ends.
pub struct Home {
    folder: tempfile::TempDir,
}

impl Home {
    pub fn new() -> Self {
        Self { folder: tempfile::tempdir().expect("a temporary folder") }
    }

    pub fn path(&self) -> &Path {
        self.folder.path()
    }

    pub fn data(&self) -> PathBuf {
        self.path().join("data")
    }

    /// Writes an input file.
    pub fn file(&self, name: &str, bytes: impl AsRef<[u8]>) -> PathBuf {
        let path = self.path().join(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(&path, bytes).unwrap();
        path
    }

    /// `keytrail ARGUMENTS`, in this data folder, without the caller's environment.
    pub fn command(&self, arguments: &[&str]) -> Command {
        self.command_in(&self.data(), arguments)
    }

    /// The same with another data folder.
    pub fn command_in(&self, data: &Path, arguments: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_keytrail"));
        command.current_dir(self.path()).env_clear().arg("--dir").arg(data).args(arguments).stdin(Stdio::null());
        command
    }

    pub fn run(&self, arguments: &[&str]) -> Output {
        finished(self.command(arguments))
    }

    pub fn spawn(&self, arguments: &[&str]) -> Child {
        self.command(arguments).stdout(Stdio::null()).stderr(Stdio::null()).spawn().expect("keytrail runs")
    }

    /// Runs, expects success, and reads NDJSON from standard output.
    pub fn rows(&self, arguments: &[&str]) -> Vec<Value> {
        let output = self.run(arguments);
        assert!(output.status.success(), "keytrail {arguments:?} ended with {}: {}", output.status, stderr(&output));
        rows(&output)
    }

    /// The totals that `ingest` prints.
    pub fn ingest(&self, arguments: &[&str]) -> Totals {
        let arguments = [&["ingest"], arguments].concat();
        Totals::of(&self.rows(&arguments))
    }
}

/// What a command printed, and how it ended. One that does not end is a failure, and not a check that stands still.
pub fn finished(mut command: Command) -> Output {
    let child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("keytrail runs");
    let id = child.id();
    let (done, ended) = std::sync::mpsc::channel();
    std::thread::spawn(move || done.send(child.wait_with_output()));
    ended.recv_timeout(LONGEST).map_or_else(
        |_| {
            let _ = Command::new("kill").arg("-KILL").arg(id.to_string()).status();
            panic!("{command:?} did not end within {LONGEST:?}")
        },
        |output| output.expect("keytrail's output"),
    )
}

/// Sums over the formats of one `ingest`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Totals {
    pub read: i64,
    pub stored: i64,
    pub duplicate: i64,
    pub dead_lettered: i64,
}

impl Totals {
    pub fn of(rows: &[Value]) -> Self {
        let sum = |key: &str| rows.iter().map(|row| row[key].as_i64().unwrap_or_else(|| panic!("{key} in {row}"))).sum();
        Self { read: sum("read"), stored: sum("stored"), duplicate: sum("duplicate"), dead_lettered: sum("dead_lettered") }
    }
}

pub fn rows(output: &Output) -> Vec<Value> {
    String::from_utf8(output.stdout.clone()).unwrap().lines().map(|line| serde_json::from_str(line).unwrap_or_else(|e| panic!("{e}: {line}"))).collect()
}

pub fn stderr(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

/// A `CloudTrail` record of an IAM user's access key, `second` seconds after 2026-03-01T00:00:00Z.
pub fn cloudtrail(second: u64, user: &str, key: &str, event_source: &str, event_name: &str, request: Value) -> Value {
    let (day, rest) = (second / 86_400, second % 86_400);
    json!({
        "eventVersion": "1.09",
        "userIdentity": { "type": "IAMUser", "principalId": format!("AIDA{user}"), "arn": format!("arn:aws:iam::111122223333:user/{user}"), "accountId": "111122223333", "accessKeyId": key, "userName": user },
        "eventTime": format!("2026-03-{:02}T{:02}:{:02}:{:02}Z", day + 1, rest / 3600, rest / 60 % 60, rest % 60),
        "eventSource": event_source,
        "eventName": event_name,
        "awsRegion": "eu-west-1",
        "sourceIPAddress": format!("198.51.100.{}", user.len() % 200 + 1),
        "userAgent": "aws-sdk-rust/1.8",
        "requestParameters": request,
        "responseElements": null,
        "eventID": format!("{second:08x}-0000-4000-8000-{:012x}", fnv(&format!("{user}{key}{event_name}{second}")) & 0xffff_ffff_ffff),
        "eventType": "AwsApiCall",
        "recipientAccountId": "111122223333"
    })
}

fn fnv(text: &str) -> u64 {
    text.bytes().fold(0xcbf2_9ce4_8422_2325, |hash, byte| (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3))
}

/// `count` records as NDJSON: twenty users reading their bucket, with keys created, rotated and, here and there, used after their successor.
pub fn cloudtrail_lines(count: usize) -> String {
    let mut lines = String::with_capacity(count * 700);
    let mut random = 0x2545_f491_4f6c_dd1d_u64;
    for index in 0..count {
        random ^= random << 13;
        random ^= random >> 7;
        random ^= random << 17;
        // Spread over twenty days.
        let second = index as u64 * 1_728_000 / count.max(1) as u64;
        let user = format!("svc-{}", random % 20);
        let old_key = second > 864_000 && random.is_multiple_of(97);
        let key = format!("AKIA{:0>12}{:04}", user.replace('-', "").to_uppercase(), u64::from(second > 864_000 && !old_key));
        let record = match random % 1_009 {
            0 => cloudtrail(second, "admin-ops", "AKIAADMIN00000000001", "iam.amazonaws.com", "CreateAccessKey", json!({ "userName": user })),
            1 => cloudtrail(second, "admin-ops", "AKIAADMIN00000000001", "cloudtrail.amazonaws.com", "StopLogging", json!({ "name": "trail" })),
            2..=11 => cloudtrail(second, &user, &key, "secretsmanager.amazonaws.com", "GetSecretValue", json!({ "secretId": format!("prod/{}", random % 50) })),
            _ => cloudtrail(
                second,
                &user,
                &key,
                "s3.amazonaws.com",
                "GetObject",
                json!({ "bucketName": format!("bucket-{user}"), "key": format!("k/{}", random % 1000) }),
            ),
        };
        let _ = writeln!(lines, "{record}");
    }
    lines
}
