//! The syntax of vars: `$(NAME)` stands for a value, and `$$` for a dollar sign.
//!
//! Pure.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use smol_str::SmolStr;

use super::value::VarValue;
use crate::node::Scalar;

/// Replaces the vars that `value` knows; others stay as they are. A text that is nothing but a var has its
/// type.
pub(super) fn expand<'a>(text: &str, mut value: impl FnMut(&str) -> Option<&'a VarValue>) -> Scalar {
    let mut out: Vec<u8> = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some(dollar) = rest.iter().position(|byte| *byte == b'$') {
        let Some((after, behind)) = rest[dollar + 1..].split_first() else { break };
        out.extend_from_slice(&rest[..dollar]);
        rest = behind;
        let close = behind.iter().position(|byte| *byte == b')').filter(|_| *after == b'(');
        match (after, close) {
            (b'$', _) => out.push(b'$'),
            (b'(', Some(close)) => {
                let name = std::str::from_utf8(&behind[..close]).unwrap_or_default();
                rest = &behind[close + 1..];
                match value(name) {
                    Some(value) if text.len() == name.len() + 3 => return value.scalar(),
                    Some(value) => out.extend_from_slice(value.text().as_bytes()),
                    None => out.extend_from_slice(format!("$({name})").as_bytes()),
                }
            }
            // The original takes a byte for a character here.
            (byte, _) => out.extend_from_slice(format!("${}", char::from(*byte)).as_bytes()),
        }
    }
    out.extend_from_slice(rest);
    Scalar::string(into_text(out))
}

/// The original writes in base64, in lines, what is no longer UTF-8.
fn into_text(bytes: Vec<u8>) -> SmolStr {
    match String::from_utf8(bytes) {
        Ok(text) => text.into(),
        Err(error) => {
            let encoded = STANDARD.encode(error.as_bytes());
            let lines: Vec<&str> = encoded
                .as_bytes()
                .chunks(70)
                .map(|line| std::str::from_utf8(line).unwrap_or_default())
                .collect();
            if encoded.len() < 70 { encoded.into() } else { (lines.join("\n") + "\n").into() }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{VarValue, expand};
    use crate::node::Tag;

    #[test]
    fn only_what_is_known_is_replaced() {
        let number = VarValue::Int(8080);
        let name = VarValue::Text("web".into());
        for (text, expected, tag) in [
            ("$(N)", "8080", Tag::Int),
            ("$(S)", "web", Tag::Str),
            ("a $(N)", "a 8080", Tag::Str),
            ("$(S)-$(N)", "web-8080", Tag::Str),
            ("$(X)", "$(X)", Tag::Str),
            ("$$(N)", "$(N)", Tag::Str),
            ("$$$(N)", "$8080", Tag::Str),
            ("$", "$", Tag::Str),
            ("a$", "a$", Tag::Str),
            ("$(N", "$(N", Tag::Str),
            ("$N", "$N", Tag::Str),
            ("$()", "$()", Tag::Str),
            ("$((N))", "$((N))", Tag::Str),
            ("$\u{e9}!", "JMODqSE=", Tag::Str),
        ] {
            let scalar = expand(text, |name_of| match name_of {
                "N" => Some(&number),
                "S" => Some(&name),
                _ => None,
            });
            assert_eq!((&*scalar.text, scalar.tag), (expected, tag), "{text}");
        }
    }
}
