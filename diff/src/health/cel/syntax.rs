//! Parses an expression, and refuses one that could exceed its limits.
//!
//! An expression is text of users. The tree is rewritten once, so that each loop and each sum passes
//! through a function that can refuse it, and so that a loop of `all` over conditions is known as one.
//! Leaves evaluation to `expression`. Pure, but for the thread that lends the parser its stack.

use std::thread;

use cel::common::ast::{CallExpr, EntryExpr, Expr, IdedExpr, LiteralValue};
use cel::parser::Parser;

/// Maximum length of an expression, in characters.
const MAX_LENGTH: usize = 4096;
/// Maximum nesting of brackets.
const MAX_BRACKETS: usize = 64;
/// Maximum depth of the tree of an expression: evaluation needs up to 40 KiB of stack for a level.
const MAX_DEPTH: usize = 32;
/// The parser needs up to 180 KiB of stack for a bracket, which is more than threads have by default.
const PARSER_STACK: usize = 64 << 20;
/// Functions of the rewritten tree. Users cannot write these names.
pub(super) const LOOP: &str = "@loop";
pub(super) const LOOP_OVER_CONDITIONS: &str = "@loop_over_conditions";
pub(super) const SUM: &str = "@sum";

const FUNCTIONS: [&str; 19] = [
    "bool",
    "bytes",
    "contains",
    "double",
    "dyn",
    "endsWith",
    "hasValue",
    "int",
    "none",
    "of",
    "ofNonZeroValue",
    "or",
    "orValue",
    "size",
    "startsWith",
    "string",
    "type",
    "uint",
    "value",
];

/// What is wrong with the text of an expression. Lines and columns count from 1.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CelProblem {
    #[error("is empty: write a condition, or leave it out where it is optional")]
    Empty,
    #[error("has {0} characters: {MAX_LENGTH} are allowed")]
    TooLong(usize),
    #[error("nests brackets more than {MAX_BRACKETS} deep: flatten it")]
    TooManyBrackets,
    #[error("is nested more than {MAX_DEPTH} deep: split it or flatten it")]
    TooDeep,
    #[error("has a mistake at {line}:{column}: {what}")]
    Syntax { line: usize, column: usize, what: String },
    #[error("calls `{0}`, which is not a function here")]
    UnknownFunction(String),
    #[error("cannot be parsed now: {0}")]
    NoThread(String),
}

/// The tree of an expression, and what it reads.
#[derive(Clone, Debug)]
pub(super) struct Tree {
    pub root: IdedExpr,
    pub variables: Vec<String>,
    /// True if it reads `status.conditions`.
    pub asks_conditions: bool,
}

/// Parses an expression within limits.
pub(super) fn read(source: &str) -> Result<Tree, CelProblem> {
    scan(source)?;
    thread::scope(|scope| {
        let parser = thread::Builder::new().name("cel".into()).stack_size(PARSER_STACK);
        match parser.spawn_scoped(scope, || parse(source)).map(thread::ScopedJoinHandle::join) {
            Ok(Ok(parsed)) => parsed,
            Ok(Err(_)) => Err(CelProblem::NoThread("the parser gave up".into())),
            Err(error) => Err(CelProblem::NoThread(error.to_string())),
        }
    })
}

/// Refuses text that the parser cannot handle safely, or that would hide brackets from the count.
fn scan(source: &str) -> Result<(), CelProblem> {
    if source.trim().is_empty() {
        return Err(CelProblem::Empty);
    }
    let length = source.chars().count();
    if length > MAX_LENGTH {
        return Err(CelProblem::TooLong(length));
    }
    let (mut at, mut depth) = (0, 0_usize);
    while let Some(next) = source[at..].find(['\\', '/', '"', '\'', '(', '[', '{', ')', ']', '}']) {
        at += next;
        let rest = &source[at..];
        let mut taken = 1;
        match rest.as_bytes()[0] {
            b'(' | b'[' | b'{' => depth += 1,
            b')' | b']' | b'}' => depth = depth.saturating_sub(1),
            b'\\' => return Err(mistake(source, at, "a backslash is not supported")),
            b'/' if rest.starts_with("//") => return Err(mistake(source, at, "a comment is not supported")),
            b'/' => {}
            quote => taken = text(rest, char::from(quote)).map_err(|what| mistake(source, at, what))?,
        }
        if depth > MAX_BRACKETS {
            return Err(CelProblem::TooManyBrackets);
        }
        at += taken;
    }
    Ok(())
}

/// Returns the length of the quoted text at the start of `rest`.
fn text(rest: &str, quote: char) -> Result<usize, &'static str> {
    let inner = &rest[1..];
    if inner.starts_with(quote) && inner[1..].starts_with(quote) {
        return Err("a text in triple quotes is not supported");
    }
    let end = inner.find([quote, '\n', '\r', '\\']).filter(|end| inner[*end..].starts_with([quote, '\\']));
    let end = end.ok_or("this text does not end: close its quotes on the same line")?;
    if inner[end..].starts_with('\\') { Err("a backslash is not supported in a text") } else { Ok(end + 2) }
}

fn mistake(source: &str, at: usize, what: &str) -> CelProblem {
    let before = &source[..at];
    let line_start = before.rfind('\n').map_or(0, |newline| newline + 1);
    CelProblem::Syntax {
        line: before.matches('\n').count() + 1,
        column: before[line_start..].chars().count() + 1,
        what: what.to_owned(),
    }
}

fn parse(source: &str) -> Result<Tree, CelProblem> {
    let mut root = match Parser::new().enable_optional_syntax(true).parse(source) {
        Ok(tree) => tree,
        Err(errors) => {
            let first = errors.errors.iter().min_by_key(|error| error.pos);
            let (pos, what) = first.map_or(((1, 1), "it cannot be read"), |e| (e.pos, e.msg.as_str()));
            let place = |number: isize| usize::try_from(number).unwrap_or(1).max(1);
            return Err(CelProblem::Syntax { line: place(pos.0), column: place(pos.1), what: words(what) });
        }
    };
    let references = root.references();
    let name = |function: &&str| function.starts_with(|c: char| c.is_ascii_alphabetic());
    let unknown = |function: &&str| !FUNCTIONS.contains(function);
    if let Some(function) = references.functions().into_iter().filter(name).filter(unknown).min() {
        return Err(CelProblem::UnknownFunction(function.to_owned()));
    }
    let variables = references.variables().into_iter().map(str::to_owned).collect();
    let asks_conditions = rewrite(&mut root, MAX_DEPTH)?;
    Ok(Tree { root, variables, asks_conditions })
}

/// Returns the message of the parser without its grammar.
fn words(message: &str) -> String {
    let message = message.strip_prefix("Syntax error: ").unwrap_or(message);
    let message = message.split(" expecting ").next().unwrap_or(message);
    if let Some(token) = message.strip_prefix("token recognition error at: ") {
        return format!("{} is not known here", token.replace("= '", "='"));
    }
    let message = message.replace("mismatched input", "unexpected").replace("extraneous input", "unexpected");
    match message.as_str() {
        message if message.starts_with("Incomplete") => "`? :` needs a value for both cases".into(),
        message if message.starts_with("OtherError") => "it is nested too deeply".into(),
        message => message.replace("'<EOF>'", "end"),
    }
}

/// Adds the charges for loops and sums. Returns true if `status.conditions` is read.
fn rewrite(node: &mut IdedExpr, depth: usize) -> Result<bool, CelProblem> {
    let Some(depth) = depth.checked_sub(1) else { return Err(CelProblem::TooDeep) };
    let mut asks = is_field(&node.expr, "conditions", |owner| {
        matches!(owner, Expr::Ident(name) if name == "status") || is_field(owner, "status", |_| true)
    });
    for child in children(&mut node.expr) {
        asks |= rewrite(child, depth)?;
    }
    match &mut node.expr {
        Expr::Comprehension(comprehension) => {
            let all = matches!(&comprehension.accu_init.expr,
                Expr::Literal(LiteralValue::Boolean(start)) if *start.inner());
            let range = &mut comprehension.iter_range;
            wrap(range, if all && ranges_over_conditions(&range.expr) { LOOP_OVER_CONDITIONS } else { LOOP });
        }
        Expr::Call(call) if call.func_name == "_+_" => {
            let appends = matches!(call.args.first().map(|first| &first.expr),
                Some(Expr::Ident(name)) if name.starts_with('@'));
            if !appends {
                wrap(node, SUM);
            }
        }
        _ => {}
    }
    Ok(asks)
}

fn wrap(node: &mut IdedExpr, function: &str) {
    let id = node.id;
    let inner = std::mem::take(node);
    let call = CallExpr { func_name: function.to_owned(), target: None, args: vec![inner] };
    *node = IdedExpr { id, expr: Expr::Call(call) };
}

/// True for `owner.name`, `owner["name"]` and their optional forms.
fn is_field(expr: &Expr, name: &str, owner: impl Fn(&Expr) -> bool) -> bool {
    match expr {
        Expr::Select(select) => select.field == name && owner(&select.operand.expr),
        Expr::Call(call) if ["_[_]", "_[?_]", "_?._"].contains(&call.func_name.as_str()) => {
            let [target, key] = call.args.as_slice() else { return false };
            let literal = matches!(&key.expr,
                Expr::Literal(LiteralValue::String(text)) if text.inner() == name);
            literal && owner(&target.expr)
        }
        _ => false,
    }
}

/// True for a list of conditions, even if it is filtered.
fn ranges_over_conditions(range: &Expr) -> bool {
    match range {
        Expr::Comprehension(inner) => ranges_over_conditions(&inner.iter_range.expr),
        Expr::Call(call) if call.func_name.starts_with("@loop") => {
            call.args.iter().any(|inner| ranges_over_conditions(&inner.expr))
        }
        Expr::Call(call) if call.func_name == "orValue" => {
            call.target.as_ref().is_some_and(|target| ranges_over_conditions(&target.expr))
        }
        other => is_field(other, "conditions", |_| true),
    }
}

fn children(expr: &mut Expr) -> Vec<&mut IdedExpr> {
    match expr {
        Expr::Call(call) => call.target.as_deref_mut().into_iter().chain(&mut call.args).collect(),
        Expr::Comprehension(c) => {
            vec![&mut c.iter_range, &mut c.accu_init, &mut c.loop_cond, &mut c.loop_step, &mut c.result]
        }
        Expr::List(list) => list.elements.iter_mut().collect(),
        Expr::Map(map) => map.entries.iter_mut().flat_map(|entry| entry_children(&mut entry.expr)).collect(),
        Expr::Struct(new) => {
            new.entries.iter_mut().flat_map(|entry| entry_children(&mut entry.expr)).collect()
        }
        Expr::Select(select) => vec![&mut select.operand],
        Expr::Unspecified | Expr::Ident(_) | Expr::Literal(_) => vec![],
    }
}

fn entry_children(entry: &mut EntryExpr) -> Vec<&mut IdedExpr> {
    match entry {
        EntryExpr::StructField(field) => vec![&mut field.value],
        EntryExpr::MapEntry(entry) => vec![&mut entry.key, &mut entry.value],
    }
}
