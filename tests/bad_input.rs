//! Whatever a person can get wrong, on real parts: one message that says what, where and what to do; nothing deleted;
//! other Syncs go on; and it mends itself when the cause is mended. I/O: processes, network.

use std::net::TcpListener;
use std::time::Duration;

use holdfast_tests::forge::{PASSWORD, USER};
use holdfast_tests::shared::{Shared, run};
use holdfast_tests::{eventually, sync};
use serde_json::{Value, json};

const MAP: &str = "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: a}\ndata: {key: \"1\"}\n";
const SOON: Duration = Duration::from_mins(1);

/// What a Sync must say.
struct Said<'a> {
    reason: &'a str,
    /// Words that must stand in the message.
    words: &'a [&'a str],
    /// A person must act.
    stalled: bool,
}

async fn check(shared: &Shared, namespace: &str, name: &str, said: &Said<'_>) -> anyhow::Result<()> {
    let ready = shared.env.reason(namespace, name, said.reason).await?;
    assert_eq!(ready.status, "False");
    for word in said.words {
        assert!(ready.message.contains(word), "{word:?} is missing in: {}", ready.message);
    }
    let stalled = shared.env.condition(namespace, name, "Stalled").await?.status == "True";
    assert_eq!(stalled, said.stalled, "Stalled of {}: {}", said.reason, ready.message);
    Ok(())
}

/// Checks a Sync with a bad source, then mends it by giving it a good one.
async fn source(
    shared: &Shared,
    namespace: &str,
    url: &str,
    more: &Value,
    said: &Said<'_>,
) -> anyhow::Result<()> {
    shared.env.namespace(namespace).await?;
    shared.env.cluster.apply(&sync::sync(namespace, "bad", url, more)).await?;
    check(shared, namespace, "bad", said).await?;
    let repository = shared.env.forge.repository(namespace).await?;
    let commit = repository.commit(&[("a.yaml", MAP)], "Begin")?;
    shared.env.cluster.must(&["-n", namespace, "delete", "sync", "bad", "--timeout=20s"]).await?;
    shared.env.cluster.apply(&sync::sync(namespace, "bad", &repository.https_url, &json!({}))).await?;
    shared.env.ready(namespace, "bad", Some(&commit)).await
}

/// Begins well, breaks by a commit, checks that nothing is deleted and that another Sync goes on, and mends.
async fn commit(
    shared: &Shared,
    namespace: &str,
    files: &[(&str, &str)],
    said: &Said<'_>,
) -> anyhow::Result<()> {
    let repository = shared.env.forge.repository(namespace).await?;
    let first = repository
        .commit(&[("bad/a.yaml", MAP), ("good/b.yaml", &MAP.replace("name: a", "name: b"))], "Begin")?;
    shared.env.namespace(namespace).await?;
    for name in ["bad", "good"] {
        let one = sync::sync(namespace, name, &repository.https_url, &json!({"path": name}));
        shared.env.cluster.apply(&one).await?;
        shared.env.ready(namespace, name, Some(&first)).await?;
    }
    let uid = ["-n", namespace, "get", "configmap", "a", "-o", "jsonpath={.metadata.uid}"];
    let before = shared.env.cluster.must(&uid).await?;
    let mut all = files.to_vec();
    let good = MAP.replace("name: a", "name: b").replace("\"1\"", "\"2\"");
    all.push(("good/b.yaml", &good));
    let second = repository.commit(&all, "Break one and change the other")?;
    check(shared, namespace, "bad", said).await?;
    shared.env.ready(namespace, "good", Some(&second)).await?;
    assert_eq!(shared.env.cluster.must(&uid).await?, before, "the object was deleted");
    repository.git(&["rm", "--quiet", "-r", "bad"])?;
    let third = repository.commit(&[("bad/a.yaml", MAP)], "Mend it")?;
    shared.env.ready(namespace, "bad", Some(&third)).await?;
    assert_eq!(shared.env.cluster.must(&uid).await?, before, "the object was deleted");
    Ok(())
}

macro_rules! cases {
    ($($name:ident: $test:expr;)*) => { $(#[test] fn $name() -> anyhow::Result<()> { run(&[], $test) })* };
}

cases! {
    unknown_host: |shared| async move {
        let said = Said { reason: "UnknownHost", words: &["no-such-host.invalid", "check the spelling"], stalled: false };
        source(shared, "unknown-host", "https://no-such-host.invalid/a.git", &json!({}), &said).await
    };
    refused_connection: |shared| async move {
        let said = Said { reason: "Unreachable", words: &["127.0.0.1:9", "check host and port"], stalled: false };
        source(shared, "refused", "https://127.0.0.1:9/a.git", &json!({}), &said).await
    };
    missing_repository: |shared| async move {
        let url = format!("https://127.0.0.1:{}/{USER}/nothing.git", shared.env.forge.port());
        let said = Said { reason: "RepositoryNotFound", words: &["alice/nothing.git", "repository not found"], stalled: true };
        source(shared, "missing-repository", &url, &json!({}), &said).await
    };
    file_source_without_the_flag: |shared| async move {
        let said = Said { reason: "FileNotAllowed", words: &["file:///srv", "--allow-file-sources"], stalled: true };
        source(shared, "file", "file:///srv/a.git", &json!({}), &said).await
    };
    missing_secret: |shared| async move {
        let more = json!({"source": {"git": {"secretRef": {"name": "nothing"}}}});
        let said = Said { reason: "SecretUnreadable", words: &["Secret missing-secret/nothing", "create it"], stalled: true };
        source(shared, "missing-secret", "https://127.0.0.1:9/a.git", &more, &said).await
    };
    password_in_the_url: |shared| async move {
        let said = Said { reason: "BadUrl", words: &["contains a password", "secretRef"], stalled: true };
        source(shared, "url-password", "https://alice:hunter2@127.0.0.1/a.git", &json!({}), &said).await?;
        assert!(!shared.agent.output()?.contains("hunter2"), "the password is in the log");
        Ok(())
    };
    missing_ref: |shared| async move {
        let repository = shared.env.forge.repository("refs").await?;
        let said = Said { reason: "RefNotFound", words: &["branch nothing not found", "main"], stalled: true };
        let more = json!({"source": {"git": {"ref": {"branch": "nothing"}}}});
        source(shared, "missing-ref", &repository.https_url, &more, &said).await
    };
    empty_repository: |shared| async move {
        let repository = shared.env.forge.empty_repository("empty").await?;
        let said = Said { reason: "EmptyRepository", words: &["the repository is empty"], stalled: true };
        source(shared, "empty-repository", &repository.https_url, &json!({}), &said).await
    };
    missing_path: |shared| async move {
        let repository = shared.env.forge.repository("paths").await?;
        let said = Said { reason: "PathNotFound", words: &["path ./nothing not found at main@sha1:", "spec.path"], stalled: true };
        source(shared, "missing-path", &repository.https_url, &json!({"path": "./nothing"}), &said).await
    };
    path_that_climbs_out: |shared| async move {
        let repository = shared.env.forge.repository("climb").await?;
        let said = Said { reason: "PathEscapes", words: &["../../etc leads out of the repository"], stalled: true };
        source(shared, "climb", &repository.https_url, &json!({"path": "../../etc"}), &said).await?;
        let said = Said { reason: "PathEscapes", words: &["/etc leads out"], stalled: true };
        source(shared, "climb-2", &repository.https_url, &json!({"path": "/etc"}), &said).await
    };
    unknown_ca: |shared| async move {
        shared.env.cluster.must(&["create", "namespace", "ca"]).await?;
        let login = |more: &[(&str, &str)]| sync::secret("ca", "git", &[&[("username", USER), ("password", PASSWORD)], more].concat());
        shared.env.cluster.apply(&login(&[])).await?;
        let repository = shared.env.forge.repository("ca").await?;
        let commit = repository.commit(&[("a.yaml", MAP)], "Begin")?;
        shared.env.cluster.apply(&sync::sync("ca", "bad", &repository.https_url, &json!({}))).await?;
        let said = Said { reason: "UntrustedCertificate", words: &["127.0.0.1", "ca.crt"], stalled: true };
        check(shared, "ca", "bad", &said).await?;
        shared.env.cluster.apply(&login(&[("ca.crt", shared.env.forge.ca())])).await?;
        shared.env.ready("ca", "bad", Some(&commit)).await
    };
    wrong_login: |shared| async move {
        shared.env.cluster.must(&["create", "namespace", "login"]).await?;
        let login = |password: &str| {
            sync::secret("login", "git", &[("username", USER), ("password", password), ("ca.crt", shared.env.forge.ca())])
        };
        shared.env.cluster.apply(&login("wrong-password")).await?;
        let repository = shared.env.forge.repository("login").await?;
        let commit = repository.commit(&[("a.yaml", MAP)], "Begin")?;
        shared.env.cluster.apply(&sync::sync("login", "bad", &repository.https_url, &json!({}))).await?;
        let said = Said { reason: "AuthenticationFailed", words: &["refuses the login", "Secret"], stalled: true };
        check(shared, "login", "bad", &said).await?;
        shared.env.cluster.apply(&login(PASSWORD)).await?;
        shared.env.ready("login", "bad", Some(&commit)).await?;
        assert!(!shared.agent.output()?.contains("wrong-password"), "the password is in the log");
        Ok(())
    };
    host_key_mismatch: |shared| async move {
        let repository = shared.env.forge.repository("hostkey").await?;
        let commit = repository.commit(&[("a.yaml", MAP)], "Begin")?;
        let key = shared.env.forge.deploy_key(&repository, false).await?;
        let right = shared.env.forge.known_hosts().to_owned();
        let wrong = format!(
            "[127.0.0.1]:{} ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIIm2iQ0T4PpJ0kXwN1dPzF3ZQdY0vJq3mC9dKQwHc5kR\n",
            shared.env.forge.ssh_port()
        );
        shared.env.cluster.must(&["create", "namespace", "hostkey"]).await?;
        let secret = |hosts: &str| sync::secret("hostkey", "git", &[("identity", &key), ("known_hosts", hosts)]);
        shared.env.cluster.apply(&secret(&wrong)).await?;
        shared.env.cluster.apply(&sync::sync("hostkey", "bad", &repository.ssh_url, &json!({}))).await?;
        let said = Said { reason: "HostKeyMismatch", words: &["does not match known_hosts"], stalled: true };
        check(shared, "hostkey", "bad", &said).await?;
        shared.env.cluster.apply(&secret("")).await?;
        let said = Said { reason: "HostKeyUnknown", words: &["known_hosts does not have the", "key of the host"], stalled: true };
        check(shared, "hostkey", "bad", &said).await?;
        shared.env.cluster.apply(&secret(&right)).await?;
        shared.env.ready("hostkey", "bad", Some(&commit)).await
    };
    repository_that_hangs: |shared| async move {
        let listener = TcpListener::bind("127.0.0.1:0")?;
        let url = format!("http://127.0.0.1:{}/a.git", listener.local_addr()?.port());
        let said = Said { reason: "Timeout", words: &["no answer within 5 s", "spec.timeout"], stalled: false };
        source(shared, "hangs", &url, &json!({"timeout": "5s"}), &said).await
    };
    symlink_out: |shared| async move {
        let repository = shared.env.forge.repository("symlink").await?;
        std::os::unix::fs::symlink("../../etc/passwd", repository.clone.join("out.yaml"))?;
        let inside = repository.clone.join("deep");
        std::fs::create_dir_all(&inside)?;
        repository.push_all("Link out")?;
        let said = Said { reason: "SymlinkEscapes", words: &["out.yaml", "../../etc/passwd"], stalled: true };
        source(shared, "symlink", &repository.https_url, &json!({}), &said).await
    };
    yaml_that_does_not_parse: |shared| async move {
        let said = Said { reason: "RenderFailed", words: &["bad/a.yaml:4:", "bad/c.yaml:", "2 errors"], stalled: true };
        let broken = "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: a\ndata: 1\n";
        commit(shared, "parse", &[("bad/a.yaml", broken), ("bad/c.yaml", "a: b: c\n")], &said).await
    };
    almost_an_object: |shared| async move {
        let said = Said { reason: "RenderFailed", words: &["bad/a.yaml:1", "piVersion", "apiVersion"], stalled: true };
        commit(shared, "almost", &[("bad/a.yaml", &MAP.replace("apiVersion", "piVersion"))], &said).await
    };
    duplicate_key: |shared| async move {
        let said = Said { reason: "RenderFailed", words: &["bad/a.yaml:5", "key"], stalled: true };
        commit(shared, "duplicate-key", &[("bad/a.yaml", &format!("{MAP}data: {{}}\n"))], &said).await
    };
    duplicate_object: |shared| async move {
        let said = Said { reason: "DuplicateObject", words: &["ConfigMap duplicate/a", "bad/c.yaml:1", "bad/a.yaml:1"], stalled: true };
        commit(shared, "duplicate", &[("bad/c.yaml", MAP)], &said).await
    };
    unknown_kind: |shared| async move {
        let said = Said { reason: "UnknownKind", words: &["bad/c.yaml:1", "Gizmo", "CustomResourceDefinition"], stalled: true };
        commit(shared, "kind", &[("bad/c.yaml", "apiVersion: example.com/v1\nkind: Gizmo\nmetadata: {name: g}\n")], &said).await
    };
    invalid_field: |shared| async move {
        let service = "apiVersion: v1\nkind: Service\nmetadata: {name: s}\nspec: {ports: [{port: 80}], selectr: {a: b}}\n";
        let said = Said { reason: "Invalid", words: &["bad/c.yaml:1", "Service field/s", "selectr"], stalled: true };
        commit(shared, "field", &[("bad/c.yaml", service)], &said).await
    };
    refused_by_admission: |shared| async move {
        let policy = json!({"apiVersion": "v1", "kind": "List", "items": [
            {"apiVersion": "admissionregistration.k8s.io/v1", "kind": "ValidatingAdmissionPolicy", "metadata": {"name": "no-secrets-here"},
             "spec": {"matchConstraints": {"resourceRules": [{"apiGroups": [""], "apiVersions": ["v1"], "operations": ["CREATE", "UPDATE"], "resources": ["configmaps"]}]},
                      "validations": [{"expression": "!has(object.metadata.labels) || !('forbidden' in object.metadata.labels)", "message": "the label forbidden is forbidden"}]}},
            {"apiVersion": "admissionregistration.k8s.io/v1", "kind": "ValidatingAdmissionPolicyBinding", "metadata": {"name": "no-secrets-here"},
             "spec": {"policyName": "no-secrets-here", "validationActions": ["Deny"]}}]});
        shared.env.cluster.apply(&policy.to_string()).await?;
        tokio::time::sleep(Duration::from_secs(3)).await;
        let said = Said { reason: "Denied", words: &["ConfigMap admission/c", "bad/c.yaml:1", "the label forbidden is forbidden"], stalled: true };
        let map = "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: c, labels: {forbidden: x}}\n";
        commit(shared, "admission", &[("bad/c.yaml", map)], &said).await
    };
}

#[test]
fn forbidden_says_which_verb_on_which_resource_in_which_namespace() -> anyhow::Result<()> {
    run(&[], |shared| async move {
        let repository = shared.env.forge.repository("rbac").await?;
        let commit = repository.commit(&[("a.yaml", MAP)], "Begin")?;
        shared.env.namespace("rbac").await?;
        let cluster = &shared.env.cluster;
        cluster.must(&["-n", "rbac", "create", "serviceaccount", "deployer"]).await?;
        cluster
            .must(&[
                "-n",
                "rbac",
                "create",
                "role",
                "reader",
                "--verb=get,list,watch",
                "--resource=configmaps",
            ])
            .await?;
        cluster
            .must(&[
                "-n",
                "rbac",
                "create",
                "rolebinding",
                "reader",
                "--role=reader",
                "--serviceaccount=rbac:deployer",
            ])
            .await?;
        cluster
            .apply(&sync::sync(
                "rbac",
                "bad",
                &repository.https_url,
                &json!({"serviceAccountName": "deployer"}),
            ))
            .await?;
        let words =
            ["system:serviceaccount:rbac:deployer may not", "configmaps in namespace rbac", "grant the verb"];
        check(shared, "rbac", "bad", &Said { reason: "Forbidden", words: &words, stalled: true }).await?;
        cluster
            .must(&["-n", "rbac", "create", "role", "writer", "--verb=create,patch", "--resource=configmaps"])
            .await?;
        cluster
            .must(&[
                "-n",
                "rbac",
                "create",
                "rolebinding",
                "writer",
                "--role=writer",
                "--serviceaccount=rbac:deployer",
            ])
            .await?;
        shared.env.ready("rbac", "bad", Some(&commit)).await
    })
}

#[test]
fn an_empty_folder_prunes_nothing() -> anyhow::Result<()> {
    run(&[], |shared| async move {
        let repository = shared.env.forge.repository("hollow").await?;
        repository.commit(&[("app/a.yaml", MAP), ("app/README.md", "the app")], "Begin")?;
        shared.env.namespace("hollow").await?;
        let never = json!({"path": "app", "approval": "Never"});
        shared.env.cluster.apply(&sync::sync("hollow", "bad", &repository.https_url, &never)).await?;
        shared.env.ready("hollow", "bad", None).await?;
        repository.remove(&["app/a.yaml"], "Empty it")?;
        let words = ["no manifests below app", "nothing was pruned", "1 objects stay"];
        check(shared, "hollow", "bad", &Said { reason: "NoManifests", words: &words, stalled: true }).await?;
        shared.env.cluster.must(&["-n", "hollow", "get", "configmap", "a"]).await?;
        let commit = repository.commit(&[("app/a.yaml", MAP)], "Fill it")?;
        shared.env.ready("hollow", "bad", Some(&commit)).await
    })
}

#[test]
fn two_syncs_that_claim_one_object() -> anyhow::Result<()> {
    run(&[], |shared| async move {
        let repository = shared.env.forge.repository("claim").await?;
        let two = MAP.replace("\"1\"", "\"2\"");
        let commit = repository.commit(&[("one/a.yaml", MAP), ("two/a.yaml", &two)], "Begin")?;
        shared.env.namespace("claim").await?;
        let one = sync::sync("claim", "one", &repository.https_url, &json!({"path": "one"}));
        shared.env.cluster.apply(&one).await?;
        shared.env.ready("claim", "one", Some(&commit)).await?;
        shared
            .env
            .cluster
            .apply(&sync::sync("claim", "two", &repository.https_url, &json!({"path": "two"})))
            .await?;
        let words = ["ConfigMap claim/a", "two/a.yaml:1", "owned by Sync claim/one", "was not changed"];
        check(shared, "claim", "two", &Said { reason: "OwnedByAnother", words: &words, stalled: true })
            .await?;
        let object = ["-n", "claim", "get", "configmap", "a", "-o", "jsonpath={.data.key} {.metadata.uid}"];
        let before = shared.env.cluster.must(&object).await?;
        assert!(before.starts_with("1 "), "{before}");
        let commit =
            repository.commit(&[("one/other.yaml", &MAP.replace("name: a", "name: other"))], "Another")?;
        repository.git(&["rm", "--quiet", "one/a.yaml"])?;
        let commit = repository.push_all("Leave it to two").or(Ok::<_, anyhow::Error>(commit))?;
        shared.env.ready("claim", "two", Some(&commit)).await?;
        let after = shared.env.cluster.must(&object).await?;
        assert_eq!(after, before.replacen('1', "2", 1), "it was deleted on the way");
        shared.env.ready("claim", "one", Some(&commit)).await
    })
}

#[test]
fn a_spec_that_the_schema_refuses() -> anyhow::Result<()> {
    run(&[], |shared| async move {
        shared.env.namespace("schema").await?;
        let cases = [
            (json!({"interval": "1s"}), "must be at least 5s"),
            (
                json!({"source": {"git": {"ref": {"branch": "a", "tag": "b"}}}}),
                "exactly one of branch, tag, semver, name, commit",
            ),
            (
                json!({"source": {"git": {"url": "nonsense"}}}),
                "must be https://, http://, ssh://, user@host:path or file://",
            ),
            (json!({"suspend": {"reason": ""}}), "must state the reason"),
            (json!({"intervall": "5s"}), "unknown field \"spec.intervall\""),
        ];
        for (more, word) in cases {
            let yaml = sync::sync("schema", "bad", "https://example.com/a.git", &more);
            let kubeconfig = shared.env.cluster.kubeconfig();
            let output = shared.env.cluster.kubectl_with(&kubeconfig, &["apply", "-f", "-"], &yaml).await?;
            let said = String::from_utf8_lossy(&output.stderr).into_owned();
            assert!(!output.status.success() && said.contains(word), "{word:?} is missing in: {said}");
        }
        Ok(())
    })
}

/// Runs last by its name: nothing of the above made the agent panic or write what is no JSON.
#[test]
fn zz_the_log_is_json_and_has_no_defect() -> anyhow::Result<()> {
    run(&[], |shared| async move {
        eventually(SOON, "the agent to be alive", || async { Ok(shared.agent.get("healthz").await.is_ok()) })
            .await?;
        let lines = shared.agent.lines()?;
        let defects: Vec<_> = lines
            .iter()
            .filter(|line| line["message"].as_str().is_some_and(|text| text.starts_with("Defect")))
            .collect();
        assert!(defects.is_empty(), "{defects:#?}");
        for line in &lines {
            for field in ["timestamp", "level", "message", "target"] {
                assert!(line[field].is_string(), "{field} is missing in {line}");
            }
        }
        Ok(())
    })
}
