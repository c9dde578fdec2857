//! Fetches the dependencies of a chart in Git that are missing in `charts/`, in the versions of its lock.
//!
//! Leaves fetching to the `Runner`. I/O: disk, HTTP.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use holdfast_diff::files::join;
use holdfast_diff::range;

use super::archive::{self, Entry};
use super::download::Archive;
use super::ignored::Ignored;
use super::metadata::{self, Dependency, Metadata};
use super::{ChartSource, Fetched, HelmError, Login, Runner, tree, vendored};

/// Maximum depth of dependencies on charts of the tree.
const DEPTH: usize = 8;
/// Maximum number of files of a chart and its dependencies.
const FILES: usize = 20_000;

/// A chart in the tree.
pub struct Folder<'a> {
    /// The root of the tree, with links resolved.
    pub root: &'a Path,
    /// Logins, each for the places that begin with its URL.
    pub logins: &'a [(String, Login)],
}

/// The dependencies that were missing and were added.
#[derive(Default)]
pub struct Added {
    pub any: bool,
    /// Those that were fetched, without those of the tree.
    pub fetched: Vec<Fetched>,
}

/// Adds missing dependencies below `chart/charts/`.
pub async fn complete(
    runner: &Runner,
    folder: &Folder<'_>,
    place: &Path,
    metadata: &Metadata,
    files: &mut Vec<Entry>,
    depth: usize,
) -> Result<Added, HelmError> {
    let (missing, mut there) = missing(files, metadata).await?;
    let mut added = Added { any: !missing.is_empty(), fetched: Vec::new() };
    for dependency in missing {
        // A chart can occur twice, under two aliases.
        if there.insert(dependency.name.clone()) {
            let (mut found, fetched) = Box::pin(fetch(runner, folder, place, &dependency, depth)).await?;
            make_room(files, &mut found);
            files.extend(found);
            added.fetched.extend(fetched);
            let bytes: u64 = files.iter().map(|file| file.bytes.len() as u64).sum();
            if bytes > archive::ALL || files.len() > FILES {
                let all = archive::ALL;
                let said = format!(
                    "with the charts that it depends on it has more than {all} bytes or {FILES} files"
                );
                return Err(HelmError::BadChart { file: "Chart.yaml".to_owned(), said });
            }
            // Charts of the tree are read without requests.
            tokio::task::yield_now().await;
        }
    }
    Ok(added)
}

/// Returns the missing dependencies with their locked versions, and the names of the existing charts.
async fn missing(
    files: &mut Vec<Entry>,
    metadata: &Metadata,
) -> Result<(Vec<Dependency>, BTreeSet<String>), HelmError> {
    let text =
        |files: &[Entry], name: &str| files.iter().position(|file| file.path == format!("chart/{name}"));
    let (mut missing, lock) = match text(files, "requirements.yaml") {
        Some(old) if metadata.dependencies.is_empty() => {
            (metadata::dependencies("requirements.yaml", &files[old].bytes)?, "requirements.lock")
        }
        _ => (metadata.dependencies.clone(), "Chart.lock"),
    };
    if missing.is_empty() {
        return Ok((missing, BTreeSet::new()));
    }
    // This unpacks archives.
    let all = std::mem::take(files);
    let (all, there, ignored) = tokio::task::spawn_blocking(move || {
        let ignored = Ignored::of(&all);
        let there = vendored::names(all.iter().filter(|file| !ignored.has(&file.path)));
        (all, there, ignored)
    })
    .await
    .map_err(|error| HelmError::Io { doing: "read a chart", said: error.to_string() })?;
    *files = all;
    missing.retain(|one| !there.contains(&one.name));
    missing.iter().try_for_each(|one| ignored.check(one))?;
    if let Some(at) = text(files, lock) {
        metadata::lock(lock, &mut missing, &metadata::dependencies(lock, &files[at].bytes)?)?;
    }
    Ok((missing, there))
}

/// Renames added charts if `charts/` has another chart with their name already: Helm identifies charts by their content.
fn make_room(files: &[Entry], found: &mut [Entry]) {
    const CHARTS: &str = "chart/charts/";
    let top = |path: &str| {
        path.strip_prefix(CHARTS).and_then(|below| below.split('/').next()).map(ToOwned::to_owned)
    };
    let taken: BTreeSet<String> = files.iter().filter_map(|file| top(&file.path)).collect();
    for file in found {
        let Some(name) = top(&file.path).filter(|name| taken.contains(name)) else { continue };
        let free = (1..=taken.len() + 1)
            .map(|number| format!("holdfast-{number}-{name}"))
            .find(|free| !taken.contains(free));
        let below = &file.path[CHARTS.len() + name.len()..];
        file.path = format!("{CHARTS}{}{below}", free.unwrap_or(name));
    }
}

/// Returns the files of one dependency, below `chart/charts/`, and what was fetched for it.
async fn fetch(
    runner: &Runner,
    folder: &Folder<'_>,
    place: &Path,
    dependency: &Dependency,
    depth: usize,
) -> Result<(Vec<Entry>, Vec<Fetched>), HelmError> {
    let Dependency { name, version, repository } = dependency;
    let file = "Chart.yaml".to_owned();
    if repository.starts_with('@') || repository.starts_with("alias:") {
        return Err(HelmError::AliasRepository { file, name: name.clone(), repository: repository.clone() });
    }
    if repository.is_empty() {
        let said = format!("the dependency {name} is not in charts/, and has no repository");
        return Err(HelmError::BadChart { file, said });
    }
    if let Some(path) = repository.strip_prefix("file://") {
        let place = beside(folder.root, place, path).ok_or_else(|| escapes(dependency))?;
        return local(runner, folder, &place, dependency, depth).await;
    }
    let login = login(folder.logins, repository);
    let oci = format!("{}/{name}", repository.trim_end_matches('/'));
    let source = if repository.starts_with("oci://") {
        ChartSource::Oci { url: &oci, version, login, plain_http: false }
    } else {
        ChartSource::Repository { url: repository, name, version, login }
    };
    let (_, archive, bytes) = runner.download(&source).await?;
    let Archive { path: _, version, digest } = archive;
    let path = format!("chart/charts/{name}-{version}.tgz");
    Ok((vec![Entry { path, bytes }], vec![Fetched { name: name.clone(), version, digest }]))
}

/// Returns the files of another chart in the tree and of its dependencies, and what was fetched for it.
async fn local(
    runner: &Runner,
    folder: &Folder<'_>,
    place: &Path,
    dependency: &Dependency,
    depth: usize,
) -> Result<(Vec<Entry>, Vec<Fetched>), HelmError> {
    let Dependency { name, version, repository } = dependency;
    let bad = |said: String| HelmError::BadChart { file: "Chart.yaml".to_owned(), said };
    if depth == DEPTH {
        return Err(bad(format!(
            "the dependency {name} is nested deeper than {DEPTH} charts, or contains itself"
        )));
    }
    if !place.exists() {
        return Err(bad(format!("the dependency {name} was not found at {repository}")));
    }
    let place: PathBuf = tree::inside(place, folder.root).map_err(|_| escapes(dependency))?;
    let mut files = tree::read(&place, folder.root)?.files;
    let chart =
        archive::metadata(&files).ok_or_else(|| bad(format!("Chart.yaml not found at {repository}")))?;
    let found = metadata::chart(&format!("{repository}/Chart.yaml"), &chart.bytes)?;
    let range = super::index::parse_range(version)?;
    if found.name != *name || !range::version(&found.version).is_some_and(|version| range.matches(&version)) {
        return Err(bad(format!(
            "it requires {name} {version}, but {repository} has {} {}",
            found.name, found.version
        )));
    }
    let added = complete(runner, folder, &place, &found, &mut files, depth + 1).await?;
    let moved = |file: Entry| {
        let below = file.path.strip_prefix("chart/").unwrap_or(&file.path);
        Entry { path: format!("chart/charts/{name}/{below}"), bytes: file.bytes }
    };
    Ok((files.into_iter().map(moved).collect(), added.fetched))
}

/// Resolves a relative folder by names alone: a path outside of the tree is not read.
fn beside(root: &Path, place: &Path, path: &str) -> Option<PathBuf> {
    if path.starts_with('/') {
        return None;
    }
    let below = place.strip_prefix(root).ok()?.to_str()?;
    Some(root.join(join(below, path)?))
}

fn escapes(Dependency { name, repository, .. }: &Dependency) -> HelmError {
    HelmError::PathEscapes { path: format!("the dependency {name} at {repository}") }
}

/// The login of the longest URL that a place begins with.
fn login<'a>(logins: &'a [(String, Login)], place: &str) -> Option<&'a Login> {
    let fits = |url: &str| {
        let rest = place.strip_prefix(url.trim_end_matches('/'));
        rest.is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
    };
    logins.iter().filter(|(url, _)| fits(url)).max_by_key(|(url, _)| url.len()).map(|(_, login)| login)
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "tests")]
mod tests {
    use std::collections::BTreeMap;

    use base64::Engine as _;
    use base64::engine::general_purpose::STANDARD;

    use super::*;

    #[test]
    fn a_login_is_for_its_own_place_alone() {
        let of = |user: &str| {
            let data = [("username", user), ("password", "x")];
            let data: BTreeMap<_, _> =
                data.map(|(key, text)| (key.to_owned(), text.as_bytes().to_vec())).into();
            Login::from_secret(&data, "").ok().unwrap()
        };
        let logins = [
            ("https://a.example.com".to_owned(), of("host")),
            ("https://a.example.com/stable/".to_owned(), of("stable")),
        ];
        let user = |place: &str| {
            let basic = login(&logins, place).and_then(Login::authorization)?;
            let pair = String::from_utf8(STANDARD.decode(basic.strip_prefix("Basic ")?).ok()?).ok()?;
            pair.split_once(':').map(|(user, _)| user.to_owned())
        };
        assert_eq!(user("https://a.example.com/stable").as_deref(), Some("stable"));
        assert_eq!(user("https://a.example.com/other").as_deref(), Some("host"));
        assert_eq!(user("https://a.example.com.evil.com/stable"), None);
        assert_eq!(user("http://a.example.com"), None);
    }

    #[test]
    fn a_chart_beside_another_one_is_in_the_tree() {
        let root = Path::new("/tree");
        let of = |path: &str| beside(root, Path::new("/tree/apps/web"), path);
        assert_eq!(of("../../common"), Some(root.join("common")));
        assert_eq!(of("charts/x"), Some(root.join("apps/web/charts/x")));
        for path in ["/etc", "../../../etc", "../../../tree2/x"] {
            assert_eq!(of(path), None, "{path}");
        }
    }

    #[test]
    fn what_is_added_takes_the_place_of_no_other_chart() {
        let of = |path: &str| Entry { path: format!("chart/charts/{path}"), bytes: Vec::new() };
        let files = [of("cache/Chart.yaml"), of("web-1.0.0.tgz")];
        let mut found =
            [of("cache/Chart.yaml"), of("cache/templates/a.yaml"), of("web-1.0.0.tgz"), of("db/Chart.yaml")];
        make_room(&files, &mut found);
        let paths: Vec<_> = found.iter().map(|file| file.path.trim_start_matches("chart/charts/")).collect();
        assert_eq!(
            paths,
            [
                "holdfast-1-cache/Chart.yaml",
                "holdfast-1-cache/templates/a.yaml",
                "holdfast-1-web-1.0.0.tgz",
                "db/Chart.yaml"
            ]
        );
    }
}
