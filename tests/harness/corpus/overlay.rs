//! The overlays of an application, and the components that they share. Pure.

use std::fmt::Write as _;

use super::{App, Base};
use crate::random::Random;

/// The folders that are built, and how their objects are called.
const ENVIRONMENTS: [(&str, &str); 3] = [("dev", "dev-"), ("staging", "stg-"), ("prod", "")];

/// A sidecar, and a label with the name of what is around it.
const TRACING: &str = "apiVersion: kustomize.config.k8s.io/v1alpha1
kind: Component
configMapGenerator:
- name: tracing
  literals: [endpoint=http://tempo:4317]
patches:
- target:
    kind: Deployment
    labelSelector: tier=backend
  patch: |-
    - op: add
      path: /spec/template/spec/containers/-
      value:
        name: tracing
        image: otel/collector:0.100.0
        envFrom:
        - configMapRef:
            name: tracing
";

/// Something about every pod, laid over by a strategic merge.
const HARDENED: &str = "apiVersion: kustomize.config.k8s.io/v1alpha1
kind: Component
labels:
- pairs: {security: hardened}
patches:
- target: {kind: Deployment}
  patch: |-
    apiVersion: apps/v1
    kind: Deployment
    metadata:
      name: any
    spec:
      template:
        spec:
          containers:
          - name: main
            securityContext:
              readOnlyRootFilesystem: true
              capabilities: {drop: [ALL]}
";

/// Adds the overlays and components to an application.
pub(super) fn add(app: &mut App, root: &str, base: &Base, random: &mut Random) {
    for (name, text) in [("tracing", TRACING), ("hardened", HARDENED)] {
        app.files.push((format!("{root}/components/{name}/kustomization.yaml"), text.to_owned()));
    }
    for (environment, prefix) in ENVIRONMENTS {
        let folder = format!("{root}/overlays/{environment}");
        let mut files = vec![("resources.yaml", resources(environment, base, random))];
        let mut text = format!(
            "apiVersion: kustomize.config.k8s.io/v1beta1\nkind: Kustomization\nnamespace: shop-{environment}\nresources:\n- \
             ../../base\n"
        );
        if random.one_in(4) && !prefix.is_empty() {
            let _ = writeln!(text, "namePrefix: {prefix}");
        }
        if environment == "prod" {
            text += "- quota.yaml\ncomponents:\n- ../../components/hardened\n";
            files.push(("quota.yaml", QUOTA.to_owned()));
            if random.one_in(2) {
                text += "- ../../components/tracing\n";
            }
        }
        text += &images(random);
        text += &replicas(base, random);
        text += "patches:\n- path: resources.yaml\n";
        text += &inline(base, random);
        if random.one_in(2) {
            let _ = write!(
                text,
                "configMapGenerator:\n- name: settings\n  behavior: merge\n  literals:\n  - LOG_LEVEL=debug\n  - ENVIRONMENT=\
                 {environment}\n"
            );
        }
        if random.one_in(3) {
            let _ = write!(text, "commonAnnotations:\n  team: shop\n  stage: {environment}\n");
        }
        if random.one_in(8) {
            text += REPLACEMENTS;
        }
        files.push(("kustomization.yaml", text));
        app.files.extend(files.into_iter().map(|(name, text)| (format!("{folder}/{name}"), text)));
        app.overlays.push(folder);
    }
}

const QUOTA: &str = "apiVersion: v1
kind: ResourceQuota
metadata:
  name: quota
spec:
  hard:
    requests.cpu: \"40\"
    pods: \"100\"
";

/// The name of the Service goes into a variable.
const REPLACEMENTS: &str = "replacements:
- source:
    kind: ServiceAccount
    name: web
    fieldPath: metadata.name
  targets:
  - select:
      kind: Deployment
      name: web
    fieldPaths:
    - spec.template.spec.containers.[name=main].env.[name=OPTION_0].value
";

/// A patch in a file: resources and variables of some Deployments.
fn resources(environment: &str, base: &Base, random: &mut Random) -> String {
    let mut patches = Vec::new();
    for name in base.deployments.iter().filter(|name| *name == "web" || random.one_in(3)) {
        let memory = [256, 512, 1024, 2048].get(environment.len() % 4).copied().unwrap_or(256);
        patches.push(format!(
            "apiVersion: apps/v1\nkind: Deployment\nmetadata:\n  name: {name}\nspec:\n  template:\n    spec:\n      containers:\n      \
             - name: main\n        resources:\n          limits:\n            memory: {memory}Mi\n        env:\n        - name: OPTION_0\n          \
             value: {environment}\n        - name: ENVIRONMENT\n          value: {environment}\n"
        ));
    }
    patches.join("---\n")
}

fn images(random: &mut Random) -> String {
    let (major, minor) = (random.between(1, 9), random.between(0, 40));
    let moved = if random.one_in(3) { "  newName: mirror.example.com/team/api\n" } else { "" };
    format!("images:\n- name: registry.example.com/team/api\n{moved}  newTag: {major}.{minor}.0\n")
}

fn replicas(base: &Base, random: &mut Random) -> String {
    match random.pick(&base.deployments) {
        Some(name) if random.one_in(2) => {
            format!("replicas:\n- name: {name}\n  count: {}\n", random.between(1, 9))
        }
        _ => String::new(),
    }
}

/// Patches in the kustomization itself.
fn inline(base: &Base, random: &mut Random) -> String {
    let mut text = String::new();
    if let Some(name) = random.pick(&base.deployments) {
        let _ = write!(
            text,
            "- target:\n    kind: Deployment\n    name: {name}\n  patch: |-\n    - op: replace\n      path: \
             /spec/revisionHistoryLimit\n      value: {}\n    - op: add\n      path: \
             /spec/template/metadata/annotations/config.example.com~1version\n      value: \"2\"\n",
            random.between(1, 9)
        );
    }
    if random.one_in(3) {
        text += "- target:\n    kind: Service\n  patch: |-\n    - op: add\n      path: /metadata/annotations\n      value: {mesh: \
                 enabled}\n";
    }
    text
}
