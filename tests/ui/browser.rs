//! A real browser, driven by its WebDriver: pages on a phone, in the dark, by keyboard alone, and live. I/O: processes, network.

use std::process::Command;
use std::time::Duration;

use anyhow::{Context as _, ensure};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use holdfast_tests::services::need;
use holdfast_tests::watchdog::{Folder, Process};
use holdfast_tests::{eventually, ports};
use serde_json::{Value, json};

const SOON: Duration = Duration::from_secs(30);

/// A window of the browser.
struct Window {
    base: String,
    client: reqwest::Client,
    _process: Process,
    folder: Folder,
}

impl Window {
    async fn open(with_script: bool) -> anyhow::Result<Self> {
        tokio::task::spawn_blocking(|| need("chromedriver", "chromium-driver")).await??;
        let (folder, port) = (Folder::make("browser")?, ports::free()?);
        let log = folder.path().join("log");
        let mut command = Command::new("chromedriver");
        command.arg(format!("--port={port}")).env("HOME", folder.path());
        let process = Process::start("chromedriver", &mut command, &log)?;
        let client = reqwest::Client::new();
        let driver = format!("http://127.0.0.1:{port}");
        eventually(SOON, "the driver of the browser", || async {
            Ok(client
                .get(format!("{driver}/status"))
                .send()
                .await
                .is_ok_and(|answer| answer.status().is_success()))
        })
        .await?;
        let flags = ["--headless=new", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage"];
        let prefs =
            json!({"profile.managed_default_content_settings.javascript": if with_script { 1 } else { 2 }});
        let wanted = json!({"capabilities": {"alwaysMatch": {"browserName": "chrome", "acceptInsecureCerts": true, "goog:chromeOptions": {"args": flags, "prefs": prefs}}}});
        let made: Value =
            client.post(format!("{driver}/session")).body(wanted.to_string()).send().await?.json().await?;
        let id = made["value"]["sessionId"].as_str().with_context(|| made.to_string())?;
        Ok(Self { base: format!("{driver}/session/{id}"), client, _process: process, folder })
    }

    async fn call(&self, what: &str, body: Value) -> anyhow::Result<Value> {
        let answer = self.client.post(format!("{}/{what}", self.base)).body(body.to_string()).send().await?;
        let mut answer: Value = answer.json().await?;
        ensure!(answer["value"]["error"].is_null(), "{what}: {answer}");
        Ok(answer["value"].take())
    }

    async fn go(&self, url: &str) -> anyhow::Result<()> {
        self.call("url", json!({"url": url})).await.map(drop)
    }

    async fn run(&self, script: &str) -> anyhow::Result<Value> {
        self.call("execute/sync", json!({"script": script, "args": []})).await
    }

    /// The first element that a selector finds.
    async fn find(&self, selector: &str) -> anyhow::Result<String> {
        // A page that was just requested may not be there yet.
        let query = json!({"using": "css selector", "value": selector});
        eventually(SOON, &format!("the element {selector}"), || async {
            Ok(self.call("element", query.clone()).await.is_ok())
        })
        .await?;
        let found = self.call("element", query.clone()).await?;
        let id = found.as_object().and_then(|found| found.values().next()?.as_str()).map(ToOwned::to_owned);
        id.with_context(|| format!("no element {selector}"))
    }

    async fn press(&self, selector: &str) -> anyhow::Result<()> {
        let element = self.find(selector).await?;
        self.call(&format!("element/{element}/click"), json!({})).await.map(drop)
    }

    async fn write(&self, selector: &str, text: &str) -> anyhow::Result<()> {
        let element = self.find(selector).await?;
        self.call(&format!("element/{element}/value"), json!({"text": text})).await.map(drop)
    }

    /// What a person reads.
    async fn text(&self, selector: &str) -> anyhow::Result<String> {
        let element = self.find(selector).await?;
        let url = format!("{}/element/{element}/text", self.base);
        let answer: Value = self.client.get(url).send().await?.json().await?;
        Ok(answer["value"].as_str().unwrap_or_default().to_owned())
    }

    /// Fails if the checker finds a violation of WCAG 2.2, level AA, or of its best practices.
    async fn is_accessible(&self, page: &str) -> anyhow::Result<()> {
        self.run(AXE).await?;
        let script = "const done = arguments[arguments.length - 1];\
            axe.run().then((found) => done(found.violations.map((one) => one.id + ': ' + one.nodes.map((node) => node.html).slice(0, 3).join(' '))), (error) => done([String(error)]))";
        let found = self.call("execute/async", json!({"script": script, "args": []})).await?;
        ensure!(found == json!([]), "{page}: {found:#}");
        Ok(())
    }

    /// Presses keys.
    async fn keys(&self, keys: &str) -> anyhow::Result<()> {
        let strokes = keys.chars().flat_map(|key| {
            [
                json!({"type": "keyDown", "value": key.to_string()}),
                json!({"type": "keyUp", "value": key.to_string()}),
            ]
        });
        let actions =
            json!({"actions": [{"type": "key", "id": "keyboard", "actions": strokes.collect::<Vec<_>>()}]});
        self.call("actions", actions).await.map(drop)
    }

    /// Emulates a screen.
    async fn screen(&self, width: u32, scheme: &str) -> anyhow::Result<()> {
        let metrics = json!({"width": width, "height": 844, "deviceScaleFactor": 1, "mobile": width < 500});
        self.devtools("Emulation.setDeviceMetricsOverride", metrics).await?;
        let features = json!({"features": [{"name": "prefers-color-scheme", "value": scheme}]});
        self.devtools("Emulation.setEmulatedMedia", features).await
    }

    async fn devtools(&self, command: &str, parameters: Value) -> anyhow::Result<()> {
        self.call("goog/cdp/execute", json!({"cmd": command, "params": parameters})).await.map(drop)
    }

    /// Writes what is on the screen into the folder that `HOLDFAST_SCREENSHOTS` names.
    async fn shot(&self, name: &str) -> anyhow::Result<()> {
        let answer: Value = self.client.get(format!("{}/screenshot", self.base)).send().await?.json().await?;
        let picture = STANDARD.decode(answer["value"].as_str().context("no picture")?)?;
        ensure!(picture.starts_with(b"\x89PNG"), "the screenshot is no picture");
        let folder =
            std::env::var_os("HOLDFAST_SCREENSHOTS").map_or(self.folder.path().to_path_buf(), Into::into);
        std::fs::write(folder.join(format!("{name}.png")), picture)?;
        Ok(())
    }
}

/// A checker of accessibility that runs in a page: axe-core 4.14.1 of the npm package, whose digest is below.
const AXE: &str = include_str!("assets/axe.min.js");
const AXE_DIGEST: &str = "29348999450cdf2849a8e70b7912fc2da85a849da39c0d0d5394f51d4a9ed95c";

/// Looks at the pages of a UI that everybody reads, in which the namespace has the Sync `app`, with these pages below its own.
pub async fn look(base: &str, namespace: &str, below: &[(&str, &str)]) -> anyhow::Result<()> {
    let window = Window::open(true).await?;
    let sync = format!("/syncs/{namespace}/app");
    let mut pages = vec![
        ("home", "/".to_owned()),
        ("sync", sync.clone()),
        ("drift", "/drift".to_owned()),
        ("images", "/images".to_owned()),
        ("pulls", "/pulls".to_owned()),
        ("graph", "/graph".to_owned()),
    ];
    pages.extend(below.iter().map(|(name, path)| (*name, format!("{sync}{path}"))));
    for (width, scheme) in [(390, "light"), (390, "dark"), (1200, "light"), (1200, "dark")] {
        window.screen(width, scheme).await?;
        for (name, path) in &pages {
            window.go(&format!("{base}{path}")).await?;
            let wide = window.run("return document.documentElement.scrollWidth").await?;
            ensure!(
                wide.as_u64().is_some_and(|wide| wide <= u64::from(width)),
                "{name} is {wide} wide at {width}"
            );
            window.shot(&format!("{name}-{width}-{scheme}")).await?;
            window.is_accessible(&format!("{name} at {width}, {scheme}")).await?;
        }
    }
    keyboard(&window, base, &sync).await?;
    let heading = window.run("return document.querySelector('h1').textContent").await?;
    ensure!(heading.as_str().is_some_and(|heading| heading.contains("app")), "{heading}");
    Ok(())
}

/// A person without script reads a page, fills a form, and sends it.
pub async fn without_script(base: &str, key: &str, namespace: &str) -> anyhow::Result<()> {
    let window = Window::open(false).await?;
    window.go(&format!("{base}{key}")).await?;
    window.go(&format!("{base}/")).await?;
    window.press(&format!("a[href='/syncs/{namespace}/app']")).await?;
    window.press("details.suspend > summary").await?;
    window.write("form[action$='/suspend'] input[name=reason]", "without script").await?;
    window.press("form[action$='/suspend'] button").await?;
    let banner = window.text(".banner.good").await?;
    ensure!(banner.contains("suspended"), "{banner}");
    eventually(SOON, "the page to offer to resume", || async {
        window.go(&format!("{base}/syncs/{namespace}/app")).await?;
        Ok(window.text("main").await?.contains("Resume"))
    })
    .await?;
    window.press("form[action$='/resume'] button").await?;
    let banner = window.text(".banner.good").await?;
    ensure!(banner.contains("resumed"), "{banner}");
    // Every page is there as a whole.
    for (path, text) in [
        (format!("/syncs/{namespace}/app/object?kind=ConfigMap&namespace={namespace}&name=a"), "As in Git"),
        (format!("/syncs/{namespace}/app/plan"), "plan"),
        ("/drift".to_owned(), "Drift"),
        ("/pulls".to_owned(), "Pull requests"),
        ("/graph".to_owned(), "Dependencies"),
    ] {
        window.go(&format!("{base}{path}")).await?;
        let shown = window.text("main").await?;
        ensure!(shown.contains(text), "{path}: {shown}");
    }
    Ok(())
}

/// Signs in at the provider, lets it do so, and acts as the user whom it names.
pub async fn sign_in_with_provider(
    base: &str,
    page: &str,
    (user, password): (&str, &str),
) -> anyhow::Result<()> {
    let window = Window::open(true).await?;
    window.go(&format!("{base}{page}")).await?;
    window.press("a.button").await?;
    window.write("#user_name", user).await?;
    window.write("#password", password).await?;
    window.press("form .primary.button").await?;
    window.press("#authorize-app").await?;
    eventually(SOON, "the page that was opened first", || async {
        Ok(window.run("return location.pathname").await? == *page)
    })
    .await?;
    let header = window.text("header").await?;
    ensure!(header.contains(&format!("forge:{user}")), "{header}");
    window.press("details.suspend > summary").await?;
    window.write("form[action$='/suspend'] input[name=reason]", "by a user of the forge").await?;
    window.press("form[action$='/suspend'] button").await?;
    let banner = window.text(".banner.good").await?;
    ensure!(banner.contains("suspended"), "{banner}");
    window.press("form[action='/logout'] button").await?;
    eventually(SOON, "the page to sign in", || async {
        Ok(window.run("return location.pathname").await? == "/login")
    })
    .await
}

#[test]
fn the_checker_of_accessibility_is_that_of_its_package() {
    use sha2::{Digest as _, Sha256};
    let digest: String = Sha256::digest(AXE).iter().map(|byte| format!("{byte:02x}")).collect();
    assert_eq!(digest, AXE_DIGEST);
}

/// By keyboard alone: the keys, the filter, the first row, and its page.
async fn keyboard(window: &Window, base: &str, sync: &str) -> anyhow::Result<()> {
    window.go(&format!("{base}/")).await?;
    window.keys("?").await?;
    ensure!(window.run("return document.getElementById('keys').open").await? == true, "? shows the keys");
    window.shot("keys").await?;
    // Escape.
    window.keys("\u{e00c}").await?;
    ensure!(window.run("return document.getElementById('keys').open").await? == false, "Escape closes them");
    window.keys("/").await?;
    ensure!(window.run("return document.activeElement.id").await? == "filter", "/ leads to the filter");
    // Escape, the first row, Enter.
    window.keys("\u{e00c}j\u{e007}").await?;
    eventually(SOON, "the page of the first row", || async {
        Ok(window.run("return location.pathname").await? == *sync)
    })
    .await
}
