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

/// Where a commit is put: where the branch must be until then, and what the commit comes after.
#[derive(Clone)]
pub struct Onto {
    /// Nothing if the branch must not be there yet.
    expected: Option<ObjectId>,
    parents: Vec<ObjectId>,
    /// Trees that are there already: a commit of one of them would change nothing.
    trees: Vec<ObjectId>,
    head: Option<Checkout>,
    others: Others,
}

/// What a caller committed to a branch before.
#[derive(Clone, Copy)]
pub struct Own<'a> {
    pub commit: &'a str,
    /// The commit that it was based on, if it has what others committed as well.
    pub base: Option<&'a str>,
}

/// What others committed to a branch.
#[derive(Clone)]
pub enum Others {
    Nothing,
    /// All since this commit.
    Since(Checkout),
    /// Perhaps something: it is not known what the branch is based on.
    Unknown,
}

impl Onto {
    /// On the branch that a checkout is the head of.
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

    /// What others committed to the branch.
    pub fn others(&self) -> &Others {
        &self.others
    }

    /// The head of the branch now, if there is one: who made it, and what it holds.
    pub fn head(&self) -> Option<&Checkout> {
        self.head.as_ref()
    }
}

/// What became of a push.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Pushed {
    /// The branch is at this commit now.
    Commit(CommitId),
    /// The branch has all of it already: there was nothing to push.
    Nothing,
}

/// How far a push is, for the one who waits for it.
#[derive(Clone, Default)]
struct Progress(Arc<AtomicU8>);

const PREPARING: u8 = 0;
const SENT: u8 = 1;
const GIVEN_UP: u8 = 2;

impl Progress {
    /// True if the caller has not given up before.
    fn send(&self) -> bool {
        self.0.compare_exchange(PREPARING, SENT, Ordering::SeqCst, Ordering::SeqCst).is_ok()
    }

    /// True if nothing was sent, and nothing will be.
    fn give_up(&self) -> bool {
        self.0.compare_exchange(PREPARING, GIVEN_UP, Ordering::SeqCst, Ordering::SeqCst).is_ok()
    }
}

impl Sources {
    /// The commit that a branch is at, if it is there. Asks the server, as one who wants to push: a login that may only
    /// read is refused here already.
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

    /// Where to put a commit that changes `base`, on a branch that is not the one of `base`.
    ///
    /// `own` is what the caller pushed there last: what others committed since is for the caller to keep. The
    /// commit comes after the head of the branch, so that the branch moves forward:
    /// - no such branch: it begins at `base`;
    /// - its head is `base`, or is known to be merged into it: after `base` alone;
    /// - its head was itself made on `base`: after that head alone;
    /// - else after both, the head first.
    ///
    /// Only the parents of both are known, so what was merged long ago makes a merge that is not needed.
    pub async fn onto(
        &self,
        location: &Location,
        branch: &str,
        base: &Checkout,
        own: Option<Own<'_>>,
        limit: Duration,
    ) -> Result<Onto, PushError> {
        let source = base.tree.commit;
        let Some(head) = self.branch_head(location, branch, limit).await? else {
            let (parents, trees) = (vec![source], vec![base.tree.root]);
            return Ok(Onto { expected: None, parents, trees, head: None, others: Others::Nothing });
        };
        if head.0 == source {
            return Ok(Onto { head: Some(base.clone()), ..Onto::head_of(base) });
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
            // What others committed is in the new commit: one that has the files of the head brings nothing.
            let trees = if matches!(others, Others::Since(_)) { vec![root] } else { Vec::new() };
            (vec![at, source], trees)
        };
        Ok(Onto { expected: Some(at), parents, trees, head: Some(head), others })
    }

    /// What others committed to a branch: all since our own commit or what that was based on, or since the base if the head
    /// was made on that.
    async fn others(
        &self,
        location: &Location,
        base: &Checkout,
        head: &Checkout,
        own: Option<Own<'_>>,
        limit: Duration,
    ) -> Result<Others, PushError> {
        if let Some(Own { commit, base }) = own {
            let known = GitRef::Commit(base.unwrap_or(commit).to_owned());
            match self.checkout(location, &known, Duration::MAX, limit).await {
                Ok(known) => return Ok(Others::Since(known)),
                Err(error) if error.class() == Class::Transient => return Err(error.into()),
                // The server does not have it any more.
                Err(_) => {}
            }
        }
        let is_made_on_base = head.tree.parents()?.contains(&base.tree.commit);
        Ok(if is_made_on_base { Others::Since(base.clone()) } else { Others::Unknown })
    }

    /// Builds a commit and moves a branch to it, if the branch is still at `onto`; otherwise the error is `Moved`. The same
    /// arguments make the same commit, so a push may be repeated with the same result.
    pub async fn push(
        &self,
        location: &Location,
        branch: &str,
        onto: &Onto,
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
        // Two tenants who push to one branch find out by the answer of the server.
        let line = format!("{} {} {branch}", location.tenant(), location.repository());
        let turn = timeout_at(deadline, self.turns.take(&line)).await.map_err(late)?;
        let connection =
            timeout_at(deadline, self.connections.take(location.tenant())).await.map_err(late)?;
        let progress = Progress::default();
        let (place, name, expected, asked) =
            (location.clone(), branch.to_owned(), onto.expected, progress.clone());
        // The turn goes along: a push that its caller gave up comes to its end before the next one begins.
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
            self.tell_moved(location, branch);
        }
        outcome.map(|()| Pushed::Commit(CommitId(id)))
    }
}

/// A commit on its way.
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
