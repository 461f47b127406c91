//! What a client says of who it is, in every way that a service might listen to.

use super::{jwt, read_as, served, token_with, told};
use crate::support::{Gateway, H2Origin, Origin, Setup, eventually, within};
use http::{HeaderMap, HeaderValue, Request};
use serde_json::json;
use std::sync::{Arc, Mutex};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

const ROUTES: &str = r#"
identity: {headers: {x-user-id: $(identity.sub), x-user-email: $(identity.email)}}
services: {app: {url: "http://<app>"}}
routes:
  - {name: signed, match: {path: {prefix: /signed}}, service: app, policies: {auth: {<jwt>}}}
  - name: optional
    match: {path: {prefix: /optional}}
    service: app
    policies: {auth: {<jwt>, optional: true}}
  - {name: open, match: {path: {prefix: /open}}, service: app, policies: {auth: none}}
  - name: matched
    match: {path: {prefix: /open}, headers: {x-user-id: mallory}}
    respond: {status: 299}
    policies: {auth: none}
  - name: copied
    match: {path: {prefix: /copied}}
    service: app
    policies:
      auth: {<jwt>, optional: true}
      transform: {request: {headers: {set: {x-copy: "<$(header.x-user-id ?? client.ip)>", x-who: $(identity.sub)}}}}
  - name: echoed
    match: {path: {prefix: /echoed}}
    respond: {status: 200, body: "<$(header.x-user-id ?? client.ip)>"}
    policies: {auth: none}
"#;

async fn gateway() -> (Gateway, Origin) {
    let origin = Origin::saying("hello").await;
    let setup = Setup::new(ROUTES).with("app", &origin).with("jwt", jwt());
    (setup.listener("protocols: [h2c, http/1.1]").start().await, origin)
}

fn token() -> String {
    token_with(json!({}))
}

/// A request of HTTP/1.1 with these field lines, and with a token where one is given.
fn request(target: &str, token: Option<&str>, lines: &str) -> String {
    let token = token.map(|token| format!("Authorization: Bearer {token}\r\n")).unwrap_or_default();
    format!("GET {target} HTTP/1.1\r\nHost: gateway.test\r\n{token}{lines}\r\n")
}

/// Field lines that say that the client is somebody else, and are well-formed.
fn claims() -> Vec<String> {
    let mut claims: Vec<String> = [
        "x-user-id: mallory\r\n",
        "X-User-Id: mallory\r\n",
        "X-USER-ID:mallory\r\n",
        "x-uSeR-iD:\t mallory \t\r\n",
        "x-user-id: \r\n",
        "x-user-id:\r\n",
        "x-user-id: alice\r\nX-User-Id: mallory\r\nx-user-id: mallory\r\n",
        "x-user-id: alice, mallory\r\n",
        "x-user-id: mallory\r\nConnection: x-user-id\r\n",
        "Connection: x-user-id, x_user_id, x-user-email, close\r\n",
        "Connection: X-USER-ID\r\nConnection: keep-alive\r\n",
        "x_user_id: mallory\r\nConnection: x_user_id\r\n",
        "Connection: authorization, x-user-id\r\n",
        "TE: x-user-id, trailers\r\nx-user-id: mallory\r\n",
        "Upgrade: x-user-id\r\nConnection: upgrade, x-user-id\r\nx-user-id: mallory\r\n",
        "Keep-Alive: x-user-id\r\nTrailer: x-user-id\r\nx-user-id: mallory\r\n",
        "x-user-id: \u{fc}mallory\r\n",
    ]
    .map(str::to_owned)
    .into();
    // Each sign that a name may have (RFC 9110 §5.6.2), in the place of either `-`.
    for sign in "!#$%&'*+.^_`|~".chars() {
        claims.push(format!("x{sign}user{sign}id: mallory\r\n"));
        claims.push(format!("X-User{sign}Id: mallory\r\nx{sign}User-Email: mallory\r\n"));
    }
    claims
}

#[tokio::test]
async fn a_service_hears_who_was_authenticated_and_nothing_of_what_a_client_claims() {
    let (gateway, origin) = gateway().await;
    let token = token();
    for claim in claims() {
        for (target, token, user) in [
            ("/signed", Some(&*token), Some("alice")),
            ("/optional", Some(&*token), Some("alice")),
            ("/optional", None, None),
            ("/open", None, None),
            ("/open", Some(&*token), None),
        ] {
            let response = gateway.request(&request(target, token, &claim)).await;
            served(&response, &claim);
            let seen = origin.last();
            told(&seen, user, &claim);
            assert!(read_as(&seen, "x-user-email").is_empty(), "{claim:?}: {seen:?}");
            assert_eq!(seen.get("authorization"), None, "{claim:?}");
        }
    }
}

#[tokio::test]
async fn a_claim_gives_nobody_leave() {
    let (gateway, origin) = gateway().await;
    for claim in claims() {
        gateway.request(&request("/signed", None, &claim)).await.problem(401);
    }
    assert_eq!(origin.requests().len(), 0);
}

#[tokio::test]
async fn a_claim_that_is_not_well_formed_is_refused_or_taken_out() {
    let (gateway, origin) = gateway().await;
    let token = token();
    for claim in [
        "x-user-id : mallory\r\n",
        "x-user-id\t: mallory\r\n",
        "x-other: a\r\n x-user-id: mallory\r\n",
        "x-other: a\r\n\tx-user-id: mallory\r\n",
        "x-user-id:\r\n mallory\r\n",
        " x-user-id: mallory\r\n",
        "x-user-id\u{e9}: mallory\r\n",
        "x-us\u{e9}r-id: mallory\r\n",
        "x user id: mallory\r\n",
        "x-other: a\rx-user-id: mallory\r\n",
        "x-other: a\0x-user-id: mallory\r\n",
        "x-user-id\r\n",
        "\"x-user-id\": mallory\r\n",
        "x-user-id;: mallory\r\n",
    ] {
        for target in ["/signed", "/open"] {
            let mut client = gateway.connect().await;
            client.send(request(target, Some(&token), claim)).await;
            let status = client.head().await.status;
            assert_eq!(status, 400, "{claim:?}");
        }
    }
    assert_eq!(origin.requests().len(), 0);
    // A bare LF ends a line for those who are lenient (RFC 9112 §2.2): then it is a field.
    for claim in ["x-other: a\nx-user-id: mallory\r\n", "x-user-id: mallory\n"] {
        let mut client = gateway.connect().await;
        client.send(request("/signed", Some(&token), claim)).await;
        if client.head().await.status != 400 {
            told(&origin.last(), Some("alice"), claim);
        }
    }
}

#[tokio::test]
async fn a_claim_among_very_many_fields_is_taken_out_as_well() {
    let (gateway, origin) = gateway().await;
    let token = token();
    let many: String = (0..100).map(|number| format!("x-user-i{number}: {number}\r\n")).collect();
    let mut spelled = String::new();
    // Bit by bit, `-` or `_`, and each letter in one case or the other: all the same name.
    for number in 0..64_u32 {
        let sign = |bit: u32| if number >> bit & 1 == 0 { '-' } else { '_' };
        let case = |letter: char, bit: u32| match number >> bit & 1 {
            0 => letter,
            _ => letter.to_ascii_uppercase(),
        };
        let (x, u, i) = (case('x', 2), case('u', 3), case('i', 4));
        spelled += &format!("{x}{}{u}ser{}{i}d: mallory\r\n", sign(0), sign(1));
    }
    let lines = format!("{many}{spelled}");
    for (target, user) in [("/signed", Some("alice")), ("/open", None)] {
        served(&gateway.request(&request(target, Some(&token), &lines)).await, target);
        let seen = origin.last();
        told(&seen, user, target);
        let others = seen.head.fields.iter().filter(|(name, _)| name.starts_with("x-user-i"));
        assert_eq!(others.count(), 100 + usize::from(user.is_some()));
    }
}

#[tokio::test]
async fn a_target_in_absolute_form_changes_nothing() {
    let (gateway, origin) = gateway().await;
    let token = token();
    for (path, user) in [("/signed", Some("alice")), ("/open", None)] {
        let target = format!("http://gateway.test{path}");
        let request = request(&target, Some(&token), "x_user_id: mallory\r\n");
        served(&gateway.request(&request).await, &target);
        told(&origin.last(), user, &target);
    }
}

#[tokio::test]
async fn no_route_matches_by_what_a_client_claims() {
    let (gateway, origin) = gateway().await;
    for claim in ["x-user-id: mallory\r\n", "X_User_Id: mallory\r\nx-user-id: mallory\r\n"] {
        served(&gateway.request(&request("/open", None, claim)).await, claim);
        told(&origin.last(), None, claim);
    }
}

#[tokio::test]
async fn templates_do_not_see_what_a_client_claims() {
    let (gateway, origin) = gateway().await;
    let (token, claim) = (token(), "x-user-id: mallory\r\n");
    for (token, who) in [(Some(&*token), Some("alice")), (None, None)] {
        served(&gateway.request(&request("/copied", token, claim)).await, claim);
        let seen = origin.last();
        told(&seen, who, claim);
        assert_eq!((seen.get("x-copy"), seen.get("x-who")), (Some("<127.0.0.1>"), who));
    }
    let echoed = gateway.request(&request("/echoed", None, claim)).await;
    assert_eq!(echoed.text(), "<127.0.0.1>");
}

#[tokio::test]
async fn over_http2_the_service_hears_the_gateway_alone_as_well() {
    let (gateway, origin) = gateway().await;
    let (client, token) = (gateway.connect_h2().await, token());
    let names = ["x-user-id", "x_user_id", "x.user.id", "x-user_id", "x~user|id", "x-user-email"];
    for (name, value) in
        names.iter().flat_map(|name| [(name, "mallory"), (name, ""), (name, "alice, mallory")])
    {
        for (path, user) in
            [("/signed", Some("alice")), ("/optional", Some("alice")), ("/open", None)]
        {
            let uri = format!("http://gateway.test{path}");
            let request = Request::get(uri)
                .header("authorization", format!("Bearer {token}"))
                .header(*name, value)
                .header(*name, value)
                .header("te", "trailers");
            let response = client.request(request.body(()).unwrap(), "").await.unwrap();
            assert_eq!(response.status, 200, "{name}");
            let seen = origin.last();
            told(&seen, user, name);
            assert!(read_as(&seen, "x-user-email").is_empty(), "{name}: {seen:?}");
            assert_eq!(seen.get("authorization"), None);
        }
    }
}

/// An origin that keeps every byte of its one connection's request, and answers when it has seen
/// `end`.
async fn verbatim(end: &'static [u8]) -> (Origin, Arc<Mutex<Vec<u8>>>) {
    let kept = Arc::new(Mutex::new(Vec::new()));
    let keeping = Arc::clone(&kept);
    let origin = Origin::connections(move |mut stream, _| {
        let keeping = Arc::clone(&keeping);
        async move {
            let mut buffer = [0; 4096];
            while let Ok(length @ 1..) = stream.read(&mut buffer).await {
                keeping.lock().unwrap().extend_from_slice(&buffer[..length]);
                let done = keeping.lock().unwrap().ends_with(end);
                if done {
                    let _ = stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n").await;
                }
            }
        }
    })
    .await;
    (origin, kept)
}

#[tokio::test]
async fn a_claim_in_trailers_reaches_no_service() {
    let (origin, kept) = verbatim(b"0\r\n\r\n").await;
    let setup = Setup::new(ROUTES).with("app", &origin).with("jwt", jwt());
    let gateway = setup.listener("protocols: [h2c, http/1.1]").start().await;
    let token = token();
    let request = format!(
        "POST /signed HTTP/1.1\r\nHost: a\r\nAuthorization: Bearer {token}\r\n\
         Transfer-Encoding: chunked\r\nTrailer: x-user-id\r\n\r\n\
         4\r\nbody\r\n0\r\nx-user-id: mallory\r\nX_User_Id: mallory\r\n\r\n"
    );
    assert_eq!(gateway.request(&request).await.status, 200);
    let said = String::from_utf8(std::mem::take(&mut *kept.lock().unwrap())).unwrap();
    assert!(said.contains("x-user-id: alice") && !said.contains("mallory"), "{said}");
    let uri = "http://gateway.test/signed";
    let request = Request::post(uri).header("authorization", format!("Bearer {token}"));
    let client = gateway.connect_h2().await;
    let (response, mut sending) = client.begin(request.body(()).unwrap()).await;
    sending.send_data("body".into(), false).unwrap();
    sending.send_trailers(trailers()).unwrap();
    let head = within("a response", response).await.unwrap();
    assert_eq!(head.status(), 200);
    let said = String::from_utf8(std::mem::take(&mut *kept.lock().unwrap())).unwrap();
    assert!(said.contains("x-user-id: alice") && !said.contains("mallory"), "{said}");
}

fn trailers() -> HeaderMap {
    let value = HeaderValue::from_static("mallory");
    ["x-user-id", "x_user_id"].iter().map(|name| (name.parse().unwrap(), value.clone())).collect()
}

#[tokio::test]
async fn a_service_of_http2_hears_the_gateway_alone_as_well() {
    let origin = H2Origin::start().await;
    let document = ROUTES.replace("\"http://<app>\"", "\"http://<app>\", protocol: h2c");
    let setup = Setup::new(&document).with("app", &origin).with("jwt", jwt());
    let gateway = setup.start().await;
    let token = token();
    let claim = "X-User-Id: mallory\r\nx_user_id: mallory\r\nConnection: x-user-id\r\n";
    served(&gateway.request(&request("/signed", Some(&token), claim)).await, claim);
    served(&gateway.request(&request("/open", Some(&token), claim)).await, claim);
    let [signed, open] = &origin.requests()[..] else { panic!("two requests") };
    let ids: Vec<_> = signed.headers().get_all("x-user-id").iter().collect();
    assert_eq!(ids, ["alice"]);
    for head in [signed.headers(), open.headers()] {
        assert!(!head.contains_key("x_user_id") && !head.contains_key("authorization"));
    }
    assert!(!open.headers().contains_key("x-user-id"));
}

#[tokio::test]
async fn the_handshake_of_a_tunnel_cannot_make_the_service_drop_who_asks() {
    let (origin, kept) = verbatim(b"\r\n\r\n").await;
    let setup = Setup::new(ROUTES).with("app", &origin).with("jwt", jwt());
    let gateway = setup.start().await;
    let token = token();
    for options in ["upgrade, x-user-id", "x-user-id, Upgrade", "Upgrade\r\nConnection: x-user-id"]
    {
        let handshake = format!(
            "Connection: {options}\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n\
             Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nx-user-id: mallory\r\n"
        );
        let response = gateway.request(&request("/signed", Some(&token), &handshake)).await;
        let said = std::mem::take(&mut *kept.lock().unwrap());
        let said = String::from_utf8(said).unwrap().to_lowercase();
        // Either the handshake is refused, or the service hears of nothing but the upgrade.
        if response.status == 400 {
            assert_eq!(said, "", "{options}");
            continue;
        }
        assert!(said.contains("\r\nx-user-id: alice\r\n") && !said.contains("mallory"), "{said}");
        let lines: Vec<_> = said.lines().filter(|line| line.starts_with("connection:")).collect();
        assert_eq!(lines, ["connection: upgrade"], "{options}");
    }
}

const SECOND_CHANCES: &str = r#"
identity: {headers: {x-user-id: $(identity.sub)}}
services:
  flaky: {url: "http://<flaky>", policies: {retry: {attempts: 2, retry_on: [503], backoff: 1ms..1ms}}}
  slow: {endpoints: [{address: <slow>}, {address: <other>}], policies: {retry: {hedge: {after: 1ms}}}}
  broken: {url: "http://<broken>", policies: {circuit_breaker: {failures: 1, fallback: {service: spare}}}}
  spare: {url: "http://<spare>"}
  mirror: {url: "http://<mirror>"}
policies: {auth: {<jwt>, optional: true}}
routes:
  - {name: flaky, match: {path: {prefix: /flaky}}, service: flaky}
  - {name: slow, match: {path: {prefix: /slow}}, service: slow}
  - {name: broken, match: {path: {prefix: /broken}}, service: broken}
  - {name: mirrored, match: {path: {prefix: /mirrored}}, service: spare, mirror: {service: mirror}}
"#;

#[tokio::test]
async fn every_attempt_fallback_and_copy_tells_the_same() {
    let flaky = Origin::start(|mut call| async move {
        call.reply(503, "", "").await;
        call
    })
    .await;
    let broken = Origin::start(|mut call| async move {
        call.reply(500, "", "").await;
        call
    })
    .await;
    // Each waits for the other attempt at the same request.
    let came = Arc::new(tokio::sync::watch::Sender::new(0_usize));
    let late = || {
        let came = Arc::clone(&came);
        Origin::start(move |mut call| {
            let came = Arc::clone(&came);
            async move {
                came.send_modify(|count| *count += 1);
                let pair = usize::div_ceil(*came.borrow(), 2) * 2;
                let _ = came.subscribe().wait_for(|count| *count >= pair).await;
                call.reply(200, "", "late").await;
                call
            }
        })
    };
    let (slow, other) = (late().await, late().await);
    let (spare, mirror) = (Origin::saying("spare").await, Origin::saying("mirror").await);
    let gateway = Setup::new(SECOND_CHANCES)
        .with("jwt", jwt())
        .with("flaky", &flaky)
        .with("slow", &slow)
        .with("other", &other)
        .with("broken", &broken)
        .with("spare", &spare)
        .with("mirror", &mirror)
        .start()
        .await;
    let (token, claim) =
        (token(), "X-User-Id: mallory\r\nx_user_id: mallory\r\nConnection: x-user-id\r\n");
    for (token, user) in [(Some(&*token), Some("alice")), (None, None)] {
        for path in ["/flaky", "/slow", "/broken", "/broken", "/mirrored"] {
            gateway.request(&request(path, token, claim)).await;
        }
        let all = eventually("every attempt", async || {
            let origins = [&flaky, &slow, &other, &broken, &spare, &mirror];
            let seen: Vec<_> = origins.iter().map(|origin| origin.requests()).collect();
            let wanted = if user.is_some() { [2, 1, 1, 1, 2, 1] } else { [4, 2, 2, 1, 5, 2] };
            seen.iter().map(Vec::len).eq(wanted).then_some(seen)
        })
        .await;
        for (number, seen) in all.iter().enumerate().filter_map(|(n, all)| Some((n, all.last()?))) {
            // The circuit is open: the broken one was asked by the first client alone.
            let user = if number == 3 { Some("alice") } else { user };
            told(seen, user, &seen.target);
            assert_eq!(seen.get("authorization"), None);
        }
    }
}
