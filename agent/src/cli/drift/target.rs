//! An object on the command line: `deployment/web`, `Deployment.apps/web`. Pure.

use std::fmt;
use std::str::FromStr;

use crate::api::{DriftObject, DriftStatus};

/// A kind, an optional group, and a name. The kind is in any case, as it was written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Target {
    pub kind: String,
    pub group: Option<String>,
    pub name: String,
}

/// A text that is not an object.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is not an object; write KIND/NAME, such as deployment/web or Deployment.apps/web")]
pub struct TargetError(String);

impl FromStr for Target {
    type Err = TargetError;

    fn from_str(text: &str) -> Result<Self, TargetError> {
        let error = || TargetError(text.to_owned());
        let (kind, name) = text.split_once('/').ok_or_else(error)?;
        let (kind, group) = match kind.split_once('.') {
            Some((kind, group)) => (kind, Some(group.to_owned())),
            None => (kind, None),
        };
        if kind.is_empty() || name.is_empty() || name.contains('/') || group.as_deref() == Some("") {
            return Err(error());
        }
        Ok(Self { kind: kind.to_owned(), group, name: name.to_owned() })
    }
}

/// The text as it was written.
impl fmt::Display for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { kind, group, name } = self;
        let group = group.as_ref().map(|group| format!(".{group}")).unwrap_or_default();
        write!(f, "{kind}{group}/{name}")
    }
}

impl Target {
    /// True if this is that object. An unknown group matches every group.
    pub fn is(&self, kind: &str, group: Option<&str>, name: &str) -> bool {
        let fits = |wanted: &str| group.is_none_or(|group| group.eq_ignore_ascii_case(wanted));
        self.kind.eq_ignore_ascii_case(kind)
            && self.name == name
            && self.group.as_ref().is_none_or(|wanted| fits(wanted))
    }

    /// Returns the reported objects that match.
    pub fn among<'a>(&self, drift: Option<&'a DriftStatus>) -> Vec<&'a DriftObject> {
        let all = drift.into_iter().flat_map(|drift| &drift.objects);
        all.filter(|reported| self.is(&reported.kind, Some(group(&reported.api_version)), &reported.name))
            .collect()
    }
}

/// Returns the group of an `apiVersion`; empty for the core group.
pub fn group(api_version: &str) -> &str {
    api_version.rsplit_once('/').map_or("", |(group, _)| group)
}

/// Returns `Deployment shop/web`, `Namespace shop`.
pub fn label(kind: &str, namespace: &str, name: &str) -> String {
    if namespace.is_empty() { format!("{kind} {name}") } else { format!("{kind} {namespace}/{name}") }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn target(text: &str) -> Target {
        text.parse().expect(text)
    }

    #[test]
    fn an_object_is_named_by_kind_and_name() {
        let check = |text: &str, kind: &str, group: Option<&str>, expected: bool| {
            assert_eq!(target(text).is(kind, group, "web"), expected, "{text} {kind} {group:?}");
            assert_eq!(target(text).to_string(), text);
        };
        check("deployment/web", "Deployment", Some("apps"), true);
        check("Deployment.apps/web", "Deployment", Some("apps"), true);
        check("deployment.Apps/web", "Deployment", None, true);
        check("deployment.extensions/web", "Deployment", Some("apps"), false);
        check("configmap/web", "Deployment", Some("apps"), false);
        check("deployment/shop", "Deployment", Some("apps"), false);
    }

    #[test]
    fn what_names_no_object_is_refused_with_an_example() {
        for text in ["web", "deployment/", "/web", "deployment./web", ".apps/web", "shop/deployment/web", ""]
        {
            let error = text.parse::<Target>().map_err(|error| error.to_string());
            assert!(error.as_ref().is_err_and(|error| error.contains("deployment/web")), "{text}: {error:?}");
        }
    }
}
