//! Bases in other repositories, through the stage `source`, and files of web servers: shallow, shared within a trust domain,
//! each with the login that the Sync names.
//!
//! I/O: through the stages.

use std::sync::Arc;
use std::time::Duration;

use futures::FutureExt as _;
use futures::future::BoxFuture;

use super::trees::place;
use crate::api::RemoteStatus;
use crate::render::RenderError;
use crate::render::ask::{Answer, ReadRemote, RemoteTree};
use crate::render::helm::{HelmError, Login};
use crate::render::outside::{Held, Outside, Remotes};
use crate::render::remote_inputs::{RemoteInputs, RemoteLogin};
use crate::render::web_files::{Wanted, WebFiles};
use crate::source::{Checkout, Credential, GitRef, Location, SourceError, Sources};
use crate::trust::Domain;

/// Refs are listed again after this time.
const AGE: Duration = Duration::from_mins(1);
/// Maximum time of one fetch.
const LIMIT: Duration = Duration::from_mins(1);

/// The repositories and files that kustomizations name.
pub struct GitRemotes {
    pub sources: Arc<Sources>,
    pub files: Arc<WebFiles>,
}

impl Remotes for GitRemotes {
    fn open<'a>(
        &'a self,
        repository: &'a str,
        reference: &'a str,
        inputs: &'a RemoteInputs,
    ) -> BoxFuture<'a, Result<(RemoteTree, Held), RenderError>> {
        async move {
            let found = checkout(&self.sources, repository, &refs(reference), inputs).await;
            let (checkout, name) = found.map_err(|error| RenderError::of_remote(&error))?;
            let tree = RemoteTree { name, place: place(&checkout) };
            Ok((tree, Box::new(checkout) as Held))
        }
        .boxed()
    }

    fn file<'a>(
        &'a self,
        url: &'a str,
        inputs: &'a RemoteInputs,
    ) -> BoxFuture<'a, Result<Answer, RenderError>> {
        async move {
            let login = inputs.login(url).map(|login| web_login(login, url)).transpose()?;
            let domain = domain(inputs).to_string();
            self.files.get(&wanted(url, inputs, &domain, login.as_ref())).await
        }
        .boxed()
    }

    fn look<'a>(&'a self, url: &'a str, inputs: &'a RemoteInputs) -> BoxFuture<'a, Option<String>> {
        async move {
            let login = inputs.login(url).map(|login| web_login(login, url)).transpose().ok()?;
            let domain = domain(inputs).to_string();
            self.files.look(&wanted(url, inputs, &domain, login.as_ref())).await
        }
        .boxed()
    }
}

fn wanted<'a>(
    url: &'a str,
    inputs: &'a RemoteInputs,
    domain: &'a str,
    login: Option<&'a Login>,
) -> Wanted<'a> {
    Wanted { url, commit: &inputs.commit, domain, login, recorded: &inputs.recorded }
}

fn domain(inputs: &RemoteInputs) -> Domain {
    inputs.domain.clone().unwrap_or(Domain::Installation)
}

fn web_login(RemoteLogin { secret, data, .. }: &RemoteLogin, url: &str) -> Result<Login, RenderError> {
    crate::render::chart::login(data, url).map_err(|error| {
        let said = match error {
            HelmError::BadLogin(said) => said,
            other => other.to_string(),
        };
        RenderError::of(vec![format!("Secret {secret}: {said}")])
    })
}

/// True if the ref of another repository points to another commit than the one that was read. A repository that does not answer
/// has not moved.
pub async fn moved(sources: &Sources, read: &[ReadRemote], inputs: &RemoteInputs) -> bool {
    for read in read {
        let ReadRemote::Tree { repository, reference: _, name, commit } = read else { continue };
        match checkout(sources, repository, std::slice::from_ref(name), inputs).await {
            Ok((checkout, _)) if checkout.revision().commit != *commit => return true,
            _ => {}
        }
    }
    false
}

/// Returns a warning for each file whose URL has other content than what was read.
pub async fn changed(outside: &Outside, read: &[ReadRemote], inputs: &RemoteInputs) -> Vec<String> {
    let Some(remotes) = &outside.remotes else { return Vec::new() };
    let mut found = Vec::new();
    for read in read {
        let ReadRemote::File { url, digest } = read else { continue };
        if let Some(now) = remotes.look(url, inputs).await.filter(|now| now != digest) {
            found.push(format!(
                "{url} has other content now: {now} in place of {digest}, which stays applied; the next commit takes the other \
                 content"
            ));
        }
    }
    found
}

/// Returns what was read from other repositories and web servers, for the status.
pub fn status(read: &[ReadRemote], commit: &str) -> Vec<RemoteStatus> {
    /// Entries of the status.
    const LISTED: usize = 60;
    let entry = |read: &ReadRemote| match read.clone() {
        ReadRemote::Tree { repository, reference, name: _, commit: own } => RemoteStatus {
            url: repository,
            reference: Some(reference).filter(|reference| !reference.is_empty()),
            commit: Some(own),
            digest: None,
            fetched_for: commit.to_owned(),
        },
        ReadRemote::File { url, digest } => RemoteStatus {
            url,
            reference: None,
            commit: None,
            digest: Some(digest),
            fetched_for: commit.to_owned(),
        },
    };
    read.iter().take(LISTED).map(entry).collect()
}

/// Returns a checkout of the first of these refs that exists, and its name.
async fn checkout(
    sources: &Sources,
    repository: &str,
    names: &[String],
    inputs: &RemoteInputs,
) -> Result<(Checkout, String), SourceError> {
    let credential =
        inputs.login(repository).map(|login| Credential::from_secret(&login.data)).transpose()?;
    let location = Location::parse(repository, credential)?.within(domain(inputs));
    let location = if inputs.tenant.is_empty() { location } else { location.for_tenant(&inputs.tenant) };
    let mut missing = None;
    for name in names {
        let wanted = if is_commit(name) { GitRef::Commit(name.clone()) } else { GitRef::Name(name.clone()) };
        match sources.checkout(&location, &wanted, AGE, LIMIT).await {
            Ok(checkout) => return Ok((checkout, name.clone())),
            Err(error @ SourceError::RefNotFound { .. }) => missing = Some(error),
            Err(error) => return Err(error),
        }
    }
    let reference = names.join(" or ");
    Err(missing.unwrap_or(SourceError::RefNotFound {
        url: location.to_string(),
        reference,
        near: String::new(),
    }))
}

/// Returns the full names that a ref in a URL may mean, in the order in which they are tried.
fn refs(reference: &str) -> Vec<String> {
    if reference.is_empty() {
        vec!["HEAD".to_owned()]
    } else if is_commit(reference) {
        vec![reference.to_lowercase()]
    } else if reference.starts_with("refs/") {
        vec![reference.to_owned()]
    } else {
        vec![format!("refs/tags/{reference}"), format!("refs/heads/{reference}")]
    }
}

fn is_commit(name: &str) -> bool {
    name.len() == 40 && name.bytes().all(|byte| byte.is_ascii_hexdigit())
}
