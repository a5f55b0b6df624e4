//! Event logs as XML, as the Event Viewer, `wevtutil qe` and `Get-WinEvent` write them: `<Event>…</Event>`, one after another, in a root element or in none. An event is read on its
//! own, without a document type, so that no entity is expanded but XML's own five. Source: Microsoft, "Event Schema".

use std::io::Read;

use quick_xml::Reader;
use quick_xml::events::{BytesStart, Event};
use serde_json::{Map, Value};

use super::{Source, damage};

/// An event longer than this is none.
const EVENT_BYTES_MAX: usize = 1 << 20;
const READ_BYTES: usize = 64 << 10;
/// Elements lie so deep at most.
const DEPTH_MAX: usize = 32;
const NAMESPACE: &[u8] = b"schemas.microsoft.com/win/2004/08/events/event";
const END: &[u8] = b"</Event>";

/// Whether the first bytes of a file are of such a log.
pub(super) fn is_events(head: &[u8]) -> bool {
    let head = head.strip_prefix(b"\xef\xbb\xbf").unwrap_or(head).trim_ascii_start();
    let begins = head.starts_with(b"<?xml") || head.starts_with(b"<Event");
    begins && memchr::memmem::find(head, NAMESPACE).is_some()
}

pub(super) struct Xml {
    input: Box<dyn Read + Send>,
    window: Vec<u8>,
    ended: bool,
    event: u64,
}

impl Xml {
    pub(super) const fn new(input: Box<dyn Read + Send>) -> Self {
        Self { input, window: Vec::new(), ended: false, event: 0 }
    }

    fn fill(&mut self) -> std::io::Result<()> {
        let start = self.window.len();
        self.window.resize(start + READ_BYTES, 0);
        let count = loop {
            match self.input.read(self.window.get_mut(start..).unwrap_or_default()) {
                Err(error) if error.kind() == std::io::ErrorKind::Interrupted => {}
                other => break other,
            }
        };
        self.window.truncate(start + count.as_ref().copied().unwrap_or(0));
        self.ended = count? == 0;
        Ok(())
    }
}

impl Source for Xml {
    fn next(&mut self, out: &mut Vec<u8>) -> std::io::Result<bool> {
        loop {
            if let Some(start) = begin(&self.window) {
                self.window.drain(..start);
                if let Some(end) = memchr::memmem::find(&self.window, END).map(|at| at + END.len()) {
                    self.event += 1;
                    match self.window.get(..end).map(event) {
                        Some(Ok(event)) => {
                            out.extend_from_slice(event.to_string().as_bytes());
                            out.push(b'\n');
                        }
                        Some(Err(why)) => damage(&format!("event {} of the file: {why}", self.event), out),
                        None => {}
                    }
                    self.window.drain(..end);
                    return Ok(true);
                }
                if self.window.len() > EVENT_BYTES_MAX {
                    self.event += 1;
                    damage(&format!("event {} of the file does not end within {EVENT_BYTES_MAX} bytes", self.event), out);
                    self.window.drain(..1);
                    return Ok(true);
                }
            } else {
                // What stands between events: its end may be the beginning of one.
                let keep = self.window.len().saturating_sub(16);
                self.window.drain(..keep);
            }
            if self.ended {
                if begin(&self.window).is_some() {
                    damage(&format!("the file ends within event {}", self.event + 1), out);
                }
                return Ok(false);
            }
            self.fill()?;
        }
    }
}

/// Where the next event begins.
fn begin(window: &[u8]) -> Option<usize> {
    memchr::memmem::find_iter(window, b"<Event").find(|at| window.get(at + 6).is_some_and(|byte| matches!(byte, b'>' | b' ' | b'\t' | b'\r' | b'\n')))
}

/// An element that is open.
struct Open {
    name: String,
    /// The attribute `Name` of a `Data`.
    data_name: Option<String>,
    map: Map<String, Value>,
    text: String,
}

impl Open {
    fn new(start: &BytesStart<'_>) -> Result<Self, String> {
        let mut attributes = Map::new();
        let name = String::from_utf8_lossy(start.local_name().as_ref()).into_owned();
        for attribute in start.attributes() {
            let attribute = attribute.map_err(|error| error.to_string())?;
            let value = attribute.unescape_value().map_err(|error| error.to_string())?;
            attributes.insert(String::from_utf8_lossy(attribute.key.as_ref()).into_owned(), Value::String(value.into_owned()));
        }
        let data_name = (name == "Data").then(|| attributes.remove("Name")).flatten().and_then(|name| name.as_str().map(str::to_owned));
        let mut map = Map::new();
        if !attributes.is_empty() {
            map.insert("#attributes".to_owned(), Value::Object(attributes));
        }
        Ok(Self { name, data_name, map, text: String::new() })
    }

    fn end(self) -> (String, Value) {
        let name = self.data_name.unwrap_or(self.name);
        if self.map.is_empty() {
            return (name, Value::String(self.text));
        }
        let mut map = self.map;
        if !self.text.trim().is_empty() {
            map.insert("#text".to_owned(), Value::String(self.text));
        }
        (name, Value::Object(map))
    }
}

/// An event as JSON.
fn event(xml: &[u8]) -> Result<Value, String> {
    let text = std::str::from_utf8(xml).map_err(|error| format!("not UTF-8 at byte {} of it: convert the file", error.valid_up_to()))?;
    let mut reader = Reader::from_str(text);
    let mut open: Vec<Open> = Vec::new();
    loop {
        let ended = match reader.read_event().map_err(|error| error.to_string())? {
            Event::Start(start) => {
                if open.len() >= DEPTH_MAX {
                    return Err(format!("elements lie deeper than {DEPTH_MAX}"));
                }
                open.push(Open::new(&start)?);
                None
            }
            Event::Empty(start) => Some(Open::new(&start)?),
            Event::End(_) => open.pop(),
            Event::Text(text) => {
                if let Some(top) = open.last_mut() {
                    top.text.push_str(&text.xml_content().map_err(|error| error.to_string())?);
                }
                None
            }
            Event::CData(data) => {
                if let Some(top) = open.last_mut() {
                    top.text.push_str(&data.xml_content().map_err(|error| error.to_string())?);
                }
                None
            }
            Event::GeneralRef(reference) => {
                let character = match reference.resolve_char_ref().map_err(|error| error.to_string())? {
                    Some(character) => Some(character),
                    None => match &*reference {
                        [b'l', b't'] => Some('<'),
                        [b'g', b't'] => Some('>'),
                        b"amp" => Some('&'),
                        b"quot" => Some('"'),
                        b"apos" => Some('\''),
                        _ => return Err("an entity that is none of XML's own".to_owned()),
                    },
                };
                if let (Some(top), Some(character)) = (open.last_mut(), character) {
                    top.text.push(character);
                }
                None
            }
            Event::Eof => return Err("it does not end".to_owned()),
            _ => None,
        };
        let Some(ended) = ended else { continue };
        let (name, value) = ended.end();
        match open.last_mut() {
            Some(top) => put(&mut top.map, name, value),
            None => return Ok(Value::Object(Map::from_iter([(name, value)]))),
        }
    }
}

/// A second element of one name makes a list.
fn put(map: &mut Map<String, Value>, name: String, value: Value) {
    match map.get_mut(&name) {
        Some(Value::Array(list)) => list.push(value),
        Some(first) => *first = Value::Array(vec![first.take(), value]),
        None => {
            map.insert(name, value);
        }
    }
}
