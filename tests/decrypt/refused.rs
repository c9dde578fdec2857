//! A changed encrypted file is refused, and the message says what, where, and what to do.
//! It never holds a value.

use anyhow::{Context as _, bail};
use holdfast::render::sops::{Format, Keys, SopsError, decrypt, detect};
use proptest::prelude::*;
use proptest::sample::Index;
use proptest::test_runner::{Config, TestRunner};
use serde_json::{Value, json};

use crate::workshop::{AgeKey, Workshop};

const PLAIN: &[u8] =
    b"kind: Secret\nname_unencrypted: shop\ndata:\n    user: hunter1\n    password: hunter2\n\
    \x20   port: 5432\n    open: true\n    list:\n        - hunter3\n        - hunter4\n";

struct Fixture {
    workshop: Workshop,
    key: AgeKey,
    text: String,
}

fn fixture(rule: &str) -> anyhow::Result<Fixture> {
    let workshop = Workshop::open()?;
    let key = workshop.age_key()?;
    let encrypted = workshop.encrypt("a.yaml", PLAIN, &format!("age: {}\n{rule}", key.recipient))?;
    Ok(Fixture { text: String::from_utf8(encrypted)?, workshop, key })
}

impl Fixture {
    /// The encrypted value of a key.
    fn value(&self, key: &str) -> &str {
        let (_, rest) =
            self.text.split_once(&format!("{key}: ENC[")).expect("the key is there, and encrypted");
        let end = rest.find(']').unwrap_or_default();
        let start = self.text.len() - rest.len() - "ENC[".len();
        &self.text[start..=self.text.len() - rest.len() + end]
    }

    /// The file with another value of a key.
    fn with(&self, key: &str, value: &str) -> String {
        self.text.replacen(&format!("{key}: {}", self.value(key)), &format!("{key}: {value}"), 1)
    }

    /// Fails where SOPS fails, with this message.
    fn check(&self, text: &str, expected: &str) {
        assert_ne!(text, self.text, "{expected}: nothing is changed");
        let error = message(decrypt("a.yaml", text.as_bytes(), Format::Yaml, Some(&self.key.keys())));
        assert!(error.contains(expected), "{error} is not: {expected}");
        let refused = self.workshop.decrypt("a.yaml", text.as_bytes(), &self.key).is_err();
        assert!(refused, "SOPS opens it: {error}");
    }
}

/// The message of a refusal. It names the file, and no value.
fn message<T>(result: Result<T, SopsError>) -> String {
    let error = result.err().expect("it is refused").to_string();
    assert!(error.starts_with("a.yaml:"), "{error}");
    assert!(!error.contains("hunter"), "{error}");
    error
}

/// Another byte in the data of an encrypted value.
fn flipped(value: &str) -> String {
    let at = value.find("data:").unwrap_or_default() + 5;
    let other = if value.as_bytes()[at] == b'A' { "B" } else { "A" };
    format!("{}{other}{}", &value[..at], &value[at + 1..])
}

#[test]
fn changed_values_are_refused() -> anyhow::Result<()> {
    for rule in ["", "mac_only_encrypted: true"] {
        let f = fixture(rule)?;
        let at = "a.yaml:5: data.password: the value cannot be decrypted";
        f.check(&f.with("password", &flipped(f.value("password"))), at);
        f.check(&f.with("password", f.value("user")), at);
        let cut = f.value("password");
        let form = "a.yaml:5: data.password: the value is not of the form";
        f.check(&f.with("password", &cut[..cut.len() / 2]), form);
        f.check(&f.with("password", &cut[..cut.len() - 1]), form);
        f.check(&f.with("password", &cut.replace(",iv:", ",iv:!")), form);
        f.check(&f.with("password", &cut.replace(",tag:", ",tag:AA")), form);
        f.check(
            &f.with("password", "plain"),
            "a.yaml:5: data.password: the value should be encrypted and is not",
        );
        f.check(&f.with("port", "1"), "a.yaml:6: data.port: the value should be encrypted and is not");
        f.check(&f.with("port", &f.value("port").replace("type:int", "type:word")), "has an unknown type");
        f.check(
            &f.with("open", &f.value("open").replace("type:bool", "type:int")),
            "does not match its type",
        );
    }
    Ok(())
}

#[test]
fn values_that_are_moved_added_or_taken_away_are_refused() -> anyhow::Result<()> {
    let mac = "a.yaml: the MAC does not match";
    for rule in ["", "mac_only_encrypted: true"] {
        let f = fixture(rule)?;
        let user = format!("    user: {}\n", f.value("user"));
        let password = format!("    password: {}\n", f.value("password"));
        f.check(&f.text.replacen(&user, "", 1), mac);
        f.check(&f.text.replacen(&format!("{user}{password}"), &format!("{password}{user}"), 1), mac);
        f.check(&f.with("password", "\"\""), mac);
        f.check(&f.with("password", "null"), mac);
        let items: Vec<&str> = f.text.lines().filter(|line| line.starts_with("        - ENC[")).collect();
        let [one, two] = items.as_slice() else { bail!("two items: {items:?}") };
        f.check(&f.text.replacen(&format!("{one}\n{two}"), &format!("{two}\n{one}"), 1), mac);
        f.check(&f.text.replacen(&format!("{one}\n"), "", 1), mac);
    }
    Ok(())
}

#[test]
fn plain_values_are_bound_too_unless_the_file_says_otherwise() -> anyhow::Result<()> {
    let f = fixture("")?;
    f.check(&f.text.replace("name_unencrypted: shop", "name_unencrypted: other"), "the MAC does not match");
    f.check(&f.text.replace("data:\n", "new_unencrypted: 1\ndata:\n"), "the MAC does not match");
    let free = fixture("mac_only_encrypted: true")?;
    let text = free.text.replace("name_unencrypted: shop", "name_unencrypted: other");
    assert_ne!(text, free.text);
    let opened = decrypt("a.yaml", text.as_bytes(), Format::Yaml, Some(&free.key.keys()))?;
    assert!(String::from_utf8_lossy(&opened).contains("name_unencrypted: other\n"));
    Ok(())
}

#[test]
fn changed_metadata_is_refused() -> anyhow::Result<()> {
    let f = fixture("")?;
    let mac = "a.yaml: the MAC does not match";
    f.check(&f.with("mac", &flipped(f.value("mac"))), mac);
    f.check(&f.with("mac", f.value("user")), mac);
    f.check(&f.with("mac", "ENC[AES256_GCM,data]"), mac);
    let year = f.text.replace("lastmodified: \"20", "lastmodified: \"19");
    f.check(&year, mac);
    f.check(&f.text.replace("unencrypted_suffix: _unencrypted", "mac_only_encrypted: true"), mac);
    let two = f.text.replace(
        "unencrypted_suffix: _unencrypted",
        "unencrypted_suffix: _unencrypted\n    encrypted_regex: a",
    );
    f.check(&two, "a.yaml: the metadata of SOPS cannot be read: it has more than one rule");
    f.check(&f.text.replace("- enc: |", "- end: |"), "an entry of `age` is without `enc`");
    f.check(&f.text.replace("    age:\n", "    nobody:\n"), "no key is named that opens it");
    let armor = f.text.replace("FILE-----\n            YWdl", "FILE-----\n            AAdl");
    f.check(&armor, "a.yaml: a configured key matches, but the data key cannot be decrypted: age: ");
    Ok(())
}

#[test]
fn a_broken_file_is_still_known_to_be_encrypted() -> anyhow::Result<()> {
    let workshop = Workshop::open()?;
    let key = workshop.age_key()?;
    for (name, plain, old, new) in [
        ("a.yaml", "a: b\n", "a: ENC[", "a: \"ENC["),
        ("a.json", "{\"a\": \"b\"}", "\"a\": ", "\"a\" "),
        ("token", "text", "\"data\": ", "\"data\": \t,"),
    ] {
        let encrypted = workshop.encrypt(name, plain.as_bytes(), &format!("age: {}", key.recipient))?;
        let text = String::from_utf8(encrypted)?;
        let broken = text.replacen(old, new, 1);
        assert_ne!(text, broken);
        let format = detect(name, text.as_bytes());
        assert_eq!(detect(name, broken.as_bytes()), format, "{name}");
        let error = decrypt(name, broken.as_bytes(), format.context("it is encrypted")?, Some(&key.keys()));
        let error = error.err().context("it is broken")?.to_string();
        assert!(error.starts_with(&format!("{name}:")), "{error}");
    }
    Ok(())
}

#[test]
fn other_versions_and_services_are_refused_by_name() -> anyhow::Result<()> {
    let f = fixture("")?;
    let version = f.text.replace("version: 3.", "version: 4.");
    let error = message(decrypt("a.yaml", version.as_bytes(), Format::Yaml, Some(&f.key.keys())));
    assert!(error.starts_with("a.yaml: SOPS 4.") && error.contains("is not supported"), "{error}");
    let (documents, _) = holdfast_diff::yaml::read("a.yaml", f.text.as_bytes());
    let mut value: Value = documents[0].value.clone();
    value["sops"]["age"] = json!([]);
    value["sops"]["kms"] =
        json!([{"arn": "arn:aws:kms:eu-1:1:key/2", "enc": "AA==", "created_at": "2024-01-01T00:00:00Z"}]);
    value["sops"]["hc_vault"] = json!([{"key_name": "shop", "enc": "vault:v1:AA"}]);
    let error = message(decrypt("a.yaml", value.to_string().as_bytes(), Format::Yaml, Some(&f.key.keys())));
    assert!(error.contains("only available from AWS KMS arn:aws:kms:eu-1:1:key/2, Vault shop"), "{error}");
    Ok(())
}

#[test]
fn without_the_right_key_the_recipients_are_named() -> anyhow::Result<()> {
    let workshop = Workshop::open()?;
    let (age, pgp, other) = (workshop.age_key()?, workshop.small_pgp_key()?, workshop.age_key()?);
    let rule = format!("age: {}\npgp: {}", age.recipient, pgp.fingerprint);
    let encrypted = workshop.encrypt("a.yaml", PLAIN, &rule)?;
    let open = |keys: Option<&Keys>| message(decrypt("a.yaml", &encrypted, Format::Yaml, keys));
    let recipients = format!("age {}, OpenPGP {}", age.recipient, pgp.fingerprint);
    let error = open(None);
    assert!(error.contains("no key is configured: ") && error.contains(&recipients), "{error}");
    let error = open(Some(&other.keys()));
    assert!(error.contains("no configured key decrypts this file") && error.contains(&recipients), "{error}");
    assert!(error.ends_with(&format!("the configured keys are those of age {}", other.recipient)), "{error}");
    let stranger = workshop.small_pgp_key()?;
    let keys = crate::workshop::keys(&[("key.asc", stranger.armored()?.as_bytes())]);
    assert!(open(Some(&keys)).contains("no configured key decrypts this file"));
    Ok(())
}

/// What a file says, as far as SOPS binds it: neither lists around values nor nulls.
fn said(format: Format, text: &[u8]) -> String {
    match format {
        Format::Yaml | Format::Json => {
            let (documents, _) = holdfast_diff::yaml::read("a.yaml", text);
            let mut out = String::new();
            documents.iter().for_each(|document| leaves(&document.value, "", &mut out));
            out
        }
        Format::Binary => String::from_utf8_lossy(text).into_owned(),
        Format::Dotenv | Format::Ini => {
            let text = String::from_utf8_lossy(text).into_owned();
            let rows = text.lines().map(|row| match row.split_once(']') {
                Some((section, _)) => section.trim().to_owned(),
                None => row.split_whitespace().collect::<String>(),
            });
            rows.filter(|row| !row.is_empty() && !row.starts_with(['#', ';'])).collect::<Vec<_>>().join("\n")
        }
    }
}

fn leaves(value: &Value, path: &str, out: &mut String) {
    match value {
        Value::Null => {}
        Value::Array(items) => items.iter().for_each(|item| leaves(item, path, out)),
        Value::Object(fields) => {
            fields.iter().for_each(|(key, field)| leaves(field, &format!("{path}.{key}"), out));
        }
        leaf => out.extend([path, "=", &leaf.to_string(), "\n"]),
    }
}

/// All values are encrypted here: a plain one is bound by its value alone, and not by its key.
#[test]
fn no_byte_is_changed_unseen() -> anyhow::Result<()> {
    let workshop = Workshop::open()?;
    let key = workshop.age_key()?;
    let mut files = Vec::new();
    for (name, plain) in [
        ("a.yaml", "# first\na: text\nb:\n    - 1\n    # in it\n    - 2.5\nc: {d: true, e: x}\n---\nf: g\n"),
        ("a.json", "{\"a\": \"text\", \"b\": [1, 2.5, {\"c\": true}], \"d\": {\"e\": \"f\"}}"),
        ("a.env", "# first\nA=text\nB=more\n"),
        ("a.ini", "; first\n[one]\na = b\n\n[two]\nc = d\n"),
        ("token", "text"),
    ] {
        let encrypted = workshop.encrypt(name, plain.as_bytes(), &format!("age: {}", key.recipient))?;
        let format = detect(name, &encrypted).context("it is encrypted")?;
        let opened = decrypt(name, &encrypted, format, Some(&key.keys()))?;
        files.push((name, encrypted, said(format, &opened)));
    }
    let change = (any::<Index>(), any::<Index>(), 0..3_u8, any::<u8>());
    let config = Config { cases: 2000, failure_persistence: None, ..Config::default() };
    let keys = key.keys();
    TestRunner::new(config).run(&change, |(file, place, kind, byte)| {
        let (name, encrypted, expected) = file.get(&files);
        let mut text = encrypted.clone();
        let at = place.index(text.len());
        match kind {
            0 => text[at] = byte,
            1 => text.insert(at, byte),
            _ => drop(text.remove(at)),
        }
        if let Some(format) = detect(name, &text)
            && let Ok(opened) = decrypt(name, &text, format, Some(&keys))
        {
            prop_assert_eq!(&said(format, &opened), expected, "{}", String::from_utf8_lossy(&text));
        }
        Ok(())
    })?;
    Ok(())
}
