//! What people write to Holdfast in a pull request: `/holdfast approve PLAN-ID REASON` and `/holdfast reject PLAN-ID REASON`.
//!
//! A command stands alone on the first line of a comment. A comment that was edited is no command, since nobody knows what it
//! said when others read it. Pure.

use holdfast_diff::visible;
use jiff::Timestamp;

use crate::api::ApprovalDecision;

/// Characters of a reason that are kept.
const REASON: usize = 500;
/// Hexadecimal digits of the id of a plan.
const ID: usize = 32;

/// A comment, as a forge tells of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Said {
    pub text: String,
    pub created: Timestamp,
    pub updated: Timestamp,
}

/// What a comment asks for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Command {
    pub decision: ApprovalDecision,
    /// The whole id of a plan.
    pub plan: String,
    pub reason: String,
}

/// Why a comment that begins with `/holdfast` is not followed. Each is a sentence for a reply.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Ignored {
    #[error("edited comments are not followed; write a new one")]
    Edited,
    #[error("the commands are `/holdfast approve PLAN-ID REASON` and `/holdfast reject PLAN-ID REASON`")]
    Unknown,
    #[error("the id of the plan is missing or cut; copy all 32 digits of it")]
    NoPlan,
    #[error("the reason is missing; write it behind the id of the plan")]
    NoReason,
}

/// Reads a comment. `None` if it is not for Holdfast.
pub fn command(said: &Said) -> Option<Result<Command, Ignored>> {
    let mut lines = said.text.trim_start_matches('\u{feff}').lines();
    let first = lines.next()?.trim_end();
    let rest = first.strip_prefix("/holdfast")?;
    if !rest.is_empty() && !rest.starts_with([' ', '\t']) {
        return None;
    }
    Some(read(said, rest))
}

fn read(said: &Said, rest: &str) -> Result<Command, Ignored> {
    if said.updated > said.created {
        return Err(Ignored::Edited);
    }
    let (verb, rest) = word(rest);
    let decision = match verb {
        "approve" => ApprovalDecision::Approve,
        "reject" => ApprovalDecision::Reject,
        _ => return Err(Ignored::Unknown),
    };
    let (plan, reason) = word(rest);
    // Whoever copies it out of the comment may take its code span along.
    let plan = plan.trim_matches('`');
    if plan.len() != ID || !plan.bytes().all(|byte| byte.is_ascii_hexdigit() && !byte.is_ascii_uppercase()) {
        return Err(Ignored::NoPlan);
    }
    let reason: String = visible::line(reason.trim()).chars().take(REASON).collect();
    if reason.is_empty() {
        return Err(Ignored::NoReason);
    }
    Ok(Command { decision, plan: plan.to_owned(), reason })
}

fn word(text: &str) -> (&str, &str) {
    let text = text.trim_start();
    text.split_once([' ', '\t']).unwrap_or((text, ""))
}

#[cfg(test)]
mod tests {
    use super::*;

    const PLAN: &str = "0123456789abcdef0123456789abcdef";

    fn said(text: &str) -> Option<Result<Command, Ignored>> {
        let (created, updated) = (Timestamp::UNIX_EPOCH, Timestamp::UNIX_EPOCH);
        command(&Said { text: text.to_owned(), created, updated })
    }

    fn taken(decision: ApprovalDecision, reason: &str) -> Command {
        Command { decision, plan: PLAN.to_owned(), reason: reason.to_owned() }
    }

    #[test]
    fn the_first_line_decides_a_plan() {
        assert_eq!(
            said(&format!("/holdfast approve {PLAN} window agreed")),
            Some(Ok(taken(ApprovalDecision::Approve, "window agreed")))
        );
        assert_eq!(
            said(&format!("/holdfast  reject\t`{PLAN}`  too late \r\n\nmore")),
            Some(Ok(taken(ApprovalDecision::Reject, "too late")))
        );
        let long = said(&format!("/holdfast approve {PLAN} {}", "x".repeat(1000)));
        assert!(matches!(long, Some(Ok(Command { reason, .. })) if reason.len() == REASON));
        assert_eq!(
            said(&format!("/holdfast approve {PLAN} a\u{202e}b")),
            Some(Ok(taken(ApprovalDecision::Approve, "a\\u{202e}b")))
        );
    }

    #[test]
    fn what_is_not_for_holdfast_is_left_alone() {
        for text in [
            "",
            "looks good",
            "please /holdfast approve",
            "> /holdfast approve x",
            "/holdfastapprove",
            "    /holdfast approve",
            "\n/holdfast approve x y",
            "`/holdfast approve`",
        ] {
            assert_eq!(said(text), None, "{text}");
        }
    }

    #[test]
    fn what_is_wrong_is_told() {
        let check = |text: String, why| assert_eq!(said(&text), Some(Err(why)), "{text}");
        check("/holdfast".to_owned(), Ignored::Unknown);
        check("/holdfast merge".to_owned(), Ignored::Unknown);
        check("/holdfast approve".to_owned(), Ignored::NoPlan);
        check("/holdfast approve 0123 because".to_owned(), Ignored::NoPlan);
        check(format!("/holdfast approve {} because", PLAN.to_uppercase()), Ignored::NoPlan);
        check(format!("/holdfast approve {PLAN}"), Ignored::NoReason);
        check(format!("/holdfast approve {PLAN}  "), Ignored::NoReason);
    }

    #[test]
    fn an_edited_comment_counts_for_nothing() {
        let edited = Said {
            text: format!("/holdfast approve {PLAN} sure"),
            created: Timestamp::UNIX_EPOCH,
            updated: Timestamp::MAX,
        };
        assert_eq!(command(&edited), Some(Err(Ignored::Edited)));
    }
}
