//! Policies against a real registry: what is taken of its tags, and tags that move. I/O: processes, network.

use holdfast_tests::shared::run;
use serde_json::{Value, json};

use crate::kit::Stage;

/// An image with another policy.
fn image(stage: &Stage, name: &str, policy: Value, pattern: &str, more: &Value) -> Value {
    let mut image = stage.named(name);
    image["policy"] = policy;
    image["filterTags"] = json!({"pattern": pattern});
    holdfast_tests::sync::merge(&mut image, more);
    image
}

async fn push(stage: &Stage, name: &str, tag: &str, created: &str) -> anyhow::Result<String> {
    stage.pusher.push(&format!("{}/{name}", stage.namespace), tag, created, &["linux/amd64"]).await
}

/// Tags of images that are there at first, what is taken of them, a newer tag, and one that is not taken.
const CASES: &[(&str, &[&str], &str, &str, &str)] = &[
    (
        "number",
        &["main-abc-9", "main-def-10", "dev-zzz-99", "main-x-1.5"],
        "main-def-10",
        "main-a-123456789012345678901234",
        "main-zz-11",
    ),
    (
        "time",
        &["r-20240101000000", "r-20250101000000", "r-20269901000000", "latest"],
        "r-20250101000000",
        "r-20250101000001",
        "r-20240601000000",
    ),
    ("letters", &["green", "red", "a.sig", "UPPER"], "green", "blue", "yellow"),
];

#[test]
fn each_policy_takes_what_it_says() -> anyhow::Result<()> {
    run(&[], |shared| async move {
        let stage = Stage::set(shared, "policies", &[]).await?;
        let day = |day: u32| format!("2026-01-{day:02}T00:00:00Z");
        for (name, tags, ..) in CASES {
            for tag in *tags {
                push(&stage, name, tag, &day(1)).await?;
            }
        }
        for (tag, at) in [("z", 2), ("m", 9), ("a", 5)] {
            push(&stage, "created", tag, &day(at)).await?;
        }
        let names = CASES.iter().map(|case| case.0).chain(["created"]);
        let all: String = names.map(|name| stage.line(name, "none")).collect();
        stage.git.commit(&[("all.yaml", &all)], "Begin")?;
        let images = json!([
            image(
                &stage,
                "number",
                json!({"numerical": {}}),
                "^main-[a-z]+-(?P<n>[0-9]+)$",
                &json!({"filterTags": {"extract": "$n"}})
            ),
            image(&stage, "time", json!({"newest": {"group": "at"}}), "^r-(?P<at>[0-9]{14})$", &json!({})),
            image(
                &stage,
                "letters",
                json!({"alphabetical": {"order": "Descending"}}),
                "^[a-z.]+$",
                &json!({})
            ),
            image(&stage, "created", json!({"newest": {}}), "^[a-z]$", &json!({})),
        ]);
        stage.update(&json!({"images": images}), &json!({})).await?;
        let written = |pick: &dyn Fn(usize) -> &'static str, created: &str| {
            let lines = CASES.iter().enumerate().map(|(at, case)| stage.line(case.0, pick(at)));
            lines.chain([stage.line("created", created)]).collect::<String>()
        };
        stage.has("main", "all.yaml", &written(&|at| CASES[at].2, "m")).await?;
        for (name, _, _, newer, other) in CASES {
            push(&stage, name, other, &day(1)).await?;
            push(&stage, name, newer, &day(1)).await?;
        }
        push(&stage, "created", "zz", &day(20)).await?;
        push(&stage, "created", "y", &day(8)).await?;
        push(&stage, "created", "b", &day(10)).await?;
        stage.has("main", "all.yaml", &written(&|at| CASES[at].3, "b")).await?;
        stage.stays("main").await
    })
}

#[test]
fn a_tag_that_moves_is_followed_by_its_digest_where_that_is_wanted() -> anyhow::Result<()> {
    run(&[], |shared| async move {
        let stage = Stage::set(shared, "policies-digest", &[]).await?;
        let moved = async |day: u32| {
            let created = format!("2026-01-{day:02}T00:00:00Z");
            push(&stage, "kept", "latest", &created).await?;
            push(&stage, "web", "latest", &created).await
        };
        let first = moved(1).await?;
        let parts = format!(
            "tag: latest # {{\"$imagepolicy\": \"policies-digest:web:tag\"}}\ndigest: {first} # {{\"$imagepolicy\": \"policies-digest:web:digest\"}}\n"
        );
        let all = stage.line("web", "latest") + &stage.line("kept", "latest");
        stage.git.commit(&[("all.yaml", &all), ("parts.yaml", &parts)], "Begin")?;
        let policy = json!({"alphabetical": {}});
        let images = json!([
            image(&stage, "web", policy.clone(), "^latest$", &json!({"digest": "Always"})),
            image(&stage, "kept", policy, "^latest$", &json!({"digest": "IfNotPresent"})),
        ]);
        stage.update(&json!({"images": images}), &json!({})).await?;
        let web = |digest: &str| stage.line("web", &format!("latest@{digest}"));
        let kept = stage.line("kept", &format!("latest@{first}"));
        stage.has("main", "all.yaml", &(web(&first) + &kept)).await?;
        let second = moved(2).await?;
        stage.has("main", "all.yaml", &(web(&second) + &kept)).await?;
        stage.has("main", "parts.yaml", &second).await?;
        stage.ready("UpToDate", &[]).await?;
        // The digest is taken back, and the next one is taken.
        stage.pull("main")?;
        stage.git.git(&["revert", "--no-edit", "HEAD"])?;
        stage.git.push("main")?;
        stage.ready("UpToDate", &["reverted in all.yaml", "reverted in parts.yaml"]).await?;
        stage.stays("main").await?;
        stage.has("main", "all.yaml", &(web(&first) + &kept)).await?;
        stage.has("main", "parts.yaml", &first).await?;
        let third = moved(3).await?;
        stage.has("main", "all.yaml", &(web(&third) + &kept)).await?;
        stage.has("main", "parts.yaml", &third).await?;
        stage.stays("main").await
    })
}
