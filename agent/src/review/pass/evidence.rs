//! What the pull request of a revert shows beside the status of the Sync: the Warning Events about the objects that are not healthy.
//! They are read as the Sync, so that nothing is shown that its ServiceAccount may not read. I/O: API reads, for a revert alone.

use std::collections::BTreeMap;
use std::time::Duration;

use holdfast_diff::health::Status as Health;
use holdfast_diff::object::ObjectId;

use super::Pass;
use super::bases::Followed;
use crate::cluster::refusal::{chain, explained};
use crate::cluster::warnings::{Warning, warnings};
use crate::identity::Identity;
use crate::review::markdown::code;

/// Namespaces whose Events are read.
const NAMESPACES: usize = 5;
/// Events that are shown.
const SHOWN: usize = 20;
/// Maximum duration of one read.
const LIMIT: Duration = Duration::from_secs(10);

impl Pass<'_> {
    /// The Warning Events about the objects of a Sync that are not healthy, one line of Markdown each, the last one first.
    pub(super) async fn events(&self, one: &Followed) -> Vec<String> {
        let cluster = &self.services.cluster;
        let unhealthy =
            cluster.view.members_that(&one.owner, |_, entry| entry.health.status != Health::Current);
        let mut all: BTreeMap<String, Vec<ObjectId>> = BTreeMap::new();
        for (object, _) in unhealthy {
            all.entry(object.namespace.to_string()).or_default().push(object);
        }
        if all.is_empty() {
            return Vec::new();
        }
        let identity = Identity::of(&one.owner, &one.sync.spec, &self.services.policy);
        let client = identity.map_err(|error| error.to_string());
        let client = client.and_then(|one| cluster.clients.of(&one).map_err(|error| chain(&error)));
        let client = match client {
            Ok(client) => client,
            Err(why) => return vec![unread(&why)],
        };
        let (mut found, mut failed) = (Vec::new(), Vec::new());
        // Events about objects without a namespace are in the namespace default.
        for (namespace, objects) in all.into_iter().take(NAMESPACES) {
            let namespace = if namespace.is_empty() { "default" } else { &namespace };
            match tokio::time::timeout(LIMIT, warnings(&client, namespace, &objects)).await {
                Ok(Ok(read)) => found.extend(read),
                Ok(Err(error)) => failed.push(unread(&explained(&error).1)),
                Err(_) => failed.push(unread(&format!("no answer within {} s", LIMIT.as_secs()))),
            }
        }
        found.sort_by_key(|one| std::cmp::Reverse(one.at));
        found.iter().take(SHOWN).map(line).chain(failed).collect()
    }
}

fn unread(why: &str) -> String {
    format!("Events cannot be read: {}", code(why))
}

fn line(Warning { at, object, reason, message, count }: &Warning) -> String {
    let at = at.map(|at| format!("{at:.0}, ")).unwrap_or_default();
    let times = if *count > 1 { format!(", {count} times") } else { String::new() };
    format!("{at}{}{times}: {}: {}", code(object), code(reason), code(message))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_event_is_one_line_that_injects_nothing() {
        let warning = Warning {
            at: Some(jiff::Timestamp::UNIX_EPOCH),
            object: "Pod web-1".to_owned(),
            reason: "BackOff".to_owned(),
            message: "back-off\n### `owned`".to_owned(),
            count: 7,
        };
        assert_eq!(
            line(&warning),
            "1970-01-01T00:00:00Z, `Pod web-1`, 7 times: `BackOff`: `` back-off\\n### `owned` ``"
        );
    }
}
