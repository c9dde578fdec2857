//! Does an object exist? Asked by many Syncs at once, it is asked of the server once for all that are of one kind in one
//! namespace: a list of names costs little more than one object.
//!
//! I/O: API reads.

use std::collections::{HashMap, HashSet};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use holdfast_diff::object::ObjectId;
use tokio::sync::watch;

use super::requests::{Requests, ResourceType};

/// How long a question waits for company.
const COMPANY: Duration = Duration::from_millis(3);
/// So many questions are worth a list.
const WORTH_A_LIST: usize = 4;

/// Who asks, of what kind, in which namespace.
type Place = (Arc<str>, ResourceType, Arc<str>);

/// The answer to all questions of one batch.
#[derive(Clone)]
enum Answer {
    Pending,
    /// The names that exist, of those in this namespace.
    Names(Arc<HashSet<String>>),
    /// Too few questions, too many objects, or an error: everybody asks for themselves.
    Ask,
}

#[derive(Default)]
struct Batch {
    questions: usize,
    answer: Option<watch::Receiver<Answer>>,
}

/// Gathers questions into batches.
#[derive(Default)]
pub struct Lookups {
    open: Mutex<HashMap<Place, Batch>>,
}

impl Lookups {
    /// True if an object surely does not exist. False if it may: then it is read for itself.
    pub async fn is_absent(&self, requests: &Requests, kind: &ResourceType, object: &ObjectId) -> bool {
        let place = (requests.identity(), kind.clone(), object.namespace.clone());
        let (mut answer, lead) = self.join(&place);
        if let Some(report) = lead {
            tokio::time::sleep(COMPANY).await;
            let questions = self.close(&place);
            let found = if questions < WORTH_A_LIST {
                Answer::Ask
            } else {
                match requests.names(kind, &object.namespace).await {
                    Ok(Some(names)) => Answer::Names(Arc::new(names)),
                    Ok(None) | Err(_) => Answer::Ask,
                }
            };
            report.send_replace(found);
        }
        match answer.wait_for(|answer| !matches!(answer, Answer::Pending)).await.as_deref() {
            Ok(Answer::Names(names)) => !names.contains(&*object.name),
            // The leader went away with its run.
            Ok(Answer::Ask | Answer::Pending) | Err(_) => false,
        }
    }

    /// Joins the open batch of a place, or opens one and leads it.
    fn join(&self, place: &Place) -> (watch::Receiver<Answer>, Option<watch::Sender<Answer>>) {
        let mut open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        let batch = open.entry(place.clone()).or_default();
        batch.questions += 1;
        match &batch.answer {
            // A batch whose leader went away is not waited for.
            Some(answer) if answer.has_changed().is_ok() => (answer.clone(), None),
            _ => {
                let (report, answer) = watch::channel(Answer::Pending);
                batch.answer = Some(answer.clone());
                (answer, Some(report))
            }
        }
    }

    /// Closes a batch and says how many questions it has. Later ones begin another.
    fn close(&self, place: &Place) -> usize {
        let mut open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        open.remove(place).map_or(0, |batch| batch.questions)
    }
}
