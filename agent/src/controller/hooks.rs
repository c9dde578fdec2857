//! Webhooks: which object takes calls, and what a call causes: a look, and nothing else.
//!
//! I/O: reads Secrets, which are watched.

use std::sync::Arc;

use crate::api::Hook;
use crate::cluster::secrets::User;
use crate::context::Context;
use crate::reconcile::Run;
use crate::report::Failure;
use crate::secret_data::SecretData;
use crate::server::Token;
use crate::server::hooks::{Endpoint, HookKind, HookOwner};
use crate::sync_ref::SyncRef;

/// Lets calls in for a Sync, or no more. Returns where.
pub(super) async fn of_sync(run: &Run<'_>) -> Result<Option<String>, Failure> {
    let owner = owner(HookKind::Sync, run.owner);
    open(run.context, owner, run.sync.spec.webhook.as_ref(), User::Sync(run.owner.clone())).await
}

/// Lets calls in for an ImageUpdate, or no more. Returns where.
pub(super) async fn of_update(
    context: &Context,
    update: &SyncRef,
    hook: Option<&Hook>,
) -> Result<Option<String>, Failure> {
    open(context, owner(HookKind::ImageUpdate, update), hook, User::Update(update.clone())).await
}

pub(super) fn owner(kind: HookKind, name: &SyncRef) -> HookOwner {
    HookOwner { kind, namespace: name.namespace().to_owned(), name: name.name().to_owned() }
}

async fn open(
    context: &Context,
    owner: HookOwner,
    hook: Option<&Hook>,
    user: User,
) -> Result<Option<String>, Failure> {
    let Some(Hook { provider, secret_ref }) = hook else {
        context.hooks.remove(&owner);
        return Ok(None);
    };
    let unfit = |said: String| {
        let message = format!("spec.webhook, Secret {}: {said}", secret_ref.name);
        Failure::user("source", "WebhookInvalid", message)
    };
    let read = context.secrets.read(&user, &secret_ref.name).await;
    let token = read.map_err(|error| error.to_string()).and_then(|data| {
        let token = SecretData::of(&data).needed("token").map_err(|error| error.to_string())?;
        Token::parse(token).map_err(|error| error.to_string())
    });
    match token {
        Ok(token) => Ok(Some(context.hooks.set(owner, Endpoint { provider: *provider, token }))),
        Err(said) => {
            context.hooks.remove(&owner);
            Err(unfit(said))
        }
    }
}

/// Causes the look that a call asks for. Returns the ImageUpdate, if it is for one.
pub(super) fn called(context: &Arc<Context>, owner: HookOwner) -> Option<SyncRef> {
    let HookOwner { kind, namespace, name } = owner;
    let name = SyncRef::new(namespace, name);
    match kind {
        HookKind::Sync => {
            context.memories.call(&name);
            context.wake(name);
            None
        }
        HookKind::ImageUpdate => Some(name),
    }
}
