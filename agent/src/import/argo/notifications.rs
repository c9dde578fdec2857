//! Subscriptions of Applications to notifications: Alerts. Pure.

use std::collections::BTreeMap;

use super::super::found::Found;
use super::super::note::{Note, Notes};
use super::super::output::{Draft, Drafts};
use super::super::shell;

const SUBSCRIBE: &str = "notifications.argoproj.io/subscribe.";

/// Makes an Alert for each channel of Slack.
pub fn import(found: &Found, drafts: &mut Drafts, all: &mut Vec<Note>) {
    let key = found.key();
    let mut channels: BTreeMap<String, Vec<&'static str>> = BTreeMap::new();
    for (name, recipients) in found.annotations() {
        let field = format!("metadata.annotations[{name}]");
        let mut notes = Notes::about(&key, all);
        let Some(rest) = name.strip_prefix(SUBSCRIBE) else {
            if name.starts_with("notifications.argoproj.io/") && !name.starts_with("notified.") {
                notes.not_needed(field, "what was sent is in the status of an Alert");
            }
            continue;
        };
        let (trigger, service) = rest.rsplit_once('.').unwrap_or(("", rest));
        let Some(events) = events(trigger) else {
            notes.missing(
                field,
                format!(
                    "there is no event for the trigger {trigger}; choose one of those in spec.on of an Alert"
                ),
            );
            continue;
        };
        if service != "slack" {
            notes.missing(
                field,
                format!("there is no receiver for {service} whose settings are in the ConfigMap argocd-notifications-cm; make an Alert with the receiver alertmanager or webhook"),
            );
            continue;
        }
        for channel in recipients.split(';').map(str::trim).filter(|channel| !channel.is_empty()) {
            channels.entry(channel.to_owned()).or_default().extend(events);
        }
    }
    let syncs: Vec<String> = drafts
        .iter()
        .filter(|draft| draft.kind() == "Sync" && draft.from == key.to_string())
        .map(|draft| draft.name.clone())
        .collect();
    if syncs.is_empty() {
        return;
    }
    for (channel, mut events) in channels {
        events.sort_unstable();
        events.dedup();
        let plain: String = channel
            .chars()
            .map(|letter| if letter.is_ascii_alphanumeric() { letter.to_ascii_lowercase() } else { '-' })
            .collect();
        let plain = plain.trim_matches('-').to_owned();
        let mut draft = Draft::new("Alert", found.namespace(), &format!("{}-{plain}", found.name()), &key);
        draft.set("syncs.names", syncs.clone());
        draft.set("on", events);
        let secret = format!("slack-{plain}");
        draft.set("receiver.slack.secretRef.name", secret.as_str());
        let create = shell::convert_secret(
            (found.namespace(), "argocd-notifications-secret"),
            (found.namespace(), &secret),
            &[("token", "slack-token")],
        );
        let patch = shell::patch(
            found.namespace(),
            "secret",
            &secret,
            &serde_json::json!({"stringData": {"channel": channel}}),
        );
        Notes::about(&key, all).action(
            format!("metadata.annotations[{SUBSCRIBE}*.slack]"),
            format!("the channel {channel} has a Secret with the keys token and channel"),
            format!("{create} && {patch}"),
        );
        drafts.add(draft, "alert");
    }
}

/// The events of a trigger of the catalogue.
fn events(trigger: &str) -> Option<&'static [&'static str]> {
    Some(match trigger {
        "on-sync-failed" => &["Failed"],
        "on-health-degraded" => &["Unhealthy"],
        "on-deployed" | "on-sync-succeeded" => &["Applied"],
        "on-sync-status-unknown" => &["Failed", "Stale"],
        "" => &["AwaitingApproval", "Drifted", "Failed", "Stale", "Unhealthy"],
        _ => return None,
    })
}
