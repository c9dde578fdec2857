//! The flags of the agent's web UI. I/O: listens.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};

use anyhow::{Context as _, bail};
use axum::http::HeaderName;
use clap::{Args, ValueEnum};
use kube::{Client, Config};
use tokio_util::sync::CancellationToken;
use tracing::info;

use crate::cluster::people::People;
use crate::http::Destination;
use crate::server::{Tls, UiListener};
use crate::ui::{self, Access, Offered, Proxy};

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
}

impl UiArgs {
    /// Serves the UI until the process ends, if there is one. Returns its address.
    pub fn serve(
        &self,
        client: &Client,
        config: &Config,
        live: Offered,
        tls: Option<Tls>,
        stop: &CancellationToken,
    ) -> anyhow::Result<Option<SocketAddr>> {
        let Some(listener) = self.bind()? else { return Ok(None) };
        let address = listener.address();
        let pages = ui::routes(live, self.access(client.clone(), config)?, stop.clone());
        tokio::spawn(listener.serve(pages, tls, stop.clone()));
        info!(address = %address, "Serving the web UI");
        Ok(Some(address))
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
            UiAuth::Loopback | UiAuth::Token | UiAuth::Proxy => {}
        }
        Ok(Some(UiListener::bind(self.ui_listen, "--ui-listen")?))
    }

    /// How users are known.
    fn access(&self, client: Client, config: &Config) -> anyhow::Result<Access> {
        let people = || {
            People::new(client, config.clone()).context("cannot make a client for the users of the web UI")
        };
        Ok(match self.ui_auth {
            UiAuth::Off | UiAuth::Loopback => Access::Loopback,
            UiAuth::Token => Access::Token(people()?),
            UiAuth::Proxy => {
                let from = self.ui_proxy_from.clone();
                let (user, groups) = (self.ui_proxy_user_header.clone(), self.ui_proxy_groups_header.clone());
                Access::Proxy(people()?, Proxy::new(from, user, groups)?)
            }
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
            (&["--ui-auth=oidc"], "invalid value"),
        ] {
            let error = bound(flags).expect_err("it is refused");
            assert!(error.contains(expected), "{error}");
        }
    }
}
