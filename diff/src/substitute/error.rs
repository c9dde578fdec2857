//! Why variables cannot be substituted, with what to do.
//!
//! No message contains the value of a variable or of a field, since either may be secret. Pure.

/// An error of one expression.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{}{}{problem}", place(path), expression(variable))]
pub struct SubstituteError {
    /// The name in the expression; empty if it has none.
    pub variable: String,
    /// The field that contains it (RFC 6901); empty in a plain text.
    pub path: String,
    pub problem: SubstituteProblem,
}

#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SubstituteProblem {
    #[error("is not set: {}", meant(near.as_deref()))]
    Undefined {
        /// The declared name that was probably meant.
        near: Option<String>,
    },
    /// The message of `${name:?message}`, as written.
    #[error("must be set{}", because(message))]
    Required { message: String },
    #[error("a name is missing after `${{`: add it, or write `$${{` if no variable is meant")]
    NoName,
    #[error(
        "cannot be the name of a variable: names have letters, digits and `_`; correct it, set a default by `:-`, or write \
         `$${{` if no variable is meant"
    )]
    BadName,
    #[error("is not closed: add the `}}`, or write `$${{` if no variable is meant")]
    NotClosed,
    #[error("{0}, or write `$${{` if no variable is meant")]
    Malformed(&'static str),
    #[error("uses `{0}`, which has no meaning here: set a default by `:-`")]
    Unsupported(&'static str),
    #[error("is nested more than {0} levels deep: give the inner expressions variables of their own")]
    TooDeep(usize),
    #[error("makes the object too large: shorten its variables")]
    TooLarge,
    #[error("cuts a character in two: correct its offset or its length")]
    Cut,
    #[error("has a negative length: count it from the offset")]
    NegativeLength,
    #[error("reaches beyond its field: close it in the field, or write `$${{` if no variable is meant")]
    Crosses,
    #[error("has a value with which the object is not YAML: quote it in the manifest, or correct the value")]
    NotYaml,
    /// The text of the whole field, as written.
    #[error(
        "`{written}` becomes {found}, but the field must be a string, and quotes that the file has around variables do not \
         count unless spec.render.substitute.quoted is Text: set that and quote the field, or write `${{quote}}{written}${{quote}}`, and set the variable `quote` to `\"`"
    )]
    NotText { found: &'static str, written: String },
    #[error("has a value with which the object is not a mapping any more: correct the value")]
    NotAnObject,
}

impl SubstituteError {
    /// Returns the text in the file at the error.
    pub fn mark(&self) -> String {
        match &self.problem {
            SubstituteProblem::NotText { written, .. } => written.clone(),
            _ => format!("${{{}", self.variable),
        }
    }
}

/// An error, and the byte at which its expression starts.
#[derive(Debug)]
pub(super) struct Finding<'a> {
    pub at: usize,
    pub name: &'a str,
    pub problem: SubstituteProblem,
}

fn place(path: &str) -> String {
    if path.is_empty() { String::new() } else { format!("{path}: ") }
}

fn expression(variable: &str) -> String {
    if variable.is_empty() { String::new() } else { format!("`${{{variable}}}` ") }
}

fn meant(near: Option<&str>) -> String {
    match near {
        Some(near) => format!("did you mean `{near}`?"),
        None => {
            "set the variable, give it a default by `:-`, or write `$${` if no variable is meant".to_owned()
        }
    }
}

fn because(message: &str) -> String {
    if message.is_empty() { String::new() } else { format!(": {message}") }
}
