//! The class of an error: it alone decides retry, `Stalled` and alerting.
//!
//! Every stage has its own error enum, whose variants have a class, a static name and a hint. Pure.

use holdfast_diff::causes::Mistake;
use serde::{Deserialize, Serialize};

/// The party that can end an error.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Class {
    /// A user must change something in Git, in the Sync, or in the cluster: `Stalled`.
    User,
    /// It may end without a change: retried with backoff.
    Transient,
    /// A defect of Holdfast.
    Internal,
}

/// The error of a stage, as `reconcile`, `report` and the metrics use it.
pub trait StageError: std::error::Error {
    fn class(&self) -> Class;

    /// The static name of the variant in CamelCase: a reason of conditions and a label of metrics.
    fn name(&self) -> &'static str;

    /// Returns what causes the same error for other repositories, charts or images, such as their host. `None` if the
    /// error is about one of them only.
    fn common_cause(&self) -> Option<String> {
        None
    }

    /// Returns what to do, if that is known and not in the message.
    fn hint(&self) -> Option<String> {
        None
    }

    /// Returns the mistakes of which the error consists, if there are several, and the number of further ones.
    fn mistakes(&self) -> (Vec<Mistake>, usize) {
        (Vec::new(), 0)
    }
}

/// Formats an error with its sources, without repetitions. Of a response of the API server it only contains the
/// message: kube adds the whole response in Rust's debug form.
pub fn chain(error: &(dyn std::error::Error + 'static)) -> String {
    let errors = std::iter::successors(Some(error), |error| error.source());
    let answer = errors.clone().find_map(answer);
    let mut text = String::new();
    for error in errors {
        let said = error.to_string().replace("ServiceError: ", "");
        let (said, last) = match &answer {
            Some((form, message)) => (said.replace(form, message), said == *form),
            None => (said, false),
        };
        if text.is_empty() {
            text = said;
        } else if !text.contains(&said) {
            text = format!("{text}: {said}");
        }
        if last {
            break;
        }
    }
    text
}

/// Returns a response of the API server as kube formats it, and its message.
fn answer(error: &(dyn std::error::Error + 'static)) -> Option<(String, String)> {
    let kube::Error::Api(status) = error.downcast_ref::<kube::Error>()? else { return None };
    let unnamed = || format!("{} ({})", status.reason, status.code);
    let message = if status.message.is_empty() { unnamed() } else { status.message.clone() };
    Some((error.to_string(), message))
}

#[cfg(test)]
mod tests {
    use kube::core::Status;

    use super::*;

    fn status(code: u16, message: &str) -> kube::Error {
        kube::Error::Api(Box::new(Status { code, message: message.to_owned(), ..Status::default() }))
    }

    #[test]
    fn an_answer_of_the_server_is_told_by_its_message() {
        assert_eq!(chain(&status(403, "secrets is forbidden")), "secrets is forbidden");
        let wrapped = kube::runtime::watcher::Error::WatchFailed(status(403, "secrets is forbidden"));
        assert_eq!(chain(&wrapped), "watch stream failed: secrets is forbidden");
        let unnamed = chain(&kube::Error::Api(Box::new(Status {
            code: 418,
            reason: "Teapot".into(),
            ..Status::default()
        })));
        assert_eq!(unnamed, "Teapot (418)");
    }
}
