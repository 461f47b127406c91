//! What the gateway carries between client and service beside bodies: ids, hosts, fields.

use crate::support::{Gateway, ONE_SERVICE, Origin, Response, Seen, Setup};

/// Sends a `GET` with these field lines, each ended by CRLF, and tells what the service saw.
async fn carried(setup: Option<Setup>, fields: &str) -> (Seen, Response, Gateway) {
    let origin = Origin::saying("hello").await;
    let setup = setup.unwrap_or_else(|| Setup::new(ONE_SERVICE));
    let gateway = setup.with("app", &origin).start().await;
    let response = gateway.request(&format!("GET /carried HTTP/1.1\r\n{fields}\r\n")).await;
    assert_eq!(response.status, 200, "{}", String::from_utf8_lossy(&response.body));
    (origin.last(), response, gateway)
}

/// What the client gets of an answer with these field lines.
async fn answered(fields: &'static str) -> Response {
    let origin = Origin::start(move |mut call| async move {
        call.reply(200, fields, "hello").await;
        call
    })
    .await;
    Gateway::before(&origin).await.get("/").await
}

fn is_uuid_v7(id: &str) -> bool {
    let groups: Vec<_> = id.split('-').collect();
    let lengths: Vec<_> = groups.iter().map(|group| group.len()).collect();
    lengths == [8, 4, 4, 4, 12]
        && groups.concat().bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f'))
        && groups[2].starts_with('7')
        && groups[3].starts_with(['8', '9', 'a', 'b'])
}

// Request ids

#[tokio::test]
async fn a_request_without_an_id_gets_one_at_the_service_in_the_answer_and_in_the_log() {
    let (seen, response, gateway) = carried(None, "Host: a\r\n").await;
    let id = seen.get("x-request-id").unwrap();
    assert!(is_uuid_v7(id), "{id}");
    assert_eq!(response.get("x-request-id"), Some(id));
    assert!(gateway.access_log(1).await[0].to_string().contains(id));
}

#[tokio::test]
async fn a_sane_request_id_is_kept() {
    let longest = "x".repeat(128);
    for id in ["a", "Root=1-67891233-abcdef01", "a.b_c~d+e/f=g@h:i-j", &longest] {
        let (seen, response, _) =
            carried(None, &format!("Host: a\r\nX-Request-Id: {id}\r\n")).await;
        assert_eq!(seen.get("x-request-id"), Some(id));
        assert_eq!(response.get("x-request-id"), Some(id));
    }
}

#[tokio::test]
async fn a_request_id_that_is_not_sane_is_replaced() {
    let long = "x".repeat(129);
    let longer = "x".repeat(300);
    for id in ["a b", "a\tb", "a\"b", "<script>", "a,b", "caf\u{e9}", "", &long, &longer] {
        let (seen, response, _) =
            carried(None, &format!("Host: a\r\nX-Request-Id: {id}\r\n")).await;
        let made = seen.get("x-request-id").unwrap();
        assert!(is_uuid_v7(made), "{id:?} became {made:?}");
        assert_eq!(response.get("x-request-id"), Some(made));
    }
}

#[tokio::test]
async fn two_request_ids_become_one() {
    let fields = "Host: a\r\nX-Request-Id: one\r\nX-Request-Id: two\r\n";
    let (seen, response, _) = carried(None, fields).await;
    assert_eq!(seen.head.all("x-request-id").len(), 1);
    assert_eq!(response.get("x-request-id"), seen.get("x-request-id"));
}

#[tokio::test]
async fn the_id_of_a_refused_request_is_in_its_problem_and_in_the_log() {
    let origin = Origin::saying("hello").await;
    let routeless = ONE_SERVICE.replace("prefix: /", "exact: /only");
    let gateway = Setup::new(&routeless).with("app", &origin).start().await;
    let request = "GET /other HTTP/1.1\r\nHost: a\r\nX-Request-Id: mine-1\r\n\r\n";
    let problem = gateway.request(request).await.problem(404);
    assert_eq!(problem["requestId"], "mine-1");
    assert!(gateway.access_log(1).await[0].to_string().contains("mine-1"));
}

#[tokio::test]
async fn the_service_cannot_change_the_request_id_of_an_answer() {
    let response = answered("X-Request-Id: theirs\r\n").await;
    assert!(is_uuid_v7(response.get("x-request-id").unwrap()), "{:?}", response.head);
}

#[tokio::test]
async fn the_request_id_header_can_be_named() {
    let document =
        format!("{ONE_SERVICE}telemetry: {{request_id: {{header: X-Correlation-ID}}}}\n");
    let setup = Setup::new(&document).access_log_to_stdout();
    let fields = "Host: a\r\nX-Correlation-Id: mine\r\n";
    let (seen, response, _) = carried(Some(setup), fields).await;
    assert_eq!(seen.get("x-correlation-id"), Some("mine"));
    assert_eq!(response.get("x-correlation-id"), Some("mine"));
    assert_eq!(seen.get("x-request-id"), None);
}

// Host

#[tokio::test]
async fn the_service_gets_its_own_authority_as_host() {
    let origin = Origin::saying("hello").await;
    let gateway = Gateway::before(&origin).await;
    gateway.request("GET / HTTP/1.1\r\nHost: shop.example.com\r\n\r\n").await;
    assert_eq!(origin.last().get("host"), Some(origin.address()));
}

#[tokio::test]
async fn a_service_that_preserves_the_host_gets_the_clients() {
    let document = ONE_SERVICE.replace("<app>\"", "<app>\", preserve_host: true");
    let (seen, ..) = carried(Some(Setup::new(&document)), "Host: shop.example.com:81\r\n").await;
    assert_eq!(seen.get("host"), Some("shop.example.com:81"));
}

#[tokio::test]
async fn a_request_without_a_host_is_refused() {
    // RFC 9112 §3.2
    let origin = Origin::saying("hello").await;
    let gateway = Gateway::before(&origin).await;
    assert_eq!(gateway.request("GET / HTTP/1.1\r\n\r\n").await.status, 400);
    assert_eq!(origin.requests().len(), 0);
}

#[tokio::test]
async fn a_request_with_two_hosts_is_refused() {
    let origin = Origin::saying("hello").await;
    let gateway = Gateway::before(&origin).await;
    let response = gateway.request("GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n").await;
    assert_eq!(response.status, 400);
    assert_eq!(origin.requests().len(), 0);
}

// Forwarded

#[tokio::test]
async fn the_service_is_told_who_asked_for_what_and_how() {
    let (seen, ..) = carried(None, "Host: shop.example.com\r\n").await;
    assert_eq!(seen.get("x-forwarded-for"), Some("127.0.0.1"));
    assert_eq!(seen.get("x-forwarded-proto"), Some("http"));
    assert_eq!(seen.get("x-forwarded-host"), Some("shop.example.com"));
    let forwarded = seen.get("forwarded").unwrap();
    let mut pairs: Vec<_> = forwarded.split(';').collect();
    pairs.sort_unstable();
    assert_eq!(pairs, ["for=127.0.0.1", "host=shop.example.com", "proto=http"]);
}

/// What a client says that pretends to be a proxy.
const PRETENDED: &str = "Host: shop.example.com\r\nX-Forwarded-For: 203.0.113.7\r\n\
    X-Forwarded-Proto: https\r\nX-Forwarded-Host: evil.test\r\n\
    Forwarded: for=203.0.113.7;proto=https;host=evil.test\r\n";

#[tokio::test]
async fn what_an_untrusted_client_says_of_itself_is_replaced() {
    let (seen, ..) = carried(None, PRETENDED).await;
    assert_eq!(seen.get("x-forwarded-for"), Some("127.0.0.1"));
    assert_eq!(seen.get("x-forwarded-proto"), Some("http"));
    assert_eq!(seen.get("x-forwarded-host"), Some("shop.example.com"));
    let forwarded = seen.get("forwarded").unwrap();
    assert!(!forwarded.contains("203.0.113.7") && !forwarded.contains("evil"), "{forwarded}");
}

#[tokio::test]
async fn what_a_trusted_proxy_says_is_appended_to() {
    let setup = Setup::new(ONE_SERVICE).listener("trusted_proxies: [127.0.0.0/8]");
    let (seen, ..) = carried(Some(setup), PRETENDED).await;
    assert_eq!(seen.head.all("x-forwarded-for").join(", "), "203.0.113.7, 127.0.0.1");
    let forwarded = seen.head.all("forwarded").join(", ");
    assert!(forwarded.starts_with("for=203.0.113.7;proto=https;host=evil.test, "), "{forwarded}");
    assert!(forwarded.contains("for=127.0.0.1"), "{forwarded}");
}

#[tokio::test]
async fn a_trusted_proxy_says_which_scheme_and_host_the_client_used() {
    let setup = Setup::new(ONE_SERVICE).listener("trusted_proxies: [127.0.0.0/8]");
    let (seen, ..) = carried(Some(setup), PRETENDED).await;
    assert_eq!(seen.get("x-forwarded-proto"), Some("https"));
    assert_eq!(seen.get("x-forwarded-host"), Some("evil.test"));
}

#[tokio::test]
async fn only_networks_that_are_named_are_trusted() {
    let setup = Setup::new(ONE_SERVICE).listener("trusted_proxies: [127.0.0.9/32, 10.0.0.0/8]");
    let (seen, ..) = carried(Some(setup), PRETENDED).await;
    assert_eq!(seen.get("x-forwarded-for"), Some("127.0.0.1"));
}

#[tokio::test]
async fn the_client_is_the_last_address_that_no_trusted_proxy_has() {
    // 198.51.100.1 is what the client made up; 203.0.113.7 is what the outer proxy saw.
    let setup =
        Setup::one_route("transform: {request: {headers: {set: {x-client: $(client.ip)}}}}")
            .listener("trusted_proxies: [127.0.0.0/8, 10.0.0.0/8]");
    let fields =
        "Host: a\r\nX-Forwarded-For: 198.51.100.1, 203.0.113.7\r\nX-Forwarded-For: 10.0.0.3\r\n";
    let (seen, ..) = carried(Some(setup), fields).await;
    assert_eq!(seen.get("x-client"), Some("203.0.113.7"));
}

// Via and fields of one connection

#[tokio::test]
async fn the_gateway_names_itself_in_via_both_ways() {
    let (seen, response, _) = carried(None, "Host: a\r\n").await;
    assert_eq!(seen.get("via"), Some("1.1 sluicegate"));
    assert_eq!(response.get("via"), Some("1.1 sluicegate"));
}

#[tokio::test]
async fn via_is_appended_to() {
    let (seen, ..) = carried(None, "Host: a\r\nVia: 1.0 fred\r\n").await;
    assert_eq!(seen.head.all("via").join(", "), "1.0 fred, 1.1 sluicegate");
}

#[tokio::test]
async fn fields_of_the_clients_connection_stay_on_it() {
    let fields = "Host: a\r\nConnection: x-secret, keep-alive\r\nX-Secret: 1\r\n\
        Keep-Alive: timeout=5\r\nProxy-Connection: keep-alive\r\nTE: trailers\r\nX-Kept: 1\r\n";
    let (seen, ..) = carried(None, fields).await;
    for name in ["x-secret", "keep-alive", "proxy-connection", "te", "upgrade"] {
        assert_eq!(seen.get(name), None, "{name}");
    }
    assert!(!seen.head.lists("connection", "x-secret"));
    assert_eq!(seen.get("x-kept"), Some("1"));
}

#[tokio::test]
async fn fields_of_the_services_connection_stay_on_it() {
    let response = answered(
        "Connection: x-internal\r\nX-Internal: 1\r\nKeep-Alive: timeout=5\r\n\
         Proxy-Connection: keep-alive\r\nX-Kept: 1\r\n",
    )
    .await;
    for name in ["x-internal", "keep-alive", "proxy-connection"] {
        assert_eq!(response.get(name), None, "{name}");
    }
    assert!(!response.head.lists("connection", "x-internal"));
    assert_eq!(response.get("x-kept"), Some("1"));
}

#[tokio::test]
async fn a_client_cannot_take_the_gateways_own_fields_away_by_naming_them_in_connection() {
    let origin = Origin::saying("hello").await;
    let gateway = Gateway::before(&origin).await;
    let own = ["x-forwarded-for", "x-forwarded-proto", "x-forwarded-host", "forwarded", "via"];
    for named in own.into_iter().chain(["x-request-id", "traceparent", "host"]) {
        let request = format!("GET / HTTP/1.1\r\nHost: a\r\nConnection: {named}\r\n\r\n");
        let response = gateway.request(&request).await;
        // To refuse such a request is as good.
        if response.status == 200 {
            assert!(origin.last().get(named).is_some(), "{named} was taken away");
        } else {
            response.problem(400);
        }
    }
}

#[tokio::test]
async fn a_length_named_in_connection_hides_no_request() {
    let origin = Origin::saying("hello").await;
    let gateway = Gateway::before(&origin).await;
    let hidden = "GET /hidden HTTP/1.1\r\nHost: a\r\n\r\n";
    let request = format!(
        "POST / HTTP/1.1\r\nHost: a\r\nConnection: content-length\r\n\
         Content-Length: {}\r\n\r\n{hidden}",
        hidden.len()
    );
    gateway.request(&request).await;
    // A second exchange gives a hidden request the time to come out.
    gateway.get("/second").await;
    assert!(origin.requests().iter().all(|seen| seen.target != "/hidden"));
}

#[tokio::test]
async fn repeated_fields_stay_apart_and_in_order() {
    let (seen, ..) = carried(None, "Host: a\r\nX-List: 1\r\nX-List: 2\r\nCookie: a=1\r\n").await;
    assert_eq!(seen.head.all("x-list"), ["1", "2"]);
    let response = answered("Set-Cookie: a=1\r\nSet-Cookie: b=2\r\n").await;
    assert_eq!(response.head.all("set-cookie"), ["a=1", "b=2"]);
}

// Trace context

const TRACE: &str = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";

fn is_traceparent(value: &str) -> bool {
    let parts: Vec<_> = value.split('-').collect();
    let [version, trace, parent, flags] = parts[..] else { return false };
    let hex = |text: &str| text.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f'));
    version == "00"
        && (trace.len(), parent.len(), flags.len()) == (32, 16, 2)
        && parts.iter().all(|part| hex(part))
        && trace.bytes().any(|b| b != b'0')
        && parent.bytes().any(|b| b != b'0')
}

#[tokio::test]
async fn a_valid_traceparent_is_passed_on_unchanged() {
    let fields = format!("Host: a\r\nTraceparent: {TRACE}\r\nTracestate: a=1\r\n");
    let (seen, ..) = carried(None, &fields).await;
    assert_eq!(seen.get("traceparent"), Some(TRACE));
    assert_eq!(seen.get("tracestate"), Some("a=1"));
}

#[tokio::test]
async fn a_traceparent_is_made_where_there_is_none() {
    let (seen, ..) = carried(None, "Host: a\r\n").await;
    let made = seen.get("traceparent").unwrap();
    assert!(is_traceparent(made), "{made}");
}

#[tokio::test]
async fn a_malformed_traceparent_is_replaced_and_its_tracestate_goes() {
    for wrong in [
        "nonsense",
        "00-0AF7651916CD43DD8448EB211C80319C-b7ad6b7169203331-01",
        "00-00000000000000000000000000000000-b7ad6b7169203331-01",
        "00-0af7651916cd43dd8448eb211c80319c-0000000000000000-01",
        "ff-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
        "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331",
        "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01-more",
    ] {
        let fields = format!("Host: a\r\nTraceparent: {wrong}\r\nTracestate: a=1\r\n");
        let (seen, ..) = carried(None, &fields).await;
        let made = seen.get("traceparent").unwrap();
        assert!(is_traceparent(made) && made != wrong, "{wrong} became {made}");
        assert_eq!(seen.get("tracestate"), None, "{wrong}");
    }
}

#[tokio::test]
async fn what_a_stranger_claims_of_itself_does_not_reach_the_service() {
    let claims = "X-Forwarded-Port: 1\r\nX_Forwarded_For: 1.1.1.1\r\nX-Real-Ip: 1.1.1.1\r\n\
                  X_Request_Id: 1\r\n";
    let (seen, ..) = carried(None, &format!("Host: a\r\n{claims}")).await;
    for name in ["x-forwarded-port", "x_forwarded_for", "x-real-ip", "x_request_id"] {
        assert_eq!(seen.get(name), None, "{name}");
    }
    assert_eq!(seen.get("x-forwarded-for"), Some("127.0.0.1"));
}
