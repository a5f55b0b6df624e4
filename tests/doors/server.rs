//! `keytrail serve` over a small demo, with tokens of several kinds; ended with its test.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::TcpStream;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use serde_json::Value;

use crate::estate::{Home, stderr};

pub struct Server {
    pub home: Home,
    pub http: u16,
    pub postgres: u16,
    pub analyst: String,
    pub admin: String,
    auditor: String,
    scoped: String,
    process: Child,
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

impl Server {
    /// Simulates, makes tokens, opens the doors.
    pub fn start() -> Self {
        let home = Home::new();
        let output = home.run(&["demo", "--days", "4", "--identities", "60", "--no-serve", "--quiet"]);
        assert!(output.status.success(), "{}", stderr(&output));
        // Bounds that a test reaches in seconds.
        home.file("keytrail.toml", "[query]\ntime_limit_seconds = 15\n[serve]\nreader_ms_max = 1500\nper_user_max = 12\n");
        let token = |name: &str, more: &[&str]| token(&home, name, more);
        let (analyst, auditor, admin) = (token("ann", &[]), token("aud", &["--role", "auditor"]), token("adm", &["--role", "admin", "--expires", "1d"]));
        let scoped = token("gate", &["--question", "touched"]);
        let refused = home.run(&["serve", "--listen", "0.0.0.0:0", "--no-auth"]);
        assert!(refused.status.code() == Some(2) && stderr(&refused).contains("loopback only"), "{}", stderr(&refused));
        let refused = home.run(&["serve", "--listen", "0.0.0.0:0"]);
        assert!(refused.status.code() == Some(2) && stderr(&refused).contains("in the clear"), "{}", stderr(&refused));
        let log = std::fs::File::create(home.path().join("server.log")).unwrap();
        let mut process = home
            .command(&["serve", "--listen", "127.0.0.1:0", "--postgres", "127.0.0.1:0"])
            .env("KEYTRAIL_LOG_LEVEL", "trace")
            .stdout(log)
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let mut lines = BufReader::new(process.stderr.take().unwrap()).lines();
        let (mut http, mut postgres) = (None, None);
        let mut log = std::fs::File::create(home.path().join("server.err")).unwrap();
        for line in lines.by_ref().map(|line| line.unwrap()) {
            let number = |after: &str| {
                line.split(after).nth(1).and_then(|rest| rest.split(|c: char| !c.is_ascii_digit()).next()).and_then(|port| port.parse::<u16>().ok())
            };
            if line.starts_with("HTTP") {
                http = number("://127.0.0.1:");
            } else if line.starts_with("PostgreSQL") {
                postgres = number("-p ");
            }
            let _ = writeln!(log, "{line}");
            if http.is_some() && postgres.is_some() {
                break;
            }
        }
        // What the server says is kept, to be searched for what must not be there.
        std::thread::spawn(move || lines.map_while(Result::ok).for_each(|line| drop(writeln!(log, "{line}"))));
        let (http, postgres) = (http.expect("HTTP is open"), postgres.expect("the wire is open"));
        let server = Self { home, http, postgres, analyst, admin, auditor, scoped, process };
        let began = Instant::now();
        while server.get("/health").0 != 200 {
            assert!(began.elapsed() < Duration::from_secs(20), "the server does not answer");
            std::thread::sleep(Duration::from_millis(50));
        }
        server
    }

    pub fn url(&self) -> String {
        format!("http://127.0.0.1:{}", self.http)
    }

    /// A new token.
    pub fn token(&self, name: &str, more: &[&str]) -> String {
        token(&self.home, name, more)
    }

    /// Runs one of the Python clients.
    pub fn client(&self, python: &str, script: &str) {
        let scripts = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/doors");
        let mut command = Command::new(python);
        command.current_dir(scripts).env("PYTHONDONTWRITEBYTECODE", "1").arg(script).stdin(Stdio::null());
        command.envs([
            ("DOOR_HTTP", self.url()),
            ("DOOR_POSTGRES", self.postgres.to_string()),
            ("DOOR_TOKEN", self.analyst.clone()),
            ("DOOR_ADMIN", self.admin.clone()),
        ]);
        command.env("DOOR_SCOPED", &self.scoped).env("DOOR_KEYTRAIL", env!("CARGO_BIN_EXE_keytrail")).env("DOOR_DIR", self.home.data());
        let output = command.output().expect("Python runs");
        assert!(output.status.success(), "{script}: {}{}", String::from_utf8_lossy(&output.stdout), stderr(&output));
        eprint!("{}", String::from_utf8_lossy(&output.stdout));
    }

    /// Status and body of a GET, as the analyst.
    pub fn get(&self, path: &str) -> (u16, String) {
        self.get_as(&self.analyst, path)
    }

    pub fn get_as(&self, token: &str, path: &str) -> (u16, String) {
        self.request(&format!("GET {path} HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer {token}\r\nConnection: close\r\n\r\n"))
    }

    /// Rows of a statement, as the auditor.
    pub fn sql_as_auditor(&self, sql: &str) -> Vec<Value> {
        let body = serde_json::json!({ "sql": sql }).to_string();
        let head = format!(
            "Host: localhost\r\nAuthorization: Bearer {}\r\nContent-Type: application/json\r\nContent-Length: {}\r\nConnection: close",
            self.auditor,
            body.len()
        );
        let (status, body) = self.request(&format!("POST /v1/sql?format=ndjson HTTP/1.1\r\n{head}\r\n\r\n{body}"));
        assert_eq!(status, 200, "{body}");
        body.lines().filter(|line| line.starts_with('{')).map(|line| serde_json::from_str(line).unwrap()).collect()
    }

    fn request(&self, request: &str) -> (u16, String) {
        let mut stream = TcpStream::connect(("127.0.0.1", self.http)).unwrap();
        stream.write_all(request.as_bytes()).unwrap();
        let mut answer = Vec::new();
        let _ = stream.read_to_end(&mut answer);
        let answer = String::from_utf8_lossy(&answer).into_owned();
        let status = answer.split_whitespace().nth(1).and_then(|status| status.parse().ok()).unwrap_or(0);
        (status, answer.split_once("\r\n\r\n").map(|(_, body)| body.to_owned()).unwrap_or_default())
    }
}

fn token(home: &Home, name: &str, more: &[&str]) -> String {
    let output = home.run(&[&["tokens", "create", name], more].concat());
    assert!(output.status.success(), "{}", stderr(&output));
    String::from_utf8(output.stdout).unwrap().trim().to_owned()
}
