//! The pull request by which a commit came to its branch, as the first line of its message says it. Pure.

/// The number in `Merge pull request #7 from …`, `Title (#7)`, `Merge pull request 'Title' (#7) from …` or `Title (!7)`.
pub fn number(subject: &str) -> Option<i64> {
    let digits = |text: &str| {
        let end = text.find(|letter: char| !letter.is_ascii_digit()).unwrap_or(text.len());
        text.get(..end)?.parse().ok()
    };
    if let Some(rest) = subject.strip_prefix("Merge pull request #") {
        return digits(rest);
    }
    let marks = ["(#", "(!"];
    // The last one is that of the forge: a title can have others.
    let found = marks.iter().filter_map(|mark| subject.rfind(mark).map(|at| at + mark.len())).max()?;
    let rest = subject.get(found..)?;
    let number: i64 = digits(rest)?;
    let after = rest.trim_start_matches(|letter: char| letter.is_ascii_digit());
    let is_whole =
        after == ")" || (after.starts_with(") from ") && subject.starts_with("Merge pull request '"));
    is_whole.then_some(number)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_number_is_in_the_first_line_of_a_merge() {
        for (subject, expected) in [
            ("Merge pull request #12 from org/branch", Some(12)),
            ("Merge pull request 'Fix (#1) again' (#34) from change into main", Some(34)),
            ("Update web to 1.2 (#56)", Some(56)),
            ("Revert \"Update web (#5)\" (#6)", Some(6)),
            ("Update web (!78)", Some(78)),
            ("Update web, see #9", None),
            ("Fix (#7) at last", None),
            ("Merge branch 'x' into 'main'", None),
            ("", None),
        ] {
            assert_eq!(number(subject), expected, "{subject}");
        }
    }
}
