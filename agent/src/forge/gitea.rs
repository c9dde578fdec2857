//! Gitea, and Forgejo, which has the same API: <https://docs.gitea.com/api/>. Pure.

use http::{HeaderName, Method, header};
use serde_json::{Value, json};

use super::action::Action;
use super::dialect::{Dialect, Found, call, drafted, found};
use super::web::{Call, Refusal};
use super::{Target, Wanted};

/// Lists of labels: those of the repository, and those of the organization.
pub const LABELS: usize = 2;
/// Items of a page, which is what a server gives at most where it was not set otherwise.
const LIMIT: &str = "50";
/// What GitHub gives to labels that are made in passing.
const COLOUR: &str = "#ededed";

pub struct Gitea;

fn repository(target: &Target, what: Action, method: Method, rest: &[&str]) -> Call {
    let (owner, repository) = target.names();
    call(what, method, &[&["repos", owner, repository], rest].concat())
}

/// A page of one of the lists of labels.
pub fn labels(target: &Target, list: usize, page: usize) -> Call {
    let query = vec![("page", page.to_string()), ("limit", LIMIT.to_owned())];
    let call = if list == 0 {
        repository(target, Action::Label, Method::GET, &["labels"])
    } else {
        call(Action::Label, Method::GET, &["orgs", target.names().0, "labels"])
    };
    Call { query, ..call }
}

/// Name and id of a label.
pub fn label(item: &Value) -> Option<(String, Value)> {
    let id = item["id"].as_i64()?;
    Some((item["name"].as_str()?.to_owned(), id.into()))
}

pub fn make_label(target: &Target, name: &str) -> Call {
    let body = json!({"name": name, "color": COLOUR});
    Call { body: Some(body), ..repository(target, Action::Label, Method::POST, &["labels"]) }
}

impl Dialect for Gitea {
    fn headers(&self, token: &str) -> Vec<(HeaderName, String)> {
        vec![
            (header::ACCEPT, "application/json".to_owned()),
            (header::AUTHORIZATION, format!("token {token}")),
        ]
    }

    /// The list cannot be asked for a head, and not by every version for a base.
    fn list(&self, target: &Target, _: &str, base: &str, page: usize) -> Call {
        let query = vec![
            ("state", "open".to_owned()),
            ("base_branch", base.to_owned()),
            ("sort", "recentupdate".to_owned()),
            ("page", page.to_string()),
            ("limit", LIMIT.to_owned()),
        ];
        Call { query, ..repository(target, Action::Read, Method::GET, &["pulls"]) }
    }

    fn whole(&self) -> bool {
        false
    }

    fn read(&self, item: &Value) -> Option<Found> {
        found(item, "repo_id")
    }

    fn get(&self, target: &Target, number: i64) -> Call {
        repository(target, Action::Read, Method::GET, &["pulls", &number.to_string()])
    }

    fn create(&self, target: &Target, wanted: &Wanted) -> Call {
        let Wanted { head, base, title, body, labels: _ } = wanted;
        let body = json!({"head": head, "base": base, "title": title, "body": body});
        Call { body: Some(body), ..repository(target, Action::Open, Method::POST, &["pulls"]) }
    }

    fn is_taken(&self, refusal: &Refusal) -> bool {
        refusal.status == 409
    }

    /// Gitea opens it all the same.
    fn is_empty(&self, _: &Refusal) -> bool {
        false
    }

    /// The list was shown before, so the repository is there.
    fn lacks_branch(&self, refusal: &Refusal) -> bool {
        refusal.status == 404
    }

    fn update(&self, target: &Target, number: i64, title: &str, body: &str) -> Call {
        let body = json!({"title": title, "body": body});
        Call {
            body: Some(body),
            ..repository(target, Action::Edit, Method::PATCH, &["pulls", &number.to_string()])
        }
    }

    fn close(&self, target: &Target, number: i64) -> Call {
        let body = json!({"state": "closed"});
        Call {
            body: Some(body),
            ..repository(target, Action::Close, Method::PATCH, &["pulls", &number.to_string()])
        }
    }

    fn comment(&self, target: &Target, number: i64, text: &str) -> Call {
        let rest = ["issues", &number.to_string(), "comments"];
        Call { body: Some(json!({"body": text})), ..repository(target, Action::Comment, Method::POST, &rest) }
    }

    fn label(&self, target: &Target, number: i64, labels: &[Value]) -> Call {
        let rest = ["issues", &number.to_string(), "labels"];
        Call {
            body: Some(json!({"labels": labels})),
            ..repository(target, Action::Label, Method::POST, &rest)
        }
    }

    fn labels_have_ids(&self) -> bool {
        true
    }

    fn title(&self, found: &str, wanted: &str) -> String {
        drafted(found, wanted, &["WIP:", "[WIP]"])
    }
}
