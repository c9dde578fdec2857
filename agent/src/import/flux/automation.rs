//! ImageUpdateAutomation with the ImagePolicies and ImageRepositories of its namespace: an ImageUpdate. Pure.

use serde_json::{Map, Value, json};

use super::super::fields::Fields;
use super::super::found::{Found, Index};
use super::super::note::{Advice, Level, Note, Notes};
use super::super::output::{Draft, Drafts};
use super::super::{shell, words};
use super::source::secret_here;
use super::{Flux, chart, metadata, source};

/// Maximum number of images of an ImageUpdate.
const IMAGES: usize = 200;

const ADVICE: &[Advice] = &[
    ("spec.interval", Level::NotNeeded, "the tags are listed at the interval of the ImageUpdate"),
    ("spec.update.strategy", Level::NotNeeded, "markers are the only strategy"),
    ("spec.git.push.refspec", Level::Missing, "one branch is pushed; name it in push.branch"),
    (
        "spec.git.push.options",
        Level::Missing,
        "push options are not sent; ask the forge for the same by pullRequest",
    ),
    ("spec.git.commit.messageTemplateValues", Level::Missing, "write the values into commit.message"),
];

const POLICY: &[Advice] =
    &[("spec.interval", Level::NotNeeded, "digests are requested at the interval of the ImageUpdate")];

const REPOSITORY: &[Advice] = &[
    ("spec.timeout", Level::NotNeeded, "requests to registries have a time limit"),
    ("spec.accessFrom", Level::NotNeeded, "the image is named in the ImageUpdate"),
    (
        "spec.serviceAccountName",
        Level::Missing,
        "name the Secret of the ServiceAccount in secretRef of the image",
    ),
    ("spec.proxySecretRef", Level::Missing, "set HTTPS_PROXY in the environment of the agent"),
    ("spec.suspend", Level::Missing, "suspend the ImageUpdate"),
    ("spec.interval", Level::NotNeeded, "the tags are listed at the interval of the ImageUpdate"),
];

/// The label selector of an automation, as far as it is plain: the labels that a policy must have.
fn selects(automation: &Found, policy: &Found) -> bool {
    let selector = automation.value.pointer("/spec/policySelector");
    let labels = selector.and_then(|selector| selector.get("matchLabels")).and_then(Value::as_object);
    labels.into_iter().flatten().all(|(name, value)| policy.label(name) == value.as_str())
}

/// True if an automation of its namespace selects a policy.
pub fn is_used(index: &Index, policy: &Found) -> bool {
    index
        .of("ImageUpdateAutomation")
        .any(|automation| automation.namespace() == policy.namespace() && selects(automation, policy))
}

/// Makes an ImageUpdate.
pub fn import(flux: &Flux<'_>, found: &Found, drafts: &mut Drafts, all: &mut Vec<Note>) {
    let key = found.key();
    let spec = Fields::of(&found.value, "spec");
    let repository = source::referred(flux.index, &spec.below("sourceRef"), found.namespace(), None);
    let git = repository.and_then(|(repository, _)| Ok((repository, source::git(repository, all)?)));
    let (repository, git) = match git {
        Ok(git) => git,
        Err(why) => return Notes::about(&key, all).refused("spec.sourceRef", why),
    };
    let mut draft = Draft::new("ImageUpdate", found.namespace(), found.name(), &key);
    let mut notes = Notes::about(&key, all);
    metadata(found, &mut draft, &mut notes);
    draft.set("git.url", git.url.as_str());
    draft.set("git.secretRef.name", git.secret.as_deref());
    if let Some(interval) = spec.text("interval").and_then(words::interval) {
        draft.set("interval", interval);
    }
    let checkout = spec.below("git").below("checkout").below("ref").text("branch");
    let branch = checkout.map(str::to_owned).or_else(|| git.branch.clone());
    match &branch {
        Some(branch) => draft.set("git.branch", branch.as_str()),
        None => notes.changed(
            "spec.git.checkout",
            "the source follows no branch; main is read and written, set git.branch to another one",
        ),
    }
    if let Some(push) =
        spec.below("git").below("push").text("branch").filter(|push| Some(*push) != branch.as_deref())
    {
        draft.set("push.branch", push);
        notes.changed(
            "spec.git.push.branch",
            "the branch is never forced, and can have a pull request: set pullRequest",
        );
    }
    let path = spec.below("update").text("path").map(|path| path.trim_start_matches("./").trim_matches('/'));
    draft.set(
        "git.path",
        path.filter(|path| !path.is_empty() && *path != ".").map(|path| format!("./{path}")),
    );
    commit(&spec.below("git").below("commit"), &mut draft, &mut notes);
    if spec.flag("suspend") == Some(true) {
        draft.set("suspend.reason", "it was suspended in Flux");
    }
    let selector = spec.below("policySelector");
    selector.map("matchLabels");
    for unread in spec.unread(ADVICE) {
        notes.add(unread.level, unread.path, unread.text);
    }
    let policies = flux.index.of("ImagePolicy").filter(|policy| policy.namespace() == found.namespace());
    for policy in policies.filter(|policy| selects(found, policy)).take(IMAGES + 1) {
        image(flux, policy, &mut draft, all);
    }
    let count = draft.get("images").and_then(Value::as_array).map_or(0, Vec::len);
    if count == 0 || count > IMAGES {
        let text = format!(
            "it has {count} usable ImagePolicies in its namespace, and an ImageUpdate has 1 to {IMAGES} images"
        );
        return Notes::about(&key, all).refused("", text);
    }
    if let Some(secret) = &git.secret {
        secret_here(&draft, "git", (repository.namespace(), secret), all);
    }
    drafts.add(draft, "images");
}

fn commit(from: &Fields<'_>, draft: &mut Draft, notes: &mut Notes<'_>) {
    let author = from.below("author");
    if let Some(email) = author.text("email") {
        let name = author.text("name").unwrap_or("Holdfast");
        draft.set("commit.author", json!({"name": name, "email": email}));
    }
    if let Some(name) = from.below("signingKey").below("secretRef").text("name") {
        draft.set("commit.signing.secretRef.name", name);
    }
    if let Some(message) = from.text("messageTemplate") {
        if message.contains("{{") {
            notes.missing(
                from.path_of("messageTemplate"),
                "templates of Go are not read; write commit.message as a template of Jinja, or leave it out for a subject and a list of the changes",
            );
        } else {
            draft.set("commit.message", message);
        }
    }
}

/// Adds the image of a policy.
fn image(flux: &Flux<'_>, policy: &Found, draft: &mut Draft, all: &mut Vec<Note>) {
    let spec = Fields::of(&policy.value, "spec");
    let mut notes = Notes::about(policy.key(), all);
    let from = spec.below("imageRepositoryRef");
    let name = from.text("name").unwrap_or_default();
    let namespace = from.text("namespace").unwrap_or(policy.namespace());
    let Some(repository) = flux.index.get("ImageRepository", namespace, name) else {
        let text = format!(
            "the ImageRepository {namespace}/{name} is not among the imported objects; add it with -f"
        );
        return notes.refused("spec.imageRepositoryRef", text);
    };
    let Some(rule) = rule(&spec.below("policy")) else {
        return notes.refused("spec.policy", "it is none of semver, alphabetical and numerical");
    };
    let mut image = Map::new();
    image.insert("name".to_owned(), policy.name().into());
    image.insert("policy".to_owned(), rule);
    let filter = spec.below("filterTags");
    if let Some(pattern) = filter.text("pattern") {
        let mut ours = json!({"pattern": pattern});
        if let Some(extract) = filter.text("extract") {
            ours["extract"] = Value::from(extract);
        }
        image.insert("filterTags".to_owned(), ours);
    }
    if let Some(digest @ ("IfNotPresent" | "Always")) = spec.text("digestReflectionPolicy") {
        image.insert("digest".to_owned(), digest.into());
    }
    if spec.flag("suspend") == Some(true) {
        notes.missing(
            "spec.suspend",
            "one image is not suspended alone; suspend the ImageUpdate, or leave the image out",
        );
    }
    for unread in spec.unread(POLICY) {
        notes.add(unread.level, unread.path, unread.text);
    }
    drop(notes);
    if of_repository(repository, &mut image, draft, all) {
        draft.reads("ImageRepository", repository.namespace(), repository.name());
        draft.reads("ImagePolicy", policy.namespace(), policy.name());
        draft.push("images", Value::Object(image));
    }
}

/// The rule of a policy.
fn rule(from: &Fields<'_>) -> Option<Value> {
    if let Some(range) = from.below("semver").text("range") {
        return Some(json!({"semver": {"range": range}}));
    }
    ["alphabetical", "numerical"].into_iter().find(|field| from.take(field).is_some()).map(|field| {
        let order = if from.below(field).text("order") == Some("desc") { "Descending" } else { "Ascending" };
        json!({field: {"order": order}})
    })
}

/// Sets what the ImageRepository says. Returns false if it names no image.
fn of_repository(found: &Found, image: &mut Map<String, Value>, draft: &Draft, all: &mut Vec<Note>) -> bool {
    let spec = Fields::of(&found.value, "spec");
    let mut notes = Notes::about(found.key(), all);
    let Some(name) = spec.text("image") else {
        notes.refused("spec.image", "it is missing");
        return false;
    };
    image.insert("repository".to_owned(), name.into());
    let mut secrets = Vec::new();
    for (field, ours) in [("secretRef", "secretRef"), ("certSecretRef", "certSecretRef")] {
        if let Some(secret) = spec.below(field).text("name") {
            image.insert(ours.to_owned(), json!({"name": secret}));
            secrets.push(secret);
        }
    }
    if spec.flag("insecure") == Some(true) {
        image.insert("insecure".to_owned(), true.into());
    }
    let exclude: Vec<Value> = spec.texts("exclusionList").into_iter().map(Value::from).collect();
    if !exclude.is_empty() {
        image.insert("exclude".to_owned(), exclude.into());
    }
    chart::cloud(&spec, &mut notes);
    for unread in spec.unread(REPOSITORY) {
        notes.add(unread.level, unread.path, unread.text);
    }
    if let Some(secret) =
        secrets.first().filter(|_| found.namespace() == draft.namespace && image.contains_key("secretRef"))
    {
        notes.action(
            "spec.secretRef",
            "the Secret must be of the type kubernetes.io/dockerconfigjson, as most are; check it",
            shell::command(&[
                "kubectl",
                "-n",
                found.namespace(),
                "get",
                "secret",
                secret,
                "-o",
                "jsonpath={.type}",
            ]),
        );
    }
    drop(notes);
    for secret in secrets {
        secret_here(draft, "images", (found.namespace(), secret), all);
    }
    true
}
