//! Previews of pull requests from a clone on disk: what they show is what the agent does after the merge.

use anyhow::{Context as _, ensure};
use holdfast_tests::agent::holdfast;
use holdfast_tests::forge::Repository;
use holdfast_tests::shared::{Shared, config_map, run};
use holdfast_tests::sync;
use serde_json::{Value, json};

/// Commits files on a branch of the clone, and pushes nothing. `None` removes a file.
fn branch(repository: &Repository, name: &str, files: &[(&str, Option<&str>)]) -> anyhow::Result<()> {
    repository.git(&["checkout", "--quiet", "-b", name])?;
    for (path, content) in files {
        let whole = repository.clone.join(path);
        match content {
            Some(content) => {
                std::fs::create_dir_all(whole.parent().context("a file has a folder")?)?;
                std::fs::write(whole, content)?;
            }
            None => std::fs::remove_file(whole)?,
        }
    }
    repository.git(&["add", "--all"])?;
    repository.git(&["commit", "--quiet", "-m", name])?;
    repository.git(&["checkout", "--quiet", "main"])?;
    Ok(())
}

/// Merges a branch and pushes; the commit.
fn merge(repository: &Repository, name: &str) -> anyhow::Result<String> {
    repository.git(&["merge", "--quiet", "--no-ff", "-m", "Merge", name])?;
    repository.push("main")?;
    Ok(repository.git(&["rev-parse", "HEAD"])?.trim().to_owned())
}

/// `holdfast preview` of a branch: exit code, stdout, stderr.
async fn preview(
    shared: &Shared,
    namespace: &str,
    repository: &Repository,
    head: &str,
    more: &[&str],
) -> anyhow::Result<(i32, String, String)> {
    let tree = repository.clone.display().to_string();
    let arguments =
        [&["preview", "-n", namespace, "--base", "main", "--head", head, "--tree", &tree], more].concat();
    let output = holdfast(&shared.env.cluster.kubeconfig(), &arguments).await?;
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    Ok((output.status.code().unwrap_or(-1), text(&output.stdout), text(&output.stderr)))
}

/// The same as JSON, and without errors: the Syncs that are affected.
async fn syncs(
    shared: &Shared,
    namespace: &str,
    repository: &Repository,
    head: &str,
) -> anyhow::Result<Vec<Value>> {
    let (code, out, err) = preview(shared, namespace, repository, head, &["-o", "json"]).await?;
    ensure!(code == 0, "{code}: {err}{out}");
    let found: Value = serde_json::from_str(&out)?;
    Ok(found["syncs"].as_array().cloned().unwrap_or_default())
}

#[test]
fn what_a_preview_shows_is_what_the_agent_does_after_the_merge() -> anyhow::Result<()> {
    run(&[], |shared| async move {
        let namespace = "preview";
        let files = [
            ("a.yaml", config_map("a", "one")),
            ("b.yaml", config_map("b", "one")),
            ("c.yaml", config_map("c", "one")),
        ];
        let files: Vec<(&str, &str)> = files.iter().map(|(path, text)| (*path, text.as_str())).collect();
        let repository = shared.begin(namespace, &files, &json!({})).await?;
        repository.git(&["remote", "add", "origin", &repository.https_url])?;
        let suspend = json!({"spec": {"suspend": {"reason": "drift is to stay"}}});
        shared.patch(namespace, "sync/app", &suspend).await?;
        shared.env.reason(namespace, "app", "Suspended").await?;
        shared.patch(namespace, "configmap/a", &json!({"data": {"key": "drift", "by": "hand"}})).await?;
        shared.patch(namespace, "configmap/b", &json!({"data": {"key": "drift"}})).await?;
        branch(
            &repository,
            "feature",
            &[
                ("a.yaml", Some(&config_map("a", "two"))),
                ("c.yaml", None),
                ("d.yaml", Some(&config_map("d", "new"))),
            ],
        )?;

        let found = syncs(shared, namespace, &repository, "feature").await?;
        assert_eq!(found.len(), 1, "{found:#?}");
        let found = found[0]["planned"].clone();
        let operations = |list: &Value| -> Vec<String> {
            let all = list.as_array().cloned().unwrap_or_default();
            let change = |one: &Value| one.get("change").cloned().unwrap_or_else(|| one.clone());
            let all = all.iter().map(change);
            all.map(|change| format!("{} {}", change["operation"], change["object"]["name"]).replace('"', ""))
                .collect()
        };
        assert_eq!(operations(&found["changes"]), ["Update a", "Create d", "Delete c"], "{found:#}");
        assert_eq!(operations(&found["pending"]), ["Update b"], "{found:#}");
        let lost = &found["changes"][0]["overwrites"][0];
        assert_eq!(
            (&lost["path"], &lost["before"], &lost["after"]),
            (&json!("/data/key"), &json!("drift"), &json!("one"))
        );
        assert_eq!(lost["owners"][0]["manager"], "kubectl-patch", "{found:#}");

        let (code, text, err) =
            preview(shared, namespace, &repository, "feature", &["-o", "markdown", "--exit-code"]).await?;
        assert_eq!(code, 2, "{err}");
        assert!(text.starts_with("### Holdfast: 1 creation, 1 update, 1 deletion\n"), "{text}");
        assert!(
            text.contains("**Drift that the merge overwrites**") && text.contains("kubectl-patch"),
            "{text}"
        );
        assert!(text.contains("+   key: new"), "{text}");

        // Nothing was written, and what is done after the merge is the plan that was shown.
        assert_eq!(shared.jsonpath(namespace, "configmap/a", "{.data.key}").await?, "drift");
        let commit = merge(&repository, "feature")?;
        // The source is contacted first: otherwise the drift is corrected at the commit before.
        let resume = json!({
            "metadata": {"annotations": {"holdfast.dev/reconcile-at": "merged"}},
            "spec": {"suspend": null},
        });
        shared.patch(namespace, "sync/app", &resume).await?;
        shared.env.ready(namespace, "app", Some(&commit)).await?;
        let applied = shared.jsonpath(namespace, "sync/app", "{.status.plan.id}").await?;
        let plan = shared.jsonpath(namespace, "sync/app", "{.status}").await?;
        assert_eq!(json!(applied), found["id"], "{plan}");
        Ok(())
    })
}

#[test]
fn an_approval_of_what_a_preview_shows_holds_after_the_merge() -> anyhow::Result<()> {
    run(&[], |shared| async move {
        let namespace = "preview-approve";
        let files = [("a.yaml", config_map("a", "one")), ("b.yaml", config_map("b", "one"))];
        let files: Vec<(&str, &str)> = files.iter().map(|(path, text)| (*path, text.as_str())).collect();
        let repository = shared.begin(namespace, &files, &json!({"approval": "Deletions"})).await?;
        repository.git(&["remote", "add", "origin", &repository.https_url])?;
        branch(&repository, "remove", &[("b.yaml", None)])?;
        let found = syncs(shared, namespace, &repository, "remove").await?;
        let id = found[0]["planned"]["waiting"]["id"].as_str().context("nothing waits")?.to_owned();
        let (_, text, _) = preview(shared, namespace, &repository, "remove", &[]).await?;
        assert!(text.contains(&format!("Waits for an Approval of plan {id}:")), "{text}");
        let kubeconfig = shared.env.cluster.kubeconfig();
        let approved =
            holdfast(&kubeconfig, &["approve", "app", &id, "-n", namespace, "--reason", "reviewed"]).await?;
        ensure!(approved.status.success(), "{approved:?}");
        // Another commit in between does not change what the merge does.
        repository.commit(&[("README.md", "nothing to apply")], "Between")?;
        let commit = merge(&repository, "remove")?;
        shared.env.ready(namespace, "app", Some(&commit)).await?;
        shared.gone(namespace, "configmap/b").await
    })
}

#[test]
fn an_object_that_moves_between_two_syncs_is_shown_as_moving() -> anyhow::Result<()> {
    run(&[], |shared| async move {
        let namespace = "preview-move";
        let files = [
            ("one/a.yaml", config_map("a", "one")),
            ("one/k.yaml", config_map("k", "one")),
            ("two/b.yaml", config_map("b", "one")),
        ];
        let files: Vec<(&str, &str)> = files.iter().map(|(path, text)| (*path, text.as_str())).collect();
        let repository = shared.begin(namespace, &files, &json!({"path": "one"})).await?;
        repository.git(&["remote", "add", "origin", &repository.https_url])?;
        let other = sync::sync(namespace, "other", &repository.https_url, &json!({"path": "two"}));
        shared.env.cluster.apply(&other).await?;
        shared.env.ready(namespace, "other", None).await?;
        branch(&repository, "move", &[("one/a.yaml", None), ("two/a.yaml", Some(&config_map("a", "one")))])?;
        let (code, text, err) = preview(shared, namespace, &repository, "move", &[]).await?;
        assert_eq!(code, 0, "{err}{text}");
        assert!(text.contains("1 move\n") && !text.contains("deletion"), "{text}");
        // The other way too, whatever the order of the Syncs is.
        branch(
            &repository,
            "back",
            &[
                ("two/b.yaml", None),
                ("one/b.yaml", Some(&config_map("b", "one"))),
                ("two/c.yaml", Some(&config_map("c", "one"))),
            ],
        )?;
        let (code, text, err) = preview(shared, namespace, &repository, "back", &[]).await?;
        assert_eq!(code, 0, "{err}{text}");
        assert!(text.contains("1 creation, 1 move\n") && !text.contains("deletion"), "{text}");
        // A Sync that reads nothing of what changes is not named.
        branch(&repository, "alone", &[("two/b.yaml", Some(&config_map("b", "two")))])?;
        let found = syncs(shared, namespace, &repository, "alone").await?;
        let names: Vec<&Value> = found.iter().map(|sync| &sync["sync"]).collect();
        assert_eq!(names, [&json!(format!("{namespace}/other"))], "{found:#?}");
        branch(&repository, "readme", &[("README.md", Some("hello"))])?;
        let (code, text, _) = preview(shared, namespace, &repository, "readme", &["-o", "markdown"]).await?;
        assert_eq!(code, 0);
        assert!(text.starts_with("### Holdfast: no Sync reads what changes\n"), "{text}");
        Ok(())
    })
}

#[test]
fn a_merge_that_cannot_be_planned_says_why() -> anyhow::Result<()> {
    run(&[], |shared| async move {
        let namespace = "preview-errors";
        let files = [("a.yaml", config_map("a", "one"))];
        let files: Vec<(&str, &str)> = files.iter().map(|(path, text)| (*path, text.as_str())).collect();
        let repository = shared.begin(namespace, &files, &json!({})).await?;
        let origin = &repository.https_url;
        branch(
            &repository,
            "wrong",
            &[("a.yaml", Some("apiVersion: v1\nkind: ConfigMap\nmetadata: {name: a}\ndata: {key: [1]}\n"))],
        )?;
        let (code, _, err) = preview(shared, namespace, &repository, "wrong", &[]).await?;
        assert!(code == 1 && err.contains("has this repository (no remote) as its source"), "{err}");
        repository.git(&["remote", "add", "origin", origin])?;
        let (code, text, err) = preview(shared, namespace, &repository, "wrong", &[]).await?;
        assert!(code == 1 && err.contains("the merge has an error"), "{err}");
        assert!(text.contains("ConfigMap preview-errors/a (a.yaml:1)"), "{text}");
        branch(&repository, "broken", &[("a.yaml", Some("a: [1\n"))])?;
        let (code, text, _) = preview(shared, namespace, &repository, "broken", &[]).await?;
        assert!(code == 1 && text.contains("fails after the merge:") && text.contains("a.yaml:"), "{text}");
        branch(&repository, "one", &[("a.yaml", Some(&config_map("a", "mine")))])?;
        repository.commit(&[("a.yaml", &config_map("a", "yours"))], "Yours")?;
        let (code, text, err) = preview(shared, namespace, &repository, "one", &[]).await?;
        assert!(code == 1 && text.contains("merge conflicts in 1 file\n  a.yaml\n"), "{text}");
        assert!(err.contains("one cannot be merged into main: 1 file is in conflict"), "{err}");
        let (_, _, err) = preview(shared, namespace, &repository, "nowhere", &[]).await?;
        assert!(err.contains("nowhere is not a commit of the repository"), "{err}");
        Ok(())
    })
}

#[test]
fn without_a_cluster_the_renders_are_compared() -> anyhow::Result<()> {
    run(&[], |shared| async move {
        let repository = shared.env.forge.repository("preview-offline").await?;
        let of =
            |name: &str, path: &str| sync::sync("team", name, &repository.https_url, &json!({"path": path}));
        let namespace = "apiVersion: v1\nkind: Namespace\nmetadata: {name: shop}\n";
        repository.commit(
            &[
                ("syncs/app.yaml", &of("app", "app")),
                ("syncs/other.yaml", &of("other", "other")),
                ("app/a.yaml", &config_map("a", "one")),
                ("app/n.yaml", namespace),
                ("other/b.yaml", &config_map("b", "one")),
            ],
            "Begin",
        )?;
        repository.git(&["remote", "add", "origin", &repository.https_url])?;
        branch(
            &repository,
            "feature",
            &[("app/a.yaml", Some(&config_map("a", "two"))), ("app/n.yaml", None)],
        )?;
        let tree = repository.clone.display().to_string();
        let nowhere = std::path::Path::new("/nonexistent");
        let run = |more: &'static [&'static str]| {
            let arguments: Vec<String> =
                ["preview", "--offline", "--base", "main", "--head", "feature", "--tree", &tree]
                    .iter()
                    .chain(more)
                    .map(ToString::to_string)
                    .collect();
            async move {
                let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
                let output = holdfast(nowhere, &arguments).await?;
                ensure!(output.status.success(), "{output:?}");
                anyhow::Ok(String::from_utf8(output.stdout)?)
            }
        };
        let text = run(&[]).await?;
        assert!(
            text.contains("Sync team/app: 1 update, 1 deletion") && !text.contains("team/other"),
            "{text}"
        );
        assert!(
            text.contains("/data/key: \"one\" -> \"two\"") && text.contains("rendered, not compared"),
            "{text}"
        );
        assert!(text.contains("Waits for an Approval:"), "{text}");
        let markdown = run(&["-o", "markdown"]).await?;
        assert!(markdown.contains("- /data/key: \"one\"\n+ /data/key: \"two\"\n"), "{markdown}");
        let json: Value = serde_json::from_str(&run(&["-o", "json"]).await?)?;
        assert_eq!(json["syncs"][0]["planned"]["changes"][0]["change"]["operation"], "Update", "{json:#}");
        Ok(())
    })
}
