//! The files and folders that one kustomization may read: files in or below its own folder, bases anywhere in the
//! repository, and remote content only if the host provides it.
//!
//! Pure.

use std::sync::Arc;

use super::context::{Context, LoadRestrictions};
use super::error::KustomizeError;
use super::read::beyond_first;
use super::remote;
use super::resource::Resource;
use holdfast_documents::budget::Resource as Taken;
use holdfast_documents::files::{FileKind, FilesError, Resolved, join};
use holdfast_documents::weight;

/// Maximum nesting of kustomizations. Kustomize is only limited by its memory.
const DEEPEST: usize = 40;

/// The work of reading a resource, in rules that are tested on one.
const READ: usize = 50;

/// The files as one kustomization reads them.
pub struct Loader<'a> {
    pub context: &'a Context<'a>,
    /// The folder of the kustomization, with symlinks followed.
    root: String,
    restrictions: LoadRestrictions,
    /// The URL and the root folder of the remote repository that contains this, if any.
    remote: Option<(String, String)>,
    /// The kustomization that refers to this one as its base.
    parent: Option<&'a Loader<'a>>,
}

/// A file that was read, and its path.
pub struct Loaded {
    pub path: String,
    pub bytes: Arc<[u8]>,
}

impl<'a> Loader<'a> {
    /// Creates the loader for the folder of a build.
    pub fn new(context: &'a Context<'a>, folder: &str) -> Result<Self, KustomizeError> {
        let clean = join("", folder).ok_or_else(|| outside(folder))?;
        let root = folder_at(context, &clean, folder)?;
        let restrictions = context.options.load_restrictions;
        Ok(Self { context, root, restrictions, remote: None, parent: None })
    }

    pub fn root(&self) -> &str {
        &self.root
    }

    /// Counts an amount against the budget of the render.
    pub fn spend(&self, what: Taken, amount: usize) -> Result<(), KustomizeError> {
        let spent = self.context.host.spend(what, amount);
        spent.map_err(|exceeded| KustomizeError::new(exceeded.to_string()))
    }

    /// Counts resources that were read or generated.
    pub fn count(&self, resources: &[Resource]) -> Result<(), KustomizeError> {
        self.context.note_used(resources, false);
        self.spend(Taken::Objects, resources.len())?;
        let memory = resources.iter().map(|resource| weight::bytes(resource.node())).sum();
        self.spend(Taken::Memory, memory)?;
        self.spend(Taken::Work, resources.len() * READ)
    }

    pub fn warn(&self, warning: String) {
        self.context.warnings.borrow_mut().push(warning);
    }

    /// Reads a file of which kustomize only reads the first document; warns about others.
    pub fn open_first(&self, path: &str) -> Result<Loaded, KustomizeError> {
        let loaded = self.open(path)?;
        beyond_first(&loaded.path, &loaded.bytes).into_iter().for_each(|lost| self.warn(lost));
        Ok(loaded)
    }

    /// Returns the bytes of a file that the kustomization refers to.
    pub fn load(&self, path: &str) -> Result<Arc<[u8]>, KustomizeError> {
        Ok(self.open(path)?.bytes)
    }

    /// Returns the bytes and the path of a file that the kustomization refers to.
    pub fn open(&self, path: &str) -> Result<Loaded, KustomizeError> {
        let found = if remote::is_http(path) {
            let at = self.context.host.remote_file(path).map_err(refused)?.ok_or_else(|| {
                KustomizeError::new(format!("`{path}` is not a file: write the URL of a file"))
            })?;
            self.context.host.resolve(&at).map_err(refused)?
        } else {
            let clean = self.clean(path)?;
            let found = self.context.host.resolve(&clean).map_err(refused)?;
            found
                .filter(|found| found.kind == FileKind::Folder || self.may_read(&found.path))
                .map_or_else(|| self.not_found(path, &clean).map(|()| None), |found| Ok(Some(found)))?
        };
        match found {
            Some(Resolved { path: at, kind: FileKind::File }) => self.read(path, at),
            Some(Resolved { kind: FileKind::Folder, .. }) => {
                Err(KustomizeError::new(format!("`{path}` is a folder, but must be a file")))
            }
            None => Err(missing(path)),
        }
    }

    /// Returns the loader of a base or component.
    pub fn base<'b>(&'b self, path: &str) -> Result<Loader<'b>, KustomizeError>
    where
        'a: 'b,
    {
        if self.depth() >= DEEPEST {
            return Err(KustomizeError::new(format!(
                "kustomizations are nested deeper than {DEEPEST} levels"
            )));
        }
        if let Some(spec) = remote::parse(path) {
            return self.remote_base(path, &spec);
        }
        let clean = self.clean(path)?;
        let root = folder_at(self.context, &clean, path)?;
        if let Some((url, repository)) = &self.remote
            && !contains(repository, &root)
        {
            return Err(KustomizeError::new(format!("`{path}` is outside of the remote repository {url}")));
        }
        self.refuse_cycle(&root)?;
        Ok(Loader {
            context: self.context,
            root,
            restrictions: self.restrictions,
            remote: self.remote.clone(),
            parent: Some(self),
        })
    }

    fn remote_base<'b>(&'b self, url: &str, spec: &remote::Spec) -> Result<Loader<'b>, KustomizeError>
    where
        'a: 'b,
    {
        let mut visited = self.chain().filter_map(|loader| loader.remote.as_ref());
        if let Some((before, _)) = visited.find(|(before, _)| before.starts_with(url)) {
            return Err(KustomizeError::new(format!("a cycle: {before} refers to {url} again")));
        }
        let at = self.context.host.remote(url).map_err(refused)?;
        let root = folder_at(self.context, &at, url)?;
        let inside = spec.folder.trim_matches('/');
        let repository = root.strip_suffix(inside).unwrap_or(&root).trim_end_matches('/').to_owned();
        Ok(Loader {
            context: self.context,
            root,
            restrictions: LoadRestrictions::RootOnly,
            remote: Some((url.to_owned(), repository)),
            parent: Some(self),
        })
    }

    /// Returns the kind of a path, if it exists.
    pub fn kind(&self, path: &str) -> Option<FileKind> {
        let place = self.context.host.resolve(&join(&self.root, path)?).ok()??;
        Some(place.kind)
    }

    /// True if an HTTP URL is a file and not a repository.
    pub fn is_remote_file(&self, url: &str) -> Result<bool, KustomizeError> {
        Ok(self.context.host.remote_file(url).map_err(refused)?.is_some())
    }

    fn read(&self, path: &str, at: String) -> Result<Loaded, KustomizeError> {
        let bytes = self.context.host.read(&at).map_err(refused)?.ok_or_else(|| missing(path))?;
        Ok(Loaded { path: at, bytes })
    }

    fn clean(&self, path: &str) -> Result<String, KustomizeError> {
        if path.is_empty() {
            return Err(KustomizeError::new("a path is empty: write one, or remove the entry"));
        }
        if path.starts_with('/') {
            let message = format!("`{path}` is absolute: write it relative to the kustomization");
            return Err(KustomizeError::new(message));
        }
        join(&self.root, path).ok_or_else(|| outside(path))
    }

    fn may_read(&self, path: &str) -> bool {
        self.restrictions == LoadRestrictions::None || contains(&self.root, path)
    }

    /// Explains why a file was not found.
    fn not_found(&self, path: &str, clean: &str) -> Result<(), KustomizeError> {
        match self.context.host.resolve(clean).map_err(refused)? {
            None => Err(missing(path)),
            Some(_) => Err(KustomizeError::new(format!(
                "`{path}` is not in or below the folder of the kustomization, where its files must be: move it \
                 there, or make a base of it"
            ))),
        }
    }

    fn chain(&self) -> impl Iterator<Item = &Loader<'a>> {
        std::iter::successors(Some(self), |loader| loader.parent)
    }

    fn depth(&self) -> usize {
        self.chain().count()
    }

    fn refuse_cycle(&self, root: &str) -> Result<(), KustomizeError> {
        let Some(steps) = self.chain().position(|visited| contains(root, &visited.root)) else {
            return Ok(());
        };
        let mut path: Vec<_> = self.chain().take(steps + 1).map(|loader| shown(&loader.root)).collect();
        path.reverse();
        path.push(shown(root));
        Err(KustomizeError::new(format!(
            "a cycle of kustomizations: {}: a base must not be, or contain, what refers to it",
            path.join(" → ")
        )))
    }
}

/// True if the path is the folder or below it.
fn contains(folder: &str, path: &str) -> bool {
    folder.is_empty()
        || path.strip_prefix(folder).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
}

fn folder_at(context: &Context, clean: &str, written: &str) -> Result<String, KustomizeError> {
    match context.host.resolve(clean).map_err(refused)? {
        Some(Resolved { path, kind: FileKind::Folder }) => Ok(path),
        Some(_) => Err(KustomizeError::new(format!("`{written}` is a file, but must be a folder"))),
        None => Err(missing(written)),
    }
}

fn shown(root: &str) -> &str {
    if root.is_empty() { "." } else { root }
}

fn missing(path: &str) -> KustomizeError {
    KustomizeError::new(format!("`{path}` does not exist: correct the path, or add the file"))
}

fn outside(path: &str) -> KustomizeError {
    KustomizeError::new(format!("`{path}` leads out of the repository"))
}

fn refused(error: FilesError) -> KustomizeError {
    KustomizeError::new(error.0)
}
