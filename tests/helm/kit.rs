//! What the tests of charts work with: the real Helm, charts that are made on the spot, and a web server that remembers
//! what it was asked. I/O: processes, disk, network.

use std::collections::BTreeMap;
use std::convert::Infallible;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use anyhow::{Context as _, bail, ensure};
use holdfast::render::helm::{Chart, ChartSource, HelmError, Limits, Login, Release, Rendered, Runner};
use holdfast_tests::tools;
use http_body_util::Full;
use hyper::body::{Bytes, Incoming};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Request, Response, header};
use hyper_util::rt::TokioIo;
use parking_lot::Mutex;
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::net::TcpListener;
use tokio::task::JoinHandle;

/// The programs that are tested: Helm 4 and Helm 3.
pub fn programs() -> anyhow::Result<&'static [PathBuf; 2]> {
    static PROGRAMS: OnceLock<[PathBuf; 2]> = OnceLock::new();
    static ONE: Mutex<()> = Mutex::new(());
    let _one = ONE.lock();
    if let Some(programs) = PROGRAMS.get() {
        return Ok(programs);
    }
    let programs = [tools::helm()?, tools::helm3()?];
    Ok(PROGRAMS.get_or_init(|| programs))
}

/// A folder for the charts of one test, and a cache beside it.
pub struct Bench {
    folder: TempDir,
}

impl Bench {
    pub fn make() -> anyhow::Result<Self> {
        Ok(Self { folder: tempfile::tempdir()? })
    }

    /// The root of the tree.
    pub fn root(&self) -> PathBuf {
        self.folder.path().join("tree")
    }

    pub fn cache(&self) -> PathBuf {
        self.folder.path().join("cache")
    }

    /// A runner that asks for an index each time.
    pub fn runner(&self, program: &Path) -> Runner {
        self.runner_with(program, Limits::default())
    }

    pub fn runner_with(&self, program: &Path, limits: Limits) -> Runner {
        let limits = Limits { index_age: Duration::ZERO, ..limits };
        Runner::new(program, &self.cache(), limits, Arc::default())
    }

    /// Writes a file of the tree.
    pub fn write(&self, path: &str, text: &str) -> anyhow::Result<PathBuf> {
        let path = self.root().join(path);
        std::fs::create_dir_all(path.parent().context("a file has a folder")?)?;
        std::fs::write(&path, text)?;
        Ok(path)
    }

    /// Writes a chart, with these files below it, and says where.
    pub fn chart(&self, path: &str, version: &str, files: &[(&str, &str)]) -> anyhow::Result<PathBuf> {
        let name = path.rsplit('/').next().unwrap_or(path);
        self.write(
            &format!("{path}/Chart.yaml"),
            &format!("apiVersion: v2\nname: {name}\nversion: {version}\n"),
        )?;
        for (file, text) in files {
            self.write(&format!("{path}/{file}"), text)?;
        }
        Ok(self.root().join(path))
    }

    /// A fake of Helm: a shell script that says its version and then does something else.
    pub fn fake(&self, script: &str) -> anyhow::Result<PathBuf> {
        self.program(&format!("if [ \"$1\" = version ]; then echo v3.15.0; exit; fi\n{script}\n"))
    }

    /// A shell script that can be started.
    pub fn program(&self, script: &str) -> anyhow::Result<PathBuf> {
        let (text, path) =
            (self.write("script", &format!("#!/bin/sh\n{script}\n"))?, self.root().join("fake-helm"));
        // Another process writes it: what a thread of this one starts meanwhile would hold it open, and what is open for
        // writing cannot be started.
        let status = Command::new("install").args(["-m", "755"]).arg(&text).arg(&path).status()?;
        ensure!(status.success(), "install failed");
        Ok(path)
    }

    /// Fetches a chart of the tree.
    pub async fn folder(&self, runner: &Runner, path: &str) -> Result<Chart, HelmError> {
        let (path, root) = (self.root().join(path), self.root());
        runner.fetch(ChartSource::Folder { path: &path, root: &root, logins: &[] }).await
    }

    /// Renders a chart of the tree.
    pub async fn render(&self, runner: &Runner, path: &str, values: &Value) -> Result<Rendered, HelmError> {
        let chart = self.folder(runner, path).await?;
        runner.template(&chart, &release(values)).await
    }
}

/// The release `web` in the namespace `shop`.
pub fn release(values: &Value) -> Release {
    Release {
        name: "web".to_owned(),
        name_template: None,
        namespace: "shop".to_owned(),
        values: values.clone(),
        skip_crds: false,
        skip_hooks: false,
        skip_tests: false,
        skip_schema_validation: false,
        kube_version: None,
        api_versions: Vec::new(),
    }
}

/// The text of a render.
pub fn text(rendered: &Rendered) -> String {
    let texts = rendered.files.iter().map(|file| String::from_utf8_lossy(&file.bytes).into_owned());
    texts.collect::<Vec<_>>().join("---\n")
}

/// What an error says.
pub fn said<T>(result: Result<T, HelmError>) -> String {
    result.err().map_or_else(|| "no error".to_owned(), |error| error.to_string())
}

/// A ConfigMap whose only value is this template.
pub fn config_map(template: &str) -> String {
    format!("apiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: a\ndata:\n  a: {template}\n")
}

/// Packs a chart into a folder, as those who publish charts do.
pub fn pack(chart: &Path, into: &Path) -> anyhow::Result<()> {
    let (chart, into) = (chart.display().to_string(), into.display().to_string());
    helm(&["package", &chart, "--destination", &into]).map(|_| ())
}

/// Runs the real Helm as a person does.
pub fn helm(arguments: &[&str]) -> anyhow::Result<String> {
    helm_by(&programs()?[0], arguments)
}

pub fn helm_by(program: &Path, arguments: &[&str]) -> anyhow::Result<String> {
    let home = tempfile::tempdir()?;
    let mut command = Command::new(program);
    command.args(arguments).env("HOME", home.path()).env("HELM_CACHE_HOME", home.path());
    command.env("HELM_CONFIG_HOME", home.path()).env("HELM_DATA_HOME", home.path());
    let output = command.output()?;
    ensure!(output.status.success(), "helm {arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
    Ok(String::from_utf8(output.stdout)?)
}

/// A login by name and password.
pub fn login(user: &str, password: &str, more: &[(&str, &str)]) -> anyhow::Result<Login> {
    let keys = [&[("username", user), ("password", password)], more].concat();
    let data: BTreeMap<String, Vec<u8>> =
        keys.iter().map(|(key, value)| ((*key).to_owned(), value.as_bytes().to_vec())).collect();
    Ok(Login::from_secret(&data, "127.0.0.1")?)
}

/// What a server was asked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Asked {
    /// With the query.
    pub path: String,
    pub authorization: Option<String>,
    pub status: u16,
}

/// What a server answers instead of a file.
#[derive(Clone, Debug, Default)]
pub struct Answer {
    pub status: u16,
    pub header: Option<(String, String)>,
    pub body: Vec<u8>,
}

/// A web server on loopback that serves a folder, with ETags.
pub struct Server {
    pub url: String,
    shared: Arc<Shared>,
    task: JoinHandle<()>,
}

struct Shared {
    folder: PathBuf,
    /// The header that every request must have.
    authorization: Option<String>,
    answers: Mutex<BTreeMap<String, Answer>>,
    asked: Mutex<Vec<Asked>>,
}

impl Server {
    pub async fn start(folder: &Path, authorization: Option<&str>) -> anyhow::Result<Self> {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await?;
        let url = format!("http://{}", listener.local_addr()?);
        let shared = Arc::new(Shared {
            folder: folder.to_path_buf(),
            authorization: authorization.map(ToOwned::to_owned),
            answers: Mutex::default(),
            asked: Mutex::default(),
        });
        let task = tokio::spawn(accept(listener, shared.clone()));
        Ok(Self { url, shared, task })
    }

    /// Answers a path, with its query, in a way of its own.
    pub fn answer(&self, path: &str, answer: Answer) {
        let mut answers = self.shared.answers.lock();
        answers.insert(path.to_owned(), answer);
    }

    /// What was asked since the last time.
    pub fn asked(&self) -> Vec<Asked> {
        std::mem::take(&mut *self.shared.asked.lock())
    }

    /// The same, each as `200 /path`.
    pub fn paths(&self) -> Vec<String> {
        self.asked().into_iter().map(|asked| format!("{} {}", asked.status, asked.path)).collect()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn accept(listener: TcpListener, shared: Arc<Shared>) {
    while let Ok((stream, _)) = listener.accept().await {
        let shared = shared.clone();
        tokio::spawn(async move {
            let service = service_fn(move |request| {
                let answer = shared.answer(&request);
                async move { Ok::<_, Infallible>(answer) }
            });
            // A connection that breaks is the caller's to notice.
            let _ = http1::Builder::new().serve_connection(TokioIo::new(stream), service).await;
        });
    }
}

impl Shared {
    fn answer(&self, request: &Request<Incoming>) -> Response<Full<Bytes>> {
        let header =
            |name| request.headers().get(name).and_then(|value| value.to_str().ok()).map(ToOwned::to_owned);
        let path = request.uri().path_and_query().map(ToString::to_string).unwrap_or_default();
        let authorization = header(header::AUTHORIZATION);
        let Answer { status, header: extra, body } = self.find(&path, authorization.as_deref());
        let tag = format!("\"{}\"", body.len());
        let same = status == 200 && header(header::IF_NONE_MATCH).as_ref() == Some(&tag);
        let (status, body) = if same { (304, Vec::new()) } else { (status, body) };
        let mut asked = self.asked.lock();
        asked.push(Asked { path, authorization, status });
        let mut response = Response::builder().status(status).header(header::ETAG, tag);
        if let Some((name, value)) = extra {
            response = response.header(name, value);
        }
        response.body(Full::new(Bytes::from(body))).unwrap_or_default()
    }

    fn find(&self, path: &str, authorization: Option<&str>) -> Answer {
        if self.authorization.is_some() && self.authorization.as_deref() != authorization {
            return Answer { status: 401, ..Answer::default() };
        }
        if let Some(answer) = self.answers.lock().get(path) {
            return answer.clone();
        }
        match std::fs::read(self.folder.join(path.trim_start_matches('/'))) {
            Ok(body) => Answer { status: 200, header: None, body },
            Err(_) => Answer { status: 404, ..Answer::default() },
        }
    }
}

/// A chart repository with these versions of the chart `web`, each of which renders its version.
pub fn repository(bench: &Bench, versions: &[&str]) -> anyhow::Result<PathBuf> {
    let into = bench.root().join("published");
    std::fs::create_dir_all(&into)?;
    for version in versions {
        let template = config_map("{{ .Chart.Version | quote }}");
        let chart = bench.chart("sources/web", version, &[("templates/a.yaml", &template)])?;
        pack(&chart, &into)?;
    }
    helm(&["repo", "index", &into.display().to_string()])?;
    Ok(into)
}

/// The version of the chart that a source gives, after it was rendered.
pub async fn version_of(runner: &Runner, source: ChartSource<'_>) -> Result<String, HelmError> {
    let chart = runner.fetch(source).await?;
    let rendered = runner.template(&chart, &release(&json!({}))).await?;
    let text = text(&rendered);
    let line = text.lines().find_map(|line| line.trim().strip_prefix("a: "));
    let rendered = line.unwrap_or("nothing").trim_matches('"').to_owned();
    assert_eq!(rendered, chart.version, "what is rendered is what was fetched");
    Ok(chart.version)
}

/// The processes whose command line has this text, as long as they live.
pub fn processes(text: &str) -> anyhow::Result<Vec<String>> {
    let mut found = Vec::new();
    for entry in Path::new("/proc").read_dir()?.flatten() {
        let pid = entry.file_name().to_string_lossy().into_owned();
        // Most are no processes, or gone by now.
        let Ok(line) = std::fs::read(entry.path().join("cmdline")) else { continue };
        let line = String::from_utf8_lossy(&line).replace('\0', " ");
        if line.contains(text) && pid != std::process::id().to_string() {
            found.push(format!("{pid} {line}"));
        }
    }
    Ok(found)
}

/// How many of our own processes have ended and wait for that to be noticed.
fn zombies() -> anyhow::Result<usize> {
    let own = format!("PPid:\t{}", std::process::id());
    let entries = Path::new("/proc").read_dir()?.flatten();
    let all = entries.filter_map(|entry| std::fs::read_to_string(entry.path().join("status")).ok());
    Ok(all.filter(|status| status.contains("State:\tZ") && status.contains(&own)).count())
}

/// Waits until no process has this text in its command line, and none that has ended is left over.
pub async fn gone(text: &str) -> anyhow::Result<()> {
    for _ in 0..250 {
        if processes(text)?.is_empty() && zombies()? == 0 {
            return Ok(());
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    bail!("still there: {:?}", processes(text)?)
}
