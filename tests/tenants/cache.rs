//! The cache folder: what nothing uses goes, what is too much goes by shares, and a full disk is survived. No cluster is
//! needed. I/O: disk, `git`, `mount`.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context as _, ensure};
use holdfast::disk::Usage;
use holdfast::error::StageError as _;
use holdfast::source::{Checkout, GitRef, Location, SourceError, SourceOptions, Sources};
use holdfast::trust::Domain;
use holdfast_diff::files::Files as _;
use holdfast_tests::random::Random;

const LIMIT: Duration = Duration::from_mins(1);
const MIB: usize = 1024 * 1024;

/// Repositories on disk, and a cache folder.
struct House {
    folder: tempfile::TempDir,
    cache: PathBuf,
    usage: Arc<Usage>,
}

fn run(folder: &Path, program: &str, arguments: &[&str]) -> anyhow::Result<()> {
    let mut command = Command::new(program);
    command.args(arguments).current_dir(folder);
    for (role, name) in [("AUTHOR", "Alice"), ("COMMITTER", "Alice")] {
        command.env(format!("GIT_{role}_NAME"), name).env(format!("GIT_{role}_EMAIL"), "alice@example.com");
    }
    let output = command.output().with_context(|| format!("cannot start {program}"))?;
    ensure!(output.status.success(), "{arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
    Ok(())
}

impl House {
    fn new(limit: usize) -> anyhow::Result<Self> {
        let folder = tempfile::tempdir()?;
        let cache = folder.path().join("cache");
        std::fs::create_dir(&cache)?;
        Ok(Self { folder, cache, usage: Arc::new(Usage::new(limit as u64)) })
    }

    fn sources(&self) -> Sources {
        let (on_request, usage) = (Arc::new(|_: &'static str, _: Option<_>| {}), self.usage.clone());
        Sources::new(
            self.cache.clone(),
            SourceOptions { allow_file: true, guard: Arc::default(), on_request, usage },
        )
    }

    /// A repository with a file of so many bytes that cannot be compressed.
    fn repository(&self, name: &str, bytes: usize) -> anyhow::Result<Location> {
        let folder = self.folder.path().join(name);
        std::fs::create_dir(&folder)?;
        let mut random = Random::new(bytes as u64);
        let noise: Vec<u8> = (0..bytes).map(|_| random.number().to_le_bytes()[0]).collect();
        std::fs::write(folder.join("noise"), noise)?;
        run(&folder, "git", &["init", "--quiet", "-b", "main"])?;
        run(&folder, "git", &["add", "noise"])?;
        run(&folder, "git", &["commit", "--quiet", "-m", "Noise"])?;
        Ok(Location::parse(&format!("file://{}", folder.display()), None)?)
    }

    fn is_there(&self, location: &Location) -> bool {
        self.cache.join("mirrors").join(location.place()).exists()
    }
}

async fn checkout(sources: &Sources, location: &Location) -> Result<Checkout, SourceError> {
    sources.checkout(location, &GitRef::Branch("main".to_owned()), Duration::ZERO, LIMIT).await
}

fn is_read(checkout: &Checkout) -> bool {
    checkout.files().read("noise").is_ok_and(|noise| noise.is_some())
}

#[tokio::test]
async fn mirrors_that_nothing_uses_go_and_what_a_kill_left() -> anyhow::Result<()> {
    let house = House::new(100 * MIB)?;
    let (one, other) = (house.repository("one", 1000)?, house.repository("other", 1000)?);
    let sources = house.sources();
    let held = checkout(&sources, &one).await?;
    checkout(&sources, &other).await?;
    sources.sweep(Duration::from_hours(1));
    ensure!(house.is_there(&one) && house.is_there(&other), "what was used a moment ago stays");
    sources.sweep(Duration::ZERO);
    ensure!(house.is_there(&one) && !house.is_there(&other), "a checkout in use stays");
    ensure!(is_read(&held));
    // It is fetched again where it is needed again.
    ensure!(is_read(&checkout(&sources, &other).await?));
    drop(held);
    sources.sweep(Duration::ZERO);
    ensure!(!house.is_there(&one) && !house.is_there(&other));
    checkout(&sources, &one).await?;
    drop(sources);
    // A kill leaves temporary files, and mirrors that replaced others.
    let mirror = house.cache.join("mirrors").join(one.place());
    let strays = [house.cache.join(".tmpAbC"), mirror.join("objects/pack/.tmpDeF")];
    strays.iter().try_for_each(|path| std::fs::write(path, "half"))?;
    let replaced = mirror.with_extension("3");
    std::fs::create_dir(&replaced)?;
    let sources = house.sources();
    sources.sweep(Duration::from_hours(1));
    ensure!(is_read(&checkout(&sources, &one).await?), "a mirror is used again after a restart");
    for path in strays.iter().chain([&replaced]) {
        ensure!(!path.exists(), "{} is there still", path.display());
    }
    Ok(())
}

#[tokio::test]
async fn a_trust_domain_that_fills_the_cache_evicts_its_own_mirrors_and_blocks_no_other_fetch()
-> anyhow::Result<()> {
    let house = House::new(8 * MIB)?;
    let sources = house.sources();
    let within = |location: Location, name: &str| location.within(Domain::Namespace(name.into()));
    let victim = within(house.repository("victim", MIB)?, "victim");
    let held = checkout(&sources, &victim).await?;
    let mut hostile = Vec::new();
    for number in 0..6 {
        let location = within(house.repository(&format!("big{number}"), 19 * MIB / 10)?, "hostile");
        match checkout(&sources, &location).await {
            // Held, as a Sync holds what it follows.
            Ok(checkout) => hostile.push((location, checkout)),
            Err(error) => ensure!(error.name() == "CacheFull", "{error}"),
        }
    }
    let refused = within(house.repository("more", 1000)?, "hostile");
    let error =
        checkout(&sources, &refused).await.err().context("more was fetched than there is room for")?;
    ensure!(error.name() == "CacheFull" && error.to_string().contains("namespace-hostile"), "{error}");
    let small = within(house.repository("small", MIB / 2)?, "victim");
    ensure!(is_read(&checkout(&sources, &small).await?), "the others fetch");
    sources.sweep(Duration::from_hours(1));
    ensure!(house.is_there(&victim) && is_read(&held), "what the others have stays");
    let left = hostile.iter().filter(|(location, _)| house.is_there(location)).count();
    ensure!(left > 0 && left < hostile.len(), "{left} of {} are there", hostile.len());
    // With room again, everything is fetched that was refused.
    ensure!(is_read(&checkout(&sources, &refused).await?));
    for (location, old) in hostile {
        drop(old);
        ensure!(is_read(&checkout(&sources, &location).await?), "what was pushed out is fetched afresh");
        sources.sweep(Duration::from_hours(1));
    }
    Ok(())
}

#[tokio::test]
async fn a_repository_that_is_too_large_is_refused() -> anyhow::Result<()> {
    let house = House::new(8 * MIB)?;
    let sources = house.sources();
    let (large, small) = (house.repository("large", 3 * MIB)?, house.repository("small", MIB)?);
    let error = checkout(&sources, &large).await.err().context("it was received")?;
    ensure!(error.name() == "RepositoryTooLarge" && error.to_string().contains("2097152 bytes"), "{error}");
    let packs = house.cache.join("mirrors").join(large.place()).join("objects/pack");
    ensure!(packs.read_dir()?.count() == 0, "nothing of it is left");
    ensure!(is_read(&checkout(&sources, &small).await?));
    Ok(())
}

/// A file system of its own for the cache folder.
struct Small(PathBuf);

impl Small {
    fn mount(folder: &Path, size: &str) -> anyhow::Result<Self> {
        let path = folder.to_str().context("a path is text")?;
        run(folder, "mount", &["-t", "tmpfs", "-o", &format!("size={size}"), "holdfast", path])?;
        Ok(Self(folder.to_path_buf()))
    }

    fn resize(&self, size: &str) -> anyhow::Result<()> {
        let path = self.0.to_str().context("a path is text")?;
        run(Path::new("/"), "mount", &["-o", &format!("remount,size={size}"), path])
    }
}

impl Drop for Small {
    fn drop(&mut self) {
        // Lazily: what is open in it ends by itself.
        let _ = Command::new("umount").arg("-l").arg(&self.0).status();
    }
}

#[tokio::test]
async fn a_full_disk_is_survived() -> anyhow::Result<()> {
    let house = House::new(1000 * MIB)?;
    let disk = Small::mount(&house.cache, "4m")?;
    let sources = house.sources();
    let (small, large) = (house.repository("small", MIB)?, house.repository("large", 6 * MIB)?);
    let held = checkout(&sources, &small).await?;
    for _ in 0..3 {
        let error = checkout(&sources, &large).await.err().context("it was received")?;
        ensure!(error.name() == "DiskFull" && error.to_string().contains("large"), "{error}");
    }
    ensure!(is_read(&held) && is_read(&checkout(&sources, &small).await?), "the others go on");
    // Nothing is left of what had no room, and what is out of use makes room.
    drop(held);
    let fits = house.repository("fits", 29 * MIB / 10)?;
    let error = checkout(&sources, &fits).await.err().context("it was received")?;
    ensure!(error.name() == "DiskFull", "{error}");
    sources.sweep(Duration::from_hours(1));
    ensure!(is_read(&checkout(&sources, &fits).await?), "it goes on by itself when there is room");
    disk.resize("20m")?;
    ensure!(is_read(&checkout(&sources, &large).await?));
    ensure!(is_read(&checkout(&sources, &small).await?));
    Ok(())
}
