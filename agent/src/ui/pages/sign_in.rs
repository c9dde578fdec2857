//! The page on which a token is shown. Pure.

use maud::{Markup, html};
use url::form_urlencoded;

use super::frame::{About, Frame, page as framed};
use super::text::{command, t};

/// The form, with what was wrong with the last token.
pub fn page(frame: &Frame, wrong: Option<&str>, next: &str) -> Markup {
    let main = html! {
        h1 { "Sign in" }
        @if let Some(wrong) = wrong { p.banner.bad role="alert" { (t(wrong)) } }
        form.stack method="post" action="/login" {
            input type="hidden" name="next" value=(next);
            label for="token" { "Token of a user or a ServiceAccount of this cluster" }
            input #token type="password" name="token" autocomplete="off" required spellcheck="false";
            button { "Sign in" }
        }
        p { "You see and do what Kubernetes allows this user. The token stays on the server, for at most 8 hours." }
        p { "For example: " (command("kubectl -n NAMESPACE create token NAME --duration=1h")) }
    };
    framed(frame, "Sign in", &About(""), &main)
}

/// The link to a provider, with what was wrong with the last sign-in.
pub fn with_provider(frame: &Frame, host: &str, wrong: Option<&str>, next: &str) -> Markup {
    let next: String = form_urlencoded::byte_serialize(next.as_bytes()).collect();
    let main = html! {
        h1 { "Sign in" }
        @if let Some(wrong) = wrong { p.banner.bad role="alert" { (t(wrong)) } }
        p { a.button href={ "/login/begin?next=" (next) } { "Sign in with " (t(host)) } }
        p { "You see and do what Kubernetes allows the user that the provider names. A session lasts at most 8 hours." }
    };
    framed(frame, "Sign in", &About(""), &main)
}
