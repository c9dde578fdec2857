//! A secret that a caller sends in a header. Pure.

use std::sync::Arc;

use axum::http::{HeaderMap, header};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use subtle::ConstantTimeEq as _;

/// Minimum number of characters of a token.
const LENGTH: usize = 16;

/// A secret that a caller sends in a header. Has no `Debug`: it must not be printed.
#[derive(Clone)]
pub struct Token(pub(super) Arc<str>);

/// Why a token cannot be used.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum TokenError {
    #[error("the token has {0} characters and needs at least {LENGTH}; make one with: openssl rand -hex 32")]
    Short(usize),
    #[error(
        "the token has a blank or another character that no header may carry; make one with: openssl rand -hex 32"
    )]
    Characters,
}

impl Token {
    /// Parses the content of a file; a line break at the end is not a part of the token.
    pub fn parse(text: &str) -> Result<Self, TokenError> {
        let token = text.trim_end_matches(['\r', '\n']);
        if !token.bytes().all(|byte| byte.is_ascii_graphic()) {
            return Err(TokenError::Characters);
        }
        if token.len() < LENGTH {
            return Err(TokenError::Short(token.len()));
        }
        Ok(Self(token.into()))
    }

    /// True if the headers contain it: as a bearer token, or as the password of any user, since the API server sends
    /// nothing else over plain HTTP. Takes as long for a wrong token as for the right one.
    pub(super) fn is_sent_in(&self, headers: &HeaderMap) -> bool {
        let shown = headers.get(header::AUTHORIZATION).and_then(|value| value.to_str().ok());
        let Some((scheme, value)) = shown.and_then(|shown| shown.split_once(' ')) else { return false };
        let given = if scheme.eq_ignore_ascii_case("bearer") {
            value.as_bytes().to_vec()
        } else if scheme.eq_ignore_ascii_case("basic") {
            let pair = STANDARD.decode(value).unwrap_or_default();
            pair.splitn(2, |byte| *byte == b':').nth(1).unwrap_or_default().to_vec()
        } else {
            return false;
        };
        given.ct_eq(self.0.as_bytes()).into()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_is_long_enough_and_fits_into_a_header() {
        let check = |text: &str, expected: Option<TokenError>| {
            assert_eq!(Token::parse(text).err(), expected, "{text:?}");
        };
        check("0123456789abcdef", None);
        check("0123456789abcdef\n", None);
        check("0123456789abcdef\r\n", None);
        check("0123456789abcde\n", Some(TokenError::Short(15)));
        check("", Some(TokenError::Short(0)));
        check("0123456789 abcdef", Some(TokenError::Characters));
        check("0123456789abcdef\n\nx", Some(TokenError::Characters));
        check("0123456789abcdeé", Some(TokenError::Characters));
    }
}
