//! Shortens a comment to the size that a forge accepts: the largest parts are left out first, and listed by name. Pure.

use std::fmt::Write as _;

use super::markdown::{backticks, fenced, html};
use super::preview::count;

/// Maximum number of left-out parts that are listed by name.
const NAMED: usize = 10;
/// Maximum bytes of a list.
const LIST: usize = 8 * 1024;
/// Bytes of the fixed texts of a section, and more than the numbers in them.
const FRAME: usize = 256;

/// One folded section of the comment: a Sync, with a part for each object.
#[derive(Debug)]
pub struct Section {
    /// The title, as escaped HTML.
    pub title: String,
    pub parts: Vec<Part>,
    /// Text above the parts, in Markdown.
    pub note: String,
}

/// One object of a section.
#[derive(Debug)]
pub struct Part {
    /// The name that is listed if the part is left out: `update ConfigMap shop/a`.
    pub name: String,
    /// Lines of a diff.
    pub diff: String,
}

/// Writes items as a Markdown list, up to `LIST` bytes.
pub fn list(items: &[String]) -> String {
    let mut text = String::new();
    for (at, item) in items.iter().enumerate() {
        if text.len() + item.len() > LIST && at > 0 {
            let _ = writeln!(text, "- and {} more", items.len() - at);
            break;
        }
        text.push_str("- ");
        text.push_str(item);
        text.push('\n');
    }
    text
}

/// Writes sections in at most `room` bytes, and a note about those that are left out.
pub fn sections(sections: &[Section], room: usize) -> String {
    let whole =
        |section: &Section| frame(section) + section.parts.iter().map(|part| part.diff.len()).sum::<usize>();
    let is_cut = sections.iter().map(whole).sum::<usize>() > room;
    let frame = |section: &Section| frame(section) + if is_cut { names(section) } else { 0 };
    let mut frames = 0;
    let fitting = sections.iter().take_while(|section| {
        frames += frame(section);
        frames < room
    });
    let shown = fitting.count();
    let frames: usize = sections[..shown].iter().map(frame).sum();
    let kept = kept(&sections[..shown], if is_cut { room.saturating_sub(frames) } else { usize::MAX });
    let mut text = String::new();
    for (at, section) in sections[..shown].iter().enumerate() {
        text.push_str(&written(section, &kept[at]));
    }
    if shown < sections.len() {
        let left = count(sections.len() - shown, "more Sync");
        let _ = writeln!(text, "\nThe changes of {left} are not shown, since the comment would be too long.");
    }
    text
}

/// The bytes of a section without its parts: its title, its note, and the fence around the diff.
fn frame(Section { title, parts, note }: &Section) -> usize {
    let fence = parts.iter().map(|part| backticks(&part.diff)).max().unwrap_or_default();
    title.len() + note.len() + 2 * fence + FRAME
}

/// The bytes of the names of left-out parts, whichever are left out. Escaped, a name is several times as long.
fn names(section: &Section) -> usize {
    let mut all: Vec<usize> = section.parts.iter().map(|part| named(part).len()).collect();
    all.sort_unstable_by(|one, other| other.cmp(one));
    all.iter().take(NAMED).sum()
}

/// The line that names a left-out part.
fn named(part: &Part) -> String {
    let lines = count(part.diff.lines().count(), "line");
    format!("- <code>{}</code> ({lines})\n", html(&part.name))
}

/// Returns which parts of each section are shown. The largest are left out first.
fn kept(sections: &[Section], room: usize) -> Vec<Vec<bool>> {
    let mut kept: Vec<Vec<bool>> = sections.iter().map(|section| vec![true; section.parts.len()]).collect();
    let mut all: Vec<(usize, usize, usize)> = Vec::new();
    for (at, section) in sections.iter().enumerate() {
        all.extend(section.parts.iter().enumerate().map(|(part, it)| (it.diff.len(), at, part)));
    }
    let mut size: usize = all.iter().map(|(length, ..)| length).sum();
    all.sort_unstable_by(|one, other| other.cmp(one));
    for (length, section, part) in all {
        if size <= room {
            break;
        }
        kept[section][part] = false;
        size -= length;
    }
    kept
}

fn written(Section { title, parts, note }: &Section, kept: &[bool]) -> String {
    let diff: String =
        parts.iter().zip(kept).filter(|(_, kept)| **kept).map(|(part, _)| part.diff.as_str()).collect();
    let left: Vec<&Part> = parts.iter().zip(kept).filter(|(_, kept)| !**kept).map(|(part, _)| part).collect();
    let mut text = format!("\n<details><summary>{title}</summary>\n\n{note}");
    if !diff.is_empty() {
        text.push_str(&fenced("diff", &diff));
    }
    if !left.is_empty() {
        text.push_str("\nToo long to be shown here:\n\n");
        left.iter().take(NAMED).for_each(|part| text.push_str(&named(part)));
        if left.len() > NAMED {
            let _ = writeln!(text, "- and {}", count(left.len() - NAMED, "more object"));
        }
    }
    text.push_str("\n</details>\n");
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    fn section(name: &str, sizes: &[usize]) -> Section {
        let part = |(at, size): (usize, &usize)| Part {
            name: format!("update {name}{at}"),
            diff: format!("{}\n", "x".repeat(*size)),
        };
        Section {
            title: name.to_owned(),
            parts: sizes.iter().enumerate().map(part).collect(),
            note: String::new(),
        }
    }

    #[test]
    fn the_largest_parts_give_way_first_and_are_named() {
        let all = [section("a", &[100, 5000, 200]), section("b", &[4000, 10])];
        let text = sections(&all, 3000);
        assert!(text.contains(&"x".repeat(200)) && !text.contains(&"x".repeat(300)));
        assert!(text.contains("<code>update a1</code> (1 line)") && text.contains("<code>update b0</code>"));
        assert!(text.len() < 3000);
        assert!(!sections(&all, 20_000).contains("Too long"));
    }

    #[test]
    fn thousands_of_objects_and_of_syncs_stay_within_the_room() {
        for all in [
            vec![section("a", &[300; 5000])],
            (0..400).map(|at| section(&format!("s{at}"), &[300; 20])).collect::<Vec<_>>(),
        ] {
            for room in [0, 100, 5_000, 40_000] {
                let text = sections(&all, room);
                assert!(text.len() <= room + 200, "{} > {room}", text.len());
            }
        }
        let many: Vec<Section> = (0..400).map(|at| section(&format!("s{at}"), &[300; 20])).collect();
        assert!(sections(&many, 20_000).contains("more Syncs are not shown"));
    }

    #[test]
    fn names_that_are_escaped_and_long_fences_stay_within_the_room() {
        let part = |at: usize| Part {
            name: format!("update {}{at}", "'<\"".repeat(100)),
            diff: format!("+ {}\n{}", "`".repeat(500), "x\n".repeat(2000)),
        };
        let section = || Section {
            title: "a".to_owned(),
            parts: (0..20).map(part).collect(),
            note: "note\n".to_owned(),
        };
        for all in [vec![section()], vec![section(), section(), section()]] {
            for room in [20_000, 30_000, 60_000] {
                let text = sections(&all, room);
                assert!(text.len() <= room + 200, "{} > {room}", text.len());
            }
        }
        assert!(sections(&[section()], 30_000).contains("Too long to be shown here"));
        assert!(!sections(&[section()], 200_000).contains("Too long"));
    }

    #[test]
    fn a_list_ends_where_its_room_does() {
        let items: Vec<String> = (0..5000).map(|at| format!("`item {at}`")).collect();
        let text = list(&items);
        assert!(text.len() < LIST + 100 && text.contains("more\n"), "{}", text.len());
        assert_eq!(list(&items[..2]), "- `item 0`\n- `item 1`\n");
    }
}
