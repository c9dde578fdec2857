//! Writes to repositories: reads the head of a branch, builds a commit on it, and pushes it.
//!
//! Each tenant has one push at a time for each branch of a repository. Pushes are never forced. I/O: network, disk.

use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};
use std::time::Duration;

use gix::ObjectId;
use tokio::time::{Instant, timeout_at};
use tokio_util::sync::CancellationToken;

use super::push::Update;
use super::refusal::PushError;
use super::write::{Built, NewCommit, WriteError, build};
use super::{Checkout, CommitId, GitRef, Location, SourceError, Sources, push, thread};
use crate::error::{Class, StageError as _};

/// The target of a commit: the expected head of the branch, and the parents of the commit.
#[derive(Clone)]
pub struct PushTarget {
    /// `None` if the branch must not exist.
    expected: Option<ObjectId>,
    parents: Vec<ObjectId>,
    /// Trees of existing commits: a commit with one of these trees would change nothing.
    trees: Vec<ObjectId>,
    head: Option<Checkout>,
    others: Others,
}

/// The last commit that the caller pushed to a branch.
#[derive(Clone, Copy)]
pub struct OwnCommit<'a> {
    pub commit: &'a str,
    /// Its base, if it also contains commits of other authors.
    pub base: Option<&'a str>,
}

/// The commits of other authors on a branch.
#[derive(Clone)]
pub enum Others {
    Nothing,
    /// All commits since this one.
    Since(Checkout),
    /// It is unknown whether there are any, since the base of the branch is unknown.
    Unknown,
}

impl PushTarget {
    /// Returns the target for a commit on the branch whose head is this checkout.
    pub fn head_of(checkout: &Checkout) -> Self {
        let Checkout { tree, .. } = checkout;
        Self {
            expected: Some(tree.commit),
            parents: vec![tree.commit],
            trees: vec![tree.root],
            head: Some(checkout.clone()),
            others: Others::Nothing,
        }
    }

    /// Returns the commits of other authors on the branch.
    pub fn others(&self) -> &Others {
        &self.others
    }

    /// Returns the current head of the branch, if the branch exists.
    pub fn head(&self) -> Option<&Checkout> {
        self.head.as_ref()
    }
}

/// The result of a push.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Pushed {
    /// The branch points to this commit now.
    Commit(CommitId),
    /// The branch already contains the change, so nothing was pushed.
    Nothing,
}

/// The progress of a push, for the caller that waits for it.
#[derive(Clone, Default)]
struct Progress(Arc<AtomicU8>);

const PREPARING: u8 = 0;
const SENT: u8 = 1;
const GIVEN_UP: u8 = 2;

impl Progress {
    /// Records that the commit is being sent. Returns false if the caller gave up before.
    fn send(&self) -> bool {
        self.0.compare_exchange(PREPARING, SENT, Ordering::SeqCst, Ordering::SeqCst).is_ok()
    }

    /// Records that the caller gave up. Returns true if nothing was sent, and nothing will be.
    fn give_up(&self) -> bool {
        self.0.compare_exchange(PREPARING, GIVEN_UP, Ordering::SeqCst, Ordering::SeqCst).is_ok()
    }
}

impl Sources {
    /// Returns the head of a branch, if it exists. Connects as for a push, so credentials without write access are
    /// rejected here already.
    pub async fn branch_head(
        &self,
        location: &Location,
        branch: &str,
        limit: Duration,
    ) -> Result<Option<CommitId>, PushError> {
        self.check_allowed(location)?;
        let (place, name) = (location.clone(), branch.to_owned());
        let asking = async {
            let connection = self.connections.take(location.tenant()).await;
            let ended = CancellationToken::new();
            let network = self.network(ended.clone());
            let _gone = ended.drop_guard();
            thread::run(move || {
                let _connection = connection;
                push::head(&network, &place, &name, limit)
            })
            .await
        };
        match tokio::time::timeout(limit, asking).await {
            Ok(Ok(head)) => Ok(head?.map(CommitId)),
            Ok(Err(error)) => Err(failed(location, &error)),
            Err(_) => Err(PushError::Timeout { url: location.to_string(), seconds: limit.as_secs() }),
        }
    }

    /// Returns the target for a commit that changes `base`, on a branch that is not the branch of `base`.
    ///
    /// `own` is the last commit that the caller pushed there: the caller has to keep what others committed since. The
    /// parents of the commit include the head of the branch, so that the branch moves forward:
    /// - If the branch does not exist, it begins at `base`.
    /// - If its head is `base`, or is known to be merged into it, the parent is `base`.
    /// - If its head was made on `base`, the parent is that head.
    /// - Otherwise both are parents, the head first.
    ///
    /// Only the direct parents of both are known, so a branch that was merged long ago gets a merge commit that is not
    /// needed.
    pub async fn onto(
        &self,
        location: &Location,
        branch: &str,
        base: &Checkout,
        own: Option<OwnCommit<'_>>,
        limit: Duration,
    ) -> Result<PushTarget, PushError> {
        let source = base.tree.commit;
        let Some(head) = self.branch_head(location, branch, limit).await? else {
            let (parents, trees) = (vec![source], vec![base.tree.root]);
            return Ok(PushTarget { expected: None, parents, trees, head: None, others: Others::Nothing });
        };
        if head.0 == source {
            return Ok(PushTarget { head: Some(base.clone()), ..PushTarget::head_of(base) });
        }
        let reference = GitRef::Branch(branch.to_owned());
        let head = self.checkout(location, &reference, Duration::ZERO, limit).await?;
        let (at, root) = (head.tree.commit, head.tree.root);
        let made_on_source = head.tree.parents()?.contains(&source);
        let is_merged = at == source || base.tree.parents()?.contains(&at);
        let is_own = own.is_some_and(|own| {
            own.base.is_none() && ObjectId::from_hex(own.commit.as_bytes()).is_ok_and(|own| own == at)
        });
        let others = if is_merged || is_own {
            Others::Nothing
        } else {
            self.others(location, base, &head, own, limit).await?
        };
        let (parents, trees) = if is_merged {
            (vec![source], vec![base.tree.root])
        } else if made_on_source {
            (vec![at], vec![root])
        } else {
            // The new commit contains the commits of others, so a commit with the files of the head would change
            // nothing.
            let trees = if matches!(others, Others::Since(_)) { vec![root] } else { Vec::new() };
            (vec![at, source], trees)
        };
        Ok(PushTarget { expected: Some(at), parents, trees, head: Some(head), others })
    }

    /// Returns the commits of other authors on a branch: all since the own commit or its base, or since the base if the
    /// head was made on it.
    async fn others(
        &self,
        location: &Location,
        base: &Checkout,
        head: &Checkout,
        own: Option<OwnCommit<'_>>,
        limit: Duration,
    ) -> Result<Others, PushError> {
        if let Some(OwnCommit { commit, base }) = own {
            let known = GitRef::Commit(base.unwrap_or(commit).to_owned());
            match self.checkout(location, &known, Duration::MAX, limit).await {
                Ok(known) => return Ok(Others::Since(known)),
                Err(error) if error.class() == Class::Transient => return Err(error.into()),
                // The server no longer has the commit.
                Err(_) => {}
            }
        }
        let is_made_on_base = head.tree.parents()?.contains(&base.tree.commit);
        Ok(if is_made_on_base { Others::Since(base.clone()) } else { Others::Unknown })
    }

    /// Builds a commit and moves a branch to it, if the branch still points to the head in `onto`; otherwise the error
    /// is `Moved`. The same arguments result in the same commit, so a push may be repeated.
    pub async fn push(
        &self,
        location: &Location,
        branch: &str,
        onto: &PushTarget,
        commit: &NewCommit,
        limit: Duration,
    ) -> Result<Pushed, PushError> {
        self.check_allowed(location)?;
        check_branch(branch)?;
        let deadline = Instant::now() + limit;
        let late = |_| PushError::Timeout { url: location.to_string(), seconds: limit.as_secs() };
        let (commit, parents) = (commit.clone(), onto.parents.clone());
        let building = tokio::task::spawn_blocking(move || prepare(&commit, &parents));
        let building = timeout_at(deadline, building).await.map_err(late)?;
        let Ready { id, root, pack } = building.map_err(|error| failed(location, &error))??;
        if onto.trees.contains(&root) {
            return Ok(Pushed::Nothing);
        }
        // Two tenants that push to one branch learn of each other by the response of the server.
        let line = format!("{} {} {branch}", location.tenant(), location.repository());
        let turn = timeout_at(deadline, self.turns.take(&line)).await.map_err(late)?;
        let connection =
            timeout_at(deadline, self.connections.take(location.tenant())).await.map_err(late)?;
        let progress = Progress::default();
        let (place, name, expected, asked) =
            (location.clone(), branch.to_owned(), onto.expected, progress.clone());
        // The lock is moved into the push, so that a push whose caller was dropped ends before the next one begins.
        let network = self.network(CancellationToken::new());
        let sending = thread::run(move || {
            let (_turn, _connection) = (turn, connection);
            let (location, branch) = (&place, name.as_str());
            let update = Update { location, branch, expected, commit: id, pack: &pack };
            push::send(&network, &update, limit, || asked.send())
        });
        let outcome = match timeout_at(deadline, sending).await {
            Ok(sent) => sent.unwrap_or_else(|error| Err(failed(location, &error))),
            Err(elapsed) if progress.give_up() => Err(late(elapsed)),
            Err(_) => Err(PushError::Unknown {
                url: location.to_string(),
                branch: branch.to_owned(),
                commit: CommitId(id),
                said: format!("no answer within {} s", limit.as_secs()),
            }),
        };
        if matches!(outcome, Ok(()) | Err(PushError::Moved { .. } | PushError::Unknown { .. })) {
            self.announce_moved(location, branch);
        }
        outcome.map(|()| Pushed::Commit(CommitId(id)))
    }
}

/// A commit that is ready to be sent.
struct Ready {
    id: ObjectId,
    root: ObjectId,
    pack: Vec<u8>,
}

fn prepare(commit: &NewCommit, parents: &[ObjectId]) -> Result<Ready, WriteError> {
    let Built { id, root, objects } = build(commit, parents)?;
    let pack = objects.pack().map_err(|error| WriteError::Object { said: error.to_string() })?;
    Ok(Ready { id, root, pack })
}

fn check_branch(branch: &str) -> Result<(), WriteError> {
    let full = format!("refs/heads/{branch}");
    match gix::validate::reference::name(full.as_str().into()) {
        Ok(_) if !branch.starts_with('-') => Ok(()),
        _ => Err(WriteError::BadBranch { branch: branch.to_owned() }),
    }
}

fn failed(location: &Location, error: &dyn std::fmt::Display) -> PushError {
    SourceError::Git { url: location.to_string(), said: format!("the push failed: {error}") }.into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_push_is_given_up_or_sent_and_never_both() {
        let progress = Progress::default();
        assert!(progress.give_up() && !progress.send());
        let progress = Progress::default();
        assert!(progress.send() && !progress.give_up());
    }

    #[test]
    fn names_that_git_refuses_are_refused() {
        let check = |branch: &str, expected| assert_eq!(check_branch(branch).is_ok(), expected, "{branch}");
        check("main", true);
        check("holdfast/images-1.2", true);
        check("", false);
        check("a..b", false);
        check("a b", false);
        check("a.lock", false);
        check("-f", false);
        check("a\0b", false);
    }
}
