//! What SOPS encrypted is opened as SOPS opens it: every format and option, age and OpenPGP keys, and nothing
//! that were changed. The files are made by the real SOPS. I/O: processes, disk.

#[path = "decrypt/generate.rs"]
mod generate;
#[path = "decrypt/keys.rs"]
mod keys;
#[path = "decrypt/refused.rs"]
mod refused;
#[path = "decrypt/secret.rs"]
mod secret;
#[path = "decrypt/workshop.rs"]
mod workshop;
#[path = "decrypt/yaml.rs"]
mod yaml;

use anyhow::Context as _;
use holdfast::render::sops::{Format, decrypt, detect};

use workshop::Workshop;

/// Encrypts a file by a rule, opens it, and compares it with what SOPS makes of it, and with what it was.
fn check(name: &str, plain: &str, rule: &str) -> anyhow::Result<()> {
    let workshop = Workshop::open()?;
    let key = workshop.age_key()?;
    let encrypted = workshop.encrypt(name, plain.as_bytes(), &rule.replace("KEY", &key.recipient))?;
    let format = detect(name, &encrypted).context("it is not found to be encrypted")?;
    let opened = decrypt(name, &encrypted, format, Some(&key.keys()))?;
    let expected = workshop.decrypt(name, &encrypted, &key)?;
    assert_eq!(String::from_utf8_lossy(&opened), String::from_utf8_lossy(&expected), "{name} by {rule}");
    assert_eq!(String::from_utf8_lossy(&opened), plain, "{name} by {rule}");
    Ok(())
}

#[test]
fn json_is_opened_to_the_bytes_that_sops_writes() -> anyhow::Result<()> {
    let plain = include_str!("decrypt/values.json");
    for rule in ["age: KEY", "age: KEY\nmac_only_encrypted: true", "age: KEY\nencrypted_regex: ^b"] {
        check("values.json", plain, rule)?;
    }
    check("one.json", "{\n\t\"data\": \"no binary file\"\n}\n", "age: KEY")
}

#[test]
fn dotenv_is_opened_to_the_bytes_that_sops_writes() -> anyhow::Result<()> {
    let plain = "# a comment\nUSER=admin\nPASSWORD=pass=word # this belongs to it\nEMPTY=\n\
                 QUOTED=\"as it stands\"\nLINES=one\\ntwo\\\\n\nBACK=a\\b\n#last\n\
                 PLAIN_unencrypted=left\\nalone\nÜBER=ümläut\n";
    check("shop.env", plain, "age: KEY")?;
    check("shop.env", plain, "age: KEY\nencrypted_regex: ^P\nmac_only_encrypted: true")
}

#[test]
fn ini_is_opened_to_the_bytes_that_sops_writes() -> anyhow::Result<()> {
    let plain = include_str!("decrypt/values.ini");
    for rule in ["age: KEY", "age: KEY\nencrypted_regex: password", "age: KEY\nunencrypted_regex: ."] {
        check("values.ini", plain, rule)?;
    }
    Ok(())
}

#[test]
fn binary_files_are_opened_to_their_bytes() -> anyhow::Result<()> {
    let workshop = Workshop::open()?;
    let key = workshop.age_key()?;
    let all: Vec<u8> = (0..=255).collect();
    for plain in [&b"a token"[..], b"", b"{\"a\": 1}\n", b"sops: {mac: ENC[AES256_GCM,data:}", &all] {
        for name in ["token", "token.txt", ".dockercfg"] {
            let encrypted = workshop.encrypt(name, plain, &format!("age: {}", key.recipient))?;
            assert_eq!(detect(name, &encrypted), Some(Format::Binary), "{name}");
            let opened = decrypt(name, &encrypted, Format::Binary, Some(&key.keys()))?;
            assert_eq!(*opened, plain, "{name}");
        }
    }
    Ok(())
}

#[test]
fn a_file_that_was_encrypted_as_another_format_is_known_by_its_content() -> anyhow::Result<()> {
    let workshop = Workshop::open()?;
    let key = workshop.age_key()?;
    let check = |name: &str, input: &str, output: &str, plain: &str, format: Format, expected: &str| {
        let types = ["--input-type", input, "--output-type", output];
        let rule = format!("age: {}", key.recipient);
        let encrypted = workshop.encrypt_with(name, plain.as_bytes(), &rule, &types)?;
        assert_eq!(detect(name, &encrypted), Some(format), "{name}\n{}", String::from_utf8_lossy(&encrypted));
        let opened = decrypt(name, &encrypted, format, Some(&key.keys()))?;
        assert_eq!(String::from_utf8_lossy(&opened), expected, "{name}");
        anyhow::Ok(())
    };
    check("shop.env", "binary", "binary", "A=b\n", Format::Binary, "A=b\n")?;
    check("config", "ini", "ini", "[a]\nb = c\n", Format::Ini, "[a]\nb = c\n")?;
    check("environment", "dotenv", "dotenv", "A=b\n", Format::Dotenv, "A=b\n")?;
    check("settings", "yaml", "yaml", "a: b\n", Format::Yaml, "a: \"b\"\n")?;
    // Comments of a list become items of it, where the format has no comments.
    let list = "a:\n  # first\n  - x\n  # second\n  - 2\n  # last\nb:\n  - 1\n";
    let expected = "{\n\t\"a\": [\n\t\t\n\t\t\"x\",\n\t\t\n\t\t2\n\t],\n\t\"b\": [\n\t\t1\n\t]\n}\n";
    check("list.json", "yaml", "json", list, Format::Json, expected)?;
    let typed = "a: 1\nb: true\nc: 1.5\nd: text\n";
    check("typed.env", "yaml", "dotenv", typed, Format::Dotenv, "a=1\nb=true\nc=1.5\nd=text\n")
}

#[test]
fn ordinary_files_are_not_taken_for_encrypted_ones() {
    let check = |name: &str, text: &str| assert_eq!(detect(name, text.as_bytes()), None, "{name}: {text}");
    let value = "ENC[AES256_GCM,data:AA==,iv:AA==,tag:AA==,type:str]";
    check("a.yaml", "a: b\n");
    check("a.yaml", &format!("sops: text\na: {value}\n"));
    check("a.yaml", &format!("sops: {{mac: {value:?}}}\n"));
    check("a.yaml", &format!("deep: {{sops: {{mac: {value:?}, version: '3', lastmodified: x}}}}\n"));
    check("a.json", &format!("{{\"sops\": \"none\", \"a\": {value:?}}}"));
    check("a.json", &format!("[{{\"sops\": {{\"mac\": {value:?}}}}}]"));
    check("a.env", &format!("SOPS=x\nsops_mac={value}\n"));
    check("a.ini", &format!("[other]\nsops = {value}\n"));
    check("a.txt", &format!("sops {value}"));
}
