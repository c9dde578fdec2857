//! The generators of ConfigMaps and Secrets.
//!
//! Leaves reading `files` to the loader, and name conflicts to `accumulate`. Pure.

pub mod sources;

use std::collections::BTreeMap;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::Deserialize;

use super::error::KustomizeError;
use super::loader::Loader;
use super::node::{Map, Node, Scalar};
use super::resource::{Behavior, Resource};
use holdfast_documents::object::Origin;

/// An entry of `configMapGenerator` or `secretGenerator`.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct GeneratorArgs {
    pub namespace: String,
    pub name: String,
    pub behavior: String,
    pub literals: Vec<String>,
    pub files: Vec<String>,
    pub envs: Vec<String>,
    pub options: Option<GeneratorOptions>,
    /// The type of a Secret; empty for `Opaque`.
    #[serde(rename = "type")]
    pub secret_type: String,
}

/// `options` of a generator, or `generatorOptions` of all generators.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct GeneratorOptions {
    pub labels: BTreeMap<String, String>,
    pub annotations: BTreeMap<String, String>,
    pub disable_name_suffix_hash: bool,
    pub immutable: bool,
}

/// The kind that a generator creates.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Generated {
    ConfigMap,
    Secret,
}

impl GeneratorArgs {
    /// Returns the arguments with the options of all generators where they are unset.
    #[must_use]
    pub fn with_globals(mut self, globals: Option<&GeneratorOptions>) -> Self {
        let Some(globals) = globals else { return self };
        let own = self.options.get_or_insert_default();
        for (key, value) in &globals.labels {
            own.labels.entry(key.clone()).or_insert_with(|| value.clone());
        }
        for (key, value) in &globals.annotations {
            own.annotations.entry(key.clone()).or_insert_with(|| value.clone());
        }
        own.disable_name_suffix_hash |= globals.disable_name_suffix_hash;
        own.immutable |= globals.immutable;
        self
    }

    /// Creates the resource. `origin` is the place of the generator.
    pub fn generate(
        &self,
        generated: Generated,
        loader: &Loader,
        origin: &Origin,
    ) -> Result<Resource, KustomizeError> {
        if self.name.is_empty() {
            let message = format!("a generator of a {} needs a name: add `name`", generated.kind());
            return Err(KustomizeError::at(origin, message));
        }
        let data = sources::read(self, loader, origin)?;
        let mut map = Map::default();
        map.set("apiVersion", Node::string("v1"));
        map.set("kind", Node::string(generated.kind()));
        map.set("metadata", self.metadata());
        if generated == Generated::Secret {
            let secret_type = if self.secret_type.is_empty() { "Opaque" } else { &self.secret_type };
            map.set("type", Node::string(secret_type));
            map.set("data", secret_data(data).into());
        } else {
            config_map_data(data, &mut map);
        }
        let options = self.options.clone().unwrap_or_default();
        if options.immutable {
            map.set("immutable", Node::Scalar(Scalar::plain("true")));
        }
        let mut resource = Resource::new(map.into(), origin.clone());
        resource.needs_hash = !options.disable_name_suffix_hash;
        resource.behavior = behavior(&self.behavior);
        resource.touch();
        Ok(resource)
    }

    fn metadata(&self) -> Node {
        let mut metadata = Map::default();
        metadata.set("name", Node::string(&self.name));
        if !self.namespace.is_empty() {
            metadata.set("namespace", Node::string(&self.namespace));
        }
        let options = self.options.iter();
        for GeneratorOptions { labels, annotations, .. } in options {
            for (field, texts) in [("labels", labels), ("annotations", annotations)] {
                if !texts.is_empty() {
                    metadata.set(field, strings(texts).into());
                }
            }
        }
        metadata.into()
    }
}

impl Generated {
    pub fn kind(self) -> &'static str {
        match self {
            Self::ConfigMap => "ConfigMap",
            Self::Secret => "Secret",
        }
    }
}

/// Parses the `behavior` of a generator. Kustomize treats every unknown word as unset.
fn behavior(word: &str) -> Behavior {
    match word {
        "replace" => Behavior::Replace,
        "merge" => Behavior::Merge,
        "create" => Behavior::Create,
        _ => Behavior::Unspecified,
    }
}

fn strings(texts: &BTreeMap<String, String>) -> Map {
    texts.iter().map(|(key, text)| (Scalar::string(key), Node::string(text))).collect()
}

/// Text is stored in `data`; bytes that are not UTF-8, in `binaryData`.
fn config_map_data(data: BTreeMap<String, Vec<u8>>, map: &mut Map) {
    let (mut text, mut binary) = (Map::default(), Map::default());
    for (key, bytes) in data {
        match String::from_utf8(bytes) {
            Ok(content) => text.push(Scalar::string(key), Node::string(content)),
            Err(error) => binary.push(Scalar::string(key), encoded(error.as_bytes())),
        }
    }
    for (field, entries) in [("data", text), ("binaryData", binary)] {
        if !entries.is_empty() {
            map.set(field, entries.into());
        }
    }
}

fn secret_data(data: BTreeMap<String, Vec<u8>>) -> Map {
    data.into_iter().map(|(key, bytes)| (Scalar::string(key), encoded(&bytes))).collect()
}

/// Base64 in lines of 70 characters, each of which ends in a line break if there are several.
fn encoded(bytes: &[u8]) -> Node {
    const LINE: usize = 70;
    let code = STANDARD.encode(bytes);
    if code.len() < LINE {
        return Node::string(code);
    }
    let mut lines = String::with_capacity(code.len() + code.len() / LINE + 1);
    let mut rest = code.as_str();
    while !rest.is_empty() {
        let (line, after) = rest.split_at(rest.len().min(LINE));
        lines.push_str(line);
        lines.push('\n');
        rest = after;
    }
    Node::string(lines)
}

#[cfg(test)]
mod tests {
    use super::encoded;

    #[test]
    fn long_base64_is_broken_into_lines_of_seventy() {
        let lengths = |count: usize| {
            let node = encoded(&vec![0; count]);
            let text = node.text().cloned().unwrap_or_default();
            (text.ends_with('\n'), text.lines().map(str::len).collect::<Vec<_>>())
        };
        assert_eq!(lengths(51), (false, vec![68]));
        assert_eq!(lengths(52), (true, vec![70, 2]));
        assert_eq!(lengths(105), (true, vec![70, 70]));
    }
}
