//! Converts the result of a pass of an ImageUpdate to its status, Events and log lines. Pure, but for the queue of Events.

use holdfast_diff::causes::{self, Mistake};
use jiff::Timestamp;
use k8s_openapi::api::core::v1::ObjectReference;
use tracing::warn;

use super::changes::cut;
use super::events::{Events, Note};
use super::{Failure, NewValue};
use crate::api::{
    Ban, CommitStatus, ImageStatus, ImageUpdateStatus, ProposalStatus, PullRequestStatus, conditions,
};
use crate::error::Class;
use crate::subject::Subject;

/// Maximum characters of the message of a condition.
const MESSAGE: usize = 4096;

/// The result of a pass, for the report.
#[derive(Default)]
pub struct PassReport<'a> {
    pub generation: Option<i64>,
    pub images: Vec<ImageStatus>,
    pub commit: Option<CommitStatus>,
    /// The images that were written: `web to 1.2.3`.
    pub written: Vec<String>,
    pub pull_request: NewValue<PullRequestStatus>,
    pub proposal: NewValue<ProposalStatus>,
    pub webhook_path: NewValue<String>,
    pub unbanned: Option<String>,
    pub failures: &'a [Failure],
    pub held: &'a [String],
    pub stay: &'a [String],
    pub unproven: &'a [String],
    pub unmarked: &'a [String],
    pub suspended: Option<String>,
}

/// The status after a pass.
pub fn status(before: &ImageUpdateStatus, report: &PassReport<'_>, now: Timestamp) -> ImageUpdateStatus {
    let mut status = ImageUpdateStatus {
        observed_generation: report.generation,
        images: report.images.clone(),
        unbanned: report.unbanned.clone(),
        ..before.clone()
    };
    status.images.sort_by(|one, other| one.name.cmp(&other.name));
    if let Some(commit) = &report.commit {
        status.commit = Some(commit.clone());
    }
    report.pull_request.store(&mut status.pull_request);
    report.proposal.store(&mut status.proposal);
    report.webhook_path.store(&mut status.webhook_path);
    let generation = report.generation.unwrap_or_default();
    let (ready, reason, message) = verdict(report);
    let message = cut(&message, MESSAGE);
    conditions::set(
        &mut status.conditions,
        conditions::READY,
        Some(ready),
        reason,
        &message,
        generation,
        now,
    );
    // As for a Sync: failures that do not end without a change.
    let lasting = report.failures.iter().find(|failure| failure.class != Class::Transient);
    let (reason, message) = lasting.map_or(("", ""), |failure| (failure.reason, failure.message.as_str()));
    let stalled = lasting.is_some().then_some(true);
    let message = cut(message, MESSAGE);
    conditions::set(&mut status.conditions, conditions::STALLED, stalled, reason, &message, generation, now);
    status
}

/// The value, the reason and the message of the condition Ready.
fn verdict<'t>(report: &'t PassReport<'_>) -> (bool, &'t str, String) {
    if let Some(why) = &report.suspended {
        return (false, conditions::reason::SUSPENDED, why.clone());
    }
    if let Some(first) = report.failures.first() {
        let mut all: Vec<Mistake> =
            report.failures.iter().map(|failure| Mistake::read(&failure.message)).collect();
        all.dedup();
        return (false, first.reason, causes::summary(&all, 0).0);
    }
    if !report.held.is_empty() {
        return (false, conditions::reason::HELD_BACK, report.held.join("; "));
    }
    let named = report.images.iter().filter_map(|image| {
        let version = image.tag.as_ref().or(image.digest.as_ref())?;
        Some(format!("{} is {version}", image.name))
    });
    let banned = report.images.iter().flat_map(|image| image.banned.iter().map(|ban| taken_back(image, ban)));
    let all: Vec<String> = named
        .chain(banned)
        .chain(report.stay.iter().cloned())
        .chain(report.unproven.iter().cloned())
        .chain(report.unmarked.iter().cloned())
        .collect();
    (true, conditions::reason::UP_TO_DATE, all.join("; "))
}

fn taken_back(image: &ImageStatus, ban: &Ban) -> String {
    let version = ban.tag.as_ref().or(ban.digest.as_ref()).map_or("it", String::as_str);
    format!(
        "{} {version} was reverted in {} (now {}) and is not written there again; undo this with `holdfast image unban`",
        image.name, ban.file, ban.value
    )
}

/// Reports what is new.
pub fn tell(
    events: &Events,
    update: &Subject,
    about: &ObjectReference,
    before: &ImageUpdateStatus,
    report: &PassReport<'_>,
) {
    let note = |warning: bool, reason: &str, action: &str, text: String| {
        let (about, reason, action) = (about.clone(), reason.to_owned(), action.to_owned());
        events.tell(Note { about, warning, reason, action, text });
    };
    if let Some(CommitStatus { sha, branch, .. }) = &report.commit {
        note(false, "ImageUpdated", "Publish", format!("{} by {sha} on {branch}", report.written.join(", ")));
    }
    let known = before.conditions.iter().find(|condition| condition.type_ == conditions::READY);
    for failure in report.failures {
        let is_new = known.is_none_or(|known| {
            known.status != "False"
                || known.reason != failure.reason && !known.message.contains(&failure.message)
        });
        if is_new {
            let Failure { stage, reason, message, .. } = failure;
            warn!(update = %update, stage, error = %message, "ImageUpdate failed; retrying");
            note(true, reason, "Update", message.clone());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn many_problems_of_one_cause_are_one_sentence() {
        let failure = |line: usize| {
            let message =
                format!("app/web.yaml:{line}: `/a` does not hold an image reference: mark another value");
            Failure::user("edit", "BadMarker", &message)
        };
        let failures: Vec<Failure> = (1..60).map(failure).collect();
        let report = PassReport { failures: &failures, ..PassReport::default() };
        let (_, reason, message) = verdict(&report);
        assert_eq!((reason, message.matches("does not hold").count()), ("BadMarker", 1), "{message}");
        assert!(message.len() < 1000 && message.contains("59"), "{message}");
    }

    #[test]
    fn what_does_not_pass_by_itself_is_stalled() {
        let stalled = |failure: Failure| {
            let report = PassReport { failures: &[failure], ..PassReport::default() };
            let status = status(&ImageUpdateStatus::default(), &report, Timestamp::UNIX_EPOCH);
            conditions::is_true(&status.conditions, conditions::STALLED)
        };
        assert!(stalled(Failure::user("select", "NoCandidate", "nothing")));
        assert!(stalled(Failure::internal("image", "a defect")));
        assert!(!stalled(Failure::transient("scan", "Unreachable", "no answer")));
    }
}
