//! Alert and Provider: Alerts, or a Repository for a provider that is a forge. Pure.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::json;

use super::super::fields::Fields;
use super::super::found::Found;
use super::super::note::{Advice, Level, Note, Notes};
use super::super::output::{Draft, Drafts};
use super::super::{shell, words};
use super::source::secret_here;
use super::{Flux, metadata};

const ADVICE: &[Advice] = &[
    ("spec.inclusionList", Level::Missing, "events are selected by their kind: set on"),
    ("spec.exclusionList", Level::Missing, "events are selected by their kind: set on"),
    (
        "spec.summary",
        Level::Missing,
        "the text is that of the event, with the cluster; add yours in the receiver",
    ),
    (
        "spec.eventMetadata",
        Level::Missing,
        "the payload has cluster, namespace, name and revision; add yours in the receiver",
    ),
    ("spec.suspend", Level::Missing, "an Alert is not suspended; delete it"),
];

const PROVIDER: &[Advice] = &[
    ("spec.interval", Level::NotNeeded, "a Secret is watched"),
    ("spec.timeout", Level::NotNeeded, "requests to receivers have a time limit"),
    ("spec.username", Level::Missing, "the name is that of the app or webhook"),
    ("spec.channel", Level::Missing, "the channel is a key of the Secret, or belongs to the webhook"),
    ("spec.proxy", Level::Missing, "set HTTPS_PROXY in the environment of the agent"),
    ("spec.proxySecretRef", Level::Missing, "set HTTPS_PROXY in the environment of the agent"),
    (
        "spec.certSecretRef",
        Level::Missing,
        "the certificate authorities of the agent count; add yours to SSL_CERT_FILE of the agent",
    ),
    ("spec.suspend", Level::Missing, "an Alert is not suspended; delete it"),
];

/// What an Alert selects: a namespace, and labels. The names of each come beside it; `*` is all.
type Selections = BTreeMap<(String, BTreeMap<String, String>), BTreeSet<String>>;

/// Makes the counterparts of an Alert.
pub fn import(flux: &Flux<'_>, found: &Found, drafts: &mut Drafts, all: &mut Vec<Note>) {
    let key = found.key();
    let spec = Fields::of(&found.value, "spec");
    let name = spec.below("providerRef").text("name").unwrap_or_default();
    let Some(provider) = flux.index.get("Provider", found.namespace(), name) else {
        let text = format!(
            "the Provider {}/{name} is not among the imported objects; add it with -f",
            found.namespace()
        );
        return Notes::about(&key, all).refused("spec.providerRef", text);
    };
    let mut notes = Notes::about(&key, all);
    let (selections, images) = selections(flux, found, &spec, drafts, &mut notes);
    let everything = spec.text("eventSeverity") != Some("error");
    for unread in spec.unread(ADVICE) {
        notes.add(unread.level, unread.path, unread.text);
    }
    if forge(provider, found, drafts, all) {
        return;
    }
    for ((namespace, labels), names) in selections {
        let mut draft = Draft::new("Alert", &namespace, found.name(), &key);
        metadata(found, &mut draft, &mut Notes::about(&key, all));
        draft.set("syncs.matchLabels", json!(labels));
        if !names.contains("*") {
            draft.set("syncs.names", names.into_iter().collect::<Vec<_>>());
        }
        if everything {
            let mut on = vec!["Drifted", "Failed", "Unhealthy", "AwaitingApproval", "Stale", "Applied"];
            on.extend(images.then_some("ImageUpdated"));
            draft.set("on", on);
        }
        if let Err((field, why)) = receiver(provider, &mut draft, all) {
            return Notes::about(provider.key(), all).refused(field, why);
        }
        drafts.add(draft, "alert");
    }
}

/// What an Alert selects, by namespace, and whether images are among it.
fn selections(
    flux: &Flux<'_>,
    found: &Found,
    spec: &Fields<'_>,
    drafts: &Drafts,
    notes: &mut Notes<'_>,
) -> (Selections, bool) {
    let mut selections = Selections::new();
    let mut images = false;
    for source in spec.items("eventSources") {
        let kind = source.text("kind").unwrap_or_default();
        let name = source.text("name").unwrap_or("*");
        let namespace = source.text("namespace").unwrap_or(found.namespace());
        let labels = source.map("matchLabels");
        let labels: BTreeMap<String, String> = labels
            .iter()
            .filter_map(|(name, value)| Some((name.clone(), value.as_str()?.to_owned())))
            .collect();
        match kind {
            "Kustomization" | "HelmRelease" => {}
            "ImageUpdateAutomation" | "ImagePolicy" | "ImageRepository" => images = true,
            _ => {
                notes.not_needed(
                    source.path(),
                    "what fails at a source is a failure of each Sync that reads it",
                );
                continue;
            }
        }
        if namespace == "*" {
            notes.missing(
                source.path_of("namespace"),
                "an Alert is about its own namespace; make one in each",
            );
            continue;
        }
        if kind.starts_with("Image") && kind != "ImageUpdateAutomation" {
            selections.entry((namespace.to_owned(), BTreeMap::new())).or_default().insert("*".to_owned());
            continue;
        }
        // The resource can have another name than what it is made from.
        let from = super::Key::new(kind, namespace, name).to_string();
        let ours = drafts.iter().find(|draft| draft.from == from).map(|draft| draft.name.clone());
        let is_known = name == "*" || ours.is_some() || flux.index.get(kind, namespace, name).is_none();
        if !is_known {
            notes.missing(source.path(), format!("{from} is not imported"));
            continue;
        }
        let name = ours.unwrap_or_else(|| name.to_owned());
        selections.entry((namespace.to_owned(), labels)).or_default().insert(name);
    }
    (selections, images)
}

type Refusal = (&'static str, String);

/// Sets the receiver.
fn receiver(provider: &Found, draft: &mut Draft, all: &mut Vec<Note>) -> Result<(), Refusal> {
    let spec = Fields::of(&provider.value, "spec");
    let kind = spec.text("type").unwrap_or_default();
    let address = spec.text("address");
    let secret = spec.below("secretRef").text("name");
    let mut notes = Notes::about(provider.key(), all);
    match kind {
        "slack" => slack(provider, &spec, secret, draft, &mut notes),
        "alertmanager" => {
            let Some(address) = address else {
                let text =
                    "the address is in a Secret; name it in receiver.alertmanager.url of an Alert yourself";
                return Err(("spec.secretRef", text.to_owned()));
            };
            let url = words::without_password(address).0;
            let url = url.trim_end_matches('/').trim_end_matches("/api/v2/alerts");
            draft.set("receiver.alertmanager.url", url);
        }
        "generic" | "generic-hmac" => {
            let Some(address) = address else {
                let text = "the address is in a Secret; name it in receiver.webhook.url of an Alert yourself";
                return Err(("spec.secretRef", text.to_owned()));
            };
            let (url, had_password) = words::without_password(address);
            if had_password {
                words::password_note(&mut notes, "spec.address");
            }
            draft.set("receiver.webhook.url", url);
            draft.set("receiver.webhook.secretRef.name", secret);
            notes.changed(
                "spec.type",
                "the body has the form of Holdfast, and is signed with the key token in the header X-Signature-256",
            );
        }
        other => {
            let text = format!(
                "there is no receiver of the type {other}; send the events to an Alertmanager or a webhook that hands them on"
            );
            return Err(("spec.type", text));
        }
    }
    for unread in spec.unread(PROVIDER) {
        notes.add(unread.level, unread.path, unread.text);
    }
    drop(notes);
    if let Some(secret) = secret.filter(|_| kind != "slack") {
        secret_here(draft, "receiver", (provider.namespace(), secret), all);
    }
    Ok(())
}

/// A channel of Slack, whose Secret has other keys: the address is in the Secret or in the Provider.
fn slack(
    provider: &Found,
    spec: &Fields<'_>,
    secret: Option<&str>,
    draft: &mut Draft,
    notes: &mut Notes<'_>,
) {
    let name = format!("{}-holdfast", provider.name());
    let address = spec.text("address").unwrap_or_default();
    let channel = spec.text("channel");
    let (namespace, to) = (provider.namespace(), draft.namespace.clone());
    let command = match secret {
        // With an app, the address is that of the API, and the Secret has its token.
        Some(secret) if address.contains("slack.com/api") => {
            let keys = shell::convert_secret((namespace, secret), (&to, &name), &[("token", "token")]);
            let channel = json!({"stringData": {"channel": channel.unwrap_or_default()}});
            format!("{keys} && {}", shell::patch(&to, "secret", &name, &channel))
        }
        Some(secret) => shell::convert_secret((namespace, secret), (&to, &name), &[("url", "address")]),
        None => shell::secret_from_field(
            &to,
            &name,
            "url",
            &["-n", namespace, "provider.notification.toolkit.fluxcd.io", provider.name()],
            ".spec.address",
        ),
    };
    draft.set("receiver.slack.secretRef.name", name.as_str());
    let text = "the receiver of Slack has a Secret with the key url, or token and channel";
    notes.action("spec.secretRef", text, command);
}

/// Makes a Repository of a provider that is a forge: statuses of commits. Returns false for other providers.
fn forge(provider: &Found, alert: &Found, drafts: &mut Drafts, all: &mut Vec<Note>) -> bool {
    let spec = Fields::of(&provider.value, "spec");
    let kind = match spec.text("type") {
        Some("github") => "GitHub",
        Some("gitlab") => "GitLab",
        Some("gitea") => "Gitea",
        _ => return false,
    };
    let mut notes = Notes::about(provider.key(), all);
    let (Some(address), Some(secret)) = (spec.text("address"), spec.below("secretRef").text("name")) else {
        notes.refused("spec.address", "a Repository needs a URL and a Secret with the key token");
        return true;
    };
    let mut draft = Draft::new("Repository", provider.namespace(), provider.name(), provider.key());
    draft.set("url", words::without_password(address).0);
    draft.set("provider", kind);
    draft.set("secretRef.name", secret);
    notes.changed(
        "spec.type",
        "commit statuses are written by a Repository, for all Syncs of its namespace with this source; it also comments on pull requests (pullRequests)",
    );
    for unread in spec.unread(PROVIDER) {
        notes.add(unread.level, unread.path, unread.text);
    }
    drop(notes);
    if drafts.get("Repository", provider.namespace(), provider.name()).is_none() {
        drafts.add(draft, "repository");
    }
    Notes::about(alert.key(), all)
        .not_needed("spec.eventSources", "a Repository reports all Syncs with its source");
    true
}
