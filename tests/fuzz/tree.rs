//! Mutations of a document as a tree: values are moved, doubled, removed and put in place of others. Pure.

use holdfast_diff::yaml;
use holdfast_tests::random::Random;
use serde_json::{Map, Value, json};

use crate::seeds::Seeds;
use crate::values::{FIELDS, VALUES};

/// One mutation of a text that can be read; `None` of any other.
pub fn mutate(bytes: &[u8], seeds: &Seeds, random: &mut Random) -> Option<Vec<u8>> {
    let mut documents = read(bytes);
    let at = random.below(documents.len());
    let other = read(seeds.text(random).as_bytes());
    let other = random.pick(&other).cloned().unwrap_or_default();
    let document = documents.get_mut(at)?;
    for _ in 0..random.between(1, 3) {
        let paths = paths(document);
        let (here, there) = (random.pick(&paths)?.clone(), random.pick(&paths)?.clone());
        let theirs = random.pick(&self::paths(&other)).and_then(|path| other.pointer(path)).cloned();
        let moved = document.pointer(&there).cloned().unwrap_or_default();
        let value = document.pointer_mut(&here)?;
        *value = match random.below(7) {
            0 => moved,
            1 => theirs.unwrap_or_default(),
            2 => Value::Array(vec![value.take(), moved]),
            3 => json!({random.pick(FIELDS).copied().unwrap_or_default(): value.take()}),
            4 => plain(random),
            5 => grown(value.take(), moved, random),
            _ => shrunk(value.take(), random),
        };
    }
    let texts: Vec<String> = documents.iter().map(yaml::write).collect();
    Some(texts.join("---\n").into_bytes())
}

fn read(bytes: &[u8]) -> Vec<Value> {
    yaml::read("seed", bytes).0.into_iter().map(|document| document.value).collect()
}

/// The ways to all values.
fn paths(value: &Value) -> Vec<String> {
    let mut found = Vec::new();
    let mut open = vec![(String::new(), value)];
    while let Some((path, value)) = open.pop() {
        match value {
            Value::Object(map) => open.extend(map.iter().map(|(key, value)| {
                (format!("{path}/{}", key.replace('~', "~0").replace('/', "~1")), value)
            })),
            Value::Array(items) => {
                open.extend(items.iter().enumerate().map(|(at, item)| (format!("{path}/{at}"), item)));
            }
            _ => {}
        }
        found.push(path);
    }
    found
}

fn plain(random: &mut Random) -> Value {
    match random.below(6) {
        0 => Value::Null,
        1 => json!(random.one_in(2)),
        2 => json!(random.number()),
        3 => json!(-1.5e300),
        _ => json!(random.pick(VALUES).copied().unwrap_or_default()),
    }
}

/// One entry more.
fn grown(value: Value, more: Value, random: &mut Random) -> Value {
    match value {
        Value::Object(mut map) => {
            map.insert(random.pick(FIELDS).copied().unwrap_or_default().to_owned(), more);
            map.into()
        }
        Value::Array(mut items) => {
            let twin = random.pick(&items).cloned();
            items.push(twin.unwrap_or(more));
            items.into()
        }
        Value::String(text) => (text.clone() + &text).into(),
        other => Value::Array(vec![other, more]),
    }
}

/// One entry less.
fn shrunk(value: Value, random: &mut Random) -> Value {
    match value {
        Value::Object(map) => {
            let gone = random.below(map.len());
            let left = map.into_iter().enumerate().filter(|(at, _)| *at != gone);
            left.map(|(_, entry)| entry).collect::<Map<_, _>>().into()
        }
        Value::Array(mut items) => {
            if !items.is_empty() {
                items.remove(random.below(items.len()));
            }
            items.into()
        }
        _ => Value::Null,
    }
}
