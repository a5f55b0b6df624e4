//! Records that cannot be understood, made of those that can: cut, damaged, of another kind.

use std::io::Write as _;

use super::chance::Chance;
use super::place::Planted;

/// gzip of some bytes.
pub fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::default());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

/// A name, and what it makes of a record at a place.
type Way = (&'static str, fn(&str, usize) -> String);

/// Ways to break a JSON record so that the secret still stands in it; the name and the broken line.
const WAYS: &[Way] = &[
    ("cut behind the secret", |line, end| line[..end].to_owned()),
    ("cut two bytes behind", |line, end| line[..(end + 2).min(line.len())].to_owned()),
    ("a stray word", |line, _| format!("{}, oops}}", &line[..line.len() - 1])),
    ("no comma", |line, _| line.replacen("\",\"", "\" \"", 1)),
    ("single quotes", |line, _| line.replace('"', "'")),
    ("the head is lost", |line, _| line[line.len() / 5..].to_owned()),
    ("a syslog header before, the end lost", |line, end| format!("<13>Mar  1 00:00:00 host app[1]: {}", &line[..end])),
    ("within an array that does not end", |line, _| format!("[{line},")),
    ("a control byte", |line, _| line.replacen(':', ":\u{1}", 1)),
];

/// Each planted secret's record, broken in one way or another; files of their own, with the format's name.
pub fn of(planted: &[Planted], chance: &mut Chance) -> Vec<Planted> {
    let mut all = Vec::new();
    for (index, whole) in planted.iter().enumerate() {
        // One line in JSON, in which the secret stands as it is or escaped as JSON does.
        let line = whole.lines.lines().next().unwrap_or_default();
        let written = serde_json::to_string(&whole.secret.text).unwrap();
        let written = written.trim_matches('"');
        let Some(at) = line.find(written).filter(|_| line.starts_with('{') && line.is_ascii()) else { continue };
        let (way, broken) = WAYS[(index + chance.below(2)) % WAYS.len()];
        let broken = broken(line, at + written.len());
        if broken.contains(written) {
            all.push(Planted {
                secret: whole.secret.clone(),
                place: format!("{}: {way}", whole.place),
                format: whole.format,
                file: format!("{}/broken-{way}.log", whole.format).replace(' ', "-"),
                lines: broken,
            });
        }
    }
    all
}
