//! Lists the tags of the images, and selects one by each policy.
//!
//! One list for each repository and interval; creation times and digests only if a policy needs them.
//! I/O: through the registries.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use futures::future::BoxFuture;
use futures::{FutureExt as _, StreamExt as _};
use holdfast_diff::image::select::{Banned, Context, Kept, Outcome, Tags};
use jiff::Timestamp;
use tracing::instrument;

use super::policy::{self, Watched};
use super::{Pass, owners};
use crate::api::{DigestPolicy, Image};
use crate::registry::{self, Registries, RegistryError};
use crate::report::Failure;

/// Maximum number of repositories that are requested at the same time.
const SIDE_BY_SIDE: usize = 16;
/// Maximum number of excluded tags in a message.
const NAMED: usize = 3;
/// Maximum duration of one request, with all its pages and attempts.
const LIMIT: Duration = Duration::from_mins(1);
/// Time for which the creation time of a tag is cached: this policy is meant for tags that do not move.
const CREATED: Duration = Duration::from_hours(24);

/// An image, the tags of its repository, and the selection of its policy.
pub struct Scanned {
    pub watched: Watched,
    tags: Arc<registry::Tags>,
    created: HashMap<String, Timestamp>,
    /// Tags that are not candidates because of their content, with the reason.
    pub left_out: Vec<(String, String)>,
    /// The best candidate, independent of the written version.
    pub best: String,
    /// The digest of the best candidate, if digests are written.
    pub digest: Option<String>,
}

/// What is written to a scalar of the image.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict {
    Write,
    /// The current value stays, for this reason.
    Stay(String),
    /// The best candidate was reverted.
    Banned(String),
}

/// Scans all images. An image that cannot be scanned is a failure, and the others continue.
#[instrument(name = "scan", skip_all, fields(update = %pass.owner))]
pub async fn scan(pass: &Pass<'_>, failures: &mut Vec<Failure>) -> Vec<Scanned> {
    let _timer = pass.services.metrics.stage("scan");
    let images = owners::own(pass.update, &pass.others, failures);
    let asking: Vec<BoxFuture<'_, _>> = images.into_iter().map(|image| one(pass, image).boxed()).collect();
    let all: Vec<Result<Scanned, Failure>> =
        futures::stream::iter(asking).buffered(SIDE_BY_SIDE).collect().await;
    let mut scanned = Vec::new();
    for one in all {
        match one {
            Ok(one) => scanned.push(one),
            Err(failure) => failures.push(failure),
        }
    }
    scanned
}

async fn one(pass: &Pass<'_>, image: &Image) -> Result<Scanned, Failure> {
    let watched = policy::watched(pass, image).await?;
    let failed = |error: RegistryError| {
        let failure = Failure::of("scan", &error);
        Failure { message: format!("image {}: {}", image.name, failure.message), ..failure }
    };
    let registries = &pass.images.registries;
    let tags = registries.list(&watched.place, pass.max_age, LIMIT).await.map_err(failed)?;
    let listed: Vec<&str> = tags.iter().collect();
    let (created, left_out) = times(registries, &watched, &listed).await.map_err(failed)?;
    let best = {
        let time = |tag: &str| created.get(tag).copied();
        let tags = Tags { tags: &listed, created: &time };
        let decision = watched.selector.decide(&tags, &Context { downgrade: true, ..Context::default() });
        decision.winner().map(ToOwned::to_owned).ok_or_else(|| {
            let left_out = left_out_in_words(&left_out).map_or_else(String::new, |said| format!("; {said}"));
            let message = format!("image {}: {}{left_out}", image.name, decision.message());
            Failure::user("select", "NoCandidate", message)
        })?
    };
    let known = known_digest(pass, image, &best).filter(|_| image.digest == DigestPolicy::IfNotPresent);
    let digest = if image.digest == DigestPolicy::Never || known.is_some() {
        known
    } else {
        let digest = registries.digest(&watched.place, &best, pass.max_age, LIMIT).await.map_err(failed)?;
        Some(digest.to_string())
    };
    Ok(Scanned { watched, tags, created, left_out, best, digest })
}

/// Returns when the images of the relevant tags were created; and the tags for which that is unknown, with the reason.
async fn times(
    registries: &Registries,
    watched: &Watched,
    listed: &[&str],
) -> Result<(HashMap<String, Timestamp>, Vec<(String, String)>), RegistryError> {
    let ask = |tag: &str| {
        let tag = tag.to_owned();
        async move {
            let found = registries.created(&watched.place, &tag, CREATED, LIMIT).await;
            (tag, found)
        }
        .boxed()
    };
    let asking: Vec<BoxFuture<'_, _>> = watched.selector.wanted_times(listed).into_iter().map(ask).collect();
    let mut asked = futures::stream::iter(asking).buffer_unordered(SIDE_BY_SIDE);
    let (mut created, mut left_out) = (HashMap::new(), Vec::new());
    while let Some((tag, found)) = asked.next().await {
        match found {
            Ok(time) => {
                created.insert(tag, time);
            }
            Err(error) if error.trouble.is_of_tag() => left_out.push((tag, error.trouble.to_string())),
            // The registry itself fails: it is asked no more.
            Err(error) => return Err(error),
        }
    }
    left_out.sort_unstable();
    Ok((created, left_out))
}

/// The first few of the tags that are left out.
fn left_out_in_words(left_out: &[(String, String)]) -> Option<String> {
    let named: Vec<String> =
        left_out.iter().take(NAMED).map(|(tag, why)| format!("{tag} is not a candidate: {why}")).collect();
    let more = left_out.len().saturating_sub(NAMED);
    let more = if more > 0 { format!("; and {more} more tags are none") } else { String::new() };
    (!named.is_empty()).then(|| named.join("; ") + &more)
}

/// The digest that the tag had when it was selected.
fn known_digest(pass: &Pass<'_>, image: &Image, tag: &str) -> Option<String> {
    let known = pass.status.images.iter().find(|known| known.name == image.name)?;
    known.digest.clone().filter(|_| known.tag.as_deref() == Some(tag))
}

impl Scanned {
    pub fn image(&self) -> &Image {
        &self.watched.image
    }

    /// What is to be done where this tag is written now, and these were taken back.
    pub fn verdict(&self, current: Option<&str>, banned: &[Banned]) -> Verdict {
        // A tag that has another digest now is another image.
        let same = |ban: &&Banned| {
            let is_other = ban.digest.is_some() && self.digest.is_some() && ban.digest != self.digest;
            !(is_other && ban.tag.as_deref() == Some(&*self.best))
        };
        let banned: Vec<Banned> = banned.iter().filter(same).cloned().collect();
        let is_digest = |ban: &Banned| ban.tag.is_none() && ban.digest.is_some() && ban.digest == self.digest;
        if banned.iter().any(is_digest) {
            // A scalar without a tag, of which the digest alone was taken back.
            let digest = self.digest.as_deref().unwrap_or_default();
            return Verdict::Banned(format!("{digest} was reverted"));
        }
        if current == Some(&*self.best) {
            // Only its digest or the repository differ.
            let taken_back = banned.iter().any(|ban| ban.tag.as_deref() == current);
            return if taken_back {
                Verdict::Banned(format!("{} was reverted", self.best))
            } else {
                Verdict::Write
            };
        }
        let listed: Vec<&str> = self.tags.iter().collect();
        let time = |tag: &str| self.created.get(tag).copied();
        let tags = Tags { tags: &listed, created: &time };
        let context = Context { current, banned: &banned, downgrade: self.image().downgrade };
        let decision = self.watched.selector.decide(&tags, &context);
        match decision.outcome() {
            Outcome::Winner(tag) if *tag == self.best => Verdict::Write,
            Outcome::Keep { why: Kept::Banned { .. }, .. } => Verdict::Banned(decision.message()),
            Outcome::Winner(_) | Outcome::Keep { .. } | Outcome::Nothing => Verdict::Stay(decision.message()),
        }
    }

    /// The tags that are no candidates for what they hold, for a condition.
    pub fn left_out_in_words(&self) -> Option<String> {
        left_out_in_words(&self.left_out).map(|said| format!("{}: {said}", self.image().name))
    }

    /// The whole decision in words, for a person.
    pub fn explain(&self, current: Option<&str>, banned: &[Banned]) -> String {
        let listed: Vec<&str> = self.tags.iter().collect();
        let time = |tag: &str| self.created.get(tag).copied();
        let tags = Tags { tags: &listed, created: &time };
        let context = Context { current, banned, downgrade: self.image().downgrade };
        self.watched.selector.decide(&tags, &context).explain()
    }
}
