//! The agent is killed at any moment, and the API server goes away under it: in the end the cluster is exactly what git
//! says. `HOLDFAST_KILLS` names another number of kills than 30. I/O: processes, network.

use std::collections::{BTreeMap, BTreeSet};
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

/// ConfigMaps whose names end in an odd number are immutable: another value is another object.
fn is_immutable(name: &str) -> bool {
    name.ends_with(['1', '3', '5'])
}

fn file(at: usize, name: &str, value: u64) -> (String, String) {
    let (wave, immutable) = (value % 2, is_immutable(name));
    let text = format!(
        "apiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: {name}\n  annotations: {{holdfast.dev/wave: \"{wave}\", holdfast.dev/recreate: Allowed}}\ndata: {{value: \"{value}\"}}\nimmutable: {immutable}\n"
    );
    (format!("s{at}/{name}.yaml"), text)
}

/// The repository, and what is in it.
struct Git {
    repository: Repository,
    said: Said,
    random: Random,
    /// Objects that end by what was pushed since their UIDs were read.
    ended: BTreeSet<String>,
}

impl Git {
    /// Changes, adds, moves and removes a few objects, and pushes.
    fn change(&mut self) -> anyhow::Result<String> {
        for _ in 0..=self.random.below(3) {
            let at = usize::try_from(self.random.below(SYNCS as u64))?;
            let name = format!("s{}-m{}", self.random.below(SYNCS as u64), self.random.below(6));
            let owner = self.said.keys().find(|(_, known)| *known == name).map(|(owner, _)| *owner);
            match (self.random.below(4), owner) {
                (0, Some(owner)) if self.said.keys().filter(|(other, _)| *other == owner).count() > 3 => {
                    self.take(owner, &name)?;
                    self.ended.insert(name);
                }
                (1, Some(owner)) if self.said.keys().filter(|(other, _)| *other == owner).count() > 3 => {
                    let value = self.take(owner, &name)?;
                    self.put(at, &name, value)?;
                }
                (_, owner) => {
                    let value = self.random.below(1_000_000);
                    self.put(owner.unwrap_or(at), &name, value)?;
                    if is_immutable(&name) {
                        self.ended.insert(name);
                    }
                }
            }
        }
        self.repository.push_all("Change")
    }

    fn take(&mut self, at: usize, name: &str) -> anyhow::Result<u64> {
        std::fs::remove_file(self.repository.clone.join(file(at, name, 0).0))?;
        self.said.remove(&(at, name.to_owned())).context("git has it")
    }

    fn put(&mut self, at: usize, name: &str, value: u64) -> anyhow::Result<()> {
        let (path, text) = file(at, name, value);
        std::fs::write(self.repository.clone.join(path), text)?;
        self.said.insert((at, name.to_owned()), value);
        Ok(())
    }
}

/// What the cluster has of the Syncs, and the UID of each object.
async fn live(env: &Env) -> anyhow::Result<(Said, BTreeMap<String, String>)> {
    let text = env
        .cluster
        .must(&["-n", "kill", "get", "configmaps", "-l", "applyset.kubernetes.io/part-of", "-o", "json"])
        .await?;
    let list: Value = serde_json::from_str(&text)?;
    let (mut found, mut uids) = (Said::new(), BTreeMap::new());
    for item in list["items"].as_array().into_iter().flatten() {
        let owner = item["metadata"]["annotations"]["holdfast.dev/sync"].as_str().context("no owner")?;
        let at = owner.trim_start_matches("kill/s").parse()?;
        let name = item["metadata"]["name"].as_str().context("no name")?.to_owned();
        uids.insert(name.clone(), item["metadata"]["uid"].to_string());
        found.insert((at, name), item["data"]["value"].as_str().context("no value")?.parse()?);
    }
    Ok((found, uids))
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

/// Asks for a run of every Sync.
async fn ask(env: &Env, commit: &str) -> anyhow::Result<()> {
    let annotation = format!("holdfast.dev/reconcile-at={commit}");
    env.cluster.must(&["-n", "kill", "annotate", "--overwrite", "sync", "--all", &annotation]).await?;
    Ok(())
}

/// Waits until the cluster is what git says. What was there before and did not have to end is the same object still.
async fn converges(
    env: &Env,
    git: &mut Git,
    commit: &str,
    before: &mut BTreeMap<String, String>,
) -> anyhow::Result<()> {
    ask(env, commit).await?;
    let said = &git.said;
    holdfast_tests::eventually(Duration::from_mins(1), "the cluster to be what git says", || async {
        let (found, _) = live(env).await?;
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
    })
    .await?;
    let (_, now) = live(env).await?;
    for (name, uid) in before.iter().filter(|(name, _)| !git.ended.contains(*name)) {
        assert_eq!(now.get(name), Some(uid), "{name} was deleted and made again");
    }
    git.ended.clear();
    *before = now;
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn an_agent_that_is_killed_at_any_moment_converges() -> anyhow::Result<()> {
    let kills: u64 = std::env::var("HOLDFAST_KILLS").ok().and_then(|kills| kills.parse().ok()).unwrap_or(30);
    let mut env = Env::start().await?;
    let repository = env.forge.repository("kill").await?;
    let mut said = Said::new();
    let files = begin(&mut said);
    let files: Vec<(&str, &str)> = files.iter().map(|(path, text)| (&**path, &**text)).collect();
    repository.commit(&files, "Begin")?;
    let mut git = Git { repository, said, random: Random(0x9E37_79B9_7F4A_7C15), ended: BTreeSet::new() };
    env.namespace("kill").await?;
    for at in 0..SYNCS {
        let name = format!("s{at}");
        let more = json!({"path": name, "approval": "Never"});
        env.cluster.apply(&sync::sync("kill", &name, &git.repository.https_url, &more)).await?;
    }
    let kubeconfig = env.cluster.kubeconfig();
    let mut agent = env.agent(&[]).await?;
    let mut uids = BTreeMap::new();
    for round in 0..kills {
        let commit = git.change()?;
        ask(&env, &commit).await?;
        tokio::time::sleep(Duration::from_millis(git.random.below(250))).await;
        agent = if round % 5 == 4 {
            agent.kill()?;
            drop(agent);
            env.agent(&[]).await?
        } else {
            agent.restart(&kubeconfig, &[]).await?
        };
        if round % 6 == 5 {
            converges(&env, &mut git, &commit, &mut uids).await.with_context(|| format!("round {round}"))?;
        }
    }
    let commit = git.change()?;
    converges(&env, &mut git, &commit, &mut uids).await?;

    // The API server goes away and comes back, between two commits and in the middle of one.
    env.cluster.restart_apiserver(Duration::from_secs(3)).await?;
    let commit = git.change()?;
    converges(&env, &mut git, &commit, &mut uids).await.context("after the API server was restarted")?;
    agent.check()?;
    let (_, any) = git.said.keys().next().context("git says something")?.clone();
    env.cluster.must(&["-n", "kill", "delete", "configmap", &any]).await?;
    git.ended.insert(any);
    converges(&env, &mut git, &commit, &mut uids)
        .await
        .context("drift after the API server was restarted")?;
    let commit = git.change()?;
    ask(&env, &commit).await?;
    tokio::time::sleep(Duration::from_millis(100)).await;
    env.cluster.restart_apiserver(Duration::from_millis(500)).await?;
    converges(&env, &mut git, &commit, &mut uids).await.context("restarted in the middle of an apply")?;

    // etcd stands still for a while: nothing is answered, and nothing is lost.
    let commit = git.change()?;
    ask(&env, &commit).await?;
    env.cluster.pause_etcd(Duration::from_secs(20)).await?;
    converges(&env, &mut git, &commit, &mut uids).await.context("after etcd stood still")?;
    agent.check()?;

    // SIGTERM ends it in time, and what it said is true.
    git.change()?;
    tokio::time::sleep(Duration::from_millis(git.random.below(3000))).await;
    let (status, took) = agent.terminate(Duration::from_secs(5))?;
    assert!(status.success(), "{status}");
    assert!(took < Duration::from_secs(5), "{took:?}");
    drop(agent);
    let commit = git.change()?;
    let _agent = env.agent(&[]).await?;
    converges(&env, &mut git, &commit, &mut uids).await
}
