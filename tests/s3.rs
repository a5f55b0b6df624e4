//! The lake in a bucket of a real S3 server, started on loopback: `KEYTRAIL_MOTO` names the program `moto_server`, which honours conditional
//! puts; `KEYTRAIL_S3RVER` names `s3rver`, which ignores them and would lose commits. Where they are not set these tests say that they were
//! skipped; under `KEYTRAIL_CI=1` that is a failure.

use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use crate::estate::{Home, Totals, cloudtrail_lines, finished, rows, stderr};

/// An S3 server, ended when the test does.
pub struct Server {
    process: Child,
    pub port: u16,
    _folder: tempfile::TempDir,
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

#[expect(clippy::disallowed_methods, reason = "the test's servers are named from outside")]
fn program(test: &str, variable: &str) -> Option<String> {
    if let Ok(program) = std::env::var(variable) {
        return Some(program);
    }
    assert!(std::env::var("KEYTRAIL_CI").is_err(), "{variable} must name a program in CI");
    eprintln!("SKIPPED {test}: {variable} names no program");
    None
}

fn start(command: impl FnOnce(u16, &std::path::Path) -> Command) -> Server {
    let port = crate::estate::free_port();
    let folder = tempfile::tempdir().unwrap();
    let process = command(port, folder.path()).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).spawn().expect("the S3 server starts");
    let started = Instant::now();
    while TcpStream::connect(("127.0.0.1", port)).is_err() {
        assert!(started.elapsed() < Duration::from_secs(60), "the S3 server does not answer");
        std::thread::sleep(Duration::from_millis(50));
    }
    Server { process, port, _folder: folder }
}

/// A server that honours conditional puts, with the bucket `lake`.
pub fn sound(test: &str) -> Option<Server> {
    let moto = program(test, "KEYTRAIL_MOTO")?;
    let server = start(|port, _| {
        let mut command = Command::new(moto);
        command.args(["-H", "127.0.0.1", "-p", &port.to_string()]);
        command
    });
    bucket(server.port);
    Some(server)
}

/// Creates the bucket `lake`, as any S3 client does.
fn bucket(port: u16) {
    let mut stream = TcpStream::connect(("127.0.0.1", port)).unwrap();
    write!(
        stream,
        "PUT /lake HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\nAuthorization: AWS4-HMAC-SHA256 Credential=test/20260101/us-east-1/s3/aws4_request, SignedHeaders=host, Signature=0\r\nx-amz-date: 20260101T000000Z\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"
    )
    .unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    assert!(answer.starts_with("HTTP/1.1 200") || answer.starts_with("HTTP/1.0 200"), "{answer}");
}

fn command(home: &Home, server: &Server, arguments: &[&str]) -> Command {
    let mut command = home.command(&[&["--lake", "s3://lake/keytrail"], arguments].concat());
    command.env("AWS_ENDPOINT", format!("http://127.0.0.1:{}", server.port)).envs([
        ("AWS_ALLOW_HTTP", "true"),
        ("AWS_REGION", "us-east-1"),
        ("AWS_ACCESS_KEY_ID", "test"),
        ("AWS_SECRET_ACCESS_KEY", "test"),
    ]);
    command
}

#[test]
fn a_lake_in_a_bucket_answers_as_one_in_a_folder() {
    let Some(server) = sound("a_lake_in_a_bucket_answers_as_one_in_a_folder") else { return };
    let home = Home::new();
    let path = home.file("events.log", cloudtrail_lines(5_000));
    let run = |arguments: &[&str]| {
        let output = finished(command(&home, &server, arguments));
        assert!(output.status.success(), "{arguments:?}: {}", stderr(&output));
        rows(&output)
    };
    let totals = Totals::of(&run(&["ingest", "--format", "cloudtrail", path.to_str().unwrap()]));
    let again = Totals::of(&run(&["ingest", "--format", "cloudtrail", path.to_str().unwrap()]));
    assert_eq!((again.stored, again.duplicate), (0, totals.stored));
    let folder = Home::new();
    let path = folder.file("events.log", cloudtrail_lines(5_000));
    folder.ingest(&["--format", "cloudtrail", path.to_str().unwrap()]);
    for question in [&["touched", "svc-3"][..], &["findings"], &["credentials"], &["sql", "select count(*) as n from events"]] {
        assert_eq!(run(question), folder.rows(question), "{question:?}");
    }
}

#[test]
fn a_store_that_would_lose_commits_is_refused_at_the_start() {
    let Some(s3rver) = program("a_store_that_would_lose_commits_is_refused_at_the_start", "KEYTRAIL_S3RVER") else { return };
    let server = start(|port, folder| {
        let mut command = Command::new(s3rver);
        command.args(["--address", "127.0.0.1", "--port", &port.to_string(), "--configure-bucket", "lake", "--directory"]).arg(folder);
        command
    });
    let home = Home::new();
    let path = home.file("events.log", cloudtrail_lines(10));
    let output = command(&home, &server, &["ingest", path.to_str().unwrap()])
        .env("AWS_ACCESS_KEY_ID", "S3RVER")
        .env("AWS_SECRET_ACCESS_KEY", "S3RVER")
        .output()
        .unwrap();
    assert_eq!(output.status.code(), Some(2), "{}", stderr(&output));
    assert!(stderr(&output).contains("conditional puts"), "{}", stderr(&output));
}
