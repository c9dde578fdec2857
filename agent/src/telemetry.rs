//! Logs: one JSON object on each line of stdout, or text for users. An event is one line, in which control characters
//! and invisible ones are escaped. I/O: stdout.

use std::fmt;
use std::io;

use clap::ValueEnum;
use holdfast_diff::visible;
use jiff::Timestamp;
use serde_json::{Map, Value};
use tracing::field::{Field, Visit};
use tracing::{Event, Subscriber};
use tracing_subscriber::fmt::format::Writer;
use tracing_subscriber::fmt::{FmtContext, FormatEvent, FormatFields};
use tracing_subscriber::registry::LookupSpan;
use tracing_subscriber::{EnvFilter, Layer, layer::SubscriberExt as _, util::SubscriberInitExt as _};

/// The default of `RUST_LOG`. Errors of watches are reported by the callers: kube writes them in the
/// debug form of Rust.
const FILTER: &str = "info,kube=warn,kube_client=error,kube_runtime=error,hyper=warn,gix=warn,rustls=warn";

/// The form of log lines
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub enum LogFormat {
    #[default]
    Json,
    Text,
}

/// Why logging cannot start.
#[derive(Debug, thiserror::Error)]
#[error("cannot start logging: {0}")]
pub struct TelemetryError(#[from] tracing_subscriber::util::TryInitError);

/// Starts logging for the process; a panic is logged on one line too.
pub fn init(format: LogFormat) -> Result<(), TelemetryError> {
    let filter = EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new(FILTER));
    let lines = match format {
        LogFormat::Json => {
            tracing_subscriber::fmt::layer().fmt_fields(JsonFields).event_format(JsonLines).boxed()
        }
        LogFormat::Text => tracing_subscriber::fmt::layer().with_ansi(false).with_writer(|| Lines).boxed(),
    };
    tracing_subscriber::registry().with(filter).with(lines).try_init()?;
    std::panic::set_hook(Box::new(|panic| {
        let place = panic.location().map(ToString::to_string).unwrap_or_default();
        // The message of a panic can contain values; its place cannot.
        tracing::error!(place, "Defect: a task panicked");
    }));
    Ok(())
}

/// Writes `{"timestamp": …, "level": …, "message": …, "target": …, …fields}`, with the fields of the current spans.
struct JsonLines;

impl<S, N> FormatEvent<S, N> for JsonLines
where
    S: Subscriber + for<'a> LookupSpan<'a>,
    N: for<'a> FormatFields<'a> + 'static,
{
    fn format_event(
        &self,
        context: &FmtContext<'_, S, N>,
        mut writer: Writer<'_>,
        event: &Event<'_>,
    ) -> fmt::Result {
        let mut line = Map::new();
        let mut stage = None;
        for span in context.event_scope().into_iter().flat_map(tracing_subscriber::registry::Scope::from_root)
        {
            if let Some(fields) = span.extensions().get::<tracing_subscriber::fmt::FormattedFields<N>>()
                && let Ok(Value::Object(fields)) = serde_json::from_str(fields.as_str())
            {
                line.extend(fields);
            }
            stage = Some(span.name());
        }
        if let Some(stage) = stage {
            line.insert("stage".to_owned(), stage.into());
        }
        event.record(&mut Fields(&mut line));
        let metadata = event.metadata();
        line.insert("timestamp".to_owned(), Timestamp::now().to_string().into());
        line.insert("level".to_owned(), metadata.level().as_str().into());
        line.insert("target".to_owned(), metadata.target().into());
        writeln!(writer, "{}", visible::json(&Value::Object(line).to_string()))
    }
}

/// Stdout, to which one event at a time is written on one line, whatever its fields contain.
struct Lines;

impl io::Write for Lines {
    fn write(&mut self, event: &[u8]) -> io::Result<usize> {
        let text = String::from_utf8_lossy(event);
        let line = visible::line(text.trim_end_matches('\n'));
        let mut out = io::stdout().lock();
        io::Write::write_all(&mut out, line.as_bytes())?;
        io::Write::write_all(&mut out, b"\n")?;
        Ok(event.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        io::Write::flush(&mut io::stdout())
    }
}

/// Keeps the fields of a span as one JSON object.
struct JsonFields;

impl<'writer> FormatFields<'writer> for JsonFields {
    fn format_fields<R: tracing_subscriber::field::RecordFields>(
        &self,
        mut writer: Writer<'writer>,
        fields: R,
    ) -> fmt::Result {
        let mut map = Map::new();
        fields.record(&mut Fields(&mut map));
        write!(writer, "{}", Value::Object(map))
    }
}

struct Fields<'a>(&'a mut Map<String, Value>);

impl Visit for Fields<'_> {
    fn record_str(&mut self, field: &Field, value: &str) {
        self.0.insert(field.name().to_owned(), value.into());
    }

    fn record_i64(&mut self, field: &Field, value: i64) {
        self.0.insert(field.name().to_owned(), value.into());
    }

    fn record_u64(&mut self, field: &Field, value: u64) {
        self.0.insert(field.name().to_owned(), value.into());
    }

    fn record_f64(&mut self, field: &Field, value: f64) {
        self.0.insert(field.name().to_owned(), value.into());
    }

    fn record_bool(&mut self, field: &Field, value: bool) {
        self.0.insert(field.name().to_owned(), value.into());
    }

    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        self.0.insert(field.name().to_owned(), format!("{value:?}").into());
    }
}
