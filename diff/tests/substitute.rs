//! Variables in texts and objects.
//!
//! `tests/substitute/*.txt` hold variables (`name = value`), then texts with what becomes of them; each
//! document in `objects.yaml` is an object with its variables and what becomes of it.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use holdfast_diff::substitute::{Mode, Options, SubstituteError, SubstituteProblem, substitute, text};
use holdfast_diff::yaml::read;
use proptest::prelude::*;
use serde_json::{Value, json};

type Vars = BTreeMap<String, String>;

fn vars<const N: usize>(vars: [(&str, &str); N]) -> Vars {
    vars.into_iter().map(|(name, value)| (name.to_owned(), value.to_owned())).collect()
}

fn messages(errors: &[SubstituteError]) -> Vec<String> {
    errors.iter().map(ToString::to_string).collect()
}

/// Compares what becomes of each text of a file with what stands behind it.
fn check(cases: &str, mode: Mode) {
    let mut vars = Vars::new();
    let mut failures = String::new();
    for line in cases.lines().filter(|line| !line.starts_with("##")) {
        let Some((input, expected)) = line.split_once("  =>  ") else {
            let (name, value) = line.split_once(" = ").expect(line);
            vars.insert(name.to_owned(), value.to_owned());
            continue;
        };
        let ours = match text(input, &Options { vars: &vars, mode }) {
            Ok(text) => text,
            Err(errors) => format!("error: {}", messages(&errors).join("; ")),
        };
        if ours != expected {
            let _ = writeln!(failures, "{input}\n  expected: {expected}\n  ours:     {ours}");
        }
    }
    assert!(failures.is_empty(), "{failures}");
}

#[test]
fn variables_mean_what_they_mean_to_flux() {
    check(include_str!("substitute/strict.txt"), Mode::Strict);
}

#[test]
fn only_what_is_declared_is_touched() {
    check(include_str!("substitute/declared.txt"), Mode::Declared);
}

#[test]
fn objects_are_filled_in_as_text() {
    let (documents, errors) = read("objects.yaml", include_bytes!("substitute/objects.yaml"));
    assert_eq!(errors, []);
    for document in documents {
        let case = &document.value;
        let vars: Vars = serde_json::from_value(case["vars"].clone()).expect("vars");
        let mode = if case["mode"] == "declared" { Mode::Declared } else { Mode::Strict };
        let mut object = case["object"].clone();
        let errors = substitute(&mut object, &Options { vars: &vars, mode }).err().unwrap_or_default();
        let expected: Vec<&str> = case["errors"]
            .as_array()
            .map_or(vec![], |errors| errors.iter().filter_map(Value::as_str).collect());
        assert_eq!(messages(&errors), expected, "{}", case["case"]);
        let unchanged = &case["object"];
        assert_eq!(
            &object,
            if expected.is_empty() { &case["expect"] } else { unchanged },
            "{}",
            case["case"]
        );
        assert!(!messages(&errors).concat().contains("s3cret"), "{}", case["case"]);
    }
}

#[test]
fn growth_has_a_limit() {
    let large = "x".repeat(1000);
    let vars = vars([("a", large.as_str())]);
    let grown = "${a//x/${a//x/${a//x/${a}}}}";
    let options = Options { vars: &vars, mode: Mode::Strict };
    let problems = |input: &str| {
        let errors = text(input, &options).expect_err("too large");
        errors.into_iter().map(|error| error.problem).collect::<Vec<_>>()
    };
    assert_eq!(problems(grown), [SubstituteProblem::TooLarge]);
    assert_eq!(problems(&"${a}".repeat(10_100)).first(), Some(&SubstituteProblem::TooLarge));
    assert_eq!(problems(&"${a/${a//x/${a}}/}".repeat(1_000)).first(), Some(&SubstituteProblem::TooLarge));
    assert_eq!(text(&"${a}".repeat(1_000), &options).map(|text| text.len()), Ok(1_000_000));
}

#[test]
fn nesting_has_a_limit() {
    let vars = Vars::new();
    let nested = |depth: usize| format!("{}end{}", "${a:-".repeat(depth), "}".repeat(depth));
    for mode in [Mode::Strict, Mode::Declared] {
        let options = Options { vars: &vars, mode };
        let kept = if mode == Mode::Strict { "end".to_owned() } else { nested(32) };
        assert_eq!(text(&nested(32), &options), Ok(kept));
        // in the other mode nothing of it is declared, and so nothing of it is nested
        let deep = text(&nested(100_000), &options).err().unwrap_or_default();
        assert_eq!(deep.is_empty(), mode == Mode::Declared);
        assert!(deep.iter().all(|error| error.problem == SubstituteProblem::TooDeep(32)));
    }
}

#[test]
fn patterns_and_open_ends_take_no_time() {
    let long = "a".repeat(200_000);
    let vars = vars([("a", long.as_str())]);
    let options = Options { vars: &vars, mode: Mode::Strict };
    for pattern in ["*a*a*a*a*a*a*a*a*b", "a*a*a*a*a*b*", "*?a?a?a?b", "*[a-c][^a]"] {
        for operator in ["#", "##", "%", "%%"] {
            let rest = text(&format!("${{a{operator}{pattern}}}"), &options);
            assert_eq!(rest.as_deref(), Ok(long.as_str()), "{operator}{pattern}");
        }
    }
    assert!(text(&"${a/".repeat(50_000), &options).is_err());
    assert!(text(&"${a:-".repeat(50_000), &options).is_err());
    assert!(text(&"$".repeat(1_000_001), &options).is_ok());
}

/// Texts in which expressions and halves of them abound.
fn nasty() -> impl Strategy<Value = String> {
    let piece = prop_oneof![
        "[${}a-c:/#%^,?*=+@ \\[\\]\\\\\n-]{0,6}",
        Just("${a".to_owned()),
        Just("${declared".to_owned()),
        Just("}".to_owned()),
        Just("$${a}".to_owned()),
        "\\$\\{[abc]([:/#%^,=?+-]{1,2}[a-c0-9*/ ä]{0,4}){0,2}\\}",
        ".{0,4}",
    ];
    prop::collection::vec(piece, 0..8).prop_map(|pieces| pieces.concat())
}

fn some_vars() -> impl Strategy<Value = Vars> {
    let value = prop_oneof![nasty(), Just("*".to_owned()), Just("äöü".to_owned()), Just("-1".to_owned())];
    prop::collection::btree_map("[a-c]", value, 0..3)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(500))]

    #[test]
    fn nothing_panics(input in nasty(), key in nasty(), vars in some_vars()) {
        for mode in [Mode::Strict, Mode::Declared] {
            let options = Options { vars: &vars, mode };
            let _ = text(&input, &options);
            let mut object = json!({"a": [input], key.as_str(): {"b": "${a}"}});
            let before = object.clone();
            if let Err(errors) = substitute(&mut object, &options) {
                prop_assert!(!errors.is_empty());
                prop_assert_eq!(object, before);
            }
        }
    }

    #[test]
    fn without_declared_names_nothing_changes(input in nasty(), key in nasty()) {
        let options = Options { vars: &Vars::new(), mode: Mode::Declared };
        prop_assert_eq!(text(&input, &options), Ok(input.clone()));
        let mut object = json!({"a": [input], key.as_str(): null});
        let before = object.clone();
        prop_assert_eq!(substitute(&mut object, &options), Ok(()));
        prop_assert_eq!(object, before);
    }

    #[test]
    fn what_is_around_a_declared_name_stays(before in nasty(), after in nasty()) {
        let (before, after) = (before.replace("declared", ""), after.replace("declared", ""));
        prop_assume!(!before.ends_with('$'));
        let vars = vars([("declared", "VALUE")]);
        let options = Options { vars: &vars, mode: Mode::Declared };
        let filled = text(&format!("{before}${{declared}}{after}"), &options);
        prop_assert_eq!(filled, Ok(format!("{before}VALUE{after}")));
    }

    #[test]
    fn other_fields_are_read_back_as_they_were(text in "[^$]{0,12}", key in "[^$]{0,6}") {
        prop_assume!(key != "filled");
        let vars = vars([("a", "1")]);
        let mut object = json!({"filled": "${a}", key.as_str(): [text.as_str()]});
        let done = substitute(&mut object, &Options { vars: &vars, mode: Mode::Strict });
        prop_assert_eq!(done, Ok(()));
        prop_assert_eq!(object, json!({"filled": 1, key.as_str(): [text]}));
    }

    #[test]
    fn no_error_tells_a_value(place in nasty(), breaks in "[\\[{}*&!'\":#-]{0,3}") {
        let value = format!("{breaks}hunter2{breaks}");
        let vars = vars([("a", value.as_str()), ("b", "x")]);
        let mut object = json!({"x": format!("{place}${{a}}"), "${a}": "${b}", "y": ["${a}"]});
        if let Err(errors) = substitute(&mut object, &Options { vars: &vars, mode: Mode::Strict }) {
            let all = format!("{errors:?} {}", messages(&errors).concat());
            prop_assert!(!all.contains("hunter2"), "{}", all);
        }
    }
}
