//! The main job, shown: a real control plane and a real forge on loopback, the agent, and what it does.
//!
//! `--keep` leaves everything running until Ctrl-C. I/O: everything, on loopback.
#![expect(clippy::print_stdout, reason = "a demo shows something")]

use std::time::{Duration, Instant};

use anyhow::Context as _;
use holdfast_tests::{Env, agent, eventually, root, sync};
use serde_json::json;

fn say(text: &str) {
    println!("\n== {text}");
}

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let keep = std::env::args().any(|argument| argument == "--keep");
    say(
        "Starts a Kubernetes control plane and a forge on loopback (the first time, builds them: about ten minutes)",
    );
    let env = Env::start().await?;
    println!("   export KUBECONFIG={}", env.cluster.kubeconfig().display());

    say("Puts examples/gitops-repo into a repository of the forge, behind a login");
    let repository = env.forge.repository("gitops").await?;
    let first = repository.commit_folder(&root().join("examples/gitops-repo"), "Begin the shop")?;
    println!("   {} at {}", repository.https_url, &first[..7]);

    say("Runs the agent, with two Syncs: the namespaces, and the shop, which depends on them");
    let agent = env.agent(&[]).await?;
    env.namespace("team-a").await?;
    let url = &repository.https_url;
    env.cluster.apply(&sync::sync("team-a", "cluster", url, &json!({"path": "cluster"}))).await?;
    let shop =
        json!({"path": "shop/production", "targetNamespace": "shop", "dependsOn": [{"name": "cluster"}]});
    env.cluster.apply(&sync::sync("team-a", "shop", url, &shop)).await?;
    let started = Instant::now();
    env.ready("team-a", "shop", Some(&first)).await?;
    println!("   Ready after {:.1} s", started.elapsed().as_secs_f64());
    show(&env, &["-n", "team-a", "get", "syncs"]).await?;
    show(
        &env,
        &["-n", "shop", "get", "deployments,services,configmaps", "-l", "applyset.kubernetes.io/part-of"],
    )
    .await?;

    say("Pushes a commit: another greeting, and no cart any more");
    let web = root().join("examples/gitops-repo/shop/production/web.yaml");
    let web = std::fs::read_to_string(web)?.replace("Welcome", "Welcome back");
    repository.commit(&[("shop/production/web.yaml", &web)], "Greet those who come back")?;
    let second = repository.remove(&["shop/production/cart.yaml"], "Close the cart")?;
    let pushed = Instant::now();
    env.ready("team-a", "shop", Some(&second)).await?;
    println!(
        "   applied and healthy {:.1} s after the push (the interval is 5 s)",
        pushed.elapsed().as_secs_f64()
    );
    show(&env, &["-n", "shop", "get", "deployments,secrets", "-l", "applyset.kubernetes.io/part-of"]).await?;
    show(&env, &["-n", "shop", "get", "configmap", "web", "-o", "jsonpath={.data.greeting}"]).await?;

    say("A person scales the Deployment by hand");
    let drifted = Instant::now();
    env.cluster.must(&["-n", "shop", "scale", "deployment", "web", "--replicas=7"]).await?;
    eventually(Duration::from_secs(10), "the Deployment to be corrected", || async {
        let replicas = env
            .cluster
            .must(&["-n", "shop", "get", "deployment", "web", "-o", "jsonpath={.spec.replicas}"])
            .await?;
        Ok(replicas == "2")
    })
    .await?;
    println!("corrected and seen by kubectl {:.2} s after the change", drifted.elapsed().as_secs_f64());
    let correction = || -> anyhow::Result<_> {
        Ok(agent.lines()?.into_iter().rev().find(|line| line["message"] == "Corrected drift"))
    };
    eventually(Duration::from_secs(5), "the agent to log the correction", || async {
        Ok(correction()?.is_some())
    })
    .await?;
    println!("   {}", correction()?.context("the agent logged no correction")?);

    say("What the command line says");
    let status = agent::holdfast(&env.cluster.kubeconfig(), &["-n", "team-a", "status"]).await?;
    print!("{}", String::from_utf8_lossy(&status.stdout));
    if keep {
        say("Goes on until Ctrl-C");
        tokio::signal::ctrl_c().await?;
    }
    say("Done; everything is ended and removed");
    Ok(())
}

async fn show(env: &Env, arguments: &[&str]) -> anyhow::Result<()> {
    println!("   $ kubectl {}", arguments.join(" "));
    for line in env.cluster.must(arguments).await?.lines() {
        println!("   {line}");
    }
    Ok(())
}
