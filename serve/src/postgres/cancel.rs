//! Cancel requests: a second connection names the first by the numbers that it was given, and what that one is being answered ends.

use std::sync::{Arc, Weak};

use async_trait::async_trait;
use dashmap::DashMap;
use datafusion_postgres::pgwire::api::cancel::CancelHandler;
use datafusion_postgres::pgwire::messages::cancel::CancelRequest;
use datafusion_postgres::pgwire::messages::startup::SecretKey;
use tokio::sync::watch;

/// Counts the cancels of one connection.
#[derive(Debug)]
pub struct Cancel {
    count: watch::Sender<u64>,
}

impl Cancel {
    /// Ends when the connection is cancelled from now on.
    pub fn heard(&self) -> impl Future<Output = ()> + Send + 'static {
        let mut heard = self.count.subscribe();
        async move {
            if heard.changed().await.is_err() {
                std::future::pending::<()>().await;
            }
        }
    }
}

/// Every connection that can be cancelled.
#[derive(Debug, Default)]
pub struct Cancels {
    open: DashMap<(i32, Vec<u8>), Weak<Cancel>>,
}

impl Cancels {
    /// A connection by its numbers.
    pub fn open(&self, process: i32, secret: &SecretKey) -> Arc<Cancel> {
        self.open.retain(|_, cancel| cancel.strong_count() > 0);
        let cancel = Arc::new(Cancel { count: watch::Sender::new(0) });
        self.open.insert((process, bytes(secret)), Arc::downgrade(&cancel));
        cancel
    }
}

#[async_trait]
impl CancelHandler for Cancels {
    async fn on_cancel_request(&self, request: CancelRequest) {
        let known = self.open.get(&(request.pid, bytes(&request.secret_key))).and_then(|cancel| cancel.upgrade());
        if let Some(cancel) = known {
            cancel.count.send_modify(|count| *count += 1);
        }
    }
}

fn bytes(secret: &SecretKey) -> Vec<u8> {
    match secret {
        SecretKey::I32(number) => number.to_be_bytes().to_vec(),
        SecretKey::Bytes(bytes) => bytes.to_vec(),
    }
}
