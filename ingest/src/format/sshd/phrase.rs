//! Takes a message apart from left to right.

/// What is still to be read of a message.
#[derive(Debug, Clone, Copy)]
pub(super) struct Phrase<'l>(pub(super) &'l str);

impl<'l> Phrase<'l> {
    /// Passes over `word`, if the message goes on with it.
    pub(super) fn skip(&mut self, word: &str) -> bool {
        match self.0.strip_prefix(word) {
            Some(rest) => {
                self.0 = rest;
                true
            }
            None => false,
        }
    }

    /// What stands before `mark`, and passes over both.
    pub(super) fn until(&mut self, mark: &str) -> Option<&'l str> {
        let (before, behind) = self.0.split_once(mark)?;
        self.0 = behind;
        Some(before)
    }

    /// What stands before the last `mark`: names that a client chose may hold it.
    pub(super) fn until_last(&mut self, mark: &str) -> Option<&'l str> {
        let (before, behind) = self.0.rsplit_once(mark)?;
        self.0 = behind;
        Some(before)
    }

    /// The next word, up to a space, a comma, a colon followed by a space, or the end.
    pub(super) fn word(&mut self) -> Option<&'l str> {
        let end = self.0.find([' ', ',']).unwrap_or(self.0.len());
        let (word, rest) = self.0.split_at(end);
        self.0 = rest.strip_prefix(' ').unwrap_or(rest);
        let word = word.strip_suffix(':').unwrap_or(word);
        (!word.is_empty()).then_some(word)
    }
}
