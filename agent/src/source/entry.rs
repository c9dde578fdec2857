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
        let good = fresh || (answer.asked >= started && own);
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
