//! Merges two changes of a text, each of which is in one place, or which are equal. Pure.

/// Returns the text with both changes. `None` if they overlap or are adjacent.
pub fn merge(was: &[u8], one: &[u8], other: &[u8]) -> Option<Vec<u8>> {
    if one == other || other == was {
        return Some(one.to_vec());
    }
    if one == was {
        return Some(other.to_vec());
    }
    let [was, one, other] = [was, one, other].map(lines);
    let (first, second) = (Change::of(&was, &one), Change::of(&was, &other));
    let ((early, by), (late, with)) = if first.from <= second.from {
        ((first, one), (second, other))
    } else {
        ((second, other), (first, one))
    };
    if early.to >= late.from {
        return None;
    }
    let parts = [
        was.get(..early.from)?,
        by.get(early.from..by.len() - (was.len() - early.to))?,
        was.get(early.to..late.from)?,
        with.get(late.from..with.len() - (was.len() - late.to))?,
        was.get(late.to..)?,
    ];
    Some(parts.concat().concat())
}

/// The lines in which a text differs from another one.
struct Change {
    from: usize,
    to: usize,
}

impl Change {
    fn of(was: &[&[u8]], now: &[&[u8]]) -> Self {
        let from = was.iter().zip(now).take_while(|(was, now)| was == now).count();
        let (was_rest, now_rest) = (was.get(from..).unwrap_or_default(), now.get(from..).unwrap_or_default());
        let same =
            was_rest.iter().rev().zip(now_rest.iter().rev()).take_while(|(was, now)| was == now).count();
        Self { from, to: was.len() - same }
    }
}

/// Splits a text into lines, with their line breaks.
fn lines(text: &[u8]) -> Vec<&[u8]> {
    text.split_inclusive(|byte| *byte == b'\n').collect()
}

#[cfg(test)]
mod tests {
    use super::merge;

    #[track_caller]
    fn check(one: &str, other: &str, expected: Option<&str>) {
        let was = "a\nb\nc\nd\ne\n";
        for (one, other) in [(one, other), (other, one)] {
            let merged = merge(was.as_bytes(), one.as_bytes(), other.as_bytes());
            let merged = merged.map(|text| String::from_utf8_lossy(&text).into_owned());
            assert_eq!(merged.as_deref(), expected, "{one:?} {other:?}");
        }
    }

    #[test]
    fn changes_apart_from_each_other_are_merged() {
        check("a\nb\nc\nd\ne\n", "x", Some("x"));
        check("A\nb\nc\nd\ne\n", "a\nb\nc\nd\nE\n", Some("A\nb\nc\nd\nE\n"));
        check("A\nb\nc\nd\ne\n", "a\nb\nc\nd\ne\nf\n", Some("A\nb\nc\nd\ne\nf\n"));
        check("a\nc\nd\ne\n", "a\nb\nc\nd1\nd2\ne\n", Some("a\nc\nd1\nd2\ne\n"));
        check("0\na\nb\nc\nd\ne\n", "a\nb\nc\n", Some("0\na\nb\nc\n"));
        check("A\nb\nc\nd\ne\n", "A\nb\nc\nd\ne\n", Some("A\nb\nc\nd\ne\n"));
    }

    #[test]
    fn changes_that_touch_each_other_are_not() {
        check("a\nB\nc\nd\ne\n", "a\nX\nc\nd\ne\n", None);
        check("a\nB\nc\nd\ne\n", "a\nb\nC\nd\ne\n", None);
        check("A\nb\nc\nd\nE\n", "a\nb\nC\nd\ne\n", None);
    }
}
