//! What a client can do to a listener with bytes and with their absence, over raw TCP.

use std::time::Instant;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpSocket, TcpStream};
use tokio::time::{sleep, timeout};

use super::super::listener::{Listener, Seen, TimeLimits};
use super::*;

const HEAD: Duration = Duration::from_millis(600);
const GET: &[u8] = b"GET /healthz HTTP/1.1\r\nhost: a\r\n\r\n";

/// Serves the probes to impatient ends.
fn listening(limits: Limits) -> SocketAddr {
    let listener = Listener::bind(SocketAddr::from(([127, 0, 0, 1], 0))).expect("a port");
    let address = listener.address();
    let time_limits = TimeLimits { limits, head: HEAD, answer: Duration::from_secs(5), keep_alive: true };
    let pages = probes::routes(Health::default());
    tokio::spawn(listener.run(pages, time_limits, None, Seen::default(), CancellationToken::new()));
    address
}

/// Connects from another address of the loopback network: another peer.
pub async fn connect(address: SocketAddr, last: u8) -> TcpStream {
    let socket = TcpSocket::new_v4().expect("a socket");
    socket.bind(SocketAddr::from(([127, 0, 0, last], 0))).expect("an address");
    socket.connect(address).await.expect("a connection")
}

/// Everything that comes until the connection ends, which it must.
pub async fn rest(stream: &mut TcpStream) -> String {
    let mut text = Vec::new();
    // A connection that is reset has ended too.
    let _ = timeout(Duration::from_secs(10), stream.read_to_end(&mut text)).await.expect("an end");
    String::from_utf8_lossy(&text).into_owned()
}

/// Sends bytes and returns everything that comes back.
async fn exchange(address: SocketAddr, bytes: &[u8]) -> String {
    let mut stream = connect(address, 1).await;
    // The server may have answered and closed before all is sent.
    let _ = stream.write_all(bytes).await;
    rest(&mut stream).await
}

const ROOM: Limits = Limits { total: 64, each: 64 };

#[tokio::test]
async fn every_form_of_a_request_is_answered_or_refused_and_ends() {
    let address = listening(ROOM);
    let line = [b"GET /".to_vec(), vec![b'a'; 100_000], b" HTTP/1.1\r\n\r\n".to_vec()].concat();
    let field = [b"GET / HTTP/1.1\r\nx: ".to_vec(), vec![b'a'; 100_000]].concat();
    let fields = [b"GET / HTTP/1.1\r\n".to_vec(), b"a: b\r\n".repeat(200), b"\r\n".to_vec()].concat();
    for (what, bytes, expected) in [
        ("plain", GET, &["HTTP/1.1 200"][..]),
        ("HTTP/1.0", b"GET /healthz HTTP/1.0\r\n\r\n", &["HTTP/1.0 200"]),
        ("no host", b"GET /healthz HTTP/1.1\r\n\r\n", &["HTTP/1.1 200"]),
        ("pipelining", &GET.repeat(3), &["HTTP/1.1 200"; 3]),
        (
            "an upgrade",
            b"GET /healthz HTTP/1.1\r\nhost: a\r\nconnection: upgrade\r\nupgrade: websocket\r\n\r\n",
            &["HTTP/1.1 200"],
        ),
        ("the preface of HTTP/2", b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", &[]),
        (
            "a body of a path that does not exist",
            b"POST /no HTTP/1.1\r\ncontent-length: 9\r\n\r\n1",
            &["HTTP/1.1 404"],
        ),
        ("a long line", &line, &["HTTP/1.1 431"]),
        ("a long field", &field, &["HTTP/1.1 431"]),
        ("many fields", &fields, &["HTTP/1.1 431"]),
        ("a wrong length", b"POST / HTTP/1.1\r\ncontent-length: -1\r\n\r\n", &["HTTP/1.1 400"]),
        ("garbage", b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03", &["HTTP/1.1 400"]),
        ("nothing", b"", &[]),
    ] {
        let started = Instant::now();
        let answer = exchange(address, bytes).await;
        let starts: Vec<&str> = answer.match_indices("HTTP/1.").map(|(at, _)| &answer[at..at + 12]).collect();
        // Where the answer to bytes that are still being sent is lost, the connection is closed all the same.
        let lost = starts.is_empty() && bytes.len() > 10_000;
        assert!(
            starts == expected || lost || (what.contains("preface") && starts.len() < 2),
            "{what}: {answer}"
        );
        assert!(started.elapsed() < HEAD + Duration::from_secs(2), "{what}: {:?}", started.elapsed());
    }
    assert!(exchange(address, GET).await.ends_with("ok\n"));
}

#[tokio::test]
async fn a_head_that_comes_byte_by_byte_and_a_socket_that_is_half_closed_end() {
    let address = listening(ROOM);
    let started = Instant::now();
    let mut slow = connect(address, 1).await;
    for byte in b"GET /healthz HTTP/1.1\r\nx-a: aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa".iter().cycle() {
        if slow.write_all(&[*byte]).await.is_err() {
            break;
        }
        assert!(started.elapsed() < HEAD + Duration::from_secs(3), "still open");
        sleep(Duration::from_millis(40)).await;
    }
    assert!(started.elapsed() >= HEAD);
    let (mut half, started) = (connect(address, 1).await, Instant::now());
    half.shutdown().await.expect("half closed");
    assert_eq!(rest(&mut half).await, "");
    assert!(started.elapsed() < HEAD, "{:?}", started.elapsed());
}

/// Also from its own peer, which is how all calls look behind one proxy.
#[tokio::test]
async fn silent_connections_end_and_do_not_block_others() {
    let address = listening(Limits { total: 40, each: 16 });
    let mut silent = Vec::new();
    for last in 2..7 {
        for _ in 0..30 {
            silent.push(connect(address, last).await);
        }
    }
    let started = Instant::now();
    for last in [1, 2, 3, 9] {
        let mut stream = connect(address, last).await;
        stream.write_all(GET).await.expect("sent");
        let mut answer = [0; 12];
        let read = timeout(HEAD / 2, stream.read_exact(&mut answer)).await;
        assert!(read.is_ok_and(|read| read.is_ok()), "{last}");
        assert_eq!(&answer, b"HTTP/1.1 200", "{last}");
    }
    let mut open = 0;
    for stream in &mut silent {
        open += usize::from(timeout(Duration::from_millis(2), stream.read_u8()).await.is_err());
    }
    assert!(open <= 40, "{open}");
    for stream in &mut silent {
        assert_eq!(rest(stream).await, "");
    }
    assert!(started.elapsed() < HEAD + Duration::from_secs(4), "{:?}", started.elapsed());
}

/// The probes have a listener of their own, on a thread of its own.
#[tokio::test]
async fn probes_are_answered_while_every_thread_is_busy_and_say_which_loop_hangs() {
    let health = Health::default();
    let any = SocketAddr::from(([127, 0, 0, 1], 0));
    let address = probes::serve(any, health.clone()).expect("an address");
    let loop_ = health.expect("test", Duration::from_millis(200));
    // This blocks the only thread of this test's runtime.
    let ask = |path: &str| {
        let mut stream = std::net::TcpStream::connect(address).expect("a connection");
        stream.set_read_timeout(Some(Duration::from_secs(5))).expect("a timeout");
        stream.write_all(format!("GET {path} HTTP/1.1\r\nhost: a\r\n\r\n").as_bytes()).expect("sent");
        let mut answer = String::new();
        stream.read_to_string(&mut answer).expect("an answer, and an end");
        answer
    };
    let silent: Vec<_> = (0..100).map(|_| std::net::TcpStream::connect(address)).collect();
    assert!(ask("/healthz").starts_with("HTTP/1.1 200"));
    assert!(ask("/readyz").starts_with("HTTP/1.1 503"));
    assert!(ask("/metrics").starts_with("HTTP/1.1 404"));
    std::thread::sleep(Duration::from_millis(300));
    let hung = ask("/healthz");
    assert!(hung.starts_with("HTTP/1.1 500") && hung.contains("the test loop has been silent"), "{hung}");
    drop(loop_);
    assert!(ask("/healthz").starts_with("HTTP/1.1 200"));
    drop(silent);
}
