//! The agent is killed at any moment, and the API server goes away under it: in the end the cluster is exactly what git
//! says. `HOLDFAST_KILLS` names another number of kills than 30. I/O: processes, network.

use std::collections::BTreeMap;
use std::time::Duration;

use anyhow::Context as _;
use holdfast_tests::forge::Repository;
use holdfast_tests::{Env, sync};
use serde_json::{Value, json};

/// A generator of numbers that a seed repeats (an xorshift).
struct Random(u64);

impl Random {
    fn below(&mut self, limit: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0 % limit
    }
}

/// What git says: the value of each ConfigMap, by Sync and name.
type Said = BTreeMap<(usize, String), u64>;

const SYNCS: usize = 3;

fn file(at: usize, name: &str, value: u64) -> (String, String) {
    let wave = value % 2;
    let text = format!(
        "apiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: {name}\n  annotations: {{holdfast.dev/wave: \"{wave}\"}}\ndata: {{value: \"{value}\"}}\n"
    );
    (format!("s{at}/{name}.yaml"), text)
}

/// Changes, adds and removes a few objects, and pushes.
fn change(repository: &Repository, said: &mut Said, random: &mut Random) -> anyhow::Result<String> {
    for _ in 0..=random.below(3) {
        let at = usize::try_from(random.below(SYNCS as u64))?;
        let name = format!("s{at}-m{}", random.below(6));
        let key = (at, name.clone());
        if random.below(3) == 0
            && said.keys().filter(|(owner, _)| *owner == at).count() > 3
            && said.remove(&key).is_some()
        {
            std::fs::remove_file(repository.clone.join(file(at, &name, 0).0))?;
        } else {
            let value = random.below(1_000_000);
            said.insert(key, value);
            let (path, text) = file(at, &name, value);
            std::fs::write(repository.clone.join(path), text)?;
        }
    }
    repository.push_all("Change")
}

/// What the cluster has of the Syncs.
async fn live(env: &Env) -> anyhow::Result<Said> {
    let text = env
        .cluster
        .must(&["-n", "kill", "get", "configmaps", "-l", "applyset.kubernetes.io/part-of", "-o", "json"])
        .await?;
    let list: Value = serde_json::from_str(&text)?;
    let mut found = Said::new();
    for item in list["items"].as_array().into_iter().flatten() {
        let owner = item["metadata"]["annotations"]["holdfast.dev/sync"].as_str().context("no owner")?;
        let at = owner.trim_start_matches("kill/s").parse()?;
        let name = item["metadata"]["name"].as_str().context("no name")?.to_owned();
        found.insert((at, name), item["data"]["value"].as_str().context("no value")?.parse()?);
    }
    Ok(found)
}

/// The first objects. Names differ between Syncs, so that none claims what another has.
fn begin(said: &mut Said) -> Vec<(String, String)> {
    let mut files = Vec::new();
    for at in 0..SYNCS {
        for number in 0..4 {
            let name = format!("s{at}-m{number}");
            said.insert((at, name.clone()), number);
            files.push(file(at, &name, number));
        }
    }
    files
}

async fn converges(env: &Env, commit: &str, said: &Said) -> anyhow::Result<()> {
    for at in 0..SYNCS {
        env.cluster
            .must(&[
                "-n",
                "kill",
                "annotate",
                "--overwrite",
                "sync",
                &format!("s{at}"),
                &format!("holdfast.dev/reconcile-at={commit}"),
            ])
            .await?;
    }
    let result =
        holdfast_tests::eventually(Duration::from_secs(40), "the cluster to be what git says", || async {
            let found = live(env).await?;
            if found != *said {
                anyhow::bail!("it has {found:?}, and git says {said:?}");
            }
            for at in 0..SYNCS {
                let ready = env.condition("kill", &format!("s{at}"), "Ready").await?;
                if ready.status != "True" {
                    anyhow::bail!("s{at}: {ready:?}");
                }
            }
            Ok(true)
        });
    result.await
}

#[tokio::test(flavor = "multi_thread")]
async fn an_agent_that_is_killed_at_any_moment_converges() -> anyhow::Result<()> {
    let kills: u64 = std::env::var("HOLDFAST_KILLS").ok().and_then(|kills| kills.parse().ok()).unwrap_or(30);
    let mut env = Env::start().await?;
    let repository = env.forge.repository("kill").await?;
    let (mut said, mut random) = (Said::new(), Random(0x9E37_79B9_7F4A_7C15));
    let files = begin(&mut said);
    let files: Vec<(&str, &str)> = files.iter().map(|(path, text)| (&**path, &**text)).collect();
    repository.commit(&files, "Begin")?;
    env.namespace("kill").await?;
    for at in 0..SYNCS {
        let name = format!("s{at}");
        env.cluster
            .apply(&sync::sync(
                "kill",
                &name,
                &repository.https_url,
                &json!({"path": name, "approval": "Never"}),
            ))
            .await?;
    }
    let kubeconfig = env.cluster.kubeconfig();
    let mut agent = env.agent(&[]).await?;
    for round in 0..kills {
        let commit = change(&repository, &mut said, &mut random)?;
        for at in 0..SYNCS {
            env.cluster
                .must(&[
                    "-n",
                    "kill",
                    "annotate",
                    "--overwrite",
                    "sync",
                    &format!("s{at}"),
                    &format!("holdfast.dev/reconcile-at={commit}"),
                ])
                .await?;
        }
        tokio::time::sleep(Duration::from_millis(random.below(250))).await;
        agent = if round % 5 == 4 {
            agent.kill()?;
            drop(agent);
            env.agent(&[]).await?
        } else {
            agent.restart(&kubeconfig, &[]).await?
        };
        if round % 6 == 5 {
            converges(&env, &commit, &said).await.with_context(|| format!("round {round}"))?;
        }
    }
    let commit = change(&repository, &mut said, &mut random)?;
    converges(&env, &commit, &said).await?;

    // The API server goes away and comes back.
    env.cluster.restart_apiserver(Duration::from_secs(3)).await?;
    let commit = change(&repository, &mut said, &mut random)?;
    converges(&env, &commit, &said).await.context("after the API server was restarted")?;
    agent.check()?;
    let any = said.keys().next().context("git says something")?;
    env.cluster.must(&["-n", "kill", "delete", "configmap", &any.1]).await?;
    converges(&env, &commit, &said).await.context("drift after the API server was restarted")?;

    // SIGTERM ends it in time, and what it said is true.
    change(&repository, &mut said, &mut random)?;
    tokio::time::sleep(Duration::from_millis(random.below(3000))).await;
    let (status, took) = agent.terminate(Duration::from_secs(5))?;
    assert!(status.success(), "{status}");
    assert!(took < Duration::from_secs(5), "{took:?}");
    drop(agent);
    let commit = change(&repository, &mut said, &mut random)?;
    let _agent = env.agent(&[]).await?;
    converges(&env, &commit, &said).await
}
