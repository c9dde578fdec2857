//! No message for people is in Rust's debug form: reads what the program prints, logs, and writes into statuses and Events.
//!
//! Every suite reads all of it, by the harness: the output of each verb, the log of each agent, and at the end of a test or
//! of a control plane all conditions and Events. I/O: kubectl, log files.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::bail;
use serde_json::Value;

/// What only a debug form has.
const FORMS: [&str; 12] = [
    "ApiError: ",
    "Some(",
    "Failure)",
    "StatusSummary",
    "HyperError(",
    "ConnectError(",
    "Error(\"",
    "Error(Connect",
    "Os { code",
    "called `Option::",
    "called `Result::",
    "panicked at",
];

/// What has a status that the agent writes, and Events.
const KINDS: &str = "events.events.k8s.io,syncs.holdfast.dev,imageupdates.holdfast.dev,alerts.holdfast.dev,approvals.holdfast.dev";

/// Fails if a text has a debug form in it.
pub fn check(what: &str, text: &str) -> anyhow::Result<()> {
    for line in text.lines() {
        if let Some(form) = debug_form(line) {
            bail!("{what} has the debug form {form} in it: {line}");
        }
    }
    Ok(())
}

/// The first debug form of a line: a known one, or a struct with named fields, `Name { field: `.
fn debug_form(line: &str) -> Option<String> {
    if let Some(form) = FORMS.iter().find(|form| line.contains(**form)) {
        return Some((*form).to_owned());
    }
    line.match_indices(" { ").find_map(|(at, brace)| {
        let is_word = |character: char| character.is_ascii_alphanumeric() || character == '_';
        let name = line[..at].rsplit(|character| !is_word(character)).next()?;
        let rest = &line[at + brace.len()..];
        let field = rest.split(|character| !is_word(character)).next()?;
        let is_struct = name.starts_with(|first: char| first.is_ascii_uppercase())
            && field.starts_with(|first: char| first.is_ascii_lowercase())
            && rest[field.len()..].starts_with(": ");
        is_struct.then(|| format!("{name} {{ {field}: "))
    })
}

/// Fails if a status or an Event in a cluster has a debug form in it. A cluster that does not answer any more says nothing.
pub fn check_cluster(kubectl: &Path, kubeconfig: &Path) -> anyhow::Result<()> {
    let mut command = Command::new(kubectl);
    command.args(["get", KINDS, "--all-namespaces", "--output=json", "--request-timeout=5s"]);
    let Ok(output) = command.env("KUBECONFIG", kubeconfig).output() else { return Ok(()) };
    let Ok(list) = serde_json::from_slice::<Value>(&output.stdout) else { return Ok(()) };
    for item in list["items"].as_array().into_iter().flatten() {
        let (kind, metadata) = (item["kind"].as_str().unwrap_or_default(), &item["metadata"]);
        let what = format!("{kind} {}/{}", text(&metadata["namespace"]), text(&metadata["name"]));
        check(&what, &item["status"].to_string().replace("\\\"", "\""))?;
        check(&what, text(&item["note"]))?;
    }
    Ok(())
}

fn text(value: &Value) -> &str {
    value.as_str().unwrap_or_default()
}

/// The log of an agent, which is read when the agent ends.
pub struct Log(pub PathBuf);

impl Log {
    /// Fails if a line so far has a debug form in it.
    pub fn check(&self) -> anyhow::Result<()> {
        let text = std::fs::read(&self.0).unwrap_or_default();
        check("the log of the agent", &String::from_utf8_lossy(&text).replace("\\\"", "\""))
    }
}

impl Drop for Log {
    fn drop(&mut self) {
        if !std::thread::panicking() {
            let found = self.check().map_err(|error| error.to_string());
            assert_eq!(found, Ok(()));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::debug_form;

    #[test]
    fn debug_forms_are_told_from_words_and_from_json() {
        let check = |line: &str, found: bool| assert_eq!(debug_form(line).is_some(), found, "{line}");
        check("ApiError: no (Status { status: Some(Failure), code: 403 })", true);
        check("cannot read: Status { code: 403, message: \"no\" }", true);
        check("cannot read: Os { code: 2, kind: NotFound }", true);
        check("Service(hyper::Error(Connect, ConnectError(\"tcp connect error\")))", true);
        check("thread 'main' panicked at src/main.rs:1", true);
        check("add to spec.drift.ignore: {target: {kind: A, name: web}, paths: [/spec/replicas]}", false);
        check("{\"status\":{\"code\":403},\"kind\":\"Status\"}", false);
        check("Deployment.apps shop/web: /spec/replicas is 5, Git has 3", false);
        check("the value {a: b} of A { is } odd", false);
    }
}
