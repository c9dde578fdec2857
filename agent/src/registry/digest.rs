//! The digest of a manifest or a blob: `sha256:…`. Pure.

use std::fmt;

use sha2::{Digest as _, Sha256, Sha512};

/// A digest with a known algorithm.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ImageDigest {
    kind: Kind,
    hex: Box<str>,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(super) enum Kind {
    #[default]
    Sha256,
    Sha512,
}

impl ImageDigest {
    /// Parses `sha256:` or `sha512:` and lower-case hexadecimal digits.
    pub fn parse(text: &str) -> Option<Self> {
        let (kind, hex) = text.trim().split_once(':')?;
        let (kind, length) = match kind {
            "sha256" => (Kind::Sha256, 64),
            "sha512" => (Kind::Sha512, 128),
            _ => return None,
        };
        let digit = |byte: u8| byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte);
        (hex.len() == length && hex.bytes().all(digit)).then(|| Self { kind, hex: hex.into() })
    }

    pub(super) fn kind(&self) -> Kind {
        self.kind
    }
}

impl Kind {
    /// Returns the digest of bytes.
    pub fn of(self, bytes: &[u8]) -> ImageDigest {
        let hex = match self {
            Self::Sha256 => hex::encode(Sha256::digest(bytes)),
            Self::Sha512 => hex::encode(Sha512::digest(bytes)),
        };
        ImageDigest { kind: self, hex: hex.into() }
    }
}

impl fmt::Display for ImageDigest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let kind = match self.kind {
            Kind::Sha256 => "sha256",
            Kind::Sha512 => "sha512",
        };
        write!(f, "{kind}:{}", self.hex)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_digest_is_read_strictly() {
        let empty = "sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";
        assert_eq!(ImageDigest::parse(empty).as_ref(), Some(&Kind::Sha256.of(b"")));
        assert_eq!(Kind::Sha256.of(b"").to_string(), empty);
        let long = Kind::Sha512.of(b"a");
        assert_eq!(ImageDigest::parse(&long.to_string()), Some(long));
        for text in
            ["", "sha256:", "sha256:e3b0", &empty.to_uppercase(), "md5:00", &empty[7..], &format!("{empty}0")]
        {
            assert_eq!(ImageDigest::parse(text), None, "{text}");
        }
    }
}
