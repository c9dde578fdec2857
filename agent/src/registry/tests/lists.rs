//! Lists of tags: pages, what is remembered, who shares an answer.

use std::sync::atomic::{AtomicUsize, Ordering};

use parking_lot::Mutex;

use super::server::{Seen, ok, options, registries, reply};
use super::*;

/// Pages of tags: what is asked for, the header `Link`, and the tags.
async fn pages(pages: &'static [(&'static str, &'static str, &'static str)]) -> Server {
    Server::start(move |seen| {
        let found = pages.iter().find(|(line, _, _)| seen.line == format!("GET /v2/{line}"));
        let Some((_, link, tags)) = found else { return reply(404) };
        let page = ok(format!("{{\"name\":\"a\",\"tags\":{tags}}}"));
        if link.is_empty() { page } else { page.header("link", *link) }
    })
    .await
}

#[tokio::test]
async fn pages_are_read_to_their_end() {
    let server = pages(&[
        ("team/app/tags/list?n=1000", "</v2/team/app/tags/list?n=2&last=b>; rel=\"next\"", r#"["a","b"]"#),
        ("team/app/tags/list?n=2&last=b", "<?n=2&last=d>; rel=\"next\"", r#"["c","d"]"#),
        ("team/app/tags/list?n=2&last=d", "", "null"),
    ])
    .await;
    assert_eq!(tags(&registries(), &server.access("team/app")).await.unwrap(), ["a", "b", "c", "d"]);
    assert_eq!(server.lines().len(), 3);
}

#[tokio::test]
async fn pages_that_lead_in_a_circle_or_elsewhere_are_refused() {
    let circle = pages(&[
        ("a/tags/list?n=1000", "</v2/a/tags/list?last=b>; rel=next", r#"["b"]"#),
        ("a/tags/list?last=b", "</v2/a/tags/list?n=1000>; rel=next", r#"["c"]"#),
        ("b/tags/list?n=1000", "<https://evil.example.com/v2/>; rel=next", r#"["b"]"#),
    ])
    .await;
    let error = tags(&registries(), &circle.access("a")).await.unwrap_err();
    check(&error, "BadLink", &["that was already read"]);
    let error = tags(&registries(), &circle.access("b")).await.unwrap_err();
    check(&error, "BadLink", &["at another host, to which the login is not sent"]);
}

#[tokio::test]
async fn a_registry_that_refuses_the_size_of_a_page_is_asked_without_one() {
    let server = pages(&[("a/tags/list", "", r#"["a"]"#)]).await;
    let strict = Server::start(|seen| match seen.line.as_str() {
        "GET /v2/a/tags/list" => ok(r#"{"tags":["a"]}"#),
        _ => reply(400).body(r#"{"errors":[{"code":"PAGINATION_NUMBER_INVALID"}]}"#),
    })
    .await;
    assert_eq!(tags(&registries(), &strict.access("a")).await.unwrap(), ["a"]);
    assert_eq!(tags(&registries(), &server.access("a")).await.unwrap_err().name(), "NoSuchRepository");
}

#[tokio::test]
async fn what_did_not_change_is_not_sent_again() {
    let server = Server::start(|seen| match seen.if_none_match.as_str() {
        "\"1\"" => reply(304).header("etag", "\"1\""),
        "" => ok(r#"{"tags":["a"]}"#).header("etag", "\"1\""),
        _ => reply(500),
    })
    .await;
    let registries = registries();
    for _ in 0..3 {
        assert_eq!(tags(&registries, &server.access("a")).await.unwrap(), ["a"]);
    }
    let conditions: Vec<String> = server.seen().into_iter().map(|seen| seen.if_none_match).collect();
    assert_eq!(conditions, ["", "\"1\"", "\"1\""]);
}

#[tokio::test]
async fn an_answer_is_shared_by_all_who_wait_and_kept_for_its_age() {
    let delay = Duration::from_millis(200);
    let server = Server::start(move |_| ok(r#"{"tags":["a"]}"#).delay(delay)).await;
    let (registries, access) = (registries(), server.access("a"));
    let all = futures::future::join_all((0..20).map(|_| registries.list(&access, LONG, LONG))).await;
    assert!(all.into_iter().all(|tags| tags.unwrap().iter().eq(["a"])));
    registries.list(&access, LONG, LONG).await.unwrap();
    assert_eq!(server.lines().len(), 1);
    registries.list(&server.access("b"), LONG, LONG).await.unwrap();
    registries.list(&server.place_with("a", r#"{"username":"u","password":"p"}"#), LONG, LONG).await.unwrap();
    assert_eq!(server.lines().len(), 3, "another repository or login is another list");
    // Who wants it as it is now is not served what was on its way before.
    let all = futures::future::join_all((0..20).map(|_| tags(&registries, &access))).await;
    assert!(all.into_iter().all(|tags| tags.unwrap() == ["a"]));
    assert!(server.lines().len() <= 5);
}

#[tokio::test]
async fn an_error_is_shared_by_all_who_wait_but_not_kept() {
    let delay = Duration::from_millis(200);
    let server = Server::start(move |_| reply(404).delay(delay)).await;
    let (registries, access) = (registries(), server.access("a"));
    let all = futures::future::join_all((0..20).map(|_| registries.list(&access, LONG, LONG))).await;
    assert!(all.into_iter().all(|tags| tags.is_err()));
    assert_eq!(server.lines().len(), 1);
    registries.list(&access, LONG, LONG).await.err().unwrap();
    assert_eq!(server.lines().len(), 2);
}

#[tokio::test]
async fn a_hundred_thousand_tags_are_read() {
    let all: Vec<String> = (0..100_000).map(|number| format!("\"1.{number}.0-main\"")).collect();
    let page = format!("{{\"name\":\"a\",\"tags\":[{}]}}", all.join(","));
    let server = Server::start(move |_| ok(page.clone())).await;
    let found = registries().list(&server.access("a"), NOW, LONG).await.unwrap();
    assert_eq!((found.len(), found.iter().last()), (100_000, Some("1.99999.0-main")));
    let fewer = Registries::new(Options { tags: 99_999, ..options() });
    let error = tags(&fewer, &server.access("a")).await.unwrap_err();
    check(&error, "TooManyTags", &["more than 99999 tags"]);
    let shorter = Registries::new(Options { bytes: 100_000, ..options() });
    check(&tags(&shorter, &server.access("a")).await.unwrap_err(), "TooLarge", &["100000 bytes"]);
}

#[tokio::test]
async fn mirrors_are_asked_first_and_the_repository_last() {
    let mirror = Server::start(|seen| match seen.line.as_str() {
        "GET /v2/copy/tags/list?n=1000" => ok(r#"{"tags":["copied"]}"#),
        "GET /v2/down/tags/list?n=1000" => reply(503),
        _ => reply(404),
    })
    .await;
    let server = Server::start(|_| ok(r#"{"tags":["own"]}"#)).await;
    let access = |paths: &[&str]| {
        let mirrors = paths.iter().map(|path| mirror.access(path).repository).collect();
        Access { mirrors, ..server.access("a") }
    };
    let registries = registries();
    assert_eq!(tags(&registries, &access(&["copy"])).await.unwrap(), ["copied"]);
    assert_eq!(server.lines().len(), 0);
    assert_eq!(tags(&registries, &access(&["none", "down", "copy"])).await.unwrap(), ["copied"]);
    assert_eq!(tags(&registries, &access(&["none", "down"])).await.unwrap(), ["own"]);
    let downs = mirror.lines().iter().filter(|line| line.contains("down")).count();
    assert_eq!(downs, 2, "a mirror is tried once");
}

#[tokio::test]
async fn every_request_is_heard_of() {
    let heard: Arc<Mutex<Vec<String>>> = Arc::default();
    let log = heard.clone();
    let on_request: OnRequest = Arc::new(move |host, result| log.lock().push(format!("{host} {result}")));
    let count = AtomicUsize::new(0);
    let server = Server::start(move |_: &Seen| match count.fetch_add(1, Ordering::Relaxed) {
        0 => reply(503),
        1 => ok(r#"{"tags":[]}"#),
        _ => reply(404),
    })
    .await;
    let registries = Registries::new(Options { on_request, ..options() });
    tags(&registries, &server.access("a")).await.unwrap();
    tags(&registries, &server.access("a")).await.unwrap_err();
    let expected = ["Unavailable", "ok", "NotFound"].map(|result| format!("{} {result}", server.host));
    assert_eq!(*heard.lock(), expected);
}
