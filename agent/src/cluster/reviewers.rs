//! May a user of the cluster, who wrote a comment at a forge, approve plans? I/O: API reads, one for each command.

use k8s_openapi::api::authorization::v1::{
    LocalSubjectAccessReview, ResourceAttributes, SubjectAccessReviewSpec,
};
use kube::api::PostParams;
use kube::{Api, Client};

use crate::api::names;

/// The group of all users who are logged in. Other groups of a user are not known without a token.
const LOGGED_IN: &str = "system:authenticated";

/// True if a user may create Approvals in a namespace. The agent asks in the namespace, so that it needs no right in the whole
/// cluster.
pub async fn may_approve(client: &Client, user: &str, namespace: &str) -> Result<bool, kube::Error> {
    let attributes = ResourceAttributes {
        namespace: Some(namespace.to_owned()),
        verb: Some("create".to_owned()),
        group: Some(names::GROUP.to_owned()),
        resource: Some("approvals".to_owned()),
        ..ResourceAttributes::default()
    };
    let spec = SubjectAccessReviewSpec {
        user: Some(user.to_owned()),
        groups: Some(vec![LOGGED_IN.to_owned()]),
        resource_attributes: Some(attributes),
        ..SubjectAccessReviewSpec::default()
    };
    let review = LocalSubjectAccessReview { spec, ..LocalSubjectAccessReview::default() };
    let answer = Api::namespaced(client.clone(), namespace).create(&PostParams::default(), &review).await?;
    Ok(answer.status.is_some_and(|status| status.allowed))
}
