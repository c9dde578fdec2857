//! The kustomize renderer: the kustomization in a folder, and what it asks of the outside.
//!
//! Leaves the build to `holdfast_diff::kustomize`. I/O: charts and remote bases, through what it is given.

use std::sync::Arc;

use holdfast_diff::files::{Entry, Files, FilesError, Place};
use holdfast_diff::kustomize::host::{HelmChart, Host};
use holdfast_diff::kustomize::{self, LoadRestrictions, Options, Output};

use super::{Object, RenderError, Rendered};
use crate::api::{KustomizeOptions, LoadRestrictions as Restrictions};

/// What a kustomization may ask for beside files.
pub trait Outside {
    /// See [`Host::remote`].
    fn remote(&self, url: &str) -> Result<String, FilesError>;

    /// See [`Host::chart`].
    fn chart(&self, files: &dyn Files, chart: &HelmChart, folder: &str) -> Result<Vec<u8>, FilesError>;
}

/// Files, and the outside.
pub struct Surroundings<'a> {
    pub files: &'a dyn Files,
    pub outside: Option<&'a dyn Outside>,
}

/// Renders the kustomization in a folder.
pub fn render(
    host: &Surroundings<'_>,
    folder: &str,
    options: Option<&KustomizeOptions>,
) -> Result<Rendered, RenderError> {
    let load_restrictions = match options.map(|options| options.load_restrictions).unwrap_or_default() {
        Restrictions::RootOnly => LoadRestrictions::RootOnly,
        Restrictions::None => LoadRestrictions::None,
    };
    let enable_helm = options.is_some_and(|options| options.enable_helm);
    let built = kustomize::build(host, folder, &Options { load_restrictions, enable_helm });
    let Output { resources, warnings } = built.map_err(|error| RenderError::of(vec![error.to_string()]))?;
    let objects = resources.into_iter().map(|(value, origin)| Object { value, origin }).collect();
    Ok(Rendered { objects, warnings, secret: false })
}

impl Files for Surroundings<'_> {
    fn resolve(&self, path: &str) -> Result<Option<Place>, FilesError> {
        self.files.resolve(path)
    }

    fn read(&self, path: &str) -> Result<Option<Arc<[u8]>>, FilesError> {
        self.files.read(path)
    }

    fn list(&self, path: &str) -> Result<Option<Vec<Entry>>, FilesError> {
        self.files.list(path)
    }
}

/// Without an outside, the host's own refusals say what to do.
struct Alone<'a>(&'a dyn Files);

impl Files for Alone<'_> {
    fn resolve(&self, path: &str) -> Result<Option<Place>, FilesError> {
        self.0.resolve(path)
    }

    fn read(&self, path: &str) -> Result<Option<Arc<[u8]>>, FilesError> {
        self.0.read(path)
    }

    fn list(&self, path: &str) -> Result<Option<Vec<Entry>>, FilesError> {
        self.0.list(path)
    }
}

impl Host for Alone<'_> {}

impl Host for Surroundings<'_> {
    fn remote(&self, url: &str) -> Result<String, FilesError> {
        self.outside.map_or_else(|| Alone(self.files).remote(url), |outside| outside.remote(url))
    }

    fn chart(&self, chart: &HelmChart, folder: &str) -> Result<Vec<u8>, FilesError> {
        match self.outside {
            Some(outside) => outside.chart(self.files, chart, folder),
            None => Alone(self.files).chart(chart, folder),
        }
    }
}
