//! Log lines say which trace and span they belong to: every event inside a sampled span does.

use std::fmt;

use tracing::{Event, Metadata, Subscriber};
use tracing_subscriber::fmt::format::Writer;
use tracing_subscriber::fmt::{FmtContext, FormatEvent, FormatFields};
use tracing_subscriber::registry::LookupSpan;

use super::context::TraceContext;
use super::spans;

/// The fields of a line. Source: OpenTelemetry, trace context in non-OTLP log formats.
pub(super) const TRACE_ID: &str = "trace_id";
pub(super) const SPAN_ID: &str = "span_id";

/// How a line is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Shape {
    /// `trace=` and the trace's id at the end: people search for one.
    Text,
    /// Two more fields.
    Json,
}

/// A format that adds the trace to what another writes.
pub(super) struct TracedLines<F> {
    pub inner: F,
    pub shape: Shape,
}

/// The sampled trace that the running code works for.
pub(super) fn sampled() -> Option<TraceContext> {
    spans::current().filter(TraceContext::is_sampled)
}

/// Whether the event says so itself.
pub(super) fn names_its_trace(metadata: &Metadata<'_>) -> bool {
    metadata.fields().field(TRACE_ID).is_some()
}

impl<S, N, F> FormatEvent<S, N> for TracedLines<F>
where
    S: Subscriber + for<'a> LookupSpan<'a>,
    N: for<'a> FormatFields<'a> + 'static,
    F: FormatEvent<S, N>,
{
    fn format_event(&self, context: &FmtContext<'_, S, N>, mut writer: Writer<'_>, event: &Event<'_>) -> fmt::Result {
        let Some(trace) = sampled() else { return self.inner.format_event(context, writer, event) };
        let mut line = String::new();
        self.inner.format_event(context, Writer::new(&mut line), event)?;
        writer.write_str(&self.with(line, &trace, names_its_trace(event.metadata())))
    }
}

impl<F> TracedLines<F> {
    fn with(&self, mut line: String, trace: &TraceContext, names_its_trace: bool) -> String {
        line.truncate(line.trim_end_matches('\n').len());
        match self.shape {
            Shape::Text if names_its_trace => {}
            Shape::Text => line.extend([" trace=", &trace.trace_id_hex()]),
            Shape::Json => {
                // The line is an object, and never an empty one.
                line.pop();
                if !names_its_trace {
                    line.extend([",\"", TRACE_ID, "\":\"", &trace.trace_id_hex(), "\""]);
                }
                line.extend([",\"", SPAN_ID, "\":\"", &trace.span_id_hex(), "\"}"]);
            }
        }
        line.push('\n');
        line
    }
}

#[cfg(test)]
mod tests {
    use std::io::{self, Write};
    use std::sync::{Arc, Mutex};

    use tracing_subscriber::layer::SubscriberExt;

    use super::*;

    const TRACE: &str = "4bf92f3577b34da6a3ce929d0e0e4736";

    #[derive(Clone, Default)]
    struct Written(Arc<Mutex<Vec<u8>>>);

    impl Write for Written {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.lock().unwrap().write(bytes)
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    fn lines(shape: Shape, work: impl Fn()) -> Vec<String> {
        let written = Written::default();
        let to = written.clone();
        let layer = tracing_subscriber::fmt::layer().with_writer(move || to.clone());
        let subscriber = tracing_subscriber::registry();
        match shape {
            Shape::Json => {
                let layer = layer.json().flatten_event(true).map_event_format(|inner| TracedLines { inner, shape });
                tracing::subscriber::with_default(subscriber.with(layer), work);
            }
            Shape::Text => {
                let layer = layer.with_ansi(false).map_event_format(|inner| TracedLines { inner, shape });
                tracing::subscriber::with_default(subscriber.with(layer), work);
            }
        }
        let bytes = written.0.lock().unwrap().clone();
        String::from_utf8(bytes).unwrap().lines().map(str::to_owned).collect()
    }

    fn story() {
        let of = |flags: &str| TraceContext::parse(&format!("00-{TRACE}-00f067aa0ba902b7-{flags}"));
        tracing::info!(nested = "a}", "before");
        spans::within(of("01").as_ref(), || {
            tracing::info!(count = 1, "inside {{}}");
            tracing::warn!(trace_id = "its own", "named");
        });
        spans::within(of("00").as_ref(), || tracing::info!("not sampled"));
        tracing::info!("after");
    }

    #[test]
    fn a_line_inside_a_sampled_span_names_trace_and_span() {
        let lines = lines(Shape::Json, story);
        let read: Vec<serde_json::Value> = lines.iter().map(|line| serde_json::from_str(line).unwrap()).collect();
        let ids = |line: &serde_json::Value| [TRACE_ID, SPAN_ID].map(|key| line[key].as_str().map(str::to_owned));
        let span = Some("00f067aa0ba902b7".to_owned());
        assert_eq!(read.len(), 5);
        assert_eq!(read[1]["message"], "inside {}");
        assert_eq!(ids(&read[1]), [Some(TRACE.to_owned()), span.clone()]);
        assert_eq!(ids(&read[2]), [Some("its own".to_owned()), span]);
        assert_eq!(lines[2].matches(TRACE_ID).count(), 1, "{}", lines[2]);
        for outside in [0, 3, 4] {
            assert_eq!(ids(&read[outside]), [None, None], "{}", lines[outside]);
        }
    }

    #[test]
    fn a_line_of_text_ends_with_its_trace() {
        let lines = lines(Shape::Text, story);
        assert_eq!(lines.len(), 5);
        assert!(lines[1].ends_with(&format!("inside {{}} count=1 trace={TRACE}")), "{}", lines[1]);
        assert!([0, 2, 3, 4].iter().all(|outside| !lines[*outside].contains(TRACE)), "{lines:?}");
    }
}
