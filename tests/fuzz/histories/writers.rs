//! Others who write: people with kubectl, tools that apply, controllers, backups. What the API server refuses has not
//! happened. I/O: network, processes.

use anyhow::Context as _;
use http::Method;
use serde_json::{Value, json};

use super::editor;
use super::fragment;
use super::history::{Choice, Write};
use super::kinds::Kind;
use super::stage::{Call, Stage};
use super::world::{By, Copy, Effect, Id, World, Wrote};

/// A writer at work in one namespace.
pub struct Writers<'a> {
    pub stage: &'a Stage,
    pub namespace: &'a str,
}

impl Writers<'_> {
    fn place(&self, kind: &Kind, name: &str) -> String {
        format!("{}/{name}", kind.path(self.namespace))
    }

    pub async fn live(&self, kind: &Kind, name: &str) -> anyhow::Result<Option<Value>> {
        self.stage.read(&self.place(kind, name)).await
    }

    /// Carries out a write, and notes in the log what came of it.
    pub async fn write(&self, world: &mut World, slot: usize, write: &Write) -> anyhow::Result<()> {
        let Some(kind) = world.slots.get(slot).cloned() else { return Ok(()) };
        let kind = &*kind;
        let id = world.id(slot);
        let tweaked = |choice: &Choice| {
            let mut all = world.choice(slot).to_vec();
            if let Some(chosen) = all.get_mut(choice.aspect) {
                *chosen = choice.variant;
            }
            all
        };
        let live = self.live(kind, &id.name).await?;
        if live.is_none()
            && !matches!(write, Write::Create(_) | Write::ClientApply(_) | Write::ServerApply { .. })
        {
            return Ok(());
        }
        let done = match write {
            Write::Edit(choice) => {
                self.edit(kind, &id, *choice).await?.then_some((By::Hand, Effect::Part(*choice)))
            }
            Write::Patch(choice) => {
                self.patch(kind, &id, *choice).await?.then_some((By::Hand, Effect::Part(*choice)))
            }
            Write::Verb(choice) => self.verb(kind, &id, *choice).await?.map(|effect| (By::Hand, effect)),
            Write::Operator { choice, force } => {
                let mut part = kind.part(choice.aspect, choice.variant);
                fragment::merge(
                    &mut part,
                    &json!({"apiVersion": kind.base["apiVersion"], "kind": kind.base["kind"], "metadata": {"name": id.name}}),
                );
                if let Some(within) = &kind.within {
                    fragment::merge(&mut part, &json!({"metadata": {"namespace": within}}));
                }
                let arguments = server_apply("my-operator", *force);
                self.kubectl(&arguments, &part).await?.then_some((By::Operator, Effect::Part(*choice)))
            }
            Write::ClientApply(choice) => {
                let all = tweaked(choice);
                let object = kind.object(&id.name, &all);
                let done = self.kubectl(&["apply", "--validate=false", "-f", "-"], &object).await?;
                done.then_some((By::Tool, Effect::Whole(all)))
            }
            Write::ServerApply { choice, manager, force } => {
                let all = tweaked(choice);
                let object = kind.object(&id.name, &all);
                let done = self.kubectl(&server_apply(manager.name(), *force), &object).await?;
                done.then_some((By::Tool, Effect::Whole(all)))
            }
            Write::Replace(choice) => {
                let all = tweaked(choice);
                let object = kind.object(&id.name, &all);
                let done = self.kubectl(&["replace", "--validate=false", "-f", "-"], &object).await?;
                done.then_some((By::Tool, Effect::Whole(all)))
            }
            Write::Create(choice) => {
                let all = tweaked(choice);
                let object = kind.object(&id.name, &all);
                let done = self.kubectl(&["create", "--validate=false", "-f", "-"], &object).await?;
                done.then_some((By::Tool, Effect::Whole(all)))
            }
            Write::Delete => {
                let place = format!("{}/{}", kind.resource(), id.name);
                let home = kind.home(self.namespace);
                let done =
                    self.kubectl(&["delete", "--wait=false", "-n", home, &place], &Value::Null).await?;
                done.then_some((By::Hand, Effect::Delete))
            }
            Write::Autoscale(count) => {
                self.autoscale(kind, &id, *count).await?.map(|effect| (By::Operator, effect))
            }
            Write::Strip => {
                let patch = json!({"metadata": {"managedFields": [{}]}});
                let done = self.merge(kind, &id, "backup", "application/merge-patch+json", &patch).await?;
                done.then_some((By::Hand, Effect::Strip))
            }
            Write::Copy { elsewhere } => {
                self.copy(world, &id, live, *elsewhere).await?;
                None
            }
        };
        let Some((by, effect)) = done else { return Ok(()) };
        // Between the write and this, the agent may have written too: only what others added is compared with it.
        let stored = self.live(kind, &id.name).await?.unwrap_or(Value::Null);
        world.writes.push(Wrote { at: world.now, since: world.quiet, id, by, effect, stored });
        Ok(())
    }

    /// Runs kubectl in the namespace of what it is given. False if the API server refuses, or kubectl does.
    async fn kubectl(&self, arguments: &[&str], input: &Value) -> anyhow::Result<bool> {
        let cluster = &self.stage.cluster;
        let namespace = input["metadata"]["namespace"].as_str().unwrap_or(self.namespace);
        let input = if input.is_null() { String::new() } else { input.to_string() };
        let all = [&["-n", namespace], arguments].concat();
        Ok(cluster.kubectl_with(&cluster.kubeconfig(), &all, &input).await?.status.success())
    }

    async fn merge(
        &self,
        kind: &Kind,
        id: &Id,
        manager: &str,
        content: &str,
        patch: &Value,
    ) -> anyhow::Result<bool> {
        let path = format!("{}?fieldManager={manager}", self.place(kind, &id.name));
        let call = Call { method: Method::PATCH, path, content, body: patch.clone() };
        Ok(self.stage.call(call).await?.is_ok())
    }

    async fn patch(&self, kind: &Kind, id: &Id, choice: Choice) -> anyhow::Result<bool> {
        let way = if kind.strategic { "strategic" } else { "merge" };
        let mut part = kind.part(choice.aspect, choice.variant);
        // A patch in another version is another request.
        fragment::remove(&mut part, &fragment::path("apiVersion"));
        let (place, part) = (format!("{}/{}", kind.resource(), id.name), part.to_string());
        let words = ["patch", "-n", kind.home(self.namespace), &place, "--type", way, "-p", &part];
        self.kubectl(&words, &Value::Null).await
    }

    /// Puts one variant of an aspect in place of another, by `kubectl edit`.
    async fn edit(&self, kind: &Kind, id: &Id, choice: Choice) -> anyhow::Result<bool> {
        let change = self.stage.folder.path().join(format!("{}.change.json", self.namespace));
        let Some(editor) = editor::command(kind, choice, &change)? else { return Ok(false) };
        let place = format!("{}/{}", kind.resource(), id.name);
        let arguments = ["-n", kind.home(self.namespace), "-o", "json", "--validate=false", &place];
        Ok(self.stage.cluster.kubectl_edit(&arguments, &editor).await?.status.success())
    }

    /// The verb of kubectl that is for such an aspect, if there is one.
    async fn verb(&self, kind: &Kind, id: &Id, choice: Choice) -> anyhow::Result<Option<Effect>> {
        let Some(aspect) = kind.aspects.get(choice.aspect) else { return Ok(None) };
        let part = kind.part(choice.aspect, choice.variant);
        let object = format!("{}/{}", kind.resource(), id.name);
        let leaf = fragment::leaves(&part)
            .into_iter()
            .find(|(path, _)| !path.is_empty() && !fragment::show(path).ends_with("/name"));
        let Some((path, value)) = leaf else { return Ok(None) };
        let text = value.as_str().map_or_else(|| value.to_string(), str::to_owned);
        let path = fragment::show(&path);
        let words: Vec<String> = match aspect.name {
            "label" => vec!["label".into(), "--overwrite".into(), object, format!("tier={text}")],
            "annotation" => {
                vec!["annotate".into(), "--overwrite".into(), object, format!("example.com/note={text}")]
            }
            "replicas" if kind.scales && value.is_number() => {
                vec!["scale".into(), object, format!("--replicas={text}")]
            }
            "image" => vec!["set".into(), "image".into(), object, format!("c0={text}")],
            "env-a" if path.ends_with("/value") => {
                vec!["set".into(), "env".into(), object, "-c".into(), "c0".into(), format!("A={text}")]
            }
            "env-b" if path.ends_with("/value") => {
                vec!["set".into(), "env".into(), object, "-c".into(), "c0".into(), format!("B={text}")]
            }
            _ => return Ok(None),
        };
        let mut words: Vec<&str> = words.iter().map(String::as_str).collect();
        words.extend(["-n", kind.home(self.namespace)]);
        Ok(self.kubectl(&words, &Value::Null).await?.then_some(Effect::Part(choice)))
    }

    /// Has an autoscaler hold the number of replicas: the one of Kubernetes for what runs pods, and else a controller that
    /// scales once.
    async fn autoscale(&self, kind: &Kind, id: &Id, count: u32) -> anyhow::Result<Option<Effect>> {
        if !kind.scales {
            return Ok(None);
        }
        let replicas = i64::from(count);
        if kind.base["apiVersion"] == "apps/v1" {
            let autoscaler = json!({"apiVersion": "autoscaling/v2", "kind": "HorizontalPodAutoscaler", "metadata": {"name": format!("of-{}", id.name)},
                "spec": {"minReplicas": count, "maxReplicas": count,
                    "scaleTargetRef": {"apiVersion": "apps/v1", "kind": kind.kind(), "name": id.name}}});
            let made = self.kubectl(&["apply", "-f", "-"], &autoscaler).await?;
            return Ok(made.then_some(Effect::Autoscaler(replicas)));
        }
        let path = format!("{}/scale?fieldManager=kube-controller-manager", self.place(kind, &id.name));
        let body = json!({"spec": {"replicas": count}});
        let call = Call { method: Method::PATCH, path, content: "application/merge-patch+json", body };
        Ok(self.stage.call(call).await?.is_ok().then_some(Effect::Replicas(replicas)))
    }

    /// Copies an object as a backup tool does: made from all of it, then `managedFields` are laid over.
    async fn copy(
        &self,
        world: &mut World,
        id: &Id,
        live: Option<Value>,
        elsewhere: bool,
    ) -> anyhow::Result<()> {
        let kind = world.slots[id.slot].clone();
        let source = live.context("it is there")?;
        let namespace = if elsewhere && !kind.cluster { "elsewhere" } else { self.namespace };
        let name = format!("{}-copy-{}-{}", id.name, self.namespace, world.now);
        let mut copy = source.clone();
        for path in [
            "status",
            "metadata/uid",
            "metadata/resourceVersion",
            "metadata/creationTimestamp",
            "metadata/generation",
            "spec/clusterIP",
            "spec/clusterIPs",
            "spec/healthCheckNodePort",
        ] {
            fragment::remove(&mut copy, &fragment::path(path));
        }
        for port in copy["spec"]["ports"].as_array_mut().into_iter().flatten() {
            if let Some(port) = port.as_object_mut() {
                port.remove("nodePort");
            }
        }
        fragment::merge(&mut copy, &json!({"metadata": {"name": name}}));
        if !kind.cluster {
            fragment::merge(&mut copy, &json!({"metadata": {"namespace": namespace}}));
        }
        let path = kind.path(namespace);
        let call = Call { method: Method::POST, path: path.clone(), content: "application/json", body: copy };
        if self.stage.call(call).await?.is_err() {
            return Ok(());
        }
        let patch = json!({"metadata": {"managedFields": source["metadata"]["managedFields"]}});
        let place = format!("{path}/{name}");
        let call = Call {
            method: Method::PATCH,
            path: place.clone(),
            content: "application/merge-patch+json",
            body: patch,
        };
        // It may be gone already, which the oracle tells.
        if let Ok(stored) = self.stage.call(call).await? {
            world.copies.push(Copy { slot: id.slot, namespace: namespace.to_owned(), name, stored });
        } else {
            let stored = json!({"metadata": {"name": name}});
            world.copies.push(Copy { slot: id.slot, namespace: namespace.to_owned(), name, stored });
        }
        Ok(())
    }
}

fn server_apply(manager: &str, force: bool) -> Vec<&str> {
    let mut arguments =
        vec!["apply", "--server-side", "--validate=false", "--field-manager", manager, "-f", "-"];
    if force {
        arguments.push("--force-conflicts");
    }
    arguments
}
