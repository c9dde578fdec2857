//! The style, the script and the icon. Each is at an address with its digest, so a browser keeps it for ever and a page names
//! exactly what it was made with. Pure.

use std::sync::LazyLock;

use axum::extract::Path;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse as _, Response};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use sha2::{Digest as _, Sha256};

pub static STYLE: LazyLock<Asset> =
    LazyLock::new(|| Asset::new(include_str!("assets/style.css"), "css", "text/css; charset=utf-8"));
pub static SCRIPT: LazyLock<Asset> =
    LazyLock::new(|| Asset::new(include_str!("assets/script.js"), "js", "text/javascript; charset=utf-8"));
pub static ICON: LazyLock<Asset> =
    LazyLock::new(|| Asset::new(include_str!("assets/icon.svg"), "svg", "image/svg+xml"));

/// A file that never changes.
pub struct Asset {
    text: &'static str,
    kind: &'static str,
    path: String,
    integrity: String,
}

impl Asset {
    fn new(text: &'static str, extension: &str, kind: &'static str) -> Self {
        let digest = Sha256::digest(text);
        let path = format!("/static/{}.{extension}", hex::encode(&digest[..8]));
        Self { text, kind, path, integrity: format!("sha256-{}", STANDARD.encode(digest)) }
    }

    pub fn path(&self) -> &str {
        &self.path
    }

    /// For the attribute `integrity`.
    pub fn integrity(&self) -> &str {
        &self.integrity
    }
}

/// `/static/<digest>.<extension>`.
pub async fn serve(Path(file): Path<String>) -> Response {
    let all = [&*STYLE, &*SCRIPT, &*ICON];
    let Some(asset) =
        all.into_iter().find(|asset| asset.path.strip_prefix("/static/") == Some(file.as_str()))
    else {
        return StatusCode::NOT_FOUND.into_response();
    };
    let headers =
        [(header::CONTENT_TYPE, asset.kind), (header::CACHE_CONTROL, "public, max-age=31536000, immutable")];
    (headers, asset.text).into_response()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_shipped_is_small_and_whole() {
        assert!(SCRIPT.text.len() < 60 * 1024 && SCRIPT.text.contains("EventSource"));
        assert!(STYLE.text.len() < 60 * 1024 && STYLE.text.contains("prefers-color-scheme"));
        assert!(ICON.text.starts_with("<svg"));
        let urls = |text: &str| text.replace("http://www.w3.org/2000/svg", "").contains("//");
        assert!(!urls(STYLE.text) && !urls(ICON.text), "nothing is fetched from another host");
    }
}
