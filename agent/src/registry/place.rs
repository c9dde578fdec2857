//! Which repository is meant, and how it is asked. Pure.

use std::sync::Arc;

use holdfast_diff::digest::{Digest, Hasher};

use super::{Login, Repository};
use crate::http::Trust;

/// A repository and all that decides how it is asked. Has no `Debug`: it may have a login.
#[derive(Clone)]
pub struct Place {
    pub repository: Repository,
    /// Asked in this order, before the repository itself.
    pub mirrors: Vec<Repository>,
    /// Plain http, for the mirrors too.
    pub insecure: bool,
    pub login: Option<Arc<Login>>,
    pub certificates: Option<Arc<Trust>>,
    /// The namespace on whose behalf it is asked: its limits, pauses and failures are its own.
    pub tenant: Arc<str>,
}

impl Place {
    /// A repository that is asked over TLS, without a login, on behalf of no namespace.
    pub fn of(repository: Repository) -> Self {
        let (mirrors, tenant) = (Vec::new(), "".into());
        Self { repository, mirrors, insecure: false, login: None, certificates: None, tenant }
    }

    /// The same for repositories that are requested in the same way, whatever the tenant, since their answers are the same.
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
