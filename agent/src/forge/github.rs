//! GitHub and GitHub Enterprise: <https://docs.github.com/en/rest/pulls/pulls>. Pure.

use http::{HeaderName, Method, header};
use serde_json::{Value, json};

use super::action::Action;
use super::dialect::{Dialect, Found, call, found};
use super::web::{Call, Refusal};
use super::{Target, Wanted};

pub struct GitHub;

fn pulls(target: &Target, what: Action, method: Method, rest: &[&str]) -> Call {
    let (owner, repository) = target.names();
    call(what, method, &[&["repos", owner, repository], rest].concat())
}

impl Dialect for GitHub {
    fn headers(&self, token: &str) -> Vec<(HeaderName, String)> {
        vec![
            (header::ACCEPT, "application/vnd.github+json".to_owned()),
            (header::AUTHORIZATION, format!("Bearer {token}")),
            (HeaderName::from_static("x-github-api-version"), "2022-11-28".to_owned()),
        ]
    }

    fn list(&self, target: &Target, head: &str, base: &str, page: usize) -> Call {
        let (owner, _) = target.names();
        let query = vec![
            ("state", "open".to_owned()),
            ("head", format!("{owner}:{head}")),
            ("base", base.to_owned()),
            ("per_page", "100".to_owned()),
            ("page", page.to_string()),
        ];
        Call { query, ..pulls(target, Action::Read, Method::GET, &["pulls"]) }
    }

    fn whole(&self) -> bool {
        true
    }

    fn read(&self, item: &Value) -> Option<Found> {
        found(item, "repo/id")
    }

    fn get(&self, target: &Target, number: i64) -> Call {
        pulls(target, Action::Read, Method::GET, &["pulls", &number.to_string()])
    }

    fn create(&self, target: &Target, wanted: &Wanted) -> Call {
        let Wanted { head, base, title, body, labels: _ } = wanted;
        let body = json!({"head": head, "base": base, "title": title, "body": body});
        Call { body: Some(body), ..pulls(target, Action::Open, Method::POST, &["pulls"]) }
    }

    fn is_taken(&self, refusal: &Refusal) -> bool {
        refusal.status == 422 && refusal.said.contains("already exists")
    }

    fn is_empty(&self, refusal: &Refusal) -> bool {
        refusal.status == 422 && refusal.said.contains("No commits between")
    }

    fn lacks_branch(&self, refusal: &Refusal) -> bool {
        let field = ["head", "base"].iter().any(|side| refusal.said.contains(&format!("field {side}")));
        refusal.status == 422 && field
    }

    fn update(&self, target: &Target, number: i64, title: &str, body: &str) -> Call {
        let body = json!({"title": title, "body": body});
        Call {
            body: Some(body),
            ..pulls(target, Action::Edit, Method::PATCH, &["pulls", &number.to_string()])
        }
    }

    fn close(&self, target: &Target, number: i64) -> Call {
        let body = json!({"state": "closed"});
        Call {
            body: Some(body),
            ..pulls(target, Action::Close, Method::PATCH, &["pulls", &number.to_string()])
        }
    }

    fn comment(&self, target: &Target, number: i64, text: &str) -> Call {
        let rest = ["issues", &number.to_string(), "comments"];
        Call { body: Some(json!({"body": text})), ..pulls(target, Action::Comment, Method::POST, &rest) }
    }

    fn label(&self, target: &Target, number: i64, labels: &[Value]) -> Call {
        let rest = ["issues", &number.to_string(), "labels"];
        Call { body: Some(json!({"labels": labels})), ..pulls(target, Action::Label, Method::POST, &rest) }
    }
}
