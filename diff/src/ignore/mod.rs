//! The fields that others may write: `spec.drift.ignore` of a Sync.
//!
//! Contains the rules and what they cover; `strip` removes it from differences, `keep` keeps it in
//! an apply, and `suggest` writes rules. Pure.

mod glob;
mod keep;
mod pattern;
mod selector;
mod strip;
mod suggest;

use std::sync::Arc;

use serde::Deserialize;
use serde_json::{Map, Value};

pub(crate) use glob::Glob;
pub use strip::pointer;
pub use suggest::suggest;

use pattern::Pattern;
use selector::Selector;

use crate::applyset::{MARK, PART_OF, SYNC};
use crate::fields::{MANAGER, Owner, owners};
use crate::object::ObjectId;
use crate::pointer::segments;

/// One rule as a user writes it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct Rule {
    pub target: Target,
    /// RFC 6901; `*` stands for one segment. A path covers everything below it. Empty: every path.
    pub paths: Vec<String>,
    /// Field managers, as globs. Empty: all of them. Holdfast itself never matches.
    pub managers: Vec<String>,
}

/// The selected objects: those that match every field that is set. All fields but the selector are globs.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct Target {
    /// Empty text is the core group.
    pub group: Option<String>,
    pub version: Option<String>,
    pub kind: Option<String>,
    pub name: Option<String>,
    pub namespace: Option<String>,
    pub label_selector: Option<String>,
}

/// The compiled rules of a Sync.
#[derive(Clone, Debug, Default)]
pub struct Rules(Vec<Arc<Compiled>>);

#[derive(Debug)]
struct Compiled {
    /// The index in `spec.drift.ignore`.
    index: usize,
    group: Option<Glob>,
    version: Option<Glob>,
    kind: Option<Glob>,
    name: Option<Glob>,
    namespace: Option<Glob>,
    labels: Option<Selector>,
    /// Never empty: a rule without paths has the pattern that covers everything.
    paths: Vec<Pattern>,
    managers: Vec<Glob>,
}

impl Rules {
    /// Compiles rules, and returns messages for invalid ones, which match nothing.
    pub fn compile(rules: Vec<Rule>) -> (Self, Vec<String>) {
        let mut errors = Vec::new();
        let mut compiled = Vec::new();
        for (index, rule) in rules.into_iter().enumerate() {
            let before = errors.len();
            let rule = compile(index, rule, &mut errors);
            if errors.len() == before {
                compiled.push(Arc::new(rule));
            }
        }
        (Self(compiled), errors)
    }

    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Returns the rules that match one object, given its labels.
    pub fn of(&self, api_version: &str, object: &ObjectId, labels: Option<&Map<String, Value>>) -> Ignored {
        let version = api_version.rsplit('/').next().unwrap_or(api_version);
        let holds = |rule: &&Arc<Compiled>| {
            let fits = |glob: &Option<Glob>, name: &str| glob.as_ref().is_none_or(|glob| glob.matches(name));
            fits(&rule.kind, &object.kind.kind)
                && fits(&rule.group, &object.kind.group)
                && fits(&rule.version, version)
                && fits(&rule.namespace, &object.namespace)
                && fits(&rule.name, &object.name)
                && rule.labels.as_ref().is_none_or(|selector| selector.matches(labels))
        };
        Ignored(self.0.iter().filter(holds).cloned().collect())
    }
}

fn compile(index: usize, Rule { target, paths, managers }: Rule, errors: &mut Vec<String>) -> Compiled {
    let at = format!("spec.drift.ignore[{index}]");
    let Target { group, version, kind, name, namespace, label_selector } = target;
    if paths.is_empty() && managers.is_empty() {
        errors.push(format!("{at}: must have paths, or managers, or both"));
    }
    let mut glob = |field: &str, text: String| {
        if text.is_empty() {
            errors.push(format!(
                "{at}.{field}: is empty and matches nothing: write a name or a glob, or leave it out"
            ));
        }
        Glob::new(&text)
    };
    let version = version.map(|text| glob("target.version", text));
    let kind = kind.map(|text| glob("target.kind", text));
    let name = name.map(|text| glob("target.name", text));
    let namespace = namespace.map(|text| glob("target.namespace", text));
    let managers =
        managers.into_iter().enumerate().map(|(at, text)| glob(&format!("managers[{at}]"), text)).collect();
    let labels = label_selector.and_then(|text| {
        let wrong = |part| {
            format!(
                "{at}.target.labelSelector: `{part}` is not a label selector: write a=b, a!=b, a in (x, y), \
                 a notin (x, y), a or !a, with commas between them"
            )
        };
        Selector::parse(&text).map_err(|part| errors.push(wrong(part))).ok()
    });
    let mut patterns = Vec::with_capacity(paths.len().max(1));
    if paths.is_empty() {
        patterns.push(Pattern::default());
    }
    for (number, path) in paths.iter().enumerate() {
        match Pattern::parse(path) {
            Ok(pattern) => patterns.push(pattern),
            Err(error) => errors.push(format!("{at}.paths[{number}]: {error}")),
        }
    }
    let group = group.map(|text| Glob::new(&text));
    Compiled { index, group, version, kind, name, namespace, labels, paths: patterns, managers }
}

impl Compiled {
    fn covers(&self, path: &[String]) -> bool {
        self.paths.iter().any(|pattern| pattern.covers(path))
    }

    /// True if the rule applies to values of this field manager.
    fn means(&self, manager: &str) -> bool {
        manager != MANAGER && self.managers.iter().any(|glob| glob.matches(manager))
    }
}

/// The fields of one object that others may write.
#[derive(Clone, Debug, Default)]
pub struct Ignored(Vec<Arc<Compiled>>);

impl Ignored {
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Returns the indices in `spec.drift.ignore` of the rules that match the object.
    pub fn rules(&self) -> impl Iterator<Item = usize> {
        self.0.iter().map(|rule| rule.index)
    }

    /// True if others may write the value at a path (RFC 6901) that has these owners. The identity of an object and its
    /// marks of ownership are never covered.
    pub fn covers(&self, path: &str, owners: &[Owner]) -> bool {
        !self.is_empty() && self.covers_owned(&segments(path).collect::<Vec<_>>(), || owners.to_vec())
    }

    /// True if others may write the value at a path, in segments, of a live object.
    pub fn covers_of(&self, path: &[String], live: &Value) -> bool {
        !self.is_empty() && self.covers_owned(path, || owners(live, &strip::pointer(path)))
    }

    /// As [`Self::covers`], for owners that are only computed if a rule needs them.
    fn covers_owned(&self, path: &[String], owners: impl Fn() -> Vec<Owner>) -> bool {
        !is_identity(path)
            && self.0.iter().filter(|rule| rule.covers(path)).any(|rule| {
                rule.managers.is_empty() || owners().iter().any(|owner| rule.means(&owner.manager))
            })
    }

    /// True if a rule may cover a path, or a path above or below it.
    fn touches(&self, path: &[String]) -> bool {
        self.patterns().any(|pattern| pattern.touches(path))
    }

    /// True if a pattern names a path below this one.
    fn names_below(&self, path: &[String]) -> bool {
        self.patterns().any(|pattern| pattern.is_below(path))
    }

    fn patterns(&self) -> impl Iterator<Item = &Pattern> {
        self.0.iter().flat_map(|rule| &rule.paths)
    }
}

/// The fields that identify an object or mark its ownership.
const IDENTITY: [&[&str]; 7] = [
    &["apiVersion"],
    &["kind"],
    &["metadata", "name"],
    &["metadata", "namespace"],
    &["metadata", "labels", PART_OF],
    &["metadata", "annotations", SYNC],
    &["metadata", "annotations", MARK],
];

fn is_identity(path: &[String]) -> bool {
    IDENTITY.iter().any(|own| *own == path)
}

/// True if a field of the identity is below a path.
fn holds_identity(path: &[String]) -> bool {
    IDENTITY
        .iter()
        .any(|own| own.len() > path.len() && own.iter().zip(path).all(|(own, segment)| own == segment))
}
