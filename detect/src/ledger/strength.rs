//! How strong protocols and methods of authentication are, in three classes: 0 can be read or replayed on the wire, 1 is ordinary,
//! 2 proves possession of a key or is bound to the workload. Words that are not listed have no class.

/// Number of classes.
pub const CLASSES: usize = 3;

/// Class of a protocol.
#[must_use]
pub fn of_protocol(word: &str) -> Option<usize> {
    Some(match word {
        "http" | "ftp" | "telnet" | "ldap" | "mqtt" | "smtp" | "imap" | "pop3" | "ntlm" | "ntlmv1" | "rsh" | "rlogin" | "snmpv1" | "snmpv2" | "sslv2"
        | "sslv3" | "tls1.0" | "tls1.1" | "tlsv10" | "tlsv11" => 0,
        "https" | "ftps" | "ldaps" | "mqtts" | "grpc" | "amqps" | "kerberos" | "ssh" | "sftp" | "tls" | "tls1.2" | "tlsv12" | "tls1.3" | "tlsv13" | "wss" => 1,
        "mtls" => 2,
        _ => return None,
    })
}

/// Class of a method of authentication.
#[must_use]
pub fn of_method(word: &str) -> Option<usize> {
    Some(match word {
        "none" | "anonymous" | "basic" | "password" | "ntlm" | "ntlmv1" | "rc4-hmac" | "rc4" | "des-cbc-md5" | "userpass" => 0,
        "client_secret" | "client_secret_basic" | "client_secret_post" | "token" | "api_key" | "sigv2" | "sigv4" | "approle" | "ldap" | "oauth" | "bearer" => 1,
        "mtls"
        | "x509"
        | "cert"
        | "certificate"
        | "private_key_jwt"
        | "federated"
        | "kubernetes"
        | "publickey"
        | "aes128-cts-hmac-sha1-96"
        | "aes256-cts-hmac-sha1-96"
        | "oidc"
        | "jwt"
        | "web_identity"
        | "aws" => 2,
        _ => return None,
    })
}
