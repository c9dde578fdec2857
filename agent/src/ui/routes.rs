//! Which address has which page. I/O: HTTP, API requests about visitors.

use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::sync::Arc;

use axum::Router;
use axum::extract::{ConnectInfo, Path, RawQuery, State};
use axum::http::{HeaderMap, Uri};
use axum::middleware::from_fn_with_state;
use axum::response::Response;
use axum::routing::{get, post};
use jiff::Timestamp;
use kube::ResourceExt as _;

use super::access::Visitor;
use super::answer::{self, value};
use super::desk::Desk;
use super::form::Form;
use super::home::home as home_value;
use super::images::images as images_value;
use super::live::Live;
use super::objects::objects;
use super::query::Query;
use super::sync::Page;
use super::who::visitor;
use super::{act, assets, guarded, pages, sign_in, stream};
use crate::api::{ImageUpdate, Sync};
use crate::cluster::people::PersonError;
use crate::sync_ref::SyncRef;

/// Anything that a visitor may read, or the answer in its place.
type Found<T> = Result<T, Box<Response>>;

pub fn routes(desk: Arc<Desk>) -> Router {
    Router::new()
        .route("/", get(home))
        .route("/drift", get(drift))
        .route("/images", get(images))
        .route("/syncs/{namespace}/{name}", get(sync))
        .route("/syncs/{namespace}/{name}/{deed}", post(act::act))
        .route("/login", get(sign_in::page).post(sign_in::sign_in))
        .route("/logout", post(sign_in::sign_out))
        .route("/open", get(sign_in::open))
        .route("/events", get(stream::events))
        .route("/static/{file}", get(assets::serve))
        .fallback(missing)
        .with_state(desk.clone())
        .layer(from_fn_with_state(desk, guarded::guard))
}

/// A request, and who sends it.
struct Visit {
    desk: Arc<Desk>,
    headers: HeaderMap,
    visitor: Visitor,
    live: Arc<Live>,
}

async fn enter(desk: Arc<Desk>, peer: SocketAddr, headers: HeaderMap, uri: &Uri) -> Found<Visit> {
    let path = uri.path_and_query().map_or("/", |path| path.as_str());
    let visitor = visitor(&desk, &headers, peer.ip())
        .await
        .map_err(|refusal| Box::new(answer::refused(&desk, &headers, path, &refusal)))?;
    match desk.live() {
        Some(live) => Ok(Visit { desk, headers, visitor, live }),
        None => Err(Box::new(answer::not_yet(&desk, &headers, Some(&visitor)))),
    }
}

impl Visit {
    fn unknown(&self, error: &PersonError) -> Response {
        answer::unknown_rights(&self.desk, &self.headers, &self.visitor, &error.to_string())
    }

    /// The Syncs that the visitor may read.
    async fn syncs(&self) -> Found<Vec<Arc<Sync>>> {
        let all = self.live.syncs.state();
        let namespaces: BTreeSet<String> = all.iter().filter_map(|sync| sync.namespace()).collect();
        let readable = self.desk.rights.namespaces(&self.visitor, "syncs", namespaces).await;
        let readable = readable.map_err(|error| Box::new(self.unknown(&error)))?;
        let may = |sync: &Arc<Sync>| sync.namespace().is_some_and(|namespace| readable.contains(&namespace));
        Ok(all.into_iter().filter(may).collect())
    }

    /// The ImageUpdates that the visitor may read.
    async fn updates(&self) -> Found<Vec<Arc<ImageUpdate>>> {
        let all = self.live.updates.state();
        let namespaces: BTreeSet<String> = all.iter().filter_map(|update| update.namespace()).collect();
        let readable = self.desk.rights.namespaces(&self.visitor, "imageupdates", namespaces).await;
        let readable = readable.map_err(|error| Box::new(self.unknown(&error)))?;
        let may = |update: &Arc<ImageUpdate>| {
            update.namespace().is_some_and(|namespace| readable.contains(&namespace))
        };
        Ok(all.into_iter().filter(may).collect())
    }

    async fn page(&self, name: &SyncRef, now: Timestamp) -> Found<Option<Page>> {
        let rights = &self.desk.rights;
        let namespace = name.namespace();
        let reads = rights
            .reads(&self.visitor, "syncs", namespace)
            .await
            .map_err(|error| Box::new(self.unknown(&error)))?;
        let Some(sync) = self.live.sync(name).filter(|_| reads) else { return Ok(None) };
        let asked = async {
            let reads = rights.reads(&self.visitor, "approvals", namespace).await?;
            let approvals = if reads { self.live.approvals(name) } else { Vec::new() };
            let objects = objects(&self.live, rights, &self.visitor, name).await?;
            let may = rights.of(&self.visitor, namespace).await?;
            Ok(Page::new(sync, approvals, objects, may, now))
        };
        asked.await.map(Some).map_err(|error| Box::new(self.unknown(&error)))
    }
}

/// The answer, whichever it is.
fn either(found: Found<Response>) -> Response {
    found.unwrap_or_else(|answer| *answer)
}

async fn home(
    State(desk): State<Arc<Desk>>,
    ConnectInfo(peer): ConnectInfo<SocketAddr>,
    uri: Uri,
    RawQuery(query): RawQuery,
    headers: HeaderMap,
) -> Response {
    let answered = async {
        let visit = enter(desk, peer, headers, &uri).await?;
        let (syncs, updates) = (visit.syncs().await?, visit.updates().await?);
        let frame = visit.desk.frame(Some(&visit.visitor), None);
        let query = Query::parse(&query.unwrap_or_default());
        let found = home_value(syncs, &updates, query, frame.now);
        Ok(value(&visit.headers, &found, |found| pages::home(found, &frame)))
    };
    either(answered.await)
}

async fn drift(
    State(desk): State<Arc<Desk>>,
    ConnectInfo(peer): ConnectInfo<SocketAddr>,
    uri: Uri,
    headers: HeaderMap,
) -> Response {
    let answered = async {
        let visit = enter(desk, peer, headers, &uri).await?;
        let mut syncs = visit.syncs().await?;
        syncs.retain(|sync| sync.status.as_ref().is_some_and(|status| status.drift.is_some()));
        syncs.sort_by_cached_key(|sync| (sync.namespace(), sync.name_any()));
        let frame = visit.desk.frame(Some(&visit.visitor), None);
        Ok(value(&visit.headers, &syncs, |syncs| pages::drift(syncs, &frame)))
    };
    either(answered.await)
}

async fn images(
    State(desk): State<Arc<Desk>>,
    ConnectInfo(peer): ConnectInfo<SocketAddr>,
    uri: Uri,
    headers: HeaderMap,
) -> Response {
    let answered = async {
        let visit = enter(desk, peer, headers, &uri).await?;
        let found = images_value(visit.updates().await?);
        let frame = visit.desk.frame(Some(&visit.visitor), None);
        Ok(value(&visit.headers, &found, |found| pages::images(found, &frame)))
    };
    either(answered.await)
}

async fn sync(
    State(desk): State<Arc<Desk>>,
    ConnectInfo(peer): ConnectInfo<SocketAddr>,
    Path((namespace, name)): Path<(String, String)>,
    uri: Uri,
    RawQuery(query): RawQuery,
    headers: HeaderMap,
) -> Response {
    let answered = async {
        let visit = enter(desk, peer, headers, &uri).await?;
        let done = done(Form::parse(query.unwrap_or_default().as_bytes()).get("done"));
        let frame = visit.desk.frame(Some(&visit.visitor), done);
        let Some(page) = visit.page(&SyncRef::new(namespace, name), frame.now).await? else {
            return Ok(answer::not_found(&visit.desk, &visit.headers, Some(&visit.visitor)));
        };
        Ok(value(&visit.headers, &page, |page| pages::sync(page, &frame)))
    };
    either(answered.await)
}

/// What was just done, in words.
fn done(deed: &str) -> Option<&'static str> {
    Some(match deed {
        "decide" => "Your decision is recorded. The agent acts on it in a moment.",
        "reconcile" => "A reconciliation is requested.",
        "suspend" => "The Sync is suspended.",
        "resume" => "The Sync is resumed.",
        "snooze" => "The drift is snoozed.",
        "unsnooze" => "The drift is no longer snoozed.",
        _ => return None,
    })
}

async fn missing(
    State(desk): State<Arc<Desk>>,
    ConnectInfo(peer): ConnectInfo<SocketAddr>,
    uri: Uri,
    headers: HeaderMap,
) -> Response {
    let answered = async {
        let visit = enter(desk, peer, headers, &uri).await?;
        Ok(answer::not_found(&visit.desk, &visit.headers, Some(&visit.visitor)))
    };
    either(answered.await)
}
