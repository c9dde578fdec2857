//! What a Sync refers to outside of Git, as a render takes it. Pure.

use std::collections::BTreeMap;
use std::sync::Arc;

use holdfast_diff::digest::Digest;
use holdfast_diff::mask::Masks;
use serde::{Deserialize, Serialize};

use super::bytes;
use super::error::RenderError;
use super::helm::{Chart, Login, ValuesPart};
use super::remote_inputs::RemoteInputs;
use super::sops::{self, Keys};
use crate::api::ChartStatus;
use crate::error::Class;

/// The name and namespace of a release, and the capabilities of the cluster.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct Target {
    pub name: String,
    pub namespace: String,
    /// `v1.36.1`
    pub kube_version: Option<String>,
    pub api_versions: Vec<String>,
    /// True if a part of it was applied before.
    pub installed: bool,
}

/// What a Sync refers to outside of Git. Fields that are not sent to a worker are for answering its requests.
#[derive(Default, Serialize, Deserialize)]
pub struct Inputs {
    /// All variables.
    pub vars: BTreeMap<String, String>,
    /// For encrypted files.
    pub keys: Option<KeySecret>,
    /// For a chart: the release and the cluster, the values of ConfigMaps and Secrets in `valuesFrom`, and the chart itself if it
    /// is not in the tree.
    pub target: Target,
    pub values: Vec<Option<ValuesPart>>,
    #[serde(skip)]
    pub logins: Vec<(String, Login)>,
    #[serde(skip)]
    pub chart: Option<Arc<Chart>>,
    /// The same chart, as the status reports it.
    pub fetched: Option<ChartStatus>,
    /// For files and bases from other servers.
    #[serde(skip)]
    pub remote: RemoteInputs,
    /// True if a part of it comes from a Secret: then the render is not written to disk.
    pub secret: bool,
    /// The texts that come from Secrets.
    pub masks: Masks,
    /// Digest of the versions of all of it: if it changes, the render may change.
    #[serde(skip)]
    pub version: Digest,
}

/// A Secret with private keys. They are secret: there is no `Debug`.
#[derive(Serialize, Deserialize)]
pub struct KeySecret {
    pub name: String,
    #[serde(with = "bytes::map")]
    pub data: BTreeMap<String, Vec<u8>>,
}

impl Inputs {
    /// Reads the private keys where they are used: that may take as much time as their author wants.
    pub fn keys(&self) -> Result<Option<Keys>, RenderError> {
        let Some(KeySecret { name, data }) = &self.keys else { return Ok(None) };
        let bad = |error: sops::KeyError| {
            RenderError::outside(Class::User, "KeyUnreadable", format!("Secret {name}: {error}"))
        };
        Keys::from_secret(data).map(Some).map_err(bad)
    }
}
