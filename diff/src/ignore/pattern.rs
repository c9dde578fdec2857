//! Path patterns: JSON pointers (RFC 6901) in which `*` stands for one segment. Pure.

use crate::pointer::segments;

/// The index of a new list item (RFC 6901: the one after the last). Only `*` covers it.
pub(super) const NEW: &str = "-";

/// A pattern, by segments. The empty one covers everything.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Pattern(Vec<Segment>);

#[derive(Clone, Debug, PartialEq, Eq)]
enum Segment {
    Any,
    Named(String),
}

impl Pattern {
    /// Parses a pattern. The error says what is wrong, and what to write.
    pub(super) fn parse(text: &str) -> Result<Self, String> {
        let trimmed = text.trim_matches('/');
        if trimmed.is_empty() {
            return Err(format!(
                "`{text}` names no field: write a JSON pointer (RFC 6901) such as /spec/replicas"
            ));
        }
        if !text.starts_with('/') {
            return Err(format!("`{text}` is not a JSON pointer (RFC 6901): write /{trimmed}"));
        }
        let parts: Vec<&str> = text.split('/').skip(1).collect();
        if parts.contains(&"") {
            let named: Vec<&str> = parts.into_iter().filter(|part| !part.is_empty()).collect();
            return Err(format!("`{text}` has a segment without a name: write /{}", named.join("/")));
        }
        if parts.iter().any(|part| part.split('~').skip(1).any(|rest| !rest.starts_with(['0', '1']))) {
            return Err(format!("`{text}` has a ~ without 0 or 1 behind it: write ~0 for ~, and ~1 for /"));
        }
        if let ["metadata", map @ ("annotations" | "labels"), rest @ ..] = parts.as_slice()
            && rest.len() > 1
        {
            return Err(format!(
                "`{text}` goes below one of the {map}, which are text: write /metadata/{map}/{}",
                rest.join("~1")
            ));
        }
        let segment = |segment: String| if segment == "*" { Segment::Any } else { Segment::Named(segment) };
        Ok(Self(segments(text).map(segment).collect()))
    }

    /// True if the pattern covers a path: the path is that of the pattern, or below it.
    pub(super) fn covers(&self, path: &[String]) -> bool {
        self.0.len() <= path.len() && self.touches(path)
    }

    /// True if the path of the pattern is below this one.
    pub(super) fn is_below(&self, path: &[String]) -> bool {
        self.0.len() > path.len() && self.touches(path)
    }

    /// True if the path of the pattern is this one, above it or below it.
    pub(super) fn touches(&self, path: &[String]) -> bool {
        self.0.iter().zip(path).all(|(own, segment)| match own {
            Segment::Any => true,
            Segment::Named(name) => name == segment,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(pattern: &str, covered: &[&str], not: &[&str]) {
        let pattern = Pattern::parse(pattern).unwrap_or_else(|error| unreachable!("{error}"));
        let covers = |path: &&str| pattern.covers(&segments(path).collect::<Vec<_>>());
        assert_eq!(covered.iter().filter(|path| !covers(path)).count(), 0, "{pattern:?} {covered:?}");
        assert_eq!(not.iter().filter(|path| covers(path)).count(), 0, "{pattern:?} {not:?}");
    }

    #[test]
    fn a_pattern_covers_its_path_and_what_is_below() {
        check("/spec/replicas", &["/spec/replicas", "/spec/replicas/a"], &["/spec", "/spec/replicasX", ""]);
        check(
            "/spec/containers/*/image",
            &["/spec/containers/0/image", "/spec/containers/-/image"],
            &["/spec/containers/0", "/spec/containers/0/1/image"],
        );
    }

    #[test]
    fn patterns_are_compared_unescaped() {
        check("/data/a~1b~0c", &["/data/a~1b~0c"], &["/data/a/b~0c", "/data/a"]);
        check("/data/~01", &["/data/~01"], &["/data/~1"]);
    }

    #[test]
    fn a_mistake_says_what_to_write() {
        for (text, expected) in [
            ("spec/replicas", "`spec/replicas` is not a JSON pointer (RFC 6901): write /spec/replicas"),
            ("", "`` names no field: write a JSON pointer (RFC 6901) such as /spec/replicas"),
            ("/", "`/` names no field: write a JSON pointer (RFC 6901) such as /spec/replicas"),
            ("/spec/", "`/spec/` has a segment without a name: write /spec"),
            ("/a~2b", "`/a~2b` has a ~ without 0 or 1 behind it: write ~0 for ~, and ~1 for /"),
            ("/a~", "`/a~` has a ~ without 0 or 1 behind it: write ~0 for ~, and ~1 for /"),
            (
                "/metadata/annotations/example.com/x",
                "`/metadata/annotations/example.com/x` goes below one of the annotations, which are text: \
                 write /metadata/annotations/example.com~1x",
            ),
        ] {
            assert_eq!(Pattern::parse(text), Err(expected.to_owned()));
        }
    }
}
