//! A notice as text, for receivers that show it to users. Everything is truncated to a limit. Pure.

use holdfast_diff::visible;
use serde_json::Value;

use super::super::notice::{Notice, Status};
use crate::api::{AlertEvent, DriftChange, DriftObject, DriftState};
use crate::report::changes::{cut, json};

/// Maximum characters of a name, a path or a value.
const NAME: usize = 60;
const PATH: usize = 120;
const VALUE: usize = 80;
/// Maximum characters of a sentence.
const SENTENCE: usize = 500;
/// Maximum number of fields that are shown for one object.
const FIELDS: usize = 10;
/// Characters that are reserved for the note about what is left out.
const REST: usize = 40;

/// How a receiver marks up text.
#[derive(Clone, Copy)]
pub struct Markup {
    /// Plain text.
    pub plain: fn(&str) -> String,
    /// A path or a value.
    pub code: fn(&str) -> String,
    /// The name of an object.
    pub strong: fn(&str) -> String,
}

/// The name of an event.
pub fn name(event: AlertEvent) -> &'static str {
    match event {
        AlertEvent::Drifted => "Drifted",
        AlertEvent::Failed => "Failed",
        AlertEvent::Unhealthy => "Unhealthy",
        AlertEvent::AwaitingApproval => "AwaitingApproval",
        AlertEvent::Stale => "Stale",
        AlertEvent::Applied => "Applied",
        AlertEvent::ImageUpdated => "ImageUpdated",
    }
}

/// `Drifted: team-a/shop`, and whether it is resolved.
pub fn title(notice: &Notice) -> String {
    let resolved = if notice.status == Status::Resolved { "Resolved: " } else { "" };
    format!("{resolved}{}: {}/{}", name(notice.event), notice.object.namespace, notice.object.key())
}

/// Returns when the alert was resolved, and how long it lasted.
pub fn end(notice: &Notice) -> Option<String> {
    if notice.status != Status::Resolved {
        return None;
    }
    let Some(end) = notice.ends_at else { return Some("Resolved.".to_owned()) };
    let seconds = end.duration_since(notice.starts_at).as_secs().max(0);
    let lasted = jiff::SignedDuration::from_secs(seconds);
    Some(format!("Resolved at {end:.0} after {lasted:#}."))
}

/// Author and subject of the commit.
pub fn commit(notice: &Notice) -> Option<String> {
    let commit = notice.commit.as_ref()?;
    Some(cut(&format!("{}: {}", commit.author, commit.subject), SENTENCE))
}

/// Returns a text on one line, in which hidden characters are visible.
pub fn line(text: &str) -> String {
    visible::line(text).into_owned()
}

/// Returns a sentence, truncated.
pub fn sentence(text: &str) -> String {
    cut(text, SENTENCE)
}

/// Returns the objects, with one line for each and for each of their fields: as many as fit into a number of bytes, and
/// the number of the others.
pub fn objects(notice: &Notice, markup: Markup, room: usize) -> Vec<String> {
    let mut lines: Vec<String> = Vec::new();
    let mut left = room.saturating_sub(REST);
    let mut shown = 0;
    'objects: for drifted in &notice.objects {
        for line in object(drifted, markup) {
            if line.len() + 1 > left {
                break 'objects;
            }
            left -= line.len() + 1;
            lines.push(line);
        }
        shown += 1;
    }
    let unlisted = usize::try_from(notice.omitted.unwrap_or_default()).unwrap_or_default();
    let missing = notice.objects.len() - shown + unlisted;
    if missing > 0 {
        lines.push(format!("… and {missing} more objects"));
    }
    lines
}

fn object(object: &DriftObject, markup: Markup) -> Vec<String> {
    let Markup { plain, code, strong } = markup;
    let endpoint = if object.namespace.is_empty() { String::new() } else { format!("{}/", object.namespace) };
    let title = cut(&format!("{} {endpoint}{}", object.kind, object.name), PATH);
    let origin = object.origin.as_ref().map(|origin| format!(" ({})", plain(&cut(origin, PATH))));
    let mut lines =
        vec![format!("{}: {}{}", strong(&title), state(object, markup), origin.unwrap_or_default())];
    lines.extend(object.changes.iter().take(FIELDS).map(|field| change(field, markup)));
    let hidden = object.changes.len().saturating_sub(FIELDS);
    let unlisted = usize::try_from(object.omitted.unwrap_or_default()).unwrap_or_default();
    if hidden + unlisted > 0 {
        lines.push(format!("… and {} more fields", hidden + unlisted));
    }
    lines.extend(object.note.as_ref().map(|note| plain(&sentence(note))));
    let refusal = object.refusal.as_ref().map(|why| format!("it cannot be corrected: {why}"));
    lines.extend(refusal.map(|refusal| plain(&sentence(&refusal))));
    // A truncated entry would be useless.
    let ignore = object.ignore.as_ref().filter(|ignore| ignore.chars().count() <= SENTENCE);
    lines.extend(ignore.map(|ignore| format!("to ignore it, add to spec.drift.ignore: {}", code(ignore))));
    lines
}

fn state(object: &DriftObject, Markup { plain, .. }: Markup) -> String {
    let by = object.user.as_ref().map(|user| format!(" by {}", plain(&cut(user, NAME)))).unwrap_or_default();
    match (object.state, object.deleted) {
        (DriftState::Drifted, false) => "differs from Git".to_owned(),
        (DriftState::Drifted, true) => format!("was deleted{by}"),
        (DriftState::Corrected, false) => "corrected".to_owned(),
        (DriftState::Corrected, true) => format!("was deleted{by}, created again"),
        (DriftState::Fighting, _) => "changed repeatedly, corrected at growing intervals".to_owned(),
        (DriftState::Snoozed, _) => "differs, and is snoozed".to_owned(),
    }
}

/// `/spec/replicas: 3 → 5 by the manager kubectl (Update of scale, 2026-01-01T00:00:00Z)`
fn change(change: &DriftChange, markup: Markup) -> String {
    let DriftChange { path, desired, live, manager, operation, subresource, time, user, unmanaged } = change;
    let Markup { plain, code, .. } = markup;
    let value = |value: &Option<Value>| match value {
        Some(value) => code(&cut(&json(value), VALUE)),
        None => "nothing".to_owned(),
    };
    let name = |name: &String| plain(&cut(name, NAME));
    let subresource = subresource.as_ref().map(|subresource| format!("of {}", name(subresource)));
    let how = [operation.as_ref().map(name), subresource].into_iter().flatten().collect::<Vec<_>>().join(" ");
    let how = [Some(how), time.as_ref().map(name)].into_iter().flatten();
    let how = how.filter(|part| !part.is_empty()).collect::<Vec<_>>().join(", ");
    let by = match (user, manager) {
        (Some(user), Some(manager)) => format!(" by {} via the manager {}", name(user), name(manager)),
        (Some(user), None) => format!(" by {}", name(user)),
        // A field manager is not a person.
        (None, Some(manager)) => format!(" by the manager {}", name(manager)),
        (None, None) => String::new(),
    };
    let how = if how.is_empty() { how } else { format!(" ({how})") };
    let unmanaged = if *unmanaged { ", a field that is not in Git" } else { "" };
    format!("{}: {} → {}{by}{how}{unmanaged}", code(&cut(path, PATH)), value(desired), value(live))
}

#[cfg(test)]
mod tests {
    use super::super::samples;
    use super::*;

    const BARE: Markup = Markup { plain: str::to_owned, code: str::to_owned, strong: str::to_owned };

    #[test]
    fn objects_say_what_changed_from_what_to_what_and_by_which_manager() {
        let lines = objects(&samples::drifted(), BARE, 4_000);
        let expected = [
            "Deployment team-a/web: corrected (shop/web.yaml:7)",
            "/spec/replicas: 3 → 5 by the manager kubectl (Update of scale, 2026-01-01T00:00:00Z)",
            "/spec/paused: nothing → true by alice@example.com via the manager edit, a field that is not in Git",
            "kubectl wrote it 3 times",
            "to ignore it, add to spec.drift.ignore: {target: {kind: Deployment, name: web}, paths: [\"/spec/replicas\"]}",
            "ClusterRole <!channel>: was deleted",
        ];
        assert_eq!(lines, expected);
    }

    #[test]
    fn what_cannot_be_put_back_says_why() {
        let mut notice = samples::drifted();
        notice.objects[0].refusal = Some("the key is frozen".to_owned());
        let lines = objects(&notice, BARE, 4_000);
        assert!(lines.contains(&"it cannot be corrected: the key is frozen".to_owned()), "{lines:?}");
    }

    #[test]
    fn what_there_is_no_room_for_is_counted() {
        let mut notice = samples::huge();
        let lines = objects(&notice, BARE, 4_000);
        assert!(lines.iter().map(|line| line.len() + 1).sum::<usize>() <= 4_000);
        let last = lines.last().cloned().unwrap_or_default();
        assert!(last.starts_with("… and 10") && last.ends_with(" more objects"), "{last}");
        notice.objects.clear();
        assert_eq!(objects(&notice, BARE, 4_000), ["… and 50 more objects"]);
    }

    #[test]
    fn the_end_says_how_long_it_was() {
        let notice = samples::resolved(samples::drifted());
        assert_eq!(title(&notice), "Resolved: Drifted: team-a/shop");
        assert_eq!(end(&notice).as_deref(), Some("Resolved at 2026-01-01T00:12:03Z after 12m 3s."));
        assert_eq!(end(&Notice { ends_at: None, ..notice }).as_deref(), Some("Resolved."));
        assert_eq!(end(&samples::drifted()), None);
    }
}
