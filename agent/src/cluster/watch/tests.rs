//! The watches against a server that answers lists and keeps watches open.

use std::convert::Infallible;
use std::sync::atomic::{AtomicUsize, Ordering};

use holdfast_diff::object::ObjectId;
use http::{Request, Response};
use kube::Client;
use kube::client::Body;
use serde_json::json;
use tokio::sync::mpsc;
use zeroize::Zeroizing;

use super::*;
use crate::cluster::marks::Marks;

/// A server of ConfigMaps, one member of Sync `team/one` in each namespace. Cluster-wide lists are forbidden.
#[derive(Default)]
struct Server {
    whole: AtomicUsize,
    namespaced: AtomicUsize,
}

impl Server {
    fn answer(&self, request: &Request<Body>) -> Option<(u16, serde_json::Value)> {
        let uri = request.uri();
        if uri.query().is_some_and(|query| query.contains("watch=true")) {
            return None;
        }
        let namespace =
            uri.path().strip_prefix("/api/v1/namespaces/").and_then(|rest| rest.split('/').next());
        let Some(namespace) = namespace else {
            self.whole.fetch_add(1, Ordering::Relaxed);
            let message = "configmaps is forbidden: User \"system:serviceaccount:team:a\" cannot list resource \"configmaps\" in API group \"\" at the cluster scope";
            return Some((
                403,
                json!({"kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Failure",
                "message": message, "reason": "Forbidden", "code": 403}),
            ));
        };
        self.namespaced.fetch_add(1, Ordering::Relaxed);
        let owner = SyncRef::new("team", "one");
        let object = ObjectId::new(kind().kind.clone(), namespace, "a");
        let item = json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "a", "namespace": namespace, "uid": format!("u-{namespace}"),
            "resourceVersion": "7", "labels": {"applyset.kubernetes.io/part-of": owner.applyset()},
            "annotations": {"holdfast.dev/sync": owner.to_string()}}});
        let item = marks().stamp(&owner, &object, &item);
        Some((
            200,
            json!({"kind": "ConfigMapList", "apiVersion": "v1", "metadata": {"resourceVersion": "9"}, "items": [item]}),
        ))
    }
}

/// Watches of a server, and what Sync `team/one` acts as.
struct Stage {
    server: Arc<Server>,
    view: Arc<View>,
    acting: Arc<Mutex<Identity>>,
    watches: Watches,
}

impl Stage {
    fn new() -> Self {
        Self::limited_to(&[])
    }

    /// Watches of an agent that is limited to namespaces.
    fn limited_to(namespaces: &[&str]) -> Self {
        let namespaces: Vec<String> = namespaces.iter().map(|name| (*name).to_owned()).collect();
        let server = Arc::new(Server::default());
        let answering = server.clone();
        let service = tower::service_fn(move |request: Request<Body>| {
            let answer = answering.answer(&request);
            async move {
                let Some((code, body)) = answer else { return std::future::pending().await };
                let mut response = Response::new(Body::from(body.to_string().into_bytes()));
                *response.status_mut() = http::StatusCode::from_u16(code).expect("a code");
                Ok::<_, Infallible>(response)
            }
        });
        let (wake, woken) = mpsc::unbounded_channel();
        std::mem::forget(woken);
        let view = Arc::new(View::new(marks(), wake));
        let acting = Arc::new(Mutex::new(account("a")));
        let now = acting.clone();
        let acts_as: ActsAs = Arc::new(move |owner| (*owner == one()).then(|| now.lock().clone()));
        let clients = Arc::new(Clients::over(Client::new(service, "default")));
        let watches = Watches::new(clients, view.clone(), acts_as, &namespaces);
        Self { server, view, acting, watches }
    }

    async fn ensure(&self, owner: &SyncRef, identity: &Identity, places: &[&str]) -> Watched {
        let kind = kind();
        let places = places.iter().map(|place| Arc::from(*place)).collect();
        let wanted = Wanted { owner, identity, kind: &kind, places, former: BTreeSet::new() };
        self.watches.ensure(&wanted, Duration::from_mins(2)).await
    }

    /// The number of lists of the whole cluster and of namespaces.
    fn lists(&self) -> (usize, usize) {
        let Server { whole, namespaced } = &*self.server;
        (whole.load(Ordering::Relaxed), namespaced.load(Ordering::Relaxed))
    }
}

fn marks() -> Marks {
    Marks::own("cluster", &Zeroizing::new([1; 32])).expect("any 32 bytes are a seed")
}

fn one() -> SyncRef {
    SyncRef::new("team", "one")
}

fn account(name: &str) -> Identity {
    Identity::ServiceAccount { namespace: "team".into(), name: name.into() }
}

fn kind() -> Arc<ResourceType> {
    Arc::new(ResourceType {
        kind: Arc::new(GroupKind::new("", "ConfigMap")),
        version: "v1".to_owned(),
        plural: "configmaps".to_owned(),
        namespaced: true,
    })
}

#[tokio::test]
async fn many_namespaces_are_tried_as_a_whole_once_and_then_one_by_one() {
    let stage = Stage::new();
    let (a, few, many) = (account("a"), ["p", "q"], ["p", "q", "r", "s"]);
    let watched = stage.ensure(&one(), &a, &few).await;
    assert_eq!((watched.used.len(), watched.errors.len()), (2, 0));
    assert_eq!((stage.lists(), stage.view.count(&one())), ((0, 2), 2));
    stage.ensure(&one(), &a, &many).await;
    assert_eq!((stage.lists(), stage.view.count(&one())), ((1, 4), 4));
    stage.ensure(&one(), &a, &many).await;
    assert_eq!(stage.lists(), (1, 4));
}

#[tokio::test]
async fn a_sync_whose_marks_name_no_namespaces_is_seen_in_those_of_the_agent() {
    let stage = Stage::limited_to(&["p", "q"]);
    let (kind, owner, identity) = (kind(), one(), account("a"));
    let wanted = |places: &[&str]| Wanted {
        owner: &owner,
        identity: &identity,
        kind: &kind,
        places: places.iter().map(|place| Arc::from(*place)).collect(),
        former: BTreeSet::from(["".into()]),
    };
    for places in [&["p"][..], &[]] {
        let watched = stage.watches.ensure(&wanted(places), Duration::from_mins(2)).await;
        assert_eq!((watched.used.len(), watched.errors.len(), watched.unseen.len()), (2, 0, 0), "{places:?}");
    }
    assert_eq!((stage.lists(), stage.view.count(&one())), ((0, 2), 2));
}

#[tokio::test]
async fn namespaces_beyond_the_limit_are_one_error_and_no_request() {
    let stage = Stage::new();
    let names: Vec<String> = (0..=WATCHES).map(|at| format!("n{at}")).collect();
    let places: Vec<&str> = names.iter().map(String::as_str).collect();
    let watched = stage.ensure(&one(), &account("a"), &places).await;
    let said: Vec<String> = watched.errors.iter().map(ToString::to_string).collect();
    assert_eq!((said.len(), watched.used.len(), stage.lists()), (1, 0, (1, 0)));
    for part in ["2001 namespaces", "at most 2000", "list and watch on configmaps in the whole cluster"] {
        assert!(said[0].contains(part), "{said:?}");
    }
    assert!(watched.errors[0].forbidden);
}

#[tokio::test]
async fn the_agent_itself_watches_the_whole_cluster_and_says_what_is_missing() {
    let stage = Stage::new();
    let watched = stage.ensure(&one(), &Identity::Agent, &["p"]).await;
    let said: Vec<String> = watched.errors.iter().map(ToString::to_string).collect();
    assert!(
        said[0].contains("may not list configmaps in the whole cluster; grant the verb list"),
        "{said:?}"
    );
}

#[tokio::test]
async fn a_watch_feeds_the_members_of_syncs_that_act_as_its_identity_only() {
    let stage = Stage::new();
    let two = SyncRef::new("team", "two");
    stage.ensure(&two, &account("b"), &["p"]).await;
    assert_eq!(stage.view.count(&one()), 0);
    stage.ensure(&one(), &account("a"), &["p"]).await;
    assert_eq!(stage.view.count(&one()), 1);
    // The Sync acts as the other one from now on, whose watch passed over its members.
    *stage.acting.lock() = account("b");
    let watched = stage.ensure(&one(), &account("b"), &["p"]).await;
    stage.watches.keep(&one(), &watched.used);
    assert_eq!((stage.lists(), stage.view.count(&one())), ((0, 3), 1));
    assert_eq!(stage.watches.lock().running.len(), 1);
}

#[tokio::test]
async fn the_end_of_a_watch_forgets_what_no_other_one_feeds() {
    let stage = Stage::new();
    let a = account("a");
    let both = stage.ensure(&one(), &a, &["p", "q"]).await;
    stage.watches.keep(&one(), &both.used);
    let less = stage.ensure(&one(), &a, &["p"]).await;
    stage.watches.keep(&one(), &less.used);
    assert_eq!(stage.view.count(&one()), 1);
    assert_eq!(stage.watches.lock().running.len(), 1);
}

#[tokio::test]
async fn watches_of_syncs_that_come_and_go_end() {
    let stage = Stage::new();
    let names: Vec<SyncRef> = (0..2000).map(|at| SyncRef::new("team", format!("s{at}"))).collect();
    for (at, name) in names.iter().enumerate() {
        stage.ensure(name, &account(&format!("a{at}")), &["p"]).await;
    }
    let size = || {
        let state = stage.watches.lock();
        (state.running.len(), state.acting.len())
    };
    assert_eq!(size(), (2000, 2000));
    names.iter().for_each(|name| stage.watches.forget(name));
    assert_eq!(size(), (0, 0));
    let refused = (account("a"), (*kind()).clone());
    stage.watches.lock().refused.insert(refused, Instant::now());
    stage.watches.sweep(Instant::now() + REFUSED);
    assert!(stage.watches.lock().refused.is_empty());
}

#[tokio::test]
async fn a_namespace_that_is_no_name_is_not_asked_for() {
    for place in ["p/services/x:80/proxy/a?b=", "p/pods/x/log?follow=true&a=", "../p", "p%2fq", "p?a=b", "P"]
    {
        let stage = Stage::new();
        let watched = stage.ensure(&one(), &account("a"), &[place]).await;
        assert_eq!((watched.used.len(), watched.errors.len(), stage.lists()), (0, 1, (0, 0)), "{place}");
    }
}

#[tokio::test]
async fn the_watches_of_a_namespace_are_bounded_whatever_its_syncs_act_as() {
    let stage = Stage::new();
    // One is the watch of the whole cluster, which is refused.
    let names: Vec<String> = (1..WATCHES).map(|at| format!("n{at}")).collect();
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    assert_eq!(stage.ensure(&one(), &account("a"), &names).await.errors.len(), 0);
    let more = stage.ensure(&SyncRef::new("team", "two"), &account("b"), &["p"]).await;
    assert!(more.errors.iter().any(|error| error.said.contains("2000 kinds and namespaces already")));
    let other = Identity::ServiceAccount { namespace: "other".into(), name: "a".into() };
    assert_eq!(stage.ensure(&SyncRef::new("other", "one"), &other, &["p"]).await.errors.len(), 0);
}
