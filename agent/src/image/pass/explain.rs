//! Explains the decisions of an ImageUpdate: the candidates of each image, why other tags are excluded, and which
//! scalars would be written. Changes nothing. I/O: through the registries and the sources.

use std::fmt::Write as _;
use std::sync::Arc;
use std::time::Duration;

use holdfast_diff::visible;

use super::edits::Edits;
use super::scan::Scanned;
use super::{Pass, checkout, edits, known, place, policy, scan};
use crate::report::Failure;

/// Explains one image, or all of them.
pub async fn explain(pass: &Pass<'_>, image: Option<&str>) -> String {
    let mut text = String::new();
    let mut failures = Vec::new();
    let mut scanned = scan::scan(pass, &mut failures).await;
    scanned.retain(|one| image.is_none_or(|image| one.image().name == image));
    for Failure { stage, message, .. } in &failures {
        let _ = writeln!(text, "{stage}: {}", visible::line(message));
    }
    let scanned = Arc::new(scanned);
    let edits = match git(pass, scanned.clone()).await {
        Ok((revision, edits)) => {
            let _ = writeln!(text, "git: {revision}");
            edits
        }
        Err(Failure { stage, message, .. }) => {
            let _ = writeln!(text, "{stage}: {}", visible::line(&message));
            Edits::default()
        }
    };
    for one in scanned.iter() {
        of_image(&mut text, pass, one, &edits);
    }
    for problem in &edits.problems {
        let _ = writeln!(text, "\n{}", visible::line(problem));
    }
    text
}

fn of_image(text: &mut String, pass: &Pass<'_>, scanned: &Scanned, edits: &Edits) {
    let image = scanned.image();
    let status = pass.status.images.iter().find(|status| status.name == image.name);
    let current = status.and_then(|status| status.tag.as_deref());
    let _ =
        writeln!(text, "\nimage {}: {}, {}", image.name, image.repository, policy::in_words(&image.policy));
    text.push_str(&scanned.explain(current, &[]));
    if !text.ends_with('\n') {
        text.push('\n');
    }
    for (tag, why) in &scanned.left_out {
        let _ = writeln!(text, "no candidate: {}: {}", visible::line(tag), visible::line(why));
    }
    if let Some(digest) = &scanned.digest {
        let _ = writeln!(text, "digest: {digest}");
    }
    let settings = edits.files.iter().flat_map(|edited| edited.settings.iter().map(move |one| (edited, one)));
    for (edited, setting) in settings.filter(|(_, setting)| setting.image == image.name) {
        let _ = writeln!(
            text,
            "would write {}:{}: {} -> {}",
            visible::line(&edited.file),
            setting.line,
            visible::line(&setting.before),
            visible::line(&setting.after)
        );
    }
    for stays in edits.stay.iter().filter(|stays| stays.contains(&format!(": {}: ", image.name))) {
        let _ = writeln!(text, "stays: {}", visible::line(stays));
    }
    match edits.found.get(&image.name) {
        Some(0) => {
            let said = edits.unmarked(&image.name, &pass.owner.namespace).unwrap_or_default();
            let _ = writeln!(text, "{}", visible::line(&said));
        }
        Some(places) if edits.right.contains(&image.name) => {
            let _ = writeln!(text, "it has {places} occurrences, of which some are up to date");
        }
        Some(_) | None => {}
    }
}

/// Returns the revision of the branch, and the edits that a pass would make.
async fn git(pass: &Pass<'_>, scanned: Arc<Vec<Scanned>>) -> Result<(String, Edits), Failure> {
    let (location, _) = place(pass).await?;
    let checkout = checkout(pass, &location, Duration::ZERO).await?;
    let edits = edits(pass, &checkout, scanned, known(pass)).await?;
    Ok((checkout.revision().to_string(), edits))
}
