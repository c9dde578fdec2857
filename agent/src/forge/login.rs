//! How to log in at a forge, read from a Secret: a token, or a GitHub App. Pure.

use super::ForgeError;
use super::app::App;
use crate::secret_data::{BadSecret, SecretData};

const TOKEN: &str = "token";
const APP_ID: &str = "githubAppID";
const APP_KEY: &str = "githubAppPrivateKey";
const INSTALLATION: &str = "githubAppInstallationID";
const BASE: &str = "githubAppBaseURL";

/// A Secret that contains no usable login. The texts have the Secret as their subject: "it".
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum LoginError {
    #[error(transparent)]
    Secret(#[from] BadSecret),
    #[error("it has neither a token nor githubAppID and githubAppPrivateKey")]
    Nothing,
    #[error("it has both a token and a GitHub App; remove one of them")]
    Both,
    #[error("it has one of githubAppID and githubAppPrivateKey; it needs both")]
    Half,
    #[error("{0}")]
    App(ForgeError),
}

/// A login. Has no `Debug`: it must not be printed.
pub struct Login {
    by: By,
    ca: Option<Vec<u8>>,
    base: Option<String>,
}

/// What a login proves itself with.
pub(super) enum By {
    Token(String),
    App(App),
}

impl Login {
    /// Reads `token`, or `githubAppID`, `githubAppPrivateKey` and perhaps `githubAppInstallationID` and `githubAppBaseURL`; and
    /// perhaps `ca.crt`.
    pub fn read(secret: SecretData<'_>) -> Result<Self, LoginError> {
        let token = secret.text(TOKEN)?.filter(|token| !token.is_empty());
        let id = secret.text(APP_ID)?.filter(|id| !id.trim().is_empty());
        let by = match (token, id, secret.bytes(APP_KEY)) {
            (Some(token), None, None) => By::Token(token.to_owned()),
            (Some(_), _, _) => return Err(LoginError::Both),
            (None, Some(id), Some(key)) => {
                let installation = secret.text(INSTALLATION)?;
                By::App(App::read(id, key, installation).map_err(LoginError::App)?)
            }
            (None, None, None) => return Err(LoginError::Nothing),
            (None, _, _) => return Err(LoginError::Half),
        };
        let base = secret.text(BASE)?.filter(|base| !base.is_empty()).map(ToOwned::to_owned);
        Ok(Self { by, ca: secret.authority().map(<[u8]>::to_vec), base })
    }

    /// A token that is known already.
    pub fn of_token(token: &str) -> Self {
        Self { by: By::Token(token.to_owned()), ca: None, base: None }
    }

    /// With these certificates, if it has none of its own.
    #[must_use]
    pub fn or_ca(self, ca: Option<&[u8]>) -> Self {
        let ca = self.ca.or_else(|| ca.map(<[u8]>::to_vec));
        Self { ca, ..self }
    }

    pub(super) fn by(&self) -> &By {
        &self.by
    }

    pub(super) fn ca(&self) -> Option<&[u8]> {
        self.ca.as_deref()
    }

    /// The URL of the API that the Secret names.
    pub(super) fn base(&self) -> Option<&str> {
        self.base.as_deref()
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;

    fn refused(entries: &[(&str, &str)]) -> Option<String> {
        let data: BTreeMap<String, Vec<u8>> =
            entries.iter().map(|(key, value)| ((*key).to_owned(), value.as_bytes().to_vec())).collect();
        Login::read(SecretData::of(&data)).err().map(|error| error.to_string())
    }

    #[test]
    fn a_secret_needs_a_token_or_a_whole_app() {
        let check = |entries: &[(&str, &str)], part: &str| {
            let said = refused(entries).unwrap_or_default();
            assert!(said.contains(part), "{entries:?}: {said}");
        };
        assert_eq!(refused(&[("token", "abc\n"), ("ca.crt", "x")]), None);
        check(&[], "neither a token nor");
        check(&[("token", "")], "neither a token nor");
        check(&[("githubAppID", "1")], "it needs both");
        check(&[("githubAppPrivateKey", "x")], "it needs both");
        check(&[("githubAppID", "1"), ("githubAppPrivateKey", "hunter2")], "not an RSA key");
        check(&[("token", "abc"), ("githubAppID", "1")], "both a token and");
        assert!(
            !refused(&[("githubAppID", "1"), ("githubAppPrivateKey", "hunter2")])
                .unwrap_or_default()
                .contains("hunter2")
        );
    }
}
