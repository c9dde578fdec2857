//! A webhook: the notice itself as JSON, signed if a token is given. Pure.
//!
//! The signature is the one that most receivers of webhooks can verify: `sha256=` and the HMAC of the body, in
//! hex.

use hmac::{Hmac, KeyInit as _, Mac as _};
use http::{HeaderMap, HeaderName, HeaderValue, header};
use sha2::Sha256;

use super::super::notice::Notice;
use super::endpoint::{Endpoint, Path, sensitive};
use super::{Before, DeliveryError, Kind, Message, TargetError, json, key};
use crate::api;
use crate::http::Guard;
use crate::secret_data::Data;

const NAME: &str = "webhook";

const SIGNATURE: HeaderName = HeaderName::from_static("x-signature-256");
/// Headers of the client itself, about the length of the body.
const FRAMING: [HeaderName; 4] =
    [header::CONTENT_LENGTH, header::TRANSFER_ENCODING, header::CONNECTION, header::UPGRADE];

/// A receiver of notices as JSON.
pub struct Webhook {
    endpoint: Endpoint,
    token: Option<String>,
    headers: HeaderMap,
}

impl Webhook {
    pub fn new(spec: &api::Webhook, secret: Option<&Data>, guard: &Guard) -> Result<Self, TargetError> {
        if spec.secret_ref.is_some() && secret.is_none() {
            return Err(TargetError::NoSecret { kind: NAME });
        }
        let mut endpoint = Endpoint::parse(NAME, &spec.url, Path::Secret, guard)?;
        let mut headers = endpoint.headers();
        let (mut token, mut given) = (None, None);
        if let Some(secret) = secret {
            token = key(NAME, secret, "token")?;
            given = key(NAME, secret, "headers")?;
            if token.is_none() && given.is_none() {
                return Err(TargetError::NoKey { kind: NAME, keys: "key token or headers" });
            }
        }
        for (name, value) in parse_headers(given.as_deref().unwrap_or_default())? {
            hide(&mut endpoint, &value);
            headers.insert(name, value);
        }
        if let Some(token) = &token {
            endpoint.hide(token);
        }
        Ok(Self { endpoint, token, headers })
    }
}

impl Kind for Webhook {
    fn name(&self) -> &'static str {
        NAME
    }

    fn message(&self, notice: &Notice, _: Before<'_>) -> Result<Option<Message>, DeliveryError> {
        let body = json(notice)?;
        let mut headers = self.headers.clone();
        if let Some(signature) = self.token.as_ref().and_then(|token| sign(token, &body)) {
            headers.insert(SIGNATURE, signature);
        }
        Ok(Some(Message { endpoint: self.endpoint.clone(), headers, body }))
    }
}

/// Masks the value of a header, and its part after the scheme: `Bearer …`.
fn hide(endpoint: &mut Endpoint, value: &HeaderValue) {
    let text = String::from_utf8_lossy(value.as_bytes());
    endpoint.hide(&text);
    text.split_whitespace().skip(1).for_each(|word| endpoint.hide(word));
}

fn sign(token: &str, body: &[u8]) -> Option<HeaderValue> {
    // HMAC accepts a key of any length.
    let mut mac = Hmac::<Sha256>::new_from_slice(token.as_bytes()).ok()?;
    mac.update(body);
    HeaderValue::from_str(&format!("sha256={}", hex::encode(mac.finalize().into_bytes()))).ok()
}

/// Parses headers, one `Name: value` on each line. Errors contain the line number and not the content.
fn parse_headers(text: &str) -> Result<Vec<(HeaderName, HeaderValue)>, TargetError> {
    let lines = text.lines().enumerate().filter(|(_, line)| !line.trim().is_empty());
    lines.map(|(index, line)| header_of(line).map_err(|why| bad_line(index, why))).collect()
}

fn bad_line(index: usize, why: &'static str) -> TargetError {
    TargetError::BadHeader { line: index + 1, why }
}

fn header_of(line: &str) -> Result<(HeaderName, HeaderValue), &'static str> {
    let (name, value) = line.split_once(':').ok_or("not a header")?;
    let name: HeaderName = name.trim().parse().map_err(|_| "not a header: its name is invalid")?;
    let value = value.trim().parse().map_err(|_| "not a header: its value is invalid")?;
    if FRAMING.contains(&name) || name == SIGNATURE {
        return Err("a header that cannot be set here");
    }
    Ok((name, sensitive(value)))
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::super::samples;
    use super::*;
    use crate::api::SecretRef;

    fn webhook(url: &str, secret: Option<&[(&str, &str)]>) -> Result<Webhook, TargetError> {
        let spec = api::Webhook {
            url: url.to_owned(),
            secret_ref: secret.map(|_| SecretRef { name: "hook".to_owned() }),
        };
        let data = |keys: &[(&str, &str)]| -> Data {
            keys.iter().map(|(key, value)| ((*key).to_owned(), value.as_bytes().to_vec())).collect()
        };
        Webhook::new(&spec, secret.map(data).as_ref(), &Guard::default())
    }

    #[test]
    fn the_body_is_the_notice() {
        let hook = webhook("http://alice:pw@example.com/a?b=c", None).ok().unwrap();
        for notice in [samples::drifted(), samples::resolved(samples::drifted()), samples::applied()] {
            for update in [false, true] {
                let before = Before { reference: None, update, now: samples::at(0) };
                let message = hook.message(&notice, before).unwrap().unwrap();
                assert_eq!(message.body, serde_json::to_vec(&notice).unwrap());
                assert_eq!(message.endpoint.url.as_str(), "http://example.com/a?b=c");
                assert_eq!(message.headers["content-type"], "application/json");
                assert_eq!(message.headers["authorization"], "Basic YWxpY2U6cHc=");
                assert!(!message.headers.contains_key(SIGNATURE));
            }
        }
    }

    /// RFC 4231, test case 2.
    #[test]
    fn the_signature_is_the_hmac_of_the_body() {
        let signature = sign("Jefe", b"what do ya want for nothing?").unwrap();
        let expected = "sha256=5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843";
        assert_eq!(signature, expected);

        let hook = webhook("http://example.com", Some(&[("token", "key\n")])).ok().unwrap();
        let before = Before { reference: None, update: false, now: samples::at(0) };
        let message = hook.message(&samples::drifted(), before).unwrap().unwrap();
        assert_eq!(message.headers[SIGNATURE], sign("key", &message.body).unwrap());
    }

    #[test]
    fn headers_are_read_line_by_line_and_errors_do_not_repeat_values() {
        for (text, expected) in [
            ("X-Scope-OrgID: team-a\r\n\n Authorization:Bearer a:b \n", Ok(2)),
            ("X-Empty:", Ok(1)),
            ("A: b\nhunter2", Err("line 2 of the key headers")),
            ("A: b\nhun ter2: x", Err("its name is invalid")),
            ("A: hunter2\u{1}", Err("its value is invalid")),
            ("Content-Length: 2", Err("cannot be set here")),
            ("x-signature-256: hunter2", Err("cannot be set here")),
        ] {
            let found = webhook("http://example.com", Some(&[("headers", text)]));
            match (found, expected) {
                (Ok(hook), Ok(count)) => assert_eq!(hook.headers.len(), 1 + count, "{text}"),
                (Err(error), Err(part)) => {
                    let error = error.to_string();
                    assert!(error.contains(part) && !error.contains("ter2"), "{error}");
                }
                (found, expected) => unreachable!("{text}: {:?}, not {expected:?}", found.err()),
            }
        }
    }

    #[test]
    fn headers_of_the_secret_win_over_the_login_of_the_url() {
        let keys = [("headers", "Authorization: Bearer abc\nUser-Agent: mine")];
        let hook = webhook("http://alice:pw@example.com/", Some(&keys)).ok().unwrap();
        assert_eq!(hook.headers["authorization"], "Bearer abc");
        assert!(hook.headers["authorization"].is_sensitive());
        assert_eq!(hook.endpoint.cleaned("you sent abc, as Bearer abc"), "you sent ***, as ***");
    }

    #[test]
    fn a_secret_that_is_named_must_be_there_and_have_a_key() {
        let spec = api::Webhook {
            url: "http://example.com".to_owned(),
            secret_ref: Some(SecretRef { name: "hook".to_owned() }),
        };
        assert!(matches!(Webhook::new(&spec, None, &Guard::default()), Err(TargetError::NoSecret { .. })));
        assert!(matches!(
            webhook("http://example.com", Some(&[("Token", "a")])),
            Err(TargetError::NoKey { .. })
        ));
        assert!(matches!(
            webhook("http://example.com", Some(&[("token", "\n")])),
            Err(TargetError::BadKey { .. })
        ));
    }
}
