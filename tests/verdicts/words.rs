//! What a person reads: the verdict about what is paused, and what is wrong with a version. Every suite reads all messages for
//! debug forms (`harness/words.rs`).

use holdfast_tests::shared::run;
use serde_json::json;

const DEPLOYMENT: &str = include_str!("../data/web.yaml");

#[test]
fn a_version_that_is_not_served_says_which_ones_are() -> anyhow::Result<()> {
    run(&[], |shared| async move {
        let namespace = "versions";
        let old = "apiVersion: autoscaling/v2beta2\nkind: HorizontalPodAutoscaler\nmetadata: {name: a}\nspec: {maxReplicas: 2, scaleTargetRef: {kind: Deployment, name: web}}\n";
        shared.create(namespace, &[("a.yaml", old)], &json!({})).await?;
        let said = shared.env.reason(namespace, "app", "UnknownKind").await?;
        for part in ["autoscaling/v2beta2; it serves the kind in autoscaling/v2, autoscaling/v1", "a.yaml:1"]
        {
            assert!(said.message.contains(part), "{part} is missing in {}", said.message);
        }
        Ok(())
    })
}

#[test]
fn a_deployment_that_is_paused_when_it_is_complete_is_healthy() -> anyhow::Result<()> {
    run(&[], |shared| async move {
        let namespace = "paused";
        let repository = shared.begin(namespace, &[("web.yaml", DEPLOYMENT)], &json!({})).await?;
        let paused = DEPLOYMENT.replacen("spec:", "spec:\n  paused: true", 1);
        let commit = repository.commit(&[("web.yaml", &paused)], "Pause it")?;
        shared.env.ready(namespace, "app", Some(&commit)).await?;
        let reason = "{.status.conditions[?(@.type==\"Progressing\")].reason}";
        shared.until(namespace, "deployment/web", reason, "DeploymentPaused").await?;
        assert_eq!(shared.env.condition(namespace, "app", "Healthy").await?.status, "True");
        Ok(())
    })
}
