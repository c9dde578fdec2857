//! Escapes text of a repository or a cluster for Markdown, so that it cannot contain markup, mentions, links or HTML.
//!
//! The text is placed in code spans, in fenced blocks, or in `<code>` of a summary, where no forge interprets it. Pure.

use holdfast_diff::visible;

/// Maximum number of characters of a text on one line.
const LONG: usize = 400;

/// Writes a text on one line as a code span.
pub fn code(text: &str) -> String {
    let text = line(text);
    if text.trim().is_empty() {
        return "(empty)".to_owned();
    }
    let fence = "`".repeat(backticks(&text) + 1);
    // Markdown removes one space at each end, so that a backtick there is not part of the fence.
    let space = if text.starts_with(['`', ' ']) || text.ends_with(['`', ' ']) { " " } else { "" };
    format!("{fence}{space}{text}{space}{fence}")
}

/// Writes a text on one line as escaped HTML.
pub fn html(text: &str) -> String {
    let mut shown = String::with_capacity(text.len());
    for character in line(text).chars() {
        match character {
            '&' => shown.push_str("&amp;"),
            '<' => shown.push_str("&lt;"),
            '>' => shown.push_str("&gt;"),
            '"' => shown.push_str("&quot;"),
            '\'' => shown.push_str("&#39;"),
            _ => shown.push(character),
        }
    }
    shown
}

/// Writes lines as a fenced block. None of the lines can end it.
pub fn fenced(language: &str, text: &str) -> String {
    let fence = "`".repeat(backticks(text).max(2) + 1);
    let end = if text.ends_with('\n') || text.is_empty() { "" } else { "\n" };
    format!("{fence}{language}\n{text}{end}{fence}\n")
}

/// Writes a text on one line, with control characters as escapes, and cut to `LONG` characters.
pub fn line(text: &str) -> String {
    let text = visible::line(text);
    match text.char_indices().nth(LONG) {
        Some((at, _)) => format!("{}… ({} more characters)", &text[..at], text[at..].chars().count()),
        None => text.into_owned(),
    }
}

/// The length of the longest run of backticks.
pub fn backticks(text: &str) -> usize {
    text.split(|character| character != '`').map(str::len).max().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_code_span_holds_whatever_is_in_it() {
        let check = |text: &str, expected: &str| assert_eq!(code(text), expected);
        check("a", "`a`");
        check("@alice <!-- -->", "`@alice <!-- -->`");
        check("a`b", "``a`b``");
        check("`", "`` ` ``");
        check("a\n\n# b", "`a\\n\\n# b`");
        check("``` x", "```` ``` x ````");
        check("", "(empty)");
        check(" ", "(empty)");
        check("\u{202e}x", "`\\u{202e}x`");
        assert!(code(&"x".repeat(1000)).ends_with("… (600 more characters)`"));
    }

    #[test]
    fn a_fenced_block_is_not_ended_by_what_is_in_it() {
        assert_eq!(fenced("diff", "+ a\n"), "```diff\n+ a\n```\n");
        assert_eq!(fenced("diff", "+ a\n ```\n````` x"), "``````diff\n+ a\n ```\n````` x\n``````\n");
    }

    #[test]
    fn html_of_others_is_text() {
        assert_eq!(
            html("</code><img src='x' onerror=\"y\">&"),
            "&lt;/code&gt;&lt;img src=&#39;x&#39; onerror=&quot;y&quot;&gt;&amp;"
        );
    }
}
