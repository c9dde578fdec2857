//! Comments as they are written, in `cases/<name>/`: what the base and the merge render to, and the comment.
//! `UPDATE_CASES=1` writes the comments.

use std::path::{Path, PathBuf};

use anyhow::{Context as _, ensure};
use holdfast_diff::fields::Owner;
use holdfast_diff::mask::Masks;
use holdfast_diff::object::Manifest;
use holdfast_diff::plan::{FieldChange, Plan};
use holdfast_diff::yaml;
use jiff::Timestamp;
use serde_json::json;

use super::super::offline::between;
use super::super::preview::Waits;
use super::*;
use crate::api::ApprovalPolicy;
use crate::gate;
use crate::sync_ref::SyncRef;

fn cases() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("src/review/comment/cases")
}

fn manifests(folder: &Path, file: &str) -> anyhow::Result<Vec<Manifest>> {
    let bytes = std::fs::read(folder.join(file)).with_context(|| format!("no {file}"))?;
    let (manifests, mistakes) = yaml::manifests("shop/all.yaml", &bytes);
    ensure!(mistakes.is_empty(), "{mistakes:?}");
    Ok(manifests)
}

/// The Sync `team-a/shop` of a case, as if the base were live.
fn planned(folder: &Path) -> anyhow::Result<Planned> {
    let (base, merge) = (manifests(folder, "base.yaml")?, manifests(folder, "merge.yaml")?);
    let mut masks = Masks::default();
    base.iter().chain(&merge).for_each(|manifest| masks.add_secret(&manifest.value));
    let plan = between(&base, &merge, &masks, None);
    let set = gate::Set { owned: base.len(), empty: false, ending: false };
    let decision =
        gate::decide("", plan.clone(), ApprovalPolicy::Irreversible, set, &[], Timestamp::UNIX_EPOCH);
    let waiting = decision.waiting.map(|waiting| {
        Box::new(Waits {
            id: Some(waiting.plan.id.clone()),
            changes: waiting.held(),
            later: waiting.later,
            rejected: None,
        })
    });
    let effect = Effect::of("", &Plan::new("", Vec::new()), &plan, &masks);
    Ok(Planned { id: plan.id, effect, waiting, errors: Vec::new(), warnings: Vec::new() })
}

fn preview(result: SyncResult) -> Preview {
    let side = |name: &str| Side { name: name.to_owned(), commit: "1a2b3c4d5e6f".to_owned() };
    let syncs = vec![SyncPreview { sync: SyncRef::new("team-a", "shop"), result }];
    Preview {
        base: side("main"),
        head: side("feature"),
        cluster: Some("uid".to_owned()),
        outcome: Outcome::Syncs(syncs),
    }
}

/// Compares a comment with that of its case.
fn check(name: &str, preview: &Preview) -> anyhow::Result<()> {
    let found = comment(preview, Approve::Here, LIMIT);
    let file = cases().join(name).join("comment.md");
    if std::env::var_os("UPDATE_CASES").is_some() {
        return Ok(std::fs::write(file, found)?);
    }
    let expected = std::fs::read_to_string(&file).unwrap_or_default();
    ensure!(found == expected, "{name} differs; UPDATE_CASES=1 accepts it:\n{found}");
    Ok(())
}

fn case(name: &str) -> anyhow::Result<Preview> {
    Ok(preview(SyncResult::Planned(planned(&cases().join(name))?)))
}

#[test]
fn comments_read_as_in_their_cases() -> anyhow::Result<()> {
    for name in ["changes", "deletions", "routine", "secrets", "hostile"] {
        check(name, &case(name)?)?;
    }
    Ok(())
}

#[test]
fn drift_that_is_overwritten_is_listed_with_its_manager() -> anyhow::Result<()> {
    let mut found = planned(&cases().join("changes"))?;
    let owner = Owner {
        manager: "kubectl-edit".to_owned(),
        operation: "Update".to_owned(),
        subresource: None,
        time: Some("2026-01-01T00:00:00Z".to_owned()),
    };
    let affected = found.effect.changes.iter_mut().find(|affected| !affected.change.fields.is_empty());
    let affected = affected.context("a change has fields")?;
    let field = affected.change.fields.first_mut().context("there is a field")?;
    field.before = Some(json!("drifted"));
    affected.overwrites.push(FieldChange {
        after: Some(json!("base")),
        owners: vec![owner],
        ..field.clone()
    });
    found.errors.push("Deployment.apps shop/b (shop/b.yaml:3): is refused".to_owned());
    check("drift", &preview(SyncResult::Planned(found)))
}

#[test]
fn a_render_that_fails_and_conflicts_are_the_preview() {
    let errors = vec!["shop/a.yaml:3: a: is twice".to_owned()];
    let failed = preview(SyncResult::Failed { at: At::Merge, errors });
    let text = comment(&failed, Approve::Here, LIMIT);
    assert!(text.starts_with("### Holdfast: 1 error, no changes in the cluster\n"), "{text}");
    assert!(text.contains("**Errors**\n\n- Sync `team-a/shop`: `shop/a.yaml:3: a: is twice`\n"), "{text}");
    let outcome = Outcome::Conflicts { files: vec!["a`@all.yaml".to_owned()], more: 1 };
    let text = comment(&Preview { outcome, ..failed }, Approve::Here, LIMIT);
    assert!(text.starts_with("### Holdfast: merge conflicts in 2 files\n"), "{text}");
    assert!(text.contains("- ``a`@all.yaml``\n- and 1 more\n"), "{text}");
}

/// What a reader of Markdown takes for text of Holdfast: what is neither in a code span nor in a block nor in `<code>`.
fn outside(text: &str) -> String {
    let mut open: Option<usize> = None;
    let mut found = String::new();
    for line in text.lines() {
        let fence = line.bytes().take_while(|byte| *byte == b'`').count();
        match open {
            Some(length) if fence >= length && line.len() == fence => open = None,
            Some(_) => {}
            None if fence >= 3 && !line[fence..].contains('`') => open = Some(fence),
            None => {
                found.push_str(&spans(line));
                found.push('\n');
            }
        }
    }
    found
}

/// A line without its code spans and without `<code>` elements.
fn spans(line: &str) -> String {
    let (mut found, mut rest) = (String::new(), line);
    while let Some(at) = rest.find(['`', '<']) {
        found.push_str(&rest[..at]);
        rest = &rest[at..];
        if let Some(inner) = rest.strip_prefix("<code>") {
            rest = inner.split_once("</code>").map_or("", |(_, rest)| rest);
            continue;
        }
        let length = rest.bytes().take_while(|byte| *byte == b'`').count();
        let fence = "`".repeat(length);
        let mut end = None;
        let mut from = length;
        while length > 0
            && let Some(next) = rest[from..].find(&fence)
        {
            let run = rest[from + next..].bytes().take_while(|byte| *byte == b'`').count();
            if run == length {
                end = Some(from + next + run);
                break;
            }
            from += next + run;
        }
        let taken = end.unwrap_or(1.max(length));
        if end.is_none() {
            found.push_str(&rest[..taken]);
        }
        rest = &rest[taken..];
    }
    found + rest
}

#[test]
fn nothing_of_a_pull_request_is_markup() -> anyhow::Result<()> {
    const EVIL: &str = "x](https://evil.test) @everyone <img src=x onerror=y> `` ``` ~~~ | # </details></code> <!-- -->\n\n# title\r\n```\n- [ ] x\u{202e}";
    let mut found = planned(&cases().join("hostile"))?;
    let (errors, warnings) = (&mut found.errors, &mut found.warnings);
    [errors, warnings].into_iter().for_each(|list| list.push(EVIL.to_owned()));
    for affected in &mut found.effect.changes {
        affected.change.risk = Some(EVIL.to_owned());
        affected.change.reason = EVIL.to_owned();
        found.effect.pending.push(affected.change.clone());
    }
    if let Some(waiting) = &mut found.waiting {
        waiting.changes.push(EVIL.to_owned());
        waiting.rejected = Some((EVIL.to_owned(), EVIL.to_owned()));
    }
    let mut hostile = preview(SyncResult::Planned(found));
    EVIL.clone_into(&mut hostile.base.name);
    let text = comment(&hostile, Approve::Here, LIMIT);
    let own = outside(&text);
    for word in ["evil.test", "@everyone", "<img", "onerror", "<!--", "# title", "[ ]"] {
        assert!(!own.contains(word), "{word} is in {own}");
    }
    assert_eq!(text.matches("<details>").count(), own.matches("<details>").count());
    assert_eq!(own.matches("<details>").count(), own.matches("</details>").count());
    Ok(())
}

#[test]
fn a_comment_never_exceeds_its_limit() {
    let map = |at: usize, text: &str| {
        format!(
            "---\napiVersion: v1\nkind: ConfigMap\nmetadata: {{name: m{at}}}\ndata: {{a: \"{text}{at}\"}}\n"
        )
    };
    let all = |text: &str| -> String { (0..1500).map(|at| map(at, text)).collect() };
    let read = |text: &str| yaml::manifests("all.yaml", all(text).as_bytes()).0;
    let masks = Masks::default();
    let plan = between(&read("old"), &read(&"new".repeat(50)), &masks, None);
    let effect = Effect::of("", &Plan::new("", Vec::new()), &plan, &masks);
    let many: Vec<String> =
        (0..1500).map(|at| format!("ConfigMap m{at}: is wrong, {}", "x".repeat(300))).collect();
    let waiting = Waits { id: Some(plan.id.clone()), changes: many.clone(), later: 1, rejected: None };
    let planned = Planned {
        id: plan.id,
        effect,
        waiting: Some(Box::new(waiting)),
        errors: many.clone(),
        warnings: many,
    };
    let text = comment(&preview(SyncResult::Planned(planned)), Approve::Here, LIMIT);
    assert!(text.len() <= LIMIT, "{}", text.len());
    assert!(text.contains("1500 updates") && text.contains("Too long to be shown here"), "{text}");
}
