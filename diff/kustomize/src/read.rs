//! Reads resources from bytes: YAML in the dialect of go-yaml v3, split into documents as in kustomize.
//!
//! Aliases and merge keys are expanded, lists of objects are unpacked, empty documents are skipped. The
//! annotations in which kustomize keeps its state become the state of the resource. Pure.

mod build;
mod documents;
mod made;
mod memory;
mod merge_keys;
mod parse;

use std::sync::Arc;

use holdfast_documents::budget::Copies;
use holdfast_documents::object::Origin;

use super::error::KustomizeError;
use super::node::Node;
use super::resource::Resource;
use super::value;

use build::Keys;
use documents::{Document, documents};
pub use memory::remember;
use parse::{Fail, parse};

/// Returns the resources of a file, in its order.
///
/// # Errors
///
/// The text is not YAML, or an object has no kind or name.
///
/// A key that is set twice is not an error yet: a patch may still remove it, and until then the first one counts.
pub fn resources(file: &str, bytes: &[u8]) -> Result<Vec<Resource>, KustomizeError> {
    resources_noting(file, bytes, &mut Vec::new())
}

/// As [`resources`]; also returns which parts of the file are not read.
///
/// # Errors
///
/// As [`resources`].
pub fn resources_noting(
    file: &str,
    bytes: &[u8],
    warnings: &mut Vec<String>,
) -> Result<Vec<Resource>, KustomizeError> {
    objects(file, bytes, warnings)
}

/// Warns about content after the first document of a file of kustomize itself, which may only have one.
pub fn beyond_first(file: &str, bytes: &[u8]) -> Option<String> {
    let place = place(file, second_document(file, bytes)?);
    Some(format!(
        "{place}: kustomize reads one document of this file, so that what follows here is lost: remove it"
    ))
}

/// Warns about a value of a patch that is lost because its key is set twice.
pub fn lost_value(file: &str, bytes: &[u8]) -> Option<String> {
    let KustomizeError { line, message, .. } = key_set_twice(file, bytes)?;
    nodes(file, bytes).ok()?;
    Some(format!("{}: one of two values is lost: {message}", place(file, line)))
}

fn place(file: &str, line: u32) -> String {
    if file.is_empty() {
        format!("patch in the kustomization, line {line}")
    } else {
        format!("{file}:{line}")
    }
}

/// Returns the line of the second document.
fn second_document(file: &str, bytes: &[u8]) -> Option<u32> {
    let text = documents::text(file, bytes).ok()?;
    let documents = documents(file, &text).ok()?;
    let is_empty = |text: &str| {
        let mut lines = text.lines().map(str::trim);
        lines.all(|line| line.is_empty() || line.starts_with('#') || line == "---")
    };
    let mut filled = documents.iter().filter(|document| !is_empty(document.text));
    filled.nth(1).map(|document| document.lines_before + 1)
}

/// Returns the error for the first key that is set twice in its mapping.
pub fn key_set_twice(file: &str, bytes: &[u8]) -> Option<KustomizeError> {
    parsed(file, bytes, Keys::Unique).err()
}

/// Returns the documents of a file that are not empty, each with its first line.
pub fn nodes(file: &str, bytes: &[u8]) -> Result<Vec<(Node, u32)>, KustomizeError> {
    parsed(file, bytes, Keys::Any).map(|found| found.nodes)
}

/// The documents of a file.
struct Documents {
    /// Those that are not null, each with its first line.
    nodes: Vec<(Node, u32)>,
    /// Number of documents, including empty ones.
    count: usize,
    /// The lines of parts that are not read.
    unread: Vec<u32>,
}

fn parsed(file: &str, bytes: &[u8], keys: Keys) -> Result<Documents, KustomizeError> {
    let text = documents::text(file, bytes)?;
    let documents = documents(file, &text)?;
    let count = documents.len();
    let copies = Copies::default();
    let (mut nodes, mut unread) = (Vec::new(), Vec::new());
    for Document { text, lines_before } in documents {
        let found = parse(text, lines_before, keys, &copies)
            .map_err(|Fail { line, message }| KustomizeError { file: file.to_owned(), line, message })?;
        let Some(parsed) = found else { continue };
        unread.extend(parsed.unread);
        if !parsed.node.is_null() {
            nodes.push((parsed.node, parsed.line));
        }
    }
    Ok(Documents { nodes, count, unread })
}

fn objects(file: &str, bytes: &[u8], warnings: &mut Vec<String>) -> Result<Vec<Resource>, KustomizeError> {
    let Documents { mut nodes, count: documents, unread } = parsed(file, bytes, Keys::Any)?;
    warnings.extend(unread.iter().map(|line| {
        format!(
            "{}: kustomize does not read what follows here, so that it is lost: put `---` on a line before it, or move it \
             to a file of its own",
            place(file, *line)
        )
    }));
    let file: Arc<str> = file.into();
    if let (1, Some((_, line))) = (documents, nodes.first()) {
        let origin = Origin { file: file.clone(), line: *line };
        let unwrapped = nodes.into_iter().map(|(node, _)| unwrapped(node, &origin));
        nodes = unwrapped
            .collect::<Result<Vec<_>, _>>()?
            .into_iter()
            .flatten()
            .map(|node| (node, origin.line))
            .collect();
    }
    let mut queue = Vec::with_capacity(nodes.len());
    for (node, line) in nodes.into_iter().filter(|(node, _)| !node.is_empty()) {
        queue.push(object(node, Origin { file: file.clone(), line })?);
    }
    let mut found = Vec::with_capacity(queue.len());
    // The items of a list come after everything else in the file.
    while !queue.is_empty() {
        let mut inner = Vec::new();
        for resource in queue {
            match items(resource)? {
                Items::None(resource) => found.push(remember(*resource)?),
                Items::Of(origin, items) => {
                    for item in items.into_iter().filter(|item| !item.is_empty()) {
                        inner.push(object(item, origin.clone())?);
                    }
                }
            }
        }
        queue = inner;
    }
    Ok(found)
}

/// Returns the items of a `List` that is alone in its file, or the document.
fn unwrapped(node: Node, origin: &Origin) -> Result<Vec<Node>, KustomizeError> {
    let is_list = matches!(kind(&node), "List" | "ResourceList");
    if !is_list || (node.get("items").is_none() && node.get("functionConfig").is_none()) {
        return Ok(vec![node]);
    }
    let items = if let Node::Map(mut map) = node { map.remove("items") } else { None };
    match items {
        Some(Node::Seq(items)) => Ok(items),
        Some(Node::Map(map)) if !map.is_empty() => Err(no_items(&map.into(), origin)),
        _ => Ok(Vec::new()),
    }
}

fn no_items(items: &Node, origin: &Origin) -> KustomizeError {
    let message = format!("items is {}: a list must have a list of items", items.describe());
    KustomizeError::at(origin, message)
}

fn kind(node: &Node) -> &str {
    node.get("kind").and_then(Node::text).map_or("", |kind| kind.as_str())
}

/// Returns a resource, if the node is an object with a kind and a name.
fn object(node: Node, origin: Origin) -> Result<Resource, KustomizeError> {
    let wrong = |message: String| Err(KustomizeError::at(&origin, message));
    if node.as_map().is_none() {
        let is = node.describe();
        return wrong(format!(
            "this is {is}, not a Kubernetes object: correct it, or drop the file from the list"
        ));
    }
    let metadata = node.get("metadata").filter(|metadata| !metadata.is_empty());
    let name = metadata.and_then(|metadata| metadata.get("name")).filter(|name| !name.is_null());
    let has_name = name.and_then(Node::text).is_some_and(|name| !name.is_empty());
    match kind(&node) {
        "" => wrong("this object has no kind: add one".to_owned()),
        kind if !has_name && !kind.ends_with("List") => {
            wrong(format!("this {kind} has no metadata.name: add one (generateName is not enough)"))
        }
        _ => Ok(Resource::new(node, origin)),
    }
}

enum Items {
    None(Box<Resource>),
    Of(Origin, Vec<Node>),
}

/// Returns the items of a list such as `ConfigMapList`, converted through JSON as in kustomize.
fn items(resource: Resource) -> Result<Items, KustomizeError> {
    let is_list = kind(resource.node()).ends_with("List");
    let Some(items) = resource.node().get("items").filter(|_| is_list) else {
        return Ok(Items::None(Box::new(resource)));
    };
    let origin = resource.origin.clone();
    match items {
        Node::Seq(items) => {
            let values = items.iter().map(|item| value::value(item).map(|value| value::written(&value)));
            let items = values.collect::<Result<_, _>>().map_err(|error| error.or_at(&origin))?;
            Ok(Items::Of(origin, items))
        }
        items if items.is_null() => Ok(Items::Of(origin, Vec::new())),
        other => Err(no_items(other, &origin)),
    }
}
