//! Which address has which page. I/O: HTTP, API requests about visitors.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use axum::Router;
use axum::extract::{Path, RawQuery};
use axum::middleware::from_fn_with_state;
use axum::response::Response;
use axum::routing::{get, post};
use kube::ResourceExt as _;

use super::answer::value;
use super::desk::Desk;
use super::form::Form;
use super::graph::graph as graph_value;
use super::home::home as home_value;
use super::images::images as images_value;
use super::objects::objects;
use super::plan::{Reader, plan as plan_value};
use super::pulls::pull_requests;
use super::query::Query;
use super::sync::Page;
use super::visit::{Found, ReadSync, Visit};
use super::{act, act_images, assets, guarded, object_routes, pages, sign_in, stream};
use crate::sync_ref::SyncRef;

pub fn routes(desk: Arc<Desk>) -> Router {
    Router::new()
        .route("/", get(home))
        .route("/drift", get(drift))
        .route("/images", get(images))
        .route("/images/{namespace}/{name}/{deed}", post(act_images::act))
        .route("/pulls", get(pulls))
        .route("/graph", get(graph))
        .route("/syncs/{namespace}/{name}", get(sync))
        .route("/syncs/{namespace}/{name}/object", get(object_routes::object))
        .route("/syncs/{namespace}/{name}/plan", get(plan))
        .route("/syncs/{namespace}/{name}/events", get(object_routes::events))
        .route("/syncs/{namespace}/{name}/log", get(object_routes::log))
        .route("/syncs/{namespace}/{name}/log/follow", get(object_routes::follow))
        .route("/syncs/{namespace}/{name}/{deed}", post(act::act))
        .route("/login", get(sign_in::page).post(sign_in::sign_in))
        .route("/login/begin", get(sign_in::begin))
        .route("/login/callback", get(sign_in::callback))
        .route("/logout", post(sign_in::sign_out))
        .route("/open", get(sign_in::open))
        .route("/events", get(stream::events))
        .route("/static/{file}", get(assets::serve))
        .fallback(missing)
        .with_state(desk.clone())
        .layer(from_fn_with_state(desk, guarded::guard))
}

async fn home(visit: Visit, RawQuery(query): RawQuery) -> Found<Response> {
    let (syncs, updates) = (visit.syncs().await?, visit.updates().await?);
    let repositories = visit.repositories().await?;
    let frame = visit.frame();
    let query = Query::parse(&query.unwrap_or_default());
    let found = home_value(syncs, &updates, &repositories, query, frame.now);
    Ok(value(&visit.headers, &found, |found| pages::home(found, &frame)))
}

async fn drift(visit: Visit) -> Found<Response> {
    let mut syncs = visit.syncs().await?;
    syncs.retain(|sync| sync.status.as_ref().is_some_and(|status| status.drift.is_some()));
    syncs.sort_by_cached_key(|sync| (sync.namespace(), sync.name_any()));
    let frame = visit.frame();
    Ok(value(&visit.headers, &syncs, |syncs| pages::drift(syncs, &frame)))
}

async fn images(mut visit: Visit, RawQuery(query): RawQuery) -> Found<Response> {
    visit.done = act::done(Form::parse(query.unwrap_or_default().as_bytes()).get("done"));
    let updates = visit.updates().await?;
    let namespaces = updates.iter().filter_map(|update| update.namespace()).collect();
    let rights = &visit.desk.rights;
    let may = visit.known(rights.patches(&visit.visitor, "imageupdates", namespaces).await)?;
    let found = images_value(updates, may);
    let frame = visit.frame();
    Ok(value(&visit.headers, &found, |found| pages::images(found, &frame)))
}

async fn sync(
    mut visit: Visit,
    Path((namespace, name)): Path<(String, String)>,
    RawQuery(query): RawQuery,
) -> Found<Response> {
    let query = Form::parse(query.unwrap_or_default().as_bytes());
    visit.done = act::done(query.get("done"));
    let before = query.get("after").parse().unwrap_or(0);
    let (frame, name) = (visit.frame(), SyncRef::new(namespace, name));
    let ReadSync { sync, approvals, may } = visit.sync(&name).await?;
    let objects = objects(&visit.live, &visit.desk.rights, &visit.visitor, &name, before).await;
    let objects = visit.known(objects)?;
    let page = Page::new(sync, approvals, objects, may, frame.now);
    Ok(value(&visit.headers, &page, |page| pages::sync(page, &frame)))
}

/// `/syncs/<namespace>/<name>/plan`
async fn plan(
    visit: Visit,
    Path((namespace, name)): Path<(String, String)>,
    RawQuery(query): RawQuery,
) -> Found<Response> {
    let ReadSync { sync, may, .. } = visit.sync(&SyncRef::new(namespace, name)).await?;
    let page = Form::parse(query.unwrap_or_default().as_bytes()).get("page").parse().unwrap_or(1);
    let reader = Reader { live: &visit.live, rights: &visit.desk.rights, visitor: &visit.visitor };
    let found = visit.known(Box::pin(plan_value(reader, sync, may, page)).await)?;
    let frame = visit.frame();
    Ok(value(&visit.headers, &found, |found| pages::plan(found, &frame)))
}

async fn pulls(mut visit: Visit, RawQuery(query): RawQuery) -> Found<Response> {
    visit.done = act::done(Form::parse(query.unwrap_or_default().as_bytes()).get("done"));
    let repositories = visit.repositories().await?;
    let namespaces: BTreeSet<String> = repositories.iter().filter_map(|one| one.namespace()).collect();
    let rights = &visit.desk.rights;
    let readable = rights.namespaces(&visit.visitor, "syncs", namespaces.clone()).await;
    let readable = visit.known(readable)?;
    let mut may = BTreeMap::new();
    for namespace in namespaces {
        let rights = visit.known(rights.of(&visit.visitor, &namespace).await)?;
        may.insert(namespace, rights);
    }
    let may = |namespace: &str| may.get(namespace).copied().unwrap_or_default();
    let found = pull_requests(&repositories, &visit.live.pulls, &readable, may);
    let frame = visit.frame();
    Ok(value(&visit.headers, &found, |found| pages::pulls(found, &frame)))
}

async fn graph(visit: Visit) -> Found<Response> {
    let frame = visit.frame();
    let found = graph_value(&visit.syncs().await?, frame.now);
    Ok(value(&visit.headers, &found, |found| pages::graph(found, &frame)))
}

async fn missing(visit: Visit) -> Found<Response> {
    Err(visit.not_found())
}
