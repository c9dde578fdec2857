//! Generated files in many styles, and where in them the scalars stand.

use std::ops::Range;

use proptest::prelude::*;
use proptest::sample::select;

/// A node of a generated document. `noise` picks comments and blank lines.
#[derive(Clone, Debug)]
enum Node {
    Scalar { mark: &'static str, form: Form, noise: u8 },
    Map { items: Vec<Node>, flow: bool, noise: u8 },
    List { items: Vec<Node>, flow: bool, noise: u8 },
}

#[derive(Clone, Debug)]
enum Form {
    Empty,
    Inline(&'static str),
    /// A plain or quoted scalar on two lines.
    Wrapped(char),
    Block {
        style: char,
        digit: bool,
        chomping: &'static str,
        lines: Vec<&'static str>,
        blank: usize,
    },
}

const INLINE: [&str; 18] = [
    "word",
    "5",
    "0644",
    "1.50",
    "yes",
    "null",
    "~",
    "two words",
    "nginx:1.25",
    "a#b",
    "''",
    "'it''s'",
    "'# no'",
    "\"\"",
    "\"a\\nb\"",
    "\"a, {b}: [c] # d\"",
    "'| >'",
    "é😀",
];

const KEYS: [&str; 6] = ["a", "key", "'b c'", "\"d/e~f\"", "é", "x.y/z"];

const NAMES: [&str; 6] = ["a", "key", "b c", "d~1e~0f", "é", "x.y~1z"];

fn forms() -> impl Strategy<Value = Form> {
    let lines = prop::collection::vec(select(vec!["x", "", "  y", "# z", "k: |", "- '"]), 0..4);
    let block = (any::<bool>(), any::<bool>(), select(vec!["", "-", "+"]), lines, 0_usize..3).prop_map(
        |(folded, digit, chomping, lines, blank)| {
            let style = if folded { '>' } else { '|' };
            Form::Block { style, digit, chomping, lines, blank }
        },
    );
    prop_oneof![
        1 => Just(Form::Empty),
        4 => select(&INLINE[..]).prop_map(Form::Inline),
        1 => select(vec![' ', '\'', '"']).prop_map(Form::Wrapped),
        3 => block,
    ]
}

fn nodes() -> impl Strategy<Value = Node> {
    let scalar = (select(vec!["", "", "", "&", "!!str "]), forms(), any::<u8>());
    let scalar = scalar.prop_map(|(mark, form, noise)| Node::Scalar { mark, form, noise });
    scalar.prop_recursive(4, 24, 5, |inner| {
        let items = prop::collection::vec(inner, 1..5);
        (items, any::<bool>(), 0_u8..4, any::<u8>()).prop_map(|(items, map, flow, noise)| {
            let flow = flow == 0;
            if map { Node::Map { items, flow, noise } } else { Node::List { items, flow, noise } }
        })
    })
}

/// Several documents; a scalar alone is no document here.
pub fn files() -> impl Strategy<Value = File> {
    let root = (prop::collection::vec(nodes(), 1..4), any::<u8>());
    let root = root.prop_map(|(items, noise)| Node::Map { items, flow: false, noise });
    let roots = prop::collection::vec(root, 1..4);
    (roots, any::<bool>(), any::<bool>(), any::<bool>()).prop_map(|(roots, bom, crlf, open)| {
        let mut file =
            File { text: String::new(), line_break: if crlf { "\r\n" } else { "\n" }, scalars: vec![] };
        file.text.push_str(if bom { "\u{FEFF}" } else { "" });
        for (number, root) in roots.iter().enumerate() {
            file.text.push_str(if number > 0 { "--- # next" } else { "# first" });
            file.block(root, 0, &format!("{number}:"));
        }
        if open && file.text.ends_with(file.line_break) {
            file.text.truncate(file.text.len() - file.line_break.len());
        }
        file
    })
}

#[derive(Clone, Debug)]
pub struct Scalar {
    /// The number of the document, a colon, the path.
    pub place: String,
    /// A block with its head.
    pub range: Range<usize>,
    pub tagged: bool,
}

/// A file while it is written, and where its scalars stand.
#[derive(Clone, Debug)]
pub struct File {
    pub text: String,
    pub scalars: Vec<Scalar>,
    line_break: &'static str,
}

impl File {
    /// Writes a node behind its key or dash, and ends the line.
    fn block(&mut self, node: &Node, indent: usize, place: &str) {
        let (items, is_map, noise) = match node {
            Node::Scalar { mark, form, noise } => {
                return self.scalar(mark, form, *noise, Some(indent), place);
            }
            Node::Map { flow: true, .. } | Node::List { flow: true, .. } => {
                self.text.push(' ');
                self.flow(node, place);
                return self.text.push_str(self.line_break);
            }
            Node::Map { items, noise, .. } => (items, true, *noise),
            Node::List { items, noise, .. } => (items, false, *noise),
        };
        // the first item may stand on the line of a dash
        let mut compact = noise.is_multiple_of(3) && self.text.ends_with('-');
        if !compact {
            self.text.push_str(self.line_break);
        }
        for (at, item) in items.iter().enumerate().take(KEYS.len()) {
            if compact {
                self.text.push(' ');
            } else {
                self.noise(noise.wrapping_mul(31).wrapping_add(u8::try_from(at).unwrap_or(0)), indent);
                self.text.push_str(&" ".repeat(indent));
            }
            compact = false;
            let name = if is_map { NAMES[at].to_owned() } else { at.to_string() };
            self.text.extend(if is_map { [KEYS[at], ":"] } else { ["-", ""] });
            self.block(item, indent + 2, &format!("{place}/{name}"));
        }
    }

    fn noise(&mut self, noise: u8, indent: usize) {
        match noise % 7 {
            0 => self.text.push_str(self.line_break),
            1 => self.text.extend([&" ".repeat(indent), "# note: |", self.line_break]),
            _ => {}
        }
    }

    /// Writes a scalar; `indent` is that of what stands in it, None between brackets.
    fn scalar(&mut self, mark: &str, form: &Form, noise: u8, indent: Option<usize>, place: &str) {
        let tagged = mark.starts_with('!') && !matches!(form, Form::Empty);
        let mark = match mark {
            "&" => format!(" &n{} ", self.scalars.len()),
            mark if tagged => format!(" {mark}"),
            _ => " ".repeat(1 + usize::from(noise % 2)),
        };
        let comment = if noise.is_multiple_of(5) { "  # why | not" } else { "" };
        let pad = format!("{}{}", self.line_break, " ".repeat(indent.unwrap_or(0)));
        let mut start = self.text.len() + mark.len();
        let (text, after) = match (form, indent) {
            (Form::Inline(text), _) => ((*text).to_owned(), comment.to_owned()),
            (Form::Wrapped(quote), Some(_)) => {
                (format!("{quote}one{pad}{pad}two{quote}").trim().to_owned(), comment.to_owned())
            }
            (Form::Block { style, digit, chomping, lines, blank }, Some(_)) => {
                let digit = if *digit { "2" } else { "" };
                // without a digit the first line gives the indentation
                let first = if digit.is_empty() { "first" } else { "  first" };
                let lines = std::iter::once(&first).chain(lines).map(|line| format!("{pad}{line}"));
                let blank = self.line_break.repeat(*blank);
                (
                    format!("{style}{digit}{chomping}{comment}{}{blank}", lines.collect::<String>()),
                    String::new(),
                )
            }
            (Form::Empty | Form::Wrapped(_) | Form::Block { .. }, _) => {
                start = self.text.len() + mark.trim_end().len();
                (String::new(), comment.to_owned())
            }
        };
        self.text.push_str(if text.is_empty() { mark.trim_end() } else { &mark });
        self.text.push_str(&text);
        let range = start..start + text.len();
        self.scalars.push(Scalar { place: place.to_owned(), range, tagged: tagged && !text.is_empty() });
        if indent.is_some() {
            self.text.push_str(&after);
            self.text.push_str(self.line_break);
        }
    }

    fn flow(&mut self, node: &Node, place: &str) {
        let (items, is_map, noise) = match node {
            // an item of a list between brackets cannot be left out
            Node::Scalar { mark, form: Form::Inline(text), noise }
                if !text.contains(',') || text.starts_with('"') =>
            {
                return self.scalar(mark, &Form::Inline(text), *noise, None, place);
            }
            Node::Scalar { noise, .. } if self.text.ends_with(':') => {
                return self.scalar("", &Form::Empty, *noise, None, place);
            }
            Node::Scalar { noise, .. } => return self.scalar("", &Form::Inline("z"), *noise, None, place),
            Node::Map { items, noise, .. } => (items, true, *noise),
            Node::List { items, noise, .. } => (items, false, *noise),
        };
        self.text.push_str(if is_map { " {" } else { " [" });
        for (at, item) in items.iter().enumerate().take(KEYS.len()) {
            if at > 0 {
                self.text.push(',');
            }
            if noise.is_multiple_of(4) {
                self.text.extend([" # {", self.line_break, &" ".repeat(40)]);
            }
            let name = if is_map { NAMES[at].to_owned() } else { at.to_string() };
            self.text.extend(if is_map { [" ", KEYS[at], ":"] } else { [""; 3] });
            self.flow(item, &format!("{place}/{name}"));
        }
        self.text.push_str(if is_map { " }" } else { " ]" });
    }
}
