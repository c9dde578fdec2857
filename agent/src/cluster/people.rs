//! People before the API server: whose a bearer token is, what a person may do, and requests that are made as a person.
//!
//! A request with a person's token is made over connections without any other credentials: a client certificate of the agent
//! would count before the token. I/O: API requests.

use std::collections::BTreeMap;
use std::time::Duration;

use http::header::{AUTHORIZATION, HeaderValue, InvalidHeaderValue, USER_AGENT};
use k8s_openapi::api::authentication::v1::{SelfSubjectReview, TokenReview, TokenReviewSpec, UserInfo};
use k8s_openapi::api::authorization::v1::{
    NonResourceAttributes, ResourceAttributes, SubjectAccessReview, SubjectAccessReviewSpec,
};
use kube::api::{Api, PostParams};
use kube::client::{Body, ClientBuilder};
use kube::config::AuthInfo;
use kube::{Client, Config, Error};

use super::clients::{AGENT, ClientError};

/// How long an answer about a person may take.
const LIMIT: Duration = Duration::from_secs(10);
/// How long the API server may be silent in the middle of an answer: a log that is followed has pauses.
const PAUSE: Duration = Duration::from_mins(10);

/// Asks about people, and makes requests as them.
#[derive(Clone)]
pub struct People {
    agent: Client,
    /// Shows no credentials.
    bare: Client,
}

/// A user of the cluster, as the API server authenticates it.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Person {
    pub name: String,
    pub uid: Option<String>,
    pub groups: Vec<String>,
    pub extra: BTreeMap<String, Vec<String>>,
}

/// Something that a person may be allowed to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Act<'a> {
    /// A verb on a resource, or on a subresource such as `pods/log`, in a namespace; in all namespaces if that is empty.
    Resource { verb: &'a str, group: &'a str, resource: &'a str, namespace: &'a str },
    /// `get` of a path of an HTTP endpoint.
    Path(&'a str),
}

/// Writes in the name of one identity.
#[derive(Clone)]
pub struct Hand(pub(super) Client);

/// Why a question about a person has no answer.
#[derive(Debug, thiserror::Error)]
pub enum PersonError {
    #[error("cannot create {what}: {}", super::refusal::chain(source))]
    Refused { what: &'static str, source: Error },
    #[error("the API server does not answer within {} s", LIMIT.as_secs())]
    Silent,
}

impl Hand {
    /// Writes as the identity of a client.
    pub fn new(client: Client) -> Self {
        Self(client)
    }

    /// The name of the identity.
    pub async fn name(&self) -> Result<String, PersonError> {
        let api = Api::<SelfSubjectReview>::all(self.0.clone());
        let params = PostParams::default();
        let review = SelfSubjectReview::default();
        let answer = within("SelfSubjectReviews", api.create(&params, &review)).await?;
        let user = answer.status.and_then(|status| status.user_info);
        Ok(user.and_then(|user| user.username).unwrap_or_default())
    }
}

impl People {
    /// Asks as the agent, whose client and configuration these are.
    pub fn new(agent: Client, mut config: Config) -> Result<Self, ClientError> {
        config.auth_info = AuthInfo::default();
        config.headers.push((USER_AGENT, HeaderValue::from_static(AGENT)));
        config.default_retry = false;
        config.read_timeout = Some(PAUSE);
        let bare = ClientBuilder::try_from(config).map_err(ClientError::Build)?.build();
        Ok(Self { agent, bare })
    }

    /// The owner of a bearer token; `None` if the token is not valid.
    pub async fn owner_of(&self, token: &str) -> Result<Option<Person>, PersonError> {
        let user = user_of(&self.agent, token.to_owned());
        Ok(within("TokenReviews", user).await?.map(Person::from))
    }

    /// Whether a person may do something.
    pub async fn may(&self, person: &Person, act: Act<'_>) -> Result<bool, PersonError> {
        within("SubjectAccessReviews", is_allowed(&self.agent, person.clone(), act)).await
    }

    /// Writes as the owner of a token.
    pub fn hand_of(&self, token: &str) -> Result<Hand, InvalidHeaderValue> {
        let mut value = HeaderValue::from_str(&format!("Bearer {token}"))?;
        value.set_sensitive(true);
        let (bare, namespace) = (self.bare.clone(), self.bare.default_namespace().to_owned());
        let service = tower::service_fn(move |mut request: http::Request<Body>| {
            request.headers_mut().insert(AUTHORIZATION, value.clone());
            let bare = bare.clone();
            async move { bare.send(request).await }
        });
        Ok(Hand(Client::new(service, namespace)))
    }

    /// Writes as the agent.
    pub fn own_hand(&self) -> Hand {
        Hand(self.agent.clone())
    }
}

async fn within<T>(
    what: &'static str,
    asked: impl Future<Output = Result<T, Error>>,
) -> Result<T, PersonError> {
    match tokio::time::timeout(LIMIT, asked).await {
        Ok(answer) => answer.map_err(|source| PersonError::Refused { what, source }),
        Err(_) => Err(PersonError::Silent),
    }
}

/// The user of a token, if it is valid.
pub(super) async fn user_of(client: &Client, token: String) -> Result<Option<UserInfo>, Error> {
    let spec = TokenReviewSpec { token, ..TokenReviewSpec::default() };
    let review = TokenReview { spec, ..TokenReview::default() };
    let answer = Api::all(client.clone()).create(&PostParams::default(), &review).await?;
    let status = answer.status.unwrap_or_default();
    Ok(status.user.filter(|_| status.authenticated == Some(true)))
}

pub(super) async fn is_allowed(client: &Client, person: Person, act: Act<'_>) -> Result<bool, Error> {
    let Person { name, uid, groups, extra } = person;
    let mut spec = SubjectAccessReviewSpec {
        extra: Some(extra),
        groups: Some(groups),
        uid,
        user: Some(name),
        ..SubjectAccessReviewSpec::default()
    };
    let text = |text: &str| Some(text.to_owned());
    match act {
        Act::Resource { verb, group, resource, namespace } => {
            let (resource, subresource) = match resource.split_once('/') {
                Some((resource, subresource)) => (resource, text(subresource)),
                None => (resource, None),
            };
            spec.resource_attributes = Some(ResourceAttributes {
                verb: text(verb),
                group: text(group),
                resource: text(resource),
                subresource,
                namespace: text(namespace),
                ..ResourceAttributes::default()
            });
        }
        Act::Path(path) => {
            spec.non_resource_attributes =
                Some(NonResourceAttributes { path: text(path), verb: text("get") });
        }
    }
    let review = SubjectAccessReview { spec, ..SubjectAccessReview::default() };
    let answer = Api::all(client.clone()).create(&PostParams::default(), &review).await?;
    Ok(answer.status.is_some_and(|status| status.allowed))
}

impl From<UserInfo> for Person {
    fn from(user: UserInfo) -> Self {
        let UserInfo { extra, groups, uid, username } = user;
        Self {
            name: username.unwrap_or_default(),
            uid,
            groups: groups.unwrap_or_default(),
            extra: extra.unwrap_or_default(),
        }
    }
}
