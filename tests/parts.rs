//! The harness itself: the parts are real, keep apart, and leave nothing behind. I/O: processes, network.

use std::path::PathBuf;
use std::process::Command;
use std::time::Duration;

use holdfast_tests::controlplane::{ControlPlane, Options};
use holdfast_tests::{Env, eventually, tools};

const SOON: Duration = Duration::from_secs(30);

#[tokio::test(flavor = "multi_thread")]
async fn the_control_plane_is_kubernetes_and_two_keep_apart() -> anyhow::Result<()> {
    let tools = tools().await?;
    let (one, two) = tokio::try_join!(
        ControlPlane::start(&tools, Options::default()),
        ControlPlane::start(&tools, Options { controllers: false, ..Options::default() })
    )?;
    for plane in [&one, &two] {
        let version = plane.must(&["version", "-o", "json"]).await?;
        assert!(version.contains("\"gitVersion\": \"v1.36.3\""), "{version}");
    }
    one.must(&["create", "namespace", "only-here"]).await?;
    assert!(!two.kubectl(&["get", "namespace", "only-here"]).await?.status.success());
    one.must(&["-n", "only-here", "create", "deployment", "web", "--image=web", "--replicas=2"]).await?;
    one.must(&["-n", "only-here", "wait", "--for=condition=Available", "--timeout=30s", "deployment/web"])
        .await?;
    one.must(&["-n", "only-here", "delete", "deployment", "web", "--timeout=20s"]).await?;
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn the_forge_is_a_forge() -> anyhow::Result<()> {
    let env = Env::start().await?;
    let repository = env.forge.repository("parts").await?;
    repository.commit(&[("a", "1")], "One")?;
    let refused = Command::new("git")
        .args([
            "-c",
            "credential.helper=",
            "ls-remote",
            &repository.https_url.replace("https://", "https://alice:wrong@"),
        ])
        .env("GIT_SSL_NO_VERIFY", "true")
        .env("GIT_TERMINAL_PROMPT", "0")
        .output()?;
    assert!(!refused.status.success());
    env.forge.protect(&repository, "main").await?;
    let refused = repository.commit(&[("a", "2")], "Two").map_err(|error| error.to_string());
    assert!(refused.as_ref().is_err_and(|said| said.contains("protected")), "{refused:?}");
    Ok(())
}

/// Run by the test below as a process of its own, which is then killed.
#[tokio::test(flavor = "multi_thread")]
async fn child_that_is_killed() -> anyhow::Result<()> {
    let Some(report) = std::env::var_os("HOLDFAST_TEST_REPORT") else { return Ok(()) };
    let tools = tools().await?;
    let plane = ControlPlane::start(&tools, Options::default()).await?;
    std::fs::write(PathBuf::from(report), plane.kubeconfig().display().to_string())?;
    std::future::pending::<()>().await;
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_run_that_is_killed_leaves_nothing_behind() -> anyhow::Result<()> {
    let folder = tempfile::tempdir()?;
    let report = folder.path().join("report");
    let mut child = Command::new(std::env::current_exe()?)
        .args(["--exact", "child_that_is_killed"])
        .env("HOLDFAST_TEST_REPORT", &report)
        .stdout(std::process::Stdio::null())
        .spawn()?;
    eventually(Duration::from_mins(1), "the child to start a control plane", || async {
        Ok(report.exists())
    })
    .await?;
    let kubeconfig = PathBuf::from(std::fs::read_to_string(&report)?);
    let root = kubeconfig.parent().map(PathBuf::from).unwrap_or_default();
    let name = root.display().to_string();
    assert!(processes(&name)? >= 3, "the control plane is not there");
    child.kill()?;
    child.wait()?;
    eventually(SOON, "its processes and its folder to be gone", || async {
        Ok(processes(&name)? == 0 && !root.exists())
    })
    .await
}

/// How many processes have this in their command line.
fn processes(word: &str) -> anyhow::Result<usize> {
    let mut count = 0;
    for entry in std::fs::read_dir("/proc")? {
        let line = std::fs::read(entry?.path().join("cmdline")).unwrap_or_default();
        count += usize::from(String::from_utf8_lossy(&line).contains(word));
    }
    Ok(count)
}
