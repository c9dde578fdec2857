//! Label selectors as kustomize reads them: `a=b`, `a==b`, `a!=b`, `a in (x, y)`, `a notin (x, y)`, `a`,
//! `!a`, `a>1`, `a<1`, all of which must hold.
//!
//! Follows "Labels and Selectors" of the Kubernetes documentation, and the unusual cases of its reference
//! implementation. Pure.

use std::iter::Peekable;
use std::vec::IntoIter;

/// The requirements of a selector.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Requirements(Vec<Requirement>);

#[derive(Debug, PartialEq, Eq)]
struct Requirement {
    key: String,
    test: Test,
}

/// The requirement for a label.
#[derive(Debug, PartialEq, Eq)]
enum Test {
    Exists,
    Absent,
    In(Vec<String>),
    /// Also matches without the label.
    NotIn(Vec<String>),
    Above(i64),
    Below(i64),
}

impl Requirements {
    /// Parses a selector; the error says what was found and what was expected.
    pub(super) fn parse(text: &str) -> Result<Self, String> {
        let mut tokens = Tokens::new(text);
        let mut all = Vec::new();
        if tokens.at_end() {
            return Ok(Self(all));
        }
        loop {
            all.push(tokens.requirement()?);
            if tokens.at_end() {
                return Ok(Self(all));
            }
            tokens.expect(",")?;
        }
    }

    /// True if all requirements match the labels that `value` returns.
    pub(super) fn match_all<'a>(&self, value: impl Fn(&str) -> Option<&'a str>) -> bool {
        self.0.iter().all(|Requirement { key, test }| test.holds(value(key)))
    }
}

impl Test {
    fn holds(&self, value: Option<&str>) -> bool {
        let among = |values: &[String]| value.is_some_and(|value| values.iter().any(|one| one == value));
        let number = || value.and_then(|value| value.parse::<i64>().ok());
        match self {
            Self::Exists => value.is_some(),
            Self::Absent => value.is_none(),
            Self::In(values) => among(values),
            Self::NotIn(values) => !among(values),
            Self::Above(limit) => number().is_some_and(|number| number > *limit),
            Self::Below(limit) => number().is_some_and(|number| number < *limit),
        }
    }
}

/// The tokens of a selector.
struct Tokens<'a>(Peekable<IntoIter<&'a str>>);

impl<'a> Tokens<'a> {
    fn new(text: &'a str) -> Self {
        // The reference implementation treats a NUL as the end.
        let mut rest = text.split('\0').next().unwrap_or_default().trim_start_matches(is_space);
        let mut tokens = Vec::new();
        while !rest.is_empty() {
            let length = match rest.as_bytes() {
                [b'=' | b'!', b'=', ..] => 2,
                [first, ..] if is_sign(char::from(*first)) => 1,
                _ => rest.find(|character| is_sign(character) || is_space(character)).unwrap_or(rest.len()),
            };
            let (token, behind) = rest.split_at(length);
            tokens.push(token);
            rest = behind.trim_start_matches(is_space);
        }
        Self(tokens.into_iter().peekable())
    }

    fn at_end(&mut self) -> bool {
        self.0.peek().is_none()
    }

    fn next_is(&mut self, sign: &str) -> bool {
        self.0.peek() == Some(&sign)
    }

    fn expect(&mut self, sign: &str) -> Result<(), String> {
        let found = self.0.next();
        if found == Some(sign) { Ok(()) } else { Err(unexpected(found, sign)) }
    }

    fn word(&mut self, expected: &str) -> Result<&'a str, String> {
        let found = self.0.next();
        found.filter(|token| !token.starts_with(is_sign)).ok_or_else(|| unexpected(found, expected))
    }

    fn requirement(&mut self) -> Result<Requirement, String> {
        let absent = self.next_is("!");
        if absent {
            self.0.next();
        }
        let key = self.word("a key")?;
        check_key(key)?;
        let test = if self.at_end() || self.next_is(",") {
            if absent { Test::Absent } else { Test::Exists }
        } else {
            // As in the reference implementation, `!a = b` is `a = b`.
            self.comparison()?
        };
        Ok(Requirement { key: key.to_owned(), test })
    }

    fn comparison(&mut self) -> Result<Test, String> {
        match self.0.next() {
            Some("in") => self.values().map(Test::In),
            Some("notin") => self.values().map(Test::NotIn),
            Some("=" | "==") => self.value().map(|value| Test::In(vec![value])),
            Some("!=") => self.value().map(|value| Test::NotIn(vec![value])),
            Some(">") => self.number().map(Test::Above),
            Some("<") => self.number().map(Test::Below),
            found => Err(unexpected(found, "=, ==, !=, in, notin, < or >")),
        }
    }

    fn value(&mut self) -> Result<String, String> {
        if self.at_end() || self.next_is(",") {
            return Ok(String::new());
        }
        checked_value(self.word("a value")?)
    }

    fn number(&mut self) -> Result<i64, String> {
        let value = self.value()?;
        value.parse().map_err(|_| format!("{value:?} is not a whole number"))
    }

    /// `(x, y)`; a value may be empty.
    fn values(&mut self) -> Result<Vec<String>, String> {
        self.expect("(")?;
        let mut values = Vec::new();
        if self.next_is(")") {
            values.push(String::new());
        }
        while !self.next_is(")") {
            if self.next_is(",") {
                self.empty_values(&mut values)?;
            } else {
                values.push(checked_value(self.word("a value")?)?);
                if !self.next_is(",") && !self.next_is(")") {
                    return Err(unexpected(self.0.next(), "`,` or `)`"));
                }
            }
        }
        self.expect(")")?;
        Ok(values)
    }

    /// Parses the commas between two values, with empty values between them.
    fn empty_values(&mut self, values: &mut Vec<String>) -> Result<(), String> {
        self.expect(",")?;
        if values.is_empty() || self.next_is(")") || self.next_is(",") {
            values.push(String::new());
        }
        // As in the reference implementation, a value must follow two commas.
        if self.next_is(",") {
            self.0.next();
            if self.next_is(")") {
                return Err(unexpected(Some(")"), "a value"));
            }
        }
        Ok(())
    }
}

fn unexpected(found: Option<&str>, expected: &str) -> String {
    match found {
        Some(found) => format!("{found:?} is where {expected} should be"),
        None => format!("it ends where {expected} should be"),
    }
}

/// Checks a key: a name with an optional DNS subdomain as prefix.
fn check_key(key: &str) -> Result<(), String> {
    let (prefix, name) = key.split_once('/').map_or((None, key), |(prefix, name)| (Some(prefix), name));
    let valid = !name.is_empty() && is_name(name) && prefix.is_none_or(is_subdomain);
    valid.then_some(()).ok_or_else(|| format!("{key:?} is not a label key"))
}

fn checked_value(value: &str) -> Result<String, String> {
    is_name(value).then(|| value.to_owned()).ok_or_else(|| format!("{value:?} is not a label value"))
}

/// Also true for the empty text.
fn is_name(text: &str) -> bool {
    let inner = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.');
    let edge = |byte: Option<&u8>| byte.is_none_or(u8::is_ascii_alphanumeric);
    let bytes = text.as_bytes();
    bytes.len() <= 63 && edge(bytes.first()) && edge(bytes.last()) && text.bytes().all(inner)
}

fn is_subdomain(text: &str) -> bool {
    let lower = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit();
    let label = |label: &str| {
        let bytes = label.as_bytes();
        bytes.first().is_some_and(|byte| lower(*byte))
            && bytes.last().is_some_and(|byte| lower(*byte))
            && label.bytes().all(|byte| lower(byte) || byte == b'-')
    };
    text.len() <= 253 && text.split('.').all(label)
}

fn is_sign(character: char) -> bool {
    matches!(character, '=' | '!' | '(' | ')' | ',' | '>' | '<')
}

fn is_space(character: char) -> bool {
    matches!(character, ' ' | '\t' | '\r' | '\n')
}
