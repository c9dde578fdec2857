//! Signatures, checked by git with ssh-keygen and gpg. I/O: processes, disk.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::ensure;
use holdfast::error::StageError;
use holdfast::source::{NewCommit, SignError};

use super::workshop::{LIMIT, Workshop, commit, git_command, pushed, signer};

/// An SSH key: its private half.
pub fn ssh_key(folder: &Path, kind: &str, bits: &str, password: &str) -> anyhow::Result<(String, PathBuf)> {
    let path = folder.join(format!("{kind}-{bits}-{}", password.len()));
    let mut keygen = Command::new("ssh-keygen");
    keygen.args(["-q", "-t", kind, "-N", password, "-C", "", "-f"]).arg(&path);
    if !bits.is_empty() {
        keygen.args(["-b", bits]);
    }
    ensure!(keygen.status()?.success(), "ssh-keygen failed for {kind}");
    Ok((std::fs::read_to_string(&path)?, path.with_extension("pub")))
}

/// Pushes commits that this key signs, and has git check them.
async fn check(
    workshop: &Workshop,
    secret: &[(&str, &str)],
    git: impl Fn(&[&str]) -> Command,
) -> anyhow::Result<()> {
    let signer = signer(secret)?;
    for number in 0..3 {
        let head = workshop.checkout("main").await?;
        let content = format!("image: web:{}-{number}\n", head.id());
        let unsigned = commit(&head, &[("a.yaml", content.as_bytes())], "Signed\n\nwith a body\n")?;
        let new = NewCommit { signer: Some(signer.clone()), ..unsigned };
        let id = pushed(workshop.push(&new).await)?;
        let output = git(&["verify-commit", "-v", &id]).current_dir(&workshop.bare).output()?;
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        ensure!(output.status.success(), "{said}\n{}", workshop.show(&id)?);
        ensure!(said.contains("Good"), "{said}");
        // The same signature again: the same commit.
        let (location, onto) = (workshop.location()?, holdfast::source::PushTarget::head_of(&head));
        let again = workshop.sources.push(&location, "main", &onto, &new, LIMIT).await;
        ensure!(pushed(again)? == id, "another signature for the same commit");
    }
    Ok(())
}

#[tokio::test]
async fn ssh_keys_of_all_kinds_sign() -> anyhow::Result<()> {
    let workshop = Workshop::new()?;
    let folder = workshop.folder.path();
    for (kind, bits, password) in [
        ("ed25519", "", ""),
        ("ed25519", "", "opens it"),
        ("rsa", "2048", ""),
        ("rsa", "3072", "opens it"),
        ("ecdsa", "256", ""),
        ("ecdsa", "384", ""),
    ] {
        let (mut private, mut public) = ssh_key(folder, kind, bits, password)?;
        // One ECDSA key of 256 begins with a zero byte, which is refused.
        while kind == "ecdsa" && name_of(&[("identity", &private)]) == Some("SigningKeyShort") {
            std::fs::remove_file(public.with_extension(""))?;
            std::fs::remove_file(&public)?;
            (private, public) = ssh_key(folder, kind, bits, password)?;
        }
        let allowed = folder.join("allowed");
        std::fs::write(&allowed, format!("alice@example.com {}", std::fs::read_to_string(public)?))?;
        let allowed = format!("gpg.ssh.allowedSignersFile={}", allowed.display());
        let mut secret = vec![("identity", private.as_str())];
        if !password.is_empty() {
            secret.push(("password", password));
        }
        check(&workshop, &secret, |arguments| {
            let mut git = git_command(&workshop.bare);
            git.args(["-c", &allowed]).args(arguments);
            git
        })
        .await
        .map_err(|error| error.context(format!("{kind} {bits}")))?;
    }
    Ok(())
}

/// The name of the error of a signer with these keys, if it has one.
fn name_of(secret: &[(&str, &str)]) -> Option<&'static str> {
    let error = signer(secret).err()?;
    error.downcast_ref::<SignError>().map(StageError::name)
}

#[test]
fn a_locked_ssh_key_needs_its_password() -> anyhow::Result<()> {
    let folder = holdfast_tests::watchdog::Folder::make("locked")?;
    let (private, _) = ssh_key(folder.path(), "ed25519", "", "opens it")?;
    let check = |secret: &[(&str, &str)], expected: &str| assert_eq!(name_of(secret), Some(expected));
    check(&[("identity", &private)], "SigningKeyLocked");
    check(&[("identity", &private), ("password", "wrong")], "WrongPassword");
    let cut = &private[..private.len() / 2];
    check(&[("identity", cut), ("password", "opens it")], "BadSigningKey");
    let (big, _) = ssh_key(folder.path(), "ecdsa", "521", "")?;
    check(&[("identity", &big)], "SigningKeyKind");
    // As in a Secret that was typed by hand.
    let windows = private.trim_end().replace('\n', "\r\n");
    signer(&[("identity", &windows), ("password", "opens it\n")]).map(|_| ())
}

/// gpg with a home of its own.
pub struct Gpg(pub PathBuf);

impl Gpg {
    /// One with an empty home, which has to outlive it.
    pub fn new() -> anyhow::Result<(Self, tempfile::TempDir)> {
        use std::os::unix::fs::PermissionsExt as _;
        holdfast_tests::services::need("gpg", "gnupg")?;
        // The sockets of gpg's agent need a short path.
        let home = tempfile::Builder::new().prefix("hfg").tempdir_in("/tmp")?;
        std::fs::set_permissions(home.path(), std::fs::Permissions::from_mode(0o700))?;
        Ok((Self(home.path().to_path_buf()), home))
    }

    pub fn run(&self, arguments: &[&str]) -> anyhow::Result<String> {
        let mut gpg = Command::new("gpg");
        gpg.env("GNUPGHOME", &self.0).args(["--batch", "--quiet", "--pinentry-mode", "loopback"]);
        let output = gpg.args(arguments).output()?;
        ensure!(output.status.success(), "gpg {arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
        Ok(String::from_utf8_lossy(&output.stdout).into_owned())
    }
}

impl Drop for Gpg {
    fn drop(&mut self) {
        // Its agent would outlive the test.
        let _ = Command::new("gpgconf").env("GNUPGHOME", &self.0).args(["--kill", "all"]).status();
    }
}

#[tokio::test]
async fn openpgp_keys_of_all_kinds_sign() -> anyhow::Result<()> {
    let workshop = Workshop::new()?;
    for (number, (primary, sub, password)) in [
        ("rsa2048", None, ""),
        ("ed25519", None, ""),
        ("ed25519", Some("ed25519"), "opens it"),
        ("rsa2048", Some("nistp256/ecdsa"), ""),
    ]
    .into_iter()
    .enumerate()
    {
        let (gpg, _home) = Gpg::new()?;
        let user = format!("alice-{number}@example.com");
        let usage = if sub.is_some() { "cert" } else { "cert,sign" };
        // The key is older than the commits.
        let old = ["--faked-system-time", "20200101T000000", "--passphrase", password];
        let later = ["--faked-system-time", "20210101T000000", "--passphrase", password];
        gpg.run(&[&old[..], &["--quick-generate-key", &user, primary, usage, "never"]].concat())?;
        if let Some(sub) = sub {
            let listed = gpg.run(&["--list-keys", "--with-colons", &user])?;
            let fingerprint = listed.lines().find_map(|line| line.strip_prefix("fpr:")).unwrap_or_default();
            let fingerprint = fingerprint.trim_matches(':');
            gpg.run(&[&later[..], &["--quick-add-key", fingerprint, sub, "sign", "never"]].concat())?;
        }
        let key = gpg.run(&["--passphrase", password, "--armor", "--export-secret-keys", &user])?;
        let mut secret = vec![("git.asc", key.as_str())];
        if !password.is_empty() {
            let locked = signer(&secret).err().map(|error| error.to_string());
            assert!(locked.is_some_and(|error| error.contains("locked")), "a locked key was taken");
            let wrong = signer(&[("git.asc", &key), ("password", "wrong")]).err();
            assert!(wrong.is_some_and(|error| error.to_string().contains("does not open")));
            secret.push(("password", password));
        }
        check(&workshop, &secret, |arguments| {
            let mut git = git_command(&workshop.bare);
            git.env("GNUPGHOME", &gpg.0).args(arguments);
            git
        })
        .await
        .map_err(|error| error.context(format!("{primary} {sub:?}")))?;
    }
    Ok(())
}
