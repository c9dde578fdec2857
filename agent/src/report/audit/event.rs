//! An audit event as the API server writes it, and whether it changed an object. Pure.
//!
//! The format is that of `audit.k8s.io/v1`; unknown fields are ignored.

use std::borrow::Cow;

use jiff::Timestamp;
use reqwest::Url;
use serde::Deserialize;

use super::{Change, Words};
use crate::report::changes::cut;

/// The batch is not a list of audit events.
#[derive(Debug, thiserror::Error)]
pub enum AuditError {
    // The error itself may quote a value.
    #[error("the body is not a list of audit events at line {}, column {}; it must be what the API server's audit webhook sends", .0.line(), .0.column())]
    Read(#[source] serde_json::Error),
    #[error("the body is a \"{kind}\" of \"{api_version}\", and must be an EventList of audit.k8s.io/v1")]
    Kind { kind: String, api_version: String },
}

/// The prefix of the agent's user agent.
const OWN: &str = "holdfast/";

/// Subresources whose requests do not change fields that Git can set.
const ASIDE: &[&str] =
    &["attach", "binding", "eviction", "exec", "log", "portforward", "proxy", "status", "token"];

/// Objects that change constantly and are not in Git: group and resource.
const BUSY: &[(&str, &str)] =
    &[("", "events"), ("events.k8s.io", "events"), ("coordination.k8s.io", "leases")];

/// Maximum bytes of a name. RBAC permits names of any length.
const LONGEST: usize = 512;
/// Maximum characters of the names of users and programs.
const SHOWN: usize = 256;

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct EventList<'a> {
    #[serde(borrow, default)]
    kind: Cow<'a, str>,
    #[serde(borrow, default)]
    api_version: Cow<'a, str>,
    #[serde(borrow, default)]
    items: Option<Vec<Event<'a>>>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Event<'a> {
    #[serde(borrow, default)]
    stage: Cow<'a, str>,
    #[serde(borrow, default, rename = "requestURI")]
    request_uri: Cow<'a, str>,
    #[serde(borrow, default)]
    verb: Cow<'a, str>,
    #[serde(borrow, default)]
    user: Person<'a>,
    #[serde(borrow, default)]
    impersonated_user: Option<Person<'a>>,
    #[serde(borrow, default)]
    user_agent: Cow<'a, str>,
    #[serde(borrow, default)]
    object_ref: Option<ObjectRef<'a>>,
    #[serde(default)]
    response_status: Option<Outcome>,
    #[serde(borrow, default)]
    request_received_timestamp: Cow<'a, str>,
    #[serde(borrow, default)]
    stage_timestamp: Cow<'a, str>,
}

#[derive(Default, Deserialize)]
struct Person<'a> {
    #[serde(borrow, default)]
    username: Cow<'a, str>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct ObjectRef<'a> {
    #[serde(borrow, default)]
    api_group: Cow<'a, str>,
    #[serde(borrow, default)]
    resource: Cow<'a, str>,
    #[serde(borrow, default)]
    namespace: Cow<'a, str>,
    #[serde(borrow, default)]
    name: Cow<'a, str>,
    #[serde(borrow, default)]
    subresource: Cow<'a, str>,
}

#[derive(Deserialize)]
struct Outcome {
    #[serde(default)]
    code: i64,
}

/// Reads the body of a request of the API server.
pub(super) fn read(body: &[u8]) -> Result<Vec<Event<'_>>, AuditError> {
    let EventList { kind, api_version, items } = serde_json::from_slice(body).map_err(AuditError::Read)?;
    if kind != "EventList" || api_version != "audit.k8s.io/v1" {
        return Err(AuditError::Kind { kind: cut(&kind, 64), api_version: cut(&api_version, 64) });
    }
    Ok(items.unwrap_or_default())
}

impl Event<'_> {
    /// Returns the change of an object in the event, unless the request failed or the agent made it.
    pub(super) fn change(&self, words: &mut Words) -> Option<Change> {
        let object = self.object_ref.as_ref()?;
        let bulk = self.verb == "deletecollection";
        let deletes = bulk || self.verb == "delete";
        let writes = deletes || ["create", "update", "patch"].contains(&&*self.verb);
        let succeeded = self.response_status.as_ref().is_some_and(|status| (200..300).contains(&status.code));
        let ours = self.user_agent.starts_with(OWN);
        if self.stage != "ResponseComplete" || !writes || !succeeded || ours || !object.matters(bulk) {
            return None;
        }
        let query = self.query();
        let parameter = |name: &str| query.iter().find(|(key, value)| key == name && !value.is_empty());
        if parameter("dryRun").is_some() {
            return None;
        }
        let manager = parameter("fieldManager").map_or_else(|| self.program(), |(_, manager)| manager);
        let (began, ended) = self.times()?;
        let subresource = Some(&object.subresource).filter(|name| !name.is_empty());
        Some(Change {
            group: words.keep(&object.api_group),
            resource: words.keep(&object.resource),
            namespace: words.keep(&object.namespace),
            name: (!bulk).then(|| words.keep(&object.name)),
            subresource: subresource.map(|name| words.keep(name)),
            deletes,
            manager: words.keep(&cut(manager, SHOWN)),
            user: words.keep(&self.who()?),
            agent: words.keep(&cut(&self.user_agent, SHOWN)),
            began,
            ended,
        })
    }

    /// Returns the parameters of the request.
    fn query(&self) -> Vec<(String, String)> {
        let query = self.request_uri.split_once('?').map(|(_, query)| query);
        let Some(Ok(mut url)) = query.map(|_| Url::parse("http://localhost")) else { return Vec::new() };
        url.set_query(query);
        url.query_pairs().into_owned().collect()
    }

    /// Returns the field manager that the API server uses if the request sets none.
    fn program(&self) -> &str {
        self.user_agent.split('/').next().unwrap_or_default()
    }

    /// Returns the user, and the user who impersonated it.
    fn who(&self) -> Option<String> {
        let by = Some(&self.user.username).filter(|name| !name.is_empty())?;
        let role = self.impersonated_user.as_ref().map(|role| &role.username).filter(|name| !name.is_empty());
        Some(match role {
            Some(role) => format!("{} (impersonated by {})", cut(role, SHOWN), cut(by, SHOWN)),
            None => cut(by, SHOWN),
        })
    }

    /// Returns when the request arrived and when it was answered.
    fn times(&self) -> Option<(Timestamp, Timestamp)> {
        let began = self.request_received_timestamp.parse().ok();
        let ended = self.stage_timestamp.parse().ok();
        Some((began.or(ended)?, ended.or(began)?))
    }
}

impl ObjectRef<'_> {
    /// True if Git could contain the object.
    fn matters(&self, bulk: bool) -> bool {
        let Self { api_group, resource, namespace, name, subresource } = self;
        !resource.is_empty()
            && (bulk || !name.is_empty())
            && !ASIDE.contains(&&**subresource)
            && !BUSY.contains(&(&**api_group, &**resource))
            && [api_group, resource, namespace, name, subresource].iter().all(|part| part.len() <= LONGEST)
    }
}
