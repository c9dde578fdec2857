//! Tests of requests, against servers that lead them astray.
#![expect(clippy::unwrap_used, reason = "tests")]

use std::net::SocketAddr;

use http::HeaderValue;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpListener;
use tokio::sync::mpsc;

use super::super::{Own, Refused, read};
use super::*;

const TIMES: Times = Times { connect: Times::CONNECT, silence: None, total: Some(Duration::from_secs(20)) };

fn clients(guard: Guard) -> Clients {
    Clients::new(Arc::new(guard), TIMES)
}

/// A server that gives the same answer to everybody. What it reads is sent on.
async fn server(at: &str, answer: String) -> (SocketAddr, mpsc::UnboundedReceiver<String>) {
    let listener = TcpListener::bind((at, 0)).await.unwrap();
    let address = listener.local_addr().unwrap();
    let (heard, requests) = mpsc::unbounded_channel();
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            let mut request = Vec::new();
            while !request.ends_with(b"\r\n\r\n") {
                let mut part = [0; 1024];
                match stream.read(&mut part).await {
                    Ok(0) | Err(_) => break,
                    Ok(more) => request.extend_from_slice(&part[..more]),
                }
            }
            let _ = stream.write_all(answer.as_bytes()).await;
            heard.send(String::from_utf8_lossy(&request).into_owned()).unwrap_or_default();
        }
    });
    (address, requests)
}

fn found(location: &str) -> String {
    format!("HTTP/1.1 302 Found\r\nLocation: {location}\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")
}

fn ok(body: &str) -> String {
    format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\nConnection: close\r\n\r\n{body}", body.len())
}

fn get(url: &str) -> Request {
    let mut request = Request::new(Method::GET, Url::parse(url).unwrap());
    request.headers.insert(header::ACCEPT, HeaderValue::from_static("text/plain"));
    request.secret.insert(header::AUTHORIZATION, HeaderValue::from_static("Bearer hunter2"));
    request
}

async fn follow(clients: &Clients, request: &Request) -> Result<Response, Failure> {
    clients.follow(&Trust::default(), request, Redirects::Anywhere).await
}

#[tokio::test]
async fn a_login_does_not_follow_to_another_origin() {
    let (elsewhere, mut requests) = server("127.0.0.1", ok("here")).await;
    let (first, mut begun) = server("127.0.0.1", found(&format!("http://{elsewhere}/b"))).await;
    let response = follow(&clients(Guard::default()), &get(&format!("http://{first}/a"))).await.unwrap();
    assert_eq!(read(response, 100).await.unwrap(), b"here");
    assert!(begun.recv().await.unwrap().contains("hunter2"));
    let second = requests.recv().await.unwrap();
    assert!(second.starts_with("GET /b ") && second.contains("accept: text/plain"), "{second}");
    assert!(!second.contains("hunter2") && !second.contains("referer"), "{second}");
    let same = clients(Guard::default());
    let same =
        same.follow(&Trust::default(), &get(&format!("http://{first}/a")), Redirects::SameOrigin).await;
    assert!(matches!(same, Err(Failure::Redirected { why, .. }) if why.contains("another host")));
}

#[tokio::test]
async fn every_hop_is_checked() {
    let (agent, mut reached) = server("127.0.0.1", ok("secret")).await;
    let own = Own::default().with_listener(agent);
    let guard = Guard::new(Vec::new(), own);
    for location in [
        format!("http://127.0.0.1:{}/metrics", agent.port()),
        format!("http://localhost:{}/metrics", agent.port()),
        format!("http://127.1.2.3:{}/metrics", agent.port()),
        format!("http://[::ffff:7f00:1]:{}/metrics", agent.port()),
        "http://169.254.169.254/latest/meta-data".to_owned(),
        "http://0xa9fea9fe/".to_owned(),
        "http://0.0.0.0:1/".to_owned(),
        "http://kubernetes.default.svc/".to_owned(),
    ] {
        let (first, _requests) = server("127.0.0.1", found(&location)).await;
        let clients = clients(guard.clone());
        let direct = follow(&clients, &get(&location)).await;
        let led = follow(&clients, &get(&format!("http://{first}/"))).await;
        for found in [direct, led] {
            let error = found.map(|response| response.status()).unwrap_err();
            assert!(matches!(error, Failure::Refused(_)), "{location}: {error}");
        }
    }
    assert!(reached.try_recv().is_err(), "the agent was connected to");
}

#[tokio::test]
async fn a_list_is_kept_by_name_and_by_address() {
    let (address, _requests) = server("127.0.0.1", ok("here")).await;
    let port = address.port();
    let of = |listed: &str| clients(Guard::new(vec![listed.parse().unwrap()], Own::default()));
    for (listed, host, expected) in [
        ("localhost", "localhost", true),
        ("localhost", "127.0.0.1", false),
        ("127.0.0.0/8", "127.0.0.1", true),
        ("127.0.0.0/8", "localhost", true),
        ("10.0.0.0/8", "localhost", false),
        ("git.example.com", "127.0.0.1", false),
    ] {
        let found = follow(&of(listed), &get(&format!("http://{host}:{port}/"))).await;
        match found {
            Ok(_) => assert!(expected, "{listed} {host}"),
            Err(Failure::Refused(Refused::NotListed { .. })) => assert!(!expected, "{listed} {host}"),
            Err(error) => unreachable!("{listed} {host}: {error}"),
        }
    }
}

#[tokio::test]
async fn redirects_end_and_change_nothing() {
    let (first, _requests) = server("127.0.0.1", found("/again")).await;
    let url = format!("http://{first}/");
    let clients = clients(Guard::default());
    let error = follow(&clients, &get(&url)).await.map(|response| response.status()).unwrap_err();
    assert_eq!(error, Failure::Redirected { why: "too often", to: None });
    let mut post = get(&url);
    post.method = Method::POST;
    let error = follow(&clients, &post).await.map(|response| response.status()).unwrap_err();
    assert!(matches!(error, Failure::Redirected { why, .. } if why.contains("changes something")));
}

#[tokio::test]
async fn a_body_is_read_up_to_its_limit() {
    let (address, _requests) = server("127.0.0.1", ok(&"a".repeat(1000))).await;
    let clients = clients(Guard::default());
    let body =
        async |limit| read(follow(&clients, &get(&format!("http://{address}/"))).await.unwrap(), limit).await;
    assert_eq!(body(1000).await.map(|body| body.len()), Ok(1000));
    assert_eq!(body(999).await, Err(Failure::TooLarge { limit: 999 }));
}

#[tokio::test]
async fn what_cannot_be_reached_is_said_without_its_url() {
    let gone = TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap();
    let error = follow(&clients(Guard::default()), &get(&format!("http://{gone}/a-secret-path"))).await;
    let error = error.map(|response| response.status()).unwrap_err();
    assert!(matches!(error, Failure::Connect { .. }), "{error}");
    assert!(error.to_string().contains("refused") && !error.to_string().contains("secret"), "{error}");
}
