//! Which Syncs changed: one task compares versions in memory while a tab is open, whatever the number of tabs, and sends no
//! request. I/O: a timer.

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use kube::ResourceExt as _;
use parking_lot::Mutex;
use tokio::sync::{Notify, broadcast};
use tokio_util::sync::CancellationToken;

use super::live::{Live, Offered, name};
use super::seal::random;

/// How often the versions are compared. A change is on the screen within 300 ms.
const TICK: Duration = Duration::from_millis(100);
/// Changes that a tab may be behind. It is cut off then, comes back, and loads its page as a whole.
const BEHIND: usize = 256;

/// A change of a Sync, `namespace/name`, or of everything: `*`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Beat {
    pub number: u64,
    pub about: Arc<str>,
}

/// Tells tabs of changes. Cheap to clone.
#[derive(Clone)]
pub struct Pulse(Arc<Shared>);

struct Shared {
    /// Tells the numbers of this process from those of another one.
    process: String,
    sender: broadcast::Sender<Beat>,
    last: Mutex<Last>,
    subscribed: Notify,
    stop: CancellationToken,
}

#[derive(Default)]
struct Last {
    number: u64,
    beats: VecDeque<Beat>,
}

impl Pulse {
    /// Starts the task.
    pub fn new(live: Offered, stop: CancellationToken) -> Self {
        let pulse = Self(Arc::new(Shared {
            process: hex::encode(&random()[..6]),
            sender: broadcast::Sender::new(BEHIND),
            last: Mutex::default(),
            subscribed: Notify::new(),
            stop,
        }));
        tokio::spawn(pulse.clone().run(live));
        pulse
    }

    /// The id of a beat, for `Last-Event-ID`.
    pub fn id(&self, beat: &Beat) -> String {
        format!("{}-{}", self.0.process, beat.number)
    }

    /// What a tab missed since a beat, and what comes. `*` if that is not known.
    pub fn subscribe(&self, after: Option<&str>) -> (Vec<Beat>, broadcast::Receiver<Beat>) {
        let last = self.0.last.lock();
        let receiver = self.0.sender.subscribe();
        self.0.subscribed.notify_one();
        let Some(after) = after else { return (Vec::new(), receiver) };
        let number =
            after.strip_prefix(&self.0.process).and_then(|rest| rest.strip_prefix('-')?.parse::<u64>().ok());
        let first = last.beats.front().map_or(last.number + 1, |beat| beat.number);
        let missed = match number {
            Some(number) if number <= last.number && number + 1 >= first => {
                last.beats.iter().filter(|beat| beat.number > number).cloned().collect()
            }
            _ => vec![Beat { number: last.number, about: "*".into() }],
        };
        (missed, receiver)
    }

    /// Ends when the streams must end.
    pub async fn stopped(&self) {
        self.0.stop.cancelled().await;
    }

    async fn run(self, mut live: Offered) {
        let mut known: HashMap<String, String> = HashMap::new();
        loop {
            while self.0.sender.receiver_count() == 0 {
                tokio::select! { () = self.0.subscribed.notified() => {} () = self.stopped() => return }
            }
            let now = live.borrow_and_update().as_deref().map(versions);
            let changed = now.map(|now| {
                let changed = changes(&known, &now);
                known = now;
                changed
            });
            changed.into_iter().flatten().for_each(|about| self.tell(&about));
            tokio::select! { () = tokio::time::sleep(TICK) => {} () = self.stopped() => return }
        }
    }

    fn tell(&self, about: &str) {
        let mut last = self.0.last.lock();
        last.number += 1;
        let beat = Beat { number: last.number, about: about.into() };
        if last.beats.len() >= BEHIND {
            last.beats.pop_front();
        }
        last.beats.push_back(beat.clone());
        // There may be no tab.
        let _ = self.0.sender.send(beat);
    }
}

/// The version of each Sync, one of all ImageUpdates, and one of all Repositories.
fn versions(live: &Live) -> HashMap<String, String> {
    let syncs = live.syncs.state().into_iter();
    let syncs = syncs.map(|sync| (name(&sync).to_string(), sync.resource_version().unwrap_or_default()));
    let (images, pulls) = (together(&live.updates.state()), together(&live.repositories.state()));
    syncs.chain([("images".to_owned(), images), ("pulls".to_owned(), pulls)]).collect()
}

/// One version of all resources of a kind.
fn together<K: kube::Resource>(all: &[Arc<K>]) -> String {
    let version = |one: &Arc<K>| {
        format!("{}@{}", one.uid().unwrap_or_default(), one.resource_version().unwrap_or_default())
    };
    let mut versions: Vec<String> = all.iter().map(version).collect();
    versions.sort_unstable();
    versions.join(" ")
}

/// What is new, different or gone.
fn changes(before: &HashMap<String, String>, now: &HashMap<String, String>) -> Vec<String> {
    let new = now.iter().filter(|(name, version)| before.get(*name) != Some(version));
    let gone = before.keys().filter(|name| !now.contains_key(*name));
    let mut all: Vec<String> = new.map(|(name, _)| name).chain(gone).cloned().collect();
    all.sort_unstable();
    all
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pulse() -> Pulse {
        let (_, live) = tokio::sync::watch::channel(None);
        Pulse::new(live, CancellationToken::new())
    }

    #[tokio::test]
    async fn a_tab_that_comes_back_gets_what_it_missed_or_everything() {
        let pulse = pulse();
        let (_, mut first) = pulse.subscribe(None);
        ["a/x", "a/y", "b/z"].iter().for_each(|name| pulse.tell(name));
        let seen = first.recv().await.expect("a beat");
        let names = |after: &str| -> Vec<String> {
            pulse.subscribe(Some(after)).0.iter().map(|beat| beat.about.to_string()).collect()
        };
        assert_eq!(names(&pulse.id(&seen)), ["a/y", "b/z"]);
        assert_eq!(names("another-1"), ["*"]);
        assert_eq!(names(""), ["*"]);
        assert_eq!(names(&pulse.id(&Beat { number: 99, about: "x".into() })), ["*"]);
        (0..300).for_each(|_| pulse.tell("c/c"));
        assert_eq!(names(&pulse.id(&seen)), ["*"]);
    }

    #[tokio::test]
    async fn a_slow_tab_is_cut_off_and_memory_is_bounded() {
        let pulse = pulse();
        let (_, mut slow) = pulse.subscribe(None);
        (0..10_000).for_each(|_| pulse.tell("a/x"));
        assert!(matches!(slow.recv().await, Err(broadcast::error::RecvError::Lagged(_))));
        assert_eq!(pulse.0.last.lock().beats.len(), BEHIND);
    }

    #[test]
    fn what_is_new_different_or_gone_is_a_change() {
        let map = |pairs: &[(&str, &str)]| {
            pairs.iter().map(|(name, version)| ((*name).to_owned(), (*version).to_owned())).collect()
        };
        let (before, now) =
            (map(&[("a", "1"), ("b", "1"), ("c", "1")]), map(&[("a", "1"), ("b", "2"), ("d", "1")]));
        assert_eq!(changes(&before, &now), ["b", "c", "d"]);
    }
}
