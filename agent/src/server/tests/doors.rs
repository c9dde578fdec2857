//! Who may read the metrics.

use std::sync::atomic::{AtomicUsize, Ordering};

use futures::FutureExt as _;
use tokio::io::AsyncWriteExt as _;

use super::wire::{connect, rest};
use super::*;

/// Serves with a judge of tokens, and counts what it is asked.
fn guarded() -> (SocketAddr, Arc<AtomicUsize>) {
    let asked = Arc::<AtomicUsize>::default();
    let count = asked.clone();
    let may: MayScrape = Arc::new(move |token| {
        count.fetch_add(1, Ordering::Relaxed);
        async move {
            match token.as_str() {
                "good" => Ok(true),
                "hangs" => std::future::pending().await,
                "fails" => Err("the API server is away".to_owned()),
                _ => Ok(false),
            }
        }
        .boxed()
    });
    (served(Pages { scrape: Scrape::Token(may), ..pages() }, CONNECTIONS), asked)
}

/// How the answer to a scrape with a token begins, and how it ends.
async fn scrape(address: SocketAddr, last: u8, authorization: &str) -> String {
    let mut stream = connect(address, last).await;
    let head = format!("GET /metrics HTTP/1.0\r\n{authorization}\r\n\r\n");
    stream.write_all(head.as_bytes()).await.expect("sent");
    rest(&mut stream).await
}

#[tokio::test]
async fn metrics_are_for_who_shows_a_token_that_may_read_them() {
    let (address, asked) = guarded();
    let check = async |authorization: &str, expected: &str, questions: usize| {
        let answer = scrape(address, 1, authorization).await;
        assert!(answer.starts_with(&format!("HTTP/1.0 {expected}")), "{authorization}: {answer}");
        assert_eq!(answer.contains("# EOF"), expected == "200", "{authorization}");
        assert_eq!(asked.swap(0, Ordering::Relaxed), questions, "{authorization}");
    };
    check("x: y", "401", 0).await;
    check("authorization: Basic Z29vZA==", "401", 0).await;
    check("authorization: Bearer good", "200", 1).await;
    check("authorization: bearer good", "200", 0).await;
    check("authorization: Bearer bad", "403", 1).await;
    check("authorization: Bearer bad", "403", 0).await;
    check("authorization: Bearer fails", "503", 1).await;
    check("authorization: Bearer fails", "503", 1).await;
    // The probes are for everybody.
    let mut stream = connect(address, 1).await;
    stream.write_all(b"GET /healthz HTTP/1.0\r\n\r\n").await.expect("sent");
    assert!(rest(&mut stream).await.starts_with("HTTP/1.0 200"));
}

#[tokio::test]
async fn a_question_that_is_not_answered_concerns_its_own_peer_only() {
    let (address, _) = guarded();
    let hangs = tokio::spawn(scrape(address, 2, "authorization: Bearer hangs"));
    tokio::time::sleep(Duration::from_millis(200)).await;
    assert!(scrape(address, 2, "authorization: Bearer good").await.starts_with("HTTP/1.0 429"));
    assert!(scrape(address, 3, "authorization: Bearer good").await.starts_with("HTTP/1.0 200"));
    assert!(
        scrape(address, 2, "authorization: Bearer good").await.starts_with("HTTP/1.0 200"),
        "it is known"
    );
    assert!(hangs.await.expect("no panic").starts_with("HTTP/1.0 503"));
}
