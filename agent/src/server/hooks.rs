//! `POST /hooks/<path>`: who may tell of news, and under which path.
//!
//! A call only causes a look: its body is never parsed, so nothing in it is believed, and a call that is sent again
//! does no harm. Leaves to others what a look is. The path of an owner has 256 bits that nobody can guess, is the same
//! after a restart, and changes with the token. I/O: the clock.

mod burst;
mod early;
mod page;
mod proof;
mod slots;
#[cfg(test)]
mod tests;

use std::collections::HashMap;
use std::fmt;
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

/// What the key of a path is made with, so that a path is never the signature of a body: who may read the path could
/// else send a body that is signed with it.
const LABEL: &[u8] = b"holdfast.dev/hooks/path\0";

/// Bytes of a block of SHA-256.
const BLOCK: usize = 64;

/// The kind of the object that a call is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum HookKind {
    Sync,
    ImageUpdate,
}

/// The object that a call is for.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct HookOwner {
    pub kind: HookKind,
    pub namespace: String,
    pub name: String,
}

impl fmt::Display for HookOwner {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { kind, namespace, name } = self;
        let kind = match kind {
            HookKind::Sync => "Sync",
            HookKind::ImageUpdate => "ImageUpdate",
        };
        write!(f, "{kind}/{namespace}/{name}")
    }
}

/// Who calls, and what proves it.
#[derive(Clone)]
pub struct Endpoint {
    pub provider: HookProvider,
    pub token: Token,
}

/// Causes a look. Must return at once.
pub type OnCall = Arc<dyn Fn(HookOwner) + Send + Sync>;

/// The endpoints of all owners. Cheap to clone.
#[derive(Clone)]
pub struct Hooks {
    table: Arc<RwLock<Table>>,
    early: Arc<Mutex<Early>>,
    bursts: Bursts,
}

/// What a path is looked up by.
type Key = [u8; 32];

/// An owner stands in both maps, or in none.
#[derive(Default)]
struct Table {
    paths: HashMap<HookOwner, Key>,
    endpoints: HashMap<Key, (HookOwner, Endpoint)>,
}

impl Table {
    fn remove(&mut self, owner: &HookOwner) {
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

    /// Begins to remember calls of paths that are not set yet, since the agent is starting. Each causes a look once its path
    /// is set.
    pub fn start(&self) {
        self.early.lock().open(Instant::now());
    }

    /// Takes calls for an owner, in place of what was set before. Returns the path: `/hooks/…`.
    pub fn set(&self, owner: HookOwner, endpoint: Endpoint) -> String {
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

    /// Takes no more calls for an owner.
    pub fn remove(&self, owner: &HookOwner) {
        self.table.write().remove(owner);
    }

    /// What stands under a key, which is the last part of a path. How long this takes tells nothing: the hash that is looked up is keyed
    /// by chance of this process, and of 256 bits no part can be tried alone.
    fn find(&self, key: &Key) -> Option<(HookOwner, Endpoint)> {
        self.table.read().endpoints.get(key).cloned()
    }

    /// Remembers a call of a path that is not set, as [`Early::note`] does.
    fn note_early(&self, key: Key) -> Option<bool> {
        self.early.lock().note(key, Instant::now())
    }
}

/// The path of an owner.
fn key(token: &Token, owner: &HookOwner) -> Key {
    let secret = Sha256::new().chain_update(LABEL).chain_update(token.0.as_bytes()).finalize();
    let mut mac = keyed(&secret);
    mac.update(owner.to_string().as_bytes());
    mac.finalize().into_bytes().into()
}

fn keyed(secret: &[u8]) -> Hmac<Sha256> {
    // As RFC 2104 has it: a key that is longer than a block is hashed, a shorter one filled up with zeros.
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
