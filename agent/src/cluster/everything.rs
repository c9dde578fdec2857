//! Every kind whose objects the API server lists and deletes, each in the version that it prefers: asked for where it matters what
//! is in a namespace. I/O: API reads.

use std::collections::HashSet;
use std::sync::Arc;

use holdfast_diff::object::GroupKind;
use http::Request;
use http::header::ACCEPT;
use kube::Client;
use serde::Deserialize;

use super::capabilities::AGGREGATED;
use super::requests::ResourceType;

#[derive(Default, Deserialize)]
#[serde(default)]
struct Groups {
    items: Vec<Group>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Group {
    metadata: Named,
    versions: Vec<Version>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Named {
    name: String,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Version {
    version: String,
    resources: Vec<Resource>,
}

#[derive(Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
struct Resource {
    #[serde(rename = "resource")]
    plural: String,
    response_kind: Kind,
    scope: String,
    verbs: Vec<String>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Kind {
    kind: String,
}

/// Asks for all kinds (KEP-3352).
pub async fn kinds(client: &Client) -> Result<Vec<Arc<ResourceType>>, kube::Error> {
    let mut found = Vec::new();
    for path in ["/api", "/apis"] {
        let request = Request::get(path).header(ACCEPT, AGGREGATED).body(Vec::new());
        let request = request.map_err(kube::Error::HttpError)?;
        let groups: Groups = client.request(request).await?;
        found.extend(groups.items.into_iter().flat_map(of_group));
    }
    Ok(found)
}

fn of_group(Group { metadata, versions }: Group) -> Vec<Arc<ResourceType>> {
    let mut seen: HashSet<String> = HashSet::new();
    let mut found = Vec::new();
    // The preferred version comes first.
    for Version { version, resources } in versions {
        for Resource { plural, response_kind: Kind { kind }, scope, verbs } in resources {
            let has = |verb: &str| verbs.iter().any(|served| served == verb);
            if !has("list") || !has("delete") || kind.is_empty() || !seen.insert(plural.clone()) {
                continue;
            }
            found.push(Arc::new(ResourceType {
                kind: Arc::new(GroupKind::new(metadata.name.clone(), kind)),
                version: version.clone(),
                plural,
                namespaced: scope == "Namespaced",
            }));
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn each_kind_is_listed_once_in_its_preferred_version() {
        let resource = |plural: &str, kind: &str, verbs: &[&str]| {
            json!({"resource": plural, "scope": "Namespaced", "verbs": verbs,
            "responseKind": {"group": "", "version": "", "kind": kind}})
        };
        let group = json!({"metadata": {"name": "example.com"}, "versions": [
            {"version": "v2", "resources": [resource("queues", "Queue", &["list", "delete"]), resource("reviews", "Review", &["create"])]},
            {"version": "v1", "resources": [resource("queues", "Queue", &["list", "delete"]), resource("topics", "Topic", &["list", "delete"])]}]});
        let group: Group = serde_json::from_value(group).expect("a group");
        let found: Vec<String> =
            of_group(group).iter().map(|kind| format!("{} {}", kind.api_version(), kind.kind)).collect();
        assert_eq!(found, ["example.com/v2 Queue.example.com", "example.com/v1 Topic.example.com"]);
    }
}
