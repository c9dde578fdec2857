//! Refusals of Secrets without the values that the API server, a policy or a webhook quotes in them.
//!
//! A message is cut before the first place where a value may stand. Masking the known values is not enough: a message can quote
//! a part of a value, or a decoded one. Pure.

use kube::core::Status;

use crate::error::Class;

/// What stands before a value in a message of the API server.
const QUOTES: [&str; 7] = [
    ": Invalid value",
    ": Unsupported value",
    ": Duplicate value",
    ": Not found: ",
    // Server-side apply: `.data.pin: expected string, got &value.valueUnstructured{Value:1234567890}`
    ", got ",
    // The decoder of JSON: `cannot unmarshal number 12345678901 into Go struct field`
    " unmarshal number ",
    // The answer of a webhook that is no review: `an error on the server ("...") has prevented the request`
    " an error on the server (",
];

/// What stands before the message of an admission webhook or policy.
const DENIALS: [&str; 2] = ["denied the request", "denied request"];

/// Returns which policy or which fields a refusal names, without the values.
pub(super) fn without_values(status: &Status, class: Class, message: String) -> String {
    let denied = first(&message, &DENIALS).map(|(at, denial)| at + denial.len());
    let quoted = first(&message, &QUOTES).map(|(at, _)| at);
    let causes = status.details.as_ref().map(|details| details.causes.as_slice()).unwrap_or_default();
    match (denied, quoted) {
        (Some(end), quoted) if quoted.is_none_or(|quoted| end < quoted) => {
            let who = &message[..end];
            format!("{who} (its message is not shown, because it can quote values of the Secret)")
        }
        _ if class == Class::User && !causes.is_empty() => {
            let causes: Vec<String> =
                causes.iter().map(|cause| format!("{}: {}", cause.field, words(&cause.reason))).collect();
            format!("the API server refused fields (values are not shown): {}", causes.join(", "))
        }
        (_, Some(at)) => {
            format!(
                "{} (the rest of the message is not shown, because it can quote values of the Secret)",
                &message[..at]
            )
        }
        _ => message,
    }
}

/// Finds the first of some marks in a message.
fn first<'a>(message: &str, marks: &[&'a str]) -> Option<(usize, &'a str)> {
    marks.iter().filter_map(|mark| Some((message.find(mark)?, *mark))).min()
}

/// The words for a reason of the API server, such as `FieldValueTooLong`.
fn words(reason: &str) -> String {
    let known = match reason {
        "FieldValueInvalid" => "invalid value",
        "FieldValueRequired" => "a value is required",
        "FieldValueDuplicate" => "duplicate value",
        "FieldValueNotSupported" => "value is not supported",
        "FieldValueForbidden" => "a value is forbidden here",
        "FieldValueNotFound" => "value was not found",
        "FieldValueTypeInvalid" => "value has the wrong type",
        "FieldValueTooLong" => "value is too long",
        "FieldValueTooMany" => "too many values",
        "" => "invalid",
        other => other,
    };
    known.to_owned()
}

#[cfg(test)]
mod tests {
    use kube::core::response::{StatusCause, StatusDetails};

    use super::*;

    fn check(message: &str, expected: &str) {
        let found = without_values(&Status::default(), Class::User, message.to_owned());
        assert_eq!(found, expected);
    }

    #[test]
    fn the_message_of_a_policy_or_webhook_is_not_shown() {
        let hidden = "(its message is not shown, because it can quote values of the Secret)";
        for (who, message) in [
            ("ValidatingAdmissionPolicy 'deny' with binding 'all' denied request", "no hunter2"),
            // The message of a policy can contain the words of the other kind of denial, and what stands before a value.
            (
                "ValidatingAdmissionPolicy 'deny' with binding 'all' denied request",
                "the value hunt is weak, so it denied the request",
            ),
            ("admission webhook \"a.example.com\" denied the request", "hunter2, got denied request"),
            ("admission webhook \"a.example.com\" denied the request", "a: Invalid value: \"hunter2\""),
        ] {
            check(&format!("{who}: {message}"), &format!("{who} {hidden}"));
        }
    }

    #[test]
    fn a_value_of_the_wrong_type_is_not_shown() {
        let typed = "failed to create typed patch object (shop/login; /v1, Kind=Secret): ";
        let rest = " (the rest of the message is not shown, because it can quote values of the Secret)";
        for (before, value) in [
            (
                format!("{typed}.data.pin: expected string"),
                ", got &value.valueUnstructured{Value:1234567890}",
            ),
            (format!("{typed}.stringData: expected map"), ", got &{[hunter4list]}"),
            (format!("{typed}.immutable: expected boolean"), ", got \"hunter11\""),
            (format!("{typed}errors:\n  .data.a: expected string"), ", got &{[a\n  .data.b: hunter2]}"),
            (
                "Secret \"login\" is invalid: data[a]".to_owned(),
                ": Invalid value: \"hunter2 denied request\"",
            ),
            (
                "Secret in version \"v1\": json: cannot".to_owned(),
                " unmarshal number 12345678901 into Go struct field",
            ),
            (
                "failed calling webhook \"a.example.com\":".to_owned(),
                " an error on the server (\"hunter2 is weak\") has prevented the request from succeeding",
            ),
        ] {
            check(&format!("{before}{value}"), &format!("{before}{rest}"));
        }
        for harmless in
            ["illegal base64 data at input byte 2", "failed to create: .data.a: field not declared in schema"]
        {
            check(harmless, harmless);
        }
    }

    #[test]
    fn refused_fields_are_named_without_their_values() {
        let cause = |field: &str, reason: &str| StatusCause {
            field: field.to_owned(),
            reason: reason.to_owned(),
            message: "Invalid value: \"hunter2\"".to_owned(),
        };
        let causes = vec![cause("data[a]", "FieldValueInvalid"), cause("type", "FieldValueTooLong")];
        let (name, group, kind, uid) = <(String, String, String, String)>::default();
        let details = StatusDetails { name, group, kind, uid, causes, retry_after_seconds: 0 };
        let status = Status { details: Some(details), ..Status::default() };
        // The value is refused by the API server, and contains the words of a denial.
        let message = "Secret \"login\" is invalid: data[a]: Invalid value: \"hunter2 denied the request\"";
        assert_eq!(
            without_values(&status, Class::User, message.to_owned()),
            "the API server refused fields (values are not shown): data[a]: invalid value, type: value is too long"
        );
    }
}
