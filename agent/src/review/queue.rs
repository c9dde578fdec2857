//! Which pull requests are previewed, and in which order: the one that was pushed to last comes first, and what is as it was is not
//! previewed again. Pure.

use std::collections::{BTreeMap, BTreeSet};

use crate::api::{ForkPolicy, PullRequests};
use crate::forge::review::PullRequest;

/// What is to become of a pull request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Treatment {
    Preview,
    /// Like [`Treatment::Preview`], without variables and keys from Secrets.
    WithoutSecrets,
    /// Nothing is said in it, and why.
    Skip(&'static str),
    /// No Sync follows its base.
    Ignore,
}

/// What a preview was made of.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MadeOf {
    pub head: String,
    /// The branch that it is merged into, and the commit of it.
    pub branch: String,
    pub base: String,
    /// Where both parted, as the forge says, which it may say late.
    pub ancestor: Option<String>,
    pub treatment: Treatment,
}

/// What is to become of a pull request, as the Repository says it. `followed` are the branches that its Syncs follow.
pub fn treatment(rules: &PullRequests, followed: &BTreeSet<String>, found: &PullRequest) -> Treatment {
    if !rules.preview || !followed.contains(&found.base) {
        return Treatment::Ignore;
    }
    if found.draft && !rules.drafts {
        return Treatment::Skip("drafts are not previewed");
    }
    if !found.fork {
        return Treatment::Preview;
    }
    let is_labelled = found.labels.iter().any(|label| label.eq_ignore_ascii_case(&rules.label));
    match rules.forks {
        ForkPolicy::Never => Treatment::Skip("pull requests of forks are not previewed"),
        ForkPolicy::Labelled if is_labelled => Treatment::WithoutSecrets,
        ForkPolicy::Labelled => {
            Treatment::Skip("pull requests of forks are previewed once they have the label")
        }
    }
}

/// The pull requests that are to be previewed now, the last changed first, with what their previews are made of. `bases` are the
/// commits of the branches, `made` what the last previews were made of.
pub fn due<'a>(
    rules: &PullRequests,
    bases: &BTreeMap<String, String>,
    open: &'a [PullRequest],
    made: &BTreeMap<i64, MadeOf>,
) -> Vec<(&'a PullRequest, MadeOf)> {
    let followed: BTreeSet<String> = bases.keys().cloned().collect();
    let is_due = |found: &'a PullRequest| {
        let treatment = treatment(rules, &followed, found);
        let base = bases.get(&found.base)?.clone();
        let (head, branch, ancestor) = (found.head.clone(), found.base.clone(), found.ancestor.clone());
        let of = MadeOf { head, branch, base, ancestor, treatment };
        let is_wanted = matches!(treatment, Treatment::Preview | Treatment::WithoutSecrets);
        (is_wanted && made.get(&found.number) != Some(&of)).then_some((found, of))
    };
    let mut due: Vec<_> = open.iter().filter_map(is_due).collect();
    due.sort_by_key(|(found, _)| (std::cmp::Reverse(found.updated), found.number));
    due
}

#[cfg(test)]
mod tests {
    use jiff::Timestamp;

    use super::*;
    use crate::forge::review::User;

    fn pull_request(number: i64, seconds: i64) -> PullRequest {
        PullRequest {
            number,
            url: String::new(),
            title: String::new(),
            draft: false,
            labels: Vec::new(),
            author: User::default(),
            head: format!("head{number}"),
            base: "main".to_owned(),
            base_commit: None,
            ancestor: None,
            fork: false,
            updated: Timestamp::from_second(seconds).ok(),
        }
    }

    fn followed() -> BTreeSet<String> {
        ["main".to_owned()].into()
    }

    #[test]
    fn drafts_and_forks_are_treated_as_the_repository_says() {
        let rules = PullRequests::default();
        let check = |rules: &PullRequests, found: &PullRequest| treatment(rules, &followed(), found);
        let plain = pull_request(1, 1);
        assert_eq!(check(&rules, &plain), Treatment::Preview);
        assert_eq!(
            check(&rules, &PullRequest { base: "other".to_owned(), ..plain.clone() }),
            Treatment::Ignore
        );
        let draft = PullRequest { draft: true, ..plain.clone() };
        assert_eq!(check(&rules, &draft), Treatment::Preview);
        assert!(matches!(
            check(&PullRequests { drafts: false, ..rules.clone() }, &draft),
            Treatment::Skip(_)
        ));
        let fork = PullRequest { fork: true, ..plain.clone() };
        assert!(matches!(check(&rules, &fork), Treatment::Skip(_)));
        let labelled = PullRequests { forks: ForkPolicy::Labelled, ..rules };
        assert!(matches!(check(&labelled, &fork), Treatment::Skip(_)));
        let marked = PullRequest { labels: vec!["Preview".to_owned()], ..fork };
        assert_eq!(check(&labelled, &marked), Treatment::WithoutSecrets);
        assert_eq!(check(&PullRequests { preview: false, ..labelled }, &plain), Treatment::Ignore);
    }

    #[test]
    fn what_changed_last_is_previewed_first_and_nothing_twice() {
        let rules = PullRequests::default();
        let bases: BTreeMap<String, String> = [("main".to_owned(), "b1".to_owned())].into();
        let open = [pull_request(1, 10), pull_request(2, 30), pull_request(3, 20)];
        let mut made = BTreeMap::new();
        let numbers = |made: &BTreeMap<i64, MadeOf>| -> Vec<i64> {
            due(&rules, &bases, &open, made).into_iter().map(|(pull, _)| pull.number).collect()
        };
        assert_eq!(numbers(&made), [2, 3, 1]);
        let of = |head: &str, base: &str| MadeOf {
            head: head.to_owned(),
            branch: "main".to_owned(),
            base: base.to_owned(),
            ancestor: None,
            treatment: Treatment::Preview,
        };
        made.insert(2, of("head2", "b1"));
        made.insert(3, of("head0", "b1"));
        made.insert(1, of("head1", "b0"));
        // A new head, and a base that has moved.
        assert_eq!(numbers(&made), [3, 1]);
        // Another branch at the same commit is followed by other Syncs.
        made.insert(2, MadeOf { branch: "staging".to_owned(), ..of("head2", "b1") });
        assert_eq!(numbers(&made), [2, 3, 1]);
    }
}
