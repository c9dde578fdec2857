//! The names of the users who caused drift, from the audit events of the API server, if it sends any.
//!
//! I/O: discovery, for kinds that were not looked up before.

use crate::api::{DriftChange, DriftObject, DriftStatus};
use crate::cluster::Cluster;
use crate::report::audit::{Audit, Object, Write};

/// Looks up users in the record of audit events.
#[derive(Clone, Copy)]
pub struct Users<'a> {
    pub cluster: &'a Cluster,
    /// `None` if the API server sends no audit events.
    pub audit: Option<&'a Audit>,
}

impl Users<'_> {
    /// Adds the names of users to an episode, as far as audit events have arrived.
    pub async fn name(&self, drift: Option<&mut DriftStatus>) {
        let Some(audit) = self.audit else { return };
        for reported in drift.into_iter().flat_map(|drift| &mut drift.objects) {
            if let Ok(Some(kind)) = self.cluster.discovery.find(&reported.api_version, &reported.kind).await {
                name_one(audit, &kind.plural, reported);
            }
        }
    }
}

fn name_one(audit: &Audit, plural: &str, reported: &mut DriftObject) {
    let DriftObject { api_version, namespace, name, since, deleted, user, changes, .. } = reported;
    let group = api_version.rsplit_once('/').map_or("", |(group, _)| group);
    let object = || Object { group, resource: plural, namespace, name };
    if *deleted && user.is_none() {
        *user = audit.deleter(object(), *since).map(|user| user.name.to_string());
    }
    for DriftChange { manager, subresource, time, user, .. } in
        changes.iter_mut().filter(|change| change.user.is_none())
    {
        let write = Write {
            manager: manager.as_deref(),
            subresource: subresource.as_deref(),
            at: Some(time.as_ref().and_then(|time| time.parse().ok()).unwrap_or(*since)),
        };
        *user = audit.user(object(), write).map(|user| user.name.to_string());
    }
}
