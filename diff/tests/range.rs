//! Ranges of versions, by what Masterminds' semver and so Helm and Flux say of them.
//! `tests/range/standing.txt` holds the facts. Pure.

use holdfast_diff::range::{Range, Standing, exact, is_exact, version};
use proptest::prelude::*;

#[test]
fn ranges_are_read_as_masterminds_reads_them() {
    let mut wrong = Vec::new();
    for line in include_str!("range/standing.txt").lines().filter(|line| !line.starts_with("##")) {
        let columns: Vec<&str> =
            line.split(" ; ").map(|column| column.trim_end_matches(" ;").trim()).collect();
        let &[range, inside, outside] = columns.as_slice() else {
            return assert_eq!(columns.len(), 3, "{line}");
        };
        let parsed = Range::parse(range).expect(range);
        let mut check = |text: &str, expected: bool| {
            let version = version(text).expect(text);
            if parsed.matches(&version) != expected {
                wrong.push(format!("{text} in {range}: {}", !expected));
            }
        };
        inside.split(' ').filter(|text| !text.is_empty()).for_each(|text| check(text, true));
        outside.split(' ').filter(|text| !text.is_empty()).for_each(|text| check(text, false));
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
}

#[test]
fn an_empty_text_is_any_release() {
    for text in ["", " "] {
        let range = Range::parse(text).expect(text);
        assert!(version("1.2.3").is_some_and(|version| range.matches(&version)));
        assert!(version("1.2.3-rc.1").is_some_and(|version| !range.matches(&version)));
    }
}

#[test]
fn nonsense_is_an_error_that_names_it() {
    let check = |text: &str, message: &str| {
        assert_eq!(
            Range::parse(text).err().map(|error| error.to_string()).as_deref(),
            Some(message),
            "{text}"
        );
    };
    check("newest", "newest is not a version constraint");
    check(">=", "a condition is missing in \">=\"");
    check(">= bar", ">=bar is not a version constraint");
    check("BAR >= 1.2.3", "BAR is not a version constraint");
    check("1.2.3.4", "1.2.3.4 is not a version constraint");
    check("12.3.34~ 1.2.3", "12.3.34~ is not a version constraint");
    check(">=1.0 - 2.0", "- is not a version constraint");
    check("=1.0 - 2.0", "- is not a version constraint");
    check("1.0 - >2.0", "<= >2.0 is not a version constraint");
    check("1 - 2 - 3", "- is not a version constraint");
    check("1.0 -", "- is not a version constraint");
    check("1.0 - ", "- is not a version constraint");
    check("1.0, - 2.0", "- is not a version constraint");
    check("=>=1", "=>=1 is not a version constraint");
    check("==1", "==1 is not a version constraint");
    check("> = 1", "> = is not a version constraint");
    check("~ > 1", "~ > is not a version constraint");
    check("!1", "!1 is not a version constraint");
    check(">1<2", ">1<2 is not a version constraint");
    check("a.b", "a.b is not a version constraint");
    check("1..2", "1..2 is not a version constraint");
    check("1x", "1x is not a version constraint");
    check("x1", "x1 is not a version constraint");
    check("xx", "xx is not a version constraint");
    check("-1", "-1 is not a version constraint");
    check("vv1", "vv1 is not a version constraint");
    check("1.0.0p", "1.0.0p is not a version constraint");
    check("1.2.3-", "1.2.3- is not a version constraint");
    check("1.2.3+", "1.2.3+ is not a version constraint");
    check("v1.2.3-beta.01", "v1.2.3-beta.01 is not a version constraint");
    check("18446744073709551616", "18446744073709551616 is not a version constraint");
    check("1 | 2", "| is not a version constraint");
    check("1 || ", "a condition is missing in \"\"");
    check("||", "a condition is missing in \"\"");
    check("1,", "a condition is missing in \"1,\"");
    check(", 1", "a condition is missing in \", 1\"");
    check("1,, 2", "a condition is missing in \"1,, 2\"");
    check("１", "１ is not a version constraint");
    check(&"1 ".repeat(5000), "it has 10000 bytes, and at most 4096 are read");
}

#[test]
fn versions_may_lack_parts_but_have_no_wildcards() {
    let read = |text: &str| version(text).map(|version| version.to_string());
    for (text, expected) in [
        ("1.2.3", "1.2.3"),
        ("v1.2.3", "1.2.3"),
        ("1.0", "1.0.0"),
        ("v1", "1.0.0"),
        ("1.2-5", "1.2.0-5"),
        ("1.2-beta.5", "1.2.0-beta.5"),
        ("v1.2.0-x.Y.0+metadata-width-hypen", "1.2.0-x.Y.0+metadata-width-hypen"),
        ("1.2.3-0abc123", "1.2.3-0abc123"),
        ("1.2.3+test.01", "1.2.3+test.01"),
        ("20221209-update-renovatejson-v4", "20221209.0.0-update-renovatejson-v4"),
        ("01.1.1", "1.1.1"),
    ] {
        assert_eq!(read(text).as_deref(), Some(expected), "{text}");
    }
    for text in [
        "",
        "v",
        "foo",
        "1.x",
        "*",
        "1.2.beta",
        "\n1.2",
        "1.2.3.4",
        "1.2.3-alpha.01",
        "1.2.3-alpha.-1.01",
        "1.1.2+.123",
        "1.0.0-alpha_beta",
        "1.0.0-alpha..1",
        "9.8.7+meta+meta",
        "+invalid",
        "-invalid",
        "V1.2.3",
        "1.2.31----RC-SNAPSHOT.12.09.1--.12+788",
    ] {
        assert_eq!(read(text), None, "{text}");
    }
}

#[test]
fn exact_versions_have_three_numbers() {
    for text in ["1.2.3", "v1.2.3", "1.2.3-rc.1+build"] {
        assert!(is_exact(text), "{text}");
    }
    for text in [
        "1.2",
        "v1",
        "01.2.3",
        "1.2.3.4",
        "1.2.x",
        "^1.2.3",
        "1.2.3-01",
        "latest",
        "1.2.99999999999999999999",
    ] {
        assert!(exact(text).is_none(), "{text}");
    }
}

#[test]
fn prereleases_that_a_range_does_not_name_are_told_apart() {
    let check = |range: &str, text: &str, expected: Standing| {
        let standing =
            Range::parse(range).ok().zip(exact(text)).map(|(range, version)| range.standing(&version));
        assert_eq!(standing, Some(expected), "{text} in {range}");
    };
    check("^1.2", "1.3.0-rc.1", Standing::Prerelease);
    check("^1.2", "2.0.0-rc.1", Standing::Outside);
    check("^1.2-0", "1.3.0-rc.1", Standing::Inside);
    check("^3 || ^1.2 || ^1.3.0-0", "1.3.0-rc.1", Standing::Inside);
    check("^1.2", "1.3.0", Standing::Inside);
}

#[test]
fn the_highest_version_wins() {
    let versions = ["1.0.0", "v1.10.0", "1.2.0", "latest", "2.0.0-rc.1"];
    let highest = |range| Range::parse(range).ok().and_then(|range| range.highest(versions.into_iter()));
    assert_eq!(highest("1"), Some("v1.10.0"));
    assert_eq!(highest(">=2.0.0-0"), Some("2.0.0-rc.1"));
    assert_eq!(highest(">=3"), None);
}

proptest! {
    #[test]
    fn no_text_makes_a_range_panic(text in "[0-9xXv*.,|<>=^~! +a-]{0,40}", version in "[0-9]{1,2}(\\.[0-9]{1,2}){2}(-[a-z0-9]{1,3})?") {
        if let (Ok(range), Some(version)) = (Range::parse(&text), exact(&version)) {
            prop_assert_eq!(range.matches(&version), range.standing(&version) == Standing::Inside);
        }
    }

    #[test]
    fn blanks_and_commas_say_the_same(low in 0_u64..20, high in 0_u64..20, major in 0_u64..20) {
        let version = semver::Version::new(major, 1, 2);
        let forms = [format!(">={low} <{high}"), format!(">= {low},<{high}"), format!(">={low} , < {high}.x")];
        for text in forms {
            let range = Range::parse(&text).expect(&text);
            prop_assert_eq!(range.matches(&version), (low..high).contains(&major), "{}", text);
        }
    }
}
