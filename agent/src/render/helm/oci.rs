//! Charts in OCI registries: tags, the manifest of one, and its layer that is the archive.
//!
//! Follows the distribution specification, its token authentication, and Helm's media types. A `+` of a version is a `_` in
//! its tag. I/O: HTTP.

use std::collections::BTreeMap;

use holdfast_diff::range;
use http::{StatusCode, header};
use reqwest::Url;
use serde::Deserialize;
use tokio::sync::Mutex;

use super::fetch::Download;
use super::index::{no_version, parse_range};
use super::repository::check_digest;
use super::web::{self, Answer, Get};
use super::{HelmError, Login};

const MANIFEST: &str = "application/vnd.oci.image.manifest.v1+json";
const CHART: &str = "application/vnd.cncf.helm.chart.content.v1.tar+gzip";
/// How large an answer of JSON may be.
const JSON: u64 = 4 * 1024 * 1024;
/// How many pages of tags are read.
const PAGES: usize = 100;
/// How many tags of a chart are read.
const TAGS: usize = 50_000;

/// A repository of a registry, which holds the versions of one chart.
pub struct Registry<'a> {
    download: &'a Download<'a>,
    /// As a Sync names it: `oci://host/path/chart`.
    place: String,
    /// The name of the chart: the last part of the path.
    pub name: String,
    /// `https://host/v2/path/chart`
    base: Url,
    /// The header `Authorization` that the registry took last.
    authorization: Mutex<Option<String>>,
}

#[derive(Deserialize)]
struct Tags {
    tags: Option<Vec<String>>,
}

#[derive(Deserialize)]
struct Manifest {
    #[serde(default)]
    layers: Vec<Layer>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Layer {
    media_type: String,
    digest: String,
    size: u64,
}

#[derive(Deserialize)]
struct Token {
    token: Option<String>,
    access_token: Option<String>,
}

impl<'a> Registry<'a> {
    /// `url` is `oci://host/path/chart`. With `plain` it is asked without TLS.
    pub fn of(download: &'a Download<'a>, url: &str, plain: bool) -> Result<Self, HelmError> {
        let bad = |why: &str| HelmError::BadUrl { url: url.to_owned(), why: why.to_owned() };
        let rest = url.strip_prefix("oci://").ok_or_else(|| bad("write oci://host/path/chart"))?;
        let (host, path) =
            rest.split_once('/').ok_or_else(|| bad("it names no chart: write oci://host/path/chart"))?;
        if let Some((_, host)) = host.rsplit_once('@') {
            let why = "it has a login in it; put that into a Secret".to_owned();
            return Err(HelmError::BadUrl { url: format!("oci://{host}/{path}"), why });
        }
        let path = path.trim_matches('/');
        let name = path.rsplit('/').next().unwrap_or(path).to_owned();
        let letters =
            |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || b"._-/".contains(&byte);
        if path.contains([':', '@']) {
            return Err(bad("it has a tag or a digest in it: name the version apart"));
        }
        if name.is_empty() || path.contains("//") || path.contains("..") || !path.bytes().all(letters) {
            return Err(bad("the path of a registry has small letters, digits and . _ - only"));
        }
        let server = if host == "docker.io" { "registry-1.docker.io" } else { host };
        let scheme = if plain { "http" } else { "https" };
        let base = web::parse(&format!("{scheme}://{server}/v2/{path}"))?;
        Ok(Self { download, place: url.to_owned(), name, base, authorization: Mutex::default() })
    }

    /// The version to use: `wanted` itself if that is one, or the highest in the range.
    pub async fn choose(&self, wanted: &str) -> Result<String, HelmError> {
        if range::is_exact(wanted) {
            return Ok(wanted.to_owned());
        }
        let range = parse_range(wanted)?;
        let versions = self.versions().await?;
        let all = || versions.iter().map(String::as_str);
        let highest = range.highest(all()).map(ToOwned::to_owned);
        highest.ok_or_else(|| no_version(&self.place, &self.name, wanted, all()))
    }

    /// The archive of a version, of which the digest was checked.
    pub async fn archive(&self, version: &str, limit: u64) -> Result<Vec<u8>, HelmError> {
        let url = self.below(&format!("manifests/{}", version.replace('+', "_")))?;
        let answer = self.get(&url, Some(MANIFEST), JSON).await?;
        if answer.status == StatusCode::NOT_FOUND {
            let versions = self.versions().await?;
            return Err(no_version(&self.place, &self.name, version, versions.iter().map(String::as_str)));
        }
        let manifest: Manifest = self.json(answer, &url)?;
        let layer = manifest.layers.into_iter().find(|layer| layer.media_type == CHART);
        let Some(Layer { digest, size, .. }) = layer else {
            let said = format!("{version} is no chart: it has no layer of type {CHART}");
            return Err(self.bad(said));
        };
        if !digest.starts_with("sha256:") {
            return Err(self.bad("the digest of its layer is of no kind that is known".to_owned()));
        }
        let url = self.below(&format!("blobs/{digest}"))?;
        if size > limit {
            return Err(HelmError::TooLarge { url: url.to_string(), limit });
        }
        let body = self.get(&url, None, limit).await?.success(&url)?.body;
        check_digest(url.as_str(), &digest, &body)?;
        Ok(body)
    }

    async fn versions(&self) -> Result<Vec<String>, HelmError> {
        let mut found = Vec::new();
        let mut next = Some(self.below("tags/list")?);
        for _ in 0..PAGES {
            let Some(url) = next.take() else { break };
            let answer = self.get(&url, None, JSON).await?;
            if answer.status == StatusCode::NOT_FOUND {
                let (chart, place) = (self.name.clone(), self.place.clone());
                let near = "; check the path, and the rights of the login".to_owned();
                return Err(HelmError::ChartNotFound { chart, place, near });
            }
            next = self.next_page(&url, &answer)?;
            let Tags { tags } = self.json(answer, &url)?;
            // A tag has 1 to 128 characters.
            let tags = tags.unwrap_or_default().into_iter().filter(|tag| (1..=128).contains(&tag.len()));
            found.extend(tags.map(|tag| tag.replace('_', "+")));
            if found.len() > TAGS {
                return Err(self.bad(format!("it has more than {TAGS} tags; set an exact version")));
            }
        }
        Ok(found)
    }

    /// The URL of the header `Link`, as it is given; never at another host.
    fn next_page(&self, url: &Url, answer: &Answer) -> Result<Option<Url>, HelmError> {
        let Some(link) = answer.header(&header::LINK).filter(|link| link.contains("rel=\"next\"")) else {
            return Ok(None);
        };
        let target = link.split_once('<').and_then(|(_, rest)| Some(rest.split_once('>')?.0));
        let next =
            target.and_then(|target| url.join(target).ok()).filter(|next| next.origin() == url.origin());
        next.map(Some)
            .ok_or_else(|| self.bad("the next page of tags is at another host, or nowhere".to_owned()))
    }

    /// Asks, and once more with what the registry wants to see.
    async fn get(&self, url: &Url, accept: Option<&str>, limit: u64) -> Result<Answer, HelmError> {
        let known = self.authorization.lock().await.clone();
        let answer = self.ask(url, accept, limit, known).await?;
        if answer.status != StatusCode::UNAUTHORIZED {
            return if answer.status == StatusCode::NOT_FOUND { Ok(answer) } else { answer.success(url) };
        }
        let challenge = answer.header(&header::WWW_AUTHENTICATE).unwrap_or_default().to_owned();
        let authorization = self.authorize(url, &challenge).await?;
        *self.authorization.lock().await = Some(authorization.clone());
        let answer = self.ask(url, accept, limit, Some(authorization)).await?;
        if answer.status == StatusCode::NOT_FOUND { Ok(answer) } else { answer.success(url) }
    }

    async fn ask(
        &self,
        url: &Url,
        accept: Option<&str>,
        limit: u64,
        authorization: Option<String>,
    ) -> Result<Answer, HelmError> {
        let headers = accept.map(|accept| (header::ACCEPT, accept.to_owned())).into_iter().collect();
        let Download { web, login } = self.download;
        web.get(Get { url, login: *login, foreign: false, authorization, headers, limit }).await
    }

    /// Answers a challenge: by the login itself, or by a token that is had for it.
    async fn authorize(&self, url: &Url, challenge: &str) -> Result<String, HelmError> {
        let refused = || HelmError::LoginRefused { url: url.to_string(), status: 401 };
        let Download { web, login } = self.download;
        let basic = login.and_then(Login::authorization);
        let (scheme, rest) = challenge.split_once(' ').unwrap_or((challenge, ""));
        if scheme.eq_ignore_ascii_case("basic") {
            return basic.ok_or_else(refused);
        }
        if !scheme.eq_ignore_ascii_case("bearer") {
            return Err(self.bad("it wants a login of an unknown kind, neither Basic nor Bearer".to_owned()));
        }
        let mut parameters = parameters(rest);
        let realm = parameters.remove("realm").unwrap_or_default();
        let nowhere = |_| self.bad("its challenge names no URL for tokens".to_owned());
        let mut realm = web::parse(&realm).map_err(nowhere)?;
        // A registry with TLS must not have the login sent in the clear.
        if realm.scheme() != self.base.scheme() && realm.scheme() != "https" {
            return Err(self.bad("it has its tokens at a URL without TLS".to_owned()));
        }
        for key in ["service", "scope"] {
            if let Some(value) = parameters.get(key) {
                realm.query_pairs_mut().append_pair(key, value);
            }
        }
        let (authorization, headers) = (basic, Vec::new());
        let get = Get { url: &realm, login: *login, foreign: false, authorization, headers, limit: JSON };
        let answer = web.get(get).await?.success(&realm)?;
        let Token { token, access_token } = self.json(answer, &realm)?;
        token.or(access_token).map(|token| format!("Bearer {token}")).ok_or_else(refused)
    }

    fn json<T: for<'de> Deserialize<'de>>(&self, answer: Answer, url: &Url) -> Result<T, HelmError> {
        let body = answer.success(url)?.body;
        // The parser's own words could show a token.
        serde_json::from_slice(&body)
            .map_err(|_| self.bad(format!("the answer to {url} is not what a registry says")))
    }

    fn bad(&self, said: String) -> HelmError {
        HelmError::Download { url: self.place.clone(), said }
    }

    fn below(&self, path: &str) -> Result<Url, HelmError> {
        web::parse(&format!("{}/{path}", self.base))
    }
}

/// `realm="https://…",service="…"`
fn parameters(text: &str) -> BTreeMap<String, String> {
    let mut found = BTreeMap::new();
    let mut rest = text.trim();
    while let Some((key, after)) = rest.split_once('=') {
        let (value, after) = match after.strip_prefix('"') {
            Some(quoted) => quoted.split_once('"').unwrap_or((quoted, "")),
            None => after.split_once(',').map_or((after, ""), |(value, after)| (value, after)),
        };
        found.insert(key.trim().to_lowercase(), value.to_owned());
        rest = after.trim_start_matches([',', ' ']);
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_challenge_is_read() {
        let found = parameters(
            r#"realm="https://auth.example.com/token",service="a, b", scope="repository:x:pull",error=x"#,
        );
        let pairs: Vec<_> = found.iter().map(|(key, value)| format!("{key}={value}")).collect();
        assert_eq!(
            pairs,
            ["error=x", "realm=https://auth.example.com/token", "scope=repository:x:pull", "service=a, b"]
        );
        assert!(parameters("").is_empty());
    }

    #[test]
    fn a_place_that_is_none_is_refused() {
        let web = web::Web::new(std::sync::Arc::default());
        let download = Download { web: &web, login: None };
        let said = |url| Registry::of(&download, url, false).err().map(|error| error.to_string());
        for (url, part) in [
            ("https://example.com/a", "write oci://host/path/chart"),
            ("oci://example.com", "it names no chart"),
            ("oci://example.com/charts/web:1.0.0", "name the version apart"),
            ("oci://example.com/charts/../web", "small letters"),
            ("oci://example.com/Charts/web", "small letters"),
            ("oci://user:pass@example.com/web", "it has a login in it"),
        ] {
            let said = said(url).unwrap_or_default();
            assert!(said.contains(part) && !said.contains("pass@"), "{url}: {said}");
        }
        let registry = Registry::of(&download, "oci://docker.io/bitnamicharts/nginx/", false);
        let base = registry.map(|registry| (registry.base.to_string(), registry.name)).ok();
        assert_eq!(
            base,
            Some(("https://registry-1.docker.io/v2/bitnamicharts/nginx".to_owned(), "nginx".to_owned()))
        );
    }
}
