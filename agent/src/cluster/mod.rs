//! The cluster: observes live objects, predicts changes, and is the only module that makes them.
//!
//! I/O: all API requests about objects in Git.

pub mod accounts;
pub mod apply;
pub mod capabilities;
pub mod clients;
pub mod contact;
pub mod contents;
pub mod contest;
pub mod creations;
pub mod deeds;
pub mod dependants;
pub mod discovery;
pub mod early;
pub mod entry;
pub mod everything;
pub mod holders;
pub mod inspect;
pub mod judges;
pub mod lookup;
pub mod marks;
pub mod observe;
pub mod outcome;
mod owners;
pub mod parent;
pub mod people;
pub mod permissions;
pub mod prune;
pub mod refusal;
pub mod refusals;
pub mod replacement;
mod replacing;
pub mod requests;
pub mod resolve;
pub mod reviewers;
pub mod rights;
mod scale;
pub mod scraper;
mod secret_refusal;
pub mod secrets;
pub mod view;
pub mod warnings;
pub mod watch;
mod write;

use std::sync::Arc;

use holdfast_diff::object::ObjectId;
use kube::runtime::reflector::{ObjectRef, Store};

use self::accounts::Accounts;
use self::clients::{ClientError, Clients};
use self::contents::Contents;
use self::discovery::Discovery;
use self::lookup::Lookups;
use self::permissions::Permissions;
use self::refusals::Refusals;
use self::requests::Requests;
use self::view::View;
use self::watch::Watches;
use crate::api::Sync;
use crate::identity::Identity;
use crate::sync_ref::SyncRef;

/// The state of the cluster that all Syncs share.
pub struct Cluster {
    /// The UID of the namespace `kube-system`, which identifies the cluster.
    pub uid: String,
    pub clients: Arc<Clients>,
    pub accounts: Arc<Accounts>,
    pub contents: Arc<Contents>,
    pub discovery: Arc<Discovery>,
    pub lookups: Arc<Lookups>,
    pub permissions: Arc<Permissions>,
    pub refusals: Arc<Refusals>,
    pub view: Arc<View>,
    pub watches: Arc<Watches>,
    pub syncs: Store<Sync>,
    /// True if the view is a copy, which no watch feeds: see [`Cluster::aside`].
    pub is_copy: bool,
}

impl Cluster {
    /// The same cluster with a copy of the live view, for plans that must leave no trace: what they claim, note and judge stays
    /// in the copy, and no watch begins or ends. The copy has the objects of the Syncs that `of` names, and the claims of all. It
    /// does not change, so it is for one plan.
    #[must_use]
    pub fn aside(&self, of: impl Fn(&SyncRef) -> bool) -> Self {
        Self {
            uid: self.uid.clone(),
            clients: self.clients.clone(),
            accounts: self.accounts.clone(),
            contents: self.contents.clone(),
            discovery: self.discovery.clone(),
            lookups: self.lookups.clone(),
            permissions: self.permissions.clone(),
            refusals: self.refusals.clone(),
            view: Arc::new(self.view.copy(of)),
            watches: self.watches.clone(),
            syncs: self.syncs.clone(),
            is_copy: true,
        }
    }

    /// True if a Sync exists.
    pub fn exists(&self, sync: &SyncRef) -> bool {
        self.sync(sync).is_some()
    }

    pub fn sync(&self, sync: &SyncRef) -> Option<Arc<Sync>> {
        self.syncs.get(&ObjectRef::new(sync.name()).within(sync.namespace()))
    }

    /// True if a Sync may still claim an object.
    pub fn claims(&self, sync: &SyncRef, object: &ObjectId) -> bool {
        self.view.may_want(sync, object)
    }

    /// Returns the client of an identity.
    pub fn requests(&self, identity: &Identity) -> Result<Requests, ClientError> {
        Ok(Requests::new(self.clients.of(identity)?, identity.clone()))
    }
}
