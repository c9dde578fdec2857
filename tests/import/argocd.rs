//! The handover from Argo CD: an Application that an ApplicationSet made, as their controllers leave it. I/O: processes, network.

use anyhow::{Context as _, ensure};
use holdfast_tests::shared::run;
use serde_json::{Value, json};

use super::flux::agent;
use super::kit::{
    Import, alive, apply_as, define, is_gone, lives, no_marks, nothing_was_deleted, only_adopts,
};

const NAMESPACE: &str = "import-argocd";

/// The definitions of Argo CD that are used here.
const DEFINITIONS: &[(&str, &str, &str, &str)] = &[
    ("argoproj.io", "v1alpha1", "Application", "applications"),
    ("argoproj.io", "v1alpha1", "ApplicationSet", "applicationsets"),
    ("argoproj.io", "v1alpha1", "AppProject", "appprojects"),
];

const WEB: &str = "apiVersion: apps/v1
kind: Deployment
metadata: {name: web, labels: {tier: front}}
spec:
  replicas: 0
  selector: {matchLabels: {app: web}}
  template: {metadata: {labels: {app: web}}, spec: {containers: [{name: main, image: example.com/main:1}]}}
---
apiVersion: v1
kind: ConfigMap
metadata: {name: settings}
data: {key: one}
---
apiVersion: v1
kind: Service
metadata: {name: web}
spec: {selector: {app: web}, ports: [{port: 80}]}
";

#[test]
fn objects_of_argo_cd_are_handed_over_without_a_deletion_or_a_restart() -> anyhow::Result<()> {
    run(agent(), |shared| async move {
        define(shared, DEFINITIONS).await?;
        let cluster = &shared.env.cluster;
        shared.env.namespace(NAMESPACE).await?;
        let repository = shared.env.forge.repository("import-argocd").await?;
        repository.commit(&[("web/web.yaml", WEB), ("web/below/not.yaml", "not: an object\n")], "Begin")?;
        // As the application controller leaves them: by client-side apply, with the id and the label of the Application.
        for document in WEB.split("---\n") {
            let kind = if document.contains("kind: Deployment") { "apps/Deployment" } else { "/ConfigMap" };
            let id = format!("web:{kind}:{NAMESPACE}/web");
            let marks = format!(
                "metadata: {{annotations: {{argocd.argoproj.io/tracking-id: \"{id}\"}}, labels: {{app.kubernetes.io/instance: web}}, "
            );
            let applied = document.replacen("metadata: {", &marks, 1).replace(
                "{app.kubernetes.io/instance: web}, name: web, labels: {tier: front}",
                "{app.kubernetes.io/instance: web, tier: front}, name: web",
            );
            apply_as(
                shared,
                &["-n", NAMESPACE, "apply", "--field-manager=argocd-controller", "-f", "-"],
                &applied,
            )
            .await?;
        }
        // The login of the repository, as Argo CD stores it.
        let text = cluster.must(&["-n", NAMESPACE, "get", "secret", "git", "-o", "json"]).await?;
        let git: Value = serde_json::from_str(&text)?;
        let mut data = git["data"].clone();
        for field in ["username", "password"] {
            ensure!(data[field].is_string(), "{git:#}");
        }
        data["caData"] = data["ca.crt"].take();
        let login = json!({"apiVersion": "v1", "kind": "Secret",
            "metadata": {"name": "repo-config", "labels": {"argocd.argoproj.io/secret-type": "repository"}},
            "data": data, "stringData": {"type": "git", "url": repository.https_url}});
        apply_as(
            shared,
            &["-n", NAMESPACE, "create", "-f", "-"],
            &login.to_string().replace("\"ca.crt\":null,", ""),
        )
        .await?;
        let spec = json!({"project": "default", "destination": {"server": "https://kubernetes.default.svc", "namespace": NAMESPACE},
            "source": {"repoURL": repository.https_url, "path": "web", "targetRevision": "main", "directory": {"recurse": false}},
            "syncPolicy": {"automated": {"prune": true, "selfHeal": true}}});
        let set = json!({"apiVersion": "argoproj.io/v1alpha1", "kind": "ApplicationSet", "metadata": {"name": "set"},
            "spec": {"generators": [{"clusters": {}}], "template": {"metadata": {"name": "web"}, "spec": spec}}});
        apply_as(shared, &["-n", NAMESPACE, "create", "-f", "-"], &set.to_string()).await?;
        let uid = cluster
            .must(&["-n", NAMESPACE, "get", "applicationset", "set", "-o", "jsonpath={.metadata.uid}"])
            .await?;
        let application = json!({"apiVersion": "argoproj.io/v1alpha1", "kind": "Application", "metadata": {"name": "web",
            "finalizers": ["resources-finalizer.argocd.argoproj.io"],
            "ownerReferences": [{"apiVersion": "argoproj.io/v1alpha1", "kind": "ApplicationSet", "name": "set", "uid": uid,
                "controller": true, "blockOwnerDeletion": true}]}, "spec": spec});
        apply_as(shared, &["-n", NAMESPACE, "create", "-f", "-"], &application.to_string()).await?;
        let before = alive(shared, NAMESPACE, 4).await?;

        let import = Import::of_cluster(shared, "argocd", NAMESPACE).await?;
        ensure!(import.resources.len() == 1, "{:#?}", import.resources);
        import.step(shared, "Apply the resources, and change nothing").await?;
        // What the report says about the login.
        let convert =
            import.notes.iter().find(|note| note["level"] == "Action").context("the login is converted")?;
        ensure!(convert["command"].as_str().is_some_and(|command| command.contains("jq")), "{convert}");
        let text = json!({"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "repo-config-holdfast"}, "data": git["data"]});
        apply_as(shared, &["-n", NAMESPACE, "create", "-f", "-"], &text.to_string()).await?;
        only_adopts(shared, NAMESPACE, &["web"]).await?;
        import.step(shared, "Compare").await?;
        import.step(shared, "Stop Argo CD").await?;
        import.step(shared, "Hand over").await?;
        shared.env.ready(NAMESPACE, "web", None).await?;
        ensure!(
            lives(shared, NAMESPACE).await? == before,
            "{:#?}\n{before:#?}",
            lives(shared, NAMESPACE).await?
        );
        import.step(shared, "Verify").await?;
        no_marks(
            shared,
            NAMESPACE,
            &["argocd.argoproj.io", "app.kubernetes.io/instance", "last-applied-configuration"],
        )
        .await?;
        import.step(shared, "Take the finalizers off").await?;
        import.step(shared, "Remove the objects of Argo CD").await?;
        for object in ["applicationset/set", "application/web"] {
            is_gone(shared, NAMESPACE, object).await?;
        }
        import.step(shared, "Let Holdfast act").await?;
        shared.env.ready(NAMESPACE, "web", None).await?;
        ensure!(lives(shared, NAMESPACE).await? == before);
        nothing_was_deleted(shared, NAMESPACE)
    })
}
