//! Builds one kustomization: the steps in the order of kustomize.
//!
//! Resources, configurations, crds, generators, components, transformers, validators, vars; and for the outermost one
//! hashes, references, values of vars, local objects. Leaves each step to its own module. Pure.

use super::Transform as _;
use super::accumulate::Accumulator;
use super::error::KustomizeError;
use super::file::FileType;
use super::generate::Generated;
use super::generators::Generator;
use super::hash::HashTransformer;
use super::host::HelmChart;
use super::loader::Loader;
use super::plugins;
use super::provenance;
use super::read;
use super::remote;
use super::resource::Resource;
use super::resources::Resources;
use super::steps::{self, Step, typed};
use super::tables;
use super::target::Target;
use super::transform::names::NameReferenceTransformer;
use super::transform::vars::Var;
use holdfast_documents::budget::Resource as Taken;
use holdfast_documents::files::FileKind;

/// The annotation of objects that are only for tools.
const LOCAL: &str = "config.kubernetes.io/local-config";

/// Number of fields with names for each field that a resource of some kind can have.
const NAMES: usize = 8;

impl Target<'_> {
    /// Returns the resources of the outermost kustomization, with the steps that need all of them.
    pub fn build(&self) -> Result<Resources, KustomizeError> {
        self.build_on(Vec::new())
    }

    /// Returns the same, applied to objects of another renderer.
    pub fn build_on(&self, given: Vec<Resource>) -> Result<Resources, KustomizeError> {
        self.loader.count(&given)?;
        let there = Resources { given: !given.is_empty(), list: given, ..Resources::default() };
        let there = Accumulator { resources: there, ..Accumulator::default() };
        let Accumulator { mut resources, config, vars } = self.accumulate(there)?;
        HashTransformer.transform(&mut resources)?;
        let names = NameReferenceTransformer { references: &config.name_reference };
        let rules = names.rules() / NAMES + config.var_reference.len() * usize::from(!vars.is_empty());
        self.loader
            .spend(Taken::Work, rules * resources.list.len())
            .map_err(|error| error.or_at(&self.origin("configurations", 0)))?;
        names.transform(&mut resources)?;
        let unused = vars
            .resolve(&mut resources, &config.var_reference)
            .map_err(|e| e.or_at(&self.origin("vars", 0)))?;
        self.count_growth(&mut resources).map_err(|error| error.or_at(&self.origin("vars", 0)))?;
        for name in unused {
            self.loader.warn(format!("{}: the var {name} is not used", self.file));
        }
        drop_local(&mut resources)?;
        Ok(resources)
    }

    /// Adds the result of this kustomization to the existing resources: none, or for a component those of its parent.
    fn accumulate(&self, there: Accumulator) -> Result<Accumulator, KustomizeError> {
        let mut all = self.add_resources(there, "resources", &self.kustomization.resources)?;
        for config in tables::read(self)? {
            all.merge_config(&config)?;
        }
        self.generate(&mut all)?;
        let mut all = self.add_components(all)?;
        let steps = self.transformers(&all)?;
        for step in &steps {
            let work = step.transform.rules() * all.resources.list.len();
            self.loader.spend(Taken::Work, work).map_err(|error| error.or_at(&step.origin))?;
        }
        for step in steps {
            step.run(&mut all.resources)?;
            self.count_growth(&mut all.resources).map_err(|error| error.or_at(&step.origin))?;
            std::mem::take(&mut all.resources.warnings).into_iter().for_each(|lost| self.loader.warn(lost));
        }
        self.loader.context.note_used(&all.resources.list, std::mem::take(&mut all.resources.merged));
        self.validate(&all.resources)?;
        let vars: Vec<Var> = self.kustomization.vars.iter().map(typed).collect::<Result<_, _>>()?;
        let Accumulator { resources, vars: known, .. } = &mut all;
        known.add_all(&vars, resources).map_err(|error| error.or_at(&self.origin("vars", 0)))?;
        self.count_growth(&mut all.resources)?;
        Ok(all)
    }

    /// Adds files and bases.
    fn add_resources(
        &self,
        mut all: Accumulator,
        field: &'static str,
        paths: &[String],
    ) -> Result<Accumulator, KustomizeError> {
        for (index, path) in paths.iter().enumerate() {
            let at = |error: KustomizeError| error.or_at(&self.origin(field, index));
            if self.is_file(path).map_err(at)? {
                let loaded = self.loader.open(path).map_err(at)?;
                let mut unread = Vec::new();
                let mut resources = read::resources_noting(&loaded.path, &loaded.bytes, &mut unread)?;
                unread.into_iter().for_each(|warning| self.loader.warn(warning));
                self.loader.count(&resources).map_err(at)?;
                self.note_provenance(&mut resources, path);
                all.resources.append_all(resources)?;
            } else {
                let loader = self.loader.base(path).map_err(at)?;
                all = self.add_base(all, path, &loader, FileType::Kustomization).map_err(at)?;
            }
        }
        Ok(all)
    }

    /// True for files, false for bases.
    fn is_file(&self, path: &str) -> Result<bool, KustomizeError> {
        if remote::is_http(path) {
            return self.loader.is_remote_file(path);
        }
        match self.loader.kind(path) {
            Some(kind) => Ok(kind == FileKind::File),
            // A path that does not exist is reported as a file, with what to do.
            None => Ok(remote::parse(path).is_none()),
        }
    }

    fn add_components(&self, mut all: Accumulator) -> Result<Accumulator, KustomizeError> {
        for (index, path) in self.kustomization.components.iter().enumerate() {
            let at = |error: KustomizeError| error.or_at(&self.origin("components", index));
            let loader = self.loader.base(path).map_err(at)?;
            all = self.add_base(all, path, &loader, FileType::Component).map_err(at)?;
        }
        Ok(all)
    }

    /// Adds a base, or applies a component to the existing resources.
    fn add_base(
        &self,
        mut all: Accumulator,
        path: &str,
        loader: &Loader,
        wanted: FileType,
    ) -> Result<Accumulator, KustomizeError> {
        let mut target = Target::load(loader)?;
        if target.kustomization.file_type != wanted {
            return Err(wrong_type(&target.file, wanted));
        }
        target.inherited = self.inherited.clone();
        target.inherited.trail = self.inherited.trail.as_ref().map(|trail| provenance::append(trail, path));
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
        for generator in self.generators()? {
            self.loader
                .spend(Taken::Work, all.resources.work.done())
                .map_err(|error| error.or_at(&generator.origin))?;
            let generated = generator.run(self)?;
            self.loader.count(&generated).map_err(|error| error.or_at(&generator.origin))?;
            for resource in generated {
                all.resources.absorb(resource)?;
            }
        }
        Ok(())
    }

    fn generators(&self) -> Result<Vec<Generator>, KustomizeError> {
        let mut generators = Vec::new();
        let kustomization = &self.kustomization;
        let globals = kustomization.generator_options.as_ref();
        for (generated, field, all) in [
            (Generated::ConfigMap, "configMapGenerator", &kustomization.config_map_generator),
            (Generated::Secret, "secretGenerator", &kustomization.secret_generator),
        ] {
            for (index, args) in all.iter().enumerate() {
                let args = args.clone().with_globals(globals);
                let provenance = self.provenance_of(&format!("{}Generator", generated.kind()));
                generators.push(Generator::data(generated, args, self.origin(field, index), provenance));
            }
        }
        for (index, chart) in kustomization.helm_charts.iter().enumerate() {
            let provenance = self.provenance_of("HelmChartInflationGenerator");
            generators.push(Generator::chart(
                self.chart(chart),
                self,
                self.origin("helmCharts", index),
                provenance,
            )?);
        }
        for resource in self.configured("generators", &kustomization.generators)?.list {
            generators.push(plugins::generator(&resource, self)?);
        }
        Ok(generators)
    }

    /// Returns a chart with the globals, and with the nearest namespace if it has none.
    fn chart(&self, chart: &HelmChart) -> HelmChart {
        let globals = self.kustomization.helm_globals.clone();
        let mut chart =
            HelmChart { chart_home: globals.chart_home, config_home: globals.config_home, ..chart.clone() };
        for namespace in [&self.kustomization.namespace, &self.inherited.helm_namespace] {
            if chart.namespace.is_empty() {
                chart.namespace.clone_from(namespace);
            }
        }
        chart
    }

    fn transformers(&self, all: &Accumulator) -> Result<Vec<Step>, KustomizeError> {
        let mut transformers = steps::built_in(self, &all.config)?;
        for resource in self.configured("transformers", &self.kustomization.transformers)?.list {
            transformers.push(plugins::transformer(&resource, self)?);
        }
        Ok(transformers)
    }

    /// Counts what the last step added.
    fn count_growth(&self, resources: &mut Resources) -> Result<(), KustomizeError> {
        self.loader.spend(Taken::Work, resources.work.done())?;
        self.loader.spend(Taken::Memory, std::mem::take(&mut resources.grown))
    }

    /// Runs transformers that must not change anything.
    fn validate(&self, resources: &Resources) -> Result<(), KustomizeError> {
        for resource in self.configured("validators", &self.kustomization.validators)?.list {
            let step = plugins::transformer(&resource, self)?;
            let mut changed = resources.clone();
            step.transform.transform(&mut changed).map_err(|error| error.or_at(&step.origin))?;
            let same = |(before, after): (&Resource, &Resource)| before.node() == after.node();
            if changed.list.len() != resources.list.len()
                || !resources.list.iter().zip(&changed.list).all(same)
            {
                let message = "this validator changes resources: name it in `transformers`";
                return Err(KustomizeError::at(&step.origin, message));
            }
        }
        Ok(())
    }

    /// Returns the objects of plugins: texts in the kustomization, then files and bases.
    fn configured(&self, field: &'static str, entries: &[String]) -> Result<Resources, KustomizeError> {
        let mut all = Accumulator::default();
        let mut paths = Vec::new();
        for (index, entry) in entries.iter().enumerate() {
            match plugins::inline(entry, &self.origin(field, index)) {
                Some(mut resources) => {
                    self.note_provenance(&mut resources, self.file_name());
                    self.loader.context.note_used(&resources, false);
                    all.resources.append_all(resources)?;
                }
                None => paths.push(entry.clone()),
            }
        }
        Ok(self.add_resources(all, field, &paths)?.resources)
    }
}

fn wrong_type(file: &str, wanted: FileType) -> KustomizeError {
    let message = match wanted {
        FileType::Component => "this is not a component: name it in `resources`, or set kind: Component",
        FileType::Kustomization => "this is a component: name it in `components`",
    };
    KustomizeError::in_file(file, message)
}

/// Removes objects that are only for tools, and empty ones.
fn drop_local(resources: &mut Resources) -> Result<(), KustomizeError> {
    let list = std::mem::take(&mut resources.list);
    let is_local = |resource: &Resource| {
        !resource.is_given() && resource.annotation(LOCAL).is_some_and(|value| value != "false")
    };
    let kept = list.into_iter().filter(|resource| !resource.node().is_empty() && !is_local(resource));
    resources.append_all(kept.collect())
}
