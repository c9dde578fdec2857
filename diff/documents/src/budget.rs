//! The limits of one render: a small repository can expand to any size, so everything is counted before it is made.
//!
//! One budget belongs to one render and is carried by its files. The limits are far above what real repositories need;
//! without them, the memory limit of the process would end such a render later, with a less useful message. Pure.

use std::cell::Cell;

use serde::{Deserialize, Serialize};

/// Maximum memory in bytes that copies within one file may take, estimated.
const COPIES: usize = 16 * 1024 * 1024;

/// A resource that a render uses.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Resource {
    /// Files and folders that are listed, searched or read, counted each time.
    Visits,
    /// Bytes of files.
    Bytes,
    /// Kustomizations that are read, counted each time that one is referred to.
    Kustomizations,
    /// Objects that are read or generated.
    Objects,
    /// Memory of these objects in bytes, estimated, counted each time that they are read or grow.
    Memory,
    /// Operations on objects: each rule of a transformer counts once for each object that it is tested on, and more
    /// if it changes the object.
    Work,
    /// Bytes of files that generators put into ConfigMaps and Secrets, counted each time.
    Generated,
}

/// Maximum number of operations on objects in one render, or in one step of it.
pub const WORK: u64 = 20_000_000;

/// The maximum of each resource.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Limits {
    pub visits: u64,
    pub bytes: u64,
    pub kustomizations: u64,
    pub objects: u64,
    pub memory: u64,
    pub work: u64,
    pub generated: u64,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            visits: 250_000,
            bytes: 256 * 1024 * 1024,
            kustomizations: 2_000,
            objects: 100_000,
            memory: 1024 * 1024 * 1024,
            work: WORK,
            generated: 64 * 1024 * 1024,
        }
    }
}

impl Limits {
    fn of(&self, resource: Resource) -> u64 {
        match resource {
            Resource::Visits => self.visits,
            Resource::Bytes => self.bytes,
            Resource::Kustomizations => self.kustomizations,
            Resource::Objects => self.objects,
            Resource::Memory => self.memory,
            Resource::Work => self.work,
            Resource::Generated => self.generated,
        }
    }
}

/// A limit of the render is exceeded.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{}", said(*.resource, *.limit))]
pub struct Exceeded {
    pub resource: Resource,
    pub limit: u64,
}

fn said(resource: Resource, limit: u64) -> String {
    match resource {
        Resource::Visits => format!(
            "the render visits more than {limit} files and folders: set spec.path to a smaller folder, or exclude \
             files with .holdfastignore"
        ),
        Resource::Bytes => {
            format!("the render reads more than {limit} bytes of files: split it into several Syncs")
        }
        Resource::Kustomizations => format!(
            "the render reads more than {limit} kustomizations: a base that several others name is read once for each \
             of them, so name it fewer times"
        ),
        Resource::Objects => {
            format!("the render makes more than {limit} objects: split it into several Syncs")
        }
        Resource::Memory => format!(
            "the objects of the render take more than {limit} bytes of memory: use fewer aliases and shorter variables, \
             or split it into several Syncs"
        ),
        Resource::Work => format!(
            "patches, replacements and transformers are applied to objects more than {limit} times in this render: use \
             fewer of them, select fewer objects, or split it into several Syncs"
        ),
        Resource::Generated => format!(
            "generators put more than {limit} bytes of files into ConfigMaps and Secrets: each takes 1 MiB at most, so use \
             fewer or smaller files"
        ),
    }
}

/// The resources that a render has used so far.
#[derive(Debug, Default)]
pub struct Budget {
    limits: Limits,
    taken: [Cell<u64>; 7],
}

impl Budget {
    pub fn new(limits: Limits) -> Self {
        Self { limits, taken: Default::default() }
    }

    /// Counts an amount before it is used.
    ///
    /// # Errors
    /// Fails if the limit would be exceeded. All further calls fail as well.
    pub fn take(&self, resource: Resource, amount: usize) -> Result<(), Exceeded> {
        let limit = self.limits.of(resource);
        let taken = &self.taken[resource as usize];
        taken.set(taken.get().saturating_add(u64::try_from(amount).unwrap_or(u64::MAX)));
        if taken.get() > limit { Err(Exceeded { resource, limit }) } else { Ok(()) }
    }
}

/// Memory in bytes that one file may still use for repetitions: anchors, aliases, merge keys.
#[derive(Debug)]
pub struct Copies(Cell<usize>);

impl Default for Copies {
    fn default() -> Self {
        Self(Cell::new(COPIES))
    }
}

impl Copies {
    /// Counts bytes. Returns false if the limit would be exceeded.
    pub fn take(&self, bytes: usize) -> bool {
        let left = self.0.get().checked_sub(bytes);
        self.0.set(left.unwrap_or(0));
        left.is_some()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_resource_ends_at_its_own_limit() {
        let limits = Limits { visits: 2, bytes: 10, ..Limits::default() };
        let budget = Budget::new(limits);
        assert_eq!(budget.take(Resource::Visits, 2), Ok(()));
        assert_eq!(budget.take(Resource::Bytes, 10), Ok(()));
        let refused = budget.take(Resource::Visits, 1);
        assert_eq!(refused, Err(Exceeded { resource: Resource::Visits, limit: 2 }));
        assert!(refused.is_err_and(|error| error.to_string().contains("more than 2 files and folders")));
        assert!(budget.take(Resource::Bytes, usize::MAX).is_err());
        assert!(budget.take(Resource::Bytes, 1).is_err(), "what is over stays over");
        assert_eq!(budget.take(Resource::Objects, 1), Ok(()));
    }

    #[test]
    fn copies_end_when_their_bytes_are_used_up() {
        let copies = Copies::default();
        assert!(copies.take(COPIES));
        assert!(!copies.take(1));
        assert!(copies.take(0));
    }
}
