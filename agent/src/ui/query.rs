//! The filter, the order and the window of the list of Syncs, as the address of the page has them. Pure.

use std::str::FromStr as _;

use kube::ResourceExt as _;
use serde::Serialize;
use url::form_urlencoded;

use super::needs::{STATES, State};
use crate::api::Sync;

/// Rows of one window.
pub const WINDOW: usize = 100;
/// Characters of a value that are read.
const LONGEST: usize = 500;

/// Which Syncs are shown, and how.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Query {
    pub namespace: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub state: Option<State>,
    /// `key=value` and `key`, separated by commas; all must hold.
    pub label: String,
    /// A part of the URL of the source.
    pub source: String,
    /// A part of the name, the path, the revision or a message.
    pub text: String,
    pub sort: Sort,
    /// Counted from 1.
    pub page: usize,
}

/// The order of the rows.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub enum Sort {
    /// The most urgent first.
    #[default]
    State,
    /// By namespace and name.
    Name,
    /// The newest change of Ready first.
    Changed,
}

impl Query {
    /// Reads the query of an address. What it does not know is ignored, so that an old link still opens a page.
    pub fn parse(query: &str) -> Self {
        let mut found = Self { page: 1, ..Self::default() };
        for (key, value) in form_urlencoded::parse(query.as_bytes()) {
            let value: String = value.trim().chars().take(LONGEST).collect();
            match &*key {
                "namespace" => found.namespace = value,
                "state" => found.state = STATES.into_iter().find(|state| state.word() == value),
                "label" => found.label = value,
                "source" => found.source = value,
                "q" => found.text = value,
                "sort" => {
                    found.sort = match &*value {
                        "name" => Sort::Name,
                        "changed" => Sort::Changed,
                        _ => Sort::State,
                    }
                }
                "page" => found.page = usize::from_str(&value).unwrap_or(1).clamp(1, 1_000_000),
                _ => {}
            }
        }
        found
    }

    /// The address of the home page with this query.
    pub fn address(&self) -> String {
        let mut query = form_urlencoded::Serializer::new(String::new());
        let Self { namespace, state, label, source, text, sort, page } = self;
        let state = state.map(State::word).unwrap_or_default();
        let sort = match sort {
            Sort::State => "",
            Sort::Name => "name",
            Sort::Changed => "changed",
        };
        let page = if *page > 1 { page.to_string() } else { String::new() };
        let pairs = [
            ("namespace", namespace.as_str()),
            ("state", state),
            ("label", label),
            ("source", source),
            ("q", text),
            ("sort", sort),
            ("page", &page),
        ];
        pairs.iter().filter(|(_, value)| !value.is_empty()).for_each(|(key, value)| {
            query.append_pair(key, value);
        });
        let query = query.finish();
        if query.is_empty() { "/".to_owned() } else { format!("/?{query}") }
    }

    /// True if anything is filtered.
    pub fn filters(&self) -> bool {
        let Self { namespace, state, label, source, text, .. } = self;
        state.is_some() || [namespace, label, source, text].iter().any(|value| !value.is_empty())
    }

    /// True if the Sync, which is in this state, is to be shown.
    pub fn holds(&self, sync: &Sync, state: State) -> bool {
        let within = |text: &str, part: &str| text.to_lowercase().contains(&part.to_lowercase());
        (self.namespace.is_empty() || sync.namespace().as_deref() == Some(self.namespace.as_str()))
            && self.state.is_none_or(|wanted| wanted == state)
            && self.source_holds(sync, within)
            && self.label_holds(sync)
            && (self.text.is_empty() || texts(sync).iter().any(|text| within(text, &self.text)))
    }

    fn source_holds(&self, sync: &Sync, within: impl Fn(&str, &str) -> bool) -> bool {
        self.source.is_empty() || within(&sync.spec.source.git.url, &self.source)
    }

    fn label_holds(&self, sync: &Sync) -> bool {
        let wanted = self.label.split(',').map(str::trim).filter(|label| !label.is_empty());
        let labels = sync.labels();
        wanted.into_iter().all(|wanted| match wanted.split_once('=') {
            Some((key, value)) => labels.get(key.trim()).is_some_and(|found| found == value.trim()),
            None => labels.contains_key(wanted),
        })
    }
}

/// What a text is looked for in.
fn texts(sync: &Sync) -> Vec<&str> {
    let status = sync.status.as_ref();
    let mut texts = vec![
        sync.metadata.name.as_deref().unwrap_or_default(),
        sync.metadata.namespace.as_deref().unwrap_or_default(),
        sync.spec.path.as_deref().unwrap_or_default(),
    ];
    if let Some(revision) = status.and_then(|status| status.revision.as_ref()) {
        texts.extend([&revision.seen, &revision.applied].into_iter().flatten().map(String::as_str));
        texts.extend(revision.commit.iter().flat_map(|commit| [commit.author.as_str(), &commit.subject]));
    }
    let conditions = status.map(|status| &status.conditions).into_iter().flatten();
    texts.extend(conditions.map(|condition| condition.message.as_str()));
    texts
}

#[cfg(test)]
mod tests {
    use super::super::tests::sync;
    use super::*;

    #[test]
    fn an_address_is_read_as_it_was_written() {
        let check = |query: &str, address: &str| assert_eq!(Query::parse(query).address(), address);
        check("", "/");
        check("page=1&sort=state&nonsense=1&state=Nope", "/");
        check(
            "namespace=team-a&state=Failing&q=a%26b&page=3",
            "/?namespace=team-a&state=Failing&q=a%26b&page=3",
        );
        check("sort=changed&label=a%3Db", "/?label=a%3Db&sort=changed");
        check("page=-1", "/");
        check("page=0", "/");
    }

    #[test]
    fn a_filter_needs_all_of_its_parts() {
        let mut sync = sync("team-a", "shop", &[("Ready", "True", "InSync")]);
        sync.labels_mut().insert("tier".to_owned(), "web".to_owned());
        let holds = |query: &str| Query::parse(query).holds(&sync, State::Ready);
        for query in [
            "",
            "namespace=team-a",
            "state=Ready",
            "label=tier%3Dweb,tier",
            "q=SHO",
            "source=example",
            "q=all+good",
        ] {
            assert!(holds(query), "{query}");
        }
        for query in [
            "namespace=team",
            "state=Failing",
            "label=tier%3Ddb",
            "label=x",
            "q=cart",
            "source=other",
            "q=shop&state=Waiting",
        ] {
            assert!(!holds(query), "{query}");
        }
    }
}
