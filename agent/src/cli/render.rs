//! `holdfast render`: what a folder renders to. No cluster, no network. I/O: disk reads.

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::bail;
use clap::Args;

use super::files;
use crate::render;

/// What to render
#[derive(Args, Debug)]
pub struct Render {
    /// The root of a working tree, or the folder itself
    path: PathBuf,
    /// Render what this Sync reads below PATH, as it says
    #[arg(short, long, value_name = "SYNC.yaml")]
    file: Option<PathBuf>,
}

impl Render {
    pub fn run(self) -> anyhow::Result<ExitCode> {
        let folder = match &self.file {
            Some(file) => {
                let below = files::sync(file)?.spec.path.unwrap_or_default();
                if below.split('/').any(|part| part == "..") {
                    bail!("spec.path {below} climbs out of the tree");
                }
                self.path.join(below.trim_start_matches('/'))
            }
            None => self.path.clone(),
        };
        let set = render::render(&files::read(&self.path, &folder)?)?;
        for manifest in &set.manifests {
            println!("---\n{}", serde_saphyr::to_string(&manifest.value)?.trim_end());
        }
        Ok(ExitCode::SUCCESS)
    }
}
