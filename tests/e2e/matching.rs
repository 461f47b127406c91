//! Which route answers, by everything that a route may ask; and what the check says of routes that
//! are at odds.

use crate::support::{Gateway, Origin, Setup, check};

/// Routes whose services are told, in `x-route`, which of them was taken.
const ROUTES: &str = r#"
policies: {auth: none}
services:
  app: {url: "http://<app>"}
routes:
  - {name: "<v1>", match: {path: {template: "/v1/users/{id}"}}, service: app}
  - {name: "<v2>", match: {path: {template: "/v1/users/{id}"}, headers: {X-API-Version: "2"}}, service: app}
  - {name: "<v3>", match: {path: {template: "/v1/users/{id}"}, query: {version: 3}}, service: app}
  - {name: "<me>", match: {path: {exact: /v1/users/me}}, service: app}
  - {name: "<orders>", match: {path: {template: "/v1/users/{id}/orders/{order}"}}, service: app}
  - {name: "<users>", match: {path: {prefix: [/v1/users, /v1/people]}}, service: app}
  - {name: "<report>", match: {path: {regex: "/reports/(?<year>[0-9]{4})(-[0-9]{2})?"}}, service: app}
  - {name: "<tenant>", match: {hosts: ["*.shop.example.com"], path: {prefix: /}}, service: app}
  - {name: "<deep>", match: {hosts: ["*.eu.shop.example.com"], path: {prefix: /}}, service: app}
  - {name: "<shop>", match: {hosts: [a.shop.example.com, bücher.example], path: {prefix: /}}, service: app}
  - {name: "<beta>", match: {path: {exact: /app}, headers: {x-beta: {present: true}}}, service: app}
  - {name: "<old>", match: {path: {exact: /app}, headers: {user-agent: {regex: "curl/[0-7]\\..*"}}, query: {new: {present: false}}}, service: app}
  - {name: "<write>", match: {path: {exact: /things}, methods: PUT, headers: {x-token: {present: true}}}, service: app}
"#;

/// The same routes, each with a policy that tells its name.
fn routes() -> String {
    let telling = |line: &str| match line.split_once("\"<") {
        Some((before, rest)) if line.contains("{name:") => {
            let (name, rest) = rest.split_once(">\"").unwrap();
            let rest = rest.strip_suffix('}').unwrap();
            format!(
                "{before}{name}{rest}, policies: {{transform: {{response: {{headers: {{set: \
                 {{x-route: {name}}}}}}}}}}}}}\n"
            )
        }
        _ => format!("{line}\n"),
    };
    ROUTES.lines().map(telling).collect()
}

struct Running(Gateway, Origin);

async fn running() -> Running {
    let app = Origin::saying("app").await;
    Running(Setup::new(&routes()).with("app", &app).start().await, app)
}

impl Running {
    /// The name of the route that answers; the status where none does.
    async fn route(&self, method: &str, host: &str, target: &str, fields: &str) -> String {
        let request = format!("{method} {target} HTTP/1.1\r\nHost: {host}\r\n{fields}\r\n");
        let response = self.0.request(&request).await;
        let route = response.get("x-route").map(str::to_owned);
        route.unwrap_or_else(|| response.status.to_string())
    }

    async fn get(&self, target: &str) -> String {
        self.route("GET", "a", target, "").await
    }
}

#[tokio::test]
async fn a_template_comes_after_exact_and_before_prefix() {
    let running = running().await;
    assert_eq!(running.get("/v1/users/me").await, "me");
    assert_eq!(running.get("/v1/users/42").await, "v1");
    assert_eq!(running.get("/v1/users/42/orders/7").await, "orders");
    assert_eq!(running.get("/v1/users/42/orders").await, "users");
    assert_eq!(running.get("/v1/users/").await, "users");
    assert_eq!(running.get("/v1/people/42").await, "users");
}

#[tokio::test]
async fn a_version_is_chosen_by_header_and_by_query() {
    let running = running().await;
    let get = async |target, fields| running.route("GET", "a", target, fields).await;
    assert_eq!(get("/v1/users/42", "x-api-version: 2\r\n").await, "v2");
    assert_eq!(get("/v1/users/42", "x-api-version: 1\r\n").await, "v1");
    assert_eq!(get("/v1/users/42", "x-api-version: 1\r\nx-api-version: 2\r\n").await, "v1");
    assert_eq!(get("/v1/users/42?version=3", "").await, "v3");
    assert_eq!(get("/v1/users/42?%76ersion=%33", "").await, "v3");
    assert_eq!(get("/v1/users/42?version=4&version=3", "").await, "v1");
    // More header conditions come before more query conditions.
    assert_eq!(get("/v1/users/42?version=3", "x-api-version: 2\r\n").await, "v2");
}

#[tokio::test]
async fn a_regular_expression_matches_the_whole_path() {
    let running = running().await;
    assert_eq!(running.get("/reports/2024").await, "report");
    assert_eq!(running.get("/reports/2024-05").await, "report");
    assert_eq!(running.get("/reports/%32024").await, "report");
    for target in ["/reports/2024/", "/reports/20245", "/x/reports/2024"] {
        assert_eq!(running.get(target).await, "404", "{target}");
    }
}

#[tokio::test]
async fn the_nearest_host_wins() {
    let running = running().await;
    for (host, route) in [
        ("a.shop.example.com", "shop"),
        ("B.Shop.example.com:81", "tenant"),
        ("x.y.shop.example.com", "tenant"),
        ("x.eu.shop.example.com.", "deep"),
        ("eu.shop.example.com", "tenant"),
        ("xn--bcher-kva.example", "shop"),
        ("shop.example.com", "404"),
        ("ashop.example.com", "404"),
    ] {
        assert_eq!(running.route("GET", host, "/", "").await, route, "{host}");
    }
}

#[tokio::test]
async fn fields_and_parameters_may_be_asked_for_or_asked_not_to_be_there() {
    let running = running().await;
    let get = async |target, fields| running.route("GET", "a", target, fields).await;
    assert_eq!(get("/app", "x-beta: \r\n").await, "beta");
    assert_eq!(get("/app", "user-agent: curl/7.88\r\n").await, "old");
    assert_eq!(get("/app?new", "user-agent: curl/7.88\r\n").await, "404");
    assert_eq!(get("/app", "user-agent: curl/8.0\r\n").await, "404");
}

#[tokio::test]
async fn a_method_is_to_blame_only_where_it_alone_does_not_fit() {
    let running = running().await;
    assert_eq!(running.route("GET", "a", "/things", "").await, "404");
    let Running(gateway, _app) = &running;
    let request = "GET /things HTTP/1.1\r\nHost: a\r\nX-Token: 1\r\n\r\n";
    let response = gateway.request(request).await;
    response.problem(405);
    assert_eq!(response.get("allow"), Some("PUT"));
}

#[tokio::test]
async fn a_preflight_reaches_no_route_that_takes_only_the_method_that_it_asks_leave_for() {
    let running = running().await;
    let asks = "Origin: https://app.example.com\r\nAccess-Control-Request-Method: PUT\r\n";
    assert_eq!(running.route("OPTIONS", "a", "/things", asks).await, "404");
    let asks = format!("{asks}X-Token: 1\r\n");
    assert_eq!(running.route("OPTIONS", "a", "/things", &asks).await, "405");
}

/// A part of the path goes on in a path, where it is encoded, and in a field.
const PARTS: &str = r#"
policies: {auth: none}
policy_sets:
  parts: {transform: {request: {path: {replace: "/by-id/$(path.id)"}, headers: {set: {x-id: $(path.id)}}}}}
services:
  app: {url: "http://<app>"}
routes:
  - {name: orders, match: {path: {template: ["/orders/{id}/page", "/o/{kind}/{id}"]}}, use: [parts], service: app}
  - {name: reports, match: {path: {regex: "/reports/(?<id>.+)"}}, use: [parts], service: app}
"#;

#[tokio::test]
async fn the_named_parts_of_a_path_are_there_for_templates() {
    let app = Origin::saying("app").await;
    let gateway = Setup::new(PARTS).with("app", &app).start().await;
    for (target, seen, id) in [
        ("/orders/42/page", "/by-id/42", "42"),
        ("/orders/a%20b%3Fc/page?q=1", "/by-id/a%20b%3Fc?q=1", "a b?c"),
        ("/o/old/7", "/by-id/7", "7"),
        ("/reports/2024/05", "/by-id/2024%2F05", "2024/05"),
        // What is encoded twice is decoded once.
        ("/orders/%252e%252e/page", "/by-id/%252e%252e", "%2e%2e"),
    ] {
        assert_eq!(gateway.get(target).await.status, 200, "{target}");
        let last = app.last();
        assert_eq!((last.target.as_str(), last.get("x-id")), (seen, Some(id)), "{target}");
    }
}

/// Fails the test unless the check refuses the document at this line, naming each word.
#[track_caller]
fn refused(routes: &str, line: usize, words: &[&str]) {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("gateway.yaml");
    let head = "version: 1\n\
                listeners: [{name: main, address: 127.0.0.1:18080}]\n\
                policies: {auth: none}\n\
                services: {app: {url: http://127.0.0.1:18081}}\n\
                routes:\n";
    std::fs::write(&file, format!("{head}{routes}")).unwrap();
    let (passed, said) = check(&file);
    assert!(!passed, "it passed: {said}");
    assert!(said.contains(&format!("{}:{line}:", file.display())), "not at line {line}: {said}");
    for word in words {
        assert!(said.contains(word), "{word} is not in {said}");
    }
}

#[test]
fn two_routes_that_one_request_could_fit_are_refused() {
    refused(
        "  - {name: a, match: {path: {template: \"/x/{id}\"}}, service: app}\n\
         \x20 - {name: b, match: {path: {template: \"/x/{name}\"}}, service: app}\n",
        7,
        &["`a`", "`b`"],
    );
    refused(
        "  - {name: a, match: {path: {exact: /x}, headers: {x-a: \"1\"}}, service: app}\n\
         \x20 - {name: b, match: {path: {exact: /x}, headers: {x-b: \"1\"}}, service: app}\n",
        7,
        &["`a`", "`b`"],
    );
}

#[test]
fn a_route_that_can_never_answer_is_refused() {
    refused(
        "  - {name: a, match: {path: {regex: \"/x/[0-9]+\"}}, service: app}\n\
         \x20 - {name: b, match: {path: {prefix: /}}, service: app}\n",
        6,
        &["`a` never answers", "route `b`", "no `path`"],
    );
}

#[test]
fn a_part_that_the_path_does_not_have_is_refused() {
    let policies = "policies: {transform: {request: {headers: {set: {x-id: $(path.orderid)}}}}}";
    refused(
        &format!(
            "  - {{name: a, match: {{path: {{template: \"/x/{{order-id}}\"}}}}, service: app, {policies}}}\n"
        ),
        6,
        &["route `a` has no `{orderid}` in its path", "did you mean `$(path.order-id)`"],
    );
    refused(
        &format!("  - {{name: a, match: {{path: {{prefix: /x}}}}, service: app, {policies}}}\n"),
        6,
        &["route `a` has no `{orderid}` in its path"],
    );
    refused(&format!("  - {{name: a, service: app, {policies}}}\n"), 6, &["{orderid}"]);
}

#[test]
fn a_condition_that_means_nothing_is_refused_where_it_stands() {
    for (matches, word) in [
        ("path: {exact: /a, prefix: /b}", "exactly one of"),
        ("path: {exact: [/a, /b/../c]}", "did you mean `/c`?"),
        ("path: {template: \"/a/{id}.json\"}", "whole segment"),
        ("path: {regex: \"/a(\"}", "cannot be read"),
        ("hosts: [\"a.*\"]", "first label"),
        ("headers: {x-a: {}}", "exactly one of `present` and `regex`"),
        ("headers: {x-a: true}", "in quotes"),
        ("headers: {\"x a\": b}", "must not hold ' '"),
        ("query: {a: [{present: true}]}", ""),
    ] {
        refused(&format!("  - {{name: a, match: {{{matches}}}, service: app}}\n"), 6, &[word]);
    }
}
