//! Edits of generated files: outside of the scalar no byte changes, and the file reads back as wanted.

#[path = "edit/generate.rs"]
mod generate;

use generate::{Scalar, files};
use holdfast_documents::yaml::edit::{Edit, EditError, EditProblem, edit};
use holdfast_documents::yaml::read;
use proptest::prelude::*;
use proptest::sample::{Index, select};
use serde_json::{Value, json};

const TEXTS: [&str; 36] = [
    "",
    " ",
    "x",
    "yes",
    "~",
    "6801028",
    "0192117",
    "1e3",
    "0x1F",
    "1_000",
    "12:30:45",
    "2024-01-01",
    "=",
    "<<",
    "-",
    "- a",
    "a: b",
    "a:",
    "a #b",
    "#a",
    "a,b",
    "[a]",
    "{a}",
    "?a",
    "'",
    "\"",
    "\\",
    "'\"\\",
    "a\n",
    "a\nb",
    "\n",
    " a\nb\n\n",
    "a\n\n  b\n",
    "# a\nb: c\n",
    "a\tb \n",
    "a\r\nb",
];

/// What damages a file.
const PIECES: [&str; 22] = [
    "", "\n", " ", "- ", ": ", ":", "? ", ",", "{", "}", "[", "]", "\"", "'", "| ", "|\n", ">+\n", "# ",
    "&n0 ", "*n0", "<<: *n0", "---\n",
];

fn values() -> impl Strategy<Value = Value> {
    prop_oneof![
        3 => select(&TEXTS[..]).prop_map(|text| json!(text)),
        2 => ".{0,8}".prop_map(|text| json!(text)),
        2 => "[ -~\n]{0,12}".prop_map(|text| json!(text)),
        1 => "[0-9a-fxo_.:eE+-]{1,8}".prop_map(|text| json!(text)),
        1 => any::<i64>().prop_map(|number| json!(number)),
        1 => any::<f64>().prop_map(|number| json!(number)),
        1 => select(vec![json!(true), json!(false), Value::Null, json!(0), json!(u64::MAX)]),
    ]
}

/// The paths of all scalars of a value.
fn scalars(value: &Value, path: String, paths: &mut Vec<String>) {
    let escaped = |name: &str| name.replace('~', "~0").replace('/', "~1");
    match value {
        Value::Object(fields) => {
            fields
                .iter()
                .for_each(|(name, field)| scalars(field, format!("{path}/{}", escaped(name)), paths));
        }
        Value::Array(items) => {
            items.iter().enumerate().for_each(|(at, item)| scalars(item, format!("{path}/{at}"), paths));
        }
        _ => paths.push(path),
    }
}

fn at<'v>(scalar: &Scalar, value: &'v Value) -> Edit<'v> {
    let (document, path) = scalar.place.split_once(':').expect("a place has a colon");
    Edit { document: document.parse().expect("a number"), path: path.to_owned(), value }
}

fn documents(text: &[u8]) -> Vec<Value> {
    let (documents, errors) = read("x.yaml", text);
    assert!(errors.is_empty(), "{errors:?} in {:?}", String::from_utf8_lossy(text));
    documents.into_iter().map(|document| document.value).collect()
}

/// Equal; numbers as the floats that they are for a reader.
fn same(wanted: &Value, found: Option<&Value>) -> bool {
    match (wanted, found) {
        (Value::Number(wanted), Some(Value::Number(found))) => wanted.as_f64() == found.as_f64(),
        (wanted, found) => Some(wanted) == found,
    }
}

fn refused_for_its_tag(error: &EditError) -> bool {
    matches!(error, EditError::Refused { problem: EditProblem::Tag, .. })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1000))]

    #[test]
    fn an_edit_changes_the_scalar_and_nothing_else(file in files(), pick in any::<Index>(), value in values()) {
        let scalar = pick.get(&file.scalars);
        let text = file.text.as_bytes();
        let mut before = documents(text);
        let wanted = at(scalar, &value);
        let after = match edit("x.yaml", text, std::slice::from_ref(&wanted)) {
            Ok(after) => after,
            Err(error) => {
                prop_assert!(scalar.tagged && !value.is_string() && refused_for_its_tag(&error), "{}", error);
                return Ok(());
            }
        };
        // the line breaks behind a block can belong to it
        let blank = file.text[scalar.range.end..].bytes().take_while(|byte| b"\r\n".contains(byte)).count();
        let is_block = file.text[scalar.range.clone()].starts_with(['|', '>']);
        let end = scalar.range.end + if is_block { blank } else { 0 };
        prop_assert!(after.starts_with(&text[..scalar.range.start]));
        prop_assert!(after.ends_with(&text[end..]));
        let mut found = documents(&after);
        let place = |documents: &mut Vec<Value>| documents[wanted.document].pointer_mut(&wanted.path).map(Value::take);
        prop_assert!(place(&mut before).is_some());
        prop_assert!(same(&value, place(&mut found).as_ref()));
        prop_assert_eq!(before, found);
        prop_assert_eq!(edit("x.yaml", &after, &[wanted]), Ok(after), "a second time");
    }

    #[test]
    fn edits_together_are_edits_one_by_one(
        file in files(),
        picks in prop::collection::vec((any::<Index>(), values()), 2..5),
    ) {
        let mut edits: Vec<Edit> = Vec::new();
        for (pick, value) in &picks {
            let edit = at(pick.get(&file.scalars), value);
            if !edits.iter().any(|other| (other.document, &other.path) == (edit.document, &edit.path)) {
                edits.push(edit);
            }
        }
        let text = file.text.into_bytes();
        let one_by_one = edits.iter().try_fold(text.clone(), |text, one| {
            edit("x.yaml", &text, std::slice::from_ref(one))
        });
        match (edit("x.yaml", &text, &edits), one_by_one) {
            (Ok(together), Ok(one_by_one)) => prop_assert_eq!(together, one_by_one),
            (Err(together), Err(_)) => prop_assert!(refused_for_its_tag(&together), "{}", together),
            (together, one_by_one) => prop_assert!(false, "{together:?} but {one_by_one:?}"),
        }
    }

    #[test]
    fn a_damaged_file_is_edited_right_or_refused(
        file in files(),
        cuts in prop::collection::vec((any::<Index>(), 0_usize..3, select(&PIECES[..])), 1..5),
        value in values(),
    ) {
        let mut text: Vec<char> = file.text.chars().collect();
        for (cut, length, piece) in cuts {
            let from = cut.index(text.len() + 1);
            let to = (from + length).min(text.len());
            text.splice(from..to, piece.chars());
        }
        let text: String = text.into_iter().collect();
        for (document, before) in read("x.yaml", text.as_bytes()).0.iter().enumerate() {
            let mut paths = Vec::new();
            scalars(&before.value, String::new(), &mut paths);
            for path in paths {
                let edit = edit("x.yaml", text.as_bytes(), &[Edit { document, path, value: &value }]);
                let broken = matches!(edit, Err(EditError::Broken(_)));
                prop_assert!(!broken, "{edit:?} in {text:?}");
            }
        }
    }
}
