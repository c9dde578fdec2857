//! Block scalars before and after an edit, byte for byte.

use serde_json::{Value, json};

use super::{check, refused};

#[test]
fn a_literal_keeps_its_indentation() {
    check("a: |\n  x\n  y\nb: 1\n", "/a", json!("z\n\n w\n"), "a: |\n  z\n\n   w\nb: 1\n");
    check("a: | # c\n   x\n", "/a", json!("#z\n"), "a: | # c\n   #z\n");
    check("- |\n x\n- y\n", "/0", json!("z\n"), "- |\n z\n- y\n");
    check("a:\n- &q |\n  x\n # foo\n- y\n", "/a/0", json!("z\n"), "a:\n- &q |\n  z\n # foo\n- y\n");
    check("a: |\n\n   x\n\n   y\n", "/a", json!("z\n"), "a: |\n   z\n");
    check("a: |\n   x\n", "/a", json!("\n\nz\n"), "a: |\n\n\n   z\n");
    check("# |\na: !!str # |\n  |\n  x\n", "/a", json!("z\n"), "# |\na: !!str # |\n  |\n  z\n");
    check("--- |\n x\n y\n", "", json!("z\n"), "--- |\n z\n");
    check("a: 1\n---\n# |\n--- |\n x\n", "/a", json!(2), "a: 2\n---\n# |\n--- |\n x\n");
    check("a: |\n  x\n", "/a", json!("y\tz\n"), "a: |\n  y\tz\n");
}

#[test]
fn the_chomping_indicator_follows_the_text() {
    check("a: |\n  x\nb: 1\n", "/a", json!("z"), "a: |-\n  z\nb: 1\n");
    check("a: |-\n  x\nb: 1\n", "/a", json!("z\n"), "a: |\n  z\nb: 1\n");
    check("a: |-\n  x\n\n# c\nb: 1\n", "/a", json!("z\n\n\n"), "a: |+\n  z\n\n\n# c\nb: 1\n");
    check("a: |+\n  x\n\n\n# c\nb: 1\n", "/a", json!("z\n\n\n"), "a: |+\n  z\n\n\n# c\nb: 1\n");
    check("a: |+\n  x\n\n\n# c\nb: 1\n", "/a", json!("z\n"), "a: |\n  z\n\n\n# c\nb: 1\n");
    check("a: |2-  # c\n    x\n  y\nb: 1\n", "/a", json!(" z\n"), "a: |2  # c\n   z\nb: 1\n");
    check("a: |-2\n    x\n", "/a", json!(" z"), "a: |-2\n   z\n");
}

#[test]
fn blank_lines_and_comments_behind_a_block_stay() {
    check("a: |-\n  x\n\n\n# comment\nb: 1\n", "/a", json!("z"), "a: |-\n  z\n\n\n# comment\nb: 1\n");
    check("a: |\n  x\n \n\nb: 1\n", "/a", json!("z\n"), "a: |\n  z\n \n\nb: 1\n");
    check("a: >\n  x\n # comment\nb: 1\n", "/a", json!("z\n"), "a: >\n  z\n # comment\nb: 1\n");
}

#[test]
fn line_ends_and_the_end_of_the_file_stay() {
    check("a: |\r\n  x\r\n  y\r\nb: 1\r\n", "/a", json!("z\nw\n"), "a: |\r\n  z\r\n  w\r\nb: 1\r\n");
    check("a: |\r\n  x\r\n", "/a", json!("z\n\n"), "a: |+\r\n  z\r\n\r\n");
    check("a: |\n  x", "/a", json!("z"), "a: |-\n  z");
    check("a: |\n  x", "/a", json!(1), "a: 1");
    // the line break is part of the value
    check("a: |\n  x", "/a", json!("z\n"), "a: |\n  z\n");
}

#[test]
fn what_no_block_holds_goes_between_double_quotes() {
    check("a: | # c\n  x\n  y\n\nb: 1\n", "/a", json!(" z"), "a: \" z\" # c\n\nb: 1\n");
    check("a: |\n  x\nb: 1\n", "/a", json!(""), "a: \"\"\nb: 1\n");
    check("a: |\n  x\nb: 1\n", "/a", json!("\n\n"), "a: \"\\n\\n\"\nb: 1\n");
    check("a: |\n  x\nb: 1\n", "/a", json!("y\r\n"), "a: \"y\\r\\n\"\nb: 1\n");
    check("a: |\n  x\nb: 1\n", "/a", json!("y\n \nz"), "a: \"y\\n \\nz\"\nb: 1\n");
    check("a: |+\n  x\n\nb: 1\n", "/a", json!("\ty"), "a: \"\\ty\"\n\nb: 1\n");
    check("a: |\nb: 1\n", "/a", json!("y\n"), "a: \"y\\n\"\nb: 1\n");
    check("a: |\n", "/a", json!("y"), "a: \"y\"\n");
    check("a: |\n # c\n# d\nb: 1\n", "/a", json!("\ry"), "a: \"\\ry\"\n# d\nb: 1\n");
}

#[test]
fn a_number_replaces_a_block() {
    check("a: |-  # c\n  1\nb: 1\n", "/a", json!(2), "a: 2  # c\nb: 1\n");
    check("- a: >\n   x\n\n- b\n", "/0/a", Value::Null, "- a: null\n\n- b\n");
}

#[test]
fn a_folded_text_stays_folded_on_one_line_and_becomes_literal_on_more() {
    check("a: >-\n  x\n  y\n\n  z\nb: 1\n", "/a", json!("one two"), "a: >-\n  one two\nb: 1\n");
    check("a: >-\n  x\n  y\n", "/a", json!("one\ntwo\n"), "a: |\n  one\n  two\n");
    check("a: >\n  x\n", "/a", json!("one "), "a: |-\n  one \n");
}

#[test]
fn lines_that_end_in_a_carriage_return_alone_are_left_to_people() {
    check("a: x\rb: |\n  y\n", "/a", json!("z"), "a: z\rb: |\n  y\n");
    refused("a: |\r  x\r", "/a", json!("z"), "x.yaml:1: `/a` has no form here");
}

#[test]
fn a_block_at_the_root_is_found_among_documents() {
    check("# |\n--- # >\n|-\n x\n", "", json!("z"), "# |\n--- # >\n|-\n z\n");
    check("|\n x\n", "", json!(2), "2\n");
    check(
        "\u{feff}%YAML 1.2\n--- !!str &a |\n x\n",
        "",
        json!("z"),
        "\u{feff}%YAML 1.2\n--- !!str &a |-\n z\n",
    );
}
