//! The subprocess: what it is given, and that it ends, with all that it started, however it is used.

use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::ensure;
use holdfast::error::{Class, StageError as _};
use holdfast::render::helm::{Chart, HelmError, Limits, Runner};
use serde_json::json;

use super::kit::{Bench, config_map, gone, processes, programs, release, said, text};

/// Ten thousand times ten thousand rounds that print nothing.
const ENDLESS: &str = "{{ range until 10000 }}{{ range until 10000 }}{{ end }}{{ end }}";
const MIB: u64 = 1024 * 1024;

/// A chart with one template.
async fn chart_of(bench: &Bench, runner: &Runner, template: &str) -> anyhow::Result<Chart> {
    bench.chart("web", "1.0.0", &[("templates/a.yaml", template)])?;
    Ok(bench.folder(runner, "web").await?)
}

#[tokio::test]
async fn a_render_without_an_end_is_ended() -> anyhow::Result<()> {
    for program in programs()? {
        let bench = Bench::make()?;
        let runner = bench.runner_with(program, Limits { time: Duration::from_secs(2), ..Limits::default() });
        let chart = chart_of(&bench, &runner, ENDLESS).await?;
        let started = Instant::now();
        let error = runner.template(&chart, &release(&json!({}))).await.err();
        assert_eq!(error, Some(HelmError::Timeout { seconds: 2 }));
        assert_eq!(error.map(|error| error.class()), Some(Class::Transient));
        assert!(started.elapsed() < Duration::from_secs(8), "{:?}", started.elapsed());
        assert_eq!(processes(&bench.root().display().to_string())?, [""; 0]);
        assert!(
            std::fs::read_dir(bench.cache().join("helm-runs"))?.next().is_none(),
            "values are left on disk"
        );
    }
    Ok(())
}

#[tokio::test]
async fn a_render_that_is_dropped_is_ended_with_all_that_it_started() -> anyhow::Result<()> {
    let bench = Bench::make()?;
    // A number that no other test has, to find the processes by.
    let runner = bench.runner(&bench.fake("/bin/sleep 31337.1 & /bin/sleep 31337.1")?);
    let chart = chart_of(&bench, &runner, "a: 1\n").await?;
    let release = release(&json!({}));
    let render = runner.template(&chart, &release);
    ensure!(tokio::time::timeout(Duration::from_secs(1), render).await.is_err(), "it ended by itself");
    gone("31337.1").await?;
    Ok(())
}

#[tokio::test]
async fn what_helm_started_ends_with_its_time() -> anyhow::Result<()> {
    let bench = Bench::make()?;
    let program = bench.fake("/bin/sleep 31337.2 & exit 0")?;
    let runner = bench.runner_with(&program, Limits { time: Duration::from_secs(1), ..Limits::default() });
    let chart = chart_of(&bench, &runner, "a: 1\n").await?;
    // It holds the output open.
    assert_eq!(
        runner.template(&chart, &release(&json!({}))).await.err(),
        Some(HelmError::Timeout { seconds: 1 })
    );
    gone("31337.2").await
}

#[tokio::test]
async fn memory_is_limited() -> anyhow::Result<()> {
    for program in programs()? {
        let bench = Bench::make()?;
        let runner = bench.runner_with(program, Limits { memory: 128 * MIB, ..Limits::default() });
        let small = chart_of(&bench, &runner, &config_map("b")).await?;
        runner.template(&small, &release(&json!({}))).await?;
        let chart = chart_of(&bench, &runner, "{{ until 100000000 | len }}").await?;
        let error = runner.template(&chart, &release(&json!({}))).await.err();
        assert_eq!(error, Some(HelmError::OutOfMemory { limit: 128 * MIB }), "{}", program.display());
    }
    Ok(())
}

#[tokio::test]
async fn templates_that_expand_end_with_one_clear_error() -> anyhow::Result<()> {
    let twice = r#"{{ define "r" }}{{ include "r" . }}{{ include "r" . }}{{ end }}{{ include "r" . }}"#;
    let template = r#"{{ define "r" }}{{ template "r" . }}{{ end }}{{ template "r" . }}"#;
    let cases = [
        (twice, "without an end"),
        (template, "exceeded maximum template depth"),
        (r#"a: {{ repeat 2000000000 "x" }}"#, "256 MiB of memory"),
        ("{{ range until 1000000000 }}x{{ end }}", "256 MiB of memory"),
        (r#"{{ $x := "x" }}{{ range until 60 }}{{ $x = print $x $x }}{{ end }}"#, "256 MiB of memory"),
    ];
    for program in programs()? {
        let bench = Bench::make()?;
        let limits = Limits { memory: 256 * MIB, time: Duration::from_mins(1), ..Limits::default() };
        let runner = bench.runner_with(program, limits);
        for (template, words) in cases {
            let chart = chart_of(&bench, &runner, template).await?;
            let said = said(runner.template(&chart, &release(&json!({}))).await);
            ensure!(said.contains(words) && said.len() < 1000, "{template}: {said}");
        }
    }
    Ok(())
}

#[tokio::test]
async fn output_is_limited() -> anyhow::Result<()> {
    for program in programs()? {
        let bench = Bench::make()?;
        let runner = bench.runner_with(program, Limits { output: 1000, ..Limits::default() });
        let chart = chart_of(&bench, &runner, &config_map("{{ repeat 2000 \"x\" }}")).await?;
        let error = runner.template(&chart, &release(&json!({}))).await.err();
        assert_eq!(error, Some(HelmError::OutputTooLarge { limit: 1000 }));
    }
    // What is said beside is read to its end, or else the program would wait for ever.
    let bench = Bench::make()?;
    let runner = bench
        .runner(&bench.fake("/usr/bin/head -c 3000000 /dev/zero >&2; echo 'Error: enough' >&2; exit 1")?);
    let chart = chart_of(&bench, &runner, "a: 1\n").await?;
    assert!(
        said(runner.template(&chart, &release(&json!({}))).await).starts_with("Helm refuses the chart: ")
    );
    Ok(())
}

#[tokio::test]
async fn helm_knows_nothing_of_its_surroundings() -> anyhow::Result<()> {
    let bench = Bench::make()?;
    let runner = bench.runner(&bench.fake(
        "echo '# Source: env'; /usr/bin/env; echo \"arguments=$*\"; /usr/bin/stat -c 'mode=%a' \"$HOME\"; \
         echo \"values=$(/bin/cat \"$HOME/values.json\")\"",
    )?);
    let chart = chart_of(&bench, &runner, "a: 1\n").await?;
    let values = json!({"password": "s3cret"});
    let text = text(&runner.template(&chart, &release(&values)).await?);
    let names: Vec<&str> = text.lines().filter_map(|line| Some(line.split_once('=')?.0)).collect();
    // What a shell sets by itself.
    let mut names: Vec<_> =
        names.into_iter().filter(|name| !["PWD", "OLDPWD", "SHLVL", "_"].contains(name)).collect();
    names.sort_unstable();
    assert_eq!(
        names,
        [
            "GOMAXPROCS",
            "GOMEMLIMIT",
            "GOTRACEBACK",
            "HELM_CACHE_HOME",
            "HELM_CONFIG_HOME",
            "HELM_DATA_HOME",
            "HELM_PLUGINS",
            "HOME",
            "HTTPS_PROXY",
            "HTTP_PROXY",
            "KUBECONFIG",
            "TMPDIR",
            "arguments",
            "http_proxy",
            "https_proxy",
            "mode",
            "values"
        ]
    );
    let line =
        |name: &str| text.lines().find_map(|line| line.strip_prefix(name)).unwrap_or_default().to_owned();
    assert!(line("HOME=").starts_with(&bench.cache().join("helm-runs").display().to_string()), "{text}");
    assert_eq!(line("HTTPS_PROXY="), "http://127.0.0.1:9");
    assert_eq!(line("mode="), "700");
    assert_eq!(line("values="), "{\"password\":\"s3cret\"}");
    assert!(!line("arguments=").contains("s3cret"), "{text}");
    Ok(())
}

#[tokio::test]
async fn the_system_limits_what_helm_uses() -> anyhow::Result<()> {
    let bench = Bench::make()?;
    // The limits are set right after the start.
    let program = bench.fake("/bin/sleep 0.3; echo '# Source: limits'; /bin/cat /proc/self/limits")?;
    let runner = bench.runner(&program);
    let chart = chart_of(&bench, &runner, "a: 1\n").await?;
    let text = text(&runner.template(&chart, &release(&json!({}))).await?);
    let limit = |name: &str| {
        let line = text.lines().find_map(|line| line.strip_prefix(name)).unwrap_or_default();
        line.split_whitespace().take(2).collect::<Vec<_>>().join(" ")
    };
    assert_eq!(limit("Max data size"), "536870912 536870912");
    assert_eq!(limit("Max cpu time"), "130 130");
    assert_eq!(limit("Max core file size"), "0 0");
    Ok(())
}

#[tokio::test]
async fn a_chart_that_gives_one_answer_is_rendered_once() -> anyhow::Result<()> {
    for (template, runs) in [("{{ .Values.now }}", 1), ("{{ uuidv4 }}", 2), ("{{ now }}", 2)] {
        let bench = Bench::make()?;
        let runner = bench.runner(&bench.fake("echo run >> \"$HOME/../../runs\"")?);
        let chart = chart_of(&bench, &runner, &config_map(template)).await?;
        runner.template(&chart, &release(&json!({}))).await?;
        assert_eq!(std::fs::read_to_string(bench.cache().join("runs"))?.lines().count(), runs, "{template}");
    }
    Ok(())
}

#[tokio::test]
async fn a_chart_reaches_no_network() -> anyhow::Result<()> {
    for program in programs()? {
        let bench = Bench::make()?;
        let runner = bench.runner(program);
        let chart = chart_of(&bench, &runner, &config_map("x{{ getHostByName \"localhost\" }}x")).await?;
        let rendered = text(&runner.template(&chart, &release(&json!({}))).await?);
        assert!(rendered.contains("a: xx"), "{rendered}");
    }
    Ok(())
}

#[tokio::test]
async fn what_an_earlier_process_left_is_removed() -> anyhow::Result<()> {
    let bench = Bench::make()?;
    let runs = bench.cache().join("helm-runs");
    // A process id that no system gives, and our parent's, which lives.
    let parent = std::os::unix::process::parent_id();
    for name in ["99999999-abc", "half", &format!("{parent}-abc")] {
        std::fs::create_dir_all(runs.join(name))?;
        std::fs::write(runs.join(name).join("values.json"), "{}")?;
    }
    bench.runner(&programs()?[0]);
    let left: Vec<_> = std::fs::read_dir(&runs)?.collect::<Result<Vec<_>, _>>()?;
    assert_eq!(left.len(), 1);
    assert!(left[0].path().ends_with(format!("{parent}-abc")));
    Ok(())
}

#[tokio::test]
async fn a_helm_that_is_none_is_told() -> anyhow::Result<()> {
    let bench = Bench::make()?;
    let of = async |program: &Path| said(bench.runner(program).version().await);
    let advice = "install Helm 3.14 or newer, or name its path";
    assert_eq!(
        of(Path::new("/nowhere/helm")).await,
        format!("cannot run /nowhere/helm: No such file or directory (os error 2); {advice}")
    );
    assert!(of(Path::new("no-such-helm")).await.starts_with("cannot run no-such-helm: "));
    assert_eq!(
        of(Path::new("/bin/echo")).await,
        format!("cannot run /bin/echo: its version is \"version --template {{{{.Version}}}}\"; {advice}")
    );
    let old = bench.program("echo v3.9.4+gdbc6d8e")?;
    assert_eq!(
        of(&old).await,
        format!("{} is Helm v3.9.4+gdbc6d8e, which is too old; install 3.14 or newer", old.display())
    );
    for program in programs()? {
        let version = bench.runner(program).version().await?.clone();
        assert!(version.major == 4 || version.major == 3, "{version}");
    }
    Ok(())
}
