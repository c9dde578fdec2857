//! Which objects the agent applied itself. Every user with write access to an object can write its labels and annotations, and
//! backup tools copy them. So each object carries a mark that only the holder of the key of this installation can make, and
//! that is valid for one Sync and one object only.
//!
//! A mark is an Ed25519 signature (RFC 8032), so that a person with the public key can verify it, and a seal: a MAC over the
//! signature, which the agent verifies in a hundredth of the time, for every event of a watch. Both are deterministic, so a
//! mark is the same at every apply. Where the key comes from is in `key`. Pure.

pub mod key;

use aws_lc_rs::signature::{ED25519, Ed25519KeyPair, KeyPair as _, UnparsedPublicKey};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use hmac::{Hmac, KeyInit as _, Mac as _};
use holdfast_diff::applyset::{MARK, PART_OF, marked};
use holdfast_diff::object::ObjectId;
use holdfast_diff::standing::Standing;
use serde_json::Value;
use sha2::Sha256;
use zeroize::Zeroizing;

use crate::api::names;
use crate::sync_ref::SyncRef;

/// The secret that all keys of an installation are made of.
pub type Seed = Zeroizing<[u8; 32]>;

/// Bytes of a signature.
const SIGNATURE: usize = 64;
/// Bytes of a seal: what is cut off an HMAC-SHA256 leaves 128 bits.
const SEAL: usize = 16;
/// Makes the key of the seals another one than that of the signatures.
const SEALS: &[u8] = b"holdfast.dev/mark seal";

/// Makes and verifies the marks of one cluster.
pub struct Marks {
    cluster: String,
    keys: Keys,
}

enum Keys {
    /// Of the agent.
    Own { signing: Box<Ed25519KeyPair>, sealing: Zeroizing<[u8; 32]> },
    /// Of a person who plans.
    Public(UnparsedPublicKey<Vec<u8>>),
    /// Nothing can be verified, and why: marks are taken as claims.
    Unknown(String),
}

/// The owner of a live object.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Whose {
    /// The mark is valid: it was applied for this Sync.
    Of(SyncRef),
    /// It names this Sync, but the mark is not valid for the object.
    Claimed(SyncRef),
    /// It names no Sync.
    Unmarked,
}

/// The bytes are no key.
#[derive(Debug, thiserror::Error)]
#[error("not the seed of an Ed25519 key")]
pub struct SeedError;

impl Marks {
    /// With the key of the installation.
    pub fn own(cluster: &str, seed: &Seed) -> Result<Self, SeedError> {
        let signing = Ed25519KeyPair::from_seed_unchecked(&**seed).map_err(|_| SeedError)?;
        let sealing = Zeroizing::new(keyed(seed).chain_update(SEALS).finalize().into_bytes().into());
        Ok(Self { cluster: cluster.to_owned(), keys: Keys::Own { signing: Box::new(signing), sealing } })
    }

    /// With the public key of the installation, or why there is none; marks cannot be made. Without it they cannot be
    /// verified either.
    pub fn public(cluster: &str, key: Result<Vec<u8>, String>) -> Self {
        let keys = match key {
            Ok(key) => Keys::Public(UnparsedPublicKey::new(&ED25519, key)),
            Err(why) => Keys::Unknown(why),
        };
        Self { cluster: cluster.to_owned(), keys }
    }

    /// Why marks cannot be verified, if they cannot.
    pub fn unverified(&self) -> Option<&str> {
        match &self.keys {
            Keys::Unknown(why) => Some(why),
            Keys::Own { .. } | Keys::Public(_) => None,
        }
    }

    /// The public key of the installation, if this has the private one.
    pub fn public_key(&self) -> Option<&[u8]> {
        match &self.keys {
            Keys::Own { signing, .. } => Some(signing.public_key().as_ref()),
            Keys::Public(_) | Keys::Unknown(_) => None,
        }
    }

    /// A manifest with the mark that makes the object a member of a Sync's set. The manifest itself, where no marks can be
    /// made: that is enough for a dry run.
    pub fn stamp(&self, owner: &SyncRef, object: &ObjectId, manifest: &Value) -> Value {
        let mut value = manifest.clone();
        if let (Some(mark), Some(annotations)) = (
            self.mark(owner, object),
            value.pointer_mut("/metadata/annotations").and_then(Value::as_object_mut),
        ) {
            annotations.insert(MARK.to_owned(), mark.into());
        }
        value
    }

    /// The owner of a live object.
    pub fn whose(&self, object: &ObjectId, live: &Value) -> Whose {
        let annotations = live.pointer("/metadata/annotations");
        let text = |name: &str| annotations.and_then(|all| all.get(name)?.as_str());
        let Some(owner) = text(names::SYNC).and_then(SyncRef::parse) else { return Whose::Unmarked };
        if text(MARK).is_some_and(|mark| self.is_valid(&owner, object, mark)) {
            Whose::Of(owner)
        } else {
            Whose::Claimed(owner)
        }
    }

    /// How a live object stands to a Sync, which may know the names of some others.
    pub fn standing(
        &self,
        owner: &SyncRef,
        object: &ObjectId,
        live: &Value,
        may_name: impl FnOnce(&SyncRef) -> bool,
    ) -> Standing {
        let label = live.pointer("/metadata/labels").and_then(|labels| labels.get(PART_OF)?.as_str());
        match self.whose(object, live) {
            Whose::Of(other) if other == *owner => Standing::Ours,
            Whose::Of(other) => Standing::Others(may_name(&other).then(|| other.to_string())),
            Whose::Claimed(other) if other == *owner => Standing::Copied,
            _ if label.is_some_and(|label| label == owner.applyset()) => Standing::Copied,
            Whose::Claimed(_) | Whose::Unmarked => Standing::Foreign,
        }
    }

    /// True if an object, as the server stored it, lost the mark that it was sent with.
    pub fn is_lost(&self, owner: &SyncRef, object: &ObjectId, stored: &Value) -> bool {
        matches!(self.keys, Keys::Own { .. }) && self.whose(object, stored) != Whose::Of(owner.clone())
    }

    /// The mark of an object, if this has the private key.
    fn mark(&self, owner: &SyncRef, object: &ObjectId) -> Option<String> {
        let Keys::Own { signing, sealing } = &self.keys else { return None };
        let message = self.message(owner, object);
        let signature = signing.sign(&message);
        let seal = keyed(sealing).chain_update(&message).chain_update(signature.as_ref()).finalize();
        Some(URL_SAFE_NO_PAD.encode([signature.as_ref(), &seal.into_bytes()[..SEAL]].concat()))
    }

    fn is_valid(&self, owner: &SyncRef, object: &ObjectId, mark: &str) -> bool {
        let mut bytes = [0; SIGNATURE + SEAL];
        if URL_SAFE_NO_PAD.decode_slice(mark, &mut bytes) != Ok(bytes.len()) {
            return false;
        }
        let (signature, seal) = bytes.split_at(SIGNATURE);
        let message = self.message(owner, object);
        match &self.keys {
            Keys::Own { sealing, .. } => keyed(sealing)
                .chain_update(&message)
                .chain_update(signature)
                .verify_truncated_left(seal)
                .is_ok(),
            Keys::Public(key) => key.verify(&message, signature).is_ok(),
            Keys::Unknown(_) => true,
        }
    }

    fn message(&self, owner: &SyncRef, object: &ObjectId) -> Vec<u8> {
        marked(&self.cluster, owner.namespace(), owner.name(), object)
    }
}

fn keyed(key: &[u8; 32]) -> Hmac<Sha256> {
    // A shorter key is padded with zeros to a block by definition (RFC 2104).
    let mut block = [0; 64];
    block[..key.len()].copy_from_slice(key);
    Hmac::new(&block.into())
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use holdfast_diff::object::GroupKind;
    use serde_json::json;

    use super::*;

    fn marks(seed: u8) -> Marks {
        Marks::own("cluster", &Zeroizing::new([seed; 32])).expect("any 32 bytes are a seed")
    }

    fn object(group: &str, kind: &str, namespace: &str, name: &str) -> ObjectId {
        ObjectId::new(Arc::new(GroupKind::new(group, kind)), namespace, name)
    }

    /// An object as it is applied.
    fn applied(marks: &Marks, owner: &SyncRef, object: &ObjectId) -> Value {
        let manifest = json!({"metadata": {"labels": {PART_OF: owner.applyset()}, "annotations": {"holdfast.dev/sync": owner.to_string()}}});
        marks.stamp(owner, object, &manifest)
    }

    #[test]
    fn a_mark_is_valid_for_its_object_and_its_sync_and_for_nothing_else() {
        let (marks, owner) = (marks(1), SyncRef::new("team-a", "shop"));
        let own = object("apps", "Deployment", "team-a", "web");
        let live = applied(&marks, &owner, &own);
        assert_eq!(live, applied(&marks, &owner, &own), "a mark is the same at every apply");
        assert_eq!(marks.whose(&own, &live), Whose::Of(owner.clone()));
        for copy in [
            object("apps", "Deployment", "team-b", "web"),
            object("apps", "Deployment", "team-a", "web-2"),
            object("apps", "StatefulSet", "team-a", "web"),
            object("example.com", "Deployment", "team-a", "web"),
            object("apps", "Deployment", "", "web"),
        ] {
            assert_eq!(marks.whose(&copy, &live), Whose::Claimed(owner.clone()), "{copy}");
        }
        let mut other = live.clone();
        other["metadata"]["annotations"]["holdfast.dev/sync"] = "team-b/shop".into();
        assert_eq!(marks.whose(&own, &other), Whose::Claimed(SyncRef::new("team-b", "shop")));
        let elsewhere = Marks::own("another cluster", &Zeroizing::new([1; 32])).expect("a seed");
        assert_eq!(elsewhere.whose(&own, &live), Whose::Claimed(owner.clone()));
        assert_eq!(super::tests::marks(2).whose(&own, &live), Whose::Claimed(owner));
    }

    #[test]
    fn whoever_changes_a_mark_breaks_it() {
        let (marks, owner) = (marks(1), SyncRef::new("team-a", "shop"));
        let own = object("", "ConfigMap", "team-a", "a");
        let live = applied(&marks, &owner, &own);
        let public = Marks::public("cluster", Ok(marks.public_key().expect("a key").to_vec()));
        let mark = live["metadata"]["annotations"][MARK].as_str().expect("a mark").to_owned();
        let with = |mark: &str| {
            let mut live = live.clone();
            live["metadata"]["annotations"][MARK] = mark.into();
            live
        };
        assert_eq!(public.whose(&own, &live), Whose::Of(owner.clone()));
        let (signature, seal) = mark.split_at(80);
        let changed =
            |text: &str| text.replacen(|_: char| true, if text.starts_with('A') { "B" } else { "A" }, 1);
        let broken = [
            String::new(),
            "A".repeat(mark.len()),
            mark[1..].to_owned(),
            format!("{mark}A"),
            format!("{}{seal}", changed(signature)),
        ];
        for broken in &broken {
            for marks in [&marks, &public] {
                assert_eq!(marks.whose(&own, &with(broken)), Whose::Claimed(owner.clone()), "{broken}");
            }
        }
        let resealed = with(&format!("{signature}{}", changed(seal)));
        assert_eq!(marks.whose(&own, &resealed), Whose::Claimed(owner));
    }

    #[test]
    fn without_a_key_marks_are_claims_that_are_taken() {
        let (marks, owner) = (marks(1), SyncRef::new("team-a", "shop"));
        let own = object("", "ConfigMap", "team-a", "a");
        let live = applied(&marks, &owner, &own);
        let unknown = Marks::public("cluster", Err("no key".to_owned()));
        assert_eq!(unknown.whose(&own, &live), Whose::Of(owner.clone()));
        let unmarked = unknown.stamp(
            &owner,
            &own,
            &json!({"metadata": {"annotations": {"holdfast.dev/sync": "team-a/shop"}}}),
        );
        assert_eq!(unknown.whose(&own, &unmarked), Whose::Claimed(owner));
    }

    #[test]
    fn how_an_object_stands_to_a_sync() {
        let (marks, owner, other) =
            (marks(1), SyncRef::new("team-a", "shop"), SyncRef::new("team-b", "evil"));
        let own = object("", "ConfigMap", "team-a", "a");
        let check = |live: &Value, expected: &Standing| {
            assert_eq!(
                marks.standing(&owner, &own, live, |other| other.namespace() == "team-a"),
                *expected,
                "{live}"
            );
        };
        check(&applied(&marks, &owner, &own), &Standing::Ours);
        check(&applied(&marks, &other, &own), &Standing::Others(None));
        let neighbour = SyncRef::new("team-a", "other");
        check(&applied(&marks, &neighbour, &own), &Standing::Others(Some("team-a/other".to_owned())));
        check(&applied(&marks, &owner, &object("", "ConfigMap", "team-a", "b")), &Standing::Copied);
        check(&json!({"metadata": {"labels": {PART_OF: owner.applyset()}}}), &Standing::Copied);
        check(
            &json!({"metadata": {"annotations": {"holdfast.dev/sync": "team-b/evil"}}}),
            &Standing::Foreign,
        );
        check(&json!({"metadata": {}}), &Standing::Foreign);
    }
}
