//! Follows what was merged until it is applied and healthy, or superseded. The status of the Syncs is read from the store of the
//! watch. I/O: the forge.

use super::memory::Memory;
use super::{FOLLOW, Found, Pass};
use crate::api::PullRequestState;
use crate::forge::ForgeError;
use crate::forge::review::Report;
use crate::report::Failure;
use crate::review::follow::{Course, FOLLOWED, course, text, verdict};
use crate::review::status::{self, State};
use crate::sync_ref::SyncRef;

impl Pass<'_> {
    /// Begins to follow a merge, if it affects a Sync.
    pub(super) fn begin_to_follow(&self, memory: &mut Memory, number: i64, commit: String) {
        let record = memory.record(number);
        if record.plans.is_empty() {
            return memory.forget(number);
        }
        record.state = PullRequestState::Merged;
        record.merged = Some(commit);
        record.merged_at = Some(self.now);
        let syncs: Vec<String> = record.plans.iter().map(|plan| plan.sync.clone()).collect();
        for sync in syncs {
            let name = SyncRef::new(self.owner.namespace.as_str(), sync.clone());
            let seen = self.services.cluster.sync(&name);
            let seen = seen.and_then(|sync| sync.status.clone()?.revision?.seen);
            if let Some(seen) = seen {
                memory.review(number).before.insert(sync, seen);
            }
        }
    }

    /// Writes how far each merge is.
    pub(super) async fn follow(&self, memory: &mut Memory, found: &mut Found) {
        for number in memory.merged() {
            if !memory.review(number).retry.is_due() || !memory.is_reachable() {
                continue;
            }
            match self.follow_one(memory, number).await {
                Ok(true) => memory.forget(number),
                Ok(false) => {
                    memory.review(number).retry.succeeded();
                    found.soon(FOLLOW);
                }
                Err(error) => {
                    let (failure, after) = (Failure::of("review", &error), error.retry_after());
                    memory.note(&failure, after);
                    memory.review(number).retry.failed(failure, after);
                }
            }
        }
    }

    /// True if nothing more becomes of it.
    async fn follow_one(&self, memory: &mut Memory, number: i64) -> Result<bool, ForgeError> {
        let record = memory.record(number).clone();
        let Some(merged) = &record.merged else { return Ok(true) };
        let review = memory.review(number);
        let mut all: Vec<(SyncRef, Course)> = Vec::new();
        for plan in &record.plans {
            let name = SyncRef::new(self.owner.namespace.as_str(), plan.sync.clone());
            // A Sync that is gone has nothing to apply.
            let Some(sync) = self.services.cluster.sync(&name) else { continue };
            let status = sync.status.clone().unwrap_or_default();
            let before = review.before.get(&plan.sync).map(String::as_str);
            all.push((name, course(&status, merged, before)));
        }
        let is_over = all.iter().all(|(_, course)| course.is_over());
        let is_late = record.merged_at.is_some_and(|at| self.now.duration_since(at) > FOLLOWED);
        let preview = review.text.clone();
        let shown = text(merged, &all, &preview, is_late && !is_over);
        if self.comments() && record.comment.is_some() {
            memory.review(number).text = shown;
            let written = self.write_comment(memory, number).await;
            memory.review(number).text = preview;
            written?;
        }
        verdict(&all).clone_into(&mut memory.record(number).verdict);
        let is_failed = all.iter().any(|(_, course)| matches!(course, Course::Failed(_)));
        let ended = match (is_failed, is_over, is_late) {
            (true, ..) => Some(State::Failure),
            (_, true, _) => Some(State::Success),
            (_, _, true) => Some(State::Error),
            _ => None,
        };
        if let Some(state) = ended {
            self.report_applied(memory, number, merged, &all, state).await?;
        }
        self.deploy(memory, number, merged, &all, is_late).await?;
        Ok(is_over || is_late)
    }

    /// Writes the status of the commit of a merge: once that it failed, and once how it ended or that its end is not known.
    async fn report_applied(
        &self,
        memory: &mut Memory,
        number: i64,
        merged: &str,
        all: &[(SyncRef, Course)],
        state: State,
    ) -> Result<(), ForgeError> {
        let review = memory.review(number);
        let is_said =
            matches!(&review.reported, Some((commit, said, _)) if commit == merged && *said == state);
        if !self.repository.spec.statuses || is_said {
            return Ok(());
        }
        let context = status::context(&self.services.cluster.uid, self.owner.namespace.as_str());
        let title = verdict(all);
        let report = Report {
            commit: merged,
            context: &context,
            state,
            title,
            summary: title,
            url: None,
            annotations: &[],
            started: self.now,
        };
        let known =
            review.check.filter(|_| matches!(&review.reported, Some((commit, ..)) if commit == merged));
        let check = self.client.report(self.target, &report, known).await?;
        let review = memory.review(number);
        review.check = check;
        review.reported = Some((merged.to_owned(), state, 1));
        Ok(())
    }
}
