//! TLS and passwords, as librdkafka's properties say them, against a listener that asks for both.

use std::path::{Path, PathBuf};
use std::process::Command;

use crate::estate::{Home, Totals, cloudtrail_lines, rows, stderr};

use super::broker::Broker;

/// A certificate for 127.0.0.1 signed by nobody else, with its key; written into `folder`.
fn certificate(folder: &Path, name: &str) -> (PathBuf, String, String) {
    let (certificate, key) = (folder.join(format!("{name}.pem")), folder.join(format!("{name}.key")));
    let made = Command::new("openssl")
        .args(["req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", "/CN=localhost", "-addext", "subjectAltName=IP:127.0.0.1", "-keyout"])
        .arg(&key)
        .arg("-out")
        .arg(&certificate)
        .output()
        .expect("openssl runs: it is in the package of that name");
    assert!(made.status.success(), "{}", stderr(&made));
    let text = |path: &Path| std::fs::read_to_string(path).unwrap();
    (certificate.clone(), text(&certificate), text(&key))
}

#[test]
fn tls_with_a_password_by_plain_and_by_scram_and_clear_words_where_it_is_wrong() {
    const TEST: &str = "tls_with_a_password_by_plain_and_by_scram_and_clear_words_where_it_is_wrong";
    let Some(lib) = super::setting("KEYTRAIL_KAFKA_LIB") else {
        let _ = super::broker::own_from_environment(TEST);
        return;
    };
    let home = Home::new();
    let (ca, certificate_text, key) = certificate(home.path(), "broker");
    let (stranger, ..) = certificate(home.path(), "stranger");
    let broker = Broker::start_secured(Path::new(&lib), &certificate_text, &key);
    let url = format!("kafka://{}", broker.secured.as_ref().unwrap());
    let configure_as = |user: &str, mechanism: &str, password: &str, ca: &Path| {
        home.file(
            "keytrail.toml",
            format!(
                "[log.kafka]\n\"security.protocol\" = \"SASL_SSL\"\n\"ssl.ca.location\" = {:?}\n\"sasl.mechanism\" = {mechanism:?}\n\"sasl.username\" = {user:?}\n\"sasl.password\" = {password:?}\n",
                ca.to_str().unwrap()
            ),
        );
    };
    let configure = |mechanism: &str, password: &str, ca: &Path| configure_as("keytrail", mechanism, password, ca);
    let run = |arguments: &[&str]| home.run(&[&["--log", &url], arguments].concat());
    configure("PLAIN", "let-me-in", &ca);
    let output = run(&["topics", "apply"]);
    assert!(output.status.success(), "{}", stderr(&output));
    configure("SCRAM-SHA-512", "let-me-in", &ca);
    let path = home.file("events.log", cloudtrail_lines(2_000));
    let output = run(&["ingest", "--format", "cloudtrail", path.to_str().unwrap()]);
    assert!(output.status.success(), "{}", stderr(&output));
    assert!(Totals::of(&rows(&output)).stored >= 2_000);
    for role in ["detect", "store"] {
        let output = run(&[role, "--drain"]);
        assert!(output.status.success(), "{role}: {}", stderr(&output));
    }
    assert!(!home.rows(&["touched", "svc-3"]).is_empty());
    // What it prints of its configuration holds no password.
    let printed = home.run(&["config"]);
    assert!(!String::from_utf8_lossy(&printed.stdout).contains("let-me-in"));

    home.file(
        "keytrail.toml",
        format!(
            "[log.kafka]\n\"security.protocol\" = \"SASL_SSL\"\n\"ssl.ca.location\" = {:?}\n\"sasl.mechanism\" = \"OAUTHBEARER\"\n\
             \"enable.sasl.oauthbearer.unsecure.jwt\" = \"true\"\n\"sasl.oauthbearer.config\" = \"principal=keytrail\"\n",
            ca.to_str().unwrap()
        ),
    );
    let output = run(&["ingest", "--format", "cloudtrail", path.to_str().unwrap()]);
    assert!(output.status.success(), "{}", stderr(&output));
    assert_eq!(Totals::of(&rows(&output)).stored, 0, "the same events as before");

    // Known, and without a permission.
    configure_as("stranger", "PLAIN", "no-rights", &ca);
    for arguments in [&["topics", "check"][..], &["ingest", path.to_str().unwrap()], &["detect", "--drain"]] {
        let output = run(arguments);
        assert_eq!(output.status.code(), Some(4), "{arguments:?}: {}", stderr(&output));
        assert!(stderr(&output).contains("permission"), "{arguments:?}: {}", stderr(&output));
    }

    for (password, ca, word) in [("wrong", &ca, "SASL authentication error"), ("let-me-in", &stranger, "certificate verify failed")] {
        configure("PLAIN", password, ca);
        let output = run(&["topics", "check"]);
        assert_eq!(output.status.code(), Some(4), "{}", stderr(&output));
        assert!(stderr(&output).contains(word), "expected {word:?} in: {}", stderr(&output));
        assert!(!stderr(&output).contains("let-me-in"));
    }
}
