//! Served on loopback.

mod doors;
mod standby;
mod wire;

use std::io::{Read as _, Write as _};
use std::net::TcpStream;

use axum::http::header;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use parking_lot::Mutex;

use super::*;

/// Bytes of a batch of audit events.
const BATCH: usize = audit::BATCH.largest;

const SECRET: &str = "0123456789abcdef";

/// What an agent serves that has no Syncs.
pub fn pages() -> Pages {
    Pages {
        health: Health::default(),
        metrics: Arc::new(Metrics::new()),
        scrape: Scrape::Open,
        audit: None,
        hooks: Hooks::new(Arc::new(|_| {})),
        relay: Relay::alone(CancellationToken::new()),
    }
}

/// Serves on a port that the system chooses.
pub fn served(pages: Pages, limits: Limits) -> SocketAddr {
    let any = SocketAddr::from(([127, 0, 0, 1], 0));
    serve(any, pages, limits, None, CancellationToken::new()).expect("an address")
}

/// Serves, with the endpoint if asked to. A batch is taken if it says `changes`.
fn serve_with(audit: bool) -> (SocketAddr, Arc<Metrics>, Arc<Mutex<Vec<usize>>>) {
    let (metrics, taken) = (Arc::new(Metrics::new()), Arc::<Mutex<Vec<usize>>>::default());
    let sizes = taken.clone();
    let take: TakeAudit = Arc::new(move |body| {
        sizes.lock().push(body.len());
        if body.starts_with(b"changes") { Ok(3) } else { Err("it must say changes".to_owned()) }
    });
    let endpoint = audit.then(|| AuditEndpoint { token: Token::parse(SECRET).expect("a token"), take });
    let pages = Pages { audit: endpoint, metrics: metrics.clone(), ..pages() };
    (served(pages, CONNECTIONS), metrics, taken)
}

async fn post(address: SocketAddr, authorization: &str, body: Vec<u8>) -> (u16, String) {
    let request = reqwest::Client::new().post(format!("http://{address}/audit?timeout=30s")).body(body);
    let answer = request.header(header::AUTHORIZATION, authorization).send().await.expect("an answer");
    (answer.status().as_u16(), answer.text().await.expect("a text"))
}

fn counted(metrics: &Metrics, result: &str) -> Option<String> {
    let start = format!("holdfast_audit_events_total{{result=\"{result}\"}} ");
    let text = metrics.encode().expect("a text");
    text.lines().find_map(|line| line.strip_prefix(&start)).map(ToOwned::to_owned)
}

#[tokio::test]
async fn a_batch_is_taken_from_who_shows_the_token() {
    let (address, metrics, taken) = serve_with(true);
    let basic = |pair: String| format!("Basic {}", STANDARD.encode(pair));
    for shown in [format!("Bearer {SECRET}"), format!("bearer {SECRET}"), basic(format!("audit:{SECRET}"))] {
        assert_eq!(post(address, &shown, b"changes".to_vec()).await, (200, String::new()), "{shown}");
    }
    assert_eq!(counted(&metrics, "ok").as_deref(), Some("9"));
    for shown in [
        String::new(),
        SECRET.to_owned(),
        "Bearer".to_owned(),
        "Bearer ".to_owned(),
        format!("Bearer {SECRET}0"),
        format!("Bearer {}", &SECRET[1..]),
        format!("Bearer x:{SECRET}"),
        format!("Token {SECRET}"),
        basic(SECRET.to_owned()),
        basic(format!("{SECRET}:")),
        "Basic ???".to_owned(),
    ] {
        assert_eq!(post(address, &shown, b"changes".to_vec()).await, (401, String::new()), "{shown}");
    }
    assert_eq!(counted(&metrics, "refused").as_deref(), Some("11"));
    assert_eq!(taken.lock().len(), 3);
}

#[tokio::test]
async fn what_is_wrong_with_a_batch_is_said() {
    let (address, metrics, taken) = serve_with(true);
    let shown = format!("Bearer {SECRET}");
    let answer = post(address, &shown, b"nothing".to_vec()).await;
    assert_eq!(answer, (400, "it must say changes\n".to_owned()));
    let full = [b"changes".to_vec(), vec![b' '; BATCH - 7]].concat();
    assert_eq!(post(address, &shown, full.clone()).await.0, 200);
    assert_eq!(post(address, &shown, [full, vec![b' ']].concat()).await.0, 413);
    assert_eq!(counted(&metrics, "invalid").as_deref(), Some("2"));
    assert_eq!(*taken.lock(), [7, BATCH]);
}

/// The answer comes although nothing of the body is ever sent.
#[tokio::test(flavor = "multi_thread")]
async fn a_wrong_token_is_refused_before_the_body_is_read() {
    let (address, ..) = serve_with(true);
    let answer = tokio::task::spawn_blocking(move || {
        let mut stream = TcpStream::connect(address)?;
        stream.set_read_timeout(Some(Duration::from_secs(10)))?;
        stream.write_all(
            b"POST /audit HTTP/1.1\r\nhost: a\r\nauthorization: Bearer no\r\ncontent-length: 1000\r\n\r\n",
        )?;
        let mut answer = [0; 12];
        stream.read_exact(&mut answer)?;
        std::io::Result::Ok(answer)
    });
    assert_eq!(&answer.await.expect("no panic").expect("an answer"), b"HTTP/1.1 401");
}

#[tokio::test]
async fn without_a_token_there_is_no_such_page() {
    let (address, metrics, _) = serve_with(false);
    assert_eq!(post(address, &format!("Bearer {SECRET}"), b"changes".to_vec()).await, (404, String::new()));
    assert_eq!(counted(&metrics, "refused"), None);
}
