//! Pushes small images to registries: a configuration, and a manifest or an index under a tag, by HTTP alone.
//! I/O: network, disk.

use std::path::Path;

use anyhow::{Context as _, bail};
use futures::{StreamExt as _, TryStreamExt as _, stream};
use reqwest::{Client, Method, RequestBuilder, Response, Url};
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};

const MANIFEST: &str = "application/vnd.oci.image.manifest.v1+json";
const INDEX: &str = "application/vnd.oci.image.index.v1+json";
const CONFIG: &str = "application/vnd.oci.image.config.v1+json";

/// Pushes to one registry.
pub struct Pusher {
    client: Client,
    /// `http://127.0.0.1:5000`
    url: String,
    login: Option<(String, String)>,
}

impl Pusher {
    /// Pushes to the registry at a URL, without a login.
    pub fn new(url: &str) -> Self {
        Self { client: Client::new(), url: url.to_owned(), login: None }
    }

    /// By user and password, and a CA in PEM for https.
    pub fn with(url: &str, login: Option<(&str, &str)>, ca: Option<&str>) -> anyhow::Result<Self> {
        let mut client = Client::builder();
        if let Some(ca) = ca {
            client = client.tls_certs_only([reqwest::Certificate::from_pem(ca.as_bytes())?]);
        }
        let login = login.map(|(user, password)| (user.to_owned(), password.to_owned()));
        Ok(Self { client: client.build()?, url: url.to_owned(), login })
    }

    /// The registry, as images name it: `127.0.0.1:5000`.
    pub fn host(&self) -> &str {
        self.url.split_once("://").map_or(&self.url, |(_, host)| host)
    }

    /// Pushes an image that was created at a time (RFC 3339), and returns the digest that the tag then has. For one
    /// platform (`linux/amd64`) that is the digest of a manifest; for none or several, of an index of them.
    pub async fn push(
        &self,
        repository: &str,
        tag: &str,
        created: &str,
        platforms: &[&str],
    ) -> anyhow::Result<String> {
        if let [platform] = platforms {
            let manifest = self.image(repository, created, platform).await?;
            return self.manifest(repository, tag, MANIFEST, &manifest).await;
        }
        let mut entries = Vec::new();
        for platform in platforms {
            let manifest = self.image(repository, created, platform).await?;
            let digest = digest(manifest.to_string().as_bytes());
            self.manifest(repository, &digest, MANIFEST, &manifest).await?;
            let (os, architecture) = platform.split_once('/').context("a platform is os/architecture")?;
            entries.push(json!({
                "mediaType": MANIFEST,
                "digest": digest,
                "size": manifest.to_string().len(),
                "platform": {"os": os, "architecture": architecture},
            }));
        }
        let index = json!({"schemaVersion": 2, "mediaType": INDEX, "manifests": entries});
        self.manifest(repository, tag, INDEX, &index).await
    }

    /// Puts many tags on one image, eight at a time.
    pub async fn push_tags(&self, repository: &str, tags: &[String]) -> anyhow::Result<()> {
        let image = self.image(repository, "2026-01-01T00:00:00Z", "linux/amd64").await?;
        let each = stream::iter(tags).map(|tag| self.manifest(repository, tag, MANIFEST, &image));
        each.buffer_unordered(8).try_for_each(async |_| Ok(())).await
    }

    /// Takes a tag's manifest away, as far as the registry allows that.
    pub async fn delete(&self, repository: &str, digest: &str) -> anyhow::Result<()> {
        let url = format!("{}/v2/{repository}/manifests/{digest}", self.url);
        good(self.request(Method::DELETE, &url).send().await?).await?;
        Ok(())
    }

    /// Pushes the configuration of an image and returns its manifest.
    async fn image(&self, repository: &str, created: &str, platform: &str) -> anyhow::Result<Value> {
        let (os, architecture) = platform.split_once('/').context("a platform is os/architecture")?;
        let config = json!({
            "created": created,
            "os": os,
            "architecture": architecture,
            "config": {},
            "rootfs": {"type": "layers", "diff_ids": []},
        });
        let config = config.to_string().into_bytes();
        let descriptor = json!({"mediaType": CONFIG, "digest": digest(&config), "size": config.len()});
        self.blob(repository, config).await?;
        Ok(json!({"schemaVersion": 2, "mediaType": MANIFEST, "config": descriptor, "layers": []}))
    }

    async fn blob(&self, repository: &str, bytes: Vec<u8>) -> anyhow::Result<()> {
        let begin = Url::parse(&format!("{}/v2/{repository}/blobs/uploads/", self.url))?;
        let answer = good(self.request(Method::POST, begin.as_str()).send().await?).await?;
        let location = answer.headers().get("location").context("an upload has no place")?.to_str()?;
        let mut place = begin.join(location)?;
        place.query_pairs_mut().append_pair("digest", &digest(&bytes));
        let put =
            self.request(Method::PUT, place.as_str()).header("content-type", "application/octet-stream");
        good(put.body(bytes).send().await?).await?;
        Ok(())
    }

    /// Pushes a manifest under a tag or its digest, which is returned.
    async fn manifest(
        &self,
        repository: &str,
        reference: &str,
        kind: &str,
        manifest: &Value,
    ) -> anyhow::Result<String> {
        let (url, bytes) =
            (format!("{}/v2/{repository}/manifests/{reference}", self.url), manifest.to_string());
        let digest = digest(bytes.as_bytes());
        good(self.request(Method::PUT, &url).header("content-type", kind).body(bytes).send().await?).await?;
        Ok(digest)
    }

    fn request(&self, method: Method, url: &str) -> RequestBuilder {
        let request = self.client.request(method, url);
        match &self.login {
            Some((user, password)) => request.basic_auth(user, Some(password)),
            None => request,
        }
    }
}

/// Makes a registry of Debian's package list these tags, by its folder alone: thousands in a second.
///
/// What they name is not there, so that nothing but the list can be asked.
pub fn pretend_tags(
    folder: &Path,
    repository: &str,
    tags: impl Iterator<Item = String>,
) -> anyhow::Result<()> {
    let place = folder.join("data/docker/registry/v2/repositories").join(repository).join("_manifests/tags");
    std::fs::create_dir_all(&place)?;
    for tag in tags {
        std::fs::create_dir(place.join(tag))?;
    }
    Ok(())
}

/// `sha256:…` of bytes.
pub fn digest(bytes: &[u8]) -> String {
    let hex: Vec<String> = Sha256::digest(bytes).iter().map(|byte| format!("{byte:02x}")).collect();
    format!("sha256:{}", hex.concat())
}

async fn good(answer: Response) -> anyhow::Result<Response> {
    let (status, url) = (answer.status(), answer.url().clone());
    if !status.is_success() {
        bail!("{url} is answered with {status}: {}", answer.text().await?);
    }
    Ok(answer)
}
