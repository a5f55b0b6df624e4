//! The fields of one `CloudTrail` event, picked up in one pass over its keys, in AWS's spelling or in the lower case of Athena.

use keytrail_schemas::Text;

use crate::json::Value;

/// Fills one local variable per field from an object's entries; of duplicated keys the first counts.
macro_rules! pick {
    ($value:expr; $($slot:ident = $($key:literal)|+;)+) => {
        $(let mut $slot: Option<Value<'_>> = None;)+
        for (key, value) in $value.entries() {
            match key {
                $($($key)|+ if $slot.is_none() => $slot = Some(value),)+
                _ => {}
            }
        }
    };
}

/// An object that may be missing.
#[derive(Clone, Copy)]
pub(super) struct Fields<'d>(pub(super) Option<Value<'d>>);

impl<'d> Fields<'d> {
    /// The non-empty string of `key`.
    pub(super) fn text(self, key: &str) -> Option<&'d str> {
        self.0?.get(key)?.as_text()
    }

    /// The non-empty string at the end of `path`.
    pub(super) fn text_at(self, path: &[&str]) -> Option<&'d str> {
        self.0?.str_at(path)
    }

    pub(super) fn at(self, path: &[&str]) -> Option<Value<'d>> {
        self.0?.at(path)
    }

    /// The value itself, where it is a string and not empty.
    pub(super) fn as_text(self) -> Option<&'d str> {
        self.0?.as_text()
    }
}

/// One event.
pub(super) struct Record<'d> {
    pub(super) time: Option<&'d str>,
    pub(super) event_source: Option<&'d str>,
    pub(super) event_name: Option<&'d str>,
    pub(super) event_type: Option<&'d str>,
    pub(super) category: Option<&'d str>,
    pub(super) id: Option<&'d str>,
    pub(super) recipient_account: Option<&'d str>,
    pub(super) source_address: Option<&'d str>,
    pub(super) user_agent: Option<&'d str>,
    pub(super) error_code: Option<&'d str>,
    pub(super) error_message: Option<&'d str>,
    pub(super) read_only: Option<bool>,
    pub(super) console_session: bool,
    pub(super) user: User<'d>,
    pub(super) parameters: Fields<'d>,
    pub(super) response: Fields<'d>,
    pub(super) additional: Fields<'d>,
    pub(super) resources: Option<Value<'d>>,
    insight: bool,
}

/// The element `userIdentity`.
#[derive(Default)]
pub(super) struct User<'d> {
    pub(super) present: bool,
    pub(super) kind: Option<&'d str>,
    pub(super) principal_id: Option<&'d str>,
    pub(super) arn: Option<&'d str>,
    pub(super) account: Option<&'d str>,
    pub(super) access_key: Option<&'d str>,
    pub(super) name: Option<&'d str>,
    pub(super) invoked_by: Option<&'d str>,
    pub(super) identity_provider: Option<&'d str>,
    pub(super) created: Option<&'d str>,
    pub(super) issuer_arn: Option<&'d str>,
    pub(super) issuer_name: Option<&'d str>,
    pub(super) issuer_account: Option<&'d str>,
    pub(super) issuer_kind: Option<&'d str>,
    pub(super) federated_provider: Option<&'d str>,
    pub(super) on_behalf_of: Option<&'d str>,
}

fn text<'d>(value: Option<Value<'d>>) -> Option<&'d str> {
    value.and_then(Value::as_text)
}

/// A boolean, or the words for it.
fn flag(value: Option<Value<'_>>) -> Option<bool> {
    let value = value?;
    value.as_bool().or_else(|| match value.as_str() {
        Some("true") => Some(true),
        Some("false") => Some(false),
        _ => None,
    })
}

impl<'d> Record<'d> {
    pub(super) fn read(value: Value<'d>) -> Self {
        pick! { value;
            time = "eventTime" | "eventtime";
            event_source = "eventSource" | "eventsource";
            event_name = "eventName" | "eventname";
            event_type = "eventType" | "eventtype";
            category = "eventCategory" | "eventcategory";
            id = "eventID" | "eventid";
            recipient = "recipientAccountId" | "recipientaccountid";
            source = "sourceIPAddress" | "sourceipaddress";
            agent = "userAgent" | "useragent";
            error_code = "errorCode" | "errorcode";
            error_message = "errorMessage" | "errormessage";
            read_only = "readOnly" | "readonly";
            console = "sessionCredentialFromConsole" | "sessioncredentialfromconsole";
            user = "userIdentity" | "useridentity";
            parameters = "requestParameters" | "requestparameters";
            response = "responseElements" | "responseelements";
            additional = "additionalEventData" | "additionaleventdata";
            resources = "resources";
            insight = "insightDetails" | "insightdetails";
        }
        Self {
            time: text(time),
            event_source: text(event_source),
            event_name: text(event_name),
            event_type: text(event_type),
            category: text(category),
            id: text(id),
            recipient_account: text(recipient),
            source_address: text(source),
            user_agent: text(agent),
            error_code: text(error_code),
            error_message: text(error_message),
            read_only: flag(read_only),
            console_session: flag(console).unwrap_or(false),
            user: user.map(User::read).unwrap_or_default(),
            parameters: Fields(parameters),
            response: Fields(response),
            additional: Fields(additional),
            resources,
            insight: insight.is_some(),
        }
    }

    /// An Insights event: `CloudTrail`'s own judgement of call rates.
    pub(super) fn is_insight(&self) -> bool {
        self.insight || self.event_type == Some("AwsCloudTrailInsight") || self.category == Some("Insight")
    }

    pub(super) fn is_empty(&self) -> bool {
        self.event_source.is_none() && self.event_name.is_none() && !self.user.present
    }

    /// The service's short name: `s3` for `s3.amazonaws.com`.
    pub(super) fn service(&self) -> &'d str {
        self.event_source.map_or("unknown", |source| source.split('.').next().unwrap_or(source))
    }

    /// `s3:GetObject`.
    pub(super) fn action(&self) -> Option<Text> {
        self.event_name.map(|name| crate::format::join::join(&[self.service(), ":", name]))
    }

    /// Whether a person at the console is behind the call.
    pub(super) fn is_from_console(&self) -> bool {
        self.console_session
            || self.event_source == Some("signin.amazonaws.com")
            || self.user.invoked_by == Some("signin.amazonaws.com")
            || self.event_type == Some("AwsConsoleSignIn")
            || self.event_type == Some("AwsConsoleAction")
            || self.user_agent.is_some_and(|agent| {
                agent == "console.amazonaws.com" || agent == "signin.amazonaws.com" || agent.starts_with("[S3Console") || agent.starts_with("S3Console")
            })
    }
}

impl<'d> User<'d> {
    fn read(value: Value<'d>) -> Self {
        pick! { value;
            kind = "type";
            principal_id = "principalId" | "principalid";
            arn = "arn";
            account = "accountId" | "accountid";
            access_key = "accessKeyId" | "accesskeyid";
            name = "userName" | "username";
            invoked_by = "invokedBy" | "invokedby";
            provider = "identityProvider" | "identityprovider";
            context = "sessionContext" | "sessioncontext";
            behalf = "onBehalfOf" | "onbehalfof";
        }
        let mut user = Self {
            present: value.is_object(),
            kind: text(kind),
            principal_id: text(principal_id),
            arn: text(arn),
            account: text(account),
            access_key: text(access_key),
            name: text(name),
            invoked_by: text(invoked_by),
            identity_provider: text(provider),
            on_behalf_of: behalf.and_then(|b| b.str_at(&["userId"]).or_else(|| b.str_at(&["userid"]))),
            ..Self::default()
        };
        if let Some(context) = context {
            pick! { context;
                attributes = "attributes";
                issuer = "sessionIssuer" | "sessionissuer";
                federation = "webIdFederationData" | "webidfederationdata";
            }
            if let Some(attributes) = attributes {
                pick! { attributes; created = "creationDate" | "creationdate"; }
                user.created = text(created);
            }
            if let Some(issuer) = issuer {
                pick! { issuer; kind = "type"; arn = "arn"; account = "accountId" | "accountid"; name = "userName" | "username"; }
                (user.issuer_kind, user.issuer_arn, user.issuer_account, user.issuer_name) = (text(kind), text(arn), text(account), text(name));
            }
            user.federated_provider = federation.and_then(|f| f.str_at(&["federatedProvider"]).or_else(|| f.str_at(&["federatedprovider"])));
        }
        user
    }
}
