//! Columns have a longest length: a field of megabytes would be carried by every question ever after. What is cut says so, and what
//! distinguished two values still does; the whole stands in the kept record.

use keytrail_schemas::{Event, Text};

/// The longest value of a column, in bytes.
pub const COLUMN_BYTES_MAX: usize = 8 << 10;
/// Bytes that are kept for what is said about the rest.
const NOTE_BYTES: usize = 96;

/// Cuts what is too long, and returns by how many bytes.
pub fn cut(event: &mut Event) -> usize {
    let named = [&mut event.identity, &mut event.identity_account, &mut event.identity_provider];
    let others = [
        &mut event.reason,
        &mut event.credential,
        &mut event.credential_parent,
        &mut event.issuer,
        &mut event.source_ip,
        &mut event.source_host,
        &mut event.source_country,
        &mut event.user_agent,
        &mut event.destination,
        &mut event.destination_kind,
        &mut event.destination_service,
        &mut event.environment,
        &mut event.protocol,
        &mut event.auth_method,
        &mut event.action,
        &mut event.session,
        &mut event.trace_id,
    ];
    named.into_iter().chain(others.into_iter().flatten()).map(shorten).sum()
}

fn shorten(text: &mut Text) -> usize {
    if text.len() <= COLUMN_BYTES_MAX {
        return 0;
    }
    let kept = text.floor_char_boundary(COLUMN_BYTES_MAX - NOTE_BYTES);
    let dropped = text.len() - kept;
    let hash = blake3::hash(text.as_bytes()).to_hex();
    text.truncate(kept);
    text.push_str(&format!("… (cut by {dropped} bytes, BLAKE3 {})", hash.get(..32).unwrap_or_default()));
    dropped
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_cut_says_so_and_stays_apart() {
        let of = |end: &str| {
            let mut event =
                Event { identity: "é".repeat(COLUMN_BYTES_MAX).into(), user_agent: Some(format!("{}{end}", "x".repeat(1 << 20)).into()), ..Event::default() };
            let dropped = cut(&mut event);
            assert!(dropped > (1 << 20) - COLUMN_BYTES_MAX);
            assert_eq!(cut(&mut event), 0, "once");
            event
        };
        let (one, other) = (of("1"), of("2"));
        assert!(one.identity.len() <= COLUMN_BYTES_MAX && one.user_agent.as_ref().unwrap().len() <= COLUMN_BYTES_MAX);
        assert!(one.user_agent.as_ref().unwrap().contains("cut by "), "{:?}", one.user_agent);
        assert_ne!(one.user_agent, other.user_agent);
        assert_eq!(one.identity, other.identity);
        let mut short = Event { identity: "x".repeat(COLUMN_BYTES_MAX).into(), ..Event::default() };
        assert_eq!(cut(&mut short), 0);
    }
}
