//! How fast kustomizations are rendered, beside kubectl, and in how much memory large definitions are.
//! I/O: processes, disk.

use std::io::Read as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context as _, ensure};
use holdfast::api;
use holdfast::render::ask::Answers;
use holdfast::render::{self, Inputs, Job};
use holdfast_diff::budget::Limits;
use holdfast_diff::yaml;
use holdfast_tests::agent::program;
use holdfast_tests::corpus::{self, File};
use holdfast_tests::disk::Disk;
use holdfast_tests::tools::progress;
use holdfast_tests::watchdog::Folder;
use serde_json::json;

/// The corpus that is rendered.
const SEED: u64 = 1;
/// Folders of the corpus.
const FOLDERS: usize = 1000;
/// Files of definitions, and fields of each: 30 MB in all.
const DEFINITIONS: (usize, usize) = (60, 400);

/// Seconds that each way took in all.
#[derive(Default)]
struct Seconds {
    kubectl: f64,
    process: f64,
    library: f64,
}

/// `kubectl kustomize`, `holdfast render` and the library over the same folders, in turns, so that all of them meet the
/// same noise. Fails if one byte differs.
pub async fn render(sample: usize) -> anyhow::Result<()> {
    let kubectl = holdfast_tests::tools().await?.kubectl;
    let holdfast = program().await?.to_path_buf();
    tokio::task::spawn_blocking(move || compare(&kubectl, &holdfast, sample)).await?
}

fn compare(kubectl: &Path, holdfast: &Path, sample: usize) -> anyhow::Result<()> {
    let folder = Folder::make("bench")?;
    let root = folder.path().canonicalize()?;
    // As a working tree: the program looks for the root of the repository.
    std::fs::create_dir(root.join(".git"))?;
    let builds = corpus::write(&root, SEED, FOLDERS)?;
    let every = (builds.len() / sample.clamp(1, FOLDERS)).max(1);
    let chosen: Vec<&String> = builds.iter().step_by(every).take(sample).collect();
    progress(&format!("render: {} of {FOLDERS} kustomizations", chosen.len()));
    let disk = Disk { root: root.clone() };
    let (mut seconds, mut equal, mut objects, mut unequal) = (Seconds::default(), 0, Vec::new(), Vec::new());
    for (at, build) in chosen.iter().enumerate() {
        let path = root.join(build);
        let (mut original, mut ours) = (Vec::new(), Vec::new());
        // Who begins changes from folder to folder.
        for program in [at % 2, (at + 1) % 2] {
            if program == 0 {
                seconds.kubectl += timed(&mut original, || run(kubectl, "kustomize", &path))?;
            } else {
                seconds.process += timed(&mut ours, || run(holdfast, "render", &path))?;
            }
        }
        let mut library = (Vec::new(), 0);
        seconds.library += timed(&mut library, || in_process(&disk, build))?;
        objects.push(library.1);
        if original == ours && original == library.0 {
            equal += original.len();
        } else {
            unequal.push((*build).clone());
        }
    }
    objects.sort_unstable();
    let (least, median) = (objects.first(), objects.get(objects.len() / 2));
    println!(
        "{}",
        json!({"bench": "render", "case": format!("{} kustomizations", chosen.len()),
            "ratio_processes": seconds.kubectl / seconds.process, "ratio_in_process": seconds.kubectl / seconds.library,
            "kubectl_seconds": seconds.kubectl, "process_seconds": seconds.process, "in_process_seconds": seconds.library,
            "equal_bytes": equal, "unequal": unequal.len(), "objects": [least, median, objects.last()]})
    );
    ensure!(unequal.is_empty(), "these render to other bytes than kubectl's: {}", unequal.join(", "));
    Ok(())
}

/// Runs something, keeps what it gives, and tells how long it took.
fn timed<T>(kept: &mut T, run: impl FnOnce() -> anyhow::Result<T>) -> anyhow::Result<f64> {
    let started = Instant::now();
    *kept = run()?;
    Ok(started.elapsed().as_secs_f64())
}

/// What a program says of a folder.
fn run(program: &Path, verb: &str, folder: &Path) -> anyhow::Result<Vec<u8>> {
    let output = Command::new(program).arg(verb).arg(folder).output()?;
    let said = String::from_utf8_lossy(&output.stderr);
    ensure!(output.status.success(), "{} {verb} {}: {said}", program.display(), folder.display());
    Ok(output.stdout)
}

/// What the library makes of a folder: its text, and how many objects there are.
fn in_process(disk: &Disk, folder: &str) -> anyhow::Result<(Vec<u8>, usize)> {
    let (options, inputs) = (api::Render::default(), Inputs::default());
    let answers = Answers::default();
    let (limits, keys) = (Limits::default(), None);
    let job = Job { folder, options: &options, inputs: &inputs, keys, answers: &answers, limits };
    let objects = render::of_files(disk, &job).with_context(|| folder.to_owned())?.objects;
    let texts: Vec<String> = objects.iter().map(|object| yaml::write(&object.value)).collect();
    let count = objects.len();
    render::manifests(objects, None)?;
    Ok((texts.join("---\n").into_bytes(), count))
}

/// The most memory that rendering definitions takes, beside their size: as plain files, and by a kustomization.
pub async fn definitions() -> anyhow::Result<()> {
    let holdfast = program().await?.to_path_buf();
    tokio::task::spawn_blocking(move || {
        let folder = Folder::make("bench")?;
        let (files, fields) = DEFINITIONS;
        let names: Vec<String> = (0..files).map(|at| format!("kind{at}")).collect();
        let texts: Vec<File> =
            names.iter().map(|name| (format!("{name}.yaml"), corpus::definition(name, fields))).collect();
        let size: usize = texts.iter().map(|(_, text)| text.len()).sum();
        let resources: Vec<String> = names.iter().map(|name| format!("- {name}.yaml\n")).collect();
        for (case, more) in [("plain", None), ("kustomization", Some(resources.concat()))] {
            let root = folder.path().join(case);
            corpus::put(&root, &texts)?;
            if let Some(resources) = more {
                std::fs::write(root.join("kustomization.yaml"), format!("resources:\n{resources}"))?;
            }
            progress(&format!("crds: {} MB, {case}", size / 1_000_000));
            let (peak, seconds) = peak(&holdfast, &root)?;
            println!(
                "{}",
                json!({"bench": "crds", "case": case, "bytes": size, "peak_bytes": peak, "seconds": seconds,
                    "times_size": times(peak, size as u64)})
            );
        }
        Ok(())
    })
    .await?
}

/// The most memory that rendering a folder took, and the seconds.
fn peak(holdfast: &Path, folder: &Path) -> anyhow::Result<(u64, f64)> {
    let started = Instant::now();
    let mut child = Command::new(holdfast).arg("render").arg(folder).stdout(Stdio::piped()).spawn()?;
    let mut stdout = child.stdout.take().context("its output is a pipe")?;
    let reading = std::thread::spawn(move || {
        let mut text = Vec::new();
        stdout.read_to_end(&mut text).map(|_| text.len())
    });
    let mut peak = 0;
    let status = PathBuf::from(format!("/proc/{}/status", child.id()));
    while child.try_wait()?.is_none() {
        peak = high_water(&status)?.unwrap_or(peak);
        std::thread::sleep(Duration::from_millis(1));
    }
    let seconds = started.elapsed().as_secs_f64();
    ensure!(child.wait()?.success(), "holdfast render {} failed", folder.display());
    let written = reading.join().map_err(|_| anyhow::anyhow!("the reader of the output panicked"))??;
    ensure!(written > 0, "holdfast render {} wrote nothing", folder.display());
    Ok((peak, seconds))
}

/// How many times a number of bytes is in another, to a hundredth.
fn times(peak: u64, size: u64) -> f64 {
    f64::from(u32::try_from(peak * 100 / size.max(1)).unwrap_or(u32::MAX)) / 100.0
}

/// The most memory that a process had, in bytes; `None` once it has ended.
fn high_water(status: &Path) -> anyhow::Result<Option<u64>> {
    let text = std::fs::read_to_string(status)?;
    let Some(line) = text.lines().find(|line| line.starts_with("VmHWM:")) else { return Ok(None) };
    let kib: u64 = line.split_whitespace().nth(1).context("no number in VmHWM")?.parse()?;
    Ok(Some(kib * 1024))
}
