//! What is rendered once is not rendered again: not by a commit elsewhere, not by another Sync, not after a restart. One test,
//! since it counts all renders of its agent. I/O: processes, network.

use std::time::Duration;

use holdfast_tests::agent::Agent;
use holdfast_tests::forge::Repository;
use holdfast_tests::{Env, eventually, sync};
use serde_json::json;

const BASE: &str = "resources: [web.yaml]\nconfigMapGenerator:\n- name: settings\n  literals: [level=info]\n";
const WEB: &str = "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: web}\ndata: {uses: \"1\"}\n";
const OVERLAY: &str = "resources: [../../base]\nnamePrefix: prod-\npatches:\n- patch: |-\n    {\"apiVersion\": \"v1\", \"kind\": \"ConfigMap\", \"metadata\": {\"name\": \"web\"}, \"data\": {\"uses\": \"2\"}}\n";

/// How often something was really rendered.
async fn renders(agent: &Agent) -> anyhow::Result<usize> {
    let count = "holdfast_stage_seconds_count{stage=\"render\"} ";
    let metrics = agent.get("metrics").await?;
    let line = metrics.lines().find_map(|line| line.strip_prefix(count));
    line.map_or(Ok(0), |count| Ok(count.parse()?))
}

async fn applied(env: &Env) -> anyhow::Result<String> {
    let revision = "jsonpath={.status.revision.applied}";
    env.cluster.must(&["-n", "one", "get", "sync", "app", "-o", revision]).await
}

/// Waits until the agent has seen a commit, and a moment more.
async fn seen(env: &Env, agent: &Agent, commit: &str) -> anyhow::Result<()> {
    let mark = format!("holdfast.dev/reconcile-at={commit}");
    env.cluster.must(&["-n", "one", "annotate", "sync", "app", "--overwrite", &mark]).await?;
    eventually(Duration::from_secs(20), "the commit to be seen", || async {
        Ok(agent.get("metrics").await?.contains(commit))
    })
    .await?;
    tokio::time::sleep(Duration::from_secs(2)).await;
    Ok(())
}

async fn begin(env: &Env, repository: &Repository, namespace: &str) -> anyhow::Result<()> {
    let spec = json!({"path": "overlays/prod", "render": {"kustomize": {"nameSuffix": "-x"}}});
    env.namespace(namespace).await?;
    env.cluster.apply(&sync::sync(namespace, "app", &repository.https_url, &spec)).await?;
    env.ready(namespace, "app", None).await
}

#[tokio::test]
async fn only_what_is_read_is_rendered_and_only_once() -> anyhow::Result<()> {
    let env = Env::start().await?;
    let agent = env.agent(&[]).await?;
    let repository = env.forge.repository("once").await?;
    let files = [
        ("base/kustomization.yaml", BASE),
        ("base/web.yaml", WEB),
        ("overlays/prod/kustomization.yaml", OVERLAY),
        ("elsewhere/a.yaml", WEB),
    ];
    repository.commit(&files, "Begin")?;
    begin(&env, &repository, "one").await?;
    let uses = ["-n", "one", "get", "configmap", "prod-web-x", "-o", "jsonpath={.data.uses}"];
    assert_eq!(env.cluster.must(&uses).await?, "2");
    assert_eq!(renders(&agent).await?, 1);
    // Another Sync that reads the same takes the same render.
    begin(&env, &repository, "two").await?;
    assert_eq!(renders(&agent).await?, 1);
    // A commit that changes nothing that is read moves nothing, and renders nothing.
    let before = applied(&env).await?;
    let commit = repository.commit(&[("elsewhere/a.yaml", &WEB.replace('1', "7"))], "Elsewhere")?;
    seen(&env, &agent, &commit).await?;
    assert_eq!((applied(&env).await?, renders(&agent).await?), (before, 1));
    // One in the base, outside of the path of the Sync, does both: once for the two.
    let commit = repository.commit(&[("base/kustomization.yaml", &BASE.replace("info", "debug"))], "Base")?;
    seen(&env, &agent, &commit).await?;
    env.ready("one", "app", Some(&commit)).await?;
    env.ready("two", "app", Some(&commit)).await?;
    assert_eq!(renders(&agent).await?, 2);
    let maps = env.cluster.must(&["-n", "one", "get", "configmap", "-o", "name"]).await?;
    assert_eq!(maps.matches("settings").count(), 1, "the former one is pruned: {maps}");
    // After a restart it is there still; a file that is not whole is thrown away.
    let kept = agent.cache().join("renders");
    let agent = agent.restart(&env.cluster.kubeconfig(), &[]).await?;
    tokio::time::sleep(Duration::from_secs(3)).await;
    assert_eq!(renders(&agent).await?, 0);
    for folder in kept.join("installation").read_dir()? {
        for file in folder?.path().read_dir()? {
            let path = file?.path();
            let bytes = std::fs::read(&path)?;
            std::fs::write(&path, &bytes[..bytes.len() / 2])?;
        }
    }
    let agent = agent.restart(&env.cluster.kubeconfig(), &[]).await?;
    eventually(Duration::from_secs(20), "a render", || async { Ok(renders(&agent).await? == 1) }).await?;
    env.ready("one", "app", Some(&commit)).await
}
