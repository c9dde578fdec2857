//! Fields that cannot be changed, of many kinds: a replacement is proposed, or made where git allows it, and it is said where
//! the API server cannot tell beforehand whether it would accept one.

use std::collections::BTreeMap;

use holdfast_tests::agent::holdfast;
use holdfast_tests::eventually;
use holdfast_tests::shared::{SOON, Shared, run};
use serde_json::{Value, json};

/// Objects in two forms, of which the second cannot be made of the first. `@` stands for the annotations.
const OBJECTS: &[(&str, &str, &str, &str)] = &[
    (
        "rolebinding/binding",
        "apiVersion: rbac.authorization.k8s.io/v1\nkind: RoleBinding\nmetadata: {name: binding@}\nsubjects: [{kind: User, name: a, apiGroup: rbac.authorization.k8s.io}]\nroleRef: {apiGroup: rbac.authorization.k8s.io, kind: ClusterRole, name: &}\n",
        "view",
        "edit",
    ),
    (
        "service/headless",
        "apiVersion: v1\nkind: Service\nmetadata: {name: headless@}\nspec: {&selector: {app: a}, ports: [{port: 80}]}\n",
        "",
        "clusterIP: None, ",
    ),
    (
        "service/class",
        "apiVersion: v1\nkind: Service\nmetadata: {name: class@}\nspec: {type: LoadBalancer, loadBalancerClass: example.com/&, ports: [{port: 80, nodePort: 30777}]}\n",
        "a",
        "b",
    ),
    (
        "pod/bare",
        "apiVersion: v1\nkind: Pod\nmetadata: {name: bare@}\nspec: {containers: [{name: a, image: \"a:1\", args: [\"&\"]}]}\n",
        "1",
        "2",
    ),
    (
        "job/once",
        "apiVersion: batch/v1\nkind: Job\nmetadata: {name: once@}\nspec: {template: {spec: {restartPolicy: Never, containers: [{name: a, image: \"a:&\"}]}}}\n",
        "1",
        "2",
    ),
    (
        "persistentvolumeclaim/claim",
        "apiVersion: v1\nkind: PersistentVolumeClaim\nmetadata: {name: claim@}\nspec: {storageClassName: none, accessModes: [&], resources: {requests: {storage: 1Gi}}}\n",
        "ReadWriteOnce",
        "ReadWriteMany",
    ),
    (
        "statefulset/set",
        "apiVersion: apps/v1\nkind: StatefulSet\nmetadata: {name: set@}\nspec: {serviceName: &, replicas: 0, selector: {matchLabels: {app: s}}, template: {metadata: {labels: {app: s}}, spec: {containers: [{name: a, image: \"a:1\", resources: {requests: {cpu: 1000m}}}]}}}\n",
        "a",
        "b",
    ),
    (
        "deployment/selector",
        "apiVersion: apps/v1\nkind: Deployment\nmetadata: {name: selector@}\nspec: {replicas: 0, selector: {matchLabels: {app: &}}, template: {metadata: {labels: {app: &}}, spec: {containers: [{name: a, image: \"a:1\"}]}}}\n",
        "a",
        "b",
    ),
    (
        "configmap/fixed",
        "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: fixed@}\nimmutable: true\ndata: {a: \"&\"}\n",
        "1",
        "2",
    ),
    (
        "secret/typed",
        "apiVersion: v1\nkind: Secret\nmetadata: {name: typed@}\ntype: example.com/&\nstringData: {a: b}\n",
        "a",
        "b",
    ),
    (
        "secret/fixed",
        "apiVersion: v1\nkind: Secret\nmetadata: {name: fixed@}\nimmutable: true\nstringData: {a: \"&\"}\n",
        "1",
        "2",
    ),
    (
        "endpointslice/slice",
        "apiVersion: discovery.k8s.io/v1\nkind: EndpointSlice\nmetadata: {name: slice@}\naddressType: &\nendpoints: []\nports: []\n",
        "IPv4",
        "IPv6",
    ),
    (
        "storageclass/replaced",
        "apiVersion: storage.k8s.io/v1\nkind: StorageClass\nmetadata: {name: replaced@}\nprovisioner: example.com/&\n",
        "a",
        "b",
    ),
    (
        "ingressclass/replaced",
        "apiVersion: networking.k8s.io/v1\nkind: IngressClass\nmetadata: {name: replaced@}\nspec: {controller: example.com/&}\n",
        "a",
        "b",
    ),
    (
        "priorityclass/replaced",
        "apiVersion: scheduling.k8s.io/v1\nkind: PriorityClass\nmetadata: {name: replaced@}\nvalue: &\n",
        "10",
        "20",
    ),
    (
        "runtimeclass/replaced",
        "apiVersion: node.k8s.io/v1\nkind: RuntimeClass\nmetadata: {name: replaced@}\nhandler: &\n",
        "a",
        "b",
    ),
    // Fields that leave git, and whose defaults are other values.
    (
        "priorityclass/left",
        "apiVersion: scheduling.k8s.io/v1\nkind: PriorityClass\nmetadata: {name: left@}\nvalue: 10\n&",
        "preemptionPolicy: Never\n",
        "",
    ),
    (
        "storageclass/left",
        "apiVersion: storage.k8s.io/v1\nkind: StorageClass\nmetadata: {name: left@}\nprovisioner: example.com/a\n&",
        "reclaimPolicy: Retain\nvolumeBindingMode: WaitForFirstConsumer\n",
        "",
    ),
    (
        "job/indexed",
        "apiVersion: batch/v1\nkind: Job\nmetadata: {name: indexed@}\nspec: {&template: {spec: {restartPolicy: Never, containers: [{name: a, image: \"a:1\"}]}}}\n",
        "completionMode: Indexed, completions: 1, ",
        "",
    ),
    (
        "fixtures.verdicts.example.com/own",
        "apiVersion: verdicts.example.com/v1\nkind: Fixture\nmetadata: {name: own@}\nspec: {size: &}\n",
        "1",
        "2",
    ),
];

/// A kind with a transition rule that has its own words.
const FIXTURES: &str = "apiVersion: apiextensions.k8s.io/v1\nkind: CustomResourceDefinition\nmetadata: {name: fixtures.verdicts.example.com}\n\
    spec:\n  group: verdicts.example.com\n  scope: Namespaced\n  names: {kind: Fixture, plural: fixtures, singular: fixture}\n  versions:\n  - name: v1\n    served: true\n    storage: true\n    \
    schema:\n      openAPIV3Schema:\n        type: object\n        properties:\n          spec:\n            type: object\n            properties:\n              \
    size: {type: integer, x-kubernetes-validations: [{rule: self == oldSelf, message: the size stays as it is}]}\n";

fn files(second: bool, annotated: bool) -> Vec<(String, String)> {
    let form = |&(name, text, one, two): &(&str, &'static str, &'static str, &'static str)| {
        let annotation = if annotated { ", annotations: {holdfast.dev/recreate: Allowed}" } else { "" };
        let text = text.replace('@', annotation).replace('&', if second { two } else { one });
        (format!("{}.yaml", name.replace('/', "-")), text)
    };
    OBJECTS.iter().map(form).collect()
}

fn borrowed(files: &[(String, String)]) -> Vec<(&str, &str)> {
    files.iter().map(|(name, text)| (&**name, &**text)).collect()
}

async fn uids(shared: &Shared, namespace: &str) -> anyhow::Result<BTreeMap<&'static str, String>> {
    let mut found = BTreeMap::new();
    for (name, ..) in OBJECTS {
        found.insert(*name, shared.jsonpath(namespace, name, "{.metadata.uid}").await?);
    }
    Ok(found)
}

async fn plan(shared: &Shared, namespace: &str) -> anyhow::Result<Value> {
    let kubeconfig = shared.env.cluster.kubeconfig();
    let planned = holdfast(&kubeconfig, &["plan", "-n", namespace, "app", "-o", "json"]).await?;
    Ok(serde_json::from_slice(&planned.stdout)?)
}

/// Waits for an approval, and says why.
async fn awaiting(shared: &Shared, namespace: &str, part: &str) -> anyhow::Result<String> {
    eventually(SOON, &format!("AwaitingApproval to say {part}"), || async {
        let said = shared.env.condition(namespace, "app", "AwaitingApproval").await?;
        let ready = shared.env.condition(namespace, "app", "Ready").await?;
        if said.status != "True" || !said.message.contains(part) {
            anyhow::bail!("{said:?} {ready:?}");
        }
        Ok(true)
    })
    .await?;
    Ok(shared.env.condition(namespace, "app", "AwaitingApproval").await?.message)
}

#[test]
fn what_cannot_be_changed_is_replaced_whatever_its_kind() -> anyhow::Result<()> {
    run(&[], |shared| async move {
        let namespace = "replaced";
        shared.env.cluster.apply(FIXTURES).await?;
        let calm = json!({"health": {"wait": false}});
        let repository = shared.begin(namespace, &borrowed(&files(false, false)), &calm).await?;
        let before = uids(shared, namespace).await?;
        repository.commit(&borrowed(&files(true, false)), "Change what cannot change")?;
        awaiting(shared, namespace, "recreate ").await?;
        let planned = plan(shared, namespace).await?;
        let changes = planned["changes"].as_array().cloned().unwrap_or_default();
        let operations: Vec<(&Value, &Value)> =
            changes.iter().map(|change| (&change["operation"], &change["doubt"])).collect();
        assert!(operations.iter().all(|found| *found == (&json!("Recreate"), &Value::Null)), "{planned:#}");
        assert_eq!((changes.len(), &planned["errors"]), (OBJECTS.len(), &json!([])), "{planned:#}");
        // What is generated anew for every object is no change, so that an approval stays valid.
        assert_eq!(plan(shared, namespace).await?["id"], planned["id"]);
        let fields: Vec<&str> = changes
            .iter()
            .flat_map(|change| change["fields"].as_array().into_iter().flatten())
            .filter_map(|field| field["path"].as_str())
            .collect();
        let noise = ["uid", "volumeMounts", "/spec/volumes", "clusterIPs", "resources"];
        assert!(!fields.iter().any(|path| noise.iter().any(|noise| path.contains(noise))), "{fields:?}");

        repository.commit(&borrowed(&files(true, true)), "Allow it")?;
        let said = awaiting(shared, namespace, "recreate PersistentVolumeClaim").await?;
        assert!(said.starts_with("recreate PersistentVolumeClaim") && !said.contains("; recreate"), "{said}");
        let after = uids(shared, namespace).await?;
        let stays: Vec<&str> =
            before.iter().filter(|(name, uid)| after[*name] == **uid).map(|(name, _)| *name).collect();
        assert_eq!(stays, ["persistentvolumeclaim/claim"]);
        assert_eq!(shared.jsonpath(namespace, "service/headless", "{.spec.clusterIP}").await?, "None");
        Ok(())
    })
}

#[test]
fn what_is_wrong_in_itself_is_not_replaced() -> anyhow::Result<()> {
    run(&[], |shared| async move {
        let namespace = "wrong";
        let map = "apiVersion: v1\nkind: Service\nmetadata: {name: a, annotations: {holdfast.dev/recreate: Allowed}}\nspec: {ports: [{port: &}]}\n";
        let repository = shared.begin(namespace, &[("a.yaml", &map.replace('&', "80"))], &json!({})).await?;
        let uid = shared.jsonpath(namespace, "service/a", "{.metadata.uid}").await?;
        repository.commit(&[("a.yaml", &map.replace('&', "99999"))], "No port")?;
        let said = shared.env.reason(namespace, "app", "Invalid").await?;
        assert!(!said.message.contains("replacement"), "{}", said.message);
        assert_eq!(shared.jsonpath(namespace, "service/a", "{.metadata.uid}").await?, uid);
        Ok(())
    })
}

#[test]
fn a_replacement_that_cannot_be_judged_waits_with_a_note() -> anyhow::Result<()> {
    run(&[], |shared| async move {
        let namespace = "singleton";
        let class = "apiVersion: scheduling.k8s.io/v1\nkind: PriorityClass\nmetadata: {name: standard}\nglobalDefault: true\nvalue: &\n";
        let map = "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: counted, annotations: {holdfast.dev/recreate: Allowed}}\nimmutable: true\ndata: {a: \"&\"}\n";
        let quota = "apiVersion: v1\nkind: ResourceQuota\nmetadata: {name: maps}\nspec: {hard: {count/configmaps: \"2\"}}\n";
        let form = |text: &str, value: &str| text.replace('&', value);
        let files = [("class.yaml", &*form(class, "10")), ("map.yaml", &*form(map, "1"))];
        let repository = shared.begin(namespace, &files, &json!({})).await?;
        shared.until(namespace, "configmap/counted", "{.data.a}", "1").await?;
        shared.until(namespace, "configmap/kube-root-ca.crt", "{.metadata.name}", "kube-root-ca.crt").await?;
        // What exists before a quota is counted when the quota is made; admission may miss what comes at the same time.
        repository.commit(&[("quota.yaml", quota)], "Limit the number of objects")?;
        shared.until(namespace, "resourcequota/maps", "{.status.used.count/configmaps}", "2").await?;
        repository
            .commit(&[("class.yaml", &form(class, "20")), ("map.yaml", &form(map, "2"))], "Change both")?;
        let said = awaiting(shared, namespace, "recreate PriorityClass").await?;
        for part in [
            "recreate ConfigMap singleton/counted",
            "is unknown",
            "exceeded quota",
            "already marked as default",
        ] {
            assert!(said.contains(part), "{part} is missing in {said}");
        }
        let planned = plan(shared, namespace).await?;
        let doubts = planned["changes"].as_array().cloned().unwrap_or_default();
        assert!(doubts.len() == 2 && doubts.iter().all(|change| change["doubt"].is_string()), "{planned:#}");
        let kubeconfig = shared.env.cluster.kubeconfig();
        let id = planned["waiting"]["planId"].as_str().unwrap_or_default();
        let approved =
            holdfast(&kubeconfig, &["approve", "-n", namespace, "app", id, "--reason", "agreed"]).await?;
        assert!(approved.status.success(), "{approved:?}");
        shared.until(namespace, "priorityclass/standard", "{.value}", "20").await?;
        shared.until(namespace, "configmap/counted", "{.data.a}", "2").await?;
        // There can be one default only: one under another name comes when the old one is gone.
        let renamed = form(class, "20").replace("standard", "renamed");
        let commit = repository.commit(&[("class.yaml", &renamed)], "Rename the class")?;
        shared.env.ready(namespace, "app", Some(&commit)).await?;
        shared.gone(namespace, "priorityclass/standard").await?;
        shared.until(namespace, "priorityclass/renamed", "{.globalDefault}", "true").await?;
        shared.env.cluster.must(&["-n", namespace, "delete", "sync", "app", "--timeout=20s"]).await?;
        Ok(())
    })
}

#[test]
fn the_scope_of_a_definition_is_judged_under_its_own_name() -> anyhow::Result<()> {
    run(&[], |shared| async move {
        let namespace = "scoped";
        let definition = FIXTURES.replace("verdicts.example.com", "scoped.example.com");
        let repository = shared.begin(namespace, &[("crd.yaml", &definition)], &json!({})).await?;
        repository
            .commit(&[("crd.yaml", &definition.replace("Namespaced", "Cluster"))], "Change the scope")?;
        let said = awaiting(shared, namespace, "recreate CustomResourceDefinition").await?;
        assert!(said.contains("deletes every object of its kind") && !said.contains("is unknown"), "{said}");
        Ok(())
    })
}

#[test]
fn what_belongs_to_an_object_stays_where_git_says_so() -> anyhow::Result<()> {
    run(&[], |shared| async move {
        let namespace = "adopted";
        let set = "apiVersion: apps/v1\nkind: StatefulSet\nmetadata: {name: web&}\nspec:\n  serviceName: @\n  replicas: 1\n  selector: {matchLabels: {app: web}}\n  \
            template: {metadata: {labels: {app: web}}, spec: {containers: [{name: web, image: \"web:1\"}]}}\n";
        let form = |service: &str, annotation: &str| set.replace('&', annotation).replace('@', service);
        let repository = shared.begin(namespace, &[("a.yaml", &form("one", ""))], &json!({})).await?;
        let pod = shared.jsonpath(namespace, "pod/web-0", "{.metadata.uid}").await?;
        repository.commit(&[("a.yaml", &form("two", ""))], "Change the service")?;
        let said = awaiting(shared, namespace, "recreate StatefulSet").await?;
        assert!(said.contains("holdfast.dev/recreate: Orphan"), "{said}");
        let orphan = ", annotations: {holdfast.dev/recreate: Orphan}";
        let commit = repository.commit(&[("a.yaml", &form("two", orphan))], "Keep the pods")?;
        shared.env.ready(namespace, "app", Some(&commit)).await?;
        assert_eq!(shared.jsonpath(namespace, "statefulset/web", "{.spec.serviceName}").await?, "two");
        assert_eq!(shared.jsonpath(namespace, "pod/web-0", "{.metadata.uid}").await?, pod);
        let owner = shared.jsonpath(namespace, "statefulset/web", "{.metadata.uid}").await?;
        shared.until(namespace, "pod/web-0", "{.metadata.ownerReferences[0].uid}", &owner).await?;
        let drifted = shared.env.condition(namespace, "app", "Drifted").await?;
        assert_eq!(drifted.reason, "InSync", "{drifted:?}");
        Ok(())
    })
}
