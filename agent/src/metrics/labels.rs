//! The labels of the metrics. None holds an object or a message. Pure.

use prometheus_client::encoding::EncodeLabelSet;

use crate::subject::Subject;
use crate::sync_ref::SyncRef;

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
pub struct SyncLabels {
    pub namespace: String,
    pub sync: String,
}

impl SyncLabels {
    pub fn of(sync: &SyncRef) -> Self {
        Self { namespace: sync.namespace().to_owned(), sync: sync.name().to_owned() }
    }
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
pub struct StageLabels {
    pub stage: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
pub struct ResultLabels {
    pub result: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
pub struct ChangeLabels {
    pub operation: &'static str,
    pub result: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
pub struct AlertLabels {
    pub receiver: &'static str,
    pub result: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
pub struct RequestLabels {
    pub verb: String,
    pub code: u16,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
pub struct UpdateLabels {
    pub namespace: String,
    pub name: String,
}

impl UpdateLabels {
    pub fn of(update: &Subject) -> Self {
        Self { namespace: update.namespace.clone(), name: update.name.clone() }
    }
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
pub struct RegistryLabels {
    pub host: String,
    pub result: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
pub struct HostLabels {
    pub host: String,
}

/// `url`, `ref`, `revision`: `ref` cannot be the name of a field.
pub type RevisionLabels = Vec<(&'static str, String)>;
