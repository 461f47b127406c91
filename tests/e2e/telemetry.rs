//! What the gateway tells about itself: metrics, the access log, health.

use crate::support::{
    Client, Gateway, ONE_SERVICE, Origin, Port, Setup, eventually, gateway_command,
};
use std::time::Duration;

async fn hello() -> (Gateway, Origin) {
    let origin = Origin::saying("hello").await;
    (Gateway::before(&origin).await, origin)
}

// Metrics

#[tokio::test]
async fn requests_are_counted_by_method_route_and_status() {
    let (gateway, _origin) = hello().await;
    for _ in 0..3 {
        gateway.get("/").await;
    }
    gateway.request("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\n\r\n").await;
    let get = [("method", "GET"), ("route", "all"), ("status_code", "200")];
    gateway.metric("gateway_requests_total", &get, 3.0).await;
    gateway.metric("gateway_request_duration_seconds_count", &get, 3.0).await;
    let post = [("method", "POST"), ("route", "all"), ("status_code", "200")];
    gateway.metric("gateway_requests_total", &post, 1.0).await;
    gateway.metric("gateway_request_duration_seconds_count", &post, 1.0).await;
}

#[tokio::test]
async fn requests_that_match_nothing_are_counted_without_their_path() {
    let origin = Origin::saying("hello").await;
    let document = ONE_SERVICE.replace("prefix: /", "exact: /only");
    let gateway = Setup::new(&document).with("app", &origin).start().await;
    for n in 0..5 {
        gateway.get(&format!("/secret-{n}")).await;
    }
    let labels = [("route", "unmatched"), ("status_code", "404")];
    gateway.metric("gateway_requests_total", &labels, 5.0).await;
    assert!(!gateway.metrics().await.0.contains("secret"));
}

#[tokio::test]
async fn methods_that_clients_make_up_share_one_label() {
    let (gateway, _origin) = hello().await;
    for method in ["BREW", "FOO", "BAR", "PROPFIND"] {
        gateway.request(&format!("{method} / HTTP/1.1\r\nHost: a\r\n\r\n")).await;
    }
    let labels = [("method", "OTHER"), ("route", "all")];
    gateway.metric("gateway_requests_total", &labels, 4.0).await;
    let text = gateway.metrics().await.0;
    assert!(!text.contains("BREW") && !text.contains("PROPFIND"), "{text}");
}

#[tokio::test]
async fn the_gateways_own_time_is_apart_from_the_services() {
    let origin = Origin::start(|mut call| async move {
        tokio::time::sleep(Duration::from_millis(300)).await;
        call.reply(200, "", "slow").await;
        call
    })
    .await;
    let gateway = Gateway::before(&origin).await;
    gateway.get("/").await;
    let route = [("route", "all")];
    gateway.metric("gateway_overhead_seconds_count", &route, 1.0).await;
    let service = [("service", "app")];
    gateway.metric("gateway_upstream_duration_seconds_count", &service, 1.0).await;
    let metrics = gateway.metrics().await;
    let upstream = metrics.value("gateway_upstream_duration_seconds_sum", &service).unwrap();
    let overhead = metrics.value("gateway_overhead_seconds_sum", &route).unwrap();
    let whole = metrics.value("gateway_request_duration_seconds_sum", &route).unwrap();
    assert!(upstream >= 0.29, "upstream {upstream}");
    assert!(overhead < 0.15, "overhead {overhead}");
    assert!(whole >= upstream, "whole {whole}, upstream {upstream}");
}

#[tokio::test]
async fn bytes_of_bodies_are_counted_both_ways() {
    let (gateway, _origin) = hello().await;
    gateway.request("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 7\r\n\r\n7 bytes").await;
    let chunks =
        "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n";
    gateway.request(chunks).await;
    gateway.metric("gateway_request_bytes_total", &[("route", "all")], 10.0).await;
    gateway.metric("gateway_response_bytes_total", &[("route", "all")], 10.0).await;
}

#[tokio::test]
async fn connections_are_counted_and_those_open_told() {
    let (gateway, _origin) = hello().await;
    let mut one = gateway.connect().await;
    let mut two = gateway.connect().await;
    one.get("/").await;
    two.get("/").await;
    let labels = [("listener", "main")];
    gateway.metric("gateway_connections_open", &labels, 2.0).await;
    drop(one);
    gateway.metric("gateway_connections_open", &labels, 1.0).await;
    drop(two);
    gateway.metric("gateway_connections_open", &labels, 0.0).await;
    gateway.metric("gateway_connections_total", &labels, 2.0).await;
}

#[tokio::test]
async fn every_family_says_what_it_is() {
    let nobody = Port::reserve();
    let gateway = Gateway::before(&nobody.address).await;
    gateway.get("/").await;
    let mut malformed = gateway.connect().await;
    malformed.send("nonsense\r\n\r\n").await;
    malformed.closed().await;
    let labels = [("cause", "malformed_head")];
    gateway.metric("gateway_connections_refused_total", &labels, 1.0).await;
    let text = gateway.metrics().await.0;
    for (family, kind) in [
        ("gateway_requests_total", "counter"),
        ("gateway_request_duration_seconds", "histogram"),
        ("gateway_overhead_seconds", "histogram"),
        ("gateway_upstream_duration_seconds", "histogram"),
        ("gateway_upstream_errors_total", "counter"),
        ("gateway_request_bytes_total", "counter"),
        ("gateway_response_bytes_total", "counter"),
        ("gateway_connections_open", "gauge"),
        ("gateway_connections_total", "counter"),
        ("gateway_connections_refused_total", "counter"),
    ] {
        assert!(text.contains(&format!("# HELP {family} ")), "{family} has no HELP");
        let kind = format!("# TYPE {family} {kind}\n");
        assert_eq!(text.matches(&kind).count(), 1, "{kind} in {text}");
    }
}

#[tokio::test]
async fn threads_are_added_up() {
    let origin = Origin::saying("hello").await;
    let gateway = Setup::new(ONE_SERVICE).with("app", &origin).threads(2).start().await;
    for _ in 0..40 {
        gateway.get("/").await;
    }
    let labels = [("method", "GET"), ("route", "all"), ("status_code", "200")];
    gateway.metric("gateway_requests_total", &labels, 40.0).await;
    let text = gateway.metrics().await.0;
    let samples = text.lines().filter(|line| line.starts_with("gateway_requests_total{"));
    assert_eq!(samples.count(), 1);
}

#[tokio::test]
async fn metrics_are_served_in_the_text_format() {
    let (gateway, _origin) = hello().await;
    let response = gateway.ask("/metrics").await;
    let kind = response.get("content-type").unwrap();
    assert!(kind.starts_with("text/plain") && kind.contains("version=0.0.4"), "{kind}");
}

// The access log

#[tokio::test]
async fn a_line_tells_who_asked_for_what_and_what_came_of_it() {
    let (gateway, _origin) = hello().await;
    let request =
        "POST /path?q=1 HTTP/1.1\r\nHost: shop.example.com\r\nContent-Length: 3\r\n\r\nabc";
    let response = gateway.request(request).await;
    let line = &gateway.access_log(1).await[0];
    assert_eq!(line["request_id"].as_str(), response.get("x-request-id"));
    assert_eq!(line["client"], "127.0.0.1");
    assert_eq!(line["method"], "POST");
    assert_eq!(line["host"], "shop.example.com");
    assert_eq!(line["path"], "/path");
    assert_eq!(line["query"], "q=1");
    assert_eq!(line["route"], "all");
    assert_eq!(line["service"], "app");
    assert_eq!(line["status"], 200);
    assert_eq!(line["bytes_in"], 3);
    assert_eq!(line["bytes_out"], 5);
    assert_eq!(line["level"], "info");
}

#[tokio::test]
async fn every_request_has_its_line_whatever_came_of_it() {
    let nobody = Port::reserve();
    let document = ONE_SERVICE.replace("prefix: /", "prefix: /app");
    let gateway = Setup::new(&document).with("app", nobody.address).start().await;
    let mut ids = Vec::new();
    for target in ["/app", "/nothing", "/app"] {
        ids.push(gateway.get(target).await.get("x-request-id").unwrap().to_owned());
    }
    let lines = gateway.access_log(3).await;
    let logged: Vec<_> = lines.iter().map(|line| line["request_id"].as_str().unwrap()).collect();
    assert_eq!(logged, ids);
    let statuses: Vec<_> = lines.iter().map(|line| line["status"].as_u64().unwrap()).collect();
    assert_eq!(statuses, [502, 404, 502]);
}

#[tokio::test]
async fn nothing_that_a_client_sends_breaks_a_line() {
    let origin = Origin::saying("hello").await;
    let setup = Setup::new(ONE_SERVICE).with("app", &origin);
    let gateway = setup.access_log("headers: [user-agent]").start().await;
    for nasty in ["\"}{\"", "\\", "\u{fc}\u{1f980}", "a\tb", "\u{2028}"] {
        let request = format!("GET /x HTTP/1.1\r\nHost: a\r\nUser-Agent: {nasty}\r\n\r\n");
        gateway.request(&request).await;
    }
    let mut client = gateway.connect().await;
    client.send(b"GET /x HTTP/1.1\r\nHost: a\r\nUser-Agent: \xff\xfe\r\n\r\n").await;
    client.response().await;
    gateway.access_log(6).await;
}

#[tokio::test]
async fn what_is_masked_is_in_no_line() {
    let origin = Origin::saying("hello").await;
    let setup = Setup::new(ONE_SERVICE).with("app", &origin);
    let log = "mask: [query.token, header.x-secret], headers: [x-secret, user-agent]";
    let gateway = setup.access_log(log).start().await;
    let request = "GET /x?a=1&token=hunter2&b=2 HTTP/1.1\r\nHost: a\r\nX-Secret: hunter2\r\n\
        User-Agent: test-client\r\n\r\n";
    gateway.request(request).await;
    let encoded = "GET /x?%74oken=hunter2 HTTP/1.1\r\nHost: a\r\n\r\n";
    gateway.request(encoded).await;
    let lines = gateway.access_log(2).await;
    let first = lines[0].to_string();
    assert!(
        first.contains("a=1") && first.contains("b=2") && first.contains("test-client"),
        "{first}"
    );
    for line in lines {
        assert!(!line.to_string().contains("hunter2"), "{line}");
    }
}

#[tokio::test]
async fn credentials_are_never_logged_as_they_are() {
    let origin = Origin::saying("hello").await;
    let setup = Setup::new(ONE_SERVICE).with("app", &origin);
    let gateway = setup.access_log("headers: [authorization, cookie]").start().await;
    gateway
        .request(
            "GET / HTTP/1.1\r\nHost: a\r\nAuthorization: Bearer hunter2\r\n\
             Cookie: s=hunter2\r\n\r\n",
        )
        .await;
    let line = &gateway.access_log(1).await[0];
    assert!(!line.to_string().contains("hunter2"), "{line}");
}

#[tokio::test]
async fn a_slow_request_is_a_warning() {
    let origin = Origin::start(|mut call| async move {
        if call.seen.target == "/slow" {
            tokio::time::sleep(Duration::from_millis(700)).await;
        }
        call.reply(200, "", "hello").await;
        call
    })
    .await;
    let setup = Setup::new(ONE_SERVICE).with("app", &origin);
    let gateway = setup.access_log("slow: 500ms").start().await;
    gateway.get("/fast").await;
    gateway.get("/slow").await;
    let lines = gateway.access_log(2).await;
    assert_eq!((&lines[0]["level"], &lines[1]["level"]), (&"info".into(), &"warn".into()));
}

#[tokio::test]
async fn a_client_that_leaves_early_has_its_line() {
    let origin = Origin::start(|call| async move {
        let _held = call;
        std::future::pending().await
    })
    .await;
    let gateway = Gateway::before(&origin).await;
    let mut client: Client = gateway.connect().await;
    client.send("GET /left HTTP/1.1\r\nHost: a\r\n\r\n").await;
    origin.request(1).await;
    drop(client);
    let line = &gateway.access_log(1).await[0];
    assert_eq!(line["path"], "/left");
    assert_ne!(line["status"], 200);
}

// Health

#[tokio::test]
async fn health_liveness_and_readiness_answer() {
    let (gateway, _origin) = hello().await;
    for path in ["/health", "/livez", "/readyz"] {
        assert_eq!(gateway.ask(path).await.status, 200, "{path}");
    }
    assert_eq!(gateway.ask("/nothing").await.status, 404);
}

#[tokio::test]
async fn the_admin_token_guards_the_metrics_and_leaves_health_open() {
    let origin = Origin::saying("hello").await;
    let setup = Setup::new(ONE_SERVICE).with("app", &origin);
    let gateway = setup.admin("token: let-me-in").start().await;
    let refused = gateway.ask("/metrics").await;
    assert_eq!(refused.status, 401);
    assert!(refused.get("www-authenticate").unwrap().starts_with("Bearer"));
    for (given, status) in [
        ("Bearer let-me-in", 200),
        ("bearer let-me-in", 200),
        ("Bearer let-me-i", 401),
        ("Bearer let-me-in2", 401),
        ("Basic let-me-in", 401),
        ("let-me-in", 401),
    ] {
        let request = format!(
            "GET /metrics HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\
             Authorization: {given}\r\n\r\n"
        );
        let response = Client::connect(gateway.admin).await.request(&request).await;
        assert_eq!(response.status, status, "{given}");
    }
    for path in ["/health", "/livez", "/readyz"] {
        assert_eq!(gateway.ask(path).await.status, 200, "{path}");
    }
}

#[tokio::test]
async fn the_admin_token_may_come_from_the_environment() {
    let origin = Origin::saying("hello").await;
    let setup = Setup::new(ONE_SERVICE).with("app", &origin);
    let setup = setup.admin("token: $(env:E2E_ADMIN_TOKEN)");
    let gateway = setup.environment("E2E_ADMIN_TOKEN", "from-outside".into()).start().await;
    let request = "GET /metrics HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\
        Authorization: Bearer from-outside\r\n\r\n";
    assert_eq!(Client::connect(gateway.admin).await.request(request).await.status, 200);
    assert_eq!(gateway.ask("/metrics").await.status, 401);
}

#[tokio::test]
async fn the_public_listener_serves_nothing_of_the_admin_listener() {
    let origin = Origin::saying("hello").await;
    let document = ONE_SERVICE.replace("prefix: /", "prefix: /app");
    let gateway = Setup::new(&document).with("app", &origin).start().await;
    for path in ["/metrics", "/health", "/livez", "/readyz"] {
        gateway.get(path).await.problem(404);
    }
}

#[tokio::test]
async fn the_gateways_own_log_says_that_it_serves() {
    let (gateway, _origin) = hello().await;
    let port = gateway.address.port().to_string();
    eventually("the address in the log", async || gateway.said().contains(&port).then_some(()))
        .await;
}

#[test]
fn help_names_the_commands() {
    let output = gateway_command().arg("--help").output().unwrap();
    let said = String::from_utf8(output.stdout).unwrap();
    assert!(output.status.success() && said.contains("run") && said.contains("check"), "{said}");
}
