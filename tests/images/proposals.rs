//! What people do with a proposal: they add to its branch, close its pull request, delete the branch. And what follows from
//! a new image by itself: generated names, and Syncs that could not be rendered before. I/O: processes, network.

use holdfast_tests::agent::holdfast;
use holdfast_tests::shared::{SOON, Shared, run};
use holdfast_tests::{eventually, forge, sync};
use serde_json::json;

use crate::kit::{Stage, deployment};

/// The pull requests of a repository: number and state.
async fn requests(shared: &Shared, stage: &Stage) -> anyhow::Result<Vec<String>> {
    let path = format!("repos/{}/{}/pulls?state=all", forge::USER, stage.git.name);
    let all = shared.env.forge.api(reqwest::Method::GET, &path, &json!(null)).await?;
    let all = all.as_array().cloned().unwrap_or_default();
    let mut found: Vec<String> = all
        .iter()
        .map(|one| format!("{} {}", one["number"], one["state"].as_str().unwrap_or_default()))
        .collect();
    found.sort_unstable();
    Ok(found)
}

async fn has_requests(shared: &Shared, stage: &Stage, expected: &[&str]) -> anyhow::Result<()> {
    eventually(SOON, &format!("the pull requests to be {expected:?}"), || async {
        let found = requests(shared, stage).await?;
        anyhow::ensure!(found == expected, "{found:?} {}", stage.says("{.status}").await?);
        Ok(true)
    })
    .await
}

#[test]
fn what_reviewers_add_to_a_proposal_stays_and_what_they_refuse_is_not_made_again() -> anyhow::Result<()> {
    run(&[], |shared| async move {
        let stage = Stage::set(shared, "proposal-kept", &["1.0.0"]).await?;
        let web = deployment(&format!("{}:1.0.0", stage.repository()), "proposal-kept:web");
        stage.git.commit(&[("app/web.yaml", &web), ("other.yaml", "a: 1\n")], "Begin")?;
        let scopes = json!({"name": "proposals", "scopes": ["write:repository", "write:issue"]});
        let path = format!("users/{}/tokens", forge::USER);
        let token = shared.env.forge.api(reqwest::Method::POST, &path, &scopes).await?;
        let token = token["sha1"].as_str().unwrap_or_default();
        shared.env.cluster.apply(&sync::secret("proposal-kept", "forge", &[("token", token)])).await?;
        let push = json!({"push": {"branch": "images"}, "pullRequest": {"provider": "Gitea", "secretRef": {"name": "forge"}}});
        stage.update(&push, &json!({})).await?;
        stage.ready("UpToDate", &[]).await?;
        stage.image("1.1.0").await?;
        stage.has("images", "app/web.yaml", ":1.1.0 # {").await?;
        has_requests(shared, &stage, &["1 open"]).await?;
        // A file of her own, another line of the file that is edited, and meanwhile a change on main.
        stage.pull("images")?;
        let reviewed = web.replace(":1.0.0", ":1.1.0").replace("replicas: 0", "replicas: 0 # for now");
        std::fs::create_dir_all(stage.git.clone.join("docs"))?;
        std::fs::write(stage.git.clone.join("docs/note.md"), "Reviewed\n")?;
        std::fs::write(stage.git.clone.join("app/web.yaml"), reviewed)?;
        stage.git.git(&["add", "--all"])?;
        stage.git.git(&["commit", "--quiet", "-m", "Review"])?;
        stage.git.push("images")?;
        stage.stays("images").await?;
        stage.pull("main")?;
        stage.git.commit(&[("other.yaml", "a: 2\n")], "Another change")?;
        stage.image("1.2.0").await?;
        stage.has("images", "app/web.yaml", ":1.2.0 # {").await?;
        stage.has("images", "app/web.yaml", "replicas: 0 # for now").await?;
        stage.has("images", "docs/note.md", "Reviewed").await?;
        stage.has("images", "other.yaml", "a: 2").await?;
        stage.stays("images").await?;
        // Closed unmerged: refused, until it is allowed again.
        let first = format!("repos/{}/{}/pulls/1", forge::USER, stage.git.name);
        shared.env.forge.api(reqwest::Method::PATCH, &first, &json!({"state": "closed"})).await?;
        stage
            .ready("UpToDate", &["web 1.2.0 was refused: pull request 1 was closed without a merge"])
            .await?;
        stage.stays("images").await?;
        has_requests(shared, &stage, &["1 closed"]).await?;
        assert_eq!(stage.says("{.status.proposal.refused.how}").await?, "PullRequestClosed");
        let unban = ["-n", "proposal-kept", "image", "unban", "web"];
        let done = holdfast(&shared.env.cluster.kubeconfig(), &unban).await?;
        assert!(String::from_utf8_lossy(&done.stderr).contains("web 1.2.0"), "{done:?}");
        has_requests(shared, &stage, &["1 closed", "2 open"]).await?;
        // The branch is deleted: refused as well, until another version comes.
        stage.ready("UpToDate", &[]).await?;
        stage.git.git(&["push", "--quiet", "--delete", &stage.git.push_url, "images"])?;
        stage.ready("UpToDate", &["web 1.2.0 was refused", "was"]).await?;
        tokio::time::sleep(std::time::Duration::from_secs(6)).await;
        assert!(stage.fetch("images").is_err(), "the branch is made again");
        stage.image("1.3.0").await?;
        stage.has("images", "app/web.yaml", ":1.3.0 # {").await?;
        has_requests(shared, &stage, &["1 closed", "2 closed", "3 open"]).await
    })
}

#[test]
fn what_cannot_be_merged_with_the_branch_stops_the_update() -> anyhow::Result<()> {
    run(&[], |shared| async move {
        let stage = Stage::set(shared, "proposal-conflict", &["1.0.0"]).await?;
        stage.git.commit(&[("web.yaml", &stage.line("web", "1.0.0")), ("other.yaml", "a: 1\n")], "Begin")?;
        stage.update(&json!({"push": {"branch": "images"}}), &json!({})).await?;
        stage.ready("UpToDate", &[]).await?;
        stage.image("1.1.0").await?;
        stage.has("images", "web.yaml", ":1.1.0 # {").await?;
        stage.pull("images")?;
        std::fs::write(stage.git.clone.join("other.yaml"), "a: theirs\n")?;
        stage.git.git(&["commit", "--quiet", "-am", "Review"])?;
        stage.git.push("images")?;
        stage.pull("main")?;
        stage.git.commit(&[("other.yaml", "a: ours\n")], "The same on main")?;
        stage.image("1.2.0").await?;
        stage.ready("BranchConflict", &["nothing is pushed to images", "other.yaml"]).await?;
        stage.stays("images").await?;
        stage.has("images", "other.yaml", "a: theirs").await
    })
}

#[test]
fn a_generated_name_follows_and_a_sync_that_cannot_be_rendered_holds_nothing_up() -> anyhow::Result<()> {
    run(&[], |shared| async move {
        let stage = Stage::set(shared, "proposal-follow", &["1.0.0"]).await?;
        let pod = "apiVersion: apps/v1\nkind: Deployment\nmetadata: {name: web}\nspec:\n  replicas: 0\n  selector: {matchLabels: {app: web}}\n  template:\n    metadata: {labels: {app: web}}\n    spec:\n      containers: [{name: web, image: busybox}]\n      volumes: [{name: values, configMap: {name: values}}]\n";
        let kustomization =
            "resources: [web.yaml]\nconfigMapGenerator:\n- name: values\n  files: [values.yaml]\n";
        let values = stage.line("web", "1.0.0");
        stage.git.commit(
            &[("app/web.yaml", pod), ("app/kustomization.yaml", kustomization), ("app/values.yaml", &values)],
            "Begin",
        )?;
        stage.sync(&json!({"path": "app"})).await?;
        let broken = json!({"path": "app", "render": {"substitute": {"from": [{"kind": "Secret", "name": "missing"}]}}});
        let broken = sync::sync("proposal-follow", "broken", &stage.git.https_url, &broken);
        shared.env.cluster.apply(&broken).await?;
        stage.update(&json!({}), &json!({})).await?;
        stage.ready("UpToDate", &["web is 1.0.0"]).await?;
        // A tag that is marked as a whole image is told, and nothing is written there.
        let wrong =
            "images:\n- name: busybox\n  newTag: 1.0.0 # {\"$imagepolicy\": \"proposal-follow:web\"}\n";
        stage.git.commit(&[("wrong/kustomization.yaml", wrong)], "A marker without its part")?;
        stage
            .ready(
                "EditRefused",
                &["wrong/kustomization.yaml:3", "does not contain an image reference", "tag"],
            )
            .await?;
        stage.image("1.1.0").await?;
        stage.has("main", "app/values.yaml", ":1.1.0 # {").await?;
        stage.has("main", "wrong/kustomization.yaml", "newTag: 1.0.0 #").await?;
        eventually(SOON, "the Deployment to use the new values", || async {
            let name = "{.spec.template.spec.volumes[0].configMap.name}";
            let name = shared.jsonpath("proposal-follow", "deployment/web", name).await?;
            let held = shared.jsonpath("proposal-follow", &format!("configmap/{name}"), "{.data}").await?;
            anyhow::ensure!(held.contains(":1.1.0"), "{name}: {held}");
            Ok(true)
        })
        .await
    })
}
