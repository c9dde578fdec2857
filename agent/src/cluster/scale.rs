//! Where objects of a kind hold the number that their scale subresource sets: when git stops setting it, the live number
//! stays. I/O: API reads, of definitions of custom kinds.

use http::Request;
use serde_json::Value;

use super::Cluster;
use super::requests::ResourceType;

/// Kinds of Kubernetes that have a scale subresource.
const SCALED: [(&str, &str); 4] =
    [("", "ReplicationController"), ("apps", "Deployment"), ("apps", "ReplicaSet"), ("apps", "StatefulSet")];

/// The path of the number of replicas in most kinds.
const USUAL: &str = ".spec.replicas";

/// The paths that the scale subresource of a kind sets, in segments.
pub async fn paths(cluster: &Cluster, kind: &ResourceType) -> Vec<Vec<String>> {
    if SCALED.iter().any(|(group, name)| kind.kind.is(group, name)) {
        return vec![segments(USUAL)];
    }
    // Kinds of Kubernetes itself have no definition to read.
    if !kind.kind.group.contains('.') || kind.kind.group.ends_with(".k8s.io") {
        return Vec::new();
    }
    let name = format!("{}.{}", kind.plural, kind.kind.group);
    let path = format!("/apis/apiextensions.k8s.io/v1/customresourcedefinitions/{name}");
    let Ok(request) = Request::get(path).body(Vec::new()) else { return Vec::new() };
    match cluster.discovery.client().request::<Value>(request).await {
        Ok(definition) => of_definition(&definition, &kind.version).into_iter().collect(),
        // Where definitions may not be read, losing replicas would be worse than keeping a number.
        Err(_) => vec![segments(USUAL)],
    }
}

fn of_definition(definition: &Value, version: &str) -> Option<Vec<String>> {
    let versions = definition.pointer("/spec/versions")?.as_array()?;
    let served = versions.iter().find(|served| served["name"] == version)?;
    Some(segments(served.pointer("/subresources/scale/specReplicasPath")?.as_str()?))
}

/// The segments of a path as definitions write it: `.spec.replicas`.
fn segments(path: &str) -> Vec<String> {
    path.split('.').skip(1).map(str::to_owned).collect()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_definition_names_the_path_for_each_version() {
        let definition = json!({"spec": {"versions": [
            {"name": "v1", "subresources": {"scale": {"specReplicasPath": ".spec.pool.size"}}}, {"name": "v2"}]}});
        assert_eq!(
            of_definition(&definition, "v1"),
            Some(["spec", "pool", "size"].map(str::to_owned).to_vec())
        );
        assert_eq!(of_definition(&definition, "v2"), None);
    }
}
