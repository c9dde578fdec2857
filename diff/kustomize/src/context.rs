//! The shared state of all kustomizations of one build: options, the host, and the known types.
//!
//! Pure.

use std::cell::{Cell, RefCell};

use super::host::Host;
use super::resource::Resource;
use super::schema::{Schema, Used};
use super::scope;

/// The files that a kustomization may read.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum LoadRestrictions {
    /// Files in or below its own folder.
    #[default]
    RootOnly,
    /// All files of the repository.
    None,
}

/// The options of a build.
#[derive(Clone, Debug, Default)]
pub struct Options {
    pub load_restrictions: LoadRestrictions,
    /// Whether `helmCharts` are rendered; otherwise they are an error.
    pub enable_helm: bool,
}

/// The shared state of all kustomizations of a build.
pub struct Context<'a> {
    pub host: &'a dyn Host,
    pub options: &'a Options,
    pub warnings: RefCell<Vec<String>>,
    /// The first schema that a kustomization sets; the outermost one has precedence.
    schema: RefCell<Option<Schema>>,
    /// The built-in types that were used so far.
    used: Cell<Used>,
}

impl<'a> Context<'a> {
    pub fn new(host: &'a dyn Host, options: &'a Options) -> Self {
        let (warnings, schema, used) = Default::default();
        Self { host, options, warnings, schema, used }
    }

    /// Returns the types that are known at this point of the build.
    pub fn schema(&self) -> Schema {
        self.schema.borrow().clone().unwrap_or_else(Schema::kubernetes)
    }

    /// True if no kustomization has set a schema yet.
    pub fn wants_schema(&self) -> bool {
        self.schema.borrow().is_none()
    }

    pub fn set_schema(&self, schema: Schema) {
        self.schema.replace(Some(schema));
    }

    /// Sets the types of a custom document, together with the built-in ones if those were used before.
    pub fn set_document(&self, document: Schema) {
        self.set_schema(document.after(self.used.get()));
    }

    /// Records that these resources were merged, or that they exist: kustomize then searches the types for the scope of
    /// their kinds.
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
