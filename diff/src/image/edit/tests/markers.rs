//! Markers: where they count, what they set, and what is wrong with others.

use super::{DIGEST, ImagePart, check, refused, run, table, wanted};
use crate::image::edit::{Marker, Wanted, current, has_marker, is_candidate, markers};

#[test]
fn a_marker_counts_behind_a_scalar_of_any_style() {
    check("a: app # <M>\n", "a: r.io/app:2.0 # <M>\n");
    check("a: 'app' # <M>\n", "a: 'r.io/app:2.0' # <M>\n");
    check("a:   \"app\"   # <M>\nb: 1\n", "a:   \"r.io/app:2.0\"   # <M>\nb: 1\n");
    check("a: \"app\\\n  \" # <M>\n", "a: \"r.io/app:2.0\" # <M>\n");
    check("a: &n app # <M>\n", "a: &n r.io/app:2.0 # <M>\n");
    check("a: !!str app # <M>\n", "a: !!str r.io/app:2.0 # <M>\n");
    check("a: \"\" # <M>\n", "a: \"r.io/app:2.0\" # <M>\n");
    check("a: # <M>\nb: 1\n", "a: r.io/app:2.0 # <M>\nb: 1\n");
    check("a: ~ # <M>", "a: r.io/app:2.0 # <M>");
    check("app # <M>\n", "r.io/app:2.0 # <M>\n");
    check("--- app # <M>\n...\n", "--- r.io/app:2.0 # <M>\n...\n");
    check("? a\n: app # <M>\n", "? a\n: r.io/app:2.0 # <M>\n");
    check("a#b: app:x # <M>\n", "a#b: r.io/app:2.0 # <M>\n");
    check("é#: 'app' # <M>\n", "é#: 'r.io/app:2.0' # <M>\n");
}

#[test]
fn a_marker_counts_on_the_head_of_a_block() {
    check("a: | # <M>\n  app\nb: 1\n", "a: | # <M>\n  r.io/app:2.0\nb: 1\n");
    check("a: |- # <M>\n  app\n\nb: 1\n", "a: |- # <M>\n  r.io/app:2.0\n\nb: 1\n");
    check("a: >- # <M>\n    app\n# z\n", "a: >- # <M>\n    r.io/app:2.0\n# z\n");
    check("a: |+ # <M>\n  app\n\nb: 1\n", "a: |+ # <M>\n  r.io/app:2.0\n\nb: 1\n");
    check("- | # <M>\n  app\n", "- | # <M>\n  r.io/app:2.0\n");
    check("# <M>\n- |-\n  app\n", "# <M>\n- |-\n  r.io/app:2.0\n");
    check("a: &n !!str | # <M>\n  app\n", "a: &n !!str | # <M>\n  r.io/app:2.0\n");
    refused("a: | # <M>\n  app\n  y\n", &["x.yaml:1: `/a` holds 2 lines"]);
}

#[test]
fn a_marker_counts_between_brackets() {
    check("k: {a: app, # <M>\n b: y}\n", "k: {a: r.io/app:2.0, # <M>\n b: y}\n");
    check("k: {a: app # <M>\n , b: y}\n", "k: {a: r.io/app:2.0 # <M>\n , b: y}\n");
    check("k: [\n app, # <M>\n y # <V:tag>\n]\n", "k: [\n r.io/app:2.0, # <M>\n v2 # <V:tag>\n]\n");
    check("k: [\n # <M>\n app,\n y\n]\n", "k: [\n # <M>\n r.io/app:2.0,\n y\n]\n");
    check("{\n \"a\": \"app\" # <M>\n}\n", "{\n \"a\": \"r.io/app:2.0\" # <M>\n}\n");
}

#[test]
fn a_marker_counts_above_an_item_and_above_a_value_of_its_own_line() {
    check("# <M>\n- app\n- y\n", "# <M>\n- r.io/app:2.0\n- y\n");
    check("l:\n  - y\n\n  # <M>\n\n  - app\n", "l:\n  - y\n\n  # <M>\n\n  - r.io/app:2.0\n");
    check("l:\n# why\n# <M>\n# why\n- app\n", "l:\n# why\n# <M>\n# why\n- r.io/app:2.0\n");
    check("a:\n  # <M>\n  app\n", "a:\n  # <M>\n  r.io/app:2.0\n");
    check("- # <M>\n  app\n", "- # <M>\n  r.io/app:2.0\n");
    check("a: # <M>\n  app\nb: 1\n", "a: # <M>\n  r.io/app:2.0\nb: 1\n");
    check("a: &n # <M>\n  app\n", "a: &n # <M>\n  r.io/app:2.0\n");
    check("-\n# <M>\n- app\n", "-\n# <M>\n- r.io/app:2.0\n");
    check("-\n- # <M>\n-  # <V:tag>\n- y\n", "-\n- r.io/app:2.0 # <M>\n- v2  # <V:tag>\n- y\n");
    check("- |\n  x\n- # <M>\n  app\n", "- |\n  x\n- # <M>\n  r.io/app:2.0\n");
    check("- &n # <M>\n- y\n", "- &n r.io/app:2.0 # <M>\n- y\n");
    check("- ? a\n  : # <M>\n- app\n", "- ? a\n  : r.io/app:2.0 # <M>\n- app\n");
    check("--- # <M>\napp\n", "--- # <M>\nr.io/app:2.0\n");
    check("a: |\n  y\n# why\nl:\n# <M>\n- app\n", "a: |\n  y\n# why\nl:\n# <M>\n- r.io/app:2.0\n");
    check("- |\n  y\n# <M>\n- app\n", "- |\n  y\n# <M>\n- r.io/app:2.0\n");
}

#[test]
fn the_form_of_a_marker_is_that_of_json() {
    for marker in [
        "#{\"$imagepolicy\":\"ns:app\"}",
        "## {\"$imagepolicy\": \"ns:app\"}   ",
        "#\t{ \"$imagepolicy\" : \"ns:app\" }\t",
        "# {\"other\": \"app\", \"$imagepolicy\": \"ns:app\"}",
        "# {\"\\u0024imagepolicy\": \"x:y\", \"$imagepolicy\": \"ns:app\"}",
    ] {
        check(&format!("a: app {marker}\r\nb: 1\r\n"), &format!("a: r.io/app:2.0 {marker}\r\nb: 1\r\n"));
    }
}

#[test]
fn parts_of_an_image_have_their_own_markers() {
    check("a: x # <M:tag>\n", "a: \"2.0\" # <M:tag>\n");
    check("a: v1 # <V:tag>\n", "a: v2 # <V:tag>\n");
    check("a: app # <M:name>\n", "a: r.io/app # <M:name>\n");
    check("a: pin # <P>\n", "a: r.io/pin:3-x@DIGEST # <P>\n");
    check("a: x # <P:tag>\n", "a: 3-x # <P:tag>\n");
    check("a: # <P:digest>\n", "a: DIGEST # <P:digest>\n");
    let pinned = "sha256:0000000000000000000000000000000000000000000000000000000000000000";
    check(&format!("a: {pinned} # <P:digest>\n"), "a: DIGEST # <P:digest>\n");
    check(&format!("a: 1@{pinned} # <P:tag>\n"), "a: 3-x@DIGEST # <P:tag>\n");
    let unpinned = "x.yaml:1: `/a` is to hold the digest, but none is known: set `digest: IfNotPresent`";
    refused("a: sha256:0 # {\"$imagepolicy\": \"ns:app:digest\"}\n", &[unpinned]);
    let mut by_digest = table();
    by_digest.images[0].tag = None;
    by_digest.images[0].digest = Some(DIGEST.to_owned());
    let text = "a: app # {\"$imagepolicy\": \"ns:app\"}\nb: 1.5 # {\"$imagepolicy\": \"ns:app:tag\"}\n";
    let (after, problems, _) = run(text, &by_digest);
    assert_eq!(after, text.replacen("app", &format!("r.io/app@{DIGEST}"), 1));
    assert!(problems[0].starts_with("x.yaml:2: `/b` is to hold the tag, but"), "{problems:?}");
}

#[test]
fn a_tag_that_reads_as_a_number_or_a_date_is_quoted() {
    let tags = [
        "6801028",
        "0192117",
        "1e3",
        "yes",
        "on",
        "n",
        "0x1F",
        "0o17",
        "0b1",
        "1_000",
        "1.10",
        "1_0.5",
        "1.",
        "1e9999",
        "2024-01-01",
        "20240101",
        "null",
        "True",
        "1.e1",
        "00",
    ];
    for tag in tags {
        let wanted = wanted(&[("a", &format!("r/x:{tag}"))]);
        let text = |value: &str| format!("a: {value} # {{\"$imagepolicy\": \"ns:a:tag\"}}\n");
        assert_eq!(run(&text("v1"), &wanted).0, text(&format!("\"{tag}\"")));
        assert_eq!(run(&text("'v1'"), &wanted).0, text(&format!("'{tag}'")));
        assert_eq!(run(&text(&format!("\"{tag}\"")), &wanted).2.set, []);
    }
    for tag in ["v1", "1.2.3", "1.2.3-4", "6801028a", "2024-01-01-x", "1e", "latest", "1.25-alpine"] {
        let wanted = wanted(&[("a", &format!("r/x:{tag}"))]);
        let text = |value: &str| format!("a: {value} # {{\"$imagepolicy\": \"ns:a:tag\"}}\n");
        assert_eq!(run(&text("y"), &wanted).0, text(tag));
    }
}

#[test]
fn a_number_that_looks_like_the_tag_becomes_the_tag() {
    check("a: 1.10 # <N:tag>\n", "a: \"1.10\" # <N:tag>\n");
    check("a: !!str 1.10 # <N:tag>\n", "a: !!str 1.10 # <N:tag>\n");
}

#[test]
fn fluxs_own_files_become_what_flux_makes_of_them() {
    // The inputs and the answers of image-automation-controller's test of setters.
    let digest = DIGEST;
    let wanted = Wanted {
        namespace: "automation-ns".to_owned(),
        ..wanted(&[
            ("policy", "index.repo.fake/updated:v1.0.1"),
            ("unchanged", "image:v1.0.0"),
            ("policy-with-digest", "image:v1.0.0@DIGEST"),
        ])
    };
    let before = "---\nkind: CronJob\nspec:\n  schedule: \"*/1 * * * *\"\n  containers:\n  - name: c\n    \
        image: image:v1.0.0 # {\"$imagepolicy\": \"automation-ns:policy\"}\n  - name: d\n    \
        image: image:v1.0.0 # {\"$imagepolicy\": \"automation-ns:unchanged\"}\n";
    let after = before.replacen("image:v1.0.0 #", "index.repo.fake/updated:v1.0.1 #", 1);
    assert_eq!(run(before, &wanted).0, after);
    let before = "images:\n- name: container\n  \
        newName: replaced # {\"$imagepolicy\": \"automation-ns:policy:name\"}\n  \
        newTag: v1 # {\"$imagepolicy\": \"automation-ns:policy:tag\"}\n  \
        newDigest: sha256:1234 # {\"$imagepolicy\": \"automation-ns:policy-with-digest:digest\"}\n\
        patches:\n- patch: |\n    - op: replace\n      path: /a\n  target:\n    \
        image: image # {\"$imagepolicy\": \"automation-ns:policy-with-digest\"}\n";
    let after = before
        .replace("replaced #", "index.repo.fake/updated #")
        .replace("newTag: v1 #", "newTag: v1.0.1 #")
        .replace("sha256:1234 #", &format!("{digest} #"))
        .replace("image: image #", &format!("image: image:v1.0.0@{digest} #"));
    assert_eq!(run(before, &wanted).0, after);
    let other = "image: user:v1.0.0 # {\"$imagepolicy\": \"other-namespace:policy\"}\n";
    assert_eq!(run(other, &wanted).0, other);
    let commented =
        "a:\n  # # 컨테이너\n  spec: # 컨테이너\n    image: used:v1.0.0 # the comment must stay!\n";
    assert_eq!(run(commented, &wanted).0, commented);
}

#[test]
fn a_marker_that_does_not_read_is_a_problem_and_the_rest_goes_on() {
    let malformed = "x.yaml:1: this marker is malformed: write `# {\"$imagepolicy\": \"namespace:name\"}`";
    for marker in [
        "{\"$imagepolicy\": \"ns\"}",
        "{\"$imagepolicy\": \"ns:\"}",
        "{\"$imagepolicy\": \":app\"}",
        "{\"$imagepolicy\": \"\"}",
        "{\"$imagepolicy\": \"ns:app:\"}",
        "{\"$imagepolicy\": \"ns:app:tag:x\"}",
        "{\"$imagepolicy\": 1}",
        "{\"$imagepolicy\": \"ns:app\", \"app\": 1}",
        "{'$imagepolicy': 'ns:app'}",
        "{$imagepolicy: ns:app}",
        "{\"$imagepolicy\": \"ns:app\"",
        "{\"$imagepolicy\": \"ns:app\"} # why",
        "why {\"$imagepolicy\": \"ns:app\"}",
        "{\"$imagepolicys\": \"ns:app\"}",
    ] {
        refused(&format!("a: app # {marker}\n"), &[malformed]);
    }
    let part = "x.yaml:1: this marker names the part `tags`: write `tag`, `name` or `digest`";
    refused("a: x # {\"$imagepolicy\": \"ns:app:tags\"}\n", &[part]);
    let (after, problems, _) =
        run("a: x # {\"$imagepolicy\": 1}\nb: x # {\"$imagepolicy\": \"ns:v:tag\"}\n", &table());
    assert_eq!(after, "a: x # {\"$imagepolicy\": 1}\nb: v2 # {\"$imagepolicy\": \"ns:v:tag\"}\n");
    assert_eq!(problems.len(), 1);
}

#[test]
fn a_marker_that_belongs_to_no_scalar_is_a_problem() {
    for text in [
        "# <M>\na: app\n",
        "k:\n  # <M>\n  a: app\n",
        "k: {a: app} # <M>\n",
        "k: [app, y] # <M>\n",
        "k: [[app]] # <M>\n",
        "k: # <M>\n  a: app\n",
        "k: # <M>\n- app\n",
        "a: app\n# <M>\n",
        "k:\n  a: app\n  # <M>\nb: 1\n",
        "- # <M>\n  a: app\n",
        "- # <M>\n  - app\n",
        "- a: y\n  # <M>\n  b: app\n",
        "# <M>\n--- app\n",
        "[a\n# <M>\n]\n",
        "k: [\n app,\n] # <M>\n",
        "k: {a: , b: } # <M>\n",
    ] {
        let line = text.split("<M>").next().map_or(0, |before| before.matches('\n').count()) + 1;
        refused(text, &[&format!("x.yaml:{line}: this marker belongs to no value: put it on")]);
    }
    refused(
        "a: &n app\nb: *n # <M>\n",
        &["x.yaml:2: this marker follows an alias: put the same marker after its anchor on line 1 too"],
    );
    refused("a: &n {b: app}\nc: *n # <M>\n", &["x.yaml:2: this marker follows an alias of more than one"]);
    refused(
        "a:\n  <<: {b: app, # <M>\n    c: y}\n",
        &["x.yaml:2: this marker is in a mapping that `<<` merges"],
    );
}

#[test]
fn of_two_markers_the_one_on_the_line_counts() {
    let second =
        |line| format!("x.yaml:{line}: the value of this marker has another marker: remove one of them");
    refused("# <M>\n# <V:tag>\n- app\n", &[&second(1), &second(2)]);
    let text = "# {\"$imagepolicy\": \"ns:app\"}\n- app # {\"$imagepolicy\": \"ns:v:tag\"}\n";
    let (after, problems, _) = run(text, &table());
    assert_eq!(after, text.replace("- app", "- v2"));
    assert_eq!(problems, [second(1)]);
}

#[test]
fn text_that_only_speaks_of_markers_is_let_alone() {
    check("# image: app # <M>\n# use <M> here\na: b\n", "# image: app # <M>\n# use <M> here\na: b\n");
}

#[test]
fn an_anchor_is_changed_where_all_that_repeats_it_is_meant() {
    check("a: &n app # <M>\nb: *n\nc: {d: *n}\n", "a: &n r.io/app:2.0 # <M>\nb: *n\nc: {d: *n}\n");
    check(
        "a: &n {b: app} # x\nc: &m app # <M>\nd: *m # <M>\n",
        "a: &n {b: app} # x\nc: &m r.io/app:2.0 # <M>\nd: *m # <M>\n",
    );
    check("a: &n\n  i: app # <M>\nb:\n  <<: *n\n", "a: &n\n  i: r.io/app:2.0 # <M>\nb:\n  <<: *n\n");
    check("a: &n v1 # <V:tag>\nb: *n # <V:tag>\n", "a: &n v2 # <V:tag>\nb: *n # <V:tag>\n");
    let elsewhere =
        "x.yaml:1: a change of `/a` would change `/b` on line 2 as well: put the same marker behind";
    refused("a: &n v1 # <V:tag>\nb: *n\n", &[elsewhere]);
    refused(
        "a: &n v1 # <V:tag>\nb: *n # <M:tag>\n",
        &[
            elsewhere,
            "x.yaml:2: this marker follows an alias: put the same marker after its anchor on line 1",
        ],
    );
    let (after, problems, _) = run(
        "a: &n v1 # {\"$imagepolicy\": \"ns:v:tag\"}\nb: *n\nc: 1 # {\"$imagepolicy\": \"ns:v:tag\"}\n",
        &table(),
    );
    assert!(after.ends_with("\nc: v2 # {\"$imagepolicy\": \"ns:v:tag\"}\n"), "{after}");
    assert_eq!(problems.len(), 1, "{problems:?}");
}

#[test]
fn a_marker_inside_a_text_is_told_if_it_is_ours() {
    let buried = |line| format!("x.yaml:{line}: this marker is inside a string, where it is not a comment");
    refused("a: |\n  b: x\n  c: x # <M>\n", &[&buried(3)]);
    refused("a: >-\n  b: x # <M:tag>\n", &[&buried(2)]);
    refused("a: 'x # {\"$imagepolicy\": \"ns:app\"}'\n", &[&buried(1)]);
    check(
        "a: |\n  x # {\"$imagepolicy\": \"other:app\"}\n  $imagepolicy\n",
        "a: |\n  x # {\"$imagepolicy\": \"other:app\"}\n  $imagepolicy\n",
    );
}

#[test]
fn a_marker_that_stands_for_something_else_than_its_scalar_holds_is_a_problem() {
    let not = |line: u32, path: &str, what: &str| {
        format!("x.yaml:{line}: `{path}` does not contain {what}, which its marker")
    };
    refused(
        "images:\n- name: a\n  newTag: 1.0.0 # <M>\n",
        &[&not(3, "/images/0/newTag", "an image reference")],
    );
    refused("a: r.io/app:1 # <M:tag>\n", &[&not(1, "/a", "a tag")]);
    refused(
        "a: 5 # <M>\nb: KEY=1.0.0 # <M:tag>\n",
        &[&not(1, "/a", "an image reference"), &not(2, "/b", "a tag")],
    );
    refused("a: --image=r.io/app:1.0.0 # <M>\n", &[&not(1, "/a", "an image reference")]);
    refused("a: https://r.io/app:1.0.0 # <M>\n", &[&not(1, "/a", "an image reference")]);
    refused("a: x # <P:digest>\n", &[&not(1, "/a", "a digest")]);
    refused("a: 1.0.0 # <M:name>\n", &[&not(1, "/a", "a repository")]);
    refused("a: ${TAG} # <M:tag>\n", &[&not(1, "/a", "a tag")]);
}

#[test]
fn a_digest_in_git_is_not_dropped() {
    let lose =
        |path: &str| format!("x.yaml:1: `{path}` is pinned by a digest, which the new value would lose");
    refused("a: r.io/app:1@DIGEST # <M>\n", &[&lose("/a")]);
    refused("a: v1@DIGEST # <V:tag>\n", &[&lose("/a")]);
    let beside = "x.yaml:4: `/images/0/digest` pins a digest beside the tag";
    refused("images:\n- name: a\n  newTag: v1 # <V:tag>\n  digest: DIGEST\n", &[beside]);
    check(
        "images:\n- newTag: v1 # <P:tag>\n  digest: sha256:1 # <P:digest>\n",
        "images:\n- newTag: 3-x # <P:tag>\n  digest: DIGEST # <P:digest>\n",
    );
}

#[test]
fn a_file_that_cannot_be_read_is_a_problem_if_it_has_markers() {
    refused(
        "a: app # <M>\n<<<<<<< HEAD\nb: 1\n=======\nb: 2\n>>>>>>> main\n",
        &["x.yaml:2: a merge conflict begins here"],
    );
    refused("a: {{ .Values.a }} # <M>\n{{- if .Values.b }}\n{{ end }}\n", &["x.yaml:"]);
    refused("a: [ # <M>\n", &["x.yaml:1: a `[` is never closed"]);
    refused("a: {{ .Values.a }}\n{{- if .Values.b }}\n{{ end }}\n", &[]);
    refused("<<<<<<< HEAD\nb: 1\n=======\nb: 2\n>>>>>>> main\n", &[]);
    refused("a: [\n", &[]);
    let bytes = b"a: \xFF # {\"$imagepolicy\": \"ns:app\"}\n";
    assert_eq!(markers("x.yaml", bytes).problems.len(), 1);
    assert_eq!(markers("x.yaml", b"a: \xFF\n"), super::super::Found::default());
}

#[test]
fn markers_tell_what_stands_there() {
    let text = "a: 1\n---\n# nothing\n---\nspec:\n- a/b: 'x:1' # {\"$imagepolicy\": \"n:i:tag\"}\n\
        - 1.10 # {\"$imagepolicy\": \"m:j\"}\n";
    let found = markers("x.yaml", text.as_bytes());
    let marker = |path: &str, line, namespace: &str, name: &str, part, value: &str| Marker {
        document: 1,
        path: path.to_owned(),
        line,
        namespace: namespace.to_owned(),
        name: name.to_owned(),
        part,
        value: value.to_owned(),
    };
    let expected = [
        marker("/spec/0/a~1b", 6, "n", "i", ImagePart::Tag, "x:1"),
        marker("/spec/1", 7, "m", "j", ImagePart::Image, "1.10"),
    ];
    assert_eq!(found.markers, expected);
    assert!(found.problems.is_empty());
    assert!(!has_marker(b"image: imagepolicy"));
}

#[test]
fn a_marker_of_an_image_that_is_not_ours_is_told_apart() {
    let text = "a: x # {\"$imagepolicy\": \"ns:other\"}\nb: x # {\"$imagepolicy\": \"elsewhere:app\"}\n";
    let (after, problems, done) = run(text, &table());
    assert_eq!(after, text);
    assert!(problems.is_empty());
    assert_eq!(
        done.unknown.iter().map(|marker| (marker.line, marker.name.as_str())).collect::<Vec<_>>(),
        [(1, "other")]
    );
}

#[test]
fn an_image_of_which_nothing_was_selected_is_let_alone() {
    let mut wanted = table();
    wanted.images[0].tag = None;
    let text = "a: app # {\"$imagepolicy\": \"ns:app\"}\nb: app # {\"$imagepolicy\": \"ns:app:tag\"}\n";
    let (after, problems, done) = run(text, &wanted);
    assert_eq!((after.as_str(), problems.len(), done.unknown.len()), (text, 0, 0));
}

#[test]
fn a_setting_says_what_was_there() {
    let (_, _, done) = run("a: 'x:1' # {\"$imagepolicy\": \"ns:app\"}\n", &table());
    let setting = &done.set[0];
    assert_eq!((setting.image.as_str(), setting.line, setting.document), ("app", 1, 0));
    assert_eq!((setting.before.as_str(), setting.after.as_str()), ("x:1", "r.io/app:2.0"));
    let found = current(&setting.before, setting.part).expect("a reference");
    assert_eq!((found.repository.as_str(), found.tag.as_deref()), ("x", Some("1")));
}

#[test]
fn what_stands_at_a_part_is_read_as_that_part() {
    let read =
        |value: &str, part| current(&value.replace("DIGEST", DIGEST), part).map(|found| found.to_string());
    assert_eq!(read("a.b:5/c:1@DIGEST", ImagePart::Image), Some(format!("a.b:5/c:1@{DIGEST}")));
    assert_eq!(read("a/c", ImagePart::Name).as_deref(), Some("a/c"));
    assert_eq!(read("a/c:1", ImagePart::Name), None);
    assert_eq!(read("1.2\n", ImagePart::Tag).as_deref(), Some(":1.2"));
    assert_eq!(read("1.2@DIGEST", ImagePart::Tag), Some(format!(":1.2@{DIGEST}")));
    assert_eq!(read("DIGEST", ImagePart::Digest), Some(format!("@{DIGEST}")));
    assert_eq!(read("", ImagePart::Tag), None);
    assert_eq!(read("a b", ImagePart::Image), None);
}

#[test]
fn files_are_candidates_by_their_names() {
    for name in ["a.yaml", "a.yml", "Kustomization", "x/y.z.yaml", "x/Kustomization"] {
        assert!(is_candidate(name), "{name}");
    }
    for name in ["a.json", "a.yaml.bak", "yaml", "kustomization", "a.tpl", "README.md"] {
        assert!(!is_candidate(name), "{name}");
    }
}
