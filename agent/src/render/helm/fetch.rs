//! Provides charts on disk: an archive, or a folder of the tree with its dependencies.
//!
//! Leaves archives to `download`. I/O: HTTP, disk.

use super::dependencies::{self, Added, Folder};
use super::download::Archive;
use super::metadata::{self, Metadata};
use super::{Chart, ChartSource, HelmError, Runner, archive, tree};

impl Runner {
    /// Provides a chart on disk. A chart with an exact version that is in the cache makes no request.
    pub async fn fetch(&self, source: ChartSource<'_>) -> Result<Chart, HelmError> {
        let ChartSource::Folder { path, root, logins } = source else {
            let (chart, archive, _) = self.download(&source).await?;
            let Archive { path, digest, .. } = archive;
            let Metadata { name, version, .. } = chart;
            return Ok(Chart {
                name,
                version,
                digest: Some(digest),
                root: path.clone(),
                place: path,
                made_of: Vec::new(),
                _folder: None,
            });
        };
        let root = root.canonicalize().map_err(HelmError::io("read the tree"))?;
        if !path.exists() {
            let place = path.strip_prefix(&root).unwrap_or(path).display().to_string();
            return Err(HelmError::ChartNotFound { chart: "in Git".to_owned(), place, near: String::new() });
        }
        let place = tree::inside(path, &root)?;
        let mut tree = tree::read(&place, &root)?;
        let shown = place.strip_prefix(&root).unwrap_or(&place).join("Chart.yaml").display().to_string();
        let Some(file) = archive::metadata(&tree.files) else {
            let place = shown.trim_end_matches("/Chart.yaml").to_owned();
            let near = "; it has no Chart.yaml".to_owned();
            return Err(HelmError::ChartNotFound { chart: "in Git".to_owned(), place, near });
        };
        let metadata = metadata::chart(&shown, &file.bytes)?;
        let folder = Folder { root: &root, logins };
        let added = dependencies::complete(self, &folder, &place, &metadata, &mut tree.files, 0).await?;
        let Metadata { name, version, .. } = metadata;
        let Added { any, fetched: made_of } = added;
        if !any && !tree.linked {
            return Ok(Chart { name, version, digest: None, made_of, place, root, _folder: None });
        }
        let folder = self.folder()?;
        archive::unpack(&tree.files, folder.path())?;
        let place = folder.path().to_path_buf();
        Ok(Chart { name, version, digest: None, made_of, root: place.clone(), place, _folder: Some(folder) })
    }
}
