//! Framing: cuts at every place, damage, and what lies between records.

use super::*;
use proptest::prelude::*;

/// Gives its bytes in pieces of a few, as a slow pipe does.
struct Slow<'a>(&'a [u8], usize);

impl Read for Slow<'_> {
    fn read(&mut self, room: &mut [u8]) -> std::io::Result<usize> {
        let count = self.1.min(room.len()).min(self.0.len());
        let (now, later) = self.0.split_at(count);
        room[..count].copy_from_slice(now);
        self.0 = later;
        Ok(count)
    }
}

/// Fails at its end, as a damaged compressed file does.
struct Broken<'a>(&'a [u8]);

impl Read for Broken<'_> {
    fn read(&mut self, room: &mut [u8]) -> std::io::Result<usize> {
        if self.0.is_empty() { Err(std::io::ErrorKind::UnexpectedEof.into()) } else { self.0.read(room) }
    }
}

/// What a framer yields, in short: a record's line and text, or a damage's reason, line and length.
fn frames<R: Read>(mut framer: Framer<R>) -> Vec<String> {
    let mut out = Vec::new();
    while let Some(frame) = framer.next() {
        out.push(match frame {
            Frame::Record { bytes, place } => format!("{}:{}", place.line, String::from_utf8_lossy(bytes)),
            Frame::Damaged(damage) => format!("!{} {}+{}", damage.fault.reason, damage.place.line, damage.bytes),
        });
    }
    out
}

fn json(text: &str) -> Vec<String> {
    let mut all = None;
    for step in [1, 7, 1 << 20] {
        let mut framer = Framer::new(Slow(text.as_bytes(), step), 1_000, 100);
        framer.set_json(vec!["Records"]);
        let got = frames(framer);
        assert_eq!(*all.get_or_insert(got.clone()), got, "in pieces of {step}");
    }
    all.unwrap()
}

fn lines(text: &str) -> Vec<String> {
    frames(Framer::new(Slow(text.as_bytes(), 3), 20, 8))
}

#[test]
fn lines_are_cut_at_their_ends() {
    assert_eq!(lines("a\r\n\n  \nb \nc"), ["1:a", "4:b", "5:c"]);
    assert_eq!(lines(""), [""; 0]);
    assert_eq!(lines("\u{feff}a\n"), ["1:a"]);
    assert_eq!(lines(&format!("a\n{}\nb\n", "x".repeat(21))), ["1:a", "!too_long 2+21", "3:b"]);
    assert_eq!(lines(&"x".repeat(50)), ["!too_long 1+50"]);
}

#[test]
fn one_value_a_line() {
    assert_eq!(json("{\"a\":1}\n\n{\"b\":2}\r\n{\"c\":3}"), ["1:{\"a\":1}", "3:{\"b\":2}", "4:{\"c\":3}"]);
    assert_eq!(json("{\"a\":1},\n{\"b\":2},\n"), ["1:{\"a\":1}", "2:{\"b\":2}"]);
    assert_eq!(json("{\"a\":1}\n{\"b\":2}{\"c\":3}\n"), ["1:{\"a\":1}", "2:{\"b\":2}", "2:{\"c\":3}"]);
}

#[test]
fn pretty_concatenated_and_arrays() {
    assert_eq!(json("{\n \"a\": {\n}\n}\n{\n \"b\": 2\n}\n"), ["1:{\n \"a\": {\n}\n}", "5:{\n \"b\": 2\n}"]);
    assert_eq!(json("{\"a\":1}{\"b\":2} {\"c\":3}"), ["1:{\"a\":1}", "1:{\"b\":2}", "1:{\"c\":3}"]);
    assert_eq!(json("[{\"a\":1},{\"b\":[2]}]"), ["1:{\"a\":1}", "2:{\"b\":[2]}"]);
    assert_eq!(json("[\n  {\"a\":1},\n  {\"b\":2}\n]\n"), ["2:{\"a\":1}", "3:{\"b\":2}"]);
    assert_eq!(json("\u{1e}{\"a\":1}\n\u{1e}{\"b\":2}\n"), ["1:{\"a\":1}", "2:{\"b\":2}"]);
    assert_eq!(json("[]"), [""; 0]);
}

#[test]
fn envelopes_hold_records() {
    assert_eq!(json("{\"v\":\"1\",\"Records\":[{\"a\":1},{\"b\":2}],\"more\":{\"x\":[1]}}"), ["1:{\"a\":1}", "2:{\"b\":2}"]);
    assert_eq!(json("{\"Records\":[]}\n"), [""; 0]);
    assert_eq!(json("{\"Records\":[{\"a\":1}]}\n{\"Records\":[{\"b\":2}]}\n"), ["1:{\"a\":1}", "2:{\"b\":2}"]);
    assert_eq!(json("{\"a\":1}\n{\"Records\":[{\"b\":2}]}\n{\"c\":3}\n"), ["1:{\"a\":1}", "2:{\"b\":2}", "3:{\"c\":3}"]);
    assert_eq!(json("{\"Records\":[{\"a\":1}],\"Records\":[{\"b\":2}]}"), ["1:{\"a\":1}", "2:{\"b\":2}"]);
}

#[test]
fn damage_costs_its_own_line_where_there_is_one_value_a_line() {
    assert_eq!(json("{\"a\":1}\n{\"b\":\"2\n{\"c\":3}\n"), ["1:{\"a\":1}", "2:{\"b\":\"2", "3:{\"c\":3}"], "the format rejects the second");
    assert_eq!(json("{\"a\":\"1\n{\"b\":2}\n{\"c\":3}\n"), ["!malformed 1+7", "2:{\"b\":2}", "3:{\"c\":3}"]);
    assert_eq!(json("{\"a\":[1,\n{\"b\":2}\n{\"c\":3}\n"), ["!malformed 1+8", "2:{\"b\":2}", "3:{\"c\":3}"]);
    assert_eq!(json("{\"a\":{\n{\"b\":2}\n{\"c\":3}\n"), ["!malformed 1+6", "2:{\"b\":2}", "3:{\"c\":3}"]);
    assert_eq!(json("{\"a\":]}\n{\"b\":2}\n"), ["!malformed 1+7", "2:{\"b\":2}"]);
    assert_eq!(json("{\"a\":1}\nwords\n{\"b\":2}\n"), ["1:{\"a\":1}", "2:words", "3:{\"b\":2}"]);
    assert_eq!(json("{\"a\":\n{\"b\":2}\n"), ["!malformed 1+5", "2:{\"b\":2}"]);
}

#[test]
fn damage_in_an_array_costs_one_element_where_elements_have_lines() {
    assert_eq!(json("[\n {\"a\":1},\n {\"b\":\"2},\n {\"c\":3}\n]"), ["2:{\"a\":1}", "!malformed 3+9", "4:{\"c\":3}"]);
    assert_eq!(json("{\"Records\": [\n  {\n    \"a\": 1]\n  },\n  {\n    \"b\": 2\n  }\n]}"), ["!malformed 2+18", "5:{\n    \"b\": 2\n  }"]);
    assert_eq!(json("[{\"a\":1},{\"b\":]},{\"c\":3}]"), ["1:{\"a\":1}", "!malformed 1+16"]);
    assert_eq!(json("[1, \"x\", {\"a\":1}]"), ["1:1", "2:\"x\"", "3:{\"a\":1}"]);
}

#[test]
fn a_file_that_ends_too_early_says_so() {
    assert_eq!(json("{\"a\":1}\n{\"b\":"), ["1:{\"a\":1}", "2:{\"b\":"], "the format rejects the last line");
    assert_eq!(json("{\"a\":"), ["!truncated 1+5"]);
    assert_eq!(json("{\"Records\":[{\"a\":1},"), ["1:{\"a\":1}", "!truncated 1+0"]);
    assert_eq!(json("{\"Records\":[{\"a\":1},{\"b"), ["1:{\"a\":1}", "!truncated 1+3"]);
    assert_eq!(json("{\"Records\":[{\"a\":1}],\"x\":"), ["1:{\"a\":1}", "!truncated 1+5"]);
}

#[test]
fn a_broken_input_yields_what_is_whole_and_one_damage() {
    let framed = |text: &str, is_json: bool| {
        let mut framer = Framer::new(Broken(text.as_bytes()), 1_000, 100);
        if is_json {
            framer.set_json(vec!["Records"]);
        }
        frames(framer)
    };
    assert_eq!(framed("{\"a\":1}\n{\"b\":2}\n{\"c\"", true), ["1:{\"a\":1}", "2:{\"b\":2}", "!truncated 3+4"]);
    assert_eq!(framed("{\"a\":1}\n{\"b\":2}", true), ["1:{\"a\":1}", "2:{\"b\":2}", "!truncated 2+0"]);
    assert_eq!(framed("{\"Records\":[{\"a\":1},{\"b\"", true), ["1:{\"a\":1}", "!truncated 1+4"]);
    assert_eq!(framed("a\nb", false), ["1:a", "!truncated 2+1"]);
    assert_eq!(framed("", true), ["!truncated 1+0"]);
}

#[test]
fn a_record_that_is_too_long_is_one_damage_and_reading_goes_on() {
    let long = format!("{{\"x\":\"{}\"}}", "y".repeat(5_000));
    let short = "{\"a\":1}";
    assert_eq!(json(&format!("{short}\n{long}\n{short}\n")), ["1:{\"a\":1}", "!too_long 2+5008", "3:{\"a\":1}"]);
    assert_eq!(json(&format!("{long}\n{short}\n{short}\n")), ["!too_long 1+5008", "2:{\"a\":1}", "3:{\"a\":1}"]);
    assert_eq!(json(&format!("[{short},{long},{short}]")), ["1:{\"a\":1}", "!too_long 1+5008", "3:{\"a\":1}"]);
    assert_eq!(json(&format!("{{\"Records\":[{long},{short}]}}")), ["!too_long 1+5008", "2:{\"a\":1}"]);
    let nested = format!("{{\"x\":{}{}}}", "[".repeat(10_000), "]".repeat(10_000));
    assert_eq!(json(&format!("{nested}\n{short}\n")), ["!too_long 1+20006", "2:{\"a\":1}"]);
    let text = format!("{short}\n{long}\n");
    let mut framer = Framer::new(text.as_bytes(), 1_000, 100);
    framer.set_json(Vec::new());
    framer.next();
    let Some(Frame::Damaged(damage)) = framer.next() else { panic!("not noticed") };
    assert_eq!((damage.bytes, damage.head.as_slice(), damage.place.byte_offset), (long.len() as u64, &long.as_bytes()[..100], 8));
}

proptest! {
    /// However the bytes arrive, and whatever they are: the same frames, no panic, and every byte that is not white space or part of a
    /// container is in one of them.
    #[test]
    fn any_bytes_are_framed_the_same_however_they_arrive(text in r#"([{}\[\],:"\\a1 \n]|\{"a":1\}|"Records":\[){0,80}"#, step in 1_usize..9, is_json in any::<bool>()) {
        let run = |step: usize| {
            let mut framer = Framer::new(Slow(text.as_bytes(), step), 60, 10);
            if is_json {
                framer.set_json(vec!["Records"]);
            }
            frames(framer)
        };
        prop_assert_eq!(run(step), run(1 << 20));
    }

    #[test]
    fn whole_values_survive_any_layout(values in prop::collection::vec(any::<u32>(), 1..20), layout in 0_usize..6) {
        let texts: Vec<String> = values.iter().map(|value| format!("{{\"v\":{{\"n\":{value},\"s\":\"}}{{\"}}}}")).collect();
        let text = match layout {
            0 => texts.join("\n"),
            1 => texts.concat(),
            2 => format!("[{}]", texts.join(",")),
            3 => format!("{{\"h\":[1],\"Records\":[{}]}}", texts.join(" , ")),
            4 => format!("[\n{}\n]", texts.join(",\n")),
            _ => texts.iter().map(|text| serde_json::to_string_pretty(&serde_json::from_str::<serde_json::Value>(text).unwrap()).unwrap()).collect::<Vec<_>>().join("\n"),
        };
        let mut framer = Framer::new(Slow(text.as_bytes(), 5), 1_000, 10);
        framer.set_json(vec!["Records"]);
        let mut read = Vec::new();
        while let Some(frame) = framer.next() {
            let Frame::Record { bytes, .. } = frame else { return Err(TestCaseError::fail("damage")) };
            read.push(serde_json::from_slice::<serde_json::Value>(bytes).unwrap()["v"]["n"].as_u64().unwrap());
        }
        prop_assert_eq!(read, values.iter().map(|value| u64::from(*value)).collect::<Vec<_>>());
    }
}
