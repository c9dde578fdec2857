//! One repository at one host: its URLs, credentials and certificates. Pure.

use holdfast_diff::digest::{Digest, Hasher};
use http::Method;
use reqwest::Url;

use super::login::Credential;
use super::pace::Lane;
use super::web::RegistryRequest;
use super::{Access, Repository, RequestError};
use crate::http::Trust;

/// The purpose of a request: some registries issue tokens that are only valid for one purpose.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub enum Purpose {
    Tags,
    Content,
}

/// A mirror, or the repository itself. Has no `Debug`: it may contain credentials.
pub struct Target<'a> {
    pub repository: &'a Repository,
    /// `https://host/v2/path/`
    pub base: Url,
    pub insecure: bool,
    pub credential: Option<&'a Credential>,
    pub certificates: Option<&'a Trust>,
    pub lane: Lane,
    /// Maximum number of attempts.
    pub tries: u32,
}

impl<'a> Target<'a> {
    /// Returns the mirrors, each of which is tried once, and then the repository itself.
    pub fn all(access: &'a Access, tries: u32) -> Result<Vec<Self>, RequestError> {
        let mirrors = access.mirrors.iter().map(|mirror| (mirror, 1));
        mirrors.chain([(&access.repository, tries)]).map(|(of, tries)| Self::of(access, of, tries)).collect()
    }

    fn of(access: &'a Access, repository: &'a Repository, tries: u32) -> Result<Self, RequestError> {
        let Access { repository: _, mirrors: _, insecure, login, certificates, tenant } = access;
        let scheme = if *insecure { "http" } else { "https" };
        let base = Url::parse(&format!("{scheme}://{}/v2/{}/", repository.server(), repository.path()))
            .map_err(|error| RequestError::BadRepository(error.to_string()))?;
        let credential = login.as_ref().and_then(|login| login.of(repository));
        let certificates = certificates.as_deref();
        let (insecure, tenant) = (*insecure, tenant.clone());
        let way = way(insecure, credential, certificates);
        let lane = Lane { tenant, way };
        Ok(Self { repository, base, insecure, credential, certificates, lane, tries })
    }

    /// Returns a URL below that of the repository.
    pub fn below(&self, path: &str) -> Result<Url, RequestError> {
        self.base.join(path).map_err(|error| RequestError::BadRepository(error.to_string()))
    }

    pub fn ask(&self, method: Method, url: Url, limit: usize) -> RegistryRequest<'a> {
        let Self { certificates, insecure, tries, lane, .. } = self;
        let (authorization, headers, form) = (None, Vec::new(), None);
        let (certificates, insecure, tries) = (*certificates, *insecure, *tries);
        let lane = lane.clone();
        RegistryRequest {
            method,
            url,
            headers,
            authorization,
            form,
            certificates,
            insecure,
            lane,
            limit,
            tries,
        }
    }
}

/// Returns the identity of the connection settings of a host: TLS, the credentials and the certificates.
fn way(insecure: bool, credential: Option<&Credential>, certificates: Option<&Trust>) -> Digest {
    let mut hasher = Hasher::default();
    hasher.bytes(&[u8::from(insecure), u8::from(credential.is_some()), u8::from(certificates.is_some())]);
    let ids = credential.map(Credential::id).into_iter().chain(certificates.and_then(Trust::id));
    ids.for_each(|id| hasher.text(&id.to_string()));
    hasher.finish()
}
