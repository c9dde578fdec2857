//! Who a run acts as, and its requests: what the Sync and the installation say, brought to the cluster.
//!
//! I/O: API reads, of a ServiceAccount that was not asked for in a while.

use super::Run;
use crate::cluster::requests::Requests;
use crate::identity::Identity;
use crate::report::Failure;

/// The identity of a run, or why it has none.
pub fn identity(run: &Run<'_>) -> Result<Identity, Failure> {
    Identity::of(run.owner, &run.sync.spec, &run.context.policy)
        .map_err(|error| Failure::of("source", &error))
}

/// The requests of a run. A ServiceAccount that does not exist is refused, whatever is bound to its name: to delete an account
/// takes its rights away.
pub async fn requests(run: &Run<'_>) -> Result<Requests, Failure> {
    let identity = identity(run)?;
    let cluster = &run.context.cluster;
    if cluster.accounts.is_missing(&identity).await {
        return Err(missing(run, &identity));
    }
    cluster.requests(&identity).map_err(|error| Failure::internal("observe", error.to_string()))
}

/// A failure as it is told: where rights are missing because the ServiceAccount itself is, that is what is to be mended.
pub async fn explained(run: &Run<'_>, failure: Failure) -> Failure {
    if !["Forbidden", "Unauthorized"].contains(&failure.reason) {
        return failure;
    }
    match identity(run) {
        Ok(identity) if run.context.cluster.accounts.is_missing_now(&identity).await => {
            missing(run, &identity)
        }
        _ => failure,
    }
}

fn missing(run: &Run<'_>, identity: &Identity) -> Failure {
    let correct = match &run.sync.spec.service_account_name {
        Some(_) => "create it, or correct spec.serviceAccountName",
        None => "create it, or set spec.serviceAccountName; it is the default of this installation",
    };
    let message = format!("{identity}, which this Sync acts as, does not exist; {correct}");
    Failure::user("observe", "ServiceAccountNotFound", message)
}
