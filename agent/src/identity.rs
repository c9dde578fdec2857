//! The identity of a Sync: its objects are read, written, dry-run and watched only with the rights of this identity. No other module
//! decides it. Pure.

use std::fmt;
use std::sync::Arc;

use holdfast_diff::visible;

use crate::api::SyncSpec;
use crate::error::{Class, StageError};
use crate::policy::Policy;
use crate::sync_ref::SyncRef;

/// The identity with which requests are made.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Identity {
    /// The agent; on the command line, the user.
    Agent,
    /// A ServiceAccount, which the agent impersonates.
    ServiceAccount { namespace: Arc<str>, name: Arc<str> },
}

/// Why a Sync may not act.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum IdentityError {
    #[error(
        "spec.serviceAccountName is not set, and this installation requires it (--require-service-account); set it to a ServiceAccount of namespace {0} that has the rights its objects need"
    )]
    ServiceAccountRequired(String),
    #[error(
        "spec.serviceAccountName \"{}\" is not the name of a ServiceAccount; a name has lowercase letters, digits, '-' and '.', and at most 253 characters",
        visible::line(.0)
    )]
    ServiceAccountInvalid(String),
    #[error(
        "spec.targetNamespace {namespace} is outside of the namespaces that the agent may write to; set it to one of --namespaces {allowed}, or change that flag of the agent"
    )]
    NamespaceNotAllowed { namespace: String, allowed: String },
}

impl Identity {
    /// Returns the identity of a Sync: its ServiceAccount, or else the default of the installation, or else the agent
    /// if the installation permits that.
    pub fn of(owner: &SyncRef, spec: &SyncSpec, policy: &Policy) -> Result<Self, IdentityError> {
        if let Some(namespace) = spec.target_namespace.as_deref().filter(|name| !policy.writes_to(name)) {
            let allowed = policy.namespaces.join(",");
            return Err(IdentityError::NamespaceNotAllowed { namespace: namespace.to_owned(), allowed });
        }
        let named = spec.service_account_name.as_deref().or(policy.default_service_account.as_deref());
        match named {
            Some(name) if is_name(name) => {
                Ok(Self::ServiceAccount { namespace: owner.namespace().into(), name: name.into() })
            }
            Some(name) => Err(IdentityError::ServiceAccountInvalid(name.to_owned())),
            None if policy.require_service_account => {
                Err(IdentityError::ServiceAccountRequired(owner.namespace().to_owned()))
            }
            None => Ok(Self::Agent),
        }
    }

    pub fn is_agent(&self) -> bool {
        *self == Self::Agent
    }

    /// Returns the user name of a ServiceAccount.
    pub fn user(&self) -> Option<String> {
        match self {
            Self::Agent => None,
            Self::ServiceAccount { namespace, name } => {
                Some(format!("system:serviceaccount:{namespace}:{name}"))
            }
        }
    }
}

impl fmt::Display for Identity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Agent => f.write_str("the agent"),
            Self::ServiceAccount { namespace, name } => write!(f, "ServiceAccount {namespace}/{name}"),
        }
    }
}

impl StageError for IdentityError {
    fn class(&self) -> Class {
        Class::User
    }

    fn name(&self) -> &'static str {
        match self {
            Self::ServiceAccountRequired(_) => "ServiceAccountRequired",
            Self::ServiceAccountInvalid(_) => "ServiceAccountInvalid",
            Self::NamespaceNotAllowed { .. } => "NamespaceNotAllowed",
        }
    }
}

/// True for a DNS subdomain (RFC 1123), which is a valid name of a ServiceAccount. Any other text
/// could be another kind of user: `system:serviceaccount:team:a:b` is not a ServiceAccount.
pub fn is_name(name: &str) -> bool {
    let is_label = |label: &str| {
        let edge =
            |byte: Option<&u8>| byte.is_some_and(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit());
        let bytes = label.as_bytes();
        edge(bytes.first())
            && edge(bytes.last())
            && bytes.iter().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || *byte == b'-')
    };
    name.len() <= 253 && name.split('.').all(is_label)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn of(named: Option<&str>, policy: &Policy) -> Result<Identity, IdentityError> {
        let spec =
            json!({"source": {"git": {"url": "https://git.example.com/a"}}, "serviceAccountName": named});
        let spec = serde_json::from_value(spec).expect("a spec");
        Identity::of(&SyncRef::new("team-a", "app"), &spec, policy)
    }

    fn account(name: &str) -> Identity {
        Identity::ServiceAccount { namespace: "team-a".into(), name: name.into() }
    }

    #[test]
    fn a_sync_acts_as_what_it_names_else_as_the_default_else_as_the_agent() {
        let default = Policy { default_service_account: Some("deployer".to_owned()), ..Policy::default() };
        let required = Policy { require_service_account: true, ..Policy::default() };
        assert_eq!(of(Some("own"), &default), Ok(account("own")));
        assert_eq!(of(None, &default), Ok(account("deployer")));
        assert_eq!(of(None, &Policy::default()), Ok(Identity::Agent));
        let refused = of(None, &required).map_err(|error| (error.name(), error.to_string()));
        assert!(
            refused.is_err_and(|(name, said)| name == "ServiceAccountRequired" && said.contains("team-a"))
        );
        let both = Policy { require_service_account: true, ..default };
        assert_eq!(of(None, &both), Ok(account("deployer")));
    }

    #[test]
    fn what_is_no_name_of_a_service_account_is_refused() {
        let long = "a".repeat(254);
        for name in [
            "",
            "a:b",
            "../deployer",
            "..",
            ".",
            "a/b",
            "system:masters",
            "Deployer",
            "-a",
            "a-",
            "a..b",
            "a b",
            "a\nb",
            "a%2fb",
            "dé",
            &long,
        ] {
            let found = of(Some(name), &Policy::default());
            assert_eq!(found, Err(IdentityError::ServiceAccountInvalid(name.to_owned())), "{name}");
        }
        for name in ["a", "deployer", "a-b", "a.b.c", "0"] {
            assert_eq!(of(Some(name), &Policy::default()), Ok(account(name)), "{name}");
        }
    }

    #[test]
    fn the_user_is_named_as_the_api_server_names_it() {
        assert_eq!(account("own").user().as_deref(), Some("system:serviceaccount:team-a:own"));
        assert_eq!(Identity::Agent.user(), None);
    }
}
