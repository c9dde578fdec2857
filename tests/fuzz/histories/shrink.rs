//! Makes a history that fails small: what can be left out, with the same check still failing, is left out. I/O: by running.

use std::time::{Duration, Instant};

use super::history::{Act, Edit, History, Mode, Op};
use super::kinds::Kind;
use super::run::{Verdict, run};
use super::stage::Stage;

/// Candidates that are run side by side.
const SIDE_BY_SIDE: usize = 6;

/// Leaves out what can be, until nothing can or the time is over. Returns what is left, and how it fails.
pub async fn shrink(
    stage: &Stage,
    kinds: &'static [Kind],
    history: History,
    verdict: Verdict,
    namespace: &str,
    limit: Duration,
) -> anyhow::Result<(History, Verdict)> {
    let started = Instant::now();
    let check = verdict.violations.first().map(|violation| violation.check);
    let (mut best, mut how) = (history, verdict);
    let mut number = 0;
    loop {
        let mut better = None;
        let candidates = candidates(&best);
        'all: for group in candidates.chunks(SIDE_BY_SIDE) {
            if started.elapsed() > limit {
                break;
            }
            let names: Vec<String> = group
                .iter()
                .map(|_| {
                    number += 1;
                    format!("{namespace}-{number}")
                })
                .collect();
            let runs = group.iter().zip(&names).map(|(candidate, name)| run(stage, kinds, candidate, name));
            for (candidate, outcome) in group.iter().zip(futures::future::join_all(runs).await) {
                if let Some(verdict) = outcome?.filter(|verdict| fails(verdict, check)) {
                    better = Some((candidate.clone(), verdict));
                    break 'all;
                }
            }
        }
        let Some((smaller, verdict)) = better else { return Ok((best, how)) };
        (best, how) = (smaller, verdict);
    }
}

/// True if a check fails.
fn fails(verdict: &Verdict, check: Option<&str>) -> bool {
    verdict.violations.iter().any(|violation| Some(violation.check) == check)
}

/// Histories that are smaller by a little, the ones that are smaller by more first.
fn candidates(history: &History) -> Vec<History> {
    let History { slots, mode, ops } = history;
    let with = |ops: Vec<Op>| History { slots: slots.clone(), mode: *mode, ops: settle(ops) };
    let mut found = Vec::new();
    for half in [&ops[..ops.len() / 2], &ops[ops.len() / 2..]] {
        if ops.len() > 3 && !half.is_empty() {
            found.push(with(half.to_vec()));
        }
    }
    // A slot that nothing is done with.
    for slot in 0..slots.len() {
        let all = ops.iter().filter_map(|op| without_slot(op, slot)).collect();
        found.push(with(all));
    }
    for at in 0..ops.len() {
        let mut fewer = ops.clone();
        fewer.remove(at);
        found.push(with(fewer));
    }
    for (at, op) in ops.iter().enumerate() {
        let Act::Commit(edits) = &op.act else { continue };
        let mut pieces: Vec<Vec<Edit>> = Vec::new();
        if edits.len() > 6 {
            let is_add = |edit: &&Edit| matches!(edit, Edit::Add(_));
            let adds: Vec<Edit> = edits.iter().filter(is_add).cloned().collect();
            let sets: Vec<Edit> = edits.iter().filter(|edit| !is_add(edit)).cloned().collect();
            for half in [&sets[..sets.len() / 2], &sets[sets.len() / 2..]] {
                pieces.push([&adds[..], half].concat());
            }
        }
        pieces.extend((0..edits.len()).filter(|_| edits.len() > 1).map(|edit| {
            let mut fewer = edits.clone();
            fewer.remove(edit);
            fewer
        }));
        for piece in pieces {
            let mut fewer = ops.clone();
            fewer[at].act = Act::Commit(piece);
            found.push(with(fewer));
        }
    }
    let Mode { report, gated, two, twins } = *mode;
    let modes = [
        (report, Mode { report: false, ..*mode }),
        (gated, Mode { gated: false, ..*mode }),
        (two, Mode { two: false, ..*mode }),
        (twins, Mode { twins: false, ..*mode }),
    ];
    let simpler = modes.into_iter().filter(|(is_set, _)| *is_set);
    found.extend(simpler.map(|(_, mode)| History { mode, ..history.clone() }));
    found.retain(|candidate| candidate != history && !candidate.ops.is_empty());
    found
}

fn without_slot(op: &Op, slot: usize) -> Option<Op> {
    let act = match &op.act {
        Act::Commit(edits) => Act::Commit(edits.iter().filter(|edit| edit.slot() != slot).cloned().collect()),
        Act::Write { slot: of, .. } if *of == slot => return None,
        act => act.clone(),
    };
    Some(Op { act, quiet: op.quiet })
}

/// The last operation is always followed by a quiet point.
fn settle(mut ops: Vec<Op>) -> Vec<Op> {
    if let Some(last) = ops.last_mut() {
        last.quiet = true;
    }
    ops
}
