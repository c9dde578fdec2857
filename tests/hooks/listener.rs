//! What strangers do to the agent's listeners, while its probes, its metrics and another tenant's webhooks go on; and calls
//! that reach an agent that waits for the Lease. I/O: processes, network.

use std::time::{Duration, Instant};

use anyhow::{Context as _, ensure};
use holdfast_tests::agent::Agent;
use holdfast_tests::forge::Repository;
use holdfast_tests::shared::{self, Shared, config_map};
use holdfast_tests::{eventually, ports, sync};
use serde_json::json;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpSocket, TcpStream};
use tokio::time::timeout;

/// How long an answer may take on a loaded machine.
const PROMPT: Duration = Duration::from_secs(3);
/// How long a webhook's commit may take; without it, the Sync checks its source each hour.
const SOON: Duration = Duration::from_secs(15);

/// The agent that other suites share has nothing to do here.
fn run<F, Fut>(test: F) -> anyhow::Result<()>
where
    F: FnOnce(&'static Shared) -> Fut,
    Fut: Future<Output = anyhow::Result<()>>,
{
    shared::run(&["--namespaces", "nobody"], test)
}

/// Connects from another address of the loopback network: another peer.
async fn connect(address: &str, last: u8) -> anyhow::Result<TcpStream> {
    let socket = TcpSocket::new_v4()?;
    socket.bind(([127, 0, 0, last], 0).into())?;
    Ok(socket.connect(address.parse()?).await?)
}

/// The status of the answer to a request, which must come soon.
async fn status(address: &str, last: u8, request: &str) -> anyhow::Result<u16> {
    let mut stream = connect(address, last).await?;
    stream.write_all(request.as_bytes()).await?;
    let mut answer = [0; 12];
    timeout(PROMPT, stream.read_exact(&mut answer)).await.context("no answer in time")??;
    Ok(str::from_utf8(&answer[9..])?.parse()?)
}

fn get(path: &str) -> String {
    format!("GET {path} HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n")
}

fn post(path: &str) -> String {
    format!("POST {path} HTTP/1.1\r\nhost: a\r\ncontent-length: 2\r\nconnection: close\r\n\r\n{{}}")
}

/// A Sync that takes webhooks and checks its source each hour.
struct Hooked {
    namespace: &'static str,
    repository: Repository,
    /// What is called.
    path: String,
}

async fn hooked(shared: &Shared, namespace: &'static str) -> anyhow::Result<Hooked> {
    shared.env.namespace(namespace).await?;
    let repository = shared.env.forge.repository(namespace).await?;
    let commit = repository.commit(&[("a.yaml", &config_map("a", "0"))], "Begin")?;
    shared.env.cluster.apply(&sync::secret(namespace, "hook", &[("token", "0123456789abcdef")])).await?;
    let more = json!({"interval": "1h", "webhook": {"provider": "DockerHub", "secretRef": {"name": "hook"}}});
    shared.env.cluster.apply(&sync::sync(namespace, "app", &repository.https_url, &more)).await?;
    shared.env.ready(namespace, "app", Some(&commit)).await?;
    let path = || async {
        let sync = shared.env.read(namespace, "app").await?;
        anyhow::Ok(sync["status"]["webhookPath"].as_str().map(str::to_owned))
    };
    eventually(SOON, "the path of the webhook", || async { Ok(path().await?.is_some()) }).await?;
    Ok(Hooked { namespace, repository, path: path().await?.context("no path")? })
}

/// Commits, calls the webhook, and waits until the commit is applied.
async fn is_prompt(shared: &Shared, hook: &Hooked, address: &str, value: &str) -> anyhow::Result<()> {
    let Hooked { namespace, repository, path } = hook;
    let commit = repository.commit(&[("a.yaml", &config_map("a", value))], "Change")?;
    ensure!(status(address, 1, &post(path)).await? == 200);
    let started = Instant::now();
    shared.env.ready(namespace, "app", Some(&commit)).await?;
    ensure!(started.elapsed() < SOON, "{:?}", started.elapsed());
    Ok(())
}

/// The files that the agent has open.
fn files(agent: &Agent) -> anyhow::Result<usize> {
    Ok(std::fs::read_dir(format!("/proc/{}/fd", agent.pid()))?.count())
}

#[test]
fn a_thousand_silent_and_slow_clients_do_not_block_others() -> anyhow::Result<()> {
    run(|shared| async move {
        let namespace = "listener-a";
        let probes = format!("127.0.0.1:{}", ports::free()?);
        let flags = ["--namespaces", namespace, "--probe-listen", &probes];
        let agent = Agent::start(&shared.env.cluster.kubeconfig(), &flags).await?;
        let (address, idle) = (agent.address(), files(&agent)?);
        let hook = hooked(shared, namespace).await?;
        let everything = async |what: &str, value: &str| -> anyhow::Result<()> {
            for path in ["/healthz", "/readyz", "/metrics"] {
                let found = status(&address, 1, &get(path)).await;
                ensure!(found.as_ref().is_ok_and(|found| *found == 200), "{what}: {path}: {found:?}");
            }
            ensure!(status(&probes, 1, &get("/healthz")).await? == 200, "{what}");
            is_prompt(shared, &hook, &address, value).await.with_context(|| what.to_owned())
        };
        let mut open = Vec::new();
        for _ in 0..300 {
            open.push(connect(&address, 1).await?);
        }
        everything("300 silent connections of the same peer", "1").await?;
        for count in 0..1100_u16 {
            let last = 2 + u8::try_from(count % 10)?;
            open.push(connect(if count % 4 == 0 { &probes } else { &address }, last).await?);
        }
        everything("1,100 silent connections of ten peers", "2").await?;
        ensure!(files(&agent)? < idle + 700, "{} files are open", files(&agent)?);
        // The path is right, or not, or that of the audit events, and the body does not come.
        for path in [hook.path.as_str(), &format!("/hooks/{}", "0".repeat(64)), "/audit"] {
            let head = format!("POST {path} HTTP/1.1\r\nhost: a\r\ncontent-length: 1000000\r\n\r\n{{");
            for _ in 0..64 {
                let mut stream = connect(&address, 20).await?;
                stream.write_all(head.as_bytes()).await?;
                open.push(stream);
            }
        }
        for path in ["/healthz", "/readyz", "/metrics"] {
            ensure!(status(&address, 1, &get(path)).await? == 200, "slow bodies: {path}");
        }
        // That of the same path may be told to try again, for as long as a body may be silent.
        eventually(SOON, "the webhook to be taken", || async {
            Ok(status(&address, 1, &post(&hook.path)).await? == 200)
        })
        .await?;
        everything("slow bodies are over", "3").await?;
        eventually(Duration::from_secs(40), "all connections to be closed", || async {
            Ok(files(&agent)? < idle + 40)
        })
        .await?;
        drop(open);
        Ok(())
    })
}

#[test]
fn a_call_that_reaches_an_agent_that_waits_is_handed_on() -> anyhow::Result<()> {
    run(|shared| async move {
        let namespace = "listener-b";
        shared.env.namespace("listener-lease").await?;
        let kubeconfig = shared.env.cluster.kubeconfig();
        let flags = ["--leader-elect", "-n", "listener-lease", "--namespaces", namespace];
        let mut first = Agent::start(&kubeconfig, &flags).await?;
        let hook = hooked(shared, namespace).await?;
        let second = Agent::start(&kubeconfig, &flags).await?;
        eventually(SOON, "the second to wait", || async {
            Ok(second.output()?.contains("Waiting for the Lease"))
        })
        .await?;
        is_prompt(shared, &hook, &second.address(), "1").await?;
        ensure!(status(&second.address(), 1, &post("/hooks/none")).await? == 404);
        // The holder ends, and a call at that moment is not lost: the one that goes on takes it, or looks by itself.
        let commit = hook.repository.commit(&[("a.yaml", &config_map("a", "2"))], "Change")?;
        let (status_of_first, took) = first.terminate(Duration::from_secs(5))?;
        ensure!(status_of_first.success(), "{status_of_first}");
        let answer = timeout(SOON, async {
            loop {
                if let Ok(code @ (200 | 202)) = status(&second.address(), 1, &post(&hook.path)).await {
                    return code;
                }
            }
        });
        answer.await.with_context(|| format!("the call was not taken; the first ended in {took:?}"))?;
        shared.env.ready(namespace, "app", Some(&commit)).await?;
        is_prompt(shared, &hook, &second.address(), "3").await
    })
}

/// The token of a ServiceAccount, and the API server's word on what it may do.
#[test]
fn metrics_are_read_by_users_who_may() -> anyhow::Result<()> {
    run(|shared| async move {
        let namespace = "listener-c";
        shared.env.namespace(namespace).await?;
        let cluster = &shared.env.cluster;
        let rules = json!({"apiVersion": "rbac.authorization.k8s.io/v1", "kind": "ClusterRole",
            "metadata": {"name": "listener-reader"}, "rules": [{"nonResourceURLs": ["/metrics"], "verbs": ["get"]}]});
        cluster.apply(&rules.to_string()).await?;
        for account in ["reader", "stranger"] {
            cluster.must(&["-n", namespace, "create", "serviceaccount", account]).await?;
        }
        let reader = format!("--serviceaccount={namespace}:reader");
        let bind =
            ["create", "clusterrolebinding", "listener-reader", "--clusterrole=listener-reader", &reader];
        cluster.must(&bind).await?;
        let agent =
            Agent::start(&cluster.kubeconfig(), &["--namespaces", namespace, "--metrics-auth", "token"])
                .await?;
        let scrape = async |token: &str| -> anyhow::Result<u16> {
            let request =
                format!("GET /metrics HTTP/1.1\r\nhost: a\r\nauthorization: Bearer {token}\r\n\r\n");
            status(&agent.address(), 1, &request).await
        };
        for (account, expected) in [("reader", 200), ("stranger", 403)] {
            let token = cluster.must(&["-n", namespace, "create", "token", account]).await?;
            ensure!(scrape(token.trim()).await? == expected, "{account}");
        }
        ensure!(scrape("forged").await? == 403);
        ensure!(status(&agent.address(), 1, &get("/metrics")).await? == 401);
        ensure!(status(&agent.address(), 1, &get("/healthz")).await? == 200);
        Ok(())
    })
}
