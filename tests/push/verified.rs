//! Commits and tags that the real git signed with ssh-keygen and gpg, verified; and those that must not count. I/O: processes, disk.

use std::path::Path;
use std::time::Duration;

use anyhow::{Context as _, ensure};
use holdfast::source::{GitRef, Signed, Signers, VerifyError};
use jiff::Timestamp;

use super::signed::{Gpg, ssh_key};
use super::workshop::{AT, LIMIT, Workshop, git, git_command};

/// Runs git in the clone with settings.
fn signing(workshop: &Workshop, settings: &[String], arguments: &[&str]) -> anyhow::Result<String> {
    let mut command = git_command(&workshop.clone);
    for setting in settings {
        command.args(["-c", setting]);
    }
    let output = command.args(arguments).output()?;
    ensure!(output.status.success(), "{arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}

/// Commits and pushes with these settings, of which `-S` uses the key.
fn commit(workshop: &Workshop, settings: &[String]) -> anyhow::Result<()> {
    signing(
        workshop,
        settings,
        &["commit", "--quiet", "--allow-empty", "-S", "-m", "Signed\n\nwith a body"],
    )?;
    git(&workshop.clone, &["push", "--quiet", "--force", "origin", "HEAD:refs/heads/main"]).map(drop)
}

fn with_ssh(key: &Path) -> Vec<String> {
    vec!["gpg.format=ssh".to_owned(), format!("user.signingKey={}", key.display())]
}

/// The error of the verification of a ref with these public keys of a Secret; empty if it is verified.
async fn refusal(
    workshop: &Workshop,
    reference: GitRef,
    signed: Signed,
    secret: &[(&str, &str)],
) -> anyhow::Result<String> {
    let checkout =
        workshop.sources.checkout(&workshop.location()?, &reference, Duration::ZERO, LIMIT).await?;
    let data = secret.iter().map(|(key, value)| ((*key).to_owned(), value.as_bytes().to_vec())).collect();
    let signers = Signers::from_secret(&data)?;
    let outcome: Result<(), VerifyError> = checkout.verify(&signers, signed, Timestamp::now());
    Ok(outcome.err().map(|error| error.to_string()).unwrap_or_default())
}

async fn head(workshop: &Workshop, secret: &[(&str, &str)]) -> anyhow::Result<String> {
    refusal(workshop, GitRef::default(), Signed::Head, secret).await
}

#[tokio::test]
async fn commits_with_ssh_keys_are_verified() -> anyhow::Result<()> {
    let workshop = Workshop::new()?;
    let folder = workshop.folder.path();
    let (_, other) = ssh_key(folder, "ed25519", "", "other")?;
    let other = std::fs::read_to_string(other)?;
    for (kind, bits) in
        [("ed25519", ""), ("rsa", "2048"), ("rsa", "3072"), ("ecdsa", "256"), ("ecdsa", "384")]
    {
        let (_, public) = ssh_key(folder, kind, bits, "")?;
        commit(&workshop, &with_ssh(&public.with_extension("")))?;
        let public = std::fs::read_to_string(public)?;
        let key = public.trim();
        let both = format!("# who may sign\n\n{other}{public}");
        for (name, keys, expected) in [
            ("alice.pub", public.clone(), ""),
            ("all.pub", both, ""),
            ("allowed_signers", format!("alice@example.com {key} comment\n"), ""),
            (
                "allowed_signers",
                format!("\"a b\",bob namespaces=\"file,git\",valid-after=\"20230101\" {key}\n"),
                "",
            ),
            ("allowed_signers", format!("alice valid-before=\"20991231\" {key}\n"), ""),
            (
                "allowed_signers",
                format!("alice valid-before=\"20231114000000Z\" {key}\n"),
                "which expired at 2023-11-14T00:00:00Z",
            ),
            (
                "allowed_signers",
                format!("alice valid-after=\"202311150000\" {key}\n"),
                "which is valid only after 2023-11-15",
            ),
            (
                "allowed_signers",
                format!("alice namespaces=\"file\" {key}\n"),
                "does not allow for the namespace git",
            ),
            (
                "allowed_signers",
                format!("alice namespaces=\"*,!git\" {key}\n"),
                "does not allow for the namespace git",
            ),
            ("other.pub", other.clone(), "which is not among the keys of the Secret"),
        ] {
            let said = head(&workshop, &[(name, &keys)]).await?;
            ensure!(
                said.is_empty() == expected.is_empty() && said.contains(expected),
                "{kind} {name} {keys}: {said}"
            );
        }
    }
    Ok(())
}

#[tokio::test]
async fn what_was_not_signed_by_a_known_key_is_refused_with_commit_and_author() -> anyhow::Result<()> {
    let workshop = Workshop::new()?;
    let folder = workshop.folder.path();
    let (_, public) = ssh_key(folder, "ed25519", "", "")?;
    let settings = with_ssh(&public.with_extension(""));
    let key = std::fs::read_to_string(public)?;
    let secret = [("alice.pub", key.as_str())];

    let unsigned = workshop.human(&[("a.yaml", "image: web:2\n")], "Not signed")?;
    let said = head(&workshop, &secret).await?;
    let expected = format!(
        "the commit main@{} of Alice <alice@example.com> is not verified: it is not signed; nothing of it is applied",
        &unsigned[..7]
    );
    assert_eq!(said, expected);

    // The signature of a commit on another one.
    commit(&workshop, &settings)?;
    assert_eq!(head(&workshop, &secret).await?, "");
    let signed = git(&workshop.clone, &["cat-file", "commit", "HEAD"])?;
    for (what, wrong, expected) in [
        ("message", "with another body", "is not one of the key SHA256:"),
        ("author", "author Mallory", "is not one of the key SHA256:"),
        ("signature", "", "cannot be read"),
    ] {
        let forged = match what {
            "message" => signed.replace("with a body", wrong),
            "author" => signed.replace("author Alice", wrong),
            _ => signed.replace("U1NIU0lH", "U1NIU0lX"),
        };
        ensure!(forged != signed, "nothing is forged: {signed}");
        std::fs::write(folder.join("forged"), &forged)?;
        let path = folder.join("forged").display().to_string();
        let id = git(&workshop.clone, &["hash-object", "-t", "commit", "-w", &path])?;
        let to = format!("{}:refs/heads/main", id.trim());
        git(&workshop.clone, &["push", "--quiet", "--force", "origin", &to])?;
        let said = head(&workshop, &secret).await?;
        ensure!(said.contains(expected), "{what}: {said}");
    }
    Ok(())
}

#[tokio::test]
async fn tags_are_verified_with_their_names() -> anyhow::Result<()> {
    let workshop = Workshop::new()?;
    let (_, public) = ssh_key(workshop.folder.path(), "ed25519", "", "")?;
    let settings = with_ssh(&public.with_extension(""));
    let key = std::fs::read_to_string(public)?;
    let secret = [("alice.pub", key.as_str())];
    let push = |refs: &[&str]| {
        git(&workshop.clone, &[&["push", "--quiet", "--force", "origin"], refs].concat()).map(drop)
    };
    // The commit is not signed, and the tag is.
    signing(&workshop, &settings, &["tag", "-s", "v1.0.0", "-m", "One"])?;
    git(&workshop.clone, &["tag", "v1.1.0"])?;
    git(&workshop.clone, &["tag", "-a", "v1.2.0", "-m", "Not signed"])?;
    commit(&workshop, &settings)?;
    signing(&workshop, &settings, &["tag", "-s", "v1.3.0", "-m", "Both"])?;
    signing(&workshop, &settings, &["tag", "-s", "v1.4.0", "-m", "A tag of a tag", "v1.3.0"])?;
    push(&["--tags"])?;
    push(&["refs/tags/v1.0.0:refs/tags/v9.0.0"])?;
    let tag = |name: &str| GitRef::Tag(name.to_owned());
    for (reference, signed, expected) in [
        (tag("v1.0.0"), Signed::Tag, ""),
        (GitRef::Semver("1.0.x".to_owned()), Signed::Tag, ""),
        (GitRef::Name("refs/tags/v1.0.0".to_owned()), Signed::Tag, ""),
        (tag("v1.0.0"), Signed::TagAndHead, "the commit v1.0.0@"),
        (tag("v1.0.0"), Signed::Head, "it is not signed"),
        (tag("v1.1.0"), Signed::Tag, "a lightweight tag, which has no signature"),
        (tag("v1.2.0"), Signed::Tag, "the tag v1.2.0 of the commit v1.2.0@"),
        (tag("v1.3.0"), Signed::TagAndHead, ""),
        (tag("v1.3.0"), Signed::Head, ""),
        (tag("v1.4.0"), Signed::Tag, "points to another tag"),
        (tag("v9.0.0"), Signed::Tag, "the signed tag v1.0.0 was published as v9.0.0"),
        (GitRef::default(), Signed::Tag, "the ref is the branch main"),
    ] {
        let name = format!("{reference} {signed:?}");
        let said = refusal(&workshop, reference, signed, &secret).await?;
        ensure!(said.is_empty() == expected.is_empty() && said.contains(expected), "{name}: {said}");
    }
    Ok(())
}

/// A program for git that runs gpg at another time.
fn at_time(gpg: &Gpg, folder: &Path, time: &str) -> anyhow::Result<Vec<String>> {
    use std::os::unix::fs::PermissionsExt as _;
    let program = folder.join(format!("gpg-{time}"));
    let home = gpg.0.display();
    let script = format!("#!/bin/sh\nGNUPGHOME={home} exec gpg --faked-system-time {time} \"$@\"\n");
    std::fs::write(&program, script)?;
    std::fs::set_permissions(&program, std::fs::Permissions::from_mode(0o755))?;
    Ok(vec![format!("gpg.program={}", program.display())])
}

#[tokio::test]
async fn openpgp_keys_count_unless_they_are_unknown_expired_or_revoked() -> anyhow::Result<()> {
    let workshop = Workshop::new()?;
    let (gpg, home) = Gpg::new()?;
    let old = ["--faked-system-time", "20200101T000000", "--passphrase", ""];
    let make = |user: &str, kind: &str, usage: &str, ends: &str| -> anyhow::Result<String> {
        gpg.run(&[&old[..], &["--quick-generate-key", user, kind, usage, ends]].concat())?;
        let listed = gpg.run(&["--list-keys", "--with-colons", user])?;
        let print = listed.lines().find_map(|line| line.strip_prefix("fpr:")).context("no fingerprint")?;
        Ok(print.trim_matches(':').to_owned())
    };
    let export = |user: &str| gpg.run(&["--armor", "--export", user]);
    make("other@example.com", "ed25519", "cert,sign", "never")?;
    let other = export("other@example.com")?;
    let later = at_time(&gpg, home.path(), "20231101T000000")?;
    let signed_by = |print: &str| {
        let mut settings = later.clone();
        settings.push(format!("user.signingKey={print}!"));
        settings
    };
    for (user, kind) in [("rsa", "rsa2048"), ("ed", "ed25519"), ("nist", "nistp256")] {
        let print = make(user, kind, "cert,sign", "never")?;
        commit(&workshop, &signed_by(&print))?;
        let key = export(user)?;
        let both = format!("{other}{key}");
        assert_eq!(head(&workshop, &[("alice.asc", &key)]).await?, "", "{user}");
        assert_eq!(head(&workshop, &[("other.asc", &other), ("alice.asc", &both)]).await?, "", "{user}");
        let said = head(&workshop, &[("other.asc", &other)]).await?;
        ensure!(said.contains(&print) && said.contains("not among the keys"), "{user}: {said}");
        signing(&workshop, &signed_by(&print), &["tag", "-f", "-s", "v1", "-m", "Signed"])?;
        git(&workshop.clone, &["push", "--quiet", "--force", "origin", "refs/tags/v1"])?;
        let said =
            refusal(&workshop, GitRef::Tag("v1".to_owned()), Signed::TagAndHead, &[("a.asc", &key)]).await?;
        assert_eq!(said, "", "{user}");
    }
    // A key that expired after it had signed.
    let print = make("brief", "ed25519", "cert,sign", "2024-01-01")?;
    commit(&workshop, &signed_by(&print))?;
    let said = head(&workshop, &[("brief.asc", &export("brief")?)]).await?;
    ensure!(said.contains(&print) && said.contains("which expired at 2024-01-01"), "{said}");

    // A subkey signs; then it is revoked, then its primary key.
    let print = make("sub", "ed25519", "cert", "never")?;
    gpg.run(&[&old[..], &["--quick-add-key", &print, "ed25519", "sign", "never"]].concat())?;
    let listed = gpg.run(&["--list-keys", "--with-colons", "sub"])?;
    let prints: Vec<&str> = listed.lines().filter_map(|line| line.strip_prefix("fpr:")).collect();
    let subkey = prints.last().context("no subkey")?.trim_matches(':').to_owned();
    commit(&workshop, &signed_by(&subkey))?;
    let good = export("sub")?;
    assert_eq!(head(&workshop, &[("sub.asc", &good)]).await?, "");
    let revoke = "key 1\nrevkey\ny\n0\n\ny\nsave\n";
    std::fs::write(home.path().join("revoke"), revoke)?;
    let commands = home.path().join("revoke").display().to_string();
    gpg.run(&["--command-file", &commands, "--status-fd", "2", "--edit-key", "sub"])?;
    let said = head(&workshop, &[("sub.asc", &export("sub")?)]).await?;
    ensure!(said.contains(&subkey) && said.contains("which is revoked"), "{said}");
    let certificate = home.path().join(format!("openpgp-revocs.d/{print}.rev"));
    let text = std::fs::read_to_string(&certificate)?.replace(":-----BEGIN", "-----BEGIN");
    std::fs::write(&certificate, text)?;
    gpg.run(&["--import", &certificate.display().to_string()])?;
    let said = head(&workshop, &[("sub.asc", &export("sub")?)]).await?;
    ensure!(said.contains("which is revoked"), "{said}");
    // The commit itself is older than all of this.
    assert!(AT < Timestamp::now().as_second());
    Ok(())
}

#[test]
fn keys_that_cannot_be_used_are_named_with_their_lines() -> anyhow::Result<()> {
    let folder = holdfast_tests::watchdog::Folder::make("signers")?;
    let (private, public) = ssh_key(folder.path(), "ed25519", "", "")?;
    let public = std::fs::read_to_string(public)?;
    let (_, big) = ssh_key(folder.path(), "ecdsa", "521", "")?;
    let big = std::fs::read_to_string(big)?;
    for (name, text, expected) in [
        ("other", public.clone(), "it has no public keys: add SSH keys as NAME.pub"),
        (
            "a.pub",
            format!("{public}nonsense\n"),
            "line 2 of its key a.pub cannot be used: it is not an SSH public key",
        ),
        ("a.pub", private, "it is a private key"),
        ("a.pub", big, "ECDSA keys with 521 bits are not supported"),
        (
            "allowed_signers",
            format!("a cert-authority {public}"),
            "line 1 of its key allowed_signers cannot be used: certificates",
        ),
        (
            "allowed_signers",
            format!("a valid-before=\"soon\" {public}"),
            "soon is not a time such as 20261231",
        ),
        ("allowed_signers", format!("a no-touch {public}"), "no-touch is not an option of allowed_signers"),
        ("a.asc", "nonsense".to_owned(), "it has no armored OpenPGP public key"),
        ("a.asc", "-----BEGIN PGP PRIVATE KEY BLOCK-----\n".to_owned(), "it is a private key"),
    ] {
        let data = [(name.to_owned(), text.into_bytes())].into_iter().collect();
        let said = Signers::from_secret(&data).err().map(|error| error.to_string()).unwrap_or_default();
        ensure!(said.contains(expected), "{name}: {said}");
    }
    Ok(())
}
