//! The gateway's own log: what operators should know, on standard error.
//!
//! People reading a terminal get text, collectors get JSON lines. Pingora logs through
//! the `log` crate and calls every client that hangs up an error, so that a hostile one
//! could fill the disk; those targets are silent unless the operator names them.

use std::io::IsTerminal;

use tracing_log::{AsLog, LogTracer};
use tracing_subscriber::EnvFilter;
use tracing_subscriber::filter::LevelFilter;

/// The environment variable that says what to log, as `tracing` directives.
pub const ENV: &str = "SLUICEGATE_LOG";

/// What is logged unless [`ENV`] says otherwise.
const DEFAULT: &str = "info";

/// Libraries that report what a client did wrong as if it were ours, or each attempt of a discovery
/// that fails. What matters of it is in the access log and in the metrics, and discovery tells its
/// trouble once.
const QUIET: &str = "pingora=error,pingora_proxy=off,pingora_core::apps=off,rustls=error,h2=error,hyper=error,\
     hickory_net=error,hickory_resolver=error,rustls_platform_verifier=off";

/// Starts logging; a second call changes nothing.
///
/// [`ENV`] holds directives like `debug` or `warn,sluicegate::config=trace`. Quiet libraries
/// speak only where it names them: `info,pingora_proxy=error`.
pub fn init() {
    let wanted = std::env::var(ENV).ok();
    let (filter, invalid) = filter(wanted.as_deref());
    let level = filter.max_level_hint().unwrap_or(LevelFilter::TRACE);

    let terminal = std::io::stderr().is_terminal();
    let builder = tracing_subscriber::fmt()
        .with_writer(std::io::stderr)
        .with_ansi(terminal)
        .with_env_filter(filter);
    let installed = if terminal {
        tracing::subscriber::set_global_default(builder.finish())
    } else {
        tracing::subscriber::set_global_default(builder.json().flatten_event(true).finish())
    };
    if installed.is_err() {
        return;
    }
    // Whoever has installed another logger before us keeps it.
    let _ = LogTracer::builder().with_max_level(level.as_log()).init();
    if let Some(error) = invalid {
        tracing::warn!(error, variable = ENV, "log directives not understood, using `info`");
    }
}

/// Returns the filter for what the operator wrote, and what is wrong with it if anything is.
fn filter(wanted: Option<&str>) -> (EnvFilter, Option<String>) {
    // A later directive for the same target wins, so the operator's come last.
    let parse = |wanted: &str| EnvFilter::try_new(format!("{QUIET},{wanted}"));
    let wanted = wanted.map(str::trim).filter(|w| !w.is_empty());
    match parse(wanted.unwrap_or(DEFAULT)) {
        Ok(filter) => (filter, None),
        Err(error) => {
            let filter = parse(DEFAULT).expect("the default directives are valid");
            (filter, Some(error.to_string()))
        }
    }
}

/// Why an error came about: its causes without its own words, which for a request name the URL
/// and would repeat it each time; its own words where it has no cause.
pub fn causes(error: &dyn std::error::Error) -> String {
    let mut told = String::new();
    let mut cause = error.source();
    while let Some(error) = cause {
        if !told.is_empty() {
            told.push_str(": ");
        }
        told.push_str(&error.to_string());
        cause = error.source();
    }
    if told.is_empty() { error.to_string() } else { told }
}

#[cfg(test)]
mod tests {
    use std::io::{self, Write};
    use std::sync::{Arc, Mutex};

    use super::*;

    #[derive(Clone, Default)]
    struct Captured(Arc<Mutex<Vec<u8>>>);

    impl Write for Captured {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.lock().unwrap().write(bytes)
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    /// Returns what comes through the filter of a few events at known targets.
    fn logged(wanted: Option<&str>) -> String {
        let captured = Captured::default();
        let writer = captured.clone();
        let subscriber = tracing_subscriber::fmt()
            .with_env_filter(filter(wanted).0)
            .with_writer(move || writer.clone())
            .with_ansi(false)
            .finish();
        tracing::subscriber::with_default(subscriber, || {
            tracing::info!(target: "sluicegate::server", "started");
            tracing::debug!(target: "sluicegate::proxy", "details");
            tracing::error!(target: "pingora_proxy", "client hung up");
            tracing::error!(target: "pingora_core::apps::http_app", "bad head");
            tracing::warn!(target: "pingora_core::protocols", "oddity");
        });
        let bytes = captured.0.lock().unwrap().clone();
        String::from_utf8(bytes).unwrap()
    }

    #[test]
    fn clients_cannot_flood_the_log_through_pingora() {
        let text = logged(None);
        assert!(text.contains("started"));
        for quiet in ["details", "client hung up", "bad head", "oddity"] {
            assert!(!text.contains(quiet), "{text}");
        }
    }

    #[test]
    fn more_of_ours_does_not_mean_more_of_pingora() {
        let text = logged(Some("debug"));
        assert!(text.contains("details"));
        assert!(!text.contains("client hung up"));
    }

    #[test]
    fn quiet_target_speaks_when_named() {
        let text = logged(Some("warn,pingora_proxy=error"));
        assert!(text.contains("client hung up"));
        assert!(!text.contains("started"));
    }

    #[test]
    fn directives_not_understood_fall_back_and_are_told() {
        let (filter, invalid) = filter(Some("sluicegate=loud"));
        assert_eq!(filter.max_level_hint(), Some(LevelFilter::INFO));
        assert!(invalid.is_some());
    }

    #[test]
    fn second_start_changes_nothing() {
        init();
        init();
    }
}
