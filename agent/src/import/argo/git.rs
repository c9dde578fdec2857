//! The repository of an Application: its URL, what it follows, and the Secret that Argo CD has for it. Pure.

use serde_json::{Value, json};

use super::super::found::{Found, Index};
use super::super::note::{Note, Notes};
use super::super::output::Draft;
use super::super::{shell, words};
use super::{Argo, SECRET_TYPE};

/// Keys of a login, ours and those of Argo CD.
const KEYS: [(&str, &str); 7] = [
    ("username", "username"),
    ("password", "password"),
    ("bearerToken", "bearerToken"),
    ("identity", "sshPrivateKey"),
    ("tls.crt", "tlsClientCertData"),
    ("tls.key", "tlsClientCertKey"),
    ("ca.crt", "caData"),
];

/// Sets the Git source.
pub fn source(argo: &Argo<'_>, url: &str, revision: Option<&str>, draft: &mut Draft, all: &mut Vec<Note>) {
    let (plain, had_password) = words::without_password(url);
    let mut notes = Notes::about(&draft.from, all);
    if had_password {
        words::password_note(&mut notes, "spec.source.repoURL");
    }
    draft.set("source.git.url", plain);
    let reference = reference(revision.unwrap_or("HEAD"), &mut notes);
    draft.set("source.git.ref", reference);
    draft.set("interval", "3m");
    if let Some(secret) = login(argo.index, url) {
        let name = secret_of(secret, draft, "source.git.secretRef", all);
        draft.set("source.git.secretRef.name", name);
    }
}

/// What a Sync follows, as `source.git.ref`.
pub fn reference(revision: &str, notes: &mut Notes<'_>) -> Value {
    let is_hex = revision.bytes().all(|letter| letter.is_ascii_hexdigit());
    if revision.is_empty() || revision == "HEAD" {
        notes.changed(
            "spec.source.targetRevision",
            "the Sync follows the branch main, and not the default branch of the repository; set source.git.ref.branch if that is another one",
        );
        return json!({"branch": "main"});
    }
    if revision.len() == 40 && is_hex {
        return json!({"commit": revision.to_ascii_lowercase()});
    }
    if let Some(branch) = revision.strip_prefix("refs/heads/") {
        return json!({"branch": branch});
    }
    if let Some(tag) = revision.strip_prefix("refs/tags/") {
        return json!({"tag": tag});
    }
    if revision.starts_with("refs/") {
        return json!({"name": revision});
    }
    if is_range(revision) {
        return json!({"semver": revision});
    }
    if is_version(revision) {
        notes.changed(
            "spec.source.targetRevision",
            "it has the form of a version and is taken for a tag; set source.git.ref.branch if it is a branch",
        );
        return json!({"tag": revision});
    }
    if revision.len() >= 7 && is_hex && revision.bytes().any(|letter| letter.is_ascii_digit()) {
        notes.changed(
            "spec.source.targetRevision",
            "it may be a part of the id of a commit, and is taken for a branch; write all 40 digits to source.git.ref.commit",
        );
    }
    json!({"branch": revision})
}

fn is_version(text: &str) -> bool {
    let text = text.strip_prefix('v').unwrap_or(text);
    let (numbers, _) = text.split_once(['-', '+']).unwrap_or((text, ""));
    let parts: Vec<&str> = numbers.split('.').collect();
    let is_number = |part: &&str| !part.is_empty() && part.bytes().all(|digit| digit.is_ascii_digit());
    (2..=3).contains(&parts.len()) && parts.iter().all(is_number)
}

/// True for a range of versions, such as `>=1.2`, `^1`, `1.x` and `*`.
pub fn is_range(text: &str) -> bool {
    let has_operator = text.starts_with(['^', '~', '<', '>', '=', '!']) || text.contains("||");
    let mut parts = text.strip_prefix('v').unwrap_or(text).split('.');
    let is_wild = |part: &str| matches!(part, "*" | "x" | "X");
    let wild = parts.clone().any(is_wild)
        && parts.all(|part| is_wild(part) || part.bytes().all(|digit| digit.is_ascii_digit()));
    has_operator || wild
}

/// The Secret that Argo CD uses for a repository: that with the same URL, or else the template with the longest beginning.
pub fn login<'i>(index: &'i Index, url: &str) -> Option<&'i Found> {
    let same = |text: &str| {
        let text = words::without_password(text).0;
        text.trim_end_matches('/').trim_end_matches(".git").to_ascii_lowercase()
    };
    let wanted = same(url);
    let of =
        |kind: &'static str| index.of("Secret").filter(move |secret| secret.label(SECRET_TYPE) == Some(kind));
    let exact = of("repository").find(|secret| same(secret.at("/stringData/url")) == wanted);
    let has_login =
        |secret: &&Found| KEYS.iter().any(|(_, theirs)| has(secret, theirs)) || has(secret, "githubAppID");
    let template = || {
        let templates = of("repo-creds").map(|secret| (same(secret.at("/stringData/url")), secret));
        let templates = templates.filter(|(url, _)| !url.is_empty() && wanted.starts_with(url.as_str()));
        templates.max_by_key(|(url, _)| url.len()).map(|(_, secret)| secret)
    };
    exact.filter(has_login).or_else(template)
}

fn has(secret: &Found, key: &str) -> bool {
    ["stringData", "data"]
        .iter()
        .any(|field| secret.value.get(field).is_some_and(|data| data.get(key).is_some()))
}

/// Names the Secret of a resource for one of Argo CD, and says how it is made.
pub fn secret_of(secret: &Found, draft: &Draft, field: &str, all: &mut Vec<Note>) -> String {
    let mut notes = Notes::about(&draft.from, all);
    if has(secret, "githubAppID") {
        notes.missing(
            field,
            format!("the Secret {} logs in as a GitHub App, and a Sync does not; make a Secret with username and password of that name", secret.name()),
        );
        return secret.name().to_owned();
    }
    let keys: Vec<(&str, &str)> = KEYS.iter().filter(|(_, theirs)| has(secret, theirs)).copied().collect();
    let is_same = keys.iter().all(|(ours, theirs)| ours == theirs) && secret.namespace() == draft.namespace;
    let is_ssh = has(secret, "sshPrivateKey");
    let name = if is_same { secret.name().to_owned() } else { format!("{}-holdfast", secret.name()) };
    if !is_same {
        notes.action(
            field,
            format!(
                "make the Secret {name} of the Secret {} of Argo CD, with the keys that Holdfast reads",
                secret.name()
            ),
            shell::convert_secret((secret.namespace(), secret.name()), (&draft.namespace, &name), &keys),
        );
    }
    if is_ssh {
        let hosts = shell::command(&[
            "kubectl",
            "-n",
            secret.namespace(),
            "get",
            "configmap",
            "argocd-ssh-known-hosts-cm",
            "-o",
            "json",
        ]);
        let patch =
            shell::command(&["kubectl", "-n", &draft.namespace, "patch", "secret", &name, "--type=merge"]);
        notes.action(
            field,
            "ssh needs the host keys of the server in the key known_hosts",
            format!(
                "{patch} -p \"$({hosts} | jq '{{stringData: {{known_hosts: .data.ssh_known_hosts}}}}')\""
            ),
        );
    }
    if secret.at("/stringData/insecure") == "true" {
        notes.missing(field, "certificates are verified in any case; write the certificate authority of the server to the key ca.crt");
    }
    name
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(revision: &str, expected: &Value, remarks: usize) {
        let mut all = Vec::new();
        assert_eq!(reference(revision, &mut Notes::about("x", &mut all)), *expected, "{revision}");
        assert_eq!(all.len(), remarks, "{revision}: {all:?}");
    }

    #[test]
    fn a_revision_is_a_branch_a_tag_a_range_or_a_commit() {
        check("HEAD", &json!({"branch": "main"}), 1);
        check("release-1.2", &json!({"branch": "release-1.2"}), 0);
        check("v1.2.3", &json!({"tag": "v1.2.3"}), 1);
        check("1.*", &json!({"semver": "1.*"}), 0);
        check(">=1.0.0 <2", &json!({"semver": ">=1.0.0 <2"}), 0);
        check("refs/heads/a/b", &json!({"branch": "a/b"}), 0);
        check("refs/pull/1/head", &json!({"name": "refs/pull/1/head"}), 0);
        check(&"a1".repeat(20), &json!({"commit": "a1".repeat(20)}), 0);
        check("a1b2c3d", &json!({"branch": "a1b2c3d"}), 1);
        check("next", &json!({"branch": "next"}), 0);
    }
}
