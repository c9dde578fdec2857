//! Files before and after an edit, byte for byte.

mod blocks;
mod fields;

use serde_json::{Value, json};

use super::{Edit, edit, line};
use crate::yaml::read;

fn one(before: &str, path: &str, value: &Value) -> Result<String, String> {
    let edits = [Edit { document: 0, path: path.to_owned(), value }];
    match edit("x.yaml", before.as_bytes(), &edits) {
        Ok(after) => Ok(String::from_utf8(after).expect("the edited file is UTF-8")),
        Err(error) => Err(error.to_string()),
    }
}

#[track_caller]
fn check(before: &str, path: &str, value: impl Into<Value>, after: &str) {
    let value = value.into();
    assert_eq!(one(before, path, &value).as_deref(), Ok(after), "{path} = {value} in {before:?}");
}

/// Refused, with these words at the start of the message.
#[track_caller]
fn refused(before: &str, path: &str, value: impl Into<Value>, message: &str) {
    let found = one(before, path, &value.into()).expect_err("the edit is refused");
    assert!(found.starts_with(message), "{found}");
    assert!(!found.ends_with('.'), "{found}");
}

#[test]
fn a_plain_scalar_stays_plain_where_that_reads_back() {
    check("a: one  # why\nb: 1\n", "/a", json!("two"), "a: two  # why\nb: 1\n");
    check("a:   one\n", "/a", json!(3), "a:   3\n");
    check("a: 5\n", "/a", json!(true), "a: true\n");
    check("a: 5\n", "/a", Value::Null, "a: null\n");
    check("a: x", "/a", json!("nginx:1.25.3"), "a: nginx:1.25.3");
    check("a: x\n", "/a", json!("10.0.0.1:8080"), "a: 10.0.0.1:8080\n");
    check("a: x\n", "/a", json!("a, [b] {c}?"), "a: a, [b] {c}?\n");
    check("- -x\n", "/0", json!("--level=2"), "- --level=2\n");
    check("a: x\n", "/a", json!("naïve café 😀"), "a: naïve café 😀\n");
    check("a: one\n  two # c\nb: 1\n", "/a", json!("three"), "a: three # c\nb: 1\n");
    check("x\n", "", json!("y y"), "y y\n");
    check("--- x\n...\n", "", json!("z"), "--- z\n...\n");
    check("? a\n: b\n", "/a", json!("c"), "? a\n: c\n");
}

#[test]
fn text_that_some_reader_takes_for_something_else_is_quoted() {
    let texts = [
        "6801028",
        "0192117",
        "1e3",
        "1e999",
        "yes",
        "on",
        "y",
        "No",
        "~",
        "null",
        "0x1F",
        "0xFFFFFFFFFFFFFFFFFF",
        "0o17",
        "0b101",
        "1_000",
        "1_0.5",
        "12:30:45",
        "-190:20:30.15",
        "2024-01-01",
        "2024-1-1T10:00:00Z",
        "2024-01-01 10:00:00",
        "=",
        "<<",
        "",
        " x",
        "x ",
        "a: b",
        "a:",
        "a #b",
        "- a",
        "-",
        "---",
        "--- a",
        "...",
        "?",
        "? a",
        ":",
        ": a",
        ",a",
        "[a",
        "]a",
        "{a",
        "}a",
        "#a",
        "&a",
        "*a",
        "!a",
        "|a",
        ">a",
        "'a",
        "%a",
        "@a",
        "`a",
        ".inf",
        "-.INF",
        ".nan",
        ".5",
        "5.",
        "+1",
        "true",
        "FALSE",
        "Null",
    ];
    for text in texts {
        check("a: x # c\n", "/a", json!(text), &format!("a: \"{text}\" # c\n"));
        check("- x\n", "/0", json!(text), &format!("- \"{text}\"\n"));
    }
    check("a: x\n", "/a", json!("\"q\""), "a: '\"q\"'\n");
    check("a: x\n", "/a", json!("{\"it's\": \"\\\\\"}"), "a: '{\"it''s\": \"\\\\\"}'\n");
    check("a: x\n", "/a", json!("one\ntwo\n"), "a: \"one\\ntwo\\n\"\n");
    check("a: x\n", "/a", json!("\"\t\\"), "a: \"\\\"\\t\\\\\"\n");
    check("a: x\n", "/a", json!("\r\u{7}\u{85}"), "a: \"\\r\\u0007\\u0085\"\n");
    check("a: x\n", "/a", json!("a\u{2028}\u{a0}\u{202e}\u{feff}"), "a: \"a\\u2028\\u00A0\\u202E\\uFEFF\"\n");
}

#[test]
fn text_that_no_reader_mistakes_is_not_quoted() {
    for text in [
        "1.2.3",
        "v1",
        "1Gi",
        "100m",
        "08:00-a",
        "2024-01-01-rc",
        "a#b",
        "a:b",
        "http://x/?y=1&z",
        "8080:8080",
    ] {
        check("a: x\n", "/a", json!(text), &format!("a: {text}\n"));
    }
}

#[test]
fn quotes_stay_while_they_can_hold_the_value() {
    check("a: 'x' # c\n", "/a", json!("it's"), "a: 'it''s' # c\n");
    check("a: 'x'\n", "/a", json!("5"), "a: '5'\n");
    check("a: 'x'\n", "/a", json!("one\ntwo"), "a: \"one\\ntwo\"\n");
    check("a: \"x\" # c\n", "/a", json!("say \"\\\""), "a: \"say \\\"\\\\\\\"\" # c\n");
    check("a: \"one\n  two\" # c\n", "/a", json!("x"), "a: \"x\" # c\n");
    check("a: \"1\"\n", "/a", json!(1), "a: 1\n");
    check("a: 'true'\n", "/a", json!(false), "a: false\n");
}

#[test]
fn numbers_are_written_as_every_reader_takes_them() {
    check("a: 0644 # octal\n", "/a", json!(420), "a: 0644 # octal\n");
    check("a: yes\n", "/a", json!(true), "a: yes\n");
    check("a: 1.0\n", "/a", json!(1), "a: 1.0\n");
    check("a: 0\n", "/a", json!(2.0), "a: 2\n");
    check("a: 0\n", "/a", json!(-1.5), "a: -1.5\n");
    check("a: 0\n", "/a", json!(1e21), "a: 1.0e+21\n");
    check("a: 0\n", "/a", json!(1.5e-9), "a: 1.5e-9\n");
    check("a: 0\n", "/a", json!(i64::MIN), "a: -9223372036854775808\n");
    check("a: 0\n", "/a", json!(u64::MAX), "a: 18446744073709551615\n");
}

#[test]
fn between_brackets_text_with_brackets_is_quoted() {
    check("{a: b, c: [d]} # x\n", "/a", json!("e f"), "{a: e f, c: [d]} # x\n");
    check("{a: b, c: [d]}\n", "/c/0", json!("nginx:2"), "{a: b, c: [nginx:2]}\n");
    for text in ["a,b", "a[", "]", "{", "a}", "a?b"] {
        check("x: {a: b}\n", "/x/a", json!(text), &format!("x: {{a: \"{text}\"}}\n"));
    }
    check("[a: b, c]\n", "/0/a", json!("x"), "[a: x, c]\n");
    check("- [\n  a, # one\n  b # two\n  ]\n", "/0/1", json!(2), "- [\n  a, # one\n  2 # two\n  ]\n");
}

#[test]
fn json_files_stay_json() {
    check("{\"a\": 1, \"b\": [2]}", "/a", json!("x"), "{\"a\": \"x\", \"b\": [2]}");
    check("[1, \"x\"]\n", "/0", json!("it\n"), "[\"it\\n\", \"x\"]\n");
    check("{\"a\":\"x\"}\n{\"b\":1}", "/a", json!(1e21), "{\"a\":1.0e+21}\n{\"b\":1}");
    check("\u{feff}{\"a\":null}", "/a", json!("😀\u{200b}"), "\u{feff}{\"a\":\"😀\\u200B\"}");
}

#[test]
fn anchors_tags_byte_order_marks_and_line_ends_stay() {
    check("a: &x one # c\nb: 2\n", "/a", json!("two"), "a: &x two # c\nb: 2\n");
    check("a: !!str 1\n", "/a", json!("2"), "a: !!str 2\n");
    check("a: !!str &x\n  'y' # c\n", "/a", json!("z"), "a: !!str &x\n  'z' # c\n");
    check("a: !!int \"1\"\n", "/a", json!(2), "a: !!int 2\n");
    check("a: !!float 1.5\n", "/a", json!(2.0), "a: !!float 2\n");
    check("\u{feff}a: b\r\nc: d\r\n", "/a", json!("é"), "\u{feff}a: é\r\nc: d\r\n");
    check("a: one\r\n  two\r\nb: c", "/a", json!(1), "a: 1\r\nb: c");
    check("\"é\": ü # ö\n", "/é", json!("ä"), "\"é\": ä # ö\n");
    check("a: b\t# c\n", "/a", json!("d"), "a: d\t# c\n");
}

#[test]
fn an_empty_value_is_written_behind_its_mark() {
    check("a:\nb: 1\n", "/a", json!("x"), "a: x\nb: 1\n");
    check("a:   # c\r\n", "/a", json!(1), "a: 1   # c\r\n");
    check("a:", "/a", json!(""), "a: \"\"");
    check("a:\n  b:\n\n  # c\nd: 1\n", "/a/b", json!("x"), "a:\n  b: x\n\n  # c\nd: 1\n");
    check("a: &x\nb: !!str # c\n", "/a", json!("z"), "a: &x z\nb: !!str # c\n");
    check("a: &x\nb: !!str # c\n", "/b", json!("1"), "a: &x\nb: !!str 1 # c\n");
    check("- \n-\n- # c\n- x\n", "/0", json!("y y"), "- y y \n-\n- # c\n- x\n");
    check("- \n-\n- # c\n- x\n", "/1", json!(1), "- \n- 1\n- # c\n- x\n");
    check("- \n-\n- # c\n- x\n", "/2", json!("z"), "- \n-\n- z # c\n- x\n");
    check("a:\n-\n-\n", "/a/0", json!("z"), "a:\n- z\n-\n");
    check("- - # c\n  - x\n", "/0/0", json!("z"), "- - z # c\n  - x\n");
    check("{a: , b:, c, \"d\":}\n", "/a", json!("x"), "{a: x , b:, c, \"d\":}\n");
    check("{a: , b:, c, \"d\":}\n", "/b", json!("x"), "{a: , b: x, c, \"d\":}\n");
    check("{a: , b:, c, \"d\":}\n", "/c", json!("x"), "{a: , b:, c: x, \"d\":}\n");
    check("{a: , b:, c, \"d\":}\n", "/d", json!("x"), "{a: , b:, c, \"d\": x}\n");
    check("? a #x:\n #y\n: # z\n", "/a", json!(1), "? a #x:\n #y\n: 1 # z\n");
}

#[test]
fn a_key_is_named_as_json_names_it() {
    check("yes: a\n0x1F: b\n", "/true", json!("c"), "yes: c\n0x1F: b\n");
    check("yes: a\n0x1F: b\n", "/31", json!("c"), "yes: a\n0x1F: c\n");
    check("a/b~c: {\"~1\": d}\n", "/a~1b~0c/~01", json!("e"), "a/b~c: {\"~1\": e}\n");
    check("'': x\n", "/", json!("x x"), "'': x x\n");
}

#[test]
fn an_own_key_behind_a_merge_can_be_edited() {
    let before = "m: &m {a: 1}\nx:\n  <<: *m\n  a: 2\n";
    check(before, "/x/a", json!(3), "m: &m {a: 1}\nx:\n  <<: *m\n  a: 3\n");
}

#[test]
fn several_documents_and_scalars_are_edited_at_once() {
    let before = "a: 1\n---\n# nothing\n---\nb: |\n  x\nc: &y y\nd: \n";
    let (two, text, three) = (json!(2), json!("z\n"), json!(3));
    let at = |document, path: &str, value| Edit { document, path: path.to_owned(), value };
    let edits = [at(1, "/d", &three), at(1, "/b", &text), at(0, "/a", &two), at(1, "/c", &two)];
    let after = edit("x.yaml", before.as_bytes(), &edits).expect("all edits can be made");
    let expected = "a: 2\n---\n# nothing\n---\nb: |\n  z\nc: &y 2\nd: 3 \n";
    assert_eq!(String::from_utf8_lossy(&after), expected);
}

#[test]
fn what_cannot_be_edited_is_refused_with_what_to_do() {
    let aliases = "# top\na: &x\n  b: 1\nc: *x\nd:\n  <<: *x\n  e: 1\nf: {e: 2, <<: *x}\ng: &g 1\nh: *g\n";
    refused(
        aliases,
        "/c/b",
        json!(2),
        "x.yaml:4: `/c/b` comes from the anchor `&x` on line 2, which other values use too",
    );
    refused(aliases, "/c", json!(2), "x.yaml:4: `/c` comes from the anchor `&x` on line 2");
    refused(aliases, "/h", json!(2), "x.yaml:10: `/h` comes from the anchor `&g` on line 9");
    refused(aliases, "/d/b", json!(2), "x.yaml:6: `/d/b` is merged in by `<<` from line 2");
    refused(aliases, "/a/b", json!(2), "x.yaml:4: changed elsewhere: the edit would change `/c/b` as well");
    refused(aliases, "/g", json!(2), "x.yaml:10: changed elsewhere: the edit would change `/h` as well");
    refused(
        "a: 1\n<<: [{b: 1}, {a: 2}]\n",
        "/a",
        json!(3),
        "x.yaml:1: `/a` is merged in by `<<` from line 2",
    );
    refused("a:\n  b: 1\n", "/a", json!(2), "x.yaml:2: `/a` is a mapping, not a scalar");
    refused("a: [1]\n", "/a", json!(2), "x.yaml:1: `/a` is a list, not a scalar");
    refused("a: 1\n", "/a", json!({}), "x.yaml:1: `/a` cannot become a mapping");
    refused("a:\n  b: 1\n", "/a/c", json!(2), "x.yaml:2: `/a/c` does not exist: this line has no `c`");
    refused("a: [1]\n", "/a/1", json!(2), "x.yaml:1: `/a/1` does not exist");
    refused("a: [1]\n", "/a/00", json!(2), "x.yaml:1: `/a/00` does not exist");
    refused("a: [1]\n", "/a/-", json!(2), "x.yaml:1: `/a/-` does not exist");
    refused("a: 1\n", "a", json!(2), "x.yaml:1: `a` does not exist");
    refused("a: 1\n", "/a/b", json!(2), "x.yaml:1: `/a/b` does not exist");
    refused("# no\n", "/a", json!(2), "x.yaml:1: `/a` is in document 0, but the file holds 0");
    refused("a: [\n", "/a", json!(2), "x.yaml:1:4: a `[` is never closed");
    refused("a: 1\na: 2\n", "/a", json!(2), "x.yaml:2:1: the key `a` is already set");
    refused("a: !!str 1\n", "/a", json!(2), "x.yaml:1: `/a` has a tag that does not allow");
    refused("a: !!int 1\n", "/a", json!("x"), "x.yaml:1: `/a` has a tag that does not allow");
    refused("? a\n? b\n", "/a", json!(1), "x.yaml:2: `/a` has no form here");
    refused("x\n", "", Value::Null, "x.yaml:1: `` has no form here");
}

#[test]
fn a_scalar_that_two_edits_name_is_refused() {
    let value = json!(2);
    let at = |path: &str| Edit { document: 0, path: path.to_owned(), value: &value };
    let error = edit("x.yaml", b"b: 1\na: 1\n", &[at("/a"), at("/b"), at("/a")]).expect_err("named twice");
    assert_eq!(error.to_string(), "x.yaml:2: `/a` is named by two edits: remove one of them");
}

#[test]
fn the_line_of_a_path_is_where_a_person_looks_for_it() {
    let text = "a: &x\n  b: 1\n\nc: |\n\n  x\nd: *x\ne:\n- f\n-\ng:\n";
    let (documents, _) = read("x.yaml", text.as_bytes());
    let lines =
        ["/a/b", "/c", "/d", "/d/b", "/e/0", "/e/1", "/g", "/h"].map(|path| line(&documents[0], path));
    assert_eq!(lines, [Some(2), Some(4), Some(7), Some(7), Some(9), Some(10), Some(11), None]);
}
