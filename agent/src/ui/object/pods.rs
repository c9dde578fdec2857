//! The pods of a workload: state, restarts and why. Pure.

use jiff::Timestamp;
use serde::Serialize;
use serde_json::Value;

/// A pod.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct PodLine {
    pub name: String,
    /// As `kubectl get pods` prints it: `Running`, `CrashLoopBackOff`, `Init:0/1`, `Terminating`.
    pub state: String,
    pub is_well: bool,
    pub ready: usize,
    pub total: usize,
    pub restarts: i64,
    pub node: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub created: Option<Timestamp>,
    pub containers: Vec<ContainerLine>,
    /// Why the pod is not scheduled or was evicted.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub message: String,
}

/// A container of a pod.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct ContainerLine {
    pub name: String,
    pub is_init: bool,
    pub is_ready: bool,
    pub restarts: i64,
    /// `running`, `CrashLoopBackOff: back-off 5m0s …`, `Completed`.
    pub state: String,
    /// How it ended before its last restart: `Error, exit code 1`.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub before: String,
    pub image: String,
}

/// A pod as a line, from the object as the API server has it.
pub fn line(pod: &Value) -> PodLine {
    let containers = containers(pod);
    let (init, main): (Vec<_>, Vec<_>) = containers.iter().partition(|container| container.is_init);
    let ready = main.iter().filter(|container| container.is_ready).count();
    let phase = text(pod, "/status/phase");
    let state = state(pod, phase, &init, &main);
    PodLine {
        name: text(pod, "/metadata/name").to_owned(),
        is_well: matches!(state.as_str(), "Succeeded" | "Completed")
            || (state == "Running" && ready == main.len()),
        state,
        ready,
        total: main.len(),
        restarts: containers.iter().map(|container| container.restarts).sum(),
        node: text(pod, "/spec/nodeName").to_owned(),
        created: text(pod, "/metadata/creationTimestamp").parse().ok(),
        message: why(pod),
        containers,
    }
}

fn text<'a>(value: &'a Value, path: &str) -> &'a str {
    value.pointer(path).and_then(Value::as_str).unwrap_or_default()
}

fn list<'a>(value: &'a Value, path: &str) -> &'a [Value] {
    value.pointer(path).and_then(Value::as_array).map_or(&[], Vec::as_slice)
}

fn containers(pod: &Value) -> Vec<ContainerLine> {
    let groups = [
        ("/spec/initContainers", "/status/initContainerStatuses", true),
        ("/spec/containers", "/status/containerStatuses", false),
        ("/spec/ephemeralContainers", "/status/ephemeralContainerStatuses", true),
    ];
    let of_group = |(specs, statuses, is_init): (&'static str, &'static str, bool)| {
        let line = move |spec: &Value| {
            let name = text(spec, "/name");
            let statuses = list(pod, statuses);
            let status = statuses.iter().find(|status| text(status, "/name") == name).unwrap_or(&Value::Null);
            container(spec, status, is_init)
        };
        list(pod, specs).iter().map(line)
    };
    groups.into_iter().flat_map(of_group).collect()
}

fn container(spec: &Value, status: &Value, is_init: bool) -> ContainerLine {
    ContainerLine {
        name: text(spec, "/name").to_owned(),
        is_init,
        is_ready: status.get("ready").and_then(Value::as_bool).unwrap_or(false),
        restarts: status.get("restartCount").and_then(Value::as_i64).unwrap_or(0),
        state: container_state(status.get("state")),
        before: status.get("lastState").map(ended).unwrap_or_default(),
        image: text(spec, "/image").to_owned(),
    }
}

fn container_state(state: Option<&Value>) -> String {
    let Some(state) = state else { return "not started".to_owned() };
    if state.get("running").is_some() {
        return "running".to_owned();
    }
    let Some(waiting) = state.get("waiting") else { return ended(state) };
    let (reason, message) = (text(waiting, "/reason"), text(waiting, "/message"));
    if message.is_empty() { reason.to_owned() } else { format!("{reason}: {message}") }
}

/// How a container ended: `OOMKilled, exit code 137`.
fn ended(state: &Value) -> String {
    let Some(end) = state.get("terminated") else { return String::new() };
    let code = end.get("exitCode").and_then(Value::as_i64).unwrap_or(0);
    let reason = text(end, "/reason");
    let message = text(end, "/message");
    let reason = if reason.is_empty() { "ended" } else { reason };
    let code = if code == 0 { String::new() } else { format!(", exit code {code}") };
    let message = if message.is_empty() { String::new() } else { format!(": {message}") };
    format!("{reason}{code}{message}")
}

/// The state as `kubectl get pods` prints it.
fn state(pod: &Value, phase: &str, init: &[&ContainerLine], main: &[&ContainerLine]) -> String {
    if pod.pointer("/metadata/deletionTimestamp").is_some() {
        return "Terminating".to_owned();
    }
    let reason = text(pod, "/status/reason");
    if !reason.is_empty() {
        return reason.to_owned();
    }
    let first = |containers: &[&ContainerLine]| {
        let bad = containers
            .iter()
            .find(|one| !matches!(one.state.as_str(), "running" | "Completed" | "not started"));
        bad.map(|one| one.state.split([':', ',']).next().unwrap_or_default().to_owned())
    };
    if phase == "Pending" {
        let done = init.iter().filter(|one| one.state.starts_with("Completed")).count();
        if let Some(bad) = first(init) {
            return format!("Init:{bad}");
        }
        if done < init.len() && init.iter().any(|one| one.state != "not started") {
            return format!("Init:{done}/{}", init.len());
        }
    }
    first(main).unwrap_or_else(|| phase.to_owned())
}

/// The message of the pod, or of the condition that holds it up.
fn why(pod: &Value) -> String {
    let message = text(pod, "/status/message");
    if !message.is_empty() {
        return message.to_owned();
    }
    let unscheduled = list(pod, "/status/conditions").iter().find(|condition| {
        text(condition, "/type") == "PodScheduled" && text(condition, "/status") == "False"
    });
    unscheduled.map(|condition| text(condition, "/message").to_owned()).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn check(status: &Value, expected: (&str, bool, &str)) {
        let pod = json!({
            "metadata": {"name": "web-1"}, "status": status,
            "spec": {"containers": [{"name": "app", "image": "app:1"}], "initContainers": [{"name": "wait", "image": "wait:1"}]},
        });
        let line = line(&pod);
        let app = line.containers.iter().find(|one| one.name == "app").expect("the container");
        assert_eq!((line.state.as_str(), line.is_well, app.state.as_str()), expected, "{status}");
    }

    #[test]
    fn a_pod_says_what_holds_it_up() {
        let main = |state: Value, ready: bool| json!([{"name": "app", "ready": ready, "restartCount": 3, "state": state}]);
        check(
            &json!({"phase": "Running", "containerStatuses": main(json!({"running": {}}), true)}),
            ("Running", true, "running"),
        );
        check(
            &json!({"phase": "Running", "containerStatuses": main(json!({"running": {}}), false)}),
            ("Running", false, "running"),
        );
        check(
            &json!({"phase": "Running", "containerStatuses": main(json!({"waiting": {"reason": "CrashLoopBackOff", "message": "back-off 5m0s"}}), false)}),
            ("CrashLoopBackOff", false, "CrashLoopBackOff: back-off 5m0s"),
        );
        check(
            &json!({"phase": "Pending", "containerStatuses": main(json!({"waiting": {"reason": "ImagePullBackOff"}}), false),
                "initContainerStatuses": [{"name": "wait", "state": {"terminated": {"reason": "Completed", "exitCode": 0}}}]}),
            ("ImagePullBackOff", false, "ImagePullBackOff"),
        );
        check(
            &json!({"phase": "Pending", "initContainerStatuses": [{"name": "wait", "state": {"running": {}}}]}),
            ("Init:0/1", false, "not started"),
        );
        check(
            &json!({"phase": "Failed", "reason": "Evicted", "containerStatuses": main(json!({"terminated": {"reason": "OOMKilled", "exitCode": 137}}), false)}),
            ("Evicted", false, "OOMKilled, exit code 137"),
        );
        check(&json!({}), ("", false, "not started"));
    }

    #[test]
    fn what_is_no_pod_makes_no_panic() {
        for value in [json!(null), json!([]), json!({"spec": {"containers": [1, null]}, "status": "x"})] {
            let _ = line(&value);
        }
    }
}
