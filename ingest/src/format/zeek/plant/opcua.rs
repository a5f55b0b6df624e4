//! OPC UA services that have a log of their own: a request is an act, and the next answer of its kind on the connection says that it was answered.
//! Whether the answer was good stands in `opcua_binary_status_code_detail.log`.
//!
//! Source: CISA, ICSNPP OPC UA Binary parser, one `*-types.zeek` a service; OPC 10000-4 (services).

use keytrail_schemas::{Activity, Event, Outcome, Text};

use super::super::kind::Kind;
use super::super::row::Row;
use super::super::scene::{Scene, server};
use super::{by_client, command, key};
use crate::format::Reject;

macro_rules! service {
    ($name:ident, $path:literal, $action:literal, [$($mark:literal),*]) => {
        pub(in super::super) static $name: Kind = Kind {
            path: $path,
            fields: &[],
            marks: &[$($mark),*],
            read: |row, scene| service(row, scene, $action, Activity::Use),
        };
    };
}

service!(READ, "opcua_binary_read", "opcua.Read", ["max_age"]);
service!(WRITE, "opcua_binary_write", "opcua.Write", ["node_id_numeric", "data_value_encoding_mask"]);
service!(BROWSE, "opcua_binary_browse", "opcua.Browse", ["browse_service_type"]);
service!(SUBSCRIBE, "opcua_binary_create_subscription", "opcua.CreateSubscription", ["requested_publishing_interval"]);
service!(MONITOR, "opcua_binary_create_monitored_items", "opcua.CreateMonitoredItems", []);
service!(ENDPOINTS, "opcua_binary_get_endpoints", "opcua.GetEndpoints", []);

pub(in super::super) static CHANNEL: Kind = Kind {
    path: "opcua_binary_opensecure_channel",
    fields: &["message_security_mode"],
    marks: &["sec_token_request_type"],
    read: |row, scene| service(row, scene, "opcua.OpenSecureChannel", Activity::Use),
};
pub(in super::super) static CLOSE: Kind = Kind {
    path: "opcua_binary_close_session",
    fields: &[],
    marks: &["del_subscriptions"],
    read: |row, scene| service(row, scene, "opcua.CloseSession", Activity::End),
};

fn service(row: &Row<'_>, scene: &mut Scene<'_>, action: &'static str, activity: Activity) -> Result<(), Reject> {
    let key = key("ua", row, action);
    if !by_client(row) {
        scene.answer(&key, |event| event.outcome = Outcome::Success);
        return Ok(());
    }
    let mut event = of_client(row, scene, action)?;
    event.activity = activity;
    scene.ask(key, event);
    Ok(())
}

/// An event of the client's host at the server: who its session belongs to is known behind the merge of files.
pub(super) fn of_client(row: &Row<'_>, scene: &Scene<'_>, action: &str) -> Result<Box<Event>, Reject> {
    let mut event = command(row, scene, "opcua", "opcua", Text::from(action))?;
    event.destination = server(row, "opcua", None);
    event.auth_method = None;
    Ok(event)
}
