//! Rules over raw records, held against rsigma: every rule of SigmaHQ's corpus over every real record in ../shared/data must give the
//! same verdict, whatever logsource it is for. Runs where both are there, and says so where they are not.

#[path = "raw_rules/corpus.rs"]
mod corpus;

use std::collections::BTreeMap;

use keytrail_detect::rule::raw::{Memory, Program, line};
use keytrail_detect::rule::set::{File, Folder, Set};
use keytrail_detect::{Config, Detector};
use keytrail_schemas::{Event, LogRecord, Micros, Severity, Text};
use rsigma_eval::{CompiledRule, JsonEvent};

#[test]
fn every_rule_of_the_corpus_says_of_every_real_record_what_rsigma_says() {
    let (Some(corpus), Some(data)) = (corpus::unpacked(), corpus::data()) else {
        println!("skipped: ../shared/data is not there");
        return;
    };
    let mut oracle = Oracle::new(&corpus);
    for (path, raw) in corpus::records(&data) {
        assert!(oracle.holds(&path, &raw), "{path} holds an object that is not read");
    }
    let (all, always) = oracle.program.len();
    let Oracle { records, matches, by_json, .. } = oracle;
    println!("{all} rules ({always} without a trigger) over {records} records: {matches} matches, the same as rsigma's but for {by_json:?}");
    assert!(all > 3_600 && records > 5_000 && matches > 1_000, "{all} rules, {records} records, {matches} matches");
}

/// The same over what a detector is given: records of every format as they are read, redacted and recast.
#[test]
fn every_rule_of_the_corpus_says_of_every_format_what_rsigma_says() {
    let (Some(corpus), Some(data)) = (corpus::unpacked(), corpus::data()) else {
        println!("skipped: ../shared/data is not there");
        return;
    };
    let mut oracle = Oracle::new(&corpus);
    let mut formats: BTreeMap<String, (usize, usize)> = BTreeMap::new();
    for (format, raw) in corpus::read(&data, OF_ONE_FORMAT_MAX) {
        let (read, objects) = formats.entry(format.clone()).or_default();
        *read += 1;
        // A line of text is an object of its fields for both.
        *objects += usize::from(oracle.holds(&format, &line::object(&format, &raw).unwrap_or(raw)));
    }
    println!("{} matches; records of each format, and how many are objects that rules can look at: {formats:?}", oracle.matches);
    let lacking: Vec<&str> = corpus::FORMATS.iter().copied().filter(|format| formats.get(*format).is_none_or(|(_, objects)| *objects == 0)).collect();
    assert_eq!(lacking, ["keytrail"], "of every format that rules are for there are real records but of our own");
}

/// The same over every line of the real logs of hosts as it stands there, of whatever record: also of those that are no events.
#[test]
fn every_rule_of_the_corpus_says_of_every_line_what_rsigma_says() {
    let (Some(corpus), Some(data)) = (corpus::unpacked(), corpus::data()) else {
        println!("skipped: ../shared/data is not there");
        return;
    };
    let mut oracle = Oracle::new(&corpus);
    for (folder, format) in [("auditd", "auditd"), ("sshd", "sshd"), ("syslog", "sshd")] {
        for path in corpus::all_files(&data.join(folder)).into_iter().filter(|path| path.extension().is_none_or(|ending| ending != "json")) {
            let text = String::from_utf8_lossy(&std::fs::read(&path).unwrap()).into_owned();
            for line in text.lines().filter(|line| !line.trim().is_empty()) {
                let object = line::object(format, line).unwrap_or_else(|| panic!("{}: {line}", path.display()));
                assert!(oracle.holds(format, &object), "{object}");
            }
        }
    }
    println!("{} lines: {} matches", oracle.records, oracle.matches);
    assert!(oracle.records > 100 && oracle.matches > 0, "{} lines, {} matches", oracle.records, oracle.matches);
}

/// Records of one format: rsigma takes milliseconds for each.
const OF_ONE_FORMAT_MAX: usize = 120;

/// Both engines with the same rules.
struct Oracle {
    rules: Vec<CompiledRule>,
    program: Program,
    engine: rsigma_eval::Engine,
    memory: Memory,
    records: usize,
    matches: usize,
    by_json: BTreeMap<String, usize>,
}

impl Oracle {
    fn new(corpus: &std::path::Path) -> Self {
        let rules = corpus::compiled(&corpus::rules(corpus));
        let program = corpus::program(&rules);
        let mut engine = rsigma_eval::Engine::new();
        // Its results name rules by id or title; numbers are needed here.
        engine.extend_compiled_rules(rules.iter().enumerate().map(|(number, rule)| CompiledRule { title: number.to_string(), ..rule.clone() }));
        let memory = program.memory();
        Self { rules, program, engine, memory, records: 0, matches: 0, by_json: BTreeMap::new() }
    }

    /// Holds what both say of a record against each other; false where it is no object, of which nothing is said.
    fn holds(&mut self, path: &str, raw: &str) -> bool {
        let Self { rules, program, engine, memory, .. } = self;
        let mut ours = Vec::new();
        if !program.judge(raw, None, memory, &mut ours) {
            return false;
        }
        let value: serde_json::Value = serde_json::from_str(raw).unwrap();
        ours.sort_unstable();
        let mut theirs: Vec<usize> = engine.evaluate(&JsonEvent::borrow(&value)).iter().map(|result| result.header.rule_title.parse().unwrap()).collect();
        theirs.sort_unstable();
        self.records += 1;
        self.matches += ours.len();
        for number in theirs.iter().filter(|number| !ours.contains(number)) {
            assert!(negates_json(&rules[*number], &value), "{path}: {:?} matches {raw} for rsigma alone", rules[*number].title);
        }
        for number in ours.iter().filter(|number| !theirs.contains(number)) {
            let rule = &rules[*number];
            // A judged difference: an object or a list is also compared as its JSON text. With the text in its place rsigma says the same.
            let texts = corpus::with_texts(rule, &value);
            assert!(rsigma_eval::evaluate_rule(rule, &JsonEvent::borrow(&texts)).is_some(), "{path}: {:?} matches {raw} here alone", rule.title);
            *self.by_json.entry(rule.title.clone()).or_insert(0) += 1;
        }
        true
    }
}

/// The rule names a field that holds an object or a list here, which a negated condition compared as text.
fn negates_json(rule: &CompiledRule, value: &serde_json::Value) -> bool {
    let texts = corpus::with_texts(rule, value);
    texts != *value && rsigma_eval::evaluate_rule(rule, &JsonEvent::borrow(&texts)).is_none()
}

/// Lines of text through a whole detector, by rules of the corpus and of each service; a rule for one service says nothing of another's lines.
#[test]
fn lines_of_text_are_judged() {
    const RULES: &[(&str, &str)] = &[
        ("account", "logsource: {product: linux, service: auditd}\ndetection:\n  s: {type: ADD_USER, acct|startswith: svc}\n  condition: s"),
        ("nobody", "logsource: {product: linux, service: sudo}\ndetection:\n  s: {USER: ['#-*', '#*4294967295']}\n  condition: s"),
        ("copied", "logsource: {product: linux}\ndetection:\n  k: ['scp ', 'rsync ']\n  f: ['@']\n  condition: k and f"),
        ("daemon", "logsource: {product: linux, service: sshd}\ndetection:\n  k: [web-1]\n  condition: k"),
        ("whole", "logsource: {product: linux, service: auth}\ndetection:\n  k: [web-1]\n  condition: k"),
    ];
    let file = |(name, rule): &(&str, &str)| File { path: format!("{name}.yml"), text: Ok(format!("title: {name}\nlevel: high\n{rule}\n")) };
    let folder = Folder { path: "lines".to_owned(), severity_max: Severity::Critical, files: RULES.iter().map(file).collect() };
    let loaded = keytrail_detect::rule::load::load(&Set { without_builtin: true, folders: vec![folder] }, corpus::FORMATS).unwrap();
    assert!(loaded.checked.iter().all(|checked| checked.loads && !checked.idle), "{:?}", loaded.checked);
    let rules = std::sync::Arc::new(loaded.rules);
    let fired = |format: &'static str, protocol: Option<&'static str>, action: &'static str, line: &str| {
        let event = Event {
            format: Text::const_new(format),
            identity: "host:web-1:user/x".into(),
            protocol: protocol.map(Text::const_new),
            action: Some(Text::const_new(action)),
            raw: Some(line.to_owned()),
            time: Micros(1_795_348_800_000_000),
            ..Event::default()
        };
        let (mut detector, mut out) = (Detector::new(0, Config::default(), rules.clone()), Vec::new());
        detector.observe(0, &LogRecord::Event(Box::new(event)), &mut out);
        let mut rules: Vec<String> = out.iter().flat_map(|finding| &finding.detections).map(|detection| detection.rule.to_string()).collect();
        rules.sort();
        rules
    };
    let added = "type=ADD_USER msg=audit(1795348800.0:9): pid=15 uid=0 msg='op=add-user acct=\"svc-report\" exe=\"/usr/sbin/useradd\" res=success'";
    assert_eq!(fired("auditd", None, "user.add", added), ["account"]);
    assert_eq!(fired("auditd", None, "user.delete", &added.replace("ADD_USER", "DEL_USER")), [""; 0]);
    let sudo = "Nov 22 12:00:16 web-1 sudo:   ci : TTY=pts/0 ; PWD=/ ; USER=#-1 ; COMMAND=/usr/bin/scp a b@c:";
    assert_eq!(fired("sshd", None, "sudo", sudo), ["copied", "nobody", "whole"]);
    assert_eq!(fired("sshd", Some("ssh"), "ssh.fail", "Nov 22 12:00:16 web-1 sshd[1]: Failed password for a from 10.0.0.1 port 1 ssh2"), ["daemon", "whole"]);
    let journal = r#"{"_HOSTNAME":"web-1","SYSLOG_IDENTIFIER":"sshd","MESSAGE":"Failed password for a from 10.0.0.1 port 1 ssh2"}"#;
    assert_eq!(fired("sshd", Some("ssh"), "ssh.fail", journal), ["daemon", "whole"]);
}

/// What is stated of the corpus: at least 95 of 100 rules of each of these products load.
#[test]
fn nearly_all_rules_for_clouds_and_identity_providers_load() {
    let Some(corpus) = corpus::unpacked() else {
        println!("skipped: ../shared/data is not there");
        return;
    };
    let loaded = keytrail_detect::rule::load::load(&corpus::set(&corpus), corpus::FORMATS).unwrap();
    let mut products: BTreeMap<String, (usize, usize)> = BTreeMap::new();
    for checked in &loaded.checked {
        let product = checked.logsource.split('/').next().unwrap_or_default().to_owned();
        let (all, loads) = products.entry(product).or_default();
        *all += 1;
        *loads += usize::from(checked.loads);
        if !checked.loads {
            println!("{}: {}", checked.path, checked.reason.as_deref().unwrap_or_default());
        }
    }
    println!("{products:?}");
    for product in ["aws", "azure", "gcp", "kubernetes", "okta", "github", "m365"] {
        let (all, loads) = products[product];
        assert!(all > 9 && loads * 100 >= all * 95, "{product}: {loads} of {all}");
    }
    let idle = |product: &str| loaded.checked.iter().filter(|checked| checked.logsource.starts_with(product) && checked.idle).count();
    for product in ["aws/", "kubernetes/", "okta/", "github/", "m365/"] {
        assert_eq!(idle(product), 0, "{product} is read");
    }
    assert!(idle("onelogin/") > 0 && loaded.checked.iter().filter(|checked| checked.idle).all(|checked| checked.reason.is_some()));
}

/// The table in docs/rules.md; `KEYTRAIL_UPDATE_RULES=1` writes it anew.
#[test]
fn the_table_in_the_documentation_is_what_loads() {
    const PRODUCTS: &[&str] = &["aws", "azure", "gcp", "kubernetes", "okta", "github", "m365", "zeek", "onelogin", "bitbucket", "windows", "linux", "macos"];
    let Some(corpus) = corpus::unpacked() else {
        println!("skipped: ../shared/data is not there");
        return;
    };
    let loaded = keytrail_detect::rule::load::load(&corpus::set(&corpus), corpus::FORMATS).unwrap();
    let mut rows = String::new();
    for product in PRODUCTS.iter().copied().chain(["others"]) {
        let of = |checked: &&keytrail_detect::rule::load::Checked| {
            let own = checked.logsource.split('/').next().unwrap_or_default();
            if product == "others" { !PRODUCTS.contains(&own) } else { own == product }
        };
        let all: Vec<_> = loaded.checked.iter().filter(of).collect();
        let loads = all.iter().filter(|checked| checked.loads).count();
        let idle: Vec<_> = all.iter().filter(|checked| checked.idle).collect();
        let mut why: Vec<&str> = idle.iter().map(|checked| why(checked.reason.as_deref().unwrap())).collect();
        why.sort_unstable();
        why.dedup();
        rows += &format!("| {product} | {} | {loads} | {} | {} |\n", all.len(), loads - idle.len(), why.join("; "));
    }
    let path = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/rules.md");
    let Ok(text) = std::fs::read_to_string(&path) else { return };
    let start = text.find("|---|---|---|---|---|\n").unwrap() + "|---|---|---|---|---|\n".len();
    let end = text.find("<!-- /corpus -->").unwrap();
    if option_env!("KEYTRAIL_UPDATE_RULES").is_some() {
        std::fs::write(&path, format!("{}{rows}{}", &text[..start], &text[end..])).unwrap();
    } else {
        assert_eq!(&text[start..end], rows, "KEYTRAIL_UPDATE_RULES=1 writes it anew");
    }
}

fn why(reason: &str) -> &str {
    if reason.contains("no format is known") {
        "no format is known for other logs of it"
    } else {
        reason.trim_start_matches("format not read yet: ").trim_start_matches("not read: ")
    }
}
