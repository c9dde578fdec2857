//! What a build asks of its host: files within limits, remote bases, charts. Pure: the host is a table of files.

use std::collections::BTreeMap;
use std::sync::Arc;

use holdfast_kustomize::HelmChart;
use holdfast_kustomize::files::{Entry, FileKind, Files, FilesError, Resolved};
use holdfast_kustomize::yaml;
use holdfast_kustomize::{Host, LoadRestrictions, Options, build};

/// Files by path; some are what a URL names.
#[derive(Default)]
struct Table {
    files: BTreeMap<String, String>,
    remote: BTreeMap<String, String>,
}

impl Files for Table {
    fn resolve(&self, path: &str) -> Result<Option<Resolved>, FilesError> {
        let place = |kind| Ok(Some(Resolved { path: path.to_owned(), kind }));
        let folder = if path.is_empty() { String::new() } else { format!("{path}/") };
        if self.files.contains_key(path) {
            place(FileKind::File)
        } else if self.files.keys().any(|file| file.starts_with(&folder)) {
            place(FileKind::Folder)
        } else {
            Ok(None)
        }
    }

    fn read(&self, path: &str) -> Result<Option<Arc<[u8]>>, FilesError> {
        Ok(self.files.get(path).map(|text| text.as_bytes().into()))
    }

    fn list(&self, _: &str) -> Result<Option<Vec<Entry>>, FilesError> {
        Ok(None)
    }
}

impl Host for Table {
    fn remote(&self, url: &str) -> Result<String, FilesError> {
        self.remote.get(url).cloned().ok_or_else(|| FilesError(format!("{url} is not at hand")))
    }

    fn chart(&self, chart: &HelmChart, folder: &str) -> Result<Vec<u8>, FilesError> {
        let HelmChart { name, namespace, chart_home, .. } = chart;
        let data = format!("{{folder: {folder}, home: {chart_home}, namespace: {namespace}}}");
        Ok(format!("apiVersion: v1\nkind: ConfigMap\nmetadata: {{name: {name}}}\ndata: {data}\n")
            .into_bytes())
    }
}

const MAP: &str = "{apiVersion: v1, kind: ConfigMap, metadata: {name: a}}";

fn table(files: &[(&str, &str)], remote: &[(&str, &str)]) -> Table {
    let owned = |pairs: &[(&str, &str)]| {
        pairs.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect()
    };
    Table { files: owned(files), remote: owned(remote) }
}

/// What the folder `app` builds to, or why it does not.
fn built(table: &Table, options: &Options) -> String {
    match build(table, "app", options) {
        Ok(output) => {
            output.resources.iter().map(|(value, _)| yaml::write(value)).collect::<Vec<_>>().join("---\n")
        }
        Err(error) => error.to_string(),
    }
}

fn check(table: &Table, options: &Options, expected: &str) {
    assert_eq!(built(table, options), expected);
}

#[test]
fn a_remote_base_is_where_the_host_says() {
    let url = "https://git.example.com/team/bases//web?ref=v1";
    let files = [
        (
            "app/kustomization.yaml",
            "namePrefix: x-\nresources: ['https://git.example.com/team/bases//web?ref=v1']\n",
        ),
        (".remote/1/web/kustomization.yaml", "resources: [map.yaml, ../other]\n"),
        (".remote/1/web/map.yaml", MAP),
        (".remote/1/other/kustomization.yaml", "namespace: shop\n"),
    ];
    let expected = "apiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: x-a\n";
    check(&table(&files, &[(url, ".remote/1/web")]), &Options::default(), expected);
    let refused = "app/kustomization.yaml:2: https://git.example.com/team/bases//web?ref=v1 is not at hand";
    check(&table(&files, &[]), &Options::default(), refused);
}

#[test]
fn a_remote_base_sees_nothing_of_our_repository() {
    let url = "https://git.example.com/team/bases//web";
    let files = [
        ("app/kustomization.yaml", "resources: ['https://git.example.com/team/bases//web']\n"),
        (".remote/1/web/kustomization.yaml", "resources: [../../../secret]\n"),
        ("secret/kustomization.yaml", "namespace: shop\n"),
    ];
    let expected = ".remote/1/web/kustomization.yaml:1: `../../../secret` is outside of the remote repository \
                    https://git.example.com/team/bases//web";
    check(&table(&files, &[(url, ".remote/1/web")]), &Options::default(), expected);
    let files = [
        files[0],
        (".remote/1/web/kustomization.yaml", "resources: [../../../secret.yaml]\n"),
        ("secret.yaml", MAP),
    ];
    let options = Options { load_restrictions: LoadRestrictions::None, ..Options::default() };
    let said = built(&table(&files, &[(url, ".remote/1/web")]), &options);
    assert!(said.contains("is not in or below the folder"), "{said}");
}

#[test]
fn a_url_of_http_can_be_a_file() {
    let url = "https://example.com/a/b/map.yaml";
    let files = [
        ("app/kustomization.yaml", "resources: ['https://example.com/a/b/map.yaml']\n"),
        (".remote/map.yaml", MAP),
    ];
    let expected = "apiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: a\n";
    check(&table(&files, &[(url, ".remote/map.yaml")]), &Options::default(), expected);
}

#[test]
fn a_chart_is_rendered_by_the_host_if_that_is_allowed() {
    let base =
        "helmCharts: [{name: c}]\nconfigMapGenerator: [{name: g, options: {disableNameSuffixHash: true}}]\n";
    let files = [
        ("app/kustomization.yaml", "namespace: shop\nresources: [../base]\n"),
        ("base/kustomization.yaml", base),
    ];
    let table = table(&files, &[]);
    let options = Options { enable_helm: true, ..Options::default() };
    let expected = "apiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: g\n  namespace: shop\n---\napiVersion: v1\n\
                    data:\n  folder: base\n  home: charts\n  namespace: shop\nkind: ConfigMap\nmetadata:\n  name: c\n";
    check(&table, &options, expected);
    let refused = "base/kustomization.yaml:1: charts are not rendered unless that is allowed: allow it, or put the rendered \
                   objects here";
    check(&table, &Options::default(), refused);
}

#[test]
fn no_path_leaves_the_repository_whatever_is_allowed() {
    let options = Options { load_restrictions: LoadRestrictions::None, ..Options::default() };
    let files = [("app/kustomization.yaml", "resources: [../../etc/a.yaml]\n")];
    check(
        &table(&files, &[]),
        &options,
        "app/kustomization.yaml:1: `../../etc/a.yaml` leads out of the repository",
    );
    let files = [("app/kustomization.yaml", "resources: [../map.yaml]\n"), ("map.yaml", MAP)];
    let expected = "apiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: a\n";
    check(&table(&files, &[]), &options, expected);
}

#[test]
fn a_cycle_is_shown_with_its_way() {
    let files = [
        ("app/kustomization.yaml", "resources: [../b]\n"),
        ("b/kustomization.yaml", "components: [../c]\n"),
        ("c/kustomization.yaml", "kind: Component\nresources: [../app]\n"),
    ];
    let expected = "c/kustomization.yaml:2: a cycle of kustomizations: app → b → c → app: a base must not be, or contain, \
                    what refers to it";
    check(&table(&files, &[]), &Options::default(), expected);
}

#[test]
fn a_mistake_in_a_base_names_the_file_of_the_base() {
    let files = [
        ("app/kustomization.yaml", "resources: [../b]\n"),
        ("b/kustomization.yaml", "resources:\n- map.yaml\n- none.yaml\n"),
        ("b/map.yaml", MAP),
    ];
    let expected = "b/kustomization.yaml:3: `none.yaml` does not exist: correct the path, or add the file";
    check(&table(&files, &[]), &Options::default(), expected);
}

#[test]
fn a_long_chain_of_bases_ends_in_an_error_and_not_in_the_stack() {
    let file =
        |number: usize| (format!("{number}/kustomization.yaml"), format!("resources: [../{}]\n", number + 1));
    let files =
        (0..60).map(file).chain([("app/kustomization.yaml".to_owned(), "resources: [../0]\n".to_owned())]);
    let table = Table { files: files.collect(), ..Table::default() };
    let said = built(&table, &Options::default());
    assert!(said.contains("kustomizations are nested deeper than 40 levels"), "{said}");
}

/// The warnings of a build of the folder `app`.
fn warned(files: &[(&str, &str)]) -> Vec<String> {
    build(&table(files, &[]), "app", &Options::default()).map(|output| output.warnings).unwrap_or_default()
}

#[test]
fn what_kustomize_loses_is_told_with_file_and_line() {
    let second = MAP.replace("name: a", "name: b");
    let stream = format!("{MAP}\n{second}\n");
    let files = [("app/kustomization.yaml", "resources: [all.json]\n"), ("app/all.json", &*stream)];
    assert_eq!(
        built(&table(&files, &[]), &Options::default()),
        "apiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: a\n"
    );
    let expected = "app/all.json:2: kustomize does not read what follows here, so that it is lost: put `---` on a line before it, \
                    or move it to a file of its own";
    assert_eq!(warned(&files), [expected]);

    let two =
        [("app/kustomization.yaml", "resources: [map.yaml]\n---\nnamePrefix: x-\n"), ("app/map.yaml", MAP)];
    let expected = "app/kustomization.yaml:3: kustomize reads one document of this file, so that what follows here is lost: \
                    remove it";
    assert_eq!(warned(&two), [expected]);
    assert_eq!(
        warned(&[("app/kustomization.yaml", "---\n# x\n---\nresources: [map.yaml]\n---\n"), two[1]]),
        [""; 0]
    );
}

#[test]
fn what_kustomize_does_not_read_of_a_patch_is_warned_of() {
    let patched = |patch: &str, entry: &str| {
        let kustomization = format!("resources: [map.yaml]\npatches:\n- {entry}\n");
        let files =
            [("app/kustomization.yaml", &*kustomization), ("app/map.yaml", MAP), ("app/patch.yaml", patch)];
        warned(&files)
    };
    let unread = "kustomize does not read what follows here, so that it is lost: put `---` on a line before it, or move it to a \
                  file of its own";
    let second = "kustomize reads one document of this file, so that what follows here is lost: remove it";
    assert_eq!(
        patched(&format!("{MAP}\n{MAP}\n"), "path: patch.yaml"),
        [format!("app/patch.yaml:2: {unread}")]
    );
    let operations = "- {op: add, path: /data, value: {}}\n---\n- {op: remove, path: /data}\n";
    assert_eq!(
        patched(operations, "{path: patch.yaml, target: {kind: ConfigMap}}"),
        [format!("app/patch.yaml:3: {second}")]
    );
    let twice = "apiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: a\ndata: {a: b}\ndata: {c: d}\n";
    let lost = "one of two values is lost: the key `data` is set twice: remove one of the two";
    assert_eq!(patched(twice, "path: patch.yaml"), [format!("app/patch.yaml:6: {lost}")]);
    let inline = format!("patch: '{MAP} {MAP}'");
    assert_eq!(patched("", &inline), [format!("patch in the kustomization, line 1: {unread}")]);
    assert_eq!(patched(MAP, "path: patch.yaml"), [""; 0]);
}

#[test]
fn second_documents_of_replacements_and_configurations_are_warned_of() {
    for (field, text) in [
        ("replacements: [{path: more.yaml}]", "[]\n---\n[]\n"),
        ("configurations: [more.yaml]", "namePrefix: []\n---\nnamePrefix: []\n"),
        ("crds: [more.yaml]", "{}\n---\n{}\n"),
    ] {
        let kustomization = format!("resources: [map.yaml]\n{field}\n");
        let files =
            [("app/kustomization.yaml", &*kustomization), ("app/map.yaml", MAP), ("app/more.yaml", text)];
        let expected = "app/more.yaml:3: kustomize reads one document of this file, so that what follows here is lost: remove it";
        assert_eq!(warned(&files), [expected], "{field}");
    }
}

#[test]
fn items_of_a_list_that_become_one_are_told() {
    let pod = |ports: &str| {
        format!(
            "apiVersion: v1\nkind: Pod\nmetadata: {{name: dns}}\nspec: {{containers: [{{name: c, ports: {ports}}}]}}\n"
        )
    };
    let patch = "patches: [{patch: '{apiVersion: v1, kind: Pod, metadata: {name: dns, labels: {a: b}}}'}]\nresources: [pod.yaml]\n";
    let lossy = pod("[{containerPort: 53, name: tcp}, {containerPort: 53, protocol: UDP, name: udp}]");
    let found = warned(&[("app/kustomization.yaml", patch), ("app/pod.yaml", &lossy)]);
    let expected = "app/pod.yaml:1: Pod.v1.[noGrp]/dns.[noNs]: spec.containers.[c].ports: kustomize makes one item of \
                    {containerPort: 53, name: tcp} and {containerPort: 53, protocol: UDP, name: udp}, so that one of them is lost: \
                    set containerPort and protocol in both, and not to the same";
    assert_eq!(found, [expected]);
    for fine in [
        "[{containerPort: 53, protocol: TCP}, {containerPort: 53, protocol: UDP}]",
        "[{containerPort: 53}, {containerPort: 54}]",
        "[]",
    ] {
        assert_eq!(
            warned(&[("app/kustomization.yaml", patch), ("app/pod.yaml", &pod(fine))]),
            [""; 0],
            "{fine}"
        );
    }
}

#[test]
fn names_and_keys_that_read_as_other_types_are_kept_as_text() {
    for key in ["1", "1.5", "true", "null", "0x1", "2020-01-01", "yes"] {
        let kustomization = format!(
            "labels: [{{pairs: {{\"{key}\": x}}}}]\ncommonAnnotations: {{\"{key}\": x}}\n\
             configMapGenerator: [{{name: a, literals: [\"{key}=x\"], options: {{disableNameSuffixHash: true}}}}]\n"
        );
        let table = table(&[("app/kustomization.yaml", &kustomization)], &[]);
        let output = build(&table, "app", &Options::default()).unwrap_or_default();
        let texts = serde_json::json!({ key: "x" });
        let values: Vec<_> = output.resources.iter().map(|(value, _)| value).collect();
        assert_eq!(values.len(), 1, "{key}");
        assert_eq!(values[0]["data"], texts);
        assert_eq!(values[0]["metadata"]["labels"], texts);
        assert_eq!(values[0]["metadata"]["annotations"], texts);
    }
}
