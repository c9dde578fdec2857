//! How each service proves its calls, according to its documentation: a signature of the raw body, a token in a header, or only the
//! path.
//!
//! Secrets are compared in a time that does not depend on where they differ. Pure.

use http::HeaderMap;
use subtle::ConstantTimeEq as _;

use super::super::token::Token;
use super::unhex;
use crate::api::HookProvider;

/// Why a call is rejected. It is logged, and never sent to the caller.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum Unverified {
    #[error("it has no header {0}; give the service the token as its secret")]
    Missing(&'static str),
    #[error(
        "its header {0} does not match; the service has another secret, or the body was changed in transit"
    )]
    Wrong(&'static str),
}

/// A header with the HMAC-SHA256 of the body, as hexadecimal digits after a prefix.
struct Signature {
    header: &'static str,
    prefix: &'static str,
}

const GENERIC: Signature = Signature { header: "x-signature-256", prefix: "sha256=" };
/// <https://docs.github.com/en/webhooks/using-webhooks/validating-webhook-deliveries>
const GITHUB: Signature = Signature { header: "x-hub-signature-256", prefix: "sha256=" };
const GITEA: Signature = Signature { header: "x-gitea-signature", prefix: "" };
const FORGEJO: Signature = Signature { header: "x-forgejo-signature", prefix: "" };
/// Of Cloud and Data Center. The name is that of an old header of GitHub, which contains SHA-1.
const BITBUCKET: Signature = Signature { header: "x-hub-signature", prefix: "sha256=" };

const GITLAB: &str = "x-gitlab-token";
const HOLDFAST: &str = "x-holdfast-token";
const AUTHORIZATION: &str = "authorization";

/// Checks a call against the token and the HMAC of its body.
pub fn check(
    provider: HookProvider,
    token: &Token,
    headers: &HeaderMap,
    hmac: &[u8; 32],
) -> Result<(), Unverified> {
    match provider {
        HookProvider::Generic => signed(headers, &[GENERIC, GITHUB], hmac),
        HookProvider::GitHub | HookProvider::Ghcr => signed(headers, &[GITHUB], hmac),
        HookProvider::Gitea => signed(headers, &[GITEA], hmac),
        HookProvider::Forgejo => signed(headers, &[FORGEJO, GITEA, GITHUB], hmac),
        HookProvider::Bitbucket => signed(headers, &[BITBUCKET], hmac),
        HookProvider::GitLab => shown(headers, GITLAB, token),
        HookProvider::Harbor => {
            let bare = shown(headers, AUTHORIZATION, token);
            if token.is_sent_in(headers) { Ok(()) } else { bare }
        }
        HookProvider::Ecr if headers.contains_key(HOLDFAST) => shown(headers, HOLDFAST, token),
        HookProvider::Ecr if token.is_sent_in(headers) => Ok(()),
        HookProvider::Ecr if headers.contains_key(AUTHORIZATION) => Err(Unverified::Wrong(AUTHORIZATION)),
        HookProvider::Ecr => Err(Unverified::Missing(HOLDFAST)),
        HookProvider::DockerHub | HookProvider::Quay => Ok(()),
    }
}

/// The first of these headers that exists decides.
fn signed(headers: &HeaderMap, known: &[Signature], hmac: &[u8; 32]) -> Result<(), Unverified> {
    let found = known.iter().find_map(|signature| Some((signature, headers.get(signature.header)?)));
    let Some((Signature { header, prefix }, value)) = found else {
        return Err(known
            .first()
            .map_or(Unverified::Missing("of a signature"), |first| Unverified::Missing(first.header)));
    };
    let given = value.as_bytes().strip_prefix(prefix.as_bytes()).and_then(unhex);
    let fits = given.is_some_and(|given| given.ct_eq(hmac).into());
    if fits { Ok(()) } else { Err(Unverified::Wrong(header)) }
}

fn shown(headers: &HeaderMap, header: &'static str, token: &Token) -> Result<(), Unverified> {
    let value = headers.get(header).ok_or(Unverified::Missing(header))?;
    let fits = value.as_bytes().ct_eq(token.0.as_bytes()).into();
    if fits { Ok(()) } else { Err(Unverified::Wrong(header)) }
}
