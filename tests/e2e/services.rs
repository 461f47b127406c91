//! Where services are, and how they are spoken to.

use crate::support::{Authority, Gateway, H2Origin, ONE_SERVICE, Origin, Port, Response, Setup};

/// One route to a service of which this is said.
pub fn service(settings: &str) -> Setup {
    let document = ONE_SERVICE.replace("{url: \"http://<app>\"}", settings);
    assert_ne!(document, ONE_SERVICE);
    Setup::new(&document)
}

/// Fails the test unless this is the problem of a service that failed: it names the service and
/// nothing of what is behind it.
#[track_caller]
pub fn failed(response: &Response, status: u16, address: &str) {
    let problem = response.problem(status);
    assert_eq!(problem["service"], "app");
    let told = format!("{:?}{}", response.head, response.text());
    let (host, port) = address.rsplit_once(':').unwrap();
    assert!(!told.contains(host) && !told.contains(port), "{told}");
    for inside in ["pingora", "Pingora", "onnect", "efused", "os error"] {
        assert!(!response.text().contains(inside), "{told}");
    }
}

/// Waits until one failure of the service was counted, with this cause.
pub async fn upstream_error(gateway: &Gateway, cause: &str) {
    let labels = [("service", "app"), ("cause", cause)];
    gateway.metric("gateway_upstream_errors_total", &labels, 1.0).await;
}

// Places and protocols

#[tokio::test]
async fn endpoints_take_turns() {
    let (one, two) = (Origin::saying("one").await, Origin::saying("two").await);
    let setup = service("{endpoints: [{address: <one>}, {address: <two>}]}");
    let gateway = setup.with("one", &one).with("two", &two).start().await;
    let mut told = Vec::new();
    for _ in 0..6 {
        told.push(gateway.get("/").await.text().to_owned());
    }
    assert_eq!((one.requests().len(), two.requests().len()), (3, 3));
    assert!(told.windows(2).all(|pair| pair[0] != pair[1]), "{told:?}");
}

#[tokio::test]
async fn a_dead_endpoint_costs_no_client_an_error_and_is_not_each_requests_first() {
    let (alive, dead) = (Origin::saying("alive").await, Port::reserve());
    let setup = service("{endpoints: [{address: <alive>}, {address: <dead>}]}");
    let gateway = setup.with("alive", &alive).with("dead", dead.address).start().await;
    for _ in 0..20 {
        assert_eq!(gateway.get("/").await.text(), "alive");
    }
    let labels = [("service", "app"), ("cause", "connect")];
    gateway.metric("gateway_upstream_errors_total", &labels, 10.0).await;
}

#[tokio::test]
async fn each_endpoint_gets_its_own_authority_as_host() {
    let (one, two) = (Origin::saying("one").await, Origin::saying("two").await);
    let setup = service("{endpoints: [{address: <one>}, {address: <two>}]}");
    let gateway = setup.with("one", &one).with("two", &two).start().await;
    gateway.get("/").await;
    gateway.get("/").await;
    assert_eq!(one.last().get("host"), Some(one.address()));
    assert_eq!(two.last().get("host"), Some(two.address()));
}

#[tokio::test]
async fn a_service_is_reached_over_ipv6() {
    let origin = Origin::at("[::1]:0", |mut call| async move {
        call.reply(200, "", "over IPv6").await;
        call
    })
    .await;
    let by_address = service("{endpoints: [{address: \"<app>\"}]}");
    for setup in [by_address, Setup::new(ONE_SERVICE)] {
        let gateway = setup.with("app", &origin).start().await;
        assert_eq!(gateway.get("/").await.text(), "over IPv6");
        assert_eq!(origin.last().get("host"), Some(origin.address()));
    }
}

#[tokio::test]
async fn a_service_is_reached_over_a_unix_socket() {
    let folder = tempfile::tempdir().unwrap();
    let origin = Origin::unix(&folder.path().join("app.sock"), |mut call| async move {
        call.reply(200, "", "over a socket").await;
        call
    });
    let setup = service("{endpoints: [{address: \"<app>\"}]}");
    let gateway = setup.with("app", &origin).start().await;
    let mut client = gateway.connect().await;
    for _ in 0..3 {
        assert_eq!(client.get("/").await.text(), "over a socket");
    }
    assert_eq!(origin.connections_made(), 1);
}

#[tokio::test]
async fn a_service_is_reached_by_name() {
    let origin = Origin::saying("by name").await;
    let setup = service("{url: \"http://localhost:<port>\"}");
    let gateway = setup.with("port", origin.port()).start().await;
    for _ in 0..4 {
        assert_eq!(gateway.get("/").await.text(), "by name");
    }
    assert_eq!(origin.last().get("host"), Some(&*format!("localhost:{}", origin.port())));
}

async fn inside_tls(authority: &Authority) -> Origin {
    Origin::tls(authority.acceptor(&["http/1.1"]), |mut call| async move {
        call.reply(200, "", "inside TLS").await;
        call
    })
    .await
}

#[tokio::test]
async fn a_service_is_reached_inside_tls() {
    let authority = Authority::new();
    let origin = inside_tls(&authority).await;
    let setup = service("{url: \"https://<app>\"}").with("app", &origin);
    let gateway = setup.environment("SSL_CERT_FILE", authority.root()).start().await;
    assert_eq!(gateway.get("/").await.text(), "inside TLS");
    assert_eq!(origin.last().get("x-forwarded-proto"), Some("http"));
}

#[tokio::test]
async fn endpoints_are_reached_inside_tls_by_the_name_that_they_certify() {
    let authority = Authority::new();
    let origin = inside_tls(&authority).await;
    let setup = service("{endpoints: [{address: <app>}], tls: {sni: localhost}}");
    let setup = setup.with("app", &origin);
    let gateway = setup.environment("SSL_CERT_FILE", authority.root()).start().await;
    assert_eq!(gateway.get("/").await.text(), "inside TLS");
}

#[tokio::test]
async fn a_certificate_of_nobody_that_is_trusted_is_a_502() {
    let (authority, other) = (Authority::new(), Authority::new());
    let origin = inside_tls(&authority).await;
    let setup = service("{url: \"https://<app>\"}").with("app", &origin);
    let gateway = setup.environment("SSL_CERT_FILE", other.root()).start().await;
    failed(&gateway.get("/").await, 502, origin.address());
    upstream_error(&gateway, "tls").await;
    assert_eq!(origin.requests().len(), 0);
}

#[tokio::test]
async fn a_certificate_for_another_name_is_a_502() {
    let authority = Authority::new();
    let origin = inside_tls(&authority).await;
    let setup = service("{endpoints: [{address: <app>}], tls: {sni: other.example.com}}");
    let setup = setup.with("app", &origin);
    let gateway = setup.environment("SSL_CERT_FILE", authority.root()).start().await;
    failed(&gateway.get("/").await, 502, origin.address());
    assert_eq!(origin.requests().len(), 0);
}

#[tokio::test]
async fn a_service_is_reached_over_http_2() {
    let origin = H2Origin::start().await;
    let setup = service("{url: \"http://<app>\", protocol: h2c}").with("app", &origin);
    let gateway = setup.start().await;
    let mut client = gateway.connect().await;
    assert_eq!(client.get("/path?q=1").await.text(), "over h2");
    let request = "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 6\r\n\r\n a body";
    let request = request.replace(" a body", "a body");
    assert_eq!(client.request(&request).await.text(), "over h2a body");
    let seen = &origin.requests()[0];
    assert_eq!(seen.uri().path_and_query().unwrap(), "/path?q=1");
    assert_eq!(seen.headers()["x-forwarded-for"], "127.0.0.1");
    assert_eq!(seen.uri().authority().unwrap().as_str(), origin.to_string());
}
