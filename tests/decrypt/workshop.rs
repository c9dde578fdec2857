//! Makes keys and encrypted files with the real SOPS and age, and OpenPGP keys with rPGP. Each in a folder of
//! its own, with nothing of the user's. I/O: processes, disk.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::DirBuilderExt as _;
use std::path::Path;
use std::process::{Command, Output};
use std::sync::LazyLock;

use anyhow::{Context as _, ensure};
use holdfast::render::sops::Keys;
use holdfast_tests::tools::{self, Sops};
use pgp::composed::{
    ArmorOptions, EncryptionCaps, KeyType, SecretKeyParamsBuilder, SignedPublicKey, SignedSecretKey,
    SubkeyParamsBuilder,
};
use pgp::crypto::ecc_curve::ECCCurve;
use pgp::ser::Serialize as _;
use pgp::types::KeyDetails as _;
use tempfile::TempDir;

static TOOLS: LazyLock<Result<Sops, String>> =
    LazyLock::new(|| tools::sops().map_err(|error| format!("{error:#}")));

/// A folder in which files are encrypted.
pub struct Workshop {
    tools: &'static Sops,
    folder: TempDir,
}

/// An age key: the recipient, and the file of the identity.
pub struct AgeKey {
    pub recipient: String,
    pub file: String,
}

/// An OpenPGP key.
pub struct PgpKey {
    pub fingerprint: String,
    pub secret: SignedSecretKey,
}

impl Workshop {
    pub fn open() -> anyhow::Result<Self> {
        let tools = TOOLS.as_ref().map_err(|error| anyhow::anyhow!("{error}"))?;
        let folder = tempfile::tempdir()?;
        fs::DirBuilder::new().mode(0o700).create(folder.path().join("gnupg"))?;
        Ok(Self { tools, folder })
    }

    pub fn age_key(&self) -> anyhow::Result<AgeKey> {
        self.new_age_key(&[])
    }

    pub fn new_age_key(&self, arguments: &[&str]) -> anyhow::Result<AgeKey> {
        let output = succeeded(Command::new(&self.tools.age_keygen).args(arguments).output()?)?;
        let file = String::from_utf8(output)?;
        let recipient = file.lines().find_map(|line| line.strip_prefix("# public key: "));
        Ok(AgeKey { recipient: recipient.context("age-keygen names no recipient")?.to_owned(), file })
    }

    /// Makes an OpenPGP key whose subkey encrypts, and makes it known to SOPS.
    pub fn pgp_key(&self, primary: KeyType, subkey: KeyType) -> anyhow::Result<PgpKey> {
        let subkey =
            SubkeyParamsBuilder::default().key_type(subkey).can_encrypt(EncryptionCaps::All).build()?;
        let params = SecretKeyParamsBuilder::default()
            .key_type(primary)
            .can_certify(true)
            .can_sign(true)
            .primary_user_id("Shop <shop@example.com>".to_owned())
            .subkeys(vec![subkey])
            .build()?;
        let secret = params.generate(rand08::thread_rng())?;
        let ring = self.folder.path().join("gnupg/pubring.gpg");
        let mut known = fs::read(&ring).unwrap_or_default();
        SignedPublicKey::from(secret.clone()).to_writer(&mut known)?;
        fs::write(ring, known)?;
        Ok(PgpKey { fingerprint: secret.fingerprint().to_string().to_ascii_uppercase(), secret })
    }

    /// An OpenPGP key as GnuPG makes it by default.
    pub fn small_pgp_key(&self) -> anyhow::Result<PgpKey> {
        self.pgp_key(KeyType::Ed25519Legacy, KeyType::ECDH(ECCCurve::Curve25519Legacy))
    }

    /// An SSH key: the private file, and the public line.
    pub fn ssh_key(&self, kind: &str, passphrase: &str) -> anyhow::Result<(String, String)> {
        let folder = tempfile::tempdir_in(self.folder.path())?;
        let file = folder.path().join("key");
        let arguments = ["-q", "-C", "shop", "-t", kind, "-N", passphrase, "-f"];
        succeeded(Command::new("ssh-keygen").args(arguments).arg(&file).output()?)?;
        let public = fs::read_to_string(file.with_extension("pub"))?;
        Ok((fs::read_to_string(file)?, public.trim_end().to_owned()))
    }

    /// Encrypts a file under this name, by one rule of SOPS' configuration: the fields of a creation rule.
    pub fn encrypt(&self, name: &str, plain: &[u8], rule: &str) -> anyhow::Result<Vec<u8>> {
        self.encrypt_with(name, plain, rule, &[])
    }

    pub fn encrypt_with(
        &self,
        name: &str,
        plain: &[u8],
        rule: &str,
        arguments: &[&str],
    ) -> anyhow::Result<Vec<u8>> {
        let config = self.folder.path().join(".sops.yaml");
        fs::write(&config, format!("creation_rules:\n  - {}\n", rule.replace('\n', "\n    ")))?;
        let file = self.folder.path().join(name);
        fs::write(&file, plain)?;
        succeeded(self.sops().arg("encrypt").args(arguments).arg(file).output()?)
    }

    /// What the real SOPS makes of an encrypted file.
    pub fn decrypt(&self, name: &str, encrypted: &[u8], key: &AgeKey) -> anyhow::Result<Vec<u8>> {
        let file = self.folder.path().join(name);
        fs::write(&file, encrypted)?;
        succeeded(self.sops().arg("decrypt").arg(file).env("SOPS_AGE_KEY", &key.file).output()?)
    }

    fn sops(&self) -> Command {
        let mut command = Command::new(&self.tools.sops);
        let folder: &Path = self.folder.path();
        command.env_clear().env("HOME", folder).env("GNUPGHOME", folder.join("gnupg")).current_dir(folder);
        command
    }
}

impl AgeKey {
    pub fn keys(&self) -> Keys {
        keys(&[("age.agekey", self.file.as_bytes())])
    }
}

impl PgpKey {
    pub fn armored(&self) -> anyhow::Result<String> {
        Ok(self.secret.to_armored_string(ArmorOptions::default())?)
    }

    pub fn public(&self) -> anyhow::Result<String> {
        Ok(SignedPublicKey::from(self.secret.clone()).to_armored_string(ArmorOptions::default())?)
    }

    /// The key with this passphrase on all its parts.
    pub fn locked(&self, passphrase: &str) -> anyhow::Result<String> {
        let mut key = self.secret.clone();
        key.primary_key.set_password(rand08::thread_rng(), &passphrase.into())?;
        for subkey in &mut key.secret_subkeys {
            subkey.key.set_password(rand08::thread_rng(), &passphrase.into())?;
        }
        Ok(key.to_armored_string(ArmorOptions::default())?)
    }

    pub fn binary(&self) -> anyhow::Result<Vec<u8>> {
        Ok(self.secret.to_bytes()?)
    }
}

/// The keys of a Secret with these entries.
pub fn keys(entries: &[(&str, &[u8])]) -> Keys {
    Keys::from_secret(&secret(entries)).map_err(|error| error.to_string()).expect("the keys are good")
}

pub fn secret(entries: &[(&str, &[u8])]) -> BTreeMap<String, Vec<u8>> {
    entries.iter().map(|(name, bytes)| ((*name).to_owned(), bytes.to_vec())).collect()
}

fn succeeded(output: Output) -> anyhow::Result<Vec<u8>> {
    ensure!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    Ok(output.stdout)
}
