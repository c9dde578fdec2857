//! Identifies a resource of Holdfast in alerts, webhooks, watched Secrets and metrics. Pure.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::sync_ref::SyncRef;

/// The kind of a resource.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum Kind {
    Sync,
    ImageUpdate,
    Alert,
    Repository,
}

/// One resource of the cluster. A Sync with objects is referred to by a [`SyncRef`], which is cheap to keep with each
/// of them.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Subject {
    pub kind: Kind,
    pub namespace: String,
    pub name: String,
}

/// The prefix of the names of ImageUpdates in lists of Syncs, since an ImageUpdate may have the name of a Sync.
const IMAGE_UPDATE: &str = "imageupdate/";

impl Subject {
    pub fn new(kind: Kind, namespace: impl Into<String>, name: impl Into<String>) -> Self {
        Self { kind, namespace: namespace.into(), name: name.into() }
    }

    /// Parses the [`Self::key`] of a Sync or an ImageUpdate of a namespace.
    pub fn of_key(namespace: &str, key: &str) -> Self {
        match key.strip_prefix(IMAGE_UPDATE) {
            Some(name) => Self::new(Kind::ImageUpdate, namespace, name),
            None => Self::new(Kind::Sync, namespace, key),
        }
    }

    /// Returns the name in lists of Syncs of one namespace: the name of a Sync, or the kind and the name of another
    /// resource.
    pub fn key(&self) -> String {
        match self.kind {
            Kind::Sync => self.name.clone(),
            Kind::ImageUpdate => format!("{IMAGE_UPDATE}{}", self.name),
            Kind::Alert => format!("alert/{}", self.name),
            Kind::Repository => format!("repository/{}", self.name),
        }
    }

    /// Returns the Sync, if it is one.
    pub fn sync(&self) -> Option<SyncRef> {
        (self.kind == Kind::Sync).then(|| SyncRef::new(self.namespace.as_str(), self.name.as_str()))
    }
}

impl From<&SyncRef> for Subject {
    fn from(sync: &SyncRef) -> Self {
        Self::new(Kind::Sync, sync.namespace(), sync.name())
    }
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Kind::Sync => "Sync",
            Kind::ImageUpdate => "ImageUpdate",
            Kind::Alert => "Alert",
            Kind::Repository => "Repository",
        })
    }
}

impl fmt::Display for Subject {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.namespace, self.name)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_image_update_with_the_name_of_a_sync_has_another_key() {
        let update = Subject::new(Kind::ImageUpdate, "team-a", "shop");
        let sync = Subject::new(Kind::Sync, "team-a", "shop");
        assert_eq!((sync.key().as_str(), update.key().as_str()), ("shop", "imageupdate/shop"));
        for subject in [sync, update] {
            assert_eq!(Subject::of_key("team-a", &subject.key()), subject);
        }
    }

    #[test]
    fn only_a_sync_is_named_as_one() {
        let named = |kind| Subject::new(kind, "team-a", "shop").sync();
        assert_eq!(named(Kind::Sync), Some(SyncRef::new("team-a", "shop")));
        assert_eq!((named(Kind::ImageUpdate), named(Kind::Alert)), (None, None));
    }
}
