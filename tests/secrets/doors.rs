//! The other doors: what `run` forwards, serves and exports, what the roles on Kafka write, and leaks planted in each kind of file.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::sync::mpsc::{Receiver, channel};
use std::time::{Duration, Instant};

use base64::Engine as _;

use super::chance::Chance;
use super::corpus::Corpus;
use super::written::{self, Written};
use crate::estate::Home;

/// Plants secrets of a corpus in files of a data folder, each encoded in another way, and sees each one caught.
pub fn planted_leaks(corpus: &Corpus, home: &Home) {
    type Encode = fn(&str) -> Vec<u8>;
    let standard = base64::engine::general_purpose::STANDARD;
    let encodings: [(&str, Encode); 12] = [
        ("clear", |s| format!("\"{s}\"").into_bytes()),
        ("base64, aligned", |s| base64::engine::general_purpose::STANDARD.encode(s).into_bytes()),
        ("base64, one byte before", |s| base64::engine::general_purpose::STANDARD.encode(format!("x{s}y")).into_bytes()),
        ("base64, two bytes before", |s| base64::engine::general_purpose::STANDARD.encode(format!("xx{s}y")).into_bytes()),
        ("base64url without padding", |s| base64::engine::general_purpose::URL_SAFE_NO_PAD.encode(format!("??{s}")).into_bytes()),
        ("base64 of base64", |s| {
            let inner = base64::engine::general_purpose::STANDARD.encode(s);
            base64::engine::general_purpose::STANDARD.encode(format!("AWS:{inner}")).into_bytes()
        }),
        ("gzip in base64", |s| base64::engine::general_purpose::STANDARD.encode(super::broken::gzip(format!("x {s} y").as_bytes())).into_bytes()),
        ("hex", |s| s.bytes().map(|b| format!("{b:02x}")).collect::<String>().into_bytes()),
        ("percent", |s| super::place::percent(s).into_bytes()),
        ("JSON in JSON", |s| serde_json::to_string(&serde_json::to_string(s).unwrap()).unwrap().into_bytes()),
        ("escapes", |s| s.chars().map(|c| format!("\\u{:04x}", u32::from(c))).collect::<String>().into_bytes()),
        ("half of it", |s| s.as_bytes()[s.len() / 2..].to_vec()),
    ];
    for index in 0..corpus.planted.len() {
        let (name, encode) = encodings[index % encodings.len()];
        let core = &corpus.planted[index].secret.core;
        if name == "half of it" && (core.len() < 16 || !core.is_ascii()) {
            continue;
        }
        let bytes = [b"{\"a\": ".as_slice(), &encode(core), b"}"].concat();
        let leaks = corpus.leaks(&[Written::new("planted", bytes.clone())]);
        assert!(leaks.contains_key(&index), "{name} of {core:?}, number {index}, is not caught: {}; found {leaks:?}", String::from_utf8_lossy(&bytes));
    }
    // In a file, in a packed state, and in the rows of a compressed Parquet file, where no byte of it can be seen from without.
    let (secret, data) = (&corpus.planted[0].secret.core, home.data());
    let caught = |what: &str| {
        let (all, _) = written::folder(&data);
        let leaks = corpus.leaks(&all);
        assert!(leaks.get(&0).is_some_and(|places| places.iter().any(|place| place.contains(what))), "a leak in {what} is not caught: {leaks:?}");
    };
    std::fs::write(data.join("stray.txt"), standard.encode(secret)).unwrap();
    caught("stray.txt");
    let plain = format!("{}{secret}", "state ".repeat(100));
    let packed = lz4_flex::block::compress(plain.as_bytes());
    let lengths = [1, plain.len() as u64, packed.len() as u64].map(u64::to_le_bytes).concat();
    let state = [b"ktdetect".as_slice(), &3_u32.to_le_bytes(), &[0; 32], &lengths, &packed].concat();
    std::fs::write(data.join("planted.state"), state).unwrap();
    caught("planted.state (unpacked)");
    let column: arrow::array::ArrayRef = std::sync::Arc::new(arrow::array::StringArray::from(vec![format!("{}{secret}", "row ".repeat(100)); 3]));
    let batch = arrow::record_batch::RecordBatch::try_from_iter([("raw", column)]).unwrap();
    let zstd = parquet::file::properties::WriterProperties::builder().set_compression(parquet::basic::Compression::ZSTD(Default::default())).build();
    let mut writer =
        parquet::arrow::ArrowWriter::try_new(std::fs::File::create(data.join("lake/planted.parquet")).unwrap(), batch.schema(), Some(zstd)).unwrap();
    writer.write(&batch).unwrap();
    writer.close().unwrap();
    caught("planted.parquet (rows)");
}

/// A receiver of whatever is sent to it: syslog frames, or requests of OTLP over HTTP, which it answers.
fn receiver(http: bool) -> (String, Receiver<Vec<u8>>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap().to_string();
    let (sender, received) = channel();
    std::thread::spawn(move || {
        for stream in listener.incoming().map_while(Result::ok) {
            let sender = sender.clone();
            std::thread::spawn(move || if http { answer(stream, &sender) } else { take(stream, &sender) });
        }
    });
    (address, received)
}

fn take(mut stream: TcpStream, sender: &std::sync::mpsc::Sender<Vec<u8>>) -> std::io::Result<()> {
    let mut bytes = vec![0; 64 << 10];
    loop {
        match stream.read(&mut bytes)? {
            0 => return Ok(()),
            read => drop(sender.send(bytes[..read].to_vec())), // The test may have ended.
        }
    }
}

fn answer(stream: TcpStream, sender: &std::sync::mpsc::Sender<Vec<u8>>) -> std::io::Result<()> {
    let mut answers = stream.try_clone()?;
    let mut reader = BufReader::new(stream);
    loop {
        let (mut head, mut length) = (String::new(), 0);
        loop {
            let before = head.len();
            if reader.read_line(&mut head)? == 0 {
                return Ok(());
            }
            let line = head[before..].trim_end();
            if line.is_empty() {
                break;
            }
            if let Some((name, value)) = line.split_once(':')
                && name.eq_ignore_ascii_case("content-length")
            {
                length = value.trim().parse().unwrap();
            }
        }
        let mut body = vec![0; length];
        reader.read_exact(&mut body)?;
        answers.write_all(b"HTTP/1.1 200 OK\r\nContent-Type: application/x-protobuf\r\nContent-Length: 0\r\n\r\n")?;
        let _ = sender.send([head.into_bytes(), body].concat()); // The test may have ended.
    }
}

fn joined(received: &Receiver<Vec<u8>>) -> Vec<u8> {
    received.try_iter().flatten().collect()
}

fn get(address: &str, path: &str) -> std::io::Result<Vec<u8>> {
    let mut stream = TcpStream::connect(address)?;
    stream.set_read_timeout(Some(Duration::from_secs(5)))?;
    write!(stream, "GET {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")?;
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer)?;
    Ok(answer)
}

#[test]
fn nothing_that_run_sends_serves_or_prints_holds_a_secret() {
    let mut chance = Chance::new("nothing_that_run_sends_serves_or_prints_holds_a_secret");
    let corpus = Corpus::new(&mut chance);
    corpus.is_found_in_the_input();
    let home = Home::new();
    let formats = corpus.write(&home);
    let (syslog, lines) = receiver(false);
    let (collector, exported) = receiver(true);
    let metrics = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().to_string();
    let mut settings = format!("[metrics]\nlisten = \"{metrics}\"\n[telemetry]\notlp_endpoint = \"http://{collector}\"\nlog_level = \"trace\"\n");
    let mut sources = 0;
    for (format, paths) in &formats {
        let paths: Vec<String> = paths.iter().map(|path| format!("{:?}", path.to_str().unwrap())).collect();
        settings.push_str(&format!("[[source]]\nname = \"from-{format}\"\nformat = \"{format}\"\npaths = [{}]\npoll_interval_ms = 200\n", paths.join(", ")));
        sources += 1;
    }
    for encoding in ["ocsf", "json", "ecs", "cef", "leef"] {
        settings.push_str(&format!("[[forward]]\ntarget = \"file:{}\"\nencoding = \"{encoding}\"\n", home.path().join(format!("sent/{encoding}")).display()));
    }
    settings.push_str(&format!("[[forward]]\ntarget = \"syslog+tcp://{syslog}\"\nencoding = \"cef\"\n"));
    std::fs::create_dir_all(home.path().join("sent")).unwrap();
    home.file("keytrail.toml", settings);
    let printed = std::fs::File::create(home.path().join("printed")).unwrap();
    let mut running = home.command(&["run"]).stdout(printed.try_clone().unwrap()).stderr(printed).spawn().unwrap();
    // Every source is read once its line is logged.
    let started = Instant::now();
    let read = || std::fs::read_to_string(home.path().join("printed")).unwrap_or_default().matches("source read").count();
    while read() < sources {
        assert!(started.elapsed() < Duration::from_secs(180) && running.try_wait().unwrap().is_none(), "{} of {sources} sources were read", read());
        std::thread::sleep(Duration::from_millis(200));
    }
    // The trace filter is the program's own word on how much it says; what it serves is asked for while it runs.
    let served = get(&metrics, "/metrics").unwrap();
    assert!(String::from_utf8_lossy(&served).contains("keytrail_ingest_read"), "{}", String::from_utf8_lossy(&served));
    assert!(std::process::Command::new("kill").args(["-TERM", &running.id().to_string()]).status().unwrap().success());
    assert!(running.wait().unwrap().success());
    let found = home.rows(&["sql", "select count(*) as n from findings_log"])[0]["n"].as_i64().unwrap();
    assert!(found > 0, "the corpus gives findings, so that there is something to forward");
    let mut all = vec![
        Written::new("/metrics", served),
        Written::new("syslog", joined(&lines)),
        Written::new("OTLP", joined(&exported)),
        Written::new("printed by run", std::fs::read(home.path().join("printed")).unwrap()),
    ];
    assert!(all.iter().all(|part| !part.bytes.is_empty()), "nothing came through {:?}", all.iter().find(|part| part.bytes.is_empty()).map(|part| &part.at));
    for encoding in ["ocsf", "json", "ecs", "cef", "leef"] {
        let sent = std::fs::read(home.path().join("sent").join(encoding)).unwrap();
        assert!(!sent.is_empty(), "{encoding}");
        all.push(Written::new(format!("forwarded as {encoding}"), sent));
    }
    all.extend(written::folder(&home.data()).0);
    corpus.holds_none(&all, "run");
}

#[test]
fn no_topic_holds_a_secret() {
    let Some(site) = crate::kafka::Site::new("no_topic_holds_a_secret", 1) else { return };
    let mut chance = Chance::new("no_topic_holds_a_secret");
    let corpus = Corpus::new(&mut chance);
    for (format, paths) in corpus.write(&site.home) {
        let paths: Vec<&str> = paths.iter().map(|path| path.to_str().unwrap()).collect();
        site.expect(&[&["ingest", "--format", format], paths.as_slice()].concat());
    }
    site.drain();
    let mut all = Vec::new();
    for topic in ["keytrail.events", "keytrail.findings", "keytrail.dead-letters"] {
        // Headers, key and payload, as any other tool reads them.
        let output = std::process::Command::new("kcat").args(["-C", "-b", &site.broker.address, "-t", topic, "-e", "-q", "-f", "%h %k %s\\n"]).output();
        match output {
            Ok(output) => {
                assert!(!output.stdout.is_empty(), "{topic} is empty");
                all.push(Written::new(topic, output.stdout));
            }
            Err(error) => {
                assert!(crate::kafka::setting("KEYTRAIL_CI").is_none(), "kcat must be there in CI: {error}");
                println!("SKIPPED the reading of topics by kcat: {error}");
            }
        }
    }
    all.extend(written::folder(&site.home.data()).0);
    corpus.holds_none(&all, "Kafka");
}
