//! The certificate with which a workload outside of AWS came for a session (IAM Roles Anywhere).

use compact_str::format_compact;
use keytrail_schemas::{Hash32, Text};

use super::arn::{Arn, last_segment};
use super::record::Record;

/// Its canonical id: by its serial number, which names the session, else by the hash of its bytes.
pub(super) fn of(record: &Record<'_>) -> Option<Text> {
    let set = record.response.at(&["credentialSet"]).and_then(|set| set.items().next());
    let serial = set.and_then(|set| set.str_at(&["assumedRoleUser", "arn"])).and_then(Arn::parse).map(|arn| last_segment(arn.resource));
    let hashed = || {
        record
            .parameters
            .text("cert")
            .or_else(|| record.parameters.text("certificate"))
            .map(|cert| format_compact!("x509:blake3:{}", Hash32::of(cert.as_bytes())))
    };
    serial.map(|serial| format_compact!("x509:serial:{serial}")).or_else(hashed)
}
