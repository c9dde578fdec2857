//! An object with a keep mark of any tool stays, and its container stays too; a plan names what would be deleted with it.
//! I/O: processes, network.

use std::time::Duration;

use anyhow::ensure;
use holdfast_tests::agent::holdfast;
use holdfast_tests::shared::{self, Shared, run};
use holdfast_tests::{eventually, sync};
use serde_json::json;

/// How long what is expected may take on a machine that has a lot to do.
const SOON: Duration = Duration::from_secs(40);

fn marked(name: &str, value: &str, key: &str, mark: &str) -> String {
    format!(
        "apiVersion: v1\nkind: ConfigMap\nmetadata: {{name: {name}, annotations: {{{key}: \"{mark}\"}}}}\ndata: {{key: \"{value}\"}}\n"
    )
}

async fn is_gone(shared: &Shared, namespace: &str, object: &str) -> anyhow::Result<()> {
    eventually(SOON, &format!("{object} to be gone"), || async {
        let found = shared.env.cluster.kubectl(&["-n", namespace, "get", object]).await?;
        Ok(String::from_utf8_lossy(&found.stderr).contains("NotFound"))
    })
    .await
}

const FLUX: &str = "kustomize.toolkit.fluxcd.io";

#[test]
fn the_keep_marks_of_other_tools_are_honoured() -> anyhow::Result<()> {
    run(&[], |shared| async move {
        let marks = [
            ("helm", "helm.sh/resource-policy".to_owned(), "keep"),
            ("argo-prune", "argocd.argoproj.io/sync-options".to_owned(), "Validate=false, Prune=false"),
            ("argo-delete", "argocd.argoproj.io/sync-options".to_owned(), "Delete=false"),
            ("flux", format!("{FLUX}/prune"), "disabled"),
        ];
        let mut files: Vec<(String, String)> = marks
            .iter()
            .flat_map(|(name, key, mark)| {
                let late = format!("{name}-late");
                [
                    (format!("{name}.yaml"), marked(name, "1", key, mark)),
                    (format!("{late}.yaml"), marked(&late, "1", key, mark)),
                ]
            })
            .collect();
        files.push(("a.yaml".to_owned(), shared::config_map("a", "1")));
        files.push(("odd.yaml".to_owned(), marked("odd", "1", "helm.sh/resource-policy", "kept")));
        files.push((
            "typo.yaml".to_owned(),
            marked("typo", "1", "argocd.argoproj.io/sync-options", "Prune=no"),
        ));
        let files: Vec<(&str, &str)> = files.iter().map(|(file, text)| (&**file, &**text)).collect();
        let repository = shared.begin("marks", &files, &json!({"approval": "Never"})).await?;
        let warnings = shared.env.read("marks", "app").await?["status"]["warnings"].to_string();
        for part in
            ["helm.sh/resource-policy: kept is not understood", "odd.yaml:1", "Prune=no is not understood"]
        {
            ensure!(warnings.contains(part), "{warnings}");
        }
        // Some leave git, the others stay until the Sync itself goes.
        let names = ["helm", "argo-prune", "argo-delete", "flux", "a", "odd", "typo"];
        let leave: Vec<String> = names.iter().map(|name| format!("{name}.yaml")).collect();
        let leave: Vec<&str> = leave.iter().map(String::as_str).collect();
        let commit = repository.remove(&leave, "Take them out")?;
        shared.env.ready("marks", "app", Some(&commit)).await?;
        for gone in ["a", "odd", "typo"] {
            is_gone(shared, "marks", &format!("configmap/{gone}")).await?;
        }
        shared.env.cluster.must(&["-n", "marks", "delete", "sync", "app", "--timeout=20s"]).await?;
        for (name, ..) in &marks {
            let late = format!("{name}-late");
            let both = [
                "-n",
                "marks",
                "get",
                "configmap",
                name,
                &late,
                "-o",
                "jsonpath={.items[*].metadata.labels}",
            ];
            let labels = shared.env.cluster.must(&both).await?;
            ensure!(!labels.contains("part-of"), "{labels}");
        }
        Ok(())
    })
}

#[test]
fn what_flux_is_told_to_leave_alone_is_left_alone() -> anyhow::Result<()> {
    run(&[], |shared| async move {
        shared.env.namespace("left").await?;
        let kubectl = &shared.env.cluster;
        for name in ["once", "ignored", "disabled", "merged"] {
            let map = shared::config_map(name, "theirs").replace("\ndata: {", "\ndata: {other: kept, ");
            let applied = kubectl
                .kubectl_with(&kubectl.kubeconfig(), &["-n", "left", "apply", "-f", "-"], &map)
                .await?;
            ensure!(applied.status.success(), "{applied:?}");
        }
        let repository = shared.env.forge.repository("left").await?;
        let ssa = format!("{FLUX}/ssa");
        let files = [
            ("a.yaml", shared::config_map("a", "1")),
            ("once.yaml", marked("once", "git", &ssa, "IfNotPresent")),
            ("new.yaml", marked("new", "git", &ssa, "IfNotPresent")),
            ("ignored.yaml", marked("ignored", "git", &ssa, "Ignore")),
            ("disabled.yaml", marked("disabled", "git", &format!("{FLUX}/reconcile"), "disabled")),
            ("merged.yaml", marked("merged", "git", &ssa, "Merge")),
        ];
        let files: Vec<(&str, &str)> = files.iter().map(|(file, text)| (*file, &**text)).collect();
        repository.commit(&files, "Begin")?;
        kubectl
            .apply(&sync::sync("left", "app", &repository.https_url, &json!({"approval": "Never"})))
            .await?;
        shared.env.ready("left", "app", None).await?;
        for (name, expected) in [
            ("once", "theirs kept"),
            ("ignored", "theirs kept"),
            ("disabled", "theirs kept"),
            ("merged", "git kept"),
            ("new", "git "),
        ] {
            let found =
                shared.jsonpath("left", &format!("configmap/{name}"), "{.data.key} {.data.other}").await?;
            ensure!(found == expected, "{name}: {found}");
        }
        // An object that Git excludes later, and keeps, is kept when it leaves Git.
        let leave = marked("a", "2", &format!("{FLUX}/reconcile"), "disabled");
        let commit = repository.commit(&[("a.yaml", &leave)], "Leave it alone from now on")?;
        shared.env.ready("left", "app", Some(&commit)).await?;
        let commit = repository.remove(&["a.yaml", "disabled.yaml"], "Take it out")?;
        shared.env.ready("left", "app", Some(&commit)).await?;
        let found = shared.jsonpath("left", "configmap/a", "{.data.key}{.metadata.labels}").await?;
        ensure!(found == "1", "{found}");
        kubectl.must(&["-n", "left", "get", "configmap", "disabled"]).await?;
        Ok(())
    })
}

#[test]
fn a_namespace_stays_with_what_is_kept_in_it_and_a_plan_names_what_goes_along() -> anyhow::Result<()> {
    run(&[], |shared| async move {
        let kubectl = &shared.env.cluster;
        let space = |name: &str| format!("apiVersion: v1\nkind: Namespace\nmetadata: {{name: {name}}}\n");
        let map = |namespace: &str, name: &str, more: &str| {
            format!(
                "apiVersion: v1\nkind: ConfigMap\nmetadata: {{name: {name}, namespace: {namespace}{more}}}\n"
            )
        };
        let kept = ", annotations: {holdfast.dev/prune: Disabled}";
        let files = [
            ("kept/space.yaml", space("held-kept")),
            ("kept/map.yaml", map("held-kept", "kept", kept)),
            ("git/space.yaml", space("held-git")),
            ("map.yaml", map("held-git", "wanted", "")),
            ("theirs/space.yaml", space("held-theirs")),
            ("theirs/map.yaml", map("held-theirs", "ours", "")),
            ("foreign/space.yaml", space("held-foreign")),
            ("own.yaml", shared::config_map("own", "1")),
        ];
        let files: Vec<(&str, &str)> = files.iter().map(|(file, text)| (*file, &**text)).collect();
        let repository = shared.begin("held", &files, &json!({"approval": "Never"})).await?;
        // Another user keeps an object in one of them.
        kubectl.must(&["-n", "held-theirs", "create", "configmap", "theirs"]).await?;
        kubectl
            .must(&["-n", "held-theirs", "annotate", "configmap", "theirs", "helm.sh/resource-policy=keep"])
            .await?;
        kubectl.must(&["-n", "held-foreign", "create", "configmap", "foreign"]).await?;
        shared
            .patch("held", "sync/app", &json!({"spec": {"suspend": {"reason": "to look at the plan"}}}))
            .await?;
        let commit = repository.remove(
            &[
                "kept/space.yaml",
                "kept/map.yaml",
                "git/space.yaml",
                "theirs/space.yaml",
                "theirs/map.yaml",
                "foreign/space.yaml",
            ],
            "Take four namespaces out",
        )?;
        let plan = holdfast(&kubectl.kubeconfig(), &["plan", "app", "-n", "held"]).await?;
        let plan =
            format!("{}{}", String::from_utf8_lossy(&plan.stdout), String::from_utf8_lossy(&plan.stderr));
        for part in [
            "ConfigMap held-kept/kept in it is kept (holdfast.dev/prune: Disabled)",
            "ConfigMap held-git/wanted in it is in Git",
            "ConfigMap held-theirs/theirs in it is kept (helm.sh/resource-policy: keep)",
            "deletes everything in it, including objects that this plan does not delete (1 object): ConfigMap held-foreign/foreign",
        ] {
            ensure!(plan.contains(part), "{part}: {plan}");
        }
        shared.patch("held", "sync/app", &json!({"spec": {"suspend": null}})).await?;
        shared.env.ready("held", "app", Some(&commit)).await?;
        is_gone(shared, "held-theirs", "configmap/ours").await?;
        is_gone(shared, "default", "namespace/held-foreign").await?;
        for (namespace, object) in [("held-kept", "kept"), ("held-git", "wanted"), ("held-theirs", "theirs")]
        {
            kubectl.must(&["-n", namespace, "get", "configmap", object]).await?;
            let phase = shared
                .jsonpath("default", &format!("namespace/{namespace}"), "{.status.phase}{.metadata.labels}")
                .await?;
            ensure!(phase.starts_with("Active") && !phase.contains("part-of"), "{phase}");
        }
        // The one that waits says what would go along.
        repository.commit(&[("foreign/space.yaml", &space("held-last"))], "One more")?;
        shared.env.ready("held", "app", None).await?;
        eventually(SOON, "the namespace", || async {
            Ok(kubectl.kubectl(&["-n", "held-last", "create", "configmap", "last"]).await?.status.success())
        })
        .await?;
        shared.patch("held", "sync/app", &json!({"spec": {"approval": "Deletions"}})).await?;
        repository.remove(&["foreign/space.yaml"], "And out again")?;
        let said = shared.env.reason("held", "app", "AwaitingApproval").await?;
        ensure!(said.message.contains("ConfigMap held-last/last"), "{said:?}");
        Ok(())
    })
}

#[test]
fn a_definition_stays_with_what_is_kept_of_its_kind() -> anyhow::Result<()> {
    run(&[], |shared| async move {
        let definition = |plural: &str, kind: &str| {
            format!(
                "apiVersion: apiextensions.k8s.io/v1\nkind: CustomResourceDefinition\nmetadata: {{name: {plural}.keep.example.com}}\n\
                 spec: {{group: keep.example.com, scope: Namespaced, names: {{plural: {plural}, kind: {kind}}}, versions: [{{name: v1, served: true, \
                 storage: true, schema: {{openAPIV3Schema: {{type: object, x-kubernetes-preserve-unknown-fields: true}}}}}}]}}\n"
            )
        };
        let object = |kind: &str, name: &str, more: &str| {
            format!("apiVersion: keep.example.com/v1\nkind: {kind}\nmetadata: {{name: {name}{more}}}\n")
        };
        let files = [
            ("a.yaml", shared::config_map("a", "1")),
            ("kept/definition.yaml", definition("barrels", "Barrel")),
            ("kept/barrel.yaml", object("Barrel", "kept", ", annotations: {helm.sh/resource-policy: keep}")),
            ("gone/definition.yaml", definition("crates", "Crate")),
            ("gone/crate.yaml", object("Crate", "ours", "")),
        ];
        let files: Vec<(&str, &str)> = files.iter().map(|(file, text)| (*file, &**text)).collect();
        let repository = shared.begin("defined", &files, &json!({"approval": "Never"})).await?;
        let kubectl = &shared.env.cluster;
        kubectl.apply(&object("Crate", "foreign", ", namespace: default")).await?;
        shared.patch("defined", "sync/app", &json!({"spec": {"approval": "Irreversible"}})).await?;
        let all = ["kept/definition.yaml", "kept/barrel.yaml", "gone/definition.yaml", "gone/crate.yaml"];
        repository.remove(&all, "Take all out")?;
        let said = shared.env.reason("defined", "app", "AwaitingApproval").await?;
        ensure!(said.message.contains("Crate.keep.example.com default/foreign"), "{said:?}");
        ensure!(!said.message.contains("barrels"), "{said:?}");
        // Data of others waits under every policy, until it is gone.
        shared.patch("defined", "sync/app", &json!({"spec": {"approval": "Never"}})).await?;
        eventually(SOON, "the Sync to wait all the same", || async {
            let sync = shared.env.read("defined", "app").await?;
            let ready = shared.env.condition("defined", "app", "Ready").await?;
            let is_current = sync["status"]["observedGeneration"] == sync["metadata"]["generation"];
            Ok(is_current && ready.reason == "AwaitingApproval" && ready.message.contains("default/foreign"))
        })
        .await?;
        kubectl.must(&["-n", "default", "delete", "crate", "foreign"]).await?;
        shared.env.ready("defined", "app", None).await?;
        is_gone(shared, "default", "crd/crates.keep.example.com").await?;
        kubectl.must(&["-n", "defined", "get", "barrel", "kept"]).await?;
        Ok(())
    })
}

#[test]
fn what_is_kept_outlives_an_owner_that_leaves_git_after_it() -> anyhow::Result<()> {
    run(&[], |shared| async move {
        let namespace = "keep-owner";
        let owner = "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: owner}\n";
        let repository = shared
            .begin(namespace, &[("owner.yaml", owner), ("a.yaml", &shared::config_map("a", "1"))], &json!({}))
            .await?;
        let uid = shared.jsonpath(namespace, "configmap/owner", "{.metadata.uid}").await?;
        let child = format!(
            "apiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: child\n  annotations: {{holdfast.dev/prune: Disabled}}\n  \
             ownerReferences: [{{apiVersion: v1, kind: ConfigMap, name: owner, uid: {uid}}}]\n"
        );
        let commit = repository.commit(&[("child.yaml", &child)], "Add a child")?;
        shared.env.ready(namespace, "app", Some(&commit)).await?;
        for file in ["child.yaml", "owner.yaml"] {
            let commit = repository.remove(&[file], "Remove it")?;
            shared.env.ready(namespace, "app", Some(&commit)).await?;
        }
        is_gone(shared, namespace, "configmap/owner").await?;
        // The garbage collector is at work: another child of the owner is deleted by it.
        let references = "{.metadata.ownerReferences}";
        assert_eq!(shared.jsonpath(namespace, "configmap/child", references).await?, "");
        let other = child.replace("name: child", "name: other");
        let cluster = &shared.env.cluster;
        let made = cluster
            .kubectl_with(&cluster.kubeconfig(), &["-n", namespace, "create", "-f", "-"], &other)
            .await?;
        assert!(made.status.success(), "{made:?}");
        is_gone(shared, namespace, "configmap/other").await?;
        assert_eq!(shared.jsonpath(namespace, "configmap/child", "{.metadata.name}").await?, "child");
        Ok(())
    })
}

#[test]
fn what_is_kept_outlives_an_owner_that_another_client_gave_it() -> anyhow::Result<()> {
    run(&[], |shared| async move {
        let namespace = "keep-given";
        let owner = "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: owner}\n";
        let child = marked("child", "1", "holdfast.dev/prune", "Disabled");
        let files =
            [("owner.yaml", owner), ("child.yaml", &*child), ("a.yaml", &shared::config_map("a", "1"))];
        let repository = shared.begin(namespace, &files, &json!({"approval": "Never"})).await?;
        let uid = shared.jsonpath(namespace, "configmap/owner", "{.metadata.uid}").await?;
        let reference = json!({"apiVersion": "v1", "kind": "ConfigMap", "name": "owner", "uid": uid});
        let patch = json!({"metadata": {"ownerReferences": [reference]}}).to_string();
        let field_manager = ["--field-manager=my-operator", "--type=merge", "-p", &*patch];
        let patch = [&["-n", namespace, "patch", "configmap", "child"][..], &field_manager].concat();
        shared.env.cluster.must(&patch).await?;
        // The child leaves Git first, and is kept; then its owner does, which would take it along.
        for file in ["child.yaml", "owner.yaml"] {
            let commit = repository.remove(&[file], "Remove it")?;
            shared.env.ready(namespace, "app", Some(&commit)).await?;
        }
        for object in ["configmap/owner", "configmap/child"] {
            let found =
                shared.jsonpath(namespace, object, "{.metadata.deletionTimestamp}{.metadata.labels}").await?;
            assert_eq!(found, "", "{object} is kept, and is not a member any more");
        }
        Ok(())
    })
}

#[test]
fn an_object_that_left_git_while_prune_was_off_outlives_its_owner() -> anyhow::Result<()> {
    run(&[], |shared| async move {
        let namespace = "keep-unpruned";
        let owner = "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: owner}\n";
        let files = [("owner.yaml", owner), ("a.yaml", &*shared::config_map("a", "1"))];
        let more = json!({"prune": false, "approval": "Never"});
        let repository = shared.begin(namespace, &files, &more).await?;
        let uid = shared.jsonpath(namespace, "configmap/owner", "{.metadata.uid}").await?;
        let child = format!(
            "apiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: child\n  \
             ownerReferences: [{{apiVersion: v1, kind: ConfigMap, name: owner, uid: {uid}}}]\n"
        );
        let commit = repository.commit(&[("child.yaml", &child)], "Add a child")?;
        shared.env.ready(namespace, "app", Some(&commit)).await?;
        let commit = repository.remove(&["child.yaml"], "Remove it")?;
        shared.env.ready(namespace, "app", Some(&commit)).await?;
        let left = "{.metadata.ownerReferences}{.metadata.labels}";
        assert_eq!(shared.jsonpath(namespace, "configmap/child", left).await?, "");
        shared.patch(namespace, "sync/app", &json!({"spec": {"prune": true}})).await?;
        repository.remove(&["owner.yaml"], "Remove its owner")?;
        is_gone(shared, namespace, "configmap/owner").await?;
        assert_eq!(shared.jsonpath(namespace, "configmap/child", "{.metadata.name}").await?, "child");
        Ok(())
    })
}
