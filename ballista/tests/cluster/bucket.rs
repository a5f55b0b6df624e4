//! A lake in a bucket of a real S3 server, started on loopback: `KEYTRAIL_MOTO` names the program `moto_server`. Where it is not set the test says that it
//! was skipped; under `KEYTRAIL_CI=1` that is a failure.

use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use crate::answer::answered;
use crate::asked::{are_worth_comparing, asked, rows, written};
use crate::process::{Cluster, free_port};

/// How long the server may take to start.
const PATIENCE: Duration = Duration::from_secs(60);

/// An S3 server, ended when dropped.
struct Server {
    process: Child,
    port: u16,
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

impl Server {
    fn start(moto: &str) -> Self {
        let port = free_port();
        let mut command = Command::new(moto);
        command.args(["-H", "127.0.0.1", "-p", &port.to_string()]).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        let (process, started) = (command.spawn().expect("the S3 server starts"), Instant::now());
        while TcpStream::connect(("127.0.0.1", port)).is_err() {
            assert!(started.elapsed() < PATIENCE, "the S3 server does not answer");
            std::thread::sleep(Duration::from_millis(50));
        }
        Self { process, port }
    }

    /// Puts a bucket or an object there, as any S3 client does.
    fn put(&self, path: &str, body: &[u8]) {
        let (mut stream, port, length) = (TcpStream::connect(("127.0.0.1", self.port)).unwrap(), self.port, body.len());
        write!(
            stream,
            "PUT {path} HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\nAuthorization: AWS4-HMAC-SHA256 Credential=test/20260101/us-east-1/s3/aws4_request, SignedHeaders=host, Signature=0\r\nx-amz-date: 20260101T000000Z\r\nContent-Length: {length}\r\nConnection: close\r\n\r\n"
        )
        .unwrap();
        stream.write_all(body).unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        assert!(answer.starts_with("HTTP/1.1 200") || answer.starts_with("HTTP/1.0 200"), "{path}: {answer}");
    }

    /// Puts every file of a folder under `prefix`; says how many there were.
    fn put_all(&self, folder: &Path, prefix: &str) -> usize {
        let mut files = 0;
        for entry in std::fs::read_dir(folder).unwrap().map(Result::unwrap) {
            let path = format!("{prefix}/{}", entry.file_name().to_str().unwrap());
            if entry.file_type().unwrap().is_dir() {
                files += self.put_all(&entry.path(), &path);
            } else {
                self.put(&path, &std::fs::read(entry.path()).unwrap());
                files += 1;
            }
        }
        files
    }

    /// What a client of it has in its environment.
    fn environment(&self) -> Vec<(&'static str, String)> {
        [
            ("AWS_ENDPOINT", format!("http://127.0.0.1:{}", self.port)),
            ("AWS_ALLOW_HTTP", "true".to_owned()),
            ("AWS_REGION", "us-east-1".to_owned()),
            ("AWS_ACCESS_KEY_ID", "test".to_owned()),
            ("AWS_SECRET_ACCESS_KEY", "test".to_owned()),
        ]
        .into()
    }
}

/// The program of the S3 server; `None`, which is said, where none is named.
#[expect(clippy::disallowed_methods, reason = "the test's server is named from outside")]
fn program() -> Option<String> {
    if let Ok(program) = std::env::var("KEYTRAIL_MOTO") {
        return Some(program);
    }
    assert!(std::env::var("KEYTRAIL_CI").is_err(), "KEYTRAIL_MOTO must name a program in CI");
    eprintln!("SKIPPED a_lake_in_a_bucket_has_the_same_rows: KEYTRAIL_MOTO names no program");
    None
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_lake_in_a_bucket_has_the_same_rows() {
    let Some(moto) = program() else { return };
    let (server, folder) = (Server::start(&moto), tempfile::tempdir().unwrap());
    let session = written(folder.path(), true).await;
    server.put("/lake", &[]);
    assert!(server.put_all(folder.path(), "/lake/keytrail") > 20, "the lake has files");
    let cluster = Cluster::within(2, server.environment());
    let all = asked(&session, 1).await;
    are_worth_comparing(&all);
    for asked in &all {
        assert_eq!(answered(&cluster, Path::new("s3://lake/keytrail"), asked), rows(&asked.answer, 1), "{}", asked.ask);
    }
    for (index, executor) in cluster.executors.iter().enumerate() {
        assert!(!executor.computed().is_empty(), "executor {index} computed something");
    }
    // What no bucket holds is an error that names it.
    let output = cluster.client(Path::new("s3://lake/elsewhere"), &["posture"]).output().unwrap();
    assert!(!output.status.success());
    assert!(String::from_utf8_lossy(&output.stderr).contains("elsewhere"), "{}", String::from_utf8_lossy(&output.stderr));
}
