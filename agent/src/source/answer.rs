//! The response of a server to a push, read from its packets. Pure.

/// Maximum number of characters of server messages that are kept.
const SAID: usize = 1000;

/// The report of `git-receive-pack`. (gitprotocol-pack, "Report Status")
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Answer {
    /// Whether the server could read the pack, and the reason if it could not. `None` if it did not report it.
    pub unpacked: Option<Result<(), String>>,
    /// Whether the server moved the branch, and the reason if it did not. `None` if it did not report it.
    pub moved: Option<Result<(), String>>,
    /// Messages for users, such as the output of hooks.
    pub said: String,
}

/// Reads the packets of a response, with or without side bands.
pub fn read(packets: &[Vec<u8>], banded: bool, reference: &str) -> Answer {
    let mut answer = Answer::default();
    let (mut report, mut said) = (Vec::new(), Vec::new());
    for packet in packets {
        match packet.split_first() {
            Some((1, rest)) if banded => report.extend_from_slice(rest),
            Some((2 | 3, rest)) if banded => said.extend_from_slice(rest),
            // An old server reports errors before it sends side bands.
            _ if banded => said.extend_from_slice(packet),
            _ => answer.line(&String::from_utf8_lossy(packet), reference),
        }
    }
    for line in lines(&report) {
        answer.line(&String::from_utf8_lossy(line), reference);
    }
    answer.said = cleaned(&String::from_utf8_lossy(&said));
    answer
}

impl Answer {
    fn line(&mut self, line: &str, reference: &str) {
        let line = line.trim_end_matches('\n');
        let (word, rest) = line.split_once(' ').unwrap_or((line, ""));
        match word {
            "unpack" if rest == "ok" => self.unpacked = Some(Ok(())),
            "unpack" => self.unpacked = Some(Err(cleaned(rest))),
            "ok" if rest == reference => self.moved = Some(Ok(())),
            "ng" => {
                let (name, why) = rest.split_once(' ').unwrap_or((rest, ""));
                if name == reference {
                    self.moved = Some(Err(cleaned(why)));
                }
            }
            _ => {}
        }
    }
}

/// Splits bytes into packet lines: four hex digits of length, which include themselves, and the content.
fn lines(mut bytes: &[u8]) -> Vec<&[u8]> {
    let mut found = Vec::new();
    while let Some((digits, rest)) = bytes.split_at_checked(4) {
        let length = str::from_utf8(digits).ok().and_then(|digits| usize::from_str_radix(digits, 16).ok());
        match length {
            // Flush packets and other markers without content.
            Some(0..=3) => bytes = rest,
            Some(length) => {
                let Some((line, next)) = rest.split_at_checked(length - 4) else { break };
                found.push(line);
                bytes = next;
            }
            None => break,
        }
    }
    found
}

/// Returns text of a server for an error message: joined to one line, without control characters and terminal colours,
/// and truncated.
pub fn cleaned(text: &str) -> String {
    let mut kept = String::new();
    // A carriage return overwrites the line: it is progress output.
    for line in text.split(['\n', '\r']) {
        let line = plain(line);
        let line = line.trim();
        let line = line.strip_prefix("remote:").unwrap_or(line).trim();
        if line.chars().any(char::is_alphanumeric) {
            if !kept.is_empty() {
                kept.push_str("; ");
            }
            kept.push_str(line);
        }
    }
    if let Some((at, _)) = kept.char_indices().nth(SAID) {
        kept.truncate(at);
        kept.push('…');
    }
    kept
}

/// Removes control characters and escape sequences from a line.
fn plain(line: &str) -> String {
    let mut kept = String::new();
    let mut characters = line.chars();
    while let Some(character) = characters.next() {
        if character == '\u{1b}' {
            // `ESC [ 31 m`; an escape without a bracket has one more character.
            if characters.next() == Some('[') {
                characters.by_ref().find(char::is_ascii_alphabetic);
            }
        } else if character == '\t' {
            kept.push(' ');
        } else if !character.is_control() {
            kept.push(character);
        }
    }
    kept
}

#[cfg(test)]
mod tests {
    use super::*;

    const MAIN: &str = "refs/heads/main";

    fn check(packets: &[&[u8]], banded: bool, expected: (Option<bool>, Option<Result<(), &str>>, &str)) {
        let packets: Vec<Vec<u8>> = packets.iter().map(|packet| packet.to_vec()).collect();
        let answer = read(&packets, banded, MAIN);
        let moved = answer.moved.as_ref().map(|moved| moved.as_ref().map_err(String::as_str).copied());
        let unpacked = answer.unpacked.as_ref().map(Result::is_ok);
        assert_eq!((unpacked, moved, answer.said.as_str()), expected);
    }

    #[test]
    fn a_report_is_read() {
        check(&[b"unpack ok\n", b"ok refs/heads/main\n"], false, (Some(true), Some(Ok(())), ""));
        check(
            &[b"unpack ok\n", b"ng refs/heads/main non-fast-forward\n"],
            false,
            (Some(true), Some(Err("non-fast-forward")), ""),
        );
        check(
            &[b"unpack index-pack abnormal exit\n", b"ng refs/heads/main unpacker error\n"],
            false,
            (Some(false), Some(Err("unpacker error")), ""),
        );
        // Another branch is none of ours.
        check(&[b"unpack ok\n", b"ok refs/heads/main2\n"], false, (Some(true), None, ""));
        check(&[], false, (None, None, ""));
    }

    #[test]
    fn a_report_in_bands_may_be_cut_anywhere() {
        check(
            &[
                b"\x02checking\r",
                b"\x02remote: \x1b[31mNo\x1b[0m ",
                b"\x02images\ttoday\n\n",
                b"\x01000eunpack ok\n00",
                b"\x01",
                b"\x0131ng refs/heads/main pre-receive hook declined\n",
                b"\x010000",
            ],
            true,
            (Some(true), Some(Err("pre-receive hook declined")), "checking; No images today"),
        );
        check(&[b"\x03fatal: pack too large\n"], true, (None, None, "fatal: pack too large"));
        check(&[b"\x01zzzz", b"\x01ffffok"], true, (None, None, ""));
    }

    #[test]
    fn what_a_server_says_is_bounded() {
        assert_eq!(cleaned(&"ä".repeat(5000)).chars().count(), SAID + 1);
        assert_eq!(cleaned("=====\n\u{0}\u{7}a\u{9b}b\u{1b}c\n*"), "ab");
    }
}
