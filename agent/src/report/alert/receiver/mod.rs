//! The kinds of receivers: one file each, which maps a notice to a request. All kinds are sent in the same way.
//!
//! A new kind is a file with an implementation of `Kind`, and a line in [`Target::new`]. I/O: in `http`.

mod alertmanager;
mod endpoint;
mod error;
mod http;
#[cfg(test)]
mod samples;
mod slack;
mod text;
mod webhook;

use std::time::Duration;

use holdfast_diff::visible;
use jiff::Timestamp;

pub use self::error::{DeliveryError, Retry};
pub use self::http::{Message, Sender};
use super::notice::Notice;
use crate::api;
use crate::http::{Guard, Refused};
use crate::secret_data::{BadSecret, Data, SecretData};

/// The minimum time for which a notice fires, so that a short event does not send two messages at once.
const KEEP: Duration = Duration::from_secs(5);

/// A receiver, checked. Has no `Debug`: it holds secrets.
pub struct Target(Box<dyn Kind>);

/// One kind of receiver.
trait Kind: Send + Sync {
    /// The metric's label.
    fn name(&self) -> &'static str;

    /// See [`Target::message`].
    fn message(&self, notice: &Notice, before: Before<'_>) -> Result<Option<Message>, DeliveryError>;

    /// See [`Target::answered`].
    fn answered(&self, _body: &[u8]) -> Result<Option<String>, DeliveryError> {
        Ok(None)
    }

    /// See [`Target::repeat`].
    fn repeat(&self) -> Option<Duration> {
        None
    }

    /// See [`Target::settle`].
    fn settle(&self) -> Option<Duration> {
        None
    }

    /// See [`Target::keep`].
    fn keep(&self) -> Duration {
        KEEP
    }
}

/// What was sent before a message.
#[derive(Clone, Copy)]
struct Before<'a> {
    /// The reference of the receiver for the earlier message.
    reference: Option<&'a str>,
    /// True if the onset was sent.
    update: bool,
    now: Timestamp,
}

/// Why a receiver cannot be used. A user must correct the Alert or its Secret.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TargetError {
    #[error("the receiver must have exactly one of alertmanager, slack, webhook")]
    NoKind,
    #[error("the URL of the {kind} receiver is invalid: {why}")]
    BadUrl { kind: &'static str, why: String },
    #[error("the URL of the {kind} receiver: {source}")]
    Refused { kind: &'static str, source: Refused },
    #[error("the Secret of the {kind} receiver does not exist")]
    NoSecret { kind: &'static str },
    #[error("the Secret of the {kind} receiver has no {keys}")]
    NoKey { kind: &'static str, keys: &'static str },
    #[error("the key {key} of the Secret of the {kind} receiver is {why}")]
    BadKey { kind: &'static str, key: &'static str, why: &'static str },
    #[error("line {line} of the key headers of the Secret is {why}; write one `Name: value` on each line")]
    BadHeader { line: usize, why: &'static str },
}

impl Target {
    /// Checks a receiver. `secret` is the data of the Secret that [`Target::secret_name`] names.
    pub fn new(spec: &api::Receiver, secret: Option<&Data>, guard: &Guard) -> Result<Self, TargetError> {
        let api::Receiver { alertmanager, slack, webhook } = spec;
        let kind: Box<dyn Kind> = match (alertmanager, slack, webhook) {
            (Some(spec), None, None) => Box::new(alertmanager::Alertmanager::new(spec, guard)?),
            (None, Some(_), None) => Box::new(slack::Slack::new(secret, guard)?),
            (None, None, Some(spec)) => Box::new(webhook::Webhook::new(spec, secret, guard)?),
            _ => return Err(TargetError::NoKind),
        };
        Ok(Self(kind))
    }

    /// The Secret that a receiver needs.
    pub fn secret_name(spec: &api::Receiver) -> Option<&str> {
        let slack = spec.slack.as_ref().map(|slack| &slack.secret_ref);
        let webhook = spec.webhook.as_ref().and_then(|webhook| webhook.secret_ref.as_ref());
        slack.or(webhook).map(|secret| secret.name.as_str())
    }

    /// `alertmanager`, `slack` or `webhook`: a metric's label.
    pub fn kind(&self) -> &'static str {
        self.0.name()
    }

    /// Creates the request for a notice; `None` if this receiver does not get it. `reference` is what [`Target::answered`]
    /// returned for the onset. `update` is true if the onset was sent.
    pub fn message(
        &self,
        notice: &Notice,
        reference: Option<&str>,
        update: bool,
        now: Timestamp,
    ) -> Result<Option<Message>, DeliveryError> {
        self.0.message(notice, Before { reference, update, now })
    }

    /// Reads the answer to an accepted message: the reference of the receiver for it, if it can be edited.
    pub fn answered(&self, body: &[u8]) -> Result<Option<String>, DeliveryError> {
        self.0.answered(body)
    }

    /// How often a notice is repeated while it fires.
    pub fn repeat(&self) -> Option<Duration> {
        self.0.repeat()
    }

    /// How long nothing may change before a change is sent, if a message cannot be edited.
    pub fn settle(&self) -> Option<Duration> {
        self.0.settle()
    }

    /// The minimum time for which a notice fires.
    pub fn keep(&self) -> Duration {
        self.0.keep()
    }
}

/// A key of a Secret as text, without the line break at its end.
fn key(kind: &'static str, secret: &Data, key: &'static str) -> Result<Option<String>, TargetError> {
    let bad = |why| TargetError::BadKey { kind, key, why };
    match SecretData::of(secret).needed(key) {
        Ok(text) => Ok(Some(text.to_owned())),
        Err(BadSecret::Missing(_)) => Ok(None),
        Err(BadSecret::Empty(_)) => Err(bad("empty")),
        Err(_) => Err(bad("not text")),
    }
}

/// The content as JSON, in which hidden characters are written as escapes.
fn json(content: &impl serde::Serialize) -> Result<Vec<u8>, DeliveryError> {
    let text = serde_json::to_string(content);
    let text = text.map_err(|error| DeliveryError::Unwritable { said: error.to_string() })?;
    Ok(visible::json(&text).into_owned().into_bytes())
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "tests")]
mod tests {
    use serde_json::json;

    use super::*;

    /// Kind, Secret, seconds to keep, seconds between repetitions.
    type Facts<'a> = (&'a str, Option<&'a str>, u64, Option<u64>);

    fn check(spec: serde_json::Value, expected: Result<Facts<'_>, &str>) {
        let spec: api::Receiver = serde_json::from_value(spec).unwrap();
        let secret = Data::from([("url".to_owned(), b"https://hooks.slack.com/services/T0/B0/x".to_vec())]);
        let secret = Target::secret_name(&spec).map(|_| secret);
        let found = Target::new(&spec, secret.as_ref(), &Guard::default());
        let found = found.map_err(|error| error.to_string());
        match (found, expected) {
            (Ok(target), Ok(expected)) => {
                let seconds = |duration: Duration| duration.as_secs();
                let found = (target.kind(), Target::secret_name(&spec), seconds(target.keep()));
                assert_eq!((found.0, found.1, found.2, target.repeat().map(seconds)), expected);
            }
            (Err(error), Err(part)) => assert!(error.contains(part), "{error}"),
            (found, expected) => unreachable!("{:?}, not {expected:?}", found.err()),
        }
    }

    #[test]
    fn each_kind_has_its_name_its_secret_and_its_times() {
        let url = json!({"url": "https://example.com"});
        check(json!({"alertmanager": url}), Ok(("alertmanager", None, 35, Some(60))));
        check(json!({"slack": {"secretRef": {"name": "a"}}}), Ok(("slack", Some("a"), 5, None)));
        check(json!({"webhook": url}), Ok(("webhook", None, 5, None)));
        let named = json!({"webhook": {"url": "https://example.com", "secretRef": {"name": "b"}}});
        check(named, Err("has no key token or headers"));
        check(json!({}), Err("must have exactly one"));
        check(json!({"alertmanager": url, "webhook": url}), Err("must have exactly one"));
        check(json!({"alertmanager": {"url": "http://169.254.169.254"}}), Err("--allow-destinations"));
    }
}
