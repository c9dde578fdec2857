//! Texts of others, times and links as HTML. Pure.

use std::borrow::Cow;

use holdfast_diff::visible;
use jiff::Timestamp;
use maud::{Markup, html};
use url::Url;

use crate::ui::forge_links::commit_url;
use crate::ui::needs::State;

/// Characters of a text that is shown whole.
const LONGEST: usize = 4000;

/// A text of Git, the cluster or a forge: on one line, with hidden characters as escapes, so that it neither turns the line
/// around nor hides a part. `maud` escapes what is HTML.
pub fn t(text: &str) -> Cow<'_, str> {
    match text.char_indices().nth(LONGEST) {
        Some((end, _)) => Cow::Owned(format!("{} [shortened]", visible::line(&text[..end]))),
        None => visible::line(text),
    }
}

/// A time as people say it, with the exact one on hover.
pub fn ago(time: Timestamp, now: Timestamp) -> Markup {
    let exact = format!("{time:.0}");
    html! { time datetime=(exact) title=(exact) { (distance(now.as_second() - time.as_second())) } }
}

/// A distance in seconds, in words.
fn distance(seconds: i64) -> String {
    let amount = |seconds: i64| match seconds {
        ..60 => "less than a minute".to_owned(),
        60..7200 => format!("{} min", seconds / 60),
        7200..172_800 => format!("{} h", seconds / 3600),
        _ => format!("{} days", seconds / 86_400),
    };
    if seconds < 0 { format!("in {}", amount(-seconds)) } else { format!("{} ago", amount(seconds)) }
}

/// A link to another site, if it is one of the web; else the text alone.
pub fn out(url: &str, text: &str) -> Markup {
    let is_web = Url::parse(url).is_ok_and(|url| matches!(url.scheme(), "https" | "http"));
    html! {
        @if is_web {
            a href=(url) rel="noopener noreferrer nofollow" { (t(text)) }
        } @else {
            (t(text))
        }
    }
}

/// A revision, with a link to its commit at a forge of the web.
pub fn link_to_commit(repository: &str, revision: &str) -> Markup {
    html! {
        code {
            @if let Some(link) = commit_url(repository, revision) { (out(&link, &short(revision))) }
            @else { (t(&short(revision))) }
        }
    }
}

/// The state of a Sync.
pub fn chip(state: State) -> Markup {
    let class = match state {
        State::Failing | State::Unhealthy => "chip bad",
        State::Waiting | State::Drifting => "chip warn",
        State::Suspended | State::Progressing => "chip quiet",
        State::Ready => "chip good",
    };
    html! { span class=(class) { (state.word()) } }
}

/// A command that can be copied.
pub fn command(text: &str) -> Markup {
    html! { code.command { (t(text)) } }
}

/// A commit in short.
pub fn short(revision: &str) -> String {
    match revision.rsplit_once(':') {
        Some((name, commit)) if commit.len() > 12 && commit.is_ascii() => {
            let name = name.trim_end_matches("sha1").trim_end_matches("sha256");
            format!("{name}{}", &commit[..7])
        }
        _ => revision.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn distances_are_said_in_one_unit() {
        for (seconds, expected) in [
            (0, "less than a minute ago"),
            (59, "less than a minute ago"),
            (60, "1 min ago"),
            (7199, "119 min ago"),
            (7200, "2 h ago"),
            (200_000, "2 days ago"),
            (-90, "in 1 min"),
        ] {
            assert_eq!(distance(seconds), expected);
        }
    }

    #[test]
    fn a_link_leads_to_the_web_only() {
        let link = |url| out(url, "<b>").into_string();
        assert!(
            link("https://example.com/?a=\"><script>")
                .starts_with("<a href=\"https://example.com/?a=&quot;&gt;&lt;script&gt;\"")
        );
        for url in [
            "javascript:alert(1)",
            " javascript:alert(1)",
            "JaVaScRiPt:alert(1)",
            "data:text/html,x",
            "//example.com",
            "",
            "vbscript:x",
            "file:///etc",
        ] {
            assert_eq!(link(url), "&lt;b&gt;", "{url}");
        }
    }

    #[test]
    fn hidden_characters_are_shown() {
        assert_eq!(t("a\u{202e}b\n\u{0}c"), "a\\u{202e}b\\n\\x00c");
        assert!(t(&"x".repeat(5000)).ends_with(" [shortened]"));
    }

    #[test]
    fn a_revision_is_shortened_to_seven_digits() {
        assert_eq!(short("main@sha1:1234567890123456789012345678901234567890"), "main@1234567");
        assert_eq!(short("main"), "main");
        assert_eq!(short("main@sha1:é234567890123"), "main@sha1:é234567890123");
    }
}
