//! Tests of sending, against servers that answer as no server should.
#![expect(clippy::unwrap_used, reason = "tests")]

use std::net::SocketAddr;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::mpsc;

use super::super::Retry;
use super::super::endpoint::Path;
use super::*;
use crate::http::Own;

/// Long for what answers at once, on a busy machine too.
const LONG: Duration = Duration::from_secs(20);
/// Short for what never answers.
const SHORT: Duration = Duration::from_secs(1);

fn sender(limit: Duration) -> Sender {
    Sender::of(Arc::default(), limit)
}

fn message(url: &str) -> Message {
    let mut endpoint = Endpoint::parse("webhook", url, Path::Secret, &Guard::default()).ok().unwrap();
    endpoint.hide("hunter2");
    let mut headers = endpoint.headers();
    headers.insert("authorization", "Bearer hunter2".parse().unwrap());
    Message { endpoint, headers, body: br#"{"a":1}"#.to_vec() }
}

/// A server that gives the same bytes to everybody and closes. What it reads is sent on.
async fn server(answer: &str) -> (SocketAddr, mpsc::UnboundedReceiver<String>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let (heard, requests) = mpsc::unbounded_channel();
    let answer = answer.to_owned();
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            let request = exchange(&mut stream, &answer).await;
            heard.send(request).unwrap_or_default();
        }
    });
    (address, requests)
}

async fn exchange(stream: &mut TcpStream, answer: &str) -> String {
    let mut request = vec![0; 4096];
    let mut length = 0;
    // TLS begins with 0x16.
    while !request[..length].ends_with(br#"{"a":1}"#) && request[0] != 0x16 {
        match stream.read(&mut request[length..]).await {
            Ok(0) | Err(_) => break,
            Ok(more) => length += more,
        }
    }
    // The client may have gone.
    let _ = stream.write_all(answer.as_bytes()).await;
    String::from_utf8_lossy(&request[..length]).into_owned()
}

fn answer(status: &str, headers: &str, body: &str) -> String {
    format!("HTTP/1.1 {status}\r\nContent-Length: {}\r\n{headers}\r\n{body}", body.len())
}

async fn send(answer: &str) -> Result<Vec<u8>, DeliveryError> {
    let (address, _) = server(answer).await;
    sender(LONG).send(&message(&format!("http://{address}/hooks/a-secret-path"))).await
}

/// Checks the variant and parts of the message of an error; no error has secrets.
fn check(error: &DeliveryError, name: &str, parts: &[&str]) {
    assert_eq!(error.name(), name, "{error}");
    let said = format!("{error} {error:?}");
    for part in parts {
        assert!(said.contains(part), "{part}: {said}");
    }
    for secret in ["hunter2", "a-secret-path"] {
        assert!(!said.contains(secret), "{said}");
    }
}

#[tokio::test]
async fn a_message_is_posted_with_its_headers() {
    let (address, mut requests) = server(&answer("202 Accepted", "", "thanks")).await;
    let answer = sender(LONG).send(&message(&format!("http://alice:pw@{address}/a?b=c"))).await.unwrap();
    assert_eq!(answer, b"thanks");
    let request = requests.recv().await.unwrap();
    assert!(request.starts_with("POST /a?b=c HTTP/1.1\r\n"), "{request}");
    let agent = format!("user-agent: holdfast/{}", crate::VERSION);
    for part in ["content-type: application/json\r\n", "authorization: Bearer hunter2\r\n", &agent] {
        assert!(request.contains(part), "{part}: {request}");
    }
}

#[tokio::test]
async fn answers_that_are_no_success_are_told_and_classed() {
    let asked = |seconds| Retry::After(Some(Duration::from_secs(seconds)));
    for (status, headers, name, retry) in [
        ("400 Bad Request", "", "ContentRefused", Retry::Never),
        ("413 Content Too Large", "", "ContentRefused", Retry::Never),
        ("422 Unprocessable Content", "", "ContentRefused", Retry::Never),
        ("401 Unauthorized", "", "Answered", Retry::After(None)),
        ("403 Forbidden", "", "Answered", Retry::After(None)),
        ("404 Not Found", "", "Answered", Retry::After(None)),
        ("429 Too Many Requests", "Retry-After: 17\r\n", "Answered", asked(17)),
        ("503 Service Unavailable", "Retry-After: 86400\r\n", "Answered", asked(900)),
        ("500 Internal Server Error", "Retry-After: 17\r\n", "Answered", Retry::After(None)),
    ] {
        let said = "no \u{1b}[31m hunter2 at /hooks/a-secret-path";
        let error = send(&answer(status, headers, said)).await.unwrap_err();
        check(&error, name, &["webhook http://127.0.0.1:", &status[..3]]);
        assert!(!error.to_string().contains("[31m"), "{error}");
        assert_eq!(error.retry(), retry, "{status}");
    }
}

#[tokio::test]
async fn http_to_an_https_server_is_not_the_fault_of_the_content() {
    let said = "Client sent an HTTP request to an HTTPS server.";
    let error = send(&answer("400 Bad Request", "", said)).await.unwrap_err();
    check(&error, "WantsTls", &["write https://"]);
    assert_eq!(error.retry(), Retry::After(None));
}

#[tokio::test]
async fn a_redirect_is_not_followed() {
    let (elsewhere, mut requests) = server(&answer("200 OK", "", "")).await;
    let location = format!("Location: http://u:pw@{elsewhere}/hooks/a-secret-path\r\n");
    let error = send(&answer("302 Found", &location, "")).await.unwrap_err();
    check(&error, "Redirected", &["302", &format!("http://{elsewhere}/…"), "correct the URL"]);
    assert!(!error.to_string().contains("pw"), "{error}");
    assert!(requests.try_recv().is_err(), "the target was contacted");
    let error = send(&answer("301 Moved Permanently", "", "")).await.unwrap_err();
    check(&error, "Redirected", &["nowhere"]);
}

#[tokio::test]
async fn a_server_that_hangs_is_given_up() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/hooks/a-secret-path", listener.local_addr().unwrap());
    let error = sender(SHORT).send(&message(&url)).await.unwrap_err();
    check(&error, "Timeout", &["no answer within 1 s"]);
    assert_eq!(error.retry(), Retry::After(None));
}

#[tokio::test]
async fn a_connection_that_breaks_is_told() {
    check(&send("").await.unwrap_err(), "Broken", &["the connection broke"]);
    check(&send("SSH-2.0-OpenSSH\r\n").await.unwrap_err(), "Broken", &["the connection broke"]);
    let address = TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap();
    let gone = sender(LONG).send(&message(&format!("http://{address}/hooks/a-secret-path"))).await;
    check(&gone.unwrap_err(), "Unreachable", &["refused", "check host and port"]);
}

#[tokio::test]
async fn a_body_that_breaks_or_hangs_does_not_undo_a_success() {
    let cut = "HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nabc";
    assert_eq!(send(cut).await.unwrap(), b"abc");

    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/", listener.local_addr().unwrap());
    let hang = tokio::spawn(async move {
        let (mut stream, _) = listener.accept().await.unwrap();
        exchange(&mut stream, cut).await;
        std::future::pending::<()>().await;
    });
    assert_eq!(sender(SHORT).send(&message(&url)).await.unwrap(), b"abc");
    hang.abort();
}

#[tokio::test]
async fn a_name_that_leads_to_a_refused_address_is_not_connected_to() {
    let (address, mut requests) = server(&answer("200 OK", "", "")).await;
    let url = format!("http://localhost:{}/hooks/a-secret-path", address.port());
    let own = Own::default().with_listener(address);
    let strict = Sender::of(Arc::new(Guard::new(Vec::new(), own)), LONG);
    let error = strict.send(&message(&url)).await.unwrap_err();
    check(&error, "DestinationRefused", &["webhook http://localhost:", "an address that is not allowed"]);
    assert!(requests.try_recv().is_err(), "the address was connected to");
    sender(LONG).send(&message(&url)).await.unwrap();
}

#[tokio::test]
async fn a_huge_answer_is_read_as_far_as_the_limit() {
    let body = "a".repeat(1024 * 1024);
    assert_eq!(send(&answer("200 OK", "", &body)).await.unwrap().len(), ANSWER);
    let error = send(&answer("500 Internal Server Error", "", &body)).await.unwrap_err();
    assert!(error.to_string().len() < 400, "{error}");
}

#[tokio::test]
async fn a_server_without_tls_is_told() {
    let (address, _) = server("HTTP/1.1 400 Bad Request\r\n\r\n").await;
    let error = sender(LONG).send(&message(&format!("https://{address}/hooks/a-secret-path"))).await;
    check(&error.unwrap_err(), "Tls", &["the port does not use TLS", "check the scheme"]);
}

#[tokio::test]
async fn a_host_that_does_not_exist_is_told() {
    let error = sender(LONG).send(&message("http://a.invalid/hooks/a-secret-path")).await.unwrap_err();
    check(&error, "Unreachable", &["webhook http://a.invalid/…"]);
}
