//! Versions that a user reverted. If a written scalar has another value later, that is the decision of a user, and is
//! not overwritten. Pure.

use holdfast_diff::image::edit::{Setting, current};
use holdfast_diff::image::select::Banned;
use jiff::Timestamp;

use crate::api::{Ban, ImageStatus, Written};

/// Maximum number of scalars of an image that are kept in the status.
const PLACES: usize = 100;

/// A scalar: its file, and its path after the number of its document.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ScalarRef {
    pub file: String,
    pub path: String,
}

impl ScalarRef {
    pub fn of(file: &str, setting: &Setting) -> Self {
        Self { file: file.to_owned(), path: format!("{}{}", setting.document, setting.path) }
    }

    fn is_of(&self, file: &str, path: &str) -> bool {
        self.file == file && self.path == path
    }
}

/// Bans the version that was written to a scalar, if the scalar has another value now. Returns true if it does.
pub fn notice(
    status: &mut ImageStatus,
    scalar: &ScalarRef,
    setting: &Setting,
    commit: &str,
    now: Timestamp,
) -> bool {
    if let Some(ban) = status.banned.iter_mut().find(|ban| scalar.is_of(&ban.file, &ban.path)) {
        setting.before.clone_into(&mut ban.value);
    }
    let was_right = status.places.iter().find(|place| scalar.is_of(&place.file, &place.path));
    let Some(Written { value, .. }) = was_right.filter(|place| place.value != setting.before) else {
        return false;
    };
    let taken_back = current(value, setting.part);
    let (tag, digest) = taken_back.map(|image| (image.tag, image.digest)).unwrap_or_default();
    status.places.retain(|place| !scalar.is_of(&place.file, &place.path));
    if tag.is_none() && digest.is_none() {
        return false;
    }
    let ScalarRef { file, path } = scalar.clone();
    status.banned.retain(|ban| !scalar.is_of(&ban.file, &ban.path));
    let (value, commit) = (setting.before.clone(), commit.to_owned());
    status.banned.push(Ban { tag, digest, file, path, value, commit, since: Some(now) });
    true
}

/// Returns the versions that were reverted at a scalar.
pub fn of(status: &ImageStatus, scalar: &ScalarRef) -> Vec<Banned> {
    let here = status.banned.iter().filter(|ban| scalar.is_of(&ban.file, &ban.path));
    here.map(|ban| Banned { tag: ban.tag.clone(), digest: ban.digest.clone() }).collect()
}

/// Records the value of a scalar that is up to date.
pub fn right(status: &mut ImageStatus, scalar: &ScalarRef, value: &str) {
    status.banned.retain(|ban| !scalar.is_of(&ban.file, &ban.path));
    if let Some(place) = status.places.iter_mut().find(|place| scalar.is_of(&place.file, &place.path)) {
        value.clone_into(&mut place.value);
    } else if status.places.len() < PLACES {
        let ScalarRef { file, path } = scalar.clone();
        status.places.push(Written { file, path, value: value.to_owned() });
    }
}

/// Removes scalars that no longer exist. Those of files that could not be read are kept.
pub fn keep_only(status: &mut ImageStatus, scalars: &[ScalarRef], unread: &[String]) {
    let is_there = |file: &str, path: &str| {
        unread.iter().any(|one| one == file) || scalars.iter().any(|scalar| scalar.is_of(file, path))
    };
    status.places.retain(|place| is_there(&place.file, &place.path));
    status.banned.retain(|ban| is_there(&ban.file, &ban.path));
}

#[cfg(test)]
mod tests {
    use holdfast_diff::image::edit::ImagePart;

    use super::*;

    fn setting(before: &str, after: &str) -> Setting {
        let (image, path) = ("web".to_owned(), "/spec/image".to_owned());
        let (before, after) = (before.to_owned(), after.to_owned());
        Setting {
            image,
            document: 0,
            path,
            line: 3,
            part: ImagePart::Image,
            before,
            after,
            behind: None,
            repeats: Vec::new(),
            group: 0,
        }
    }

    #[test]
    fn another_value_where_one_was_right_is_banned_until_it_is_right_again() {
        let scalar = ScalarRef::of("a.yaml", &setting("web:1", "web:2"));
        let mut status = ImageStatus::default();
        let now = Timestamp::UNIX_EPOCH;
        assert!(
            !notice(&mut status, &scalar, &setting("web:1", "web:2"), "c1", now),
            "no version was written before"
        );
        right(&mut status, &scalar, "web:2");
        assert!(
            !notice(&mut status, &scalar, &setting("web:2", "web:3"), "c2", now),
            "an update is no decision"
        );
        assert!(notice(&mut status, &scalar, &setting("web:1", "web:2"), "c3", now));
        let banned = Banned { tag: Some("2".to_owned()), digest: None };
        assert_eq!(of(&status, &scalar), std::slice::from_ref(&banned));
        assert!(!notice(&mut status, &scalar, &setting("web:0", "web:2"), "c4", now), "reported once");
        assert_eq!(status.banned[0].value, "web:0", "and what is there now is");
        assert_eq!(of(&status, &scalar), [banned]);
        right(&mut status, &scalar, "web:3");
        assert_eq!(of(&status, &scalar), []);
    }

    #[test]
    fn what_is_no_more_is_forgotten() {
        let scalar = ScalarRef::of("a.yaml", &setting("web:1", "web:2"));
        let mut status = ImageStatus::default();
        right(&mut status, &scalar, "web:2");
        keep_only(&mut status, &[], &["a.yaml".to_owned()]);
        assert_eq!(status.places.len(), 1, "not while its file cannot be read");
        keep_only(&mut status, &[], &[]);
        assert_eq!(status, ImageStatus::default());
    }
}
