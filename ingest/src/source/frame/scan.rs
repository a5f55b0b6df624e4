//! Finds the end of one JSON value (RFC 8259), byte by byte, without understanding it: strings, escapes, nesting. It can stop and
//! go on when more bytes are there, and notices at once when the bytes cannot be JSON any more, which is where reading resumes.

/// How far a value is scanned.
#[derive(Debug, Default)]
pub struct Scan {
    /// Bytes scanned, from the value's first one.
    pos: usize,
    /// The brackets that are open.
    open: Vec<u8>,
    in_string: bool,
    /// The last byte that was not white space; `v` for any literal.
    previous: u8,
    /// Where the last key of the value's own object stands.
    key: Option<(usize, usize)>,
    key_start: Option<usize>,
    newlines: bool,
    on_one_line: bool,
}

/// What a scan came to.
#[derive(Debug, PartialEq, Eq)]
pub enum Step {
    /// The value goes on behind the bytes that are there.
    More,
    /// The value has this length.
    End(usize),
    /// The value is an envelope: behind this many bytes its first record stands.
    Envelope(usize),
    /// The byte at this place cannot stand there in JSON.
    Broken(usize),
}

impl Scan {
    /// Begins again, at an opening bracket. With `on_one_line` a line's end within the value breaks it.
    pub fn begin(&mut self, on_one_line: bool) {
        self.open.clear();
        *self = Self { open: std::mem::take(&mut self.open), on_one_line, ..Self::default() };
    }

    /// Goes on within an object whose envelope array has just been closed; its bytes begin behind the array.
    pub fn begin_behind_envelope(&mut self) {
        self.begin(false);
        self.open.push(b'{');
        self.previous = b']';
    }

    /// Takes the array that was just found for an ordinary one.
    pub fn decline_envelope(&mut self) {
        self.open.push(b'[');
        self.previous = b'[';
    }

    /// Whether the value holds a line's end so far.
    pub const fn has_newlines(&self) -> bool {
        self.newlines
    }

    /// Forgets that the bytes scanned so far existed; the next step gets those behind them, and takes the value for no envelope.
    pub fn drop_scanned(&mut self) -> usize {
        self.key = None;
        self.key_start = None;
        std::mem::take(&mut self.pos)
    }

    /// Goes on. `data` begins with the value and holds all its bytes that are there.
    pub fn step(&mut self, data: &[u8], envelopes: &[&str]) -> Step {
        loop {
            let Some(rest) = data.get(self.pos..) else { return Step::More };
            if self.in_string {
                match self.string(rest) {
                    Some(step) => return step,
                    None => continue,
                }
            }
            let Some(byte) = rest.first().copied() else { return Step::More };
            match byte {
                b' ' | b'\t' | b'\r' => {}
                b'\n' if self.on_one_line => return Step::Broken(self.pos),
                b'\n' => self.newlines = true,
                b'"' => {
                    if !self.value_may_start(true) {
                        return Step::Broken(self.pos);
                    }
                    self.in_string = true;
                    let is_key = self.open.len() == 1 && self.open.first() == Some(&b'{') && self.previous != b':';
                    self.key_start = is_key.then_some(self.pos + 1);
                }
                b'{' | b'[' => {
                    if !self.open.is_empty() && !self.value_may_start(false) {
                        return Step::Broken(self.pos);
                    }
                    if byte == b'[' && self.open.len() == 1 && self.is_envelope(data, envelopes) {
                        self.pos += 1;
                        return Step::Envelope(self.pos);
                    }
                    self.open.push(byte);
                    self.previous = byte;
                }
                b'}' | b']' => {
                    if self.open.pop() != Some(if byte == b'}' { b'{' } else { b'[' }) {
                        return Step::Broken(self.pos);
                    }
                    self.previous = byte;
                    if self.open.is_empty() {
                        self.pos += 1;
                        return Step::End(self.pos);
                    }
                }
                b':' | b',' => self.previous = byte,
                _ => self.previous = b'v',
            }
            self.pos += 1;
        }
    }

    /// Goes on within a string; `None` behind it or behind an escape.
    fn string(&mut self, rest: &[u8]) -> Option<Step> {
        let Some(at) = memchr::memchr3(b'"', b'\\', b'\n', rest) else {
            self.pos += rest.len();
            return Some(Step::More);
        };
        match rest.get(at) {
            Some(b'"') => {
                if let Some(start) = self.key_start.take() {
                    self.key = Some((start, self.pos + at));
                }
                self.in_string = false;
                self.previous = b'"';
                self.pos += at + 1;
                None
            }
            Some(b'\\') => {
                if rest.len() < at + 2 {
                    self.pos += at;
                    return Some(Step::More);
                }
                self.pos += at + 2;
                None
            }
            _ => Some(Step::Broken(self.pos + at)),
        }
    }

    fn value_may_start(&self, is_string: bool) -> bool {
        match (self.open.last(), self.previous) {
            (Some(b'{'), b':') | (Some(b'['), b'[' | b',') => true,
            (Some(b'{'), b'{' | b',') => is_string,
            _ => false,
        }
    }

    fn is_envelope(&self, data: &[u8], envelopes: &[&str]) -> bool {
        if self.open.first() != Some(&b'{') || self.previous != b':' {
            return false;
        }
        let Some(key) = self.key.and_then(|(start, end)| data.get(start..end)) else { return false };
        envelopes.iter().any(|name| name.as_bytes() == key)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn scan(data: &[u8]) -> Step {
        let mut scan = Scan::default();
        scan.begin(false);
        scan.step(data, &["Records"])
    }

    #[test]
    fn ends_envelopes_and_breaks_are_found() {
        assert_eq!(scan(br#"{"a":"}\"","b":[1,{"c":null}]} tail"#), Step::End(30));
        assert_eq!(scan(br#"{"v":1, "Records" : [{"#), Step::Envelope(21));
        assert_eq!(scan(br#"{"a":{"Records":[1]}}"#), Step::End(21));
        assert_eq!(scan(br#"{"a":"Records"}"#), Step::End(15));
        assert_eq!(scan(br#"{"Records":{"x":[1]}}"#), Step::End(21));
        assert_eq!(scan(br#"{"a":[1}"#), Step::Broken(7));
        assert_eq!(scan(b"{\"a\":\"x\n\"}"), Step::Broken(7));
        assert_eq!(scan(b"{\"a\":1,\n{\"b\":1}"), Step::Broken(8));
        assert_eq!(scan(b"{\"a\":[1,\n{\"b\":1}\n{"), Step::Broken(17));
        assert_eq!(scan(br#"{"a":1"#), Step::More);
        assert_eq!(scan(br#"{"a":"\"#), Step::More);
    }

    fn value() -> impl Strategy<Value = serde_json::Value> {
        let leaf = prop_oneof![Just(serde_json::Value::Null), any::<i32>().prop_map(Into::into), ".{0,12}".prop_map(Into::into)];
        leaf.prop_recursive(4, 32, 5, |inner| {
            prop_oneof![
                prop::collection::vec(inner.clone(), 0..5).prop_map(serde_json::Value::Array),
                prop::collection::vec((".{0,6}", inner), 0..5).prop_map(|pairs| serde_json::Value::Object(pairs.into_iter().collect())),
            ]
        })
    }

    proptest! {
        /// The end is found wherever the bytes are cut, compact or pretty.
        #[test]
        fn any_value_ends_where_it_ends(inner in value(), pretty in any::<bool>(), cut in any::<prop::sample::Index>()) {
            let whole = serde_json::json!({ "key": inner });
            let mut text = if pretty { serde_json::to_vec_pretty(&whole).unwrap() } else { serde_json::to_vec(&whole).unwrap() };
            let length = text.len();
            text.extend_from_slice(b"\n{\"next\":1}");
            let mut scan = Scan::default();
            scan.begin(false);
            let cut = cut.index(length);
            prop_assert_eq!(scan.step(&text[..cut], &["Records"]), Step::More);
            prop_assert_eq!(scan.step(&text, &["Records"]), Step::End(length));
        }
    }
}
