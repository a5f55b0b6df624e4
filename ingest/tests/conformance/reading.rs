//! Every record of the published logs is read, or refused for a reason that stands here.

use std::collections::BTreeMap;
use std::fmt::Write;

use keytrail_ingest::format::auto;

use super::folder::{drafts, files, folder, records};

/// A folder, its format, and how many of its records may be refused.
const FOLDERS: &[(&str, &str, usize)] = &[
    ("gcp_audit", "gcp_audit", 12),
    ("entra_signin", "entra_signin", 0),
    ("entra_audit", "entra_audit", 0),
    ("azure_activity", "azure_activity", 0),
    ("entra_identity_protection", "entra_identity_protection", 0),
    ("okta_system", "okta_system", 11),
    ("github_audit", "github_audit", 32),
    ("keycloak_events", "keycloak_events", 0),
    ("auth0", "auth0", 0),
    ("teleport_audit", "teleport_audit", 0),
    ("gitlab_audit", "gitlab_audit", 0),
    ("ping_one", "ping_one", 0),
    ("cyberark", "cyberark", 4),
    ("ocsf", "ocsf", 0),
];

#[test]
fn records_are_read_or_refused_for_a_reason() {
    let mut report = String::from("| folder | records | events | by other formats | nothing to say | refused |\n|---|---|---|---|---|---|\n");
    let mut over = Vec::new();
    for (name, format, refused_max) in FOLDERS {
        let Some(root) = folder(name) else { continue };
        let own = auto::by_name(format).unwrap();
        let (mut count, mut events, mut other, mut silent) = (0, 0, BTreeMap::<&str, usize>::new(), 0);
        let mut refused: BTreeMap<String, usize> = BTreeMap::new();
        for path in files(&root) {
            if *format == "ocsf" && path.extension().is_none_or(|extension| extension != "ocsf") {
                continue;
            }
            for (record, number) in records(&path).iter().zip(1..) {
                count += 1;
                let (by, read) = drafts(own, record);
                match read {
                    Ok(read) => {
                        assert!(read.iter().all(|draft| !draft.event.identity.is_empty() && draft.event.raw.is_some()), "{}:{number}", path.display());
                        events += read.len();
                        silent += usize::from(read.is_empty());
                        if by != *format {
                            *other.entry(by).or_default() += 1;
                        }
                    }
                    Err(reject) => *refused.entry(format!("{}: {}", reject.reason, reject.message.chars().take(110).collect::<String>())).or_default() += 1,
                }
            }
        }
        let all: usize = refused.values().sum();
        let _ = writeln!(report, "| {name} | {count} | {events} | {other:?} | {silent} | {all} |");
        for (reason, number) in &refused {
            let _ = writeln!(report, "|   | {number} × {reason} | | | | |");
        }
        if all > *refused_max {
            over.push(*name);
        }
    }
    println!("{report}");
    assert!(over.is_empty(), "more was refused than is known to be no record of its format: {over:?}");
}
