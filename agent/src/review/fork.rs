//! A Sync as it is previewed for a pull request of a fork: without what comes from Secrets. Pure.

use std::collections::BTreeSet;

use super::markdown::code;
use crate::api::{InputKind, Sync};

/// Secrets that a comment names.
const NAMED: usize = 20;

/// The Secrets that a preview was made without, each with its use.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Absent(BTreeSet<(&'static str, String)>);

impl Absent {
    fn add(&mut self, of: &'static str, secret: &str) {
        self.0.insert((of, secret.to_owned()));
    }

    /// A paragraph for the comment.
    pub fn text(&self) -> String {
        let begin = "\nThis is a pull request of a fork, so it is rendered without Secrets";
        if self.0.is_empty() {
            return format!("{begin}. The Syncs above use none to render.\n");
        }
        let named = self.0.iter().take(NAMED).map(|(of, secret)| format!("{of} of Secret {}", code(secret)));
        let named: Vec<String> = named.collect();
        let more = self.0.len().saturating_sub(NAMED);
        let more = if more > 0 { format!(", and {more} more") } else { String::new() };
        format!("{begin}. Absent are: {}{more}.\n", named.join(", "))
    }
}

/// Takes the Secrets out of how a Sync is rendered, and notes them: variables, values, keys of encrypted files, and logins of
/// charts and remote bases. The source keeps its login, since the refs of the repository itself are fetched with it.
#[must_use]
pub fn without_secrets(mut sync: Sync, absent: &mut Absent) -> Sync {
    let Some(render) = &mut sync.spec.render else { return sync };
    if let Some(decrypt) = render.decrypt.take() {
        absent.add("the keys", &decrypt.secret_ref.name);
    }
    if let Some(substitute) = &mut render.substitute {
        let (secrets, kept) =
            std::mem::take(&mut substitute.from).into_iter().partition(|from| from.kind == InputKind::Secret);
        substitute.from = kept;
        let secrets: Vec<_> = secrets;
        secrets.iter().for_each(|from| absent.add("the variables", &from.name));
    }
    if let Some(kustomize) = &mut render.kustomize {
        kustomize.remotes.drain(..).for_each(|remote| absent.add("the login", &remote.secret_ref.name));
    }
    if let Some(helm) = &mut render.helm {
        let (secrets, kept) = std::mem::take(&mut helm.values_from)
            .into_iter()
            .partition(|from| from.kind == Some(InputKind::Secret));
        helm.values_from = kept;
        let secrets: Vec<_> = secrets;
        secrets.iter().for_each(|from| absent.add("the values", from.name.as_deref().unwrap_or_default()));
        if let Some(secret) = helm.chart.as_mut().and_then(|chart| chart.secret_ref.take()) {
            absent.add("the login", &secret.name);
        }
    }
    sync
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn nothing_of_a_secret_is_left_but_the_login_of_the_source() {
        let sync: Sync = serde_json::from_value(json!({
            "apiVersion": "holdfast.dev/v1alpha1", "kind": "Sync", "metadata": {"name": "shop", "namespace": "team"},
            "spec": {
                "source": {"git": {"url": "https://git.example.com/a/b", "secretRef": {"name": "login"}}},
                "render": {
                    "decrypt": {"secretRef": {"name": "keys"}},
                    "substitute": {"vars": {"A": "b"}, "from": [
                        {"kind": "Secret", "name": "secret-vars"}, {"kind": "ConfigMap", "name": "vars"}]},
                    "kustomize": {"remotes": [{"url": "https://git.example.com/c", "secretRef": {"name": "remote"}}]},
                    "helm": {
                        "valuesFrom": [{"kind": "Secret", "name": "values"}, {"kind": "ConfigMap", "name": "more"}],
                        "chart": {"repository": "oci://r.example.com", "name": "c", "version": "1.0.0", "secretRef": {"name": "pull"}}
                    }
                }
            }
        }))
        .expect("a Sync");
        let mut absent = Absent::default();
        let text = serde_json::to_string(&without_secrets(sync, &mut absent).spec).expect("JSON");
        for named in [
            "the keys of Secret `keys`",
            "the variables of Secret `secret-vars`",
            "the values of Secret `values`",
            "the login of Secret `remote`",
            "the login of Secret `pull`",
        ] {
            assert!(absent.text().contains(named), "{}", absent.text());
        }
        assert!(!absent.text().contains("`vars`") && !absent.text().contains("`login`"), "{}", absent.text());
        for gone in ["keys", "secret-vars", "remote\"", "values\"", "pull"] {
            assert!(!text.contains(gone), "{gone}: {text}");
        }
        for kept in ["login", "\"vars\"", "\"more\"", "oci://r.example.com"] {
            assert!(text.contains(kept), "{kept}: {text}");
        }
    }
}
