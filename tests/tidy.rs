//! The shape of the repository, held by a test: ARCHITECTURE.md's table of rooms.

use std::collections::BTreeMap;
use std::path::Path;

/// Which members a member may import. The binary is the only composer.
const MAY_IMPORT: &[(&str, &[&str])] = &[
    ("keytrail-schemas", &[]),
    ("keytrail-unify", &[]),
    ("keytrail-ingest", &["keytrail-schemas"]),
    ("keytrail-log", &["keytrail-schemas"]),
    ("keytrail-detect", &["keytrail-schemas"]),
    ("keytrail-lake", &["keytrail-schemas"]),
    ("keytrail-query", &["keytrail-schemas"]),
    ("keytrail-serve", &["keytrail-schemas", "keytrail-query"]),
    ("keytrail-forward", &["keytrail-schemas"]),
    ("keytrail-estate", &[]),
    ("keytrail-live", &["keytrail-schemas"]),
    (
        "keytrail",
        &[
            "keytrail-schemas",
            "keytrail-ingest",
            "keytrail-log",
            "keytrail-detect",
            "keytrail-lake",
            "keytrail-query",
            "keytrail-serve",
            "keytrail-forward",
            "keytrail-estate",
            "keytrail-live",
        ],
    ),
];

/// What stands outside the workspace, for few need it, composes as the binary does: `(folder, package, members)`.
const OUTSIDE: &[(&str, &str, &[&str])] =
    &[("fuzz", "keytrail-fuzz", &["keytrail-schemas", "keytrail-ingest"]), ("ballista", "keytrail-ballista", &["keytrail-schemas", "keytrail-query"])];

/// What a member must not know, whichever way it would come in.
const MUST_NOT_DEPEND: &[(&str, &[&str])] = &[
    ("keytrail-schemas", &["tokio", "datafusion", "fjall"]),
    ("keytrail-detect", &["tokio", "rand", "rayon", "datafusion", "fjall"]),
    ("keytrail-ingest", &["datafusion", "deltalake", "fjall", "rdkafka"]),
    ("keytrail-log", &["tokio", "datafusion", "deltalake"]),
    ("keytrail-forward", &["datafusion", "deltalake"]),
    ("keytrail-estate", &["tokio", "datafusion", "rand"]),
    ("keytrail-live", &["datafusion", "deltalake", "fjall", "rdkafka"]),
];

fn packages() -> BTreeMap<String, Vec<String>> {
    let output = std::process::Command::new(env!("CARGO"))
        .args(["metadata", "--format-version", "1", "--no-deps", "--offline", "--manifest-path"])
        .arg(Path::new(env!("CARGO_MANIFEST_DIR")).join("Cargo.toml"))
        .output()
        .expect("cargo runs");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let metadata: serde_json::Value = serde_json::from_slice(&output.stdout).expect("cargo metadata is JSON");
    let names = |package: &serde_json::Value| {
        let normal = package["dependencies"].as_array().unwrap().iter().filter(|d| d["kind"].is_null());
        normal.map(|d| d["name"].as_str().unwrap().to_owned()).collect()
    };
    metadata["packages"].as_array().unwrap().iter().map(|p| (p["name"].as_str().unwrap().to_owned(), names(p))).collect()
}

#[test]
fn members_import_what_they_may() {
    let packages = packages();
    let declared: Vec<_> = MAY_IMPORT.iter().map(|(name, _)| (*name).to_owned()).collect();
    for (name, dependencies) in &packages {
        assert!(declared.contains(name), "{name} has no row in MAY_IMPORT: give it a room in ARCHITECTURE.md first");
        let (_, allowed) = MAY_IMPORT.iter().find(|(member, _)| member == name).unwrap();
        for dependency in dependencies.iter().filter(|d| d.starts_with("keytrail")) {
            assert!(allowed.contains(&dependency.as_str()), "{name} must not import {dependency}");
        }
    }
    for (name, forbidden) in MUST_NOT_DEPEND {
        let found: Vec<_> = forbidden.iter().filter(|dependency| packages[*name].iter().any(|package| package == *dependency)).collect();
        assert!(found.is_empty(), "{name} must not depend on {found:?}");
    }
}

/// Name and versions of every package of a lock file.
fn locked(path: &str) -> BTreeMap<String, Vec<String>> {
    let mut versions: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for package in text(path).split("[[package]]").skip(1) {
        let field = |name: &str| package.lines().find_map(|line| line.strip_prefix(&format!("{name} = \""))?.strip_suffix('"')).unwrap_or_default().to_owned();
        versions.entry(field("name")).or_default().push(field("version"));
    }
    versions
}

#[test]
fn what_stands_outside_the_workspace_composes_and_is_built_of_the_same_versions() {
    let architecture = text("ARCHITECTURE.md");
    for (folder, package, members) in OUTSIDE {
        assert!(architecture.contains(&format!("`{folder}/`")), "ARCHITECTURE.md does not mention {folder}/");
        let manifest: toml::Table = text(&format!("{folder}/Cargo.toml")).parse().unwrap();
        assert_eq!(manifest["package"]["name"].as_str(), Some(*package));
        let own = manifest["dependencies"].as_table().unwrap().keys().filter(|name| name.starts_with("keytrail"));
        for member in own {
            assert!(members.contains(&member.as_str()), "{package} must not import {member}");
        }
    }
    // What is read with one version of these must not be written, or planned, with another.
    let (workspace, ballista) = (locked("Cargo.lock"), locked("ballista/Cargo.lock"));
    let mut held = 0;
    for (name, versions) in &ballista {
        if ["arrow", "parquet", "datafusion", "deltalake", "object_store", "tokio"]
            .iter()
            .any(|shared| name == shared || name.starts_with(&format!("{shared}-")))
        {
            let Some(known) = workspace.get(name) else { continue };
            assert_eq!(versions, known, "{name}: ballista/Cargo.lock is the workspace's with what Ballista adds");
            held += 1;
        }
    }
    assert!(held > 30, "only {held} packages were held against the workspace's");
}

#[test]
fn the_root_holds_what_a_stranger_looks_for() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    for file in
        ["README.md", "ARCHITECTURE.md", "CHANGELOG.md", "LICENSE", "docker-compose.yml", "deny.toml", "clippy.toml", ".ci/run", "rules", "docs/decisions"]
    {
        assert!(root.join(file).exists(), "{file} is missing");
    }
    let architecture = std::fs::read_to_string(root.join("ARCHITECTURE.md")).unwrap();
    for (member, _) in MAY_IMPORT {
        assert!(architecture.contains(member), "ARCHITECTURE.md does not mention {member}");
    }
}

const COMPOSE: [&str; 2] = ["docker-compose.yml", "deploy/one-machine/docker-compose.yml"];

fn text(path: &str) -> String {
    std::fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join(path)).unwrap_or_else(|error| panic!("{path}: {error}"))
}

fn yaml(path: &str) -> serde_json::Value {
    yaml_serde::from_str(&text(path)).unwrap_or_else(|error| panic!("{path}: {error}"))
}

/// What stands under `deploy/` with this extension, seen from the root.
fn deployed(extension: &str) -> Vec<String> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let (mut folders, mut found) = (vec![root.join("deploy")], Vec::new());
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(&folder).unwrap().map(|entry| entry.unwrap().path()) {
            if entry.is_dir() {
                folders.push(entry);
            } else if entry.extension().is_some_and(|ext| ext == extension) {
                found.push(entry.strip_prefix(root).unwrap().to_str().unwrap().to_owned());
            }
        }
    }
    found
}

#[test]
fn docker_compose_is_yaml_with_pinned_images_and_no_default_secrets() {
    for path in COMPOSE {
        let compose = yaml(path);
        for (name, service) in compose["services"].as_object().expect("services") {
            let image = service["image"].as_str().unwrap_or_else(|| panic!("{path}: {name} has no image"));
            assert!(image.contains(':') && !image.ends_with(":latest"), "{path}: {name}: {image} is not pinned");
        }
        for line in text(path).lines().map(str::trim).filter(|line| !line.starts_with('#')) {
            let Some((name, value)) = line.split_once(": ") else { continue };
            if ["PASSWORD", "SECRET", "ACCESS_KEY", "TOKEN"].iter().any(|word| name.to_ascii_uppercase().contains(word)) {
                assert!(value.starts_with("${") && value.contains(":?"), "{path}: {name} has a default");
            }
        }
    }
    let services = yaml("docker-compose.yml");
    for role in ["topics", "collect", "detect", "store", "forward"] {
        assert!(!services["services"][role]["build"].is_null(), "docker-compose.yml has no {role}");
    }
}

/// The commands of `src/cli.rs`, as they are typed.
fn commands(cli: &str) -> Vec<String> {
    let variants = cli.split("pub enum Command {").nth(1).and_then(|rest| rest.split("\n}").next()).expect("the commands stand in `pub enum Command`");
    let variants = variants.lines().map(str::trim).filter(|line| line.starts_with(|first: char| first.is_ascii_uppercase()));
    variants.map(|line| typed(line.split(['(', ',']).next().unwrap_or_default())).collect()
}

/// `WhoTouched` is typed `who-touched`.
fn typed(variant: &str) -> String {
    let mut name = String::new();
    for letter in variant.chars() {
        if letter.is_ascii_uppercase() && !name.is_empty() {
            name.push('-');
        }
        name.push(letter.to_ascii_lowercase());
    }
    name
}

#[test]
fn what_is_deployed_calls_commands_and_options_that_there_are() {
    let cli = text("src/cli.rs");
    let commands = commands(&cli);
    assert!(commands.iter().any(|command| command == "who-touched"), "{commands:?}");
    let known = |place: &str, arguments: &[&str]| {
        let first = arguments.first().copied().unwrap_or_default();
        assert!(commands.iter().any(|command| command == first), "{place}: keytrail has no command {first:?}");
        for option in arguments.iter().filter_map(|argument| argument.strip_prefix("--")) {
            assert!(cli.contains(&format!(" {}:", option.replace('-', "_"))), "{place}: keytrail has no option --{option}");
        }
    };
    for path in COMPOSE {
        let compose = yaml(path);
        let built: Vec<_> = compose["services"].as_object().expect("services").iter().filter(|(_, service)| !service["build"].is_null()).collect();
        assert!(!built.is_empty(), "{path}: nothing is built");
        for (name, service) in built {
            let command: Vec<_> = service["command"].as_array().expect("a command").iter().map(|word| word.as_str().expect("a word")).collect();
            known(&format!("{path}: {name}"), &command);
        }
    }
    let units = deployed("service");
    assert!(!units.is_empty());
    for path in units {
        let unit = text(&path);
        let line = unit.lines().find_map(|line| line.strip_prefix("ExecStart=/usr/local/bin/keytrail ")).unwrap_or_else(|| panic!("{path} starts nothing"));
        known(&path, &line.split_whitespace().collect::<Vec<_>>());
    }
}

#[test]
fn what_is_deployed_can_be_read() {
    let mut read = 0;
    for path in deployed("yml").iter().map(String::as_str).chain(["deploy/helm/keytrail/Chart.yaml", "deploy/helm/keytrail/values.yaml"]) {
        assert!(yaml(path).is_object(), "{path}");
        read += 1;
    }
    assert!(read >= 8, "only {read} files were read");
    let home = crate::estate::Home::new();
    let values = yaml("deploy/helm/keytrail/values.yaml");
    let of_chart = values["config"].as_str().expect("values.yaml has `config`");
    let mut configurations = vec![home.file("values.toml", of_chart)];
    configurations.extend(deployed("toml").iter().map(|path| Path::new(env!("CARGO_MANIFEST_DIR")).join(path)));
    for path in configurations {
        let output = home.run(&["config", "--config", path.to_str().unwrap()]);
        assert!(output.status.success(), "{}: {}", path.display(), String::from_utf8_lossy(&output.stderr));
    }
}

#[test]
fn the_dashboard_shows_the_metrics_that_there_are() {
    let telemetry = text("src/telemetry.rs");
    let known: Vec<String> = telemetry.split('"').filter(|name| name.starts_with("keytrail.")).map(|name| name.replace('.', "_")).collect();
    assert!(known.len() >= 8, "{known:?}");
    // What the exporter for Prometheus puts behind a name: for a counter, for a unit, and for seconds in a histogram.
    let suffixes = ["", "_total", "_microseconds", "_seconds_bucket", "_seconds_sum", "_seconds_count"];
    let dashboards = deployed("json");
    assert!(!dashboards.is_empty());
    for path in dashboards {
        let dashboard = text(&path);
        let parsed: serde_json::Value = serde_json::from_str(&dashboard).unwrap_or_else(|error| panic!("{path}: {error}"));
        assert!(!parsed["panels"].as_array().expect("panels").is_empty(), "{path}");
        let words = dashboard.split(|letter: char| !letter.is_ascii_alphanumeric() && letter != '_');
        for word in words.filter(|word| word.starts_with("keytrail_")) {
            let there = known.iter().any(|name| word.strip_prefix(name.as_str()).is_some_and(|rest| suffixes.contains(&rest)));
            assert!(there, "{path}: keytrail has no metric {word}");
        }
        for name in &known {
            assert!(dashboard.contains(name.as_str()), "{path} does not show {name}");
        }
    }
}

#[test]
fn every_module_says_what_it_owns() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut folders = vec![root.join("src"), root.join("tests")];
    folders
        .extend(["schemas", "ingest", "log", "detect", "lake", "query", "serve", "forward", "estate", "ballista"].map(|member| root.join(member).join("src")));
    let mut seen = 0;
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(&folder).unwrap().map(|entry| entry.unwrap().path()) {
            if entry.is_dir() {
                folders.push(entry);
            } else if entry.extension().is_some_and(|ext| ext == "rs") {
                let text = std::fs::read_to_string(&entry).unwrap();
                assert!(text.starts_with("//!"), "{} does not open with //!", entry.display());
                let name = entry.file_stem().unwrap().to_str().unwrap();
                assert!(!["utils", "common", "helpers", "types", "manager"].contains(&name), "{} is named after nothing", entry.display());
                seen += 1;
            }
        }
    }
    assert!(seen > 30, "only {seen} files were looked at");
}
