//! Whether the owner of a bearer token may read the metrics: the API server says whose token it is, and what that user may do.
//!
//! I/O: API requests.

use futures::FutureExt as _;
use futures::future::BoxFuture;
use kube::{Client, Error};

use super::people::{Act, is_allowed, user_of};
use super::refusal::chain;

/// The path that the user of a token must be allowed to `get`.
const PATH: &str = "/metrics";

/// Asks for the owner of a bearer token. An error says why that is not known, and what to do.
pub fn may_scrape(client: &Client, token: String) -> BoxFuture<'static, Result<bool, String>> {
    let client = client.clone();
    async move {
        let advice = |what: &str, error: &Error| {
            format!("cannot create {what}: {}; grant it with manifests/monitoring/auth", chain(error))
        };
        let user = user_of(&client, token).await.map_err(|error| advice("TokenReviews", &error))?;
        let Some(user) = user else { return Ok(false) };
        let allowed = is_allowed(&client, user.into(), Act::Path(PATH)).await;
        allowed.map_err(|error| advice("SubjectAccessReviews", &error))
    }
    .boxed()
}
