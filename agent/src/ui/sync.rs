//! The value of the page of one Sync. Pure.

use std::sync::Arc;

use jiff::Timestamp;
use serde::Serialize;

use super::live;
use super::needs::{self, State};
use super::objects::Objects;
use super::rights::May;
use crate::api::{Approval, PlanState, PlanStatus, Sync};

/// What the page of a Sync shows.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Page {
    pub state: State,
    /// As `holdfast status NAME -o json` prints it.
    pub sync: Arc<Sync>,
    /// The newest Approvals, if the visitor may read them.
    pub approvals: Vec<Arc<Approval>>,
    /// The objects, if there is a live view: `holdfast ui` has none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub objects: Option<Objects>,
    /// What the visitor may do.
    #[serde(skip)]
    pub may: May,
}

impl Page {
    pub fn new(
        sync: Arc<Sync>,
        approvals: Vec<Arc<Approval>>,
        objects: Option<Objects>,
        may: May,
        now: Timestamp,
    ) -> Self {
        Self { state: needs::state(&sync, now), sync, approvals, objects, may }
    }

    /// The plan that waits for a decision.
    pub fn waiting(&self) -> Option<&PlanStatus> {
        self.sync.status.as_ref()?.plan.as_ref().filter(|plan| is_waiting(plan))
    }

    /// The address of the page.
    pub fn address(&self) -> String {
        address(&self.sync)
    }
}

/// True if a plan waits for a decision, or was rejected.
pub fn is_waiting(plan: &PlanStatus) -> bool {
    matches!(plan.state, PlanState::AwaitingApproval | PlanState::Rejected)
}

/// The address of the page of a Sync. Both names are DNS names, which need no escapes.
pub fn address(sync: &Sync) -> String {
    let name = live::name(sync);
    format!("/syncs/{}/{}", name.namespace(), name.name())
}
