//! Searches templates for functions with random results, so that only charts that use them are rendered twice.
//!
//! Leaves comparing the two renders to `volatile`. Pure.

use std::ops::Range;

/// Functions of templates that give another answer each time. `keys` and `values` of a map have no order. `lookup` and
/// `getHostByName` are not here: a render asks neither a cluster nor DNS, so they always give nothing.
const VOLATILE: &[&str] = &[
    "ago",
    "bcrypt",
    "encryptAES",
    "genCA",
    "genCAWithKey",
    "genPrivateKey",
    "genSelfSignedCert",
    "genSelfSignedCertWithKey",
    "genSignedCert",
    "genSignedCertWithKey",
    "htpasswd",
    CLOCK,
    "keys",
    "randAlpha",
    "randAlphaNum",
    "randAscii",
    "randBytes",
    "randInt",
    "randNumeric",
    "shuffle",
    "uuidv4",
    "values",
];

const CLOCK: &str = "now";
/// Another time than now in every part that a format can show.
const OTHER_TIME: &str = r#"(toDate "2006-01-02 15:04:05" "2001-02-03 04:05:06")"#;

/// True if a text has a template that could give another answer each time.
pub fn is_volatile(text: &str) -> bool {
    words(text).any(|word| VOLATILE.contains(&&text[word]))
}

/// True if a text has a template that reads the clock.
pub fn reads_clock(text: &str) -> bool {
    words(text).any(|word| &text[word] == CLOCK)
}

/// The text with another time in its templates: a date that changes once a year is found by that too.
pub fn at_another_time(text: &str) -> String {
    let mut changed = String::with_capacity(text.len());
    let mut done = 0;
    for word in words(text).filter(|word| &text[word.clone()] == CLOCK) {
        changed.push_str(&text[done..word.start]);
        changed.push_str(OTHER_TIME);
        done = word.end;
    }
    changed.push_str(&text[done..]);
    changed
}

/// The words of all actions that could be functions: not fields, variables, comments or quoted text.
fn words(text: &str) -> impl Iterator<Item = Range<usize>> + '_ {
    let mut words = Words { text: text.as_bytes(), at: 0, inside: false };
    std::iter::from_fn(move || words.next())
}

struct Words<'a> {
    text: &'a [u8],
    at: usize,
    inside: bool,
}

impl Words<'_> {
    fn next(&mut self) -> Option<Range<usize>> {
        while self.at < self.text.len() {
            let rest = &self.text[self.at..];
            if !self.inside {
                self.at += find(rest, b"{{")? + 2;
                self.inside = true;
            } else if rest.starts_with(b"}}") {
                self.at += 2;
                self.inside = false;
            } else if rest.starts_with(b"/*") {
                self.at += find(rest, b"*/")? + 2;
            } else {
                let start = self.at;
                self.at += token(rest);
                if is_letter(rest[0]) {
                    return Some(start..self.at);
                }
            }
        }
        None
    }
}

/// How long the token is with which an action goes on.
fn token(rest: &[u8]) -> usize {
    let word =
        |text: &[u8]| text.iter().take_while(|byte| is_letter(**byte) || byte.is_ascii_digit()).count();
    match rest[0] {
        b'`' => find(&rest[1..], b"`").map_or(rest.len(), |end| end + 2),
        quote @ (b'"' | b'\'') => quoted(rest, quote),
        b'.' | b'$' => 1 + word(&rest[1..]),
        _ => word(rest).max(1),
    }
}

fn quoted(rest: &[u8], quote: u8) -> usize {
    let mut at = 1;
    while at < rest.len() {
        match rest[at] {
            b'\\' => at += 2,
            byte if byte == quote => return at + 1,
            _ => at += 1,
        }
    }
    rest.len()
}

fn is_letter(byte: u8) -> bool {
    byte.is_ascii_alphabetic() || byte == b'_'
}

fn find(text: &[u8], part: &[u8]) -> Option<usize> {
    text.windows(part.len()).position(|window| window == part)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_functions_of_templates_count() {
        for (text, expected) in [
            ("password: {{ randAlphaNum 10 | b64enc }}", true),
            ("{{- $ca := genCA \"x\" 365 -}}", true),
            ("a: {{ .Values.a | default (uuidv4) }}", true),
            ("{{ range keys .Values.a }}", true),
            ("{{ tpl \"{{ x }}\" . }}\n{{ now }}", true),
            ("you can do this now with genCA", false),
            ("{{/* now and randAlpha */}}{{ .Values.now }}{{ $now }}{{ .now }}", false),
            ("{{ \"now\" }}{{ `now }} now` }}{{ 'n' }}", false),
            ("{{ \"a\\\"now\" }}", false),
            ("{{ .Values.values }} {{ nowhere }} {{ x_now }}", false),
            ("{{ unclosed", false),
            ("{{ \"unclosed now", false),
            ("{{ \"\\", false),
            ("{{ äöü }} now", false),
        ] {
            assert_eq!(is_volatile(text), expected, "{text}");
        }
    }

    #[test]
    fn the_clock_is_set_to_another_time_and_nothing_else_changes() {
        let other = at_another_time("now {{ now | date \"now\" }} {{ .now }}\n{{ ago (now) }}");
        assert_eq!(
            other,
            format!("now {{{{ {OTHER_TIME} | date \"now\" }}}} {{{{ .now }}}}\n{{{{ ago ({OTHER_TIME}) }}}}")
        );
        assert!(reads_clock("{{ now }}") && !reads_clock("{{ genCA }} now"));
    }
}
