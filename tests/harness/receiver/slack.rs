//! What Slack takes and how it refuses: incoming webhooks, `chat.postMessage` and `chat.update`, with the documented
//! limits of Block Kit (docs.slack.dev/reference/block-kit/blocks). Knows only the blocks that a notice is made of. Pure.

use hyper::Method;
use serde_json::{Value, json};

use super::{Answer, Asked, header};

pub(super) const POST: &str = "/api/chat.postMessage";
const UPDATE: &str = "/api/chat.update";
/// Where an incoming webhook is.
const HOOKS: &str = "/services/";

/// The id of the only channel. A message is posted to a name or an id, and updated by the id alone.
const CHANNEL: &str = "C1";

/// Longer messages are cut or refused.
const MESSAGE: usize = 40_000;
/// Text of all blocks, for the API alone. Not documented: between 9,600 characters, which were taken, and 11,300, which
/// were refused with `msg_blocks_too_long` (slackapi/bolt-js, issues 2509 and 2867).
const BLOCKS_TEXT: usize = 9_600;
const BLOCKS: usize = 50;
const BLOCK_ID: usize = 255;
const HEADER: usize = 150;
const TEXT: usize = 3_000;
const FIELDS: usize = 10;
const FIELD: usize = 2_000;
const CONTEXT: usize = 10;
const ACTIONS: usize = 25;
const BUTTON: usize = 75;
const URL: usize = 3_000;

/// Why a message is refused: Slack's word for it, and what is wrong at which place.
#[derive(Debug, PartialEq, Eq)]
struct Refusal {
    error: &'static str,
    faults: Vec<String>,
}

impl Refusal {
    fn of(error: &'static str) -> Self {
        Self { error, faults: Vec::new() }
    }
}

/// Answers as Slack does, after so many messages were posted through the API.
pub(super) fn answer(asked: &Asked, token: &str, posted: usize) -> Answer {
    let path = asked.path.as_str();
    let refuse = |refusal: &Refusal| {
        let messages: Vec<String> = refusal.faults.iter().map(|fault| format!("[ERROR] {fault}")).collect();
        let body = json!({"ok": false, "error": refusal.error, "errors": refusal.faults, "response_metadata": {"messages": messages}});
        Answer { accepted: false, ..Answer::new(200, body.to_string()) }
    };
    match path {
        _ if asked.method != Method::POST => Answer::new(405, "method_not_allowed"),
        POST | UPDATE => match call(asked, token, posted) {
            Ok(ts) => Answer::new(200, json!({"ok": true, "channel": CHANNEL, "ts": ts}).to_string()),
            Err(refusal) => refuse(&refusal),
        },
        _ if path.len() > HOOKS.len() && path.starts_with(HOOKS) => match hook(asked) {
            Ok(()) => Answer::new(200, "ok"),
            Err(refusal) => Answer::new(400, refusal.error),
        },
        _ => Answer::new(404, "no_service"),
    }
}

fn hook(asked: &Asked) -> Result<(), Refusal> {
    let message: Value = serde_json::from_slice(&asked.body).map_err(|_| Refusal::of("invalid_payload"))?;
    check(&message).map(|_| ())
}

/// The `ts` of the message that was posted or updated.
fn call(asked: &Asked, token: &str, posted: usize) -> Result<String, Refusal> {
    let sent = header(&asked.headers, "authorization");
    match sent.strip_prefix("Bearer ") {
        None => return Err(Refusal::of("not_authed")),
        Some(sent) if sent != token => return Err(Refusal::of("invalid_auth")),
        Some(_) => {}
    }
    if !header(&asked.headers, "content-type").starts_with("application/json") {
        return Err(Refusal::of("invalid_post_type"));
    }
    let message: Value = serde_json::from_slice(&asked.body).map_err(|_| Refusal::of("invalid_json"))?;
    let channel = message["channel"].as_str().unwrap_or_default();
    let update = asked.path == UPDATE;
    if channel.is_empty() || (update && channel != CHANNEL) {
        return Err(Refusal::of("channel_not_found"));
    }
    if check(&message)? > BLOCKS_TEXT {
        return Err(Refusal::of("msg_blocks_too_long"));
    }
    if !update {
        return Ok(ts(posted + 1));
    }
    let of = message["ts"].as_str().unwrap_or_default();
    let found = (1..=posted).map(ts).find(|ts| ts == of);
    found.ok_or_else(|| Refusal::of("message_not_found"))
}

fn ts(number: usize) -> String {
    format!("1.{number:06}")
}

/// Checks a message, and says how much text its blocks have.
fn check(message: &Value) -> Result<usize, Refusal> {
    let text = message["text"].as_str().unwrap_or_default();
    let blocks = match &message["blocks"] {
        Value::Null => &[],
        Value::Array(blocks) => blocks.as_slice(),
        _ => return Err(Refusal::of("invalid_blocks_format")),
    };
    if text.is_empty() && blocks.is_empty() {
        return Err(Refusal::of("no_text"));
    }
    let mut checker = Checker::default();
    checker.count("/blocks", blocks, 0, BLOCKS);
    for (number, block) in blocks.iter().enumerate() {
        checker.block(&format!("/blocks/{number}"), block);
    }
    let Checker { faults, characters } = checker;
    if !faults.is_empty() {
        return Err(Refusal { error: "invalid_blocks", faults });
    }
    if text.chars().count() + characters > MESSAGE {
        return Err(Refusal::of("msg_too_long"));
    }
    Ok(characters)
}

/// Gathers what is wrong, and counts the text.
#[derive(Default)]
struct Checker {
    faults: Vec<String>,
    characters: usize,
}

impl Checker {
    fn block(&mut self, at: &str, block: &Value) {
        let list = |name: &str| block[name].as_array().cloned().unwrap_or_default();
        self.length(&format!("{at}/block_id"), &block["block_id"], 1, BLOCK_ID, false);
        match block["type"].as_str().unwrap_or_default() {
            "divider" => {}
            "header" => self.text(&format!("{at}/text"), &block["text"], &["plain_text"], HEADER),
            "section" => self.section(at, block, &list("fields")),
            "image" => self.image(at, block),
            "context" => {
                let elements = list("elements");
                self.count(&format!("{at}/elements"), &elements, 1, CONTEXT);
                for (number, element) in elements.iter().enumerate() {
                    let at = format!("{at}/elements/{number}");
                    if element["type"] == "image" {
                        self.image(&at, element);
                    } else {
                        self.text(&at, element, &["mrkdwn", "plain_text"], TEXT);
                    }
                }
            }
            "actions" => {
                let elements = list("elements");
                self.count(&format!("{at}/elements"), &elements, 1, ACTIONS);
                for (number, element) in elements.iter().enumerate() {
                    self.button(&format!("{at}/elements/{number}"), element);
                }
            }
            other => self.faults.push(format!("{at}: unsupported type: {other}")),
        }
    }

    fn section(&mut self, at: &str, block: &Value, fields: &[Value]) {
        if block["fields"].is_null() || !block["text"].is_null() {
            self.text(&format!("{at}/text"), &block["text"], &["mrkdwn", "plain_text"], TEXT);
        }
        if !block["fields"].is_null() {
            self.count(&format!("{at}/fields"), fields, 1, FIELDS);
        }
        for (number, field) in fields.iter().enumerate() {
            self.text(&format!("{at}/fields/{number}"), field, &["mrkdwn", "plain_text"], FIELD);
        }
        if !block["accessory"].is_null() {
            self.button(&format!("{at}/accessory"), &block["accessory"]);
        }
    }

    fn button(&mut self, at: &str, element: &Value) {
        if element["type"] != "button" {
            self.faults.push(format!("{at}: unsupported type: {}", element["type"]));
        }
        self.text(&format!("{at}/text"), &element["text"], &["plain_text"], BUTTON);
        self.length(&format!("{at}/url"), &element["url"], 1, URL, false);
    }

    fn image(&mut self, at: &str, element: &Value) {
        self.length(&format!("{at}/image_url"), &element["image_url"], 1, URL, true);
        self.length(&format!("{at}/alt_text"), &element["alt_text"], 1, FIELD, true);
    }

    /// A text object.
    fn text(&mut self, at: &str, text: &Value, kinds: &[&str], most: usize) {
        if !kinds.iter().any(|kind| text["type"] == *kind) {
            self.faults.push(format!("{at}/type: must be one of {}", kinds.join(", ")));
        }
        self.length(&format!("{at}/text"), &text["text"], 1, most, true);
        self.characters += text["text"].as_str().unwrap_or_default().chars().count();
    }

    fn length(&mut self, at: &str, value: &Value, least: usize, most: usize, required: bool) {
        match value.as_str().map(|text| text.chars().count()) {
            Some(length) if (least..=most).contains(&length) => {}
            Some(length) => self.faults.push(format!("{at}: {length} characters, not {least} to {most}")),
            None if value.is_null() && !required => {}
            None => self.faults.push(format!("{at}: must be a string")),
        }
    }

    fn count(&mut self, at: &str, list: &[Value], least: usize, most: usize) {
        if !(least..=most).contains(&list.len()) {
            self.faults.push(format!("{at}: {} items, not {least} to {most}", list.len()));
        }
    }
}

#[cfg(test)]
mod tests {
    use hyper::HeaderMap;

    use super::*;

    fn mrkdwn(length: usize) -> Value {
        json!({"type": "mrkdwn", "text": "ü".repeat(length)})
    }

    fn section(length: usize) -> Value {
        json!({"type": "section", "text": mrkdwn(length)})
    }

    #[test]
    fn the_documented_limits_hold() {
        let check = |block: Value, fault: Option<&str>| {
            let message = json!({"blocks": [block.clone()]});
            let faults = super::check(&message).err().map(|refusal| refusal.faults).unwrap_or_default();
            assert_eq!(faults, Vec::from_iter(fault.map(ToOwned::to_owned)), "{block}");
        };
        let plain = |length| json!({"type": "plain_text", "text": "x".repeat(length)});
        check(section(3000), None);
        check(section(3001), Some("/blocks/0/text/text: 3001 characters, not 1 to 3000"));
        check(section(0), Some("/blocks/0/text/text: 0 characters, not 1 to 3000"));
        check(json!({"type": "section", "fields": vec![mrkdwn(2000); 10]}), None);
        check(
            json!({"type": "section", "fields": [mrkdwn(2001)]}),
            Some("/blocks/0/fields/0/text: 2001 characters, not 1 to 2000"),
        );
        check(
            json!({"type": "section", "fields": vec![mrkdwn(1); 11]}),
            Some("/blocks/0/fields: 11 items, not 1 to 10"),
        );
        check(json!({"type": "section", "fields": []}), Some("/blocks/0/fields: 0 items, not 1 to 10"));
        check(json!({"type": "header", "text": plain(150)}), None);
        check(
            json!({"type": "header", "text": plain(151)}),
            Some("/blocks/0/text/text: 151 characters, not 1 to 150"),
        );
        check(
            json!({"type": "header", "text": mrkdwn(1)}),
            Some("/blocks/0/text/type: must be one of plain_text"),
        );
        check(json!({"type": "context", "elements": vec![mrkdwn(1); 10]}), None);
        check(
            json!({"type": "context", "elements": vec![mrkdwn(1); 11]}),
            Some("/blocks/0/elements: 11 items, not 1 to 10"),
        );
        check(json!({"type": "context"}), Some("/blocks/0/elements: 0 items, not 1 to 10"));
        check(json!({"type": "divider", "block_id": "x".repeat(255)}), None);
        check(
            json!({"type": "divider", "block_id": "x".repeat(256)}),
            Some("/blocks/0/block_id: 256 characters, not 1 to 255"),
        );
        check(json!({"type": "actions", "elements": [{"type": "button", "text": plain(75)}]}), None);
        check(
            json!({"type": "actions", "elements": [{"type": "button", "text": plain(76)}]}),
            Some("/blocks/0/elements/0/text/text: 76 characters, not 1 to 75"),
        );
        check(
            json!({"type": "image", "image_url": "https://example.com/a.png"}),
            Some("/blocks/0/alt_text: must be a string"),
        );
        check(json!({"type": "carousel"}), Some("/blocks/0: unsupported type: carousel"));
    }

    #[test]
    fn a_message_has_something_and_not_too_much() {
        let check = |message: Value, error: Option<&str>| {
            assert_eq!(super::check(&message).err().map(|refusal| refusal.error), error, "{message}");
        };
        check(json!({"text": "drift"}), None);
        check(json!({"text": "x".repeat(40_000)}), None);
        check(json!({"text": "x".repeat(40_001)}), Some("msg_too_long"));
        check(json!({"text": "x".repeat(39_999), "blocks": [section(2)]}), Some("msg_too_long"));
        check(json!({}), Some("no_text"));
        check(json!({"blocks": []}), Some("no_text"));
        check(json!({"blocks": "x"}), Some("invalid_blocks_format"));
        check(json!({"blocks": vec![section(1); 50]}), None);
        check(json!({"blocks": vec![section(1); 51]}), Some("invalid_blocks"));
    }

    #[test]
    fn the_api_refuses_in_an_answer_that_is_a_success() {
        let check = |path: &str, authorization: &str, message: &Value, expected: &str| {
            let mut headers = HeaderMap::new();
            for (name, value) in [("authorization", authorization), ("content-type", "application/json")] {
                headers.insert(name, value.parse().expect("a header"));
            }
            let asked = Asked {
                method: Method::POST,
                path: path.to_owned(),
                headers,
                body: message.to_string().into(),
            };
            let answer = answer(&asked, "xoxb-1", 1);
            let body: Value = serde_json::from_str(&answer.body).unwrap_or_default();
            let said = body["error"].as_str().or(body["ts"].as_str()).unwrap_or(&answer.body);
            assert_eq!(said, expected, "{path} {authorization} {message}");
            assert_eq!(answer.accepted, body["ok"] == true || answer.body == "ok");
        };
        let good = json!({"channel": "#ops", "text": "drift"});
        check(POST, "Bearer xoxb-1", &good, "1.000002");
        check(POST, "Bearer xoxb-2", &good, "invalid_auth");
        check(POST, "xoxb-1", &good, "not_authed");
        check(POST, "Bearer xoxb-1", &json!({"text": "drift"}), "channel_not_found");
        check(POST, "Bearer xoxb-1", &json!({"channel": "#ops", "blocks": [section(0)]}), "invalid_blocks");
        check(
            POST,
            "Bearer xoxb-1",
            &json!({"channel": "#ops", "blocks": vec![section(3000); 4]}),
            "msg_blocks_too_long",
        );
        check(
            UPDATE,
            "Bearer xoxb-1",
            &json!({"channel": "C1", "ts": "1.000001", "text": "over"}),
            "1.000001",
        );
        check(
            UPDATE,
            "Bearer xoxb-1",
            &json!({"channel": "C1", "ts": "1.000002", "text": "over"}),
            "message_not_found",
        );
        check(
            UPDATE,
            "Bearer xoxb-1",
            &json!({"channel": "#ops", "ts": "1.000001", "text": "over"}),
            "channel_not_found",
        );
        check("/services/T/B/x", "", &json!({"blocks": vec![section(3000); 4]}), "ok");
        check("/services/T/B/x", "", &json!({"blocks": [section(0)]}), "invalid_blocks");
        check("/services/", "", &good, "no_service");
    }
}
