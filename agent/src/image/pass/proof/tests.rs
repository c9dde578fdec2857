//! What may differ between two renders, and what may not.

use holdfast_diff::image::edit::ImagePart;
use holdfast_diff::yaml;

use super::*;

fn setting(part: ImagePart, before: &str, after: &str) -> Setting {
    let (before, after) = (before.to_owned(), after.to_owned());
    Setting {
        image: "web".to_owned(),
        document: 0,
        path: "/a".to_owned(),
        line: 1,
        part,
        before,
        after,
        behind: None,
        repeats: Vec::new(),
        group: 0,
    }
}

/// Compares two objects in which one field has these values, after `web:1` became `web:2`.
fn check(before: &str, after: &str) -> Vec<String> {
    differences(before, after, true)
}

fn differences(before: &str, after: &str, shows_values: bool) -> Vec<String> {
    let object = |value: &str| {
        let text =
            format!("apiVersion: v1\nkind: ConfigMap\nmetadata: {{name: a}}\ndata: {{a: {value}, b: x}}\n");
        yaml::manifests("a.yaml", text.as_bytes()).0
    };
    let setting = setting(ImagePart::Tag, "1.0", "2.0");
    let wanted = Reference { repository: "r.io/web".to_owned(), tag: Some("2.0".to_owned()), digest: None };
    let wanted = [("web".to_owned(), wanted)];
    let proof = Proof { settings: &[&setting], wanted: &wanted, shows_values };
    let compared = compare(&object(before), &object(after), &proof);
    let images = compared.objects.iter().flat_map(|(_, images)| images);
    assert!(images.eq(compared.others.is_empty().then_some("web")), "{compared:?}");
    compared.others
}

#[test]
fn only_what_was_set_may_differ() {
    for (before, after) in [
        ("r.io/web:1.0", "r.io/web:2.0"),
        ("'1.0'", "'2.0'"),
        ("release-1.0-of-1.0", "release-2.0-of-2.0"),
        ("release-1.0-of-1.0", "release-2.0-of-1.0"),
        ("r.io/web:0.9", "r.io/web:2.0"),
    ] {
        assert_eq!(check(before, after), Vec::<String>::new(), "{before} {after}");
    }
    for (before, after) in [
        ("r.io/web:1.0", "r.io/web:2.1"),
        ("r.io/other:1.1", "r.io/other:2.0"),
        ("'1.0'", "'2.0-x'"),
        ("x", "z"),
        ("'1.0'", "~"),
    ] {
        assert_eq!(check(before, after).len(), 1, "{before} {after}");
    }
    assert_eq!(check("x", "z"), ["ConfigMap a /data/a: \"x\" → \"z\""]);
    assert_eq!(differences("x", "z", false), ["ConfigMap a /data/a"]);
}

/// Compares objects, after the tag 1.0 became 2.0.
fn objects(before: &str, after: &str) -> (Vec<String>, Vec<String>) {
    let read = |text: &str| {
        let (found, errors) = yaml::manifests("a.yaml", text.as_bytes());
        assert!(errors.is_empty(), "{errors:?}");
        found
    };
    let setting = setting(ImagePart::Tag, "1.0", "2.0");
    let wanted = Reference { repository: "r.io/web".to_owned(), tag: Some("2.0".to_owned()), digest: None };
    let wanted = [("web".to_owned(), wanted)];
    let proof = Proof { settings: &[&setting], wanted: &wanted, shows_values: true };
    let compared = compare(&read(before), &read(after), &proof);
    (compared.others, compared.objects.iter().map(|(id, _)| id.to_string()).collect())
}

const VALUES: &str = "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: values-HASH}\ndata: {values.yaml: 'image: r.io/web:TAG'}\n";

fn generated(hash: &str, tag: &str, reference: &str) -> String {
    let map = VALUES.replace("HASH", hash).replace("TAG", tag);
    format!(
        "{map}---\napiVersion: apps/v1\nkind: Deployment\nmetadata: {{name: web}}\nspec: {{template: {{spec: {{volumes: [{{configMap: {{name: values-{reference}}}}}]}}}}}}\n"
    )
}

#[test]
fn a_name_may_change_with_its_content_if_all_references_do() {
    let before = generated("2bm7g8k9ct", "1.0", "2bm7g8k9ct");
    let (others, objects) = self::objects(&before, &generated("hf5d2t4k6m", "2.0", "hf5d2t4k6m"));
    assert_eq!(others, Vec::<String>::new());
    assert_eq!(objects, ["ConfigMap values-hf5d2t4k6m", "Deployment.apps web"]);
    let (others, _) = self::objects(&before, &generated("hf5d2t4k6m", "2.0", "2bm7g8k9ct"));
    assert_eq!(
        others,
        ["Deployment.apps web would still refer to values-2bm7g8k9ct, which gets another name"]
    );
    let (others, _) = self::objects(&before, &generated("hf5d2t4k6m", "2.0", "cc5d2t4k6m"));
    assert_eq!(others.len(), 1, "{others:?}");
    let (others, _) = self::objects(&before, &generated("hf5d2t4k6m", "3.0", "hf5d2t4k6m"));
    assert!(others.iter().any(|said| said.ends_with("would be new")), "{others:?}");
    assert!(others.iter().any(|said| said.ends_with("would be gone")), "{others:?}");
}

#[test]
fn a_secret_is_compared_by_what_it_holds() {
    let secret = |hash: &str, text: &str| {
        let data = base64::engine::general_purpose::STANDARD.encode(text);
        format!("apiVersion: v1\nkind: Secret\nmetadata: {{name: s-{hash}}}\ndata: {{a: {data}}}\n")
    };
    let (others, objects) =
        self::objects(&secret("2bm7g8k9ct", "web: 1.0\n"), &secret("hf5d2t4k6m", "web: 2.0\n"));
    assert_eq!((others.len(), objects.len()), (0, 1), "{others:?}");
    let (others, _) = self::objects(&secret("a", "web: 1.0\n"), &secret("a", "web: 3.0\n"));
    assert_eq!(others, ["Secret s-a /data/a"]);
}

#[test]
fn a_job_of_which_the_version_is_in_the_name_is_renamed_and_what_holds_data_is_not() {
    let job = |kind: &str, group: &str, tag: &str| {
        format!(
            "apiVersion: {group}\nkind: {kind}\nmetadata: {{name: migrate-{tag}}}\nspec: {{image: 'r.io/web:{tag}'}}\n"
        )
    };
    let (others, objects) = self::objects(&job("Job", "batch/v1", "1.0"), &job("Job", "batch/v1", "2.0"));
    assert_eq!((others.len(), objects.len()), (0, 1), "{others:?}");
    let (others, _) =
        self::objects(&job("StatefulSet", "apps/v1", "1.0"), &job("StatefulSet", "apps/v1", "2.0"));
    assert_eq!(others.len(), 2, "{others:?}");
}

#[test]
fn a_checksum_follows_from_another_change_alone() {
    let chart = |sum: &str, tag: &str| {
        format!(
            "apiVersion: v1\nkind: ConfigMap\nmetadata: {{name: a}}\ndata: {{a: 'web {tag}'}}\n---\napiVersion: apps/v1\nkind: Deployment\nmetadata: {{name: web}}\nspec: {{template: {{metadata: {{annotations: {{checksum/config: {sum}}}}}}}}}\n"
        )
    };
    let (one, other) = ("a".repeat(64), "b".repeat(64));
    assert_eq!(self::objects(&chart(&one, "1.0"), &chart(&other, "2.0")).0, Vec::<String>::new());
    assert_eq!(self::objects(&chart(&one, "1.0"), &chart(&other, "1.0")).0.len(), 1);
    assert_eq!(self::objects(&chart(&one, "1.0"), &chart("xyz", "2.0")).0.len(), 1);
}

#[test]
fn an_image_field_holds_an_image_afterwards() {
    let pod = |tag: &str| {
        format!(
            "apiVersion: v1\nkind: Pod\nmetadata: {{name: a}}\nspec: {{containers: [{{image: 'r.io/web:{tag}'}}]}}\n"
        )
    };
    let (others, _) = self::objects(&pod("1.0"), &pod("r.io/web:2.0"));
    assert_eq!(others, ["Pod a /spec/containers/0/image would hold no valid image reference"]);
}
