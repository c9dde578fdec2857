//! The agent is killed around its commits: each tag is one commit, and what was taken back meanwhile stays so.
//! I/O: processes, network.

use std::time::Duration;

use holdfast_tests::Env;
use holdfast_tests::random::Random;
use holdfast_tests::shared::Shared;
use serde_json::json;

use crate::kit::Stage;

const ROUNDS: u64 = 10;

#[tokio::test(flavor = "multi_thread")]
async fn an_agent_that_is_killed_commits_each_tag_once() -> anyhow::Result<()> {
    let env = Env::start().await?;
    let mut idle = env.agent(&[]).await?;
    idle.kill()?;
    let shared: &'static Shared = Box::leak(Box::new(Shared { env, agent: idle }));
    let kubeconfig = shared.env.cluster.kubeconfig();
    let mut agent = shared.env.agent(&[]).await?;
    let stage = Stage::set(shared, "kills", &["1.0.0"]).await?;
    stage.git.commit(&[("web.yaml", &stage.line("web", "1.0.0"))], "Begin")?;
    stage.update(&json!({"interval": "1h"}), &json!({})).await?;
    stage.ready("UpToDate", &["web is 1.0.0"]).await?;
    let mut random = Random::new(7);
    for round in 1..=ROUNDS {
        stage.image(&format!("1.{round}.0")).await?;
        stage.ask().await?;
        tokio::time::sleep(Duration::from_millis(random.number() % 400)).await;
        agent = agent.restart(&kubeconfig, &[]).await?;
        stage.has("main", "web.yaml", &format!(":1.{round}.0 # {{")).await?;
        stage.ready("UpToDate", &[&format!("web is 1.{round}.0")]).await?;
    }
    let mut log = stage.log("main", "%s")?;
    log.reverse();
    let wanted: Vec<String> = (1..=ROUNDS).map(|round| format!("Update web to 1.{round}.0")).collect();
    assert_eq!(log[2..], wanted);
    // Reverted while no agent runs.
    agent.kill()?;
    stage.pull("main")?;
    stage.git.git(&["revert", "--no-edit", "HEAD"])?;
    stage.git.push("main")?;
    let _agent = agent.restart(&kubeconfig, &[]).await?;
    stage.ready("UpToDate", &[&format!("1.{ROUNDS}.0 was reverted")]).await?;
    stage.stays("main").await
}
