//! What surrounds a record while it is read, and where its events go.

use keytrail_schemas::{Activity, Event, IdentityKind, Micros, Text};

use crate::format::join::join;
use crate::format::{Context, Draft, Reject};
use crate::redact::Redactor;

/// What stays the same from record to record.
pub(crate) struct Setting {
    format: &'static str,
    /// The field that names who acted, for messages.
    who: &'static str,
    /// The collector's name for the cluster, tenant or server: for formats whose records do not say it.
    pub(crate) cluster: Text,
    #[allow(dead_code, reason = "see `Scene::fingerprint`")]
    redactor: Redactor,
}

impl Setting {
    /// The setting of one file of `format`, whose field `who` names who acted.
    pub(crate) fn new(format: &'static str, who: &'static str, context: &Context) -> Self {
        Self { format, who, cluster: context.cluster.clone(), redactor: context.redactor.clone() }
    }

    /// Lets `read` make events of one record, and gives each the record (`raw`) and the provider's `id`: all of them or, where one has no identity or the
    /// record is refused, none.
    pub(crate) fn read(
        &self,
        id: Option<Text>,
        raw: &str,
        line: u64,
        out: &mut Vec<Draft>,
        read: impl FnOnce(&mut Scene<'_>) -> Result<(), Reject>,
    ) -> Result<(), Reject> {
        let before = out.len();
        let mut scene = Scene { setting: self, cluster: &self.cluster, line, id, out: &mut *out, before };
        let read = read(&mut scene);
        let mut id = scene.id;
        let drafts = out.get_mut(before..).unwrap_or_default();
        let nameless = drafts.iter().any(|draft| draft.event.identity.is_empty());
        if nameless || read.is_err() {
            out.truncate(before);
            return read.and_then(|()| Err(Reject::no_identity(self.who, format!("a record of {} that names nobody: {} is missing", self.format, self.who))));
        }
        let mut left = drafts.len();
        for draft in drafts {
            left -= 1;
            draft.provider_id = if left == 0 { id.take() } else { id.clone() };
            draft.event.raw = Some(raw.to_owned());
        }
        Ok(())
    }
}

/// The surroundings of one record.
pub(crate) struct Scene<'s> {
    setting: &'s Setting,
    /// The collector's name for the cluster, tenant or server.
    pub(crate) cluster: &'s Text,
    line: u64,
    id: Option<Text>,
    out: &'s mut Vec<Draft>,
    before: usize,
}

impl Scene<'_> {
    /// An event of this record.
    pub(crate) fn event(&self, time: Micros, activity: Activity, action: impl Into<Text>) -> Box<Event> {
        Box::new(Event {
            time,
            activity,
            action: Some(action.into()),
            format: Text::const_new(self.setting.format),
            protocol: Some(Text::const_new("https")),
            ..Event::default()
        })
    }

    /// The provider's own id for the record, where it is not what the shape says: that of all its events.
    pub(crate) fn set_id(&mut self, id: Option<Text>) {
        self.id = id;
    }

    /// What stands for a secret, or for a value that may be one, as a credential's id.
    #[allow(dead_code, reason = "for formats in which a credential has no name but itself")]
    pub(crate) fn fingerprint(&self, secret: &str) -> Text {
        Text::from(self.setting.redactor.fingerprint(secret.as_bytes()).to_string())
    }

    /// Adds an event. The record is refused as a whole if one has no identity.
    pub(crate) fn push(&mut self, event: impl Into<Box<Event>>) {
        let part = u32::try_from(self.out.len() - self.before).unwrap_or(u32::MAX);
        self.out.push(Draft { event: event.into(), provider_id: None, part, line: self.line });
    }
}

/// Makes `event` one of `name`, which is of `class` (`sp`, `user`, `sa`, …) in `provider`'s `account`: `<provider>:<account>:<class>/<name>`.
pub(crate) fn by(event: &mut Event, provider: &'static str, account: &str, class: &str, name: &str, kind: IdentityKind) {
    event.identity = join(&[provider, ":", account, ":", class, "/", name]);
    event.identity_kind = kind;
    event.identity_provider = Text::const_new(provider);
    event.identity_account = Text::from(account);
}
