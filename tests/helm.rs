//! Charts by the real Helm, the newest and Helm 3: what they render to, what they are made of, and what people get wrong.
//! I/O: processes, disk, network.

#[path = "helm/kit.rs"]
mod kit;
#[path = "helm/kustomizations.rs"]
mod kustomizations;
#[path = "helm/limits.rs"]
mod limits;
#[path = "helm/places.rs"]
mod places;

use holdfast::error::{Class, StageError as _};
use holdfast::render::helm::hooks::{Phase, place};
use holdfast::render::helm::{HelmError, Release, Rendered, ValuesPart, merge, volatile};
use holdfast_diff::object::Manifest;
use holdfast_diff::order::Stage;
use holdfast_diff::yaml;
use serde_json::{Value, json};

use kit::{Bench, config_map, helm_by, pack, programs, release, said, text};

/// The objects of a render.
fn manifests(files: &[holdfast::render::File]) -> Vec<Manifest> {
    let mut all = Vec::new();
    for file in files {
        let (found, errors) = yaml::manifests(&file.path, &file.bytes);
        assert!(errors.is_empty(), "{errors:?}");
        all.extend(found);
    }
    all
}

#[tokio::test]
async fn a_chart_renders_to_what_helm_itself_prints() -> anyhow::Result<()> {
    for program in programs()? {
        let bench = Bench::make()?;
        std::fs::create_dir_all(bench.root())?;
        let path = bench.root().join("web").display().to_string();
        helm_by(program, &["create", &path])?;
        let rendered = bench.render(&bench.runner(program), "web", &json!({"replicaCount": 3})).await?;
        let printed =
            helm_by(program, &["template", "web", &path, "--namespace", "shop", "--set", "replicaCount=3"])?;
        let parts = rendered
            .files
            .iter()
            .map(|file| format!("---\n# Source: {}\n{}", file.path, String::from_utf8_lossy(&file.bytes)));
        assert_eq!(parts.collect::<Vec<_>>().concat(), printed);
        assert!(rendered.again.is_none());
        let deployment = manifests(&rendered.files).into_iter().find(|one| one.kind.kind == "Deployment");
        let deployment =
            deployment.map(|one| (one.origin.file.to_string(), one.value["spec"]["replicas"].clone()));
        assert_eq!(deployment, Some(("web/templates/deployment.yaml".to_owned(), json!(3))));
    }
    Ok(())
}

#[tokio::test]
async fn a_chart_knows_its_release_and_the_cluster() -> anyhow::Result<()> {
    let template = "{{ .Release.Name }} {{ .Release.Namespace }} {{ .Capabilities.KubeVersion }} \
                    {{ .Capabilities.APIVersions.Has \"example.com/v1/Queue\" }} \
                    {{ .Capabilities.APIVersions.Has \"example.com/v2\" }}";
    let definition =
        "apiVersion: apiextensions.k8s.io/v1\nkind: CustomResourceDefinition\nmetadata: {name: a}\n";
    for program in programs()? {
        let bench = Bench::make()?;
        let files = [("templates/a.yaml", config_map(template)), ("crds/a.yaml", definition.to_owned())];
        bench.chart("web", "1.0.0", &files.each_ref().map(|(path, text)| (*path, text.as_str())))?;
        let runner = bench.runner(program);
        let chart = bench.folder(&runner, "web").await?;
        assert_eq!((chart.name.as_str(), chart.version.as_str(), &chart.digest), ("web", "1.0.0", &None));
        let mut release = release(&json!({}));
        release.kube_version = Some("v1.31.4".to_owned());
        release.api_versions = vec!["example.com/v1/Queue".to_owned(), "example.com/v1".to_owned()];
        let rendered = runner.template(&chart, &release).await?;
        let paths: Vec<_> = rendered.files.iter().map(|file| file.path.as_str()).collect();
        assert_eq!(paths, ["web/crds/a.yaml", "web/templates/a.yaml"]);
        assert!(text(&rendered).contains("a: web shop v1.31.4 true false"), "{}", text(&rendered));
        release.skip_crds = true;
        assert_eq!(runner.template(&chart, &release).await?.files.len(), 1);
    }
    Ok(())
}

/// Values for which the ways of reading YAML are not the same everywhere.
const LAYERS: [&str; 3] = [
    "a: {x: 1, y: [1, 2], z: {deep: old, gone: 1}}\nnumber: 1000000\nfloat: 1.50\nmode: 0644\non: yes\ndate: 2020-01-01\nexponent: 1e3\nnothing: ~\n",
    "a: {y: [3], z: {deep: new, gone: null}}\nlist: [{a: 1}]\nlarge: 12345678901\ntext: \"1e3\"\n",
    "a: {x: null}\nlist: [{b: 2}]\nchart: null\nempty: {}\n",
];

#[tokio::test]
async fn values_are_merged_as_helm_merges_them() -> anyhow::Result<()> {
    let defaults = "a: {x: 0, w: default}\nchart: {default: 1}\nkept: {default: 1}\n";
    for program in programs()? {
        let bench = Bench::make()?;
        let chart = bench.chart(
            "web",
            "1.0.0",
            &[("values.yaml", defaults), ("templates/a.yaml", "values: {{ toJson .Values }}\n")],
        )?;
        for count in 1..=LAYERS.len() {
            let mut arguments = vec!["template".to_owned(), "web".to_owned(), chart.display().to_string()];
            let mut parts = Vec::new();
            for (at, layer) in LAYERS.iter().take(count).enumerate() {
                let path = bench.write(&format!("layer-{at}.yaml"), layer)?;
                arguments.extend(["-f".to_owned(), path.display().to_string()]);
                parts.push(ValuesPart {
                    name: at.to_string(),
                    text: layer.as_bytes().to_vec(),
                    target_path: None,
                });
            }
            let printed = helm_by(program, &arguments.iter().map(String::as_str).collect::<Vec<_>>())?;
            let ours = bench.render(&bench.runner(program), "web", &merge(&parts, None)?).await?;
            assert_eq!(format!("---\n# Source: web/templates/a.yaml\n{}", text(&ours)), printed);
        }
    }
    Ok(())
}

/// The volatile paths of a chart with these templates, each `kind/name path`.
async fn volatile_of(
    bench: &Bench,
    templates: &[(&str, &str)],
    values: &Value,
) -> anyhow::Result<Vec<String>> {
    bench.chart("web", "1.0.0", templates)?;
    let Rendered { files, again } = bench.render(&bench.runner(&programs()?[0]), "web", values).await?;
    let Some(again) = again else { return Ok(Vec::new()) };
    let found = volatile(&manifests(&files), &manifests(&again))?;
    let line = |object: &str, path: &String| format!("{object} {path}");
    Ok(found.iter().flat_map(|one| one.paths.iter().map(|path| line(&one.object.name, path))).collect())
}

fn secret(name: &str, value: &str) -> String {
    format!(
        "apiVersion: v1\nkind: Secret\nmetadata: {{name: {name}}}\nstringData:\n  fixed: a\n  password: {value}\n"
    )
}

#[tokio::test]
async fn what_renders_differently_each_time_is_named() -> anyhow::Result<()> {
    for (value, expected) in [
        ("{{ randAlphaNum 20 | quote }}", true),
        ("{{ uuidv4 }}", true),
        ("{{ (genCA \"ca\" 365).Cert | b64enc }}", true),
        ("{{ now | quote }}", true),
        ("{{ now | date \"2006\" | quote }}", true),
        ("{{ tpl .Values.template . }}", true),
        ("{{ derivePassword 1 \"long\" \"a\" \"b\" \"c\" }}", false),
        ("{{ (lookup \"v1\" \"Secret\" \"shop\" \"a\").x | default \"none\" }}", false),
        ("{{ keys (dict \"a\" 1) | join \",\" }}", false),
        ("fixed # it changes now and then", false),
    ] {
        let bench = Bench::make()?;
        let values = json!({"template": "{{ now | unixEpoch | quote }}"});
        let found = volatile_of(&bench, &[("templates/a.yaml", &secret("a", value))], &values).await?;
        let all: &[&str] = if expected { &["a /stringData/password"] } else { &[] };
        assert_eq!(found, all, "{value}");
    }
    Ok(())
}

#[tokio::test]
async fn what_follows_from_a_volatile_value_is_named_too() -> anyhow::Result<()> {
    let deployment = "apiVersion: apps/v1\nkind: Deployment\nmetadata: {name: b}\nspec:\n  template:\n    metadata:\n      annotations:\n        checksum/a: {{ include (print .Template.BasePath \"/a.yaml\") . | sha256sum }}\n";
    let bench = Bench::make()?;
    let a = secret("a", "{{ randAlphaNum 9 }}");
    let found =
        volatile_of(&bench, &[("templates/a.yaml", &a), ("templates/b.yaml", deployment)], &json!({}))
            .await?;
    assert_eq!(found, ["a /stringData/password", "b /spec/template/metadata/annotations/checksum~1a"]);
    // A packed chart inside of the chart.
    let bench = Bench::make()?;
    let inner = bench.chart("inner", "1.0.0", &[("templates/a.yaml", &a)])?;
    std::fs::create_dir_all(bench.root().join("web/charts"))?;
    pack(&inner, &bench.root().join("web/charts"))?;
    assert_eq!(volatile_of(&bench, &[], &json!({})).await?, ["a /stringData/password"]);
    Ok(())
}

#[tokio::test]
async fn objects_whose_names_differ_each_time_are_an_error() -> anyhow::Result<()> {
    let bench = Bench::make()?;
    let error =
        volatile_of(&bench, &[("templates/a.yaml", &secret("a-{{ randNumeric 9 }}", "b"))], &json!({})).await;
    let error = error.err().map(|error| error.to_string()).unwrap_or_default();
    assert!(
        error.starts_with("the chart renders objects with different names each time: Secret a-"),
        "{error}"
    );
    Ok(())
}

#[tokio::test]
async fn hooks_of_a_real_render_become_waves() -> anyhow::Result<()> {
    let job = |name: &str, hook: &str| {
        format!(
            "apiVersion: batch/v1\nkind: Job\nmetadata:\n  name: {name}\n  annotations: {{'helm.sh/hook': '{hook}'}}\nspec: {{}}\n"
        )
    };
    let files = [
        ("templates/a.yaml", config_map("b")),
        ("templates/b.yaml", job("migrate", "pre-install,pre-upgrade")),
        ("templates/c.yaml", job("notify", "post-install")),
        ("templates/tests/d.yaml", job("try", "test")),
    ];
    for program in programs()? {
        let bench = Bench::make()?;
        bench.chart("web", "1.0.0", &files.each_ref().map(|(path, text)| (*path, text.as_str())))?;
        let rendered = bench.render(&bench.runner(program), "web", &json!({})).await?;
        let placed = place(manifests(&rendered.files), Phase::Install, "default");
        let mut order: Vec<_> =
            placed.manifests.iter().map(|one| (Stage::of(one).wave, one.name.as_str())).collect();
        order.sort_unstable();
        assert_eq!(order, [(-1, "migrate"), (0, "a"), (1, "notify")]);
        assert_eq!(placed.left_out.len(), 1);
    }
    Ok(())
}

/// What is said of a chart with one template, by every Helm.
async fn refused(template: &str, values: &Value, expected: &str) -> anyhow::Result<()> {
    for program in programs()? {
        let bench = Bench::make()?;
        let files = [
            ("templates/a.yaml", template),
            ("templates/_h.tpl", "{{ define \"h\" }}\n{{ .Values.a.b }}\n{{ end }}"),
            ("values.schema.json", "{\"properties\": {\"replicas\": {\"type\": \"integer\"}}}"),
        ];
        bench.chart("web", "1.0.0", &files)?;
        let error = bench.render(&bench.runner(program), "web", values).await.err();
        assert_eq!(error.as_ref().map(HelmError::class), Some(Class::User));
        let said = error.map(|error| error.to_string()).unwrap_or_default();
        assert_eq!(said, expected, "{}", program.display());
    }
    Ok(())
}

#[tokio::test]
async fn a_template_that_fails_is_named_with_its_line() -> anyhow::Result<()> {
    for (template, expected) in [
        (
            "a: 1\nb: {{ .Values.a.b }}\n",
            "web/templates/a.yaml:2: <.Values.a.b>: nil pointer evaluating interface {}.b",
        ),
        ("a: {{ if }}\n", "web/templates/a.yaml:1: missing value for if"),
        ("\na: {{ nothing 1 }}\n", "web/templates/a.yaml:2: function \"nothing\" not defined"),
        ("a: {{ env \"HOME\" }}\n", "web/templates/a.yaml:1: function \"env\" not defined"),
        ("\n\n{{ fail \"name a host\" }}\n", "web/templates/a.yaml:3: name a host"),
        ("a: {{ required \"host is needed\" .Values.host }}\n", "web/templates/a.yaml:1: host is needed"),
        (
            "a: b\n{{ include \"h\" . }}\n",
            "web/templates/_h.tpl:2: <.Values.a.b>: nil pointer evaluating interface {}.b, called at web/templates/a.yaml:2",
        ),
        (
            "kind: A\nmetadata: {name: a}\ndata:\n\tb: c\n",
            "web/templates/a.yaml:4: what this renders to is not YAML, at that line of it: found character that cannot start any token",
        ),
    ] {
        refused(template, &json!({}), expected).await?;
    }
    refused(
        "a: 1\n",
        &json!({"replicas": "x"}),
        "the chart refuses the values: web: - at '/replicas': got string, want integer; correct them, or set \
         spec.render.helm.skipSchemaValidation to render without its values.schema.json",
    )
    .await
}

#[tokio::test]
async fn a_schema_that_refuses_the_values_can_be_left_out() -> anyhow::Result<()> {
    for program in programs()? {
        let bench = Bench::make()?;
        let files = [
            ("templates/a.yaml", "kind: A\nmetadata: {name: a}\nn: {{ .Values.replicas }}\n"),
            ("values.schema.json", "{\"properties\": {\"replicas\": {\"type\": \"integer\"}}}"),
        ];
        bench.chart("web", "1.0.0", &files)?;
        let runner = bench.runner(program);
        let chart = bench.folder(&runner, "web").await?;
        let release = Release { skip_schema_validation: true, ..release(&json!({"replicas": "x"})) };
        let rendered = runner.template(&chart, &release).await?;
        assert!(text(&rendered).contains("n: x"), "{}", text(&rendered));
    }
    Ok(())
}

#[tokio::test]
async fn a_chart_that_is_none_is_told() -> anyhow::Result<()> {
    for program in programs()? {
        let bench = Bench::make()?;
        let runner = bench.runner(program);
        bench.write("empty/a.yaml", "a: 1")?;
        assert_eq!(
            said(bench.folder(&runner, "empty").await),
            "chart in Git not found at empty; it has no Chart.yaml"
        );
        assert_eq!(said(bench.folder(&runner, "nowhere").await), "chart in Git not found at nowhere");
        bench.write("bad/Chart.yaml", "name: bad\nversion: [")?;
        assert!(
            said(bench.folder(&runner, "bad").await)
                .starts_with("bad/Chart.yaml: line 2: a `[` is never closed")
        );
        bench.write("none/Chart.yaml", "name: none\n")?;
        assert_eq!(said(bench.folder(&runner, "none").await), "none/Chart.yaml: it has no version");
        bench
            .write("library/Chart.yaml", "apiVersion: v2\nname: library\nversion: 1.0.0\ntype: library\n")?;
        let library = bench.render(&runner, "library", &json!({})).await;
        assert_eq!(said(library), "Helm refuses the chart: library charts are not installable");
        bench
            .write("new/Chart.yaml", "apiVersion: v2\nname: new\nversion: 1.0.0\nkubeVersion: '>=1.99'\n")?;
        let chart = bench.folder(&runner, "new").await?;
        let mut old = release(&json!({}));
        old.kube_version = Some("v1.30.2".to_owned());
        assert_eq!(
            said(runner.template(&chart, &old).await),
            "Helm refuses the chart: chart requires kubeVersion: >=1.99 which is incompatible with Kubernetes v1.30.2"
        );
        old.name = "A_B".to_owned();
        assert!(said(runner.template(&chart, &old).await).contains("\"A_B\" is not the name of a release"));
    }
    Ok(())
}
