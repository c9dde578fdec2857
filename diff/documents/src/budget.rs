//! What one render may take: a small repository can expand to any size, so everything is counted before it is made.
//!
//! One budget belongs to one render and is carried by its files. The limits are far above what real repositories need;
//! what they refuse would only have been ended later, and with a worse message, by the memory limit of the process. Pure.

use std::cell::Cell;

use serde::{Deserialize, Serialize};

/// Bytes of memory that the copies of one file may take, counted roughly.
const COPIES: usize = 16 * 1024 * 1024;

/// Something that a render takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Resource {
    /// Files and folders that are listed, looked for or read, each time that this happens.
    Visits,
    /// Bytes of files.
    Bytes,
    /// Kustomizations that are read, each time that one is named.
    Kustomizations,
    /// Objects that are read or generated.
    Objects,
    /// Bytes of memory of these objects, counted roughly, each time that they are read or grow.
    Memory,
    /// What is done to the objects: each rule of a transformer counts once for each object that it is tried on, and more
    /// where it changes one.
    Work,
    /// Bytes of files that generators put into ConfigMaps and Secrets, each time that one does.
    Generated,
}

/// What is done to objects in one render, or in one step of it.
pub const WORK: u64 = 20_000_000;

/// The most of each that a render may take.
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

/// A render takes more than it may.
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

/// What a render has taken so far.
#[derive(Debug, Default)]
pub struct Budget {
    limits: Limits,
    taken: [Cell<u64>; 7],
}

impl Budget {
    pub fn new(limits: Limits) -> Self {
        Self { limits, taken: Default::default() }
    }

    /// Counts what is about to be taken.
    ///
    /// # Errors
    /// If it is more than what is left. All that comes after it is then refused as well.
    pub fn take(&self, resource: Resource, amount: usize) -> Result<(), Exceeded> {
        let limit = self.limits.of(resource);
        let taken = &self.taken[resource as usize];
        taken.set(taken.get().saturating_add(u64::try_from(amount).unwrap_or(u64::MAX)));
        if taken.get() > limit { Err(Exceeded { resource, limit }) } else { Ok(()) }
    }
}

/// Bytes of memory that one file may still add by repeating what stands elsewhere in it: anchors, aliases, merge keys.
#[derive(Debug)]
pub struct Copies(Cell<usize>);

impl Default for Copies {
    fn default() -> Self {
        Self(Cell::new(COPIES))
    }
}

impl Copies {
    /// False if so many bytes are not left.
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
