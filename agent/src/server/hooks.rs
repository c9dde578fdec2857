//! `POST /hooks/<path>`: the webhook endpoints of Syncs and ImageUpdates.
//!
//! The payload is not trusted: a call only triggers a check of the server, so its body is never parsed, and a replayed call does
//! no harm. Leaves the check to the caller. The path of an owner has 256 bits that cannot be guessed, is the same after a
//! restart, and changes with the token. I/O: the clock.

mod burst;
mod early;
mod page;
mod proof;
mod slots;
#[cfg(test)]
mod tests;

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Instant;

use hmac::{Hmac, KeyInit as _, Mac as _};
use parking_lot::{Mutex, RwLock};
use sha2::{Digest as _, Sha256};

use self::burst::Bursts;
use self::early::Early;
pub(super) use self::page::{PACE, routes};
use super::token::Token;
use crate::api::HookProvider;
use crate::subject::Subject;

/// Prefix of the key of a path. It makes sure that a path is never the signature of a body, since users who may read the path
/// could otherwise send that body.
const LABEL: &[u8] = b"holdfast.dev/hooks/path\0";

/// Bytes of a block of SHA-256.
const BLOCK: usize = 64;

/// The service that calls, and the token that it proves to have.
#[derive(Clone)]
pub struct Endpoint {
    pub provider: HookProvider,
    pub token: Token,
}

/// Requests a check of the server. Must return at once.
pub type OnCall = Arc<dyn Fn(Subject) + Send + Sync>;

/// The endpoints of all owners. Cheap to clone.
#[derive(Clone)]
pub struct Hooks {
    table: Arc<RwLock<Table>>,
    early: Arc<Mutex<Early>>,
    bursts: Bursts,
}

/// The key by which a path is found.
type Key = [u8; 32];

/// An owner is in both maps or in none.
#[derive(Default)]
struct Table {
    paths: HashMap<Subject, Key>,
    endpoints: HashMap<Key, (Subject, Endpoint)>,
}

impl Table {
    fn remove(&mut self, owner: &Subject) {
        if let Some(key) = self.paths.remove(owner) {
            self.endpoints.remove(&key);
        }
    }
}

impl Hooks {
    /// Calls `on_call` at once for the first call of a burst, and once more at its end.
    pub fn new(on_call: OnCall) -> Self {
        Self { table: Arc::default(), early: Arc::default(), bursts: Bursts::new(on_call) }
    }

    /// Remembers calls of paths that are not set yet, while the agent is starting. Each causes a check once its path is set.
    pub fn start(&self) {
        self.early.lock().open(Instant::now());
    }

    /// Accepts calls for an owner, and replaces its previous endpoint. Returns the path: `/hooks/…`.
    pub fn set(&self, owner: Subject, endpoint: Endpoint) -> String {
        let key = key(&endpoint.token, &owner);
        {
            let mut table = self.table.write();
            table.remove(&owner);
            table.paths.insert(owner.clone(), key);
            table.endpoints.insert(key, (owner.clone(), endpoint));
        }
        if self.early.lock().take(&key) {
            self.bursts.call(owner);
        }
        format!("/hooks/{}", hex::encode(key))
    }

    /// Accepts no more calls for an owner.
    pub fn remove(&self, owner: &Subject) {
        self.table.write().remove(owner);
    }

    /// Finds the endpoint of a key, which is the last part of a path. Its duration reveals nothing: the hash map is keyed by a random
    /// value of this process, and the 256 bits cannot be tried in parts.
    fn find(&self, key: &Key) -> Option<(Subject, Endpoint)> {
        self.table.read().endpoints.get(key).cloned()
    }

    /// Remembers a call of a path that is not set, as [`Early::note`] does.
    fn note_early(&self, key: Key) -> Option<bool> {
        self.early.lock().note(key, Instant::now())
    }
}

/// The path of an owner.
fn key(token: &Token, owner: &Subject) -> Key {
    let secret = Sha256::new().chain_update(LABEL).chain_update(token.0.as_bytes()).finalize();
    let mut mac = keyed(&secret);
    let Subject { kind, namespace, name } = owner;
    mac.update(format!("{kind}/{namespace}/{name}").as_bytes());
    mac.finalize().into_bytes().into()
}

fn keyed(secret: &[u8]) -> Hmac<Sha256> {
    // RFC 2104: a key that is longer than a block is hashed, and a shorter one is padded with zeros.
    let long = (secret.len() > BLOCK).then(|| Sha256::digest(secret));
    let mut block = [0; BLOCK];
    block.iter_mut().zip(long.as_deref().unwrap_or(secret)).for_each(|(to, from)| *to = *from);
    Hmac::new(&block.into())
}

/// Reads 64 digits, of either case.
fn unhex(text: &[u8]) -> Option<Key> {
    let mut bytes = Key::default();
    hex::decode_to_slice(text, &mut bytes).ok()?;
    Some(bytes)
}
