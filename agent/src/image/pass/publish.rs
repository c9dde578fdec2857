//! What was edited becomes one commit, pushed to its branch; and a pull request, where one is wanted.
//!
//! Never forced: who was faster is left alone, and the caller edits again. I/O: through the sources and the forges.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use holdfast_diff::image::edit::{Setting, current};
use tracing::{info, instrument, warn};

use super::Pass;
use super::policy::{self, read};
use super::readers::Proven;
use super::scan::Scanned;
use crate::api::{Author, CommitStatus, PullRequest, PullRequestStatus};
use crate::image::message::{self, Change, Committer, Links, Place, Update, Version};
use crate::image::pull_request::{self, Target};
use crate::report::Failure;
use crate::source::{Checkout, Credential, Location, NewCommit, Onto, Person, PushError, Pushed, Signer};

/// How long a push may take.
pub const LIMIT: Duration = Duration::from_mins(1);

/// A commit that was pushed.
pub struct Published {
    pub commit: CommitStatus,
    pub changes: Vec<Change>,
}

/// How a push ended.
pub enum Ended {
    Published(Published),
    /// The branch has all of it already.
    Nothing,
    /// Somebody was faster: look again.
    Moved,
}

/// Commits and pushes.
#[instrument(name = "publish", skip_all, fields(update = %pass.owner))]
pub async fn publish(
    pass: &Pass<'_>,
    location: &Location,
    checkout: &Checkout,
    proven: &Proven,
    scanned: &[Scanned],
) -> Result<Ended, Failure> {
    let _timer = pass.context.metrics.stage("publish");
    let spec = &pass.update.spec;
    let branch = spec.push_branch();
    let failed = |error: &PushError| Failure::of("publish", error);
    let changes = changes(proven, scanned);
    let commit = new_commit(pass, checkout, proven, &changes).await?;
    let onto = if branch == spec.branch() {
        Onto::head_of(checkout)
    } else {
        let onto = pass.context.sources.onto(location, branch, checkout, LIMIT).await;
        onto.map_err(|error| failed(&error))?
    };
    let pushed = pass.context.sources.push(location, branch, &onto, &commit, LIMIT).await;
    let sha = match pushed {
        Ok(Pushed::Commit(id)) => id.to_string(),
        Ok(Pushed::Nothing) => return Ok(Ended::Nothing),
        Err(PushError::Moved { .. }) => {
            info!(update = %pass.owner, branch, "Somebody was faster, and it is tried again");
            return Ok(Ended::Moved);
        }
        // The branch itself tells, when it is looked at again: what arrived is there then.
        Err(error @ PushError::Unknown { .. }) => {
            warn!(update = %pass.owner, branch, %error, "Looks at the branch again");
            return Ok(Ended::Moved);
        }
        Err(error) => return Err(failed(&error)),
    };
    info!(update = %pass.owner, branch, commit = sha, images = changes.len(), "Pushed new images");
    let commit = CommitStatus { sha, branch: branch.to_owned(), at: pass.now };
    Ok(Ended::Published(Published { commit, changes }))
}

async fn new_commit(
    pass: &Pass<'_>,
    checkout: &Checkout,
    proven: &Proven,
    changes: &[Change],
) -> Result<NewCommit, Failure> {
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
    let person = |Author { name, email }: Author| Person { name, email, at: pass.now };
    Ok(NewCommit {
        base: checkout.clone(),
        changes: proven.files.iter().map(|edited| (edited.file.clone(), edited.after.clone())).collect(),
        author: person(author),
        committer: person(committer),
        message,
        signer,
    })
}

fn update(pass: &Pass<'_>) -> Update {
    Update { namespace: pass.owner.namespace().to_owned(), name: pass.owner.name().to_owned() }
}

/// What changed, image by image.
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
        let place = |(file, setting): &(&str, &Setting)| Place {
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

/// What a scalar said before, if it names a version.
fn version(setting: &Setting) -> Option<Version> {
    let image = current(&setting.before, setting.part)?;
    let version = Version { tag: image.tag, digest: image.digest };
    Some(version).filter(|version| *version != Version::default())
}

/// Opens the pull request for what was pushed, or makes it as it should be.
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
    let wanted = pull_request::Wanted {
        head: spec.push_branch().to_owned(),
        base: spec.branch().to_owned(),
        title,
        body: message::description(&update, changes, Some(&links)),
        labels: request.labels.clone(),
    };
    let opened = pass.context.pull_requests.ensure(&target, &wanted).await;
    let pull_request::Opened { number, url, done, unlabelled } =
        opened.map_err(|error| Failure::of("publish", &error))?;
    if let Some(error) = unlabelled {
        warn!(update = %pass.owner, %error, "Pull request lacks labels");
    }
    info!(update = %pass.owner, number, ?done, "Pull request is open");
    Ok(PullRequestStatus { number, url })
}

/// Closes the pull request, since there is nothing left for it to change.
pub async fn close(
    pass: &Pass<'_>,
    request: &PullRequest,
    credential: Option<&Credential>,
) -> Result<(), Failure> {
    let target = target(pass, request, credential).await?;
    let spec = &pass.update.spec;
    let comment = format!("{} has all of this now.", spec.branch());
    let closed = pass.context.pull_requests.close(&target, spec.push_branch(), spec.branch(), &comment).await;
    closed.map(drop).map_err(|error| Failure::of("publish", &error))
}

async fn target(
    pass: &Pass<'_>,
    request: &PullRequest,
    credential: Option<&Credential>,
) -> Result<Target, Failure> {
    let token = match &request.secret_ref {
        Some(secret) => {
            let data = read(pass, Some(secret)).await?.unwrap_or_default();
            data.get("token").map(|token| String::from_utf8_lossy(token).into_owned())
        }
        None => credential.and_then(Credential::token).map(ToOwned::to_owned),
    };
    let token = token.ok_or_else(|| {
        let message =
            "the pull request needs a token: name a Secret with the key token in spec.pullRequest.secretRef";
        Failure::user("publish", "NoToken", message)
    })?;
    let ca = credential.and_then(Credential::ca);
    let git = &pass.update.spec.git.url;
    Target::parse(request.provider, git, request.url.as_deref(), &token, ca)
        .map_err(|error| Failure::of("publish", &error))
}
