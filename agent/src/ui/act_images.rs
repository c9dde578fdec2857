//! `POST /images/<namespace>/<name>/unban`: a person lets versions be written again that were reverted or refused. I/O: API requests.

use std::sync::Arc;

use axum::body::Body;
use axum::extract::{Path, State};
use axum::http::StatusCode;
use axum::response::Response;
use holdfast_diff::visible;
use jiff::Timestamp;
use kube::Resource as _;
use kube::runtime::reflector::ObjectRef;
use tracing::info;

use super::access::Means;
use super::act::{allow, proven, refusal, status};
use super::answer::{self, problem};
use super::desk::Desk;
use super::visit::{Found, Visit};
use crate::api::{ImageUpdate, names};
use crate::cluster::deeds::unban;
use crate::cluster::people::Act;
use crate::report::events::Note;

/// The right that it needs.
fn needs(namespace: &str) -> Act<'_> {
    Act::Resource { verb: "patch", group: names::GROUP, resource: "imageupdates", namespace }
}

pub async fn act(
    State(desk): State<Arc<Desk>>,
    visit: Visit,
    Path((namespace, name, verb)): Path<(String, String, String)>,
    body: Body,
) -> Found<Response> {
    let Visit { headers, visitor, live, .. } = &visit;
    let reads = visit.known(desk.rights.reads(visitor, "imageupdates", &namespace).await)?;
    let update = live.updates.get(&ObjectRef::<ImageUpdate>::new(&name).within(&namespace));
    let Some(update) = update.filter(|_| reads && verb == "unban") else { return Err(visit.not_found()) };
    let fail = |status, text: &str| problem(headers, &visit.frame(), status, "Not done", text);
    let form = match proven(&desk, visitor, body).await {
        Ok(form) => form,
        Err(error) => return Ok(fail(status(&error), &error.to_string())),
    };
    let image = form.get("image");
    if !image.is_empty() && !update.spec.images.iter().any(|one| one.name == image) {
        return Ok(fail(StatusCode::NOT_FOUND, "the ImageUpdate has no such image"));
    }
    let hand = match allow(visitor, needs(&namespace)).await {
        Ok(Ok(hand)) => hand,
        Ok(Err(error)) => return Ok(fail(status(&error), &error.to_string())),
        Err(why) => return Ok(answer::unknown_rights(&desk, headers, visitor, &why)),
    };
    if let Err(error) = unban(&hand, &namespace, &name, image, Timestamp::now()).await {
        return Ok(fail(refusal(&error), &format!("Nothing was done: {error}")));
    }
    info!(update = %format!("{namespace}/{name}"), user = visitor.name, "Removed bans for a user of the web UI");
    if let (Means::Agents(_), Some(events)) = (&visitor.means, &live.events) {
        events.tell(Note {
            about: update.object_ref(&()),
            warning: false,
            reason: "RequestedByUser".to_owned(),
            action: "Act".to_owned(),
            text: visible::line(&format!("{} removed bans in the web UI", visitor.name)).into_owned(),
        });
    }
    Ok(answer::to("/images?done=unban"))
}
