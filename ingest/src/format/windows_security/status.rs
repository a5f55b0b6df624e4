//! Codes by their names. Source: MS-ERREF 2.3.1; RFC 4120, 7.5.9; IANA, "Kerberos Encryption Type Numbers".

use keytrail_schemas::Text;

/// A code's number.
pub(super) fn code(text: &str) -> Option<u32> {
    let text = text.trim();
    match text.strip_prefix("0x").or_else(|| text.strip_prefix("0X")) {
        Some(digits) => u32::from_str_radix(digits, 16).ok(),
        None => text.parse::<i64>().ok().and_then(|n| u32::try_from(n & 0xffff_ffff).ok()),
    }
}

/// The name of a code, and whether it says that a rule refused, and not that a proof failed.
pub(super) fn of(text: &str, kerberos: bool) -> (Option<&'static str>, bool) {
    let Some(code) = code(text) else { return (None, false) };
    let table = if kerberos { KERBEROS } else { NT };
    table.iter().find(|(known, ..)| *known == code).map_or((None, false), |(_, name, denied)| (Some(*name), *denied))
}

const NT: &[(u32, &str, bool)] = &[
    (0xc000_005e, "STATUS_NO_LOGON_SERVERS", false),
    (0xc000_0022, "STATUS_ACCESS_DENIED", true),
    (0xc000_0064, "STATUS_NO_SUCH_USER", false),
    (0xc000_006a, "STATUS_WRONG_PASSWORD", false),
    (0xc000_006d, "STATUS_LOGON_FAILURE", false),
    (0xc000_006e, "STATUS_ACCOUNT_RESTRICTION", true),
    (0xc000_006f, "STATUS_INVALID_LOGON_HOURS", true),
    (0xc000_0070, "STATUS_INVALID_WORKSTATION", true),
    (0xc000_0071, "STATUS_PASSWORD_EXPIRED", false),
    (0xc000_0072, "STATUS_ACCOUNT_DISABLED", true),
    (0xc000_00dc, "STATUS_INVALID_SERVER_STATE", false),
    (0xc000_0133, "STATUS_TIME_DIFFERENCE_AT_DC", false),
    (0xc000_015b, "STATUS_LOGON_TYPE_NOT_GRANTED", true),
    (0xc000_018c, "STATUS_TRUSTED_DOMAIN_FAILURE", false),
    (0xc000_0192, "STATUS_NETLOGON_NOT_STARTED", false),
    (0xc000_0193, "STATUS_ACCOUNT_EXPIRED", true),
    (0xc000_0224, "STATUS_PASSWORD_MUST_CHANGE", false),
    (0xc000_0225, "STATUS_NOT_FOUND", false),
    (0xc000_0234, "STATUS_ACCOUNT_LOCKED_OUT", true),
    (0xc000_02ee, "STATUS_UNFINISHED_CONTEXT_DELETED", false),
    (0xc000_0413, "STATUS_AUTHENTICATION_FIREWALL_FAILED", true),
];

const KERBEROS: &[(u32, &str, bool)] = &[
    (0x1, "KDC_ERR_NAME_EXP", false),
    (0x2, "KDC_ERR_SERVICE_EXP", false),
    (0x3, "KDC_ERR_BAD_PVNO", false),
    (0x6, "KDC_ERR_C_PRINCIPAL_UNKNOWN", false),
    (0x7, "KDC_ERR_S_PRINCIPAL_UNKNOWN", false),
    (0x8, "KDC_ERR_PRINCIPAL_NOT_UNIQUE", false),
    (0x9, "KDC_ERR_NULL_KEY", false),
    (0xb, "KDC_ERR_NEVER_VALID", false),
    (0xc, "KDC_ERR_POLICY", true),
    (0xd, "KDC_ERR_BADOPTION", false),
    (0xe, "KDC_ERR_ETYPE_NOSUPP", false),
    (0x10, "KDC_ERR_PADATA_TYPE_NOSUPP", false),
    (0x12, "KDC_ERR_CLIENT_REVOKED", true),
    (0x17, "KDC_ERR_KEY_EXPIRED", false),
    (0x18, "KDC_ERR_PREAUTH_FAILED", false),
    (0x19, "KDC_ERR_PREAUTH_REQUIRED", false),
    (0x1b, "KDC_ERR_MUST_USE_USER2USER", false),
    (0x1f, "KRB_AP_ERR_BAD_INTEGRITY", false),
    (0x20, "KRB_AP_ERR_TKT_EXPIRED", false),
    (0x25, "KRB_AP_ERR_SKEW", false),
    (0x29, "KRB_AP_ERR_MODIFIED", false),
    (0x3e, "KDC_ERR_CLIENT_NOT_TRUSTED", true),
    (0x44, "KDC_ERR_WRONG_REALM", false),
];

/// The name of an encryption type, as Zeek and MIT write it.
pub(super) fn encryption(text: &str) -> Option<Text> {
    let code = code(text)?;
    Some(match code {
        0x1 => Text::const_new("des-cbc-crc"),
        0x3 => Text::const_new("des-cbc-md5"),
        0x11 => Text::const_new("aes128-cts-hmac-sha1-96"),
        0x12 => Text::const_new("aes256-cts-hmac-sha1-96"),
        0x13 => Text::const_new("aes128-cts-hmac-sha256-128"),
        0x14 => Text::const_new("aes256-cts-hmac-sha384-192"),
        0x17 => Text::const_new("rc4-hmac"),
        0x18 => Text::const_new("rc4-hmac-exp"),
        // What a failure has for none.
        0xffff_ffff => return None,
        _ => Text::from(text.to_ascii_lowercase()),
    })
}
