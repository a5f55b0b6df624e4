//! The doors, with the clients that people use: psql, psycopg, asyncpg, ADBC, pgJDBC, Apache Superset, an MCP client, curl's kind of HTTP, schemathesis. One server for all of
//! them, over one small demo.
//!
//! `KEYTRAIL_DOORS_PYTHON` names a Python that has the clients (`.ci/run` makes one), `KEYTRAIL_DOORS_JDBC` pgJDBC's jar, `KEYTRAIL_SUPERSET` the folder of a Python environment with Superset,
//! `psql` is the Debian package's. Where they are missing these tests say that they were skipped; under `KEYTRAIL_CI=1` that is a failure.

mod server;

use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use server::Server;

#[expect(clippy::disallowed_methods, reason = "the test's clients are named from outside")]
fn python() -> Option<String> {
    if let Ok(python) = std::env::var("KEYTRAIL_DOORS_PYTHON") {
        return Some(python);
    }
    assert!(std::env::var("KEYTRAIL_CI").is_err(), "KEYTRAIL_DOORS_PYTHON must name a Python in CI");
    None
}

/// The Python of an environment that has Apache Superset.
#[expect(clippy::disallowed_methods, reason = "the test's clients are named from outside")]
fn superset() -> Option<String> {
    if let Ok(folder) = std::env::var("KEYTRAIL_SUPERSET") {
        return Some(format!("{folder}/bin/python"));
    }
    assert!(std::env::var("KEYTRAIL_CI").is_err(), "KEYTRAIL_SUPERSET must name the folder of an environment with Superset in CI");
    None
}

#[test]
fn every_door_answers_the_same_to_real_clients() {
    let server = Server::start();
    std::thread::scope(|scope| {
        // Two at a time: the bounds of the server are for questions and not for a busy machine.
        let mut clients = vec![scope.spawn(|| psql(&server))];
        match python() {
            None => eprintln!("SKIPPED psycopg, asyncpg, ADBC, pgJDBC, MCP, HTTP, schemathesis: KEYTRAIL_DOORS_PYTHON names no Python"),
            Some(python) => {
                for lane in [
                    ["http_api.py", "assistant.py"].as_slice(),
                    &["postgres_psycopg.py", "postgres_asyncpg.py", "postgres_adbc.py", "postgres_sqlalchemy.py", "postgres_jdbc.py"],
                ] {
                    let (server, python) = (&server, python.clone());
                    clients.push(scope.spawn(move || lane.iter().for_each(|script| server.client(&python, script))));
                }
            }
        }
        match superset() {
            None => eprintln!("SKIPPED Superset: KEYTRAIL_SUPERSET names no folder"),
            Some(python) => clients.push(scope.spawn({
                let server = &server;
                move || server.client(&python, "bi_superset.py")
            })),
        }
        clients.into_iter().for_each(|client| client.join().expect("each client finds what it should"));
    });
    if let Some(python) = python() {
        schemathesis(&server, &python);
    }
    live(&server);
    slow_reader(&server);
    many_connections(&server);
    broken_messages(&server);
    revoked(&server);
    // Last: who asked what stands in the record, and no token does.
    recorded(&server);
}

fn psql(server: &Server) {
    if Command::new("psql").arg("--version").stdout(Stdio::null()).status().is_err() {
        assert!(python().is_none(), "psql must be there where the other clients are");
        return eprintln!("SKIPPED psql: there is none");
    }
    let ask = |sql: &str| {
        let mut command = Command::new("psql");
        command.env_clear().env("PATH", "/usr/bin:/bin").env("PGPASSWORD", &server.analyst).args([
            "-h",
            "127.0.0.1",
            "-p",
            &server.postgres.to_string(),
            "-U",
            "ann",
        ]);
        let output = command.args(["-d", "keytrail", "-X", "-A", "-t", "-c", sql]).output().unwrap();
        (output.status.success(), String::from_utf8_lossy(&output.stdout).into_owned(), String::from_utf8_lossy(&output.stderr).into_owned())
    };
    for (meta, told) in [
        ("\\d", "events"),
        ("\\d events", "identity"),
        ("\\dt", "events"),
        ("\\df", "touched"),
        ("\\l", "keytrail"),
        ("\\dn", "public"),
        ("\\conninfo", "keytrail"),
    ] {
        let (well, out, err) = ask(meta);
        assert!(well && out.contains(told), "{meta}: {out} {err}");
    }
    let (well, out, err) = ask("SELECT destination, count FROM touched('svc-deploy') LIMIT 3");
    assert!(well && out.lines().count() == 3, "{out} {err}");
    assert!(err.contains("NOTICE:"), "the coverage line is a notice: {err}");
    let (well, _, err) = ask("DELETE FROM events");
    assert!(!well && err.contains("only read"), "{err}");
    let (well, _, err) = ask("SELECT * FROM touched('svc-deplyo')");
    assert!(!well && err.contains("nearest: ") && err.contains("svc-deploy"), "{err}");
}

/// Properties of the OpenAPI document, tried with requests that schemathesis makes up.
fn schemathesis(server: &Server, python: &str) {
    let program = std::path::Path::new(python).with_file_name("schemathesis");
    let output = Command::new(program)
        .args(["run", &format!("{}/openapi.json", server.url()), "--header", &format!("Authorization: Bearer {}", server.admin)])
        // A live stream does not end by itself, and a name that is made up is none.
        .args(["--exclude-path", "/v1/live", "--max-examples", "4", "--phases", "examples,coverage,fuzzing", "--seed", "1", "--workers", "1", "--no-color"])
        .args(["--exclude-checks", "positive_data_acceptance,ignored_auth"])
        .env("HOME", server.home.path())
        .current_dir(server.home.path())
        .output()
        .expect("schemathesis runs");
    assert!(output.status.success(), "{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
}

/// A finding is told to who listens, while another process reads the file that it comes from.
fn live(server: &Server) {
    let mut listener = TcpStream::connect(("127.0.0.1", server.http)).unwrap();
    listener.set_read_timeout(Some(Duration::from_secs(1))).unwrap();
    write!(listener, "GET /v1/live HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer {}\r\n\r\n", server.analyst).unwrap();
    let mut heard = Vec::new();
    let mut hear = |until: &[u8], most: Duration| {
        let began = Instant::now();
        while !heard.windows(until.len()).any(|window| window == until) {
            assert!(began.elapsed() < most, "only this was heard: {}", String::from_utf8_lossy(&heard));
            let mut bytes = [0; 4_096];
            if let Ok(read) = listener.read(&mut bytes) {
                heard.extend_from_slice(&bytes[..read]);
            }
        }
    };
    hear(b"text/event-stream", Duration::from_secs(10));
    // What stands in the lake is looked at once before anything is news.
    std::thread::sleep(Duration::from_secs(3));
    let newest = server.sql_as_auditor("SELECT to_char(max(time) + INTERVAL '1 hour', '%Y-%m-%dT%H:%M:%SZ') AS t FROM events");
    let mut record = crate::estate::cloudtrail(
        1,
        "svc-deploy",
        "AKIALIVE000000000001",
        "cloudtrail.amazonaws.com",
        "StopLogging",
        serde_json::json!({ "name": "org-trail" }),
    );
    record["eventTime"] = newest[0]["t"].clone();
    let file = server.home.file("live.json", record.to_string());
    server.home.ingest(&["--format", "cloudtrail", file.to_str().unwrap()]);
    hear(b"event: finding", Duration::from_secs(30));
}

/// A reader that takes nothing costs the server a few batches and a place for a moment.
fn slow_reader(server: &Server) {
    let statement = r#"{"sql":"SELECT a.*, b.event_id AS other FROM events a CROSS JOIN events b"}"#;
    let mut reader = TcpStream::connect(("127.0.0.1", server.http)).unwrap();
    write!(
        reader,
        "POST /v1/sql?format=ndjson HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer {}\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\r\n{statement}",
        server.analyst,
        statement.len()
    )
    .unwrap();
    let mut first = [0; 64];
    reader.read_exact(&mut first).unwrap();
    assert!(first.starts_with(b"HTTP/1.1 200"), "{}", String::from_utf8_lossy(&first));
    let given_up = |server: &Server| {
        server.sql_as_auditor("SELECT count(*) AS n FROM queries WHERE text LIKE '%CROSS JOIN events b%' AND outcome = 'stopped' AND milliseconds < 12000")[0]["n"].as_i64()
    };
    let began = Instant::now();
    while given_up(server) == Some(0) {
        assert!(began.elapsed() < Duration::from_secs(15), "the answer to a reader that takes nothing is still held");
        std::thread::sleep(Duration::from_millis(200));
    }
}

/// Connections that say nothing keep nobody out.
fn many_connections(server: &Server) {
    let idle: Vec<TcpStream> = (0..400).map(|_| TcpStream::connect(("127.0.0.1", server.http)).unwrap()).collect();
    let wire: Vec<TcpStream> = (0..100).map(|_| TcpStream::connect(("127.0.0.1", server.postgres)).unwrap()).collect();
    assert_eq!(server.get("/health").0, 200);
    assert_eq!(server.get("/v1/coverage").0, 200);
    drop((idle, wire));
}

/// Bytes that are no messages end their connection, and nothing else.
fn broken_messages(server: &Server) {
    let mut random = 0x2545_f491_4f6c_dd1d_u64;
    let mut next = move || {
        random ^= random << 13;
        random ^= random >> 7;
        random ^= random << 17;
        random.to_be_bytes()
    };
    let startup = b"\0\0\0\x21\0\x03\0\0user\0ann\0database\0keytrail\0\0";
    for round in 0..200 {
        let mut stream = TcpStream::connect(("127.0.0.1", server.postgres)).unwrap();
        stream.set_read_timeout(Some(Duration::from_millis(20))).unwrap();
        if round % 2 == 0 {
            let _ = stream.write_all(startup);
            let _ = stream.write_all(&[b'p', 0, 0, 0, 200]);
        }
        let noise: Vec<u8> = (0..round).flat_map(|_| next()).collect();
        let _ = stream.write_all(&noise);
        let _ = stream.read(&mut [0; 64]);
        let mut stream = TcpStream::connect(("127.0.0.1", server.http)).unwrap();
        let _ = stream.write_all(b"GET /v1/touched?identity=%ff%00 HTTP/1.1\r\nHost: x\r\n");
        let _ = stream.write_all(&noise);
    }
    assert_eq!(server.get("/v1/coverage").0, 200, "the server goes on");
}

/// A revoked token is refused within a second, on what is open too.
fn revoked(server: &Server) {
    let token = server.token("leaver", &[]);
    assert_eq!(server.get_as(&token, "/v1/coverage").0, 200);
    let done = server.home.command(&["tokens", "revoke", "leaver"]).output().unwrap();
    assert!(done.status.success());
    std::thread::sleep(Duration::from_millis(900));
    assert_eq!(server.get_as(&token, "/v1/coverage").0, 401);
}

fn recorded(server: &Server) {
    let rows = server.sql_as_auditor("SELECT door, count(*) AS n FROM queries GROUP BY door");
    for door in if python().is_some() { vec!["cli", "http", "postgres", "mcp"] } else { vec!["http"] } {
        assert!(rows.iter().any(|row| row["door"] == door && row["n"].as_i64() > Some(0)), "{door} is not in {rows:?}");
    }
    let outcomes = server.sql_as_auditor("SELECT DISTINCT outcome FROM queries");
    for outcome in ["done", "stopped"] {
        assert!(outcomes.iter().any(|row| row["outcome"] == outcome), "{outcomes:?}");
    }
    let mut folders = vec![server.home.path().to_owned()];
    let secrets: Vec<&str> = [&server.analyst, &server.admin].into_iter().map(|token| token.rsplit('_').next().unwrap()).collect();
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()) {
            if entry.is_dir() {
                folders.push(entry);
            } else if let Ok(bytes) = std::fs::read(&entry) {
                for secret in &secrets {
                    assert!(!bytes.windows(secret.len()).any(|window| window == secret.as_bytes()), "{} holds a token", entry.display());
                }
            }
        }
    }
}
