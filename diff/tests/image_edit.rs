//! Images in generated files: outside of the marked scalars no byte changes, comments survive, and a second
//! run finds nothing to do.

#[path = "../documents/tests/edit/generate.rs"]
mod generate;

use std::collections::BTreeSet;
use std::ops::Range;

use generate::{File, Scalar, files};
use holdfast_diff::image::edit::{
    Cause, ImagePart, Marker, Setting, Settings, Target, Wanted, WantedImage, apply, markers, settings,
};
use holdfast_diff::yaml::read;
use proptest::prelude::*;
use proptest::sample::{Index, select};
use serde_json::{Value, json};

/// What the generator writes behind some scalars and block heads.
const COMMENT: &str = "# why | not";

const TAGS: [&str; 18] = [
    "v1.2.3",
    "latest",
    "6801028",
    "0192117",
    "1e3",
    "1.10",
    "yes",
    "n",
    "null",
    "0x1F",
    "1_000",
    "2024-01-01",
    "0o17",
    "1.",
    "x",
    "1.25-alpine",
    "_",
    "a.b",
];

/// What damages a file.
const PIECES: [&str; 16] = [
    "",
    "\n",
    " ",
    "- ",
    ": ",
    ",",
    "}",
    "]",
    "\"",
    "'",
    "| ",
    "# ",
    "&n0 ",
    "*n0",
    "---\n",
    "# {\"$imagepolicy\": \"ns:i0\"}\n",
];

const NEWS: &str = "sha256:6745aaad46d795c9836632e1fb62f24b7e7f4c843144da8e47a5465c411a14be";

/// A file with markers in place of comments, and the marked scalars in the order of the text.
#[derive(Debug)]
struct Marked {
    text: String,
    scalars: Vec<Scalar>,
}

/// Marker `k` names the image `ik`; every other one its tag alone.
fn marked(file: &File) -> Marked {
    let (mut text, mut scalars, mut from) = (String::new(), Vec::new(), 0);
    for (at, _) in file.text.match_indices(COMMENT) {
        let holds = |range: &Range<usize>| range.end + 2 == at || range.contains(&at);
        let Some(scalar) = file.scalars.iter().find(|scalar| holds(&scalar.range)) else { continue };
        let number = scalars.len();
        let part = if number.is_multiple_of(2) { ":tag" } else { "" };
        let marker = format!("# {{\"$imagepolicy\": \"ns:i{number}{part}\"}}");
        text.extend([&file.text[from..at], &marker]);
        from = at + COMMENT.len();
        let start = scalar.range.start + text.len() - marker.len() - at;
        let grown = if scalar.range.contains(&at) { marker.len() - COMMENT.len() } else { 0 };
        let range = start..start + scalar.range.len() + grown;
        scalars.push(Scalar { range, ..scalar.clone() });
    }
    text.push_str(&file.text[from..]);
    Marked { text, scalars }
}

fn images(tags: &[&str]) -> Wanted {
    let image = |(number, tag): (usize, &&str)| WantedImage {
        name: format!("i{number}"),
        repository: format!("r.io/i{number}"),
        tag: Some((*tag).to_owned()),
        ..WantedImage::default()
    };
    Wanted { namespace: "ns".to_owned(), images: tags.iter().enumerate().map(image).collect() }
}

fn documents(text: &[u8]) -> Vec<Value> {
    let (documents, errors) = read("x.yaml", text);
    assert!(errors.is_empty(), "{errors:?} in {:?}", String::from_utf8_lossy(text));
    documents.into_iter().map(|document| document.value).collect()
}

fn place(setting: &Setting) -> String {
    format!("{}:{}", setting.document, setting.path)
}

fn done(text: &str, wanted: &Wanted) -> (Settings, Vec<u8>) {
    let found = settings("x.yaml", text.as_bytes(), wanted);
    let after = apply("x.yaml", text.as_bytes(), &found.set).expect("what was found can be made");
    (found, after)
}

/// The documents with the settings made in them.
fn with(text: &[u8], made: &[Setting]) -> Vec<Value> {
    let mut documents = documents(text);
    for setting in made {
        for path in setting.repeats.iter().chain([&setting.path]) {
            let scalar = documents[setting.document].pointer_mut(path).expect("the scalar is there");
            *scalar = json!(setting.after);
        }
    }
    documents
}

/// The bytes that two texts have in common at their start, and at their end behind those.
fn shared(one: &[u8], other: &[u8]) -> usize {
    let start = one.iter().zip(other).take_while(|(a, b)| a == b).count();
    let (one, other) = (&one[start..], &other[start..]);
    start + one.iter().rev().zip(other.iter().rev()).take_while(|(a, b)| a == b).count()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1000))]

    #[test]
    fn every_marker_is_found_at_its_scalar(file in files()) {
        let Marked { text, scalars } = marked(&file);
        let found = markers("x.yaml", text.as_bytes());
        prop_assert!(found.problems.is_empty(), "{:?} in {:?}", found.problems, text);
        let place = |marker: &Marker| format!("{}:{}", marker.document, marker.path);
        let places: Vec<String> = found.markers.iter().map(place).collect();
        let expected: Vec<&str> = scalars.iter().map(|scalar| scalar.place.as_str()).collect();
        prop_assert_eq!(places, expected, "{:?}", text);
        let names: Vec<String> = found.markers.iter().map(|marker| marker.name.clone()).collect();
        prop_assert_eq!(names, (0..scalars.len()).map(|number| format!("i{number}")).collect::<Vec<_>>());
    }

    #[test]
    fn a_marked_scalar_changes_and_nothing_else(
        file in files(),
        pick in any::<Index>(),
        tag in select(&TAGS[..]),
    ) {
        let Marked { text, scalars } = marked(&file);
        if scalars.is_empty() {
            return Ok(());
        }
        let number = pick.index(scalars.len());
        let scalar = &scalars[number];
        let images = vec![images(&[tag; 99]).images.remove(number)];
        let wanted = Wanted { namespace: "ns".to_owned(), images };
        let (found, after) = done(&text, &wanted);
        prop_assert_eq!(found.unknown.len(), scalars.len() - 1);
        if let [problem] = &found.problems[..] {
            prop_assert!(matches!(problem.cause, Cause::Lines { .. } | Cause::Unfit { .. }), "{}", problem);
            prop_assert_eq!(&after, text.as_bytes());
            return Ok(());
        }
        let is_it = found.set.iter().all(|setting| place(setting) == scalar.place);
        prop_assert!(is_it, "{:?} {:?}", found, scalar.tagged);
        let (document, path) = scalar.place.split_once(':').expect("a place has a colon");
        let value = documents(&after)[document.parse::<usize>().expect("a number")].pointer(path).cloned();
        let value = value.as_ref().and_then(Value::as_str).map(|text| text.trim_end_matches('\n'));
        let whole = format!("r.io/i{number}:{tag}");
        prop_assert_eq!(value, Some(if number.is_multiple_of(2) { tag } else { &whole }));
        let old = &text[scalar.range.clone()];
        let blank = text[scalar.range.end..].bytes().take_while(|byte| b"\r\n".contains(byte)).count();
        let end = scalar.range.end + if old.starts_with(['|', '>']) { blank } else { 0 };
        prop_assert!(after.starts_with(&text.as_bytes()[..scalar.range.start]));
        prop_assert!(after.ends_with(&text.as_bytes()[end..]));
        prop_assert_eq!(documents(&after), with(text.as_bytes(), &found.set));
    }

    #[test]
    fn all_markers_of_a_file_are_set_at_once(
        file in files(),
        tags in prop::collection::vec(select(&TAGS[..]), 99),
    ) {
        let Marked { text, scalars } = marked(&file);
        let wanted = images(&tags);
        let (found, after) = done(&text, &wanted);
        prop_assert!(found.unknown.is_empty());
        let are_lines = found.problems.iter().all(|problem| matches!(problem.cause, Cause::Lines { .. } | Cause::Unfit { .. }));
        prop_assert!(are_lines, "{:?}", found);
        let before = documents(text.as_bytes());
        let had = markers("x.yaml", text.as_bytes()).markers.into_iter().zip(&tags).filter(|(marker, tag)| {
            let value = before[marker.document].pointer(&marker.path).and_then(Value::as_str);
            marker.part == ImagePart::Tag && value.map(|value| value.trim_end_matches('\n')) == Some(**tag)
        });
        let had = had.count();
        let set: BTreeSet<String> = found.set.iter().map(place).collect();
        prop_assert_eq!(set.len() + found.problems.len() + had, scalars.len(), "{:?}", found);
        prop_assert_eq!(documents(&after), with(text.as_bytes(), &found.set));
        let one_by_one = found.set.iter().try_fold(text.clone().into_bytes(), |text, setting| {
            apply("x.yaml", &text, std::slice::from_ref(setting))
        });
        prop_assert_eq!(one_by_one.as_ref(), Ok(&after));
        let after = String::from_utf8(after).expect("UTF-8");
        prop_assert_eq!(after.matches("# {\"$imagepolicy\"").count(), scalars.len(), "comments stay");
        prop_assert_eq!(after.matches("# note: |").count(), text.matches("# note: |").count());
        prop_assert_eq!(after.starts_with('\u{FEFF}'), text.starts_with('\u{FEFF}'));
        prop_assert_eq!(done(&after, &wanted).0.set, []);
    }

    #[test]
    fn a_damaged_file_is_set_right_or_not_at_all(
        file in files(),
        cuts in prop::collection::vec((any::<Index>(), 0_usize..3, select(&PIECES[..])), 1..6),
        tag in select(&TAGS[..]),
    ) {
        let mut text: Vec<char> = marked(&file).text.chars().collect();
        for (cut, length, piece) in cuts {
            let from = cut.index(text.len() + 1);
            let to = (from + length).min(text.len());
            text.splice(from..to, piece.chars());
        }
        let text: String = text.into_iter().collect();
        let wanted = images(&[tag; 99]);
        let (found, after) = done(&text, &wanted);
        prop_assert_eq!(after == text.as_bytes(), found.set.is_empty());
        if !found.set.is_empty() {
            prop_assert_eq!(documents(&after), with(text.as_bytes(), &found.set));
        }
        let after = String::from_utf8(after).expect("UTF-8");
        prop_assert_eq!(done(&after, &wanted).0.set, [], "a second time, in {:?}", text);
    }

    #[test]
    fn an_entry_gets_its_fields_and_nothing_else_changes(
        entry in entries(),
        tag in select(&TAGS[..]),
        pinned: bool,
    ) {
        let target = Target::Kustomization { file: "x.yaml".to_owned(), name: Some("a".to_owned()) };
        let mut wanted = images(&[tag]);
        wanted.images[0].digest = pinned.then(|| NEWS.to_owned());
        wanted.images[0].targets = vec![target];
        let (found, after) = done(&entry, &wanted);
        prop_assert!(found.problems.is_empty(), "{:?} in {:?}", found, entry);
        let mut expected = documents(entry.as_bytes());
        expected[0]["images"][1]["newTag"] = json!(tag);
        if pinned {
            expected[0]["images"][1]["digest"] = json!(NEWS);
        }
        prop_assert_eq!(documents(&after), expected);
        prop_assert_eq!(shared(entry.as_bytes(), &after), entry.len(), "{:?}", entry);
        let after = String::from_utf8(after).expect("UTF-8");
        prop_assert_eq!(done(&after, &wanted).0.set, []);
    }
}

/// Kustomizations in many styles with a second entry that is called `a`.
fn entries() -> impl Strategy<Value = String> {
    let name = select(vec!["a", "'a'", "\"a\"", "&x a", "!!str a"]);
    let style = (0_usize..4, 1_usize..4, any::<[bool; 4]>());
    (name, style, select(vec!["", " # why", "\t# {a"])).prop_map(|(name, style, comment)| {
        let (indent, gap, [crlf, bom, open, flow]) = style;
        let (dash, gap) = (" ".repeat(indent), " ".repeat(gap));
        let other = format!("{dash}-{gap}name: b{comment}\n{dash} {gap}newTag: v1\n");
        let entry = if flow {
            format!("{dash}-{gap}{{ {}name: {name} }}{comment}", if bom { "" } else { "x: 1,\n     " })
        } else {
            format!("{dash}-{gap}name: {name}{comment}")
        };
        let rest = if open { "" } else { "\n\n# end\nresources: []\n" };
        let text = format!("# first\nimages:{comment}\n{other}{entry}{rest}");
        let text = if bom { format!("\u{FEFF}{text}") } else { text };
        if crlf { text.replace('\n', "\r\n") } else { text }
    })
}
