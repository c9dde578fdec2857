//! A Sync as it is previewed for a pull request of a fork: without what comes from Secrets. Pure.

use crate::api::{InputKind, Sync};

/// Takes the Secrets out of how a Sync is rendered: variables, values, keys of encrypted files, and logins of charts and remote
/// bases. The source keeps its login, since the refs of the repository itself are fetched with it.
#[must_use]
pub fn without_secrets(mut sync: Sync) -> Sync {
    let Some(render) = &mut sync.spec.render else { return sync };
    render.decrypt = None;
    if let Some(substitute) = &mut render.substitute {
        substitute.from.retain(|from| from.kind != InputKind::Secret);
    }
    if let Some(kustomize) = &mut render.kustomize {
        kustomize.remotes.clear();
    }
    if let Some(helm) = &mut render.helm {
        helm.values_from.retain(|from| from.kind != Some(InputKind::Secret));
        if let Some(chart) = &mut helm.chart {
            chart.secret_ref = None;
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
        let text = serde_json::to_string(&without_secrets(sync).spec).expect("JSON");
        for gone in ["keys", "secret-vars", "remote\"", "values\"", "pull"] {
            assert!(!text.contains(gone), "{gone}: {text}");
        }
        for kept in ["login", "\"vars\"", "\"more\"", "oci://r.example.com"] {
            assert!(text.contains(kept), "{kept}: {text}");
        }
    }
}
