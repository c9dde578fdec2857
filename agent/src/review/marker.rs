//! The comment of this installation among all comments of a pull request.
//!
//! Its first line is invisible and names the cluster and the Repository. The line alone proves nothing, since anybody can copy it: the
//! comment must be of the user that the login is of. The id that the status keeps goes before a search. Pure.

use crate::forge::review::{Comment, User};

/// Names a Repository of a cluster.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Marker(String);

impl Marker {
    pub fn new(cluster: &str, namespace: &str, name: &str) -> Self {
        // UIDs and names of objects have no characters that end a comment of HTML.
        Self(format!("<!-- holdfast.dev/preview cluster={cluster} repository={namespace}/{name} -->"))
    }

    /// A comment with the marker above it.
    pub fn on(&self, text: &str) -> String {
        format!("{}\n{text}", self.0)
    }

    /// Bytes that it adds to a text.
    pub fn size(&self) -> usize {
        self.0.len() + 1
    }

    /// The comment of this installation: the one with a known id, or else the first one with the marker. Both only if the
    /// user of the login wrote it; the known id alone counts if that user is not known.
    pub fn find<'c>(
        &self,
        comments: &'c [Comment],
        user: Option<&User>,
        known: Option<i64>,
    ) -> Option<&'c Comment> {
        let Some(user) = user else { return comments.iter().find(|comment| Some(comment.id) == known) };
        let own = |comment: &&Comment| comment.author.id == user.id;
        let has =
            |comment: &&Comment| comment.body.lines().next().is_some_and(|first| first.trim_end() == self.0);
        let by_id = known.and_then(|id| comments.iter().filter(own).find(|comment| comment.id == id));
        by_id.or_else(|| comments.iter().filter(own).find(has))
    }
}

#[cfg(test)]
mod tests {
    use jiff::Timestamp;

    use super::*;

    fn comment(id: i64, author: i64, body: &str) -> Comment {
        let author = User { id: author, login: "anybody".to_owned() };
        let (created, updated) = (Timestamp::UNIX_EPOCH, Timestamp::UNIX_EPOCH);
        Comment { id, author, body: body.to_owned(), created, updated }
    }

    #[test]
    fn the_own_comment_is_found_by_its_author_and_its_marker() {
        let (marker, other) =
            (Marker::new("uid", "team-a", "config"), Marker::new("other", "team-a", "config"));
        let own = User { id: 7, login: "renamed".to_owned() };
        let comments = [
            comment(1, 8, &marker.on("forged")),
            comment(2, 7, &other.on("of another cluster")),
            comment(3, 7, &format!("> {}", marker.on("quoted"))),
            comment(4, 7, &marker.on("ours").replace('\n', "\r\n")),
            comment(5, 7, &marker.on("a second one")),
        ];
        let find = |known| marker.find(&comments, Some(&own), known).map(|comment| comment.id);
        assert_eq!(find(None), Some(4));
        assert_eq!(find(Some(5)), Some(5));
        // The known one was deleted, or is of somebody else.
        assert_eq!((find(Some(99)), find(Some(1))), (Some(4), Some(4)));
        assert_eq!(other.find(&comments[3..], Some(&own), None), None);
        // A login that may not know its user knows its comment by the id alone.
        assert_eq!(marker.find(&comments, None, Some(4)).map(|comment| comment.id), Some(4));
        assert_eq!(marker.find(&comments, None, None), None);
        assert_eq!(marker.on("x").len(), marker.size() + 1);
    }
}
