//! Patterns at the start or the end of a value: `*`, `?`, `[a-z]`, `[^a-z]`, and `\` before any of them.
//!
//! `*` also matches `/`. A piece between two stars is searched once, from left to right, so that the
//! work is the length of the value times that of the pattern at most. Pure.

pub(super) struct Glob {
    /// The tokens between the stars; one more than there are stars.
    pieces: Vec<Vec<Token>>,
}

enum Token {
    Any,
    One(char),
    Class { negated: bool, ranges: Vec<(char, char)> },
}

impl Token {
    fn matches(&self, c: char) -> bool {
        match self {
            Self::Any => true,
            Self::One(one) => *one == c,
            Self::Class { negated, ranges } => {
                ranges.iter().any(|(from, to)| (*from..=*to).contains(&c)) != *negated
            }
        }
    }
}

impl Glob {
    /// Parses a pattern. `None` if it is malformed: then it matches nothing.
    pub fn new(pattern: &str) -> Option<Self> {
        let mut chars = pattern.chars();
        let mut pieces = vec![Vec::new()];
        while let Some(c) = chars.next() {
            let token = match c {
                '*' => {
                    pieces.push(Vec::new());
                    continue;
                }
                '?' => Token::Any,
                '[' => class(&mut chars)?,
                '\\' => Token::One(chars.next()?),
                other => Token::One(other),
            };
            pieces.last_mut()?.push(token);
        }
        Some(Self { pieces })
    }

    /// Returns the length of the shortest or longest matching prefix of the value, of at least one character.
    pub fn prefix(&self, value: &str, longest: bool) -> usize {
        let chars: Vec<char> = value.chars().collect();
        let pieces: Vec<Vec<&Token>> = self.pieces.iter().map(|piece| piece.iter().collect()).collect();
        let matched = Search { chars: &chars, pieces: &pieces }.prefix(longest).unwrap_or(0);
        bytes(chars.get(..matched).unwrap_or_default())
    }

    /// As `prefix`, at the end.
    pub fn suffix(&self, value: &str, longest: bool) -> usize {
        let chars: Vec<char> = value.chars().rev().collect();
        let pieces: Vec<Vec<&Token>> =
            self.pieces.iter().rev().map(|piece| piece.iter().rev().collect()).collect();
        let matched = Search { chars: &chars, pieces: &pieces }.prefix(longest).unwrap_or(0);
        bytes(chars.get(..matched).unwrap_or_default())
    }
}

struct Search<'s> {
    chars: &'s [char],
    pieces: &'s [Vec<&'s Token>],
}

impl Search<'_> {
    fn prefix(&self, longest: bool) -> Option<usize> {
        let (first, rest) = self.pieces.split_first()?;
        if !self.is_at(first, 0) {
            return None;
        }
        let mut at = first.len();
        let Some((last, inner)) = rest.split_last() else { return Some(at) };
        for piece in inner {
            at = self.find(piece, at)? + piece.len();
        }
        if last.is_empty() {
            return Some(if longest { self.chars.len() } else { at.max(1) });
        }
        let found = if longest { self.find_last(last, at) } else { self.find(last, at) };
        found.map(|found| found + last.len())
    }

    fn find(&self, piece: &[&Token], from: usize) -> Option<usize> {
        (from..=self.chars.len().checked_sub(piece.len())?).find(|at| self.is_at(piece, *at))
    }

    fn find_last(&self, piece: &[&Token], from: usize) -> Option<usize> {
        (from..=self.chars.len().checked_sub(piece.len())?).rev().find(|at| self.is_at(piece, *at))
    }

    fn is_at(&self, piece: &[&Token], at: usize) -> bool {
        let chars = self.chars.get(at..at + piece.len());
        chars.is_some_and(|chars| piece.iter().zip(chars).all(|(token, c)| token.matches(*c)))
    }
}

/// Parses the class after a `[`.
fn class(chars: &mut std::str::Chars) -> Option<Token> {
    let negated = chars.as_str().starts_with('^');
    if negated {
        chars.next();
    }
    let mut ranges = Vec::new();
    loop {
        if !ranges.is_empty() && chars.as_str().starts_with(']') {
            chars.next();
            return Some(Token::Class { negated, ranges });
        }
        let from = class_char(chars)?;
        let to = if chars.as_str().starts_with('-') {
            chars.next();
            class_char(chars)?
        } else {
            from
        };
        ranges.push((from, to));
    }
}

fn class_char(chars: &mut std::str::Chars) -> Option<char> {
    match chars.next()? {
        '-' | ']' => None,
        '\\' => chars.next(),
        other => Some(other),
    }
}

fn bytes(chars: &[char]) -> usize {
    chars.iter().map(|c| c.len_utf8()).sum()
}
