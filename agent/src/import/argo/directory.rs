//! The files that a plain folder of an Application is read from. Pure.

use serde_json::Value;

use super::super::fields::Fields;
use super::super::note::Notes;
use super::super::output::Draft;

/// Maximum number of patterns of one text with braces.
const PATTERNS: usize = 100;

/// Sets what the section `directory` says. Without one, Argo CD reads only the files of the folder itself where there is neither a
/// kustomization nor a chart.
pub fn set(from: &Fields<'_>, draft: &mut Draft, notes: &mut Notes<'_>) {
    let recurses = from.flag("recurse") == Some(true);
    let has_type = draft.get("render.type").is_some() || draft.get("render.helm.chart").is_some();
    if from.is_set() && !has_type {
        draft.set("render.type", "Plain");
    }
    if !has_type && !recurses {
        // Of a kustomization or a chart, which is detected, this says nothing.
        draft.push("render.plain.exclude", "/*/");
    }
    if let Some(include) = from.text("include") {
        // All files are excluded, and these are not; folders are searched.
        let patterns = braces(include);
        for pattern in
            ["*".to_owned(), "!*/".to_owned()].into_iter().chain(patterns.iter().map(|one| format!("!{one}")))
        {
            draft.push("render.plain.exclude", pattern);
        }
        if !recurses {
            draft.push("render.plain.exclude", "/*/");
        }
        notes.changed(from.path_of("include"), "patterns have the syntax of gitignore, in which * does not match /; check what is rendered with holdfast render");
    }
    if let Some(exclude) = from.text("exclude") {
        for pattern in braces(exclude) {
            draft.push("render.plain.exclude", Value::from(pattern));
        }
        notes.changed(from.path_of("exclude"), "patterns have the syntax of gitignore, in which * does not match /; check what is rendered with holdfast render");
    }
}

/// The patterns of `{a,b/*}`, or the text itself.
fn braces(text: &str) -> Vec<String> {
    let mut done = Vec::new();
    let mut open = vec![text.to_owned()];
    while let Some(text) = open.pop() {
        let found = text.find('{').and_then(|from| Some((from, from + text[from..].find('}')?)));
        match found {
            Some((from, to)) if open.len() + done.len() < PATTERNS => {
                let choices = text[from + 1..to].split(',').rev();
                open.extend(
                    choices.map(|choice| format!("{}{}{}", &text[..from], choice.trim(), &text[to + 1..])),
                );
            }
            _ => done.push(text),
        }
    }
    done.truncate(PATTERNS);
    done
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn braces_are_several_patterns() {
        assert_eq!(braces("{*.yml,*.yaml}"), ["*.yml", "*.yaml"]);
        assert_eq!(braces("a.yaml"), ["a.yaml"]);
        assert!(braces(&"{a,b}".repeat(40)).len() <= PATTERNS);
    }
}
