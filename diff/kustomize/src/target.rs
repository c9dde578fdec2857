//! One kustomization that was read from its file.
//!
//! Leaves its steps to `run`. Pure.

use super::error::KustomizeError;
use super::file::{self, Kustomization};
use super::loader::Loader;
use super::provenance;
use super::provenance::record::Provenance;
use super::resource::Resource;
use super::schema::Schema;
use holdfast_documents::budget::Resource as Taken;
use holdfast_documents::object::Origin;

/// A kustomization in its folder.
pub struct Target<'a> {
    pub loader: &'a Loader<'a>,
    /// Path of the file.
    pub(super) file: String,
    pub kustomization: Kustomization,
    pub(super) inherited: Inherited,
}

/// What a base inherits from the kustomization that refers to it.
#[derive(Clone, Debug, Default)]
pub(super) struct Inherited {
    /// The namespace of charts that set none.
    pub(super) helm_namespace: String,
    /// The origin of this folder, if `buildMetadata` requests it.
    pub(super) trail: Option<Provenance>,
}

impl<'a> Target<'a> {
    /// Reads the kustomization of a folder.
    pub fn load(loader: &'a Loader<'a>) -> Result<Self, KustomizeError> {
        let mut found = file::NAMES.iter().filter_map(|name| loader.open(name).ok());
        let folder = if loader.root().is_empty() { "." } else { loader.root() };
        let Some(loaded) = found.next() else {
            let names = file::NAMES.join(", ");
            return Err(KustomizeError::in_file(
                folder,
                format!("there is no kustomization here: add one of {names}"),
            ));
        };
        if let Some(second) = found.next() {
            let message =
                format!("there are several kustomizations here: remove {} or {}", loaded.path, second.path);
            return Err(KustomizeError::in_file(folder, message));
        }
        let reading = file::read(&loaded.path, &loaded.bytes)?;
        Self::of(loader, loaded.path, reading)
    }

    /// Creates the target of a kustomization that was read.
    pub fn of(loader: &'a Loader<'a>, file: String, reading: file::Reading) -> Result<Self, KustomizeError> {
        loader.spend(Taken::Kustomizations, 1)?;
        let file::Reading { kustomization, warnings } = reading;
        warnings.into_iter().for_each(|warning| loader.warn(warning));
        let trail = (!kustomization.build_metadata.is_empty()).then(Provenance::default);
        let inherited = Inherited { trail, ..Inherited::default() };
        let target = Self { loader, file, kustomization, inherited };
        target.set_schema().map_err(|error| error.or_at(&target.origin("openapi", 0)))?;
        Ok(target)
    }

    /// Sets the schema of this kustomization, unless another one has set a schema.
    fn set_schema(&self) -> Result<(), KustomizeError> {
        let context = self.loader.context;
        let [path, version] = ["path", "version"].map(|field| self.kustomization.openapi.get(field));
        let file = path.map(|path| self.loader.open(path)).transpose()?;
        if !context.wants_schema() {
            return Ok(());
        }
        match (file, version) {
            (Some(_), Some(_)) => {
                return Err(KustomizeError::new("openapi has a path and a version: remove one of the two"));
            }
            (Some(file), None) => context.set_document(Schema::with_openapi(&file.path, &file.bytes)?),
            (None, Some(version)) if !version.is_empty() => {
                context.set_schema(Schema::with_version(version)?);
            }
            (None, _) => {}
        }
        Ok(())
    }

    /// Records the origin of these resources, if `buildMetadata` requests it.
    pub fn note_provenance(&self, resources: &mut [Resource], path: &str) {
        if let Some(trail) = &self.inherited.trail {
            let provenance = provenance::append(trail, path);
            for resource in resources {
                resource.provenance = Some(provenance.clone());
                resource.touch();
            }
        }
    }

    /// Returns the origin of a plugin that a field of this kustomization configures, for `buildMetadata`.
    pub fn provenance_of(&self, kind: &str) -> Option<Provenance> {
        let trail = self.inherited.trail.as_ref()?;
        Some(provenance::configured(trail, self.file_name(), kind))
    }

    /// Returns the name of the file.
    pub fn file_name(&self) -> &str {
        self.file.rsplit('/').next().unwrap_or_default()
    }

    /// Returns the place of an item of a field.
    pub fn origin(&self, field: &str, index: usize) -> Origin {
        Origin { file: self.file.as_str().into(), line: self.kustomization.line_of(field, index) }
    }
}
