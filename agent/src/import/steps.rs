//! The steps that hand objects over from another tool, in an order in which nothing is deleted. Pure.

use std::fmt::Write as _;

use serde::Serialize;

use super::output::Draft;
use super::shell;

/// One step.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Step {
    pub title: String,
    pub text: String,
    pub commands: Vec<String>,
}

impl Step {
    pub fn new(title: &str, text: impl Into<String>, commands: Vec<String>) -> Self {
        Self { title: title.to_owned(), text: text.into(), commands }
    }
}

/// Sets what a Sync does while the other tool is there: nothing without an approval. `policy` and `mode` are what it does
/// afterwards, and `deletion` what then becomes of its objects when it is deleted.
pub fn observe(draft: &mut Draft, policy: Option<&str>, mode: Option<&str>, deletion: Option<&str>) {
    draft.set_for_now("approval", "Always", policy);
    draft.set_for_now("drift.mode", "Report", mode);
    draft.set_for_now("deletion", "Orphan", deletion);
}

/// The steps before the other tool stops.
pub fn first(tool: &str, syncs: &[&Draft], command: &str) -> Vec<Step> {
    let of = |verb: &str| -> Vec<String> {
        syncs
            .iter()
            .map(|sync| shell::command(&["holdfast", verb, &sync.name, "-n", &sync.namespace]))
            .collect()
    };
    vec![
        Step::new(
            "Apply the resources, and change nothing",
            format!(
                "The Syncs have approval: Always, drift.mode: Report and deletion: Orphan: they plan and report, and write nothing \
                 to the objects of {tool}. Do first what is listed above as to do. The second file is for the last step: write it now, since the \
                 objects of {tool} change in between."
            ),
            vec![
                format!("{command} > holdfast.yaml"),
                format!("{command} --final > holdfast-final.yaml"),
                "kubectl apply --server-side -f holdfast.yaml".to_owned(),
            ],
        ),
        Step::new(
            "Compare",
            "Each plan should only adopt objects. A change of a field is a difference between both renders: correct it in Git or in the \
             Sync, until none is left that you do not want. A deletion or recreation in a plan is a reason to stop."
                .to_owned(),
            of("plan"),
        ),
    ]
}

/// The steps after the other tool has stopped.
pub fn take(tool: &str, syncs: &[&Draft]) -> Vec<Step> {
    let approve = |sync: &&Draft| {
        let words = ["holdfast", "approve", &sync.name, "-n", &sync.namespace, "--reason"];
        format!("{} \"handed over from {tool}\"", shell::command(&words))
    };
    let look = |sync: &&Draft| shell::command(&["holdfast", "status", &sync.name, "-n", &sync.namespace]);
    let drift = |sync: &&Draft| shell::command(&["holdfast", "drift", &sync.name, "-n", &sync.namespace]);
    vec![
        Step::new(
            "Hand over",
            format!(
                "Approve the plan of each Sync, dependencies first. The objects get the label of their Sync, and the labels, annotations \
                 and fields that only {tool} had set are removed; no object is deleted or created again."
            ),
            syncs.iter().map(approve).collect(),
        ),
        Step::new(
            "Verify",
            "Each Sync is Ready, and there is no drift.".to_owned(),
            syncs.iter().flat_map(|sync| [look(sync), drift(sync)]).collect(),
        ),
    ]
}

/// The step that gives the Syncs what they do from now on.
pub fn last() -> Step {
    Step::new(
        "Let Holdfast act",
        "With --final the resources have the policies that they have from now on: approval, drift.mode and deletion. Commit them to Git \
         as well.",
        vec!["kubectl apply --server-side -f holdfast-final.yaml".to_owned()],
    )
}

/// Writes the steps as text.
pub fn text(steps: &[Step]) -> String {
    let mut text = String::from("Steps, in this order\n");
    for (at, step) in steps.iter().enumerate() {
        let _ = writeln!(text, "  {}. {}. {}", at + 1, step.title, step.text);
        for command in &step.commands {
            let _ = writeln!(text, "       {command}");
        }
    }
    text
}
