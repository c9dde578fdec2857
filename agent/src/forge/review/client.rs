//! Reads pull requests and comments of others, and writes comments and reactions. I/O: through the session.

use std::collections::HashMap;
use std::sync::Arc;

use http::{Method, StatusCode};
use parking_lot::Mutex;
use serde_json::Value;

use super::super::web::{Answer, Call};
use super::super::{ForgeError, PAGES, Rate, Session, Target};
use super::page::{Remembered, is_last};
use super::{Comment, Fate, Origin, PullRequest, Reaction, User, optional, reviews, user};

/// Users of logins that are remembered.
const USERS: usize = 1000;

/// The pull requests of others, at all forges.
pub struct Client {
    pub(super) session: Arc<Session>,
    pub(super) lists: Mutex<HashMap<String, Remembered>>,
    /// The users of logins, by the login and its forge.
    users: Mutex<HashMap<String, User>>,
}

impl Client {
    /// Sends its requests through this session.
    pub fn new(session: Arc<Session>) -> Self {
        Self { session, lists: Mutex::default(), users: Mutex::default() }
    }

    /// A pull request in any state. `None` if there is none of this number.
    pub async fn pull_request(
        &self,
        target: &Target,
        number: i64,
    ) -> Result<Option<(PullRequest, Fate)>, ForgeError> {
        let forge = reviews(target.provider);
        let call = forge.get(target, number);
        let item = match self.session.read(target, &call, None).await? {
            Ok(answer) => answer.body,
            Err(refusal) if refusal.status == StatusCode::NOT_FOUND => return Ok(None),
            Err(refusal) => return Err(refusal.into_error(target, call.what)),
        };
        let found = forge.pull_request(&item);
        let found = found.ok_or_else(|| odd(target, "its pull request has no number or no commit"))?;
        Ok(Some((found, forge.fate(&item))))
    }

    /// All comments in a pull request, the oldest first.
    pub async fn comments(&self, target: &Target, number: i64) -> Result<Vec<Comment>, ForgeError> {
        let forge = reviews(target.provider);
        let pages = self.pages(target, |page| forge.comments(target, number, page)).await?;
        Ok(pages.iter().filter_map(|item| forge.comment(item)).collect())
    }

    /// Writes a comment; its id.
    pub async fn add_comment(&self, target: &Target, number: i64, text: &str) -> Result<i64, ForgeError> {
        let forge = reviews(target.provider);
        let answer = self.send(target, &forge.add_comment(target, number, text)).await?;
        if let Some(comment) = forge.comment(&answer.body).filter(|comment| comment.author.id != 0) {
            self.note_user(target, comment.author);
        }
        answer.body["id"].as_i64().ok_or_else(|| odd(target, "its comment has no id"))
    }

    /// Changes a comment of our own. False if it is no longer there.
    pub async fn edit_comment(
        &self,
        target: &Target,
        number: i64,
        id: i64,
        text: &str,
    ) -> Result<bool, ForgeError> {
        let call = reviews(target.provider).edit_comment(target, number, id, text);
        match self.send(target, &call).await {
            Ok(_) => Ok(true),
            Err(ForgeError::NotFound { .. }) => Ok(false),
            Err(error) => Err(error),
        }
    }

    /// Reacts to a comment. Reacting again in the same way changes nothing, and a comment that is gone needs no reaction.
    pub async fn react(
        &self,
        target: &Target,
        number: i64,
        comment: i64,
        reaction: Reaction,
    ) -> Result<(), ForgeError> {
        let call = reviews(target.provider).react(target, number, comment, reaction);
        match self.session.write(target, &call).await? {
            Ok(_) => Ok(()),
            // GitLab: "Award Emoji Name has already been taken".
            Err(refusal) if refusal.status == StatusCode::NOT_FOUND || refusal.said.contains("already") => {
                Ok(())
            }
            Err(refusal) => Err(refusal.into_error(target, call.what)),
        }
    }

    /// The user of the login, whose comments are ours. `None` if the login may not know it and has not written yet.
    pub async fn user(&self, target: &Target) -> Result<Option<User>, ForgeError> {
        let key = format!("{} {}", target.login, target.api);
        if let Some(user) = self.users.lock().get(&key).cloned() {
            return Ok(Some(user));
        }
        let call = reviews(target.provider).user(target);
        let body = match self.session.read(target, &call, None).await? {
            Ok(answer) => answer.body,
            Err(refusal) if refusal.status == StatusCode::FORBIDDEN => return Ok(None),
            Err(refusal) => return Err(refusal.into_error(target, call.what)),
        };
        let found = user(&body);
        if found.id == 0 {
            return Err(odd(target, "its user has no id"));
        }
        self.note_user(target, found.clone());
        Ok(Some(found))
    }

    /// The commit at which two commits parted, if the forge knows it.
    pub async fn ancestor(
        &self,
        target: &Target,
        base: &str,
        head: &str,
    ) -> Result<Option<String>, ForgeError> {
        let (call, place) = reviews(target.provider).ancestor(target, base, head);
        match self.session.read(target, &call, None).await? {
            Ok(answer) => Ok(optional(&answer.body, place)),
            Err(refusal) if refusal.status == StatusCode::NOT_FOUND => Ok(None),
            Err(refusal) => Err(refusal.into_error(target, call.what)),
        }
    }

    /// The pull request by which a commit came to its branch, if there is one.
    pub async fn origin(&self, target: &Target, commit: &str) -> Result<Option<Origin>, ForgeError> {
        let forge = reviews(target.provider);
        let call = forge.origin(target, commit);
        let body = match self.session.read(target, &call, None).await? {
            Ok(answer) => answer.body,
            Err(refusal) if matches!(refusal.status.as_u16(), 404 | 422) => return Ok(None),
            Err(refusal) => return Err(refusal.into_error(target, call.what)),
        };
        // GitHub and GitLab have a list, Gitea has one.
        let all = if let Value::Array(items) = body { items } else { vec![body] };
        let merged = all.iter().find(|item| matches!(forge.fate(item), Fate::Merged { .. }));
        let found = merged.and_then(|item| forge.pull_request(item));
        Ok(found.map(|PullRequest { number, url, title, author, .. }| Origin { number, url, title, author }))
    }

    /// What is left of the limit of a login, as the forge said last.
    pub fn rate(&self, target: &Target) -> Option<Rate> {
        self.session.rate(target)
    }

    /// All items of a list.
    pub(super) async fn pages(
        &self,
        target: &Target,
        call: impl Fn(usize) -> Call,
    ) -> Result<Vec<Value>, ForgeError> {
        let mut found: Vec<Value> = Vec::new();
        for page in 1..=PAGES {
            let Answer { headers, body } = self.send(target, &call(page)).await?;
            let new = items(target, body)?;
            // A list without pages answers the same to every page.
            let again = page > 1
                && new.first().is_some_and(|first| found.iter().any(|known| known["id"] == first["id"]));
            if new.is_empty() || again {
                break;
            }
            found.extend(new);
            if is_last(&headers, found.len()) {
                break;
            }
        }
        Ok(found)
    }

    /// Sends what is not expected to be refused.
    pub(super) async fn send(&self, target: &Target, call: &Call) -> Result<Answer, ForgeError> {
        let sent = if call.method == Method::GET {
            self.session.read(target, call, None).await?
        } else {
            self.session.write(target, call).await?
        };
        sent.map_err(|refusal| refusal.into_error(target, call.what))
    }

    fn note_user(&self, target: &Target, user: User) {
        let mut users = self.users.lock();
        if users.len() >= USERS {
            users.clear();
        }
        users.insert(format!("{} {}", target.login, target.api), user);
    }
}

pub(super) fn items(target: &Target, body: Value) -> Result<Vec<Value>, ForgeError> {
    match body {
        Value::Array(items) => Ok(items),
        _ => Err(odd(target, "its list is not a list")),
    }
}

pub(super) fn odd(target: &Target, said: &'static str) -> ForgeError {
    ForgeError::NotTheApi { host: target.host(), provider: target.provider, said }
}
