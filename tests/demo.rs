//! The main job, shown: a real forge on loopback, the agent, and what it does to a cluster: a control plane on loopback, or any
//! cluster with `--kubeconfig`.
//!
//! `--keep` leaves everything running until Ctrl-C. I/O: everything, on loopback, and the cluster.
#![expect(clippy::print_stdout, reason = "a demo shows something")]

use std::io::Write as _;
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context as _, bail, ensure};
use clap::Parser;
use holdfast_tests::agent::{self, Agent};
use holdfast_tests::controlplane::{ControlPlane, Options};
use holdfast_tests::forge::{self, Forge};
use holdfast_tests::{eventually, root, sync, tools};
use serde_json::{Value, json};

/// Shows the main job of Holdfast
#[derive(Parser)]
struct Demo {
    /// Use the cluster of this kubeconfig, in the namespaces holdfast-demo and shop, which must not exist. The agent runs on this
    /// machine. At the end everything that the demo created is deleted
    #[arg(long)]
    kubeconfig: Option<PathBuf>,
    /// Leave everything running until Ctrl-C
    #[arg(long)]
    keep: bool,
}

/// The namespace of the Syncs, and that of the objects of `examples/gitops-repo`.
const NAMESPACES: [&str; 2] = ["holdfast-demo", "shop"];
const SYNCS: [&str; 2] = ["cluster", "shop"];
/// Maximum time for one step, on a machine that is busy or a cluster that is far away.
const PATIENCE: Duration = Duration::from_mins(3);

fn say(text: &str) {
    println!("\n== {text}");
}

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let Demo { kubeconfig, keep } = Demo::parse();
    say("Starts a forge on loopback, and a Kubernetes control plane unless --kubeconfig names a cluster");
    println!("   (the first time, builds them: about ten minutes)");
    let tools = tools().await?;
    let forge = Forge::start(&tools).await?;
    let own = match kubeconfig {
        Some(_) => None,
        None => Some(ControlPlane::start(&tools, Options::default()).await?),
    };
    let kubeconfig = match (&own, kubeconfig) {
        (Some(own), _) => own.kubeconfig(),
        (None, given) => std::path::absolute(given.unwrap_or_default())?,
    };
    println!("   export KUBECONFIG={}", kubeconfig.display());
    let cluster = Cluster { kubectl: tools.kubectl, kubeconfig };
    cluster.check_free()?;
    let brought = cluster.install()?;
    let shown = show_all(&cluster, &forge, keep).await;
    if own.is_none() {
        say("Deletes what it created in the cluster");
        cluster.clean(brought)?;
    }
    shown?;
    say("Done; everything is ended and removed");
    Ok(())
}

async fn show_all(cluster: &Cluster, forge: &Forge, keep: bool) -> anyhow::Result<()> {
    let [own, shop] = NAMESPACES;
    say("Puts examples/gitops-repo into a repository of the forge, behind a login");
    let repository = forge.repository("gitops").await?;
    let first = repository.commit_folder(&root().join("examples/gitops-repo"), "Begin the shop")?;
    println!("   {} at {}", repository.https_url, &first[..7]);

    say("Runs the agent, with two Syncs: the namespaces, and the shop, which depends on them");
    let agent = Agent::start(&cluster.kubeconfig, &["--namespaces", own]).await?;
    cluster.run(&["create", "namespace", own])?;
    let login = [("username", forge::USER), ("password", forge::PASSWORD), ("ca.crt", forge.ca())];
    cluster.apply(&sync::secret(own, "git", &login))?;
    let url = &repository.https_url;
    cluster.apply(&sync::sync(own, "cluster", url, &json!({"path": "cluster"})))?;
    let spec =
        json!({"path": "shop/production", "targetNamespace": shop, "dependsOn": [{"name": "cluster"}]});
    cluster.apply(&sync::sync(own, "shop", url, &spec))?;
    let started = Instant::now();
    cluster.ready(own, "shop", &first).await?;
    println!("   Ready after {:.1} s", started.elapsed().as_secs_f64());
    cluster.show(&["-n", own, "get", "syncs"])?;
    let members = ["-l", "applyset.kubernetes.io/part-of"];
    cluster.show(&[&["-n", shop, "get", "deployments,services,configmaps"], &members[..]].concat())?;

    say("Pushes a commit: another greeting, and no cart any more");
    let web = root().join("examples/gitops-repo/shop/production/web.yaml");
    let web = std::fs::read_to_string(web)?.replace("Welcome", "Welcome back");
    repository.commit(&[("shop/production/web.yaml", &web)], "Greet those who come back")?;
    let second = repository.remove(&["shop/production/cart.yaml"], "Close the cart")?;
    let pushed = Instant::now();
    cluster.ready(own, "shop", &second).await?;
    println!(
        "   applied and healthy {:.1} s after the push (the interval is 5 s)",
        pushed.elapsed().as_secs_f64()
    );
    cluster.show(&[&["-n", shop, "get", "deployments,secrets"], &members[..]].concat())?;
    cluster.show(&["-n", shop, "get", "configmap", "web", "-o", "jsonpath={.data.greeting}"])?;

    say("A person scales the Deployment by hand");
    let drifted = Instant::now();
    cluster.run(&["-n", shop, "scale", "deployment", "web", "--replicas=7"])?;
    eventually(PATIENCE, "the Deployment to be corrected", || async {
        let replicas = ["-n", shop, "get", "deployment", "web", "-o", "jsonpath={.spec.replicas}"];
        Ok(cluster.run(&replicas)? == "2")
    })
    .await?;
    println!("   corrected and seen by kubectl {:.2} s after the change", drifted.elapsed().as_secs_f64());
    let correction = || -> anyhow::Result<_> {
        Ok(agent.lines()?.into_iter().rev().find(|line| line["message"] == "Corrected drift"))
    };
    eventually(PATIENCE, "the agent to log the correction", || async { Ok(correction()?.is_some()) }).await?;
    println!("   {}", correction()?.context("the agent logged no correction")?);

    say("Waits until everything is Ready again");
    for name in SYNCS {
        cluster.ready(own, name, "").await?;
    }
    let status = agent::holdfast(&cluster.kubeconfig, &["-n", own, "status"]).await?;
    print!("{}", String::from_utf8_lossy(&status.stdout));
    if keep {
        say("Goes on until Ctrl-C");
        tokio::signal::ctrl_c().await?;
    }
    // The agent prunes what the Syncs own.
    cluster.run(&["-n", own, "delete", "syncs", "--all", "--timeout=180s"])?;
    Ok(())
}

/// A cluster as kubectl reaches it.
struct Cluster {
    kubectl: PathBuf,
    kubeconfig: PathBuf,
}

impl Cluster {
    /// Fails if the demo would change what is there.
    fn check_free(&self) -> anyhow::Result<()> {
        for namespace in NAMESPACES {
            let found = self.run(&["get", "namespace", namespace, "--ignore-not-found", "-o", "name"])?;
            ensure!(
                found.is_empty(),
                "namespace {namespace} exists in this cluster; the demo needs it for itself"
            );
        }
        let label = "app.kubernetes.io/name=holdfast";
        let agents = self.run(&["get", "deployments", "-A", "-l", label, "-o", "name"])?;
        ensure!(
            agents.is_empty(),
            "an agent is installed in this cluster, and the demo would run a second one"
        );
        Ok(())
    }

    /// Installs the definitions, unless they are there. Returns whether it did.
    fn install(&self) -> anyhow::Result<bool> {
        let name = "syncs.holdfast.dev";
        let is_new = self.run(&["get", "crd", name, "--ignore-not-found", "-o", "name"])?.is_empty();
        let file = definitions();
        if is_new {
            self.run(&["apply", "--server-side", "-f", &file])?;
        }
        self.run(&["wait", "--for=condition=Established", "--timeout=60s", "-f", &file])?;
        Ok(is_new)
    }

    /// Deletes what is left after the Syncs are gone, also of a demo that failed.
    fn clean(&self, definitions_too: bool) -> anyhow::Result<()> {
        let [own, shop] = NAMESPACES;
        // Without the agent nothing removes the finalizers.
        for name in SYNCS {
            let patch =
                ["patch", "sync", name, "--type=merge", "-p", r#"{"metadata": {"finalizers": null}}"#];
            // It is gone, or was never there.
            let _ = self.run(&[&["-n", own], &patch[..]].concat());
        }
        self.run(&["delete", "namespace", own, shop, "--ignore-not-found", "--timeout=180s"])?;
        if definitions_too {
            self.run(&["delete", "--timeout=60s", "-f", &definitions()])?;
        }
        Ok(())
    }

    /// Waits until a Sync is Ready, at a commit if one is named.
    async fn ready(&self, namespace: &str, name: &str, commit: &str) -> anyhow::Result<()> {
        eventually(PATIENCE, &format!("Sync {namespace}/{name} to be Ready"), || async {
            let sync: Value =
                serde_json::from_str(&self.run(&["-n", namespace, "get", "sync", name, "-o", "json"])?)?;
            let status = &sync["status"];
            let conditions = status["conditions"].as_array().into_iter().flatten();
            let ready = conditions.into_iter().find(|condition| condition["type"] == "Ready");
            let ready = ready.context("it has no condition Ready yet")?;
            let applied = status["revision"]["applied"].as_str().unwrap_or_default();
            let is_current = status["observedGeneration"] == sync["metadata"]["generation"];
            ensure!(
                ready["status"] == "True" && is_current && applied.ends_with(commit),
                "{ready} at {applied}"
            );
            Ok(true)
        })
        .await
    }

    fn show(&self, arguments: &[&str]) -> anyhow::Result<()> {
        println!("   $ kubectl {}", arguments.join(" "));
        for line in self.run(arguments)?.lines() {
            println!("   {line}");
        }
        Ok(())
    }

    fn apply(&self, yaml: &str) -> anyhow::Result<()> {
        self.with_input(&["apply", "--server-side", "--field-manager=person", "-f", "-"], yaml).map(drop)
    }

    fn run(&self, arguments: &[&str]) -> anyhow::Result<String> {
        self.with_input(arguments, "")
    }

    fn with_input(&self, arguments: &[&str], input: &str) -> anyhow::Result<String> {
        let mut command = Command::new(&self.kubectl);
        command.args(arguments).env("KUBECONFIG", &self.kubeconfig);
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().context("cannot start kubectl")?;
        child.stdin.take().context("kubectl has no stdin")?.write_all(input.as_bytes())?;
        let output = child.wait_with_output()?;
        if !output.status.success() {
            bail!("kubectl {}: {}", arguments.join(" "), String::from_utf8_lossy(&output.stderr).trim());
        }
        Ok(String::from_utf8(output.stdout)?)
    }
}

fn definitions() -> String {
    root().join("manifests/base/crds.yaml").display().to_string()
}
