//! Whether the owner of a bearer token may read the metrics: the API server says whose token it is, and what that user may do.
//!
//! I/O: API requests.

use futures::FutureExt as _;
use futures::future::BoxFuture;
use k8s_openapi::api::authentication::v1::{TokenReview, TokenReviewSpec, UserInfo};
use k8s_openapi::api::authorization::v1::{
    NonResourceAttributes, SubjectAccessReview, SubjectAccessReviewSpec,
};
use kube::api::{Api, PostParams};
use kube::{Client, Error};

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
        let user = review(&client, token).await.map_err(|error| advice("TokenReviews", &error))?;
        let Some(user) = user else { return Ok(false) };
        is_allowed(&client, user).await.map_err(|error| advice("SubjectAccessReviews", &error))
    }
    .boxed()
}

/// The user of a token, if it is valid.
async fn review(client: &Client, token: String) -> Result<Option<UserInfo>, Error> {
    let spec = TokenReviewSpec { token, ..TokenReviewSpec::default() };
    let review = TokenReview { spec, ..TokenReview::default() };
    let answer = Api::all(client.clone()).create(&PostParams::default(), &review).await?;
    let status = answer.status.unwrap_or_default();
    Ok(status.user.filter(|_| status.authenticated == Some(true)))
}

async fn is_allowed(client: &Client, user: UserInfo) -> Result<bool, Error> {
    let UserInfo { extra, groups, uid, username } = user;
    let attributes = NonResourceAttributes { path: Some(PATH.to_owned()), verb: Some("get".to_owned()) };
    let spec = SubjectAccessReviewSpec {
        extra,
        groups,
        non_resource_attributes: Some(attributes),
        uid,
        user: username,
        ..SubjectAccessReviewSpec::default()
    };
    let review = SubjectAccessReview { spec, ..SubjectAccessReview::default() };
    let answer = Api::all(client.clone()).create(&PostParams::default(), &review).await?;
    Ok(answer.status.is_some_and(|status| status.allowed))
}
