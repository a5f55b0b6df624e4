//! What each part of the detector brings: the same log is judged anew without it, and what is found is measured against the labels of a hard estate.
//!
//!     cargo bench --bench ablations
//!
//! `KEYTRAIL_BENCH_DAYS` (default 90), `KEYTRAIL_BENCH_IDENTITIES` (default 500) and `KEYTRAIL_BENCH_SEED` (default 11) make the estate; `KEYTRAIL_BENCH_DIR` names
//! a data folder that `keytrail demo --level hard --no-serve` made before. Its findings are those of the whole detector again at the end.
//!
//! A part is an aspect of behaviour (`detect.baseline.aspects_off`), all that learns (every aspect), or a budget other than the default of three a day. Each row: attacks found, the
//! area under precision and recall of the queue, findings about no attack a day.

#![allow(clippy::disallowed_methods, clippy::unwrap_used, missing_docs, reason = "a benchmark reads its size from the environment and ends on any failure")]

use std::path::{Path, PathBuf};
use std::process::Command;

use keytrail_detect::baseline::Aspect;
use serde_json::Value;

fn setting(name: &str, default: &str) -> String {
    std::env::var(name).unwrap_or_else(|_| default.to_owned())
}

fn keytrail(dir: &Path, config: &Path, arguments: &[&str]) -> String {
    let output = Command::new(env!("CARGO_BIN_EXE_keytrail")).args(["--quiet", "--config"]).arg(config).arg("--dir").arg(dir).args(arguments).output().unwrap();
    assert!(output.status.success(), "keytrail {arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}

/// Judges anew under a configuration, and prints how it did.
fn judge(dir: &Path, name: &str, config: &str) {
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(file.path(), config).unwrap();
    keytrail(dir, file.path(), &["rebuild"]);
    let labels = dir.join("demo-logs/labels.json");
    let score = keytrail(dir, file.path(), &["evaluate", "--labels", labels.to_str().unwrap(), "--output", "ndjson"]);
    let rows: Vec<Value> = score.lines().filter_map(|line| serde_json::from_str(line).ok()).collect();
    let of = |metric: &str| rows.iter().find(|row| row["detector"] == "keytrail" && row["metric"] == metric);
    let number = |metric: &str| of(metric).and_then(|row| row["value"].as_f64()).unwrap_or(f64::NAN);
    let found = of("recall").and_then(|row| row["detail"].as_str()).unwrap_or_default();
    println!("{name:<28}{found:>12}{:>22.3}{:>22.2}", number("average_precision"), number("unmatched_a_day"));
}

fn main() {
    let temporary = tempfile::tempdir().unwrap();
    let dir = std::env::var_os("KEYTRAIL_BENCH_DIR").map_or_else(|| temporary.path().join("data"), PathBuf::from);
    if !dir.join("demo-logs/labels.json").exists() {
        let empty = tempfile::NamedTempFile::new().unwrap();
        let (days, identities, seed) =
            (setting("KEYTRAIL_BENCH_DAYS", "90"), setting("KEYTRAIL_BENCH_IDENTITIES", "500"), setting("KEYTRAIL_BENCH_SEED", "11"));
        keytrail(&dir, empty.path(), &["demo", "--level", "hard", "--days", &days, "--identities", &identities, "--seed", &seed, "--no-serve"]);
    }
    println!("{:<28}{:>12}{:>22}{:>22}", "without", "found", "average precision", "about nothing a day");
    judge(&dir, "nothing (all of it)", "");
    let aspects = Aspect::ALL.map(Aspect::name);
    for aspect in aspects {
        judge(&dir, aspect, &format!("[detect.baseline]\naspects_off = [{aspect:?}]\n"));
    }
    judge(&dir, "all that is learned", &format!("[detect.baseline]\naspects_off = {aspects:?}\n"));
    for budget in ["1.0", "10.0"] {
        judge(&dir, &format!("(a budget of {budget})"), &format!("[detect.baseline]\nfindings_per_day = {budget}\n"));
    }
    judge(&dir, "nothing, again", "");
}
