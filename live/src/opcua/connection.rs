//! One connection: the server's endpoints, the session, the subscription, and what it delivers, until it is lost or keytrail stops.
//!
//! A connection that breaks and is back within half a minute goes on with its session and subscription where the server takes the session back: it has kept
//! what happened meanwhile, and nothing is missed. Everything else ends it: what was missed is then a gap.

use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use futures::{Stream, StreamExt as _};
use keytrail_schemas::Micros;
use opcua_client::{Session, SessionConnectMode, SessionPollResult, SubscriptionActivity};
use opcua_types::{Error as Failure, NotificationMessage, StatusCode, TimestampsToReturn};
use tokio::sync::mpsc::{UnboundedReceiver, unbounded_channel};
use tokio::time::{Instant, sleep, timeout};

use super::client::{REQUEST_MAX, client, token};
use super::endpoint::{self, Chosen};
use super::explain::{failure, refusal};
use super::listener::Listener;
use super::options::Options;
use super::teller::Teller;
use super::trust::{self, Trust};
use super::{Error, Own, select};

/// The longest that opening session and subscription takes.
const SETUP_MAX: Duration = Duration::from_secs(45);
/// How long nothing may be heard, keep-alives included, before the connection counts as lost.
const SILENCE_MAX: Duration = Duration::from_secs(30);
/// A server without events says that it is there after so many publishing intervals.
const KEEP_ALIVE_COUNT: u32 = 10;
/// It keeps the subscription, with what happens, for so many of them without a word from here.
const LIFETIME_COUNT: u32 = 240;
const NOTIFICATIONS_MAX: u32 = 1_000;
/// Quick attempts to go on with the same session.
const RETRIES: i32 = 8;
const STEP: Duration = Duration::from_millis(250);

/// The server's endpoints, and the one that is used. Its certificate is judged; with `keep`, one that is met for the first time is kept.
pub async fn discover(options: &Options, own: &Own, keep: bool) -> Result<(Chosen, Option<Trust>), Error> {
    let step = "asking for its endpoints";
    let client = client(options, own, 0)?;
    let asked = timeout(REQUEST_MAX, client.get_endpoints(options.address.url.as_str(), &[], &[])).await;
    let offered = match asked {
        Ok(Ok(offered)) => offered,
        Ok(Err(error)) => return Err(failure(options, own, step, &error)),
        Err(_) => return Err(unreachable(options, format!("{step}: no answer within {} s", REQUEST_MAX.as_secs()))),
    };
    let chosen = endpoint::choose(options, &offered)?;
    if chosen.policy == "None" {
        return Ok((chosen, None));
    }
    let chain = chosen.description.server_certificate.as_ref();
    let (trust, facts) = trust::judge(options, chain)?;
    if keep && trust != Trust::Pinned {
        if trust == Trust::First {
            tracing::warn!(
                server = options.address.url,
                thumbprint = facts.thumbprint,
                subject = facts.subject,
                "the server's certificate is trusted from now on, because none was known: compare its thumbprint at the server"
            );
        }
        trust::keep(options, chain)?;
    }
    Ok((chosen, Some(trust)))
}

/// Listens until `stop` (then all is well) or until the connection is lost.
pub async fn listen(options: &Options, own: &Own, teller: &mut Teller, stop: &AtomicBool) -> Result<(), Error> {
    let (chosen, _) = discover(options, own, true).await?;
    let client = client(options, own, RETRIES)?;
    let (policy, is_readable) = (chosen.policy, chosen.is_readable);
    let (session, events) = client
        .session_builder()
        .connect_to_endpoint_directly(chosen.description)
        .map(|builder| {
            builder.user_identity_token(token(options)?).build(client.certificate_store().clone()).map_err(|error| failure(options, own, "the session", &error))
        })
        .map_err(|error| failure(options, own, "the session", &error))??;
    let mut events = pin!(events.enter());
    let (send, mut messages) = unbounded_channel();
    let opened = open(options, own, &session, &mut events, Listener(send), stop).await;
    let lost = match opened {
        Ok(None) => Ok(()),
        Ok(Some(queue_events)) => {
            let id = session.server_session_id().to_string();
            teller.position.remember_own(id);
            teller.subscribed(queue_events);
            tracing::info!(server = options.address.url, policy, "subscribed to the server's audit events");
            if is_readable {
                tracing::warn!(server = options.address.url, policy, "what the server says is not encrypted: switch SignAndEncrypt on in it");
            }
            follow(options, own, &mut events, &mut messages, teller, stop).await
        }
        Err(error) => Err(error),
    };
    close(&session, &mut events).await;
    // What had arrived before.
    while let Ok(message) = messages.try_recv() {
        teller.message(message);
    }
    lost
}

/// Opens session and subscription, and says how many events the server keeps between two deliveries; `None` when keytrail stops meanwhile.
async fn open<S>(options: &Options, own: &Own, session: &Arc<Session>, events: &mut S, listener: Listener, stop: &AtomicBool) -> Result<Option<u32>, Error>
where
    S: Stream<Item = Result<SessionPollResult, StatusCode>> + Unpin,
{
    let mut subscribed = pin!(subscribe(options, session, listener));
    let mut connected = false;
    let begun = Instant::now();
    loop {
        if stop.load(Ordering::Acquire) {
            return Ok(None);
        }
        if begun.elapsed() > SETUP_MAX {
            return Err(unreachable(options, format!("session and subscription did not stand within {} s", SETUP_MAX.as_secs())));
        }
        tokio::select! {
            polled = events.next() => match polled {
                Some(Ok(SessionPollResult::Reconnected(_))) => connected = true,
                Some(Ok(SessionPollResult::ReconnectFailed(code) | SessionPollResult::ConnectionLost(code)) | Err(code)) => {
                    return Err(refusal(options, own, "opening a session", code, &code.to_string()));
                }
                Some(Ok(_)) => {}
                None => return Err(unreachable(options, "the server closed the connection while a session was opened".to_owned())),
            },
            result = &mut subscribed, if connected => {
                return result.map(Some).map_err(|error| failure(options, own, "subscribing to its audit events", &error));
            }
            () = sleep(STEP) => {}
        }
    }
}

/// The subscription, and in it the events of the Server object.
async fn subscribe(options: &Options, session: &Session, listener: Listener) -> Result<u32, Failure> {
    let interval = options.publishing_interval;
    let id = session.create_subscription(interval, LIFETIME_COUNT, KEEP_ALIVE_COUNT, NOTIFICATIONS_MAX, 0, true, listener).await?;
    let mut refused = StatusCode::Good;
    for choice in select::CHOICES {
        let created = session.create_monitored_items(id, TimestampsToReturn::Neither, vec![select::item(options, choice)]).await?;
        let (status, queue) = created.first().map_or((StatusCode::BadUnexpectedError, 0), |item| (item.result.status_code, item.result.revised_queue_size));
        if !status.is_bad() {
            return Ok(queue);
        }
        refused = status;
    }
    Err(Failure::new(refused, "the server refused to monitor the events of its Server object"))
}

/// Tells what the server delivers.
async fn follow<S>(
    options: &Options,
    own: &Own,
    events: &mut S,
    messages: &mut UnboundedReceiver<NotificationMessage>,
    teller: &mut Teller,
    stop: &AtomicBool,
) -> Result<(), Error>
where
    S: Stream<Item = Result<SessionPollResult, StatusCode>> + Unpin,
{
    let mut heard = Instant::now();
    let mut trouble = None;
    while !stop.load(Ordering::Acquire) {
        if teller.is_full() {
            // The server waits too: it keeps what happens, and says when it kept too much.
            sleep(Duration::from_millis(50)).await;
            heard = Instant::now();
            continue;
        }
        if heard.elapsed() > SILENCE_MAX {
            let why = trouble.unwrap_or_else(|| "no keep-alive".to_owned());
            return Err(unreachable(options, format!("nothing was heard for {} s ({why})", SILENCE_MAX.as_secs())));
        }
        if own.not_after.is_some_and(|end| teller.now().0 > end.0 - Micros::DAY) {
            return Err(unreachable(options, "keytrail's application certificate is replaced by the next one".to_owned()));
        }
        let polled = tokio::select! {
            polled = events.next() => polled,
            () = sleep(STEP) => continue,
        };
        match polled {
            None => return Err(unreachable(options, "the connection was closed".to_owned())),
            Some(Err(code)) => return Err(refusal(options, own, "opening the session again", code, &code.to_string())),
            Some(Ok(SessionPollResult::ConnectionLost(code))) => {
                tracing::info!(server = options.address.url, %code, "the connection broke");
                trouble = Some(format!("the connection broke: {code}"));
            }
            Some(Ok(SessionPollResult::ReconnectFailed(code))) => trouble = Some(format!("it cannot be opened again: {code}")),
            Some(Ok(SessionPollResult::Reconnected(SessionConnectMode::NewSession(_)))) => {
                return Err(unreachable(options, "the connection broke, and the server does not know the session any more".to_owned()));
            }
            Some(Ok(SessionPollResult::Reconnected(SessionConnectMode::ReactivatedSession(_)))) => {
                tracing::info!(server = options.address.url, "the connection is back, with its subscription: nothing is missed");
                trouble = None;
            }
            Some(Ok(SessionPollResult::Subscription(SubscriptionActivity::FatalFailure(code)))) => {
                return Err(unreachable(options, format!("the subscription ended: {code}")));
            }
            Some(Ok(SessionPollResult::Subscription(SubscriptionActivity::PublishFailed(code)))) => {
                if matches!(code, StatusCode::BadNoSubscription | StatusCode::BadSubscriptionIdInvalid) {
                    return Err(unreachable(options, format!("the server has dropped the subscription: {code}")));
                }
                if matches!(code, StatusCode::BadDecodingError | StatusCode::BadEncodingLimitsExceeded | StatusCode::BadResponseTooLarge) {
                    teller.lost(&format!("a message of the server could not be read: {code}"));
                }
            }
            Some(Ok(_)) => {}
        }
        while let Ok(message) = messages.try_recv() {
            heard = Instant::now();
            if let Some(status) = teller.message(message) {
                return Err(unreachable(options, format!("the server ended the subscription: {status}")));
            }
        }
    }
    Ok(())
}

/// Ends the session, so that the server need not wait for its end. Nothing depends on it.
async fn close<S>(session: &Arc<Session>, events: &mut S)
where
    S: Stream<Item = Result<SessionPollResult, StatusCode>> + Unpin,
{
    let driven = async { while let Some(Ok(_)) = events.next().await {} };
    let closed = async {
        session.disable_reconnects();
        tokio::select! {
            _ = session.disconnect() => {}
            () = driven => {}
        }
    };
    let _ = timeout(Duration::from_secs(2), closed).await;
}

fn unreachable(options: &Options, message: String) -> Error {
    Error::Unreachable { url: options.address.url.clone(), message }
}
