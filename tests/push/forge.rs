//! Pushes to a real forge: every login, and what it says to those that may not. I/O: processes, network.

use std::future::Future;
use std::os::unix::fs::PermissionsExt as _;
use std::process::Command;
use std::sync::LazyLock;
use std::time::Duration;

use anyhow::Context as _;
use holdfast::error::StageError;
use holdfast::source::{Checkout, GitRef, Location, PushError, PushTarget, Pushed, Refusal, Sources};
use holdfast_tests::forge::{Forge, PASSWORD, Repository, USER};
use holdfast_tests::tools;
use holdfast_tests::watchdog::Folder;
use reqwest::Method;
use serde_json::json;
use tokio::runtime::Runtime;
use tokio::sync::OnceCell;

use super::workshop::{LIMIT, commit, credential, pushed, sources};

static RUNTIME: LazyLock<Runtime> =
    LazyLock::new(|| Runtime::new().expect("a runtime needs nothing but threads"));
static FORGE: OnceCell<Forge> = OnceCell::const_new();

/// Runs a test on the forge that all of them share.
pub fn run<Fut>(test: impl FnOnce(&'static Forge) -> Fut) -> anyhow::Result<()>
where
    Fut: Future<Output = anyhow::Result<()>>,
{
    RUNTIME.block_on(async {
        let forge = FORGE.get_or_try_init(|| async { Forge::start(&tools().await?).await }).await?;
        test(forge).await
    })
}

/// One login to a repository of the forge.
pub struct Desk {
    pub sources: Sources,
    pub location: Location,
    _folder: Folder,
}

impl Desk {
    pub fn new(url: &str, entries: &[(&str, &str)]) -> anyhow::Result<Self> {
        let folder = Folder::make("desk")?;
        let location = Location::parse(url, Some(credential(entries)?))?;
        Ok(Self { sources: sources(folder.path()), location, _folder: folder })
    }

    /// With the password of the owner.
    pub fn owner(forge: &Forge, repository: &Repository) -> anyhow::Result<Self> {
        let login = [("username", USER), ("password", PASSWORD), ("ca.crt", forge.ca())];
        Self::new(&repository.https_url, &login)
    }

    pub fn ssh(forge: &Forge, repository: &Repository, key: &str) -> anyhow::Result<Self> {
        Self::new(&repository.ssh_url, &[("identity", key), ("known_hosts", forge.known_hosts())])
    }

    pub async fn head(&self) -> anyhow::Result<Checkout> {
        Ok(self.sources.checkout(&self.location, &GitRef::default(), Duration::ZERO, LIMIT).await?)
    }

    pub async fn push(&self, head: &Checkout, content: &str) -> anyhow::Result<Result<Pushed, PushError>> {
        let new = commit(head, &[("a.yaml", content.as_bytes())], &format!("Update to {content}"))?;
        Ok(self.sources.push(&self.location, "main", &PushTarget::head_of(head), &new, LIMIT).await)
    }
}

/// The head of `main` on the server.
fn main_of(repository: &Repository) -> anyhow::Result<String> {
    repository.git(&["fetch", "--quiet", &push_url(repository), "main"])?;
    Ok(repository.git(&["rev-parse", "FETCH_HEAD"])?.trim().to_owned())
}

/// With the login in it, for `git`.
pub fn push_url(repository: &Repository) -> String {
    repository.https_url.replace("https://", &format!("https://{USER}:{PASSWORD}@"))
}

/// Pushes twice with a login, the second time with a person in between.
async fn can_push(repository: &Repository, desk: &Desk) -> anyhow::Result<()> {
    let head = desk.head().await?;
    let first = pushed(desk.push(&head, "2\n").await?)?;
    assert_eq!(main_of(repository)?, first);
    let head = desk.head().await?;
    assert_eq!(head.id().to_string(), first, "the own commit is read again");
    repository.git(&["pull", "--quiet", "--ff-only", &push_url(repository), "main"])?;
    let theirs = repository.commit(&[("b.yaml", "theirs\n")], "Theirs")?;
    let outcome = desk.push(&head, "3\n").await?;
    assert!(matches!(outcome, Err(PushError::Moved { .. })), "{outcome:?}");
    assert_eq!(main_of(repository)?, theirs);
    let second = pushed(desk.push(&desk.head().await?, "3\n").await?)?;
    assert_eq!(main_of(repository)?, second);
    let log = repository.git(&["log", "--format=%s", &second])?;
    assert_eq!(log.lines().collect::<Vec<_>>(), ["Update to 3", "Theirs", "Update to 2", "One", "Begin"]);
    Ok(())
}

/// Expects a refusal with words of the forge, and that nothing moved.
async fn cannot_push(
    repository: &Repository,
    desk: &Desk,
    reason: Refusal,
    word: &str,
) -> anyhow::Result<()> {
    let before = main_of(repository)?;
    let outcome = desk.push(&desk.head().await?, "2\n").await?;
    let Err(error @ PushError::Refused { reason: found, .. }) = &outcome else {
        anyhow::bail!("{outcome:?}")
    };
    assert_eq!(*found, reason, "{error}");
    assert!(error.to_string().contains(word), "{error}");
    assert_eq!(main_of(repository)?, before);
    Ok(())
}

async fn repository(forge: &Forge, name: &str) -> anyhow::Result<Repository> {
    let repository = forge.repository(name).await?;
    repository.commit(&[("a.yaml", "1\n")], "One")?;
    Ok(repository)
}

/// A token of the owner that may do this.
async fn token(forge: &Forge, name: &str, scope: &str) -> anyhow::Result<String> {
    let body = json!({"name": name, "scopes": [scope]});
    let token = forge.api(Method::POST, &format!("users/{USER}/tokens"), &body).await?;
    Ok(token["sha1"].as_str().context("the forge gave no token")?.to_owned())
}

#[test]
fn https_with_a_password() -> anyhow::Result<()> {
    run(async |forge| {
        let repository = repository(forge, "push-password").await?;
        can_push(&repository, &Desk::owner(forge, &repository)?).await
    })
}

#[test]
fn https_with_a_token() -> anyhow::Result<()> {
    run(async |forge| {
        let repository = repository(forge, "push-token").await?;
        let token = token(forge, "push-token", "write:repository").await?;
        let entries = [("bearerToken", token.as_str()), ("ca.crt", forge.ca())];
        can_push(&repository, &Desk::new(&repository.https_url, &entries)?).await
    })
}

#[test]
fn ssh_with_a_deploy_key() -> anyhow::Result<()> {
    run(async |forge| {
        let repository = repository(forge, "push-ssh").await?;
        let key = forge.deploy_key(&repository, true).await?;
        can_push(&repository, &Desk::ssh(forge, &repository, &key)?).await
    })
}

#[test]
fn ssh_with_a_key_that_is_locked() -> anyhow::Result<()> {
    run(async |forge| {
        let repository = repository(forge, "push-locked").await?;
        let folder = Folder::make("locked-key")?;
        let path = folder.path().join("key");
        std::fs::write(&path, forge.deploy_key(&repository, true).await?)?;
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o600))?;
        let password = "it's \"open\" $now";
        let mut lock = Command::new("ssh-keygen");
        anyhow::ensure!(lock.args(["-q", "-p", "-N", password, "-f"]).arg(&path).status()?.success());
        let key = std::fs::read_to_string(&path)?;
        let entries =
            [("identity", key.as_str()), ("password", password), ("known_hosts", forge.known_hosts())];
        can_push(&repository, &Desk::new(&repository.ssh_url, &entries)?).await
    })
}

#[test]
fn a_login_that_may_only_read_is_told_to_get_write_access() -> anyhow::Result<()> {
    run(async |forge| {
        let repository = repository(forge, "push-read").await?;
        let key = forge.deploy_key(&repository, false).await?;
        let ssh = Desk::ssh(forge, &repository, &key)?;
        cannot_push(&repository, &ssh, Refusal::ReadOnly, "give the deploy key").await?;
        let head = ssh.sources.branch_head(&ssh.location, "main", LIMIT).await;
        assert_eq!(head.err().map(|error| error.name()), Some("LoginReadOnly"));
        let token = token(forge, "push-read", "read:repository").await?;
        // As a password: this forge does not look at what a bearer token may do with git.
        let entries = [("username", USER), ("password", token.as_str()), ("ca.crt", forge.ca())];
        let https = Desk::new(&repository.https_url, &entries)?;
        cannot_push(&repository, &https, Refusal::ReadOnly, "write access").await
    })
}

#[test]
fn a_protected_branch_is_named_as_such() -> anyhow::Result<()> {
    run(async |forge| {
        let repository = repository(forge, "push-protected").await?;
        let key = forge.deploy_key(&repository, true).await?;
        forge.protect(&repository, "main").await?;
        let owner = Desk::owner(forge, &repository)?;
        cannot_push(&repository, &owner, Refusal::Protected, "Not allowed to push to protected branch")
            .await?;
        let ssh = Desk::ssh(forge, &repository, &key)?;
        cannot_push(&repository, &ssh, Refusal::Protected, "protected branch main").await
    })
}

#[test]
fn an_archived_repository_is_not_pushed_to() -> anyhow::Result<()> {
    run(async |forge| {
        let repository = repository(forge, "push-archived").await?;
        let key = forge.deploy_key(&repository, true).await?;
        let body = json!({"archived": true});
        forge.api(Method::PATCH, &format!("repos/{USER}/{}", repository.name), &body).await?;
        for desk in [Desk::owner(forge, &repository)?, Desk::ssh(forge, &repository, &key)?] {
            let outcome = desk.push(&desk.head().await?, "2\n").await?;
            let Err(PushError::Refused { reason, .. }) = &outcome else { anyhow::bail!("{outcome:?}") };
            assert!([Refusal::Archived, Refusal::ReadOnly].contains(reason), "{outcome:?}");
        }
        Ok(())
    })
}

#[test]
fn logins_that_are_wrong_are_named_as_for_a_fetch() -> anyhow::Result<()> {
    run(async |forge| {
        let repository = repository(forge, "push-wrong").await?;
        let head = Desk::owner(forge, &repository)?.head().await?;
        let wrong = [("username", USER), ("password", "wrong"), ("ca.crt", forge.ca())];
        let untrusted = [("username", USER), ("password", PASSWORD)];
        let right = [("username", USER), ("password", PASSWORD), ("ca.crt", forge.ca())];
        let gone = repository.https_url.replace("push-wrong", "push-gone");
        for (url, entries, expected) in [
            (&repository.https_url, &wrong[..], "AuthenticationFailed"),
            (&repository.https_url, &untrusted[..], "UntrustedCertificate"),
            // This forge says 403: who pushes to nowhere wants to make a repository, and may not.
            (&gone, &right[..], "LoginReadOnly"),
        ] {
            let outcome = Desk::new(url, entries)?.push(&head, "2\n").await?;
            assert_eq!(outcome.as_ref().err().map(StageError::name), Some(expected), "{outcome:?}");
        }
        let stranger = forge.deploy_key(&self::repository(forge, "push-other").await?, true).await?;
        let outcome = Desk::ssh(forge, &repository, &stranger)?.push(&head, "2\n").await?;
        let name = outcome.as_ref().err().map(StageError::name);
        assert!(name.is_some_and(|name| name != "PushUnknown"), "{outcome:?}");
        assert_eq!(main_of(&repository)?, head.id().to_string());
        Ok(())
    })
}

#[test]
fn a_branch_is_made_and_followed_on_the_forge() -> anyhow::Result<()> {
    run(async |forge| {
        let repository = repository(forge, "push-branch").await?;
        let desk = Desk::owner(forge, &repository)?;
        let head = desk.head().await?;
        let mut last = None;
        for number in 2..5 {
            let onto = desk.sources.onto(&desk.location, "holdfast/images", &head, None, LIMIT).await?;
            assert_eq!(onto.head().map(Checkout::id).map(|id| id.to_string()), last);
            let new = commit(&head, &[("a.yaml", format!("{number}\n").as_bytes())], "Update")?;
            let outcome = desk.sources.push(&desk.location, "holdfast/images", &onto, &new, LIMIT).await;
            last = Some(pushed(outcome)?);
        }
        let url = push_url(&repository);
        repository.git(&["fetch", "--quiet", &url, "holdfast/images"])?;
        assert_eq!(Some(repository.git(&["rev-parse", "FETCH_HEAD"])?.trim().to_owned()), last);
        assert_eq!(repository.git(&["log", "--format=%s", "FETCH_HEAD"])?.lines().count(), 2 + 3);
        Ok(())
    })
}
