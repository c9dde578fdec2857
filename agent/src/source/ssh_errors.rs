//! Interprets the messages of ssh and of the remote program when a connection has ended.
//!
//! ssh ends with the status 255 when it failed itself, and with that of the program on the other side otherwise: so its own
//! messages are distinguished from those of the server, and the name of a repository decides nothing. Pure.

use super::answer::cleaned;
use super::program::Ended;
use super::{Location, SourceError, identity};

/// The exit status of ssh if it failed itself.
const OWN: i32 = 255;
/// The exit status of a shell that does not find a program.
const NO_PROGRAM: i32 = 127;

/// Returns the error that the end of an ssh connection means. `None` if there is no message.
pub fn of_ssh(location: &Location, ended: &Ended) -> Option<SourceError> {
    let lines: Vec<&str> = ended.said.lines().map(str::trim).filter(|line| !is_noise(line)).collect();
    let own = (ended.status == Some(OWN)).then(|| of_itself(location, &lines)).flatten();
    own.or_else(|| of_server(location, &lines.join("\n"), ended.status))
}

/// True for lines that ssh always writes.
fn is_noise(line: &str) -> bool {
    let closing = (line.starts_with("Connection to ") && line.contains("closed"))
        || (line.starts_with("Shared connection to ") && line.contains("closed"));
    line.is_empty() || line.starts_with("** ") || line.starts_with("Warning: ") || closing
}

/// Classifies a failure of ssh itself.
fn of_itself(location: &Location, lines: &[&str]) -> Option<SourceError> {
    let url = location.to_string();
    let line = |words: &str| lines.iter().copied().find(|line| line.contains(words));
    let after =
        |words: &str| line(words).and_then(|line| line.split_once(words)).map(|(_, rest)| rest.trim());
    if line("REMOTE HOST IDENTIFICATION HAS CHANGED").is_some() || line("has changed and you have").is_some()
    {
        return Some(SourceError::HostKeyMismatch { url, key: sent_key(lines) });
    }
    if let Some(found) = line("host key is known for") {
        let kind = found.split_whitespace().nth(1).unwrap_or("such");
        return Some(SourceError::HostKeyUnknown { url, kind: format!("{kind} ") });
    }
    if line("Host key verification failed").is_some() {
        return Some(SourceError::HostKeyUnknown { url, kind: String::new() });
    }
    if let Some(offer) = after("no matching host key type found. Their offer: ") {
        return Some(SourceError::HostKeyKind { url, offer: cleaned(offer) });
    }
    if let Some(found) = after("no matching ") {
        return Some(SourceError::NoCommonAlgorithm { url, said: format!("no matching {}", cleaned(found)) });
    }
    if line("No user exists for uid").is_some() {
        let why = "the user of the agent is not in /etc/passwd of its image, and ssh needs that; set runAsUser to one that \
                   is, such as 65532";
        return Some(SourceError::Git { url, said: why.to_owned() });
    }
    if let Some(why) = after("Load key \"identity\": ") {
        let key = location.credential.identity_name();
        return Some(SourceError::BadCredential(format!(
            "{url}: ssh cannot read the key {key} of the Secret: {}; store it again in the format of ssh-keygen",
            cleaned(why)
        )));
    }
    if let Some(found) = line("Permission denied (") {
        let said = found.split_once("Permission").map_or(found, |(_, rest)| rest);
        let said = cleaned(&format!("Permission{said}"));
        return Some(denied(location, said.trim_end_matches('.')));
    }
    if line("Too many authentication failures").is_some() {
        return Some(denied(location, "Too many authentication failures"));
    }
    if line("banner line contains invalid characters").is_some() || line("Bad packet length").is_some() {
        let port = location.port.unwrap_or(22);
        let said = format!("the server at port {port} does not use ssh");
        return Some(SourceError::Unreachable { url, said });
    }
    if let Some(found) = line("ssh: connect to host ") {
        let why = found.rsplit_once(": ").map_or(found, |(_, why)| why);
        return Some(SourceError::Unreachable { url, said: cleaned(why) });
    }
    if line("Could not resolve hostname").is_some() {
        return Some(SourceError::UnknownHost { url, host: location.host.clone() });
    }
    if lines.iter().any(|line| line.contains("timed out") && !line.starts_with("remote:")) {
        return Some(SourceError::Unreachable { url, said: "no answer in time".to_owned() });
    }
    let lost = |line: &&str| {
        ["Connection closed by", "Connection reset by", "kex_exchange_identification: ", "client_loop: "]
            .iter()
            .any(|words| line.starts_with(words))
    };
    // A server that rejects the connection has written its reason in other lines.
    lines.iter().all(lost).then(|| SourceError::Unreachable {
        url,
        said: match lines.last() {
            Some(_) => "the server closed the connection before the login".to_owned(),
            None => "ssh ended without a message".to_owned(),
        },
    })
}

/// Describes the key that the server sent, and the line of `known_hosts` that has another one.
fn sent_key(lines: &[&str]) -> String {
    let fingerprint =
        lines.iter().find(|line| line.starts_with("SHA256:")).map(|line| line.trim_end_matches('.'));
    let place =
        lines.iter().find(|line| line.starts_with("Offending ")).and_then(|line| line.rsplit_once(':'));
    let sent = fingerprint.map(|key| format!("the server has the key {}", cleaned(key)));
    let known =
        place.map(|(_, number)| format!("known_hosts has another one in its line {}", cleaned(number)));
    [sent, known].into_iter().flatten().collect::<Vec<_>>().join(", and ")
}

/// Returns the error for a rejected login, as precise as the messages allow.
fn denied(location: &Location, said: &str) -> SourceError {
    let url = location.to_string();
    let credential = &location.credential;
    let name = credential.identity_name();
    let Some(key) = &credential.identity else {
        let said = format!("the Secret has no private key (identity or ssh-privatekey): {said}");
        return SourceError::AuthenticationFailed { url, said };
    };
    let opens = credential.identity_password.as_ref().map(|password| identity::opens(key, password));
    let said = match opens {
        Some(Some(false)) => {
            return SourceError::BadCredential(format!(
                "{url}: the password in the Secret does not open the key {name}; correct the key password"
            ));
        }
        Some(None) => format!("the server refuses the key {name}, or the password does not open it: {said}"),
        _ if !said.contains("publickey") && said.contains('(') => {
            format!("the server accepts no keys of this user: {said}")
        }
        _ => match identity::shown(key) {
            Some(shown) => format!("the server refuses the key {name} ({shown}): {said}"),
            None => format!("the server refuses the key {name}: {said}"),
        },
    };
    SourceError::AuthenticationFailed { url, said }
}

/// The meaning of a message of a server.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Meaning {
    Missing,
    Login,
    NoGit,
    Owner,
}

/// Messages of servers, in lower case. The first match counts. Each contains a space, so no URL can match.
const WORDS: &[(Meaning, &[&str])] = &[
    (Meaning::Owner, &["dubious ownership", "unsafe repository"]),
    (
        Meaning::Login,
        &[
            "saml sso",
            "single sign-on",
            "rsa key with sha-1",
            "using ssh-rsa that",
            "key authentication failed",
            "account is suspended",
            "account has been blocked",
            "account has been locked",
            "two-factor authentication",
            "ip address is not",
        ],
    ),
    (
        Meaning::Missing,
        &[
            "repository not found",
            "project not found",
            "repo does not exist",
            "repository does not exist",
            "repository not exported",
            "project you were looking for",
            "does not appear to be a git repository",
            "no such repository",
            "cannot find repository",
            "not a git repository",
        ],
    ),
    (
        Meaning::NoGit,
        &[
            "command not found",
            "shell access",
            "account is currently not available",
            "invalid command",
            "is not a git command",
        ],
    ),
    (
        Meaning::Login,
        &[
            "permission denied",
            "access denied",
            "denied to ",
            "not authorized",
            "not allowed",
            "does not have access",
            "don't have permission",
            "do not have access",
            "do not have permission",
            "no access to",
            "must be authenticated",
        ],
    ),
];

/// Returns the error that the last message of a server means. `None` if there is no message.
pub fn of_server(location: &Location, said: &str, status: Option<i32>) -> Option<SourceError> {
    let url = location.to_string();
    let said = cleaned(said);
    let low = said.to_lowercase();
    let known = WORDS.iter().find(|(_, words)| words.iter().any(|word| low.contains(word)));
    match known.map(|(meaning, _)| *meaning) {
        Some(Meaning::Missing) => Some(SourceError::RepositoryNotFound { url, said: format!(": {said}") }),
        Some(Meaning::Login) => {
            Some(SourceError::AuthenticationFailed { url, said: format!("the server refuses: {said}") })
        }
        Some(Meaning::Owner) => Some(SourceError::Git {
            url,
            said: format!(
                "git on the server refuses the repository because it belongs to another user: {said}; set safe.directory \
                 there, or correct its owner"
            ),
        }),
        Some(Meaning::NoGit) => Some(no_git(url, &said)),
        None if status == Some(NO_PROGRAM) => Some(no_git(url, &said)),
        None if said.is_empty() => None,
        None => Some(SourceError::Git { url, said: format!("the server closed the connection: {said}") }),
    }
}

fn no_git(url: String, said: &str) -> SourceError {
    let said = if said.is_empty() { String::new() } else { format!(": {said}") };
    SourceError::NotGit { url, said: format!("over ssh{said}") }
}

#[cfg(test)]
mod tests;
