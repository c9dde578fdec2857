//! JSON pointers (RFC 6901): the path of a field or an item in a document. Pure.

use std::borrow::Cow;

/// Escapes a segment for a pointer: `~` becomes `~0`, and `/` becomes `~1`.
pub fn escape(segment: &str) -> Cow<'_, str> {
    if segment.contains(['~', '/']) {
        segment.replace('~', "~0").replace('/', "~1").into()
    } else {
        segment.into()
    }
}

/// Returns the text of an escaped segment.
pub fn unescape(segment: &str) -> Cow<'_, str> {
    if segment.contains('~') { segment.replace("~1", "/").replace("~0", "~").into() } else { segment.into() }
}

/// Appends a segment to a pointer.
pub fn push(pointer: &mut String, segment: &str) {
    pointer.push('/');
    pointer.push_str(&escape(segment));
}

/// Returns the pointer of a field or an item of the value at `pointer`.
pub fn child(pointer: &str, segment: &str) -> String {
    format!("{pointer}/{}", escape(segment))
}

/// Returns the segments of a pointer, unescaped.
pub fn segments(pointer: &str) -> impl Iterator<Item = String> {
    pointer.split('/').skip(1).map(|segment| unescape(segment).into_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pointer_and_its_segments_are_the_same() {
        for (names, pointer) in [
            (vec!["data", "a/b~c"], "/data/a~1b~0c"),
            (vec!["~1"], "/~01"),
            (vec!["", "0"], "//0"),
            (Vec::new(), ""),
        ] {
            let mut written = String::new();
            names.iter().for_each(|name| push(&mut written, name));
            assert_eq!(written, pointer);
            assert_eq!(segments(pointer).collect::<Vec<_>>(), names);
        }
        assert_eq!(child("/a", "b/c"), "/a/b~1c");
    }
}
