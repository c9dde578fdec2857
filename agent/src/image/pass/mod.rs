//! One pass of an ImageUpdate: scan, edit, prove, publish, and again from the new head if the branch moved meanwhile.
//!
//! Composes the stages of the image loop. I/O: through the stages.

pub mod bans;
pub mod edits;
pub mod explain;
mod keep;
mod merge;
pub mod owners;
pub mod policy;
pub mod proof;
mod proposal;
pub mod publish;
pub mod readers;
mod renames;
pub mod scan;

use std::sync::Arc;
use std::time::Duration;

use holdfast_diff::image::reference::Reference;
use jiff::Timestamp;
use tracing::instrument;

use self::edits::{Editor, Edits, Plain};
use self::publish::{Ended, Published};
use self::scan::Scanned;
use crate::api::{ImageStatus, ImageUpdate, ImageUpdateStatus, ProposalStatus, PullRequestStatus, Refusal};
use crate::image::Images;
use crate::reconcile::services::Services;
use crate::report::{Failure, NewValue};
use crate::source::{Checkout, Credential, GitRef, Location};
use crate::subject::Subject;

/// Maximum number of attempts to push if others push too.
const TRIES: u32 = 6;
/// The maximum pause before the second try. It doubles up to [`LONGEST`]. Clients that push all the time do not wait, so a
/// longer pause would not help.
const PAUSE: Duration = Duration::from_millis(50);
const LONGEST: Duration = Duration::from_millis(400);

/// One ImageUpdate in one pass.
pub struct Pass<'a> {
    pub services: &'a Services,
    pub images: &'a Images,
    pub update: &'a ImageUpdate,
    pub owner: &'a Subject,
    pub status: &'a ImageUpdateStatus,
    /// Maximum age of the response of a registry.
    pub max_age: Duration,
    /// Maximum age of the refs of the repository. A push to an older commit is refused, and then the refs are read again.
    pub git_age: Duration,
    /// Blobs that have no marker.
    pub plain: &'a Arc<Plain>,
    /// The other ImageUpdates of the namespace.
    pub others: Vec<Arc<ImageUpdate>>,
    pub now: Timestamp,
    /// Returns random numbers from 0 to 1, for pauses.
    pub chance: fn() -> f64,
}

/// The findings of a pass.
#[derive(Default)]
pub struct Found {
    /// The status of the images.
    pub images: Vec<ImageStatus>,
    pub published: Option<Published>,
    /// The open pull request.
    pub pull_request: NewValue<PullRequestStatus>,
    pub proposal: NewValue<ProposalStatus>,
    /// Failures that do not stop the pass.
    pub failures: Vec<Failure>,
    /// Why updates wait.
    pub held: Vec<String>,
    pub stay: Vec<String>,
    /// Tags that are not candidates because of their content.
    pub left_out: Vec<String>,
    /// Syncs that could not prove anything, and why.
    pub unproven: Vec<String>,
    /// Images that no marker and no target names, with the reason.
    pub unmarked: Vec<String>,
    /// The reason of the suspension. The pass does nothing while it is set.
    pub suspended: Option<String>,
}

/// Runs one pass.
#[instrument(name = "image", skip_all, fields(update = %pass.owner))]
pub async fn pass(pass: &Pass<'_>) -> Found {
    let mut found = Found { images: known(pass), ..Found::default() };
    found.suspended = suspended(pass);
    if found.suspended.is_some() {
        return found;
    }
    let scanned = scan::scan(pass, &mut found.failures).await;
    found.left_out = scanned.iter().filter_map(Scanned::left_out_in_words).collect();
    if scanned.is_empty() {
        return found;
    }
    if let Err(failure) = write(pass, scanned, &mut found).await {
        found.failures.push(failure);
    }
    found
}

/// Writes the selected versions to Git.
async fn write(pass: &Pass<'_>, scanned: Vec<Scanned>, found: &mut Found) -> Result<(), Failure> {
    let (location, credential) = place(pass).await?;
    let scanned = Arc::new(scanned);
    let wanted: Vec<_> = scanned.iter().map(|one| (one.image().name.clone(), reference(one))).collect();
    let mut max_age = pass.git_age;
    let mut pause = PAUSE;
    for _ in 0..TRIES {
        let checkout = checkout(pass, &location, max_age).await?;
        let edits = edits(pass, &checkout, scanned.clone(), found.images.clone()).await?;
        let unmarked =
            edits.found.keys().filter_map(|image| edits.unmarked(image, &pass.owner.namespace)).collect();
        let Edits { files, stay, problems, found: _, foreign: _, right, images, wanted: texts, unread: _ } =
            edits;
        found.images = images;
        selected(found, &scanned, pass.now, |image| right.contains(image));
        found.stay = stay;
        found.unmarked = unmarked;
        let failed = |said: &String| Failure::user("edit", "EditRefused", said.clone());
        let earlier = found.failures.iter().filter(|failure| failure.reason != "EditRefused").cloned();
        found.failures = earlier.chain(problems.iter().map(failed)).collect();
        let proven =
            readers::prove(pass, &location, pass.update.spec.branch(), &checkout, files, &wanted).await;
        found.held.clone_from(&proven.held);
        found.unproven.clone_from(&proven.unproven);
        if let Some(failure) = proven.failure {
            return Err(failure);
        }
        if proven.files.is_empty() {
            return close_obsolete(pass, credential.as_ref(), found).await;
        }
        let changes = publish::changes(&proven, &scanned);
        let images = proposal::images(&changes);
        let is_earlier = is_refused(pass, &images, credential.as_ref(), found).await;
        let Some(is_earlier) = is_earlier else { return Ok(()) };
        let proposed = publish::Proposal {
            changes: &changes,
            wanted: &Arc::new(texts),
            is_earlier,
            is_fresh: max_age.is_zero(),
        };
        match publish::publish(pass, &location, &checkout, &proven, &proposed).await? {
            Ended::Published(published) => {
                let changes = &published.changes;
                selected(found, &scanned, pass.now, |image| changes.iter().any(|one| one.image == image));
                if published.commit.branch == pass.update.spec.branch() {
                    written(found, &proven);
                    found.proposal = NewValue::Set(None);
                } else {
                    let base = published.base.clone();
                    found.proposal = NewValue::Set(Some(ProposalStatus { images, base, refused: None }));
                }
                let opened = open(pass, credential.as_ref(), changes).await;
                found.published = Some(published);
                found.pull_request = opened?;
                return Ok(());
            }
            Ended::Nothing => {
                let is_open = pass.status.pull_request.is_some();
                if is_proposal(pass) {
                    let base = pass.status.proposal.as_ref().and_then(|proposal| proposal.base.clone());
                    found.proposal = NewValue::Set(Some(ProposalStatus { images, base, refused: None }));
                }
                if !is_open {
                    found.pull_request = open(pass, credential.as_ref(), &changes).await?;
                }
                return Ok(());
            }
            Ended::Deleted => {
                refuse(pass, images, Refusal::BranchDeleted, found);
                return Ok(());
            }
            Ended::Moved => {}
        }
        tokio::time::sleep(pause.mul_f64((pass.chance)())).await;
        pause = LONGEST.min(pause * 2);
        max_age = Duration::ZERO;
    }
    let message =
        format!("others pushed to {} {TRIES} times in a row; retrying", pass.update.spec.push_branch());
    Err(Failure::transient("publish", "BranchMoved", message))
}

/// Returns the reason if the ImageUpdate is suspended.
fn suspended(pass: &Pass<'_>) -> Option<String> {
    pass.update.spec.suspend.as_ref()?.holds(pass.now)
}

/// Returns the status of the images that are still in the spec.
fn known(pass: &Pass<'_>) -> Vec<ImageStatus> {
    let wanted = &pass.update.spec.images;
    let known = pass.status.images.iter().filter(|known| wanted.iter().any(|image| image.name == known.name));
    known.cloned().collect()
}

/// Returns the location of the repository, and its credentials.
async fn place(pass: &Pass<'_>) -> Result<(Location, Option<Credential>), Failure> {
    let git = &pass.update.spec.git;
    let secret = policy::login(pass.services, pass.owner, git);
    let credential = match policy::read(pass, secret.as_ref()).await? {
        Some(data) => Some(Credential::from_secret(&data).map_err(|error| Failure::of("source", &error))?),
        None => None,
    };
    let location =
        Location::parse(&git.url, credential.clone()).map_err(|error| Failure::of("source", &error))?;
    let namespace = &pass.owner.namespace;
    Ok((location.for_tenant(namespace).within(pass.services.policy.domain(namespace)), credential))
}

async fn checkout(pass: &Pass<'_>, location: &Location, max_age: Duration) -> Result<Checkout, Failure> {
    let reference = GitRef::Branch(pass.update.spec.branch().to_owned());
    let checkout = pass.services.sources.checkout(location, &reference, max_age, publish::LIMIT).await;
    checkout.map_err(|error| Failure::of("source", &error))
}

async fn edits(
    pass: &Pass<'_>,
    checkout: &Checkout,
    scanned: Arc<Vec<Scanned>>,
    images: Vec<ImageStatus>,
) -> Result<Edits, Failure> {
    let failed = |said: String| Failure::user("edit", "EditRefused", said);
    let path = pass.update.spec.git.path.as_deref().unwrap_or_default();
    let folder = checkout.folder(path).map_err(|error| Failure::of("source", &error))?;
    let (files, commit) = (checkout.files(), checkout.id().to_string());
    let (namespace, plain) = (pass.owner.namespace.clone(), pass.plain.clone());
    let all = std::iter::once(pass.update).chain(pass.others.iter().map(|other| &**other));
    let names: Vec<String> =
        all.flat_map(|update| &update.spec.images).map(|image| image.name.clone()).collect();
    let now = pass.now;
    let editing = tokio::task::spawn_blocking(move || {
        let is_known = |name: &str| names.iter().any(|known| known == name);
        let editor = Editor {
            files: &files,
            folder: &folder,
            commit: &commit,
            namespace: &namespace,
            scanned: &scanned,
            is_known: &is_known,
            plain: &plain,
            now,
        };
        editor.edits(images)
    });
    let edited = editing.await.map_err(|error| Failure::internal("edit", error.to_string()))?;
    edited.map_err(|error| failed(error.to_string()))
}

fn reference(scanned: &Scanned) -> Reference {
    let repository = scanned.image().repository.clone();
    Reference { repository, tag: Some(scanned.best.clone()), digest: scanned.digest.clone() }
}

/// True if the changes are pushed to a branch of their own.
fn is_proposal(pass: &Pass<'_>) -> bool {
    pass.update.spec.push_branch() != pass.update.spec.branch()
}

/// Returns whether an earlier pass proposed the same. `None` if a user refused it: nothing is done then.
async fn is_refused(
    pass: &Pass<'_>,
    images: &[String],
    credential: Option<&Credential>,
    found: &mut Found,
) -> Option<bool> {
    let Some(earlier) = proposal::earlier(pass, images).filter(|_| is_proposal(pass)) else {
        return Some(false);
    };
    let branch = pass.update.spec.push_branch();
    if let Some(refused) = &earlier.refused {
        found.stay.push(proposal::in_words(images, refused, branch));
        return None;
    }
    let (Some(request), Some(open)) = (&pass.update.spec.pull_request, &pass.status.pull_request) else {
        return Some(true);
    };
    match publish::is_closed(pass, request, credential, open.number).await {
        Ok(true) => {
            refuse(pass, images.to_vec(), Refusal::PullRequestClosed, found);
            None
        }
        Ok(false) => Some(true),
        Err(failure) => {
            found.failures.push(failure);
            Some(true)
        }
    }
}

/// Records that a user refused the proposal.
fn refuse(pass: &Pass<'_>, images: Vec<String>, how: Refusal, found: &mut Found) {
    let proposal = proposal::refused(pass, images, how);
    if let Some(refused) = &proposal.refused {
        found.stay.push(proposal::in_words(&proposal.images, refused, pass.update.spec.push_branch()));
    }
    found.proposal = NewValue::Set(Some(proposal));
    found.pull_request = NewValue::Set(None);
}

/// Closes the open pull request, since nothing is left to change.
async fn close_obsolete(
    pass: &Pass<'_>,
    credential: Option<&Credential>,
    found: &mut Found,
) -> Result<(), Failure> {
    let is_over = found.held.is_empty() && found.stay.is_empty() && found.failures.is_empty();
    if is_over && pass.status.proposal.is_some() {
        found.proposal = NewValue::Set(None);
    }
    let (Some(request), Some(_)) = (&pass.update.spec.pull_request, &pass.status.pull_request) else {
        return Ok(());
    };
    if is_over {
        publish::close(pass, request, credential).await?;
        found.pull_request = NewValue::Set(None);
    }
    Ok(())
}

async fn open(
    pass: &Pass<'_>,
    credential: Option<&Credential>,
    changes: &[crate::image::message::Change],
) -> Result<NewValue<PullRequestStatus>, Failure> {
    match &pass.update.spec.pull_request {
        Some(request) => Ok(NewValue::Set(Some(publish::open(pass, request, credential, changes).await?))),
        None => Ok(NewValue::Unchanged),
    }
}

/// Records the scalars that have the selected versions now.
fn written(found: &mut Found, proven: &readers::Proven) {
    for edited in &proven.files {
        for setting in &edited.settings {
            if let Some(image) = found.images.iter_mut().find(|image| image.name == setting.image) {
                bans::right(image, &bans::ScalarRef::of(&edited.file, setting), &setting.after);
            }
        }
    }
}

/// Records the selected versions of the images that Git or a pull request has.
fn selected(found: &mut Found, scanned: &[Scanned], now: Timestamp, has: impl Fn(&str) -> bool) {
    for one in scanned.iter().filter(|one| has(&one.image().name)) {
        let name = &one.image().name;
        let Some(known) = found.images.iter_mut().find(|known| known.name == *name) else { continue };
        let (tag, digest) = (Some(one.best.clone()), one.digest.clone());
        if known.tag == tag && known.digest == digest {
            continue;
        }
        known.previous = known.tag.take().map(|tag| version(&tag, known.digest.as_deref()));
        known.image = Some(reference(one).to_string());
        (known.tag, known.digest, known.since) = (tag, digest, Some(now));
    }
}

fn version(tag: &str, digest: Option<&str>) -> String {
    digest.map_or_else(|| tag.to_owned(), |digest| format!("{tag}@{digest}"))
}
