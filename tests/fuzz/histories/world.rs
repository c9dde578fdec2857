//! What git said and what others wrote, by the history alone: the ground on which the oracle decides. Pure.

use std::sync::Arc;

use serde_json::{Value, json};

use super::fragment::{self, Path};
use super::history::{Choice, Edit, Mode};
use super::kinds::Kind;

/// An object that was in git or was written: a slot under one of its names.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Id {
    pub slot: usize,
    pub name: String,
}

/// An object as one commit has it.
#[derive(Clone, Debug, PartialEq)]
pub struct State {
    pub id: Id,
    pub choice: Vec<usize>,
    /// The Sync whose folder it is in.
    pub sync: usize,
}

/// All of git at one commit.
#[derive(Clone, Debug)]
pub struct Commit {
    pub at: usize,
    /// The last quiet point before it.
    pub since: usize,
    pub states: Vec<State>,
}

impl Commit {
    pub fn state(&self, id: &Id) -> Option<&State> {
        self.states.iter().find(|state| state.id == *id)
    }
}

/// Who wrote.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum By {
    /// A person, field by field.
    Hand,
    /// A tool that writes whole manifests.
    Tool,
    /// A controller that applies a few fields of its own.
    Operator,
}

/// What was written.
#[derive(Clone, Debug, PartialEq)]
pub enum Effect {
    Part(Choice),
    Whole(Vec<usize>),
    Replicas(i64),
    /// An autoscaler that goes on holding the number.
    Autoscaler(i64),
    Delete,
    Strip,
}

/// A write that the API server took.
#[derive(Clone, Debug)]
pub struct Wrote {
    pub at: usize,
    pub since: usize,
    pub id: Id,
    pub by: By,
    pub effect: Effect,
    /// The object as the API server answered it.
    pub stored: Value,
}

/// A copy of an object, as it was made.
#[derive(Clone, Debug)]
pub struct Copy {
    pub slot: usize,
    pub namespace: String,
    pub name: String,
    pub stored: Value,
}

/// One slot of the working tree.
#[derive(Clone, Debug)]
struct Draft {
    present: bool,
    renamed: bool,
    sync: usize,
    choice: Vec<usize>,
}

pub struct World {
    pub slots: Vec<Arc<Kind>>,
    pub namespace: String,
    pub mode: Mode,
    drafts: Vec<Draft>,
    pub commits: Vec<Commit>,
    pub writes: Vec<Wrote>,
    pub copies: Vec<Copy>,
    /// When something was approved for the last time.
    pub approved: Option<usize>,
    /// The number of the operation that is under way; the first one is 1.
    pub now: usize,
    /// The last quiet point.
    pub quiet: usize,
}

impl World {
    pub fn new(namespace: &str, slots: Vec<Arc<Kind>>, mode: Mode) -> Self {
        let drafts = slots
            .iter()
            .map(|kind| Draft {
                present: false,
                renamed: false,
                sync: 0,
                choice: vec![0; kind.aspects.len()],
            })
            .collect();
        Self {
            namespace: namespace.to_owned(),
            slots,
            mode,
            drafts,
            commits: Vec::new(),
            writes: Vec::new(),
            copies: Vec::new(),
            approved: None,
            now: 0,
            quiet: 0,
        }
    }

    pub fn kind(&self, slot: usize) -> &Kind {
        &self.slots[slot]
    }

    /// The name that a slot has in the working tree.
    pub fn id(&self, slot: usize) -> Id {
        let suffix = if self.drafts[slot].renamed { "-b" } else { "" };
        let kind = &self.slots[slot];
        let stem = if self.is_twin(slot) { "twin".to_owned() } else { format!("{}-{slot}", kind.name) };
        Id { slot, name: kind.object_name(&format!("{stem}{suffix}"), &self.namespace) }
    }

    /// True if another slot has objects of the same name.
    fn is_twin(&self, slot: usize) -> bool {
        self.mode.twins && slot < 2 && self.slots.len() > 1
    }

    /// What the working tree says of a slot, whether it is in git or not.
    pub fn choice(&self, slot: usize) -> &[usize] {
        &self.drafts[slot].choice
    }

    /// An object in git becomes one of the other kind.
    fn turn(&mut self, slot: usize) {
        if !self.is_twin(slot) {
            return;
        }
        let from = if self.drafts[slot].present { slot } else { 1 - slot };
        let Draft { present, renamed, sync, .. } = self.drafts[from];
        if present {
            self.drafts[from].present = false;
            let to = &mut self.drafts[1 - from];
            (to.present, to.renamed, to.sync) = (true, renamed, sync);
        }
    }

    pub fn apply(&mut self, edit: &Edit) {
        if let Edit::Turn(slot) = edit {
            return self.turn(*slot);
        }
        let Some(draft) = self.drafts.get_mut(edit.slot()) else { return };
        match edit {
            Edit::Add(_) => draft.present = true,
            Edit::Remove(_) => draft.present = false,
            Edit::Rename(_) => draft.renamed = !draft.renamed,
            Edit::Move(_) if self.mode.two => draft.sync = 1 - draft.sync,
            Edit::Move(_) | Edit::Turn(_) => {}
            Edit::Set(_, Choice { aspect, variant }) => {
                if let Some(chosen) = draft.choice.get_mut(*aspect) {
                    *chosen = *variant;
                }
            }
        }
    }

    /// Makes the working tree a commit.
    pub fn commit(&mut self) {
        let states = (0..self.slots.len()).filter(|slot| self.drafts[*slot].present);
        let states = states.map(|slot| {
            let Draft { sync, choice, .. } = &self.drafts[slot];
            State { id: self.id(slot), choice: choice.clone(), sync: *sync }
        });
        self.commits.push(Commit { at: self.now, since: self.quiet, states: states.collect() });
    }

    pub fn head(&self) -> Option<&Commit> {
        self.commits.last()
    }

    /// Every object of which the history knows.
    pub fn ids(&self) -> Vec<Id> {
        let in_git =
            self.commits.iter().flat_map(|commit| commit.states.iter().map(|state| state.id.clone()));
        let mut all: Vec<Id> = in_git.chain(self.writes.iter().map(|wrote| wrote.id.clone())).collect();
        all.sort();
        all.dedup();
        all
    }

    /// The manifest of an object as git has it.
    pub fn manifest(&self, state: &State) -> Value {
        self.kind(state.id.slot).object(&state.id.name, &state.choice)
    }

    /// The paths of a state of git, as the object has them: what is only for writing is where it is read.
    pub fn said(&self, state: &State) -> Vec<(Path, Value)> {
        fragment::leaves(&stored(self.manifest(state)))
    }
}

/// `stringData` as the API server keeps it.
pub fn stored(mut manifest: Value) -> Value {
    use base64::Engine as _;
    use base64::prelude::BASE64_STANDARD;
    let Some(text) = manifest.as_object_mut().and_then(|fields| fields.remove("stringData")) else {
        return manifest;
    };
    for (key, value) in text.as_object().into_iter().flatten() {
        let encoded = BASE64_STANDARD.encode(value.as_str().unwrap_or_default());
        fragment::merge(&mut manifest, &json!({"data": {key: encoded}}));
    }
    manifest
}
