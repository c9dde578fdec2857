//! Does an object exist? Where several of one kind are asked for, by one Sync or by many within a moment, the server is asked
//! once for all their names: a list of names costs little more than one object.
//!
//! I/O: API reads.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::time::{Duration, Instant};

use holdfast_diff::object::ObjectId;
use parking_lot::Mutex;

use super::requests::{Names, Requests, ResourceType};
use super::resolve::Desired;
use crate::identity::Identity;

/// How long a list of names is believed. What appears meanwhile is not overwritten: creating is an apply without force.
const BELIEVED: Duration = Duration::from_secs(2);
/// So many questions within that time are worth a list.
const WORTH_A_LIST: usize = 2;
/// Names that are read for one question; beyond that the objects are asked for one by one.
const NAMES_A_QUESTION: usize = 20;
/// Names that are read at least, which is one page.
const NAMES: usize = 500;

/// Who asks, of what kind, and in which namespace; of all of them if that is empty.
type Scope = (Identity, ResourceType, Arc<str>);

/// What is known of one place.
struct Asked {
    since: Instant,
    questions: usize,
    answer: Answer,
}

#[derive(Clone)]
enum Answer {
    NotAsked,
    Names(Arc<Names>),
    /// There are too many, or they may not be listed.
    TooMany,
}

/// Remembers names for a moment.
pub struct Lookups {
    /// The agent is for the whole cluster, so it may ask about all of it.
    everywhere: bool,
    places: Mutex<HashMap<Scope, Arc<tokio::sync::Mutex<Asked>>>>,
}

impl Lookups {
    pub fn new(everywhere: bool) -> Self {
        Self { everywhere, places: Mutex::default() }
    }

    /// Those of the objects that surely do not exist. The others may.
    pub async fn absent(
        &self,
        requests: &Requests,
        asked: impl Iterator<Item = &Desired>,
    ) -> HashSet<ObjectId> {
        let mut kinds: HashMap<&ResourceType, HashMap<&Arc<str>, Vec<&ObjectId>>> = HashMap::new();
        for Desired { object, kind, .. } in asked {
            kinds.entry(kind).or_default().entry(&object.namespace).or_default().push(object);
        }
        let mut absent = HashSet::new();
        for (kind, namespaces) in kinds {
            // Many Syncs of a fleet ask about many namespaces; one Sync mostly about one.
            let questions = namespaces.values().map(Vec::len).sum();
            let everywhere = if self.everywhere && requests.identity().is_agent() {
                self.names(requests, kind, &"".into(), questions).await
            } else {
                None
            };
            for (namespace, objects) in namespaces {
                let names = match &everywhere {
                    Some(names) => Some(names.clone()),
                    None => self.names(requests, kind, namespace, objects.len()).await,
                };
                let Some(names) = names else { continue };
                let missing =
                    objects.into_iter().filter(|object| !names.has(&object.namespace, &object.name));
                absent.extend(missing.cloned());
            }
        }
        absent
    }

    /// Forgets the names of a kind, because an object that a list did not have exists.
    pub fn forget(&self, kind: &ResourceType) {
        self.places.lock().retain(|(_, known, _), _| known != kind);
    }

    /// The names of a place; `None` if the objects are better asked for one by one, or cannot be listed.
    async fn names(
        &self,
        requests: &Requests,
        kind: &ResourceType,
        namespace: &Arc<str>,
        questions: usize,
    ) -> Option<Arc<Names>> {
        let known = self.place((requests.identity().clone(), kind.clone(), namespace.clone()));
        // Callers that come during the list wait for it.
        let mut known = known.lock().await;
        if known.since.elapsed() > BELIEVED {
            *known = Asked { since: Instant::now(), questions: 0, answer: Answer::NotAsked };
        }
        known.questions += questions;
        if matches!(known.answer, Answer::NotAsked) && known.questions >= WORTH_A_LIST {
            let limit = (known.questions * NAMES_A_QUESTION).max(NAMES);
            known.since = Instant::now();
            known.answer = match requests.unbounded().names(kind, namespace, limit).await {
                Ok(Some(names)) => Answer::Names(Arc::new(names)),
                Ok(None) | Err(_) => Answer::TooMany,
            };
        }
        match &known.answer {
            Answer::Names(names) => Some(names.clone()),
            Answer::NotAsked | Answer::TooMany => None,
        }
    }

    fn place(&self, place: Scope) -> Arc<tokio::sync::Mutex<Asked>> {
        let mut places = self.places.lock();
        places.retain(|_, known| known.try_lock().map_or(true, |known| known.since.elapsed() <= BELIEVED));
        let none = || Asked { since: Instant::now(), questions: 0, answer: Answer::NotAsked };
        places.entry(place).or_insert_with(|| Arc::new(tokio::sync::Mutex::new(none()))).clone()
    }
}
