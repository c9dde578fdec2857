//! Which files of a folder are not rendered: `.holdfastignore` and `.sourceignore`, in the syntax of gitignore.
//!
//! The files are read at the root of the tree, at the folder that is rendered, and in every folder below it, and hold for
//! what is below them, the deeper ones last. Pure.

use std::sync::Arc;

use holdfast_diff::files::{Files, FilesError};
use ignore::Match;
use ignore::gitignore::{Gitignore, GitignoreBuilder};

/// The names of such files, the later one stronger.
const NAMES: [&str; 2] = [".sourceignore", ".holdfastignore"];

/// The file of a chart.
const HELM: &str = ".helmignore";

/// The most bytes and patterns of one file: each file of the tree is matched with all of them.
const LONGEST: usize = 64 * 1024;
const PATTERNS: usize = 1000;

/// The rules of a folder and of all folders above it.
#[derive(Clone, Default)]
pub struct Ignored {
    rules: Vec<(String, Arc<Gitignore>)>,
    /// What the Sync excludes, which is stronger than all rules.
    excluded: Option<(String, Arc<Gitignore>)>,
}

impl Ignored {
    /// The rules at the root, if the folder is not the root itself.
    pub fn at_root(files: &dyn Files, folder: &str) -> Result<Self, FilesError> {
        if folder.is_empty() { Ok(Self::default()) } else { Self::default().and(files, "") }
    }

    /// The same with the rules that are in a folder.
    pub fn and(&self, files: &dyn Files, folder: &str) -> Result<Self, FilesError> {
        let mut all = self.clone();
        for name in NAMES {
            let path = if folder.is_empty() { name.to_owned() } else { format!("{folder}/{name}") };
            let Some(bytes) = files.read(&path)? else { continue };
            all.rules.push((folder.to_owned(), Arc::new(rules(&path, &bytes)?)));
        }
        Ok(all)
    }

    /// The same with patterns of the Sync, which are relative to the folder that it renders.
    pub fn excluding(self, folder: &str, patterns: &[String]) -> Result<Self, FilesError> {
        if patterns.is_empty() {
            return Ok(self);
        }
        let rules = excluded(patterns)?;
        Ok(Self { excluded: Some((folder.to_owned(), Arc::new(rules))), ..self })
    }

    /// True if what stands at a path is left out.
    pub fn has(&self, path: &str, is_folder: bool) -> bool {
        for (folder, rules) in self.rules.iter().chain(&self.excluded).rev() {
            let below = path.strip_prefix(folder.as_str()).unwrap_or(path).trim_start_matches('/');
            match rules.matched(below, is_folder) {
                Match::Ignore(_) => return true,
                Match::Whitelist(_) => return false,
                Match::None => {}
            }
        }
        false
    }
}

/// What `.helmignore` leaves out of a chart, as far as gitignore's syntax is Helm's. Helm itself reads it too, so it decides
/// nothing but whether a file is missed that cannot be read.
pub struct HelmIgnored(Option<(String, Gitignore)>);

impl HelmIgnored {
    /// The rules of the chart in a folder.
    pub fn of(files: &dyn Files, folder: &str) -> Result<Self, FilesError> {
        let path = if folder.is_empty() { HELM.to_owned() } else { format!("{folder}/{HELM}") };
        let bytes = files.read(&path)?;
        let rules = bytes.and_then(|bytes| rules(&path, &bytes).ok());
        Ok(Self(rules.map(|rules| (folder.to_owned(), rules))))
    }

    /// True if a file is left out, or a folder that it is in.
    pub fn has(&self, path: &str) -> bool {
        let Some((folder, rules)) = &self.0 else { return false };
        let below = path.strip_prefix(folder.as_str()).unwrap_or(path).trim_start_matches('/');
        rules.matched_path_or_any_parents(below, false).is_ignore()
    }
}

/// The patterns of `spec.render.plain.exclude`.
fn excluded(patterns: &[String]) -> Result<Gitignore, FilesError> {
    let refused = |said: String| FilesError(format!("spec.render.plain.exclude: {said}"));
    if patterns.len() > PATTERNS || patterns.iter().map(String::len).sum::<usize>() > LONGEST {
        return Err(refused(format!(
            "more than {PATTERNS} patterns or {LONGEST} bytes; write fewer patterns"
        )));
    }
    let mut builder = GitignoreBuilder::new("");
    for pattern in patterns {
        let line = pattern.strip_prefix("./").unwrap_or(pattern);
        builder.add_line(None, line).map_err(|error| refused(format!("{error}: correct the pattern")))?;
    }
    builder.build().map_err(|error| refused(error.to_string()))
}

fn rules(path: &str, bytes: &[u8]) -> Result<Gitignore, FilesError> {
    let text = str::from_utf8(bytes).map_err(|_| FilesError(format!("{path}: the file is not UTF-8")))?;
    if bytes.len() > LONGEST || text.lines().count() > PATTERNS {
        return Err(FilesError(format!(
            "{path}: the file has more than {LONGEST} bytes or {PATTERNS} lines; write fewer patterns"
        )));
    }
    let mut builder = GitignoreBuilder::new("");
    for (number, line) in text.trim_start_matches('\u{feff}').lines().enumerate() {
        builder
            .add_line(None, line)
            .map_err(|error| FilesError(format!("{path}:{}: {error}: correct the pattern", number + 1)))?;
    }
    builder.build().map_err(|error| FilesError(format!("{path}: {error}")))
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;

    #[test]
    fn patterns_mean_what_they_mean_to_git() {
        let rules = rules("x", b"# note\n*.md\n/charts/\n!keep.md\ntmp/**/*.yaml\n").unwrap();
        let ignored = Ignored { rules: vec![("shop".to_owned(), Arc::new(rules))], excluded: None };
        let cases = [
            ("shop/readme.md", false, true),
            ("shop/a/readme.md", false, true),
            ("shop/a/keep.md", false, false),
            ("shop/charts", true, true),
            ("shop/a/charts", true, false),
            ("shop/tmp/a/b.yaml", false, true),
            ("shop/web.yaml", false, false),
        ];
        for (path, is_folder, expected) in cases {
            assert_eq!(ignored.has(path, is_folder), expected, "{path}");
        }
    }

    #[test]
    fn patterns_of_a_sync_are_stronger_than_those_of_files() {
        let rules = rules("x", b"*.md\n!trivy.yaml\n").unwrap();
        let ignored = Ignored { rules: vec![("shop".to_owned(), Arc::new(rules))], excluded: None };
        let patterns = ["./trivy.yaml", "/charts/", "**/tests/*.yaml", "!keep.md"].map(str::to_owned);
        let ignored = ignored.excluding("shop", &patterns).unwrap();
        for (path, is_folder, expected) in [
            ("shop/trivy.yaml", false, true),
            ("shop/a/trivy.yaml", false, true),
            ("shop/charts", true, true),
            ("shop/a/charts", true, false),
            ("shop/a/tests/b.yaml", false, true),
            ("shop/keep.md", false, false),
            ("shop/other.md", false, true),
            ("shop/web.yaml", false, false),
        ] {
            assert_eq!(ignored.has(path, is_folder), expected, "{path}");
        }
        let error = Ignored::default().excluding("", &["[z-a]".to_owned()]).err().unwrap().to_string();
        assert!(error.starts_with("spec.render.plain.exclude: ") && error.contains("[z-a]"), "{error}");
    }

    #[test]
    fn a_folder_that_helm_leaves_out_is_left_out_with_what_is_in_it() {
        let rules = rules("x", b"docs/\n*.png\n").unwrap();
        let ignored = HelmIgnored(Some(("charts/web".to_owned(), rules)));
        for (path, expected) in [
            ("charts/web/docs/a/b.yaml", true),
            ("charts/web/files/logo.png", true),
            ("charts/web/files/values.txt", false),
        ] {
            assert_eq!(ignored.has(path), expected, "{path}");
        }
        assert!(!HelmIgnored(None).has("charts/web/docs"));
    }

    #[test]
    fn a_bad_pattern_is_told_with_its_line() {
        let error = rules("shop/.holdfastignore", b"ok\n[z-a]\n").err().unwrap().to_string();
        assert!(error.starts_with("shop/.holdfastignore:2: "), "{error}");
    }
}
