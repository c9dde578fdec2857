//! Where charts are: repositories over HTTP, OCI registries, and what a chart in git is made of.

use std::path::Path;
use std::sync::Arc;

use holdfast::error::{Class, StageError as _};
use holdfast::render::helm::{ChartSource, Fetched, HelmError, Limits, Login, Runner};
use holdfast_tests::forge::{Forge, PASSWORD, USER};
use holdfast_tests::services;
use serde_json::json;

use super::kit::{
    Answer, Bench, Server, config_map, helm, login, pack, processes, programs, release, repository, said,
    text, version_of,
};

/// A runner with the newest Helm.
fn runner(bench: &Bench) -> anyhow::Result<Runner> {
    Ok(bench.runner(&programs()?[0]))
}

/// The chart `web` of a repository.
fn web<'a>(url: &'a str, version: &'a str, login: Option<&'a Login>) -> ChartSource<'a> {
    ChartSource::Repository { url, name: "web", version, login }
}

fn oci<'a>(url: &'a str, version: &'a str, login: Option<&'a Login>) -> ChartSource<'a> {
    ChartSource::Oci { url, version, login, plain_http: login.is_none() }
}

#[tokio::test]
async fn a_repository_gives_the_highest_version_of_a_range() -> anyhow::Result<()> {
    let bench = Bench::make()?;
    let folder = repository(&bench, &["1.0.0", "1.2.0", "1.10.0", "2.0.0-rc.1"])?;
    let server = Server::start(&folder, None).await?;
    for program in programs()? {
        let runner = bench.runner(program);
        for (wanted, expected) in [
            ("1.0.0", "1.0.0"),
            ("^1", "1.10.0"),
            ("~1.2", "1.2.0"),
            (">=1-0", "2.0.0-rc.1"),
            ("*", "1.10.0"),
        ] {
            assert_eq!(version_of(&runner, web(&server.url, wanted, None)).await?, expected, "{wanted}");
        }
    }
    let place = &server.url;
    let runner = runner(&bench)?;
    let of = async |name: &'static str, version: &'static str| {
        said(runner.fetch(ChartSource::Repository { url: &server.url, name, version, login: None }).await)
    };
    assert_eq!(
        of("web", "^3").await,
        format!(
            "the chart web at {place} has no version in ^3; the newest is 1.10.0, and of prereleases 2.0.0-rc.1"
        )
    );
    assert_eq!(of("wep", "1").await, format!("chart wep not found at {place}; it has web"));
    assert!(of("web", "newest").await.starts_with("newest is not a range of versions"));
    Ok(())
}

#[tokio::test]
async fn what_is_known_is_not_asked_for_again() -> anyhow::Result<()> {
    let bench = Bench::make()?;
    let folder = repository(&bench, &["1.0.0", "1.1.0"])?;
    let server = Server::start(&folder, None).await?;
    let first = runner(&bench)?;
    let chart = first.fetch(web(&server.url, "1.0.0", None)).await?;
    assert_eq!(server.paths(), ["200 /index.yaml", "200 /web-1.0.0.tgz"]);
    first.fetch(web(&server.url, "1.0.0", None)).await?;
    assert_eq!(server.paths(), [""; 0]);
    // Another process, with the same cache.
    let second = runner(&bench)?;
    second.fetch(web(&server.url, "1.0.0", None)).await?;
    assert_eq!(server.paths(), [""; 0]);
    second.fetch(web(&server.url, "^1", None)).await?;
    assert_eq!(server.paths(), ["304 /index.yaml", "200 /web-1.1.0.tgz"]);
    second.fetch(web(&server.url, "^1", None)).await?;
    assert_eq!(server.paths(), ["304 /index.yaml"]);
    // Many Syncs at the same time.
    let limits = Limits { index_age: Limits::default().index_age, ..Limits::default() };
    let shared = Runner::new(&programs()?[0], &bench.cache(), limits, Arc::default());
    futures::future::try_join_all((0..5).map(|_| shared.fetch(web(&server.url, "^1", None)))).await?;
    assert_eq!(server.paths(), ["304 /index.yaml"]);
    // A new version.
    repository(&bench, &["1.2.0"])?;
    assert_eq!(version_of(&second, web(&server.url, "^1", None)).await?, "1.2.0");
    // What is damaged is fetched again.
    let digest = chart.digest.clone().unwrap_or_default();
    let archive = walk(&bench.cache().join("charts")).into_iter().find(|path| path.contains(&digest));
    std::fs::write(archive.unwrap_or_default(), "damaged")?;
    server.paths();
    let again = second.fetch(web(&server.url, "1.0.0", None)).await?;
    assert_eq!(again.digest, chart.digest);
    assert_eq!(server.paths(), ["304 /index.yaml", "200 /web-1.0.0.tgz"]);
    Ok(())
}

#[tokio::test]
async fn an_index_is_packed_for_the_way_and_read_again_if_it_is_damaged() -> anyhow::Result<()> {
    let bench = Bench::make()?;
    let folder = repository(&bench, &["1.0.0"])?;
    let server = Server::start(&folder, None).await?;
    let index = folder.join("index.yaml");
    std::process::Command::new("gzip").arg("-k").arg(&index).status()?;
    let header = Some(("content-encoding".to_owned(), "gzip".to_owned()));
    server.answer(
        "/index.yaml",
        Answer { status: 200, header, body: std::fs::read(index.with_extension("yaml.gz"))? },
    );
    let runner = runner(&bench)?;
    assert_eq!(version_of(&runner, web(&server.url, "1", None)).await?, "1.0.0");
    let kept = walk(&bench.cache().join("chart-indexes"));
    for path in kept.iter().filter(|path| !path.ends_with("state.json")) {
        std::fs::write(path, "damaged")?;
    }
    let error = runner.fetch(web(&server.url, "1", None)).await.err();
    assert_eq!(error.as_ref().map(HelmError::class), Some(Class::Transient), "{error:?}");
    assert_eq!(version_of(&runner, web(&server.url, "1", None)).await?, "1.0.0");
    assert_eq!(server.paths().len(), 4);
    Ok(())
}

/// All files below a folder.
fn walk(folder: &Path) -> Vec<String> {
    let entries = std::fs::read_dir(folder).into_iter().flatten().flatten();
    let all = entries
        .map(|entry| entry.path())
        .flat_map(|path| if path.is_dir() { walk(&path) } else { vec![path.display().to_string()] });
    all.collect()
}

#[tokio::test]
async fn a_login_goes_to_its_own_place_alone() -> anyhow::Result<()> {
    let bench = Bench::make()?;
    let folder = repository(&bench, &["1.0.0"])?;
    let elsewhere = Server::start(&folder, None).await?;
    let login = login("alice", "s3cret", &[])?;
    let basic = "Basic YWxpY2U6czNjcmV0";
    let server = Server::start(&folder, Some(basic)).await?;
    let runner = runner(&bench)?;
    assert_eq!(version_of(&runner, web(&server.url, "1", Some(&login))).await?, "1.0.0");
    assert!(server.asked().iter().all(|asked| asked.authorization.as_deref() == Some(basic)));
    // What one login sees in the cache, another does not.
    let refused = runner.fetch(web(&server.url, "1.0.0", None)).await.err();
    let url = format!("{}/index.yaml", server.url);
    assert_eq!(refused, Some(HelmError::LoginRefused { url, status: 401 }));
    // An archive at another host.
    helm(&["repo", "index", &folder.display().to_string(), "--url", &elsewhere.url])?;
    bench_clear(&bench)?;
    assert_eq!(version_of(&runner, web(&server.url, "1", Some(&login))).await?, "1.0.0");
    let asked = elsewhere.asked();
    assert_eq!(asked.iter().map(|asked| asked.authorization.clone()).collect::<Vec<_>>(), [None]);
    Ok(())
}

/// Empties the cache.
fn bench_clear(bench: &Bench) -> anyhow::Result<()> {
    Ok(std::fs::remove_dir_all(bench.cache())?)
}

#[tokio::test]
async fn a_redirect_takes_no_login_along() -> anyhow::Result<()> {
    let bench = Bench::make()?;
    let folder = repository(&bench, &["1.0.0"])?;
    let elsewhere = Server::start(&folder, None).await?;
    let server = Server::start(&folder, Some("Basic YWxpY2U6czNjcmV0")).await?;
    let location = Some(("location".to_owned(), format!("{}/web-1.0.0.tgz", elsewhere.url)));
    server.answer("/web-1.0.0.tgz", Answer { status: 302, header: location, body: Vec::new() });
    let login = login("alice", "s3cret", &[])?;
    assert_eq!(version_of(&runner(&bench)?, web(&server.url, "1", Some(&login))).await?, "1.0.0");
    assert_eq!(elsewhere.asked().iter().map(|asked| asked.authorization.clone()).collect::<Vec<_>>(), [None]);
    Ok(())
}

#[tokio::test]
async fn a_repository_that_is_none_is_told() -> anyhow::Result<()> {
    let bench = Bench::make()?;
    let folder = repository(&bench, &["1.0.0"])?;
    let server = Server::start(&folder, None).await?;
    let runner = runner(&bench)?;
    let of = async |url: &str| {
        let error = runner.fetch(web(url, "1", None)).await.err();
        let class = error.as_ref().map(HelmError::class);
        (class, error.map(|error| error.to_string()).unwrap_or_default())
    };
    let missing = format!("{}/nowhere", server.url);
    let (class, said) = of(&missing).await;
    assert_eq!(class, Some(Class::User));
    assert_eq!(said, format!("{missing}/index.yaml: not found; check the URL, and the rights of the login"));
    let (class, said) = of("http://127.0.0.1:1").await;
    assert_eq!(class, Some(Class::Transient));
    assert_eq!(said, "http://127.0.0.1:1/index.yaml: cannot connect: Connection refused (os error 111)");
    server.answer("/index.yaml", Answer { status: 500, ..Answer::default() });
    let (class, said) = of(&server.url).await;
    assert_eq!(class, Some(Class::Transient));
    assert_eq!(said, format!("{}/index.yaml: the server answers with 500 Internal Server Error", server.url));
    server.answer("/index.yaml", Answer { status: 200, header: None, body: b"<html>: [".to_vec() });
    let (class, said) = of(&server.url).await;
    assert_eq!(class, Some(Class::User));
    assert!(said.starts_with(&format!("{}/index.yaml is not a chart index: ", server.url)), "{said}");
    assert!(
        of("https://alice:s3cret@127.0.0.1/x")
            .await
            .1
            .starts_with("https://127.0.0.1/x is not a chart repository")
    );
    assert!(of("ftp://example.com").await.1.contains("write https://host/path"));
    Ok(())
}

#[tokio::test]
async fn an_archive_that_was_changed_is_refused() -> anyhow::Result<()> {
    let bench = Bench::make()?;
    let folder = repository(&bench, &["1.0.0"])?;
    let server = Server::start(&folder, None).await?;
    let mut body = std::fs::read(folder.join("web-1.0.0.tgz"))?;
    body.push(0);
    server.answer("/web-1.0.0.tgz", Answer { status: 200, header: None, body });
    let error = runner(&bench)?.fetch(web(&server.url, "1", None)).await.err();
    assert!(
        matches!(&error, Some(HelmError::DigestMismatch { url, .. }) if url.ends_with("/web-1.0.0.tgz")),
        "{error:?}"
    );
    assert_eq!(walk(&bench.cache().join("charts")), [""; 0]);
    // Without a digest in the index: it must at least be the chart that it should be.
    let index = "entries: {web: [{version: 1.0.0, urls: [other.tgz]}, {version: 0.9.0, urls: [page.tgz]}]}";
    server.answer("/index.yaml", Answer { status: 200, header: None, body: index.into() });
    let other = bench.chart("sources/other", "7.0.0", &[])?;
    pack(&other, &folder)?;
    std::fs::rename(folder.join("other-7.0.0.tgz"), folder.join("other.tgz"))?;
    std::fs::write(folder.join("page.tgz"), "<html>")?;
    let runner = runner(&bench)?;
    assert_eq!(
        said(runner.fetch(web(&server.url, "1", None)).await),
        "web-1.0.0.tgz: it is the chart other 7.0.0"
    );
    let error = said(runner.fetch(web(&server.url, "0.9", None)).await);
    assert!(error.starts_with("web-0.9.0.tgz cannot be unpacked: it is not a chart archive"), "{error}");
    Ok(())
}

#[tokio::test]
async fn an_oci_registry_gives_charts() -> anyhow::Result<()> {
    let registry = services::registry().await?;
    let place = format!("{}/charts", registry.url.replace("http://", "oci://"));
    let bench = Bench::make()?;
    let folder = repository(&bench, &["1.0.0", "1.2.0", "1.2.1+build.5", "2.0.0-rc.1"])?;
    for entry in std::fs::read_dir(&folder)?
        .flatten()
        .filter(|entry| entry.path().extension().is_some_and(|is| is == "tgz"))
    {
        helm(&["push", &entry.path().display().to_string(), &place, "--plain-http"])?;
    }
    let url = format!("{place}/web");
    for program in programs()? {
        let runner = bench.runner(program);
        for (wanted, expected) in [("1.0.0", "1.0.0"), ("^1", "1.2.1+build.5"), (">=1-0", "2.0.0-rc.1")] {
            assert_eq!(version_of(&runner, oci(&url, wanted, None)).await?, expected, "{wanted}");
        }
    }
    let runner = runner(&bench)?;
    assert_eq!(
        said(runner.fetch(oci(&url, "1.0.7", None)).await),
        format!(
            "the chart web at {url} has no version in 1.0.7; the newest is 1.2.1+build.5, and of prereleases 2.0.0-rc.1"
        )
    );
    let wrong = format!("{place}/wep");
    assert_eq!(
        said(runner.fetch(oci(&wrong, "1", None)).await),
        format!("chart wep not found at {wrong}; check the path, and the rights of the login")
    );
    Ok(())
}

#[tokio::test]
async fn an_exact_version_of_a_registry_is_asked_for_once() -> anyhow::Result<()> {
    let bench = Bench::make()?;
    let folder = repository(&bench, &["1.0.0"])?;
    let archive = std::fs::read(folder.join("web-1.0.0.tgz"))?;
    let digest = sha256(&archive);
    let server = Server::start(&folder, None).await?;
    let kind = "application/vnd.cncf.helm.chart.content.v1.tar+gzip";
    let layer = json!({"mediaType": kind, "digest": format!("sha256:{digest}"), "size": archive.len()});
    let answer = |body: Vec<u8>| Answer { status: 200, header: None, body };
    server.answer("/v2/charts/web/manifests/1.0.0", answer(json!({"layers": [layer]}).to_string().into()));
    server.answer(&format!("/v2/charts/web/blobs/sha256:{digest}"), answer(archive));
    // Tags on several pages.
    let next = Some(("link".to_owned(), "</v2/charts/web/tags/list?last=x>; rel=\"next\"".to_owned()));
    let tags = json!({"tags": ["0.1.0", "latest"]}).to_string().into();
    server.answer("/v2/charts/web/tags/list?n=1000", Answer { status: 200, header: next, body: tags });
    server.answer("/v2/charts/web/tags/list?last=x", answer(json!({"tags": ["1.0.0"]}).to_string().into()));
    let url = format!("{}/charts/web", server.url.replace("http://", "oci://"));
    let runner = runner(&bench)?;
    assert_eq!(version_of(&runner, oci(&url, "1.0.0", None)).await?, "1.0.0");
    assert_eq!(server.asked().len(), 2);
    assert_eq!(version_of(&runner, oci(&url, "1.0.0", None)).await?, "1.0.0");
    assert_eq!(server.asked().len(), 0);
    assert_eq!(version_of(&runner, oci(&url, "*", None)).await?, "1.0.0");
    assert_eq!(server.asked().len(), 2);
    // A layer that is another one.
    server.answer(&format!("/v2/charts/web/blobs/sha256:{digest}"), answer(b"other".to_vec()));
    bench_clear(&bench)?;
    let error = runner.fetch(oci(&url, "1.0.0", None)).await.err();
    assert!(
        matches!(&error, Some(HelmError::DigestMismatch { expected, .. }) if *expected == digest),
        "{error:?}"
    );
    // What is no chart.
    server.answer("/v2/charts/web/manifests/1.0.0", answer(json!({"layers": []}).to_string().into()));
    assert!(
        said(runner.fetch(oci(&url, "1.0.0", None)).await)
            .contains("1.0.0 is not a chart: it has no layer of type")
    );
    Ok(())
}

fn sha256(bytes: &[u8]) -> String {
    use sha2::Digest as _;
    sha2::Sha256::digest(bytes).iter().fold(String::new(), |text, byte| format!("{text}{byte:02x}"))
}

#[tokio::test(flavor = "multi_thread")]
async fn a_forge_gives_charts_to_those_who_log_in() -> anyhow::Result<()> {
    let tools = holdfast_tests::tools().await?;
    let forge = Forge::start(&tools).await?;
    let bench = Bench::make()?;
    let folder = repository(&bench, &["1.0.0", "1.1.0"])?;
    let login_with = |password: &str| login(USER, password, &[("ca.crt", forge.ca())]);
    let ca = bench.write("ca.crt", forge.ca())?;
    let host = format!("127.0.0.1:{}", forge.port());
    let client = reqwest::Client::builder()
        .tls_certs_only([reqwest::Certificate::from_pem(forge.ca().as_bytes())?])
        .build()?;
    let url = format!("https://{host}/api/packages/{USER}/helm");
    let place = format!("oci://{host}/{USER}/charts");
    for version in ["1.0.0", "1.1.0"] {
        let archive = folder.join(format!("web-{version}.tgz"));
        let upload = client.post(format!("{url}/api/charts")).basic_auth(USER, Some(PASSWORD));
        upload.body(std::fs::read(&archive)?).send().await?.error_for_status()?;
        let arguments =
            ["push", &archive.display().to_string(), &place, "--ca-file", &ca.display().to_string()];
        helm(&[&arguments[..], &["--username", USER, "--password", PASSWORD]].concat())?;
    }
    let runner = runner(&bench)?;
    let right = login_with(PASSWORD)?;
    assert_eq!(version_of(&runner, web(&url, "^1", Some(&right))).await?, "1.1.0");
    let oci_url = format!("{place}/web");
    assert_eq!(version_of(&runner, oci(&oci_url, "1.0", Some(&right))).await?, "1.0.0");
    let wrong = login_with("wrong")?;
    for source in [web(&url, "^1", Some(&wrong)), oci(&oci_url, "^1", Some(&wrong))] {
        let error = runner.fetch(source).await.err();
        assert!(matches!(error, Some(HelmError::LoginRefused { status: 401, .. })), "{error:?}");
    }
    // Public charts are for those without a login too.
    let anonymous = Login::from_secret(&[("ca.crt".to_owned(), forge.ca().into())].into(), &host)?;
    assert_eq!(version_of(&runner, oci(&oci_url, "^1", Some(&anonymous))).await?, "1.1.0");
    // Without its authority.
    let untrusting = login(USER, PASSWORD, &[])?;
    for source in [web(&url, "^1", Some(&untrusting)), oci(&oci_url, "^1", Some(&untrusting))] {
        let error = runner.fetch(source).await.err();
        assert!(matches!(error, Some(HelmError::UntrustedCertificate { .. })), "{error:?}");
    }
    // What a chart in git is made of, by the logins of its places.
    let depends = format!("dependencies:\n- {{name: web, version: 1.x, repository: '{url}'}}\n");
    bench.chart("app", "1.0.0", &[])?;
    let head = std::fs::read_to_string(bench.root().join("app/Chart.yaml"))?;
    bench.write("app/Chart.yaml", &format!("{head}{depends}"))?;
    let (path, root) = (bench.root().join("app"), bench.root());
    let logins = [(format!("https://{host}"), right.clone()), (format!("oci://{host}"), right)];
    let chart = runner.fetch(ChartSource::Folder { path: &path, root: &root, logins: &logins }).await?;
    assert!(text(&runner.template(&chart, &release(&json!({}))).await?).contains("a: \"1.1.0\""));
    assert!(
        said(runner.fetch(ChartSource::Folder { path: &path, root: &root, logins: &[] }).await)
            .contains("not trusted")
    );
    Ok(())
}

/// A chart `app` with these dependencies, rendered.
async fn app(bench: &Bench, dependencies: &str) -> Result<String, HelmError> {
    let write = || {
        bench.write(
            "app/Chart.yaml",
            &format!("apiVersion: v2\nname: app\nversion: 1.0.0\ndependencies:\n{dependencies}"),
        )
    };
    let failed = |error: anyhow::Error| HelmError::Io { doing: "write a chart", said: error.to_string() };
    write().map_err(failed)?;
    let runner = runner(bench).map_err(failed)?;
    Ok(text(&bench.render(&runner, "app", &json!({})).await?))
}

#[tokio::test]
async fn a_chart_in_git_gets_what_it_is_made_of() -> anyhow::Result<()> {
    let bench = Bench::make()?;
    let folder = repository(&bench, &["1.0.0", "1.1.0"])?;
    let server = Server::start(&folder, None).await?;
    let depends = format!("- {{name: web, version: ^1, repository: '{}'}}\n", server.url);
    assert!(app(&bench, &depends).await?.contains("a: \"1.1.0\""));
    let made_of = bench.folder(&runner(&bench)?, "app").await?.made_of;
    let digest = sha256(&std::fs::read(folder.join("web-1.1.0.tgz"))?);
    assert_eq!(made_of, [Fetched { name: "web".to_owned(), version: "1.1.0".to_owned(), digest }]);
    // The lock wins.
    bench.write("app/Chart.lock", "dependencies: [{name: web, version: 1.0.0}]")?;
    assert!(app(&bench, &depends).await?.contains("a: \"1.0.0\""));
    server.paths();
    assert!(app(&bench, &depends).await?.contains("a: \"1.0.0\""));
    assert_eq!(server.paths(), [""; 0]);
    assert!(!bench.root().join("app/charts").exists(), "the tree stays as it is");
    bench.write("app/Chart.lock", "dependencies: [{name: web, version: 3.0.0}]")?;
    assert_eq!(
        said(app(&bench, &depends).await),
        "Chart.lock does not match the dependencies of Chart.yaml: it has another version of web than ^1; \
         run `helm dependency update`, and commit the result"
    );
    // What is there is used, without a request, whatever the lock says.
    let vendored = bench.root().join("app/charts");
    std::fs::create_dir_all(&vendored)?;
    std::fs::copy(folder.join("web-1.0.0.tgz"), vendored.join("web-1.0.0.tgz"))?;
    assert!(app(&bench, &depends).await?.contains("a: \"1.0.0\""));
    assert_eq!(server.paths(), [""; 0]);
    Ok(())
}

#[tokio::test]
async fn a_vendored_chart_is_found_by_the_name_in_its_own_file() -> anyhow::Result<()> {
    let bench = Bench::make()?;
    let folder = repository(&bench, &["1.0.0"])?;
    let server = Server::start(&folder, None).await?;
    let depends = format!("- {{name: web, version: ^1, repository: '{}'}}\n", server.url);
    let charts = bench.root().join("app/charts");
    // An archive that is not named after its chart.
    std::fs::create_dir_all(&charts)?;
    std::fs::copy(folder.join("web-1.0.0.tgz"), charts.join("vendored.tgz"))?;
    assert!(app(&bench, &depends).await?.contains("a: \"1.0.0\""));
    // A folder that is not.
    std::fs::remove_file(charts.join("vendored.tgz"))?;
    bench.write("app/charts/web-vendored/Chart.yaml", "apiVersion: v2\nname: web\nversion: 1.5.0\n")?;
    bench.write("app/charts/web-vendored/templates/a.yaml", "a: vendored")?;
    assert!(app(&bench, &depends).await?.contains("a: vendored"));
    assert_eq!(server.paths(), [""; 0]);
    // Another chart under its name does not stand for it, and stays.
    std::fs::rename(charts.join("web-vendored"), charts.join("web"))?;
    bench.write("app/charts/web/Chart.yaml", "apiVersion: v2\nname: other\nversion: 1.5.0\n")?;
    let both = app(&bench, &depends).await?;
    assert!(both.contains("a: vendored") && both.contains("a: \"1.0.0\""), "{both}");
    Ok(())
}

#[tokio::test]
async fn a_chart_in_git_is_made_of_others_beside_it() -> anyhow::Result<()> {
    let bench = Bench::make()?;
    bench.chart("library/common", "1.4.0", &[("templates/a.yaml", &config_map("{{ .Chart.Name }}"))])?;
    bench.chart("middle", "0.1.0", &[])?;
    let chart = "apiVersion: v2\nname: middle\nversion: 0.1.0\ndependencies:\n- {name: common, version: ^1, repository: 'file://../library/common'}\n";
    bench.write("middle/Chart.yaml", chart)?;
    let of = async |dependency: &str| app(&bench, &format!("- {dependency}\n")).await;
    assert!(of("{name: middle, version: 0.x, repository: 'file://../middle'}").await?.contains("a: common"));
    for (dependency, expected) in [
        (
            "{name: middle, version: ^2, repository: 'file://../middle'}",
            "Chart.yaml: it requires middle ^2, but file://../middle has middle 0.1.0",
        ),
        (
            "{name: nothing, version: 1.x, repository: 'file://../nothing'}",
            "Chart.yaml: the dependency nothing was not found at file://../nothing",
        ),
        (
            "{name: etc, version: 1.x, repository: 'file://../../../../../../../../etc'}",
            "the dependency etc at file://../../../../../../../../etc leads out of the repository; nothing outside of it is read",
        ),
        (
            "{name: app, version: 1.x, repository: 'file://../app'}",
            "Chart.yaml: the dependency app is nested deeper than 8 charts, or contains itself",
        ),
        (
            "{name: redis, version: 1.x, repository: '@bitnami'}",
            "Chart.yaml: the dependency redis comes from @bitnami, an alias that is only defined on one computer; write the URL of the repository",
        ),
        (
            "{name: redis, version: 1.x}",
            "Chart.yaml: the dependency redis is not in charts/, and has no repository",
        ),
    ] {
        assert_eq!(said(of(dependency).await), expected);
    }
    Ok(())
}

#[tokio::test]
async fn links_are_followed_inside_of_the_tree_alone() -> anyhow::Result<()> {
    let bench = Bench::make()?;
    bench.chart("web", "1.0.0", &[("templates/b.yaml", "b: 1\n")])?;
    bench.write("shared/a.yaml", "a: 1\n")?;
    let link = bench.root().join("web/templates/a.yaml");
    std::os::unix::fs::symlink("../../shared/a.yaml", &link)?;
    let runner = runner(&bench)?;
    assert!(text(&bench.render(&runner, "web", &json!({})).await?).contains("a: 1"));
    std::fs::remove_file(&link)?;
    std::os::unix::fs::symlink("/etc/passwd", &link)?;
    assert_eq!(
        said(bench.folder(&runner, "web").await),
        "the symlink web/templates/a.yaml leads out of the repository; nothing outside of it is read"
    );
    assert_eq!(processes(&bench.cache().display().to_string())?, [""; 0]);
    Ok(())
}
