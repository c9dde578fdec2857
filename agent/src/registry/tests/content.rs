//! Digests and times of images.

use super::server::{Reply, ok, registries, reply};
use super::*;
use crate::registry::digest::Kind;

fn digest(text: &str) -> String {
    Kind::Sha256.of(text.as_bytes()).to_string()
}

const CONFIG: &str = r#"{"architecture":"amd64","os":"linux","created":"2026-01-02T03:04:05Z"}"#;

fn manifest() -> String {
    format!(r#"{{"schemaVersion":2,"config":{{"digest":"{}"}},"layers":[]}}"#, digest(CONFIG))
}

fn index() -> String {
    format!(
        r#"{{"schemaVersion":2,"manifests":[{{"digest":"sha256:{}","platform":{{"os":"unknown"}}}},
           {{"digest":"{}","platform":{{"os":"linux","architecture":"amd64"}}}}]}}"#,
        "0".repeat(64),
        digest(&manifest())
    )
}

/// An image `a:1` with an index, a manifest and a configuration; `change` may answer otherwise.
async fn image(change: impl Fn(&str) -> Option<Reply> + Send + Sync + 'static) -> Server {
    Server::start(move |seen| {
        if let Some(reply) = change(&seen.line) {
            return reply;
        }
        let (manifest, index) = (manifest(), index());
        let kind = "application/vnd.oci.image.index.v1+json";
        match seen.line.as_str() {
            _ if seen.line.contains("/manifests/") && !seen.accept.contains(kind) => reply(404),
            "HEAD /v2/a/manifests/1" => reply(200).header("docker-content-digest", digest(&index)),
            "GET /v2/a/manifests/1" => ok(index.clone()).header("docker-content-digest", digest(&index)),
            line if line == format!("GET /v2/a/manifests/{}", digest(&manifest)) => ok(manifest),
            line if line == format!("GET /v2/a/blobs/{}", digest(CONFIG)) => ok(CONFIG),
            _ => reply(404),
        }
    })
    .await
}

async fn digest_of(server: &Server, tag: &str) -> Result<String, RegistryError> {
    Ok(registries().digest(&server.access("a"), tag, Duration::ZERO, LONG).await?.to_string())
}

async fn created_of(server: &Server, tag: &str) -> Result<String, RegistryError> {
    Ok(registries().created(&server.access("a"), tag, NOW, LONG).await?.to_string())
}

#[tokio::test]
async fn the_digest_is_that_of_the_index_and_nothing_is_fetched() {
    let server = image(|_| None).await;
    assert_eq!(digest_of(&server, "1").await.unwrap(), digest(&index()));
    assert_eq!(server.lines(), ["HEAD /v2/a/manifests/1"]);
    let error = digest_of(&server, "2").await.unwrap_err();
    check(&error, "NoSuchTag", &["/a: there is no tag 2"]);
    let error = digest_of(&server, "../b").await.unwrap_err();
    check(&error, "NoSuchTag", &["it is not a tag"]);
    assert_eq!(server.lines().len(), 2);
}

#[tokio::test]
async fn a_registry_that_gives_no_digest_has_its_manifest_fetched() {
    let silent = image(|line| line.starts_with("HEAD").then(|| reply(200))).await;
    assert_eq!(digest_of(&silent, "1").await.unwrap(), digest(&index()));
    let headless = image(|line| line.starts_with("HEAD").then(|| reply(405))).await;
    assert_eq!(digest_of(&headless, "1").await.unwrap(), digest(&index()));
}

#[tokio::test]
async fn a_wrong_digest_is_an_error() {
    let wrong = || format!("sha256:{}", "1".repeat(64));
    let lies = image(move |line| match line {
        "HEAD /v2/a/manifests/1" => Some(reply(200)),
        "GET /v2/a/manifests/1" => Some(ok(index()).header("docker-content-digest", wrong())),
        _ => None,
    })
    .await;
    let parts = [wrong(), digest(&index())];
    let parts = [parts[0].as_str(), parts[1].as_str()];
    check(&digest_of(&lies, "1").await.unwrap_err(), "DigestMismatch", &parts);
    check(&created_of(&lies, "1").await.unwrap_err(), "DigestMismatch", &parts);
    for path in ["blobs", "manifests/sha256"] {
        let lies =
            image(move |line| line.contains(path).then(|| ok(r#"{"created":"2026-01-01T00:00:00Z"}"#))).await;
        check(&created_of(&lies, "1").await.unwrap_err(), "DigestMismatch", &[]);
    }
}

#[tokio::test]
async fn the_time_is_that_of_the_configuration() {
    let server = image(|_| None).await;
    assert_eq!(created_of(&server, "1").await.unwrap(), "2026-01-02T03:04:05Z");
    assert_eq!(server.lines().len(), 3);
}

#[tokio::test]
async fn a_tag_that_is_no_image_says_so_once_and_nothing_of_the_registry() {
    let created = r#""annotations":{"org.opencontainers.image.created":"2026-01-01T00:00:00Z"}"#;
    for (body, part) in [
        (
            format!(
                r#"{{"schemaVersion":2,"config":{{"digest":"sha256:0","mediaType":"application/vnd.cncf.helm.config.v1+json"}},{created}}}"#
            ),
            "such as a chart",
        ),
        (
            format!(
                r#"{{"schemaVersion":2,"artifactType":"application/vnd.in-toto+json","config":{{"digest":"sha256:0"}},{created}}}"#
            ),
            "attestation",
        ),
        (format!(r#"{{"schemaVersion":2,"manifests":[],{created}}}"#), "index has no image"),
        ("{".to_owned(), "not the manifest"),
    ] {
        let server = image(move |line| line.starts_with("GET").then(|| ok(body.clone()))).await;
        let registries = registries();
        for _ in 0..2 {
            let error = registries.created(&server.access("a"), "1", LONG, LONG).await.unwrap_err();
            assert!(error.trouble.is_of_tag() && error.to_string().contains(part), "{part}: {error}");
        }
        assert_eq!(server.lines().len(), 1);
    }
    let down = image(|_| Some(reply(500))).await;
    assert!(!registries().created(&down.access("a"), "1", LONG, LONG).await.unwrap_err().trouble.is_of_tag());
}

#[tokio::test]
async fn the_time_of_a_tag_is_kept_while_the_tag_is_listed() {
    let server = image(|line| line.contains("tags/list").then(|| ok(r#"{"tags":["1"]}"#))).await;
    let (registries, access) = (registries(), server.access("a"));
    for _ in 0..3 {
        registries.list(&access, NOW, LONG).await.unwrap();
        registries.created(&access, "1", LONG, LONG).await.unwrap();
    }
    assert_eq!(server.lines().len(), 3 + 3);
    registries.created(&access, "1", NOW, LONG).await.unwrap();
    assert_eq!(server.lines().len(), 3 + 6);
}

#[tokio::test]
async fn the_login_does_not_follow_a_redirect_to_another_host() {
    let store = Server::start(|_| ok(CONFIG)).await;
    let location = format!("http://u:p@{}/blob?signature=1", store.other_name());
    let challenge = "Basic realm=\"x\"";
    let server = Server::start(move |seen| {
        if seen.authorization.is_empty() {
            return reply(401).header("www-authenticate", challenge);
        }
        match seen.line.as_str() {
            "GET /v2/a/manifests/1" => reply(302).header("location", "/elsewhere"),
            "GET /elsewhere" => ok(manifest()),
            line if line.contains("/blobs/") => reply(307).header("location", location.clone()),
            _ => reply(404),
        }
    })
    .await;
    let access = server.place_with("a", r#"{"username":"alice","password":"hunter2"}"#);
    let time = registries().created(&access, "1", NOW, LONG).await.unwrap();
    assert_eq!(time.to_string(), "2026-01-02T03:04:05Z");
    assert_eq!(store.seen()[0].authorization, "", "the login went to another host");
    assert!(server.seen().iter().any(|seen| seen.line == "GET /elsewhere" && !seen.authorization.is_empty()));
}
