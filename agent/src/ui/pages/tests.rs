//! The pages as files in `cases`, which `UPDATE_CASES=1` writes, and hostile texts in every field. I/O: disk.

use std::collections::BTreeSet;
use std::path::Path;
use std::sync::{Arc, LazyLock};

use maud::Markup;
use serde_json::{Value, json};

use super::Frame;
use super::samples::{self, approval, drifting, frame};
use crate::api::{Approval, ImageUpdate, Sync};
use crate::ui::home::home;
use crate::ui::images::images;
use crate::ui::objects::{Line, Objects};
use crate::ui::query::Query;
use crate::ui::rights::May;
use crate::ui::sync::Page;
use crate::ui::tests::{sync, with_plan};

/// What a text must never become.
const HOSTILE: [&str; 10] = [
    "<script>alert(1)</script>",
    "\"><img src=x onerror=alert(1)>",
    "' onmouseover='alert(1)",
    "</title><script>alert(1)</script>",
    "</code></main></body><svg/onload=alert(1)>",
    "javascript:alert(1)",
    "{{constructor.constructor('alert(1)')()}}",
    "\u{202e}gpj.exe\u{200b}",
    "a\r\nSet-Cookie: x=y\u{0}\u{1b}[31m",
    "&lt;script&gt;&#x3c;script",
];

fn objects() -> Objects {
    let line = |name: &str, health: &str, message: &str| Line {
        api_version: "apps/v1".to_owned(),
        kind: "Deployment".to_owned(),
        namespace: "shop".to_owned(),
        name: name.to_owned(),
        wave: 0,
        health: health.to_owned(),
        message: message.to_owned(),
    };
    Objects {
        listed: vec![line("web", "InProgress", "2 of 3 replicas are available"), line("db", "Current", "")],
        before: 0,
        more: 4,
    }
}

fn update() -> ImageUpdate {
    serde_json::from_value(json!({
        "apiVersion": "holdfast.dev/v1alpha1", "kind": "ImageUpdate", "metadata": {"name": "shop", "namespace": "team-a"},
        "spec": {"git": {"url": "https://git.example.com/org/config"}, "images": []},
        "status": {
            "images": [{"name": "web", "image": "registry.example.com/web:1.2.0", "tag": "1.2.0", "previous": "1.1.0", "since": "2026-01-01T08:00:00Z",
                "banned": [{"tag": "1.1.9", "file": "web.yaml", "path": "0/spec/image", "value": "1.1.8", "commit": "abc"}]}],
            "commit": {"sha": "abc", "branch": "main", "at": "2026-01-01T08:00:00Z"},
            "pullRequest": {"number": 7, "url": "https://git.example.com/org/config/pulls/7"},
            "conditions": [{"type": "Ready", "status": "False", "reason": "PushRejected", "message": "the branch is protected", "lastTransitionTime": "2026-01-01T08:00:00Z"}],
        },
    }))
    .expect("an ImageUpdate")
}

fn page(sync: Sync, may: bool) -> Page {
    let may = May { decide: may, change: may };
    Page::new(Arc::new(sync), vec![Arc::new(approval())], Some(objects()), may, frame().now)
}

fn waiting() -> Sync {
    let waiting = [("Ready", "False", "AwaitingApproval"), ("AwaitingApproval", "True", "AwaitingApproval")];
    with_plan(sync("team-a", "shop", &waiting))
}

fn pages() -> Vec<(&'static str, Markup)> {
    let (frame, now) = (frame(), frame().now);
    let all = vec![Arc::new(drifting()), Arc::new(waiting())];
    let quiet = vec![Arc::new(sync("team-a", "quiet", &[("Ready", "True", "InSync")]))];
    let reader = Frame { visitor: String::new(), has_session: false, silent: Some(200), ..frame.clone() };
    vec![
        ("home", super::home(&home(all.clone(), &[Arc::new(update())], &[], Query::default(), now), &frame)),
        ("quiet", super::home(&home(quiet, &[], &[], Query::parse("q=quiet"), now), &reader)),
        ("waiting", super::sync(&page(waiting(), true), &frame)),
        ("reader", super::sync(&page(waiting(), false), &reader)),
        ("drifting", super::sync(&page(drifting(), true), &frame)),
        ("drift", super::drift(&all[..1], &frame)),
        (
            "images",
            super::images(&images(vec![Arc::new(update())], BTreeSet::from(["team-a".to_owned()])), &frame),
        ),
        ("object", super::object(&samples::object(&ToOwned::to_owned, &drifting()), &frame)),
        ("log", super::log(&samples::log(&ToOwned::to_owned), &frame)),
        ("plan", super::plan(&samples::plan(&ToOwned::to_owned, &waiting()), &frame)),
        ("pulls", super::pulls(&samples::pulls(&ToOwned::to_owned), &frame)),
        ("graph", super::graph(&samples::graph(&ToOwned::to_owned), &frame)),
        ("events", super::events(&drifting(), &[samples::event(&ToOwned::to_owned)], &frame)),
        ("sign_in", super::sign_in(&frame, Some("the token is not valid"), "/syncs/a/b")),
        ("sign_in_with", super::sign_in_with(&frame, "id.example.com", Some("begin again"), "/syncs/a/b")),
        ("message", super::message(&frame, "Not found", "There is no such page.")),
    ]
}

/// Each tag on a line of its own, so that a difference can be read. The digests of style and script are left out.
fn lines(page: &Markup) -> String {
    let text = page.0.replace('>', ">\n");
    let text =
        regex::Regex::new(r"/static/[0-9a-f]+").expect("a pattern").replace_all(&text, "/static/DIGEST");
    let text = regex::Regex::new(r"sha256-[A-Za-z0-9+/=]+").expect("a pattern").replace_all(&text, "DIGEST");
    format!("{}\n", text.trim_end())
}

#[test]
fn the_pages_are_those_of_the_cases() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/ui/pages/cases");
    for (name, page) in pages() {
        let (file, found) = (folder.join(format!("{name}.html")), lines(&page));
        if std::env::var_os("UPDATE_CASES").is_some() {
            std::fs::write(&file, &found).expect("the folder of the cases can be written");
        }
        let expected = std::fs::read_to_string(&file).unwrap_or_default();
        assert!(found == expected, "{name} differs; UPDATE_CASES=1 accepts it:\n{found}");
    }
}

fn tag_pattern() -> &'static regex::Regex {
    static TAGS: LazyLock<regex::Regex> =
        LazyLock::new(|| regex::Regex::new(r#"<[^>"]*(?:"[^"]*"[^>"]*)*>"#).expect("a pattern"));
    &TAGS
}

/// The tags of a page, with their attributes.
fn tags(page: &str) -> Vec<String> {
    tag_pattern().find_iter(page).map(|tag| tag.as_str().to_owned()).collect()
}

/// The value with a text in place of each text of others.
fn poisoned(value: &Value, text: &str) -> Value {
    /// Fields whose values are of a fixed form.
    const FIXED: [&str; 11] = [
        "apiVersion",
        "since",
        "at",
        "lastTransitionTime",
        "state",
        "decision",
        "status",
        "creationTimestamp",
        "type",
        "namespace",
        "until",
    ];
    match value {
        Value::Object(fields) => {
            let field = |(name, value): (&String, &Value)| {
                let is_fixed = FIXED.contains(&name.as_str()) && !value.is_object();
                (name.clone(), if is_fixed { value.clone() } else { poisoned(value, text) })
            };
            Value::Object(fields.iter().map(field).collect())
        }
        Value::Array(items) => Value::Array(items.iter().map(|item| poisoned(item, text)).collect()),
        Value::String(_) => json!(text),
        other => other.clone(),
    }
}

fn poisoned_sync(sync: Sync, text: &str) -> Sync {
    let mut whole = serde_json::to_value(sync).expect("a Sync is JSON");
    whole["status"] = poisoned(&whole["status"], text);
    whole["spec"]["source"] = poisoned(&whole["spec"]["source"], text);
    whole["spec"]["path"] = json!(text);
    whole["spec"]["serviceAccountName"] = json!(text);
    whole["spec"]["dependsOn"] = json!([{"name": text, "namespace": text}]);
    whole["spec"]["suspend"] = json!({"reason": text});
    serde_json::from_value(whole).expect("a Sync with hostile texts")
}

#[test]
fn a_hostile_text_stays_a_text_wherever_it_stands() {
    let own: Vec<String> = {
        let mut all: Vec<String> =
            pages().iter().flat_map(|(_, page)| tags(&page.0)).map(|tag| shape(&tag)).collect();
        all.sort();
        all.dedup();
        all
    };
    for text in HOSTILE {
        let frame = Frame { visitor: text.to_owned(), ..frame() };
        let poison_text = |_: &str| text.to_owned();
        let poison = |sync| poisoned_sync(sync, text);
        let approval = poisoned(&serde_json::to_value(approval()).expect("JSON"), text);
        let approval: Approval = serde_json::from_value(approval).unwrap_or_else(|_| self::approval());
        let update = poisoned(&serde_json::to_value(update()).expect("JSON"), text);
        let update: ImageUpdate = serde_json::from_value(update).expect("an ImageUpdate with hostile texts");
        let waiting = poison(with_plan(sync(
            "team",
            "shop",
            &[("Ready", "False", "X"), ("AwaitingApproval", "True", "Y")],
        )));
        let mut objects = objects();
        for line in &mut objects.listed {
            for field in
                [&mut line.kind, &mut line.namespace, &mut line.name, &mut line.health, &mut line.message]
            {
                text.clone_into(field);
            }
        }
        let mut whole = page(poison(drifting()), true);
        (whole.objects, whole.approvals) = (Some(objects), vec![Arc::new(approval)]);
        let all = vec![whole.sync.clone(), Arc::new(waiting.clone())];
        let query = Query {
            text: text.to_owned(),
            namespace: text.to_owned(),
            label: text.to_owned(),
            ..Query::parse("")
        };
        let pages = [
            super::home(&home(all.clone(), &[Arc::new(update.clone())], &[], query, frame.now), &frame),
            super::home(&home(all.clone(), &[], &[], Query::default(), frame.now), &frame),
            super::sync(&whole, &frame),
            super::sync(&page(waiting.clone(), true), &frame),
            super::drift(&all, &frame),
            super::images(&images(vec![Arc::new(update)], BTreeSet::from(["team-a".to_owned()])), &frame),
            super::object(&samples::object(&poison_text, &poison(drifting())), &frame),
            super::object(&samples::object(&poison_text, &waiting), &frame),
            super::log(&samples::log(&poison_text), &frame),
            super::plan(&samples::plan(&poison_text, &waiting), &frame),
            super::pulls(&samples::pulls(&poison_text), &frame),
            super::graph(&samples::graph(&poison_text), &frame),
            super::events(&drifting(), &[samples::event(&poison_text)], &frame),
            super::sign_in(&frame, Some(text), text),
            super::sign_in_with(&frame, text, Some(text), text),
            super::message(&frame, text, text),
        ];
        for page in &pages {
            for tag in tags(&page.0) {
                let shape = shape(&tag);
                assert!(own.contains(&shape), "{text:?} makes {tag}");
                assert!(!tag.to_lowercase().contains("href=\"javascript"), "{tag}");
            }
            let texts = tag_pattern().replace_all(&page.0, "");
            assert!(!texts.contains(['\u{202e}', '\u{200b}', '\u{0}', '\u{1b}']), "{text:?} hides something");
        }
    }
}

/// The name of a tag and of its attributes.
fn shape(tag: &str) -> String {
    static VALUES: LazyLock<regex::Regex> =
        LazyLock::new(|| regex::Regex::new(r#"="[^"]*""#).expect("a pattern"));
    VALUES.replace_all(tag, "").into_owned()
}
