//! Opens a pull request that reverts a failed revision, for Syncs with `rollback.pullRequest: OnFailure`, and closes it when a newer
//! revision is healthy. Branches are never forced, and nothing is merged. I/O: Git, the forge.

use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use tracing::info;

use super::bases::Followed;
use super::memory::Memory;
use super::{Found, Pass};
use crate::api::{Author, RevertPolicy, RevertPullRequest, SyncStatus};
use crate::error::StageError as _;
use crate::forge::{ForgeError, Opened, Wanted};
use crate::report::Failure;
use crate::review::follow::commit;
use crate::review::revert::{self, Failed, Need, need};
use crate::source::{Checkout, Credential, GitRef, Graft, Location, NewCommit, Person, Signer, SourceError};

/// How often the status of the Syncs is checked, which costs no request.
const LOOK: Duration = Duration::from_secs(5);
/// How long a fetch or a push may take.
const LIMIT: Duration = Duration::from_mins(1);
/// Files in conflict that a message names.
const NAMED: usize = 5;

/// The revert of the files of a Sync.
struct Reverted {
    head: Checkout,
    grafts: Vec<Graft>,
}

impl Pass<'_> {
    /// Opens and closes the reverts of all Syncs.
    pub(super) async fn reverts(&self, memory: &mut Memory, followed: &[Followed], found: &mut Found) {
        let wants = |one: &&Followed| {
            one.sync.spec.rollback.is_some_and(|rollback| rollback.pull_request == RevertPolicy::OnFailure)
        };
        let wanted: Vec<&Followed> = followed.iter().filter(wants).collect();
        let is_kept = |sync: &String| wanted.iter().any(|one| one.owner.name() == sync);
        memory.reverts.retain(|sync, _| is_kept(sync));
        memory.healthy.retain(|sync, _| is_kept(sync));
        memory.reverting.retain(|sync, _| is_kept(sync));
        for one in wanted {
            found.soon(LOOK);
            let name = one.owner.name().to_owned();
            if memory.reverting.get(&name).is_some_and(|retry| !retry.is_due()) {
                continue;
            }
            match self.revert_of(memory, one).await {
                Ok(()) => drop(memory.reverting.remove(&name)),
                Err(failure) => {
                    memory.note(&failure, None);
                    memory.reverting.entry(name).or_default().failed(failure, None);
                }
            }
        }
    }

    async fn revert_of(&self, memory: &mut Memory, one: &Followed) -> Result<(), Failure> {
        let name = one.owner.name();
        let status = one.sync.status.clone().unwrap_or_default();
        match need(&status, memory.healthy.get(name).map(String::as_str)) {
            Need::Nothing => Ok(()),
            Need::Healthy(revision) => {
                let comment = revert::mended(&one.owner, &revision);
                memory.healthy.insert(name.to_owned(), revision);
                self.close_revert(memory, name, &comment).await
            }
            Need::Revert(failed) => {
                let known = memory.reverts.get(name);
                if known.is_some_and(|known| known.revision == failed.revision) {
                    return self.note_refusal(memory, name).await;
                }
                self.close_revert(memory, name, &revert::replaced(&one.owner, &failed.revision)).await?;
                let opened = self.open_revert(one, &failed, &status).await?;
                memory.reverts.insert(name.to_owned(), opened);
                // It is previewed like any other pull request.
                memory.stale = true;
                Ok(())
            }
        }
    }

    /// Closes the pull request of a Sync, if it is open.
    async fn close_revert(&self, memory: &mut Memory, name: &str, comment: &str) -> Result<(), Failure> {
        if let Some(RevertPullRequest { branch, base, number, refused: false, .. }) = memory.reverts.get(name)
        {
            let closed = self
                .proposals
                .close(self.target, branch, base, comment)
                .await
                .map_err(|error| forge(&error))?;
            if closed.is_some() {
                info!(repository = %self.owner, sync = name, number, "Closed a revert");
            }
        }
        memory.reverts.remove(name);
        Ok(())
    }

    /// Notes that a user closed the pull request. The forge is asked once in an interval.
    async fn note_refusal(&self, memory: &mut Memory, name: &str) -> Result<(), Failure> {
        let Some(known) = memory.reverts.get_mut(name).filter(|known| self.list && !known.refused) else {
            return Ok(());
        };
        known.refused =
            self.proposals.is_refused(self.target, known.number).await.map_err(|error| forge(&error))?;
        Ok(())
    }

    async fn open_revert(
        &self,
        one: &Followed,
        failed: &Failed,
        status: &SyncStatus,
    ) -> Result<RevertPullRequest, Failure> {
        let (sync, cluster) = (&one.owner, self.services.cluster.uid.as_str());
        let Some(good) = &failed.good else {
            let message = format!(
                "Sync {sync} failed at {}, and no earlier revision is known that worked; revert it by hand",
                failed.revision
            );
            return Err(Failure::user("review", "NothingToRevert", message));
        };
        let location = self.push_location()?;
        let Reverted { head, grafts } = self.reverted(&location, one, failed, good).await?;
        let files: Vec<String> = grafts.iter().map(|graft| graft.path().to_owned()).collect();
        let branch = revert::branch(cluster, sync, &failed.revision);
        let onto = self.services.sources.onto(&location, &branch, &head, None, LIMIT).await;
        let onto = onto.map_err(|error| Failure::of("review", &error))?;
        if onto.head().is_none_or(|found| found.id() == head.id()) {
            let at = failed.since.unwrap_or(self.now);
            let person = self.person(at);
            let signer = self.signer().await?;
            let commit = NewCommit {
                base: head,
                changes: Vec::new(),
                grafts,
                author: person.clone(),
                committer: person,
                message: revert::message(sync, failed, good),
                signer,
            };
            let pushed = self.services.sources.push(&location, &branch, &onto, &commit, LIMIT).await;
            pushed.map_err(|error| Failure::of("review", &error))?;
        }
        let wanted = Wanted {
            head: branch.clone(),
            base: one.branch.clone(),
            title: revert::title(sync, failed),
            body: revert::description(cluster, sync, failed, good, &files, &self.events(one).await, status),
            labels: Vec::new(),
        };
        let Opened { number, url, .. } =
            self.proposals.ensure(self.target, &wanted).await.map_err(|error| forge(&error))?;
        info!(repository = %self.owner, %sync, number, revision = failed.revision, "Opened a revert");
        let (sync, revision) = (sync.name().to_owned(), failed.revision.clone());
        Ok(RevertPullRequest {
            sync,
            revision,
            branch,
            base: one.branch.clone(),
            number,
            url,
            refused: false,
        })
    }

    /// Who makes the commit.
    fn person(&self, at: Timestamp) -> Person {
        let author = self.repository.spec.commit.as_ref().and_then(|commit| commit.author.clone());
        let Author { name, email } = author.unwrap_or_else(|| Author {
            name: "Holdfast".to_owned(),
            email: "holdfast@localhost".to_owned(),
        });
        Person { name, email, at }
    }

    /// The key with which the commit is signed.
    async fn signer(&self) -> Result<Option<Arc<Signer>>, Failure> {
        let Some(secret) = self.repository.spec.signing() else { return Ok(None) };
        let unfit = |why: String| {
            Failure::user("review", "SigningKeyUnreadable", format!("spec.commit.signing: {why}"))
        };
        let data = self.services.secrets.read(self.owner, &secret.name).await;
        let data = data.map_err(|error| unfit(error.to_string()))?;
        let signer =
            Signer::from_secret(&data).map_err(|error| unfit(format!("Secret {}: {error}", secret.name)))?;
        Ok(Some(Arc::new(signer)))
    }

    /// The repository with the login of the Repository, which may push where the login of a Sync need not.
    fn push_location(&self) -> Result<Location, Failure> {
        let failed = |error: SourceError| Failure::of("review", &error);
        let (url, data) = self.target.git();
        let credential = Credential::from_secret(&data).map_err(failed)?;
        let namespace = self.owner.namespace.as_str();
        let location = Location::parse(&url, Some(credential)).map_err(failed)?;
        Ok(location.for_tenant(namespace).within(self.services.policy.domain(namespace)))
    }

    /// The files of a Sync that changed from the last good revision to the failed one.
    async fn reverted(
        &self,
        location: &Location,
        one: &Followed,
        failed: &Failed,
        good: &str,
    ) -> Result<Reverted, Failure> {
        let checkout = async |reference: GitRef, age: Duration| {
            let found = self.services.sources.checkout(location, &reference, age, LIMIT).await;
            found.map_err(|error| Failure::of("review", &error))
        };
        let head = checkout(GitRef::Branch(one.branch.clone()), Duration::ZERO).await?;
        let then = checkout(GitRef::Commit(commit(&failed.revision).to_owned()), Duration::MAX).await?;
        let before = checkout(GitRef::Commit(commit(good).to_owned()), Duration::MAX).await?;
        let path = head.folder(one.sync.spec.path.as_deref().unwrap_or_default());
        let path = path.or_else(|_| before.folder(one.sync.spec.path.as_deref().unwrap_or_default()));
        let path = path.map_err(|error| Failure::user("review", error.name(), error.to_string()))?;
        let reads = self.services.peers.reads(&one.owner);
        let working = tokio::task::spawn_blocking(move || {
            let is_below = |file: &str| {
                path.is_empty() || file.strip_prefix(&path).is_some_and(|rest| rest.starts_with('/'))
            };
            let is_read =
                |file: &str| is_below(file) || reads.as_ref().is_some_and(|reads| reads.concerns(file));
            let kept = head.reverted(&then, &before, &is_read);
            kept.map(|kept| (head, kept))
        });
        let done = working.await.map_err(|error| Failure::internal("review", error.to_string()))?;
        let (head, kept) = done.map_err(|error| Failure::of("review", &error))?;
        let unfit = |message: String| Failure::user("review", "NothingToRevert", message);
        let sync = &one.owner;
        if !kept.both.is_empty() {
            let named: Vec<&str> = kept.both.iter().take(NAMED).map(String::as_str).collect();
            let message = format!(
                "Sync {sync} failed at {}, and files changed again after it, so it cannot be reverted by itself: {}",
                failed.revision,
                named.join(", ")
            );
            return Err(unfit(message));
        }
        if kept.grafts.is_empty() {
            let message = format!(
                "Sync {sync} failed at {}, and the files that it reads are those of {good}, so a revert mends nothing",
                failed.revision
            );
            return Err(unfit(message));
        }
        Ok(Reverted { head, grafts: kept.grafts })
    }
}

fn forge(error: &ForgeError) -> Failure {
    Failure::of("review", error)
}
