//! Removes files that a killed process left, when the next one starts. I/O: disk.

use std::path::Path;

use tracing::warn;

/// Removes entries of a folder that begin with `prefix`, except those that continue with the id of another running
/// process. In a container every process has the same id, and a process that starts has created no entries yet.
pub fn of_dead_processes(folder: &Path, prefix: &str) {
    remove(folder, |name| {
        let is_dead = |pid| pid == std::process::id() || !Path::new(&format!("/proc/{pid}")).exists();
        let pid = |rest: &str| rest.split('-').next()?.parse::<u32>().ok();
        name.strip_prefix(prefix).is_some_and(|rest| pid(rest).is_none_or(is_dead))
    });
}

/// Removes the entries of a folder whose names begin with a prefix.
pub fn beginning_with(folder: &Path, prefix: &str) {
    remove(folder, |name| name.starts_with(prefix));
}

fn remove(folder: &Path, is_left: impl Fn(&str) -> bool) {
    for entry in folder.read_dir().into_iter().flatten().flatten() {
        if !entry.file_name().to_str().is_some_and(&is_left) {
            continue;
        }
        let path = entry.path();
        let is_folder = entry.file_type().is_ok_and(|kind| kind.is_dir());
        let removed = if is_folder { std::fs::remove_dir_all(&path) } else { std::fs::remove_file(&path) };
        if let Err(error) = removed {
            warn!(path = %path.display(), %error, "Cannot remove files of an earlier process");
        }
    }
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;

    #[test]
    fn only_what_a_dead_process_left_goes() {
        let folder = tempfile::tempdir().unwrap();
        let (own, parent) = (std::process::id(), std::os::unix::process::parent_id());
        let names = [
            format!("x-{own}-a"),
            format!("x-{parent}-b"),
            "x-4294967295-c".to_owned(),
            "other".to_owned(),
            "x-half".to_owned(),
        ];
        names.iter().for_each(|name| std::fs::create_dir(folder.path().join(name)).unwrap());
        std::fs::write(folder.path().join(".tmpabc"), "").unwrap();
        of_dead_processes(folder.path(), "x-");
        let there = names.map(|name| folder.path().join(name).exists());
        assert_eq!(there, [false, true, false, true, false]);
        beginning_with(folder.path(), ".tmp");
        assert!(!folder.path().join(".tmpabc").exists());
        of_dead_processes(&folder.path().join("missing"), "x-");
    }
}
