//! Translates regular expressions of Go into the syntax of the crate `regex`.
//!
//! Both are derived from RE2; the differences are translated: ASCII classes, `\Q..\E`, octal escapes, literal brackets
//! and braces. Syntax that only the crate accepts is refused: repeated repetitions, counts above 1000, its own flags.
//! The crate reports all other mistakes. Pure.

use std::iter::Peekable;
use std::str::Chars;

/// The highest count of a repetition in Go.
const COUNT: u32 = 1000;

/// Returns the expression for the crate; the error says what is wrong.
pub(super) fn translate(pattern: &str) -> Result<String, String> {
    let mut reader = Reader { rest: pattern.chars().peekable(), out: String::new(), last: Last::Other };
    while let Some(character) = reader.rest.next() {
        reader.item(character)?;
    }
    Ok(reader.out)
}

/// The preceding element, as far as a repetition needs it.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Last {
    Repetition,
    LazyRepetition,
    Other,
}

struct Reader<'a> {
    rest: Peekable<Chars<'a>>,
    out: String,
    last: Last,
}

impl Reader<'_> {
    fn item(&mut self, character: char) -> Result<(), String> {
        match character {
            '*' | '+' | '?' => return self.repetition(&character.to_string()),
            '{' => {
                if let Some(count) = self.count()? {
                    return self.repetition(&count);
                }
                self.literal('{');
            }
            '\\' => self.escape()?,
            '[' => self.class()?,
            '(' => self.group()?,
            '.' | '^' | '$' | '|' | ')' => self.out.push(character),
            literal => self.literal(literal),
        }
        self.last = Last::Other;
        Ok(())
    }

    fn literal(&mut self, character: char) {
        self.out.push_str(&regex::escape(character.encode_utf8(&mut [0; 4])));
    }

    fn repetition(&mut self, operator: &str) -> Result<(), String> {
        self.last = match (self.last, operator) {
            (Last::Other, _) => Last::Repetition,
            (Last::Repetition, "?") => Last::LazyRepetition,
            _ => return Err(format!("{operator} repeats a repetition")),
        };
        self.out.push_str(operator);
        Ok(())
    }

    /// Parses `{2}`, `{2,}` or `{2,3}` after a brace; any other brace is a literal, and nothing is consumed.
    fn count(&mut self) -> Result<Option<String>, String> {
        let text: String = self.rest.clone().take_while(|character| *character != '}').take(12).collect();
        let (low, high) = text.split_once(',').map_or((text.as_str(), None), |(low, high)| (low, Some(high)));
        let is_number = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
        let closed = self.rest.clone().nth(text.len()) == Some('}');
        if !closed || !is_number(low) || high.is_some_and(|high| !high.is_empty() && !is_number(high)) {
            return Ok(None);
        }
        let too_high = |text: &str| !text.is_empty() && text.parse::<u32>().is_ok_and(|count| count > COUNT);
        if too_high(low) || high.is_some_and(too_high) {
            return Err(format!("{{{text}}} counts above {COUNT}"));
        }
        self.rest.nth(text.len());
        Ok(Some(format!("{{{text}}}")))
    }

    /// Parses the start of a group: `?:`, flags or a name.
    fn group(&mut self) -> Result<(), String> {
        self.out.push('(');
        if self.rest.next_if_eq(&'?').is_none() {
            return Ok(());
        }
        self.out.push('?');
        for character in self.rest.by_ref() {
            self.out.push(character);
            match character {
                ')' | ':' | '<' => return Ok(()),
                'i' | 'm' | 's' | 'U' | '-' | 'P' => {}
                other => return Err(format!("(?{other} is not a flag")),
            }
        }
        Err("a bracket is not closed".to_owned())
    }

    fn escape(&mut self) -> Result<(), String> {
        match self.rest.peek() {
            Some('b') => self.replace(r"(?-u:\b)"),
            Some('B') => self.replace(r"\B"),
            Some('A') => self.replace(r"\A"),
            Some('z') => self.replace(r"\z"),
            Some('Q') => {
                self.rest.next();
                self.quoted();
            }
            _ => return self.common_escape(),
        }
        Ok(())
    }

    /// Replaces the next character.
    fn replace(&mut self, text: &str) {
        self.rest.next();
        self.out.push_str(text);
    }

    /// Copies literals up to `\E`, or up to the end.
    fn quoted(&mut self) {
        while let Some(character) = self.rest.next() {
            if character == '\\' && self.rest.next_if_eq(&'E').is_some() {
                return;
            }
            self.literal(character);
        }
    }

    /// An escape inside or outside of a class.
    fn common_escape(&mut self) -> Result<(), String> {
        match self.rest.next() {
            Some('d') => self.out.push_str("[0-9]"),
            Some('D') => self.out.push_str("[^0-9]"),
            Some('s') => self.out.push_str(r"[\t\n\f\r ]"),
            Some('S') => self.out.push_str(r"[^\t\n\f\r ]"),
            Some('w') => self.out.push_str("[0-9A-Za-z_]"),
            Some('W') => self.out.push_str("[^0-9A-Za-z_]"),
            Some(letter @ ('p' | 'P')) => {
                self.out.push('\\');
                self.out.push(letter);
                self.property();
            }
            Some(character) => {
                let escaped = self.escaped(character)?;
                self.literal(escaped);
            }
            None => return Err("it ends with a backslash".to_owned()),
        }
        Ok(())
    }

    /// `N` or `{Greek}`.
    fn property(&mut self) {
        if self.rest.peek() != Some(&'{') {
            self.out.extend(self.rest.next());
            return;
        }
        for character in self.rest.by_ref() {
            self.out.push(character);
            if character == '}' {
                return;
            }
        }
    }

    /// Returns the character of an escape.
    fn escaped(&mut self, character: char) -> Result<char, String> {
        let invalid = || format!("\\{character} is not an escape");
        match character {
            'a' => Ok('\x07'),
            'f' => Ok('\x0c'),
            'n' => Ok('\n'),
            'r' => Ok('\r'),
            't' => Ok('\t'),
            'v' => Ok('\x0b'),
            'x' => self.hexadecimal().ok_or_else(invalid),
            '1'..='7' if !self.rest.peek().is_some_and(|next| ('0'..='7').contains(next)) => Err(invalid()),
            '0'..='7' => {
                let mut code = character.to_digit(8).unwrap_or_default();
                for _ in 0..2 {
                    let Some(digit) = self.rest.peek().and_then(|next| next.to_digit(8)) else { break };
                    code = code * 8 + digit;
                    self.rest.next();
                }
                char::from_u32(code).ok_or_else(invalid)
            }
            sign if sign.is_ascii() && !sign.is_ascii_alphanumeric() => Ok(sign),
            _ => Err(invalid()),
        }
    }

    /// `41` or `{10FFFF}`.
    fn hexadecimal(&mut self) -> Option<char> {
        let digits: String = if self.rest.next_if_eq(&'{').is_some() {
            self.rest.by_ref().take_while(|character| *character != '}').collect()
        } else {
            self.rest.by_ref().take(2).collect()
        };
        u32::from_str_radix(&digits, 16).ok().and_then(char::from_u32)
    }

    /// Parses a class up to its closing bracket.
    fn class(&mut self) -> Result<(), String> {
        self.out.push('[');
        if self.rest.next_if_eq(&'^').is_some() {
            self.out.push('^');
        }
        let mut first = true;
        while let Some(character) = self.rest.next() {
            match character {
                ']' if !first => {
                    self.out.push(']');
                    return Ok(());
                }
                '[' if self.named_class() => {}
                '\\' if self.rest.peek().is_some_and(|next| "dDsSwWpP".contains(*next)) => {
                    self.common_escape()?;
                }
                low => self.range(low)?,
            }
            first = false;
        }
        Err("a square bracket is not closed".to_owned())
    }

    /// Parses `:alpha:]` after a bracket; for other text, nothing is consumed.
    fn named_class(&mut self) -> bool {
        let name: String = self.rest.clone().take_while(|character| *character != ']').take(16).collect();
        if !name.starts_with(':') || name.len() < 2 || !name.ends_with(':') {
            return false;
        }
        self.out.extend(["[", &name, "]"]);
        self.rest.nth(name.chars().count());
        true
    }

    /// A character of a class, or two with `-` between them.
    fn range(&mut self, low: char) -> Result<(), String> {
        let low = self.member(low)?;
        self.literal(low);
        let mut ahead = self.rest.clone();
        if ahead.next() == Some('-') && ahead.next().is_some_and(|next| next != ']') {
            self.rest.next();
            let high = self.rest.next().ok_or("a square bracket is not closed")?;
            let high = self.member(high)?;
            self.out.push('-');
            self.literal(high);
        }
        Ok(())
    }

    fn member(&mut self, character: char) -> Result<char, String> {
        if character != '\\' {
            return Ok(character);
        }
        let escaped = self.rest.next().ok_or("it ends with a backslash")?;
        self.escaped(escaped)
    }
}
