//! Selects the renderer of a folder: from the Sync, else from the content of the folder.
//!
//! Pure, beside the files that it is given.

use holdfast_diff::files::{FileKind, Files, FilesError};

use crate::api::{Render, RenderType as Renderer};

/// The names of a kustomization's file.
const KUSTOMIZATIONS: [&str; 3] = ["kustomization.yaml", "kustomization.yml", "Kustomization"];
/// The name of a chart's file.
const CHART: &str = "Chart.yaml";

/// What the Sync says, else what is in the folder.
pub fn renderer(files: &dyn Files, folder: &str, options: &Render) -> Result<Renderer, FilesError> {
    if let Some(chosen) = options.kind {
        return Ok(chosen);
    }
    let chart = options.helm.as_ref().is_some_and(|helm| helm.chart.is_some());
    Ok(if chart {
        Renderer::Helm
    } else if is_kustomization(files, folder)? {
        Renderer::Kustomize
    } else if has(files, folder, CHART)? {
        Renderer::Helm
    } else {
        Renderer::Plain
    })
}

/// True if a folder holds a kustomization.
pub fn is_kustomization(files: &dyn Files, folder: &str) -> Result<bool, FilesError> {
    for name in KUSTOMIZATIONS {
        if has(files, folder, name)? {
            return Ok(true);
        }
    }
    Ok(false)
}

fn has(files: &dyn Files, folder: &str, name: &str) -> Result<bool, FilesError> {
    let path = if folder.is_empty() { name.to_owned() } else { format!("{folder}/{name}") };
    Ok(files.resolve(&path)?.is_some_and(|place| place.kind == FileKind::File))
}
