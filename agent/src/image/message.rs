//! The texts of commits and pull requests: which images changed, from which to which version, where, and by which policy.
//!
//! Names and tags come from registries and from files, so no part of them may begin a line. Leaves the table of the
//! pull request to [`markdown`], and templates to [`template`]. Pure.

mod markdown;
mod template;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::fmt::{self, Write as _};

use holdfast_diff::visible;

pub use self::markdown::{Links, description};
pub use self::template::MessageError;

/// Maximum width of a subject, as `git log --oneline` shows it well.
const SUBJECT: usize = 72;
/// Maximum characters of the title of a pull request. GitHub accepts 256, GitLab and Gitea 255.
const TITLE: usize = 250;
/// Maximum bytes of a message.
const MESSAGE: usize = 16 * 1024;
/// Bytes that are reserved for trailers and for the note about truncation.
const TRAILERS: usize = 2 * 1024;
/// Maximum characters of a name, a tag or a path.
const NAME: usize = 300;
/// Maximum number of files and objects that are listed for one image.
const NAMED: usize = 20;

/// The `ImageUpdate` that makes the changes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Update {
    pub namespace: String,
    pub name: String,
}

/// A version: tag, digest, or both.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Version {
    pub tag: Option<String>,
    /// `sha256:…`
    pub digest: Option<String>,
}

/// A scalar that was written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WrittenScalar {
    /// Relative to the root of the repository.
    pub file: String,
    /// Counts from 1.
    pub line: usize,
    /// JSON pointer (RFC 6901).
    pub path: String,
}

/// One image that changed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Change {
    /// The name of the image in the markers.
    pub image: String,
    pub repository: String,
    /// The previous version, if all scalars had the same one.
    pub old: Option<Version>,
    pub new: Version,
    pub places: Vec<WrittenScalar>,
    /// Objects that use it: `Deployment team/web`.
    pub objects: Vec<String>,
    /// The policy that selected the version: `semver >=1.0.0`.
    pub policy: String,
}

/// The committer, who also signs off.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Committer {
    pub name: String,
    pub email: String,
}

/// Shortens a digest to its first characters.
impl fmt::Display for Version {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let digest = self.digest.as_deref().map(|digest| short(&clean(digest)));
        match (&self.tag, digest) {
            (Some(tag), Some(digest)) => write!(f, "{}@{digest}", clean(tag)),
            (Some(tag), None) => f.write_str(&clean(tag)),
            (None, Some(digest)) => f.write_str(&digest),
            (None, None) => f.write_str("nothing"),
        }
    }
}

/// Returns the message of a commit: the result of the template, or a list of the changes; then the trailers, with
/// `Signed-off-by` at the end. A configured trailer `Signed-off-by` replaces it; the value `committer` means the
/// committer.
pub fn commit(
    template: Option<&str>,
    trailers: &BTreeMap<String, String>,
    committer: &Committer,
    update: &Update,
    changes: &[Change],
) -> Result<String, MessageError> {
    let trailers = trailer_lines(trailers, committer)?;
    let text = match template {
        Some(template) => template::render(template, update, changes)?,
        None => format!("{}\n\n{}", subject(changes), body(update, changes)),
    };
    let text = formed(&text)?;
    let limit = MESSAGE.saturating_sub(trailers.len() + 2);
    let text = cut(&text, limit);
    // Trailers at the end of the text form one paragraph with these.
    let gap = if ends_with_trailers(&text) { "\n" } else { "\n\n" };
    Ok(format!("{text}{gap}{trailers}"))
}

/// Returns the title of a pull request: the result of the template, or the default. One line.
pub fn title(template: Option<&str>, update: &Update, changes: &[Change]) -> Result<String, MessageError> {
    let text = match template {
        Some(template) => template::render(template, update, changes)?,
        None => subject(changes),
    };
    let line = text.lines().map(str::trim).find(|line| !line.is_empty()).map(line).unwrap_or_default();
    if line.is_empty() { Err(MessageError::Empty) } else { Ok(ellipsis(&line, TITLE)) }
}

/// Returns `Update web to 1.2.3`, or as much of it as fits.
fn subject(changes: &[Change]) -> String {
    let to = |change: &Change| format!("{} to {}", clean(&change.image), change.new);
    match changes {
        [] => "Update no images".to_owned(),
        [one] => format!("Update {}", to(one)),
        [one, two] => {
            let both = format!("Update {} and {}", to(one), to(two));
            if both.chars().count() <= SUBJECT { both } else { "Update 2 images".to_owned() }
        }
        more => format!("Update {} images", more.len()),
    }
}

/// Describes the changes, image by image.
fn body(update: &Update, changes: &[Change]) -> String {
    let Update { namespace, name } = update;
    let mut text = format!("By the ImageUpdate {}/{}:\n", clean(namespace), clean(name));
    for (index, change) in changes.iter().enumerate() {
        let paragraph = paragraph(change);
        if text.len() + paragraph.len() > MESSAGE - 2 * TRAILERS {
            let _ = write!(text, "\nand {} more images", changes.len() - index);
            break;
        }
        text.push('\n');
        text.push_str(&paragraph);
    }
    text
}

fn paragraph(change: &Change) -> String {
    let Change { image, repository, old, new, places, objects, policy } = change;
    let old = old.as_ref().map_or_else(String::new, |old| format!("{old} -> "));
    let mut text = format!("- {}: {old}{new}\n  image:  {}\n", clean(image), clean(repository));
    if !policy.is_empty() {
        let _ = writeln!(text, "  policy: {}", clean(policy));
    }
    for WrittenScalar { file, line, path } in places.iter().take(NAMED) {
        let _ = writeln!(text, "  file:   {}:{line} {}", clean(file), clean(path));
    }
    if places.len() > NAMED {
        let _ = writeln!(text, "          and {} more", places.len() - NAMED);
    }
    for object in objects.iter().take(NAMED) {
        let _ = writeln!(text, "  object: {}", clean(object));
    }
    if objects.len() > NAMED {
        let _ = writeln!(text, "          and {} more", objects.len() - NAMED);
    }
    text
}

/// Formats a text as a message: a subject, an empty line, paragraphs.
fn formed(text: &str) -> Result<String, MessageError> {
    let mut lines = text.lines().map(line).skip_while(String::is_empty);
    let first = lines.next().ok_or(MessageError::Empty)?;
    let subject = ellipsis(&first, SUBJECT);
    let mut formed = subject.clone();
    let mut gap = true;
    // The rest of a subject that is too long moves to the body.
    let whole = (subject != first).then_some(first).into_iter();
    for line in whole.chain(lines) {
        if line.is_empty() {
            gap = true;
            continue;
        }
        formed.push_str(if gap { "\n\n" } else { "\n" });
        formed.push_str(&line);
        gap = false;
    }
    Ok(formed)
}

/// Returns as many lines as fit, and a note about the number of the others.
fn cut(text: &str, limit: usize) -> String {
    if text.len() <= limit {
        return text.to_owned();
    }
    let total = text.lines().count();
    let (mut kept, mut count) = (String::new(), 0);
    for line in text.lines() {
        if kept.len() + line.len() + 40 > limit {
            break;
        }
        kept.push_str(line);
        kept.push('\n');
        count += 1;
    }
    format!("{}\n\nand {} more lines", kept.trim_end(), total - count)
}

fn trailer_lines(trailers: &BTreeMap<String, String>, committer: &Committer) -> Result<String, MessageError> {
    const SIGNED: &str = "Signed-off-by";
    let Committer { name, email } = committer;
    let who = format!("{} <{}>", clean(name), clean(email));
    let mut lines = Vec::new();
    for (key, value) in trailers.iter().filter(|(key, _)| !key.eq_ignore_ascii_case(SIGNED)) {
        lines.push(trailer(key, value)?);
    }
    let own = trailers.iter().find(|(key, _)| key.eq_ignore_ascii_case(SIGNED));
    match own {
        Some((key, value)) if value != "committer" => lines.push(trailer(key, value)?),
        Some(_) | None => lines.push(format!("{SIGNED}: {who}")),
    }
    let lines = lines.join("\n");
    if lines.len() > TRAILERS { Err(MessageError::TrailersTooLong { limit: TRAILERS }) } else { Ok(lines) }
}

/// Formats a trailer as `git interpret-trailers` reads it.
fn trailer(key: &str, value: &str) -> Result<String, MessageError> {
    let bad = |why| Err(MessageError::BadTrailer { key: clean(key), why });
    if !is_key(key) {
        return bad("a key has letters, digits and hyphens");
    }
    let value = value.trim();
    if value.is_empty() {
        return bad("its value is empty");
    }
    if value != line(value) {
        return bad("its value has a line break or another control character");
    }
    Ok(format!("{key}: {value}"))
}

fn is_key(key: &str) -> bool {
    !key.is_empty() && key.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-')
}

/// True if the last paragraph has only trailers, and is not the subject.
fn ends_with_trailers(text: &str) -> bool {
    let Some((_, last)) = text.rsplit_once("\n\n") else { return false };
    last.lines()
        .all(|line| line.split_once(": ").is_some_and(|(key, value)| is_key(key) && !value.is_empty()))
}

/// Returns a name on one line: without control characters, and truncated.
fn clean(text: &str) -> String {
    ellipsis(&line(text), NAME)
}

/// Removes characters that end a line, move the cursor, or change the direction of writing.
fn line(text: &str) -> String {
    let spaced = text.chars().map(|character| if character == '\t' { ' ' } else { character });
    spaced.filter(|character| !visible::is_hidden(*character)).collect::<String>().trim_end().to_owned()
}

/// Truncates to a number of characters.
fn ellipsis(text: &str, limit: usize) -> String {
    if text.chars().count() <= limit {
        return text.to_owned();
    }
    let start: String = text.chars().take(limit.saturating_sub(1)).collect();
    format!("{}…", start.trim_end())
}

/// Returns a digest with twelve of its digits.
fn short(digest: &str) -> String {
    match digest.split_once(':') {
        Some((kind, digits)) => format!("{kind}:{}", digits.chars().take(12).collect::<String>()),
        None => digest.to_owned(),
    }
}
