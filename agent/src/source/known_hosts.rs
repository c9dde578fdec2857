//! Finds the name of a host key in `known_hosts`, for a connection to an address instead of a name. Pure.
//!
//! OpenSSH searches `[host]:port` if the port is not 22, and then the host alone; with `HostKeyAlias` it searches only
//! that name, so the choice is made here. (sshd(8), "SSH_KNOWN_HOSTS FILE FORMAT")

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use gix::hash::Kind as HashKind;

use crate::wildcard;

const PORT: u16 = 22;
/// The block size of SHA-1, for HMAC.
const BLOCK: usize = 64;

/// Returns the name under which these lines list a host.
pub fn name(known_hosts: &[u8], host: &str, port: u16) -> String {
    let host = host.to_ascii_lowercase();
    let at_port = format!("[{host}]:{port}");
    let text = String::from_utf8_lossy(known_hosts);
    if port != PORT && text.lines().any(|line| is_about(line, &at_port)) { at_port } else { host }
}

/// True if a line has a key for this name.
fn is_about(line: &str, name: &str) -> bool {
    let mut words = line.split_whitespace().skip_while(|word| word.starts_with('@'));
    let Some(names) = words.next().filter(|names| !names.starts_with('#')) else { return false };
    if let Some(hashed) = names.strip_prefix("|1|") {
        return is_hash_of(hashed, name).unwrap_or(false);
    }
    let mut found = false;
    for pattern in names.split(',') {
        match pattern.strip_prefix('!') {
            Some(pattern) if wildcard::fits(pattern.as_bytes(), name.as_bytes()) => return false,
            Some(_) => {}
            None => found |= wildcard::fits(pattern.to_ascii_lowercase().as_bytes(), name.as_bytes()),
        }
    }
    found
}

/// True if `salt|hash` is the HMAC-SHA1 of a name, both in base64.
fn is_hash_of(hashed: &str, name: &str) -> Option<bool> {
    let (salt, hash) = hashed.split_once('|')?;
    let (salt, hash) = (STANDARD.decode(salt).ok()?, STANDARD.decode(hash).ok()?);
    let mut key = [0; BLOCK];
    key.get_mut(..salt.len())?.copy_from_slice(&salt);
    let of = |pad: u8, rest: &[u8]| {
        let mut hasher = gix::hash::hasher(HashKind::Sha1);
        hasher.update(&key.map(|byte| byte ^ pad));
        hasher.update(rest);
        hasher.try_finalize().ok()
    };
    let inner = of(0x36, name.as_bytes())?;
    Some(of(0x5c, inner.as_slice())?.as_slice() == hash.as_slice())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_is_looked_up_as_ssh_does() {
        let check = |lines: &str, host: &str, port: u16, expected: &str| {
            assert_eq!(name(lines.as_bytes(), host, port), expected, "{lines}");
        };
        check("git.example.com ssh-ed25519 AAAA", "Git.example.com", 22, "git.example.com");
        check("git.example.com ssh-ed25519 AAAA", "git.example.com", 2222, "git.example.com");
        check("[git.example.com]:2222 ssh-ed25519 AAAA", "git.example.com", 2222, "[git.example.com]:2222");
        check("[git.example.com]:2222 ssh-ed25519 AAAA", "git.example.com", 2223, "git.example.com");
        check("# [a]:2222\n\na,[A]:2222 ssh-rsa AAAA", "a", 2222, "[a]:2222");
        check(
            "@cert-authority [*.example.com]:2222 ssh-rsa AAAA",
            "a.example.com",
            2222,
            "[a.example.com]:2222",
        );
        check("[*]:2222,![a]:2222 ssh-rsa AAAA", "a", 2222, "a");
        check("[::1]:2222 ssh-rsa AAAA", "::1", 2222, "[::1]:2222");
        // Made by `ssh-keygen -H` of [git.example.com]:2222
        check(
            "|1|QMQqfua82NgeKu04eU9VddGoty0=|C72zNXdbOv8UoEqd+JOkmi9ek/c= ssh-ed25519 AAAA",
            "git.example.com",
            2222,
            "[git.example.com]:2222",
        );
    }
}
