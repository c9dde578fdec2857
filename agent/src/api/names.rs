//! Labels, annotations and names that Holdfast reads and writes. Pure.

pub use holdfast_diff::applyset::SYNC;

/// The API group of the custom resources.
pub const GROUP: &str = "holdfast.dev";
/// The extra of a user that the agent impersonates. The admission policy refuses Approvals of requests with this
/// extra.
pub const IMPERSONATED: &str = "holdfast.dev/agent";

/// On an object in Git: [`ALLOWED`] permits changing an immutable field by deleting and creating the object without an
/// Approval.
pub const RECREATE: &str = "holdfast.dev/recreate";
pub const ALLOWED: &str = "Allowed";
/// As [`ALLOWED`], and what belongs to the object, such as the pods of a StatefulSet, is kept.
pub const ORPHAN: &str = "Orphan";
/// On a Job in Git: [`DELETE`] deletes it after it has succeeded. It is not run again.
pub const COMPLETED: &str = "holdfast.dev/completed";
pub const DELETE: &str = "Delete";
/// On a Sync or an ImageUpdate: any new value requests a run now.
pub const RECONCILE_AT: &str = "holdfast.dev/reconcile-at";
/// On an ImageUpdate: removes bans. `NAME@<any new value>` of one image, `*@<any new value>` of all.
pub const UNBAN: &str = "holdfast.dev/unban";
/// On a Sync: its objects are pruned before it is deleted.
pub const FINALIZER: &str = "holdfast.dev/prune";
