//! Every way to a commit, against the real forge: logins, refs, one mirror for all. I/O: processes, network.

use holdfast_tests::forge::{PASSWORD, Repository, USER};
use holdfast_tests::shared::{SOON, Shared, run};
use holdfast_tests::{eventually, sync};
use serde_json::{Value, json};

fn map(value: &str) -> String {
    format!("apiVersion: v1\nkind: ConfigMap\nmetadata: {{name: a}}\ndata: {{key: \"{value}\"}}\n")
}

async fn value(shared: &Shared, namespace: &str) -> anyhow::Result<String> {
    shared.env.cluster.must(&["-n", namespace, "get", "configmap", "a", "-o", "jsonpath={.data.key}"]).await
}

/// Syncs a repository by a Secret with these keys, and reads what it brought.
async fn login(
    shared: &Shared,
    namespace: &str,
    ssh: bool,
    keys: impl AsyncFn(&Repository) -> anyhow::Result<Vec<(&'static str, String)>>,
) -> anyhow::Result<()> {
    let repository = shared.env.forge.repository(namespace).await?;
    let commit = repository.commit(&[("a.yaml", &map(namespace))], "Begin")?;
    shared.env.cluster.must(&["create", "namespace", namespace]).await?;
    let keys = keys(&repository).await?;
    let keys: Vec<(&str, &str)> = keys.iter().map(|(key, value)| (*key, value.as_str())).collect();
    shared.env.cluster.apply(&sync::secret(namespace, "git", &keys)).await?;
    let url = if ssh { &repository.ssh_url } else { &repository.https_url };
    shared.env.cluster.apply(&sync::sync(namespace, "app", url, &json!({}))).await?;
    shared.env.ready(namespace, "app", Some(&commit)).await?;
    assert_eq!(value(shared, namespace).await?, namespace);
    Ok(())
}

#[test]
fn https_with_a_password() -> anyhow::Result<()> {
    run(&[], |shared| async move {
        login(shared, "password", false, async |_| {
            Ok(vec![
                ("username", USER.to_owned()),
                ("password", PASSWORD.to_owned()),
                ("ca.crt", shared.env.forge.ca().to_owned()),
            ])
        })
        .await
    })
}

#[test]
fn https_with_a_bearer_token() -> anyhow::Result<()> {
    run(&[], |shared| async move {
        login(shared, "bearer", false, async |_| {
            Ok(vec![
                ("bearerToken", shared.env.forge.token("bearer").await?),
                ("ca.crt", shared.env.forge.ca().to_owned()),
            ])
        })
        .await
    })
}

#[test]
fn ssh_with_a_deploy_key() -> anyhow::Result<()> {
    run(&[], |shared| async move {
        login(shared, "ssh", true, async |repository| {
            let key = shared.env.forge.deploy_key(repository, false).await?;
            Ok(vec![("identity", key), ("known_hosts", shared.env.forge.known_hosts().to_owned())])
        })
        .await
    })
}

/// Points the Sync at another ref and reads what that brings.
async fn follow(shared: &Shared, namespace: &str, reference: Value, expected: &str) -> anyhow::Result<()> {
    let patch = json!({"spec": {"source": {"git": {"ref": reference}}}}).to_string();
    shared.env.cluster.must(&["-n", namespace, "patch", "sync", "app", "--type=merge", "-p", &patch]).await?;
    shared.env.ready(namespace, "app", None).await?;
    assert_eq!(value(shared, namespace).await?, expected, "{reference}");
    Ok(())
}

#[test]
fn every_kind_of_ref() -> anyhow::Result<()> {
    run(&[], |shared| async move {
        let repository = shared.env.forge.repository("refs").await?;
        let first = repository.commit(&[("a.yaml", &map("first"))], "First")?;
        repository.git(&["tag", "v1.0.0"])?;
        repository.push("refs/tags/v1.0.0")?;
        repository.commit(&[("a.yaml", &map("second"))], "Second")?;
        repository.git(&["tag", "-a", "v1.2.0", "-m", "annotated"])?;
        repository.git(&["push", "--quiet", &push_url(shared, &repository), "refs/tags/v1.2.0"])?;
        repository.commit(&[("a.yaml", &map("third"))], "Third")?;
        repository.push("refs/heads/next")?;
        repository.git(&["tag", "v2.0.0-rc.1"])?;
        repository.push("refs/tags/v2.0.0-rc.1")?;
        repository.git(&["reset", "--quiet", "--hard", "HEAD~1"])?;
        repository.commit(&[("a.yaml", &map("main"))], "Main")?;

        shared.env.namespace("refs").await?;
        shared.env.cluster.apply(&sync::sync("refs", "app", &repository.https_url, &json!({}))).await?;
        shared.env.ready("refs", "app", None).await?;
        assert_eq!(value(shared, "refs").await?, "main");
        let none = Value::Null;
        follow(shared, "refs", json!({"branch": "next"}), "third").await?;
        follow(shared, "refs", json!({"branch": none, "tag": "v1.0.0"}), "first").await?;
        follow(shared, "refs", json!({"tag": "v1.2.0"}), "second").await?;
        follow(shared, "refs", json!({"tag": none, "semver": "<1.2.0"}), "first").await?;
        follow(shared, "refs", json!({"semver": ">=1.0.0"}), "second").await?;
        follow(shared, "refs", json!({"semver": ">=2.0.0-0"}), "third").await?;
        follow(shared, "refs", json!({"semver": none, "name": "refs/heads/next"}), "third").await?;
        follow(shared, "refs", json!({"name": none, "commit": first}), "first").await?;
        follow(shared, "refs", json!({"commit": none, "branch": "main"}), "main").await?;

        // A branch that is moved by force is followed.
        repository.git(&["reset", "--quiet", "--hard", &first])?;
        let forced = repository.commit(&[("a.yaml", &map("forced"))], "Rewrite history")?;
        shared.env.ready("refs", "app", Some(&forced)).await?;
        assert_eq!(value(shared, "refs").await?, "forced");
        Ok(())
    })
}

fn push_url(shared: &Shared, repository: &Repository) -> String {
    format!("https://{USER}:{PASSWORD}@127.0.0.1:{}/{USER}/{}.git", shared.env.forge.port(), repository.name)
}

#[test]
fn many_syncs_of_one_repository_ask_once_an_interval() -> anyhow::Result<()> {
    run(&[], |shared| async move {
        let repository = shared.env.forge.repository("many").await?;
        let files: Vec<(String, String)> = (0..10)
            .map(|at| (format!("{at}/a.yaml"), map("1").replace("name: a", &format!("name: a{at}"))))
            .collect();
        let files: Vec<(&str, &str)> = files.iter().map(|(path, text)| (&**path, &**text)).collect();
        repository.commit(&files, "Begin")?;
        shared.env.namespace("many").await?;
        for at in 0..10 {
            let path = json!({"path": at.to_string(), "interval": "30s"});
            shared
                .env
                .cluster
                .apply(&sync::sync("many", &format!("app{at}"), &repository.https_url, &path))
                .await?;
        }
        for at in 0..10 {
            shared.env.ready("many", &format!("app{at}"), None).await?;
        }
        let metrics = shared.agent.get("metrics").await?;
        assert!(metrics.contains("holdfast_source_revision_info{url=\""), "{metrics}");
        // One commit wakes all that read what it changed, and one request found it.
        let asked = format!("/{}.git/info/refs", repository.name);
        let _ = asked;
        let commit =
            repository.commit(&[("3/a.yaml", &map("2").replace("name: a", "name: a3"))], "Change one")?;
        shared
            .env
            .cluster
            .must(&["-n", "many", "annotate", "sync", "app0", "holdfast.dev/reconcile-at=now"])
            .await?;
        shared.env.ready("many", "app3", Some(&commit)).await?;
        // Those that do not read it stay where they were.
        let other = shared.env.read("many", "app4").await?;
        assert!(
            !other["status"]["revision"]["applied"].as_str().unwrap_or_default().ends_with(&commit),
            "{other}"
        );
        Ok(())
    })
}

#[test]
fn only_verified_commits_are_applied() -> anyhow::Result<()> {
    run(&[], |shared| async move {
        let namespace = "verified";
        let folder = holdfast_tests::watchdog::Folder::make("signers")?;
        let mut public = Vec::new();
        for name in ["alice", "bob"] {
            let key = folder.path().join(name);
            let mut keygen = std::process::Command::new("ssh-keygen");
            keygen.args(["-q", "-t", "ed25519", "-N", "", "-C", "", "-f"]).arg(&key);
            anyhow::ensure!(keygen.status()?.success(), "ssh-keygen failed");
            public.push(std::fs::read_to_string(key.with_extension("pub"))?);
        }
        let repository = shared.env.forge.repository(namespace).await?;
        let signs = |name: &str| -> anyhow::Result<()> {
            let key = folder.path().join(name).display().to_string();
            for (setting, value) in
                [("gpg.format", "ssh"), ("user.signingKey", &key), ("commit.gpgSign", "true")]
            {
                repository.git(&["config", setting, value])?;
            }
            Ok(())
        };
        let unsigned = repository.commit(&[("a.yaml", &map("unsigned"))], "Begin")?;
        shared.env.namespace(namespace).await?;
        let signers = |key: &str| sync::secret(namespace, "signers", &[("alice.pub", key)]);
        shared.env.cluster.apply(&signers(&public[0])).await?;
        let mut wanted: Value =
            serde_json::from_str(&sync::sync(namespace, "app", &repository.https_url, &json!({})))?;
        wanted["spec"]["source"]["git"]["verify"] = json!({"secretRef": {"name": "signers"}});
        shared.env.cluster.apply(&wanted.to_string()).await?;
        let refused = async |commit: &str, why: &str| -> anyhow::Result<()> {
            eventually(SOON, &format!("{commit} to be refused"), || async {
                let ready = shared.env.condition(namespace, "app", "Ready").await?;
                Ok(ready.reason == "Unverified"
                    && ready.message.contains(&commit[..7])
                    && ready.message.contains(why))
            })
            .await?;
            let stalled = shared.env.condition(namespace, "app", "Stalled").await?;
            assert_eq!(stalled.status, "True", "{}", stalled.message);
            Ok(())
        };
        // Nothing of it is applied.
        refused(&unsigned, "of Alice <alice@example.com> is not verified: it is not signed").await?;
        assert!(shared.env.cluster.must(&["-n", namespace, "get", "configmap", "a"]).await.is_err());

        signs("alice")?;
        let signed = repository.commit(&[("a.yaml", &map("signed"))], "Signed")?;
        shared.env.ready(namespace, "app", Some(&signed)).await?;
        assert_eq!(value(shared, namespace).await?, "signed");

        // Another key: the last verified commit stays applied, and drift from it is corrected.
        signs("bob")?;
        let strange = repository.commit(&[("a.yaml", &map("strange"))], "Of another person")?;
        refused(&strange, "which is not among the keys of the Secret").await?;
        assert_eq!(value(shared, namespace).await?, "signed");
        shared.patch(namespace, "configmap/a", &json!({"data": {"key": "by hand"}})).await?;
        shared.until(namespace, "configmap/a", "{.data.key}", "signed").await?;

        // The key is added, and that is noticed without a commit.
        shared.env.cluster.apply(&signers(&public.concat())).await?;
        shared.env.ready(namespace, "app", Some(&strange)).await?;
        assert_eq!(value(shared, namespace).await?, "strange");
        // A branch has no tag.
        shared
            .patch(
                namespace,
                "sync/app",
                &json!({"spec": {"source": {"git": {"ref": {"branch": null, "tag": "v1"},
            "verify": {"mode": "Tag"}}}}}),
            )
            .await?;
        let (tag, push_url) = ("v1", push_url(shared, &repository));
        repository.git(&["tag", tag])?;
        repository.git(&["push", "--quiet", &push_url, "refs/tags/v1"])?;
        refused(&strange, "a lightweight tag").await?;
        repository.git(&["tag", "-f", "-s", "-m", "Signed", tag])?;
        repository.git(&["push", "--quiet", "--force", &push_url, "refs/tags/v1"])?;
        shared.env.ready(namespace, "app", Some(&strange)).await?;
        Ok(())
    })
}
