//! Groups mistakes by their causes, so that hundreds of them are reported in a few lines.
//!
//! Two mistakes have the same cause if their texts differ only in numbers and in text between quotes or backticks.
//! Pure.

use std::collections::HashMap;

use serde::{Deserialize, Serialize};

/// Maximum number of mistakes that are listed one by one.
const FEW: usize = 10;
/// Maximum bytes of mistakes that are listed one by one, and of a summary.
const SHORT: usize = 800;
/// Maximum characters of a cause, and of a place, in a summary.
const CAUSE: usize = 240;
const PLACE: usize = 80;
/// Maximum number of places of a cause in a summary.
const NAMED: usize = 3;

/// A problem and its place.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mistake {
    /// A file with a line, or an object; empty if the mistake has no place.
    pub place: String,
    pub text: String,
    /// The key of its cause.
    key: String,
}

/// Mistakes of one cause.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Cause {
    /// The text at the first place.
    pub text: String,
    pub count: usize,
    /// In the order of the mistakes. Differences in the text follow in parentheses.
    pub places: Vec<String>,
}

impl Mistake {
    pub fn new(place: impl Into<String>, text: impl Into<String>) -> Self {
        let text = text.into();
        Self { place: place.into(), key: masked(&text).0, text }
    }

    /// Creates a mistake that has the same cause as all others of a name, whatever their texts are.
    pub fn named(name: &str, place: impl Into<String>, text: impl Into<String>) -> Self {
        Self { place: place.into(), text: text.into(), key: name.to_owned() }
    }

    /// Parses `file:line: text` and `object (file:line): text`; anything else is a text without a place.
    pub fn read(message: &str) -> Self {
        let Some((place, rest)) = message.split_once(": ").filter(|(place, _)| ends_in_line(place)) else {
            return Self::new("", message);
        };
        // the path of a field belongs to the place
        match rest.split_once(": ").filter(|(path, _)| path.starts_with('/') && !path.contains(' ')) {
            Some((path, text)) => Self::new(format!("{place}: {path}"), text),
            None => Self::new(place, rest),
        }
    }
}

/// Formats a mistake with its place.
fn located(Mistake { place, text, .. }: &Mistake) -> String {
    if place.is_empty() { text.clone() } else { format!("{place}: {text}") }
}

/// True for `a.yaml:3`, `a.yaml:3:5` and `ConfigMap a (a.yaml:3)`.
fn ends_in_line(place: &str) -> bool {
    let place = place.strip_suffix(')').unwrap_or(place);
    place
        .rsplit_once(':')
        .is_some_and(|(_, line)| !line.is_empty() && line.bytes().all(|byte| byte.is_ascii_digit()))
}

/// Groups mistakes by their causes, in the order of the first of each.
pub fn group(mistakes: &[Mistake]) -> Vec<Cause> {
    let mut causes: Vec<Cause> = Vec::new();
    let mut known: HashMap<&str, (usize, Vec<String>)> = HashMap::new();
    for Mistake { place, text, key } in mistakes {
        let (at, first) = known.entry(key).or_insert_with(|| {
            causes.push(Cause { text: text.clone(), count: 0, places: Vec::new() });
            (causes.len() - 1, masked(text).1)
        });
        let Some(cause) = causes.get_mut(*at) else { continue };
        cause.count += 1;
        let own = if cause.text == *text { Vec::new() } else { masked(text).1 };
        let other = own.into_iter().zip(first.iter()).find(|(own, first)| own != *first).map(|(own, _)| own);
        match other {
            Some(other) if !place.is_empty() => cause.places.push(format!("{place} ({other})")),
            None if !place.is_empty() => cause.places.push(place.clone()),
            _ => {}
        }
    }
    causes
}

/// Returns a text without numbers and without text between quotes or backticks, and the removed parts.
fn masked(text: &str) -> (String, Vec<String>) {
    let (mut key, mut out) = (String::new(), Vec::new());
    let mut rest = text;
    while let Some(first) = rest.chars().next() {
        let inside = if matches!(first, '`' | '"') { rest[1..].find(first).map(|end| end + 2) } else { None };
        let digits = rest.bytes().take_while(u8::is_ascii_digit).count();
        let length = inside.unwrap_or(digits);
        if length > 0 {
            key.push('\u{0}');
            out.push(rest[..length].to_owned());
            rest = &rest[length..];
        } else {
            key.push(first);
            rest = &rest[first.len_utf8()..];
        }
    }
    (key, out)
}

/// Summarises mistakes, and returns whether the summary lists all of them. `more` mistakes are not in the list.
pub fn summary(mistakes: &[Mistake], more: usize) -> (String, bool) {
    if mistakes.len() <= FEW && more == 0 {
        let all = mistakes.iter().map(located).collect::<Vec<_>>().join("; ");
        if all.len() <= SHORT || mistakes.len() == 1 {
            return (all, true);
        }
    }
    let mut causes = group(mistakes);
    causes.sort_by_key(|cause| std::cmp::Reverse(cause.count));
    let mut parts: Vec<String> = Vec::new();
    let mut left = SHORT;
    for cause in &causes {
        let part = line(cause);
        if !parts.is_empty() && part.len() > left {
            break;
        }
        left = left.saturating_sub(part.len());
        parts.push(part);
    }
    let others = causes.len() - parts.len();
    if others > 0 {
        parts.push(format!("and {others} other causes"));
    }
    if more > 0 {
        parts.push(format!("and {more} more mistakes"));
    }
    (parts.join("; "), false)
}

/// Shortens messages: each as it is if its cause is unique, else one line for each cause.
pub fn lines(messages: &[String]) -> Vec<String> {
    let mistakes: Vec<Mistake> = messages.iter().map(|message| Mistake::read(message)).collect();
    group(&mistakes).iter().map(line).collect()
}

/// Formats a cause with its first places.
fn line(cause: &Cause) -> String {
    let Cause { text, count, places } = cause;
    let text = cut(text, CAUSE);
    match (places.as_slice(), *count) {
        ([], 1) => text,
        ([place], 1) => format!("{place}: {text}"),
        ([], count) => format!("{count} times: {text}"),
        (places, count) => {
            let named: Vec<String> = places.iter().take(NAMED).map(|place| cut(place, PLACE)).collect();
            let others = match count.saturating_sub(named.len()) {
                0 => String::new(),
                others => format!(" and {others} more"),
            };
            format!("{count} times: {text} ({}{others})", named.join(", "))
        }
    }
}

fn cut(text: &str, limit: usize) -> String {
    match text.char_indices().nth(limit) {
        Some((at, _)) => format!("{}…", &text[..at]),
        None => text.to_owned(),
    }
}

/// Lists all mistakes for a terminal: each as it was reported, or below its cause if there are many.
pub fn all(mistakes: &[Mistake]) -> Vec<String> {
    if mistakes.len() <= FEW {
        return mistakes.iter().map(located).collect();
    }
    group(mistakes).iter().flat_map(whole).collect()
}

/// Formats a cause with all its places.
pub fn whole(cause: &Cause) -> Vec<String> {
    let Cause { text, count, places } = cause;
    match (places.as_slice(), *count) {
        ([], 1) => vec![text.clone()],
        ([place], 1) => vec![format!("{place}: {text}")],
        _ => {
            let mut lines = vec![format!("{count} times: {text}")];
            lines.extend(places.iter().map(|place| format!("  {place}")));
            lines.extend(
                count
                    .checked_sub(places.len())
                    .filter(|rest| *rest > 0 && !places.is_empty())
                    .map(|rest| format!("  and {rest} more")),
            );
            lines
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{Cause, Mistake, all, group, lines, summary};

    fn many() -> Vec<Mistake> {
        let messages = (0..263).map(|number| match number % 5 {
            0 => format!("apps/{number}.yaml:{number}: this is a list, not a Kubernetes object: correct it"),
            1 | 2 => {
                format!("apps/{number}.yaml:7: /data/x: `${{v{}}}` is not set: set the variable", number % 2)
            }
            _ => format!(
                "apps/{number}.yaml:1:{number}: the key `a` is already set on line {number}: remove one"
            ),
        });
        messages.map(|messages| Mistake::read(&messages)).collect()
    }

    #[test]
    fn many_mistakes_of_a_few_causes_are_a_few_lines() {
        let causes = group(&many());
        let counts: Vec<usize> = causes.iter().map(|cause| cause.count).collect();
        assert_eq!(counts, [53, 106, 104]);
        assert_eq!(causes[1].places[..2], ["apps/1.yaml:7: /data/x", "apps/2.yaml:7: /data/x (`${v0}`)"]);
        let (said, is_whole) = summary(&many(), 0);
        assert!(said.len() < 900 && !is_whole, "{said}");
        assert!(
            said.starts_with("106 times: `${v1}` is not set: set the variable (apps/1.yaml:7: /data/x, "),
            "{said}"
        );
        assert!(said.contains(" and 103 more); 104 times: the key `a` is already set on line 3"), "{said}");
        assert_eq!(all(&many()).len(), 263 + 3);
    }

    #[test]
    fn a_few_mistakes_are_told_as_they_are() {
        let few = ["a.yaml:1: b: c", "spec.x: `a` is wrong", "ConfigMap a (b.yaml:3): d", "e"];
        let mistakes: Vec<Mistake> = few.iter().map(|messages| Mistake::read(messages)).collect();
        assert_eq!(summary(&mistakes, 0), (few.join("; "), true));
        assert_eq!(all(&mistakes), few);
        let messages = few.map(str::to_owned);
        assert_eq!(lines(&messages), few);
    }

    #[test]
    fn what_has_a_name_is_one_cause() {
        let of = |number: usize| {
            let kind = if number.is_multiple_of(2) { "Queue" } else { "Topic" };
            Mistake::named(
                "UnknownKind",
                format!("{kind} shop/{number}"),
                format!("kind {kind} is not served"),
            )
        };
        let all: Vec<Mistake> = (0..87).map(of).collect();
        assert_eq!(group(&all).len(), 1);
        let (said, _) = summary(&all, 0);
        assert_eq!(
            said,
            "87 times: kind Queue is not served (Queue shop/0, Topic shop/1, Queue shop/2 and 84 more)"
        );
    }

    #[test]
    fn many_causes_stay_short() {
        let all: Vec<Mistake> = (0..50)
            .map(|number| {
                let word = "x".repeat(number + 1);
                Mistake::read(&format!("{}.yaml:1: {word} {}", "p".repeat(300), "long ".repeat(100)))
            })
            .collect();
        let (said, _) = summary(&all, 7);
        assert!(said.chars().count() < 950, "{} {said}", said.len());
        assert!(said.ends_with("other causes; and 7 more mistakes"), "{said}");
    }

    #[test]
    fn a_cause_without_a_place_is_counted() {
        let messages = vec!["no answer in 5 s".to_owned(), "no answer in 7 s".to_owned()];
        assert_eq!(lines(&messages), ["2 times: no answer in 5 s"]);
        let cause = Cause { text: "a".to_owned(), count: 2, places: Vec::new() };
        assert_eq!(super::whole(&cause), ["2 times: a"]);
    }
}
