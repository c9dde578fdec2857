//! Finds the creation time of an image from its manifest or index. Pure.

use std::collections::BTreeMap;

use jiff::Timestamp;
use serde::Deserialize;

use super::digest::ImageDigest;

/// All media types of indexes and manifests, so that a registry returns the content of the tag without conversion.
pub const ACCEPT: &str = "application/vnd.oci.image.index.v1+json, \
    application/vnd.docker.distribution.manifest.list.v2+json, application/vnd.oci.image.manifest.v1+json, \
    application/vnd.docker.distribution.manifest.v2+json";
/// The media type of the configuration of an artifact that has none.
const NO_CONFIG: &str = "application/vnd.oci.empty.v1+json";
/// The media types of the configuration of an image.
const IMAGE_CONFIGS: [&str; 2] =
    ["application/vnd.oci.image.config.v1+json", "application/vnd.docker.container.image.v1+json"];
const CREATED: &str = "org.opencontainers.image.created";
/// The annotation by which builders mark the attestations of an index.
const REFERENCE: &str = "vnd.docker.reference.type";

type Annotations = BTreeMap<String, String>;

/// A manifest or an index.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Manifest {
    #[serde(default)]
    schema_version: u64,
    config: Option<Config>,
    manifests: Option<Vec<Entry>>,
    #[serde(default)]
    annotations: Option<Annotations>,
    artifact_type: Option<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Config {
    digest: String,
    media_type: Option<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Entry {
    digest: String,
    platform: Option<Platform>,
    #[serde(default)]
    annotations: Option<Annotations>,
    artifact_type: Option<String>,
}

#[derive(Deserialize)]
struct Platform {
    #[serde(default)]
    architecture: String,
    #[serde(default)]
    os: String,
}

/// Where the creation time is.
#[derive(Debug, PartialEq)]
pub enum Next {
    Created(Timestamp),
    Manifest(ImageDigest),
    Config(ImageDigest),
}

impl Manifest {
    pub fn read(bytes: &[u8]) -> Result<Self, &'static str> {
        let manifest: Self =
            serde_json::from_slice(bytes).map_err(|_| "it is not the manifest of an image")?;
        match (&manifest.config, &manifest.manifests, manifest.schema_version) {
            (_, _, 1) => Err("its manifest has the old schema 1: push the image again"),
            (None, None, _) => Err("it is not the manifest of an image"),
            _ => Ok(manifest),
        }
    }

    /// Returns where the creation time is; the error says why there is none.
    pub fn next(&self) -> Result<Next, &'static str> {
        let images =
            self.manifests.as_ref().map(|entries| preferred(entries).ok_or("its index has no image"));
        let image = images.transpose()?;
        let kind = self.config.as_ref().and_then(|config| config.media_type.as_deref());
        if kind == Some(NO_CONFIG) {
            return Err("it is not an image: it has no configuration");
        }
        if self.artifact_type.is_some() || kind.is_some_and(|kind| !IMAGE_CONFIGS.contains(&kind)) {
            return Err("it is not an image, but another artifact, such as a chart or an attestation");
        }
        let created = self.annotations.as_ref().and_then(|annotations| time(annotations.get(CREATED)?));
        if let Some(time) = created {
            return Ok(Next::Created(time));
        }
        let unknown = "it has a digest with an unknown algorithm";
        if let Some(entry) = image {
            return ImageDigest::parse(&entry.digest).map(Next::Manifest).ok_or(unknown);
        }
        let config = self.config.as_ref().ok_or("it has no configuration")?;
        ImageDigest::parse(&config.digest).map(Next::Config).ok_or(unknown)
    }
}

/// Returns the image for linux/amd64, or else the first one. Attestations are skipped.
fn preferred(entries: &[Entry]) -> Option<&Entry> {
    let attests = |entry: &Entry| {
        entry.annotations.as_ref().is_some_and(|annotations| annotations.contains_key(REFERENCE))
            || entry.artifact_type.is_some()
            || entry.platform.as_ref().is_some_and(|platform| platform.os == "unknown")
    };
    let images = || entries.iter().filter(|entry| !attests(entry));
    let usual = |entry: &&Entry| {
        entry
            .platform
            .as_ref()
            .is_some_and(|platform| platform.os == "linux" && platform.architecture == "amd64")
    };
    images().find(usual).or_else(|| images().next())
}

/// Returns when an image was created, by its configuration.
pub fn created_in_config(bytes: &[u8]) -> Result<Timestamp, &'static str> {
    #[derive(Deserialize)]
    struct Image {
        created: Option<String>,
    }
    let image: Image =
        serde_json::from_slice(bytes).map_err(|_| "its configuration is not one of an image")?;
    let text = image.created.ok_or("its configuration has no time")?;
    time(&text).ok_or("the time of its configuration cannot be read")
}

fn time(text: &str) -> Option<Timestamp> {
    text.trim().parse().ok()
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;

    fn next(text: &str) -> String {
        let (a, b) = (format!("sha256:{}", "a".repeat(64)), format!("sha256:{}", "b".repeat(64)));
        let text = text.replace("AAA", &a).replace("BBB", &b);
        match Manifest::read(text.as_bytes()).and_then(|manifest| manifest.next()) {
            Ok(Next::Created(time)) => time.to_string(),
            Ok(Next::Manifest(digest)) => format!("manifest {}", &digest.to_string()[7..8]),
            Ok(Next::Config(digest)) => format!("config {}", &digest.to_string()[7..8]),
            Err(said) => said.to_owned(),
        }
    }

    #[test]
    fn the_time_is_in_an_annotation_or_below() {
        let attestation = r#"{"digest": "AAA", "platform": {"os": "unknown", "architecture": "unknown"},
            "annotations": {"vnd.docker.reference.type": "attestation-manifest"}}"#;
        for (text, expected) in [
            (r#"{"schemaVersion": 2, "config": {"digest": "AAA"}}"#.to_owned(), "config a"),
            (
                r#"{"config": {"digest": "AAA"}, "annotations": {"org.opencontainers.image.created": "2026-01-02T03:04:05Z"}}"#.to_owned(),
                "2026-01-02T03:04:05Z",
            ),
            (
                r#"{"config": {"digest": "AAA"}, "annotations": {"org.opencontainers.image.created": "soon"}}"#.to_owned(),
                "config a",
            ),
            (r#"{"config": {"digest": "AAA"}, "annotations": null}"#.to_owned(), "config a"),
            (
                r#"{"manifests": [{"digest": "AAA", "platform": {"os": "linux", "architecture": "arm64"}},
                    {"digest": "BBB", "platform": {"os": "linux", "architecture": "amd64"}}]}"#.to_owned(),
                "manifest b",
            ),
            (
                format!(r#"{{"manifests": [{attestation}, {{"digest": "BBB", "platform": {{"os": "windows", "architecture": "amd64"}}}}]}}"#),
                "manifest b",
            ),
            (r#"{"manifests": [{"digest": "AAA"}]}"#.to_owned(), "manifest a"),
            (format!(r#"{{"manifests": [{attestation}]}}"#), "its index has no image"),
            (r#"{"manifests": []}"#.to_owned(), "its index has no image"),
            (r#"{"config": {"digest": "md5:00"}}"#.to_owned(), "it has a digest with an unknown algorithm"),
            (
                r#"{"config": {"digest": "AAA", "mediaType": "application/vnd.oci.empty.v1+json"}}"#.to_owned(),
                "it is not an image: it has no configuration",
            ),
            (r#"{"schemaVersion": 1, "history": []}"#.to_owned(), "its manifest has the old schema 1: push the image again"),
            ("{}".to_owned(), "it is not the manifest of an image"),
            ("<html>".to_owned(), "it is not the manifest of an image"),
        ] {
            assert_eq!(next(&text), expected, "{text}");
        }
    }

    #[test]
    fn the_time_of_a_configuration_is_read() {
        let time = created_in_config(br#"{"created": "2026-01-02T03:04:05.123456789+01:00"}"#).unwrap();
        assert_eq!(time.to_string(), "2026-01-02T02:04:05.123456789Z");
        assert!(created_in_config(br#"{"created": "0001-01-01T00:00:00Z"}"#).is_ok());
        for (text, part) in [
            ("{}", "has no time"),
            (r#"{"created": "x"}"#, "cannot be read"),
            ("[", "is not one of an image"),
        ] {
            assert!(created_in_config(text.as_bytes()).unwrap_err().contains(part), "{text}");
        }
    }
}
