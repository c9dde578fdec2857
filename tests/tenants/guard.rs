//! A tenant names servers that only the agent can reach: in every kind of URL, directly and by a redirect. None is connected
//! to, and what a server answers that may be reached is shown nowhere. I/O: processes, network.

use std::time::Duration;

use anyhow::{Context as _, ensure};
use holdfast_tests::{eventually, sync};
use serde_json::{Value, json};

use super::hostile::decoy::Decoy;
use super::stage::{self, Stage};

/// The answer of an internal server, which no tenant may read.
const SECRET: &str = "internal-answer-7c1d";
const SOON: Duration = Duration::from_secs(40);

/// A kind of URL that a tenant can write.
struct Kind {
    name: &'static str,
    /// The resource and its object, with a URL that begins with `http://`.
    make: fn(&str, &str, &str, &str) -> Value,
    resource: &'static str,
}

const KINDS: [Kind; 8] = [
    Kind {
        name: "webhook",
        make: |namespace, name, url, _| alert(namespace, name, &json!({"webhook": {"url": url}})),
        resource: "alert",
    },
    Kind {
        name: "alertmanager",
        make: |namespace, name, url, _| alert(namespace, name, &json!({"alertmanager": {"url": url}})),
        resource: "alert",
    },
    Kind {
        name: "git",
        make: |namespace, name, url, _| {
            sync_of(namespace, name, &json!({"git": {"url": format!("{url}/a.git")}}), &json!({}))
        },
        resource: "sync",
    },
    Kind {
        name: "charts",
        make: |namespace, name, url, git| {
            let chart = json!({"repository": url, "name": "web", "version": "1.0.0"});
            sync_of(namespace, name, &source(git), &json!({"helm": {"chart": chart}}))
        },
        resource: "sync",
    },
    Kind {
        name: "oci",
        make: |namespace, name, url, git| {
            let repository = url.replace("http://", "oci://");
            let chart = json!({"repository": repository, "name": "web", "version": "1.0.0"});
            sync_of(namespace, name, &source(git), &json!({"helm": {"chart": chart}}))
        },
        resource: "sync",
    },
    Kind { name: "file", make: |namespace, name, _, git| folder_of(namespace, name, git), resource: "sync" },
    Kind { name: "base", make: |namespace, name, _, git| folder_of(namespace, name, git), resource: "sync" },
    Kind {
        name: "registry",
        make: |namespace, name, url, git| {
            let repository = format!("{}/app", url.trim_start_matches("http://"));
            update(namespace, name, git, &repository)
        },
        resource: "imageupdate",
    },
];

fn source(git: &str) -> Value {
    json!({"git": {"url": git, "secretRef": {"name": "git"}}})
}

fn alert(namespace: &str, name: &str, receiver: &Value) -> Value {
    json!({"apiVersion": "holdfast.dev/v1alpha1", "kind": "Alert", "metadata": {"namespace": namespace, "name": name},
        "spec": {"receiver": receiver, "on": ["Failed", "Drifted", "Applied"]}})
}

fn sync_of(namespace: &str, name: &str, source: &Value, render: &Value) -> Value {
    json!({"apiVersion": "holdfast.dev/v1alpha1", "kind": "Sync", "metadata": {"namespace": namespace, "name": name},
        "spec": {"source": source, "interval": "5s", "render": render}})
}

/// A Sync of the folder with its name.
fn folder_of(namespace: &str, name: &str, git: &str) -> Value {
    let mut sync = sync_of(namespace, name, &source(git), &json!({}));
    sync["spec"]["path"] = json!(name);
    sync
}

fn update(namespace: &str, name: &str, git: &str, repository: &str) -> Value {
    json!({"apiVersion": "holdfast.dev/v1alpha1", "kind": "ImageUpdate", "metadata": {"namespace": namespace, "name": name},
        "spec": {"interval": "1m", "git": {"url": git, "secretRef": {"name": "git"}, "branch": "main"},
            "commit": {"author": {"name": "a", "email": "a@example.com"}},
            "images": [{"name": name, "repository": repository, "insecure": true, "policy": {"semver": {"range": "*"}}}]}})
}

/// Waits until the condition Ready of an object is false, and returns what it says.
async fn refusal(stage: &Stage, namespace: &str, resource: &str, name: &str) -> anyhow::Result<String> {
    let path = "-o=jsonpath={.status.conditions[?(@.type==\"Ready\")]}";
    let ask = || async {
        let said = stage.env.cluster.must(&["-n", namespace, "get", resource, name, path]).await?;
        Ok(said.contains("\"False\"") && !said.contains("Progressing"))
    };
    eventually(SOON, &format!("{resource}/{name} to be refused"), ask).await?;
    stage.env.cluster.must(&["-n", namespace, "get", resource, name, path]).await
}

#[test]
fn no_server_inside_is_reached_and_no_answer_is_shown() -> anyhow::Result<()> {
    stage::run(|stage| async move {
        let tenant = stage.tenant("guard-a").await?;
        let namespace = tenant.namespace.as_str();
        let repository = stage.env.forge.repository("guard").await?;
        repository
            .commit(&[("a.yaml", "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: a}\n")], "Begin")?;
        // Drift that alerts tell of: a Sync that cannot work.
        let broken = sync_of(namespace, "broken", &source(&repository.https_url), &json!({"type": "Helm"}));
        let hidden = Decoy::answering("::1", "200 OK", "Content-Type: text/plain\r\n", SECRET).await?;
        let inside = Decoy::answering("127.0.0.1", "500 Internal Server Error", "", SECRET).await?;
        let page = Decoy::answering("127.0.0.1", "200 OK", "Content-Type: text/plain\r\n", SECRET).await?;
        let api = api_server(stage).await?;
        let agent = format!("http://{}", stage.agent.address());
        let port = agent.rsplit(':').next().context("no port")?.to_owned();
        let led = Decoy::leading(&format!("{agent}/metrics")).await?;
        let astray = Decoy::leading("http://169.254.169.254/latest/meta-data").await?;
        let targets = [
            ("api", api, "API server"),
            ("agent", agent, "the agent itself"),
            ("number", format!("http://0x7f000001:{port}"), "the agent itself"),
            ("named", format!("http://localhost:{port}"), "localhost"),
            ("metadata", "http://169.254.169.254".to_owned(), "link-local or metadata"),
            ("hidden", hidden.url(), "not in --allow-destinations"),
            ("led", led.url(), ""),
            ("astray", astray.url(), ""),
            ("inside", inside.url(), ""),
            ("page", page.url(), ""),
        ];
        stage.env.cluster.apply(&broken.to_string()).await?;
        let kustomizations = targets.iter().flat_map(|(target, url, _)| {
            [("file", "a.yaml"), ("base", "a.git//x")].map(|(kind, path)| {
                (format!("{kind}-{target}/kustomization.yaml"), format!("resources: ['{url}/{path}']\n"))
            })
        });
        let kustomizations = kustomizations.collect::<Vec<_>>();
        let texts = kustomizations.iter().map(|(path, text)| (path.as_str(), text.as_str()));
        repository.commit(&texts.collect::<Vec<_>>(), "Kustomizations that name servers")?;
        let mut made = Vec::new();
        for Kind { name: kind, make, resource } in &KINDS {
            // A receiver that answers well has nothing to complain of.
            let refuses = |target: &str| *resource != "alert" || target != "page";
            for (target, url, part) in targets.iter().filter(|(target, ..)| refuses(target)) {
                let name = format!("{kind}-{target}");
                made.push((*resource, name.clone(), *part));
                let object = make(namespace, &name, url, &repository.https_url).to_string();
                // What a schema refuses is refused as well.
                let applied =
                    stage.env.cluster.kubectl_with(&tenant.person, &["apply", "-f", "-"], &object).await?;
                ensure!(applied.status.success(), "{name}: {}", String::from_utf8_lossy(&applied.stderr));
            }
        }
        for (resource, name, part) in &made {
            let said = refusal(stage, namespace, resource, name).await?;
            ensure!(said.contains(part), "{name} says {said}");
            ensure!(!said.contains(SECRET) && !said.contains("holdfast_sync_ready"), "{name} shows {said}");
        }
        ensure!(hidden.asked() == 0, "the server that is not listed was reached");
        for name in ["events", "alerts,syncs,imageupdates"] {
            let all = stage.env.cluster.must(&["-n", namespace, "get", name, "-o", "yaml"]).await?;
            ensure!(!all.contains(SECRET), "{name} show it:\n{all}");
        }
        ensure!(!stage.agent.output()?.contains(SECRET), "the log shows it");
        stage.env.cluster.must(&["-n", namespace, "delete", "syncs,alerts,imageupdates", "--all"]).await?;
        Ok(())
    })
}

/// The URL of the API server, as the agent knows it, without TLS in mind.
async fn api_server(stage: &Stage) -> anyhow::Result<String> {
    let path = "-o=jsonpath={.clusters[0].cluster.server}";
    let url = stage.env.cluster.must(&["config", "view", path]).await?;
    Ok(url.trim().replace("https://", "http://"))
}

#[test]
fn a_host_that_ssh_could_take_for_an_option_is_refused() -> anyhow::Result<()> {
    stage::run(|stage| async move {
        let tenant = stage.tenant("guard-b").await?;
        let marker = tempfile::tempdir()?;
        let file = marker.path().join("ran");
        let command = format!("-oProxyCommand=touch${{IFS}}{}", file.display());
        let urls = [
            format!("ssh://{command}/a"),
            format!("{command}:a"),
            format!("ssh://{}@example.com/a", command.replace('/', "%2f")),
            format!("git@{command}:a"),
        ];
        let known =
            "example.com ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIOc1hSmyYSt2rjCMrSeq1miRybD3DVsIhIORHH84TWCZ";
        let secret = sync::secret(&tenant.namespace, "ssh", &[("known_hosts", known)]);
        stage.env.cluster.apply(&secret).await?;
        for (index, url) in urls.iter().enumerate() {
            let name = format!("option-{index}");
            let source = json!({"git": {"url": url, "secretRef": {"name": "ssh"}}});
            let object = sync_of(&tenant.namespace, &name, &source, &json!({})).to_string();
            let applied =
                stage.env.cluster.kubectl_with(&tenant.person, &["apply", "-f", "-"], &object).await?;
            if applied.status.success() {
                refusal(stage, &tenant.namespace, "sync", &name).await?;
            }
        }
        ensure!(!file.exists(), "a command of the URL ran");
        Ok(())
    })
}
