//! Which of a server's endpoints is used: the best security that both sides have, for the user that logs in.

use opcua_crypto::SecurityPolicy;
use opcua_types::{EndpointDescription, MessageSecurityMode, UserTokenType};

use super::Error;
use super::options::{Options, User};

/// An endpoint, and how safe it is.
#[derive(Debug, Clone)]
pub struct Chosen {
    /// As the server describes it, at the address that was configured: servers name themselves by names that are not known everywhere.
    pub description: EndpointDescription,
    /// The security policy's name.
    pub policy: &'static str,
    /// Whether what is said is signed alone, and can be read on the way.
    pub is_readable: bool,
}

/// Chooses among what the server offers.
///
/// # Errors
/// [`Error::Security`] saying what it offers, and what is missing.
pub fn choose(options: &Options, offered: &[EndpointDescription]) -> Result<Chosen, Error> {
    let wanted = match options.user {
        User::Anonymous => UserTokenType::Anonymous,
        User::Password { .. } => UserTokenType::UserName,
        User::Certificate { .. } => UserTokenType::Certificate,
    };
    let usable: Vec<(&EndpointDescription, SecurityPolicy, u8)> =
        offered.iter().filter_map(|endpoint| grade(endpoint).map(|(policy, grade)| (endpoint, policy, grade))).collect();
    let takes = |endpoint: &EndpointDescription| endpoint.user_identity_tokens.iter().flatten().any(|policy| policy.token_type == wanted);
    let safe = |grade: u8| options.insecure || grade >= SAFE;
    if let Some((endpoint, policy, _)) = usable.iter().filter(|(endpoint, _, grade)| safe(*grade) && takes(endpoint)).max_by_key(|(.., grade)| *grade) {
        let mut description = (*endpoint).clone();
        description.endpoint_url = options.address.url.as_str().into();
        let is_readable = description.security_mode != MessageSecurityMode::SignAndEncrypt;
        return Ok(Chosen { description, policy: policy.to_str(), is_readable });
    }
    let listed = || {
        let mut names: Vec<String> =
            offered.iter().map(|endpoint| format!("{} {:?}", short(endpoint.security_policy_uri.as_ref()), endpoint.security_mode)).collect();
        names.sort();
        names.dedup();
        if names.is_empty() { "nothing".to_owned() } else { names.join(", ") }
    };
    let message = if usable.iter().any(|(.., grade)| safe(*grade)) {
        let mut tokens: Vec<String> =
            offered.iter().flat_map(|endpoint| endpoint.user_identity_tokens.iter().flatten()).map(|policy| format!("{:?}", policy.token_type)).collect();
        tokens.sort();
        tokens.dedup();
        format!("the server takes no {} where it is safe; it takes {}: set user, or certificate, accordingly", said(wanted), tokens.join(", "))
    } else if usable.is_empty() {
        format!("the server offers {}, and none of it is known here", listed())
    } else {
        format!(
            "the server offers {} alone: switch Basic256Sha256 with SignAndEncrypt on in it; insecure = true speaks to it as it is, and everybody on the way can read and forge what it says",
            listed()
        )
    };
    Err(Error::Security { url: options.address.url.clone(), message })
}

/// From here on an endpoint is safe.
const SAFE: u8 = 10;

/// How good an endpoint's security is; `None` where it is not known here.
fn grade(endpoint: &EndpointDescription) -> Option<(SecurityPolicy, u8)> {
    const BINARY: &str = "http://opcfoundation.org/UA-Profile/Transport/uatcp-uasc-uabinary";
    let transport = endpoint.transport_profile_uri.as_ref();
    if !transport.is_empty() && transport != BINARY {
        return None;
    }
    let policy = SecurityPolicy::from_uri(endpoint.security_policy_uri.as_ref());
    let by_policy = match policy {
        SecurityPolicy::Unknown => return None,
        SecurityPolicy::None => return (endpoint.security_mode == MessageSecurityMode::None).then_some((policy, 0)),
        SecurityPolicy::Basic128Rsa15 => 1,
        SecurityPolicy::Basic256 => 2,
        SecurityPolicy::Aes128Sha256RsaOaep => SAFE,
        SecurityPolicy::Basic256Sha256 => SAFE + 1,
        SecurityPolicy::Aes256Sha256RsaPss => SAFE + 2,
    };
    match endpoint.security_mode {
        MessageSecurityMode::SignAndEncrypt if by_policy >= SAFE => Some((policy, by_policy + 10)),
        MessageSecurityMode::SignAndEncrypt => Some((policy, by_policy + 2)),
        MessageSecurityMode::Sign => Some((policy, by_policy)),
        _ => None,
    }
}

/// A policy's name without what stands before it.
fn short(uri: &str) -> &str {
    uri.rsplit('#').next().unwrap_or(uri)
}

const fn said(token: UserTokenType) -> &'static str {
    match token {
        UserTokenType::Anonymous => "anonymous sessions",
        UserTokenType::UserName => "user name and password",
        UserTokenType::Certificate => "user certificates",
        UserTokenType::IssuedToken => "issued tokens",
    }
}

#[cfg(test)]
mod tests {
    use opcua_types::UserTokenPolicy;

    use super::super::Address;
    use super::*;

    fn endpoint(policy: SecurityPolicy, mode: MessageSecurityMode, tokens: &[UserTokenType]) -> EndpointDescription {
        EndpointDescription {
            endpoint_url: "opc.tcp://somewhere-else:4840".into(),
            security_policy_uri: policy.to_uri().into(),
            security_mode: mode,
            user_identity_tokens: Some(tokens.iter().map(|token| UserTokenPolicy { token_type: *token, ..UserTokenPolicy::anonymous() }).collect()),
            security_level: 200,
            ..EndpointDescription::default()
        }
    }

    fn options(user: User, insecure: bool) -> Options {
        Options { user, insecure, ..Options::new(Address::parse("opc.tcp://plc:4840/x").unwrap(), "keys".into()) }
    }

    fn user() -> User {
        User::Password { name: "a".to_owned(), password: "b".into() }
    }

    #[test]
    fn the_best_is_chosen_whatever_level_the_server_gives_it() {
        use MessageSecurityMode::{None, Sign, SignAndEncrypt};
        use UserTokenType::{Anonymous, UserName};
        let offered = [
            endpoint(SecurityPolicy::None, None, &[Anonymous, UserName]),
            endpoint(SecurityPolicy::Aes256Sha256RsaPss, Sign, &[Anonymous, UserName]),
            endpoint(SecurityPolicy::Basic256Sha256, SignAndEncrypt, &[Anonymous, UserName]),
            endpoint(SecurityPolicy::Aes256Sha256RsaPss, SignAndEncrypt, &[Anonymous]),
        ];
        let chosen = choose(&options(user(), false), &offered).unwrap();
        assert_eq!((chosen.policy, chosen.is_readable), ("Basic256Sha256", false));
        assert_eq!(chosen.description.endpoint_url.as_ref(), "opc.tcp://plc:4840/x");
        assert_eq!(choose(&options(User::Anonymous, false), &offered).unwrap().policy, "Aes256-Sha256-RsaPss");
        assert!(choose(&options(user(), false), &offered[..2]).unwrap().is_readable);
    }

    #[test]
    fn what_is_not_safe_is_refused_unless_it_is_asked_for() {
        use MessageSecurityMode::{None, SignAndEncrypt};
        use UserTokenType::Anonymous;
        let offered = [endpoint(SecurityPolicy::None, None, &[Anonymous]), endpoint(SecurityPolicy::Basic256, SignAndEncrypt, &[Anonymous])];
        let error = choose(&options(User::Anonymous, false), &offered).unwrap_err().to_string();
        assert!(error.contains("opc.tcp://plc:4840/x") && error.contains("Basic256 SignAndEncrypt, None None") && error.contains("insecure = true"), "{error}");
        assert_eq!(choose(&options(User::Anonymous, true), &offered).unwrap().policy, "Basic256");
        let safe = [endpoint(SecurityPolicy::Basic256Sha256, SignAndEncrypt, &[Anonymous])];
        let error = choose(&options(user(), false), &safe).unwrap_err().to_string();
        assert!(error.contains("no user name and password") && error.contains("it takes Anonymous"), "{error}");
        assert!(choose(&options(User::Anonymous, false), &[]).unwrap_err().to_string().contains("offers nothing"));
    }
}
