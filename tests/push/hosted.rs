//! Servers that answer over http as the hosted ones do: redirects, pauses, pages for a browser, old protocols. What they serve
//! is git's own. I/O: processes, network, disk.

use std::collections::BTreeMap;
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context as _, ensure};
use holdfast::error::StageError as _;
use holdfast::source::{GitRef, Location, SourceError, Sources};
use holdfast_tests::watchdog::Folder;
use parking_lot::Mutex;

use crate::workshop::{LIMIT, Workshop, credential, git, read, sources};

/// A request, with the names of its headers in small letters.
struct Request {
    target: String,
    headers: BTreeMap<String, String>,
    body: Vec<u8>,
}

struct Reply {
    status: u16,
    headers: Vec<(&'static str, String)>,
    body: Vec<u8>,
}

fn reply(status: u16, headers: &[(&'static str, &str)], body: &[u8]) -> Reply {
    let headers = headers.iter().map(|(name, value)| (*name, (*value).to_owned())).collect();
    Reply { status, headers, body: body.to_vec() }
}

/// A server on loopback. Its thread ends with the process.
struct Server {
    port: u16,
    targets: Arc<Mutex<Vec<String>>>,
}

impl Server {
    fn start(answer: impl Fn(&Request) -> Reply + Send + 'static) -> anyhow::Result<Self> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
        let port = listener.local_addr()?.port();
        let targets = Arc::<Mutex<Vec<String>>>::default();
        let seen = targets.clone();
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                // A client that goes away is no failure of the server.
                let _ = serve(stream, &answer, &seen);
            }
        });
        Ok(Self { port, targets })
    }

    fn url(&self, path: &str) -> String {
        format!("http://127.0.0.1:{}/{path}", self.port)
    }

    fn count(&self) -> usize {
        self.targets.lock().len()
    }
}

fn serve(
    stream: TcpStream,
    answer: impl Fn(&Request) -> Reply,
    seen: &Mutex<Vec<String>>,
) -> anyhow::Result<()> {
    let mut reader = BufReader::new(stream.try_clone()?);
    let mut line = String::new();
    reader.read_line(&mut line)?;
    let target = line.split(' ').nth(1).context("no target")?.to_owned();
    let mut headers = BTreeMap::new();
    loop {
        let mut line = String::new();
        reader.read_line(&mut line)?;
        let Some((name, value)) = line.trim_end().split_once(':') else { break };
        headers.insert(name.to_lowercase(), value.trim().to_owned());
    }
    let length = headers.get("content-length").and_then(|length| length.parse().ok()).unwrap_or(0);
    let mut body = vec![0; length];
    reader.read_exact(&mut body)?;
    seen.lock().push(target.clone());
    let Reply { status, headers, body } = answer(&Request { target, headers, body });
    let mut stream = stream;
    write!(stream, "HTTP/1.1 {status} Status\r\nConnection: close\r\nContent-Length: {}\r\n", body.len())?;
    for (name, value) in headers {
        write!(stream, "{name}: {value}\r\n")?;
    }
    stream.write_all(b"\r\n")?;
    Ok(stream.write_all(&body)?)
}

/// Lets git answer for a repository, as `git http-backend` would.
fn git_http(bare: &Path, request: &Request) -> Reply {
    let is_hello = request.target.contains("/info/refs?service=git-upload-pack");
    let mut upload = Command::new("git");
    upload.args(["upload-pack", "--stateless-rpc"]).stdin(Stdio::piped()).stdout(Stdio::piped());
    if is_hello {
        upload.arg("--advertise-refs");
    }
    upload.arg(bare);
    if let Some(version) = request.headers.get("git-protocol") {
        upload.env("GIT_PROTOCOL", version);
    }
    let mut run = || -> anyhow::Result<Vec<u8>> {
        let mut child = upload.spawn()?;
        child.stdin.take().context("no stdin")?.write_all(&request.body)?;
        Ok(child.wait_with_output()?.stdout)
    };
    let answer = run().unwrap_or_default();
    if is_hello {
        let body = [b"001e# service=git-upload-pack\n0000", answer.as_slice()].concat();
        reply(200, &[("content-type", "application/x-git-upload-pack-advertisement")], &body)
    } else {
        reply(200, &[("content-type", "application/x-git-upload-pack-result")], &answer)
    }
}

const LOGIN: [(&str, &str); 2] = [("username", "alice"), ("password", "s3cret")];

fn location(url: &str, keys: &[(&str, &str)]) -> anyhow::Result<Location> {
    let credential = if keys.is_empty() { None } else { Some(credential(keys)?) };
    Ok(Location::parse(url, credential)?)
}

async fn failure(sources: &Sources, location: &Location) -> anyhow::Result<SourceError> {
    let found = sources.checkout(location, &GitRef::default(), Duration::ZERO, LIMIT).await;
    found.err().context("there was no error")
}

async fn text(sources: &Sources, location: &Location) -> anyhow::Result<String> {
    let found = sources.checkout(location, &GitRef::default(), Duration::ZERO, LIMIT).await?;
    Ok(String::from_utf8(read(&found, "a.yaml")?)?)
}

#[tokio::test]
async fn a_redirect_on_the_same_host_is_followed_with_the_login() -> anyhow::Result<()> {
    let workshop = Workshop::new()?;
    let bare = workshop.bare.clone();
    let server = Server::start(move |request| {
        if !request.headers.contains_key("authorization") {
            return reply(401, &[("www-authenticate", "Basic")], b"");
        }
        match request.target.strip_prefix("/x/") {
            Some(rest) => reply(301, &[("location", &format!("/org/renamed.git/{rest}"))], b""),
            None => git_http(&bare, request),
        }
    })?;
    assert_eq!(text(&workshop.sources, &location(&server.url("x"), &LOGIN)?).await?, "image: web:1\n");
    Ok(())
}

#[tokio::test]
async fn a_redirect_to_another_host_is_refused_and_names_the_url() -> anyhow::Result<()> {
    let folder = Folder::make("hosted")?;
    let server = Server::start(|request| {
        let to = format!("http://localhost:9/new.git{}", request.target.trim_start_matches("/x"));
        let page = "https://sso.example.com/login?back=secret";
        let location = if request.target.starts_with("/x/") { to.as_str() } else { page };
        reply(302, &[("location", location)], b"")
    })?;
    let sources = sources(folder.path());
    let error = failure(&sources, &location(&server.url("x"), &LOGIN)?).await?;
    let said = error.to_string();
    assert_eq!(error.name(), "Redirected");
    assert!(said.contains("at http://localhost:9/new.git now") && !said.contains("info/refs"), "{said}");
    let said = failure(&sources, &location(&server.url("y"), &LOGIN)?).await?.to_string();
    assert!(said.contains("https://sso.example.com/login, which is not a repository"), "{said}");
    assert!(!said.contains("secret"), "{said}");
    Ok(())
}

#[tokio::test]
async fn each_answer_that_is_no_repository_has_its_own_message() -> anyhow::Result<()> {
    let folder = Folder::make("hosted")?;
    let server = Server::start(|request| {
        let path = request.target.trim_start_matches('/').split('/').next().unwrap_or_default();
        let status =
            |status| reply(status, &[("content-type", "text/plain")], b"authentication not found timeout");
        match path {
            "authentication-config" => status(503),
            "svc-404" => status(500),
            "timeout-service" | "login" => status(401),
            "forbidden" => status(403),
            "missing" => status(404),
            "proxy" => status(407),
            "page" => reply(200, &[("content-type", "text/html; charset=utf-8")], b"<html>Sign in</html>"),
            "dumb" => {
                let refs = format!("{}\trefs/heads/main\n", "a".repeat(40));
                reply(200, &[("content-type", "text/plain")], refs.as_bytes())
            }
            _ => reply(200, &[("content-type", "application/json")], b"{}"),
        }
    })?;
    let sources = sources(folder.path());
    for (path, keys, name, words) in [
        ("authentication-config", &LOGIN[..], "ServerFailed", "HTTP status 503"),
        ("svc-404", &LOGIN, "ServerFailed", "HTTP status 500"),
        ("timeout-service", &LOGIN, "AuthenticationFailed", "HTTP status 401"),
        ("login", &[], "LoginMissing", "requires a login"),
        ("forbidden", &LOGIN, "AuthenticationFailed", "HTTP status 403"),
        ("missing", &LOGIN, "RepositoryNotFound", "repository not found"),
        ("proxy", &LOGIN, "ProxyLogin", "HTTPS_PROXY"),
        ("page", &LOGIN, "NotGit", "a web page"),
        ("dumb", &[], "DumbHttp", "dumb HTTP"),
        ("json", &[], "NotGit", "no Git server there"),
        ("certificate", &[("ca.crt", "hunter2")], "BadCredential", "ca.crt is not a certificate in PEM"),
    ] {
        let error = failure(&sources, &location(&server.url(path), keys)?).await?;
        assert_eq!((error.name(), error.to_string().contains(words)), (name, true), "{path}: {error}");
    }
    Ok(())
}

#[tokio::test]
async fn a_server_that_asks_to_wait_is_left_alone() -> anyhow::Result<()> {
    let folder = Folder::make("hosted")?;
    let server = Server::start(|_| reply(429, &[("retry-after", "600")], b""))?;
    let sources = sources(folder.path());
    let (alice, bob) =
        (location(&server.url("a"), &LOGIN)?, location(&server.url("a"), &[("bearerToken", "b")])?);
    let error = failure(&sources, &alice).await?;
    assert_eq!((error.name(), server.count()), ("ServerBusy", 1), "{error}");
    assert_eq!(failure(&sources, &alice).await?.to_string(), error.to_string(), "the message stays the same");
    assert_eq!(failure(&sources, &location(&server.url("b"), &LOGIN)?).await?.name(), "ServerBusy");
    assert_eq!(
        sources.branch_head(&alice, "main", LIMIT).await.err().context("no error")?.name(),
        "ServerBusy"
    );
    assert_eq!(server.count(), 1);
    failure(&sources, &bob).await?;
    assert_eq!(server.count(), 2, "another login has a pause of its own");
    Ok(())
}

#[tokio::test]
async fn a_server_that_is_never_shallow_is_read_whole() -> anyhow::Result<()> {
    for keeps_version in [true, false] {
        let workshop = Workshop::new()?;
        workshop.human(&[("a.yaml", "image: web:2\n")], "Second")?;
        let bare = workshop.bare.clone();
        let server = Server::start(move |request| {
            let mut request = Request {
                target: request.target.clone(),
                headers: request.headers.clone(),
                body: request.body.clone(),
            };
            if !keeps_version {
                request.headers.remove("git-protocol");
            }
            let mut reply = git_http(&bare, &request);
            if request.target.contains("/info/refs") {
                while let Some(at) = reply.body.windows(7).position(|word| word == b"shallow") {
                    reply.body[at..at + 7].copy_from_slice(b"shaxxow");
                }
                while let Some(at) = reply.body.windows(7).position(|word| word == b"deepen-") {
                    reply.body[at..at + 7].copy_from_slice(b"dexxen-");
                }
            }
            reply
        })?;
        let location = location(&server.url("a"), &[])?;
        assert_eq!(text(&workshop.sources, &location).await?, "image: web:2\n");
        let third = workshop.human(&[("a.yaml", "image: web:3\n")], "Third")?;
        ensure!(third.len() == 40);
        assert_eq!(text(&workshop.sources, &location).await?, "image: web:3\n");
    }
    Ok(())
}

#[tokio::test]
async fn a_repository_with_sha_256_is_named_so() -> anyhow::Result<()> {
    let folder = Folder::make("hosted")?;
    git(folder.path(), &["init", "--quiet", "--object-format=sha256", "-b", "main", "a"])?;
    let place = folder.path().join("a");
    git(&place, &["commit", "--quiet", "--allow-empty", "-m", "Begin"])?;
    let server = Server::start({
        let place = place.clone();
        move |request| git_http(&place, request)
    })?;
    let sources = sources(folder.path());
    for url in [format!("file://{}", place.display()), server.url("a")] {
        let error = failure(&sources, &location(&url, &[])?).await?;
        assert_eq!(
            (error.name(), error.to_string().contains("SHA-256")),
            ("Sha256Repository", true),
            "{error}"
        );
    }
    Ok(())
}

#[tokio::test]
async fn a_repository_on_disk_that_is_none_says_so() -> anyhow::Result<()> {
    let folder = Folder::make("hosted")?;
    let sources = sources(folder.path());
    let url = format!("file://{}/authentication-timeout", folder.path().display());
    let error = failure(&sources, &location(&url, &[])?).await?;
    assert_eq!(
        (error.name(), error.to_string().contains("git repository")),
        ("RepositoryNotFound", true),
        "{error}"
    );
    Ok(())
}
