//! Examples of messages.

use super::*;
use crate::api::Forge;

const DIGEST: &str = "sha256:3b2f4a5c6d7e8f90112233445566778899aabbccddeeff00112233445566778a";

fn update() -> Update {
    Update { namespace: "team".to_owned(), name: "images".to_owned() }
}

fn committer() -> Committer {
    Committer { name: "Holdfast".to_owned(), email: "holdfast@example.com".to_owned() }
}

fn tag(tag: &str) -> Version {
    Version { tag: Some(tag.to_owned()), digest: None }
}

fn change(image: &str, old: &str, new: &str) -> Change {
    Change {
        image: image.to_owned(),
        repository: format!("ghcr.io/org/{image}"),
        old: Some(tag(old)),
        new: tag(new),
        places: vec![WrittenScalar {
            file: format!("apps/{image}.yaml"),
            line: 12,
            path: "0/spec/template/spec/containers/0/image".to_owned(),
        }],
        objects: vec![format!("Deployment team/{image}")],
        policy: "semver >=1.0.0".to_owned(),
    }
}

fn web() -> Change {
    change("web", "1.2.2", "1.2.3")
}

fn message(template: Option<&str>, changes: &[Change]) -> String {
    commit(template, &BTreeMap::new(), &committer(), &update(), changes).expect("a message")
}

#[test]
fn a_commit_says_what_changed_where_and_why() {
    let expected = "\
Update web to 1.2.3

By the ImageUpdate team/images:

- web: 1.2.2 -> 1.2.3
  image:  ghcr.io/org/web
  policy: semver >=1.0.0
  file:   apps/web.yaml:12 0/spec/template/spec/containers/0/image
  object: Deployment team/web

Signed-off-by: Holdfast <holdfast@example.com>";
    assert_eq!(message(None, &[web()]), expected);
}

#[test]
fn subjects_name_what_fits() {
    let check = |changes: &[Change], expected: &str| {
        assert_eq!(message(None, changes).lines().next(), Some(expected));
        assert_eq!(title(None, &update(), changes).as_deref(), Ok(expected));
    };
    let api = change("api", "1", "2.0.0");
    check(&[web()], "Update web to 1.2.3");
    check(&[web(), api.clone()], "Update web to 1.2.3 and api to 2.0.0");
    check(&[web(), change("b", "1", &"9".repeat(50))], "Update 2 images");
    check(&[web(), api.clone(), api], "Update 3 images");
    let both = Version { tag: Some("1.2.3".to_owned()), digest: Some(DIGEST.to_owned()) };
    check(&[Change { new: both, ..web() }], "Update web to 1.2.3@sha256:3b2f4a5c6d7e");
    let only = Version { tag: None, digest: Some(DIGEST.to_owned()) };
    check(&[Change { new: only, ..web() }], "Update web to sha256:3b2f4a5c6d7e");
}

#[test]
fn a_long_subject_is_cut_and_said_again_below() {
    let long = format!("Bring {}", "x".repeat(100));
    let said = message(Some(&format!("{long}\nand more")), &[web()]);
    let lines: Vec<&str> = said.lines().collect();
    assert_eq!(lines[0], format!("Bring {}…", "x".repeat(65)));
    assert_eq!(lines[0].chars().count(), 72);
    assert_eq!(lines[1..4], ["", long.as_str(), "and more"]);
}

#[test]
fn nothing_that_is_named_can_begin_a_line() {
    let mut bad = change("web\nSigned-off-by: Mallory <m@example.com>", "1\r\n2", "3\u{2028}4\u{202e}5");
    bad.policy = "semver\n\nCo-authored-by: Mallory".to_owned();
    bad.objects = vec!["Deployment\tteam/web\u{1b}[31m".to_owned()];
    bad.places[0].file = "a\nb".to_owned();
    for template in
        [None, Some("{{ subject }}\n\n{% for i in images %}{{ i.name }} {{ i.policy }}{% endfor %}")]
    {
        let said = message(template, &[bad.clone()]);
        let trailers = said.lines().filter(|line| line.starts_with("Signed-off-by:")).count();
        assert_eq!(trailers, 1, "{said}");
        assert!(!said.lines().any(|line| line.starts_with("Co-authored-by")), "{said}");
        assert!(said.lines().last().is_some_and(|last| last.contains("Holdfast")), "{said}");
        assert!(!said.chars().any(|c| c != '\n' && (c.is_control() || c == '\u{202e}')), "{said:?}");
    }
}

#[test]
fn a_message_is_limited_in_size() {
    let many: Vec<Change> = (0..200).map(|n| change(&format!("image-{n:03}"), "1.0.0", "2.0.0")).collect();
    let said = message(None, &many);
    assert!(said.len() <= MESSAGE && said.len() > MESSAGE / 2, "{}", said.len());
    let named = said.lines().filter(|line| line.starts_with("- image-")).count();
    assert!(said.contains(&format!("\nand {} more images\n", 200 - named)), "{said}");
    let mut wide = web();
    wide.places = (0..30).map(|line| WrittenScalar { line, ..web().places[0].clone() }).collect();
    wide.objects = (0..21).map(|n| format!("Deployment team/{n}")).collect();
    let said = message(None, &[wide]);
    assert!(said.contains("and 10 more\n") && said.contains("and 1 more\n"), "{said}");
    let line = "{% for a in images %}{% for b in files %}{{ b }}\n{% endfor %}{% endfor %}";
    let said = message(Some(&format!("Subject\n\n{line}")), &many[..60]);
    assert!(said.len() <= MESSAGE, "{}", said.len());
    assert!(said.contains(" more lines\n\nSigned-off-by: "), "{said}");
}

#[test]
fn templates_say_what_they_are_given() {
    let check = |template: &str, expected: &str| {
        let mut image = web();
        image.new.digest = Some(DIGEST.to_owned());
        let said = message(Some(template), &[image, change("api", "1", "2")]);
        let said = said.rsplit_once("\n\nSigned-off-by").map_or(said.as_str(), |(text, _)| text);
        assert_eq!(said, expected, "{template}");
    };
    check("{{ subject }} [skip ci]", "Update web to 1.2.3@sha256:3b2f4a5c6d7e and api to 2 [skip ci]");
    check("{{ update.namespace }}/{{ update.name }}", "team/images");
    check(
        "{% for i in images %}{{ i.name }}:{{ i.old }}>{{ i.tag }} {% endfor %}",
        "web:1.2.2>1.2.3 api:1>2",
    );
    check("a\n\n{% for i in images %}\n* {{ i.name }}\n  {% endfor %}\nb", "a\n\n* web\n* api\nb");
    check("{%+ if true +%}\n\na{%- endif -%}", "a");
    check("{{ images | length }} {{ files | join(', ') }}", "2 apps/web.yaml, apps/api.yaml");
    check(
        "{{ (images | first).digest | short }} {{ (images | last).repository | upper }}",
        "sha256:3b2f4a5c6d7e GHCR.IO/ORG/API",
    );
    check(
        "{% for i in images %}{% if i.digest %}{{ i.name }}{% elif i.tag %}-{% else %}?{% endif %}{% endfor %}",
        "web-",
    );
    check(
        "{% for i in images %}{% for f in i.files %}{{ f.file }}:{{ f.line }} {% endfor %}{% endfor %}",
        "apps/web.yaml:12 apps/api.yaml:12",
    );
    check("\n\n  \n a \r\n\r\n\r\n\r\nb\t\n\n", " a\n\nb");
    check("a\nb", "a\n\nb");
    check("{# {% set x = 1 %} #}{{ '~*+}}' }} * ~ +", "~*+}} * ~ +");
    check("a\n\nChange-Id: 1", "a\n\nChange-Id: 1\nSigned-off-by: Holdfast <holdfast@example.com>");
}

#[test]
fn what_is_wrong_with_a_template_is_said_with_its_line() {
    let check = |template: &str, line: usize, part: &str| match commit(
        Some(template),
        &BTreeMap::new(),
        &committer(),
        &update(),
        &[web()],
    ) {
        Err(MessageError::Template { line: found, said }) => {
            assert_eq!(found, line, "{template}: {said}");
            assert!(said.contains(part), "{template}: {said}");
        }
        other => unreachable!("{template}: {other:?}"),
    };
    check("a\n\n{{ image }}", 3, "does not exist");
    check("{{ update.namespac }}", 1, "does not exist");
    check("\n{% for i in images %}{{ i.nme }}{% endfor %}", 2, "does not exist");
    check("\n{% if nothing %}{% endif %}", 2, "does not exist");
    check("{{ subject | replace('a', 'b') }}", 1, "replace");
    check("a\n{{ subject", 2, "syntax error");
    check("{% for i in images %}", 1, "syntax error");
    check("\n{% set a = 'b' %}", 2, "unknown statement set");
    check("{%- macro a() %}{% endmacro %}", 1, "unknown statement macro");
    check("{% raw %}{% endraw %}", 1, "unknown statement raw");
    check("\n\n{{ 'a' * 100 }}", 3, "operator * is not supported");
    check("{{ '}}' ~ 'b' }}", 1, "operator ~ is not supported");
    check(r#"{{ "\"" + 'b' }}"#, 1, "operator + is not supported");
    check("{{ range(10) }}", 1, "range");
}

#[test]
fn a_template_that_never_ends_is_ended() {
    let deep = "{% for a in files %}".repeat(8);
    let template = format!("{deep}x{}", "{% endfor %}".repeat(8));
    let many: Vec<Change> = (0..50).map(|n| change(&format!("i{n}"), "1", "2")).collect();
    let found = commit(Some(&template), &BTreeMap::new(), &committer(), &update(), &many);
    let steps = MessageError::Template { line: 1, said: "it takes too many steps".to_owned() };
    assert_eq!(found, Err(steps));
    let long = "a".repeat(9000);
    let found = commit(Some(&long), &BTreeMap::new(), &committer(), &update(), &[web()]);
    assert_eq!(found, Err(MessageError::TemplateTooLong));
    for empty in ["", " \n\t\n", "{% if false %}a{% endif %}"] {
        let found = commit(Some(empty), &BTreeMap::new(), &committer(), &update(), &[web()]);
        assert_eq!(found, Err(MessageError::Empty), "{empty:?}");
        assert_eq!(title(Some(empty), &update(), &[web()]), Err(MessageError::Empty), "{empty:?}");
    }
}

#[test]
fn trailers_stand_at_the_end_and_are_what_git_reads() {
    let check = |trailers: &[(&str, &str)], expected: Result<&str, &str>| {
        let all = trailers.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect();
        let found = commit(Some("a"), &all, &committer(), &update(), &[web()]);
        match (found, expected) {
            (Ok(found), Ok(expected)) => assert_eq!(found, format!("a\n\n{expected}"), "{trailers:?}"),
            (Err(error), Err(part)) => {
                assert!(error.to_string().contains(part), "{trailers:?}: {error}");
            }
            (found, _) => unreachable!("{trailers:?}: {found:?}"),
        }
    };
    let signed = "Signed-off-by: Holdfast <holdfast@example.com>";
    check(&[], Ok(signed));
    check(&[("Reviewed-by", " Bob ")], Ok(&format!("Reviewed-by: Bob\n{signed}")));
    check(&[("signed-off-by", "committer")], Ok(signed));
    check(&[("Signed-off-by", "Bob <b@example.com>")], Ok("Signed-off-by: Bob <b@example.com>"));
    check(&[("Team name", "a")], Err("Team name: a key has"));
    check(&[("Team:", "a")], Err("a key has"));
    check(&[("", "a")], Err("a key has"));
    check(&[("Team", " ")], Err("Team: its value is empty"));
    check(&[("Team", "a\nSigned-off-by: b")], Err("a line break"));
    check(&[("Team", &"a".repeat(3000))], Err("more than 2048 bytes"));
}

#[test]
fn a_title_is_one_line() {
    let check = |template: &str, expected: &str| {
        assert_eq!(title(Some(template), &update(), &[web()]).as_deref(), Ok(expected), "{template:?}");
    };
    check("\n {{ subject }} \nsecond", "Update web to 1.2.3");
    check(&"a".repeat(300), &format!("{}…", "a".repeat(249)));
}

#[test]
fn a_pull_request_has_a_table_with_links() {
    let links = |provider| Links {
        provider,
        page: "https://git.example.com/org/config/".to_owned(),
        branch: "image updates/web".to_owned(),
    };
    let mut image = web();
    image.new.digest = Some(DIGEST.to_owned());
    image.places[0].file = "apps/a (b)|c`d.yaml".to_owned();
    image.policy = "semver >=1 || <0 @team".to_owned();
    let text = description(&update(), &[image.clone()], Some(&links(Forge::GitHub)));
    let expected = format!(
        "The ImageUpdate `team/images` changes one image.\n\n\
         | Image | From | To | Policy | Files |\n|---|---|---|---|---|\n\
         | `web`<br>`ghcr.io/org/web` | `1.2.2` | `1.2.3`<br>`{DIGEST}` | `semver >=1 \\|\\| <0 @team` | \
         [`apps/a (b)\\|c'd.yaml:12`](https://git.example.com/org/config/blob/image%20updates/web/apps/a%20%28b%29%7Cc%60d.yaml#L12) \
         `0/spec/template/spec/containers/0/image` |\n\n\
         Objects that change:\n\n- `Deployment team/web`\n\n\
         Holdfast keeps this text up to date and overwrites changes of it.\n"
    );
    assert_eq!(text, expected);
    let check = |provider, expected: &str| {
        let text = description(&update(), &[web()], Some(&links(provider)));
        assert!(text.contains(expected), "{text}");
    };
    check(Forge::GitLab, "config/-/blob/image%20updates/web/apps/web.yaml#L12)");
    check(Forge::Gitea, "config/src/branch/image%20updates/web/apps/web.yaml#L12)");
    assert!(!description(&update(), &[web()], None).contains("]("));
}

#[test]
fn a_pull_requests_text_is_limited_in_size() {
    let mut wide = web();
    wide.places = (0..30).map(|line| WrittenScalar { line, ..web().places[0].clone() }).collect();
    let text = description(&update(), &[wide.clone()], None);
    assert!(text.contains("and 20 more |"), "{text}");
    let many = vec![Change { image: "ü".repeat(400), ..wide }; 200];
    let text = description(&update(), &many, None);
    assert!(text.chars().count() <= 60_000 && text.len() > 30_000, "{}", text.chars().count());
    let rows = text.lines().filter(|line| line.starts_with("| `")).count();
    assert!(text.contains(&format!("\nand {} more images\n", 200 - rows)), "{rows}");
}
