//! What the tests of a handover work with: definitions of the other tool, the state of objects, and running the printed steps as they
//! are. I/O: processes, disk, network.

use std::path::Path;
use std::process::Command;
use std::time::Duration;

use anyhow::{Context as _, bail, ensure};
use holdfast_tests::agent::program;
use holdfast_tests::eventually;
use holdfast_tests::shared::Shared;
use serde_json::{Value, json};
use tempfile::TempDir;

/// How long what is expected may take on a machine that has a lot to do.
pub const PATIENCE: Duration = Duration::from_mins(2);

/// A definition that accepts everything, as YAML.
pub fn definition(group: &str, version: &str, kind: &str, plural: &str) -> String {
    let schema = json!({"type": "object", "x-kubernetes-preserve-unknown-fields": true});
    json!({
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": {"name": format!("{plural}.{group}")},
        "spec": {
            "group": group,
            "scope": "Namespaced",
            "names": {"kind": kind, "plural": plural, "singular": kind.to_lowercase(), "listKind": format!("{kind}List")},
            "versions": [{"name": version, "served": true, "storage": true, "schema": {"openAPIV3Schema": schema}}],
        },
    })
    .to_string()
}

/// Applies definitions and waits until they are served.
pub async fn define(shared: &Shared, definitions: &[(&str, &str, &str, &str)]) -> anyhow::Result<()> {
    for (group, version, kind, plural) in definitions {
        shared.env.cluster.apply(&definition(group, version, kind, plural)).await?;
        let name = format!("crd/{plural}.{group}");
        shared.env.cluster.must(&["wait", "--for=condition=Established", "--timeout=60s", &name]).await?;
    }
    Ok(())
}

/// Applies YAML as another tool, and must succeed.
pub async fn apply_as(shared: &Shared, arguments: &[&str], yaml: &str) -> anyhow::Result<()> {
    let cluster = &shared.env.cluster;
    let output = cluster.kubectl_with(&cluster.kubeconfig(), arguments, yaml).await?;
    ensure!(output.status.success(), "{arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
    Ok(())
}

/// Uid, specification, and whether it is being deleted, of all objects of a namespace that must survive. The generation of a
/// Deployment rises with its annotations too.
pub async fn lives(shared: &Shared, namespace: &str) -> anyhow::Result<Vec<String>> {
    let kinds = "configmaps,services,deployments,replicasets";
    let text = shared.env.cluster.must(&["-n", namespace, "get", kinds, "-o", "json"]).await?;
    let list: Value = serde_json::from_str(&text)?;
    let all = list["items"].as_array().context("kubectl printed no list")?;
    let of = |item: &Value| {
        let metadata = &item["metadata"];
        format!(
            "{} {} {} deleted {} {}",
            item["kind"], metadata["name"], metadata["uid"], metadata["deletionTimestamp"], item["spec"],
        )
    };
    Ok(all.iter().filter(|item| item["metadata"]["name"] != "kube-root-ca.crt").map(of).collect())
}

/// Waits until there are as many objects as expected: a ReplicaSet comes after its Deployment.
pub async fn alive(shared: &Shared, namespace: &str, count: usize) -> anyhow::Result<Vec<String>> {
    eventually(PATIENCE, &format!("{count} objects in {namespace}"), || async {
        let found = lives(shared, namespace).await?;
        ensure!(found.len() == count, "{found:#?}");
        Ok(true)
    })
    .await?;
    lives(shared, namespace).await
}

/// Fails if anybody deleted one of the objects that must survive.
pub fn nothing_was_deleted(shared: &Shared, namespace: &str) -> anyhow::Result<()> {
    let deletions = shared.env.cluster.requests(|line| {
        let verb = line["verb"].as_str().unwrap_or_default();
        let kind = line["objectRef"]["resource"].as_str().unwrap_or_default();
        verb.starts_with("delete")
            && line["objectRef"]["namespace"] == namespace
            && ["configmaps", "services", "deployments", "replicasets"].contains(&kind)
    })?;
    ensure!(deletions.is_empty(), "{deletions:#?}");
    let all = shared.env.cluster.requests(|line| line["objectRef"]["namespace"] == namespace)?;
    ensure!(all.len() > 20, "the audit log has only {} requests: it shows nothing", all.len());
    Ok(())
}

/// The import of a cluster, and a folder in which its steps are run.
pub struct Import {
    folder: TempDir,
    pub resources: Vec<Value>,
    pub notes: Vec<Value>,
    steps: Vec<Value>,
}

impl Import {
    pub async fn of_cluster(shared: &Shared, tool: &str, namespace: &str) -> anyhow::Result<Self> {
        let folder = tempfile::tempdir()?;
        let import = Self { folder, resources: Vec::new(), notes: Vec::new(), steps: Vec::new() };
        let text = import.sh(shared, &format!("holdfast import {tool} -n {namespace} -o json")).await?;
        let found: Value = serde_json::from_str(&text)?;
        let list = |name: &str| found[name].as_array().cloned().unwrap_or_default();
        Ok(Self { resources: list("resources"), notes: list("notes"), steps: list("steps"), ..import })
    }

    /// Runs a command as a person does, in a shell.
    async fn sh(&self, shared: &Shared, command: &str) -> anyhow::Result<String> {
        let holdfast = program().await?.parent().map(Path::to_path_buf).unwrap_or_default();
        let kubectl =
            shared.env.cluster.kubectl_program().parent().map(Path::to_path_buf).unwrap_or_default();
        let helm = holdfast_tests::tools::helm()?.parent().map(Path::to_path_buf).unwrap_or_default();
        let path = format!("{}:{}", helm.display(), std::env::var("PATH").unwrap_or_default());
        let mut shell = Command::new("sh");
        shell.args(["-c", command]).current_dir(self.folder.path());
        shell.env("PATH", format!("{}:{}:{path}", holdfast.display(), kubectl.display()));
        shell
            .env("KUBECONFIG", shared.env.cluster.kubeconfig())
            .env("HOME", self.folder.path())
            .env("NO_COLOR", "1");
        let output = tokio::task::spawn_blocking(move || shell.output()).await??;
        if !output.status.success() {
            bail!("{command}: {}", String::from_utf8_lossy(&output.stderr));
        }
        Ok(String::from_utf8(output.stdout)?)
    }

    /// Runs a step by its title. Returns what its commands printed.
    pub async fn step(&self, shared: &Shared, title: &str) -> anyhow::Result<String> {
        let step = self.steps.iter().find(|step| step["title"] == title);
        let step = step.with_context(|| format!("there is no step {title}: {:#?}", self.steps))?;
        let mut printed = String::new();
        for command in step["commands"].as_array().into_iter().flatten().filter_map(Value::as_str) {
            let command = self.with_plan(shared, command).await?;
            printed.push_str(&self.sh(shared, &command).await?);
        }
        Ok(printed)
    }

    /// Names the plan that is approved, in place of the question.
    async fn with_plan(&self, shared: &Shared, command: &str) -> anyhow::Result<String> {
        let Some(rest) = command.strip_prefix("holdfast approve ") else { return Ok(command.to_owned()) };
        let words: Vec<&str> = rest.split_whitespace().collect();
        let (name, namespace) = (words[0], words[2]);
        shared.env.reason(namespace, name, "AwaitingApproval").await?;
        let plan = shared.env.read(namespace, name).await?["status"]["plan"]["id"].clone();
        let plan = plan.as_str().context("there is no plan")?;
        Ok(command.replacen(name, &format!("{name} {plan}"), 1))
    }
}

/// Waits until all Syncs of a namespace wait for an Approval, and checks that nothing would be lost.
pub async fn only_adopts(shared: &Shared, namespace: &str, syncs: &[&str]) -> anyhow::Result<()> {
    for sync in syncs {
        shared.env.reason(namespace, sync, "AwaitingApproval").await?;
        let plan = shared.env.read(namespace, sync).await?["status"]["plan"]["summary"].clone();
        let count = |operation: &str| plan[operation].as_u64().unwrap_or_default();
        let others = count("create") + count("delete") + count("recreate");
        ensure!(count("adopt") > 0 && others == 0, "{sync}: {plan}");
    }
    let labelled =
        ["-n", namespace, "get", "all,configmaps", "-l", "applyset.kubernetes.io/part-of", "-o", "name"];
    let labelled = shared.env.cluster.must(&labelled).await?;
    ensure!(labelled.is_empty(), "written before it was approved: {labelled}");
    Ok(())
}

/// Waits until an object does not exist, as a person sees it.
pub async fn is_gone(shared: &Shared, namespace: &str, object: &str) -> anyhow::Result<()> {
    eventually(PATIENCE, &format!("{object} to be gone"), || async {
        let found = shared.env.cluster.kubectl(&["-n", namespace, "get", object]).await?;
        Ok(String::from_utf8_lossy(&found.stderr).contains("NotFound"))
    })
    .await
}

/// Checks that no mark of the other tool is left on the objects of a namespace.
pub async fn no_marks(shared: &Shared, namespace: &str, marks: &[&str]) -> anyhow::Result<()> {
    let kinds = "configmaps,services,deployments";
    let text = shared
        .env
        .cluster
        .must(&["-n", namespace, "get", kinds, "-o", "json", "--show-managed-fields"])
        .await?;
    let list: Value = serde_json::from_str(&text)?;
    for item in list["items"].as_array().into_iter().flatten() {
        let metadata = &item["metadata"];
        if metadata["name"] == "kube-root-ca.crt" {
            continue;
        }
        ensure!(
            metadata["annotations"]["holdfast.dev/sync"].is_string(),
            "{} is not ours: {metadata:#}",
            metadata["name"]
        );
        let written = format!("{} {}", metadata["labels"], metadata["annotations"]);
        let left: Vec<&&str> = marks.iter().filter(|mark| written.contains(**mark)).collect();
        ensure!(left.is_empty(), "{} has {left:?}: {written}", metadata["name"]);
    }
    Ok(())
}
