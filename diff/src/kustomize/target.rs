//! One kustomization, from its file to its resources: the steps in the order of the original.
//!
//! Resources, configurations, crds, generators, components, transformers, validators, vars; and for the outermost one
//! hashes, references, vars, what is local. Leaves what each step does to its own module. Pure.

use super::accumulate::Accumulator;
use super::error::KustomizeError;
use super::file::{self, FileType, Kustomization};
use super::generate::Generated;
use super::hash::hash;
use super::loader::Loader;
use super::node::Node;
use super::read;
use super::remote;
use super::resource::Resource;
use super::resources::Resources;
use crate::files::FileKind;
use crate::object::Origin;

/// A kustomization in its folder.
pub struct Target<'a> {
    pub loader: &'a Loader<'a>,
    /// The path of the file.
    pub file: String,
    pub kustomization: Kustomization,
    inherited: Inherited,
}

/// What a base has from the kustomization that names it.
#[derive(Clone, Debug, Default)]
pub struct Inherited {
    /// `buildMetadata` of the outermost one.
    build_metadata: Vec<String>,
    /// The namespace of charts that have none.
    helm_namespace: String,
}

impl<'a> Target<'a> {
    /// Reads the kustomization of a folder.
    pub fn load(loader: &'a Loader<'a>) -> Result<Self, KustomizeError> {
        let mut found = file::NAMES.iter().filter_map(|name| loader.open(name).ok());
        let folder = if loader.root().is_empty() { "." } else { loader.root() };
        let Some(loaded) = found.next() else {
            let names = file::NAMES.join(", ");
            return Err(KustomizeError::in_file(folder, format!("there is no kustomization here: add one of {names}")));
        };
        if let Some(second) = found.next() {
            let message = format!("there are several kustomizations here: remove {} or {}", loaded.path, second.path);
            return Err(KustomizeError::in_file(folder, message));
        }
        let file::Reading { kustomization, warnings } = file::read(&loaded.path, &loaded.bytes)?;
        warnings.into_iter().for_each(|warning| loader.warn(warning));
        let inherited = Inherited { build_metadata: kustomization.build_metadata.clone(), ..Inherited::default() };
        Ok(Self { loader, file: loaded.path, kustomization, inherited })
    }

    /// The resources of the outermost kustomization, with all that can only be done once they are all there.
    pub fn build(&self) -> Result<Resources, KustomizeError> {
        let Accumulator { mut resources } = self.accumulate(Accumulator::default())?;
        for resource in resources.list.iter_mut().filter(|resource| resource.needs_hash) {
            let name = format!("{}-{}", resource.name(), hash(resource)?);
            // remember
            set_name(resource, &name);
        }
        Ok(resources)
    }

    /// Adds what this kustomization makes to what is there: nothing, or for a component what it is a part of.
    fn accumulate(&self, there: Accumulator) -> Result<Accumulator, KustomizeError> {
        let mut all = self.add_resources(there, &self.kustomization.resources, "resources")?;
        self.generate(&mut all)?;
        let mut all = self.add_components(all)?;
        Ok(all)
    }

    /// Adds files and bases.
    fn add_resources(
        &self,
        mut all: Accumulator,
        paths: &[String],
        field: &'static str,
    ) -> Result<Accumulator, KustomizeError> {
        for (index, path) in paths.iter().enumerate() {
            let at = |error: KustomizeError| error.or_at(&self.origin(field, index));
            if self.is_file(path).map_err(at)? {
                let loaded = self.loader.open(path).map_err(at)?;
                let resources = read::resources(&loaded.path, &loaded.bytes)?;
                all.resources.append_all(resources)?;
            } else {
                let loader = self.loader.base(path).map_err(at)?;
                all = self.add_base(all, &loader, FileType::Kustomization).map_err(at)?;
            }
        }
        Ok(all)
    }

    /// True for files, false for what must be a base.
    fn is_file(&self, path: &str) -> Result<bool, KustomizeError> {
        if remote::is_http(path) {
            return self.loader.is_remote_file(path);
        }
        match self.loader.kind(path) {
            Some(kind) => Ok(kind == FileKind::File),
            // what does not exist is named as a file, with what to do about it
            None => Ok(remote::parse(path).is_none()),
        }
    }

    fn add_components(&self, mut all: Accumulator) -> Result<Accumulator, KustomizeError> {
        for (index, path) in self.kustomization.components.iter().enumerate() {
            let at = |error: KustomizeError| error.or_at(&self.origin("components", index));
            let loader = self.loader.base(path).map_err(at)?;
            all = self.add_base(all, &loader, FileType::Component).map_err(at)?;
        }
        Ok(all)
    }

    /// Adds a base, or lets a component change what is there.
    fn add_base(
        &self,
        mut all: Accumulator,
        loader: &Loader,
        wanted: FileType,
    ) -> Result<Accumulator, KustomizeError> {
        let mut target = Target::load(loader)?;
        if target.kustomization.file_type != wanted {
            return Err(wrong_type(&target.file, wanted));
        }
        target.inherited = self.inherited.clone();
        if !self.kustomization.namespace.is_empty() {
            target.inherited.helm_namespace.clone_from(&self.kustomization.namespace);
        }
        match wanted {
            FileType::Kustomization => all.merge(target.accumulate(Accumulator::default())?)?,
            FileType::Component => {
                let changed = target.accumulate(all)?;
                all = Accumulator::default();
                all.merge(changed)?;
            }
        }
        Ok(all)
    }

    fn generate(&self, all: &mut Accumulator) -> Result<(), KustomizeError> {
        let globals = self.kustomization.generator_options.as_ref();
        for (index, args) in self.kustomization.config_map_generator.iter().enumerate() {
            let origin = self.origin("configMapGenerator", index);
            let resource = args.clone().with_globals(globals).generate(Generated::ConfigMap, self.loader, &origin)?;
            all.resources.absorb(resource)?;
        }
        for (index, args) in self.kustomization.secret_generator.iter().enumerate() {
            let origin = self.origin("secretGenerator", index);
            let resource = args.clone().with_globals(globals).generate(Generated::Secret, self.loader, &origin)?;
            all.resources.absorb(resource)?;
        }
        Ok(())
    }

    /// The place of an item of a field.
    pub fn origin(&self, field: &str, index: usize) -> Origin {
        Origin { file: self.file.as_str().into(), line: self.kustomization.line_of(field, index) }
    }
}

fn wrong_type(file: &str, wanted: FileType) -> KustomizeError {
    let message = match wanted {
        FileType::Component => "this is no component: name it in `resources`, or set kind: Component",
        FileType::Kustomization => "this is a component: name it in `components`",
    };
    KustomizeError::in_file(file, message)
}

fn set_name(resource: &mut Resource, name: &str) {
    if let Some(metadata) = resource.edit().get_mut("metadata").and_then(Node::as_map_mut) {
        metadata.set("name", Node::string(name));
    }
}
