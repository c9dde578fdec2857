//! Annotations of the image updater on Applications: an ImageUpdate. Pure.

use serde_json::{Map, Value, json};

use super::super::found::Found;
use super::super::note::{Note, Notes};
use super::super::output::{Draft, Drafts};
use super::super::shell;

const PREFIX: &str = "argocd-image-updater.argoproj.io/";

/// An image of the list: `alias=registry/name:constraint`.
struct Image<'t> {
    alias: Option<&'t str>,
    repository: &'t str,
    constraint: Option<&'t str>,
}

fn image(text: &str) -> Image<'_> {
    let (alias, rest) = text.split_once('=').map_or((None, text), |(alias, rest)| (Some(alias.trim()), rest));
    let rest = rest.trim();
    let at = rest.rfind(':').filter(|at| !rest[*at..].contains('/'));
    let (repository, constraint) = at.map_or((rest, None), |at| (&rest[..at], Some(&rest[at + 1..])));
    Image { alias, repository, constraint }
}

/// Makes an ImageUpdate.
pub fn import(found: &Found, drafts: &mut Drafts, all: &mut Vec<Note>) {
    let key = found.key();
    let note = |name: &str| found.annotation(&format!("{PREFIX}{name}"));
    let field = |name: &str| format!("metadata.annotations[{PREFIX}{name}]");
    let Some(list) = note("image-list") else { return };
    let sync = drafts
        .iter()
        .find(|draft| {
            draft.kind() == "Sync"
                && draft.from == key.to_string()
                && draft.get("render.helm.chart").is_none()
        })
        .cloned();
    let mut notes = Notes::about(&key, all);
    let Some(sync) = sync else {
        return notes.refused(
            field("image-list"),
            "no Sync of a Git repository is made of the Application, so there is no file to write to",
        );
    };
    let text = |draft: &Draft, path: &str| draft.get(path).and_then(Value::as_str).map(str::to_owned);
    let mut draft = Draft::new("ImageUpdate", found.namespace(), found.name(), &key);
    draft.set("git.url", text(&sync, "source.git.url"));
    draft.set("git.secretRef.name", text(&sync, "source.git.secretRef.name"));
    let folder = text(&sync, "path").unwrap_or_default();
    draft.set("git.path", Some(folder.clone()).filter(|path| !path.is_empty()));
    let branch = note("git-branch").map(|branch| branch.split_once(':').unwrap_or((branch, "")));
    let base = branch.map(|(base, _)| base).filter(|base| !base.is_empty()).map(str::to_owned);
    draft.set("git.branch", base.or_else(|| text(&sync, "source.git.ref.branch")));
    if let Some((_, push)) = branch.filter(|(_, push)| !push.is_empty()) {
        if push.contains("{{") {
            notes.missing(field("git-branch"), "the branch that is pushed to has one name; set push.branch, and pullRequest to get a pull request for it");
        } else {
            draft.set("push.branch", push);
        }
    }
    if let Some(url) = note("git-repository") {
        draft.set("git.url", super::super::words::without_password(url).0);
    }
    method(note("write-back-method"), &field("write-back-method"), &mut draft, &mut notes);
    let target = note("write-back-target");
    let is_kustomize = text(&sync, "render.type").as_deref() == Some("Kustomize")
        || target.is_some_and(|target| target.starts_with("kustomization"));
    for entry in list.split(',').map(str::trim).filter(|entry| !entry.is_empty()).take(200) {
        let image = image(entry);
        one(found, &image, Place { folder: &folder, target, is_kustomize }, &mut draft, &mut notes);
    }
    let known = ["image-list", "git-branch", "git-repository", "write-back-method", "write-back-target"];
    let aliases: Vec<String> = list
        .split(',')
        .filter_map(|entry| self::image(entry.trim()).alias.map(|alias| format!("{alias}.")))
        .collect();
    for (name, _) in found.annotations() {
        let Some(rest) = name.strip_prefix(PREFIX) else { continue };
        let is_read = known.contains(&rest)
            || aliases
                .iter()
                .any(|alias| rest.strip_prefix(alias.as_str()).is_some_and(|rest| READ.contains(&rest)));
        if !is_read {
            notes.missing(field(rest), "has no counterpart in an ImageUpdate");
        }
    }
    drop(notes);
    if draft.get("images").is_some() {
        drafts.add(draft, "images");
    }
}

/// Annotations of an image that are read.
const READ: [&str; 10] = [
    "update-strategy",
    "allow-tags",
    "ignore-tags",
    "pull-secret",
    "helm.image-name",
    "helm.image-tag",
    "helm.image-spec",
    "kustomize.image-name",
    "force-update",
    "platforms",
];

fn method(method: Option<&str>, field: &str, draft: &mut Draft, notes: &mut Notes<'_>) {
    match method.unwrap_or("argocd") {
        "argocd" => notes.changed(
            field,
            "versions were written to the Application, and not to Git; the ImageUpdate commits them, so the login must be allowed to push",
        ),
        other => {
            let secret = other.strip_prefix("git:secret:").map(|secret| secret.split_once('/').unwrap_or(("", secret)));
            if let Some((namespace, name)) = secret {
                let namespace = if namespace.is_empty() { draft.namespace.clone() } else { namespace.to_owned() };
                let ours = format!("{name}-holdfast");
                draft.set("git.secretRef.name", ours.as_str());
                notes.action(
                    field,
                    format!("make the Secret {ours} of {name}, with the keys that Holdfast reads"),
                    shell::convert_secret(
                        (&namespace, name),
                        (&draft.namespace, &ours),
                        &[("username", "username"), ("password", "password"), ("identity", "sshPrivateKey")],
                    ),
                );
            }
            notes.changed(
                field,
                "files .argocd-source-*.yaml are not read; write their parameters to the values or the kustomization, and remove them",
            );
        }
    }
}

/// Where an image is written.
#[derive(Clone, Copy)]
struct Place<'p> {
    folder: &'p str,
    target: Option<&'p str>,
    is_kustomize: bool,
}

fn one(found: &Found, image: &Image<'_>, place: Place<'_>, draft: &mut Draft, notes: &mut Notes<'_>) {
    let note = |name: &str| {
        let name = image.alias.map(|alias| format!("{PREFIX}{alias}.{name}"))?;
        found.annotation(&name)
    };
    let field =
        |name: &str| format!("metadata.annotations[{PREFIX}{}.{name}]", image.alias.unwrap_or_default());
    let last = image.repository.rsplit('/').next().unwrap_or(image.repository);
    let name = image.alias.unwrap_or(last).to_owned();
    let mut ours = Map::new();
    ours.insert("name".to_owned(), name.into());
    let repository = if image
        .repository
        .split('/')
        .next()
        .is_some_and(|host| host.contains(['.', ':']) || host == "localhost")
    {
        image.repository.to_owned()
    } else if image.repository.contains('/') {
        format!("docker.io/{}", image.repository)
    } else {
        format!("docker.io/library/{}", image.repository)
    };
    ours.insert("repository".to_owned(), repository.into());
    let strategy = note("update-strategy").unwrap_or("semver");
    let policy = match strategy {
        "semver" => json!({"semver": {"range": image.constraint.unwrap_or("*")}}),
        "latest" | "newest-build" => json!({"newest": {}}),
        "name" | "alphabetical" => json!({"alphabetical": {}}),
        "digest" => {
            // One tag, whose digest is followed.
            let tag = image.constraint.unwrap_or("latest");
            ours.insert("filterTags".to_owned(), json!({"pattern": format!("^{}$", regex::escape(tag))}));
            ours.insert("digest".to_owned(), "Always".into());
            json!({"alphabetical": {}})
        }
        other => {
            return notes.refused(
                field("update-strategy"),
                format!("{other} is no strategy that is known; choose a policy of an ImageUpdate"),
            );
        }
    };
    ours.insert("policy".to_owned(), policy);
    match note("allow-tags") {
        None | Some("any") => {}
        Some(allow) => match allow.strip_prefix("regexp:") {
            Some(pattern) => drop(ours.insert("filterTags".to_owned(), json!({"pattern": pattern}))),
            None => notes
                .missing(field("allow-tags"), format!("{allow} is not read; write a pattern to filterTags")),
        },
    }
    if let Some(ignored) = note("ignore-tags") {
        let globs = ignored.split(',').map(str::trim).filter(|glob| !glob.is_empty());
        let patterns: Vec<String> = globs.map(pattern).collect();
        ours.insert("exclude".to_owned(), patterns.into());
    }
    if let Some(secret) = note("pull-secret") {
        match secret.strip_prefix("pullsecret:").and_then(|secret| secret.split_once('/')) {
            Some((namespace, secret)) => {
                ours.insert("secretRef".to_owned(), json!({"name": secret}));
                if namespace != draft.namespace {
                    let command = shell::copy_secret((namespace, secret), &draft.namespace);
                    notes.action(field("pull-secret"), format!("it needs the Secret {secret} in its own namespace"), command);
                }
            }
            None => notes.missing(field("pull-secret"), "only pull secrets are read; make a Secret of the type kubernetes.io/dockerconfigjson, and name it in secretRef of the image"),
        }
    }
    for (name, text) in [
        ("force-update", "what is written is what the files have"),
        ("platforms", "images of all platforms count"),
    ] {
        if note(name).is_some() {
            notes.not_needed(field(name), text);
        }
    }
    let names = [
        note("helm.image-name"),
        note("helm.image-tag"),
        note("helm.image-spec"),
        note("kustomize.image-name"),
    ];
    targets(image, names, place, &mut ours, notes, &field("helm.image-tag"));
    draft.push("images", Value::Object(ours));
}

/// Sets the scalars that are written.
fn targets(
    image: &Image<'_>,
    [name, tag, spec, kustomize]: [Option<&str>; 4],
    place: Place<'_>,
    ours: &mut Map<String, Value>,
    notes: &mut Notes<'_>,
    field: &str,
) {
    let relative = |path: &str| path.trim_start_matches("./").to_owned();
    if place.is_kustomize {
        let folder = place.target.and_then(|target| target.strip_prefix("kustomization:")).map(relative);
        let file = folder.map_or_else(
            || "kustomization.yaml".to_owned(),
            |folder| format!("{}/kustomization.yaml", folder.trim_end_matches('/')),
        );
        let mut target = json!({"kustomization": file});
        target["name"] = Value::from(kustomize.unwrap_or(image.repository));
        ours.insert("targets".to_owned(), json!([target]));
        return;
    }
    let file = place.target.and_then(|target| target.strip_prefix("helmvalues:")).map(relative);
    if let (Some(file), true) = (file, name.is_some() || tag.is_some() || spec.is_some()) {
        let pointer = |path: &str| {
            path.split('.').fold(String::new(), |mut pointer, name| {
                holdfast_diff::pointer::push(&mut pointer, name);
                pointer
            })
        };
        let parts = [(spec, "Image"), (name, "Name"), (tag, "Tag")];
        let targets: Vec<Value> = parts
            .into_iter()
            .filter_map(|(path, part)| Some(json!({"file": file, "path": pointer(path?), "part": part})))
            .collect();
        ours.insert("targets".to_owned(), targets.into());
        return;
    }
    notes.missing(
        field,
        format!(
            "it is not known which file in {} has the image {}; mark the scalar with # {{\"$imagepolicy\": \"NAMESPACE:NAME\"}} (:tag after it for a tag), or name it in targets",
            if place.folder.is_empty() { "the repository" } else { place.folder },
            image.repository
        ),
    );
}

/// A glob as a regular expression.
fn pattern(glob: &str) -> String {
    format!("^{}$", regex::escape(glob).replace(r"\*", ".*").replace(r"\?", "."))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_image_has_an_alias_and_a_constraint() {
        let web = image("web=reg.test:5000/shop/web:~1.2");
        assert_eq!(
            (web.alias, web.repository, web.constraint),
            (Some("web"), "reg.test:5000/shop/web", Some("~1.2"))
        );
        let plain = image("reg.test:5000/web");
        assert_eq!((plain.alias, plain.repository, plain.constraint), (None, "reg.test:5000/web", None));
        assert_eq!(pattern("rc-*"), r"^rc\-.*$");
    }
}
