//! ReplacementTransformer: copies the value of a field into fields of other resources.
//!
//! `matcher` finds the fields, and `inside` those inside a text that is YAML or JSON. Leaves loading
//! files of replacements to its caller. Pure.

mod inside;
mod matcher;

use serde::Deserialize;
use smol_str::SmolStr;

use self::matcher::{Found, Matcher};
use crate::bounds::{self, Growth, Work};
use crate::node::{Node, Scalar};
use crate::path::{lookup, split_with_brackets};
use crate::select::{Compiled, matches_metadata};
use crate::{Gvk, KustomizeError, ResId, Resource, Resources, Selector, Transform};
use holdfast_documents::weight;

/// The replacements, in this order.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(default)]
pub struct ReplacementTransformer {
    pub replacements: Vec<Replacement>,
}

/// One value and its targets.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct Replacement {
    pub source: Option<Source>,
    /// The value itself, instead of a source.
    pub source_value: Option<SmolStr>,
    pub targets: Option<Vec<Target>>,
}

/// The field of one resource.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct Source {
    pub group: SmolStr,
    pub version: SmolStr,
    pub kind: SmolStr,
    pub name: SmolStr,
    pub namespace: SmolStr,
    /// Defaults to `metadata.name`.
    pub field_path: SmolStr,
    pub options: Option<FieldOptions>,
}

/// Fields of the resources that are selected and not rejected.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct Target {
    pub select: Option<Selector>,
    pub reject: Vec<Selector>,
    /// Defaults to `metadata.name`.
    pub field_paths: Vec<String>,
    pub options: Option<FieldOptions>,
}

/// The part of a text that is replaced, and whether a field is created.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(default)]
pub struct FieldOptions {
    pub delimiter: String,
    pub index: i64,
    /// No effect, as in kustomize.
    pub encoding: String,
    pub create: bool,
}

impl Transform for ReplacementTransformer {
    fn rules(&self) -> usize {
        let targets = |replacement: &Replacement| {
            let targets = replacement.targets.iter().flatten();
            1 + targets.map(|target| 1 + target.reject.len()).sum::<usize>()
        };
        self.replacements.iter().map(targets).sum()
    }

    fn transform(&self, resources: &mut Resources) -> Result<(), KustomizeError> {
        let growth = Growth::default();
        self.replacements.iter().try_for_each(|replacement| replacement.apply(resources, &growth))?;
        resources.grew(&growth);
        resources.list.retain(|resource| !resource.node().is_empty());
        Ok(())
    }
}

/// The value of a replacement, and its source if it has to be read again after a change.
struct Value {
    node: Node,
    at: Option<(usize, Vec<String>)>,
}

impl Replacement {
    fn apply(&self, resources: &mut Resources, growth: &Growth) -> Result<(), KustomizeError> {
        let Self { source, source_value, targets } = self;
        let Some(targets) = targets else {
            return Err(KustomizeError::new("replacements: one has no targets"));
        };
        let mut value = match (source, source_value) {
            (None, Some(text)) => Value { node: Node::Scalar(Scalar::plain(text.clone())), at: None },
            (Some(source), None) => source.value(resources)?,
            (None, None) => {
                return Err(KustomizeError::new("replacements: one has neither source nor sourceValue"));
            }
            (Some(_), Some(_)) => {
                return Err(KustomizeError::new(
                    "replacements: one has both source and sourceValue: remove one of them",
                ));
            }
        };
        targets.iter().try_for_each(|target| target.apply(resources, &mut value, growth))
    }
}

impl Source {
    fn value(&self, resources: &Resources) -> Result<Value, KustomizeError> {
        let at = self.find(resources)?;
        let resource = &resources.list[at];
        let path = if self.field_path.is_empty() { "metadata.name" } else { &self.field_path };
        let failed = |reason: String| {
            let message = format!("replacements: {path} of {}: {reason}", resource.id());
            KustomizeError::at(&resource.origin, message)
        };
        let parts = split_with_brackets(path, '.');
        let found = lookup(resource.node(), &parts).map_err(failed)?;
        let node =
            found.filter(|node| !node.is_empty()).ok_or_else(|| failed("there is no value".to_owned()))?;
        match self.options.as_ref().filter(|options| !options.delimiter.is_empty()) {
            None => Ok(Value { node: node.clone(), at: Some((at, parts)) }),
            Some(options) => Ok(Value { node: options.part(node).map_err(failed)?, at: None }),
        }
    }

    /// Returns the only resource whose current or previous identity matches the source.
    fn find(&self, resources: &Resources) -> Result<usize, KustomizeError> {
        let Self { group, version, kind, name, namespace, .. } = self;
        let gvk = Gvk { group: group.clone(), version: version.clone(), kind: kind.clone() };
        let is = |id: &ResId| {
            (name.is_empty() || *name == id.name)
                && (namespace.is_empty() || or_default(namespace) == or_default(&id.namespace))
                && id.gvk.is_selected(&gvk)
        };
        let described = format!("{gvk} {name:?}");
        let mut found = None;
        for (at, resource) in resources.list.iter().enumerate() {
            if is(resource.id()) || resource.previous_ids().any(|id| is(&id)) {
                if found.is_some() {
                    let message = format!(
                        "replacements: the source {described} matches more than one resource: make it more specific"
                    );
                    return Err(KustomizeError::new(message));
                }
                found = Some(at);
            }
        }
        found.ok_or_else(|| {
            KustomizeError::new(format!("replacements: there is no resource for the source {described}"))
        })
    }
}

fn or_default(namespace: &str) -> &str {
    if namespace.is_empty() { "default" } else { namespace }
}

impl FieldOptions {
    /// Returns the part of a source.
    fn part(&self, node: &Node) -> Result<Node, String> {
        let Node::Scalar(scalar) = node else {
            return Err(format!("a delimiter needs a string, but the value is {}", node.describe()));
        };
        let text = node.text().map_or("", SmolStr::as_str);
        let part = usize::try_from(self.index).ok().and_then(|index| text.split(&self.delimiter).nth(index));
        let part = part.ok_or_else(|| format!("there is no part {} in {text:?}", self.index))?;
        Ok(Node::Scalar(Scalar { text: part.into(), ..scalar.clone() }))
    }

    /// Returns the text of a target in which one part is replaced.
    fn replaced(&self, target: &str, value: &str) -> String {
        let mut parts: Vec<&str> = target.split(&self.delimiter).collect();
        match usize::try_from(self.index) {
            Err(_) => parts.insert(0, value),
            Ok(index) => match parts.get_mut(index) {
                Some(part) => *part = value,
                None => parts.push(value),
            },
        }
        parts.join(&self.delimiter)
    }
}

impl Target {
    fn apply(
        &self,
        resources: &mut Resources,
        value: &mut Value,
        growth: &Growth,
    ) -> Result<(), KustomizeError> {
        let Some(select) = &self.select else {
            return Err(KustomizeError::new("replacements: a target has no select"));
        };
        let selection = Selection {
            select: select.compile()?,
            reject: self.reject.iter().map(Selector::compile).collect::<Result<_, _>>()?,
            target: self,
        };
        let default = ["metadata.name".to_owned()];
        let paths = if self.field_paths.is_empty() { &default } else { self.field_paths.as_slice() };
        for at in 0..resources.list.len() {
            if !selection.selects(&resources.list[at], select)? {
                continue;
            }
            for path in paths {
                let Resources { list, work, .. } = &mut *resources;
                work.take(bounds::effort(list[at].node()))?;
                match value.at.as_ref().filter(|(of, _)| *of == at) {
                    Some((_, source)) => {
                        self.copy_within(&mut list[at], path, (&value.node, source), growth, work)?;
                    }
                    None => self.copy(&mut list[at], path, &value.node, growth)?,
                }
                value.refresh(resources, at);
            }
        }
        Ok(())
    }

    fn copy(
        &self,
        resource: &mut Resource,
        path: &str,
        value: &Node,
        growth: &Growth,
    ) -> Result<(), KustomizeError> {
        let options = self.options.as_ref();
        let parts = split_with_brackets(path, '.');
        let node = resource.edit();
        let copied = bounds::depth(parts.len(), value).and_then(|()| {
            growth.add(weight::bytes(value))?;
            if inside::copy(node, &parts, value, self.creates())? {
                return Ok(());
            }
            let weight = weight::bytes(value);
            let mut set = |target: &mut Node, found: Found| {
                growth.add(weight)?;
                set_value(options, target, found, value)
            };
            let mut matcher = Matcher::new(value, self.creates(), &mut set);
            matcher.run(node, &parts)?;
            self.is_found(matcher.count())?;
            if value.as_scalar().is_some() { Ok(()) } else { bounds::weight(node) }
        });
        copied.map_err(|reason| refused(resource, path, &reason))
    }

    /// Copies a value into fields of the resource that it is in. In the original the value is a part of the resource, not a copy:
    /// it has the fields that were created in it, and what was copied into it before.
    fn copy_within(
        &self,
        resource: &mut Resource,
        path: &str,
        (value, source): (&Node, &[String]),
        growth: &Growth,
        work: &Work,
    ) -> Result<(), KustomizeError> {
        let options = self.options.as_ref();
        let parts = split_with_brackets(path, '.');
        let node = resource.edit();
        let mut fields: Vec<Found> = Vec::new();
        let created = bounds::depth(parts.len(), value).and_then(|()| {
            growth.add(weight::bytes(value))?;
            if inside::copy(node, &parts, value, self.creates())? {
                return Ok(());
            }
            let mut note = |_: &mut Node, found: Found| {
                fields.push(found);
                Ok(())
            };
            Matcher::new(value, self.creates(), &mut note).run(node, &parts)?;
            self.is_found(fields.len())
        });
        created.map_err(|reason| refused(resource, path, &reason))?;
        for (at, found) in fields.into_iter().enumerate() {
            let node = resource.edit();
            work.take(bounds::effort(node))?;
            let value = lookup(node, source).ok().flatten().unwrap_or(value).clone();
            let copied = bounds::depth(parts.len(), &value).and_then(|()| {
                growth.add(weight::bytes(&value))?;
                let mut position = 0;
                let mut set = |target: &mut Node, _: Found| {
                    position += 1;
                    if position == at + 1 { set_value(options, target, found, &value) } else { Ok(()) }
                };
                Matcher::new(&value, self.creates(), &mut set).run(node, &parts)?;
                bounds::weight(node)
            });
            copied.map_err(|reason| refused(resource, path, &reason))?;
        }
        Ok(())
    }

    fn creates(&self) -> bool {
        self.options.as_ref().is_some_and(|options| options.create)
    }

    /// Refuses a path at which no field was found.
    fn is_found(&self, count: usize) -> Result<(), String> {
        match count {
            0 if self.creates() => Err("there is no such field, and none can be created".to_owned()),
            0 => Err("there is no such field".to_owned()),
            _ => Ok(()),
        }
    }
}

fn refused(resource: &Resource, path: &str, reason: &str) -> KustomizeError {
    let message = format!("replacements: {path} of {}: {reason}", resource.id());
    KustomizeError::at(&resource.origin, message)
}

impl Value {
    /// Reads the value again, if its resource has changed.
    fn refresh(&mut self, resources: &Resources, changed: usize) {
        if let Some((at, path)) = &self.at
            && *at == changed
            && let Ok(Some(node)) = lookup(resources.list[*at].node(), path)
        {
            self.node = node.clone();
        }
    }
}

/// The compiled selection of a target.
struct Selection<'a> {
    select: Compiled<'a>,
    reject: Vec<Compiled<'a>>,
    target: &'a Target,
}

impl Selection<'_> {
    fn selects(&self, resource: &Resource, select: &Selector) -> Result<bool, KustomizeError> {
        let node = resource.node();
        let has = |selector: &Selector| -> Result<bool, KustomizeError> {
            let annotations = matches_metadata(node, "annotations", &selector.annotation_selector)?;
            Ok(matches_metadata(node, "labels", &selector.label_selector)? && annotations)
        };
        if !has(select)? {
            return Ok(false);
        }
        for reject in &self.target.reject {
            let by_metadata = !(reject.annotation_selector.is_empty() && reject.label_selector.is_empty());
            if by_metadata && has(reject)? {
                return Ok(false);
            }
        }
        let any = |compiled: &Compiled<'_>| {
            compiled.matches(resource.id()) || resource.previous_ids().any(|id| compiled.matches(&id))
        };
        let is_rejected = self.reject.iter().any(|reject| !reject.is_for_any_id() && any(reject));
        Ok(!is_rejected && any(&self.select))
    }
}

/// Sets a field to a value. A scalar keeps its type.
fn set_value(
    options: Option<&FieldOptions>,
    target: &mut Node,
    found: Found,
    value: &Node,
) -> Result<(), String> {
    let text = value.as_scalar().map_or("", |scalar| &scalar.text);
    let delimiter = options.filter(|options| !options.delimiter.is_empty());
    match (target, delimiter) {
        (Node::Scalar(scalar), delimiter) => {
            let text: SmolStr = match delimiter {
                None => text.into(),
                Some(options) => {
                    options.replaced(&scalar.text, if value.is_null() { "" } else { text }).into()
                }
            };
            if found == Found::Created {
                *scalar = Scalar::plain(text);
            } else {
                scalar.text = text;
            }
            Ok(())
        }
        (other, Some(_)) => Err(format!("a delimiter needs a string, but the value is {}", other.describe())),
        (other, None) => {
            *other = value.clone();
            Ok(())
        }
    }
}
