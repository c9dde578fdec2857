//! The forms in which tools embed a text in another one. Pure.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, percent_encode};

/// Maximum bytes of a text that is searched in every form. Of a longer one, the lines and its base64 are searched.
const LONG: usize = 256;
/// Maximum bytes of one piece of a long text, which is searched piece by piece.
const PIECE: usize = 96;
/// Minimum characters of a line of a text that is searched separately.
const LINE: usize = 8;
/// Minimum characters of a form that is not the text itself.
const FORM: usize = 6;

/// Returns all forms of a text.
pub(super) fn of(text: &str) -> Vec<String> {
    let mut all = Vec::new();
    let lines = text.lines().map(str::trim).filter(|line| line.chars().count() >= LINE);
    lines.for_each(|line| all.extend(pieces(line)));
    if text.len() > LONG {
        all.extend(pieces(&encoded(text.as_bytes())));
        return all;
    }
    all.push(text.to_owned());
    let bytes = text.as_bytes();
    let forms = (0..3).map(|offset| within_base64(bytes, offset));
    let forms = forms.chain([
        encoded(bytes),
        hex::encode(bytes),
        percent_encode(bytes, UNRESERVED).to_string(),
        escaped(text),
    ]);
    for form in forms.filter(|form| form.len() >= FORM) {
        // The URL alphabet differs in two characters.
        if form.contains(['+', '/']) {
            all.push(form.replace('+', "-").replace('/', "_"));
        }
        all.push(form);
    }
    all
}

/// Encodes a text as base64.
pub(super) fn encoded(bytes: &[u8]) -> String {
    STANDARD.encode(bytes)
}

/// Decodes base64, which may contain line breaks.
pub(super) fn decoded(code: &str) -> Option<String> {
    let code: String = code.split_ascii_whitespace().collect();
    String::from_utf8(STANDARD.decode(code).ok()?).ok()
}

/// Returns the characters that base64 contains for these bytes at any position, if `offset` bytes precede (modulo 3).
fn within_base64(bytes: &[u8], offset: usize) -> String {
    let padded = [&b"\0\0"[..offset.min(2)], bytes].concat();
    let code = STANDARD.encode(&padded);
    let (from, to) = ((offset * 8).div_ceil(6), padded.len() * 8 / 6);
    code.get(from..to).unwrap_or_default().to_owned()
}

/// Characters that are not percent-encoded.
const UNRESERVED: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');

/// Escapes a text as JSON and Go do between quotes.
fn escaped(text: &str) -> String {
    let text = serde_json::to_string(text).unwrap_or_default();
    text.trim_matches('"').to_owned()
}

fn pieces(text: &str) -> Vec<String> {
    let mut found = Vec::new();
    let mut rest = text;
    while rest.len() > PIECE {
        let at = (PIECE / 2..=PIECE).rev().find(|at| rest.is_char_boundary(*at)).unwrap_or(rest.len());
        let (piece, after) = rest.split_at(at);
        found.push(piece.to_owned());
        rest = after;
    }
    // The last piece may be too short to be distinguished from other texts.
    if rest.len() >= LINE || found.is_empty() {
        found.push(rest.to_owned());
    }
    found
}
