//! What is not a plain pull request: conflicts, mistakes, forks, drafts, pushes by force, deleted comments.

use holdfast_tests::shared::{config_map, run};
use serde_json::{Value, json};

use crate::kit::{AGENT, BOB, CAROL, Room, Wish};

#[test]
fn conflicts_and_mistakes_are_statuses_of_their_own_and_a_push_replaces_them() -> anyhow::Result<()> {
    run(AGENT, |shared| async move {
        let room = Room::set(shared, "reviews-edges", &[("a", "one")], &Wish::default()).await?;
        room.branch("clash", &[("a.yaml", Some(&config_map("a", "theirs")))])?;
        let broken = room.branch("broken", &[("a.yaml", Some("kind: [ConfigMap\n"))])?;
        let elsewhere = room.branch("elsewhere", &[("b.yaml", Some(&config_map("b", "one")))])?;
        room.git.commit(&[("a.yaml", &config_map("a", "ours"))], "Ours")?;
        let (clash, mistake) = (room.open("clash", "Clash").await?, room.open("broken", "Broken").await?);
        let fine = room.open("elsewhere", "Fine").await?;

        room.state(clash, "Conflicts").await?;
        room.state(mistake, "Conflicts").await?;
        room.state(fine, "Previewed").await?;
        let head = room.git.git(&["rev-parse", "clash"])?.trim().to_owned();
        assert_eq!(room.until_status(&head, "failure").await?["description"], "merge conflicts in 1 file");
        assert_eq!(room.until_status(&elsewhere, "success").await?["description"], "1 creation");
        // Whether a Sync is affected is not known, so there is no comment.
        assert_eq!(room.ours(clash).await?, Vec::<Value>::new());

        // Pushed anew, by force.
        room.branch("clash", &[("a.yaml", Some(&config_map("a", "resolved")))])?;
        room.says(clash, "Holdfast: 1 update").await?;
        room.state(clash, "Previewed").await?;
        let again = room.branch("broken", &[("a.yaml", Some("kind: [ConfigMap\n"))])?;
        assert_ne!(again, broken);
        let text = room.says(mistake, "1 error").await?;
        assert!(text.contains("a.yaml:"), "{text}");
        room.state(mistake, "Failed").await?;
        room.until_status(&again, "failure").await?;

        // A comment that was deleted is written again when there is something new.
        let gone = room.ours(clash).await?[0]["id"].clone();
        let path = format!("repos/{}/issues/comments/{gone}", room.path_at_forge());
        shared.env.forge.api(reqwest::Method::DELETE, &path, &Value::Null).await?;
        room.branch("clash", &[("a.yaml", None)])?;
        let text = room.says(clash, "1 deletion").await?;
        assert!(!text.is_empty() && room.ours(clash).await?.len() == 1);
        Ok(())
    })
}

#[test]
fn forks_are_previewed_with_the_label_alone_and_without_secrets() -> anyhow::Result<()> {
    run(AGENT, |shared| async move {
        let wish = Wish {
            sync: json!({"render": {"substitute": {"from": [{"kind": "Secret", "name": "vars", "optional": true}], "mode": "Strict"}}}),
            pulls: json!({"forks": "Labelled", "drafts": false}),
            ..Wish::default()
        };
        let room = Room::set(shared, "reviews-fork", &[("a", "one")], &wish).await?;
        let number = room.fork(BOB, &[("a.yaml", Some(&config_map("a", "two")))]).await?;
        room.state(number, "Skipped").await?;
        assert_eq!(room.ours(number).await?, Vec::<Value>::new());
        room.label(number, "preview").await?;
        let text = room.says(number, "rendered without Secrets").await?;
        assert!(text.contains("Absent are: the variables of Secret `vars`."), "{text}");
        assert!(text.contains("Holdfast: 1 update"), "{text}");

        room.branch("draft", &[("a.yaml", Some(&config_map("a", "three")))])?;
        let draft = room.open("draft", "WIP: not yet").await?;
        room.state(draft, "Skipped").await?;
        assert_eq!(room.ours(draft).await?, Vec::<Value>::new());
        Ok(())
    })
}

/// A line of Markdown without its code spans. A span ends at the next run of as many backticks as it began with.
fn outside_spans(line: &str) -> String {
    let mut plain = String::new();
    let mut rest = line;
    while let Some(at) = rest.find('`') {
        plain.push_str(&rest[..at]);
        let behind = rest[at..].trim_start_matches('`');
        let ticks = rest.len() - at - behind.len();
        let runs = behind.match_indices('`').map(|(at, _)| at).filter(|at| !behind[..*at].ends_with('`'));
        let length = |at: usize| behind.len() - at - behind[at..].trim_start_matches('`').len();
        let end = runs.into_iter().find(|at| length(*at) == ticks);
        rest = end.map_or(behind, |end| &behind[end + ticks..]);
    }
    plain.push_str(rest);
    plain
}

#[test]
fn a_code_span_ends_with_as_many_backticks_as_it_began() {
    for (line, expected) in
        [("a `b` c", "a  c"), ("a ``b `c` d`` e", "a  e"), ("``` `` ``` <img>", " <img>"), ("a ` b", "a  b")]
    {
        assert_eq!(outside_spans(line), expected, "{line}");
    }
}

#[test]
fn what_is_hostile_in_a_pull_request_injects_nothing_and_secrets_stay_masked() -> anyhow::Result<()> {
    run(AGENT, |shared| async move {
        let wish = Wish { approval: "Deletions", ..Wish::default() };
        let room = Room::set(shared, "reviews-evil", &[("a", "one"), ("b", "one")], &wish).await?;
        let secret = |value: &str| {
            format!(
                "apiVersion: v1\nkind: Secret\nmetadata: {{name: s}}\nstringData: {{password: {value}}}\n"
            )
        };
        let commit = room.git.commit(&[("s.yaml", &secret("hunter2-before"))], "A secret")?;
        shared.env.ready("reviews-evil", "app", Some(&commit)).await?;
        let evil = "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: evil}\ndata:\n  key: |\n    ```\n    </details>\n    ### owned @bob\n    ~~~~\n";
        let broken = "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: \"`x` <img src=x> @bob\"}\n";
        let files = [
            ("s.yaml", Some(secret("hunter3-after"))),
            ("`](http:evil) <img src=x> @bob.yaml", Some(evil.to_owned())),
            ("broken.yaml", Some(broken.to_owned())),
            ("b.yaml", None),
        ];
        let files: Vec<(&str, Option<&str>)> =
            files.iter().map(|(path, text)| (*path, text.as_deref())).collect();
        room.branch("evil/@bob-<img>-#1", &files)?;
        let number = room.open("evil/@bob-<img>-#1", "### owned `<img src=x>` @bob").await?;
        let text = room.says(number, "1 deletion").await?;
        assert!(text.contains("Secret") && !text.contains("hunter"), "{text}");
        let mut fence: Option<String> = None;
        for line in text.lines() {
            let ticks: String = line.chars().take_while(|letter| *letter == '`').collect();
            match &fence {
                Some(open) if ticks.len() >= open.len() && line.trim() == ticks => fence = None,
                None if ticks.len() > 2 => fence = Some(ticks),
                None => assert!(!line.starts_with("### owned"), "{text}"),
                Some(_) => {}
            }
            // Outside of fences and code spans nothing is a mention or HTML of others.
            if fence.is_none() {
                let plain = outside_spans(line);
                assert!(!plain.contains("<img") && !plain.contains("@bob"), "{line}: {text}");
            }
        }

        // Who is not listed approves nothing, and who is listed needs the right in the cluster.
        let plan = room.plan().await?;
        room.comment(number, CAROL, &format!("/holdfast approve {plan} mine")).await?;
        room.says(number, "this user is not listed").await?;
        let users = json!([{"forge": CAROL, "kubernetes": "carol@example.com"}]);
        let patch = json!({"spec": {"pullRequests": {"approvals": {"users": users}}}});
        shared.patch("reviews-evil", "repository/config", &patch).await?;
        room.comment(number, CAROL, &format!("/holdfast approve {plan} mine")).await?;
        room.says(number, "carol@example.com has no right to create Approvals in namespace reviews-evil")
            .await?;
        assert_eq!(room.approvals().await?, Vec::<Value>::new());
        Ok(())
    })
}
