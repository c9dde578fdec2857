//! Charts in OCI registries: selects the version, and fetches the layer with its archive.
//!
//! Uses the common client of registries, with Helm's media types. A `+` of a version is a `_` in its tag. I/O: HTTP.

use std::time::Duration;

use holdfast_diff::range;

use super::index::{no_version, parse_range};
use super::{HelmError, Login};
use crate::registry::{Access, Registries, RegistryError, Repository, RequestError};

const CHART: &str = "application/vnd.cncf.helm.chart.content.v1.tar+gzip";
/// Maximum time of one request with its retries.
const TIME: Duration = Duration::from_mins(3);

/// A repository of a registry, which holds the versions of one chart.
pub struct Registry {
    registries: Registries,
    /// As a Sync names it: `oci://host/path/chart`.
    url: String,
    /// The name of the chart: the last part of the path.
    pub name: String,
    place: Access,
}

impl Registry {
    /// `url` is `oci://host/path/chart`. With `plain`, requests are made without TLS.
    pub fn of(
        registries: Registries,
        url: &str,
        login: Option<&Login>,
        plain: bool,
    ) -> Result<Self, HelmError> {
        let (repository, name) = parse(url)?;
        let mut place = Access { insecure: plain, ..Access::of(repository) };
        if let Some(login) = login {
            place.login = login.registry();
            place.certificates = Some(login.trust().into());
        }
        Ok(Self { registries, url: url.to_owned(), name, place })
    }

    /// Returns the version to use: `wanted` itself if it is one, or the highest in the range.
    pub async fn choose(&self, wanted: &str) -> Result<String, HelmError> {
        if range::is_exact(wanted) {
            return Ok(wanted.to_owned());
        }
        let range = parse_range(wanted)?;
        let versions = self.versions().await?;
        let all = || versions.iter().map(String::as_str);
        let highest = range.highest(all()).map(ToOwned::to_owned);
        highest.ok_or_else(|| no_version(&self.url, &self.name, wanted, all()))
    }

    /// Returns the archive of a version, after checking its digest.
    pub async fn archive(&self, version: &str, limit: u64) -> Result<Vec<u8>, HelmError> {
        let tag = version.replace('+', "_");
        let error = match self.registries.layer(&self.place, &tag, CHART, limit, TIME).await {
            Ok(archive) => return Ok(archive),
            Err(error) => error,
        };
        match error.trouble {
            RequestError::NoSuchTag { .. } => {
                let versions = self.versions().await?;
                Err(no_version(&self.url, &self.name, version, versions.iter().map(String::as_str)))
            }
            RequestError::NoLayer { kind, .. } => {
                let said = format!("{version} is not a chart: it has no layer of type {kind}");
                Err(HelmError::Download { url: self.url.clone(), said })
            }
            _ => Err(self.failed(error)),
        }
    }

    async fn versions(&self) -> Result<Vec<String>, HelmError> {
        let tags = self.registries.list(&self.place, Duration::ZERO, TIME).await;
        let tags = tags.map_err(|error| self.failed(error))?;
        Ok(tags.iter().filter(|tag| !tag.is_empty()).map(|tag| tag.replace('_', "+")).collect())
    }

    /// Converts an error of a registry to an error of a chart.
    fn failed(&self, RegistryError { trouble, .. }: RegistryError) -> HelmError {
        let url = self.url.clone();
        let bare = |digest: String| digest.split_once(':').map_or(digest.clone(), |(_, hex)| hex.to_owned());
        match trouble {
            RequestError::BadLogin(said) => HelmError::BadLogin(said),
            RequestError::LoginNeeded { .. } => HelmError::LoginRefused { url, status: 401 },
            RequestError::LoginRefused { status, .. } => HelmError::LoginRefused { url, status },
            RequestError::Destination { source } => HelmError::Destination { url, source },
            RequestError::Untrusted { said, has_certificate: true, .. } => {
                HelmError::UntrustedCertificate { url, said }
            }
            RequestError::NoSuchRepository { .. } => {
                let near = "; check the path, and the rights of the login".to_owned();
                HelmError::ChartNotFound { chart: self.name.clone(), place: url, near }
            }
            RequestError::TooLarge { limit, .. } => HelmError::TooLarge { url, limit: limit as u64 },
            RequestError::DigestMismatch { expected, found, .. } => {
                HelmError::DigestMismatch { url, expected: bare(expected), found: bare(found) }
            }
            RequestError::TooManyTags { limit } => {
                let said = format!("it has more than {limit} tags; set an exact version");
                HelmError::Download { url, said }
            }
            other => HelmError::Download { url, said: other.to_string() },
        }
    }
}

/// The repository of a chart, and the name of the chart.
fn parse(url: &str) -> Result<(Repository, String), HelmError> {
    let bad = |why: &str| HelmError::BadUrl { url: url.to_owned(), why: why.to_owned() };
    let rest = url.strip_prefix("oci://").ok_or_else(|| bad("write oci://host/path/chart"))?;
    let (host, path) =
        rest.split_once('/').ok_or_else(|| bad("it has no name of a chart: write oci://host/path/chart"))?;
    if let Some((_, host)) = host.rsplit_once('@') {
        let why = "it contains a login; move the login to a Secret".to_owned();
        return Err(HelmError::BadUrl { url: format!("oci://{host}/{path}"), why });
    }
    let path = path.trim_matches('/');
    if path.contains([':', '@']) {
        return Err(bad("it contains a tag or a digest: set the version in its own field"));
    }
    let repository = Repository::at(host, path).map_err(|error| bad(&error.trouble.to_string()))?;
    Ok((repository, path.rsplit('/').next().unwrap_or(path).to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_url_that_names_no_chart_is_refused() {
        let said = |url| parse(url).err().map(|error| error.to_string()).unwrap_or_default();
        for (url, part) in [
            ("https://example.com/a", "write oci://host/path/chart"),
            ("oci://example.com", "it has no name of a chart"),
            ("oci://example.com/", "lowercase letters"),
            ("oci://example.com/charts/web:1.0.0", "set the version in its own field"),
            ("oci://example.com/charts/../web", "lowercase letters"),
            ("oci://example.com/Charts/web", "lowercase letters"),
            ("oci://user:pass@example.com/web", "it contains a login"),
        ] {
            let said = said(url);
            assert!(said.contains(part) && !said.contains("pass@"), "{url}: {said}");
        }
        for (url, expected) in [
            ("oci://docker.io/bitnamicharts/nginx/", "docker.io/bitnamicharts/nginx nginx"),
            ("oci://registry/web", "registry/web web"),
            ("oci://127.0.0.1:5000/charts/web", "127.0.0.1:5000/charts/web web"),
        ] {
            let found = parse(url).map(|(repository, name)| format!("{repository} {name}"));
            assert_eq!(found.ok().as_deref(), Some(expected));
        }
    }
}
