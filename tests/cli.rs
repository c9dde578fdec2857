//! The command line and the service: what they print, and how they end. I/O: processes, network.

use std::process::{Command, Output};
use std::time::Duration;

use holdfast_tests::agent::{Agent, holdfast};
use holdfast_tests::shared::run;
use holdfast_tests::{eventually, root, sync};
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

/// The shared agent leaves the namespace `lease` to two of its own.
const AGENT: &[&str] = &["--namespaces", "plan,verbs,explain"];
const SOON: Duration = Duration::from_secs(30);
const MAP: &str = "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: a}\ndata:\n  key: |\n    one\n    two\n";

fn out(output: &Output) -> String {
    String::from_utf8_lossy(&output.stdout).into_owned()
}

fn err(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

#[test]
fn render_needs_no_cluster_and_names_all_mistakes() -> anyhow::Result<()> {
    run(AGENT, |_| async {
        let nowhere = std::path::Path::new("/nonexistent");
        let shop = root().join("examples/gitops-repo/shop/production").display().to_string();
        let rendered = holdfast(nowhere, &["render", &shop]).await?;
        assert!(rendered.status.success(), "{}", err(&rendered));
        assert!(out(&rendered).contains("defaultMode: 256"), "0400 is octal to kubectl: {}", out(&rendered));
        let folder = tempfile::tempdir()?;
        std::fs::write(
            folder.path().join("a.yaml"),
            "piVersion: v1\nkind: ConfigMap\nmetadata: {name: a}\n",
        )?;
        std::fs::write(folder.path().join("b.yaml"), "a: [1\n")?;
        let refused = holdfast(nowhere, &["render", &folder.path().display().to_string()]).await?;
        assert_eq!(refused.status.code(), Some(1));
        assert!(err(&refused).contains("a.yaml:1") && err(&refused).contains("b.yaml:"), "{}", err(&refused));
        Ok(())
    })
}

#[test]
fn a_reader_that_has_enough_ends_the_program_in_silence() -> anyhow::Result<()> {
    run(AGENT, |shared| async move {
        let kubeconfig = shared.env.cluster.kubeconfig();
        for arguments in [&["crd"][..], &["status"], &["plan", "-f", "nothing.yaml"], &["--version"]] {
            let program = holdfast_tests::agent::program().await?;
            let mut child = Command::new(program)
                .args(arguments)
                .env("KUBECONFIG", &kubeconfig)
                .stdout(std::process::Stdio::piped())
                .stderr(std::process::Stdio::piped())
                .spawn()?;
            drop(child.stdout.take());
            let output = child.wait_with_output()?;
            let said = err(&output);
            assert!(!said.contains("panicked") && !said.contains("Broken pipe"), "{arguments:?}: {said}");
        }
        Ok(())
    })
}

#[test]
fn plan_says_what_would_be_done_and_does_nothing() -> anyhow::Result<()> {
    run(AGENT, |shared| async move {
        let repository = shared.env.forge.repository("plan").await?;
        let secret = "apiVersion: v1\nkind: Secret\nmetadata: {name: s}\nstringData: {password: hunter2}\n";
        let commit = repository.commit(&[("a.yaml", MAP), ("s.yaml", secret)], "Begin")?;
        shared.env.namespace("plan").await?;
        shared.env.cluster.apply(&sync::sync("plan", "app", &repository.https_url, &json!({}))).await?;
        shared.env.ready("plan", "app", Some(&commit)).await?;
        let kubeconfig = shared.env.cluster.kubeconfig();
        let nothing = holdfast(&kubeconfig, &["-n", "plan", "plan", "app", "--exit-code"]).await?;
        assert_eq!(nothing.status.code(), Some(0), "{}{}", out(&nothing), err(&nothing));
        assert!(out(&nothing).contains("nothing to do"), "{}", out(&nothing));

        let tree = tempfile::tempdir()?;
        std::fs::write(tree.path().join("a.yaml"), MAP.replace("two", "three"))?;
        std::fs::write(tree.path().join("s.yaml"), secret.replace("hunter2", "hunter3"))?;
        std::fs::write(tree.path().join("b.yaml"), MAP.replace("name: a", "name: b"))?;
        let tree = tree.path().display().to_string();
        let planned =
            holdfast(&kubeconfig, &["-n", "plan", "plan", "app", "--tree", &tree, "--exit-code"]).await?;
        assert_eq!(planned.status.code(), Some(2), "{}{}", out(&planned), err(&planned));
        let text = out(&planned);
        for words in [
            "1 to create, 2 to update",
            "+ create ConfigMap plan/b",
            "~ update ConfigMap plan/a",
            "- two",
            "+ three",
            "*** (after)",
        ] {
            assert!(text.contains(words), "{words:?} is missing in:\n{text}");
        }
        assert!(!text.contains("hunter") && !text.contains("aHVudGVy"), "{text}");
        let as_json =
            holdfast(&kubeconfig, &["-n", "plan", "plan", "app", "--tree", &tree, "-o", "json"]).await?;
        let plan: Value = serde_json::from_str(&out(&as_json))?;
        assert_eq!(plan["changes"].as_array().map(Vec::len), Some(3), "{plan}");
        assert!(
            shared
                .env
                .cluster
                .must(&["-n", "plan", "get", "configmap", "a", "-o", "jsonpath={.data.key}"])
                .await?
                .contains("two")
        );
        Ok(())
    })
}

#[test]
fn an_object_is_explained_by_its_file_its_commit_and_its_owners() -> anyhow::Result<()> {
    run(AGENT, |shared| async move {
        let (env, kubeconfig) = (&shared.env, shared.env.cluster.kubeconfig());
        let repository = env.forge.repository("explain").await?;
        let two = format!(
            "apiVersion: v1\nkind: Secret\nmetadata: {{name: s}}\nstringData: {{password: hunter2}}\n---\n{MAP}"
        );
        let commit = repository.commit(&[("shop/all.yaml", &two)], "Add a map (#7)")?;
        // Of a branch that was merged: the commit on it is what changed the file.
        repository.git(&["checkout", "--quiet", "-b", "other"])?;
        repository.git(&["checkout", "--quiet", "main"])?;
        repository.commit(&[("shop/b.yaml", &MAP.replace("name: a", "name: b"))], "Add another map")?;
        repository.git(&["checkout", "--quiet", "other"])?;
        std::fs::write(repository.clone.join("shop/c.yaml"), MAP.replace("name: a", "name: c"))?;
        repository.git(&["add", "--all"])?;
        repository.git(&["commit", "--quiet", "-m", "Add a third map"])?;
        let third = repository.git(&["rev-parse", "HEAD"])?.trim().to_owned();
        repository.git(&["checkout", "--quiet", "main"])?;
        repository.git(&[
            "merge",
            "--quiet",
            "--no-ff",
            "-m",
            "Merge pull request #9 from other",
            "other",
        ])?;
        let last = repository.commit(&[("README.md", "text\n")], "Add a text")?;
        env.namespace("explain").await?;
        let sync = sync::sync("explain", "app", &repository.https_url, &json!({"path": "shop"}));
        env.cluster.apply(&sync).await?;
        env.ready("explain", "app", Some(&last)).await?;
        let label = ["-n", "explain", "label", "--field-manager=person", "configmap", "a", "team=shop"];
        env.cluster.must(&label).await?;
        let explained = holdfast(&kubeconfig, &["-n", "explain", "explain", "cm/a"]).await?;
        assert!(explained.status.success(), "{}", err(&explained));
        let text = out(&explained);
        for words in [
            "ConfigMap explain/a (v1)",
            "sync          explain/app",
            "file          shop/all.yaml:6",
            &format!("{commit} Add a map (#7)"),
            "Alice <alice@example.com>",
            "pull request  #7",
            "/metadata/labels/team",
            "person (Update",
            "/data/key",
            "holdfast (Apply",
        ] {
            assert!(text.contains(words), "{words:?} is missing in:\n{text}");
        }
        let merged = holdfast(&kubeconfig, &["-n", "explain", "explain", "cm/c"]).await?;
        for words in ["shop/c.yaml:1", &format!("{third} Add a third map"), "pull request  #9"] {
            assert!(out(&merged).contains(words), "{words:?} is missing in:\n{}", out(&merged));
        }
        let secret = holdfast(&kubeconfig, &["-n", "explain", "explain", "Secret/s", "-o", "json"]).await?;
        let found: Value = serde_json::from_str(&out(&secret))?;
        assert_eq!((&found["file"], &found["pullRequest"]["number"]), (&json!("shop/all.yaml:1"), &json!(7)));
        assert_eq!(found["unknown"], json!([]), "{found}");
        assert!(!out(&secret).contains("hunter2") && !out(&secret).contains("aHVudGVyMg"));
        env.cluster.must(&["-n", "explain", "create", "configmap", "stranger"]).await?;
        let stranger = holdfast(&kubeconfig, &["-n", "explain", "explain", "configmaps/stranger"]).await?;
        assert!(out(&stranger).contains("belongs to no Sync"), "{}{}", out(&stranger), err(&stranger));
        let nothing = holdfast(&kubeconfig, &["-n", "explain", "explain", "cm/nothing"]).await?;
        assert!(err(&nothing).contains("cm/nothing not found in namespace explain"), "{}", err(&nothing));
        Ok(())
    })
}

#[test]
fn status_suspend_resume_and_reconcile() -> anyhow::Result<()> {
    run(AGENT, |shared| async move {
        let repository = shared.env.forge.repository("verbs").await?;
        let commit = repository.commit(&[("a.yaml", MAP)], "Begin")?;
        shared.env.namespace("verbs").await?;
        shared
            .env
            .cluster
            .apply(&sync::sync("verbs", "app", &repository.https_url, &json!({"interval": "10m"})))
            .await?;
        shared.env.ready("verbs", "app", Some(&commit)).await?;
        let kubeconfig = shared.env.cluster.kubeconfig();
        let list = holdfast(&kubeconfig, &["-n", "verbs", "status"]).await?;
        let lines: Vec<String> = out(&list).lines().map(str::to_owned).collect();
        assert!(
            lines[0].starts_with("NAME") && lines[1].starts_with("app") && lines[1].contains(&commit[..7]),
            "{lines:?}"
        );
        let one = holdfast(&kubeconfig, &["-n", "verbs", "status", "app"]).await?;
        assert!(out(&one).contains(&format!("main@sha1:{commit}")), "{}", out(&one));
        let columns = shared.env.cluster.must(&["-n", "verbs", "get", "syncs"]).await?;
        let head: Vec<&str> = columns.lines().next().unwrap_or_default().split_whitespace().collect();
        assert_eq!(head, ["NAME", "READY", "STATUS", "REVISION", "PROGRESS", "AGE"]);
        assert!(columns.contains(&format!("main@{}", &commit[..7])), "{columns}");

        let suspended = holdfast(
            &kubeconfig,
            &["-n", "verbs", "suspend", "app", "--reason", "incident 42", "--for", "2h"],
        )
        .await?;
        assert!(suspended.status.success(), "{}", err(&suspended));
        shared.env.reason("verbs", "app", "Suspended").await?;
        let second = repository.commit(&[("a.yaml", &MAP.replace("two", "three"))], "Change")?;
        let resumed = holdfast(&kubeconfig, &["-n", "verbs", "resume", "app"]).await?;
        assert!(resumed.status.success(), "{}", err(&resumed));
        let asked = holdfast(&kubeconfig, &["-n", "verbs", "reconcile", "app"]).await?;
        assert!(asked.status.success(), "{}", err(&asked));
        shared.env.ready("verbs", "app", Some(&second)).await?;
        let missing = holdfast(&kubeconfig, &["-n", "verbs", "status", "nothing"]).await?;
        assert_eq!(missing.status.code(), Some(1));
        assert!(err(&missing).contains("Sync nothing not found in namespace verbs"), "{}", err(&missing));
        Ok(())
    })
}

#[test]
fn one_agent_works_and_another_goes_on_when_it_ends() -> anyhow::Result<()> {
    run(AGENT, |shared| async move {
        let repository = shared.env.forge.repository("lease").await?;
        repository.commit(&[("a.yaml", MAP)], "Begin")?;
        shared.env.namespace("lease").await?;
        let kubeconfig = shared.env.cluster.kubeconfig();
        let arguments = ["--leader-elect", "-n", "lease", "--namespaces", "lease"];
        let mut first = Agent::start(&kubeconfig, &arguments).await?;
        shared.env.cluster.apply(&sync::sync("lease", "app", &repository.https_url, &json!({}))).await?;
        shared.env.ready("lease", "app", None).await?;
        let second = Agent::start(&kubeconfig, &arguments).await?;
        eventually(SOON, "the second to wait", || async {
            Ok(second.output()?.contains("Waiting for the Lease"))
        })
        .await?;
        let (status, _) = first.terminate(Duration::from_secs(5))?;
        assert!(status.success(), "{status}");
        let commit = repository.commit(&[("a.yaml", &MAP.replace("two", "three"))], "Change")?;
        shared.env.ready("lease", "app", Some(&commit)).await?;
        assert!(second.output()?.contains("Acquired the Lease"));
        let metrics = second.get("metrics").await?;
        for name in [
            "holdfast_sync_ready{",
            "holdfast_sync_drifted{",
            "holdfast_sync_awaiting_approval{",
            "holdfast_sync_objects{",
            "holdfast_sync_verified_timestamp_seconds{",
            "holdfast_stage_seconds_bucket{",
            "holdfast_reconciles_total{",
            "holdfast_changes_total{",
            "holdfast_api_requests_total{",
            "holdfast_source_requests_total{",
            "holdfast_source_revision_info{",
            "process_resident_memory_bytes ",
            "process_cpu_seconds_total ",
            "# EOF",
        ] {
            assert!(metrics.contains(name), "{name} is missing in:\n{metrics}");
        }
        Ok(())
    })
}

/// A proxy that requires a login.
async fn closed_proxy() -> anyhow::Result<std::net::SocketAddr> {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await?;
    let address = listener.local_addr()?;
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            let mut asked = [0; 1024];
            let _ = stream.read(&mut asked).await;
            let answer = "HTTP/1.1 407 Proxy Authentication Required\r\nProxy-Authenticate: Basic realm=\"proxy\"\r\nContent-Length: 0\r\n\r\n";
            let _ = stream.write_all(answer.as_bytes()).await;
        }
    });
    Ok(address)
}

#[test]
fn a_proxy_that_wants_a_login_is_named() -> anyhow::Result<()> {
    run(AGENT, |shared| async move {
        let proxy = format!("http://{}", closed_proxy().await?);
        let folder = tempfile::tempdir()?;
        let file = folder.path().join("sync.yaml");
        let sync = json!({"apiVersion": "holdfast.dev/v1alpha1", "kind": "Sync", "metadata": {"name": "app"},
            "spec": {"source": {"git": {"url": "https://git.example.com/config.git"}}}});
        std::fs::write(&file, sync.to_string())?;
        let mut plan = Command::new(holdfast_tests::agent::program().await?);
        plan.args(["plan", "-f"]).arg(&file).env("KUBECONFIG", shared.env.cluster.kubeconfig());
        plan.env("HTTPS_PROXY", &proxy).env("NO_PROXY", "127.0.0.1,localhost");
        let planned = tokio::task::spawn_blocking(move || plan.output()).await??;
        assert_eq!(planned.status.code(), Some(1), "{}", err(&planned));
        assert!(err(&planned).contains("the proxy of the agent requires a login"), "{}", err(&planned));
        Ok(())
    })
}
