//! GitLab, which calls it a merge request: <https://docs.gitlab.com/api/merge_requests/>. Pure.

use http::{HeaderName, Method, header};
use serde_json::{Value, json};

use super::action::Action;
use super::dialect::{Dialect, Found, call, drafted, text};
use super::web::{Call, Refusal};
use super::{Target, Wanted};

pub struct GitLab;

fn requests(target: &Target, what: Action, method: Method, rest: &[&str]) -> Call {
    call(what, method, &[&["projects", target.repository.as_str(), "merge_requests"], rest].concat())
}

impl Dialect for GitLab {
    /// As a bearer, which GitLab takes for personal, group and project tokens as for those of OAuth.
    fn headers(&self, token: &str) -> Vec<(HeaderName, String)> {
        vec![
            (header::ACCEPT, "application/json".to_owned()),
            (header::AUTHORIZATION, format!("Bearer {token}")),
        ]
    }

    fn list(&self, target: &Target, head: &str, base: &str, page: usize) -> Call {
        let query = vec![
            ("state", "opened".to_owned()),
            ("source_branch", head.to_owned()),
            ("target_branch", base.to_owned()),
            ("per_page", "100".to_owned()),
            ("page", page.to_string()),
        ];
        Call { query, ..requests(target, Action::Read, Method::GET, &[]) }
    }

    fn whole(&self) -> bool {
        true
    }

    fn read(&self, item: &Value) -> Option<Found> {
        let labels = item["labels"].as_array().map(Vec::as_slice).unwrap_or_default();
        Some(Found {
            number: item["iid"].as_i64()?,
            url: text(item, "/web_url"),
            title: text(item, "/title"),
            body: text(item, "/description"),
            labels: labels.iter().filter_map(|label| Some(label.as_str()?.to_owned())).collect(),
            head: item["source_branch"].as_str()?.to_owned(),
            base: item["target_branch"].as_str()?.to_owned(),
            own: item["source_project_id"] == item["target_project_id"],
        })
    }

    /// With the labels, which are one text here.
    fn get(&self, target: &Target, number: i64) -> Call {
        requests(target, Action::Read, Method::GET, &[&number.to_string()])
    }

    fn create(&self, target: &Target, wanted: &Wanted) -> Call {
        let Wanted { head, base, title, body, labels } = wanted;
        let mut body =
            json!({"source_branch": head, "target_branch": base, "title": title, "description": body});
        if !labels.is_empty() {
            body["labels"] = labels.join(",").into();
        }
        Call { body: Some(body), ..requests(target, Action::Open, Method::POST, &[]) }
    }

    fn is_taken(&self, refusal: &Refusal) -> bool {
        refusal.status == 409
    }

    /// GitLab opens it all the same.
    fn is_empty(&self, _: &Refusal) -> bool {
        false
    }

    fn lacks_branch(&self, refusal: &Refusal) -> bool {
        refusal.status == 400 && refusal.said.contains("does not exist")
    }

    fn update(&self, target: &Target, number: i64, title: &str, body: &str) -> Call {
        let body = json!({"title": title, "description": body});
        Call { body: Some(body), ..requests(target, Action::Edit, Method::PUT, &[&number.to_string()]) }
    }

    fn close(&self, target: &Target, number: i64) -> Call {
        let body = json!({"state_event": "close"});
        Call { body: Some(body), ..requests(target, Action::Close, Method::PUT, &[&number.to_string()]) }
    }

    fn comment(&self, target: &Target, number: i64, text: &str) -> Call {
        let rest = [&number.to_string(), "notes"];
        Call { body: Some(json!({"body": text})), ..requests(target, Action::Comment, Method::POST, &rest) }
    }

    fn label(&self, target: &Target, number: i64, labels: &[Value]) -> Call {
        let labels: Vec<&str> = labels.iter().filter_map(Value::as_str).collect();
        let body = json!({"add_labels": labels.join(",")});
        Call { body: Some(body), ..requests(target, Action::Label, Method::PUT, &[&number.to_string()]) }
    }

    fn title(&self, found: &str, wanted: &str) -> String {
        drafted(found, wanted, &["Draft:", "[Draft]", "(Draft)"])
    }
}
