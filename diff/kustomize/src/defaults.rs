//! The fields that transformers change by default, read once from a table.
//!
//! The table (`defaults/tables.txt`) has a section for each transformer: `[images]`, or `[nameReference Secret.v1]`
//! for references to resources whose name changes. A line is a path, `+` if a missing field is created,
//! and the kinds, each as `kind.version.group`; `*` is any kind. Pure.

use std::sync::LazyLock;

use super::config::{NameReference, TransformerConfig};
use super::error::KustomizeError;
use super::fieldspec::FieldSpec;
use super::id::Gvk;

static TABLES: LazyLock<TransformerConfig> = LazyLock::new(|| {
    let mut config = TransformerConfig::default();
    let mut sections = include_str!("defaults/tables.txt").split("\n[");
    sections.by_ref().for_each(|section| read_section(&mut config, section.trim_start_matches('[')));
    config.sort();
    config
});

/// The built-in configuration.
pub fn built_in() -> &'static TransformerConfig {
    &TABLES
}

impl TransformerConfig {
    /// Returns the built-in tables, extended by the files of `configurations`.
    ///
    /// # Errors
    /// Two specs of a field disagree on whether it is created.
    pub fn with_files(files: impl IntoIterator<Item = Self>) -> Result<Self, KustomizeError> {
        let mut added = None;
        for mut file in files {
            file.sort();
            added = Some(added.unwrap_or_else(Self::default).merge(&file)?);
        }
        match added {
            Some(added) => built_in().clone().merge(&added),
            None => Ok(built_in().clone()),
        }
    }

    /// Combines both, without duplicates.
    ///
    /// # Errors
    /// Two specs of a field disagree on whether it is created.
    pub fn merge(self, other: &Self) -> Result<Self, KustomizeError> {
        // Most builds only have the built-in tables, which have no conflicts.
        let built_in = built_in();
        if other == built_in && (self == *built_in || self == Self::default()) {
            return Ok(other.clone());
        }
        self.join(other)
    }
}

fn read_section(config: &mut TransformerConfig, section: &str) {
    let (header, lines) = section.split_once("]\n").unwrap_or((section, ""));
    let specs: Vec<FieldSpec> = lines.lines().flat_map(read_line).collect();
    if let Some(target) = header.strip_prefix("nameReference ") {
        let Gvk { group, version, kind } = read_gvk(target);
        config.name_reference.push(NameReference { group, version, kind, field_specs: specs });
    } else if let Some(table) = config.table_mut(header) {
        *table = specs;
    }
}

fn read_line(line: &str) -> Vec<FieldSpec> {
    let mut words = line.split(' ');
    let Some(path) = words.next().filter(|path| !path.is_empty()) else { return Vec::new() };
    let mut kinds: Vec<&str> = words.collect();
    let create = kinds.first() == Some(&"+");
    if create {
        kinds.remove(0);
    }
    let spec = |kind: &str| {
        let Gvk { group, version, kind } = read_gvk(kind);
        FieldSpec { group, version, kind, path: path.into(), create }
    };
    kinds.into_iter().map(spec).collect()
}

fn read_gvk(text: &str) -> Gvk {
    let mut parts = text.splitn(3, '.');
    let mut part = || parts.next().unwrap_or_default();
    let (kind, version, group) = (part(), part(), part());
    Gvk { group: group.into(), version: version.into(), kind: if kind == "*" { "" } else { kind }.into() }
}

#[cfg(test)]
mod tests {
    use super::built_in;

    #[test]
    fn every_line_of_the_table_is_read() {
        let config = built_in();
        let counts = [
            config.name_prefix.len(),
            config.name_suffix.len(),
            config.namespace.len(),
            config.common_labels.len(),
            config.template_labels.len(),
            config.common_annotations.len(),
            config.images.len(),
            config.replicas.len(),
            config.var_reference.len(),
            config.name_reference.len(),
            config.name_reference.iter().map(|reference| reference.field_specs.len()).sum(),
        ];
        assert_eq!(counts, [1, 1, 3, 32, 10, 9, 6, 4, 72, 16, 167]);
    }
}
