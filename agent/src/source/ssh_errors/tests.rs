//! Messages of ssh (OpenSSH 9) and of servers, as they were recorded.
#![expect(clippy::unwrap_used, reason = "tests")]

use crate::error::StageError as _;
use crate::source::Credential;

use super::*;

const KEY: &str = include_str!("../identity/open");
const LOCKED: &str = include_str!("../identity/locked");
const DENIED: &str = "git@git.example.com: Permission denied (publickey).";

fn location(url: &str, keys: &[(&str, &str)]) -> Location {
    let entry = |(key, value): &(&str, &str)| ((*key).to_owned(), value.as_bytes().to_vec());
    let credential = Credential::from_secret(&keys.iter().map(entry).collect()).unwrap();
    Location::parse(url, Some(credential)).unwrap()
}

fn heard(location: &Location, status: i32, said: &str) -> (&'static str, String) {
    let ended = Ended { status: Some(status), said: said.to_owned() };
    let error = of_ssh(location, &ended).unwrap();
    (error.name(), error.to_string())
}

#[test]
fn each_failure_of_ssh_has_its_own_message() {
    let key = location("git@git.example.com:org/config", &[("identity", KEY), ("known_hosts", "")]);
    for (said, name, words) in [
        (
            "ssh: Could not resolve hostname git.example.com: Name or service not known",
            "UnknownHost",
            "git.example.com",
        ),
        (
            "ssh: connect to host git.example.com port 22: Connection refused",
            "Unreachable",
            ": Connection refused;",
        ),
        ("ssh: connect to host git.example.com port 22: No route to host", "Unreachable", "No route to host"),
        (
            "ssh: connect to host 192.0.2.1 port 22: Connection timed out",
            "Unreachable",
            "Connection timed out",
        ),
        (
            "Connection timed out during banner exchange\nConnection to 192.0.2.1 port 22 timed out",
            "Unreachable",
            "in time",
        ),
        (
            "kex_exchange_identification: Connection closed by remote host\nConnection closed by 192.0.2.1 port 22",
            "Unreachable",
            "closed the connection before the login",
        ),
        (
            "kex_exchange_identification: read: Connection reset by peer",
            "Unreachable",
            "closed the connection",
        ),
        (
            "kex_exchange_identification: banner line contains invalid characters",
            "Unreachable",
            "does not use ssh",
        ),
        ("Connection reset by 192.0.2.1 port 22", "Unreachable", "closed the connection"),
        (
            "Unable to negotiate with 192.0.2.1 port 22: no matching host key type found. Their offer: ssh-rsa,ssh-dss",
            "HostKeyKind",
            "(ssh-rsa,ssh-dss)",
        ),
        (
            "Unable to negotiate with 192.0.2.1 port 22: no matching key exchange method found. Their offer: a",
            "NoCommonAlgorithm",
            "no matching key exchange method found. Their offer: a",
        ),
        (
            "Unable to negotiate with 192.0.2.1 port 22: no matching cipher found. Their offer: aes128-cbc",
            "NoCommonAlgorithm",
            "aes128-cbc",
        ),
        (
            "No ED25519 host key is known for git.example.com and you have requested strict checking.\nHost key \
             verification failed.",
            "HostKeyUnknown",
            "does not have the ED25519 key of the host",
        ),
        ("Host key verification failed.", "HostKeyUnknown", "does not have the key of the host"),
        (
            "@    WARNING: REMOTE HOST IDENTIFICATION HAS CHANGED!     @\nThe fingerprint for the ED25519 key sent by the \
             remote host is\nSHA256:uyWx6/dLC3UEuiXqBOpTbvwBJAZVfukS2sf73m7NfzU.\nOffending ED25519 key in \
             known_hosts:3\nHost key verification failed.",
            "HostKeyMismatch",
            "known_hosts: the server has the key SHA256:uyWx6/dLC3UEuiXqBOpTbvwBJAZVfukS2sf73m7NfzU, and known_hosts has \
             another one in its line 3; ",
        ),
        (
            "Load key \"identity\": error in libcrypto\ngit@git.example.com: Permission denied (publickey).",
            "BadCredential",
            "cannot read the key identity of the Secret: error in libcrypto",
        ),
        (DENIED, "AuthenticationFailed", "refuses the key identity (ssh-ed25519 SHA256:"),
        (DENIED, "AuthenticationFailed", "): Permission denied (publickey); check"),
        (
            "git@a: Permission denied (password,keyboard-interactive).",
            "AuthenticationFailed",
            "accepts no keys",
        ),
        (
            "Received disconnect from 192.0.2.1 port 22:2: Too many authentication failures\nDisconnected from 192.0.2.1",
            "AuthenticationFailed",
            "Too many authentication failures",
        ),
        ("No user exists for uid 1000660000", "GitFailed", "/etc/passwd"),
        (
            "remote: Public key authentication failed.\nConnection closed by 192.0.2.1 port 22",
            "AuthenticationFailed",
            "Public key",
        ),
    ] {
        let (found, message) = heard(&key, 255, said);
        assert_eq!(found, name, "{said}: {message}");
        assert!(
            message.contains(words) && message.starts_with("git@git.example.com:org/config: "),
            "{message}"
        );
    }
}

#[test]
fn a_login_that_is_refused_says_what_is_wrong_with_the_key() {
    let url = "git@git.example.com:a";
    for (keys, name, words) in [
        (vec![("known_hosts", "")], "AuthenticationFailed", "has no private key"),
        (
            vec![("known_hosts", ""), ("ssh-privatekey", KEY)],
            "AuthenticationFailed",
            "the key ssh-privatekey (ssh-ed25519",
        ),
        (
            vec![("known_hosts", ""), ("identity", LOCKED), ("password", "wrong")],
            "BadCredential",
            "the password in the Secret does not open the key identity",
        ),
        (
            vec![("known_hosts", ""), ("identity", LOCKED), ("password", "secret")],
            "AuthenticationFailed",
            "refuses the key identity (ssh-ed25519",
        ),
        (
            vec![
                ("known_hosts", ""),
                (
                    "identity",
                    "-----BEGIN ENCRYPTED PRIVATE KEY-----\nAAAA\n-----END ENCRYPTED PRIVATE KEY-----\n",
                ),
                ("password", "a"),
            ],
            "AuthenticationFailed",
            "or the password does not open it",
        ),
    ] {
        let (found, message) = heard(&location(url, &keys), 255, DENIED);
        assert_eq!((found, message.contains(words)), (name, true), "{message}");
    }
}

#[test]
fn the_words_of_hosted_servers_are_understood_and_repeated() {
    let key = location("git@git.example.com:org/config", &[("identity", KEY), ("known_hosts", "")]);
    for (status, said, name) in [
        (1, "ERROR: Repository not found.", "RepositoryNotFound"),
        (
            1,
            "remote: \nremote: ========\nremote: \nremote: ERROR: The project you were looking for could not be found or \
             you don't have permission to view it.\nremote: ",
            "RepositoryNotFound",
        ),
        (1, "conq: repository does not exist.", "RepositoryNotFound"),
        (1, "remote: Repository not found.", "RepositoryNotFound"),
        (128, "fatal: '/srv/git/a' does not appear to be a git repository", "RepositoryNotFound"),
        (1, "Gerrit Code Review: fatal: project not found", "RepositoryNotFound"),
        (1, "ERROR: The 'org' organization has enabled or enforced SAML SSO.", "AuthenticationFailed"),
        (1, "ERROR: You're using an RSA key with SHA-1, which is no longer allowed.", "AuthenticationFailed"),
        (
            255,
            "remote: You're using ssh-rsa that is about to be deprecated and your request has been blocked \
               intentionally.",
            "AuthenticationFailed",
        ),
        (1, "ERROR: Your account is suspended. Please check your email.", "AuthenticationFailed"),
        (1, "remote: ERROR: This deploy key does not have access to this project.", "AuthenticationFailed"),
        (127, "bash: git-upload-pack: command not found", "NotGit"),
        (1, "This account is currently not available.", "NotGit"),
        (
            1,
            "Hi alice! You've successfully authenticated, but GitHub does not provide shell access.",
            "NotGit",
        ),
        (128, "fatal: detected dubious ownership in repository at '/srv/git/a'", "GitFailed"),
        (1, "Gitea: Internal error", "GitFailed"),
    ] {
        let (found, message) = heard(&key, status, said);
        let words =
            said.lines().map(|line| line.trim_start_matches("remote:").trim()).max_by_key(|line| line.len());
        assert_eq!((found, message.contains(words.unwrap())), (name, true), "{said}: {message}");
    }
}

#[test]
fn the_name_of_a_repository_decides_nothing() {
    for name in [
        "timeout-service",
        "authentication-config",
        "svc-404",
        "permission-denied",
        "not-found",
        "kex_exchange",
    ] {
        let key =
            location(&format!("git@git.example.com:org/{name}"), &[("identity", KEY), ("known_hosts", "")]);
        let missing = format!("fatal: 'org/{name}' does not appear to be a git repository");
        assert_eq!(heard(&key, 128, &missing).0, "RepositoryNotFound", "{name}");
        assert_eq!(heard(&key, 1, &format!("internal error of {name}")).0, "GitFailed", "{name}");
    }
}

#[test]
fn what_ssh_writes_whatever_happens_is_no_reason() {
    let key = location("git@git.example.com:a", &[("identity", KEY), ("known_hosts", "")]);
    let said = "Warning: Permanently added '[a]:22' (ED25519) to the list of known hosts.\n** WARNING: connection is not \
                using a post-quantum key exchange algorithm.\nConnection to 192.0.2.1 closed by remote host.";
    assert!(of_ssh(&key, &Ended { status: Some(1), said: said.to_owned() }).is_none());
    assert!(of_ssh(&key, &Ended::default()).is_none());
    let (name, message) = heard(&key, 1, &format!("{said}\nERROR: Repository not found.\n"));
    assert_eq!(name, "RepositoryNotFound");
    assert!(message.ends_with("has no access to it: ERROR: Repository not found."), "{message}");
}
