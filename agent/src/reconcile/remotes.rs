//! Bases in other repositories, through the stage `source`: shallow, shared with all Syncs, asked for once in a while.
//!
//! I/O: through the stage.

use std::sync::Arc;
use std::time::Duration;

use holdfast_diff::files::FilesError;
use tokio::runtime::Handle;

use crate::render::outside::{ReadRemote, Remote, Remotes};
use crate::source::{Checkout, GitRef, Location, SourceError, Sources};

/// A ref that was asked for less than this ago is not asked for again.
const AGE: Duration = Duration::from_mins(1);
/// How long one answer may take.
const LIMIT: Duration = Duration::from_mins(1);

/// The repositories of kustomizations, read without a login.
pub struct GitRemotes {
    pub sources: Arc<Sources>,
    pub runtime: Handle,
}

impl Remotes for GitRemotes {
    fn open(&self, repository: &str, reference: &str) -> Result<Remote, FilesError> {
        let checkout = self.runtime.block_on(checkout(&self.sources, repository, reference));
        let checkout = checkout.map_err(|error| FilesError(format!("remote base: {error}")))?;
        Ok(Remote { commit: checkout.revision().commit.clone(), files: Arc::new(checkout.files()) })
    }
}

/// True if another repository is at another commit than the one that was read. One that does not answer is at the same.
pub async fn moved(sources: &Sources, read: &[ReadRemote]) -> bool {
    for ReadRemote { repository, reference, commit } in read {
        match checkout(sources, repository, reference).await {
            Ok(checkout) if checkout.revision().commit != *commit => return true,
            _ => {}
        }
    }
    false
}

async fn checkout(sources: &Sources, repository: &str, reference: &str) -> Result<Checkout, SourceError> {
    let location = Location::parse(repository, None)?;
    let mut last = None;
    for wanted in refs(reference) {
        match sources.checkout(&location, &wanted, AGE, LIMIT).await {
            Err(error @ SourceError::RefNotFound { .. }) => last = Some(error),
            other => return other,
        }
    }
    let reference = reference.to_owned();
    Err(last.unwrap_or(SourceError::RefNotFound {
        url: location.to_string(),
        reference,
        near: String::new(),
    }))
}

/// What a ref in a URL may mean, in the order in which it is tried.
fn refs(reference: &str) -> Vec<GitRef> {
    let name = reference.to_owned();
    if reference.is_empty() {
        vec![GitRef::Name("HEAD".to_owned())]
    } else if reference.len() == 40 && reference.bytes().all(|byte| byte.is_ascii_hexdigit()) {
        vec![GitRef::Commit(name.to_lowercase())]
    } else if reference.starts_with("refs/") {
        vec![GitRef::Name(name)]
    } else {
        vec![GitRef::Tag(name.clone()), GitRef::Branch(name)]
    }
}
