//! Computes the edits that write the selected versions to the files of a commit, and the reasons why other scalars do
//! not change.
//!
//! A blob that is known to have no marker is not read again. I/O: disk reads of the mirror.

use std::collections::{BTreeMap, BTreeSet, HashSet};
use std::sync::Arc;

use holdfast_diff::files::{EntryKind, FileKind, FilesError, Version, Versioned, Walk, join};
use holdfast_diff::image::edit::{
    ImagePart, Marker, Setting, Settings, Target, Wanted, WantedImage, apply, current, has_marker,
    is_candidate, settings,
};
use parking_lot::Mutex;

use super::bans::{self, ScalarRef};
use super::owners;
use super::policy;
use super::scan::{Scanned, Verdict};
use crate::api::ImageStatus;
use jiff::Timestamp;

/// A file that changes.
#[derive(Clone)]
pub struct Edited {
    /// Path relative to the root of the repository.
    pub file: String,
    pub settings: Vec<Setting>,
    pub after: Vec<u8>,
}

/// The edits of the files, and the report about them.
#[derive(Default)]
pub struct Edits {
    pub files: Vec<Edited>,
    /// Why some scalars are not changed.
    pub stay: Vec<String>,
    /// Problems in files, or in targets.
    pub problems: Vec<String>,
    /// Number of scalars for each image of the ImageUpdate.
    pub found: BTreeMap<String, usize>,
    /// For images of the ImageUpdate, the first marker of the same name in another namespace: its place, and
    /// the namespace that it names.
    pub foreign: BTreeMap<String, (String, String)>,
    /// Images of which a scalar is up to date.
    pub right: BTreeSet<String>,
    /// The new status of the images: scalars and bans.
    pub images: Vec<ImageStatus>,
    /// The versions that were to be written.
    pub wanted: Wanted,
    /// Files that could not be read completely: their part of the status is kept.
    pub unread: Vec<String>,
}

impl Edits {
    /// Returns why no marker and no target names an image, and what to do. `None` if one does.
    pub fn unmarked(&self, image: &str, namespace: &str) -> Option<String> {
        self.found.get(image).filter(|places| **places == 0)?;
        Some(match self.foreign.get(image) {
            Some((place, other)) => format!(
                "{place}: the marker names {other}:{image}, which is an image of another namespace: write \
                 {namespace}:{image} to have {image} updated there"
            ),
            None => format!("no marker and no target names {image}"),
        })
    }
}

/// Blobs that have no marker.
#[derive(Default)]
pub struct Plain(Mutex<HashSet<Version>>);

/// Edits the files of a commit.
pub struct Editor<'a> {
    pub files: &'a dyn Versioned,
    /// The normalised path of the folder below which files are edited.
    pub folder: &'a str,
    pub commit: &'a str,
    pub namespace: &'a str,
    pub scanned: &'a [Scanned],
    /// True for the names of images of all ImageUpdates of the namespace, scanned or not.
    pub is_known: &'a dyn Fn(&str) -> bool,
    pub plain: &'a Plain,
    pub now: Timestamp,
}

impl Editor<'_> {
    /// Reads all files and computes the edits. `images` is the last status of the images.
    pub fn edits(&self, images: Vec<ImageStatus>) -> Result<Edits, FilesError> {
        let mut edits = Edits { images, ..Edits::default() };
        let wanted = self.wanted(&mut edits);
        let targets: Vec<&str> =
            wanted.images.iter().flat_map(|image| &image.targets).map(Target::file).collect();
        let mut files = self.marked()?;
        for target in targets {
            let place = self.files.resolve(target)?.filter(|place| place.kind == FileKind::File);
            let Some(place) = place else {
                let said = format!("the target file {target} does not exist: correct the target");
                edits.problems.push(said);
                continue;
            };
            if place.path != target {
                let real = place.path;
                let said = format!("the target file {target} is a symlink to {real}: set that file");
                edits.problems.push(said);
            } else if !files.iter().any(|file| file == target) {
                files.push(target.to_owned());
            }
        }
        let mut scalars = Vec::new();
        for file in files {
            self.one(&file, &wanted, &mut edits, &mut scalars)?;
        }
        edits.wanted = wanted;
        let Edits { images, unread, .. } = &mut edits;
        let is_scanned = |name: &str| self.scanned.iter().any(|one| one.image().name == name);
        for status in images.iter_mut().filter(|status| is_scanned(&status.name)) {
            bans::keep_only(status, &scalars, unread);
        }
        Ok(edits)
    }

    fn wanted(&self, edits: &mut Edits) -> Wanted {
        let mut images = Vec::new();
        for scanned in self.scanned {
            let image = scanned.image();
            edits.found.insert(image.name.clone(), 0);
            let targets = policy::targets(image, |file| {
                join(self.folder, file).filter(|file| owners::is_within(file, self.folder))
            });
            let targets = targets.unwrap_or_else(|said| {
                edits.problems.push(format!("image {}: {said}", image.name));
                Vec::new()
            });
            images.push(WantedImage {
                name: image.name.clone(),
                repository: image.repository.clone(),
                tag: Some(scanned.best.clone()),
                digest: scanned.digest.clone(),
                targets,
            });
        }
        Wanted { namespace: self.namespace.to_owned(), images }
    }

    /// Returns the files below the folder that have a marker. Targets of symlinks are edited at their own paths.
    fn marked(&self) -> Result<Vec<String>, FilesError> {
        let mut found = Vec::new();
        let mut walk = Walk::default();
        let mut open = vec![self.folder.to_owned()];
        while let Some(folder) = open.pop() {
            for entry in self.files.list(&folder)?.unwrap_or_default() {
                let path =
                    if folder.is_empty() { entry.name.clone() } else { format!("{folder}/{}", entry.name) };
                walk.visit(&path)?;
                let is_folder = entry.kind == EntryKind::Folder;
                if !is_folder && (entry.kind != EntryKind::File || !is_candidate(&entry.name)) {
                    continue;
                }
                if self.files.resolve(&path)?.is_none_or(|place| place.path != path) {
                    continue;
                }
                if is_folder {
                    open.push(path);
                } else if self.has_marker(&path)? {
                    found.push(path);
                }
            }
        }
        found.sort_unstable();
        Ok(found)
    }

    fn has_marker(&self, path: &str) -> Result<bool, FilesError> {
        let version = self.files.version(path)?;
        let mut plain = self.plain.0.lock();
        if version.is_some_and(|version| plain.contains(&version)) {
            return Ok(false);
        }
        let has = self.files.read(path)?.is_some_and(|bytes| has_marker(&bytes));
        if !has {
            plain.extend(version);
        }
        Ok(has)
    }

    fn one(
        &self,
        file: &str,
        wanted: &Wanted,
        edits: &mut Edits,
        scalars: &mut Vec<ScalarRef>,
    ) -> Result<(), FilesError> {
        let text: Arc<[u8]> = self.files.read(file)?.unwrap_or_default();
        let Settings { set, fulfilled, unknown, foreign, problems } = settings(file, &text, wanted);
        for setting in &fulfilled {
            let scalar = ScalarRef::of(file, setting);
            *edits.found.entry(setting.image.clone()).or_default() += 1;
            edits.right.insert(setting.image.clone());
            bans::right(status(&mut edits.images, &setting.image), &scalar, &setting.after);
            scalars.push(scalar);
        }
        let (mut taken, mut left, mut broken) = (Vec::new(), HashSet::new(), HashSet::new());
        for setting in set {
            let scalar = ScalarRef::of(file, &setting);
            *edits.found.entry(setting.image.clone()).or_default() += 1;
            scalars.push(scalar.clone());
            if self.may_write(file, &setting, &scalar, edits) {
                taken.push(setting);
            } else {
                left.insert(setting.image);
                broken.insert(setting.group);
            }
        }
        // A scalar without a tag is only set together with the tag beside it, and a target is set completely or not at
        // all.
        taken.retain(|setting| {
            let has_tag = matches!(setting.part, ImagePart::Image | ImagePart::Tag);
            (has_tag || !left.contains(&setting.image)) && !broken.contains(&setting.group)
        });
        if !problems.is_empty() {
            edits.unread.push(file.to_owned());
        }
        for problem in &problems {
            // A scalar that cannot be written still names the image.
            problem.image.iter().for_each(|image| *edits.found.entry(image.clone()).or_default() += 1);
            edits.problems.push(problem.to_string());
        }
        for Marker { line, namespace, name, .. } in foreign {
            edits.foreign.entry(name).or_insert_with(|| (format!("{file}:{line}"), namespace));
        }
        for marker in unknown.into_iter().filter(|marker| !(self.is_known)(&marker.name)) {
            let (line, name) = (marker.line, marker.name);
            edits.problems.push(format!("{file}:{line}: the marker has {}:{name}, which is in no ImageUpdate: correct the name, or add it to spec.images", self.namespace));
        }
        if taken.is_empty() {
            return Ok(());
        }
        match apply(file, &text, &taken) {
            Ok(after) => edits.files.push(Edited { file: file.to_owned(), settings: taken, after }),
            Err(error) => edits.problems.push(error.to_string()),
        }
        Ok(())
    }

    fn may_write(&self, file: &str, setting: &Setting, scalar: &ScalarRef, edits: &mut Edits) -> bool {
        let Some(scanned) = self.scanned.iter().find(|one| one.image().name == setting.image) else {
            return false;
        };
        let status = status(&mut edits.images, &setting.image);
        bans::notice(status, scalar, setting, self.commit, self.now);
        let now = current(&setting.before, setting.part).and_then(|image| image.tag);
        match scanned.verdict(now.as_deref(), &bans::of(status, scalar)) {
            Verdict::Write => true,
            Verdict::Stay(why) | Verdict::Banned(why) => {
                edits.stay.push(format!("{file}:{}: {}: {why}", setting.line, setting.image));
                false
            }
        }
    }
}

/// Returns the status of an image, which is created if necessary.
fn status<'s>(all: &'s mut Vec<ImageStatus>, name: &str) -> &'s mut ImageStatus {
    let at = all.iter().position(|image| image.name == name).unwrap_or_else(|| {
        all.push(ImageStatus { name: name.to_owned(), ..ImageStatus::default() });
        all.len() - 1
    });
    &mut all[at]
}
