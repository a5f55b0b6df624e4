//! Who may ask: tokens with a role and a scope, or, on loopback, everybody there.

mod file;
pub(crate) mod scram;
mod token;

use std::path::PathBuf;
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

use keytrail_schemas::Micros;
use tokio::time::Instant;

pub use file::{Stamp, TokenFile};
pub use token::{Role, Token};

use crate::Error;

/// How old what is known of the tokens may be: a revoked one is refused within it.
const LOOK_INTERVAL: Duration = Duration::from_millis(250);

/// The one who asks.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Caller {
    /// The token's name, or the name that was given where no token is asked for.
    pub user: String,
    /// The token's id, where there is one.
    pub token: Option<String>,
    /// What the role may see.
    pub role: Role,
    /// The questions that may be asked, `sql` among them; empty for all.
    pub questions: Vec<String>,
}

impl Caller {
    /// Whoever may do all that the process may: the owner of the folder on the command line, anybody under `--no-auth`.
    #[must_use]
    pub fn trusted(user: &str) -> Self {
        let user: String = user.chars().filter(|letter| !letter.is_control()).take(64).collect();
        Self { user: if user.is_empty() { "anonymous".to_owned() } else { user }, token: None, role: Role::Admin, questions: Vec::new() }
    }

    /// Fails where the scope does not hold the question.
    ///
    /// # Errors
    /// [`Error::Forbidden`].
    pub fn may_ask(&self, question: &str) -> Result<(), Error> {
        if self.questions.is_empty() || self.questions.iter().any(|known| known == question) {
            return Ok(());
        }
        Err(Error::Forbidden(format!("this token does not ask {question}: its scope is {}", self.questions.join(", "))))
    }

    /// Fails where a statement reads what the role or the scope does not allow.
    ///
    /// # Errors
    /// [`Error::Forbidden`].
    pub fn may_read(&self, reads: &keytrail_query::Reads) -> Result<(), Error> {
        if let Some(table) = reads.tables.iter().find(|table| self.role < Role::Auditor && AUDITORS.contains(&table.as_str())) {
            return Err(Error::Forbidden(format!("table {table} is for auditors: ask for a token with --role auditor")));
        }
        if self.questions.is_empty() || self.questions.iter().any(|known| known == "sql") {
            return Ok(());
        }
        if let Some(table) = reads.tables.first() {
            return Err(Error::Forbidden(format!("this token does not read table {table}: its scope is {}", self.questions.join(", "))));
        }
        reads.functions.iter().try_for_each(|function| self.may_ask(function))
    }
}

/// Tables that only auditors and admins read.
const AUDITORS: [&str; 2] = ["queries", "dead_letters"];

/// Knows callers by what they show.
#[derive(Debug)]
pub struct Access {
    tokens: Option<TokenFile>,
    known: RwLock<Known>,
    clock: fn() -> Micros,
}

#[derive(Debug)]
struct Known {
    looked: Option<Instant>,
    stamp: Option<Stamp>,
    tokens: Arc<Vec<Token>>,
}

impl Access {
    /// Tokens of this file are asked for.
    #[must_use]
    pub fn by_tokens(file: PathBuf, clock: fn() -> Micros) -> Self {
        Self { tokens: Some(TokenFile::at(file)), known: RwLock::new(Known { looked: None, stamp: None, tokens: Arc::default() }), clock }
    }

    /// Nothing is asked for.
    #[must_use]
    pub fn open(clock: fn() -> Micros) -> Self {
        Self { tokens: None, known: RwLock::new(Known { looked: None, stamp: None, tokens: Arc::default() }), clock }
    }

    /// The tokens' file, where tokens are asked for.
    #[must_use]
    pub const fn file(&self) -> Option<&TokenFile> {
        self.tokens.as_ref()
    }

    /// Whether tokens are asked for.
    #[must_use]
    pub const fn asks_for_tokens(&self) -> bool {
        self.tokens.is_some()
    }

    /// The caller who shows `secret`; where no token is asked for, whoever says to be `user`.
    ///
    /// # Errors
    /// [`Error::Unauthenticated`].
    pub fn caller(&self, secret: Option<&str>, user: &str) -> Result<Caller, Error> {
        let Some(file) = &self.tokens else { return Ok(Caller::trusted(user)) };
        let Some(secret) = secret else { return Err(Error::Unauthenticated("a token is needed: `keytrail tokens create NAME` makes one".to_owned())) };
        let mut tokens = self.tokens(file);
        if !tokens.iter().any(|token| token.is_shown_by(secret)) {
            // It may have been made since the last look: a token works from the moment at which it is shown to its owner.
            tokens = self.look(file);
        }
        let found = tokens.iter().find(|token| token.is_shown_by(secret));
        // Whatever is wrong with it, the answer is the same: what does not exist is not told from what is over.
        let refused = || Error::Unauthenticated("this token is not known, is revoked or has expired".to_owned());
        found.filter(|token| token.holds((self.clock)())).map(Token::caller).ok_or_else(refused)
    }

    /// Whether every token in force can be shown by a proof; one that an earlier keytrail made cannot.
    #[must_use]
    pub fn takes_proofs(&self) -> bool {
        let Some(file) = &self.tokens else { return false };
        let now = (self.clock)();
        self.tokens(file).iter().filter(|token| token.holds(now)).all(Token::takes_proofs)
    }

    /// The caller whose token `proof` is of, in an exchange of these messages, and the server's own proof.
    ///
    /// # Errors
    /// [`Error::Unauthenticated`].
    pub fn prover(&self, message: &[u8], proof: &[u8]) -> Result<(Caller, Vec<u8>), Error> {
        let refused = || Error::Unauthenticated("this token is not known, is revoked or has expired".to_owned());
        let Some(file) = &self.tokens else { return Err(refused()) };
        let find = |tokens: Arc<Vec<Token>>| tokens.iter().find_map(|token| Some((token.clone(), token.proven(message, proof)?)));
        // As above: it may have been made since the last look.
        let found = find(self.tokens(file)).or_else(|| find(self.look(file)));
        let (token, own) = found.filter(|(token, _)| token.holds((self.clock)())).ok_or_else(refused)?;
        Ok((token.caller(), own))
    }

    /// The caller as the file has it now: on a connection that stays open, a token can be revoked after it was shown.
    ///
    /// # Errors
    /// [`Error::Unauthenticated`].
    pub fn again(&self, caller: &Caller) -> Result<Caller, Error> {
        let (Some(file), Some(id)) = (&self.tokens, &caller.token) else { return Ok(caller.clone()) };
        let tokens = self.tokens(file);
        let held = tokens.iter().find(|token| &token.id == id).filter(|token| token.holds((self.clock)()));
        held.map(Token::caller).ok_or_else(|| Error::Unauthenticated("this token was revoked or has expired".to_owned()))
    }

    /// The time, as the process tells it.
    #[must_use]
    pub fn now(&self) -> Micros {
        (self.clock)()
    }

    fn tokens(&self, file: &TokenFile) -> Arc<Vec<Token>> {
        {
            let known = self.known.read().unwrap_or_else(PoisonError::into_inner);
            if known.looked.is_some_and(|looked| looked.elapsed() < LOOK_INTERVAL) {
                return known.tokens.clone();
            }
        }
        self.look(file)
    }

    fn look(&self, file: &TokenFile) -> Arc<Vec<Token>> {
        let mut known = self.known.write().unwrap_or_else(PoisonError::into_inner);
        let stamp = file.stamp();
        if stamp.is_none() || stamp != known.stamp {
            // A file that cannot be read lets nobody in.
            known.tokens = Arc::new(file.read().unwrap_or_else(|error| {
                tracing::error!(%error, "tokens cannot be read: nobody is let in");
                Vec::new()
            }));
            known.stamp = stamp;
        }
        known.looked = Some(Instant::now());
        known.tokens.clone()
    }
}
