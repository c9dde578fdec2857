//! Slack: an incoming webhook, or an app with a token, which edits its message while an alert fires. Pure.
//!
//! Messages are blocks within the limits that Slack documents. No value can mention a user: characters with a meaning in Slack's
//! markup are escaped, and Slack's search for other markup is switched off.

use std::time::Duration;

use http::{HeaderValue, header};
use serde::Deserialize;
use serde_json::{Value, json};

use super::super::notice::{Notice, Severity, Status};
use super::endpoint::{Endpoint, Path, sensitive};
use super::text::{self, Markup};
use super::{Before, DeliveryError, Kind, Message, TargetError, json as to_json, key};
use crate::http::Guard;
use crate::secret_data::Data;

const NAME: &str = "slack";
const API: &str = "https://slack.com/api";

/// An incoming webhook cannot edit its message: another one is sent if nothing has changed for this time.
const SETTLE: Duration = Duration::from_secs(10);
/// Characters of a header.
const HEADER: usize = 150;
/// Characters of a section, of 3,000. Counted in bytes, of which there are never fewer.
const SECTION: usize = 2_900;
/// Bytes of all objects, so that a message stays far below 50 blocks.
const OBJECTS: usize = 8_000;
/// Text from other sources is shown as code or plain text: Slack's other markup (`*`, `_`, `~`, `:`) cannot be escaped.
const MARKUP: Markup = Markup { plain: code, code, strong };

/// Errors of Slack about the content of a message, which would be refused again.
const REFUSED: [&str; 12] = [
    "as_user_not_supported",
    "cant_update_message",
    "edit_window_closed",
    "invalid_arguments",
    "invalid_blocks",
    "invalid_blocks_format",
    "invalid_json",
    "invalid_payload",
    "message_not_found",
    "msg_blocks_too_long",
    "msg_too_long",
    "no_text",
];

const UNKNOWN: &str = "that is not one of Slack's; check the URL and the token";
const TOKEN: &str = "; put a valid token of the app into the key token of the Secret";
const SCOPE: &str = "; the app needs the scope chat:write";

/// Other errors of Slack, and what a user can do about them.
const DENIED: [(&str, &str); 18] = [
    (
        "channel_not_found",
        "; check the key channel of the Secret (an id is best), and invite the app to a private channel",
    ),
    ("not_in_channel", "; invite the app to the channel, or give it the scope chat:write.public"),
    ("is_archived", "; the channel is archived; set another one in the key channel of the Secret"),
    ("restricted_action", "; the workspace does not allow the app to post there"),
    ("missing_scope", SCOPE),
    ("no_permission", SCOPE),
    ("not_authed", TOKEN),
    ("invalid_auth", TOKEN),
    ("account_inactive", TOKEN),
    ("token_revoked", TOKEN),
    ("token_expired", TOKEN),
    ("access_denied", TOKEN),
    ("ratelimited", ""),
    ("rate_limited", ""),
    ("internal_error", ""),
    ("fatal_error", ""),
    ("service_unavailable", ""),
    ("request_timeout", ""),
];

/// A channel of Slack.
pub enum Slack {
    /// An incoming webhook, which cannot edit.
    Hook(Endpoint),
    App {
        /// The root of the API.
        root: Endpoint,
        authorization: HeaderValue,
        channel: String,
    },
}

/// The answer of the API, which has status 200 for errors too.
#[derive(Deserialize)]
struct Answer {
    ok: bool,
    error: Option<String>,
    channel: Option<String>,
    ts: Option<String>,
}

impl Slack {
    pub fn new(secret: Option<&Data>, guard: &Guard) -> Result<Self, TargetError> {
        let secret = secret.ok_or(TargetError::NoSecret { kind: NAME })?;
        let url = key(NAME, secret, "url")?;
        let endpoint = |url: &str| Endpoint::parse(NAME, url, Path::Secret, guard);
        match (url, key(NAME, secret, "token")?) {
            (Some(url), None) => Ok(Self::Hook(endpoint(&url)?)),
            (url, Some(token)) => {
                let channel = key(NAME, secret, "channel")?
                    .ok_or(TargetError::NoKey { kind: NAME, keys: "key channel" })?;
                let mut root = endpoint(url.as_deref().unwrap_or(API))?;
                root.hide(&token);
                let bad = |_| TargetError::BadKey { kind: NAME, key: "token", why: "not a token" };
                let authorization = sensitive(format!("Bearer {token}").parse().map_err(bad)?);
                Ok(Self::App { root, authorization, channel })
            }
            (None, None) => Err(TargetError::NoKey { kind: NAME, keys: "key url, and no key token" }),
        }
    }
}

impl Kind for Slack {
    fn name(&self) -> &'static str {
        NAME
    }

    fn message(&self, notice: &Notice, before: Before<'_>) -> Result<Option<Message>, DeliveryError> {
        let corrects = matches!(self, Self::Hook(_)) && before.update && notice.status == Status::Firing;
        let mut body = content(notice, if corrects { "Update: " } else { "" });
        let (endpoint, authorization) = match self {
            Self::Hook(endpoint) => (endpoint.clone(), None),
            Self::App { root, authorization, channel } => {
                // Do not convert words to links or mentions.
                body["parse"] = json!("none");
                let endpoint = if let Some((channel, ts)) =
                    before.reference.and_then(|reference| reference.split_once('/'))
                {
                    body["channel"] = json!(channel);
                    body["ts"] = json!(ts);
                    root.below("chat.update")
                } else {
                    body["channel"] = json!(channel);
                    body["unfurl_links"] = json!(false);
                    body["unfurl_media"] = json!(false);
                    root.below("chat.postMessage")
                };
                (endpoint, Some(authorization.clone()))
            }
        };
        let mut headers = endpoint.headers();
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json; charset=utf-8"));
        headers.extend(authorization.map(|value| (header::AUTHORIZATION, value)));
        Ok(Some(Message { endpoint, headers, body: to_json(&body)? }))
    }

    fn settle(&self) -> Option<Duration> {
        match self {
            Self::Hook(_) => Some(SETTLE),
            Self::App { .. } => None,
        }
    }

    fn answered(&self, body: &[u8]) -> Result<Option<String>, DeliveryError> {
        let Self::App { root, .. } = self else { return Ok(None) };
        let to = root.shown().to_owned();
        let Ok(answer) = serde_json::from_slice::<Answer>(body) else {
            return Err(DeliveryError::NotUnderstood { to });
        };
        if answer.ok {
            return Ok(answer.channel.zip(answer.ts).map(|(channel, ts)| format!("{channel}/{ts}")));
        }
        let error = answer.error.unwrap_or_default();
        if let Some(known) = REFUSED.iter().find(|known| **known == error) {
            return Err(DeliveryError::ContentRefused { to, said: (*known).to_owned() });
        }
        // An unknown error may have any text: the server may not be Slack.
        let known = DENIED.iter().find(|(known, _)| *known == error);
        let said = known.map_or_else(|| UNKNOWN.to_owned(), |(known, hint)| format!("{known}{hint}"));
        Err(DeliveryError::Denied { to, said })
    }
}

/// The text for notifications, and the blocks.
fn content(notice: &Notice, prefix: &str) -> Value {
    let title = format!("{} {prefix}{}", emoji(notice), text::title(notice));
    let header: String = title.chars().take(HEADER).collect();
    let header = json!({"type": "plain_text", "text": header, "emoji": false});
    let mut blocks = vec![json!({"type": "header", "text": header})];
    let summary = escape(&text::sentence(&notice.summary));
    let fallback = format!("{}: {summary}", escape(&title));
    let head = [Some(summary).filter(|summary| !summary.is_empty()), text::end(notice)];
    blocks.extend(plain(&head.into_iter().flatten().collect::<Vec<_>>()));
    blocks.extend(sections(text::objects(notice, MARKUP, OBJECTS)));
    blocks.extend(sections(foot(notice)));
    json!({"text": fallback, "mrkdwn": false, "blocks": blocks})
}

/// The revision, and what to do.
fn foot(notice: &Notice) -> impl Iterator<Item = String> {
    let revision = Some(&notice.revision).filter(|revision| !revision.is_empty());
    let commit = text::commit(notice).map(|commit| format!(" {}", code(&commit))).unwrap_or_default();
    let revision = revision.map(|revision| format!("Revision {}{commit}", code(&text::sentence(revision))));
    let command = notice.command.as_ref().map(|command| format!("Next: {}", code(&text::sentence(command))));
    [revision, command].into_iter().flatten()
}

/// Returns lines as preformatted text; `None` if there are none.
fn plain(lines: &[String]) -> Option<Value> {
    let text = json!({"type": "plain_text", "text": lines.join("\n"), "emoji": false});
    (!lines.is_empty()).then(|| json!({"type": "section", "text": text}))
}

/// Splits lines into as few sections as possible. A line is never longer than a section.
fn sections(lines: impl IntoIterator<Item = String>) -> Vec<Value> {
    let mut texts: Vec<String> = Vec::new();
    for line in lines {
        match texts.last_mut() {
            Some(text) if text.len() + 1 + line.len() <= SECTION => {
                text.push('\n');
                text.push_str(&line);
            }
            Some(_) | None => texts.push(line),
        }
    }
    let section =
        |text| json!({"type": "section", "text": {"type": "mrkdwn", "text": text, "verbatim": true}});
    texts.into_iter().map(section).collect()
}

fn emoji(notice: &Notice) -> &'static str {
    match (notice.status, notice.severity()) {
        (Status::Resolved, _) => "✅",
        (Status::Firing, Severity::Critical) => "🔴",
        (Status::Firing, Severity::Warning) => "🟠",
        (Status::Firing, Severity::Info) => "🔵",
    }
}

/// Escapes the three characters with a meaning in Slack's markup, and the backtick, which cannot be escaped otherwise.
fn escape(text: &str) -> String {
    let text = text::line(text).replace('`', "'");
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;")
}

fn code(text: &str) -> String {
    format!("`{}`", escape(text))
}

fn strong(text: &str) -> String {
    format!("*{}*", escape(text))
}

#[cfg(test)]
mod tests;
