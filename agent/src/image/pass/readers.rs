//! The Syncs that read the files to be changed: a suspended one holds the change back, and all others must prove that
//! only images change. Each is rendered from its own mirror. Syncs of other namespaces take part only in some cases,
//! and are not named in messages.
//!
//! I/O: disk reads of the mirror, Helm; no request to the API server beyond what a render needs.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use holdfast_diff::image::edit::Setting;
use holdfast_diff::image::reference::Reference;
use holdfast_diff::object::Manifest;
use kube::ResourceExt as _;
use tracing::instrument;

use super::Pass;
use super::edits::Edited;
use super::proof::{Compared, Proof, compare};
use crate::api::Sync;
use crate::progress::Progress;
use crate::reconcile::inputs::{self, Gather};
use crate::reconcile::services::Services;
use crate::reconcile::sync_at::SyncAt;
use crate::reconcile::{render, source};
use crate::render::changed::Changed;
use crate::render::order::Order;
use crate::render::{File, Inputs};
use crate::report::Failure;
use crate::source::{Checkout, GitRef, Location};
use crate::sync_ref::SyncRef;

/// The result of the proof.
#[derive(Default)]
pub struct Proven {
    pub files: Vec<Edited>,
    /// Objects whose images change: the name of the image, the object, and its Sync.
    pub objects: BTreeSet<(String, String, String)>,
    /// Why changes are held back.
    pub held: Vec<String>,
    /// Syncs that cannot be rendered before the edit, and why.
    pub unproven: Vec<String>,
    /// Set if anything else would change: nothing is committed then.
    pub failure: Option<Failure>,
}

/// A Sync that reads the branch.
struct Reader {
    sync: Arc<Sync>,
    owner: SyncRef,
    /// True if it is in the namespace of the ImageUpdate.
    is_ours: bool,
}

impl Reader {
    /// Returns its name for a condition of the ImageUpdate. Syncs of other namespaces are not named.
    fn named(&self) -> String {
        if self.is_ours { format!("Sync {}", self.owner) } else { "another Sync".to_owned() }
    }
}

/// Returns the Syncs that take part. One of another namespace only does if it reads the same mirror with credentials:
/// whoever has these credentials may read the repository, and may write what the Sync reads.
fn readers(pass: &Pass<'_>, location: &Location, branch: &str) -> Vec<Reader> {
    let all = pass.services.cluster.syncs.state().into_iter();
    let all = all.filter(|sync| reads_branch(sync, location, branch)).map(|sync| {
        let owner = SyncRef::new(sync.namespace().unwrap_or_default(), sync.name_any());
        let is_ours = owner.namespace() == pass.owner.namespace;
        Reader { sync, owner, is_ours }
    });
    let shares = |reader: &Reader| {
        location.has_login() && pass.services.peers.mirror(&reader.owner) == Some(location.mirror())
    };
    all.filter(|reader| reader.is_ours || shares(reader)).collect()
}

/// Compares the renders of the Syncs that read this branch of the repository.
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
    let readers = readers(pass, location, branch);
    if pass.update.spec.respect_suspend {
        for reader in &readers {
            let suspend = reader.sync.spec.suspend.as_ref();
            let Some(why) = suspend.and_then(|suspend| suspend.holds(pass.now)) else { continue };
            let before = files.len();
            files.retain(|edited| !reads(pass, reader, checkout, std::slice::from_ref(edited)));
            if files.len() < before {
                let why = if reader.is_ours { why } else { "suspended".to_owned() };
                proven
                    .held
                    .push(format!("{}, which reads the files to be changed, is {why}", reader.named()));
            }
        }
    }
    for reader in &readers {
        if files.is_empty() || !reads(pass, reader, checkout, &files) {
            continue;
        }
        let ended = one(pass, reader, location, checkout, &files, wanted).await;
        proven.failure = proven.note(reader, ended).err();
        if proven.failure.is_some() {
            return proven;
        }
    }
    proven.files = files;
    proven
}

impl Proven {
    /// Records the result of one Sync. A Sync that could be rendered before must render after the edit, and differ
    /// only in its images.
    fn note(&mut self, reader: &Reader, ended: Result<Ended, String>) -> Result<(), Failure> {
        let (named, is_ours) = (reader.named(), reader.is_ours);
        let failed = |name, ours: String, others: &str| {
            let message = if is_ours { ours } else { others.to_owned() };
            Err(Failure::user("edit", name, format!("nothing is committed, because {message}")))
        };
        match ended {
            Ok(Ended::Silent) => Ok(()),
            Ok(Ended::Broken(said)) => {
                let said =
                    format!("{named} cannot be rendered before the edit, so it is not compared: {said}");
                self.unproven.extend(is_ours.then_some(said));
                Ok(())
            }
            Ok(Ended::Compared(Compared { objects, others, .. })) if others.is_empty() => {
                for (id, images) in objects.into_iter().filter(|_| is_ours) {
                    let object = |image| (image, id.to_string(), reader.owner.to_string());
                    self.objects.extend(images.into_iter().map(object));
                }
                Ok(())
            }
            Ok(Ended::Compared(Compared { others, omitted, .. })) => {
                let more = if omitted > 0 { format!("; and {omitted} more") } else { String::new() };
                let ours = format!("more than images would change in {named}: {}{more}", others.join("; "));
                failed("ProofFailed", ours, "another Sync would change in more than its images")
            }
            Err(said) => {
                let ours = format!("{named} could no longer be rendered: {said}");
                failed("ProofImpossible", ours, "another Sync could no longer be rendered")
            }
        }
    }
}

/// True if a Sync follows this branch of the repository, whatever URL it uses.
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

/// True if these changes may affect what a Sync reads; also if that is unknown.
fn reads(
    pass: &Pass<'_>,
    Reader { sync, owner, .. }: &Reader,
    checkout: &Checkout,
    files: &[Edited],
) -> bool {
    let commit = checkout.files();
    let changed = files.iter().map(|edited| (edited.file.as_str(), edited.after.as_slice()));
    let overlay = Changed::new(&commit, changed);
    if let Some(reads) = pass.services.peers.reads(owner) {
        return reads.matches(&overlay).is_none();
    }
    checkout.folder(sync.spec.path.as_deref().unwrap_or_default()).is_ok()
}

/// The result of one Sync.
enum Ended {
    Compared(Compared),
    /// The commit before the edit cannot be rendered, with the reason.
    Broken(String),
    /// It is in another namespace and refers to a Secret there, and the result could reveal a value of it.
    Silent,
}

/// Renders a Sync before and after the edit, from its own mirror at the same commit.
///
/// # Errors
/// It could be rendered before the edit but not after it.
async fn one(
    pass: &Pass<'_>,
    reader: &Reader,
    location: &Location,
    checkout: &Checkout,
    files: &[Edited],
    wanted: &[(String, Reference)],
) -> Result<Ended, String> {
    let Reader { sync, owner, is_ours } = reader;
    let status = sync.status.clone().unwrap_or_default();
    let at = SyncAt { sync, owner, status: &status, now: pass.now };
    let rendered = async {
        let own = own_checkout(pass, at, location, checkout).await?;
        let path = sync.spec.path.as_deref().unwrap_or_default();
        let folder = own.folder(path).map_err(|error| error.to_string())?;
        let is_chart = inputs::is_chart(sync, &own.files(), &folder);
        let mut inputs = if *is_ours {
            let Services { secrets, cluster, outside, policy, .. } = pass.services;
            let (discovery, progress) = (&cluster.discovery, &Progress::default());
            let from = Gather { secrets, discovery, outside, policy, progress };
            let gathered = inputs::inputs(from, at, is_chart).await;
            gathered.map_err(|error| Failure::of("render", &error).message)?
        } else {
            let alone = inputs::alone(sync, owner, &pass.services.outside).await;
            match alone.map_err(|error| error.to_string())? {
                Some(inputs) => inputs,
                None => return Ok(None),
            }
        };
        inputs.remote.commit.clone_from(&own.revision().commit);
        let inputs = Arc::new(inputs);
        let before = manifests(pass, at, &own, &folder, &inputs, Vec::new()).await?;
        Ok::<_, String>(Some((own, folder, inputs, before)))
    };
    let (own, folder, inputs, before) = match rendered.await {
        Ok(Some(rendered)) => rendered,
        Ok(None) => return Ok(Ended::Silent),
        Err(said) => return Ok(Ended::Broken(said)),
    };
    // Decrypted values and values of Secrets are never shown.
    let shows_values = *is_ours && !inputs.secret && inputs.keys.is_none();
    let changed = files.iter().map(|edited| File { path: edited.file.clone(), bytes: edited.after.clone() });
    let after = manifests(pass, at, &own, &folder, &inputs, changed.collect()).await?;
    let settings: Vec<&Setting> = files.iter().flat_map(|edited| &edited.settings).collect();
    Ok(Ended::Compared(compare(&before, &after, &Proof { settings: &settings, wanted, shows_values })))
}

/// Returns the commit as the Sync reads it, by its own URL and credentials.
async fn own_checkout(
    pass: &Pass<'_>,
    at: SyncAt<'_>,
    location: &Location,
    checkout: &Checkout,
) -> Result<Checkout, String> {
    if pass.services.peers.mirror(at.owner) == Some(location.mirror()) {
        return Ok(checkout.clone());
    }
    let own = source::location(&pass.services.secrets, &pass.services.policy, at)
        .await
        .map_err(|error| error.to_string())?;
    if own.mirror() == location.mirror() {
        return Ok(checkout.clone());
    }
    let branch = GitRef::Branch(pass.update.spec.branch().to_owned());
    // The last response may be older than the commit.
    let mut said = String::new();
    for max_age in [pass.git_age, Duration::ZERO] {
        let found = pass.services.sources.checkout(&own, &branch, max_age, at.sync.spec.timeout()).await;
        let found = found.map_err(|error| error.to_string())?;
        if found.revision().commit == checkout.revision().commit {
            return Ok(found);
        }
        said = format!("its own URL and login read {}, and not {}", found.revision(), checkout.revision());
    }
    Err(said)
}

/// Renders a Sync with some files replaced.
async fn manifests(
    pass: &Pass<'_>,
    at: SyncAt<'_>,
    checkout: &Checkout,
    folder: &str,
    inputs: &Arc<Inputs>,
    changed: Vec<File>,
) -> Result<Vec<Manifest>, String> {
    let Services { policy, outside, renderer, .. } = pass.services;
    let folder = folder.to_owned();
    let order = render::order(policy, outside, at, checkout, folder, inputs.clone());
    let order = Order { changed, ..order };
    let attempt = renderer.render(order, outside, &pass.owner.namespace).await;
    attempt.end.map(|(output, _)| output.manifests).map_err(|error| error.to_string())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn reader(is_ours: bool) -> Reader {
        let sync = json!({"apiVersion": "holdfast.dev/v1alpha1", "kind": "Sync", "metadata": {"name": "shop"},
            "spec": {"source": {"git": {"url": "https://git.example.com/config.git"}}}});
        let sync = serde_json::from_value(sync).expect("a Sync");
        Reader { sync: Arc::new(sync), owner: SyncRef::new("team-a", "shop"), is_ours }
    }

    #[test]
    fn a_commit_that_could_not_be_rendered_proves_nothing_and_blocks_no_update() {
        let mut proven = Proven::default();
        let broken = || Ok(Ended::Broken("the Secret values is missing".to_owned()));
        assert!(proven.note(&reader(false), broken()).is_ok() && proven.unproven.is_empty());
        assert!(proven.note(&reader(true), broken()).is_ok());
        let said = "Sync team-a/shop cannot be rendered before the edit, so it is not compared: the Secret values is missing";
        assert_eq!(proven.unproven, [said]);
    }

    #[test]
    fn what_could_be_rendered_before_must_render_after_and_differ_in_images_alone() {
        let mut proven = Proven::default();
        let failure = |proven: &mut Proven, is_ours, ended| {
            let failure = proven.note(&reader(is_ours), ended).expect_err("it is refused");
            (failure.reason, failure.message)
        };
        let (reason, said) = failure(&mut proven, true, Err("no such file".to_owned()));
        assert_eq!(reason, "ProofImpossible");
        assert!(said.ends_with("Sync team-a/shop could no longer be rendered: no such file"), "{said}");
        let others = || Compared { others: vec!["ConfigMap a /data".to_owned()], ..Compared::default() };
        let (reason, said) = failure(&mut proven, false, Ok(Ended::Compared(others())));
        assert_eq!((reason, said.contains("ConfigMap")), ("ProofFailed", false), "{said}");
        assert!(proven.note(&reader(true), Ok(Ended::Compared(Compared::default()))).is_ok());
    }
}
