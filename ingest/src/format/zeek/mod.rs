//! Zeek logs, TSV and JSON: what machines were seen to do on the wire.
//!
//! Read are `ssl`, `x509`, `kerberos`, `ntlm`, `ssh`, `ldap`, `ldap_search`, `modbus`, `dnp3`, `mqtt_connect`, `mqtt_publish`,
//! `mqtt_subscribe`, `radius`, `mysql`, `ftp` and `dhcp`, one file each, and in [`plant`] the logs of CISA's ICSNPP parsers. Every
//! other log (`conn`, `dns`, `files`, …; the list stands in `catalog`) is recognised, and yields nothing.
//!
//! A log's kind is told by its `#path`, by `_path` or `@stream` in the row, by the file's name, and else by fields that only one
//! kind has. A row wrapped by a Splunk export (`result._raw`) is unwrapped.
//!
//! Who acted is the most that a row tells: a certificate's subject, a Kerberos or NTLM account, an MQTT client id, a bind name; else the
//! client's address as `zeek:<sensor>:host/<ip>`. Facts of one connection or certificate that stand in different rows are
//! joined as far as one file holds them; a file of its own for `x509.log` is not joined with `ssl.log` here. A request waits for the row that
//! answers it ([`answer`]). Who activated an OPC UA session stands in a file of its own: events are joined behind the merge of files, by `uid`.
//!
//! Zeek names connections (`uid`, kept as `session`), not records, so event ids are made of the record's bytes.
//!
//! Source: Zeek documentation, "Zeek Logs" and the script reference named in each file.

mod answer;
mod catalog;
mod dhcp;
mod dnp3;
mod ftp;
mod kerberos;
mod kind;
mod ldap;
mod ldap_search;
mod modbus;
mod mqtt_connect;
mod mqtt_publish;
mod mqtt_subscribe;
mod mysql;
mod ntlm;
mod object;
mod plant;
mod radius;
mod row;
mod scene;
mod ssh;
mod ssl;
#[cfg(test)]
mod tests;
mod tsv;
mod x509;

use keytrail_schemas::{Reason, Text};

use self::catalog::Name;
use self::kind::Kind;
use self::row::Row;
use self::scene::{Memory, Scene};
use crate::format::{Columns, Context, Disposition, Draft, Format, Framing, Parser, Reject, Rejected};
use crate::json::{self, Value};

/// The format `zeek`.
pub struct Zeek;

impl Format for Zeek {
    fn name(&self) -> &'static str {
        "zeek"
    }

    fn framing(&self) -> Framing {
        Framing::Lines
    }

    fn sniff(&self, sample: &[u8]) -> u8 {
        let has = |text: &str| memchr::memmem::find(sample, text.as_bytes()).is_some();
        let object = sample.iter().find(|b| !b.is_ascii_whitespace()).is_some_and(|b| matches!(b, b'{' | b'['));
        if sample.starts_with(b"#separator ") {
            100
        } else if sample.starts_with(b"#fields") || sample.starts_with(b"#path") {
            95
        } else if !object || !(has("\"ts\":") || has("\\\"ts\\\":")) {
            0
        } else if ["id.orig_h", "id_orig_h", "certificate.serial", "certificate_serial"].iter().any(|field| has(field)) {
            95
        } else if has("\"_path\":") || has("\"@stream\":") || has("\"uid\":\"C") || (has("\"id\":") && has("\"orig_h\":")) {
            90
        } else if sample.trim_ascii_start().starts_with(b"{\"ts\":")
            && ["host", "note", "name", "fuid", "id", "uids", "peer", "node"].iter().any(|field| has(&format!("\"{field}\":")))
        {
            // Zeek writes ts first; few others do.
            60
        } else {
            30
        }
    }

    fn parser(&self, context: &Context) -> Box<dyn Parser> {
        Box::new(Rows {
            json: json::Reader::new(context.depth_max),
            inner_json: json::Reader::new(context.depth_max),
            reading: Reading {
                cluster: context.cluster.clone(),
                file_kind: catalog::of_file(&context.file_name),
                header: tsv::Header::default(),
                keys: object::Keys::default(),
                memory: Memory::default(),
            },
        })
    }
}

/// The parser of one file.
struct Rows {
    json: json::Reader,
    inner_json: json::Reader,
    reading: Reading,
}

/// Everything but the JSON readers, whose documents borrow them.
struct Reading {
    cluster: Text,
    file_kind: Option<Name>,
    header: tsv::Header,
    keys: object::Keys,
    memory: Memory,
}

impl Parser for Rows {
    fn record(&mut self, record: &[u8], line: u64, out: &mut Vec<Draft>) -> Result<Disposition, Reject> {
        let record = record.trim_ascii_end();
        match record.trim_ascii_start().first() {
            None => Ok(Disposition::Control),
            Some(b'{' | b'[' | b']') => self.json_line(record.trim_ascii_start(), line, out),
            _ => self.reading.tsv_line(record, line, out),
        }
    }

    fn oldest_held(&self) -> Option<u64> {
        self.reading.memory.waiting.oldest()
    }

    fn shed(&mut self) {
        self.json.shed();
        self.inner_json.shed();
    }

    fn finish(&mut self, out: &mut Vec<Draft>) {
        out.extend(self.reading.memory.waiting.all());
    }

    fn columns(&self) -> Option<Columns<'_>> {
        self.reading.header.columns()
    }
}

impl Rows {
    /// A JSON object; or an array of them, also one that spreads over lines with an object on each.
    fn json_line(&mut self, record: &[u8], line: u64, out: &mut Vec<Draft>) -> Result<Disposition, Reject> {
        if matches!(record, b"[" | b"]" | b"],") {
            return Ok(Disposition::Control);
        }
        let record = record.strip_suffix(b",").unwrap_or(record);
        let document = self.json.parse(record)?;
        let root = document.root();
        if let Some(raw) = root.at(&["result", "_raw"]).and_then(Value::as_text) {
            let document = self.inner_json.parse(raw.as_bytes())?;
            return self.reading.object(document.root(), raw, line, out);
        }
        if !root.is_array() {
            return self.reading.object(root, text(record)?, line, out);
        }
        let (before, mut rejected) = (out.len(), Vec::new());
        let is_one = root.items().nth(1).is_none();
        for (item, number) in root.items().zip(1_u32..) {
            let row = item.to_json();
            if let Err(reject) = self.reading.object(item, &row, line, out) {
                if is_one {
                    return Err(reject);
                }
                rejected.push(Rejected { number, record: row.into_bytes(), reject });
            }
        }
        Ok(match (rejected.is_empty(), out.len() > before) {
            (false, _) => Disposition::Partly(rejected),
            (true, true) => Disposition::Yielded,
            (true, false) => Disposition::Control,
        })
    }
}

impl Reading {
    fn tsv_line(&mut self, record: &[u8], line: u64, out: &mut Vec<Draft>) -> Result<Disposition, Reject> {
        let record = text(record)?;
        if record.starts_with('#') {
            self.header.line(record, self.file_kind)?;
            return Ok(Disposition::Control);
        }
        let mut row = Row::new(self.header.set_separator());
        self.header.cut(record, &mut row)?;
        let Some(kind) = self.header.kind(self.file_kind) else { return Ok(Disposition::Control) };
        read(kind, &row, &mut self.memory, &self.cluster, line, out, record)
    }

    fn object(&mut self, object: Value<'_>, record: &str, line: u64, out: &mut Vec<Draft>) -> Result<Disposition, Reject> {
        if !object.is_object() {
            return Err(Reject {
                reason: Reason::WrongKind,
                field: None,
                message: "a JSON value that is no object: a Zeek JSON log has one object a line".to_owned(),
            });
        }
        let name = object::path(object).map(catalog::named).or(self.file_kind);
        let kind = match name {
            Some(Name::Read(kind)) => Some(kind),
            Some(Name::Other) if object::path(object).is_some() => None,
            // The file's name may mean something else ("files.json"); no name says nothing.
            _ => object::marked(object),
        };
        let Some(kind) = kind else { return unread(object, name.is_some()) };
        let mut row = Row::new(',');
        self.keys.fill(object, kind, &mut row);
        read(kind, &row, &mut self.memory, &self.cluster, line, out, record)
    }
}

/// Makes events of a row; all of it or nothing.
fn read(kind: &Kind, row: &Row<'_>, memory: &mut Memory, cluster: &str, line: u64, out: &mut Vec<Draft>, raw: &str) -> Result<Disposition, Reject> {
    let before = out.len();
    let mut scene = Scene { cluster, line, memory, out: &mut *out, before, raw, held: false };
    (kind.read)(row, &mut scene)?;
    let held = scene.held;
    if let Ok(now) = row.ts() {
        out.extend(memory.waiting.overdue(now));
    }
    let drafts = out.get_mut(before..).unwrap_or_default();
    if drafts.iter().any(|draft| draft.event.identity.is_empty()) {
        out.truncate(before);
        return Err(Reject {
            reason: Reason::NoIdentity,
            field: Some(Text::const_new("id.orig_h")),
            message: format!("a row of {}.log that names neither an identity nor the client's address", kind.path),
        });
    }
    let is_empty = drafts.is_empty();
    // Those that waited bring their own.
    let mut own = drafts.iter_mut().filter(|draft| draft.event.raw.is_none()).peekable();
    let mut raw = Some(raw.to_owned());
    while let Some(draft) = own.next() {
        draft.event.raw = if own.peek().is_some() { raw.clone() } else { raw.take() };
    }
    Ok(match (held, is_empty) {
        (true, _) => Disposition::Held,
        (false, true) => Disposition::Control,
        (false, false) => Disposition::Yielded,
    })
}

/// A row of a log that is not read, if it is one of Zeek's at all.
fn unread(object: Value<'_>, named: bool) -> Result<Disposition, Reject> {
    let zeek = object.get("ts").is_some()
        && (named
            || ["uid", "uids", "id.orig_h", "id_orig_h", "id", "fuid", "host", "note", "name", "node", "peer"].iter().any(|key| object.get(key).is_some()));
    if zeek {
        return Ok(Disposition::Control);
    }
    let (reason, field, message) = if named {
        (Reason::NoTime, Some(Text::const_new("ts")), "the field ts is missing: a Zeek row without a time cannot be placed")
    } else {
        (Reason::WrongKind, None, "not a row of a Zeek log: it has no ts beside fields that Zeek writes")
    };
    Err(Reject { reason, field, message: message.to_owned() })
}

fn text(record: &[u8]) -> Result<&str, Reject> {
    super::text(record, "Zeek escapes such bytes, so something on the way has not")
}
