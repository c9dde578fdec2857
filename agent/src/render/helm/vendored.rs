//! Which charts `charts/` has: by the name in their `Chart.yaml`, as Helm finds them, whatever their folder or archive is called.
//!
//! Pure.

use std::collections::BTreeSet;

use super::archive::{self, Entry};
use super::metadata;

/// Bytes that may be unpacked to find the names of all archives together.
const UNPACKED: u64 = 2 * archive::ALL;

/// The names of the charts below `chart/charts/`. Where a name cannot be read, that of the folder or archive stands for it:
/// Helm then says what is wrong with it.
pub fn names<'a>(files: impl IntoIterator<Item = &'a Entry>) -> BTreeSet<String> {
    let mut left = UNPACKED;
    let mut found = BTreeSet::new();
    for Entry { path, bytes } in files {
        let Some(below) = path.strip_prefix("chart/charts/") else { continue };
        // Helm passes over these.
        if below.starts_with(['.', '_']) {
            continue;
        }
        if let Some(folder) = below.strip_suffix("/Chart.yaml").filter(|folder| !folder.contains('/')) {
            found.insert(metadata::name(bytes).unwrap_or_else(|| folder.to_owned()));
        } else if let Some(archive) = below.strip_suffix(".tgz").filter(|archive| !archive.contains('/')) {
            let (chart, unpacked) = archive::chart(bytes, left);
            left = left.saturating_sub(unpacked);
            let name = chart.and_then(|chart| metadata::name(&chart));
            found.insert(name.unwrap_or_else(|| without_version(archive).to_owned()));
        }
    }
    found
}

/// `redis` of `redis-1.2.3`.
fn without_version(archive: &str) -> &str {
    let version = |rest: &str| holdfast_diff::range::version(rest).is_some();
    let at = archive.match_indices('-').find(|(at, _)| version(&archive[at + 1..]));
    at.map_or(archive, |(at, _)| &archive[..at])
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "tests")]
mod tests {
    use std::io::Write as _;

    use flate2::Compression;
    use flate2::write::GzEncoder;

    use super::*;

    fn archive(files: &[(&str, &[u8])]) -> Vec<u8> {
        let mut builder = tar::Builder::new(Vec::new());
        for (path, bytes) in files {
            let mut header = tar::Header::new_gnu();
            header.set_size(bytes.len() as u64);
            header.set_mode(0o644);
            builder.append_data(&mut header, path, *bytes).unwrap();
        }
        let mut packed = GzEncoder::new(Vec::new(), Compression::fast());
        packed.write_all(&builder.into_inner().unwrap()).unwrap();
        packed.finish().unwrap()
    }

    fn check(files: Vec<(&str, Vec<u8>)>, expected: &[&str]) {
        let of = |(path, bytes): (&str, Vec<u8>)| Entry { path: format!("chart/{path}"), bytes };
        let found = names(&files.into_iter().map(of).collect::<Vec<_>>());
        assert_eq!(found.iter().map(String::as_str).collect::<Vec<_>>(), expected);
    }

    #[test]
    fn a_vendored_chart_has_the_name_that_its_own_file_says() {
        let chart = |name: &str| format!("apiVersion: v2\nname: {name}\nversion: 1.0.0\n").into_bytes();
        let inner: &[u8] = b"name: inner";
        check(
            vec![
                ("charts/cache-vendored/Chart.yaml", chart("cache")),
                ("charts/cache-vendored/charts/below/Chart.yaml", chart("below")),
                (
                    "charts/latest.tgz",
                    archive(&[("db/values.yaml", b"a: 1"), ("db/Chart.yaml", b"name: db")]),
                ),
                (
                    "charts/v1.tgz",
                    archive(&[("web/charts/x/Chart.yaml", inner), ("web/Chart.yaml", b"name: web.io")]),
                ),
                ("templates/Chart.yaml", chart("no")),
                ("charts/_off/Chart.yaml", chart("off")),
                ("charts/.hidden/Chart.yaml", chart("hidden")),
                ("charts/sub/other.tgz", archive(&[("o/Chart.yaml", b"name: other")])),
            ],
            &["cache", "db", "web.io"],
        );
    }

    #[test]
    fn what_cannot_be_read_is_found_by_its_path() {
        check(
            vec![
                ("charts/cache/Chart.yaml", b"a: [".to_vec()),
                ("charts/mysql-ha-1.0.0.tgz", b"<html>".to_vec()),
                ("charts/odd.tgz", archive(&[("odd/values.yaml", b"a: 1")])),
            ],
            &["cache", "mysql-ha", "odd"],
        );
    }

    #[test]
    fn archives_that_expand_are_read_up_to_a_limit_for_all_together() {
        let zeros = vec![0_u8; 9 * 1024 * 1024];
        let bomb = archive(&[("a/x", &zeros), ("a/Chart.yaml", b"name: late")]);
        assert_eq!(archive::chart(&bomb, 1024 * 1024).0, None);
        let (chart, unpacked) = archive::chart(&bomb, UNPACKED);
        assert!(chart.is_some() && unpacked > 9 * 1024 * 1024);
        let of = |at: u32| Entry { path: format!("chart/charts/a-1.0.{at}.tgz"), bytes: bomb.clone() };
        let files: Vec<_> = (0..40).map(of).collect();
        // Those for which nothing is left are found by their path.
        assert_eq!(names(&files).into_iter().collect::<Vec<_>>(), ["a", "late"]);
    }
}
