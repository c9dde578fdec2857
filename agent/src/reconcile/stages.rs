//! The stages as the composer calls them, and those of a run. I/O: through the stages.

use super::gate::Decided;
use super::observe::Observed;
use super::past::Past;
use super::plan::Planned;
use super::render::{self, ManifestSet, Manifests, Rendered};
use super::source::{self, Source};
use super::{Run, apply, report};
use crate::api::ChartStatus;
use crate::cluster::requests::Requests;
use crate::gate::Set;
use crate::report::{Failure, Findings, NewValue};
use crate::shares::Share;

/// The stages of a pipeline, by the values that they pass on. The composer cannot look into the values.
pub(super) trait Stages {
    type Source;
    type Rendered;
    type Manifests;
    type Observed;
    type Planned;
    type Decided;
    type Outcome;

    /// The reason of the suspension, if the Sync is suspended.
    fn suspended(&self) -> Option<String>;

    /// Checks what needs no I/O. The outer error stops the run. The inner one is reported at its end.
    fn admit(&self) -> Result<Result<(), Failure>, Failure>;

    async fn source(&mut self) -> Result<Self::Source, Failure>;

    async fn render(&mut self, source: &Self::Source) -> Result<Self::Rendered, Failure>;

    /// Returns the manifests to compare with the cluster; `None` if neither the commit nor the cluster has changed.
    fn to_compare(
        &self,
        rendered: &mut Self::Rendered,
        found: &mut Findings,
    ) -> Result<Option<Self::Manifests>, Failure>;

    async fn observe(
        &mut self,
        rendered: &Self::Rendered,
        manifests: Self::Manifests,
    ) -> Result<Self::Observed, Failure>;

    async fn plan(
        &mut self,
        rendered: &Self::Rendered,
        observed: Self::Observed,
    ) -> Result<Self::Planned, Failure>;

    fn gate(&self, rendered: &Self::Rendered, planned: Self::Planned) -> Self::Decided;

    async fn apply(
        &mut self,
        source: &Self::Source,
        rendered: &Self::Rendered,
        decided: Self::Decided,
    ) -> Self::Outcome;

    fn report(
        &mut self,
        source: Self::Source,
        rendered: &Self::Rendered,
        outcome: Self::Outcome,
        found: &mut Findings,
    ) -> Result<(), Failure>;

    /// Reports a run that compared nothing.
    fn unchanged(&self, source: Self::Source, found: &mut Findings) -> Result<(), Failure>;

    /// Removes kinds and namespaces without members from the marks of the Sync.
    async fn unmark(&mut self) -> Result<(), Failure>;
}

/// The stages of one run of one Sync.
pub(super) struct RunStages<'r, 'a> {
    pub run: &'r Run<'a>,
    pub past: &'r mut Past,
}

/// A value of a stage, and what the run keeps from the stage `observe` until its report.
pub(super) struct Held<T> {
    value: T,
    requests: Requests,
    set: Set,
    /// The chart, if the whole set was rendered.
    chart: NewValue<ChartStatus>,
    /// The memory that is reserved for the manifests.
    room: Share,
}

impl<T> Held<T> {
    fn with<U>(self, value: impl FnOnce(T) -> U) -> Held<U> {
        let Self { value: before, requests, set, chart, room } = self;
        Held { value: value(before), requests, set, chart, room }
    }
}

impl Stages for RunStages<'_, '_> {
    type Source = Source;
    type Rendered = Rendered;
    type Manifests = ManifestSet;
    type Observed = Held<Observed>;
    type Planned = Held<Planned>;
    type Decided = Held<Decided>;
    type Outcome = Held<apply::Outcome>;

    fn suspended(&self) -> Option<String> {
        self.run.at.suspended()
    }

    fn admit(&self) -> Result<Result<(), Failure>, Failure> {
        self.run.admit()
    }

    async fn source(&mut self) -> Result<Source, Failure> {
        let work = source::source(self.run.source(), self.run.at, self.past);
        self.run.limits.wait("source", work).await
    }

    async fn render(&mut self, source: &Source) -> Result<Rendered, Failure> {
        let work = render::render(self.run.render(), self.run.at, source, self.past);
        self.run.limits.wait("render", work).await
    }

    fn to_compare(
        &self,
        rendered: &mut Rendered,
        found: &mut Findings,
    ) -> Result<Option<ManifestSet>, Failure> {
        found.seen = Some(rendered.seen.clone());
        let manifests = rendered.take()?;
        found.rendered.remotes = Some(rendered.remotes());
        Ok(match manifests {
            Manifests::Changed(set) => Some(set),
            Manifests::Unchanged => None,
        })
    }

    async fn observe(
        &mut self,
        rendered: &Rendered,
        mut manifests: ManifestSet,
    ) -> Result<Held<Observed>, Failure> {
        let (run, limits, seen) = (self.run, &self.run.limits, &rendered.seen);
        manifests.warnings.extend(limits.run("render", run.recall(Some(seen), self.past)).await?);
        let room = limits.run("observe", run.room(&manifests)).await?;
        let (chart, is_empty) = (std::mem::take(&mut manifests.chart), manifests.is_empty());
        let requests = limits.wait("observe", run.requests(&manifests)).await?;
        let work = run.observe(&requests, (&seen.revision, &seen.tree), manifests, self.past);
        let value = limits.wait("observe", work).await?;
        // The members are counted after they were observed: before, the live view may not have listed them yet.
        let set = run.set(is_empty, false);
        Ok(Held { value, requests, set, chart, room })
    }

    async fn plan(
        &mut self,
        rendered: &Rendered,
        observed: Held<Observed>,
    ) -> Result<Held<Planned>, Failure> {
        let planned = observed.with(|observed| self.run.plan(&rendered.seen, observed, self.past));
        let Held { value, requests, set, chart, room } = planned;
        let value = self.run.limits.wait("plan", self.run.rights(&requests, value)).await?;
        Ok(Held { value, requests, set, chart, room })
    }

    fn gate(&self, rendered: &Rendered, planned: Held<Planned>) -> Held<Decided> {
        let set = planned.set;
        planned.with(|planned| self.run.gate(planned, set, self.run.ready(&rendered.seen)))
    }

    async fn apply(
        &mut self,
        source: &Source,
        rendered: &Rendered,
        decided: Held<Decided>,
    ) -> Held<apply::Outcome> {
        let Held { value, requests, set, chart, room } = decided;
        let value = self.run.apply(&requests, Some((source, rendered)), value, set, self.past).await;
        Held { value, requests, set, chart, room }
    }

    fn report(
        &mut self,
        source: Source,
        rendered: &Rendered,
        outcome: Held<apply::Outcome>,
        found: &mut Findings,
    ) -> Result<(), Failure> {
        let Held { value, requests: _, set, chart, room: _ } = outcome;
        let (at, view) = (self.run.at, &self.run.services.cluster.view);
        let about = report::About {
            at,
            tree: &rendered.seen.tree,
            is_empty: set.empty,
            chart,
            trouble: source.trouble,
        };
        report::report(about, view, self.run.acting().is_agent(), value, self.past, found)
    }

    fn unchanged(&self, source: Source, found: &mut Findings) -> Result<(), Failure> {
        report::unchanged(found, source.trouble)
    }

    async fn unmark(&mut self) -> Result<(), Failure> {
        let unmarked = apply::unmark(&self.run.services.cluster, self.run.at, self.past).await;
        unmarked.map_err(Failure::from)
    }
}
