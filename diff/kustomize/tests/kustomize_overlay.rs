//! Objects that something else has rendered, changed as an overlay would: nothing but the intended change differs. Pure.

use std::sync::Arc;

use holdfast_kustomize::HelmChart;
use holdfast_kustomize::files::{Entry, FileKind, Files, FilesError, Resolved};
use holdfast_kustomize::object::Origin;
use holdfast_kustomize::{Host, overlay};
use proptest::prelude::*;
use serde_json::{Map, Value, json};

/// A tree without files.
struct Nothing;

impl Files for Nothing {
    fn resolve(&self, path: &str) -> Result<Option<Resolved>, FilesError> {
        Ok((path == "o").then(|| Resolved { path: path.to_owned(), kind: FileKind::Folder }))
    }

    fn read(&self, _: &str) -> Result<Option<Arc<[u8]>>, FilesError> {
        Ok(None)
    }

    fn list(&self, _: &str) -> Result<Option<Vec<Entry>>, FilesError> {
        Ok(None)
    }
}

impl Host for Nothing {
    fn remote(&self, url: &str) -> Result<String, FilesError> {
        Err(FilesError(url.to_owned()))
    }

    fn chart(&self, chart: &HelmChart, _: &str) -> Result<Vec<u8>, FilesError> {
        Err(FilesError(chart.name.clone()))
    }
}

fn laid(fields: &Value, objects: &[Value]) -> Result<Vec<Value>, String> {
    let fields = fields.as_object().cloned().unwrap_or_default();
    let origin = |line: usize| Origin { file: "a.yaml".into(), line: u32::try_from(line).unwrap_or(0) };
    let objects = objects.iter().cloned().enumerate().map(|(at, object)| (object, origin(at + 1))).collect();
    let output = overlay(&Nothing, "o", "spec.render", fields, objects).map_err(|error| error.to_string())?;
    assert!(output.resources.iter().all(|(_, origin)| &*origin.file == "a.yaml"));
    Ok(output.resources.into_iter().map(|(value, _)| value).collect())
}

fn patch(text: &str, target: &Value) -> Value {
    json!({"patches": [{"patch": text, "target": target}]})
}

fn labelled(kind: &str) -> Value {
    let text = format!("- {{op: add, path: /metadata/labels, value: {{by: overlay}}}}\n# {kind}");
    patch(&text, &json!({"kind": kind}))
}

fn config_map(name: &str) -> Value {
    json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name}})
}

/// An object with all that has a meaning of its own in some reader of YAML.
fn odd() -> Value {
    let texts = [
        "a\u{85}b",
        "a\u{2028}b\u{2029}",
        "\u{7f}",
        "\u{9b}8m\u{80}",
        "a\u{feff}b",
        "\u{0}\u{1b}",
        "\r\n",
        "\t",
        " x ",
        "2026-01-05",
        "1e3",
        "0x1f",
        "0777",
        "1_000",
        "~",
        "null",
        "yes",
        "<<",
        "=",
        "*a",
        "&a b",
        "!!int 1",
        "%x",
        "@",
        "`",
        "- a",
        "? a",
        "a: b",
        "# a",
        "---",
        "...",
        "",
        "\n",
        "\n\na\n\n",
        "  a\n b\n",
        "x\n ",
    ];
    let keys = [
        "<<",
        "=",
        "~",
        "null",
        "1",
        "1.5",
        "true",
        "yes",
        "",
        " ",
        "2026-01-05",
        "\u{85}",
        "\u{2028}",
        "\u{7f}",
        "a\nb",
        "- a",
        "internal.config.kubernetes.io/path",
    ];
    let long = "word ".repeat(60);
    let data: Map<String, Value> = keys.iter().map(|key| ((*key).to_owned(), json!("x"))).collect();
    let annotations = json!({
        "config.kubernetes.io/local-config": "true",
        "config.kubernetes.io/path": "a",
        "config.kubernetes.io/index": "0",
        "config.k8s.io/id": "1",
        "internal.config.kubernetes.io/previousNames": "b",
        "internal.config.kubernetes.io/needsHashSuffix": "enabled",
        "internal.config.kubernetes.io/seqindent": "compact",
        "1": "2",
        "null": "~",
    });
    json!({
        "apiVersion": "v1", "kind": "ConfigMap",
        "metadata": {"name": "odd", "annotations": annotations, "creationTimestamp": null},
        "data": data, "texts": texts.to_vec(), "long": long, "folded": format!("{long}\n{long}\n"),
        "numbers": [0, -1, i64::MAX, u64::MAX, 1.5, 1e100, -0.25, 1e-7],
        "empty": {"a": {}, "b": [], "c": null, "d": [null, {}, []]}, "bools": [true, false],
    })
}

#[test]
fn nothing_but_the_intended_change_differs() {
    let expected = |labels: bool| {
        let mut object = odd();
        if labels {
            object["metadata"]["labels"] = json!({"by": "overlay"});
        }
        object
    };
    for (kind, changed) in [("ConfigMap", true), ("Secret", false)] {
        assert_eq!(laid(&labelled(kind), &[odd()]), Ok(vec![expected(changed)]), "{kind}");
    }
    let strategic = patch(
        "{apiVersion: v1, kind: ConfigMap, metadata: {name: odd, labels: {by: overlay}}}",
        &Value::Null,
    );
    assert_eq!(laid(&strategic, &[odd()]), Ok(vec![expected(true)]));
    let images = json!({"images": [{"name": "nginx", "newTag": "2"}]});
    assert_eq!(laid(&images, &[odd()]), Ok(vec![expected(false)]));
}

#[test]
fn objects_keep_their_order_and_their_namespaces() {
    let mut other = config_map("a");
    other["metadata"]["namespace"] = json!("default");
    let service = json!({"apiVersion": "v1", "kind": "Service", "metadata": {"name": "z"}});
    let all = [other.clone(), service, config_map("a"), config_map("b")];
    assert_eq!(laid(&labelled("Secret"), &all), Ok(all.to_vec()));
    let one = "{apiVersion: v1, kind: ConfigMap, metadata: {name: a, namespace: default}, data: {x: y}}";
    let found = laid(&patch(one, &Value::Null), &all).unwrap_or_default();
    assert_eq!((&found[0]["data"], &found[2]["data"]), (&json!({"x": "y"}), &Value::Null));
}

#[test]
fn a_mistake_names_the_options_of_the_sync() {
    let one = "{apiVersion: v1, kind: ConfigMap, metadata: {name: nobody}, data: {x: y}}";
    let said = laid(&patch(one, &Value::Null), &[config_map("a")]).err().unwrap_or_default();
    assert!(said.starts_with("spec.render: ") && said.contains("nobody"), "{said}");
    let said = laid(
        &json!({"patches": [{"patch": "- {op: remove, path: /x}", "target": {"kind": "ConfigMap"}}]}),
        &[config_map("a")],
    );
    assert!(
        said.as_ref().is_err_and(|said| said.starts_with("spec.render: ") && said.contains("a.yaml:1")),
        "{said:?}"
    );
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    #[test]
    fn every_text_and_every_key_stays(texts in prop::collection::btree_map(".{0,12}", ".{0,12}", 0..6)) {
        let mut object = config_map("a");
        object["data"] = json!(texts);
        let expected = {
            let mut object = object.clone();
            object["metadata"]["labels"] = json!({"by": "overlay"});
            object
        };
        prop_assert_eq!(laid(&labelled("ConfigMap"), std::slice::from_ref(&object)), Ok(vec![expected]));
    }
}
