//! What differs from forge to forge: the requests, and how answers are read. Pure.

use http::{HeaderName, Method};
use serde_json::Value;

use super::action::Action;
use super::web::{Call, Refusal};
use super::{Target, Wanted};

/// A pull request, as the forge tells of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Found {
    pub number: i64,
    pub url: String,
    pub title: String,
    pub body: String,
    pub labels: Vec<String>,
    pub head: String,
    pub base: String,
    /// The branch is one of the repository, not of a fork.
    pub own: bool,
}

impl Found {
    /// True if it has a label, which some forges know in another case.
    pub fn has(&self, label: &str) -> bool {
        self.labels.iter().any(|known| known.eq_ignore_ascii_case(label))
    }
}

/// The language of a forge.
pub trait Dialect: Sync {
    /// What every request has.
    fn headers(&self, token: &str) -> Vec<(HeaderName, String)>;

    /// Lists open pull requests, at least those from one branch to the other.
    fn list(&self, target: &Target, head: &str, base: &str, page: usize) -> Call;

    /// True if the first page of the list has all that was asked for.
    fn whole(&self) -> bool;

    fn read(&self, item: &Value) -> Option<Found>;

    /// Reads one, open or not.
    fn get(&self, target: &Target, number: i64) -> Call;

    fn create(&self, target: &Target, wanted: &Wanted) -> Call;

    /// The refusal says that there is one already.
    fn is_taken(&self, refusal: &Refusal) -> bool;

    /// The refusal says that there is nothing to merge.
    fn is_empty(&self, refusal: &Refusal) -> bool;

    /// The refusal says that a branch is not there. Forges may say so for a moment after it was pushed.
    fn lacks_branch(&self, refusal: &Refusal) -> bool;

    fn update(&self, target: &Target, number: i64, title: &str, body: &str) -> Call;

    fn close(&self, target: &Target, number: i64) -> Call;

    fn comment(&self, target: &Target, number: i64, text: &str) -> Call;

    /// Adds labels: names, or ids where labels have them.
    fn label(&self, target: &Target, number: i64, labels: &[Value]) -> Call;

    fn labels_have_ids(&self) -> bool {
        false
    }

    /// The title that is wanted, with what people put before a title to mark a draft.
    fn title(&self, _found: &str, wanted: &str) -> String {
        wanted.to_owned()
    }
}

/// The wanted title behind the mark of a draft that the title has, if it has one of these.
pub fn drafted(found: &str, wanted: &str, marks: &[&str]) -> String {
    let mark = marks.iter().find_map(|mark| {
        let start = found.get(..mark.len())?;
        start.eq_ignore_ascii_case(mark).then_some(start)
    });
    mark.filter(|mark| !wanted.starts_with(mark))
        .map_or_else(|| wanted.to_owned(), |mark| format!("{mark} {wanted}"))
}

/// A request without query and body.
pub fn call(what: Action, method: Method, segments: &[&str]) -> Call {
    let segments = segments.iter().map(|segment| (*segment).to_owned()).collect();
    Call { method, segments, query: Vec::new(), body: None, what }
}

/// A text of an item; nothing counts as an empty one.
pub fn text(item: &Value, pointer: &str) -> String {
    item.pointer(pointer).and_then(Value::as_str).unwrap_or_default().to_owned()
}

/// The names of the items of a list.
pub fn names(item: &Value, pointer: &str) -> Vec<String> {
    let list = item.pointer(pointer).and_then(Value::as_array);
    list.map_or_else(Vec::new, |list| list.iter().map(|item| text(item, "/name")).collect())
}

/// Reads a pull request as GitHub and Gitea write it. `repository` is the path of the id of its repository, on either side.
pub fn found(item: &Value, repository: &str) -> Option<Found> {
    let id = |side: &str| item.pointer(&format!("/{side}/{repository}")).and_then(Value::as_i64);
    Some(Found {
        number: item["number"].as_i64()?,
        url: text(item, "/html_url"),
        title: text(item, "/title"),
        body: text(item, "/body"),
        labels: names(item, "/labels"),
        head: item.pointer("/head/ref")?.as_str()?.to_owned(),
        base: item.pointer("/base/ref")?.as_str()?.to_owned(),
        own: id("head") == id("base"),
    })
}
