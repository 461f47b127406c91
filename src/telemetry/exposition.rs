//! One page of metrics from many registries.
//!
//! Each worker counts for itself, so the same family stands in as many registries as
//! there are workers. Readers want one gateway: samples with the same labels are added
//! up, histograms bucket by bucket, and the sums are written as Prometheus text 0.0.4.
//! All the work of sharing is done here, at the scrape, and none of it per request.

use std::collections::BTreeMap;

use prometheus::proto::{Bucket, Counter, Gauge, Histogram, Metric, MetricFamily, MetricType};
use prometheus::{Registry, TextEncoder};

/// The `Content-Type` of what [`render`] returns.
pub const CONTENT_TYPE: &str = "text/plain; version=0.0.4; charset=utf-8";

/// Gathers all registries and writes them as one, families and samples in order.
///
/// Families of the same name must have the same type, labels and buckets in each registry.
pub fn render<'a>(registries: impl Iterator<Item = &'a Registry>) -> String {
    let mut families = BTreeMap::new();
    for mut family in registries.flat_map(Registry::gather) {
        let samples = family.take_metric();
        let sum = families.entry(family.name().to_owned()).or_insert_with(|| Sum::new(family));
        for sample in samples {
            sum.add(sample);
        }
    }
    let families: Vec<_> = families.into_values().map(Sum::into_family).collect();
    TextEncoder::new()
        .encode_to_string(&families)
        .expect("gathered families have a name and at least one sample")
}

/// A family and its samples by their labels.
struct Sum {
    family: MetricFamily,
    samples: BTreeMap<Vec<(String, String)>, Metric>,
}

impl Sum {
    fn new(family: MetricFamily) -> Sum {
        Sum { family, samples: BTreeMap::new() }
    }

    fn add(&mut self, sample: Metric) {
        // Label pairs come sorted by name, so equal sets are equal lists.
        let labels = sample
            .get_label()
            .iter()
            .map(|pair| (pair.name().to_owned(), pair.value().to_owned()))
            .collect();
        match self.samples.entry(labels) {
            std::collections::btree_map::Entry::Vacant(first) => {
                first.insert(sample);
            }
            std::collections::btree_map::Entry::Occupied(mut sum) => {
                add(self.family.get_field_type(), sum.get_mut(), &sample);
            }
        }
    }

    fn into_family(mut self) -> MetricFamily {
        self.family.set_metric(self.samples.into_values().collect());
        self.family
    }
}

fn add(kind: MetricType, sum: &mut Metric, sample: &Metric) {
    match kind {
        MetricType::COUNTER => {
            let mut counter = Counter::default();
            counter.set_value(sum.get_counter().get_value() + sample.get_counter().get_value());
            sum.set_counter(counter);
        }
        MetricType::GAUGE => {
            let mut gauge = Gauge::default();
            gauge.set_value(sum.get_gauge().get_value() + sample.get_gauge().get_value());
            sum.set_gauge(gauge);
        }
        MetricType::HISTOGRAM => {
            let histogram = add_histograms(sum.get_histogram(), sample.get_histogram());
            sum.set_histogram(histogram);
        }
        // Quantiles cannot be added up, and no family here has them.
        MetricType::SUMMARY | MetricType::UNTYPED => {}
    }
}

/// Adds bucket by bucket: cumulative counts with equal bounds add up to cumulative counts.
fn add_histograms(a: &Histogram, b: &Histogram) -> Histogram {
    let buckets = a.get_bucket().iter().zip(b.get_bucket());
    let mut histogram = Histogram::default();
    histogram.set_sample_count(a.get_sample_count() + b.get_sample_count());
    histogram.set_sample_sum(a.get_sample_sum() + b.get_sample_sum());
    histogram.set_bucket(
        buckets
            .map(|(a, b)| {
                debug_assert_eq!(a.upper_bound(), b.upper_bound());
                let mut bucket = Bucket::default();
                bucket.set_upper_bound(a.upper_bound());
                bucket.set_cumulative_count(a.cumulative_count() + b.cumulative_count());
                bucket
            })
            .collect(),
    );
    histogram
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use http::Method;
    use proptest::prelude::*;

    use super::*;
    use crate::telemetry::metrics::{Finished, Metrics, Refused, UpstreamError};

    /// One thing that a worker counts; which worker does must not matter.
    #[derive(Clone, Debug)]
    enum Event {
        Finished(&'static str, Method, u16, u64, u64),
        Answered(&'static str, u64),
        Failed(&'static str),
        Opened,
        Closed,
        Refused,
    }

    fn count(metrics: &Metrics, event: &Event) {
        match event {
            Event::Finished(route, method, status, quarters, bytes) => {
                metrics.route(route).finished(&Finished {
                    method,
                    status: *status,
                    duration: quarter_seconds(*quarters),
                    overhead: quarter_seconds(quarters / 2),
                    bytes_in: *bytes,
                    bytes_out: bytes / 2,
                });
            }
            Event::Answered(service, quarters) => {
                metrics.service(service).answered(quarter_seconds(*quarters));
            }
            Event::Failed(service) => metrics.service(service).failed(UpstreamError::Closed),
            Event::Opened => metrics.listener("public").opened(),
            Event::Closed => metrics.listener("public").closed(),
            Event::Refused => metrics.listener("public").refused(Refused::Limit),
        }
    }

    /// Quarters are exact in binary, so that sums do not depend on their order.
    fn quarter_seconds(quarters: u64) -> Duration {
        Duration::from_millis(250 * quarters)
    }

    fn event() -> impl Strategy<Value = Event> {
        let name = || prop_oneof![Just("a"), Just("b"), Just("say \"hi\"\n")];
        let method = prop_oneof![Just(Method::GET), Just(Method::POST)];
        prop_oneof![
            (name(), method, 98u16..602, 0u64..60, 0u64..1 << 40)
                .prop_map(|(r, m, s, q, b)| Event::Finished(r, m, s, q, b)),
            (name(), 0u64..60).prop_map(|(s, q)| Event::Answered(s, q)),
            name().prop_map(Event::Failed),
            Just(Event::Opened),
            Just(Event::Closed),
            Just(Event::Refused),
        ]
    }

    proptest! {
        #[test]
        fn workers_added_up_equal_one_that_counted_all(
            events in prop::collection::vec((0usize..3, event()), 0..60)
        ) {
            let workers = [Metrics::new(), Metrics::new(), Metrics::new()];
            let alone = Metrics::new();
            for (worker, event) in &events {
                count(&workers[*worker], event);
                count(&alone, event);
            }
            prop_assert_eq!(
                render(workers.iter().map(Metrics::registry)),
                render([alone.registry()].into_iter())
            );
        }
    }

    #[test]
    fn nothing_counted_renders_nothing() {
        assert_eq!(render([Metrics::new().registry()].into_iter()), "");
    }

    #[test]
    fn content_type_names_the_encoders_version() {
        assert!(CONTENT_TYPE.starts_with(prometheus::TEXT_FORMAT));
    }
}
