//! The Syncs of the namespace that follow a branch of the repository, and the commits of these branches. I/O: git, shared with the
//! Syncs.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;

use super::memory::Memory;
use super::{Found, Pass};
use crate::api::{Sync, SyncStatus};
use crate::error::StageError as _;
use crate::reconcile::claims::name;
use crate::reconcile::source;
use crate::reconcile::sync_at::SyncAt;
use crate::report::Failure;
use crate::source::{GitRef, Location};
use crate::sync_ref::SyncRef;

/// The pause after a base that cannot be fetched.
const PAUSE: Duration = Duration::from_secs(10);

/// A Sync that follows a branch of the repository.
pub struct Followed {
    pub branch: String,
    pub owner: SyncRef,
    pub sync: Arc<Sync>,
}

impl Pass<'_> {
    /// The Syncs of the namespace that follow a branch of the repository, by name.
    pub(super) fn followed(&self) -> Vec<Followed> {
        let Ok(repository) = Location::parse(&self.repository.spec.url, None) else { return Vec::new() };
        let is_here = |sync: &Sync| {
            sync.metadata.namespace.as_deref() == Some(self.owner.namespace.as_str())
                && sync.metadata.deletion_timestamp.is_none()
                && Location::parse(&sync.spec.source.git.url, None)
                    .is_ok_and(|location| location.is_same_repository(&repository))
        };
        let all = self.services.cluster.syncs.state().into_iter().filter(|sync| is_here(sync));
        let mut found: Vec<Followed> = all
            .filter_map(|sync| {
                let branch = source::branch(sync.spec.source.git.reference.as_ref())?;
                Some(Followed { branch, owner: name(&sync)?, sync })
            })
            .collect();
        found.sort_by(|one, other| one.owner.cmp(&other.owner));
        found
    }

    /// The commits of the branches that pull requests are open for.
    pub(super) async fn bases(
        &self,
        memory: &Memory,
        followed: &[Followed],
        found: &mut Found,
    ) -> BTreeMap<String, String> {
        let mut bases = BTreeMap::new();
        for Followed { branch, .. } in followed {
            let is_open = memory.open.iter().flatten().any(|pull| pull.base == *branch);
            if !is_open || bases.contains_key(branch) {
                continue;
            }
            match self.base(branch, followed).await {
                Ok(commit) => drop(bases.insert(branch.clone(), commit)),
                Err(failure) => found.fail(failure, PAUSE),
            }
        }
        bases
    }

    async fn base(&self, branch: &str, followed: &[Followed]) -> Result<String, Failure> {
        let location = self.location(branch, followed).await?;
        let reference = GitRef::Branch(branch.to_owned());
        let (age, limit) = (self.repository.spec.interval(), Duration::from_mins(2));
        let base = self.services.sources.checkout(&location, &reference, age, limit).await;
        let base = base.map_err(|error| Failure::of("review", &error))?;
        Ok(base.revision().commit.clone())
    }

    /// The repository with the login of a Sync that follows a branch.
    pub(super) async fn location(&self, branch: &str, followed: &[Followed]) -> Result<Location, Failure> {
        let Some(one) = followed.iter().find(|one| one.branch == branch) else {
            return Err(Failure::internal("review", "no Sync follows the branch"));
        };
        let status = SyncStatus::default();
        let at = SyncAt { sync: &one.sync, owner: &one.owner, status: &status, now: Timestamp::now() };
        let location = source::location(&self.services.secrets, &self.services.policy, at).await;
        location.map_err(|error| Failure::user("review", error.name(), error.to_string()))
    }
}
