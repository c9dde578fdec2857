//! One repository of one host: its URLs, its login and its certificates. Pure.

use holdfast_diff::digest::{Digest, Hasher};
use http::Method;
use reqwest::Url;

use super::login::Credential;
use super::pace::Lane;
use super::web::Ask;
use super::{Access, Repository, Trouble};
use crate::http::Trust;

/// For what a repository is asked: some registries give tokens that are good for one of them only.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub enum Purpose {
    Tags,
    Content,
}

/// A mirror, or the repository itself. Has no `Debug`: it may have a login.
pub struct Target<'a> {
    pub repository: &'a Repository,
    /// `https://host/v2/path/`
    pub base: Url,
    pub insecure: bool,
    pub credential: Option<&'a Credential>,
    pub certificates: Option<&'a Trust>,
    pub lane: Lane,
    /// How often it is asked before it is given up.
    pub tries: u32,
}

impl<'a> Target<'a> {
    /// The mirrors, each of which is tried once, and then the repository itself.
    pub fn all(access: &'a Access, tries: u32) -> Result<Vec<Self>, Trouble> {
        let mirrors = access.mirrors.iter().map(|mirror| (mirror, 1));
        mirrors.chain([(&access.repository, tries)]).map(|(of, tries)| Self::of(access, of, tries)).collect()
    }

    fn of(access: &'a Access, repository: &'a Repository, tries: u32) -> Result<Self, Trouble> {
        let Access { repository: _, mirrors: _, insecure, login, certificates, tenant } = access;
        let scheme = if *insecure { "http" } else { "https" };
        let base = Url::parse(&format!("{scheme}://{}/v2/{}/", repository.server(), repository.path()))
            .map_err(|error| Trouble::BadRepository(error.to_string()))?;
        let credential = login.as_ref().and_then(|login| login.of(repository));
        let certificates = certificates.as_deref();
        let (insecure, tenant) = (*insecure, tenant.clone());
        let way = way(insecure, credential, certificates);
        let lane = Lane { tenant, way };
        Ok(Self { repository, base, insecure, credential, certificates, lane, tries })
    }

    /// A URL below that of the repository.
    pub fn below(&self, path: &str) -> Result<Url, Trouble> {
        self.base.join(path).map_err(|error| Trouble::BadRepository(error.to_string()))
    }

    pub fn ask(&self, method: Method, url: Url, limit: usize) -> Ask<'a> {
        let Self { certificates, insecure, tries, lane, .. } = self;
        let (authorization, headers, form) = (None, Vec::new(), None);
        let (certificates, insecure, tries) = (*certificates, *insecure, *tries);
        let lane = lane.clone();
        Ask { method, url, headers, authorization, form, certificates, insecure, lane, limit, tries }
    }
}

/// The identity of a way to a host: TLS, the login and the certificates.
fn way(insecure: bool, credential: Option<&Credential>, certificates: Option<&Trust>) -> Digest {
    let mut hasher = Hasher::default();
    hasher.bytes(&[u8::from(insecure), u8::from(credential.is_some()), u8::from(certificates.is_some())]);
    let ids = credential.map(Credential::id).into_iter().chain(certificates.and_then(Trust::id));
    ids.for_each(|id| hasher.text(&id.to_string()));
    hasher.finish()
}
