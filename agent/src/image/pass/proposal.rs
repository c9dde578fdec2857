//! A proposal on a branch of its own, and its refusal by a user. Pure.

use super::Pass;
use crate::api::{ProposalStatus, Refusal, RefusedProposal};
use crate::image::message::Change;

/// Returns the images of a proposal and their new versions, in order.
pub fn images(changes: &[Change]) -> Vec<String> {
    let mut images: Vec<String> =
        changes.iter().map(|change| format!("{} {}", change.image, change.new)).collect();
    images.sort_unstable();
    images
}

/// Returns the proposal of an earlier pass, if it has the same images and versions.
pub fn earlier<'a>(pass: &Pass<'a>, images: &[String]) -> Option<&'a ProposalStatus> {
    pass.status.proposal.as_ref().filter(|proposal| proposal.images == images)
}

/// Returns the proposal that a user refused.
pub fn refused(pass: &Pass<'_>, images: Vec<String>, how: Refusal) -> ProposalStatus {
    let pull_request = pass.status.pull_request.as_ref().map(|request| request.number);
    let base = pass.status.proposal.as_ref().and_then(|proposal| proposal.base.clone());
    ProposalStatus { images, base, refused: Some(RefusedProposal { how, pull_request, at: pass.now }) }
}

/// Describes a refused proposal.
pub fn in_words(images: &[String], refused: &RefusedProposal, branch: &str) -> String {
    let RefusedProposal { how, pull_request, at: _ } = refused;
    let what = match (how, pull_request) {
        (Refusal::BranchDeleted, _) => format!("the branch {branch} was deleted"),
        (Refusal::PullRequestClosed, Some(number)) => {
            format!("pull request {number} was closed without a merge")
        }
        (Refusal::PullRequestClosed, None) => "its pull request was closed without a merge".to_owned(),
    };
    format!(
        "the proposal of {} was refused: {what}; it is made again when another version is selected, or after \
         `holdfast image unban`",
        images.join(", ")
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_refusal_says_what_happened_and_what_to_do() {
        let refused =
            |how, pull_request| RefusedProposal { how, pull_request, at: jiff::Timestamp::UNIX_EPOCH };
        let images = ["api 2".to_owned(), "web 1.2.0".to_owned()];
        let said = in_words(&images, &refused(Refusal::PullRequestClosed, Some(7)), "images");
        assert!(
            said.starts_with("the proposal of api 2, web 1.2.0 was refused: pull request 7 was closed"),
            "{said}"
        );
        let said = in_words(&images, &refused(Refusal::BranchDeleted, Some(7)), "images");
        assert!(
            said.contains("the branch images was deleted") && said.contains("holdfast image unban"),
            "{said}"
        );
    }
}
