//! Decides which tags a policy considers, by `exclude` and `filterTags`, and which names are not valid tags. Leaves the
//! order to `rank`. Pure.

use std::borrow::Cow;

use regex::{Regex, RegexBuilder, RegexSet, RegexSetBuilder};

use super::decision::Cause;
use super::error::{PolicyError, shortened};
use super::syntax::translate;
use super::template::Template;
use super::{Filter, Rule};

/// The default of `exclude`: signatures, attestations and bills of material of an image, and the tags by which a
/// registry without a referrers API lists what refers to an image.
const EXCLUDED: [&str; 4] = [r"\.sig$", r"\.att$", r"\.sbom$", r"^sha(256|384|512)-[0-9a-f]+$"];

/// Maximum length of a pattern, in bytes.
const LONGEST: usize = 4096;
/// Maximum memory of a compiled pattern, in bytes.
const LARGEST: usize = 1 << 18;

#[derive(Clone, Debug)]
pub(super) struct TagFilter {
    exclude: Vec<String>,
    excluded: RegexSet,
    filter: Option<Compiled>,
}

#[derive(Clone, Debug)]
struct Compiled {
    source: String,
    pattern: Regex,
    template: Option<Template>,
}

impl TagFilter {
    pub(super) fn compile(
        filter: Option<&Filter>,
        exclude: Option<&[String]>,
        rule: &Rule,
    ) -> Result<Self, PolicyError> {
        let exclude = exclude.map_or_else(|| EXCLUDED.map(str::to_owned).to_vec(), <[_]>::to_vec);
        let mut patterns = Vec::new();
        for (at, pattern) in exclude.iter().enumerate() {
            regex(&format!("exclude[{at}]"), pattern)?;
            patterns.push(translate(pattern));
        }
        let excluded = RegexSetBuilder::new(patterns).size_limit(LARGEST * 8).build();
        let excluded = excluded.map_err(|error| bad("exclude", &exclude.join(" | "), &error))?;
        let filter = filter.map(|filter| compile(filter, rule)).transpose()?;
        if let (Rule::Newest { group: Some(group) }, None) = (rule, &filter) {
            return Err(PolicyError::NoPattern { group: shortened(group) });
        }
        Ok(Self { exclude, excluded, filter })
    }

    /// Returns the part of a tag that the policy sees, or why the tag is not considered.
    pub(super) fn see<'t>(&self, tag: &'t str) -> Result<Cow<'t, str>, Cause> {
        if !is_tag(tag) {
            return Err(Cause::InvalidTag);
        }
        if self.excluded.is_match(tag) {
            let first = self.excluded.matches(tag).iter().next();
            return Err(Cause::Excluded(
                first.and_then(|first| u16::try_from(first).ok()).unwrap_or_default(),
            ));
        }
        let Some(Compiled { pattern, template, .. }) = &self.filter else { return Ok(Cow::Borrowed(tag)) };
        match template {
            None => pattern.is_match(tag).then_some(Cow::Borrowed(tag)),
            Some(template) => pattern.captures(tag).map(|found| Cow::Owned(template.fill(&found))),
        }
        .ok_or(Cause::NotMatched)
    }

    /// Returns the pattern of `exclude` at this index.
    pub(super) fn exclude(&self, at: u16) -> &str {
        self.exclude.get(usize::from(at)).map_or("", String::as_str)
    }

    /// Returns the pattern of `filterTags`.
    pub(super) fn pattern(&self) -> Option<&str> {
        self.filter.as_ref().map(|filter| filter.source.as_str())
    }
}

/// True for a valid tag by the distribution specification: a letter, digit or `_`, then up to 127 of these and `.`
/// and `-`.
pub(super) fn is_tag(text: &str) -> bool {
    let word = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_';
    (1..=128).contains(&text.len())
        && text.bytes().enumerate().all(|(at, byte)| word(byte) || (at > 0 && matches!(byte, b'.' | b'-')))
}

fn compile(filter: &Filter, rule: &Rule) -> Result<Compiled, PolicyError> {
    let Filter { pattern: source, extract } = filter;
    let pattern = regex("filterTags.pattern", source)?;
    let no_group = |field, group: String| {
        let named: Vec<_> = pattern.capture_names().flatten().collect();
        let groups = match (named.is_empty(), pattern.captures_len() - 1) {
            (false, _) => named.join(", "),
            (true, 0) => "no group".to_owned(),
            (true, count) => format!("{count} without a name"),
        };
        PolicyError::NoGroup { field, group: shortened(&group), groups: shortened(&groups) }
    };
    let template = match (rule, extract.as_deref().filter(|extract| !extract.is_empty())) {
        (Rule::Newest { group: Some(group) }, _) => Some(
            Template::of_group(group, &pattern)
                .ok_or_else(|| no_group("policy.newest.group", group.clone()))?,
        ),
        (_, Some(extract)) if extract.len() > LONGEST => return Err(too_long("filterTags.extract", extract)),
        (_, Some(extract)) => Some(
            Template::compile(extract, &pattern).map_err(|group| no_group("filterTags.extract", group))?,
        ),
        (_, None) => None,
    };
    Ok(Compiled { source: source.clone(), pattern, template })
}

fn regex(field: &str, pattern: &str) -> Result<Regex, PolicyError> {
    if pattern.len() > LONGEST {
        return Err(too_long(field, pattern));
    }
    let compiled = RegexBuilder::new(&translate(pattern)).size_limit(LARGEST).build();
    compiled.map_err(|error| bad(field, pattern, &error))
}

fn too_long(field: &str, text: &str) -> PolicyError {
    PolicyError::TooLong { field: field.to_owned(), length: text.len(), limit: LONGEST }
}

/// Returns the error of a pattern. The message of the crate has many lines, of which the last one says what is wrong.
fn bad(field: &str, pattern: &str, error: &regex::Error) -> PolicyError {
    let why = match error {
        regex::Error::CompiledTooBig(_) => "it is too large: repeat less in it".to_owned(),
        error => {
            let text = error.to_string();
            let last = text.lines().last().unwrap_or_default();
            last.trim_start_matches("error: ").to_owned()
        }
    };
    PolicyError::Pattern { field: field.to_owned(), pattern: shortened(pattern), why }
}
