//! What a check found, and what to do about it. Pure.

use std::fmt;

use serde::Serialize;

/// The result of a check.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub enum Verdict {
    Ok,
    /// It was not possible to check.
    Skipped,
    Warning,
    Error,
}

impl fmt::Display for Verdict {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.pad(match self {
            Self::Ok => "ok",
            Self::Skipped => "skipped",
            Self::Warning => "warning",
            Self::Error => "error",
        })
    }
}

/// One line of the report.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Finding {
    pub check: &'static str,
    pub result: Verdict,
    pub message: String,
    /// What to do.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub remedy: Option<String>,
}

/// The findings of one check.
pub struct Findings {
    check: &'static str,
    pub found: Vec<Finding>,
}

impl Findings {
    pub fn of(check: &'static str) -> Self {
        Self { check, found: Vec::new() }
    }

    pub fn ok(&mut self, message: impl Into<String>) {
        self.add(Verdict::Ok, message.into(), None);
    }

    pub fn skipped(&mut self, message: impl Into<String>, remedy: impl Into<String>) {
        self.add(Verdict::Skipped, message.into(), Some(remedy.into()));
    }

    pub fn warning(&mut self, message: impl Into<String>, remedy: impl Into<String>) {
        self.add(Verdict::Warning, message.into(), Some(remedy.into()));
    }

    pub fn error(&mut self, message: impl Into<String>, remedy: impl Into<String>) {
        self.add(Verdict::Error, message.into(), Some(remedy.into()));
    }

    /// A request that failed: without the right for it the check is skipped.
    pub fn failed(&mut self, what: &str, error: &kube::Error) {
        let said = crate::cluster::refusal::chain(error);
        if crate::cluster::requests::is_forbidden(error) {
            self.skipped(format!("cannot check {what}: {said}"), "run it as a user who may read it");
        } else {
            self.error(format!("cannot check {what}: {said}"), "check the connection to the API server");
        }
    }

    fn add(&mut self, result: Verdict, message: String, remedy: Option<String>) {
        self.found.push(Finding { check: self.check, result, message, remedy });
    }
}
