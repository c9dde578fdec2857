//! Targets: scalars, kustomizations and values of charts.

use super::{ImagePart, Target, run, target, written};

fn kustomization(name: Option<&str>) -> Target {
    Target::Kustomization { file: "./x.yaml".to_owned(), name: name.map(ToOwned::to_owned) }
}

fn values(path: &str) -> Target {
    Target::HelmValues { file: "x.yaml".to_owned(), path: path.to_owned() }
}

fn scalar(document: usize, path: &str, part: ImagePart) -> Target {
    Target::File { file: "x.yaml".to_owned(), document, path: path.to_owned(), part }
}

#[track_caller]
fn check(at: Target, what: &str, before: &str, after: &str) {
    let (found, problems, _) = run(&written(before), &target(at, what));
    assert_eq!(problems, [""; 0], "in {before:?}");
    assert_eq!(found, written(after), "from {before:?}");
}

#[track_caller]
fn refused(at: Target, what: &str, before: &str, expected: &str) {
    let before = written(before);
    let (after, problems, _) = run(&before, &target(at, what));
    assert_eq!(after, before);
    assert_eq!(problems.len(), 1, "{problems:?}");
    assert!(problems[0].starts_with(expected), "{problems:?}");
}

#[test]
fn a_scalar_is_named_by_its_path() {
    check(scalar(0, "/a", ImagePart::Image), "r.io/x:1.5", "a: q/y # why\n", "a: r.io/x:1.5 # why\n");
    check(
        scalar(1, "/l/1", ImagePart::Tag),
        "r.io/x:1.5",
        "a: 1\n---\nl: [a, b]\n",
        "a: 1\n---\nl: [a, \"1.5\"]\n",
    );
    check(scalar(0, "/a/0", ImagePart::Name), "r.io/x:1.5", "{\"a\":[\"q/y\"]}", "{\"a\":[\"r.io/x\"]}");
    check(scalar(0, "/a", ImagePart::Tag), "x:15", "{\"a\": 14}\n", "{\"a\": \"15\"}\n");
    check(scalar(0, "/a", ImagePart::Digest), "x@DIGEST", "a:\n", "a: DIGEST\n");
    refused(scalar(0, "/b", ImagePart::Tag), "x:1", "a: 1\n", "x.yaml:1: `/b` does not exist");
    refused(
        scalar(1, "/a", ImagePart::Tag),
        "x:1",
        "a: 1\n",
        "x.yaml:1: `/a` is in document 1, but the file holds 1",
    );
    refused(
        scalar(0, "/a", ImagePart::Tag),
        "x:1",
        "a: {b: 1}\n",
        "x.yaml:1: `/a` is a mapping, not a scalar",
    );
    refused(
        scalar(0, "/b", ImagePart::Tag),
        "x:1",
        "a: &n 2\nb: *n\n",
        "x.yaml:2: `/b` comes from the anchor `&n`",
    );
    refused(scalar(0, "/a", ImagePart::Tag), "x:1", "a: [\n", "x.yaml:1: a `[` is never closed");
    refused(
        scalar(0, "/a", ImagePart::Digest),
        "x:1",
        "a: sha256:1\n",
        "x.yaml:1: `/a` is to hold the digest, but none",
    );
}

#[test]
fn a_marker_and_a_target_of_one_scalar_agree_or_do_nothing() {
    let at = || scalar(0, "/a", ImagePart::Image);
    check(at(), "r.io/x:1.5", "a: q/y # <M>\n", "a: r.io/x:1.5 # <M>\n");
    let both = "x.yaml:1: `/a` is to hold both `r.io/x` and `r.io/x:1.5`: let one image set it";
    refused(at(), "r.io/x:1.5", "a: q/y # <M:name>\n", both);
    refused(at(), "r.io/x:1.5", "a: q/y # <M:tag>\n", "x.yaml:1: `/a` does not contain a tag");
    refused(
        at(),
        "r.io/x:1.5",
        "a: \"1.5\" # <M:tag>\n",
        "x.yaml:1: `/a` does not contain an image reference",
    );
}

#[test]
fn an_entry_of_a_kustomization_gets_its_tag() {
    let before = "images:\n  - name: nginx # why\n    newTag: v1 # tag\nresources: []\n";
    check(kustomization(None), "nginx:v2", before, &before.replace("v1", "v2"));
    check(kustomization(None), "nginx:1.10", before, &before.replace("v1", "\"1.10\""));
    check(kustomization(None), "docker.io/library/nginx:v2", before, &before.replace("v1", "v2"));
    check(kustomization(Some("nginx")), "r.io/mirror:v2", before, &before.replace("v1", "v2"));
    let before = "images:\n- {name: app, newName: r.io/a, newTag: 'v1'}\n- {name: r.io/b, newTag: v1}\n";
    check(
        kustomization(Some("app")),
        "r.io/c:v2",
        before,
        &before.replace("r.io/a", "r.io/c").replace("'v1'", "'v2'"),
    );
    check(kustomization(None), "r.io/b:v2", before, &before.replace(" v1}", " v2}"));
    check(kustomization(None), "r.io/a:v2", before, &before.replace("'v1'", "'v2'"));
}

#[test]
fn an_entry_without_a_tag_gets_one_in_its_own_style() {
    let at = || kustomization(Some("a"));
    let both = |before: &str, after: &str| check(at(), "r/x:v2", before, after);
    both("images:\n- name: a\n", "images:\n- name: a\n  newTag: v2\n");
    both("images:\n- name: a", "images:\n- name: a\n  newTag: v2");
    both(
        "images:\r\n  -   name: a # why\r\nx: 1\r\n",
        "images:\r\n  -   name: a # why\r\n      newTag: v2\r\nx: 1\r\n",
    );
    both("x: 1\r\nimages:\r\n- name: a", "x: 1\r\nimages:\r\n- name: a\r\n  newTag: v2");
    both(
        "images:\n-\n    name: \"a\"\n    newName: 'r/x'\n",
        "images:\n-\n    name: \"a\"\n    newName: 'r/x'\n    newTag: 'v2'\n",
    );
    both(
        "images:\n- newName: r/y\n  name: a\n\n# end\n",
        "images:\n- newName: r/x\n  newTag: v2\n  name: a\n\n# end\n",
    );
    both("images: [{name: a}]\n", "images: [{name: a, newTag: v2}]\n");
    both("images: [{name: a, }, {name: b}]\n", "images: [{name: a, newTag: v2, }, {name: b}]\n");
    both("images: [{ name: a }]\n", "images: [{ name: a, newTag: v2 }]\n");
    both("{\"images\":[{\"name\":\"a\"}]}", "{\"images\":[{\"name\":\"a\",\"newTag\":\"v2\"}]}");
    both("{\"images\": [{\"name\": \"a\"}]}", "{\"images\": [{\"name\": \"a\", \"newTag\": \"v2\"}]}");
    both("images: [{\"name\":\"a\"}]\n", "images: [{\"name\":\"a\", \"newTag\": \"v2\"}]\n");
    both(
        "{\"images\": [\n  {\n    \"name\": \"a\"\n  }\n]}\n",
        "{\"images\": [\n  {\n    \"name\": \"a\",\n    \"newTag\": \"v2\"\n  }\n]}\n",
    );
    check(
        at(),
        "r/x:1.10@DIGEST",
        "images:\n- name: a\n",
        "images:\n- name: a\n  newTag: \"1.10\"\n  digest: DIGEST\n",
    );
    check(
        at(),
        "r/x:v2@DIGEST",
        "images:\n- name: a\n  newTag: v1 # t\n",
        "images:\n- name: a\n  newTag: v2 # t\n  digest: DIGEST\n",
    );
    check(
        at(),
        "r/x:v2@DIGEST",
        "images: [{name: a, newTag: v1}]\n",
        "images: [{name: a, newTag: v2, digest: DIGEST}]\n",
    );
    check(
        at(),
        "r/x:v2@DIGEST",
        "images:\n- digest: sha256:0\n  name: a\n",
        "images:\n- digest: DIGEST\n  name: a\n  newTag: v2\n",
    );
    check(at(), "r/x@DIGEST", "images:\n- name: a\n", "images:\n- name: a\n  digest: DIGEST\n");
}

#[test]
fn an_entry_that_has_no_place_for_a_tag_is_a_problem() {
    let at = || kustomization(Some("a"));
    let no_form = "x.yaml:2: `/images/0/newTag` has no form here";
    refused(at(), "r/x:v2", "images:\n- ? name\n  : a\n", "x.yaml:3: `/images/0/newTag` has no form here");
    refused(at(), "r/x:v2", "images: [{\n name: a # why\n}]\n", no_form);
    refused(at(), "r/x:v2", "images:\n- name: |-\n    a\n", no_form);
    refused(
        at(),
        "r/x:v2",
        "n: &n {name: a}\nimages:\n- *n\n",
        "x.yaml:3: `/images/0/newTag` comes from the anchor `&n`",
    );
    refused(
        at(),
        "r/x:v2",
        "images:\n- &n\n  name: a\nother: *n\n",
        "x.yaml:3: a change of `/images/0/newTag` would change `/other/newTag`",
    );
}

#[test]
fn a_kustomization_without_the_entry_says_what_to_add() {
    let missing = "no `r.io/a` in `images`: add `- name: r.io/a` to the `images` of this kustomization";
    refused(kustomization(None), "r.io/a:v2", "resources: []\n", &format!("x.yaml:1: {missing}"));
    refused(kustomization(None), "r.io/a:v2", "r: []\nimages:\n- name: b\n", &format!("x.yaml:3: {missing}"));
    refused(kustomization(None), "r.io/a:v2", "- a\n", "x.yaml:1: document 0 of the file is not a mapping");
    refused(kustomization(None), "r.io/a:v2", "", "x.yaml:1: document 0 of the file is not a mapping");
}

#[test]
fn a_digest_that_would_stay_is_a_problem() {
    let entry = "images:\n- name: a\n  newTag: v1\n  digest: sha256:1\n";
    refused(
        kustomization(Some("a")),
        "r.io/a:v2",
        entry,
        "x.yaml:4: `/images/0/digest` pins a digest, and the image",
    );
    let chart = "image:\n  tag: v1\n  digest: sha256:1\n";
    refused(values(""), "r.io/a:v2", chart, "x.yaml:3: `/image/digest` pins a digest, and the image");
    check(values(""), "r.io/a:v2", "image: {tag: v1, digest: ''}\n", "image: {tag: v2, digest: ''}\n");
}

#[test]
fn a_target_is_done_as_a_whole_or_not_at_all() {
    let entry = "d: &d sha256:1\nimages:\n- name: a\n  newTag: v1\n  digest: *d\n";
    refused(
        kustomization(Some("a")),
        "r.io/a:v2@DIGEST",
        entry,
        "x.yaml:5: `/images/0/digest` comes from the anchor",
    );
    let chart = "image:\n  repository: b\n  tag: |\n    v1\n    v1\n";
    refused(values(""), "r.io/a:v2", chart, "x.yaml:3: `/image/tag` holds 2 lines");
    let chart = "image:\n  repository: r.io/b:v0 # {\"$imagepolicy\": \"ns:app\"}\n  tag: v1\n";
    refused(
        values(""),
        "r.io/a:v2",
        chart,
        "x.yaml:2: `/image/repository` is to hold both `r.io/a:v2` and `r.io/a`",
    );
}

#[test]
fn values_of_a_chart_are_set_where_they_are() {
    check(values(""), "r.io/a:v2", "image: r.io/a:v1\n", "image: r.io/a:v2\n");
    check(
        values(""),
        "r.io/a:v2",
        "image:\n  tag: \"\" # of the chart\n",
        "image:\n  tag: \"v2\" # of the chart\n",
    );
    check(
        values("/web"),
        "r.io/a:1.5",
        "image: x\nweb:\n  image: {repository: b, tag: 1.4}\n",
        "image: x\nweb:\n  image: {repository: r.io/a, tag: \"1.5\"}\n",
    );
    check(
        values(""),
        "docker.io/library/nginx:v2",
        "image:\n  repository: nginx\n  tag: v1\n",
        "image:\n  repository: nginx\n  tag: v2\n",
    );
    check(
        values(""),
        "r.io/a:v2@DIGEST",
        "image:\n  tag: v1\n  digest:\n",
        "image:\n  tag: v2\n  digest: DIGEST\n",
    );
    check(values(""), "r.io/a:v2@DIGEST", "image:\n  tag: v1@sha256:0\n", "image:\n  tag: v2@DIGEST\n");
    check(values(""), "r.io/a:v2", "{\"image\":{\"tag\":\"v1\"}}", "{\"image\":{\"tag\":\"v2\"}}");
}

#[test]
fn a_registry_of_its_own_stays_apart() {
    let before = "image:\n  registry: r.io\n  repository: a/b\n  tag: v1\n";
    check(values(""), "r.io/a/b:v2", before, &before.replace("v1", "v2"));
    check(
        values(""),
        "q.io/c:v2",
        before,
        &before.replace("v1", "v2").replace("r.io", "q.io").replace("a/b", "c"),
    );
    check(
        values(""),
        "c/d:v2",
        before,
        &before.replace("v1", "v2").replace("r.io", "docker.io").replace("a/b", "c/d"),
    );
    let hub = "image: {registry: docker.io, repository: bitnami/x, tag: v1}\n";
    check(values(""), "bitnami/x:v2", hub, &hub.replace("v1", "v2"));
    let empty = "image: {registry: \"\", repository: r.io/b, tag: v1}\n";
    check(values(""), "r.io/c:v2", empty, &empty.replace("v1", "v2").replace("r.io/b", "r.io/c"));
}

#[test]
fn values_with_nothing_to_set_are_a_problem() {
    refused(
        values("/a"),
        "r.io/a:v2",
        "image: x\n",
        "x.yaml:1: no `/a/image`: correct the path of the target",
    );
    refused(values(""), "r.io/a:v2", "image: [x]\n", "x.yaml:1: no `/image`");
    refused(
        values(""),
        "r.io/a:v2",
        "image: {repository: r.io/a}\n",
        "x.yaml:1: nothing in `/image` holds the tag of the image: add `tag:`",
    );
    refused(values(""), "r.io/a:v2", "", "x.yaml:1: document 0 of the file is not a mapping");
}
