//! The list of Syncs: a table, names, YAML or JSON, once or at each change. I/O: API watch, terminal.

use std::collections::HashMap;

use anyhow::anyhow;
use clap::ValueEnum;
use futures::{TryStreamExt as _, pin_mut};
use holdfast_diff::{visible, yaml};
use kube::api::ListParams;
use kube::runtime::WatchStreamExt as _;
use kube::runtime::watcher::{self, Event};
use kube::{Client, ResourceExt as _};

use super::{cluster, print};
use crate::api::{Sync, conditions};

/// The form of a list
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub enum Form {
    /// A table
    #[default]
    Text,
    /// A table with more columns
    Wide,
    /// JSON
    Json,
    /// YAML
    Yaml,
    /// Only names, as kubectl accepts them
    Name,
}

impl Form {
    /// Prints one Sync; false if the form is a table.
    pub fn print(self, sync: &Sync) -> anyhow::Result<bool> {
        match self {
            Self::Text | Self::Wide => return Ok(false),
            Self::Json => print::json(sync)?,
            Self::Yaml => {
                print::written(&format!("---\n{}", yaml::write_shown(&serde_json::to_value(sync)?)))?;
            }
            Self::Name => print::line(format_args!("sync.holdfast.dev/{}", sync.name_any())),
        }
        Ok(true)
    }
}

/// Columns of the table, and how many of them are shown if it is not wide. The last one is not padded.
const COLUMNS: [&str; 9] =
    ["NAME", "READY", "STATUS", "REVISION", "OBJECTS", "PLAN", "SEEN", "PATH", "MESSAGE"];
const WIDE_ONLY: std::ops::Range<usize> = 5..8;

/// Prints the Syncs of the namespace.
pub async fn once(client: &Client, form: Form) -> anyhow::Result<()> {
    let syncs = cluster::syncs(client).list(&ListParams::default()).await?.items;
    if form == Form::Json {
        return Ok(print::json(&syncs)?);
    }
    let mut table = Table::new(form);
    for sync in &syncs {
        if !form.print(sync)? {
            table.add(cells(sync));
        }
    }
    table.print();
    Ok(())
}

/// Prints the Syncs of the namespace, and each one again when what is shown of it changes, until the user stops.
pub async fn watch(client: &Client, form: Form) -> anyhow::Result<()> {
    let events = watcher::watcher(cluster::syncs(client), watcher::Config::default()).default_backoff();
    pin_mut!(events);
    let (mut table, mut shown) = (Table::new(form), HashMap::<String, Vec<String>>::new());
    let mut is_listed = false;
    while let Some(event) = events.try_next().await.map_err(|error| anyhow!("cannot watch Syncs: {error}"))? {
        match event {
            Event::Init => {}
            Event::InitApply(sync) | Event::Apply(sync) => {
                let cells = cells(&sync);
                if shown.get(&sync.name_any()) == Some(&cells) {
                    continue;
                }
                shown.insert(sync.name_any(), cells.clone());
                if !form.print(&sync)? {
                    table.add(cells);
                }
            }
            Event::InitDone => is_listed = true,
            Event::Delete(sync) => {
                shown.remove(&sync.name_any());
                print::say(format_args!("Sync {} is deleted", sync.name_any()));
            }
        }
        if is_listed {
            table.print();
        }
    }
    Ok(())
}

/// Rows that are printed in aligned columns. Later rows keep the widths of earlier ones.
struct Table {
    wide: bool,
    widths: Vec<usize>,
    rows: Vec<Vec<String>>,
}

impl Table {
    fn new(form: Form) -> Self {
        let mut table = Self { wide: form == Form::Wide, widths: Vec::new(), rows: Vec::new() };
        if matches!(form, Form::Text | Form::Wide) {
            table.add(COLUMNS.map(str::to_owned).to_vec());
        }
        table
    }

    fn add(&mut self, cells: Vec<String>) {
        let wide = self.wide;
        let cells = cells.into_iter().enumerate().filter(|(at, _)| wide || !WIDE_ONLY.contains(at));
        let row: Vec<String> = cells.map(|(_, cell)| visible::line(&cell).into_owned()).collect();
        self.widths.resize(row.len(), 0);
        for (width, cell) in self.widths.iter_mut().zip(&row) {
            *width = (*width).max(cell.chars().count());
        }
        self.rows.push(row);
    }

    /// Prints the rows that are not printed yet.
    fn print(&mut self) {
        for row in std::mem::take(&mut self.rows) {
            let padded = row.iter().zip(&self.widths).map(|(cell, width)| format!("{cell:width$}"));
            print::line(padded.collect::<Vec<_>>().join("  ").trim_end());
        }
    }
}

/// The cells of one Sync, in the order of the columns.
fn cells(sync: &Sync) -> Vec<String> {
    let status = sync.status.clone().unwrap_or_default();
    let ready = status.conditions.iter().find(|condition| condition.type_ == conditions::READY);
    let revision = status.revision.as_ref();
    let message = match (&status.progress, ready) {
        (Some(progress), _) => progress.message.clone(),
        (None, Some(ready)) => ready.message.lines().next().unwrap_or_default().to_owned(),
        (None, None) => String::new(),
    };
    let cells = [
        sync.name_any(),
        ready.map_or_else(|| "Unknown".to_owned(), |ready| ready.status.clone()),
        ready.map(|ready| ready.reason.clone()).unwrap_or_default(),
        revision.and_then(|revision| revision.short.clone()).unwrap_or_default(),
        status.objects.as_ref().map(|count| count.shown.clone()).unwrap_or_default(),
        status.plan.as_ref().map(|plan| plan.state.to_string()).unwrap_or_default(),
        revision.and_then(|revision| revision.seen.clone()).unwrap_or_default(),
        sync.spec.path.clone().unwrap_or_else(|| "./".to_owned()),
        message,
    ];
    cells.to_vec()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_wide_table_has_more_columns_and_rows_that_come_later_are_aligned() {
        let sync: Sync = serde_json::from_value(json!({
            "apiVersion": "holdfast.dev/v1alpha1", "kind": "Sync", "metadata": {"name": "shop"},
            "spec": {"source": {"git": {"url": "https://git.example.com/a"}}, "path": "./shop"},
        }))
        .expect("a Sync");
        let mut narrow = Table::new(Form::Text);
        narrow.add(cells(&sync));
        assert_eq!(narrow.rows[0], ["NAME", "READY", "STATUS", "REVISION", "OBJECTS", "MESSAGE"]);
        assert_eq!(narrow.rows[1][..2], ["shop", "Unknown"]);
        let mut wide = Table::new(Form::Wide);
        wide.add(cells(&sync));
        assert_eq!(wide.rows[1][7], "./shop");
        let before = wide.widths[0];
        wide.rows.clear();
        wide.add(vec!["a-long-name".to_owned(); COLUMNS.len()]);
        assert!(wide.widths[0] > before);
    }
}
