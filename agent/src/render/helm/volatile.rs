//! What differs between two renders of one chart: the objects and the paths with generated values. They are to be kept
//! from the live object, or else each sync would change them.
//!
//! Leaves keeping them to the plan. No value is shown: such values are mostly secret. Pure.

use std::collections::BTreeMap;

use holdfast_diff::object::{Manifest, ObjectId};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::HelmError;

/// Paths of one object that differ each time, as JSON pointers (RFC 6901), sorted.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Volatile {
    pub object: ObjectId,
    pub paths: Vec<String>,
}

/// How many names an error shows.
const SHOWN: usize = 5;

/// Compares two renders. Objects that are in one of them alone are an error: nothing could be kept of them, and each sync
/// would make new ones and prune the old.
pub fn volatile(one: &[Manifest], other: &[Manifest]) -> Result<Vec<Volatile>, HelmError> {
    let (one, other) = (by_id(one), by_id(other));
    let missing = |from: &BTreeMap<ObjectId, &Value>, all: &BTreeMap<ObjectId, &Value>| {
        all.keys().filter(|id| !from.contains_key(id)).map(ToString::to_string).collect::<Vec<_>>()
    };
    let mut names = [missing(&other, &one), missing(&one, &other)].concat();
    if !names.is_empty() {
        let more = names.len().saturating_sub(SHOWN);
        names.truncate(SHOWN);
        let and = if more > 0 { format!(" and {more} more") } else { String::new() };
        return Err(HelmError::UnstableNames { names: format!("{}{and}", names.join(", ")) });
    }
    let pairs = one.into_iter().filter_map(|(object, value)| Some((value, other.get(&object)?, object)));
    let compared = pairs.map(|(one, other, object)| {
        let mut paths = Vec::new();
        compare(one, other, &mut String::new(), &mut paths);
        paths.sort();
        Volatile { object, paths }
    });
    Ok(compared.filter(|volatile| !volatile.paths.is_empty()).collect())
}

fn by_id(all: &[Manifest]) -> BTreeMap<ObjectId, &Value> {
    all.iter().map(|manifest| (manifest.id(), &manifest.value)).collect()
}

/// Adds the paths below `path` at which two values differ: as deep as both have the same shape.
fn compare(one: &Value, other: &Value, path: &mut String, found: &mut Vec<String>) {
    let length = path.len();
    match (one, other) {
        (Value::Object(one), Value::Object(other)) => {
            let keys = one.keys().chain(other.keys().filter(|key| !one.contains_key(*key)));
            for key in keys {
                path.push('/');
                path.push_str(&key.replace('~', "~0").replace('/', "~1"));
                match (one.get(key), other.get(key)) {
                    (Some(one), Some(other)) => compare(one, other, path, found),
                    _ => found.push(path.clone()),
                }
                path.truncate(length);
            }
        }
        (Value::Array(one), Value::Array(other)) if one.len() == other.len() => {
            for (at, (one, other)) in one.iter().zip(other).enumerate() {
                path.push('/');
                path.push_str(&at.to_string());
                compare(one, other, path, found);
                path.truncate(length);
            }
        }
        (one, other) if one == other => {}
        _ => found.push(path.clone()),
    }
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "tests")]
mod tests {
    use holdfast_diff::yaml;

    use super::*;

    fn manifests(text: &str) -> Vec<Manifest> {
        let (manifests, errors) = yaml::manifests("a.yaml", text.as_bytes());
        assert!(errors.is_empty(), "{errors:?}");
        manifests
    }

    fn secret(name: &str, data: &str) -> String {
        format!(
            "apiVersion: v1\nkind: Secret\nmetadata: {{name: {name}, namespace: shop}}\ndata: {data}\n---\n"
        )
    }

    #[test]
    fn the_paths_that_differ_are_named() {
        let stable = secret("stable", "{a: MQ==}");
        let one = manifests(&format!(
            "{stable}{}",
            secret("a", "{p: MQ==, q: Mg==, 'x/y~z': MQ==, l: [1, 2], m: [1]}")
        ));
        let other = manifests(&format!(
            "{}{stable}",
            secret("a", "{p: Mw==, q: Mg==, 'x/y~z': Mg==, l: [1, 3], m: [1, 2], s: 1}")
        ));
        let found = volatile(&one, &other).unwrap();
        assert_eq!(found.len(), 1);
        assert_eq!(found[0].object.to_string(), "Secret shop/a");
        assert_eq!(found[0].paths, ["/data/l/1", "/data/m", "/data/p", "/data/s", "/data/x~1y~0z"]);
        assert_eq!(volatile(&one, &one).unwrap(), []);
    }

    #[test]
    fn names_that_differ_are_an_error() {
        let one = manifests(&secret("a-x1", "{}"));
        let other = manifests(&secret("a-x2", "{}"));
        let error = volatile(&one, &other).unwrap_err().to_string();
        assert!(
            error.contains("different names each time: Secret shop/a-x1, Secret shop/a-x2; set"),
            "{error}"
        );
        let many: String = (0..9).map(|at| secret(&format!("b-{at}"), "{}")).collect();
        let error = volatile(&manifests(&many), &[]).unwrap_err().to_string();
        assert!(error.contains("Secret shop/b-4 and 4 more;"), "{error}");
    }
}
