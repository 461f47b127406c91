//! What is counted once per process and not once per worker.

use prometheus::process_collector::ProcessCollector;
use prometheus::{IntCounter, IntGaugeVec, Opts, Registry};

/// The registry of the families that no worker owns.
pub struct Process {
    registry: Registry,
    access_log_dropped: IntCounter,
}

impl Process {
    /// Registers the process's own figures (CPU time, memory, descriptors), the build's
    /// `version` and `commit`, and the counter of dropped access-log lines.
    pub fn new(version: &str, commit: &str) -> Process {
        let registry = Registry::new();
        let build = IntGaugeVec::new(
            Opts::new("gateway_build_info", "Which build this is; always 1."),
            &["version", "commit"],
        )
        .expect("the family's name and labels are constants");
        build.with_label_values(&[version, commit]).set(1);
        let access_log_dropped = IntCounter::new(
            "gateway_access_log_dropped_total",
            "Access-log lines dropped because they could not be written in time or at all.",
        )
        .expect("the family's name is a constant");

        let families: [Box<dyn prometheus::core::Collector>; 3] = [
            Box::new(ProcessCollector::for_self()),
            Box::new(build),
            Box::new(access_log_dropped.clone()),
        ];
        for family in families {
            registry.register(family).expect("each family is registered once in a fresh registry");
        }
        Process { registry, access_log_dropped }
    }

    /// Returns the registry, to be passed to [`super::exposition::render`] beside the workers'.
    pub fn registry(&self) -> &Registry {
        &self.registry
    }

    /// Returns the counter that [`super::access_log::AccessLog::open`] takes. It outlives any
    /// one access log, so that a reload does not reset it.
    pub fn access_log_dropped(&self) -> IntCounter {
        self.access_log_dropped.clone()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::telemetry::exposition::render;

    #[test]
    fn build_and_process_and_dropped_lines_are_exported() {
        let process = Process::new("0.1.0", "abc123");
        process.access_log_dropped().inc_by(3);
        let text = render([process.registry()].into_iter());
        for line in [
            r#"gateway_build_info{commit="abc123",version="0.1.0"} 1"#,
            "gateway_access_log_dropped_total 3",
            "# TYPE process_cpu_seconds_total counter",
            "# TYPE process_open_fds gauge",
        ] {
            assert!(text.lines().any(|l| l == line), "no {line} in\n{text}");
        }
    }
}
