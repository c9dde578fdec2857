//! Carries out one history in a namespace of its own, and asks the oracle at each quiet point. I/O: network, processes.

mod look;

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use holdfast_tests::agent::holdfast;
use http::Method;
use serde_json::{Value, json};

use super::history::{Act, History, Mode};
use super::kinds::Kind;
use super::oracle::{Before, Case, Seen, Violation};
use super::patience::Patience;
use super::stage::{Call, Refusal, Requests, Stage, git};
use super::world::World;
use super::writers::Writers;

/// What a history came to.
#[derive(Debug)]
pub struct Verdict {
    pub violations: Vec<Violation>,
    /// The evidence that is needed to judge it.
    pub evidence: Value,
}

/// Requests of the agent for each operation and object: far more than any plan needs, far less than a loop makes.
const REQUESTS: u64 = 25;
/// How long a look at the writes of the agent takes at the end, and how many looks find a loop.
const STILL: Duration = Duration::from_millis(700);
const LOOPS: usize = 5;

/// Runs a history. `None`: nothing is wrong.
pub async fn run(
    stage: &Stage,
    kinds: &'static [Kind],
    history: &History,
    namespace: &str,
) -> anyhow::Result<Option<Verdict>> {
    let slots = history.slots.iter().filter_map(|name| kinds.iter().find(|kind| kind.name == name));
    let slots = slots.map(|kind| Arc::new(kind.here(namespace))).collect();
    let folder = stage.folder.path().join(namespace);
    std::fs::create_dir_all(&folder)?;
    git(&folder, &["init", "--quiet", "-b", "main"]).await?;
    let mut run = Run {
        stage,
        namespace,
        folder,
        world: World::new(namespace, slots, history.mode),
        before: Before::default(),
        commit: String::new(),
        canon: Vec::new(),
        approved: BTreeMap::new(),
    };
    run.begin().await?;
    let verdict = run.all(history).await?;
    let verdict = match verdict {
        None => run.end().await?,
        some => some,
    };
    let ended = match verdict {
        None => run.delete().await?,
        some => some,
    };
    std::fs::remove_dir_all(&run.folder)?;
    let path = format!("/api/v1/namespaces/{namespace}");
    // It goes in its own time.
    let _ = run.call(Method::DELETE, path, Value::Null).await?;
    Ok(ended)
}

struct Run<'a> {
    stage: &'a Stage,
    namespace: &'a str,
    folder: PathBuf,
    world: World,
    before: Before,
    commit: String,
    /// Manifests that were tried, and what the API server made of them.
    canon: Vec<(Value, Result<Value, String>)>,
    /// The last plan of each Sync that was approved.
    approved: BTreeMap<&'static str, String>,
}

impl Run<'_> {
    async fn call(
        &self,
        method: Method,
        path: String,
        body: Value,
    ) -> anyhow::Result<Result<Value, Refusal>> {
        let content =
            if method == Method::PATCH { "application/merge-patch+json" } else { "application/json" };
        self.stage.call(Call { method, path, content, body }).await
    }

    fn syncs(&self) -> String {
        format!("/apis/holdfast.dev/v1alpha1/namespaces/{}/syncs", self.namespace)
    }

    /// The names of the Syncs, which are those of their folders.
    fn names(&self) -> &'static [&'static str] {
        if self.world.mode.two { &["app", "two"] } else { &["app"] }
    }

    fn writers(&self) -> Writers<'_> {
        Writers { stage: self.stage, namespace: self.namespace }
    }

    /// The namespace, an empty repository, and the Sync.
    async fn begin(&mut self) -> anyhow::Result<()> {
        let namespace = json!({"metadata": {"name": self.namespace}});
        let made = self.call(Method::POST, "/api/v1/namespaces".to_owned(), namespace).await?;
        made.map_err(|refusal| anyhow::anyhow!("{refusal:?}"))?;
        self.push().await?;
        let Mode { report, gated, .. } = self.world.mode;
        for name in self.names() {
            let sync = json!({"apiVersion": "holdfast.dev/v1alpha1", "kind": "Sync", "metadata": {"name": name}, "spec": {
                "source": {"git": {"url": format!("file://{}", self.folder.join(".git").display())}},
                "path": name,
                "interval": "1h",
                "approval": if gated { "Irreversible" } else { "Never" },
                "drift": {"mode": if report { "Report" } else { "Correct" }}}});
            let made = self.call(Method::POST, self.syncs(), sync).await?;
            made.map_err(|refusal| anyhow::anyhow!("{refusal:?}"))?;
        }
        Ok(())
    }

    async fn all(&mut self, history: &History) -> anyhow::Result<Option<Verdict>> {
        for (at, op) in history.ops.iter().enumerate() {
            self.world.now = at + 1;
            match &op.act {
                Act::Commit(edits) => {
                    edits.iter().for_each(|edit| self.world.apply(edit));
                    self.world.commit();
                    self.push().await?;
                }
                Act::Write { slot, write } => {
                    let writers = Writers { stage: self.stage, namespace: self.namespace };
                    writers.write(&mut self.world, *slot, write).await?;
                }
                Act::Approve => self.approve().await?,
                Act::Kill(wait) => {
                    tokio::time::sleep(Duration::from_millis(*wait)).await;
                    self.stage.kill().await?;
                }
            }
            if op.quiet {
                if let Some(verdict) = self.quiet().await? {
                    return Ok(Some(verdict));
                }
                self.world.quiet = self.world.now;
            }
        }
        Ok(None)
    }

    /// Writes the working tree, commits it, and asks the agent to look.
    async fn push(&mut self) -> anyhow::Result<()> {
        for (at, name) in self.names().iter().enumerate() {
            let folder = self.folder.join(name);
            // What is no longer in Git has no file.
            let _ = std::fs::remove_dir_all(&folder);
            std::fs::create_dir_all(&folder)?;
            let base = json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": format!("base-{name}")},
                "data": {"step": self.world.now.to_string()}});
            std::fs::write(folder.join("base.json"), serde_json::to_string_pretty(&base)?)?;
            let states = self.world.head().map_or(&[][..], |head| &head.states);
            for state in states.iter().filter(|state| state.sync == at) {
                let text = serde_json::to_string_pretty(&self.world.manifest(state))?;
                std::fs::write(folder.join(format!("slot-{}.json", state.id.slot)), text)?;
            }
        }
        git(&self.folder, &["add", "--all"]).await?;
        let message = format!("Step {}", self.world.now);
        git(&self.folder, &["commit", "--quiet", "--allow-empty", "-m", &message]).await?;
        self.commit = git(&self.folder, &["rev-parse", "HEAD"]).await?;
        for name in self.names().iter().filter(|_| self.world.now > 0) {
            let patch = json!({"metadata": {"annotations": {"holdfast.dev/reconcile-at": self.commit}}});
            let asked = self.call(Method::PATCH, format!("{}/{name}", self.syncs()), patch).await?;
            asked.map_err(|refusal| anyhow::anyhow!("{refusal:?}"))?;
        }
        Ok(())
    }

    /// Waits until the oracle has nothing to say, or nothing changes and it still has.
    async fn quiet(&mut self) -> anyhow::Result<Option<Verdict>> {
        let mut patience = Patience::new();
        loop {
            let seen = self.look().await?;
            let case = Case { world: &self.world, seen: &seen, before: &self.before };
            let violations = case.check();
            let is_underway = self.is_underway(&seen);
            if violations.is_empty() && !is_underway {
                self.before = remember(&seen);
                return Ok(None);
            }
            self.stage.check().await?;
            let now = json!([statuses(&seen), seen.live.values().collect::<Vec<_>>()]);
            let is_over = if seen.live.values().any(is_ending) {
                patience.is_spent().await
            } else {
                patience.is_over(self.stage, now).await?
            };
            if is_over && violations.is_empty() {
                self.before = remember(&seen);
                return Ok(None);
            }
            if is_over {
                return Ok(Some(self.verdict(violations, &seen).await?));
            }
        }
    }

    /// True if a plan is approved and the agent has not carried it out yet.
    fn is_underway(&self, seen: &Seen) -> bool {
        self.names().iter().zip(&seen.syncs).any(|(name, sync)| {
            let plan = &sync["status"]["plan"];
            let is_open = plan["state"] == "AwaitingApproval" || plan["state"] == "Applying";
            is_open && self.approved.get(name).is_some_and(|id| plan["id"] == **id)
        })
    }

    /// A moment later all is as it was, and the agent writes nothing more.
    async fn end(&mut self) -> anyhow::Result<Option<Verdict>> {
        let mut last = self.stage.requests(self.namespace).await?;
        let mut writes = Vec::new();
        // What was noticed last may still be put right; a loop goes on.
        for _ in 0..LOOPS {
            let first = last;
            tokio::time::sleep(STILL).await;
            last = self.stage.requests(self.namespace).await?;
            if last.writes == first.writes {
                writes.clear();
                break;
            }
            writes.push(last.writes - first.writes);
        }
        let seen = self.look().await?;
        let case = Case { world: &self.world, seen: &seen, before: &self.before };
        let mut violations = case.check();
        violations.extend(self.bounded(last, &writes));
        let is_open = Case { world: &self.world, seen: &seen, before: &self.before }.is_open();
        if violations.is_empty() && !is_open && seen.canon.values().all(Result::is_ok) {
            violations.extend(self.plan().await?);
        }
        if violations.is_empty() { Ok(None) } else { Ok(Some(self.verdict(violations, &seen).await?)) }
    }

    /// The command line plans what the agent does: nothing.
    async fn plan(&self) -> anyhow::Result<Option<Violation>> {
        for name in self.names() {
            let arguments =
                ["plan", name, "-n", self.namespace, "--exit-code", "--agent-namespace", "default"];
            let mut planned = holdfast(&self.stage.cluster.kubeconfig(), &arguments).await?;
            // On a busy machine the API server may not answer in time.
            for _ in 0..5 {
                if !String::from_utf8_lossy(&planned.stderr).contains("client error (Connect)") {
                    break;
                }
                self.stage.beat().await?;
                planned = holdfast(&self.stage.cluster.kubeconfig(), &arguments).await?;
            }
            if planned.status.code() != Some(0) {
                let text = [planned.stdout, planned.stderr].concat();
                return Ok(Some(violation("plan", String::from_utf8_lossy(&text).into_owned())));
            }
        }
        Ok(None)
    }

    /// Approves what waits, as the command line proposes it.
    async fn approve(&mut self) -> anyhow::Result<()> {
        for name in self.names() {
            let sync = self.stage.read(&format!("{}/{name}", self.syncs())).await?.unwrap_or_default();
            let plan = &sync["status"]["plan"];
            let Some(id) = plan["id"].as_str().filter(|_| plan["state"] == "AwaitingApproval") else {
                continue;
            };
            let arguments = ["approve", name, id, "-n", self.namespace, "--reason", "histories"];
            let approved = holdfast(&self.stage.cluster.kubeconfig(), &arguments).await?;
            if approved.status.success() {
                self.world.approved = Some(self.world.now);
                self.approved.insert(name, id.to_owned());
            }
        }
        Ok(())
    }

    /// The Syncs go, and everything that they brought, but for what a mark keeps.
    async fn delete(&mut self) -> anyhow::Result<Option<Verdict>> {
        let last = self.look().await?;
        for name in self.names() {
            let path = format!("{}/{name}", self.syncs());
            let gone = self.call(Method::DELETE, path.clone(), Value::Null).await?;
            gone.map_err(|refusal| anyhow::anyhow!("{refusal:?}"))?;
            let mut patience = Patience::new();
            while let Some(sync) = self.stage.read(&path).await? {
                if sync["status"]["plan"]["state"] == "AwaitingApproval" {
                    self.approve().await?;
                }
                let ending = self.look_at_objects().await?.live.values().any(is_ending);
                let is_over = if ending {
                    patience.is_spent().await
                } else {
                    patience.is_over(self.stage, sync["status"].clone()).await?
                };
                if is_over {
                    let text = format!("it is not gone: {}", sync["status"]);
                    return Ok(Some(self.verdict(vec![violation("deletion", text)], &last).await?));
                }
            }
        }
        let mut seen = self.look_at_objects().await?;
        seen.syncs = last.syncs;
        let case = Case { world: &self.world, seen: &seen, before: &self.before };
        let violations = case.after_deletion();
        if violations.is_empty() { Ok(None) } else { Ok(Some(self.verdict(violations, &seen).await?)) }
    }

    fn bounded(&self, requests: Requests, writes: &[u64]) -> Option<Violation> {
        let steps = u64::try_from((self.world.now + 2) * (self.world.ids().len() + 2)).unwrap_or(u64::MAX);
        let text = if requests.all > steps * REQUESTS {
            format!("{} requests for {} operations", requests.all, self.world.now)
        } else if !writes.is_empty() {
            format!("{writes:?} writes, each within {STILL:?}, while nothing changed")
        } else {
            return None;
        };
        Some(violation("requests", text))
    }

    async fn verdict(&self, violations: Vec<Violation>, seen: &Seen) -> anyhow::Result<Verdict> {
        let log =
            git(&self.folder, &["log", "--reverse", "-p", "--format=== %s %H", "--", "*slot-*"]).await?;
        let mut files = serde_json::Map::new();
        for state in self.world.head().map_or(&[][..], |head| &head.states) {
            let folder = self.names()[state.sync];
            files.insert(format!("{folder}/slot-{}.json", state.id.slot), self.world.manifest(state));
        }
        let named = |id: &super::world::Id| format!("{}/{}", self.world.kind(id.slot).kind(), id.name);
        let live: serde_json::Map<String, Value> =
            seen.live.iter().map(|(id, live)| (named(id), live.clone())).collect();
        let canon: serde_json::Map<String, Value> =
            seen.canon.iter().map(|(id, canon)| (named(id), json!(canon))).collect();
        let lines = self.stage.logged(&format!("{}/", self.namespace)).await?;
        let from = lines.len().saturating_sub(40);
        let evidence = json!({
            "namespace": self.namespace,
            "git": files,
            "commits": log.lines().collect::<Vec<_>>(),
            "live": live,
            "canonical": canon,
            "copies": seen.copies,
            "status": statuses(seen),
            "log": lines[from..],
        });
        Ok(Verdict { violations, evidence })
    }
}

fn statuses(seen: &Seen) -> Vec<&Value> {
    seen.syncs.iter().map(|sync| &sync["status"]).collect()
}

fn is_ending(live: &Value) -> bool {
    !live["metadata"]["deletionTimestamp"].is_null()
}

fn violation(check: &'static str, text: String) -> Violation {
    Violation { check, object: "Sync".to_owned(), path: String::new(), text }
}

fn remember(seen: &Seen) -> Before {
    let mut before = Before::default();
    for (id, live) in seen.live.iter().filter(|(_, live)| !is_ending(live)) {
        if let Some(uid) = live["metadata"]["uid"].as_str() {
            before.uids.insert(id.clone(), uid.to_owned());
        }
        if let Some(replicas) = live["spec"].get("replicas") {
            before.replicas.insert(id.clone(), replicas.clone());
        }
    }
    before
}
