//! The owners of the fields of a live object, and the changes of owners that are necessary before an apply, so that a field that
//! leaves Git leaves the cluster.
//!
//! An apply removes a field only if no manager but Holdfast owns it. So at the first apply of an object, Holdfast takes over the
//! fields of tools that describe whole objects; and at every apply, it takes fields that leave Git from all other managers, except
//! controllers, which would write them again. The apply that follows removes them.
//! Follows "Server-Side Apply" of the Kubernetes documentation. Pure.

mod emptied;
mod extras;
mod leftovers;
mod managers;
mod merge;
mod sets;
mod versions;

use serde_json::{Value, json};

pub use self::emptied::{empty, lost};
pub use self::extras::{Extra, extras, less, nulled, set_of};
pub use self::leftovers::{has_any, joined, left_out, not_in, still_in};
pub use self::merge::{applied_to, merge_patch};
pub use self::sets::{Set, pointers};
use self::sets::{common, split, unite, without};
use crate::fields::{self, MANAGER};
pub use crate::ignore::pointer;

/// A change of field owners, made before an apply. It changes no value, except that it removes fields which an apply
/// cannot remove.
#[derive(Clone, Debug, PartialEq)]
pub struct Takeover {
    /// The field managers that lose fields.
    pub managers: Vec<String>,
    /// The version of the object that was read.
    pub resource_version: String,
    /// `metadata.managedFields` as it must be before the apply.
    pub managed_fields: Value,
    /// The fields of other managers that the apply removes. If such a field is written again, its manager is still active.
    pub gone: Set,
    /// A merge patch (RFC 7386) that removes fields, if an apply cannot remove them.
    pub removes: Option<Value>,
}

/// The field sets of a live object.
#[derive(Clone, Debug)]
pub struct Owners {
    resource_version: String,
    api_version: String,
    /// The fields that Holdfast owns by apply. At the first apply, the fields of the managers that described the whole object.
    ours: Set,
    /// The version that `ours` is written in.
    version: String,
    /// The time of the newest entry that `ours` comes from.
    time: String,
    /// The managers that lose all of their fields.
    former: Vec<String>,
    /// Entries were written in versions that are not served any more.
    migrated: bool,
    others: Vec<Other>,
}

#[derive(Clone, Debug)]
struct Other {
    manager: String,
    subresource: String,
    entry: Value,
    fields: Set,
}

/// The fields that leave Git, grouped by what happens to them.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Leaving {
    /// Fields that are removed, whichever managers own them.
    goes: Set,
    /// Fields whose live values stay with their other owners, if there are any.
    handed: Set,
    /// Fields whose live values stay, since a controller owns them too.
    kept: Set,
}

/// Predicates that decide what happens to a field that leaves Git. Each takes the path of the field in segments.
pub struct Rules<'a> {
    pub ignored: &'a dyn Fn(&[String]) -> bool,
    pub handed: &'a dyn Fn(&[String]) -> bool,
    pub returned: &'a dyn Fn(&[String]) -> bool,
}

/// What has to be done about the fields of a live object in addition to the apply.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Settled {
    pub takeover: Option<Takeover>,
    /// Paths (RFC 6901) that leave Git and keep their live values.
    pub handed: Vec<String>,
    /// Paths that leave Git and stay because a controller owns them too.
    pub kept: Vec<String>,
}

/// Returns the takeover that a live object needs before its first apply. `None` if Holdfast has applied it before, or if it has
/// no fields to take over.
pub fn takeover(live: &Value, api_version: &str) -> Option<Takeover> {
    Owners::of(live, api_version).first(live)
}

impl Owners {
    /// Reads the owners of a live object that is applied in this API version.
    pub fn of(live: &Value, api_version: &str) -> Self {
        Self::read(live, api_version, managers::describes)
    }

    /// Reads the owners of an object that is merged with Git: the fields of other managers stay theirs.
    pub fn beside(live: &Value, api_version: &str) -> Self {
        Self::read(live, api_version, |_| false)
    }

    fn read(live: &Value, api_version: &str, is_taken: impl Fn(&str) -> bool) -> Self {
        let applied = fields::applied(live);
        let text = |entry: &Value, name: &str| fields::text(entry, name).unwrap_or_default().to_owned();
        let mut owners = Self {
            resource_version: live
                .pointer("/metadata/resourceVersion")
                .and_then(Value::as_str)
                .unwrap_or_default()
                .to_owned(),
            api_version: api_version.to_owned(),
            ours: Set::new(),
            version: applied.map_or(api_version, |(version, _)| version).to_owned(),
            time: String::new(),
            former: Vec::new(),
            migrated: false,
            others: Vec::new(),
        };
        for entry in fields::entries(live) {
            let Some(set) = entry.get("fieldsV1").and_then(Value::as_object) else { continue };
            let (manager, subresource) = (text(entry, "manager"), text(entry, "subresource"));
            let is_ours = applied.is_some_and(|(_, ours)| std::ptr::eq(ours, &raw const entry["fieldsV1"]));
            let is_former = applied.is_none() && subresource.is_empty() && is_taken(&manager);
            let version = text(entry, "apiVersion");
            let hides = subresource.is_empty() && versions::hides(set, &version, api_version);
            // The API server converts the sets of our own entry, apart from what the other version hides.
            let translates = hides || (is_former && version != api_version);
            let set =
                if translates { versions::translated(set, live, &version, api_version) } else { set.clone() };
            if is_ours || is_former {
                owners.time = owners.time.max(text(entry, "time"));
                owners.former.extend(is_former.then(|| manager.clone()));
                owners.ours = unite(&owners.ours, &set);
                if is_ours && hides {
                    api_version.clone_into(&mut owners.version);
                    owners.migrated = true;
                }
            } else {
                let mut entry = entry.clone();
                if hides {
                    entry["apiVersion"] = api_version.into();
                    entry["fieldsV1"] = set.clone().into();
                }
                owners.others.push(Other { manager, subresource, entry, fields: set });
            }
        }
        owners.former.sort_unstable();
        owners.former.dedup();
        owners
    }

    /// Returns the takeover before the first apply. `None` if this is not the first one, or if there are no fields to take over.
    pub fn first(&self, live: &Value) -> Option<Takeover> {
        let is_first = !self.former.is_empty();
        is_first.then(|| self.settle(live, &Leaving::default(), &Set::new(), None).takeover).flatten()
    }

    /// True if other managers own fields of a set, and none of these managers is a controller.
    pub fn is_of_persons(&self, set: &Set) -> bool {
        let mut owners = self.others.iter().filter(|other| !common(&other.fields, set).is_empty()).peekable();
        owners.peek().is_some() && owners.all(|other| !managers::is_controller(&other.manager))
    }

    /// Other API versions in which field sets are written.
    pub fn other_versions(&self) -> Vec<String> {
        let others = self.others.iter().filter_map(|other| fields::text(&other.entry, "apiVersion"));
        let mut versions: Vec<String> = others.chain([&*self.version]).map(str::to_owned).collect();
        versions.sort_unstable();
        versions.dedup();
        versions.retain(|version| *version != self.api_version);
        versions
    }

    /// Relabels the field sets in these versions with the version that is applied, since the server cannot convert them.
    #[must_use]
    pub fn migrated(mut self, from: &[String]) -> Self {
        self.migrated = !from.is_empty();
        if from.contains(&self.version) {
            self.version.clone_from(&self.api_version);
        }
        for Other { entry, .. } in &mut self.others {
            if fields::text(entry, "apiVersion").is_some_and(|version| from.iter().any(|old| old == version))
            {
                entry["apiVersion"] = self.api_version.as_str().into();
            }
        }
        self
    }

    /// Returns the fields of Holdfast that leave Git with an apply, given the object that the apply makes.
    pub fn leaving(&self, predicted: &Value) -> Leaving {
        let after = fields::applied(predicted).and_then(|(_, fields)| fields.as_object());
        let goes = after.map_or_else(Set::new, |after| without(&self.ours, after));
        Leaving { goes, ..Leaving::default() }
    }

    /// Returns the fields of Holdfast that a manifest does not have.
    pub fn unsaid(&self, manifest: &Value) -> Leaving {
        Leaving { goes: merge::unsaid(&self.ours, manifest), ..Leaving::default() }
    }

    /// Decides which of the leaving fields stay. `ignored` paths are left out, `handed` fields are handed over, and fields that a
    /// controller owns too are kept. `returned` paths came back after they had been removed: their owners count as controllers,
    /// whatever their names are.
    pub fn decide(
        &self,
        Leaving { goes, .. }: Leaving,
        live: &Value,
        Rules { ignored, handed, returned }: &Rules<'_>,
    ) -> Leaving {
        let goes = sets::filter(&goes, live, &mut Vec::new(), &|path| !ignored(path));
        let over = sets::filter(&goes, live, &mut Vec::new(), handed);
        let goes = without(&goes, &over);
        // Fields that Holdfast does not own need no handing over.
        let over = common(&over, &self.ours);
        let controllers = self.others.iter().filter(|other| managers::is_controller(&other.manager));
        let kept = controllers.fold(Set::new(), |kept, other| {
            unite(&kept, &common(&split(&other.fields, &goes, true).1, &goes))
        });
        let back = sets::filter(&goes, live, &mut Vec::new(), returned);
        let kept = self.others.iter().fold(kept, |kept, other| unite(&kept, &common(&other.fields, &back)));
        Leaving { goes: without(&goes, &kept), handed: over, kept }
    }

    /// Returns the live fields of other managers that an apply loses, though they do not leave: it removes a map as a whole if one of
    /// its entries leaves Git.
    pub fn torn(&self, live: &Value, becomes: &Value, leaving: &Leaving, also: &Set) -> Vec<String> {
        let others = self.others.iter().filter(|other| other.subresource.is_empty());
        let stays = others.map(|other| outside_metadata(&other.less(&leaving.goes, also).1));
        let is_lost = |path: &String| becomes.pointer(path).is_none_or(Value::is_null);
        stays.flat_map(|fields| pointers(&fields, live)).filter(is_lost).collect()
    }

    /// The live object without the fields that leave Git, for an apply that would lose the maps around them. Fields of other
    /// managers, and metadata, stay. `None` if nothing leaves.
    pub fn staged(&self, live: &Value, manifest: &Value, leaving: &Leaving, also: &Set) -> Option<Value> {
        let leaving = Leaving { goes: outside_metadata(&leaving.goes), ..Leaving::default() };
        let value = self.without_leaving(live, live, &leaving, &outside_metadata(also))?;
        Some(emptied::with_empty(&value, manifest))
    }

    /// The actions for fields that left Git, and for fields that are removed whatever managers own them. `staged` is the live object
    /// without the fields that have to be removed before the apply.
    pub fn settle(&self, live: &Value, leaving: &Leaving, also: &Set, staged: Option<&Value>) -> Settled {
        let Leaving { goes, handed, kept } = leaving;
        let (mut entries, mut managers) = (Vec::new(), self.former.clone());
        let lost_before = without(goes, &self.ours);
        let mut changed = !self.former.is_empty() || self.migrated || !lost_before.is_empty();
        let mut gone = lost_before.clone();
        for other in &self.others {
            let (lost, rest) = other.less(goes, also);
            if lost.is_empty() {
                entries.push(other.entry.clone());
                continue;
            }
            changed = true;
            gone = unite(&gone, &common(&lost, goes));
            managers.push(other.manager.clone());
            if !rest.is_empty() {
                let mut entry = other.entry.clone();
                entry["fieldsV1"] = rest.into();
                entries.push(entry);
            }
        }
        changed |= !handed.is_empty() || !also.is_empty() || staged.is_some();
        let ours = match staged {
            Some(_) => without(&without(&self.ours, &outside_metadata(goes)), handed),
            None => unite(&without(&unite(&self.ours, &lost_before), handed), also),
        };
        let version =
            if also.is_empty() && lost_before.is_empty() { &self.version } else { &self.api_version };
        entries.push(
            json!({"manager": MANAGER, "operation": "Apply", "apiVersion": version, "time": self.time(),
            "fieldsType": "FieldsV1", "fieldsV1": ours}),
        );
        managers.retain(|manager| manager != MANAGER);
        managers.sort_unstable();
        managers.dedup();
        let takeover = Takeover {
            managers,
            resource_version: self.resource_version.clone(),
            managed_fields: entries.into(),
            gone,
            removes: staged.map(|staged| merge_patch(live, staged)).or_else(|| versions::removal(goes)),
        };
        Settled {
            takeover: changed.then_some(takeover),
            handed: pointers(handed, live),
            kept: pointers(kept, live),
        }
    }

    /// Returns the object that an apply would make, without the fields that are removed as well, and with the live values of the
    /// fields that are handed over. `None` if that is the same object.
    pub fn without_leaving(
        &self,
        predicted: &Value,
        live: &Value,
        Leaving { goes, handed, .. }: &Leaving,
        also: &Set,
    ) -> Option<Value> {
        let mut value = predicted.clone();
        let rests: Vec<(Set, Set)> = self.others.iter().map(|other| other.less(goes, also)).collect();
        // If the apply is only computed, `predicted` is the live object, in which Holdfast still owns the fields that go.
        let after = fields::applied(predicted).and_then(|(_, fields)| fields.as_object());
        let after = after.map(|fields| without(fields, goes).into());
        let kept: Vec<Value> = rests.iter().map(|(_, rest)| rest.clone().into()).chain(after).collect();
        let kept: Vec<&Value> = kept.iter().collect();
        for set in rests.iter().map(|(lost, _)| lost).chain([goes]) {
            merge::remove(&mut value, &set.clone().into(), &kept);
        }
        merge::remove(&mut value, &also.clone().into(), &[]);
        for path in pointers(handed, live) {
            if let Some(before) = live.pointer(&path) {
                merge::put(&mut value, &path, before.clone());
            }
        }
        (value != *predicted).then_some(value)
    }

    /// Returns a manifest with the live values of the kept fields.
    pub fn with_kept(&self, manifest: &Value, live: &Value, Leaving { kept, .. }: &Leaving) -> Value {
        let mut value = manifest.clone();
        merge::overlay_part(&mut value, live, kept);
        value
    }

    /// All field sets.
    fn sets(&self) -> Vec<&Set> {
        std::iter::once(&self.ours).chain(self.others.iter().map(|other| &other.fields)).collect()
    }

    /// The newest time of the fields that are taken over, or else of all fields.
    fn time(&self) -> &str {
        let others = self.others.iter().filter_map(|other| fields::text(&other.entry, "time"));
        if self.time.is_empty() { others.max().unwrap_or(BEGINNING) } else { &self.time }
    }
}

/// The part of a field set that is not in the metadata.
fn outside_metadata(set: &Set) -> Set {
    set.iter()
        .filter(|(key, _)| *key != "f:metadata")
        .map(|(key, inner)| (key.clone(), inner.clone()))
        .collect()
}

/// The union of two sets.
#[must_use]
pub fn both(one: &Set, other: &Set) -> Set {
    unite(one, other)
}

impl Leaving {
    /// True if nothing leaves.
    pub fn is_nothing(&self) -> bool {
        self.goes.is_empty() && self.handed.is_empty() && self.kept.is_empty()
    }

    /// Removes the fields of a set too.
    #[must_use]
    pub fn and(self, set: &Set) -> Self {
        Self { goes: unite(&self.goes, set), ..self }
    }

    /// True if something stays because a controller owns it too.
    pub fn keeps(&self) -> bool {
        !self.kept.is_empty()
    }

    /// The paths of the removed fields.
    pub fn going(&self, live: &Value) -> Vec<String> {
        pointers(&self.goes, live)
    }

    /// Hands over removed fields at the `wanted` paths, instead of removing them.
    #[must_use]
    pub fn handing(self, live: &Value, wanted: &dyn Fn(&[String]) -> bool) -> Self {
        let over = sets::filter(&self.goes, live, &mut Vec::new(), wanted);
        Self { goes: without(&self.goes, &over), handed: unite(&self.handed, &over), kept: self.kept }
    }
}

impl Other {
    /// Splits its fields into those that it loses and the rest. Fields written through the subresource `status` all stay.
    fn less(&self, goes: &Set, also: &Set) -> (Set, Set) {
        if self.subresource == "status" {
            return (Set::new(), self.fields.clone());
        }
        let (lost, rest) = split(&self.fields, goes, managers::is_controller(&self.manager));
        let (more, rest) = split(&rest, also, false);
        (unite(&lost, &more), rest)
    }
}

/// The time of a field whose write has no known time.
const BEGINNING: &str = "1970-01-01T00:00:00Z";

#[cfg(test)]
mod tests;
