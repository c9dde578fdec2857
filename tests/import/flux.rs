//! The handover from Flux: a Kustomization and a HelmRelease, as their controllers leave them. I/O: processes, network.

use std::sync::LazyLock;

use anyhow::ensure;
use holdfast_tests::forge::Repository;
use holdfast_tests::shared::{Shared, run};
use holdfast_tests::tools;
use serde_json::{Value, json};

use super::kit::{
    Import, alive, apply_as, define, is_gone, lives, no_marks, nothing_was_deleted, only_adopts,
};

const NAMESPACE: &str = "import-flux";

/// The definitions of Flux that are used here.
const DEFINITIONS: &[(&str, &str, &str, &str)] = &[
    ("source.toolkit.fluxcd.io", "v1", "GitRepository", "gitrepositories"),
    ("kustomize.toolkit.fluxcd.io", "v1", "Kustomization", "kustomizations"),
    ("helm.toolkit.fluxcd.io", "v2", "HelmRelease", "helmreleases"),
];

/// The arguments of the agent that all tests of this binary share.
pub fn agent() -> &'static [&'static str] {
    static AGENT: LazyLock<Vec<&'static str>> = LazyLock::new(|| {
        let helm = tools::helm().expect("Helm is built from its module");
        let helm: &'static str = Box::leak(helm.display().to_string().into_boxed_str());
        vec!["--helm", helm]
    });
    &AGENT
}

fn deployment(name: &str, labels: &Value) -> Value {
    json!({"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": name, "labels": labels}, "spec": {
        "replicas": 0, "selector": {"matchLabels": {"app": name}},
        "template": {"metadata": {"labels": {"app": name}}, "spec": {"containers": [{"name": "main", "image": "example.com/main:1"}]}}}})
}

fn map(name: &str, value: &str, labels: &Value) -> Value {
    json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name, "labels": labels}, "data": {"key": value}})
}

fn service(name: &str) -> Value {
    json!({"apiVersion": "v1", "kind": "Service", "metadata": {"name": name}, "spec": {"selector": {"app": name}, "ports": [{"port": 80}]}})
}

fn with(mut object: Value, field: &str, more: &[(&str, &str)]) -> Value {
    for (key, value) in more {
        object["metadata"][field][*key] = json!(value);
    }
    object
}

const TEMPLATE: &str = "apiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: {{ .Release.Name }}\n  labels: {app.kubernetes.io/managed-by: {{ .Release.Service }}}\ndata: {key: {{ .Values.key | quote }}}\n";

/// Commits the files, and makes the objects as the controllers of Flux leave them.
async fn as_flux_leaves_them(shared: &Shared, repository: &Repository) -> anyhow::Result<()> {
    let none = json!({});
    let objects = [deployment("web", &none), map("settings", "one", &none), service("web")];
    let text = objects.iter().map(Value::to_string).collect::<Vec<_>>().join("\n---\n");
    let files = [
        ("apps/web.yaml", &*text),
        ("charts/queue/Chart.yaml", "apiVersion: v2\nname: queue\nversion: 1.0.0\n"),
        ("charts/queue/values.yaml", "key: default\n"),
        ("charts/queue/templates/map.yaml", TEMPLATE),
    ];
    repository.commit(&files, "Begin")?;
    // As kustomize-controller leaves them.
    let labels =
        [("kustomize.toolkit.fluxcd.io/name", "apps"), ("kustomize.toolkit.fluxcd.io/namespace", NAMESPACE)];
    for object in objects {
        let applied = with(object, "labels", &labels).to_string();
        let arguments =
            ["-n", NAMESPACE, "apply", "--server-side", "--field-manager=kustomize-controller", "-f", "-"];
        apply_as(shared, &arguments, &applied).await?;
    }
    // As Helm leaves them in helm-controller: an update, and not an apply.
    let marks = [("meta.helm.sh/release-name", "queue"), ("meta.helm.sh/release-namespace", NAMESPACE)];
    let labels = [
        ("app.kubernetes.io/managed-by", "Helm"),
        ("helm.toolkit.fluxcd.io/name", "queue"),
        ("helm.toolkit.fluxcd.io/namespace", NAMESPACE),
    ];
    let made = with(with(map("queue", "prod", &none), "labels", &labels), "annotations", &marks).to_string();
    apply_as(shared, &["-n", NAMESPACE, "create", "--field-manager=helm-controller", "-f", "-"], &made)
        .await?;
    let stored = json!({"apiVersion": "v1", "kind": "Secret", "type": "helm.sh/release.v1",
        "metadata": {"name": "sh.helm.release.v1.queue.v1", "labels": {"owner": "helm", "name": "queue", "status": "deployed"}},
        "stringData": {"release": "x"}});
    apply_as(shared, &["-n", NAMESPACE, "create", "-f", "-"], &stored.to_string()).await?;
    resources_of_flux(shared, &repository.https_url).await
}

/// Makes the resources of Flux.
async fn resources_of_flux(shared: &Shared, url: &str) -> anyhow::Result<()> {
    let finalizers = json!(["finalizers.fluxcd.io"]);
    let source = json!({"kind": "GitRepository", "name": "config"});
    let inventory = json!({"entries": [{"id": format!("{NAMESPACE}_web_apps_Deployment"), "v": "v1"}]});
    let of_flux = [
        json!({"apiVersion": "source.toolkit.fluxcd.io/v1", "kind": "GitRepository", "metadata": {"name": "config", "finalizers": finalizers},
            "spec": {"interval": "5s", "url": url, "ref": {"branch": "main"}, "secretRef": {"name": "git"}}}),
        json!({"apiVersion": "kustomize.toolkit.fluxcd.io/v1", "kind": "Kustomization", "metadata": {"name": "apps", "finalizers": finalizers},
            "spec": {"interval": "10m", "path": "./apps", "prune": true, "wait": true, "sourceRef": source},
            "status": {"inventory": inventory}}),
        json!({"apiVersion": "helm.toolkit.fluxcd.io/v2", "kind": "HelmRelease", "metadata": {"name": "queue", "finalizers": finalizers},
            "spec": {"interval": "10m", "chart": {"spec": {"chart": "./charts/queue", "sourceRef": source}}, "values": {"key": "prod"},
                "driftDetection": {"mode": "enabled"}}}),
    ];
    for object in &of_flux {
        apply_as(shared, &["-n", NAMESPACE, "create", "-f", "-"], &object.to_string()).await?;
    }
    Ok(())
}

/// What the controllers do: they delete what an object made only if it is neither suspended nor without prune.
async fn flux_lets_them_go(shared: &Shared) -> anyhow::Result<()> {
    for (object, prune) in [
        ("kustomizations.kustomize.toolkit.fluxcd.io/apps", Some(false)),
        ("helmreleases.helm.toolkit.fluxcd.io/queue", None),
    ] {
        let text = shared.env.cluster.must(&["-n", NAMESPACE, "get", object, "-o", "json"]).await?;
        let found: Value = serde_json::from_str(&text)?;
        ensure!(found["metadata"]["deletionTimestamp"].is_string(), "{object} is not being deleted");
        ensure!(found["spec"]["suspend"] == true, "{object} is not suspended: {found:#}");
        ensure!(prune.is_none_or(|prune| found["spec"]["prune"] == prune), "{object} would prune: {found:#}");
        shared.patch(NAMESPACE, object, &json!({"metadata": {"finalizers": null}})).await?;
        is_gone(shared, NAMESPACE, object).await?;
    }
    Ok(())
}

#[test]
fn objects_of_flux_are_handed_over_without_a_deletion_or_a_restart() -> anyhow::Result<()> {
    run(agent(), |shared| async move {
        define(shared, DEFINITIONS).await?;
        shared.env.namespace(NAMESPACE).await?;
        let repository = shared.env.forge.repository("import-flux").await?;
        as_flux_leaves_them(shared, &repository).await?;
        let before = alive(shared, NAMESPACE, 5).await?;

        let import = Import::of_cluster(shared, "flux", NAMESPACE).await?;
        ensure!(import.resources.len() == 2, "{:#?}", import.resources);
        let refused = import.notes.iter().filter(|note| note["level"] == "Refused").count();
        ensure!(refused == 0, "{:#?}", import.notes);
        import.step(shared, "Apply the resources, and change nothing").await?;
        only_adopts(shared, NAMESPACE, &["apps", "queue"]).await?;
        let compared = import.step(shared, "Compare").await?;
        ensure!(compared.contains("adopt"), "{compared}");
        ensure!(lives(shared, NAMESPACE).await? == before);
        import.step(shared, "Suspend Flux").await?;
        import.step(shared, "Hand over").await?;
        for sync in ["apps", "queue"] {
            shared.env.ready(NAMESPACE, sync, None).await?;
        }
        ensure!(
            lives(shared, NAMESPACE).await? == before,
            "{:#?}\n{before:#?}",
            lives(shared, NAMESPACE).await?
        );
        import.step(shared, "Verify").await?;
        no_marks(shared, NAMESPACE, &["toolkit.fluxcd.io", "meta.helm.sh"]).await?;

        import.step(shared, "Remove the objects of Flux").await?;
        flux_lets_them_go(shared).await?;
        import.step(shared, "Remove the stored releases").await?;
        is_gone(shared, NAMESPACE, "secret/sh.helm.release.v1.queue.v1").await?;
        import.step(shared, "Let Holdfast act").await?;
        for sync in ["apps", "queue"] {
            shared.env.ready(NAMESPACE, sync, None).await?;
            let spec = shared.env.read(NAMESPACE, sync).await?["spec"].clone();
            ensure!(spec["approval"] == "Irreversible" && spec["drift"]["mode"] == "Correct", "{spec:#}");
            ensure!(spec.get("deletion").is_none(), "{spec:#}");
        }
        ensure!(lives(shared, NAMESPACE).await? == before);
        nothing_was_deleted(shared, NAMESPACE)
    })
}
