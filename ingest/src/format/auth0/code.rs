//! What the codes of Auth0's log events mean. Success begins with `s`, failure with `f`; the rest is listed.

use keytrail_schemas::{Activity, Outcome};

/// What a code says.
pub(super) struct Meaning {
    pub(super) activity: Activity,
    pub(super) outcome: Outcome,
    /// The client acted for itself.
    pub(super) by_client: bool,
}

/// The meaning of a code.
pub(super) fn of(code: &str) -> Meaning {
    let outcome = match code {
        "limit_wc" | "limit_mu" | "limit_ui" | "limit_sul" | "limit_delegation" | "pwd_leak" | "signup_pwd_leak" | "reset_pwd_leak" | "api_limit"
        | "ublkdu" | "fui" | "w" | "depnote" => {
            if code == "w" || code == "depnote" {
                Outcome::Unknown
            } else {
                Outcome::Denied
            }
        }
        "gd_auth_succeed"
        | "gd_enrollment_complete"
        | "gd_start_auth"
        | "gd_start_enroll"
        | "gd_send_sms"
        | "gd_send_pn"
        | "gd_send_voice"
        | "gd_user_delete"
        | "gd_unenroll"
        | "gd_update_device_account"
        | "mgmt_api_read"
        | "admin_update_launch"
        | "resource_cleanup"
        | "mfar" => Outcome::Success,
        "gd_auth_failed" | "gd_otp_rate_limit_exceed" | "gd_recovery_rate_limit_exceed" | "gd_send_sms_failure" | "gd_send_pn_failure" => Outcome::Failure,
        "gd_auth_rejected" => Outcome::Denied,
        "cs" | "cls" | "clss" | "cpr" | "sdu" | "sd" => Outcome::Success,
        _ if code.starts_with('s') => Outcome::Success,
        _ if code.starts_with('f') => Outcome::Failure,
        _ => Outcome::Unknown,
    };
    let activity = match code {
        "slo" | "flo" => Activity::End,
        "s" | "f" | "fu" | "fp" | "ssa" | "fsa" | "si" | "fi" | "fc" | "fco" | "fcoa" | "sens" | "fens" | "gd_auth_succeed" | "gd_auth_failed"
        | "gd_auth_rejected" | "gd_start_auth" | "scoa" | "cs" | "cls" | "clss" => Activity::Authenticate,
        _ if code.starts_with("se") && code.len() >= 4 || code.starts_with("fe") && code.len() >= 4 => Activity::Authenticate,
        "mgmt_api_read" | "api_limit" | "sv" | "fv" | "svr" | "fvr" | "scv" | "w" | "depnote" | "limit_wc" | "limit_mu" | "limit_sul" | "pwd_leak" => {
            Activity::Use
        }
        _ => Activity::Configure,
    };
    Meaning { activity, outcome, by_client: matches!(code, "seccft" | "feccft" | "sede" | "fede") }
}
