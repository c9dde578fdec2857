//! What is done at a forge, in the words of messages, and which right of a login it needs there. Pure.

use std::fmt;

use crate::api::Forge;

/// One kind of request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Action {
    /// Read pull requests.
    Read,
    ReadComments,
    /// Open a pull request.
    Open,
    /// Change a pull request.
    Edit,
    Close,
    Comment,
    Label,
    React,
    /// Comment on lines of a pull request.
    Review,
    Status,
    /// Write a check run.
    Check,
    Deploy,
    Login,
    /// Read the user of the login.
    WhoAmI,
    /// Read who labelled a pull request, and the rights of that user.
    ReadRights,
}

impl fmt::Display for Action {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Read => "read the pull requests",
            Self::ReadComments => "read the comments",
            Self::Open => "open a pull request",
            Self::Edit => "change the pull request",
            Self::Close => "close the pull request",
            Self::Comment => "comment on the pull request",
            Self::Label => "label the pull request",
            Self::React => "react to the comment",
            Self::Review => "comment on lines of the pull request",
            Self::Status => "write the status of a commit",
            Self::Check => "write a check run",
            Self::Deploy => "write a deployment",
            Self::Login => "log in as the GitHub App",
            Self::WhoAmI => "read the user of the token",
            Self::ReadRights => "read who may write",
        })
    }
}

impl Action {
    /// What a login must be allowed for it.
    pub fn rights(self, forge: Forge) -> &'static str {
        match forge {
            Forge::GitHub => self.of_github(),
            Forge::GitLab => "the scope api and the role Developer in the project",
            Forge::Gitea => self.of_gitea(),
        }
    }

    fn of_github(self) -> &'static str {
        match self {
            Self::Status => {
                "the permission Commit statuses: read and write (fine-grained or App), or the scope repo:status (classic)"
            }
            Self::Check => "the permission Checks: read and write, which only a GitHub App can have",
            Self::Deploy => {
                "the permission Deployments: read and write (fine-grained or App), or the scope repo_deployment (classic)"
            }
            Self::Login => "a private key of the App that has not been deleted",
            _ => {
                "the permissions Pull requests and Contents: read and write (fine-grained), or the scope repo (classic)"
            }
        }
    }

    fn of_gitea(self) -> &'static str {
        match self {
            Self::WhoAmI => "the scope read:user",
            Self::Comment | Self::ReadComments | Self::React => {
                "the scopes write:repository and write:issue, and the right to read the repository"
            }
            _ => "the scopes write:repository and write:issue, and the right to write to the repository",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_right_is_named_as_the_forge_names_it() {
        assert!(Action::Status.rights(Forge::GitHub).contains("Commit statuses"));
        assert!(Action::Deploy.rights(Forge::GitHub).contains("Deployments"));
        assert!(Action::Check.rights(Forge::GitHub).contains("Checks"));
        assert!(Action::Comment.rights(Forge::Gitea).contains("write:issue"));
        assert!(Action::WhoAmI.rights(Forge::Gitea).contains("read:user"));
        assert!(Action::Status.rights(Forge::GitLab).contains("scope api"));
        assert_eq!(Action::Status.to_string(), "write the status of a commit");
    }
}
