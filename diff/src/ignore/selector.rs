//! Label selectors as kubectl reads them: `a=b`, `a!=b`, `a in (x, y)`, `a notin (x, y)`, `a`, `!a`, all of which must hold.
//!
//! Follows "Labels and Selectors" of the Kubernetes documentation, without `<` and `>`. Pure.

use serde_json::{Map, Value};

/// The requirements of a selector.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Selector(Vec<Requirement>);

#[derive(Clone, Debug, PartialEq, Eq)]
struct Requirement {
    key: String,
    test: Test,
}

/// The requirement for a label.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Test {
    Exists,
    Absent,
    In(Vec<String>),
    /// Also matches an object without the label.
    NotIn(Vec<String>),
}

impl Selector {
    /// Parses a selector. The error is the invalid part.
    pub(super) fn parse(text: &str) -> Result<Self, String> {
        split(text)
            .into_iter()
            .map(|part| Requirement::parse(part).ok_or_else(|| part.trim().to_owned()))
            .collect::<Result<_, _>>()
            .map(Self)
    }

    pub(super) fn matches(&self, labels: Option<&Map<String, Value>>) -> bool {
        self.0.iter().all(|Requirement { key, test }| {
            let value = labels.and_then(|labels| labels.get(key)?.as_str());
            let among = |values: &[String]| value.is_some_and(|value| values.iter().any(|one| one == value));
            match test {
                Test::Exists => value.is_some(),
                Test::Absent => value.is_none(),
                Test::In(values) => among(values),
                Test::NotIn(values) => !among(values),
            }
        })
    }
}

impl Requirement {
    fn parse(text: &str) -> Option<Self> {
        let text = text.trim();
        let (key, test) = if let Some(key) = text.strip_prefix('!') {
            (key, Test::Absent)
        } else if let Some(set) = text.strip_suffix(')') {
            let (head, values) = set.split_once('(')?;
            let values = values.split(',').map(value).collect::<Option<Vec<_>>>()?;
            match head.trim_end().rsplit_once(char::is_whitespace)? {
                (key, "in") => (key, Test::In(values)),
                (key, "notin") => (key, Test::NotIn(values)),
                _ => return None,
            }
        } else if let Some((key, one)) = text.split_once("!=") {
            (key, Test::NotIn(vec![value(one)?]))
        } else if let Some((key, one)) = text.split_once("==").or_else(|| text.split_once('=')) {
            (key, Test::In(vec![value(one)?]))
        } else {
            (text, Test::Exists)
        };
        let key = key.trim();
        let prefix_and_name = key.split('/').count() <= 2 && key.split('/').all(|part| !part.is_empty());
        let valid = prefix_and_name && key.chars().all(|character| is_word(character) || character == '/');
        valid.then(|| Self { key: key.to_owned(), test })
    }
}

/// Splits at the commas that are not in brackets.
fn split(text: &str) -> Vec<&str> {
    let mut depth = 0_i32;
    text.split(|character| {
        depth += i32::from(character == '(') - i32::from(character == ')');
        character == ',' && depth == 0
    })
    .collect()
}

/// Parses the value of a label, which may be empty.
fn value(text: &str) -> Option<String> {
    let text = text.trim();
    text.chars().all(is_word).then(|| text.to_owned())
}

fn is_word(character: char) -> bool {
    character.is_ascii_alphanumeric() || matches!(character, '-' | '_' | '.')
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::Selector;

    #[test]
    fn requirements_hold_as_they_do_for_kubectl() {
        let labels = json!({"app": "web", "tier": "front", "example.com/team": ""});
        for (text, expected) in [
            ("app=web", true),
            ("app==web", true),
            ("app = api", false),
            ("app!=api", true),
            ("other!=api", true),
            ("other=", false),
            ("example.com/team=", true),
            ("tier in (back, front)", true),
            ("tier in(back)", false),
            ("tier notin (back)", true),
            ("other notin (back)", true),
            ("other in (back)", false),
            ("app", true),
            ("!app", false),
            ("! other", true),
            ("app=web,tier in (a, front),!legacy", true),
            ("app=web,tier notin (a,front)", false),
        ] {
            let selector = Selector::parse(text).unwrap_or_else(|part| unreachable!("{part}"));
            assert_eq!(selector.matches(labels.as_object()), expected, "{text}");
        }
    }

    #[test]
    fn an_object_without_labels_has_none_of_them() {
        assert_eq!(Selector::parse("!app").map(|selector| selector.matches(None)), Ok(true));
        assert_eq!(Selector::parse("app").map(|selector| selector.matches(None)), Ok(false));
    }

    #[test]
    fn what_is_no_requirement_is_named() {
        for (text, part) in [
            ("", ""),
            ("app=web,", ""),
            ("app=web,a b", "a b"),
            ("app in web", "app in web"),
            ("app in (web", "app in (web"),
            ("app within (web)", "app within (web)"),
            ("=web", "=web"),
            ("app=a=b", "app=a=b"),
            ("app>1", "app>1"),
            ("app=*", "app=*"),
            ("a/b/c", "a/b/c"),
        ] {
            assert_eq!(Selector::parse(text), Err(part.to_owned()), "{text}");
        }
    }
}
