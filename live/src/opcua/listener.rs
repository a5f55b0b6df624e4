//! What the library calls when the server delivers: it hands the message on as it is, keep-alives too, with its number.

use opcua_client::{MonitoredItemMap, OnSubscriptionNotificationCore};
use opcua_types::NotificationMessage;
use tokio::sync::mpsc::UnboundedSender;

/// The receiver empties it after every message of the server, so that it never holds more than one or two.
pub struct Listener(pub UnboundedSender<NotificationMessage>);

impl OnSubscriptionNotificationCore for Listener {
    fn on_subscription_notification(&mut self, notification: NotificationMessage, _: MonitoredItemMap<'_>) {
        // Where nobody listens any more the connection has ended.
        let _ = self.0.send(notification);
    }
}
