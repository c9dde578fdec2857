//! Does an object exist? Where several of one kind and namespace are asked for, by one Sync or by many within a moment, the
//! server is asked once for all their names: a list of names costs little more than one object.
//!
//! I/O: API reads.

use std::collections::{HashMap, HashSet};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use holdfast_diff::object::ObjectId;

use super::requests::{Requests, ResourceType};
use super::resolve::Desired;

/// How long a list of names is believed. What appears meanwhile is not overwritten: creating is an apply without force.
const BELIEVED: Duration = Duration::from_secs(2);
/// So many questions within that time are worth a list.
const WORTH_A_LIST: usize = 2;
/// Names that are read for one question; beyond that the objects are asked for one by one.
const NAMES_A_QUESTION: usize = 20;
/// Names that are read at least, which is one page.
const NAMES: usize = 500;

/// Who asks, of what kind, in which namespace.
type Place = (Arc<str>, ResourceType, Arc<str>);

/// What is known of one place.
struct Known {
    since: Instant,
    questions: usize,
    names: Option<Arc<HashSet<String>>>,
}

/// Remembers names for a moment.
#[derive(Default)]
pub struct Lookups {
    places: Mutex<HashMap<Place, Arc<tokio::sync::Mutex<Known>>>>,
}

impl Lookups {
    /// Those of the objects that surely do not exist. The others may.
    pub async fn absent(
        &self,
        requests: &Requests,
        asked: impl Iterator<Item = &Desired>,
    ) -> HashSet<ObjectId> {
        let mut places: HashMap<Place, Vec<&ObjectId>> = HashMap::new();
        for Desired { object, kind, .. } in asked {
            let place = (requests.identity(), (**kind).clone(), object.namespace.clone());
            places.entry(place).or_default().push(object);
        }
        let mut absent = HashSet::new();
        for (place, objects) in places {
            if let Some(names) = self.names(requests, &place, objects.len()).await {
                absent.extend(objects.into_iter().filter(|object| !names.contains(&*object.name)).cloned());
            }
        }
        absent
    }

    /// The names of a place; `None` if the objects are better asked for one by one, or cannot be listed.
    async fn names(
        &self,
        requests: &Requests,
        place: &Place,
        questions: usize,
    ) -> Option<Arc<HashSet<String>>> {
        let known = self.place(place);
        // Whoever comes while the list is under way waits for it.
        let mut known = known.lock().await;
        if known.since.elapsed() > BELIEVED {
            *known = Known { since: Instant::now(), questions: 0, names: None };
        }
        known.questions += questions;
        if known.names.is_none() && known.questions >= WORTH_A_LIST {
            let (_, kind, namespace) = place;
            let limit = (known.questions * NAMES_A_QUESTION).max(NAMES);
            known.since = Instant::now();
            known.names = requests.names(kind, namespace, limit).await.ok().flatten().map(Arc::new);
        }
        known.names.clone()
    }

    fn place(&self, place: &Place) -> Arc<tokio::sync::Mutex<Known>> {
        let mut places = self.places.lock().unwrap_or_else(PoisonError::into_inner);
        places.retain(|_, known| known.try_lock().map_or(true, |known| known.since.elapsed() <= BELIEVED));
        let none = || Known { since: Instant::now(), questions: 0, names: None };
        places.entry(place.clone()).or_insert_with(|| Arc::new(tokio::sync::Mutex::new(none()))).clone()
    }
}
