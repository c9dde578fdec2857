//! `vars`: values of fields of resources, written wherever `$(NAME)` stands in the fields that may hold it.
//!
//! Which fields may is in the configuration (`varReference`); the syntax is in `expand`. Pure.

mod expand;
mod value;

use std::collections::{BTreeMap, HashSet};

use serde::Deserialize;
use smol_str::SmolStr;

use self::value::VarValue;
use crate::bounds::Growth;
use crate::fieldspec::{Create, FieldSpec};
use crate::node::{Node, Scalar, Tag};
use crate::{Gvk, KustomizeError, ResId, Resources};

/// An entry of `vars` in a kustomization.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(default)]
pub struct Var {
    pub name: SmolStr,
    pub objref: ObjectReference,
    pub fieldref: FieldReference,
}

/// The resource that has the value.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct ObjectReference {
    pub api_version: SmolStr,
    pub group: SmolStr,
    pub version: SmolStr,
    pub kind: SmolStr,
    pub name: SmolStr,
    pub namespace: SmolStr,
}

/// The field that has the value; `metadata.name` if none is named.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct FieldReference {
    pub field_path: SmolStr,
}

impl ObjectReference {
    fn gvk(&self) -> Gvk {
        let mut gvk =
            Gvk { group: self.group.clone(), version: self.version.clone(), kind: self.kind.clone() };
        match self.api_version.split('/').collect::<Vec<_>>().as_slice() {
            _ if self.api_version.is_empty() => {}
            [group, version] => (gvk.group, gvk.version) = ((*group).into(), (*version).into()),
            [version] => gvk.version = (*version).into(),
            _ => {}
        }
        gvk
    }

    /// True if a resource had or has this identity. Without a namespace, any will do.
    fn is(&self, id: &ResId) -> bool {
        let same_namespace = match &*self.namespace {
            "" => true,
            namespace => id.effective_namespace() == namespace,
        };
        same_namespace && id.name == self.name && id.gvk == self.gvk()
    }
}

/// The vars of a build by their names.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct VarSet(BTreeMap<SmolStr, Var>);

impl VarSet {
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Adds the vars of another build.
    ///
    /// # Errors
    /// If both have one of the same name.
    pub fn merge(&mut self, other: Self) -> Result<(), KustomizeError> {
        other.0.into_values().try_for_each(|var| self.add(var))
    }

    /// Adds the vars of a kustomization, and notes in the resources which of them they hold.
    ///
    /// # Errors
    /// If a var may mean several resources, or there is one of its name.
    pub fn add_all(&mut self, vars: &[Var], resources: &mut Resources) -> Result<(), KustomizeError> {
        for var in vars {
            match resources.with_any_id(|id| var.objref.is(id)).as_slice() {
                [] => {}
                [only] => resources.list[*only].var_names.push(var.name.clone()),
                many => {
                    let message = format!(
                        "var {}: {} resources are {} {}: set objref.namespace",
                        var.name,
                        many.len(),
                        var.objref.kind,
                        var.objref.name
                    );
                    return Err(KustomizeError::new(message));
                }
            }
        }
        vars.iter().try_for_each(|var| self.add(var.clone()))
    }

    fn add(&mut self, mut var: Var) -> Result<(), KustomizeError> {
        if var.fieldref.field_path.is_empty() {
            var.fieldref.field_path = SmolStr::new_static("metadata.name");
        }
        match self.0.insert(var.name.clone(), var) {
            None => Ok(()),
            Some(twice) => Err(KustomizeError::new(format!("there are two vars {}: rename one", twice.name))),
        }
    }

    /// Writes the values of all vars. Returns the names of those that stand nowhere.
    ///
    /// # Errors
    /// If a var has no value, or a list or mapping that may hold vars holds something else.
    pub fn resolve(
        &self,
        resources: &mut Resources,
        specs: &[FieldSpec],
    ) -> Result<Vec<SmolStr>, KustomizeError> {
        if self.is_empty() {
            return Ok(Vec::new());
        }
        let values = self.values(resources)?;
        let mut used = HashSet::new();
        let growth = Growth::default();
        for resource in &mut resources.list {
            for spec in specs {
                spec.apply(resource, Create::Never, &mut |node| replace(node, &values, &mut used, &growth))?;
            }
        }
        resources.grew(&growth);
        Ok(values.into_keys().filter(|name| !used.contains(name)).collect())
    }

    fn values(&self, resources: &Resources) -> Result<BTreeMap<SmolStr, VarValue>, KustomizeError> {
        let value = |var: &Var| {
            let Var { name, objref, fieldref: FieldReference { field_path } } = var;
            let holder =
                resources.list.iter().find(|resource| resource.var_names.contains(name)).ok_or_else(
                    || {
                        KustomizeError::new(format!(
                            "var {name}: there is no resource {} {}",
                            objref.kind, objref.name
                        ))
                    },
                )?;
            let value = value::at(holder.node(), field_path).map_err(|reason| {
                KustomizeError::at(&holder.origin, format!("var {name}: {field_path}: {reason}"))
            })?;
            Ok((name.clone(), value))
        };
        self.0.values().map(value).collect()
    }
}

/// Replaces the vars in a string, or in the strings of a list or mapping.
fn replace(
    node: &mut Node,
    values: &BTreeMap<SmolStr, VarValue>,
    used: &mut HashSet<SmolStr>,
    growth: &Growth,
) -> Result<(), String> {
    match node {
        Node::Scalar(scalar) => replace_string(scalar, values, used, growth)?,
        Node::Map(map) => {
            for (key, value) in map.iter_mut() {
                if key.tag != Tag::Str {
                    return Err(format!("the key {} is not a string: quote it", key.text));
                }
                if let Node::Scalar(scalar) = value {
                    replace_string(scalar, values, used, growth)?;
                }
            }
        }
        Node::Seq(items) => {
            for item in items {
                match item {
                    Node::Scalar(scalar) if scalar.tag == Tag::Str => {
                        replace_string(scalar, values, used, growth)?;
                    }
                    _ => return Err(format!("the items must be strings, not {}: quote it", item.describe())),
                }
            }
        }
    }
    Ok(())
}

fn replace_string(
    scalar: &mut Scalar,
    values: &BTreeMap<SmolStr, VarValue>,
    used: &mut HashSet<SmolStr>,
    growth: &Growth,
) -> Result<(), String> {
    if scalar.tag != Tag::Str || !scalar.text.contains('$') {
        return Ok(());
    }
    let mut grown = Ok(());
    *scalar = expand::expand(&scalar.text, |name| {
        let value = values.get(name).filter(|value| value.is_single())?;
        if grown.is_ok() {
            grown = growth.add(value.text().len());
        }
        grown.is_ok().then_some(())?;
        used.insert(name.into());
        Some(value)
    });
    grown
}
