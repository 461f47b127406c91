//! What policies do, and which scope's counts.

use crate::support::{Client, Gateway, Origin, Port, Response, Seen, Setup};

/// One route with these policies below document-wide ones, and one without its own.
fn document(global: &str, route: &str) -> String {
    format!(
        "policies: {{auth: none{global}}}\n\
         services: {{app: {{url: \"http://<app>\"}}}}\n\
         routes:\n\
         - {{name: own, match: {{path: {{prefix: /own}}}}, service: app, policies: {{{route}}}}}\n\
         - {{name: plain, match: {{path: {{prefix: /plain}}}}, service: app}}\n"
    )
}

async fn gateway(global: &str, route: &str) -> (Gateway, Origin) {
    let origin = Origin::saying("hello").await;
    let gateway = Setup::new(&document(global, route)).with("app", &origin).start().await;
    (gateway, origin)
}

// ip_filter

#[tokio::test]
async fn a_denied_address_gets_a_403_problem_and_reaches_no_service() {
    let (gateway, origin) = gateway("", "ip_filter: {deny: [127.0.0.0/8]}").await;
    gateway.get("/own").await.problem(403);
    assert_eq!(origin.requests().len(), 0);
    assert_eq!(gateway.get("/plain").await.status, 200);
}

#[tokio::test]
async fn a_403_does_not_say_why() {
    let (gateway, _origin) = gateway("", "ip_filter: {deny: [127.0.0.0/8]}").await;
    let response = gateway.get("/own").await;
    response.problem(403);
    assert!(!response.text().contains("127.0.0"), "{}", response.text());
}

#[tokio::test]
async fn where_some_are_allowed_no_others_are() {
    let (gateway, _origin) = gateway("", "ip_filter: {allow: [127.0.0.2]}").await;
    gateway.get("/own").await.problem(403);
    let mut client = Client::connect_from([127, 0, 0, 2], gateway.address).await;
    assert_eq!(client.get("/own").await.status, 200);
}

#[tokio::test]
async fn a_denial_wins_over_an_allowance() {
    let filter = "ip_filter: {allow: [127.0.0.0/8], deny: [127.0.0.1]}";
    let (gateway, _origin) = gateway("", filter).await;
    gateway.get("/own").await.problem(403);
}

#[tokio::test]
async fn a_global_denial_cannot_be_cleared_by_a_route() {
    for route in ["ip_filter: none", "ip_filter: {allow: [127.0.0.1]}", "ip_filter: {}"] {
        let (gateway, _origin) = gateway(", ip_filter: {deny: [127.0.0.1]}", route).await;
        gateway.get("/own").await.problem(403);
    }
}

#[tokio::test]
async fn a_global_allowance_is_switched_off_by_none() {
    let global = ", ip_filter: {allow: [10.0.0.0/8]}";
    let (gateway, _origin) = gateway(global, "ip_filter: none").await;
    assert_eq!(gateway.get("/own").await.status, 200);
    gateway.get("/plain").await.problem(403);
}

#[tokio::test]
async fn the_address_that_counts_is_the_one_that_a_trusted_proxy_names() {
    let origin = Origin::saying("hello").await;
    let document = document(", ip_filter: {deny: [203.0.113.0/24]}", "");
    let request = "GET /own HTTP/1.1\r\nHost: a\r\nX-Forwarded-For: 203.0.113.7\r\n\r\n";
    let setup = Setup::new(&document).with("app", &origin);
    let trusting = setup.listener("trusted_proxies: [127.0.0.1]").start().await;
    trusting.request(request).await.problem(403);
    let alone = Setup::new(&document).with("app", &origin).start().await;
    assert_eq!(alone.request(request).await.status, 200);
}

// request_size

const SMALL: &str = "request_size: {body: 1KiB, headers: 4KiB}";

fn post(length: usize) -> String {
    let body = "x".repeat(length);
    format!("POST /own HTTP/1.1\r\nHost: a\r\nContent-Length: {length}\r\n\r\n{body}")
}

fn chunked(length: usize) -> String {
    let body = "x".repeat(length);
    format!(
        "POST /own HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n\
         {length:x}\r\n{body}\r\n0\r\n\r\n"
    )
}

#[tokio::test]
async fn a_body_as_large_as_the_limit_passes() {
    let (gateway, origin) = gateway("", SMALL).await;
    for request in [post(1024), chunked(1024)] {
        assert_eq!(gateway.request(&request).await.status, 200);
        assert_eq!(origin.last().body.len(), 1024);
    }
}

#[tokio::test]
async fn a_body_that_is_announced_too_large_is_refused_before_any_of_it_is_sent_on() {
    let (gateway, origin) = gateway("", SMALL).await;
    gateway.request(&post(1025)).await.problem(413);
    assert_eq!(origin.requests().len(), 0);
}

#[tokio::test]
async fn a_client_that_waits_for_100_is_spared_a_body_that_is_too_large() {
    let (gateway, _origin) = gateway("", SMALL).await;
    let mut client = gateway.connect().await;
    client
        .send(
            "POST /own HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\nContent-Length: 2000\r\n\r\n",
        )
        .await;
    assert_eq!(client.head().await.status, 413);
}

#[tokio::test]
async fn chunks_that_add_up_to_too_much_are_refused() {
    let (gateway, _origin) = gateway("", SMALL).await;
    gateway.request(&chunked(2000)).await.problem(413);
    let mut client = gateway.connect().await;
    client.send("POST /own HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n").await;
    let part = format!("258\r\n{}\r\n", "x".repeat(600));
    client.send(&part).await;
    client.send(&part).await;
    client.response().await.problem(413);
}

#[tokio::test]
async fn after_a_413_nothing_of_the_body_is_taken_for_a_request() {
    let (gateway, origin) = gateway("", SMALL).await;
    let hidden = "GET /own/hidden HTTP/1.1\r\nHost: a\r\n\r\n";
    let body = hidden.repeat(50);
    let length = body.len();
    let mut client = gateway.connect().await;
    client
        .send(format!("POST /own HTTP/1.1\r\nHost: a\r\nContent-Length: {length}\r\n\r\n{body}"))
        .await;
    client.response().await.problem(413);
    if client.try_send("GET /plain HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n").await {
        client.closed().await;
    }
    assert!(origin.requests().iter().all(|seen| seen.target != "/own/hidden"));
}

#[tokio::test]
async fn a_head_that_is_too_large_is_a_431() {
    let (gateway, origin) = gateway("", SMALL).await;
    let large = "x".repeat(5000);
    for request in [
        format!("GET /own HTTP/1.1\r\nHost: a\r\nX-Large: {large}\r\n\r\n"),
        format!("GET /own?{large} HTTP/1.1\r\nHost: a\r\n\r\n"),
    ] {
        gateway.request(&request).await.problem(431);
    }
    assert_eq!(origin.requests().len(), 0);
    assert_eq!(gateway.get("/own").await.status, 200);
}

// deprecation

#[tokio::test]
async fn a_deprecated_route_says_since_when_and_until_when_on_each_of_its_answers() {
    let origin = Origin::start(|mut call| async move {
        let fields = "Deprecation: @1\r\nSunset: never\r\nLink: </next>; rel=\"next\"\r\n";
        call.reply(200, fields, "hello").await;
        call
    })
    .await;
    let route = "deprecation: {since: 2026-01-01, sunset: 2026-12-31T12:00:00Z, \
                 link: \"https://example.com/migrate\"}, request_size: {body: 1B}";
    let gateway = Setup::new(&document("", route)).with("app", &origin).start().await;
    for response in [gateway.get("/own").await, gateway.request(&post(2)).await] {
        assert_eq!(response.get("deprecation"), Some("@1767225600"));
        assert_eq!(response.get("sunset"), Some("Thu, 31 Dec 2026 12:00:00 GMT"));
        let link = "<https://example.com/migrate>; rel=\"deprecation\"";
        assert!(response.head.all("link").contains(&link), "{:?}", response.head);
    }
    let response = gateway.get("/own").await;
    assert!(response.head.all("link").contains(&"</next>; rel=\"next\""), "{:?}", response.head);
    assert_eq!(gateway.get("/plain").await.get("deprecation"), Some("@1"));
}

// Scopes

#[tokio::test]
async fn a_routes_whole_object_counts_and_nothing_of_the_documents() {
    let global = ", request_size: {body: 10B, headers: 4KiB}";
    let (gateway, _origin) = gateway(global, "request_size: {headers: 64KiB}").await;
    assert_eq!(gateway.request(&post(1024)).await.status, 200);
    let elsewhere = post(1024).replace("/own", "/plain");
    gateway.request(&elsewhere).await.problem(413);
}

#[tokio::test]
async fn none_switches_a_kind_off() {
    let (gateway, _origin) = gateway(", request_size: {body: 10B}", "request_size: none").await;
    assert_eq!(gateway.request(&post(1024)).await.status, 200);
}

#[tokio::test]
async fn a_set_wins_over_the_document_a_later_set_over_an_earlier_and_the_route_over_all() {
    let origin = Origin::saying("hello").await;
    let sets = r#"
policies: {auth: none, transform: {response: {headers: {set: {x-scope: document}}}}}
policy_sets:
  first: {transform: {response: {headers: {set: {x-scope: first}}}}}
  second: {transform: {response: {headers: {set: {x-scope: second}}}}}
  other: {request_size: {body: 1KiB}}
services: {app: {url: "http://<app>"}}
routes:
  - {name: a, match: {path: {exact: /document}}, service: app}
  - {name: b, match: {path: {exact: /first}}, service: app, use: [first]}
  - {name: c, match: {path: {exact: /second}}, service: app, use: [first, second, other]}
  - name: d
    match: {path: {exact: /route}}
    service: app
    use: [second, first]
    policies: {transform: {response: {headers: {set: {x-scope: route}}}}}
"#;
    let gateway = Setup::new(sets).with("app", &origin).start().await;
    for scope in ["document", "first", "second", "route"] {
        assert_eq!(gateway.get(&format!("/{scope}")).await.get("x-scope"), Some(scope));
    }
}

#[tokio::test]
async fn an_auth_decision_of_a_set_is_a_decision() {
    let origin = Origin::saying("hello").await;
    let document = r#"
policy_sets: {public: {auth: none}}
services: {app: {url: "http://<app>"}}
routes: [{name: a, match: {path: {prefix: /}}, service: app, use: [public]}]
"#;
    let gateway = Setup::new(document).with("app", &origin).start().await;
    assert_eq!(gateway.get("/").await.status, 200);
}

// transform

/// What becomes of a request, and of its answer, under this transform.
async fn transformed(transform: &str, request: &str) -> (Option<Seen>, Response) {
    let origin = Origin::start(|mut call| async move {
        call.reply(200, "Server: origin\r\nX-Theirs: 1\r\n", "hello").await;
        call
    })
    .await;
    let document = document("", &format!("transform: {{{transform}}}"));
    let gateway = Setup::new(&document).with("app", &origin).start().await;
    let response = gateway.request(request).await;
    (origin.requests().pop(), response)
}

async fn target(path: &str, target: &str) -> String {
    let request = format!("GET {target} HTTP/1.1\r\nHost: a\r\n\r\n");
    let (seen, _) = transformed(&format!("request: {{path: {{{path}}}}}"), &request).await;
    seen.expect("the origin saw a request").target
}

#[tokio::test]
async fn a_prefix_is_stripped_on_whole_segments() {
    assert_eq!(target("strip_prefix: /own", "/own/a/b?q=1").await, "/a/b?q=1");
    assert_eq!(target("strip_prefix: /own", "/own").await, "/");
    assert_eq!(target("strip_prefix: /own", "/own/").await, "/");
    assert_eq!(target("strip_prefix: /own/", "/own?q=1").await, "/?q=1");
    assert_eq!(target("strip_prefix: /ow", "/own/a").await, "/own/a");
    assert_eq!(target("strip_prefix: /own/a", "/own/ab").await, "/own/ab");
}

#[tokio::test]
async fn what_is_left_of_a_stripped_path_is_a_path() {
    // `//evil.test/` would name a host.
    let left = target("strip_prefix: /own", "/own//evil.test/a").await;
    assert!(left == "//evil.test/a" || left == "/evil.test/a", "{left}");
}

#[tokio::test]
async fn a_prefix_is_replaced_on_whole_segments() {
    let path = "replace_prefix: {from: /own/a, to: /b}";
    assert_eq!(target(path, "/own/a/1?q=a%20b").await, "/b/1?q=a%20b");
    assert_eq!(target(path, "/own/a").await, "/b");
    assert_eq!(target(path, "/own/abc").await, "/own/abc");
}

#[tokio::test]
async fn a_path_is_replaced_with_values_of_the_request_encoded() {
    let path = "replace: \"/fixed/$(query.id)\"";
    assert_eq!(target(path, "/own?id=7").await, "/fixed/7?id=7");
    assert_eq!(target(path, "/own?id=a%2Fb%3Fc").await, "/fixed/a%2Fb%3Fc?id=a%2Fb%3Fc");
    assert_eq!(target("replace: /fixed", "/own/x?q=1").await, "/fixed?q=1");
    let path = "replace: \"/fixed?id=$(query.id)\"";
    assert_eq!(target(path, "/own?id=7&q=1").await, "/fixed?id=7&id=7&q=1");
}

#[tokio::test]
async fn a_path_whose_value_is_missing_or_climbs_is_a_404() {
    for query in ["", "?other=1", "?id=..", "?id=.", "?id=%2e%2e"] {
        let request = format!("GET /own{query} HTTP/1.1\r\nHost: a\r\n\r\n");
        let path = "request: {path: {replace: \"/fixed/$(query.id)\"}}";
        let (seen, response) = transformed(path, &request).await;
        response.problem(404);
        assert!(seen.is_none(), "{query} reached {seen:?}");
    }
}

#[tokio::test]
async fn a_path_is_replaced_by_what_a_regular_expression_captured() {
    let path =
        r#"replace_regex: {pattern: "^/own/(?<kind>[a-z]+)/([0-9]+)$", with: "/$2/${kind}"}"#;
    assert_eq!(target(path, "/own/users/7?q=1").await, "/7/users?q=1");
    assert_eq!(target(path, "/own/users/x?q=1").await, "/own/users/x?q=1");
    let path = "replace_regex: {pattern: /own/(.*), with: /files/$1}";
    assert_eq!(target(path, "/own/a%20b").await, "/files/a%20b");
}

#[tokio::test]
async fn a_path_that_climbs_from_what_was_captured_is_a_404() {
    let path = "request: {path: {replace_regex: {pattern: \"/own/(.*)\", with: /files/.$1/x}}}";
    let (seen, response) = transformed(path, "GET /own/. HTTP/1.1\r\nHost: a\r\n\r\n").await;
    response.problem(404);
    assert!(seen.is_none(), "{seen:?}");
    let (_, response) = transformed(path, "GET /own/a HTTP/1.1\r\nHost: a\r\n\r\n").await;
    assert_eq!(response.status, 200);
}

const PLAIN: &str =
    "GET /own/path?q=v HTTP/1.1\r\nHost: a\r\nCookie: s=c\r\nX-Given: g\r\nX-Gone: 1\r\n\r\n";

#[tokio::test]
async fn request_fields_are_set_added_and_removed() {
    let fields =
        "set: {x-source: gateway, x-given: ours}, add: {x-given: more}, remove: [x-gone, cookie]";
    let (seen, _) = transformed(&format!("request: {{headers: {{{fields}}}}}"), PLAIN).await;
    let seen = seen.unwrap();
    assert_eq!(seen.get("x-source"), Some("gateway"));
    assert_eq!(seen.head.all("x-given"), ["ours", "more"]);
    assert_eq!(seen.get("x-gone"), None);
    assert_eq!(seen.get("cookie"), None);
}

#[tokio::test]
async fn request_fields_may_refer_to_the_request() {
    let fields = r#"x-ip: $(client.ip), x-id: $(request.id), x-method: $(request.method),
        x-host: $(request.host), x-path: $(request.path), x-from: "<$(header.x-given)>",
        x-query: $(query.q), x-cookie: $(cookie.s), x-first: "$(header.x-no ?? query.q)""#;
    let (seen, response) =
        transformed(&format!("request: {{headers: {{set: {{{fields}}}}}}}"), PLAIN).await;
    let seen = seen.unwrap();
    assert_eq!(seen.get("x-ip"), Some("127.0.0.1"));
    assert_eq!(seen.get("x-id"), response.get("x-request-id"));
    assert_eq!(seen.get("x-method"), Some("GET"));
    assert_eq!(seen.get("x-host"), Some("a"));
    assert_eq!(seen.get("x-path"), Some("/own/path"));
    assert_eq!(seen.get("x-from"), Some("<g>"));
    assert_eq!(seen.get("x-query"), Some("v"));
    assert_eq!(seen.get("x-cookie"), Some("c"));
    assert_eq!(seen.get("x-first"), Some("v"));
}

#[tokio::test]
async fn a_missing_value_leaves_its_field_out() {
    // Also where the client sent that field itself: it would be taken for the gateway's word.
    let fields =
        "set: {x-set: $(header.x-no), x-given: $(header.x-no)}, add: {x-added: $(query.no)}";
    let (seen, _) = transformed(&format!("request: {{headers: {{{fields}}}}}"), PLAIN).await;
    let seen = seen.unwrap();
    for name in ["x-set", "x-given", "x-added"] {
        assert_eq!(seen.get(name), None, "{name}");
    }
}

#[tokio::test]
async fn a_value_of_the_request_cannot_begin_another_field() {
    let request = "GET /own?q=a%0d%0aX-Forged:%201 HTTP/1.1\r\nHost: a\r\n\r\n";
    let fields = "request: {headers: {set: {x-q: $(query.q)}}}, \
        response: {headers: {set: {x-q: $(query.q)}}}";
    let (seen, response) = transformed(fields, request).await;
    let seen = seen.unwrap();
    assert_eq!((seen.get("x-forged"), seen.get("x-q")), (None, None));
    assert_eq!((response.get("x-forged"), response.get("x-q")), (None, None));
}

#[tokio::test]
async fn answer_fields_are_set_added_and_removed() {
    let fields = "set: {x-theirs: ours, x-ip: $(client.ip), x-no: $(header.x-no)}, \
        add: {vary: x-given}, remove: [server]";
    let (_, response) = transformed(&format!("response: {{headers: {{{fields}}}}}"), PLAIN).await;
    assert_eq!(response.get("x-theirs"), Some("ours"));
    assert_eq!(response.get("x-ip"), Some("127.0.0.1"));
    assert_eq!(response.get("x-no"), None);
    assert_eq!(response.get("vary"), Some("x-given"));
    assert_eq!(response.get("server"), None);
}

#[tokio::test]
async fn the_gateways_own_answers_get_a_routes_fields_as_well() {
    let route = "ip_filter: {deny: [127.0.0.1]}, \
        transform: {response: {headers: {set: {x-frame-options: DENY}}}}";
    let (gateway, _origin) = gateway("", route).await;
    let response = gateway.get("/own").await;
    response.problem(403);
    assert_eq!(response.get("x-frame-options"), Some("DENY"));
}

#[tokio::test]
async fn a_transformed_request_id_is_what_the_operator_says() {
    let fields = "request: {headers: {set: {x-trace: \"r-$(request.id)\"}}}";
    let (seen, response) = transformed(fields, PLAIN).await;
    let id = response.get("x-request-id").unwrap();
    assert_eq!(seen.unwrap().get("x-trace"), Some(&*format!("r-{id}")));
}

#[tokio::test]
async fn a_path_that_cannot_be_made_is_refused_before_the_service_is_connected_to() {
    let nobody = Port::reserve();
    let path = "transform: {request: {path: {replace: \"/fixed/$(query.id)\"}}}";
    let gateway = Setup::new(&document("", path)).with("app", nobody.address).start().await;
    let mut client = gateway.connect().await;
    let problem = client.get("/own").await.problem(404);
    assert!(!problem["detail"].as_str().unwrap().contains("no route"), "{problem}");
    client.get("/own").await.problem(404);
}

#[tokio::test]
async fn a_host_whose_value_is_missing_stays_as_it_was() {
    let set = "request: {headers: {set: {host: $(header.x-host)}}}";
    let (seen, _) = transformed(set, "GET /own HTTP/1.1\r\nHost: a\r\n\r\n").await;
    assert!(seen.unwrap().get("host").is_some_and(|host| host.starts_with("127.0.0.1")));
}
