//! Mistakes in a YAML text, with what to do.
//!
//! Leaves mistakes in an object to `manifest`. Pure.

use std::sync::Arc;

use granit_parser::ErrorKind;

/// One mistake in one file. Lines and columns count from 1, columns in characters.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{file}:{line}:{column}: {problem}")]
pub struct YamlError {
    pub file: Arc<str>,
    pub line: u32,
    pub column: u32,
    pub problem: YamlProblem,
}

#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum YamlProblem {
    #[error("the file is not valid UTF-8 here: save it as UTF-8")]
    Encoding,
    #[error("the file is UTF-16: save it as UTF-8")]
    Utf16,
    #[error("YAML allows no control character {0:?}: remove it, or write it as an escape in a quoted string")]
    Control(char),
    #[error("{0}")]
    Syntax(String),
    #[error("the key `{key}` is already set on line {first}: remove one of the two")]
    DuplicateKey { key: String, first: u32 },
    #[error(
        "the key `{key}` is set again here, so that its value on line {first} is lost: remove one of the two"
    )]
    LostKey { key: String, first: u32 },
    #[error(
        "another object begins here without `---`, so that {kind} `{name}` on line {first} is lost: put `---` on a line \
         between them"
    )]
    LostObject { kind: String, name: String, first: u32 },
    #[error(
        "a {0} cannot be a key: if this is a template (`{{{{ ... }}}}`), render it first or quote it; \
         otherwise write a plain key"
    )]
    CollectionKey(&'static str),
    #[error("{0} cannot be a key in JSON: quote it")]
    ScalarKey(&'static str),
    #[error("`<<` merges a mapping or a list of mappings: give it an alias of one, or quote the key")]
    Merge,
    #[error(
        "no anchor `&{0}` is defined before this alias: define it, or quote the text if `*` belongs to it"
    )]
    UnknownAnchor(String),
    #[error("the anchor `&{0}` contains itself: remove the alias")]
    AliasLoop(String),
    #[error("aliases make up too much of the document: replace them with their values")]
    ExcessiveAliases,
    #[error("the file has more than {0} values: split it into several files")]
    TooMany(usize),
    #[error("nested deeper than {0} levels: flatten it")]
    TooDeep(usize),
    #[error("`{text}` does not read as {tag}: correct the value or drop the tag")]
    WrongTag { text: String, tag: &'static str },
    #[error("the value of !!binary is not base64: correct it or drop the tag")]
    Binary,
    #[error("`{0}` is a number that JSON cannot hold: quote it if it is text")]
    NotFinite(String),
}

/// Returns the message of the parser as a sentence that says what to do.
pub fn syntax(kind: &ErrorKind, max_depth: usize) -> YamlProblem {
    use ErrorKind as K;
    let words = match kind {
        K::RecursionLimitExceeded => return YamlProblem::TooDeep(max_depth),
        K::TabNotAllowed | K::TabInBlockIndentation | K::TabInIndentation | K::TabAtBlockScalarStart => {
            "a tab cannot indent: use spaces"
        }
        K::UnclosedQuotedScalar => "this quote is never closed: close it",
        K::InvalidTrailingSingleQuotedScalar | K::InvalidTrailingDoubleQuotedScalar => {
            "text follows the closing quote: quote the whole value"
        }
        K::UnknownQuotedScalarEscape => {
            "unknown escape in a double-quoted string: write `\\\\` for a backslash, or use single quotes"
        }
        K::UnexpectedCharacter { character } => {
            return YamlProblem::Syntax(format!("a plain value cannot start with `{character}`: quote it"));
        }
        K::UnexpectedEofFlowSequence | K::UnclosedFlowCollection { open: '[' } => {
            "a `[` is never closed: add `]`"
        }
        K::UnexpectedEofFlowMapping | K::UnclosedFlowCollection { .. } => "a `{` is never closed: add `}`",
        K::ExpectedFlowMappingSeparator => "expected `,` or `}` here: add it, or quote the text",
        K::ExpectedFlowSequenceSeparator => "expected `,` or `]` here: add it, or quote the text",
        K::MismatchedFlowCollectionEnd { open, close } => {
            return YamlProblem::Syntax(format!("`{close}` closes a `{open}`: make the brackets match"));
        }
        K::MisplacedFlowCollectionEnd => "this bracket closes nothing: remove it, or quote the text",
        K::MappingValueNotAllowed | K::InvalidColonPlacement => {
            "a second `: ` is not allowed here: quote the value, or put the key on a line of its own"
        }
        K::SimpleKeyExpected | K::InvalidSimpleKey => {
            "this is not `key: value`: add `: ` after the key, or quote or indent the text"
        }
        K::ExpectedBlockMappingKey | K::MappingKeyNotAllowed => {
            "expected a key here: align this line with the keys of its mapping"
        }
        K::ExpectedBlockSequenceEntry | K::BlockSequenceEntryNotAllowed => {
            "a list item is not allowed here: align the `-` with the other items of its list"
        }
        K::InvalidQuotedScalarIndent => {
            "this line of a quoted text is not indented enough: close the quote, or indent this line"
        }
        K::BlockEntryInFlowCollection => {
            "a `-` has no place between brackets: quote it; if this is a template (`{{- ... }}`), render it first"
        }
        K::InvalidIndentation | K::InvalidBlockScalarIndent => {
            "this line's indentation matches no line above: align it"
        }
        K::UndeclaredTagHandle => "unknown tag: remove it, or quote the text if `!` belongs to it",
        K::MissingAnchorOrAliasName => "a name must follow `&` or `*`: quote the text if it belongs to it",
        other => return YamlProblem::Syntax(format!("{other}: correct the YAML here")),
    };
    YamlProblem::Syntax(words.to_owned())
}
