//! What a client's message is made of: where it ends, and whether the lengths and counts in it are those that it has. Source: PostgreSQL 16, "Message
//! Formats". What it means is the library's to read.

/// The bytes of the whole message at the beginning, with its length and kind, once all of it is there and is what it says.
///
/// # Errors
/// What is wrong with it, in words for its sender.
pub fn length(bytes: &[u8], is_first: bool, bytes_max: usize) -> Result<Option<usize>, String> {
    let (kind, rest) = match (is_first, bytes.split_first()) {
        (true, _) => (None, bytes),
        (false, Some((kind, rest))) => (Some(*kind), rest),
        (false, None) => return Ok(None),
    };
    if let Some(kind) = kind
        && !KINDS.contains(&kind)
    {
        return Err(format!("{:?} begins no message of a client's", char::from(kind)));
    }
    let Some((said, rest)) = rest.split_first_chunk::<4>() else { return Ok(None) };
    let said = usize::try_from(i32::from_be_bytes(*said)).ok().filter(|said| *said >= 4);
    let Some(said) = said else { return Err("the length of a message is below 4".to_owned()) };
    if said > bytes_max {
        return Err(format!("a message of {said} bytes, and {bytes_max} are allowed (serve.body_bytes_max)"));
    }
    let Some(body) = rest.get(..said - 4) else { return Ok(None) };
    let is_whole = kind.map_or_else(|| is_greeting(body), |kind| has_its_parts(kind, body).is_some());
    if !is_whole {
        return Err(kind.map_or_else(
            || "this is no beginning of a connection".to_owned(),
            |kind| format!("message {:?} has not the parts that it says", char::from(kind)),
        ));
    }
    Ok(Some(said + usize::from(kind.is_some())))
}

/// Those that clients send.
const KINDS: &[u8] = b"QPBDCESHXpdcf";

/// The first message: what is asked for (a version, encryption, to cancel), and more.
fn is_greeting(body: &[u8]) -> bool {
    const CANCEL: u32 = 80_877_102;
    match body.split_first_chunk::<4>() {
        Some((code, rest)) if u32::from_be_bytes(*code) == CANCEL => rest.len() >= 8,
        Some((_, rest)) => rest.is_empty() || rest.ends_with(&[0]),
        None => false,
    }
}

/// Something if a message's body has its parts and no more.
fn has_its_parts(kind: u8, body: &[u8]) -> Option<()> {
    let rest = match kind {
        b'Q' | b'f' => text(body)?,
        b'P' => {
            let (count, rest) = number(text(text(body)?)?)?;
            rest.get(4 * count..)?
        }
        b'B' => {
            let (count, rest) = number(text(text(body)?)?)?;
            let (count, mut rest) = number(rest.get(2 * count..)?)?;
            for _ in 0..count {
                let (length, value) = rest.split_first_chunk::<4>()?;
                // Below zero there is no value.
                rest = value.get(usize::try_from(i32::from_be_bytes(*length)).unwrap_or(0)..)?;
            }
            let (count, rest) = number(rest)?;
            rest.get(2 * count..)?
        }
        b'D' | b'C' => match body.split_first()? {
            (b'S' | b'P', rest) => text(rest)?,
            _ => return None,
        },
        b'E' => text(body)?.get(4..)?,
        b'S' | b'H' | b'X' | b'c' => body,
        // Whatever it is: rows of a copy, or what proves who the client is, which is looked at where it is taken.
        b'd' | b'p' => &[],
        _ => return None,
    };
    rest.is_empty().then_some(())
}

/// What is behind a text that ends with zero.
fn text(bytes: &[u8]) -> Option<&[u8]> {
    let end = bytes.iter().position(|byte| *byte == 0)?;
    bytes.get(end + 1..)
}

/// A count of two bytes, and what is behind it.
fn number(bytes: &[u8]) -> Option<(usize, &[u8])> {
    let (count, rest) = bytes.split_first_chunk::<2>()?;
    Some((usize::from(u16::from_be_bytes(*count)), rest))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn message(kind: &[u8], body: &[u8]) -> Vec<u8> {
        [kind, &u32::try_from(body.len() + 4).unwrap().to_be_bytes(), body].concat()
    }

    #[test]
    fn a_message_is_taken_once_it_is_whole() {
        let query = message(b"Q", b"SELECT 1\0");
        let two = [query.as_slice(), b"S\0"].concat();
        for end in 0..query.len() {
            assert_eq!(length(&two[..end], false, 100), Ok(None), "{end}");
        }
        assert_eq!(length(&two, false, 100), Ok(Some(query.len())));
        assert!(length(&query, false, 12).unwrap_err().contains("a message of 13 bytes, and 12 are allowed"));
        assert!(length(b"Q\0\0\0\x03", false, 100).unwrap_err().contains("below 4") && length(b"Q\xff\xff\xff\xff", false, 100).is_err());
        assert!(length(b"\x16\x03", false, 100).unwrap_err().contains("begins no message"));
        assert_eq!(length(&message(b"", b"\0\x03\0\0user\0ann\0\0"), true, 100), Ok(Some(18)));
        assert!(length(&message(b"", b"\0\x03\0\0user"), true, 100).is_err() && length(&message(b"", b"\0"), true, 100).is_err());
    }

    #[test]
    fn lengths_and_counts_within_are_held_against_what_there_is() {
        let bind: &[u8] = b"p\0s\0\0\x01\0\x01\0\x02\0\0\0\x02hi\xff\xff\xff\xff\0\x01\0\0";
        for (kind, whole) in
            [(b"B", bind), (b"P", b"s\0SELECT $1\0\0\x01\0\0\0\x19".as_slice()), (b"E", b"p\0\0\0\0\0"), (b"D", b"Sname\0"), (b"f", b"why\0"), (b"S", b"")]
        {
            assert!(length(&message(kind, whole), false, 100).unwrap().is_some(), "{whole:?}");
            for end in 0..whole.len() {
                assert!(length(&message(kind, &whole[..end]), false, 100).is_err(), "{whole:?} cut at {end}");
            }
            assert!(length(&message(kind, &[whole, b"x"].concat()), false, 100).is_err(), "{whole:?} with more");
        }
        // A value that says to be longer than the message.
        let longer: &[u8] = b"\0\0\0\0\0\x01\0\0\x70\0hi\0\0";
        assert!(length(&message(b"B", longer), false, 100).unwrap_err().contains("has not the parts"));
    }
}
