//! Reads the output of Helm when it fails: the template and the line, as Helm 3 and Helm 4 print them. Pure.

use std::fmt::Write as _;

use super::HelmError;

/// A hint that Helm adds for users of its command line.
const DEBUG_HINT: &str = "Use --debug flag";
/// Maximum length of an unknown message.
const SHOWN: usize = 2000;
/// Maximum number of listed template calls, and the number that counts as endless recursion.
const CALLS: usize = 10;
const ENDLESS: usize = 100;

/// Returns the error in Helm's stderr. `limit` is its memory limit.
pub fn error(stderr: &str, limit: u64) -> HelmError {
    if stderr.lines().any(is_out_of_memory) {
        return HelmError::OutOfMemory { limit };
    }
    let said = words(stderr);
    if let Some(said) = said.strip_prefix("values don't meet the specifications of the schema(s)") {
        let said = said.split_once('\n').map_or(said, |(_, rest)| rest);
        return HelmError::ValuesRefused { said: one_line(said) };
    }
    let found = bracketed(said, "parse error at (")
        .or_else(|| bracketed(said, "execution error at ("))
        .or_else(|| yaml(said))
        .or_else(|| executing(said));
    found.unwrap_or_else(|| HelmError::Refused {
        said: one_line(&said.chars().take(SHOWN).collect::<String>()),
    })
}

/// True for messages of Go's runtime about missing memory, also for a thread.
fn is_out_of_memory(line: &str) -> bool {
    ["fatal error: ", "runtime: "].iter().any(|start| line.starts_with(start))
        && ["memory", "allocate", "create new OS thread"].iter().any(|words| line.contains(words))
}

/// Returns the text after `Error: `, without the log lines of Helm 4 before it and the hint after it.
fn words(stderr: &str) -> &str {
    let starts = stderr.match_indices("Error: ").map(|(at, _)| at);
    let start = starts.filter(|at| *at == 0 || stderr[..*at].ends_with('\n')).last();
    let said = start.map_or(stderr, |at| &stderr[at + "Error: ".len()..]);
    said.split(DEBUG_HINT).next().unwrap_or(said).trim()
}

/// `parse error at (web/templates/a.yaml:2): missing value for if`
fn bracketed(said: &str, start: &str) -> Option<HelmError> {
    let (_, rest) = said.rsplit_once(start)?;
    let (place, message) = rest.split_once("): ")?;
    let (file, line) = place_of(place)?;
    Some(HelmError::Template { file, line, message: one_line(message) })
}

/// `YAML parse error on web/templates/a.yaml: error converting YAML to JSON: yaml: line 6: did not find …`
fn yaml(said: &str) -> Option<HelmError> {
    let rest = said.strip_prefix("YAML parse error on ")?;
    let (file, message) = rest.split_once(": ")?;
    let message = message.trim_start_matches("error converting YAML to JSON: ").trim_start_matches("yaml: ");
    let numbered = message.strip_prefix("line ").and_then(|rest| rest.split_once(": "));
    let (line, message) =
        numbered.and_then(|(line, rest)| Some((line.parse().ok()?, rest))).unwrap_or((1, message));
    let message = format!("what this renders to is not YAML, at that line of it: {}", one_line(message));
    Some(HelmError::Template { file: file.to_owned(), line, message })
}

/// Templates that call one another, each with its place; the innermost is where the mistake is.
///
/// Helm 3: `template: web/templates/a.yaml:4:18: executing "…" at <.Values.a.b>: nil pointer …`. Helm 4 writes the same
/// on lines of their own, without the word `template`.
fn executing(said: &str) -> Option<HelmError> {
    let mut places = Vec::new();
    let mut message = said;
    for (at, _) in said.match_indices("executing \"") {
        let before = said[..at].trim_end().trim_end_matches(':');
        let word = before.rsplit(char::is_whitespace).next()?;
        places.push(place_of(word)?);
        message = said[at..].split_once(" at ").map_or(&said[at..], |(_, rest)| rest);
    }
    let (file, line) = places.pop()?;
    if places.len() >= ENDLESS {
        let message =
            "templates include one another without an end: correct the condition under which they do"
                .to_owned();
        return Some(HelmError::Template { file, line, message });
    }
    let mut message = one_line(message);
    for (file, line) in places.iter().rev().take(CALLS) {
        let _ = write!(message, ", called at {file}:{line}");
    }
    if let Some(more) = places.len().checked_sub(CALLS).filter(|more| *more > 0) {
        let _ = write!(message, ", and {more} more calls");
    }
    Some(HelmError::Template { file, line, message })
}

/// `web/templates/a.yaml:4:18`, with or without the column.
fn place_of(text: &str) -> Option<(String, u32)> {
    let mut parts: Vec<&str> = text.split(':').collect();
    let last: u32 = parts.pop()?.parse().ok()?;
    match parts.as_slice() {
        [file, line] => Some(((*file).to_owned(), line.parse().ok()?)),
        [file] => Some(((*file).to_owned(), last)),
        _ => None,
    }
}

fn one_line(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(stderr: &str, expected: &str) {
        assert_eq!(error(stderr, 1).to_string(), expected, "{stderr}");
    }

    #[test]
    fn a_template_is_named_with_its_line() {
        let hint = "\n\nUse --debug flag to render out invalid YAML\n";
        let nil = "c/templates/a.yaml:4: <.Values.a.b>: nil pointer evaluating interface {}.b";
        check(
            &format!(
                "Error: template: c/templates/a.yaml:4:18: executing \"c/templates/a.yaml\" at <.Values.a.b>: nil pointer evaluating interface {{}}.b{hint}"
            ),
            nil,
        );
        check(
            &format!(
                "level=WARN msg=\"x\"\nError: c/templates/a.yaml:4:18\n  executing \"c/templates/a.yaml\" at <.Values.a.b>:\n    nil pointer evaluating interface {{}}.b{hint}"
            ),
            nil,
        );
        check(
            &format!("Error: parse error at (c/templates/a.yaml:2): missing value for if{hint}"),
            "c/templates/a.yaml:2: missing value for if",
        );
        check(
            &format!("Error: execution error at (c/templates/a.yaml:3:3): nope: do it{hint}"),
            "c/templates/a.yaml:3: nope: do it",
        );
        check(
            &format!(
                "Error: YAML parse error on c/templates/a.yaml: error converting YAML to JSON: yaml: line 6: found a tab{hint}"
            ),
            "c/templates/a.yaml:6: what this renders to is not YAML, at that line of it: found a tab",
        );
    }

    #[test]
    fn the_innermost_of_nested_templates_is_named_first() {
        let nested = "c/templates/_h.tpl:2: <.Values.a.b>: nil pointer evaluating interface {}.b, called at c/templates/a.yaml:1";
        check(
            "Error: template: c/templates/a.yaml:1:6: executing \"c/templates/a.yaml\" at <include \"x\" .>: error calling include: template: c/templates/_h.tpl:2:10: executing \"x\" at <.Values.a.b>: nil pointer evaluating interface {}.b\n",
            nested,
        );
        check(
            "Error: c/templates/a.yaml:1:6\n  executing \"c/templates/a.yaml\" at <include \"x\" .>:\n    error calling include:\nc/templates/_h.tpl:2:10\n  executing \"x\" at <.Values.a.b>:\n    nil pointer evaluating interface {}.b\n",
            nested,
        );
        check(
            "Error: c/templates/a.yaml:1:6\n  executing \"c/templates/a.yaml\" at <include \"x\" .>:\n    error calling include:\ntemplate: no template \"x\" associated with template \"gotpl\"\n",
            "c/templates/a.yaml:1: <include \"x\" .>: error calling include: template: no template \"x\" associated with template \"gotpl\"",
        );
    }

    #[test]
    fn templates_that_include_themselves_are_told_in_one_line() {
        let call =
            "template: c/templates/a.yaml:3:4: executing \"r\" at <include \"r\" .>: error calling include: ";
        let said = format!("Error: {}rendering template has a nested", call.repeat(1000));
        check(
            &said,
            "c/templates/a.yaml:3: templates include one another without an end: correct the condition under which they do",
        );
        let said = error(&format!("Error: {}no", call.repeat(30)), 1).to_string();
        assert!(
            said.ends_with(", called at c/templates/a.yaml:3, and 19 more calls") && said.len() < 600,
            "{said}"
        );
    }

    #[test]
    fn values_that_the_schema_refuses_are_told() {
        check(
            "Error: values don't meet the specifications of the schema(s) in the following chart(s):\nc:\n- at '': missing property 'b'\n- at '/replicas': got string, want integer\n\n",
            "the chart refuses the values: c: - at '': missing property 'b' - at '/replicas': got string, want integer; correct them, or set spec.render.helm.skipSchemaValidation to render without its values.schema.json",
        );
    }

    #[test]
    fn anything_else_is_passed_on() {
        check("Error: Chart.yaml file is missing\n", "Helm refuses the chart: Chart.yaml file is missing");
        check("", "Helm refuses the chart: ");
        check(
            "runtime: out of memory: cannot allocate 8 bytes\nfatal error: out of memory\ngoroutine 1",
            "rendering needs more than 0 MiB of memory: simplify the templates of the chart, split it, or raise the memory limit of the agent's container",
        );
    }
}
