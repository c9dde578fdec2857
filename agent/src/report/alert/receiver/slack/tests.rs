//! Tests of messages to Slack, and of its answers.
#![expect(clippy::unwrap_used, reason = "tests")]

use super::super::samples::{applied, at, drifted, huge, resolved};
use super::*;

const HOOK: [(&str, &str); 1] = [("url", "https://hooks.slack.com/services/T0/B0/sixteen-letters-\n")];
const APP: [(&str, &str); 2] = [("token", "xoxb-secret"), ("channel", "alerts")];

fn slack(keys: &[(&str, &str)]) -> Result<Slack, TargetError> {
    let data = keys.iter().map(|(key, value)| ((*key).to_owned(), value.as_bytes().to_vec())).collect();
    Slack::new(Some(&data), &Guard::default())
}

fn request(
    keys: &[(&str, &str)],
    notice: &Notice,
    reference: Option<&str>,
    update: bool,
) -> Option<(Message, Value)> {
    let target = slack(keys).ok().unwrap();
    let message = target.message(notice, Before { reference, update, now: at(0) }).unwrap()?;
    let body = serde_json::from_slice(&message.body).unwrap();
    Some((message, body))
}

fn texts(body: &Value) -> Vec<String> {
    let blocks = body["blocks"].as_array().unwrap();
    blocks.iter().map(|block| block["text"]["text"].as_str().unwrap().to_owned()).collect()
}

#[test]
fn a_webhook_is_told_the_beginning_the_changes_and_the_end() {
    let (message, body) = request(&HOOK, &drifted(), None, false).unwrap();
    assert_eq!(message.endpoint.url.as_str(), "https://hooks.slack.com/services/T0/B0/sixteen-letters-");
    assert!(!message.headers.contains_key("authorization"));
    assert_eq!(texts(&body)[0], "🟠 Drifted: team-a/shop");
    let (_, body) = request(&HOOK, &drifted(), None, true).unwrap();
    assert_eq!(texts(&body)[0], "🟠 Update: Drifted: team-a/shop");
    let (_, body) = request(&HOOK, &resolved(drifted()), None, true).unwrap();
    assert_eq!(texts(&body)[0], "✅ Resolved: Drifted: team-a/shop");
    assert!(texts(&body)[1].ends_with("\nResolved at 2026-01-01T00:12:03Z after 12m 3s."));
    let (_, body) = request(&HOOK, &applied(), None, false).unwrap();
    assert_eq!(texts(&body)[0], "🔵 Applied: team-a/shop");
}

#[test]
fn an_app_posts_once_and_edits_that_message() {
    let (message, body) = request(&APP, &drifted(), None, false).unwrap();
    assert_eq!(message.endpoint.url.as_str(), "https://slack.com/api/chat.postMessage");
    assert_eq!(message.headers["authorization"], "Bearer xoxb-secret");
    assert_eq!((&body["channel"], &body["parse"]), (&json!("alerts"), &json!("none")));
    for (notice, title) in
        [(drifted(), "🟠 Drifted: team-a/shop"), (resolved(drifted()), "✅ Resolved: Drifted: team-a/shop")]
    {
        let (message, body) = request(&APP, &notice, Some("C012/1503435956.000247"), true).unwrap();
        assert_eq!(message.endpoint.url.as_str(), "https://slack.com/api/chat.update");
        assert_eq!((&body["channel"], &body["ts"]), (&json!("C012"), &json!("1503435956.000247")));
        assert_eq!(texts(&body)[0], title);
    }
}

#[test]
fn the_api_may_be_elsewhere() {
    let keys = [APP[0], APP[1], ("url", "http://slack.internal:8080/api/")];
    let (message, _) = request(&keys, &drifted(), None, false).unwrap();
    assert_eq!(message.endpoint.url.as_str(), "http://slack.internal:8080/api/chat.postMessage");
}

#[test]
fn a_message_says_what_changed_and_values_cannot_mention_users() {
    let (_, body) = request(&APP, &drifted(), None, false).unwrap();
    let expected = [
        "🟠 Drifted: team-a/shop",
        "2 objects differ from git &lt;!channel&gt;",
        "*Deployment team-a/web*: corrected (`shop/web.yaml:7`)\n\
         `/spec/replicas`: `3` → `5` by the manager `kubectl` (`Update` of `scale`, `2026-01-01T00:00:00Z`)\n\
         `/spec/paused`: nothing → `true` by `alice@example.com` via the manager `edit`, a field that is not in Git\n\
         `kubectl wrote it 3 times`\n\
         to ignore it, add to spec.drift.ignore: `{target: {kind: Deployment, name: web}, paths: [\"/spec/replicas\"]}`\n\
         *ClusterRole &lt;!channel&gt;*: was deleted",
        "Revision `main@sha1:1111111111111111111111111111111111111111` \
         `Alice Smith &lt;alice@example.com&gt;: Three replicas &amp; more`\n\
         Next: `holdfast status -n team-a shop`",
    ];
    assert_eq!(texts(&body), expected);
    assert_eq!(body["text"], "🟠 Drifted: team-a/shop: 2 objects differ from git &lt;!channel&gt;");
    for block in &body["blocks"].as_array().unwrap()[2..] {
        assert_eq!(block["text"]["verbatim"], true);
    }
}

#[test]
fn a_value_can_mark_up_nothing_and_hide_nothing() {
    let mut notice = drifted();
    notice.summary = "*all is well* :white_check_mark:\u{202e}".to_owned();
    notice.objects[0].note = Some("_a_ ~b~ `c` :ok:\u{200b}".to_owned());
    let (_, body) = request(&APP, &notice, None, false).unwrap();
    assert_eq!(body["blocks"][1]["text"]["type"], "plain_text");
    assert_eq!(texts(&body)[1], "*all is well* :white_check_mark:\\u{202e}");
    assert!(texts(&body)[2].contains("\n`_a_ ~b~ 'c' :ok:\\u{200b}`\n"), "{}", texts(&body)[2]);
    assert_eq!(body["mrkdwn"], false);
}

#[test]
fn a_huge_notice_stays_within_the_limits() {
    for notice in [huge(), resolved(huge())] {
        for keys in [&HOOK[..], &APP] {
            let (_, body) = request(keys, &notice, None, false).unwrap();
            let texts = texts(&body);
            assert!(texts.len() <= 50, "{} blocks", texts.len());
            assert!(texts[0].chars().count() <= 150);
            for text in &texts[1..] {
                assert!(!text.is_empty() && text.chars().count() <= 3_000, "{}", text.len());
                assert!(!text.contains("<!") && text.matches('`').count() % 2 == 0, "{text}");
            }
            assert!(texts.iter().map(String::len).sum::<usize>() < 13_000);
            assert!(body["text"].as_str().unwrap().chars().count() <= 3_000);
            assert!(texts.iter().any(|text| text.ends_with(" more objects")));
        }
    }
}

#[test]
fn answers_name_the_message_or_the_error() {
    for (answer, expected) in [
        (r#"{"ok":true,"channel":"C012","ts":"1503.000247","message":{}}"#, Ok(Some("C012/1503.000247"))),
        (r#"{"ok":true}"#, Ok(None)),
        (r#"{"ok":false,"error":"channel_not_found"}"#, Err(("Denied", "check the key channel"))),
        (r#"{"ok":false,"error":"invalid_auth"}"#, Err(("Denied", "invalid_auth; put a valid token"))),
        (r#"{"ok":false,"error":"ratelimited"}"#, Err(("Denied", "the error ratelimited"))),
        (r#"{"ok":false,"error":"bad xoxb-secret"}"#, Err(("Denied", "not one of Slack's"))),
        (r#"{"ok":false,"error":"invalid_blocks"}"#, Err(("ContentRefused", "invalid_blocks"))),
        (r#"{"ok":false}"#, Err(("Denied", "with the error"))),
        ("<html>xoxb-secret", Err(("NotUnderstood", "check the URL"))),
    ] {
        let found = slack(&APP).ok().unwrap().answered(answer.as_bytes());
        match (found, expected) {
            (Ok(found), Ok(expected)) => assert_eq!(found.as_deref(), expected),
            (Err(error), Err((name, part))) => {
                assert_eq!(error.name(), name, "{answer}");
                assert!(error.to_string().contains(part), "{error}");
                assert!(error.to_string().starts_with("slack https://slack.com/…"), "{error}");
            }
            (found, expected) => unreachable!("{answer}: {found:?}, not {expected:?}"),
        }
    }
    assert_eq!(slack(&HOOK).ok().unwrap().answered(b"ok").unwrap(), None);
}

#[test]
fn a_secret_needs_a_url_or_a_token_and_a_channel() {
    assert!(matches!(slack(&[]), Err(TargetError::NoKey { .. })));
    assert!(matches!(slack(&APP[..1]), Err(TargetError::NoKey { .. })));
    assert!(matches!(slack(&[("channel", "a")]), Err(TargetError::NoKey { .. })));
    assert!(matches!(Slack::new(None, &Guard::default()), Err(TargetError::NoSecret { .. })));
    let error = slack(&[("token", "xoxb\nsecret"), APP[1]]).err().unwrap().to_string();
    assert!(error.contains("token") && !error.contains("secret\n"), "{error}");
    let error = slack(&[("url", "hooks.slack.com/services/T0/B0/x")]).err().unwrap().to_string();
    assert!(!error.contains("services"), "{error}");
}
