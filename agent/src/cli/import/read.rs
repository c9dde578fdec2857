//! Reads the resources of another tool from files and folders, and follows the paths that they name in a working tree.
//! I/O: disk reads.

use std::collections::{BTreeSet, VecDeque};
use std::path::Path;
use std::sync::Arc;

use anyhow::{Context as _, bail};
use holdfast_diff::files::Files;
use holdfast_diff::object::Manifest;
use holdfast_diff::yaml;

use super::super::files::Disk;
use crate::api::Render;
use crate::import::found::{Found, Index, Key};
use crate::import::note::{Note, Notes};
use crate::import::{self, Options, Tool};
use crate::reconcile::trees::MirrorTrees;
use crate::render::order::render_here;
use crate::render::outside::Outside;
use crate::render::plain::{self, Unit};
use crate::render::{Inputs, Target, detect, helm};

/// Maximum number of paths that are followed.
const PATHS: usize = 1000;
/// Maximum bytes of a file.
const BYTES: u64 = 8 * 1024 * 1024;

/// What was read so far.
pub struct Reader<'r> {
    tool: Tool,
    options: &'r Options,
    tree: Option<Arc<Disk>>,
    namespace: String,
    index: Index,
    notes: Vec<Note>,
    cache: tempfile::TempDir,
}

impl<'r> Reader<'r> {
    pub fn new(
        tool: Tool,
        tree: Option<&Path>,
        options: &'r Options,
        namespace: String,
    ) -> anyhow::Result<Self> {
        let tree = tree.map(Disk::new).transpose()?.map(Arc::new);
        let cache = tempfile::tempdir().context("cannot create a folder for charts")?;
        Ok(Self { tool, options, tree, namespace, index: Index::default(), notes: Vec::new(), cache })
    }

    pub fn finish(self) -> (Index, Vec<Note>) {
        (self.index, self.notes)
    }

    /// Reads a file or a folder. In a folder, files without resources of the tool do not matter.
    pub async fn read(&mut self, path: &Path) -> anyhow::Result<()> {
        if path.is_dir() {
            let (disk, folder) = Disk::around(path)?;
            return self.folder(&Arc::new(disk), &folder).await;
        }
        let size = path.metadata().with_context(|| format!("cannot read {}", path.display()))?.len();
        if size > BYTES {
            bail!("{} has {size} bytes; files over {BYTES} bytes are not read", path.display());
        }
        let bytes = std::fs::read(path).with_context(|| format!("cannot read {}", path.display()))?;
        let (manifests, mistakes) = yaml::manifests(&path.display().to_string(), &bytes);
        if !mistakes.is_empty() {
            bail!("{}", mistakes.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n"));
        }
        self.take(manifests, &self.namespace.clone(), None).map(drop)
    }

    async fn folder(&mut self, disk: &Arc<Disk>, folder: &str) -> anyhow::Result<()> {
        if detect::is_kustomization(&**disk, folder)? {
            return self.build(disk, folder).await;
        }
        for unit in plain::units(&**disk, folder, None)? {
            match unit {
                Unit::Kustomization(folder) => self.build(disk, &folder).await?,
                Unit::File(path) => {
                    let bytes = disk.read(&path)?.unwrap_or_default();
                    let names = |group: &&str| memchr::memmem::find(&bytes, group.as_bytes()).is_some();
                    if !self.tool.words().iter().any(names) {
                        continue;
                    }
                    let (manifests, mistakes) = yaml::manifests(&path, &bytes);
                    for mistake in mistakes {
                        let text = format!("{mistake}; name the file with -f if it should be read");
                        Notes::about(&path, &mut self.notes).refused("", text);
                    }
                    self.take(manifests, &self.namespace.clone(), None)?;
                }
            }
        }
        Ok(())
    }

    /// Builds a folder with a kustomization.
    async fn build(&mut self, disk: &Arc<Disk>, folder: &str) -> anyhow::Result<()> {
        let namespace = self.namespace.clone();
        match self.render(disk.clone(), folder, Render::default(), &namespace).await {
            Ok(manifests) => self.take(manifests, &namespace, None).map(drop),
            Err(error) => {
                Notes::about(folder, &mut self.notes).refused("", format!("it cannot be built: {error:#}"));
                Ok(())
            }
        }
    }

    async fn render(
        &self,
        disk: Arc<Disk>,
        folder: &str,
        options: Render,
        namespace: &str,
    ) -> anyhow::Result<Vec<Manifest>> {
        let outside =
            Outside::new(Path::new("helm"), self.cache.path(), helm::Limits::default(), Arc::default(), None);
        let target =
            Target { name: "import".to_owned(), namespace: namespace.to_owned(), ..Target::default() };
        let inputs = Arc::new(Inputs { target, ..Inputs::default() });
        let trees = Arc::new(MirrorTrees::default());
        let rendered = render_here(disk, folder.to_owned(), options, inputs, &outside, trees).await?;
        let manifests =
            rendered.objects.into_iter().map(|object| yaml::manifest(object.value, &object.origin).0);
        Ok(manifests.flatten().collect())
    }

    /// Keeps the resources of the tool. Returns those that are new.
    fn take(
        &mut self,
        manifests: Vec<Manifest>,
        namespace: &str,
        via: Option<&Key>,
    ) -> anyhow::Result<Vec<Key>> {
        let mut keys = Vec::new();
        for manifest in manifests {
            import::scan(self.tool, &manifest, via, &mut self.notes);
            if !self.tool.reads(&manifest) {
                continue;
            }
            let mut value = manifest.value;
            import::forget_secrets(&mut value);
            let mut found = Found::new(value, manifest.origin.to_string(), namespace);
            found.via = via.cloned();
            let key = found.key();
            if self.index.insert(found)? {
                keys.push(key);
            }
        }
        Ok(keys)
    }

    /// Follows the paths of what was read, and of what is found there.
    pub async fn follow(&mut self) -> anyhow::Result<()> {
        let mut open: VecDeque<Key> = self.index.iter().map(Found::key).collect();
        let mut done = BTreeSet::new();
        while let Some(key) = open.pop_front() {
            let Some(found) = self.index.get(&key.kind, &key.namespace, &key.name).cloned() else { continue };
            let files = self.tree.as_deref().map(|tree| tree as &dyn Files);
            for made in import::expand(self.tool, &self.index, &found, files, &mut self.notes) {
                let key = made.key();
                if self.index.insert(made)? {
                    open.push_back(key);
                }
            }
            let Some(tree) = self.tree.clone() else { continue };
            for place in import::places(self.tool, &self.index, &found, self.options) {
                if !done.insert((key.clone(), place.folder.clone())) {
                    continue;
                }
                if done.len() > PATHS {
                    bail!(
                        "more than {PATHS} paths are followed, the last one is that of {key}; import one folder (-f) at a time"
                    );
                }
                let folder = match tree.folder(Some(&place.folder)) {
                    Ok(folder) => folder,
                    Err(error) => {
                        let text = format!("its path is not followed: {error:#}");
                        Notes::about(&key, &mut self.notes).missing("spec.path", text);
                        continue;
                    }
                };
                match self.render(tree.clone(), &folder, place.render, &place.namespace).await {
                    Ok(manifests) => open.extend(self.take(manifests, &place.namespace, Some(&key))?),
                    Err(error) => {
                        let text = format!(
                            "what is in its path is not imported, because it cannot be rendered: {error:#}"
                        );
                        Notes::about(&key, &mut self.notes).missing("spec.path", text);
                    }
                }
            }
        }
        Ok(())
    }
}
