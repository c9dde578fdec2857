//! Objects that carry the marks of a Sync and do not belong to its set: reported in its status, once in the log, and not changed.
//!
//! They do not wake the Sync: otherwise any user who can write objects could make the Sync of another user run. No I/O.

use std::collections::BTreeSet;

use holdfast_diff::object::ObjectId;
use tracing::warn;

use super::past::Notices;
use super::sync_at::SyncAt;
use crate::cluster::view::View;

/// Maximum number of objects that one list names.
const NAMED: usize = 5;

/// Returns the warnings of a Sync: ignored objects, notes on objects that are not removed, and problems in the source. The latter
/// two are those of an earlier run if this one did not compute them. `is_agent` permits naming objects of every namespace.
pub fn warnings(
    at: SyncAt<'_>,
    is_agent: bool,
    view: &View,
    notices: &mut Notices,
    mistakes: Option<Vec<String>>,
    notes: Option<Vec<String>>,
) -> Option<Vec<String>> {
    if let Some(mistakes) = mistakes {
        notices.mistakes = Some(mistakes);
    }
    if let Some(notes) = notes {
        notices.notes = notes;
    }
    let ignored: BTreeSet<ObjectId> = view.ignored(at.owner).into_iter().collect();
    for object in ignored.difference(&notices.ignored) {
        warn!(sync = %at.owner, %object, "Ignoring an object with forged or copied marks");
    }
    let may_name = |object: &ObjectId| is_agent || *object.namespace == *at.owner.namespace();
    let described = describe(&ignored, may_name);
    notices.ignored = ignored;
    let Notices { mistakes, notes, elsewhere, .. } = notices;
    let mistakes = mistakes.as_ref()?;
    Some([&described[..], elsewhere, notes, mistakes].concat())
}

/// Describes a few objects, one line each. Objects in namespaces that the Sync may not know are only counted.
fn describe(ignored: &BTreeSet<ObjectId>, may_name: impl Fn(&ObjectId) -> bool) -> Vec<String> {
    let (named, hidden): (Vec<&ObjectId>, Vec<&ObjectId>) =
        ignored.iter().partition(|object| may_name(object));
    let mut lines: Vec<String> = named
        .iter()
        .take(NAMED)
        .map(|object| {
            format!(
                "{object} carries the marks of this Sync but was not applied by it (copied or forged), so it is ignored; remove its labels and annotations of ownership, or add it to Git"
            )
        })
        .collect();
    if let Some(more) = named.len().checked_sub(NAMED).filter(|more| *more > 0) {
        lines.push(format!("{more} or more objects carry the marks of this Sync, and are ignored"));
    }
    if !hidden.is_empty() {
        lines.push(
            "objects in other namespaces carry the marks of this Sync but were not applied by it (copied or forged), so they are ignored"
                .to_owned(),
        );
    }
    lines
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use holdfast_diff::object::GroupKind;

    use super::*;

    #[test]
    fn a_few_objects_are_named_and_none_of_another_namespace() {
        let kind = Arc::new(GroupKind::new("", "ConfigMap"));
        let object = |namespace: &str, name: String| ObjectId::new(kind.clone(), namespace, &name);
        let ignored: BTreeSet<ObjectId> = (0..8)
            .flat_map(|number| {
                [object("team-a", format!("copy-{number}")), object("team-b", format!("evil-{number}"))]
            })
            .collect();
        let lines = describe(&ignored, |object| &*object.namespace == "team-a");
        assert_eq!(lines.len(), NAMED + 2, "{lines:?}");
        assert!(lines[0].starts_with("ConfigMap team-a/copy-0 carries the marks"), "{lines:?}");
        assert!(lines.iter().all(|line| !line.contains("team-b") && !line.contains("evil")), "{lines:?}");
        assert_eq!(describe(&BTreeSet::new(), |_| true), Vec::<String>::new());
    }
}
