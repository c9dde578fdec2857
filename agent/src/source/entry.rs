//! A mirror in use, and the last responses about its refs. No I/O.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use parking_lot::Mutex;

use super::mirror::{Found, Mirror};
use super::names::server_name;
use super::{GitRef, Location, SourceError};

/// Maximum number of refs of one mirror whose responses are kept.
const REFS: usize = 256;

/// A mirror that is in use.
#[derive(Clone)]
pub(super) struct MirrorEntry {
    pub(super) mirror: Arc<Mirror>,
    /// When it was used last.
    pub(super) used: Arc<Mutex<Instant>>,
    pub(super) answers: Arc<Mutex<HashMap<GitRef, Line>>>,
    /// Identifies the repository; equal for all its mirrors.
    pub(super) repository: String,
    /// When refs, by full name, moved without a request of this agent. Earlier responses are not used.
    pub(super) moved: Arc<Mutex<HashMap<String, Instant>>>,
}

/// The last response about a ref. Locked during a request, so that concurrent callers share it.
pub(super) type Line = Arc<tokio::sync::Mutex<Option<Answer>>>;

impl MirrorEntry {
    pub(super) fn has_moved_since(&self, reference: &GitRef, asked: Instant) -> bool {
        let moved = self.moved.lock();
        moved.get(&server_name(reference, None)).is_some_and(|moved| *moved > asked)
    }

    pub(super) fn line(&self, reference: &GitRef) -> Line {
        let mut answers = self.answers.lock();
        if answers.len() >= REFS && !answers.contains_key(reference) {
            // Responses that no request is using are requested again.
            answers.retain(|_, line| Arc::strong_count(line) > 1);
        }
        answers.entry(reference.clone()).or_default().clone()
    }

    /// Returns the response if it is a success of at most this age, or if it was requested after `started`. A failure
    /// is only shared within a tenant, since another tenant may have a shorter timeout.
    pub(super) fn good(
        &self,
        answer: Option<&Answer>,
        location: &Location,
        reference: &GitRef,
        max_age: Duration,
        started: Instant,
    ) -> Option<Result<Found, SourceError>> {
        let answer = answer?;
        let fresh = answer.found.is_ok() && answer.asked.elapsed() < max_age;
        let own = answer.found.is_ok() || *answer.tenant == *location.tenant();
        // The response about a commit never expires, but the mirror that it is in may be replaced.
        let is_gone = |found: &Found| matches!(reference, GitRef::Commit(_)) && found.repository.is_retired();
        let gone = answer.found.as_ref().is_ok_and(is_gone);
        let good = !gone && (fresh || (answer.asked >= started && own));
        (good && !self.has_moved_since(reference, answer.asked)).then(|| answer.found.clone())
    }
}

#[derive(Clone)]
pub(super) struct Answer {
    pub(super) asked: Instant,
    pub(super) found: Result<Found, SourceError>,
    /// The tenant that made the request.
    pub(super) tenant: Arc<str>,
}

#[cfg(test)]
mod tests {
    use gix::ObjectId;

    use super::super::folders::FolderCache;
    use super::super::{CommitId, Revision, repository};
    use super::*;
    use crate::disk::Usage;

    #[test]
    fn a_response_about_a_commit_is_not_used_after_its_mirror_was_replaced() -> anyhow::Result<()> {
        let folder = tempfile::tempdir()?;
        let place = folder.path().join("mirror");
        let location = Location::parse("https://git.example.com/org/config", None)?;
        let caches = FolderCache::default();
        let open = repository::open(&place, caches.repository(), Arc::default())?;
        let known = MirrorEntry {
            mirror: Arc::new(Mirror::at(place, Arc::default(), caches, Arc::new(Usage::new(u64::MAX)))),
            used: Arc::new(Mutex::new(Instant::now())),
            answers: Arc::default(),
            repository: location.repository(),
            moved: Arc::default(),
        };
        let id = ObjectId::null(gix::hash::Kind::Sha1);
        let commit = CommitId(id).to_string();
        let revision = Revision { name: "main".to_owned(), commit: commit.clone() };
        let found = Found { repository: open.clone(), revision, target: id, commit: id, root: id };
        let answer = Answer { asked: Instant::now(), found: Ok(found), tenant: location.tenant().into() };
        let good = |reference: &GitRef| {
            known.good(Some(&answer), &location, reference, Duration::MAX, Instant::now()).is_some()
        };
        let (commit, branch) = (GitRef::Commit(commit), GitRef::Branch("main".to_owned()));
        assert_eq!((good(&commit), good(&branch)), (true, true));
        open.retire();
        assert_eq!((good(&commit), good(&branch)), (false, true), "that of a branch expires by itself");
        Ok(())
    }
}
