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
    async fn open() -> anyhow::Result<Self> {
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
        let wanted = json!({"capabilities": {"alwaysMatch": {"browserName": "chrome", "goog:chromeOptions": {"args": flags}}}});
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

/// Looks at the pages of a UI that everybody reads, in which the namespace has the Sync `app`.
pub async fn look(base: &str, namespace: &str) -> anyhow::Result<()> {
    let window = Window::open().await?;
    let sync = format!("/syncs/{namespace}/app");
    for (width, scheme) in [(390, "light"), (390, "dark"), (1200, "light"), (1200, "dark")] {
        window.screen(width, scheme).await?;
        for (name, path) in [("home", "/"), ("sync", &sync), ("drift", "/drift"), ("images", "/images")] {
            window.go(&format!("{base}{path}")).await?;
            let wide = window.run("return document.documentElement.scrollWidth").await?;
            ensure!(
                wide.as_u64().is_some_and(|wide| wide <= u64::from(width)),
                "{name} is {wide} wide at {width}"
            );
            window.shot(&format!("{name}-{width}-{scheme}")).await?;
        }
    }
    keyboard(&window, base, &sync).await?;
    let heading = window.run("return document.querySelector('h1').textContent").await?;
    ensure!(heading.as_str().is_some_and(|heading| heading.contains("app")), "{heading}");
    Ok(())
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
