//! The deployment of a merged commit at the forge: under way, done, failed or superseded. I/O: the forge.

use super::Pass;
use super::memory::Memory;
use crate::forge::ForgeError;
use crate::forge::review::{Deployed, Deployment};
use crate::review::follow::{Course, verdict};
use crate::sync_ref::SyncRef;

impl Pass<'_> {
    /// Writes how far the deployment of a merge is, if that is news.
    pub(super) async fn deploy(
        &self,
        memory: &mut Memory,
        number: i64,
        merged: &str,
        all: &[(SyncRef, Course)],
        is_late: bool,
    ) -> Result<(), ForgeError> {
        let Some(rules) = &self.repository.spec.deployments else { return Ok(()) };
        let Some(state) = state(all, is_late) else { return Ok(()) };
        if memory.review(number).deployed == Some(state) {
            return Ok(());
        }
        let (known, base) = (memory.record(number).deployment, memory.record(number).base.clone());
        let deployment = Deployment {
            commit: merged,
            reference: base.split_once('@').map_or(&*base, |(branch, _)| branch),
            environment: &rules.environment,
            url: rules.url.as_deref(),
            description: verdict(all),
        };
        let id = self.client.deploy(self.target, &deployment, state, known).await?;
        memory.record(number).deployment = id;
        memory.review(number).deployed = Some(state);
        Ok(())
    }
}

/// How far the deployment is. `None` before a Sync has read the commit. One that is not followed any more ends.
fn state(all: &[(SyncRef, Course)], is_late: bool) -> Option<Deployed> {
    let any = |is: fn(&Course) -> bool| all.iter().any(|(_, course)| is(course));
    if any(|course| matches!(course, Course::Failed(_))) {
        return Some(Deployed::Failure);
    }
    if all.iter().all(|(_, course)| *course == Course::Unseen) {
        return None;
    }
    if !all.iter().all(|(_, course)| course.is_over()) {
        return Some(if is_late { Deployed::Unknown } else { Deployed::InProgress });
    }
    let is_healthy = any(|course| *course == Course::Healthy);
    Some(if is_healthy { Deployed::Success } else { Deployed::Superseded })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_deployment_is_as_far_as_its_syncs_and_ends_with_the_follow_up() {
        use Course::{Applying, Failed, Healthy, Superseded, Unseen, Waits};
        let check = |courses: &[Course], expected: Option<Deployed>| {
            let name = |at: usize| SyncRef::new("a".to_owned(), at.to_string());
            let all: Vec<_> = courses.iter().cloned().enumerate().map(|(at, one)| (name(at), one)).collect();
            assert_eq!(state(&all, false), expected, "{courses:?}");
            let ended = expected.map(|state| match state {
                Deployed::InProgress => Deployed::Unknown,
                other => other,
            });
            assert_eq!(state(&all, true), ended, "{courses:?}");
        };
        let (failed, later) = (Failed("x".to_owned()), Superseded("y".to_owned()));
        check(&[], None);
        check(&[Unseen, Unseen], None);
        check(&[Unseen, Healthy], Some(Deployed::InProgress));
        check(&[Applying, Waits(String::new())], Some(Deployed::InProgress));
        check(&[Healthy, failed], Some(Deployed::Failure));
        check(&[Healthy, later.clone()], Some(Deployed::Success));
        check(&[later], Some(Deployed::Superseded));
    }
}
