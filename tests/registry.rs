//! Tags, digests and times of images, out of real registries: Debian's `docker-registry`, with and without login and TLS,
//! and Gitea's with its tokens. I/O: processes, network.

use std::collections::BTreeMap;
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use anyhow::Context as _;
use futures::future::try_join_all;
use holdfast::error::StageError as _;
use holdfast::registry::{Access, Login, Options, Registries, RegistryError, Repository};
use holdfast::secret_data::SecretData;
use holdfast_tests::forge::{Forge, PASSWORD, USER};
use holdfast_tests::images::{Pusher, pretend_tags};
use holdfast_tests::pki::{Authority, Leaf};
use holdfast_tests::services::{REGISTRY_LOGIN, RegistryOptions, registry, registry_with};
use holdfast_tests::watchdog::Folder;
use parking_lot::Mutex;
use reqwest::Method;
use serde_json::json;

const LONG: Duration = Duration::from_mins(1);
const NOW: Duration = Duration::ZERO;
const BOTH: &[&str] = &["linux/arm64", "linux/amd64"];

fn repository(pusher: &Pusher, path: &str) -> anyhow::Result<Repository> {
    Ok(Repository::parse(&format!("{}/{path}", pusher.host()))?)
}

/// A place over plain http.
fn plain(pusher: &Pusher, path: &str) -> anyhow::Result<Access> {
    Ok(Access { insecure: true, ..Access::of(repository(pusher, path)?) })
}

/// A place over https, with a CA.
fn secure(pusher: &Pusher, path: &str, ca: &str) -> anyhow::Result<Access> {
    let data = BTreeMap::from([("ca.crt".to_owned(), ca.as_bytes().to_vec())]);
    let certificates = SecretData::of(&data).certificates()?;
    Ok(Access { certificates: Some(Arc::new(certificates)), ..Access::of(repository(pusher, path)?) })
}

/// The same with a login.
fn with_login(place: Access, user: &str, password: &str) -> anyhow::Result<Access> {
    let host = place.repository.host();
    let config = json!({"auths": {host: {"username": user, "password": password}}}).to_string();
    let data = BTreeMap::from([(".dockerconfigjson".to_owned(), config.into_bytes())]);
    Ok(Access { login: Some(Arc::new(Login::from_secret(&data)?)), ..place })
}

async fn tags(registries: &Registries, place: &Access) -> Result<Vec<String>, RegistryError> {
    let tags = registries.list(place, NOW, LONG).await?;
    Ok(tags.iter().map(ToOwned::to_owned).collect())
}

/// Checks the variant of an error and parts of its message, which has no secrets.
async fn check(place: &Access, name: &str, parts: &[&str]) -> anyhow::Result<()> {
    let error = tags(&Registries::new(Options::default()), place).await.err().context("it was answered")?;
    assert_eq!(error.name(), name, "{error}");
    for part in parts {
        assert!(error.to_string().contains(part), "{part}: {error}");
    }
    assert!(!format!("{error} {error:?}").contains("s3cret"), "{error}");
    Ok(())
}

/// Pushes images and asks for all that can be asked of them.
async fn check_images(pusher: &Pusher, place: &Access) -> anyhow::Result<()> {
    let registries = Registries::new(Options::default());
    let path = place.repository.path();
    let one = pusher.push(path, "1.0.0", "2026-01-02T03:04:05Z", &["linux/amd64"]).await?;
    let many = pusher.push(path, "2.0.0", "2026-02-03T04:05:06.5Z", BOTH).await?;
    let mut found = tags(&registries, place).await?;
    found.sort();
    assert_eq!(found, ["1.0.0", "2.0.0"]);
    for (tag, digest, created) in
        [("1.0.0", one, "2026-01-02T03:04:05Z"), ("2.0.0", many, "2026-02-03T04:05:06.5Z")]
    {
        assert_eq!(registries.digest(place, tag, Duration::ZERO, LONG).await?.to_string(), digest, "{tag}");
        assert_eq!(registries.created(place, tag, NOW, LONG).await?.to_string(), created, "{tag}");
    }
    let error = registries
        .digest(place, "3.0.0", Duration::ZERO, LONG)
        .await
        .err()
        .context("there is no such tag")?;
    assert_eq!(error.name(), "NoSuchTag", "{error}");
    Ok(())
}

#[tokio::test]
async fn a_plain_registry() -> anyhow::Result<()> {
    let service = registry().await?;
    let pusher = Pusher::new(&service.url);
    check_images(&pusher, &plain(&pusher, "team/app")?).await?;
    check(&plain(&pusher, "team/other")?, "NoSuchRepository", &["/team/other: ", "NAME_UNKNOWN"]).await?;
    check(&Access::of(repository(&pusher, "team/app")?), "Untrusted", &["does not use TLS"]).await
}

#[tokio::test]
async fn a_repository_whose_last_tag_is_gone_has_no_tags() -> anyhow::Result<()> {
    let service = registry().await?;
    let pusher = Pusher::new(&service.url);
    let (registries, place) = (Registries::new(Options::default()), plain(&pusher, "app")?);
    let digest = pusher.push("app", "1", "2026-01-02T03:04:05Z", &["linux/amd64"]).await?;
    assert_eq!(tags(&registries, &place).await?, ["1"]);
    pusher.delete("app", &digest).await?;
    assert_eq!(tags(&registries, &place).await?, [""; 0]);
    Ok(())
}

#[tokio::test]
async fn a_registry_with_a_login_and_tls() -> anyhow::Result<()> {
    let folder = Folder::make("pki")?;
    let authority = Authority::make(folder.path())?;
    let options = RegistryOptions { authority: Some(&authority), login: true, ..RegistryOptions::default() };
    let service = registry_with(options).await?;
    let ca = authority.certificate.as_str();
    let pusher = Pusher::with(&service.url, Some(REGISTRY_LOGIN), Some(ca))?;
    let (user, password) = REGISTRY_LOGIN;
    let place = || secure(&pusher, "team/app", ca);
    check_images(&pusher, &with_login(place()?, user, password)?).await?;
    check(&place()?, "LoginNeeded", &["reference a Secret"]).await?;
    check(&with_login(place()?, user, "s3cret-wrong")?, "LoginRefused", &["401"]).await?;
    let untrusted = Access::of(repository(&pusher, "team/app")?);
    check(&untrusted, "Untrusted", &["signed by an unknown authority", "ca.crt"]).await?;
    check(&plain(&pusher, "team/app")?, "Refused", &["400"]).await
}

#[tokio::test]
async fn a_registry_that_wants_a_certificate() -> anyhow::Result<()> {
    let folder = Folder::make("pki")?;
    let authority = Authority::make(folder.path())?;
    let options = RegistryOptions { authority: Some(&authority), client_certificates: true, login: false };
    let service = registry_with(options).await?;
    let ca = authority.certificate.as_str();
    let pusher = Pusher::new(&service.url);
    let Leaf { certificate, key } = authority.client("agent", "agent", None)?;
    let keys = [("ca.crt", ca), ("tls.crt", &certificate), ("tls.key", &key)];
    let data = BTreeMap::from(keys.map(|(name, pem)| (name.to_owned(), pem.as_bytes().to_vec())));
    let certificates = SecretData::of(&data).certificates()?;
    let place = secure(&pusher, "app", ca)?;
    let refused = tags(&Registries::new(Options::default()), &place).await;
    let refused = refused.err().context("it was answered without a certificate")?;
    // The server ends the connection, and its reason comes too late at times.
    assert!(["Untrusted", "Unreachable"].contains(&refused.name()), "{refused}");
    let place = Access { certificates: Some(Arc::new(certificates)), ..place };
    check(&place, "NoSuchRepository", &["NAME_UNKNOWN"]).await
}

/// Set in a process that this suite starts of itself: the place that it asks for.
const ASKED: &str = "HOLDFAST_TEST_PLACE";

/// Asks for a place through the proxy of the environment, which a process reads once.
async fn ask_by_the_environment(place: &str) -> anyhow::Result<()> {
    let repository = Repository::parse(place)?;
    let place = Access { insecure: true, ..Access::of(repository) };
    assert_eq!(tags(&Registries::new(Options::default()), &place).await?, ["1"]);
    Ok(())
}

#[tokio::test]
async fn a_proxy_of_the_environment_is_used() -> anyhow::Result<()> {
    if let Ok(place) = std::env::var(ASKED) {
        return ask_by_the_environment(&place).await;
    }
    let service = registry().await?;
    let pusher = Pusher::new(&service.url);
    pusher.push("app", "1", "2026-01-02T03:04:05Z", &["linux/amd64"]).await?;
    let ask = |place: &str, without: &str| {
        Command::new(std::env::current_exe()?)
            .args(["--exact", "a_proxy_of_the_environment_is_used"])
            .env(ASKED, place)
            .env("HTTP_PROXY", &service.url)
            .env("http_proxy", &service.url)
            .env("NO_PROXY", without)
            .env("no_proxy", without)
            .output()
    };
    // The registry takes the requests for another host, as its own proxy.
    for (place, without, works) in [
        ("registry.invalid/app", "", true),
        ("registry.invalid/app", "registry.invalid", false),
        (&format!("{}/app", pusher.host()), "127.0.0.1", true),
    ] {
        let output = ask(place, without)?;
        let said = String::from_utf8_lossy(&output.stdout);
        assert_eq!(output.status.success(), works, "{place} {without}: {said}");
        assert!(said.contains("running 1 test"), "{said}");
    }
    Ok(())
}

#[tokio::test]
async fn a_registry_that_is_restarted() -> anyhow::Result<()> {
    let mut service = registry().await?;
    let pusher = Pusher::new(&service.url);
    pusher.push("app", "1", "2026-01-02T03:04:05Z", &["linux/amd64"]).await?;
    let (registries, place) = (Registries::new(Options::default()), plain(&pusher, "app")?);
    assert_eq!(tags(&registries, &place).await?, ["1"]);
    service.stop()?;
    let error = tags(&registries, &place).await.err().context("it is down")?;
    assert_eq!(error.name(), "Unreachable", "{error}");
    service.start().await?;
    let started = Instant::now();
    while tags(&registries, &place).await.is_err() {
        assert!(started.elapsed() < Duration::from_secs(20), "it is up again and not asked");
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
    Ok(())
}

#[tokio::test]
async fn gitea_gives_tokens_and_pages() -> anyhow::Result<()> {
    let forge = Forge::start(&holdfast_tests::tools().await?).await?;
    let url = format!("https://127.0.0.1:{}", forge.port());
    let pusher = Pusher::with(&url, Some((USER, PASSWORD)), Some(forge.ca()))?;
    let place = |path: &str| secure(&pusher, &format!("{USER}/{path}"), forge.ca());
    check_images(&pusher, &with_login(place("app")?, USER, PASSWORD)?).await?;
    check(&with_login(place("app")?, USER, "s3cret-wrong")?, "LoginRefused", &["401"]).await?;
    check(&with_login(place("none")?, USER, PASSWORD)?, "NoSuchRepository", &["NAME_UNKNOWN"]).await?;

    // More than a page has.
    let many: Vec<String> = (0..1100).map(|number| format!("1.{number}")).collect();
    let body = json!({"name": "packages", "scopes": ["write:package"]});
    let token = forge.api(Method::POST, &format!("users/{USER}/tokens"), &body).await?;
    let token = token["sha1"].as_str().context("no token")?;
    // A password takes Gitea long to check.
    let fast = Pusher::with(&url, Some((USER, token)), Some(forge.ca()))?;
    fast.push_tags(&format!("{USER}/many"), &many).await?;
    let count = Arc::new(AtomicUsize::new(0));
    let counted = count.clone();
    let on_request = Arc::new(move |_: &str, _: &'static str| {
        counted.fetch_add(1, Ordering::Relaxed);
    });
    let registries = Registries::new(Options { on_request, ..Options::default() });
    let place = with_login(place("many")?, USER, PASSWORD)?;
    let mut found = tags(&registries, &place).await?;
    let mut expected = many;
    found.sort();
    expected.sort();
    assert_eq!(found, expected);
    let first = count.swap(0, Ordering::Relaxed);
    tags(&registries, &place).await?;
    let second = count.load(Ordering::Relaxed);
    // At first a challenge and a token too.
    assert_eq!((first, second), (second + 2, second));
    assert!(second >= 2, "it was one page");
    Ok(())
}

#[tokio::test]
async fn five_hundred_images_are_two_hundred_and_fifty_lists() -> anyhow::Result<()> {
    let service = registry().await?;
    let pusher = Pusher::new(&service.url);
    for number in 0..250 {
        let tags = (0..200).map(|tag| format!("1.{tag}.0"));
        pretend_tags(service.folder(), &format!("team/app-{number}"), tags)?;
    }
    let heard: Arc<Mutex<Vec<&'static str>>> = Arc::default();
    let log = heard.clone();
    let on_request = Arc::new(move |_: &str, result| log.lock().push(result));
    let registries = Registries::new(Options { on_request, ..Options::default() });
    let places: Vec<Access> = (0..500)
        .map(|number| plain(&pusher, &format!("team/app-{}", number / 2)))
        .collect::<Result<_, _>>()?;
    let started = Instant::now();
    for _ in 0..2 {
        let lists = places.iter().map(|place| registries.list(place, LONG, LONG));
        let found = try_join_all(lists).await?;
        assert!(found.iter().all(|tags| tags.len() == 200));
    }
    let took = started.elapsed();
    assert_eq!(*heard.lock(), ["ok"; 250]);
    assert!(took < Duration::from_secs(15), "{took:?}");
    Ok(())
}

#[tokio::test]
async fn a_hundred_thousand_tags() -> anyhow::Result<()> {
    let service = registry().await?;
    let pusher = Pusher::new(&service.url);
    let tags = (0..100_000).map(|number| format!("main-{number}-0123456789abcdef"));
    pretend_tags(service.folder(), "team/app", tags)?;
    let registries = Registries::new(Options::default());
    let started = Instant::now();
    let found = registries.list(&plain(&pusher, "team/app")?, NOW, LONG).await?;
    assert_eq!(found.len(), 100_000);
    assert!(started.elapsed() < Duration::from_secs(15), "{:?}", started.elapsed());
    Ok(())
}
