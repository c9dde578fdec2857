//! What is fed with inputs, and what must hold of each. Pure.

use std::collections::BTreeMap;
use std::str::FromStr;
use std::sync::Arc;

use anyhow::bail;
use holdfast_diff::files::{Entry, FileKind, Files, FilesError, Resolved};
use holdfast_diff::yaml;
use holdfast_diff::yaml::edit::{Edit, edit};
use holdfast_kustomize::parts::{Json6902, Patch, PatchOptions, PatchStep, strategic_merge};
use holdfast_kustomize::parts::{Resources, Schema, Selector, Transform as _};
use holdfast_kustomize::{Host, KustomizeError, Options, Output, build, read, value};
use serde_json::{Value, json};

use crate::disk;
use crate::input::{File, Input};

/// A reader under test.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Target {
    Yaml,
    Kustomization,
    Patch,
    /// Objects of git.
    Tree,
    /// Files of the cache folder.
    Cache,
    /// The fuzzer: some of its inputs are findings of every sort.
    Itself,
}

impl Target {
    pub const ALL: [Self; 5] = [Self::Yaml, Self::Kustomization, Self::Patch, Self::Tree, Self::Cache];

    pub fn name(self) -> &'static str {
        match self {
            Self::Yaml => "yaml",
            Self::Kustomization => "kustomization",
            Self::Patch => "patch",
            Self::Tree => "tree",
            Self::Cache => "cache",
            Self::Itself => "itself",
        }
    }

    /// True if its inputs are bytes, of which any may change.
    pub fn is_binary(self) -> bool {
        matches!(self, Self::Tree | Self::Cache)
    }

    /// Runs an input. The error says which property does not hold.
    pub fn run(self, input: &Input) -> Result<(), String> {
        match self {
            Self::Yaml => input.files.iter().try_for_each(|(path, bytes)| manifests(path, bytes)),
            Self::Kustomization => kustomization(input),
            Self::Patch => patch(input),
            Self::Tree => disk::read_tree(input),
            Self::Cache => disk::find_render(input),
            Self::Itself => Ok(()),
        }
    }
}

impl FromStr for Target {
    type Err = anyhow::Error;

    fn from_str(name: &str) -> anyhow::Result<Self> {
        let mut all = Self::ALL.into_iter().chain([Self::Itself]);
        match all.find(|target| target.name() == name) {
            Some(target) => Ok(target),
            None => bail!("there is no target {name}; there are {}", Self::ALL.map(Self::name).join(", ")),
        }
    }
}

/// What is read is written so that it is read back, by both readers; and every scalar can be replaced or is refused.
fn manifests(path: &str, bytes: &[u8]) -> Result<(), String> {
    let (manifests, _) = yaml::manifests(path, bytes);
    manifests.iter().try_for_each(|manifest| read_back(&manifest.value))?;
    let (documents, _) = yaml::read(path, bytes);
    for (number, document) in documents.iter().enumerate().take(2) {
        read_back(&document.value)?;
        let value = json!("x: 1");
        for path in scalars(&document.value).into_iter().take(4) {
            // That it is refused is an answer; what is written is proven by the editor itself.
            let _ = edit(&path, bytes, &[Edit { document: number, path: path.clone(), value: &value }]);
        }
    }
    for node in read::nodes(path, bytes).into_iter().flatten().map(|(node, _)| node) {
        value::value(&node).map_or(Ok(()), |value| read_back(&value))?;
    }
    // An error is an answer too.
    let _ = read::resources(path, bytes);
    Ok(())
}

/// The ways to the first scalars.
fn scalars(value: &Value) -> Vec<String> {
    match value {
        Value::Object(map) => {
            let below = map.iter().take(3).flat_map(|(key, value)| {
                let key = key.replace('~', "~0").replace('/', "~1");
                scalars(value).into_iter().map(move |path| format!("/{key}{path}"))
            });
            below.collect()
        }
        Value::Array(items) => {
            let below = items.iter().enumerate().take(2);
            below
                .flat_map(|(at, item)| scalars(item).into_iter().map(move |path| format!("/{at}{path}")))
                .collect()
        }
        _ => vec![String::new()],
    }
}

fn read_back(value: &Value) -> Result<(), String> {
    let text = yaml::write(value);
    let (documents, errors) = yaml::read("written", text.as_bytes());
    if let Some(error) = errors.first() {
        return Err(format!("what was written cannot be read: {error}"));
    }
    let read = documents.into_iter().next().map(|document| document.value).unwrap_or_default();
    if alike(&read, value) { Ok(()) } else { Err(format!("{value} is read back as {read}")) }
}

/// Equal; a whole number beyond 64 bits with a sign is read back as kubectl reads it, with a fraction.
fn alike(read: &Value, written: &Value) -> bool {
    match (read, written) {
        (Value::Object(read), Value::Object(written)) => {
            let entry = |((key, one), (other, two)): ((&String, &Value), (&String, &Value))| {
                key == other && alike(one, two)
            };
            read.len() == written.len() && read.iter().zip(written).all(entry)
        }
        (Value::Array(read), Value::Array(written)) => {
            read.len() == written.len() && read.iter().zip(written).all(|(one, two)| alike(one, two))
        }
        (Value::Number(read), Value::Number(written)) if written.is_u64() && !written.is_i64() => {
            read.as_f64() == written.as_f64()
        }
        (Value::String(read), Value::String(written)) => read == written || has_break(written),
        (read, written) => read == written,
    }
}

/// True for what go-yaml takes for the end of a line where YAML 1.2 does not: it writes them bare, and indents what follows,
/// so that kubectl cannot read back what it wrote, and neither can we, who write the same bytes.
fn has_break(text: &str) -> bool {
    text.contains(['\u{85}', '\u{2028}', '\u{2029}'])
}

/// Two builds of one tree come to the same, and what is built can be read back.
fn kustomization(input: &Input) -> Result<(), String> {
    let Some((first, _)) = input.files.first() else { return Ok(()) };
    let folder = first.rsplit_once('/').map_or("", |(folder, _)| folder);
    let tree = Tree::of(&input.files);
    let built = || build(&tree, folder, &Options::default()).map_err(|error| error.to_string());
    let texts =
        |output: &Output| output.resources.iter().map(|(value, _)| yaml::write(value)).collect::<Vec<_>>();
    let (one, other) = (built(), built());
    let (shown, again) = (one.as_ref().map(texts), other.as_ref().map(texts));
    if shown != again {
        return Err(format!("two builds differ: {shown:?} and {again:?}"));
    }
    one.map_or(Ok(()), |output| output.resources.iter().try_for_each(|(value, _)| read_back(value)))
}

/// A patch in all its ways onto objects: what comes of it can be written and read back.
fn patch(input: &Input) -> Result<(), String> {
    let [(_, patch), (file, object), ..] = input.files.as_slice() else { return Ok(()) };
    let text = String::from_utf8_lossy(patch).into_owned();
    let Ok(objects) = read::resources(file, object) else { return Ok(()) };
    let schema = Schema::kubernetes();
    let all = Selector { name: ".*".into(), ..Selector::default() };
    let entry = |target: Option<&Selector>, allow: bool| {
        let options = PatchOptions { allow_name_change: allow, allow_kind_change: allow };
        let path = Some("patch.yaml".to_owned());
        Patch { path, patch: text.clone(), target: target.cloned(), options: Some(options) }.step(&schema)
    };
    let json = Json6902 { target: Some(all.clone()), path: None, patch: text.clone() };
    let steps: [Result<PatchStep, KustomizeError>; 5] = [
        entry(None, false),
        entry(Some(&all), false),
        entry(Some(&all), true),
        json.step(&schema),
        strategic_merge([("patch.yaml", text.as_str())], &schema),
    ];
    for step in steps.into_iter().flatten() {
        let mut resources = Resources { list: objects.clone(), ..Resources::default() };
        if step.transform(&mut resources).is_err() {
            continue;
        }
        for resource in &resources.list {
            value::value(resource.node()).map_or(Ok(()), |value| read_back(&value))?;
        }
    }
    Ok(())
}

/// Files in memory.
struct Tree(BTreeMap<String, Arc<[u8]>>);

impl Tree {
    fn of(files: &[File]) -> Self {
        Self(files.iter().map(|(path, bytes)| (path.clone(), bytes.as_slice().into())).collect())
    }

    /// What stands in a folder; `None` if nothing is below it.
    fn below(&self, folder: &str) -> Option<Vec<Entry>> {
        let start = if folder.is_empty() { String::new() } else { format!("{folder}/") };
        let mut found: BTreeMap<String, FileKind> = BTreeMap::new();
        for path in self.0.keys().filter_map(|path| path.strip_prefix(&start)) {
            let (name, kind) =
                path.split_once('/').map_or((path, FileKind::File), |(name, _)| (name, FileKind::Folder));
            found.insert(name.to_owned(), kind);
        }
        (!found.is_empty())
            .then(|| found.into_iter().map(|(name, kind)| Entry { name, kind: kind.into() }).collect())
    }
}

impl Host for Tree {}

impl Files for Tree {
    fn resolve(&self, path: &str) -> Result<Option<Resolved>, FilesError> {
        let kind = match self.0.get(path) {
            Some(_) => Some(FileKind::File),
            None => self.below(path).map(|_| FileKind::Folder),
        };
        Ok(kind.map(|kind| Resolved { path: path.to_owned(), kind }))
    }

    fn read(&self, path: &str) -> Result<Option<Arc<[u8]>>, FilesError> {
        Ok(self.0.get(path).cloned())
    }

    fn list(&self, path: &str) -> Result<Option<Vec<Entry>>, FilesError> {
        Ok(self.below(path))
    }
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::Target;
    use crate::seeds::Seeds;

    #[test]
    fn good_inputs_are_built_and_patched() {
        let seeds = Seeds::read().unwrap();
        let mut random = holdfast_tests::random::Random::new(3);
        for target in Target::ALL {
            for _ in 0..100 {
                assert_eq!(target.run(&seeds.pick(target, &mut random)), Ok(()), "{}", target.name());
            }
        }
    }
}
