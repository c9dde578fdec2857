//! A preview for a terminal. Control characters of texts from Git or from the cluster are escaped. Pure.

use std::fmt::Write as _;

use holdfast_diff::plan::Change;
use holdfast_diff::text::{self, Colour};
use holdfast_diff::visible;

use crate::review::effect::{Effect, is_drift};
use crate::review::preview::{At, Outcome, Planned, Preview, SyncPreview, SyncResult, Waits, counts};

/// Writes a preview: the verdict, then each Sync.
pub fn preview(preview: &Preview, colour: Colour) -> String {
    let Preview { base, head, cluster, outcome } = preview;
    let offline = if cluster.is_none() && matches!(outcome, Outcome::Syncs(_)) {
        " (rendered, not compared with a cluster)"
    } else {
        ""
    };
    let mut text = format!(
        "{} ({}) merged into {} ({}): {}{offline}\n",
        visible::line(&head.name),
        head.short(),
        visible::line(&base.name),
        base.short(),
        preview.verdict()
    );
    match outcome {
        Outcome::Conflicts { files, more } => {
            for file in files {
                let _ = writeln!(text, "  {}", visible::line(file));
            }
            if *more > 0 {
                let _ = writeln!(text, "  and {more} more");
            }
        }
        Outcome::Syncs(syncs) => syncs.iter().for_each(|sync| self::sync(&mut text, sync, colour)),
    }
    text
}

fn sync(text: &mut String, SyncPreview { sync, result }: &SyncPreview, colour: Colour) {
    match result {
        SyncResult::Failed { at, errors } => {
            let at = if *at == At::Base { "at the base already" } else { "after the merge" };
            let _ = writeln!(text, "\nSync {sync} fails {at}:");
            lines(text, errors);
        }
        SyncResult::Planned(planned) => self::planned(text, &sync.to_string(), planned, colour),
    }
}

fn planned(text: &mut String, sync: &str, planned: &Planned, colour: Colour) {
    let Planned { id: _, effect: Effect { changes, pending, accepted }, waiting, errors, warnings } = planned;
    let what = counts(changes.iter().map(|affected| &affected.change)).join(", ");
    let what = if what.is_empty() { "no changes" } else { &what };
    let _ = writeln!(text, "\nSync {sync}: {what}");
    let shown: Vec<&Change> = changes.iter().map(|affected| &affected.change).collect();
    text.push_str(&text::changes(&shown, colour));
    let lost = changes.iter().flat_map(|affected| {
        let object = &affected.change.object;
        let drift = affected.overwrites.iter().filter(|field| is_drift(field));
        drift.map(move |field| {
            let owner = field.owners.first().map(ToString::to_string).unwrap_or_default();
            format!("{object} {}, written by {owner}", field.path)
        })
    });
    section(text, "Drift that the merge overwrites:", &lost.collect::<Vec<_>>());
    if let Some(waits) = waiting {
        let Waits { id, changes, later, rejected } = &**waits;
        let id = id.as_ref().map(|id| format!(" of plan {id}")).unwrap_or_default();
        section(text, &format!("Waits for an Approval{id}:"), changes);
        if *later > 0 {
            let _ = writeln!(text, "  then {later} more");
        }
        if let Some((who, why)) = rejected {
            lines(text, &[format!("rejected by {who}: {why}")]);
        }
    }
    section(text, "Errors:", errors);
    section(text, "Warnings:", warnings);
    let brief = |change: &Change| format!("{} {}", change.operation.word(), change.object);
    let brief = |changes: &[Change]| changes.iter().map(brief).collect::<Vec<_>>();
    section(text, "Not caused by the merge, the base makes these changes anyway:", &brief(pending));
    section(text, "Differs from the base now, and not from the merge:", &brief(accepted));
}

fn section(text: &mut String, title: &str, items: &[String]) {
    if !items.is_empty() {
        let _ = writeln!(text, "\n{title}");
        lines(text, items);
    }
}

fn lines(text: &mut String, items: &[String]) {
    for item in items {
        let _ = writeln!(text, "  {}", visible::line(item));
    }
}
