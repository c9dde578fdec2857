//! The names of a ref on the server, in the mirror, and in a revision. Pure.

use gix::ObjectId;

use super::{GitRef, Location, Revision, SourceError};

/// Parses the id of a commit.
pub fn parse_commit(location: &Location, id: &str) -> Result<ObjectId, SourceError> {
    ObjectId::from_hex(id.as_bytes()).map_err(|_| SourceError::RefNotFound {
        url: location.to_string(),
        reference: format!("commit {id}"),
        near: "; a commit is named by all 40 hex digits".to_owned(),
    })
}

/// Returns the full name of the ref on the server.
pub fn server_name(reference: &GitRef, tag: Option<&str>) -> String {
    match reference {
        GitRef::Branch(name) => format!("refs/heads/{name}"),
        GitRef::Tag(name) => format!("refs/tags/{name}"),
        GitRef::Semver(_) => format!("refs/tags/{}", tag.unwrap_or_default()),
        GitRef::Name(name) | GitRef::Commit(name) => name.clone(),
    }
}

/// Returns the refspec of the request, with the name under which the mirror keeps the ref.
pub fn refspec(reference: &GitRef, tag: Option<&str>) -> String {
    let name = server_name(reference, tag);
    match reference {
        GitRef::Commit(id) => format!("{id}:refs/holdfast/commits/{id}"),
        _ => format!("+{name}:refs/holdfast/{}", name.trim_start_matches("refs/")),
    }
}

/// Returns the revision: the commit, and the name by which it was found.
pub fn revision(reference: &GitRef, tag: Option<&str>, commit: ObjectId) -> Revision {
    let name = match reference {
        GitRef::Branch(name) | GitRef::Tag(name) | GitRef::Name(name) => name.clone(),
        GitRef::Semver(range) => tag.unwrap_or(range).to_owned(),
        GitRef::Commit(_) => "commit".to_owned(),
    };
    Revision { name, commit: commit.to_string() }
}
