//! The Syncs of this cluster that read what is to be changed: those that are suspended hold it back, and all others prove
//! that nothing but images changes.
//!
//! I/O: disk reads of the mirror, Helm; no request to the API server beyond what a render needs.

use std::collections::BTreeSet;
use std::sync::Arc;

use holdfast_diff::files::Versioned;
use holdfast_diff::image::edit::Setting;
use holdfast_diff::image::reference::Reference;
use holdfast_diff::object::Manifest;
use jiff::Timestamp;
use kube::ResourceExt as _;
use tracing::instrument;

use super::Pass;
use super::edits::Edited;
use super::overlay::Overlay;
use super::proof::{Compared, Proof, compare};
use crate::api::{Render, Sync};
use crate::reconcile::limits::Limits;
use crate::reconcile::{Run, inputs};
use crate::render::outside::Outside;
use crate::render::{self, Inputs, Job};
use crate::report::Failure;
use crate::source::{Checkout, Location};
use crate::sync_ref::SyncRef;

/// What was found out about an edit.
#[derive(Default)]
pub struct Proven {
    pub files: Vec<Edited>,
    /// Objects whose images change: the name of the image, the object, and its Sync.
    pub objects: BTreeSet<(String, String, String)>,
    /// Why something is held back.
    pub held: Vec<String>,
    /// What else would have changed: nothing is committed then.
    pub failure: Option<Failure>,
}

/// Looks at all Syncs that read this branch of the repository.
#[instrument(name = "prove", skip_all, fields(update = %pass.owner))]
pub async fn prove(
    pass: &Pass<'_>,
    location: &Location,
    branch: &str,
    checkout: &Checkout,
    mut files: Vec<Edited>,
    wanted: &[(String, Reference)],
) -> Proven {
    let mut proven = Proven::default();
    let all = pass.context.cluster.syncs.state();
    let syncs: Vec<Arc<Sync>> = all.into_iter().filter(|sync| reads_branch(sync, location, branch)).collect();
    if pass.update.spec.respect_suspend {
        for sync in &syncs {
            let owner = SyncRef::new(sync.namespace().unwrap_or_default(), sync.name_any());
            let suspend = sync.spec.suspend.as_ref();
            let Some(why) = suspend.and_then(|suspend| suspend.holds(pass.now)) else { continue };
            let before = files.len();
            files.retain(|edited| !reads(pass, sync, &owner, checkout, std::slice::from_ref(edited)));
            if files.len() < before {
                proven.held.push(format!("Sync {owner}, which reads what would change, is {why}"));
            }
        }
    }
    for sync in &syncs {
        let owner = SyncRef::new(sync.namespace().unwrap_or_default(), sync.name_any());
        if files.is_empty() || !reads(pass, sync, &owner, checkout, &files) {
            continue;
        }
        match one(pass, sync, &owner, checkout, &files, wanted).await {
            Ok(compared) if compared.others.is_empty() => {
                for (id, images) in compared.objects {
                    let named = |image| (image, id.to_string(), owner.to_string());
                    proven.objects.extend(images.into_iter().map(named));
                }
            }
            Ok(Compared { others, omitted, .. }) => {
                let more = if omitted > 0 { format!("; and {omitted} more") } else { String::new() };
                let message = format!(
                    "nothing is committed, for more than images would change in Sync {owner}: {}{more}",
                    others.join("; ")
                );
                proven.failure = Some(Failure::user("edit", "ProofFailed", message));
                return proven;
            }
            Err(said) => {
                let message = format!(
                    "nothing is committed, for it cannot be told what would change in Sync {owner}: {said}"
                );
                proven.failure = Some(Failure::user("edit", "ProofImpossible", message));
                return proven;
            }
        }
    }
    proven.files = files;
    proven
}

/// True if a Sync follows this branch of the repository, however it reaches it.
fn reads_branch(sync: &Sync, location: &Location, branch: &str) -> bool {
    let git = &sync.spec.source.git;
    let follows = match &git.reference {
        None => branch == "main",
        Some(reference) => {
            let name = format!("refs/heads/{branch}");
            reference.branch.as_deref() == Some(branch) || reference.name.as_deref() == Some(&name)
        }
    };
    let other = Location::parse(&git.url, None);
    follows
        && sync.metadata.deletion_timestamp.is_none()
        && other.is_ok_and(|other| other.is_same_repository(location))
}

/// True if a Sync would read something else with these changes; also if that is not known.
fn reads(pass: &Pass<'_>, sync: &Sync, owner: &SyncRef, checkout: &Checkout, files: &[Edited]) -> bool {
    let commit = checkout.files();
    let changed = files.iter().map(|edited| (edited.file.as_str(), edited.after.as_slice()));
    let overlay = Overlay::new(&commit, changed);
    if let Some(reads) = pass.context.memories.reads(owner) {
        return reads.matches(&overlay).is_none();
    }
    checkout.folder(sync.spec.path.as_deref().unwrap_or_default()).is_ok()
}

/// Renders a Sync before and after.
async fn one(
    pass: &Pass<'_>,
    sync: &Arc<Sync>,
    owner: &SyncRef,
    checkout: &Checkout,
    files: &[Edited],
    wanted: &[(String, Reference)],
) -> Result<Compared, String> {
    let status = sync.status.clone().unwrap_or_default();
    let run = Run {
        context: pass.context,
        sync,
        owner,
        status: &status,
        now: Timestamp::now(),
        limits: Limits::default(),
    };
    let path = sync.spec.path.as_deref().unwrap_or_default();
    let folder = checkout.folder(path).map_err(|error| error.to_string())?;
    let is_chart = inputs::is_chart(sync, &checkout.files(), &folder);
    let inputs = inputs::inputs(&run, is_chart).await.map_err(|failure| failure.message)?;
    let options = sync.spec.render.clone().unwrap_or_default();
    // Another team's values are not for this one to see, and what was decrypted or came from a Secret for nobody.
    let is_ours = owner.namespace() == pass.owner.namespace();
    let shows_values = is_ours && !inputs.secret && inputs.keys.is_none();
    let (commit, outside) = (checkout.files(), pass.context.outside.clone());
    let (files, wanted) = (files.to_vec(), wanted.to_vec());
    let comparing = tokio::task::spawn_blocking(move || {
        let work = Work { folder: &folder, options: &options, inputs: &inputs, outside: &outside };
        let changed = files.iter().map(|edited| (edited.file.as_str(), edited.after.as_slice()));
        let before = work.manifests(&commit)?;
        let after = work.manifests(&Overlay::new(&commit, changed))?;
        let settings: Vec<&Setting> = files.iter().flat_map(|edited| &edited.settings).collect();
        Ok::<_, String>(compare(
            &before,
            &after,
            &Proof { settings: &settings, wanted: &wanted, shows_values },
        ))
    });
    comparing.await.map_err(|error| error.to_string())?
}

struct Work<'a> {
    folder: &'a str,
    options: &'a Render,
    inputs: &'a Inputs,
    outside: &'a Outside,
}

impl Work<'_> {
    fn manifests(&self, files: &dyn Versioned) -> Result<Vec<Manifest>, String> {
        let Self { folder, options, inputs, outside } = *self;
        let job = Job { folder, options, inputs, outside: Some(outside) };
        let rendered = render::render(files, &job).0.map_err(|error| error.to_string())?;
        let (fruit, _) = rendered.fruit(inputs.keys.as_ref()).map_err(|error| error.to_string())?;
        Ok(fruit.manifests)
    }
}
