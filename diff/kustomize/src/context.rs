//! What all kustomizations of one build share: how to build, the host, and what was learnt of types so far.
//!
//! Pure.

use std::cell::{Cell, RefCell};

use super::host::Host;
use super::resource::Resource;
use super::schema::{Schema, Used};
use super::scope;

/// Which files a kustomization may read.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum LoadRestrictions {
    /// Those in or below its own folder.
    #[default]
    RootOnly,
    /// All of the repository.
    None,
}

/// How to build.
#[derive(Clone, Debug, Default)]
pub struct Options {
    pub load_restrictions: LoadRestrictions,
    /// Whether `helmCharts` are rendered; else they are an error.
    pub enable_helm: bool,
}

/// What all kustomizations of a build share.
pub struct Context<'a> {
    pub host: &'a dyn Host,
    pub options: &'a Options,
    pub warnings: RefCell<Vec<String>>,
    /// The first schema that a kustomization names, the outermost one before all others.
    schema: RefCell<Option<Schema>>,
    /// What was used of the built-in types so far.
    used: Cell<Used>,
}

impl<'a> Context<'a> {
    pub fn new(host: &'a dyn Host, options: &'a Options) -> Self {
        let (warnings, schema, used) = Default::default();
        Self { host, options, warnings, schema, used }
    }

    /// What is known of types at this point of the build.
    pub fn schema(&self) -> Schema {
        self.schema.borrow().clone().unwrap_or_else(Schema::kubernetes)
    }

    /// True if no kustomization has named a schema yet.
    pub fn wants_schema(&self) -> bool {
        self.schema.borrow().is_none()
    }

    pub fn set_schema(&self, schema: Schema) {
        self.schema.replace(Some(schema));
    }

    /// Takes the types of a document of one's own, with those that are built in if those were used before.
    pub fn set_document(&self, document: Schema) {
        self.set_schema(document.after(self.used.get()));
    }

    /// Notes that these resources were merged, or else that they are there: whether their kinds have a namespace is looked
    /// for among the types.
    pub fn note_used(&self, resources: &[Resource], are_merged: bool) {
        let used = if are_merged {
            Used::Types
        } else if self.used.get() == Used::Nothing && resources.iter().any(|it| !scope::is_built_in(it.gvk()))
        {
            Used::Scopes
        } else {
            return;
        };
        self.used.set(self.used.get().max(used));
    }
}
