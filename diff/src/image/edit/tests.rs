//! Files and what the images want of them, byte for byte.

mod markers;
mod targets;

use super::{ImagePart, Settings, Target, Wanted, WantedImage, apply, settings};

const DIGEST: &str = "sha256:6745aaad46d795c9836632e1fb62f24b7e7f4c843144da8e47a5465c411a14be";

/// An image of tag 2, or what its name says: `1.10`, `a.b/c:1.10`, with DIGEST for a digest.
fn image(name: &str, what: &str) -> WantedImage {
    let found =
        crate::image::reference::Reference::parse(&what.replace("DIGEST", DIGEST)).expect("a reference");
    let (repository, tag, digest) = (found.repository, found.tag, found.digest);
    WantedImage { name: name.to_owned(), repository, tag, digest, targets: Vec::new() }
}

fn wanted(images: &[(&str, &str)]) -> Wanted {
    let images = images.iter().map(|(name, what)| image(name, what)).collect();
    Wanted { namespace: "ns".to_owned(), images }
}

/// The images of the tables: `app` is `r.io/app:2`, `pin` has a digest, `num` a tag that is a number.
fn table() -> Wanted {
    wanted(&[
        ("app", "r.io/app:2.0"),
        ("pin", "r.io/pin:3-x@DIGEST"),
        ("num", "num:1.10"),
        ("v", "r.io/v:v2"),
    ])
}

fn target(target: Target, what: &str) -> Wanted {
    let image = WantedImage { targets: vec![target], ..image("app", what) };
    Wanted { namespace: "ns".to_owned(), images: vec![image] }
}

/// What a file becomes, and what is wrong with it. Done a second time, nothing is left to do.
fn run(before: &str, wanted: &Wanted) -> (String, Vec<String>, Settings) {
    let done = settings("x.yaml", before.as_bytes(), wanted);
    let after = apply("x.yaml", before.as_bytes(), &done.set).expect("settings can be made");
    let again = settings("x.yaml", &after, wanted);
    assert_eq!(again.set, [], "a second time, in {before:?}");
    let after = String::from_utf8(after).expect("the edited file is UTF-8");
    let problems = done.problems.iter().map(ToString::to_string).collect();
    (after, problems, done)
}

/// M in the file is a marker of the image `app`, N of `num`, and so on; nothing goes wrong.
#[track_caller]
fn check(before: &str, after: &str) {
    let (found, problems, done) = run(&written(before), &table());
    assert_eq!(problems, [""; 0], "in {before:?}");
    assert_eq!(done.unknown, []);
    assert_eq!(found, written(after), "from {before:?}");
}

/// Nothing changes, and the problems start like this.
#[track_caller]
fn refused(before: &str, expected: &[&str]) {
    let before = written(before);
    let (after, problems, _) = run(&before, &table());
    assert_eq!(after, before);
    assert_eq!(problems.len(), expected.len(), "{problems:?} in {before:?}");
    for (problem, expected) in problems.iter().zip(expected) {
        assert!(problem.starts_with(expected), "{problem} in {before:?}");
        assert!(!problem.ends_with('.'), "{problem}");
    }
}

fn written(text: &str) -> String {
    let marker = |name: &str| format!("{{\"$imagepolicy\": \"ns:{name}\"}}");
    let names = [
        ("<M>", "app"),
        ("<M:tag>", "app:tag"),
        ("<M:name>", "app:name"),
        ("<N:tag>", "num:tag"),
        ("<P>", "pin"),
        ("<P:tag>", "pin:tag"),
        ("<P:digest>", "pin:digest"),
        ("<V:tag>", "v:tag"),
    ];
    let text = names.iter().fold(text.to_owned(), |text, (short, name)| text.replace(short, &marker(name)));
    text.replace("DIGEST", DIGEST)
}
