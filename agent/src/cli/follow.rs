//! Follows a Sync: shows each change of its condition Ready and the progress of its runs, until it is ready or the user stops it.
//!
//! On a terminal the progress is one line that is overwritten; elsewhere every change is a line. I/O: API watch, terminal.

use std::process::ExitCode;
use std::time::Duration;

use anyhow::{anyhow, bail};
use futures::{StreamExt as _, pin_mut};
use kube::Client;
use kube::runtime::{WatchStreamExt as _, watcher};

use super::{cluster, print};
use crate::api::{Sync, conditions};
use crate::cluster::refusal::chain;

/// The exit code of a program that a user stopped with Ctrl-C.
const STOPPED: u8 = 130;

/// What is shown of a Sync at a time.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Line {
    /// Replaced by the next line.
    Progress(String),
    Verdict(String),
}

/// Shows a Sync until the user stops, or until the Sync is deleted.
pub async fn watch(client: &Client, name: &str, json: bool) -> anyhow::Result<ExitCode> {
    cluster::sync(client, name).await?;
    let mut lines = print::Lines::of_results();
    let mut last = None;
    let ended = follow(client, name, |sync| {
        if json {
            print::json(sync).map_err(|error| anyhow!(error))?;
        } else if let line = line(sync)
            && last.as_ref() != Some(&line)
        {
            show(&mut lines, &line);
            last = Some(line);
        }
        Ok(None)
    });
    let ended = stoppable(ended).await?;
    lines.end();
    Ok(match ended {
        Some(Ended::Gone) => {
            print::say(format_args!("Sync {name} is gone"));
            ExitCode::SUCCESS
        }
        Some(Ended::Ready(_)) => ExitCode::SUCCESS,
        None => ExitCode::from(STOPPED),
    })
}

/// Waits until the agent has handled a request for a reconciliation; fails if the Sync does not become ready.
pub async fn wait(client: &Client, name: &str, asked: &str, limit: Duration) -> anyhow::Result<ExitCode> {
    let mut lines = print::Lines::of_messages();
    let mut last: Option<Line> = None;
    let mut answered = false;
    let ended = follow(client, name, |sync| {
        let status = sync.status.as_ref();
        answered |= status.is_some_and(|status| status.handled_reconcile_at.as_deref() == Some(asked));
        let line = line(sync);
        let is_progress = matches!(line, Line::Progress(_));
        // A verdict from before the request does not answer it.
        if (answered || is_progress) && last.as_ref() != Some(&line) {
            show(&mut lines, &line);
            last = Some(line);
        }
        Ok(verdict(sync, asked).map(Ended::Ready))
    });
    let ended = tokio::time::timeout(limit, stoppable(ended)).await;
    lines.end();
    let namespace = client.default_namespace();
    match ended {
        Ok(Ok(Some(Ended::Ready(true)))) => Ok(ExitCode::SUCCESS),
        Ok(Ok(Some(Ended::Ready(false)))) => Ok(ExitCode::FAILURE),
        Ok(Ok(Some(Ended::Gone))) => bail!("Sync {namespace}/{name} is gone"),
        Ok(Ok(None)) => {
            print::say("stopped waiting; the reconciliation continues");
            Ok(ExitCode::from(STOPPED))
        }
        Ok(Err(error)) => Err(error),
        Err(_) if !answered && last.is_none() => bail!(
            "the agent has not answered within {} s; check that it runs and serves namespace {namespace}",
            limit.as_secs()
        ),
        Err(_) => bail!(
            "Sync {namespace}/{name} is not ready after {} s; see holdfast status -n {namespace} {name}",
            limit.as_secs()
        ),
    }
}

enum Ended {
    Ready(bool),
    Gone,
}

/// Passes every state of a Sync on, until the callback ends the watch.
async fn follow(
    client: &Client,
    name: &str,
    mut see: impl FnMut(&Sync) -> anyhow::Result<Option<Ended>>,
) -> anyhow::Result<Ended> {
    let states = watcher::watch_object(cluster::syncs(client), name).default_backoff();
    pin_mut!(states);
    let mut complained = false;
    while let Some(state) = states.next().await {
        match state {
            Ok(Some(sync)) => {
                complained = false;
                if let Some(ended) = see(&sync)? {
                    return Ok(ended);
                }
            }
            Ok(None) => return Ok(Ended::Gone),
            Err(error) if is_refusal(&error) => bail!("cannot watch Sync {name}: {}", chain(&error)),
            Err(error) => {
                if !std::mem::replace(&mut complained, true) {
                    print::say(format_args!("cannot watch Sync {name}; retrying: {}", chain(&error)));
                }
            }
        }
    }
    bail!("the watch of Sync {name} has ended")
}

/// `None` if the user stopped.
async fn stoppable(ended: impl Future<Output = anyhow::Result<Ended>>) -> anyhow::Result<Option<Ended>> {
    tokio::select! {
        ended = ended => ended.map(Some),
        stopped = tokio::signal::ctrl_c() => stopped.map(|()| None).map_err(Into::into),
    }
}

/// True if a retry would fail again.
fn is_refusal(error: &watcher::Error) -> bool {
    use watcher::Error::{InitialListFailed, WatchError, WatchFailed, WatchStartFailed};
    match error {
        InitialListFailed(kube::Error::Api(status))
        | WatchStartFailed(kube::Error::Api(status))
        | WatchFailed(kube::Error::Api(status)) => matches!(status.code, 401 | 403),
        WatchError(status) => matches!(status.code, 401 | 403),
        _ => false,
    }
}

fn show(lines: &mut print::Lines, line: &Line) {
    match line {
        Line::Progress(text) => lines.passing(text),
        Line::Verdict(text) => lines.lasting(text),
    }
}

/// Returns the progress of a Sync, or else its verdict.
fn line(sync: &Sync) -> Line {
    let status = sync.status.clone().unwrap_or_default();
    if let Some(progress) = &status.progress {
        let of = progress.revision.as_ref().map(|revision| format!(" ({revision})")).unwrap_or_default();
        return Line::Progress(format!("{}{of}", progress.message));
    }
    let ready = status.conditions.iter().find(|condition| condition.type_ == conditions::READY);
    let Some(ready) = ready else { return Line::Progress("no status yet".to_owned()) };
    Line::Verdict(format!("{}: {}", ready.reason, ready.message))
}

/// Returns whether a Sync is ready; `None` until the agent has handled the request and no run is active.
fn verdict(sync: &Sync, asked: &str) -> Option<bool> {
    let status = sync.status.as_ref()?;
    let answered = status.handled_reconcile_at.as_deref() == Some(asked)
        && status.observed_generation == sync.metadata.generation
        && status.progress.is_none()
        && !conditions::is_true(&status.conditions, conditions::RECONCILING);
    answered.then(|| conditions::is_true(&status.conditions, conditions::READY))
}

#[cfg(test)]
mod tests {
    use jiff::Timestamp;

    use super::*;
    use crate::api::{ProgressStatus, SyncStatus};

    fn sync(ready: bool, reason: &str, reconciling: bool) -> anyhow::Result<Sync> {
        let mut sync: Sync = serde_json::from_value(serde_json::json!({
            "apiVersion": "holdfast.dev/v1alpha1", "kind": "Sync",
            "metadata": {"name": "shop", "generation": 2},
            "spec": {"source": {"git": {"url": "https://git.example.com/config.git"}}}
        }))?;
        let mut status = SyncStatus {
            handled_reconcile_at: Some("now".to_owned()),
            observed_generation: Some(2),
            ..SyncStatus::default()
        };
        let now = Timestamp::UNIX_EPOCH;
        let all = &mut status.conditions;
        conditions::set(all, conditions::READY, Some(ready), reason, "it", 2, now);
        conditions::set(all, conditions::RECONCILING, reconciling.then_some(true), reason, "it", 2, now);
        sync.status = Some(status);
        Ok(sync)
    }

    #[test]
    fn a_wait_is_over_when_the_request_is_answered_and_nothing_goes_on() -> anyhow::Result<()> {
        assert_eq!(verdict(&sync(true, "InSync", false)?, "now"), Some(true));
        assert_eq!(verdict(&sync(false, "PathNotFound", false)?, "now"), Some(false));
        assert_eq!(verdict(&sync(false, "Progressing", true)?, "now"), None);
        assert_eq!(verdict(&sync(true, "InSync", false)?, "later"), None);
        let mut changed = sync(true, "InSync", false)?;
        changed.metadata.generation = Some(3);
        assert_eq!(verdict(&changed, "now"), None);
        Ok(())
    }

    #[test]
    fn progress_is_shown_in_place_of_the_verdict() -> anyhow::Result<()> {
        let mut sync = sync(false, "Unhealthy", false)?;
        assert_eq!(line(&sync), Line::Verdict("Unhealthy: it".to_owned()));
        let progress = ProgressStatus {
            message: "applying 480 of 600 objects, wave 1 of 2".to_owned(),
            revision: Some("main@sha1:1a2b".to_owned()),
            ..ProgressStatus::default()
        };
        sync.status.get_or_insert_default().progress = Some(progress);
        let expected = "applying 480 of 600 objects, wave 1 of 2 (main@sha1:1a2b)";
        assert_eq!(line(&sync), Line::Progress(expected.to_owned()));
        Ok(())
    }
}
