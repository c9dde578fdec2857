//! The Helm chart in `manifests/chart`, by the real Helm 4 and 3: it installs what the kustomizations install, refuses values
//! that it does not know, and gives valid objects whatever its values are. I/O: processes, network, disk.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use anyhow::{Context as _, ensure};
use holdfast_tests::controlplane::{ControlPlane, Options};
use holdfast_tests::{root, tools};
use serde_json::{Value, json};

/// Files of the chart that are copies, since Helm reads no file outside of a chart.
const COPIES: &[(&str, &str)] = &[
    ("base/crds.yaml", "crds.yaml"),
    ("monitoring/rules.yaml", "rules.yaml"),
    ("monitoring/dashboard.json", "dashboard.json"),
];

/// Labels that Helm's convention adds, and the reason why they may differ: they say who installed an object.
const ADDED: &[&str] = &[
    "app.kubernetes.io/instance",
    "app.kubernetes.io/managed-by",
    "app.kubernetes.io/name",
    "app.kubernetes.io/version",
    "helm.sh/chart",
];

/// Every value that the chart has, each different from its default.
pub const EVERYTHING: &str = include_str!("../data/chart/everything.yaml");

pub fn chart() -> PathBuf {
    root().join("manifests/chart")
}

fn helms() -> anyhow::Result<[PathBuf; 2]> {
    Ok([tools::helm()?, tools::helm3()?])
}

/// Runs Helm with folders of its own.
pub fn helm(program: &Path, arguments: &[&str]) -> anyhow::Result<Output> {
    let home = tempfile::tempdir()?;
    let mut command = Command::new(program);
    command.args(arguments).env("HOME", home.path());
    for variable in ["HELM_CACHE_HOME", "HELM_CONFIG_HOME", "HELM_DATA_HOME"] {
        command.env(variable, home.path());
    }
    Ok(command.output()?)
}

/// Renders the chart, or returns the error.
fn template(program: &Path, arguments: &[&str]) -> anyhow::Result<Result<String, String>> {
    let chart = chart().display().to_string();
    let output = helm(program, &[&["template"], arguments, &[&chart]].concat())?;
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    Ok(if output.status.success() { Ok(text(&output.stdout)) } else { Err(text(&output.stderr)) })
}

pub fn rendered(program: &Path, arguments: &[&str]) -> anyhow::Result<String> {
    template(program, arguments)?.map_err(|error| anyhow::anyhow!("{arguments:?}: {error}"))
}

/// The objects of a stream, by kind, namespace and name.
fn objects(yaml: &str) -> anyhow::Result<BTreeMap<String, Value>> {
    let documents: Vec<Value> = serde_saphyr::from_multiple(yaml)?;
    let mut found = BTreeMap::new();
    for object in documents.into_iter().filter(|document| !document.is_null()) {
        let metadata = &object["metadata"];
        let kind = object["kind"].as_str().context("an object without a kind")?.to_owned();
        // Kustomize does not know that policies belong to no namespace.
        let namespace = metadata["namespace"].as_str().filter(|_| !kind.starts_with("Validating"));
        let name = metadata["name"].as_str().context("an object without a name")?;
        let key = format!("{kind} {}/{name}", namespace.unwrap_or_default());
        ensure!(!found.contains_key(&key), "{key} is there twice");
        found.insert(key, object);
    }
    Ok(found)
}

/// The objects without what says who installed them.
pub fn meaning(yaml: &str) -> anyhow::Result<BTreeMap<String, Value>> {
    let mut all = objects(yaml)?;
    for (key, object) in &mut all {
        if key.starts_with("Validating")
            && let Some(metadata) = object["metadata"].as_object_mut()
        {
            metadata.remove("namespace");
        }
        plain(&mut object["metadata"]);
        if key.starts_with("Deployment") {
            plain(&mut object["spec"]["template"]["metadata"]);
        }
    }
    Ok(all)
}

fn plain(metadata: &mut Value) {
    let Some(metadata) = metadata.as_object_mut() else { return };
    for (field, known) in [("labels", ADDED), ("annotations", &["helm.sh/resource-policy"])] {
        let Some(map) = metadata.get_mut(field).and_then(Value::as_object_mut) else { continue };
        map.retain(|name, _| !known.contains(&name.as_str()));
        if map.is_empty() {
            metadata.remove(field);
        }
    }
}

/// What kubectl renders from a kustomization of these resources and components of `manifests/`.
pub fn kustomized(resources: &[&str], components: &[&str]) -> anyhow::Result<String> {
    let folder = tempfile::tempdir()?;
    let up: PathBuf = folder.path().components().skip(1).map(|_| "..").collect();
    let manifests = root().join("manifests");
    let beside = |name: &&str| up.join(manifests.strip_prefix("/").unwrap_or(&manifests)).join(name);
    let list = |names: &[&str]| names.iter().map(beside).collect::<Vec<PathBuf>>();
    let text = json!({"resources": list(resources), "components": list(components)});
    std::fs::write(folder.path().join("kustomization.yaml"), text.to_string())?;
    let output = Command::new(tools::build()?.kubectl).arg("kustomize").arg(folder.path()).output()?;
    ensure!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    Ok(String::from_utf8(output.stdout)?)
}

#[test]
fn the_chart_has_the_definitions_rules_and_dashboard_of_the_manifests() -> anyhow::Result<()> {
    for (original, copy) in COPIES {
        let (original, copy) = (root().join("manifests").join(original), chart().join("files").join(copy));
        let text = std::fs::read(&original)?;
        if std::env::var_os("UPDATE_CASES").is_some() {
            std::fs::write(&copy, &text)?;
        }
        ensure!(
            std::fs::read(&copy)? == text,
            "{} is stale; run: UPDATE_CASES=1 cargo test -p holdfast-tests --test manifests chart",
            copy.display()
        );
    }
    Ok(())
}

#[test]
fn the_chart_has_the_version_of_the_program_and_of_the_kustomizations() -> anyhow::Result<()> {
    let read = |path: &str| -> anyhow::Result<Value> {
        Ok(serde_saphyr::from_str(&std::fs::read_to_string(root().join("manifests").join(path))?)?)
    };
    let chart = read("chart/Chart.yaml")?;
    for found in [&chart["version"], &chart["appVersion"]] {
        assert_eq!(found, env!("CARGO_PKG_VERSION"), "manifests/chart/Chart.yaml");
    }
    let images = chart["annotations"]["artifacthub.io/images"].as_str().unwrap_or_default();
    assert!(images.contains(concat!("holdfast:", env!("CARGO_PKG_VERSION"))), "{images}");
    for path in ["kustomization.yaml", "tenants/kustomization.yaml"] {
        assert_eq!(read(path)?["images"][0]["newTag"], env!("CARGO_PKG_VERSION"), "manifests/{path}");
    }
    let definitions = objects(&std::fs::read_to_string(root().join("manifests/base/crds.yaml"))?)?;
    let listed: Vec<Value> =
        serde_saphyr::from_str(chart["annotations"]["artifacthub.io/crds"].as_str().unwrap_or_default())?;
    let names: Vec<String> = listed
        .iter()
        .map(|one| format!("CustomResourceDefinition /{}", one["name"].as_str().unwrap_or_default()))
        .collect();
    assert_eq!(names.len(), definitions.len());
    assert!(names.iter().all(|name| definitions.contains_key(name)), "{names:?}");
    Ok(())
}

#[test]
fn the_chart_installs_what_the_kustomizations_install() -> anyhow::Result<()> {
    let auth = json!({"ui": {"enabled": true}, "monitoring": {"serviceMonitor": {"enabled": true},
        "rules": {"enabled": true}, "dashboard": {"enabled": true}, "auth": {"enabled": true}}});
    let cases = [
        (vec!["."], vec![], json!({})),
        (vec!["tenants"], vec![], json!({"rbac": {"mode": "tenants"}})),
        (vec!["tenants"], vec!["aggregate"], json!({"rbac": {"mode": "tenants", "aggregateToAdmin": true}})),
        (vec![".", "monitoring"], vec!["monitoring/auth", "ui"], auth),
    ];
    for (resources, components, values) in cases {
        let mut wanted = meaning(&kustomized(&resources, &components)?)?;
        // Helm makes the namespace of a release, if it is asked to.
        wanted.remove("Namespace /holdfast-system").context("no namespace")?;
        let folder = tempfile::tempdir()?;
        let file = folder.path().join("values.json");
        std::fs::write(&file, values.to_string())?;
        for program in helms()? {
            let file = file.display().to_string();
            let arguments = ["holdfast", "--namespace", "holdfast-system", "--values", &file];
            let found = meaning(&rendered(&program, &arguments)?)?;
            let keys = |map: &BTreeMap<String, Value>| map.keys().cloned().collect::<Vec<_>>();
            assert_eq!(keys(&found), keys(&wanted), "{resources:?} {components:?}");
            for (key, object) in &wanted {
                assert_eq!(&found[key], object, "{key} of {resources:?} {components:?}");
            }
        }
    }
    Ok(())
}

#[test]
fn values_that_are_unknown_wrong_or_contradict_each_other_are_refused() -> anyhow::Result<()> {
    let cases: &[(&[&str], &str)] = &[
        (&["--set", "replica=2"], "replica"),
        (&["--set", "image.tagg=1"], "tagg"),
        (&["--set", "image.repository="], "repository"),
        (&["--set", "image.digest=abc"], "digest"),
        (&["--set", "image=null"], "image"),
        (&["--set", "rbac=null"], "rbac"),
        (&["--set", "serviceAccount=null"], "serviceAccount"),
        (&["--set", "serviceAccount.create=false"], "serviceAccount.name is required"),
        (&["--set-string", "replicas=2"], "replicas"),
        (&["--set-string", "service.port=8080"], "port"),
        (&["--set", "service.port=70000"], "port"),
        (&["--set", "image.tag=2024"], "tag"),
        (&["--set", "podAnnotations.a=1"], "podAnnotations"),
        (&["--set", "nodeSelector.a=true"], "nodeSelector"),
        (&["--set", "extraEnv[0].name=A,extraEnv[0].value=1"], "extraEnv"),
        (&["--set", "extraArgs=--a"], "extraArgs"),
        (&["--set", "extraArgs[0]=agent"], "extraArgs"),
        (&["--set", "rbac.mode=admin"], "mode"),
        (&["--set", "rbac.mode=namespaced"], "rbac.mode namespaced needs rbac.namespaces"),
        (&["--set", "rbac.namespaces={a}"], "rbac.namespaces has no effect in rbac.mode cluster"),
        (&["--set", "rbac.mode=tenants,rbac.namespaces={A}"], "namespaces"),
        (&["--set", "rbac.aggregateToAdmin=true"], "administrator of the cluster"),
        (&["--set", "ui.enabled=true,ui.auth=proxy"], "ui.proxy.from"),
        (&["--set", "ui.enabled=true,ui.auth=none"], "auth"),
        (&["--set", "ingress.enabled=true"], "ingress.hosts"),
        (&["--set", "ingress.enabled=true,ingress.hosts[0].host=a,webhooks.enabled=false"], "leads nowhere"),
        (&["--set", "ingress.hosts={holdfast.example.com}"], "hosts"),
        (&["--set", "httpRoute.enabled=true"], "httpRoute.parentRefs"),
        (&["--set", "monitoring.serviceMonitor.intervall=30s"], "intervall"),
        (&["--set", "monitoring.prometheusRule.enabled=true"], "prometheusRule"),
        (&["--set", "resources.limits.memory=1gb"], "memory"),
        (&["--set", "shards=3"], "shards"),
        (&["--api-versions", "admissionregistration.k8s.io/v1/ValidatingWebhookConfiguration"], "1.30"),
    ];
    for program in helms()? {
        for (arguments, part) in cases {
            let refused = template(&program, &[&["holdfast"], *arguments].concat())?;
            let Err(error) = refused else { anyhow::bail!("{arguments:?} is accepted") };
            assert!(error.contains(part), "{arguments:?}: {error}");
            // An error in a template is a puzzle, a refused value is not.
            assert!(
                !error.contains("nil pointer") && !error.contains("wrong type"),
                "{arguments:?}: {error}"
            );
        }
    }
    Ok(())
}

/// Unusual values, in a namespace with an unusual name. What Helm renders must be what the API server accepts, to the last field.
#[tokio::test(flavor = "multi_thread")]
async fn unusual_values_give_objects_that_the_api_server_accepts_strictly() -> anyhow::Result<()> {
    let cluster = ControlPlane::start(&holdfast_tests::tools().await?, Options::default()).await?;
    cluster.apply(&std::fs::read_to_string(root().join("manifests/base/crds.yaml"))?).await?;
    for namespace in ["123", "team-a", "team-b"] {
        cluster.must(&["create", "namespace", namespace]).await?;
    }
    let folder = tempfile::tempdir()?;
    let everything = folder.path().join("everything.yaml");
    std::fs::write(&everything, EVERYTHING)?;
    let everything = everything.display().to_string();
    let nulls = "replicas=null,resources=null,podSecurityContext=null,securityContext=null,agent=null,podAnnotations=null,\
        livenessProbe=null,cache.sizeLimit=null,networkPolicy.egress=null,service.annotations=null,podDisruptionBudget=null,\
        monitoring.rules=null,commonLabels=null,image.tag=null,nodeSelector=null,tolerations=null,extraArgs=null";
    let digest = format!("image.digest=sha256:{},image.tag=", "0".repeat(64));
    let long = "0a.b-release-name-of-fifty-three-chars-which-is-all-y";
    let cases: &[&[&str]] = &[
        &[long, "--values", &everything],
        &["holdfast", "--set", nulls],
        &["holdfast", "--set", &digest],
        &[
            "web",
            "--set",
            "fullnameOverride=a,nameOverride=b.c,rbac.mode=tenants,rbac.namespaces={team-a,team-b}",
        ],
        &[
            "web",
            "--set",
            "rbac.create=false,crds.install=false,admission.enabled=false,networkPolicy.enabled=false",
        ],
        &[
            "web",
            "--set",
            "serviceAccount.create=false,serviceAccount.name=other,podDisruptionBudget.enabled=true",
        ],
        &["web", "--set", "global.anything=1,resources.limits.cpu=2,resources.requests.memory=104857600"],
    ];
    for program in helms()? {
        for arguments in cases {
            let yaml = rendered(&program, &[*arguments, &["--namespace", "123"]].concat())?;
            let all = objects(&yaml)?;
            // Definitions that this cluster does not have.
            let known = all.values().filter(|object| {
                let version = object["apiVersion"].as_str().unwrap_or_default();
                !version.starts_with("monitoring.coreos.com/")
                    && !version.starts_with("gateway.networking.k8s.io/")
            });
            // kubectl validates the items of a List by itself, and a stream of objects by the API server.
            let list = known.map(ToString::to_string).collect::<Vec<_>>().join("\n---\n");
            let apply = [
                "apply",
                "--server-side",
                "--force-conflicts",
                "--dry-run=server",
                "--validate=strict",
                "-f",
                "-",
            ];
            let output = cluster.kubectl_with(&cluster.kubeconfig(), &apply, &list).await?;
            ensure!(output.status.success(), "{arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
            let deployment =
                all.values().find(|object| object["kind"] == "Deployment").context("no Deployment")?;
            let container = &deployment["spec"]["template"]["spec"]["containers"][0];
            if arguments.contains(&digest.as_str()) {
                assert_eq!(container["image"], format!("holdfast@sha256:{}", "0".repeat(64)));
            }
            if arguments.contains(&nulls) {
                assert_eq!(deployment["spec"]["replicas"], Value::Null);
                assert_eq!(container["resources"], Value::Null);
            }
        }
    }
    Ok(())
}

/// From the kustomization to a release and to another mode, without anything that is deleted and made again; and what is left
/// after the release is gone.
#[tokio::test(flavor = "multi_thread")]
async fn helm_takes_over_from_the_kustomization_upgrades_and_keeps_the_definitions() -> anyhow::Result<()> {
    let cluster = ControlPlane::start(&holdfast_tests::tools().await?, Options::default()).await?;
    let kubeconfig = cluster.kubeconfig().display().to_string();
    let (path, manifests) = (chart().display().to_string(), root().join("manifests").display().to_string());
    cluster.must(&["apply", "--server-side", "-k", &manifests]).await?;
    let uid = ["-n", "holdfast-system", "get", "deployment", "holdfast", "-o", "jsonpath={.metadata.uid}"];
    let before = cluster.must(&uid).await?;
    let [four, three] = helms()?;
    let run = |program: &Path, arguments: &[&str]| -> anyhow::Result<String> {
        let common = ["--kubeconfig", &kubeconfig, "--namespace", "holdfast-system"];
        let output = helm(program, &[arguments, &common].concat())?;
        ensure!(output.status.success(), "{arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
        Ok(String::from_utf8(output.stdout)?)
    };
    let notes = run(&four, &["install", "holdfast", &path, "--take-ownership", "--force-conflicts"])?;
    assert!(notes.contains("for one team"), "{notes}");
    assert_eq!(cluster.must(&uid).await?, before);
    let tenants = "rbac.mode=tenants,rbac.namespaces={default}";
    let notes = run(&three, &["upgrade", "holdfast", &path, "--set", tenants])?;
    assert!(notes.contains("It is bound in: default."), "{notes}");
    assert_eq!(cluster.must(&uid).await?, before);
    let gone = cluster.kubectl(&["get", "clusterrolebinding", "holdfast-cluster-admin"]).await?;
    assert!(!gone.status.success(), "the binding to cluster-admin is left after the change of the mode");
    cluster.must(&["-n", "default", "get", "rolebinding", "holdfast"]).await?;
    run(&three, &["uninstall", "holdfast"])?;
    cluster.must(&["get", "crd", "syncs.holdfast.dev", "repositories.holdfast.dev"]).await?;
    let gone = cluster.kubectl(&["-n", "holdfast-system", "get", "serviceaccount", "holdfast"]).await?;
    assert!(!gone.status.success(), "the ServiceAccount is left");
    Ok(())
}
