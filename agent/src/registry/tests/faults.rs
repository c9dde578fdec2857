//! Registries that misbehave.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Instant;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpListener;

use super::server::{Reply, Seen, ok, options, registries, reply};
use super::*;

async fn failing(reply: impl Fn(&Seen) -> Reply + Send + Sync + 'static) -> (Server, RegistryError) {
    let server = Server::start(reply).await;
    let access = server.place_with("a", r#"{"username":"alice","password":"hunter2"}"#);
    let error = tags(&registries(), &access).await.unwrap_err();
    (server, error)
}

#[tokio::test]
async fn what_passes_is_tried_again() {
    for status in [429, 500, 502, 503, 504] {
        let count = AtomicUsize::new(0);
        let server = Server::start(move |_| match count.fetch_add(1, Ordering::Relaxed) {
            0 | 1 => reply(status),
            _ => ok(r#"{"tags":["a"]}"#),
        })
        .await;
        assert_eq!(tags(&registries(), &server.access("a")).await.unwrap(), ["a"], "{status}");
    }
}

#[tokio::test]
async fn answers_that_are_no_success_are_told() {
    for (status, body, name, parts, requests) in [
        (500, "no hunter2 at all", "Unavailable", &["500"][..], 3),
        (429, "", "RateLimited", &["has reached its rate limit", "retrying in 30 s"], 3),
        (403, r#"{"errors":[{"code":"DENIED"}]}"#, "LoginRefused", &["403", "DENIED", "not expired"], 1),
        (401, "", "LoginRefused", &["401"], 1),
        (
            404,
            r#"{"errors":[{"code":"NAME_UNKNOWN"}]}"#,
            "NoSuchRepository",
            &["NAME_UNKNOWN", "check the name"],
            1,
        ),
        (410, "gone", "Refused", &["410"], 1),
        (418, "", "Refused", &["418"], 1),
        (304, "", "Refused", &["304"], 1),
        (200, "", "BadAnswer", &["no list of tags"], 1),
        (200, "{}", "BadAnswer", &["no list of tags"], 1),
        (200, "<!DOCTYPE html><title>Sign in", "NotARegistry", &["a web page", "check the host"], 1),
        (404, "<html>", "NotARegistry", &[], 1),
    ] {
        let (server, error) = failing(move |_| reply(status).body(body)).await;
        check(&error, name, parts);
        assert_eq!(server.lines().len(), requests, "{status} {body}");
        assert!(error.to_string().starts_with(&format!("image repository {}/a: ", server.host)), "{error}");
    }
}

#[tokio::test]
async fn a_host_that_has_enough_is_left_alone_until_the_time_it_says() {
    let server = Server::start(|_| reply(429).header("retry-after", "77")).await;
    let registries = registries();
    for path in ["a", "b", "c"] {
        let error = tags(&registries, &server.access(path)).await.unwrap_err();
        check(&error, "RateLimited", &["retrying in 7"]);
        let after = error.retry_after().unwrap();
        assert!((70..=77).contains(&after.as_secs()), "{after:?}");
    }
    assert_eq!(server.lines().len(), 1);
}

#[tokio::test]
async fn a_pause_of_one_login_tenant_or_way_is_not_that_of_another() {
    let server = Server::start(|seen| match seen.authorization.as_str() {
        "" => reply(401).header("www-authenticate", "Basic realm=\"x\""),
        authorization if authorization.contains("YWxpY2U6") => reply(429).header("retry-after", "600"),
        _ => ok(r#"{"tags":["a"]}"#),
    })
    .await;
    let registries = registries();
    let of = |tenant: &str, user: &str| {
        let entry = format!(r#"{{"username":"{user}","password":"hunter2"}}"#);
        Access { tenant: tenant.into(), ..server.place_with("a", &entry) }
    };
    check(&tags(&registries, &of("one", "alice")).await.unwrap_err(), "RateLimited", &["retrying in"]);
    assert_eq!(tags(&registries, &of("two", "bob")).await.unwrap(), ["a"]);
    assert_eq!(tags(&registries, &of("one", "bob")).await.unwrap(), ["a"]);
    let asked = server.lines().len();
    check(&tags(&registries, &of("one", "alice")).await.unwrap_err(), "RateLimited", &["retrying in"]);
    assert_eq!(server.lines().len(), asked, "the pause holds for those who got it");
    // Over TLS it is another way, which fails by itself.
    let tls = Access { insecure: false, ..of("one", "alice") };
    assert_ne!(tags(&registries, &tls).await.unwrap_err().name(), "RateLimited");
}

#[tokio::test]
async fn a_tenant_does_not_wait_for_the_request_of_another() {
    let count = AtomicUsize::new(0);
    let server = Server::start(move |_| match count.fetch_add(1, Ordering::Relaxed) {
        0 => ok(r#"{"tags":["a"]}"#).delay(Duration::from_secs(2)),
        _ => ok(r#"{"tags":["b"]}"#),
    })
    .await;
    let (registries, access) = (registries(), server.access("a"));
    let started = Instant::now();
    let second = async {
        tokio::time::sleep(Duration::from_millis(300)).await;
        let found = tags(&registries, &Access { tenant: "two".into(), ..access.clone() }).await;
        (found, started.elapsed())
    };
    let first = Access { tenant: "one".into(), ..access.clone() };
    let (first, (second, after)) = tokio::join!(tags(&registries, &first), second);
    assert_eq!((first.unwrap(), second.unwrap()), (vec!["a".to_owned()], vec!["b".to_owned()]));
    assert!(after < Duration::from_millis(1900), "{after:?}");
}

#[tokio::test]
async fn a_server_that_is_busy_and_says_for_how_long_is_left_alone() {
    let server = Server::start(|_| reply(503).header("retry-after", "77")).await;
    let registries = registries();
    for path in ["a", "b"] {
        check(&tags(&registries, &server.access(path)).await.unwrap_err(), "Unavailable", &["retrying in 7"]);
    }
    assert_eq!(server.lines().len(), 1);
}

#[tokio::test]
async fn a_short_time_to_wait_is_waited_for() {
    let count = AtomicUsize::new(0);
    let server = Server::start(move |_| match count.fetch_add(1, Ordering::Relaxed) {
        0 => reply(429).header("retry-after", "1"),
        _ => ok(r#"{"tags":["a"]}"#),
    })
    .await;
    let patient = Registries::new(Options { patience: LONG, ..options() });
    let started = Instant::now();
    assert_eq!(tags(&patient, &server.access("a")).await.unwrap(), ["a"]);
    assert!(started.elapsed() >= Duration::from_secs(1));
}

#[tokio::test]
async fn a_registry_that_is_down_is_told_and_not_asked_again_at_once() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let host = listener.local_addr().unwrap();
    drop(listener);
    let repository = Repository::parse(&format!("{host}/a")).unwrap();
    let access = Access { insecure: true, ..Access::of(repository) };
    let heard = Arc::new(AtomicUsize::new(0));
    let counted = heard.clone();
    let on_request: OnRequest = Arc::new(move |_, _| {
        counted.fetch_add(1, Ordering::Relaxed);
    });
    let registries = Registries::new(Options { on_request, ..options() });
    for _ in 0..3 {
        check(
            &tags(&registries, &access).await.unwrap_err(),
            "Unreachable",
            &["cannot reach 127.0.0.1:", "refused"],
        );
    }
    assert_eq!(heard.load(Ordering::Relaxed), 3, "tried three times, and then left alone");
}

/// A server that gives the same bytes to everybody and closes.
async fn raw(bytes: &'static [u8], hang: bool) -> Access {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let host = listener.local_addr().unwrap();
    tokio::spawn(async move {
        let mut open = Vec::new();
        while let Ok((mut stream, _)) = listener.accept().await {
            let _ = stream.read(&mut [0; 4096]).await;
            stream.write_all(bytes).await.unwrap_or_default();
            if hang {
                open.push(stream);
            }
        }
    });
    let repository = Repository::parse(&format!("{host}/a")).unwrap();
    Access { insecure: true, ..Access::of(repository) }
}

#[tokio::test]
async fn a_connection_that_breaks_or_hangs_is_told() {
    for bytes in
        [&b""[..], b"SSH-2.0-OpenSSH\r\n", b"HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\n{\"tags\""]
    {
        let access = raw(bytes, false).await;
        check(&tags(&registries(), &access).await.unwrap_err(), "Unreachable", &["the connection broke"]);
    }
    for bytes in [&b""[..], b"HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\n{\"tags\""] {
        let access = raw(bytes, true).await;
        let error = registries().list(&access, NOW, Duration::from_secs(1)).await.err().unwrap();
        check(&error, "Timeout", &["no answer within 1 s"]);
    }
}

#[tokio::test]
async fn a_registry_without_tls_is_told() {
    let access = raw(b"HTTP/1.1 400 Bad Request\r\n\r\n", false).await;
    let access = Access { insecure: false, ..access };
    check(&tags(&registries(), &access).await.unwrap_err(), "Untrusted", &["does not use TLS", "insecure"]);
}

#[tokio::test]
async fn an_endless_answer_is_cut() {
    let server = Server::start(|_| ok("[".repeat(3_000_000))).await;
    let small = Registries::new(Options { bytes: 1_000_000, ..options() });
    check(&tags(&small, &server.access("a")).await.unwrap_err(), "TooLarge", &["larger than 1000000 bytes"]);
    let error = small.created(&server.access("a"), "1", NOW, LONG).await.unwrap_err();
    check(&error, "BadAnswer", &["not the manifest"]);
}

#[tokio::test]
async fn redirects_without_end_or_sense_are_refused() {
    for (location, why) in [("/v2/a/tags/list?n=1000", "too often"), ("file:///etc/passwd", "redirects")] {
        let server = Server::start(move |_| reply(302).header("location", location)).await;
        check(&tags(&registries(), &server.access("a")).await.unwrap_err(), "BadRedirect", &[why]);
    }
    let server = Server::start(|_| reply(302)).await;
    check(&tags(&registries(), &server.access("a")).await.unwrap_err(), "Refused", &["302"]);
}

#[tokio::test]
async fn no_more_requests_at_a_time_than_allowed() {
    let delay = Duration::from_millis(50);
    let server = Server::start(move |_| ok(r#"{"tags":[]}"#).delay(delay)).await;
    let few = Registries::new(Options { concurrency: 2, ..options() });
    let places: Vec<Access> = (0..10).map(|number| server.access(&format!("a{number}"))).collect();
    let started = Instant::now();
    let all = futures::future::join_all(places.iter().map(|access| tags(&few, access))).await;
    assert!(all.iter().all(Result::is_ok));
    assert!(started.elapsed() >= delay * 5, "ten requests, two at a time");
}
