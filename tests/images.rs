//! The image loop on real parts: a registry, a forge, a cluster. From the push of an image to the commit, and what holds a
//! commit back. I/O: processes, network.

#[path = "images/kills.rs"]
mod kills;
#[path = "images/kit.rs"]
mod kit;
#[path = "images/limits.rs"]
mod limits;
#[path = "images/people.rs"]
mod people;
#[path = "images/policies.rs"]
mod policies;
#[path = "images/proposals.rs"]
mod proposals;
#[path = "images/several.rs"]
mod several;
#[path = "images/targets.rs"]
mod targets;

use std::time::Duration;

use anyhow::bail;
use holdfast_tests::shared::{SOON, Shared, run};
use holdfast_tests::{eventually, sync};
use serde_json::json;

use kit::{Stage, deployment};

#[test]
fn a_new_image_becomes_one_commit_of_one_line_and_is_rolled_out() -> anyhow::Result<()> {
    run(&[], |shared| async move {
        let stage = Stage::set(shared, "image-new", &["1.0.0", "1.1.0-rc.1", "0.9.0", "latest"]).await?;
        let web = deployment(&format!("{}:1.0.0", stage.repository()), "image-new:web");
        let odd = "# a comment\r\nother:   'kept'   # as it is\r\n";
        stage.git.commit(
            &[
                ("app/web.yaml", &web),
                ("app/kustomization.yaml", "resources: [web.yaml]\n"),
                ("odd.yaml", odd),
            ],
            "Begin",
        )?;
        stage.sync(&json!({"path": "app"})).await?;
        stage
            .update(
                &json!({"commit": {"author": {"name": "Robot", "email": "robot@example.com"}}}),
                &json!({}),
            )
            .await?;
        stage.ready("UpToDate", &["web is 1.0.0"]).await?;
        let before = stage.log("main", "%H")?;
        let digest = stage.image("1.2.3").await?;
        stage.has("main", "app/web.yaml", ":1.2.3 # {").await?;
        let after = stage.log("main", "%H %an <%ae> %s")?;
        assert_eq!(after.len(), before.len() + 1);
        assert!(after[0].ends_with("Robot <robot@example.com> Update web to 1.2.3"), "{after:?}");
        let stat = stage.git.git(&["diff", "--numstat", &format!("{}..FETCH_HEAD", before[0])])?;
        assert_eq!(stat.trim(), "1\t1\tapp/web.yaml");
        let message = stage.git.git(&["log", "-1", "--format=%B", "FETCH_HEAD"])?;
        for part in [
            "1.0.0",
            "1.2.3",
            "app/web.yaml",
            "Deployment.apps web (image-new/app)",
            "semver >=1.0.0",
            "Signed-off-by: Robot <robot@example.com>",
        ] {
            assert!(message.contains(part), "{part}: {message}");
        }
        // The commit triggers the Sync, and the status says what was written.
        let image = format!("{}:1.2.3", stage.repository());
        shared
            .until("image-new", "deployment/web", "{.spec.template.spec.containers[0].image}", &image)
            .await?;
        stage.ready("UpToDate", &["web is 1.2.3"]).await?;
        assert_eq!(stage.says("{.status.images[0].tag} {.status.images[0].previous}").await?, "1.2.3 1.0.0");
        assert!(after[0].starts_with(&stage.says("{.status.commit.sha}").await?));
        let events = shared
            .env
            .cluster
            .must(&[
                "-n",
                "image-new",
                "get",
                "events",
                "-o",
                "jsonpath={.items[?(@.reason==\"ImageUpdated\")].message}",
            ])
            .await?;
        assert!(events.contains("web to 1.2.3"), "{events}");
        // With digests, only the digest is added.
        stage.update(&json!({}), &json!({"digest": "Always"})).await?;
        stage.has("main", "app/web.yaml", &format!(":1.2.3@{digest} # {{")).await?;
        stage.stays("main").await
    })
}

#[test]
fn what_a_person_takes_back_is_not_fought_over() -> anyhow::Result<()> {
    run(&[], |shared| async move {
        let stage = Stage::set(shared, "image-ban", &["1.0.0"]).await?;
        let web = deployment(&format!("{}:1.0.0", stage.repository()), "image-ban:web");
        stage.git.commit(&[("web.yaml", &web)], "Begin")?;
        stage.update(&json!({}), &json!({})).await?;
        stage.ready("UpToDate", &["web is 1.0.0"]).await?;
        stage.image("1.1.0").await?;
        stage.has("main", "web.yaml", ":1.1.0 # {").await?;
        stage.pull("main")?;
        stage.git.git(&["revert", "--no-edit", "HEAD"])?;
        stage.git.push("main")?;
        stage.ready("UpToDate", &["1.1.0 was reverted in web.yaml"]).await?;
        stage.stays("main").await?;
        stage.has("main", "web.yaml", ":1.0.0 # {").await?;
        assert_eq!(stage.says("{.status.images[0].banned[*].tag}").await?, "1.1.0");
        // A newer one is taken, and takes the ban along.
        stage.image("1.2.0").await?;
        stage.has("main", "web.yaml", ":1.2.0 # {").await?;
        eventually(Duration::from_secs(10), "the ban to go", || async {
            Ok(stage.says("{.status.images[0].banned}").await?.is_empty())
        })
        .await?;
        // Taken back again, and this time that is undone.
        stage.pull("main")?;
        stage.git.git(&["revert", "--no-edit", "HEAD"])?;
        stage.git.push("main")?;
        stage.ready("UpToDate", &["1.2.0 was reverted"]).await?;
        let unban = ["-n", "image-ban", "image", "unban", "web", "web"];
        let done = holdfast_tests::agent::holdfast(&shared.env.cluster.kubeconfig(), &unban).await?;
        assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stderr));
        stage.has("main", "web.yaml", ":1.2.0 # {").await
    })
}

#[test]
fn nothing_is_committed_that_changes_more_than_images() -> anyhow::Result<()> {
    run(&[], |shared| async move {
        let stage = Stage::set(shared, "image-proof", &["1.0.0"]).await?;
        let values = format!("image={}:1.0.0\n", stage.repository());
        let kustomization = format!(
            "namePrefix: {} # {{\"$imagepolicy\": \"image-proof:web:tag\"}}\nresources: [a.yaml]\n",
            "1.0.0"
        );
        let map = holdfast_tests::shared::config_map("a", &values.replace('\n', ""));
        stage.git.commit(&[("kustomization.yaml", &kustomization), ("a.yaml", &map)], "Begin")?;
        stage.sync(&json!({})).await?;
        stage.update(&json!({}), &json!({})).await?;
        stage.ready("UpToDate", &["web is 1.0.0"]).await?;
        stage.image("1.1.0").await?;
        stage
            .ready("ProofFailed", &["Sync image-proof/app", "1.1.0a would be new", "1.0.0a would be gone"])
            .await?;
        stage.stays("main").await
    })
}

/// A Sync of another namespace that reads the same host and path has no say: it does not hold the update back, and nothing of
/// it is told, whatever its Secrets say.
#[test]
fn syncs_of_other_tenants_hold_nothing_up_and_are_not_rendered() -> anyhow::Result<()> {
    run(&[], |shared| async move {
        let stage = Stage::set(shared, "image-own", &["1.0.0"]).await?;
        let web = deployment(&format!("{}:1.0.0", stage.repository()), "image-own:web");
        stage.git.commit(&[("web.yaml", &web)], "Begin")?;
        stage.sync(&json!({})).await?;
        shared.env.namespace("image-others").await?;
        // Another login: not the same mirror. It would be renamed by the new tag, and one is suspended.
        let other =
            sync::secret("image-others", "other", &[("username", "x"), ("password", "s3cr3t-Canary")]);
        shared.env.cluster.apply(&other).await?;
        let source = json!({"source": {"git": {"secretRef": {"name": "other"}}}});
        for (name, more) in [
            ("renders", json!({"render": {"substitute": {"from": [{"kind": "Secret", "name": "other"}]}}})),
            ("held", json!({"suspend": {"reason": "s3cr3t-Canary"}})),
        ] {
            let mut spec = source.clone();
            sync::merge(&mut spec, &more);
            let text = sync::sync("image-others", name, &stage.git.https_url, &spec);
            shared.env.cluster.apply(&text).await?;
        }
        stage.update(&json!({}), &json!({})).await?;
        stage.image("1.1.0").await?;
        stage.has("main", "web.yaml", ":1.1.0 # {").await?;
        let status = shared.jsonpath("image-own", "imageupdate/web", "{.status}").await?;
        assert!(!status.contains("Canary") && !status.contains("image-others"), "{status}");
        Ok(())
    })
}

#[test]
fn a_suspended_sync_holds_updates_back() -> anyhow::Result<()> {
    run(&[], |shared| async move {
        let stage = Stage::set(shared, "image-held", &["1.0.0"]).await?;
        let web = deployment(&format!("{}:1.0.0", stage.repository()), "image-held:web");
        stage.git.commit(&[("web.yaml", &web)], "Begin")?;
        stage.sync(&json!({})).await?;
        shared
            .patch("image-held", "sync/app", &json!({"spec": {"suspend": {"reason": "incident 42"}}}))
            .await?;
        stage.update(&json!({}), &json!({})).await?;
        stage.image("1.1.0").await?;
        stage.ready("HeldBack", &["Sync image-held/app", "incident 42"]).await?;
        stage.stays("main").await?;
        shared.patch("image-held", "sync/app", &json!({"spec": {"suspend": null}})).await?;
        stage.has("main", "web.yaml", ":1.1.0 # {").await
    })
}

#[test]
fn a_webhook_of_a_registry_causes_a_look_at_once() -> anyhow::Result<()> {
    run(&[], |shared| async move {
        let stage = Stage::set(shared, "image-hook", &["1.0.0"]).await?;
        let web = deployment(&format!("{}:1.0.0", stage.repository()), "image-hook:web");
        stage.git.commit(&[("web.yaml", &web)], "Begin")?;
        let secret = sync::secret("image-hook", "hook", &[("token", "0123456789abcdef0123")]);
        shared.env.cluster.apply(&secret).await?;
        let hook = json!({"interval": "1h", "webhook": {"provider": "Quay", "secretRef": {"name": "hook"}}});
        stage.update(&hook, &json!({})).await?;
        stage.ready("UpToDate", &["web is 1.0.0"]).await?;
        let path = stage.says("{.status.webhookPath}").await?;
        assert!(path.starts_with("/hooks/"), "{path}");
        stage.image("1.1.0").await?;
        let call = |path: String| async move {
            let url = format!("http://{}{path}", shared.agent.address());
            anyhow::Ok(reqwest::Client::new().post(url).body("{}").send().await?.status().as_u16())
        };
        assert_eq!(call("/hooks/nothing".to_owned()).await?, 404);
        assert!(call(path).await? < 300);
        stage.has("main", "web.yaml", ":1.1.0 # {").await
    })
}

#[test]
fn another_branch_gets_one_pull_request_that_is_closed_when_it_is_moot() -> anyhow::Result<()> {
    run(&[], |shared| async move {
        let stage = Stage::set(shared, "image-pull", &["1.0.0"]).await?;
        let web = deployment(&format!("{}:1.0.0", stage.repository()), "image-pull:web");
        stage.git.commit(&[("web.yaml", &web), ("other.yaml", "a: 1\n")], "Begin")?;
        let push = json!({"push": {"branch": "images"}, "pullRequest": {"provider": "Gitea", "secretRef": {"name": "forge"}}});
        let scopes = json!({"name": "images", "scopes": ["write:repository", "write:issue"]});
        let path = format!("users/{}/tokens", holdfast_tests::forge::USER);
        let token = shared.env.forge.api(reqwest::Method::POST, &path, &scopes).await?;
        let token = token["sha1"].as_str().unwrap_or_default();
        shared.env.cluster.apply(&sync::secret("image-pull", "forge", &[("token", token)])).await?;
        stage.update(&push, &json!({})).await?;
        stage.ready("UpToDate", &[]).await?;
        stage.image("1.1.0").await?;
        stage.has("images", "web.yaml", ":1.1.0 # {").await?;
        stage.has("main", "web.yaml", ":1.0.0 # {").await?;
        let requests = || async {
            let path = format!("repos/{}/{}/pulls?state=all", holdfast_tests::forge::USER, stage.git.name);
            let all = shared.env.forge.api(reqwest::Method::GET, &path, &json!(null)).await?;
            let all = all.as_array().cloned().unwrap_or_default();
            anyhow::Ok(all.iter().map(|one| format!("{} {}", one["title"], one["state"])).collect::<Vec<_>>())
        };
        let (asked, told) = (&requests, &stage);
        let is = |expected: &'static str| async move {
            let found = asked().await?;
            if found != [expected] {
                bail!("{found:?} {}", told.says("{.status}").await?);
            }
            Ok(true)
        };
        eventually(SOON, "a pull request", || is("\"Update web to 1.1.0\" \"open\"")).await?;
        // It moves forward with the source branch and with newer images.
        stage.pull("main")?;
        stage.git.commit(&[("other.yaml", "a: 2\n")], "Another change")?;
        stage.image("1.2.0").await?;
        stage.has("images", "web.yaml", ":1.2.0 # {").await?;
        stage.has("images", "other.yaml", "a: 2").await?;
        eventually(SOON, "the newer title", || is("\"Update web to 1.2.0\" \"open\"")).await?;
        stage.stays("images").await?;
        // A user writes it by hand.
        stage.pull("main")?;
        stage.git.commit(&[("web.yaml", &web.replace(":1.0.0", ":1.2.0"))], "By hand")?;
        eventually(SOON, "it to be closed", || is("\"Update web to 1.2.0\" \"closed\"")).await
    })
}

/// An error, and its report.
async fn wrong(
    shared: &'static Shared,
    namespace: &'static str,
    file: &str,
    image: serde_json::Value,
    reason: &str,
    parts: &[&str],
) -> anyhow::Result<()> {
    let stage = Stage::set(shared, namespace, &["1.0.0", "0.1.0"]).await?;
    let text = file.replace("REPOSITORY", &stage.repository());
    stage.git.commit(&[("web.yaml", &text)], "Begin")?;
    stage.update(&json!({}), &image).await?;
    stage.ready(reason, parts).await?;
    stage.stays("main").await
}

#[test]
fn what_is_wrong_is_told_and_nothing_is_written() -> anyhow::Result<()> {
    run(&[], |shared| async move {
        let good = "image: REPOSITORY:1.0.0 # {\"$imagepolicy\": \"NS:web\"}\n";
        let of = |namespace: &str, text: &str| text.replace("NS", namespace);
        let range = json!({"policy": {"semver": {"range": ">=2"}}});
        wrong(shared, "image-none", &of("image-none", good), range, "NoCandidate", &["image web", "1.0.0"])
            .await?;
        let policy = json!({"policy": {"semver": {"range": "not a range"}}});
        wrong(shared, "image-range", &of("image-range", good), policy, "PolicyInvalid", &["image web"])
            .await?;
        let gone = json!({"repository": "127.0.0.1:9/none/web"});
        wrong(shared, "image-gone", &of("image-gone", good), gone, "Unreachable", &["127.0.0.1:9/none/web"])
            .await?;
        let unknown = "image: REPOSITORY:0.1.0 # {\"$imagepolicy\": \"image-unknown:web2\"}\n";
        wrong(
            shared,
            "image-unknown",
            unknown,
            json!({}),
            "EditRefused",
            &["web.yaml:1", "image-unknown:web2"],
        )
        .await?;
        let conflict = "<<<<<<< HEAD\nimage: REPOSITORY:0.1.0 # {\"$imagepolicy\": \"image-conflict:web\"}\n=======\n>>>>>>> x\n";
        wrong(shared, "image-conflict", conflict, json!({}), "EditRefused", &["web.yaml:1"]).await?;
        let older = json!({"policy": {"semver": {"range": "<1"}}});
        wrong(shared, "image-older", &of("image-older", good), older, "UpToDate", &["web.yaml:1", "0.1.0"])
            .await
    })
}

#[test]
fn a_push_that_is_refused_says_why() -> anyhow::Result<()> {
    run(&[], |shared| async move {
        let stage = Stage::set(shared, "image-refused", &["1.1.0"]).await?;
        let web = deployment(&format!("{}:1.0.0", stage.repository()), "image-refused:web");
        stage.git.commit(&[("web.yaml", &web)], "Begin")?;
        shared.env.forge.protect(&stage.git, "main").await?;
        stage.update(&json!({}), &json!({})).await?;
        stage.ready("BranchProtected", &["protected"]).await?;
        let stage = Stage::set(shared, "image-reader", &["1.1.0"]).await?;
        let web = deployment(&format!("{}:1.0.0", stage.repository()), "image-reader:web");
        stage.git.commit(&[("web.yaml", &web)], "Begin")?;
        let key = shared.env.forge.deploy_key(&stage.git, false).await?;
        let login = [("identity", key.as_str()), ("known_hosts", shared.env.forge.known_hosts())];
        shared.env.cluster.apply(&sync::secret("image-reader", "key", &login)).await?;
        let git = json!({"git": {"url": stage.git.ssh_url, "secretRef": {"name": "key"}}});
        stage.update(&git, &json!({})).await?;
        stage.ready("LoginReadOnly", &["may read but not write"]).await
    })
}
