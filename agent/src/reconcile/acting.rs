//! The identity that a run acts as, and its client. I/O: API reads of a ServiceAccount that was not read for a while.

use super::sync_at::SyncAt;
use crate::cluster::Cluster;
use crate::cluster::clients::ClientError;
use crate::cluster::requests::Requests;
use crate::error::{Class, StageError};
use crate::identity::{Identity, IdentityError};
use crate::policy::Policy;
use crate::report::Failure;

/// What is needed to act as the identity of a Sync.
#[derive(Clone, Copy)]
pub struct Acting<'a> {
    pub cluster: &'a Cluster,
    pub policy: &'a Policy,
    pub at: SyncAt<'a>,
}

/// Why a run cannot act.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error(transparent)]
    Identity(#[from] IdentityError),
    #[error("{identity}, which this Sync acts as, does not exist")]
    AccountNotFound {
        identity: Identity,
        /// True if the Sync names the account; false if it is the default of the installation.
        is_named: bool,
    },
    #[error(transparent)]
    Client(#[from] ClientError),
}

impl Acting<'_> {
    /// The identity of the run.
    pub fn identity(&self) -> Result<Identity, Error> {
        Ok(Identity::of(self.at.owner, &self.at.sync.spec, self.policy)?)
    }

    /// True if the Sync acts as the agent itself, so that it may name objects and Syncs of every namespace.
    pub fn is_agent(&self) -> bool {
        self.identity().is_ok_and(|identity| identity.is_agent())
    }

    /// Returns the client of the run.
    ///
    /// If the ServiceAccount does not exist, even if rights are bound to its name: deleting an account revokes its rights.
    pub async fn requests(&self) -> Result<Requests, Error> {
        let identity = self.identity()?;
        if self.cluster.accounts.is_missing(&identity).await {
            return Err(self.missing(identity));
        }
        Ok(self.cluster.requests(&identity)?)
    }

    /// Returns the cause of a failure: a missing right is reported as a missing ServiceAccount if the account does not exist.
    pub async fn explain(&self, failure: Failure) -> Failure {
        if !["Forbidden", "Unauthorized"].contains(&failure.reason) {
            return failure;
        }
        match self.identity() {
            Ok(identity) if self.cluster.accounts.is_missing_now(&identity).await => {
                self.missing(identity).into()
            }
            _ => failure,
        }
    }

    fn missing(&self, identity: Identity) -> Error {
        let is_named = self.at.sync.spec.service_account_name.is_some();
        Error::AccountNotFound { identity, is_named }
    }
}

impl StageError for Error {
    fn class(&self) -> Class {
        match self {
            Self::Identity(error) => error.class(),
            Self::AccountNotFound { .. } => Class::User,
            Self::Client(_) => Class::Internal,
        }
    }

    fn name(&self) -> &'static str {
        match self {
            Self::Identity(error) => error.name(),
            Self::AccountNotFound { .. } => "ServiceAccountNotFound",
            Self::Client(_) => "InternalError",
        }
    }

    fn hint(&self) -> Option<String> {
        let Self::AccountNotFound { is_named, .. } = self else { return None };
        let hint = if *is_named {
            "create it, or correct spec.serviceAccountName"
        } else {
            "create it, or set spec.serviceAccountName; it is the default of this installation"
        };
        Some(hint.to_owned())
    }
}

impl From<Error> for Failure {
    fn from(error: Error) -> Self {
        let stage = if matches!(error, Error::Identity(_)) { "source" } else { "observe" };
        Self::of(stage, &error)
    }
}
