//! Whether the API server answers, its version, and its clock. I/O: API.

use jiff::{SignedDuration, Timestamp};
use kube::Client;
use serde_json::Value;

use super::finding::{Finding, Findings};

/// The first minor version of Kubernetes that has all that the manifests use: ValidatingAdmissionPolicy.
const MINOR: u32 = 30;
/// Deviations of clocks that are reported, and that break things: tokens and certificates, windows, expirations.
const NOTED: SignedDuration = SignedDuration::from_secs(5);
const WRONG: SignedDuration = SignedDuration::from_secs(60);

pub async fn check(client: &Client) -> Vec<Finding> {
    let mut findings = Findings::of("cluster");
    match version(client).await {
        Ok((version, served)) => {
            judge_version(&version, &mut findings);
            if let Some(served) = served {
                judge_clock(Timestamp::now().duration_since(served), &mut findings);
            }
        }
        Err(error) => findings.error(
            format!("the API server does not answer: {error:#}"),
            "check the kubeconfig (--kubeconfig, --context) and the network",
        ),
    }
    findings.found
}

/// Returns the version of the API server, and its time.
async fn version(client: &Client) -> anyhow::Result<(Value, Option<Timestamp>)> {
    let request = http::Request::get("/version").body(kube::client::Body::empty())?;
    let response = client.send(request).await?;
    let date = response.headers().get(http::header::DATE).and_then(|date| date.to_str().ok());
    let date = date.and_then(|date| jiff::fmt::rfc2822::parse(date).ok()).map(|date| date.timestamp());
    anyhow::ensure!(response.status().is_success(), "it answers /version with {}", response.status());
    let body = response.into_body().collect_bytes().await?;
    Ok((serde_json::from_slice(&body)?, date))
}

fn judge_version(version: &Value, findings: &mut Findings) {
    let name = version["gitVersion"].as_str().unwrap_or("an unknown version");
    let digits =
        |text: &str| text.trim_end_matches(|letter: char| !letter.is_ascii_digit()).parse::<u32>().ok();
    let minor = version["minor"].as_str().and_then(digits);
    match minor {
        Some(minor) if minor >= MINOR => findings.ok(format!("Kubernetes {name}")),
        Some(_) => findings.error(
            format!("Kubernetes {name} is too old: the installation needs 1.{MINOR} or newer"),
            "upgrade the cluster",
        ),
        None => findings.warning(
            format!("the API server reports {name}, which has no minor version"),
            format!("make sure that it is Kubernetes 1.{MINOR} or newer"),
        ),
    }
}

/// Judges how far the clock of this machine is ahead. The time of the server has whole seconds.
fn judge_clock(ahead: SignedDuration, findings: &mut Findings) {
    let (amount, side) = (ahead.abs(), if ahead.is_negative() { "behind" } else { "ahead of" });
    let text = format!("the clock of this machine is {} s {side} that of the API server", amount.as_secs());
    let remedy =
        "synchronise the clocks with NTP: tokens, certificates, windows and expirations depend on them";
    if amount > WRONG {
        findings.error(text, remedy);
    } else if amount > NOTED {
        findings.warning(text, remedy);
    } else {
        findings.ok("the clocks of this machine and of the API server agree");
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::super::finding::Verdict;
    use super::*;

    #[test]
    fn versions_and_clocks_are_judged() {
        let judged = |version: Value| {
            let mut findings = Findings::of("cluster");
            judge_version(&version, &mut findings);
            findings.found.remove(0).result
        };
        assert_eq!(judged(json!({"gitVersion": "v1.36.0", "minor": "36"})), Verdict::Ok);
        assert_eq!(judged(json!({"gitVersion": "v1.30.9-gke.1", "minor": "30+"})), Verdict::Ok);
        assert_eq!(judged(json!({"gitVersion": "v1.29.3", "minor": "29"})), Verdict::Error);
        assert_eq!(judged(json!({})), Verdict::Warning);
        let clock = |seconds| {
            let mut findings = Findings::of("cluster");
            judge_clock(SignedDuration::from_secs(seconds), &mut findings);
            let finding = findings.found.remove(0);
            (finding.result, finding.message)
        };
        assert_eq!(clock(1).0, Verdict::Ok);
        assert_eq!(clock(-4).0, Verdict::Ok);
        assert!(clock(7).0 == Verdict::Warning && clock(7).1.contains("7 s ahead of"));
        assert!(clock(-3600).0 == Verdict::Error && clock(-3600).1.contains("3600 s behind that"));
    }
}
