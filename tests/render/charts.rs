//! Charts on a real cluster: values from the cluster, hooks in their order, what a chart makes anew each time, and charts
//! from a repository. I/O: processes, network.

use holdfast_tests::shared::{Shared, run};
use holdfast_tests::{eventually, sync};
use serde_json::json;

use super::kit::{agent, ask, begin, kubectl, says};

#[path = "../helm/kit.rs"]
#[expect(dead_code, reason = "the suite of charts uses all of it")]
pub(super) mod shop;

const CHART: &str = "apiVersion: v2\nname: web\nversion: 1.2.3\n";
const VALUES: &str = "level: info\nextra: {}\n";
const MAP: &str = "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: {{ .Release.Name }}-web, namespace: {{ .Release.Namespace }}}\ndata:\n  level: {{ .Values.level }}\n  kube: {{ .Capabilities.KubeVersion.Version }}\n  apps: {{ .Capabilities.APIVersions.Has \"apps/v1/Deployment\" | quote }}\n";
const PASSWORD: &str = "apiVersion: v1\nkind: Secret\nmetadata: {name: {{ .Release.Name }}-password}\nstringData:\n  password: {{ randAlphaNum 16 }}\n  user: {{ .Values.level }}\n";
const HOOK: &str = "apiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: first\n  annotations: {helm.sh/hook: \"pre-install,pre-upgrade\", helm.sh/hook-weight: \"-5\"}\n";
const JOB: &str = "apiVersion: batch/v1\nkind: Job\nmetadata:\n  name: notify\n  annotations: {helm.sh/hook: \"post-install,post-upgrade\", helm.sh/hook-delete-policy: hook-succeeded}\nspec:\n  template: {spec: {restartPolicy: Never, containers: [{name: a, image: \"a:1\"}]}}\n";
const TEST: &str =
    "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: tested, annotations: {helm.sh/hook: test}}\n";

#[test]
fn a_chart_in_git_with_values_from_the_cluster() -> anyhow::Result<()> {
    run(agent(), |shared| async move {
        let namespace = "charts";
        shared.env.namespace(namespace).await?;
        let values = |level: &str| {
            json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "values", "namespace": namespace},
                "data": {"values.yaml": format!("level: {level}\n")}})
        };
        shared.env.cluster.apply(&values("warn").to_string()).await?;
        let files = [
            ("chart/Chart.yaml", CHART),
            ("chart/values.yaml", VALUES),
            ("chart/templates/map.yaml", MAP),
            ("chart/templates/password.yaml", PASSWORD),
            ("chart/templates/hook.yaml", HOOK),
            ("chart/templates/job.yaml", JOB),
            ("chart/templates/test.yaml", TEST),
            ("chart/prod.yaml", "level: prod\n"),
        ];
        let spec = json!({"path": "chart", "render": {"helm": {"releaseName": "shop",
            "valuesFrom": [{"file": "prod.yaml"}, {"kind": "ConfigMap", "name": "values"}],
            "patches": [{"target": {"kind": "ConfigMap", "name": ".*-web"}, "patch": "- {op: add, path: /data/patched, value: \"yes\"}"}]}}});
        let repository = begin(shared, namespace, &files, &spec).await?;
        let map =
            |path: &'static str| async move { shared.jsonpath(namespace, "configmap/shop-web", path).await };
        assert_eq!(map("{.data.level} {.data.apps} {.data.patched}").await?, "warn true yes");
        assert!(map("{.data.kube}").await?.starts_with("v1.36."));
        let wave = shared
            .jsonpath(namespace, "configmap/first", "{.metadata.annotations.holdfast\\.dev/wave}")
            .await?;
        assert!(wave.parse::<i32>()? < 0, "{wave}");
        let all = kubectl(shared, namespace, &["get", "configmap", "-o", "name"]).await?;
        assert!(!all.contains("tested"), "{all}");
        // A hook that succeeded goes, and does not come back.
        shared.gone(namespace, "job/notify").await?;
        let completed = shared.jsonpath(namespace, "sync/app", "{.status.completed[*].name}").await?;
        assert_eq!(completed, "notify");
        // What the chart makes anew each time is told, and stays.
        let password = || shared.jsonpath(namespace, "secret/shop-password", "{.data.password}");
        let before = password().await?;
        let warnings = shared.jsonpath(namespace, "sync/app", "{.status.warnings}").await?;
        assert!(warnings.contains("password"), "{warnings}");
        shared.env.cluster.apply(&values("error").to_string()).await?;
        shared.until(namespace, "configmap/shop-web", "{.data.level}", "error").await?;
        shared.until(namespace, "secret/shop-password", "{.data.user}", "ZXJyb3I=").await?;
        assert_eq!(runs_of_the_hook(shared, namespace)?, 1);
        assert_eq!(password().await?, before);
        // A template that fails is told with its line, and nothing is pruned.
        let broken = MAP.replace(".Values.level", "required \"set a level\" .Values.none");
        repository.commit(&[("chart/templates/map.yaml", &broken)], "Break")?;
        ask(shared, namespace, "1").await?;
        says(shared, namespace, "TemplateFailed", &["templates/map.yaml:5", "set a level"]).await?;
        kubectl(shared, namespace, &["get", "configmap", "shop-web"]).await?;
        Ok(())
    })
}

/// How often the agent made the Job.
fn runs_of_the_hook(shared: &Shared, namespace: &'static str) -> anyhow::Result<usize> {
    let made = shared.env.cluster.requests(move |line| {
        line["userAgent"].as_str().unwrap_or_default().starts_with("holdfast/")
            && line["objectRef"]["namespace"] == namespace
            && line["objectRef"]["resource"] == "jobs"
            && line["verb"] == "patch"
    })?;
    Ok(made.len())
}

#[test]
fn a_chart_of_a_repository_follows_its_range_and_is_named_in_the_status() -> anyhow::Result<()> {
    run(agent(), |shared| async move {
        let namespace = "published";
        let shop = shop::Bench::make()?;
        let published = shop.root().join("published");
        std::fs::create_dir_all(&published)?;
        let publish = |version: &str| {
            let chart = shop.chart(
                &format!("{version}/web"),
                version,
                &[("values.yaml", VALUES), ("templates/map.yaml", MAP)],
            )?;
            shop::pack(&chart, &published)?;
            shop::helm(&["repo", "index", &published.display().to_string()]).map(|_| ())
        };
        publish("1.2.3")?;
        let server = shop::Server::start(&published, None).await?;
        let spec = json!({"render": {"helm": {"chart": {"repository": server.url, "name": "web", "version": "1.x"}, "values": {"level": "low"}}}});
        let git = shared.env.forge.repository(namespace).await?;
        shared.env.namespace(namespace).await?;
        shared.env.cluster.apply(&sync::sync(namespace, "app", &git.https_url, &spec)).await?;
        shared.env.ready(namespace, "app", None).await?;
        let status = || {
            shared.jsonpath(
                namespace,
                "sync/app",
                "{.status.chart.name} {.status.chart.version} {.status.chart.digest}",
            )
        };
        let first = status().await?;
        assert!(first.starts_with("web 1.2.3 sha256:"), "{first}");
        shared.until(namespace, "configmap/app-web", "{.data.level}", "low").await?;
        publish("2.0.0")?;
        publish("1.3.0")?;
        eventually(std::time::Duration::from_secs(90), "the newer chart", || async {
            ask(shared, namespace, &jiff::Timestamp::now().to_string()).await?;
            Ok(status().await?.starts_with("web 1.3.0 sha256:"))
        })
        .await
    })
}
