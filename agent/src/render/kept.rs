//! The manifests of a render in a compact form, so that correcting one object needs no render.
//!
//! Pure.

use std::borrow::Borrow;
use std::io::{Read as _, Write as _};

use flate2::Compression;
use flate2::read::ZlibDecoder;
use flate2::write::ZlibEncoder;
use holdfast_diff::object::Manifest;

/// Manifests that are packed together: alike ones take next to nothing beside one another, and one must be unpacked to read
/// any of them.
const CHUNK: usize = 32;

/// Manifests in their order, each a line of JSON.
pub struct Kept {
    chunks: Vec<Box<[u8]>>,
}

/// What was kept cannot be read.
#[derive(Debug, thiserror::Error)]
#[error("cannot read a kept manifest: {0}")]
pub struct KeptError(#[from] std::io::Error);

impl Kept {
    pub fn of<M: Borrow<Manifest>>(manifests: impl IntoIterator<Item = M>) -> Result<Self, KeptError> {
        let mut chunks = Vec::new();
        let mut manifests = manifests.into_iter().peekable();
        let mut packed = ZlibEncoder::new(Vec::new(), Compression::fast());
        while manifests.peek().is_some() {
            for manifest in manifests.by_ref().take(CHUNK) {
                serde_json::to_writer(&mut packed, manifest.borrow()).map_err(std::io::Error::from)?;
                packed.write_all(b"\n")?;
            }
            chunks.push(packed.reset(Vec::new())?.into());
        }
        Ok(Self { chunks })
    }

    /// The manifests at these positions, which ascend.
    pub fn get(&self, positions: &[usize]) -> Result<Vec<Manifest>, KeptError> {
        let mut found = Vec::with_capacity(positions.len());
        for positions in positions.chunk_by(|one, other| one / CHUNK == other / CHUNK) {
            let Some(packed) = positions.first().and_then(|at| self.chunks.get(at / CHUNK)) else {
                return Err(std::io::Error::from(std::io::ErrorKind::NotFound).into());
            };
            let mut lines = String::new();
            ZlibDecoder::new(&**packed).read_to_string(&mut lines)?;
            let lines: Vec<&str> = lines.lines().collect();
            for at in positions {
                let line = lines.get(at % CHUNK).copied().unwrap_or_default();
                found.push(serde_json::from_str(line).map_err(std::io::Error::from)?);
            }
        }
        Ok(found)
    }
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "tests")]
mod tests {
    use std::sync::Arc;

    use holdfast_diff::object::{GroupKind, Origin};
    use serde_json::json;

    use super::*;

    fn manifest(at: usize) -> Manifest {
        let name = format!("web-{at}");
        Manifest {
            api_version: "v1".to_owned(),
            kind: Arc::new(GroupKind::new("", "ConfigMap")),
            namespace: "shop".to_owned(),
            value: json!({"metadata": {"name": name}, "data": {"text": "two\nlines", "number": at}}),
            name,
            origin: Origin { file: "web.yaml".into(), line: 1 },
        }
    }

    #[test]
    fn every_manifest_comes_back_as_it_was() {
        let all: Vec<Manifest> = (0..100).map(manifest).collect();
        let kept = Kept::of(&all).unwrap();
        let positions = [0, 1, 31, 32, 63, 99];
        let expected: Vec<Manifest> = positions.iter().map(|at| manifest(*at)).collect();
        assert_eq!(kept.get(&positions).unwrap(), expected);
        assert!(kept.get(&[128]).is_err());
        assert!(kept.get(&[100]).is_err());
    }

    #[test]
    fn alike_manifests_take_little_room() {
        let all: Vec<Manifest> = (0..320).map(manifest).collect();
        let size: usize = Kept::of(&all).unwrap().chunks.iter().map(|chunk| chunk.len()).sum();
        assert!(size / 320 < 40, "{size} bytes");
    }
}
