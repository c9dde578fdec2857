//! The comment of a pull request and the statuses of its head. Nothing is written twice. I/O: the forge.

use std::fmt::Write as _;

use holdfast_diff::digest::Digest;
use tracing::warn;

use super::Pass;
use super::memory::Memory;
use crate::forge::ForgeError;
use crate::forge::review::{Annotation, PullRequest, Report};
use crate::review::fit::list;
use crate::review::markdown::code;
use crate::review::status::CommitStatus;

/// Statuses that a commit gets.
const STATUSES: u32 = 2;

impl Pass<'_> {
    /// Writes the comment of a pull request, if its text is new: the one that is known, else the one with our marker, else another one.
    pub(super) async fn write_comment(&self, memory: &mut Memory, number: i64) -> Result<(), ForgeError> {
        let review = memory.review(number);
        let mut text = review.text.clone();
        if !review.notes.is_empty() {
            let _ = write!(text, "\n**Commands**\n\n{}", list(&review.notes));
        }
        let body = self.marker().on(&text);
        let digest = Digest::of_bytes(body.as_bytes()).to_string();
        let record = memory.record(number);
        let known = record.comment.as_ref().and_then(|id| id.parse::<i64>().ok());
        if known.is_some() && record.written.as_ref() == Some(&digest) {
            return Ok(());
        }
        let written = match known {
            Some(id) if self.client.edit_comment(self.target, number, id, &body).await? => Some(id),
            _ => None,
        };
        let id = match written {
            Some(id) => id,
            None => self.find_or_add(number, &body).await?,
        };
        let record = memory.record(number);
        (record.comment, record.written) = (Some(id.to_string()), Some(digest));
        Ok(())
    }

    async fn find_or_add(&self, number: i64, body: &str) -> Result<i64, ForgeError> {
        let comments = self.client.comments(self.target, number).await?;
        let user = self.client.user(self.target).await?;
        let found = self.marker().find(&comments, user.as_ref(), None).map(|comment| comment.id);
        if let Some(id) = found
            && self.client.edit_comment(self.target, number, id, body).await?
        {
            return Ok(id);
        }
        self.client.add_comment(self.target, number, body).await
    }

    /// Writes the status of a head, at most twice for a commit.
    pub(super) async fn write_status(
        &self,
        memory: &mut Memory,
        pull: &PullRequest,
        status: &CommitStatus,
        annotations: &[Annotation],
    ) -> Result<(), ForgeError> {
        if !self.repository.spec.statuses {
            return Ok(());
        }
        let review = memory.review(pull.number);
        let before = review.reported.as_ref().filter(|(commit, ..)| *commit == pull.head);
        let (written, last) = before.map_or((0, None), |(_, state, written)| (*written, Some(*state)));
        if written >= STATUSES || last == Some(status.state) {
            return Ok(());
        }
        let report = Report {
            commit: &pull.head,
            context: &status.context,
            state: status.state,
            title: &status.description,
            summary: &review.text,
            url: Some(&pull.url),
            annotations,
            started: self.now,
        };
        let known = review.check.filter(|_| written > 0);
        let check = self.client.report(self.target, &report, known).await?;
        let review = memory.review(pull.number);
        review.check = check;
        review.reported = Some((pull.head.clone(), status.state, written + 1));
        self.annotate(pull, status, annotations).await;
        Ok(())
    }

    /// Comments on lines, where a forge has no check runs. The comment has all of it too, so that a failure loses nothing.
    async fn annotate(&self, pull: &PullRequest, status: &CommitStatus, annotations: &[Annotation]) {
        if !self.comments() || annotations.is_empty() {
            return;
        }
        let (number, text) = (pull.number, code(&status.description));
        if let Err(error) = self.client.annotate(self.target, number, &pull.head, &text, annotations).await {
            warn!(repository = %self.owner, number, %error, "Cannot comment on lines");
        }
    }
}
