//! The list of open pull requests: one request while nothing changes, however many there are.
//!
//! A list of one page is asked for with its entity tag, which GitHub does not count if it is unchanged. Of a longer one, the
//! first page does not show that a pull request on another page was closed; the last changed pull requests, open or not,
//! show it. I/O: through the session.

use holdfast_diff::digest::Digest;
use http::{HeaderMap, StatusCode, header};
use serde_json::Value;

use super::super::web::{Answer, Call};
use super::super::{ForgeError, PAGES, Target};
use super::client::{Client, items, odd};
use super::page::{Remembered, is_last, text};
use super::{PullRequest, reviews};

/// Lists that are remembered. Beyond that they are read anew.
const REMEMBERED: usize = 1000;

/// What a list says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Listing {
    /// The same as the last time.
    Unchanged,
    /// All open pull requests, the last changed first; true if there are more than are read.
    Changed(Vec<PullRequest>, bool),
}

/// What a page says.
struct Page {
    items: Vec<Value>,
    headers: HeaderMap,
}

impl Client {
    /// The open pull requests, if they changed since they were read last. `anew`: whether they did or not.
    pub async fn open(&self, target: &Target, anew: bool) -> Result<Listing, ForgeError> {
        let key = target.key();
        let known = self.lists.lock().get(&key).cloned().filter(|_| !anew);
        let forge = reviews(target.provider);
        let long = known.as_ref().is_some_and(|known| known.long);
        let watch = if long { forge.latest(target) } else { forge.open(target, 1) };
        let tag = known.as_ref().and_then(|known| known.tag.as_deref());
        let Some(page) = self.page(target, &watch, tag).await? else { return Ok(Listing::Unchanged) };
        let watched = digest(&pull_requests(target, &page.items)?);
        if known.as_ref().is_some_and(|known| known.watched == watched) {
            return Ok(Listing::Unchanged);
        }
        let first = if long { self.page(target, &forge.open(target, 1), None).await? } else { Some(page) };
        let Page { items, headers } =
            first.ok_or_else(|| odd(target, "it answers 304 to a first request"))?;
        let moved = items.first().and_then(|item| moved(target, item));
        let mut found = pull_requests(target, &items)?;
        let tag = text(&headers, header::ETAG.as_str());
        let (now_long, is_cut) = self.rest(target, items.len(), &headers, &mut found).await?;
        let all = digest(&found);
        // What was watched so far may not be what is watched from now on.
        let (tag, watched) = match (long, now_long) {
            (true, true) => (None, watched),
            (false, false) => (tag, watched),
            (true, false) => (tag, all),
            (false, true) => {
                let page = self.page(target, &forge.latest(target), None).await?;
                (None, digest(&pull_requests(target, &page.map(|page| page.items).unwrap_or_default())?))
            }
        };
        let same = known.is_some_and(|known| known.all == all);
        self.remember(key, Remembered { long: now_long, tag, watched, all, moved });
        Ok(if same { Listing::Unchanged } else { Listing::Changed(found, is_cut) })
    }

    /// Where the repository is now, if the forge redirects to there.
    pub fn moved(&self, target: &Target) -> Option<String> {
        self.lists.lock().get(&target.key())?.moved.clone()
    }

    /// Reads the other pages. Whether there are such, and whether some are left out.
    async fn rest(
        &self,
        target: &Target,
        first: usize,
        headers: &HeaderMap,
        found: &mut Vec<PullRequest>,
    ) -> Result<(bool, bool), ForgeError> {
        let (mut seen, mut headers) = (first, headers.clone());
        for page in 2..=PAGES {
            if is_last(&headers, seen) {
                return Ok((page > 2, false));
            }
            let next = self.page(target, &reviews(target.provider).open(target, page), None).await?;
            let Some(next) = next.filter(|next| !next.items.is_empty()) else { return Ok((page > 2, false)) };
            for one in pull_requests(target, &next.items)? {
                // One that changed in between moved to the front, and pushed another one to this page.
                if !found.iter().any(|known| known.number == one.number) {
                    found.push(one);
                }
            }
            seen += next.items.len();
            headers = next.headers;
        }
        Ok((true, !is_last(&headers, seen)))
    }

    async fn page(
        &self,
        target: &Target,
        call: &Call,
        tag: Option<&str>,
    ) -> Result<Option<Page>, ForgeError> {
        match self.session.read(target, call, tag).await? {
            Ok(Answer { headers, body }) => Ok(Some(Page { items: items(target, body)?, headers })),
            Err(refusal) if tag.is_some() && refusal.status == StatusCode::NOT_MODIFIED => Ok(None),
            Err(refusal) => Err(refusal.into_error(target, call.what)),
        }
    }

    fn remember(&self, key: String, known: Remembered) {
        let mut lists = self.lists.lock();
        if lists.len() >= REMEMBERED && !lists.contains_key(&key) {
            lists.clear();
        }
        lists.insert(key, known);
    }
}

fn pull_requests(target: &Target, items: &[Value]) -> Result<Vec<PullRequest>, ForgeError> {
    let forge = reviews(target.provider);
    let read = |item| {
        forge.pull_request(item).ok_or_else(|| odd(target, "its pull request has no number or no commit"))
    };
    items.iter().map(read).collect()
}

fn digest(found: &[PullRequest]) -> Digest {
    Digest::of_bytes(format!("{found:?}").as_bytes())
}

fn moved(target: &Target, item: &Value) -> Option<String> {
    let now = reviews(target.provider).repository(item)?;
    (!now.eq_ignore_ascii_case(&target.repository)).then_some(now)
}
