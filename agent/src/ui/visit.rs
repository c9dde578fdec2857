//! A request of a visitor: who it is, and which resources the visitor may read. I/O: API requests about visitors.

use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::sync::Arc;

use axum::extract::{ConnectInfo, FromRequestParts};
use axum::http::HeaderMap;
use axum::http::request::Parts;
use axum::response::{IntoResponse, Response};
use kube::ResourceExt as _;

use super::access::Visitor;
use super::answer;
use super::desk::Desk;
use super::live::Live;
use super::pages::Frame;
use super::rights::May;
use super::who::visitor;
use crate::api::{Approval, ImageUpdate, Repository, Sync};
use crate::cluster::people::PersonError;
use crate::sync_ref::SyncRef;

/// Anything that a visitor may read, or the answer in its place.
pub type Found<T> = Result<T, Instead>;

/// An answer in place of what was requested.
pub struct Instead(Box<Response>);

/// A request, and who sends it.
pub struct Visit {
    pub desk: Arc<Desk>,
    pub headers: HeaderMap,
    pub visitor: Visitor,
    pub live: Arc<Live>,
    /// What was just done, in words.
    pub done: Option<&'static str>,
}

/// A Sync that the visitor may read.
pub struct ReadSync {
    pub sync: Arc<Sync>,
    /// The newest Approvals, if the visitor may read them.
    pub approvals: Vec<Arc<Approval>>,
    pub may: May,
}

impl From<Response> for Instead {
    fn from(answer: Response) -> Self {
        Self(Box::new(answer))
    }
}

impl IntoResponse for Instead {
    fn into_response(self) -> Response {
        *self.0
    }
}

impl FromRequestParts<Arc<Desk>> for Visit {
    type Rejection = Instead;

    /// Lets a visitor in, once there is something to show.
    async fn from_request_parts(parts: &mut Parts, desk: &Arc<Desk>) -> Result<Self, Instead> {
        let path = parts.uri.path_and_query().map_or("/", |path| path.as_str()).to_owned();
        let ConnectInfo(peer) = ConnectInfo::<SocketAddr>::from_request_parts(parts, desk)
            .await
            .map_err(IntoResponse::into_response)?;
        let (desk, headers) = (desk.clone(), parts.headers.clone());
        let visitor = match visitor(&desk, &headers, peer.ip()).await {
            Ok(visitor) => visitor,
            Err(refusal) => return Err(answer::refused(&desk, &headers, &path, &refusal).into()),
        };
        match desk.live() {
            Some(live) => Ok(Self { desk, headers, visitor, live, done: None }),
            None => Err(answer::not_yet(&desk, &headers, Some(&visitor)).into()),
        }
    }
}

impl Visit {
    /// The frame of a page for the visitor.
    pub fn frame(&self) -> Frame {
        self.desk.frame(Some(&self.visitor), self.done)
    }

    /// What does not exist, or may not be read.
    pub fn not_found(&self) -> Instead {
        answer::not_found(&self.desk, &self.headers, Some(&self.visitor)).into()
    }

    fn unknown(&self, error: &PersonError) -> Instead {
        answer::unknown_rights(&self.desk, &self.headers, &self.visitor, &error.to_string()).into()
    }

    /// Those of these resources that the visitor may read.
    async fn readable<K: kube::Resource>(&self, resource: &str, all: Vec<Arc<K>>) -> Found<Vec<Arc<K>>> {
        let namespaces: BTreeSet<String> = all.iter().filter_map(|one| one.namespace()).collect();
        let readable = self.desk.rights.namespaces(&self.visitor, resource, namespaces).await;
        let readable = readable.map_err(|error| self.unknown(&error))?;
        let may = |one: &Arc<K>| one.namespace().is_some_and(|namespace| readable.contains(&namespace));
        Ok(all.into_iter().filter(may).collect())
    }

    pub async fn syncs(&self) -> Found<Vec<Arc<Sync>>> {
        self.readable("syncs", self.live.syncs.state()).await
    }

    pub async fn updates(&self) -> Found<Vec<Arc<ImageUpdate>>> {
        self.readable("imageupdates", self.live.updates.state()).await
    }

    pub async fn repositories(&self) -> Found<Vec<Arc<Repository>>> {
        self.readable("repositories", self.live.repositories.state()).await
    }

    /// A Sync with what the visitor may do; not found if it may not be read.
    pub async fn sync(&self, name: &SyncRef) -> Found<ReadSync> {
        let (rights, namespace) = (&self.desk.rights, name.namespace());
        let asked = async {
            if !rights.reads(&self.visitor, "syncs", namespace).await? {
                return Ok(None);
            }
            let Some(sync) = self.live.sync(name) else { return Ok(None) };
            let reads = rights.reads(&self.visitor, "approvals", namespace).await?;
            let approvals = if reads { self.live.approvals(name) } else { Vec::new() };
            let may = rights.of(&self.visitor, namespace).await?;
            Ok(Some(ReadSync { sync, approvals, may }))
        };
        let found = asked.await.map_err(|error| self.unknown(&error))?;
        found.ok_or_else(|| self.not_found())
    }

    /// Turns an error about rights into an answer.
    pub fn known<T>(&self, answer: Result<T, PersonError>) -> Found<T> {
        answer.map_err(|error| self.unknown(&error))
    }
}
