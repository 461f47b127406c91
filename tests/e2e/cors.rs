//! What pages of other origins are told.

use crate::support::{Gateway, Origin, Port, Response, Setup};
use http::Request;

const APP: &str = "https://app.example";

/// A route with `cors` for GET and PUT, one without, and one that serves `OPTIONS` itself.
const ROUTES: &str = r#"
policies: {auth: none}
services:
  app: {url: "http://<app>"}
routes:
  - name: shared
    match: {path: {prefix: /shared}, methods: [GET, PUT]}
    service: app
    policies:
      cors:
        origins: ["https://app.example"]
        methods: [GET, PUT]
        headers: [content-type]
        expose: [x-request-id]
        credentials: true
        max_age: 10m
      request_size: {body: 10B}
  - {name: read, match: {path: {prefix: /plain}, methods: [GET]}, service: app}
  - {name: options, match: {path: {prefix: /plain/own}, methods: [GET, OPTIONS]}, service: app}
"#;

/// The same for all routes, and for requests that match none.
const GLOBAL: &str = r#"
policies:
  auth: none
  cors: {origins: ["https://app.example"], methods: [GET, DELETE]}
services:
  app: {url: "http://<app>"}
routes:
  - {name: app, match: {path: {prefix: /app}, methods: [GET]}, service: app}
  - {name: denied, match: {path: {exact: /denied}}, service: app, policies: {ip_filter: {deny: [127.0.0.1]}}}
  - {name: gone, match: {path: {exact: /gone}}, respond: {status: 410, body: gone}}
  - {name: moved, match: {path: {exact: /moved}}, redirect: {to: /app}}
  - {name: off, match: {path: {exact: /off}}, service: app, policies: {cors: none}}
"#;

async fn gateway(document: &str) -> (Gateway, Origin) {
    let origin = Origin::start(|mut call| async move {
        let fields = "Access-Control-Allow-Origin: *\r\nVary: Accept\r\n";
        call.reply(200, fields, "hello").await;
        call
    })
    .await;
    let gateway = Setup::new(document).with("app", &origin).start().await;
    (gateway, origin)
}

fn request(method: &str, target: &str, fields: &str) -> String {
    format!("{method} {target} HTTP/1.1\r\nHost: a\r\n{fields}\r\n")
}

fn from_app(method: &str, target: &str) -> String {
    request(method, target, &format!("Origin: {APP}\r\n"))
}

fn preflight(target: &str, origin: &str, method: &str) -> String {
    let fields = format!("Origin: {origin}\r\nAccess-Control-Request-Method: {method}\r\n");
    request("OPTIONS", target, &fields)
}

#[track_caller]
fn is_let_through(response: &Response) {
    assert_eq!(response.get("access-control-allow-origin"), Some(APP), "{:?}", response.head);
    assert!(response.head.lists("vary", "origin"), "{:?}", response.head);
}

#[track_caller]
fn is_told_nothing(response: &Response) {
    let fields = &response.head.fields;
    let said =
        fields.iter().find(|(name, _)| name.to_ascii_lowercase().starts_with("access-control-"));
    assert_eq!(said, None);
}

#[tokio::test]
async fn a_preflight_is_answered_without_the_service() {
    let (gateway, origin) = gateway(ROUTES).await;
    let mut client = gateway.connect().await;
    for _ in 0..2 {
        let response = client.request(&preflight("/shared/a", APP, "PUT")).await;
        assert_eq!((response.status, response.get("content-length")), (204, None));
        is_let_through(&response);
        assert_eq!(response.get("access-control-allow-credentials"), Some("true"));
        assert_eq!(response.get("access-control-allow-methods"), Some("GET, PUT"));
        assert_eq!(response.get("access-control-allow-headers"), Some("content-type"));
        assert_eq!(response.get("access-control-max-age"), Some("600"));
        for name in ["access-control-request-method", "access-control-request-headers"] {
            assert!(response.head.lists("vary", name), "{:?}", response.head);
        }
    }
    assert_eq!(origin.requests().len(), 0);
    let line = &gateway.access_log(2).await[0];
    assert_eq!((line["route"].as_str(), line["status"].as_u64()), (Some("shared"), Some(204)));
}

#[tokio::test]
async fn a_preflight_of_another_origin_gets_no_leave() {
    let (gateway, origin) = gateway(ROUTES).await;
    for other in ["https://evil.example", "null", "http://app.example"] {
        let response = gateway.request(&preflight("/shared/a", other, "PUT")).await;
        assert_eq!(response.status, 204);
        assert!(response.head.lists("vary", "origin"));
        is_told_nothing(&response);
    }
    assert_eq!(origin.requests().len(), 0);
}

#[tokio::test]
async fn an_options_request_that_is_no_preflight_is_a_request_like_any_other() {
    let (gateway, origin) = gateway(ROUTES).await;
    let options = gateway.request(&from_app("OPTIONS", "/plain/own")).await;
    assert_eq!((options.status, origin.last().method.as_str()), (200, "OPTIONS"));
    let options = gateway.request(&from_app("OPTIONS", "/shared")).await;
    options.problem(405);
    assert_eq!(origin.requests().len(), 1);
}

#[tokio::test]
async fn a_preflight_goes_to_the_service_where_its_route_takes_options() {
    let (gateway, origin) = gateway(ROUTES).await;
    let response = gateway.request(&preflight("/plain/own", "https://evil.example", "GET")).await;
    assert_eq!((response.status, origin.last().method.as_str()), (200, "OPTIONS"));
    assert_eq!(response.get("access-control-allow-origin"), Some("*"));
    // The route for GET would take the method that is asked for, and has no cors to answer.
    let response = gateway.request(&preflight("/plain", APP, "GET")).await;
    response.problem(405);
    assert_eq!(origin.requests().len(), 1);
}

#[tokio::test]
async fn an_answer_names_the_origin_and_replaces_what_the_service_says() {
    let (gateway, origin) = gateway(ROUTES).await;
    let response = gateway.request(&from_app("GET", "/shared")).await;
    is_let_through(&response);
    assert!(response.head.lists("vary", "accept"));
    assert_eq!(response.get("access-control-allow-credentials"), Some("true"));
    assert_eq!(response.get("access-control-expose-headers"), Some("x-request-id"));
    assert_eq!(response.get("access-control-allow-methods"), None);
    // The service may want to know, as before.
    assert_eq!(origin.last().get("origin"), Some(APP));
}

#[tokio::test]
async fn an_answer_to_another_origin_or_to_none_says_what_it_depends_on() {
    let (gateway, _origin) = gateway(ROUTES).await;
    for fields in ["", "Origin: https://evil.example\r\n"] {
        let response = gateway.request(&request("GET", "/shared", fields)).await;
        assert_eq!(response.text(), "hello");
        assert!(response.head.lists("vary", "origin"));
        is_told_nothing(&response);
    }
    let response = gateway.request(&from_app("GET", "/plain")).await;
    assert_eq!(response.get("access-control-allow-origin"), Some("*"));
    assert!(!response.head.lists("vary", "origin"));
}

#[tokio::test]
async fn a_page_can_read_the_errors_of_the_gateway() {
    let (gateway, _origin) = gateway(ROUTES).await;
    let large = from_app("PUT", "/shared").replace("\r\n\r\n", "\r\nContent-Length: 11\r\n\r\n");
    let response = gateway.request(&format!("{large}01234567890")).await;
    response.problem(413);
    is_let_through(&response);
}

#[tokio::test]
async fn a_page_can_read_that_the_service_is_gone() {
    let port = Port::reserve();
    let gateway = Setup::new(ROUTES).with("app", port.address).start().await;
    let response = gateway.request(&from_app("GET", "/shared")).await;
    response.problem(502);
    is_let_through(&response);
}

#[tokio::test]
async fn a_page_can_read_what_came_before_cors_or_instead_of_a_route() {
    let (gateway, _origin) = gateway(GLOBAL).await;
    for (target, status) in [("/denied", 403), ("/nowhere", 404)] {
        let response = gateway.request(&from_app("GET", target)).await;
        response.problem(status);
        is_let_through(&response);
    }
    let response = gateway.request(&from_app("POST", "/app")).await;
    response.problem(405);
    is_let_through(&response);
    is_told_nothing(&gateway.get("/nowhere").await);
}

#[tokio::test]
async fn a_page_can_read_what_the_gateway_answers_by_itself() {
    let (gateway, _origin) = gateway(GLOBAL).await;
    for (target, status) in [("/gone", 410), ("/moved", 307)] {
        let response = gateway.request(&from_app("GET", target)).await;
        assert_eq!(response.status, status);
        is_let_through(&response);
    }
    let response = gateway.request(&preflight("/gone", APP, "DELETE")).await;
    assert_eq!((response.status, response.text()), (204, ""));
    assert_eq!(response.get("access-control-allow-methods"), Some("GET, DELETE"));
}

#[tokio::test]
async fn a_route_without_cors_is_left_to_its_service() {
    let (gateway, origin) = gateway(GLOBAL).await;
    let response = gateway.request(&from_app("GET", "/off")).await;
    assert_eq!(response.get("access-control-allow-origin"), Some("*"));
    let response = gateway.request(&preflight("/off", APP, "GET")).await;
    assert_eq!((response.status, origin.last().method.as_str()), (200, "OPTIONS"));
}

#[tokio::test]
async fn a_preflight_for_what_no_route_takes_is_an_error_that_a_page_can_read() {
    let (gateway, _origin) = gateway(GLOBAL).await;
    let response = gateway.request(&preflight("/app", APP, "DELETE")).await;
    response.problem(405);
    is_let_through(&response);
}

#[tokio::test]
async fn it_is_the_same_over_http_2() {
    let origin = Origin::saying("hello").await;
    let setup = Setup::new(GLOBAL).with("app", &origin);
    let gateway = setup.listener("protocols: [h2c, http/1.1]").start().await;
    let client = gateway.connect_h2().await;
    let ask = async |method: &str, path: &str| {
        let request = Request::builder().method(method).uri(format!("http://a{path}"));
        let request = request.header("origin", APP).header("access-control-request-method", "GET");
        client.request(request.body(()).unwrap(), "").await.unwrap()
    };
    for (method, path, status) in
        [("OPTIONS", "/app", 204), ("GET", "/app", 200), ("GET", "/nowhere", 404)]
    {
        let response = ask(method, path).await;
        assert_eq!(
            (response.status, response.headers["vary"].as_bytes().starts_with(b"Origin")),
            (status, true)
        );
        assert_eq!(response.headers["access-control-allow-origin"], APP);
    }
    assert_eq!(origin.requests().len(), 1);
}

#[tokio::test]
async fn a_preflight_is_matched_without_the_fields_that_it_only_announces() {
    let document = GLOBAL.replace("methods: [GET]}", "methods: [GET], headers: {x-v: \"1\"}}");
    let (gateway, _origin) = gateway(&document).await;
    let response = gateway.request(&preflight("/app", APP, "GET")).await;
    assert_eq!(response.status, 204);
    is_let_through(&response);
    gateway.request(&from_app("GET", "/app")).await.problem(404);
}
