//! Calls that reach an agent that waits for the Lease.

use tokio::sync::watch;
use tokio::time::Instant;

use super::super::hooks::Endpoint;
use super::*;
use crate::api::HookProvider;
use crate::leader::Holder;
use crate::subject::{Kind, Subject};

type Looks = Arc<Mutex<Vec<String>>>;

/// Webhooks, and what they caused.
fn noted() -> (Hooks, Looks) {
    let looks = Looks::default();
    let noted = looks.clone();
    (Hooks::new(Arc::new(move |owner| noted.lock().push(owner.to_string()))), looks)
}

/// Takes calls for one Sync. Returns their path.
fn open(hooks: &Hooks) -> String {
    let owner = Subject::new(Kind::Sync, "a", "app");
    hooks.set(
        owner,
        Endpoint { provider: HookProvider::DockerHub, token: Token::parse(SECRET).expect("a token") },
    )
}

/// An agent whose Lease is held by the holder that the test sends.
fn agent(hooks: Hooks, audit: bool) -> (SocketAddr, watch::Sender<Holder>, Arc<Mutex<usize>>) {
    let (sender, holder) = watch::channel(Holder::Vacant);
    let taken = Arc::<Mutex<usize>>::default();
    let count = taken.clone();
    let take: TakeAudit = Arc::new(move |body| {
        *count.lock() += body.len();
        Ok(1)
    });
    let relay = Relay { holder: Some(holder), ..Relay::alone(CancellationToken::new()) };
    let audit = audit.then(|| AuditEndpoint { token: Token::parse(SECRET).expect("a token"), take });
    (served(Pages { audit, hooks, relay, ..pages() }, CONNECTIONS), sender, taken)
}

async fn call(address: SocketAddr, path: &str, body: Vec<u8>, hop: bool) -> reqwest::Response {
    let mut call = reqwest::Client::new().post(format!("http://{address}{path}?a=b")).body(body);
    call = call.header("authorization", format!("Bearer {SECRET}"));
    if hop {
        call = call.header("x-holdfast-forwarded", "1");
    }
    call.send().await.expect("an answer")
}

#[tokio::test]
async fn calls_are_handed_on_to_the_holder_of_the_lease_once() {
    let ((hooks, looks), (idle, none)) = (noted(), noted());
    let path = open(&hooks);
    let (leader, leads, batches) = agent(hooks, true);
    leads.send_replace(Holder::Us);
    let (standby, waits, own) = agent(idle, true);
    waits.send_replace(Holder::Other { address: Some(leader), ui: None });
    assert_eq!(call(standby, &path, vec![b'x'; 3_000_000], false).await.status(), 200);
    assert_eq!(*looks.lock(), ["a/app"]);
    assert_eq!(call(standby, "/hooks/none", Vec::new(), false).await.status(), 404);
    assert_eq!(call(standby, "/audit", vec![b'x'; 3_000_000], false).await.status(), 200);
    assert_eq!((*batches.lock(), *own.lock()), (3_000_000, 0));
    // Not a second time: two agents that take each other for the holder do not play ball.
    let started = Instant::now();
    leads.send_replace(Holder::Other { address: Some(standby), ui: None });
    let refused = call(standby, &path, Vec::new(), false).await;
    assert_eq!((refused.status().as_u16(), refused.headers()["retry-after"].as_bytes()), (503, &b"5"[..]));
    assert_eq!(call(standby, &path, Vec::new(), true).await.status(), 503);
    assert!(started.elapsed() < Duration::from_secs(4), "{:?}", started.elapsed());
    assert!(none.lock().is_empty());
}

#[tokio::test]
async fn a_body_is_bounded_on_its_way_and_a_wrong_token_is_refused_at_once() {
    let (hooks, _) = noted();
    let path = open(&hooks);
    let (leader, leads, _) = agent(hooks, false);
    leads.send_replace(Holder::Us);
    let (standby, waits, _) = agent(noted().0, true);
    waits.send_replace(Holder::Other { address: Some(leader), ui: None });
    let large = vec![b'x'; 25 * 1024 * 1024 + 1];
    assert_eq!(call(standby, &path, large, false).await.status(), 413);
    // Vacant holds the Lease, and still this is no question for the holder.
    waits.send_replace(Holder::Vacant);
    assert_eq!(post(standby, "Bearer wrong", b"x".to_vec()).await.0, 401);
}

#[tokio::test]
async fn a_call_waits_for_a_moment_until_the_lease_is_held() {
    let (hooks, looks) = noted();
    let path = open(&hooks);
    let (agent, holder, _) = agent(hooks, false);
    let called = tokio::spawn(async move { call(agent, &path, b"x".to_vec(), false).await.status() });
    // The holder that was is gone: its address refuses connections.
    let gone = std::net::TcpListener::bind("127.0.0.1:0").and_then(|socket| socket.local_addr()).ok();
    holder.send_replace(Holder::Other { address: gone, ui: None });
    tokio::time::sleep(Duration::from_millis(700)).await;
    holder.send_replace(Holder::Us);
    assert_eq!(called.await.expect("no panic"), 200);
    assert_eq!(looks.lock().len(), 1);
}

#[tokio::test]
async fn without_a_holder_and_while_ending_the_answer_is_to_try_again() {
    let started = Instant::now();
    let (agent, _holder, _) = agent(noted().0, false);
    assert_eq!(call(agent, "/hooks/any", Vec::new(), false).await.status(), 503);
    assert!(started.elapsed() < Duration::from_secs(8), "{:?}", started.elapsed());
    let stop = CancellationToken::new();
    let ending = served(Pages { relay: Relay::alone(stop.clone()), ..pages() }, CONNECTIONS);
    stop.cancel();
    assert_eq!(call(ending, "/hooks/any", Vec::new(), false).await.status(), 503);
}
