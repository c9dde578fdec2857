//! Errors of single objects, with the refusals of the API server explained to the user who has to act.
//!
//! Pure.

use holdfast_diff::applyset::{MARK, PART_OF, SYNC};
use holdfast_diff::causes::Mistake;
use holdfast_diff::object::{ObjectId, Origin};
use kube::core::Status;

use super::early;
use super::requests::refusal;
use super::secret_refusal;
pub use crate::error::chain;
use crate::error::{Class, StageError};

/// One object that cannot be planned, applied or removed.
#[derive(Clone, Debug, thiserror::Error)]
#[error("{object}{}: {message}", at(.origin.as_ref()))]
pub struct ObjectError {
    /// For people: `Deployment.apps shop/web`.
    pub object: String,
    /// The object, if it was resolved: others may need it.
    pub id: Option<ObjectId>,
    /// The file and line of the manifest.
    pub origin: Option<Origin>,
    pub reason: &'static str,
    pub class: Class,
    pub message: String,
    /// The stage that found the error.
    pub stage: &'static str,
}

fn at(origin: Option<&Origin>) -> String {
    origin.map(|origin| format!(" ({origin})")).unwrap_or_default()
}

impl StageError for ObjectError {
    fn class(&self) -> Class {
        self.class
    }

    fn name(&self) -> &'static str {
        self.reason
    }
}

impl ObjectError {
    /// The same error with the object, so that changes which need it can find it.
    #[must_use]
    pub fn of(self, object: &ObjectId) -> Self {
        Self { id: Some(object.clone()), ..self }
    }

    /// Groups the error with others of the same cause: a kind that is not served is one cause.
    pub fn mistake(&self) -> Mistake {
        let place = format!("{}{}", self.object, at(self.origin.as_ref()));
        match self.reason {
            "UnknownKind" => Mistake::named(self.reason, place, &self.message),
            _ => Mistake::new(place, &self.message),
        }
    }

    /// The same error, found at a stage.
    #[must_use]
    pub fn at(self, stage: &'static str) -> Self {
        Self { stage, ..self }
    }

    /// An error that a user must correct, found when the object was observed.
    pub fn user(
        object: &impl ToString,
        origin: Option<&Origin>,
        reason: &'static str,
        message: impl Into<String>,
    ) -> Self {
        Self {
            object: object.to_string(),
            id: None,
            origin: origin.cloned(),
            reason,
            class: Class::User,
            message: message.into(),
            stage: "observe",
        }
    }

    /// A transient error.
    pub fn transient(
        object: &impl ToString,
        origin: Option<&Origin>,
        reason: &'static str,
        message: impl Into<String>,
    ) -> Self {
        Self { class: Class::Transient, ..Self::user(object, origin, reason, message) }
    }

    /// Explains the answer of the API server to a request about an object. A message about a Secret can quote its values, so it is
    /// cut before the first place where it may.
    pub fn from_server(object: &ObjectId, origin: Option<&Origin>, error: &kube::Error) -> Self {
        let id = Some(object.clone());
        let Some(status) = refusal(error) else {
            let message = format!("the API server did not answer: {}", chain(error));
            return Self { id, ..Self::transient(object, origin, "Unreachable", message) };
        };
        let (class, reason, message) = explain(status);
        let message = if object.kind.is("", "Secret") && reason != "Forbidden" {
            secret_refusal::without_values(status, class, message)
        } else {
            message
        };
        Self { id, class, ..Self::user(object, origin, reason, message) }
    }

    /// The API server stores an object without its mark, so that it would not be a member of any set.
    pub fn mark_lost(object: &ObjectId, origin: Option<&Origin>) -> Self {
        let message = format!(
            "the API server stored it without its labels and annotations of ownership ({PART_OF}, {SYNC}, {MARK}), so it could never be pruned; change the admission webhook or policy that removes them"
        );
        Self { id: Some(object.clone()), ..Self::user(object, origin, "MarkRemoved", message) }
    }
}

/// True if an admission webhook or policy refuses, and not the API server itself.
pub fn is_denial(status: &Status) -> bool {
    let said = &status.message;
    said.contains("denied request") || said.contains("denied the request")
}

/// True if the identity of the request lacks a right.
pub fn is_missing_right(status: &Status) -> bool {
    status.code == 403 && status.message.contains(" cannot ")
}

/// True if the server refused the values of an object.
pub fn is_invalid(error: &kube::Error) -> bool {
    refusal(error).is_some_and(|status| status.code == 422)
}

/// True if an admission webhook was not asked, because it takes part in no dry run.
pub fn is_webhook_without_dry_run(error: &kube::Error) -> bool {
    refusal(error).is_some_and(|status| status.message.contains("does not support dry run"))
}

/// Returns the fields that a refusal names, as in `spec.ports[1].name`.
pub fn fields_of(error: &kube::Error) -> Vec<String> {
    let details = refusal(error).and_then(|status| status.details.as_ref());
    let fields: Vec<String> =
        details.into_iter().flat_map(|details| &details.causes).map(|cause| cause.field.clone()).collect();
    // A refusal that names no field is about the whole object.
    if fields.is_empty() { vec![String::new()] } else { fields }
}

/// Returns the class, the reason and the message of a refusal.
fn explain(status: &Status) -> (Class, &'static str, String) {
    let said = status.message.as_str();
    if is_denial(status) {
        return (Class::User, "Denied", said.to_owned());
    }
    match status.code {
        401 => (
            Class::User,
            "Unauthorized",
            format!("the API server does not accept the agent's credentials: {said}"),
        ),
        _ if is_missing_right(status) => (Class::User, "Forbidden", missing_right(said)),
        403 if said.contains("because it is being terminated") => {
            (Class::Transient, "NamespaceTerminating", said.to_owned())
        }
        403 if early::is_not_made_yet(said) => (Class::Transient, "NotMadeYet", said.to_owned()),
        403 => (Class::User, "Denied", said.to_owned()),
        404 if said.contains("namespaces ") => {
            (Class::User, "NamespaceNotFound", format!("{said}; add the Namespace to Git, or create it"))
        }
        404 => (Class::Transient, "NotFound", said.to_owned()),
        409 => (Class::Transient, "Conflict", said.to_owned()),
        413 => (Class::User, "TooLarge", format!("the object is too large for the API server: {said}")),
        400 | 422 => (Class::User, "Invalid", with_quotes(said)),
        // Some API servers answer a server-side apply of a field that is not in the schema with an internal error.
        500 if [
            "failed to create typed patch object",
            "field not declared in schema",
            "illegal base64 data",
        ]
        .iter()
        .any(|mistake| said.contains(mistake)) =>
        {
            (Class::User, "Invalid", with_quotes(said))
        }
        500 if said.contains("failed calling webhook") => (
            Class::Transient,
            "WebhookFailed",
            format!("an admission webhook of the cluster does not answer: {said}"),
        ),
        429 | 500..=599 => (Class::Transient, "ServerError", said.to_owned()),
        _ => (Class::Transient, "Refused", said.to_owned()),
    }
}

/// Explains a field with the name of a boolean: YAML 1.1 reads `on:` as `true:`.
fn with_quotes(said: &str) -> String {
    let names = ["\"spec.true\"", "\"true\"", ".spec.true", "\"spec.false\"", ".spec.false"];
    let is_unknown = said.contains("unknown field") || said.contains("not declared in schema");
    if is_unknown && names.iter().any(|name| said.contains(name)) {
        let why =
            "YAML reads on, off, yes and no as booleans: write the name of the field in quotes (\"on\":)";
        return format!("{said}; {why}");
    }
    said.to_owned()
}

/// Returns the message of a refused list or watch.
pub fn said(error: &kube::Error) -> String {
    explained(error).1
}

/// Returns the class and the message of a request that failed.
pub fn explained(error: &kube::Error) -> (Class, String) {
    let answer = refusal(error).map(explain);
    answer.map_or_else(|| (Class::Transient, chain(error)), |(class, _, message)| (class, message))
}

/// `... User "u" cannot patch resource "deployments" in API group "apps" in the namespace "x"` with what to do.
fn missing_right(said: &str) -> String {
    let quoted: Vec<&str> = said.split('"').skip(1).step_by(2).collect();
    let verb = said.split(" cannot ").nth(1).and_then(|rest| rest.split(' ').next());
    let resource = said.split("resource \"").nth(1).and_then(|rest| rest.split('"').next());
    let user = said.split("User \"").nth(1).and_then(|rest| rest.split('"').next());
    let place = match said.split("in the namespace \"").nth(1).and_then(|rest| rest.split('"').next()) {
        Some(namespace) => format!("in namespace {namespace}"),
        None => "in the whole cluster".to_owned(),
    };
    match (user, verb, resource) {
        (Some(user), Some(verb), Some(resource)) if quoted.len() >= 3 => {
            let group = said
                .split("in API group \"")
                .nth(1)
                .and_then(|rest| rest.split('"').next())
                .unwrap_or_default();
            let dot = if group.is_empty() { "" } else { "." };
            let needs = verb == "impersonate" || TENANT.contains(&resource);
            let bind = if needs { binding(user, said) } else { String::new() };
            format!(
                "{user} may not {verb} {resource}{dot}{group} {place}; grant the verb {verb} on {resource}{dot}{group} there{bind}"
            )
        }
        _ => said.to_owned(),
    }
}

/// What the agent needs a right on in the namespace of a tenant, beside impersonation.
const TENANT: [&str; 4] = ["secrets", "configmaps", "approvals", "localsubjectaccessreviews"];

/// Says how the agent, installed with `manifests/`, gets the rights that it needs in the namespace of a tenant.
fn binding(user: &str, said: &str) -> String {
    let account =
        user.strip_prefix("system:serviceaccount:").filter(|account| account.ends_with(":holdfast"));
    let namespace = said.split("in the namespace \"").nth(1).and_then(|rest| rest.split('"').next());
    let (Some(account), Some(namespace)) = (account, namespace) else { return String::new() };
    format!(
        ", for example with: kubectl -n {namespace} create rolebinding holdfast --clusterrole=holdfast-tenant --serviceaccount={account}"
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn status(code: u16, message: &str) -> kube::Error {
        kube::Error::Api(Box::new(Status { code, message: message.to_owned(), ..Status::default() }))
    }

    fn object() -> ObjectId {
        ObjectId::new(
            std::sync::Arc::new(holdfast_diff::object::GroupKind::new("", "Secret")),
            "shop",
            "login",
        )
    }

    #[test]
    fn a_missing_right_says_verb_resource_and_namespace() {
        let error = status(
            403,
            "deployments.apps \"web\" is forbidden: User \"system:serviceaccount:a:b\" cannot patch resource \"deployments\" in API group \"apps\" in the namespace \"shop\"",
        );
        let error = ObjectError::from_server(&object(), None, &error);
        assert_eq!(
            (error.reason, error.message.as_str()),
            (
                "Forbidden",
                "system:serviceaccount:a:b may not patch deployments.apps in namespace shop; grant the verb patch on deployments.apps there"
            )
        );
    }

    #[test]
    fn a_namespace_without_the_rights_of_the_agent_says_how_to_bind_them() {
        let error = status(
            403,
            "serviceaccounts \"deployer\" is forbidden: User \"system:serviceaccount:holdfast-system:holdfast\" cannot impersonate resource \"serviceaccounts\" in API group \"\" in the namespace \"team-a\"",
        );
        assert_eq!(
            said(&error),
            "system:serviceaccount:holdfast-system:holdfast may not impersonate serviceaccounts in namespace team-a; \
             grant the verb impersonate on serviceaccounts there, for example with: kubectl -n team-a create rolebinding \
             holdfast --clusterrole=holdfast-tenant --serviceaccount=holdfast-system:holdfast"
        );
    }

    #[test]
    fn a_command_in_a_pull_request_names_the_right_that_the_agent_lacks() {
        let error = status(
            403,
            "approvals.holdfast.dev is forbidden: User \"system:serviceaccount:holdfast-system:holdfast\" cannot create resource \"approvals\" in API group \"holdfast.dev\" in the namespace \"team-a\"",
        );
        let (class, message) = explained(&error);
        assert_eq!(class, Class::User);
        assert!(message.contains("grant the verb create on approvals.holdfast.dev there"), "{message}");
        assert!(
            message.contains("-n team-a create rolebinding holdfast --clusterrole=holdfast-tenant"),
            "{message}"
        );
    }

    #[test]
    fn a_refused_secret_shows_no_value() {
        for (code, message) in [
            (422, "Secret \"login\" is invalid: data[password]: Invalid value: \"hunter2\": too short"),
            (
                500,
                "failed to convert new object (shop/login; /v1, Kind=Secret): .data.a: expected string, got hunter2",
            ),
        ] {
            let error = ObjectError::from_server(&object(), None, &status(code, message));
            assert!(!error.to_string().contains("hunter2"), "{error}");
        }
        let said = ".spec.true: field not declared in schema";
        assert!(super::said(&status(500, said)).ends_with("write the name of the field in quotes (\"on\":)"));
        let error = status(500, "illegal base64 data at input byte 2");
        assert_eq!(ObjectError::from_server(&object(), None, &error).reason, "Invalid");
    }
}
