//! The selection of tags.
//!
//! Each document of `tests/select/*.yaml` has a policy, tags, and what is decided: `winner` (null for none),
//! and where it matters `message`, `explain` and `wanted`, or the `error` of the policy.

use std::collections::BTreeMap;

use holdfast_diff::image::select::{
    Banned, Context, Filter, Flaw, Kept, Order, Outcome, Policy, Reason, Rule, Selector, Tags,
};
use holdfast_diff::yaml::read;
use jiff::Timestamp;
use proptest::prelude::*;
use serde::Deserialize;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Case {
    #[serde(rename = "case")]
    name: String,
    semver: Option<String>,
    alphabetical: Option<String>,
    numerical: Option<String>,
    newest: Option<String>,
    filter: Option<String>,
    extract: Option<String>,
    exclude: Option<Vec<String>>,
    /// Separated by blanks.
    #[serde(default)]
    tags: String,
    #[serde(default)]
    created: BTreeMap<String, String>,
    current: Option<String>,
    #[serde(default)]
    banned: Vec<String>,
    #[serde(default)]
    downgrade: bool,
    winner: Option<String>,
    candidates: Option<String>,
    message: Option<String>,
    explain: Option<String>,
    wanted: Option<Vec<String>>,
    error: Option<String>,
}

fn order(text: &str) -> Order {
    if text == "desc" { Order::Descending } else { Order::Ascending }
}

impl Case {
    fn policy(&self) -> Policy {
        let filter = |pattern: &String| Filter { pattern: pattern.clone(), extract: self.extract.clone() };
        let rule = match (&self.semver, &self.alphabetical, &self.numerical, &self.newest) {
            (Some(range), ..) => Rule::Semver(range.clone()),
            (_, Some(text), ..) => Rule::Alphabetical(order(text)),
            (_, _, Some(text), _) => Rule::Numerical(order(text)),
            (.., newest) => Rule::Newest { group: newest.clone().filter(|group| !group.is_empty()) },
        };
        Policy { filter: self.filter.as_ref().map(filter), exclude: self.exclude.clone(), rule }
    }

    fn check(&self) {
        let name = &self.name;
        let selector = match Selector::new(&self.policy()) {
            Ok(selector) => selector,
            Err(error) => return assert_eq!(Some(error.to_string()), self.error, "{name}"),
        };
        assert_eq!(None, self.error, "{name}");
        let banned = |tag: &String| Banned { tag: Some(tag.clone()), digest: None };
        let banned: Vec<_> = self.banned.iter().map(banned).collect();
        let context =
            Context { current: self.current.as_deref(), banned: &banned, downgrade: self.downgrade };
        let mut tags: Vec<&str> = self.tags.split_ascii_whitespace().collect();
        for _ in 0..2 {
            let created =
                |tag: &str| self.created.get(tag).map(|time| time.parse::<Timestamp>().expect(time));
            let decision = selector.decide(&Tags { tags: &tags, created: &created }, &context);
            assert_eq!(decision.winner(), self.winner.as_deref(), "{name}: {decision}");
            if let Some(message) = &self.message {
                assert_eq!(&decision.message(), message, "{name}");
            }
            if let Some(candidates) = &self.candidates {
                assert_eq!(&decision.candidates().collect::<Vec<_>>().join(" "), candidates, "{name}");
            }
            if let Some(explain) = &self.explain {
                assert_eq!(&decision.explain(), explain, "{name}");
            }
            tags.reverse();
        }
        if let Some(wanted) = &self.wanted {
            assert_eq!(&selector.wanted_times(&tags), wanted, "{name}");
        }
    }
}

fn check(file: &str, cases: &[u8]) {
    let (documents, errors) = read(file, cases);
    assert_eq!(errors, []);
    assert!(!documents.is_empty());
    for document in documents {
        let case: Case = serde_json::from_value(document.value).expect("a case");
        case.check();
    }
}

#[test]
fn policies_select_what_they_select_in_flux() {
    check("flux.yaml", include_bytes!("select/flux.yaml"));
}

#[test]
fn tags_go_through_the_gates_one_after_the_other() {
    check("gates.yaml", include_bytes!("select/gates.yaml"));
}

#[test]
fn what_is_there_already_has_a_say() {
    check("context.yaml", include_bytes!("select/context.yaml"));
}

#[test]
fn decisions_explain_themselves() {
    check("explain.yaml", include_bytes!("select/explain.yaml"));
}

#[test]
fn wrong_policies_name_the_field_and_the_remedy() {
    check("errors.yaml", include_bytes!("select/errors.yaml"));
}

fn policy(rule: Rule) -> Policy {
    Policy { filter: None, exclude: None, rule }
}

fn none(_: &str) -> Option<Timestamp> {
    None
}

#[test]
fn patterns_that_are_too_large_are_refused() {
    let check = |pattern: String, field: &str| {
        let filter = Some(Filter { pattern: pattern.clone(), extract: None });
        let rule = Rule::Alphabetical(Order::Ascending);
        for policy in [
            Policy { filter, exclude: None, rule: rule.clone() },
            Policy { filter: None, exclude: Some(vec![pattern]), rule },
        ] {
            let error = Selector::new(&policy).err().map(|error| error.to_string()).unwrap_or_default();
            assert!(error.contains(field), "{error}");
        }
    };
    check("a".repeat(5000), "has 5000 bytes, and at most 4096 are read");
    check("(((\\pL{50}){50}){50})".to_owned(), "it is too large: repeat less in it");
    check("(".repeat(1000), "is not a regular expression");
    let range = Rule::Semver(">=1 ".repeat(5000));
    let error = Selector::new(&policy(range)).err().map(|error| error.to_string()).unwrap_or_default();
    assert!(error.contains("it has 20000 bytes, and at most 4096 are read"), "{error}");
    assert!(error.len() < 400, "{error}");
}

#[test]
fn reasons_are_told_for_each_tag() {
    let selector = Selector::new(&policy(Rule::Semver("^1.2".to_owned()))).expect("a policy");
    let tags = ["1.2.3", "1.2.4", "1.2.5", "x", "-x", "1.3.0-rc.1", "2.0.0", "a.sig"];
    let banned = [Banned { tag: Some("1.2.5".to_owned()), digest: None }];
    let context = Context { current: Some("1.2.4"), banned: &banned, downgrade: false };
    let decision = selector.decide(&Tags { tags: &tags, created: &none }, &context);
    let expected = Outcome::Keep { best: "1.2.5", why: Kept::Banned { tag: "1.2.5".to_owned() } };
    assert_eq!(decision.outcome(), &expected);
    let dropped: Vec<_> = decision.dropped().collect();
    let expected = [
        ("x", Reason::NotSemver(Flaw::Form)),
        ("-x", Reason::InvalidTag),
        ("1.3.0-rc.1", Reason::OutOfRange { prerelease: true }),
        ("2.0.0", Reason::OutOfRange { prerelease: false }),
        ("a.sig", Reason::Excluded { pattern: r"\.sig$" }),
        ("1.2.5", Reason::Banned),
        ("1.2.3", Reason::OlderThanCurrent),
    ];
    assert_eq!(dropped, expected);
    let counted: usize = decision.counts().iter().map(|(_, count, _)| count).sum();
    assert_eq!(counted, expected.len());
}

/// A hundred thousand tags, of which none is the same.
fn many() -> Vec<String> {
    (0..100_000_u64)
        .map(|at| at * 48_271 % 100_003)
        .map(|number| match number % 5 {
            0 => format!("sha256-{number:064x}.sig"),
            1 => format!("main-{number:07x}-{}", 1_600_000_000 + number),
            2 => format!("v{}.{}.{}", number % 7, number % 100, number),
            3 => format!("{}.{}.{}-rc.{}", number % 7, number % 100, number, number % 9),
            _ => format!("{number}"),
        })
        .collect()
}

#[test]
fn a_hundred_thousand_tags_are_decided_and_explained_shortly() {
    let tags = many();
    let filter = |pattern: &str, extract: Option<&str>| {
        Some(Filter { pattern: pattern.to_owned(), extract: extract.map(ToOwned::to_owned) })
    };
    for (filter, rule, candidates) in [
        (None, Rule::Semver(">=1.0.0-0 <5".to_owned()), true),
        (None, Rule::Semver(">=9".to_owned()), false),
        (None, Rule::Alphabetical(Order::Descending), true),
        (filter(r"^main-[0-9a-f]+-(?P<ts>\d+)$", Some("$ts")), Rule::Numerical(Order::Ascending), true),
        (filter(r"^main-[0-9a-f]+-(?P<ts>\d+)$", None), Rule::Newest { group: Some("ts".to_owned()) }, true),
        (filter("^release-", None), Rule::Newest { group: None }, false),
    ] {
        let selector = Selector::new(&Policy { filter, exclude: None, rule }).expect("a policy");
        let context = Context { current: Some("v1.0.7"), ..Context::default() };
        let decision = selector.decide(&Tags { tags: &tags, created: &none }, &context);
        assert_eq!(decision.candidates().count() > 10_000, candidates);
        let listed = [decision.explain(), decision.message()];
        assert!(listed.iter().all(|text| text.len() < 8 * 1024), "{}", listed[0]);
    }
}

/// A tag that hits or misses the policies below, or is no tag at all.
fn tag() -> impl Strategy<Value = String> {
    prop_oneof![
        "v?[0-3]\\.[0-3]\\.[0-3](-(rc|a)\\.?[0-3])?",
        "[0-9]{1,12}",
        "[0-9]{1,3}\\.[0-9]{1,3}",
        "(main|rel)-[0-9]{8,14}",
        "[a-z]{1,5}\\.(sig|att|sbom)",
        "[a-c._-]{0,5}",
        "\\PC{0,8}",
    ]
}

fn rule() -> impl Strategy<Value = Policy> {
    let order = prop_oneof![Just(Order::Ascending), Just(Order::Descending)];
    let filter = prop_oneof![
        Just(None),
        Just(Some(Filter { pattern: r"(?P<ts>\d+)".to_owned(), extract: Some("${ts}".to_owned()) })),
        Just(Some(Filter { pattern: r"^(main-)?(?P<ts>.*)$".to_owned(), extract: Some("$ts".to_owned()) })),
    ];
    (filter, order, 0..5, prop_oneof![Just("*"), Just("^1.1"), Just(">=1.0.0-0 <3"), Just(">=9")]).prop_map(
        |(filter, order, rule, range)| {
            let rule = match rule {
                0 => Rule::Semver(range.to_owned()),
                1 => Rule::Alphabetical(order),
                2 => Rule::Numerical(order),
                3 if filter.is_some() => Rule::Newest { group: Some("ts".to_owned()) },
                _ => Rule::Newest { group: None },
            };
            Policy { filter, exclude: None, rule }
        },
    )
}

proptest! {
    #[test]
    fn the_order_of_the_tags_does_not_matter(
        policy in rule(),
        tags in prop::collection::vec(tag(), 0..30),
        current in prop::option::of(tag()),
        banned in prop::collection::vec(tag(), 0..3),
        downgrade in any::<bool>(),
        shift in 0_usize..30,
    ) {
        let selector = Selector::new(&policy).expect("a policy");
        let banned: Vec<_> = banned.into_iter().map(|tag| Banned { tag: Some(tag), digest: None }).collect();
        let context = Context { current: current.as_deref(), banned: &banned, downgrade };
        let created = |tag: &str| Timestamp::from_second(i64::try_from(tag.len()).ok()?).ok();
        let first = selector.decide(&Tags { tags: &tags, created: &created }, &context);
        let mut other = tags.clone();
        other.rotate_left(shift.min(tags.len()));
        other.extend(first.winner().map(ToOwned::to_owned));
        let second = selector.decide(&Tags { tags: &other, created: &created }, &context);
        prop_assert_eq!(first.winner(), second.winner());
        prop_assert_eq!(first.outcome(), second.outcome());
        prop_assert!(first.candidates().eq(second.candidates()));
        prop_assert_eq!(first.explain(), second.explain());
        prop_assert_eq!(first.near_misses(), second.near_misses());
        if let Some(winner) = first.winner() {
            prop_assert!(tags.iter().any(|tag| tag == winner));
            prop_assert_eq!(first.candidates().next(), Some(winner));
            prop_assert!(current.as_deref() == Some(winner) || !banned.iter().any(|ban| ban.tag.as_deref() == Some(winner)));
        }
        let mut known: Vec<_> = tags.iter().map(String::as_str).collect();
        known.sort_unstable();
        known.dedup();
        let mut listed: Vec<_> = first.candidates().chain(first.dropped().map(|(tag, _)| tag)).collect();
        listed.sort_unstable();
        listed.dedup();
        prop_assert_eq!(known, listed);
    }

    #[test]
    fn no_pattern_makes_it_panic(pattern in "[a-c\\\\\\[\\](){}?*+^$|.:&~<>QEdpP0-9-]{0,20}", extract in "[a$_{}1-3]{0,8}", tag in tag()) {
        let filter = Filter { pattern, extract: Some(extract) };
        let policy = Policy { filter: Some(filter), exclude: None, rule: Rule::Alphabetical(Order::Ascending) };
        if let Ok(selector) = Selector::new(&policy) {
            let tags = [tag];
            let decision = selector.decide(&Tags { tags: &tags, created: &none }, &Context::default());
            let listed = decision.explain();
            prop_assert!(!listed.is_empty());
        }
    }
}
