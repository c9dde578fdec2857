//! The manifest of an artifact: finds the layer with the content. Pure.

use serde::Deserialize;

use super::digest::ImageDigest;

/// A layer of an artifact.
#[derive(Debug, PartialEq)]
pub struct Layer {
    pub digest: ImageDigest,
    /// The size in the manifest, in bytes.
    pub size: u64,
}

#[derive(Deserialize)]
struct Manifest {
    #[serde(default)]
    layers: Vec<Written>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Written {
    media_type: String,
    digest: String,
    #[serde(default)]
    size: u64,
}

/// Finds the first layer of a media type; `None` if the manifest has none.
pub fn layer(manifest: &[u8], kind: &str) -> Result<Option<Layer>, &'static str> {
    let Manifest { layers } =
        serde_json::from_slice(manifest).map_err(|_| "it is not the manifest of an artifact")?;
    let Some(Written { digest, size, .. }) = layers.into_iter().find(|layer| layer.media_type == kind) else {
        return Ok(None);
    };
    let digest = ImageDigest::parse(&digest).ok_or("the digest of its layer has an unknown algorithm")?;
    Ok(Some(Layer { digest, size }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_layer_of_a_type_counts() {
        let digest = |letter: &str| format!("sha256:{}", letter.repeat(64));
        let text = format!(
            r#"{{"layers": [{{"mediaType": "x", "digest": "md5:00"}}, {{"mediaType": "tar", "digest": "{}", "size": 7}},
                {{"mediaType": "tar", "digest": "{}"}}]}}"#,
            digest("a"),
            digest("b")
        );
        let found = layer(text.as_bytes(), "tar")
            .map(|found| found.map(|Layer { digest, size }| (digest.to_string(), size)));
        assert_eq!(found, Ok(Some((digest("a"), 7))));
        assert_eq!(layer(text.as_bytes(), "zip"), Ok(None));
        assert_eq!(layer(b"{}", "tar"), Ok(None));
        assert!(layer(text.as_bytes(), "x").is_err_and(|said| said.contains("digest")));
        assert!(layer(b"<html>", "tar").is_err_and(|said| said.contains("not the manifest")));
    }
}
