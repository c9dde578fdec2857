//! Sign-in with a real OpenID Connect provider: the forge is one. I/O: processes, network.

use anyhow::{Context as _, ensure};
use holdfast_tests::agent::Agent;
use holdfast_tests::forge::{PASSWORD, USER};
use holdfast_tests::ports;
use holdfast_tests::shared::{config_map, run};
use holdfast_tests::watchdog::Folder;
use reqwest::Method;
use serde_json::json;

use super::browser;
use super::kit::{AGENT, people};
use super::visitor::Visitor;

#[test]
fn a_user_of_a_provider_signs_in_with_a_browser_and_has_the_rights_of_that_name() -> anyhow::Result<()> {
    run(AGENT, |shared| async move {
        people(shared).await?;
        let (namespace, forge, cluster) = ("ui-oidc", &shared.env.forge, &shared.env.cluster);
        let port = ports::free()?;
        let base = format!("http://localhost:{port}");
        let app = json!({"name": "holdfast", "confidential_client": true, "redirect_uris": [format!("{base}/login/callback")]});
        let app = forge.api(Method::POST, "user/applications/oauth2", &app).await?;
        let folder = Folder::make("oidc")?;
        let (secret, ca) = (folder.path().join("secret"), folder.path().join("ca.crt"));
        std::fs::write(&secret, app["client_secret"].as_str().context("no secret")?)?;
        std::fs::write(&ca, forge.ca())?;
        let flags = [
            "--ui-auth=oidc".to_owned(),
            format!("--ui-listen=127.0.0.1:{port}"),
            format!("--ui-url={base}"),
            format!("--ui-oidc-issuer=https://127.0.0.1:{}/", forge.port()),
            format!("--ui-oidc-client-id={}", app["client_id"].as_str().context("no id")?),
            format!("--ui-oidc-client-secret-file={}", secret.display()),
            format!("--ui-oidc-ca-file={}", ca.display()),
            "--ui-oidc-user-claim=preferred_username".to_owned(),
            "--ui-oidc-prefix=forge:".to_owned(),
            format!("--namespaces={namespace}"),
        ];
        let flags: Vec<&str> = flags.iter().map(String::as_str).collect();
        let _agent = Agent::start(&cluster.kubeconfig(), &flags).await?;
        shared.begin(namespace, &[("a.yaml", &config_map("a", "1"))], &json!({})).await?;
        let user = format!("--user=forge:{USER}");
        cluster
            .must(&["-n", namespace, "create", "rolebinding", "edit", "--clusterrole=holdfast-edit", &user])
            .await?;
        // Nobody comes in without it, and an answer that no sign-in of this browser asked for is refused.
        let nobody = Visitor::nobody(&base)?;
        ensure!(nobody.get("/").await?.header("location") == "/login?next=%2F");
        ensure!(nobody.get("/login").await?.text.contains("Sign in with 127.0.0.1"));
        for path in [
            "/login/callback",
            "/login/callback?code=a&state=b",
            "/login/callback?error=access_denied&state=",
        ] {
            let answer = nobody.get(path).await?;
            ensure!(answer.status == 401 && answer.header("set-cookie").is_empty(), "{path}: {answer:?}");
        }
        let begun = nobody.get("/login/begin?next=https://evil.example.com").await?;
        let to = begun.header("location");
        for part in ["code_challenge_method=S256", "state=", "nonce=", "response_type=code"] {
            ensure!(begun.status == 303 && to.contains(part), "{part}: {to}");
        }
        browser::sign_in_with_provider(&base, &format!("/syncs/{namespace}/app"), (USER, PASSWORD)).await?;
        ensure!(
            shared.jsonpath(namespace, "sync/app", "{.spec.suspend.reason}").await?
                == "by a user of the forge"
        );
        Ok(())
    })
}
