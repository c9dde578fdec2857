//! Calls as the services make them, over loopback. The signatures were made with other tools.

use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::time::{Duration, Instant};

use http::{HeaderMap, HeaderName, HeaderValue, Method};
use parking_lot::Mutex;

use super::page::PACE;
use super::slots::EACH;
use super::*;
use crate::metrics::Metrics;
use crate::server::body::Pace;
use crate::server::tests as pages;
use crate::server::{CONNECTIONS, Pages};
use crate::subject::Kind;

const SECRET: &str = "0123456789abcdef";
const BODY: &str = r#"{"ref":"refs/heads/main"}"#;
/// `printf '{"ref":"refs/heads/main"}' | openssl dgst -sha256 -hmac 0123456789abcdef`
const SIGNATURE: &str = "859e2d6e16fe88dfaf072a7d84e0b2fb5fa89437a89516f3ab66de68497d080e";
/// The same with the key `x`, 100 times.
const LONG: &str = "aa694a4332f796ccb749ce0eb60eca8c0e5103afe1825db72bf680b3bb6b892d";
/// Of as many zeros as a body may have.
const LARGE: &str = "228a8f2f507f6d1523dae889fe67a165a6dfb764163e87d6a97535b34e91b935";

type Looks = Arc<Mutex<Vec<Subject>>>;

struct Served {
    hooks: Hooks,
    looks: Looks,
    address: SocketAddr,
    metrics: Arc<Metrics>,
}

fn owner(name: &str) -> Subject {
    Subject { kind: Kind::Sync, namespace: "team".to_owned(), name: name.to_owned() }
}

fn found(hooks: &Hooks, path: &str) -> Option<Subject> {
    hooks.find(&unhex(path.as_bytes())?).map(|(owner, _)| owner)
}

fn token(text: &str) -> Token {
    Token(text.into())
}

fn endpoint(provider: HookProvider) -> Endpoint {
    Endpoint { provider, token: token(SECRET) }
}

fn noted() -> (Hooks, Looks) {
    let looks = Looks::default();
    let noted = looks.clone();
    (Hooks::new(Arc::new(move |owner| noted.lock().push(owner))), looks)
}

fn served() -> Served {
    let (hooks, looks) = noted();
    let metrics = Arc::new(Metrics::new());
    let pages = Pages { metrics: metrics.clone(), hooks: hooks.clone(), ..pages::pages() };
    Served { hooks, looks, address: pages::served(pages, CONNECTIONS), metrics }
}

impl Served {
    async fn call(&self, method: Method, path: &str, headers: &[(&str, &str)], body: Vec<u8>) -> Answer {
        let url = format!("http://{}{path}", self.address);
        let mut request = reqwest::Client::new().request(method, url).body(body);
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let answer = request.send().await.expect("an answer");
        let status = answer.status().as_u16();
        let mut headers = answer.headers().clone();
        headers.remove("date");
        Answer { status, headers, body: answer.text().await.expect("a text") }
    }

    fn counted(&self, result: &str) -> u64 {
        let start = format!("holdfast_hooks_total{{result=\"{result}\"}} ");
        let text = self.metrics.encode().expect("a text");
        let count = text.lines().find_map(|line| line.strip_prefix(&start));
        count.map_or(0, |count| count.parse().expect("a number"))
    }

    fn looks(&self) -> usize {
        self.looks.lock().len()
    }
}

#[derive(Debug, PartialEq)]
struct Answer {
    status: u16,
    headers: HeaderMap,
    body: String,
}

/// Calls each time with one header, and asks that exactly the first ones are taken.
async fn check(provider: HookProvider, taken: &[(&str, &str)], refused: &[(&str, &str)]) {
    let served = served();
    for (index, header) in taken.iter().chain(refused).enumerate() {
        // An owner of its own, since those of one are put together.
        let path = served.hooks.set(owner(&format!("app-{index}")), endpoint(provider));
        let answer = served.call(Method::POST, &path, &[*header], BODY.into()).await;
        let expected = if index < taken.len() { 200 } else { 404 };
        assert_eq!((answer.status, answer.body.as_str()), (expected, ""), "{provider:?} {header:?}");
    }
    assert_eq!(served.looks(), taken.len(), "{provider:?}");
    assert_eq!(served.counted("ok"), taken.len() as u64, "{provider:?}");
    assert_eq!(served.counted("refused"), refused.len() as u64, "{provider:?}");
}

fn sha256(signature: &str) -> String {
    format!("sha256={signature}")
}

#[tokio::test]
async fn signatures_are_taken_as_each_service_makes_them() {
    let (right, wrong) = (sha256(SIGNATURE), sha256(LONG));
    let (right, wrong) = (right.as_str(), wrong.as_str());
    let upper = sha256(&SIGNATURE.to_uppercase());
    let short = &right[..right.len() - 1];
    let (github, bare) = ("x-hub-signature-256", SIGNATURE);
    for provider in [HookProvider::GitHub, HookProvider::Ghcr] {
        let refused = [
            (github, wrong),
            (github, bare),
            (github, short),
            (github, "sha256="),
            (github, ""),
            ("x-hub-signature", right),
            ("x-signature-256", right),
            ("authorization", SECRET),
            ("x-any", "any"),
        ];
        check(provider, &[(github, right), (github, &upper)], &refused).await;
    }
    let generic = "x-signature-256";
    let refused =
        [(generic, wrong), (generic, bare), ("x-hub-signature", right), ("x-gitea-signature", bare)];
    check(HookProvider::Generic, &[(generic, right), (github, right)], &refused).await;
    let gitea = "x-gitea-signature";
    check(HookProvider::Gitea, &[(gitea, bare)], &[(gitea, right), (gitea, &wrong[7..]), (github, right)])
        .await;
    let forgejo = "x-forgejo-signature";
    check(
        HookProvider::Forgejo,
        &[(forgejo, bare), (gitea, bare), (github, right)],
        &[(forgejo, right), (forgejo, &wrong[7..]), (github, wrong)],
    )
    .await;
    let bitbucket = "x-hub-signature";
    check(
        HookProvider::Bitbucket,
        &[(bitbucket, right)],
        &[(bitbucket, wrong), (bitbucket, bare), (github, right)],
    )
    .await;
}

#[tokio::test]
async fn tokens_are_taken_where_each_service_shows_them() {
    let bearer = format!("Bearer {SECRET}");
    let basic = "Basic aG9sZGZhc3Q6MDEyMzQ1Njc4OWFiY2RlZg==";
    let almost = "0123456789abcdeF";
    let gitlab = "x-gitlab-token";
    let refused = [(gitlab, almost), (gitlab, ""), (gitlab, bearer.as_str()), ("authorization", SECRET)];
    check(HookProvider::GitLab, &[(gitlab, SECRET)], &refused).await;
    let header = "authorization";
    let taken = [(header, SECRET), (header, bearer.as_str()), (header, basic)];
    check(HookProvider::Harbor, &taken, &[(header, almost), (header, "Bearer"), (gitlab, SECRET)]).await;
    let holdfast = "x-holdfast-token";
    let taken = [(holdfast, SECRET), (header, bearer.as_str()), (header, basic)];
    check(HookProvider::Ecr, &taken, &[(holdfast, almost), (header, SECRET), ("x-any", "any")]).await;
    for provider in [HookProvider::DockerHub, HookProvider::Quay] {
        check(provider, &[("x-any", "any"), (gitlab, almost)], &[]).await;
    }
}

/// The example of GitHub's documentation.
#[tokio::test]
async fn githubs_own_example_is_taken() {
    let served = served();
    let secret = token("It's a Secret to Everybody");
    let path = served.hooks.set(owner("app"), Endpoint { provider: HookProvider::GitHub, token: secret });
    let signature = "sha256=757107ea0eb2509fc211221cce984b8a37570b6d7586c22c46f4379c8b043e17";
    let headers = [("x-hub-signature-256", signature), ("x-github-event", "ping")];
    assert_eq!(served.call(Method::POST, &path, &headers, b"Hello, World!".to_vec()).await.status, 200);
    assert_eq!(served.call(Method::POST, &path, &headers, b"Hello, World?".to_vec()).await.status, 404);
}

#[tokio::test]
async fn a_token_that_is_longer_than_a_block_signs_too() {
    let served = served();
    let long = Endpoint { provider: HookProvider::Gitea, token: token(&"x".repeat(100)) };
    let path = served.hooks.set(owner("app"), long);
    let answer = served.call(Method::POST, &path, &[("x-gitea-signature", LONG)], BODY.into()).await;
    assert_eq!(answer.status, 200);
}

#[tokio::test]
async fn nothing_tells_a_path_that_exists_from_one_that_does_not() {
    let served = served();
    let path = served.hooks.set(owner("app"), endpoint(HookProvider::GitHub));
    let signature = sha256(SIGNATURE);
    let right = ("x-hub-signature-256", signature.as_str());
    let other = format!("/hooks/{}", "0".repeat(64));
    let unknown = served.call(Method::POST, &other, &[right], BODY.into()).await;
    assert_eq!((unknown.status, unknown.body.as_str()), (404, ""));
    for (method, path, headers, body) in [
        (Method::POST, path.as_str(), vec![], BODY),
        (Method::POST, &path, vec![("x-hub-signature-256", "sha256=00")], BODY),
        (Method::POST, &path, vec![right], "another"),
        (Method::POST, &path, vec![right], ""),
        (Method::PUT, &path, vec![right], BODY),
        (Method::GET, &path, vec![right], BODY),
        (Method::OPTIONS, &path, vec![right], BODY),
        (Method::POST, &path[..path.len() - 1], vec![right], BODY),
        (Method::POST, &format!("{path}/"), vec![right], BODY),
        (Method::POST, &format!("{path}/x"), vec![right], BODY),
        (Method::POST, "/hooks/%ff", vec![right], BODY),
        (Method::POST, "/hooks/", vec![right], BODY),
        (Method::POST, "/hooks", vec![right], BODY),
        (Method::GET, &other, vec![], ""),
    ] {
        let answer = served.call(method.clone(), path, &headers, body.into()).await;
        assert_eq!(answer, unknown, "{method} {path} {headers:?} {body}");
    }
    assert_eq!(served.looks(), 0);
    assert_eq!(served.call(Method::POST, &path, &[right], BODY.into()).await.status, 200);
}

#[tokio::test]
async fn a_body_as_large_as_githubs_largest_is_taken_and_no_larger_one() {
    // Without optimisation, signing takes longer than a body may.
    let patient = Pace { whole: Duration::from_mins(2), gap: Duration::from_mins(1), ..PACE };
    let ((hooks, looks), metrics) = (noted(), Arc::new(Metrics::new()));
    let address = limited(hooks.clone(), metrics.clone(), patient).await;
    let served = Served { hooks, looks, address, metrics };
    let path = served.hooks.set(owner("app"), endpoint(HookProvider::Gitea));
    let other = format!("/hooks/{}", "0".repeat(64));
    let header = [("x-gitea-signature", LARGE)];
    assert_eq!(served.call(Method::POST, &path, &header, vec![0; PACE.largest]).await.status, 200);
    // The server answers without reading the rest, and closes. A client that still sends may see the close before the answer.
    for (path, expected) in [(&path, "HTTP/1.1 413"), (&other, "HTTP/1.1 404")] {
        let head = format!("POST {path} HTTP/1.1\r\nhost: a\r\ncontent-length: {}\r\n\r\n", PACE.largest + 1);
        assert_eq!(answer(served.address, vec![head.into_bytes()]).await, expected);
    }
    let head = format!("POST {path} HTTP/1.1\r\nhost: a\r\ntransfer-encoding: chunked\r\n\r\n");
    let most = [format!("{:x}\r\n", PACE.largest).into_bytes(), vec![0; PACE.largest]].concat();
    let piece = [most, b"\r\n1\r\nx".to_vec()].concat();
    assert_eq!(answer(served.address, vec![head.into_bytes(), piece]).await, "HTTP/1.1 413");
    assert_eq!(served.counted("too_large"), 2);
}

/// Serves the page alone, with limits of its own.
async fn limited(hooks: Hooks, metrics: Arc<Metrics>, pace: Pace) -> SocketAddr {
    let page = page::limited(hooks, metrics, pace);
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let address = listener.local_addr().expect("an address");
    tokio::spawn(async move { axum::serve(listener, page).await });
    address
}

/// Sends pieces, and returns how the answer begins.
async fn answer(address: SocketAddr, pieces: Vec<Vec<u8>>) -> String {
    let answer = tokio::task::spawn_blocking(move || {
        let mut stream = TcpStream::connect(address)?;
        stream.set_read_timeout(Some(Duration::from_mins(1)))?;
        for piece in pieces {
            stream.write_all(&piece)?;
        }
        let mut answer = [0; 12];
        stream.read_exact(&mut answer)?;
        std::io::Result::Ok(String::from_utf8_lossy(&answer).into_owned())
    });
    answer.await.expect("no panic").expect("an answer")
}

#[tokio::test]
async fn slow_bodies_hold_slots_of_their_own_path_only_and_not_for_long() {
    let (hooks, looks) = noted();
    let path = hooks.set(owner("app"), endpoint(HookProvider::DockerHub));
    let other = hooks.set(owner("other"), endpoint(HookProvider::DockerHub));
    let (short, whole) = (Duration::from_millis(500), Duration::from_secs(2));
    let pace = Pace { largest: 100, whole, gap: short };
    let address = limited(hooks, Arc::new(Metrics::new()), pace).await;
    let head = |path: &str| {
        format!("POST {path} HTTP/1.1\r\nhost: a\r\ncontent-length: 10\r\n\r\n12345").into_bytes()
    };
    let started = Instant::now();
    let slow: Vec<_> = (0..EACH).map(|_| tokio::spawn(answer(address, vec![head(&path)]))).collect();
    tokio::time::sleep(Duration::from_millis(150)).await;
    assert_eq!(answer(address, vec![head(&path)]).await, "HTTP/1.1 503");
    // Another path, and one that does not exist, are answered meanwhile; the latter without its body.
    assert_eq!(answer(address, vec![head(&other), b"67890".to_vec()]).await, "HTTP/1.1 200");
    assert_eq!(answer(address, vec![head(&format!("/hooks/{}", "0".repeat(64)))]).await, "HTTP/1.1 404");
    assert!(started.elapsed() < short + Duration::from_millis(150), "{:?}", started.elapsed());
    for call in slow {
        assert_eq!(call.await.expect("no panic"), "HTTP/1.1 408");
    }
    assert!(started.elapsed() < Duration::from_secs(5), "{:?}", started.elapsed());
    assert_eq!(answer(address, vec![head(&path), b"67890".to_vec()]).await, "HTTP/1.1 200");
    assert_eq!(looks.lock().len(), 2);
}

#[tokio::test]
async fn a_call_that_comes_while_the_agent_starts_is_a_look_once_its_path_is_known() {
    let served = served();
    served.hooks.start();
    let (hooks, _) = noted();
    let path = hooks.set(owner("app"), endpoint(HookProvider::GitHub));
    let early = served.call(Method::POST, &path, &[], BODY.into()).await;
    assert_eq!((early.status, served.looks()), (202, 0));
    assert_eq!(served.call(Method::GET, &path, &[], String::new().into()).await.status, 404);
    assert_eq!(served.hooks.set(owner("app"), endpoint(HookProvider::GitHub)), path);
    assert_eq!(served.looks(), 1);
    served.hooks.set(owner("other"), endpoint(HookProvider::GitHub));
    assert_eq!(served.looks(), 1, "it was not called");
    assert_eq!(
        served.call(Method::POST, &path, &[], BODY.into()).await.status,
        404,
        "it is proven from now on"
    );
}

#[tokio::test]
async fn a_burst_of_calls_is_two_looks() {
    let (hooks, looks) = noted();
    let looks = || std::mem::take(&mut *looks.lock()).len();
    for _ in 0..50 {
        hooks.bursts.call(owner("app"));
    }
    assert_eq!(looks(), 1, "the first call is handled at once");
    hooks.bursts.call(owner("other"));
    assert_eq!(looks(), 1, "each owner has bursts of its own");
    tokio::time::sleep(Duration::from_millis(1300)).await;
    assert_eq!(looks(), 1, "the last ones are not forgotten");
    hooks.bursts.call(owner("app"));
    assert_eq!(looks(), 0, "a look was just made");
    tokio::time::sleep(Duration::from_millis(2400)).await;
    assert_eq!(looks(), 1);
    hooks.bursts.call(owner("app"));
    assert_eq!(looks(), 1, "the burst is over");
}

#[test]
fn a_path_is_the_same_after_a_restart_and_changes_with_the_token() {
    let path = noted().0.set(owner("app"), endpoint(HookProvider::GitHub));
    assert_eq!(path, "/hooks/b6d1345152d78860fa731953e2d2ac3f57ca0ce025af6da80fabc04d303ffa7d");
    let (hooks, _) = noted();
    assert_eq!(hooks.set(owner("app"), endpoint(HookProvider::Generic)), path);
    assert_ne!(hooks.set(owner("other"), endpoint(HookProvider::GitHub)), path);
    let update = Subject { kind: Kind::ImageUpdate, ..owner("app") };
    assert_ne!(hooks.set(update, endpoint(HookProvider::GitHub)), path);
    let changed = Endpoint { provider: HookProvider::GitHub, token: token("fedcba9876543210") };
    assert_ne!(hooks.set(owner("app"), changed), path);
    let last = |path: &str| path.rsplit('/').next().unwrap_or_default().to_owned();
    assert!(found(&hooks, &last(&path)).is_none(), "the path of the old token is gone");
}

#[test]
fn what_is_removed_is_no_longer_there() {
    let (hooks, _) = noted();
    let path = hooks.set(owner("app"), endpoint(HookProvider::Quay));
    let last = path.rsplit('/').next().unwrap_or_default();
    assert!(found(&hooks, last).is_some());
    hooks.remove(&owner("app"));
    hooks.remove(&owner("app"));
    assert!(found(&hooks, last).is_none());
}

/// Who reads the path of an object and knows how it is made must not be able to sign a body with it.
#[test]
fn a_path_is_not_the_signature_of_any_body() {
    let path = key(&token(SECRET), &owner("app"));
    let mut mac = keyed(SECRET.as_bytes());
    mac.update(owner("app").to_string().as_bytes());
    let mut headers = HeaderMap::new();
    let value = HeaderValue::from_str(&sha256(&hex::encode(path))).expect("a value");
    headers.insert(HeaderName::from_static("x-signature-256"), value);
    let hmac = mac.finalize().into_bytes().into();
    let found = proof::check(HookProvider::Generic, &token(SECRET), &headers, &hmac);
    assert_eq!(found, Err(proof::Unverified::Wrong("x-signature-256")));
}
