//! Texts that differ a little each time: `<name>`, `<at>` and `<3-9>` are filled in, and lines that begin with `#` say
//! what becomes of the lines up to `#.`. Pure.
//!
//! - `#* 2 5`: they come two to five times, `<at>` counts;
//! - `#? 3`: they come once in three times;
//! - `#pod 4`: here stands the template of a pod, four spaces to the right.

use std::fmt::Write as _;

use crate::random::Random;

const POD: &str = include_str!("../../data/corpus/pod.part");

/// Fills a template.
pub fn fill(template: &str, name: &str, random: &mut Random) -> String {
    let mut text = String::new();
    let mut lines = template.lines();
    while let Some(line) = lines.next() {
        let words: Vec<&str> = line.split_whitespace().collect();
        match words.as_slice() {
            ["#pod", indent] => {
                let space = " ".repeat(indent.parse().unwrap_or(0));
                for line in fill(POD, name, random).lines() {
                    let _ = writeln!(text, "{space}{line}");
                }
            }
            ["#*", low, high] => {
                let (low, high) = (low.parse().unwrap_or(1), high.parse().unwrap_or(1));
                let block: Vec<&str> = lines.by_ref().take_while(|line| *line != "#.").collect();
                for at in 0..random.between(low, high) {
                    block.iter().for_each(|line| put(&mut text, line, name, at, random));
                }
            }
            ["#?", times] => {
                let is_in = random.one_in(times.parse().unwrap_or(1));
                let block: Vec<&str> = lines.by_ref().take_while(|line| *line != "#.").collect();
                block.iter().filter(|_| is_in).for_each(|line| put(&mut text, line, name, 0, random));
            }
            _ => put(&mut text, line, name, 0, random),
        }
    }
    text
}

/// Writes a line with what stands in angles filled in.
fn put(text: &mut String, line: &str, name: &str, at: usize, random: &mut Random) {
    let mut rest = line;
    while let Some((before, (word, after))) =
        rest.split_once('<').and_then(|(before, rest)| Some((before, rest.split_once('>')?)))
    {
        text.push_str(before);
        let numbers =
            word.split_once('-').and_then(|(low, high)| Some((low.parse().ok()?, high.parse().ok()?)));
        match (word, numbers) {
            ("name", _) => text.push_str(name),
            ("at", _) => text.push_str(&at.to_string()),
            (_, Some((low, high))) => text.push_str(&random.between(low, high).to_string()),
            _ => {
                let _ = write!(text, "<{word}>");
            }
        }
        rest = after;
    }
    text.push_str(rest);
    text.push('\n');
}

#[cfg(test)]
mod tests {
    use super::fill;
    use crate::random::Random;

    #[track_caller]
    fn check(template: &str, expected: &str) {
        assert_eq!(fill(template, "web", &mut Random::new(1)), expected);
    }

    #[test]
    fn what_stands_in_angles_is_filled_in() {
        check("name: <name>-<7-7>\n", "name: web-7\n");
        check("a: <b> < c", "a: <b> < c\n");
    }

    #[test]
    fn a_block_is_repeated_or_left_out() {
        check("all:\n#* 2 2\n- <at>\n#.\nend", "all:\n- 0\n- 1\nend\n");
        check("#? 1\nin\n#.\n#* 0 0\nout\n#.\n", "in\n");
    }
}
