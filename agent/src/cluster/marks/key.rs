//! The key of an installation: the Secret `holdfast-marks` in the agent's namespace, which the agent makes at its first
//! start, and the public key beside it in a ConfigMap of the same name, for people who plan.
//!
//! If the Secret is lost, the next start makes another key: no object is a member of anything then, nothing is deleted, and
//! each Sync adopts again what it has in git. I/O: API reads and writes, once for each start.

use std::collections::BTreeMap;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use k8s_openapi::api::core::v1::{ConfigMap, Secret};
use kube::api::{Patch, PatchParams};
use kube::{Api, Client};
use serde_json::{Value, json};
use tracing::{info, warn};
use zeroize::Zeroizing;

use super::{Marks, Seed};
use crate::cluster::refusal::chain;
use crate::cluster::requests::refusal;

/// The name of the Secret and of the ConfigMap.
pub const NAME: &str = "holdfast-marks";
/// The field of the Secret.
const SEED: &str = "seed";
/// The field of the ConfigMap.
const PUBLIC: &str = "publicKey";

/// There is no key, so marks could not be distinguished from forgeries.
#[derive(Debug, thiserror::Error)]
pub enum KeyError {
    #[error(
        "cannot read Secret {NAME} in namespace {namespace}, which holds the key for marks on objects: {}; grant get, create and patch on it (see manifests/base/rbac.yaml), or name another namespace with -n",
        chain(.error)
    )]
    Unreadable { namespace: String, error: kube::Error },
    #[error(
        "cannot create Secret {NAME} in namespace {namespace}, which holds the key for marks on objects: {}; grant get, create and patch on it (see manifests/base/rbac.yaml), or name another namespace with -n",
        chain(.error)
    )]
    Uncreatable { namespace: String, error: kube::Error },
    #[error(
        "Secret {NAME} in namespace {namespace} has no key {SEED} of 32 bytes; restore it, or delete the Secret: the agent then makes another key, and every Sync adopts its objects again"
    )]
    Malformed { namespace: String },
    #[error("the system has no random numbers for a new key")]
    NoRandomness,
}

impl KeyError {
    /// True if trying again would be in vain: the server has answered, and its answer is no.
    pub fn is_final(&self) -> bool {
        match self {
            Self::Unreadable { error, .. } | Self::Uncreatable { error, .. } => {
                refusal(error).is_some_and(|status| status.code < 429)
            }
            Self::Malformed { .. } => true,
            Self::NoRandomness => false,
        }
    }
}

/// Where the key is, in which namespace.
#[derive(Clone, Debug)]
pub enum KeyIn {
    /// The agent's own, which it makes if there is none.
    Agent(String),
    /// The public one, for a person who plans.
    Published(String),
}

impl KeyIn {
    /// Reads the key once.
    pub async fn load(&self, client: &Client, cluster: &str) -> Result<Marks, KeyError> {
        match self {
            Self::Agent(namespace) => own(client, namespace, cluster).await,
            Self::Published(namespace) => Ok(public(client, namespace, cluster).await),
        }
    }
}

/// Reads the key, or makes it, and publishes its public half.
async fn own(client: &Client, namespace: &str, cluster: &str) -> Result<Marks, KeyError> {
    let seed = match read(client, namespace).await? {
        Some(seed) => seed,
        None => create(client, namespace).await?,
    };
    let malformed = |_| KeyError::Malformed { namespace: namespace.to_owned() };
    let marks = Marks::own(cluster, &seed).map_err(malformed)?;
    if let Some(key) = marks.public_key()
        && let Err(error) = publish(client, namespace, key).await
    {
        warn!(namespace, error = %chain(&error), "Cannot publish the key for marks in ConfigMap holdfast-marks; holdfast plan cannot verify them");
    }
    Ok(marks)
}

/// What a person can verify marks with: the public key, where it is published.
async fn public(client: &Client, namespace: &str, cluster: &str) -> Marks {
    let found = Api::<ConfigMap>::namespaced(client.clone(), namespace).get_opt(NAME).await;
    let key = |map: &ConfigMap| STANDARD.decode(map.data.as_ref()?.get(PUBLIC)?).ok();
    let found = match found {
        Ok(Some(map)) => key(&map).ok_or_else(|| format!("it has no key {PUBLIC}")),
        Ok(None) => Err("it does not exist".to_owned()),
        Err(error) => Err(chain(&error)),
    };
    let found = found.map_err(|why| format!("cannot read ConfigMap {NAME} in namespace {namespace}: {why}"));
    Marks::public(cluster, found)
}

async fn read(client: &Client, namespace: &str) -> Result<Option<Seed>, KeyError> {
    let found = Api::<Secret>::namespaced(client.clone(), namespace).get_opt(NAME).await;
    let found = found.map_err(|error| KeyError::Unreadable { namespace: namespace.to_owned(), error })?;
    let Some(secret) = found else { return Ok(None) };
    let mut seed = Seed::default();
    let data = secret.data.unwrap_or_default().remove(SEED).map(|bytes| Zeroizing::new(bytes.0));
    match data.filter(|data| data.len() == seed.len()) {
        Some(data) => {
            seed.copy_from_slice(&data);
            Ok(Some(seed))
        }
        None => Err(KeyError::Malformed { namespace: namespace.to_owned() }),
    }
}

/// Makes a key. If another agent made one meanwhile, that one counts: the Secret is immutable, so it stays as it is.
async fn create(client: &Client, namespace: &str) -> Result<Seed, KeyError> {
    let mut seed = Seed::default();
    aws_lc_rs::rand::fill(&mut *seed).map_err(|_| KeyError::NoRandomness)?;
    let secret = json!({"apiVersion": "v1", "kind": "Secret", "metadata": {"name": NAME}, "immutable": true,
        "type": "Opaque", "data": {SEED: STANDARD.encode(*seed)}});
    match apply::<Secret>(client, namespace, &secret).await {
        Ok(()) => info!(namespace, "Created Secret holdfast-marks with a new key for marks"),
        Err(error) => {
            return match read(client, namespace).await? {
                Some(seed) => Ok(seed),
                None => Err(KeyError::Uncreatable { namespace: namespace.to_owned(), error }),
            };
        }
    }
    // Whatever was stored counts, be it of another agent that was a moment faster.
    read(client, namespace).await.map(|stored| stored.unwrap_or(seed))
}

/// Writes the public key where it is missing or another one.
async fn publish(client: &Client, namespace: &str, key: &[u8]) -> Result<(), kube::Error> {
    let data = BTreeMap::from([(PUBLIC.to_owned(), STANDARD.encode(key))]);
    let maps = Api::<ConfigMap>::namespaced(client.clone(), namespace);
    if maps.get_opt(NAME).await?.is_some_and(|map| map.data.as_ref() == Some(&data)) {
        return Ok(());
    }
    let map = json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": NAME}, "data": data});
    apply::<ConfigMap>(client, namespace, &map).await
}

/// Applies server-side: unlike a create, that can be granted for one name.
async fn apply<K>(client: &Client, namespace: &str, object: &Value) -> Result<(), kube::Error>
where
    K: kube::Resource<Scope = kube::core::NamespaceResourceScope>
        + Clone
        + std::fmt::Debug
        + serde::de::DeserializeOwned,
    K::DynamicType: Default,
{
    let params = PatchParams::apply("holdfast").force();
    let objects = Api::<K>::namespaced(client.clone(), namespace);
    objects.patch_metadata(NAME, &params, &Patch::Apply(object)).await.map(drop)
}
