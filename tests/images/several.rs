//! Several ImageUpdates, and several images of one, of which some fail. I/O: processes, network.

use holdfast_tests::forge::Repository;
use holdfast_tests::shared::run;
use serde_json::{Value, json};

use crate::kit::Stage;

/// Applies an ImageUpdate of a name with these images.
async fn update(
    stage: &Stage,
    name: &str,
    git: &Repository,
    more: &Value,
    images: Value,
) -> anyhow::Result<()> {
    let mut spec = json!({"interval": "5s", "git": {"url": git.https_url, "secretRef": {"name": "git"}}, "images": images});
    holdfast_tests::sync::merge(&mut spec, more);
    let update = json!({"apiVersion": "holdfast.dev/v1alpha1", "kind": "ImageUpdate",
        "metadata": {"name": name, "namespace": stage.namespace}, "spec": spec});
    stage.shared.env.cluster.apply(&update.to_string()).await.map(drop)
}

#[test]
fn two_updates_of_one_branch_at_the_same_time_both_land_once() -> anyhow::Result<()> {
    run(&[], |shared| async move {
        let stage = Stage::set(shared, "several-race", &["1.0.0"]).await?;
        stage.image_of("api", "1.0.0").await?;
        let both = |tag: &str| stage.line("web", tag) + &stage.line("api", tag);
        stage.git.commit(&[("all.yaml", &both("1.0.0"))], "Begin")?;
        let slow = json!({"interval": "1h"});
        update(&stage, "web", &stage.git, &slow, json!([stage.named("web")])).await?;
        update(&stage, "api", &stage.git, &slow, json!([stage.named("api")])).await?;
        stage.ready("UpToDate", &["web is 1.0.0"]).await?;
        for round in 1..=5 {
            let tag = format!("1.{round}.0");
            stage.image(&tag).await?;
            stage.image_of("api", &tag).await?;
            let ask = format!("holdfast.dev/reconcile-at={tag}");
            let annotate = ["-n", "several-race", "annotate", "--overwrite", "imageupdates", "--all", &ask];
            shared.env.cluster.must(&annotate).await?;
            stage.has("main", "all.yaml", &both(&tag)).await?;
        }
        stage.stays("main").await?;
        let mut log = stage.log("main", "%s")?;
        log.retain(|subject| subject.starts_with("Update "));
        log.sort();
        let wanted: Vec<String> = ["api", "web"]
            .iter()
            .flat_map(|name| (1..=5).map(move |at| format!("Update {name} to 1.{at}.0")))
            .collect();
        assert_eq!(log, wanted);
        Ok(())
    })
}

#[test]
fn of_two_updates_that_name_one_marker_the_older_has_it_and_the_other_says_so() -> anyhow::Result<()> {
    run(&[], |shared| async move {
        let stage = Stage::set(shared, "several-same", &["1.0.0", "2.0.0"]).await?;
        stage.git.commit(
            &[("a/web.yaml", &stage.line("web", "1.0.0")), ("b/web.yaml", &stage.line("web", "1.0.0"))],
            "Begin",
        )?;
        let policy = |range: &str| {
            let mut image = stage.named("web");
            image["policy"] = json!({"alphabetical": {"order": range}});
            json!([image])
        };
        update(&stage, "one", &stage.git, &json!({"git": {"path": "a"}}), policy("Ascending")).await?;
        stage.has("main", "a/web.yaml", ":2.0.0 # {").await?;
        // Elsewhere, the same name is another's.
        update(&stage, "web", &stage.git, &json!({"git": {"path": "b"}}), policy("Descending")).await?;
        stage.ready("UpToDate", &["web is 1.0.0"]).await?;
        let downgrade = json!({"git": {"path": null}});
        update(&stage, "web", &stage.git, &downgrade, policy("Descending")).await?;
        stage.ready("ImageTaken", &["image web", "ImageUpdate one", "several-same:web"]).await?;
        stage.stays("main").await?;
        stage.has("main", "a/web.yaml", ":2.0.0 # {").await?;
        // Gone, it lets go of what it had.
        shared.env.cluster.must(&["-n", "several-same", "delete", "imageupdate", "one"]).await?;
        stage.ready("UpToDate", &["web is 1.0.0"]).await
    })
}

#[test]
fn while_one_image_fails_the_rest_goes_on_and_nothing_of_it_is_forgotten() -> anyhow::Result<()> {
    run(&[], |shared| async move {
        let stage = Stage::set(shared, "several-fail", &["1.0.0"]).await?;
        stage.image_of("api", "1.0.0").await?;
        let both = |web: &str, api: &str| stage.line("web", web) + &stage.line("api", api);
        stage.git.commit(&[("all.yaml", &both("1.0.0", "1.0.0"))], "Begin")?;
        let (web, api) = (stage.named("web"), stage.named("api"));
        stage.update(&json!({"images": [web, api]}), &json!({})).await?;
        stage.ready("UpToDate", &["web is 1.0.0"]).await?;
        stage.image_of("api", "1.1.0").await?;
        stage.has("main", "all.yaml", &both("1.0.0", "1.1.0")).await?;
        stage.ready("UpToDate", &["api is 1.1.0"]).await?;
        stage.pull("main")?;
        stage.git.git(&["revert", "--no-edit", "HEAD"])?;
        stage.git.push("main")?;
        stage.ready("UpToDate", &["api 1.1.0 was reverted"]).await?;
        let mut broken = api.clone();
        broken["repository"] = json!("127.0.0.1:9/none/api");
        stage.update(&json!({"images": [web, broken]}), &json!({})).await?;
        stage.ready("Unreachable", &["image api", "127.0.0.1:9/none/api"]).await?;
        let message = stage.says("{.status.conditions[?(@.type==\"Ready\")].message}").await?;
        assert!(!message.contains("is in no ImageUpdate"), "{message}");
        stage.image("1.1.0").await?;
        stage.has("main", "all.yaml", &both("1.1.0", "1.0.0")).await?;
        // A file that cannot be read for a while is no reason to forget either.
        stage.pull("main")?;
        let conflict = format!("<<<<<<< HEAD\n{}=======\n>>>>>>> x\n", both("1.1.0", "1.0.0"));
        stage.git.commit(&[("all.yaml", &conflict)], "Conflict")?;
        stage.update(&json!({"images": [web, api]}), &json!({})).await?;
        stage.ready("EditRefused", &["all.yaml:1"]).await?;
        stage.git.commit(&[("all.yaml", &both("1.1.0", "1.0.0"))], "Mended")?;
        stage.ready("UpToDate", &["api 1.1.0 was reverted"]).await?;
        stage.stays("main").await?;
        stage.has("main", "all.yaml", &both("1.1.0", "1.0.0")).await
    })
}
