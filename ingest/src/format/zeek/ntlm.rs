//! `ntlm.log`: an NTLM authentication of a Windows account from a host to a server.
//!
//! Source: Zeek, `base/protocols/ntlm/main.zeek`.

use keytrail_schemas::{Activity, CredentialKind, Text};

use super::kind::Kind;
use super::row::{OWN, Row};
use super::scene::{Scene, account_kind, name_identity, outcome, server};
use crate::format::Reject;

const USER: usize = OWN;
const HOST: usize = OWN + 1;
const DOMAIN: usize = OWN + 2;
const SERVER_DNS: usize = OWN + 3;
const SERVER_NETBIOS: usize = OWN + 4;
const SUCCESS: usize = OWN + 5;
const STATUS: usize = OWN + 6;

pub(super) static KIND: Kind = Kind {
    path: "ntlm",
    fields: &["username", "hostname", "domainname", "server_dns_computer_name", "server_nb_computer_name", "success", "status"],
    marks: &["domainname", "server_dns_computer_name", "server_nb_computer_name", "server_tree_name"],

    read,
};

fn read(row: &Row<'_>, scene: &mut Scene<'_>) -> Result<(), Reject> {
    let mut event = scene.by_client(row, Activity::Authenticate, Text::const_new("ntlm.authenticate"))?;
    if let Some(user) = row.text(USER) {
        let domain = row.text(DOMAIN).or_else(|| row.text(HOST)).unwrap_or_default().to_uppercase();
        name_identity(&mut event, "ntlm", &domain, "account", &user.to_lowercase(), account_kind(&user));
    }
    event.outcome = outcome(row.flag(SUCCESS));
    event.reason = row.owned(STATUS).filter(|status| status != "SUCCESS");
    event.source_host = row.owned(HOST);
    let name = row.text(SERVER_DNS).or_else(|| row.text(SERVER_NETBIOS)).map(|name| name.to_lowercase());
    event.destination = server(row, "host", name.as_deref());
    event.destination_kind = Some(Text::const_new("host"));
    event.credential_kind = CredentialKind::Password;
    event.protocol = Some(Text::const_new("ntlm"));
    event.auth_method = Some(Text::const_new("ntlm"));
    scene.push(event);
    Ok(())
}
