//! Where an image may stand: JSON, kustomizations, values of charts, parts by markers, odd YAML. Nothing but the scalars
//! changes. I/O: processes, network.

use holdfast_tests::shared::run;
use holdfast_tests::sync;
use serde_json::{Value, json};

use crate::kit::Stage;

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
        "---\n# nothing here\n---\na: {b: [ {c: 'REPO:TAG@DIGEST'} ]} # {\"$imagepolicy\": \"NS:web\"}\n...\n---\n? x\n: \"REPO:TAG@DIGEST\" # {\"$imagepolicy\": \"NS:web\"}\nkept:   'as'   # it is\n# the end",
    ),
    (
        "helm/values.yaml",
        "# values\nreplicas: 0\nweb:\n    image:\n        repository: REPO   # stays\n        tag: \"TAG\"\n        digest: 'DIGEST'\n",
    ),
    (
        "overlay/kustomization.yaml",
        "resources: [web.yaml]\nimages:\n- name: app # the name\n  newName: REPO\n  newTag: TAG\n  digest: DIGEST\n",
    ),
];

const CHART: &str = "apiVersion: v2\nname: web\nversion: 0.1.0\n";
const TEMPLATE: &str = "apiVersion: apps/v1\nkind: Deployment\nmetadata: {name: chart}\nspec:\n  replicas: {{ .Values.replicas }}\n  selector: {matchLabels: {app: chart}}\n  template:\n    metadata: {labels: {app: chart}}\n    spec: {containers: [{name: web, image: \"{{ .Values.web.image.repository }}:{{ .Values.web.image.tag }}@{{ .Values.web.image.digest }}\"}]}\n";

fn fill(text: &str, stage: &Stage, tag: &str, digest: &str) -> String {
    let text = text.replace("REPO", &stage.repository()).replace("NS", stage.namespace);
    text.replace("TAG", tag).replace("DIGEST", digest)
}

fn targets() -> Value {
    json!({"digest": "Always", "targets": [
        {"file": "values.json", "path": "/image/tag", "part": "Tag"},
        {"file": "./values.json", "path": "/all"},
        {"kustomization": "overlay/kustomization.yaml", "name": "app"},
        {"helmValues": "helm/values.yaml", "path": "/web"},
    ]})
}

#[test]
fn only_the_scalars_change_wherever_an_image_stands() -> anyhow::Result<()> {
    run(&[], |shared| async move {
        let stage = Stage::set(shared, "targets-odd", &["1.0.0"]).await?;
        let deployment = crate::kit::deployment("app", "x:y").replace(" # {\"$imagepolicy\": \"x:y\"}", "");
        let mut files: Vec<(&str, String)> =
            ODD.iter().map(|(file, text)| (*file, fill(text, &stage, "1.0.0", ZERO))).collect();
        files.extend([
            ("overlay/web.yaml", deployment),
            ("helm/Chart.yaml", CHART.to_owned()),
            ("helm/templates/web.yaml", TEMPLATE.to_owned()),
        ]);
        let files: Vec<(&str, &str)> = files.iter().map(|(file, text)| (*file, text.as_str())).collect();
        stage.git.commit(&files, "Begin")?;
        stage.sync(&json!({"path": "overlay"})).await?;
        let chart = sync::sync("targets-odd", "chart", &stage.git.https_url, &json!({"path": "helm"}));
        shared.env.cluster.apply(&chart).await?;
        shared.env.ready("targets-odd", "chart", None).await?;
        let digest = stage.image("2.0").await?;
        stage.update(&json!({}), &targets()).await?;
        stage.ready("UpToDate", &["web is 2.0"]).await?;
        stage.fetch("main")?;
        for (file, text) in ODD {
            let found = stage.git.git(&["show", &format!("FETCH_HEAD:{file}")])?;
            // What would be read as a number is quoted.
            let text = text.replace("newTag: TAG", "newTag: \"TAG\"");
            assert_eq!(found, fill(&text, &stage, "2.0", &digest), "{file}");
        }
        assert_eq!(stage.log("main", "%s")?[0], "Update web to 2.0");
        let image = format!("{}:2.0@{digest}", stage.repository());
        let path = "{.spec.template.spec.containers[0].image}";
        for name in ["web", "chart"] {
            shared.until("targets-odd", &format!("deployment/{name}"), path, &image).await?;
        }
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
        stage.ready("UpToDate", &["1.0.0 was taken back in kustomization.yaml"]).await?;
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
