//! Tests of asking, against servers that answer as the documentation of registries says, and as no registry should.
#![expect(clippy::unwrap_used, reason = "tests")]

mod content;
mod faults;
mod hosted;
mod lists;
mod server;

use std::time::Duration;

use super::*;
use crate::error::StageError as _;
use server::Server;

/// Long for what answers at once, on a busy machine too.
const LONG: Duration = Duration::from_secs(20);
const NOW: Duration = Duration::ZERO;

/// The tags of a repository, or the error.
async fn tags(registries: &Registries, access: &Access) -> Result<Vec<String>, RegistryError> {
    let tags = registries.list(access, NOW, LONG).await?;
    Ok(tags.iter().map(ToOwned::to_owned).collect())
}

/// Checks the variant and parts of the message of an error; no error has secrets.
fn check(error: &RegistryError, name: &str, parts: &[&str]) {
    assert_eq!(error.name(), name, "{error}");
    let said = format!("{error} {error:?}");
    for part in parts {
        assert!(said.contains(part), "{part}: {said}");
    }
    for secret in ["hunter2", "aHVudGVyM", "h1dden"] {
        assert!(!said.contains(secret), "{said}");
    }
}
