//! Applies `.helmignore`, as far as gitignore's syntax is Helm's, to find charts in `charts/` that Helm will not read.
//!
//! Pure.

use ignore::Match;
use ignore::gitignore::{Gitignore, GitignoreBuilder};

use super::HelmError;
use super::archive::Entry;
use super::metadata::Dependency;

/// Maximum size of the file: each file of the chart is matched with all of its patterns.
const LONGEST: usize = 64 * 1024;

/// The patterns of a chart.
pub struct Ignored(Option<Gitignore>);

impl Ignored {
    /// Reads the patterns of the chart in `chart/`. Helm itself reports those that cannot be read.
    pub fn of(files: &[Entry]) -> Self {
        let file = files.iter().find(|file| file.path == "chart/.helmignore");
        let text =
            file.and_then(|file| str::from_utf8(&file.bytes).ok()).filter(|text| text.len() <= LONGEST);
        Self(text.and_then(|text| {
            let mut builder = GitignoreBuilder::new("");
            for line in text.trim_start_matches('\u{feff}').lines() {
                builder.add_line(None, line).ok()?;
            }
            builder.build().ok()
        }))
    }

    /// True if Helm does not read a file.
    pub fn has(&self, path: &str) -> bool {
        self.pattern(path).is_some()
    }

    /// Checks that Helm reads a dependency where it is put.
    ///
    /// # Errors
    ///
    /// A pattern that leaves it out.
    pub fn check(&self, dependency: &Dependency) -> Result<(), HelmError> {
        let Dependency { name, version, repository } = dependency;
        let path = if repository.starts_with("file://") {
            format!("chart/charts/{name}/Chart.yaml")
        } else {
            format!("chart/charts/{name}-{version}.tgz")
        };
        let Some(pattern) = self.pattern(&path) else { return Ok(()) };
        let said = format!(
            "the pattern `{pattern}` leaves the dependency {name} out of charts/, so that Helm does not find it: remove the pattern"
        );
        Err(HelmError::BadChart { file: ".helmignore".to_owned(), said })
    }

    fn pattern(&self, path: &str) -> Option<&str> {
        let below = path.strip_prefix("chart/")?;
        match self.0.as_ref()?.matched_path_or_any_parents(below, false) {
            Match::Ignore(glob) => Some(glob.original()),
            Match::Whitelist(_) | Match::None => None,
        }
    }
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;

    fn ignored(text: &str) -> Ignored {
        Ignored::of(&[Entry { path: "chart/.helmignore".to_owned(), bytes: text.as_bytes().to_vec() }])
    }

    fn dependency(repository: &str) -> Dependency {
        let [name, version] = ["cache", "1.2.0"].map(str::to_owned);
        Dependency { name, version, repository: repository.to_owned() }
    }

    #[test]
    fn a_dependency_that_helm_would_not_find_is_an_error_that_names_the_pattern() {
        let fetched = dependency("https://charts.example.com");
        for (text, pattern) in [
            ("# note\ncharts/\n", "charts/"),
            ("charts", "charts"),
            ("*.tgz\n", "*.tgz"),
            ("/charts/cache-*\n", "/charts/cache-*"),
        ] {
            let said = ignored(text).check(&fetched).unwrap_err().to_string();
            assert!(
                said.contains(&format!("the pattern `{pattern}` leaves the dependency cache out")),
                "{said}"
            );
        }
        for text in ["", "*.md\n", "charts/other/\n", "*.tgz\n!cache-*.tgz\n"] {
            assert!(ignored(text).check(&fetched).is_ok(), "{text}");
        }
        assert!(ignored("*.tgz\n").check(&dependency("file://../cache")).is_ok());
        assert!(ignored("charts/cache/").check(&dependency("file://../cache")).is_err());
    }

    #[test]
    fn a_chart_that_helm_does_not_read_is_none_of_those_that_are_there() {
        let ignored = ignored("/charts/old-*/\n");
        assert!(ignored.has("chart/charts/old-cache/Chart.yaml"));
        assert!(!ignored.has("chart/charts/cache/Chart.yaml"));
        assert!(!ignored.has("chart/old-cache/Chart.yaml"));
    }
}
