//! The meaning of a scalar. A type, no behaviour.

/// The value of a scalar before it is converted to JSON.
#[derive(Clone, Debug, PartialEq)]
pub enum Scalar {
    Null,
    Bool(bool),
    Int(i64),
    Uint(u64),
    Float(f64),
    Text(String),
}
