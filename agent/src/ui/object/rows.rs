//! The fields of an object: the value in Git beside the live one, with the owners of each. Secret values are masked here, before a
//! page or JSON has them. Pure.

use holdfast_diff::compare::{self, Difference};
use holdfast_diff::fields::{Owner, owners};
use holdfast_diff::items::{Counterpart, counterpart};
use holdfast_diff::mask::{HIDDEN, Masks, mask};
use holdfast_diff::object::GroupKind;
use holdfast_diff::pointer::escape;
use serde::Serialize;
use serde_json::Value;

/// Fields that are shown; those that differ come first.
const SHOWN: usize = 800;
/// Fields that are compared at all.
const MOST: usize = 20_000;
/// Characters of a value that is kept whole.
const LONG: usize = 20_000;
/// What identifies an object, or says whose it is.
const IDENTITY: [&str; 6] = [
    "/apiVersion",
    "/kind",
    "/metadata/name",
    "/metadata/namespace",
    "/metadata/generateName",
    "/metadata/labels/applyset.kubernetes.io~1part-of",
];
/// Annotations in which tools keep a copy of the whole object.
const COPIES: [&str; 1] = ["/metadata/annotations/kubectl.kubernetes.io~1last-applied-configuration"];
/// Characters of an annotation of a Secret that can be no copy of it.
const NO_COPY: usize = 256;

/// How the two values of a field stand to each other, the most urgent first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub enum Standing {
    /// The live value is not that of Git.
    Differs,
    /// Git has a value, and the live object has none.
    Missing,
    /// Another manager set it, and Git has no value.
    Other,
    /// Both are the same.
    Same,
    /// They are written differently, and the API server treats them as the same.
    Equivalent,
    /// The API server set it, and Git has no value.
    Default,
}

/// One field.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Row {
    /// JSON pointer (RFC 6901) in the live object, or in the manifest if that alone has it.
    pub path: String,
    pub standing: Standing,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub git: Option<Value>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub live: Option<Value>,
    /// The newest first; none of a default.
    pub owners: Vec<Owner>,
}

/// The fields of an object.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Rows {
    /// Those that differ first, then in the order of the object. At most 800.
    pub listed: Vec<Row>,
    pub more: usize,
}

/// A manifest or a live object; `None` if there is none.
#[derive(Clone, Copy)]
pub struct Sides<'a> {
    pub git: Option<&'a Value>,
    pub live: Option<&'a Value>,
    /// True if the API server has confirmed that the live object satisfies the manifest.
    pub is_satisfied: bool,
}

/// The fields of an object of this kind, without secret values.
pub fn rows(kind: &GroupKind, masks: &Masks, sides: Sides<'_>) -> Rows {
    let [git, live] = [sides.git, sides.live].map(|side| side.map(compare::essence));
    let mut found = Vec::new();
    walk(&mut String::new(), git.as_ref(), live.as_ref(), &mut found);
    let masks = whole_masks(kind, masks, sides);
    let owned = sides.live.unwrap_or(&Value::Null);
    let mut listed: Vec<Row> = found
        .into_iter()
        .filter(|(path, ..)| !IDENTITY.contains(&path.as_str()))
        .map(|(path, git, live)| {
            let owners = owners(owned, &path);
            let standing = standing(git, live, &owners, sides);
            let Difference { path, before, after } = hidden(kind, &masks, path, git, live);
            Row { path, standing, git: before, live: after, owners }
        })
        .collect();
    listed.sort_by_key(|row| row.standing);
    let more = listed.len().saturating_sub(SHOWN);
    listed.truncate(SHOWN);
    Rows { listed, more }
}

fn standing(git: Option<&Value>, live: Option<&Value>, owners: &[Owner], sides: Sides<'_>) -> Standing {
    match (git, live) {
        (Some(git), Some(live)) if compare::values(git, live).is_empty() => Standing::Same,
        (Some(_), Some(_) | None) if sides.is_satisfied => Standing::Equivalent,
        (Some(_), Some(_)) => Standing::Differs,
        (Some(_), None) => Standing::Missing,
        (None, _) if owners.is_empty() => Standing::Default,
        // Git had it, or another object of Git has it, until it is removed.
        (None, _) if owners.iter().any(Owner::is_holdfast) && !sides.is_satisfied && sides.git.is_some() => {
            Standing::Differs
        }
        (None, _) => Standing::Other,
    }
}

/// The texts that are hidden of this object: a Secret can have copies of its own values in its annotations.
fn whole_masks(kind: &GroupKind, masks: &Masks, Sides { git, live, .. }: Sides<'_>) -> Masks {
    let mut all = masks.clone();
    if kind.is("", "Secret") {
        [git, live].into_iter().flatten().for_each(|side| all.add_secret(side));
    }
    all
}

/// A field as it may be shown.
fn hidden(
    kind: &GroupKind,
    masks: &Masks,
    path: String,
    git: Option<&Value>,
    live: Option<&Value>,
) -> Difference {
    let sides = [git, live].map(Option::<&Value>::cloned);
    if is_copy(kind, &path, &sides) {
        let [before, after] = sides.map(|side| side.map(|_| Value::from(HIDDEN)));
        return Difference { path, before, after };
    }
    let [before, after] = sides;
    let mut found = mask(kind, masks, Difference { path, before, after });
    // A value of a Secret that another field repeats.
    let touched = [&found.before, &found.after].into_iter().flatten().any(|value| masks.touches(value));
    for (side, place) in [(&mut found.before, "in Git"), (&mut found.after, "live")] {
        *side = side.take().map(|value| {
            let value = if touched { Value::from(HIDDEN) } else { value };
            shown(value, place)
        });
    }
    found
}

/// True for an annotation that can be a copy of a Secret, or that is the copy of kubectl.
fn is_copy(kind: &GroupKind, path: &str, sides: &[Option<Value>; 2]) -> bool {
    if COPIES.contains(&path) {
        return true;
    }
    let is_long = |value: &Value| match value {
        Value::String(text) => text.len() > NO_COPY || text.trim_start().starts_with(['{', '[']),
        _ => true,
    };
    kind.is("", "Secret") && path.starts_with("/metadata/annotations/") && sides.iter().flatten().any(is_long)
}

/// A value with long texts shortened, and with a masked one named by its place.
fn shown(value: Value, place: &str) -> Value {
    match value {
        Value::String(text) if text.starts_with("*** (") => Value::from(format!("{HIDDEN} ({place})")),
        Value::String(text) => match text.char_indices().nth(LONG) {
            Some((end, _)) => Value::from(format!("{} [shortened]", &text[..end])),
            None => Value::String(text),
        },
        Value::Array(items) => items.into_iter().map(|item| shown(item, place)).collect(),
        Value::Object(fields) => {
            Value::Object(fields.into_iter().map(|(name, field)| (name, shown(field, place))).collect())
        }
        other => other,
    }
}

type Leaf<'a> = (String, Option<&'a Value>, Option<&'a Value>);

/// The leaves of both sides. Items of lists are matched by name, or by position.
fn walk<'a>(path: &mut String, git: Option<&'a Value>, live: Option<&'a Value>, found: &mut Vec<Leaf<'a>>) {
    if found.len() >= MOST {
        return;
    }
    let git = git.filter(|value| !value.is_null());
    match (git, live) {
        (None, None) => {}
        (Some(Value::Object(_)) | None, Some(Value::Object(_)) | None) if !is_empty(git, live) => {
            let fields = |side: Option<&'a Value>| side.and_then(Value::as_object);
            let (git, live) = (fields(git), fields(live));
            let mut names: Vec<&String> = git.into_iter().chain(live).flat_map(|map| map.keys()).collect();
            names.sort_unstable();
            names.dedup();
            for name in names {
                let get =
                    |side: Option<&'a serde_json::Map<String, Value>>| side.and_then(|map| map.get(name));
                step(path, &escape(name), get(git), get(live), found);
            }
        }
        (Some(git), Some(live)) if git.is_array() && live.is_array() => items(path, git, live, found),
        (None, Some(Value::Array(only))) | (Some(Value::Array(only)), None)
            if only.iter().any(Value::is_object) =>
        {
            for (at, item) in only.iter().enumerate() {
                let (git, live) = if git.is_some() { (Some(item), None) } else { (None, Some(item)) };
                step(path, &at.to_string(), git, live, found);
            }
        }
        _ => found.push((path.clone(), git, live)),
    }
}

fn is_empty(git: Option<&Value>, live: Option<&Value>) -> bool {
    [git, live].into_iter().flatten().all(|side| side.as_object().is_none_or(serde_json::Map::is_empty))
}

/// The items of two lists. A list of values, or one whose items cannot be matched, is one value.
fn items<'a>(path: &mut String, git: &'a Value, live: &'a Value, found: &mut Vec<Leaf<'a>>) {
    let (wanted, have) = (list(git), list(live));
    let pairs: Vec<Counterpart> = (0..have.len()).map(|at| counterpart(have, at, wanted)).collect();
    let has_objects = have.iter().chain(wanted).any(Value::is_object);
    if !has_objects || pairs.contains(&Counterpart::Unknown) {
        found.push((path.clone(), Some(git), Some(live)));
        return;
    }
    for (at, (item, pair)) in have.iter().zip(&pairs).enumerate() {
        let git = pair.position().and_then(|at| wanted.get(at));
        step(path, &at.to_string(), git, Some(item), found);
    }
    let matched: Vec<usize> = pairs.iter().filter_map(|pair| pair.position()).collect();
    for (at, item) in wanted.iter().enumerate().filter(|(at, _)| !matched.contains(at)) {
        step(path, &at.to_string(), Some(item), None, found);
    }
}

fn list(value: &Value) -> &[Value] {
    value.as_array().map_or(&[], Vec::as_slice)
}

fn step<'a>(
    path: &mut String,
    segment: &str,
    git: Option<&'a Value>,
    live: Option<&'a Value>,
    found: &mut Vec<Leaf<'a>>,
) {
    let length = path.len();
    path.push('/');
    path.push_str(segment);
    walk(path, git, live, found);
    path.truncate(length);
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn check(kind: (&str, &str), git: &Value, live: &Value, is_satisfied: bool) -> Vec<String> {
        let mut masks = Masks::default();
        masks.add("hunter2!");
        let sides = Sides { git: Some(git), live: Some(live), is_satisfied };
        let rows = rows(&GroupKind::new(kind.0, kind.1), &masks, sides);
        let text = |value: &Option<Value>| value.as_ref().map(ToString::to_string).unwrap_or_default();
        let line = |row: &Row| {
            let owners: Vec<&str> = row.owners.iter().map(|owner| owner.manager.as_str()).collect();
            let (git, live) = (text(&row.git), text(&row.live));
            format!("{:?} {} [{git}] [{live}] {}", row.standing, row.path, owners.join(","))
        };
        rows.listed.iter().map(line).collect()
    }

    fn managed(manager: &str, operation: &str, fields: &Value) -> Value {
        json!({"manager": manager, "operation": operation, "apiVersion": "apps/v1", "fieldsType": "FieldsV1", "fieldsV1": fields})
    }

    #[test]
    fn each_field_has_both_values_and_its_owners() {
        let git = json!({
            "apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "web", "labels": {"a/b": "c"}},
            "spec": {"replicas": 3, "paused": null, "template": {"spec": {"containers": [
                {"name": "app", "image": "app:2", "args": ["a"]}, {"name": "new", "image": "new:1"}]}}},
        });
        let live = json!({
            "apiVersion": "apps/v1", "kind": "Deployment",
            "metadata": {"name": "web", "namespace": "shop", "uid": "1", "labels": {"a/b": "c"}, "managedFields": [
                managed("holdfast", "Apply", &json!({"f:metadata": {"f:labels": {"f:a/b": {}}}})),
                managed("kubectl", "Update", &json!({"f:spec": {"f:replicas": {}, "f:minReadySeconds": {}}}))]},
            "spec": {"replicas": 5, "minReadySeconds": 9, "revisionHistoryLimit": 10, "template": {"spec": {"containers": [
                {"name": "sidecar", "image": "s:1"}, {"name": "app", "image": "app:1", "args": ["a"]}]}}},
            "status": {"replicas": 3},
        });
        let containers = "/spec/template/spec/containers";
        assert_eq!(
            check(("apps", "Deployment"), &git, &live, false),
            [
                "Differs /spec/replicas [3] [5] kubectl".to_owned(),
                format!("Differs {containers}/1/image [\"app:2\"] [\"app:1\"] "),
                format!("Missing {containers}/1/image [\"new:1\"] [] "),
                format!("Missing {containers}/1/name [\"new\"] [] "),
                "Other /spec/minReadySeconds [] [9] kubectl".to_owned(),
                "Same /metadata/labels/a~1b [\"c\"] [\"c\"] holdfast".to_owned(),
                format!("Same {containers}/1/args [[\"a\"]] [[\"a\"]] "),
                format!("Same {containers}/1/name [\"app\"] [\"app\"] "),
                "Default /spec/revisionHistoryLimit [] [10] ".to_owned(),
                format!("Default {containers}/0/image [] [\"s:1\"] "),
                format!("Default {containers}/0/name [] [\"sidecar\"] "),
            ]
        );
        // What the API server writes differently is no difference.
        let git = json!({"spec": {"cpu": "0.5"}});
        let live = json!({"spec": {"cpu": "500m"}});
        assert_eq!(check(("", "A"), &git, &live, true), ["Equivalent /spec/cpu [\"0.5\"] [\"500m\"] "]);
    }

    #[test]
    fn no_value_of_a_secret_is_kept_on_either_side_or_in_a_copy() {
        let copy = "{\"data\":{\"password\":\"aHVudGVyMg==\"}}";
        let live = json!({
            "apiVersion": "v1", "kind": "Secret", "data": {"password": "aHVudGVyMg==", "pin": "MTIzNA=="},
            "stringData": {"x": "plain-text"},
            "metadata": {"name": "a", "annotations": {
                "kubectl.kubernetes.io/last-applied-configuration": copy, "kapp.k14s.io/original": copy,
                "objectset.rio.cattle.io/applied": "H4sI".repeat(100), "note": "the password is hunter2", "owner": "team-a"}},
        });
        let git = json!({"apiVersion": "v1", "kind": "Secret", "data": {"password": "b2xkLW9uZQ==", "more": "c2VjcmV0LXZhbHVl"}});
        let rows = check(("", "Secret"), &git, &live, false);
        let text = rows.join("\n");
        for secret in
            ["aHVudGVyMg", "hunter2", "MTIzNA", "1234", "plain-text", "b2xk", "c2Vjc", "H4sI", "secret-value"]
        {
            assert!(!text.contains(secret), "{secret}: {text}");
        }
        assert!(text.contains("Differs /data/password [\"*** (in Git)\"] [\"*** (live)\"]"), "{text}");
        assert!(text.contains("Missing /data/more [\"***\"] []"), "{text}");
        assert!(text.contains("owner [] [\"team-a\"]"), "{text}");
    }

    #[test]
    fn a_secret_text_in_another_kind_and_the_copy_of_kubectl_are_hidden() {
        let live = json!({"kind": "ConfigMap", "data": {"url": "u:hunter2!@db"},
            "metadata": {"annotations": {"kubectl.kubernetes.io/last-applied-configuration": "{\"a\":1}"}}});
        let rows = check(("", "ConfigMap"), &json!({"data": {"url": "u:other@db"}}), &live, false).join("\n");
        assert!(
            !rows.contains("hunter2") && !rows.contains("other@db") && !rows.contains("\\\"a\\\""),
            "{rows}"
        );
    }

    #[test]
    fn a_huge_object_is_bounded() {
        let data: serde_json::Map<String, Value> =
            (0..5000).map(|at| (format!("k{at}"), json!("x"))).collect();
        let live = json!({"data": data, "text": "y".repeat(100_000)});
        let rows = rows(
            &GroupKind::new("", "A"),
            &Masks::default(),
            Sides { git: None, live: Some(&live), is_satisfied: false },
        );
        assert_eq!((rows.listed.len(), rows.more), (SHOWN, 5001 - SHOWN));
        assert!(serde_json::to_string(&rows).expect("JSON").len() < 200_000);
    }
}
