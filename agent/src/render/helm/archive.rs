//! Charts as archives (`.tgz`): what is in them, within limits. Links are passed over, as Helm does, and no path leads
//! out of the chart.
//!
//! I/O: disk writes, in [`unpack`].

use std::io::Read;
use std::path::Path;

use flate2::read::GzDecoder;
use holdfast_diff::files::name;

use super::HelmError;
use crate::disk::Beneath;

/// What an archive may hold, unpacked: in all, in one file, and how many files.
pub const ALL: u64 = 64 * 1024 * 1024;
const FILE: u64 = 10 * 1024 * 1024;
const FILES: usize = 20_000;

/// A file of a chart: its path, which begins with the name of the chart, and its bytes.
pub struct Entry {
    pub path: String,
    pub bytes: Vec<u8>,
}

/// Reads all files of an archive, which errors call `name`.
pub fn entries(name: &str, archive: &[u8]) -> Result<Vec<Entry>, HelmError> {
    entries_within(name, archive, ALL)
}

/// The same, if they have so many bytes at most.
pub fn entries_within(name: &str, archive: &[u8], limit: u64) -> Result<Vec<Entry>, HelmError> {
    let bad = |said: String| HelmError::Unpack { archive: name.to_owned(), said };
    let failed = |error: std::io::Error| bad(format!("it is not a chart archive: {error}"));
    // What is not in the sizes of the files, such as their headers, is limited too.
    let limited = GzDecoder::new(archive).take(2 * limit);
    let mut reader = tar::Archive::new(limited);
    let mut found = Vec::new();
    let mut size: u64 = 0;
    for entry in reader.entries().map_err(failed)? {
        let mut entry = entry.map_err(failed)?;
        size = size.saturating_add(entry.size());
        if size > limit {
            return Err(bad(format!("it unpacks to more than {limit} bytes")));
        }
        if !entry.header().entry_type().is_file() {
            continue;
        }
        let path = path(&entry.path_bytes()).map_err(bad)?;
        if entry.size() > FILE {
            return Err(bad(format!("{path} has {} bytes, more than {FILE}", entry.size())));
        }
        if found.len() == FILES {
            return Err(bad(format!("it has more than {FILES} files")));
        }
        let mut bytes = Vec::new();
        entry.read_to_end(&mut bytes).map_err(failed)?;
        found.push(Entry { path, bytes });
    }
    Ok(found)
}

/// The bytes of `Chart.yaml` of an archive, if they come before so many bytes, and how many bytes were unpacked for it.
pub fn chart(archive: &[u8], limit: u64) -> (Option<Vec<u8>>, u64) {
    let mut reader = tar::Archive::new(Counted { inner: GzDecoder::new(archive).take(limit), read: 0 });
    let mut find = || {
        for entry in reader.entries().ok()? {
            let mut entry = entry.ok()?;
            let path = path(&entry.path_bytes()).ok();
            let below = path.as_deref().and_then(|path| path.split_once('/'));
            if entry.header().entry_type().is_file() && below.is_some_and(|(_, below)| below == "Chart.yaml")
            {
                let mut bytes = Vec::new();
                entry.by_ref().take(FILE).read_to_end(&mut bytes).ok()?;
                return Some(bytes);
            }
        }
        None
    };
    let found = find();
    (found, reader.into_inner().read)
}

/// Counts what is read.
struct Counted<R> {
    inner: R,
    read: u64,
}

impl<R: Read> Read for Counted<R> {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        let count = self.inner.read(buffer)?;
        self.read += count as u64;
        Ok(count)
    }
}

/// Writes files below a folder. The first part of each path, the chart's name, is left off.
pub fn unpack(entries: &[Entry], folder: &Path) -> Result<(), HelmError> {
    let failed = HelmError::io("unpack a chart");
    let folder = Beneath::open(folder).map_err(&failed)?;
    for Entry { path, bytes } in entries {
        let Some((_, below)) = path.split_once('/') else { continue };
        folder.write(below, bytes).map_err(&failed)?;
    }
    Ok(())
}

/// The file `Chart.yaml` of the chart itself, not of one below it.
pub fn metadata(entries: &[Entry]) -> Option<&Entry> {
    entries.iter().find(|entry| entry.path.split_once('/').is_some_and(|(_, below)| below == "Chart.yaml"))
}

/// A path of an archive: relative, and only names that may stand in a folder. `.` and empty parts mean nothing.
fn path(raw: &[u8]) -> Result<String, String> {
    let shown = || name::shown(raw);
    let text = str::from_utf8(raw).map_err(|_| format!("the path {} is not UTF-8", shown()))?;
    if text.starts_with('/') {
        return Err(format!("the path {} leads out of it", shown()));
    }
    let names: Vec<&str> = text.split('/').filter(|name| !matches!(*name, "" | ".")).collect();
    let path = names.join("/");
    name::check_path(&path)
        .map_err(|why| format!("the path {} leads out of it: a part of it {why}", shown()))?;
    Ok(path)
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "tests")]
mod tests {
    use std::io::Write as _;

    use flate2::Compression;
    use flate2::write::GzEncoder;

    use super::*;

    /// A hostile archive, with paths that libraries refuse to write.
    fn archive(files: &[(&str, tar::EntryType, &[u8])]) -> Vec<u8> {
        let mut packed = GzEncoder::new(Vec::new(), Compression::fast());
        let mut builder = tar::Builder::new(Vec::new());
        for (path, kind, bytes) in files {
            let mut header = tar::Header::new_gnu();
            header.as_mut_bytes()[..path.len()].copy_from_slice(path.as_bytes());
            header.set_entry_type(*kind);
            header.set_size(bytes.len() as u64);
            header.set_mode(0o644);
            if kind.is_symlink() {
                header.set_link_name("/etc").unwrap();
            }
            header.set_cksum();
            builder.append(&header, *bytes).unwrap();
        }
        packed.write_all(&builder.into_inner().unwrap()).unwrap();
        packed.finish().unwrap()
    }

    const FILE: tar::EntryType = tar::EntryType::Regular;

    fn said(bytes: &[u8]) -> String {
        entries("web.tgz", bytes).err().map(|error| error.to_string()).unwrap_or_default()
    }

    #[test]
    fn a_chart_is_unpacked_below_its_name() {
        let bytes =
            archive(&[("web/Chart.yaml", FILE, b"name: web"), ("web/templates/a.yaml", FILE, b"a: 1")]);
        let entries = entries("web.tgz", &bytes).unwrap();
        assert_eq!(metadata(&entries).unwrap().bytes, b"name: web");
        let folder = tempfile::tempdir().unwrap();
        unpack(&entries, folder.path()).unwrap();
        assert_eq!(std::fs::read(folder.path().join("templates/a.yaml")).unwrap(), b"a: 1");
    }

    #[test]
    fn no_path_leads_out_and_links_are_passed_over() {
        for path in
            ["../a.yaml", "web/../../a.yaml", "/etc/a.yaml", "web\\..\\a.yaml", "web/.git/config", "."]
        {
            let bytes = archive(&[(path, FILE, b"a: 1")]);
            let expected = format!("web.tgz cannot be unpacked: the path {path} leads out of it");
            assert!(said(&bytes).starts_with(&expected), "{}", said(&bytes));
        }
        let bytes = archive(&[("./web//a.yaml", FILE, b"a: 1")]);
        assert_eq!(entries("web.tgz", &bytes).unwrap()[0].path, "web/a.yaml");
        let linked = archive(&[
            ("web/templates", tar::EntryType::Symlink, b""),
            ("web/Chart.yaml", FILE, b"name: web"),
        ]);
        let paths: Vec<String> =
            entries("web.tgz", &linked).unwrap().into_iter().map(|one| one.path).collect();
        assert_eq!(paths, ["web/Chart.yaml"]);
    }

    #[test]
    fn what_is_too_large_or_no_archive_is_refused() {
        let zeros = vec![0_u8; 9 * 1024 * 1024];
        let many: Vec<_> = (0..12).map(|_| ("web/a", FILE, zeros.as_slice())).collect();
        assert!(
            said(&archive(&many)).contains("unpacks to more than 67108864 bytes"),
            "{}",
            said(&archive(&many))
        );
        let large = vec![0_u8; 11 * 1024 * 1024];
        assert!(said(&archive(&[("web/a", FILE, &large)])).contains("web/a has 11534336 bytes"));
        assert!(said(b"<html>").contains("it is not a chart archive"));
        let whole = archive(&[("web/Chart.yaml", FILE, &vec![b'x'; 5000])]);
        assert!(said(&whole[..whole.len() / 2]).contains("it is not a chart archive"));
    }
}
