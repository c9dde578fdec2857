//! What the tests of rendering work with: the arguments of their agent, what it rendered and kept, and files that SOPS
//! encrypted. I/O: processes, disk.

use std::io::Read as _;
use std::process::Command;
use std::sync::LazyLock;
use std::time::Duration;

use anyhow::{Context as _, bail, ensure};
use flate2::read::ZlibDecoder;
use holdfast_tests::forge::Repository;
use holdfast_tests::shared::{SOON, Shared};
use holdfast_tests::tools::{self, Sops};
use holdfast_tests::{eventually, sync};
use serde_json::{Value, json};
use tempfile::TempDir;

/// Bytes of the seal of a render that is kept.
const SEAL: usize = 32;

/// The arguments of the agent: with the real Helm, and with bases in other repositories.
pub fn agent() -> &'static [&'static str] {
    static AGENT: LazyLock<Vec<&'static str>> = LazyLock::new(|| {
        let helm = tools::helm().expect("Helm is built from its module");
        let helm: &'static str = Box::leak(helm.display().to_string().into_boxed_str());
        vec!["--helm", helm, "--allow-remote-bases", "--allow-file-sources"]
    });
    &AGENT
}

pub async fn kubectl(shared: &Shared, namespace: &str, arguments: &[&str]) -> anyhow::Result<String> {
    shared.env.cluster.must(&[&["-n", namespace], arguments].concat()).await
}

/// Asks for a run of the Sync `app`, and gives it the time that it takes.
pub async fn ask(shared: &Shared, namespace: &str, value: &str) -> anyhow::Result<()> {
    let marks = json!({"metadata": {"annotations": {"holdfast.dev/reconcile-at": value}}});
    shared.patch(namespace, "sync/app", &marks).await?;
    tokio::time::sleep(Duration::from_secs(2)).await;
    Ok(())
}

/// Waits until the Sync `app` is not Ready for a reason, with these words.
pub async fn says(shared: &Shared, namespace: &str, reason: &str, words: &[&str]) -> anyhow::Result<()> {
    eventually(SOON, &format!("{namespace} to say {reason} with {words:?}"), || async {
        let ready = shared.env.condition(namespace, "app", "Ready").await?;
        let fits = ready.reason == reason && words.iter().all(|word| ready.message.contains(word));
        if !fits {
            bail!("it says {}: {}", ready.reason, ready.message);
        }
        Ok(true)
    })
    .await
}

/// True if a text is in a render that the agent keeps on disk.
pub fn is_kept(shared: &Shared, text: &str) -> anyhow::Result<bool> {
    let mut kept = 0;
    // A folder for each trust domain, and in it one for each repository and its options.
    let mut folders = vec![shared.agent.cache().join("renders")];
    while let Some(folder) = folders.pop() {
        for entry in folder.read_dir()? {
            let path = entry?.path();
            if path.is_dir() {
                folders.push(path);
                continue;
            }
            let Ok(bytes) = std::fs::read(path) else { continue };
            // A line and a seal stand before what is packed.
            let rest = bytes.splitn(2, |byte| *byte == b'\n').nth(1).unwrap_or_default();
            let mut plain = String::new();
            if ZlibDecoder::new(rest.get(SEAL..).unwrap_or_default()).read_to_string(&mut plain).is_ok() {
                kept += 1;
                if plain.contains(text) {
                    return Ok(true);
                }
            }
        }
    }
    ensure!(kept > 0, "the agent keeps no render at all, so this says nothing");
    Ok(false)
}

/// The real SOPS with one age key.
pub struct Vault {
    tools: Sops,
    folder: TempDir,
    key: String,
    recipient: String,
}

impl Vault {
    pub fn make() -> anyhow::Result<Self> {
        let tools = tools::sops()?;
        let output = Command::new(&tools.age_keygen).output()?;
        let key = String::from_utf8(output.stdout)?;
        let recipient = key.lines().find_map(|line| line.strip_prefix("# public key: "));
        let recipient = recipient.context("age-keygen names no recipient")?.to_owned();
        Ok(Self { tools, folder: tempfile::tempdir()?, key, recipient })
    }

    /// The file of the identity.
    pub fn key(&self) -> &str {
        &self.key
    }

    /// A file as SOPS encrypts it.
    pub fn encrypt(&self, name: &str, text: &str, more: &[&str]) -> anyhow::Result<String> {
        let path = self.folder.path().join(name);
        std::fs::write(&path, text)?;
        let mut command = Command::new(&self.tools.sops);
        command.args(["encrypt", "--age", &self.recipient]).args(more).arg(&path);
        let output = command.env_clear().env("HOME", self.folder.path()).output()?;
        ensure!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        Ok(String::from_utf8(output.stdout)?)
    }
}

/// In a namespace that is there: the Sync `app` of a new repository that has these files, and Ready.
pub async fn begin(
    shared: &Shared,
    namespace: &str,
    files: &[(&str, &str)],
    more: &Value,
) -> anyhow::Result<Repository> {
    let repository = shared.env.forge.repository(namespace).await?;
    let commit = repository.commit(files, "Begin")?;
    shared.env.cluster.apply(&sync::sync(namespace, "app", &repository.https_url, more)).await?;
    shared.env.ready(namespace, "app", Some(&commit)).await?;
    Ok(repository)
}
