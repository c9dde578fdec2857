//! The notices of an ImageUpdate: a failure, and each commit that it wrote. Pure.

use jiff::Timestamp;

use super::cause;
use super::notice::{Notice, Status, VERSION};
use super::wanted::{Snapshot, Wanted};
use crate::api::{AlertEvent, ImageUpdateStatus};
use crate::report::{Failure, changes::cut};
use crate::subject::Subject;

/// Characters of a summary.
const SUMMARY: usize = 2000;

/// Makes the notices of an ImageUpdate out of its status, and of a failure that is worth a person's time.
pub fn snapshot(
    cluster: &str,
    update: &Subject,
    status: &ImageUpdateStatus,
    failure: Option<(&Failure, Timestamp)>,
) -> Snapshot {
    let notice = |event, starts_at, summary: &str, command: Option<String>| Notice {
        version: VERSION,
        event,
        status: Status::Firing,
        cluster: cluster.to_owned(),
        object: update.clone(),
        syncs: Vec::new(),
        revision: revision(status),
        commit: None,
        starts_at,
        ends_at: None,
        summary: cut(summary, SUMMARY),
        command,
        objects: Vec::new(),
        omitted: None,
    };
    let failed = failure.map(|(failure, since)| {
        let Failure { stage, class, reason, message, .. } = failure;
        let summary = format!("ImageUpdate {update} failed in {stage} ({reason}): {message}");
        let command = format!("holdfast image explain {} -n {}", update.name, update.namespace);
        let meaning = cause::digest([*stage, *reason, &cause::text(*class, message)]);
        let cause = Some(cause::of("image", &[&update.to_string()], failure));
        Wanted { notice: notice(AlertEvent::Failed, since, &summary, Some(command)), meaning, cause }
    });
    let written = status.commit.as_ref().map(|commit| {
        let new = status.images.iter().filter(|image| image.since == Some(commit.at));
        let words: Vec<String> = new
            .map(|image| {
                let now = image.tag.as_ref().or(image.digest.as_ref()).map_or("", String::as_str);
                let before = image.previous.as_ref().map(|before| format!(" (was {before})"));
                format!("{} {now}{}", image.name, before.unwrap_or_default())
            })
            .collect();
        let words = if words.is_empty() { "images".to_owned() } else { words.join(", ") };
        let summary = format!("ImageUpdate {update} wrote {words} to {} by {}", commit.branch, commit.sha);
        notice(AlertEvent::ImageUpdated, commit.at, &summary, None)
    });
    Snapshot {
        firing: failed.into_iter().collect(),
        happened: written.into_iter().collect(),
        unknown: Vec::new(),
    }
}

/// As that of a Sync: `main@sha1:…`.
fn revision(status: &ImageUpdateStatus) -> String {
    let commit = status.commit.as_ref();
    commit.map(|commit| format!("{}@sha1:{}", commit.branch, commit.sha)).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::api::{CommitStatus, ImageStatus};
    use crate::subject::Kind;

    #[test]
    fn the_notice_names_what_the_last_commit_wrote() {
        let at = Timestamp::UNIX_EPOCH;
        let image = |name: &str, since| ImageStatus {
            name: name.to_owned(),
            tag: Some("2".to_owned()),
            previous: Some("1".to_owned()),
            since,
            ..ImageStatus::default()
        };
        let status = ImageUpdateStatus {
            images: vec![image("web", Some(at)), image("api", None)],
            commit: Some(CommitStatus { sha: "abc".to_owned(), branch: "main".to_owned(), at }),
            ..ImageUpdateStatus::default()
        };
        let update = Subject::new(Kind::ImageUpdate, "team-a", "shop");
        let failure = Failure::user("select", "NoCandidate", "image web: nothing");
        let snapshot = snapshot("uid", &update, &status, Some((&failure, at)));
        let notices = [&snapshot.happened[0], &snapshot.firing[0].notice]
            .map(|notice| (notice.event, notice.object.key(), notice.summary.clone()));
        assert_eq!(
            notices,
            [
                (
                    AlertEvent::ImageUpdated,
                    "imageupdate/shop".to_owned(),
                    "ImageUpdate team-a/shop wrote web 2 (was 1) to main by abc".to_owned()
                ),
                (
                    AlertEvent::Failed,
                    "imageupdate/shop".to_owned(),
                    "ImageUpdate team-a/shop failed in select (NoCandidate): image web: nothing".to_owned()
                ),
            ]
        );
    }
}
