//! The preview of a pull request as a value: its two sides, and the effect of the merge on each Sync. Pure.

use holdfast_diff::plan::{Change, Operation, PlanId};
use serde::Serialize;

use super::effect::{Affected, Effect};
use crate::sync_ref::SyncRef;

/// A pull request and the results of its preview.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Preview {
    pub base: Side,
    pub head: Side,
    /// The UID of the namespace kube-system; `None` if the renders alone were compared.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cluster: Option<String>,
    #[serde(flatten)]
    pub outcome: Outcome,
}

/// One side of a pull request.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Side {
    /// The name of the ref, as it was given.
    pub name: String,
    /// All 40 hex digits.
    pub commit: String,
}

impl Side {
    pub fn short(&self) -> &str {
        self.commit.get(..7).unwrap_or(&self.commit)
    }
}

/// The outcome of the merge.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub enum Outcome {
    /// Both sides changed these files in different ways.
    Conflicts { files: Vec<String>, more: usize },
    /// The effect on each Sync that reads a file which the merge changes.
    Syncs(Vec<SyncPreview>),
}

/// The effect of a merge on one Sync.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct SyncPreview {
    #[serde(serialize_with = "shown")]
    pub sync: SyncRef,
    #[serde(flatten)]
    pub result: SyncResult,
}

fn shown<S: serde::Serializer>(sync: &SyncRef, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_str(sync)
}

/// The result of the preview for one Sync.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub enum SyncResult {
    Planned(Planned),
    /// It cannot be rendered or planned.
    Failed {
        at: At,
        errors: Vec<String>,
    },
}

/// The commit that cannot be rendered or planned.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub enum At {
    Base,
    Merge,
}

/// The plan of a Sync for a merge.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Planned {
    /// The id of the whole plan after the merge.
    pub id: PlanId,
    #[serde(flatten)]
    pub effect: Effect,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub waiting: Option<Box<Waits>>,
    /// Errors of objects that cannot be planned, each with its object or its position in Git.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub errors: Vec<String>,
    /// Problems in the repository that do not block the sync, and that the merge causes.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub warnings: Vec<String>,
}

/// The changes that wait for an approval after the merge.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Waits {
    /// The plan that an approval names; `None` if only the renders were compared.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub id: Option<PlanId>,
    /// One line for each change: the change, and why it waits.
    pub changes: Vec<String>,
    /// Number of other changes that wait for these.
    pub later: usize,
    /// Who rejected it, and why.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub rejected: Option<(String, String)>,
}

impl Preview {
    pub fn syncs(&self) -> &[SyncPreview] {
        match &self.outcome {
            Outcome::Syncs(syncs) => syncs,
            Outcome::Conflicts { .. } => &[],
        }
    }

    fn planned(&self) -> impl Iterator<Item = &Planned> {
        self.syncs().iter().filter_map(|sync| match &sync.result {
            SyncResult::Planned(planned) => Some(planned),
            SyncResult::Failed { .. } => None,
        })
    }

    /// All changes of all Syncs.
    pub fn changes(&self) -> impl Iterator<Item = &Change> {
        self.planned().flat_map(|planned| &planned.effect.changes).map(|affected| &affected.change)
    }

    /// The number of errors: of failed Syncs, and of objects that cannot be planned.
    pub fn errors(&self) -> usize {
        let of = |sync: &SyncPreview| match &sync.result {
            SyncResult::Planned(planned) => planned.errors.len(),
            SyncResult::Failed { errors, .. } => errors.len().max(1),
        };
        self.syncs().iter().map(of).sum()
    }

    /// The number of changes that wait for an approval after the merge.
    pub fn waiting(&self) -> usize {
        self.planned().filter_map(|planned| planned.waiting.as_ref()).map(|waits| waits.changes.len()).sum()
    }

    /// True if the merge only changes images of containers, and nothing fails or waits for an approval.
    pub fn is_routine(&self) -> bool {
        let mut affected = self.planned().flat_map(|planned| &planned.effect.changes).peekable();
        affected.peek().is_some()
            && self.errors() == 0
            && self.waiting() == 0
            && affected.all(Affected::is_rollout)
    }

    /// The verdict in one line: `3 updates, 1 deletion, 1 change waits for approval`.
    pub fn verdict(&self) -> String {
        if let Outcome::Conflicts { files, more } = &self.outcome {
            return format!("merge conflicts in {}", count(files.len() + more, "file"));
        }
        if self.syncs().is_empty() {
            return "no Sync reads what changes".to_owned();
        }
        let mut parts = counts(self.changes());
        if parts.is_empty() {
            parts.push("no changes in the cluster".to_owned());
        }
        if self.waiting() > 0 {
            let verb = if self.waiting() == 1 { "waits" } else { "wait" };
            parts.push(format!("{} {verb} for approval", count(self.waiting(), "change")));
        }
        if self.errors() > 0 {
            parts.insert(0, count(self.errors(), "error"));
        }
        let routine = if self.is_routine() { "routine: " } else { "" };
        format!("{routine}{}", parts.join(", "))
    }
}

impl Affected {
    /// True if only images of containers change, and no drift is overwritten.
    pub fn is_rollout(&self) -> bool {
        let Self { change, overwrites, created: _ } = self;
        change.operation == Operation::Update
            && overwrites.is_empty()
            && !change.fields.is_empty()
            && change.fields.iter().all(|field| is_image(&field.path))
    }
}

/// True for `/spec/template/spec/containers/0/image` and the like.
fn is_image(path: &str) -> bool {
    let segments: Vec<&str> = path.rsplit('/').collect();
    matches!(segments.as_slice(), ["image", _, "containers" | "initContainers" | "ephemeralContainers", ..])
}

/// The operations in the order in which they are listed, with their nouns.
const NOUNS: [(Operation, &str); 7] = [
    (Operation::Create, "creation"),
    (Operation::Adopt, "adoption"),
    (Operation::Move, "move"),
    (Operation::Update, "update"),
    (Operation::Recreate, "recreation"),
    (Operation::Orphan, "orphan"),
    (Operation::Delete, "deletion"),
];

/// `3 updates`, `1 deletion`
pub fn counts<'a>(changes: impl IntoIterator<Item = &'a Change>) -> Vec<String> {
    let operations: Vec<Operation> = changes.into_iter().map(|change| change.operation).collect();
    let of = |(operation, noun): &(Operation, &str)| {
        let found = operations.iter().filter(|each| *each == operation).count();
        (found > 0).then(|| count(found, noun))
    };
    NOUNS.iter().filter_map(of).collect()
}

/// `1 file`, `2 files`
pub fn count(number: usize, noun: &str) -> String {
    if number == 1 { format!("1 {noun}") } else { format!("{number} {noun}s") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_images_of_containers_are_images() {
        for path in [
            "/spec/template/spec/containers/0/image",
            "/spec/containers/1/image",
            "/spec/jobTemplate/spec/template/spec/initContainers/0/image",
        ] {
            assert!(is_image(path), "{path}");
        }
        for path in [
            "/spec/image",
            "/spec/template/spec/containers/0/imagePullPolicy",
            "/data/image",
            "/spec/containers/image",
        ] {
            assert!(!is_image(path), "{path}");
        }
    }

    #[test]
    fn nothing_to_do_is_said_plainly() {
        let side = || Side { name: "main".to_owned(), commit: "1a2b3c4d".to_owned() };
        let of = |outcome| Preview { base: side(), head: side(), cluster: None, outcome };
        assert_eq!(of(Outcome::Syncs(Vec::new())).verdict(), "no Sync reads what changes");
        let files = vec!["a.yaml".to_owned()];
        assert_eq!(of(Outcome::Conflicts { files, more: 2 }).verdict(), "merge conflicts in 3 files");
        assert_eq!(side().short(), "1a2b3c4");
    }
}
