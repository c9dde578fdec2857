//! The names that are allowed in untrusted folders: a Git tree, a chart archive, a list of dependencies.
//!
//! The rules are those of `verify_path` and `fsck` of Git, for all file systems together: on some of them, a refused
//! name could lead out of its folder, or into the administrative folder of a Git repository. Pure.

use std::fmt::Write as _;

/// Maximum length of a name in bytes, as on Linux.
const LONGEST: usize = 255;
/// Maximum number of characters of a refused name that are shown.
const SHOWN: usize = 100;
/// Files from which Git reads settings, without the leading dot, and the prefixes of their short names on NTFS.
const SETTINGS: [(&str, &str); 4] =
    [("gitmodules", "gi7eba"), ("gitattributes", "gi7d29"), ("gitignore", "gi250a"), ("mailmap", "maba30")];

/// Why a name is refused. The message follows the name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BadName {
    #[error("is an empty name")]
    Empty,
    #[error("names a folder itself or the one above it")]
    Dots,
    #[error("has a path separator in its name")]
    Separator,
    #[error("has a control character in its name")]
    Control,
    #[error("is not UTF-8")]
    NotUtf8,
    #[error("is longer than 255 bytes")]
    TooLong,
    #[error("is read as .git by some file systems")]
    DotGit,
    #[error("is a symlink with the name of a file that git reads settings from")]
    LinkedSettings,
}

/// Returns the name as text, if it is allowed.
pub fn check(name: &[u8]) -> Result<&str, BadName> {
    let text = str::from_utf8(name).map_err(|_| BadName::NotUtf8)?;
    match text {
        "" => return Err(BadName::Empty),
        "." | ".." => return Err(BadName::Dots),
        _ => {}
    }
    if text.len() > LONGEST {
        return Err(BadName::TooLong);
    }
    if text.contains(['/', '\\']) {
        return Err(BadName::Separator);
    }
    if text.chars().any(char::is_control) {
        return Err(BadName::Control);
    }
    if is_dot_git(text) { Err(BadName::DotGit) } else { Ok(text) }
}

/// Checks the name of a symlink, in addition to the checks of every name.
pub fn check_link(name: &str) -> Result<(), BadName> {
    let is_settings = |(file, short): &(&str, &str)| is_settings(name, file, short);
    if SETTINGS.iter().any(is_settings) { Err(BadName::LinkedSettings) } else { Ok(()) }
}

/// Checks every name of a path that leads down from a folder.
pub fn check_path(path: &str) -> Result<(), BadName> {
    path.split('/').try_for_each(|name| check(name.as_bytes()).map(|_| ()))
}

/// Returns a name for a message: characters that cannot be shown are escaped.
pub fn shown(name: &[u8]) -> String {
    let mut text = String::new();
    let mut left = SHOWN;
    for chunk in name.utf8_chunks() {
        for character in chunk.valid().chars().take(left) {
            if character.is_control() || is_ignorable(character) {
                let _ = write!(text, "\\u{:04x}", u32::from(character));
            } else {
                text.push(character);
            }
        }
        left = left.saturating_sub(chunk.valid().chars().count());
        for byte in chunk.invalid().iter().take(left) {
            let _ = write!(text, "\\x{byte:02x}");
        }
        left = left.saturating_sub(chunk.invalid().len());
        if left == 0 {
            text.push('…');
            break;
        }
    }
    text
}

/// True for `.git` and for every name that HFS+ and NTFS treat as equal.
fn is_dot_git(name: &str) -> bool {
    let seen = seen(name);
    let ntfs = [".git", "git~1"].iter().any(|git| starts(name, git).is_some_and(is_padding));
    ntfs || seen == ".git"
}

/// True for a file of settings, its short name, and every name that HFS+ and NTFS treat as equal.
fn is_settings(name: &str, file: &str, short: &str) -> bool {
    let whole = name.strip_prefix('.').and_then(|name| starts(name, file));
    let hfs = seen(name).strip_prefix('.') == Some(file);
    let numbered = starts(name, &file[..6]).and_then(|rest| rest.strip_prefix('~'));
    let numbered = numbered.and_then(|rest| rest.strip_prefix(['1', '2', '3', '4']));
    hfs || [whole, numbered, hashed(name, short)].into_iter().flatten().any(is_padding)
}

/// Returns the rest of the short name that NTFS creates when four others exist: characters of a hash and a number,
/// eight characters with the tilde.
fn hashed<'a>(name: &'a str, short: &str) -> Option<&'a str> {
    let (letters, rest) = name.split_at_checked(name.find('~')?)?;
    let (number, rest) = rest.strip_prefix('~')?.split_at_checked(7_usize.checked_sub(letters.len())?)?;
    let is_number = !number.starts_with('0') && number.bytes().all(|byte| byte.is_ascii_digit());
    (letters.len() <= 6 && is_number && starts(short, letters).is_some()).then_some(rest)
}

/// Returns the name as HFS+ compares it.
fn seen(name: &str) -> String {
    name.chars().filter(|character| !is_ignorable(*character)).map(|one| one.to_ascii_lowercase()).collect()
}

/// Code points that HFS+ ignores, and that terminals do not show.
fn is_ignorable(character: char) -> bool {
    matches!(character, '\u{200c}'..='\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{206f}' | '\u{feff}')
}

/// Returns the text after a prefix, which is compared without case.
fn starts<'a>(name: &'a str, beginning: &str) -> Option<&'a str> {
    let (first, rest) = name.split_at_checked(beginning.len())?;
    first.eq_ignore_ascii_case(beginning).then_some(rest)
}

/// True for what NTFS ignores at the end of a name: dots, spaces, and the name of a stream.
fn is_padding(rest: &str) -> bool {
    rest.split(':').next().unwrap_or_default().bytes().all(|byte| byte == b'.' || byte == b' ')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_that_git_refuses_are_refused() {
        let check = |name: &str, why: BadName| assert_eq!(check(name.as_bytes()), Err(why), "{name}");
        check("", BadName::Empty);
        check(".", BadName::Dots);
        check("..", BadName::Dots);
        for name in ["/", "/etc/passwd", "a/b", "../a", "..\\a", "C:\\a", "\\\\host\\a"] {
            check(name, BadName::Separator);
        }
        for name in ["a\0b", "a\nb", "\u{1b}[2J", "\u{7f}", "\u{85}", ".remote\u{1}"] {
            check(name, BadName::Control);
        }
        for name in
            [".git", ".GIT", ".Git", "git~1", "GIT~1", ".git.", ".git ", ".git. .", "git~1 .", ".git:x"]
        {
            check(name, BadName::DotGit);
        }
        for name in [".git::$INDEX_ALLOCATION", "git~1:a:b", ".g\u{200c}it", "\u{feff}.GIT", ".git\u{206a}"] {
            check(name, BadName::DotGit);
        }
        check(&"a".repeat(256), BadName::TooLong);
        assert_eq!(super::check(b"caf\xe9"), Err(BadName::NotUtf8));
    }

    #[test]
    fn names_of_real_repositories_are_taken() {
        let long = "a".repeat(255);
        let names = [
            "a.yaml",
            "...",
            "..a",
            ".github",
            ".gitignore",
            ".gitmodules",
            ".gitx",
            "git~2",
            "git~10",
            "git",
            "a:b",
            "café",
            "a b",
            "aux",
            "$x",
            "~",
            "{{ name }}",
            "Chart.yaml",
            ".git-keep",
            "日本.yaml",
            &long,
        ];
        for name in names {
            assert_eq!(check(name.as_bytes()), Ok(name));
        }
    }

    #[test]
    fn links_with_the_name_of_a_file_of_settings_are_refused() {
        let refused = [
            ".gitmodules",
            ".GITMODULES",
            ".gitmodules ",
            ".gitmodules:x",
            "gitmod~1",
            "GITMOD~4",
            "gi7eba~1",
            "gi7d~100",
            "g~123456",
            "GI250A~9",
            ".gitignore",
            ".gitattributes",
            "gitatt~2",
            ".mailmap",
            "maba30~1",
            ".git\u{200c}modules",
        ];
        for name in refused {
            assert_eq!(check_link(name), Err(BadName::LinkedSettings), "{name}");
        }
        for name in [
            "gitmodules",
            ".gitmodules.yaml",
            "gitmod~5",
            "gi7ebb~1",
            "g~1",
            "gi7d~010",
            "a~1",
            "~1",
            "é~1",
            "current",
        ] {
            assert_eq!(check_link(name), Ok(()), "{name}");
        }
    }

    #[test]
    fn a_path_is_as_good_as_its_names() {
        assert_eq!(check_path("a/b.yaml"), Ok(()));
        for (path, why) in [
            ("/a", BadName::Empty),
            ("a//b", BadName::Empty),
            ("a/../b", BadName::Dots),
            ("a/.GIT/b", BadName::DotGit),
        ] {
            assert_eq!(check_path(path), Err(why), "{path}");
        }
    }

    #[test]
    fn a_refused_name_is_shown_without_doing_anything() {
        assert_eq!(shown(b"a\x1b[2Jb\xff\xe2\x80\xae"), "a\\u001b[2Jb\\xff\\u202e");
        assert!(shown(&[b'a'; 5000]).chars().count() == SHOWN + 1);
    }
}
