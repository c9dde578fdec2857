//! Commands for a person: every name in them is quoted, and none prints the value of a Secret. Pure.

use std::borrow::Cow;

use serde_json::Value;

/// Quotes a word for a shell if it needs it.
pub fn quoted(word: &str) -> Cow<'_, str> {
    let is_plain = |letter: char| letter.is_ascii_alphanumeric() || "._/:@=,-".contains(letter);
    if !word.is_empty() && word.chars().all(is_plain) {
        return Cow::Borrowed(word);
    }
    Cow::Owned(format!("'{}'", word.replace('\'', r"'\''")))
}

/// Joins words to a command.
pub fn command(words: &[&str]) -> String {
    words.iter().map(|word| quoted(word)).collect::<Vec<_>>().join(" ")
}

/// Copies a Secret to another namespace.
pub fn copy_secret(from: (&str, &str), to: &str) -> String {
    secret(from, to, "{apiVersion, kind, type, data, metadata: {name: .metadata.name}}")
}

/// Copies a Secret to a new one with other keys: each key with that of the other tool.
pub fn convert_secret(from: (&str, &str), to: (&str, &str), keys: &[(&str, &str)]) -> String {
    let text = |text: &str| Value::from(text).to_string();
    let keys: Vec<String> =
        keys.iter().map(|(ours, theirs)| format!("{}: .data[{}]", text(ours), text(theirs))).collect();
    let program = format!(
        "{{apiVersion, kind, metadata: {{name: {}}}, data: ({{{}}} | with_entries(select(.value)))}}",
        text(to.1),
        keys.join(", ")
    );
    secret(from, to.0, &program)
}

fn secret((namespace, name): (&str, &str), to: &str, program: &str) -> String {
    let read = command(&["kubectl", "-n", namespace, "get", "secret", name, "-o", "json"]);
    let write = command(&["kubectl", "-n", to, "apply", "--server-side", "-f", "-"]);
    format!("{read} | jq {} | {write}", quoted(program))
}

/// Adds the keys of one Secret to another one of its namespace.
pub fn merge_secrets(namespace: &str, into: &str, from: &str) -> String {
    let read = command(&["kubectl", "-n", namespace, "get", "secret", from, "-o", "json"]);
    let patch = command(&["kubectl", "-n", namespace, "patch", "secret", into, "--type=merge"]);
    format!("{patch} -p \"$({read} | jq '{{data}}')\"")
}

/// A merge patch of an object.
pub fn patch(namespace: &str, resource: &str, name: &str, patch: &Value) -> String {
    command(&["kubectl", "-n", namespace, "patch", resource, name, "--type=merge", "-p", &patch.to_string()])
}

/// Makes a Secret from the field of an object, which is read from the cluster.
pub fn secret_from_field(namespace: &str, name: &str, key: &str, object: &[&str], path: &str) -> String {
    let read = command(&[&["kubectl", "get"], object].concat());
    let create = command(&["kubectl", "-n", namespace, "create", "secret", "generic", name]);
    format!("{create} --from-literal={key}=\"$({read} -o {})\"", quoted(&format!("jsonpath={{{path}}}")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_name_leaves_its_quotes() {
        assert_eq!(quoted("flux-system"), "flux-system");
        assert_eq!(quoted("$(rm -rf ~)"), "'$(rm -rf ~)'");
        assert_eq!(quoted("a'b"), r"'a'\''b'");
        assert_eq!(quoted(""), "''");
        let command = copy_secret(("a", "x; reboot"), "b");
        assert!(command.starts_with("kubectl -n a get secret 'x; reboot' -o json | jq '{"), "{command}");
    }

    #[test]
    fn keys_are_renamed_without_their_values() {
        let command = convert_secret(("argocd", "repo"), ("team", "git"), &[("identity", "sshPrivateKey")]);
        assert_eq!(
            command,
            "kubectl -n argocd get secret repo -o json | jq '{apiVersion, kind, metadata: {name: \"git\"}, data: \
             ({\"identity\": .data[\"sshPrivateKey\"]} | with_entries(select(.value)))}' | kubectl -n team apply --server-side -f -"
        );
    }
}
