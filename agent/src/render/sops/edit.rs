//! Puts new bytes in the place of old ones, so that the rest of a file stays as it was written.
//!
//! Pure.

use std::ops::Range;

use zeroize::Zeroizing;

use super::scalar::Secret;

/// Bytes of a file, and what takes their place.
pub(super) struct Edit {
    pub span: Range<usize>,
    pub with: Secret,
}

impl Edit {
    pub fn new(span: Range<usize>, with: impl Into<Vec<u8>>) -> Self {
        Self { span, with: Zeroizing::new(with.into()) }
    }
}

/// The text after all edits. What two edits take away is taken away once, and the first of them says what comes there.
pub(super) fn apply(text: &[u8], mut edits: Vec<Edit>) -> Secret {
    edits.sort_by_key(|edit| edit.span.start);
    let added: usize = edits.iter().map(|edit| edit.with.len()).sum();
    // Of full size at once: a growing vector leaves copies behind.
    let mut out = Zeroizing::new(Vec::with_capacity(text.len() + added));
    let mut done = 0;
    for Edit { span, with } in edits {
        if span.end <= done {
            continue;
        }
        out.extend_from_slice(&text[done..span.start.max(done)]);
        out.extend_from_slice(&with);
        done = span.end;
    }
    out.extend_from_slice(&text[done..]);
    out
}
