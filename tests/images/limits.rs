//! What the image loop does not do: ask without need, hide what is wrong. Private registries, signatures, alerts, metrics.
//! I/O: processes, network.

use std::path::Path;
use std::process::Command;
use std::time::Duration;

use anyhow::Context as _;
use holdfast_tests::agent::holdfast;
use holdfast_tests::images::Pusher;
use holdfast_tests::pki::Authority;
use holdfast_tests::receiver::Receiver;
use holdfast_tests::services::{self, REGISTRY_LOGIN, RegistryOptions};
use holdfast_tests::shared::run;
use holdfast_tests::watchdog::Folder;
use holdfast_tests::{eventually, forge, sync};
use serde_json::json;

use crate::kit::{Stage, apart};

#[tokio::test(flavor = "multi_thread")]
async fn while_nothing_changes_only_the_lists_are_asked_for() -> anyhow::Result<()> {
    let shared = apart(&[]).await?;
    let registry = services::registry().await?;
    let stage = Stage::set_at(shared, "quiet-image", &["1.0.0"], Pusher::new(&registry.url)).await?;
    stage.git.commit(&[("web.yaml", &stage.line("web", "1.0.0")), ("none/a.yaml", "a: 1\n")], "Begin")?;
    stage.update(&json!({}), &json!({"digest": "IfNotPresent"})).await?;
    stage.ready("UpToDate", &["web is 1.0.0"]).await?;
    // Another one of the same repository of images, which costs no list.
    let mut image = stage.named("web");
    image["name"] = json!("other");
    let other = json!({"apiVersion": "holdfast.dev/v1alpha1", "kind": "ImageUpdate",
        "metadata": {"name": "other", "namespace": "quiet-image"},
        "spec": {"interval": "5s", "git": {"url": stage.git.https_url, "secretRef": {"name": "git"}, "path": "none"},
            "images": [image]}});
    shared.env.cluster.apply(&other.to_string()).await?;
    tokio::time::sleep(Duration::from_secs(7)).await;
    let since = jiff::Timestamp::now().to_string();
    let counts = async || {
        let lists = shared.agent.metric("holdfast_registry_requests_total").await?;
        anyhow::Ok((lists, shared.agent.metric("holdfast_source_requests_total").await?))
    };
    let before = counts().await?;
    tokio::time::sleep(Duration::from_secs(20)).await;
    let after = counts().await?;
    let (lists, looks) = (after.0 - before.0, after.1 - before.1);
    assert!((3.0..=5.0).contains(&lists), "{lists} requests to the registry in 4 intervals");
    assert!((3.0..=5.0).contains(&looks), "{looks} requests to git in 4 intervals");
    let asked = shared.env.cluster.requests(|line| {
        let text = |field: &str| line[field].as_str().unwrap_or_default();
        text("userAgent").starts_with("holdfast/")
            && text("verb") != "watch"
            && line["objectRef"]["resource"] != "leases"
            && text("requestReceivedTimestamp") > since.as_str()
    })?;
    assert!(asked.is_empty(), "{asked:#?}");
    Ok(())
}

#[test]
fn a_private_registry_says_what_it_lacks_and_goes_on_when_that_is_mended() -> anyhow::Result<()> {
    run(&[], |shared| async move {
        let folder = Folder::make("authority")?;
        let authority = Authority::make(folder.path())?;
        let options =
            RegistryOptions { authority: Some(&authority), login: true, ..RegistryOptions::default() };
        let registry = services::registry_with(options).await?;
        let pusher = Pusher::with(&registry.url, Some(REGISTRY_LOGIN), Some(&authority.certificate))?;
        let stage = Stage::set_at(shared, "private-image", &["1.1.0"], pusher).await?;
        stage.git.commit(&[("web.yaml", &stage.line("web", "1.0.0"))], "Begin")?;
        stage.update(&json!({}), &json!({"insecure": false})).await?;
        stage.ready("Untrusted", &["image web", "TLS"]).await?;
        let cert = json!({"insecure": false, "certSecretRef": {"name": "ca"}});
        stage.update(&json!({}), &cert).await?;
        stage.ready("SecretUnreadable", &["ca"]).await?;
        let secret = sync::secret("private-image", "ca", &[("ca.crt", &authority.certificate)]);
        shared.env.cluster.apply(&secret).await?;
        stage.ready("LoginNeeded", &["requires a login"]).await?;
        let mut both = cert.clone();
        both["secretRef"] = json!({"name": "login"});
        stage.update(&json!({}), &both).await?;
        stage.ready("SecretUnreadable", &["login"]).await?;
        let login = |password: &str| {
            let auths =
                json!({"auths": {stage.pusher.host(): {"username": REGISTRY_LOGIN.0, "password": password}}});
            json!({"apiVersion": "v1", "kind": "Secret", "metadata": {"namespace": "private-image", "name": "login"},
                "type": "kubernetes.io/dockerconfigjson", "stringData": {".dockerconfigjson": auths.to_string()}})
            .to_string()
        };
        shared.env.cluster.apply(&login("wr0ng-pass")).await?;
        stage.ready("LoginRefused", &["refuses the login"]).await?;
        let told = stage.says("{.status}").await?;
        assert!(!told.contains("wr0ng-pass") && !shared.agent.output()?.contains("wr0ng-pass"), "{told}");
        stage.stays("main").await?;
        shared.env.cluster.apply(&login(REGISTRY_LOGIN.1)).await?;
        stage.has("main", "web.yaml", ":1.1.0 # {").await?;
        stage.ready("UpToDate", &["web is 1.1.0"]).await
    })
}

#[test]
fn a_template_with_a_mistake_is_told_and_a_key_signs_the_commit() -> anyhow::Result<()> {
    run(&[], |shared| async move {
        let stage = Stage::set(shared, "signed-image", &["1.1.0"]).await?;
        stage.git.commit(&[("web.yaml", &stage.line("web", "1.0.0"))], "Begin")?;
        stage.update(&json!({"commit": {"message": "Update {{ .Nonsense"}}), &json!({})).await?;
        stage.ready("MessageInvalid", &["spec.commit"]).await?;
        stage.stays("main").await?;
        let commit = json!({"commit": {"message": null, "trailers": {"Ticket": "OPS-7"},
            "author": {"name": "Robot", "email": "robot@example.com"}, "signing": {"secretRef": {"name": "signer"}}}});
        stage.update(&commit, &json!({})).await?;
        stage.ready("SecretUnreadable", &["signer"]).await?;
        let folder = Folder::make("signer")?;
        let key = folder.path().join("key");
        forge::keygen(&key, "")?;
        let secret = sync::secret("signed-image", "signer", &[("identity", &std::fs::read_to_string(&key)?)]);
        shared.env.cluster.apply(&secret).await?;
        stage.has("main", "web.yaml", ":1.1.0 # {").await?;
        let public = std::fs::read_to_string(key.with_extension("pub"))?;
        let signers = folder.path().join("signers");
        std::fs::write(&signers, format!("robot@example.com {public}"))?;
        verified(&stage.git.clone, &signers)?;
        let body = stage.git.git(&["log", "-1", "--format=%B", "FETCH_HEAD"])?;
        assert!(body.contains("Ticket: OPS-7"), "{body}");
        Ok(())
    })
}

/// Fails unless git takes the signature of what was fetched.
fn verified(clone: &Path, signers: &Path) -> anyhow::Result<()> {
    let signers = format!("gpg.ssh.allowedSignersFile={}", signers.display());
    let mut git = Command::new("git");
    git.current_dir(clone).args(["-c", &signers, "verify-commit", "-v", "FETCH_HEAD"]);
    let output = git.output()?;
    let said = String::from_utf8_lossy(&output.stderr);
    anyhow::ensure!(output.status.success() && said.contains("Good \"git\" signature"), "{said}");
    Ok(())
}

#[test]
fn updates_and_failures_are_told_explained_and_counted() -> anyhow::Result<()> {
    run(&[], |shared| async move {
        let stage = Stage::set(shared, "told-image", &["1.0.0", "1.1.0", "2.0.0-rc.1", "nightly"]).await?;
        let receiver = Receiver::webhook(Some("s3cret-token")).await?;
        shared.env.cluster.apply(&sync::secret("told-image", "hook", &[("token", "s3cret-token")])).await?;
        let alert = json!({"apiVersion": "holdfast.dev/v1alpha1", "kind": "Alert",
            "metadata": {"name": "on-call", "namespace": "told-image"},
            "spec": {"on": ["Failed", "ImageUpdated"],
                "receiver": {"webhook": {"url": receiver.url(), "secretRef": {"name": "hook"}}}}});
        shared.env.cluster.apply(&alert.to_string()).await?;
        let is_ready = "{.status.conditions[?(@.type==\"Ready\")].status}";
        shared.until("told-image", "alert/on-call", is_ready, "True").await?;
        stage.git.commit(&[("web.yaml", &stage.line("web", "1.0.0"))], "Begin")?;
        stage.update(&json!({}), &json!({})).await?;
        stage.has("main", "web.yaml", ":1.1.0 # {").await?;
        let told = receiver.until("the update", |all| all.iter().any(|one| one["event"] == "ImageUpdated"));
        let told = told.await?;
        let update = told.iter().find(|one| one["event"] == "ImageUpdated").context("no update")?;
        let summary = update["summary"].as_str().unwrap_or_default();
        let sha = stage.log("main", "%H")?[0].clone();
        assert!(summary.contains("web 1.1.0") && summary.contains(&sha), "{update:#}");

        let explain = ["-n", "told-image", "image", "explain", "web"];
        let said = holdfast(&shared.env.cluster.kubeconfig(), &explain).await?;
        let said = String::from_utf8_lossy(&said.stdout).into_owned();
        for part in ["image web", "semver >=1.0.0", "1.1.0", "1.0.0", "2.0.0-rc.1", "nightly", &sha] {
            assert!(said.contains(part), "{part}: {said}");
        }
        for name in ["holdfast_registry_requests_total", "holdfast_image_updates_total{"] {
            assert!(shared.agent.metric(name).await? >= 1.0, "{name}");
        }
        let updates = "holdfast_image_updates_total{namespace=\"told-image\"";
        assert!((shared.agent.metric(updates).await? - 1.0).abs() < 0.1);

        stage.update(&json!({}), &json!({"policy": {"semver": {"range": "no range"}}})).await?;
        let failed =
            |one: &serde_json::Value, status: &str| one["event"] == "Failed" && one["status"] == status;
        receiver.until("the failure", |all| all.iter().any(|one| failed(one, "firing"))).await?;
        stage.update(&json!({}), &json!({})).await?;
        receiver.until("its end", |all| all.iter().any(|one| failed(one, "resolved"))).await?;
        let told = receiver.notices()?;
        let updates = told.iter().filter(|one| one["event"] == "ImageUpdated").count();
        assert_eq!(updates, 1, "{told:#?}");
        Ok(())
    })
}

#[test]
fn a_push_that_gitea_tells_of_is_applied_at_once() -> anyhow::Result<()> {
    run(&[], |shared| async move {
        let stage = Stage::set(shared, "hook-git", &["1.0.0"]).await?;
        let token = "0123456789abcdef0123";
        shared.env.cluster.apply(&sync::secret("hook-git", "hook", &[("token", token)])).await?;
        let map = |value: &str| holdfast_tests::shared::config_map("a", value) + "---\n";
        stage.git.commit(&[("a.yaml", &map("one"))], "Begin")?;
        let hook = json!({"interval": "1h", "webhook": {"provider": "Gitea", "secretRef": {"name": "hook"}}});
        stage.sync(&hook).await?;
        let path = shared.jsonpath("hook-git", "sync/app", "{.status.webhookPath}").await?;
        assert!(path.starts_with("/hooks/"), "{path}");
        let subscribe = async |secret: &str, path: &str| {
            let url = format!("http://{}{path}", shared.agent.address());
            let config = json!({"url": url, "content_type": "json", "secret": secret});
            let body = json!({"type": "gitea", "active": true, "events": ["push"], "config": config});
            let place = format!("repos/{}/{}/hooks", forge::USER, stage.git.name);
            shared.env.forge.api(reqwest::Method::POST, &place, &body).await.map(drop)
        };
        subscribe("another-secret-0123", &path).await?;
        stage.git.commit(&[("a.yaml", &map("two"))], "Not proven")?;
        let refused = "holdfast_hooks_total{result=\"refused\"";
        eventually(Duration::from_secs(20), "the call to be refused", || async {
            Ok(shared.agent.metric(refused).await? >= 1.0)
        })
        .await?;
        let value = shared.jsonpath("hook-git", "configmap/a", "{.data.key}").await?;
        assert_eq!(value, "one", "what is not proven causes no look");
        subscribe(token, &path).await?;
        stage.git.commit(&[("a.yaml", &map("three"))], "Proven")?;
        shared.until("hook-git", "configmap/a", "{.data.key}", "three").await
    })
}
