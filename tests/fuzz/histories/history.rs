//! A history: what is committed and what others write, in order. It says nothing of names or values, only which variants
//! are chosen, so that any part of a history is a history too. Pure.

use holdfast_tests::random::Random;
use serde::{Deserialize, Serialize};

use super::kinds::{self, Aspect, Kind};

/// What happens, and to what. Slots are objects of a kind, of which each may be in git or not.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct History {
    /// The kind of each slot, by name.
    pub slots: Vec<String>,
    #[serde(default)]
    pub mode: Mode,
    pub ops: Vec<Op>,
}

/// How the Syncs of a history are set up.
#[expect(clippy::struct_excessive_bools, reason = "each is independent of the others")]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Mode {
    /// Drift is reported and not corrected.
    pub report: bool,
    /// What cannot be undone needs an approval.
    pub gated: bool,
    /// There is a second Sync, to which objects move.
    pub two: bool,
    /// The objects of the first two slots, which are of two kinds, have one name.
    #[serde(default)]
    pub twins: bool,
}

/// One thing that happens.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Op {
    pub act: Act,
    /// What comes next waits until the agent has nothing to do.
    pub quiet: bool,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub enum Act {
    Commit(Vec<Edit>),
    Write {
        slot: usize,
        write: Write,
    },
    /// The agent is killed and started again, so many milliseconds after what came before.
    Kill(u64),
    /// A person approves what waits.
    Approve,
}

/// A change of git.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub enum Edit {
    Add(usize),
    Remove(usize),
    Rename(usize),
    /// To the other Sync.
    Move(usize),
    /// To the other kind, under the same name.
    Turn(usize),
    Set(usize, Choice),
}

impl Edit {
    pub fn slot(&self) -> usize {
        let (Self::Add(slot)
        | Self::Remove(slot)
        | Self::Rename(slot)
        | Self::Move(slot)
        | Self::Turn(slot)
        | Self::Set(slot, _)) = self;
        *slot
    }
}

/// A variant of an aspect of a kind.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Choice {
    pub aspect: usize,
    pub variant: usize,
}

/// A write past git.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub enum Write {
    /// `kubectl edit`: one variant is put in place of another.
    Edit(Choice),
    /// `kubectl patch`: a variant is laid over the object.
    Patch(Choice),
    /// `kubectl label`, `annotate`, `scale`, `set env`, `set image`: whatever the aspect takes.
    Verb(Choice),
    /// A controller applies one variant, and nothing else.
    Operator {
        choice: Choice,
        force: bool,
    },
    /// `kubectl apply` of what git says, but for one variant.
    ClientApply(Choice),
    /// `kubectl apply --server-side` of the same.
    ServerApply {
        choice: Choice,
        manager: Manager,
        force: bool,
    },
    /// `kubectl replace` of the same.
    Replace(Choice),
    /// `kubectl create` of the same.
    Create(Choice),
    Delete,
    /// An autoscaler sets the number of replicas.
    Autoscale(u32),
    /// `managedFields` are wiped.
    Strip,
    /// A backup tool copies the object with all of its metadata, under another name or into another namespace.
    Copy {
        elsewhere: bool,
    },
}

/// Tools that apply.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Manager {
    Kubectl,
    Flux,
    Argo,
    Helm,
}

impl Manager {
    pub fn name(self) -> &'static str {
        match self {
            Self::Kubectl => "kubectl",
            Self::Flux => "kustomize-controller",
            Self::Argo => "argocd-controller",
            Self::Helm => "helm",
        }
    }
}

/// Makes the history of a seed and a number.
pub fn make(seed: u64, number: u64, kinds: &[Kind]) -> History {
    let mut random = Random::new(seed.wrapping_mul(0x9E37_79B9).wrapping_add(number));
    // The first numbers of neighbouring seeds are alike.
    random.number();
    // A definition, or a namespace, is much work for all that share the control plane.
    let pairs = kinds::pairs(kinds);
    let is_dear = |kind: &&Kind| pairs.iter().flatten().any(|dear| dear.name == kind.name);
    let cheap: Vec<&Kind> = kinds.iter().filter(|kind| !is_dear(kind)).collect();
    let mut slots: Vec<&Kind> =
        (0..random.between(1, 3)).filter_map(|_| random.pick(&cheap).copied()).collect();
    if random.one_in(12) {
        slots.truncate(1);
        slots.extend(random.pick(&pairs).into_iter().flatten());
    }
    let hot: Vec<Vec<usize>> =
        slots.iter().map(|kind| (0..3).map(|_| random.below(kind.aspects.len())).collect()).collect();
    // Drawn apart, so that all other histories stay as they are.
    let twins =
        Random::new(number.wrapping_mul(0x9E37_79B9).wrapping_add(seed)).one_in(4) && are_twins(&slots);
    let mode = Mode { report: random.one_in(8), gated: random.one_in(6), two: random.one_in(5), twins };
    let mut maker = Maker { random, slots: &slots, hot, mode };
    let mut ops = Vec::new();
    if maker.random.one_in(3) {
        // Some objects are there before git has them.
        let slot = maker.slot();
        let choice = maker.choice(slot);
        let write = match maker.random.below(4) {
            0 => Write::Create(choice),
            1 => Write::ClientApply(choice),
            _ => Write::ServerApply { choice, manager: maker.manager(), force: false },
        };
        ops.push(Op { act: Act::Write { slot, write }, quiet: false });
    }
    ops.push(Op { act: Act::Commit(maker.beginning()), quiet: true });
    for _ in 0..maker.random.between(2, 7) {
        let act = maker.act();
        ops.push(Op { act, quiet: !maker.random.one_in(4) });
    }
    if let Some(last) = ops.last_mut() {
        last.quiet = true;
    }
    History { slots: slots.iter().map(|kind| kind.name.to_owned()).collect(), mode, ops }
}

/// True if the first two of these kinds can have objects of one name, which says nothing of either.
fn are_twins(slots: &[&Kind]) -> bool {
    let [one, other, ..] = slots else { return false };
    let is_free = |kind: &Kind| kind.only.is_none() && kind.within.is_none();
    one.name != other.name && is_free(one) && is_free(other)
}

struct Maker<'a> {
    random: Random,
    slots: &'a [&'a Kind],
    /// Aspects that are chosen most of the time, so that git and others meet.
    hot: Vec<Vec<usize>>,
    mode: Mode,
}

impl Maker<'_> {
    fn slot(&mut self) -> usize {
        self.random.below(self.slots.len())
    }

    fn aspects(&self, slot: usize) -> &[Aspect] {
        self.slots.get(slot).map_or(&[], |kind| &kind.aspects)
    }

    fn choice(&mut self, slot: usize) -> Choice {
        let hot = self.hot.get(slot).map_or(&[][..], Vec::as_slice);
        let aspect = match self.random.below(5) {
            0 => self.random.below(self.aspects(slot).len()),
            _ => hot.get(self.random.below(hot.len())).copied().unwrap_or_default(),
        };
        self.variant(slot, aspect)
    }

    fn variant(&mut self, slot: usize, aspect: usize) -> Choice {
        let count = self.aspects(slot).get(aspect).map_or(1, |aspect| aspect.variants.len());
        // What leaves git is of more interest than what comes.
        let variant = if self.random.one_in(4) { 0 } else { self.random.below(count) };
        Choice { aspect, variant }
    }

    /// All slots, with a few variants each.
    fn beginning(&mut self) -> Vec<Edit> {
        let mut edits = Vec::new();
        for slot in 0..self.slots.len() {
            if slot != 1 || !self.mode.twins {
                edits.push(Edit::Add(slot));
            }
            for aspect in 0..self.aspects(slot).len() {
                let is_hot = self.hot.get(slot).is_some_and(|hot| hot.contains(&aspect));
                if self.random.one_in(if is_hot { 2 } else { 8 }) {
                    edits.push(Edit::Set(slot, self.variant(slot, aspect)));
                }
            }
        }
        edits
    }

    fn act(&mut self) -> Act {
        match self.random.below(20) {
            0 => Act::Kill(self.random.number() % 300),
            1..=3 if self.mode.gated => Act::Approve,
            1..=9 => {
                let edits = (0..self.random.between(1, 3)).map(|_| self.edit()).collect();
                Act::Commit(edits)
            }
            _ => {
                let slot = self.slot();
                Act::Write { slot, write: self.write(slot) }
            }
        }
    }

    fn edit(&mut self) -> Edit {
        let slot = self.slot();
        match self.random.below(12) {
            0 => Edit::Remove(slot),
            1 => Edit::Add(slot),
            2 => Edit::Rename(slot),
            3..=4 if self.mode.two => Edit::Move(slot),
            5..=7 if self.mode.twins && slot < 2 => Edit::Turn(slot),
            _ => Edit::Set(slot, self.choice(slot)),
        }
    }

    fn manager(&mut self) -> Manager {
        let all = [Manager::Kubectl, Manager::Flux, Manager::Argo, Manager::Helm];
        self.random.pick(&all).copied().unwrap_or(Manager::Kubectl)
    }

    fn write(&mut self, slot: usize) -> Write {
        let mut choice = self.choice(slot);
        let force = !self.random.one_in(3);
        let count = self.aspects(slot).get(choice.aspect).map_or(1, |aspect| aspect.variants.len());
        if choice.variant == 0 && count > 1 && !self.random.one_in(3) {
            choice.variant = self.random.between(1, count - 1);
        }
        match self.random.below(24) {
            0..=3 => Write::Edit(choice),
            4..=6 => Write::Patch(choice),
            7..=9 => Write::Verb(choice),
            10..=11 => Write::Operator { choice, force },
            12..=13 => Write::ClientApply(choice),
            14..=16 => Write::ServerApply { choice, manager: self.manager(), force },
            17 => Write::Replace(choice),
            18 => Write::Create(choice),
            19 => Write::Delete,
            20 => Write::Autoscale(u32::try_from(self.random.between(1, 4)).unwrap_or(1)),
            21 => Write::Strip,
            _ => Write::Copy { elsewhere: self.random.one_in(2) },
        }
    }
}
