//! Trees that another tenant made: names that lead elsewhere, objects that are cut or of another kind, folders
//! without end. All but the last test need no cluster. I/O: disk, processes, network.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context as _, ensure};
use holdfast::render::plain;
use holdfast::source::{Checkout, GitRef, Location, SourceOptions, Sources};
use holdfast_diff::files::Files as _;
use holdfast_tests::{eventually, sync};
use rustix::time::{ClockId, clock_gettime};
use serde_json::json;

use holdfast_tests::objects::{Loose, Objects as _, commit, tree, tree_bytes};

use super::hostile::trees::{self, Pushed};
use super::stage::run;

const LIMIT: Duration = Duration::from_secs(30);

/// Names that lead out of a folder, or that git refuses.
const BAD: [&[u8]; 22] = [
    b"",
    b".",
    b"..",
    b"/tmp/holdfast-was-here",
    b"../../../../../../../../tmp/holdfast-was-here",
    b"a/b.yaml",
    b"..\\a.yaml",
    b"\\\\host\\share",
    b"C:\\a.yaml",
    b".git",
    b".GIT",
    b".gIt",
    b"git~1",
    b".git.",
    b".git ",
    b".git::$INDEX_ALLOCATION",
    b".g\xe2\x80\x8cit",
    b"\xef\xbb\xbf.git",
    b"a\nb.yaml",
    b"\x1b[2J.yaml",
    b"caf\xe9.yaml",
    b"\xc0\xae\xc0\xae",
];

/// A mirror that holds forged objects, and sources that read it.
struct Forged {
    folder: tempfile::TempDir,
    location: Location,
    objects: Loose,
}

impl Forged {
    fn new() -> anyhow::Result<Self> {
        let folder = tempfile::tempdir()?;
        let location = Location::parse("file:///nowhere/forged.git", None)?;
        let mirror = folder.path().join("mirrors").join(location.place());
        Ok(Self { objects: Loose::init(&mirror)?, folder, location })
    }

    /// Reads a commit of the mirror; no server is asked for it.
    async fn checkout(&self, commit: &str) -> anyhow::Result<Checkout> {
        let options = SourceOptions {
            allow_file: true,
            guard: Arc::default(),
            on_request: Arc::new(|_, _| {}),
            usage: std::sync::Arc::default(),
        };
        let sources = Sources::new(self.folder.path().to_path_buf(), options);
        let reference = GitRef::Commit(commit.to_owned());
        Ok(sources.checkout(&self.location, &reference, LIMIT, LIMIT).await?)
    }
}

/// What is wrong with the units of a folder, empty if nothing is.
fn said(checkout: &Checkout, folder: &str) -> String {
    plain::units(&checkout.files(), folder, None).err().map(|error| error.to_string()).unwrap_or_default()
}

#[tokio::test]
async fn a_name_that_leads_elsewhere_is_refused_and_the_other_folders_are_read() -> anyhow::Result<()> {
    let forged = Forged::new()?;
    for mode in ["100644", "40000", "120000", "160000"] {
        for name in BAD {
            let commit = trees::chart(&forged.objects, mode, name, "a: 1\n")?;
            let checkout = forged.checkout(&commit).await?;
            let shown = String::from_utf8_lossy(name);
            let said = said(&checkout, "chart");
            ensure!(said.starts_with("chart/templates"), "{mode} {shown:?}: {said:?}");
            ensure!(said.contains(&commit) && said.contains("rename or remove it"), "{said}");
            ensure!(!said.contains(char::is_control), "{said:?}");
            ensure!(checkout.files().read("chart/templates/x").is_err(), "{mode} {shown:?}");
            ensure!(plain::units(&checkout.files(), "good", None)?.len() == 1, "{mode} {shown:?}");
        }
    }
    let commit = trees::chart(&forged.objects, "120000", b".gitmodules", "../good/a.yaml")?;
    ensure!(said(&forged.checkout(&commit).await?, "chart").contains("symlink"));
    Ok(())
}

#[tokio::test]
async fn objects_that_git_does_not_write_are_errors() -> anyhow::Result<()> {
    let forged = Forged::new()?;
    let objects = &forged.objects;
    let blob = objects.put("blob", b"a: 1\n")?;
    let file: (&str, &[u8], &str) = ("100644", b"a.yaml", &blob);
    let sub = tree(objects, &[file])?;
    let whole = tree_bytes(&[file])?;
    let missing = "12".repeat(20);
    let many: Vec<String> = (0..100_001).map(|number| format!("{number:06}")).collect();
    let many: Vec<(&str, &[u8], &str)> =
        many.iter().map(|name| ("100644", name.as_bytes(), blob.as_str())).collect();
    let roots = [
        ("cut", objects.put("tree", &whole[..whole.len() - 3])?, "cannot be read"),
        ("no mode", objects.put("tree", b"a.yaml\0")?, "cannot be read"),
        ("twice", tree(objects, &[file, file])?, "duplicated"),
        ("order", tree(objects, &[("100644", b"b", &blob), file])?, "not sorted"),
        ("mode", tree(objects, &[("7777777", b"a", &blob)])?, "Git tree"),
        ("blob as folder", tree(objects, &[("40000", b"a", &blob)])?, "is a blob, not a tree"),
        ("folder as file", tree(objects, &[("100644", b"a.yaml", &sub)])?, "is a tree, not a blob"),
        ("blob as root", blob.clone(), "is a blob, not a tree"),
        ("missing", tree(objects, &[("40000", b"a", &missing)])?, "cannot read a"),
        ("many", tree(objects, &many)?, "more than 100,000 entries"),
        ("huge", objects.put("tree", &vec![b'x'; 17 << 20])?, "bytes are not read"),
    ];
    for (what, root, expected) in roots {
        let checkout = forged.checkout(&commit(objects, &root)?).await?;
        let said = plain::units(&checkout.files(), "", None)
            .and_then(|_| checkout.files().read("a.yaml").map(|_| ()))
            .err()
            .map(|error| error.to_string())
            .unwrap_or_default();
        ensure!(said.contains(expected), "{what}: {said:?}");
    }
    let long = vec![b'a'; 5000];
    let link = objects.put("blob", &long)?;
    let root = tree(objects, &[("120000", b"link", &link)])?;
    ensure!(said(&forged.checkout(&commit(objects, &root)?).await?, "").contains("4096"));
    Ok(())
}

/// The processor time of this thread, which is the same however busy the machine is.
fn worked() -> Duration {
    let time = clock_gettime(ClockId::ThreadCPUTime);
    Duration::new(time.tv_sec.unsigned_abs(), u32::try_from(time.tv_nsec).unwrap_or_default())
}

#[tokio::test]
async fn folders_without_end_are_given_up() -> anyhow::Result<()> {
    let forged = Forged::new()?;
    let deep = trees::nested(&forged.objects, 70, 1)?;
    ensure!(said(&forged.checkout(&deep).await?, "").contains("nested deeper than 64 folders"));
    let path = vec!["f00000"; 70].join("/");
    ensure!(forged.checkout(&deep).await?.files().read(&path).is_err());
    for (depth, width) in [(20, 10), (2, 50_000)] {
        let wide = trees::nested(&forged.objects, depth, width)?;
        let checkout = forged.checkout(&wide).await?;
        let begun = worked();
        ensure!(said(&checkout, "").contains("more than 100000 entries"), "{}", said(&checkout, ""));
        let took = worked().saturating_sub(begun);
        ensure!(took < LIMIT, "{depth}, {width}: {took:?}");
    }
    Ok(())
}

/// A server takes the tree, and Helm would render the chart: nothing is written outside, and the neighbour goes on.
#[test]
fn a_chart_with_a_path_as_a_name_writes_nothing() -> anyhow::Result<()> {
    run(|stage| async move {
        let tenant = stage.tenant("trees").await?;
        let repository = stage.env.forge.repository("trees").await?;
        let folder = tempfile::tempdir()?;
        let target = folder.path().join("written");
        let path = target.to_str().context("a path is text")?;
        let climbing = format!("{}{path}", "../".repeat(20));
        let apply = async |name: &str, folder: &str| {
            let spec = json!({"path": folder});
            let sync = sync::sync(&tenant.namespace, name, &repository.https_url, &spec);
            let made = stage.env.cluster.kubectl_with(&tenant.person, &["apply", "-f", "-"], &sync).await?;
            ensure!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
            Ok(())
        };
        for name in [path, &climbing, ".", ".."] {
            let mode = if name.starts_with('.') && name.len() < 3 { "40000" } else { "100644" };
            let commit = trees::chart(&Pushed(&repository), mode, name.as_bytes(), "written: true\n")?;
            repository.git(&["update-ref", "refs/heads/main", &commit])?;
            repository.git(&["push", "--quiet", "--force", &repository.push_url, "main"])?;
            apply("evil", "chart").await?;
            apply("good", "good").await?;
            stage.env.ready(&tenant.namespace, "good", None).await?;
            eventually(LIMIT, "the chart to be refused", || async {
                let ready = stage.env.condition(&tenant.namespace, "evil", "Ready").await?;
                let said = ready.message.contains("chart/templates") && ready.message.contains(&commit[..7]);
                ensure!(ready.reason == "BadEntry" && said, "{ready:?}");
                Ok(true)
            })
            .await?;
            ensure!(!Path::new(path).exists(), "{path} was written");
            stage.agent.get("healthz").await?;
        }
        Ok(())
    })
}
