//! The parts of the container image that can be tested without building it: what the Dockerfile copies is there, the
//! image that comes out is small and not root, and the program can be static. I/O: disk reads, `readelf`.

use std::path::Path;
use std::process::Command;

use anyhow::{Context as _, ensure};
use holdfast_tests::{agent, root};

/// What glibc gives, and so can be linked into the program.
const STATIC: &[&str] = &["libc.so", "libm.so", "libgcc_s.so", "ld-linux"];

/// The instructions of the Dockerfile, each on one line, without comments.
fn instructions() -> anyhow::Result<Vec<String>> {
    let text = std::fs::read_to_string(root().join("Dockerfile"))?;
    let text = text.lines().filter(|line| !line.starts_with('#')).collect::<Vec<_>>().join("\n");
    let text = text.replace("\\\n", " ");
    Ok(text.lines().map(str::trim).filter(|line| !line.is_empty()).map(ToOwned::to_owned).collect())
}

/// The instructions of each stage; each starts with its FROM.
fn stages() -> anyhow::Result<Vec<Vec<String>>> {
    let mut stages: Vec<Vec<String>> = Vec::new();
    for instruction in instructions()? {
        if instruction.starts_with("FROM ") {
            stages.push(Vec::new());
        }
        stages.last_mut().context("the Dockerfile does not begin with FROM")?.push(instruction);
    }
    Ok(stages)
}

/// The target that the Dockerfile names.
fn triple() -> String {
    format!("{}-unknown-linux-gnu", std::env::consts::ARCH)
}

/// The dynamic libraries that a program asks for.
fn needed(program: &Path) -> anyhow::Result<Vec<String>> {
    let output = Command::new("readelf").arg("-d").arg(program).output();
    let output = output.context("cannot start readelf; install binutils")?;
    ensure!(output.status.success(), "readelf failed: {}", String::from_utf8_lossy(&output.stderr));
    let text = String::from_utf8(output.stdout)?;
    let names = text.lines().filter(|line| line.contains("(NEEDED)"));
    Ok(names.filter_map(|line| Some(line.split_once('[')?.1.split_once(']')?.0.to_owned())).collect())
}

#[test]
fn what_is_copied_is_there() -> anyhow::Result<()> {
    let ignored = std::fs::read_to_string(root().join(".dockerignore"))?;
    let mut copied = 0;
    for instruction in instructions()? {
        let Some(paths) = instruction.strip_prefix("COPY ").filter(|paths| !paths.starts_with("--from="))
        else {
            continue;
        };
        let paths: Vec<&str> = paths.split_whitespace().collect();
        let (_, sources) = paths.split_last().context("COPY names nothing")?;
        for path in sources {
            ensure!(root().join(path).exists(), "Dockerfile copies {path}, which is not there");
            let kept = ignored.lines().any(|line| line.strip_prefix('!') == Some(path));
            ensure!(kept, "Dockerfile copies {path}, which .dockerignore leaves out; add !{path} to it");
            copied += 1;
        }
    }
    ensure!(copied > 0, "Dockerfile copies nothing");
    Ok(())
}

#[test]
fn every_member_of_the_workspace_is_copied() -> anyhow::Result<()> {
    let manifest = std::fs::read_to_string(root().join("Cargo.toml"))?;
    let members = manifest.lines().find_map(|line| line.strip_prefix("members = ["));
    let members = members.context("Cargo.toml names no members on one line")?;
    let copies = instructions()?;
    for member in members.trim_end_matches(']').split(',').map(|member| member.trim().trim_matches('"')) {
        // A folder that is copied brings the members in it along.
        let mut folders = Path::new(member).ancestors().filter_map(Path::to_str);
        let copied =
            folders.any(|folder| copies.iter().any(|line| *line == format!("COPY {folder} {folder}")));
        ensure!(
            copied,
            "Dockerfile does not copy {member}, a member of the workspace; cargo --locked would fail"
        );
    }
    Ok(())
}

#[test]
fn images_are_not_root_and_the_default_one_has_no_shell() -> anyhow::Result<()> {
    let stages = stages()?;
    let (last, before) = stages.split_last().context("Dockerfile has no stage")?;
    ensure!(last[0].starts_with("FROM gcr.io/distroless/static"), "the image is made from {}", last[0]);
    ensure!(!last.iter().any(|line| line.starts_with("RUN ")), "the default image runs a shell: {last:?}");
    let ssh =
        before.iter().find(|stage| stage[0].ends_with(" AS ssh")).context("Dockerfile has no stage ssh")?;
    for stage in [last, ssh] {
        for wanted in ["USER 65532", r#"ENTRYPOINT ["/holdfast"]"#, r#"CMD ["agent"]"#] {
            ensure!(stage.iter().any(|line| line == wanted), "{} has no {wanted}", stage[0]);
        }
    }
    Ok(())
}

#[test]
fn the_program_is_built_to_be_static() -> anyhow::Result<()> {
    let stages = stages()?;
    let build = stages.first().context("Dockerfile has no stage")?.join("\n");
    let manifest = std::fs::read_to_string(root().join("Cargo.toml"))?;
    let version = manifest.lines().find_map(|line| line.strip_prefix("rust-version = \""));
    let version = version.context("Cargo.toml names no rust-version")?.trim_end_matches('"');
    for wanted in [
        &format!("FROM rust:{version}-"),
        r#"RUSTFLAGS="-C target-feature=+crt-static""#,
        "--locked --release -p holdfast --bin holdfast",
        "-unknown-linux-gnu",
    ] {
        ensure!(build.contains(wanted), "the Dockerfile's first stage does not say {wanted}");
    }
    Ok(())
}

/// The flags do what they are there for: a small program that is built with them needs no library.
#[test]
fn the_flags_of_the_dockerfile_link_statically() -> anyhow::Result<()> {
    let folder = tempfile::tempdir()?;
    let (source, program) = (folder.path().join("small.rs"), folder.path().join("small"));
    std::fs::write(
        &source,
        "fn main() { println!(\"{:?}\", std::net::ToSocketAddrs::to_socket_addrs(\"localhost:80\").is_ok()) }",
    )?;
    let mut rustc = Command::new(std::env::var_os("RUSTC").unwrap_or_else(|| "rustc".into()));
    rustc.args(["-C", "target-feature=+crt-static", "--target", &triple(), "-o"]).arg(&program).arg(&source);
    let output = rustc.output().context("cannot start rustc")?;
    ensure!(output.status.success(), "rustc failed: {}", String::from_utf8_lossy(&output.stderr));
    let needed = needed(&program)?;
    ensure!(needed.is_empty(), "it needs {needed:?}");
    let answer = Command::new(&program).output()?;
    ensure!(answer.status.success(), "it is static, and does not run: {}", answer.status);
    Ok(())
}

#[test]
fn a_program_built_like_the_images_needs_no_library() -> anyhow::Result<()> {
    let target = std::env::var_os("CARGO_TARGET_DIR").map_or_else(|| root().join("target"), Into::into);
    let program = target.join(triple()).join("release/holdfast");
    // Building the image takes minutes, so it is checked only where it was built before.
    if program.exists() {
        let needed = needed(&program)?;
        ensure!(needed.is_empty(), "{} needs {needed:?}, so it is not static", program.display());
    }
    Ok(())
}

#[tokio::test]
async fn the_program_needs_only_what_can_be_linked_in() -> anyhow::Result<()> {
    for library in needed(agent::program().await?)? {
        let known = STATIC.iter().any(|name| library.starts_with(name));
        ensure!(
            known,
            "holdfast needs {library}, which crt-static does not link in; leave out what links it"
        );
    }
    Ok(())
}
