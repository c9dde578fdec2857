//! Keeps one pull request open for a branch: opens it, keeps its texts as they should be, closes it when it is no longer needed.
//!
//! Never opens a second one, and sends one request and changes nothing where all is as it should be. Leaves the texts and the
//! branch to others. I/O: HTTP.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use http::{Method, StatusCode, header};
use jiff::Timestamp;
use parking_lot::{Mutex, MutexGuard};
use serde_json::Value;

use super::dialect::{Dialect, Found};
use super::{Action, Answer, Call, ForgeError, Login, PAGES, Refusal, Session, Target, dialect, gitea};
use crate::api::Forge;
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
    pub unlabelled: Option<ForgeError>,
}

/// A pull request that was closed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Closed {
    pub number: i64,
    pub url: String,
    /// Why it does not say why it was closed.
    pub silent: Option<ForgeError>,
}

/// The pull requests of all forges.
pub struct PullRequests {
    session: Arc<Session>,
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
    Exists(ForgeError),
    /// A branch is not there, or not yet.
    NoBranch(ForgeError),
}

impl PullRequests {
    /// Sends its requests through this session.
    pub fn new(session: Arc<Session>) -> Self {
        Self { session, turns: Mutex::default(), open: Mutex::default() }
    }

    /// A repository at a forge, with a login. See [`Session::target`].
    pub async fn target(
        &self,
        forge: Forge,
        git: &str,
        api: Option<&str>,
        login: &Login,
        now: Timestamp,
    ) -> Result<Target, ForgeError> {
        self.session.target(forge, git, api, login, now).await
    }

    /// Opens a pull request, or makes the one that is open as it should be. GitHub alone refuses to open one for a branch
    /// without a commit of its own: the caller must check that there is one.
    pub async fn ensure(&self, target: &Target, wanted: &Wanted) -> Result<Opened, ForgeError> {
        let turn = self.turn(target, &wanted.head, &wanted.base);
        let _turn = turn.lock().await;
        let desk = Desk { session: &self.session, target, dialect: dialect(target.provider) };
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
    ) -> Result<Option<Closed>, ForgeError> {
        let turn = self.turn(target, head, base);
        let _turn = turn.lock().await;
        let desk = Desk { session: &self.session, target, dialect: dialect(target.provider) };
        let Some(Found { number, url, .. }) = desk.find(head, base).await? else { return Ok(None) };
        desk.send(desk.dialect.close(target, number)).await?;
        let silent = desk.send(desk.dialect.comment(target, number, comment)).await.err();
        Ok(Some(Closed { number, url, silent }))
    }

    /// True if a pull request was closed and not merged. A forge that names versions of what it answers is asked whether there
    /// is another one, which GitHub does not count.
    pub async fn is_refused(&self, target: &Target, number: i64) -> Result<bool, ForgeError> {
        let dialect = dialect(target.provider);
        let key = format!("{} {number}", target.key());
        let known = self.open().get(&key).cloned();
        let call = dialect.get(target, number);
        let what = call.what;
        let Answer { headers, body } = match self.session.read(target, &call, known.as_deref()).await? {
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
        let key = format!("{} {head} {base}", target.key());
        let mut turns = self.turns.lock();
        // Locks without a holder are removed.
        turns.retain(|_, turn| Arc::strong_count(turn) > 1);
        turns.entry(key).or_default().clone()
    }
}

/// One forge, to be asked.
struct Desk<'a> {
    session: &'a Session,
    target: &'a Target,
    dialect: &'static dyn Dialect,
}

impl Desk<'_> {
    /// The open pull request from one branch to the other.
    async fn find(&self, head: &str, base: &str) -> Result<Option<Found>, ForgeError> {
        let mut seen = 0;
        for page in 1..=PAGES {
            let Answer { headers, body } =
                self.send(self.dialect.list(self.target, head, base, page)).await?;
            let items = body.as_array().ok_or_else(|| self.odd("its list of pull requests is not a list"))?;
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
    async fn create_soon(&self, wanted: &Wanted) -> Result<Creation, ForgeError> {
        for wait in PUSHED {
            match self.create(wanted).await? {
                Creation::NoBranch(_) => tokio::time::sleep(wait).await,
                other => return Ok(other),
            }
        }
        self.create(wanted).await
    }

    async fn create(&self, wanted: &Wanted) -> Result<Creation, ForgeError> {
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
                Ok(Creation::NoBranch(ForgeError::NoBranch { host, head, base }))
            }
            Err(refusal) if self.dialect.is_empty(&refusal) => {
                let (head, base) = (wanted.head.clone(), wanted.base.clone());
                Err(ForgeError::NothingToMerge { head, base })
            }
            Err(refusal) => Err(refusal.into_error(self.target, what)),
        }
    }

    /// Makes what is open as it should be.
    async fn correct(&self, found: Found, wanted: &Wanted) -> Result<Opened, ForgeError> {
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
    async fn label(&self, found: &Found, wanted: &Wanted) -> Result<(), ForgeError> {
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
    async fn ids(&self, names: &[&str]) -> Result<Vec<Value>, ForgeError> {
        let mut known: Vec<(String, Value)> = Vec::new();
        for list in 0..gitea::LABELS {
            for page in 1..=PAGES {
                let items = match self.ask(gitea::labels(self.target, list, page)).await? {
                    Ok(answer) => answer.body.as_array().cloned().unwrap_or_default(),
                    // A user namespace has no group labels.
                    Err(_) if list > 0 => Vec::new(),
                    Err(refusal) => return Err(refusal.into_error(self.target, Action::Label)),
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

    fn read(&self, item: &Value) -> Result<Found, ForgeError> {
        self.dialect.read(item).ok_or_else(|| self.odd("its pull request has no number or no branches"))
    }

    fn odd(&self, said: &'static str) -> ForgeError {
        let provider = self.target.provider;
        ForgeError::NotTheApi { host: self.target.host(), provider, said }
    }

    async fn ask(&self, call: Call) -> Result<Result<Answer, Refusal>, ForgeError> {
        if call.method == Method::GET {
            self.session.read(self.target, &call, None).await
        } else {
            self.session.write(self.target, &call).await
        }
    }

    async fn send(&self, call: Call) -> Result<Answer, ForgeError> {
        let what = call.what;
        self.ask(call).await?.map_err(|refusal| refusal.into_error(self.target, what))
    }
}

/// A text as it is compared: forges change line ends, and what is at the end.
fn plain(text: &str) -> String {
    text.replace("\r\n", "\n").trim_end().to_owned()
}
