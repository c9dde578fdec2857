//! `holdfast drift adopt`: writes the live values of drifted fields into the files of a working tree. All fields of an object
//! are written, or none. Leaves the commit to the user. I/O: API reads, disk.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::{Context as _, bail};
use clap::Args;
use holdfast_diff::object::ObjectId;
use holdfast_diff::yaml::edit::{Edit, edit};
use holdfast_diff::yaml::read;
use kube::{Client, ResourceExt as _};
use serde_json::Value;

use super::located::{self, LocateError, Wanted};
use super::target::{Target, label};
use super::values::{self, Adopted, Git, kind, shown};
use crate::api::{DriftChange, DriftObject, DriftState, Sync};
use crate::cli::files::File;
use crate::cli::{Global, cluster, files, print};
use crate::cluster::discovery::Discovery;
use crate::cluster::requests::Requests;
use crate::disk::Beneath;
use crate::identity::Identity;

/// Which object, and where to write
#[derive(Args, Debug)]
pub struct Adopt {
    /// Name of the Sync
    name: String,
    /// Object, such as deployment/web or Deployment.apps/web
    #[arg(value_name = "KIND/OBJECT")]
    object: Target,
    /// Root of a working tree of the repository that the Sync reads
    #[arg(long, value_name = "DIR")]
    tree: PathBuf,
}

/// Why an object is not written: a line for each thing that a user must do.
type Refusal = Vec<String>;

/// The files of a Sync in a working tree.
struct Tree<'a> {
    root: &'a Path,
    files: Vec<File>,
    sync: &'a Sync,
}

impl Adopt {
    pub async fn run(self, global: Global) -> anyhow::Result<ExitCode> {
        let Self { name, object, tree } = self;
        let client = cluster::client(&global).await?;
        let sync = cluster::sync(&client, &name).await?;
        let objects = drifted(&sync, &object)?;
        let disk = files::Disk::new(&tree)?;
        let folder = disk.folder(sync.spec.path.as_deref())?;
        let mut tree = Tree { root: &tree, files: files::read(&disk, &folder)?, sync: &sync };
        let mut code = ExitCode::SUCCESS;
        for reported in &objects {
            let object = label(&reported.kind, &reported.namespace, &reported.name);
            let live = live(&client, reported).await?;
            match tree.adopt(reported, live.as_ref())? {
                Ok(written) if written.is_empty() => {
                    print::say(format_args!("{object}: the tree already has its live values"));
                }
                Ok(written) => {
                    written.iter().for_each(print::line);
                    print::say(format_args!("wrote the live values of {object}; commit and push them"));
                }
                Err(refusal) => {
                    code = ExitCode::FAILURE;
                    print::say(format_args!("{object} is not written; change it by hand:"));
                    refusal.iter().for_each(|line| print::say(format_args!("  {line}")));
                }
            }
        }
        Ok(code)
    }
}

/// The reported drift of the selected objects, joined for each object. Corrected drift is ignored if the object still differs.
fn drifted(sync: &Sync, object: &Target) -> anyhow::Result<Vec<DriftObject>> {
    let name = sync.name_any();
    let drift = sync.status.as_ref().and_then(|status| status.drift.as_ref());
    let mut found: BTreeMap<(&str, &str, &str), DriftObject> = BTreeMap::new();
    for reported in object.among(drift) {
        let gone = reported.state == DriftState::Corrected;
        match found.get_mut(&(&*reported.api_version, &*reported.kind, &*reported.namespace)) {
            Some(known) if gone != (known.state == DriftState::Corrected) => {
                if !gone {
                    *known = reported.clone();
                }
            }
            Some(known) => {
                known.changes.extend(reported.changes.iter().cloned());
                known.omitted = known.omitted.or(reported.omitted);
            }
            None => {
                found.insert((&reported.api_version, &reported.kind, &reported.namespace), reported.clone());
            }
        }
    }
    if !found.is_empty() {
        return Ok(found.into_values().collect());
    }
    if let Some(more) = drift.and_then(|drift| drift.omitted) {
        bail!("{object} is not in the listed drift of Sync {name}; {more} objects are not listed");
    }
    bail!("{object} is not in the drift of Sync {name}; `holdfast drift {name}` lists it")
}

/// Returns the live object; `None` if it was corrected or deleted.
async fn live(client: &Client, reported: &DriftObject) -> anyhow::Result<Option<Value>> {
    if reported.deleted || reported.state == DriftState::Corrected {
        return Ok(None);
    }
    let object = label(&reported.kind, &reported.namespace, &reported.name);
    let found = Discovery::new(client.clone()).find(&reported.api_version, &reported.kind).await;
    let found = found.with_context(|| format!("cannot read the kinds of {}", reported.api_version))?;
    let Some(kind) = found else {
        bail!("the API server serves no {} {}", reported.api_version, reported.kind)
    };
    let id = ObjectId::new(kind.kind.clone(), &reported.namespace, &reported.name);
    let live = Requests::new(client.clone(), Identity::Agent).get(&kind, &id).await;
    live.with_context(|| format!("cannot read {object}"))
}

impl Tree<'_> {
    /// Writes the live values of one object, and returns what was written.
    fn adopt(
        &mut self,
        reported: &DriftObject,
        live: Option<&Value>,
    ) -> anyhow::Result<Result<Vec<String>, Refusal>> {
        let Some(live) = live else { return Ok(Err(without(reported))) };
        let (file, adopted) = match self.plan(reported, live) {
            Ok(planned) => planned,
            Err(refusal) => return Ok(Err(refusal)),
        };
        if adopted.is_empty() {
            return Ok(Ok(Vec::new()));
        }
        Ok(match self.write(file, &adopted)? {
            Ok(()) => Ok(adopted.into_iter().map(|(_, Adopted { shown, .. })| shown).collect()),
            Err(line) => Err(vec![line]),
        })
    }

    /// Returns the edits: the position of the file, and for each value its document.
    fn plan(&self, reported: &DriftObject, live: &Value) -> Result<(usize, Vec<(usize, Adopted)>), Refusal> {
        let Self { files, sync, .. } = self;
        let namespace = sync.namespace().unwrap_or_default();
        let wanted = Wanted {
            api_version: &reported.api_version,
            kind: &reported.kind,
            namespace: &reported.namespace,
            name: &reported.name,
            fallback: sync.spec.target_namespace.as_deref().unwrap_or(&namespace),
        };
        let by_hand =
            |why: String| std::iter::once(why).chain(by_hand(reported, Some(live))).collect::<Refusal>();
        let place = located::find(files, wanted).map_err(|error| by_hand(error.to_string()))?;
        if let Some(more) = reported.omitted {
            return Err(by_hand(format!(
                "{more} more fields differ, which the status of the Sync does not list"
            )));
        }
        let absent = || by_hand(LocateError::Absent.to_string());
        let File { path, bytes } = files.get(place.file).ok_or_else(absent)?;
        let (documents, _) = read(path, bytes);
        let document = documents.get(place.document).ok_or_else(absent)?;
        let git = Git { file: path, document, place: &place, substituted: sync.spec.render.is_some() };
        let (mut adopted, mut refusal) = (Vec::new(), Vec::new());
        for change in &reported.changes {
            match values::adopt(reported, change, live, git) {
                Ok(value) => adopted.extend(value.map(|value| (place.document, value))),
                Err(error) => refusal.push(error.to_string()),
            }
        }
        if refusal.is_empty() { Ok((place.file, adopted)) } else { Err(refusal) }
    }

    /// Writes values into one file, all or none; the inner error says why they cannot be written.
    fn write(&mut self, file: usize, adopted: &[(usize, Adopted)]) -> anyhow::Result<Result<(), String>> {
        let root = self.root;
        let File { path, bytes } = self.files.get_mut(file).context("the file was found a moment ago")?;
        let edits: Vec<Edit<'_>> = adopted
            .iter()
            .map(|(document, Adopted { path, value, .. })| Edit {
                document: *document,
                path: path.clone(),
                value,
            })
            .collect();
        match edit(path, bytes, &edits) {
            Ok(after) => {
                put(root, path, &after).with_context(|| format!("cannot write {path}"))?;
                *bytes = after;
                Ok(Ok(()))
            }
            Err(error) => Ok(Err(error.to_string())),
        }
    }
}

/// Writes a file of a working tree. If it is a symlink, its target must be in the tree.
fn put(root: &Path, path: &str, bytes: &[u8]) -> anyhow::Result<()> {
    let root = root.canonicalize()?;
    let real = root.join(path).canonicalize()?;
    let below = real.strip_prefix(&root).context("it is a link out of the tree")?;
    let below = below.to_str().context("its path is not UTF-8")?;
    Ok(Beneath::open(&root)?.write(below, bytes)?)
}

/// Returns what a user can do about an object that has no live values.
fn without(reported: &DriftObject) -> Refusal {
    let at = reported.origin.as_deref().unwrap_or("the file that defines it");
    if reported.state != DriftState::Corrected {
        return vec![format!("it was deleted from the cluster; remove it from Git, {at}")];
    }
    let gone =
        "it was corrected, so its live values are lost; see the alerts and the log of the agent for them"
            .to_owned();
    std::iter::once(gone).chain(by_hand(reported, None)).collect()
}

/// One line for each field: the place of the object in Git, and the live value, or the last known one if there is no live object.
fn by_hand(reported: &DriftObject, live: Option<&Value>) -> Refusal {
    let at = reported.origin.as_deref().unwrap_or("in Git");
    let kind = kind(reported);
    let line = |DriftChange { path, live: was, .. }: &DriftChange| {
        let value = match live {
            Some(live) => live.pointer(path).filter(|_| was.is_some()),
            None => was.as_ref(),
        };
        match value {
            Some(value) => format!("{at} {path}: the value is {}", shown(&kind, path, value)),
            None => format!("{at} {path}: there is no value, so remove it"),
        }
    };
    reported.changes.iter().map(line).collect()
}
