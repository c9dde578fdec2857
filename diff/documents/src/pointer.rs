//! JSON pointers (RFC 6901): the path of a field or an item in a document. Pure.

use std::borrow::Cow;

/// A segment as a pointer writes it: `~` is `~0`, and `/` is `~1`.
pub fn escape(segment: &str) -> Cow<'_, str> {
    if segment.contains(['~', '/']) {
        segment.replace('~', "~0").replace('/', "~1").into()
    } else {
        segment.into()
    }
}

/// What a written segment stands for.
pub fn unescape(segment: &str) -> Cow<'_, str> {
    if segment.contains('~') { segment.replace("~1", "/").replace("~0", "~").into() } else { segment.into() }
}

/// Adds a segment at the end of a pointer.
pub fn push(pointer: &mut String, segment: &str) {
    pointer.push('/');
    pointer.push_str(&escape(segment));
}

/// The pointer of a field or an item of what stands at `pointer`.
pub fn child(pointer: &str, segment: &str) -> String {
    format!("{pointer}/{}", escape(segment))
}

/// The segments of a pointer, as they are in the document.
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
