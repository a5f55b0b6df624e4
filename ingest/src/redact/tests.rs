//! What must hold for every record, text and byte.

use proptest::prelude::*;

use super::*;

const JWT: &str = "eyJhbGciOiJSUzI1NiIsImtpZCI6IiJ9.eyJpc3MiOiJrdWJlcm5ldGVzIn0.c2lnbmF0dXJlLXNpZ25hdHVyZQ";

fn redactor() -> Redactor {
    Redactor::new(&[7; 32])
}

fn record<'r>(format: &str, record: &'r str) -> Cow<'r, str> {
    redactor().record(format, record, Level::Safe)
}

#[test]
fn a_record_without_secrets_is_returned_as_it_came() {
    for (format, text) in [
        (
            "cloudtrail",
            r#"{ "eventName" : "GetObject", "n": 1.50, "n": 2, "userAgent":"aws-sdk s.e", "requestParameters": {"bucketName": "x", "key":"a/b c"} }"#,
        ),
        ("k8s_audit", r#"{"verb":"get","requestURI":"/api/v1/namespaces/a/secrets/b?timeout=10s","objectRef":{"resource":"secrets","name":"token-abc"}}"#),
        ("zeek", r#"{"ts":1795348800.5,"id.orig_h":"10.0.0.1","id.orig_p":40000}"#),
    ] {
        assert!(matches!(record(format, text), Cow::Borrowed(kept) if kept == text), "{}", record(format, text));
    }
}

#[test]
fn closed_places_keep_structure_and_nothing_that_can_be_a_secret() {
    let redactor = redactor();
    let text = r#"{"requestParameters":{"containerDefinitions":[{"name":"web","environment":[{"name":"DB_PASSWORD","value":"hunter2"},{"name":"DEBUG","value":"true"}],"cpu":256}],"family":"web"}}"#;
    let kept = record("cloudtrail", text);
    let expected = text.replace("hunter2", &redactor.written(b"hunter2"));
    assert_eq!(kept, expected);
    assert_eq!(redactor.written(b"hunter2").split(':').nth(2), Some("text"));
    assert!(redactor.written(b"hunter2").ends_with(":text:7"));
    assert_eq!(record("cloudtrail", &kept), expected, "a second time changes nothing");
    let explained = redactor.explain("cloudtrail", text, Level::Safe);
    assert_eq!(explained.len(), 1);
    assert_eq!(explained[0].path, "requestParameters.containerDefinitions[0].environment[0].value");
    assert_eq!(&text[explained[0].position..explained[0].position + explained[0].bytes], "\"hunter2\"");
}

#[test]
fn facts_in_a_message_are_judged_each_at_its_place() {
    let id = "0f8fad5b-d9cb-469f-a165-70867728950e";
    let of = |facts: &str| serde_json::json!({ "loggerName": "org.keycloak.events", "message": facts }).to_string();
    let known =
        of(&format!(r#"type="CODE_TO_TOKEN", realmId="{id}", userId="null", scope="openid email", token_id="onrtcc:{id}", username="service-account-a""#));
    assert_eq!(record("keycloak_events", &known), known);
    // A fact that no list names is closed, however plain it looks; what stands beside it stays.
    let kept = record("keycloak_events", &of(&format!(r#"type="LOGIN", hint="correct horse", code="{id}", error="expired_code""#))).into_owned();
    assert!(!kept.contains("horse") && !kept.contains(id), "{kept}");
    assert!(kept.contains(r#"type=\"LOGIN\""#) && kept.contains(r#"error=\"expired_code\""#), "{kept}");
    assert_eq!(record("keycloak_events", &kept), kept, "a second time changes nothing");
    // A name is searched for secrets as everywhere, and so is text that is not of facts alone.
    for facts in [format!(r#"type="LOGIN", username="{JWT}""#), format!("Added user {JWT}"), format!(r#"type="LOGIN", reason="a \"b\" {JWT}""#)] {
        let kept = record("keycloak_events", &of(&facts)).into_owned();
        assert!(!kept.contains(JWT), "{kept}");
    }
}

#[test]
fn unknown_formats_are_closed() {
    let kept = record("nobody", r#"{"a":"b","time":"2026-11-22T12:00:00Z","n":[1,"x"],"pin":1234}"#);
    let value: serde_json::Value = serde_json::from_str(&kept).unwrap();
    assert!(value["a"].as_str().unwrap().starts_with("hmac:") && value["n"][1].as_str().unwrap().starts_with("hmac:"));
    assert_eq!((value["time"].as_str(), value["n"][0].as_i64()), (Some("2026-11-22T12:00:00Z"), Some(1)));
    assert!(value["pin"].as_str().unwrap().contains(":digits:4"));
}

/// Texts with a secret in them, and the secret.
fn secrets() -> Vec<(String, String)> {
    let long = "A1b2C3d4E5f6G7h8I9j0K1l2M3n4O5p6Q7r8S9t0";
    let pem = format!("-----BEGIN RSA PRIVATE KEY-----\n{long}\n{long}\n-----END RSA PRIVATE KEY-----");
    [
        JWT.to_owned(),
        format!("hvs.{long}"),
        format!("hvb.{long}"),
        "s.iyNUhq8Ov4hIAx6snw5mB2nL".to_owned(),
        format!("ghp_{}", &long[..36]),
        format!("github_pat_{}_{}", &long[..22], &long.repeat(2)[..59]),
        format!("xoxb-123456789012-{long}"),
        "ZXlKaGJHY2lPaUpTVXpJMU5pSXNJbXRwWkNJNklpSjkuZXlKcGMzTWlPaUpyZFdK".to_owned(),
        pem,
    ]
    .into_iter()
    .map(|secret| (secret.clone(), secret))
    .chain(
        [
            "Bearer ",
            "Authorization: Bearer ",
            "authorization: Basic ",
            "sessionToken=",
            "{\"secretAccessKey\": \"",
            "https://x/?X-Amz-Security-Token=",
            "<SessionToken>",
            "mysql -u root -p",
            "login --password ",
            "DB_PASSWORD=",
            "postgres://app:",
        ]
        .map(|before| (format!("{before}{long}{}", if before.starts_with("postgres") { "@db/x" } else { "" }), long.to_owned())),
    )
    .collect()
}

#[test]
fn secrets_are_known_by_their_form_in_any_text() {
    let redactor = redactor();
    for (text, secret) in secrets() {
        for (before, after) in [("", ""), ("user logs in with ", " failed"), ("\"", "\"")] {
            let text = format!("{before}{text}{after}");
            let kept = redactor.text(&text).into_owned();
            assert!(kept.contains("hmac:") && !kept.contains(&secret[..20.min(secret.len())]), "{text} -> {kept}");
            assert_eq!(redactor.text(&kept), kept, "a second time changes nothing");
            let record = serde_json::json!({"userAgent": text, "eventName": "x"}).to_string();
            let kept = redactor.record("cloudtrail", &record, Level::Safe).into_owned();
            assert!(kept.contains("hmac:") && !kept.contains(&secret[..20.min(secret.len())]), "{record} -> {kept}");
            assert!(serde_json::from_str::<serde_json::Value>(&kept).is_ok());
            let letter = redactor.bytes("cloudtrail", format!("{record}\u{0}").as_bytes(), 4096);
            assert!(!letter.contains(&secret[..20.min(secret.len())]), "{letter}");
        }
    }
}

#[test]
fn secrets_are_found_in_encodings() {
    use std::io::Write;
    let redactor = redactor();
    let secret = format!("login with hvs.{} now", "A1b2C3d4E5f6G7h8I9j0K1l2M3n4");
    let encode = |bytes: &[u8]| -> String {
        const DIGITS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
        let mut out = String::new();
        for chunk in bytes.chunks(3) {
            let n = u32::from(chunk[0]) << 16 | u32::from(*chunk.get(1).unwrap_or(&0)) << 8 | u32::from(*chunk.get(2).unwrap_or(&0));
            for (index, shift) in [18, 12, 6, 0].into_iter().enumerate() {
                out.push(if index <= chunk.len() { char::from(DIGITS[(n >> shift & 63) as usize]) } else { '=' });
            }
        }
        out
    };
    let mut gzip = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::default());
    gzip.write_all(secret.as_bytes()).unwrap();
    let gzip = gzip.finish().unwrap();
    let base64 = encode(secret.as_bytes());
    for text in [
        base64.clone(),
        format!("prefix-{base64}"),
        format!("abcde{base64}"),
        base64.replace('+', "-").replace('/', "_"),
        encode(base64.as_bytes()),
        hex::encode(&secret),
        secret.bytes().map(|b| format!("%{b:02x}")).collect(),
        secret.chars().map(|c| format!("\\u{:04x}", u32::from(c))).collect(),
        encode(&gzip),
        encode(format!("{{\"auths\":{{\"r\":{{\"password\":\"{secret}\"}}}}}}").as_bytes()),
    ] {
        let kept = redactor.text(&text).into_owned();
        assert!(kept.contains("hmac:") && kept.len() < text.len() + 60, "{text} -> {kept}");
        assert!(!kept.contains(&text[text.len() / 2..text.len() - 4]), "{text} -> {kept}");
    }
}

#[test]
fn status_names_of_opc_ua_stay_in_a_message_and_their_parts_do_not() {
    let text = |reason: &str| format!(r#"{{"opcua_audit":1,"Server":"opc.tcp://127.0.0.1:4840/","Sequence":1,"SourceState":"silent","Reason":"{reason}"}}"#);
    for name in ["BadTcpSecureChannelUnknown", "BadWaitingForInitialData", "BadCertificateIssuerRevocationUnknown", "GoodCallAgain"] {
        let whole = text(&format!("the session ended: {name}: it ended"));
        assert_eq!(record("opcua_audit", &whole), whole);
    }
    let typed = text("the session ended: SecureHistoryNonce");
    assert!(!record("opcua_audit", &typed).contains("SecureHistoryNonce"));
}

#[test]
fn words_that_only_resemble_secrets_stay() {
    for text in [
        "AKIAIOSFODNN7EXAMPLE",
        "ASIAIOSFODNN7EXAMPLE",
        "Bearer authentication failed",
        "s.amazonaws.com",
        "secretsmanager.eu-west-1.amazonaws.com",
        "hvs.short",
        "eyJ is how a JWT begins",
        "xoxo-kisses",
        "sessionToken is missing",
        "sessionToken=***",
        "-----BEGIN CERTIFICATE-----\nMIIB\n-----END CERTIFICATE-----",
        "arn:aws:secretsmanager:us-east-1:1:secret:github_pat_rotation",
        "aws-sdk-go-v2/1.32.3 os/linux lang/go#1.23.1 md/GOOS#linux md/GOARCH#amd64 api/s3#1.66.3",
        "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/131.0.0.0 Safari/537.36",
        "system:serviceaccount:kube-system:token-cleaner",
        "hmac-sha256:0f6ce44e4a0c3f4a4b3e1f1d54a5f3c0a1b2c3d4e5f60718293a4b5c6d7e8f90",
    ] {
        assert_eq!(redactor().text(text), text);
    }
}

#[test]
fn dead_letters_keep_keys_and_shape() {
    let redactor = redactor();
    let kept = redactor.bytes("cloudtrail", br#"{"eventName":"GetObject","requestParameters":{"password": "hunter2", "x":"abc", "n":17, "deep":[{"y":"#, 1000);
    assert!(kept.starts_with(r#"{"eventName":"GetObject","requestParameters":{"password": "hmac:"#) && kept.ends_with(r#""n":17, "deep":[{"y":"#), "{kept}");
    for (bytes, secret) in [
        (&br#"{"eventName":"x","requestParameters":{"token":"hunter2"#[..], "hunter2"),
        (br#"sword": "hunter2", "client_token":"abcdef", broken"#, "hunter2"),
        (br#"{"a":"b" "password":"hunter2"}"#, "hunter2"),
        (br#"{'password': 'hunter2'}"#, "hunter2"),
        (br#"Nov 22 12:00:00 host app: login of root with hunter2"#, "hunter2"),
        (b"password=hunter2\xff\xfe", "hunter2"),
        (br#"{"userAgent":"foo "bar" hunter2","x":"y"}"#, "hunter2"),
        (br#"{"hunter2-kX9vQ3bL7mZ0pR4t":1"#, "hunter2"),
    ] {
        let kept = redactor.bytes("cloudtrail", bytes, 1000);
        assert!(!kept.contains(secret), "{} -> {kept}", String::from_utf8_lossy(bytes));
    }
    let cut = format!("{}{}{}", "x".repeat(90), JWT, "y".repeat(20_000));
    assert!(!redactor.bytes("", cut.as_bytes(), 100).contains("eyJ"));
    assert_eq!(redactor.bytes("", "\u{e9}".as_bytes(), 3), "hma");
    assert_eq!(redactor.bytes("", b"{\"n\": 1, \"b\": [true, null]}\xff", 12), "{\"n\": 1, \"b\"");
}

#[test]
fn open_keeps_values_but_for_known_secrets() {
    let text = r#"{"requestParameters":{"description":"nightly run","password":"hunter2","note":"token is hvs.A1b2C3d4E5f6G7h8I9j0K1l2"}}"#;
    let kept = redactor().record("cloudtrail", text, Level::Open).into_owned();
    assert!(kept.contains("nightly run") && !kept.contains("hunter2") && !kept.contains("A1b2C3d4"), "{kept}");
}

#[test]
fn levels_are_words() {
    assert_eq!("safe".parse(), Ok(Level::Safe));
    assert_eq!("keep".parse(), Ok(Level::Safe));
    assert!("drop".parse::<Level>().unwrap_err().to_string().contains("hash keeps no record either"));
    assert!("opne".parse::<Level>().unwrap_err().to_string().contains("safe, open or hash"));
}

/// An export holds records of many formats, and one memory serves them all.
#[test]
fn what_was_judged_in_one_format_says_nothing_of_another() {
    let redactor = redactor();
    let long = "correct horse battery staple ".repeat(4);
    let note = format!(r#"{{"labels":{{"note":"{long}","other":"{long}"}},"request":{{"note":"hunter2 hunter2"}}}}"#);
    let mut memo = Memo::default();
    // Whatever the order; twice, so that what came before is met again.
    for format in ["k8s_audit", "cloudtrail", "vault_audit", "zeek", "none", "k8s_audit", "cloudtrail", "vault_audit", "zeek", "none"] {
        let alone = redactor.record(format, &note, Level::Safe);
        assert_eq!(redactor.remembering(format, &note, Level::Safe, &mut memo), alone, "{format}");
    }
}

/// A word outside of strings that begins as an earlier one did is another word.
#[test]
fn a_word_is_compared_to_its_end() {
    let redactor = redactor();
    let text = r#"{"name":"open,"user":"AssumedRole","userAgent":{5,"#;
    for level in [Level::Safe, Level::Open] {
        let mut memo = Memo::default();
        for format in ["cloudtrail", "k8s_audit", "cloudtrail", "none"] {
            for text in [text, text, &text.replace("userAgent", "user"), text, &text.replace("userAgent", "usersecret")] {
                assert_eq!(redactor.remembering(format, text, level, &mut memo), redactor.record(format, text, level), "{format}: {text}");
            }
        }
    }
}

/// The records of the folder of real logs, where it is there: each file's lines, and its JSON values.
fn real_records() -> Vec<(&'static str, String)> {
    let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../../shared/data");
    let formats: Vec<&'static str> = crate::format::PLACES.iter().map(|(name, _)| *name).collect();
    let mut records = Vec::new();
    for format in formats {
        for entry in
            walkdir::WalkDir::new(folder.join(format)).sort_by_file_name().into_iter().filter_map(Result::ok).filter(|entry| entry.file_type().is_file())
        {
            let Ok(text) = std::fs::read_to_string(entry.path()) else { continue };
            let mut values = serde_json::Deserializer::from_str(&text).into_iter::<serde_json::Value>();
            let mut whole: Vec<serde_json::Value> = values.by_ref().map_while(Result::ok).collect();
            let inner: Vec<serde_json::Value> = whole
                .iter()
                .flat_map(|value| match value {
                    serde_json::Value::Array(items) => items.clone(),
                    other => ["Records", "records", "events", "log"]
                        .iter()
                        .filter_map(|key| other.get(*key))
                        .flat_map(|value| value.as_array().cloned().unwrap_or_else(|| vec![value.clone()]))
                        .collect(),
                })
                .collect();
            whole.extend(inner);
            records.extend(whole.iter().map(|value| (format, value.to_string())));
            records.extend(text.lines().map(|line| (format, line.to_owned())));
        }
    }
    records
}

/// What is skipped because it stood there before is what would have been kept: over every real log at hand, in its order and again.
#[test]
fn what_was_met_before_changes_nothing() {
    let redactor = redactor();
    let records = real_records();
    if records.is_empty() {
        println!("skipped: there is no folder of real logs");
        return;
    }
    for level in [Level::Safe, Level::Open] {
        let (mut memo, mut bytes) = (Memo::default(), 0);
        for (index, (format, text)) in records.iter().enumerate() {
            let alone = redactor.record(format, text, level);
            assert_eq!(redactor.remembering(format, text, level, &mut memo), alone, "record {index} of {format}: {text}");
            assert_eq!(redactor.remembering(format, text, level, &mut memo), alone, "record {index} of {format}, again: {text}");
            bytes += text.len();
        }
        println!("{} records, {bytes} bytes, at {level}: the same with a memory and without", records.len());
    }
}

/// Texts that look alike: what differs stands now here, now there, and is now a secret, now none.
fn alike() -> impl Strategy<Value = Vec<String>> {
    let value = prop_oneof![
        Just(r#""AssumedRole""#.to_owned()),
        Just(r#""hunter2""#.to_owned()),
        Just("1".to_owned()),
        Just("12345678901234567".to_owned()),
        Just("true".to_owned()),
        Just("trueish".to_owned()),
        Just(r#""a\"b""#.to_owned()),
        Just(r#""open"#.to_owned()),
        Just(r#"{"name":"x","value":"hunter2"}"#.to_owned()),
        Just(r#"["a",{"key":"k","value":"v w"},3]"#.to_owned()),
        Just("{5".to_owned()),
        Just("{}".to_owned()),
        Just("[]".to_owned()),
        Just(" ".to_owned()),
        Just(r#""{\"password\":\"hunter2\"}""#.to_owned()),
        prop::sample::select(secrets()).prop_map(|(text, _)| serde_json::Value::from(text).to_string()),
        "[ -~]{0,20}".prop_map(|text| serde_json::Value::from(text).to_string()),
    ];
    let key = prop::sample::select(vec![
        "eventName",
        "requestParameters",
        "password",
        "name",
        "policyDocument",
        "user",
        "",
        "a.b",
        "userAgent",
        "errorMessage",
        "eyJhbGciOiJIUzI1NiJ9.e30.x",
    ]);
    let between = prop::sample::select(vec![",", ":", "", " , ", "}", "{", "]", "[", "}}", ",,", "\"", "\n"]);
    let field = (key, value.clone(), between).prop_map(|(key, value, between)| format!("\"{key}\":{value}{between}"));
    let sound = prop::collection::vec((prop::sample::select(vec!["eventName", "requestParameters", "password", "name", "userAgent"]), value), 0..6)
        .prop_map(|fields| format!("{{{}}}", fields.iter().map(|(key, value)| format!("\"{key}\":{value}")).collect::<Vec<_>>().join(",")));
    let any = prop::collection::vec(field, 0..6).prop_map(|fields| format!("{{{}", fields.concat()));
    prop::collection::vec(prop_oneof![sound, any], 1..24)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]
    #[test]
    fn a_memory_changes_nothing_of_any_text(texts in alike()) {
        let redactor = redactor();
        for level in [Level::Safe, Level::Open] {
            let mut memo = Memo::default();
            for format in ["cloudtrail", "k8s_audit", "cloudtrail", "none"] {
                for text in &texts {
                    prop_assert_eq!(redactor.remembering(format, text, level, &mut memo), redactor.record(format, text, level), "{} in {:?}", text, texts);
                }
            }
        }
    }

    #[test]
    fn redacting_again_changes_nothing(parts in prop::collection::vec(prop_oneof![
        ".{0,12}", "[A-Za-z0-9._-]{0,40}",
        prop::sample::select(secrets()).prop_map(|(text, _)| text),
        prop::sample::select(vec!["eyJ", "hvs.", "s.", "ghp_", "xoxb-", "\"", ":", "-----BEGIN PRIVATE KEY-----"]).prop_map(str::to_owned),
    ], 0..8)) {
        let redactor = redactor();
        let text = parts.concat();
        let record = serde_json::json!({"requestParameters": {"client_secret": text, "b": {text.as_str(): [text]}, "password": text}}).to_string();
        let once = redactor.record("cloudtrail", &record, Level::Safe).into_owned();
        prop_assert!(serde_json::from_str::<serde_json::Value>(&once).is_ok());
        prop_assert_eq!(redactor.record("cloudtrail", &once, Level::Safe), once.as_str());
    }

    #[test]
    fn no_bytes_panic_and_valid_json_stays_valid(bytes in prop::collection::vec(any::<u8>(), 0..200), json in r#"[\[\]{}",:\\a-z0-9. -]{0,200}"#, value in "[ -~]{0,60}") {
        let redactor = redactor();
        for format in ["cloudtrail", "k8s_audit", "vault_audit", "zeek", "keytrail", "none"] {
            let _ = redactor.bytes(format, &bytes, 64);
            let _ = redactor.bytes(format, json.as_bytes(), 64);
            let _ = redactor.record(format, &json, Level::Safe);
            let _ = redactor.row(format, &["ts", "uid"], b'\t', &json, Level::Safe);
            let record = serde_json::json!({"requestObject": {"spec": [{"command": [value], "name": value}]}, "requestParameters": value, "requestURI": value, "error": value}).to_string();
            let kept = redactor.record(format, &record, Level::Safe);
            prop_assert!(serde_json::from_str::<serde_json::Value>(&kept).is_ok(), "{kept}");
        }
    }
}
