//! Candidates against an API server that is played here, with clocks that can be wrong.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Instant;

use http::{Method, Request, Response};
use jiff::SignedDuration;
use kube::client::Body;
use serde_json::{Value, json};

use super::*;

const TIMES: Times = Times {
    term: Duration::from_secs(2),
    give_up: Duration::from_secs(1),
    period: Duration::from_millis(200),
    jitter: Duration::from_millis(50),
    attempt: Duration::from_millis(500),
};

/// The API server: one Lease.
#[derive(Default)]
struct Server {
    lease: Option<Value>,
    version: u64,
    /// It answers with an error.
    broken: bool,
    /// It does not answer.
    silent: bool,
    writes: usize,
}

type Shared = Arc<Mutex<Server>>;

impl Server {
    fn answer(&mut self, method: &Method, body: &[u8]) -> (u16, Value) {
        let status = |code: u16| {
            let reason = match code {
                404 => "NotFound",
                409 => "Conflict",
                _ => "InternalError",
            };
            let status = json!({"kind": "Status", "apiVersion": "v1", "status": "Failure", "reason": reason, "code": code});
            (code, status)
        };
        if self.broken {
            return status(500);
        }
        if *method == Method::GET {
            return self.lease.clone().map_or_else(|| status(404), |lease| (200, lease));
        }
        let mut lease: Value = serde_json::from_slice(body).expect("a Lease");
        let expected = self.lease.as_ref().map(|lease| lease["metadata"]["resourceVersion"].clone());
        if expected.is_some_and(|expected| lease["metadata"]["resourceVersion"] != expected) {
            return status(409);
        }
        self.writes += 1;
        self.put(&mut lease);
        (200, lease)
    }

    fn put(&mut self, lease: &mut Value) {
        self.version += 1;
        lease["metadata"]["resourceVersion"] = json!(self.version.to_string());
        self.lease = Some(lease.clone());
    }
}

fn client(server: &Shared) -> Client {
    let server = server.clone();
    let service = tower::service_fn(move |request: Request<Body>| {
        let server = server.clone();
        async move {
            let (parts, body) = request.into_parts();
            let body = body.collect_bytes().await?;
            let mut server = server.lock().await;
            if server.silent {
                drop(server);
                std::future::pending::<()>().await;
                return Err("never".into());
            }
            let (code, answer) = server.answer(&parts.method, &body);
            let body = Body::from(answer.to_string().into_bytes());
            Ok::<_, tower::BoxError>(Response::builder().status(code).body(body)?)
        }
    });
    Client::new(service, "holdfast-system")
}

/// A candidate whose clock can be put forward.
struct Played {
    candidate: Candidate,
    forward: Arc<AtomicU64>,
    holder: watch::Receiver<Holder>,
}

fn played(server: &Shared, name: &str) -> Played {
    let (started, forward) = (Instant::now(), Arc::<AtomicU64>::default());
    let ahead = forward.clone();
    let clock: Clock =
        Arc::new(move || started.elapsed() + Duration::from_secs(ahead.load(Ordering::Relaxed)));
    let (sender, holder) = watch::channel(Holder::Vacant);
    let address = format!("10.0.0.1:{}", 8000 + name.len()).parse().ok();
    let identity = Identity { name: name.to_owned(), address, ui: None };
    Played { candidate: Candidate::new(client(server), identity, TIMES, clock, sender), forward, holder }
}

async fn within(limit: Duration, work: impl Future<Output = ()>) -> bool {
    timeout(limit, work).await.is_ok()
}

/// An agent on a machine whose clock is wrong by so many seconds renews the Lease for 3 s, and is gone then.
async fn renewed_by_another(server: Shared, skew: i64) {
    for _ in 0..10 {
        let now = Timestamp::now() + SignedDuration::from_secs(skew);
        let mut lease = json!({"apiVersion": "coordination.k8s.io/v1", "kind": "Lease",
            "metadata": {"name": "holdfast", "annotations": {"holdfast.dev/address": "10.0.0.9:8080"}},
            "spec": {"holderIdentity": "other", "leaseDurationSeconds": 2, "renewTime": MicroTime(now)}});
        server.lock().await.put(&mut lease);
        sleep(Duration::from_millis(300)).await;
    }
}

#[tokio::test]
async fn a_clock_that_is_a_minute_wrong_neither_loses_the_lease_nor_keeps_it() {
    let check = |skew: i64| async move {
        let server = Shared::default();
        let other = tokio::spawn(renewed_by_another(server.clone(), skew));
        sleep(Duration::from_millis(100)).await;
        let played = played(&server, "us");
        let started = Instant::now();
        assert!(within(Duration::from_secs(8), played.candidate.acquire()).await, "{skew}");
        let waited = started.elapsed();
        assert!(other.is_finished(), "{skew}: taken from an agent that renews it");
        assert!(
            waited > Duration::from_secs(4) && waited < Duration::from_millis(6500),
            "{skew}: {waited:?}"
        );
        let seen = Holder::Other { address: "10.0.0.9:8080".parse().ok(), ui: None };
        assert_eq!(*played.holder.borrow(), seen, "{skew}");
        played.candidate.begin();
        assert_eq!(*played.holder.borrow(), Holder::Us);
    };
    tokio::join!(check(60), check(-60), check(0));
}

#[tokio::test]
async fn a_holder_that_cannot_renew_stops_writing_before_another_can_begin() {
    for silent in [false, true] {
        let server = Shared::default();
        let (first, second) = (played(&server, "first"), played(&server, "second"));
        assert!(!first.candidate.fence().is_open());
        first.candidate.acquire().await;
        assert!(first.candidate.fence().is_open());
        {
            let mut server = server.lock().await;
            (server.broken, server.silent) = (!silent, silent);
        }
        let cut = Instant::now();
        assert!(within(TIMES.give_up + Duration::from_millis(400), first.candidate.lost()).await);
        assert!(!first.candidate.fence().is_open());
        assert!(cut.elapsed() < TIMES.term, "{:?}", cut.elapsed());
        {
            let mut server = server.lock().await;
            (server.broken, server.silent) = (false, false);
        }
        assert!(within(Duration::from_secs(5), second.candidate.acquire()).await);
        // It comes back and finds that it is no longer the holder.
        assert!(!within(Duration::from_secs(1), first.candidate.acquire()).await);
    }
}

#[tokio::test]
async fn a_process_that_was_stopped_for_a_minute_writes_nothing_when_it_goes_on() {
    let server = Shared::default();
    let played = played(&server, "us");
    played.candidate.acquire().await;
    let fence = played.candidate.fence();
    assert!(fence.is_open());
    played.forward.store(60, Ordering::Relaxed);
    assert!(!fence.is_open(), "asked before anything of it runs");
    // No other agent took the Lease meanwhile, but that was not known.
    assert!(within(Duration::from_secs(1), played.candidate.lost()).await);
}

#[tokio::test]
async fn a_lease_is_renewed_with_one_request_and_survives_edits_of_others() {
    let server = Shared::default();
    let played = played(&server, "us");
    played.candidate.acquire().await;
    assert!(!within(TIMES.period * 6, played.candidate.lost()).await);
    let writes = {
        let mut server = server.lock().await;
        let mut lease = server.lease.clone().expect("a Lease");
        assert_eq!(lease["metadata"]["annotations"]["holdfast.dev/address"], "10.0.0.1:8002");
        lease["metadata"]["labels"] = json!({"edited": "yes"});
        server.put(&mut lease);
        server.writes
    };
    assert!((5..=8).contains(&writes), "{writes}");
    assert!(!within(TIMES.period * 8, played.candidate.lost()).await);
    let server = server.lock().await;
    let lease = server.lease.as_ref().expect("a Lease");
    assert_eq!(
        (&lease["metadata"]["labels"]["edited"], &lease["spec"]["leaseTransitions"]),
        (&json!("yes"), &json!(0))
    );
    assert!(server.writes > writes);
}

#[tokio::test]
async fn a_released_lease_is_taken_at_once() {
    let server = Shared::default();
    let (first, second) = (played(&server, "first"), played(&server, "second"));
    first.candidate.acquire().await;
    assert!(!within(Duration::from_millis(500), second.candidate.acquire()).await);
    first.candidate.release().await;
    assert!(!first.candidate.fence().is_open());
    let lease = server.lock().await.lease.clone().expect("a Lease");
    assert_eq!(lease["metadata"]["annotations"]["holdfast.dev/address"], Value::Null);
    assert!(within(TIMES.period * 3, second.candidate.acquire()).await);
    // A release of what is no longer ours changes nothing.
    first.candidate.release().await;
    assert!(
        within(Duration::from_secs(1), async { assert!(second.candidate.try_hold().await.is_ok()) }).await
    );
    server.lock().await.silent = true;
    assert!(
        within(RELEASE * 2, second.candidate.release()).await,
        "an API server that is silent holds nothing up"
    );
}
