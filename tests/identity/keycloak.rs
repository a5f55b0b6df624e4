//! A real Keycloak: clients that log in, fail, refresh, are rotated, disabled, deleted and revoked. `KEYTRAIL_KEYCLOAK` names its folder.

use std::process::Command;

use serde_json::Value;

use super::{Running, clients, follow, free_port, needed, one, seconds, told, until};
use crate::estate::Home;

const A: &str = "keycloak:machines:client/svc-a";
const B: &str = "keycloak:machines:client/svc-b";
const K: &str = "keycloak:machines:client/svc-k";
/// What an operator may ask for: keytrail's own rule leaves five minutes to whoever was not told of a revocation.
const RULE: &str = "title: A revoked token was tried\nlogsource: {category: machine_identity}\ndetection:\n  selection:\n    outcome: [failure, denied]\n    credential.state: revoked\n  condition: selection\nlevel: high\ntags: [attack.t1078]\nkeytrail: {kind: policy, reason: \"{action} after its revocation\"}\n";

#[test]
fn what_the_clients_of_a_real_keycloak_did_is_told() {
    let Some((server, python)) = needed("what_the_clients_of_a_real_keycloak_did_is_told", "KEYTRAIL_KEYCLOAK") else { return };
    let home = Home::new();
    let (log, port) = (home.path().join("log/keycloak.log"), free_port().to_string());
    std::fs::create_dir(home.path().join("log")).unwrap();
    let mut command = Command::new(server.join("bin/kc.sh"));
    command.args(["start-dev", "--db=dev-mem", "--http-host=127.0.0.1", &format!("--http-port={port}")]);
    command.args(["--log=file", "--log-file-output=json", &format!("--log-file={}", log.display())]);
    command.args(["--spi-events-listener--jboss-logging--success-level=info", "--spi-events-listener--jboss-logging--include-representation=true"]);
    command.envs([("KC_BOOTSTRAP_ADMIN_USERNAME", "admin"), ("KC_BOOTSTRAP_ADMIN_PASSWORD", "tests-only"), ("JAVA_OPTS_KC_HEAP", "-Xmx512m")]);
    let _keycloak = Running::start(&mut command, &home.path().join("server.log"));
    home.file("rules/revoked-tried.yml", RULE);
    let keytrail = follow(&home, "keycloak_events", &log, "rules = [{ path = \"rules\" }]\n");
    let did = clients(&python, "keycloak.py", &[&port]);
    until(&home, "select 1 from events where reason = 'client_not_found' and identity like '%error=%'");
    until(&home, "select 1 from findings where rule = 'revoked-tried'");
    keytrail.stop();
    let at = |what: &str| &one(&did, |row| row["did"] == what)["at"];

    // The secret of svc-a is as old as its rotation, to the millisecond that the log has; svc-b's ended with its client.
    let credentials = home.rows(&["credentials"]);
    let credential = |name: String| one(&credentials, |row| row["credential"] == name.as_str());
    let secret = credential(format!("{A}/secret"));
    assert_eq!(
        (&secret["identity"], &secret["kind"], &secret["state"], &secret["issued_is_exact"]),
        (&A.into(), &"password".into(), &"active".into(), &true.into())
    );
    let rotated = seconds(at("a refreshed"), &secret["issued_at"]);
    assert!(rotated > 0.0 && seconds(&secret["issued_at"], at("a rotated")) >= 0.0, "{secret}");
    assert_eq!((&secret["uses"], &secret["failures"]), (&2.into(), &0.into()), "who shows another secret does not use this one: {secret}");
    let of_b = credential(format!("{B}/secret"));
    assert_eq!(of_b["state"], "revoked");
    assert!(seconds(at("b logged in"), &of_b["revoked_at"]) > 0.0 && seconds(&of_b["revoked_at"], at("b disabled")) >= 0.0, "{of_b}");
    assert_eq!(credential(format!("{K}/key"))["kind"], "x509");

    let touched = home.rows(&["touched", A]);
    let row = |action: &str, outcome: &str| one(&touched, |row: &Value| row["action"] == action && row["outcome"] == outcome);
    let login = row("CLIENT_LOGIN", "success");
    assert_eq!((&login["count"], &login["credential"], &login["destination"]), (&2.into(), &format!("{A}/secret").into(), &"keycloak:machines".into()));
    let (age, since) = (login["credential_age_days"].as_f64().unwrap() * 86_400.0, seconds(&secret["issued_at"], &login["last"]));
    assert!(since > 1.5 && (age - since).abs() < 0.001, "at its last login the secret was {age} s old, and {since} s had passed since its rotation");
    let failed = row("CLIENT_LOGIN_ERROR", "failure");
    assert_eq!((&failed["count"], &failed["credential"]), (&2.into(), &Value::Null), "the wrong secret, and the old one");
    let tried = row("REFRESH_TOKEN_ERROR", "failure");
    assert!((0.0..10.0).contains(&(tried["credential_age_days"].as_f64().unwrap() * 86_400.0)), "{tried}");

    let done = |identity: &str| {
        let rows = home.rows(&["timeline", identity]);
        // Tokens are issued with every login and refresh; what was done is looked at here.
        told(&rows.into_iter().filter(|row| !(row["activity"] == "issue" && row["action"] != "CREATE-CLIENT")).collect::<Vec<_>>())
    };
    assert_eq!(
        done(A),
        [
            "authenticate success CLIENT_LOGIN",
            "authenticate failure CLIENT_LOGIN_ERROR",
            "renew success REFRESH_TOKEN",
            "rotate success ACTION-CLIENT",
            "authenticate failure CLIENT_LOGIN_ERROR",
            "authenticate success CLIENT_LOGIN",
            "revoke success REVOKE_GRANT",
            "renew failure REFRESH_TOKEN_ERROR",
        ]
    );
    assert_eq!(
        done(B),
        [
            "authenticate success CLIENT_LOGIN",
            "revoke success UPDATE-CLIENT",
            "authenticate denied CLIENT_LOGIN_ERROR",
            "revoke success DELETE-CLIENT",
            "authenticate failure CLIENT_LOGIN_ERROR",
        ]
    );
    assert_eq!(done(K), ["authenticate success CLIENT_LOGIN", "authenticate failure CLIENT_LOGIN_ERROR", "rotate success ACTION-CLIENT"]);
    // Who did it to them: the administrator, from where, and to which client.
    let by =
        home.rows(&["sql", "select action, identity_kind, source_ip from events where destination = 'keycloak:machines:client/svc-b' order by log_offset"]);
    let by: Vec<_> =
        by.iter().map(|row| (row["action"].as_str().unwrap(), row["identity_kind"].as_str().unwrap(), row["source_ip"].as_str().unwrap())).collect();
    assert_eq!(by, [("UPDATE-CLIENT", "human", "127.0.0.1"), ("DELETE-CLIENT", "human", "127.0.0.1")]);
    // A stranger's name is a name, and forges nothing.
    let stranger = home.rows(&["sql", "select identity, outcome, reason, source_ip from events where identity like '%error=%'"]);
    assert_eq!(
        (&stranger[0]["outcome"], &stranger[0]["reason"], &stranger[0]["source_ip"]),
        (&"failure".into(), &"client_not_found".into(), &"127.0.0.1".into())
    );

    let finding = home.rows(&["sql", "select finding_id, identity, credential from findings where rule = 'revoked-tried'"]);
    assert_eq!((finding.len(), &finding[0]["identity"], &finding[0]["credential"]), (1, &A.into(), &tried["credential"]), "{finding:?}");
    let explained = home.run(&["explain", finding[0]["finding_id"].as_str().unwrap(), "--output", "json"]);
    let explained = String::from_utf8(explained.stdout).unwrap();
    for part in ["REFRESH_TOKEN_ERROR after its revocation", "invalid_token", tried["credential"].as_str().unwrap(), &format!("{A}/secret")] {
        assert!(explained.contains(part), "{part} in {explained}");
    }
    // Keycloak wrote the new private key of svc-k in full. Its first third is the modulus, which the certificate beside it shows to everybody.
    let key = one(&did, |row| row["did"] == "k rotated")["secret"].as_str().unwrap();
    assert!(std::fs::read_to_string(&log).unwrap().contains(key));
    let kept = home.rows(&["sql", &format!("select count(*) as n from events where raw like '%{}%'", &key[key.len() - 140..key.len() - 100])]);
    assert_eq!(kept[0]["n"], 0);
}
