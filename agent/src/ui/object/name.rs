//! The name of an object in an address. Pure.

use std::sync::Arc;

use holdfast_diff::object::{GroupKind, ObjectId};
use url::form_urlencoded;

use crate::ui::form::Form;

/// Characters of each part that are read.
const LONGEST: usize = 253;

/// Which object, as an address names it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ObjectName {
    pub group: String,
    pub kind: String,
    pub namespace: String,
    pub name: String,
}

impl ObjectName {
    /// Reads the query of an address; `None` if it names no object.
    pub fn parse(query: &str) -> Option<Self> {
        let form = Form::parse(query.as_bytes());
        let [group, kind, namespace, name] =
            ["group", "kind", "namespace", "name"].map(|field| form.get(field).to_owned());
        let fits = [&group, &kind, &namespace, &name].iter().all(|part| part.chars().count() <= LONGEST);
        (fits && !kind.is_empty() && !name.is_empty()).then_some(Self { group, kind, namespace, name })
    }

    pub fn id(&self) -> ObjectId {
        let kind = Arc::new(GroupKind::new(self.group.as_str(), self.kind.as_str()));
        ObjectId::new(kind, &self.namespace, &self.name)
    }

    /// True if this is the object with these names.
    pub fn is(&self, api_version: &str, kind: &str, namespace: &str, name: &str) -> bool {
        let group = group(api_version);
        (self.group.as_str(), self.kind.as_str(), self.namespace.as_str(), self.name.as_str())
            == (group, kind, namespace, name)
    }
}

/// The group of an `apiVersion`.
pub fn group(api_version: &str) -> &str {
    api_version.rsplit_once('/').map_or("", |(group, _)| group)
}

/// The address of the page of an object, which the Sync with this address owns.
pub fn address(sync: &str, group: &str, kind: &str, namespace: &str, name: &str) -> String {
    let mut query = form_urlencoded::Serializer::new(String::new());
    let parts = [("group", group), ("kind", kind), ("namespace", namespace), ("name", name)];
    parts.iter().filter(|(_, value)| !value.is_empty()).for_each(|(key, value)| {
        query.append_pair(key, value);
    });
    format!("{sync}/object?{}", query.finish())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_object_is_named_by_its_address() {
        let check = |group: &str, kind: &str, namespace: &str, name: &str| {
            let address = address("/syncs/a/b", group, kind, namespace, name);
            let (path, query) = address.split_once('?').expect("a query");
            let found = ObjectName::parse(query).expect("an object");
            assert_eq!(path, "/syncs/a/b/object");
            assert_eq!(
                (&*found.group, &*found.kind, &*found.namespace, &*found.name),
                (group, kind, namespace, name)
            );
        };
        check("apps", "Deployment", "shop", "web");
        check("", "Namespace", "", "shop");
        check("rbac.authorization.k8s.io", "ClusterRole", "", "system:a&name=b \"<script>");
        assert_eq!(ObjectName::parse("kind=Secret"), None);
        assert_eq!(ObjectName::parse(""), None);
        assert_eq!(ObjectName::parse(&format!("kind=A&name={}", "x".repeat(254))), None);
    }
}
