//! The index of a chart repository: the versions of a chart, and the one to use.
//!
//! An index can have tens of megabytes, so only the part of one chart is parsed, which is found by its indentation. An index in
//! another layout is parsed completely. Pure.

use std::collections::BTreeMap;

use holdfast_diff::range::{self, Range};
use serde::{Deserialize, Serialize};

use super::HelmError;

/// How deep an index may be nested.
const DEPTH: usize = 100;
/// How many names an error shows.
const SHOWN: usize = 10;
/// How many names are kept for an error, and how many nodes of YAML are read for a chart: a hostile server could make an
/// index of nothing but these, and each takes many times its text in memory.
const NAMES: usize = 10_000;
const NODES: usize = 2_000_000;
/// Helm writes no anchors. A few are read all the same, as long as they do not expand to more than the text.
const ALIASES: usize = 100;
const REPLAYED: usize = 10_000;

/// What an index has of a chart.
#[derive(Clone, Debug, Default, Serialize, Deserialize, PartialEq, Eq)]
pub struct Listing {
    pub entries: Vec<Entry>,
    /// The names of all charts, if this one is not there.
    pub names: Vec<String>,
}

/// One version of a chart.
#[derive(Clone, Debug, Serialize, Deserialize, PartialEq, Eq)]
pub struct Entry {
    pub version: String,
    #[serde(default)]
    pub urls: Vec<String>,
    /// SHA-256, 64 hex digits. Not every index has it.
    #[serde(default)]
    pub digest: Option<String>,
}

/// The form of `index.yaml`, as far as it is read.
#[derive(Deserialize)]
struct Written {
    #[serde(default)]
    entries: BTreeMap<String, Option<Vec<Entry>>>,
}

impl Listing {
    /// Finds a chart in the text of an index. The error says what is wrong with the text.
    pub fn find(text: &[u8], name: &str) -> Result<Self, String> {
        let text = str::from_utf8(text).map_err(|_| "it is not text".to_owned())?;
        let fast = part(text, name).and_then(|part| match part {
            Part::Found(part) => Some(Self::of(parse(&format!("entries:\n{part}")).ok()?, name)),
            Part::Missing(names) => Some(Self { entries: Vec::new(), names }),
        });
        match fast {
            Some(listing) => Ok(listing),
            None => Ok(Self::of(parse(text)?, name)),
        }
    }

    fn of(written: Written, name: &str) -> Self {
        let mut all = written.entries;
        let entries = all.remove(name).flatten().unwrap_or_default();
        let names = if entries.is_empty() { all.into_keys().take(NAMES).collect() } else { Vec::new() };
        Self { entries, names }
    }

    /// The version that is asked for: exactly this one, or the highest in a range.
    pub fn choose(&self, place: &str, name: &str, wanted: &str) -> Result<&Entry, HelmError> {
        let Self { entries, names } = self;
        if entries.is_empty() {
            return Err(not_found(place, name, names));
        }
        if let Some(exact) = entries.iter().find(|entry| entry.version == wanted) {
            return Ok(exact);
        }
        let range = parse_range(wanted)?;
        let versions = || entries.iter().map(|entry| entry.version.as_str());
        let highest = range.highest(versions());
        highest
            .and_then(|version| entries.iter().find(|entry| entry.version == version))
            .ok_or_else(|| no_version(place, name, wanted, versions()))
    }
}

/// Parses an index. Messages of the parsers can quote the text, so the error has only the line.
fn parse(text: &str) -> Result<Written, String> {
    let bad = |line: Option<u64>| {
        let line = line.map(|line| format!(" at line {line}")).unwrap_or_default();
        format!("it is not YAML or JSON with a map `entries` of lists of versions{line}")
    };
    if text.starts_with('{') {
        return serde_json::from_str(text).map_err(|error| bad(Some(error.line() as u64)));
    }
    // The size of the text is limited already. What could do harm is what takes more memory than its text.
    let options = serde_saphyr::options! {
        budget: serde_saphyr::budget! {
            max_events: 3 * NODES,
            max_nodes: NODES,
            max_total_scalar_bytes: text.len(),
            max_depth: DEPTH,
            max_aliases: ALIASES,
            max_anchors: ALIASES,
        },
        alias_limits: serde_saphyr::alias_limits! { max_total_replayed_events: REPLAYED },
        duplicate_keys: serde_saphyr::DuplicateKeyPolicy::LastWins,
        with_snippet: false,
    };
    let line = |error: &serde_saphyr::Error| error.location().map(|location| location.line());
    serde_saphyr::from_str_with_options(text, options).map_err(|error| bad(line(&error)))
}

/// What an index in the form in which Helm writes it has of a chart.
#[derive(Debug, PartialEq, Eq)]
enum Part<'a> {
    /// Its lines.
    Found(&'a str),
    /// It is not there; the names of those that are.
    Missing(Vec<String>),
}

/// Cuts a chart out of an index in the form in which Helm writes it. None if it is in another form.
///
/// In block style whatever belongs to a key is indented deeper than it, but for the items of a list.
fn part<'a>(text: &'a str, name: &str) -> Option<Part<'a>> {
    let start = "entries:\n";
    let at = if text.starts_with(start) { 0 } else { text.find(&format!("\n{start}"))? + 1 };
    let text = &text[at + start.len()..];
    let indent = text.len() - text.trim_start_matches(' ').len();
    let (mut found, mut names): (Option<usize>, Vec<String>) = (None, Vec::new());
    let mut end = 0;
    for line in text.split_inclusive('\n') {
        let bare = line.trim_start_matches(' ');
        let depth = line.len() - bare.len();
        let begins = end;
        end += line.len();
        if depth > indent || bare.trim_end().is_empty() || (depth == indent && is_item(bare)) {
            // It belongs to the key before it.
            if begins == 0 {
                return None;
            }
            continue;
        }
        if let Some(from) = found {
            return Some(Part::Found(&text[from..begins]));
        }
        if depth < indent || indent == 0 {
            break;
        }
        let key = key(bare)?;
        found = (key == name).then_some(begins);
        if names.len() < NAMES {
            names.push(key.to_owned());
        }
    }
    Some(found.map_or(Part::Missing(names), |from| Part::Found(&text[from..end])))
}

fn is_item(line: &str) -> bool {
    line.starts_with("- ") || line.trim_end() == "-"
}

/// The key of a line, if it is a plain one.
fn key(line: &str) -> Option<&str> {
    let (key, rest) = line.split_once(':')?;
    let plain =
        !key.is_empty() && key.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte));
    (plain && rest.starts_with([' ', '\n', '\r'])).then_some(key)
}

fn not_found(place: &str, name: &str, names: &[String]) -> HelmError {
    let more = names.len().saturating_sub(SHOWN);
    let shown = names.iter().take(SHOWN).map(String::as_str).collect::<Vec<_>>().join(", ");
    let near = match (names.is_empty(), more) {
        (true, _) => "; it has no other".to_owned(),
        (false, 0) => format!("; it has {shown}"),
        (false, more) => format!("; it has {shown} and {more} more"),
    };
    HelmError::ChartNotFound { chart: name.to_owned(), place: place.to_owned(), near }
}

pub fn parse_range(text: &str) -> Result<Range, HelmError> {
    Range::parse(text).map_err(|error| HelmError::BadRange { range: text.to_owned(), why: error.to_string() })
}

/// No version fits: names the newest, and the newest prerelease if it is newer.
pub fn no_version<'a>(
    place: &str,
    chart: &str,
    range: &str,
    versions: impl Iterator<Item = &'a str>,
) -> HelmError {
    let mut all: Vec<_> = versions.filter_map(|text| Some((range::version(text)?, text))).collect();
    all.sort();
    let newest = |all: &[(semver::Version, &str)]| all.last().map(|(_, text)| (*text).to_owned());
    let released: Vec<_> = all.iter().filter(|(version, _)| version.pre.is_empty()).cloned().collect();
    let newest = match (newest(&released), newest(&all)) {
        (Some(release), Some(any)) if release != any => {
            format!("the newest is {release}, and of prereleases {any}")
        }
        (Some(release), _) => format!("the newest is {release}"),
        (None, Some(any)) => {
            format!("there are prereleases only, the newest is {any}: write a range such as >=0.0.0-0")
        }
        (None, None) => "it has none at all".to_owned(),
    };
    HelmError::NoVersion { chart: chart.to_owned(), place: place.to_owned(), range: range.to_owned(), newest }
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;

    const TEXT: &str = r#"apiVersion: v1
entries:
  web:
  - annotations:
      a: |
        entries:
        other:
    version: 1.2.0
    name: web
    created: "2024-01-01T00:00:00Z"
    dependencies: [{name: x, version: 1.x.x, repository: "https://example.com"}]
    description: 'one

      two'
    digest: 0a
    urls:
    - web-1.2.0.tgz

  - {version: v1.10.0, urls: ["https://cdn.example.com/web-1.10.0.tgz"]}
  - {version: 2.0.0-rc.1, urls: [charts/web-2.0.0-rc.1.tgz]}
  - {version: nonsense, urls: []}
  empty: []
generated: "2024-01-01T00:00:00Z"
"#;

    fn versions(text: &str) -> Vec<String> {
        let entries = Listing::find(text.as_bytes(), "web").unwrap().entries;
        entries.into_iter().map(|entry| entry.version).collect()
    }

    #[test]
    fn one_chart_is_cut_out_of_an_index() {
        assert_eq!(part(TEXT, "other"), Some(Part::Missing(vec!["web".to_owned(), "empty".to_owned()])));
        assert_eq!(part(TEXT, "empty"), Some(Part::Found("  empty: []\n")));
        let listing = Listing::find(TEXT.as_bytes(), "web").unwrap();
        let expected = Entry {
            version: "1.2.0".to_owned(),
            urls: vec!["web-1.2.0.tgz".to_owned()],
            digest: Some("0a".to_owned()),
        };
        assert_eq!((&listing.entries[0], listing.entries.len()), (&expected, 4));
        assert_eq!(listing.names, [""; 0]);
    }

    #[test]
    fn every_form_of_yaml_is_read() {
        let all = ["1.2.0", "v1.10.0", "2.0.0-rc.1", "nonsense"];
        assert_eq!(versions(TEXT), all);
        assert_eq!(versions(&TEXT.replace("\n  ", "\n    ")), all);
        assert_eq!(versions(&TEXT.replace('\n', "\r\n")), all);
        let written: serde_json::Value = serde_saphyr::from_str(TEXT).unwrap();
        assert_eq!(versions(&written.to_string()), all);
        for text in [
            "entries: {web: [{version: 1.0.0}]}",
            "entries:\n  \"web\": [{version: 1.0.0}]",
            "entries:\n  ? web\n  : [{version: 1.0.0}]",
            "entries:\n  web: [\n  {version: 1.0.0}\n  ]\n",
            "entries:\n  a: &a\n  - {version: 1.0.0}\n  web: *a\n",
            "---\nentries:\n  web:\n    - version: 1.0.0\n    # end\n# end\n",
            "entries:\n  web:\n    -\n      version: 1.0.0",
        ] {
            assert_eq!(versions(text), ["1.0.0"], "{text}");
        }
        for text in ["", "entries:", "entries:\n", "entries: {}", "entries:\n  web:\n", "apiVersion: v1"] {
            assert_eq!(versions(text), [""; 0], "{text}");
        }
    }

    #[test]
    fn the_highest_version_of_a_range_is_chosen() {
        let listing = Listing::find(TEXT.as_bytes(), "web").unwrap();
        let choose = |wanted| listing.choose("here", "web", wanted).map(|entry| entry.version.as_str());
        assert_eq!(choose("1"), Ok("v1.10.0"));
        assert_eq!(choose("1.2.0"), Ok("1.2.0"));
        assert_eq!(choose("1.10.0"), Ok("v1.10.0"));
        assert_eq!(choose("2.0.0-rc.1"), Ok("2.0.0-rc.1"));
        assert_eq!(choose(">=1-0"), Ok("2.0.0-rc.1"));
    }

    #[test]
    fn what_is_not_there_is_told_with_what_is() {
        let said = |name, wanted| {
            let listing = Listing::find(TEXT.as_bytes(), name).unwrap();
            listing.choose("here", name, wanted).unwrap_err().to_string()
        };
        assert_eq!(said("wep", "1"), "chart wep not found at here; it has web, empty");
        assert_eq!(
            said("web", "3"),
            "the chart web at here has no version in 3; the newest is v1.10.0, and of prereleases 2.0.0-rc.1"
        );
        assert!(said("web", "newest").contains("newest is not a range of versions"));
        assert!(said("empty", "1").contains("chart empty not found"));
    }

    #[test]
    fn an_index_that_would_expand_is_refused() {
        let long = format!("x: &a {}\nentries:\n", "a".repeat(90_000));
        let urls = |count: usize| {
            format!("{long}  ? web\n  : [{{version: 1.0.0, urls: [{}]}}]\n", "*a,".repeat(count))
        };
        assert!(Listing::find(urls(1).as_bytes(), "web").is_err(), "a long anchor");
        let short = urls(101).replace(&"a".repeat(90_000), "b");
        assert!(Listing::find(short.as_bytes(), "web").is_err(), "many aliases");
        let many = format!("entries: {{web: [{}]}}", "{version: a},".repeat(NODES / 3));
        assert!(Listing::find(many.as_bytes(), "web").is_err(), "many versions");
        let names = format!("entries:\n{}", "  a: []\n".repeat(2 * NAMES));
        assert_eq!(Listing::find(names.as_bytes(), "web").unwrap().names.len(), NAMES);
    }

    #[test]
    fn what_is_no_index_is_told() {
        for text in ["<html><body>hello: [", "- a", "{", "entries: 1"] {
            assert!(Listing::find(text.as_bytes(), "web").is_err(), "{text}");
        }
        let deep = format!("entries: {}", "[".repeat(200));
        assert!(Listing::find(deep.as_bytes(), "web").is_err());
    }
}
