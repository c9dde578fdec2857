//! Which form a text takes: plain where it can, then single quotes, double quotes, or a literal block.
//!
//! Leaves what a plain text would mean to `resolve`. Pure.

use super::resolve;
use crate::visible;
use crate::yaml::number;

/// Who reads what is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Audience {
    /// Readers of the output of kubectl.
    Kubectl,
    /// A terminal: as for kubectl, with every invisible character escaped.
    Terminal,
    /// The reader in `yaml`, to which `<<` merges, `._5` is a number, and U+2028 is no line end.
    Ourselves,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Style {
    Plain,
    SingleQuoted,
    DoubleQuoted,
    Literal,
}

impl Style {
    /// The form of a text, and whether the text is free of line breaks.
    pub fn of(text: &str, audience: Audience) -> (Self, bool) {
        let mut marks = Marks::of(text);
        if audience == Audience::Ourselves {
            marks.syntax |= text == "<<" || (text.starts_with('.') && number::read(text).is_some());
            marks.unprintable |= text.contains(['\u{2028}', '\u{2029}']);
        }
        if audience == Audience::Terminal {
            marks.unprintable |= text.contains(|c| c != '\n' && visible::is_hidden(c));
        }
        let style = if text.contains('\n') {
            if marks.bars_literal() { Self::DoubleQuoted } else { Self::Literal }
        } else if !resolve::is_text(text) || marks.bars_single_quotes() {
            Self::DoubleQuoted
        } else if marks.bars_plain() {
            Self::SingleQuoted
        } else {
            Self::Plain
        };
        (style, !marks.line_break)
    }

    /// The form that is wanted, or the first after it that can hold the text, whatever the text would mean in it.
    pub fn by_syntax(text: &str, wanted: Self) -> Self {
        let marks = Marks::of(text);
        match wanted {
            Self::Plain if !marks.bars_plain() && !text.is_empty() => Self::Plain,
            Self::Plain | Self::SingleQuoted if !marks.bars_single_quotes() => Self::SingleQuoted,
            Self::Literal if !marks.bars_literal() => Self::Literal,
            Self::Plain | Self::SingleQuoted | Self::Literal | Self::DoubleQuoted => Self::DoubleQuoted,
        }
    }
}

/// True for the characters that end a line in YAML 1.1.
pub(super) fn is_break(c: char) -> bool {
    matches!(c, '\n' | '\r' | '\u{85}' | '\u{2028}' | '\u{2029}')
}

/// True for characters that need no escape.
pub(super) fn is_printable(c: char) -> bool {
    match c {
        '\n' | ' '..='~' => true,
        '\u{FEFF}' => false,
        _ => matches!(c, '\u{A0}'..='\u{FFFD}'),
    }
}

/// What in a text stands against one form or another.
#[derive(Default)]
#[expect(
    clippy::struct_excessive_bools,
    reason = "each is found on its own, and several can be there at once"
)]
struct Marks {
    /// `: `, ` #`, or a start that belongs to YAML.
    syntax: bool,
    unprintable: bool,
    line_break: bool,
    /// A space or a line break at one of the ends.
    ragged: bool,
    trailing_space: bool,
    space_before_break: bool,
    space_after_break: bool,
}

impl Marks {
    fn of(text: &str) -> Self {
        let mut marks = Self { syntax: opens_syntax(text), ..Self::default() };
        let mut previous = None;
        for c in text.chars() {
            let after_space = previous == Some(' ');
            let breaks = is_break(c);
            marks.syntax |= (after_space && c == '#') || (c == ' ' && previous == Some(':'));
            marks.unprintable |= !is_printable(c);
            marks.line_break |= breaks;
            marks.space_before_break |= breaks && after_space;
            marks.space_after_break |= c == ' ' && previous.is_some_and(is_break);
            previous = Some(c);
        }
        let is_edge = |c| c == ' ' || is_break(c);
        marks.syntax |= text.ends_with(':');
        marks.ragged = text.starts_with(is_edge) || text.ends_with(is_edge);
        marks.trailing_space = text.ends_with(' ');
        marks
    }

    fn bars_plain(&self) -> bool {
        self.syntax || self.line_break || self.ragged || self.bars_single_quotes()
    }

    fn bars_single_quotes(&self) -> bool {
        self.space_after_break || self.space_before_break || self.unprintable
    }

    fn bars_literal(&self) -> bool {
        self.trailing_space || self.space_before_break || self.unprintable
    }
}

/// True if YAML takes the start of the text for a mark of its own.
fn opens_syntax(text: &str) -> bool {
    let mut chars = text.chars();
    match chars.next() {
        Some('?' | '-') if matches!(chars.next(), None | Some(' ' | '\t')) => true,
        Some(first) => {
            "#,[]{}&*!|>'\"%@`".contains(first) || text.starts_with("---") || text.starts_with("...")
        }
        None => false,
    }
}
