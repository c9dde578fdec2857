//! The trees of mirrors, for renders: implements an interface of the stage `render` with the stage `source`.
//!
//! A few mirrors stay open, so that the next render of a repository does not open it again. I/O: disk reads.

use std::path::PathBuf;
use std::sync::Arc;

use parking_lot::Mutex;

use crate::error::StageError;
use crate::render::RenderError;
use crate::render::ask::{TreeFiles, TreePlace, Trees};
use crate::source::{Checkout, CommitFiles, OpenMirror, Revision};

/// How many mirrors stay open.
const OPEN: usize = 8;

/// Opens mirrors for reading.
#[derive(Default)]
pub struct MirrorTrees {
    open: Mutex<Vec<(PathBuf, Arc<OpenMirror>)>>,
}

/// Returns the place of a checkout on disk. It exists until the checkout is dropped.
pub fn place(checkout: &Checkout) -> TreePlace {
    let Revision { name, commit: _ } = checkout.revision().clone();
    TreePlace { mirror: checkout.mirror_folder().to_path_buf(), commit: checkout.id().to_string(), name }
}

impl Trees for MirrorTrees {
    fn open(
        &self,
        TreePlace { mirror, commit, name }: &TreePlace,
    ) -> Result<Box<dyn TreeFiles>, RenderError> {
        let failed = |error: crate::source::SourceError| RenderError::of_source(&error);
        let known = {
            let mut open = self.open.lock();
            let at = open.iter().position(|(folder, _)| folder == mirror);
            at.map(|at| open.remove(at).1)
        };
        // An open mirror that does not have the commit is opened again. A mirror that was cloned again has another folder.
        let found = known.and_then(|known| Some((known.files(name, commit).ok()?, known)));
        let (files, opened) = if let Some(found) = found {
            found
        } else {
            let opened = Arc::new(OpenMirror::open(mirror).map_err(failed)?);
            (opened.files(name, commit).map_err(failed)?, opened)
        };
        let mut open = self.open.lock();
        open.insert(0, (mirror.clone(), opened));
        open.truncate(OPEN);
        Ok(Box::new(files))
    }
}

impl TreeFiles for CommitFiles {
    fn trouble(&self) -> Option<Box<dyn StageError>> {
        CommitFiles::trouble(self).map(|error| Box::new(error) as Box<dyn StageError>)
    }
}
