//! Keeps one pull request open for a branch: opens it, keeps its texts as they should be, closes it when it is moot.
//!
//! What the forges call it differs by dialect; the order of the steps is the same for all. Never opens a second one, and
//! asks once and changes nothing where all is as it should be. Leaves the texts and the branch to others. I/O: HTTP.

mod dialect;
mod error;
mod gitea;
mod github;
mod gitlab;
mod target;
#[cfg(test)]
mod tests;
mod web;

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use holdfast_diff::digest::Digest;
use http::{StatusCode, header};
use parking_lot::{Mutex, MutexGuard};
use serde_json::Value;

use self::dialect::{Dialect, Found};
pub use self::error::PullRequestError;
pub use self::target::Target;
use self::web::{Answer, Call, Refusal, Web};
use crate::api::Forge;
use crate::http::Guard;

/// Pages of a list that are read.
const PAGES: usize = 40;
/// Entity tags that are remembered. Beyond that all are read anew.
const OPEN: usize = 1000;
/// How long a forge may take to know a branch that was pushed: it is asked again after each.
const PUSHED: [Duration; 3] =
    [Duration::from_millis(200), Duration::from_millis(600), Duration::from_secs(2)];

/// How a pull request should be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Wanted {
    /// The branch that is merged.
    pub head: String,
    /// The branch that it is merged into.
    pub base: String,
    pub title: String,
    /// Markdown.
    pub body: String,
    /// Labels that it has at least. Those that the forge does not know are made.
    pub labels: Vec<String>,
}

/// What became of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Done {
    Created,
    Updated,
    Unchanged,
}

/// A pull request that is open.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Opened {
    pub number: i64,
    /// Its page.
    pub url: String,
    pub done: Done,
    /// Why it lacks labels that it should have. They are tried again the next time.
    pub unlabelled: Option<PullRequestError>,
}

/// A pull request that was closed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Closed {
    pub number: i64,
    pub url: String,
    /// Why it does not say why it was closed.
    pub silent: Option<PullRequestError>,
}

/// The pull requests of all forges.
pub struct PullRequests {
    web: Web,
    /// One at a time for each branch: Gitea creates a second one if two requests arrive at the same time.
    turns: Mutex<HashMap<String, Arc<Turn>>>,
    /// The entity tags of pull requests that were open when they were read last, by login and number.
    open: Mutex<HashMap<String, String>>,
}

type Turn = tokio::sync::Mutex<()>;

/// What the creation of a pull request led to.
enum Creation {
    Created(Found),
    /// Another client created it first.
    Exists(PullRequestError),
    /// A branch is not there, or not yet.
    NoBranch(PullRequestError),
}

impl PullRequests {
    /// `guard` says which servers may be connected to.
    pub fn new(guard: Arc<Guard>) -> Self {
        Self { web: Web::new(guard), turns: Mutex::default(), open: Mutex::default() }
    }

    /// Opens a pull request, or makes the one that is open as it should be. GitHub alone refuses to open one for a branch
    /// without a commit of its own: the caller must check that there is one.
    pub async fn ensure(&self, target: &Target, wanted: &Wanted) -> Result<Opened, PullRequestError> {
        let turn = self.turn(target, &wanted.head, &wanted.base);
        let _turn = turn.lock().await;
        let desk = Desk { web: &self.web, target, dialect: dialect(target.provider) };
        if let Some(found) = desk.find(&wanted.head, &wanted.base).await? {
            return desk.correct(found, wanted).await;
        }
        match desk.create_soon(wanted).await? {
            Creation::Created(found) => {
                let unlabelled = desk.label(&found, wanted).await.err();
                let Found { number, url, .. } = found;
                Ok(Opened { number, url, done: Done::Created, unlabelled })
            }
            Creation::NoBranch(error) => Err(error),
            Creation::Exists(error) => match desk.find(&wanted.head, &wanted.base).await? {
                Some(found) => desk.correct(found, wanted).await,
                None => Err(error),
            },
        }
    }

    /// Closes the pull request and says why, if one is open.
    pub async fn close(
        &self,
        target: &Target,
        head: &str,
        base: &str,
        comment: &str,
    ) -> Result<Option<Closed>, PullRequestError> {
        let turn = self.turn(target, head, base);
        let _turn = turn.lock().await;
        let desk = Desk { web: &self.web, target, dialect: dialect(target.provider) };
        let Some(Found { number, url, .. }) = desk.find(head, base).await? else { return Ok(None) };
        desk.send(desk.dialect.close(target, number)).await?;
        let silent = desk.send(desk.dialect.comment(target, number, comment)).await.err();
        Ok(Some(Closed { number, url, silent }))
    }

    /// True if a pull request was closed and not merged. A forge that names versions of what it answers is asked whether there
    /// is another one, which GitHub does not count.
    pub async fn is_refused(&self, target: &Target, number: i64) -> Result<bool, PullRequestError> {
        let dialect = dialect(target.provider);
        let key = format!("{} {} {} {number}", login(target), target.api, target.repository);
        let known = self.open().get(&key).cloned();
        let mut headers = dialect.headers(&target.token);
        headers.extend(known.iter().map(|tag| (header::IF_NONE_MATCH, tag.clone())));
        let call = dialect.get(target, number);
        let what = call.what;
        let Answer { headers, body } = match self.web.send(target, &headers, &call).await? {
            Ok(answer) => answer,
            Err(refusal) if known.is_some() && refusal.status == StatusCode::NOT_MODIFIED => {
                return Ok(false);
            }
            Err(refusal) => return Err(refusal.into_error(target, what)),
        };
        let is_merged = body["merged"] == true || body["merged_at"].is_string();
        let is_closed = body["state"] == "closed" || is_merged;
        let tag = headers.get(header::ETAG).and_then(|tag| tag.to_str().ok()).filter(|_| !is_closed);
        let mut open = self.open();
        open.remove(&key);
        if open.len() >= OPEN {
            open.clear();
        }
        open.extend(tag.map(|tag| (key, tag.to_owned())));
        Ok(is_closed && !is_merged)
    }

    fn open(&self) -> MutexGuard<'_, HashMap<String, String>> {
        self.open.lock()
    }

    fn turn(&self, target: &Target, head: &str, base: &str) -> Arc<Turn> {
        // Requests with different logins do not wait for each other.
        let key = format!("{} {} {} {head} {base}", login(target), target.api, target.repository);
        let mut turns = self.turns.lock();
        // Locks without a holder are removed.
        turns.retain(|_, turn| Arc::strong_count(turn) > 1);
        turns.entry(key).or_default().clone()
    }
}

/// Names a login without showing it.
fn login(target: &Target) -> Digest {
    Digest::of_bytes(target.token.as_bytes())
}

fn dialect(provider: Forge) -> &'static dyn Dialect {
    match provider {
        Forge::GitHub => &github::GitHub,
        Forge::GitLab => &gitlab::GitLab,
        Forge::Gitea => &gitea::Gitea,
    }
}

/// One forge, to be asked.
struct Desk<'a> {
    web: &'a Web,
    target: &'a Target,
    dialect: &'static dyn Dialect,
}

impl Desk<'_> {
    /// The open pull request from one branch to the other.
    async fn find(&self, head: &str, base: &str) -> Result<Option<Found>, PullRequestError> {
        let mut seen = 0;
        for page in 1..=PAGES {
            let Answer { headers, body } =
                self.send(self.dialect.list(self.target, head, base, page)).await?;
            let items = body.as_array().ok_or_else(|| self.odd("its list of pull requests is none"))?;
            for item in items {
                let found = self.read(item)?;
                if found.head == head && found.base == base && found.own {
                    return Ok(Some(found));
                }
            }
            seen += items.len();
            let total = headers.get("x-total-count").and_then(|total| total.to_str().ok()?.parse().ok());
            if items.is_empty() || self.dialect.whole() || total.is_some_and(|total: usize| seen >= total) {
                break;
            }
        }
        Ok(None)
    }

    /// Creates it, and asks again for a branch that was just pushed.
    async fn create_soon(&self, wanted: &Wanted) -> Result<Creation, PullRequestError> {
        for wait in PUSHED {
            match self.create(wanted).await? {
                Creation::NoBranch(_) => tokio::time::sleep(wait).await,
                other => return Ok(other),
            }
        }
        self.create(wanted).await
    }

    async fn create(&self, wanted: &Wanted) -> Result<Creation, PullRequestError> {
        let call = self.dialect.create(self.target, wanted);
        let what = call.what;
        match self.ask(call).await? {
            Ok(answer) => Ok(Creation::Created(self.read(&answer.body)?)),
            Err(refusal) if self.dialect.is_taken(&refusal) => {
                Ok(Creation::Exists(refusal.into_error(self.target, what)))
            }
            Err(refusal) if self.dialect.lacks_branch(&refusal) => {
                let (head, base) = (wanted.head.clone(), wanted.base.clone());
                let host = self.target.host();
                Ok(Creation::NoBranch(PullRequestError::NoBranch { host, head, base }))
            }
            Err(refusal) if self.dialect.is_empty(&refusal) => {
                let (head, base) = (wanted.head.clone(), wanted.base.clone());
                Err(PullRequestError::NothingToMerge { head, base })
            }
            Err(refusal) => Err(refusal.into_error(self.target, what)),
        }
    }

    /// Makes what is open as it should be.
    async fn correct(&self, found: Found, wanted: &Wanted) -> Result<Opened, PullRequestError> {
        let title = self.dialect.title(&found.title, &wanted.title);
        let same = found.title == title && plain(&found.body) == plain(&wanted.body);
        if !same {
            self.send(self.dialect.update(self.target, found.number, &title, &wanted.body)).await?;
        }
        let lacks = wanted.labels.iter().any(|label| !found.has(label));
        let unlabelled = self.label(&found, wanted).await.err();
        let done = if same && (!lacks || unlabelled.is_some()) { Done::Unchanged } else { Done::Updated };
        let Found { number, url, .. } = found;
        Ok(Opened { number, url, done, unlabelled })
    }

    /// Adds the labels that are missing.
    async fn label(&self, found: &Found, wanted: &Wanted) -> Result<(), PullRequestError> {
        let missing = wanted.labels.iter().filter(|label| !found.has(label));
        let missing: Vec<&str> = missing.map(String::as_str).collect();
        if missing.is_empty() {
            return Ok(());
        }
        let values = if self.dialect.labels_have_ids() {
            self.ids(&missing).await?
        } else {
            missing.into_iter().map(Value::from).collect()
        };
        self.send(self.dialect.label(self.target, found.number, &values)).await.map(drop)
    }

    /// The ids of labels. Those that are not there are made.
    async fn ids(&self, names: &[&str]) -> Result<Vec<Value>, PullRequestError> {
        let mut known: Vec<(String, Value)> = Vec::new();
        for list in 0..gitea::LABELS {
            for page in 1..=PAGES {
                let items = match self.ask(gitea::labels(self.target, list, page)).await? {
                    Ok(answer) => answer.body.as_array().cloned().unwrap_or_default(),
                    // A user namespace has no group labels.
                    Err(_) if list > 0 => Vec::new(),
                    Err(refusal) => return Err(refusal.into_error(self.target, "read the labels")),
                };
                known.extend(items.iter().filter_map(gitea::label));
                if items.is_empty() || names.iter().all(|name| known.iter().any(|(known, _)| known == name)) {
                    break;
                }
            }
        }
        let mut ids = Vec::new();
        for name in names {
            let id = if let Some((_, id)) = known.iter().find(|(known, _)| known == name) {
                id.clone()
            } else {
                let made = self.send(gitea::make_label(self.target, name)).await?;
                gitea::label(&made.body).ok_or_else(|| self.odd("its label has no id"))?.1
            };
            ids.push(id);
        }
        Ok(ids)
    }

    fn read(&self, item: &Value) -> Result<Found, PullRequestError> {
        self.dialect.read(item).ok_or_else(|| self.odd("its pull request has no number or no branches"))
    }

    fn odd(&self, said: &'static str) -> PullRequestError {
        let provider = self.target.provider;
        PullRequestError::NotTheApi { host: self.target.host(), provider, said }
    }

    async fn ask(&self, call: Call) -> Result<Result<Answer, Refusal>, PullRequestError> {
        let headers = self.dialect.headers(&self.target.token);
        self.web.send(self.target, &headers, &call).await
    }

    async fn send(&self, call: Call) -> Result<Answer, PullRequestError> {
        let what = call.what;
        self.ask(call).await?.map_err(|refusal| refusal.into_error(self.target, what))
    }
}

/// A text as it is compared: forges change line ends, and what is at the end.
fn plain(text: &str) -> String {
    text.replace("\r\n", "\n").trim_end().to_owned()
}
