//! The data key of a file: from the first key of each group that opens, and by Shamir's scheme if there are groups.
//!
//! Pure.

use super::enc::Cipher;
use super::error::SopsError;
use super::keys::{Keys, Shut};
use super::metadata::{Metadata, Wrapped};
use super::scalar::Secret;
use super::shamir;

/// The cipher of a file.
pub(super) fn open(file: &str, metadata: &Metadata, keys: Option<&Keys>) -> Result<Cipher, SopsError> {
    let file = || file.to_owned();
    if metadata.is_elsewhere() {
        return Err(SopsError::KeyElsewhere { file: file(), services: metadata.recipients() });
    }
    let Some(keys) = keys else {
        return Err(SopsError::NoKey { file: file(), recipients: metadata.recipients() });
    };
    let mut broken = Vec::new();
    let mut shares: Vec<Secret> =
        metadata.groups.iter().filter_map(|group| share(group, keys, &mut broken)).collect();
    if shares.len() < metadata.threshold {
        return Err(match (broken.pop(), shares.len(), metadata.threshold) {
            (Some(reason), ..) => SopsError::DataKey { file: file(), reason },
            (None, 0, _) => SopsError::NoKeyFits {
                file: file(),
                recipients: metadata.recipients(),
                given: keys.names().join(", "),
            },
            (None, have, need) => {
                SopsError::TooFewGroups { file: file(), have, need, recipients: metadata.recipients() }
            }
        });
    }
    let key = if metadata.groups.len() == 1 { shares.pop() } else { shamir::combine(&shares) };
    let reason = "it is not of 32 bytes; encrypt the file anew".to_owned();
    key.and_then(|key| Cipher::new(&key)).ok_or_else(|| SopsError::DataKey { file: file(), reason })
}

/// The share that a group holds.
fn share(group: &[Wrapped], keys: &Keys, broken: &mut Vec<String>) -> Option<Secret> {
    group.iter().find_map(|wrapped| match keys.open(wrapped) {
        Ok(share) => Some(share),
        Err(Shut::NotOurs) => None,
        Err(Shut::Broken(reason)) => {
            broken.push(reason);
            None
        }
    })
}
