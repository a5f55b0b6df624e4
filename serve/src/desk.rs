//! Where every door brings its questions: who asks is known, the bounds are held, what was asked is written down, and the answer comes with its coverage line.

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use futures::{StreamExt as _, TryStreamExt as _, stream};
use keytrail_query::{Call, ExplainedFinding, Rows, Session};

use crate::access::{Access, Caller};
use crate::answer::{Answer, Asked, address, paced};
use crate::limit::Limits;
use crate::record::{Entry, Record};
use crate::{Error, Options};

/// A question's way in: who, through which door, from where.
#[derive(Debug, Clone)]
pub struct Visit {
    /// The one who asks.
    pub caller: Caller,
    /// `cli`, `http`, `console`, `postgres` or `mcp`.
    pub door: &'static str,
    /// The address on the network.
    pub from: Option<IpAddr>,
}

/// The one place that answers. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Desk {
    session: Session,
    access: Arc<Access>,
    limits: Arc<Limits>,
    record: Record,
    options: Arc<Options>,
}

impl Desk {
    /// A desk over an opened lake.
    #[must_use]
    pub fn new(session: Session, access: Access, record: Record, options: Options) -> Self {
        Self { session, access: Arc::new(access), limits: Arc::new(Limits::new(&options)), record, options: Arc::new(options) }
    }

    /// The lake.
    #[must_use]
    pub const fn session(&self) -> &Session {
        &self.session
    }

    /// Who may ask.
    #[must_use]
    pub fn access(&self) -> &Access {
        &self.access
    }

    /// The doors' options.
    #[must_use]
    pub fn options(&self) -> &Options {
        &self.options
    }

    /// Answers a named question.
    ///
    /// # Errors
    /// [`Error`]; what is refused is written down as well.
    pub async fn call(&self, visit: &Visit, call: Call) -> Result<Answer, Error> {
        let mut asked = self.asked(visit, call.name(), call.to_sql());
        let started = async {
            let caller = self.access.again(&visit.caller)?;
            caller.may_ask(call.name())?;
            asked.takes(self.limits.turn(&caller, false).await?);
            let coverage = self.session.coverage_of(&call).await?;
            Ok((self.session.call(call).await?, coverage))
        }
        .await;
        self.answer(asked, started).await
    }

    /// Answers a statement of SQL that only reads.
    ///
    /// # Errors
    /// As [`Desk::call`].
    pub async fn sql(&self, visit: &Visit, sql: &str) -> Result<Answer, Error> {
        let mut asked = self.asked(visit, "sql", sql.to_owned());
        let started = async {
            let caller = self.access.again(&visit.caller)?;
            caller.may_ask("sql")?;
            asked.takes(self.limits.turn(&caller, true).await?);
            let statement = self.session.prepare(sql).await?;
            caller.may_read(&statement.reads())?;
            let coverage = self.session.coverage_line(None, None).await?;
            Ok((self.session.start(statement).await?, coverage))
        }
        .await;
        self.answer(asked, started).await
    }

    /// A finding whole, with its coverage line.
    ///
    /// # Errors
    /// As [`Desk::call`].
    pub async fn explain(&self, visit: &Visit, finding: &str) -> Result<(ExplainedFinding, String), Error> {
        let mut asked = self.asked(visit, "explain", format!("explain {finding}"));
        let explained = async {
            let caller = self.access.again(&visit.caller)?;
            caller.may_ask("explain")?;
            asked.takes(self.limits.turn(&caller, false).await?);
            let explained = self.session.explain_finding(finding).await?;
            let coverage = self.session.coverage_line(None, None).await?;
            Ok((explained, coverage))
        }
        .await;
        match &explained {
            Ok(_) => {
                asked.saw(1);
                asked.done();
            }
            Err(error) => asked.failed(error),
        }
        explained
    }

    /// A question of this visit, begun.
    pub(crate) fn asked(&self, visit: &Visit, question: &str, text: String) -> Asked {
        let Visit { caller, door, from } = visit;
        let entry = Entry {
            user: caller.user.clone(),
            token: caller.token.clone(),
            from_address: address(*from),
            door: (*door).to_owned(),
            question: question.to_owned(),
            text,
            ..Entry::default()
        };
        Asked::new(&self.record, self.access.now(), entry)
    }

    /// Waits for a turn, for a door that runs statements of its own.
    pub(crate) async fn turn(&self, caller: &Caller, is_sql: bool) -> Result<crate::limit::Turn, Error> {
        self.limits.turn(caller, is_sql).await
    }

    /// Counts a call of an assistant's.
    pub(crate) fn called(&self, caller: &Caller) -> Result<(), Error> {
        self.limits.call(caller)
    }

    /// How long an answer waits for its reader.
    pub(crate) fn reader_wait(&self) -> Duration {
        Duration::from_millis(self.options.reader_ms_max)
    }

    /// Waits for the first batch, so that what fails at once is an error and no half of an answer; the rest comes as it is read.
    async fn answer(&self, mut asked: Asked, started: Result<(Rows, String), Error>) -> Result<Answer, Error> {
        let first = match started {
            Ok((Rows { schema, mut batches }, coverage)) => batches.try_next().await.map(|first| (schema, coverage, first, batches)).map_err(Error::from),
            Err(error) => Err(error),
        };
        let (schema, coverage, first, rest) = first.inspect_err(|error| asked.failed(error))?;
        let all = stream::iter(first.map(Ok)).chain(rest.map_err(Error::from));
        let watched = stream::unfold((Box::pin(all), Some(asked)), |(mut all, asked)| async move {
            let mut asked = asked?;
            match all.next().await {
                Some(Ok(batch)) => {
                    asked.saw(batch.num_rows());
                    Some((Ok(batch), (all, Some(asked))))
                }
                Some(Err(error)) => {
                    asked.failed(&error);
                    Some((Err(error), (all, None)))
                }
                None => {
                    asked.done();
                    None
                }
            }
        });
        Ok(Answer { schema, coverage, batches: paced(watched, self.reader_wait()).boxed() })
    }
}
