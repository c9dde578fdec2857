//! The merge of a pull request in the mirror of the Syncs that follow its base, and the preview of it.
//!
//! Nothing is written beside new objects of the mirror: the plans use a copy of the live view. I/O: git, disk; through the stages.

use std::time::Duration;

use super::live::{Affected, Subject, affected};
use super::plan::Commit;
use super::preview::{Outcome, Preview, Side};
use crate::cluster::refusal::chain;
use crate::error::{Class, StageError};
use crate::reconcile::services::Services;
use crate::source::{
    Checkout, CloneOnDisk, GitRef, Location, MergeError, Merged, MergedTree, SourceError, merge,
};
use crate::sync_ref::SyncRef;

/// How long a fetch may take.
const FETCH: Duration = Duration::from_mins(2);

/// How often the commits are read if the mirror is replaced meanwhile.
const READS: usize = 3;

/// A pull request as it is previewed.
pub struct Proposed<'a> {
    /// As messages name it: `#7`.
    pub name: String,
    /// The commit of the head, and the ref at the server that leads to it.
    pub head: &'a str,
    pub head_ref: &'a str,
    /// The branch that it is merged into.
    pub base: &'a str,
    /// Where both parted, as the forge says.
    pub ancestor: Option<&'a str>,
}

/// Why there is no preview.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error(transparent)]
    Source(#[from] SourceError),
    #[error("{}", chain(.0))]
    Merge(#[from] MergeError),
    #[error("the head moved to {0} meanwhile")]
    HeadMoved(String),
    #[error("the mirror was replaced meanwhile")]
    MirrorReplaced,
    #[error("cannot merge: {0}")]
    Broken(String),
    #[error("the state of Sync {sync} cannot be confirmed: {said}")]
    Stale { sync: SyncRef, said: String },
}

/// Previews the merge of a pull request, for those of the Syncs that it affects. `location` is the source of one of them.
pub async fn preview(
    services: &Services,
    subjects: &[Subject],
    location: &Location,
    proposed: &Proposed<'_>,
) -> Result<Preview, Error> {
    let Proposed { name, base, .. } = proposed;
    let sides = Sides::read(services, location, proposed).await?;
    let shown = |name: &str, tree: &Checkout| Side { name: name.to_owned(), commit: tree.id().to_string() };
    let (base_side, head_side) = (shown(base, &sides.base), shown(name, &sides.head));
    let outcome = match sides.merged().await? {
        Merged::Conflicts { files, more } => Outcome::Conflicts { files, more },
        Merged::Clean(tree) => Outcome::Syncs(Box::pin(plans(services, subjects, &tree, base, name)).await?),
    };
    let cluster = Some(services.cluster.uid.clone());
    Ok(Preview { base: base_side, head: head_side, cluster, outcome })
}

/// What is merged. All of it is in one mirror.
struct Sides {
    base: Checkout,
    head: Checkout,
    ancestor: Option<Checkout>,
}

impl Sides {
    /// Reads them again if the mirror was replaced in between.
    async fn read(services: &Services, location: &Location, proposed: &Proposed<'_>) -> Result<Self, Error> {
        for _ in 0..READS {
            let sides = Self::read_once(services, location, proposed).await?;
            if sides.is_in_one_mirror() {
                return Ok(sides);
            }
        }
        Err(Error::MirrorReplaced)
    }

    async fn read_once(
        services: &Services,
        location: &Location,
        proposed: &Proposed<'_>,
    ) -> Result<Self, Error> {
        let sources = &services.sources;
        let branch = GitRef::Branch(proposed.base.to_owned());
        let reference = GitRef::Name(proposed.head_ref.to_owned());
        let (base, head) = tokio::try_join!(
            sources.checkout(location, &branch, Duration::ZERO, FETCH),
            sources.checkout(location, &reference, Duration::ZERO, FETCH),
        )?;
        if head.revision().commit != *proposed.head {
            return Err(Error::HeadMoved(head.revision().commit.clone()));
        }
        let ancestor = match proposed.ancestor {
            Some(commit) => {
                let commit = GitRef::Commit(commit.to_owned());
                Some(sources.checkout(location, &commit, Duration::MAX, FETCH).await?)
            }
            None => None,
        };
        Ok(Self { base, head, ancestor })
    }

    fn is_in_one_mirror(&self) -> bool {
        let all = [Some(&self.head), self.ancestor.as_ref()];
        all.into_iter().flatten().all(|tree| tree.mirror_folder() == self.base.mirror_folder())
    }

    /// Merges off the threads of others.
    async fn merged(self) -> Result<Merged, Error> {
        let Self { base, head, ancestor } = self;
        let merging = tokio::task::spawn_blocking(move || {
            let clone = CloneOnDisk::around(base.mirror_folder())?;
            merge(&clone, base.id(), head.id(), ancestor.as_ref().map(Checkout::id))
        });
        Ok(merging.await.map_err(|error| Error::Broken(error.to_string()))??)
    }
}

/// Plans the merge with a copy of the live view.
async fn plans(
    services: &Services,
    subjects: &[Subject],
    tree: &MergedTree,
    base: &str,
    name: &str,
) -> Result<Vec<super::preview::SyncPreview>, Error> {
    let aside = services.aside(|sync| subjects.iter().any(|one| one.owner == *sync));
    let (base, merge) = (Commit::base(tree, base), Commit::merge(tree, base, name));
    let affected: Affected<'_> = affected(&aside, subjects, &base, &merge).await?;
    for owner in affected.owners() {
        confirm(services, owner)?;
    }
    Ok(affected.plans(&aside, &base, &merge).await)
}

/// Makes sure that the live view shows the objects of a Sync as they are.
fn confirm(services: &Services, owner: &SyncRef) -> Result<(), Error> {
    let stale = |said: &str| Error::Stale { sync: owner.clone(), said: said.to_owned() };
    if services.peers.reads(owner).is_none() {
        return Err(stale("it has not been rendered since the agent started"));
    }
    let cluster = &services.cluster;
    match cluster.watches.trouble(owner, &cluster.view.kinds(owner)) {
        Some(said) => Err(stale(&said)),
        None => Ok(()),
    }
}

impl StageError for Error {
    fn class(&self) -> Class {
        match self {
            Self::Source(error) => error.class(),
            Self::Merge(_) => Class::User,
            Self::HeadMoved(_) | Self::MirrorReplaced | Self::Stale { .. } => Class::Transient,
            Self::Broken(_) => Class::Internal,
        }
    }

    fn name(&self) -> &'static str {
        match self {
            Self::Source(error) => error.name(),
            Self::Merge(_) => "MergeFailed",
            Self::HeadMoved(_) => "HeadMoved",
            Self::MirrorReplaced => "MirrorReplaced",
            Self::Broken(_) => "InternalError",
            Self::Stale { .. } => "Stale",
        }
    }
}
