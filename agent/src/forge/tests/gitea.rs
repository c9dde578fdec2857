//! What the real forge cannot be made to do quickly: long lists. The rest is in the suite `pull_request`, against Gitea.
//! I/O: listens on loopback.

use serde_json::{Value, json};

use super::super::{Done, Wanted};
use super::standin::{Asked, Pull, Reply, Standin, State};
use super::{proposals, wanted};
use crate::api::Forge;

/// As many as a page has, however many are asked for.
const PAGE: usize = 10;

fn shown(pull: &Pull) -> Value {
    json!({
        "number": pull.number,
        "html_url": format!("https://git.example.com/org/config/pulls/{}", pull.number),
        "title": pull.title,
        "body": pull.body,
        "labels": pull.labels.iter().map(|name| json!({"id": 1, "name": name})).collect::<Vec<_>>(),
        "head": {"ref": pull.head, "repo_id": 1},
        "base": {"ref": pull.base, "repo_id": 1},
    })
}

fn paged(items: &[Value], asked: &Asked) -> Reply {
    let page = asked.query("page").parse().unwrap_or(1_usize).saturating_sub(1);
    let shown: Vec<&Value> = items.iter().skip(page * PAGE).take(PAGE).collect();
    let mut reply = Reply::json(200, &json!(shown));
    reply.headers.push(("x-total-count", items.len().to_string()));
    reply
}

fn answer(state: &mut State, asked: &Asked) -> Reply {
    state.calls.push(format!("{} {}", asked.method, asked.path));
    let last = state.next;
    match (asked.method.as_str(), asked.path.strip_prefix("/api/v1").unwrap_or_default()) {
        ("GET", "/repos/org/config/pulls") => {
            let all: Vec<Value> = state.pulls.iter().map(shown).collect();
            paged(&all, asked)
        }
        ("GET", "/repos/org/config/labels") => {
            let all: Vec<Value> =
                (1..=25).map(|id| json!({"id": id, "name": format!("label-{id}")})).collect();
            paged(&all, asked)
        }
        ("GET", "/orgs/org/labels") => paged(&[json!({"id": 100, "name": "images"})], asked),
        ("POST", "/repos/org/config/labels")
            if asked.body == json!({"name": "automated", "color": "#ededed"}) =>
        {
            Reply::json(201, &json!({"id": 101, "name": "automated"}))
        }
        ("POST", "/repos/org/config/issues/30/labels") if asked.body == json!({"labels": [100, 101]}) => {
            state.pull("30").expect("it is there").labels = wanted().labels;
            Reply::json(200, &json!([]))
        }
        _ => Reply::odd(&format!("{} {} {} {last}", asked.method, asked.path, asked.body)),
    }
}

#[tokio::test]
async fn one_far_down_in_the_list_is_found_and_its_labels_by_their_ids() {
    let standin = Standin::start(answer).await;
    standin.change(|state| {
        for number in 1..=35 {
            let Wanted { base, title, body, .. } = wanted();
            let head = if number == 30 { wanted().head } else { format!("other-{number}") };
            state.pulls.push(Pull { number, head, base, title, body, ..Pull::default() });
        }
    });
    let (all, target) = (proposals(), standin.target(Forge::Gitea));
    let opened = all.ensure(&target, &wanted()).await.expect("it is found");
    assert_eq!((opened.number, opened.done, opened.unlabelled), (30, Done::Updated, None));
    standin.forget();
    let again = all.ensure(&target, &wanted()).await.expect("it is found again");
    assert_eq!((again.number, again.done, again.unlabelled), (30, Done::Unchanged, None));
    assert_eq!(standin.asked(), 3, "{:?}", standin.calls());
    standin.forget();
    assert_eq!(all.close(&target, "nothing", "main", "").await, Ok(None));
    assert_eq!(standin.asked(), 4, "no page after the last: {:?}", standin.calls());
}
