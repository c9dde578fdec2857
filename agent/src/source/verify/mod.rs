//! Verifies who signed a commit or a tag, with public keys from a Secret, before anything of the commit is rendered.
//!
//! Follows `git verify-commit` and `git verify-tag`: a signature of a key that is unknown, expired or revoked is none. The keys are
//! trusted because they are in the Secret; no other chain of trust is read. I/O: reads of the mirror.

mod openpgp;
mod ssh;

use gix::objs::{CommitRefIter, Kind, TagRef, TagRefIter};
use jiff::Timestamp;

use self::openpgp::Certificates;
use self::ssh::AllowedSigners;
use super::{Checkout, GitRef, SourceError};
use crate::error::{Class, StageError};
use crate::secret_data::Data;

/// The file of a Secret with the SSH keys and their conditions, in the format of `ssh-keygen`.
const ALLOWED_SIGNERS: &str = "allowed_signers";

/// What has to be signed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Signed {
    /// The commit.
    Head,
    /// The tag that the ref names.
    Tag,
    /// Both.
    TagAndHead,
}

/// Public keys of those who may sign.
pub struct Signers {
    ssh: AllowedSigners,
    openpgp: Certificates,
}

/// Keys that cannot be used. The texts have the Secret as their subject: "it".
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BadSigners {
    #[error(
        "it has no public keys: add SSH keys as NAME.pub or allowed_signers, or OpenPGP keys as NAME.asc"
    )]
    None,
    #[error("its key {entry} cannot be used: {why}")]
    Entry { entry: String, why: String },
    #[error("line {line} of its key {entry} cannot be used: {why}")]
    Line { entry: String, line: usize, why: String },
}

/// Why a signature does not count.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Unsigned {
    #[error("it is not signed")]
    Not,
    #[error("its signature cannot be read: {0}")]
    Unreadable(String),
    #[error("it is signed with the key {0}, which is not among the keys of the Secret")]
    UnknownKey(String),
    #[error("its signature is not one of the key {0} over this content")]
    Bad(String),
    #[error("it is signed with the key {key}, {why}")]
    NotValid { key: String, why: String },
}

/// A commit that is not verified.
#[derive(Clone, Debug, thiserror::Error)]
pub enum VerifyError {
    #[error("{what} is not verified: {why}; nothing of it is applied")]
    Unverified { what: String, why: Unsigned },
    #[error(
        "{revision} is not verified: spec.source.git.verify demands a signed tag, and the ref is {found}; follow a tag (ref.tag, \
         ref.semver, or ref.name with refs/tags/), or set verify.mode to Head"
    )]
    NoTag { revision: String, found: String },
    #[error("the signed tag {found} was published as {wanted}: the name in its signature is another one")]
    OtherTag { wanted: String, found: String },
    #[error("the tag {tag} is signed, and points to another tag and not to a commit: tag the commit itself")]
    TagOfTag { tag: String },
    #[error(transparent)]
    Source(#[from] SourceError),
}

impl Signers {
    /// Reads the keys `*.pub`, `allowed_signers` and `*.asc` of a Secret. Each of them must be usable, so that a mistake does not make
    /// fewer keys count than a person believes.
    pub fn from_secret(data: &Data) -> Result<Self, BadSigners> {
        let mut signers = Self { ssh: AllowedSigners::default(), openpgp: Certificates::default() };
        for (name, bytes) in data {
            let extension = name.rsplit_once('.').map(|(_, extension)| extension);
            if name == ALLOWED_SIGNERS {
                signers.ssh.add_file(name, text(name, bytes)?)?;
            } else if extension == Some("pub") {
                signers.ssh.add_keys(name, text(name, bytes)?)?;
            } else if extension == Some("asc") {
                signers.openpgp.add(name, text(name, bytes)?)?;
            }
        }
        if signers.ssh.is_empty() && signers.openpgp.is_empty() {
            return Err(BadSigners::None);
        }
        Ok(signers)
    }

    /// Checks an armored signature over a content that was made at a time.
    fn check(&self, signature: &[u8], content: &[u8], at: Moments) -> Result<(), Unsigned> {
        let text =
            str::from_utf8(signature).map_err(|_| Unsigned::Unreadable("it is not text".to_owned()))?.trim();
        if text.starts_with("-----BEGIN SSH SIGNATURE-----") {
            self.ssh.check(text, content, at.made)
        } else if text.starts_with("-----BEGIN PGP SIGNATURE-----") {
            self.openpgp.check(text, content, at.now)
        } else {
            let what = if text.starts_with("-----BEGIN SIGNED MESSAGE-----") { "X.509" } else { "unknown" };
            let why = format!("its format ({what}) is not supported; sign with an SSH or an OpenPGP key");
            Err(Unsigned::Unreadable(why))
        }
    }
}

fn text<'a>(entry: &str, bytes: &'a [u8]) -> Result<&'a str, BadSigners> {
    str::from_utf8(bytes)
        .map_err(|_| BadSigners::Entry { entry: entry.to_owned(), why: "it is not text".to_owned() })
}

/// The times that the validity of keys depends on.
#[derive(Clone, Copy)]
struct Moments {
    now: Timestamp,
    /// When the commit or the tag was made, as it says itself. Git compares the validity of SSH keys with it.
    made: Timestamp,
}

impl Checkout {
    /// Returns an error unless the commit, or the tag that the ref names, is signed by one of the signers.
    pub fn verify(&self, signers: &Signers, signed: Signed, now: Timestamp) -> Result<(), VerifyError> {
        if signed != Signed::Head {
            self.verify_tag(signers, now)?;
        }
        if signed != Signed::Tag {
            self.verify_head(signers, now)?;
        }
        Ok(())
    }

    fn verify_head(&self, signers: &Signers, now: Timestamp) -> Result<(), VerifyError> {
        let data = self.tree.raw(self.tree.commit, Kind::Commit)?;
        let hash = self.tree.commit.kind();
        let unverified = |why| VerifyError::Unverified { what: self.described(), why };
        let found = CommitRefIter::signature(&data, hash)
            .map_err(|error| unverified(Unsigned::Unreadable(error.to_string())))?;
        let (signature, content) = found.ok_or_else(|| unverified(Unsigned::Not))?;
        let committed = CommitRefIter::from_bytes(&data, hash).committer().ok();
        let seconds = committed.and_then(|committer| committer.time().ok()).map_or(0, |time| time.seconds);
        let made = Timestamp::from_second(seconds).unwrap_or_default();
        let content = gix::bstr::BString::from(content);
        signers.check(&signature, &content, Moments { now, made }).map_err(unverified)
    }

    fn verify_tag(&self, signers: &Signers, now: Timestamp) -> Result<(), VerifyError> {
        let revision = self.tree.revision.short();
        let tag = match &self.reference {
            GitRef::Tag(_) | GitRef::Semver(_) => Some(&*self.tree.revision.name),
            GitRef::Name(name) => name.strip_prefix("refs/tags/"),
            GitRef::Branch(_) | GitRef::Commit(_) => None,
        };
        let no_tag = |found: &str| VerifyError::NoTag { revision: revision.clone(), found: found.to_owned() };
        let wanted = tag.ok_or_else(|| no_tag(&format!("the {}", self.reference)))?;
        if self.target == self.tree.commit {
            return Err(no_tag("a lightweight tag, which has no signature"));
        }
        let data = self.tree.raw(self.target, Kind::Tag)?;
        let unverified =
            |why| VerifyError::Unverified { what: format!("the tag {wanted} of {}", self.described()), why };
        let unreadable = || unverified(Unsigned::Unreadable("the tag cannot be read".to_owned()));
        let (signature, content) = TagRefIter::signature(&data).ok_or_else(|| unverified(Unsigned::Not))?;
        let parsed = TagRef::from_bytes(&data, self.target.kind()).map_err(|_| unreadable())?;
        let time = parsed.tagger().ok().flatten().and_then(|tagger| tagger.time().ok());
        let made = Timestamp::from_second(time.map_or(0, |time| time.seconds)).unwrap_or_default();
        let content = gix::bstr::BString::from(content);
        signers.check(signature.data, &content, Moments { now, made }).map_err(unverified)?;
        // The signature covers what the tag says, and not under which name it is published.
        if *parsed.name != *wanted.as_bytes() {
            let (wanted, found) = (wanted.to_owned(), parsed.name.to_string());
            return Err(VerifyError::OtherTag { wanted, found });
        }
        if parsed.target_kind != Kind::Commit || parsed.target() != self.tree.commit {
            return Err(VerifyError::TagOfTag { tag: wanted.to_owned() });
        }
        Ok(())
    }

    /// The commit with its author, for messages.
    fn described(&self) -> String {
        let commit = self.tree.revision.short();
        match self.commit() {
            Some((author, _)) => format!("the commit {commit} of {author}"),
            None => format!("the commit {commit}"),
        }
    }
}

impl StageError for VerifyError {
    fn class(&self) -> Class {
        match self {
            Self::Source(error) => error.class(),
            _ => Class::User,
        }
    }

    fn name(&self) -> &'static str {
        match self {
            Self::Source(error) => error.name(),
            _ => "Unverified",
        }
    }
}
