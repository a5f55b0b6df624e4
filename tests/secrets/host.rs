//! Where secrets stand in the logs of hosts and of what runs on them: command lines, messages that echo, passwords behind users' names, task definitions, one-time tokens.

use super::place::{Place, Takes, closed, kept};
use super::template::{Template, numbered};

const WINDOWS: &str = r##"{"Event":{"#attributes":{"xmlns":"http://schemas.microsoft.com/win/2004/08/events/event"},"System":{"Provider":{"#attributes":{"Name":"Microsoft-Windows-Security-Auditing"}},"EventID":4698,"Keywords":"0x8020000000000000",
  "TimeCreated":{"#attributes":{"SystemTime":"{time}"}},"EventRecordID":{n},"Channel":"Security","Computer":"DC1.corp.example.org"},"EventData":{"SubjectUserSid":"S-1-5-21-1-2-3-1120","SubjectUserName":"svc-sql","SubjectDomainName":"CORP",
  "SubjectLogonId":"0x77","TaskName":"\\nightly"}}}"##;

const WINDOWS_PROCESS: &str = r##"{"Event":{"#attributes":{"xmlns":"http://schemas.microsoft.com/win/2004/08/events/event"},"System":{"Provider":{"#attributes":{"Name":"Microsoft-Windows-Security-Auditing"}},"EventID":4688,"Keywords":"0x8020000000000000",
  "TimeCreated":{"#attributes":{"SystemTime":"{time}"}},"EventRecordID":{n},"Channel":"Security","Computer":"APP1.corp.example.org"},"EventData":{"SubjectUserSid":"S-1-5-21-1-2-3-1120","SubjectUserName":"svc-sql","SubjectDomainName":"CORP",
  "SubjectLogonId":"0x77","NewProcessName":"C:\\Windows\\System32\\cmd.exe","CommandLine":"cmd"}}}"##;

const WINLOGBEAT: &str = r#"{"@timestamp":"{time}","event":{"code":"4625","provider":"Microsoft-Windows-Security-Auditing","outcome":"failure"},"host":{"name":"SQL1"},"winlog":{"channel":"Security","event_id":"4625","record_id":{n},"computer_name":"SQL1",
  "provider_name":"Microsoft-Windows-Security-Auditing","event_data":{"TargetUserName":"ada","TargetDomainName":"CORP","Status":"0xc000006d","SubStatus":"0xc000006a","LogonType":"3","IpAddress":"203.0.113.9"}},"message":"An account failed to log on."}"#;

const SPIRE: &str = r#"{"authorized_as":"nobody","authorized_via":"","caller_addr":"10.0.0.4:5001","level":"info","method":"AttestAgent","msg":"API accessed","node_attestor_type":"join_token","request_id":"{id}","service":"agent.v1.Agent",
  "status":"error","status_code":3,"status_message":"failed","subsystem_name":"api","time":"{time}","type":"audit"}"#;

const STEP_CA: &str = r#"{"certificate":"MIIBszCCAVmgAwIBAgIQ","duration":"23ms","fields.time":"{time}","issuer":"Example Intermediate CA","level":"info","method":"POST","msg":"","name":"ca","ott":"x","path":"/1.0/sign","protocol":"HTTP/2.0",
  "provisioner":"ci (kid-1)","remote-address":"10.0.0.5:4000","request-id":"{id}","serial":"{n}","status":201,"subject":"web.example.org","time":"{time}","user-agent":"step","valid-from":"2026-11-22T11:59:02Z","valid-to":"2026-11-23T12:00:02Z"}"#;

const JOURNAL: &str = r#"{"__REALTIME_TIMESTAMP":"{millis}000","_HOSTNAME":"web-1","SYSLOG_IDENTIFIER":"sshd","_PID":"{n}","MESSAGE":"Accepted publickey for git from 10.0.0.11 port 7 ssh2: ED25519 SHA256:GITGITJk8m0b1yHkq3Yw5b8m7XJ3i0P2r1s4t6u8v0w"}"#;

const TEMPLATES: &[Template] = &[
    Template {
        format: "windows_security",
        file: "windows_security/task.ndjson",
        name: "4698",
        record: WINDOWS,
        closed: &[
            "Event/EventData/TaskContent",
            "Event/EventData/TaskContentNew",
            "Event/EventData/AttributeValue",
            "Event/EventData/Message",
            "Event/EventData/Parameters",
            "Event/RenderingInfo/Message",
        ],
        texts: &["Event/EventData/TaskName", "Event/EventData/ServiceFileName", "Event/EventData/SubjectUserName", "Event/EventData/ObjectName"],
    },
    Template {
        format: "windows_security",
        file: "windows_security/winlogbeat.ndjson",
        name: "4625",
        record: WINLOGBEAT,
        closed: &["message", "winlog/event_data/TaskContent", "event/original", "process/command_line", "process/args", "powershell/file/script_block_text"],
        texts: &["winlog/event_data/TargetUserName", "winlog/event_data/WorkstationName", "winlog/event_data/CommandLine"],
    },
    Template {
        format: "spire",
        file: "spire/server.ndjson",
        name: "audit",
        record: SPIRE,
        closed: &["join_token", "selectors/0/value", "token", "payload", "jwt_svid"],
        texts: &["status_message", "error", "caller_path", "spiffe_id", "audience"],
    },
    Template {
        format: "step_ca",
        file: "step_ca/step.ndjson",
        name: "sign",
        record: STEP_CA,
        closed: &["ott", "certificate", "request-body", "headers"],
        texts: &["error", "user-agent", "path", "subject", "provisioner"],
    },
    Template {
        format: "sshd",
        file: "sshd/journal.ndjson",
        name: "journal",
        record: JOURNAL,
        closed: &["ENVIRONMENT", "SSH_ORIGINAL_COMMAND"],
        texts: &["MESSAGE", "_CMDLINE"],
    },
];

/// A way, and the command line with a secret in it.
type Command = (&'static str, fn(&str) -> String);

/// Ways to hand a secret to a program, whatever it looks like.
const COMMANDS: &[Command] = &[
    ("--password", |s| format!("/usr/bin/mysqldump --host db --password {s} orders")),
    ("-p", |s| format!("mysql -u root -p{s} prod")),
    ("an environment's variable", |s| format!("/usr/bin/env DB_PASSWORD={s} /srv/start")),
    ("an argument without a name", |s| format!("/usr/local/bin/login-helper app {s}")),
    ("a header", |s| format!("curl -H 'X-Vault-Token: {s}' https://vault.example.org/v1/secret/data/db")),
    ("a URL", |s| format!("git clone https://deploy:{s}@git.example.org/repo.git")),
    ("net use", |s| format!("net use x: \\\\fs1\\share /user:CORP\\svc {s}")),
    ("standard input", |s| format!("sh -c 'echo {s} | docker login -u ci --password-stdin'")),
];

fn quoted(text: &str) -> String {
    text.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n")
}

/// A command line in each log that has one.
fn commands() -> Vec<Place> {
    let mut all = Vec::new();
    for (way, command) in COMMANDS {
        let (way, command) = (*way, *command);
        all.push(closed("windows_security", "windows_security/process.ndjson", &format!("4688 command line: {way}"), move |s, n| {
            let mut record: serde_json::Value = serde_json::from_str(&numbered(WINDOWS_PROCESS, n)).unwrap();
            record["Event"]["EventData"]["CommandLine"] = serde_json::json!(command(s));
            record.to_string()
        }));
        all.push(closed("sshd", "sshd/sudo.log", &format!("sudo: {way}"), move |s, n| {
            let line = numbered("{time} web-1 sudo:   deploy : TTY=pts/0 ; PWD=/srv ; USER=root ; COMMAND=", n);
            format!("{line}{}", command(s).replace('\n', " "))
        }));
        all.push(closed("auditd", "auditd/audit.log", &format!("USER_CMD: {way}"), move |s, n| {
            let cmd: String = command(s).bytes().map(|b| format!("{b:02X}")).collect();
            format!("node=web-2 type=USER_CMD msg=audit(17724{:05}.000:{n}): pid=14 uid=497 auid=700 ses=9 msg='cwd=\"/\" cmd={cmd} exe=\"/usr/bin/sudo\" terminal=? res=success'", 9_600 + n % 90_000)
        }));
        all.push(closed("auditd", "auditd/execve.log", &format!("EXECVE: {way}"), move |s, n| {
            // The kernel writes an argument with a space in it as hexadecimal digits.
            let argument = |word: &str| {
                if word.contains(' ') { word.bytes().map(|b| format!("{b:02X}")).collect() } else { format!("\"{}\"", quoted(word)) }
            };
            let line = command("\u{1}");
            let words: Vec<String> = line.split(' ').enumerate().map(|(index, word)| format!("a{index}={}", argument(&word.replace('\u{1}', s)))).collect();
            format!("type=EXECVE msg=audit(17724{:05}.000:{n}): argc={} {}", 9_600 + n % 90_000, words.len(), words.join(" "))
        }));
    }
    all
}

/// A line with `text` in it, for each line format.
type Line = (&'static str, &'static str, &'static str, Takes, fn(&str, u64) -> String);

const LINES: &[Line] = &[
    ("sshd", "sshd/auth.log", "user", Takes::Token, |s, n| {
        numbered(&format!("{{time}} web-1 sshd[{n}]: Failed password for invalid user {s} from 203.0.113.5 port 4001 ssh2"), n)
    }),
    ("sshd", "sshd/auth.log", "a message", Takes::Anything, |s, n| {
        numbered(&format!("{{time}} web-1 sshd[{n}]: error: PAM: {s} for deploy from 203.0.113.5"), n)
    }),
    ("sshd", "sshd/auth.log", "another program's message", Takes::Anything, |s, n| {
        numbered(&format!("{{time}} web-1 passwd[{n}]: new secret {s} given to deploy: pam_unix(passwd:chauthtok): password changed for deploy"), n)
    }),
    ("sshd", "sshd/auth.log", "a certificate's id", Takes::Token, |s, n| {
        numbered(
            &format!(
                "{{time}} web-1 sshd[{n}]: Accepted publickey for root from 10.0.0.9 port 50123 ssh2: ED25519-CERT SHA256:aaaaO1QJk8m0b1yHkq3Yw5b8m7XJ3i0P2r1s4t6u8v0 ID {s} (serial 42) CA RSA SHA256:cccckO1QJk8m0b1yHkq3Yw5b8m7XJ3i0P2r1s4t6u8v"
            ),
            n,
        )
    }),
    ("auditd", "auditd/audit.log", "an account", Takes::Token, |s, n| {
        format!(
            "type=USER_AUTH msg=audit(17724{:05}.200:{n}): pid=10 uid=0 auid=4294967295 ses=4294967295 msg='op=PAM:authentication acct=\"{s}\" exe=\"/usr/sbin/sshd\" hostname=? addr=10.0.0.9 terminal=ssh res=failed'",
            9_600 + n % 90_000
        )
    }),
    ("auditd", "auditd/tty.log", "what was typed", Takes::Anything, |s, n| {
        let data: String = s.bytes().map(|b| format!("{b:02X}")).collect();
        format!("type=TTY msg=audit(17724{:05}.200:{n}): tty pid=10 uid=0 auid=700 ses=9 major=136 minor=0 comm=\"bash\" data={data}0D", 9_600 + n % 90_000)
    }),
    ("mosquitto", "mosquitto/broker.log", "user", Takes::Token, |s, n| {
        numbered(&format!("{{time}}: New client connected from 10.0.0.5:50001 as meter-{n} (p2, c1, k60, u'{s}')."), n)
    }),
    ("mosquitto", "mosquitto/broker.log", "client", Takes::Token, |s, n| {
        numbered(&format!("{{time}}: New client connected from 10.0.0.5:50001 as {s} (p2, c1, k60, u'meters')."), n)
    }),
    ("mosquitto", "mosquitto/broker.log", "topic", Takes::Token, |s, n| {
        numbered(&format!("{{time}}: Denied PUBLISH from meter-{n} (d0, q0, r0, m0, 'plant/{s}', ... (5 bytes))"), n)
    }),
    ("mosquitto", "mosquitto/broker.log", "a plugin's message", Takes::Anything, |s, n| {
        numbered(&format!("{{time}}: Client meter-{n} disconnected: auth plugin refused password {s}."), n)
    }),
    ("freeradius", "freeradius/radius.log", "a password behind the user's name", Takes::Anything, |s, n| {
        format!(
            "Sun Mar  1 12:{:02}:{:02} 2026 : Auth: ({n}) Login incorrect (mschap: MS-CHAP2-Response is incorrect): [bob/{s}] (from client ap-1 port 3 cli 02-00-00-00-00-02)",
            n / 60 % 60,
            n % 60
        )
    }),
    ("freeradius", "freeradius/radius.log", "a module's message", Takes::Anything, |s, n| {
        format!(
            "Sun Mar  1 12:{:02}:{:02} 2026 : Auth: ({n}) Login incorrect (pap: password {s} does not match): [bob] (from client ap-1 port 3)",
            n / 60 % 60,
            n % 60
        )
    }),
    ("freeradius", "freeradius/radius.log", "user", Takes::Token, |s, n| {
        format!("Sun Mar  1 12:{:02}:{:02} 2026 : Auth: ({n}) Login OK: [{s}] (from client ap-1 port 3 cli 02-00-00-00-00-01)", n / 60 % 60, n % 60)
    }),
];

fn lines() -> Vec<Place> {
    LINES
        .iter()
        .map(|(format, file, name, takes, line)| Place {
            name: (*name).to_owned(),
            format,
            file,
            takes: *takes,
            build: Box::new(|s, n| line(&s.replace('\n', " "), n)),
        })
        .collect()
}

const REPORT: &str = "user,arn,user_creation_time,password_enabled,password_last_used,password_last_changed,password_next_rotation,mfa_active,access_key_1_active,access_key_1_last_rotated,access_key_1_last_used_date,access_key_1_last_used_region,access_key_1_last_used_service,access_key_2_active,access_key_2_last_rotated,access_key_2_last_used_date,access_key_2_last_used_region,access_key_2_last_used_service,cert_1_active,cert_1_last_rotated,cert_2_active,cert_2_last_rotated";

/// The credential report: each row in a file of its own, behind the header.
fn report() -> Vec<Place> {
    kept("aws_credential_report", "aws_credential_report/all.csv", "user", |s: &str, n| {
        let user = s.replace(['"', ',', '\n'], " ");
        format!(
            "{REPORT}\n{user},arn:aws:iam::111122223333:user/u{n},2023-04-01T10:00:00+00:00,false,N/A,N/A,N/A,false,true,2023-04-01T10:00:05+00:00,2026-02-21T23:10:00+00:00,eu-west-1,s3,false,N/A,N/A,N/A,N/A,false,N/A,false,N/A"
        )
    })
}

/// Every place.
pub fn places() -> Vec<Place> {
    let mut all: Vec<Place> = TEMPLATES.iter().flat_map(Template::places).collect();
    all.extend(commands());
    all.extend(lines());
    all.extend(report());
    all
}
