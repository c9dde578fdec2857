//! What people do to a branch under the image loop: they take back, write by hand, rewrite and delete. I/O: processes,
//! network.

use holdfast_tests::shared::run;
use serde_json::json;

use crate::kit::Stage;

#[test]
fn of_two_images_in_one_commit_one_is_taken_back() -> anyhow::Result<()> {
    run(&[], |shared| async move {
        let stage = Stage::set(shared, "people-one", &["1.0.0"]).await?;
        stage.image_of("api", "1.0.0").await?;
        let both = |web: &str, api: &str| stage.line("web", web) + &stage.line("api", api);
        stage.git.commit(&[("all.yaml", &both("1.0.0", "1.0.0"))], "Begin")?;
        let images = json!([stage.named("web"), stage.named("api")]);
        stage.update(&json!({"images": images, "suspend": {"reason": "pushing"}}), &json!({})).await?;
        stage.ready("Suspended", &["pushing"]).await?;
        stage.image("1.1.0").await?;
        stage.image_of("api", "1.1.0").await?;
        stage.stays("main").await?;
        stage.shared.patch("people-one", "imageupdate/web", &json!({"spec": {"suspend": null}})).await?;
        stage.has("main", "all.yaml", &both("1.1.0", "1.1.0")).await?;
        let log = stage.log("main", "%s")?;
        assert_eq!(log.len(), 3, "{log:?}");
        stage.pull("main")?;
        stage.git.commit(&[("all.yaml", &both("1.1.0", "1.0.0"))], "Take the api back")?;
        stage.ready("UpToDate", &["api 1.1.0 was reverted"]).await?;
        stage.stays("main").await?;
        stage.image("1.2.0").await?;
        stage.has("main", "all.yaml", &both("1.2.0", "1.0.0")).await?;
        stage.image_of("api", "1.2.0").await?;
        stage.has("main", "all.yaml", &both("1.2.0", "1.2.0")).await?;
        stage.stays("main").await
    })
}

#[test]
fn what_is_written_by_hand_stays_until_something_newer_comes() -> anyhow::Result<()> {
    run(&[], |shared| async move {
        let stage = Stage::set(shared, "people-hand", &["1.0.0", "1.1.0", "1.2.0"]).await?;
        let write = |tag: &str| {
            stage.pull("main")?;
            stage.git.commit(&[("web.yaml", &stage.line("web", tag))], "By hand")
        };
        write("1.0.0")?;
        stage.update(&json!({}), &json!({})).await?;
        stage.has("main", "web.yaml", ":1.2.0 # {").await?;
        stage.ready("UpToDate", &["web is 1.2.0"]).await?;
        write("1.1.0")?;
        stage.ready("UpToDate", &["1.2.0 was reverted", "(now ", ":1.1.0)"]).await?;
        stage.stays("main").await?;
        // Newer than all that there is: not taken back while downgrades are not allowed.
        write("9.0.0")?;
        stage.ready("UpToDate", &["(now ", ":9.0.0)"]).await?;
        stage.stays("main").await?;
        stage.image("1.3.0").await?;
        stage.stays("main").await?;
        write("1.2.0")?;
        stage.has("main", "web.yaml", ":1.3.0 # {").await?;
        // Written by hand before we are there: that is right, and no decision against anything.
        stage.update(&json!({"interval": "1h"}), &json!({})).await?;
        write("1.4.0")?;
        stage.image("1.4.0").await?;
        stage.ask().await?;
        stage.ready("UpToDate", &["web is 1.4.0"]).await?;
        assert_eq!(stage.says("{.status.images[0].banned}").await?, "");
        stage.stays("main").await
    })
}

#[test]
fn a_branch_that_is_rewritten_by_force_is_followed() -> anyhow::Result<()> {
    run(&[], |shared| async move {
        let stage = Stage::set(shared, "people-force", &["1.0.0"]).await?;
        stage.git.commit(&[("web.yaml", &stage.line("web", "1.0.0"))], "Begin")?;
        stage.update(&json!({}), &json!({})).await?;
        stage.ready("UpToDate", &["web is 1.0.0"]).await?;
        stage.image("1.1.0").await?;
        stage.has("main", "web.yaml", ":1.1.0 # {").await?;
        stage.ready("UpToDate", &["web is 1.1.0"]).await?;
        // The clone never saw our commit: the force push removes it on purpose.
        let rewritten = stage.git.commit(&[("other.yaml", "a: 1\n")], "Rewritten")?;
        stage.ready("UpToDate", &["1.1.0 was reverted"]).await?;
        stage.stays("main").await?;
        stage.image("1.2.0").await?;
        stage.has("main", "web.yaml", ":1.2.0 # {").await?;
        stage.has("main", "other.yaml", "a: 1").await?;
        assert_eq!(stage.log("main", "%H")?[1], rewritten);
        Ok(())
    })
}

#[test]
fn a_branch_that_is_deleted_is_told_and_followed_when_it_is_back() -> anyhow::Result<()> {
    run(&[], |shared| async move {
        let stage = Stage::set(shared, "people-gone", &["1.0.0"]).await?;
        stage.git.commit(&[("web.yaml", &stage.line("web", "1.0.0"))], "Begin")?;
        stage.git.push("release")?;
        stage.update(&json!({"git": {"branch": "release"}}), &json!({})).await?;
        stage.ready("UpToDate", &["web is 1.0.0"]).await?;
        stage.git.git(&["push", "--quiet", "--delete", &stage.git.push_url, "release"])?;
        stage.ready("RefNotFound", &["release"]).await?;
        stage.image("1.1.0").await?;
        tokio::time::sleep(std::time::Duration::from_secs(6)).await;
        assert!(stage.fetch("release").is_err(), "the branch is not made by us");
        stage.git.push("release")?;
        stage.has("release", "web.yaml", ":1.1.0 # {").await?;
        stage.ready("UpToDate", &["web is 1.1.0"]).await?;
        stage.has("main", "web.yaml", ":1.0.0 # {").await
    })
}

#[test]
fn only_what_is_below_the_path_is_edited_even_where_no_sync_reads_it() -> anyhow::Result<()> {
    run(&[], |shared| async move {
        let stage = Stage::set(shared, "people-path", &["1.0.0"]).await?;
        let line = stage.line("web", "1.0.0");
        stage.git.commit(
            &[
                ("in/deep/er/web.yml", &line),
                ("in.yaml", &line),
                ("inside/web.yaml", &line),
                ("in/web.txt", &line),
                ("out/web.yaml", &line),
            ],
            "Begin",
        )?;
        stage.update(&json!({"git": {"path": "./in/"}}), &json!({})).await?;
        stage.ready("UpToDate", &["web is 1.0.0"]).await?;
        let before = stage.log("main", "%H")?;
        stage.image("1.1.0").await?;
        stage.has("main", "in/deep/er/web.yml", ":1.1.0 # {").await?;
        let stat = stage.git.git(&["diff", "--numstat", &format!("{}..FETCH_HEAD", before[0])])?;
        assert_eq!(stat.trim(), "1\t1\tin/deep/er/web.yml");
        let climbs = json!({"targets": [{"file": "../out/web.yaml", "path": "/web"}]});
        stage.update(&json!({"git": {"path": "./in/"}}), &climbs).await?;
        stage.ready("EditRefused", &["../out/web.yaml", "leads out of git.path"]).await?;
        stage.stays("main").await
    })
}
