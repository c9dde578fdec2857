//! Servers that never end, as the library reads them.
#![expect(clippy::unwrap_used, reason = "tests")]

use std::num::NonZeroU32;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use gix::protocol::transport::client::git::ConnectMode;
use gix::protocol::transport::client::git::blocking_io::Connection;
use gix::remote::Direction;
use gix::remote::fetch::{Shallow, Tags};

use super::*;

/// Bytes that an answer may have here.
const SMALL: u64 = 1024 * 1024;
const ID: &str = "ce013625030ba8dba906f756967f9e9ca394464a";

/// Sends a text, and then a line again and again.
struct Endless {
    begin: Vec<u8>,
    line: Vec<u8>,
    at: usize,
    sent: Arc<AtomicU64>,
}

impl Read for Endless {
    fn read(&mut self, bytes: &mut [u8]) -> io::Result<usize> {
        for byte in bytes.iter_mut() {
            let behind = self.at.checked_sub(self.begin.len());
            *byte = behind.map_or_else(|| self.begin[self.at], |at| self.line[at % self.line.len()]);
            self.at += 1;
        }
        self.sent.fetch_add(bytes.len() as u64, Ordering::Relaxed);
        Ok(bytes.len())
    }
}

fn line(text: &str) -> String {
    format!("{:04x}{text}", text.len() + 4)
}

struct Server {
    budget: Budget,
    sent: Arc<AtomicU64>,
    transport: Bounded<Connection<Counted<Endless>, io::Sink>>,
}

fn server(begin: &str, again: &str, version: Protocol) -> Server {
    let (budget, sent) = (Budget::of(SMALL), Arc::<AtomicU64>::default());
    let endless = Endless { begin: begin.into(), line: line(again).into(), at: 0, sent: sent.clone() };
    let reader = Counted::new(endless, budget.clone());
    let none = None::<(String, Option<u16>)>;
    let connection = Connection::new(reader, io::sink(), version, "/a", none, ConnectMode::Process, false);
    Server { transport: Bounded::new(connection, budget.clone()), budget, sent }
}

/// Fetches `main` from it.
fn fetch(server: Server) -> (Budget, u64) {
    let Server { budget, sent, transport } = server;
    let folder = tempfile::tempdir().unwrap();
    let repository = gix::init_bare(folder.path()).unwrap();
    let spec = "+refs/heads/main:refs/heads/main";
    let remote = repository.remote_at("file:///a").unwrap().with_fetch_tags(Tags::None);
    let remote = remote.with_refspecs([spec], Direction::Fetch).unwrap();
    let client = remote.to_connection_with_transport(transport);
    let fetched = client
        .prepare_fetch(gix::progress::Discard, gix::remote::ref_map::Options::default())
        .and_then(|prepared| {
            let one = Shallow::DepthAtRemote(NonZeroU32::MIN);
            prepared.with_shallow(one).receive(gix::progress::Discard, &AtomicBool::new(false))
        });
    assert!(fetched.is_err(), "it came to an end");
    (budget, sent.load(Ordering::Relaxed))
}

#[test]
fn what_a_server_sends_beside_a_pack_is_bounded() {
    let hello = ["version 2\n", "ls-refs\n", "fetch=shallow\n"].map(line).concat() + "0000";
    let refs = line(&format!("{ID} refs/heads/main\n")) + "0000";
    let old = line(&format!("{ID} refs/heads/main\0multi_ack_detailed side-band-64k shallow\n"));
    let shallow = format!("shallow {ID}\n");
    let (two, one) = (Protocol::V2, Protocol::V1);
    for (begin, again, version, expected) in [
        (line("version 2\n"), "agent=and-so-on\n".to_owned(), two, Part::Capabilities),
        (line("version 2\n"), "a".repeat(60_000), two, Part::Capabilities),
        (hello.clone(), format!("{ID} refs/heads/more\n"), two, Part::Refs),
        (hello.clone() + &refs + &line("shallow-info\n"), shallow.clone(), two, Part::Lines),
        (hello.clone() + &refs + &line("acknowledgments\n"), "NAK\n".to_owned(), two, Part::Lines),
        (hello + &refs + &line("wanted-refs\n"), format!("{ID} refs/heads/main\n"), two, Part::Lines),
        (old.clone(), format!("{ID} refs/heads/more\n"), one, Part::Refs),
        (old.clone(), shallow.clone(), one, Part::Refs),
        (old + "0000", shallow, one, Part::Lines),
    ] {
        let (budget, sent) = fetch(server(&begin, &again, version));
        let limit = if expected == Part::Lines { SMALL / LINES } else { SMALL };
        assert_eq!(budget.exceeded(), Some((expected, limit)), "{again}");
        assert!((limit..2 * SMALL).contains(&sent), "{expected:?}: {sent}");
    }
}

#[test]
fn the_report_on_a_push_is_bounded() {
    let old = line(&format!("{ID} refs/heads/main\0report-status\n")) + "0000";
    let Server { budget, mut transport, .. } = server(&old, "unpack ok\n", Protocol::V1);
    let mut shown = transport.handshake(Service::ReceivePack, &[]).unwrap();
    let refs = shown.refs.as_mut().unwrap();
    while refs.readline().is_some() {}
    drop(shown);
    let request = transport.request(WriteMode::Binary, MessageKind::Flush, false).unwrap();
    let mut report = request.into_read().unwrap();
    while let Some(Ok(_)) = report.readline() {}
    assert_eq!(budget.exceeded(), Some((Part::Report, SMALL)));
}

#[test]
fn a_pack_has_a_limit_of_its_own() {
    let old = line(&format!("{ID} refs/heads/main\0report-status\n")) + "0000";
    let Server { budget, mut transport, .. } = server(&old, &"a".repeat(60_000), Protocol::V1);
    let mut shown = transport.handshake(Service::UploadPack, &[]).unwrap();
    while shown.refs.as_mut().unwrap().readline().is_some() {}
    drop(shown);
    let request = transport.request(WriteMode::Binary, MessageKind::Flush, false).unwrap();
    let pack = request.into_read().unwrap();
    assert_eq!(io::copy(&mut pack.take(2 * SMALL), &mut io::sink()).unwrap(), 2 * SMALL);
    assert_eq!(budget.exceeded(), None);
}
