//! The progress of a run. The stages write it; the reporter of long runs reads it. Pure.

use parking_lot::Mutex;

/// The step of a run that polls a ref because its interval is over.
pub const POLLING: &str = "looking for a newer revision";

/// What a run is doing. Shared by the stages of one run and its reporter.
#[derive(Debug, Default)]
pub struct Progress(Mutex<Step>);

/// What a run is doing at a time.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Step {
    /// The stage; empty before the first one.
    pub stage: &'static str,
    doing: &'static str,
    pub revision: Option<Revision>,
    /// Number of finished objects, and of all; `None` if objects are not counted.
    pub objects: Option<(usize, usize)>,
    /// The wave that is being applied, and the number of waves, if there is more than one.
    pub wave: Option<(usize, usize)>,
}

/// The revision that a run works on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Revision {
    /// `main@sha1:<40 hex>`
    pub full: String,
    /// `main@1a2b3c4`
    pub short: String,
    /// True if it differs from the revision of the last verdict in what the Sync reads.
    pub news: bool,
}

impl Progress {
    /// Records that a step begins in which objects are not counted.
    pub fn begin(&self, stage: &'static str, doing: &'static str) {
        self.change(|step| {
            let revision = step.revision.take();
            *step = Step { stage, doing, revision, objects: None, wave: None };
        });
    }

    /// As [`begin`](Self::begin), but a scheduled poll of the source stays one.
    pub fn proceed(&self, stage: &'static str, doing: &'static str) {
        if !self.step().is(POLLING) {
            self.begin(stage, doing);
        }
    }

    /// Records that a step begins in which objects are counted.
    pub fn begin_objects(&self, stage: &'static str, doing: &'static str, total: usize) {
        self.begin(stage, doing);
        self.change(|step| step.objects = Some((0, total)));
    }

    /// Records that one more object is finished.
    pub fn object(&self) {
        self.change(|step| {
            if let Some((done, _)) = &mut step.objects {
                *done += 1;
            }
        });
    }

    /// Records which wave is being applied.
    pub fn wave(&self, at: usize, of: usize) {
        self.change(|step| step.wave = (of > 1).then_some((at, of)));
    }

    /// Records the revision on which the run works.
    pub fn revision(&self, full: &str, short: &str, news: bool) {
        let revision = Revision { full: full.to_owned(), short: short.to_owned(), news };
        self.change(|step| step.revision = Some(revision));
    }

    /// Returns what the run is doing now.
    pub fn step(&self) -> Step {
        self.0.lock().clone()
    }

    fn change(&self, change: impl FnOnce(&mut Step)) {
        change(&mut self.0.lock());
    }
}

impl Step {
    /// True if this is the current step.
    pub fn is(&self, doing: &str) -> bool {
        self.doing == doing
    }

    /// Returns the message for users: `applying 480 of 600 objects, wave 1 of 2`.
    pub fn message(&self) -> String {
        let doing = if self.doing.is_empty() { "starting" } else { self.doing };
        let objects = match self.objects {
            Some((done, 1)) => format!(" {done} of 1 object"),
            Some((done, total)) => format!(" {done} of {total} objects"),
            None => String::new(),
        };
        let wave = self.wave.map(|(at, of)| format!(", wave {at} of {of}")).unwrap_or_default();
        format!("{doing}{objects}{wave}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_step_says_what_is_done_and_how_far_that_is() {
        let progress = Progress::default();
        assert_eq!(progress.step().message(), "starting");
        progress.begin("source", "fetching the source");
        progress.revision("main@sha1:1a2b", "main@1a2b", true);
        assert_eq!(progress.step().message(), "fetching the source");
        progress.begin_objects("apply", "applying", 3);
        progress.wave(1, 2);
        progress.object();
        progress.object();
        assert_eq!(progress.step().message(), "applying 2 of 3 objects, wave 1 of 2");
        assert!(progress.step().revision.is_some_and(|revision| revision.news));
        progress.begin("apply", "removing");
        progress.object();
        assert_eq!(progress.step().message(), "removing");
        progress.proceed("render", "fetching the chart");
        assert_eq!(progress.step().message(), "fetching the chart");
        progress.begin("source", POLLING);
        progress.proceed("render", "fetching the chart");
        assert!(progress.step().is(POLLING));
    }

    #[test]
    fn a_single_wave_and_a_single_object_read_well() {
        let progress = Progress::default();
        progress.begin_objects("apply", "removing", 1);
        progress.wave(1, 1);
        assert_eq!(progress.step().message(), "removing 0 of 1 object");
    }
}
