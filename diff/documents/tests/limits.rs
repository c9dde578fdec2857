//! What no file can do to the reader: encodings, bombs, depth, and bytes of any kind.
//!
//! Pure.

use std::fmt::Write as _;
use std::time::{Duration, Instant};

use holdfast_documents::yaml::{Tree, manifests, read};
use serde_json::json;

/// The errors of a file, one a line.
fn errors(text: &[u8]) -> String {
    let (_, errors) = read("x.yaml", text);
    errors.iter().fold(String::new(), |lines, error| lines + &error.to_string() + "\n")
}

#[test]
fn a_byte_order_mark_and_windows_line_ends_are_no_part_of_the_text() {
    let (documents, errors) =
        read("x.yaml", b"\xEF\xBB\xBFa: |\r\n  one\r\n  two\r\nb: c\r\n---\r\nd: 1\r\n");
    assert_eq!(errors, []);
    let values: Vec<_> = documents.iter().map(|document| (document.line, document.value.clone())).collect();
    assert_eq!(values, [(1, json!({"a": "one\ntwo\n", "b": "c"})), (6, json!({"d": 1}))]);
}

#[test]
fn other_encodings_are_refused_with_their_place() {
    assert_eq!(
        errors(b"a: b\nc: \xFF\n"),
        "x.yaml:2:4: the file is not valid UTF-8 here: save it as UTF-8\n"
    );
    assert_eq!(errors(b"\xFF\xFEa\0"), "x.yaml:1:1: the file is UTF-16: save it as UTF-8\n");
    assert!(errors(b"a: \"\x07\"").starts_with("x.yaml:1:5: YAML allows no control character '\\u{7}'"));
}

#[test]
fn columns_count_characters() {
    assert!(errors("a: {é: 1, ü: 2, é: 3}".as_bytes()).starts_with("x.yaml:1:17: the key `é`"));
}

#[test]
fn spans_are_the_bytes_of_a_node_as_written() {
    let text = "a: &x \"one\"\n---\nimages:\n  - {tag: 'é', name: web} # note\n";
    let (documents, _) = read("x.yaml", text.as_bytes());
    let tree = &documents[1].tree;
    let item = tree.entry(Tree::ROOT, "images").and_then(|(_, images)| tree.item(images, 0));
    let (_, tag) = item.and_then(|item| tree.entry(item, "tag")).expect("the item has a tag");
    let spans =
        [item, Some(tag)].map(|id| id.and_then(|id| tree.node(id)).map(|node| &text[node.span.clone()]));
    assert_eq!(spans, [Some("{tag: 'é', name: web}"), Some("'é'")]);
}

#[test]
fn alias_bombs_are_refused_soon() {
    let mut bomb = String::from("a0: &a0 [x, x, x, x, x, x, x, x, x]\n");
    for level in 1..12 {
        let aliases = vec![format!("*a{}", level - 1); 9].join(", ");
        let _ = writeln!(bomb, "a{level}: &a{level} [{aliases}]");
    }
    let start = Instant::now();
    assert!(errors(bomb.as_bytes()).contains("aliases make up too much of the document"));
    assert!(start.elapsed() < Duration::from_secs(10));
}

#[test]
fn an_alias_of_itself_is_refused() {
    assert!(errors(b"a: &a [*a]").starts_with("x.yaml:1:8: the anchor `&a` contains itself"));
    assert!(errors(b"a: &a {<<: *a}").contains("contains itself"));
}

#[test]
fn depth_ends_at_120_levels_whichever_way_it_is_reached() {
    let nested = |depth: usize| format!("{}{}", "[".repeat(depth), "]".repeat(depth));
    assert_eq!(errors(nested(120).as_bytes()), "");
    assert!(errors(nested(121).as_bytes()).contains("nested deeper than 120 levels"));
    assert!(errors(nested(100_000).as_bytes()).contains("nested deeper than 120 levels"));
    let block = (0..300).fold(String::new(), |text, depth| text + &" ".repeat(depth) + "a:\n");
    assert!(errors(block.as_bytes()).contains("nested deeper than 120 levels"));
    let mut chain = String::from("a0: &a0 x\n");
    for level in 1..200 {
        let _ = writeln!(chain, "a{level}: &a{level} [*a{}]", level - 1);
    }
    assert!(errors(chain.as_bytes()).contains("nested deeper than 120 levels"));
}

#[test]
fn no_bytes_make_the_reader_panic() {
    const SEED: &str = "apiVersion: v1\nkind: List\nitems:\n- &a {b: [1, 0x1F, 'c'], <<: *a}\n- ? !!int x\n  : |\n   \
                        text\n...\n%TAG ! x\n--- \"\\u12é\"\n{\"a\": 1} {}\n";
    const PIECES: [&[u8]; 24] = [
        b"\n",
        b"- ",
        b": ",
        b"---\n",
        b"...",
        b"{",
        b"}",
        b"[",
        b"]",
        b"&a",
        b"*a",
        b"<<: ",
        b"!!",
        b"\"",
        b"'",
        b"|",
        b"\t",
        b"#",
        b"\xFF",
        b"\xEF\xBB\xBF",
        b"\r",
        b"?",
        b"%",
        b"\xC3\xA9",
    ];
    let mut state = 0x9E37_79B9_7F4A_7C15_u64;
    let mut random = |below: usize| {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        usize::try_from(state >> 33).map_or(0, |number| number % below)
    };
    for _ in 0..20_000 {
        let mut text = SEED.as_bytes().to_vec();
        for _ in 0..=random(8) {
            let at = random(text.len() + 1);
            match random(4) {
                0 => text.truncate(at),
                1 => drop(text.drain(at..(at + random(9)).min(text.len()))),
                2 => drop(text.splice(at..at, [u8::try_from(random(256)).unwrap_or(0)])),
                _ => drop(text.splice(at..at, PIECES[random(PIECES.len())].iter().copied())),
            }
        }
        let (manifests, errors) = manifests("x.yaml", &text);
        assert!(manifests.iter().all(|manifest| manifest.origin.line > 0));
        assert!(errors.iter().all(|error| error.line() > 0));
    }
}
