//! One watch: what it sees of the members of the Syncs that act as its identity goes into the live view.
//!
//! I/O: one API watch.

use std::sync::Arc;
use std::time::Instant;

use futures::{TryStreamExt as _, pin_mut};
use holdfast_diff::applyset::PART_OF;
use holdfast_diff::object::ObjectId;
use kube::Client;
use kube::api::{Api, ApiResource};
use kube::runtime::WatchStreamExt as _;
use kube::runtime::watcher::{self, Event};
use parking_lot::Mutex;
use tokio::sync::watch;
use tracing::{debug, warn};

use super::live::Live;
use super::{ActsAs, Key};
use crate::cluster::entry::Sight;
use crate::cluster::refusal;
use crate::cluster::requests::{LOADING, ResourceType, is_forbidden, is_not_found, is_starting};
use crate::cluster::view::{Listed, View};
use crate::sync_ref::SyncRef;

/// Objects of one page of a list: the initial burst is what memory is measured by.
const PAGE: u32 = 100;

/// How far a watch is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Phase {
    Starting,
    Live,
    /// The last answer of the API server, and whether it means that a right is missing.
    Broken {
        said: String,
        forbidden: bool,
    },
}

/// A watch that broke and may not be back: it is silent until something changes, so it counts as back when it has not broken
/// again for a while.
pub(super) struct Trouble {
    pub last: Instant,
    pub said: String,
}

/// What one watch feeds.
pub(super) struct Feed {
    pub key: Key,
    pub kind: Arc<ResourceType>,
    pub view: Arc<View>,
    pub acts_as: ActsAs,
    pub report: watch::Sender<Phase>,
    pub trouble: Arc<Mutex<Option<Trouble>>>,
}

/// What the API server said when a watch could not begin.
fn refused(error: &watcher::Error) -> Option<&kube::Error> {
    match error {
        watcher::Error::InitialListFailed(error) | watcher::Error::WatchStartFailed(error) => Some(error),
        _ => None,
    }
}

impl Feed {
    /// Feeds the view until the kind is gone from the server, or until it turns out that it may not be listed at all.
    pub async fn run(self, client: Client) {
        let config = watcher::Config::default().labels(PART_OF).page_size(PAGE);
        let events = watcher::watcher(self.api(client), config).default_backoff();
        pin_mut!(events);
        let (mut listed, mut ever) = (Listed::default(), false);
        let mut loading: Option<Instant> = None;
        loop {
            match events.try_next().await {
                Ok(Some(event)) => {
                    let works = matches!(event, Event::InitDone | Event::Apply(_) | Event::Delete(_));
                    self.take(event, &mut listed, !ever);
                    if works {
                        (ever, loading) = (true, None);
                        self.note(None);
                    }
                }
                Ok(None) => return,
                Err(error) => {
                    if refused(&error).is_some_and(is_starting)
                        && loading.get_or_insert_with(Instant::now).elapsed() < LOADING
                    {
                        debug!(kind = %self.kind.kind, "Watch waits until the API server has loaded the kind");
                    } else if self.has_ended(&error, ever) {
                        return;
                    }
                }
            }
        }
    }

    fn api(&self, client: Client) -> Api<Live> {
        let kind = &self.kind;
        let resource = ApiResource {
            group: kind.kind.group.clone(),
            version: kind.version.clone(),
            api_version: kind.api_version(),
            kind: kind.kind.kind.clone(),
            plural: kind.plural.clone(),
        };
        match &*self.key.namespace {
            "" => Api::all_with(client, &resource),
            namespace => Api::namespaced_with(client, namespace, &resource),
        }
    }

    fn take(&self, event: Event<Live>, listed: &mut Listed, first: bool) {
        let Self { kind, view, .. } = self;
        match event {
            Event::Init => *listed = Listed::default(),
            Event::InitApply(live) => {
                let object = live.id(kind);
                let sight = view.sight(kind, &object, &live.value(kind));
                if self.key.covers(&object.namespace) && self.is_member(&sight) {
                    listed.push(object, sight);
                }
            }
            Event::InitDone => {
                self.replace(std::mem::take(listed), first);
                self.report.send_replace(Phase::Live);
            }
            Event::Apply(live) => {
                self.report.send_if_modified(|phase| std::mem::replace(phase, Phase::Live) != Phase::Live);
                let (object, version) = (live.id(kind), live.version().unwrap_or(u64::MAX));
                if !self.key.covers(&object.namespace) {
                    return;
                }
                let value = live.value(kind);
                let sight = view.sight(kind, &object, &value);
                if self.is_member(&sight) {
                    view.take(kind, object, &value, sight);
                } else {
                    view.remove_of(|owner| self.is_ours(owner), &object, version);
                }
            }
            Event::Delete(live) => {
                let (object, version) = (live.id(kind), live.version().unwrap_or(u64::MAX));
                if self.key.covers(&object.namespace) {
                    view.remove(&object, version);
                }
            }
        }
    }

    /// Replaces what this watch covers by what it listed.
    fn replace(&self, listed: Listed, first: bool) {
        let within =
            |object: &ObjectId, owner: &SyncRef| self.key.covers(&object.namespace) && self.is_ours(owner);
        self.view.replace(&self.kind, within, listed, first);
    }

    /// True if an object names a Sync whose members this watch feeds.
    fn is_member(&self, sight: &Sight) -> bool {
        sight.owner().is_some_and(|owner| self.is_ours(owner))
    }

    /// True if the members of a Sync are for this watch to feed: it acts as the same identity, or it is not known.
    fn is_ours(&self, owner: &SyncRef) -> bool {
        (self.acts_as)(owner).is_none_or(|identity| identity == self.key.identity)
    }

    /// Takes an error of the watch, which otherwise goes on by itself. True if it has come to its end.
    fn has_ended(&self, error: &watcher::Error, ever: bool) -> bool {
        let refused = refused(error);
        if refused.is_some_and(is_not_found) {
            debug!(kind = %self.kind.kind, "Kind is no longer served");
            self.replace(Listed::default(), !ever);
            self.broken("the API server no longer serves this kind".to_owned(), false);
            return true;
        }
        let forbidden = refused.is_some_and(is_forbidden);
        let said = refused.map_or_else(|| refusal::chain(error), refusal::said);
        // A watch that breaks goes on where it was; only without a list, or without the right to go on, is nothing known.
        if forbidden || matches!(error, watcher::Error::InitialListFailed(_)) {
            self.broken(said.clone(), forbidden);
        }
        if forbidden && !ever {
            debug!(kind = %self.kind.kind, identity = %self.key.identity, "No right to watch a kind");
            return true;
        }
        warn!(kind = %self.kind.kind, identity = %self.key.identity, error = said, "Watch failed; retrying");
        self.note(Some(Trouble { last: Instant::now(), said }));
        false
    }

    fn broken(&self, said: String, forbidden: bool) {
        self.report.send_replace(Phase::Broken { said, forbidden });
    }

    fn note(&self, now: Option<Trouble>) {
        *self.trouble.lock() = now;
    }
}
