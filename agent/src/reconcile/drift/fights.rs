//! Fights: another writer changes a field again each time after it was corrected. The pause between corrections grows until the
//! other writer stops. Pure.

use std::collections::{BTreeMap, HashMap, HashSet, VecDeque};
use std::time::Duration;

use holdfast_diff::object::ObjectId;
use holdfast_diff::plan::Change;
use jiff::{SignedDuration, Timestamp};
use serde_json::Value;

use crate::api::{DriftObject, DriftState};
use crate::report::drift;

/// Corrections of one field within [`WINDOW`] after which another one is a fight.
const PATIENCE: usize = 3;
const WINDOW: Duration = Duration::from_mins(10);
/// The first pause of a fight; each correction doubles it.
const PAUSE: Duration = Duration::from_secs(10);
const PAUSE_LIMIT: Duration = Duration::from_mins(10);

/// The recent corrections of one Sync, and its fights.
#[derive(Default)]
pub struct Fights {
    all: HashMap<ObjectId, Corrections>,
}

#[derive(Default)]
struct Corrections {
    /// Times of the corrections of each field.
    times: BTreeMap<String, VecDeque<Timestamp>>,
    fight: Option<Fight>,
}

struct Fight {
    /// The drift as it is reported. It does not change during the fight, so that it is reported once.
    object: DriftObject,
    pause: Duration,
    /// Nothing is corrected until then. If nothing differs then, the fight is over.
    until: Timestamp,
}

impl Fights {
    /// Returns how a change that would continue a fight is reported, and until when it must not be made; `None` if it may be
    /// made. [`Self::begin`] records a new fight.
    pub fn hold(&self, change: &Change, now: Timestamp) -> Option<(DriftObject, Timestamp)> {
        let Corrections { times, fight } = self.all.get(&change.object)?;
        if let Some(Fight { object, until, .. }) = fight {
            return (now < *until).then(|| (object.clone(), *until));
        }
        let recent = |path| -> Option<Vec<Timestamp>> {
            Some(times.get(path)?.iter().copied().filter(|time| is_recent(*time, now)).collect())
        };
        let fields = paths(change).filter_map(|path| Some((path, recent(path)?)));
        let (path, times) =
            fields.max_by_key(|(_, times)| times.len()).filter(|(_, times)| times.len() >= PATIENCE)?;
        let mut object = drift::object(change, DriftState::Fighting, now);
        let first = times.first().copied().unwrap_or(now);
        let seconds = now.duration_since(first).as_secs().max(1);
        let who =
            object.changes.iter().find(|field| field.path == path).and_then(|field| field.manager.clone());
        let who = who.unwrap_or_else(|| "another client".to_owned());
        let what = if path.is_empty() { "deletes it".to_owned() } else { format!("writes {path}") };
        object.note = Some(format!(
            "{who} {what} repeatedly ({} times in {seconds} s), so it is corrected at growing intervals{}",
            times.len() + 1,
            way_out(change, object.ignore.as_deref())
        ));
        Some((object, after(now, PAUSE)))
    }

    /// Records the fight that [`Self::hold`] found, unless it is recorded already.
    pub fn begin(&mut self, object: &ObjectId, reported: &DriftObject, until: Timestamp) {
        if let Some(Corrections { fight: fight @ None, .. }) = self.all.get_mut(object) {
            *fight = Some(Fight { object: reported.clone(), pause: PAUSE, until });
        }
    }

    /// Records the correction of an object.
    pub fn corrected(&mut self, change: &Change, now: Timestamp) {
        let Corrections { times, fight } = self.all.entry(change.object.clone()).or_default();
        for path in paths(change) {
            times.entry(path.to_owned()).or_default().push_back(now);
        }
        if let Some(Fight { pause, until, .. }) = fight {
            *pause = pause.saturating_mul(2).min(PAUSE_LIMIT);
            *until = after(now, *pause);
        }
    }

    /// Returns the open fights of objects that do not differ now. A fight ends when nothing had to be corrected for the length of
    /// its pause.
    pub fn going_on(
        &mut self,
        differing: &HashSet<&ObjectId>,
        now: Timestamp,
    ) -> Vec<(ObjectId, DriftObject)> {
        let mut found = Vec::new();
        self.all.retain(|object, Corrections { times, fight }| {
            forget(times, now);
            if !differing.contains(object) {
                match fight {
                    Some(Fight { until, .. }) if *until <= now => return false,
                    Some(fight) => found.push((object.clone(), fight.object.clone())),
                    None => {}
                }
            }
            fight.is_some() || !times.is_empty()
        });
        found
    }

    /// When the first pause of a fight ends.
    pub fn next(&self) -> Option<Timestamp> {
        self.all.values().filter_map(|corrections| Some(corrections.fight.as_ref()?.until)).min()
    }
}

/// Says how a user can end a fight.
fn way_out(change: &Change, ignore: Option<&str>) -> String {
    if let Some(ignore) = ignore {
        return format!("; remove the field from Git, or add this to spec.drift.ignore: {ignore}");
    }
    let owners = change.manifest.as_ref().and_then(|manifest| owners(&manifest.value));
    match owners {
        // The garbage collector deletes what names an owner that does not exist, or one of another UID.
        Some(owners) => format!(
            "; in Git its metadata.ownerReferences name {owners}: if no object with this UID exists, the garbage collector deletes the object each time; remove metadata.ownerReferences from Git"
        ),
        None => "; remove the object from Git, or find the client that deletes it".to_owned(),
    }
}

/// Describes the owner references of a manifest.
fn owners(manifest: &Value) -> Option<String> {
    let references = manifest.pointer("/metadata/ownerReferences")?.as_array()?;
    let text =
        |reference: &Value, name: &str| reference.get(name).and_then(Value::as_str).unwrap_or("?").to_owned();
    let named: Vec<String> = references
        .iter()
        .map(|owner| format!("{} {} (uid {})", text(owner, "kind"), text(owner, "name"), text(owner, "uid")))
        .collect();
    (!named.is_empty()).then(|| named.join(", "))
}

/// The fields of a change; the empty path, which is the whole object, if it has none.
fn paths(change: &Change) -> impl Iterator<Item = &str> {
    let whole = change.fields.is_empty().then_some("");
    change.fields.iter().map(|field| field.path.as_str()).chain(whole)
}

fn forget(times: &mut BTreeMap<String, VecDeque<Timestamp>>, now: Timestamp) {
    times.retain(|_, times| {
        times.retain(|time| is_recent(*time, now));
        !times.is_empty()
    });
}

fn is_recent(time: Timestamp, now: Timestamp) -> bool {
    now.duration_since(time) < SignedDuration::try_from(WINDOW).unwrap_or_default()
}

fn after(now: Timestamp, pause: Duration) -> Timestamp {
    now.checked_add(pause).unwrap_or(Timestamp::MAX)
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use holdfast_diff::object::GroupKind;
    use holdfast_diff::order::Stage;
    use holdfast_diff::plan::removed;

    use super::*;

    fn at(second: i64) -> Timestamp {
        Timestamp::UNIX_EPOCH + SignedDuration::from_secs(second)
    }

    fn change() -> Change {
        let object = ObjectId::new(Arc::new(GroupKind::new("", "ConfigMap")), "shop", "a");
        removed(object, "v1".to_owned(), "uid".to_owned(), Stage::default(), None)
    }

    /// Simulates a writer who changes the object after each correction. Returns the times of the corrections.
    fn fight(fights: &mut Fights, seconds: std::ops::Range<i64>) -> Vec<i64> {
        let change = change();
        seconds
            .filter(|second| {
                if let Some((reported, until)) = fights.hold(&change, at(*second)) {
                    fights.begin(&change.object, &reported, until);
                    return false;
                }
                fights.corrected(&change, at(*second));
                true
            })
            .collect()
    }

    #[test]
    fn an_object_that_its_owner_does_not_hold_says_so() {
        use holdfast_diff::mask::Masks;
        use holdfast_diff::object::{Manifest, Origin};
        use holdfast_diff::plan::{Seen, desired};

        let kind = Arc::new(GroupKind::new("", "ConfigMap"));
        let check = |metadata: Value, expected: &str| {
            let manifest = Arc::new(Manifest {
                api_version: "v1".to_owned(),
                kind: kind.clone(),
                namespace: "shop".to_owned(),
                name: "a".to_owned(),
                origin: Origin { file: "a.yaml".into(), line: 1 },
                value: serde_json::json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": metadata}),
            });
            let object = manifest.id();
            let change =
                desired(&manifest, &object, "set", &Masks::default(), Seen::Absent).expect("a creation");
            let mut fights = Fights::default();
            (0..3).for_each(|second| fights.corrected(&change, at(second)));
            let note = fights.hold(&change, at(3)).and_then(|(reported, _)| reported.note).expect("a fight");
            assert!(note.ends_with(expected) && !note.contains("drift.ignore"), "{note}");
        };
        let owner =
            serde_json::json!([{"apiVersion": "v1", "kind": "ConfigMap", "name": "gone", "uid": "u-1"}]);
        check(
            serde_json::json!({"name": "a", "ownerReferences": owner}),
            "remove metadata.ownerReferences from Git",
        );
        check(serde_json::json!({"name": "a"}), "find the client that deletes it");
    }

    #[test]
    fn pauses_double() {
        assert_eq!(fight(&mut Fights::default(), 0..200), [0, 1, 2, 13, 33, 73, 153]);
    }

    #[test]
    fn three_corrections_in_ten_minutes_are_no_fight() {
        let mut fights = Fights::default();
        let change = change();
        for second in [0, 250, 500, 750, 1000] {
            assert!(fights.hold(&change, at(second)).is_none(), "{second}");
            fights.corrected(&change, at(second));
        }
        assert_eq!(fights.next(), None);
    }

    #[test]
    fn a_fight_is_reported_without_changes_and_ends_after_a_pause_without_corrections() {
        let mut fights = Fights::default();
        fight(&mut fights, 0..14);
        let going_on = |fights: &mut Fights, second| fights.going_on(&HashSet::new(), at(second));
        let first = going_on(&mut fights, 14);
        assert_eq!(first.len(), 1);
        assert!(
            first[0].1.note.as_ref().is_some_and(|note| note.contains("4 times")),
            "{:?}",
            first[0].1.note
        );
        assert_eq!(going_on(&mut fights, 32), first);
        assert_eq!(going_on(&mut fights, 33), []);
        assert_eq!(fights.next(), None);
    }
}
