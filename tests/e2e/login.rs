//! A login: a service says whether credentials are good, and the gateway signs a token.

mod bodies;

use crate::support::{Client, Gateway, Key, Keys, Origin, Response, Setup, eventually, now};
use http::Request;
use jsonwebtoken::{Algorithm as Known, DecodingKey, Validation, decode, decode_header};
use serde_json::{Value, json};
use sluicegate::jose::Algorithm;
use std::path::Path;

const SECRET: &str = "0123456789abcdef0123456789abcdef";

/// A login, and routes behind it that take what it signs.
const DOCUMENT: &str = r#"
policies: {auth: none}
identity:
  headers: {x-user-id: $(identity.sub), x-user-roles: $(identity.roles)}
  <jwks>
services:
  users: {url: "http://<users>"}
  app: {url: "http://<app>"}
routes:
  - name: login
    match: {path: {exact: /auth/login}}
    policies: {<policies>}
    login:
      service: users
      path: /users/validate
      <login>
      token:
        <signing>
        issuer: "https://id.test"
        audience: api
        ttl: 1h
        claims:
          sub: $(answer.body.id)
          role: $(answer.body.role)
          level: $(answer.body.level)
          tags: $(answer.body.tags)
          tenant: t-$(answer.body.tenant)
          region: $(answer.header.x-region)
          agent: $(header.user-agent)
          none: $(answer.body.none)
          gone: $(answer.body.gone)
          half: $(answer.body.id)-$(answer.body.gone)
  - name: me
    match: {path: {prefix: /me}}
    service: app
    policies: {auth: {jwt: {issuer: "https://id.test", audience: api, <trusted>}}}
"#;

/// What a gateway with a login is made of.
struct Parts<'a> {
    login: &'a str,
    policies: &'a str,
    signing: String,
    trusted: String,
    jwks: &'a str,
}

impl Default for Parts<'_> {
    fn default() -> Self {
        Parts {
            login: "timeout: 5s",
            policies: "auth: none",
            signing: format!("algorithm: HS256\n        secret: {SECRET}"),
            trusted: format!("algorithms: [HS256], secret: {SECRET}"),
            jwks: "",
        }
    }
}

impl Parts<'_> {
    async fn start(self, users: &Origin, app: &Origin) -> Gateway {
        let setup = Setup::new(DOCUMENT).with("users", users).with("app", app);
        let setup = setup.with("login", self.login).with("policies", self.policies);
        let setup = setup.with("signing", self.signing).with("trusted", self.trusted);
        setup.with("jwks", self.jwks).listener("protocols: [h2c, http/1.1]").start().await
    }

    /// A key in a file that signs, and its public half, which is trusted.
    fn with_key(algorithm: Algorithm, private: &Path, public: &Path) -> Self {
        let (private, public) = (private.display(), public.display());
        Parts {
            signing: format!("algorithm: {algorithm}\n        key: {private}"),
            trusted: format!("algorithms: [{algorithm}], public_key: {public}"),
            ..Parts::default()
        }
    }
}

/// A service that knows one user, and whose answer to others is what their password says.
async fn users() -> Origin {
    Origin::start(|mut call| async move {
        let body: Value = serde_json::from_slice(&call.body().await).unwrap();
        let json = "Content-Type: application/json\r\nX-Region: eu\r\n\
                    Set-Cookie: internal=1\r\n";
        match body["password"].as_str().unwrap_or_default() {
            "right" => {
                let user = json!({
                    "id": 42, "role": "admin", "level": 3, "tags": ["a", "b"], "tenant": 7,
                    "none": null, "profile": {"name": "Ann"},
                });
                call.reply(200, json, user.to_string()).await;
            }
            "nobody" => call.reply(200, json, "{\"role\": \"admin\"}").await,
            "empty" => call.reply(200, json, "{\"id\": \"\"}").await,
            "list" => call.reply(200, json, "{\"id\": [1]}").await,
            "text" => call.reply(200, "Content-Type: text/plain\r\n", "welcome").await,
            "created" => call.reply(201, json, "{\"id\": \"u-201\"}").await,
            "large" => {
                let padding = "x".repeat(70_000);
                call.reply(200, json, json!({"id": 1, "padding": padding}).to_string()).await;
            }
            "never" => call.until_closed().await,
            "hangs-up" => return call.close(),
            status => {
                let status = status.parse().expect("a password of these tests");
                call.reply(status, json, "{\"why\": \"the user is locked, not wrong\"}").await;
            }
        }
        call
    })
    .await
}

fn post(body: &str) -> String {
    format!(
        "POST /auth/login HTTP/1.1\r\nHost: gateway.test\r\nContent-Type: application/json\r\n\
         User-Agent: test/1\r\nContent-Length: {}\r\n\r\n{body}",
        body.len()
    )
}

fn credentials(password: &str) -> String {
    json!({"user": "ann@example.com", "password": password}).to_string()
}

async fn login(gateway: &Gateway, password: &str) -> Response {
    gateway.request(&post(&credentials(password))).await
}

/// What a token says, by a library that is not the gateway.
fn claims(token: &str, algorithm: Known, key: &DecodingKey) -> Value {
    let mut validation = Validation::new(algorithm);
    validation.set_audience(&["api"]);
    validation.set_issuer(&["https://id.test"]);
    validation.set_required_spec_claims(&["exp", "iss", "aud", "sub"]);
    decode(token, key, &validation).expect("a token that verifies").claims
}

async fn me(gateway: &Gateway, token: &str) -> Response {
    let head = "GET /me HTTP/1.1\r\nHost: gateway.test\r\nAuthorization: Bearer ";
    gateway.request(&format!("{head}{token}\r\n\r\n")).await
}

async fn parts() -> (Origin, Origin) {
    (users().await, Origin::saying("hello").await)
}

#[tokio::test]
async fn good_credentials_get_a_token_that_the_gateway_takes() {
    let (users, app) = parts().await;
    let gateway = Parts::default().start(&users, &app).await;
    let response = login(&gateway, "right").await;
    assert_eq!(response.status, 200, "{}", response.text());
    assert_eq!(response.get("content-type"), Some("application/json"));
    assert_eq!(response.get("cache-control"), Some("no-store"));
    assert_eq!(response.get("set-cookie"), None);
    let said = response.json();
    assert_eq!(said["expiresIn"], 3600);
    assert_eq!(said["user"]["profile"]["name"], "Ann");
    assert_eq!(said.as_object().unwrap().len(), 3, "{said}");
    let token = said["token"].as_str().unwrap();
    assert_eq!(decode_header(token).unwrap().typ.as_deref(), Some("JWT"));
    let claims = claims(token, Known::HS256, &DecodingKey::from_secret(SECRET.as_bytes()));
    // `sub` is text whatever the service has; the others keep their types.
    assert_eq!((&claims["sub"], &claims["role"]), (&json!("42"), &json!("admin")));
    assert_eq!((&claims["level"], &claims["tags"]), (&json!(3), &json!(["a", "b"])));
    assert_eq!((&claims["tenant"], &claims["region"]), (&json!("t-7"), &json!("eu")));
    assert_eq!(claims["agent"], "test/1");
    let expires = claims["exp"].as_u64().unwrap();
    assert_eq!(expires - claims["iat"].as_u64().unwrap(), 3600);
    assert!((now() + 3590..=now() + 3600).contains(&expires));
    assert!(claims["jti"].as_str().unwrap().len() > 30);
    for missing in ["none", "gone", "half"] {
        assert!(claims.get(missing).is_none(), "{claims}");
    }
    assert_eq!(me(&gateway, token).await.status, 200);
    assert_eq!(app.last().get("x-user-id"), Some("42"));
    assert_eq!(app.last().get("x-user-roles"), Some("admin"));
    assert_eq!(app.last().get("authorization"), None);
    let again = login(&gateway, "right").await.json();
    assert_ne!(again["token"], token, "no two tokens are the same");
}

#[tokio::test]
async fn a_private_key_signs_and_its_public_half_verifies() {
    let (users, app) = parts().await;
    let files = Keys::ours().files();
    for (algorithm, known) in [
        (Algorithm::RS256, Known::RS256),
        (Algorithm::ES256, Known::ES256),
        (Algorithm::EdDSA, Known::EdDSA),
    ] {
        let (private, public) = (files.private(algorithm), files.public(algorithm));
        let gateway = Parts::with_key(algorithm, &private, &public).start(&users, &app).await;
        let said = login(&gateway, "right").await.json();
        let token = said["token"].as_str().unwrap();
        let pem = Keys::ours().of(algorithm).public_pem();
        let key = match known {
            Known::RS256 => DecodingKey::from_rsa_pem(pem.as_bytes()),
            Known::ES256 => DecodingKey::from_ec_pem(pem.as_bytes()),
            _ => DecodingKey::from_ed_pem(pem.as_bytes()),
        };
        assert_eq!(claims(token, known, &key.unwrap())["sub"], "42");
        assert!(decode_header(token).unwrap().kid.is_some());
        assert_eq!(me(&gateway, token).await.status, 200, "{algorithm}");
        let head_and_claims = token.rsplit_once('.').unwrap().0;
        assert_eq!(me(&gateway, &format!("{head_and_claims}.AAAA")).await.status, 401);
    }
}

#[tokio::test]
async fn another_gateway_takes_the_token_by_the_keys_that_the_first_publishes() {
    let (users, app) = parts().await;
    let files = Keys::ours().files();
    let (private, public) = (files.private(Algorithm::ES256), files.public(Algorithm::ES256));
    let mut first = Parts::with_key(Algorithm::ES256, &private, &public);
    first.jwks = "jwks: /.well-known/jwks.json";
    let first = first.start(&users, &app).await;
    let url = format!("http://{}/.well-known/jwks.json", first.address);
    let trusted = format!("algorithms: [ES256], jwks: \"{url}\"");
    let second = Parts { trusted, ..Parts::default() }.start(&users, &app).await;
    let said = login(&first, "right").await.json();
    assert_eq!(me(&second, said["token"].as_str().unwrap()).await.status, 200);
    let own = login(&second, "right").await.json();
    assert_eq!(me(&second, own["token"].as_str().unwrap()).await.status, 401);
}

#[tokio::test]
async fn a_part_of_the_answer_is_the_user_where_the_login_says_so() {
    let (users, app) = parts().await;
    for (user, expected) in [("profile", json!({"name": "Ann"})), ("tags[1]", json!("b"))] {
        let login_settings = format!("user: body.{user}");
        let parts = Parts { login: &login_settings, ..Parts::default() };
        let gateway = parts.start(&users, &app).await;
        assert_eq!(login(&gateway, "right").await.json()["user"], expected, "{user}");
        assert_eq!(login(&gateway, "created").await.json()["user"], Value::Null);
    }
}

#[tokio::test]
async fn bad_credentials_are_a_401_that_does_not_say_what_the_service_said() {
    let (users, app) = parts().await;
    let gateway = Parts::default().start(&users, &app).await;
    for status in ["400", "401", "403", "404", "422"] {
        let response = login(&gateway, status).await;
        let problem = response.problem(401);
        assert_eq!(problem["type"], "urn:x-sluicegate:problem:credentials-invalid");
        assert_eq!(response.get("www-authenticate"), Some("Bearer realm=\"login\""));
        assert_eq!(response.get("cache-control"), Some("no-store"));
        assert!(!response.text().contains("locked"), "{}", response.text());
        assert_eq!(response.get("x-region"), None);
        assert!(!response.text().contains("ann@example.com"));
    }
}

#[tokio::test]
async fn an_answer_that_says_nothing_of_credentials_is_a_bad_gateway() {
    let (users, app) = parts().await;
    let gateway = Parts::default().start(&users, &app).await;
    let odd = ["500", "503", "301", "429", "text", "nobody", "empty", "list", "large", "hangs-up"];
    for password in odd {
        let response = login(&gateway, password).await;
        assert_eq!(response.status, 502, "{password}: {}", response.text());
        assert_eq!(response.problem(502)["service"], "users");
    }
    assert_eq!(login(&gateway, "created").await.status, 200);
}

#[tokio::test]
async fn a_service_that_is_too_slow_or_not_there_is_told_apart() {
    let (users, app) = parts().await;
    let gateway = Parts { login: "timeout: 100ms", ..Parts::default() }.start(&users, &app).await;
    login(&gateway, "never").await.problem(504);
    // Its connection was given up, and the next login has another.
    assert_eq!(login(&gateway, "right").await.status, 200);
    users.stop().await;
    login(&gateway, "right").await.problem(502);
}

#[tokio::test]
async fn a_login_takes_no_longer_than_its_route_has() {
    let (users, app) = parts().await;
    let policies = "auth: none, timeouts: {request: 150ms}";
    let gateway = Parts { policies, login: "timeout: 1h", ..Parts::default() };
    let gateway = gateway.start(&users, &app).await;
    login(&gateway, "never").await.problem(504);
    let request =
        Request::post("http://gateway.test/auth/login").header("content-type", "application/json");
    let response = gateway.connect_h2().await;
    let (response, _sending) = response.begin(request.body(()).unwrap()).await;
    assert_eq!(crate::support::H2Client::read(response).await.unwrap().status, 408);
}

#[tokio::test]
async fn a_login_goes_to_another_endpoint_where_one_refuses_connections() {
    let (users, app) = parts().await;
    let nobody = crate::support::Port::reserve();
    let document = DOCUMENT.replace(
        "users: {url: \"http://<users>\"}",
        &format!(
            "users: {{endpoints: [{{address: \"{}\"}}, {{address: \"<users>\"}}]}}",
            nobody.address
        ),
    );
    let defaults = Parts::default();
    let setup = Setup::new(&document).with("users", &users).with("app", &app);
    let setup = setup.with("login", defaults.login).with("policies", defaults.policies);
    let setup = setup.with("signing", defaults.signing).with("trusted", defaults.trusted);
    let gateway = setup.with("jwks", defaults.jwks).start().await;
    for _ in 0..4 {
        assert_eq!(login(&gateway, "right").await.status, 200);
    }
    assert_eq!(users.requests().len(), 4);
}

#[tokio::test]
async fn the_service_gets_the_body_byte_for_byte_and_no_field_of_the_clients() {
    let (users, app) = parts().await;
    let gateway = Parts::default().start(&users, &app).await;
    let body = "{ \"password\" : \"right\",\t\"user\":\"\\u00e4nn\", \"x\": 1.0 }\n";
    let trace = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";
    let request = format!(
        "POST /auth/login?next=/home HTTP/1.1\r\nHost: gateway.test\r\nCookie: a=1\r\n\
         Authorization: Bearer x\r\nX-User-Id: 1\r\nX-Forwarded-For: 9.9.9.9\r\n\
         X-Request-Id: from-the-client-1\r\ntraceparent: {trace}\r\nOrigin: https://x.test\r\n\
         Content-Type: application/json; charset=utf-8\r\nContent-Length: {}\r\n\r\n{body}",
        body.len()
    );
    let response = gateway.request(&request).await;
    assert_eq!(response.status, 200);
    let seen = users.last();
    assert_eq!((&*seen.method, &*seen.target), ("POST", "/users/validate"));
    assert_eq!(String::from_utf8(seen.body.clone()).unwrap(), body);
    assert_eq!(seen.get("host"), Some(users.address()));
    assert_eq!(seen.get("content-type"), Some("application/json"));
    assert_eq!(seen.get("accept"), Some("application/json"));
    assert_eq!(seen.get("x-request-id"), response.get("x-request-id"));
    assert_eq!(seen.get("x-request-id"), Some("from-the-client-1"));
    assert_eq!(seen.get("traceparent"), Some(trace));
    assert_eq!(seen.get("x-forwarded-for"), Some("127.0.0.1"));
    let mut names: Vec<String> =
        seen.head.fields.iter().map(|(name, _)| name.to_ascii_lowercase()).collect();
    names.sort();
    let expected = [
        "accept",
        "content-length",
        "content-type",
        "host",
        "traceparent",
        "x-forwarded-for",
        "x-request-id",
    ];
    assert_eq!(names, expected);
}

#[tokio::test]
async fn a_client_of_http_2_logs_in_as_well() {
    let (users, app) = parts().await;
    let gateway = Parts::default().start(&users, &app).await;
    let client = gateway.connect_h2().await;
    let request = |fields: &[(&str, &str)]| {
        let mut request = Request::post("http://gateway.test/auth/login")
            .header("content-type", "application/json");
        for (name, value) in fields {
            request = request.header(*name, *value);
        }
        request.body(()).unwrap()
    };
    let body = credentials("right");
    for fields in [&[][..], &[("expect", "100-continue")], &[("cookie", "a=1")]] {
        let response = client.request(request(fields), body.clone()).await.unwrap();
        assert_eq!(response.status, 200, "{fields:?}");
        let said: Value = serde_json::from_slice(&response.body).unwrap();
        assert_eq!(me(&gateway, said["token"].as_str().unwrap()).await.status, 200);
    }
    assert_eq!(users.last().body, body.into_bytes());
    assert_eq!(users.last().get("cookie"), None);
    let none = client.request(request(&[]), "").await.unwrap();
    assert_eq!(none.status, 400);
    let (response, mut sending) = client.begin(request(&[])).await;
    for _ in 0..2 {
        sending.send_data("x".repeat(9_000).into(), false).unwrap();
    }
    assert_eq!(crate::support::H2Client::read(response).await.unwrap().status, 413);
}

#[tokio::test]
async fn nothing_of_the_credentials_or_the_token_is_written_down() {
    let (users, app) = parts().await;
    let gateway = Parts::default().start(&users, &app).await;
    let mut tokens = Vec::new();
    for password in ["right", "401", "text"] {
        let response = login(&gateway, password).await;
        tokens.extend(response.json()["token"].as_str().map(str::to_owned));
    }
    let lines = gateway.access_log(3).await;
    assert!(lines.iter().all(|line| line["route"] == "login"), "{lines:?}");
    let written = format!("{lines:?}{}", gateway.said());
    assert!(!written.contains("ann@example.com"), "{written}");
    assert!(!written.contains("password"), "{written}");
    assert!(!written.contains("locked"), "{written}");
    assert_eq!(tokens.len(), 1);
    let signature = tokens[0].rsplit('.').next().unwrap();
    assert!(!written.contains(signature), "{written}");
}

#[tokio::test]
async fn logins_follow_one_another_on_one_connection_on_both_sides() {
    let (users, app) = parts().await;
    let gateway = Parts::default().start(&users, &app).await;
    let mut client = gateway.connect().await;
    for password in ["right", "401", "500", "right"] {
        let response = client.request(&post(&credentials(password))).await;
        assert!([200, 401, 502].contains(&response.status), "{}", response.text());
    }
    assert_eq!(users.connections_made(), 1);
    // What was sent ahead is answered in its order.
    client.send(post(&credentials("401")) + &post(&credentials("right"))).await;
    assert_eq!(client.response().await.status, 401);
    assert_eq!(client.response().await.status, 200);
}

#[tokio::test]
async fn a_login_works_over_a_connection_that_the_service_closes_each_time() {
    let app = Origin::saying("hello").await;
    let users = Origin::start(|mut call| async move {
        call.reply(200, "Content-Type: application/json\r\n", "{\"id\": 1}").await;
        call.close()
    })
    .await;
    let gateway = Parts::default().start(&users, &app).await;
    for number in 1..=3 {
        assert_eq!(login(&gateway, "right").await.status, 200);
        // The gateway sees the end as soon as it comes.
        eventually("the service's end of the connection", async || {
            (users.connections_made() == number).then_some(())
        })
        .await;
    }
}

#[tokio::test]
async fn a_page_of_another_origin_may_log_in_where_cors_lets_it() {
    let (users, app) = parts().await;
    let policies = "auth: none, cors: {origins: [\"https://app.test\"], methods: [POST], \
                    headers: [content-type]}";
    let gateway = Parts { policies, ..Parts::default() }.start(&users, &app).await;
    let preflight = "OPTIONS /auth/login HTTP/1.1\r\nHost: a\r\nOrigin: https://app.test\r\n\
                     Access-Control-Request-Method: POST\r\n\
                     Access-Control-Request-Headers: content-type\r\n\r\n";
    let allowed = gateway.request(preflight).await;
    assert_eq!(allowed.get("access-control-allow-origin"), Some("https://app.test"));
    for (password, status) in [("right", 200), ("401", 401), ("500", 502)] {
        let request = post(&credentials(password));
        let request = request.replacen("Host:", "Origin: https://app.test\r\nHost:", 1);
        let response = gateway.request(&request).await;
        assert_eq!(response.status, status);
        assert_eq!(response.get("access-control-allow-origin"), Some("https://app.test"));
    }
}

#[tokio::test]
async fn a_refused_login_counts_as_a_credential_that_proves_nothing() {
    let (users, app) = parts().await;
    let gateway = Parts::default().start(&users, &app).await;
    login(&gateway, "401").await.problem(401);
    login(&gateway, "500").await.problem(502);
    let labels = [("route", "login"), ("outcome", "invalid")];
    gateway.metric("gateway_authentications_total", &labels, 1.0).await;
}

#[tokio::test]
async fn a_key_of_somebody_else_signs_nothing_that_is_taken() {
    let (users, app) = parts().await;
    let gateway = Parts::default().start(&users, &app).await;
    let claims = json!({"iss": "https://id.test", "aud": "api", "sub": "1", "exp": now() + 60});
    let secret = Key::Secret(b"another secret of thirty-two bytes".to_vec());
    let header = json!({"alg": "HS256", "typ": "JWT"}).to_string();
    let forged = crate::support::forge(header, claims.to_string(), "HS256", &secret);
    me(&gateway, &forged).await.problem(401);
    let mut client = Client::connect(gateway.address).await;
    assert_eq!(client.get("/me").await.status, 401);
}
