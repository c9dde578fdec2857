//! Compares messages about the base of a merge with messages about the merge: they name different commits, and can be the same
//! otherwise. Pure.

use crate::source::CommitId;

/// What stands for a commit when messages are compared.
const COMMIT: &str = "the commit";

/// How messages name the base and the merge.
pub struct Mentions {
    base: Vec<String>,
    merge: Vec<String>,
}

impl Mentions {
    /// Each commit with its name.
    pub fn of(base: (&str, CommitId), merge: (&str, CommitId)) -> Self {
        Self { base: forms(base), merge: forms(merge) }
    }

    /// True if a message about the merge was also given for the base.
    pub fn is_in(&self, base: &[String], merge: &str) -> bool {
        let merge = neutral(merge, &self.merge);
        base.iter().any(|base| neutral(base, &self.base) == merge)
    }

    /// True if the messages about the merge are those about the base.
    pub fn are_same(&self, base: &[String], merge: &[String]) -> bool {
        base.len() == merge.len() && merge.iter().all(|merge| self.is_in(base, merge))
    }
}

/// The texts that name a commit, the longest first.
fn forms((name, id): (&str, CommitId)) -> Vec<String> {
    let id = id.to_string();
    let short = id.get(..7).unwrap_or(&id);
    vec![format!("{name}@sha1:{id}"), format!("{name}@{short}"), id]
}

fn neutral(message: &str, forms: &[String]) -> String {
    forms.iter().fold(message.to_owned(), |message, form| message.replace(form, COMMIT))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_message_that_differs_only_in_the_commit_is_the_same() {
        let ids = ["1", "2"].map(|digit| CommitId::parse(&digit.repeat(40)).expect("40 digits"));
        let mentions = Mentions::of(("main", ids[0]), ("merge of feature into main", ids[1]));
        let base = |text: &str| text.replace('%', &format!("main@sha1:{}", ids[0]));
        let merge = |text: &str| text.replace('%', &format!("merge of feature into main@sha1:{}", ids[1]));
        let missing = "there is no apps/a at %; correct spec.path";
        assert!(mentions.is_in(&[base("another error"), base(missing)], &merge(missing)));
        assert!(mentions.are_same(&[base(missing)], &[merge(missing)]));
        // The path, the number of errors or a commit that is neither of the two differs.
        assert!(!mentions.is_in(&[base(missing)], &merge("there is no apps/b at %; correct spec.path")));
        assert!(!mentions.are_same(&[base(missing)], &[merge(missing), merge("another error")]));
        assert!(!mentions.is_in(&["chart at 33".to_owned()], "chart at 44"));
        let short = |name: &str, digit: &str| format!("waits at {name}@{}", digit.repeat(7));
        assert!(mentions.is_in(&[short("main", "1")], &short("merge of feature into main", "2")));
    }
}
