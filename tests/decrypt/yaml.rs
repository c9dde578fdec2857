//! YAML: every rule, documents in one file, and whatever people do to an encrypted file without breaking it.

use anyhow::{Context as _, bail};
use holdfast::render::sops::{Format, decrypt, detect};
use holdfast_diff::yaml;
use proptest::prelude::*;
use proptest::test_runner::{Config, TestRunner};
use serde_json::Value;

use crate::generate;
use crate::workshop::{AgeKey, Workshop};

const VALUES: &str = include_str!("values.yaml");

/// The values of all documents.
fn values(text: &[u8]) -> Vec<Value> {
    let (documents, errors) = yaml::read("file.yaml", text);
    assert!(errors.is_empty(), "{errors:?}\n{}", String::from_utf8_lossy(text));
    documents.into_iter().map(|document| document.value).collect()
}

/// Opens a file, and compares its values with those that SOPS gives.
fn same_values(workshop: &Workshop, name: &str, encrypted: &[u8], key: &AgeKey) -> anyhow::Result<String> {
    let format = detect(name, encrypted).context("it is not found to be encrypted")?;
    let opened = decrypt(name, encrypted, format, Some(&key.keys()))?;
    let expected = workshop.decrypt(name, encrypted, key)?;
    let shown = String::from_utf8_lossy(&opened).into_owned();
    assert_eq!(values(&opened), values(&expected), "{}\n{shown}", String::from_utf8_lossy(encrypted));
    Ok(shown)
}

#[test]
fn yaml_is_opened_by_every_rule() -> anyhow::Result<()> {
    let workshop = Workshop::open()?;
    let key = workshop.age_key()?;
    for rule in [
        "",
        "mac_only_encrypted: true",
        "encrypted_regex: ^(data|stringData)$",
        "encrypted_regex: ^(data|stringData)$\nmac_only_encrypted: true",
        "unencrypted_regex: ^(kind|apiVersion|metadata)$",
        "encrypted_suffix: _secret",
        "unencrypted_suffix: _plain",
        "encrypted_comment_regex: sops:enc",
        "encrypted_comment_regex: sops:enc\nmac_only_encrypted: true",
        "unencrypted_comment_regex: sops:dec",
        "unencrypted_comment_regex: sops:dec\nmac_only_encrypted: true",
    ] {
        let rule = format!("age: {}\n{rule}", key.recipient);
        let encrypted = workshop.encrypt("values.yaml", VALUES.as_bytes(), &rule)?;
        let shown = same_values(&workshop, "values.yaml", &encrypted, &key)?;
        assert!(!shown.contains("ENC[") && !shown.contains("sops:\n"), "{rule}\n{shown}");
        assert!(
            shown.contains("# What comes first") && shown.contains("# a comment in a list"),
            "{rule}\n{shown}"
        );
    }
    Ok(())
}

#[test]
fn lines_stay_where_they_were() -> anyhow::Result<()> {
    let workshop = Workshop::open()?;
    let key = workshop.age_key()?;
    let encrypted = workshop.encrypt("values.yaml", VALUES.as_bytes(), &format!("age: {}", key.recipient))?;
    let opened = decrypt("values.yaml", &encrypted, Format::Yaml, Some(&key.keys()))?;
    let line = |text: &[u8], start: &str| {
        let text = String::from_utf8_lossy(text).into_owned();
        text.lines()
            .position(|line| line.trim_start().starts_with(start))
            .with_context(|| format!("{start}\n{text}"))
    };
    for start in ["kind:", "token_secret:", "bools:", "second:", "third:"] {
        assert_eq!(line(&opened, start)?, line(&encrypted, start)?, "{start}");
    }
    Ok(())
}

#[test]
fn files_put_one_behind_the_other_are_opened_each_by_its_own_metadata() -> anyhow::Result<()> {
    let workshop = Workshop::open()?;
    let key = workshop.age_key()?;
    let rule = format!("age: {}", key.recipient);
    let mut all = b"plain: true\n---\n".to_vec();
    all.extend(workshop.encrypt("a.yaml", b"# of a\na: 1\n", &rule)?);
    all.extend(b"---\n");
    all.extend(workshop.encrypt("b.yaml", b"b: 2\n---\nc: 3\n", &rule)?);
    all.extend(b"---\nlast: date 2001-01-01\n");
    let opened = decrypt("all.yaml", &all, Format::Yaml, Some(&key.keys()))?;
    let plain = "{plain: true}\n---\n{a: 1}\n---\n{b: 2}\n---\n{c: 3}\n---\n{last: date 2001-01-01}\n";
    assert_eq!(values(&opened), values(plain.as_bytes()), "{}", String::from_utf8_lossy(&opened));
    Ok(())
}

/// Each edit keeps the values and their order, so the MAC stays right.
#[test]
fn an_encrypted_file_may_be_formatted_anew() -> anyhow::Result<()> {
    let workshop = Workshop::open()?;
    let key = workshop.age_key()?;
    let rule = format!("age: {}\nencrypted_regex: ^data$", key.recipient);
    let plain = b"kind: Secret\nmore: {a: [x, z], b: [x, z]}\nquoted: \"yes\"\n\
        data:\n    one: 1\n    # about two\n    two: second\n";
    let encrypted = String::from_utf8(workshop.encrypt("a.yaml", plain, &rule)?)?;
    let (body, metadata) = encrypted.split_at(encrypted.find("sops:\n").unwrap_or_default());
    let check = |name: &str, text: String| {
        assert_ne!(text, encrypted, "{name} changes nothing");
        let shown = same_values(&workshop, "a.yaml", text.as_bytes(), &key)?;
        assert_eq!(values(shown.as_bytes()), values(plain), "{name}");
        anyhow::Ok(shown)
    };
    check("metadata first", format!("{metadata}{body}"))?;
    let middle = body.find("data:\n").unwrap_or_default();
    check("metadata in the middle", format!("{}{metadata}{}", &body[..middle], &body[middle..]))?;
    check("a comment behind the end", format!("{encrypted}# the end\n"))?;
    check("no line break at the end", encrypted.trim_end().to_owned())?;
    check("a start and an end", format!("---\n{encrypted}...\n"))?;
    check("Windows' line breaks", encrypted.replace('\n', "\r\n"))?;
    check(
        "aliases",
        encrypted.replacen("a:\n        - x\n        - z", "a: &same\n        - x\n        - z", 1).replacen(
            "b:\n        - x\n        - z",
            "b: *same",
            1,
        ),
    )?;
    check("a plain scalar of YAML 1.1", encrypted.replace("quoted: \"yes\"", "quoted: yes"))?;
    check(
        "quotes",
        encrypted.replace("two: ENC[", "\"two\": 'ENC[").replace("type:str]\nsops", "type:str]'\nsops"),
    )?;
    let (documents, _) = yaml::read("a.yaml", encrypted.as_bytes());
    let [document] = documents.as_slice() else { bail!("one document") };
    // JSON sorts the keys, and so does this file: data, kind, more, quoted.
    let sorted = b"data: {one: 1, two: second}\nkind: Secret\nsame: x\n";
    let encrypted = workshop.encrypt("b.yaml", sorted, &rule)?;
    let json = serde_json::to_string_pretty(&values(&encrypted)[0])?;
    let opened = decrypt("b.yaml", json.as_bytes(), Format::Yaml, Some(&key.keys()))?;
    assert_eq!(values(&opened), values(sorted));
    assert!(document.value.get("sops").is_some());
    Ok(())
}

#[test]
fn a_document_of_nothing_but_metadata_is_empty() -> anyhow::Result<()> {
    let workshop = Workshop::open()?;
    let key = workshop.age_key()?;
    let encrypted = workshop.encrypt("a.yaml", b"{}\n---\na: b\n", &format!("age: {}", key.recipient))?;
    same_values(&workshop, "a.yaml", &encrypted, &key)?;
    Ok(())
}

#[test]
fn whatever_yaml_and_json_hold_comes_back() -> anyhow::Result<()> {
    let workshop = Workshop::open()?;
    let key = workshop.age_key()?;
    let rules = proptest::sample::select(vec![
        "",
        "mac_only_encrypted: true",
        "encrypted_regex: a",
        "unencrypted_regex: a",
        "encrypted_suffix: e",
    ]);
    let config = Config { cases: 60, failure_persistence: None, ..Config::default() };
    let documents = proptest::collection::vec(generate::document(), 1..4);
    TestRunner::new(config).run(&(documents, rules), |(documents, rule)| {
        let rule = format!("age: {}\n{rule}", key.recipient);
        let text = documents.iter().map(generate::text).collect::<Vec<_>>().join("---\n");
        let fails = |error: anyhow::Error| TestCaseError::fail(format!("{error:#}\n{text}"));
        let encrypted = workshop.encrypt("a.yaml", text.as_bytes(), &rule).map_err(fails)?;
        let shown = same_values(&workshop, "a.yaml", &encrypted, &key).map_err(fails)?;
        prop_assert_eq!(values(shown.as_bytes()), values(text.as_bytes()), "{}\n{}", text, shown);
        let value = &values(text.as_bytes())[0];
        let json = value.to_string();
        // As they stand, these are refused in every file.
        if json.contains(|c: char| c.is_control()) {
            return Ok(());
        }
        let encrypted = workshop.encrypt("a.json", json.as_bytes(), &rule).map_err(fails)?;
        let opened = decrypt("a.json", &encrypted, Format::Json, Some(&key.keys()));
        let opened = opened.map_err(|error| fails(error.into()))?;
        prop_assert_eq!(serde_json::from_slice::<Value>(&opened).ok(), Some(value.clone()), "{}", json);
        Ok(())
    })?;
    Ok(())
}

#[test]
fn rare_forms_are_opened_as_well() -> anyhow::Result<()> {
    let workshop = Workshop::open()?;
    let key = workshop.age_key()?;
    for plain in [
        "list:\n    # nothing but this\n    []\nafter: 1\n",
        "deep:\n    list:\n        # nothing but this\n        []\nafter: 1\n",
        "a:\n  - # beside\n    - x\n    # between\n    - z\n  -\n    # above\n    - z\n",
        "a:\n  - k: 1 # beside\n    # above\n    l: 2\n    # below\n  # below the list\nb: 1\n# end\n",
        "a: &x {b: c}\nd: *x\ne: [*x, *x]\n",
        "a: &x {b: c}\nd:\n  <<: *x\n  e: f\n",
        "---\n# only a comment\n---\na: 1\n---\n---\nb: 2\n",
        "a: !!str 12\nb: !!binary aGk=\nc: !custom text\nd: !!float 1\ne: !!int \"3\"\n",
        "a: 2001-12-14 21:59:43.10\nb_unencrypted: 2001-12-14\nc_unencrypted: 2001-12-14T21:59:43+00:00\n",
        "a: \"x\\\n  z\"\nb: 'it''s'\nc: >2\n    one\n    two\n\n  three\nd: |-\n  x\n",
        "? a\n: b\n? \"c d\"\n: - e\n",
        "\u{feff}a: b\n",
        "a: b\r\nc: |\r\n  d\r\n  e\r\n",
    ] {
        let encrypted = workshop.encrypt("a.yaml", plain.as_bytes(), &format!("age: {}", key.recipient))?;
        let shown = same_values(&workshop, "a.yaml", &encrypted, &key)?;
        assert!(!shown.contains("ENC["), "{shown}");
    }
    Ok(())
}
