//! What a file is, by its first bytes: compressed, text, or something that cannot be a log here.

/// How a file is compressed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Packing {
    /// RFC 1952.
    Gzip,
    /// RFC 8878, frames and skippable frames.
    Zstd,
    /// PKWARE's archive.
    Zip,
}

/// How many first bytes are looked at.
pub const HEAD_BYTES: usize = 4_096;

/// The packing that these first bytes tell of.
pub fn packing(head: &[u8]) -> Option<Packing> {
    match head {
        [0x1f, 0x8b, ..] => Some(Packing::Gzip),
        [0x28, 0xb5, 0x2f, 0xfd, ..] | [0x50..=0x5f, 0x2a, 0x4d, 0x18, ..] => Some(Packing::Zstd),
        [b'P', b'K', 3, 4, ..] | [b'P', b'K', 5, 6, ..] => Some(Packing::Zip),
        _ => None,
    }
}

/// What these first bytes are, if they are not text in UTF-8 or the like: a sentence that says it and what to do.
pub fn not_text(head: &[u8]) -> Option<String> {
    let known = match head {
        [0xff, 0xfe, ..] | [0xfe, 0xff, ..] => return Some("the file is text in UTF-16, and UTF-8 is expected: convert it (iconv -f UTF-16 -t UTF-8)".into()),
        [b'P', b'A', b'R', b'1', ..] => "a Parquet file",
        [b'O', b'b', b'j', 1, ..] => "an Avro file",
        [b'O', b'R', b'C', ..] => "an ORC file",
        [b'E', b'l', b'f', b'F', b'i', b'l', b'e', 0, ..] => "a Windows event log (EVTX) within something else: unpack it first",
        [0xd4, 0xc3, 0xb2, 0xa1, ..] | [0xa1, 0xb2, 0xc3, 0xd4, ..] | [0x4d, 0x3c, 0xb2, 0xa1, ..] | [0x0a, 0x0d, 0x0d, 0x0a, ..] => {
            "a packet capture: run Zeek over it and read Zeek's logs"
        }
        [b'S', b'Q', b'L', b'i', b't', b'e', b' ', b'f', ..] => "an SQLite database",
        [b'B', b'Z', b'h', b'1'..=b'9', ..] => "compressed with bzip2: expand it first (bunzip2)",
        [0xfd, b'7', b'z', b'X', b'Z', 0, ..] => "compressed with xz: expand it first (unxz)",
        [b'7', b'z', 0xbc, 0xaf, 0x27, 0x1c, ..] => "a 7z archive: unpack it first",
        [0x04, 0x22, 0x4d, 0x18, ..] => "compressed with lz4: expand it first (unlz4)",
        [b'R', b'a', b'r', b'!', ..] => "a RAR archive: unpack it first",
        [0x1f, 0x9d, ..] | [0x1f, 0xa0, ..] => "compressed with compress: expand it first (uncompress)",
        [b'%', b'P', b'D', b'F', ..] => "a PDF",
        [0x7f, b'E', b'L', b'F', ..] | [b'M', b'Z', ..] => "a program",
        [0x89, b'P', b'N', b'G', ..] => "a picture (PNG)",
        [0xff, 0xd8, 0xff, ..] => "a picture (JPEG)",
        _ if head.get(257..262) == Some(b"ustar") => "a tar archive: unpack it first",
        _ => return binary(head),
    };
    Some(format!("the file is {known}"))
}

fn binary(head: &[u8]) -> Option<String> {
    let has_zero = memchr::memchr(0, head).is_some();
    let zeros = |parity: usize| head.iter().skip(parity).step_by(2).filter(|byte| **byte == 0).count() * 2;
    if has_zero && head.len() >= 8 && (zeros(1) * 10 > head.len() * 8 || zeros(0) * 10 > head.len() * 8) && zeros(0).abs_diff(zeros(1)) * 2 > head.len() {
        return Some("the file looks like text in UTF-16 without a mark, and UTF-8 is expected: convert it (iconv -f UTF-16LE -t UTF-8)".into());
    }
    let odd = head.iter().filter(|byte| matches!(byte, 0..=8 | 0x0e..=0x1a | 0x1c..=0x1d | 0x1f | 0x7f)).count();
    (has_zero || odd * 10 > head.len()).then(|| "the file is binary and of no kind that is known here".into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn kinds_are_told_by_their_first_bytes() {
        assert_eq!(packing(b"\x1f\x8b\x08\0"), Some(Packing::Gzip));
        assert_eq!(packing(b"PK\x03\x04"), Some(Packing::Zip));
        assert_eq!(packing(b"{\"a\":1}"), None);
        assert_eq!(packing(b""), None);
        for text in ["", "{\"a\":1}\n", "#separator \\x09\n", "Nov 12 \u{e9}t\u{e9}\r\n", "\u{feff}{}"] {
            assert_eq!(not_text(text.as_bytes()), None, "{text:?}");
        }
        assert_eq!(not_text(b"caf\xe9 in Latin-1"), None, "its records say it better");
        let utf16: Vec<u8> = "{\"a\": 1, \"b\": 2}".encode_utf16().flat_map(u16::to_le_bytes).collect();
        assert!(not_text(&utf16).unwrap().contains("UTF-16"));
        assert!(not_text(&[&[0xff, 0xfe], utf16.as_slice()].concat()).unwrap().contains("iconv"));
        assert!(not_text(b"PAR1....").unwrap().contains("Parquet"));
        assert!(not_text(&[0; 100]).unwrap().contains("binary"));
        assert!(not_text(b"\x7fELF\x02").unwrap().contains("program"));
    }
}
