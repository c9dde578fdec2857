//! What would be deleted with a container: everything in a Namespace, and every object of a kind with its definition. A container
//! with an object that is kept is not deleted; the plan names the other objects.
//!
//! Read if a container is to be deleted, at most once in a few seconds. I/O: API reads.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::time::{Duration, Instant};

use futures::StreamExt as _;
use holdfast_diff::handling;
use holdfast_diff::object::{GroupKind, ObjectId};
use parking_lot::Mutex;
use serde_json::Value;

use super::Cluster;
use super::everything;
use super::refusal;
use super::requests::{Requests, ResourceType};
use crate::api::names;
use crate::identity::Identity;

/// How long the content of a container is cached: a plan that waits is made again at every run.
const BELIEVED: Duration = Duration::from_secs(10);
/// Kinds that are listed at the same time.
const SIDE_BY_SIDE: usize = 8;
/// Maximum number of objects of one kind that are read.
const OBJECTS: usize = 10_000;
/// Maximum number of objects that a message names.
const NAMED: usize = 5;

/// The content of each container, with the time of the read, by identity.
type Found = HashMap<(Identity, ObjectId), (Instant, Arc<Inside>)>;

/// A cache of the content of containers.
#[derive(Default)]
pub struct Contents(Mutex<Found>);

/// The objects in one container, without those that controllers create in it.
#[derive(Debug, Default)]
pub struct Inside {
    /// Each with the mark that keeps it, if it has one.
    pub objects: Vec<(ObjectId, Option<String>)>,
    /// True if there are more objects than were read.
    pub more: bool,
    /// Kinds that cannot be listed, so that objects of them may exist.
    pub unseen: Vec<String>,
    /// The kind that the container defines, if it is a definition.
    pub defines: Option<Arc<GroupKind>>,
}

/// True for objects whose deletion deletes the objects in them.
pub fn is_container(object: &ObjectId) -> bool {
    object.kind.is("", "Namespace") || is_definition(object)
}

fn is_definition(object: &ObjectId) -> bool {
    object.kind.is("apiextensions.k8s.io", "CustomResourceDefinition")
}

impl Contents {
    /// Reads the content of a container, as far as an identity may list it.
    pub async fn of(
        &self,
        cluster: &Cluster,
        requests: &Requests,
        kind: &ResourceType,
        container: &ObjectId,
    ) -> Result<Arc<Inside>, kube::Error> {
        let key = (requests.identity().clone(), container.clone());
        if let Some((_, inside)) = self.lock().get(&key).filter(|(since, _)| since.elapsed() < BELIEVED) {
            return Ok(inside.clone());
        }
        let mut inside = Inside::default();
        let (kinds, namespace) = if is_definition(container) {
            let definition = requests.get(kind, container).await?.unwrap_or_default();
            let kinds: Vec<_> = defined(&definition).into_iter().collect();
            inside.defines = kinds.first().map(|kind| kind.kind.clone());
            (kinds, "")
        } else {
            let all = everything::kinds(requests.client()).await?.into_iter();
            (all.filter(|kind| kind.namespaced && is_told(&kind.kind)).collect::<Vec<_>>(), &*container.name)
        };
        let lists = kinds.into_iter().map(|kind| {
            let (requests, namespace) = (requests.unbounded(), namespace.to_owned());
            async move {
                let listed = requests.metadata(&kind, &namespace, OBJECTS).await;
                (kind, listed)
            }
        });
        let mut lists = futures::stream::iter(lists).buffered(SIDE_BY_SIDE);
        while let Some((kind, listed)) = lists.next().await {
            match listed {
                Ok((items, more)) => {
                    inside.more |= more;
                    inside.objects.extend(items.iter().filter_map(|item| found(&kind, item)));
                }
                // The group is no longer served.
                Err(error) if super::requests::is_not_found(&error) => {}
                Err(error) => inside.unseen.push(format!("{}: {}", kind.kind, refusal::said(&error))),
            }
        }
        inside.objects.extend(cluster.view.kept_in(namespace).into_iter().filter(|_| !namespace.is_empty()));
        let inside = Arc::new(inside);
        let mut all = self.lock();
        all.retain(|_, (since, _)| since.elapsed() < BELIEVED);
        all.insert(key, (Instant::now(), inside.clone()));
        drop(all);
        Ok(inside)
    }

    fn lock(&self) -> parking_lot::MutexGuard<'_, Found> {
        self.0.lock()
    }
}

impl Inside {
    /// Returns why a container is not deleted: an object in it is kept, or Git has an object in it, which may not exist yet.
    pub fn holds(&self, container: &ObjectId, wanted: &HashSet<&ObjectId>) -> Option<String> {
        let kept = self.objects.iter().find_map(|(object, mark)| Some((object, mark.as_ref()?)));
        if let Some((object, mark)) = kept {
            return Some(format!("{object} in it is kept ({mark}), and would be deleted with it"));
        }
        let is_in = |object: &ObjectId| match &self.defines {
            Some(kind) => object.kind == *kind,
            None => container.kind.is("", "Namespace") && object.namespace == container.name,
        };
        let first = wanted.iter().filter(|object| is_in(object)).min()?;
        Some(format!("{first} in it is in Git, and would be deleted with it"))
    }

    /// True if it holds data, or an object of another Sync, apart from objects that are deleted anyway.
    pub fn has_foreign_data(
        &self,
        container: &ObjectId,
        going: &HashSet<&ObjectId>,
        is_of_another: &dyn Fn(&ObjectId) -> bool,
    ) -> bool {
        let is_foreign = |object: &ObjectId| {
            !going.contains(object)
                && (is_definition(container) || is_data(&object.kind) || is_of_another(object))
        };
        self.objects.iter().any(|(object, _)| is_foreign(object))
    }

    /// Describes the objects that would be deleted with the container, apart from those that are deleted anyway; `None` if there
    /// are none.
    pub fn risk(&self, container: &ObjectId, going: &HashSet<&ObjectId>) -> Option<String> {
        let others: Vec<&ObjectId> =
            self.objects.iter().map(|(object, _)| object).filter(|object| !going.contains(object)).collect();
        if others.is_empty() && self.unseen.is_empty() {
            return None;
        }
        let mut named: Vec<String> = others.iter().take(NAMED).map(ToString::to_string).collect();
        match others.len().checked_sub(NAMED).filter(|more| *more > 0) {
            Some(_) if self.more => named.push("many more".to_owned()),
            Some(more) => named.push(format!("{more} more")),
            None => {}
        }
        if !self.unseen.is_empty() {
            let kinds: Vec<&str> = self.unseen.iter().take(NAMED).map(String::as_str).collect();
            named.push(format!("kinds that cannot be listed ({})", kinds.join("; ")));
        }
        let what = if is_definition(container) {
            "deleting a CustomResourceDefinition deletes every object of its kind"
        } else {
            "deleting a Namespace deletes everything in it"
        };
        let count = match others.len() {
            0 => String::new(),
            1 => " (1 object)".to_owned(),
            many => format!(" ({}{many} objects)", if self.more { "more than " } else { "" }),
        };
        Some(format!("{what}, including objects that this plan does not delete{count}: {}", named.join(", ")))
    }
}

/// Reads one object of a list; `None` if a controller manages it, since it is deleted with its owner.
fn found(kind: &Arc<ResourceType>, item: &Value) -> Option<(ObjectId, Option<String>)> {
    let text = |name: &str| item.pointer("/metadata").and_then(|all| all.get(name)?.as_str());
    let owners = item.pointer("/metadata/ownerReferences").and_then(Value::as_array);
    if owners.into_iter().flatten().any(|owner| owner["controller"] == true) {
        return None;
    }
    let object = ObjectId::new(kind.kind.clone(), text("namespace").unwrap_or_default(), text("name")?);
    let comes_by_itself = (kind.kind.is("", "ServiceAccount") && *object.name == *"default")
        || (kind.kind.is("", "ConfigMap") && *object.name == *"kube-root-ca.crt");
    (!comes_by_itself).then(|| (object, handling::keeps(item)))
}

/// True for kinds whose objects hold data or run a workload that does. No controller can create these again.
fn is_data(kind: &GroupKind) -> bool {
    let is_custom = kind.group.contains('.') && !kind.group.ends_with(".k8s.io");
    let is_workload = matches!(kind.group.as_str(), "apps" | "batch") && kind.kind != "ControllerRevision";
    let is_core = kind.group.is_empty()
        && matches!(&*kind.kind, "PersistentVolumeClaim" | "Pod" | "ReplicationController" | "Secret");
    is_custom || is_workload || is_core
}

/// True for kinds that matter to a user who deletes a namespace: not those that controllers create for other objects.
fn is_told(kind: &GroupKind) -> bool {
    kind.kind != "Event" && !kind.is("", "Endpoints") && !kind.is(names::GROUP, "Approval")
}

/// Returns the kind that a CustomResourceDefinition defines, in its first served version.
fn defined(definition: &Value) -> Option<Arc<ResourceType>> {
    let text = |pointer: &str| definition.pointer(pointer).and_then(Value::as_str).map(str::to_owned);
    let versions = definition.pointer("/spec/versions").and_then(Value::as_array)?;
    let served = versions.iter().find(|version| version["served"] == true)?;
    Some(Arc::new(ResourceType {
        kind: Arc::new(GroupKind::new(text("/spec/group")?, text("/spec/names/kind")?)),
        version: served.get("name")?.as_str()?.to_owned(),
        plural: text("/spec/names/plural")?,
        namespaced: text("/spec/scope")? == "Namespaced",
    }))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn kind(group: &str, name: &str) -> Arc<ResourceType> {
        Arc::new(ResourceType {
            kind: Arc::new(GroupKind::new(group, name)),
            version: "v1".to_owned(),
            plural: format!("{}s", name.to_lowercase()),
            namespaced: true,
        })
    }

    fn map(name: &str) -> ObjectId {
        ObjectId::new(kind("", "ConfigMap").kind.clone(), "shop", name)
    }

    fn namespace() -> ObjectId {
        ObjectId::new(Arc::new(GroupKind::new("", "Namespace")), "", "shop")
    }

    #[test]
    fn what_is_kept_or_in_git_holds_its_container() {
        let inside = |mark: Option<&str>| Inside {
            objects: vec![(map("a"), None), (map("b"), mark.map(str::to_owned))],
            ..Inside::default()
        };
        let none = HashSet::new();
        let namespace = namespace();
        assert_eq!(inside(None).holds(&namespace, &none), None);
        let held = inside(Some("helm.sh/resource-policy: keep")).holds(&namespace, &none);
        assert!(held.is_some_and(|why| {
            why.starts_with("ConfigMap shop/b in it is kept (helm.sh/resource-policy: keep)")
        }));
        let wanted = map("a");
        let held = inside(None).holds(&namespace, &HashSet::from([&wanted]));
        assert!(held.is_some_and(|why| why.starts_with("ConfigMap shop/a in it is in Git")));
    }

    #[test]
    fn what_git_adds_holds_its_container_before_it_exists() {
        let new = ObjectId::new(kind("example.com", "Boat").kind.clone(), "shop", "one");
        let wanted = HashSet::from([&new]);
        let empty = Inside::default();
        assert!(
            empty.holds(&namespace(), &wanted).is_some_and(|why| why.contains("shop/one in it is in Git"))
        );
        let harbour = ObjectId::new(kind("", "Namespace").kind.clone(), "", "harbour");
        assert_eq!(empty.holds(&harbour, &wanted), None);

        let definition = kind("apiextensions.k8s.io", "CustomResourceDefinition").kind.clone();
        let definition = ObjectId::new(definition, "", "boats.example.com");
        let of = |name: &str| Inside {
            defines: Some(kind("example.com", name).kind.clone()),
            ..Inside::default()
        };
        assert!(of("Boat").holds(&definition, &wanted).is_some());
        assert_eq!(of("Ship").holds(&definition, &wanted), None);
        // A definition of which no version is served defines nothing.
        assert_eq!(empty.holds(&definition, &wanted), None);
    }

    #[test]
    fn what_goes_along_is_named() {
        let objects = (0..8).map(|at| (map(&format!("m{at}")), None)).collect();
        let unseen = vec!["Secret: may not list".to_owned()];
        let inside = Inside { objects, unseen, ..Inside::default() };
        let going = [map("m0"), map("m1")];
        let going: HashSet<&ObjectId> = going.iter().collect();
        let said = inside.risk(&namespace(), &going).unwrap_or_default();
        for part in
            ["(6 objects): ConfigMap shop/m2", "1 more", "kinds that cannot be listed (Secret: may not list)"]
        {
            assert!(said.contains(part), "{said}");
        }
        assert!(!said.contains("shop/m1"), "{said}");
        assert_eq!(Inside::default().risk(&namespace(), &going), None);
    }

    #[test]
    fn data_of_others_is_told_from_what_can_be_made_again() {
        let inside = |group: &str, name: &str| Inside {
            objects: vec![(ObjectId::new(kind(group, name).kind.clone(), "shop", "x"), None)],
            ..Inside::default()
        };
        for (group, name, expected) in [
            ("", "PersistentVolumeClaim", true),
            ("", "Secret", true),
            ("apps", "StatefulSet", true),
            ("batch", "CronJob", true),
            ("example.com", "Database", true),
            ("", "ConfigMap", false),
            ("rbac.authorization.k8s.io", "RoleBinding", false),
            ("coordination.k8s.io", "Lease", false),
        ] {
            let found = inside(group, name).has_foreign_data(&namespace(), &HashSet::new(), &|_| false);
            assert_eq!(found, expected, "{name}.{group}");
        }
        let secret = inside("", "Secret");
        let own = secret.objects[0].0.clone();
        assert!(!secret.has_foreign_data(&namespace(), &HashSet::from([&own]), &|_| false));
        let of_another = inside("", "ConfigMap");
        assert!(of_another.has_foreign_data(&namespace(), &HashSet::new(), &|_| true));
    }

    #[test]
    fn what_controllers_keep_is_not_told() {
        let item = |name: &str, more: Value| {
            let mut item = json!({"metadata": {"name": name, "namespace": "shop"}});
            item["metadata"]
                .as_object_mut()
                .expect("it has metadata")
                .extend(more.as_object().cloned().unwrap_or_default());
            item
        };
        let owned = json!({"ownerReferences": [{"controller": true, "uid": "u"}]});
        assert_eq!(found(&kind("", "Pod"), &item("p", owned)), None);
        assert_eq!(found(&kind("", "ServiceAccount"), &item("default", json!({}))), None);
        assert!(found(&kind("", "ServiceAccount"), &item("own", json!({}))).is_some());
        let kept = json!({"annotations": {"holdfast.dev/prune": "Disabled"}});
        let (_, mark) = found(&kind("", "ConfigMap"), &item("c", kept)).expect("it is found");
        assert_eq!(mark.as_deref(), Some("holdfast.dev/prune: Disabled"));
    }
}
