//! The library's client, set up: who it says it is, and the bounds on what a server may send.

use std::time::Duration;

use opcua_client::{Client, ClientBuilder, IdentityToken};

use super::options::{Options, User};
use super::{Error, Own, trust};

/// The longest message of a server, and the longest text in it.
const MESSAGE_BYTES_MAX: usize = 16 << 20;
const TEXT_BYTES_MAX: usize = 1 << 20;
const ITEMS_MAX: usize = 100_000;
const CHUNKS_MAX: usize = 512;
/// The longest that a request waits for its answer.
pub const REQUEST_MAX: Duration = Duration::from_secs(15);
/// A session is kept by the server for so long without a word.
const SESSION_MAX_MS: u32 = 120_000;

/// A client that tries a lost connection again `retries` times, quickly, with the same session.
///
/// # Errors
/// [`Error::Keys`] when keytrail's own certificate cannot be used.
pub fn client(options: &Options, own: &Own, retries: i32) -> Result<Client, Error> {
    ClientBuilder::new()
        .application_name("keytrail")
        .application_uri(&own.application_uri)
        .product_uri("urn:keytrail")
        .pki_dir(trust::folder(options))
        .certificate_path(&own.path)
        .private_key_path(&own.key)
        .create_sample_keypair(false)
        // Which server is trusted is judged before anything is sent to it; the library holds it against that one certificate.
        .trust_server_certs(false)
        .verify_server_certs(false)
        .session_name("keytrail audit")
        .session_timeout(SESSION_MAX_MS)
        .session_retry_limit(retries)
        .session_retry_initial(Duration::from_millis(250))
        .session_retry_max(Duration::from_secs(4))
        .recreate_subscriptions(false)
        .keep_alive_interval(Duration::from_secs(10))
        .max_failed_keep_alive_count(2)
        .request_timeout(REQUEST_MAX)
        .max_message_size(MESSAGE_BYTES_MAX)
        .max_string_length(TEXT_BYTES_MAX)
        .max_byte_string_length(TEXT_BYTES_MAX)
        .max_chunk_count(CHUNKS_MAX)
        .max_array_length(ITEMS_MAX)
        .client()
        .map_err(|problems| Error::Keys { path: own.path.clone(), message: problems.join("; ") })
}

/// What it logs in with.
///
/// # Errors
/// [`Error::Keys`] when the user's certificate or key cannot be read.
pub fn token(options: &Options) -> Result<IdentityToken, Error> {
    match &options.user {
        User::Anonymous => Ok(IdentityToken::Anonymous),
        User::Password { name, password } => Ok(IdentityToken::UserName(name.clone(), password.clone())),
        User::Certificate { certificate, key } => {
            IdentityToken::new_x509_path(certificate, key).map_err(|error| Error::Keys { path: certificate.clone(), message: error.to_string() })
        }
    }
}
