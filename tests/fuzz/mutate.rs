//! Mutations of a text: of its lines, its words and its bytes. Pure.

use std::fmt::Write as _;

use holdfast_tests::random::Random;

use crate::seeds::Seeds;
use crate::values::{FIELDS, POINTERS, VALUES};

/// The deepest nesting that is written.
const DEEPEST: usize = 20_000;

/// One mutation.
pub fn text(bytes: &[u8], seeds: &Seeds, random: &mut Random) -> Vec<u8> {
    if random.one_in(12) {
        return raw(bytes, random);
    }
    let text = String::from_utf8_lossy(bytes);
    let mut lines: Vec<String> = text.lines().map(str::to_owned).collect();
    let at = random.below(lines.len());
    match random.below(14) {
        0 => drop(lines.drain(range(lines.len(), 4, random))),
        1 => {
            let copied = lines[range(lines.len(), 6, random)].to_vec();
            lines.splice(at..at, copied);
        }
        2 => {
            let other = random.below(lines.len());
            if at < lines.len() && other < lines.len() {
                lines.swap(at, other);
            }
        }
        3 => {
            let other: Vec<String> = seeds.text(random).lines().map(str::to_owned).collect();
            let indent = lines.get(at).map_or(0, |line| spaces(line));
            let copied = other[range(other.len(), 12, random)].iter();
            let copied: Vec<String> = copied.map(|line| " ".repeat(indent) + line.trim_start()).collect();
            lines.splice(at..at, copied);
        }
        4 => change(&mut lines, at, |line| format!("{}{line}", " ".repeat(random.between(1, 4)))),
        5 => change(&mut lines, at, |line| line.get(random.between(1, 2)..).unwrap_or_default().to_owned()),
        6 | 7 => change(&mut lines, at, |line| with_value(line, VALUES, random)),
        8 => change(&mut lines, at, |line| with_field(line, random)),
        9 => change(&mut lines, at, |line| with_value(line, POINTERS, random)),
        10 => change(&mut lines, at, |line| with_value(line, &[&deep(random)], random)),
        11 => lines.insert(at, bomb(random)),
        12 => change(&mut lines, at, |line| anchored(line, random)),
        _ => {
            let word = random.pick(VALUES).copied().unwrap_or_default();
            lines.insert(at, format!("{}: {word}", random.pick(FIELDS).copied().unwrap_or("x")));
        }
    }
    let mut text = lines.join("\n");
    text.push('\n');
    text.into_bytes()
}

/// A JSON patch of many operations in few places: what one makes, the next one copies or moves.
pub fn operations(random: &mut Random) -> Vec<u8> {
    let deep = "{x: ".repeat(60) + "1" + &"}".repeat(60);
    let mut text = "- {op: add, path: /a, value: {}}\n- {op: add, path: /b, value: {}}\n".to_owned();
    for at in 0..random.between(1, 60) {
        let mut place = || random.pick(&["/a", "/b", "/metadata", "/a", "/b"]).copied().unwrap_or_default();
        let (from, to) = (place(), place());
        let _ = match random.below(6) {
            0 => writeln!(text, "- {{op: add, path: {to}/x, value: {deep}}}"),
            1 => writeln!(
                text,
                "- {{op: move, from: {from}, path: {to}/m}}\n- {{op: add, path: {from}, value: {{}}}}"
            ),
            _ => writeln!(text, "- {{op: copy, from: {from}, path: {to}/k{at}}}"),
        };
    }
    text.into_bytes()
}

/// Flips, cuts and repeats bytes.
pub fn raw(bytes: &[u8], random: &mut Random) -> Vec<u8> {
    let mut bytes = bytes.to_vec();
    let at = random.below(bytes.len());
    match random.below(4) {
        0 => {
            for _ in 0..random.between(1, 8) {
                let at = random.below(bytes.len());
                if let Some(byte) = bytes.get_mut(at) {
                    *byte ^= 1 << random.below(8);
                }
            }
        }
        1 => bytes.truncate(at),
        2 => drop(bytes.drain(..at)),
        _ => {
            let part = bytes[range(bytes.len(), 32, random)].repeat(random.between(1, 400));
            bytes.splice(at..at, part);
        }
    }
    bytes
}

/// Some neighbours, not more than `most`.
fn range(length: usize, most: usize, random: &mut Random) -> std::ops::Range<usize> {
    let start = random.below(length);
    start..(start + random.between(1, most)).min(length)
}

fn change(lines: &mut [String], at: usize, with: impl FnOnce(&str) -> String) {
    if let Some(line) = lines.get_mut(at) {
        *line = with(line);
    }
}

fn spaces(line: &str) -> usize {
    line.len() - line.trim_start().len()
}

/// Puts another value behind the field or the dash of a line.
fn with_value(line: &str, values: &[&str], random: &mut Random) -> String {
    let value = random.pick(values).copied().unwrap_or_default();
    match line.split_once(": ").map(|(field, _)| field).or_else(|| line.strip_suffix(':')) {
        Some(field) => format!("{field}: {value}"),
        None => format!("{}- {value}", " ".repeat(spaces(line))),
    }
}

/// Puts another name before the value of a line.
fn with_field(line: &str, random: &mut Random) -> String {
    let field = random.pick(FIELDS).copied().unwrap_or_default();
    let start = spaces(line) + if line.trim_start().starts_with("- ") { 2 } else { 0 };
    let rest = line.split_once(':').map_or("", |(_, rest)| rest);
    format!("{}{field}:{rest}", line.get(..start).unwrap_or_default())
}

/// Names the value of a line, or brings a value that is named so.
fn anchored(line: &str, random: &mut Random) -> String {
    let name = random.pick(&["a", "b"]).copied().unwrap_or_default();
    match line.split_once(": ") {
        Some((field, value)) if random.one_in(2) => format!("{field}: &{name} {value}"),
        Some((field, _)) => format!("{field}: *{name}"),
        None if line.ends_with(':') => format!("{line} &{name}"),
        None => format!("{}<<: *{name}", " ".repeat(spaces(line))),
    }
}

/// A value inside many others.
fn deep(random: &mut Random) -> String {
    let depth = random.pick(&[10, 100, 119, 120, 121, 1000, DEEPEST]).copied().unwrap_or(10);
    match random.below(4) {
        0 => "[".repeat(depth) + &"]".repeat(depth),
        1 => "{a: ".repeat(depth) + &"}".repeat(depth),
        2 => "[".repeat(depth),
        _ => "- ".repeat(depth) + "x",
    }
}

/// Few lines that stand for very many.
fn bomb(random: &mut Random) -> String {
    let (levels, width) = (random.between(2, 12), random.between(2, 12));
    let mut text = "b0: &b0 [x, x, x]\n".to_owned();
    for level in 1..levels {
        let aliases = vec![format!("*b{}", level - 1); width].join(", ");
        let (open, close) = if random.one_in(3) { ("{<<: [", "]}") } else { ("[", "]") };
        text += &(format!("b{level}: &b{level} ") + open + &aliases + close + "\n");
    }
    text
}
