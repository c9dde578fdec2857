//! Keys of all kinds, in all the forms that a Secret holds them in, and data keys that are shared among
//! groups.

use holdfast::render::sops::{Format, Keys, SopsError, decrypt};
use pgp::composed::KeyType;
use pgp::crypto::ecc_curve::ECCCurve;

use crate::workshop::{Workshop, keys, secret};

fn opens(encrypted: &[u8], keys: &Keys) -> Result<String, SopsError> {
    let opened = decrypt("a.yaml", encrypted, Format::Yaml, Some(keys))?;
    Ok(String::from_utf8_lossy(&opened).into_owned())
}

const PLAIN: &[u8] = b"a: secret\n";
const OPENED: &str = "a: \"secret\"\n";

#[test]
fn any_of_several_age_keys_opens() -> anyhow::Result<()> {
    let workshop = Workshop::open()?;
    let (one, two, other) = (workshop.age_key()?, workshop.age_key()?, workshop.age_key()?);
    let encrypted =
        workshop.encrypt("a.yaml", PLAIN, &format!("age: {},{}", one.recipient, two.recipient))?;
    assert_eq!(opens(&encrypted, &one.keys())?, OPENED);
    assert_eq!(opens(&encrypted, &two.keys())?, OPENED);
    let file = format!("{}\n\n  # the right one\r\n{}\r\n", other.file, two.file);
    assert_eq!(opens(&encrypted, &keys(&[("all.agekey", file.as_bytes())]))?, OPENED);
    let quantum = workshop.new_age_key(&["-pq"])?;
    let file = format!("{}{}", quantum.file, two.file);
    assert_eq!(opens(&encrypted, &keys(&[("all.agekey", file.as_bytes())]))?, OPENED);
    let entries: &[(&str, &[u8])] =
        &[("a.agekey", other.file.as_bytes()), ("b.agekey", one.file.as_bytes()), ("sops.aws-kms", b"\xff")];
    assert_eq!(opens(&encrypted, &keys(entries))?, OPENED);
    Ok(())
}

#[test]
fn ssh_keys_open() -> anyhow::Result<()> {
    let workshop = Workshop::open()?;
    for kind in ["ed25519", "rsa"] {
        let (private, public) = workshop.ssh_key(kind, "")?;
        let encrypted = workshop.encrypt("a.yaml", PLAIN, &format!("age: {public:?}"))?;
        assert_eq!(opens(&encrypted, &keys(&[("ssh.agekey", private.as_bytes())]))?, OPENED, "{kind}");
    }
    Ok(())
}

#[test]
fn openpgp_keys_of_all_kinds_open() -> anyhow::Result<()> {
    let workshop = Workshop::open()?;
    for (primary, subkey) in [
        (KeyType::Ed25519Legacy, KeyType::ECDH(ECCCurve::Curve25519Legacy)),
        (KeyType::Rsa(2048), KeyType::Rsa(2048)),
        (KeyType::ECDSA(ECCCurve::P256), KeyType::ECDH(ECCCurve::P256)),
    ] {
        let key = workshop.pgp_key(primary, subkey)?;
        let encrypted = workshop.encrypt("a.yaml", PLAIN, &format!("pgp: {}", key.fingerprint))?;
        assert_eq!(opens(&encrypted, &keys(&[("key.asc", key.armored()?.as_bytes())]))?, OPENED);
        assert_eq!(opens(&encrypted, &keys(&[("key.asc", &key.binary()?)]))?, OPENED);
    }
    Ok(())
}

#[test]
fn one_file_holds_several_openpgp_keys() -> anyhow::Result<()> {
    let workshop = Workshop::open()?;
    let (one, two) = (workshop.small_pgp_key()?, workshop.small_pgp_key()?);
    let encrypted = workshop.encrypt("a.yaml", PLAIN, &format!("pgp: {}", two.fingerprint))?;
    let armored = format!("{}\n{}\n{}", one.armored()?, one.public()?, two.armored()?);
    assert_eq!(opens(&encrypted, &keys(&[("keys.asc", armored.as_bytes())]))?, OPENED);
    let binary = [one.binary()?, two.binary()?].concat();
    assert_eq!(opens(&encrypted, &keys(&[("keys.asc", &binary)]))?, OPENED);
    let age = workshop.age_key()?;
    let both = format!("age: {}\npgp: {}", age.recipient, one.fingerprint);
    let encrypted = workshop.encrypt("a.yaml", PLAIN, &both)?;
    assert_eq!(opens(&encrypted, &age.keys())?, OPENED);
    assert_eq!(opens(&encrypted, &keys(&[("keys.asc", armored.as_bytes())]))?, OPENED);
    Ok(())
}

#[test]
fn groups_open_when_enough_of_them_do() -> anyhow::Result<()> {
    let workshop = Workshop::open()?;
    let all = [workshop.age_key()?, workshop.age_key()?, workshop.age_key()?];
    let pgp = workshop.small_pgp_key()?;
    let [one, two, three] = &all;
    let rule = format!(
        "shamir_threshold: 2\nkey_groups:\n  - age: [{}]\n  - age: [{}]\n    pgp: [{}]\n  - age: [{}]",
        one.recipient, two.recipient, pgp.fingerprint, three.recipient
    );
    let armored = pgp.armored()?;
    for (name, plain) in [("a.yaml", "a: secret\n"), ("a.env", "a=secret\n"), ("a.ini", "[a]\na = secret\n")]
    {
        let encrypted = workshop.encrypt(name, plain.as_bytes(), &rule)?;
        let format = holdfast::render::sops::detect(name, &encrypted).unwrap_or(Format::Binary);
        let check = |given: &[(&str, &[u8])], expected: bool| {
            let opened = decrypt(name, &encrypted, format, Some(&keys(given)));
            assert_eq!(opened.is_ok(), expected, "{name}: {:?}", opened.err());
        };
        let (a, b, c) = (one.file.as_bytes(), two.file.as_bytes(), three.file.as_bytes());
        check(&[("a.agekey", a), ("b.agekey", b)], true);
        check(&[("a.agekey", a), ("c.agekey", c)], true);
        check(&[("b.agekey", b), ("c.agekey", c)], true);
        check(&[("a.agekey", a), ("b.agekey", b), ("c.agekey", c)], true);
        check(&[("c.agekey", c), ("b.asc", armored.as_bytes())], true);
        check(&[("b.agekey", b), ("b.asc", armored.as_bytes())], false);
        check(&[("a.agekey", a)], false);
    }
    let encrypted = workshop.encrypt("a.yaml", PLAIN, &rule)?;
    let error = opens(&encrypted, &one.keys()).err().map(|error| error.to_string()).unwrap_or_default();
    assert!(error.starts_with("a.yaml: the configured keys decrypt 1 of the 2 key groups"), "{error}");
    Ok(())
}

#[test]
fn what_is_no_key_is_refused_with_its_place() -> anyhow::Result<()> {
    let workshop = Workshop::open()?;
    let key = workshop.age_key()?;
    let check = |entries: &[(&str, &[u8])], expected: &str| {
        let error =
            Keys::from_secret(&secret(entries)).err().map(|error| error.to_string()).unwrap_or_default();
        assert!(error.contains(expected), "{error}");
        assert!(!error.contains("SECRET-KEY-1Q") && !error.contains("hunter2"), "{error}");
    };
    check(&[], "the Secret has no key");
    check(&[("identity", key.file.as_bytes())], "it has identity");
    let broken = format!("# one\n{}", key.file.replace("AGE-SECRET-KEY-1", "AGE-SECRET-KEY-1Q"));
    check(&[("a.agekey", broken.as_bytes())], "a.agekey: line 4 is not an age identity");
    check(&[("a.agekey", b"hunter2")], "a.agekey: line 1 is not an age identity");
    check(&[("a.agekey", b"\xff\xfe")], "a.agekey: line 1 is not an age identity");
    let quantum = workshop.new_age_key(&["-pq"])?;
    check(&[("q.agekey", quantum.file.as_bytes())], "q.agekey: line 3 is a post-quantum identity");
    let (locked, _) = workshop.ssh_key("ed25519", "hunter2")?;
    check(&[("ssh.agekey", locked.as_bytes())], "ssh.agekey: the SSH key cannot be read");
    check(&[("key.asc", b"hunter2")], "key.asc: the OpenPGP key cannot be read");
    check(&[("key.asc", b"")], "key.asc: the OpenPGP key cannot be read: it holds no secret key");
    let pgp = workshop.small_pgp_key()?;
    check(
        &[("key.asc", pgp.public()?.as_bytes())],
        "key.asc: the OpenPGP key cannot be read: it holds no secret key",
    );
    let locked = pgp.locked("hunter2")?;
    check(
        &[("key.asc", locked.as_bytes())],
        &format!("key.asc: the OpenPGP key {} has a passphrase", pgp.fingerprint),
    );
    Ok(())
}
