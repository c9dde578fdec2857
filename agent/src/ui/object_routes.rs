//! The pages of one object: its fields and what belongs to it, and the logs of its pods. I/O: HTTP, API reads.

use axum::extract::{Path, RawQuery};
use axum::http::StatusCode;
use axum::response::Response;

use super::answer::{problem, value};
use super::form::Form;
use super::logs::{self, LogError};
use super::object::name::ObjectName;
use super::object::{Wanted, events as events_about, object as object_value};
use super::pages;
use super::visit::{Found, Instead, ReadSync, Visit};
use crate::sync_ref::SyncRef;

/// `/syncs/<namespace>/<name>/object?kind=…`
pub async fn object(
    mut visit: Visit,
    Path((namespace, name)): Path<(String, String)>,
    RawQuery(query): RawQuery,
) -> Found<Response> {
    let query = query.unwrap_or_default();
    visit.done = super::act::done(Form::parse(query.as_bytes()).get("done"));
    let frame = visit.frame();
    let ReadSync { sync, approvals, may } = visit.sync(&SyncRef::new(namespace, name)).await?;
    let Some(named) = ObjectName::parse(&query) else { return Err(visit.not_found()) };
    let (live, rights, visitor) = (&*visit.live, &visit.desk.rights, &visit.visitor);
    let wanted = Wanted { live, rights, visitor, sync, approvals, may, now: frame.now };
    match Box::pin(object_value(wanted, &named)).await {
        Ok(Some(found)) => Ok(value(&visit.headers, &found, |found| pages::object(found, &frame))),
        Ok(None) => Err(visit.not_found()),
        Err(error) => {
            let (status, text) = (StatusCode::SERVICE_UNAVAILABLE, error.to_string());
            Ok(problem(&visit.headers, &frame, status, "Not available", &text))
        }
    }
}

/// `/syncs/<namespace>/<name>/events`: the Events about the Sync itself.
pub async fn events(visit: Visit, Path((namespace, name)): Path<(String, String)>) -> Found<Response> {
    let ReadSync { sync, .. } = visit.sync(&SyncRef::new(namespace.as_str(), name)).await?;
    let uid = sync.metadata.uid.clone().unwrap_or_default();
    let read = events_about(&visit.desk.rights, &visit.visitor, &namespace, &uid).await;
    let frame = visit.frame();
    match visit.known(read)? {
        Ok(found) => Ok(value(&visit.headers, &found, |found| pages::events(&sync, found, &frame))),
        Err(why) => Ok(problem(&visit.headers, &frame, StatusCode::FORBIDDEN, "No Events", &why)),
    }
}

/// `/syncs/<namespace>/<name>/log?namespace=…&pod=…&container=…`
pub async fn log(
    visit: Visit,
    Path((namespace, name)): Path<(String, String)>,
    RawQuery(query): RawQuery,
) -> Found<Response> {
    let frame = visit.frame();
    let ReadSync { sync, .. } = visit.sync(&SyncRef::new(namespace, name)).await?;
    let read = async {
        let query = logs::query(&Form::parse(query.unwrap_or_default().as_bytes()))?;
        logs::log(&visit.desk.rights, &visit.visitor, sync, query).await
    };
    match read.await {
        Ok(log) => Ok(value(&visit.headers, &log, |log| pages::log(log, &frame))),
        Err(error) => Err(refused(&visit, &error)),
    }
}

/// `/syncs/<namespace>/<name>/log/follow?…`: the same as plain text that does not end.
pub async fn follow(
    visit: Visit,
    Path((namespace, name)): Path<(String, String)>,
    RawQuery(query): RawQuery,
) -> Found<Response> {
    visit.sync(&SyncRef::new(namespace, name)).await?;
    let read = async {
        let query = logs::query(&Form::parse(query.unwrap_or_default().as_bytes()))?;
        logs::follow(&visit.desk.rights, &visit.visitor, &query).await
    };
    read.await.map_err(|error| refused(&visit, &error))
}

fn refused(visit: &Visit, error: &LogError) -> Instead {
    problem(&visit.headers, &visit.frame(), error.status(), "No log", &error.to_string()).into()
}
