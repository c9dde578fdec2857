//! The texts of commits and pull requests: which images changed, from which to which version, where, and by which policy.
//!
//! Names and tags come from registries and from files, so nothing in them can begin a line. Leaves the table of the pull
//! request to [`markdown`], and templates to [`template`]. Pure.

mod markdown;
mod template;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::fmt::{self, Write as _};

use holdfast_diff::visible;

pub use self::markdown::{Links, description};
pub use self::template::MessageError;

/// Columns of a subject, as `git log --oneline` shows them well.
const SUBJECT: usize = 72;
/// Characters of the title of a pull request. GitHub takes 256, GitLab and Gitea 255.
const TITLE: usize = 250;
/// Bytes of a message.
const MESSAGE: usize = 16 * 1024;
/// Bytes that are left to trailers and to what is said about a cut.
const TRAILERS: usize = 2 * 1024;
/// Characters of a name, a tag or a path.
const NAME: usize = 300;
/// Files and objects of one image that are named.
const NAMED: usize = 20;

/// The `ImageUpdate` that asks for the changes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Update {
    pub namespace: String,
    pub name: String,
}

/// Tag, digest, or both.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Version {
    pub tag: Option<String>,
    /// `sha256:…`
    pub digest: Option<String>,
}

/// A scalar that was written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WrittenScalar {
    /// As seen from the root of the repository.
    pub file: String,
    /// From 1.
    pub line: usize,
    /// As RFC 6901 writes it.
    pub path: String,
}

/// One image that changed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Change {
    /// What the markers name.
    pub image: String,
    pub repository: String,
    /// What stood there before, where that was one version.
    pub old: Option<Version>,
    pub new: Version,
    pub places: Vec<WrittenScalar>,
    /// Objects that have it: `Deployment team/web`.
    pub objects: Vec<String>,
    /// Why this version: `semver >=1.0.0`.
    pub policy: String,
}

/// Who commits, and so signs off.
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

/// The message of a commit: what the template says, or what changed; then the trailers, with `Signed-off-by` at the end. A
/// trailer `Signed-off-by` of one's own takes its place; the value `committer` stands for the committer.
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
    // Trailers that end the text already are one paragraph with these.
    let gap = if ends_with_trailers(&text) { "\n" } else { "\n\n" };
    Ok(format!("{text}{gap}{trailers}"))
}

/// The title of a pull request: what the template says, or what changed. One line.
pub fn title(template: Option<&str>, update: &Update, changes: &[Change]) -> Result<String, MessageError> {
    let text = match template {
        Some(template) => template::render(template, update, changes)?,
        None => subject(changes),
    };
    let line = text.lines().map(str::trim).find(|line| !line.is_empty()).map(line).unwrap_or_default();
    if line.is_empty() { Err(MessageError::Empty) } else { Ok(ellipsis(&line, TITLE)) }
}

/// `Update web to 1.2.3`, or as much of it as fits.
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

/// What changed, image by image.
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

/// A text in the form of a message: a subject, an empty line, paragraphs.
fn formed(text: &str) -> Result<String, MessageError> {
    let mut lines = text.lines().map(line).skip_while(String::is_empty);
    let first = lines.next().ok_or(MessageError::Empty)?;
    let subject = ellipsis(&first, SUBJECT);
    let mut formed = subject.clone();
    let mut gap = true;
    // What does not fit into the subject is not lost.
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

/// As many lines as fit, and how many do not.
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

/// A trailer as `git interpret-trailers` reads it.
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

/// A name in one line: without control characters, and cut.
fn clean(text: &str) -> String {
    ellipsis(&line(text), NAME)
}

/// A text without characters that end a line, move the cursor, or turn the direction of writing.
fn line(text: &str) -> String {
    let spaced = text.chars().map(|character| if character == '\t' { ' ' } else { character });
    spaced.filter(|character| !visible::is_hidden(*character)).collect::<String>().trim_end().to_owned()
}

/// At most so many characters.
fn ellipsis(text: &str, limit: usize) -> String {
    if text.chars().count() <= limit {
        return text.to_owned();
    }
    let start: String = text.chars().take(limit.saturating_sub(1)).collect();
    format!("{}…", start.trim_end())
}

/// A digest with twelve of its digits.
fn short(digest: &str) -> String {
    match digest.split_once(':') {
        Some((kind, digits)) => format!("{kind}:{}", digits.chars().take(12).collect::<String>()),
        None => digest.to_owned(),
    }
}
