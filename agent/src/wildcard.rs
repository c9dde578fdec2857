//! Matches patterns with `*` and `?`, such as those of host names. Pure.

/// True if a pattern matches a whole text: `*` matches any bytes, `?` one byte. It only backtracks to the last star, so the time is
/// at most the product of the two lengths.
pub fn fits(pattern: &[u8], text: &[u8]) -> bool {
    let (mut at, mut read) = (0, 0);
    // The position behind the last star, and the end of the text that it matches.
    let mut star = None;
    while read < text.len() {
        match (pattern.get(at), star) {
            (Some(b'*'), _) => {
                at += 1;
                star = Some((at, read));
            }
            (Some(letter), _) if *letter == b'?' || *letter == text[read] => {
                at += 1;
                read += 1;
            }
            (_, Some((behind, end))) => {
                star = Some((behind, end + 1));
                (at, read) = (behind, end + 1);
            }
            (_, None) => return false,
        }
    }
    pattern[at..].iter().all(|letter| *letter == b'*')
}

#[cfg(test)]
mod tests {
    use super::fits;

    #[test]
    fn a_star_stands_for_any_text_and_a_question_mark_for_one_letter() {
        for (pattern, text, expected) in [
            ("", "", true),
            ("*", "", true),
            ("a*c", "abbc", true),
            ("a*c", "abcd", false),
            ("a?c", "abc", true),
            ("a?c", "ac", false),
            ("*.example.com", "git.example.com", true),
            ("*a*b", "xaxxbxb", true),
            ("**", "x", true),
        ] {
            assert_eq!(fits(pattern.as_bytes(), text.as_bytes()), expected, "{pattern} {text}");
        }
    }
}
