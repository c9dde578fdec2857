//! What a visitor may see and do, as the API server says, remembered for seconds. I/O: API requests.

use std::collections::{BTreeSet, HashMap};
use std::time::{Duration, Instant};

use futures::{StreamExt as _, TryStreamExt as _, stream};
use parking_lot::Mutex;

use super::access::{Means, Visitor};
use crate::api::names;
use crate::cluster::people::{Act, People, PersonError};

/// How long an answer counts.
const FRESH: Duration = Duration::from_secs(10);
/// Answers that are remembered.
const MOST: usize = 20_000;
/// Questions of one visitor at the same time.
const AT_ONCE: usize = 8;

/// The answers of the API server.
#[derive(Default)]
pub struct Rights(Mutex<HashMap<(String, String), (bool, Instant)>>);

/// What a visitor may do with a Sync.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct May {
    /// Approve and reject plans.
    pub decide: bool,
    /// Reconcile, suspend, resume and snooze.
    pub change: bool,
}

impl Rights {
    /// Whether a visitor may do something.
    pub async fn may(&self, visitor: &Visitor, act: Act<'_>) -> Result<bool, PersonError> {
        let (people, person) = match (&visitor.means, &visitor.person) {
            // What the API server does not give to the user of `holdfast ui`, this process does not have.
            (Means::Theirs(_) | Means::Nothing, None) => return Ok(true),
            (_, None) => return Ok(false),
            (_, Some((people, person))) => (people, person),
        };
        let question = (visitor.id.clone(), format!("{act:?}"));
        if let Some(answer) = self.known(&question) {
            return Ok(answer);
        }
        let answer = People::may(people, person, act).await?;
        self.keep(question, answer);
        Ok(answer)
    }

    fn known(&self, question: &(String, String)) -> Option<bool> {
        let known = self.0.lock().get(question).copied();
        known.filter(|(_, at)| at.elapsed() < FRESH).map(|(answer, _)| answer)
    }

    fn keep(&self, question: (String, String), answer: bool) {
        let mut all = self.0.lock();
        if all.len() >= MOST {
            all.retain(|_, (_, at)| at.elapsed() < FRESH);
        }
        // Full of fresh answers: this one is asked for again.
        if all.len() < MOST {
            all.insert(question, (answer, Instant::now()));
        }
    }

    /// Those of these namespaces whose resources of a kind the visitor may list.
    pub async fn namespaces(
        &self,
        visitor: &Visitor,
        resource: &str,
        namespaces: BTreeSet<String>,
    ) -> Result<BTreeSet<String>, PersonError> {
        if namespaces.is_empty() || self.may(visitor, list(resource, "")).await? {
            return Ok(namespaces);
        }
        let asked = namespaces.into_iter().map(|namespace| async move {
            let may = self.may(visitor, list(resource, &namespace)).await?;
            Ok::<_, PersonError>(may.then_some(namespace))
        });
        stream::iter(asked)
            .buffered(AT_ONCE)
            .try_filter_map(|one| std::future::ready(Ok(one)))
            .try_collect()
            .await
    }

    /// Whether the visitor may list resources of a kind in a namespace.
    pub async fn reads(
        &self,
        visitor: &Visitor,
        resource: &str,
        namespace: &str,
    ) -> Result<bool, PersonError> {
        Ok(self.may(visitor, list(resource, "")).await?
            || self.may(visitor, list(resource, namespace)).await?)
    }

    /// Those of these namespaces whose resources of a kind the visitor may change.
    pub async fn patches(
        &self,
        visitor: &Visitor,
        resource: &str,
        namespaces: BTreeSet<String>,
    ) -> Result<BTreeSet<String>, PersonError> {
        let mut found = BTreeSet::new();
        if matches!(visitor.means, Means::Nothing) {
            return Ok(found);
        }
        for namespace in namespaces {
            let act = Act::Resource { verb: "patch", group: names::GROUP, resource, namespace: &namespace };
            if self.may(visitor, act).await? {
                found.insert(namespace);
            }
        }
        Ok(found)
    }

    /// What the visitor may do with the Syncs of a namespace.
    pub async fn of(&self, visitor: &Visitor, namespace: &str) -> Result<May, PersonError> {
        if matches!(visitor.means, Means::Nothing) {
            return Ok(May::default());
        }
        let act = |verb, resource| Act::Resource { verb, group: names::GROUP, resource, namespace };
        let change = self.may(visitor, act("patch", "syncs")).await?;
        // An Approval is made as the user, which the agent cannot do.
        let theirs = matches!(visitor.means, Means::Theirs(_));
        let decide = theirs && self.may(visitor, act("create", "approvals")).await?;
        Ok(May { decide, change })
    }
}

fn list<'a>(resource: &'a str, namespace: &'a str) -> Act<'a> {
    Act::Resource { verb: "list", group: names::GROUP, resource, namespace }
}
