//! The status of a Sync while a run of it takes long: what the run is doing. Pure.

use jiff::Timestamp;

use super::changes::{cut, number};
use crate::api::conditions::{self, reason};
use crate::api::{ObjectCounts, ProgressStatus, SyncStatus};
use crate::progress::Step;

/// Maximum characters of a message. The condition has the complete text.
const MESSAGE: usize = 120;

/// Returns the progress of a run that began at `since`. The work on a revision can take several runs.
pub fn of(step: &Step, before: Option<&ProgressStatus>, since: Timestamp) -> ProgressStatus {
    let revision = step.revision.as_ref().map(|revision| revision.full.clone());
    let begun = before.filter(|before| before.revision == revision).map(|before| before.since);
    ProgressStatus {
        stage: step.stage.to_owned(),
        message: step.message(),
        revision,
        done: step.objects.map(|(done, _)| number(done)),
        total: step.objects.map(|(_, total)| number(total)),
        wave: step.wave.map(|(at, of)| format!("{at}/{of}")),
        since: begun.unwrap_or(since),
    }
}

/// Returns the progress while objects are not healthy yet.
pub fn of_health(
    ObjectCounts { total, ready, .. }: &ObjectCounts,
    revision: Option<String>,
    since: Timestamp,
) -> ProgressStatus {
    ProgressStatus {
        stage: "health".to_owned(),
        message: format!("waiting for health: {ready} of {total} objects are healthy"),
        revision,
        done: Some(*ready),
        total: Some(*total),
        wave: None,
        since,
    }
}

/// Returns the progress while something must happen before the rest is applied or removed.
pub fn of_wait(waits: &str, revision: Option<String>, since: Timestamp) -> ProgressStatus {
    let (stage, message) = ("apply".to_owned(), cut(waits, MESSAGE));
    ProgressStatus { stage, message, revision, done: None, total: None, wave: None, since }
}

/// Returns the previous status with the progress of a run. A verdict about another revision or generation is removed.
pub fn shown(
    before: &SyncStatus,
    step: &Step,
    progress: ProgressStatus,
    generation: i64,
    now: Timestamp,
) -> SyncStatus {
    let of = step.revision.as_ref().map(|revision| format!(" of {}", revision.short)).unwrap_or_default();
    let message = format!("{}{of}, since {:.0}", progress.message, progress.since);
    let mut status = before.clone();
    let ready = before.conditions.iter().find(|condition| condition.type_ == conditions::READY);
    let stands = ready.is_some_and(|ready| ready.reason != reason::PROGRESSING)
        && before.observed_generation == Some(generation)
        && step.revision.as_ref().is_none_or(|revision| !revision.news);
    let mut set = |kind, value| {
        conditions::set(&mut status.conditions, kind, value, reason::PROGRESSING, &message, generation, now);
    };
    set(conditions::RECONCILING, Some(true));
    if !stands {
        set(conditions::READY, Some(false));
        set(conditions::STALLED, None);
        status.observed_generation = Some(generation);
    }
    status.progress = Some(progress);
    status
}

/// Returns a status of which it is unknown whether it was written: the next write differs from it in everything that
/// is uncertain.
pub fn doubtful(before: &SyncStatus) -> SyncStatus {
    SyncStatus {
        conditions: Vec::new(),
        observed_generation: None,
        progress: Some(ProgressStatus::default()),
        ..before.clone()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::progress::Progress;

    fn ready(reason: &str, value: bool) -> SyncStatus {
        let mut status = SyncStatus { observed_generation: Some(1), ..SyncStatus::default() };
        let all = &mut status.conditions;
        conditions::set(all, conditions::READY, Some(value), reason, "the verdict", 1, Timestamp::UNIX_EPOCH);
        if !value {
            conditions::set(all, conditions::STALLED, Some(true), reason, "it", 1, Timestamp::UNIX_EPOCH);
        }
        status
    }

    /// Returns `Ready`, and whether there is `Stalled`, while a run is at a step.
    fn while_applying(before: &SyncStatus, news: bool, generation: i64) -> (String, bool, String) {
        let progress = Progress::default();
        progress.revision("main@sha1:1a2b", "main@1a2b", news);
        progress.begin_objects("apply", "applying", 600);
        progress.wave(1, 2);
        let step = progress.step();
        let since = Timestamp::UNIX_EPOCH;
        let status = shown(before, &step, of(&step, None, since), generation, since);
        let of = |kind: &str| status.conditions.iter().find(|condition| condition.type_ == kind);
        let ready = of(conditions::READY).map(|ready| format!("{} {}", ready.status, ready.reason));
        let reconciling = of(conditions::RECONCILING).map(|it| it.message.clone());
        (ready.unwrap_or_default(), of(conditions::STALLED).is_some(), reconciling.unwrap_or_default())
    }

    #[test]
    fn a_verdict_about_an_older_revision_gives_way_to_what_is_being_done() {
        let shown = while_applying(&ready("PathNotFound", false), true, 1);
        let message =
            "applying 0 of 600 objects, wave 1 of 2 of main@1a2b, since 1970-01-01T00:00:00Z".to_owned();
        assert_eq!(shown, ("False Progressing".to_owned(), false, message));
        for (before, news, generation) in [
            (ready("InSync", true), true, 1),
            (ready("InSync", true), false, 2),
            (SyncStatus::default(), false, 1),
        ] {
            assert_eq!(while_applying(&before, news, generation).0, "False Progressing");
        }
    }

    #[test]
    fn a_verdict_about_the_same_revision_stays_while_it_is_looked_at_again() {
        let (ready_now, stalled, message) = while_applying(&ready("InSync", true), false, 1);
        assert_eq!((ready_now.as_str(), stalled), ("True InSync", false));
        assert!(message.starts_with("applying"), "{message}");
        let (ready_now, stalled, _) = while_applying(&ready("ApplyRefused", false), false, 1);
        assert_eq!((ready_now.as_str(), stalled), ("False ApplyRefused", true));
    }

    #[test]
    fn the_work_on_a_revision_began_with_its_first_run() {
        let progress = Progress::default();
        progress.revision("main@sha1:1a2b", "main@1a2b", true);
        let (first, later) = (Timestamp::UNIX_EPOCH, Timestamp::MAX);
        let before = of(&progress.step(), None, first);
        assert_eq!(of(&progress.step(), Some(&before), later).since, first);
        progress.revision("main@sha1:3c4d", "main@3c4d", true);
        assert_eq!(of(&progress.step(), Some(&before), later).since, later);
    }
}
