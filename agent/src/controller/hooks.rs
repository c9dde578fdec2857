//! Webhooks: registers the endpoints of objects, and handles calls. A call only requests a check of the server.
//!
//! I/O: reads Secrets, which are watched.

use tokio::sync::mpsc::UnboundedSender;

use super::agent::Agent;
use crate::api::Hook;
use crate::reconcile::services::Services;
use crate::reconcile::sync_at::SyncAt;
use crate::report::Failure;
use crate::secret_data::SecretData;
use crate::server::Token;
use crate::server::hooks::Endpoint;
use crate::subject::{Kind, Subject};

/// Registers the endpoint of a Sync with `spec.webhook`. Returns its path.
pub(super) async fn of_sync(agent: &Agent, at: SyncAt<'_>) -> Result<Option<String>, Failure> {
    open(agent, at.owner.into(), at.sync.spec.webhook.as_ref()).await
}

/// Registers the endpoint of an ImageUpdate with `spec.webhook`. Returns its path.
pub(super) async fn of_update(
    agent: &Agent,
    update: &Subject,
    hook: Option<&Hook>,
) -> Result<Option<String>, Failure> {
    open(agent, update.clone(), hook).await
}

/// Registers the endpoint of a Repository with `spec.webhook`. Returns its path.
pub(super) async fn of_repository(
    agent: &Agent,
    repository: &Subject,
    hook: Option<&Hook>,
) -> Result<Option<String>, Failure> {
    open(agent, repository.clone(), hook).await
}

async fn open(agent: &Agent, owner: Subject, hook: Option<&Hook>) -> Result<Option<String>, Failure> {
    let Some(Hook { provider, secret_ref }) = hook else {
        agent.hooks.remove(&owner);
        return Ok(None);
    };
    let unfit = |said: String| {
        let message = format!("spec.webhook, Secret {}: {said}", secret_ref.name);
        Failure::user("source", "WebhookInvalid", message)
    };
    let read = agent.services.secrets.read(&owner, &secret_ref.name).await;
    let token = read.map_err(|error| error.to_string()).and_then(|data| {
        let token = SecretData::of(&data).needed("token").map_err(|error| error.to_string())?;
        Token::parse(token).map_err(|error| error.to_string())
    });
    match token {
        Ok(token) => Ok(Some(agent.hooks.set(owner, Endpoint { provider: *provider, token }))),
        Err(said) => {
            agent.hooks.remove(&owner);
            Err(unfit(said))
        }
    }
}

/// Handles a call: requests a run of a Sync, or returns the ImageUpdate that the call is for. `reviews` receives Repositories.
pub(super) fn called(
    services: &Services,
    reviews: &UnboundedSender<Subject>,
    owner: Subject,
) -> Option<Subject> {
    if owner.kind == Kind::Repository {
        // The receiver ends with the process.
        let _ = reviews.send(owner);
        return None;
    }
    let Some(sync) = owner.sync() else { return Some(owner) };
    services.calls.note(&sync);
    services.wake(sync);
    None
}
