//! Commits the edits, pushes the commit, and opens a pull request if the ImageUpdate has one.
//!
//! Pushes are never forced: if the branch moved, the caller edits again. I/O: through the sources and the forges.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use holdfast_diff::image::edit::{Setting, Wanted, current};
use tracing::{info, instrument, warn};

use super::Pass;
use super::keep::{Branches, Content, keep};
use super::policy::{self, read};
use super::readers::Proven;
use super::scan::Scanned;
use crate::api::{Author, CommitStatus, PullRequest, PullRequestStatus};
use crate::forge::{self, Login, Target};
use crate::image::message::{self, Change, Committer, Links, Update, Version, WrittenScalar};
use crate::report::Failure;
use crate::secret_data::SecretData;
use crate::source::{
    Checkout, Credential, Location, NewCommit, OwnCommit, Person, PushError, PushTarget, Pushed, Signer,
};

/// Maximum duration of a push.
pub const LIMIT: Duration = Duration::from_mins(1);

/// A commit that was pushed.
pub struct Published {
    pub commit: CommitStatus,
    pub changes: Vec<Change>,
    /// The base, if the commit also contains commits of others.
    pub base: Option<String>,
}

/// The changes that are about to be committed.
pub struct Proposal<'a> {
    pub changes: &'a [Change],
    pub wanted: &'a Arc<Wanted>,
    /// True if an earlier pass proposed the same on the branch.
    pub is_earlier: bool,
    /// True if the branch that is read was requested just now.
    pub is_fresh: bool,
}

/// The result of a push.
pub enum Ended {
    Published(Published),
    /// The branch already contains all changes.
    Nothing,
    /// The branch moved and must be read again.
    Moved,
    /// A user deleted the branch of the same proposal.
    Deleted,
}

/// Commits and pushes.
#[instrument(name = "publish", skip_all, fields(update = %pass.owner))]
pub async fn publish(
    pass: &Pass<'_>,
    location: &Location,
    checkout: &Checkout,
    proven: &Proven,
    proposal: &Proposal<'_>,
) -> Result<Ended, Failure> {
    let _timer = pass.services.metrics.stage("publish");
    let spec = &pass.update.spec;
    let branch = spec.push_branch();
    let failed = |error: &PushError| Failure::of("publish", error);
    let Proposal { changes, wanted, is_earlier, is_fresh } = proposal;
    let own = pass.status.commit.as_ref().filter(|commit| commit.branch == branch);
    let onto = if branch == spec.branch() {
        PushTarget::head_of(checkout)
    } else {
        let base = pass.status.proposal.as_ref().and_then(|proposal| proposal.base.as_deref());
        let own = own.map(|commit| OwnCommit { commit: &commit.sha, base });
        let onto = pass.services.sources.onto(location, branch, checkout, own, LIMIT).await;
        onto.map_err(|error| failed(&error))?
    };
    if *is_earlier && own.is_some() && onto.head().is_none() {
        // It may have been merged before it was deleted, which an older read of the branch does not show.
        return Ok(if *is_fresh { Ended::Deleted } else { Ended::Moved });
    }
    let (commit, keeps) = new_commit(pass, checkout, &onto, proven, changes, wanted).await?;
    let base = keeps.then(|| checkout.id().to_string());
    let pushed = pass.services.sources.push(location, branch, &onto, &commit, LIMIT).await;
    let sha = match pushed {
        Ok(Pushed::Commit(id)) => id.to_string(),
        Ok(Pushed::Nothing) => return Ok(Ended::Nothing),
        Err(PushError::Moved { .. }) => {
            info!(update = %pass.owner, branch, "Push rejected because the branch moved; retrying");
            return Ok(Ended::Moved);
        }
        // The next read of the branch shows whether the commit arrived.
        Err(error @ PushError::Unknown { .. }) => {
            warn!(update = %pass.owner, branch, %error, "The result of a push is unknown; reading the branch again");
            return Ok(Ended::Moved);
        }
        Err(error) => return Err(failed(&error)),
    };
    info!(update = %pass.owner, branch, commit = sha, images = changes.len(), "Pushed new images");
    let commit = CommitStatus { sha, branch: branch.to_owned(), at: pass.now };
    Ok(Ended::Published(Published { commit, changes: changes.to_vec(), base }))
}

async fn new_commit(
    pass: &Pass<'_>,
    checkout: &Checkout,
    onto: &PushTarget,
    proven: &Proven,
    changes: &[Change],
    wanted: &Arc<Wanted>,
) -> Result<(NewCommit, bool), Failure> {
    let spec = pass.update.spec.commit.clone().unwrap_or_default();
    let author = spec
        .author
        .unwrap_or_else(|| Author { name: "Holdfast".to_owned(), email: "holdfast@localhost".to_owned() });
    let committer = spec.committer.unwrap_or_else(|| author.clone());
    let signs = Committer { name: committer.name.clone(), email: committer.email.clone() };
    let message = message::commit(spec.message.as_deref(), &spec.trailers, &signs, &update(pass), changes)
        .map_err(|error| Failure::user("publish", "MessageInvalid", format!("spec.commit: {error}")))?;
    let signer = match &spec.signing {
        Some(signing) => {
            let data = read(pass, Some(&signing.secret_ref)).await?.unwrap_or_default();
            let unfit = |error: String| {
                let message = format!("Secret {}: {error}", signing.secret_ref.name);
                Failure::user("publish", "SigningKeyUnreadable", message)
            };
            Some(Arc::new(Signer::from_secret(&data).map_err(|error| unfit(error.to_string()))?))
        }
        None => None,
    };
    let content = content(pass, checkout, onto, proven, wanted, &author).await?;
    let person = |Author { name, email }: Author| Person { name, email, at: pass.now };
    let keeps = content.keeps;
    let commit = NewCommit {
        base: checkout.clone(),
        changes: content.changes,
        grafts: content.grafts,
        author: person(author),
        committer: person(committer),
        message,
        signer,
    };
    Ok((commit, keeps))
}

/// Returns the edits combined with the commits of others. Reads the mirror if there are any.
async fn content(
    pass: &Pass<'_>,
    checkout: &Checkout,
    onto: &PushTarget,
    proven: &Proven,
    wanted: &Arc<Wanted>,
    Author { name, email }: &Author,
) -> Result<Content, Failure> {
    let (onto, base, files, wanted) = (onto.clone(), checkout.clone(), proven.files.clone(), wanted.clone());
    let (read, pushed) = (pass.update.spec.branch().to_owned(), pass.update.spec.push_branch().to_owned());
    let author = format!("{name} <{email}>");
    let keeping = tokio::task::spawn_blocking(move || {
        let branches = Branches { read: &read, pushed: &pushed, author: &author };
        keep(&onto, &base, &files, &wanted, &branches)
    });
    keeping.await.map_err(|error| Failure::internal("publish", error.to_string()))?
}

/// True if a user closed the pull request without merging it.
pub async fn is_closed(
    pass: &Pass<'_>,
    request: &PullRequest,
    credential: Option<&Credential>,
    number: i64,
) -> Result<bool, Failure> {
    let target = target(pass, request, credential).await?;
    let found = pass.images.pull_requests.is_refused(&target, number).await;
    found.map_err(|error| Failure::of("publish", &error))
}

fn update(pass: &Pass<'_>) -> Update {
    Update { namespace: pass.owner.namespace.clone(), name: pass.owner.name.clone() }
}

/// Returns the changes, image by image.
pub fn changes(proven: &Proven, scanned: &[Scanned]) -> Vec<Change> {
    let mut by_image: BTreeMap<&str, Vec<(&str, &Setting)>> = BTreeMap::new();
    for edited in &proven.files {
        for setting in &edited.settings {
            by_image.entry(&setting.image).or_default().push((&edited.file, setting));
        }
    }
    let changed = scanned.iter().filter_map(|one| {
        let image = one.image();
        let settings = by_image.get(image.name.as_str())?;
        let mut before: Vec<Version> = settings.iter().filter_map(|(_, setting)| version(setting)).collect();
        before.dedup();
        let place = |(file, setting): &(&str, &Setting)| WrittenScalar {
            file: (*file).to_owned(),
            line: setting.line as usize,
            path: setting.path.clone(),
        };
        let objects = proven.objects.iter().filter(|(name, ..)| *name == image.name);
        Some(Change {
            image: image.name.clone(),
            repository: image.repository.clone(),
            old: if before.len() == 1 { before.pop() } else { None },
            new: Version { tag: Some(one.best.clone()), digest: one.digest.clone() },
            places: settings.iter().map(place).collect(),
            objects: objects.map(|(_, object, sync)| format!("{object} ({sync})")).collect(),
            policy: policy::in_words(&image.policy),
        })
    });
    changed.collect()
}

/// Returns the previous version of a scalar, if it had one.
fn version(setting: &Setting) -> Option<Version> {
    let image = current(&setting.before, setting.part)?;
    let version = Version { tag: image.tag, digest: image.digest };
    Some(version).filter(|version| *version != Version::default())
}

/// Opens the pull request, or updates it.
pub async fn open(
    pass: &Pass<'_>,
    request: &PullRequest,
    credential: Option<&Credential>,
    changes: &[Change],
) -> Result<PullRequestStatus, Failure> {
    let target = target(pass, request, credential).await?;
    let spec = &pass.update.spec;
    let update = update(pass);
    let title = message::title(request.title.as_deref(), &update, changes).map_err(|error| {
        Failure::user("publish", "MessageInvalid", format!("spec.pullRequest.title: {error}"))
    })?;
    let page = target.page();
    let links = Links { provider: request.provider, page, branch: spec.push_branch().to_owned() };
    let wanted = forge::Wanted {
        head: spec.push_branch().to_owned(),
        base: spec.branch().to_owned(),
        title,
        body: message::description(&update, changes, Some(&links)),
        labels: request.labels.clone(),
    };
    let opened = pass.images.pull_requests.ensure(&target, &wanted).await;
    let forge::Opened { number, url, done, unlabelled } =
        opened.map_err(|error| Failure::of("publish", &error))?;
    if let Some(error) = unlabelled {
        warn!(update = %pass.owner, %error, "Pull request lacks labels");
    }
    info!(update = %pass.owner, number, ?done, "Pull request is open");
    Ok(PullRequestStatus { number, url })
}

/// Closes the pull request, since nothing is left to change.
pub async fn close(
    pass: &Pass<'_>,
    request: &PullRequest,
    credential: Option<&Credential>,
) -> Result<(), Failure> {
    let target = target(pass, request, credential).await?;
    let spec = &pass.update.spec;
    let comment = format!("{} already contains these changes.", spec.branch());
    let closed = pass.images.pull_requests.close(&target, spec.push_branch(), spec.branch(), &comment).await;
    closed.map(drop).map_err(|error| Failure::of("publish", &error))
}

async fn target(
    pass: &Pass<'_>,
    request: &PullRequest,
    credential: Option<&Credential>,
) -> Result<Target, Failure> {
    let unfit = |message: String| Failure::user("publish", "NoToken", message);
    let login = match &request.secret_ref {
        Some(secret) => {
            let data = read(pass, Some(secret)).await?.unwrap_or_default();
            let login = Login::read(SecretData::of(&data));
            Some(login.map_err(|error| unfit(format!("Secret {}: {error}", secret.name)))?)
        }
        None => credential.and_then(Credential::token).map(Login::of_token),
    };
    let login = login.ok_or_else(|| {
        let message =
            "the pull request needs a token: set spec.pullRequest.secretRef to a Secret with the key token";
        unfit(message.to_owned())
    })?;
    let login = login.or_ca(credential.and_then(Credential::ca));
    let (git, api) = (&pass.update.spec.git.url, request.url.as_deref());
    let target = pass.images.pull_requests.target(request.provider, git, api, &login, pass.now).await;
    target.map_err(|error| Failure::of("publish", &error))
}
