//! Labels, annotations and names that Holdfast reads and writes. Pure.

pub use holdfast_diff::applyset::SYNC;

/// The API group of the custom resources.
pub const GROUP: &str = "holdfast.dev";
/// The extra of a user who is impersonated by the agent. Admission sees it: it refuses Approvals that come with it.
pub const IMPERSONATED: &str = "holdfast.dev/agent";

/// On an object in git: [`ALLOWED`] lets an immutable field be changed by delete and create without an approval.
pub const RECREATE: &str = "holdfast.dev/recreate";
pub const ALLOWED: &str = "Allowed";
/// As [`ALLOWED`], and what belongs to the object, such as the pods of a StatefulSet, stays.
pub const ORPHAN: &str = "Orphan";
/// On a Job in git: [`DELETE`] deletes it when it has succeeded. It is not run again.
pub const COMPLETED: &str = "holdfast.dev/completed";
pub const DELETE: &str = "Delete";
/// On a Sync or an ImageUpdate: any new value asks for a run now.
pub const RECONCILE_AT: &str = "holdfast.dev/reconcile-at";
/// On an ImageUpdate: takes back what was banned. `NAME@<any new value>` of one image, `*@<any new value>` of all.
pub const UNBAN: &str = "holdfast.dev/unban";
/// On a Sync: its objects are pruned before it goes.
pub const FINALIZER: &str = "holdfast.dev/prune";
