//! SCRAM-SHA-256 as PostgreSQL's clients speak it: the messages of one connection. Whose token is proven is found out at the end, so a user may be called
//! anything here as well. Channel binding (`-PLUS`) is not offered.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;

use crate::Error;
use crate::access::scram::{ITERATIONS, SALT};
use crate::access::{Access, Caller};

/// The mechanism's name.
pub const MECHANISM: &str = "SCRAM-SHA-256";
/// Longest message of a client's that is read; real ones have a third of it at most.
const BYTES_MAX: usize = 1_024;

/// An exchange under way.
#[derive(Debug)]
pub struct Exchange {
    /// How the client began, without what it says about channel binding.
    first: String,
    /// What it says about channel binding, which it repeats.
    binding: String,
    nonce: String,
    /// What the server sends.
    pub answer: String,
}

impl Exchange {
    /// Begins with the client's first message: the mechanism, and within it how the client begins.
    ///
    /// # Errors
    /// [`Error::Request`] for what is no such message.
    pub fn begin(message: &[u8]) -> Result<Self, Error> {
        let end = message.iter().position(|byte| *byte == 0).ok_or_else(unreadable)?;
        let (mechanism, rest) = message.split_at(end);
        if mechanism != MECHANISM.as_bytes() {
            return Err(Error::Request(format!("a token is proven by {MECHANISM} and by nothing else")));
        }
        let Some((length, message)) = rest.get(1..).and_then(|rest| rest.split_first_chunk::<4>()) else { return Err(unreadable()) };
        if usize::try_from(i32::from_be_bytes(*length)) != Ok(message.len()) {
            return Err(unreadable());
        }
        let mut random = [0_u8; 18];
        getrandom::getrandom(&mut random).map_err(|error| Error::Request(format!("there are no random bytes: {error}")))?;
        Self::with_nonce(message, &BASE64.encode(random))
    }

    fn with_nonce(message: &[u8], own: &str) -> Result<Self, Error> {
        let text = text(message)?;
        let (flag, rest) = text.split_once(',').ok_or_else(unreadable)?;
        if flag.starts_with("p=") {
            return Err(Error::Request("channel binding is not offered: channel_binding=prefer or disable".to_owned()));
        }
        let (authorised, first) = rest.split_once(',').ok_or_else(unreadable)?;
        if !matches!(flag, "n" | "y") || !(authorised.is_empty() || authorised.starts_with("a=")) {
            return Err(unreadable());
        }
        let mut parts = first.split(',');
        let (name, nonce) = (parts.next().unwrap_or_default(), parts.next().and_then(|part| part.strip_prefix("r=")).unwrap_or_default());
        // A name that begins with m= would be an extension that must be understood.
        if !name.starts_with("n=") || nonce.is_empty() || !nonce.bytes().all(|byte| byte.is_ascii_graphic()) {
            return Err(unreadable());
        }
        let nonce = format!("{nonce}{own}");
        let answer = format!("r={nonce},s={},i={ITERATIONS}", BASE64.encode(SALT));
        Ok(Self { first: first.to_owned(), binding: BASE64.encode(format!("{flag},{authorised},")), nonce, answer })
    }

    /// Ends with the client's last message: who it is, and what the server sends to prove itself.
    ///
    /// # Errors
    /// [`Error::Request`] for what is no such message, [`Error::Unauthenticated`] for a proof of no token in force.
    pub fn end(&self, message: &[u8], access: &Access) -> Result<(Caller, String), Error> {
        let (without, proof) = text(message)?.rsplit_once(",p=").ok_or_else(unreadable)?;
        let proof = BASE64.decode(proof).map_err(|_| unreadable())?;
        let mut parts = without.split(',');
        let is = |part: Option<&str>, name: &str, value: &str| part.and_then(|part| part.strip_prefix(name)) == Some(value);
        if !is(parts.next(), "c=", &self.binding) || !is(parts.next(), "r=", &self.nonce) {
            return Err(Error::Request("the last message of SCRAM does not belong to the first".to_owned()));
        }
        let exchanged = format!("{},{},{without}", self.first, self.answer);
        let (caller, own) = access.prover(exchanged.as_bytes(), &proof)?;
        Ok((caller, format!("v={}", BASE64.encode(own))))
    }
}

fn text(message: &[u8]) -> Result<&str, Error> {
    if message.len() > BYTES_MAX { Err(unreadable()) } else { std::str::from_utf8(message).map_err(|_| unreadable()) }
}

fn unreadable() -> Error {
    Error::Request("this is no message of SCRAM-SHA-256".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn messages_that_are_none_or_belong_elsewhere_are_refused() {
        let exchange = Exchange::with_nonce(b"n,,n=,r=abc", "XYZ").unwrap();
        assert_eq!(exchange.answer, format!("r=abcXYZ,s={},i=4096", BASE64.encode(SALT)));
        for first in
            ["", "n", "n,,", "n,,n=", "n,,n=,r=", "p=tls-server-end-point,,n=,r=abc", "x,,n=,r=abc", "n,b,n=,r=abc", "n,,m=,n=,r=abc", "n,,n=,r=a\u{1}"]
        {
            assert!(matches!(Exchange::with_nonce(first.as_bytes(), "XYZ"), Err(Error::Request(_))), "{first}");
        }
        let first = |head: &[u8], length: i32| Exchange::begin(&[head, &length.to_be_bytes(), b"n,,n=,r=abc"].concat());
        assert!(first(b"SCRAM-SHA-256\0", 11).is_ok());
        assert!(first(b"SCRAM-SHA-256\0", -1).is_err() && first(b"SCRAM-SHA-256\0", 12).is_err() && first(b"SCRAM-SHA-256-PLUS\0", 11).is_err());
        assert!(Exchange::begin(b"SCRAM-SHA-256").is_err() && Exchange::begin(b"SCRAM-SHA-256\0\0\0").is_err() && Exchange::begin(b"").is_err());
        assert!(Exchange::with_nonce(&[b'n', b',', 0xff], "XYZ").is_err());
        assert!(Exchange::with_nonce(format!("n,,n=,r={}", "a".repeat(2_000)).as_bytes(), "XYZ").is_err());
        let access = Access::open(|| keytrail_schemas::Micros(0));
        for last in ["", "c=biws,r=abcXYZ", "c=biws,r=abcXYZ,p=!", "c=eSws,r=abcXYZ,p=AAAA", "c=biws,r=abcXYY,p=AAAA", "r=abcXYZ,c=biws,p=AAAA"] {
            assert!(matches!(exchange.end(last.as_bytes(), &access), Err(Error::Request(_))), "{last}");
        }
        assert!(matches!(exchange.end(b"c=biws,r=abcXYZ,p=AAAA", &access), Err(Error::Unauthenticated(_))));
    }
}
