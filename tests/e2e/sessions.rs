//! Sessions: a login seals what it knows into a cookie, which only the gateway reads.

use crate::support::{Client, Gateway, H2Client, Origin, Response, Setup, eventually, now, token};
use http::Request;
use serde_json::{Value, json};
use sluicegate::jose::Algorithm;
use std::collections::BTreeMap;

const FIRST: &str = "first-secret-of-more-than-32-bytes";
const SECOND: &str = "second-secret-of-more-than-32-bytes";

/// A login that sets a cookie, and routes that read it.
const DOCUMENT: &str = r#"
policies: {auth: none}
identity:
  headers: {x-user-id: $(identity.sub), x-user-roles: $(identity.roles), x-consumer: $(consumer.name)}
consumers:
  - {name: acme, roles: [partner], credentials: {jwt_sub: [acme-app]}}
services:
  users: {url: "http://<users>"}
  app: {url: "http://<app>"}
routes:
  - name: login
    match: {path: {exact: /auth/login}}
    login:
      service: users
      path: /validate
      token:
        issuer: "https://id.test"
        ttl: <ttl>
        claims: {sub: $(answer.body.id), role: $(answer.body.role)}
      session: {secret: [<login>], <settings>}
  - name: any
    match: {path: {prefix: /any}}
    service: app
    policies:
      auth:
        any_of:
          - session: {secret: [<auth>]}
          - jwt: {issuer: "https://other.test", algorithms: [HS256], secret: <jwt>}
  - name: admin
    match: {path: {prefix: /admin}}
    service: app
    policies:
      auth: {session: {secret: [<auth>]}}
      authorize: {all: ["role:admin"]}
  - name: open
    match: {path: {prefix: /open}}
    service: app
    policies: {auth: {session: {secret: [<auth>]}, optional: true}}
  - name: kept
    match: {path: {prefix: /kept}}
    service: app
    policies: {auth: {session: {secret: [<auth>]}, forward_credentials: true}}
  - name: own
    match: {path: {prefix: /}}
    service: app
    policies: {auth: {session: {secret: [<auth>]}}}
"#;

/// What a gateway with sessions is made of.
struct Parts<'a> {
    login: &'a str,
    auth: &'a str,
    ttl: &'a str,
    settings: &'a str,
}

impl Default for Parts<'_> {
    fn default() -> Self {
        Parts { login: FIRST, auth: FIRST, ttl: "1h", settings: "secure: false" }
    }
}

impl Parts<'_> {
    async fn start(self, users: &Origin, app: &Origin) -> Gateway {
        let secret = "0123456789-ours-".repeat(5);
        let setup = Setup::new(DOCUMENT).with("users", users).with("app", app);
        let setup = setup.with("login", self.login).with("auth", self.auth);
        let setup = setup.with("ttl", self.ttl).with("settings", self.settings);
        setup.with("jwt", secret).listener("protocols: [h2c, http/1.1]").start().await
    }
}

/// A service that takes everybody for whom they say.
async fn users() -> Origin {
    Origin::start(|mut call| async move {
        let said: Value = serde_json::from_slice(&call.body().await).unwrap();
        let answer = match said["id"].as_str() {
            Some("large") => json!({"id": "1", "role": "x".repeat(4000)}),
            Some("wrong") => {
                call.reply(401, "", "").await;
                return call;
            }
            _ => json!({"id": said["id"], "role": said["role"]}),
        };
        call.reply(200, "Content-Type: application/json\r\n", answer.to_string()).await;
        call
    })
    .await
}

async fn parts() -> (Origin, Origin) {
    (users().await, Origin::saying("hello").await)
}

/// A client that keeps its cookies, as browsers do (RFC 6265 §5.3).
struct Browser {
    client: Client,
    cookies: BTreeMap<String, String>,
}

impl Browser {
    async fn at(gateway: &Gateway) -> Browser {
        Browser { client: gateway.connect().await, cookies: BTreeMap::new() }
    }

    async fn get(&mut self, path: &str) -> Response {
        self.send("GET", path, "").await
    }

    async fn login(&mut self, id: &str, role: &str) -> Response {
        self.send("POST", "/auth/login", &json!({"id": id, "role": role}).to_string()).await
    }

    async fn send(&mut self, method: &str, path: &str, body: &str) -> Response {
        let pairs: Vec<String> =
            self.cookies.iter().map(|(name, value)| format!("{name}={value}")).collect();
        let cookie = match pairs.is_empty() {
            true => String::new(),
            false => format!("Cookie: {}\r\n", pairs.join("; ")),
        };
        let request = format!(
            "{method} {path} HTTP/1.1\r\nHost: gateway.test\r\n{cookie}\
             Content-Type: application/json\r\nContent-Length: {}\r\n\r\n{body}",
            body.len()
        );
        let response = self.client.request(&request).await;
        for line in response.head.all("set-cookie") {
            let pair = line.split(';').next().unwrap_or_default();
            let (name, value) = pair.split_once('=').expect("a cookie has a name");
            self.cookies.insert(name.trim().to_owned(), value.trim().to_owned());
        }
        response
    }
}

/// A sealed session, as a login set it.
async fn session(gateway: &Gateway) -> String {
    let mut browser = Browser::at(gateway).await;
    assert_eq!(browser.login("ann", "admin").await.status, 200);
    browser.cookies.remove("session").unwrap()
}

async fn with_cookie(gateway: &Gateway, path: &str, cookie: &str) -> Response {
    let head = format!("GET {path} HTTP/1.1\r\nHost: gateway.test\r\n");
    gateway.request(&format!("{head}Cookie: {cookie}\r\n\r\n")).await
}

#[tokio::test]
async fn a_browser_that_has_logged_in_is_known_from_then_on() {
    let (users, app) = parts().await;
    let gateway = Parts::default().start(&users, &app).await;
    let mut browser = Browser::at(&gateway).await;
    let refused = browser.get("/orders").await;
    let problem = refused.problem(401);
    assert_eq!(problem["type"], "urn:x-sluicegate:problem:credentials-missing");
    assert_eq!(refused.get("www-authenticate"), Some("Cookie realm=\"sluicegate\""));
    let response = browser.login("ann", "admin").await;
    let said = response.json();
    // No script can get at what the session is.
    assert_eq!(said, json!({"expiresIn": 3600, "user": {"id": "ann", "role": "admin"}}));
    assert_eq!(response.get("cache-control"), Some("no-store"));
    for path in ["/orders", "/admin/x", "/any"] {
        assert_eq!(browser.get(path).await.status, 200, "{path}");
        let seen = app.last();
        assert_eq!(seen.get("x-user-id"), Some("ann"));
        assert_eq!(seen.get("x-user-roles"), Some("admin"));
        assert_eq!(seen.get("cookie"), None);
    }
    assert_eq!(browser.login("bob", "reader").await.status, 200);
    assert_eq!(browser.get("/orders").await.status, 200);
    assert_eq!(app.last().get("x-user-id"), Some("bob"));
    browser.get("/admin/x").await.problem(403);
}

#[tokio::test]
async fn the_cookie_has_the_attributes_that_the_login_says() {
    let (users, app) = parts().await;
    for (settings, ttl, attributes) in [
        ("", "1h", "Path=/; Max-Age=3600; HttpOnly; Secure; SameSite=Lax"),
        ("secure: false", "90s", "Path=/; Max-Age=90; HttpOnly; SameSite=Lax"),
        (
            "same_site: strict, path: /app, domain: example.com",
            "1d",
            "Path=/app; Max-Age=86400; HttpOnly; Domain=example.com; Secure; SameSite=Strict",
        ),
        ("same_site: none", "1m", "Path=/; Max-Age=60; HttpOnly; Secure; SameSite=None"),
    ] {
        let gateway = Parts { settings, ttl, ..Parts::default() }.start(&users, &app).await;
        let response = Browser::at(&gateway).await.login("ann", "admin").await;
        let [cookie] = response.head.all("set-cookie")[..] else { panic!("one cookie") };
        let (pair, rest) = cookie.split_once("; ").unwrap();
        assert_eq!(rest, attributes);
        let sealed = pair.strip_prefix("session=").unwrap();
        assert_eq!(sealed.split('.').count(), 5, "{sealed}");
        assert!(sealed.bytes().all(|b| b.is_ascii_alphanumeric() || b"-_.".contains(&b)));
    }
}

#[tokio::test]
async fn bad_credentials_and_sessions_too_large_for_a_browser_set_no_cookie() {
    let (users, app) = parts().await;
    let gateway = Parts::default().start(&users, &app).await;
    let mut browser = Browser::at(&gateway).await;
    browser.login("wrong", "").await.problem(401);
    browser.login("large", "").await.problem(500);
    assert!(browser.cookies.is_empty());
    assert!(gateway.access_log(2).await[1].to_string().contains("too long for a cookie"));
}

#[tokio::test]
async fn the_session_is_taken_out_of_the_cookies_and_the_others_stay_as_they_were() {
    let (users, app) = parts().await;
    let gateway = Parts::default().start(&users, &app).await;
    let s = session(&gateway).await;
    for (sent, expected) in [
        (format!("session={s}"), None),
        (format!("a=1; session={s}; b=\"x y\""), Some("a=1; b=\"x y\"")),
        (format!("session={s};a=1;  b=2"), Some("a=1;  b=2")),
        (format!("a=1; sessions=2; xsession=3; session={s}"), Some("a=1; sessions=2; xsession=3")),
        (format!("Session=other; session={s}"), Some("Session=other")),
    ] {
        assert_eq!(with_cookie(&gateway, "/", &sent).await.status, 200, "{sent}");
        assert_eq!(app.last().get("cookie"), expected, "{sent}");
        assert_eq!(app.last().get("x-user-id"), Some("ann"));
    }
    let kept = format!("a=1; session={s}");
    assert_eq!(with_cookie(&gateway, "/kept", &kept).await.status, 200);
    assert_eq!(app.last().get("cookie"), Some(&*kept));
}

#[tokio::test]
async fn a_client_of_http_2_may_have_a_line_for_each_cookie() {
    let (users, app) = parts().await;
    let gateway = Parts::default().start(&users, &app).await;
    let s = session(&gateway).await;
    let client: H2Client = gateway.connect_h2().await;
    let request = Request::get("http://gateway.test/orders")
        .header("cookie", "a=1")
        .header("cookie", format!("session={s}"))
        .header("cookie", "b=2");
    let response = client.request(request.body(()).unwrap(), "").await.unwrap();
    assert_eq!(response.status, 200);
    assert_eq!(app.last().get("cookie"), Some("a=1; b=2"));
    assert_eq!(app.last().get("x-user-id"), Some("ann"));
}

#[tokio::test]
async fn a_session_that_was_touched_is_nobodys() {
    let (users, app) = parts().await;
    let gateway = Parts::default().start(&users, &app).await;
    let s = session(&gateway).await;
    let flipped = |at: usize| {
        let other = if s.as_bytes()[at] == b'A' { "B" } else { "A" };
        format!("{}{other}{}", &s[..at], &s[at + 1..])
    };
    let content = s.match_indices('.').nth(2).unwrap().0 + 3;
    let tag = s.rfind('.').unwrap() + 3;
    let nonce = s.find("..").unwrap() + 3;
    for wrong in [
        flipped(3),
        flipped(nonce),
        flipped(content),
        flipped(tag),
        s[..s.len() - 1].to_owned(),
        s[1..].to_owned(),
        format!("{s}A"),
        format!("{s}=="),
        format!("\"{s}\""),
        s[..tag - 3].to_owned(),
        "x".to_owned(),
        "....".to_owned(),
        "x".repeat(5000),
        s.to_uppercase(),
    ] {
        for path in ["/orders", "/open", "/any"] {
            let response = with_cookie(&gateway, path, &format!("session={wrong}")).await;
            let problem = response.problem(401);
            assert_eq!(problem["type"], "urn:x-sluicegate:problem:credentials-invalid", "{wrong}");
            assert!(!response.text().contains(&wrong) || wrong.len() < 5);
        }
    }
    assert_eq!(app.requests().len(), 0);
    with_cookie(&gateway, "/orders", "session=").await.problem(401);
    assert_eq!(with_cookie(&gateway, "/orders", &format!("session={s}")).await.status, 200);
}

#[tokio::test]
async fn two_sessions_in_one_request_are_one_too_many() {
    let (users, app) = parts().await;
    let gateway = Parts::default().start(&users, &app).await;
    let (one, two) = (session(&gateway).await, session(&gateway).await);
    assert_ne!(one, two, "no two sessions are sealed alike");
    for cookies in [
        format!("session={one}; session={two}"),
        format!("session={one}; a=1; session={one}"),
        format!("session={one}\r\nCookie: session={two}"),
    ] {
        let problem = with_cookie(&gateway, "/orders", &cookies).await.problem(400);
        assert_eq!(problem["type"], "urn:x-sluicegate:problem:credentials-ambiguous");
    }
    assert_eq!(app.requests().len(), 0);
}

#[tokio::test]
async fn a_session_that_is_over_is_told_from_one_that_is_wrong() {
    let (users, app) = parts().await;
    let gateway = Parts { ttl: "1s", ..Parts::default() }.start(&users, &app).await;
    let s = session(&gateway).await;
    let cookie = format!("session={s}");
    let refused = eventually("the end of the session", async || {
        let response = with_cookie(&gateway, "/orders", &cookie).await;
        (response.status != 200).then_some(response)
    })
    .await;
    let problem = refused.problem(401);
    assert_eq!(problem["type"], "urn:x-sluicegate:problem:credentials-expired");
    let labels = [("way", "session"), ("outcome", "expired")];
    gateway.metric("gateway_authentications_total", &labels, 1.0).await;
}

#[tokio::test]
async fn a_new_secret_is_put_first_and_the_old_one_still_opens() {
    let (users, app) = parts().await;
    let old = Parts::default().start(&users, &app).await;
    let of_old = format!("session={}", session(&old).await);
    let both = format!("{SECOND}, {FIRST}");
    let parts = Parts { login: &both, auth: &both, ..Parts::default() };
    let between = parts.start(&users, &app).await;
    let of_new = format!("session={}", session(&between).await);
    for cookie in [&of_old, &of_new] {
        assert_eq!(with_cookie(&between, "/orders", cookie).await.status, 200);
    }
    with_cookie(&old, "/orders", &of_new).await.problem(401);
    let parts = Parts { login: SECOND, auth: SECOND, ..Parts::default() };
    let after = parts.start(&users, &app).await;
    assert_eq!(with_cookie(&after, "/orders", &of_new).await.status, 200);
    let problem = with_cookie(&after, "/orders", &of_old).await.problem(401);
    assert_eq!(problem["type"], "urn:x-sluicegate:problem:credentials-invalid");
}

#[tokio::test]
async fn a_session_or_a_token_is_enough_where_the_route_takes_either() {
    let (users, app) = parts().await;
    let gateway = Parts::default().start(&users, &app).await;
    let claims = json!({"iss": "https://other.test", "sub": "acme-app", "exp": now() + 60});
    let jwt = token(Algorithm::HS256, &claims);
    let s = session(&gateway).await;
    let request = |fields: &str| format!("GET /any HTTP/1.1\r\nHost: a\r\n{fields}\r\n");
    let bearer = format!("Authorization: Bearer {jwt}\r\n");
    let cookie = format!("Cookie: session={s}; a=1\r\n");
    assert_eq!(gateway.request(&request(&bearer)).await.status, 200);
    let seen = app.last();
    assert_eq!((seen.get("x-user-id"), seen.get("x-consumer")), (Some("acme-app"), Some("acme")));
    assert_eq!(gateway.request(&request(&cookie)).await.status, 200);
    assert_eq!(app.last().get("x-user-id"), Some("ann"));
    // Both go, whichever of them counted.
    assert_eq!(gateway.request(&request(&format!("{bearer}{cookie}"))).await.status, 200);
    let seen = app.last();
    assert_eq!((seen.get("authorization"), seen.get("cookie")), (None, Some("a=1")));
    assert_eq!(seen.get("x-user-id"), Some("ann"));
    let refused = gateway.request(&request("")).await;
    refused.problem(401);
    let challenges = refused.head.all("www-authenticate");
    assert_eq!(challenges, ["Bearer realm=\"sluicegate\"", "Cookie realm=\"sluicegate\""]);
}

#[tokio::test]
async fn a_session_of_a_consumer_is_the_consumers() {
    let (users, app) = parts().await;
    let gateway = Parts::default().start(&users, &app).await;
    let mut browser = Browser::at(&gateway).await;
    browser.login("acme-app", "reader").await;
    assert_eq!(browser.get("/orders").await.status, 200);
    assert_eq!(app.last().get("x-consumer"), Some("acme"));
    assert_eq!(app.last().get("x-user-roles"), Some("reader,partner"));
}

#[tokio::test]
async fn nobody_needs_a_session_where_it_is_optional() {
    let (users, app) = parts().await;
    let gateway = Parts::default().start(&users, &app).await;
    assert_eq!(gateway.get("/open").await.status, 200);
    assert_eq!(app.last().get("x-user-id"), None);
    let cookie = format!("session={}", session(&gateway).await);
    assert_eq!(with_cookie(&gateway, "/open", &cookie).await.status, 200);
    assert_eq!(app.last().get("x-user-id"), Some("ann"));
}

#[tokio::test]
async fn nothing_of_a_session_is_written_down() {
    let (users, app) = parts().await;
    let gateway = Parts::default().start(&users, &app).await;
    let s = session(&gateway).await;
    with_cookie(&gateway, "/orders", &format!("session={s}")).await;
    with_cookie(&gateway, "/orders", &format!("session={s}x")).await;
    let written = format!("{:?}{}", gateway.access_log(3).await, gateway.said());
    assert!(!written.contains(&s[60..]), "{written}");
}
