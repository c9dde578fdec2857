//! The type of a resource: group, version and kind.
//!
//! Pure.

use std::fmt;

use smol_str::SmolStr;

/// Group, version and kind. In selectors an empty part matches any.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Gvk {
    /// Empty for the core group.
    pub group: SmolStr,
    pub version: SmolStr,
    pub kind: SmolStr,
}

impl Gvk {
    /// Creates the value from `group/version` or `version`, and a kind.
    pub fn new(api_version: &str, kind: &str) -> Self {
        let (group, version) = api_version.split_once('/').unwrap_or(("", api_version));
        Self { group: group.into(), version: version.into(), kind: kind.into() }
    }

    pub fn api_version(&self) -> String {
        if self.group.is_empty() {
            self.version.to_string()
        } else {
            format!("{}/{}", self.group, self.version)
        }
    }

    /// True if every part that the selector sets is equal.
    pub fn is_selected(&self, selector: &Self) -> bool {
        let same = |selected: &SmolStr, own: &SmolStr| selected.is_empty() || selected == own;
        same(&selector.group, &self.group)
            && same(&selector.version, &self.version)
            && same(&selector.kind, &self.kind)
    }
}

/// Displays as `Deployment.v1.apps`, with `[noKind]`, `[noVer]` and `[noGrp]` for missing parts.
impl fmt::Display for Gvk {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let or = |text: &SmolStr, missing: &'static str| {
            if text.is_empty() { missing.to_owned() } else { text.to_string() }
        };
        let (kind, version) = (or(&self.kind, "[noKind]"), or(&self.version, "[noVer]"));
        write!(f, "{kind}.{version}.{}", or(&self.group, "[noGrp]"))
    }
}
