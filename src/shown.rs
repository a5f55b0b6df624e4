//! What is told to a person or to a collector of logs (errors, log lines, `config`, `doctor`) has no secrets in it either: it passes the same
//! search by form as everything that is stored. The key is the process's own, so that nothing of it can be held against the store.

use std::borrow::Cow;
use std::io::Write;
use std::sync::LazyLock;

use keytrail_ingest::redact::Redactor;

/// Without random bytes there is no key that nobody knows; a fixed one then hides as well, but equal secrets look alike in every process.
static REDACTOR: LazyLock<Redactor> = LazyLock::new(|| Redactor::new(&crate::seal::random().unwrap_or_default()));

/// `text` without what looks like a secret.
#[must_use]
pub fn shown(text: &str) -> Cow<'_, str> {
    REDACTOR.text(text)
}

/// Standard error for log lines: each write is one whole line.
#[derive(Debug, Clone, Copy)]
pub struct Lines;

impl Write for Lines {
    fn write(&mut self, line: &[u8]) -> std::io::Result<usize> {
        std::io::stderr().lock().write_all(shown(&String::from_utf8_lossy(line)).as_bytes())?;
        Ok(line.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        std::io::stderr().flush()
    }
}

#[cfg(test)]
mod tests {
    use super::shown;

    #[test]
    fn an_error_that_echoes_a_token_does_not_show_it() {
        let token = format!("ghp_{}", "aB3dE5gH7jK9mN1pQ3sT5vW7yZ9bC1dE3fG5");
        let text = format!("the store answered 403: {token} is not allowed");
        assert!(!shown(&text).contains(&token[4..20]), "{}", shown(&text));
        assert_eq!(shown("log.url = \"pulsar://x:1\": expected \"embedded\""), "log.url = \"pulsar://x:1\": expected \"embedded\"");
    }
}
