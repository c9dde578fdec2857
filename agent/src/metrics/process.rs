//! The metrics of this process, under their usual names. I/O: reads `/proc`.

use std::sync::atomic::{AtomicI64, AtomicU64};

use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::registry::{Registry, Unit};

/// Returns the metrics of this process, under their usual names. Values that the system does not provide are left out.
pub fn metrics() -> Registry {
    let mut registry = Registry::with_prefix("process");
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let kib = |field: &str| {
        let line = status.lines().find(|line| line.starts_with(field))?;
        line.split_whitespace().nth(1)?.parse::<i64>().ok()
    };
    let mut gauge = |name: &str, help: &str, unit: Unit, value: Option<i64>| {
        if let Some(value) = value {
            let gauge = Gauge::<i64, AtomicI64>::default();
            gauge.set(value);
            registry.register_with_unit(name, help, unit, gauge);
        }
    };
    gauge("resident_memory", "Resident memory", Unit::Bytes, kib("VmRSS:").map(|kib| kib * 1024));
    gauge("virtual_memory", "Virtual memory", Unit::Bytes, kib("VmSize:").map(|kib| kib * 1024));
    let open = std::fs::read_dir("/proc/self/fd").ok().and_then(|open| i64::try_from(open.count()).ok());
    if let Some(open) = open {
        let gauge = Gauge::<i64, AtomicI64>::default();
        gauge.set(open);
        registry.register("open_fds", "Open file descriptors", gauge);
    }
    if let Some(threads) = kib("Threads:") {
        let gauge = Gauge::<i64, AtomicI64>::default();
        gauge.set(threads);
        registry.register("threads", "Threads", gauge);
    }
    if let Some(seconds) = start_seconds() {
        let gauge = Gauge::<f64, AtomicU64>::default();
        gauge.set(seconds);
        registry.register_with_unit("start_time", "Start of the process since 1970", Unit::Seconds, gauge);
    }
    if let Some(seconds) = cpu_seconds() {
        let counter = Counter::<f64, AtomicU64>::default();
        counter.inc_by(seconds);
        registry.register_with_unit("cpu", "Time on a processor", Unit::Seconds, counter);
    }
    registry
}

/// User and system time.
fn cpu_seconds() -> Option<f64> {
    Some(stat_seconds(11)? + stat_seconds(12)?)
}

/// When the process started, in seconds since 1970: the time of the system's start, and the time since then.
fn start_seconds() -> Option<f64> {
    let system = std::fs::read_to_string("/proc/stat").ok()?;
    let booted = system.lines().find_map(|line| line.strip_prefix("btime "))?;
    Some(booted.trim().parse::<f64>().ok()? + stat_seconds(19)?)
}

/// Returns a time of this process, by its position after the name, in hundredths of a second by `proc(5)`.
fn stat_seconds(position: usize) -> Option<f64> {
    let stat = std::fs::read_to_string("/proc/self/stat").ok()?;
    // The name of the program is in brackets and may contain spaces.
    let ticks = stat.rsplit_once(')')?.1.split_whitespace().nth(position)?;
    Some(ticks.parse::<f64>().ok()? / 100.0)
}

#[cfg(test)]
mod tests {
    use std::time::{SystemTime, UNIX_EPOCH};

    use super::*;

    #[test]
    fn the_process_started_a_moment_ago() {
        let now = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0.0, |now| now.as_secs_f64());
        let age = now - start_seconds().unwrap_or_default();
        assert!((-5.0..86_400.0).contains(&age), "{age} s ago");
    }
}
