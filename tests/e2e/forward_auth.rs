//! A service that says whether a request may pass, and who is asking.

use crate::support::{Client, Gateway, Origin, Port, Response, Setup, check};
use http::Request;

const DOCUMENT: &str = r#"
policies: {auth: none}
identity:
  headers: {x-user-id: $(identity.sub), x-user-roles: $(identity.roles), x-tenant: $(identity.tenant)}
services:
  gate: {<gate>}
  app: {url: "http://<app>"}
routes:
  - name: guarded
    match: {path: {prefix: /}}
    service: app
    policies:
      <policies>
      auth:
        <settings>
        forward_auth:
          service: gate
          path: /decide?by=gateway
          timeout: <timeout>
          claims: {sub: x-auth-user, role: x-auth-role, tenant: x-auth-tenant}
"#;

/// What a gateway before a service that decides is made of.
struct Parts<'a> {
    settings: &'a str,
    policies: &'a str,
    timeout: &'a str,
}

impl Default for Parts<'_> {
    fn default() -> Self {
        Parts { settings: "optional: false", policies: "", timeout: "10s" }
    }
}

impl Parts<'_> {
    async fn start(self, gate: &str, app: &Origin) -> Gateway {
        let setup = Setup::new(DOCUMENT).with("gate", gate).with("app", app);
        let setup = setup.with("settings", self.settings).with("policies", self.policies);
        let setup = setup.with("timeout", self.timeout);
        setup.listener("protocols: [h2c, http/1.1]").start().await
    }
}

/// A service that decides by the field `X-Want`.
async fn gate() -> Origin {
    Origin::start(|mut call| async move {
        match call.seen.get("x-want").unwrap_or("ann").to_owned().as_str() {
            "ann" => {
                let fields = "X-Auth-User: ann\r\nX-Auth-Role: admin\r\nX-Secret: 1\r\n";
                call.reply(200, fields, "ignored").await;
            }
            "somebody" => call.reply(204, "", "").await,
            "large" => call.reply(200, "X-Auth-User: ann\r\n", "x".repeat(100_000)).await,
            "login" => {
                let fields = "Location: https://id.test/login?from=1\r\n\
                              Set-Cookie: state=a; Path=/\r\nSet-Cookie: nonce=b; HttpOnly\r\n\
                              Connection: X-Hop\r\nX-Hop: 1\r\nKeep-Alive: timeout=5\r\n\
                              Content-Type: text/html\r\n";
                call.reply(302, fields, "<p>over there</p>").await;
            }
            "never" => call.until_closed().await,
            "hangs-up" => return call.close(),
            status => {
                let status = status.parse().expect("a wish of these tests");
                let fields = "WWW-Authenticate: Custom\r\nContent-Type: application/json\r\n\
                              Cache-Control: max-age=60\r\n";
                call.reply(status, fields, "{\"why\": \"because\"}").await;
            }
        }
        call
    })
    .await
}

async fn parts() -> (Origin, Origin) {
    (gate().await, Origin::saying("hello").await)
}

fn at(origin: &Origin) -> String {
    format!("url: \"http://{origin}\"")
}

async fn wanting(gateway: &Gateway, wish: &str) -> Response {
    let request = format!("GET /a HTTP/1.1\r\nHost: gateway.test\r\nX-Want: {wish}\r\n\r\n");
    gateway.request(&request).await
}

#[tokio::test]
async fn who_is_let_pass_is_whom_the_answers_fields_name() {
    let (gate, app) = parts().await;
    let gateway = Parts::default().start(&at(&gate), &app).await;
    let request = "GET /a HTTP/1.1\r\nHost: gateway.test\r\nX-User-Id: root\r\n\
                   X_Tenant: other\r\nX-Auth-User: root\r\n\r\n";
    let response = gateway.request(request).await;
    assert_eq!((response.status, response.text()), (200, "hello"));
    let seen = app.last();
    assert_eq!(seen.get("x-user-id"), Some("ann"));
    assert_eq!(seen.get("x-user-roles"), Some("admin"));
    assert_eq!((seen.get("x-tenant"), seen.get("x_tenant")), (None, None));
    assert_eq!(seen.get("x-secret"), None);
    // Neither does the service that decides hear what a client says of that.
    assert_eq!(gate.last().get("x-user-id"), None);
    assert_eq!(wanting(&gateway, "somebody").await.status, 200);
    assert_eq!(app.last().get("x-user-id"), None);
    let labels = [("route", "guarded"), ("way", "forward_auth")];
    gateway.metric("gateway_authentications_total", &labels, 2.0).await;
}

#[tokio::test]
async fn a_no_is_the_clients_answer() {
    let (gate, app) = parts().await;
    let gateway = Parts::default().start(&at(&gate), &app).await;
    let mut client = gateway.connect().await;
    for status in [401, 403, 404, 429] {
        let request = format!("GET /a HTTP/1.1\r\nHost: a\r\nX-Want: {status}\r\n\r\n");
        let response = client.request(&request).await;
        assert_eq!(response.status, status);
        assert_eq!(response.text(), "{\"why\": \"because\"}");
        assert_eq!(response.get("www-authenticate"), Some("Custom"));
        assert_eq!(response.get("cache-control"), Some("no-store"));
        assert!(response.get("x-request-id").is_some());
    }
    let request = "HEAD /a HTTP/1.1\r\nHost: a\r\nX-Want: 403\r\n\r\n";
    assert_eq!(client.request(request).await.status, 403);
    assert_eq!(client.get("/a").await.status, 200);
    assert_eq!(app.requests().len(), 1);
}

#[tokio::test]
async fn a_no_counts_as_a_credential_that_proves_nothing() {
    let (gate, app) = parts().await;
    let gateway = Parts::default().start(&at(&gate), &app).await;
    for wish in ["401", "403", "login"] {
        wanting(&gateway, wish).await;
    }
    let labels = [("way", "forward_auth"), ("outcome", "invalid")];
    gateway.metric("gateway_authentications_total", &labels, 2.0).await;
}

#[tokio::test]
async fn a_redirect_goes_to_the_client_with_all_its_cookies() {
    let (gate, app) = parts().await;
    let gateway = Parts::default().start(&at(&gate), &app).await;
    let response = wanting(&gateway, "login").await;
    assert_eq!(response.status, 302);
    assert_eq!(response.get("location"), Some("https://id.test/login?from=1"));
    let cookies = response.head.all("set-cookie");
    assert_eq!(cookies, ["state=a; Path=/", "nonce=b; HttpOnly"]);
    assert_eq!(response.text(), "<p>over there</p>");
    for gone in ["x-hop", "keep-alive"] {
        assert_eq!(response.get(gone), None, "{gone}");
    }
    assert_eq!(app.requests().len(), 0);
}

#[tokio::test]
async fn where_nobody_can_decide_nobody_passes() {
    let (gate, app) = parts().await;
    let parts = Parts { timeout: "100ms", settings: "optional: true", ..Parts::default() };
    let gateway = parts.start(&at(&gate), &app).await;
    for wish in ["500", "502", "503", "never", "hangs-up", "large"] {
        let response = wanting(&gateway, wish).await;
        response.problem(503);
        assert_eq!(response.get("retry-after"), Some("2"), "{wish}");
        assert!(!response.text().contains("because"));
    }
    gate.stop().await;
    wanting(&gateway, "ann").await.problem(503);
    assert_eq!(app.requests().len(), 0);
}

#[tokio::test]
async fn a_decision_takes_no_longer_than_its_route_has() {
    let (gate, app) = parts().await;
    let policies = "timeouts: {request: 150ms}";
    let parts = Parts { policies, timeout: "1h", ..Parts::default() };
    let gateway = parts.start(&at(&gate), &app).await;
    wanting(&gateway, "never").await.problem(503);
}

#[tokio::test]
async fn the_service_that_decides_gets_the_clients_fields_and_no_body() {
    let (gate, app) = parts().await;
    let gateway = Parts::default().start(&at(&gate), &app).await;
    let body = "{\"amount\": 3}";
    let trace = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";
    let request = format!(
        "POST /pay?x=%2F&y HTTP/1.1\r\nHost: shop.test\r\nAuthorization: Bearer abc\r\n\
         Cookie: session=1; theme=dark\r\nContent-Type: application/json\r\n\
         Connection: X-Hop, keep-alive\r\nX-Hop: 1\r\nKeep-Alive: timeout=5\r\nTE: trailers\r\n\
         Proxy-Authorization: Basic eA==\r\nExpect: 100-continue\r\nUpgrade: websocket\r\n\
         X-Forwarded-For: 9.9.9.9\r\nX-Forwarded-Uri: /public\r\nX_Forwarded_Method: GET\r\n\
         X-Forwarded-Host: admin.test\r\nX-Forwarded-Proto: https\r\nX-Real-IP: 9.9.9.9\r\n\
         X-Forwarded-Port: 443\r\nForwarded: for=9.9.9.9\r\nX-Forwarded-Method: GET\r\n\
         X-Request-Id: from-the-client-1\r\ntraceparent: {trace}\r\n\
         Content-Length: {}\r\n\r\n",
        body.len()
    );
    let mut client = gateway.connect().await;
    client.send(&request).await;
    assert_eq!(client.head().await.status, 100);
    client.send(body).await;
    let response = client.response().await;
    assert_eq!(response.status, 200, "{}", response.text());
    let seen = gate.last();
    assert_eq!((&*seen.method, &*seen.target), ("GET", "/decide?by=gateway"));
    assert_eq!(seen.get("host"), Some(gate.address()));
    assert_eq!(seen.get("authorization"), Some("Bearer abc"));
    assert_eq!(seen.get("cookie"), Some("session=1; theme=dark"));
    assert_eq!(seen.get("content-type"), Some("application/json"));
    assert_eq!(seen.get("x-forwarded-method"), Some("POST"));
    assert_eq!(seen.get("x-forwarded-uri"), Some("/pay?x=%2F&y"));
    assert_eq!(seen.get("x-forwarded-host"), Some("shop.test"));
    assert_eq!(seen.get("x-forwarded-proto"), Some("http"));
    assert_eq!(seen.get("x-forwarded-for"), Some("127.0.0.1"));
    assert_eq!(seen.get("x-request-id"), response.get("x-request-id"));
    assert_eq!(seen.get("traceparent"), Some(trace));
    for gone in [
        "content-length",
        "transfer-encoding",
        "x-hop",
        "connection",
        "keep-alive",
        "te",
        "upgrade",
        "expect",
        "proxy-authorization",
        "x_forwarded_method",
        "x-real-ip",
        "x-forwarded-port",
        "forwarded",
    ] {
        assert_eq!(seen.get(gone), None, "{gone}");
    }
    let served = app.last();
    assert_eq!((&*served.method, &*served.target), ("POST", "/pay?x=%2F&y"));
    assert_eq!(served.body, body.as_bytes());
    assert_eq!(served.get("authorization"), None);
    assert_eq!(served.get("cookie"), Some("session=1; theme=dark"));
}

#[tokio::test]
async fn what_a_client_has_cached_does_not_decide() {
    let (gate, app) = parts().await;
    let gateway = Parts::default().start(&at(&gate), &app).await;
    let request = "GET /a HTTP/1.1\r\nHost: a\r\nIf-None-Match: \"1\"\r\nRange: bytes=0-1\r\n\
                   If-Modified-Since: Tue, 24 Nov 2026 00:00:00 GMT\r\nIf-Range: \"1\"\r\n\r\n";
    assert_eq!(gateway.request(request).await.status, 200);
    for name in ["if-none-match", "range", "if-modified-since", "if-range"] {
        assert_eq!(gate.last().get(name), None, "{name}");
        assert!(app.last().get(name).is_some(), "{name}");
    }
}

#[tokio::test]
async fn the_credential_goes_on_where_the_route_says_so() {
    let (gate, app) = parts().await;
    let parts = Parts { settings: "forward_credentials: true", ..Parts::default() };
    let gateway = parts.start(&at(&gate), &app).await;
    let request = "GET /a HTTP/1.1\r\nHost: a\r\nAuthorization: Bearer abc\r\n\r\n";
    assert_eq!(gateway.request(request).await.status, 200);
    assert_eq!(app.last().get("authorization"), Some("Bearer abc"));
}

#[tokio::test]
async fn a_large_body_reaches_the_service_whole_after_the_decision() {
    let (gate, app) = parts().await;
    let gateway = Parts::default().start(&at(&gate), &app).await;
    let body = "0123456789".repeat(30_000);
    let head = "POST /a HTTP/1.1\r\nHost: a\r\n";
    let plain = format!("{head}Content-Length: {}\r\n\r\n{body}", body.len());
    let chunked =
        format!("{head}Transfer-Encoding: chunked\r\n\r\n{:x}\r\n{body}\r\n0\r\n\r\n", body.len());
    let mut client = gateway.connect().await;
    for request in [plain, chunked] {
        assert_eq!(client.request(&request).await.status, 200);
        assert_eq!(app.last().body, body.as_bytes());
        assert_eq!(gate.last().body, b"");
    }
}

#[tokio::test]
async fn a_client_of_http_2_is_decided_about_as_one_of_http_1() {
    let (gate, app) = parts().await;
    let gateway = Parts::default().start(&at(&gate), &app).await;
    let client = gateway.connect_h2().await;
    let request = Request::post("http://shop.test/pay?x=1")
        .header("cookie", "session=1")
        .header("cookie", "theme=dark")
        .header("te", "trailers");
    let response = client.request(request.body(()).unwrap(), "body").await.unwrap();
    assert_eq!(response.status, 200);
    let seen = gate.last();
    assert_eq!((seen.get("te"), seen.get("content-length")), (None, None));
    assert_eq!(seen.get("x-forwarded-host"), Some("shop.test"));
    assert_eq!(seen.get("x-forwarded-uri"), Some("/pay?x=1"));
    // HTTP/1 has one line for all (RFC 9113 §8.2.3).
    assert_eq!(seen.head.all("cookie"), ["session=1; theme=dark"]);
    assert_eq!((app.last().get("x-user-id"), app.last().body), (Some("ann"), b"body".to_vec()));
    let request = Request::get("http://shop.test/").header("x-want", "login").body(()).unwrap();
    let response = client.request(request, "").await.unwrap();
    assert_eq!(response.status, 302);
    assert_eq!(response.headers.get_all("set-cookie").iter().count(), 2);
    assert!(!response.headers.contains_key("connection"));
}

#[tokio::test]
async fn another_endpoint_decides_where_one_refuses_connections() {
    let (gate, app) = parts().await;
    let nobody = Port::reserve();
    let both = format!("endpoints: [{{address: \"{}\"}}, {{address: \"{gate}\"}}]", nobody.address);
    let gateway = Parts::default().start(&both, &app).await;
    for _ in 0..4 {
        assert_eq!(wanting(&gateway, "ann").await.status, 200);
    }
    assert_eq!(gate.requests().len(), 4);
}

#[tokio::test]
async fn a_trusted_proxy_says_who_the_client_is() {
    let (gate, app) = parts().await;
    let defaults = Parts::default();
    let setup = Setup::new(DOCUMENT).with("gate", at(&gate)).with("app", &app);
    let setup = setup.with("settings", defaults.settings).with("policies", "");
    let setup = setup.with("timeout", defaults.timeout);
    let gateway = setup.listener("trusted_proxies: [127.0.0.0/8]").start().await;
    let request = "GET /a HTTP/1.1\r\nHost: a\r\nX-Forwarded-For: 198.51.100.7\r\n\
                   X-Forwarded-Proto: https\r\nX-Forwarded-Host: shop.test\r\n\r\n";
    assert_eq!(gateway.request(request).await.status, 200);
    assert_eq!(gate.last().get("x-forwarded-for"), Some("198.51.100.7"));
    // As the service behind hears it, so does the one that decides.
    for name in ["x-forwarded-proto", "x-forwarded-host"] {
        assert_eq!(gate.last().get(name), app.last().get(name), "{name}");
    }
}

#[tokio::test]
async fn a_client_that_leaves_does_not_wait_for_a_decision() {
    let (gate, app) = parts().await;
    let gateway = Parts::default().start(&at(&gate), &app).await;
    let mut client = Client::connect(gateway.address).await;
    client.send("GET /a HTTP/1.1\r\nHost: a\r\nX-Want: hangs-up\r\n\r\n").await;
    drop(client);
    assert_eq!(wanting(&gateway, "ann").await.status, 200);
}

#[tokio::test]
async fn a_service_that_decides_is_one_that_is_used() {
    let (gate, app) = parts().await;
    let gateway = Parts::default().start(&at(&gate), &app).await;
    let (passed, said) = check(&gateway.folder().join("gateway.yaml"));
    assert!(passed && !said.contains("no route uses"), "{said}");
}
