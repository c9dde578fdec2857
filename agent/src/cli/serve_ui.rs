//! The flags of the agent's web UI. I/O: listens.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::time::Duration;

use anyhow::{Context as _, bail};
use axum::http::HeaderName;
use clap::{Args, ValueEnum};
use kube::{Client, Config};
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;
use tracing::info;
use url::Url;
use zeroize::Zeroizing;

use super::cluster;
use crate::cluster::people::{Hand, People};
use crate::http::{Clients, Destination, Times, Trust};
use crate::leader::Holder;
use crate::server::{Lead, Tls, UiListener, of_the_leader};
use crate::ui::{self, Access, Names, Offered, Oidc, Provider, Proxy};

/// How long an answer of the provider may take.
const ANSWER: Duration = Duration::from_secs(10);

/// The web UI
#[derive(Args, Debug)]
#[expect(clippy::struct_field_names, reason = "the names of the flags are made of them")]
pub struct UiArgs {
    /// Serve the web UI at this address, if --ui-auth is not off
    #[arg(long, value_name = "ADDR", default_value = "127.0.0.1:8082")]
    ui_listen: SocketAddr,
    /// How users of the web UI are known
    #[arg(long, value_enum, default_value_t)]
    ui_auth: UiAuth,
    /// Addresses and networks of the proxies whose headers name users, for --ui-auth=proxy
    #[arg(long, value_name = "CIDR", value_delimiter = ',')]
    ui_proxy_from: Vec<Destination>,
    /// Header in which the proxy names the user
    #[arg(long, value_name = "NAME", default_value = "x-forwarded-user")]
    ui_proxy_user_header: HeaderName,
    /// Header in which the proxy names the groups of the user, separated by commas
    #[arg(long, value_name = "NAME", default_value = "x-forwarded-groups")]
    ui_proxy_groups_header: HeaderName,
    /// URL of the OpenID Connect provider, for --ui-auth=oidc. It must be https, except on loopback
    #[arg(long, value_name = "URL")]
    ui_oidc_issuer: Option<Url>,
    /// Client id of this installation at the provider
    #[arg(long, value_name = "ID")]
    ui_oidc_client_id: Option<String>,
    /// File with the client secret; without it the client is a public one
    #[arg(long, value_name = "FILE")]
    ui_oidc_client_secret_file: Option<PathBuf>,
    /// File with the certificate of the CA that issued the certificate of the provider
    #[arg(long, value_name = "FILE")]
    ui_oidc_ca_file: Option<PathBuf>,
    /// Scopes that are requested
    #[arg(long, value_name = "SCOPES", default_value = "openid profile email groups")]
    ui_oidc_scopes: String,
    /// Claim with the name of the user
    #[arg(long, value_name = "CLAIM", default_value = "email")]
    ui_oidc_user_claim: String,
    /// Claim with the groups of the user
    #[arg(long, value_name = "CLAIM", default_value = "groups")]
    ui_oidc_groups_claim: String,
    /// What the names of users and groups begin with, as the API server names those of the provider
    #[arg(long, value_name = "PREFIX")]
    ui_oidc_prefix: Option<String>,
    /// URL at which browsers reach the web UI, for --ui-auth=oidc. The redirect URL at the provider is this with /login/callback
    #[arg(long, value_name = "URL")]
    ui_url: Option<Url>,
}

/// How users of the web UI are known
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
enum UiAuth {
    /// There is no web UI
    #[default]
    Off,
    /// Every client may read everything, and no client may write. The address must be a loopback address. For kubectl port-forward
    Loopback,
    /// Users sign in with a token of the cluster, see what they may read, and write with that token
    Token,
    /// A proxy such as oauth2-proxy names users in headers
    Proxy,
    /// Users sign in with an OpenID Connect provider
    Oidc,
}

impl UiArgs {
    /// Serves the UI until the process ends, if there is one. Returns its address.
    pub async fn serve(
        &self,
        client: &Client,
        config: &Config,
        live: Offered,
        tls: Option<Tls>,
        holder: Option<watch::Receiver<Holder>>,
        stop: &CancellationToken,
    ) -> anyhow::Result<Option<SocketAddr>> {
        let Some(listener) = self.bind()? else { return Ok(None) };
        let address = listener.address();
        let pages = ui::routes(live, self.access(client.clone(), config).await?, stop.clone());
        let pages = match holder.filter(|_| self.is_forwarded()) {
            Some(holder) => of_the_leader(pages, Lead { holder, tls: tls.clone() }),
            None => pages,
        };
        tokio::spawn(listener.serve(pages, tls, stop.clone()));
        info!(address = %address, "Serving the web UI");
        Ok(Some(address))
    }

    /// True if the leader can serve what another agent forwards. Headers that name users count from the addresses of proxies
    /// only, and another agent is none.
    pub fn is_forwarded(&self) -> bool {
        matches!(self.ui_auth, UiAuth::Loopback | UiAuth::Token | UiAuth::Oidc)
    }

    /// Takes the address; `None` if there is no UI.
    fn bind(&self) -> anyhow::Result<Option<UiListener>> {
        match self.ui_auth {
            UiAuth::Off => return Ok(None),
            UiAuth::Loopback if !self.ui_listen.ip().is_loopback() => bail!(
                "--ui-auth=loopback shows everything to everybody who reaches --ui-listen {}, so that must be a loopback \
                 address, such as 127.0.0.1:8082; for other addresses use --ui-auth=token or proxy",
                self.ui_listen
            ),
            UiAuth::Proxy if self.ui_proxy_from.is_empty() => bail!(
                "--ui-auth=proxy trusts headers, so it needs the addresses that they come from, such as --ui-proxy-from={}",
                IpAddr::from(Ipv4Addr::LOCALHOST)
            ),
            UiAuth::Oidc => {
                self.oidc_client()?;
            }
            UiAuth::Loopback | UiAuth::Token | UiAuth::Proxy => {}
        }
        Ok(Some(UiListener::bind(self.ui_listen, "--ui-listen")?))
    }

    /// How users are known.
    async fn access(&self, client: Client, config: &Config) -> anyhow::Result<Access> {
        let people = || {
            People::new(client.clone(), config.clone())
                .context("cannot make a client for the users of the web UI")
        };
        Ok(match self.ui_auth {
            UiAuth::Off | UiAuth::Loopback => Access::Loopback(Hand::new(client)),
            UiAuth::Token => Access::Token(people()?),
            UiAuth::Proxy => {
                let from = self.ui_proxy_from.clone();
                let (user, groups) = (self.ui_proxy_user_header.clone(), self.ui_proxy_groups_header.clone());
                Access::Proxy(people()?, Proxy::new(from, user, groups)?)
            }
            UiAuth::Oidc => {
                let people = people()?;
                Access::Oidc(people, Box::new(Oidc::new(self.provider(config).await?)))
            }
        })
    }
}

impl UiArgs {
    /// The issuer, the client id and the URL of the UI, which must be set.
    fn oidc_client(&self) -> anyhow::Result<(&Url, &str, &Url)> {
        let (Some(issuer), Some(id), Some(url)) =
            (&self.ui_oidc_issuer, &self.ui_oidc_client_id, &self.ui_url)
        else {
            bail!("--ui-auth=oidc needs --ui-oidc-issuer, --ui-oidc-client-id and --ui-url")
        };
        let is_local = matches!(issuer.host_str(), Some("localhost" | "127.0.0.1" | "[::1]"));
        if issuer.scheme() != "https" && !is_local {
            bail!(
                "--ui-oidc-issuer {issuer} must be https: the token of a user is trusted because TLS proves where it comes from"
            );
        }
        if url.cannot_be_a_base() || !matches!(url.scheme(), "https" | "http") {
            bail!("--ui-url {url} must be a URL such as https://holdfast.example.com");
        }
        Ok((issuer, id, url))
    }

    async fn provider(&self, config: &Config) -> anyhow::Result<Provider> {
        let (issuer, id, url) = self.oidc_client()?;
        let host = issuer.host_str().context("--ui-oidc-issuer has no host")?;
        let listed = vec![host.parse().with_context(|| format!("--ui-oidc-issuer {issuer}"))?];
        let guard = cluster::guard(config, listed, []).await;
        let read =
            |file: &PathBuf| std::fs::read(file).with_context(|| format!("cannot read {}", file.display()));
        let secret = self.ui_oidc_client_secret_file.as_ref().map(read).transpose()?;
        let secret = secret.map(|bytes| Zeroizing::new(String::from_utf8_lossy(&bytes).trim().to_owned()));
        let ca = self.ui_oidc_ca_file.as_ref().map(read).transpose()?;
        let trust = Trust::read(ca.as_deref(), None).context("--ui-oidc-ca-file")?;
        let times = Times { connect: Times::CONNECT, silence: Some(ANSWER), total: Some(ANSWER) };
        let callback = format!("{}/login/callback", url.as_str().trim_end_matches('/'));
        Ok(Provider {
            issuer: issuer.clone(),
            client_id: id.to_owned(),
            client_secret: secret,
            callback: callback.parse().context("--ui-url")?,
            scopes: self.ui_oidc_scopes.clone(),
            names: Names {
                user: self.ui_oidc_user_claim.clone(),
                groups: self.ui_oidc_groups_claim.clone(),
                prefix: self.ui_oidc_prefix.clone().unwrap_or_default(),
            },
            clients: Clients::new(guard, times),
            trust,
        })
    }
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;

    #[derive(Parser)]
    struct Flags {
        #[command(flatten)]
        ui: UiArgs,
    }

    fn bound(flags: &[&str]) -> Result<bool, String> {
        let flags = Flags::try_parse_from([&["agent"], flags].concat()).map_err(|error| error.to_string())?;
        flags.ui.bind().map(|listener| listener.is_some()).map_err(|error| error.to_string())
    }

    #[test]
    fn there_is_no_ui_unless_it_is_asked_for_and_none_that_shows_everything_to_the_network() {
        assert_eq!(bound(&[]), Ok(false));
        assert_eq!(bound(&["--ui-auth=loopback", "--ui-listen=127.0.0.1:0"]), Ok(true));
        assert_eq!(bound(&["--ui-auth=token", "--ui-listen=0.0.0.0:0"]), Ok(true));
        assert_eq!(
            bound(&["--ui-auth=proxy", "--ui-listen=127.0.0.1:0", "--ui-proxy-from=127.0.0.1"]),
            Ok(true)
        );
        for (flags, expected) in [
            (&["--ui-auth=loopback", "--ui-listen=0.0.0.0:0"][..], "loopback address"),
            (&["--ui-auth=proxy", "--ui-listen=127.0.0.1:0"], "--ui-proxy-from"),
            (&["--ui-auth=oidc"], "--ui-oidc-issuer"),
            (
                &[
                    "--ui-auth=oidc",
                    "--ui-oidc-issuer=http://id.example.com",
                    "--ui-oidc-client-id=a",
                    "--ui-url=https://ui.example.com",
                ],
                "must be https",
            ),
            (&["--ui-auth=other"], "invalid value"),
        ] {
            let error = bound(flags).expect_err("it is refused");
            assert!(error.contains(expected), "{error}");
        }
    }
}
