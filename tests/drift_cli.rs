//! `holdfast drift`: what is listed of drift, what is written into a working tree, and what is left alone for a time.
//! I/O: processes, network.

use std::path::Path;
use std::process::Output;

use holdfast_tests::agent::holdfast;
use holdfast_tests::eventually;
use holdfast_tests::shared::{self, SOON, Shared, run};
use serde_json::{Value, json};

/// Comments, odd indentation and quotes, all of which stay.
const WEB: &str = "# The shop.   \napiVersion: apps/v1\nkind: Deployment\nmetadata:\n    name: web          # odd\n    \
labels: { team:   \"a\" }\nspec:\n    replicas: 3   # at night\n    selector: {matchLabels: {app: web}}\n    template:\n        \
metadata: {labels: {app: web}}\n        spec:\n            containers:\n              - image: log:1\n                name: log\n              \
- name: web\n                image: 'web:1'   # the shop\n                args: [serve, fast]\n";

/// Windows' line ends, and a text of several lines.
const TEXT: &str = "apiVersion: v1\r\nkind: ConfigMap\r\nmetadata:\r\n  name: text\r\ndata:\r\n  greeting: |\r\n    hello\r\n    you\r\n\r\n  # kept\r\n  other:   x\r\n";

const SECRET: &str = "apiVersion: v1\nkind: Secret\nmetadata: {name: login}\nstringData:\n  password: \"hunter2\" # rotate\ndata:\n  token: b2xk\n";

fn out(output: &Output) -> String {
    String::from_utf8_lossy(&output.stdout).into_owned()
}

fn err(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

/// Runs `holdfast drift` in a namespace.
async fn drift(shared: &Shared, namespace: &str, arguments: &[&str]) -> anyhow::Result<Output> {
    let arguments = [&["-n", namespace, "drift"], arguments].concat();
    holdfast(&shared.env.cluster.kubeconfig(), &arguments).await
}

async fn adopt(shared: &Shared, namespace: &str, object: &str, tree: &Path) -> anyhow::Result<Output> {
    drift(shared, namespace, &["adopt", "app", object, "--tree", &tree.display().to_string()]).await
}

/// Waits until the JSON of a Sync's drift is as it should be, and returns it.
async fn listed(shared: &Shared, namespace: &str, wanted: impl Fn(&Value) -> bool) -> anyhow::Result<Value> {
    let ask = || async {
        let json = drift(shared, namespace, &["app", "-o", "json"]).await?;
        anyhow::ensure!(json.status.success(), "{}", err(&json));
        Ok::<Value, anyhow::Error>(serde_json::from_str(&out(&json))?)
    };
    eventually(SOON, "the drift to be listed", || async {
        let listed = ask().await?;
        anyhow::ensure!(wanted(&listed), "{listed}");
        Ok(true)
    })
    .await?;
    ask().await
}

/// The state of an object in a list.
fn state<'a>(listed: &'a Value, name: &str) -> &'a str {
    let objects = listed["objects"].as_array().map(Vec::as_slice).unwrap_or_default();
    let found = objects.iter().find(|object| object["name"] == name);
    found.and_then(|object| object["state"].as_str()).unwrap_or_default()
}

/// The number of fields that are listed.
fn fields(listed: &Value) -> usize {
    let objects = listed["objects"].as_array().map(Vec::as_slice).unwrap_or_default();
    objects.iter().filter_map(|object| object["changes"].as_array()).map(Vec::len).sum()
}

#[test]
fn drift_is_listed_and_adopted_byte_by_byte() -> anyhow::Result<()> {
    run(&[], |shared| async move {
        let files = [("shop/web.yaml", WEB), ("shop/more/text.yaml", TEXT), ("shop/login.yaml", SECRET)];
        let more = json!({"drift": {"mode": "Report"}, "health": {"wait": false}, "path": "./shop"});
        let repository = shared.begin("adopt", &files, &more).await?;
        let calm = drift(shared, "adopt", &["app"]).await?;
        assert!(calm.status.success() && out(&calm).contains("no drift"), "{}{}", out(&calm), err(&calm));

        let kubectl = async |arguments: &[&str]| {
            shared.env.cluster.must(&[&["-n", "adopt"], arguments].concat()).await.map(|_| ())
        };
        kubectl(&["scale", "deployment/web", "--replicas=5"]).await?;
        kubectl(&["set", "image", "deployment/web", "web=web:2"]).await?;
        kubectl(&["label", "--overwrite", "deployment/web", "team=b"]).await?;
        shared.patch("adopt", "configmap/text", &json!({"data": {"greeting": "hello\nall\n"}})).await?;
        let hidden = json!({"data": {"password": "aHVudGVyMw==", "token": "bmV3"}});
        shared.patch("adopt", "secret/login", &hidden).await?;

        let json = listed(shared, "adopt", |json| fields(json) == 6).await?;
        assert_eq!(json["sync"], json!({"namespace": "adopt", "name": "app"}));
        let revision = json["revision"].as_str().unwrap_or_default();
        assert!(revision.starts_with("main@sha1:") && json["since"].is_string(), "{json}");
        let status = shared.env.read("adopt", "app").await?;
        assert_eq!(json["objects"], status["status"]["drift"]["objects"]);
        let text = out(&drift(shared, "adopt", &["app"]).await?);
        for words in [
            "  Deployment adopt/web: drifted since ",
            ", shop/web.yaml:2 in Git",
            "/spec/replicas is 5, Git has 3, written by the manager kubectl (Update of scale",
            "/spec/template/spec/containers/1/image is \"web:2\", Git has \"web:1\", written by the manager kubectl-set (Update, ",
            "/metadata/labels/team is \"b\", Git has \"a\", written by the manager kubectl-label (Update, ",
            "Secret adopt/login: drifted since ",
        ] {
            assert!(text.contains(words), "{words:?} is missing in:\n{text}");
        }
        assert!(!text.contains("hunter") && !text.contains("aHVudGVy") && !text.contains("bmV3"), "{text}");

        let objects = ["deployment/web", "configmap/text", "Secret/login"];
        let mut written = String::new();
        for object in objects {
            let adopted = adopt(shared, "adopt", object, &repository.clone).await?;
            assert!(adopted.status.success(), "{object}: {}{}", out(&adopted), err(&adopted));
            assert!(!err(&adopted).contains("hunter"), "{}", err(&adopted));
            written.push_str(&out(&adopted));
        }
        assert_eq!(
            written,
            "shop/web.yaml:6 /metadata/labels/team: \"a\" -> \"b\"\n\
             shop/web.yaml:8 /spec/replicas: 3 -> 5\n\
             shop/web.yaml:17 /spec/template/spec/containers/1/image: \"web:1\" -> \"web:2\"\n\
             shop/more/text.yaml:6 /data/greeting: \"hello\\nyou\\n\" -> \"hello\\nall\\n\"\n\
             shop/login.yaml:5 /stringData/password: *** -> ***\n\
             shop/login.yaml:7 /data/token: *** -> ***\n"
        );
        let web = WEB.replace("replicas: 3", "replicas: 5").replace("'web:1'", "'web:2'");
        for (file, expected) in [
            ("shop/web.yaml", web.replace("\"a\"", "\"b\"")),
            ("shop/more/text.yaml", TEXT.replace("    you\r\n", "    all\r\n")),
            ("shop/login.yaml", SECRET.replace("hunter2", "hunter3").replace("b2xk", "bmV3")),
        ] {
            assert_eq!(std::fs::read_to_string(repository.clone.join(file))?, expected);
        }
        let again = adopt(shared, "adopt", "deployment/web", &repository.clone).await?;
        assert!(again.status.success() && out(&again).is_empty(), "{}{}", out(&again), err(&again));
        assert!(err(&again).contains("the tree already has its live values"), "{}", err(&again));

        let before = versions(shared, &objects).await?;
        let commit = repository.push_all("Adopt what was changed by hand")?;
        shared.env.ready("adopt", "app", Some(&commit)).await?;
        assert_eq!(shared.env.condition("adopt", "app", "Drifted").await?.status, "False");
        assert_eq!(versions(shared, &objects).await?, before, "git says what is live, so nothing is written");
        assert!(out(&drift(shared, "adopt", &["app"]).await?).contains("no drift"));
        Ok(())
    })
}

async fn versions(shared: &Shared, objects: &[&str]) -> anyhow::Result<Vec<String>> {
    let mut found = Vec::new();
    for object in objects {
        found.push(shared.jsonpath("adopt", object, "{.metadata.resourceVersion}").await?);
    }
    Ok(found)
}

#[test]
fn what_needs_a_person_is_not_written() -> anyhow::Result<()> {
    run(&[], |shared| async move {
        let files = [
            ("web.yaml", WEB),
            ("a.yaml", &*shared::config_map("a", "git")),
            ("b.yaml", &*shared::config_map("b", "git")),
        ];
        let more = json!({"drift": {"mode": "Report"}, "health": {"wait": false}});
        let repository = shared.begin("person", &files, &more).await?;
        let args = r#"[{"op":"replace","path":"/spec/template/spec/containers/1/args","value":["serve"]},{"op":"replace","path":"/spec/replicas","value":4}]"#;
        let patch = ["-n", "person", "patch", "deployment/web", "--type=json", "-p", args];
        shared.env.cluster.must(&patch).await?;
        shared.patch("person", "configmap/a", &json!({"data": {"key": null}})).await?;
        shared.env.cluster.must(&["-n", "person", "delete", "configmap", "b"]).await?;
        listed(shared, "person", |json| {
            ["web", "a", "b"].iter().all(|name| state(json, name) == "Drifted") && fields(json) >= 3
        })
        .await?;

        let check = async |object: &str, expected: &[&str]| {
            let refused = adopt(shared, "person", object, &repository.clone).await?;
            assert_eq!(refused.status.code(), Some(1), "{object}: {}{}", out(&refused), err(&refused));
            assert!(out(&refused).is_empty(), "{}", out(&refused));
            let said = err(&refused);
            for words in expected {
                assert!(said.contains(words), "{words:?} is missing in:\n{said}");
            }
            anyhow::Ok(())
        };
        let list = "web.yaml:18 /spec/template/spec/containers/1/args: it is more than one value; write [\"serve\"] here";
        check("deployment/web", &["Deployment person/web is not written", list]).await?;
        check("configmap/a", &["a.yaml:4", "the live object does not have it"]).await?;
        check("configmap/b", &["it was deleted from the cluster; remove it from Git, b.yaml:1"]).await?;
        check("configmap/c", &["configmap/c is not in the drift of Sync app"]).await?;
        assert_eq!(std::fs::read_to_string(repository.clone.join("web.yaml"))?, WEB, "not even the replicas");

        std::fs::write(repository.clone.join("kustomization.yaml"), "resources: [web.yaml]\n")?;
        let rendered = [
            "kustomization.yaml generates it, maybe from web.yaml:2",
            "web.yaml:2 /spec/replicas: the value is 4",
        ];
        check("deployment/web", &rendered).await?;
        assert_eq!(repository.git(&["status", "--porcelain"])?.trim(), "?? kustomization.yaml");

        let wrong = adopt(shared, "person", "web", &repository.clone).await?;
        assert_eq!(wrong.status.code(), Some(2), "as for every argument that cannot be read");
        assert!(err(&wrong).contains("write KIND/NAME, such as deployment/web"), "{}", err(&wrong));
        let nameless = drift(shared, "person", &[]).await?;
        assert_eq!(nameless.status.code(), Some(1));
        assert!(err(&nameless).contains("set the name of a Sync"), "{}", err(&nameless));
        Ok(())
    })
}

#[test]
fn snoozes_at_the_same_time_do_not_overwrite_one_another() -> anyhow::Result<()> {
    run(&[], |shared| async move {
        shared.begin("many", &[("a.yaml", &shared::config_map("a", "git"))], &json!({})).await?;
        let names: Vec<String> = (0..6).map(|at| format!("ConfigMap/m{at}")).collect();
        let snoozes = names.iter().map(async |name| {
            drift(shared, "many", &["snooze", "app", name, "--for", "1h", "--reason", "a test"]).await
        });
        for snoozed in futures::future::try_join_all(snoozes).await? {
            assert!(snoozed.status.success(), "{}", err(&snoozed));
        }
        let sync = shared.env.read("many", "app").await?;
        assert_eq!(sync["spec"]["drift"]["snooze"].as_array().map(Vec::len), Some(6), "{sync}");
        Ok(())
    })
}

#[test]
fn what_was_put_back_cannot_be_adopted() -> anyhow::Result<()> {
    run(&[], |shared| async move {
        let repository =
            shared.begin("late", &[("a.yaml", &shared::config_map("a", "git"))], &json!({})).await?;
        shared.patch("late", "configmap/a", &json!({"data": {"key": "hand"}})).await?;
        shared.until("late", "configmap/a", "{.data.key}", "git").await?;
        listed(shared, "late", |json| state(json, "a") == "Corrected").await?;
        let refused = adopt(shared, "late", "configmap/a", &repository.clone).await?;
        assert_eq!(refused.status.code(), Some(1), "{}{}", out(&refused), err(&refused));
        for words in [
            "its live values are lost",
            "alerts and the log of the agent",
            "a.yaml:1 /data/key: the value is \"hand\"",
        ] {
            assert!(err(&refused).contains(words), "{words:?} is missing in:\n{}", err(&refused));
        }
        Ok(())
    })
}

#[test]
fn what_is_snoozed_is_left_alone_until_it_is_not() -> anyhow::Result<()> {
    run(&[], |shared| async move {
        let map = shared::config_map("a", "git");
        let repository = shared.begin("snooze", &[("a.yaml", &map)], &json!({})).await?;
        let snooze = async |object: &str, time: &str| {
            let arguments = ["snooze", "app", object, "--for", time, "--reason", "a test"];
            drift(shared, "snooze", &arguments).await
        };
        let entries = async || {
            let sync = shared.env.read("snooze", "app").await?;
            anyhow::Ok(sync["spec"]["drift"]["snooze"].as_array().cloned().unwrap_or_default())
        };
        let by_hand = async || shared.patch("snooze", "configmap/a", &json!({"data": {"key": "hand"}})).await;
        let key = async |value: &str| shared.until("snooze", "configmap/a", "{.data.key}", value).await;

        let unknown = snooze("configmap/a", "1h").await?;
        assert_eq!(unknown.status.code(), Some(1));
        assert!(err(&unknown).contains("write its kind as manifests do"), "{}", err(&unknown));
        assert!(entries().await?.is_empty());

        let snoozed = snooze("ConfigMap/a", "1h").await?;
        assert!(snoozed.status.success() && out(&snoozed).is_empty(), "{}", err(&snoozed));
        assert!(err(&snoozed).contains("snoozed ConfigMap a until "), "{}", err(&snoozed));
        let managers = ["-n", "snooze", "get", "sync", "app", "--show-managed-fields", "-o", "yaml"];
        assert!(shared.env.cluster.must(&managers).await?.contains("manager: holdfast-cli"));
        by_hand().await?;
        let json = listed(shared, "snooze", |json| state(json, "a") == "Snoozed").await?;
        assert_eq!(json["snooze"][0]["reason"], "a test", "{json}");
        shared.env.ready("snooze", "app", None).await?;
        shared
            .env
            .cluster
            .must(&["-n", "snooze", "annotate", "sync", "app", "holdfast.dev/reconcile-at=1"])
            .await?;
        tokio::time::sleep(std::time::Duration::from_secs(2)).await;
        assert_eq!(shared.jsonpath("snooze", "configmap/a", "{.data.key}").await?, "hand");
        let text = out(&drift(shared, "snooze", &["app"]).await?);
        for words in [
            "ConfigMap snooze/a: snoozed since ",
            "snoozed until ",
            ": a test",
            "snoozed:\n  ConfigMap a until ",
        ] {
            assert!(text.contains(words), "{words:?} is missing in:\n{text}");
        }

        let adopted = adopt(shared, "snooze", "configmap/a", &repository.clone).await?;
        assert!(adopted.status.success(), "{}", err(&adopted));
        assert_eq!(
            std::fs::read_to_string(repository.clone.join("a.yaml"))?,
            map.replace("\"git\"", "\"hand\"")
        );

        // The kind and the namespace are known now; the entry takes the place of the other one.
        let short = snooze("configmap/a", "3s").await?;
        assert!(err(&short).contains("snoozed ConfigMap snooze/a until "), "{}", err(&short));
        let found = entries().await?;
        assert_eq!(
            (found.len(), &found[0]["namespace"], &found[0]["group"]),
            (1, &json!("snooze"), &json!(""))
        );
        key("git").await?;
        shared.env.ready("snooze", "app", None).await?;
        let ended = out(&drift(shared, "snooze", &["app"]).await?);
        assert!(!ended.contains("snoozed:"), "{ended}");

        assert!(snooze("ConfigMap/a", "1h").await?.status.success());
        assert_eq!(entries().await?.len(), 1, "the one that ended is gone");
        by_hand().await?;
        listed(shared, "snooze", |json| state(json, "a") == "Snoozed").await?;
        let taken = drift(shared, "snooze", &["unsnooze", "app", "configmap/a"]).await?;
        assert!(taken.status.success(), "{}", err(&taken));
        assert!(err(&taken).contains("no longer snoozed: ConfigMap snooze/a until "), "{}", err(&taken));
        key("git").await?;
        assert!(entries().await?.is_empty());
        let twice = drift(shared, "snooze", &["unsnooze", "app", "configmap/a"]).await?;
        assert_eq!(twice.status.code(), Some(1));
        assert!(err(&twice).contains("configmap/a is not snoozed in Sync app"), "{}", err(&twice));
        Ok(())
    })
}
