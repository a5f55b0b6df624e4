//! A real OPC UA server on loopback, and its clients: node-opcua, in the folder that `KEYTRAIL_NODE_OPCUA` names. Where it is not set the tests say that
//! they were skipped; under `KEYTRAIL_CI=1` that is a failure.

use std::io::{BufRead as _, BufReader, Write as _};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, Command, Output, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::time::Duration;

/// The folder of node-opcua.
#[expect(clippy::disallowed_methods, reason = "the test's servers are named from outside")]
pub fn library(test: &str) -> Option<PathBuf> {
    if let Ok(folder) = std::env::var("KEYTRAIL_NODE_OPCUA") {
        return Some(folder.into());
    }
    assert!(std::env::var("KEYTRAIL_CI").is_err(), "KEYTRAIL_NODE_OPCUA must name the folder of node-opcua in CI");
    eprintln!("SKIPPED {test}: KEYTRAIL_NODE_OPCUA names no folder");
    None
}

fn node(library: &Path, script: &str) -> Command {
    let mut command = Command::new("node");
    // Node 20 refuses the encryption of passwords that OPC UA uses.
    command.arg("--security-revert=CVE-2023-46809").arg(Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/opcua").join(script));
    command.env("NODE_PATH", library.join("node_modules"));
    command
}

/// A server, ended when the test does.
pub struct Server {
    process: Child,
    orders: ChildStdin,
    said: Receiver<String>,
    pub port: u16,
}

impl Server {
    /// Starts it on `port`, with its certificate in `folder`; `mode` is how it misbehaves.
    pub fn start(library: &Path, port: u16, folder: &Path, mode: &str) -> Self {
        let mut command = node(library, "server.js");
        command.arg(port.to_string()).arg(folder).arg(mode);
        let mut process = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::null()).spawn().expect("node runs");
        let (send, said) = channel();
        let lines = BufReader::new(process.stdout.take().unwrap()).lines();
        std::thread::spawn(move || lines.map_while(Result::ok).for_each(|line| drop(send.send(line))));
        let orders = process.stdin.take().unwrap();
        let server = Self { process, orders, said, port };
        server.hear("ready");
        server
    }

    pub fn url(&self) -> String {
        format!("opc.tcp://127.0.0.1:{}/plant", self.port)
    }

    /// Tells it to do something, and waits until it has.
    pub fn order(&mut self, order: &str) {
        writeln!(self.orders, "{order}").unwrap();
        self.hear(&format!("done {}", order.split(' ').next().unwrap()));
    }

    fn hear(&self, word: &str) {
        loop {
            let line = self.said.recv_timeout(Duration::from_secs(60)).unwrap_or_else(|_| panic!("the server does not say {word:?}"));
            if line == word {
                return;
            }
        }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// Lets clients of these kinds come and go; a user certificate is made for those that come with one.
pub fn clients(library: &Path, url: &str, folder: &Path, kinds: &[&str]) {
    if kinds.contains(&"certificate") && !folder.join("user.der").exists() {
        let mut openssl = Command::new("openssl");
        openssl.args(["req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "30", "-subj", "/CN=vendor-7", "-outform", "DER", "-keyout"]);
        let made = openssl.arg(folder.join("user.pem")).arg("-out").arg(folder.join("user.der")).output().expect("openssl runs");
        assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
    }
    let Output { status, stdout, stderr } = node(library, "clients.js").arg(url).arg(folder).args(kinds).output().expect("node runs");
    let said = String::from_utf8_lossy(&stdout);
    assert!(status.success(), "{said}{}", String::from_utf8_lossy(&stderr));
    for kind in kinds {
        let end = if *kind == "wrong" { "wrong refused" } else { &format!("{kind} done") };
        assert!(said.contains(end), "{said}");
    }
}
