//! Answers requests of a render beside the files of its repository: charts, and bases in other repositories.
//!
//! A waiting request holds nothing that others need, except a turn at Helm while it runs. I/O: through the parts that are passed
//! in.

use std::any::Any;
use std::path::Path;
use std::sync::Arc;

use futures::future::BoxFuture;
use holdfast_diff::digest::Digest;
use tempfile::TempDir;

use super::ask::{Answer, Ask, ChartFrom, RemoteTree};
use super::chart_files;
use super::helm::{Chart, ChartSource, Limits, Release, Rendered, Runner};
use super::remote_inputs::RemoteInputs;
use super::turns::Turns;
use super::{Inputs, NO_HELM, RenderError};
use crate::http::Guard;

/// Maximum number of requests of one render.
const QUESTIONS: usize = 100;
/// Maximum size of all files of web servers of one render, in bytes.
const FETCHED: usize = 32 * 1024 * 1024;

/// Access to other repositories and files of web servers.
pub trait Remotes: Send + Sync {
    /// Returns the tree of a branch, a tag or a commit; empty is the default branch. It stays on disk until the second value is
    /// dropped.
    fn open<'a>(
        &'a self,
        repository: &'a str,
        reference: &'a str,
        inputs: &'a RemoteInputs,
    ) -> BoxFuture<'a, Result<(RemoteTree, Held), RenderError>>;

    /// Returns the file behind a URL, as it was for a commit.
    fn file<'a>(
        &'a self,
        url: &'a str,
        inputs: &'a RemoteInputs,
    ) -> BoxFuture<'a, Result<Answer, RenderError>>;

    /// Returns the digest of the current content behind a URL, if it can be read.
    fn look<'a>(&'a self, url: &'a str, inputs: &'a RemoteInputs) -> BoxFuture<'a, Option<String>>;
}

/// A value that keeps a resource until it is dropped.
pub type Held = Box<dyn Any + Send + Sync>;

/// What renders may request beside files.
#[derive(Clone)]
pub struct Outside {
    /// Helm; `None` if it is not available.
    pub charts: Option<Arc<Runner>>,
    /// `None`: not allowed.
    pub remotes: Option<Arc<dyn Remotes>>,
    /// Turns at Helm.
    turns: Turns,
}

/// The requests of one render, and the resources of their answers.
pub struct Asked<'a> {
    outside: &'a Outside,
    inputs: &'a Inputs,
    /// The tenant that uses the turns at Helm.
    tenant: &'a str,
    given: Vec<(Digest, Arc<Answer>)>,
    held: Vec<Held>,
    /// Bytes of files behind URLs.
    fetched: usize,
}

/// A fetched chart, with its folder.
struct Fetched {
    chart: Arc<Chart>,
    _folder: Option<TempDir>,
}

impl Outside {
    /// Charts by this program, cached below a folder, from servers that the guard permits.
    pub fn new(
        helm: &Path,
        cache: &Path,
        limits: Limits,
        guard: Arc<Guard>,
        remotes: Option<Arc<dyn Remotes>>,
    ) -> Self {
        let turns = Turns::new(limits.parallel);
        Self { charts: Some(Arc::new(Runner::new(helm, cache, limits, guard))), remotes, turns }
    }

    /// Creates the requests of a render of this tenant.
    pub fn asked<'a>(&'a self, inputs: &'a Inputs, tenant: &'a str) -> Asked<'a> {
        Asked { outside: self, inputs, tenant, given: Vec::new(), held: Vec::new(), fetched: 0 }
    }
}

impl Asked<'_> {
    /// Returns the answers so far.
    pub fn given(&self) -> &[(Digest, Arc<Answer>)] {
        &self.given
    }

    /// Answers a request.
    pub async fn answer(&mut self, ask: Ask) -> Result<(), RenderError> {
        if self.given.len() >= QUESTIONS {
            let said = format!("the render asks for more than {QUESTIONS} charts and other repositories");
            return Err(RenderError::of(vec![said]));
        }
        let digest = ask.digest();
        let answer = match ask {
            Ask::Values(from) => self.values(from).await.map(Answer::Values),
            Ask::Template(from, release) => self.template(from, &release).await,
            Ask::Remote { repository, reference } => self.remote(&repository, &reference).await,
            Ask::File { url } => self.file(&url).await,
        };
        self.given.push((digest, Arc::new(answer.unwrap_or_else(Answer::Refused))));
        Ok(())
    }

    async fn values(&self, from: ChartFrom) -> Result<Vec<u8>, RenderError> {
        let Fetched { chart, _folder } = self.fetch(from).await?;
        Ok(blocking(move || chart.values()).await??.unwrap_or_default())
    }

    async fn template(&self, from: ChartFrom, release: &Release) -> Result<Answer, RenderError> {
        let Fetched { chart, _folder } = self.fetch(from).await?;
        let _turn = self.outside.turns.take(self.tenant).await;
        let Rendered { files, again } = self.runner()?.template(&chart, release).await?;
        Ok(Answer::Template { files, again })
    }

    async fn remote(&mut self, repository: &str, reference: &str) -> Result<Answer, RenderError> {
        let (tree, held) = self.remotes()?.open(repository, reference, &self.inputs.remote).await?;
        self.held.push(held);
        Ok(Answer::Remote(tree))
    }

    async fn file(&mut self, url: &str) -> Result<Answer, RenderError> {
        let answer = self.remotes()?.file(url, &self.inputs.remote).await?;
        if let Answer::File { bytes, .. } = &answer {
            self.fetched = self.fetched.saturating_add(bytes.len());
            if self.fetched > FETCHED {
                let said = format!(
                    "the files behind the URLs have more than {FETCHED} bytes together: use fewer of them"
                );
                return Err(RenderError::of(vec![said]));
            }
        }
        Ok(answer)
    }

    fn remotes(&self) -> Result<&dyn Remotes, RenderError> {
        self.outside.remotes.as_deref().ok_or_else(|| RenderError::internal("nothing opens remotes"))
    }

    async fn fetch(&self, from: ChartFrom) -> Result<Fetched, RenderError> {
        let runner = self.runner()?;
        let source = match &from {
            ChartFrom::Given => {
                let given = self.inputs.chart.clone();
                let chart = given.ok_or_else(|| RenderError::internal("spec.render.helm has no chart"))?;
                return Ok(Fetched { chart, _folder: None });
            }
            ChartFrom::Repository { url, name, version } => {
                ChartSource::Repository { url, name, version, login: None }
            }
            ChartFrom::Oci { url, version } => {
                ChartSource::Oci { url, version, login: None, plain_http: false }
            }
            ChartFrom::Folder { .. } => return self.of_folder(from).await,
        };
        Ok(Fetched { chart: Arc::new(runner.fetch(source).await?), _folder: None })
    }

    async fn of_folder(&self, from: ChartFrom) -> Result<Fetched, RenderError> {
        let ChartFrom::Folder { path, files, logins } = from else {
            return Err(RenderError::internal("a chart is no folder"));
        };
        let folder = self.runner()?.folder()?;
        let (folder, place) = blocking(move || chart_files::write(folder, &files, &path)).await??;
        let logins = if logins { self.inputs.logins.as_slice() } else { &[] };
        let source = ChartSource::Folder { path: &place, root: folder.path(), logins };
        let chart = Arc::new(self.runner()?.fetch(source).await?);
        Ok(Fetched { chart, _folder: Some(folder) })
    }

    fn runner(&self) -> Result<&Runner, RenderError> {
        self.outside.charts.as_deref().ok_or_else(|| RenderError::of(vec![NO_HELM.to_owned()]))
    }
}

/// Runs blocking work on a blocking thread.
async fn blocking<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> Result<T, RenderError> {
    tokio::task::spawn_blocking(work).await.map_err(|error| RenderError::internal(&error.to_string()))
}
