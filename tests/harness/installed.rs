//! Programs of the control plane that this machine has: in the folder `KUBEBUILDER_ASSETS`, or on the `PATH`.
//!
//! A program of another minor version than the suites are written for is not used. I/O: processes, disk.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use crate::tools::progress;

/// A program that may be installed.
#[derive(Clone, Copy, Debug)]
pub struct Program {
    pub name: &'static str,
    /// The arguments that make it print its version.
    pub version: &'static [&'static str],
}

pub const APISERVER: Program = Program { name: "kube-apiserver", version: &["--version"] };
pub const CONTROLLER_MANAGER: Program = Program { name: "kube-controller-manager", version: &["--version"] };
pub const KUBECTL: Program = Program { name: "kubectl", version: &["version", "--client"] };
pub const ETCD: Program = Program { name: "etcd", version: &["--version"] };

impl Program {
    /// The path of the program, if one of the minor version of `wanted` (such as `v1.36.3`) is installed.
    pub fn find(self, wanted: &str) -> Option<PathBuf> {
        let assets = std::env::var_os("KUBEBUILDER_ASSETS").map(PathBuf::from);
        let path = std::env::var_os("PATH").unwrap_or_default();
        if let Some(folder) = &assets {
            match self.in_folder(folder) {
                Some((file, version)) if minor(&version) == minor(wanted) => {
                    progress(&format!("using {} {version} of KUBEBUILDER_ASSETS", self.name));
                    return Some(file);
                }
                Some((_, version)) => progress(&format!(
                    "{} of KUBEBUILDER_ASSETS is {version}; the suites need {wanted}, or another patch of it",
                    self.name
                )),
                None => progress(&format!("KUBEBUILDER_ASSETS has no {}", self.name)),
            }
        }
        let mut found = std::env::split_paths(&path).filter_map(|folder| self.in_folder(&folder));
        let (file, version) = found.find(|(_, version)| minor(version) == minor(wanted))?;
        progress(&format!("using {} ({version})", file.display()));
        Some(file)
    }

    fn in_folder(self, folder: &Path) -> Option<(PathBuf, String)> {
        let file = folder.join(self.name);
        let output = Command::new(&file).args(self.version).stdin(Stdio::null()).output().ok()?;
        let text = String::from_utf8_lossy(&output.stdout).into_owned();
        Some((file, number(&text)?.to_owned()))
    }
}

/// The first word of a text that is a version, such as `v1.36.3` or `3.6.11`.
fn number(text: &str) -> Option<&str> {
    text.split_whitespace().find(|word| minor(word).is_some())
}

/// The major and minor number of a version.
fn minor(version: &str) -> Option<(u32, u32)> {
    let mut numbers = version.trim_start_matches('v').split('.');
    Some((numbers.next()?.parse().ok()?, numbers.next()?.parse().ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_version_of_a_program_is_the_first_number_that_it_prints() {
        assert_eq!(number("Kubernetes v1.36.3\n"), Some("v1.36.3"));
        assert_eq!(number("Client Version: v1.36.0\nKustomize Version: v5.7.1\n"), Some("v1.36.0"));
        assert_eq!(number("etcd Version: 3.6.11\nGo Version: go1.26.8\n"), Some("3.6.11"));
        assert_eq!(number("error: unknown flag: --version"), None);
    }

    #[test]
    fn two_patches_of_a_minor_version_are_alike_and_two_minor_versions_are_not() {
        assert_eq!(minor("v1.36.3"), minor("1.36.0"));
        assert_ne!(minor("v1.36.3"), minor("v1.35.3"));
        assert_eq!(minor("unknown"), None);
    }
}
