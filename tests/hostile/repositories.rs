//! Small repositories that would expand to gigabytes, or keep a processor busy for minutes. Pure.

use std::fmt::Write as _;

use serde_json::{Value, json};

/// A repository that expands.
pub struct Bomb {
    pub name: &'static str,
    pub files: Vec<(String, String)>,
    /// `spec.render` of the Sync.
    pub render: Value,
    /// What the Sync says: all of them.
    pub says: &'static [&'static str],
}

fn map(name: &str, data: &str) -> String {
    format!("apiVersion: v1\nkind: ConfigMap\nmetadata: {{name: {name}}}\n{data}")
}

/// A text with a line for each of many numbers.
fn lines(head: &str, count: usize, line: impl Fn(usize) -> String) -> String {
    let mut text = head.to_owned();
    for at in 0..count {
        let _ = writeln!(text, "{}", line(at));
    }
    text
}

fn large() -> String {
    "x".repeat(90_000)
}

/// One large scalar with ten thousand aliases.
fn aliases() -> String {
    lines(&map("a", &format!("data:\n  a: &a {}\n", large())), 10_000, |at| format!("  k{at}: *a"))
}

/// Kustomizations of which each names two of the level below.
fn diamond() -> Vec<(String, String)> {
    let mut files = vec![("kustomization.yaml".to_owned(), "resources: [l18a, l18b]\n".to_owned())];
    for level in 0..19 {
        for side in ["a", "b"] {
            let text = match level {
                0 => "commonLabels: {a: b}\n".to_owned(),
                _ => format!("resources: [../l{0}a, ../l{0}b]\n", level - 1),
            };
            files.push((format!("l{level}{side}/kustomization.yaml"), text));
        }
    }
    files
}

fn objects(count: usize, data: &str) -> String {
    (0..count).fold(String::new(), |text, at| text + &map(&format!("m{at}"), data) + "---\n")
}

/// A kustomization whose list has one line for each of many numbers, above the objects of `all.yaml`.
fn steps(field: &str, count: usize, line: impl Fn(usize) -> String) -> (String, String) {
    file("kustomization.yaml", lines(&format!("resources: [all.yaml]\n{field}:\n"), count, line))
}

/// A patch of JSON with this operation many times.
fn operations(count: usize, operation: impl Fn(usize) -> Value) -> (String, String) {
    let all: Vec<Value> = (0..count).map(operation).collect();
    let patch = json!({"resources": ["all.yaml"], "patches": [{
        "target": {"kind": "ConfigMap"}, "patch": Value::Array(all).to_string()}]});
    file("kustomization.yaml", patch.to_string())
}

fn file(path: &str, text: String) -> (String, String) {
    (path.to_owned(), text)
}

/// One of each kind.
pub fn bombs() -> Vec<Bomb> {
    let kustomization = || file("kustomization.yaml", "resources: [all.yaml]\n".to_owned());
    let patch = format!(
        "resources: [all.yaml]\npatches:\n- target: {{kind: ConfigMap}}\n  patch: |\n    - {{op: add, path: /data/big, value: {}}}\n",
        large()
    );
    let deep = |open: &str, close: &str| format!("{}1{}", open.repeat(60_000), close.repeat(60_000));
    let variable = json!({"substitute": {"vars": {"big": large()}}});
    let aliases_say: &[&str] = &["all.yaml", "aliases make up too much"];
    let deep_says: &[&str] = &["all.yaml", "nested deeper than"];
    let none = Value::Null;
    let mut all = expanding();
    all.extend(vec![
        Bomb {
            name: "aliases",
            files: vec![file("all.yaml", aliases())],
            render: none.clone(),
            says: aliases_say,
        },
        Bomb {
            name: "kustomize-aliases",
            files: vec![kustomization(), file("all.yaml", aliases())],
            render: none.clone(),
            says: aliases_say,
        },
        Bomb {
            name: "variable",
            files: vec![file(
                "all.yaml",
                objects(900, &lines("data:\n", 9, |at| format!("  k{at}: ${{big}}"))),
            )],
            render: variable,
            says: &["all.yaml", "to all objects together"],
        },
        Bomb {
            name: "diamond",
            files: diamond(),
            render: none.clone(),
            says: &["kustomizations", "fewer times"],
        },
        Bomb {
            name: "patch",
            files: vec![file("kustomization.yaml", patch), file("all.yaml", objects(1500, "data: {a: b}\n"))],
            render: none.clone(),
            says: &["to all objects together"],
        },
        Bomb {
            name: "deep-list",
            files: vec![file("all.yaml", map("a", &format!("data: {}\n", deep("[", "]"))))],
            render: none.clone(),
            says: deep_says,
        },
        Bomb {
            name: "kustomize-deep",
            files: vec![
                kustomization(),
                file("all.yaml", map("a", &format!("data: {}\n", deep("{a: ", "}")))),
            ],
            render: none,
            says: deep_says,
        },
    ]);
    all
}

/// Steps of kustomizations that each are harmless.
fn expanding() -> Vec<Bomb> {
    let bomb = |name, files, says| Bomb { name, files, render: Value::Null, says };
    let one = || file("all.yaml", map("a", "data: {a: b}\n"));
    let laughs = lines("a0: &a0 [x, x, x, x, x, x, x, x, x]\n", 12, |at| {
        format!("a{}: &a{0} [{}]", at + 1, vec![format!("*a{at}"); 9].join(", "))
    });
    vec![
        bomb(
            "kustomization-aliases",
            vec![file("kustomization.yaml", laughs.clone())],
            &["kustomization.yaml", "aliases make up too much"],
        ),
        bomb(
            "openapi-aliases",
            vec![
                file("kustomization.yaml", "resources: [all.yaml]\nopenapi: {path: types.yaml}\n".to_owned()),
                file("types.yaml", laughs),
                one(),
            ],
            &["types.yaml", "aliases make up too much"],
        ),
        bomb(
            "copies",
            vec![
                operations(40, |at| json!({"op": "copy", "from": "/data", "path": format!("/data/k{at}")})),
                one(),
            ],
            &["kustomization.yaml", "the object would take more than"],
        ),
        bomb(
            "tests",
            vec![
                operations(2_500, |_| json!({"op": "test", "path": "/data/a", "value": "b"})),
                file("all.yaml", objects(2_500, "data: {a: b}\n")),
            ],
            &["are applied to objects more than"],
        ),
        bomb(
            "labels",
            vec![
                steps("labels", 3_000, |at| format!("- pairs: {{l{at}: v}}")),
                file("all.yaml", objects(3_000, "data: {a: b}\n")),
            ],
            &["are applied to objects more than"],
        ),
        bomb(
            "values",
            vec![
                steps("replacements", 60, |_| {
                    "- source: {kind: ConfigMap, fieldPath: data.a}\n  targets: [{select: {kind: ConfigMap}, fieldPaths: \
                     [data.a], options: {delimiter: b, index: -1}}]"
                        .to_owned()
                }),
                file("all.yaml", map("a", "data: {a: xbx}\n")),
            ],
            &["replacements", "to all objects together"],
        ),
        bomb(
            "environments",
            vec![
                file(
                    "kustomization.yaml",
                    format!(
                        "configMapGenerator:\n- name: a\n  envs: [{}]\n",
                        vec!["all.env"; 500].join(", ")
                    ),
                ),
                file("all.env", lines("", 30_000, |at| format!("K{at}=v"))),
            ],
            &["kustomization.yaml:2", "is duplicated"],
        ),
        bomb(
            "files",
            vec![
                steps("configMapGenerator", 2_000, |at| format!("- {{name: g{at}, files: [large.txt]}}")),
                file("large.txt", large()),
                one(),
            ],
            &["generators put more than"],
        ),
    ]
}

/// What no limit refuses, and what takes long: a mapping with very many keys, that is looked through again and again.
pub fn slow() -> Vec<(String, String)> {
    let keys = lines("data:\n", 40_000, |at| format!("  k{at}: v"));
    let steps = lines("resources: [all.yaml]\npatches:\n", 300, |_| {
        format!(
            "- target: {{kind: ConfigMap}}\n  patch: |\n{}",
            lines("    kind: ConfigMap\n    metadata: {name: any}\n    data:\n", 20, |at| format!(
                "      k{}: w",
                39_999 - at
            ))
        )
    });
    vec![file("kustomization.yaml", steps), file("all.yaml", map("a", &keys))]
}
