//! Rendering on a real cluster: kustomize, charts, variables, encrypted files, bases in other repositories, and what is
//! rendered again after a commit. I/O: processes, network.

#[path = "render/charts.rs"]
mod charts;
#[path = "render/kit.rs"]
mod kit;
#[path = "hostile/servers.rs"]
#[expect(dead_code, reason = "the suite of tenants uses all of it")]
mod servers;
#[path = "render/web_files.rs"]
mod web_files;

use holdfast_tests::shared::{SOON, config_map, run};
use holdfast_tests::{eventually, sync};
use serde_json::json;

use self::kit::{Vault, agent, ask, begin, is_kept, kubectl, says};

const WEB: &str = "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: web}\ndata: {uses: \"1\"}\n";
#[test]
fn variables_come_from_the_cluster_and_a_changed_one_is_applied_at_once() -> anyhow::Result<()> {
    run(agent(), |shared| async move {
        let namespace = "variables";
        shared.env.namespace(namespace).await?;
        let settings = |level: &str| json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "vars", "namespace": namespace}, "data": {"level": level, "inline": "lost"}});
        shared.env.cluster.apply(&settings("info").to_string()).await?;
        shared.env.cluster.apply(&sync::secret(namespace, "vars", &[("password", "s3cret")])).await?;
        let map = "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: a}\ndata:\n  level: ${level}\n  inline: ${inline:=none}\n  hidden: \"${password}\"\n  missing: ${nothing:-default}\n";
        let script = "apiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: script\n  annotations: {holdfast.dev/substitute: Disabled}\ndata: {run: \"echo ${HOME}\"}\n";
        let spec = json!({"render": {"substitute": {"vars": {"inline": "won"}, "from": [
            {"kind": "ConfigMap", "name": "vars"}, {"kind": "Secret", "name": "vars"},
            {"kind": "ConfigMap", "name": "absent", "optional": true}]}}});
        let repository = begin(shared, namespace, &[("a.yaml", map), ("script.yaml", script)], &spec).await?;
        let data = || {
            shared.jsonpath(
                namespace,
                "configmap/a",
                "{.data.level} {.data.inline} {.data.hidden} {.data.missing}",
            )
        };
        assert_eq!(data().await?, "info won s3cret default");
        assert_eq!(shared.jsonpath(namespace, "configmap/script", "{.data.run}").await?, "echo ${HOME}");
        shared.env.cluster.apply(&settings("debug").to_string()).await?;
        shared.until(namespace, "configmap/a", "{.data.level}", "debug").await?;
        // Nothing that came from the Secret is on disk.
        assert!(!is_kept(shared, "s3cret")?, "a secret value is in the cache");
        // An undefined variable is an error with its line.
        repository.commit(&[("a.yaml", &map.replace("${nothing:-default}", "${nothing}"))], "Break")?;
        ask(shared, namespace, "1").await?;
        says(shared, namespace, "RenderFailed", &["a.yaml:8", "nothing", "is not set"]).await
    })
}

#[test]
fn encrypted_files_are_opened_with_the_key_of_a_secret_and_refused_without() -> anyhow::Result<()> {
    run(agent(), |shared| async move {
        let namespace = "encrypted";
        let sops = Vault::make()?;
        let secret = "apiVersion: v1\nkind: Secret\nmetadata: {name: db}\nstringData: {password: hunter2}\n";
        let sealed = sops.encrypt("db.yaml", secret, &["--encrypted-regex", "^(data|stringData)$"])?;
        let env = sops.encrypt("token.env", "TOKEN=t0ken\n", &[])?;
        let kustomization = "resources: [db.yaml]\nsecretGenerator:\n- name: token\n  envs: [token.env]\n  options: {disableNameSuffixHash: true}\n";
        let files = [
            ("kustomization.yaml", kustomization),
            ("db.yaml", sealed.as_str()),
            ("token.env", env.as_str()),
        ];
        let repository = shared.env.forge.repository(namespace).await?;
        repository.commit(&files, "Begin")?;
        shared.env.namespace(namespace).await?;
        shared.env.cluster.apply(&sync::sync(namespace, "app", &repository.https_url, &json!({}))).await?;
        let words = ["db.yaml:1", "kustomization.yaml:3", "encrypted", "spec.render.decrypt"];
        says(shared, namespace, "RenderFailed", &words).await?;
        let keys = sync::secret(namespace, "keys", &[("holdfast.agekey", sops.key())]);
        shared.env.cluster.apply(&keys).await?;
        let spec = json!({"spec": {"render": {"decrypt": {"secretRef": {"name": "keys"}}}}});
        shared.patch(namespace, "sync/app", &spec).await?;
        shared.env.ready(namespace, "app", None).await?;
        let value = |secret: &'static str, key: &'static str| async move {
            shared.jsonpath(namespace, secret, &format!("{{.data.{key}}}")).await
        };
        assert_eq!(value("secret/db", "password").await?, "aHVudGVyMg==");
        assert_eq!(value("secret/token", "TOKEN").await?, "dDBrZW4=");
        assert!(!is_kept(shared, "hunter2")? && !is_kept(shared, "aHVudGVyMg")?, "it is in the cache");
        // One that was changed by hand is refused, and what is applied stays.
        let tampered = sealed.replace("kind: Secret", "kind: Secret\nimmutable: true");
        repository.commit(&[("db.yaml", &tampered)], "Tamper")?;
        ask(shared, namespace, "1").await?;
        says(shared, namespace, "RenderFailed", &["db.yaml", "MAC does not match"]).await?;
        assert_eq!(value("secret/db", "password").await?, "aHVudGVyMg==");
        Ok(())
    })
}

#[test]
fn bases_in_other_repositories_need_to_be_allowed_and_are_followed() -> anyhow::Result<()> {
    run(agent(), |shared| async move {
        let namespace = "remote";
        let base = shared.env.forge.repository("remote-base").await?;
        base.commit(
            &[("app/kustomization.yaml", "resources: [web.yaml]\n"), ("app/web.yaml", WEB)],
            "Begin",
        )?;
        let url = format!("file://{}//app?ref=main", base.clone.display());
        let kustomization = format!("resources:\n- {url}\nnamePrefix: far-\n");
        let files = [("kustomization.yaml", kustomization.as_str())];
        shared.begin(namespace, &files, &json!({})).await?;
        shared.until(namespace, "configmap/far-web", "{.data.uses}", "1").await?;
        base.commit(&[("app/web.yaml", &WEB.replace("\"1\"", "\"2\""))], "Move")?;
        eventually(SOON * 4, "the base to be followed", || async {
            ask(shared, namespace, &jiff::Timestamp::now().to_string()).await?;
            Ok(shared.jsonpath(namespace, "configmap/far-web", "{.data.uses}").await? == "2")
        })
        .await
    })
}

#[test]
fn what_is_wrong_with_a_kustomization_is_told_and_nothing_is_pruned() -> anyhow::Result<()> {
    run(agent(), |shared| async move {
        let namespace = "wrong";
        let files = [("kustomization.yaml", "resources: [a.yaml]\n"), ("a.yaml", &config_map("a", "1"))];
        let repository = shared.begin(namespace, &files, &json!({})).await?;
        let cases = [
            ("resource: [a.yaml]\n", vec!["kustomization.yaml:1", "resource", "resources"]),
            ("resources: [a.yaml, b.yaml]\n", vec!["b.yaml"]),
            ("resources: [../../../etc]\n", vec!["../../../etc"]),
            ("resources: ['file:///example/nothing//x?ref=v1']\n", vec!["/example/nothing"]),
            ("resources: [a.yaml]\npatches: [{path: none.yaml}]\n", vec!["none.yaml"]),
        ];
        for (round, (text, words)) in cases.into_iter().enumerate() {
            repository.commit(&[("kustomization.yaml", text)], "Break")?;
            ask(shared, namespace, &round.to_string()).await?;
            says(shared, namespace, "RenderFailed", &words).await?;
        }
        kubectl(shared, namespace, &["get", "configmap", "a"]).await?;
        Ok(())
    })
}
