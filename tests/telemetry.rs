//! What is exported over OTLP/HTTP, as a collector gets it.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::sync::mpsc::{Sender, channel};

use crate::estate::{Home, cloudtrail_lines};

/// Takes requests of one connection, and hands on path and body.
fn serve(stream: TcpStream, requests: &Sender<(String, Vec<u8>)>) -> std::io::Result<()> {
    let mut answers = stream.try_clone()?;
    let mut reader = BufReader::new(stream);
    loop {
        let (mut first, mut length) = (String::new(), 0);
        if reader.read_line(&mut first)? == 0 {
            return Ok(());
        }
        loop {
            let mut line = String::new();
            reader.read_line(&mut line)?;
            match line.trim_end().split_once(':') {
                Some((name, value)) if name.eq_ignore_ascii_case("content-length") => length = value.trim().parse().unwrap(),
                Some(_) => {}
                None => break,
            }
        }
        let mut body = vec![0; length];
        reader.read_exact(&mut body)?;
        let path = first.split(' ').nth(1).unwrap_or_default().to_owned();
        answers.write_all(b"HTTP/1.1 200 OK\r\nContent-Type: application/x-protobuf\r\nContent-Length: 0\r\n\r\n")?;
        let _ = requests.send((path, body)); // The test may have ended.
    }
}

#[test]
fn spans_and_metrics_are_exported_whatever_is_printed() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let (sender, requests) = channel();
    std::thread::spawn(move || {
        for stream in listener.incoming().map_while(Result::ok) {
            let sender = sender.clone();
            std::thread::spawn(move || serve(stream, &sender));
        }
    });
    let home = Home::new();
    let path = home.file("events.log", cloudtrail_lines(2_000));
    let output = home.command(&["--quiet", "ingest", path.to_str().unwrap()]).env("OTEL_EXPORTER_OTLP_ENDPOINT", format!("http://{address}")).output().unwrap();
    assert!(output.status.success(), "{}", crate::estate::stderr(&output));
    let all: Vec<(String, Vec<u8>)> = requests.try_iter().collect();
    // Names are plain text in the encoding.
    let holds = |path: &str, name: &str| all.iter().any(|(at, body)| at == path && body.windows(name.len()).any(|window| window == name.as_bytes()));
    for span in ["ingest", "detect"] {
        assert!(holds("/v1/traces", span), "no span {span:?}");
    }
    for metric in ["keytrail.ingest.read", "keytrail.store.committed"] {
        assert!(holds("/v1/metrics", metric), "no metric {metric:?}");
    }
}
