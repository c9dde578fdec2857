//! The kustomize renderer: the kustomization in a folder.
//!
//! Leaves the build to `holdfast_kustomize`. I/O: through its surroundings.

use holdfast_kustomize::{self as kustomize, LoadRestrictions, Options, Output};

use super::surroundings::Surroundings;
use super::{Object, RenderError, Rendered};
use crate::api::{KustomizeOptions, LoadRestrictions as Restrictions};

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
