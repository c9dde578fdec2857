//! The login of a GitHub App, against a stand-in that checks the signature of each token.

use aws_lc_rs::rsa::{KeyPair, KeySize};
use aws_lc_rs::signature::{KeyPair as _, RSA_PKCS1_2048_8192_SHA256, UnparsedPublicKey};
use base64::engine::general_purpose::STANDARD;

use super::*;
use crate::api::Forge;
use crate::error::StageError as _;
use crate::forge::review::Client;
use crate::forge::tests::standin::{Asked, Reply, Standin, State};
use crate::forge::{Login, Session};
use crate::secret_data::SecretData;

/// A key in PEM, and its public half.
fn key() -> anyhow::Result<(String, Vec<u8>)> {
    let pair = KeyPair::generate(KeySize::Rsa2048).map_err(|_| anyhow::anyhow!("no key"))?;
    let der = aws_lc_rs::encoding::AsDer::<aws_lc_rs::encoding::Pkcs8V1Der<'_>>::as_der(&pair)
        .map_err(|_| anyhow::anyhow!("no DER"))?;
    let text = STANDARD.encode(der.as_ref());
    let lines: Vec<&str> =
        text.as_bytes().chunks(64).filter_map(|line| std::str::from_utf8(line).ok()).collect();
    let pem = format!("-----BEGIN PRIVATE KEY-----\n{}\n-----END PRIVATE KEY-----\n", lines.join("\n"));
    Ok((pem, pair.public_key().as_ref().to_vec()))
}

#[test]
fn a_signed_token_says_who_and_for_how_long() -> anyhow::Result<()> {
    let (pem, public) = key()?;
    let now: Timestamp = "2026-01-01T00:00:00Z".parse()?;
    let token = App::read(" Iv1.abc\n", pem.as_bytes(), None)?.signed(now)?;
    let parts: Vec<&str> = token.split('.').collect();
    let signature = URL_SAFE_NO_PAD.decode(parts[2])?;
    let signed = format!("{}.{}", parts[0], parts[1]);
    let verified =
        UnparsedPublicKey::new(&RSA_PKCS1_2048_8192_SHA256, public).verify(signed.as_bytes(), &signature);
    assert!(verified.is_ok());
    let claims: Value = serde_json::from_slice(&URL_SAFE_NO_PAD.decode(parts[1])?)?;
    let second = now.as_second();
    assert_eq!(claims, json!({"iat": second - 30, "exp": second + 540, "iss": "Iv1.abc"}));
    let refused = |id: &str, pem: &str, installation: Option<&str>| {
        App::read(id, pem.as_bytes(), installation).err().map(|error| error.name())
    };
    assert_eq!(refused("1", "no key", None), Some("BadAppKey"));
    assert_eq!(refused(" ", &pem, None), Some("BadAppId"));
    assert_eq!(refused("1", &pem, Some("../..")), Some("BadAppId"));
    Ok(())
}

/// GitHub, as far as Apps need it.
fn github(state: &mut State, asked: &Asked) -> Reply {
    state.calls.push(format!("{} {}", asked.method, asked.path));
    let signed = asked.header("authorization").matches('.').count() == 2;
    let installation = json!({"id": 42, "app_slug": "holdfast", "suspended_at": null});
    match (asked.method.as_str(), asked.path.as_str()) {
        _ if asked.header("x-github-api-version").is_empty() => Reply::odd("it names no version"),
        ("GET", "/api/v3/repos/org/config/pulls") if asked.header("authorization") == "Bearer ghs_1" => {
            Reply::json(401, &json!({"message": "Bad credentials"}))
        }
        ("GET", "/api/v3/repos/org/config/pulls") => Reply::json(200, &json!([])),
        _ if !signed => Reply::json(401, &Value::Null),
        ("GET", "/api/v3/repos/org/config/installation" | "/api/v3/app/installations/42") => {
            Reply::json(200, &installation)
        }
        ("POST", "/api/v3/app/installations/42/access_tokens") => {
            if asked.body != json!({"repositories": ["config"]}) {
                return Reply::odd("the token is for more than one repository");
            }
            state.next += 1;
            let token = format!("ghs_{}", state.next);
            Reply::json(201, &json!({"token": token, "expires_at": "2026-01-01T01:00:00Z"}))
        }
        _ => Reply::json(404, &Value::Null),
    }
}

fn login(entries: &[(&str, &str)]) -> anyhow::Result<Login> {
    let data = entries.iter().map(|(key, value)| ((*key).to_owned(), value.as_bytes().to_vec())).collect();
    Ok(Login::read(SecretData::of(&data))?)
}

async fn ask_for(
    standin: &Standin,
    session: &Session,
    login: &Login,
    at: &str,
) -> Result<Target, ForgeError> {
    let api = format!("{}/api/v3", standin.origin());
    let now = at.parse().unwrap_or(Timestamp::UNIX_EPOCH);
    session.target(Forge::GitHub, "https://git.example.com/org/config", Some(&api), login, now).await
}

#[tokio::test]
async fn a_token_is_asked_for_once_and_again_before_it_ends() -> anyhow::Result<()> {
    let standin = Standin::start(github).await;
    let (pem, _) = key()?;
    let app = [("githubAppID", "1"), ("githubAppPrivateKey", pem.as_str())];
    let (session, found) = (Session::default(), login(&app)?);
    let first = ask_for(&standin, &session, &found, "2026-01-01T00:00:00Z").await?;
    assert_eq!(
        (first.token.as_str(), first.bot.as_deref(), first.is_app()),
        ("ghs_1", Some("holdfast"), true)
    );
    let again = ask_for(&standin, &session, &found, "2026-01-01T00:54:00Z").await?;
    assert_eq!((again.token.as_str(), standin.asked()), ("ghs_1", 2));
    let later = ask_for(&standin, &session, &found, "2026-01-01T00:56:00Z").await?;
    assert_eq!(later.token, "ghs_2");
    assert_eq!(first.key(), later.key(), "what is remembered of a login outlives its token");
    let named = login(&[&app[..], &[("githubAppInstallationID", "42")]].concat())?;
    assert_eq!(ask_for(&standin, &session, &named, "2026-01-01T00:00:00Z").await?.token, "ghs_3");
    Ok(())
}

#[tokio::test]
async fn a_token_that_is_refused_is_not_used_again() -> anyhow::Result<()> {
    let standin = Standin::start(github).await;
    let (pem, _) = key()?;
    let found = login(&[("githubAppID", "1"), ("githubAppPrivateKey", pem.as_str())])?;
    let session = Arc::new(Session::default());
    let client = Client::new(session.clone());
    let first = ask_for(&standin, &session, &found, "2026-01-01T00:00:00Z").await?;
    assert!(matches!(client.open(&first, false).await, Err(ForgeError::LoginRefused { .. })));
    let second = ask_for(&standin, &session, &found, "2026-01-01T00:00:00Z").await?;
    assert_eq!(second.token, "ghs_2");
    client.open(&second, false).await?;
    Ok(())
}

#[tokio::test]
async fn an_app_that_is_not_installed_is_named_and_other_forges_have_none() -> anyhow::Result<()> {
    let standin = Standin::fixed(404, &[], "{}").await;
    let (pem, _) = key()?;
    let found = login(&[("githubAppID", "1"), ("githubAppPrivateKey", pem.as_str())])?;
    let failed = ask_for(&standin, &Session::default(), &found, "2026-01-01T00:00:00Z").await;
    assert!(failed.err().is_some_and(|error| error.to_string().contains("not installed for org/config")));
    let session = Session::default();
    let other = session
        .target(Forge::Gitea, "https://git.example.com/org/config", None, &found, Timestamp::UNIX_EPOCH)
        .await;
    assert!(other.err().is_some_and(|error| error.to_string().contains("Gitea has no Apps")));
    Ok(())
}
