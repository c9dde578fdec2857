//! The kustomize renderer: the kustomization in a folder, and what it asks of the outside.
//!
//! Leaves the build to `holdfast_diff::kustomize`. I/O: charts and remote bases, through what it is given.

use std::path::Path;
use std::sync::Arc;

use holdfast_diff::files::{Entry, Files, FilesError, Place};
use holdfast_diff::kustomize::host::{HelmChart, Host};
use holdfast_diff::kustomize::{self, LoadRestrictions, Options, Output};
use tokio::runtime::Handle;

use super::chart::{self, Charts};
use super::helm::{Limits, Runner};
use super::{NO_HELM, Object, RenderError, Rendered};
use crate::api::{KustomizeOptions, LoadRestrictions as Restrictions};

/// What may be asked for beside files.
#[derive(Clone, Default)]
pub struct Outside {
    pub charts: Option<Charts>,
}

impl Outside {
    /// Charts by this program, kept below a folder. Must be called on the runtime that is to run it.
    pub fn new(helm: &Path, cache: &Path) -> Self {
        let runner = Arc::new(Runner::new(helm, cache, Limits::default()));
        Self { charts: Some(Charts { runner, runtime: Handle::current() }) }
    }

    pub fn charts(&self) -> Option<&Charts> {
        self.charts.as_ref()
    }
}

/// Files, and the outside.
pub struct Surroundings<'a> {
    pub files: &'a dyn Files,
    pub outside: Option<&'a Outside>,
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
    Ok(Rendered { objects, warnings, ..Rendered::default() })
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

impl Host for Surroundings<'_> {
    fn chart(&self, chart: &HelmChart, folder: &str) -> Result<Vec<u8>, FilesError> {
        let missing = || FilesError(NO_HELM.to_owned());
        let charts = self.outside.and_then(Outside::charts).ok_or_else(missing)?;
        chart::of_kustomization(charts, self.files, chart, folder)
    }
}
