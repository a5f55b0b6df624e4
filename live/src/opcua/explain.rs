//! What a status code of a server means for who runs keytrail: OPC 10000-4, 7.39, in terms of what to do.

use opcua_types::{Error as Failure, StatusCode};

use super::options::{Options, User};
use super::{Error, Own};

/// The error with which a step failed.
pub fn failure(options: &Options, own: &Own, step: &str, failure: &Failure) -> Error {
    refusal(options, own, step, failure.status(), &failure.to_string())
}

/// The error for a code with which a step ended; `detail` says the code, and more.
pub fn refusal(options: &Options, own: &Own, step: &str, code: StatusCode, detail: &str) -> Error {
    let url = options.address.url.clone();
    let what = match code {
        StatusCode::BadIdentityTokenRejected
        | StatusCode::BadIdentityTokenInvalid
        | StatusCode::BadUserSignatureInvalid
        | StatusCode::BadIdentityChangeNotSupported => Some(match &options.user {
            User::Anonymous => "it takes no anonymous sessions: write user and password_file, or certificate and private_key".to_owned(),
            User::Password { name, .. } => format!("it refuses the user {name:?}: look at the name and the password, and at the rights of the user"),
            User::Certificate { certificate, .. } => format!("it refuses the user certificate {}: trust it in the server", certificate.display()),
        }),
        StatusCode::BadSecurityChecksFailed
        | StatusCode::BadCertificateUntrusted
        | StatusCode::BadCertificateInvalid
        | StatusCode::BadCertificateUriInvalid
        | StatusCode::BadCertificateTimeInvalid
        | StatusCode::BadCertificateUseNotAllowed
        | StatusCode::BadSecurityPolicyRejected => {
            Some(format!("it may not trust keytrail's application certificate yet: trust {} (thumbprint {}) in the server", own.path.display(), own.thumbprint))
        }
        StatusCode::BadTooManySessions | StatusCode::BadMaxConnectionsReached | StatusCode::BadTcpServerTooBusy | StatusCode::BadTooManySubscriptions => {
            Some("it has no room for another session or subscription: raise its limit".to_owned())
        }
        StatusCode::BadEventFilterInvalid
        | StatusCode::BadMonitoredItemFilterInvalid
        | StatusCode::BadMonitoredItemFilterUnsupported
        | StatusCode::BadAttributeIdInvalid
        | StatusCode::BadNotSupported
        | StatusCode::BadServiceUnsupported
        | StatusCode::BadNodeIdUnknown => Some("it does not offer events of its Server object (i=2253): switch auditing on in it, if it has it".to_owned()),
        StatusCode::BadNotReadable | StatusCode::BadUserAccessDenied => {
            Some("the user's name or password is wrong, or it may not see audit events: many servers show them to administrators alone".to_owned())
        }
        StatusCode::BadTcpEndpointUrlInvalid => Some("the host is not known, or the path is none of the server's: look at the address".to_owned()),
        _ => None,
    };
    match what {
        Some(what) => Error::Refused { url, message: format!("{step} failed ({detail}): {what}") },
        None => Error::Unreachable { url, message: format!("{step} failed ({detail})") },
    }
}
