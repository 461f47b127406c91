use super::*;
use http::StatusCode;

fn compile(yaml: &str) -> Result<Check, String> {
    let config: HealthCheckConfig = serde_yaml::from_str(yaml).map_err(|e| e.to_string())?;
    config.compile().map_err(|invalid| invalid.to_string())
}

#[test]
fn a_path_alone_is_a_whole_check() {
    let check = compile("path: /health").unwrap();
    assert_eq!((check.interval, check.timeout), (INTERVAL, TIMEOUT));
    assert_eq!(check.thresholds, Thresholds { healthy_after: 2, unhealthy_after: 3 });
    assert_eq!(check.jitter, Percent::new(20));
    let Probe::Http(probe) = check.probe else { panic!("{:?}", check.probe) };
    assert_eq!((probe.method.as_str(), probe.path.as_str()), ("GET", "/health"));
    assert!(probe.status[0].contains(StatusCode::NO_CONTENT));
    assert!(!probe.status[0].contains(StatusCode::FOUND));
}

#[test]
fn everything_that_may_be_said_is_meant() {
    let check = compile(
        "path: /health?full=1\ninterval: 500ms\ntimeout: 200ms\njitter: 10%\n\
         unhealthy_after: 5\nhealthy_after: 1\nmethod: POST\nhost: api.example.com\n\
         headers: {x-probe: sluice}\nexpect: {status: [200, 3xx, 410..412], body: 'ok.*'}\n\
         port: 9000",
    )
    .unwrap();
    assert_eq!((check.port, check.interval), (Some(9000), Time::from_millis(500)));
    let Probe::Http(probe) = check.probe else { panic!("{:?}", check.probe) };
    assert_eq!(probe.headers["x-probe"], "sluice");
    assert_eq!(probe.host.unwrap(), "api.example.com");
    assert_eq!(probe.status.len(), 3);
    assert!(probe.body.unwrap().matches(b"okay"));
}

#[test]
fn tcp_and_grpc_are_other_ways_to_ask() {
    assert!(matches!(compile("tcp: true").unwrap().probe, Probe::Tcp));
    let whole = compile("grpc: ''").unwrap().probe;
    assert!(matches!(whole, Probe::Grpc { service, .. } if service.is_empty()));
    let one = compile("grpc: my.Service").unwrap().probe;
    assert!(matches!(one, Probe::Grpc { service, .. } if &*service == "my.Service"));
}

#[test]
fn an_interval_shorter_than_the_usual_timeout_shortens_it() {
    assert_eq!(compile("{tcp: true, interval: 100ms}").unwrap().timeout.as_millis(), 100);
}

#[test]
fn nonsense_is_refused_at_its_place() {
    for (yaml, said) in [
        ("{}", "exactly one of `path`, `tcp` and `grpc`"),
        ("{path: /a, tcp: true}", "exactly one of"),
        ("tcp: false", "tcp: write `tcp: true`, or leave it out"),
        ("path: health", "path: `health` is no path, write it as `/health`"),
        ("path: '/a b'", "path: `/a b` is no path"),
        ("path: '/a#b'", "path: `/a#b` is no path"),
        ("{path: /a, interval: 1s, timeout: 2s}", "timeout: a check that may outlast"),
        ("{path: /a, interval: 0s}", "interval: an interval under 10ms"),
        ("{path: /a, timeout: 0s}", "timeout: a time of zero"),
        ("{path: /a, healthy_after: 0}", "healthy_after: at least 1"),
        ("{path: /a, unhealthy_after: 0}", "unhealthy_after: at least 1"),
        ("{path: /a, port: 0}", "port: `0` is no port"),
        ("{path: /a, host: 'a b'}", "host: `a b` is no host"),
        ("{path: /a, host: 'me@a'}", "host: `me@a` is no host"),
        ("{path: /a, method: HEAD, expect: {body: ok}}", "expect.body: the answer to HEAD"),
        ("{path: /a, method: CONNECT}", "method: CONNECT"),
        ("{path: /a, headers: {host: a}}", "headers.host: write it as `host`"),
        ("{path: /a, headers: {te: a}}", "headers.te: `te` belongs to the connection"),
        ("{path: /a, headers: {x-a: $(client.ip)}}", "a check belongs to no request"),
        ("{tcp: true, host: a}", "host: a check by `tcp` has no `host`"),
        ("{tcp: true, expect: {body: ok}}", "expect: a check by `tcp` has no `expect`"),
        ("{grpc: '', method: GET}", "method: a check by `grpc` has no `method`"),
        ("{path: /a, expect: {status: ok}}", "write it as 200, 2xx"),
    ] {
        let refusal = compile(yaml).unwrap_err();
        assert!(refusal.contains(said), "{yaml}: {refusal}");
    }
}
