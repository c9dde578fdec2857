//! What is known of an object, for people. I/O: the terminal.

use holdfast_diff::plan::fields::Owner;

use super::fields::Field;
use super::pull::Pull;
use super::{Explained, Given};
use crate::cli::drift::label;
use crate::cli::print;

/// Prints all of it.
pub fn print(explained: &Explained) {
    let Explained {
        api_version,
        kind,
        namespace,
        name,
        sync,
        revision,
        place,
        pull_request,
        plan,
        approval,
        fields,
        unknown,
    } = explained;
    print::line(format_args!("{} ({api_version})", label(kind, namespace, name)));
    let row = |title: &str, text: Option<String>| {
        if let Some(text) = text {
            print::line(format_args!("  {title:<13} {text}"));
        }
    };
    row("sync", sync.clone());
    row("revision", revision.clone());
    row("file", place.file.clone());
    row(
        "commit",
        place
            .commit
            .as_ref()
            .map(|commit| format!("{commit} {}", place.subject.as_deref().unwrap_or_default())),
    );
    row("author", place.author.clone());
    row("pull request", pull_request.as_ref().map(pull));
    let plan = plan.as_ref();
    row("applied", plan.map(|entry| format!("{:.0}, {}", entry.at, entry.outcome)));
    row("plan", plan.and_then(|entry| entry.plan.clone()));
    row("approval", approval.as_ref().map(given));
    unknown.iter().for_each(|why| row("unknown", Some(why.clone())));
    print::line("  fields");
    let width = fields.iter().map(|field| field.path.chars().count()).max().unwrap_or(0).min(72);
    for Field { path, owners } in fields {
        let owners: Vec<String> = owners.iter().map(Owner::to_string).collect();
        let owners = if owners.is_empty() { "no manager: a default".to_owned() } else { owners.join(", ") };
        print::line(format_args!("    {path:<width$}  {owners}"));
    }
}

fn pull(Pull { number, url, title, author }: &Pull) -> String {
    let part = |before: &str, text: &Option<String>| {
        text.as_ref().map(|text| format!("{before}{text}")).unwrap_or_default()
    };
    format!("#{number}{}{}{}", part(" ", title), part(" by ", author), part(", ", url))
}

fn given(Given { name, spec }: &Given) -> String {
    let at = spec.origin.as_ref().map(|origin| format!(", in pull request #{}", origin.pull_request));
    format!("{name} by {}: {}{}", spec.approver, spec.reason, at.unwrap_or_default())
}
