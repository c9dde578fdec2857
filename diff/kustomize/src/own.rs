//! The files of kustomize itself, which are not resources: kustomizations, configurations, replacements, JSON patches.
//!
//! They are read in the dialect of kubectl (`yaml`), and only their first document. Pure.

use super::error::KustomizeError;
use super::read;
use holdfast_documents::yaml::{Document, Duplicates, read_first};

/// Returns the first document of a file; `None` if it is empty.
pub fn first<'a>(
    file: &str,
    bytes: &'a [u8],
    duplicates: Duplicates,
) -> Result<Option<Document<'a>>, KustomizeError> {
    if bytes.split(|byte| *byte == b'\n').any(is_odd) {
        // The reader of resources reports the mistakes that go-yaml reports.
        read::nodes(file, bytes)?;
    }
    read_first(file, bytes, duplicates).map_err(|error| KustomizeError::in_yaml(&error))
}

/// True for lines that this reader accepts, but go-yaml only in some places: with a leading tab, or the end of a
/// document.
fn is_odd(line: &[u8]) -> bool {
    line.starts_with(b"...") || line.trim_ascii_start().len() + spaces(line) < line.len()
}

fn spaces(line: &[u8]) -> usize {
    line.iter().take_while(|byte| **byte == b' ').count()
}
