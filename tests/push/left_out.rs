//! Entries of a repository that cannot be read, which matter only if they are used: submodules, symlinks to nothing, pointers of
//! Git LFS. I/O: processes, disk.

use holdfast::render::plain::{Unit, units};
use holdfast::source::CommitFiles;
use holdfast_diff::files::Files as _;

use crate::workshop::{Workshop, git};

const POINTER: &str = "version https://git-lfs.github.com/spec/v1\noid sha256:4d7a2146\nsize 12345\n";

/// The files of a commit of all that is in the clone.
async fn files(workshop: &Workshop) -> anyhow::Result<CommitFiles> {
    workshop.human_push("Change", "main")?;
    Ok(workshop.checkout("main").await?.files())
}

fn listed(files: &CommitFiles, folder: &str) -> Result<Vec<String>, String> {
    let found = units(files, folder, None).map_err(|error| error.to_string())?;
    let path = |unit| match unit {
        Unit::File(path) | Unit::Kustomization(path) => path,
    };
    Ok(found.into_iter().map(path).collect())
}

#[tokio::test]
async fn a_submodule_counts_only_if_nothing_leaves_it_out() -> anyhow::Result<()> {
    let workshop = Workshop::new()?;
    workshop.write("apps/b.yaml", b"b: 1\n")?;
    std::fs::create_dir_all(workshop.clone.join("apps/vendor/lib"))?;
    let id = git(&workshop.clone, &["rev-parse", "HEAD"])?;
    let entry = format!("160000,{},apps/vendor/lib", id.trim());
    git(&workshop.clone, &["update-index", "--add", "--cacheinfo", &entry])?;
    // `git add --all` would take the entry out again.
    git(&workshop.clone, &["add", "apps/b.yaml"])?;
    git(&workshop.clone, &["commit", "--quiet", "-m", "Submodule"])?;
    git(&workshop.clone, &["push", "--quiet", "origin", "HEAD:refs/heads/main"])?;
    let found = workshop.checkout("main").await?.files();
    let error = listed(&found, "apps").err().unwrap_or_default();
    assert!(error.starts_with("apps/vendor/lib is a submodule"), "{error}");
    assert!(found.read("apps/vendor/lib/x.yaml").is_err(), "nothing of it is read");

    for pattern in ["vendor/", "vendor/lib/", "/vendor/lib", "lib"] {
        workshop.write("apps/.holdfastignore", format!("{pattern}\n").as_bytes())?;
        git(&workshop.clone, &["add", "apps/.holdfastignore"])?;
        git(&workshop.clone, &["commit", "--quiet", "-m", pattern])?;
        git(&workshop.clone, &["push", "--quiet", "origin", "HEAD:refs/heads/main"])?;
        let found = workshop.checkout("main").await?.files();
        assert_eq!(listed(&found, "apps"), Ok(vec!["apps/b.yaml".to_owned()]), "{pattern}");
        assert!(found.trouble().is_none(), "{pattern}");
    }
    Ok(())
}

#[tokio::test]
async fn a_symlink_to_nothing_counts_only_if_it_is_read() -> anyhow::Result<()> {
    let workshop = Workshop::new()?;
    let link = |name: &str, to: &str| std::os::unix::fs::symlink(to, workshop.clone.join(name));
    link("docs", "nowhere")?;
    link("latest", "../../outside")?;
    link(".hidden.yaml", "nowhere")?;
    let found = files(&workshop).await?;
    assert_eq!(listed(&found, ""), Ok(vec!["a.yaml".to_owned()]));
    assert!(found.trouble().is_none());

    link("b.yaml", "nowhere")?;
    let found = files(&workshop).await?;
    assert_eq!(listed(&found, ""), Ok(vec!["a.yaml".to_owned(), "b.yaml".to_owned()]));
    let error = found.read("b.yaml").err().map(|error| error.to_string()).unwrap_or_default();
    assert!(error.contains("the symlink b.yaml leads to nowhere, which does not exist"), "{error}");

    workshop.write(".holdfastignore", b"b.yaml\n")?;
    let found = files(&workshop).await?;
    assert_eq!(listed(&found, ""), Ok(vec!["a.yaml".to_owned()]));
    Ok(())
}

#[tokio::test]
async fn a_pointer_of_lfs_is_an_error_where_it_is_read() -> anyhow::Result<()> {
    let workshop = Workshop::new()?;
    workshop.write("values.txt", POINTER.as_bytes())?;
    workshop.write("big.yaml", POINTER.as_bytes())?;
    let found = files(&workshop).await?;
    for path in ["values.txt", "big.yaml"] {
        let error = found.read(path).err().map(|error| error.to_string()).unwrap_or_default();
        assert!(error.starts_with(path) && error.contains("Git LFS"), "{error}");
    }
    assert!(found.read("a.yaml").is_ok_and(|bytes| bytes.is_some()));
    Ok(())
}
