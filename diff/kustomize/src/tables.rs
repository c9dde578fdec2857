//! Reads the files of `configurations` and `crds`, which extend the tables of transformers.
//!
//! Leaves the meaning of the tables to `config`. Pure.

use serde_json::Value;

use super::config::{TransformerConfig, crds};
use super::error::KustomizeError;
use super::file::fields::CONFIGURATION;
use super::loader::Loaded;
use super::own;
use super::shape::{Position, Strictness, fit};
use super::steps::typed;
use super::target::Target;
use holdfast_documents::yaml::Duplicates;

/// Returns the built-in tables, extended by the `configurations` and `crds` of a kustomization.
pub fn read(target: &Target) -> Result<[TransformerConfig; 2], KustomizeError> {
    let kustomization = &target.kustomization;
    let mut files = Vec::new();
    for (index, path) in kustomization.configurations.iter().enumerate() {
        let origin = target.origin("configurations", index);
        files.push(
            target
                .loader
                .open_first(path)
                .and_then(|loaded| configuration(&loaded))
                .map_err(|e| e.or_at(&origin))?,
        );
    }
    let config =
        TransformerConfig::with_files(files).map_err(|e| e.or_at(&target.origin("configurations", 0)))?;
    let mut crds = TransformerConfig::default();
    for (index, path) in kustomization.crds.iter().enumerate() {
        let origin = target.origin("crds", index);
        let found = target.loader.open_first(path).and_then(|loaded| definitions(&loaded));
        crds = found.and_then(|found| crds.merge(&found)).map_err(|error| error.or_at(&origin))?;
    }
    Ok([config, crds])
}

fn configuration(Loaded { path, bytes }: &Loaded) -> Result<TransformerConfig, KustomizeError> {
    let document = own::first(path, bytes, Duplicates::Refuse)?;
    let Some(document) = document else { return Ok(TransformerConfig::default()) };
    let place = Position::root(&document.tree);
    let fitted = fit(document.value, CONFIGURATION, Strictness::Converting, place);
    typed(&fitted.map_err(|misfits| super::file::misfit(path, misfits))?)
}

fn definitions(Loaded { path, bytes }: &Loaded) -> Result<TransformerConfig, KustomizeError> {
    let document = own::first(path, bytes, Duplicates::LastWins)?;
    let value = document.map_or(Value::Null, |document| document.value);
    crds::from_definitions(&value).map_err(|error| KustomizeError::in_file(path, error.message))
}
