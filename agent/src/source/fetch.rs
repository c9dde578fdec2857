//! Requests a ref from a server, and the pack if its commit is not in the mirror. I/O: network, disk.

use std::num::NonZeroU32;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use gix::ObjectId;
use gix::bstr::ByteSlice as _;
use gix::protocol::handshake::Ref;
use gix::remote::Direction;
use gix::remote::fetch::{Shallow, Tags};
use parking_lot::MutexGuard;
use tracing::warn;

use super::progress::Received;
use super::reference::{highest, last};
use super::repository::Repository;
use super::transport::{Connection, Peer};
use super::{GitRef, SourceError};
use crate::disk::Usage;

/// A pack may use this fraction of the cache folder: a quarter.
const PACK: u64 = 4;

/// Selects the highest tag in the range.
pub fn choose_tag(peer: &Peer<'_>, repository: &Repository, range: &str) -> Result<String, SourceError> {
    let tags = list(peer, repository, "refs/tags/")?;
    highest(&peer.location.to_string(), range, &tags).map(str::to_owned)
}

/// Lists the names of the refs below a folder, without the folder.
fn list(peer: &Peer<'_>, repository: &Repository, folder: &str) -> Result<Vec<String>, SourceError> {
    let repo = repository.git.to_thread_local();
    let Connection { transport, said } = peer.connect()?;
    let failed = |error: gix::Error| said.explain(&error);
    let spec = format!("+{folder}*:refs/holdfast/list/*");
    let remote = repo
        .remote_at_without_url_rewrite(peer.location.url.as_str())
        .and_then(|remote| {
            remote.with_fetch_tags(Tags::None).with_refspecs([spec.as_str()], Direction::Fetch)
        })
        .map_err(&failed)?;
    let client = remote.to_connection_with_transport(transport).with_credentials(|_| Ok(None));
    let (map, _) =
        client.ref_map(gix::progress::Discard, gix::remote::ref_map::Options::default()).map_err(&failed)?;
    Ok(map
        .remote_refs
        .iter()
        .filter_map(|found| Some(name_of(found).strip_prefix(folder)?.to_owned()))
        .collect())
}

/// What is requested from a server.
pub struct RefRequest<'a> {
    pub peer: &'a Peer<'a>,
    pub reference: &'a GitRef,
    pub spec: &'a str,
    pub interrupt: &'a Arc<AtomicBool>,
    pub usage: &'a Usage,
}

/// Requests the ref from the server, and the pack if the commit is not in the mirror.
pub fn fetch<'a>(
    asking: &RefRequest<'_>,
    repository: &Repository,
    turn: impl FnOnce() -> Option<MutexGuard<'a, ()>>,
) -> Result<ObjectId, SourceError> {
    let RefRequest { peer, reference, spec, interrupt, usage } = *asking;
    let Peer { location, limit, .. } = *peer;
    let repo = repository.git.to_thread_local();
    let Connection { transport, said } = peer.connect()?;
    let failed = |error: gix::Error| said.explain(&error);
    let remote = repo
        .remote_at_without_url_rewrite(peer.location.url.as_str())
        .and_then(|remote| remote.with_fetch_tags(Tags::None).with_refspecs([spec], Direction::Fetch))
        .map_err(&failed)?;
    let client = remote.to_connection_with_transport(transport).with_credentials(|_| Ok(None));
    let prepared = client
        .prepare_fetch(gix::progress::Discard, gix::remote::ref_map::Options::default())
        .map_err(&failed)?;
    let map = prepared.ref_map();
    let found = map.mappings.first().and_then(|mapping| mapping.remote.as_id().map(ToOwned::to_owned));
    let Some(id) = found else {
        drop(prepared);
        return Err(missing(peer, repository, reference));
    };
    if repository.peel(id).is_some() {
        return Ok(id);
    }
    let Some(_turn) = turn() else {
        return Err(SourceError::Timeout { url: location.to_string(), seconds: limit.as_secs() });
    };
    // Another pack may have delivered it meanwhile.
    if repository.peel(id).is_some() {
        return Ok(id);
    }
    let domain = location.domain().to_string();
    if !usage.admits(&domain) {
        return Err(SourceError::CacheFull { url: location.to_string(), domain });
    }
    let one = Shallow::DepthAtRemote(NonZeroU32::MIN);
    // If the server does not support shallow fetches, the whole history is fetched.
    let depth = if said.can_be_shallow() { one } else { Shallow::NoChange };
    if !said.can_be_shallow() && repo.is_shallow().unwrap_or(false) {
        repository.note_broken();
        let said = "the server no longer supports shallow clones; the mirror is fetched again".to_owned();
        return Err(SourceError::Git { url: location.to_string(), said });
    }
    let received = Received::new(usage.limit() / PACK, interrupt.clone());
    let outcome = prepared.with_shallow(depth).receive(received.clone(), interrupt);
    match outcome {
        _ if received.is_too_much() => {
            Err(SourceError::TooLarge { url: location.to_string(), limit: usage.limit() / PACK })
        }
        Ok(_) => {
            usage.grow(&domain, received.bytes());
            Ok(id)
        }
        Err(error) => {
            let error = failed(error);
            if let (GitRef::Commit(_), SourceError::Git { said, .. }) = (reference, &error) {
                warn!(error = %said, "Server does not serve a commit by its id");
                return Err(SourceError::RefNotFound {
                    url: peer.location.to_string(),
                    reference: reference.to_string(),
                    near:
                        "; the server may not serve commits by their id: name a branch or a tag that has it"
                            .to_owned(),
                });
            }
            // A full disk of the server is not a full disk of the agent.
            if matches!(error, SourceError::DiskFull { .. })
                && is_short(repository.folder(), usage.limit() / PACK)
            {
                usage.no_room();
            }
            Err(error)
        }
    }
}

/// True if the disk has less free space than one pack may need.
fn is_short(folder: &Path, wanted: u64) -> bool {
    rustix::fs::statvfs(folder)
        .is_ok_and(|disk| disk.f_bavail.saturating_mul(disk.f_frsize) < wanted || disk.f_favail == 0)
}

fn name_of(found: &Ref) -> String {
    found.unpack().0.to_str_lossy().into_owned()
}

/// Explains why a ref was not found, and lists the existing names.
fn missing(peer: &Peer<'_>, repository: &Repository, reference: &GitRef) -> SourceError {
    let url = peer.location.to_string();
    let folder = if matches!(reference, GitRef::Tag(_)) { "refs/tags/" } else { "refs/heads/" };
    let near = match list(peer, repository, folder) {
        Ok(names) if names.is_empty() && folder == "refs/heads/" => {
            return SourceError::EmptyRepository { url };
        }
        Ok(names) if names.is_empty() => "; there are none".to_owned(),
        Ok(names) => format!("; there are {}", last(&names)),
        Err(error) => return error,
    };
    SourceError::RefNotFound { url, reference: reference.to_string(), near }
}
