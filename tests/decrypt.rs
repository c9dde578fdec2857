//! What SOPS encrypted is opened as SOPS opens it: every format and option, age and OpenPGP keys, and nothing that somebody
//! changed. The files are made by the real SOPS. I/O: processes, disk.

#[path = "decrypt/workshop.rs"]
mod workshop;

use holdfast::render::sops::{Format, decrypt, detect};
use holdfast_diff::yaml;
use serde_json::Value;

use workshop::Workshop;

const DEPLOYMENT: &str = include_str!("decrypt/values.yaml");

/// The values of all documents.
fn values(text: &[u8]) -> Vec<Value> {
    let (documents, errors) = yaml::read("file.yaml", text);
    assert!(errors.is_empty(), "{errors:?}\n{}", String::from_utf8_lossy(text));
    documents.into_iter().map(|document| document.value).collect()
}

/// Encrypts a file by a rule, opens it, and compares it with what SOPS makes of it: the values, or all bytes.
fn check(name: &str, plain: &str, rule: &str, same_bytes: bool) -> anyhow::Result<()> {
    let workshop = Workshop::open()?;
    let key = workshop.age_key()?;
    let encrypted = workshop.encrypt(name, plain.as_bytes(), &rule.replace("KEY", &key.recipient))?;
    let format = detect(name, &encrypted).unwrap_or_else(|| panic!("{name} is not found to be encrypted"));
    let opened = decrypt(name, &encrypted, format, Some(&key.keys()))?;
    let expected = workshop.decrypt(name, &encrypted, &key)?;
    let shown = String::from_utf8_lossy(&opened);
    assert!(!shown.contains("ENC["), "{name} by {rule}: something stays encrypted\n{shown}");
    if same_bytes {
        assert_eq!(shown, String::from_utf8_lossy(&expected), "{name} by {rule}");
    } else {
        assert_eq!(values(&opened), values(&expected), "{name} by {rule}\n{shown}");
    }
    Ok(())
}

#[test]
fn yaml_is_opened_by_every_rule() -> anyhow::Result<()> {
    for rule in [
        "age: KEY",
        "age: KEY\nmac_only_encrypted: true",
        "age: KEY\nencrypted_regex: ^(data|stringData)$",
        "age: KEY\nencrypted_regex: ^(data|stringData)$\nmac_only_encrypted: true",
        "age: KEY\nunencrypted_regex: ^(kind|apiVersion|metadata)$",
        "age: KEY\nencrypted_suffix: _secret",
        "age: KEY\nunencrypted_suffix: _plain",
        "age: KEY\nencrypted_comment_regex: sops:enc",
        "age: KEY\nunencrypted_comment_regex: sops:dec\nmac_only_encrypted: true",
    ] {
        check("values.yaml", DEPLOYMENT, rule, false)?;
    }
    Ok(())
}
