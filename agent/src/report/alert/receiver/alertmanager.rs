//! Alertmanager, by its API v2 (`POST /api/v2/alerts`). Pure.
//!
//! Alertmanager identifies alerts by their labels, so that no label changes during an alert; the rest are annotations. A firing
//! alert is sent repeatedly with an end in the future: it ends by itself if the agent stops sending.

use std::collections::BTreeMap;
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use serde::Serialize;

use super::super::notice::{Notice, Status};
use super::endpoint::{Endpoint, Path};
use super::text::{self, Markup};
use super::{Before, DeliveryError, Kind, Message, TargetError, json};
use crate::api;
use crate::http::Guard;

const NAME: &str = "alertmanager";

/// How often a firing alert is sent.
const REPEAT: Duration = Duration::from_mins(1);
/// How long an alert fires that is not sent again.
const LIFE: SignedDuration = SignedDuration::from_mins(5);
/// Alertmanager waits for this time (`group_wait`, by default 30 s) before it notifies, and drops alerts that end meanwhile.
const KEEP: Duration = Duration::from_secs(35);
/// Bytes of the description.
const DESCRIPTION: usize = 4_000;

/// An Alertmanager.
pub struct Alertmanager(Endpoint);

/// One alert, as the API has it.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Alert {
    labels: BTreeMap<&'static str, String>,
    annotations: BTreeMap<&'static str, String>,
    starts_at: Timestamp,
    ends_at: Timestamp,
}

impl Alertmanager {
    pub fn new(spec: &api::Alertmanager, guard: &Guard) -> Result<Self, TargetError> {
        let endpoint = Endpoint::parse(NAME, &spec.url, Path::Public, guard)?;
        Ok(Self(endpoint.below("api/v2/alerts")))
    }
}

impl Kind for Alertmanager {
    fn name(&self) -> &'static str {
        NAME
    }

    fn message(&self, notice: &Notice, before: Before<'_>) -> Result<Option<Message>, DeliveryError> {
        let body = json(&[alert(notice, before.now)])?;
        Ok(Some(Message { endpoint: self.0.clone(), headers: self.0.headers(), body }))
    }

    fn repeat(&self) -> Option<Duration> {
        Some(REPEAT)
    }

    fn keep(&self) -> Duration {
        KEEP
    }
}

fn alert(notice: &Notice, now: Timestamp) -> Alert {
    Alert {
        labels: labels(notice),
        annotations: annotations(notice),
        starts_at: notice.starts_at,
        ends_at: ends_at(notice, now),
    }
}

/// Not before the start, which is refused. An event without an end that is sent late ends in the future all the same.
fn ends_at(notice: &Notice, now: Timestamp) -> Timestamp {
    let end = match notice.status {
        Status::Resolved => notice.ends_at.unwrap_or(now),
        Status::Firing => now.max(notice.starts_at).saturating_add(LIFE).unwrap_or(Timestamp::MAX),
    };
    end.max(notice.starts_at)
}

fn labels(notice: &Notice) -> BTreeMap<&'static str, String> {
    [
        ("alertname", format!("Holdfast{}", text::name(notice.event))),
        ("namespace", notice.object.namespace.clone()),
        ("sync", notice.object.key()),
        ("cluster", notice.cluster.clone()),
        ("severity", notice.severity().word().to_owned()),
    ]
    .into()
}

fn annotations(notice: &Notice) -> BTreeMap<&'static str, String> {
    let resolved = if notice.status == Status::Resolved { "Resolved: " } else { "" };
    let summary = format!("{resolved}{}", text::sentence(&notice.summary));
    let all = [
        ("summary", Some(summary)),
        ("description", Some(description(notice))),
        ("revision", Some(text::line(&notice.revision))),
        ("commit", text::commit(notice)),
        ("command", notice.command.as_deref().map(text::sentence)),
    ];
    let said = all.into_iter().filter_map(|(name, value)| Some((name, value?)));
    said.filter(|(_, value)| !value.is_empty()).collect()
}

fn description(notice: &Notice) -> String {
    let bare = Markup { plain: text::line, code: text::line, strong: text::line };
    let end = text::end(notice);
    let room = DESCRIPTION - end.as_ref().map_or(0, |end| end.len() + 1);
    end.into_iter().chain(text::objects(notice, bare, room)).collect::<Vec<_>>().join("\n")
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "tests")]
mod tests {
    use serde_json::{Value, json};

    use super::super::samples::{applied, at, drifted, huge, resolved};
    use super::*;

    fn sent(notice: &Notice, update: bool, now: Timestamp) -> Value {
        let spec = api::Alertmanager { url: "http://alertmanager:9093".to_owned() };
        let target = Alertmanager::new(&spec, &Guard::default()).ok().unwrap();
        let message = target.message(notice, Before { reference: None, update, now }).unwrap().unwrap();
        let alerts: Value = serde_json::from_slice(&message.body).unwrap();
        assert_eq!(alerts.as_array().unwrap().len(), 1);
        alerts[0].clone()
    }

    #[test]
    fn the_url_may_have_a_prefix_and_a_slash() {
        for (url, expected) in [
            ("http://a:9093", "http://a:9093/api/v2/alerts"),
            ("http://a:9093/", "http://a:9093/api/v2/alerts"),
            ("https://alice:pw@a/am/x/?tenant=b#c", "https://a/am/x/api/v2/alerts?tenant=b"),
        ] {
            let target = Alertmanager::new(&api::Alertmanager { url: url.to_owned() }, &Guard::default())
                .ok()
                .unwrap();
            assert_eq!(target.0.url.as_str(), expected);
        }
    }

    #[test]
    fn a_firing_alert_says_what_where_and_how_urgent() {
        let alert = sent(&drifted(), false, at(60));
        let labels = json!({
            "alertname": "HoldfastDrifted", "namespace": "team-a", "sync": "shop", "cluster": "0b7f7a52",
            "severity": "warning",
        });
        assert_eq!(alert["labels"], labels);
        assert_eq!(alert["startsAt"], "2026-01-01T00:00:00Z");
        assert_eq!(alert["endsAt"], "2026-01-01T00:06:00Z");
        let annotations = &alert["annotations"];
        assert_eq!(annotations["summary"], "2 objects differ from git <!channel>");
        assert_eq!(annotations["revision"], drifted().revision);
        assert_eq!(annotations["commit"], "Alice Smith <alice@example.com>: Three replicas & more");
        assert_eq!(annotations["command"], "holdfast status -n team-a shop");
        let description = annotations["description"].as_str().unwrap();
        assert!(
            description.contains("\n/spec/replicas: 3 → 5 by the manager kubectl (Update of scale, "),
            "{description}"
        );
    }

    #[test]
    fn no_label_changes_while_an_alert_goes_on_and_ends() {
        let mut later = drifted();
        later.objects.clear();
        later.summary = "other".to_owned();
        let labels = sent(&drifted(), false, at(0))["labels"].clone();
        assert_eq!(sent(&later, true, at(60))["labels"], labels);
        assert_eq!(sent(&resolved(later), true, at(800))["labels"], labels);
    }

    #[test]
    fn a_resolved_alert_says_when_it_ended() {
        let alert = sent(&resolved(drifted()), true, at(800));
        assert_eq!(alert["endsAt"], "2026-01-01T00:12:03Z");
        assert_eq!(alert["annotations"]["summary"], "Resolved: 2 objects differ from git <!channel>");
        let description = alert["annotations"]["description"].as_str().unwrap();
        assert!(description.starts_with("Resolved at 2026-01-01T00:12:03Z after 12m 3s.\nDeployment"));
    }

    #[test]
    fn what_has_no_end_lives_for_five_minutes_also_when_it_is_told_late() {
        assert_eq!(sent(&applied(), false, at(0))["endsAt"], "2026-01-01T00:05:00Z");
        assert_eq!(sent(&applied(), false, at(3600))["endsAt"], "2026-01-01T01:05:00Z");
        assert_eq!(sent(&applied(), false, at(0))["annotations"].get("description"), None);
    }

    #[test]
    fn an_alert_never_ends_before_it_begins() {
        let notice = Notice { starts_at: at(900), ..resolved(drifted()) };
        assert_eq!(sent(&notice, true, at(0))["endsAt"], sent(&notice, true, at(0))["startsAt"]);
        let notice = Notice { starts_at: at(900), ..drifted() };
        assert_eq!(sent(&notice, true, at(0))["endsAt"], "2026-01-01T00:20:00Z");
    }

    #[test]
    fn a_huge_notice_is_cut() {
        for notice in [huge(), resolved(huge())] {
            let alert = sent(&notice, false, at(0));
            for (name, value) in alert["annotations"].as_object().unwrap() {
                assert!(value.as_str().unwrap().len() <= DESCRIPTION, "{name}");
            }
            assert!(alert["annotations"]["description"].as_str().unwrap().ends_with(" more objects"));
        }
    }
}
