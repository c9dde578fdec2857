//! A repository and how to access it. Pure.

use std::sync::Arc;

use holdfast_diff::digest::{Digest, Hasher};

use super::{Login, Repository};
use crate::http::Trust;

/// A repository and how to access it. Has no `Debug`, since it may have a login.
#[derive(Clone)]
pub struct Access {
    pub repository: Repository,
    /// Tried in this order, before the repository itself.
    pub mirrors: Vec<Repository>,
    /// Plain HTTP, for the mirrors too.
    pub insecure: bool,
    pub login: Option<Arc<Login>>,
    pub certificates: Option<Arc<Trust>>,
    /// The namespace on whose behalf it is accessed. Limits, pauses and failures are kept for each namespace.
    pub tenant: Arc<str>,
}

impl Access {
    /// Access over TLS, without a login, for no namespace.
    pub fn of(repository: Repository) -> Self {
        let (mirrors, tenant) = (Vec::new(), "".into());
        Self { repository, mirrors, insecure: false, login: None, certificates: None, tenant }
    }

    /// Returns an id that is equal for all repositories that are accessed in the same way, whatever the tenant, since
    /// their responses are the same.
    pub(super) fn id(&self) -> Digest {
        let Self { repository, mirrors, insecure, login, certificates, tenant: _ } = self;
        let mut hasher = Hasher::default();
        hasher.bytes(&[u8::from(*insecure), u8::from(login.is_some()), u8::from(certificates.is_some())]);
        hasher.text(&repository.to_string());
        mirrors.iter().for_each(|mirror| hasher.text(&mirror.to_string()));
        let ids = login.iter().map(|login| login.id());
        ids.chain(certificates.iter().filter_map(|certificates| certificates.id()))
            .for_each(|id| hasher.text(&id.to_string()));
        hasher.finish()
    }
}
