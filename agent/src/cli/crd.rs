//! `holdfast crd`: the CustomResourceDefinitions. I/O: stdout.

use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition;
use kube::CustomResourceExt as _;

use super::print;
use crate::api::{Alert, Approval, ImageUpdate, Repository, Sync};

/// The definitions.
pub fn all() -> Vec<CustomResourceDefinition> {
    vec![Sync::crd(), Approval::crd(), ImageUpdate::crd(), Alert::crd(), Repository::crd()]
}

/// The definitions as YAML documents.
pub fn yaml() -> anyhow::Result<String> {
    let mut text = String::new();
    for definition in &all() {
        text.push_str("---\n");
        text.push_str(&serde_saphyr::to_string(definition)?);
    }
    Ok(text)
}

pub fn run() -> anyhow::Result<()> {
    Ok(print::written(&yaml()?)?)
}
