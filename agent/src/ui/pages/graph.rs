//! The page of dependencies: a picture up to 200 Syncs, and an outline of all. Pure.

use std::collections::HashMap;

use maud::{Markup, html};

use super::frame::{About, Frame, page as framed};
use super::text::{chip, t};
use crate::ui::graph::{Graph, Node};
use crate::ui::needs::State;

/// Syncs of a picture.
const DRAWN: usize = 200;
/// Sizes in the picture. A name has about 7 units a character.
const WIDTH: usize = 210;
const HEIGHT: usize = 34;
const ACROSS: usize = 90;
const DOWN: usize = 16;
const LETTERS: usize = 27;

pub fn page(graph: &Graph, frame: &Frame) -> Markup {
    let Graph { nodes, more } = graph;
    let main = html! {
        h1 { "Dependencies" }
        @if nodes.is_empty() { p.calm { "No Sync that you may read depends on another one." } }
        @else {
            @if nodes.len() <= DRAWN { div.picture tabindex="0" role="region" aria-label="Picture" { (picture(nodes)) } }
            section { h2 { "Outline" } (outline(nodes)) }
            @if *more > 0 { p { "And " (more) " more Syncs, which are not listed." } }
        }
    };
    framed(frame, "Dependencies", &About("*"), &main)
}

/// The Syncs in columns, one for each layer, with lines to what they depend on.
pub fn picture(nodes: &[Node]) -> Markup {
    let mut rows: HashMap<usize, usize> = HashMap::new();
    let mut places: HashMap<&str, (usize, usize)> = HashMap::new();
    for node in nodes {
        let row = rows.entry(node.layer).or_default();
        places.insert(&node.name, (10 + node.layer * (WIDTH + ACROSS), 10 + *row * (HEIGHT + DOWN)));
        *row += 1;
    }
    let wide = rows.keys().max().map_or(0, |last| (last + 1) * (WIDTH + ACROSS)) - ACROSS + 20;
    let high = rows.values().max().map_or(0, |most| most * (HEIGHT + DOWN)) + 20;
    let lines = nodes.iter().flat_map(|node| {
        let to = places.get(node.name.as_str());
        node.depends_on.iter().filter_map(move |on| Some((on, to?)))
    });
    html! {
        svg width=(wide) height=(high) viewBox={ "0 0 " (wide) " " (high) } role="group" aria-label="Dependencies of Syncs, which the outline lists too" {
            @for (on, to) in lines {
                @if let Some(from) = places.get(on.as_str()) { path.edge d=(curve(*from, *to)) {} }
            }
            @for node in nodes {
                @if let Some((x, y)) = places.get(node.name.as_str()) { (drawn(node, *x, *y)) }
            }
        }
    }
}

fn curve((x, y): (usize, usize), (to_x, to_y): (usize, usize)) -> String {
    let (x, y, to_y) = (x + WIDTH, y + HEIGHT / 2, to_y + HEIGHT / 2);
    format!("M{x} {y} C{} {y} {} {to_y} {to_x} {to_y}", x + ACROSS / 2, to_x.saturating_sub(ACROSS / 2))
}

fn drawn(node: &Node, x: usize, y: usize) -> Markup {
    let label: String = match node.name.char_indices().nth(LETTERS) {
        Some((end, _)) => format!("{}…", &node.name[..end]),
        None => node.name.clone(),
    };
    let shape = html! {
        title { (t(&node.name)) ", " (node.state.map_or("not found", State::word)) }
        rect x=(x) y=(y) width=(WIDTH) height=(HEIGHT) rx="6" {}
        circle cx=(x + 14) cy=(y + HEIGHT / 2) r="5" {}
        text x=(x + 27) y=(y + HEIGHT / 2 + 4) { (t(&label)) }
    };
    html! {
        @match node.state {
            Some(state) => a class=(class(state)) href={ "/syncs/" (node.name) } { (shape) },
            None => g.unknown { (shape) },
        }
    }
}

fn class(state: State) -> &'static str {
    match state {
        State::Failing | State::Unhealthy => "node bad",
        State::Waiting | State::Drifting => "node warn",
        State::Suspended | State::Progressing => "node quiet",
        State::Ready => "node good",
    }
}

fn outline(nodes: &[Node]) -> Markup {
    html! {
        ul.outline {
            @for node in nodes {
                li {
                    @match node.state {
                        Some(state) => { a.row href={ "/syncs/" (node.name) } { (t(&node.name)) } " " (chip(state)) }
                        None => { (t(&node.name)) " " span.note { "not found, or not readable" } }
                    }
                    @if !node.depends_on.is_empty() { " " span.note { "after " (t(&node.depends_on.join(", "))) } }
                }
            }
        }
    }
}
