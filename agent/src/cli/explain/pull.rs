//! The pull request by which a commit came to its branch: as the forge of a Repository says it, or as the commit says it.
//! I/O: API reads, the forge.

use std::sync::Arc;

use anyhow::Context as _;
use jiff::Timestamp;
use k8s_openapi::api::core::v1::Secret;
use kube::api::ListParams;
use kube::{Api, Client as Kube, ResourceExt as _};
use serde::Serialize;

use crate::api::{ApprovalOrigin, Repository, Sync};
use crate::forge::review::{Client, Origin};
use crate::forge::{Login, Session};
use crate::secret_data::{Data, SecretData};
use crate::source::Location;
use crate::sync_ref::SyncRef;

/// A pull request.
#[derive(Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Pull {
    pub number: i64,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub url: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub title: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub author: Option<String>,
}

/// As the forge says it, if a Repository in the namespace of the Sync is about the source of the Sync.
pub async fn pull(client: &Kube, owner: &SyncRef, sync: &Sync, commit: &str) -> anyhow::Result<Option<Pull>> {
    let all = Api::<Repository>::namespaced(client.clone(), owner.namespace());
    let all = all.list(&ListParams::default()).await.context("cannot list the Repositories")?.items;
    let Ok(location) = Location::parse(&sync.spec.source.git.url, None) else { return Ok(None) };
    let is_it = |one: &Repository| {
        Location::parse(&one.spec.url, None).is_ok_and(|other| location.is_same_repository(&other))
    };
    let Some(repository) = all.into_iter().find(is_it) else { return Ok(None) };
    let (name, spec) = (repository.name_any(), &repository.spec);
    let secrets = Api::<Secret>::namespaced(client.clone(), owner.namespace());
    let secret = &spec.secret_ref.name;
    let found = secrets
        .get(secret)
        .await
        .with_context(|| format!("cannot read Secret {secret} of Repository {name}"))?;
    let data: Data = found.data.unwrap_or_default().into_iter().map(|(key, value)| (key, value.0)).collect();
    let login = Login::read(SecretData::of(&data)).with_context(|| format!("Secret {secret}"))?;
    let session = Arc::new(Session::default());
    let (api, now) = (spec.api_url.as_deref(), Timestamp::now());
    let target = session.target(spec.provider, &spec.url, api, &login, now).await?;
    let origin = Client::new(session).origin(&target, commit).await?;
    Ok(origin.map(|Origin { number, url, title, author }| Pull {
        number,
        url: Some(url).filter(|url| !url.is_empty()),
        title: Some(title),
        author: Some(author.login),
    }))
}

/// As the Approval or the first line of the commit says it.
pub fn guess(subject: &str, given: Option<&ApprovalOrigin>) -> Option<Pull> {
    let number = given.map(|given| given.pull_request).or_else(|| number(subject))?;
    Some(Pull { number, url: None, title: None, author: None })
}

/// The number in `Merge pull request #7 from …`, `Title (#7)`, `Merge pull request 'Title' (#7) from …` or `Title (!7)`.
fn number(subject: &str) -> Option<i64> {
    let digits = |text: &str| {
        let end = text.find(|letter: char| !letter.is_ascii_digit()).unwrap_or(text.len());
        text.get(..end)?.parse().ok()
    };
    if let Some(rest) = subject.strip_prefix("Merge pull request #") {
        return digits(rest);
    }
    let marks = ["(#", "(!"];
    // The last one is that of the forge: a title can have others.
    let found = marks.iter().filter_map(|mark| subject.rfind(mark).map(|at| at + mark.len())).max()?;
    let rest = subject.get(found..)?;
    let number: i64 = digits(rest)?;
    let after = rest.trim_start_matches(|letter: char| letter.is_ascii_digit());
    let is_whole =
        after == ")" || (after.starts_with(") from ") && subject.starts_with("Merge pull request '"));
    is_whole.then_some(number)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_number_is_in_the_first_line_of_a_merge() {
        for (subject, expected) in [
            ("Merge pull request #12 from org/branch", Some(12)),
            ("Merge pull request 'Fix (#1) again' (#34) from change into main", Some(34)),
            ("Update web to 1.2 (#56)", Some(56)),
            ("Revert \"Update web (#5)\" (#6)", Some(6)),
            ("Update web (!78)", Some(78)),
            ("Update web, see #9", None),
            ("Fix (#7) at last", None),
            ("Merge branch 'x' into 'main'", None),
            ("", None),
        ] {
            assert_eq!(number(subject), expected, "{subject}");
        }
    }
}
