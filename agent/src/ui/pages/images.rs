//! The page of images: what is selected, since when, and what is banned. Pure.

use kube::ResourceExt as _;
use maud::{Markup, html};

use super::form;
use super::frame::{About, Frame, page as framed};
use super::text::{ago, command, out, t};
use crate::api::{Ban, ImageStatus, ImageUpdate, ImageUpdateStatus, PullRequestStatus};
use crate::ui::images::Images;

pub fn page(images: &Images, frame: &Frame) -> Markup {
    let main = html! {
        h1 { "Images" }
        @if images.updates.is_empty() { p.calm { "There is no ImageUpdate that you may read." } }
        @for update in &images.updates { (one(update, images, frame)) }
        @if images.more > 0 { p { "And " (images.more) " more ImageUpdates, which are not listed." } }
    };
    framed(frame, "Images", &About("*"), &main)
}

fn one(update: &ImageUpdate, images: &Images, frame: &Frame) -> Markup {
    let (namespace, name) = (update.namespace().unwrap_or_default(), update.name_any());
    let status = update.status.clone().unwrap_or_default();
    let git = &update.spec.git;
    html! {
        section {
            h2 { (t(&namespace)) "/" (t(&name)) }
            p { (out(&git.url, &git.url)) " " code { (t(git.path.as_deref().unwrap_or("./"))) } }
            @for condition in status.conditions.iter().filter(|condition| condition.type_ == "Ready") {
                p {
                    span class=(if condition.status == "True" { "chip good" } else { "chip warn" }) { (t(&condition.reason)) }
                    " " (t(&condition.message)) " " span.age { (ago(condition.last_transition_time.0, frame.now)) }
                }
            }
            table {
                thead { tr { th { "Image" } th { "Selected" } th { "Before" } th { "Since" } th { "Banned" } } }
                tbody { @for image in &status.images { (image_row(image, frame)) } }
            }
            @if let Some(commit) = &status.commit {
                p { "Last commit " code { (t(&commit.sha)) } " on " code { (t(&commit.branch)) } " " span.age { (ago(commit.at, frame.now)) } }
            }
            @if let Some(PullRequestStatus { number, url }) = &status.pull_request {
                p { "Pull request " (out(url, &format!("#{number}"))) }
            }
            @if images.may.contains(&namespace) && is_banned(&status) { (form::unban(frame, &namespace, &name)) }
            p { "Why, with the rule that drops each candidate: " (command(&format!("holdfast image explain {name} -n {namespace}"))) }
        }
    }
}

/// True if a version was reverted, or a proposal refused.
fn is_banned(status: &ImageUpdateStatus) -> bool {
    let refused = status.proposal.as_ref().is_some_and(|proposal| proposal.refused.is_some());
    refused || status.images.iter().any(|image| !image.banned.is_empty())
}

fn image_row(image: &ImageStatus, frame: &Frame) -> Markup {
    let ImageStatus { name, image: whole, tag, digest, previous, since, banned, places: _ } = image;
    html! {
        tr {
            td { (t(name)) @if let Some(whole) = whole { br; span.age { (t(whole)) } } }
            td { @if let Some(tag) = tag { code { (t(tag)) } } @if let Some(digest) = digest { br; span.age { (t(digest)) } } }
            td { @if let Some(previous) = previous { code { (t(previous)) } } }
            td { @if let Some(since) = since { (ago(*since, frame.now)) } }
            td.text { @for ban in banned { (ban_line(ban)) } }
        }
    }
}

fn ban_line(ban: &Ban) -> Markup {
    let Ban { tag, digest, file, value, commit, .. } = ban;
    let version = tag.as_deref().or(digest.as_deref()).unwrap_or_default();
    html! {
        div { code { (t(version)) } " in " code { (t(file)) } ", which has " code { (t(value)) } " since commit " code { (t(commit)) } }
    }
}
