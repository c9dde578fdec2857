//! The index of a chart repository: which versions of a chart there are, and which of them is wanted.
//!
//! An index can have tens of megabytes, so the part of one chart is cut out by its indentation, and only that is read. One
//! that is not written as Helm writes it is read as a whole. Pure.

use std::collections::BTreeMap;

use holdfast_diff::range::{self, Range};
use serde::{Deserialize, Serialize};

use super::HelmError;

/// How deep an index may be nested.
const DEPTH: usize = 100;
/// How many names an error shows.
const SHOWN: usize = 10;

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
        let fast = parts(text).and_then(|parts| {
            let mut parts = parts.into_iter();
            match parts.clone().find(|(key, _)| *key == name) {
                Some((_, part)) => Some(Self::of(parse(&format!("entries:\n{part}")).ok()?, name)),
                None => Some(Self {
                    entries: Vec::new(),
                    names: parts.by_ref().map(|(key, _)| key.to_owned()).collect(),
                }),
            }
        });
        match fast {
            Some(listing) => Ok(listing),
            None => Ok(Self::of(parse(text)?, name)),
        }
    }

    fn of(written: Written, name: &str) -> Self {
        let mut all = written.entries;
        let entries = all.remove(name).flatten().unwrap_or_default();
        let names = if entries.is_empty() { all.into_keys().collect() } else { Vec::new() };
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

/// Reads a text that should be an index. What the parsers say could repeat a part of the text, so only the line is told.
fn parse(text: &str) -> Result<Written, String> {
    let bad = |line: Option<u64>| {
        let line = line.map(|line| format!(" at line {line}")).unwrap_or_default();
        format!("it is not YAML or JSON with a map `entries` of lists of versions{line}")
    };
    if text.starts_with('{') {
        return serde_json::from_str(text).map_err(|error| bad(Some(error.line() as u64)));
    }
    // The size is limited already, and large ones are wanted; the depth is what could do harm.
    let options = serde_saphyr::options! {
        budget: serde_saphyr::budget! {
            max_events: usize::MAX,
            max_nodes: usize::MAX,
            max_total_scalar_bytes: usize::MAX,
            max_depth: DEPTH,
        },
        duplicate_keys: serde_saphyr::DuplicateKeyPolicy::LastWins,
        with_snippet: false,
    };
    let line = |error: &serde_saphyr::Error| error.location().map(|location| location.line());
    serde_saphyr::from_str_with_options(text, options).map_err(|error| bad(line(&error)))
}

/// The charts of an index in the form in which Helm writes it, each with its lines. None if it is in another form.
///
/// In block style whatever belongs to a key is indented deeper than it, but for the items of a list.
fn parts(text: &str) -> Option<Vec<(&str, &str)>> {
    let start = "entries:\n";
    let at = if text.starts_with(start) { 0 } else { text.find(&format!("\n{start}"))? + 1 };
    let text = &text[at + start.len()..];
    let indent = text.len() - text.trim_start_matches(' ').len();
    let mut found: Vec<(&str, usize, usize)> = Vec::new();
    let mut end = 0;
    for line in text.split_inclusive('\n') {
        let bare = line.trim_start_matches(' ');
        let depth = line.len() - bare.len();
        let begins = end;
        end += line.len();
        if depth > indent || bare.trim_end().is_empty() || (depth == indent && is_item(bare)) {
            found.last_mut()?.2 = end;
        } else if depth == indent && indent > 0 {
            found.push((key(bare)?, begins, end));
        } else {
            break;
        }
    }
    Some(found.into_iter().map(|(key, from, to)| (key, &text[from..to])).collect())
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
        let names: Vec<_> = parts(TEXT).unwrap().into_iter().map(|(name, _)| name).collect();
        assert_eq!(names, ["web", "empty"]);
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
        assert_eq!(said("wep", "1"), "there is no chart wep at here; it has web, empty");
        assert_eq!(
            said("web", "3"),
            "the chart web at here has no version in 3; the newest is v1.10.0, and of prereleases 2.0.0-rc.1"
        );
        assert!(said("web", "newest").contains("newest is not a range of versions"));
        assert!(said("empty", "1").contains("there is no chart empty"));
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
