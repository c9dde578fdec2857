//! YAML documents of all kinds of values, styles and comments.

use std::fmt::Write as _;

use proptest::prelude::*;
use proptest::sample::select;

/// A value and how it is written.
#[derive(Clone, Debug)]
pub enum Node {
    /// As it stands.
    Plain(String),
    Quoted(String),
    /// Lines after `|`.
    Block(String),
    List(Vec<Entry>),
    Map(Vec<(String, Entry)>),
}

#[derive(Clone, Debug)]
pub struct Entry {
    above: Option<String>,
    node: Node,
    beside: Option<String>,
}

/// A document: a mapping with something in it.
pub fn document() -> impl Strategy<Value = Node> {
    let node = leaf().prop_recursive(4, 24, 4, |inner| {
        let entry = entry(inner);
        prop_oneof![proptest::collection::vec(entry.clone(), 0..4).prop_map(Node::List), map(entry, 0..4),]
    });
    map(entry(node), 1..5)
}

fn map(entry: impl Strategy<Value = Entry>, size: std::ops::Range<usize>) -> impl Strategy<Value = Node> {
    let fields = proptest::collection::vec((key(), entry), size);
    fields.prop_map(|mut fields| {
        let mut seen = std::collections::HashSet::new();
        fields.retain(|(key, _)| key != "sops" && seen.insert(key.clone()));
        Node::Map(fields)
    })
}

fn entry(node: impl Strategy<Value = Node> + Clone) -> impl Strategy<Value = Entry> + Clone {
    let comment = || proptest::option::weighted(0.2, "[ -~äß]{0,12}");
    (comment(), node, comment()).prop_map(|(above, node, beside)| Entry { above, node, beside })
}

fn key() -> impl Strategy<Value = String> {
    prop_oneof![
        "[a-z]{1,6}",
        select(vec![
            "yes",
            "12",
            "a.b/c",
            "a:b",
            "über",
            "x_unencrypted",
            "null",
            "with space",
            "-",
            "#",
            "1.5"
        ])
        .prop_map(str::to_owned),
    ]
}

fn leaf() -> impl Strategy<Value = Node> {
    let plain = select(vec![
        "null",
        "true",
        "false",
        "0",
        "-17",
        "9007199254740993",
        "1.5",
        "-0.25",
        "1e3",
        "1e100",
        "~",
    ]);
    let special = select(vec![
        "",
        " ",
        "yes",
        "no",
        "0644",
        "1e3",
        "null",
        "~",
        "2001-12-14",
        "ENC[",
        "#x",
        "a: b",
        "- a",
        "\u{85}",
        "\u{2028}",
        "\u{feff}",
        "\t",
        "\r\n",
        "\\n",
        "\"",
        "'",
        "\u{7f}",
        "😀",
        "sops:",
        "---",
        "ENC[AES256_GCM,x]",
    ]);
    prop_oneof![
        plain.prop_map(|text| Node::Plain(text.to_owned())),
        any::<i64>().prop_map(|number| Node::Plain(number.to_string())),
        "[a-z]{1,8}( [a-z]{1,8})?"
            .prop_filter("reads as text", |text| ![
                "yes", "no", "on", "off", "y", "n", "true", "false", "null"
            ]
            .contains(&text.as_str()))
            .prop_map(Node::Plain),
        special.prop_map(|text| Node::Quoted(text.to_owned())),
        any::<String>().prop_map(Node::Quoted),
        "([a-zä#: ]{0,6}\n){1,3}"
            .prop_filter("begins with text", |text| text.starts_with(|c: char| c != ' ' && c != '\n')
                && !text.contains(" \n"))
            .prop_map(Node::Block),
    ]
}

/// The document as text.
pub fn text(document: &Node) -> String {
    let mut out = String::new();
    write(document, 0, &mut out);
    out
}

fn write(node: &Node, indent: usize, out: &mut String) {
    match node {
        Node::Map(fields) => {
            for (key, entry) in fields {
                line(indent, entry, &format!("{}:", serde_json::json!(key)), out);
            }
        }
        Node::List(items) => items.iter().for_each(|entry| line(indent, entry, "-", out)),
        Node::Plain(_) | Node::Quoted(_) | Node::Block(_) => {}
    }
}

fn line(indent: usize, entry: &Entry, start: &str, out: &mut String) {
    let Entry { above, node, beside } = entry;
    let space = " ".repeat(indent);
    if let Some(comment) = above {
        let _ = writeln!(out, "{space}# {comment}");
    }
    let beside = beside.as_ref().map_or_else(String::new, |comment| format!(" # {comment}"));
    let _ = match node {
        Node::Plain(text) => writeln!(out, "{space}{start} {text}{beside}"),
        Node::Quoted(text) => writeln!(out, "{space}{start} {}{beside}", quoted(text)),
        Node::Block(text) => {
            let lines: String = text.lines().fold(String::new(), |lines, line| match line {
                "" => lines + "\n",
                line => lines + &format!("{space}  {line}\n"),
            });
            write!(out, "{space}{start} |+\n{lines}")
        }
        Node::List(items) if items.is_empty() => writeln!(out, "{space}{start} []{beside}"),
        Node::Map(fields) if fields.is_empty() => writeln!(out, "{space}{start} {{}}{beside}"),
        Node::List(_) | Node::Map(_) => {
            let done = writeln!(out, "{space}{start}");
            write(node, indent + 2, out);
            done
        }
    };
}

/// Text in double quotes, with escapes for all that is not ASCII now and then.
fn quoted(text: &str) -> String {
    let mut out = String::from("\"");
    for c in text.chars() {
        match c {
            '"' | '\\' => out.extend(['\\', c]),
            ' '..='~' | 'ä'..='ü' => out.push(c),
            c if u32::from(c) < 0x1_0000 => {
                let _ = write!(out, "\\u{:04x}", u32::from(c));
            }
            c => {
                let _ = write!(out, "\\U{:08x}", u32::from(c));
            }
        }
    }
    out.push('"');
    out
}
