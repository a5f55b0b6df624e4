//! A call as an event.

use keytrail_schemas::{Activity, CredentialKind, Event, IdentityKind, Outcome, Text};

use super::NAME;
use super::call::{Act, Call};
use super::span::{Side, Span, Told};
use crate::format::Draft;
use crate::format::join::join;

/// Where nothing names it.
const UNKNOWN: &str = "unknown";

/// The event of a call.
pub(super) fn of(call: &Call<'_>) -> Option<Draft> {
    let nearest = call.nearest()?;
    let told = nearest.told.as_deref()?;
    let is_mcp = call.spans.iter().any(|span| span.told.as_ref().is_some_and(|told| told.method.is_some()));
    let mut event =
        Event { time: nearest.time, activity: Activity::Use, format: Text::const_new(NAME), trace_id: Some(nearest.trace.clone()), ..Event::default() };
    identity(call, &mut event);
    touched(call, is_mcp, &mut event);
    event.outcome = outcome(nearest, told);
    event.reason = told.error.clone().filter(|_| nearest.failed);
    event.action = Some(action(call, told, is_mcp));
    event.session = call.first_upwards(|_, told| told.conversation.clone()).or_else(|| call.first(|_, told| told.mcp_session.clone()));
    event.environment = told.origin.environment.clone();
    event.source_ip = call.first(|_, told| told.client_address.as_deref().and_then(crate::format::ip_address));
    event.raw = Some(told.raw.clone());
    Some(Draft { event: Box::new(event), provider_id: call.id(), part: 0, line: nearest.line })
}

/// The event of one call of the agent's file and that of the server's, in either order: both become the whole. The agent knows who acted, the server what came of it.
pub(super) fn complete(first: &mut Event, second: &mut Event) {
    let is_server = |event: &Event| event.identity_provider == "mcp";
    let (agent, server) = match (is_server(first), is_server(second)) {
        (false, true) => (&*first, &*second),
        (true, false) => (&*second, &*first),
        _ => return,
    };
    let or = |a: &Option<Text>, b: &Option<Text>| a.clone().or_else(|| b.clone());
    let mut whole = Event {
        identity: agent.identity.clone(),
        identity_kind: agent.identity_kind,
        identity_provider: agent.identity_provider.clone(),
        identity_account: agent.identity_account.clone(),
        credential_parent: or(&agent.credential_parent, &server.credential_parent),
        source_host: agent.source_host.clone(),
        user_agent: agent.user_agent.clone(),
        session: or(&agent.session, &server.session),
        environment: or(&agent.environment, &server.environment),
        ..server.clone()
    };
    whole.time = first.time;
    second.clone_from(&whole);
    *first = whole;
}

/// Who acted, from where, on whose behalf.
fn identity(call: &Call<'_>, event: &mut Event) {
    let outside = |span: &Span| span.side != Side::Server;
    // An agent that is made to run is no actor of its own call, unless nobody stands above.
    let runs = call.spans.iter().all(|span| matches!(span.act, Some(Act::Agent(_))));
    let above = || call.above.iter().find_map(|span| agent(span));
    let own = || call.spans.iter().rev().find_map(|span| agent(span));
    let found = if runs { above().or_else(own) } else { own().or_else(above) };
    let caller = call.spans.iter().chain(&call.above).copied().find(|span| outside(span) && span.told.is_some());
    let origin = caller.or_else(|| call.nearest()).and_then(|span| span.told.as_deref()).map(|told| &told.origin);
    let account = origin.and_then(|origin| origin.account.clone()).unwrap_or(Text::const_new(UNKNOWN));
    match (found, caller.and(origin).and_then(|origin| origin.service.as_deref())) {
        (Some(name), _) => {
            event.identity = join(&["agent:", &account, ":agent/", name]);
            event.identity_kind = IdentityKind::AiAgent;
            event.identity_provider = Text::const_new("agent");
        }
        (None, Some(service)) => {
            event.identity = join(&["agent:", &account, ":service/", service]);
            event.identity_kind = IdentityKind::Workload;
            event.identity_provider = Text::const_new("agent");
        }
        (None, None) => {
            let client = call.first(|_, told| told.client.clone().or_else(|| told.client_address.clone())).unwrap_or(Text::const_new(UNKNOWN));
            event.identity = join(&["mcp:", &server(call).unwrap_or(Text::const_new(UNKNOWN)), ":client/", &client]);
            event.identity_provider = Text::const_new("mcp");
        }
    }
    if let Some(origin) = origin.filter(|_| caller.is_some()) {
        event.source_host = origin.instance.clone();
        event.user_agent = origin.service.as_deref().map(|service| match &origin.version {
            Some(version) => join(&[service, "/", version]),
            None => Text::from(service),
        });
    }
    let on_behalf = call.first_upwards(|span, told| if outside(span) { told.user.clone().or_else(|| told.enduser.clone()) } else { told.user.clone() });
    event.credential_parent = on_behalf.map(|user| join(&["agent:", &account, ":user/", &user]));
    if let Some(client) = call.first(|span, told| told.enduser.clone().filter(|_| !outside(span))) {
        event.credential = Some(join(&["mcp:", &server(call).unwrap_or(Text::const_new(UNKNOWN)), ":client/", &client]));
        event.credential_kind = CredentialKind::OauthToken;
        event.auth_method = Some(Text::const_new("oauth"));
    }
    event.identity_account = account;
}

fn agent(span: &Span) -> Option<&str> {
    span.told.as_deref()?.agent.as_deref()
}

/// The MCP server's name: as it says itself, as the client names it, or its address.
fn server(call: &Call<'_>) -> Option<Text> {
    call.first(|span, told| told.server.clone().or_else(|| told.origin.service.clone().filter(|_| span.side == Side::Server && told.method.is_some())))
        .or_else(|| call.first(|_, told| told.server_address.clone()))
}

/// What was touched.
fn touched(call: &Call<'_>, is_mcp: bool, event: &mut Event) {
    let acts = || call.spans.iter().rev().filter_map(|span| span.act.as_ref());
    let about = acts().find_map(|act| match act {
        Act::Tool(name) | Act::Method(_, name) | Act::Model(name) | Act::Agent(name) => name.clone(),
    });
    let about = about.as_deref();
    let server = server(call).unwrap_or(Text::const_new(UNKNOWN));
    let (destination, kind, service) = match acts().next() {
        Some(Act::Tool(_)) if is_mcp => (join(&["mcp:", &server, "/tool/", about.unwrap_or(UNKNOWN)]), "tool", Text::const_new("mcp")),
        Some(Act::Tool(_)) => (join(&["agent:", &event.identity_account, ":tool/", about.unwrap_or(UNKNOWN)]), "tool", Text::const_new("agent")),
        Some(Act::Method(method, _)) => {
            let (class, kind) = match method.as_str() {
                resource if resource.starts_with("resources/") => ("/resource/", "resource"),
                prompt if prompt.starts_with("prompts/") => ("/prompt/", "prompt"),
                _ => ("/", "server"),
            };
            match about {
                Some(about) => (join(&["mcp:", &server, class, about]), kind, Text::const_new("mcp")),
                None => (join(&["mcp:", &server]), "server", Text::const_new("mcp")),
            }
        }
        Some(Act::Model(_)) => {
            let provider = call.first(|_, told| told.provider.clone()).unwrap_or(Text::const_new(UNKNOWN));
            (join(&["model:", &provider, "/", about.unwrap_or(UNKNOWN)]), "model", provider)
        }
        Some(Act::Agent(_)) => (join(&["agent:", &event.identity_account, ":agent/", about.unwrap_or(UNKNOWN)]), "agent", Text::const_new("agent")),
        None => return,
    };
    event.destination = Some(destination);
    event.destination_kind = Some(Text::const_new(kind));
    event.destination_service = Some(service);
    event.protocol = is_mcp.then(|| Text::const_new("mcp"));
}

fn action(call: &Call<'_>, told: &Told, is_mcp: bool) -> Text {
    let method = call.first(|_, told| told.method.clone()).filter(|_| is_mcp);
    method.or_else(|| told.operation.clone()).unwrap_or(Text::const_new(UNKNOWN))
}

fn outcome(nearest: &Span, told: &Told) -> Outcome {
    if !nearest.failed {
        return Outcome::Success;
    }
    let error = told.error.as_deref().unwrap_or_default().to_ascii_lowercase();
    let refused = ["permission", "unauthorized", "unauthenticated", "forbidden", "denied", "401", "403"].iter().any(|word| error.contains(word));
    if refused { Outcome::Denied } else { Outcome::Failure }
}
