//! Good inputs: the cases of `tests/data/kustomize`, and small applications of the corpus. I/O: reads files.

use std::fs;

use anyhow::{Context as _, ensure};
use holdfast_diff::yaml;
use holdfast_tests::random::Random;
use holdfast_tests::{corpus, root};

use crate::disk;
use crate::input::{File, Input};
use crate::target::Target;

/// Applications of the corpus that are looked at, and the files that one may have.
const APPS: (usize, usize) = (40, 24);

/// All that is mutated.
pub struct Seeds {
    /// Repositories, the folder of whose first file is built.
    trees: Vec<Input>,
    texts: Vec<String>,
    /// Objects, each a text.
    objects: Vec<String>,
    /// Texts that are laid over objects.
    patches: Vec<String>,
}

impl Seeds {
    pub fn read() -> anyhow::Result<Self> {
        let mut cases: Vec<_> = fs::read_dir(root().join("tests/data/kustomize"))?
            .map(|entry| Ok(entry?.path()))
            .collect::<anyhow::Result<_>>()?;
        cases.sort();
        let mut trees = Vec::new();
        for case in cases {
            let text = fs::read_to_string(&case).with_context(|| case.display().to_string())?;
            trees.push(Input { files: unpack(&text) });
        }
        let (apps, most) = APPS;
        trees.extend((0..apps).map(application).filter(|tree| tree.files.len() <= most));
        let files = trees.iter().flat_map(|tree| &tree.files);
        let texts: Vec<String> =
            files.map(|(_, bytes)| String::from_utf8_lossy(bytes).into_owned()).collect();
        let mut seeds = Self { trees, texts, objects: Vec::new(), patches: Vec::new() };
        seeds.sort_out();
        ensure!(seeds.objects.len() > 50 && seeds.patches.len() > 20, "there are no seeds in tests/data");
        Ok(seeds)
    }

    /// Finds objects, and patches in kustomizations.
    fn sort_out(&mut self) {
        for text in &self.texts {
            for document in yaml::read("seed", text.as_bytes()).0 {
                let value = document.value;
                let patches =
                    value.get("patches").and_then(|patches| patches.as_array()).into_iter().flatten();
                self.patches.extend(
                    patches
                        .filter_map(|entry| entry.get("patch")?.as_str())
                        .map(|patch| patch.trim().to_owned()),
                );
                if value.pointer("/metadata/name").is_some() && value.get("kind").is_some() {
                    self.objects.push(yaml::write(&value));
                }
            }
        }
        // Any object is a patch for its like.
        self.patches.extend(self.objects.iter().step_by(3).cloned());
    }

    /// One of the good inputs of a target.
    pub fn pick(&self, target: Target, random: &mut Random) -> Input {
        let file = |path: &str, text: &str| -> File { (path.to_owned(), text.as_bytes().to_vec()) };
        let of = |texts: &[String], random: &mut Random| random.pick(texts).cloned().unwrap_or_default();
        match target {
            Target::Yaml | Target::Itself => Input { files: vec![file("a.yaml", &of(&self.texts, random))] },
            Target::Tree => disk::tree(),
            Target::Cache => disk::kept_render(),
            Target::Kustomization => random.pick(&self.trees).cloned().unwrap_or_default(),
            Target::Patch => {
                let (patch, object) = (of(&self.patches, random), of(&self.objects, random));
                Input { files: vec![file("patch.yaml", &patch), file("object.yaml", &object)] }
            }
        }
    }

    /// Any text.
    pub fn text(&self, random: &mut Random) -> &str {
        random.pick(&self.texts).map(String::as_str).unwrap_or_default()
    }
}

/// An application of the corpus, one of its overlays first.
fn application(number: usize) -> Input {
    let app = corpus::app(0, number);
    let first = app.overlays.get(number % app.overlays.len().max(1)).cloned().unwrap_or_default();
    let mut files: Vec<File> = app.files.into_iter().map(|(path, text)| (path, text.into_bytes())).collect();
    files.sort_by_key(|(path, _)| *path != format!("{first}/kustomization.yaml"));
    Input { files }
}

/// The files of a case; links are left out.
fn unpack(text: &str) -> Vec<File> {
    let mut files: Vec<File> = Vec::new();
    for line in text.lines() {
        match line.strip_prefix("-- ").and_then(|rest| rest.strip_suffix(" --")) {
            Some(link) if link.contains(" -> ") => {}
            Some(path) => files.push((path.to_owned(), Vec::new())),
            None => {
                let Some((_, bytes)) = files.last_mut() else { continue };
                bytes.extend(line.as_bytes());
                bytes.push(b'\n');
            }
        }
    }
    files
}
