//! What an import says beside its resources: which field of which object has no counterpart, or another effect, and what to do.
//! Pure.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;

use serde::Serialize;

/// What became of a field, the gravest first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub enum Level {
    /// The object is not imported.
    Refused,
    /// The field has no counterpart, and its effect is lost.
    Missing,
    /// The field is mapped, and has another effect.
    Changed,
    /// A person must do something, such as making a Secret.
    Action,
    /// The field is not needed.
    NotNeeded,
}

/// The path of a field without the numbers of items, what becomes of it, and what to do.
pub type Advice = (&'static str, Level, &'static str);

/// One remark.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub struct Note {
    pub level: Level,
    /// `Kustomization flux-system/apps`.
    pub object: String,
    /// Path of the field; empty for a remark about the whole object.
    pub field: String,
    /// What becomes of it, and what to do.
    pub text: String,
    /// A command that does it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub command: Option<String>,
}

/// The remarks about one object.
pub struct Notes<'n> {
    object: String,
    all: &'n mut Vec<Note>,
}

impl<'n> Notes<'n> {
    pub fn about(object: impl Into<String>, all: &'n mut Vec<Note>) -> Self {
        Self { object: object.into(), all }
    }

    pub fn add(&mut self, level: Level, field: impl Into<String>, text: impl Into<String>) {
        self.push(level, field.into(), text.into(), None);
    }

    pub fn refused(&mut self, field: impl Into<String>, text: impl Into<String>) {
        self.add(Level::Refused, field, text);
    }

    pub fn missing(&mut self, field: impl Into<String>, text: impl Into<String>) {
        self.add(Level::Missing, field, text);
    }

    pub fn changed(&mut self, field: impl Into<String>, text: impl Into<String>) {
        self.add(Level::Changed, field, text);
    }

    pub fn not_needed(&mut self, field: impl Into<String>, text: impl Into<String>) {
        self.add(Level::NotNeeded, field, text);
    }

    pub fn action(&mut self, field: impl Into<String>, text: impl Into<String>, command: impl Into<String>) {
        self.push(Level::Action, field.into(), text.into(), Some(command.into()));
    }

    fn push(&mut self, level: Level, field: String, text: String, command: Option<String>) {
        self.all.push(Note { level, object: self.object.clone(), field, text, command });
    }
}

impl Level {
    const ALL: [Self; 5] = [Self::Refused, Self::Missing, Self::Changed, Self::Action, Self::NotNeeded];

    fn title(self) -> &'static str {
        match self {
            Self::Refused => "Not imported",
            Self::Missing => "No counterpart: the effect is lost unless you do what is said",
            Self::Changed => "Imported with another effect",
            Self::Action => "To do before the Syncs work",
            Self::NotNeeded => "Not needed",
        }
    }
}

/// Leaves each remark once, where it came first: what several resources are made from is read for each of them.
pub fn distinct(notes: Vec<Note>) -> Vec<Note> {
    let mut seen = BTreeSet::new();
    notes.into_iter().filter(|note| seen.insert(note.clone())).collect()
}

/// Writes the remarks as text, in groups: the same remark about several objects is one paragraph that names all of them.
pub fn text(notes: &[Note]) -> String {
    let mut text = String::new();
    for level in Level::ALL {
        let mut groups: BTreeMap<(&str, &str), Vec<&Note>> = BTreeMap::new();
        for note in notes.iter().filter(|note| note.level == level) {
            groups.entry((&note.field, &note.text)).or_default().push(note);
        }
        if groups.is_empty() {
            continue;
        }
        let _ = writeln!(text, "{}", level.title());
        for ((field, said), notes) in groups {
            let mut objects: Vec<&str> = notes.iter().map(|note| &*note.object).collect();
            objects.dedup();
            let field = if field.is_empty() { String::new() } else { format!(" {field}") };
            let _ = writeln!(text, "  {}{field}: {said}", objects.join(", "));
            let mut commands: Vec<&str> = notes.iter().filter_map(|note| note.command.as_deref()).collect();
            commands.dedup();
            for command in commands {
                let _ = writeln!(text, "    {command}");
            }
        }
        text.push('\n');
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_same_remark_about_several_objects_is_one_paragraph() {
        let mut all = Vec::new();
        for name in ["a", "b"] {
            let mut notes = Notes::about(format!("Kustomization x/{name}"), &mut all);
            notes.not_needed("spec.retryInterval", "what failed is repeated by itself");
            notes.not_needed("spec.retryInterval", "what failed is repeated by itself");
            notes.action("spec.secretRef", "copy the Secret", format!("kubectl copy {name}"));
        }
        Notes::about("Bucket x/c", &mut all).refused("", "there is no source of this kind");
        let expected = "Not imported
  Bucket x/c: there is no source of this kind

To do before the Syncs work
  Kustomization x/a, Kustomization x/b spec.secretRef: copy the Secret
    kubectl copy a
    kubectl copy b

Not needed
  Kustomization x/a, Kustomization x/b spec.retryInterval: what failed is repeated by itself

";
        assert_eq!(text(&distinct(all)), expected);
    }
}
