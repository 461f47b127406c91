use super::*;
use crate::upstream::call::Caller;
use crate::upstream::scripted::{Scripted, read_request};
use bytes::Bytes;
use http::{HeaderMap, HeaderValue, Request, Response};
use rustls::ServerConfig;
use std::sync::Arc;
use tokio::io::AsyncWriteExt;
use tokio::net::TcpListener;
use tokio::sync::mpsc;
use tokio::time::Instant;
use tokio_rustls::TlsAcceptor;

/// Long enough on a busy machine, where it is not the point.
const PATIENCE: Duration = Duration::from_secs(10);
/// Short enough to wait for, where it is.
const SHORT: Duration = Duration::from_millis(60);

fn http(path: &str) -> HttpProbe {
    HttpProbe {
        method: http::Method::GET,
        path: path.parse().unwrap(),
        host: None,
        headers: HeaderMap::new(),
        status: vec!["2xx".parse().unwrap()],
        body: None,
    }
}

fn check(probe: Probe) -> Check {
    Check {
        probe,
        port: None,
        interval: PATIENCE,
        jitter: Percent::new(0),
        timeout: PATIENCE,
        thresholds: Thresholds { healthy_after: 2, unhealthy_after: 3 },
    }
}

/// What one check of a peer says: `ok`, or why it failed.
async fn said(probe: Probe, peer: &HttpPeer, timeout: Duration) -> String {
    let peer = check(probe.clone()).peer(peer);
    let host = HeaderValue::from_static("items.test");
    match probe.ask(&Caller::new(4), &peer, &host, Instant::now() + timeout).await {
        Ok(()) => "ok".to_owned(),
        Err(error) => error.to_string(),
    }
}

async fn said_to(answer: &str, probe: HttpProbe) -> String {
    let service = Scripted::says(answer).await;
    said(Probe::Http(probe), &service.peer(), PATIENCE).await
}

/// A peer at which nobody listens.
async fn nowhere() -> HttpPeer {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    HttpPeer::new(listener.local_addr().unwrap(), false, String::new())
}

fn grpc(service: &str) -> Probe {
    Probe::Grpc { service: service.into(), host: None, headers: HeaderMap::new() }
}

#[tokio::test]
async fn http_is_judged_by_its_status() {
    let answer = |status: &str| format!("HTTP/1.1 {status}\r\ncontent-length: 0\r\n\r\n");
    assert_eq!(said_to(&answer("200 OK"), http("/health")).await, "ok");
    assert_eq!(said_to(&answer("204 No Content"), http("/health")).await, "ok");
    assert_eq!(said_to(&answer("500 Oh No"), http("/health")).await, "status 500");
    let mut teapot = http("/health");
    teapot.status = vec!["418".parse().unwrap(), "500..502".parse().unwrap()];
    assert_eq!(said_to(&answer("501 No"), teapot.clone()).await, "ok");
    assert_eq!(said_to(&answer("200 OK"), teapot).await, "status 200");
}

#[tokio::test]
async fn http_is_judged_by_its_body() {
    let mut probe = http("/health");
    probe.body = Some(r#"\{"status": ?"up"\}"#.parse().unwrap());
    let answer =
        |body: &str| format!("HTTP/1.1 200 OK\r\ncontent-length: {}\r\n\r\n{body}", body.len());
    assert_eq!(said_to(&answer("{\"status\":\"up\"}\n"), probe.clone()).await, "ok");
    let down = said_to(&answer("{\"status\":\"down\"}"), probe.clone()).await;
    assert_eq!(down, "body does not match");
    let endless = answer(&"x".repeat(70_000));
    let endless = [said_to(&endless, probe).await, said_to(&endless, http("/health")).await];
    assert_eq!(endless, ["the body is larger than 65536 bytes", "ok"]);
}

#[tokio::test]
async fn a_request_says_what_was_configured() {
    let (tell, mut told) = mpsc::unbounded_channel();
    let service = Scripted::new(move |_, mut connection| {
        let tell = tell.clone();
        async move {
            while let Some(request) = read_request(&mut connection).await {
                tell.send(request).unwrap();
                connection.write_all(b"HTTP/1.1 204 No Content\r\n\r\n").await.unwrap();
            }
        }
    })
    .await;
    said(Probe::Http(http("/health?full=1")), &service.peer(), PATIENCE).await;
    let request = told.recv().await.unwrap().to_ascii_lowercase();
    assert!(request.starts_with("get /health?full=1 http/1.1\r\n"), "{request}");
    assert!(request.contains("host: items.test\r\n"), "{request}");

    let mut probe = http("/");
    probe.method = http::Method::OPTIONS;
    probe.host = Some(HeaderValue::from_static("other.test"));
    probe.headers.insert("x-probe", HeaderValue::from_static("sluice"));
    said(Probe::Http(probe), &service.peer(), PATIENCE).await;
    let request = told.recv().await.unwrap().to_ascii_lowercase();
    assert!(request.starts_with("options / http/1.1\r\n"), "{request}");
    assert!(request.contains("host: other.test\r\n") && request.contains("x-probe: sluice\r\n"));
}

#[tokio::test]
async fn what_is_down_silent_trickling_or_closing_is_not_well() {
    let trickling = Scripted::new(|_, mut connection| async move {
        read_request(&mut connection).await;
        let head = b"HTTP/1.1 200 OK\r\ncontent-length: 60000\r\n\r\n";
        connection.write_all(head).await.unwrap();
        let mut tick = tokio::time::interval(Duration::from_millis(5));
        while connection.write_all(b".").await.is_ok() {
            tick.tick().await;
        }
    })
    .await;
    let closing = Scripted::new(|_, mut connection| async move {
        read_request(&mut connection).await;
    })
    .await;
    let silent = Scripted::silent().await;
    let garbled = Scripted::says("SSH-2.0-OpenSSH\r\n\r\n").await;
    let probe = || Probe::Http(http("/health"));
    assert_eq!(said(probe(), &nowhere().await, PATIENCE).await, "connection refused");
    assert_eq!(said(probe(), &silent.peer(), SHORT).await, "timed out");
    assert_eq!(said(probe(), &trickling.peer(), SHORT).await, "timed out");
    assert_eq!(said(probe(), &closing.peer(), PATIENCE).await, "connection closed");
    assert_eq!(said(probe(), &garbled.peer(), PATIENCE).await, "the answer is not HTTP");
}

#[tokio::test]
async fn another_port_may_be_asked() {
    let service = Scripted::says("HTTP/1.1 204 No Content\r\n\r\n").await;
    let mut other = check(Probe::Http(http("/")));
    other.port = Some(service.address.port());
    let peer = other.peer(&nowhere().await);
    assert_eq!(said(other.probe, &peer, PATIENCE).await, "ok");
}

#[tokio::test]
async fn tcp_needs_a_listener_and_nothing_more() {
    let silent = Scripted::silent().await;
    for peer in [silent.peer(), silent.h2_peer()] {
        assert_eq!(said(Probe::Tcp, &peer, PATIENCE).await, "ok");
    }
    assert_eq!(said(Probe::Tcp, &nowhere().await, PATIENCE).await, "connection refused");
}

/// A service that shakes hands for one of `protocols`, and then keeps silent.
async fn with_tls(protocols: &[&str]) -> Scripted {
    let names = vec!["items.test".to_owned()];
    let issued = rcgen::generate_simple_self_signed(names).unwrap();
    let key = rustls::pki_types::PrivateKeyDer::try_from(issued.signing_key.serialize_der());
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let mut config = ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![issued.cert.der().clone()], key.unwrap())
        .unwrap();
    config.alpn_protocols = protocols.iter().map(|name| name.as_bytes().to_vec()).collect();
    let acceptor = TlsAcceptor::from(Arc::new(config));
    Scripted::new(move |_, connection| {
        let acceptor = acceptor.clone();
        async move {
            let connection = acceptor.accept(connection).await;
            std::future::pending::<()>().await;
            drop(connection);
        }
    })
    .await
}

#[tokio::test]
async fn tcp_shakes_hands_where_the_service_has_tls() {
    let silent = Scripted::silent().await;
    for (versions, protocols) in [((1, 1), &["http/1.1"][..]), ((2, 2), &["h2"])] {
        let service = with_tls(protocols).await;
        let peer = |address| {
            let mut peer = HttpPeer::new(address, true, "items.test".to_owned());
            peer.options.set_http_version(versions.0, versions.1);
            peer
        };
        let mut trusting = peer(service.address);
        trusting.options.verify_cert = false;
        trusting.options.verify_hostname = false;
        assert_eq!(said(Probe::Tcp, &trusting, PATIENCE).await, "ok");
        let distrusted = said(Probe::Tcp, &peer(service.address), PATIENCE).await;
        assert!(distrusted.contains("certificate") || distrusted.contains("TLS"), "{distrusted}");
        assert_eq!(said(Probe::Tcp, &peer(silent.address), SHORT).await, "timed out");
    }
}

#[tokio::test]
async fn every_tcp_check_connects_anew() {
    let service = with_tls(&["h2"]).await;
    let mut peer = HttpPeer::new(service.address, true, "items.test".to_owned());
    peer.options.set_http_version(2, 2);
    peer.options.verify_cert = false;
    peer.options.verify_hostname = false;
    let caller = Caller::new(4);
    for count in 1..4 {
        caller.connect(&peer, Some(Instant::now() + PATIENCE)).await.unwrap();
        assert_eq!(service.connections(), count);
    }
}

/// A server of gRPC that says this of the service `known`, and fails for others.
async fn health_server(status: u8) -> Scripted {
    Scripted::h2(move |request: Request<Bytes>| {
        assert_eq!(request.uri().path(), "/grpc.health.v1.Health/Check");
        assert_eq!(request.headers()["content-type"], "application/grpc");
        assert_eq!(request.headers()["te"], "trailers");
        let known = [&b"\0\0\0\0\0"[..], b"\0\0\0\0\x07\x0a\x05known"];
        let head = Response::builder().header("content-type", "application/grpc");
        let mut trailers = HeaderMap::new();
        if known.contains(&&request.body()[..]) {
            trailers.insert("grpc-status", HeaderValue::from_static("0"));
            let message = Bytes::from(vec![0, 0, 0, 0, 2, 8, status]);
            (head.body(()).unwrap(), message, Some(trailers))
        } else {
            (head.header("grpc-status", "5").body(()).unwrap(), Bytes::new(), None)
        }
    })
    .await
}

#[tokio::test]
async fn grpc_is_judged_by_what_the_server_says_of_the_service() {
    let serving = health_server(1).await;
    // Which version the service is spoken to in does not matter: gRPC needs HTTP/2.
    for peer in [serving.h2_peer(), serving.peer()] {
        assert_eq!(said(grpc(""), &peer, PATIENCE).await, "ok");
        assert_eq!(said(grpc("known"), &peer, PATIENCE).await, "ok");
    }
    let unknown = said(grpc("other"), &serving.peer(), PATIENCE).await;
    assert_eq!(unknown, "grpc-status 5 (NOT_FOUND): it does not know the service");
    for (status, meant) in [(0, "UNKNOWN"), (2, "NOT_SERVING"), (3, "SERVICE_UNKNOWN")] {
        let service = health_server(status).await;
        assert_eq!(said(grpc(""), &service.peer(), PATIENCE).await, meant);
    }
}

#[tokio::test]
async fn a_server_without_health_service_is_not_well_by_grpc() {
    let unimplemented = Scripted::h2(|_| {
        let head = Response::builder().header("grpc-status", "12").body(()).unwrap();
        (head, Bytes::new(), None)
    })
    .await;
    let said_of = async |service: &Scripted| said(grpc(""), &service.peer(), PATIENCE).await;
    let code = "grpc-status 12 (UNIMPLEMENTED): it has no health service";
    assert_eq!(said_of(&unimplemented).await, code);

    let web = Scripted::h2(|_| (Response::new(()), "hello".into(), None)).await;
    assert_eq!(said_of(&web).await, "no grpc-status");
    let missing = |_| (Response::builder().status(404).body(()).unwrap(), Bytes::new(), None);
    assert_eq!(said_of(&Scripted::h2(missing).await).await, "status 404");
    let silent = Scripted::silent().await;
    assert_eq!(said(grpc(""), &silent.peer(), SHORT).await, "timed out");
}

#[test]
fn first_checks_are_spread_by_the_jitter_and_known_endpoints_over_the_interval() {
    let mut check = check(Probe::Tcp);
    (check.interval, check.jitter) = (Duration::from_secs(10), Percent::new(20));
    let mut known = Standing::default();
    let seconds = |pause: Duration| pause.as_secs_f64().round() as u64;
    assert_eq!([0.0, 0.5, 1.0].map(|c| seconds(check.first_pause(known, c))), [0, 1, 2]);
    assert_eq!([0.0, 0.5, 1.0].map(|chance| seconds(check.pause(chance))), [8, 10, 12]);
    known.take(true, check.thresholds);
    assert_eq!([0.0, 0.5, 1.0].map(|c| seconds(check.first_pause(known, c))), [0, 5, 10]);
}
