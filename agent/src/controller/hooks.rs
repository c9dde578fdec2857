//! Webhooks: registers the endpoints of objects, and handles calls. A call only requests a check of the server.
//!
//! I/O: reads Secrets, which are watched.

use super::agent::{Agent, owner};
use crate::api::Hook;
use crate::cluster::secrets::User;
use crate::reconcile::services::Services;
use crate::reconcile::sync_at::SyncAt;
use crate::report::Failure;
use crate::secret_data::SecretData;
use crate::server::Token;
use crate::server::hooks::{Endpoint, HookKind, HookOwner};
use crate::sync_ref::SyncRef;

/// Registers the endpoint of a Sync with `spec.webhook`. Returns its path.
pub(super) async fn of_sync(agent: &Agent, at: SyncAt<'_>) -> Result<Option<String>, Failure> {
    let owner = owner(HookKind::Sync, at.owner);
    open(agent, owner, at.sync.spec.webhook.as_ref(), User::Sync(at.owner.clone())).await
}

/// Registers the endpoint of an ImageUpdate with `spec.webhook`. Returns its path.
pub(super) async fn of_update(
    agent: &Agent,
    update: &SyncRef,
    hook: Option<&Hook>,
) -> Result<Option<String>, Failure> {
    open(agent, owner(HookKind::ImageUpdate, update), hook, User::Update(update.clone())).await
}

async fn open(
    agent: &Agent,
    owner: HookOwner,
    hook: Option<&Hook>,
    user: User,
) -> Result<Option<String>, Failure> {
    let Some(Hook { provider, secret_ref }) = hook else {
        agent.hooks.remove(&owner);
        return Ok(None);
    };
    let unfit = |said: String| {
        let message = format!("spec.webhook, Secret {}: {said}", secret_ref.name);
        Failure::user("source", "WebhookInvalid", message)
    };
    let read = agent.services.secrets.read(&user, &secret_ref.name).await;
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

/// Handles a call: requests a run of a Sync, or returns the ImageUpdate that the call is for.
pub(super) fn called(services: &Services, owner: HookOwner) -> Option<SyncRef> {
    let HookOwner { kind, namespace, name } = owner;
    let name = SyncRef::new(namespace, name);
    match kind {
        HookKind::Sync => {
            services.calls.note(&name);
            services.wake(name);
            None
        }
        HookKind::ImageUpdate => Some(name),
    }
}
