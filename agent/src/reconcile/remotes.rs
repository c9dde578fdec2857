//! Bases in other repositories, through the stage `source`: shallow, shared with all Syncs, asked for once in a while.
//!
//! I/O: through the stage.

use std::sync::Arc;
use std::time::Duration;

use futures::FutureExt as _;
use futures::future::BoxFuture;
use holdfast_diff::files::FilesError;

use super::trees::place;
use crate::render::ask::ReadRemote;
use crate::render::ask::RemoteTree;
use crate::render::outside::{Held, Remotes};
use crate::source::{Checkout, GitRef, Location, SourceError, Sources};

/// A ref that was asked for less than this ago is not asked for again.
const AGE: Duration = Duration::from_mins(1);
/// How long one answer may take.
const LIMIT: Duration = Duration::from_mins(1);

/// The repositories of kustomizations, read without a login.
pub struct GitRemotes {
    pub sources: Arc<Sources>,
}

impl Remotes for GitRemotes {
    fn open<'a>(
        &'a self,
        repository: &'a str,
        reference: &'a str,
    ) -> BoxFuture<'a, Result<(RemoteTree, Held), FilesError>> {
        async move {
            let found = checkout(&self.sources, repository, &refs(reference)).await;
            let (checkout, name) = found.map_err(|error| FilesError(format!("remote base: {error}")))?;
            let tree = RemoteTree { name, place: place(&checkout) };
            Ok((tree, Box::new(checkout) as Held))
        }
        .boxed()
    }
}

/// True if another repository is at another commit than the one that was read. One that does not answer is at the same.
pub async fn moved(sources: &Sources, read: &[ReadRemote]) -> bool {
    for ReadRemote { repository, reference: _, name, commit } in read {
        match checkout(sources, repository, std::slice::from_ref(name)).await {
            Ok((checkout, _)) if checkout.revision().commit != *commit => return true,
            _ => {}
        }
    }
    false
}

/// The first of these refs that is there, and its name.
async fn checkout(
    sources: &Sources,
    repository: &str,
    names: &[String],
) -> Result<(Checkout, String), SourceError> {
    let location = Location::parse(repository, None)?;
    let mut missing = None;
    for name in names {
        let wanted = if is_commit(name) { GitRef::Commit(name.clone()) } else { GitRef::Name(name.clone()) };
        match sources.checkout(&location, &wanted, AGE, LIMIT).await {
            Ok(checkout) => return Ok((checkout, name.clone())),
            Err(error @ SourceError::RefNotFound { .. }) => missing = Some(error),
            Err(error) => return Err(error),
        }
    }
    let reference = names.join(" or ");
    Err(missing.unwrap_or(SourceError::RefNotFound {
        url: location.to_string(),
        reference,
        near: String::new(),
    }))
}

/// What a ref in a URL may mean, in the order in which it is tried.
fn refs(reference: &str) -> Vec<String> {
    if reference.is_empty() {
        vec!["HEAD".to_owned()]
    } else if is_commit(reference) {
        vec![reference.to_lowercase()]
    } else if reference.starts_with("refs/") {
        vec![reference.to_owned()]
    } else {
        vec![format!("refs/tags/{reference}"), format!("refs/heads/{reference}")]
    }
}

fn is_commit(name: &str) -> bool {
    name.len() == 40 && name.bytes().all(|byte| byte.is_ascii_hexdigit())
}
