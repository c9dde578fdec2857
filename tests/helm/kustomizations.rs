//! `helmCharts` of kustomizations, by `holdfast render --enable-helm` and by `kubectl kustomize --enable-helm`.
//! I/O: processes, disk, network.

use std::path::Path;
use std::process::Command;

use anyhow::{Context as _, ensure};
use holdfast_tests::{agent, tools};

use super::kit::{Bench, Server, helm, pack};

const TEMPLATES: &[(&str, &str)] = &[
    ("values.yaml", "level: info\nlist: [1, 2]\nmap: {a: x, b: y}\n"),
    ("extra.yaml", "level: extra\n"),
    ("crds/queues.yaml", CRD),
    ("templates/a.yaml", MAP),
    ("templates/hook.yaml", HOOK),
    ("templates/test.yaml", TEST),
];
const CRD: &str = "apiVersion: apiextensions.k8s.io/v1\nkind: CustomResourceDefinition\nmetadata: {name: queues.example.com}\nspec: {group: example.com, scope: Namespaced, names: {kind: Queue, plural: queues}, versions: []}\n";
const MAP: &str = "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: '{{ .Release.Name }}-web', namespace: '{{ .Release.Namespace }}'}\ndata:\n  values: {{ .Values | toJson | quote }}\n  queue: {{ .Capabilities.APIVersions.Has \"example.com/v1/Queue\" | quote }}\n  kube: {{ .Capabilities.KubeVersion | quote }}\n";
const HOOK: &str =
    "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: first, annotations: {helm.sh/hook: pre-install}}\n";
const TEST: &str =
    "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: tested, annotations: {helm.sh/hook: test}}\n";

/// Entries of `helmCharts` for the chart in `charts/web`, without its name. Each with the version of Kubernetes, which Helm
/// otherwise takes from how it was built.
const LOCAL: &[&str] = &[
    "releaseName: shop",
    "releaseName: shop, namespace: team, includeCRDs: true",
    "releaseName: shop, skipHooks: true",
    "releaseName: shop, skipTests: true",
    "nameTemplate: 'made-{{ upper \"x\" | lower }}'",
    "namespace: team",
    "releaseName: shop, apiVersions: [example.com/v1/Queue]",
    "releaseName: shop, valuesFile: prod.yaml",
    "releaseName: shop, valuesFile: prod.yaml, valuesInline: {level: inline, map: {c: z}, list: []}",
    "releaseName: shop, valuesFile: prod.yaml, valuesMerge: merge, valuesInline: {level: inline, map: {c: z}}",
    "releaseName: shop, valuesFile: prod.yaml, valuesMerge: replace, valuesInline: {level: inline, map: {c: z}}",
    "releaseName: shop, valuesMerge: merge, valuesInline: {level: inline, map: {a: z, d: ~}}",
    "releaseName: shop, valuesInline: {map: {a: ~}, list: ~}",
    "releaseName: shop, additionalValuesFiles: [prod.yaml, more.yaml], valuesInline: {level: inline}",
];

#[tokio::test]
async fn charts_in_the_tree_are_rendered_as_kustomize_has_them_rendered() -> anyhow::Result<()> {
    let bench = Bench::make()?;
    bench.chart("app/charts/web", "1.0.0", TEMPLATES)?;
    bench.write("app/prod.yaml", "level: prod\nmap: {b: prod}\n")?;
    bench.write("app/more.yaml", "level: more\nmap: {e: more}\n")?;
    for entry in LOCAL {
        let charts = format!("helmCharts: [{{name: web, kubeVersion: v1.30.0, {entry}}}]");
        same(&bench, &charts).await.context(*entry)?;
    }
    let around = "namePrefix: a-\nnamespace: other\ncommonAnnotations: {x: z}\npatches: [{target: {kind: ConfigMap, name: shop-web}, patch: '- {op: add, path: /data/z, value: z}'}]\nconfigMapGenerator: [{name: g, literals: [a=b]}]";
    same(&bench, &format!("{around}\nhelmCharts: [{{name: web, kubeVersion: v1.30.0, releaseName: shop}}]"))
        .await?;
    let home = "helmGlobals: {chartHome: ../other}\nhelmCharts: [{name: web, kubeVersion: v1.30.0, releaseName: shop}]";
    bench.chart("other/web", "2.0.0", TEMPLATES)?;
    same(&bench, home).await
}

#[tokio::test]
async fn charts_of_a_repository_are_rendered_as_kustomize_has_them_rendered() -> anyhow::Result<()> {
    let bench = Bench::make()?;
    let published = bench.root().join("published");
    std::fs::create_dir_all(&published)?;
    for version in ["1.0.0", "1.1.0", "2.0.0-rc.1"] {
        pack(&bench.chart("sources/web", version, TEMPLATES)?, &published)?;
    }
    helm(&["repo", "index", &published.display().to_string()])?;
    let server = Server::start(&published, None).await?;
    for version in [
        "version: 1.0.0",
        "version: 2.0.0-rc.1",
        "releaseName: x",
        "devel: true",
        "valuesInline: {map: {b: z}}",
    ] {
        let charts =
            format!("helmCharts: [{{name: web, repo: '{}', kubeVersion: v1.30.0, {version}}}]", server.url);
        same(&bench, &charts).await.context(version)?;
        // What kustomize has fetched stays in the folder, and hides other versions.
        std::fs::remove_dir_all(bench.root().join("app/charts"))?;
    }
    Ok(())
}

/// Renders the kustomization by both programs.
async fn same(bench: &Bench, kustomization: &str) -> anyhow::Result<()> {
    let file = bench.write("app/kustomization.yaml", kustomization)?;
    bench.write(".git/HEAD", "")?;
    let folder = file.parent().context("a file has a folder")?.display().to_string();
    let (kubectl, helm) = (tools::build()?.kubectl, tools::helm3()?);
    let helm = helm.display().to_string();
    let ours = ["render", &folder, "--enable-helm", "--helm", &helm];
    let ours = agent::holdfast(Path::new("/dev/null"), &ours).await?;
    let restrictions = ["kustomize", "--enable-helm", "--load-restrictor=LoadRestrictionsNone"];
    let mut original = Command::new(kubectl);
    original.args(restrictions).args(["--helm-command", &helm, &folder]);
    let original = tokio::task::spawn_blocking(move || original.output()).await??;
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    ensure!(original.status.success(), "kubectl: {}", text(&original.stderr));
    ensure!(ours.status.success(), "{}", text(&ours.stderr));
    let (ours, original) = (text(&ours.stdout), text(&original.stdout));
    ensure!(ours == original, "ours:\n{ours}\nkustomize:\n{original}");
    Ok(())
}
