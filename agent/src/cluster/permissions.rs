//! Which identity may write an object, cached for a while. It is checked if two Syncs claim the same object, so that a claim
//! counts only if its Sync may write the object.
//!
//! The rules of a namespace are read with one request (SelfSubjectRulesReview). If they are incomplete, and for cluster-scoped
//! objects, each object is checked by itself (SelfSubjectAccessReview), only a few at a time, so that a Sync that claims ten
//! thousand objects of another one does not cause ten thousand requests.
//! I/O: API reads.

use std::collections::HashMap;
use std::hash::Hash;
use std::sync::Arc;
use std::time::{Duration, Instant};

use holdfast_diff::object::ObjectId;
use k8s_openapi::api::authorization::v1::SubjectRulesReviewStatus;
use parking_lot::Mutex;

use super::requests::{Requests, ResourceType, refusal};
use super::rights::{ask, ask_rules, grants};
use crate::identity::Identity;

/// How long an answer is believed.
const BELIEVED: Duration = Duration::from_secs(30);
/// Answers that are remembered.
const ANSWERS: usize = 10_000;
/// Objects that one identity is asked about by themselves within [`BELIEVED`]. The others count as not granted.
const QUESTIONS: usize = 100;

type Rules = Arc<SubjectRulesReviewStatus>;
/// An identity and a namespace.
type Scope = (Identity, Arc<str>);
/// An identity, and an object with its kind.
type Question = (Identity, Arc<ResourceType>, ObjectId);

/// What identities may write, as far as that was asked.
#[derive(Default)]
pub struct Permissions {
    rules: Mutex<HashMap<Scope, (Instant, Rules)>>,
    answers: Mutex<HashMap<Question, (Instant, bool)>>,
}

impl Permissions {
    /// True if an identity may write an object. The agent itself may, as far as this matters.
    pub async fn may_write(
        &self,
        requests: &Requests,
        kind: &Arc<ResourceType>,
        object: &ObjectId,
    ) -> Result<bool, kube::Error> {
        if requests.identity().is_agent() {
            return Ok(true);
        }
        // The rules of a namespace say nothing about objects of the cluster.
        if !object.namespace.is_empty() {
            let rules = self.rules(requests, &object.namespace).await?;
            if rules.resource_rules.iter().any(|rule| grants(rule, "patch", kind, &object.name)) {
                return Ok(true);
            }
            if !rules.incomplete {
                return Ok(false);
            }
        }
        let question = (requests.identity().clone(), kind.clone(), object.clone());
        if let Some(answer) = known(&self.answers, &question) {
            return Ok(answer);
        }
        if self.questions(&question.0) >= QUESTIONS {
            return Ok(false);
        }
        let asked = ("patch", kind.clone(), object.namespace.clone(), object.name.clone());
        let answer = denied(ask(requests.client(), &asked).await, false)?;
        remember(&self.answers, question, answer);
        Ok(answer)
    }

    async fn rules(&self, requests: &Requests, namespace: &Arc<str>) -> Result<Rules, kube::Error> {
        let place = (requests.identity().clone(), namespace.clone());
        if let Some(rules) = known(&self.rules, &place) {
            return Ok(rules);
        }
        let rules =
            denied(ask_rules(requests.client(), namespace).await, SubjectRulesReviewStatus::default())?;
        let rules = Arc::new(rules);
        remember(&self.rules, place, rules.clone());
        Ok(rules)
    }

    fn questions(&self, identity: &Identity) -> usize {
        let answers = self.answers.lock();
        answers.iter().filter(|((who, ..), (since, _))| who == identity && since.elapsed() < BELIEVED).count()
    }
}

/// An identity that the agent may not act as, or that the server does not accept, may nothing.
fn denied<T>(answer: Result<T, kube::Error>, nothing: T) -> Result<T, kube::Error> {
    match answer {
        Err(error) if refusal(&error).is_some_and(|status| (400..429).contains(&status.code)) => Ok(nothing),
        answer => answer,
    }
}

fn known<K: Eq + Hash, V: Clone>(all: &Mutex<HashMap<K, (Instant, V)>>, key: &K) -> Option<V> {
    let all = all.lock();
    all.get(key).filter(|(since, _)| since.elapsed() < BELIEVED).map(|(_, value)| value.clone())
}

fn remember<K: Eq + Hash, V>(all: &Mutex<HashMap<K, (Instant, V)>>, key: K, value: V) {
    let mut all = all.lock();
    all.retain(|_, (since, _)| since.elapsed() < BELIEVED);
    if all.len() >= ANSWERS {
        all.clear();
    }
    all.insert(key, (Instant::now(), value));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_remembered_has_a_bound() {
        let all = Mutex::default();
        for number in 0..=ANSWERS {
            remember(&all, number, number);
        }
        assert_eq!(known(&all, &ANSWERS), Some(ANSWERS));
        assert_eq!(known(&all, &0), None);
        assert_eq!(all.lock().len(), 1);
    }
}
