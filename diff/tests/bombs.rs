//! Small repositories that would expand to gigabytes, or to minutes: each ends soon, with a message that says where and why.
//!
//! Pure.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::sync::Arc;
use std::time::{Duration, Instant};

use holdfast_diff::budget::{Budget, Limits, Resource};
use holdfast_diff::files::{Entry, FileKind, Files, FilesError, Resolved};
use holdfast_diff::yaml;
use holdfast_kustomize::Host;
use holdfast_kustomize::{Options, build};

/// Files in memory, whose use is counted.
struct Table {
    files: BTreeMap<String, Arc<[u8]>>,
    budget: Budget,
}

impl Table {
    fn new(files: Vec<(String, String)>) -> Self {
        let bytes = files.into_iter().map(|(path, text)| (path, text.into_bytes().into())).collect();
        Self { files: bytes, budget: Budget::default() }
    }
}

impl Files for Table {
    fn resolve(&self, path: &str) -> Result<Option<Resolved>, FilesError> {
        self.spend(Resource::Visits, 1)?;
        let kind = if self.files.contains_key(path) {
            FileKind::File
        } else if self.files.keys().any(|file| file.starts_with(&format!("{path}/")) || path.is_empty()) {
            FileKind::Folder
        } else {
            return Ok(None);
        };
        Ok(Some(Resolved { path: path.to_owned(), kind }))
    }

    fn read(&self, path: &str) -> Result<Option<Arc<[u8]>>, FilesError> {
        self.spend(Resource::Visits, 1)?;
        let bytes = self.files.get(path).cloned();
        self.spend(Resource::Bytes, bytes.as_ref().map_or(0, |bytes| bytes.len()))?;
        Ok(bytes)
    }

    fn list(&self, _: &str) -> Result<Option<Vec<Entry>>, FilesError> {
        Ok(None)
    }

    fn budget(&self) -> Option<&Budget> {
        Some(&self.budget)
    }
}

impl Host for Table {}

/// Every bomb is small.
const SMALL: usize = 400_000;
/// Long enough for a build without optimisation on a machine that has other work.
const SOON: Duration = Duration::from_mins(1);

/// Builds a kustomization, which must fail with these words.
fn check(name: &str, files: &[(&str, String)], words: &[&str]) {
    check_within(Limits::default(), name, files, words);
}

/// The same, within other limits.
fn check_within(limits: Limits, name: &str, files: &[(&str, String)], words: &[&str]) {
    let size: usize = files.iter().map(|(_, text)| text.len()).sum();
    assert!(size < SMALL, "{name} has {size} bytes");
    let files = files.iter().map(|(path, text)| ((*path).to_owned(), text.clone())).collect();
    let started = Instant::now();
    let table = Table { budget: Budget::new(limits), ..Table::new(files) };
    let said = match build(&table, "", &Options::default()) {
        Ok(output) => format!("it built {} objects", output.resources.len()),
        Err(error) => error.to_string(),
    };
    assert!(words.iter().all(|word| said.contains(word)), "{name}: {said}");
    assert!(started.elapsed() < SOON, "{name} took {:?}", started.elapsed());
}

/// Reads a file as kubectl does, which must fail with these words.
fn check_plain(name: &str, text: &str, words: &[&str]) {
    assert!(text.len() < SMALL, "{name} has {} bytes", text.len());
    let started = Instant::now();
    let (manifests, errors) = yaml::manifests("bomb.yaml", text.as_bytes());
    let said = errors.first().map_or_else(|| format!("{} objects", manifests.len()), ToString::to_string);
    assert!(words.iter().all(|word| said.contains(word)), "{name}: {said}");
    assert!(started.elapsed() < SOON, "{name} took {:?}", started.elapsed());
}

fn map(name: &str, more: &str) -> String {
    format!("apiVersion: v1\nkind: ConfigMap\nmetadata: {{name: {name}}}\n{more}")
}

/// The texts of many numbers, one after the other.
fn each(count: usize, text: impl Fn(usize) -> String) -> String {
    (0..count).map(text).collect()
}

fn maps(count: usize) -> String {
    (0..count).fold(String::new(), |text, at| text + &map(&format!("m{at}"), "data: {a: b}\n") + "---\n")
}

/// One large text, and a line for each of many numbers.
fn repeated(head: &str, count: usize, line: impl Fn(usize) -> String) -> String {
    let mut text = head.to_owned();
    for at in 0..count {
        let _ = writeln!(text, "{}", line(at));
    }
    text
}

fn large() -> String {
    "x".repeat(90_000)
}

const ALIASES: &str = "aliases make up too much";

/// Texts of one file that repeat a part of it, by themselves.
fn repeating() -> Vec<(&'static str, String)> {
    let big = large();
    let scalar = map("a", &format!("data:\n  a: &a {big}\n"));
    let keys = map("a", &format!("a: &a {big}\nb:\n"));
    let merged: String = each(3000, |at| format!("k{at}: v, "));
    let list = "x, ".repeat(40_000);
    let (open, close): (String, String) = (each(100, |at| format!("&a{at} [")), "]".repeat(100));
    vec![
        ("a large text with many aliases", repeated(&scalar, 10_000, |at| format!("  k{at}: *a"))),
        ("a large key with many aliases", repeated(&keys, 10_000, |_| "- {*a : b}".to_owned())),
        (
            "a large mapping that is merged often",
            repeated(&map("a", &format!("a: &a {{{merged}}}\nb:\n")), 3000, |_| "- {<<: *a}".to_owned()),
        ),
        (
            "many documents that repeat a little less",
            (0..30)
                .map(|at| {
                    repeated(
                        &map(&format!("a{at}"), &format!("data:\n  a: &a {}\n", "x".repeat(3000))),
                        400,
                        |at| format!("  k{at}: *a"),
                    ) + "---\n"
                })
                .collect(),
        ),
        ("anchors within each other", map("a", &format!("data: {open}{list}{close}\n"))),
    ]
}

#[test]
fn what_a_file_repeats_is_bounded_for_kustomize() {
    for (name, text) in repeating() {
        let kustomization = "resources: [bomb.yaml]\n".to_owned();
        check(name, &[("kustomization.yaml", kustomization), ("bomb.yaml", text)], &["bomb.yaml", ALIASES]);
    }
}

#[test]
fn what_a_file_repeats_is_bounded_for_plain_files() {
    for (name, text) in repeating() {
        // An anchor by itself makes no copy here.
        let words: &[&str] =
            if name == "anchors within each other" { &["1 objects"] } else { &["bomb.yaml", ALIASES] };
        check_plain(name, &text, words);
    }
}

#[test]
fn mistakes_are_told_up_to_a_number() {
    let text = repeated("a: 1\n", 40_000, |_| "a: 1".to_owned());
    let (_, errors) = yaml::manifests("bomb.yaml", text.as_bytes());
    assert!((10..=200).contains(&errors.len()), "{} mistakes", errors.len());
}

/// Kustomizations of which each names two of the level below, twice as many ways with each level.
fn diamond(levels: usize, field: &str, kind: &str, leaf: &str) -> Vec<(String, String)> {
    let mut files = Vec::new();
    for level in 0..levels {
        for side in ["a", "b"] {
            let text = if level == 0 {
                leaf.to_owned()
            } else {
                let below = level - 1;
                format!("{kind}{field}: [../l{below}a, ../l{below}b]\n")
            };
            files.push((format!("l{level}{side}/kustomization.yaml"), text));
        }
    }
    let top = levels - 1;
    files.push(("kustomization.yaml".to_owned(), format!("{field}: [l{top}a, l{top}b]\n")));
    files
}

#[test]
fn a_diamond_of_bases_ends_at_a_number_of_kustomizations() {
    let component = "apiVersion: kustomize.config.k8s.io/v1alpha1\nkind: Component\n";
    for (field, kind, leaf) in [
        ("resources", "", "commonLabels: {a: b}\n".to_owned()),
        ("components", component, format!("{component}commonLabels: {{a: b}}\n")),
    ] {
        let files = diamond(20, field, kind, &leaf);
        let files: Vec<(&str, String)> =
            files.iter().map(|(path, text)| (path.as_str(), text.clone())).collect();
        check(field, &files, &["kustomization.yaml", "kustomizations", "fewer times"]);
    }
}

#[test]
fn what_steps_write_into_many_objects_is_bounded() {
    let (big, objects) = (large(), maps(1500));
    let target = "target: {kind: ConfigMap}";
    let copies: String = each(14, |at| format!("    - {{op: copy, from: /data, path: /data/c{at}}}\n"));
    let growth = "to all objects together";
    for (name, fields, word) in [
        ("labels", format!("commonLabels: {{a: {big}}}\n"), growth),
        ("annotations", format!("commonAnnotations: {{a: {big}}}\n"), growth),
        ("a prefix", format!("namePrefix: {big}\n"), "shorten it"),
        ("a suffix", format!("nameSuffix: {big}\n"), "shorten it"),
        ("a namespace", format!("namespace: {big}\n"), "shorten it"),
        ("an image", format!("images: [{{name: a, newName: {big}}}]\n"), "shorten it"),
        (
            "a strategic merge patch",
            format!(
                "patches:\n- {target}\n  patch: |\n    kind: ConfigMap\n    metadata: {{name: any}}\n    data: {{c: {big}}}\n"
            ),
            growth,
        ),
        (
            "a JSON patch",
            format!("patches:\n- {target}\n  patch: |\n    - {{op: add, path: /data/c, value: {big}}}\n"),
            growth,
        ),
        ("copies in a JSON patch", format!("patches:\n- {target}\n  patch: |\n{copies}"), growth),
        (
            "replacements",
            format!(
                "replacements:\n- sourceValue: {big}\n  targets:\n  - select: {{kind: ConfigMap}}\n    fieldPaths: [data.c]\n    \
                 options: {{create: true}}\n"
            ),
            growth,
        ),
    ] {
        let kustomization = format!("resources: [all.yaml]\n{fields}");
        let files = [("kustomization.yaml", kustomization), ("all.yaml", objects.clone())];
        check(name, &files, &[".yaml:", word]);
    }
}

#[test]
fn a_var_that_stands_often_is_bounded() {
    let used: String = each(2000, |at| format!("{{name: E{at}, value: $(BIG)}}, "));
    let pod = format!(
        "apiVersion: v1\nkind: Pod\nmetadata: {{name: p, annotations: {{big: {}}}}}\nspec: {{containers: [{{name: a, env: [{used}]}}]}}\n",
        large()
    );
    let vars = "resources: [pod.yaml]\nvars:\n- name: BIG\n  objref: {kind: Pod, name: p, apiVersion: v1}\n  fieldref: {fieldPath: metadata.annotations.big}\n";
    let files = [("kustomization.yaml", vars.to_owned()), ("pod.yaml", pod)];
    check("vars", &files, &["pod.yaml:1", "to all objects together"]);
}

#[test]
fn steps_of_bases_share_one_budget() {
    // No level adds more than a step may.
    let big = "x".repeat(20_000);
    let mut files = vec![("l0/kustomization.yaml".to_owned(), "resources: [all.yaml]\n".to_owned())];
    files.push(("l0/all.yaml".to_owned(), maps(1500)));
    for level in 1..=6 {
        let text = format!("resources: [../l{}]\ncommonAnnotations: {{k{level}: {big}}}\n", level - 1);
        files.push((format!("l{level}/kustomization.yaml"), text));
    }
    files.push(("kustomization.yaml".to_owned(), "resources: [l6]\n".to_owned()));
    let size: usize = files.iter().map(|(_, text)| text.len()).sum();
    assert!(size < 1_000_000, "{size}");
    let budget = Budget::new(Limits { memory: 100 * 1024 * 1024, ..Limits::default() });
    let table = Table { budget, ..Table::new(files) };
    let said = build(&table, "", &Options::default()).map(|_| "it built").map_err(|error| error.to_string());
    assert!(said.as_ref().is_err_and(|said| said.contains("bytes of memory")), "{said:?}");
}

#[test]
fn what_is_done_to_objects_is_counted_before_it_is_done() {
    let objects = maps(1000);
    let any = "{kind: ConfigMap}";
    let names = |kind: &str| each(4500, |at| format!("- {{name: n{at}, {kind}}}\n"));
    let images = format!("images:\n{}", names("newTag: x"));
    let replicas = format!("replicas:\n{}", names("count: 1"));
    let labels = format!("labels:\n{}", each(2000, |at| format!("- pairs: {{l{at}: x}}\n")));
    let add = |at: usize| format!("[{{\"op\": \"add\", \"path\": \"/data/k{at}\", \"value\": \"v\"}}]");
    let patches = each(2000, |at| format!("- {{target: {any}, patch: '{}'}}\n", add(at)));
    let replacements = each(2000, |at| {
        format!(
            "- {{sourceValue: a, targets: [{{select: {any}, fieldPaths: [data.b{at}], options: {{create: true}}}}]}}\n"
        )
    });
    let specs = each(7000, |at| format!("- {{path: a/b{at}/c, create: true}}\n"));
    for (name, fields, line) in [
        ("images", images, "kustomization.yaml:"),
        ("replicas", replicas, "kustomization.yaml:"),
        ("labels", labels, "kustomization.yaml:"),
        ("patches", format!("patches:\n{patches}"), ".yaml:"),
        ("replacements", format!("replacements:\n{replacements}"), "kustomization.yaml:3"),
        (
            "field specs",
            "configurations: [c.yaml]\ncommonLabels: {a: b}\n".to_owned(),
            "kustomization.yaml:3",
        ),
    ] {
        let files = [
            ("kustomization.yaml", format!("resources: [all.yaml]\n{fields}")),
            ("all.yaml", objects.clone()),
            ("c.yaml", if name == "field specs" { format!("commonLabels:\n{specs}") } else { String::new() }),
        ];
        let limits = Limits { work: 1_000_000, ..Limits::default() };
        check_within(limits, name, &files, &[line, "are applied to objects more than"]);
    }
}

#[test]
fn lists_that_are_merged_and_generators_are_counted_too() {
    let env = each(9000, |at| format!("{{name: e{at}}},"));
    let pod = format!(
        "apiVersion: v1\nkind: Pod\nmetadata: {{name: p}}\nspec: {{containers: [{{name: a, env: [{env}]}}]}}\n"
    );
    let files = [
        ("kustomization.yaml", "resources: [p.yaml]\npatches:\n- path: q.yaml\n- path: q.yaml\n".to_owned()),
        ("p.yaml", pod.clone()),
        ("q.yaml", pod),
    ];
    check("a list", &files, &["q.yaml:", "are applied to objects more than"]);
    let text = "x".repeat(300_000);
    let keys = each(400, |at| format!("  - k{at}=big.txt\n"));
    let files = [
        ("kustomization.yaml", format!("configMapGenerator:\n- name: g\n  files:\n{keys}")),
        ("big.txt", text.clone()),
    ];
    check("keys", &files, &["kustomization.yaml:2", "generators put more than"]);
    let many = each(400, |at| format!("- {{name: g{at}, files: [big.txt]}}\n"));
    let files = [("kustomization.yaml", format!("secretGenerator:\n{many}")), ("big.txt", text)];
    check("generators", &files, &["kustomization.yaml:", "generators put more than"]);
}
