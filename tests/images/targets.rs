//! Where an image may stand: JSON, kustomizations, values of charts, parts by markers, odd YAML. Nothing but the scalars
//! changes. I/O: processes, network.

use holdfast_tests::shared::run;
use holdfast_tests::tools;
use serde_json::{Value, json};

use crate::kit::{Stage, apart};

const ZERO: &str = "sha256:0000000000000000000000000000000000000000000000000000000000000000";

/// Files by name, of which REPO, TAG, DIGEST and NS are filled in.
const ODD: &[(&str, &str)] = &[
    (
        "values.json",
        "{\r\n\t\"image\" : {\"tag\":\"TAG\", \"x\": [1,2 ]},\r\n  \"all\": \"REPO:TAG@DIGEST\"}",
    ),
    (
        "parts.yaml",
        "\u{feff}# parts\r\nname:   'REPO' # {\"$imagepolicy\": \"NS:web:name\"}\r\ntag: \"TAG\"   # {\"$imagepolicy\": \"NS:web:tag\"}\r\ndigest: 'DIGEST' # {\"$imagepolicy\": \"NS:web:digest\"}\r\n",
    ),
    (
        "odd.yml",
        "---\n# nothing here\n---\na:\n- {b: 1}\n-   c:   'REPO:TAG@DIGEST'   # {\"$imagepolicy\": \"NS:web\"}\n...\n---\n? x\n: \"REPO:TAG@DIGEST\" # {\"$imagepolicy\": \"NS:web\"}\nkept:   'as'   # it is\n# the end",
    ),
    (
        "helm/values.yaml",
        "# values\nreplicas: 0\nweb:\n    image:\n        repository: REPO   # stays\n        tag: \"TAG\"\n        digest: 'DIGEST'\n",
    ),
    (
        "overlay/kustomization.yaml",
        "resources: [web.yaml]\nimages:\n- name: app # the name\n  newName: REPO\n  newTag: \"TAG\"\n  digest: DIGEST\n",
    ),
];

const CHART: &str = "apiVersion: v2\nname: web\nversion: 0.1.0\n";
const TEMPLATE: &str = "apiVersion: apps/v1\nkind: Deployment\nmetadata: {name: chart}\nspec:\n  replicas: {{ .Values.replicas }}\n  selector: {matchLabels: {app: chart}}\n  template:\n    metadata: {labels: {app: chart}}\n    spec: {containers: [{name: web, image: \"{{ .Values.web.image.repository }}:{{ .Values.web.image.tag }}\"}]}\n";

fn fill(text: &str, stage: &Stage, tag: &str, digest: &str) -> String {
    let text = text.replace("REPO", &stage.repository()).replace("NS", stage.namespace);
    text.replace("TAG", tag).replace("DIGEST", digest)
}

fn targets() -> Value {
    json!({"digest": "Always", "policy": {"semver": null, "numerical": {}}, "targets": [
        {"file": "values.json", "path": "/image/tag", "part": "Tag"},
        {"file": "./values.json", "path": "/all"},
        {"kustomization": "overlay/kustomization.yaml", "name": "app"},
        {"helmValues": "helm/values.yaml", "path": "/web"},
    ]})
}

#[test]
fn only_the_scalars_change_wherever_an_image_stands() -> anyhow::Result<()> {
    run(&[], |shared| async move {
        let stage = Stage::set(shared, "targets-odd", &["10"]).await?;
        let deployment = crate::kit::deployment("app", "x:y").replace(" # {\"$imagepolicy\": \"x:y\"}", "");
        let mut files: Vec<(&str, String)> =
            ODD.iter().map(|(file, text)| (*file, fill(text, &stage, "10", ZERO))).collect();
        files.push(("overlay/web.yaml", deployment));
        let files: Vec<(&str, &str)> = files.iter().map(|(file, text)| (*file, text.as_str())).collect();
        stage.git.commit(&files, "Begin")?;
        stage.sync(&json!({"path": "overlay"})).await?;
        let digest = stage.image("20").await?;
        stage.update(&json!({}), &targets()).await?;
        stage.ready("UpToDate", &["web is 20"]).await?;
        stage.fetch("main")?;
        for (file, text) in ODD {
            let found = stage.git.git(&["show", &format!("FETCH_HEAD:{file}")])?;
            assert_eq!(found, fill(text, &stage, "20", &digest), "{file}");
        }
        assert!(stage.log("main", "%s")?[0].starts_with("Update web to 20@sha256:"));
        let image = format!("{}:20@{digest}", stage.repository());
        let path = "{.spec.template.spec.containers[0].image}";
        shared.until("targets-odd", "deployment/web", path, &image).await?;
        // What is taken back there stays so, too.
        stage.pull("main")?;
        stage.git.git(&["revert", "--no-edit", "HEAD"])?;
        stage.git.push("main")?;
        let files =
            ["values.json", "parts.yaml", "odd.yml", "helm/values.yaml", "overlay/kustomization.yaml"];
        stage.ready("UpToDate", &files.map(|file| file)).await?;
        stage.stays("main").await
    })
}

#[tokio::test(flavor = "multi_thread")]
async fn a_chart_of_the_repository_is_proven_and_rolled_out() -> anyhow::Result<()> {
    let helm = tokio::task::spawn_blocking(tools::helm).await??;
    let shared = apart(&["--helm", &helm.display().to_string()]).await?;
    let stage = Stage::set(shared, "targets-chart", &["10"]).await?;
    let values =
        format!("replicas: 0\nweb:\n  image: {{repository: {}, tag: v}} # ours\n", stage.repository());
    let files = [("Chart.yaml", CHART), ("templates/web.yaml", TEMPLATE), ("values.yaml", &values)];
    stage.git.commit(&files, "Begin")?;
    stage.sync(&json!({})).await?;
    stage.update(&json!({}), &json!({"policy": {"semver": null, "numerical": {}}, "targets": [{"helmValues": "values.yaml", "path": "/web"}]})).await?;
    stage.has("main", "values.yaml", &values.replace("tag: v", "tag: \"10\"")).await?;
    stage.image("20").await?;
    stage.has("main", "values.yaml", &values.replace("tag: v", "tag: \"20\"")).await?;
    let image = format!("{}:20", stage.repository());
    let path = "{.spec.template.spec.containers[0].image}";
    shared.until("targets-chart", "deployment/chart", path, &image).await?;
    let message = stage.git.git(&["log", "-1", "--format=%B", "FETCH_HEAD"])?;
    assert!(message.contains("Deployment.apps chart (targets-chart/app)"), "{message}");
    Ok(())
}

#[test]
fn a_new_tag_is_added_to_a_kustomization_that_has_none() -> anyhow::Result<()> {
    run(&[], |shared| async move {
        let stage = Stage::set(shared, "targets-add", &["1.0.0"]).await?;
        let repository = stage.repository();
        let before = format!(
            "resources: []\nimages:\n  - name: {repository}   # ours\n\n  - name: other\n    newTag: x\n"
        );
        stage.git.commit(&[("kustomization.yaml", &before)], "Begin")?;
        stage.update(&json!({}), &json!({"targets": [{"kustomization": "kustomization.yaml"}]})).await?;
        stage.has("main", "kustomization.yaml", "newTag: 1.0.0").await?;
        let found = stage.git.git(&["show", "FETCH_HEAD:kustomization.yaml"])?;
        assert_eq!(found, before.replace("# ours\n", "# ours\n    newTag: 1.0.0\n"));
        stage.ready("UpToDate", &["web is 1.0.0"]).await?;
        // Removed by hand, it is not added again, until there is something newer.
        stage.pull("main")?;
        stage.git.commit(&[("kustomization.yaml", &before)], "Not like this")?;
        stage.ready("UpToDate", &["1.0.0 was reverted in kustomization.yaml"]).await?;
        stage.stays("main").await?;
        stage.image("1.1.0").await?;
        stage.has("main", "kustomization.yaml", "newTag: 1.1.0").await
    })
}

#[test]
fn a_target_that_does_not_fit_is_told_and_the_rest_goes_on() -> anyhow::Result<()> {
    run(&[], |shared| async move {
        let stage = Stage::set(shared, "targets-wrong", &["1.1.0"]).await?;
        std::os::unix::fs::symlink("real.yaml", stage.git.clone.join("link.yaml"))?;
        let line = stage.line("web", "1.0.0");
        let real = format!("image: {}:1.0.0\n", stage.repository());
        stage.git.commit(
            &[
                ("web.yaml", line.as_str()),
                ("real.yaml", &real),
                ("values.yaml", "a: {}\n"),
                ("kustomization.yaml", "images: []\n"),
                ("broken.json", "{\"a\": \n"),
            ],
            "Begin",
        )?;
        let targets = json!({"targets": [
            {"file": "none.yaml", "path": "/a"},
            {"file": "link.yaml", "path": "/image"},
            {"file": "broken.json", "path": "/a"},
            {"helmValues": "values.yaml"},
            {"kustomization": "kustomization.yaml"},
        ]});
        stage.update(&json!({}), &targets).await?;
        let parts =
            ["none.yaml", "link.yaml", "real.yaml", "broken.json:", "values.yaml:1", "kustomization.yaml:1"];
        stage.ready("EditRefused", &parts).await?;
        stage.has("main", "web.yaml", ":1.1.0 # {").await?;
        let stat = stage.git.git(&["diff", "--numstat", "FETCH_HEAD~1..FETCH_HEAD"])?;
        assert_eq!(stat.trim(), "1\t1\tweb.yaml");
        stage.stays("main").await
    })
}
