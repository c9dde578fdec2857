//! Translates regular expressions of Go (RE2) into the syntax of the crate `regex`. Parts with the same meaning
//! stay unchanged; parts that neither supports are left for the crate to refuse. Pure.

/// The one-letter classes are ASCII in RE2.
const ASCII: [(char, &str); 3] = [('d', "0-9"), ('s', r"\t\n\f\r "), ('w', "0-9A-Za-z_")];

/// The named classes.
const NAMED: [&str; 14] = [
    "alnum", "alpha", "ascii", "blank", "cntrl", "digit", "graph", "lower", "print", "punct", "space",
    "upper", "word", "xdigit",
];

/// Translates a pattern of RE2 into a pattern of the crate `regex`.
///
/// They differ in brackets in a class, which are literals in RE2, in `&&`, `--` and `~~` in a class, in
/// `\Q...\E`, in `\<` and `\>`, in `\012`, in the meaning of `\d`, `\s` and `\w`, and in braces that are not a
/// repetition, which are literals in RE2.
pub(super) fn translate(pattern: &str) -> String {
    let mut out = String::with_capacity(pattern.len());
    let mut rest = pattern;
    while let Some(letter) = rest.chars().next() {
        let length = match letter {
            '\\' => escape(rest, false, &mut out),
            '[' => class(rest, &mut out),
            '{' if !is_repetition(rest) => {
                out.push_str("\\{");
                1
            }
            _ => {
                out.push(letter);
                letter.len_utf8()
            }
        };
        rest = &rest[length..];
    }
    out
}

/// Translates an escape, and returns its length.
fn escape(text: &str, in_class: bool, out: &mut String) -> usize {
    if let Some(quoted) = text.strip_prefix("\\Q") {
        let end = quoted.find("\\E");
        out.push_str(&regex::escape(&quoted[..end.unwrap_or(quoted.len())]));
        return end.map_or(text.len(), |end| end + 4);
    }
    let rest = &text[1..];
    let Some(letter) = rest.chars().next() else {
        out.push('\\');
        return 1;
    };
    if let Some((_, inside)) = ASCII.iter().find(|(class, _)| *class == letter.to_ascii_lowercase()) {
        let (start, end) = match (letter.is_ascii_uppercase(), in_class) {
            (true, _) => ("[^", "]"),
            (false, false) => ("[", "]"),
            (false, true) => ("", ""),
        };
        out.extend([start, inside, end]);
        return 2;
    }
    let octal = rest.bytes().take(3).take_while(|byte| matches!(byte, b'0'..=b'7')).count();
    match letter {
        '<' | '>' => out.push(letter),
        // `\1` alone would be a reference to a group, which neither supports.
        '0'..='7' if letter == '0' || octal > 1 => {
            let code = u32::from_str_radix(&rest[..octal], 8).unwrap_or_default();
            out.extend(char::from_u32(code).map(|letter| format!("\\x{{{:x}}}", u32::from(letter))));
            return 1 + octal;
        }
        // A name or a number in braces, which are not a repetition.
        'p' | 'P' | 'x' if rest[1..].starts_with('{') => {
            let end = text.find('}').map_or(text.len(), |end| end + 1);
            out.push_str(&text[..end]);
            return end;
        }
        _ => out.extend(['\\', letter]),
    }
    1 + letter.len_utf8()
}

/// Translates a class, and returns its length.
fn class(text: &str, out: &mut String) -> usize {
    let open = if text.starts_with("[^") { 2 } else { 1 };
    out.push_str(&text[..open]);
    let mut at = open;
    while let Some(letter) = text[at..].chars().next() {
        let rest = &text[at..];
        let doubled = ["&&", "--", "~~"].iter().any(|sign| rest.starts_with(sign));
        match letter {
            ']' if at > open => {
                out.push(']');
                return at + 1;
            }
            ']' => out.push_str("\\]"),
            '\\' => {
                at += escape(rest, true, out);
                continue;
            }
            '[' if named(rest).is_some() => {
                let name = named(rest).unwrap_or_default();
                let known = NAMED.contains(&name.trim_start_matches('^'));
                // The crate would read an unknown name as letters; as a property it is refused, as in RE2.
                let (start, end) = if known { ("[:", ":]") } else { ("\\p{:", ":}") };
                out.extend([start, name, end]);
                at += name.len() + "[::]".len();
                continue;
            }
            '[' => out.push_str("\\["),
            // Of two hyphens the first may begin a range: `--a`; or the second end one: `+--`.
            '-' if doubled && at == open => out.push_str("\\-"),
            _ if doubled => {
                out.extend([letter, '\\', letter]);
                at += 2;
                continue;
            }
            _ => out.push(letter),
        }
        at += letter.len_utf8();
    }
    at
}

/// Returns the name of a class such as `[:alpha:]`.
fn named(text: &str) -> Option<&str> {
    text.strip_prefix("[:")?.split_once(":]").map(|(name, _)| name)
}

/// True for `{2}`, `{2,}` and `{2,3}`.
fn is_repetition(text: &str) -> bool {
    let Some((inside, _)) = text[1..].split_once('}') else { return false };
    let (least, most) = inside.split_once(',').unwrap_or((inside, ""));
    let is_number = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit());
    !least.is_empty() && is_number(least) && is_number(most)
}

#[cfg(test)]
mod tests {
    use super::translate;

    fn check(pattern: &str, inside: &[&str], outside: &[&str]) {
        let regex = regex::Regex::new(&translate(pattern)).expect(pattern);
        for text in inside {
            assert!(regex.is_match(text), "{text} matches {pattern}, written {regex}");
        }
        for text in outside {
            assert!(!regex.is_match(text), "{text} does not match {pattern}, written {regex}");
        }
    }

    #[test]
    fn patterns_mean_what_they_mean_to_go() {
        check(r"^v\d+$", &["v12"], &["12"]);
        check(r"^[[a]$", &["[", "a"], &["b", "[a"]);
        check(r"^[]a]$", &["]", "a"], &["b"]);
        check(r"^[^]a]$", &["b"], &["]", "a"]);
        check(r"^[a&&b]$", &["a", "&", "b"], &["c"]);
        check(r"^[a~~b]$", &["a", "~", "b"], &["c"]);
        check(r"^[--a]$", &["-", "A", "a"], &["b", "+"]);
        check(r"^[+--]$", &["+", "-", ","], &["a"]);
        check(r"^[^-debug]$", &["a"], &["-", "d"]);
        check(r"^[[:alpha:]_]+$", &["ab_"], &["1"]);
        check(r"^[[:^alpha:]]+$", &["12"], &["a"]);
        check(r"^[[:a]+$", &["[:a"], &["b"]);
        check(r"^[\d.-]+$", &["1.2-3"], &["a"]);
        check(r"^\Qa.b\E+$", &["a.b", "a.bb"], &["aab"]);
        check(r"^\Qa.b", &["a.bc"], &["aab"]);
        check(r"^\<a\>$", &["<a>"], &["a"]);
        check(r"^a{2}$", &["aa"], &["a", "a{2}"]);
        check(r"^a{2,}b{1,2}$", &["aaabb"], &["ab"]);
        check(r"^a{,2}$", &["a{,2}"], &["aa"]);
        check(r"^a{x}$", &["a{x}"], &["a"]);
        check(r"^{$", &["{"], &[""]);
        check(r"^\x{41}\x42$", &["AB"], &["ab"]);
        check(r"^\101\060\0{0}$", &["A0"], &["A", "101"]);
        check(r"^\d\w\S$", &["1_a"], &["١_a", "1é ", "1a "]);
        check(r"^[\d-][\D][^\W]$", &["-a_"], &["11a", "-a."]);
        check(r"^\p{Greek}\pN$", &["α1"], &["a1"]);
        check(r"(?i)^REL-(?P<a>\d)(?<b>\d)$", &["rel-12"], &["rel-1"]);
        check(r"(?U)^a+", &["a"], &["b"]);
    }

    #[test]
    fn what_neither_knows_stays_an_error() {
        for pattern in [r"(?=a)", r"(a)\1", r"a**(", r"[a", r"(?P<n>a", r"\", r"[\", r"[[:nope:]]", r"x{2,1}"]
        {
            assert!(regex::Regex::new(&translate(pattern)).is_err(), "{pattern}");
        }
    }
}
