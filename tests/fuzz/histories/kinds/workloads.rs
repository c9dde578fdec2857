//! Kinds that run pods. Pure.

use serde_json::{Value, json};

use super::{Aspect, Kind, pod};

pub fn kinds() -> Vec<Kind> {
    vec![deployment(), stateful_set(), daemon_set(), cron_job()]
}

fn replicas() -> Aspect {
    let of = |count: Value| json!({"spec": {"replicas": count}});
    let variants = vec![json!({}), of(json!(1)), of(json!(2)), of(json!(3)), of(json!(0)), of(Value::Null)];
    Aspect::new("replicas", "spec/replicas", variants)
}

/// A second label that the selector wants, which only a new object can have.
fn selector() -> Aspect {
    let part = json!({"spec": {"selector": {"matchLabels": {"part": "x"}}, "template": {"metadata": {"labels": {"part": "x"}}}}});
    Aspect::new(
        "selector",
        "spec/selector/matchLabels/part spec/template/metadata/labels/part",
        vec![json!({}), part],
    )
    .fixed()
}

fn numbers(name: &'static str, field: &'static str, values: [Value; 3]) -> Aspect {
    let of = |value: Value| json!({"spec": {field: value}});
    let [one, two, three] = values;
    Aspect::new(name, &format!("spec/{field}"), vec![json!({}), of(one), of(two), of(three)])
}

fn deployment() -> Kind {
    let strategy = |part: Value| json!({"spec": {"strategy": part}});
    let mut aspects = vec![
        replicas(),
        Aspect::new(
            "strategy",
            "spec/strategy",
            vec![
                json!({}),
                strategy(
                    json!({"type": "RollingUpdate", "rollingUpdate": {"maxSurge": 1, "maxUnavailable": 0}}),
                ),
                strategy(json!({"type": "Recreate"})),
                strategy(json!({"rollingUpdate": {"maxSurge": "50%"}})),
                strategy(json!({"type": "RollingUpdate"})),
                strategy(Value::Null),
            ],
        ),
        numbers("paused", "paused", [json!(true), json!(false), Value::Null]),
        numbers("history", "revisionHistoryLimit", [json!(3), json!(10), Value::Null]),
        numbers("deadline", "progressDeadlineSeconds", [json!(60), json!(600), Value::Null]),
        numbers("min-ready", "minReadySeconds", [json!(0), json!(1), Value::Null]),
        selector(),
    ];
    aspects.extend(pod::aspects(&["spec", "template"]));
    Kind::new(
        "deployment",
        "deployments",
        json!({"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"labels": {"app": "web"}},
            "spec": {"selector": {"matchLabels": {"app": "web"}}, "template": pod::base("web")}}),
        aspects,
    )
    .scaled()
}

fn stateful_set() -> Kind {
    let strategy = |part: Value| json!({"spec": {"updateStrategy": part}});
    let mut aspects = vec![
        replicas(),
        Aspect::new(
            "strategy",
            "spec/updateStrategy",
            vec![
                json!({}),
                strategy(json!({"type": "RollingUpdate", "rollingUpdate": {"partition": 1}})),
                strategy(json!({"type": "OnDelete"})),
                strategy(json!({"rollingUpdate": {"partition": 2}})),
                strategy(json!({"type": "RollingUpdate"})),
            ],
        ),
        numbers("min-ready", "minReadySeconds", [json!(0), json!(1), Value::Null]),
        Aspect::new(
            "claims-kept",
            "spec/persistentVolumeClaimRetentionPolicy",
            vec![
                json!({}),
                json!({"spec": {"persistentVolumeClaimRetentionPolicy": {"whenDeleted": "Delete"}}}),
                json!({"spec": {"persistentVolumeClaimRetentionPolicy": {"whenDeleted": "Retain", "whenScaled": "Delete"}}}),
            ],
        ),
        Aspect::new(
            "management",
            "spec/podManagementPolicy",
            vec![json!({}), json!({"spec": {"podManagementPolicy": "Parallel"}})],
        )
        .fixed(),
        Aspect::new(
            "service",
            "spec/serviceName",
            vec![json!({}), json!({"spec": {"serviceName": "other"}})],
        )
        .fixed(),
    ];
    aspects.extend(pod::aspects(&["spec", "template"]));
    Kind::new("statefulset", "statefulsets", json!({"apiVersion": "apps/v1", "kind": "StatefulSet", "metadata": {"labels": {"app": "db"}},
            "spec": {"serviceName": "db", "selector": {"matchLabels": {"app": "db"}}, "template": pod::base("db")}}), aspects).scaled()
}

fn daemon_set() -> Kind {
    let strategy = |part: Value| json!({"spec": {"updateStrategy": part}});
    let mut aspects = vec![
        Aspect::new(
            "strategy",
            "spec/updateStrategy",
            vec![
                json!({}),
                strategy(json!({"type": "RollingUpdate", "rollingUpdate": {"maxUnavailable": 2}})),
                strategy(json!({"type": "OnDelete"})),
                strategy(json!({"rollingUpdate": {"maxSurge": 1, "maxUnavailable": 0}})),
            ],
        ),
        numbers("history", "revisionHistoryLimit", [json!(3), json!(10), Value::Null]),
    ];
    aspects.extend(pod::aspects(&["spec", "template"]));
    Kind::new(
        "daemonset",
        "daemonsets",
        json!({"apiVersion": "apps/v1", "kind": "DaemonSet", "metadata": {"labels": {"app": "log"}},
            "spec": {"selector": {"matchLabels": {"app": "log"}}, "template": pod::base("log")}}),
        aspects,
    )
}

fn cron_job() -> Kind {
    let job = |part: Value| json!({"spec": {"jobTemplate": {"spec": part}}});
    let mut aspects = vec![
        Aspect::new(
            "schedule",
            "spec/schedule",
            vec![
                json!({}),
                json!({"spec": {"schedule": "0 4 1 1 *"}}),
                json!({"spec": {"schedule": "0 5 1 1 *"}}),
            ],
        ),
        numbers("suspend", "suspend", [json!(true), json!(false), Value::Null]),
        numbers("concurrency", "concurrencyPolicy", [json!("Forbid"), json!("Replace"), json!("Allow")]),
        numbers("zone", "timeZone", [json!("Etc/UTC"), json!("Europe/Berlin"), Value::Null]),
        numbers("late", "startingDeadlineSeconds", [json!(60), json!(120), Value::Null]),
        numbers("succeeded", "successfulJobsHistoryLimit", [json!(0), json!(3), Value::Null]),
        Aspect::new(
            "backoff",
            "spec/jobTemplate/spec/backoffLimit spec/jobTemplate/spec/ttlSecondsAfterFinished",
            vec![
                json!({}),
                job(json!({"backoffLimit": 2})),
                job(json!({"backoffLimit": 0, "ttlSecondsAfterFinished": 60})),
            ],
        ),
    ];
    aspects.extend(pod::aspects(&["spec", "jobTemplate", "spec", "template"]));
    let mut template = pod::base("job");
    template["spec"]["restartPolicy"] = json!("Never");
    Kind::new(
        "cronjob",
        "cronjobs",
        json!({"apiVersion": "batch/v1", "kind": "CronJob",
            "spec": {"schedule": "0 3 1 1 *", "jobTemplate": {"spec": {"template": template}}}}),
        aspects,
    )
}
