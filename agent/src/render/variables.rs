//! `spec.render.substitute`: substitutes variables after all other steps.
//!
//! Leaves the syntax to `holdfast_diff::substitute`. Pure, beside the files that it is given.

use std::collections::{BTreeMap, HashMap};

use holdfast_diff::budget::Resource;
use holdfast_diff::files::Files;
use holdfast_diff::object::Origin;
use holdfast_diff::pointer;
use holdfast_diff::substitute::{self, Mode, Options, Quoted, SubstituteError};
use holdfast_diff::weight;
use holdfast_diff::yaml;
use holdfast_diff::yaml::edit::{Leaf, Role, leaves};

use super::{Object, RenderError};
use crate::api::{Substitute, SubstituteMode, SubstituteQuoted, VarsFrom};

/// Bytes of memory that variables may add to all objects together, counted roughly.
const GROWTH: usize = 64 * 1024 * 1024;

/// Substitutes the variables of all objects. Reports all errors at once.
pub fn fill(
    files: &dyn Files,
    objects: &mut [Object],
    options: &Substitute,
    vars: &BTreeMap<String, String>,
) -> Result<(), RenderError> {
    let mode = match options.mode {
        SubstituteMode::Strict => Mode::Strict,
        SubstituteMode::Declared => Mode::Declared,
    };
    let mut errors = declared(options, vars);
    let (mut added, mut quoted) = (0_usize, QuotedIn { files, found: HashMap::new() });
    for Object { value, origin } in objects {
        let before = weight::bytes(value);
        let quoted = match options.quoted {
            SubstituteQuoted::Yaml => &[],
            SubstituteQuoted::Text => quoted.of(origin),
        };
        if let Err(mistakes) = substitute::with_quoted(value, quoted, &Options { vars, mode }) {
            let error = |mistake: SubstituteError| {
                let line = line(files, origin, &mistake).unwrap_or(origin.line);
                format!("{}:{line}: {mistake}", origin.file)
            };
            errors.extend(mistakes.into_iter().map(error));
        }
        let grown = weight::bytes(value).saturating_sub(before);
        added = added.saturating_add(grown);
        if added > GROWTH {
            return Err(RenderError::of(vec![format!(
                "{origin}: variables add more than {GROWTH} bytes to all objects together: shorten them, or use them less often"
            )]));
        }
        let spent = files.spend(Resource::Memory, grown);
        spent.map_err(|error| RenderError::of(vec![format!("{origin}: {error}")]))?;
    }
    if errors.is_empty() { Ok(()) } else { Err(RenderError::of(errors)) }
}

/// Returns errors for declared names that cannot be variables.
fn declared(options: &Substitute, vars: &BTreeMap<String, String>) -> Vec<String> {
    let place = |name: &String| {
        if options.vars.contains_key(name) {
            return "spec.render.substitute.vars".to_owned();
        }
        let from = options.from.iter().map(|VarsFrom { kind, name, .. }| format!("{kind} {name}"));
        format!("spec.render.substitute.from, {}", from.collect::<Vec<_>>().join(" or "))
    };
    let bad = vars.keys().filter(|name| !substitute::is_name(name));
    bad.map(|name| {
        format!(
            "{}: `{name}` cannot be the name of a variable: names have letters, digits and `_`; rename it",
            place(name)
        )
    })
    .collect()
}

/// The quoted strings with variables of one file, by the line of their document.
type ByLine = HashMap<u32, Vec<Quoted>>;

/// The quoted strings with variables in the files of objects. Each file is read once, however many objects it has.
struct QuotedIn<'f> {
    files: &'f dyn Files,
    found: HashMap<String, ByLine>,
}

impl QuotedIn<'_> {
    /// Returns those of an object, if the object is written in its file as it is.
    fn of(&mut self, origin: &Origin) -> &[Quoted] {
        let file = origin.file.to_string();
        let found = self.found.entry(file).or_insert_with_key(|file| in_file(self.files, file));
        found.get(&origin.line).map(Vec::as_slice).unwrap_or_default()
    }
}

fn in_file(files: &dyn Files, file: &str) -> ByLine {
    let Ok(Some(bytes)) = files.read(file) else { return ByLine::new() };
    let quoted = |leaf: Leaf<'_>| match leaf.role {
        Role::Value(path) if leaf.is_quoted && leaf.text.contains("${") => {
            Some(Quoted { path, written: leaf.text.to_owned() })
        }
        _ => None,
    };
    let (documents, _) = yaml::read(file, &bytes);
    let all = documents.iter().map(|document| {
        let quoted: Vec<Quoted> = leaves(document).into_iter().filter_map(quoted).collect();
        (document.line, quoted)
    });
    all.filter(|(_, quoted)| !quoted.is_empty()).collect()
}

/// Returns the line of a mistake in the file of an object, if it is written there.
fn line(files: &dyn Files, origin: &Origin, mistake: &SubstituteError) -> Option<u32> {
    let bytes = files.read(&origin.file).ok()??;
    let text = str::from_utf8(&bytes).ok()?;
    let before = usize::try_from(origin.line).ok()?.checked_sub(1)?;
    let document = text.lines().skip(before).enumerate();
    let document = document.take_while(|(at, line)| *at == 0 || !line.starts_with("---"));
    let lines: Vec<&str> = document.map(|(_, line)| line).collect();
    let mark = mistake.mark();
    let is_number = |segment: &&str| segment.bytes().all(|byte| byte.is_ascii_digit());
    let key = mistake.path.rsplit('/').find(|segment| !segment.is_empty() && !is_number(segment));
    let in_field = key.and_then(|key| within(&lines, &pointer::unescape(key), &mark));
    let after = in_field.or_else(|| lines.iter().position(|line| line.contains(&mark)))?;
    u32::try_from(before + after + 1).ok()
}

/// Returns the position of the first line with a text that is in the value of a key.
fn within(lines: &[&str], key: &str, text: &str) -> Option<usize> {
    let indentation = |line: &str| line.len() - line.trim_start_matches([' ', '-']).len();
    let has_key = |line: &str| {
        let line = line.trim_start_matches([' ', '-', '"', '\'']);
        line.strip_prefix(key).is_some_and(|rest| rest.trim_start_matches(['"', '\'']).starts_with(':'))
    };
    let mut keys = lines.iter().enumerate().filter(|(_, line)| has_key(line));
    keys.find_map(|(at, line)| {
        let below = |next: &&&str| next.trim().is_empty() || indentation(next) > indentation(line);
        let value = 1 + lines[at + 1..].iter().take_while(below).count();
        lines[at..at + value].iter().position(|line| line.contains(text)).map(|found| at + found)
    })
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;
    use std::sync::Arc;

    use holdfast_diff::files::{Entry, FilesError, Resolved};
    use serde_json::json;

    use super::*;

    /// One file, which counts its reads.
    struct Counted(String, Cell<usize>);

    impl Files for Counted {
        fn resolve(&self, _: &str) -> Result<Option<Resolved>, FilesError> {
            Ok(None)
        }

        fn read(&self, _: &str) -> Result<Option<Arc<[u8]>>, FilesError> {
            self.1.set(self.1.get() + 1);
            Ok(Some(self.0.as_bytes().into()))
        }

        fn list(&self, _: &str) -> Result<Option<Vec<Entry>>, FilesError> {
            Ok(None)
        }
    }

    #[test]
    fn a_file_of_many_objects_is_read_once() {
        let files = Counted("a: \"${x}\"\n---\nb: 1\n---\na: \"${x}\"\n".to_owned(), Cell::new(0));
        let object = |line: u32, value: serde_json::Value| Object {
            value,
            origin: Origin { file: "a.yaml".into(), line },
        };
        let mut objects =
            [object(1, json!({"a": "${x}"})), object(3, json!({"b": 1})), object(5, json!({"a": "${x}"}))];
        let options: Substitute =
            serde_json::from_value(json!({"vars": {"x": "1"}, "quoted": "Text"})).expect("options");
        fill(&files, &mut objects, &options, &options.vars).expect("all variables are set");
        assert_eq!((&objects[0].value, &objects[2].value), (&json!({"a": "1"}), &json!({"a": "1"})));
        assert_eq!(files.1.get(), 1);
    }

    #[test]
    fn a_mistake_is_found_in_the_value_of_its_key() {
        let lines = [
            "data:",
            "  a: ${x}-y",
            "  b: |",
            "    text",
            "    ${x} more",
            "  \"c\": ${x}",
            "list:",
            "- d: ${x}",
        ];
        for (key, expected) in
            [("a", Some(1)), ("b", Some(4)), ("c", Some(5)), ("d", Some(7)), ("data", Some(1)), ("z", None)]
        {
            assert_eq!(within(&lines, key, "${x"), expected, "{key}");
        }
    }
}
