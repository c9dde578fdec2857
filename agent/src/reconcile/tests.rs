//! The order of the stages, and what an error of one means for the others: each stage is replaced by a value. Pure.

use std::cell::RefCell;

use jiff::Timestamp;
use serde_json::json;

use super::stages::Stages;
use super::*;
use crate::api::Sync;
use crate::sync_ref::SyncRef;

/// Stages that note that they were called. The value of each is its name.
#[derive(Default)]
struct Values {
    called: RefCell<Vec<&'static str>>,
    suspended: Option<String>,
    /// An invalid rule of the Sync.
    invalid: bool,
    /// Neither the commit nor the cluster has changed.
    unchanged: bool,
    /// The stages that fail.
    failing: Vec<&'static str>,
}

impl Values {
    fn call(&self, stage: &'static str) -> Result<&'static str, Failure> {
        self.called.borrow_mut().push(stage);
        if self.failing.contains(&stage) { Err(Failure::user(stage, stage, "no")) } else { Ok(stage) }
    }
}

impl Stages for Values {
    type Source = &'static str;
    type Rendered = &'static str;
    type Manifests = &'static str;
    type Observed = &'static str;
    type Planned = &'static str;
    type Decided = &'static str;
    type Outcome = &'static str;

    fn suspended(&self) -> Option<String> {
        self.suspended.clone()
    }

    fn admit(&self) -> Result<Result<(), Failure>, Failure> {
        self.call("admit")?;
        Ok(if self.invalid { Err(Failure::user("health", "invalid", "no")) } else { Ok(()) })
    }

    async fn source(&mut self) -> Result<&'static str, Failure> {
        self.call("source")
    }

    async fn render(&mut self, source: &&'static str) -> Result<&'static str, Failure> {
        assert_eq!(*source, "source");
        self.call("render")
    }

    fn to_compare(
        &self,
        rendered: &mut &'static str,
        _: &mut Findings,
    ) -> Result<Option<&'static str>, Failure> {
        assert_eq!(*rendered, "render");
        Ok(if self.unchanged { None } else { Some("manifests") })
    }

    async fn observe(&mut self, _: &&'static str, manifests: &'static str) -> Result<&'static str, Failure> {
        assert_eq!(manifests, "manifests");
        self.call("observe")
    }

    async fn plan(&mut self, _: &&'static str, observed: &'static str) -> Result<&'static str, Failure> {
        assert_eq!(observed, "observe");
        self.call("plan")
    }

    fn gate(&self, _: &&'static str, planned: &'static str) -> &'static str {
        assert_eq!(planned, "plan");
        self.call("gate").expect("the gate decides, and does not fail")
    }

    async fn apply(&mut self, _: &&'static str, _: &&'static str, decided: &'static str) -> &'static str {
        assert_eq!(decided, "gate");
        self.call("apply").expect("errors of an apply are in its outcome")
    }

    fn report(
        &mut self,
        _: &'static str,
        _: &&'static str,
        outcome: &'static str,
        _: &mut Findings,
    ) -> Result<(), Failure> {
        assert_eq!(outcome, "apply");
        self.call("report").map(drop)
    }

    fn unchanged(&self, _: &'static str, _: &mut Findings) -> Result<(), Failure> {
        self.call("unchanged").map(drop)
    }

    async fn unmark(&mut self) -> Result<(), Failure> {
        self.call("unmark").map(drop)
    }
}

/// Runs the pipeline, and returns the stages that were called and the reason of its failure.
async fn run(mut stages: Values) -> (String, &'static str) {
    let sync = json!({"apiVersion": "holdfast.dev/v1alpha1", "kind": "Sync", "metadata": {"name": "a"},
        "spec": {"source": {"git": {"url": "https://git.example.com/a"}}}});
    let sync: Sync = serde_json::from_value(sync).expect("a Sync");
    let mut found = Findings::of(&sync, &SyncRef::new("team", "a"), Timestamp::UNIX_EPOCH);
    let failed = pipeline(&mut stages, &mut found).await.err();
    assert_eq!(found.ended.suspended, stages.suspended);
    (stages.called.into_inner().join(" "), failed.map_or("", |failure| failure.reason))
}

fn failing(stages: &[&'static str]) -> Values {
    Values { failing: stages.to_vec(), ..Values::default() }
}

#[tokio::test]
async fn each_stage_takes_the_value_of_the_one_before() {
    let all = "admit source render observe plan gate apply report unmark";
    assert_eq!(run(Values::default()).await, (all.to_owned(), ""));
}

#[tokio::test]
async fn a_suspended_sync_calls_no_stage() {
    let suspended = Some("by spec.suspend".to_owned());
    assert_eq!(run(Values { suspended, ..Values::default() }).await, (String::new(), ""));
}

#[tokio::test]
async fn a_run_without_a_change_observes_nothing_and_writes_nothing_but_the_marks() {
    let called = "admit source render unchanged unmark".to_owned();
    assert_eq!(run(Values { unchanged: true, ..Values::default() }).await, (called.clone(), ""));
    let trouble = Values { unchanged: true, failing: vec!["unchanged"], ..Values::default() };
    assert_eq!(run(trouble).await, (called, "unchanged"), "trouble with the source is reported");
}

#[tokio::test]
async fn a_stage_that_fails_ends_the_run_before_anything_is_applied() {
    let order = ["admit", "source", "render", "observe", "plan"];
    for (at, stage) in order.into_iter().enumerate() {
        assert_eq!(run(failing(&[stage])).await, (order[..=at].join(" "), stage));
    }
}

#[tokio::test]
async fn the_marks_are_cleaned_after_a_failed_apply_too_and_the_first_failure_counts() {
    let all = "admit source render observe plan gate apply report unmark".to_owned();
    assert_eq!(run(failing(&["report"])).await, (all.clone(), "report"));
    assert_eq!(run(failing(&["unmark"])).await, (all.clone(), "unmark"));
    assert_eq!(run(failing(&["report", "unmark"])).await, (all, "report"));
}

#[tokio::test]
async fn an_invalid_rule_stops_nothing_and_is_reported_if_nothing_else_failed() {
    let all = "admit source render observe plan gate apply report unmark".to_owned();
    assert_eq!(run(Values { invalid: true, ..Values::default() }).await, (all.clone(), "invalid"));
    let both = Values { invalid: true, failing: vec!["report"], ..Values::default() };
    assert_eq!(run(both).await, (all, "report"));
}
