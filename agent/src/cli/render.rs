//! `holdfast render`: what a folder renders to. No cluster, no network unless the Sync needs them. I/O: disk reads.

use std::io::Write as _;
use std::path::PathBuf;
use std::process::ExitCode;

use clap::Args;
use holdfast_diff::yaml;

use super::{files, say};
use crate::render::{self, Inputs, Job};

/// What to render
#[derive(Args, Debug)]
pub struct Render {
    /// The folder, which may be anywhere in a working tree; with -f the root of the tree
    path: PathBuf,
    /// Render what this Sync reads below PATH, as it says
    #[arg(short, long, value_name = "SYNC.yaml")]
    file: Option<PathBuf>,
}

impl Render {
    pub fn run(self) -> anyhow::Result<ExitCode> {
        let (disk, folder, options) = if let Some(file) = &self.file {
            let spec = files::sync(file)?.spec;
            let disk = files::Disk::new(&self.path)?;
            let folder = disk.folder(spec.path.as_deref())?;
            (disk, folder, spec.render.unwrap_or_default())
        } else {
            let (disk, folder) = files::Disk::around(&self.path)?;
            (disk, folder, crate::api::Render::default())
        };
        let inputs = Inputs::default();
        let rendered = render::of_files(
            &disk,
            &Job { folder: &folder, options: &options, inputs: &inputs, outside: None },
        )?;
        let mut text = String::new();
        for object in &rendered.objects {
            if !text.is_empty() {
                text.push_str("---\n");
            }
            text.push_str(&yaml::write(&object.value));
        }
        std::io::stdout().write_all(text.as_bytes())?;
        rendered.warnings.iter().for_each(say);
        // What kustomize makes may be no object for a cluster: it is shown all the same.
        if let Err(error) = render::manifests(rendered.objects, inputs.keys.as_ref()) {
            error.errors.iter().for_each(say);
        }
        Ok(ExitCode::SUCCESS)
    }
}
