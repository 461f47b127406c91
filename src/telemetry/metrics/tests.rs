//! What the families promise, read from the exposition as a scraper reads it.

use std::time::Duration;

use http::Method;

use super::*;
use crate::telemetry::exposition::render;

fn finished(method: &Method, status: u16) -> Finished<'_> {
    Finished {
        method,
        status,
        duration: Duration::from_millis(2),
        overhead: Duration::from_micros(30),
        bytes_in: 10,
        bytes_out: 777,
    }
}

#[track_caller]
fn assert_line(metrics: &Metrics, line: &str) {
    let text = render([metrics.registry()].into_iter());
    assert!(text.lines().any(|l| l == line), "no {line} in\n{text}");
}

#[test]
fn finished_request_is_counted_in_every_family_of_its_route() {
    let metrics = Metrics::new();
    let route = metrics.route("orders");
    route.finished(&finished(&Method::GET, 200));
    route.finished(&finished(&Method::GET, 200));

    for line in [
        r#"gateway_requests_total{method="GET",route="orders",status_code="200"} 2"#,
        r#"gateway_request_duration_seconds_count{method="GET",route="orders",status_code="200"} 2"#,
        r#"gateway_request_duration_seconds_bucket{method="GET",route="orders",status_code="200",le="0.001"} 0"#,
        r#"gateway_request_duration_seconds_bucket{method="GET",route="orders",status_code="200",le="0.0025"} 2"#,
        r#"gateway_overhead_seconds_bucket{route="orders",le="0.000025"} 0"#,
        r#"gateway_overhead_seconds_bucket{route="orders",le="0.00005"} 2"#,
        r#"gateway_request_bytes_total{route="orders"} 20"#,
        r#"gateway_response_bytes_total{route="orders"} 1554"#,
    ] {
        assert_line(&metrics, line);
    }
}

#[test]
fn method_that_is_not_standard_is_labelled_other() {
    let metrics = Metrics::new();
    let purge = Method::from_bytes(b"PURGE").unwrap();
    metrics.route("r").finished(&finished(&purge, 405));
    assert_line(
        &metrics,
        r#"gateway_requests_total{method="OTHER",route="r",status_code="405"} 1"#,
    );
}

#[test]
fn each_standard_method_has_its_own_label() {
    let metrics = Metrics::new();
    let route = metrics.route("r");
    for name in ["GET", "HEAD", "POST", "PUT", "DELETE", "CONNECT", "OPTIONS", "TRACE", "PATCH"] {
        let method = Method::from_bytes(name.as_bytes()).unwrap();
        route.finished(&finished(&method, 204));
        let line =
            format!(r#"gateway_requests_total{{method="{name}",route="r",status_code="204"}} 1"#);
        assert_line(&metrics, &line);
    }
}

#[test]
fn status_outside_http_is_labelled_zero() {
    let metrics = Metrics::new();
    let route = metrics.route("r");
    for status in [0, 99, 600, 999, u16::MAX] {
        route.finished(&finished(&Method::GET, status));
    }
    for status in [100, 499, 599] {
        route.finished(&finished(&Method::GET, status));
        let line =
            format!(r#"gateway_requests_total{{method="GET",route="r",status_code="{status}"}} 1"#);
        assert_line(&metrics, &line);
    }
    assert_line(&metrics, r#"gateway_requests_total{method="GET",route="r",status_code="0"} 5"#);
}

#[test]
fn only_what_occurred_is_exported() {
    let metrics = Metrics::new();
    let route = metrics.route(UNMATCHED);
    route.finished(&finished(&Method::GET, 404));
    let text = render([metrics.registry()].into_iter());
    let samples = text.lines().filter(|l| l.starts_with("gateway_requests_total{")).count();
    assert_eq!(samples, 1);
}

#[test]
fn counts_go_on_when_a_route_is_resolved_again() {
    let metrics = Metrics::new();
    metrics.route("r").finished(&finished(&Method::GET, 200));
    metrics.route("r").finished(&finished(&Method::GET, 200));
    assert_line(&metrics, r#"gateway_requests_total{method="GET",route="r",status_code="200"} 2"#);
}

#[test]
fn service_counts_answers_and_failures_by_cause() {
    let metrics = Metrics::new();
    let service = metrics.service("orders");
    service.answered(Duration::from_millis(1));
    service.failed(UpstreamError::ConnectTimeout);
    service.failed(UpstreamError::Other);
    service.failed(UpstreamError::Other);
    for line in [
        r#"gateway_upstream_duration_seconds_count{service="orders"} 1"#,
        r#"gateway_upstream_errors_total{cause="connect_timeout",service="orders"} 1"#,
        r#"gateway_upstream_errors_total{cause="other",service="orders"} 2"#,
    ] {
        assert_line(&metrics, line);
    }
}

#[test]
fn listener_counts_connections_open_and_refused() {
    let metrics = Metrics::new();
    let listener = metrics.listener("public");
    listener.opened();
    listener.opened();
    listener.closed();
    listener.refused(Refused::Accept);
    for line in [
        r#"gateway_connections_open{listener="public"} 1"#,
        r#"gateway_connections_total{listener="public"} 2"#,
        r#"gateway_connections_refused_total{cause="accept",listener="public"} 1"#,
    ] {
        assert_line(&metrics, line);
    }
}

#[test]
fn mirrored_requests_are_counted_by_outcome_and_comparisons_by_result() {
    let metrics = Metrics::new();
    let mirror = metrics.mirror("orders");
    mirror.mirrored(Mirrored::Answered);
    mirror.mirrored(Mirrored::Failed);
    mirror.compared(Compared::Different);
    for line in [
        r#"gateway_mirror_requests_total{outcome="answered",route="orders"} 1"#,
        r#"gateway_mirror_requests_total{outcome="failed",route="orders"} 1"#,
        r#"gateway_mirror_comparisons_total{result="different",route="orders"} 1"#,
    ] {
        assert_line(&metrics, line);
    }
}
