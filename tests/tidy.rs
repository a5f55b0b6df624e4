//! The shape of the repository, held by a test: ARCHITECTURE.md's table of rooms.

use std::collections::BTreeMap;
use std::path::Path;

/// Which members a member may import. The binary is the only composer.
const MAY_IMPORT: &[(&str, &[&str])] = &[
    ("keytrail-schemas", &[]),
    ("keytrail-ingest", &["keytrail-schemas"]),
    ("keytrail-detect", &["keytrail-schemas"]),
    ("keytrail-lake", &["keytrail-schemas"]),
    ("keytrail-query", &["keytrail-schemas"]),
    ("keytrail-forward", &["keytrail-schemas"]),
    ("keytrail", &["keytrail-schemas", "keytrail-ingest", "keytrail-detect", "keytrail-lake", "keytrail-query", "keytrail-forward"]),
];

/// What a member must not know, whichever way it would come in.
const MUST_NOT_DEPEND: &[(&str, &[&str])] = &[
    ("keytrail-schemas", &["tokio", "datafusion", "fjall"]),
    ("keytrail-detect", &["tokio", "rand", "rayon", "datafusion", "fjall"]),
    ("keytrail-ingest", &["datafusion", "deltalake"]),
    ("keytrail-forward", &["datafusion", "deltalake"]),
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

#[test]
fn docker_compose_is_yaml_with_pinned_images_and_no_default_secrets() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let text = std::fs::read_to_string(root.join("docker-compose.yml")).unwrap();
    let compose: serde_json::Value = yaml_serde::from_str(&text).expect("docker-compose.yml is YAML");
    let services = compose["services"].as_object().expect("services");
    assert!(services.contains_key("keytrail"));
    for (name, service) in services {
        if let Some(image) = service["image"].as_str() {
            assert!(image.contains(':') && !image.ends_with(":latest"), "{name}: {image} is not pinned");
        }
    }
    for word in ["password:", "PASSWORD=", "secret:"] {
        assert!(!text.contains(word), "docker-compose.yml carries {word}");
    }
}

#[test]
fn every_module_says_what_it_owns() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut folders = vec![root.join("src"), root.join("tests")];
    folders.extend(["schemas", "ingest", "detect", "lake", "query", "forward"].map(|member| root.join(member).join("src")));
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
