//! Starting and ending the cluster, and asking it.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::time::{Duration, Instant};

use arrow::array::RecordBatch;
use tempfile::TempDir;

const BINARY: &str = env!("CARGO_BIN_EXE_keytrail-ballista");
/// How long the cluster may take to stand, and to see that somebody came or went.
const PATIENCE: Duration = Duration::from_secs(120);
/// Seconds after which a question that hangs is told, before whoever runs the tests ends them without a word.
const TIME_LIMIT: &str = "180";

/// A scheduler and executors, ended when dropped.
pub(crate) struct Cluster {
    scheduler: Child,
    /// What every process of it has in its environment.
    environment: Vec<(&'static str, String)>,
    pub(crate) address: SocketAddr,
    pub(crate) executors: Vec<Executor>,
}

pub(crate) struct Executor {
    child: Child,
    folder: TempDir,
}

/// A port that nobody listens on.
pub(crate) fn free_port() -> u16 {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
}

impl Cluster {
    /// A scheduler alone.
    pub(crate) fn without_executors() -> Self {
        Self::scheduler(Vec::new())
    }

    fn scheduler(environment: Vec<(&'static str, String)>) -> Self {
        let mut command = Command::new(BINARY);
        command.args(["scheduler", "--listen", "127.0.0.1:0"]).envs(environment.iter().cloned());
        let mut scheduler = command.stderr(Stdio::piped()).spawn().unwrap();
        let mut lines = BufReader::new(scheduler.stderr.take().unwrap());
        let mut line = String::new();
        lines.read_line(&mut line).unwrap();
        let address = line.trim().strip_prefix("scheduler at ").unwrap_or_else(|| panic!("{line}")).parse().unwrap();
        std::thread::spawn(move || lines.lines().map_while(Result::ok).for_each(|line| eprintln!("scheduler: {line}")));
        Self { scheduler, environment, address, executors: Vec::new() }
    }

    /// A scheduler, and so many executors of two cores each that it knows.
    pub(crate) fn of(executors: usize) -> Self {
        Self::within(executors, Vec::new())
    }

    /// The same, its processes and its clients with this in their environment.
    pub(crate) fn within(executors: usize, environment: Vec<(&'static str, String)>) -> Self {
        let mut cluster = Self::scheduler(environment);
        cluster.executors = (0..executors).map(|_| Executor::of(cluster.address, &cluster.environment)).collect();
        let begun = Instant::now();
        while cluster.known() != executors {
            assert!(begun.elapsed() < PATIENCE, "the scheduler knows {}", cluster.api("/api/executors"));
            std::thread::sleep(Duration::from_millis(100));
            // A port that was free a moment ago may be another's now.
            for executor in &mut cluster.executors {
                if executor.child.try_wait().unwrap().is_some() {
                    *executor = Executor::of(cluster.address, &cluster.environment);
                }
            }
        }
        cluster
    }

    fn known(&self) -> usize {
        self.api("/api/executors").as_array().unwrap().len()
    }

    /// Waits until the scheduler knows so many executors.
    pub(crate) fn wait_for(&self, executors: usize) {
        let begun = Instant::now();
        while self.known() != executors {
            assert!(begun.elapsed() < PATIENCE, "the scheduler knows {}", self.api("/api/executors"));
            std::thread::sleep(Duration::from_millis(100));
        }
    }

    /// What the scheduler's own API says.
    pub(crate) fn api(&self, path: &str) -> serde_json::Value {
        let mut stream = TcpStream::connect(self.address).unwrap();
        write!(stream, "GET {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\nAccept: application/json\r\n\r\n").unwrap();
        let mut text = String::new();
        stream.read_to_string(&mut text).unwrap();
        let body = text.split_once("\r\n\r\n").unwrap().1;
        serde_json::from_str(body).unwrap_or_else(|error| panic!("{error} in {text}"))
    }

    /// The client as a command, with the cluster and the lake named.
    pub(crate) fn client(&self, lake: &Path, arguments: &[&str]) -> Command {
        let mut command = Command::new(BINARY);
        command.envs(self.environment.iter().cloned()).args(arguments).arg("--scheduler").arg(self.address.to_string()).arg("--lake").arg(lake);
        if !arguments.contains(&"--time-limit") {
            command.args(["--time-limit", TIME_LIMIT]);
        }
        command
    }

    /// Asks, and gives the rows.
    pub(crate) fn ask(&self, lake: &Path, arguments: &[&str]) -> Vec<RecordBatch> {
        let output = self.client(lake, arguments).args(["--output", "parquet", "--partitions", "4"]).output().unwrap();
        assert!(output.status.success(), "{arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
        batches(output)
    }

    /// Ends one executor as a power cut does.
    pub(crate) fn kill(&mut self, executor: usize) {
        self.executors[executor].child.kill().unwrap();
        self.executors[executor].child.wait().unwrap();
    }
}

/// The rows of a Parquet answer.
pub(crate) fn batches(output: Output) -> Vec<RecordBatch> {
    let reader = parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder::try_new(bytes::Bytes::from(output.stdout)).unwrap();
    reader.build().unwrap().map(Result::unwrap).collect()
}

impl Executor {
    /// Of two cores, for the scheduler there.
    fn of(scheduler: SocketAddr, environment: &[(&'static str, String)]) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let child = Command::new(BINARY)
            .envs(environment.iter().cloned())
            .args(["executor", "--cores", "2", "--memory-bytes", "500000000", "--scheduler", &scheduler.to_string()])
            .args(["--listen", &format!("127.0.0.1:{}", free_port()), "--task-port", &free_port().to_string()])
            .arg("--work-dir")
            .arg(folder.path())
            .spawn()
            .unwrap();
        Self { child, folder }
    }

    /// The files that it wrote between stages: what it computed.
    pub(crate) fn computed(&self) -> Vec<PathBuf> {
        fn walk(folder: &Path, all: &mut Vec<PathBuf>) {
            for entry in std::fs::read_dir(folder).into_iter().flatten().flatten() {
                match entry.file_type() {
                    Ok(kind) if kind.is_dir() => walk(&entry.path(), all),
                    _ => all.push(entry.path()),
                }
            }
        }
        let mut all = Vec::new();
        walk(self.folder.path(), &mut all);
        all
    }
}

impl Drop for Cluster {
    fn drop(&mut self) {
        for child in self.executors.iter_mut().map(|executor| &mut executor.child).chain([&mut self.scheduler]) {
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}
