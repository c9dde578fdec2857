//! Encrypted files that a generator put into a Secret's `data`.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use holdfast::render::sops::decrypt_secret_data;
use serde_json::{Value, json};

use crate::workshop::Workshop;

fn data(object: &Value, entry: &str) -> anyhow::Result<String> {
    let code = object["data"][entry].as_str().unwrap_or_default();
    Ok(String::from_utf8(STANDARD.decode(code)?)?)
}

#[test]
fn entries_that_are_encrypted_files_are_opened() -> anyhow::Result<()> {
    let workshop = Workshop::open()?;
    let key = workshop.age_key()?;
    let rule = format!("age: {}", key.recipient);
    let metadata = json!({"name": "shop", "namespace": "web"});
    let mut secret = json!({"apiVersion": "v1", "kind": "Secret", "metadata": metadata, "data": {}});
    let docker = "{\n\t\"auths\": {\n\t\t\"example.com\": {\n\t\t\t\"auth\": \"eDp5\"\n\t\t}\n\t}\n}\n";
    let files = [
        ("config.yaml", "a: 1\n"),
        ("config.json", docker),
        ("shop.env", "A=b\n"),
        ("shop.ini", "[a]\nb = c\n"),
        ("token", "hunter2"),
        ("key.pem", "-----BEGIN\n"),
    ];
    for (name, plain) in files {
        secret["data"][name] = STANDARD.encode(workshop.encrypt(name, plain.as_bytes(), &rule)?).into();
    }
    let json = workshop.encrypt("docker.json", docker.as_bytes(), &rule)?;
    // Some write base64 in lines.
    let code = STANDARD
        .encode(json)
        .as_bytes()
        .chunks(76)
        .map(|row| String::from_utf8_lossy(row) + "\n")
        .collect::<String>();
    secret["data"][".dockerconfigjson"] = code.into();
    secret["data"]["plain"] = "aHVudGVy".into();
    secret["data"]["broken"] = "?".into();

    let before = secret.clone();
    let error =
        decrypt_secret_data(&mut secret, None).err().map(|error| error.to_string()).unwrap_or_default();
    assert!(error.starts_with("Secret web/shop, data ") && error.contains("no key is configured"), "{error}");
    assert_eq!(secret, before);

    assert!(decrypt_secret_data(&mut secret, Some(&key.keys()))?);
    for (name, plain) in files {
        assert_eq!(data(&secret, name)?, plain, "{name}");
    }
    assert_eq!(data(&secret, ".dockerconfigjson")?, docker);
    assert_eq!((&secret["data"]["plain"], &secret["data"]["broken"]), (&json!("aHVudGVy"), &json!("?")));
    assert!(!decrypt_secret_data(&mut secret, Some(&key.keys()))?, "nothing is left to open");
    Ok(())
}

#[test]
fn other_objects_are_left_alone() -> anyhow::Result<()> {
    let workshop = Workshop::open()?;
    let key = workshop.age_key()?;
    let encrypted = workshop.encrypt("token", b"x", &format!("age: {}", key.recipient))?;
    for kind in ["ConfigMap", "SealedSecret"] {
        let mut object =
            json!({"apiVersion": "v1", "kind": kind, "data": {"token": STANDARD.encode(&encrypted)}});
        let before = object.clone();
        assert!(!decrypt_secret_data(&mut object, Some(&key.keys()))?);
        assert_eq!(object, before);
    }
    for mut object in [json!(null), json!([]), json!({"apiVersion": "v1", "kind": "Secret", "data": null})] {
        assert!(!decrypt_secret_data(&mut object, None)?);
    }
    Ok(())
}
