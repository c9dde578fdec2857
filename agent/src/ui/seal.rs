//! Proof that a form was made by this process for this visitor, so that no other site can send it. I/O: randomness.

use hmac::{Hmac, KeyInit as _, Mac as _};
use sha2::Sha256;

/// The key of one process. A form outlives no restart: the page is loaded again.
pub struct Seal([u8; 32]);

impl Seal {
    pub fn new() -> Self {
        Self(random())
    }

    /// The proof for a visitor.
    pub fn of(&self, visitor: &str) -> String {
        hex::encode(self.mac(visitor).finalize().into_bytes())
    }

    /// True if the proof is of this visitor. Takes as long for a wrong one as for the right one.
    pub fn holds(&self, visitor: &str, proof: &str) -> bool {
        hex::decode(proof).is_ok_and(|proof| self.mac(visitor).verify_slice(&proof).is_ok())
    }

    fn mac(&self, visitor: &str) -> Hmac<Sha256> {
        // A key of 32 bytes is shorter than a block of SHA-256 (64), which takes keys of any length up to it.
        let mut block = [0; 64];
        block.iter_mut().zip(self.0).for_each(|(to, from)| *to = from);
        let mut mac = Hmac::new(&block.into());
        mac.update(visitor.as_bytes());
        mac
    }
}

/// Bytes that cannot be guessed.
pub fn random() -> [u8; 32] {
    let mut bytes = [0; 32];
    aws_lc_rs::rand::fill(&mut bytes).expect("the generator of the system gives 32 bytes");
    bytes
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_proof_holds_for_its_visitor_and_its_process_alone() {
        let (seal, other) = (Seal::new(), Seal::new());
        let proof = seal.of("alice");
        assert!(seal.holds("alice", &proof));
        for (seal, visitor, proof) in
            [(&seal, "bob", &*proof), (&other, "alice", &proof), (&seal, "alice", ""), (&seal, "alice", "zz")]
        {
            assert!(!seal.holds(visitor, proof), "{visitor} {proof}");
        }
    }
}
