//! Membership: objects of the first list and our own writes are members, and an object that only carries a mark is not.

use std::collections::HashSet;
use std::sync::Arc;

use holdfast_diff::digest::Digest;
use holdfast_diff::object::{GroupKind, ObjectId};
use holdfast_diff::order::Stage;
use holdfast_diff::plan::{SeenAt, removed};
use serde_json::{Value, json};
use tokio::sync::mpsc;
use zeroize::Zeroizing;

use super::{Differs, Listed, Verified, View};
use crate::cluster::entry;
use crate::cluster::marks::Marks;
use crate::cluster::requests::ResourceType;
use crate::sync_ref::SyncRef;

fn kind() -> Arc<ResourceType> {
    Arc::new(ResourceType {
        kind: Arc::new(GroupKind::new("", "ConfigMap")),
        version: "v1".to_owned(),
        plural: "configmaps".to_owned(),
        namespaced: true,
    })
}

fn object() -> ObjectId {
    ObjectId::new(kind().kind.clone(), "shop", "a")
}

fn owner() -> SyncRef {
    SyncRef::new("shop", "app")
}

fn view() -> View {
    let (view, woken) = listened();
    std::mem::forget(woken);
    view
}

fn listened() -> (View, mpsc::UnboundedReceiver<SyncRef>) {
    let (wake, woken) = mpsc::unbounded_channel();
    let marks = Marks::own("cluster", &Zeroizing::new([1; 32])).expect("any 32 bytes are a seed");
    (View::new(marks, wake), woken)
}

/// The object with a valid mark.
fn live(view: &View, uid: &str, version: u64) -> Value {
    live_of(view, &owner(), uid, version)
}

fn live_of(view: &View, owner: &SyncRef, uid: &str, version: u64) -> Value {
    let manifest = json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "a", "namespace": "shop", "uid": uid,
        "resourceVersion": version.to_string(), "labels": {"applyset.kubernetes.io/part-of": owner.applyset()},
        "annotations": {"holdfast.dev/sync": owner.to_string()}}});
    view.marks.stamp(owner, &object(), &manifest)
}

fn list(view: &View, uid: &str, version: u64, first: bool) {
    let mut listed = Listed::default();
    listed.push(object(), view.sight(&kind(), &object(), &live(view, uid, version)));
    view.replace(&kind(), |_, _| true, listed, first);
}

fn verified(manifest: &[u8]) -> Verified {
    Verified { manifest: Digest::of_bytes(manifest), all: false }
}

fn members(view: &View) -> Vec<(String, u64)> {
    view.members(&owner()).into_iter().map(|(_, entry)| (entry.uid.to_string(), entry.version)).collect()
}

#[test]
fn what_appears_by_itself_is_no_member_until_we_write_it() {
    let view = view();
    view.put(&kind(), object(), &live(&view, "one", 5));
    assert_eq!((members(&view), view.ignored(&owner())), (vec![], vec![object()]));
    assert!(!view.knows(&object(), &live(&view, "one", 5)));
    view.verify(&kind(), &object(), &live(&view, "one", 6), verified(b""));
    assert_eq!((members(&view), view.ignored(&owner())), (vec![("one".to_owned(), 6)], vec![]));
    view.put(&kind(), object(), &live(&view, "one", 7));
    assert_eq!(members(&view), [("one".to_owned(), 7)]);
}

#[test]
fn the_first_list_is_believed_and_later_ones_are_not() {
    let view = view();
    list(&view, "one", 5, true);
    assert_eq!(members(&view), [("one".to_owned(), 5)]);
    list(&view, "one", 6, false);
    assert_eq!(members(&view), [("one".to_owned(), 6)]);
    // It was deleted and created again while the watch was broken.
    list(&view, "two", 9, false);
    assert_eq!((members(&view), view.ignored(&owner())), (vec![], vec![object()]));
    view.replace(&kind(), |_, _| true, Listed::default(), false);
    assert_eq!(view.ignored(&owner()), []);
}

#[test]
fn the_watch_may_be_faster_than_the_answer_to_our_write() {
    let view = view();
    let target = object();
    let writing = view.begin_write(&target, None).expect("it has not changed");
    view.put(&kind(), object(), &live(&view, "one", 5));
    view.put(&kind(), object(), &live(&view, "one", 6));
    assert_eq!((members(&view), view.ignored(&owner())), (vec![], vec![]));
    view.verify(&kind(), &object(), &live(&view, "one", 5), verified(b""));
    drop(writing);
    assert_eq!(members(&view), [("one".to_owned(), 6)]);

    // An object that another client created during our write is not a member.
    let writing = view.begin_write(&target, None).expect("it has not changed");
    view.put(&kind(), object(), &live(&view, "two", 9));
    drop(writing);
    assert_eq!(members(&view), [("one".to_owned(), 6)]);
}

#[test]
fn old_news_of_a_broken_mark_takes_nothing_away() {
    let view = view();
    list(&view, "one", 5, true);
    let mut broken = live(&view, "one", 6);
    broken["metadata"]["annotations"]["holdfast.dev/mark"] = "broken".into();
    view.verify(&kind(), &object(), &live(&view, "one", 7), verified(b""));
    view.put(&kind(), object(), &broken);
    assert_eq!(members(&view), [("one".to_owned(), 7)]);
    broken["metadata"]["resourceVersion"] = "8".into();
    view.put(&kind(), object(), &broken);
    assert_eq!((members(&view), view.ignored(&owner())), (vec![], vec![object()]));
    // An object that a controller derives from a member is not a forgery.
    broken["metadata"]["ownerReferences"] = json!([{"controller": true}]);
    broken["metadata"]["resourceVersion"] = "9".into();
    view.put(&kind(), object(), &broken);
    assert_eq!(view.ignored(&owner()), []);
}

#[test]
fn an_object_that_lost_its_marks_differs_until_it_is_a_member_again() {
    let view = view();
    let (manifest, live_as) = (Digest::of_bytes(b"git"), Some(Digest::of_bytes(b"hand")));
    let read = Differs { manifest, live: live_as, whole: live_as };
    assert_eq!(view.viewed(&object()), (false, None));
    let seen = Differs::absent(manifest);
    assert!(view.still_differs(&owner(), &object(), seen));
    view.verify(&kind(), &object(), &live(&view, "one", 5), Verified { manifest, all: false });
    assert!(!view.still_differs(&owner(), &object(), seen));
    assert_eq!(view.viewed(&object()), (true, Some(manifest)));
    assert!(!view.still_differs(&owner(), &object(), read));
}

#[test]
fn what_others_add_counts_where_git_has_null() {
    let view = view();
    let (manifest, applied) = (Digest::of_bytes(b"git"), live(&view, "one", 5));
    view.verify(&kind(), &object(), &applied, Verified { manifest, all: true });
    view.put(&kind(), object(), &applied);
    let satisfies = || view.get(&object()).is_some_and(|entry| entry.satisfies(manifest));
    assert!(satisfies());
    let mut added = live(&view, "one", 6);
    added["data"] = json!({"by": "hand"});
    added["metadata"]["managedFields"] =
        json!([{"manager": "kubectl-edit", "operation": "Update", "fieldsV1": {"f:data": {"f:by": {}}}}]);
    view.put(&kind(), object(), &added);
    assert!(!satisfies());
}

#[test]
fn the_sync_that_had_an_object_hears_that_it_moved() {
    let (view, mut woken) = listened();
    view.verify(&kind(), &object(), &live(&view, "one", 5), verified(b""));
    assert!(woken.try_recv().is_err());
    let other = SyncRef::new("shop", "two");
    view.verify(&kind(), &object(), &live_of(&view, &other, "one", 6), verified(b""));
    assert_eq!((woken.try_recv().ok(), woken.try_recv().ok()), (Some(owner()), None));
    assert_eq!((view.count(&owner()), view.count(&other)), (0, 1));
}

#[test]
fn what_somebody_made_of_our_write_before_its_answer_came_is_not_verified() {
    let view = view();
    let target = object();
    view.verify(&kind(), &target, &live(&view, "one", 5), verified(b"git"));
    let writing = view.begin_write(&target, None).expect("it has not changed");
    let (ours, mut theirs) = (live(&view, "one", 6), live(&view, "one", 7));
    theirs["data"] = json!({"key": "hand"});
    view.put(&kind(), object(), &ours);
    view.put(&kind(), object(), &theirs);
    view.verify(&kind(), &target, &ours, verified(b"git"));
    drop(writing);
    assert!(view.get(&target).is_some_and(|entry| !entry.satisfies(Digest::of_bytes(b"git"))));
}

#[test]
fn what_was_written_between_the_read_and_the_plan_is_not_overwritten_unseen() {
    let view = view();
    let target = object();
    let by_hand = |version: u64, value: &str| {
        let mut live = live(&view, "one", version);
        live["data"] = json!({"key": value});
        live
    };
    let planned = |read: &Value, version: u64| {
        let whole = entry::whole(read);
        view.note_left(&target, version, whole);
        SeenAt { version, live: entry::fingerprint(read, "v1"), whole: Some(whole) }
    };
    view.verify(&kind(), &target, &live(&view, "one", 5), verified(b"git"));
    let (read, newer) = (by_hand(6, "one"), by_hand(7, "two"));
    view.put(&kind(), object(), &read);
    view.put(&kind(), object(), &newer);
    assert!(view.begin_write(&target, Some(planned(&read, 6))).is_none());
    assert!(view.begin_write(&target, Some(planned(&newer, 7))).is_some());
}

#[test]
fn a_change_is_out_of_date_when_its_object_was_changed_appeared_or_is_to_be_kept() {
    let (view, target) = (view(), object());
    let deletion = removed(target.clone(), "v1".to_owned(), "one".to_owned(), Stage::default(), None);
    assert!(!view.moved(&owner(), &deletion), "an object that is gone needs no deletion");
    view.verify(&kind(), &target, &live(&view, "one", 5), verified(b"git"));
    assert!(!view.moved(&owner(), &deletion));
    assert!(view.moved(&SyncRef::new("shop", "other"), &deletion));
    let mut kept = live(&view, "one", 6);
    kept["metadata"]["annotations"]["holdfast.dev/prune"] = json!("Disabled");
    view.put(&kind(), object(), &kept);
    assert!(view.moved(&owner(), &deletion));
}

#[test]
fn a_member_that_the_newest_render_does_not_have_is_unwanted() {
    let view = view();
    list(&view, "one", 5, true);
    let unwanted = || view.unwanted(&owner(), |_| true).into_iter().collect::<Vec<_>>();
    assert_eq!(unwanted(), [], "nothing is known of the render");
    let all = [(object(), Digest::of_bytes(b"git"))];
    view.claim(&owner(), &all, |_| true, &HashSet::new());
    assert_eq!(unwanted(), []);
    view.claim(&owner(), &[], |_| true, &HashSet::new());
    assert_eq!(unwanted(), [object()]);
    assert!(view.unwanted(&owner(), |entry| entry.ending.is_some()).is_empty());
}
