//! What all pages have: head, navigation, the visitor, and the list of keys. Pure.

use jiff::Timestamp;
use maud::{DOCTYPE, Markup, html};

use super::text::t;
use crate::ui::assets;

/// What a page knows beside its value.
#[derive(Clone, Debug)]
pub struct Frame {
    /// Empty if nobody is known.
    pub visitor: String,
    /// The proof that forms carry.
    pub proof: String,
    /// True if the visitor can sign out.
    pub has_session: bool,
    /// How long the API server has been silent, in seconds, if that is long.
    pub silent: Option<u64>,
    /// What was just done.
    pub done: Option<&'static str>,
    pub now: Timestamp,
}

/// What a page is about, for live updates: `*` for all Syncs.
pub struct About<'a>(pub &'a str);

const KEYS: [(&str, &str); 10] = [
    ("?", "Show these keys"),
    ("/", "Go to the filter"),
    ("j, k", "Next or previous row"),
    ("Enter", "Open the row"),
    ("h", "Home"),
    ("d", "Drift of all Syncs"),
    ("p", "Pull requests"),
    ("g", "Graph of dependencies"),
    ("i", "Images"),
    ("Esc", "Close"),
];

/// The pages of the navigation, by their titles.
const PAGES: [(&str, &str); 4] =
    [("/drift", "Drift"), ("/pulls", "Pull requests"), ("/graph", "Dependencies"), ("/images", "Images")];

/// A whole page.
pub fn page(frame: &Frame, title: &str, about: &About<'_>, main: &Markup) -> Markup {
    let Frame { visitor, proof, has_session, silent, done, now: _ } = frame;
    html! {
        (DOCTYPE)
        html lang="en" {
            (head(title))
            body data-about=(about.0) {
                a.skip href="#main" { "Skip to the content" }
                header {
                    nav aria-label="Pages" {
                        a.brand href="/" { "Holdfast" }
                        @for (address, name) in PAGES {
                            a href=(address) aria-current=[(title == name).then_some("page")] { (name) }
                        }
                    }
                    div.visitor {
                        @if visitor.is_empty() { span { "read only" } } @else { span { (t(visitor)) } }
                        @if *has_session {
                            form method="post" action="/logout" {
                                input type="hidden" name="proof" value=(proof);
                                button.link { "Sign out" }
                            }
                        }
                    }
                }
                p #offline.banner.bad role="status" hidden { "The agent does not answer. This page may be old; it is updated when the agent is back." }
                @if let Some(seconds) = silent {
                    p.banner.bad role="status" { "The API server has been silent for " (seconds) " s. What this page shows may have changed since." }
                }
                main #main tabindex="-1" {
                    @if let Some(done) = done { p.banner.good role="status" { (done) } }
                    (main)
                }
                (keys())
            }
        }
    }
}

fn head(title: &str) -> Markup {
    html! {
        head {
            meta charset="utf-8";
            meta name="viewport" content="width=device-width, initial-scale=1";
            meta name="color-scheme" content="light dark";
            title { (t(title)) " - Holdfast" }
            link rel="icon" href=(assets::ICON.path()) type="image/svg+xml";
            link rel="stylesheet" href=(assets::STYLE.path()) integrity=(assets::STYLE.integrity());
            script src=(assets::SCRIPT.path()) integrity=(assets::SCRIPT.integrity()) defer {}
        }
    }
}

fn keys() -> Markup {
    html! {
        dialog #keys aria-labelledby="keys-title" {
            h2 #keys-title { "Keys" }
            dl {
                @for (key, what) in KEYS { dt { kbd { (key) } } dd { (what) } }
            }
            form method="dialog" { button { "Close" } }
        }
    }
}

/// A page that says one thing, such as an error.
pub fn message(frame: &Frame, title: &str, text: &str) -> Markup {
    let main = html! {
        h1 { (t(title)) }
        p.message { (t(text)) }
        p { a href="/" { "All Syncs" } }
    };
    page(frame, title, &About(""), &main)
}
